//! The map of a machine's dependencies: its own sockets beside what ss says of them, real and
//! misbehaving servers, and each defect that planet-exporter is known to have.

mod common;
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use common::http_stub::{HttpStub, Reply};
use common::needs::{ROOT, skips};
use common::perijove::{Daemon, local_router, perijove, run_with};
use common::process::{Finished, Process, peak_bytes, run};
use common::prometheus::promtool;
use common::temporary::Directory;
use common::{answer, free_port, http_agent, lines, program, wait_for, wait_for_within};
use series::Series;

/// What `once` prints of the machine with these settings.
fn once(settings: &str) -> Vec<Series> {
    let finished = once_finished(settings);
    assert_eq!(finished.code, 0, "{finished:?}");
    series::read(&finished.stdout)
}

fn once_finished(settings: &str) -> Finished {
    run_with(settings, &["once", "--format", "prometheus"])
}

fn get(port: u16, path: &str) -> (u16, String) {
    let url = format!("http://127.0.0.1:{port}{path}");
    http_agent().get(url).call().and_then(answer).unwrap_or_default()
}

fn scrape(port: u16) -> Vec<Series> {
    series::read(&get(port, "/metrics").1)
}

/// A figure of perijove's own about a source.
fn of_source(all: &[Series], source: &str, name: &str) -> Option<f64> {
    let name = format!("perijove_dependency_{name}");
    let source = format!("dependency_{source}");
    let found = all.iter().find(|s| s.name == name && s.label("source") == source);
    found.map(|series| series.value)
}

fn named<'a>(all: &'a [Series], name: &str) -> Vec<&'a Series> {
    all.iter().filter(|series| series.name == name).collect()
}

/// Settings for a daemon that is asked at this port.
fn served(port: u16, dependency: &str) -> String {
    format!(
        "self_interval = \"200ms\"\n[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n\
         expire_intervals = 10\n[dependency]\nname = \"me\"\n{dependency}"
    )
}

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

/// Names and labels are planet-exporter's, in the text that promtool likes. Defect 19: bytes are
/// counters, unless somebody wants gauges.
#[test]
fn names_and_labels_are_those_of_planet_exporter() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    let server = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let _client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let sample = include_str!("samples/ebpf.prom");
    let ebpf = HttpStub::start(move |_, _| Reply::message(200, sample));
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let directory = Directory::new();
    let inventory = directory.write(
        "inventory.json",
        r#"[{"ip_address":"0.0.0.0/0","domain":"all.example","hostgroup":"all"},
            {"ip_address":"::/0","domain":"six.example","hostgroup":"six"}]"#,
    );
    let settings = |bytes_as: &str| {
        format!(
            "[dependency]\naddress = \"198.51.100.2\"\n{bytes_as}\
             [dependency.sockets]\nloopback = true\n\
             [dependency.inventory]\nfile = {inventory:?}\n\
             [dependency.darkstat]\nurl = \"{}\"\n[dependency.ebpf]\nurl = \"{}\"\n",
            darkstat.url(),
            ebpf.url()
        )
    };
    let finished = once_finished(&settings(""));
    assert_eq!(finished.code, 0, "{finished:?}");
    promtool(&finished.stdout);
    let all = series::read(&finished.stdout);
    let peers = "local_address local_hostgroup port process_name protocol remote_address \
                 remote_hostgroup";
    let bytes = "direction local_domain local_hostgroup remote_domain remote_hostgroup remote_ip";
    for (name, labels, kind) in [
        ("planet_upstream", peers, "gauge"),
        ("planet_downstream", peers, "gauge"),
        ("planet_server_process", "bind local_hostgroup port process_name", "gauge"),
        ("planet_hostname", "domain hostname ip local_hostgroup", "gauge"),
        ("planet_traffic_bytes_total", bytes, "counter"),
        ("planet_ebpf_traffic_bytes_total", bytes, "counter"),
    ] {
        let found = named(&all, name);
        // Where nobody may see a process it has no name, and an empty label is none.
        let whole = found.iter().find(|series| {
            series.labels.keys().map(String::as_str).collect::<Vec<_>>().join(" ") == labels
        });
        assert!(whole.is_some(), "{name}: {found:?}");
        assert!(found.iter().all(|series| series.kind == kind), "{name}");
    }
    assert!(all.iter().all(|series| series.label("target").is_empty()));
    let all = once(&settings("bytes_as = \"gauge\"\n"));
    let found = named(&all, "planet_traffic_bytes_total");
    assert!(!found.is_empty() && found.iter().all(|series| series.kind == "gauge"));
    // The same through the other formats.
    for format in ["line", "json"] {
        let finished = run_with(&settings(""), &["once", "--format", format]);
        for name in ["planet_upstream", "planet_server_process", "planet_ebpf_traffic"] {
            assert!(finished.stdout.contains(name), "{format}: {name}");
        }
    }
    let text = run_with(&settings(""), &["once"]).stdout;
    let all = lines::read(&text);
    let row = all.iter().find(|line| line.measurement == "planet_traffic").unwrap();
    assert!(!row.tag("host").is_empty() && row.tag("local_hostgroup") == "all");
    assert!(row.fields.contains_key("bytes_total"), "{row:?}");
}

const DARKSTAT: &str = "# TYPE host_bytes_total counter\n\
    host_bytes_total{interface=\"eth0\",ip=\"10.0.0.9\",mac=\"x\",dir=\"in\"} 100\n\
    host_bytes_total{interface=\"eth0\",ip=\"10.0.0.9\",mac=\"x\",dir=\"out\"} 40\n\
    host_bytes_total{interface=\"eth0\",ip=\"198.51.100.2\",mac=\"x\",dir=\"out\"} 7\n";

/// Defects 3 and 4: any of the families will do, and a peer's rows are added up.
#[test]
fn ebpf_families_are_summed_and_none_is_needed() {
    for (sample, six) in [
        (include_str!("samples/ebpf.prom"), true),
        (include_str!("samples/ebpf-v4only.prom"), false),
    ] {
        let stub = HttpStub::start(move |_, _| Reply::message(200, sample));
        let sockets = "[dependency.sockets]\nmachine = false\n";
        let all = once(&format!("{sockets}[dependency.ebpf]\nurl = \"{}\"\n", stub.url()));
        let bytes = |ip: &str, direction: &str| {
            let found = named(&all, "planet_ebpf_traffic_bytes_total");
            let found = found.iter().find(|series| {
                series.label("remote_ip") == ip && series.label("direction") == direction
            });
            found.map(|series| series.value)
        };
        assert_eq!(bytes("10.2.3.4", "egress"), Some(500.0));
        assert_eq!(bytes("10.2.3.4", "ingress"), Some(5120.0));
        assert_eq!(bytes("2001:db8::9", "egress"), six.then_some(800.0));
    }
}

/// A right answer without a row of any peer is said: the wrong tables are set up, or none.
#[test]
fn ebpf_without_a_row_is_said() {
    let stub = HttpStub::start(|_, _| Reply::message(200, "ebpf_exporter_enabled_programs 1\n"));
    let settings = format!(
        "[dependency.sockets]\nmachine = false\n[dependency.ebpf]\nurl = \"{}\"\n",
        stub.url()
    );
    let words = "ebpf_exporter answers, but has no row of another host in ipv4_recv_bytes";
    let finished = once_finished(&settings);
    assert_eq!(finished.code, 0, "{finished:?}");
    assert_eq!(finished.stderr.matches(words).count(), 1, "{finished:?}");
    let checked = run_with(&settings, &["check"]);
    let line = checked.stdout.lines().find(|line| line.contains("dependency_ebpf"));
    assert!(line.is_some_and(|line| line.contains(words)), "{checked:?}");
}

/// Defects 5 and 18: one that hangs delays no other, says so, and its old results go.
#[test]
fn a_source_that_hangs_is_alone_with_it() {
    let port = free_port();
    let is_seen = Arc::new(AtomicBool::new(false));
    let hangs = Arc::clone(&is_seen);
    let darkstat = HttpStub::start(move |_, _| {
        if hangs.load(Relaxed) { Reply::Hang } else { Reply::message(200, DARKSTAT) }
    });
    let inventory = HttpStub::start(|_, _| Reply::Hang);
    let settings = served(
        port,
        &format!(
            "[dependency.sockets]\ninterval = \"200ms\"\n\
             [dependency.inventory]\nurl = \"{}\"\ntimeout = \"10m\"\n\
             [dependency.darkstat]\nurl = \"{}\"\ninterval = \"500ms\"\ntimeout = \"1s\"\n",
            inventory.url(),
            darkstat.url()
        ),
    );
    let daemon = Daemon::start(&settings);
    wait_for("sockets and traffic", || {
        let all = scrape(port);
        let has = |name| !named(&all, name).is_empty();
        (has("planet_server_process") && has("planet_traffic_bytes_total")).then_some(())
    });
    is_seen.store(true, Relaxed);
    let runs = |all: &[Series]| of_source(all, "sockets", "runs_total").unwrap();
    let all = wait_for("darkstat's end", || {
        let all = scrape(port);
        let is_gone = named(&all, "planet_traffic_bytes_total").is_empty();
        (is_gone && of_source(&all, "darkstat", "success") == Some(0.0)).then_some(all)
    });
    assert_eq!(of_source(&all, "sockets", "success"), Some(1.0));
    assert!(of_source(&all, "darkstat", "last_success_age_seconds").unwrap() > 0.5);
    assert_eq!(of_source(&all, "inventory", "success"), None);
    let before = runs(&all);
    wait_for("more runs", || (runs(&scrape(port)) >= before + 5.0).then_some(()));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(finished.stderr.contains("no answer within its timeout"), "{}", finished.stderr);
}

/// Defects 1, 2, 7 and 18: bad entries, bad answers, and what stays in use meanwhile.
#[test]
fn the_inventory_outlives_bad_entries_and_bad_answers() {
    const GOOD: &str = r#"{"ip_address":"10.0.0.9","domain":"a.example","hostgroup":"a"}
{bad json
{"ip_address":"10.0.0.8","hostgroup":"b"}
"#;
    let etag: &[(&str, &str)] = &[("ETag", "\"one\"")];
    let inventory = HttpStub::start(move |number, request| match number {
        0 => Reply::Answer(200, etag, GOOD.into()),
        1 if request.headers.get("if-none-match").is_some_and(|tag| tag == "\"one\"") => {
            Reply::status(304)
        }
        2 => Reply::message(500, "{\"ip_address\":\"10.0.0.9\",\"domain\":\"wrong.example\"}"),
        3 => Reply::message(200, "<html>busy</html>"),
        4 => Reply::CutInBody,
        5 => Reply::message(200, ""),
        _ => Reply::Garbage,
    });
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let port = free_port();
    let daemon = Daemon::start(&served(
        port,
        &format!(
            "[dependency.sockets]\nmachine = false\n\
             [dependency.inventory]\nurl = \"{}\"\nformat = \"ndjson\"\ninterval = \"300ms\"\n\
             [dependency.darkstat]\nurl = \"{}\"\ninterval = \"100ms\"\n",
            inventory.url(),
            darkstat.url()
        ),
    ));
    inventory.wait_requests("bad answers", |requests| (requests.len() > 7).then_some(()));
    let is_peer = |series: &&Series| series.label("remote_ip") == "10.0.0.9";
    // A busy machine asks darkstat too rarely for a row to be there each time.
    let all = wait_for("a failed refresh", || {
        let all = scrape(port);
        let has_failed = of_source(&all, "inventory", "success") == Some(0.0);
        let has_row = named(&all, "planet_traffic_bytes_total").into_iter().any(|s| is_peer(&s));
        (has_failed && has_row).then_some(all)
    });
    assert_eq!(of_source(&all, "inventory", "rejected_items"), Some(1.0));
    assert!(of_source(&all, "inventory", "failed_runs_total") >= Some(1.0));
    assert!(of_source(&all, "inventory", "last_success_age_seconds") > Some(0.0));
    let traffic = named(&all, "planet_traffic_bytes_total");
    let row = traffic.into_iter().find(is_peer).unwrap();
    assert_eq!((row.label("remote_domain"), row.label("remote_hostgroup")), ("a.example", "a"));
    let stderr = daemon.stop().stderr;
    let empty = "it has no entry, and the one in use has 2";
    for words in ["left out 1 that do not fit: line 2", "status 500", "expected value", empty] {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
}

/// A malformed line in the middle of 100,000 costs that line; in an array it costs the document,
/// and an entry that does not fit costs itself.
#[test]
fn one_bad_line_in_a_hundred_thousand() {
    let directory = Directory::new();
    let entry = |n: u32| {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n);
        format!("{{\"ip_address\":\"{address}\",\"domain\":\"d{n}\",\"hostgroup\":\"g\"}}")
    };
    let malformed = "{\"ip_address\":\"10.0.195.80\",\"domain\":\"x";
    let unfit = "{\"ip_address\":\"10.0.195.80\",\"domain\":7}";
    let found = "ok          source dependency_inventory: 99999 found, 1 left out";
    let lines = ("ndjson", "\n", ["", ""]);
    let array = ("arrayjson", ",\n", ["[", "]"]);
    let refused = "FAILED      source dependency_inventory";
    for ((format, separator, around), bad, code, stdout, place) in [
        (lines, malformed, 0, found, "line 50001"),
        (lines, unfit, 0, found, "line 50001"),
        (array, unfit, 0, found, "line 50001"),
        // The text that has no end goes over the end of its line.
        (array, malformed, 1, refused, "line 50002"),
    ] {
        let mut entries: Vec<String> = (0..100_000).map(entry).collect();
        entries[50_000] = bad.into();
        let text = format!("{}{}{}", around[0], entries.join(separator), around[1]);
        let file = directory.write("inventory", text);
        let settings = format!(
            "[dependency.sockets]\nmachine = false\n\
             [dependency.inventory]\nfile = {file:?}\nformat = \"{format}\"\n"
        );
        let finished = run_with(&settings, &["check"]);
        assert_eq!(finished.code, code, "{format}: {finished:?}");
        assert!(finished.stdout.contains(stdout), "{format}: {finished:?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(said.contains(place), "{finished:?}");
    }
}

/// A malformed array keeps the last good one in use.
#[test]
fn a_malformed_array_keeps_the_last_good_one() {
    let inventory = HttpStub::start(|number, _| match number {
        0 => Reply::message(200, r#"[{"ip_address":"10.0.0.9","domain":"a.example"}]"#),
        _ => Reply::message(200, r#"[{"ip_address":"10.0.0.9","domain":"b.example"},{bad]"#),
    });
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let port = free_port();
    let daemon = Daemon::start(&served(
        port,
        &format!(
            "[dependency.sockets]\nmachine = false\n\
             [dependency.inventory]\nurl = \"{}\"\ninterval = \"300ms\"\n\
             [dependency.darkstat]\nurl = \"{}\"\ninterval = \"100ms\"\n",
            inventory.url(),
            darkstat.url()
        ),
    ));
    let is_peer = |series: &&Series| series.label("remote_ip") == "10.0.0.9";
    // A busy machine asks darkstat too rarely for a row to be there each time.
    let all = wait_for("a failed refresh", || {
        let all = scrape(port);
        let has_failed = of_source(&all, "inventory", "success") == Some(0.0);
        let has_row = named(&all, "planet_traffic_bytes_total").into_iter().any(|s| is_peer(&s));
        (has_failed && has_row).then_some(all)
    });
    let traffic = named(&all, "planet_traffic_bytes_total");
    let row = traffic.into_iter().find(is_peer).unwrap();
    assert_eq!(row.label("remote_domain"), "a.example");
    let stderr = daemon.stop().stderr;
    assert!(stderr.contains("it is not a JSON array of entries: key must be"), "{stderr}");
}

/// Serves an endless body: this text again and again. Bytes that it could get rid of are nobody's.
fn endless(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let block = text.repeat(1 << 14);
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            let mut bytes = 0;
            // A gigabyte is as good as no end.
            while sent.is_ok() && bytes < 1 << 30 {
                sent = stream.write_all(block.as_bytes());
                bytes += block.len();
            }
        }
    });
    url
}

/// Defect 6, and what has no end at all.
#[test]
fn endless_answers_are_bounded() {
    let entry = "{\"ip_address\":\"10.0.0.1\",\"domain\":\"some.example\",\"hostgroup\":\"g\"}\n";
    let inventory = endless(entry);
    let darkstat = endless("host_bytes_total{ip=\"10.0.0.9\",dir=\"in\"} 1\n");
    let ebpf = endless("another_family_of_metrics{label=\"value\"} 12345\n");
    let port = free_port();
    let daemon = Daemon::start(&served(
        port,
        &format!(
            "[dependency.inventory]\nurl = \"{inventory}\"\nformat = \"ndjson\"\n\
             bytes_max = \"16MB\"\nentries_max = 1000\n\
             timeout = \"10m\"\n\
             [dependency.darkstat]\nurl = \"{darkstat}\"\nbytes_max = \"16MB\"\n\
             timeout = \"10m\"\n\
             [dependency.ebpf]\nurl = \"{ebpf}\"\nbytes_max = \"16MB\"\ntimeout = \"10m\"\n"
        ),
    ));
    let all = wait_for_within(Duration::from_secs(600), "three refusals", || {
        let all = scrape(port);
        let failed = |source| of_source(&all, source, "success") == Some(0.0);
        ["inventory", "darkstat", "ebpf"].into_iter().all(failed).then_some(all)
    });
    assert_eq!(of_source(&all, "sockets", "success"), Some(1.0));
    let peak = peak_bytes(daemon.process.id());
    assert!(peak < 48 << 20, "{peak} bytes");
    let stderr = daemon.stop().stderr;
    assert_eq!(stderr.matches("longer than 16777216 bytes (bytes_max)").count(), 3, "{stderr}");
}

#[test]
fn a_million_series_are_bounded_and_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let mut text = String::from("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            for n in 0..1_000_000u32 {
                let address = std::net::Ipv4Addr::from_bits(0x0b00_0000 + n);
                text += &format!("host_bytes_total{{ip=\"{address}\",dir=\"in\"}} {n}\n");
            }
            let _ = stream.write_all(text.as_bytes());
        }
    });
    let port = free_port();
    let daemon = Daemon::start(&served(
        port,
        &format!(
            "[dependency.sockets]\nmachine = false\n[dependency.darkstat]\nurl = \"{url}\"\n\
             timeout = \"10m\"\nbytes_max = \"128MB\"\npeers_max = 1000\ninterval = \"1m\"\n"
        ),
    ));
    // Writer and reader take turns, which takes a busy machine more than a minute.
    let patience = Duration::from_secs(600);
    let all = wait_for_within(patience, "the peers that there is room for", || {
        let all = scrape(port);
        // The last batch may come after the word of success.
        let has_come = named(&all, "planet_traffic_bytes_total").len() >= 2000;
        (has_come && of_source(&all, "darkstat", "success") == Some(1.0)).then_some(all)
    });
    assert_eq!(named(&all, "planet_traffic_bytes_total").len(), 2000);
    assert_eq!(of_source(&all, "darkstat", "dropped_rows"), Some(998_000.0));
    let peak = peak_bytes(daemon.process.id());
    assert!(peak < 40 << 20, "{peak} bytes");
    assert_eq!(daemon.stop().code, 0);
}

/// Defects 12 and 13: one server a port, and nothing open but what is named.
#[test]
fn it_stands_in_for_planet_exporter() {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let arguments = ["run", "--dependency", "--listen", &*listen];
    let daemon = Process::start(&mut perijove(&arguments));
    let all = wait_for("the map", || {
        let all = scrape(port);
        let has = |name| !named(&all, name).is_empty();
        (has("planet_server_process") && has("planet_hostname")).then_some(all)
    });
    // No router is asked where none is named.
    assert!(named(&all, "perijove_session_up").is_empty());
    assert!(named(&all, "up").is_empty());
    for path in ["/debug/pprof/", "/debug/pprof/heap", "/anything"] {
        assert_eq!(get(port, path).0, 404, "{path}");
    }
    let second = run(&mut perijove(&arguments));
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("cannot listen on"), "{second:?}");
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, 0);
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

/// Defect 17: a machine that the inventory does not know has one hostgroup, not two.
#[test]
fn an_unknown_machine_is_the_same_in_every_metric() {
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let _server = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let all = once(&format!("[dependency.darkstat]\nurl = \"{}\"\n", darkstat.url()));
    let planet = all.iter().filter(|series| series.name.starts_with("planet_"));
    let groups: BTreeSet<&str> = planet.map(|series| series.label("local_hostgroup")).collect();
    assert_eq!(groups, [""].into());
}

#[test]
fn settings_are_read_again() {
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let port = free_port();
    let sockets = "[dependency.sockets]\ninterval = \"200ms\"\n";
    let mut daemon = Daemon::start(&served(port, sockets));
    wait_for("sockets", || {
        (!named(&scrape(port), "planet_server_process").is_empty()).then_some(())
    });
    let more = format!("{sockets}[dependency.darkstat]\nurl = \"{}\"\n", darkstat.url());
    daemon.reload(&served(port, &more));
    daemon.process.wait_stderr("the settings were read again");
    wait_for("darkstat", || {
        (!named(&scrape(port), "planet_traffic_bytes_total").is_empty()).then_some(())
    });
    daemon.reload(&served(port, "[dependency.darkstat]\nurl = \"no url\"\n"));
    daemon.process.wait_stderr("`no url` does not begin with http:// or https://");
    assert!(!named(&scrape(port), "planet_traffic_bytes_total").is_empty());
    assert_eq!(daemon.stop().code, 0);
}

/// Who may not read is told so, and the password is sent to those who ask for one.
#[test]
fn credentials_come_from_a_file() {
    let directory = Directory::new();
    let password = directory.write_secret("password", "s3cret\n");
    let darkstat = HttpStub::start(|_, request| {
        match request.headers.get("authorization").map(String::as_str) {
            Some("Basic bWU6czNjcmV0") => Reply::message(200, DARKSTAT),
            _ => Reply::status(401),
        }
    });
    let settings = |how: &str| {
        format!(
            "[dependency.sockets]\nmachine = false\n[dependency.darkstat]\nurl = \"{}\"\n{how}",
            darkstat.url()
        )
    };
    let finished = once_finished(&settings(""));
    assert_eq!(finished.code, 1);
    assert!(finished.stderr.contains("status 401"), "{finished:?}");
    let all = once(&settings(&format!("username = \"me\"\npassword_file = {password:?}\n")));
    assert_eq!(named(&all, "planet_traffic_bytes_total").len(), 3);
}

/// What the machine itself serves is asked directly, whatever proxy the environment names.
#[test]
fn a_proxy_is_not_asked_for_this_machine() {
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let proxy = HttpStub::start(|_, _| Reply::status(503));
    let settings = |url: &str| {
        format!("[dependency.sockets]\nmachine = false\n[dependency.darkstat]\nurl = \"{url}\"\n")
    };
    let directory = Directory::new();
    let run_with = |first: &str, url: &str, environment: &[(&str, &str)]| {
        let file = directory.write("perijove.toml", format!("{first}\n{}", settings(url)));
        let mut command = perijove(&["once", "--format", "prometheus", "--config"]);
        command.arg(file);
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        run(command.envs(environment.iter().copied()))
    };
    let run_at = |url: &str, environment: &[(&str, &str)]| run_with("", url, environment);
    let all = ["http_proxy", "https_proxy", "all_proxy"].map(|name| (name, &*proxy.url().leak()));
    let finished = run_at(&darkstat.url(), &all);
    assert_eq!(finished.code, 0, "{finished:?}");
    let traffic = series::read(&finished.stdout);
    assert_eq!(named(&traffic, "planet_traffic_bytes_total").len(), 3);
    assert!(proxy.requests().is_empty());
    // Another machine is asked through the proxy of its scheme, unless no_proxy has it. It has
    // no name, so that nothing leaves this machine.
    let other = "http://darkstat.invalid:11560/metrics";
    let finished = run_at(other, &all[..1]);
    assert_eq!(finished.code, 1, "{finished:?}");
    assert_eq!(proxy.requests().len(), 1, "{finished:?}");
    for environment in [&all[1..2], &[all[0], ("no_proxy", "invalid")]] {
        let finished = run_at(other, environment);
        assert_eq!(finished.code, 1, "{finished:?}");
        assert_eq!(proxy.requests().len(), 1, "{finished:?}");
    }
    let finished = run_at(other, &[("http_proxy", "socks5://me:s3cret@127.0.0.1:1")]);
    assert!(
        finished.stderr.contains("http_proxy in the environment is no http://"),
        "{finished:?}"
    );
    assert!(!finished.stderr.contains("s3cret"), "{finished:?}");
    // The setting goes before the environment.
    let finished = run_with("proxy = \"off\"", other, &all);
    assert_eq!((finished.code, proxy.requests().len()), (1, 1), "{finished:?}");
    let named_proxy = format!("proxy = {:?}", proxy.url());
    let finished = run_with(&named_proxy, other, &[]);
    assert_eq!((finished.code, proxy.requests().len()), (1, 2), "{finished:?}");
    let finished = run_with(&named_proxy, &darkstat.url(), &[]);
    assert_eq!((finished.code, proxy.requests().len()), (0, 2), "{finished:?}");
    let finished = run_with("proxy = \"http://me:s3cret@p:1\"", other, &[]);
    assert_eq!(finished.code, 2, "{finished:?}");
    assert!(!finished.stderr.contains("s3cret"), "{finished:?}");
}

/// Redirects are followed, and credentials stay with the server that they are for.
#[test]
fn the_inventory_may_be_elsewhere() {
    const TEXT: &str = r#"[{"ip_address":"10.0.0.9","domain":"a.example","hostgroup":"a"}]"#;
    let other = HttpStub::start(|_, _| Reply::message(200, TEXT));
    let header = |to: String| -> &'static [(&'static str, &'static str)] {
        vec![("Location", &*to.leak())].leak()
    };
    let (there, round) = (header(format!("{}/there", other.url())), header("/round".into()));
    let same = header("/same".into());
    let first = HttpStub::start(move |_, request| match request.target.as_str() {
        "/inventory" => Reply::Answer(302, same, String::new()),
        "/same" => Reply::Answer(307, there, String::new()),
        _ => Reply::Answer(301, round, String::new()),
    });
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let directory = Directory::new();
    let password = directory.write_secret("password", "s3cret\n");
    let settings = |path: &str| {
        format!(
            "[dependency.sockets]\nmachine = false\n\
             [dependency.inventory]\nurl = \"{}{path}\"\nusername = \"me\"\n\
             password_file = {password:?}\n[dependency.darkstat]\nurl = \"{}\"\n",
            first.url(),
            darkstat.url()
        )
    };
    let all = once(&settings("/inventory"));
    let traffic = named(&all, "planet_traffic_bytes_total");
    let row = traffic.iter().find(|series| series.label("remote_ip") == "10.0.0.9").unwrap();
    assert_eq!(row.label("remote_domain"), "a.example");
    let has_login =
        |request: &common::http_stub::Request| request.headers.contains_key("authorization");
    let paths: Vec<_> =
        first.requests().iter().map(|it| (it.target.clone(), has_login(it))).collect();
    assert_eq!(paths, [("/inventory".into(), true), ("/same".into(), true)]);
    let paths: Vec<_> =
        other.requests().iter().map(|it| (it.target.clone(), has_login(it))).collect();
    assert_eq!(paths, [("/there".into(), false)]);
    let finished = once_finished(&settings("/round"));
    assert!(finished.stderr.contains("more than 3 redirects"), "{finished:?}");
}

/// Defect 21: nobody who cannot show a good certificate is believed. The server is a perijove.
#[test]
fn certificates_are_checked() {
    if skips(&["openssl"]) {
        return;
    }
    let directory = Directory::new();
    let (key, cert) = directory.certificate("server");
    let port = free_port();
    let tls = format!("cert_file = {cert:?}\nkey_file = {key:?}\n[dependency]\n");
    let settings = served(port, "").replace("[dependency]\n", &tls);
    let mut daemon = Daemon::start(&settings);
    daemon.process.wait_stderr("serves https://");
    let asked = |how: &str| {
        once_finished(&format!(
            "[dependency.sockets]\nmachine = false\n\
             [dependency.darkstat]\nurl = \"https://127.0.0.1:{port}/metrics\"\n{how}"
        ))
    };
    let refused = asked("");
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("certificate"), "{refused:?}");
    assert!(refused.stderr.contains("ca_file"), "{refused:?}");
    // One that is trusted is asked, and has other metrics.
    let trusted = asked(&format!("ca_file = {cert:?}\n"));
    assert!(trusted.stderr.contains("there is no host_bytes_total"), "{trusted:?}");
    assert_eq!(daemon.stop().code, 0);
}

/// A router's connections over NETCONF, and what the inventory knows of its peers.
#[test]
fn a_router_has_a_map_too() {
    let directory = Directory::new();
    let inventory = directory.write(
        "inventory.json",
        r#"[{"ip_address":"192.0.2.0/24","domain":"peer.example","hostgroup":"peers"},
            {"ip_address":"10.0.0.0/8","domain":"core.example","hostgroup":"core"}]"#,
    );
    let settings = |enrich: bool| {
        format!(
            "collectors = [\"bfd\"]\n{}[dependency.inventory]\nfile = {inventory:?}\n\
             enrich = {enrich}\n",
            local_router("r1", "")
        )
    };
    let all = once(&settings(true));
    let found = named(&all, "planet_upstream");
    let bgp = found.iter().find(|s| s.label("port") == "179").unwrap();
    assert_eq!(bgp.label("process_name"), "rpd");
    assert_eq!(bgp.label("remote_address"), "peer.example");
    assert_eq!(bgp.label("target"), "r1");
    let internal = |series: &Series| series.labels.values().any(|v| v.starts_with("128.0."));
    assert!(!all.iter().any(internal));
    // Its own machine is not asked where routers are.
    assert!(named(&all, "planet_server_process").iter().all(|s| s.label("target") == "r1"));
    let peers = |all: &[Series]| {
        let bfd = named(all, "junos_bfd_state").into_iter().cloned().collect::<Vec<_>>();
        assert!(!bfd.is_empty());
        bfd.iter().filter(|series| !series.label("remote_hostgroup").is_empty()).count()
    };
    assert!(peers(&all) > 0, "{:?}", named(&all, "junos_bfd_state"));
    assert_eq!(peers(&once(&settings(false))), 0);
}

/// A real darkstat, and traffic of which every byte is known to the kernel that counts it.
#[test]
fn bytes_of_a_real_darkstat_agree() {
    if skips(&["darkstat"]) {
        return;
    }
    let (port, service) = (free_port(), free_port());
    let mut command = Command::new(common::darkstat());
    command.args(["-i", "lo", "-f", &format!("port {service}"), "-p", &port.to_string()]);
    command.args(["-b", "127.0.0.1", "--no-daemon", "--no-dns", "--no-promisc"]);
    let mut process = Process::start(&mut command);
    process.wait_for("darkstat answers", |_| {
        let answer = http_agent().get(format!("http://127.0.0.1:{port}/metrics")).call();
        answer.is_ok_and(|answer| answer.status() == 200).then_some(())
    });
    const SENT: usize = 300_000;
    let server = TcpListener::bind(("127.0.0.2", service)).unwrap();
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(("127.0.0.2", service)).unwrap();
        stream.write_all(&[7; SENT]).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    });
    let (mut accepted, _) = server.accept().unwrap();
    let mut got = Vec::new();
    accepted.read_to_end(&mut got).unwrap();
    drop(accepted);
    client.join().unwrap();
    assert_eq!(got.len(), SENT);
    let settings = format!(
        "[dependency.sockets]\nmachine = false\n\
         [dependency.darkstat]\nurl = \"http://127.0.0.1:{port}/metrics\"\n"
    );
    // 127.0.0.2 is on no interface, so that it is a peer.
    let counted = |direction: &str| {
        let all = once(&settings);
        let rows = named(&all, "planet_traffic_bytes_total");
        let row = rows.iter().find(|series| {
            series.label("remote_ip") == "127.0.0.2" && series.label("direction") == direction
        });
        row.map_or(0.0, |series| series.value)
    };
    // darkstat takes packets from the kernel by blocks of half a second: what ends the connection
    // may be in a later block than its bytes, so that its figure is taken before and after.
    let said = || {
        let text = get(port, "/metrics").1;
        let is_it = |l: &&str| l.contains("ip=\"127.0.0.2\"") && l.contains("dir=\"in\"");
        let row = text.lines().find(is_it).and_then(|line| line.rsplit(' ').next());
        row.map_or(0.0, |bytes| bytes.parse().unwrap())
    };
    let bytes = wait_for("all bytes", || {
        let before: f64 = said();
        let bytes = counted("egress");
        (before >= SENT as f64 && before == bytes && bytes == said()).then_some(bytes)
    });
    // Headers come on top; a busy machine may send a segment again.
    assert!(bytes < SENT as f64 * 2.0, "{bytes}");
    assert!(Path::new("/proc/net/tcp").exists());
}
