//! LACP packets by member of an aggregate.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, counter};
use crate::xml::items::Scope;

#[derive(Default)]
pub struct LacpStatistics;

static MEMBER: Measurement<Member> = Measurement::new(|| Definition {
    name: "lacp_statistics",
    help: "LACP on a member of an aggregate.",
    tags: &["aggregate", "name"],
    fields: vec![
        counter("lacp_rx_packets_total", "packets", "Received.", |m| m.lacp_rx_packets),
        counter("lacp_tx_packets_total", "packets", "Sent.", |m| m.lacp_tx_packets),
        counter("unknown_rx_packets_total", "packets", "Received, of an unknown type.", |m| {
            m.unknown_rx_packets
        }),
        counter("illegal_rx_packets_total", "packets", "Received, illegal.", |m| {
            m.illegal_rx_packets
        }),
    ],
});

impl Collector for LacpStatistics {
    const NAME: &'static str = "lacpstatistics";
    const HELP: &'static str = "LACP packets by member of an aggregate.";
    const QUERIES: &'static [Query<LacpStatistics>] = &[Query {
        rpc: Rpc::Once("<get-lacp-interface-statistics/>"),
        command: "show lacp statistics interfaces",
        roots: &["lacp-interface-statistics-list"],
        items: &[item::<_, Aggregate>("lacp-interface-statistics")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&MEMBER];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Aggregate {
    lag_lacp_header: Header,
    #[serde(default)]
    lag_lacp_statistics: Vec<Member>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Header {
    aggregate_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Member {
    name: String,
    lacp_rx_packets: Option<u64>,
    lacp_tx_packets: Option<u64>,
    unknown_rx_packets: Option<u64>,
    illegal_rx_packets: Option<u64>,
}

impl Item<LacpStatistics> for Aggregate {
    fn points(self, _: &mut LacpStatistics, _: &Scope, points: &mut Points) {
        for member in &self.lag_lacp_statistics {
            points.push(&MEMBER, &[&self.lag_lacp_header.aggregate_name, &member.name], member);
        }
    }
}
