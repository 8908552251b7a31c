//! MACsec: connections by interface, and what their channels and associations carry.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::distinct::Distinct;
use crate::collector::outcome::Answered;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Field, Kind, Measurement, Points, Schema, counter, gauge, named};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, is, known_state, sum};

/// Both replies are flat: each interface is followed by its channels and associations. Counters
/// that occur several times are added up.
#[derive(Default)]
pub struct Macsec {
    /// The interface whose channels are being read.
    connection: Option<Connection>,
    statistics: Option<Statistics>,
    /// Channels to send in that were met.
    met: Distinct,
}

/// What an interface of a Routing Engine sent and received.
#[derive(Default)]
struct Statistics {
    re_name: String,
    interface: String,
    totals: Totals,
}

/// By the field's name.
type Totals = BTreeMap<&'static str, Option<u64>>;

static CONNECTION: Measurement<Connection> = Measurement::new(|| Definition {
    name: "macsec",
    help: "A connectivity association of an interface.",
    tags: &["interface", "ca"],
    fields: vec![
        counter("interface_transmit_packet_count", "packets", "Number of the last packet.", |c| {
            c.outgoing_packets
        }),
        gauge("tx_channel_status", "", "1 if an association to send in is in use.", |c| c.in_use),
        gauge("sci", "", "Whether packets have the SCI: no 0, yes 1, other 2.", |c| {
            switch(&c.include_sci, "no", "yes")
        }),
        gauge("replay_protect", "", "Replay protection: off 0, on 1, other 2.", |c| {
            switch(&c.replay_protect, "off", "on")
        }),
        gauge("key_server_offset", "bytes", "How much is left unencrypted.", |c| c.offset),
        gauge("encryption", "", "Encryption: off 0, on 1, other 2.", |c| {
            switch(&c.encryption, "off", "on")
        }),
    ],
});

static STATISTICS: Measurement<Totals> = Measurement::new(|| Definition {
    name: "macsec",
    help: "What an interface sent and received with MACsec.",
    tags: &["interface"],
    fields: vec![
        count(CHANNEL_SENT[0].1, "packets", "Encrypted, by channels."),
        count(CHANNEL_SENT[1].1, "bytes", "Encrypted, by channels."),
        count(CHANNEL_SENT[2].1, "packets", "Protected but not encrypted, by channels."),
        count(CHANNEL_SENT[3].1, "bytes", "Protected but not encrypted, by channels."),
        count(ASSOCIATION_SENT[0].1, "packets", "Encrypted, by associations."),
        count(ASSOCIATION_SENT[1].1, "packets", "Protected but not encrypted, by associations."),
        count(CHANNEL_RECEIVED[0].1, "packets", "Accepted, by channels."),
        count(CHANNEL_RECEIVED[1].1, "bytes", "Validated, by channels."),
        count(CHANNEL_RECEIVED[2].1, "bytes", "Decrypted, by channels."),
        count(ASSOCIATION_RECEIVED[0].1, "packets", "Accepted, by associations."),
        count(ASSOCIATION_RECEIVED[1].1, "bytes", "Validated, by associations."),
        count(ASSOCIATION_RECEIVED[2].1, "bytes", "Decrypted, by associations."),
    ],
});

/// Elements and their fields.
type Counters = &'static [(&'static str, &'static str)];

const CHANNEL_SENT: Counters = &[
    ("encrypted-packets", "statistics_secure_channel_tx_encrypted_packets_count"),
    ("encrypted-bytes", "statistics_secure_channel_tx_encrypted_bytes_count"),
    ("protected-packets", "statistics_secure_channel_tx_protected_packets_count"),
    ("protected-bytes", "statistics_secure_channel_tx_protected_bytes_count"),
];
const ASSOCIATION_SENT: Counters = &[
    ("encrypted-packets", "statistics_secure_association_tx_encrypted_packets_count"),
    ("protected-packets", "statistics_secure_association_tx_protected_packets_count"),
];
const CHANNEL_RECEIVED: Counters = &[
    ("ok-packets", "statistics_secure_channel_rx_accepted_packets_count"),
    ("validated-bytes", "secure_channel_rx_validated_bytes_count"),
    ("decrypted-bytes", "secure_channel_rx_decrypted_bytes_count"),
];
const ASSOCIATION_RECEIVED: Counters = &[
    ("ok-packets", "statistics_secure_association_rx_accepted_packets_count"),
    ("validated-bytes", "statistics_secure_association_rx_validated_bytes_count"),
    ("decrypted-bytes", "statistics_secure_association_rx_decrypted_bytes_count"),
];
const PARTS: [Counters; 4] =
    [CHANNEL_SENT, ASSOCIATION_SENT, CHANNEL_RECEIVED, ASSOCIATION_RECEIVED];

fn count(name: &'static str, unit: &'static str, help: &'static str) -> Field<Totals> {
    named(Kind::Counter, name, unit, help, name, |totals, name| *totals.get(name)?)
}

impl Collector for Macsec {
    const NAME: &'static str = "macsec";
    const HELP: &'static str =
        "MACsec: connections by interface, and what their channels and associations carry.";
    const QUERIES: &'static [Query<Macsec>] = &[
        Query {
            rpc: Rpc::Once("<get-macsec-connection-information/>"),
            command: "show security macsec connections",
            roots: &["macsec-connection-information"],
            items: &[
                item::<_, Connection>("macsec-interface-common-information"),
                item::<_, Outbound>("outbound-secure-channel"),
            ],
        },
        Query {
            rpc: Rpc::Once("<get-macsec-statistics/>"),
            command: "show security macsec statistics",
            roots: &["macsec-statistics"],
            items: &[
                item::<_, Part<0>>("secure-channel-sent"),
                item::<_, Part<1>>("secure-association-sent"),
                item::<_, Part<2>>("secure-channel-received"),
                item::<_, Part<3>>("secure-association-received"),
            ],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&CONNECTION, &STATISTICS];

    fn finish(&mut self, _: Answered, points: &mut Points) {
        push_connection(self.connection.take(), points);
        push_statistics(self.statistics.take(), points);
    }
}

/// Pushes an interface once all of its channels are read.
fn push_connection(connection: Option<Connection>, points: &mut Points) {
    let Some(connection) = connection else { return };
    points.set_re_name(&connection.re_name);
    let ca = &connection.connectivity_association_name;
    points.push(&CONNECTION, &[&connection.interface_name, ca], &connection);
}

fn push_statistics(statistics: Option<Statistics>, points: &mut Points) {
    let Some(Statistics { re_name, interface, totals }) = statistics else { return };
    points.set_re_name(&re_name);
    points.push(&STATISTICS, &[&interface], &totals);
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Connection {
    interface_name: String,
    #[serde(default)]
    connectivity_association_name: String,
    encryption: Option<String>,
    offset: Option<u64>,
    include_sci: Option<String>,
    replay_protect: Option<String>,
    #[serde(skip)]
    re_name: String,
    #[serde(skip)]
    outgoing_packets: Option<u64>,
    #[serde(skip)]
    in_use: Option<u64>,
}

fn switch(state: &Option<String>, off: &str, on: &str) -> Option<u64> {
    Some(known_state(state.as_deref()?, &[(off, 0), (on, 1)]).unwrap_or(2))
}

impl Item<Macsec> for Connection {
    fn points(mut self, macsec: &mut Macsec, scope: &Scope, points: &mut Points) {
        self.re_name = scope.get("re-name").unwrap_or_default().to_string();
        push_connection(macsec.connection.replace(self), points);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Outbound {
    #[serde(default)]
    sci: String,
    outgoing_packet_number: Option<u64>,
    #[serde(default)]
    outbound_secure_association: Vec<Association>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Association {
    association_number_status: Option<String>,
}

impl Item<Macsec> for Outbound {
    fn points(self, macsec: &mut Macsec, _: &Scope, _: &mut Points) {
        let Some(connection) = &mut macsec.connection else { return };
        let of = format!("{} {}", connection.re_name, connection.interface_name);
        if !macsec.met.is_new(&of, &[&self.sci]) {
            return;
        }
        sum(&mut connection.outgoing_packets, self.outgoing_packet_number);
        for association in &self.outbound_secure_association {
            let in_use =
                is(association.association_number_status.as_deref(), &["inuse"], &["not-inuse"]);
            connection.in_use = connection.in_use.max(in_use);
        }
    }
}

/// An element of `PARTS[PART]`.
#[derive(Deserialize)]
struct Part<const PART: usize>(Leaves);

impl<const PART: usize> Item<Macsec> for Part<PART> {
    fn points(self, macsec: &mut Macsec, scope: &Scope, points: &mut Points) {
        // The last interface of the previous reply.
        push_connection(macsec.connection.take(), points);
        let [re_name, interface] =
            ["re-name", "interface-name"].map(|name| scope.get(name).unwrap_or_default());
        let is_same = |of: &Statistics| (&*of.re_name, &*of.interface) == (re_name, interface);
        if !macsec.statistics.as_ref().is_some_and(is_same) {
            let (re_name, interface) = (re_name.to_string(), interface.to_string());
            let next = Statistics { re_name, interface, totals: Totals::default() };
            push_statistics(macsec.statistics.replace(next), points);
        }
        let Some(Statistics { totals, .. }) = &mut macsec.statistics else { return };
        for (element, field) in PARTS[PART] {
            sum(totals.entry(field).or_default(), self.0.integer(element));
        }
    }
}
