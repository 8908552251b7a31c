//! Queues of physical interfaces: packets queued, sent and dropped.

use serde::Deserialize;

use crate::collector::only::{self, Only};
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::labels::DescriptionLabels;
use crate::point::{Definition, Field, Measurement, Points, Schema, counter, info};
use crate::xml::items::Scope;

settings! {
    pub struct InterfaceQueue {
        /// What in a description is a label: `brackets`, a pattern, or none.
        description_labels: DescriptionLabels,
        /// A pattern: only what has a name that matches is collected. The router is asked for no
        /// more where it is names, or beginnings of names behind `^`.
        only: Option<Only>,
    }
}

static QUEUE: Measurement<Queue> = Measurement::new(|| Definition {
    name: "interface_queues",
    help: "An egress queue of a physical interface.",
    tags: &["name", "if_index", "queue_number", "forwarding_class"],
    fields: vec![
        info("description", "The interface's description.", |q| Some(&q.description)),
        packets("queued_packets_count", "Queued.", |q| q.queued_packets),
        bytes("queued_bytes_count", "Queued.", |q| q.queued_bytes),
        packets("transfered_packets_count", "Sent.", |q| q.trans_packets),
        bytes("transfered_bytes_count", "Sent.", |q| q.trans_bytes),
        packets("rate_limit_drop_packets_count", "Dropped by a rate limit.", |q| {
            q.rate_limit_drop_packets
        }),
        bytes("rate_limit_drop_bytes_count", "Dropped by a rate limit.", |q| {
            q.rate_limit_drop_bytes
        }),
        packets("red_packets_count", "Dropped by RED.", |q| q.red_packets),
        bytes("red_bytes_count", "Dropped by RED.", |q| q.red_bytes),
        packets("red_packets_low_count", "Dropped by RED, loss priority low.", |q| {
            q.red_packets_low
        }),
        bytes("red_bytes_low_count", "Dropped by RED, loss priority low.", |q| q.red_bytes_low),
        packets("red_packets_medium_low_count", "Dropped by RED, medium-low.", |q| {
            q.red_packets_medium_low
        }),
        bytes("red_bytes_medium_low_count", "Dropped by RED, medium-low.", |q| {
            q.red_bytes_medium_low
        }),
        packets("red_packets_medium_high_count", "Dropped by RED, medium-high.", |q| {
            q.red_packets_medium_high
        }),
        bytes("red_bytes_medium_high_count", "Dropped by RED, medium-high.", |q| {
            q.red_bytes_medium_high
        }),
        packets("red_packets_high_count", "Dropped by RED, high.", |q| q.red_packets_high),
        bytes("red_bytes_high_count", "Dropped by RED, high.", |q| q.red_bytes_high),
        packets("tail_drop_packets_count", "Dropped at a full queue.", |q| q.tail_drop_packets),
        packets("drop_packets_count", "Dropped in all.", |q| q.total_drop_packets),
        bytes("drop_bytes_count", "Dropped in all.", |q| q.total_drop_bytes),
    ],
});

type Get = fn(&Queue) -> Option<u64>;

fn packets(name: &'static str, help: &'static str, get: Get) -> Field<Queue> {
    counter(name, "packets", help, get)
}

fn bytes(name: &'static str, help: &'static str, get: Get) -> Field<Queue> {
    counter(name, "bytes", help, get)
}

impl Collector for InterfaceQueue {
    const NAME: &'static str = "interfacequeue";
    const HELP: &'static str = "Queues of physical interfaces: packets queued, sent and dropped.";
    const ADVICE: &'static str =
        "60s with more than 1,000 interfaces: the reply has 3 kB for each.";
    const QUERIES: &'static [Query<InterfaceQueue>] = &[Query {
        rpc: Rpc::Each("<get-interface-queue-information/>", |queues| {
            only::interface_rpcs(&queues.only, "get-interface-queue-information", "")
        }),
        command: "show interfaces queue",
        roots: &["interface-information"],
        items: &[item::<_, Interface>("physical-interface")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&QUEUE];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Interface {
    name: String,
    #[serde(default)]
    snmp_index: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    queue_counters: Queues,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Queues {
    queue: Vec<Queue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Queue {
    #[serde(skip)]
    description: String,
    #[serde(rename = "queue-number")]
    number: String,
    #[serde(rename = "forwarding-class-name")]
    forwarding_class: String,
    #[serde(rename = "queue-counters-queued-packets")]
    queued_packets: Option<u64>,
    #[serde(rename = "queue-counters-queued-bytes")]
    queued_bytes: Option<u64>,
    #[serde(rename = "queue-counters-trans-packets")]
    trans_packets: Option<u64>,
    #[serde(rename = "queue-counters-trans-bytes")]
    trans_bytes: Option<u64>,
    #[serde(rename = "queue-counters-rate-limit-drop-packets")]
    rate_limit_drop_packets: Option<u64>,
    #[serde(rename = "queue-counters-rate-limit-drop-bytes")]
    rate_limit_drop_bytes: Option<u64>,
    #[serde(rename = "queue-counters-red-packets")]
    red_packets: Option<u64>,
    #[serde(rename = "queue-counters-red-bytes")]
    red_bytes: Option<u64>,
    #[serde(rename = "queue-counters-red-packets-low")]
    red_packets_low: Option<u64>,
    #[serde(rename = "queue-counters-red-bytes-low")]
    red_bytes_low: Option<u64>,
    #[serde(rename = "queue-counters-red-packets-medium-low")]
    red_packets_medium_low: Option<u64>,
    #[serde(rename = "queue-counters-red-bytes-medium-low")]
    red_bytes_medium_low: Option<u64>,
    #[serde(rename = "queue-counters-red-packets-medium-high")]
    red_packets_medium_high: Option<u64>,
    #[serde(rename = "queue-counters-red-bytes-medium-high")]
    red_bytes_medium_high: Option<u64>,
    #[serde(rename = "queue-counters-red-packets-high")]
    red_packets_high: Option<u64>,
    #[serde(rename = "queue-counters-red-bytes-high")]
    red_bytes_high: Option<u64>,
    #[serde(rename = "queue-counters-tail-drop-packets")]
    tail_drop_packets: Option<u64>,
    #[serde(rename = "queue-counters-total-drop-packets")]
    total_drop_packets: Option<u64>,
    #[serde(rename = "queue-counters-total-drop-bytes")]
    total_drop_bytes: Option<u64>,
}

impl Item<InterfaceQueue> for Interface {
    fn points(self, queues: &mut InterfaceQueue, _: &Scope, points: &mut Points) {
        if queues.only.as_ref().is_some_and(|only| !only.is_match(&self.name)) {
            return;
        }
        let labels = queues.description_labels.find(&self.description);
        for mut queue in self.queue_counters.queue {
            queue.description.clone_from(&self.description);
            let tags = [&*self.name, &self.snmp_index, &queue.number, &queue.forwarding_class];
            if points.push(&QUEUE, &tags, &queue) {
                labels.add(points);
            }
        }
    }
}
