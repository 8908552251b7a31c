//! The Prometheus output, scraped by a real Prometheus and by clients that misbehave.

mod common;
mod series;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use common::needs::{SHARED, skips};
use common::perijove::{Daemon, FAST, every, local_router, run_with};
use common::prometheus::{Prometheus, promtool};
use common::{answer, free_port, http_agent, wait_for};
use openssl::ssl::{ShutdownState, SslConnector, SslMethod};
use perijove::poll::registry;
use series::Series;

/// Settings for all collectors, this address and these routers.
fn settings(port: u16, output: &str, routers: &str) -> String {
    let names: Vec<&str> = registry::collectors().iter().map(|entry| entry.name).collect();
    // A busy machine polls so many collectors less often than is asked for.
    let expire = if output.contains("expire_intervals") { "" } else { "expire_intervals = 1000\n" };
    format!(
        "collectors = {names:?}\n{}{routers}\
         [output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n{expire}{output}",
        every("1s")
    )
}

fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut request = http_agent().get(format!("http://127.0.0.1:{port}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.call().and_then(answer).expect("an answer")
}

/// Starts perijove and waits until every router was polled.
fn start(port: u16, settings: &str) -> Daemon {
    let mut daemon = Daemon::start(settings);
    daemon.process.wait_for("it is ready", |_| {
        let ready = http_agent().get(format!("http://127.0.0.1:{port}/-/ready")).call();
        ready.is_ok_and(|answer| answer.status() == 200).then_some(())
    });
    daemon
}

/// All that there is, however long a busy machine takes for the polls that it causes.
fn metrics(port: u16, query: &str) -> Vec<Series> {
    let header = [("X-Prometheus-Scrape-Timeout-Seconds", "40")];
    let (status, text) = get(port, &format!("/metrics{query}"), &header);
    assert_eq!(status, 200, "{text}");
    series::read(&text)
}

/// The value of perijove's own series of that name whose labels include these.
fn own(port: u16, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let all = metrics(port, "");
    let has = |series: &&Series| labels.iter().all(|(label, text)| series.label(label) == *text);
    all.iter().filter(|series| series.name == name).find(has).map(|series| series.value)
}

/// What junos_exporter says of itself, which `once` does not print.
fn is_of_exporter(name: &str) -> bool {
    ["junos_up", "junos_collector_duration_seconds", "junos_collect_duration_seconds"]
        .contains(&name)
}

/// Counters that stand still, so that every poll gives the same.
const STILL: &str = "--clock 5000 --step 0 --interfaces 5 --multi-re re0,re1";

#[test]
fn a_real_prometheus_has_what_once_prints() {
    if skips(&["prometheus"]) {
        return;
    }
    let port = free_port();
    let routers = local_router("r1", STILL) + &local_router("r2", &format!("{STILL} --seed 2"));
    let settings = settings(port, "", &routers);
    let once = run_with(&settings, &["once", "--format", "prometheus"]);
    assert_eq!(once.code, 0, "{}", once.stderr);
    let printed = series::read(&once.stdout);
    assert!(printed.len() > 1000, "{}", printed.len());

    let daemon = start(port, &settings);
    let prometheus = Prometheus::start(port, "");
    prometheus.wait_scraped(1);
    let expected: BTreeMap<_, _> =
        printed.iter().map(|s| ((s.name.clone(), s.labels.clone()), s.value)).collect();
    assert_eq!(expected.len(), printed.len(), "series twice");
    // A scrape that takes too long on a busy machine leaves no series until the next one.
    let scraped = wait_for("series of all that was printed", || {
        let mut scraped = BTreeMap::new();
        for (mut labels, value) in prometheus.query("{__name__=~\"(junos|planet)_.*\"}") {
            let name = labels.remove("__name__").expect("a name");
            if !is_of_exporter(&name) {
                scraped.insert((name, labels), value);
            }
        }
        (scraped.len() >= expected.len()).then_some(scraped)
    });
    for (series, value) in &expected {
        assert_eq!(scraped.get(series), Some(value), "{series:?}");
    }
    assert_eq!(scraped.len(), expected.len());

    let wait_count = |expression: &str, count: usize| {
        let what = format!("{count} of {expression}");
        wait_for(&what, || (prometheus.count(expression) == count).then_some(()));
    };
    wait_count("junos_up == 1", 2);
    wait_count("junos_collect_duration_seconds{target=\"r1\"}", registry::collectors().len());
    wait_count("junos_collector_duration_seconds > 0", 2);
    wait_count("perijove_prometheus_duplicate_samples == 0", 1);
    assert_eq!(prometheus.count("junos_up != 1"), 0);
    // OpenMetrics, which it asks for, has no counter without _total.
    assert_eq!(prometheus.type_of("junos_interface_receive_bytes"), "unknown");
    assert_eq!(prometheus.type_of("junos_interface_receive_packets"), "counter");
    assert_eq!(prometheus.type_of("junos_interface_up"), "gauge");
    assert_eq!(daemon.stop().code, 0);
}

/// `tests/promtool.txt` lists what promtool would have otherwise, once: names that are
/// junos_exporter's and kept for its dashboards. All others are perijove's own to choose.
/// `UPDATE=1` writes it anew.
#[test]
fn promtool_finds_no_fault_but_names_that_are_kept() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    let port = free_port();
    let daemon = start(port, &settings(port, "", &local_router("r1", STILL)));
    let (_, text) = get(port, "/metrics", &[]);
    daemon.stop();
    let mut said = promtool(&text);
    said.sort();
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/promtool.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(list, said.join("\n") + "\n").expect("the list is written");
    }
    let known = std::fs::read_to_string(list).expect("the list of exceptions");
    let known: Vec<&str> = known.lines().collect();
    for line in &said {
        assert!(known.contains(&line.as_str()), "promtool says what it did not say: {line}");
    }
    for line in known {
        assert!(said.iter().any(|said| said == line), "promtool no longer says: {line}");
    }
}

#[test]
fn names_that_promtool_would_change_are_junos_exporters() {
    if skips(&[SHARED]) {
        return;
    }
    let here = env!("CARGO_MANIFEST_DIR");
    let read = |path: &str| std::fs::read_to_string(format!("{here}/{path}")).expect("a list");
    // One of its names has a hyphen, which no metric's name may have.
    let theirs = read("../shared/facts/metrics.tsv").replace('-', "_");
    let theirs: Vec<&str> = theirs.lines().filter_map(|line| line.split('\t').nth(1)).collect();
    for line in read("tests/promtool.txt").lines() {
        let is_kept = line.split(' ').next().is_some_and(|name| theirs.contains(&name));
        assert!(is_kept, "this name is perijove's own to choose: {line}");
    }
}

#[test]
fn paths_methods_and_forms() {
    let port = free_port();
    let routers = local_router("r1", STILL) + &local_router("r 2&<", STILL);
    let daemon = start(port, &settings(port, "", &routers));

    let (status, index) = get(port, "/", &[]);
    assert_eq!(status, 200);
    assert!(index.contains("<a href=\"/metrics?target=r%202%26%3C\">r 2&amp;&lt;</a>"), "{index}");
    assert_eq!(get(port, "/healthz", &[]), (200, "ok\n".into()));
    assert_eq!(get(port, "/metric", &[]).0, 404);
    assert_eq!(get(port, "/metrics?target=r3", &[]).0, 404);
    assert_eq!(get(port, "/metrics?collect[]=bpg", &[]).0, 400);
    assert_eq!(get(port, "/metrics?target=r1&target=r1", &[]).0, 400);
    let (status, words) = get(port, "/metrics?target=r1&ls=blue", &[]);
    assert!(status == 400 && words.contains("logical_systems"), "{words}");
    // Empty is as good as absent.
    let all = metrics(port, "?target=&ls=&collect[]=");
    assert!(["r1", "r 2&<"].map(|r| all.iter().any(|s| s.label("target") == r)) == [true; 2]);

    let one = metrics(port, "?target=r%202%26%3C&collect[]=alarm&collect[]=route");
    assert!(one.iter().all(|series| series.label("target") == "r 2&<"));
    let names: Vec<&str> = one.iter().map(|series| &*series.name).collect();
    assert!(names.contains(&"junos_alarms_yellow_count") && names.contains(&"junos_up"));
    assert!(!names.iter().any(|name| name.starts_with("junos_interface_")), "{names:?}");
    let collectors = one.iter().filter(|s| s.name == "junos_collect_duration_seconds").count();
    assert_eq!(collectors, 2);

    let accept = [("Accept", "application/openmetrics-text;version=1.0.0")];
    let (_, open) = get(port, "/metrics?target=r1", &accept);
    assert!(open.ends_with("\n# EOF\n"));
    let (_, text) = get(port, "/metrics?target=r1", &[]);
    assert!(!text.contains("# EOF"));
    assert_eq!(open.lines().count(), text.lines().count() + 1);

    // What no good client sends, byte for byte.
    let ask = |request: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        stream.write_all(request.as_bytes()).expect("send");
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).expect("a reply to the end");
        String::from_utf8_lossy(&reply).into_owned()
    };
    let head = ask("HEAD /metrics HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    let post = ask("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
    assert!(post.starts_with("HTTP/1.1 405 ") && post.contains("Allow: GET, HEAD"), "{post}");
    let long = ask(&format!("GET / HTTP/1.1\r\nX-Long: {}\r\n\r\n", "x".repeat(20_000)));
    assert!(long.starts_with("HTTP/1.1 431 "), "{long}");
    assert!(ask("\0\0\r\n\r\n").starts_with("HTTP/1.1 400 "));
    let old = ask("GET /metrics?target=r1 HTTP/1.0\r\nAccept-Encoding: deflate\r\n\r\n");
    assert!(!old.contains("chunked") && old.contains("junos_up{target=\"r1\"} 1\n"));
    let gzip = ask("GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n");
    assert!(gzip.contains("Content-Encoding: gzip\r\n"));
    let two = ask("GET /healthz HTTP/1.1\r\n\r\nGET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(two.matches("\r\n\r\nok\n").count(), 2, "{two}");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn slow_clients_and_too_many_hold_nobody_up() {
    let port = free_port();
    let output = "connections_max = 2\nrequest_timeout = \"8s\"\nresponse_timeout = \"50s\"\n\
                  gzip = false\n[output.file]\npath = \"DIRECTORY/lines\"\n";
    let settings = format!(
        "collectors = [\"interfaces\", \"routingengine\"]\n{FAST}{}\
         [collector.routingengine]\ninterval = \"200ms\"\n\
         [output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n{output}",
        local_router("r1", "--interfaces 1200"),
    );
    let daemon = start(port, &settings);

    // Some ask for everything and read nothing, one says nothing at all.
    let reads_nothing = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("send");
        stream
    };
    let read_nothing: Vec<TcpStream> = (0..3).map(|_| reads_nothing()).collect();
    let mut says_nothing = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    says_nothing.write_all(b"GET /metr").expect("send");

    let polls = || {
        let lines = std::fs::read_to_string(daemon.directory.join("lines")).unwrap_or_default();
        lines.lines().filter(|line| line.starts_with("route_engine,")).count()
    };
    let before = polls();
    wait_for("more polls", || (polls() > before + 2).then_some(()));

    // Others have their turn before any time limit ends those.
    let started = Instant::now();
    assert_eq!(get(port, "/healthz", &[]).0, 200);
    assert_eq!(get(port, "/metrics", &[]).0, 200);
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());

    // The one that says nothing is cut off, with an answer if it can.
    let mut reply = String::new();
    says_nothing.read_to_string(&mut reply).expect("a reply");
    // The answer may be lost with the connection.
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 408 "), "{reply}");
    // Of the slow ones at least those are cut off that had to make room.
    let mut cut_off = 0;
    for mut stream in read_nothing {
        let mut rest = Vec::new();
        let _ = stream.set_read_timeout(Some(common::DEADLINE));
        let _ = stream.read_to_end(&mut rest);
        cut_off += usize::from(!rest.ends_with(b"0\r\n\r\n"));
    }
    assert!(cut_off > 0);
    assert_eq!(daemon.stop().code, 0);
}

/// Requests that wait too long for their turn are told so.
#[test]
fn too_many_requests_are_refused() {
    let port = free_port();
    let output = "connections_max = 1\nrequest_timeout = \"1s\"\nmode = \"scrape\"\n";
    let hangs = local_router("r1", &format!("{STILL} --fault hang"));
    let mut daemon = Daemon::start(&settings(port, output, &hangs));
    daemon.process.wait_for("it serves", |_| TcpStream::connect(("127.0.0.1", port)).ok());
    let refused = wait_for("a refusal", || {
        // One that waits for a router takes the only place, once there is a router.
        let mut waits = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        waits.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("send");
        let (status, words) = get(port, "/healthz", &[]);
        (status == 503).then_some(words)
    });
    assert!(refused.contains("connections_max"), "{refused}");
    let name = "perijove_prometheus_refused_connections_total";
    wait_for("it is counted", || {
        let header = [("X-Prometheus-Scrape-Timeout-Seconds", "1")];
        let (status, text) = get(port, "/metrics", &header);
        if status != 200 {
            return None;
        }
        let refused = series::read(&text).into_iter().find(|series| series.name == name);
        refused.is_some_and(|series| series.value > 0.0).then_some(())
    });
    assert_eq!(daemon.stop().code, 0);
}

/// "U*U", from the test vectors of crypt_blowfish.
const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

#[test]
fn tls_and_passwords() {
    if skips(&["openssl", "prometheus"]) {
        return;
    }
    let port = free_port();
    let directory = common::temporary::Directory::new();
    let (key, cert) = directory.certificate("perijove");
    let users = directory.write_secret("users", format!("# who may scrape\n\nfile:{HASH}\n"));
    let output = format!(
        "cert_file = {cert:?}\nkey_file = {key:?}\nusers_file = {users:?}\n\
         users = {{ table = {HASH:?} }}\n"
    );
    let settings = settings(port, &output, &local_router("r1", STILL));
    let daemon = Daemon::start(&settings);

    let status = |credentials: &str| {
        let mut request = http_agent().get(format!("https://127.0.0.1:{port}/metrics"));
        if !credentials.is_empty() {
            let encoded = openssl::base64::encode_block(credentials.as_bytes());
            request = request.header("Authorization", format!("Basic {encoded}"));
        }
        request.call().map(|answer| answer.status().as_u16()).unwrap_or(0)
    };
    wait_for("it serves", || (status("file:U*U") == 200).then_some(()));
    assert_eq!(status("table:U*U"), 200);
    assert_eq!(status("table:U*U"), 200);
    for wrong in ["", "table:U*V", "nobody:U*U", "table", "table:", ":U*U", "tableU*U:"] {
        assert_eq!(status(wrong), 401, "{wrong}");
    }
    let ready = http_agent().get(format!("https://127.0.0.1:{port}/healthz")).call();
    assert_eq!(ready.expect("an answer").status(), 200);
    // An answer that is the last of its connection ends as TLS has it: it was not cut off.
    let mut client = SslConnector::builder(SslMethod::tls_client()).expect("a TLS client");
    client.set_ca_file(&cert).expect("the certificate");
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let mut stream = client.build().connect("127.0.0.1", stream).expect("a TLS session");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n").expect("send");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply to the end");
    assert!(reply.ends_with("\r\n\r\nok\n"), "{reply}");
    assert!(stream.get_shutdown().contains(ShutdownState::RECEIVED));
    // Plain text where TLS is spoken ends that connection only.
    let plain = http_agent().get(format!("http://127.0.0.1:{port}/metrics")).call();
    assert!(plain.is_err());

    let how = format!(
        "    scheme: https\n    tls_config: {{ ca_file: {cert} }}\n\
         \x20   basic_auth: {{ username: table, password: 'U*U' }}\n"
    );
    Prometheus::start(port, &how).wait_scraped(1);
    // A renewed certificate is taken up without a restart.
    let (new_key, new_cert) = directory.certificate("new");
    std::fs::rename(new_key, key).expect("rename");
    std::fs::rename(new_cert, cert).expect("rename");
    Prometheus::start(port, &how).wait_scraped(1);
    let finished = daemon.stop();
    assert_eq!(finished.code, 0);
    assert!(finished.stderr.contains("was read again"), "{}", finished.stderr);
    assert!(!finished.stderr.contains("U*U") && !finished.stderr.contains(HASH));
}

/// As the health check of a container does it.
#[test]
fn a_check_beside_perijove_finds_it_and_takes_no_other_server_for_it() {
    let directory = common::temporary::Directory::new();
    let (key, cert) = directory.certificate("perijove");
    for tls in [String::new(), format!("cert_file = {cert:?}\nkey_file = {key:?}\n")] {
        let port = free_port();
        let settings = settings(port, &tls, &local_router("r1", STILL));
        let check = || run_with(&settings, &["check", "--connect"]);
        let free = check();
        assert_eq!(free.code, 0, "{}{}", free.stdout, free.stderr);
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("listen");
        let other = check();
        assert!(other.code == 1 && other.stdout.contains("cannot listen"), "{}", other.stdout);
        drop(listener);
        let daemon = Daemon::start(&settings);
        wait_for("it is found", || {
            let beside = check();
            (beside.code == 0 && beside.stdout.contains("answers: a perijove runs")).then_some(())
        });
        assert_eq!(daemon.stop().code, 0);
    }
}

#[test]
fn scrapes_share_a_poll_when_they_cause_it() {
    let port = free_port();
    let polls = |port| own(port, "perijove_collector_polls_total", &[("collector", "alarm")]);
    let output = "mode = \"scrape\"\nage_min = \"1h\"\nresponse_timeout = \"55s\"\n";
    let slow = format!("{STILL} --fault slow --drip-bytes 2000 --drip-ms 5");
    let daemon = start(port, &settings(port, output, &local_router("r1", &slow)));
    // As many as are written at a time: of more, those that read slowly are cut off.
    let scrapes: Vec<_> =
        (0..4).map(|_| std::thread::spawn(move || metrics(port, "").len())).collect();
    let lengths: Vec<usize> = scrapes.into_iter().map(|scrape| scrape.join().unwrap()).collect();
    assert!(lengths.iter().all(|length| *length > 500), "{lengths:?}");
    assert_eq!(polls(port), Some(1.0));
    daemon.stop();

    // Without an age every scrape polls; with less time than that takes it goes without.
    let output = "mode = \"scrape\"\nage_min = \"0s\"\nresponse_timeout = \"55s\"\n";
    let daemon = start(port, &settings(port, output, &local_router("r1", STILL)));
    assert_eq!((polls(port), polls(port)), (Some(1.0), Some(2.0)));
    daemon.stop();
    let hangs = format!("{STILL} --fault hang");
    let daemon = start(port, &settings(port, output, &local_router("r1", &hangs)));
    let started = Instant::now();
    let header = [("X-Prometheus-Scrape-Timeout-Seconds", "1.5")];
    let (status, text) = get(port, "/metrics", &header);
    assert_eq!(status, 200);
    // Without the header it would be 9.5 s.
    assert!(started.elapsed() < Duration::from_secs(9), "{:?}", started.elapsed());
    assert!(text.contains("perijove_process_") && !text.contains("junos_interface_"));
    daemon.stop();
}

#[test]
fn what_is_too_old_is_not_shown() {
    let port = free_port();
    // A router that answers in one session, for a while, and in no other. That the last poll of a
    // collector that is due each hour was good does not make it one that answers.
    let router = common::perijove::router(&format!("{STILL} --fault exit@10")).join(" ");
    let once = format!("mkdir DIRECTORY/session && exec {router}");
    let router = format!(
        "[[router]]\nname = \"r1\"\ncollectors = [\"alarm\", \"uptime\"]\n\
         command = [\"sh\", \"-c\", {once:?}]\n\
         [collector.uptime]\ninterval = \"1h\"\n"
    );
    let daemon = start(port, &settings(port, "expire_intervals = 15\n", &router));
    let value = |all: &[Series], name: &str| {
        all.iter().find(|series| series.name == name).map(|series| series.value)
    };
    let alarms = |all: &[Series]| value(all, "junos_alarms_yellow_count");
    assert!(alarms(&metrics(port, "")).is_some());
    let lost = wait_for("the router does not answer", || {
        let all = metrics(port, "");
        (value(&all, "junos_up") == Some(0.0)).then_some(all)
    });
    assert!(alarms(&lost).is_some(), "its last readings are gone at once");
    wait_for("its readings are gone", || alarms(&metrics(port, "")).is_none().then_some(()));
    assert_eq!(own(port, "perijove_collector_success", &[("collector", "alarm")]), Some(0.0));
    daemon.stop();
}

#[test]
fn settings_that_are_wrong_say_where() {
    for (output, said) in [
        ("cert_file = \"x\"", "perijove.toml:2: output.prometheus: cert_file and key_file go"),
        ("listen = \":9100\"", "perijove.toml:3: output.prometheus.listen: an address to listen"),
        (
            "users = { me = \"secret\" }",
            "perijove.toml:3: output.prometheus.users: the password of",
        ),
        ("users = {}", "perijove.toml:3: output.prometheus.users: has no users"),
        (
            "users = { me = \"$2b$31$osntMktyXgi4tiuloJ8J1.QyHlcR27pesY8JxUAgqgIZhOFj/l4Ai\" }",
            "of a cost from 4 to 15",
        ),
        ("expire_intervals = 0", "output.prometheus.expire_intervals: points are kept for 1 to"),
        ("mode = \"pull\"", "perijove.toml:3: output.prometheus.mode: unknown variant `pull`"),
    ] {
        let finished = run_with(&format!("\n[output.prometheus]\n{output}\n"), &["check"]);
        assert_eq!(finished.code, 2, "{}", finished.stderr);
        assert!(finished.stderr.contains(said), "{}", finished.stderr);
        assert!(!finished.stderr.contains("secret"));
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("an address").to_string();
    let settings = format!("{}[output.prometheus]\nlisten = {address:?}\n", local_router("r1", ""));
    let finished = run_with(&settings, &["run"]);
    assert_eq!(finished.code, 1);
    assert!(
        finished.stderr.contains(&format!("cannot listen on {address}")),
        "{}",
        finished.stderr
    );
}

#[test]
fn descriptions_give_labels() {
    let printed = |pattern: &str| {
        let router = local_router("r1", STILL);
        let settings = format!("collectors = [\"bgp\"]\n{router}[collector.bgp]\n{pattern}");
        let finished = run_with(&settings, &["once", "--format", "prometheus"]);
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        let all = series::read(&finished.stdout);
        all.into_iter().filter(|s| s.name == "junos_bgp_session_up").collect::<Vec<_>>()
    };
    // The simulated router's first peer: Transit 0 ... [customer=C-0] [transit].
    let peer = printed("description_labels = \"brackets\"\n").remove(0);
    assert_eq!((peer.label("customer"), peer.label("transit")), ("C-0", "1"), "{peer}");
    assert_eq!(printed("").remove(0), peer, "the default");
    let none = printed("description_labels = \"\"\n").remove(0);
    assert_eq!(none, peer.without("customer").without("transit"));
    let own = printed("description_labels = '<(\\w+)@(\\w+)'\n").remove(0);
    assert_eq!(own.without("noc"), none);
    assert_eq!(own.label("noc"), "example");
}
