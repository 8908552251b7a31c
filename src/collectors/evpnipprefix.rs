//! EVPN IP prefixes (type 5 routes): how many are advertised and received, by VRF.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::distinct::Distinct;
use crate::collector::outcome::Answered;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;

#[derive(Default)]
pub struct EvpnIpPrefix {
    tables: BTreeMap<Key, Table>,
    /// The table whose entries are being read.
    current: Key,
    met: Distinct,
}

impl EvpnIpPrefix {
    /// The table that is being read, if it has not told of this prefix.
    fn table_for(&mut self, list: &str, entry: [&str; 2]) -> Option<&mut Table> {
        let Key { re_name, context, afi } = &self.current;
        let of = [re_name, context, afi, list].join(" ");
        let is_new = self.met.is_new(&of, &entry);
        self.tables.get_mut(&self.current).filter(|_| is_new)
    }
}

#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    re_name: String,
    context: String,
    afi: String,
}

/// A VRF's prefixes of one address family, in both directions.
#[derive(Default)]
struct Table {
    local: Option<u64>,
    remote: Option<u64>,
    advertisements: BTreeMap<String, u64>,
}

static PREFIXES: Measurement<Table> = Measurement::new(|| Definition {
    name: "evpn_ip_prefix",
    help: "EVPN IP prefixes of a VRF and address family.",
    tags: &["context", "afi"],
    fields: vec![
        gauge("local_count", "", "Prefixes of this router.", |t| t.local),
        gauge("remote_count", "", "Prefixes of others.", |t| t.remote),
    ],
});

static ADVERTISEMENTS: Measurement<u64> = Measurement::new(|| Definition {
    name: "evpn_ip_prefix_advertisement",
    help: "Advertisements of others' prefixes, by what became of them.",
    tags: &["context", "afi", "status"],
    fields: vec![gauge("count", "", "Advertisements.", |count| Some(*count))],
});

impl Collector for EvpnIpPrefix {
    const NAME: &'static str = "evpnipprefix";
    const HELP: &'static str =
        "EVPN IP prefixes (type 5 routes): how many are advertised and received, by VRF.";
    const ADVICE: &'static str = "300s: the reply has each prefix.";
    const QUERIES: &'static [Query<EvpnIpPrefix>] = &[Query {
        rpc: Rpc::Once("<get-evpn-ip-prefix-database-information/>"),
        command: "show evpn ip-prefix-database",
        roots: &["evpn-ip-prefix-database-information"],
        items: &[
            item::<_, Description>("table-description"),
            item::<_, LocalEntry>("evpn-pfxdb-ip-entry"),
            item::<_, RemoteEntry>("evpn-pfxdb-evpn-ip-entry"),
        ],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&PREFIXES, &ADVERTISEMENTS];

    fn finish(&mut self, _: Answered, points: &mut Points) {
        for (Key { re_name, context, afi }, table) in &self.tables {
            points.set_re_name(re_name);
            points.push(&PREFIXES, &[context, afi], table);
            for (status, count) in &table.advertisements {
                points.push(&ADVERTISEMENTS, &[context, afi, status], count);
            }
        }
    }
}

/// `IPv4->EVPN Exported Prefixes`: it precedes a table's entries, of which there may be none.
#[derive(Deserialize)]
struct Description(String);

impl Item<EvpnIpPrefix> for Description {
    fn points(self, prefixes: &mut EvpnIpPrefix, scope: &Scope, _: &mut Points) {
        let afi = match self.0.to_ascii_lowercase() {
            description if description.contains("ipv4") => "v4".to_string(),
            description if description.contains("ipv6") => "v6".to_string(),
            description => description,
        };
        let text = |leaf| scope.get(leaf).unwrap_or_default().to_string();
        prefixes.current = Key { re_name: text("re-name"), context: text("context-name"), afi };
        let table = prefixes.tables.entry(prefixes.current.clone()).or_default();
        if scope.within("evpn-pfxdb-ip-table") {
            table.local.get_or_insert(0);
        } else {
            table.remote.get_or_insert(0);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LocalEntry {
    #[serde(default)]
    entry_prefix: String,
}

impl Item<EvpnIpPrefix> for LocalEntry {
    fn points(self, prefixes: &mut EvpnIpPrefix, _: &Scope, _: &mut Points) {
        if let Some(table) = prefixes.table_for("local", [&self.entry_prefix, ""]) {
            *table.local.get_or_insert(0) += 1;
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RemoteEntry {
    #[serde(default)]
    entry_prefix: String,
    #[serde(default)]
    entry_etag: String,
    #[serde(default)]
    evpn_pfxdb_evpn_ip_adv: Vec<Advertisement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Advertisement {
    #[serde(default)]
    route_distinguisher: String,
    #[serde(default)]
    adv_ip_route_status: String,
}

impl Item<EvpnIpPrefix> for RemoteEntry {
    fn points(self, prefixes: &mut EvpnIpPrefix, _: &Scope, _: &mut Points) {
        let entry = [&*self.entry_prefix, &self.entry_etag];
        let Some(table) = prefixes.table_for("remote", entry) else { return };
        *table.remote.get_or_insert(0) += 1;
        let mut met = Distinct::default();
        for advertisement in self.evpn_pfxdb_evpn_ip_adv {
            let Advertisement { route_distinguisher, adv_ip_route_status } = &advertisement;
            if !met.is_new("", &[route_distinguisher, adv_ip_route_status]) {
                continue;
            }
            let status = match advertisement.adv_ip_route_status.to_ascii_lowercase() {
                status if status.is_empty() => "unknown".to_string(),
                status => status,
            };
            *table.advertisements.entry(status).or_default() += 1;
        }
    }
}
