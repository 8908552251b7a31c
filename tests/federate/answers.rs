//! Bad answers of Prometheus, and settings that are wrong.

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::http_stub::{HttpStub, Reply};
use crate::common::perijove::{run_with, whole_lines};
use crate::common::{now_ns, wait_for, wait_for_within};
use crate::{Federation, SECOND, ends, settings};

#[test]
fn bad_answers_are_said_write_nothing_and_the_next_window_catches_up() {
    let good = |now: i64| {
        let metric = "{\"direction\":\"ingress\",\"local_hostgroup\":\"web\",\
                      \"remote_hostgroup\":\"db\",\"remote_ip\":\"10.0.0.1\"}";
        let second = now / SECOND;
        // A stale or senseless sample costs that sample.
        let sample = |time: i64| match time - second {
            0 => format!("[{time},\"NaN\"]"),
            since => format!("[{time},\"{}\"]", 9_000_000 * (since + 60)),
        };
        let samples: Vec<String> = (second - 60..=second + 60).map(sample).collect();
        format!(
            "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[\
             {{\"metric\":{metric},\"values\":[{}]}}]}}}}",
            samples.join(",")
        )
    };
    let partial = move |now| good(now).replace("]}}", "]}, \"warnings\": [\"store x is down\"]}");
    type Bad = (&'static str, Box<dyn Fn() -> Reply + Send + Sync>);
    let bad: Vec<Bad> = vec![
        (
            "too many samples",
            Box::new(|| {
                let words = "query processing would load too many samples into memory";
                let error = "\"status\":\"error\",\"errorType\":\"execution\",\"error\"";
                Reply::message(422, &format!("{{{error}:\"{words}\"}}"))
            }),
        ),
        ("answered 503", Box::new(|| Reply::message(503, "<html>\n<h1>Unavailable</h1></html>"))),
        (
            "begins with `<html>`",
            Box::new(|| Reply::message(200, "<html>\n<h1>Log in</h1></html>")),
        ),
        ("store x is down", Box::new(move || Reply::message(200, &partial(now_ns())))),
        ("no answer within", Box::new(|| Reply::Hang)),
        (
            "cannot be read",
            Box::new(move || {
                let whole = good(now_ns());
                Reply::message(200, &whole[..whole.len() - 30])
            }),
        ),
        (
            "gives a scalar",
            Box::new(|| {
                let data = "{\"resultType\":\"scalar\",\"result\":[1,\"1\"]}";
                Reply::message(200, &format!("{{\"status\":\"success\",\"data\":{data}}}"))
            }),
        ),
        ("answered 401", Box::new(|| Reply::status(401))),
    ];
    std::thread::scope(|scope| {
        for (words, reply) in bad {
            scope.spawn(move || {
                let is_bad = Arc::new(AtomicBool::new(true));
                let flag = is_bad.clone();
                let stub = HttpStub::start(move |_, _| match flag.load(Ordering::Relaxed) {
                    true => reply(),
                    false => Reply::message(200, &good(now_ns())),
                });
                let settings = settings(&stub.url(), "")
                    .replace("timeout = \"5s\"", "timeout = \"1s\"\njobs = [\"traffic\"]");
                let mut federation = Federation::start(&settings);
                federation.process.wait_stderr(words);
                // More than one window's time passes.
                let said = now_ns();
                wait_for("more windows' ends", || (now_ns() > said + 6 * SECOND).then_some(()));
                assert_eq!(ends(&whole_lines(&federation.process.stdout()), "ingress").len(), 0);
                is_bad.store(false, Ordering::Relaxed);
                let found = federation.wait("windows", |lines| {
                    let found = ends(lines, "ingress");
                    (found.len() >= 4).then_some(found)
                });
                let first = *found.first().expect("a window");
                assert!(first <= said, "{words}: a window was left out");
                let finished = federation.stop();
                assert!(finished.stderr.contains("works again"), "{}", finished.stderr);
            });
        }
    });
}

#[test]
fn an_endless_answer_ends_at_its_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            let start = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n\
                         {\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[";
            let mut sent = connection.write_all(start.as_bytes());
            while sent.is_ok() {
                let name = "b".repeat(500);
                let series = format!("{{\"metric\":{{\"a\":\"{name}\"}},\"value\":[1,\"1\"]}},");
                let series = series.repeat(100);
                sent = connection.write_all(series.as_bytes());
            }
        }
    });
    let settings = settings(&url, "");
    let settings = settings
        .replace("[federate]\n", "[federate]\nanswer_bytes_max = \"20MB\"\n")
        .replace("timeout = \"5s\"", "timeout = \"10m\"");
    let federation = Federation::start(&settings);
    // Writer and reader take turns, which takes a busy machine more than a minute.
    wait_for_within(std::time::Duration::from_secs(600), "a refusal", || {
        federation.process.stderr().contains("longer than answer_bytes_max").then_some(())
    });
    let status = std::fs::read_to_string(format!("/proc/{}/status", federation.process.id()));
    let status = status.expect("a process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 32 * 1024, "{peak} kB were resident");
    federation.stop();
}

#[test]
fn wrong_settings_are_refused_by_line_and_key() {
    for (table, expected) in [
        ("[output.stdout]\n", "the settings have no [federate]"),
        ("[federate]\nevery = \"5s\"\n", "needs a url"),
        (
            "[federate]\nurl = \"http://h\"\ncron = \"* * * * *\"\n",
            ":3: federate.cron: `* * * * *`",
        ),
        ("[federate]\nurl = \"http://h\"\nevery = \"5s\"\ncron = \"@hourly\"\n", "either every or"),
        ("[federate]\nurl = \"http://h\"\njobs = [\"trafic\"]\n", "is not one of traffic, ebpf"),
        (
            "[federate]\nurl = \"http://h\"\n[federate.exclude]\nprefixes = [\"10.0.0.0/33\"]\n",
            "neither an address nor a prefix",
        ),
        (
            "[federate]\nurl = \"http://h\"\n[federate.exclude]\nnames = [\"(\"]\n",
            "not a regular expression",
        ),
        ("[federate]\nurl = \"http://h\"\njobs = []\n", "there is nothing to ask"),
        ("[federate]\nurl = \"http://h\"\ncatch_up_max = \"0s\"\n", "too short"),
        (
            "[federate]\nurl = \"http://h\"\n[[federate.query]]\nmeasurement = \"if-rate\"\n\
             field = \"x\"\nquery = \"up\"\n",
            "`if-rate` is no name",
        ),
        (
            "[federate]\nurl = \"http://h\"\n[[federate.query]]\nmeasurement = \"up\"\n\
             field = \"time\"\nquery = \"up\"\n",
            "`time` is no name",
        ),
        (
            "[federate]\nurl = \"http://h\"\njobs = []\n[[federate.query]]\n\
             measurement = \"upstream\"\nfield = \"x\"\nquery = \"up\"\n",
            "`upstream` is what one of the jobs writes",
        ),
        ("[federate]\nurl = \"http://h\"\noffest = \"1s\"\n", "did you mean `offset`?"),
    ] {
        let finished = run_with(table, &["federate"]);
        assert_eq!(finished.code, 2, "{table}: {}", finished.stderr);
        assert!(finished.stderr.contains(expected), "{table}: {}", finished.stderr);
    }
}
