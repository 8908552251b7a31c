//! Entries of the IPv6 neighbour cache, by interface.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::distinct::Distinct;
use crate::collector::outcome::Answered;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::is_word;

#[derive(Default)]
pub struct Ipv6Neighbors {
    /// By Routing Engine and interface.
    neighbors: BTreeMap<(String, String), Neighbors>,
    met: Distinct,
}

#[derive(Default)]
struct Neighbors {
    entries: u64,
    incomplete: u64,
    routers: u64,
}

static NEIGHBORS: Measurement<Neighbors> = Measurement::new(|| Definition {
    name: "ipv6_neighbors",
    help: "The IPv6 neighbours of an interface.",
    tags: &["interface"],
    fields: vec![
        gauge("entries", "", "Neighbours.", |n| Some(n.entries)),
        gauge("incomplete_entries", "", "Neighbours that have not answered.", |n| {
            Some(n.incomplete)
        }),
        gauge("router_entries", "", "Neighbours that are routers.", |n| Some(n.routers)),
    ],
});

impl Collector for Ipv6Neighbors {
    const NAME: &'static str = "ipv6neighbors";
    const HELP: &'static str = "IPv6 neighbours (neighbour discovery), by interface.";
    const ADVICE: &'static str = "300s: the reply has each neighbour.";
    const QUERIES: &'static [Query<Ipv6Neighbors>] = &[Query {
        rpc: Rpc::Once("<get-ipv6-nd-information/>"),
        command: "show ipv6 neighbors",
        roots: &["ipv6-nd-information"],
        items: &[item::<_, Neighbor>("ipv6-nd-entry")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&NEIGHBORS];

    fn finish(&mut self, _: Answered, points: &mut Points) {
        for ((re_name, interface), neighbors) in &self.neighbors {
            points.set_re_name(re_name);
            points.push(&NEIGHBORS, &[interface], neighbors);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Neighbor {
    ipv6_nd_interface_name: String,
    #[serde(default)]
    ipv6_nd_neighbor_address: String,
    #[serde(default)]
    ipv6_nd_state: String,
    #[serde(default)]
    ipv6_nd_isrouter: String,
}

impl Item<Ipv6Neighbors> for Neighbor {
    fn points(self, collector: &mut Ipv6Neighbors, scope: &Scope, _: &mut Points) {
        let re_name = scope.get("re-name").unwrap_or_default().to_string();
        let of = format!("{re_name} {}", self.ipv6_nd_interface_name);
        if collector.met.is_new(&of, &[&self.ipv6_nd_neighbor_address]) {
            let of = (re_name, self.ipv6_nd_interface_name);
            let neighbors = collector.neighbors.entry(of).or_default();
            neighbors.entries += 1;
            neighbors.incomplete += u64::from(is_word(&self.ipv6_nd_state, "incomplete"));
            neighbors.routers += u64::from(is_word(&self.ipv6_nd_isrouter, "yes"));
        }
    }
}
