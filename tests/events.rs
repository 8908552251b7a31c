//! Events: each scripted change of a simulated router is told once, at its time, also when perijove
//! is killed between any two polls.

mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::influxd::Influxd;
use common::lines::{Line, Value};
use common::needs::skips;
use common::perijove::{Daemon, FAST, own, perijove, whole_lines};
use common::process::{self, Process};
use common::schema::Schemas;
use common::script::Script;
use common::temporary::Directory;
use common::{answer, free_port, http_agent, now_ns, wait_for};

/// perijove in a directory that outlives it, with a file output there.
struct Run {
    directory: Option<Directory>,
    daemon: Option<Daemon>,
    settings: String,
}

impl Run {
    fn new(script: &Script, collectors: &str, more: &str) -> Run {
        Run::of(&script.router(), collectors, more)
    }

    fn of(router: &str, collectors: &str, more: &str) -> Run {
        let settings = format!(
            "collectors = [{collectors}]\n{FAST}state_directory = \"DIRECTORY\"\n{router}\
             [output.file]\npath = \"DIRECTORY/points\"\n{more}"
        );
        let settings = settings.replace("interval = \"300ms\"", "interval = \"1s\"");
        let mut run = Run { directory: Some(Directory::new()), daemon: None, settings };
        run.start();
        run
    }

    fn start(&mut self) {
        let directory = self.directory.take().unwrap();
        self.daemon = Some(Daemon::start_in(directory, &self.settings, &[]));
    }

    fn lines(&self) -> Vec<Line> {
        let daemon = self.daemon.as_ref().unwrap();
        whole_lines(&std::fs::read_to_string(daemon.directory.join("points")).unwrap_or_default())
    }

    /// The different events so far, in the order of their times: a record that comes twice is one.
    fn events(&self) -> Vec<Line> {
        let events = self.lines().into_iter().filter(|line| line.measurement == "event");
        let events: BTreeMap<_, _> =
            events.map(|line| ((line.timestamp, line.key()), line)).collect();
        events.into_values().collect()
    }

    /// Waits for two more polls of a measurement that begin after now.
    fn poll(&self, measurement: &str) {
        let from = now_ns();
        wait_for("two more polls", || {
            let lines = self.lines();
            let times = lines.iter().filter(|line| line.measurement == measurement);
            let times: std::collections::BTreeSet<_> = times.map(|line| line.timestamp).collect();
            (times.range(from..).count() >= 2).then_some(())
        });
    }

    /// Kills it, once what the first poll has shown is on the disk.
    fn kill(&mut self) {
        let daemon = self.daemon.take().unwrap();
        let kept = daemon.directory.join("events/r1");
        wait_for("the states", || kept.exists().then_some(()));
        // Stopped first: a write that is killed in its middle would leave half a line.
        let Daemon { process, directory } = daemon;
        drop(process);
        self.directory = Some(directory);
    }

    fn wait_events(&self, count: usize) -> Vec<Line> {
        wait_for("events", || Some(self.events()).filter(|events| events.len() >= count))
    }
}

fn text<'a>(line: &'a Line, field: &str) -> &'a str {
    match line.fields.get(field) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

/// Kind, subject, severity, from, to.
fn shown(line: &Line) -> String {
    let [kind, subject, severity] = ["kind", "subject", "severity"].map(|tag| line.tag(tag));
    format!("{severity} {kind} {subject}: {} -> {}", text(line, "from"), text(line, "to"))
}

/// The event was so many seconds before a poll that began between then and now, give or take two.
fn assert_ago(event: &Line, seconds: i64, then_ns: i64) {
    let polled = event.timestamp + seconds * 1_000_000_000;
    let slack = 2_000_000_000;
    let polls = then_ns - slack..now_ns() + slack;
    assert!(polls.contains(&polled), "not {seconds} s before {polls:?}: {event:?}");
}

#[test]
fn a_change_is_told_once_at_its_time_although_perijove_is_killed_between_polls() {
    let script = Script::new();
    script.ports(&[("ge-0/0/0", "up", 90_000, 4), ("ge-0/0/1", "up", 90_000, 4)]);
    let mut run = Run::new(&script, "\"interfaces\"", "");
    run.poll("interface");
    assert_eq!(run.events(), [], "the first poll is silent");

    // While it does not run, one goes down; a killed run has kept what it was.
    run.kill();
    script.ports(&[("ge-0/0/0", "down", 100, 5), ("ge-0/0/1", "up", 90_000, 4)]);
    run.start();
    let events = run.wait_events(1);
    assert_eq!(shown(&events[0]), "warning interface-state ge-0/0/0: up -> down");
    run.kill();
    run.start();
    run.poll("interface");
    run.kill();
    // The other flaps, and is up again when it is polled.
    script.ports(&[("ge-0/0/0", "down", 110, 5), ("ge-0/0/1", "up", 1, 8)]);
    run.start();
    let events = run.wait_events(2);
    run.kill();
    run.start();
    run.poll("interface");
    run.kill();
    run.start();
    run.poll("interface");
    assert_eq!(run.events().len(), 2, "{:?}", run.events());
    // Its age says a second, which may be before the other was seen.
    let flap = events.iter().find(|event| event.tag("subject") == "ge-0/0/1").unwrap();
    assert_eq!(shown(flap), "warning interface-state ge-0/0/1: up -> up");
    assert_eq!(flap.number("count"), 4.0);
    assert_eq!(text(flap, "clock"), "age");
}

#[test]
fn a_time_is_the_router_s_where_it_tells_one_that_fits() {
    let script = Script::new();
    script.ports(&[("ge-0/0/0", "up", 90_000, 4), ("ge-0/0/1", "up", 90_000, 4)]);
    let run = Run::new(&script, "\"interfaces\"", "");
    run.poll("interface");
    // An age that is older than the poll before is of another change.
    let then = now_ns();
    script.ports(&[("ge-0/0/0", "down", 1, 5), ("ge-0/0/1", "down", 90_000, 5)]);
    let events = run.wait_events(2);
    let of = |subject: &str| events.iter().find(|event| event.tag("subject") == subject).unwrap();
    assert_eq!(text(of("ge-0/0/0"), "clock"), "age");
    assert!(of("ge-0/0/0").number("exactness") < 60.0);
    assert_eq!(text(of("ge-0/0/1"), "clock"), "poll");
    events.iter().for_each(|event| assert_ago(event, 1, then));
}

#[test]
fn a_session_s_time_is_the_router_s_where_the_summary_tells_it() {
    let script = Script::new();
    // Two instances have a peer of the same address: the summary does not say which is which.
    let peers = [("192.0.2.1+179", ""), ("192.0.2.2", "a"), ("192.0.2.2", "b")];
    let answer = |rpc: &str, peer: &dyn Fn(&str, &str) -> String| {
        let peers: String = peers.iter().map(|(ip, instance)| peer(ip, instance)).collect();
        script.answer(rpc, &format!("<bgp-information>\n{peers}</bgp-information>\n"));
    };
    let summary = |elapsed: u64| {
        answer("get-bgp-summary-information", &|ip, _| {
            format!(
                "<bgp-peer>\n<peer-address>{ip}</peer-address>\n\
                 <elapsed-time junos:seconds=\"{elapsed}\">x</elapsed-time>\n</bgp-peer>\n"
            )
        });
    };
    let neighbors = |state: &str, flaps: u64| {
        answer("get-bgp-neighbor-information", &|ip, instance| {
            format!(
                "<bgp-peer>\n<peer-address>{ip}</peer-address>\n<peer-as>64512</peer-as>\n\
                 <peer-cfg-rti>{instance}</peer-cfg-rti>\n<peer-state>{state}</peer-state>\n\
                 <flap-count>{flaps}</flap-count>\n</bgp-peer>\n"
            )
        });
    };
    summary(90_000);
    neighbors("Established", 0);
    let run = Run::new(&script, "\"bgp\"", "[collector.bgp]\nelapsed = true\n");
    run.poll("bgp_session");
    // Before the state, so that no poll has the one without the other.
    summary(1);
    run.poll("bgp_session");
    neighbors("Active", 1);
    let events = run.wait_events(3);
    let clocks: BTreeMap<&str, &str> =
        events.iter().map(|event| (event.tag("subject"), text(event, "clock"))).collect();
    let expected = [("192.0.2.1", "age"), ("192.0.2.2 a", "poll"), ("192.0.2.2 b", "poll")];
    assert_eq!(clocks, BTreeMap::from(expected));
    let first = events.iter().find(|event| text(event, "clock") == "age").unwrap();
    assert_eq!(shown(first), "warning bgp-session 192.0.2.1: up -> down");
    // A second before the summary was asked for.
    let before = first.number("seen") - first.timestamp as f64 / 1e9;
    assert!((0.9..30.0).contains(&before), "{before} s before: {first:?}");
}

#[test]
fn what_a_reply_lacks_has_not_gone_away() {
    let script = Script::new();
    let both = [("ge-0/0/0", "up", 90_000, 4), ("ge-0/0/1", "up", 90_000, 4)];
    script.ports(&both);
    script.alarms(&["Fan Tray 0 Failure"]);
    script.no_system_alarms();
    let run = Run::new(&script, "\"interfaces\", \"alarm\"", "");
    run.poll("alarms");
    // One is missing, and then the whole reply.
    script.ports(&both[..1]);
    run.poll("interface");
    script.ports::<u64>(&[]);
    // A router that refuses tells nothing of alarms.
    let denied = "<rpc-error>\n<error-severity>error</error-severity>\n\
                  <error-message>permission denied</error-message>\n</rpc-error>\n";
    script.answer("get-alarm-information", denied);
    run.poll("perijove_collector");
    run.poll("perijove_collector");
    script.ports(&both);
    script.alarms(&["Fan Tray 0 Failure"]);
    run.poll("alarms");
    run.poll("interface");
    assert_eq!(run.events(), []);
    script.alarms(&["Fan Tray 1 Failure"]);
    let events: Vec<String> = run.wait_events(2).iter().map(shown).collect();
    let set = "error alarm Fan Tray 1 Failure: cleared -> set";
    let cleared = "info alarm Fan Tray 0 Failure: set -> cleared";
    assert!(
        events.contains(&set.to_string()) && events.contains(&cleared.to_string()),
        "{events:?}"
    );
}

#[test]
fn a_thousand_changes_in_one_poll_are_a_thousand_events() {
    let script = Script::new();
    let names: Vec<String> = (0..1000).map(|port| format!("ge-0/0/{port}")).collect();
    let ports =
        |state| -> Vec<_> { names.iter().map(|name| (name.as_str(), state, 5u64, 4u64)).collect() };
    script.ports(&ports("up"));
    let mut run = Run::new(&script, "\"interfaces\"", "");
    run.poll("interface");
    script.ports(&ports("down"));
    assert_eq!(run.wait_events(1000).len(), 1000);
    run.kill();
    run.start();
    run.poll("interface");
    let events = run.events();
    assert_eq!(events.len(), 1000);
    assert!(events.iter().all(|event| text(event, "to") == "down"));
}

#[test]
fn flapping_is_damped_and_counted() {
    let script = Script::new();
    script.ports(&[("ge-0/0/0", "up", 90_000, 0)]);
    let more = "[events]\nflaps_max = 2\nflaps_window = \"20s\"\n";
    let run = Run::new(&script, "\"interfaces\"", more);
    run.poll("interface");
    let told = || run.events().iter().map(|event| event.number("count")).sum::<f64>();
    let damped = || own(&run.lines(), ("host", "r1"), "damped_total").unwrap_or_default();
    for flap in 1..=5 {
        script.ports(&[("ge-0/0/0", "up", 0, flap * 2)]);
        wait_for("the flap is seen", || (told() + damped() >= flap as f64 * 2.0).then_some(()));
    }
    // Each change counts, told at once or later.
    wait_for("all flaps are counted", || (told() == 10.0).then_some(()));
    assert!(run.events().len() < 5, "{:?}", run.events());
}

#[test]
fn a_restart_and_a_commit_are_told() {
    let script = Script::new();
    let engine = |uptime: u64| {
        format!(
            "<route-engine-information>\n<route-engine>\n<slot>0</slot>\n\
             <mastership-state>master</mastership-state>\n\
             <up-time junos:seconds=\"{uptime}\">x</up-time>\n</route-engine>\n\
             </route-engine-information>\n"
        )
    };
    // The router's clock is an hour ahead.
    let clock = |ahead: i64| {
        let seconds = now_ns() / 1_000_000_000 + ahead;
        format!(
            "<system-uptime-information>\n<current-time>\n\
             <date-time junos:seconds=\"{seconds}\">x</date-time>\n</current-time>\n\
             </system-uptime-information>\n"
        )
    };
    let commit = |number: u64, user: &str, ago: i64| {
        let seconds = now_ns() / 1_000_000_000 + 3600 - ago;
        format!(
            "<commit-history>\n<sequence-number>{number}</sequence-number>\n<user>{user}</user>\n\
             <client>cli</client>\n<date-time junos:seconds=\"{seconds}\">x</date-time>\n\
             <log>why</log>\n</commit-history>\n"
        )
    };
    let commits = |list: &str| format!("<commit-information>\n{list}</commit-information>\n");
    script.answer("get-route-engine-information", &engine(86_400));
    script.answer("get-system-uptime-information", &clock(3600));
    let first = commit(0, "root", 5000);
    script.answer("get-commit-information", &commits(&first));
    let run = Run::new(&script, "\"routingengine\", \"commits\"", "");
    run.poll("route_engine");
    run.poll("commit");
    let then = now_ns();
    script.answer("get-route-engine-information", &engine(2));
    script.answer("get-system-uptime-information", &clock(3600));
    let list = commit(0, "anna", 2) + &first.replace(">0<", ">1<");
    script.answer("get-commit-information", &commits(&list));
    let events = run.wait_events(2);
    run.poll("commit");
    assert_eq!(run.events().len(), 2, "{:?}", run.events());
    let of = |kind: &str| events.iter().find(|event| event.tag("kind") == kind).unwrap();
    assert_eq!(shown(of("re-restart")), "warning re-restart 0: up for 86400 s -> started again");
    let commit = of("commit");
    assert_eq!((text(commit, "user"), text(commit, "comment")), ("anna", "why"));
    assert_eq!((commit.tag("subject"), text(commit, "clock")), ("cli", "router"));
    events.iter().for_each(|event| assert_ago(event, 2, then));
}

#[test]
fn two_engines_are_told_apart() {
    let script = Script::new();
    script.alarms(&[]);
    script.no_system_alarms();
    let router = script.router().replace("--replies", "--multi-re\", \"re0,re1\", \"--replies");
    let run = Run::of(&router, "\"alarm\"", "");
    run.poll("alarms");
    script.alarms(&["Fan Tray 0 Failure"]);
    let events = run.wait_events(2);
    let engines: Vec<&str> = events.iter().map(|event| event.tag("re_name")).collect();
    assert_eq!(engines.len(), 2);
    assert!(engines.contains(&"re0") && engines.contains(&"re1"), "{engines:?}");
}

/// The settings of a listener.
fn listens(port: u16) -> String {
    format!("[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n")
}

#[test]
fn the_listener_has_the_events_and_prometheus_their_number() {
    let script = Script::new();
    script.ports(&[("ge-0/0/0", "up", 90_000, 4)]);
    let port = free_port();
    let run = Run::new(&script, "\"interfaces\"", &listens(port));
    run.poll("interface");
    let ask = |path: &str| {
        let response = http_agent().get(format!("http://127.0.0.1:{port}{path}")).call();
        let response = response.expect("an answer");
        let position = response.headers().get("perijove-position").cloned();
        (position, answer(response).expect("a body"))
    };
    // The counter is there before the first event, so that `increase` sees it.
    let kind = "perijove_events_total{target=\"r1\",kind=\"interface-state\"}";
    wait_for("a counter", || ask("/metrics").1.1.contains(&format!("{kind} 0\n")).then_some(()));
    assert_eq!(ask("/events").1, (200, String::new()));
    assert_eq!(ask("/events?after=x").1.0, 400);

    script.ports(&[("ge-0/0/0", "down", 1, 5)]);
    run.wait_events(1);
    let (position, (status, records)) = wait_for("a record", || {
        Some(ask("/events")).filter(|(_, (_, records))| !records.is_empty())
    });
    assert_eq!((status, records.lines().count()), (200, 1));
    let position = position.expect("a position").to_str().expect("text").to_string();
    assert_eq!(ask(&format!("/events?after={position}")).1, (200, String::new()));
    assert_eq!(ask("/events?target=other").1, (200, String::new()));
    Schemas::printed().check(records.trim_end());
    let metrics = ask("/metrics").1.1;
    assert!(metrics.contains(&format!("{kind} 1\n")), "{metrics}");
    let last = "perijove_event_last_time_seconds{target=\"r1\",kind=\"interface-state\",\
                subject=\"ge-0/0/0\",severity=\"warning\"}";
    assert!(metrics.contains(last), "{metrics}");
    // Prometheus gets no events.
    assert!(!metrics.contains("junos_event"), "{metrics}");

    let url = format!("http://127.0.0.1:{port}");
    let printed = process::run(&mut perijove(&["events", "--url", &url]));
    assert_eq!(printed.code, 0, "{printed:?}");
    let line = printed.stdout.trim_end();
    assert!(line.ends_with("r1  warning  interface-state ge-0/0/0: up -> down"), "{line}");
    let printed = process::run(&mut perijove(&["events", "--url", &url, "--format", "json"]));
    assert_eq!(printed.stdout, records);
}

#[test]
fn follow_goes_on_with_what_comes() {
    let script = Script::new();
    script.ports(&[("ge-0/0/0", "up", 90_000, 4)]);
    let port = free_port();
    let run = Run::new(&script, "\"interfaces\"", &listens(port));
    run.poll("interface");
    let url = format!("http://127.0.0.1:{port}");
    let mut follow = Process::start(&mut perijove(&["events", "--follow", "--url", &url]));
    for (state, shown) in [("down", "up -> down"), ("up", "down -> up")] {
        script.ports(&[("ge-0/0/0", state, 1, 5)]);
        follow.wait_for(shown, |follow| follow.stdout().contains(shown).then_some(()));
    }
    assert_eq!(follow.stdout().lines().count(), 2, "{}", follow.stdout());

    // It ends with its reader, although nothing comes that it could write.
    let mut command = perijove(&["events", "--follow", "--url", &url]);
    let mut unread = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(unread.stdout.take().unwrap()).lines();
    assert!(lines.nth(1).is_some());
    drop(lines);
    assert!(unread.wait().unwrap().success());
}

#[test]
fn influxdb_answers_the_annotation_and_the_panel() {
    if skips(&["influxd"]) {
        return;
    }
    let script = Script::new();
    script.ports(&[("ge-0/0/0", "up", 90_000, 4)]);
    let influxd = Influxd::start();
    let mut run = Run::new(&script, "\"interfaces\"", &influxd.output());
    run.poll("interface");
    script.ports(&[("ge-0/0/0", "down", 1, 5)]);
    run.wait_events(1);
    let points = |measurement: &str| influxd.points_of(measurement).len();
    wait_for("the event in InfluxDB", || (points("event") == 1).then_some(()));
    // Handed over again after a kill, it is the same point.
    run.kill();
    run.start();
    run.poll("interface");
    assert_eq!(points("event"), 1);

    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/grafana/influxdb/overview.json");
    let dashboard: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let annotation = &dashboard["annotations"]["list"][0]["query"];
    let panels = dashboard["panels"].as_array().unwrap();
    let panel = panels.iter().find(|panel| panel["title"] == "Events").unwrap();
    for query in [annotation, &panel["targets"][0]["query"]] {
        let query = query.as_str().unwrap();
        let query = query.replace("${target:regex}", ".*").replace("$timeFilter", "time > 0");
        let answer = influxd.query(&query);
        let rows: usize = answer.iter().map(|s| s["values"].as_array().unwrap().len()).sum();
        assert_eq!(rows, 1, "{query}: {answer:?}");
        assert!(answer[0].to_string().contains("ge-0/0/0"), "{answer:?}");
    }
}

#[test]
fn events_that_are_turned_off_cost_nothing_and_leave_no_file() {
    let script = Script::new();
    script.ports(&[("ge-0/0/0", "up", 90_000, 4)]);
    let run = Run::new(&script, "\"interfaces\"", "[events]\nenabled = false\n");
    run.poll("interface");
    script.ports(&[("ge-0/0/0", "down", 1, 5)]);
    run.poll("interface");
    assert_eq!(run.events(), []);
    assert!(!run.lines().iter().any(|line| line.measurement == "perijove_events"));
    assert!(!run.daemon.as_ref().unwrap().directory.join("events").exists());
}

#[test]
fn a_damaged_file_is_said_and_costs_one_silent_poll() {
    let script = Script::new();
    script.ports(&[("ge-0/0/0", "up", 90_000, 4)]);
    let mut run = Run::new(&script, "\"interfaces\"", "");
    run.poll("interface");
    run.kill();
    let file = run.directory.as_ref().unwrap().join("events/r1");
    let mut bytes = std::fs::read(&file).expect("the states");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    script.ports(&[("ge-0/0/0", "down", 1, 5)]);
    run.start();
    run.daemon.as_mut().unwrap().process.wait_stderr("is not used, the next poll tells none");
    run.poll("interface");
    assert_eq!(run.events(), []);
    script.ports(&[("ge-0/0/0", "up", 1, 6)]);
    assert_eq!(run.wait_events(1).len(), 1);
}
