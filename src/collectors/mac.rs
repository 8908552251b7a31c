//! How many addresses the Ethernet switching table has.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::distinct::Distinct;
use crate::collector::outcome::Answered;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::sum;

#[derive(Default)]
pub struct Mac {
    /// By Routing Engine: newer releases have a table in each routing instance.
    tables: BTreeMap<String, Table>,
    met: Distinct,
}

static TABLE: Measurement<Table> = Measurement::new(|| Definition {
    name: "mac_table",
    help: "The Ethernet switching table.",
    tags: &[],
    fields: vec![
        gauge("total_count", "", "Addresses.", |t| t.mac_table_total_count),
        gauge("recieve_count", "", "Addresses for the router.", |t| t.mac_table_recieve_count),
        gauge("dynamic_count", "", "Addresses learned.", |t| t.mac_table_dynamic_count),
        gauge("flood_count", "", "Addresses to flood to.", |t| t.mac_table_flood_count),
    ],
});

impl Collector for Mac {
    const NAME: &'static str = "mac";
    const HELP: &'static str = "How many addresses the Ethernet switching table has.";
    const ADVICE: &'static str = "300s: the reply has about 650 bytes for each address.";
    const QUERIES: &'static [Query<Mac>] = &[Query {
        rpc: Rpc::Once(
            "<get-ethernet-switching-table-information><summary/>\
             </get-ethernet-switching-table-information>",
        ),
        command: "show ethernet-switching table summary",
        roots: &["l2ng-l2ald-rtb-macdb", "ethernet-switching-table-information"],
        items: &[
            item::<_, Table>("l2ng-l2ald-ethernet-switching-table-summary"),
            item::<_, Table>("mac-table-entry"),
        ],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&TABLE];

    fn finish(&mut self, _: Answered, points: &mut Points) {
        for (re_name, table) in &self.tables {
            points.set_re_name(re_name);
            points.push(&TABLE, &[], table);
        }
    }
}

#[derive(Default, Deserialize, Hash)]
#[serde(rename_all = "kebab-case", default)]
struct Table {
    #[serde(alias = "l2ng-l2-total-mac-count")]
    mac_table_total_count: Option<u64>,
    /// The spelling is Junos's.
    mac_table_recieve_count: Option<u64>,
    mac_table_dynamic_count: Option<u64>,
    mac_table_flood_count: Option<u64>,
}

impl Item<Mac> for Table {
    fn points(self, mac: &mut Mac, scope: &Scope, _: &mut Points) {
        let re_name = scope.get("re-name").unwrap_or_default().to_string();
        let instance = scope.get("l2ng-l2ald-macdb-rtb-name").unwrap_or_default();
        let is_new = match instance {
            "" => mac.met.is_new_record(&re_name, &self),
            _ => mac.met.is_new(&re_name, &[instance]),
        };
        if !is_new {
            return;
        }
        let all = mac.tables.entry(re_name).or_default();
        sum(&mut all.mac_table_total_count, self.mac_table_total_count);
        sum(&mut all.mac_table_recieve_count, self.mac_table_recieve_count);
        sum(&mut all.mac_table_dynamic_count, self.mac_table_dynamic_count);
        sum(&mut all.mac_table_flood_count, self.mac_table_flood_count);
    }
}
