//! DHCP server and relay: messages, drops, bindings.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Measurement, Points, Schema};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, counter, level, total};

#[derive(Default)]
pub struct Dhcp;

static STATISTICS: Measurement<Leaves> = Measurement {
    name: "dhcp_statistics",
    help: "What the DHCP server or relay dropped, by reason, and forwarded.",
    tags: &["service"],
    fields: &[
        total!("dropped-packet" = "dropped-packet-total"),
        total!("dropped-packet-bad-hardware"),
        total!("dropped-packet-bootp-packet"),
        total!("dropped-packet-bad-bootp-opcode"),
        total!("dropped-packet-bad-options"),
        total!("dropped-packet-invalid-server-address"),
        total!("dropped-packet-no-addresses"),
        total!("dropped-packet-no-interface-cfg"),
        total!("dropped-packet-no-local-address"),
        total!("dropped-packet-too-short"),
        total!("dropped-packet-send-error"),
        total!("dropped-packet-option-60"),
        total!("dropped-packet-relay-option"),
        total!("dropped-packet-option-82"),
        total!("dropped-packet-authentication"),
        total!("dropped-packet-dynamic-profile"),
        total!("dropped-packet-license"),
        total!("dropped-packet-bad-dhcp-opcode"),
        total!("dropped-packet-no-options"),
        total!("dropped-packet-hop-limit"),
        total!("dropped-packet-wait-time"),
        total!("dropped-packet-ttl-expired"),
        total!("dropped-packet-bad-udp-checksum"),
        total!("dropped-packet-inactive-vlan"),
        total!("dropped-packet-event-rate-analyzer"),
        total!("dropped-packet-client-lookup"),
        total!("dropped-packet-proxy-no-server-addr"),
        total!("lease-time-violations-drop"),
        total!("dropped-packet-leasequery-repl-no-circuitid"),
        total!("dropped-packet-leasequery-repl-with-error-code"),
        total!("dropped-packet-leasequery-repl-with-query-term"),
        total!("dropped-packet-older-leasequery-repl"),
        total!("dropped-packet-abort-leasequery-repl"),
        total!("dropped-packet-during-leasequery-repl"),
        total!("dropped-packet-relay-source-no-lpbk-interface"),
        total!("dropped-packet-bad-gi-address"),
        total!("dropped-packet-short-cycle-protect"),
        total!("dropped-packet-invalid-subnet"),
        total!("requested-ip-address-drop"),
        total!("dropped-packet-load-balance-user-plane"),
        total!("dropped-packet-dhcp-service" = "dropped-packet-dhcp-service-total"),
        total!("forwarded-packets" = "forwarded-packets-total"),
        total!("forwarded-bootrequest-packets"),
        total!("forwarded-bootreply-packets"),
    ],
};

static MESSAGES: Measurement<Leaves> = Measurement {
    name: "dhcp_messages",
    help: "DHCP messages by type.",
    tags: &["service", "direction", "message"],
    fields: &[counter!("total" = "message-count")],
};

static BINDINGS: Measurement<Leaves> = Measurement {
    name: "dhcp_server_bindings",
    help: "Bindings of the DHCP server by state.",
    tags: &[],
    fields: &[
        level!("all" = "binding-count"),
        level!("init" = "init-count"),
        level!("bound" = "bound-count"),
        level!("selecting" = "selecting-count"),
        level!("requesting" = "requesting-count"),
        level!("renewing" = "renewing-count"),
        level!("releasing" = "releasing-count"),
        level!("restore" = "restore-count"),
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
