//! perijove's own metrics, as points like any other: `perijove_…` through every output.

use std::sync::atomic::Ordering;

use super::configuration::CONFIGURATION;
use super::parent;
use crate::base::{panics, sys};
use crate::dependency::status::{SourceState, SourceStatus};
use crate::event::watch;
use crate::federate::status::FEDERATE;
use crate::fleet;
use crate::output::latest::Latest;
use crate::output::{Output, kafka};
use crate::point::{Definition, Measurement, Points, Schema, counter, gauge, text};
use crate::poll::status;
use crate::syslog;

struct OutputStatus {
    sent: u64,
    dropped: u64,
    dropped_behind: u64,
    dropped_down: u64,
    clamped: u64,
    failures: u64,
    queued_points: u64,
    queued_bytes: u64,
    spooled_points: u64,
    spooled_bytes: u64,
    last_failure_age: Option<f64>,
}

static OUTPUT: Measurement<OutputStatus> = Measurement::new(|| Definition {
    name: "perijove_output",
    help: "What an output has delivered.",
    tags: &["output"],
    fields: vec![
        counter("sent_points_total", "", "Points delivered.", |o| Some(o.sent)),
        counter("dropped_points_total", "", "Points dropped or refused.", |o| Some(o.dropped)),
        counter(
            "dropped_behind_points_total",
            "",
            "Those dropped while it took less than came.",
            |o| Some(o.dropped_behind),
        ),
        counter(
            "dropped_down_points_total",
            "",
            "Those dropped while it failed or stalled.",
            |o| Some(o.dropped_down),
        ),
        counter("clamped_values_total", "", "Integers too large for the server.", |o| {
            Some(o.clamped)
        }),
        counter("failures_total", "", "Writes that failed, or went on for another 5 s.", |o| {
            Some(o.failures)
        }),
        gauge("queued_points", "", "Points that wait.", |o| Some(o.queued_points)),
        gauge("queued_bytes", "bytes", "Room that they take.", |o| Some(o.queued_bytes)),
        gauge("spooled_points", "", "Points that wait on disk.", |o| Some(o.spooled_points)),
        gauge("spooled_bytes", "bytes", "Room of the spool's files.", |o| Some(o.spooled_bytes)),
        gauge("last_failure_age_seconds", "s", "Time since the last write that failed.", |o| {
            o.last_failure_age
        }),
    ],
});

static KAFKA: Measurement<kafka::Statistics> = Measurement::new(|| Definition {
    name: "perijove_kafka",
    help: "The Kafka producer, as librdkafka reports it.",
    tags: &[],
    fields: vec![
        gauge("brokers_up", "", "Brokers that are connected.", |k| Some(k.brokers_up)),
        gauge("waiting_records", "", "Records in its queue.", |k| Some(k.waiting_records)),
        gauge("waiting_bytes", "bytes", "Room that they take.", |k| Some(k.waiting_bytes)),
        counter("sent_records_total", "", "Records sent.", |k| Some(k.sent_records)),
        counter("sent_bytes_total", "bytes", "Bytes of records sent.", |k| Some(k.sent_bytes)),
        counter("retries_total", "", "Requests sent again.", |k| Some(k.retries)),
        gauge("round_trip_seconds", "s", "Mean round trip to the slowest broker.", |k| {
            k.round_trip_seconds
        }),
    ],
});

static PROMETHEUS: Measurement<Latest> = Measurement::new(|| Definition {
    name: "perijove_prometheus",
    help: "What is kept for Prometheus, and who asks for it.",
    tags: &[],
    fields: vec![
        counter("scrapes_total", "", "Scrapes answered.", |l| {
            Some(l.scrapes.load(Ordering::Relaxed))
        }),
        counter("refused_connections_total", "", "Connections beyond the limit.", |l| {
            Some(l.refused_connections.load(Ordering::Relaxed))
        }),
        gauge("duplicate_samples", "", "Left out of the last scrape of everything.", |l| {
            Some(l.duplicates.load(Ordering::Relaxed))
        }),
        gauge("kept_points", "", "Points of the latest polls.", |l| Some(l.level().points)),
        gauge("kept_bytes", "bytes", "Room that they take.", |l| Some(l.level().bytes)),
    ],
});

static DEPENDENCY: Measurement<SourceState> = Measurement::new(|| Definition {
    name: "perijove_dependency",
    help: "A source of the machine's dependency map.",
    tags: &["source"],
    fields: vec![
        gauge("success", "", "1 if the last run did not fail.", |s| {
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
        gauge("items", "", "Sockets, inventory entries or peers of the last good run.", |s| {
            s.last_success.map(|_| s.found.items)
        }),
        gauge("rejected_items", "", "Those of them that did not fit.", |s| {
            s.last_success.map(|_| s.found.rejected)
        }),
        gauge("dropped_rows", "", "Rows of it beyond a limit.", |s| {
            s.last_success.map(|_| s.found.dropped)
        }),
        gauge("nameless_sockets", "", "Sockets whose process could not be found.", |s| {
            s.last_success.and(s.found.nameless)
        }),
        counter("lost_ends_total", "", "Connections that ended and were lost.", |s| {
            s.found.lost_ends.map(|_| s.lost_ends)
        }),
        text("error", "Why the last run failed.", |s| s.failure.as_deref()),
    ],
});

static PROCESS: Measurement<sys::Usage> = Measurement::new(|| Definition {
    name: "perijove_process",
    help: "perijove itself.",
    tags: &["version"],
    fields: vec![
        counter("cpu_seconds_total", "s", "CPU time used.", |p| Some(p.cpu_seconds)),
        gauge("memory_peak_bytes", "bytes", "The most memory that was resident.", |p| {
            Some(p.memory_peak_bytes)
        }),
    ],
});

static PANICS: Measurement<u64> = Measurement::new(|| Definition {
    name: "perijove_panics",
    help: "Bugs in perijove, each of which cost what was being done, such as one poll.",
    tags: &[],
    fields: vec![counter("total", "", "Panics since the start.", |count| Some(*count))],
});

static RESTARTS: Measurement<u64> = Measurement::new(|| Definition {
    name: "perijove_restarts",
    help: "Ends that were no stop, after which the parent has started perijove again (supervise).",
    tags: &[],
    fields: vec![counter("total", "", "Restarts since the parent started.", |count| Some(*count))],
});

/// All of them, for the reference.
pub const MEASUREMENTS: &[&dyn Schema] = &[
    status::MEASUREMENTS[0],
    status::MEASUREMENTS[1],
    &DEPENDENCY,
    &OUTPUT,
    &KAFKA,
    &PROMETHEUS,
    &FEDERATE,
    fleet::status::MEASUREMENTS[0],
    &CONFIGURATION,
    watch::MEASUREMENTS[0],
    watch::MEASUREMENTS[1],
    watch::MEASUREMENTS[2],
    syslog::status::MEASUREMENTS[0],
    &PROCESS,
    &PANICS,
    &RESTARTS,
];

/// Points about an output.
pub fn output_points(output: &Output, points: &mut Points) {
    let level = output.queue.level();
    let status = OutputStatus {
        sent: output.status.sent.load(Ordering::Relaxed),
        dropped: output.dropped(),
        dropped_behind: level.dropped_behind,
        dropped_down: level.dropped_down,
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
pub fn source_points(status: &SourceStatus, points: &mut Points) {
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

/// The points about the process.
pub fn process_points(points: &mut Points) {
    points.push(&PROCESS, &[env!("CARGO_PKG_VERSION")], &sys::usage());
    points.push(&PANICS, &[], &panics::count());
    if let Some(restarts) = parent::restarts() {
        points.push(&RESTARTS, &[], &restarts);
    }
}
