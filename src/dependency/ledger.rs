//! What each dependency has come to since perijove started: bytes, retransmits, when it was first
//! and last seen; and how it is now: round-trip time, connections by state.
//!
//! A row is kept for a while after its last connection, so that its counters are still read, and
//! that a page can show what has vanished. Sums never fall while their row is kept.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use crate::base::inventory::Inventory;
use crate::dependency::map::{Dependencies, Direction, Figures, Own};
use crate::dependency::traffic::{self, Dialect, Traffic};
use crate::dependency::{Process, Protocol, Socket, State, WHO_TAGS};
use crate::point::{
    DEPENDENCY_TAGS, Definition, Measurement, Points, Schema, counter, gauge, joined,
};

/// At most so many rows without a connection are kept, the latest.
const VANISHED_MAX: usize = 2_000;
/// A row is kept for at least this time, as far as there is room: those who read `/metrics` seldom
/// shall find its counters.
const KEPT_LEAST: Duration = Duration::from_secs(300);

/// The labels of a row.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Identity {
    direction: Direction,
    local_hostgroup: Box<str>,
    local_address: Box<str>,
    remote_hostgroup: Box<str>,
    remote_address: Box<str>,
    /// `Host::labels` of the two ends.
    local_labels: Box<str>,
    remote_labels: Box<str>,
    port: u16,
    protocol: Protocol,
    process: Process,
}

#[derive(Debug)]
struct Row {
    totals: Totals,
    /// Of this reading.
    now: Figures,
}

/// What is written of a row.
#[derive(Debug, Default)]
struct Totals {
    /// Whether the kernel counts what its connections carry.
    is_counted: bool,
    /// And which segments it sends again.
    has_segments: bool,
    sent: u64,
    received: u64,
    retransmits: u64,
    rtt_seconds: Option<f64>,
    first_seen_ns: u64,
    last_seen_ns: u64,
}

/// Bytes with a peer, and when some were last counted.
struct Peer {
    bytes: u64,
    last_ns: u64,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long a row is kept that has no connection.
    pub keep: Duration,
    pub rows_max: usize,
    pub peers_max: usize,
}

#[derive(Default)]
pub struct Ledger {
    rows: HashMap<Identity, Row>,
    /// By the machine's address, that of the peer, and direction.
    peers: BTreeMap<(Option<IpAddr>, IpAddr, traffic::Direction), Peer>,
}

const TAGS_OF_CONNECTIONS: &[&str] =
    &joined::<13>(&[&["direction"], &DEPENDENCY_TAGS, &WHO_TAGS, &["state"]]);

/// Those of a dependency: of its connections without their state.
const TAGS: &[&str] = TAGS_OF_CONNECTIONS.split_last().unwrap().1;

fn seconds(ns: u64) -> f64 {
    // Milliseconds are enough, and are whole.
    (ns / 1_000_000) as f64 / 1e3
}

static FIGURES: Measurement<Totals> = Measurement::new(|| Definition {
    name: "perijove_dependency",
    help: "A dependency of this machine, in figures of its TCP connections.",
    tags: TAGS,
    fields: vec![
        counter("sent_bytes_total", "bytes", "Bytes that the peer acknowledged.", |t| {
            t.is_counted.then_some(t.sent)
        }),
        counter("received_bytes_total", "bytes", "Bytes that came from the peer.", |t| {
            t.is_counted.then_some(t.received)
        }),
        counter("retransmits_total", "", "Segments that were sent again.", |t| {
            t.has_segments.then_some(t.retransmits)
        }),
        gauge("rtt_seconds", "s", "Mean of the connections' smoothed round-trip times.", |t| {
            t.rtt_seconds
        }),
        gauge("first_seen_timestamp_seconds", "s", "First reading that had it.", |t| {
            Some(seconds(t.first_seen_ns))
        }),
        gauge("last_seen_timestamp_seconds", "s", "Last reading that had it.", |t| {
            Some(seconds(t.last_seen_ns))
        }),
    ],
});

static CONNECTIONS: Measurement<u64> = Measurement::new(|| Definition {
    name: "perijove_dependency_connections",
    help: "Connections of a dependency of this machine, by state.",
    tags: TAGS_OF_CONNECTIONS,
    fields: vec![gauge("value", "", "Connections in that state now.", |v| Some(*v))],
});

pub const MEASUREMENTS: &[&dyn Schema] = &[&FIGURES, &CONNECTIONS];

impl Ledger {
    /// Before the networks of a reading are added.
    pub fn begin(&mut self) {
        for row in self.rows.values_mut() {
            row.now = Figures::default();
            row.totals.rtt_seconds = None;
        }
    }

    /// Adds the dependencies of a network. How many did not fit.
    pub fn add(&mut self, found: &Dependencies, now_ns: u64, bounds: Bounds) -> u64 {
        let mut dropped = 0;
        for (key, processes) in &found.rows {
            for (process, figures) in processes {
                let identity = Identity {
                    direction: key.direction,
                    local_hostgroup: key.local.hostgroup.into(),
                    local_address: (*key.local.address).into(),
                    remote_hostgroup: key.remote.hostgroup.into(),
                    remote_address: (*key.remote.address).into(),
                    local_labels: key.local.labels.into(),
                    remote_labels: key.remote.labels.into(),
                    port: key.port,
                    protocol: key.protocol,
                    process: (*process).clone(),
                };
                let room = bounds.rows_max.saturating_add(VANISHED_MAX);
                if self.rows.len() >= room && !self.rows.contains_key(&identity) {
                    dropped += 1;
                    continue;
                }
                let new = || {
                    let totals = Totals { first_seen_ns: now_ns, ..Totals::default() };
                    Row { totals, now: Figures::default() }
                };
                self.rows.entry(identity).or_insert_with(new).take(figures, now_ns);
            }
        }
        dropped
    }

    /// Adds up what a network's connections carried, by peer. How many peers did not fit.
    pub fn add_bytes(&mut self, sockets: &[Socket], own: &Own, now_ns: u64, bounds: Bounds) -> u64 {
        use traffic::Direction::{Egress, Ingress};
        let mut dropped = 0;
        for socket in sockets {
            let (Some(tcp), peer) = (&socket.tcp, socket.remote.address) else { continue };
            let is_own = own.has(peer) || peer == socket.local.address;
            for (direction, bytes) in [(Ingress, tcp.received), (Egress, tcp.sent)] {
                if is_own || bytes == 0 {
                    continue;
                }
                let key = (own.primary, peer, direction);
                let is_full = self.peers.len() >= bounds.peers_max.saturating_mul(2);
                if is_full && !self.peers.contains_key(&key) {
                    dropped += 1;
                    continue;
                }
                let peer = self.peers.entry(key).or_insert(Peer { bytes: 0, last_ns: 0 });
                peer.bytes += bytes;
                peer.last_ns = now_ns;
            }
        }
        dropped
    }

    /// Forgets what has long been gone, and the earliest of it sooner if there is no room.
    pub fn forget(&mut self, now_ns: u64, bounds: Bounds) {
        let keep = bounds.keep.max(KEPT_LEAST);
        let mut since = now_ns.saturating_sub(u64::try_from(keep.as_nanos()).unwrap_or(u64::MAX));
        let is_gone = |row: &&Row| row.totals.last_seen_ns < now_ns;
        let mut gone: Vec<u64> =
            self.rows.values().filter(is_gone).map(|row| row.totals.last_seen_ns).collect();
        if gone.len() > VANISHED_MAX {
            let earliest = gone.len() - VANISHED_MAX;
            since = since.max(*gone.select_nth_unstable(earliest - 1).1 + 1);
        }
        self.rows.retain(|_, row| row.totals.last_seen_ns >= since);
        if self.peers.len() >= bounds.peers_max.saturating_mul(2) {
            // Makes room for a quarter of them.
            let mut times: Vec<u64> = self.peers.values().map(|peer| peer.last_ns).collect();
            let quarter = times.len() / 4;
            let since = (*times.select_nth_unstable(quarter).1 + 1).min(now_ns);
            self.peers.retain(|_, peer| peer.last_ns >= since);
        }
    }

    /// Makes points of all rows; `full` may take them after each.
    pub fn points(
        &self,
        inventory: &Inventory,
        points: &mut Points,
        full: &mut dyn FnMut(&mut Points),
    ) {
        for (identity, row) in &self.rows {
            let labels = inventory.labels(&identity.local_labels, &identity.remote_labels);
            let port = identity.port.to_string();
            let [unit, container_id, container_name, pod_uid] = identity.process.who.labels();
            let mut tags = [
                identity.direction.name(),
                &identity.local_hostgroup,
                &identity.local_address,
                &identity.remote_hostgroup,
                &identity.remote_address,
                &port,
                identity.protocol.name(),
                &identity.process.name,
                unit,
                container_id,
                container_name,
                pod_uid,
                "",
            ];
            points.push_labelled(&FIGURES, &tags[..TAGS.len()], &labels, &row.totals);
            for (state, number) in State::ALL.into_iter().zip(row.now.states) {
                if number > 0 && state != State::Ended {
                    tags[TAGS.len()] = state.name();
                    points.push_labelled(&CONNECTIONS, &tags, &labels, &u64::from(number));
                }
            }
            full(points);
        }
    }

    /// Makes points of the peers' bytes, under darkstat's name.
    pub fn byte_points(
        &self,
        as_gauge: bool,
        inventory: &Inventory,
        points: &mut Points,
        full: &mut dyn FnMut(&mut Points),
    ) {
        let mut by_own: BTreeMap<Option<IpAddr>, Traffic> = BTreeMap::new();
        for ((primary, peer, direction), sum) in &self.peers {
            by_own.entry(*primary).or_default().set(*peer, *direction, sum.bytes);
        }
        for (primary, traffic) in by_own {
            let own = Own { primary, ..Own::default() };
            traffic.points(Dialect::Darkstat, as_gauge, &own, inventory, points, full);
        }
    }
}

impl Row {
    fn take(&mut self, figures: &Figures, now_ns: u64) {
        self.now.join(figures);
        let totals = &mut self.totals;
        totals.is_counted |= figures.counted > 0;
        totals.has_segments |= figures.with_segments > 0;
        totals.sent = totals.sent.saturating_add(figures.sent);
        totals.received = totals.received.saturating_add(figures.received);
        totals.retransmits = totals.retransmits.saturating_add(figures.retransmits);
        totals.last_seen_ns = now_ns;
        if self.now.rtts > 0 {
            let mean_us = self.now.rtt_us as f64 / f64::from(self.now.rtts);
            totals.rtt_seconds = Some(mean_us.round() / 1e6);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dependency::map::{Key, Label};
    use crate::dependency::{Endpoint, Tcp};

    const BOUNDS: Bounds =
        Bounds { keep: Duration::from_secs(3600), rows_max: 1000, peers_max: 10 };
    static APP: std::sync::LazyLock<Process> =
        std::sync::LazyLock::new(|| std::sync::Arc::unwrap_or_clone(Process::named("app")));
    const SECOND: u64 = 1_000_000_000;

    /// A reading of one row for each of these ports, whose connections sent so much.
    fn reading(ports: impl IntoIterator<Item = u16>, sent: u64) -> Dependencies<'static> {
        let label =
            |address: &'static str| Label { hostgroup: "", address: address.into(), labels: "" };
        let mut states = [0; State::ALL.len()];
        states[State::Connected as usize] = 2;
        let figures =
            Figures { states, counted: 2, sent, rtt_us: 300, rtts: 2, ..Figures::default() };
        let row = |port| {
            let (local, remote) = (label("10.0.0.2"), label("10.0.0.9"));
            let direction = Direction::Upstream;
            let key = Key { direction, local, remote, port, protocol: Protocol::Tcp };
            (key, [(&*APP, figures.clone())].into())
        };
        Dependencies { rows: ports.into_iter().map(row).collect(), ..Dependencies::default() }
    }

    fn run(ledger: &mut Ledger, found: &Dependencies, now_ns: u64) -> Vec<String> {
        ledger.begin();
        assert_eq!(ledger.add(found, now_ns, BOUNDS), 0);
        ledger.forget(now_ns, BOUNDS);
        shown(|points| ledger.points(&Inventory::default(), points, &mut |_| ()))
    }

    fn shown(make: impl FnOnce(&mut Points)) -> Vec<String> {
        let mut points = Points::default();
        make(&mut points);
        let mut all: Vec<String> = points
            .iter()
            .map(|point| {
                let tag = |name| point.tags().find(|(n, _)| *n == name).map_or("", |(_, v)| v);
                let fields = point.fields().map(|(_, info, value)| match value {
                    crate::point::Value::Integer(value) => format!(" {}={value}", info.name),
                    value => format!(" {}={value:?}", info.name),
                });
                let fields: String = fields.collect();
                format!("{} {}{}{fields}", tag("port"), tag("state"), tag("remote_ip"))
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn sums_stay_and_grow_while_a_row_comes_and_goes() {
        let mut ledger = Ledger::default();
        let sent = |rows: &[String]| -> Vec<String> {
            let words = rows.iter().flat_map(|row| row.split(' '));
            words
                .filter(|word| word.starts_with("sent") || word.starts_with("rtt"))
                .map(String::from)
                .collect()
        };
        let first = run(&mut ledger, &reading([443], 70), 10 * SECOND);
        assert_eq!(sent(&first), ["sent_bytes_total=70", "rtt_seconds=Decimal(0.00015)"]);
        assert_eq!(first[1], "443 established value=2");
        assert!(first[0].contains("first_seen_timestamp_seconds=Decimal(10.0)"), "{first:?}");
        // Nothing is there now; what there was stays.
        let gone = run(&mut ledger, &reading([], 0), 17 * SECOND);
        assert_eq!((gone.len(), sent(&gone)), (1, vec!["sent_bytes_total=70".to_string()]));
        let again = run(&mut ledger, &reading([443], 5), 24 * SECOND);
        assert_eq!(sent(&again)[0], "sent_bytes_total=75");
        assert!(again[0].contains("first_seen_timestamp_seconds=Decimal(10.0)"), "{again:?}");
        assert!(again[0].contains("last_seen_timestamp_seconds=Decimal(24.0)"), "{again:?}");
        // Until it has long been gone.
        assert_eq!(run(&mut ledger, &reading([], 0), 3624 * SECOND).len(), 1);
        assert_eq!(run(&mut ledger, &reading([], 0), 3625 * SECOND).len(), 0);
    }

    /// As FreeBSD has it.
    #[test]
    fn segments_may_be_counted_where_bytes_are_not() {
        let mut ledger = Ledger::default();
        let mut found = reading([443], 0);
        for figures in found.rows.values_mut().flat_map(|row| row.values_mut()) {
            *figures = Figures { counted: 0, with_segments: 2, retransmits: 3, ..figures.clone() };
            (figures.rtt_us, figures.rtts) = (0, 0);
        }
        let rows = run(&mut ledger, &found, 10 * SECOND);
        assert!(rows[0].starts_with("443  retransmits_total=3 first_seen"), "{rows:?}");
    }

    #[test]
    fn rows_that_come_and_go_all_the_time_are_bounded() {
        let mut ledger = Ledger::default();
        let ports = |of: u64| (of as u16 * 500)..(of as u16 + 1) * 500;
        for of in 0..100 {
            run(&mut ledger, &reading(ports(of), 1), of * SECOND);
            assert!(ledger.rows.len() <= VANISHED_MAX + 500, "{}", ledger.rows.len());
        }
        // The latest are those that are kept.
        assert_eq!(ledger.rows.len(), VANISHED_MAX + 500);
        assert!(ledger.rows.keys().all(|row| row.port >= 95 * 500));
        // More at once than there is room for.
        ledger.begin();
        let bounds = Bounds { rows_max: 0, ..BOUNDS };
        assert_eq!(ledger.add(&reading(0..600, 1), 200 * SECOND, bounds), 600);
    }

    #[test]
    fn bytes_by_peer_never_fall_and_are_bounded() {
        let own = Own { addresses: ["10.0.0.2".parse().unwrap()].into(), primary: None };
        let carried = |peer: &str, sent, received| {
            let end = |address: &str| Endpoint::new(address.parse().unwrap(), 443);
            let (local, remote) = (end("10.0.0.2"), end(peer));
            let (cookie, has_bytes) = (1, true);
            let tcp = Tcp { cookie, has_bytes, sent, received, rtt_us: 0, retransmits: 0 };
            let (protocol, state) = (Protocol::Tcp, State::FinWait2);
            Socket { protocol, state, local, remote, process: None, tcp: Some(tcp) }
        };
        let mut ledger = Ledger::default();
        let mut run = |sockets: &[Socket], second: u64| {
            let dropped = ledger.add_bytes(sockets, &own, second * SECOND, BOUNDS);
            ledger.forget(second * SECOND, BOUNDS);
            let inventory = Inventory::default();
            let all = shown(|points| ledger.byte_points(false, &inventory, points, &mut |_| ()));
            (all, dropped)
        };
        let rows = |words: &[&str]| words.iter().map(|w| format!(" {w}")).collect::<Vec<_>>();
        let first =
            [carried("10.0.0.9", 3, 0), carried("10.0.0.9", 4, 100), carried("10.0.0.2", 9, 9)];
        let expected = rows(&["10.0.0.9 bytes_total=100", "10.0.0.9 bytes_total=7"]);
        assert_eq!(run(&first, 1), (expected.clone(), 0));
        assert_eq!(run(&[], 2), (expected, 0));
        let expected = rows(&["10.0.0.9 bytes_total=100", "10.0.0.9 bytes_total=8"]);
        assert_eq!(run(&[carried("10.0.0.9", 1, 0)], 3), (expected, 0));
        // Whoever was heard of last stays; those that there is no room for are counted.
        let many: Vec<Socket> = (0..20).map(|n| carried(&format!("10.1.0.{n}"), 1, 1)).collect();
        let (left, dropped) = run(&many, 4);
        assert_eq!((left.len(), dropped), (18, 22));
        assert!(!left.iter().any(|row| row.contains("10.0.0.9")), "{left:?}");
    }
}
