//! Interfaces of a chassis cluster: its links, redundant interfaces, and what it monitors.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::{DOWN, Leaves, UP, is};

#[derive(Default)]
pub struct ClusterInterfaces;

static LINK: Measurement<String> = Measurement::new(|| Definition {
    name: "chassis_cluster_link",
    help: "The control link or the fabric link between the nodes.",
    tags: &["link"],
    fields: vec![gauge("up", "", "1 if the link is up.", |status| is(Some(status), UP, DOWN))],
});

static CONTROL: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "chassis_cluster_interface",
    help: "An interface of the control link.",
    tags: TAGS,
    fields: vec![gauge("up", "", UP_HELP, |l| {
        is(l.text("control-link-interface-status"), UP, DOWN)
    })],
});

static FABRIC: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "chassis_cluster_interface",
    help: "A child interface of the fabric link.",
    tags: TAGS,
    fields: vec![
        gauge("up", "", UP_HELP, |l| is(Some(fabric_status(l)?.0), UP, DOWN)),
        gauge("monitored_up", "", "1 if the cluster's probes get through.", |l| {
            is(Some(fabric_status(l)?.1?), UP, DOWN)
        }),
    ],
});

static RETH: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "chassis_cluster_interface",
    help: "A redundant Ethernet interface.",
    tags: TAGS,
    fields: vec![gauge("up", "", UP_HELP, |l| is(l.text("reth-status"), UP, DOWN))],
});

static OTHER: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "chassis_cluster_interface",
    help: "A redundant pseudointerface, or an interface that a redundancy group monitors.",
    tags: TAGS,
    fields: vec![
        gauge("up", "", UP_HELP, |l| is(l.text("status"), UP, DOWN)),
        gauge("weight", "", "What its loss costs the redundancy group.", |l| l.integer("weight")),
    ],
});

const TAGS: &[&str] = &["kind", "name", "redundancy_group"];
const UP_HELP: &str = "1 if the interface is up.";

/// `Up   / Down`: the status of the port, and of the probes through it, which some releases leave
/// out.
fn fabric_status(leaves: &Leaves) -> Option<(&str, Option<&str>)> {
    let status = leaves.text("fabric-child-interface-status")?;
    Some(match status.split_once('/') {
        Some((physical, monitored)) => (physical.trim(), Some(monitored.trim())),
        None => (status, None),
    })
}

impl Collector for ClusterInterfaces {
    const NAME: &'static str = "clusterinterfaces";
    const HELP: &'static str =
        "Interfaces of a chassis cluster: its links, redundant interfaces, and what it monitors.";
    const QUERIES: &'static [Query<ClusterInterfaces>] = &[Query {
        rpc: Rpc::Once("<get-chassis-cluster-interfaces/>"),
        command: "show chassis cluster interfaces",
        roots: &["chassis-cluster-interface-statistics"],
        items: &[item::<_, Interfaces>("chassis-cluster-interface-statistics")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&LINK, &CONTROL, &FABRIC, &RETH, &OTHER];
}

/// The records of the lists stand one after the other, without an element around each.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Interfaces {
    control_interface_status: String,
    dataplane_interface_status: String,
    control_link_interfaces: Leaves,
    dataplane_interfaces: Leaves,
    reth: Leaves,
    pseudo_if: Leaves,
    interface_monitoring: Leaves,
}

impl Item<ClusterInterfaces> for Interfaces {
    fn points(self, _: &mut ClusterInterfaces, _: &Scope, points: &mut Points) {
        let links = [
            ("control", self.control_interface_status),
            ("fabric", self.dataplane_interface_status),
        ];
        for (link, status) in links.iter().filter(|(_, status)| !status.is_empty()) {
            points.push(&LINK, &[link], status);
        }
        for (kind, list, name, group, measurement) in [
            ("control", self.control_link_interfaces, "control-link-interface-name", "", &CONTROL),
            ("fabric", self.dataplane_interfaces, "fabric-child-interface-name", "", &FABRIC),
            ("reth", self.reth, "reth-name", "redundancy-group-id-for-reth", &RETH),
            ("pseudo", self.pseudo_if, "name", "redundancy-group-id", &OTHER),
            (
                "monitored",
                self.interface_monitoring,
                "interface-name-for-monitoring",
                "redundancy-group-for-interface",
                &OTHER,
            ),
        ] {
            for record in list.records(name) {
                let text = |element| record.text(element).unwrap_or_default();
                points.push(measurement, &[kind, text(name), text(group)], &record);
            }
        }
    }
}
