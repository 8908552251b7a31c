//! Makes dependencies from sockets.
//!
//! A connection is a *downstream* dependency if its local end is one that a socket here listens on:
//! a peer depends on us. Any other is an *upstream* one: we depend on a peer. The listener must be
//! of the same protocol and address; the port alone does not decide.
//!
//! A TIME_WAIT socket remains of a closed connection, and belongs to no process. It counts as a
//! downstream while a socket still listens, and as an upstream only if its ports show which side
//! was the client: the local port is in the kernel's ephemeral range, and the remote port is one
//! that no system uses as an ephemeral port. It never replaces the row of a live connection. The
//! same holds for a connection that ended since the reading before.
//!
//! Connections that open or close are counted by their state, but make no dependency.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use crate::base::inventory::Inventory;
use crate::base::prefix::Prefix;
use crate::dependency::{Endpoint, Process, Protocol, Socket, State, WHO_TAGS};
use crate::point::{DEPENDENCY_TAGS, Definition, Measurement, Points, Schema, gauge, joined};

/// IANA's ephemeral ports; Linux's own range is a setting of the kernel.
pub const EPHEMERAL: RangeInclusive<u16> = 49152..=65535;

/// Only root may listen on a lower port.
const PRIVILEGED: u16 = 1024;

/// No system uses lower ports as ephemeral ports by default: FreeBSD's range begins here.
const CALLERS_MIN: u16 = 10_000;

/// The addresses of the machine that the sockets are of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Own {
    pub addresses: HashSet<IpAddr>,
    /// The one that stands for the machine; `None` if it has only loopback addresses.
    pub primary: Option<IpAddr>,
}

impl Own {
    pub fn has(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.addresses.contains(&address)
    }
}

/// How sockets are read.
pub struct Rules<'a> {
    pub inventory: &'a Inventory,
    pub own: &'a Own,
    /// Whether UDP is included.
    pub udp: bool,
    /// Whether connections of the machine with itself count as upstream.
    pub loopback: bool,
    /// Connections from or to these addresses are left out, and what listens on them.
    pub ignore: &'a [Prefix],
    /// The kernel's ephemeral ports.
    pub ephemeral: RangeInclusive<u16>,
    /// Where UDP sockets take datagrams that did not at the reading before: a resolver asks from
    /// another port each time.
    pub unsettled: &'a HashSet<Endpoint>,
    /// The most rows to make.
    pub rows_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    Upstream,
    Downstream,
}

impl Direction {
    pub fn name(self) -> &'static str {
        match self {
            Direction::Upstream => "upstream",
            Direction::Downstream => "downstream",
        }
    }
}

/// A row without the process.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key<'a> {
    pub direction: Direction,
    pub local: Label<'a>,
    pub remote: Label<'a>,
    pub port: u16,
    pub protocol: Protocol,
}

/// What an address is called.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label<'a> {
    pub hostgroup: &'a str,
    /// The domain, or the address itself where it has none.
    pub address: Cow<'a, str>,
    /// `Host::labels` of it.
    pub labels: &'a str,
}

impl<'a> Label<'a> {
    fn new(address: IpAddr, inventory: &'a Inventory) -> Label<'a> {
        let host = inventory.host(address);
        let name = match host.domain {
            "" => address.to_string().into(),
            domain => domain.into(),
        };
        Label { hostgroup: host.hostgroup, address: name, labels: host.labels }
    }
}

/// What the connections of a row come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// How many there are, by the place of their state in `State::ALL`.
    pub states: [u32; State::ALL.len()],
    /// How many of them the kernel counts bytes of, and of how many the segments sent again.
    pub counted: u32,
    pub with_segments: u32,
    /// Bytes and segments since the reading before.
    pub sent: u64,
    pub received: u64,
    pub retransmits: u64,
    /// The sum of their round-trip times in microseconds, and of how many.
    pub rtt_us: u64,
    pub rtts: u32,
}

impl Figures {
    fn add(&mut self, socket: &Socket) {
        self.states[socket.state as usize] += 1;
        let Some(tcp) = &socket.tcp else { return };
        self.counted += u32::from(tcp.has_bytes);
        self.with_segments += 1;
        self.sent += tcp.sent;
        self.received += tcp.received;
        self.retransmits += tcp.retransmits;
        self.rtt_us += u64::from(tcp.rtt_us);
        self.rtts += u32::from(tcp.rtt_us > 0);
    }

    pub fn join(&mut self, other: &Figures) {
        self.states.iter_mut().zip(other.states).for_each(|(sum, more)| *sum += more);
        self.counted += other.counted;
        self.with_segments += other.with_segments;
        self.sent += other.sent;
        self.received += other.received;
        self.retransmits += other.retransmits;
        self.rtt_us += other.rtt_us;
        self.rtts += other.rtts;
    }

    /// Whether one of them is, or was, a connection: what only opens or closes is none.
    pub fn is_dependency(&self) -> bool {
        let of = |state| self.states[state as usize] > 0;
        of(State::Connected) || of(State::Waiting) || of(State::Ended)
    }
}

/// What the machine depends on, and what depends on it.
#[derive(Debug, Default)]
pub struct Dependencies<'a> {
    /// And the processes of each.
    pub rows: BTreeMap<Key<'a>, BTreeMap<&'a Process, Figures>>,
    /// Hostgroup and labels, address and port, and who listens there.
    pub servers: BTreeMap<(&'a str, &'a str, Endpoint), BTreeSet<&'a Process>>,
    /// Rows beyond `rows_max`.
    pub dropped: u64,
}

pub static UPSTREAM: Measurement<u64> = Measurement::new(|| Definition {
    name: "planet_upstream",
    help: "Upstream dependency of this machine",
    tags: TAGS,
    fields: vec![gauge("value", "", "Upstream dependency of this machine", |v| Some(*v))],
});

pub static DOWNSTREAM: Measurement<u64> = Measurement::new(|| Definition {
    name: "planet_downstream",
    help: "Downstream dependency of this machine",
    tags: TAGS,
    fields: vec![gauge("value", "", "Downstream dependency of this machine", |v| Some(*v))],
});

const TAGS: &[&str] = &joined::<11>(&[&DEPENDENCY_TAGS, &WHO_TAGS]);

pub static SERVER_PROCESS: Measurement<u64> = Measurement::new(|| Definition {
    name: "planet_server_process",
    help: "Server process that are listening on network interfaces",
    tags: SERVER_TAGS,
    fields: vec![gauge(
        "value",
        "",
        "Server process that are listening on network interfaces",
        |v| Some(*v),
    )],
});

const SERVER_TAGS: &[&str] =
    &joined::<8>(&[&["local_hostgroup", "bind", "port", "process_name"], &WHO_TAGS]);

/// What sockets give.
pub const MEASUREMENTS: &[&dyn Schema] = &[&UPSTREAM, &DOWNSTREAM, &SERVER_PROCESS];

/// Those that listen, by protocol and port.
type Listeners<'a> = HashMap<(Protocol, u16), Vec<&'a Socket>>;

/// Makes dependencies of all sockets of a machine.
pub fn map<'a>(sockets: &'a [Socket], rules: &Rules<'a>) -> Dependencies<'a> {
    let mut found = Dependencies::default();
    let mut listeners = Listeners::new();
    // A connection of the machine with itself has both ends in the table, whatever addresses it
    // uses.
    let mut ends = HashSet::new();
    let udp_servers = udp_servers(sockets);
    for socket in sockets.iter().filter(|socket| rules.counts(socket)) {
        if socket.state != State::Listening {
            ends.insert((socket.protocol, socket.local, socket.remote));
        } else if socket.protocol == Protocol::Tcp
            || udp_servers.contains(&socket.local.port)
            || rules.is_udp_service(socket.local)
        {
            listeners.entry((socket.protocol, socket.local.port)).or_default().push(socket);
            found.add_server(socket, rules);
        }
    }
    // Many sockets make one row: names and inventory are looked up once for all of them.
    let mut groups: Vec<(Group, Figures)> = Vec::new();
    let mut places: HashMap<Group, usize> = HashMap::new();
    // Closed connections get the room that live ones leave.
    for rank in 0..RANKS {
        for socket in sockets.iter().filter(|socket| self::rank(socket.state) == Some(rank)) {
            let Some(group) = rules.group(socket, &listeners, &ends) else { continue };
            let place = *places.entry(group).or_insert_with(|| {
                groups.push((group, Figures::default()));
                groups.len() - 1
            });
            groups[place].1.add(socket);
        }
    }
    for (group, figures) in groups {
        found.add(group, figures, rules);
    }
    found
}

/// What makes one row, before its addresses have names: direction, local and remote address, port,
/// protocol, process.
type Group<'a> = (Direction, IpAddr, IpAddr, u16, Protocol, &'a Process);

/// In which order sockets get their rows; none for those that listen.
fn rank(state: State) -> Option<u8> {
    match state {
        State::Listening => None,
        State::Connected => Some(0),
        State::Ended | State::Waiting => Some(1),
        _ => Some(2),
    }
}

const RANKS: u8 = 3;

/// The ports on which a UDP socket takes datagrams from anyone beside others that are connected:
/// a server that gives each client a socket of its own. The kernel gives no client such a port.
fn udp_servers(sockets: &[Socket]) -> HashSet<u16> {
    let ports = |state| {
        let is_such =
            move |socket: &&Socket| socket.protocol == Protocol::Udp && socket.state == state;
        sockets.iter().filter(is_such).map(|socket| socket.local.port).collect::<HashSet<u16>>()
    };
    &ports(State::Listening) & &ports(State::Connected)
}

/// Both ends of each connection here.
type Ends = HashSet<(Protocol, Endpoint, Endpoint)>;

impl<'a> Rules<'a> {
    /// Which row a connection belongs to, if to any.
    fn group(
        &self,
        socket: &'a Socket,
        listeners: &Listeners<'a>,
        ends: &Ends,
    ) -> Option<Group<'a>> {
        if !self.counts(socket) {
            return None;
        }
        let process = socket.process.as_ref();
        let (direction, port, process) = match listener_of(socket, listeners) {
            Some(listener) => {
                let process = process.or(listener.process.as_ref());
                (Direction::Downstream, socket.local.port, process)
            }
            None => (Direction::Upstream, socket.remote.port, process),
        };
        let is_own = || {
            self.own.has(socket.remote.address)
                || socket.remote.address == socket.local.address
                || ends.contains(&(socket.protocol, socket.remote, socket.local))
        };
        let is_upstream = direction == Direction::Upstream;
        if is_upstream && (!self.called(socket) || !self.loopback && is_own()) {
            return None;
        }
        let process = process.map_or(&*NOBODY, |process| &**process);
        let (local, remote) = (socket.local.address, socket.remote.address);
        Some((direction, local, remote, port, socket.protocol, process))
    }

    /// Whether a UDP socket that takes datagrams from anyone is a server by its port. Resolvers
    /// take any port above those of servers, beyond the kernel's range too, for a moment each.
    fn is_udp_service(&self, local: Endpoint) -> bool {
        local.port < PRIVILEGED
            || local.port < *self.ephemeral.start() && !self.unsettled.contains(&local)
    }

    fn counts(&self, socket: &Socket) -> bool {
        let ignored = |address: IpAddr| self.ignore.iter().any(|prefix| prefix.contains(address));
        let is_ignored = ignored(socket.local.address)
            || socket.state != State::Listening && ignored(socket.remote.address);
        (self.udp || socket.protocol != Protocol::Udp) && !is_ignored
    }

    /// Whether this end opened the connection, as far as the ports of a closed one show it.
    fn called(&self, socket: &Socket) -> bool {
        let local_is_ephemeral = || self.ephemeral.contains(&socket.local.port);
        match socket.state {
            State::Connected | State::SynSent | State::CloseWait => true,
            State::Listening | State::SynReceived => false,
            State::Waiting => {
                let first = CALLERS_MIN.min(*self.ephemeral.start());
                local_is_ephemeral() && socket.remote.port < first
            }
            // A listener has hardly gone in the time of a reading.
            _ => local_is_ephemeral() && !self.ephemeral.contains(&socket.remote.port),
        }
    }

    /// The machine's own address in place of its loopback.
    fn local(&self, address: IpAddr) -> IpAddr {
        self.own.primary.filter(|_| address.is_loopback()).unwrap_or(address)
    }
}

/// The socket that takes connections to this end.
fn listener_of<'a>(socket: &Socket, listeners: &Listeners<'a>) -> Option<&'a Socket> {
    let local = socket.local;
    let there = listeners.get(&(socket.protocol, local.port))?;
    let exact = there.iter().find(|socket| socket.local.address == local.address);
    let wildcard = || {
        // `::` takes IPv4 as well.
        there.iter().find(|socket| match socket.local.address {
            IpAddr::V4(address) => address.is_unspecified() && local.address.is_ipv4(),
            IpAddr::V6(address) => address.is_unspecified(),
        })
    };
    exact.or_else(wildcard).copied()
}

impl<'a> Dependencies<'a> {
    fn add(&mut self, group: Group<'a>, figures: Figures, rules: &Rules<'a>) {
        let (direction, local, remote, port, protocol, process) = group;
        let local = Label::new(rules.local(local), rules.inventory);
        let remote = Label::new(remote, rules.inventory);
        let key = Key { direction, local, remote, port, protocol };
        if self.rows.len() >= rules.rows_max && !self.rows.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        self.rows.entry(key).or_default().entry(process).or_default().join(&figures);
    }

    fn add_server(&mut self, socket: &'a Socket, rules: &Rules<'a>) {
        let address = socket.local.address;
        let is_named = !address.is_unspecified() && !address.is_loopback();
        let of = if is_named { Some(address) } else { rules.own.primary };
        let host = of.map(|of| rules.inventory.host(of)).unwrap_or_default();
        let key = (host.hostgroup, host.labels, socket.local);
        if self.servers.len() >= rules.rows_max && !self.servers.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        self.servers.entry(key).or_default().insert(socket.process.as_deref().unwrap_or(&NOBODY));
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len() + self.servers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes points of all rows; `full` may take them after each.
    pub fn points(
        &self,
        inventory: &Inventory,
        points: &mut Points,
        full: &mut dyn FnMut(&mut Points),
    ) {
        for (key, processes) in &self.rows {
            let labels = inventory.labels(key.local.labels, key.remote.labels);
            let measurement = match key.direction {
                Direction::Upstream => &UPSTREAM,
                Direction::Downstream => &DOWNSTREAM,
            };
            let port = key.port.to_string();
            let processes = processes.iter().filter(|(_, figures)| figures.is_dependency());
            for process in named(&processes.map(|(process, _)| *process).collect()) {
                let [unit, container_id, container_name, pod_uid] = process.who.labels();
                let tags = [
                    key.local.hostgroup,
                    &*key.local.address,
                    key.remote.hostgroup,
                    &*key.remote.address,
                    &*port,
                    key.protocol.name(),
                    &process.name,
                    unit,
                    container_id,
                    container_name,
                    pod_uid,
                ];
                points.push_labelled(measurement, &tags, &labels, &1);
                full(points);
            }
        }
        for ((hostgroup, labels, end), processes) in &self.servers {
            let labels = inventory.labels(labels, "");
            let bind = format!("{}:{}", end.address, end.port);
            let port = end.port.to_string();
            for process in named(processes) {
                let [unit, container_id, container_name, pod_uid] = process.who.labels();
                let server = [hostgroup, &*bind, &port, &process.name];
                let who = [unit, container_id, container_name, pod_uid];
                points.push_labelled(&SERVER_PROCESS, &[server, who].concat(), &labels, &1);
                full(points);
            }
        }
    }
}

/// Whoever has a socket that nobody is known to have.
static NOBODY: LazyLock<Process> = LazyLock::new(Process::default);

/// The processes' names; none only where no socket of the row has one.
fn named<'a>(processes: &BTreeSet<&'a Process>) -> impl Iterator<Item = &'a Process> {
    let nameless_only = processes.len() == 1;
    processes.iter().copied().filter(move |process| nameless_only || !process.name.is_empty())
}

#[cfg(test)]
mod tests;
