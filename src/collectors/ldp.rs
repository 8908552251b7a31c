//! LDP sessions and neighbours.

use serde::Deserialize;

use crate::base::changes::Rule;
use crate::collector::distinct::Distinct;
use crate::collector::only::{self, Only};
use crate::collector::outcome::Answered;
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, watched};
use crate::xml::items::Scope;
use crate::xml::misfits;
use crate::xml::shapes::{Leaves, is};

settings! {
    pub struct LdpSettings {
        /// A pattern: only sessions whose neighbour's address matches are collected, and they are
        /// not counted. The router is asked for no more where it is up to eight addresses between
        /// `^` and `$`, with `\.` for a dot.
        only: Option<Only>,
    }
}

#[derive(Default)]
pub struct Ldp {
    only: Option<Only>,
    /// Of sessions and of neighbours: those that are counted.
    met: [Distinct; 2],
    counts: [u64; 2],
}

impl Ldp {
    pub fn new(settings: LdpSettings) -> Ldp {
        Ldp { only: settings.only, ..Ldp::default() }
    }

    fn count(&mut self, query: usize, names: [&str; 2], scope: &Scope) {
        let is_new = self.met[query].is_new(scope.get("re-name").unwrap_or_default(), &names);
        self.counts[query] += u64::from(is_new);
    }
}

static STATE: Rule = Rule::session("ldp-session");

static SESSION: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "ldp_session",
    help: "An LDP session.",
    tags: &["neighbor"],
    fields: vec![watched(
        &STATE,
        gauge("state", "", "1 if it is operational.", |session| {
            is(session.text("ldp-session-state"), &["Operational"], NOT_OPERATIONAL)
        }),
    )],
});

const NOT_OPERATIONAL: &[&str] = &[
    "Nonexistent",
    "Connecting",
    "Initialized",
    "OpenSent",
    "OpenRec",
    "Opening",
    "Closing",
    "Closed",
    "Down",
];

static COUNTS: Measurement<[Option<u64>; 2]> = Measurement::new(|| Definition {
    name: "ldp",
    help: "LDP sessions and neighbours of the router.",
    tags: &[],
    fields: vec![
        gauge("session_count", "", "Sessions.", |counts| counts[SESSIONS]),
        gauge("neighbor_count", "", "Neighbours.", |counts| counts[NEIGHBORS]),
    ],
});

/// The queries.
const SESSIONS: usize = 0;
const NEIGHBORS: usize = 1;

impl Collector for Ldp {
    const NAME: &'static str = "ldp";
    const HELP: &'static str = "LDP sessions and neighbours.";
    const QUERIES: &'static [Query<Ldp>] = &[
        Query {
            rpc: Rpc::Each("<get-ldp-session-information/>", |ldp| {
                only::name_rpcs(&ldp.only, "get-ldp-session-information", "", "destination")
            }),
            command: "show ldp session",
            roots: &["ldp-session-information"],
            items: &[item::<_, Session>("ldp-session")],
        },
        Query {
            rpc: Rpc::Once("<get-ldp-neighbor-information/>"),
            command: "show ldp neighbor",
            roots: &["ldp-neighbor-information"],
            items: &[item::<_, Neighbor>("ldp-neighbor")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&SESSION, &COUNTS];

    fn finish(&mut self, answered: Answered, points: &mut Points) {
        let count = |query| answered.has(query).then_some(self.counts[query]);
        let sessions = count(SESSIONS).filter(|_| self.only.is_none());
        points.push(&COUNTS, &[], &[sessions, count(NEIGHBORS)]);
    }
}

#[derive(Deserialize)]
struct Session(Leaves);

impl Item<Ldp> for Session {
    fn points(self, ldp: &mut Ldp, scope: &Scope, points: &mut Points) {
        let address = self.0.text("ldp-neighbor-address").unwrap_or_default();
        if ldp.only.as_ref().is_some_and(|only| !only.is_match(address)) {
            return;
        }
        ldp.count(SESSIONS, [address, ""], scope);
        match address {
            "" => misfits::count(|| "ldp-session: missing field `ldp-neighbor-address`".into()),
            _ => _ = points.push(&SESSION, &[address], &self.0),
        }
    }
}

#[derive(Deserialize)]
struct Neighbor(Leaves);

impl Item<Ldp> for Neighbor {
    fn points(self, ldp: &mut Ldp, scope: &Scope, _: &mut Points) {
        let [address, interface] =
            ["ldp-neighbor-address", "interface-name"].map(|name| self.0.text(name));
        ldp.count(NEIGHBORS, [address, interface].map(Option::unwrap_or_default), scope);
    }
}
