//! Gaps between the scrapes that federation reads: Prometheus is away, or a machine does not
//! answer.
//!
//! These lines count kB, not points: those that the counters in Prometheus grew by, and those of
//! them that no window in InfluxDB has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::account::Account;
use crate::common::fleet;
use crate::common::http_stub::{HttpStub, Reply};
use crate::common::influxd::Influxd;
use crate::common::perijove::{own, perijove, whole_lines};
use crate::common::process::Process;
use crate::common::prometheus::{Prometheus, scrape};
use crate::common::temporary::Directory;
use crate::common::wait_for;
use crate::{Fault, Long};

pub const FAULTS: &[&Fault] = &[
    &Fault { name: "federation-prometheus-away", quick: true, run: prometheus_away },
    &Fault { name: "federation-scrapes-missed", quick: true, run: scrapes_missed },
];

const WINDOW_SECONDS: f64 = 2.0;
const PEER: &str = "remote_hostgroup=\"db\",direction=\"ingress\"";

/// Two machines, the Prometheus that scrapes them, federation, and where it writes.
struct Fleet {
    answers: Arc<AtomicBool>,
    _machines: [HttpStub; 2],
    prometheus: Prometheus,
    influxd: Influxd,
    federation: Process,
    _directory: Directory,
}

impl Fleet {
    fn start() -> Fleet {
        let answers = Arc::new(AtomicBool::new(true));
        let machine = |number: u32| {
            let (begun, answers) = (std::time::Instant::now(), answers.clone());
            HttpStub::start(move |_, _| match answers.load(Ordering::Relaxed) || number == 1 {
                true => {
                    let text = fleet::exposition(number, begun.elapsed().as_secs_f64());
                    Reply::Answer(200, &[("Content-Type", "text/plain; version=0.0.4")], text)
                }
                false => Reply::status(503),
            })
        };
        let machines = [machine(1), machine(2)];
        let ports = [machines[0].port, machines[1].port];
        let prometheus = Prometheus::start_with(&scrape("1s", &ports, ""), &[]);
        let (influxd, directory) = (Influxd::start(), Directory::new());
        let settings = format!(
            "state_directory = \"{}\"\nself_interval = \"500ms\"\ndrain_timeout = \"20s\"\n\
             [federate]\nurl = \"{}\"\nevery = \"{WINDOW_SECONDS}s\"\noffset = \"3s\"\n\
             timeout = \"5s\"\njobs = [\"traffic\"]\n[federate.exclude]\nbandwidth_min = 0.0\n\
             [output.stdout]\n{}",
            directory.join("state").display(),
            prometheus.url(),
            influxd.output()
        );
        let file = directory.write("perijove.toml", settings);
        let federation = Process::start(perijove(&["federate", "--config"]).arg(file));
        let _directory = directory;
        let fleet =
            Fleet { answers, _machines: machines, prometheus, influxd, federation, _directory };
        fleet.wait_windows(4);
        fleet
    }

    /// The ends of the windows that have arrived, in milliseconds, and their bytes.
    fn windows(&self) -> Vec<(f64, f64)> {
        let rows = self
            .influxd
            .query("SELECT bandwidth_bps FROM ingress WHERE remote_service = 'db' AND time > 0");
        let rows = rows.first().and_then(|series| series["values"].as_array().cloned());
        let number = |value: &serde_json::Value| value.as_f64().expect("a number");
        let window = |row: serde_json::Value| {
            (number(&row[0]) / 1e6, number(&row[1]) * WINDOW_SECONDS / 8.0)
        };
        rows.unwrap_or_default().into_iter().map(window).collect()
    }

    fn wait_windows(&self, more: usize) {
        let before = self.windows().len();
        wait_for("windows", || (self.windows().len() >= before + more).then_some(()));
    }

    /// Holds the bytes of the windows against what the counters grew by in the same time.
    fn finish(self) -> Account {
        self.wait_windows(5);
        let printed = whole_lines(&self.federation.stdout());
        let gap = own(&printed, ("job", "traffic"), "gap_bytes_total").unwrap_or(0.0);
        let windows = self.windows();
        // The first window may reach back to before the first scrape.
        let ((from, _), (to, _)) = (windows[0], windows[windows.len() - 1]);
        let written: f64 = windows[1..].iter().map(|(_, bytes)| bytes).sum();
        let raw = self.prometheus.series(&format!("planet_traffic_bytes_total{{{PEER}}}"));
        let grown: f64 = raw.iter().map(|series| series.grown(from, to)).sum();
        self.federation.signal("TERM");
        let finished = self.federation.finish();
        let mut account = Account {
            points: (grown / 1000.0).round() as usize,
            lost: ((grown - written).abs() / 1000.0).round() as usize,
            ..Account::default()
        };
        if gap < 50_000.0 {
            account.failures.push(format!("only {gap} bytes were counted as those of a gap"));
        }
        if finished.code != 0 {
            account.failures.push(format!("exit code {}: {}", finished.code, finished.stderr));
        }
        account
    }
}

fn prometheus_away(long: &Long) -> Account {
    let mut fleet = Fleet::start();
    fleet.prometheus.stop();
    std::thread::sleep(2 * long.outage());
    fleet.prometheus.start_again();
    fleet.finish()
}

/// One of two machines answers no scrape for a while.
fn scrapes_missed(long: &Long) -> Account {
    let fleet = Fleet::start();
    fleet.answers.store(false, Ordering::Relaxed);
    std::thread::sleep(2 * long.outage());
    fleet.answers.store(true, Ordering::Relaxed);
    fleet.finish()
}
