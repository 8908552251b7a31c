//! Prometheus remote write, against the real receivers and one that has bad days.

mod common;

use common::http_stub::{HttpStub, Reply};
use common::lines::{self, Line};
use common::needs::skips;
use common::perijove::{Daemon, FAST, alarm_polls, local_router, run_with};
use common::prometheus::Prometheus;
use common::victoria_metrics::{Series, VictoriaMetrics};
use common::wait_for;

fn settings(url: &str, more: &str) -> String {
    format!(
        "collectors = [\"alarm\", \"interfaces\", \"route\"]\n{FAST}drain_timeout = \"50s\"\n{}\
         [output.stdout]\n[output.remote_write]\nurl = \"{url}/api/v1/write\"\n\
         flush_interval = \"100ms\"\n{more}",
        local_router("r1", "--interfaces 3")
    )
}

/// The numbers of a reading, by the names that Prometheus has for them.
fn numbers(line: &Line) -> Vec<(String, f64)> {
    let fields = line.fields.iter();
    let number = |(field, value): (&String, &lines::Value)| {
        Some((format!("junos_{}_{field}", line.measurement), value.number()?))
    };
    fields.filter_map(number).collect()
}

/// Polls, ends in good order, and holds every number that was printed against what has arrived.
fn everything_arrives(url: &str, arrived: impl Fn() -> Vec<Series>) {
    let mut daemon = Daemon::start(&settings(url, ""));
    daemon.wait_lines("polls", |lines| (alarm_polls(lines) >= 3).then_some(()));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let printed = lines::readings(&lines::read(&finished.stdout));
    let expected: usize = printed.iter().map(|line| numbers(line).len()).sum();
    // What junos_exporter says of itself is nothing that a router reported.
    let own = ["junos_up", "junos_collect_duration_seconds", "junos_collector_duration_seconds"];
    let reported = |series: &Series| !own.contains(&series.labels["__name__"].as_str());
    let series = wait_for("every sample", || {
        let series: Vec<Series> = arrived().into_iter().filter(reported).collect();
        (series.iter().map(|s| s.values.len()).sum::<usize>() >= expected).then_some(series)
    });
    assert_eq!(series.iter().map(|s| s.values.len()).sum::<usize>(), expected);
    for line in &printed {
        for (name, number) in numbers(line) {
            let found = series.iter().find(|series| {
                let label = |name: &str| series.labels.get(name).map_or("", String::as_str);
                let mut tags = line.tags.iter().filter(|(tag, _)| *tag != "host");
                label("__name__") == name
                    && label("target") == "r1"
                    && tags.all(|(tag, text)| label(tag) == text)
            });
            let series = found.unwrap_or_else(|| panic!("no series {name} for {line:?}"));
            let time = line.timestamp / 1_000_000;
            let sample = series.timestamps_ms.iter().position(|at| *at == time);
            let sample = sample.unwrap_or_else(|| panic!("no sample of {name} at {time}"));
            // VictoriaMetrics keeps about twelve digits of a number.
            let difference = (series.values[sample] - number).abs();
            assert!(difference <= number.abs() * 1e-12, "{name}: {number}");
        }
    }
    // What describes an interface is a label, as it is for whoever scrapes.
    let described = |series: &Series| series.labels.contains_key("description");
    assert!(series.iter().any(described), "no infos among the labels");
    let label = |series: &Series, name: &str| series.labels.get(name).cloned();
    assert!(series.iter().all(|s| label(s, "job").as_deref() == Some("perijove")));
    assert!(series.iter().all(|s| label(s, "instance").is_some()));
    let up = arrived().into_iter().find(|s| label(s, "__name__").as_deref() == Some("junos_up"));
    let up = up.expect("a series junos_up");
    assert_eq!((label(&up, "target").as_deref(), up.values.last()), (Some("r1"), Some(&1.0)));
}

#[test]
fn prometheus_gets_every_number() {
    if skips(&["prometheus"]) {
        return;
    }
    let prometheus = Prometheus::receiver();
    everything_arrives(&prometheus.url(), || prometheus.series("{__name__=~\"junos_.+\"}"));
}

#[test]
fn victoria_metrics_gets_every_number() {
    if skips(&["victoria-metrics"]) {
        return;
    }
    let victoria = VictoriaMetrics::start();
    everything_arrives(&victoria.url(), || victoria.series("junos_.*"));
}

#[test]
fn check_tells_a_receiver_from_a_prometheus_that_takes_no_writes() {
    if skips(&["prometheus"]) {
        return;
    }
    let receiver = Prometheus::receiver();
    let finished = run_with(&settings(&receiver.url(), ""), &["check"]);
    assert!(finished.stdout.contains("ok          output remote_write"), "{}", finished.stdout);
    let closed = Prometheus::start_with("scrape_configs: []\n", &[]);
    let finished = run_with(&settings(&closed.url(), ""), &["check"]);
    assert_eq!(finished.code, 1);
    assert!(finished.stdout.contains("--web.enable-remote-write-receiver"), "{}", finished.stdout);
}

#[test]
fn samples_that_are_too_old_are_dropped_and_counted_and_the_others_arrive() {
    let old = HttpStub::start(|number, _| match number {
        0..30 => Reply::message(400, "out of bounds\n"),
        30..40 => Reply::message(400, "out of order sample\n"),
        _ => Reply::status(204),
    });
    let mut daemon = Daemon::start(&settings(&old.url(), ""));
    daemon.process.wait_stderr("out of bounds");
    daemon.wait_lines("the count of dropped points", |lines| {
        let dropped =
            common::perijove::own(lines, ("output", "remote_write"), "dropped_points_total");
        dropped.filter(|count| *count > 0.0).map(drop)
    });
    old.wait_requests("requests that were taken", |requests| {
        (requests.iter().filter(|request| request.status == 204).count() > 3).then_some(())
    });
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    for request in old.requests() {
        let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
        assert_eq!(header("content-type"), "application/x-protobuf");
        assert_eq!(header("content-encoding"), "snappy");
        assert_eq!(header("x-prometheus-remote-write-version"), "0.1.0");
    }
}

#[test]
fn retry_after_is_honoured_and_nothing_is_lost() {
    if skips(&["prometheus"]) {
        return;
    }
    let prometheus = Prometheus::receiver();
    let proxy_url = prometheus.url();
    let stub = HttpStub::start(|number, _| match number {
        0 => Reply::Answer(429, &[("Retry-After", "2")], String::new()),
        1 => Reply::status(503),
        _ => Reply::status(204),
    });
    let mut daemon = Daemon::start(&settings(&stub.url(), "tenant = \"network\"\n"));
    let waited = stub.wait_requests("a second request", |requests| {
        (requests.len() > 2).then(|| requests[1].at - requests[0].at)
    });
    assert!(waited >= std::time::Duration::from_millis(1900), "asked again after {waited:?}");
    assert_eq!(stub.requests()[0].headers["x-scope-orgid"], "network");
    // The settings change the place; what waits goes there.
    daemon.reload(&settings(&proxy_url, ""));
    daemon.process.wait_stderr("read again");
    wait_for("samples", || (!prometheus.series("junos_alarms_red_count").is_empty()).then_some(()));
    assert_eq!(daemon.stop().code, 0);
}
