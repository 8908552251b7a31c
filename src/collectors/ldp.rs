//! LDP sessions and neighbours.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::is;

#[derive(Default)]
pub struct Ldp;

/// RFC 5036 section 2.5.4, and Junos's words for no session.
const NOT_OPERATIONAL: &[&str] = &[
    "Nonexistent",
    "Non existent",
    "Connecting",
    "Initialized",
    "OpenSent",
    "OpenRec",
    "Opening",
    "Closing",
    "Closed",
    "Down",
];

static SESSION: Measurement<Session> = Measurement::new(|| Definition {
    name: "ldp_session",
    help: "An LDP session.",
    tags: &["neighbor"],
    fields: vec![gauge("state", "", "1 if it is operational.", |s| {
        is(s.ldp_session_state.as_deref(), &["Operational"], NOT_OPERATIONAL)
    })],
});

static SESSIONS: Measurement<Sessions> = Measurement::new(|| Definition {
    name: "ldp",
    help: "LDP sessions of the router.",
    tags: &[],
    fields: vec![gauge("session_count", "", "Sessions.", |s| Some(s.ldp_session.len() as u64))],
});

static NEIGHBORS: Measurement<Neighbors> = Measurement::new(|| Definition {
    name: "ldp",
    help: "LDP neighbours of the router.",
    tags: &[],
    fields: vec![gauge("neighbor_count", "", "Neighbours.", |n| Some(n.ldp_neighbor.len() as u64))],
});

impl Collector for Ldp {
    const NAME: &'static str = "ldp";
    const HELP: &'static str = "LDP sessions and neighbours.";
    const QUERIES: &'static [Query<Ldp>] = &[
        Query {
            rpc: Rpc::Once("<get-ldp-session-information/>"),
            command: "show ldp session",
            roots: &["ldp-session-information"],
            items: &[item::<_, Sessions>("ldp-session-information")],
        },
        Query {
            rpc: Rpc::Once("<get-ldp-neighbor-information/>"),
            command: "show ldp neighbor",
            roots: &["ldp-neighbor-information"],
            items: &[item::<_, Neighbors>("ldp-neighbor-information")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&SESSION, &SESSIONS, &NEIGHBORS];
}

/// The whole reply, so that one without sessions counts too.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Sessions {
    ldp_session: Vec<Session>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Session {
    ldp_neighbor_address: String,
    ldp_session_state: Option<String>,
}

impl Item<Ldp> for Sessions {
    fn points(self, _: &mut Ldp, _: &Scope, points: &mut Points) {
        for session in &self.ldp_session {
            points.push(&SESSION, &[&session.ldp_neighbor_address], session);
        }
        points.push(&SESSIONS, &[], &self);
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Neighbors {
    ldp_neighbor: Vec<Neighbor>,
}

#[derive(Deserialize)]
struct Neighbor {}

impl Item<Ldp> for Neighbors {
    fn points(self, _: &mut Ldp, _: &Scope, points: &mut Points) {
        points.push(&NEIGHBORS, &[], &self);
    }
}
