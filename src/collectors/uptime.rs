//! Since when the system, its protocols and its configuration are as they are, and why the
//! Routing Engines were last started.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info, text};
use crate::xml::items::Scope;
use crate::xml::shapes::Seconds;

#[derive(Default)]
pub struct Uptime;

static UPTIME: Measurement<SystemUptime> = Measurement::new(|| Definition {
    name: "system_uptime",
    help: "Times of the system; points in time are seconds since 1970.",
    tags: &[],
    fields: vec![
        gauge("current_time", "s", "The router's clock.", |u| u.current_time.date_time?.seconds),
        gauge("system_booted_time", "s", "When it was started.", |u| {
            u.system_booted_time.date_time?.seconds
        }),
        gauge("protocols_started_time", "s", "When its protocols were started.", |u| {
            u.protocols_started_time.date_time?.seconds
        }),
        gauge("last_configured_time", "s", "When it was last configured.", |u| {
            u.last_configured_time.date_time?.seconds
        }),
        gauge("up_time", "s", "Time since it was started.", |u| {
            let booted = u.system_booted_time.time_length.and_then(|length| length.seconds);
            u.uptime_information.up_time.and_then(|up_time| up_time.seconds).or(booted)
        }),
        text("time_source", "What sets its clock.", |u| Some(&u.time_source)),
        text("last_configured_user", "Who configured it.", |u| Some(&u.last_configured_time.user)),
    ],
});

static ROUTE_ENGINE: Measurement<RouteEngine> = Measurement::new(|| Definition {
    name: "system_uptime_route_engine",
    help: "The last start of a Routing Engine.",
    tags: &["slot"],
    fields: vec![
        info("last_reboot_reason", "Why it was started.", |e| Some(&e.last_reboot_reason)),
        gauge("start_time", "s", "When it was started, since 1970.", |e| e.start_time?.seconds),
    ],
});

impl Collector for Uptime {
    const NAME: &'static str = "uptime";
    const HELP: &'static str =
        "Uptime of the system and its protocols, the last commit, the last reboot and its reason.";
    const ADVICE: &'static str = "300s: it says the same until the next start.";
    const QUERIES: &'static [Query<Uptime>] = &[
        Query {
            rpc: Rpc::Once("<get-system-uptime-information/>"),
            command: "show system uptime",
            roots: &["system-uptime-information"],
            items: &[item::<_, SystemUptime>("system-uptime-information")],
        },
        Query {
            rpc: Rpc::Once("<get-route-engine-information/>"),
            command: "show chassis routing-engine",
            roots: &["route-engine-information"],
            items: &[item::<_, RouteEngine>("route-engine")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&UPTIME, &ROUTE_ENGINE];
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct SystemUptime {
    current_time: Moment,
    time_source: String,
    system_booted_time: Moment,
    protocols_started_time: Moment,
    last_configured_time: Moment,
    uptime_information: UptimeInformation,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Moment {
    date_time: Option<Seconds>,
    time_length: Option<Seconds>,
    user: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct UptimeInformation {
    up_time: Option<Seconds>,
}

impl Item<Uptime> for SystemUptime {
    fn points(self, _: &mut Uptime, _: &Scope, points: &mut Points) {
        points.push(&UPTIME, &[], &self);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RouteEngine {
    #[serde(default)]
    slot: String,
    #[serde(default)]
    last_reboot_reason: String,
    start_time: Option<Seconds>,
}

impl Item<Uptime> for RouteEngine {
    fn points(self, _: &mut Uptime, _: &Scope, points: &mut Points) {
        points.push(&ROUTE_ENGINE, &[&self.slot], &self);
    }
}
