//! Packet Forwarding Engines: traffic, traffic to the Routing Engine, discards, errors.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Measurement, Points, Schema, counter};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, level, total};

#[derive(Default)]
pub struct Pfe;

static TRAFFIC: Measurement<Leaves> = Measurement {
    name: "pfe_traffic",
    help: "Traffic of all Packet Forwarding Engines.",
    tags: &[],
    fields: &[
        total!("pfe-" + "input-packets"),
        level!("input-pps"),
        total!("pfe-" + "output-packets"),
        level!("output-pps"),
        total!("pfe-" + "fabric-input"),
        level!("pfe-" + "fabric-input-pps"),
        total!("pfe-" + "fabric-output"),
        level!("pfe-" + "fabric-output-pps"),
    ],
};

static LOCAL_TRAFFIC: Measurement<Leaves> = Measurement {
    name: "pfe_local_traffic",
    help: "Traffic between Packet Forwarding Engines and Routing Engine.",
    tags: &[],
    fields: &[
        total!("pfe-" + "input-packets"),
        total!("pfe-" + "output-packets"),
        total!("software-input-control-drops"),
        total!("software-input-high-drops"),
        total!("software-input-medium-drops"),
        total!("software-input-low-drops"),
        total!("software-output-low-drops"),
        total!("hardware-input-drops"),
    ],
};

static LOCAL_PROTOCOL: Measurement<Leaves> = Measurement {
    name: "pfe_local_protocol",
    help: "Packets of protocols that are for the router itself.",
    tags: &[],
    fields: &[
        total!("hdlc-keepalive" = "hdlc-keepalive-count"),
        total!("atm-oam" = "atm-oam-count"),
        total!("fr-lmi" = "fr-lmi-count"),
        total!("ppp-lcp-ncp" = "ppp-lcp-ncp-count"),
        total!("ospf-hello" = "ospf-hello-count"),
        total!("ospf3-hello" = "ospf3-hello-count"),
        total!("rsvp-hello" = "rsvp-hello-count"),
        total!("ldp-hello" = "ldp-hello-count"),
        total!("bfd" = "bfd-count"),
        total!("isis-iih" = "isis-iih-count"),
        total!("lacp" = "lacp-count"),
        total!("arp" = "arp-count"),
        total!("ether-oam" = "ether-oam-count"),
        total!("unknown" = "unknown-count"),
    ],
};

static HARDWARE_DISCARD: Measurement<Leaves> = Measurement {
    name: "pfe_hardware_discard",
    help: "Packets that the hardware discarded, by reason.",
    tags: &[],
    fields: &[
        total!("timeout" = "timeout-discard"),
        total!("truncated-key" = "truncated-key-discard"),
        total!("bit-test" = "bits-to-test-discard"),
        total!("data-error" = "data-error-discard"),
        total!("tcp-header-error" = "tcp-header-error-discard"),
        total!("stack-underflow" = "stack-underflow-discard"),
        total!("stack-overflow" = "stack-overflow-discard"),
        total!("bad-route" = "bad-route-discard"),
        total!("nexthop" = "nexthop-discard"),
        total!("invalid-iif" = "invalid-iif-discard"),
        total!("info-cell" = "info-cell-discard"),
        total!("fabric" = "fabric-discard"),
        total!("unicast-eapol" = "unicast-eapol-discard"),
    ],
};

static CHIP: Measurement<Leaves> = Measurement {
    name: "pfe_chip",
    help: "Errors that the chips saw.",
    tags: &[],
    fields: &[total!("input-checksum"), total!("output-mtu")],
};

static ERROR: Measurement<ErrorInfo> = Measurement {
    name: "pfe_error",
    help: "An error counter of a Packet Forwarding Engine.",
    tags: &["fpc", "pfe", "error"],
    fields: &[counter("total", "", "Errors.", |e| e.counter)],
};

impl Collector for Pfe {
    const NAME: &'static str = "pfe";
    const HELP: &'static str =
        "Packet Forwarding Engines: traffic, traffic to the Routing Engine, discards, errors.";
    const QUERIES: &'static [Query<Pfe>] = &[
        Query {
            rpc: Rpc::Once("<get-pfe-statistics/>"),
            command: "show pfe statistics traffic",
            roots: &["pfe-statistics"],
            items: &[item::<Pfe, Statistics>("pfe-statistics")],
        },
        Query {
            rpc: Rpc::Once("<get-pfe-stats-error/>"),
            command: "show pfe statistics error",
            roots: &["pfe-stats-error"],
            items: &[item::<Pfe, ErrorInfo>("pfe-stats-error-info")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] =
        &[&TRAFFIC, &LOCAL_TRAFFIC, &LOCAL_PROTOCOL, &HARDWARE_DISCARD, &CHIP, &ERROR];
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Statistics {
    pfe_traffic_statistics: Leaves,
    pfe_local_traffic_statistics: Leaves,
    pfe_local_protocol_statistics: Leaves,
    pfe_hardware_discard_statistics: Leaves,
    pfe_chip_statistics: Leaves,
}

impl Item<Pfe> for Statistics {
    fn points(self, _: &mut Pfe, _: &Scope, points: &mut Points) {
        points.push(&TRAFFIC, &[], &self.pfe_traffic_statistics);
        points.push(&LOCAL_TRAFFIC, &[], &self.pfe_local_traffic_statistics);
        points.push(&LOCAL_PROTOCOL, &[], &self.pfe_local_protocol_statistics);
        points.push(&HARDWARE_DISCARD, &[], &self.pfe_hardware_discard_statistics);
        points.push(&CHIP, &[], &self.pfe_chip_statistics);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ErrorInfo {
    #[serde(default)]
    fpc_name: String,
    pfe_indx: String,
    error_element_name: String,
    counter: Option<u64>,
}

impl Item<Pfe> for ErrorInfo {
    fn points(self, _: &mut Pfe, _: &Scope, points: &mut Points) {
        let tags = [&*self.fpc_name, &self.pfe_indx, &self.error_element_name];
        points.push(&ERROR, &tags, &self);
    }
}
