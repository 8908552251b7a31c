//! Federation, end to end: machines, a real Prometheus, and the real servers behind the outputs.
#![cfg(feature = "federation")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::broker::{self, Noida, Reader};
use common::fleet;
use common::http_stub::{HttpStub, Reply};
use common::influxd::Influxd;
use common::lines::{self, Line};
use common::needs::{PYTHON, skips};
use common::perijove::{perijove, run_with, whole_lines};
use common::process::{Finished, Process, run};
use common::prometheus::{Prometheus, scrape};
use common::schema::Schemas;
use common::temporary::Directory;
use common::victoria_metrics::{Series, VictoriaMetrics};
use common::{now_ns, wait_for, wait_for_within};

const SECOND: i64 = 1_000_000_000;

/// Settings for windows of two seconds, from this Prometheus.
fn settings(url: &str, more: &str) -> String {
    format!(
        "state_directory = \"DIRECTORY/state\"\nself_interval = \"500ms\"\n\
         drain_timeout = \"20s\"\n[federate]\nurl = \"{url}\"\nevery = \"2s\"\noffset = \"3s\"\n\
         timeout = \"5s\"\n[output.stdout]\n{more}"
    )
}

fn write(directory: &Directory, settings: &str) -> std::path::PathBuf {
    let path = directory.path().to_str().expect("a UTF-8 path");
    directory.write("perijove.toml", settings.replace("DIRECTORY", path))
}

struct Federation {
    process: Process,
    directory: Directory,
}

impl Federation {
    fn start(settings: &str) -> Federation {
        Federation::start_in(Directory::new(), settings)
    }

    fn start_in(directory: Directory, settings: &str) -> Federation {
        let file = write(&directory, settings);
        let mut command = perijove(&["federate", "--verbose", "--config"]);
        Federation { process: Process::start(command.arg(file)), directory }
    }

    fn reload(&self, settings: &str) {
        write(&self.directory, settings);
        self.process.signal("HUP");
    }

    fn wait<T>(&mut self, what: &str, probe: impl Fn(&[Line]) -> Option<T>) -> T {
        self.process.wait_for(what, |process| probe(&whole_lines(&process.stdout())))
    }

    fn stop(self) -> Finished {
        self.process.signal("TERM");
        let finished = self.process.finish();
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        finished
    }
}

/// The ends of the windows of a measurement's points.
fn ends(lines: &[Line], measurement: &str) -> BTreeSet<i64> {
    let of = lines.iter().filter(|line| line.measurement == measurement);
    of.map(|line| line.timestamp).collect()
}

fn has_windows(lines: &[Line], number: usize) -> Option<()> {
    let every = ["ingress", "egress", "ebpf_ingress", "upstream", "downstream"];
    every.iter().all(|name| ends(lines, name).len() >= number).then_some(())
}

/// The windows' bytes against the raw series between the first window's start and the last's end.
/// No window is missing.
fn sums_agree(printed: &[Line], raw: &[Series], window: i64) {
    sums_agree_with_gaps(printed, raw, window);
    for name in ["ingress", "egress"] {
        let times: Vec<i64> = ends(printed, name).into_iter().collect();
        let (first, last) = (times[0], times[times.len() - 1]);
        let windows: Vec<i64> = (first..=last).step_by(window as usize).collect();
        assert_eq!(times, windows, "a window of {name} is missing");
    }
}

/// The same where windows in a gap have nothing.
fn sums_agree_with_gaps(printed: &[Line], raw: &[Series], window: i64) {
    for (measurement, direction) in [("ingress", "ingress"), ("egress", "egress")] {
        for peer in ["db", "files"] {
            let rows = printed.iter().filter(|line| {
                line.measurement == measurement && line.tag("remote_service") == peer
            });
            let mut by_time = BTreeMap::new();
            for line in rows {
                let twice = by_time.insert(line.timestamp, line.number("bandwidth_bps"));
                assert_eq!(twice, None, "two rows of {peer} at {}", line.timestamp);
            }
            let (first, last) = (by_time.keys().min().unwrap(), by_time.keys().max().unwrap());
            let bytes: f64 = by_time.values().sum::<f64>() * (window / SECOND) as f64 / 8.0;
            let label = |series: &Series, name: &str| series.labels[name].clone();
            let of_peer = raw.iter().filter(|series| {
                label(series, "remote_hostgroup") == peer && label(series, "direction") == direction
            });
            let (from, to) = ((first - window) / 1_000_000, last / 1_000_000);
            let expected: f64 = of_peer.map(|s| s.grown(from as f64, to as f64)).sum();
            assert!(expected > 0.0);
            let difference = (bytes - expected).abs();
            assert!(difference < expected * 1e-6, "{measurement} {peer}: {bytes} {expected}");
        }
    }
}

/// The rows are those that planet-federator makes, and nothing that is to be left out is there.
fn rows_are_right(printed: &[Line]) {
    let set = |measurement: &str, tags: &[&str]| -> BTreeSet<String> {
        let of = printed.iter().filter(|line| line.measurement == measurement);
        of.map(|line| {
            let names: BTreeSet<&str> = line.tags.keys().map(String::as_str).collect();
            assert!(names.iter().all(|name| tags.contains(name)), "{line:?}");
            tags.iter().map(|tag| line.tag(tag)).collect::<Vec<_>>().join(" | ")
        })
        .collect()
    };
    let traffic = ["service", "address", "remote_service", "remote_address"];
    let expected =
        ["web | web.example | db | db.example", "web | web.example | files | front \"x\".example"];
    for name in ["ingress", "egress", "ebpf_ingress", "ebpf_egress"] {
        assert_eq!(set(name, &traffic), expected.map(String::from).into(), "{name}");
    }
    let tags = [
        "service",
        "address",
        "upstream_service",
        "upstream_address",
        "upstream_port",
        "process_name",
        "protocol",
    ];
    let expected = [
        "web | web.example | db | db.example | 5432 | app | tcp",
        "web | web.example | log | log.example | 6515 | rsyslogd | tcp",
        "web | web.example | log | log.example | 6516 | rsyslogd | tcp",
    ];
    assert_eq!(set("upstream", &tags), expected.map(String::from).into());
    let tags = [
        "service",
        "address",
        "port",
        "process_name",
        "downstream_service",
        "downstream_address",
        "protocol",
    ];
    let expected = [
        "web | web.example | 5432 | app | db | db.example | tcp",
        "web | web.example | 6515 | rsyslogd | log | log.example | tcp",
        "web | web.example | 6516 | rsyslogd | log | log.example | tcp",
    ];
    assert_eq!(set("downstream", &tags), expected.map(String::from).into());
}

#[test]
fn a_fleet_arrives_everywhere_and_the_sums_agree_with_the_raw_series() {
    if skips(&["influxd", "prometheus", PYTHON]) {
        return;
    }
    let machines = fleet::exporters();
    let ports = [machines[0].port, machines[1].port];
    let source = Prometheus::start_with(&scrape("1s", &ports, ""), &[]);
    let (influxd, receiver, noida) = (Influxd::start(), Prometheus::receiver(), Noida::start());
    let mut reader = Reader::new(&noida.brokers(), &[]);
    let more = format!(
        "{}[output.remote_write]\nurl = \"{}/api/v1/write\"\n{}\
         [output.prometheus]\nlisten = \"127.0.0.1:{}\"\n",
        influxd.output(),
        receiver.url(),
        broker::output(&noida.brokers()),
        common::free_port(),
    );
    let mut federation = Federation::start(&settings(&source.url(), &more));
    federation.wait("windows", |lines| has_windows(lines, 6));
    let finished = federation.stop();
    let printed = lines::readings(&lines::read(&finished.stdout));
    let raw = source.series("planet_traffic_bytes_total{remote_hostgroup!=\"\"}");
    let raw: Vec<Series> =
        raw.into_iter().filter(|series| series.labels["remote_hostgroup"] != "cloud").collect();
    rows_are_right(&printed);
    // The first window may reach back to before the first scrape.
    let ingress = ends(&printed, "ingress");
    let second = *ingress.iter().nth(1).expect("windows");
    let whole: Vec<Line> = printed.iter().filter(|l| l.timestamp > second).cloned().collect();
    sums_agree(&whole, &raw, 2 * SECOND);

    // InfluxDB has the very points, and the dashboards' queries give sensible rows.
    let stored = lines::readings(&influxd.points());
    let keys = |lines: &[Line]| lines.iter().map(Line::key).collect::<BTreeSet<_>>();
    assert_eq!(keys(&stored), keys(&printed));
    dashboards_work(&influxd, &printed);

    // Prometheus has them under its names, in milliseconds.
    let samples = |name: &str| {
        let series = receiver.series(name);
        series.iter().map(|series| series.values.len()).sum::<usize>()
    };
    for (name, measurement) in [
        ("planet_ingress_bandwidth_bps", "ingress"),
        ("planet_ebpf_egress_bandwidth_bps", "ebpf_egress"),
        ("planet_upstream_service_dependency", "upstream"),
    ] {
        let expected = printed.iter().filter(|line| line.measurement == measurement).count();
        wait_for(name, || (samples(name) >= expected).then_some(()));
        assert_eq!(samples(name), expected, "{name}");
    }

    // Kafka has a record of each, as the schema says.
    let records = reader.read();
    let schemas = Schemas::printed();
    let of = |topic: &str| records.iter().filter(|record| record.topic == topic).count();
    records.iter().for_each(|record| _ = schemas.check(&record.value));
    let upstream = printed.iter().filter(|line| line.measurement == "upstream").count();
    assert_eq!(of("upstream"), upstream);
}

/// The statements of planet-federator's example dashboards.
fn dashboards_work(influxd: &Influxd, printed: &[Line]) {
    let rows = influxd.query(
        "SELECT SUM(\"bandwidth_bps\") FROM \"ingress\" WHERE \"service\" = 'web' AND \
         time > now() - 1h GROUP BY time(1h), \"service\", \"remote_service\", \
         \"remote_address\" fill(none)",
    );
    assert_eq!(rows.len(), 2, "{rows:?}");
    let sum = |of: &str| -> f64 {
        let of = printed.iter().filter(|line| line.tag("remote_service") == of);
        let ingress = of.filter(|line| line.measurement == "ingress");
        ingress.map(|line| line.number("bandwidth_bps")).sum()
    };
    for series in &rows {
        let peer = series["tags"]["remote_service"].as_str().expect("a tag");
        let values = series["values"].as_array().expect("rows").iter();
        let total: f64 = values.filter_map(|row| row[1].as_f64()).sum();
        assert!((total - sum(peer)).abs() < 1e-6 * total, "{peer}: {total} {}", sum(peer));
    }
    for (measurement, peer, port) in
        [("upstream", "upstream", "upstream_port"), ("downstream", "downstream", "port")]
    {
        let rows = influxd.query(&format!(
            "SELECT SUM(\"service_dependency\") FROM \"{measurement}\" WHERE \"service\" = 'web' \
             AND time > now() - 7d GROUP BY \"{peer}_service\", \"{peer}_address\", \
             \"process_name\", \"{port}\", \"protocol\""
        ));
        assert_eq!(rows.len(), 3, "{rows:?}");
        let counted = |row: &serde_json::Value| row["values"][0][1].as_f64().expect("a sum");
        let total: f64 = rows.iter().map(counted).sum();
        let lines = printed.iter().filter(|line| line.measurement == measurement).count();
        assert_eq!(total as usize, lines);
    }
}

#[test]
fn victoria_metrics_takes_them_both_ways() {
    if skips(&["prometheus", "victoria-metrics"]) {
        return;
    }
    let machines = fleet::exporters();
    let ports = [machines[0].port, machines[1].port];
    let source = Prometheus::start_with(&scrape("1s", &ports, ""), &[]);
    let victoria = VictoriaMetrics::start();
    let url = victoria.url();
    let more = format!(
        "[output.influxdb]\nurl = \"{url}\"\nversion = 2\norg = \"o\"\nbucket = \"b\"\n\
         [output.remote_write]\nurl = \"{url}/api/v1/write\"\n"
    );
    let mut federation = Federation::start(&settings(&source.url(), &more));
    federation.wait("windows", |lines| has_windows(lines, 2));
    let printed = lines::readings(&lines::read(&federation.stop().stdout));
    let rows = printed.iter().filter(|line| line.measurement == "ingress").count();
    for name in ["ingress_bandwidth_bps", "planet_ingress_bandwidth_bps"] {
        let count = || victoria.series(name).iter().map(|s| s.values.len()).sum::<usize>();
        wait_for(name, || (count() >= rows).then_some(()));
        assert_eq!(count(), rows);
    }
}

/// Half an hour of the two machines, scraped that often, until two minutes ago.
fn history(interval: i64) -> (Prometheus, i64) {
    history_where(interval, |_, _| true)
}

/// The same without the scrapes for which `is_there` is false, by machine and seconds.
fn history_where(interval: i64, is_there: impl Fn(u32, i64) -> bool) -> (Prometheus, i64) {
    let end = now_ns() / SECOND / 60 * 60 - 120;
    let mut samples: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for time in (end - 1800..=end).step_by(interval as usize) {
        for machine in [1, 2].into_iter().filter(|machine| is_there(*machine, time - end + 1800)) {
            // Each machine is scraped at a phase of its own.
            let time = time + i64::from(machine) * 7 % interval;
            let seconds = (time - end + 1800) as f64;
            for line in fleet::exposition(machine, seconds).lines() {
                let (series, value) = line.rsplit_once(' ').expect("a sample");
                let series = series.replace('{', &format!("{{instance=\"m{machine}\","));
                let family = series.split('{').next().expect("a name").to_string();
                samples.entry(family).or_default().push(format!("{series} {value} {time}"));
            }
        }
    }
    let families = samples.iter().map(|(name, lines)| {
        let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
        let family = name.trim_end_matches("_total");
        format!("# TYPE {family} {kind}\n{}\n", lines.join("\n"))
    });
    let text: String = families.collect::<String>() + "# EOF\n";
    (Prometheus::with_history(&text), end)
}

/// Settings for windows of half a minute, for what was scraped once a minute.
fn slow_settings(url: &str, more: &str) -> String {
    settings(url, more).replace("\"2s\"", "\"30s\"").replace("\"3s\"", "\"75s\"")
}

/// What an earlier run would have noted.
fn note(directory: &Directory, output: &str, time_s: i64) {
    let jobs = ["traffic", "ebpf_traffic", "upstream", "downstream", "one_sided"];
    let progress = jobs.map(|job| format!("{job} {output} {}\n", time_s * 1000)).concat();
    std::fs::create_dir_all(directory.join("state")).expect("a directory");
    directory.write("state/federate.progress", progress);
}

fn run_once(directory: &Directory, settings: &str) -> Finished {
    let file = write(directory, settings);
    run(perijove(&["federate", "--once", "--config"]).arg(file))
}

/// `perijove federate --once` from that time on; what it prints.
fn once_from(directory: &Directory, url: &str, from_s: i64) -> Finished {
    note(directory, "stdout", from_s);
    run_once(directory, &slow_settings(url, ""))
}

#[test]
fn a_scrape_interval_of_a_minute_loses_nothing_and_the_same_windows_are_the_same_points() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    let (source, end) = history(60);
    let directory = Directory::new();
    let begin = end - 1500;
    let once = once_from(&directory, &source.url(), begin);
    assert_eq!(once.code, 0, "{}", once.stderr);
    let printed = lines::read(&once.stdout);
    rows_are_right(&printed);
    let raw = source.series("planet_traffic_bytes_total{remote_hostgroup!=\"\"}");
    let raw: Vec<Series> =
        raw.into_iter().filter(|series| series.labels["remote_hostgroup"] != "cloud").collect();
    let within: Vec<Line> =
        printed.iter().filter(|line| line.timestamp <= end * SECOND).cloned().collect();
    assert!(ends(&within, "ingress").len() >= 49, "{}", ends(&within, "ingress").len());
    sums_agree(&within, &raw, 30 * SECOND);
    // Whenever a dependency was seen, the window has it.
    let seen = source.series("planet_upstream{port=\"5432\",remote_address=\"db.example\"}");
    let rows = ends(&printed, "upstream");
    for time in seen.iter().flat_map(|series| &series.timestamps_ms) {
        let window = (time + 29_999) / 30_000 * 30_000 * 1_000_000;
        let due = *time > begin * 1000;
        assert!(!due || rows.contains(&window), "what was seen at {time} is in no window");
    }
    // The same again: the same points, whatever their order.
    let again = once_from(&directory, &source.url(), begin);
    let sorted = |text: &str| text.lines().map(str::to_string).collect::<BTreeSet<_>>();
    let (first, again) = (sorted(&once.stdout), sorted(&again.stdout));
    assert!(first.is_subset(&again), "a second run gives other points");
    // It remembers, and has nothing to write until the next window's end.
    let progress = std::fs::read_to_string(directory.join("state/federate.progress")).unwrap();
    assert_eq!(progress.lines().count(), 5, "{progress}");
    assert!(!progress.contains(&format!(" {begin}000")), "nothing was noted: {progress}");
}

/// Prometheus was away for three minutes, and scrapes of one machine failed: all that its counters
/// grew by meanwhile is in the windows.
#[test]
fn what_grew_in_a_gap_is_kept() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    for (interval, gap_max) in [(15, "1h"), (60, "1h"), (60, "4m")] {
        let (source, end) = history_where(interval, |machine, second| {
            let away = (300..480).contains(&second);
            let missed = machine == 2 && [720, 1200, 1260].contains(&(second / 60 * 60));
            !away && !missed
        });
        let directory = Directory::new();
        note(&directory, "stdout", end - 1650);
        let settings = slow_settings(&source.url(), "")
            .replace("[federate]", &format!("[federate]\ngap_max = \"{gap_max}\""))
            + "[federate.exclude]\nbandwidth_min = 0.0\n";
        let once = run_once(&directory, &settings);
        assert_eq!(once.code, 0, "{}", once.stderr);
        let printed = lines::read(&once.stdout);
        let raw = source.series("planet_traffic_bytes_total{remote_hostgroup=~\"db|files\"}");
        let within: Vec<Line> =
            printed.iter().filter(|line| line.timestamp <= end * SECOND).cloned().collect();
        assert!(ends(&within, "ingress").len() > 40, "{interval}");
        sums_agree_with_gaps(&within, &raw, 30 * SECOND);
    }
    // A gap that is longer than `gap_max` has no end that is known, and nothing is made up.
    let (source, end) = history_where(15, |_, second| !(300..1200).contains(&second));
    let directory = Directory::new();
    note(&directory, "stdout", end - 1650);
    let settings =
        slow_settings(&source.url(), "").replace("[federate]", "[federate]\ngap_max = \"5m\"");
    let once = run_once(&directory, &settings);
    assert_eq!(once.code, 0, "{}", once.stderr);
    let raw =
        source.series("planet_traffic_bytes_total{remote_hostgroup=\"db\",direction=\"ingress\"}");
    let grown = |from: i64, to: i64| -> f64 {
        raw.iter().map(|series| series.grown(from as f64 * 1e3, to as f64 * 1e3)).sum()
    };
    let printed = lines::read(&once.stdout);
    let rows = printed.iter().filter(|line| {
        line.measurement == "ingress"
            && line.tag("remote_service") == "db"
            && line.timestamp <= end * SECOND
    });
    let bytes = rows.map(|line| line.number("bandwidth_bps")).sum::<f64>() * 30.0 / 8.0;
    let (all, gap) = (grown(end - 1650, end), grown(end - 1500, end - 600));
    assert!(bytes < all - gap * 0.95 && bytes > all - gap * 1.05, "{bytes} {all} {gap}");
}

/// A scrape configuration with two jobs has each series twice; the bytes are there once.
#[test]
fn an_exporter_that_two_jobs_scrape_counts_once() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    let start = now_ns() / SECOND / 60 * 60 - 1800;
    let mut samples = String::from("# TYPE planet_traffic_bytes counter\n");
    for time in (start..start + 1700).step_by(15) {
        for job in ["a", "b"] {
            samples += &format!(
                "planet_traffic_bytes_total{{job=\"{job}\",instance=\"m1\",direction=\"ingress\",\
                 local_hostgroup=\"web\",remote_hostgroup=\"db\",remote_ip=\"10.0.0.1\"}} \
                 {} {time}\n",
                (time - start) * 1000
            );
        }
    }
    let source = Prometheus::with_history(&(samples + "# EOF\n"));
    let directory = Directory::new();
    let once = once_from(&directory, &source.url(), start + 300);
    assert_eq!(once.code, 0, "{}", once.stderr);
    let printed = lines::read(&once.stdout);
    let bits: BTreeSet<i64> = printed
        .iter()
        .filter(|line| line.measurement == "ingress" && line.timestamp < (start + 1500) * SECOND)
        .map(|line| line.number("bandwidth_bps").round() as i64)
        .collect();
    assert_eq!(bits, [8000].into(), "{printed:?}");
}

/// `web` asks `db`, which says so too, and an exporter that does not see it; the partner has none.
#[test]
fn dependencies_that_only_one_end_reports_are_said() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    let end = now_ns() / SECOND / 300 * 300 - 300;
    let mut families = ["planet_upstream", "planet_downstream"]
        .map(|name| (name, format!("# TYPE {name} gauge\n")));
    let rows = [
        (0, "web", "w1", "db", "d1", "5432"),
        (1, "db", "d1", "web", "w1", "5432"),
        (0, "web", "w1", "db", "d1", "5433"),
        (0, "web", "w1", "partner", "p1", "443"),
        (1, "db", "d1", "office", "o1", "5432"),
        // A port that is left out.
        (0, "web", "w1", "db", "d1", "22"),
    ];
    for time in (end - 600..=end).step_by(60) {
        for (family, group, name, remote_group, remote, port) in rows {
            let (metric, text) = &mut families[family];
            *text += &format!(
                "{metric}{{local_hostgroup=\"{group}\",local_address=\"{name}\",\
                 remote_hostgroup=\"{remote_group}\",remote_address=\"{remote}\",\
                 port=\"{port}\",protocol=\"tcp\",process_name=\"\"}} 1 {time}\n"
            );
        }
    }
    let text: String = families.iter().map(|(_, text)| text.as_str()).collect();
    let source = Prometheus::with_history(&(text + "# EOF\n"));
    let directory = Directory::new();
    let once = once_from(&directory, &source.url(), end - 90);
    assert_eq!(once.code, 0, "{}", once.stderr);
    let printed = lines::read(&once.stdout);
    let tags = ["service", "address", "remote_service", "remote_address", "port", "end", "reason"];
    let row = |line: &Line| tags.map(|tag| line.tag(tag)).join(" ");
    let found: BTreeSet<String> =
        printed.iter().filter(|line| line.measurement == "one_sided").map(row).collect();
    let expected = [
        "web w1 db d1 5433 upstream not_seen",
        "web w1 partner p1 443 upstream no_exporter",
        "db d1 office o1 5432 downstream no_exporter",
    ];
    assert_eq!(found, expected.map(String::from).into());
    // Every five minutes, however short windows are.
    let times = ends(&printed, "one_sided");
    assert!(times.contains(&(end * SECOND)) && times.len() <= 2, "{times:?}");
}

#[test]
fn a_larger_offset_makes_no_finished_window_undone() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    let (source, end) = history(60);
    let directory = Directory::new();
    let once = once_from(&directory, &source.url(), end - 300);
    assert_eq!(once.code, 0, "{}", once.stderr);
    let noted = || std::fs::read_to_string(directory.join("state/federate.progress")).unwrap();
    let before = noted();
    let settings = slow_settings(&source.url(), "").replace("\"75s\"", "\"200s\"");
    let again = run_once(&directory, &settings);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{}", again.stderr);
    assert_eq!(noted(), before);
}

#[test]
fn what_is_cut_into_parts_waits_for_the_tick() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    let (source, end) = history(60);
    let directory = Directory::new();
    note(&directory, "stdout", end - 1500);
    let settings = settings(&source.url(), "")
        .replace("\"2s\"", "\"7m\"\nwindow_max = \"1m\"")
        .replace("\"3s\"", "\"75s\"");
    let once = run_once(&directory, &settings);
    assert_eq!(once.code, 0, "{}", once.stderr);
    let found = ends(&lines::read(&once.stdout), "ingress");
    assert_eq!(found.last().expect("windows") % (420 * SECOND), 0, "{found:?}");
    assert!(found.len() > 10, "{found:?}");
}

#[test]
fn once_waits_for_an_output_that_is_slower_than_prometheus() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    let (source, end) = history(60);
    let directory = Directory::new();
    note(&directory, "influxdb", end - 600);
    let stub = HttpStub::start(|_, _| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        Reply::status(204)
    });
    let output =
        format!("[output.influxdb]\nurl = \"{}\"\nqueue_bytes_max = \"4kB\"\n", stub.url());
    let once = run_once(&directory, &slow_settings(&source.url(), &output));
    assert_eq!(once.code, 0, "{}", once.stderr);
    let found = ends(&stub.accepted(), "ingress");
    let all: Vec<i64> = (end - 600..=end).step_by(30).skip(1).map(|end| end * SECOND).collect();
    assert!(all.iter().filter(|end| found.contains(end)).count() + 1 >= all.len(), "{found:?}");
    // One that is away for good is waited for as long as the settings say.
    note(&directory, "influxdb", end - 600);
    let away = slow_settings(&source.url(), &output.replace(&stub.url(), "http://127.0.0.1:1"));
    let once =
        run_once(&directory, &away.replace("drain_timeout = \"20s\"", "drain_timeout = \"1s\""));
    assert_eq!(once.code, 1, "{}", once.stderr);
    assert!(once.stderr.contains("not everything was delivered"), "{}", once.stderr);
}

#[test]
fn a_kill_between_query_and_write_loses_no_window() {
    if skips(&["prometheus"]) {
        return;
    }
    let machines = fleet::exporters();
    let ports = [machines[0].port, machines[1].port];
    let source = Prometheus::start_with(&scrape("1s", &ports, ""), &[]);
    let hangs = Arc::new(AtomicBool::new(false));
    let flag = hangs.clone();
    let stub = HttpStub::start(move |_, _| match flag.load(Ordering::Relaxed) {
        true => Reply::Hang,
        false => Reply::status(204),
    });
    let output = format!("[output.influxdb]\nurl = \"{}\"\ntimeout = \"60s\"\n", stub.url());
    let settings = settings(&source.url(), &output);
    let mut federation = Federation::start(&settings);
    federation.process.wait_for("windows", |_| has_windows(&stub.accepted(), 2));
    hangs.store(true, Ordering::Relaxed);
    let before = federation.wait("the last windows", |lines| lines.last().map(|l| l.timestamp));
    federation.wait("windows that hang", |lines| {
        (lines.last()?.timestamp > before + 4 * SECOND).then_some(())
    });
    federation.process.kill();
    hangs.store(false, Ordering::Relaxed);
    let Federation { directory, .. } = federation;
    let mut federation = Federation::start_in(directory, &settings);
    let so_far = ends(&stub.accepted(), "ingress").len();
    federation.process.wait_for("windows after", |_| has_windows(&stub.accepted(), so_far + 4));
    federation.stop();
    for measurement in ["ingress", "egress", "ebpf_ingress", "upstream", "downstream"] {
        let found: Vec<i64> = ends(&stub.accepted(), measurement).into_iter().collect();
        let (first, last) = (found[0], found[found.len() - 1]);
        let all: Vec<i64> = (first..=last).step_by(2 * SECOND as usize).collect();
        assert_eq!(found, all, "{measurement}: a window is missing");
    }
}

#[test]
fn an_output_that_is_down_stops_no_other_and_is_caught_up() {
    if skips(&["influxd", "prometheus"]) {
        return;
    }
    let machines = fleet::exporters();
    let ports = [machines[0].port, machines[1].port];
    let source = Prometheus::start_with(&scrape("1s", &ports, ""), &[]);
    let mut influxd = Influxd::start();
    let output = format!("{}queue_bytes_max = \"8kB\"\n", influxd.output());
    let mut federation = Federation::start(&settings(&source.url(), &output));
    federation.wait("a window", |lines| has_windows(lines, 1));
    influxd.stop();
    let down = federation.wait("windows", |lines| lines.last().map(|line| line.timestamp));
    federation.wait("windows meanwhile", |lines| {
        (lines.last()?.timestamp >= down + 10 * SECOND).then_some(())
    });
    influxd.start_again();
    let printed = federation.wait("windows after", |lines| {
        let last = *ends(lines, "upstream").last()?;
        (last >= down + 16 * SECOND).then(|| ends(lines, "upstream"))
    });
    wait_for("the windows of the outage", || {
        printed.is_subset(&ends(&influxd.points(), "upstream")).then_some(())
    });
    federation.stop();
}

/// Until when a job's windows are noted as done for InfluxDB, in nanoseconds.
fn noted(directory: &Directory, job: &str) -> Option<i64> {
    let text = std::fs::read_to_string(directory.join("state/federate.progress")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{job} influxdb ")))?;
    Some(line.parse::<i64>().ok()? * 1_000_000)
}

#[test]
fn what_is_in_the_spool_is_done_and_needs_no_prometheus() {
    if skips(&["influxd", "prometheus"]) {
        return;
    }
    let machines = fleet::exporters();
    let ports = [machines[0].port, machines[1].port];
    let source = Prometheus::start_with(&scrape("1s", &ports, ""), &[]);
    let mut influxd = Influxd::start();
    influxd.stop();
    let spool = "[spool]\ndirectory = \"DIRECTORY/spool\"\nsync_interval = \"200ms\"\n";
    let settings = settings(&source.url(), &format!("{}{spool}", influxd.output()));
    let mut federation = Federation::start(&settings);
    federation.wait("windows", |lines| has_windows(lines, 3));
    let Federation { mut process, directory } = federation;
    let printed = whole_lines(&process.stdout());
    let last = *ends(&printed, "upstream").last().expect("windows");
    wait_for("the windows in the spool are noted", || {
        (noted(&directory, "upstream")? >= last).then_some(())
    });
    process.kill();
    drop((source, machines));
    influxd.start_again();
    let mut federation = Federation::start_in(directory, &settings);
    let expected: BTreeSet<i64> =
        ends(&printed, "upstream").into_iter().filter(|end| *end <= last).collect();
    wait_for("the windows of the spool", || {
        expected.is_subset(&ends(&influxd.points(), "upstream")).then_some(())
    });
    // And it was the spool that had them.
    federation.process.wait_stderr("the window is tried again");
    federation.stop();
}

#[test]
fn other_settings_take_over_where_the_old_ones_were() {
    if skips(&["influxd", "prometheus"]) {
        return;
    }
    let machines = fleet::exporters();
    let ports = [machines[0].port, machines[1].port];
    let source = Prometheus::start_with(&scrape("1s", &ports, ""), &[]);
    let influxd = Influxd::start();
    let before = settings(&source.url(), &influxd.output());
    let mut federation = Federation::start(&before);
    federation.process.wait_for("windows", |_| has_windows(&influxd.points(), 2));
    // What cannot be changes nothing.
    federation.reload(&before.replace("every = \"2s\"", "every = \"2\""));
    federation.process.wait_stderr("the old settings stay in use");
    let so_far = ends(&influxd.points(), "upstream").len();
    let now = |number| has_windows(&influxd.points(), number);
    federation.process.wait_for("windows as before", |_| now(so_far + 1));
    federation.reload(&before.replace("every = \"2s\"", "every = \"1s\""));
    federation.process.wait_stderr("the settings were read again");
    let so_far = ends(&influxd.points(), "upstream").len();
    federation.process.wait_for("windows of the other length", |_| now(so_far + 4));
    federation.stop();
    let found: Vec<i64> = ends(&influxd.points(), "upstream").into_iter().collect();
    let steps: Vec<i64> = found.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let change = steps.iter().position(|step| *step == SECOND).expect("a shorter window");
    assert!(change > 0 && steps[..change].iter().all(|step| *step == 2 * SECOND), "{steps:?}");
    assert!(steps[change..].iter().all(|step| *step == SECOND), "{steps:?}");
}

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
fn other_series_become_points_if_asked_for() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    let (source, end) = history(60);
    let directory = Directory::new();
    let query = "jobs = []\n[[federate.query]]\nmeasurement = \"junos_rate\"\nfield = \"bps\"\n\
                 query = 'label_replace(label_replace(sum by (instance) (rate(\
                 planet_traffic_bytes_total{window_}[2m])) * 8, \"host\", \"h\", \"\", \"\"), \
                 \"time\", \"t\", \"\", \"\")'\n\
                 [[federate.query]]\nmeasurement = \"seen\"\nfield = \"count\"\n\
                 query = 'sum(count_over_time(planet_upstream[{window}]))'\n";
    let query = query.replace("{window_}", "{direction=\"ingress\"}");
    std::fs::create_dir_all(directory.join("state")).expect("a directory");
    let progress = format!("junos_rate.bps stdout {0}000\nseen.count stdout {0}000\n", end - 300);
    directory.write("state/federate.progress", progress);
    let settings = settings(&source.url(), "")
        .replace("every = \"2s\"\n", "every = \"60s\"\n")
        .replace("timeout = \"5s\"\n", &format!("timeout = \"5s\"\n{query}"));
    let file = write(&directory, &settings);
    let once = run(perijove(&["federate", "--once", "--config"]).arg(file));
    assert_eq!(once.code, 0, "{}", once.stderr);
    let printed = lines::read(&once.stdout);
    let instances: BTreeSet<&str> = printed
        .iter()
        .filter(|line| line.measurement == "junos_rate" && line.number("bps") > 0.0)
        .map(|line| {
            // No label is lost, and InfluxDB would refuse a tag `time`.
            assert_eq!((line.tag("host"), line.tag("exported_time")), ("h", "t"), "{line:?}");
            line.tag("instance")
        })
        .collect();
    assert_eq!(instances, ["m1", "m2"].into());
    // Ten series, once a minute.
    let seen = printed.iter().filter(|line| line.measurement == "seen");
    assert!(seen.clone().count() >= 4 && seen.clone().all(|line| line.number("count") >= 10.0));
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

/// perijove itself as the exporter: a machine, its inventory and its darkstat.
fn exporter(number: u32, machine: &fleet::Machine, inventory: &str, peer: &str) -> Exporter {
    let (begun, peer) = (std::time::Instant::now(), peer.to_string());
    let darkstat = HttpStub::start(move |_, _| {
        let bytes = |rate: f64| (begun.elapsed().as_secs_f64() * rate) as u64 + 1000;
        Reply::message(
            200,
            &format!(
                "# TYPE host_bytes_total counter\n\
                 host_bytes_total{{interface=\"e\",ip=\"{peer}\",dir=\"out\"}} {}\n\
                 host_bytes_total{{interface=\"e\",ip=\"{peer}\",dir=\"in\"}} {}\n",
                bytes(90_000.0),
                bytes(30_000.0)
            ),
        )
    });
    let port = common::free_port();
    let here = machine.directory.path().display();
    let inventory = machine.directory.write("inventory.json", inventory);
    let settings = format!(
        "[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\nexpire_intervals = 1000\n\
         [dependency]\n\
         name = \"m{number}\"\naddress = \"10.9.0.{number}\"\n\
         [dependency.sockets]\nproc = \"{here}/proc\"\ninterval = \"300ms\"\n\
         [dependency.inventory]\nfile = \"{}\"\n\
         [dependency.darkstat]\nurl = \"{}\"\ninterval = \"300ms\"\n",
        inventory.display(),
        darkstat.url(),
    );
    let file = machine.directory.write("perijove.toml", settings);
    let process = Process::start(perijove(&["run", "--config"]).arg(file));
    Exporter { port, _process: process, _darkstat: darkstat }
}

struct Exporter {
    port: u16,
    _process: Process,
    _darkstat: HttpStub,
}

fn inventory(entries: &[(&str, &str, &str)]) -> String {
    let entry = |known: &(&str, &str, &str)| {
        let (address, domain, hostgroup) = known;
        serde_json::json!({"ip_address": address, "domain": domain, "hostgroup": hostgroup})
    };
    serde_json::Value::from(entries.iter().map(entry).collect::<Vec<_>>()).to_string()
}

#[test]
fn what_two_exporters_say_of_their_machines_is_rolled_up() {
    if skips(&["prometheus"]) {
        return;
    }
    // A web server and its database; each machine has an inventory of its own.
    let web = fleet::Machine::new()
        .process("app", &[("10.9.0.1:40000", "10.9.0.2:5432"), ("10.9.0.1:40001", "10.9.0.2:5432")])
        .process("nginx", &[("0.0.0.0:443", ""), ("10.9.0.1:443", "10.9.7.7:50000")])
        .process("sshd", &[("0.0.0.0:22", ""), ("10.9.0.1:22", "10.9.7.7:50001")]);
    let db = fleet::Machine::new().process(
        "postgres",
        &[
            ("0.0.0.0:5432", ""),
            ("10.9.0.2:5432", "10.9.0.1:40000"),
            ("10.9.0.2:5432", "10.9.0.1:40001"),
        ],
    );
    let known = [
        ("10.9.0.1", "web-1.example", "web"),
        ("10.9.0.2", "db-1.example", "db"),
        ("10.9.7.0/24", "office.example", "office"),
    ];
    let exporters = [
        exporter(1, &web, &inventory(&known), "10.9.0.2"),
        exporter(2, &db, &inventory(&known[..2]), "10.9.0.1"),
    ];
    let ports = exporters.each_ref().map(|exporter| exporter.port);
    let source = Prometheus::start_with(&scrape("1s", &ports, ""), &[]);
    let mut federation = Federation::start(&settings(&source.url(), ""));
    federation.wait("windows", |lines| {
        let every = ["ingress", "egress", "upstream", "downstream"];
        every.iter().all(|name| ends(lines, name).len() >= 7).then_some(())
    });
    let printed = lines::readings(&lines::read(&federation.stop().stdout));
    let rows = |measurement: &str| -> BTreeSet<String> {
        let of = printed.iter().filter(|line| line.measurement == measurement);
        let tags = |line: &Line| line.tags.values().cloned().collect::<Vec<_>>().join(" ");
        of.map(tags).collect()
    };
    let expected = |rows: &[&str]| rows.iter().map(|row| row.to_string()).collect::<BTreeSet<_>>();
    // The tags' values, by the tags' names in the alphabet's order.
    assert_eq!(rows("upstream"), expected(&["web-1.example app tcp web db-1.example 5432 db"]));
    let found = expected(&[
        "web-1.example office.example office 443 nginx tcp web",
        "db-1.example web-1.example web 5432 postgres tcp db",
    ]);
    assert_eq!(rows("downstream"), found);
    let found =
        expected(&["db-1.example web-1.example web db", "web-1.example db-1.example db web"]);
    assert_eq!(rows("ingress"), found);
    assert_eq!(rows("egress"), found);
    // Each side sends what its darkstat says of the other, bytes for bytes: over some windows, as a
    // machine is not asked at the very end of one.
    let second = *ends(&printed, "ingress").iter().nth(1).expect("windows");
    for address in ["db-1.example", "web-1.example"] {
        let ingress = printed.iter().filter(|line| {
            line.measurement == "ingress"
                && line.tag("address") == address
                && line.timestamp > second
        });
        let bits: Vec<f64> = ingress.map(|line| line.number("bandwidth_bps")).collect();
        let mean = bits.iter().sum::<f64>() / bits.len() as f64;
        assert!((mean - 720_000.0).abs() < 200_000.0, "{address}: {bits:?}");
    }
}
