//! Queues of the kernel: of interfaces, and of protocols.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Measurement, Points, Schema};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, level, total};

#[derive(Default)]
pub struct Queues;

static QUEUE: Measurement<Leaves> = Measurement {
    name: "system_queue",
    help: "A queue of the kernel.",
    tags: &["type", "name"],
    fields: &[
        level!("octets-in-queue"),
        level!("max-octets-allowed"),
        level!("packets-in-queue"),
        level!("max-packets-allowed"),
        total!("drops" = "number-of-queue-drops"),
    ],
};

impl Collector for Queues {
    const NAME: &'static str = "queues";
    const HELP: &'static str = "Queues of the kernel: of interfaces, and of protocols.";
    const QUERIES: &'static [Query<Queues>] = &[Query {
        rpc: Rpc::Once("<get-queues-information/>"),
        command: "show system queues",
        roots: &["queues-statistics"],
        items: &[
            item::<Queues, InterfaceQueue>("interface-queue"),
            item::<Queues, ProtocolQueue>("protocol-queue"),
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
