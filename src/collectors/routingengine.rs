//! The Routing Engines: CPU, memory, temperature, load, uptime and mastership.

use serde::Deserialize;

use crate::base::changes::{Grade, Rule, Severity};
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{
    Definition, Load, Measurement, Points, Schema, counter, gauge, info, labelled, watched,
};
use crate::xml::items::Scope;
use crate::xml::shapes::{
    Celsius, Mebibytes, Quantity, STATUS, Seconds, known_state, state_number,
};

#[derive(Default)]
pub struct RoutingEngine;

const TAGS: &[&str] = &["re_name", "slot"];

static RESTART: Rule = Rule::restart("re-restart");
static MASTERSHIP: Rule =
    Rule { grade: Grade::Always(Severity::Warning), ..Rule::of("mastership") };

static ROUTE_ENGINE: Measurement<RouteEngine> = Measurement::new(|| Definition {
    name: "route_engine",
    help: "A Routing Engine.",
    tags: TAGS,
    fields: vec![
        gauge("temp", "°C", "Temperature.", |e| e.temperature?.celsius()),
        gauge("cpu_temp", "°C", "CPU temperature.", |e| e.cpu_temperature?.celsius()),
        gauge("memory_utilization_percent", "%", "Memory in use.", |e| {
            Some(e.memory_buffer_utilization?.0)
        }),
        gauge("cpu_user_percent", "%", "CPU, user, last 5 s.", |e| e.cpu_user),
        gauge("cpu_background_percent", "%", "CPU, background, 5 s.", |e| e.cpu_background),
        gauge("cpu_system_percent", "%", "CPU, kernel, last 5 s.", |e| e.cpu_system),
        gauge("cpu_interrupt_percent", "%", "CPU, interrupt, 5 s.", |e| e.cpu_interrupt),
        gauge("cpu_idle_percent", "%", "CPU, idle, last 5 s.", |e| e.cpu_idle),
        gauge("cpu_user1_percent", "%", "CPU, user, 1 min.", |e| e.cpu_user1),
        gauge("cpu_background1_percent", "%", "CPU, background, 1 min.", |e| e.cpu_background1),
        gauge("cpu_system1_percent", "%", "CPU, kernel, 1 min.", |e| e.cpu_system1),
        gauge("cpu_interrupt1_percent", "%", "CPU, interrupt, 1 min.", |e| e.cpu_interrupt1),
        gauge("cpu_idle1_percent", "%", "CPU, idle, 1 min.", |e| e.cpu_idle1),
        gauge("cpu_user2_percent", "%", "CPU, user, 5 min.", |e| e.cpu_user2),
        gauge("cpu_background2_percent", "%", "CPU, background, 5 min.", |e| e.cpu_background2),
        gauge("cpu_system2_percent", "%", "CPU, kernel, 5 min.", |e| e.cpu_system2),
        gauge("cpu_interrupt2_percent", "%", "CPU, interrupt, 5 min.", |e| e.cpu_interrupt2),
        gauge("cpu_idle2_percent", "%", "CPU, idle, 5 min.", |e| e.cpu_idle2),
        gauge("cpu_user3_percent", "%", "CPU, user, 15 min.", |e| e.cpu_user3),
        gauge("cpu_background3_percent", "%", "CPU, background, 15 min.", |e| e.cpu_background3),
        gauge("cpu_system3_percent", "%", "CPU, kernel, 15 min.", |e| e.cpu_system3),
        gauge("cpu_interrupt3_percent", "%", "CPU, interrupt, 15 min.", |e| e.cpu_interrupt3),
        gauge("cpu_idle3_percent", "%", "CPU, idle, 15 min.", |e| e.cpu_idle3),
        gauge("load_average_one", "", "Load average, 1 min.", |e| e.load_average_one),
        gauge("load_average_five", "", "Load average, 5 min.", |e| e.load_average_five),
        gauge("load_average_fifteen", "", "Load average, 15 min.", |e| e.load_average_fifteen),
        watched(
            &RESTART,
            counter("uptime_seconds", "s", "Time since it started.", |e| e.up_time?.seconds),
        ),
        gauge("status", "", STATUS, |e| state_number(e.status.as_deref(), STATUS)),
        gauge("memory_system_total_bytes", "bytes", "Memory.", |e| bytes(e.memory_system_total)),
        gauge("memory_system_total_used_bytes", "bytes", "Memory in use.", |e| {
            bytes(e.memory_system_total_used)
        }),
        gauge("memory_control_plane_bytes", "bytes", "Control plane memory.", |e| {
            bytes(e.memory_control_plane)
        }),
        gauge("memory_control_plane_used_bytes", "bytes", "Control plane memory in use.", |e| {
            bytes(e.memory_control_plane_used)
        }),
        gauge("memory_data_plane_bytes", "bytes", "Data plane memory.", |e| {
            bytes(e.memory_data_plane)
        }),
        gauge("memory_data_plane_used_bytes", "bytes", "Data plane memory in use.", |e| {
            bytes(e.memory_data_plane_used)
        }),
    ],
});

static MASTERSHIP_STATE: Measurement<RouteEngine> = Measurement::new(|| Definition {
    name: "route_engine_mastership",
    help: "Which Routing Engine is the master.",
    tags: TAGS,
    fields: vec![
        watched(
            &MASTERSHIP,
            labelled(
                "mastership",
                info("state_name", "master or backup.", |e| e.mastership_state.as_deref()),
            ),
        ),
        gauge("state", "", "1; the state is in the label.", |e| {
            e.mastership_state.as_ref().map(|_| 1)
        }),
    ],
});

static MASTERSHIP_PRIORITY: Measurement<RouteEngine> = Measurement::new(|| Definition {
    name: "route_engine_mastership",
    help: "Which Routing Engine is meant to be the master.",
    tags: TAGS,
    fields: vec![
        labelled(
            "mastership",
            info("priority_name", "As configured, or by default.", |e| {
                e.mastership_priority.as_deref()
            }),
        ),
        gauge("priority", "", "1; the priority is in the label.", |e| {
            e.mastership_priority.as_ref().map(|_| 1)
        }),
    ],
});

/// Junos reports memory in MiB.
fn bytes(mebibytes: Option<Mebibytes>) -> Option<u64> {
    let Mebibytes(mebibytes) = mebibytes.filter(|quantity| quantity.0 >= 0.0)?;
    Some((mebibytes * 1_048_576.0) as u64)
}

impl Collector for RoutingEngine {
    const NAME: &'static str = "routingengine";
    const HELP: &'static str =
        "The Routing Engines: CPU, memory, temperature, load, uptime and mastership.";
    const QUERIES: &'static [Query<RoutingEngine>] = &[Query {
        rpc: Rpc::Once("<get-route-engine-information/>"),
        command: "show chassis routing-engine",
        roots: &["route-engine-information"],
        items: &[item::<_, RouteEngine>("route-engine")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] =
        &[&ROUTE_ENGINE, &MASTERSHIP_STATE, &MASTERSHIP_PRIORITY];
}

/// Notes the load of the busiest engine, without a backup, which does not answer.
fn note_load(engine: &RouteEngine, load: &mut Option<Load>) {
    let state = engine.mastership_state.as_deref().unwrap_or_default();
    if known_state(state, &[("backup", 0), ("secondary", 0)]).is_some() {
        return;
    }
    let load = load.get_or_insert_default();
    // The mean of a minute where there is one: the last 5 s are also those of this poll.
    let idle = engine.cpu_idle1.or(engine.cpu_idle);
    let memory = engine.memory_buffer_utilization.as_ref().map_or(0.0, |quantity| quantity.0);
    load.cpu_percent = load.cpu_percent.max(idle.map_or(0.0, |idle| 100.0 - idle));
    load.memory_percent = load.memory_percent.max(memory);
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct RouteEngine {
    slot: String,
    status: Option<String>,
    mastership_state: Option<String>,
    mastership_priority: Option<String>,
    temperature: Option<Celsius>,
    cpu_temperature: Option<Celsius>,
    memory_system_total: Option<Mebibytes>,
    memory_system_total_used: Option<Mebibytes>,
    memory_control_plane: Option<Mebibytes>,
    memory_control_plane_used: Option<Mebibytes>,
    memory_data_plane: Option<Mebibytes>,
    memory_data_plane_used: Option<Mebibytes>,
    memory_buffer_utilization: Option<Quantity>,
    cpu_user: Option<f64>,
    cpu_background: Option<f64>,
    cpu_system: Option<f64>,
    cpu_interrupt: Option<f64>,
    cpu_idle: Option<f64>,
    cpu_user1: Option<f64>,
    cpu_background1: Option<f64>,
    cpu_system1: Option<f64>,
    cpu_interrupt1: Option<f64>,
    cpu_idle1: Option<f64>,
    cpu_user2: Option<f64>,
    cpu_background2: Option<f64>,
    cpu_system2: Option<f64>,
    cpu_interrupt2: Option<f64>,
    cpu_idle2: Option<f64>,
    cpu_user3: Option<f64>,
    cpu_background3: Option<f64>,
    cpu_system3: Option<f64>,
    cpu_interrupt3: Option<f64>,
    cpu_idle3: Option<f64>,
    up_time: Option<Seconds>,
    load_average_one: Option<f64>,
    load_average_five: Option<f64>,
    load_average_fifteen: Option<f64>,
}

impl Item<RoutingEngine> for RouteEngine {
    fn points(self, _: &mut RoutingEngine, scope: &Scope, points: &mut Points) {
        note_load(&self, &mut points.load);
        let slot = if self.slot.is_empty() { "N/A" } else { &self.slot };
        let tags = [scope.re_name(), slot];
        points.push(&ROUTE_ENGINE, &tags, &self);
        points.push(&MASTERSHIP_STATE, &tags, &self);
        points.push(&MASTERSHIP_PRIORITY, &tags, &self);
    }
}
