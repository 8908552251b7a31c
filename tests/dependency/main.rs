//! The map of a machine's dependencies: its own sockets beside what ss says of them, real and
//! misbehaving servers, and each defect that planet-exporter is known to have.

#[path = "../common/mod.rs"]
mod common;
#[path = "../series/mod.rs"]
mod series;
mod bytes;
mod inventory;
mod machine;
mod names;
mod servers;

use common::perijove::run_with;
use common::process::Finished;
use common::{answer, http_agent};
use series::Series;

/// What `once` prints of the machine with these settings.
fn once(settings: &str) -> Vec<Series> {
    let finished = once_finished(settings);
    assert_eq!(finished.code, 0, "{finished:?}");
    series::read(&finished.stdout)
}

fn once_finished(settings: &str) -> Finished {
    run_with(settings, &["once", "--format", "prometheus"])
}

fn get(port: u16, path: &str) -> (u16, String) {
    let url = format!("http://127.0.0.1:{port}{path}");
    http_agent().get(url).call().and_then(answer).unwrap_or_default()
}

fn scrape(port: u16) -> Vec<Series> {
    series::read(&get(port, "/metrics").1)
}

/// A figure of perijove's own about a source.
fn of_source(all: &[Series], source: &str, name: &str) -> Option<f64> {
    let name = format!("perijove_dependency_{name}");
    let source = format!("dependency_{source}");
    let found = all.iter().find(|s| s.name == name && s.label("source") == source);
    found.map(|series| series.value)
}

fn named<'a>(all: &'a [Series], name: &str) -> Vec<&'a Series> {
    all.iter().filter(|series| series.name == name).collect()
}

/// Settings for a daemon that is asked at this port.
fn served(port: u16, dependency: &str) -> String {
    format!(
        "self_interval = \"200ms\"\n[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n\
         expire_intervals = 10\n[dependency]\nname = \"me\"\n{dependency}"
    )
}

const DARKSTAT: &str = "# TYPE host_bytes_total counter\n\
    host_bytes_total{interface=\"eth0\",ip=\"10.0.0.9\",mac=\"x\",dir=\"in\"} 100\n\
    host_bytes_total{interface=\"eth0\",ip=\"10.0.0.9\",mac=\"x\",dir=\"out\"} 40\n\
    host_bytes_total{interface=\"eth0\",ip=\"198.51.100.2\",mac=\"x\",dir=\"out\"} 7\n";
