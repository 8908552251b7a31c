//! Makes dependencies from sockets.
//!
//! A connection is a *downstream* dependency if its local end is one that a socket here listens on:
//! a peer depends on us. Any other is an *upstream* one: we depend on a peer. The listener must be
//! of the same protocol and address; the port alone does not decide.
//!
//! A TIME_WAIT socket remains of a closed connection, and belongs to no process. It counts as a
//! downstream while a socket still listens, and as an upstream only if its ports show which side
//! was the client: the local port is in the kernel's ephemeral range, and the remote port is one
//! that no system uses as an ephemeral port. It never replaces the row of a live connection.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::base::inventory::Inventory;
use crate::base::prefix::Prefix;
use crate::dependency::{Endpoint, Protocol, Socket, State};
use crate::point::{Definition, Measurement, Points, Schema, gauge};

/// IANA's ephemeral ports; Linux's own range is a setting of the kernel.
pub const EPHEMERAL: RangeInclusive<u16> = 49152..=65535;

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
    /// The most rows to make.
    pub rows_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Direction {
    Upstream,
    Downstream,
}

/// A row without the process.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    direction: Direction,
    local: Label<'a>,
    remote: Label<'a>,
    port: u16,
    protocol: Protocol,
}

/// What an address is called.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Label<'a> {
    hostgroup: &'a str,
    /// The domain, or the address itself where it has none.
    address: Cow<'a, str>,
}

impl<'a> Label<'a> {
    fn new(address: IpAddr, inventory: &'a Inventory) -> Label<'a> {
        let host = inventory.host(address);
        let name = match host.domain {
            "" => address.to_string().into(),
            domain => domain.into(),
        };
        Label { hostgroup: host.hostgroup, address: name }
    }
}

/// What the machine depends on, and what depends on it.
#[derive(Debug, Default)]
pub struct Dependencies<'a> {
    /// And the processes of each.
    rows: BTreeMap<Key<'a>, BTreeSet<&'a str>>,
    /// Hostgroup, address and port, and who listens there.
    servers: BTreeMap<(&'a str, Endpoint), BTreeSet<&'a str>>,
    /// Rows beyond `rows_max`.
    pub dropped: u64,
}

pub static UPSTREAM: Measurement<u64> = Measurement::new(|| Definition {
    name: "planet_upstream",
    help: "Upstream dependency of this machine",
    tags: DEPENDENCY_TAGS,
    fields: vec![gauge("value", "", "Upstream dependency of this machine", |v| Some(*v))],
});

pub static DOWNSTREAM: Measurement<u64> = Measurement::new(|| Definition {
    name: "planet_downstream",
    help: "Downstream dependency of this machine",
    tags: DEPENDENCY_TAGS,
    fields: vec![gauge("value", "", "Downstream dependency of this machine", |v| Some(*v))],
});

const DEPENDENCY_TAGS: &[&str] = &[
    "local_hostgroup",
    "local_address",
    "remote_hostgroup",
    "remote_address",
    "port",
    "protocol",
    "process_name",
];

pub static SERVER_PROCESS: Measurement<u64> = Measurement::new(|| Definition {
    name: "planet_server_process",
    help: "Server process that are listening on network interfaces",
    tags: &["local_hostgroup", "bind", "port", "process_name"],
    fields: vec![gauge(
        "value",
        "",
        "Server process that are listening on network interfaces",
        |v| Some(*v),
    )],
});

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
    for socket in sockets.iter().filter(|socket| rules.counts(socket)) {
        if socket.state != State::Listening {
            ends.insert((socket.protocol, socket.local, socket.remote));
        } else if socket.protocol == Protocol::Tcp || socket.local.port < *rules.ephemeral.start() {
            // Resolvers take any port above those of servers, beyond the kernel's range too.
            listeners.entry((socket.protocol, socket.local.port)).or_default().push(socket);
            found.add_server(socket, rules);
        }
    }
    // Many sockets make one row: names and inventory are looked up once for all of them.
    let mut seen = HashSet::new();
    // Closed connections get the room that live ones leave.
    let in_state = |state| sockets.iter().filter(move |socket| socket.state == state);
    for socket in in_state(State::Connected).chain(in_state(State::Waiting)) {
        if !rules.counts(socket) {
            continue;
        }
        let listener = listener_of(socket.local, socket.protocol, &listeners);
        let process = socket.process.as_ref();
        let (direction, port, process) = match listener {
            Some(listener) => {
                let process = process.or(listener.process.as_ref());
                (Direction::Downstream, socket.local.port, process)
            }
            None => (Direction::Upstream, socket.remote.port, process),
        };
        let is_own = rules.own.has(socket.remote.address)
            || socket.remote.address == socket.local.address
            || ends.contains(&(socket.protocol, socket.remote, socket.local));
        let is_upstream = direction == Direction::Upstream;
        if is_upstream && (is_own && !rules.loopback || !rules.called(socket)) {
            continue;
        }
        let (local, remote) = (socket.local.address, socket.remote.address);
        let process = process.map_or("", |process| &**process);
        if seen.insert((direction, local, remote, port, socket.protocol, process)) {
            let local = rules.local(local);
            let key = Key {
                direction,
                local: Label::new(local, rules.inventory),
                remote: Label::new(remote, rules.inventory),
                port,
                protocol: socket.protocol,
            };
            found.add(key, process, rules.rows_max);
        }
    }
    found
}

impl Rules<'_> {
    fn counts(&self, socket: &Socket) -> bool {
        let ignored = |address: IpAddr| self.ignore.iter().any(|prefix| prefix.contains(address));
        let is_ignored = ignored(socket.local.address)
            || socket.state != State::Listening && ignored(socket.remote.address);
        (self.udp || socket.protocol != Protocol::Udp) && !is_ignored
    }

    /// Whether this end opened the connection, as far as the ports of a closed one show it.
    fn called(&self, socket: &Socket) -> bool {
        socket.state == State::Connected
            || self.ephemeral.contains(&socket.local.port)
                && socket.remote.port < CALLERS_MIN.min(*self.ephemeral.start())
    }

    /// The machine's own address in place of its loopback.
    fn local(&self, address: IpAddr) -> IpAddr {
        self.own.primary.filter(|_| address.is_loopback()).unwrap_or(address)
    }
}

/// The socket that takes connections to this end.
fn listener_of<'a>(
    local: Endpoint,
    protocol: Protocol,
    listeners: &Listeners<'a>,
) -> Option<&'a Socket> {
    let there = listeners.get(&(protocol, local.port))?;
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
    fn add(&mut self, key: Key<'a>, process: &'a str, rows_max: usize) {
        if self.rows.len() >= rows_max && !self.rows.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        self.rows.entry(key).or_default().insert(process);
    }

    fn add_server(&mut self, socket: &'a Socket, rules: &Rules<'a>) {
        let address = socket.local.address;
        let is_named = !address.is_unspecified() && !address.is_loopback();
        let of = if is_named { Some(address) } else { rules.own.primary };
        let hostgroup = of.map_or("", |of| rules.inventory.host(of).hostgroup);
        let key = (hostgroup, socket.local);
        if self.servers.len() >= rules.rows_max && !self.servers.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        self.servers.entry(key).or_default().insert(process_name(&socket.process));
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len() + self.servers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes points of all rows; `full` may take them after each.
    pub fn points(&self, points: &mut Points, full: &mut dyn FnMut(&mut Points)) {
        for (key, processes) in &self.rows {
            let measurement = match key.direction {
                Direction::Upstream => &UPSTREAM,
                Direction::Downstream => &DOWNSTREAM,
            };
            let port = key.port.to_string();
            for process in named(processes) {
                let tags = [
                    key.local.hostgroup,
                    &*key.local.address,
                    key.remote.hostgroup,
                    &*key.remote.address,
                    &*port,
                    key.protocol.name(),
                    process,
                ];
                points.push(measurement, &tags, &1);
                full(points);
            }
        }
        for ((hostgroup, end), processes) in &self.servers {
            let bind = format!("{}:{}", end.address, end.port);
            let port = end.port.to_string();
            for process in named(processes) {
                points.push(&SERVER_PROCESS, &[hostgroup, &bind, &port, process], &1);
                full(points);
            }
        }
    }
}

fn process_name(process: &Option<Arc<str>>) -> &str {
    process.as_deref().unwrap_or_default()
}

/// The processes' names; none only where no socket of the row has one.
fn named<'a>(processes: &BTreeSet<&'a str>) -> impl Iterator<Item = &'a str> {
    let nameless_only = processes.len() == 1;
    processes.iter().copied().filter(move |name| nameless_only || !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dependency::inventory::{self, Bounds, Format};
    use Protocol::{Tcp, Udp};
    use State::{Connected, Listening, Waiting};
    use std::sync::{LazyLock, OnceLock};

    const INVENTORY: &str = r#"[{"ip_address":"192.0.2.2","domain":"me.example","hostgroup":"me"},
        {"ip_address":"10.2.0.0/16","hostgroup":"net"},
        {"ip_address":"10.9.0.1","domain":"db.example","hostgroup":"db"},
        {"ip_address":"10.9.0.2","domain":"db.example","hostgroup":"db"}]"#;

    fn end(text: &str) -> Endpoint {
        let (address, port) = text.rsplit_once(':').unwrap();
        Endpoint::new(address.parse().unwrap(), port.parse().unwrap())
    }

    fn socket(protocol: Protocol, state: State, ends: &str, process: &str) -> Socket {
        let (local, remote) = ends.split_once('>').unwrap_or((ends, "0.0.0.0:0"));
        let process = (!process.is_empty()).then(|| process.into());
        Socket { protocol, state, local: end(local), remote: end(remote), process }
    }

    /// The rows: `up` or `down` with local, remote, port, protocol, process, or `server`.
    fn rows(sockets: &[Socket], change: impl Fn(&mut Rules)) -> Vec<String> {
        let inventory =
            inventory::read(INVENTORY.as_bytes(), Format::ArrayJson, Bounds::default()).unwrap();
        let primary = "192.0.2.2".parse().unwrap();
        let own = Own { addresses: [primary].into(), primary: Some(primary) };
        let mut rules = Rules {
            inventory: &inventory,
            own: &own,
            udp: true,
            loopback: false,
            ignore: &[],
            ephemeral: 32768..=60999,
            rows_max: 1000,
        };
        change(&mut rules);
        let mut points = Points::default();
        map(sockets, &rules).points(&mut points, &mut |_| ());
        let show = |point: crate::point::Point| {
            let tags: Vec<_> = point.tags().map(|(_, value)| value).collect();
            let name = point.schema.name().trim_start_matches("planet_");
            format!("{name} {}", tags.join(" "))
        };
        points.iter().map(show).collect()
    }

    #[test]
    fn the_listener_decides_and_must_be_of_the_same_kind() {
        let sockets = [
            socket(Tcp, Listening, "0.0.0.0:80", "nginx"),
            socket(Tcp, Listening, ":::443", "nginx"),
            socket(Tcp, Listening, "127.0.0.1:40000", "local"),
            socket(Udp, Listening, "0.0.0.0:40001", "caller"),
            socket(Udp, Listening, "0.0.0.0:63000", "resolver"),
            socket(Udp, Listening, "0.0.0.0:53", "named"),
            socket(Tcp, Connected, "192.0.2.2:80>10.2.0.9:50000", "nginx"),
            socket(Tcp, Connected, "192.0.2.2:443>10.9.0.1:50000", ""),
            // Its port is one that others listen on, on another address or for another protocol.
            socket(Tcp, Connected, "192.0.2.2:40000>10.9.0.1:5432", "app"),
            socket(Tcp, Connected, "192.0.2.2:40001>10.9.0.2:5432", "app"),
            socket(Tcp, Connected, "192.0.2.2:53>10.9.0.2:5432", "app2"),
            socket(Udp, Connected, "192.0.2.2:40002>10.9.0.2:53", "app"),
            socket(Tcp, Connected, "2001:db8::1:40003>2001:db8::2:443", "curl"),
        ];
        let expected = [
            "upstream 2001:db8::1 2001:db8::2 443 tcp curl",
            "upstream me me.example db db.example 53 udp app",
            "upstream me me.example db db.example 5432 tcp app",
            "upstream me me.example db db.example 5432 tcp app2",
            "downstream me me.example db db.example 443 tcp nginx",
            "downstream me me.example net 10.2.0.9 80 tcp nginx",
            "server_process me 0.0.0.0:53 53 named",
            "server_process me 0.0.0.0:80 80 nginx",
            "server_process me 127.0.0.1:40000 40000 local",
            "server_process me :::443 443 nginx",
        ];
        let mut found = rows(&sockets, |_| ());
        found.sort();
        let mut expected = expected.map(String::from).to_vec();
        expected.sort();
        assert_eq!(found, expected);
        let found = rows(&sockets, |rules| rules.udp = false);
        assert!(!found.iter().any(|row| row.contains(" udp ") || row.contains("named")));
        static IGNORE: OnceLock<[Prefix; 2]> = OnceLock::new();
        let ignore = || ["10.9.0.0/24", "127.0.0.0/8"].map(|prefix| prefix.parse().unwrap());
        let found = rows(&sockets, |rules| rules.ignore = IGNORE.get_or_init(ignore));
        assert!(!found.iter().any(|row| row.contains("db.example") || row.contains("127.")));
        assert_eq!(found.len(), 5);
        assert_eq!(rows(&sockets, |rules| rules.rows_max = 2).len(), 4);
    }

    #[test]
    fn a_waiting_socket_hides_and_invents_nothing() {
        let sockets = [
            // First in the table, as the one that hid the live one.
            socket(Tcp, Waiting, "192.0.2.2:40003>10.9.0.1:443", ""),
            socket(Tcp, Waiting, "192.0.2.2:40000>10.9.0.1:5432", ""),
            socket(Tcp, Connected, "192.0.2.2:40001>10.9.0.1:5432", "app"),
            // Of a listener that has gone: the other side called.
            socket(Tcp, Waiting, "192.0.2.2:8080>10.9.0.1:50000", ""),
            socket(Tcp, Waiting, "192.0.2.2:45000>10.9.0.1:50001", ""),
            // And its system's range for callers is another one than ours.
            socket(Tcp, Waiting, "192.0.2.2:45000>10.9.0.1:61500", ""),
            socket(Tcp, Waiting, "192.0.2.2:45000>10.9.0.1:12000", ""),
            // A short call, and one to us.
            socket(Tcp, Waiting, "192.0.2.2:40002>10.9.0.1:443", ""),
            socket(Tcp, Waiting, "192.0.2.2:80>10.9.0.1:50002", ""),
            socket(Tcp, Listening, "0.0.0.0:80", "nginx"),
        ];
        let expected = [
            "upstream me me.example db db.example 443 tcp",
            "upstream me me.example db db.example 5432 tcp app",
            "downstream me me.example db db.example 80 tcp nginx",
            "server_process me 0.0.0.0:80 80 nginx",
        ];
        assert_eq!(rows(&sockets, |_| ()), expected);
        // Where there is room for one row of each kind, it is the live one's.
        let expected = [expected[1], expected[3]];
        assert_eq!(rows(&sockets, |rules| rules.rows_max = 1), expected);
    }

    #[test]
    fn the_machine_is_no_dependency_of_itself() {
        let sockets = [
            socket(Tcp, Listening, "127.0.0.1:5000", "api"),
            socket(Tcp, Connected, "127.0.0.1:40000>127.0.0.1:5000", "app"),
            socket(Tcp, Connected, "127.0.0.1:5000>127.0.0.1:40000", "api"),
            socket(Tcp, Connected, "::1:40001>::1:5001", "app"),
            socket(Tcp, Connected, "127.0.0.2:40002>127.0.0.2:5001", "app"),
            socket(Tcp, Connected, "192.0.2.2:40003>192.0.2.2:5002", "app"),
            // Addresses that no interface tells of: the other end shows that they are ours.
            socket(Tcp, Connected, "192.0.2.3:40004>192.0.2.3:5003", "app"),
            socket(Tcp, Connected, "192.0.2.3:40005>192.0.2.4:5004", "app"),
            socket(Tcp, Connected, "192.0.2.4:5004>192.0.2.3:40005", "api"),
            socket(Tcp, Listening, "192.0.2.4:5004", "api"),
        ];
        let expected = [
            "downstream 192.0.2.4 192.0.2.3 5004 tcp api",
            "downstream me me.example localhost localhost 5000 tcp api",
            "server_process 192.0.2.4:5004 5004 api",
            "server_process me 127.0.0.1:5000 5000 api",
        ];
        assert_eq!(rows(&sockets, |_| ()), expected);
        let found = rows(&sockets, |rules| rules.loopback = true);
        assert_eq!(found.iter().filter(|row| row.starts_with("upstream")).count(), 5, "{found:?}");
        // Without an address of its own it still has a map.
        static NOBODY: LazyLock<Own> = LazyLock::new(Own::default);
        let rows = rows(&sockets[1..4], |rules| {
            rules.own = &NOBODY;
            rules.loopback = true;
        });
        assert_eq!(rows.len(), 3, "{rows:?}");
    }

    /// A transparent proxy takes connections at addresses that are its upstreams'.
    #[test]
    fn an_address_that_a_proxy_answers_for_is_an_upstream_all_the_same() {
        let sockets = [
            socket(Tcp, Listening, "0.0.0.0:3129", "squid"),
            socket(Tcp, Connected, "10.9.0.1:443>10.2.0.9:50000", "squid"),
            socket(Tcp, Connected, "192.0.2.2:40000>10.9.0.1:443", "squid"),
        ];
        let found = rows(&sockets, |_| ());
        let expected = "upstream me me.example db db.example 443 tcp squid";
        assert!(found.iter().any(|row| row == expected), "{found:?}");
    }

    #[test]
    fn everyone_who_shares_a_port_is_named() {
        let sockets = [
            socket(Tcp, Listening, "0.0.0.0:80", ""),
            socket(Tcp, Listening, "0.0.0.0:80", "one"),
            socket(Tcp, Listening, "0.0.0.0:80", "one"),
            socket(Tcp, Listening, "0.0.0.0:80", "two"),
        ];
        let expected =
            ["server_process me 0.0.0.0:80 80 one", "server_process me 0.0.0.0:80 80 two"];
        assert_eq!(rows(&sockets, |_| ()), expected);
    }
}
