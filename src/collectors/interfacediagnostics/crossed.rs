//! Which thresholds of an optical module its readings are beyond.

use super::optics::{Lane, NONE, Optics};

/// Thresholds: high alarm, low alarm, high warning, low warning.
type Thresholds = [Option<f64>; 4];

/// The thresholds that are crossed, in words, such as `rx low alarm in lane 2`; empty if the module
/// tells no thresholds.
pub fn crossed(optics: &Optics, lanes: &[Lane]) -> String {
    let temperature = optics.module_temperature.and_then(|t| t.celsius());
    let mut found = vec![
        beyond("temperature", temperature, temperatures(optics), ""),
        beyond("voltage", optics.module_voltage, voltages(optics), ""),
    ];
    for lane in lanes {
        let number = lane.lane_index.as_str();
        found.push(beyond("bias", lane.laser_bias_current, biases(optics), number));
        // The power in mW, or else in dBm.
        let output = beyond("output", lane.laser_output_power, outputs(optics), number);
        let dbm = || beyond("output", lane.laser_output_power_dbm, outputs_dbm(optics), number);
        found.push(output.or_else(dbm));
        let rx = beyond("rx", lane.laser_rx_optical_power, received(optics), number);
        let dbm = || beyond("rx", lane.laser_rx_optical_power_dbm, received_dbm(optics), number);
        found.push(rx.or_else(dbm));
    }
    let known = found.into_iter().flatten();
    let words: Vec<String> = known.collect();
    let crossed: Vec<&str> =
        words.iter().map(String::as_str).filter(|words| !words.is_empty()).collect();
    match (words.is_empty(), crossed.is_empty()) {
        (true, _) => String::new(),
        (false, true) => NONE.into(),
        (false, false) => crossed.join(", "),
    }
}

/// Beyond which threshold a reading is: empty for none, nothing if either is unknown.
fn beyond(what: &str, value: Option<f64>, of: Thresholds, lane: &str) -> Option<String> {
    let value = value?;
    if of.iter().all(Option::is_none) {
        return None;
    }
    let [high_alarm, low_alarm, high_warning, low_warning] = of;
    let above = |threshold: Option<f64>| threshold.is_some_and(|threshold| value > threshold);
    let below = |threshold: Option<f64>| threshold.is_some_and(|threshold| value < threshold);
    let which = match () {
        () if above(high_alarm) => "high alarm",
        () if below(low_alarm) => "low alarm",
        () if above(high_warning) => "high warning",
        () if below(low_warning) => "low warning",
        () => return Some(String::new()),
    };
    let lane = if lane.is_empty() { String::new() } else { format!(" in lane {lane}") };
    Some(format!("{what} {which}{lane}"))
}

fn temperatures(o: &Optics) -> Thresholds {
    [
        o.module_temperature_high_alarm_threshold,
        o.module_temperature_low_alarm_threshold,
        o.module_temperature_high_warn_threshold,
        o.module_temperature_low_warn_threshold,
    ]
    .map(|threshold| threshold.and_then(|threshold| threshold.celsius()))
}

fn voltages(o: &Optics) -> Thresholds {
    [
        o.module_voltage_high_alarm_threshold,
        o.module_voltage_low_alarm_threshold,
        o.module_voltage_high_warn_threshold,
        o.module_voltage_low_warn_threshold,
    ]
}

fn biases(o: &Optics) -> Thresholds {
    [
        o.laser_bias_current_high_alarm_threshold,
        o.laser_bias_current_low_alarm_threshold,
        o.laser_bias_current_high_warn_threshold,
        o.laser_bias_current_low_warn_threshold,
    ]
}

fn outputs(o: &Optics) -> Thresholds {
    [
        o.laser_tx_power_high_alarm_threshold,
        o.laser_tx_power_low_alarm_threshold,
        o.laser_tx_power_high_warn_threshold,
        o.laser_tx_power_low_warn_threshold,
    ]
}

fn received(o: &Optics) -> Thresholds {
    [
        o.laser_rx_power_high_alarm_threshold,
        o.laser_rx_power_low_alarm_threshold,
        o.laser_rx_power_high_warn_threshold,
        o.laser_rx_power_low_warn_threshold,
    ]
}

fn outputs_dbm(o: &Optics) -> Thresholds {
    [
        o.laser_tx_power_high_alarm_threshold_dbm,
        o.laser_tx_power_low_alarm_threshold_dbm,
        o.laser_tx_power_high_warn_threshold_dbm,
        o.laser_tx_power_low_warn_threshold_dbm,
    ]
}

fn received_dbm(o: &Optics) -> Thresholds {
    [
        o.laser_rx_power_high_alarm_threshold_dbm,
        o.laser_rx_power_low_alarm_threshold_dbm,
        o.laser_rx_power_high_warn_threshold_dbm,
        o.laser_rx_power_low_warn_threshold_dbm,
    ]
}
