//! Optics: temperature, voltage, laser bias and power, and the transceivers themselves.

mod crossed;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;

use crate::base::changes::{Grade, Rule, Severity};
use crate::collector::only::{self, Only};
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::labels::DescriptionLabels;
use crate::point::{
    Definition, Field, Measurement, Points, Schema, gauge, info, labelled, text, watched,
};
use crate::xml::items::Scope;
use crate::xml::shapes::{Celsius, DOWN, UP, is};

/// A transceiver's place: FPC, PIC and port.
type Place = (u32, u32, u32);

settings! {
    pub struct InterfaceDiagnosticsSettings {
        /// What in a description is a label: `brackets`, a pattern, or none.
        description_labels: DescriptionLabels,
        /// A pattern: only what has a name that matches is collected. The router is asked for no
        /// more where it is names, or beginnings of names behind `^`.
        only: Option<Only>,
        /// Ask for satellite devices too.
        satellite: bool,
    }
}

#[derive(Default)]
pub struct InterfaceDiagnostics {
    satellite: bool,
    only: Option<Only>,
    labels: DescriptionLabels,
    /// From the inventory and the PICs, for the ports that a later query names.
    transceivers: BTreeMap<Place, Transceiver>,
    /// Descriptions with labels, by port: the replies about optics have no descriptions.
    described: BTreeMap<Box<str>, Range<usize>>,
    /// Serial numbers and descriptions, one after another: hardly two are the same.
    texts: String,
    /// What many transceivers share, once: a large chassis has tens of thousands of them.
    descriptions: BTreeSet<Arc<str>>,
    makes: BTreeSet<Arc<Make>>,
}

const TAGS: &[&str] = &["name", "if_index"];
const LANE_TAGS: &[&str] = &["name", "if_index", "lane"];

static CROSSED: Rule = Rule {
    subject: &["name"],
    grade: Grade::Unless(&[crossed::NONE], Severity::Warning),
    ..Rule::of("optics-threshold")
};

static OPTICS: Measurement<Optics> = Measurement::new(|| Definition {
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

static LASER: Measurement<Lane> = Measurement::new(|| Definition {
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
static LASER_THRESHOLDS: Measurement<Optics> = Measurement::new(|| Definition {
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

static TRANSCEIVER: Measurement<Fitted> = Measurement::new(|| Definition {
    name: "interface",
    help: "The transceiver that an interface uses.",
    tags: TAGS,
    fields: vec![
        info("serial_number", "Serial number.", |f| Some(&f.serial_number)),
        labelled(
            "description",
            info("transceiver_type", "What the inventory calls it.", |f| {
                Some(&f.transceiver.description)
            }),
        ),
        labelled(
            "speed",
            info("transceiver_speed", "The port's speed as Junos writes it.", |f| Some(&f.speed)),
        ),
        info("fiber_type", "SM, MM or none.", |f| Some(&f.make()?.fiber_mode)),
        info("vendor_name", "Its vendor.", |f| Some(&f.make()?.vendor_name)),
        info("vendor_part_number", "The vendor's part number.", |f| {
            Some(&f.make()?.vendor_part_number)
        }),
        info("wavelength", "As Junos writes it.", |f| Some(&f.make()?.wavelength)),
        gauge("transceiver", "", "1 if the interface is up.", |f| f.up),
    ],
});

impl InterfaceDiagnostics {
    pub fn new(settings: InterfaceDiagnosticsSettings) -> InterfaceDiagnostics {
        let InterfaceDiagnosticsSettings { satellite, only, description_labels } = settings;
        InterfaceDiagnostics { satellite, only, labels: description_labels, ..Default::default() }
    }
}

impl Collector for InterfaceDiagnostics {
    const NAME: &'static str = "interfacediagnostics";
    const HELP: &'static str =
        "Optics: temperature, voltage, laser bias and power, and the transceivers themselves.";
    const ADVICE: &'static str =
        "300s: optics change slowly, and line cards are slow to read them.";
    const QUERIES: &'static [Query<InterfaceDiagnostics>] = &[
        Query {
            rpc: Rpc::Once("<get-chassis-inventory/>"),
            command: "show chassis hardware",
            roots: &["chassis-inventory"],
            items: &[item::<_, Module>("chassis-module")],
        },
        Query {
            rpc: Rpc::Each(
                "<get-pic-detail><fpc-slot>F</fpc-slot><pic-slot>P</pic-slot></get-pic-detail>",
                pic_details,
            ),
            command: "show chassis pic fpc-slot F pic-slot P",
            roots: &["fpc-information"],
            items: &[item::<_, Fpc>("fpc")],
        },
        Query {
            rpc: Rpc::Each(
                "<get-interface-information><media/></get-interface-information>",
                |diagnostics| {
                    let only = &diagnostics.only;
                    only::interface_rpcs(only, "get-interface-information", "<media/>")
                },
            ),
            command: "show interfaces media",
            roots: &["interface-information"],
            items: &[item::<_, Port>("physical-interface")],
        },
        Query {
            rpc: Rpc::Each("<get-interface-optics-diagnostics-information/>", |diagnostics| {
                let only = &diagnostics.only;
                only::interface_rpcs(only, "get-interface-optics-diagnostics-information", "")
            }),
            command: "show interfaces diagnostics optics",
            roots: &["interface-information"],
            items: &[item::<_, Interface>("physical-interface")],
        },
        Query {
            rpc: Rpc::When("<get-interface-optics-diagnostics-satellite/>", |diagnostics| {
                diagnostics.satellite
            }),
            command: "show interfaces diagnostics optics satellite",
            roots: &["interface-information"],
            items: &[item::<_, Interface>("physical-interface")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] =
        &[&OPTICS, &LASER, &LASER_THRESHOLDS, &TRANSCEIVER];
}

impl InterfaceDiagnostics {
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.is_match(name))
    }

    /// Keeps a text that is not shared.
    fn keep(&mut self, text: &str) -> Range<usize> {
        let start = self.texts.len();
        self.texts += text;
        start..self.texts.len()
    }

    /// Gives the last point the labels of its port's description.
    fn label(&self, port: &str, points: &mut Points) {
        if let Some(description) = self.described.get(port) {
            self.labels.find(&self.texts[description.clone()]).add(points);
        }
    }
}

/// One request for each PIC that has a transceiver.
fn pic_details(diagnostics: &InterfaceDiagnostics) -> Vec<String> {
    let mut pics: Vec<_> =
        diagnostics.transceivers.keys().map(|(fpc, pic, _)| (fpc, pic)).collect();
    pics.dedup();
    let rpc = |(fpc, pic)| {
        let slots = format!("<fpc-slot>{fpc}</fpc-slot><pic-slot>{pic}</pic-slot>");
        format!("<get-pic-detail>{slots}</get-pic-detail>")
    };
    pics.into_iter().map(rpc).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Interface {
    name: String,
    #[serde(default)]
    snmp_index: String,
    optics_diagnostics: Option<Optics>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Optics {
    #[serde(default)]
    optics_diagnostics_lane_values: Vec<Lane>,
    laser_bias_current: Option<f64>,
    laser_output_power: Option<f64>,
    laser_output_power_dbm: Option<f64>,
    laser_rx_optical_power: Option<f64>,
    laser_rx_optical_power_dbm: Option<f64>,
    rx_signal_avg_optical_power: Option<f64>,
    rx_signal_avg_optical_power_dbm: Option<f64>,
    module_temperature: Option<Celsius>,
    module_voltage: Option<f64>,
    laser_bias_current_high_alarm_threshold: Option<f64>,
    laser_bias_current_low_alarm_threshold: Option<f64>,
    laser_bias_current_high_warn_threshold: Option<f64>,
    laser_bias_current_low_warn_threshold: Option<f64>,
    laser_tx_power_high_alarm_threshold: Option<f64>,
    laser_tx_power_low_alarm_threshold: Option<f64>,
    laser_tx_power_high_warn_threshold: Option<f64>,
    laser_tx_power_low_warn_threshold: Option<f64>,
    laser_tx_power_high_alarm_threshold_dbm: Option<f64>,
    laser_tx_power_low_alarm_threshold_dbm: Option<f64>,
    laser_tx_power_high_warn_threshold_dbm: Option<f64>,
    laser_tx_power_low_warn_threshold_dbm: Option<f64>,
    module_temperature_high_alarm_threshold: Option<Celsius>,
    module_temperature_low_alarm_threshold: Option<Celsius>,
    module_temperature_high_warn_threshold: Option<Celsius>,
    module_temperature_low_warn_threshold: Option<Celsius>,
    module_voltage_high_alarm_threshold: Option<f64>,
    module_voltage_low_alarm_threshold: Option<f64>,
    module_voltage_high_warn_threshold: Option<f64>,
    module_voltage_low_warn_threshold: Option<f64>,
    laser_rx_power_high_alarm_threshold: Option<f64>,
    laser_rx_power_low_alarm_threshold: Option<f64>,
    laser_rx_power_high_warn_threshold: Option<f64>,
    laser_rx_power_low_warn_threshold: Option<f64>,
    laser_rx_power_high_alarm_threshold_dbm: Option<f64>,
    laser_rx_power_low_alarm_threshold_dbm: Option<f64>,
    laser_rx_power_high_warn_threshold_dbm: Option<f64>,
    laser_rx_power_low_warn_threshold_dbm: Option<f64>,
    #[serde(skip)]
    crossed: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Lane {
    #[serde(default)]
    lane_index: String,
    laser_bias_current: Option<f64>,
    laser_output_power: Option<f64>,
    laser_output_power_dbm: Option<f64>,
    laser_rx_optical_power: Option<f64>,
    laser_rx_optical_power_dbm: Option<f64>,
}

impl Optics {
    /// The lane of a module that tells no lanes.
    fn only_lane(&self) -> Lane {
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

impl Item<InterfaceDiagnostics> for Interface {
    fn points(self, diagnostics: &mut InterfaceDiagnostics, _: &Scope, points: &mut Points) {
        let Some(mut optics) = self.optics_diagnostics else { return };
        if !diagnostics.wants(&self.name) {
            return;
        }
        let mut lanes = std::mem::take(&mut optics.optics_diagnostics_lane_values);
        if lanes.is_empty() {
            lanes.push(optics.only_lane());
        }
        optics.crossed = crossed::crossed(&optics, &lanes);
        let optics = &optics;
        if points.push(&OPTICS, &[&self.name, &self.snmp_index], optics) {
            diagnostics.label(&self.name, points);
        }
        let mut push = |lane: &Lane| {
            let tags = [&*self.name, &self.snmp_index, &lane.lane_index];
            if points.push(&LASER, &tags, lane) {
                diagnostics.label(&self.name, points);
            }
            if points.push(&LASER_THRESHOLDS, &tags, optics) {
                diagnostics.label(&self.name, points);
            }
        };
        lanes.iter().for_each(&mut push);
    }
}

/// A physical interface of `show interfaces media`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Port {
    name: String,
    #[serde(default)]
    snmp_index: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    speed: String,
    oper_status: Option<String>,
}

/// `et-1/2/3`, and its channels `et-1/2/3:0`, are of FPC 1, PIC 2, port 3.
fn place(interface: &str) -> Option<Place> {
    let (_, numbers) = interface.split_once('-')?;
    let numbers = numbers.split(':').next()?;
    let mut numbers = numbers.split('/').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

impl Item<InterfaceDiagnostics> for Port {
    fn points(self, diagnostics: &mut InterfaceDiagnostics, _: &Scope, points: &mut Points) {
        if !diagnostics.wants(&self.name) {
            return;
        }
        let found = place(&self.name).and_then(|place| diagnostics.transceivers.get(&place));
        if let Some(transceiver) = found.cloned() {
            let serial_number = diagnostics.texts[transceiver.serial_number.clone()].to_string();
            let up = is(self.oper_status.as_deref(), UP, DOWN);
            let fitted = Fitted { transceiver, serial_number, speed: self.speed, up };
            points.push(&TRANSCEIVER, &[&self.name, &self.snmp_index], &fitted);
        }
        if diagnostics.labels.stand_in(&self.description) {
            let description = diagnostics.keep(&self.description);
            diagnostics.described.insert(self.name.into(), description);
        }
    }
}

/// A module of the inventory: an FPC holds MICs or PICs, a MIC holds PICs, a PIC transceivers.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Module {
    name: String,
    #[serde(default)]
    serial_number: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    chassis_sub_module: Vec<Module>,
    #[serde(default)]
    chassis_sub_sub_module: Vec<Module>,
    #[serde(default)]
    chassis_sub_sub_sub_module: Vec<Module>,
}

impl Module {
    fn walk(self, mut fpc: u32, mut pic: u32, found: &mut InterfaceDiagnostics) {
        let named = self.name.split_once(' ').map(|(kind, n)| (kind, n.trim_start().parse()));
        if let Some((kind, Ok(number))) = named {
            match &*kind.to_ascii_lowercase() {
                "fpc" => fpc = number,
                "pic" => pic = number,
                "xcvr" => {
                    let transceiver = Transceiver {
                        serial_number: found.keep(&self.serial_number),
                        description: shared(&mut found.descriptions, self.description.into()),
                        make: None,
                    };
                    found.transceivers.insert((fpc, pic, number), transceiver);
                }
                _ => {}
            }
        }
        let nested = [self.chassis_sub_module, self.chassis_sub_sub_module];
        for module in nested.into_iter().chain([self.chassis_sub_sub_sub_module]).flatten() {
            module.walk(fpc, pic, found);
        }
    }
}

impl Item<InterfaceDiagnostics> for Module {
    fn points(self, diagnostics: &mut InterfaceDiagnostics, scope: &Scope, _: &mut Points) {
        if are_interfaces_numbers(scope) {
            self.walk(0, 0, diagnostics);
        }
    }
}

/// Whether the FPCs in a reply have the numbers that are in names of interfaces. Each node of an
/// SRX cluster counts its FPCs from 0; in names of interfaces, those of `node1` begin at a number
/// that depends on the model.
fn are_interfaces_numbers(scope: &Scope) -> bool {
    scope.re_name() != "node1"
}

#[derive(Clone)]
struct Transceiver {
    /// A range of `texts`.
    serial_number: Range<usize>,
    description: Arc<str>,
    /// What its PIC says of it, if it was asked.
    make: Option<Arc<Make>>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Make {
    fiber_mode: String,
    vendor_name: String,
    vendor_part_number: String,
    wavelength: String,
}

/// A transceiver in its interface.
struct Fitted {
    transceiver: Transceiver,
    serial_number: String,
    speed: String,
    up: Option<u64>,
}

impl Fitted {
    fn make(&self) -> Option<&Make> {
        self.transceiver.make.as_deref()
    }
}

/// The equal of `new` that is known already, or else `new`, which is known from now on.
fn shared<T: Ord + ?Sized>(known: &mut BTreeSet<Arc<T>>, new: Arc<T>) -> Arc<T> {
    if let Some(known) = known.get(&new) {
        return known.clone();
    }
    known.insert(new.clone());
    new
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Fpc {
    #[serde(default)]
    pic_detail: PicDetail,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct PicDetail {
    /// The FPC's slot.
    slot: u32,
    pic_slot: u32,
    port_information: PortInformation,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PortInformation {
    port: Vec<PortDetail>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct PortDetail {
    port_number: u32,
    fiber_mode: String,
    sfp_vendor_name: String,
    sfp_vendor_pno: String,
    wavelength: String,
}

impl Item<InterfaceDiagnostics> for Fpc {
    fn points(self, diagnostics: &mut InterfaceDiagnostics, scope: &Scope, _: &mut Points) {
        if !are_interfaces_numbers(scope) {
            return;
        }
        let PicDetail { slot, pic_slot, port_information } = self.pic_detail;
        for port in port_information.port {
            let place = (slot, pic_slot, port.port_number);
            if let Some(transceiver) = diagnostics.transceivers.get_mut(&place) {
                let make = Make {
                    fiber_mode: port.fiber_mode,
                    vendor_name: port.sfp_vendor_name,
                    vendor_part_number: port.sfp_vendor_pno,
                    wavelength: port.wavelength,
                };
                transceiver.make = Some(shared(&mut diagnostics.makes, Arc::new(make)));
            }
        }
    }
}
