//! Entries of the ARP table, by interface.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::distinct::Distinct;
use crate::collector::outcome::Answered;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;

#[derive(Default)]
pub struct Arp {
    /// Entries by Routing Engine and interface.
    entries: BTreeMap<(String, String), u64>,
    met: Distinct,
}

static ENTRIES: Measurement<u64> = Measurement::new(|| Definition {
    name: "arp",
    help: "The ARP table's entries of an interface.",
    tags: &["interface"],
    fields: vec![gauge("entries", "", "Entries.", |count| Some(*count))],
});

impl Collector for Arp {
    const NAME: &'static str = "arp";
    const HELP: &'static str = "Entries of the ARP table, by interface.";
    const ADVICE: &'static str = "300s: the reply has each entry.";
    const QUERIES: &'static [Query<Arp>] = &[Query {
        rpc: Rpc::Once("<get-arp-table-information><no-resolve/></get-arp-table-information>"),
        command: "show arp no-resolve",
        roots: &["arp-table-information"],
        items: &[item::<_, Entry>("arp-table-entry")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&ENTRIES];

    fn finish(&mut self, _: Answered, points: &mut Points) {
        for ((re_name, interface), count) in &self.entries {
            points.set_re_name(re_name);
            points.push(&ENTRIES, &[interface], count);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    interface_name: String,
    #[serde(default)]
    ip_address: String,
    #[serde(default)]
    mac_address: String,
}

impl Item<Arp> for Entry {
    fn points(self, arp: &mut Arp, scope: &Scope, _: &mut Points) {
        let re_name = scope.get("re-name").unwrap_or_default().to_string();
        let of = format!("{re_name} {}", self.interface_name);
        let address = if self.ip_address.is_empty() { self.mac_address } else { self.ip_address };
        if arp.met.is_new(&of, &[&address]) {
            *arp.entries.entry((re_name, self.interface_name)).or_default() += 1;
        }
    }
}
