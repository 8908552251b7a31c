//! Inline flow accounting (jflow): flows, and failures to create them, by FPC.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;

#[derive(Default)]
pub struct Accounting {
    /// FPCs that account flows: each is asked for its errors.
    fpcs: BTreeSet<u32>,
}

static FLOWS: Measurement<Flows> = Measurement::new(|| Definition {
    name: "accounting_inline",
    help: "Flows that an FPC accounts.",
    tags: &["fpc"],
    fields: vec![
        gauge("active_flow_count", "", "Active flows.", |f| f.inline_active_flows),
        gauge("ipv4_active_flow_count", "", "Active IPv4 flows.", |f| f.inline_ipv4_active_flows),
        gauge("ipv6_active_flow_count", "", "Active IPv6 flows.", |f| f.inline_ipv6_active_flows),
        gauge("flow_count", "", "Flows since the FPC started.", |f| f.inline_flows),
        gauge("ipv4_flow_count", "", "IPv4 flows.", |f| f.inline_ipv4_total_flows),
        gauge("ipv6_flow_count", "", "IPv6 flows.", |f| f.inline_ipv6_total_flows),
    ],
});

static FAILURES: Measurement<Failures> = Measurement::new(|| Definition {
    name: "accounting_inline",
    help: "Flows that an FPC could not account.",
    tags: &["fpc"],
    fields: vec![
        gauge("creation_failure_count", "", "Flows that could not be created.", |f| {
            f.inline_flow_creation_failures
        }),
        gauge("ipv4_creation_failure_count", "", "IPv4 flows that could not be created.", |f| {
            f.inline_ipv4_flow_creation_failures
        }),
        gauge("ipv6_creation_failure_count", "", "IPv6 flows that could not be created.", |f| {
            f.inline_ipv6_flow_creation_failures
        }),
    ],
});

impl Collector for Accounting {
    const NAME: &'static str = "accounting";
    const HELP: &'static str =
        "Inline flow accounting (jflow): flows, and failures to create them, by FPC.";
    const QUERIES: &'static [Query<Accounting>] = &[
        Query {
            rpc: Rpc::Once("<get-service-accounting-status-inline-jflow-flow-information/>"),
            command: "show services accounting flow inline-jflow",
            roots: &["services-accounting-information"],
            items: &[item::<_, Flows>("inline-jflow-flow-information")],
        },
        Query {
            rpc: Rpc::Each(
                "<get-service-accounting-error-inline-jflow-information>\
                 <inline-jflow-error-information>FPC</inline-jflow-error-information>\
                 </get-service-accounting-error-inline-jflow-information>",
                |accounting| accounting.fpcs.iter().map(errors_of).collect(),
            ),
            command: "show services accounting errors inline-jflow fpc-slot FPC",
            roots: &["services-accounting-information"],
            items: &[item::<_, Failures>("inline-jflow-error-information")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&FLOWS, &FAILURES];
}

const FPCS_MAX: u32 = 256;

fn errors_of(fpc: &u32) -> String {
    let rpc = "get-service-accounting-error-inline-jflow-information";
    let slot = "inline-jflow-error-information";
    format!("<{rpc}><{slot}>{fpc}</{slot}></{rpc}>")
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Flows {
    fpc_slot: u32,
    inline_active_flows: Option<u64>,
    inline_ipv4_active_flows: Option<u64>,
    inline_ipv6_active_flows: Option<u64>,
    inline_flows: Option<u64>,
    inline_ipv4_total_flows: Option<u64>,
    inline_ipv6_total_flows: Option<u64>,
}

impl Item<Accounting> for Flows {
    fn points(self, accounting: &mut Accounting, _: &Scope, points: &mut Points) {
        // No device has more slots, and each is asked about.
        if self.fpc_slot < FPCS_MAX {
            accounting.fpcs.insert(self.fpc_slot);
        }
        points.push(&FLOWS, &[&self.fpc_slot.to_string()], &self);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Failures {
    fpc_slot: u32,
    inline_flow_creation_failures: Option<u64>,
    inline_ipv4_flow_creation_failures: Option<u64>,
    inline_ipv6_flow_creation_failures: Option<u64>,
}

impl Item<Accounting> for Failures {
    fn points(self, _: &mut Accounting, _: &Scope, points: &mut Points) {
        points.push(&FAILURES, &[&self.fpc_slot.to_string()], &self);
    }
}
