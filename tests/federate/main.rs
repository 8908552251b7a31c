//! Federation, end to end: machines, a real Prometheus, and the real servers behind the outputs.
#![cfg(feature = "federation")]

#[path = "../common/mod.rs"]
mod common;
mod answers;
mod arrives;
mod outages;
mod windows;

use std::collections::{BTreeMap, BTreeSet};

use common::fleet;
use common::http_stub::HttpStub;
use common::lines::Line;
use common::perijove::{perijove, whole_lines};
use common::process::{Finished, Process};
use common::prometheus::{Prometheus, scrape};
use common::temporary::Directory;
use common::victoria_metrics::Series;

const SECOND: i64 = 1_000_000_000;

/// Machines, and a Prometheus that asks them each second.
fn scraped() -> ([HttpStub; 2], Prometheus) {
    let machines = fleet::exporters();
    let ports = machines.each_ref().map(|machine| machine.port);
    let source = Prometheus::start_with(&scrape("1s", &ports, ""), &[]);
    (machines, source)
}

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
