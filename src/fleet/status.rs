//! What is known of a list: the thread that reads it writes, the daemon reads.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::document::Group;
use super::list::{List, Members};
use crate::base::sync::lock;
use crate::point::{Definition, Measurement, Points, Schema, counter, gauge, text};

static LIST: Measurement<State> = Measurement::new(|| Definition {
    name: "perijove_list",
    help: "A list of routers.",
    tags: &["list"],
    fields: vec![
        gauge("success", "", "1 if it could be read the last time.", |s| {
            (s.reads > 0).then_some(u64::from(s.failure.is_none()))
        }),
        counter("reads_total", "", "Times that it was read.", |s| Some(s.reads)),
        counter("failed_reads_total", "", "Those that failed.", |s| Some(s.failed_reads)),
        gauge("last_success_age_seconds", "s", "Age of the list that is in use.", |s| {
            Some(s.last_success?.elapsed().as_secs_f64())
        }),
        gauge("routers", "", "Its routers that are polled here.", |s| Some(s.routers)),
        gauge("rejected_targets", "", "Targets and labels that did not fit.", |s| Some(s.rejected)),
        gauge("duplicate_targets", "", "Targets whose router is there already.", |s| {
            Some(s.duplicates)
        }),
        gauge("dropped_targets", "", "Targets beyond targets_max.", |s| Some(s.dropped)),
        text("error", "Why it could not be read the last time.", |s| s.failure.as_deref()),
    ],
});

pub const MEASUREMENTS: &[&dyn Schema] = &[&LIST];

#[derive(Clone, Default)]
struct State {
    groups: Arc<Vec<Group>>,
    reads: u64,
    failed_reads: u64,
    last_success: Option<Instant>,
    failure: Option<String>,
    routers: u64,
    rejected: u64,
    duplicates: u64,
    dropped: u64,
    /// What was said in the log already.
    said: (u64, u64, u64),
}

/// What was read of a list before, and when: another unit for it goes on from there.
pub type Known = (Arc<Vec<Group>>, Option<Instant>);

pub struct ListStatus {
    pub name: String,
    state: Mutex<State>,
}

impl ListStatus {
    pub fn new(list: &List, (groups, last_success): Known) -> ListStatus {
        let state = State { groups, last_success, ..State::default() };
        ListStatus { name: list.name.clone(), state: Mutex::new(state) }
    }

    pub fn known(&self) -> Known {
        let state = lock(&self.state);
        (state.groups.clone(), state.last_success)
    }

    /// Whether it was tried to read it.
    pub fn is_tried(&self) -> bool {
        lock(&self.state).reads > 0
    }

    /// Takes what was read; whether it differs from what was known. After a failure the last list
    /// stays in use.
    pub fn read(&self, read: Result<Vec<Group>, String>) -> bool {
        let (name, now) = (&self.name, Instant::now());
        let mut state = lock(&self.state);
        state.reads += 1;
        match read {
            Ok(groups) => {
                if state.failure.take().is_some() {
                    log::info!("list {name}: works again");
                }
                state.last_success = Some(now);
                let is_new = *state.groups != groups;
                if is_new {
                    state.groups = Arc::new(groups);
                }
                is_new
            }
            Err(why) => {
                state.failed_reads += 1;
                if state.failure.as_ref() != Some(&why) {
                    let age = state.last_success.map(|last| (now - last).as_secs());
                    let kept = age.map_or("there is no older one".into(), |age| {
                        format!("the list that was read {age} s ago stays in use")
                    });
                    log::warn!("list {name}: {why}; {kept}");
                }
                state.failure = Some(why);
                false
            }
        }
    }

    /// Notes what became of the list, and logs what is new about it.
    pub fn taken(&self, members: &Members, again: u64, polled: u64) {
        let name = &self.name;
        let mut state = lock(&self.state);
        let Members { rejected, dropped, .. } = *members;
        let duplicates = members.duplicates + again;
        if rejected > 0 && state.said.0 != rejected {
            let first = members.first_rejected.as_deref().unwrap_or_default();
            log::warn!("list {name}: {rejected} targets or labels do not fit, first: {first}");
        }
        if duplicates > 0 && state.said.1 != duplicates {
            log::warn!(
                "list {name}: {duplicates} targets are left out: a [[router]] or a target before \
                 has the same name"
            );
        }
        if dropped > 0 && state.said.2 != dropped {
            log::warn!("list {name}: {dropped} targets are left out, beyond targets_max");
        }
        state.said = (rejected, duplicates, dropped);
        (state.routers, state.rejected) = (polled, rejected);
        (state.duplicates, state.dropped) = (duplicates, dropped);
    }

    /// The point about it.
    pub fn points(&self, points: &mut Points) {
        points.push(&LIST, &[&self.name], &*lock(&self.state));
    }
}
