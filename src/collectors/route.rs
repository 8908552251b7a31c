//! Routes by table and by the protocol that gave them.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;

#[derive(Default)]
pub struct Route;

static ROUTES: Measurement<Table> = Measurement::new(|| Definition {
    name: "routes",
    help: "Routes in a table.",
    tags: &["table"],
    fields: vec![
        gauge("total_count", "", "Routes.", |t| t.total_route_count),
        gauge("active_count", "", "Routes in use.", |t| t.active_route_count),
        gauge("max_count", "", "Routes that the table may have.", |t| t.prefix_max),
    ],
});

static PROTOCOL: Measurement<Protocol> = Measurement::new(|| Definition {
    name: "routes_protocol",
    help: "Routes in a table, by protocol.",
    tags: &["table", "protocol"],
    fields: vec![
        gauge("count", "", "Routes.", |p| p.protocol_route_count),
        gauge("active_count", "", "Routes in use.", |p| p.active_route_count),
    ],
});

impl Collector for Route {
    const NAME: &'static str = "route";
    const HELP: &'static str = "Routes by table and by the protocol that gave them.";
    const QUERIES: &'static [Query<Route>] = &[Query {
        rpc: Rpc::Once("<get-route-summary-information/>"),
        command: "show route summary",
        roots: &["route-summary-information"],
        items: &[item::<_, Table>("route-table")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&ROUTES, &PROTOCOL];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Table {
    table_name: String,
    total_route_count: Option<u64>,
    active_route_count: Option<u64>,
    prefix_max: Option<u64>,
    #[serde(default)]
    protocols: Vec<Protocol>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Protocol {
    protocol_name: String,
    protocol_route_count: Option<u64>,
    active_route_count: Option<u64>,
}

impl Item<Route> for Table {
    fn points(self, _: &mut Route, _: &Scope, points: &mut Points) {
        points.push(&ROUTES, &[&self.table_name], &self);
        for protocol in &self.protocols {
            points.push(&PROTOCOL, &[&self.table_name, &protocol.protocol_name], protocol);
        }
    }
}
