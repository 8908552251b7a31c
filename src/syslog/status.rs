//! What the listener has taken and what it has lost, for perijove's own metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::point::{Definition, Measurement, Points, Schema, counter, gauge};

/// Every line that comes is in one of these, but for those that the kernel drops.
#[derive(Default)]
pub struct SyslogStatus {
    pub lines: AtomicU64,
    pub events: AtomicU64,
    pub known: AtomicU64,
    pub other: AtomicU64,
    pub passed: AtomicU64,
    pub cut: AtomicU64,
    pub malformed: AtomicU64,
    pub over_rate: AtomicU64,
    pub refused_lines: AtomicU64,
    pub refused_connections: AtomicU64,
    pub failed_connections: AtomicU64,
    pub abandoned: AtomicU64,
    pub kernel_drops: AtomicU64,
    pub connections: AtomicU64,
}

/// Adds to a count.
pub fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn get(counter: &AtomicU64) -> Option<u64> {
    Some(counter.load(Ordering::Relaxed))
}

pub static SYSLOG: Measurement<SyslogStatus> = Measurement::new(|| Definition {
    name: "perijove_syslog",
    help: "Lines of syslog from the routers.",
    tags: &[],
    fields: vec![
        counter("lines_total", "", "Lines that came from routers.", |s| get(&s.lines)),
        counter("events_total", "", "Lines that became events.", |s| get(&s.events)),
        counter(
            "known_lines_total",
            "",
            "Lines about what is an event already.",
            |s| get(&s.known),
        ),
        counter("other_lines_total", "", "Lines about something else.", |s| get(&s.other)),
        counter("passed_lines_total", "", "Those of them that were passed on.", |s| get(&s.passed)),
        counter("cut_lines_total", "", "Lines that were too long, and were cut.", |s| get(&s.cut)),
        counter("malformed_lines_total", "", "Lines that are no syslog.", |s| get(&s.malformed)),
        counter("dropped_lines_total", "", "Lines beyond a router's rate.", |s| get(&s.over_rate)),
        counter("abandoned_lines_total", "", "Lines that a bug in perijove has cost.", |s| {
            get(&s.abandoned)
        }),
        counter("refused_lines_total", "", "Lines from no router that is known.", |s| {
            get(&s.refused_lines)
        }),
        counter(
            "refused_connections_total",
            "",
            "Connections from no router that is known, and those beyond a limit.",
            |s| get(&s.refused_connections),
        ),
        counter("failed_connections_total", "", "Connections that broke, or had no TLS.", |s| {
            get(&s.failed_connections)
        }),
        counter("kernel_dropped_lines_total", "", "Datagrams that the kernel dropped.", |s| {
            get(&s.kernel_drops)
        }),
        gauge("connections", "", "Connections that are open.", |s| get(&s.connections)),
    ],
});

pub const MEASUREMENTS: &[&dyn Schema] = &[&SYSLOG];

impl SyslogStatus {
    pub fn points(&self, points: &mut Points) {
        points.push(&SYSLOG, &[], self);
    }
}
