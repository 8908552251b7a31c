//! The map of dependencies: of a machine from its listener, of a fleet from a real Prometheus, and
//! the page in a browser.
#![cfg(feature = "map")]

#[path = "../common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;

use serde_json::Value as Json;

use common::browser::chromium;
use common::fleet::Machine;
use common::http_stub::{HttpStub, Reply};
use common::needs::skips;
use common::perijove::{perijove, run_with};
use common::process::{Finished, Process, run};
use common::prometheus::Prometheus;
use common::temporary::Directory;
use common::{answer, free_port, http_agent, now_ns, target_directory, wait_for};

const DAY: i64 = 86_400;
/// Scrapes, one a minute: an hour, and a little more.
const STEPS: i64 = 62;
/// Those that are still to come.
const AHEAD: i64 = 5;

fn now() -> i64 {
    now_ns() / 1_000_000_000
}

/// Who depends on whom, of a map as JSON: `client>server`, ports, and what `of` takes of an edge.
fn edges(map: &Json, of: impl Fn(&Json) -> String) -> BTreeSet<String> {
    let name = |at: &Json| map["nodes"][at.as_u64().expect("a number") as usize]["name"].clone();
    let text = |name: Json| name.as_str().expect("a name").to_string();
    let edges = map["edges"].as_array().expect("edges").iter();
    edges
        .map(|edge| {
            let (from, to) = (text(name(&edge["from"])), text(name(&edge["to"])));
            let ports = edge["ports"].as_array().expect("ports").iter();
            let ports: Vec<String> = ports.map(|port| port["port"].to_string()).collect();
            format!("{from}>{to} {} {}", ports.join(","), of(edge))
        })
        .collect()
}

fn set(expected: &[&str]) -> BTreeSet<String> {
    expected.iter().map(|text| text.to_string()).collect()
}

/// A machine that asks a database, serves an office, and knows how many bytes.
struct Mapped {
    port: u16,
    process: Process,
    _machine: Machine,
    _darkstat: HttpStub,
}

impl Mapped {
    fn start(process: &str, login: &str) -> Mapped {
        let machine = Machine::new()
            .process(process, &[("10.9.0.1:40000", "10.9.0.2:5432")])
            .process("nginx", &[("0.0.0.0:443", ""), ("10.9.0.1:443", "10.9.7.7:50000")]);
        let darkstat = HttpStub::start(|_, _| {
            let row = |ip: &str, direction: &str, bytes: u32| {
                format!(
                    "host_bytes_total{{interface=\"e\",ip=\"{ip}\",dir=\"{direction}\"}} {bytes}\n"
                )
            };
            let rows = row("10.9.0.2", "in", 1000) + &row("10.9.0.2", "out", 5000);
            let unnamed = row("192.0.2.9", "in", 7000);
            let text = format!("# TYPE host_bytes_total counter\n{rows}{unnamed}");
            Reply::message(200, &text)
        });
        let known = [
            ("10.9.0.1", "web-1.example", "web"),
            ("10.9.0.2", "db-1.example", "db"),
            ("10.9.7.0/24", "office.example", "office"),
        ];
        let entry = |known: &(&str, &str, &str)| {
            let (address, domain, group) = known;
            serde_json::json!({"ip_address": address, "domain": domain, "hostgroup": group})
        };
        let inventory = Json::from(known.iter().map(entry).collect::<Vec<_>>()).to_string();
        let inventory = machine.directory.write("inventory.json", inventory);
        let port = free_port();
        let settings = format!(
            "[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n\
             expire_intervals = 1000\n{login}[dependency]\n\
             name = \"m1\"\naddress = \"10.9.0.1\"\n[dependency.sockets]\nproc = \"{}/proc\"\n\
             interval = \"300ms\"\n[dependency.inventory]\nfile = \"{}\"\n\
             [dependency.darkstat]\nurl = \"{}\"\ninterval = \"300ms\"\n",
            machine.directory.path().display(),
            inventory.display(),
            darkstat.url(),
        );
        let file = machine.directory.write("perijove.toml", settings);
        let process = Process::start(perijove(&["run", "--config"]).arg(file));
        Mapped { port, process, _machine: machine, _darkstat: darkstat }
    }

    fn get(&self, path: &str) -> Option<(u16, String)> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        http_agent().get(url).call().and_then(answer).ok()
    }

    /// The map, once it has traffic.
    fn map(&self) -> Json {
        wait_for("a map with traffic", || {
            let (status, body) = self.get("/map?format=json")?;
            assert_eq!(status, 200, "{body}");
            let map: Json = serde_json::from_str(&body).expect("JSON");
            let edges = map["edges"].as_array()?.len();
            let has_traffic = map["edges"].as_array()?.iter().any(|edge| !edge["sent"].is_null());
            (edges >= 2 && has_traffic).then_some(map)
        })
    }

    fn stop(self) {
        self.process.signal("TERM");
        let finished = self.process.finish();
        assert_eq!(finished.code, 0, "{}", finished.stderr);
    }
}

#[test]
fn a_machine_shows_its_own_map() {
    let machine = Mapped::start("app", "");
    let map = machine.map();
    let found = edges(&map, |edge| {
        let process = |end: &str| edge["ports"][0][end].to_string();
        format!("{} {} {}", process("clients"), process("servers"), edge["sent"])
    });
    let expected = set(&[
        "web-1.example>db-1.example 5432 [\"app\"] [] 1000.0",
        "office.example>web-1.example 443 [] [\"nginx\"] null",
    ]);
    assert_eq!(found, expected);
    let groups: Vec<&Json> = map["groups"].as_array().unwrap().iter().map(|g| &g["name"]).collect();
    assert_eq!(groups, ["db", "office", "web"]);
    let x = |group: usize| map["groups"][group]["x"].as_u64().unwrap();
    assert!(x(1) < x(2) && x(2) < x(0), "who asks stands before who is asked: {map}");
    // One machine sees one end of each, and says nothing of the other.
    assert!(!map.to_string().contains("one_sided"), "{map}");
    for (path, start) in [
        ("/map", "<!DOCTYPE html>"),
        ("/map?format=dot", "digraph perijove {"),
        ("/map?format=mermaid", "flowchart LR\n"),
    ] {
        let (status, body) = machine.get(path).expect("an answer");
        assert!(status == 200 && body.starts_with(start), "{path}: {status} {body}");
        assert!(body.contains("db-1.example"), "{path}: {body}");
    }
    let (status, body) = machine.get("/map?format=png").expect("an answer");
    assert_eq!(
        (status, body.as_str()),
        (400, "format: `png` is not one of html, json, dot, mermaid\n")
    );
    assert!(machine.get("/").expect("an answer").1.contains("href=\"/map\""));
    machine.stop();
}

/// This very machine: its kernel's round trips, and a dependency that begins and vanishes again.
#[test]
fn a_machine_shows_round_trips_and_what_began_and_vanished() {
    let listen = || TcpListener::bind("127.0.0.1:0").expect("a port");
    let call = |listener: &TcpListener| {
        let mut caller = TcpStream::connect(listener.local_addr().unwrap()).expect("a connection");
        let (mut called, _) = listener.accept().expect("a connection");
        caller.write_all(b"hello").expect("sent");
        called.read_exact(&mut [0; 5]).expect("received");
        (caller, called)
    };
    let (first, second) = (listen(), listen());
    let number = |listener: &TcpListener| listener.local_addr().unwrap().port();
    let [first_port, second_port] = [&first, &second].map(number);
    let _stays = call(&first);
    let port = free_port();
    let directory = Directory::new();
    let settings = format!(
        "[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n\
         expire_intervals = 1000\n[dependency]\nname = \"m1\"\n\
         address = \"10.9.0.1\"\n[dependency.sockets]\ninterval = \"300ms\"\nloopback = true\n"
    );
    let file = directory.write("perijove.toml", settings);
    let process = Process::start(perijove(&["run", "--config"]).arg(file));
    let changed = |number: u16| -> Option<(Json, Json)> {
        let url = format!("http://127.0.0.1:{port}/map?format=json");
        let (_, body) = http_agent().get(url).call().and_then(answer).ok()?;
        let map: Json = serde_json::from_str(&body).expect("JSON");
        assert!(!map["since"].is_null() || map["edges"].as_array()?.is_empty(), "{map}");
        let ports = map["edges"].as_array()?.iter().flat_map(|edge| edge["ports"].as_array());
        let port = ports.flatten().find(|port| port["port"] == number)?.clone();
        Some((port["change"].clone(), port["rtt"].clone()))
    };
    wait_for("the map has the connection", || {
        let (change, rtt) = changed(first_port)?;
        assert_eq!(change, "none");
        // Where the kernel may not be asked by netlink, there is none.
        (rtt.is_null() || rtt.as_f64()? < 10.0).then_some(())
    });
    // A dependency of the same second as the first reading did not begin after it.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let goes = call(&second);
    wait_for("it began", || (changed(second_port)?.0 == "began").then_some(()));
    // A closed connection counts as long as there is a listener.
    drop((goes, second));
    wait_for("it vanished", || (changed(second_port)?.0 == "vanished").then_some(()));
    assert_eq!(changed(first_port).expect("it is there").0, "none");
    process.signal("TERM");
    assert_eq!(process.finish().code, 0);
}

#[test]
fn who_may_not_scrape_sees_no_map() {
    let hash = "$2y$04$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let login = format!("[output.prometheus.users]\nann = \"{hash}\"\n");
    let machine = Mapped::start("app", &login);
    let status = wait_for("an answer", || Some(machine.get("/map")?.0));
    assert_eq!(status, 401);
    machine.stop();
}

/// Samples of a fleet: an hour until now and a little more, for a busy machine asks late, and the
/// same hour of yesterday.
#[derive(Default)]
struct Fleet {
    families: std::collections::BTreeMap<&'static str, String>,
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl Fleet {
    fn add(
        &mut self,
        name: &'static str,
        labels: &[(&str, &str)],
        days: &[i64],
        value: impl Fn(i64) -> f64,
    ) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = labels.join(",");
        let text = self.families.entry(name).or_default();
        let start = now() / 60 * 60 - STEPS * 60;
        for day in days.iter().rev() {
            for step in 1..=STEPS + AHEAD {
                let time = start - day * DAY + step * 60;
                let _ = writeln!(text, "{name}{{{labels}}} {} {time}", value(step));
            }
        }
    }

    /// That one end reports a dependency: hostgroup and name of both, port, process.
    fn says(
        &mut self,
        metric: &'static str,
        local: (&str, &str),
        remote: (&str, &str),
        port: &str,
        process: &str,
        days: &[i64],
    ) {
        let labels = [
            ("instance", local.1),
            ("local_hostgroup", local.0),
            ("local_address", local.1),
            ("remote_hostgroup", remote.0),
            ("remote_address", remote.1),
            ("port", port),
            ("protocol", "tcp"),
            ("process_name", process),
        ];
        self.add(metric, &labels, days, |_| 1.0);
    }

    fn traffic(
        &mut self,
        job: &str,
        local: (&str, &str),
        remote: (&str, &str),
        direction: &str,
        rate: f64,
    ) {
        let labels = [
            ("job", job),
            ("instance", local.1),
            ("direction", direction),
            ("local_hostgroup", local.0),
            ("local_domain", local.1),
            ("remote_hostgroup", remote.0),
            ("remote_domain", remote.1),
            ("remote_ip", "192.0.2.1"),
        ];
        self.add("planet_traffic_bytes_total", &labels, &[0], |step| step as f64 * 60.0 * rate);
    }

    fn rtt(&mut self, local: (&str, &str), remote: (&str, &str), port: &str, seconds: f64) {
        let labels = [
            ("instance", local.1),
            ("direction", "upstream"),
            ("local_hostgroup", local.0),
            ("local_address", local.1),
            ("remote_hostgroup", remote.0),
            ("remote_address", remote.1),
            ("port", port),
            ("protocol", "tcp"),
            ("process_name", "app"),
        ];
        self.add("perijove_dependency_rtt_seconds", &labels, &[0], |_| seconds);
    }

    fn prometheus(&self) -> Prometheus {
        let families = self.families.iter().map(|(name, samples)| {
            let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
            format!("# TYPE {} {kind}\n{samples}", name.trim_end_matches("_total"))
        });
        Prometheus::with_history(&(families.collect::<String>() + "# EOF\n"))
    }
}

const UPSTREAM: &str = "planet_upstream";
const DOWNSTREAM: &str = "planet_downstream";
const WEB: (&str, &str) = ("web", "web-1.example");
const DB: (&str, &str) = ("db", "db-1.example");
const CACHE: (&str, &str) = ("cache", "cache-1.example");
const OLD: (&str, &str) = ("old", "old-1.example");
const API: (&str, &str) = ("partner", "api.example");

/// `web` asks `db`, which says so too; since today `cache`, which reports another client; until
/// yesterday `old`; and a partner without an exporter.
fn small_fleet() -> Fleet {
    let mut fleet = Fleet::default();
    fleet.says(UPSTREAM, WEB, DB, "5432", "app", &[0, 1]);
    fleet.says(UPSTREAM, WEB, DB, "5432", "worker", &[0, 1]);
    fleet.says(DOWNSTREAM, DB, WEB, "5432", "postgres", &[0, 1]);
    fleet.says(UPSTREAM, WEB, CACHE, "6379", "app", &[0]);
    fleet.says(DOWNSTREAM, CACHE, DB, "6379", "redis", &[0, 1]);
    fleet.says(UPSTREAM, WEB, OLD, "80", "app", &[1]);
    fleet.says(UPSTREAM, WEB, API, "443", "app", &[0, 1]);
    // An exporter that two jobs scrape counts once.
    for job in ["a", "b"] {
        fleet.traffic(job, WEB, DB, "egress", 125_000.0);
    }
    fleet.traffic("a", DB, WEB, "ingress", 125_000.0);
    fleet.rtt(WEB, DB, "5432", 0.0004);
    fleet
}

fn map_of(prometheus: &Prometheus, format: &str) -> Finished {
    let settings = format!("[federate]\nurl = \"{}\"\n", prometheus.url());
    run_with(&settings, &["map", "--format", format])
}

#[test]
fn a_fleets_map_comes_from_prometheus_with_what_began_and_vanished() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    let prometheus = small_fleet().prometheus();
    let made = map_of(&prometheus, "json");
    assert_eq!(made.code, 0, "{}", made.stderr);
    let map: Json = serde_json::from_str(&made.stdout).expect("JSON");
    let found = edges(&map, |edge| {
        let port = &edge["ports"][0];
        format!("{} {} {}", edge["change"], port["ends"], port["clients"])
    });
    let expected = set(&[
        "web-1.example>db-1.example 5432 \"none\" \"both\" [\"app\",\"worker\"]",
        "web-1.example>cache-1.example 6379 \"began\" \"one_sided\" [\"app\"]",
        "db-1.example>cache-1.example 6379 \"none\" \"no_exporter\" []",
        "web-1.example>old-1.example 80 \"vanished\" \"no_exporter\" [\"app\"]",
        "web-1.example>api.example 443 \"none\" \"no_exporter\" [\"app\"]",
    ]);
    // `db-1` reports its clients, and says nothing of asking `cache-1`.
    let expected: BTreeSet<String> = expected
        .into_iter()
        .map(|line| match line.starts_with("db-1") {
            true => line.replace("no_exporter", "one_sided"),
            false => line,
        })
        .collect();
    assert_eq!(found, expected);
    let edge = map["edges"].as_array().unwrap().iter().find(|edge| !edge["sent"].is_null());
    let (bits, rtt) = (edge.unwrap()["sent"].as_f64().unwrap(), edge.unwrap()["rtt"].as_f64());
    assert!((bits - 1e6).abs() < 2e4, "{bits}");
    assert!((rtt.unwrap() - 0.0004).abs() < 1e-9);
    for (format, words) in
        [("dot", "\"5432/tcp, 0.4 ms, 1.0 M bit/s\""), ("mermaid", "|\"80/tcp, vanished\"|")]
    {
        let made = map_of(&prometheus, format);
        assert!(made.code == 0 && made.stdout.contains(words), "{format}: {}", made.stdout);
    }
    let wrong = map_of(&prometheus, "png");
    assert!(
        wrong.code == 2 && wrong.stderr.contains("is not one of html, json"),
        "{}",
        wrong.stderr
    );
}

#[test]
fn without_a_day_of_history_nothing_is_said_to_have_begun() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    let mut fleet = Fleet::default();
    fleet.says(UPSTREAM, WEB, DB, "5432", "app", &[0]);
    let prometheus = fleet.prometheus();
    let made = map_of(&prometheus, "json");
    assert_eq!(made.code, 0, "{}", made.stderr);
    let map: Json = serde_json::from_str(&made.stdout).expect("JSON");
    assert_eq!((&map["since"], &map["edges"][0]["change"]), (&Json::Null, &"none".into()));
    let none = run_with("[output.stdout]\n", &["map"]);
    assert!(none.code == 2 && none.stderr.contains("no [federate]"), "{}", none.stderr);
    let away = run_with("[federate]\nurl = \"http://127.0.0.1:1\"\n", &["map"]);
    assert!(away.code == 1 && away.stderr.contains("127.0.0.1:1"), "{}", away.stderr);
}

/// Graphviz judges what is written for it.
#[test]
fn graphviz_takes_hostile_names() {
    if skips(&["prometheus", "promtool", "dot"]) {
        return;
    }
    let made = map_of(&hostile_fleet().prometheus(), "dot");
    let directory = Directory::new();
    let file = directory.write("map.dot", &made.stdout);
    let drawn = run(std::process::Command::new(common::program("dot")).arg("-Tplain").arg(file));
    assert_eq!((drawn.code, drawn.stderr.as_str()), (0, ""), "{}", made.stdout);
    let nodes = drawn.stdout.lines().filter(|line| line.starts_with("node "));
    assert_eq!(nodes.count(), 3 * HOSTILE.len() + 1, "{}", drawn.stdout);
}

/// Names that would run a script where a page takes them for markup.
const HOSTILE: &[&str] = &[
    "<img src=x onerror=\"document.title='hacked'\">",
    "</script><script>document.title='hacked'</script>",
    "\"><svg onload=document.title='hacked'>",
    "';document.title='hacked';//",
    "${document.title='hacked'}`{{7*7}}",
    "<!--<script>",
    "javascript:document.title='hacked'",
    "a\u{202e}gpj.exe\nb\u{0}c",
    "]]>&lt;b&gt; \\\" \\N \\l } ] ; end",
];

fn hostile_fleet() -> Fleet {
    let mut fleet = Fleet::default();
    for name in HOSTILE {
        let name = &*name.replace('\0', "\u{1}");
        fleet.says(UPSTREAM, (name, WEB.1), (name, name), "443", name, &[0]);
        fleet.says(UPSTREAM, ("web", name), DB, "443", name, &[0]);
    }
    fleet
}

/// A page as a file, and its address.
struct Page {
    _directory: Directory,
    url: String,
}

impl Page {
    /// With a script of the test's own, which the page's policy would not let run.
    fn new(html: &str, script: &str) -> Page {
        let directory = Directory::new();
        let html = match script {
            "" => html.to_string(),
            script => {
                let (before, rest) = html.split_once("<meta http-equiv=").expect("a policy");
                let (_, rest) = rest.split_once('>').expect("its end");
                format!("{before}{rest}<script>{script}</script>")
            }
        };
        let file = directory.write("map.html", html);
        Page { url: format!("file://{}", file.display()), _directory: directory }
    }

    /// What a browser makes of it, at a fragment of its address.
    fn dom(&self, fragment: &str) -> String {
        chromium(&["--dump-dom", &format!("{}#{fragment}", self.url)])
    }

    /// Takes a picture of it, so wide and high, and gives the file.
    fn picture(&self, name: &str, fragment: &str, width: u32, height: u32) -> PathBuf {
        let file = target_directory().join("tmp").join(name);
        chromium(&[
            &format!("--window-size={width},{height}"),
            &format!("--screenshot={}", file.display()),
            &format!("{}#{fragment}", self.url),
        ]);
        let bytes = std::fs::read(&file).expect("a screenshot");
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 10_000, "{} bytes", bytes.len());
        println!("{} shows the map", file.display());
        file
    }
}

#[test]
fn no_name_is_read_as_markup_or_script() {
    if skips(&["prometheus", "promtool", "chromium"]) {
        return;
    }
    let made = map_of(&hostile_fleet().prometheus(), "html");
    assert_eq!(made.code, 0, "{}", made.stderr);
    let page = Page::new(&made.stdout, "");
    let dom = page.dom("");
    assert!(dom.contains("<title>The fleet: dependencies</title>"), "{dom}");
    let (_, body) = dom.split_once("<body").expect("a body");
    // The data and the page's own; what names hold is text.
    assert_eq!(body.matches("<script").count(), 2, "{body}");
    assert!(!body.contains("<img") && body.contains("&lt;img src=x"), "{body}");
    assert_eq!(body.matches("<svg").count(), 1, "{body}");
    assert!(
        body.contains("a\\u{202e}gpj.exe\\nb"),
        "marks of direction are shown as codes: {body}"
    );
    // Each of them in the panel too.
    for (name, _) in HOSTILE.iter().zip(0..) {
        let text: String = name.chars().take_while(|c| c.is_ascii_graphic()).take(6).collect();
        let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        assert!(body.contains(&html), "{name}: {body}");
    }
    // Nor does a script run that someone adds.
    let added = made.stdout.replace("</body>", "<script>document.title='hacked'</script></body>");
    assert!(!Page::new(&added, "").dom("").contains("<title>hacked"));
}

/// Presses keys and clicks, and keeps what the page shows then.
const USE: &str = include_str!("use.js");

#[test]
fn the_page_can_be_used_with_keys_alone_and_filtered() {
    if skips(&["prometheus", "promtool", "chromium"]) {
        return;
    }
    let made = map_of(&small_fleet().prometheus(), "html");
    assert_eq!(made.code, 0, "{}", made.stderr);
    let began = Page::new(&made.stdout, "").dom("show=began");
    assert!(began.contains("2 of 5 services, 1 of 5 dependencies"), "{began}");
    let dom = Page::new(&made.stdout, USE).dom("");
    let (_, said) = dom.split_once("data-said=\"").unwrap_or_else(|| panic!("{dom}"));
    let said =
        said.split_once('"').expect("its end").0.replace("&quot;", "\"").replace("&gt;", ">");
    let said: Json = serde_json::from_str(&said).expect("JSON");
    for (what, expected) in [
        ("all", "5 of 5 services, 5 of 5 dependencies"),
        ("focus", "search"),
        ("search", "2 of 5 services, 1 of 5 dependencies"),
        ("focusable", "service web-1.example"),
        ("node", "web-1.example"),
        ("escape", "The fleet"),
        ("group", "cache"),
        ("filtered", "3 of 5 services, 2 of 5 dependencies"),
        ("began", "2 of 5 services, 1 of 5 dependencies"),
        ("vanished", "2 of 5 services, 1 of 5 dependencies"),
        ("one", "5 of 5 services, 4 of 5 dependencies"),
    ] {
        assert_eq!(said[what], expected, "{what}: {said}");
    }
    assert_eq!(
        (&said["zoomed"], &said["wide"], &said["dimmed"]),
        (&true.into(), &0.into(), &0.into())
    );
    let panel = said["panel"].as_str().expect("a text");
    for words in [
        "hostgroup web",
        "5432/tcp app, worker → postgres, 0.400 ms",
        "↑ 1 Mbit/s",
        "began",
        "only one end sees it",
        "the other end reports nothing",
    ] {
        assert!(panel.contains(words), "{words}: {panel}");
    }
}

/// Five hundred services in forty hostgroups.
fn large_fleet() -> Fleet {
    const NAMES: [&str; 10] =
        ["web", "shop", "search", "orders", "billing", "mail", "auth", "queue", "cache", "db"];
    let service = |number: usize| {
        let group = number % 40;
        let name = format!("{}-{}", NAMES[group / 4], ["eu", "us", "asia", "test"][group % 4]);
        (name.clone(), format!("{name}-{}.example", number / 40))
    };
    let mut fleet = Fleet::default();
    for number in 0..500 {
        let (group, name) = service(number);
        // Each asks some that stand further back, of the same region.
        for step in 1..=3 {
            let to = (number / 40 * 40 + number % 40 / 4 * 4 + number % 4 + step * 8) % 500;
            if to % 40 <= number % 40 {
                continue;
            }
            let port = (4000 + to % 40).to_string();
            let (to_group, to_name) = service(to);
            let (from, to) = ((&*group, &*name), (&*to_group, &*to_name));
            let days: &[i64] = match (number * step) % 61 {
                7 => &[0],
                9 => &[1],
                _ => &[0, 1],
            };
            fleet.says(UPSTREAM, from, to, &port, "app", days);
            if number % 23 != 5 {
                fleet.says(DOWNSTREAM, to, from, &port, "server", days);
            }
            if step == 1 {
                fleet.traffic("a", from, to, "egress", 1e4 * (number % 90) as f64 + 500.0);
                fleet.rtt(from, to, &port, 0.0001 * (number % 30 + 1) as f64);
            }
        }
    }
    fleet
}

#[test]
fn five_hundred_services_fit_on_a_page_and_a_phone() {
    if skips(&["prometheus", "promtool", "chromium"]) {
        return;
    }
    let small = map_of(&small_fleet().prometheus(), "html");
    assert_eq!(small.code, 0, "{}", small.stderr);
    let page = Page::new(&small.stdout, "");
    page.picture("map.png", "node=web-1.example", 1280, 720);
    page.picture("map-phone.png", "", 500, 900);
    let prometheus = large_fleet().prometheus();
    let made = map_of(&prometheus, "html");
    assert_eq!(made.code, 0, "{}", made.stderr);
    assert!(made.stdout.len() < 600_000, "{} bytes", made.stdout.len());
    let page = Page::new(&made.stdout, "");
    let dom = page.dom("");
    assert!(dom.contains("500 of 500 services"), "{}", &dom[..dom.len().min(3000)]);
    assert_eq!(dom.matches("class=\"box").count(), 40);
    // A box shows a dozen services; the 13th is named as one more.
    assert_eq!(dom.matches("class=\"row").count(), 480);
    assert!(dom.contains("and 1 more"));
    page.picture("map-500.png", "", 1600, 1100);
    page.picture("map-500-search.png", "q=billing-eu", 1600, 1100);
}
