//! Services and who depends on whom. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::base::text::safe;

/// A map may have so many; what is beyond is counted.
pub const NODES_MAX: usize = 2000;
pub const EDGES_MAX: usize = 10_000;
const PORTS_MAX: usize = 64;
const PROCESSES_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 253;
const PROTOCOL_BYTES_MAX: usize = 16;

/// A service as machines call it: its hostgroup, and its domain or address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Who<'a> {
    pub group: &'a str,
    pub name: &'a str,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub group: String,
    pub name: String,
    /// Whether it says itself what it depends on.
    pub reports: bool,
}

/// Which end of a dependency says that it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Client,
    Server,
}

/// What became of it since the time that the map is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    None,
    Began,
    Vanished,
}

/// Who says that a dependency is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    Both,
    /// One end, and the other one reports nothing at all: it has no exporter.
    NoExporter,
    /// One end, and the other one reports others: there is NAT or a proxy between them.
    OneSided,
}

/// A port on which a service is asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Port {
    pub clients: BTreeSet<String>,
    pub servers: BTreeSet<String>,
    by_client: bool,
    by_server: bool,
    now: bool,
    before: bool,
    /// Of round trips: their sum in seconds, and how many.
    rtt: (f64, u32),
}

impl Port {
    pub fn rtt(&self) -> Option<f64> {
        (self.rtt.1 > 0).then(|| self.rtt.0 / f64::from(self.rtt.1))
    }

    /// What is not there now has vanished, also if it began after the time of comparison.
    pub fn change(&self) -> Change {
        match (self.now, self.before) {
            (true, true) => Change::None,
            (true, false) => Change::Began,
            (false, _) => Change::Vanished,
        }
    }
}

/// That `from` depends on `to`; without ports it is traffic that nothing explains.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    /// Traffic between the two from `from` and to it, in the map's unit.
    pub sent: Option<f64>,
    pub received: Option<f64>,
    /// By port and protocol.
    pub ports: BTreeMap<(u16, String), Port>,
}

impl Edge {
    /// Of all its ports.
    pub fn change(&self) -> Change {
        let mut changes = self.ports.values().map(Port::change);
        let first = changes.next().unwrap_or(Change::None);
        if changes.all(|change| change == first) { first } else { Change::None }
    }

    pub fn rtt(&self) -> Option<f64> {
        let (sum, number) = self
            .ports
            .values()
            .fold((0.0, 0), |all, port| (all.0 + port.rtt.0, all.1 + port.rtt.1));
        (number > 0).then(|| sum / f64::from(number))
    }
}

/// A map.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    pub title: String,
    /// When it was so, and since when something began or vanished, in seconds since 1970.
    pub taken: u64,
    pub since: Option<u64>,
    /// Of traffic: `bytes` or `bit/s`.
    pub unit: &'static str,
    /// Whether both ends of a dependency could say so.
    pub has_both_ends: bool,
    /// By hostgroup and name.
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// Nodes, dependencies, ports and processes beyond the limits.
    pub dropped: u64,
}

impl Graph {
    /// Nothing is known of what was there before.
    pub fn without_changes(&mut self) {
        for port in self.edges.iter_mut().flat_map(|edge| edge.ports.values_mut()) {
            port.before = port.now;
        }
    }

    /// Who says that this port is there; `None` if only one end could say so.
    pub fn ends(&self, edge: &Edge, port: &Port) -> Option<Ends> {
        let other = match (port.by_client, port.by_server) {
            (true, true) => return self.has_both_ends.then_some(Ends::Both),
            (_, false) => edge.to,
            (false, _) => edge.from,
        };
        let ends = if self.nodes[other].reports { Ends::OneSided } else { Ends::NoExporter };
        self.has_both_ends.then_some(ends)
    }
}

/// A dependency as one of its ends reports it.
pub struct Dependency<'a> {
    pub client: Who<'a>,
    pub server: Who<'a>,
    pub port: &'a str,
    pub protocol: &'a str,
    /// Of the end that reports it.
    pub process: &'a str,
    pub end: End,
    /// Whether it is there now, and was at the time that the map is compared with.
    pub now: bool,
    pub before: bool,
}

/// Bytes that went from one to the other, as one of them counts them.
#[derive(Default)]
struct Counted {
    by_sender: f64,
    by_receiver: f64,
}

/// Makes a map of what machines report, in any order.
#[derive(Default)]
pub struct Builder {
    graph: Graph,
    nodes: HashMap<(String, String), usize>,
    edges: HashMap<(usize, usize), usize>,
    traffic: BTreeMap<(usize, usize), Counted>,
}

impl Builder {
    fn node(&mut self, who: Who) -> Option<usize> {
        let key = names(who);
        let found = self.nodes.get(&key).copied();
        if found.is_none() && self.graph.nodes.len() >= NODES_MAX {
            self.graph.dropped += 1;
            return None;
        }
        Some(found.unwrap_or_else(|| {
            let number = self.graph.nodes.len();
            let (group, name) = key.clone();
            self.graph.nodes.push(Node { group, name, reports: false });
            self.nodes.insert(key, number);
            number
        }))
    }

    fn edge(&mut self, from: usize, to: usize) -> Option<&mut Edge> {
        let edges = &mut self.graph.edges;
        let found = self.edges.get(&(from, to)).copied();
        if found.is_none() && edges.len() >= EDGES_MAX {
            self.graph.dropped += 1;
            return None;
        }
        let at = found.unwrap_or_else(|| {
            edges.push(Edge { from, to, ..Edge::default() });
            self.edges.insert((from, to), edges.len() - 1);
            edges.len() - 1
        });
        Some(&mut edges[at])
    }

    fn port(&mut self, from: Who, to: Who, port: &str, protocol: &str) -> Option<&mut Port> {
        let (from, to) = (self.node(from)?, self.node(to)?);
        let key = port_key(port, protocol);
        let ports = &mut self.edge(from, to)?.ports;
        if ports.len() >= PORTS_MAX && !ports.contains_key(&key) {
            self.graph.dropped += 1;
            return None;
        }
        // Again, for the borrow of what is dropped has ended.
        Some(self.edge(from, to)?.ports.entry(key).or_default())
    }

    pub fn dependency(&mut self, dependency: &Dependency) {
        let Dependency { client, server, port, protocol, process, end, now, before } = *dependency;
        let reporter = if end == End::Client { client } else { server };
        if let Some(at) = self.node(reporter) {
            self.graph.nodes[at].reports |= now;
        }
        let Some(port) = self.port(client, server, port, protocol) else { return };
        port.now |= now;
        port.before |= before;
        let (seen, processes) = match end {
            End::Client => (&mut port.by_client, &mut port.clients),
            End::Server => (&mut port.by_server, &mut port.servers),
        };
        *seen = true;
        let has_room = processes.len() < PROCESSES_MAX;
        if !process.is_empty() && has_room {
            processes.insert(safe(process, NAME_BYTES_MAX));
        }
        self.graph.dropped += u64::from(!has_room);
    }

    /// A round trip of a dependency that is there already, in seconds.
    pub fn rtt(&mut self, client: Who, server: Who, port: &str, protocol: &str, seconds: f64) {
        let node = |who| self.nodes.get(&names(who)).copied();
        let edge = node(client).zip(node(server)).and_then(|pair| self.edges.get(&pair));
        let edge = edge.and_then(|at| self.graph.edges.get_mut(*at));
        if let Some(port) = edge.and_then(|edge| edge.ports.get_mut(&port_key(port, protocol)))
            && seconds.is_finite()
        {
            port.rtt.0 += seconds;
            port.rtt.1 += 1;
        }
    }

    /// Traffic between a machine and a peer, as the machine counts it.
    pub fn traffic(&mut self, local: Who, remote: Who, is_ingress: bool, amount: f64) {
        let (Some(local), Some(remote)) = (self.node(local), self.node(remote)) else { return };
        if local == remote || !amount.is_finite() {
            return;
        }
        match is_ingress {
            true => self.traffic.entry((remote, local)).or_default().by_receiver += amount,
            false => self.traffic.entry((local, remote)).or_default().by_sender += amount,
        }
    }

    /// The map, its nodes and edges in order. What it is called is the caller's to set.
    pub fn finish(mut self) -> Graph {
        for ((from, to), counted) in std::mem::take(&mut self.traffic) {
            let amount = counted.by_sender.max(counted.by_receiver);
            let known = [(from, to), (to, from)].map(|pair| self.edges.contains_key(&pair));
            if (known[0] || known == [false, false])
                && let Some(edge) = self.edge(from, to)
            {
                edge.sent = Some(amount);
            }
            if known[1]
                && let Some(edge) = self.edge(to, from)
            {
                edge.received = Some(amount);
            }
        }
        let Graph { nodes, edges, .. } = &mut self.graph;
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_by(|a, b| {
            let key = |at: &usize| (&nodes[*at].group, &nodes[*at].name);
            key(a).cmp(&key(b))
        });
        let mut places = vec![0; nodes.len()];
        order.iter().enumerate().for_each(|(place, at)| places[*at] = place);
        for edge in edges.iter_mut() {
            (edge.from, edge.to) = (places[edge.from], places[edge.to]);
        }
        edges.sort_by_key(|edge| (edge.from, edge.to));
        *nodes = order.iter().map(|at| nodes[*at].clone()).collect();
        self.graph
    }
}

fn names(who: Who) -> (String, String) {
    (safe(who.group, NAME_BYTES_MAX), safe(who.name, NAME_BYTES_MAX))
}

fn port_key(port: &str, protocol: &str) -> (u16, String) {
    (port.parse().unwrap_or(0), safe(protocol, PROTOCOL_BYTES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: Who = Who { group: "web", name: "web-1" };
    const DB: Who = Who { group: "db", name: "db-1" };
    const NTP: Who = Who { group: "", name: "192.0.2.1" };

    fn says<'a>(client: Who<'a>, server: Who<'a>, port: &'a str, end: End) -> Dependency<'a> {
        let process = if end == End::Client { "app" } else { "postgres" };
        let (now, before) = (true, true);
        Dependency { client, server, port, protocol: "tcp", process, end, now, before }
    }

    #[test]
    fn both_ends_make_one_edge_and_one_end_says_why() {
        let mut builder = Builder::default();
        builder.dependency(&says(WEB, DB, "5432", End::Client));
        builder.dependency(&says(WEB, DB, "5432", End::Server));
        builder.dependency(&says(WEB, DB, "5433", End::Client));
        builder.dependency(&says(WEB, NTP, "443", End::Client));
        builder.rtt(WEB, DB, "5432", "tcp", 0.002);
        builder.rtt(WEB, DB, "5432", "tcp", 0.004);
        let mut graph = builder.finish();
        let names: Vec<&str> = graph.nodes.iter().map(|node| &*node.name).collect();
        assert_eq!(names, ["192.0.2.1", "db-1", "web-1"]);
        let ends = |graph: &Graph| -> Vec<_> {
            let of = |edge: &Edge| {
                edge.ports.values().map(|port| graph.ends(edge, port)).collect::<Vec<_>>()
            };
            graph.edges.iter().flat_map(of).collect()
        };
        // A machine alone sees one end of each.
        assert_eq!(ends(&graph), [None; 3]);
        graph.has_both_ends = true;
        let expected = [Ends::NoExporter, Ends::Both, Ends::OneSided].map(Some);
        assert_eq!(ends(&graph), expected);
        let port = &graph.edges[1].ports[&(5432, "tcp".to_string())];
        assert_eq!((port.clients.len(), port.servers.len()), (1, 1));
        assert!((graph.edges[1].rtt().unwrap() - 0.003).abs() < 1e-9);
    }

    #[test]
    fn what_began_and_what_vanished() {
        let mut builder = Builder::default();
        let rows = [("1", true, false), ("2", false, true), ("3", true, true), ("4", false, false)];
        for (port, now, before) in rows {
            builder.dependency(&Dependency { now, before, ..says(WEB, DB, port, End::Client) });
        }
        builder.dependency(&Dependency { before: false, ..says(DB, NTP, "1", End::Client) });
        // One end misses it: it is there all the same.
        builder.dependency(&Dependency { now: false, ..says(WEB, DB, "3", End::Server) });
        let graph = builder.finish();
        let changes = |edge: &Edge| edge.ports.values().map(Port::change).collect::<Vec<_>>();
        let expected = [Change::Began, Change::Vanished, Change::None, Change::Vanished];
        assert_eq!(changes(&graph.edges[1]), expected);
        assert_eq!(graph.edges[1].change(), Change::None);
        assert_eq!(graph.edges[0].change(), Change::Began);
    }

    #[test]
    fn traffic_is_of_a_pair_and_not_counted_at_both_ends() {
        let mut builder = Builder::default();
        builder.dependency(&says(WEB, DB, "5432", End::Client));
        builder.traffic(WEB, DB, false, 60.0);
        builder.traffic(WEB, DB, false, 40.0);
        builder.traffic(DB, WEB, true, 90.0);
        builder.traffic(DB, WEB, false, 7.0);
        builder.traffic(NTP, DB, true, 5.0);
        builder.traffic(WEB, WEB, true, 5.0);
        builder.traffic(WEB, DB, true, f64::NAN);
        let graph = builder.finish();
        let edges: Vec<_> =
            graph.edges.iter().map(|e| (e.from, e.to, e.sent, e.received)).collect();
        // `db` to the one without a name, and `web` to `db`.
        assert_eq!(edges, [(1, 0, Some(5.0), None), (2, 1, Some(100.0), Some(7.0))]);
        assert_eq!(graph.edges[0].ports.len(), 0);
    }

    #[test]
    fn there_is_a_limit_to_everything_and_it_is_counted() {
        let mut builder = Builder::default();
        for number in 0..NODES_MAX + 10 {
            let name = format!("n{number}");
            builder.dependency(&says(WEB, Who { group: "x", name: &name }, "1", End::Client));
        }
        for port in 0..PORTS_MAX + 5 {
            builder.dependency(&says(
                WEB,
                Who { group: "x", name: "n0" },
                &port.to_string(),
                End::Client,
            ));
        }
        for number in 0..PROCESSES_MAX + 3 {
            let process = &*format!("p{number}");
            let to = Who { group: "x", name: "n1" };
            builder.dependency(&Dependency { process, ..says(WEB, to, "1", End::Client) });
        }
        let name = "ü".repeat(1000);
        builder.dependency(&says(Who { group: "x", name: "n2" }, WEB, "1", End::Client));
        let graph = builder.finish();
        assert_eq!(graph.nodes.len(), NODES_MAX);
        assert!(graph.dropped >= 11 + 5 + 3, "{}", graph.dropped);
        let mut builder = Builder::default();
        builder.dependency(&says(
            WEB,
            Who { group: &name, name: "a\u{202e}\nb" },
            "x",
            End::Client,
        ));
        let graph = builder.finish();
        let node = graph.nodes.iter().find(|node| node.group != "web").unwrap();
        assert!(node.group.len() <= NAME_BYTES_MAX && node.name == "a\\u{202e}\\nb", "{node:?}");
    }
}
