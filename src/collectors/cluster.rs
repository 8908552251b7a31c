//! Chassis cluster: the nodes' roles in each redundancy group, and failovers.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, counter, gauge, info, labelled};
use crate::xml::items::Scope;
use crate::xml::shapes::{Flat, Leaves, state_number};

#[derive(Default)]
pub struct Cluster;

const NODE_TAGS: &[&str] = &["cluster_id", "redundancy_group", "node"];

static STATUS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "chassis_cluster_node",
    help: "A node's role in a redundancy group.",
    tags: NODE_TAGS,
    fields: vec![
        labelled("status", info("status_name", "Its role in words.", status)),
        gauge(
            "status",
            "",
            "primary 1, secondary 2, secondary-hold 3, disabled 4, lost 5, not-configured 6, \
             ineligible 7, other 0.",
            |node| state_number(status(node), STATES),
        ),
    ],
});

fn status(node: &Leaves) -> Option<&str> {
    node.text("redundancy-group-status")
}

static PRIORITY: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "chassis_cluster_node",
    help: "A node's priority in a redundancy group.",
    tags: NODE_TAGS,
    fields: vec![gauge("priority", "", "Its priority.", |n| n.integer("device-priority"))],
});

static GROUP: Measurement<Group> = Measurement::new(|| Definition {
    name: "chassis_cluster",
    help: "A redundancy group.",
    tags: &["cluster_id", "redundancy_group"],
    fields: vec![counter("failover_count", "", "Times it failed over.", |g| {
        g.redundancy_group_failover_count
    })],
});

const STATES: &[(&str, u64)] = &[
    ("primary", 1),
    ("secondary", 2),
    ("secondary-hold", 3),
    ("disabled", 4),
    ("lost", 5),
    ("not-configured", 6),
    ("ineligible", 7),
];

impl Collector for Cluster {
    const NAME: &'static str = "cluster";
    const HELP: &'static str =
        "Chassis cluster: the nodes' roles in each redundancy group, and failovers.";
    const QUERIES: &'static [Query<Cluster>] = &[Query {
        rpc: Rpc::Once("<get-chassis-cluster-status/>"),
        command: "show chassis cluster status",
        roots: &["chassis-cluster-status"],
        items: &[item::<_, Group>("redundancy-group")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&STATUS, &PRIORITY, &GROUP];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Group {
    redundancy_group_id: String,
    redundancy_group_failover_count: Option<u64>,
    /// The nodes' values stand one after the other, without an element around each node.
    #[serde(default)]
    device_stats: Vec<Flat>,
}

impl Item<Cluster> for Group {
    fn points(self, _: &mut Cluster, scope: &Scope, points: &mut Points) {
        let cluster = scope.get("cluster-id").unwrap_or_default();
        points.push(&GROUP, &[cluster, &self.redundancy_group_id], &self);
        for node in self.device_stats.iter().flat_map(|stats| stats.records("device-name")) {
            let name = node.text("device-name").unwrap_or_default();
            let tags = [cluster, &self.redundancy_group_id, name];
            points.push(&STATUS, &tags, &node);
            points.push(&PRIORITY, &tags, &node);
        }
    }
}
