//! A real Prometheus that scrapes one perijove, and the checks of its `promtool`.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use super::process::{Process, run};
use super::temporary::Directory;
use super::victoria_metrics::Series;
use super::{answer, free_port, http_agent, program, wait_for};

pub struct Prometheus {
    pub port: u16,
    server: Option<Process>,
    directory: Directory,
    flags: Vec<String>,
}

/// A sample: its labels without those of the scrape, `__name__` among them, and its value.
pub type Sample = (std::collections::BTreeMap<String, String>, f64);

impl Prometheus {
    /// Scrapes that port every eight seconds: a busy machine needs several for it. `how` are
    /// further settings of the scrape, as YAML lines that begin with four blanks.
    pub fn start(target: u16, how: &str) -> Prometheus {
        let settings = scrape("8s", &[target], how);
        Prometheus::start_with(&settings, &[])
    }

    /// Scrapes nothing: it is there to be written to.
    pub fn receiver() -> Prometheus {
        let flag = "--web.enable-remote-write-receiver".to_string();
        Prometheus::start_with("scrape_configs: []\n", &[flag])
    }

    /// Scrapes nothing, and has these samples of the past, as OpenMetrics.
    pub fn with_history(samples: &str) -> Prometheus {
        let directory = Directory::new();
        let file = directory.write("history", samples);
        let mut command = Command::new(program("promtool"));
        command.args(["tsdb", "create-blocks-from", "openmetrics"]);
        let made = run(command.arg(file).arg(directory.join("data")));
        assert_eq!(made.code, 0, "{}", made.stderr);
        Prometheus::start_in(directory, "scrape_configs: []\n", &[])
    }

    pub fn start_with(settings: &str, flags: &[String]) -> Prometheus {
        Prometheus::start_in(Directory::new(), settings, flags)
    }

    fn start_in(directory: Directory, settings: &str, flags: &[String]) -> Prometheus {
        directory.write("prometheus.yml", settings);
        let (port, flags) = (free_port(), flags.to_vec());
        let mut prometheus = Prometheus { port, server: None, directory, flags };
        prometheus.start_again();
        prometheus
    }

    /// Starts the server that `stop` stopped, on the same port with the same data.
    pub fn start_again(&mut self) {
        let Prometheus { port, directory, flags, .. } = self;
        let mut command = Command::new(program("prometheus"));
        command
            .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(flags);
        let mut server = Process::start(&mut command);
        server.wait_for("prometheus is ready", |_| {
            let ready = http_agent().get(format!("http://127.0.0.1:{port}/-/ready")).call();
            ready.is_ok_and(|answer| answer.status() == 200).then_some(())
        });
        self.server = Some(server);
    }

    /// Ends the server at once; the samples that it has are on its disk.
    pub fn stop(&mut self) {
        self.server = None;
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every sample of the last hour of the series that this selector matches.
    pub fn series(&self, selector: &str) -> Vec<Series> {
        let data = self.api("query", &[("query", &format!("{selector}[1h]"))]);
        let text = |value: &Json| value.as_str().expect("a text").to_string();
        let read = |series: &Json| {
            let labels = series["metric"].as_object().expect("labels").iter();
            let samples = series["values"].as_array().expect("samples");
            let time = |sample: &Json| sample[0].as_f64().expect("a time") * 1000.0;
            Series {
                labels: labels.map(|(name, value)| (name.clone(), text(value))).collect(),
                timestamps_ms: samples.iter().map(|s| time(s).round() as i64).collect(),
                values: samples.iter().map(|s| text(&s[1]).parse().expect("a number")).collect(),
            }
        };
        data["result"].as_array().expect("a matrix").iter().map(read).collect()
    }

    fn api(&self, path: &str, query: &[(&str, &str)]) -> Json {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        let mut request = http_agent().get(url);
        for (name, value) in query {
            request = request.query(name, value);
        }
        let (status, body) = request.call().and_then(answer).expect("prometheus answers");
        assert_eq!(status, 200, "{body}");
        let mut json: Json = serde_json::from_str(&body).expect("JSON");
        json["data"].take()
    }

    /// How many series an expression gives now, of whatever job.
    pub fn count(&self, expression: &str) -> usize {
        let data = self.api("query", &[("query", expression)]);
        data["result"].as_array().expect("a vector").len()
    }

    /// The samples that an expression gives now.
    pub fn query(&self, expression: &str) -> Vec<Sample> {
        self.samples(&[("query", expression)])
    }

    /// The same at a time, in seconds since 1970.
    pub fn query_at(&self, expression: &str, time: i64) -> Vec<Sample> {
        self.samples(&[("query", expression), ("time", &time.to_string())])
    }

    fn samples(&self, query: &[(&str, &str)]) -> Vec<Sample> {
        let data = self.api("query", query);
        let samples = data["result"].as_array().expect("a vector").iter();
        let sample = |sample: &Json| {
            let labels = sample["metric"].as_object().expect("labels").iter();
            let text = |value: &Json| value.as_str().expect("a text").to_string();
            let mut labels: std::collections::BTreeMap<String, String> =
                labels.map(|(name, value)| (name.clone(), text(value))).collect();
            assert!(labels.remove("job").is_none_or(|job| job == "perijove"));
            labels.remove("instance");
            // What the target calls so itself has made room for the scrape's own.
            if let Some(instance) = labels.remove("exported_instance") {
                labels.insert("instance".into(), instance);
            }
            (labels, text(&sample["value"][1]).parse().expect("a number"))
        };
        samples.map(sample).collect()
    }

    /// Waits for a scrape that has worked after `number` of them.
    pub fn wait_scraped(&self, number: u32) {
        let expression = format!("up == 1 and count_over_time(up[1h]) > {number}");
        wait_for(&format!("{number} scrapes"), || {
            (self.count(&expression) > 0 && self.last_error().is_empty()).then_some(())
        });
    }

    /// Why the last scrape failed.
    pub fn last_error(&self) -> String {
        let targets = self.api("targets", &[]);
        let error = targets["activeTargets"][0]["lastError"].as_str();
        error.expect("a target").to_string()
    }

    /// The type of a metric family, as it was scraped.
    pub fn type_of(&self, family: &str) -> String {
        let data = self.api("metadata", &[("metric", family)]);
        data[family][0]["type"].as_str().unwrap_or("none").to_string()
    }
}

/// Settings that scrape these ports so often.
pub fn scrape(interval: &str, targets: &[u16], how: &str) -> String {
    let targets: Vec<String> = targets.iter().map(|port| format!("'127.0.0.1:{port}'")).collect();
    format!(
        "scrape_configs:\n  - job_name: perijove\n    scrape_interval: {interval}\n{how}\
         \x20   static_configs:\n      - targets: [{}]\n",
        targets.join(", ")
    )
}

/// What `promtool check metrics` says of a text; every line begins with a metric's name.
pub fn promtool(text: &str) -> Vec<String> {
    let mut command = Command::new(program("promtool"));
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.stdout(Stdio::null()).spawn().expect("promtool starts");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    // 3: it has read everything, and there are words about style.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
    said.lines().map(str::to_string).collect()
}
