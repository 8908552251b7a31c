//! DHCP server and relay: messages, drops, bindings.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, leaf_counter, leaf_gauge};

#[derive(Default)]
pub struct Dhcp;

static STATISTICS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "dhcp_statistics",
    help: "What the DHCP server or relay dropped, by reason, and forwarded.",
    tags: &["service"],
    fields: vec![
        leaf_counter("dropped-packet-total").renamed("dropped_packet").total(),
        leaf_counter("dropped-packet-bad-hardware").total(),
        leaf_counter("dropped-packet-bootp-packet").total(),
        leaf_counter("dropped-packet-bad-bootp-opcode").total(),
        leaf_counter("dropped-packet-bad-options").total(),
        leaf_counter("dropped-packet-invalid-server-address").total(),
        leaf_counter("dropped-packet-no-addresses").total(),
        leaf_counter("dropped-packet-no-interface-cfg").total(),
        leaf_counter("dropped-packet-no-local-address").total(),
        leaf_counter("dropped-packet-too-short").total(),
        leaf_counter("dropped-packet-send-error").total(),
        leaf_counter("dropped-packet-option-60").total(),
        leaf_counter("dropped-packet-relay-option").total(),
        leaf_counter("dropped-packet-option-82").total(),
        leaf_counter("dropped-packet-authentication").total(),
        leaf_counter("dropped-packet-dynamic-profile").total(),
        leaf_counter("dropped-packet-license").total(),
        leaf_counter("dropped-packet-bad-dhcp-opcode").total(),
        leaf_counter("dropped-packet-no-options").total(),
        leaf_counter("dropped-packet-hop-limit").total(),
        leaf_counter("dropped-packet-wait-time").total(),
        leaf_counter("dropped-packet-ttl-expired").total(),
        leaf_counter("dropped-packet-bad-udp-checksum").total(),
        leaf_counter("dropped-packet-inactive-vlan").total(),
        leaf_counter("dropped-packet-event-rate-analyzer").total(),
        leaf_counter("dropped-packet-client-lookup").total(),
        leaf_counter("dropped-packet-proxy-no-server-addr").total(),
        leaf_counter("lease-time-violations-drop").total(),
        leaf_counter("dropped-packet-leasequery-repl-no-circuitid").total(),
        leaf_counter("dropped-packet-leasequery-repl-with-error-code").total(),
        leaf_counter("dropped-packet-leasequery-repl-with-query-term").total(),
        leaf_counter("dropped-packet-older-leasequery-repl").total(),
        leaf_counter("dropped-packet-abort-leasequery-repl").total(),
        leaf_counter("dropped-packet-during-leasequery-repl").total(),
        leaf_counter("dropped-packet-relay-source-no-lpbk-interface").total(),
        leaf_counter("dropped-packet-bad-gi-address").total(),
        leaf_counter("dropped-packet-short-cycle-protect").total(),
        leaf_counter("dropped-packet-invalid-subnet").total(),
        leaf_counter("requested-ip-address-drop").total(),
        leaf_counter("dropped-packet-load-balance-user-plane").total(),
        leaf_counter("dropped-packet-dhcp-service-total")
            .renamed("dropped_packet_dhcp_service")
            .total(),
        leaf_counter("forwarded-packets-total").renamed("forwarded_packets").total(),
        leaf_counter("forwarded-bootrequest-packets").total(),
        leaf_counter("forwarded-bootreply-packets").total(),
    ],
});

static MESSAGES: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "dhcp_messages",
    help: "DHCP messages by type.",
    tags: &["service", "direction", "message"],
    fields: vec![leaf_counter("message-count").renamed("total")],
});

static BINDINGS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "dhcp_server_bindings",
    help: "Bindings of the DHCP server by state.",
    tags: &[],
    fields: vec![
        leaf_gauge("binding-count").renamed("all"),
        leaf_gauge("init-count").renamed("init"),
        leaf_gauge("bound-count").renamed("bound"),
        leaf_gauge("selecting-count").renamed("selecting"),
        leaf_gauge("requesting-count").renamed("requesting"),
        leaf_gauge("renewing-count").renamed("renewing"),
        leaf_gauge("releasing-count").renamed("releasing"),
        leaf_gauge("restore-count").renamed("restore"),
    ],
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
        let words = table.text("message-direction").unwrap_or_default();
        let direction = words.split(' ').nth(1).unwrap_or_default().trim_end_matches(':');
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
