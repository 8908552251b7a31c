//! The map against what ss says of the same machine: rows, processes, own addresses, what is over.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use crate::common::needs::{ROOT, skips};
use crate::common::process::{Process, run};
use crate::common::temporary::Directory;
use crate::common::{free_port, program, wait_for};
use crate::series::{self, Series};
use crate::{named, once};

/// A row of the map: what it is, the other end, the port, the protocol, the process.
type Row = (String, String, u16, String, String);

/// A machine in the machine: servers of this process, and clients that are processes of their own.
struct Traffic {
    /// All ports that are ours.
    ports: BTreeSet<u16>,
    clients: Vec<Process>,
    _servers: Vec<TcpListener>,
    _udp: UdpSocket,
    _accepted: Vec<TcpStream>,
    _directory: Directory,
}

const CLIENTS: usize = 12;
const CONNECTIONS: usize = 8;
/// The kernel keeps 15 bytes of it.
const CLIENT: &str = "a-client-with-a-long-name";

impl Traffic {
    fn start() -> Traffic {
        let directory = Directory::new();
        let client = directory.join(CLIENT);
        std::fs::copy(program("sleep"), &client).unwrap();
        let listen = |address: &str| TcpListener::bind((address, free_port())).unwrap();
        // The last one takes IPv4 too, and sees it mapped.
        let servers: Vec<TcpListener> = ["127.0.0.1", "::1", "::"].map(listen).into();
        let port = |server: &TcpListener| server.local_addr().unwrap().port();
        let udp = UdpSocket::bind(("127.0.0.1", free_port())).unwrap();
        let udp_port = udp.local_addr().unwrap().port();
        let mut ports: BTreeSet<u16> = servers.iter().map(port).collect();
        ports.insert(udp_port);
        let targets = [
            format!("tcp/127.0.0.1/{}", port(&servers[0])),
            format!("tcp/::1/{}", port(&servers[1])),
            format!("tcp/127.0.0.1/{}", port(&servers[2])),
            format!("udp/127.0.0.1/{udp_port}"),
        ];
        let open = |number: usize| {
            let target = &targets[number % targets.len()];
            format!("exec {{fd{number}}}<>/dev/{target}\n")
        };
        let script: String = (0..CONNECTIONS).map(open).collect();
        let script = format!("{script}echo ready\nexec {} 600\n", client.display());
        let clients = (0..CLIENTS).map(|_| {
            let mut client = Process::start(Command::new("bash").args(["-c", &script]));
            client.wait_for("a client", |client| client.stdout().contains("ready").then_some(()));
            client
        });
        let clients: Vec<Process> = clients.collect();
        let per_server = CLIENTS * CONNECTIONS / targets.len();
        let accept = |server: &TcpListener| -> Vec<TcpStream> {
            (0..per_server).map(|_| server.accept().unwrap().0).collect()
        };
        let accepted = servers.iter().flat_map(accept).collect();
        // A client's name is its own from its exec on.
        wait_for("clients that are what they are called", || {
            let text = sockets_of_ss();
            let clients = text.lines().filter(|line| line.contains(&CLIENT[..15])).count();
            (clients >= CLIENTS * CONNECTIONS).then_some(())
        });
        let (_servers, _udp, _accepted, _directory) = (servers, udp, accepted, directory);
        Traffic { ports, clients, _servers, _udp, _accepted, _directory }
    }
}

impl Traffic {
    /// The ports that the kernel gave to the clients.
    fn callers(&self) -> BTreeSet<u16> {
        let text = sockets_of_ss();
        let own = text.lines().filter(|line| line.contains(&CLIENT[..15]));
        let port = |line: &str| {
            let local = line.split_whitespace().nth(4)?;
            local.rsplit_once(':')?.1.parse().ok()
        };
        own.filter_map(port).collect()
    }
}

fn sockets_of_ss() -> String {
    let finished = run(Command::new("ss").args(["-tuanpH"]));
    assert_eq!(finished.code, 0, "{finished:?}");
    finished.stdout
}

/// This process's whole name, as tests are called.
fn own_name() -> String {
    let path = std::env::current_exe().unwrap();
    path.file_name().unwrap().to_str().unwrap().to_string()
}

/// The rows that must be there, by the text of ss, about these ports.
fn expected(text: &str, ports: &BTreeSet<u16>) -> BTreeSet<Row> {
    let split = |end: &str| -> (String, u16) {
        let (address, port) = end.rsplit_once(':').unwrap();
        let address = address.trim_matches(['[', ']']).trim_start_matches("::ffff:");
        let address = address.split('%').next().unwrap();
        let address = if address == "*" { "::" } else { address };
        (address.to_string(), port.parse().unwrap_or(0))
    };
    let name = |line: &str| {
        let kept = line.split("users:((\"").nth(1).and_then(|rest| rest.split('"').next());
        let kept = kept.unwrap_or_default();
        let whole = [CLIENT.to_string(), own_name()];
        whole.into_iter().find(|w| kept.len() == 15 && w.starts_with(kept)).unwrap_or(kept.into())
    };
    let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
    let rows = || text.lines().zip(&lines).map(|(line, w)| (line, w, split(w[4]), split(w[5])));
    let is_server = |words: &[&str]| words[1] == "LISTEN" || words[1] == "UNCONN";
    let listening: BTreeMap<(&str, u16), String> = rows()
        .filter(|(_, words, ..)| is_server(words))
        .map(|(line, words, local, _)| ((words[0], local.1), name(line)))
        .collect();
    let mut found = BTreeSet::new();
    for (line, words, (address, port), (remote, remote_port)) in rows() {
        let protocol = words[0].to_string();
        if is_server(words) && ports.contains(&port) {
            found.insert(("server".into(), address, port, String::new(), name(line)));
        } else if words[1] == "ESTAB" && ports.contains(&port) {
            assert!(listening.contains_key(&(words[0], port)), "{line}");
            found.insert(("downstream".into(), remote, port, protocol, name(line)));
        } else if words[1] == "ESTAB" && ports.contains(&remote_port) {
            found.insert(("upstream".into(), remote, remote_port, protocol, name(line)));
        }
    }
    found
}

fn port_of(series: &Series) -> u16 {
    series.label("port").parse().unwrap_or(0)
}

/// The rows of the map that are about these ports.
fn mapped(all: &[Series], ports: &BTreeSet<u16>) -> BTreeSet<Row> {
    mapped_where(all, |series| ports.contains(&port_of(series)))
}

fn mapped_where(all: &[Series], is_wanted: impl Fn(&Series) -> bool) -> BTreeSet<Row> {
    let mut found = BTreeSet::new();
    for series in all {
        let port = port_of(series);
        let label = |name: &str| series.label(name).to_string();
        let what = series.name.trim_start_matches("planet_");
        if !is_wanted(series) {
            continue;
        }
        let row = match what {
            "upstream" | "downstream" => (
                what.into(),
                label("remote_address"),
                port,
                label("protocol"),
                label("process_name"),
            ),
            "server_process" => {
                let bind = label("bind");
                let address = bind.rsplit_once(':').unwrap().0.to_string();
                ("server".into(), address, port, String::new(), label("process_name"))
            }
            _ => continue,
        };
        found.insert(row);
    }
    found
}

/// Defects 9 (UDP), 10 (names cut and hidden), 15 (ports alone).
#[test]
fn the_map_is_what_ss_says() {
    let traffic = Traffic::start();
    assert_eq!(traffic.clients.len(), CLIENTS);
    let (all, rows) = wait_for("a moment in which nothing changes", || {
        let before = expected(&sockets_of_ss(), &traffic.ports);
        let all = once("[dependency.sockets]\nloopback = true\n");
        (expected(&sockets_of_ss(), &traffic.ports) == before).then_some((all, before))
    });
    // Each kind of row is there, with the whole name of its process.
    for (what, address) in [("upstream", "::1"), ("downstream", "127.0.0.1"), ("server", "::")] {
        assert!(rows.iter().any(|row| row.0 == what && row.1 == address), "{what} {address}");
    }
    assert!(rows.iter().any(|row| row.3 == "udp" && row.4 == CLIENT), "{rows:?}");
    // No row more, be it the clients' or about the ports that they called from.
    let callers = traffic.callers();
    assert!(callers.len() > CLIENTS, "{callers:?}");
    let own = own_name();
    let is_ours = |series: &Series| {
        let (port, process) = (port_of(series), series.label("process_name"));
        let is_known = process.is_empty() || process == own;
        process == CLIENT || traffic.ports.contains(&port) || is_known && callers.contains(&port)
    };
    assert_eq!(mapped_where(&all, is_ours), rows);
}

/// Defects 10 and 11: connections that are over hide nothing and invent nothing.
#[test]
fn connections_that_are_over_invent_nothing() {
    let listen = || TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let port = |server: &TcpListener| server.local_addr().unwrap().port();
    let closed = |server: &TcpListener, client_first: bool| {
        let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let (accepted, caller) = server.accept().unwrap();
        let (mut first, mut second) =
            if client_first { (client, accepted) } else { (accepted, client) };
        first.shutdown(std::net::Shutdown::Write).unwrap();
        second.read_to_end(&mut Vec::new()).unwrap();
        drop(second);
        first.read_to_end(&mut Vec::new()).unwrap();
        caller.port()
    };
    // Of what is over, a port that no system gives to callers shows who called.
    let service = |step: u32| {
        let port = 2000 + (std::process::id().wrapping_mul(97) + step) % 8000;
        TcpListener::bind(("127.0.0.1", port as u16)).ok()
    };
    let (short, gone, live) = ((0..8000).find_map(service).unwrap(), listen(), listen());
    let ports = [port(&short), port(&gone), port(&live)];
    let callers = [closed(&short, true), closed(&gone, false), closed(&live, true)];
    let _client = TcpStream::connect(live.local_addr().unwrap()).unwrap();
    drop(gone);
    let all = once("[dependency.sockets]\nloopback = true\n");
    let text = sockets_of_ss();
    let waiting = |port: u16| {
        let end = format!(":{port} ");
        text.lines().any(|line| line.contains("TIME-WAIT") && line.contains(&end))
    };
    assert!(ports.iter().all(|port| waiting(*port)), "{text}");
    let rows = mapped(&all, &ports.into());
    let about = |port: u16| -> Vec<&Row> { rows.iter().filter(|row| row.2 == port).collect() };
    let of = |rows: Vec<&Row>| -> Vec<(String, String)> {
        rows.iter().map(|row| (row.0.clone(), row.4.clone())).collect()
    };
    let row = |what: &str, process: &str| (what.to_string(), process.to_string());
    let own = own_name();
    assert_eq!(of(about(ports[0])), [row("server", &own), row("upstream", "")]);
    assert_eq!(of(about(ports[1])), []);
    let expected = [row("downstream", &own), row("server", &own), row("upstream", &own)];
    let mut live = of(about(ports[2]));
    live.sort();
    // What was not accepted yet has a connection at this end all the same.
    assert_eq!(live, expected);
    // No caller's port was taken for a service.
    assert_eq!(mapped(&all, &callers.into()), BTreeSet::new());
}

/// Defect 8: a machine without a way out, or any address at all, has a map.
#[test]
fn a_machine_without_a_route_has_a_map() {
    if skips(&[ROOT]) {
        return;
    }
    let arguments = ["-rn", env!("CARGO_BIN_EXE_perijove"), "once", "--dependency"];
    let finished = run(Command::new("unshare").args(arguments).args(["--format", "prometheus"]));
    assert_eq!(finished.code, 0, "{finished:?}");
    let all = series::read(&finished.stdout);
    assert_eq!(named(&all, "planet_hostname").len(), 1);
    assert!(named(&all, "planet_upstream").is_empty());
}

/// Defect 16: the machine's own addresses, whichever, are not its dependencies; it depends on
/// itself in one direction only.
#[test]
fn own_addresses_are_nobody_else() {
    let servers = ["127.0.0.1", "::1", "127.0.0.2"]
        .map(|address| TcpListener::bind((address, free_port())).unwrap());
    let connect = |server: &TcpListener| TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let _clients = servers.each_ref().map(connect);
    let ports = servers.each_ref().map(|server| server.local_addr().unwrap().port());
    let rows = mapped(&once("[dependency]\n"), &ports.into());
    let directions: Vec<&str> = rows.iter().map(|row| &*row.0).collect();
    let expected = ["downstream", "downstream", "downstream", "server", "server", "server"];
    assert_eq!(directions, expected, "{rows:?}");
}
