//! RSVP: sessions, neighbours and interfaces.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::changes::Rule;
use crate::collector::distinct::Distinct;
use crate::collector::only::{self, Only};
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, counter, gauge, watched};
use crate::xml::items::Scope;
use crate::xml::shapes::{BitRate, DOWN, Seconds, UP, is};

settings! {
    pub struct Rsvp {
        /// A pattern: only sessions whose name matches are collected, and they are not counted;
        /// neighbours and interfaces are collected all the same. The router is asked for no more
        /// sessions where it is up to eight names between `^` and `$`, with `\.` for a dot.
        only: Option<Only>,
    }
}

static SESSIONS: Measurement<SessionData> = Measurement::new(|| Definition {
    name: "rsvp_sessions",
    help: "RSVP sessions that begin, end or pass here.",
    tags: &["session_type"],
    fields: vec![
        gauge("all", "", "Sessions.", |d| d.count),
        gauge("up", "", "Sessions that are up.", |d| d.up_count),
        gauge("down", "", "Sessions that are down.", |d| d.down_count),
    ],
});

static SESSION: Measurement<Lsp> = Measurement::new(|| Definition {
    name: "rsvp_session",
    help: "The RSVP sessions of a label-switched path: two while one replaces the other.",
    tags: &["session_type", "name", "source_address", "destination_address"],
    fields: vec![
        gauge("all", "", "Sessions.", |lsp| Some(lsp.count)),
        gauge("up", "", "Sessions that are up.", |lsp| lsp.up),
    ],
});

static UP_OR_DOWN: Rule =
    Rule { ago: "last_changed_time", flaps: "downs_total", ..Rule::up_down("rsvp-neighbor") };
static INTERFACE_UP: Rule = Rule::up_down("rsvp-interface");

static NEIGHBOR: Measurement<Neighbor> = Measurement::new(|| Definition {
    name: "rsvp_neighbor",
    help: "An RSVP neighbour.",
    tags: &["neighbor"],
    fields: vec![
        watched(
            &UP_OR_DOWN,
            gauge("up", "", "1 if it has come up more often than gone down.", |n| {
                Some(u64::from(n.neighbor_up_count? > n.neighbor_down_count?))
            }),
        ),
        counter("ups_total", "", "Times it came up.", |n| n.neighbor_up_count),
        counter("downs_total", "", "Times it went down.", |n| n.neighbor_down_count),
        gauge("last_changed_time", "s", "Time since it came up or went down.", |n| {
            n.last_changed_time?.seconds
        }),
        gauge("hello_interval", "s", "Interval of hellos.", |n| n.hello_interval),
        counter("hellos_sent_total", "", "Hellos sent.", |n| n.hellos_sent),
        counter("hellos_received_total", "", "Hellos received.", |n| n.hellos_received),
        counter("messages_received_total", "", "Messages received.", |n| n.messages_received),
    ],
});

static INTERFACE: Measurement<Interface> = Measurement::new(|| Definition {
    name: "rsvp_interface",
    help: "An interface that RSVP runs on.",
    tags: &["interface"],
    fields: vec![watched(
        &INTERFACE_UP,
        gauge("up", "", "1 if it is up.", |i| is(i.rsvp_status.as_deref(), UP, DOWN)),
    )],
});

static BANDWIDTH: Measurement<TeLink> = Measurement::new(|| Definition {
    name: "rsvp_interface",
    help: "What RSVP has reserved on an interface.",
    tags: &["interface"],
    fields: vec![
        gauge("active_reservation", "", "Reservations.", |t| t.active_reservation),
        gauge("subscription", "%", "Part of the bandwidth that may be reserved.", |t| {
            t.subscription
        }),
        gauge("static_bandwidth", "bit/s", "Bandwidth.", |t| Some(t.static_bandwidth?.0)),
        gauge("available_bandwidth", "bit/s", "Bandwidth left.", |t| {
            Some(t.available_bandwidth?.0)
        }),
        gauge("total_reserved_bandwidth", "bit/s", "Bandwidth reserved.", |t| {
            Some(t.total_reserved_bandwidth?.0)
        }),
        gauge("high_watermark", "bit/s", "Most that was ever reserved.", |t| {
            Some(t.high_watermark?.0)
        }),
    ],
});

impl Collector for Rsvp {
    const NAME: &'static str = "rsvp";
    const HELP: &'static str = "RSVP: sessions, neighbours and interfaces.";
    const QUERIES: &'static [Query<Rsvp>] = &[
        Query {
            rpc: Rpc::Each("<get-rsvp-session-information/>", |rsvp| {
                only::name_rpcs(&rsvp.only, "get-rsvp-session-information", "", "session-name")
            }),
            command: "show rsvp session",
            roots: &["rsvp-session-information"],
            items: &[item::<_, SessionData>("rsvp-session-data")],
        },
        Query {
            rpc: Rpc::Once("<get-rsvp-neighbor-information/>"),
            command: "show rsvp neighbor",
            roots: &["rsvp-neighbor-information"],
            items: &[item::<_, Neighbor>("rsvp-neighbor")],
        },
        Query {
            rpc: Rpc::Once("<get-rsvp-interface-information/>"),
            command: "show rsvp interface",
            roots: &["rsvp-interface-information"],
            items: &[item::<_, Interface>("rsvp-interface")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] =
        &[&SESSIONS, &SESSION, &NEIGHBOR, &INTERFACE, &BANDWIDTH];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SessionData {
    session_type: String,
    count: Option<u64>,
    up_count: Option<u64>,
    down_count: Option<u64>,
    #[serde(default)]
    rsvp_session: Vec<Session>,
}

#[derive(Deserialize, Hash)]
#[serde(rename_all = "kebab-case")]
struct Session {
    name: String,
    #[serde(default)]
    source_address: String,
    #[serde(default)]
    destination_address: String,
    lsp_state: Option<String>,
    /// What tells one from the session that replaces it.
    label_in: Option<String>,
    label_out: Option<String>,
}

struct Lsp {
    count: u64,
    /// Unknown if the state of one of the sessions is unknown.
    up: Option<u64>,
}

impl Item<Rsvp> for SessionData {
    fn points(self, rsvp: &mut Rsvp, _: &Scope, points: &mut Points) {
        let ty = &*self.session_type;
        if rsvp.only.is_none() {
            points.push(&SESSIONS, &[ty], &self);
        }
        let mut lsps: BTreeMap<[&str; 4], Lsp> = BTreeMap::new();
        let is_wanted =
            |session: &&Session| rsvp.only.as_ref().is_none_or(|only| only.is_match(&session.name));
        let mut met = Distinct::default();
        let wanted = self.rsvp_session.iter().filter(is_wanted);
        for session in wanted.filter(|session| met.is_new_record("", session)) {
            let tags = [ty, &session.name, &session.source_address, &session.destination_address];
            let lsp = lsps.entry(tags).or_insert(Lsp { count: 0, up: Some(0) });
            lsp.count += 1;
            let up = is(session.lsp_state.as_deref(), UP, DOWN);
            lsp.up = lsp.up.zip(up).map(|(before, up)| before + up);
        }
        for (tags, lsp) in &lsps {
            points.push(&SESSION, tags, lsp);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Neighbor {
    rsvp_neighbor_address: String,
    neighbor_up_count: Option<u64>,
    neighbor_down_count: Option<u64>,
    last_changed_time: Option<Seconds>,
    hello_interval: Option<u64>,
    hellos_sent: Option<u64>,
    hellos_received: Option<u64>,
    messages_received: Option<u64>,
}

impl Item<Rsvp> for Neighbor {
    fn points(self, _: &mut Rsvp, _: &Scope, points: &mut Points) {
        points.push(&NEIGHBOR, &[&self.rsvp_neighbor_address], &self);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Interface {
    interface_name: String,
    rsvp_status: Option<String>,
    rsvp_telink: Option<TeLink>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct TeLink {
    active_reservation: Option<u64>,
    subscription: Option<f64>,
    static_bandwidth: Option<BitRate>,
    available_bandwidth: Option<BitRate>,
    total_reserved_bandwidth: Option<BitRate>,
    high_watermark: Option<BitRate>,
}

impl Item<Rsvp> for Interface {
    fn points(self, _: &mut Rsvp, _: &Scope, points: &mut Points) {
        points.push(&INTERFACE, &[&self.interface_name], &self);
        if let Some(link) = &self.rsvp_telink {
            points.push(&BANDWIDTH, &[&self.interface_name], link);
        }
    }
}
