//! PIM: interfaces and neighbours.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info, text};
use crate::xml::items::Scope;
use crate::xml::shapes::{DOWN, Seconds, UP, is};

#[derive(Default)]
pub struct Pim;

const TAGS: &[&str] = &["instance", "interface", "ip_protocol_version"];

static INTERFACE: Measurement<Interface> = Measurement::new(|| Definition {
    name: "pim_interface",
    help: "An interface that PIM runs on.",
    tags: TAGS,
    fields: vec![
        info("mode", "Sparse, Dense, ….", |i| Some(&i.pim_interface_mode)),
        gauge("up", "", "1 if it is up.", |i| is(i.status.as_deref(), UP, DOWN)),
        gauge("neighbors", "", "Neighbours.", |i| i.neighbor_count),
        gauge("sg_joins", "", "(S,G) joins.", |i| i.interface_join_sg_count),
        gauge("tsg_joins", "", "(*,G) joins.", |i| i.interface_join_tsg_count),
        text("designated_router", "Address of the designated router.", |i| {
            i.designated_router_address.as_deref()
        }),
    ],
});

static NEIGHBOR: Measurement<Neighbor> = Measurement::new(|| Definition {
    name: "pim_neighbor",
    help: "A PIM neighbour.",
    tags: &["instance", "interface", "neighbor"],
    fields: vec![gauge("up_time", "s", "Time since it came up.", |n| {
        n.pim_neighbor_uptime?.seconds
    })],
});

impl Collector for Pim {
    const NAME: &'static str = "pim";
    const HELP: &'static str = "PIM: interfaces and neighbours.";
    const QUERIES: &'static [Query<Pim>] = &[
        Query {
            rpc: Rpc::Once("<get-pim-interfaces-information/>"),
            command: "show pim interfaces",
            roots: &["pim-interfaces-information"],
            items: &[item::<_, Interface>("pim-interface")],
        },
        Query {
            rpc: Rpc::Once("<get-pim-neighbors-information/>"),
            command: "show pim neighbors",
            roots: &["pim-neighbors-information"],
            items: &[item::<_, Neighbor>("pim-neighbor")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&INTERFACE, &NEIGHBOR];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Interface {
    pim_interface_name: String,
    #[serde(default)]
    ip_protocol_version: String,
    status: Option<String>,
    #[serde(default)]
    pim_interface_mode: String,
    neighbor_count: Option<u64>,
    interface_join_sg_count: Option<u64>,
    interface_join_tsg_count: Option<u64>,
    designated_router_address: Option<String>,
}

/// `PIM.master` is the instance master.
fn instance(scope: &Scope) -> &str {
    scope.get("pim-instance").unwrap_or_default().trim_start_matches("PIM.")
}

impl Item<Pim> for Interface {
    fn points(self, _: &mut Pim, scope: &Scope, points: &mut Points) {
        let tags = [instance(scope), &self.pim_interface_name, &self.ip_protocol_version];
        points.push(&INTERFACE, &tags, &self);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Neighbor {
    pim_interface_name: Option<String>,
    pim_neighbor_address: String,
    pim_neighbor_uptime: Option<Seconds>,
}

impl Item<Pim> for Neighbor {
    fn points(self, _: &mut Pim, scope: &Scope, points: &mut Points) {
        let around = || scope.get("pim-interface-name");
        let interface = self.pim_interface_name.as_deref().or_else(around).unwrap_or_default();
        points.push(&NEIGHBOR, &[instance(scope), interface, &self.pim_neighbor_address], &self);
    }
}
