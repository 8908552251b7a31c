//! Bytes for each peer, from the counters of darkstat and ebpf_exporter.
//!
//! A peer's rows are added up: darkstat has one for each interface, ebpf_exporter one for each
//! process and port, and the labels have neither. ebpf_exporter's table forgets rows when it is
//! full, so a peer's sum there is made of what each of its rows has grown by.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::io::Read;
use std::net::IpAddr;

use crate::base::inventory::Inventory;
use crate::dependency::exposition_text::{self, Labels, Tally};
use crate::dependency::map::Own;
use crate::dependency::status::Lack;
use crate::point::{Definition, Field, Measurement, Points, Schema, counter, gauge};

/// Which way bytes go, as the machine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    Ingress,
    Egress,
    /// darkstat reports neither.
    Unknown,
}

impl Direction {
    fn name(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
            Direction::Unknown => "",
        }
    }
}

/// What is read of a text, and from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Darkstat,
    Ebpf,
}

const DARKSTAT: &[&str] = &["host_bytes_total"];
const EBPF: &[&str] = &[
    "ebpf_exporter_ipv4_recv_bytes",
    "ebpf_exporter_ipv6_recv_bytes",
    "ebpf_exporter_ipv4_send_bytes",
    "ebpf_exporter_ipv6_send_bytes",
    "ebpf_exporter_ipv4_recv_bytes_total",
    "ebpf_exporter_ipv6_recv_bytes_total",
    "ebpf_exporter_ipv4_send_bytes_total",
    "ebpf_exporter_ipv6_send_bytes_total",
];

impl Dialect {
    /// What an answer without a single row lacks.
    pub fn empty(self) -> Lack {
        let why = match self {
            Dialect::Darkstat => "darkstat answers, but has seen no other host",
            Dialect::Ebpf => {
                "ebpf_exporter answers, but has no row of another host in ipv4_recv_bytes, \
                 ipv4_send_bytes, ipv6_recv_bytes or ipv6_send_bytes"
            }
        };
        Lack { kind: "rows".into(), why: why.into() }
    }
}

/// All names of an ebpf_exporter begin so; it has no family for an empty table. darkstat has its
/// own at any time.
const EBPF_SIGN: &str = "ebpf_exporter_";

/// What is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub bytes_max: usize,
    pub peers_max: usize,
}

/// Bytes by peer and direction.
#[derive(Debug, Default)]
pub struct Traffic {
    bytes: BTreeMap<(IpAddr, Direction), u64>,
    /// Rows left out because there were `peers_max` already.
    pub dropped: u64,
    pub tally: Tally,
}

/// So many rows of ebpf_exporter are remembered; more are left out and counted.
const ROWS_MAX: usize = 200_000;
/// A row that is missing from so many answers is forgotten. One that comes back sooner may never
/// have been gone: its exporter could not read that table.
const MISSING_READINGS: u64 = 10;

/// What ebpf_exporter's rows had when they were last seen, and what their peers' sums came to.
#[derive(Default)]
pub struct Grown {
    readings: u64,
    /// By the hash of a row's name and labels: its bytes, and the reading that it was last in.
    rows: HashMap<u64, (u64, u64)>,
    sums: HashMap<(IpAddr, Direction), u64>,
    hashes: RandomState,
}

impl Grown {
    /// By how much a row has grown; `None` if there is no room for another.
    fn row(&mut self, family: usize, labels: &Labels, bytes: u64) -> Option<u64> {
        let mut hash = self.hashes.build_hasher();
        family.hash(&mut hash);
        for label in labels.iter() {
            label.hash(&mut hash);
        }
        let hash = hash.finish();
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&hash) {
            return None;
        }
        let (before, reading) = self.rows.entry(hash).or_default();
        // A row with less than before is a new one, from nothing.
        let growth = bytes.checked_sub(*before).unwrap_or(bytes);
        (*before, *reading) = (bytes, self.readings);
        Some(growth)
    }

    /// Turns what the peers' rows have grown by into their sums. A peer without rows keeps its sum
    /// while there is room.
    fn sum(&mut self, bytes: &mut BTreeMap<(IpAddr, Direction), u64>, peers_max: usize) {
        for (peer, bytes) in bytes.iter_mut() {
            let sum = self.sums.entry(*peer).or_default();
            *sum = sum.saturating_add(*bytes);
            *bytes = *sum;
        }
        if self.sums.len() > peers_max.saturating_mul(2) {
            self.sums.retain(|peer, _| bytes.contains_key(peer));
        }
    }

    /// Forgets rows that have long been missing, and sooner if there is no room left.
    fn forget(&mut self) {
        let kept = if self.rows.len() < ROWS_MAX { MISSING_READINGS } else { 0 };
        self.rows.retain(|_, (_, reading)| *reading + kept >= self.readings);
        self.readings += 1;
    }
}

/// The labels of planet-exporter's traffic.
pub const TAGS: &[&str] = &[
    "direction",
    "local_hostgroup",
    "local_domain",
    "remote_hostgroup",
    "remote_domain",
    "remote_ip",
];

/// Counters, and the gauges that planet-exporter says they are.
static DARKSTAT_TRAFFIC: [Measurement<u64>; 2] = [
    Measurement::new(|| table("planet_traffic", DARKSTAT_HELP, counter)),
    Measurement::new(|| table("planet_traffic", DARKSTAT_HELP, gauge)),
];

static EBPF_TRAFFIC: [Measurement<u64>; 2] = [
    Measurement::new(|| table("planet_ebpf_traffic", EBPF_HELP, counter)),
    Measurement::new(|| table("planet_ebpf_traffic", EBPF_HELP, gauge)),
];

type Get = fn(&u64) -> Option<u64>;
type Kind = fn(&'static str, &'static str, &'static str, Get) -> Field<u64>;

fn table(name: &'static str, help: &'static str, kind: Kind) -> Definition<u64> {
    let fields = vec![kind("bytes_total", "bytes", help, |v| Some(*v))];
    Definition { name, help, tags: TAGS, fields }
}

const DARKSTAT_HELP: &str = "Total network traffic with peers";
const EBPF_HELP: &str = "Total network traffic with peers from ebpf_exporter";

/// What traffic gives, for the reference.
pub const MEASUREMENTS: &[&dyn Schema] = &[&DARKSTAT_TRAFFIC[0], &EBPF_TRAFFIC[0]];

impl Traffic {
    /// Reads the bytes of all peers but the machine itself; `grown` is of the readings before.
    pub fn read(
        input: impl Read,
        dialect: Dialect,
        own: &Own,
        bounds: Bounds,
        grown: &mut Grown,
    ) -> Result<Traffic, String> {
        let (families, sign) = match dialect {
            Dialect::Darkstat => (DARKSTAT, DARKSTAT[0]),
            Dialect::Ebpf => (EBPF, EBPF_SIGN),
        };
        let mut traffic = Traffic::default();
        let mut wrong = Tally::default();
        let read =
            exposition_text::read(input, families, sign, bounds.bytes_max, |family, labels, v| {
                let (peer, direction) = match dialect {
                    Dialect::Darkstat => (labels.get("ip"), darkstat_direction(labels.get("dir"))),
                    Dialect::Ebpf if family % 4 < 2 => (labels.get("daddr"), Direction::Ingress),
                    Dialect::Ebpf => (labels.get("daddr"), Direction::Egress),
                };
                let address = peer.and_then(|peer| peer.parse::<IpAddr>().ok());
                let (Some(address), true) = (address, v.is_finite() && v >= 0.0) else {
                    wrong.rejected += 1;
                    let why = || format!("{} of peer `{}`", v, peer.unwrap_or_default());
                    wrong.first_rejected.get_or_insert_with(why);
                    return;
                };
                let address = address.to_canonical();
                if own.addresses.contains(&address) {
                    return;
                }
                let bytes = match dialect {
                    Dialect::Darkstat => Some(v as u64),
                    Dialect::Ebpf => grown.row(family, labels, v as u64),
                };
                match bytes {
                    Some(bytes) => traffic.add(address, direction, bytes, bounds.peers_max),
                    None => traffic.dropped += 1,
                }
            });
        if dialect == Dialect::Ebpf {
            // Of an answer that breaks off, too: its rows' growth is not seen again.
            grown.sum(&mut traffic.bytes, bounds.peers_max);
        }
        let tally = read?;
        grown.forget();
        if !tally.is_there {
            return Err(format!("there is no {sign} in what it answers"));
        }
        traffic.tally = tally;
        traffic.tally.rejected += wrong.rejected;
        traffic.tally.first_rejected = traffic.tally.first_rejected.or(wrong.first_rejected);
        Ok(traffic)
    }

    fn add(&mut self, address: IpAddr, direction: Direction, bytes: u64, peers_max: usize) {
        let is_full = self.bytes.len() >= peers_max.saturating_mul(2);
        if let Some(sum) = self.bytes.get_mut(&(address, direction)) {
            *sum = sum.saturating_add(bytes);
        } else if is_full {
            self.dropped += 1;
        } else {
            self.bytes.insert((address, direction), bytes);
        }
    }

    /// Sets what was counted elsewhere.
    pub fn set(&mut self, peer: IpAddr, direction: Direction, bytes: u64) {
        self.bytes.insert((peer, direction), bytes);
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Makes points of all peers, as gauges where that is wanted; `full` may take them after each.
    pub fn points(
        &self,
        dialect: Dialect,
        as_gauge: bool,
        own: &Own,
        inventory: &Inventory,
        points: &mut Points,
        full: &mut dyn FnMut(&mut Points),
    ) {
        let tables: &'static [Measurement<u64>; 2] = match dialect {
            Dialect::Darkstat => &DARKSTAT_TRAFFIC,
            Dialect::Ebpf => &EBPF_TRAFFIC,
        };
        let measurement = &tables[usize::from(as_gauge)];
        let local = own.primary.map(|address| inventory.host(address)).unwrap_or_default();
        // Like the local_address of a dependency: the domain, or the address itself.
        let address = own.primary.map(|address| address.to_string()).unwrap_or_default();
        let local_domain = if local.domain.is_empty() { &address } else { local.domain };
        for ((peer, direction), bytes) in &self.bytes {
            let remote = inventory.host(*peer);
            let labels = inventory.labels(local.labels, remote.labels);
            let remote_ip = peer.to_string();
            let tags = [
                direction.name(),
                local.hostgroup,
                local_domain,
                remote.hostgroup,
                remote.domain,
                &*remote_ip,
            ];
            points.push_labelled(measurement, &tags, &labels, bytes);
            full(points);
        }
    }
}

/// darkstat counts from the peer's side: what the peer sent is ingress here.
fn darkstat_direction(dir: Option<&str>) -> Direction {
    match dir {
        Some("out") => Direction::Ingress,
        Some("in") => Direction::Egress,
        _ => Direction::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { bytes_max: 64 << 20, peers_max: 1000 };

    fn read(text: &str, dialect: Dialect) -> Result<Vec<String>, String> {
        let own = Own { addresses: ["10.0.0.5".parse().unwrap()].into(), primary: None };
        let mut grown = Grown::default();
        let traffic = Traffic::read(text.as_bytes(), dialect, &own, BOUNDS, &mut grown)?;
        let show = |((peer, direction), bytes): (&(IpAddr, Direction), &u64)| {
            format!("{peer} {} {bytes}", direction.name())
        };
        Ok(traffic.bytes.iter().map(show).collect())
    }

    #[test]
    fn rows_of_a_peer_are_added_up() {
        let text = "ebpf_exporter_ipv4_recv_bytes{daddr=\"10.2.3.4\",pid=\"1\",saddr=\"x\"} 1024\n\
            ebpf_exporter_ipv4_recv_bytes{daddr=\"10.2.3.4\",pid=\"2\"} 4096\n\
            ebpf_exporter_ipv4_send_bytes{daddr=\"10.2.3.4\",pid=\"1\"} 300\n\
            ebpf_exporter_ipv4_send_bytes{daddr=\"10.2.3.4\",pid=\"2\"} 200\n\
            ebpf_exporter_ipv4_send_bytes{daddr=\"10.0.0.5\",pid=\"2\"} 7\n\
            ebpf_exporter_ipv4_send_bytes{daddr=\"nobody\",pid=\"2\"} 7\n\
            ebpf_exporter_ipv6_send_bytes{daddr=\"::ffff:10.2.3.4\"} 1\n";
        let rows = read(text, Dialect::Ebpf).unwrap();
        assert_eq!(rows, ["10.2.3.4 ingress 5120", "10.2.3.4 egress 501"]);
        // Any of the families will do, and none of them.
        assert!(read("ebpf_exporter_enabled_programs 1\n", Dialect::Ebpf).unwrap().is_empty());
        let others = "# TYPE node_load1 gauge\nnode_load1 0.1\n";
        let err = read(others, Dialect::Ebpf).unwrap_err();
        assert_eq!(err, "there is no ebpf_exporter_ in what it answers");
        assert!(read("<html>\n", Dialect::Ebpf).is_err());
    }

    #[test]
    fn a_row_that_the_table_forgets_takes_nothing_from_the_sum() {
        let row = |port: u32, bytes: u64| {
            let name = "ebpf_exporter_ipv4_send_bytes";
            format!("{name}{{daddr=\"10.2.3.4\",dport=\"{port}\"}} {bytes}\n")
        };
        let mut grown = Grown::default();
        let mut sum = |text: &str, bytes_max: usize| {
            let bounds = Bounds { bytes_max, ..BOUNDS };
            let (ebpf, own) = (Dialect::Ebpf, Own::default());
            let read = Traffic::read(text.as_bytes(), ebpf, &own, bounds, &mut grown);
            read.ok().map(|traffic| traffic.bytes.into_values().collect::<Vec<u64>>())
        };
        let all = BOUNDS.bytes_max;
        let billion = 1_000_000_000;
        let mut expect = |text: &str, bytes: u64| assert_eq!(sum(text, all), Some(vec![bytes]));
        expect(&(row(80, billion) + &row(81, 1_000_000)), billion + 1_000_000);
        // One row is gone; the other has grown.
        expect(&row(80, billion + 7_000), billion + 1_007_000);
        // It was only missing from an answer.
        expect(&(row(80, billion + 7_000) + &row(81, 1_000_005)), billion + 1_007_005);
        // It begins anew, and so do both when the exporter starts again.
        expect(&(row(80, billion + 7_000) + &row(81, 20)), billion + 1_007_025);
        expect(&(row(80, 3) + &row(81, 4)), billion + 1_007_032);
        // No row at all is no peer, and no loss.
        assert_eq!(sum("ebpf_exporter_enabled_programs 1\n", all), Some(vec![]));
        // An answer that breaks off behind its first row counts that row once.
        let cut = row(80, 13) + &row(81, 14);
        assert_eq!(sum(&cut, row(80, 13).len() + 1), None);
        assert_eq!(sum(&cut, all), Some(vec![billion + 1_007_052]));
        // Long gone is forgotten: what comes under its labels is another one.
        for _ in 0..=MISSING_READINGS + 1 {
            sum(&row(80, 13), all);
        }
        assert_eq!(sum(&(row(80, 13) + &row(81, 100)), all), Some(vec![billion + 1_007_152]));
    }

    #[test]
    fn families_may_end_as_counters_do() {
        let text = "ebpf_exporter_ipv4_recv_bytes_total{daddr=\"10.2.3.4\"} 1\n\
            ebpf_exporter_ipv6_recv_bytes_total{daddr=\"2001:db8::9\"} 2\n\
            ebpf_exporter_ipv4_send_bytes_total{daddr=\"10.2.3.4\"} 3\n\
            ebpf_exporter_ipv6_send_bytes_total{daddr=\"2001:db8::9\"} 4\n";
        let rows = read(text, Dialect::Ebpf).unwrap();
        let four = ["10.2.3.4 ingress 1", "10.2.3.4 egress 3"];
        let six = ["2001:db8::9 ingress 2", "2001:db8::9 egress 4"];
        assert_eq!(rows, [four, six].concat());
    }

    #[test]
    fn rows_beyond_the_limit_are_counted() {
        let rows = ROWS_MAX + 5;
        let row =
            |n| format!("ebpf_exporter_ipv4_send_bytes{{daddr=\"10.2.3.4\",pid=\"{n}\"}} 1\n");
        let text: String = (0..rows).map(row).collect();
        let (ebpf, own, mut grown) = (Dialect::Ebpf, Own::default(), Grown::default());
        let traffic = Traffic::read(text.as_bytes(), ebpf, &own, BOUNDS, &mut grown).unwrap();
        assert_eq!((traffic.dropped, traffic.bytes.values().sum::<u64>()), (5, ROWS_MAX as u64));
    }

    #[test]
    fn darkstat_speaks_for_the_peer() {
        let text = "# TYPE host_bytes_total counter\n\
            host_bytes_total{interface=\"eth0\",ip=\"10.0.0.9\",dir=\"in\"} 100\n\
            host_bytes_total{interface=\"eth1\",ip=\"10.0.0.9\",dir=\"in\"} 10\n\
            host_bytes_total{interface=\"eth0\",ip=\"10.0.0.9\",mac=\"x\",dir=\"out\"} 5\n\
            host_bytes_total{interface=\"eth0\",ip=\"10.0.0.9\"} 1\n\
            host_bytes_total{interface=\"eth0\",ip=\"10.0.0.5\",dir=\"in\"} 5\n";
        let rows = read(text, Dialect::Darkstat).unwrap();
        assert_eq!(rows, ["10.0.0.9 ingress 5", "10.0.0.9 egress 110", "10.0.0.9  1"]);
        let err = read("up 1\n", Dialect::Darkstat).unwrap_err();
        assert_eq!(err, "there is no host_bytes_total in what it answers");
        assert!(read("# TYPE host_bytes_total counter\n", Dialect::Darkstat).unwrap().is_empty());
    }

    #[test]
    fn other_families_are_passed_over_however_many_there_are() {
        // planet-exporter hangs for good at the 1,025th.
        let other = |n: u32| format!("# TYPE other_{n} gauge\nother_{n}{{ip=\"10.0.0.7\"}} {n}\n");
        let mut text: String = (0..5000).map(other).collect();
        text += "host_bytes_total{ip=\"10.0.0.9\",dir=\"out\"} 5\n";
        assert_eq!(read(&text, Dialect::Darkstat).unwrap(), ["10.0.0.9 ingress 5"]);
    }

    #[test]
    fn a_million_peers_are_bounded_and_counted() {
        struct Endless(u32, Vec<u8>);
        impl Read for Endless {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                if self.1.is_empty() && self.0 < 1_000_000 {
                    let ip = std::net::Ipv4Addr::from_bits(0x0b00_0000 + self.0);
                    self.1 = format!("host_bytes_total{{ip=\"{ip}\",dir=\"in\"}} 1\n").into();
                    self.0 += 1;
                }
                let bytes = self.1.len().min(into.len());
                into[..bytes].copy_from_slice(&self.1[..bytes]);
                self.1.drain(..bytes);
                Ok(bytes)
            }
        }
        let endless = Endless(0, Vec::new());
        let bounds = Bounds { bytes_max: 64 << 20, peers_max: 500 };
        let (own, grown) = (Own::default(), &mut Grown::default());
        let traffic = Traffic::read(endless, Dialect::Darkstat, &own, bounds, grown).unwrap();
        assert_eq!((traffic.len(), traffic.dropped), (1000, 999_000));
    }
}
