//! Layer 2 circuits.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::collector::only::{self, Only};
use crate::collector::outcome::Answered;
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::state_number;

settings! {
    pub struct L2circuitSettings {
        /// A pattern: only circuits whose neighbour's address matches are collected, and they are
        /// not counted. The router is asked for no more where it is up to eight addresses between
        /// `^` and `$`, with `\.` for a dot.
        only: Option<Only>,
    }
}

pub struct L2circuit {
    only: Option<Only>,
    /// Address and virtual circuit of every circuit, by Routing Engine.
    circuits: BTreeMap<String, BTreeSet<(String, String)>>,
}

const TAGS: &[&str] = &["address", "vcid"];

static STATUS: Measurement<Connection> = Measurement::new(|| Definition {
    name: "l2circuit_connection",
    help: "A layer 2 circuit.",
    tags: TAGS,
    fields: vec![gauge("status", "", STATES, |c| {
        state_number(c.connection_status.as_deref(), STATES)
    })],
});

static COUNT: Measurement<u64> = Measurement::new(|| Definition {
    name: "l2circuit_connection",
    help: "A layer 2 circuit.",
    tags: TAGS,
    fields: vec![gauge("count", "", "How many circuits the router has.", |count| Some(*count))],
});

const STATES: &str = "EI 0, MM 1, EM 2, CM 3, VM 4, OL 5, NC 6, BK 7, CB 8, LD 9, RD 10, XX 11, \
                      NP 12, Dn 13, VC-Dn 14, Up 15, CF 16, IB 17, TM 18, ST 19, SP 20, RS 21, \
                      HS 22, other 0.";

impl L2circuit {
    pub fn new(settings: L2circuitSettings) -> L2circuit {
        L2circuit { only: settings.only, circuits: BTreeMap::new() }
    }
}

impl Collector for L2circuit {
    const NAME: &'static str = "l2circuit";
    const HELP: &'static str = "Layer 2 circuits.";
    const ADVICE: &'static str = "60s: the reply has each circuit.";
    const QUERIES: &'static [Query<L2circuit>] = &[Query {
        rpc: Rpc::Each(
            "<get-l2ckt-connection-information><brief/></get-l2ckt-connection-information>",
            |l2circuit| {
                let name = "get-l2ckt-connection-information";
                only::name_rpcs(&l2circuit.only, name, "<brief/>", "neighbor")
            },
        ),
        command: "show l2circuit connections brief",
        roots: &["l2circuit-connection-information"],
        items: &[item::<_, Neighbor>("l2circuit-neighbor")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&STATUS, &COUNT];

    fn finish(&mut self, _: Answered, points: &mut Points) {
        for (re_name, circuits) in &self.circuits {
            points.set_re_name(re_name);
            for (address, vcid) in circuits {
                points.push(&COUNT, &[address, vcid], &(circuits.len() as u64));
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Neighbor {
    #[serde(default)]
    neighbor_address: String,
    #[serde(default)]
    connection: Vec<Connection>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Connection {
    connection_id: String,
    connection_status: Option<String>,
}

impl Connection {
    /// The number in `ge-0/0/0.600(vc 600)`, or else the whole name.
    fn vcid(&self) -> &str {
        let vc = self.connection_id.rsplit_once("(vc ").and_then(|(_, rest)| rest.split_once(')'));
        vc.map_or(&self.connection_id, |(number, _)| number)
    }
}

impl Item<L2circuit> for Neighbor {
    fn points(self, l2circuit: &mut L2circuit, scope: &Scope, points: &mut Points) {
        if l2circuit.only.as_ref().is_some_and(|only| !only.is_match(&self.neighbor_address)) {
            return;
        }
        let re_name = scope.get("re-name").unwrap_or_default().to_string();
        let circuits = l2circuit.circuits.entry(re_name).or_default();
        for connection in &self.connection {
            let vcid = connection.vcid();
            points.push(&STATUS, &[&self.neighbor_address, vcid], connection);
            if l2circuit.only.is_none() {
                circuits.insert((self.neighbor_address.clone(), vcid.to_string()));
            }
        }
    }
}
