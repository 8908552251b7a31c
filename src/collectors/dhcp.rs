//! DHCP server and relay: messages, drops, bindings.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, Settings, item};
use crate::items::Scope;
use crate::point::{Measurement, Points, Schema};
use crate::reply::{Leaves, counter, level};

pub struct Dhcp;

static STATISTICS: Measurement<Leaves> = Measurement {
    name: "dhcp_statistics",
    help: "What the DHCP server or relay dropped, by reason, and forwarded.",
    tags: &["service"],
    fields: &[
        counter!("dropped-packet-total"),
        counter!("dropped-packet-bad-hardware"),
        counter!("dropped-packet-bootp-packet"),
        counter!("dropped-packet-bad-bootp-opcode"),
        counter!("dropped-packet-bad-options"),
        counter!("dropped-packet-invalid-server-address"),
        counter!("dropped-packet-no-addresses"),
        counter!("dropped-packet-no-interface-cfg"),
        counter!("dropped-packet-no-local-address"),
        counter!("dropped-packet-too-short"),
        counter!("dropped-packet-send-error"),
        counter!("dropped-packet-option-60"),
        counter!("dropped-packet-relay-option"),
        counter!("dropped-packet-option-82"),
        counter!("dropped-packet-authentication"),
        counter!("dropped-packet-dynamic-profile"),
        counter!("dropped-packet-license"),
        counter!("dropped-packet-bad-dhcp-opcode"),
        counter!("dropped-packet-no-options"),
        counter!("dropped-packet-hop-limit"),
        counter!("dropped-packet-wait-time"),
        counter!("dropped-packet-ttl-expired"),
        counter!("dropped-packet-bad-udp-checksum"),
        counter!("dropped-packet-inactive-vlan"),
        counter!("dropped-packet-event-rate-analyzer"),
        counter!("dropped-packet-client-lookup"),
        counter!("dropped-packet-proxy-no-server-addr"),
        counter!("lease-time-violations-drop"),
        counter!("dropped-packet-leasequery-repl-no-circuitid"),
        counter!("dropped-packet-leasequery-repl-with-error-code"),
        counter!("dropped-packet-leasequery-repl-with-query-term"),
        counter!("dropped-packet-older-leasequery-repl"),
        counter!("dropped-packet-abort-leasequery-repl"),
        counter!("dropped-packet-during-leasequery-repl"),
        counter!("dropped-packet-relay-source-no-lpbk-interface"),
        counter!("dropped-packet-bad-gi-address"),
        counter!("dropped-packet-short-cycle-protect"),
        counter!("dropped-packet-invalid-subnet"),
        counter!("requested-ip-address-drop"),
        counter!("dropped-packet-load-balance-user-plane"),
        counter!("dropped-packet-dhcp-service-total"),
        counter!("forwarded-packets-total"),
        counter!("forwarded-bootrequest-packets"),
        counter!("forwarded-bootreply-packets"),
    ],
};

static MESSAGES: Measurement<Leaves> = Measurement {
    name: "dhcp_messages",
    help: "DHCP messages by type.",
    tags: &["service", "direction", "message"],
    fields: &[counter!("count" = "message-count")],
};

static BINDINGS: Measurement<Leaves> = Measurement {
    name: "dhcp_server_bindings",
    help: "Bindings of the DHCP server by state.",
    tags: &[],
    fields: &[
        level!("binding-count"),
        level!("init-count"),
        level!("bound-count"),
        level!("selecting-count"),
        level!("requesting-count"),
        level!("renewing-count"),
        level!("releasing-count"),
        level!("restore-count"),
    ],
};

impl Collector for Dhcp {
    const NAME: &'static str = "dhcp";
    const HELP: &'static str = "DHCP server and relay: messages, drops, bindings.";
    const ADVICE: &'static str = "60s: the bindings are counted anew each time.";
    const QUERIES: &'static [Query<Dhcp>] = &[
        Query {
            rpc: Rpc::Once("<get-dhcp-server-statistics-information/>"),
            command: "show dhcp server statistics",
            roots: &["dhcp-server-statistics-information"],
            items: &[item::<Dhcp, Server>("dhcp-server-statistics-information")],
        },
        Query {
            rpc: Rpc::Once("<get-dhcp-relay-statistics-information/>"),
            command: "show dhcp relay statistics",
            roots: &["dhcp-relay-statistics-information"],
            items: &[item::<Dhcp, Relay>("dhcp-relay-statistics-information")],
        },
        Query {
            rpc: Rpc::Once(
                "<get-dhcp-server-binding-information><summary/>\
                 </get-dhcp-server-binding-information>",
            ),
            command: "show dhcp server binding summary",
            roots: &["dhcp-server-binding-information"],
            items: &[item::<Dhcp, Bindings>("binding-summary")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&STATISTICS, &MESSAGES, &BINDINGS];

    fn new(_: &Settings) -> Dhcp {
        Dhcp
    }
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
