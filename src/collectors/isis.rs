//! IS-IS: adjacencies, interfaces, and what loop-free alternates cover.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::changes::{Grade, Rule, Severity, Watch};
use crate::collector::distinct::Distinct;
use crate::collector::only::{self, Only};
use crate::collector::outcome::Answered;
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, counter, gauge, info, watched};
use crate::xml::items::Scope;
use crate::xml::numbers;
use crate::xml::shapes::{is_word, routing_instance, state_number};

settings! {
    pub struct IsisSettings {
        /// A pattern: only interfaces whose name matches are collected, with their adjacencies;
        /// adjacencies are counted all the same. The router is asked for no more interfaces where
        /// it is up to eight names between `^` and `$`, with `\.` for a dot.
        only: Option<Only>,
    }
}

#[derive(Default)]
pub struct Isis {
    only: Option<Only>,
    /// Adjacencies that are up, and all, by the Routing Engine that told of them.
    adjacencies: BTreeMap<String, [u64; 2]>,
    counted: Distinct,
    /// The backup paths that were pushed: a node may stand in the results of several levels.
    paths: Distinct,
}

static COUNTS: Measurement<[u64; 2]> = Measurement::new(|| Definition {
    name: "isis",
    help: "Adjacencies of the router.",
    tags: &[],
    fields: vec![
        gauge("up_count", "", "Adjacencies that are up.", |[up, _]| Some(*up)),
        gauge("total_count", "", "Adjacencies.", |[_, total]| Some(*total)),
    ],
});

static STATE: Rule = Rule {
    watch: Watch::Presence,
    words: STATES,
    grade: Grade::Unless(&["Up"], Severity::Warning),
    ..Rule::of("isis-adjacency")
};

static ADJACENCY: Measurement<Adjacency> = Measurement::new(|| Definition {
    name: "isis_adjacency",
    help: "An adjacency.",
    tags: &["interface_name", "system_name", "level", "instance", "igp_instance"],
    fields: vec![watched(
        &STATE,
        gauge("state", "", STATES, |a| state_number(a.adjacency_state.as_deref(), STATES)),
    )],
});

const STATES: &str = "Down 0, Up 1, New 2, One-way 3, Initializing 4, Rejected 5, other 0.";
const PADDINGS: &str = "Adaptive 1, disable 2, loose 3, strict 4, other 0.";

static INTERFACE: Measurement<Interface> = Measurement::new(|| Definition {
    name: "isis",
    help: "An interface that is not passive.",
    tags: &["interface_name"],
    fields: vec![
        gauge("lsp_interval_ms", "ms", "Time between LSPs.", |i| i.lsp_interval),
        gauge("csnp_interval_seconds", "s", "Time between CSNPs.", |i| i.csnp_interval),
        gauge("hello_padding", "", PADDINGS, |i| {
            state_number(i.hello_padding.as_deref(), PADDINGS)
        }),
        gauge("max_hello_size_bytes", "bytes", "Largest hello.", |i| i.max_hello_size),
    ],
});

static LEVEL: Measurement<Level> = Measurement::new(|| Definition {
    name: "isis_adjacency",
    help: "A level of an interface that is not passive.",
    tags: &["interface_name", "level"],
    fields: vec![
        counter("count", "", "Adjacencies.", |l| l.adjacency_count),
        gauge("priority", "", "Priority.", |l| l.interface_priority),
        gauge("metric", "", "Metric.", |l| l.metric),
        gauge("hello_timer_seconds", "s", "Time between hellos.", |l| l.hello_time),
        gauge("hold_timer_seconds", "s", "Hold time.", |l| l.holdtime),
    ],
});

static COVERAGE: Measurement<Coverage> = Measurement::new(|| Definition {
    name: "isis_backup_node",
    help: "What has a backup path, in a topology and level.",
    tags: &["topology", "level"],
    fields: vec![
        info("node_coverage", "Nodes.", |c| Some(&c.isis_node_coverage)),
        info("ipv4_route_coverage", "IPv4 routes.", |c| Some(&c.isis_route_coverage_ipv4)),
        info("ipv6_route_coverage", "IPv6 routes.", |c| Some(&c.isis_route_coverage_ipv6)),
        info("clns_route_coverage", "CLNS routes.", |c| Some(&c.isis_route_coverage_clns)),
        info("ipv4_mpls_route_coverage", "IPv4 MPLS routes.", |c| {
            Some(&c.isis_route_coverage_ipv4_mpls)
        }),
        info("ipv6_mpls_route_coverage", "IPv6 MPLS routes.", |c| {
            Some(&c.isis_route_coverage_ipv6_mpls)
        }),
        info("ipv4_mpls_sspf_route_coverage", "IPv4 MPLS SSPF routes.", |c| {
            Some(&c.isis_route_coverage_ipv4_mpls_sspf)
        }),
        info("ipv6_mpls_sspf_route_coverage", "IPv6 MPLS SSPF routes.", |c| {
            Some(&c.isis_route_coverage_ipv6_mpls_sspf)
        }),
        gauge("coverage", "%", "Nodes that have a backup path.", |c| {
            numbers::number::<f64>(&c.isis_node_coverage)
        }),
    ],
});

static PATH: Measurement<u64> = Measurement::new(|| Definition {
    name: "isis_backup",
    help: "A node's backup path.",
    tags: &["node_name", "backup_path_via", "backup_path_via_interface"],
    fields: vec![gauge("path", "", "1 for a path; 0 where there is a reason for none.", |path| {
        Some(*path)
    })],
});

/// The query that asks for adjacencies.
const ADJACENCIES: usize = 0;

impl Collector for Isis {
    const NAME: &'static str = "isis";
    const HELP: &'static str =
        "IS-IS: adjacencies, interfaces, and what loop-free alternates cover.";
    const QUERIES: &'static [Query<Isis>] = &[
        Query {
            rpc: Rpc::Once("<get-isis-adjacency-information/>"),
            command: "show isis adjacency",
            roots: &["isis-adjacency-information"],
            items: &[
                item::<_, Adjacency>("isis-adjacency"),
                item::<_, Instance>("isis-adjacency-instance-information"),
            ],
        },
        Query {
            rpc: Rpc::Each(
                "<get-isis-interface-information><extensive/></get-isis-interface-information>",
                |isis| {
                    let name = "get-isis-interface-information";
                    only::name_rpcs(&isis.only, name, "<extensive/>", "interface-name")
                },
            ),
            command: "show isis interface extensive",
            roots: &["isis-interface-information"],
            items: &[item::<_, Interface>("isis-interface")],
        },
        Query {
            rpc: Rpc::Once("<get-isis-backup-coverage-information/>"),
            command: "show isis backup coverage",
            roots: &["isis-backup-coverage-information"],
            items: &[item::<_, Coverage>("isis-backup-coverage")],
        },
        Query {
            rpc: Rpc::Once("<get-isis-backup-spf-results-information/>"),
            command: "show isis backup spf results",
            roots: &["isis-spf-information"],
            items: &[item::<_, BackupResult>("isis-backup-spf-result")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] =
        &[&COUNTS, &ADJACENCY, &INTERFACE, &LEVEL, &COVERAGE, &PATH];

    fn finish(&mut self, answered: Answered, points: &mut Points) {
        if self.adjacencies.is_empty() && answered.has(ADJACENCIES) {
            points.push(&COUNTS, &[], &[0, 0]);
        }
        for (re_name, counts) in &self.adjacencies {
            points.set_re_name(re_name);
            points.push(&COUNTS, &[], counts);
        }
    }
}

impl Isis {
    pub fn new(settings: IsisSettings) -> Isis {
        Isis { only: settings.only, ..Isis::default() }
    }

    fn has(&self, interface: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.is_match(interface))
    }

    fn adjacency(&mut self, of: &Adjacency, within: [&str; 2], scope: &Scope, points: &mut Points) {
        let [instance, igp_instance] = within.map(routing_instance);
        let tags = [&*of.interface_name, &of.system_name, &of.level, instance, igp_instance];
        if self.has(&of.interface_name) {
            points.push(&ADJACENCY, &tags, of);
        }
        let re_name = scope.get("re-name").unwrap_or_default();
        if !self.counted.is_new(re_name, &tags) {
            return;
        }
        let [up, total] = self.adjacencies.entry(re_name.to_string()).or_default();
        let is_up = of.adjacency_state.as_deref().is_some_and(|state| is_word(state, "Up"));
        *up += u64::from(is_up);
        *total += 1;
    }
}

/// Newer releases have the adjacencies by instance, whose names stand behind them.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Instance {
    isis_routing_instance_name: String,
    isis_instance_name: String,
    isis_adjacency: Vec<Adjacency>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Adjacency {
    interface_name: String,
    #[serde(default)]
    system_name: String,
    #[serde(default)]
    level: String,
    adjacency_state: Option<String>,
}

impl Item<Isis> for Adjacency {
    fn points(self, isis: &mut Isis, scope: &Scope, points: &mut Points) {
        let within = ["isis-routing-instance-name", "isis-instance-name"];
        let within = within.map(|name| scope.get(name).unwrap_or_default());
        isis.adjacency(&self, within, scope, points);
    }
}

impl Item<Isis> for Instance {
    fn points(self, isis: &mut Isis, scope: &Scope, points: &mut Points) {
        let within = [&*self.isis_routing_instance_name, &self.isis_instance_name];
        for adjacency in &self.isis_adjacency {
            isis.adjacency(adjacency, within, scope, points);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Interface {
    interface_name: String,
    lsp_interval: Option<u64>,
    csnp_interval: Option<u64>,
    hello_padding: Option<String>,
    max_hello_size: Option<u64>,
    #[serde(default)]
    interface_level_data: Vec<Level>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Level {
    #[serde(default)]
    level: String,
    passive: Option<String>,
    adjacency_count: Option<u64>,
    interface_priority: Option<u64>,
    metric: Option<u64>,
    hello_time: Option<f64>,
    holdtime: Option<f64>,
}

impl Item<Isis> for Interface {
    fn points(mut self, isis: &mut Isis, _: &Scope, points: &mut Points) {
        if !isis.has(&self.interface_name) {
            return;
        }
        let passive =
            |level: &Level| level.passive.as_ref().is_some_and(|word| is_word(word, "passive"));
        self.interface_level_data.retain(|level| !passive(level));
        if self.interface_level_data.is_empty() {
            return;
        }
        points.push(&INTERFACE, &[&self.interface_name], &self);
        for level in &self.interface_level_data {
            points.push(&LEVEL, &[&self.interface_name, &level.level], level);
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Coverage {
    isis_topology_id: String,
    level: String,
    isis_node_coverage: String,
    isis_route_coverage_ipv4: String,
    isis_route_coverage_ipv6: String,
    isis_route_coverage_clns: String,
    isis_route_coverage_ipv4_mpls: String,
    isis_route_coverage_ipv6_mpls: String,
    isis_route_coverage_ipv4_mpls_sspf: String,
    isis_route_coverage_ipv6_mpls_sspf: String,
}

impl Item<Isis> for Coverage {
    fn points(self, _: &mut Isis, _: &Scope, points: &mut Points) {
        points.push(&COVERAGE, &[&self.isis_topology_id, &self.level], &self);
    }
}

/// A node and its candidates for a backup, each with its paths or the reason why it has none.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct BackupResult {
    node_id: String,
    #[serde(default)]
    backup_next_hop_element: Vec<NextHop>,
    no_coverage_reason_element: Option<()>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct NextHop {
    isis_next_hop: String,
    interface_name: String,
}

impl Item<Isis> for BackupResult {
    fn points(self, isis: &mut Isis, scope: &Scope, points: &mut Points) {
        let re_name = scope.get("re-name").unwrap_or_default();
        // A router's ID ends in 00, that of a LAN's pseudonode in other digits.
        let node = self.node_id.strip_suffix(".00").unwrap_or(&self.node_id);
        let mut push = |via: &str, interface: &str, path: u64| {
            if isis.paths.is_new(re_name, &[node, via, interface]) {
                points.push(&PATH, &[node, via, interface], &path);
            }
        };
        if self.no_coverage_reason_element.is_some() {
            push("", "", 0);
        }
        for hop in &self.backup_next_hop_element {
            push(&hop.isis_next_hop, &hop.interface_name, 1);
        }
    }
}
