//! Queues of the kernel: of interfaces, and of protocols.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, leaf_counter, leaf_gauge};

#[derive(Default)]
pub struct Queues;

static QUEUE: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "system_queue",
    help: "A queue of the kernel.",
    tags: &["type", "name"],
    fields: vec![
        leaf_gauge("octets-in-queue"),
        leaf_gauge("max-octets-allowed"),
        leaf_gauge("packets-in-queue"),
        leaf_gauge("max-packets-allowed"),
        leaf_counter("number-of-queue-drops").renamed("drops").total(),
    ],
});

impl Collector for Queues {
    const NAME: &'static str = "queues";
    const HELP: &'static str = "Queues of the kernel: of interfaces, and of protocols.";
    const QUERIES: &'static [Query<Queues>] = &[Query {
        rpc: Rpc::Once("<get-queues-information/>"),
        command: "show system queues",
        roots: &["queues-statistics"],
        items: &[
            item::<_, InterfaceQueue>("interface-queue"),
            item::<_, ProtocolQueue>("protocol-queue"),
        ],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&QUEUE];
}

#[derive(Deserialize)]
struct InterfaceQueue(Leaves);

#[derive(Deserialize)]
struct ProtocolQueue(Leaves);

impl Item<Queues> for InterfaceQueue {
    fn points(self, _: &mut Queues, _: &Scope, points: &mut Points) {
        push("interface", &self.0, points);
    }
}

impl Item<Queues> for ProtocolQueue {
    fn points(self, _: &mut Queues, _: &Scope, points: &mut Points) {
        push("protocol", &self.0, points);
    }
}

fn push(ty: &str, queue: &Leaves, points: &mut Points) {
    if let Some(name) = queue.text("name") {
        points.push(&QUEUE, &[ty, name], queue);
    }
}
