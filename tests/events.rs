//! Events: each scripted change of a simulated router is told once, at its time, also when perijove
//! is killed between any two polls.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::influxd::Influxd;
use common::lines::Line;
use common::needs::skips;
use common::perijove::{own, perijove, router};
use common::process::{self, Process};
use common::run::{Run, shown, text};
use common::schema::Schemas;
use common::script::Script;
use common::temporary::Directory;
use common::{answer, free_port, http_agent, now_ns, wait_for};

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
fn each_event_is_a_line_of_the_log_where_that_is_wanted() {
    let script = Script::new();
    script.ports(&[("ge-0/0/0", "up", 90_000, 4)]);
    let mut run = Run::new(&script, "\"interfaces\"", "[events]\nlog = true\n");
    run.poll("interface");
    script.ports(&[("ge-0/0/0", "down", 1, 7)]);
    let line = "r1: interface-state ge-0/0/0: up -> down, 3 changes";
    run.daemon.as_mut().unwrap().process.wait_stderr(line);
    run.poll("interface");
    let log = run.daemon.as_ref().unwrap().process.stderr();
    assert_eq!(log.matches("interface-state").count(), 1, "{log}");
}

#[test]
fn commits_that_may_not_be_read_are_said_once() {
    let script = Script::new();
    let denied = "<rpc-error>\n<error-severity>error</error-severity>\n\
                  <error-message>permission denied</error-message>\n</rpc-error>\n";
    let commits = |list: &str| {
        let list = list.split_whitespace().enumerate().map(|(number, seconds)| {
            format!(
                "<commit-history>\n<sequence-number>{number}</sequence-number>\n<user>anna</user>\n\
                 <client>cli</client>\n\
                 <date-time junos:seconds=\"{seconds}\">x</date-time>\n</commit-history>\n"
            )
        });
        format!("<commit-information>\n{}</commit-information>\n", list.collect::<String>())
    };
    script.answer("get-commit-information", denied);
    let mut run = Run::new(&script, "\"commits\"", "");
    run.wait_polls(&["commits"]);
    let log = run.daemon.as_ref().unwrap().process.stderr();
    assert_eq!(log.matches("permission denied").count(), 1, "{log}");
    assert!(log.contains("view-configuration"), "{log}");
    // Once they may be read, what is there is no news; what comes then is.
    script.answer("get-commit-information", &commits("1700000000"));
    run.daemon.as_mut().unwrap().process.wait_stderr("commits: works again");
    run.wait_polls(&["commits"]);
    assert_eq!(run.events(), []);
    script.answer("get-commit-information", &commits("1700000500 1700000000"));
    run.wait_events(1);
    run.wait_polls(&["commits"]);
    assert_eq!(run.events().len(), 1);
}

#[test]
fn what_changes_while_the_session_is_down_is_told_afterwards_and_nothing_else() {
    let (script, gate) = (Script::new(), Directory::new());
    let closed = gate.join("closed");
    let both = |first: (&str, u64), second: (&str, u64)| {
        let [(a, flaps_a), (b, flaps_b)] = [first, second];
        script.ports(&[("ge-0/0/0", a, 2, flaps_a), ("ge-0/0/1", b, 2, flaps_b)]);
    };
    both(("up", 4), ("up", 4));
    script.alarms(&["Fan Tray 0 Failure"]);
    script.no_system_alarms();
    let program = router(&script.options()).join(" ");
    let shell = format!("test ! -e {} && exec {program}", closed.display());
    let command = ["sh", "-c", shell.as_str()];
    let settings =
        format!("[[router]]\nname = \"r1\"\ntransport = \"local\"\ncommand = {command:?}\n");
    let mut run = Run::of(&settings, "\"interfaces\", \"alarm\"", "");
    run.poll("interface");
    run.poll("alarms");
    // The session ends, and for some time no other one can be opened.
    std::fs::write(&closed, "").unwrap();
    let process = &mut run.daemon.as_mut().unwrap().process;
    process::children(process.id()).iter().for_each(|child| process::signal(*child, "KILL"));
    process.wait_stderr("the session is lost");
    let failed = |run: &Run| {
        own(&run.lines(), ("collector", "interfaces"), "failed_polls_total").unwrap_or_default()
    };
    let before = failed(&run);
    wait_for("polls that fail", || (failed(&run) >= before + 2.0).then_some(()));
    // One flaps and is up again; one goes down.
    both(("up", 8), ("down", 5));
    std::fs::remove_file(&closed).unwrap();
    run.wait_events(2);
    run.poll("interface");
    run.poll("alarms");
    let events = run.events();
    let told: BTreeSet<_> = events.iter().map(|e| (shown(e), e.number("count") as u64)).collect();
    let expected = [
        ("warning interface-state ge-0/0/0: up -> up".to_string(), 4),
        ("warning interface-state ge-0/0/1: up -> down".to_string(), 1),
    ];
    assert_eq!(told, BTreeSet::from(expected));
    assert!(events.iter().all(|event| text(event, "clock") == "age"), "{events:?}");
}

#[test]
fn a_peer_that_vanishes_has_not_gone_down() {
    let script = Script::new();
    let peers = |peers: &[(&str, &str)]| {
        let peers = peers.iter().map(|(ip, state)| {
            format!(
                "<bgp-peer>\n<peer-address>{ip}</peer-address>\n<peer-as>64512</peer-as>\n\
                 <peer-state>{state}</peer-state>\n</bgp-peer>\n"
            )
        });
        let text = format!("<bgp-information>\n{}</bgp-information>\n", peers.collect::<String>());
        script.answer("get-bgp-neighbor-information", &text);
    };
    let both = [("192.0.2.1", "Established"), ("192.0.2.2", "Established")];
    peers(&both);
    let run = Run::new(&script, "\"bgp\"", "");
    run.poll("bgp_session");
    peers(&both[..1]);
    run.poll("bgp_session");
    peers(&both);
    run.poll("bgp_session");
    // In some replies, and in all from now on.
    peers(&both[..1]);
    run.poll("bgp_session");
    assert_eq!(run.events(), []);
    // It comes back in another state.
    peers(&[both[0], ("192.0.2.2", "Active")]);
    let events = run.wait_events(1);
    assert_eq!(shown(&events[0]), "warning bgp-session 192.0.2.2: up -> down");
    run.poll("bgp_session");
    assert_eq!(run.events().len(), 1);
}

#[test]
fn a_router_s_clock_may_be_set() {
    let script = Script::new();
    let seconds = |ahead: i64| now_ns() / 1_000_000_000 + ahead;
    let clock = |ahead: i64| {
        let text = format!(
            "<system-uptime-information>\n<current-time>\n\
             <date-time junos:seconds=\"{{ago {}}}\">x</date-time>\n</current-time>\n\
             </system-uptime-information>\n",
            -ahead * 1000
        );
        script.answer("get-system-uptime-information", &text);
    };
    let mut made: Vec<i64> = vec![seconds(-90_000)];
    let commits = |made: &[i64]| {
        let commits = made.iter().rev().enumerate().map(|(number, seconds)| {
            format!(
                "<commit-history>\n<sequence-number>{number}</sequence-number>\n<user>anna</user>\n\
                 <client>cli</client>\n\
                 <date-time junos:seconds=\"{seconds}\">x</date-time>\n</commit-history>\n"
            )
        });
        let text =
            format!("<commit-information>\n{}</commit-information>\n", commits.collect::<String>());
        script.answer("get-commit-information", &text);
    };
    clock(0);
    commits(&made);
    let run = Run::new(&script, "\"commits\"", "");
    run.wait_polls(&["commits"]);
    // Back by two hours, and forward by one.
    for (number, ahead) in [-7200, -3600].into_iter().enumerate() {
        clock(ahead);
        run.wait_polls(&["commits"]);
        let then = now_ns();
        made.push(seconds(ahead));
        commits(&made);
        let events = run.wait_events(number + 1);
        let event = events.last().unwrap();
        assert_eq!((text(event, "clock"), text(event, "user")), ("router", "anna"));
        assert_ago(event, 0, then);
    }
    // By the clock as it is now, a commit by the one before would be two hours ahead.
    let then = now_ns();
    // In another second than the commit before it, which it could not be told from.
    made.push(seconds(-3590));
    clock(-10_800);
    commits(&made);
    run.wait_events(3);
    run.wait_polls(&["commits"]);
    let events = run.events();
    assert_eq!(events.len(), 3, "{events:?}");
    assert_ago(&events[2], 0, then);
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

    let overview = dashboards("influxdb").remove("overview").expect("an overview");
    let panels = overview["panels"].as_array().unwrap();
    let panel = panels.iter().find(|panel| panel["title"] == "Events").unwrap();
    let panel = panel["targets"][0]["query"].as_str().unwrap().to_string();
    let marks = dashboards("influxdb").into_values();
    let marks = marks.map(|of| of["annotations"]["list"][0]["query"].as_str().unwrap().to_string());
    for query in marks.chain([panel]) {
        let query = query.replace("${target:regex}", ".*").replace("$timeFilter", "time > 0");
        let answer = influxd.query(&query);
        let rows: usize = answer.iter().map(|s| s["values"].as_array().unwrap().len()).sum();
        assert_eq!(rows, 1, "{query}: {answer:?}");
        assert!(answer[0].to_string().contains("ge-0/0/0"), "{answer:?}");
    }
}

/// Grafana's dashboards over that, by their names.
fn dashboards(flavour: &str) -> BTreeMap<String, serde_json::Value> {
    let folder = format!("{}/packaging/grafana/{flavour}", env!("CARGO_MANIFEST_DIR"));
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        (name, serde_json::from_str(&text).unwrap())
    };
    std::fs::read_dir(folder).unwrap().map(|file| read(file.unwrap().path())).collect()
}

#[test]
fn every_dashboard_marks_what_changed() {
    for (flavour, language, source) in [
        ("influxdb", "query", "FROM \"event\""),
        ("prometheus", "expr", "perijove_event_last_time_seconds"),
    ] {
        let all = dashboards(flavour);
        assert_eq!(all.len(), 5);
        for (name, dashboard) in all {
            let mark = &dashboard["annotations"]["list"][0];
            let query = mark[language].as_str().unwrap_or_default();
            assert!(query.contains(source), "{flavour} {name}: {mark}");
            // What it is asked for is a variable of that dashboard.
            let has_target = dashboard["templating"]["list"].to_string().contains("\"target\"");
            assert_eq!(query.contains("$target") || query.contains("${target"), has_target);
        }
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
    run.daemon
        .as_mut()
        .unwrap()
        .process
        .wait_stderr("is not used, changes since then are not reported");
    run.poll("interface");
    assert_eq!(run.events(), []);
    script.ports(&[("ge-0/0/0", "up", 1, 6)]);
    assert_eq!(run.wait_events(1).len(), 1);
}
