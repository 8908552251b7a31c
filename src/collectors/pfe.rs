//! Packet Forwarding Engines: traffic, traffic to the Routing Engine, discards, errors.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, counter};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, leaf_counter, leaf_gauge};

#[derive(Default)]
pub struct Pfe;

static TRAFFIC: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "pfe_traffic",
    help: "Traffic of all Packet Forwarding Engines.",
    tags: &[],
    fields: vec![
        leaf_counter("input-packets").of_element("pfe-input-packets").total(),
        leaf_gauge("input-pps"),
        leaf_counter("output-packets").of_element("pfe-output-packets").total(),
        leaf_gauge("output-pps"),
        leaf_counter("fabric-input").of_element("pfe-fabric-input").total(),
        leaf_gauge("fabric-input-pps").of_element("pfe-fabric-input-pps"),
        leaf_counter("fabric-output").of_element("pfe-fabric-output").total(),
        leaf_gauge("fabric-output-pps").of_element("pfe-fabric-output-pps"),
    ],
});

static LOCAL_TRAFFIC: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "pfe_local_traffic",
    help: "Traffic between Packet Forwarding Engines and Routing Engine.",
    tags: &[],
    fields: vec![
        leaf_counter("input-packets").of_element("pfe-input-packets").total(),
        leaf_counter("output-packets").of_element("pfe-output-packets").total(),
        leaf_counter("software-input-control-drops").total(),
        leaf_counter("software-input-high-drops").total(),
        leaf_counter("software-input-medium-drops").total(),
        leaf_counter("software-input-low-drops").total(),
        leaf_counter("software-output-low-drops").total(),
        leaf_counter("hardware-input-drops").total(),
    ],
});

static LOCAL_PROTOCOL: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "pfe_local_protocol",
    help: "Packets of protocols that are for the router itself.",
    tags: &[],
    fields: vec![
        leaf_counter("hdlc-keepalive-count").renamed("hdlc_keepalive").total(),
        leaf_counter("atm-oam-count").renamed("atm_oam").total(),
        leaf_counter("fr-lmi-count").renamed("fr_lmi").total(),
        leaf_counter("ppp-lcp-ncp-count").renamed("ppp_lcp_ncp").total(),
        leaf_counter("ospf-hello-count").renamed("ospf_hello").total(),
        leaf_counter("ospf3-hello-count").renamed("ospf3_hello").total(),
        leaf_counter("rsvp-hello-count").renamed("rsvp_hello").total(),
        leaf_counter("ldp-hello-count").renamed("ldp_hello").total(),
        leaf_counter("bfd-count").renamed("bfd").total(),
        leaf_counter("isis-iih-count").renamed("isis_iih").total(),
        leaf_counter("lacp-count").renamed("lacp").total(),
        leaf_counter("arp-count").renamed("arp").total(),
        leaf_counter("ether-oam-count").renamed("ether_oam").total(),
        leaf_counter("unknown-count").renamed("unknown").total(),
    ],
});

static HARDWARE_DISCARD: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "pfe_hardware_discard",
    help: "Packets that the hardware discarded, by reason.",
    tags: &[],
    fields: vec![
        leaf_counter("timeout-discard").renamed("timeout").total(),
        leaf_counter("truncated-key-discard").renamed("truncated_key").total(),
        leaf_counter("bits-to-test-discard").renamed("bit_test").total(),
        leaf_counter("data-error-discard").renamed("data_error").total(),
        leaf_counter("tcp-header-error-discard").renamed("tcp_header_error").total(),
        leaf_counter("stack-underflow-discard").renamed("stack_underflow").total(),
        leaf_counter("stack-overflow-discard").renamed("stack_overflow").total(),
        leaf_counter("bad-route-discard").renamed("bad_route").total(),
        leaf_counter("nexthop-discard").renamed("nexthop").total(),
        leaf_counter("invalid-iif-discard").renamed("invalid_iif").total(),
        leaf_counter("info-cell-discard").renamed("info_cell").total(),
        leaf_counter("fabric-discard").renamed("fabric").total(),
        leaf_counter("unicast-eapol-discard").renamed("unicast_eapol").total(),
    ],
});

static CHIP: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "pfe_chip",
    help: "Errors that the chips saw.",
    tags: &[],
    fields: vec![leaf_counter("input-checksum").total(), leaf_counter("output-mtu").total()],
});

static ERROR: Measurement<ErrorInfo> = Measurement::new(|| Definition {
    name: "pfe_error",
    help: "An error counter of a Packet Forwarding Engine.",
    tags: &["fpc", "pfe", "error"],
    fields: vec![counter("total", "", "Errors.", |e| e.counter)],
});

impl Collector for Pfe {
    const NAME: &'static str = "pfe";
    const HELP: &'static str =
        "Packet Forwarding Engines: traffic, traffic to the Routing Engine, discards, errors.";
    const QUERIES: &'static [Query<Pfe>] = &[
        Query {
            rpc: Rpc::Once("<get-pfe-statistics/>"),
            command: "show pfe statistics traffic",
            roots: &["pfe-statistics"],
            items: &[item::<_, Statistics>("pfe-statistics")],
        },
        Query {
            rpc: Rpc::Once("<get-pfe-stats-error/>"),
            command: "show pfe statistics error",
            roots: &["pfe-stats-error"],
            items: &[item::<_, ErrorInfo>("pfe-stats-error-info")],
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
