//! Distributed denial-of-service protection: policers of control traffic, by protocol and packet
//! type, for the router as a whole and for each of its FPCs.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::collector::outcome::Answered;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{
    Definition, Field, Measurement, Points, Schema, counter, gauge, info, labelled,
};
use crate::xml::items::Scope;
use crate::xml::numbers;
use crate::xml::shapes::{Leaves, is_word, state_number};

#[derive(Default)]
pub struct DdosProtection {
    /// Totals pushed so far, by measurement and Routing Engine.
    totals: BTreeSet<(&'static str, String)>,
    /// Flow detection of each packet type: reported if it is on for at least one of them.
    flows: Vec<Flows>,
}

const PACKET: &[&str] = &["protocol", "packet"];
const INSTANCE: &[&str] = &["protocol", "packet", "instance"];

static STATISTICS_TOTALS: Measurement<Scope> = Measurement::new(|| Definition {
    name: "ddos_protection_statistics",
    help: "Packet types that are policed.",
    tags: &[],
    fields: vec![
        gauge("total_packet_types", "", "Packet types.", |s| total(s, "total-packet-types")),
        counter("total_received_traffic", "", "Packet types that had traffic.", |s| {
            total(s, "packet-types-rcvd-packets")
        }),
        gauge("total_packets_in_violations", "", "Packet types in violation.", |s| {
            total(s, "packet-types-in-violation")
        }),
    ],
});

static PARAMETERS_TOTALS: Measurement<Scope> = Measurement::new(|| Definition {
    name: "ddos_protection_parameters",
    help: "Packet types that have a policer.",
    tags: &[],
    fields: vec![
        gauge("total_packets_types", "", "Packet types.", |s| total(s, "total-packet-types")),
        gauge("total_packets_modified", "", "Packet types whose policer is configured.", |s| {
            total(s, "mod-packet-types")
        }),
    ],
});

static FLOW_TOTALS: Measurement<Scope> = Measurement::new(|| Definition {
    name: "ddos_protection_flow",
    help: "Packet types that flows can be detected for.",
    tags: &[],
    fields: vec![
        gauge("total_packets_types", "", "Packet types.", |s| total(s, "total-packet-types")),
        gauge("total_modified_packets_types", "", "Packet types that are configured.", |s| {
            total(s, "mod-packet-types")
        }),
    ],
});

fn total(scope: &Scope, leaf: &str) -> Option<u64> {
    numbers::number(scope.get(leaf)?)
}

static SYSTEM: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "ddos_protection_statistics_system_wide",
    help: "Packets of a type, over the whole router.",
    tags: PACKET,
    fields: vec![
        counter("packets_received", "packets", "Received.", |l| l.integer("packet-received")),
        gauge("packets_arrival_rate", "packets/s", "Rate.", |l| l.quantity("packet-arrival-rate")),
        counter("packets_dropped", "packets", "Dropped.", |l| l.integer("packet-dropped")),
        gauge("packets_arrival_rate_max", "packets/s", "Highest rate.", |l| {
            l.quantity("packet-arrival-rate-max")
        }),
    ],
});

static INSTANCE_STATISTICS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "ddos_protection_statistics_instance",
    help: "Packets of a type, on the Routing Engine or an FPC.",
    tags: INSTANCE,
    fields: vec![
        counter("packets_received", "packets", "Received.", |l| l.integer("packet-received")),
        gauge("packets_arrival_rate", "packets/s", "Rate.", |l| l.quantity("packet-arrival-rate")),
        counter("packets_dropped", "packets", "Dropped.", |l| l.integer("packet-dropped")),
        gauge("packets_arrival_max_rate", "packets/s", "Highest rate.", |l| {
            l.quantity("packet-arrival-rate-max")
        }),
        counter("other_packets_dropped", "packets", "Dropped by individual policers.", |l| {
            l.integer("packet-dropped-others")
        }),
        counter("flows_dropped", "packets", "Dropped by flow suppression.", |l| {
            l.integer("packet-dropped-flows")
        }),
    ],
});

static BASIC: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "ddos_protection_parameters_basic",
    help: "The policer of a packet type.",
    tags: PACKET,
    fields: vec![
        gauge("policer_bandwidth", "packets/s", "Rate that passes.", |l| {
            l.quantity("policer-bandwidth")
        }),
        gauge("policer_burst", "packets", "Burst that passes.", |l| l.quantity("policer-burst")),
        gauge("policer_time_recover", "s", "Time without violation that ends one.", |l| {
            l.quantity("policer-time-recover")
        }),
        gauge("policer_enable", "", ENABLED, enabled),
        gauge("policer_priority", "", PRIORITIES, |l| {
            state_number(l.text("policer-priority"), PRIORITIES)
        }),
        gauge("bypass_aggregate", "", YES_OR_NO, |l| {
            state_number(l.text("policer-bypass-aggregate"), YES_OR_NO)
        }),
    ],
});

static INSTANCE_PARAMETERS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "ddos_protection_parameters_instance",
    help: "The policer of a packet type, on the Routing Engine or an FPC.",
    tags: INSTANCE,
    fields: vec![
        gauge("policer_bandwidth", "packets/s", "Rate that passes.", |l| {
            l.quantity("policer-bandwidth")
        }),
        gauge("policer_burst", "packets", "Burst that passes.", |l| l.quantity("policer-burst")),
        gauge("policer_enable", "", ENABLED, enabled),
        gauge("policer_bandwidth_scale", "%", "Its part of the router's bandwidth.", |l| {
            l.quantity("policer-bandwidth-scale")
        }),
        gauge("policer_burst_scale", "%", "Its part of the router's burst.", |l| {
            l.quantity("policer-burst-scale")
        }),
        gauge("hostbound_queue", "", "Queue of the packets.", |l| l.integer("hostbound-queue")),
    ],
});

const PRIORITIES: &str = "Low 1, medium 2, high 3, very high 4, other 0.";
const YES_OR_NO: &str = "Yes 2, no 1, other 0.";
/// The router as a whole says `yes`, an FPC `enabled`.
const ENABLED: &str = "Yes or enabled 2, no or disabled 1, other 0.";

fn enabled(policer: &Leaves) -> Option<u64> {
    state_number(policer.text("policer-enable"), ENABLED)
}

static FLOW_SYSTEM: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "ddos_protection_flow_system",
    help: "How flows of a packet type are detected.",
    tags: PACKET,
    fields: vec![
        info("flow_detection_system", "Whether it is on.", |l| l.text(FLOW_DETECTION)),
        info("flow_detection_mode", "When flows are detected.", |l| l.text("detection-mode")),
        info("flow_log_flows", "Whether flows are logged.", |l| l.text("log-flows")),
        info("flow_timeout_flows", "Whether active flows time out.", |l| {
            l.text("timeout-active-flows")
        }),
        gauge("detection_time", "s", "Time in violation until a flow is suspicious.", |l| {
            l.integer("detect-time")
        }),
        gauge("recover_time", "s", "Time without violation that ends a flow.", |l| {
            l.integer("recover-time")
        }),
        gauge("timeout_time", "s", "Time after which a flow ends.", |l| l.integer("timeout-time")),
    ],
});

const FLOW_DETECTION: &str = "ddos-flow-detection-enabled";

static SUBSCRIBER: Measurement<Leaves> = Measurement::new(|| {
    level([
        info("subscriber_detection_mode", "Mode.", |l| l.text("sub-detection-mode")),
        info("subscriber_control_mode", "What is done.", |l| l.text("sub-control-mode")),
        gauge("subscriber", "packets/s", "For a subscriber.", |l| l.quantity("sub-bandwidth")),
    ])
});

static LOGICAL_INTERFACE: Measurement<Leaves> = Measurement::new(|| {
    level([
        info("logical_interface_detection_mode", "Mode.", |l| l.text("ifl-detection-mode")),
        info("logical_interface_control_mode", "What is done.", |l| l.text("ifl-control-mode")),
        gauge("logical_interface", "packets/s", "For a logical interface.", |l| {
            l.quantity("ifl-bandwidth")
        }),
    ])
});

static PHYSICAL_INTERFACE: Measurement<Leaves> = Measurement::new(|| {
    level([
        info("physical_interface_detection_mode", "Mode.", |l| l.text("ifd-detection-mode")),
        info("physical_interface_control_mode", "What is done.", |l| l.text("ifd-control-mode")),
        gauge("physical_interface", "packets/s", "For a physical interface.", |l| {
            l.quantity("ifd-bandwidth")
        }),
    ])
});

/// An aggregation level: how its flows are detected, what is done to them, and their rate.
fn level([detection, control, rate]: [Field<Leaves>; 3]) -> Definition<Leaves> {
    Definition {
        name: "ddos_protection_flow_aggregation_level",
        help: "Rate that a flow may have, by what flows are told apart.",
        tags: PACKET,
        fields: vec![
            labelled("detection_mode", detection),
            labelled("control_mode", control),
            rate,
        ],
    }
}

const fn query(rpc: &'static str, command: &'static str) -> Query<DdosProtection> {
    let roots = &["ddos-protocols-information"];
    let items = const { &[item::<_, PacketType>("ddos-protocol")] };
    Query { rpc: Rpc::Once(rpc), command, roots, items }
}

impl Collector for DdosProtection {
    const NAME: &'static str = "ddosprotection";
    const HELP: &'static str =
        "Policers that protect the router from floods of control traffic, by packet type.";
    const ADVICE: &'static str =
        "60s: the reply has about 500 bytes for each protocol and line card, 1 MB in all.";
    const QUERIES: &'static [Query<DdosProtection>] = &[
        query("<get-ddos-protocols-statistics/>", "show ddos-protection protocols statistics"),
        query("<get-ddos-protocols-parameters/>", "show ddos-protection protocols parameters"),
        query(
            "<get-ddos-flow-detection-parameters/>",
            "show ddos-protection protocols flow-detection",
        ),
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[
        &STATISTICS_TOTALS,
        &SYSTEM,
        &INSTANCE_STATISTICS,
        &PARAMETERS_TOTALS,
        &BASIC,
        &INSTANCE_PARAMETERS,
        &FLOW_TOTALS,
        &FLOW_SYSTEM,
        &SUBSCRIBER,
        &LOGICAL_INTERFACE,
        &PHYSICAL_INTERFACE,
    ];

    fn finish(&mut self, _: Answered, points: &mut Points) {
        let is_off =
            |word: Option<&str>| word.is_none_or(|word| word.is_empty() || is_word(word, "off"));
        if self.flows.iter().all(|flows| is_off(flows.detection.text(FLOW_DETECTION))) {
            return;
        }
        for Flows { re_name, protocol, packet, detection } in &self.flows {
            points.set_re_name(re_name);
            let tags = [protocol.as_str(), packet];
            points.push(&FLOW_SYSTEM, &tags, detection);
            points.push(&SUBSCRIBER, &tags, detection);
            points.push(&LOGICAL_INTERFACE, &tags, detection);
            points.push(&PHYSICAL_INTERFACE, &tags, detection);
        }
    }
}

/// A packet type; each of the three requests gives other parts of it.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PacketType {
    packet_type: String,
    ddos_system_statistics: Option<Leaves>,
    ddos_basic_parameters: Option<Leaves>,
    ddos_flow_detection: Option<Leaves>,
    #[serde(default)]
    ddos_instance: Vec<Instance>,
}

/// The Routing Engine or an FPC.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Instance {
    protocol_states_locale: String,
    ddos_instance_statistics: Option<Leaves>,
    ddos_instance_parameters: Option<Leaves>,
}

struct Flows {
    re_name: String,
    protocol: String,
    packet: String,
    detection: Leaves,
}

impl Item<DdosProtection> for PacketType {
    fn points(self, ddos: &mut DdosProtection, scope: &Scope, points: &mut Points) {
        let protocol = scope.get("group-name").unwrap_or_default();
        let re_name = scope.get("re-name").unwrap_or_default();
        let tags = [protocol, &self.packet_type];
        let mut totals = |measurement: &'static Measurement<Scope>, points: &mut Points| {
            if ddos.totals.insert((measurement.name, re_name.to_string())) {
                points.push(measurement, &[], scope);
            }
        };
        if let Some(statistics) = &self.ddos_system_statistics {
            totals(&STATISTICS_TOTALS, points);
            points.push(&SYSTEM, &tags, statistics);
        }
        if let Some(parameters) = &self.ddos_basic_parameters {
            totals(&PARAMETERS_TOTALS, points);
            points.push(&BASIC, &tags, parameters);
        }
        for instance in &self.ddos_instance {
            let tags = [protocol, &self.packet_type, &instance.protocol_states_locale];
            if let Some(statistics) = &instance.ddos_instance_statistics {
                points.push(&INSTANCE_STATISTICS, &tags, statistics);
            }
            if let Some(parameters) = &instance.ddos_instance_parameters {
                points.push(&INSTANCE_PARAMETERS, &tags, parameters);
            }
        }
        if let Some(detection) = self.ddos_flow_detection {
            totals(&FLOW_TOTALS, points);
            ddos.flows.push(Flows {
                re_name: re_name.to_string(),
                protocol: protocol.to_string(),
                packet: self.packet_type,
                detection,
            });
        }
    }
}
