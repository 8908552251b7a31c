//! OSPF and OSPFv3: whether they run, and neighbours by area.

use serde::Deserialize;

use crate::base::changes::{Grade, Rule, Severity};
use crate::collector::logical_systems::LogicalSystems;
use crate::collector::only::{self, Only};
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, watched};
use crate::xml::items::Scope;
use crate::xml::shapes::routing_instance;

settings! {
    pub struct Ospf {
        /// Logical systems to ask for besides the router itself.
        logical_systems: LogicalSystems,
        /// A pattern: only routing instances whose name matches are collected (the router's own is
        /// `master`), and not whether there is an area at all. The router is asked for no more
        /// where it is up to eight names between `^` and `$`, with `\.` for a dot.
        only: Option<Only>,
    }
}

static OSPF: Measurement<bool> = Measurement::new(|| up("ospf", "OSPF."));
static OSPF3: Measurement<bool> = Measurement::new(|| up("ospf3", "OSPFv3."));
static AREA: Measurement<Area> = Measurement::new(|| area("ospf", "An area of OSPF.", &NEIGHBOURS));
static AREA3: Measurement<Area> =
    Measurement::new(|| area("ospf3", "An area of OSPFv3.", &NEIGHBOURS3));

fn up(name: &'static str, help: &'static str) -> Definition<bool> {
    let up = gauge("up", "", "1 if there is an area.", |up: &bool| Some(u64::from(*up)));
    Definition { name, help, tags: &["logical_system"], fields: vec![up] }
}

static NEIGHBOURS: Rule =
    Rule { grade: Grade::Falls(Severity::Warning), ..Rule::of("ospf-neighbors") };
static NEIGHBOURS3: Rule =
    Rule { grade: Grade::Falls(Severity::Warning), ..Rule::of("ospf3-neighbors") };

fn area(name: &'static str, help: &'static str, rule: &'static Rule) -> Definition<Area> {
    let up = gauge("neighbors_count", "", "Neighbours that are up.", |a: &Area| {
        a.ospf_nbr_overview.ospf_nbr_up_count
    });
    let tags = &["logical_system", "instance", "area"];
    Definition { name, help, tags, fields: vec![watched(rule, up)] }
}

impl Ospf {
    /// The operation for each instance that is named, and each logical system.
    fn rpcs(&self, name: &str) -> Vec<String> {
        let operations = only::name_rpcs(&self.only, name, "", "instance");
        operations.iter().flat_map(|operation| self.logical_systems.rpcs_of(operation)).collect()
    }
}

impl Collector for Ospf {
    const NAME: &'static str = "ospf";
    const HELP: &'static str = "OSPF and OSPFv3: whether they run, and neighbours by area.";
    const QUERIES: &'static [Query<Ospf>] = &[
        Query {
            rpc: Rpc::Each("<get-ospf-overview-information/>", |ospf| {
                ospf.rpcs("get-ospf-overview-information")
            }),
            command: "show ospf overview",
            roots: &["ospf-overview-information", "output"],
            items: &[
                item::<_, Overview<2>>("ospf-overview-information"),
                item::<_, Words<2>>("output"),
            ],
        },
        Query {
            rpc: Rpc::Each("<get-ospf3-overview-information/>", |ospf| {
                ospf.rpcs("get-ospf3-overview-information")
            }),
            command: "show ospf3 overview",
            roots: &["ospf3-overview-information", "output"],
            items: &[
                item::<_, Overview<3>>("ospf3-overview-information"),
                item::<_, Words<3>>("output"),
            ],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&OSPF, &AREA, &OSPF3, &AREA3];
}

/// The reply about one version of OSPF, with an overview of each routing instance.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Overview<const VERSION: u8> {
    #[serde(default)]
    ospf_overview: Vec<Instance>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Instance {
    #[serde(default)]
    instance_name: String,
    #[serde(default)]
    ospf_area_overview: Vec<Area>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Area {
    ospf_area: String,
    #[serde(default)]
    ospf_nbr_overview: Neighbours,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Neighbours {
    ospf_nbr_up_count: Option<u64>,
}

impl<const VERSION: u8> Item<Ospf> for Overview<VERSION> {
    fn points(self, ospf: &mut Ospf, _: &Scope, points: &mut Points) {
        let (up, area) = if VERSION == 3 { (&OSPF3, &AREA3) } else { (&OSPF, &AREA) };
        let runs = self.ospf_overview.iter().any(|i| !i.ospf_area_overview.is_empty());
        let logical_system = ospf.logical_systems.asked_by(points.rpc);
        if ospf.only.is_none() {
            points.push(up, &[logical_system], &runs);
        }
        let is_wanted = |instance: &&Instance| {
            // Some releases leave the name of the router's own out.
            let name = match &*instance.instance_name {
                "" => "master",
                name => name,
            };
            ospf.only.as_ref().is_none_or(|only| only.is_match(name))
        };
        for instance in self.ospf_overview.iter().filter(is_wanted) {
            let name = routing_instance(&instance.instance_name);
            for overview in &instance.ospf_area_overview {
                points.push(area, &[logical_system, name, &overview.ospf_area], overview);
            }
        }
    }
}

/// The answer of a router without OSPF: `OSPF instance is not running`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Words<const VERSION: u8>;

impl<const VERSION: u8> TryFrom<String> for Words<VERSION> {
    type Error = &'static str;

    fn try_from(words: String) -> Result<Words<VERSION>, Self::Error> {
        let words = words.to_ascii_lowercase();
        let is_off = words.starts_with("ospf") && words.ends_with("instance is not running");
        if is_off { Ok(Words) } else { Err("words that do not say that OSPF is off") }
    }
}

impl<const VERSION: u8> Item<Ospf> for Words<VERSION> {
    fn points(self, ospf: &mut Ospf, _: &Scope, points: &mut Points) {
        let up = if VERSION == 3 { &OSPF3 } else { &OSPF };
        if ospf.only.is_none() {
            points.push(up, &[ospf.logical_systems.asked_by(points.rpc)], &false);
        }
    }
}
