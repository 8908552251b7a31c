//! What an optical module measures of itself and of its lanes, and the thresholds of both.

use serde::Deserialize;

use crate::base::changes::{Grade, Rule, Severity};
use crate::point::{Definition, Field, Measurement, gauge, text, watched};
use crate::xml::shapes::Celsius;

pub const TAGS: &[&str] = &["name", "if_index"];
const LANE_TAGS: &[&str] = &["name", "if_index", "lane"];

/// No threshold is crossed.
pub const NONE: &str = "none";

static CROSSED: Rule = Rule {
    subject: &["name"],
    grade: Grade::Unless(&[NONE], Severity::Warning),
    ..Rule::of("optics-threshold")
};

pub static OPTICS: Measurement<Optics> = Measurement::new(|| Definition {
    name: "interface_diagnostics",
    help: "What an optical module measures of itself.",
    tags: TAGS,
    fields: vec![
        gauge("module_voltage", "V", "Voltage.", |o| o.module_voltage),
        threshold("module_voltage_high_alarm_threshold", "V", |o| {
            o.module_voltage_high_alarm_threshold
        }),
        threshold("module_voltage_low_alarm_threshold", "V", |o| {
            o.module_voltage_low_alarm_threshold
        }),
        threshold("module_voltage_high_warn_threshold", "V", |o| {
            o.module_voltage_high_warn_threshold
        }),
        threshold("module_voltage_low_warn_threshold", "V", |o| {
            o.module_voltage_low_warn_threshold
        }),
        gauge("temp", "°C", "Temperature.", |o| o.module_temperature?.celsius()),
        threshold("temp_high_alarm_threshold", "°C", |o| {
            o.module_temperature_high_alarm_threshold?.celsius()
        }),
        threshold("temp_low_alarm_threshold", "°C", |o| {
            o.module_temperature_low_alarm_threshold?.celsius()
        }),
        threshold("temp_high_warn_threshold", "°C", |o| {
            o.module_temperature_high_warn_threshold?.celsius()
        }),
        threshold("temp_low_warn_threshold", "°C", |o| {
            o.module_temperature_low_warn_threshold?.celsius()
        }),
        gauge("rx_signal_avg", "mW", "Average power received.", |o| o.rx_signal_avg_optical_power),
        gauge("rx_signal_avg_dbm", "dBm", "Average power received.", |o| {
            o.rx_signal_avg_optical_power_dbm
        }),
        watched(
            &CROSSED,
            text("crossed", "Thresholds that its readings are beyond, or none.", |o: &Optics| {
                Some(&o.crossed)
            }),
        ),
    ],
});

pub static LASER: Measurement<Lane> = Measurement::new(|| Definition {
    name: "interface_diagnostics_laser",
    help: "A laser of an optical module, by lane where it has several.",
    tags: LANE_TAGS,
    fields: vec![
        gauge("bias", "mA", "Bias current.", |l| l.laser_bias_current),
        gauge("output", "mW", "Power sent.", |l| l.laser_output_power),
        gauge("output_dbm", "dBm", "Power sent.", |l| l.laser_output_power_dbm),
        gauge("rx", "mW", "Power received.", |l| l.laser_rx_optical_power),
        gauge("rx_dbm", "dBm", "Power received.", |l| l.laser_rx_optical_power_dbm),
    ],
});

/// The module's thresholds hold for each of its lanes.
pub static LASER_THRESHOLDS: Measurement<Optics> = Measurement::new(|| Definition {
    name: "interface_diagnostics_laser",
    help: "Thresholds of a laser.",
    tags: LANE_TAGS,
    fields: vec![
        threshold("bias_high_alarm_threshold", "mA", |o| o.laser_bias_current_high_alarm_threshold),
        threshold("bias_low_alarm_threshold", "mA", |o| o.laser_bias_current_low_alarm_threshold),
        threshold("bias_high_warn_threshold", "mA", |o| o.laser_bias_current_high_warn_threshold),
        threshold("bias_low_warn_threshold", "mA", |o| o.laser_bias_current_low_warn_threshold),
        threshold("output_high_alarm_threshold", "mW", |o| o.laser_tx_power_high_alarm_threshold),
        threshold("output_low_alarm_threshold", "mW", |o| o.laser_tx_power_low_alarm_threshold),
        threshold("output_high_warn_threshold", "mW", |o| o.laser_tx_power_high_warn_threshold),
        threshold("output_low_warn_threshold", "mW", |o| o.laser_tx_power_low_warn_threshold),
        threshold("output_high_alarm_threshold_dbm", "dBm", |o| {
            o.laser_tx_power_high_alarm_threshold_dbm
        }),
        threshold("output_low_alarm_threshold_dbm", "dBm", |o| {
            o.laser_tx_power_low_alarm_threshold_dbm
        }),
        threshold("output_high_warn_threshold_dbm", "dBm", |o| {
            o.laser_tx_power_high_warn_threshold_dbm
        }),
        threshold("output_low_warn_threshold_dbm", "dBm", |o| {
            o.laser_tx_power_low_warn_threshold_dbm
        }),
        threshold("rx_high_alarm_threshold", "mW", |o| o.laser_rx_power_high_alarm_threshold),
        threshold("rx_low_alarm_threshold", "mW", |o| o.laser_rx_power_low_alarm_threshold),
        threshold("rx_high_warn_threshold", "mW", |o| o.laser_rx_power_high_warn_threshold),
        threshold("rx_low_warn_threshold", "mW", |o| o.laser_rx_power_low_warn_threshold),
        threshold("rx_high_alarm_threshold_dbm", "dBm", |o| {
            o.laser_rx_power_high_alarm_threshold_dbm
        }),
        threshold("rx_low_alarm_threshold_dbm", "dBm", |o| {
            o.laser_rx_power_low_alarm_threshold_dbm
        }),
        threshold("rx_high_warn_threshold_dbm", "dBm", |o| {
            o.laser_rx_power_high_warn_threshold_dbm
        }),
        threshold("rx_low_warn_threshold_dbm", "dBm", |o| o.laser_rx_power_low_warn_threshold_dbm),
    ],
});

fn threshold(
    name: &'static str,
    unit: &'static str,
    get: fn(&Optics) -> Option<f64>,
) -> Field<Optics> {
    gauge(name, unit, "Beyond it the module reports an alarm or a warning.", get)
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Optics {
    #[serde(default)]
    pub optics_diagnostics_lane_values: Vec<Lane>,
    pub laser_bias_current: Option<f64>,
    pub laser_output_power: Option<f64>,
    pub laser_output_power_dbm: Option<f64>,
    pub laser_rx_optical_power: Option<f64>,
    pub laser_rx_optical_power_dbm: Option<f64>,
    pub rx_signal_avg_optical_power: Option<f64>,
    pub rx_signal_avg_optical_power_dbm: Option<f64>,
    pub module_temperature: Option<Celsius>,
    pub module_voltage: Option<f64>,
    pub laser_bias_current_high_alarm_threshold: Option<f64>,
    pub laser_bias_current_low_alarm_threshold: Option<f64>,
    pub laser_bias_current_high_warn_threshold: Option<f64>,
    pub laser_bias_current_low_warn_threshold: Option<f64>,
    pub laser_tx_power_high_alarm_threshold: Option<f64>,
    pub laser_tx_power_low_alarm_threshold: Option<f64>,
    pub laser_tx_power_high_warn_threshold: Option<f64>,
    pub laser_tx_power_low_warn_threshold: Option<f64>,
    pub laser_tx_power_high_alarm_threshold_dbm: Option<f64>,
    pub laser_tx_power_low_alarm_threshold_dbm: Option<f64>,
    pub laser_tx_power_high_warn_threshold_dbm: Option<f64>,
    pub laser_tx_power_low_warn_threshold_dbm: Option<f64>,
    pub module_temperature_high_alarm_threshold: Option<Celsius>,
    pub module_temperature_low_alarm_threshold: Option<Celsius>,
    pub module_temperature_high_warn_threshold: Option<Celsius>,
    pub module_temperature_low_warn_threshold: Option<Celsius>,
    pub module_voltage_high_alarm_threshold: Option<f64>,
    pub module_voltage_low_alarm_threshold: Option<f64>,
    pub module_voltage_high_warn_threshold: Option<f64>,
    pub module_voltage_low_warn_threshold: Option<f64>,
    pub laser_rx_power_high_alarm_threshold: Option<f64>,
    pub laser_rx_power_low_alarm_threshold: Option<f64>,
    pub laser_rx_power_high_warn_threshold: Option<f64>,
    pub laser_rx_power_low_warn_threshold: Option<f64>,
    pub laser_rx_power_high_alarm_threshold_dbm: Option<f64>,
    pub laser_rx_power_low_alarm_threshold_dbm: Option<f64>,
    pub laser_rx_power_high_warn_threshold_dbm: Option<f64>,
    pub laser_rx_power_low_warn_threshold_dbm: Option<f64>,
    #[serde(skip)]
    pub crossed: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lane {
    #[serde(default)]
    pub lane_index: String,
    pub laser_bias_current: Option<f64>,
    pub laser_output_power: Option<f64>,
    pub laser_output_power_dbm: Option<f64>,
    pub laser_rx_optical_power: Option<f64>,
    pub laser_rx_optical_power_dbm: Option<f64>,
}

impl Optics {
    /// The lane of a module whose reply lists no lanes.
    pub fn only_lane(&self) -> Lane {
        Lane {
            lane_index: String::new(),
            laser_bias_current: self.laser_bias_current,
            laser_output_power: self.laser_output_power,
            laser_output_power_dbm: self.laser_output_power_dbm,
            laser_rx_optical_power: self
                .laser_rx_optical_power
                .or(self.rx_signal_avg_optical_power),
            laser_rx_optical_power_dbm: self
                .laser_rx_optical_power_dbm
                .or(self.rx_signal_avg_optical_power_dbm),
        }
    }
}
