//! What perijove knows of itself, as points like any other: `perijove_…` through every output.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::collector::Tally;
use crate::config::Router;
use crate::dependency::source;
use crate::output::latest::Latest;
use crate::output::{Output, Wanted, kafka};
use crate::point::{Measurement, Points, Schema, counter, decimal_counter, gauge, level, text};
use crate::sync::lock;
use crate::sys;

/// How a collector's poll ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Data,
    /// Nothing of the kind runs on the router, or it does not know the request.
    NoData(String),
    Failed(String),
    /// There is no session; why, is said once for all collectors.
    NoSession(String),
}

impl Outcome {
    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Outcome::Failed(why) | Outcome::NoSession(why) => Some(why),
            Outcome::Data | Outcome::NoData(_) => None,
        }
    }
}

/// What is known of one collector on one router.
#[derive(Clone, Debug, Default)]
pub struct CollectorStatus {
    polls: u64,
    failed_polls: u64,
    skipped_ticks: u64,
    items: u64,
    rejected_items: u64,
    rejected_values: u64,
    points: u64,
    bytes: u64,
    duration: Duration,
    outcome: Option<Outcome>,
    /// What was said in the log already.
    said_rejected: bool,
}

static COLLECTOR: Measurement<CollectorStatus> = Measurement {
    name: "perijove_collector",
    help: "A collector's polls of a router.",
    tags: &["collector"],
    fields: &[
        level("success", "", "1 if the last poll did not fail.", |c| {
            Some(u64::from(c.outcome.as_ref()?.failure().is_none()))
        }),
        level("no_data", "", "1 if the router has nothing of the kind.", |c| {
            Some(u64::from(matches!(c.outcome.as_ref()?, Outcome::NoData(_))))
        }),
        gauge("duration_seconds", "s", "Time the last poll's RPCs took.", |c| {
            c.outcome.as_ref().map(|_| c.duration.as_secs_f64())
        }),
        counter("polls_total", "", "Polls.", |c| Some(c.polls)),
        counter("failed_polls_total", "", "Polls that failed.", |c| Some(c.failed_polls)),
        counter("skipped_ticks_total", "", "Polls left out, the last one still ran.", |c| {
            Some(c.skipped_ticks)
        }),
        counter("items_total", "", "Items read.", |c| Some(c.items)),
        counter("rejected_items_total", "", "Items that did not fit.", |c| Some(c.rejected_items)),
        counter(
            "rejected_values_total",
            "",
            "Values, and labels of descriptions, that did not fit.",
            |c| Some(c.rejected_values),
        ),
        counter("points_total", "", "Points made.", |c| Some(c.points)),
        counter("reply_bytes_total", "bytes", "Bytes of replies read.", |c| Some(c.bytes)),
        text("error", "Why the last poll failed.", |c| c.outcome.as_ref()?.failure()),
    ],
};

#[derive(Clone, Debug, Default)]
struct SessionStatus {
    up: bool,
    connects: u64,
    losses: u64,
}

static SESSION: Measurement<SessionStatus> = Measurement {
    name: "perijove_session",
    help: "The NETCONF session with a router.",
    tags: &[],
    fields: &[
        level("up", "", "1 while it is open.", |s| Some(u64::from(s.up))),
        counter("connects_total", "", "Sessions opened.", |s| Some(s.connects)),
        counter("losses_total", "", "Sessions lost.", |s| Some(s.losses)),
    ],
};

struct OutputStatus {
    sent: u64,
    dropped: u64,
    clamped: u64,
    failures: u64,
    queued_points: u64,
    queued_bytes: u64,
    spooled_points: u64,
    spooled_bytes: u64,
    last_failure_age: Option<f64>,
}

static OUTPUT: Measurement<OutputStatus> = Measurement {
    name: "perijove_output",
    help: "What an output has delivered.",
    tags: &["output"],
    fields: &[
        counter("sent_points_total", "", "Points delivered.", |o| Some(o.sent)),
        counter("dropped_points_total", "", "Points dropped or refused.", |o| Some(o.dropped)),
        counter("clamped_values_total", "", "Integers too large for the server.", |o| {
            Some(o.clamped)
        }),
        counter("failures_total", "", "Writes that failed, or went on for another 5 s.", |o| {
            Some(o.failures)
        }),
        level("queued_points", "", "Points that wait.", |o| Some(o.queued_points)),
        level("queued_bytes", "bytes", "Room that they take.", |o| Some(o.queued_bytes)),
        level("spooled_points", "", "Points that wait on disk.", |o| Some(o.spooled_points)),
        level("spooled_bytes", "bytes", "Room of the spool's files.", |o| Some(o.spooled_bytes)),
        gauge("last_failure_age_seconds", "s", "Time since the last write that failed.", |o| {
            o.last_failure_age
        }),
    ],
};

static KAFKA: Measurement<kafka::Statistics> = Measurement {
    name: "perijove_kafka",
    help: "The Kafka producer, as librdkafka reports it.",
    tags: &[],
    fields: &[
        level("brokers_up", "", "Brokers that are connected.", |k| Some(k.brokers_up)),
        level("waiting_records", "", "Records in its queue.", |k| Some(k.waiting_records)),
        level("waiting_bytes", "bytes", "Room that they take.", |k| Some(k.waiting_bytes)),
        counter("sent_records_total", "", "Records sent.", |k| Some(k.sent_records)),
        counter("sent_bytes_total", "bytes", "Bytes of records sent.", |k| Some(k.sent_bytes)),
        counter("retries_total", "", "Requests sent again.", |k| Some(k.retries)),
        gauge("round_trip_seconds", "s", "Mean round trip to the slowest broker.", |k| {
            k.round_trip_seconds
        }),
    ],
};

static PROMETHEUS: Measurement<Latest> = Measurement {
    name: "perijove_prometheus",
    help: "What is kept for Prometheus, and who asks for it.",
    tags: &[],
    fields: &[
        counter("scrapes_total", "", "Scrapes answered.", |l| {
            Some(l.scrapes.load(Ordering::Relaxed))
        }),
        counter("refused_connections_total", "", "Connections beyond the limit.", |l| {
            Some(l.refused_connections.load(Ordering::Relaxed))
        }),
        level("duplicate_samples", "", "Left out of the last scrape of everything.", |l| {
            Some(l.duplicates.load(Ordering::Relaxed))
        }),
        level("kept_points", "", "Points of the latest polls.", |l| Some(l.level().points)),
        level("kept_bytes", "bytes", "Room that they take.", |l| Some(l.level().bytes)),
    ],
};

static DEPENDENCY: Measurement<source::State> = Measurement {
    name: "perijove_dependency",
    help: "A source of the machine's dependency map.",
    tags: &["source"],
    fields: &[
        level("success", "", "1 if the last run did not fail.", |s| {
            (s.runs > 0).then_some(u64::from(s.failure.is_none()))
        }),
        gauge("duration_seconds", "s", "Time the last run took.", |s| {
            (s.runs > 0).then_some(s.duration.as_secs_f64())
        }),
        gauge("last_success_age_seconds", "s", "Time since the last run that did not fail.", |s| {
            Some(s.last_success?.elapsed().as_secs_f64())
        }),
        counter("runs_total", "", "Runs.", |s| Some(s.runs)),
        counter("failed_runs_total", "", "Runs that failed.", |s| Some(s.failed_runs)),
        counter("skipped_ticks_total", "", "Runs left out, the last one still ran.", |s| {
            Some(s.skipped_ticks)
        }),
        level("items", "", "Sockets, inventory entries or peers of the last good run.", |s| {
            s.last_success.map(|_| s.found.items)
        }),
        level("rejected_items", "", "Those of them that did not fit.", |s| {
            s.last_success.map(|_| s.found.rejected)
        }),
        level("dropped_rows", "", "Rows of it beyond a limit.", |s| {
            s.last_success.map(|_| s.found.dropped)
        }),
        text("error", "Why the last run failed.", |s| s.failure.as_deref()),
    ],
};

/// What junos_exporter says of itself, for Prometheus only: elsewhere it would be there twice.
static UP: Measurement<CollectorStatus> = Measurement {
    name: "",
    help: "A router, as junos_exporter has it.",
    tags: &[],
    fields: &[level("up", "", "1 if the router answers.", |c| {
        Some(u64::from(!matches!(c.outcome.as_ref()?, Outcome::Failed(_))))
    })],
};

static COLLECTOR_DURATION: Measurement<CollectorStatus> = Measurement {
    name: "collector",
    help: "All collectors of a router, as junos_exporter has it.",
    tags: &[],
    fields: &[gauge("duration_seconds", "s", "Time the last polls' RPCs took in all.", |c| {
        Some(c.duration.as_secs_f64())
    })],
};

static COLLECT_DURATION: Measurement<CollectorStatus> = Measurement {
    name: "collect",
    help: "A collector of a router, as junos_exporter has it.",
    tags: &["collector"],
    fields: &[gauge("duration_seconds", "s", "Time the last poll's RPCs took.", |c| {
        c.outcome.as_ref().map(|_| c.duration.as_secs_f64())
    })],
};

static PROCESS: Measurement<sys::Usage> = Measurement {
    name: "perijove_process",
    help: "perijove itself.",
    tags: &["version"],
    fields: &[
        decimal_counter("cpu_seconds_total", "s", "CPU time used.", |p| Some(p.cpu_seconds)),
        level("memory_peak_bytes", "bytes", "The most memory that was resident.", |p| {
            Some(p.memory_peak_bytes)
        }),
    ],
};

/// All of them, for the reference.
pub const MEASUREMENTS: &[&dyn Schema] =
    &[&COLLECTOR, &SESSION, &DEPENDENCY, &OUTPUT, &KAFKA, &PROMETHEUS, &FEDERATE, &PROCESS];

/// What is known of one router; its poller writes, the daemon reads.
pub struct RouterStatus {
    identity: String,
    names: Vec<&'static str>,
    collectors: Mutex<Vec<CollectorStatus>>,
    session: Mutex<SessionStatus>,
}

impl RouterStatus {
    pub fn new(router: &Router) -> RouterStatus {
        let names: Vec<_> = router.collectors.iter().map(|polled| polled.entry.name).collect();
        RouterStatus {
            identity: router.identity.clone(),
            collectors: Mutex::new(vec![CollectorStatus::default(); names.len()]),
            names,
            session: Mutex::default(),
        }
    }

    pub fn identity(&self) -> &str {
        &self.identity
    }

    fn collector(&self, index: usize, change: impl FnOnce(&mut CollectorStatus)) {
        let mut collectors = lock(&self.collectors);
        change(&mut collectors[index]);
    }

    pub fn skipped(&self, index: usize, ticks: u64) {
        self.collector(index, |status| status.skipped_ticks += ticks);
    }

    /// Counts a poll, and logs what is new about it.
    pub fn polled(&self, index: usize, outcome: &Outcome, tally: &Tally, duration: Duration) {
        let (identity, name) = (&self.identity, self.names[index]);
        self.collector(index, |status| {
            let failed_before = status.outcome.as_ref().and_then(Outcome::failure).is_some();
            match outcome {
                _ if status.outcome.as_ref() == Some(outcome) => {}
                Outcome::Failed(why) => log::warn!("{identity}: {name}: {why}"),
                Outcome::NoSession(why) => log::debug!("{identity}: {name}: {why}"),
                Outcome::NoData(why) => log::debug!("{identity}: {name}: no data: {why}"),
                Outcome::Data if failed_before => log::info!("{identity}: {name}: works again"),
                Outcome::Data => {}
            }
            if let (Some(why), false) = (&tally.first_rejected, status.said_rejected) {
                log::warn!("{identity}: {name}: left out an item that does not fit: {why}");
                status.said_rejected = true;
            }
            if let Some(why) = &tally.first_misfit {
                log::debug!("{identity}: {name}: left out values that do not fit, first {why}");
            }
            status.polls += 1;
            status.failed_polls += u64::from(outcome.failure().is_some());
            status.items += tally.items;
            status.rejected_items += tally.rejected;
            status.rejected_values += tally.misfits;
            status.points += tally.points;
            status.bytes += tally.bytes;
            status.duration = duration;
            status.outcome = Some(outcome.clone());
        });
    }

    pub fn connected(&self) {
        let mut session = lock(&self.session);
        session.up = true;
        session.connects += 1;
    }

    pub fn disconnected(&self) {
        let mut session = lock(&self.session);
        session.up = false;
        session.losses += 1;
    }

    /// Whether each collector was polled.
    pub fn is_polled(&self) -> bool {
        lock(&self.collectors).iter().all(|status| status.outcome.is_some())
    }

    /// What junos_exporter says of a router.
    pub fn exporter_points(&self, wanted: &Wanted, points: &mut Points) {
        let is_up = lock(&self.session).up;
        let collectors = lock(&self.collectors);
        // A session that ends while nothing is asked says nothing of the router, and neither does
        // a request that is not sent because the router does not know it.
        let good = |status: &&CollectorStatus| matches!(status.outcome, Some(Outcome::Data));
        let polled = || collectors.iter().filter(|status| status.outcome.is_some());
        if is_up || polled().next().is_some() {
            let answers = is_up || polled().any(|status| good(&status));
            let outcome = if answers { Outcome::Data } else { Outcome::Failed(String::new()) };
            let duration = polled().map(|status| status.duration).sum();
            let all = CollectorStatus { outcome: Some(outcome), duration, ..Default::default() };
            points.push(&UP, &[], &all);
            points.push(&COLLECTOR_DURATION, &[], &all);
        }
        for (name, status) in self.names.iter().zip(collectors.iter()) {
            if wanted.has_collector(name) {
                points.push(&COLLECT_DURATION, &[name], status);
            }
        }
    }

    /// Points about the router.
    pub fn points(&self, points: &mut Points) {
        let collectors = lock(&self.collectors);
        for (name, status) in self.names.iter().zip(collectors.iter()) {
            points.push(&COLLECTOR, &[name], status);
        }
        points.push(&SESSION, &[], &*lock(&self.session));
    }
}

/// What is known of one of federation's jobs.
#[derive(Clone, Debug, Default)]
struct JobStatus {
    windows: u64,
    failures: u64,
    skipped_seconds: u64,
    series: u64,
    rows: u64,
    duration: Duration,
    /// The last window's end, in milliseconds since 1970.
    end_ms: Option<u64>,
    error: Option<String>,
}

static FEDERATE: Measurement<JobStatus> = Measurement {
    name: "perijove_federate",
    help: "A job of federation.",
    tags: &["job"],
    fields: &[
        level("success", "", "1 if the last window could be written.", |j| {
            (j.windows + j.failures > 0).then(|| u64::from(j.error.is_none()))
        }),
        counter("windows_total", "", "Windows of time written.", |j| Some(j.windows)),
        counter("failures_total", "", "Windows that could not be written yet.", |j| {
            Some(j.failures)
        }),
        counter("skipped_seconds_total", "s", "Time beyond catch_up_max, left out.", |j| {
            Some(j.skipped_seconds)
        }),
        level("series", "", "Series in the last answer.", |j| j.end_ms.map(|_| j.series)),
        level("rows", "", "Points made of them.", |j| j.end_ms.map(|_| j.rows)),
        gauge("duration_seconds", "s", "Time the last window took.", |j| {
            j.end_ms.map(|_| j.duration.as_secs_f64())
        }),
        gauge("lag_seconds", "s", "Time since the last window's end.", |j| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
            Some(now - j.end_ms? as f64 / 1000.0)
        }),
        text("error", "Why the last window could not be written.", |j| j.error.as_deref()),
    ],
};

/// What is known of federation; its thread writes, the daemon reads.
#[derive(Default)]
pub struct FederateStatus(Mutex<BTreeMap<&'static str, JobStatus>>);

impl FederateStatus {
    /// Begins with these jobs, of which nothing is known yet.
    pub fn new(jobs: impl Iterator<Item = &'static str>) -> FederateStatus {
        FederateStatus(Mutex::new(jobs.map(|job| (job, JobStatus::default())).collect()))
    }

    fn job(&self, job: &'static str, change: impl FnOnce(&mut JobStatus)) {
        change(lock(&self.0).entry(job).or_default());
    }

    pub fn skipped(&self, job: &'static str, seconds: u64) {
        self.job(job, |status| status.skipped_seconds += seconds);
    }

    /// Logs what is new about it.
    pub fn failed(&self, job: &'static str, why: &str) {
        self.job(job, |status| {
            status.failures += 1;
            if status.error.as_deref() != Some(why) {
                log::warn!("federate: {job}: {why}; the window is tried again");
            }
            status.error = Some(why.into());
        });
    }

    pub fn written(&self, job: &'static str, end_ms: u64, series: u64, rows: u64, spent: Duration) {
        self.job(job, |status| {
            if status.error.take().is_some() {
                log::info!("federate: {job}: works again");
            }
            log::debug!("federate: {job}: {rows} points of {series} series in {spent:?}");
            status.windows += 1;
            (status.series, status.rows, status.duration) = (series, rows, spent);
            status.end_ms = Some(end_ms);
        });
    }

    /// Whether each job was tried.
    pub fn is_tried(&self) -> bool {
        lock(&self.0).values().all(|status| status.windows + status.failures > 0)
    }

    pub fn points(&self, points: &mut Points) {
        for (job, status) in lock(&self.0).iter() {
            points.push(&FEDERATE, &[job], status);
        }
    }
}

/// Points about an output.
pub fn output_points(output: &Output, points: &mut Points) {
    let level = output.queue.level();
    let status = OutputStatus {
        sent: output.status.sent.load(Ordering::Relaxed),
        dropped: output.dropped(),
        clamped: output.status.clamped.load(Ordering::Relaxed),
        failures: output.status.failures.load(Ordering::Relaxed),
        queued_points: level.points,
        queued_bytes: level.bytes as u64,
        spooled_points: level.spooled_points,
        spooled_bytes: level.spooled_bytes,
        last_failure_age: output.last_failure().map(|at| at.elapsed().as_secs_f64()),
    };
    points.push(&OUTPUT, &[output.name], &status);
}

/// The point about a source of the dependency map.
pub fn source_points(status: &source::Status, points: &mut Points) {
    points.push(&DEPENDENCY, &[status.source], &status.state());
}

/// The point about the Kafka producer.
pub fn kafka_points(statistics: &kafka::Statistics, points: &mut Points) {
    points.push(&KAFKA, &[], statistics);
}

/// The point about what is kept for Prometheus.
pub fn prometheus_points(latest: &Latest, points: &mut Points) {
    points.push(&PROMETHEUS, &[], latest);
}

/// The point about the process.
pub fn process_points(points: &mut Points) {
    points.push(&PROCESS, &[env!("CARGO_PKG_VERSION")], &sys::usage());
}
