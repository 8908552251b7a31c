//! What a server on a bad day answers to a write, and what perijove makes of it.

mod common;

use std::time::Duration;

use common::http_stub::{HttpStub, Reply};
use common::lines::{self, Line};
use common::perijove::{Daemon, alarm_polls, dropped, every, local_router, own, seen};
use common::process::Finished;
use common::temporary::Directory;

const LOGIN_V1: &str = "database = \"metrics db\"\nretention_policy = \"week\"\nusername = \"w\"\n\
                        password_file = \"DIRECTORY/secret\"\n";
const LOGIN_V2: &str = "version = 2\norg = \"an org\"\nbucket = \"b&c\"\n\
                        token_file = \"DIRECTORY/secret\"\n";
const LOGIN_V3: &str = "version = 3\ndatabase = \"metrics db\"\n\
                        token_file = \"DIRECTORY/secret\"\n";
const SECRET: &str = "t0p-S3cret";

/// A daemon that prints every point and writes to this server, logging as much as it can.
fn daemon(stub: &HttpStub, output: &str) -> Daemon {
    let directory = Directory::new();
    directory.write_secret("secret", SECRET);
    // Line by line, a busy machine cannot send several polls in a second.
    let settings = format!(
        "collectors = [\"alarm\", \"route\"]\n{}drain_timeout = \"50s\"\n{}[output.stdout]\n\
         [output.influxdb]\nurl = \"{}\"\n{output}",
        every("1500ms"),
        local_router("r1", "--tables 20"),
        stub.url()
    );
    Daemon::start_in(directory, &settings, &["--verbose", "--verbose"])
}

/// Waits until the stub has accepted some polls, ends the daemon and holds what it printed
/// against what arrived: every reading, and nothing else.
fn nothing_lost(mut daemon: Daemon, stub: &HttpStub) -> Finished {
    daemon.process.wait_for("points that are accepted", |_| {
        (alarm_polls(&stub.accepted()) >= 3).then_some(())
    });
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let keys = |lines: &[Line]| {
        let key = |line: &Line| format!("{} {:?}", line.key(), line.fields);
        lines::readings(lines).iter().map(key).collect::<std::collections::BTreeSet<String>>()
    };
    let (printed, accepted) = (keys(&lines::read(&finished.stdout)), keys(&stub.accepted()));
    let lost: Vec<_> = printed.difference(&accepted).collect();
    assert!(lost.is_empty(), "{} lost, such as {:?}\n{}", lost.len(), lost[0], finished.stderr);
    assert_eq!(printed.len(), accepted.len(), "more has arrived than was printed");
    finished
}

fn base64(text: &str) -> String {
    let encoded = common::process::run(std::process::Command::new("sh").args([
        "-c",
        "printf %s \"$1\" | base64 -w 0",
        "sh",
        text,
    ]));
    encoded.stdout
}

#[test]
fn a_write_says_who_what_and_where() {
    for (version, login, authorization, target) in [
        (
            1,
            LOGIN_V1,
            format!("Basic {}", base64(&format!("w:{SECRET}"))),
            ["/write?", "db=metrics%20db", "rp=week", "precision=n"],
        ),
        (
            2,
            LOGIN_V2,
            format!("Token {SECRET}"),
            ["/api/v2/write?", "org=an%20org", "bucket=b%26c", "precision=ns"],
        ),
        (
            3,
            LOGIN_V3,
            format!("Bearer {SECRET}"),
            ["/api/v3/write_lp?", "db=metrics%20db", "accept_partial=true", "precision=nanosecond"],
        ),
    ] {
        let stub = HttpStub::accepting();
        let finished = nothing_lost(daemon(&stub, login), &stub);
        for request in stub.requests() {
            assert_eq!(request.method, "POST");
            let decoded = request.target.replace('+', "%20");
            for part in target {
                assert!(decoded.contains(part), "v{version}: {part} is not in {decoded}");
            }
            let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
            assert_eq!(header("authorization"), authorization);
            assert_eq!(header("content-encoding"), "gzip");
            assert!(header("user-agent").starts_with("perijove/"), "{request:?}");
            assert!(!request.target.contains(SECRET), "{}", request.target);
        }
        assert!(!finished.stderr.contains(SECRET) && !finished.stdout.contains(SECRET));
    }
}

#[test]
fn what_passes_loses_nothing() {
    let faults = [
        ("429", Reply::status(429)),
        ("500", Reply::message(500, "{\"error\":\"engine: cache is full\"}")),
        ("502", Reply::status(502)),
        ("503", Reply::Answer(503, &[("Retry-After", "1")], String::new())),
        (
            "a Retry-After that says nothing",
            Reply::Answer(503, &[("Retry-After", "soon")], String::new()),
        ),
        ("408", Reply::status(408)),
        ("401", Reply::message(401, "{\"error\":\"authorization failed\"}")),
        ("403", Reply::status(403)),
        ("404", Reply::message(404, "{\"error\":\"database not found: \\\"metrics db\\\"\"}")),
        ("hang", Reply::Hang),
        ("cut in the body", Reply::CutInBody),
        ("close", Reply::Close),
        ("garbage", Reply::Garbage),
    ];
    let passes = |name: &str, fault: Reply| {
        let stub = HttpStub::start(move |number, _| match number {
            0..2 => fault.clone(),
            _ => Reply::status(204),
        });
        let output = format!("{LOGIN_V1}timeout = \"2s\"\n");
        let finished = nothing_lost(daemon(&stub, &output), &stub);
        assert!(finished.stderr.contains("influxdb"), "{name}: {}", finished.stderr);
        for secret in [SECRET, &base64(&format!("w:{SECRET}"))] {
            assert!(!finished.stderr.contains(secret), "{name}: {}", finished.stderr);
        }
    };
    // All at once: each of them mostly waits for the next try.
    std::thread::scope(|scope| {
        for (name, fault) in faults {
            let passes = &passes;
            let thread = std::thread::Builder::new().name(name.into());
            thread.spawn_scoped(scope, move || passes(name, fault)).expect("a thread");
        }
    });
}

#[test]
fn retry_after_is_honoured() {
    let stub = HttpStub::start(|number, _| match number {
        0 => Reply::Answer(429, &[("Retry-After", "3")], String::new()),
        _ => Reply::status(204),
    });
    nothing_lost(daemon(&stub, LOGIN_V1), &stub);
    let requests = stub.requests();
    let waited = requests[1].at - requests[0].at;
    assert!(waited >= Duration::from_millis(2_900), "asked again after {waited:?}");
}

/// A database that is missing is noticed soon once it is there, however long it was missing: waits
/// that double would come to a minute at the sixth request.
#[test]
fn a_missing_database_is_tried_every_second() {
    let stub = HttpStub::start(|number, _| match number {
        0..12 => Reply::message(404, "{\"error\":\"database not found: \\\"metrics db\\\"\"}"),
        _ => Reply::status(204),
    });
    nothing_lost(daemon(&stub, LOGIN_V1), &stub);
}

/// The server takes less than is polled: a poll waits for it longer than one RPC may, and no RPC
/// does.
#[test]
fn a_slow_server_makes_polls_rarer_and_loses_nothing() {
    let stub = HttpStub::start(|_, request| {
        std::thread::sleep(Duration::from_millis(5) * request.body.lines().count() as u32);
        Reply::status(204)
    });
    let collectors = ["alarm", "bgp", "interfaces", "interfacediagnostics", "route"];
    let settings = format!(
        "collectors = {collectors:?}\n{}timeout = \"2s\"\ndrain_timeout = \"50s\"\n{}\
         [output.influxdb]\nurl = \"{}\"\ndatabase = \"d\"\nbatch_points_max = 50\n\
         queue_bytes_max = \"50KB\"\n",
        every("500ms"),
        local_router("r1", "--interfaces 40 --bgp-peers 20 --tables 20"),
        stub.url()
    );
    let arrived = || {
        let bodies = stub.requests().into_iter().map(|request| request.body);
        bodies.flat_map(|body| lines::read(&body)).collect::<Vec<_>>()
    };
    let mut daemon = Daemon::start(&settings);
    daemon.process.wait_for("polls", |_| (alarm_polls(&arrived()) >= 5).then_some(()));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let dropped = own(&arrived(), ("output", "influxdb"), "dropped_points_total");
    assert_eq!(dropped, Some(0.0), "{}", finished.stderr);
}

/// What perijove says of its routers comes at once, and is several times what the queue holds.
#[test]
fn a_report_on_many_routers_waits_for_room() {
    let stub = HttpStub::accepting();
    let mut settings = format!(
        "self_interval = \"300ms\"\ndrain_timeout = \"50s\"\n[output.influxdb]\nurl = \"{}\"\n\
         database = \"d\"\nqueue_bytes_max = \"50KB\"\n",
        stub.url()
    );
    for number in 0..60 {
        settings += &format!("[[router]]\nname = \"r{number}\"\ncommand = [\"false\"]\n");
    }
    let mut daemon = Daemon::start(&settings);
    daemon.process.wait_for("reports", |_| {
        (seen(&stub.accepted(), "perijove_session") >= 5 * 60).then_some(())
    });
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let dropped = own(&stub.accepted(), ("output", "influxdb"), "dropped_points_total");
    assert_eq!(dropped, Some(0.0), "{}", finished.stderr);
}

#[test]
fn too_large_is_split_down_to_single_points() {
    let stub = HttpStub::start(|_, request| match request.body.lines().count() {
        0..=3 => Reply::status(204),
        _ => Reply::status(413),
    });
    nothing_lost(daemon(&stub, LOGIN_V2), &stub);
}

#[test]
fn a_point_that_alone_is_too_large_is_dropped_and_counted() {
    let stub = HttpStub::start(|_, request| match request.body.contains("routes,") {
        true => Reply::message(413, "{\"error\":\"Request Entity Too Large\"}"),
        false => Reply::status(204),
    });
    let mut daemon = daemon(&stub, LOGIN_V1);
    daemon.process.wait_for("the points without routes", |_| {
        (alarm_polls(&stub.accepted()) >= 3).then_some(())
    });
    daemon.wait_lines("the count of dropped points", dropped);
    let finished = daemon.stop();
    assert_eq!(seen(&stub.accepted(), "routes"), 0);
    assert!(finished.stderr.contains("413"), "{}", finished.stderr);
}

#[test]
fn what_is_refused_for_good_is_dropped_counted_and_said_in_the_servers_words() {
    for status in [400, 422] {
        let stub = HttpStub::start(move |number, _| match number {
            0 => {
                Reply::message(status, "{\"error\":\"partial write: the moon is full dropped=2\"}")
            }
            _ => Reply::status(204),
        });
        let mut daemon = daemon(&stub, LOGIN_V1);
        daemon.process.wait_stderr("the moon is full");
        daemon
            .process
            .wait_for("later points", |_| (alarm_polls(&stub.accepted()) >= 2).then_some(()));
        daemon.wait_lines("the count of dropped points", dropped);
        let requests = stub.requests();
        let again = requests[1..].iter().any(|request| request.body == requests[0].body);
        assert!(!again, "what the server refused for good was sent again");
    }
}

/// Version 2 writes nothing of a batch in which it cannot parse a line.
#[test]
fn a_line_that_cannot_be_parsed_costs_no_other() {
    let stub = HttpStub::start(|_, request| match request.body.contains("routes,") {
        true => Reply::message(
            400,
            "{\"code\":\"invalid\",\"message\":\"unable to parse 'routes,': bad number\"}",
        ),
        false => Reply::status(204),
    });
    let mut daemon = daemon(&stub, LOGIN_V2);
    daemon.process.wait_for("the points without routes", |_| {
        (alarm_polls(&stub.accepted()) >= 3).then_some(())
    });
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("unable to parse"), "{}", finished.stderr);
    let accepted: std::collections::BTreeSet<String> =
        stub.accepted().iter().map(Line::key).collect();
    for line in lines::readings(&lines::read(&finished.stdout)) {
        let is_bad = line.measurement == "routes";
        assert_eq!(accepted.contains(&line.key()), !is_bad, "{}", line.key());
    }
}

/// A stand-in for InfluxDB 3, by the rules of its documentation: each line is written or refused by
/// itself, and those that are refused are listed.
#[test]
fn version_3_refuses_lines_by_itself_and_lists_them() {
    let stub = HttpStub::start(|_, request| {
        let query = request.target.split_once('?').map_or("", |(_, query)| query);
        let has = |part: &str| query.split('&').any(|one| one == part);
        if !request.target.starts_with("/api/v3/write_lp?") || !has("precision=nanosecond") {
            return Reply::message(400, "{\"error\":\"serde error\"}");
        }
        let refused: Vec<String> = request
            .body
            .lines()
            .enumerate()
            .filter(|(_, line)| line.contains("alarm"))
            .map(|(at, _)| {
                let number = at + 1;
                format!(
                    "{{\"original_line\":\"x\",\"line_number\":{number},\
                     \"error_message\":\"invalid column type for column 'v'\"}}"
                )
            })
            .collect();
        if refused.is_empty() {
            return Reply::status(204);
        }
        let list = refused.join(",");
        let error = "partial write of line protocol occurred";
        Reply::message(400, &format!("{{\"error\":\"{error}\",\"data\":[{list}]}}"))
    });
    let mut daemon = daemon(&stub, LOGIN_V3);
    daemon.process.wait_stderr("partial write of line protocol occurred: invalid column type");
    // What is refused is counted and never sent again; what is written is not sent twice.
    let bodies = stub.wait_requests("two writes", |requests| {
        (requests.len() >= 3).then(|| requests.iter().map(|r| r.body.clone()).collect::<Vec<_>>())
    });
    let finished = daemon.stop();
    let lines: Vec<&str> = bodies.iter().flat_map(|body| body.lines()).collect();
    let distinct: std::collections::BTreeSet<&&str> = lines.iter().collect();
    assert_eq!(lines.len(), distinct.len(), "a line was sent twice");
    assert!(finished.stderr.contains("refused"), "{}", finished.stderr);
}

#[test]
fn a_servers_words_cannot_flood_or_forge_the_log() {
    let words = format!("no\u{1b}[2J\r\nERROR forged line{}", "x".repeat(3_000_000));
    let stub = HttpStub::start(move |number, _| match number {
        0..2 => Reply::message(400, &words),
        _ => Reply::status(204),
    });
    let mut daemon = daemon(&stub, LOGIN_V1);
    daemon.process.wait_for("later points", |_| (alarm_polls(&stub.accepted()) >= 2).then_some(()));
    let finished = daemon.stop();
    assert!(finished.stderr.len() < 200_000, "{} bytes of log", finished.stderr.len());
    assert!(!finished.stderr.contains('\u{1b}'), "an escape sequence in the log");
    assert!(!finished.stderr.lines().any(|line| line.starts_with("ERROR forged")));
}

#[test]
fn a_redirect_takes_the_login_nowhere_else() {
    let other = HttpStub::accepting();
    let place = format!("{}/write", other.url());
    // The header's text has to live as long as the stub.
    let headers: &'static [(&str, &str)] = vec![("Location", place.leak() as &str)].leak();
    let stub = HttpStub::start(move |_, _| Reply::Answer(307, headers, String::new()));
    let mut daemon = daemon(&stub, LOGIN_V2);
    daemon.process.wait_stderr("307");
    daemon.stop();
    for request in other.requests() {
        assert!(!request.headers.contains_key("authorization"), "{request:?}");
    }
}
