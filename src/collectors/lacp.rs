//! LACP: the links of aggregated Ethernet interfaces.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::state_number;

#[derive(Default)]
pub struct Lacp;

static LINK: Measurement<Protocol> = Measurement::new(|| Definition {
    name: "lacp",
    help: "A link of an aggregated Ethernet interface.",
    tags: &["aggregate", "name"],
    fields: vec![gauge(
        "muxstate",
        "",
        "Detached 1, Waiting 2, Attached 3, Collecting 4, Distributing 5, \
         Collecting distributing 6, other 0.",
        |p| state_number(p.lacp_mux_state.as_deref(), STATES),
    )],
});

const STATES: &[(&str, u64)] = &[
    ("Detached", 1),
    ("Waiting", 2),
    ("Attached", 3),
    ("Collecting", 4),
    ("Distributing", 5),
    ("Collecting distributing", 6),
];

impl Collector for Lacp {
    const NAME: &'static str = "lacp";
    const HELP: &'static str = "LACP: the links of aggregated Ethernet interfaces.";
    const QUERIES: &'static [Query<Lacp>] = &[Query {
        rpc: Rpc::Once("<get-lacp-interface-information/>"),
        command: "show lacp interfaces",
        roots: &["lacp-interface-information-list"],
        items: &[item::<_, Aggregate>("lacp-interface-information")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&LINK];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Aggregate {
    lag_lacp_header: Header,
    #[serde(default)]
    lag_lacp_protocol: Vec<Protocol>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Header {
    aggregate_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Protocol {
    name: String,
    lacp_mux_state: Option<String>,
}

impl Item<Lacp> for Aggregate {
    fn points(self, _: &mut Lacp, _: &Scope, points: &mut Points) {
        for link in &self.lag_lacp_protocol {
            points.push(&LINK, &[&self.lag_lacp_header.aggregate_name, &link.name], link);
        }
    }
}
