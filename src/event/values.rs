//! Values: fields of points that are always there, such as the state of an interface.

use std::borrow::Cow;

use super::plan::{Watched, number};
use super::state::{FLAPS, Old, Slot, State, TEXT_BYTES, TEXT_BYTES_MAX, age, seconds};
use crate::base::text::shortened;
use crate::point::{Point, Value};

/// An uptime may fall by so much by rounding.
const UPTIME_SLACK_S: f64 = 2.0;
/// A restart is found after a restart of perijove too, if the uptime that was kept is not older.
const SAVE_UPTIME_S: f64 = 3600.0;

impl State {
    pub(super) fn see_value(
        &mut self,
        watched: &Watched,
        point: &Point,
        key: u64,
        (seen_ns, now_ns): (u64, u64),
    ) {
        let Some(value) = point.field(watched.field) else { return };
        let bits = match value {
            Value::Integer(number) => number,
            Value::Decimal(number) => number.to_bits(),
            Value::Text(text) => self.hash(text),
        };
        let seen_s = seconds(seen_ns);
        let now = Slot { value: bits, seen_s };
        let Some(slot) = self.slots.get_mut(&key) else {
            self.watch_value(watched.rule.kind, key, now, value);
            self.see_flaps(watched, point, key, seen_s);
            return;
        };
        let before = *slot;
        if before.seen_s == seen_s || self.told.get(&key).is_some_and(|told| *told > seen_ns) {
            // Two points of one poll: the first holds.
            return;
        }
        *slot = now;
        let flaps = self.see_flaps(watched, point, key, seen_s);
        // What the counter has grown by was told already.
        let flaps = if self.told.remove(&key).is_some() { 0 } else { flaps };
        if before.value == bits && flaps == 0 {
            return self.calm(key, watched, point, seen_ns);
        }
        let old = match value {
            Value::Integer(_) => Old::Number(before.value as f64),
            Value::Decimal(_) => Old::Number(f64::from_bits(before.value)),
            Value::Text(text) if before.value == bits => Old::Text(text.into()),
            Value::Text(text) => {
                let before = self.texts.get(&key).map_or(0, |text| text.len());
                let room = if self.has_room(TEXT_BYTES_MAX) { TEXT_BYTES_MAX } else { before };
                let text = shortened(text, room);
                self.words_bytes = (self.words_bytes + text.len()).saturating_sub(before);
                Old::Text(self.texts.insert(key, text.into()).unwrap_or_default())
            }
        };
        self.is_dirty = true;
        let is_flap = before.value == bits;
        let mut event = self.event(watched, point, (seen_ns, now_ns), Some(before.seen_s), old);
        event.count = flaps.max(1);
        if is_flap {
            event.severity = watched.rule.worst();
            event.message = format!("it changed and came back, {flaps} times by its counter");
        }
        self.report(key, event);
    }

    pub(super) fn watch_value(&mut self, kind: &'static str, key: u64, slot: Slot, value: Value) {
        let text = match value {
            Value::Text(text) => Some(shortened(text, TEXT_BYTES_MAX)),
            _ => None,
        };
        let bytes = text.map_or(0, |text| TEXT_BYTES + text.len());
        if !self.has_room(bytes) {
            self.dropped += 1;
            return;
        }
        self.slots.insert(key, slot);
        if let Some(text) = text {
            self.texts.insert(key, text.into());
            self.words_bytes += bytes;
        }
        // So that the counter is there before the first event.
        self.totals.entry(Cow::Borrowed(kind)).or_default();
        self.is_dirty = true;
    }

    /// How much the counter of changes has grown; 0 where it was cleared, or there is none.
    pub(super) fn see_flaps(
        &mut self,
        watched: &Watched,
        point: &Point,
        key: u64,
        seen_s: u32,
    ) -> u64 {
        let Some(counter) = number(point, watched.flaps) else { return 0 };
        let (key, value) = (key ^ FLAPS, counter as u64);
        match self.slots.get_mut(&key) {
            Some(slot) => {
                let before = std::mem::replace(slot, Slot { value, seen_s });
                if before.value != value {
                    self.is_dirty = true;
                }
                value.saturating_sub(before.value)
            }
            None => {
                let slot = Slot { value, seen_s };
                self.watch_value(watched.rule.kind, key, slot, Value::Integer(value));
                0
            }
        }
    }

    pub(super) fn see_uptime(
        &mut self,
        watched: &Watched,
        point: &Point,
        key: u64,
        (seen_ns, now_ns): (u64, u64),
    ) {
        let Some(uptime) = number(point, Some(watched.field)) else { return };
        let seen_s = seconds(seen_ns);
        let slot = Slot { value: uptime.to_bits(), seen_s };
        let Some(before) = self.slots.get(&key).copied() else {
            return self.watch_value(watched.rule.kind, key, slot, Value::Decimal(uptime));
        };
        if before.seen_s == seen_s {
            return;
        }
        self.slots.insert(key, slot);
        let old = f64::from_bits(before.value);
        if uptime + UPTIME_SLACK_S >= old {
            self.is_dirty |= (uptime / SAVE_UPTIME_S).floor() > (old / SAVE_UPTIME_S).floor();
            return;
        }
        self.is_dirty = true;
        let prior = Some(before.seen_s);
        let mut event = self.event(watched, point, (seen_ns, now_ns), prior, Old::Number(old));
        event.from = format!("up for {old:.0} s");
        event.to = "started again".into();
        event.when = age(uptime, seen_ns, now_ns);
        self.report(key, event);
    }
}
