//! What changes too often is not told each time.

use super::plan::{Watched, number};
use super::record::Event;
use super::state::{Damping, Limits, Old, State, polled, seconds};
use crate::point::{Point, Value};

impl State {
    /// Reports an event of a value or a row, unless there were too many.
    pub(super) fn report(&mut self, key: u64, mut event: Event) {
        let now_s = seconds(event.seen_ns);
        let Limits { flaps_max, flaps_window_s, .. } = self.limits;
        let damping = self.damping.entry(key).or_default();
        if now_s < damping.since_s || now_s - damping.since_s >= flaps_window_s {
            *damping = Damping { since_s: now_s, held: damping.held, ..Damping::default() };
        }
        damping.last_s = now_s;
        if damping.reported >= flaps_max {
            damping.held += event.count;
            self.damped += event.count;
            return;
        }
        damping.reported += 1;
        event.count += std::mem::take(&mut damping.held);
        self.add(event);
    }

    /// Nothing changed: what was damped is reported once it is over.
    pub(super) fn calm(&mut self, key: u64, watched: &Watched, point: &Point, seen_ns: u64) {
        if self.damping.is_empty() {
            return;
        }
        let Some(damping) = self.damping.get(&key).copied() else { return };
        let now_s = seconds(seen_ns);
        let quiet_s = now_s.saturating_sub(damping.last_s);
        if now_s >= damping.last_s && quiet_s < self.limits.flaps_window_s {
            return;
        }
        self.damping.remove(&key);
        self.is_dirty = true;
        if damping.held == 0 {
            return;
        }
        let old = match point.field(watched.field) {
            Some(Value::Text(text)) => Old::Text(text.into()),
            _ => Old::Number(number(point, Some(watched.field)).unwrap_or_default()),
        };
        let mut event = self.event(watched, point, (seen_ns, seen_ns), None, old);
        event.when = polled(seen_ns, Some(u64::from(damping.last_s) * 1_000_000_000));
        event.count = damping.held;
        event.message = format!("calm again after {} changes that were damped", damping.held);
        self.add(event);
    }

    /// Forgets what was damped and is over.
    pub(super) fn tidy_damping(&mut self, now_s: u32) {
        let window_s = self.limits.flaps_window_s;
        self.damping.retain(|_, damping| {
            damping.held > 0 || now_s.saturating_sub(damping.last_s) < window_s
        });
    }
}
