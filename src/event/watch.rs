//! What is watched on one router: its poller shows it each batch of points, and others take the
//! events.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use super::file;
use super::plan;
use super::record::Event;
use super::state::{Last, State};
use crate::base::clock::now_ns;
use crate::base::sync::lock;
use crate::point::{Batch, Definition, Measurement, Points, Schema, Tags, counter, gauge};

pub struct Watch {
    pub router: String,
    tags: Mutex<Tags>,
    state: Mutex<State>,
    /// Takes the routers of which there is something to write or to hand over.
    wake: Sender<Option<Arc<Watch>>>,
}

/// What there is to hand over and to write.
pub struct News {
    /// The state as it is in the file, if that is not up to date.
    pub bytes: Option<Vec<u8>>,
    /// Events that some output may not have taken, and the number of the first.
    pub events: Vec<Event>,
    pub first: u64,
}

impl News {
    /// The events from that number on.
    pub fn after(&self, number: u64) -> &[Event] {
        let skip = usize::try_from(number.saturating_sub(self.first)).unwrap_or(usize::MAX);
        &self.events[skip.min(self.events.len())..]
    }
}

struct Counted {
    total: u64,
}

static TOTALS: Measurement<Counted> = Measurement::new(|| Definition {
    name: "perijove_events",
    help: "Events of a router.",
    tags: &["kind"],
    fields: vec![counter("total", "", "Changes that events stand for.", |c| Some(c.total))],
});

static WATCHED: Measurement<[u64; 5]> = Measurement::new(|| Definition {
    name: "perijove_events",
    help: "What is watched on a router.",
    tags: &[],
    fields: vec![
        gauge("subjects", "", "States that are kept.", |[subjects, ..]| Some(*subjects)),
        counter("dropped_subjects_total", "", "Times there was no room for one.", |counts| {
            Some(counts[1])
        }),
        counter("damped_total", "", "Changes that were damped.", |counts| Some(counts[2])),
        gauge("pending", "", "Events that some output has not taken.", |counts| Some(counts[3])),
        gauge("subjects_bytes", "bytes", "What the states take in memory, at most.", |counts| {
            Some(counts[4])
        }),
    ],
});

static LAST: Measurement<Last> = Measurement::new(|| Definition {
    name: "perijove_event",
    help: "The last event of a subject.",
    tags: &["kind", "subject", "severity"],
    fields: vec![gauge("last_time_seconds", "s", "When it was, since 1970.", |last| {
        Some((last.time_ns / 1_000_000) as f64 / 1000.0)
    })],
});

/// What is told of events as series.
pub const MEASUREMENTS: &[&dyn Schema] = &[&TOTALS, &WATCHED, &LAST];

impl Watch {
    pub fn new(router: &str, state: State, wake: Sender<Option<Arc<Watch>>>) -> Watch {
        let (tags, state) = (Mutex::default(), Mutex::new(state));
        Watch { router: router.into(), tags, state, wake }
    }

    /// The tags that the operator gave the router.
    pub fn set_tags(&self, tags: &Tags) {
        *lock(&self.tags) = tags.clone();
    }

    pub fn tags(&self) -> Tags {
        lock(&self.tags).clone()
    }

    /// The state, which knows by then whether our clock was set, and the time.
    fn state(&self) -> (MutexGuard<'_, State>, u64) {
        let mut state = lock(&self.state);
        let now_ns = now_ns();
        if let Some(by_ns) = state.steps.look(Instant::now(), now_ns) {
            state.clock_was_set(by_ns);
        }
        (state, now_ns)
    }

    /// Compares the points of a poll that goes on.
    pub fn see(&self, batch: &Batch) {
        let (mut state, now_ns) = self.state();
        for point in batch.points.iter() {
            state.see(batch.collector, &point, batch.time_ns, now_ns);
        }
    }

    /// A collector's poll has ended. `whole` has the queries that the router answered, a bit for
    /// each, if no part of a reply was missing.
    pub fn end(
        self: &Arc<Self>,
        collector: &str,
        measurements: &[&'static dyn Schema],
        whole: Option<u64>,
        asked_ns: u64,
    ) {
        let mut state = lock(&self.state);
        let is_rows = |schema: &&'static dyn Schema| {
            plan::plan(*schema).fields.iter().any(plan::Watched::is_row)
        };
        let has_rows = measurements.iter().any(is_rows);
        match whole {
            Some(answered) if has_rows => state.ended(collector, answered, asked_ns),
            _ => state.failed(collector),
        }
        let has_news = state.is_dirty || !state.pending.is_empty();
        drop(state);
        if has_news {
            let _ = self.wake.send(Some(self.clone()));
        }
    }

    /// Takes events that somebody else has seen, such as in syslog.
    pub fn with_state<T>(self: &Arc<Self>, change: impl FnOnce(&mut State) -> T) -> T {
        let (mut state, _) = self.state();
        let changed = change(&mut state);
        let has_news = state.is_dirty;
        drop(state);
        if has_news {
            let _ = self.wake.send(Some(self.clone()));
        }
        changed
    }

    /// What there is to write and to hand over. The events before `settled` are with all outputs.
    pub fn news(&self, settled: u64) -> News {
        let mut state = lock(&self.state);
        state.settle(settled);
        let is_dirty = std::mem::take(&mut state.is_dirty);
        let bytes = is_dirty.then(|| file::encode(&state));
        News { bytes, events: state.pending.iter().cloned().collect(), first: state.first }
    }

    /// What is on disk is not up to date.
    pub fn not_saved(&self) {
        lock(&self.state).is_dirty = true;
    }

    /// Points about the events; for Prometheus, which gets no events, the last of each subject too.
    pub fn points(&self, for_prometheus: bool, points: &mut Points) {
        let state = lock(&self.state);
        for (kind, total) in &state.totals {
            points.push(&TOTALS, &[kind], &Counted { total: *total });
        }
        let subjects = (state.slots.len() + state.rows.len()) as u64;
        let (pending, bytes) = (state.pending.len() as u64, state.bytes() as u64);
        let counts = [subjects, state.dropped, state.damped, pending, bytes];
        points.push(&WATCHED, &[], &counts);
        if for_prometheus {
            for ((kind, subject), last) in &state.last {
                points.push(&LAST, &[kind, subject, last.severity.word()], last);
            }
        }
    }
}
