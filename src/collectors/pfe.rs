//! Packet Forwarding Engines: traffic, traffic to the Routing Engine, discards, errors.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, Settings, item};
use crate::items::Scope;
use crate::point::{Measurement, Points, Schema, counter};
use crate::reply::{Leaves, counter, level};

pub struct Pfe;

static TRAFFIC: Measurement<Leaves> = Measurement {
    name: "pfe_traffic",
    help: "Traffic of all Packet Forwarding Engines.",
    tags: &[],
    fields: &[
        counter!("pfe-" + "input-packets"),
        level!("input-pps"),
        counter!("pfe-" + "output-packets"),
        level!("output-pps"),
        counter!("pfe-" + "fabric-input"),
        level!("pfe-" + "fabric-input-pps"),
        counter!("pfe-" + "fabric-output"),
        level!("pfe-" + "fabric-output-pps"),
    ],
};

static LOCAL_TRAFFIC: Measurement<Leaves> = Measurement {
    name: "pfe_local_traffic",
    help: "Traffic between Packet Forwarding Engines and Routing Engine.",
    tags: &[],
    fields: &[
        counter!("pfe-" + "input-packets"),
        counter!("pfe-" + "output-packets"),
        counter!("software-input-control-drops"),
        counter!("software-input-high-drops"),
        counter!("software-input-medium-drops"),
        counter!("software-input-low-drops"),
        counter!("software-output-low-drops"),
        counter!("hardware-input-drops"),
    ],
};

static LOCAL_PROTOCOL: Measurement<Leaves> = Measurement {
    name: "pfe_local_protocol",
    help: "Packets of protocols that are for the router itself.",
    tags: &[],
    fields: &[
        counter!("hdlc-keepalive-count"),
        counter!("atm-oam-count"),
        counter!("fr-lmi-count"),
        counter!("ppp-lcp-ncp-count"),
        counter!("ospf-hello-count"),
        counter!("ospf3-hello-count"),
        counter!("rsvp-hello-count"),
        counter!("ldp-hello-count"),
        counter!("bfd-count"),
        counter!("isis-iih-count"),
        counter!("lacp-count"),
        counter!("arp-count"),
        counter!("ether-oam-count"),
        counter!("unknown-count"),
    ],
};

static HARDWARE_DISCARD: Measurement<Leaves> = Measurement {
    name: "pfe_hardware_discard",
    help: "Packets that the hardware discarded, by reason.",
    tags: &[],
    fields: &[
        counter!("timeout-discard"),
        counter!("truncated-key-discard"),
        counter!("bits-to-test-discard"),
        counter!("data-error-discard"),
        counter!("tcp-header-error-discard"),
        counter!("stack-underflow-discard"),
        counter!("stack-overflow-discard"),
        counter!("bad-route-discard"),
        counter!("nexthop-discard"),
        counter!("invalid-iif-discard"),
        counter!("info-cell-discard"),
        counter!("fabric-discard"),
        counter!("unicast-eapol-discard"),
    ],
};

static CHIP: Measurement<Leaves> = Measurement {
    name: "pfe_chip",
    help: "Errors that the chips saw.",
    tags: &[],
    fields: &[counter!("input-checksum"), counter!("output-mtu")],
};

static ERROR: Measurement<ErrorInfo> = Measurement {
    name: "pfe_error",
    help: "An error counter of a Packet Forwarding Engine.",
    tags: &["fpc", "pfe", "error"],
    fields: &[counter("counter", "", "Errors.", |e| e.counter)],
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

    fn new(_: &Settings) -> Pfe {
        Pfe
    }
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
