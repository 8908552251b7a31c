//! Queues of changes that the routing process has for the kernel.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;

#[derive(Default)]
pub struct Krt;

static QUEUE: Measurement<Queue> = Measurement::new(|| Definition {
    name: "krtkrt_queue",
    help: "A queue of changes for the kernel's routing tables.",
    tags: &["krtq_type"],
    fields: vec![gauge("length", "", "Changes that wait.", |q| q.krtq_queue_length)],
});

impl Collector for Krt {
    const NAME: &'static str = "krt";
    const HELP: &'static str = "Queues of changes that the routing process has for the kernel.";
    const QUERIES: &'static [Query<Krt>] = &[Query {
        // A hidden command: no RPC is known for it.
        rpc: Rpc::Once("<command format=\"xml\">show krt queue</command>"),
        command: "show krt queue",
        roots: &["krt-queue-information"],
        items: &[item::<_, Queue>("krt-queue")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&QUEUE];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Queue {
    krtq_type: String,
    krtq_queue_length: Option<u64>,
}

impl Item<Krt> for Queue {
    fn points(self, _: &mut Krt, _: &Scope, points: &mut Points) {
        points.push(&QUEUE, &[&self.krtq_type], &self);
    }
}
