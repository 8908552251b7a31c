//! Whether the other Routing Engine could take over: GRES, NSR and switchover.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, text};
use crate::xml::items::Scope;
use crate::xml::shapes::{OFF, ON, is, state_number};

#[derive(Default)]
pub struct Replication;

static TASK: Measurement<TaskReplication> = Measurement::new(|| Definition {
    name: "task_replication",
    help: "Stateful replication between Routing Engines.",
    tags: &[],
    fields: vec![
        gauge("gres_enabled", "", "1 if graceful switchover is enabled.", |r| {
            is(r.task_gres_state.as_deref(), ON, OFF)
        }),
        gauge("master", "", "1 on the master.", |r| {
            is(r.task_re_mode.as_deref(), &["Master"], &["Backup"])
        }),
        text("gres_state", "State of graceful switchover in words.", |r| {
            r.task_gres_state.as_deref()
        }),
        text("re_mode", "The Routing Engine's role in words.", |r| r.task_re_mode.as_deref()),
    ],
});

static PROTOCOL: Measurement<String> = Measurement::new(|| Definition {
    name: "task_replication_protocol",
    help: "Replication of a protocol's state.",
    tags: &["protocol"],
    fields: vec![
        text("state_name", "Its state in words.", |state| Some(state)),
        gauge("state", "", STATES, |state| state_number(Some(state), STATES)),
    ],
});

const STATES: &str = "Complete 1, InProgress 2, NotStarted 3, other 0.";

static SWITCHOVER: Measurement<Switchover> = Measurement::new(|| Definition {
    name: "switchover",
    help: "Whether the backup Routing Engine is ready to take over.",
    tags: &[],
    fields: vec![
        gauge("on", "", "1 if graceful switchover is on.", |s| {
            is(s.switchover_state.as_deref(), ON, OFF)
        }),
        gauge("configuration_ready", "", "1 if the configuration is in step.", |s| {
            Some(u64::from(s.configuration_state.as_ref()?.configuration_ready))
        }),
        gauge("replication_ready", "", "1 if the kernel's state is in step.", |s| {
            Some(u64::from(s.replication_state.as_ref()?.replication_ready))
        }),
        gauge("peer_connected", "", "1 if the master is connected.", |s| {
            Some(u64::from(s.peer_transition_state.as_ref()?.peer_connected))
        }),
        gauge("peer_in_steady_state", "", "1 if the master is in its steady state.", |s| {
            Some(u64::from(s.peer_transition_state.as_ref()?.peer_in_steady_state))
        }),
    ],
});

impl Collector for Replication {
    const NAME: &'static str = "replication";
    const HELP: &'static str =
        "Whether the other Routing Engine could take over: GRES, NSR and switchover.";
    const ADVICE: &'static str = "60s: it changes with the other Routing Engine only.";
    const QUERIES: &'static [Query<Replication>] = &[
        Query {
            rpc: Rpc::Once("<get-routing-task-replication-state/>"),
            command: "show task replication",
            roots: &["task-replication-state"],
            items: &[item::<_, TaskReplication>("task-replication-state")],
        },
        Query {
            rpc: Rpc::Once("<get-switchover-information/>"),
            command: "show system switchover",
            roots: &["switchover-information"],
            items: &[item::<_, Switchover>("switchover-information")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&TASK, &PROTOCOL, &SWITCHOVER];
}

/// Names and states of protocols are two lists side by side, or one element for each protocol.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct TaskReplication {
    task_gres_state: Option<String>,
    task_re_mode: Option<String>,
    task_protocol_replication: Vec<Protocol>,
    #[serde(rename = "task-protocol-replication-name")]
    names: Vec<String>,
    #[serde(rename = "task-protocol-replication-state")]
    states: Vec<String>,
}

#[derive(Deserialize)]
struct Protocol {
    #[serde(rename = "task-protocol-replication-name")]
    name: String,
    #[serde(rename = "task-protocol-replication-state")]
    state: String,
}

impl Item<Replication> for TaskReplication {
    fn points(self, _: &mut Replication, _: &Scope, points: &mut Points) {
        points.push(&TASK, &[], &self);
        for (name, state) in self.names.iter().zip(&self.states) {
            points.push(&PROTOCOL, &[name], state);
        }
        for protocol in &self.task_protocol_replication {
            points.push(&PROTOCOL, &[&protocol.name], &protocol.state);
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Switchover {
    switchover_state: Option<String>,
    configuration_state: Option<Ready>,
    replication_state: Option<Ready>,
    peer_transition_state: Option<Ready>,
}

/// Each of the states has some of these.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Ready {
    configuration_ready: bool,
    replication_ready: bool,
    peer_connected: bool,
    peer_in_steady_state: bool,
}

impl Item<Replication> for Switchover {
    fn points(self, _: &mut Replication, _: &Scope, points: &mut Points) {
        points.push(&SWITCHOVER, &[], &self);
    }
}
