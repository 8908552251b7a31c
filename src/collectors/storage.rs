//! File systems: how large they are and how full.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;

#[derive(Default)]
pub struct Storage;

static FILESYSTEM: Measurement<Filesystem> = Measurement::new(|| Definition {
    name: "storage",
    help: "A file system, in blocks as large as its release has them.",
    tags: &["device", "re_name", "mountpoint"],
    fields: vec![
        gauge("total_blocks_count", "blocks", "Blocks.", |f| f.total_blocks),
        gauge("used_blocks_count", "blocks", "Blocks in use.", |f| f.used_blocks),
        gauge("available_blocks_count", "blocks", "Blocks left.", |f| f.available_blocks),
        gauge("used_percent", "%", "Blocks in use.", |f| f.used_percent),
    ],
});

impl Collector for Storage {
    const NAME: &'static str = "storage";
    const HELP: &'static str = "File systems: how large they are and how full.";
    const ADVICE: &'static str = "300s: file systems fill slowly.";
    const QUERIES: &'static [Query<Storage>] = &[Query {
        rpc: Rpc::Once("<get-system-storage/>"),
        command: "show system storage",
        roots: &["system-storage-information"],
        items: &[item::<_, Filesystem>("filesystem")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&FILESYSTEM];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Filesystem {
    filesystem_name: String,
    total_blocks: Option<u64>,
    used_blocks: Option<u64>,
    available_blocks: Option<u64>,
    used_percent: Option<f64>,
    mounted_on: String,
}

impl Item<Storage> for Filesystem {
    fn points(self, _: &mut Storage, scope: &Scope, points: &mut Points) {
        let tags = [&*self.filesystem_name, scope.re_name(), &self.mounted_on];
        points.push(&FILESYSTEM, &tags, &self);
    }
}
