//! Which rows sockets become.

use super::*;
use crate::dependency::Tcp as Tcp_;
use crate::dependency::inventory::{self, Bounds, Format};
use Protocol::{Tcp, Udp};
use State::{Connected, Listening, Waiting};
use std::sync::OnceLock;

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
    let process = (!process.is_empty()).then(|| Process::named(process));
    Socket { protocol, state, local: end(local), remote: end(remote), process, tcp: None }
}

static SETTLED: LazyLock<HashSet<Endpoint>> = LazyLock::new(HashSet::new);

fn rules<'a>(inventory: &'a Inventory, own: &'a Own) -> Rules<'a> {
    Rules {
        inventory,
        own,
        udp: true,
        loopback: false,
        ignore: &[],
        ephemeral: 32768..=60999,
        unsettled: &SETTLED,
        rows_max: 1000,
    }
}

/// The rows: `up` or `down` with local, remote, port, protocol, process, or `server`.
fn rows(sockets: &[Socket], change: impl Fn(&mut Rules)) -> Vec<String> {
    let inventory =
        inventory::read(INVENTORY.as_bytes(), Format::ArrayJson, Bounds::default()).unwrap();
    let primary = "192.0.2.2".parse().unwrap();
    let own = Own { addresses: [primary].into(), primary: Some(primary) };
    let mut rules = rules(&inventory, &own);
    change(&mut rules);
    let mut points = Points::default();
    map(sockets, &rules).points(&inventory, &mut points, &mut |_| ());
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

#[test]
fn a_udp_server_with_a_socket_for_each_client_is_one_on_any_port() {
    let sockets = [
        socket(Udp, Listening, "0.0.0.0:51821", "tunnel"),
        socket(Udp, Connected, "192.0.2.2:51821>10.9.0.1:40007", "tunnel"),
        socket(Udp, Connected, "192.0.2.2:51821>10.2.0.9:40014", ""),
        // A client, and a resolver that waits for an answer.
        socket(Udp, Connected, "192.0.2.2:51822>10.9.0.2:53", "app"),
        socket(Udp, Listening, "0.0.0.0:51823", "resolver"),
        // The port is taken for TCP too, which says nothing.
        socket(Tcp, Connected, "192.0.2.2:51823>10.9.0.2:443", "app"),
    ];
    let expected = [
        "upstream me me.example db db.example 443 tcp app",
        "upstream me me.example db db.example 53 udp app",
        "downstream me me.example db db.example 51821 udp tunnel",
        "downstream me me.example net 10.2.0.9 51821 udp tunnel",
        "server_process me 0.0.0.0:51821 51821 tunnel",
    ];
    let (mut found, mut expected) = (rows(&sockets, |_| ()), expected.to_vec());
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

/// A resolver asks from another port each time, some of them below the kernel's range.
#[test]
fn a_udp_port_that_does_not_stay_is_no_server() {
    let sockets = [
        socket(Udp, Listening, "0.0.0.0:53", "named"),
        socket(Udp, Listening, "0.0.0.0:1812", "radiusd"),
        socket(Udp, Listening, "0.0.0.0:20001", "resolver"),
        socket(Udp, Connected, "192.0.2.2:20001>10.9.0.1:53", "resolver"),
        socket(Udp, Listening, "0.0.0.0:20002", "resolver"),
    ];
    static NEW: LazyLock<HashSet<Endpoint>> =
        LazyLock::new(|| [end("0.0.0.0:53"), end("0.0.0.0:20002")].into());
    let all = rows(&sockets, |rules| rules.unsettled = &NEW);
    // One with a client is a server at once, as is one on a port for which it had to be root.
    let servers = ["53", "1812", "20001"];
    assert_eq!(all.iter().filter(|row| row.starts_with("server")).count(), servers.len());
    assert!(servers.iter().all(|port| all.iter().any(|row| row.contains(&format!(":{port} ")))));
    assert_eq!(rows(&sockets, |_| ()).len(), all.len() + 1);
}

#[test]
fn figures_are_summed_by_row_and_what_only_opens_is_no_dependency() {
    let tcp =
        |state, ends, process, tcp| Socket { tcp: Some(tcp), ..socket(Tcp, state, ends, process) };
    let of = |sent, rtt_us| Tcp_ {
        cookie: 1,
        has_bytes: true,
        sent,
        received: 1,
        rtt_us,
        retransmits: 2,
    };
    let sockets = [
        socket(Tcp, Listening, "0.0.0.0:80", "nginx"),
        tcp(State::SynReceived, "192.0.2.2:80>10.2.0.9:50000", "", of(0, 0)),
        tcp(State::SynSent, "192.0.2.2:40000>10.9.0.1:443", "app", of(0, 0)),
        tcp(Connected, "192.0.2.2:40001>10.9.0.1:5432", "app", of(10, 400)),
        tcp(Connected, "192.0.2.2:40002>10.9.0.2:5432", "app", of(5, 200)),
        tcp(State::CloseWait, "192.0.2.2:40003>10.9.0.2:5432", "app", of(1, 0)),
        tcp(State::Ended, "192.0.2.2:40004>10.2.0.9:9100", "", of(7, 90)),
        // Whoever called there is unknown: both ports are such as callers have.
        tcp(State::Ended, "192.0.2.2:40005>10.2.0.9:40006", "", of(7, 90)),
    ];
    let inventory =
        inventory::read(INVENTORY.as_bytes(), Format::ArrayJson, Bounds::default()).unwrap();
    let own = Own::default();
    let found = map(&sockets, &rules(&inventory, &own));
    let shown: Vec<_> = found
        .rows
        .iter()
        .flat_map(|(key, processes)| processes.iter().map(move |(p, f)| (key, &p.name, f)))
        .map(|(key, process, f)| {
            let all = f.states.iter().sum::<u32>();
            let [up, port] = [key.direction.name().to_string(), key.port.to_string()];
            format!("{up} {port} {process} {all} {} {} {}", f.sent, f.rtt_us, f.rtts)
        })
        .collect();
    let expected = [
        "upstream 443 app 1 0 0 0",
        "upstream 5432 app 3 16 600 2",
        "upstream 9100  1 7 90 1",
        "downstream 80 nginx 1 0 0 0",
    ];
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };
    assert_eq!(sorted(shown), sorted(expected.map(String::from).to_vec()));
    let planet = rows(&sockets, |_| ());
    let expected = [
        "upstream me me.example db db.example 5432 tcp app",
        "upstream me me.example net 10.2.0.9 9100 tcp",
        "server_process me 0.0.0.0:80 80 nginx",
    ];
    assert_eq!(planet, expected);
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
    let expected = ["server_process me 0.0.0.0:80 80 one", "server_process me 0.0.0.0:80 80 two"];
    assert_eq!(rows(&sockets, |_| ()), expected);
}
