//! Windows of time out of a history: what grew, whole and in gaps, in each of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::http_stub::{HttpStub, Reply};
use crate::common::lines::Line;
use crate::common::needs::skips;
use crate::common::perijove::perijove;
use crate::common::process::{Finished, run};
use crate::common::prometheus::Prometheus;
use crate::common::temporary::Directory;
use crate::common::victoria_metrics::Series;
use crate::common::{fleet, lines, now_ns};
use crate::{SECOND, ends, rows_are_right, settings, sums_agree, sums_agree_with_gaps, write};

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
