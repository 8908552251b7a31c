//! RPKI: sessions with validators, and what validation of route origins came to.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, state_number};

#[derive(Default)]
pub struct Rpki;

static SESSION: Measurement<Session> = Measurement::new(|| Definition {
    name: "rpki_session",
    help: "A session with a validator.",
    tags: &["ip"],
    fields: vec![
        gauge(
            "state",
            "",
            "Down 0, Up 1, Connect 2, Ex-Start 3, Ex-Incr 4, Ex-Full 5, other 0.",
            |s| state_number(s.session_state.as_deref(), STATES),
        ),
        gauge("flap_count", "", "Times the session went down.", |s| s.session_flaps),
        gauge("ipv4_prefix_count", "", "IPv4 prefixes.", |s| s.ip_prefix_count),
        gauge("ipv6_prefix_count", "", "IPv6 prefixes.", |s| s.ip6_prefix_count),
    ],
});

const STATES: &[(&str, u64)] =
    &[("Up", 1), ("Connect", 2), ("Ex-Start", 3), ("Ex-Incr", 4), ("Ex-Full", 5)];

static STATISTICS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "rpki_statistics",
    help: "Validation of route origins.",
    tags: &[],
    fields: vec![
        gauge("memory", "bytes", "Memory in use.", |l| {
            l.quantity("rv-memory-utilization").map(|bytes| bytes as u64)
        }),
        gauge("origin_valid", "", "Origins that are valid.", |l| {
            l.integer("rv-policy-origin-validation-results-valid")
        }),
        gauge("origin_invalid", "", "Origins that are invalid.", |l| {
            l.integer("rv-policy-origin-validation-results-invalid")
        }),
        gauge("origin_unknown", "", "Origins that are unknown.", |l| {
            l.integer("rv-policy-origin-validation-results-unknown")
        }),
    ],
});

impl Collector for Rpki {
    const NAME: &'static str = "rpki";
    const HELP: &'static str =
        "RPKI: sessions with validators, and what validation of route origins came to.";
    const QUERIES: &'static [Query<Rpki>] = &[
        Query {
            rpc: Rpc::Once("<get-validation-session-information/>"),
            command: "show validation session",
            roots: &["rv-session-information"],
            items: &[item::<_, Session>("rv-session")],
        },
        Query {
            rpc: Rpc::Once("<get-validation-statistics-information/>"),
            command: "show validation statistics",
            roots: &["rv-statistics-information"],
            items: &[item::<_, Statistics>("rv-statistics")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&SESSION, &STATISTICS];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Session {
    ip_address: String,
    session_state: Option<String>,
    session_flaps: Option<u64>,
    ip_prefix_count: Option<u64>,
    ip6_prefix_count: Option<u64>,
}

impl Item<Rpki> for Session {
    fn points(self, _: &mut Rpki, _: &Scope, points: &mut Points) {
        points.push(&SESSION, &[&self.ip_address], &self);
    }
}

#[derive(Deserialize)]
struct Statistics(Leaves);

impl Item<Rpki> for Statistics {
    fn points(self, _: &mut Rpki, _: &Scope, points: &mut Points) {
        points.push(&STATISTICS, &[], &self.0);
    }
}
