//! DHCP server and relay: messages, drops, bindings.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, leaves, totals};

#[derive(Default)]
pub struct Dhcp;

static STATISTICS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "dhcp_statistics",
    help: "What the DHCP server or relay dropped, by reason, and forwarded.",
    tags: &["service"],
    fields: totals(
        "dropped-packet-total=dropped_packet dropped-packet-bad-hardware \
         dropped-packet-bootp-packet dropped-packet-bad-bootp-opcode dropped-packet-bad-options \
         dropped-packet-invalid-server-address dropped-packet-no-addresses \
         dropped-packet-no-interface-cfg dropped-packet-no-local-address \
         dropped-packet-too-short dropped-packet-send-error dropped-packet-option-60 \
         dropped-packet-relay-option dropped-packet-option-82 dropped-packet-authentication \
         dropped-packet-dynamic-profile dropped-packet-license dropped-packet-bad-dhcp-opcode \
         dropped-packet-no-options dropped-packet-hop-limit dropped-packet-wait-time \
         dropped-packet-ttl-expired dropped-packet-bad-udp-checksum \
         dropped-packet-inactive-vlan dropped-packet-event-rate-analyzer \
         dropped-packet-client-lookup dropped-packet-proxy-no-server-addr \
         lease-time-violations-drop dropped-packet-leasequery-repl-no-circuitid \
         dropped-packet-leasequery-repl-with-error-code \
         dropped-packet-leasequery-repl-with-query-term dropped-packet-older-leasequery-repl \
         dropped-packet-abort-leasequery-repl dropped-packet-during-leasequery-repl \
         dropped-packet-relay-source-no-lpbk-interface dropped-packet-bad-gi-address \
         dropped-packet-short-cycle-protect dropped-packet-invalid-subnet \
         requested-ip-address-drop dropped-packet-load-balance-user-plane \
         dropped-packet-dhcp-service-total=dropped_packet_dhcp_service \
         forwarded-packets-total=forwarded_packets forwarded-bootrequest-packets \
         forwarded-bootreply-packets",
    ),
});

static MESSAGES: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "dhcp_messages",
    help: "DHCP messages by type.",
    tags: &["service", "direction", "message"],
    fields: leaves("message-count=total"),
});

static BINDINGS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "dhcp_server_bindings",
    help: "Bindings of the DHCP server by state.",
    tags: &[],
    fields: leaves(
        "~binding-count=all ~init-count=init ~bound-count=bound ~selecting-count=selecting \
         ~requesting-count=requesting ~renewing-count=renewing ~releasing-count=releasing \
         ~restore-count=restore",
    ),
});

impl Collector for Dhcp {
    const NAME: &'static str = "dhcp";
    const HELP: &'static str = "DHCP server and relay: messages, drops, bindings.";
    const ADVICE: &'static str = "60s: the bindings are counted anew each time.";
    const QUERIES: &'static [Query<Dhcp>] = &[
        Query {
            rpc: Rpc::Once("<get-dhcp-server-statistics-information/>"),
            command: "show dhcp server statistics",
            roots: &["dhcp-server-statistics-information"],
            items: &[item::<_, Server>("dhcp-server-statistics-information")],
        },
        Query {
            rpc: Rpc::Once("<get-dhcp-relay-statistics-information/>"),
            command: "show dhcp relay statistics",
            roots: &["dhcp-relay-statistics-information"],
            items: &[item::<_, Relay>("dhcp-relay-statistics-information")],
        },
        Query {
            rpc: Rpc::Once(
                "<get-dhcp-server-binding-information><summary/>\
                 </get-dhcp-server-binding-information>",
            ),
            command: "show dhcp server binding summary",
            roots: &["dhcp-server-binding-information"],
            items: &[item::<_, Bindings>("binding-summary")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&STATISTICS, &MESSAGES, &BINDINGS];
}

#[derive(Deserialize)]
struct Server(Leaves);

#[derive(Deserialize)]
struct Relay(Leaves);

#[derive(Deserialize)]
struct Bindings(Leaves);

impl Item<Dhcp> for Server {
    fn points(self, _: &mut Dhcp, _: &Scope, points: &mut Points) {
        push("server", self.0, points);
    }
}

impl Item<Dhcp> for Relay {
    fn points(self, _: &mut Dhcp, _: &Scope, points: &mut Points) {
        push("relay", self.0, points);
    }
}

fn push(service: &str, mut statistics: Leaves, points: &mut Points) {
    for mut table in statistics.take("message-table") {
        let messages = table.take("message");
        // `Messages received` and `Messages sent`.
        let words = table.text("message-direction").unwrap_or_default().to_ascii_lowercase();
        let direction = words.split_ascii_whitespace().nth(1).unwrap_or_default();
        let direction = direction.trim_end_matches(':');
        for message in &messages {
            let name = message.text("message-name").unwrap_or_default();
            points.push(&MESSAGES, &[service, direction, name], message);
        }
    }
    points.push(&STATISTICS, &[service], &statistics);
}

impl Item<Dhcp> for Bindings {
    fn points(self, _: &mut Dhcp, _: &Scope, points: &mut Points) {
        points.push(&BINDINGS, &[], &self.0);
    }
}
