//! A real VictoriaMetrics server, which takes InfluxDB's v2 write path and unsigned integers.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value as Json;

use super::process::Process;
use super::temporary::Directory;
use super::{answer, free_port, http_agent, program};

pub struct VictoriaMetrics {
    pub port: u16,
    _server: Process,
    _directory: Directory,
}

/// One time series: its labels, `__name__` among them, and its samples.
#[derive(Debug)]
pub struct Series {
    pub labels: BTreeMap<String, String>,
    pub timestamps_ms: Vec<i64>,
    pub values: Vec<f64>,
}

impl Series {
    /// What a counter grew by from one time to another, by straight lines between its samples. One
    /// that falls has been reset.
    pub fn grown(&self, from_ms: f64, to_ms: f64) -> f64 {
        let mut total = 0.0;
        let samples = self.timestamps_ms.iter().map(|time| *time as f64).zip(self.values.clone());
        let samples: Vec<(f64, f64)> = samples.collect();
        for pair in samples.windows(2) {
            let [(t0, v0), (t1, v1)] = pair else { continue };
            let whole = if v1 >= v0 { v1 - v0 } else { *v1 };
            let part = (t1.min(to_ms) - t0.max(from_ms)).max(0.0) / (t1 - t0);
            total += whole * part;
        }
        total
    }
}

impl VictoriaMetrics {
    pub fn start() -> VictoriaMetrics {
        let port = free_port();
        let directory = Directory::new();
        let mut command = Command::new(program("victoria-metrics"));
        command
            .arg(format!("-storageDataPath={}", directory.path().display()))
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .args(["-retentionPeriod=100y", "-selfScrapeInterval=0", "-memory.allowedPercent=10"]);
        let mut server = Process::start(&mut command);
        server.wait_for("victoria-metrics answers", |_| {
            let health = http_agent().get(format!("http://127.0.0.1:{port}/health")).call();
            health.is_ok_and(|answer| answer.status() == 200).then_some(())
        });
        VictoriaMetrics { port, _server: server, _directory: directory }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every series whose name this regular expression matches, with what has arrived so far.
    pub fn series(&self, name: &str) -> Vec<Series> {
        // Fresh samples are kept aside for a while, where queries do not see them.
        let flush = http_agent().get(format!("{}/internal/force_flush", self.url())).call();
        flush.expect("victoria-metrics flushes");
        let request = http_agent()
            .get(format!("{}/api/v1/export", self.url()))
            .query("match[]", format!("{{__name__=~\"{name}\"}}"))
            .call();
        let (status, body) = request.and_then(answer).expect("victoria-metrics exports");
        assert_eq!(status, 200, "{body}");
        body.lines().map(read_series).collect()
    }
}

fn read_series(line: &str) -> Series {
    let json: Json = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    let labels = json["metric"].as_object().expect("metric");
    let text = |(name, value): (&String, &Json)| {
        (name.clone(), value.as_str().expect("a label").to_string())
    };
    let list = |name: &str| json[name].as_array().expect("a list").clone();
    Series {
        labels: labels.iter().map(text).collect(),
        timestamps_ms: list("timestamps").iter().map(|v| v.as_i64().expect("a time")).collect(),
        values: list("values").iter().map(|v| v.as_f64().expect("a number")).collect(),
    }
}
