//! Rows: points that come and go, such as alarms.

use super::plan::{Table, Watched, number};
use super::record::Event;
use super::state::{
    Changed, Coming, Old, Polls, Row, State, VALUE_BYTES, nanoseconds, polled, seconds,
};
use crate::base::changes::Watch;
use crate::point::Point;

/// A row that only comes is remembered for so long after it was last seen.
const ROW_LONGEST_S: u32 = 30 * 86_400;

impl State {
    pub(super) fn see_row(
        &mut self,
        collector: &str,
        watched: &Watched,
        point: &Point,
        key: u64,
        (seen_ns, now_ns): (u64, u64),
    ) {
        let Some(value) = number(point, Some(watched.field)) else { return };
        let is_outdated = self.told.get(&key).is_some_and(|told| *told > seen_ns);
        let outdated = self.rows.get_mut(&key).filter(|_| is_outdated);
        if let Some(row) = outdated {
            row.missed_s = None;
            return;
        }
        self.told.remove(&key);
        if self.rows.get(&key).is_some_and(|row| row.value == value) {
            return self.comes(collector, key, None);
        }
        let prior = self.polls.get(collector).map(|polls| polls.last_s);
        let old = self.rows.get(&key).map_or(0.0, |row| row.value);
        let times = (seen_ns, now_ns);
        let mut event = self.event(watched, point, times, prior, Old::Number(old));
        if value < old {
            // What the point tells is the time of something that began.
            event.when = polled(seen_ns, prior.map(nanoseconds));
        }
        let is_presence = watched.rule.watch == Watch::Presence;
        let word = |number: f64| watched.rule.word(number).map_or(number.to_string(), Into::into);
        let row = Row {
            collector: collector.into(),
            kind: watched.rule.kind.into(),
            subject: event.subject.clone(),
            re_name: event.re_name.clone(),
            value,
            seen_s: seconds(seen_ns),
            missed_s: None,
            words: is_presence.then(|| (word(value), watched.rule.gone.into())),
            gone: watched.rule.severity(value, 0.0, watched.rule.gone, |_| ""),
            user: event.user.clone(),
            message: event.message.clone(),
        };
        let bytes = row.bytes();
        let is_new = !self.rows.contains_key(&key);
        let is_too_much = self.coming_bytes + bytes > self.limits.subjects_max * VALUE_BYTES;
        if is_too_much || is_new && !self.has_room(self.coming_bytes + bytes) {
            self.dropped += 1;
            return;
        }
        self.coming_bytes += bytes;
        self.comes(collector, key, Some(Box::new(Changed { row, event, is_presence })));
    }

    /// Each collector has its own, as one reply may be read by several.
    fn comes(&mut self, collector: &str, key: u64, changed: Option<Box<Changed>>) {
        let row = Coming { key, changed };
        match self.coming.get_mut(collector) {
            // So many are not kept: some are there twice.
            Some(coming) if coming.len() >= self.limits.subjects_max => self.dropped += 1,
            Some(coming) => coming.push(row),
            None => drop(self.coming.insert(collector.into(), vec![row])),
        }
    }

    /// What has come of a collector.
    fn take_coming(&mut self, collector: &str) -> Vec<Coming> {
        let coming = self.coming.remove(collector).unwrap_or_default();
        let changed = coming.iter().filter_map(|coming| coming.changed.as_ref());
        self.coming_bytes -= changed.map(|changed| changed.row.bytes()).sum::<usize>();
        coming
    }

    /// A poll of a collector has failed: its rows say nothing.
    pub fn failed(&mut self, collector: &str) {
        self.take_coming(collector);
    }

    /// A poll of a collector that has rows has ended well; `answered` are the queries that the
    /// router answered.
    pub fn ended(&mut self, collector: &str, answered: u64, seen_ns: u64) {
        let coming = self.take_coming(collector);
        let before = self.polls.get(collector).copied();
        // With other queries answered than before, what comes or goes says nothing.
        let is_silent = before.is_none_or(|before| before.answered != answered);
        let seen_s = seconds(seen_ns);
        let mut here: Table<()> = Table::default();
        for Coming { key, changed } in coming {
            // Of two rows of one poll, the first holds.
            if here.insert(key, ()).is_some() {
                continue;
            }
            match (changed, self.rows.get_mut(&key)) {
                (Some(changed), _) => self.end_row(key, *changed, is_silent),
                (None, Some(row)) => {
                    row.seen_s = seen_s;
                    self.is_dirty |= row.missed_s.take().is_some();
                }
                (None, None) => {}
            }
        }
        let of_collector = self.rows.iter().filter(|(_, row)| row.collector == collector);
        let missing = of_collector.map(|(key, _)| *key).filter(|key| !here.contains_key(key));
        for key in missing.collect::<Vec<u64>>() {
            self.miss(key, seen_ns, is_silent);
        }
        self.is_dirty |= is_silent;
        self.tidy_damping(seen_s);
        self.polls.insert(collector.into(), Polls { answered, last_s: seen_s });
    }

    fn end_row(&mut self, key: u64, changed: Changed, is_silent: bool) {
        let Changed { row, mut event, is_presence } = changed;
        let (kept, bytes) = (self.rows.get(&key), row.bytes());
        if kept.is_none() && !self.has_room(bytes) {
            self.dropped += 1;
            return;
        }
        // A session that is new and down is no news.
        let is_news = match kept {
            None => row.value != 0.0,
            Some(kept) => is_presence && kept.value != row.value,
        };
        if !is_presence {
            (event.from, event.to) = Default::default();
        }
        self.is_dirty |= is_news || kept.is_none_or(|kept| kept.missed_s.is_some());
        self.totals.entry(row.kind.clone()).or_default();
        let number = row.value as u64;
        let old = self.rows.insert(key, Box::new(row));
        self.free(old.map_or(0, |row| row.bytes()));
        self.words_bytes += bytes;
        let is_told = is_news && self.heard.has_said(&event, number);
        let is_told = !is_news || is_silent || is_told;
        if !is_told && self.heard.is_first(&event, false, self.clock_ahead_ns) {
            self.report(key, event);
        }
    }

    /// A message may have made words longer since they were counted.
    fn free(&mut self, bytes: usize) {
        self.words_bytes = self.words_bytes.saturating_sub(bytes);
    }

    /// A whole reply lacks a row.
    pub(super) fn miss(&mut self, key: u64, seen_ns: u64, is_silent: bool) {
        let seen_s = seconds(seen_ns);
        let Some(row) = self.rows.get_mut(&key) else { return };
        let is_old = seen_s.saturating_sub(row.seen_s) >= ROW_LONGEST_S;
        let missed_s = match (&row.words, row.missed_s) {
            (None, _) if !is_old => return,
            (None, _) => seen_s,
            (Some(_), _) if is_silent => seen_s,
            (Some(_), Some(missed_s)) => missed_s,
            (Some(_), None) => {
                row.missed_s = Some(seen_s);
                self.is_dirty = true;
                return;
            }
        };
        self.is_dirty = true;
        let Some(row) = self.rows.remove(&key) else { return };
        self.free(row.bytes());
        if row.words.is_some() && row.value != 0.0 && !is_silent {
            let event = gone_event(*row, missed_s, seen_ns);
            if self.heard.is_first(&event, false, self.clock_ahead_ns) {
                self.report(key, event);
            }
        }
    }
}

/// A row was missed first at `missed_s`, and again at `seen_ns`.
fn gone_event(row: Row, missed_s: u32, seen_ns: u64) -> Event {
    let (missed_ns, last_ns) = (nanoseconds(missed_s), nanoseconds(row.seen_s));
    let mut when = polled(missed_ns, Some(last_ns));
    // Both are whole seconds.
    when.exactness_ms = when.exactness_ms.map(|exactness| exactness.max(1000));
    let mut event = Event::new(row.kind, &row.subject, when);
    event.severity = row.gone;
    (event.from, event.to) = row.words.unwrap_or_default();
    (event.re_name, event.user, event.message) = (row.re_name, row.user, row.message);
    event.seen_ns = seen_ns;
    event
}
