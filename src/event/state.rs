//! The last state of what is watched on a router, and what a new point says about it.
//!
//! Two kinds of things are kept. A *value* is what a field last was: a number, or the hash of a
//! text with the text beside it. It is found by a hash of its kind and subject, so that it takes 32
//! to 57 bytes, whatever it is called. A *row* is a point that may come and go, such as an alarm:
//! it has its words, because what goes is in no reply.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hasher};

use super::heard::Heard;
use super::plan::{self, Part, Plans, Table, Watched, number, re_name};
use super::record::{Clock, Event, When};
use crate::base::changes::{Severity, Watch};
use crate::base::clock::Steps;
use crate::base::text::shortened;
use crate::point::{Point, Value};

/// How much is kept, and how often one thing may be reported.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Values of a router, of 60 bytes each; a text and a row count as so many values as they are
    /// larger. What is beyond is not watched, and is counted.
    pub subjects_max: usize,
    /// Events of one value within `flaps_window_s`; more are damped.
    pub flaps_max: u32,
    pub flaps_window_s: u32,
}

/// A value takes at most so much, in a table that has just grown.
pub(super) const VALUE_BYTES: usize = 60;
/// A row takes so much, besides its words.
const ROW_BYTES: usize = VALUE_BYTES + size_of::<Row>();
/// A text takes so much there, besides itself.
pub(super) const TEXT_BYTES: usize = VALUE_BYTES;

/// What the settings say of events.
#[derive(Clone, Debug, PartialEq)]
pub struct EventsConfig {
    pub limits: Limits,
    /// Each event is a line in the log, too.
    pub log: bool,
}

/// So many events of a router wait until all outputs have taken them.
pub const PENDING_MAX: usize = 10_000;
/// So many subjects' last changes are told.
pub const LAST_MAX: usize = 1000;
/// So much of a text is kept, and shown as the state before.
pub(super) const TEXT_BYTES_MAX: usize = 256;
/// Between the parts of a key; XML has no such character.
const SEPARATOR: &str = "\0";
/// By the key of a value and this, what its counter of changes was is found.
pub(super) const FLAPS: u64 = 1 << 63;
/// An age that the router tells may miss the poll before by so much.
const SLACK_NS: u64 = 3_000_000_000;

/// What a field last was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// An integer, the bits of a decimal, or the hash of a text.
    pub value: u64,
    /// The poll that saw it last, in seconds since 1970.
    pub seen_s: u32,
}

/// A point that was there.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub collector: String,
    pub kind: Cow<'static, str>,
    pub subject: String,
    pub re_name: String,
    pub value: f64,
    pub seen_s: u32,
    /// The first poll that lacked it, of those since: in one reply it may be missing by chance.
    pub missed_s: Option<u32>,
    /// That it goes is an event, from the first of these words to the second.
    pub words: Option<(String, String)>,
    /// How severe that is.
    pub gone: Severity,
    pub user: String,
    pub message: String,
}

/// The polls of a collector with rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Polls {
    /// The queries that the router answered, a bit for each.
    pub answered: u64,
    pub last_s: u32,
}

/// How often a value was reported lately.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Damping {
    pub since_s: u32,
    pub reported: u32,
    /// Changes that were not reported, and when the last of them was.
    pub held: u64,
    pub last_s: u32,
}

/// The last change of a subject.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Last {
    pub time_ns: u64,
    pub severity: Severity,
}

/// A row of the poll that goes on.
pub(super) struct Coming {
    pub key: u64,
    /// What is new about it; nothing where it is as it was.
    pub changed: Option<Box<Changed>>,
}

pub(super) struct Changed {
    pub row: Row,
    pub event: Event,
    pub is_presence: bool,
}

impl Row {
    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        let Row { collector, subject, re_name, user, message, words, .. } = self;
        let (now, gone) = words.as_ref().map_or(("", ""), |(now, gone)| (now, gone));
        let texts = [collector, subject, re_name, user, message, now, gone];
        ROW_BYTES + texts.iter().map(|text| text.len()).sum::<usize>()
    }
}

pub struct State {
    pub limits: Limits,
    /// Random, so that nobody can choose subjects that share a key; kept, so that keys stay.
    pub secret: u64,
    pub slots: Table<Slot>,
    pub texts: Table<Box<str>>,
    pub rows: Table<Box<Row>>,
    /// What texts and rows take in memory.
    pub words_bytes: usize,
    pub polls: BTreeMap<String, Polls>,
    pub damping: Table<Damping>,
    /// By kind and subject.
    pub last: BTreeMap<(String, String), Last>,
    /// Events so far, by kind.
    pub totals: BTreeMap<Cow<'static, str>, u64>,
    /// Events that some output may not have taken yet; the newest are at the end.
    pub pending: VecDeque<Event>,
    /// The number of the first of them; they are counted from the start of the program.
    pub first: u64,
    /// What has changed is not on disk.
    pub is_dirty: bool,
    /// Values and rows for which there was no room.
    pub dropped: u64,
    /// Events that were damped.
    pub damped: u64,
    /// What a message told since the last poll, and when: replies from before are outdated.
    pub(super) told: Table<u64>,
    /// What messages have said.
    pub(super) heard: Heard,
    /// How far the router's clock is ahead of ours.
    pub(super) clock_ahead_ns: Option<i64>,
    pub(super) steps: Steps,
    pub(super) coming: BTreeMap<String, Vec<Coming>>,
    /// What the rows in it take.
    pub(super) coming_bytes: usize,
    plans: Plans,
    /// Room for what a key is made of.
    room: String,
}

impl State {
    pub fn new(limits: Limits, secret: u64) -> State {
        let (slots, texts, rows, polls, damping) = Default::default();
        let (last, totals, pending, coming) = Default::default();
        State {
            limits,
            secret,
            slots,
            texts,
            rows,
            words_bytes: 0,
            polls,
            damping,
            last,
            totals,
            pending,
            first: 0,
            is_dirty: false,
            dropped: 0,
            damped: 0,
            told: Table::default(),
            heard: Heard::default(),
            clock_ahead_ns: None,
            steps: Steps::default(),
            coming,
            coming_bytes: 0,
            plans: Plans::default(),
            room: String::new(),
        }
    }

    /// What values, texts and rows take in memory, at most.
    pub fn bytes(&self) -> usize {
        self.slots.len() * VALUE_BYTES + self.words_bytes
    }

    /// Whether a value more, or words that take so much, still fit.
    pub(super) fn has_room(&self, words_bytes: usize) -> bool {
        let words = (self.words_bytes + words_bytes).div_ceil(VALUE_BYTES);
        self.slots.len() + words < self.limits.subjects_max
    }

    /// What a value of that kind and subject is found by.
    pub fn key(&self, kind: &str, re_name: &str, subject: &str) -> u64 {
        let words = [re_name, subject, ""].join(SEPARATOR);
        self.hash(&words) ^ plan::kind_key(kind)
    }

    /// The same of a point, without its kind: of the parts that tell it from others.
    fn key_of(&mut self, parts: &[Part], point: &Point, re_name: &str) -> u64 {
        let mut words = std::mem::take(&mut self.room);
        words.clear();
        words += re_name;
        words += SEPARATOR;
        let (start, mut room) = (words.len(), String::new());
        for part in parts {
            let text = plan::text(point, *part, &mut room);
            if words.len() > start && !text.is_empty() {
                words.push(' ');
            }
            words += text;
        }
        words += SEPARATOR;
        let key = self.hash(&words);
        self.room = words;
        key
    }

    pub(super) fn hash(&self, text: &str) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.secret);
        hasher.write(text.as_bytes());
        hasher.finish()
    }

    /// Compares a point with what is kept. `seen_ns` is when its reply was asked for, and `now_ns`
    /// when it was read.
    pub fn see(&mut self, collector: &str, point: &Point, seen_ns: u64, now_ns: u64) {
        let plan = self.plans.of(point.schema);
        let mut key = 0;
        for watched in &plan.fields {
            if !watched.has_same_key {
                let re_name = plan.re_name(point);
                self.heard.see_name(re_name);
                key = self.key_of(&watched.key, point, re_name);
            }
            let found_by = key ^ watched.kind_key;
            match watched.rule.watch {
                Watch::Clock => self.see_clock(watched, point, seen_ns, now_ns),
                Watch::Change => self.see_value(watched, point, found_by, (seen_ns, now_ns)),
                Watch::Restart => self.see_uptime(watched, point, found_by, (seen_ns, now_ns)),
                Watch::Presence | Watch::Appearance => {
                    self.see_row(collector, watched, point, found_by, (seen_ns, now_ns));
                }
            }
        }
    }

    /// Our clock was set: what is to be compared with it moves along. How far the router's is ahead
    /// is not known until it is asked again.
    pub fn clock_was_set(&mut self, by_ns: i64) {
        self.clock_ahead_ns = None;
        for until_ns in self.told.values_mut() {
            *until_ns = until_ns.saturating_add_signed(by_ns);
        }
        self.heard.clock_was_set(by_ns);
    }

    /// The router tells whole seconds, at some moment between the request and now.
    fn see_clock(&mut self, watched: &Watched, point: &Point, seen_ns: u64, now_ns: u64) {
        let Some(theirs) = number(point, Some(watched.field)) else { return };
        let ours = |time_ns: u64| time_ns as f64 / 1e9;
        let is_ours = (ours(seen_ns) - 1.0..=ours(now_ns)).contains(&theirs);
        let ahead = if is_ours { 0.0 } else { theirs - ours(seen_ns / 2 + now_ns / 2) };
        self.clock_ahead_ns = Some((ahead * 1e9) as i64);
    }

    /// The event of a change.
    pub(super) fn event(
        &self,
        watched: &Watched,
        point: &Point,
        (seen_ns, now_ns): (u64, u64),
        prior_s: Option<u32>,
        old: Old,
    ) -> Event {
        let rule = watched.rule;
        let shown = |number: f64| rule.word(number).map_or(number.to_string(), Into::into);
        let (to, to_number) = match point.field(watched.field) {
            Some(Value::Text(text)) => (shortened(text, TEXT_BYTES_MAX).to_string(), 0.0),
            _ => {
                let number = number(point, Some(watched.field)).unwrap_or_default();
                (shown(number), number)
            }
        };
        let (from, from_number) = match old {
            Old::Number(number) => (shown(number), number),
            Old::Text(text) => (text.into(), 0.0),
        };
        let tags = point.schema.tags();
        let tag =
            |name: &str| tags.iter().position(|tag| *tag == name).map_or("", |at| point.tag(at));
        let when = self.when(watched, point, (seen_ns, now_ns), prior_s);
        let mut event = Event::new(rule.kind, &subject(point, &watched.subject), when);
        event.severity = rule.severity(from_number, to_number, &to, tag);
        event.re_name = re_name(point).into();
        event.seen_ns = seen_ns;
        (event.from, event.to) = (from, to);
        event.user = plan::named(point, rule.user);
        event.comment = plan::named(point, rule.comment);
        event.message = plan::named(point, rule.message);
        event
    }

    /// When a change was: by an age if the router tells one that fits, by the router's clock if it
    /// tells a time, and otherwise between the last two polls.
    pub(super) fn when(
        &self,
        watched: &Watched,
        point: &Point,
        (seen_ns, now_ns): (u64, u64),
        prior_s: Option<u32>,
    ) -> When {
        let prior_ns = prior_s.map(|prior| u64::from(prior) * 1_000_000_000);
        if let Some(ago) = number(point, watched.ago).filter(|ago| *ago >= 0.0) {
            let when = age(ago, seen_ns, now_ns);
            // An older one is of another change. If our clock went back, nobody can tell.
            let fits =
                prior_ns.is_none_or(|prior| prior > seen_ns || when.time_ns + SLACK_NS >= prior);
            if fits {
                return when;
            }
        }
        let at = number(point, watched.at).filter(|at| *at > 0.0);
        let at = at.map(|at| self.router_time((at * 1e9) as u64));
        // One that is older is of another change, unless the clocks differ; one that is to come is
        // by a clock that was set since.
        let fits = |when: &When| {
            let is_new =
                prior_ns.is_none_or(|prior| prior > seen_ns || when.time_ns + SLACK_NS >= prior);
            when.clock == Clock::RouterAlone || is_new && when.time_ns <= now_ns + SLACK_NS
        };
        at.filter(fits).unwrap_or_else(|| polled(seen_ns, prior_ns))
    }

    /// A time by the router's clock.
    pub(super) fn router_time(&self, time_ns: u64) -> When {
        match self.clock_ahead_ns {
            Some(ahead) => When {
                time_ns: time_ns.saturating_add_signed(-ahead),
                exactness_ms: Some(if ahead == 0 { 1000 } else { 2000 }),
                clock: Clock::Router,
            },
            None => When { time_ns, exactness_ms: None, clock: Clock::RouterAlone },
        }
    }

    /// Takes an event as it is.
    pub fn add(&mut self, event: Event) {
        self.is_dirty = true;
        *self.totals.entry(event.kind.clone()).or_default() += event.count;
        let key = (event.kind.to_string(), event.subject.clone());
        let last = Last { time_ns: event.when.time_ns, severity: event.severity };
        if self.last.len() < LAST_MAX || self.last.contains_key(&key) {
            self.last.insert(key, last);
        } else if let Some(oldest) = self.oldest() {
            self.last.remove(&oldest);
            self.last.insert(key, last);
        }
        if self.pending.len() >= PENDING_MAX {
            self.pending.pop_front();
            self.first += 1;
        }
        self.pending.push_back(event);
    }

    pub(super) fn oldest(&self) -> Option<(String, String)> {
        let oldest = self.last.iter().min_by_key(|(_, last)| last.time_ns);
        oldest.map(|(key, _)| key.clone())
    }

    /// The events before this number are with all outputs.
    pub fn settle(&mut self, number: u64) {
        let done = number.saturating_sub(self.first).min(self.pending.len() as u64);
        self.pending.drain(..done as usize);
        self.first += done;
        self.is_dirty |= done > 0;
    }
}

/// What a value was before.
pub(super) enum Old {
    Number(f64),
    Text(Box<str>),
}

pub(super) fn nanoseconds(time_s: u32) -> u64 {
    u64::from(time_s) * 1_000_000_000
}

pub(super) fn seconds(time_ns: u64) -> u32 {
    u32::try_from(time_ns / 1_000_000_000).unwrap_or(u32::MAX)
}

/// So many seconds ago, where the reply was asked for at `seen_ns` and read by `now_ns`.
pub(super) fn age(ago: f64, seen_ns: u64, now_ns: u64) -> When {
    let time_ns = seen_ns.saturating_sub((ago * 1e9) as u64);
    let read_ms = now_ns.saturating_sub(seen_ns) / 1_000_000;
    When { time_ns, exactness_ms: Some(1000 + read_ms), clock: Clock::Age }
}

/// Between the last two polls.
pub(super) fn polled(seen_ns: u64, prior_ns: Option<u64>) -> When {
    let apart = prior_ns.and_then(|prior| seen_ns.checked_sub(prior));
    When {
        time_ns: seen_ns,
        exactness_ms: apart.map(|apart| apart / 1_000_000),
        clock: Clock::Poll,
    }
}

fn subject(point: &Point, parts: &[Part]) -> String {
    let mut subject = String::new();
    let mut room = String::new();
    for part in parts {
        let text = plan::text(point, *part, &mut room);
        if !subject.is_empty() && !text.is_empty() {
            subject.push(' ');
        }
        subject += text;
    }
    subject
}
