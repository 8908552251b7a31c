//! Counters and policers of firewall filters.

use serde::Deserialize;

use crate::collector::settings::{Pattern, settings};
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;

settings! {
    pub struct FirewallSettings {
        /// A pattern: only what has a name that matches is collected.
        only: Option<Pattern>,
    }
}

pub struct Firewall {
    only: Option<Pattern>,
}

const TAGS: &[&str] = &["filter", "counter"];

static COUNTER: Measurement<Counter> = Measurement::new(|| Definition {
    name: "firewall_filter",
    help: "A counter of a firewall filter.",
    tags: TAGS,
    fields: vec![
        gauge("counter_packets", "packets", "Packets that it counted.", |c| c.packet_count),
        gauge("counter_bytes", "bytes", "Bytes that it counted.", |c| c.byte_count),
    ],
});

static POLICER: Measurement<Policer> = Measurement::new(|| Definition {
    name: "firewall_filter",
    help: "A policer of a firewall filter.",
    tags: TAGS,
    fields: vec![
        gauge("policer_packets", "packets", "Packets beyond its limit.", |p| p.packet_count),
        gauge("policer_bytes", "bytes", "Bytes beyond its limit.", |p| p.byte_count),
    ],
});

impl Firewall {
    pub fn new(settings: FirewallSettings) -> Firewall {
        Firewall { only: settings.only }
    }
}

impl Collector for Firewall {
    const NAME: &'static str = "firewall";
    const HELP: &'static str = "Counters and policers of firewall filters.";
    const QUERIES: &'static [Query<Firewall>] = &[Query {
        rpc: Rpc::Once(
            "<get-firewall-filter-regex-information><filtername>.*</filtername>\
             </get-firewall-filter-regex-information>",
        ),
        command: "show firewall filter regex .*",
        roots: &["firewall-information"],
        items: &[item::<_, Filter>("filter-information")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&COUNTER, &POLICER];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Filter {
    filter_name: String,
    #[serde(default)]
    counter: Vec<Counter>,
    #[serde(default)]
    policer: Vec<Policer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Counter {
    counter_name: String,
    packet_count: Option<u64>,
    byte_count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Policer {
    policer_name: String,
    packet_count: Option<u64>,
    byte_count: Option<u64>,
}

impl Item<Firewall> for Filter {
    fn points(self, firewall: &mut Firewall, _: &Scope, points: &mut Points) {
        if firewall.only.as_ref().is_some_and(|only| !only.is_match(&self.filter_name)) {
            return;
        }
        for counter in &self.counter {
            points.push(&COUNTER, &[&self.filter_name, &counter.counter_name], counter);
        }
        for policer in &self.policer {
            points.push(&POLICER, &[&self.filter_name, &policer.policer_name], policer);
        }
    }
}
