//! Syslog from routers: its forms, its sockets, its limits, and what of it is an event.

mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslStream};
use perijove::syslog::line::Line as SyslogLine;
use perijove::syslog::table::{self, MESSAGES, To};

use common::lines::Line;
use common::needs::skips;
use common::perijove::{Daemon, FAST, local_router, whole_lines};
use common::process::{peak_bytes, run};
use common::temporary::Directory;
use common::{free_port, program, wait_for};

/// Junos's messages: what is read of each, and the line.
fn messages() -> impl Iterator<Item = (&'static str, &'static str)> {
    let text = include_str!("syslog/messages.tsv");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once('\t').expect("a tab"))
}

#[test]
fn every_message_is_read_in_both_forms() {
    let mut kinds = std::collections::BTreeMap::new();
    for (expected, line) in messages() {
        let read = SyslogLine::read(line).unwrap_or_else(|| panic!("no syslog: {line}"));
        let said = table::find(&read).map_or("-".to_string(), |said| {
            let form = usize::from(line.contains(">1 "));
            let name = if read.tag.is_empty() { read.process } else { read.tag };
            kinds.entry(name.to_string()).or_insert([0, 0])[form] += 1;
            let severity = said.severity.word();
            let parts = [said.kind, &said.subject, said.from, said.to, severity];
            format!("{}|{}|{}", parts.join("|"), said.user, said.comment)
        });
        assert_eq!(said, expected, "{line}");
        assert!(read.stamp.is_some(), "{line}");
    }
    for message in MESSAGES {
        let forms = kinds.get(message.tag).copied().unwrap_or_default();
        assert!(forms.iter().all(|count| *count > 0), "{} has no line of both forms", message.tag);
    }
}

/// The kinds and states of the table are those of the collectors, where these have them.
#[test]
fn messages_speak_as_the_collectors_do() {
    let entries = perijove::poll::registry::collectors().iter();
    let schemas: Vec<_> = entries.flat_map(|entry| entry.measurements).collect();
    let rule = |kind: &str| {
        let fields =
            schemas.iter().flat_map(|schema| (0..schema.fields()).map(|at| schema.field(at)));
        fields.filter_map(|field| field.event).find(|rule| rule.kind == kind)
    };
    let mut alone = std::collections::BTreeSet::new();
    let mut compared = std::collections::BTreeSet::new();
    for message in MESSAGES {
        let Some(rule) = rule(message.kind) else {
            alone.insert(message.kind);
            continue;
        };
        let states: Vec<(&str, u64)> = match message.to {
            To::State(_, word, number) => vec![(word, number)],
            To::Changed(known) => known.iter().map(|known| (known.word, known.number)).collect(),
            To::Happened(_) | To::Requested => Vec::new(),
        };
        for (word, number) in states {
            let own = rule.word(number as f64);
            assert_eq!(own, Some(word), "{}: {} {number}", message.tag, message.kind);
            compared.insert(message.kind);
        }
    }
    assert_eq!(compared.len(), 11, "{compared:?}");
    let expected = [
        "fru",
        "lacp-interface",
        "lacp-timeout",
        "ldp-neighbor",
        "ospf3-neighbor-address",
        "process-crash",
    ];
    assert_eq!(alone.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn the_document_has_the_table() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/syslog.md");
    let document = std::fs::read_to_string(&path).expect("docs/syslog.md");
    let (start, rest) = document.split_once("<!-- table -->\n").expect("the table's start");
    let (_, end) = rest.split_once("<!-- end -->\n").expect("the table's end");
    let mut table = String::from("| Message | Kind | Becomes | From |\n|---|---|---|---|\n");
    let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
    for message in MESSAGES {
        let (kind, source) = (message.kind, message.source);
        let becomes: Vec<&str> = match message.to {
            To::State(_, word, _) | To::Happened(word) => vec![word],
            To::Changed(known) => known.iter().map(|known| known.word).collect(),
            To::Requested => vec!["the user and comment of the commit that follows"],
        };
        let row = format!("| `{}` | `{kind}` | {{}} | {source} |", message.tag);
        match rows.iter_mut().find(|(other, _)| *other == row) {
            Some((_, words)) => {
                words.extend(
                    becomes.into_iter().filter(|word| !words.contains(word)).collect::<Vec<_>>(),
                );
            }
            None => rows.push((row, becomes)),
        }
    }
    for (row, words) in rows {
        table += &(row.replace("{}", &words.join(", ")) + "\n");
    }
    let made = format!("{start}<!-- table -->\n{table}<!-- end -->\n{end}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, made).expect("write the document");
    } else {
        assert_eq!(document, made, "UPDATE=1 cargo test --test syslog");
    }
}

/// A daemon with a router that it runs on, which sends from 127.0.0.1.
struct Setup {
    daemon: Daemon,
    port: u16,
}

/// Settings with `PORT` for a port of the test's own.
fn start(syslog: &str) -> Setup {
    start_in(Directory::new(), &local_router("r1", ""), syslog)
}

fn start_in(directory: Directory, routers: &str, syslog: &str) -> Setup {
    let port = free_port();
    let syslog = syslog.replace("PORT", &port.to_string());
    let settings = format!(
        "collectors = [\"alarm\"]\nstate_directory = \"DIRECTORY\"\n{FAST}[output.stdout]\n\
         {routers}[events.syslog]\n{syslog}"
    );
    let mut daemon = Daemon::start_in(directory, &settings, &[]);
    daemon.process.wait_stderr("syslog: listening on");
    Setup { daemon, port }
}

impl Setup {
    fn to(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Waits until the last report has these counts.
    fn wait_counts(&mut self, counts: &[(&str, u64)]) {
        let what = format!("{counts:?}");
        self.daemon.wait_lines(&what, |lines| {
            let is = |(name, count): &(&str, u64)| syslog(lines, name) == Some(*count as f64);
            counts.iter().all(is).then_some(())
        });
    }

    fn wait_events(&mut self, count: usize) -> Vec<Line> {
        self.daemon.wait_lines(&format!("{count} events"), |lines| {
            let found = events(lines);
            (found.len() >= count).then_some(found)
        })
    }

    fn stop(self) {
        let finished = self.daemon.stop();
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        assert!(!finished.stderr.contains("a bug in perijove"), "{}", finished.stderr);
    }
}

/// A count of the listener, as it was reported last.
fn syslog(lines: &[Line], name: &str) -> Option<f64> {
    let mut own = lines.iter().rev().filter(|line| line.measurement == "perijove_syslog");
    own.next().map(|line| line.number(name))
}

/// The events that came of lines.
fn events(lines: &[Line]) -> Vec<Line> {
    let text = |line: &Line, name: &str| format!("{:?}", line.fields.get(name));
    let of_syslog = |line: &&Line| text(line, "clock").contains("syslog");
    lines.iter().filter(|line| line.measurement == "event").filter(of_syslog).cloned().collect()
}

fn field<'a>(line: &'a Line, name: &str) -> &'a str {
    match line.fields.get(name) {
        Some(common::lines::Value::Text(text)) => text,
        _ => "",
    }
}

/// A line about an interface that goes down.
fn down(interface: &str) -> String {
    format!(
        "<28>Mar 14 13:19:49 mx1 mib2d[18654]: SNMP_TRAP_LINK_DOWN: ifIndex 738, ifAdminStatus \
         up(1), ifOperStatus down(2), ifName {interface}"
    )
}

fn udp() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket")
}

#[test]
fn debian_s_logger_is_understood_over_udp_tcp_and_a_local_socket() {
    if skips(&["logger"]) {
        return;
    }
    let listen = "listen = [\"udp://127.0.0.1:PORT\", \"tcp://127.0.0.1:PORT\", \
                  \"unix://DIRECTORY/log\"]\n";
    let mut setup = start(listen);
    let socket = setup.daemon.directory.join("log");
    let port = setup.port.to_string();
    let text = |interface: &str| down(interface).split_once("]: ").expect("a text").1.to_string();
    let network = ["-n", "127.0.0.1", "-P", &port];
    let sd = "interface-name=\"ge-0/0/3\"";
    let structured = [
        "--rfc5424",
        "--msgid",
        "SNMP_TRAP_LINK_DOWN",
        "--sd-id",
        "junos@2636.1",
        "--sd-param",
        sd,
        "text",
    ];
    let ways: [Vec<&str>; 5] = [
        [&network[..], &["-d", "--rfc3164"]].concat(),
        [&network[..], &["-T", "--rfc3164"]].concat(),
        [&network[..], &["-T", "--octet-count"], &structured].concat(),
        [&network[..], &["-d"], &structured].concat(),
        vec!["-u", socket.to_str().expect("UTF-8")],
    ];
    for (number, way) in ways.iter().enumerate() {
        let mut command = Command::new(program("logger"));
        command.args(["-p", "daemon.warning", "-t", "mib2d"]).args(way);
        if !way.contains(&"text") {
            command.arg(text(&format!("ge-0/0/{}", number + 1)));
        }
        let sent = run(&mut command);
        assert_eq!(sent.code, 0, "{way:?}: {}", sent.stderr);
    }
    // The third and the fourth speak of the same interface.
    let found = setup.wait_events(4);
    let mut subjects: Vec<&str> = found.iter().map(|event| event.tag("subject")).collect();
    subjects.sort_unstable();
    assert_eq!(subjects, ["ge-0/0/1", "ge-0/0/2", "ge-0/0/3", "ge-0/0/5"]);
    for event in &found {
        assert_eq!((event.tag("host"), event.tag("kind")), ("r1", "interface-state"));
        assert_eq!((event.tag("severity"), field(event, "to")), ("warning", "down"));
        let age = common::now_ns() - event.timestamp;
        assert!((0..120_000_000_000).contains(&age), "{event:?}");
    }
    setup.wait_counts(&[("lines_total", 5), ("events_total", 4), ("known_lines_total", 1)]);
    setup.stop();
}

/// A TLS connection from this end.
fn tls(to: SocketAddr, directory: &Directory, own: Option<&str>) -> Option<SslStream<TcpStream>> {
    let mut connector = SslConnector::builder(SslMethod::tls_client()).expect("TLS");
    connector.set_ca_file(directory.join("server.pem")).expect("the CA");
    if let Some(name) = own {
        let file = |suffix: &str| directory.join(&format!("{name}.{suffix}"));
        connector.set_certificate_file(file("pem"), SslFiletype::PEM).expect("a certificate");
        connector.set_private_key_file(file("key"), SslFiletype::PEM).expect("a key");
    }
    let socket = TcpStream::connect(to).expect("a connection");
    socket.set_read_timeout(Some(common::DEADLINE)).expect("a time limit");
    connector.build().connect("127.0.0.1", socket).ok()
}

#[test]
fn tls_takes_only_who_shows_a_certificate_where_one_is_wanted() {
    if skips(&["openssl"]) {
        return;
    }
    let directory = Directory::new();
    let certificates = ["server", "mx1", "stranger"].map(|name| directory.certificate(name));
    let [(key, cert), (_, ca), _] = &certificates;
    let listen = format!(
        "listen = [\"tls://127.0.0.1:PORT\"]\ncert_file = \"{cert}\"\nkey_file = \"{key}\"\n\
         ca_file = \"{ca}\"\n"
    );
    let mut setup = start_in(directory, &local_router("r1", ""), &listen);
    let mut good = tls(setup.to(), &setup.daemon.directory, Some("mx1")).expect("a session");
    for own in [None, Some("stranger")] {
        // In TLS 1.3 the client hears of it only with its first read.
        if let Some(mut session) = tls(setup.to(), &setup.daemon.directory, own) {
            let _ = session.write_all(down("ge-0/0/9").as_bytes());
            assert!(session.read(&mut [0; 10]).map_or(true, |bytes| bytes == 0));
        }
    }
    // RFC 5425: each line behind its length; here in pieces.
    let lines = ["ge-0/0/1", "ge-0/0/2"].map(down);
    let stream: String = lines.iter().map(|line| format!("{} {line}", line.len())).collect();
    for piece in stream.as_bytes().chunks(50) {
        good.write_all(piece).expect("a write");
    }
    setup.wait_events(2);
    setup.wait_counts(&[("events_total", 2), ("failed_connections_total", 2), ("connections", 1)]);
    // A certificate that was renewed is used from the next connection on.
    setup.daemon.directory.certificate("server");
    let renewed = tls(setup.to(), &setup.daemon.directory, Some("mx1")).expect("a session");
    drop(renewed);
    good.shutdown().expect("the end");
    drop(good);
    setup.wait_counts(&[("connections", 0)]);
    setup.stop();
}

#[test]
fn five_thousand_lines_a_second_are_taken_or_counted() {
    const LINES: u64 = 15_000;
    let mut setup = start("listen = [\"udp://127.0.0.1:PORT\", \"tcp://127.0.0.1:PORT\"]\n");
    let (socket, to) = (udp(), setup.to());
    let mut stream = TcpStream::connect(to).expect("a connection");
    let start = Instant::now();
    for number in 0..LINES {
        let line = format!("<30>Mar 14 13:19:49 mx1 cron[7]: line {number} {}", "x".repeat(100));
        match number % 2 {
            0 => _ = socket.send_to(line.as_bytes(), to).expect("a datagram"),
            _ => stream.write_all(format!("{line}\n").as_bytes()).expect("a write"),
        }
        let due = Duration::from_micros(number * 200);
        std::thread::sleep(due.saturating_sub(start.elapsed()));
    }
    drop(stream);
    let took = start.elapsed();
    let (lines, lost) = setup.daemon.wait_lines("all lines", |lines| {
        let get = |name| syslog(lines, name).unwrap_or_default() as u64;
        let lost = get("kernel_dropped_lines_total");
        (get("lines_total") + lost >= LINES).then(|| (get("lines_total"), lost))
    });
    assert_eq!(lines + lost, LINES, "each line is counted once");
    println!("{LINES} lines in {took:?}, of which the kernel dropped {lost}");
    setup.daemon.wait_lines("what became of them", |reported| {
        let get = |name| syslog(reported, name).unwrap_or_default() as u64;
        (get("other_lines_total") + get("dropped_lines_total") == lines).then_some(())
    });
    setup.stop();
}

#[test]
fn a_router_that_sends_too_much_loses_what_is_too_much() {
    let listen = "listen = [\"udp://127.0.0.1:PORT\"]\nlines_per_second_max = 10\n";
    let mut setup = start(listen);
    let (socket, to) = (udp(), setup.to());
    for number in 0..500 {
        let line = format!("<30>Mar 14 13:19:49 mx1 cron[7]: line {number}");
        socket.send_to(line.as_bytes(), to).expect("a datagram");
    }
    setup.daemon.process.wait_stderr("r1 sends more lines than lines_per_second_max");
    setup.daemon.wait_lines("all lines", |lines| {
        let get = |name| syslog(lines, name).unwrap_or_default();
        let all = get("lines_total") + get("kernel_dropped_lines_total") == 500.0;
        let kept = get("other_lines_total");
        let is_split = kept + get("dropped_lines_total") == get("lines_total");
        (all && is_split && (10.0..250.0).contains(&kept)).then_some(())
    });
    setup.stop();
}

#[test]
fn what_strangers_send_is_refused_and_counted() {
    let routers = "[[router]]\nname = \"mx1\"\ntarget = \"127.0.0.2\"\nusername = \"u\"\n\
                   [[router]]\nname = \"mx2\"\ntarget = \"192.0.2.2\"\nusername = \"u\"\n";
    let listen = "listen = [\"udp://127.0.0.1:PORT\", \"tcp://127.0.0.1:PORT\"]\n\
                  [events.syslog.sources]\nmx2 = [\"127.0.0.3\"]\n";
    let mut setup = start_in(Directory::new(), routers, listen);
    let to = setup.to();
    let from = |last: u8| {
        let address = IpAddr::from(Ipv4Addr::new(127, 0, 0, last));
        UdpSocket::bind((address, 0)).expect("a socket")
    };
    for _ in 0..7 {
        from(4).send_to(down("ge-0/0/1").as_bytes(), to).expect("a datagram");
    }
    setup.daemon.process.wait_stderr("syslog: 127.0.0.4 is no router of the settings");
    // 127.0.0.1 is nobody's either: no router runs here.
    let mut refused = TcpStream::connect(to).expect("a connection");
    let mut rest = Vec::new();
    let end = refused.read_to_end(&mut rest);
    assert!(end.is_err() || rest.is_empty());
    from(2).send_to(down("ge-0/0/2").as_bytes(), to).expect("a datagram");
    from(3).send_to(down("ge-0/0/3").as_bytes(), to).expect("a datagram");
    let found = setup.wait_events(2);
    let mut who: Vec<_> =
        found.iter().map(|event| (event.tag("host"), event.tag("subject"))).collect();
    who.sort_unstable();
    assert_eq!(who, [("mx1", "ge-0/0/2"), ("mx2", "ge-0/0/3")]);
    setup.wait_counts(&[
        ("refused_lines_total", 7),
        ("refused_connections_total", 1),
        ("lines_total", 2),
    ]);
    let said = setup.daemon.process.stderr().matches("127.0.0.4 is no router").count();
    assert_eq!(said, 1);
    setup.stop();
}

#[test]
fn floods_are_bounded_in_memory_and_counted() {
    const CONNECTIONS: usize = 12;
    const MB: u64 = 1 << 20;
    let listen =
        "listen = [\"udp://127.0.0.1:PORT\", \"tcp://127.0.0.1:PORT\"]\npass_on = \"debug\"\n";
    let mut setup = start(listen);
    let to = setup.to();
    let before = peak_bytes(setup.daemon.process.id());
    // Lines without an end, lines of nothing, and lengths that never come, over many connections.
    let mut streams: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(to).expect("a connection")).collect();
    let endless = vec![b'x'; 1 << 20];
    let pieces: [&[u8]; 4] = [b"<30>", b"\n\0\n\0\n", b"999999999 <30>", b"<30>a: b\n"];
    for round in 0..8 {
        for (number, stream) in streams.iter_mut().enumerate() {
            // Those that gave way to others may be closed.
            let _ = stream.write_all(pieces[number % pieces.len()]);
            if round < 4 || number >= CONNECTIONS - 4 {
                let _ = stream.write_all(&endless);
            }
        }
        let socket = udp();
        for _ in 0..2000 {
            let _ = socket.send_to(&endless[..30_000], to);
        }
    }
    drop(streams);
    // It still works.
    let mut stream = TcpStream::connect(to).expect("a connection");
    stream.write_all(format!("{}\n", down("ge-0/0/1")).as_bytes()).expect("a write");
    setup.wait_events(1);
    let grown = peak_bytes(setup.daemon.process.id()).saturating_sub(before);
    let peak = peak_bytes(setup.daemon.process.id());
    println!("at most {peak} bytes were resident, {grown} more than before");
    assert!(peak < 64 * MB && grown < 16 * MB, "{peak}, {grown}");
    setup.daemon.wait_lines("counts", |lines| {
        let is_some = |name: &&str| syslog(lines, name).is_some_and(|count| count > 0.0);
        let lost = ["cut_lines_total", "malformed_lines_total", "refused_connections_total"];
        lost.iter().all(is_some).then_some(())
    });
    setup.stop();
}

#[test]
fn other_lines_are_passed_on_each_with_a_time_of_its_own() {
    let listen = "listen = [\"udp://127.0.0.1:PORT\"]\npass_on = \"notice\"\n";
    let mut setup = start(listen);
    let (socket, to) = (udp(), setup.to());
    for (priority, text) in [(29, "one"), (29, "two"), (30, "less"), (24, "worst\x1b[31m")] {
        let line = format!("<{priority}>Mar 14 13:19:49 mx1 cron[7]: CRON_JOB: {text}");
        socket.send_to(line.as_bytes(), to).expect("a datagram");
    }
    let passed = setup.daemon.wait_lines("lines that are passed on", |lines| {
        let passed = lines.iter().filter(|line| line.measurement == "syslog");
        let passed: Vec<Line> = passed.cloned().collect();
        (passed.len() >= 3).then_some(passed)
    });
    let shown: Vec<_> =
        passed.iter().map(|line| (line.tag("severity"), field(line, "message"))).collect();
    let expected = [("notice", "one"), ("notice", "two"), ("emergency", "worst\\u{1b}[31m")];
    assert_eq!(shown, expected);
    for line in &passed {
        assert_eq!((line.tag("process"), line.tag("event")), ("cron", "CRON_JOB"));
    }
    let times: std::collections::BTreeSet<i64> = passed.iter().map(|line| line.timestamp).collect();
    assert_eq!(times.len(), 3);
    setup.wait_counts(&[("other_lines_total", 4), ("passed_lines_total", 3)]);
    setup.stop();
}

#[test]
fn a_commit_is_one_event_with_who_asked_for_it() {
    let mut setup = start("listen = [\"udp://127.0.0.1:PORT\"]\n");
    let (socket, to) = (udp(), setup.to());
    for text in [
        "UI_COMMIT: User 'anna' requested 'commit' operation (comment: CHG-1)",
        "UI_COMMIT_PROGRESS: Commit operation in progress: commit wrapup...",
        "UI_COMMIT_COMPLETED: commit complete",
    ] {
        let line = format!("<189>Mar 14 13:19:49 mx1 mgd[97400]: {text}");
        socket.send_to(line.as_bytes(), to).expect("a datagram");
    }
    let found = setup.wait_events(1);
    let [commit] = &found[..] else { panic!("{found:?}") };
    assert_eq!((commit.tag("kind"), field(commit, "user")), ("commit", "anna"));
    assert_eq!(field(commit, "comment"), "CHG-1");
    setup.wait_counts(&[("events_total", 1), ("known_lines_total", 1), ("other_lines_total", 1)]);
    setup.stop();
}

/// The times that the listener's thread has slept and was woken.
fn wake_ups(id: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).expect("threads");
    let status = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.expect("a thread").path().join("status")).unwrap_or_default()
    };
    let of_syslog = |status: &String| status.starts_with("Name:\tsyslog\n");
    let status = tasks.map(status).find(of_syslog).expect("the listener's thread");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).expect("a count")
}

#[test]
fn nobody_wakes_it_while_nothing_comes_and_a_reload_keeps_it() {
    let mut setup = start("listen = [\"udp://127.0.0.1:PORT\", \"tcp://127.0.0.1:PORT\"]\n");
    let stream = TcpStream::connect(setup.to()).expect("a connection");
    setup.wait_counts(&[("connections", 1)]);
    let id = setup.daemon.process.id();
    let reports = |setup: &Setup| {
        let lines = whole_lines(&setup.daemon.process.stdout());
        lines.iter().filter(|line| line.measurement == "perijove_syslog").count()
    };
    // It may still be on its way to sleep when the connection is reported.
    wait_for("five reports in its sleep", || {
        let (before, seen) = (wake_ups(id), reports(&setup));
        wait_for("five more reports", || (reports(&setup) >= seen + 5).then_some(()));
        (wake_ups(id) == before).then_some(())
    });

    let settings = std::fs::read_to_string(setup.daemon.directory.join("perijove.toml"));
    let settings = settings.expect("settings");
    setup.daemon.reload(&settings.replace("interval = \"300ms\"", "interval = \"200ms\""));
    setup.daemon.process.wait_stderr("the settings were read again");
    setup.wait_counts(&[("connections", 1)]);
    assert_eq!(setup.daemon.process.stderr().matches("syslog: listening on").count(), 1);

    // Another port is another listener.
    let port = free_port();
    let moved = settings
        .replace(&format!("udp://127.0.0.1:{}", setup.port), &format!("udp://127.0.0.1:{port}"));
    setup.daemon.reload(&moved);
    setup.daemon.process.wait_stderr(&format!("udp://127.0.0.1:{port}"));
    setup.port = port;
    udp().send_to(down("ge-0/0/1").as_bytes(), setup.to()).expect("a datagram");
    setup.wait_events(1);
    drop(stream);

    // One that is taken leaves what runs.
    let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let port = taken.local_addr().expect("an address").port();
    setup.daemon.reload(
        &moved.replace(
            &format!("udp://127.0.0.1:{}", setup.port),
            &format!("udp://127.0.0.1:{port}"),
        ),
    );
    setup.daemon.process.wait_stderr("the old settings stay in use");
    udp().send_to(down("ge-0/0/2").as_bytes(), setup.to()).expect("a datagram");
    setup.wait_events(2);
    setup.stop();
}

/// What a router answers about one interface.
fn write_interface(replies: &Directory, state: &str, transitions: u64) {
    let text = format!(
        "<interface-information>\n<physical-interface>\n<name>ge-0/0/1</name>\n\
         <admin-status>up</admin-status>\n<oper-status>{state}</oper-status>\n\
         <output-error-list>\n<carrier-transitions>{transitions}</carrier-transitions>\n\
         </output-error-list>\n</physical-interface>\n</interface-information>\n"
    );
    let new = replies.write("new", text);
    let path = replies.join("get-interface-information.xml");
    std::fs::rename(new, path).expect("rename a reply");
}

#[test]
fn a_message_and_the_polls_make_one_event_also_over_a_kill() {
    let replies = Directory::new();
    write_interface(&replies, "up", 3);
    let router = local_router("r1", &format!("--replies {}", replies.path().display()));
    let router = router + "collectors = [\"interfaces\"]\n";
    let listen = "listen = [\"udp://127.0.0.1:PORT\"]\n";
    let mut setup = start_in(Directory::new(), &router, listen);
    let polled = |setup: &mut Setup, after: i64| {
        setup.daemon.wait_lines("two polls", |lines| {
            let polls = lines.iter().filter(|line| line.measurement == "interface");
            (polls.filter(|line| line.timestamp > after).count() >= 2).then_some(())
        });
    };
    let states = |setup: &Setup| {
        let lines = whole_lines(&setup.daemon.process.stdout());
        let events = lines.into_iter().filter(|line| line.measurement == "event");
        let found: std::collections::BTreeSet<_> = events
            .map(|line| {
                (line.timestamp, field(&line, "to").to_string(), field(&line, "clock").to_string())
            })
            .collect();
        found.into_iter().map(|(_, to, clock)| (to, clock)).collect::<Vec<_>>()
    };
    polled(&mut setup, 0);
    udp().send_to(down("ge-0/0/1").as_bytes(), setup.to()).expect("a datagram");
    setup.wait_events(1);
    write_interface(&replies, "down", 4);
    // Until then the polls say nothing about it.
    polled(&mut setup, common::now_ns() + 10_500_000_000);
    let told = |to: &str| (to.to_string(), "syslog".to_string());
    assert_eq!(states(&setup), [told("down")]);

    let up = down("ge-0/0/1").replace("LINK_DOWN", "LINK_UP").replace("down(2)", "up(1)");
    udp().send_to(up.as_bytes(), setup.to()).expect("a datagram");
    setup.wait_events(2);
    setup.daemon.process.kill();
    write_interface(&replies, "up", 5);
    let Daemon { directory, .. } = setup.daemon;
    let mut setup = start_in(directory, &router, listen);
    polled(&mut setup, 0);
    // What was not yet noted as delivered comes again, as the same record.
    assert!(states(&setup).iter().all(|state| *state == told("up")), "{:?}", states(&setup));
    udp().send_to(up.as_bytes(), setup.to()).expect("a datagram");
    setup.wait_counts(&[("known_lines_total", 1)]);
    setup.stop();
}
