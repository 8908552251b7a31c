//! Optics: temperature, voltage, laser bias and power, and the transceivers themselves.

mod optics;
mod crossed;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

use serde::Deserialize;

use crate::collector::only::{self, Only};
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::labels::DescriptionLabels;
use crate::point::{Definition, Measurement, Points, Schema, gauge, info, labelled};
use crate::xml::items::Scope;
use crate::xml::shapes::{DOWN, UP, is};
use optics::{LASER, LASER_THRESHOLDS, Lane, OPTICS, Optics, TAGS};

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
    /// Descriptions with labels, by a number for the port's name: the replies about optics have no
    /// descriptions. The numbers' keys are random, so that no two ports can be made to share one.
    described: HashMap<u64, Range<u32>>,
    keys: RandomState,
    /// Serial numbers and descriptions, one after another: hardly two are the same.
    texts: String,
    /// What many transceivers share, once: a large chassis has tens of thousands of them.
    descriptions: BTreeSet<Arc<str>>,
    makes: BTreeSet<Arc<Make>>,
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
    fn keep(&mut self, text: &str) -> Range<u32> {
        let start = self.texts.len() as u32;
        self.texts += text;
        start..self.texts.len() as u32
    }

    fn kept(&self, text: &Range<u32>) -> &str {
        &self.texts[text.start as usize..text.end as usize]
    }

    /// Gives the last point the labels of its port's description.
    fn label(&self, port: &str, points: &mut Points) {
        if let Some(description) = self.described.get(&self.keys.hash_one(port)) {
            self.labels.find(self.kept(description)).add(points);
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
            let serial_number = diagnostics.kept(&transceiver.serial_number).to_string();
            let up = is(self.oper_status.as_deref(), UP, DOWN);
            let fitted = Fitted { transceiver, serial_number, speed: self.speed, up };
            points.push(&TRANSCEIVER, &[&self.name, &self.snmp_index], &fitted);
        }
        if diagnostics.labels.stand_in(&self.description) {
            let description = diagnostics.keep(&self.description);
            diagnostics.described.insert(diagnostics.keys.hash_one(&*self.name), description);
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
    serial_number: Range<u32>,
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
