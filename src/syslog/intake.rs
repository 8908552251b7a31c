//! What becomes of a line: an event, a point for those who want all lines, or a count.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::line::Line;
use super::listener::Taker;
use super::settings::SyslogConfig;
use super::sources::{From, Router, Sources};
use super::stamp::Stamp;
use super::status::{SyslogStatus, count};
use super::table::{self, COMMIT, Is, Said};
use crate::base::clock::now_ns;
use crate::base::panics;
use crate::base::text::safe;
use crate::event::record::{Clock, Event, When};
use crate::event::told::Told;
use crate::event::watch::Watch;
use crate::output::{self, Outputs, Patience};
use crate::point::{Batch, Definition, Measurement, Points, Schema, text};

/// What lines that are passed on have in place of a collector, and the name of their measurement.
pub const SYSLOG: &str = "syslog";
/// So many senders who are unknown are named in the log; the others are counted.
const NAMED_MAX: usize = 100;
/// So much of a message is kept.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Outputs that take data are waited for by so much between two waits for lines. Meanwhile lines
/// wait in the kernel, and what has no room there is counted.
const PATIENCE: Duration = Duration::from_millis(500);

/// So many lines to pass on are kept until the outputs get them.
const PASSED_MAX: usize = 512;

/// A router may bring about so many events at once, and a tenth of them in each second: each is
/// written to the disk.
const EVENTS_MAX: f64 = 1000.0;

/// RFC 5424 section 6.2.1.
const SEVERITIES: [&str; 8] =
    ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

/// Finds what is watched on a router.
pub type Find = Box<dyn Fn(&str) -> Option<Arc<Watch>> + Send>;

pub struct Intake {
    settings: SyslogConfig,
    outputs: Outputs,
    status: Arc<SyslogStatus>,
    find: Find,
    routers: HashMap<String, Known>,
    named: HashSet<IpAddr>,
    /// Lines to pass on, by router; each has a time of its own.
    passed: Vec<(Arc<Router>, u64, Points)>,
    scratch: Vec<u8>,
}

/// What is known of a router that has sent lines.
struct Known {
    lines: Bucket,
    events: Bucket,
    is_over: bool,
    /// The last time that a line of it had.
    last_ns: u64,
    /// Who asked for the commit that goes on, and with which comment.
    commit: Option<(String, String)>,
}

static PASSED: Measurement<String> = Measurement::new(|| Definition {
    name: SYSLOG,
    help: "A line of syslog; the record's time is the line's.",
    tags: &["process", "event", "severity"],
    fields: vec![text("message", "Its text.", |line| Some(line))],
});

pub const MEASUREMENTS: &[&dyn Schema] = &[&PASSED];

impl Intake {
    pub fn new(
        settings: &SyslogConfig,
        outputs: Outputs,
        status: Arc<SyslogStatus>,
        find: Find,
    ) -> Intake {
        let (routers, named, passed, scratch) = Default::default();
        let settings = settings.clone();
        Intake { settings, outputs, status, find, routers, named, passed, scratch }
    }

    fn take_line(&mut self, sources: &Sources, from: From, bytes: &[u8], is_cut: bool) {
        let came_ns = now_ns();
        let lossy = String::from_utf8_lossy(bytes);
        let Some(line) = Line::read(&lossy) else {
            count(&self.status.lines);
            count(&self.status.malformed);
            return;
        };
        let Some(router) = sources.find(from, line.host).cloned() else {
            count(&self.status.refused_lines);
            return self.refuse(from);
        };
        count(&self.status.lines);
        if is_cut {
            count(&self.status.cut);
        }
        let rate = f64::from(self.settings.lines_per_second_max);
        let known = self.routers.entry(router.name.clone()).or_insert_with(|| Known::new(rate));
        if !known.lines.take(rate, rate) {
            count(&self.status.over_rate);
            known.say_over(&router.name, "lines than lines_per_second_max");
            return;
        }
        known.is_over &= !known.lines.is_half_full(rate);
        let when = known.when(line.stamp, came_ns);
        match table::find(&line) {
            Some(Said { is: Is::Requested, user, comment, .. }) => {
                known.commit = Some((user.into_owned(), comment.into_owned()));
                count(&self.status.known);
            }
            Some(said) => self.tell(&router, &line, said, when, came_ns),
            None => self.pass_on(&router, &line, when.time_ns),
        }
    }

    fn tell(&mut self, router: &Router, line: &Line, said: Said, when: When, came_ns: u64) {
        let Some(watch) = (self.find)(&router.name) else {
            count(&self.status.other);
            return;
        };
        let mut event = Event::new(said.kind, &said.subject, when);
        event.seen_ns = came_ns;
        event.severity = said.severity;
        (event.from, event.to) = (said.from.into(), said.to.into());
        (event.user, event.comment) = (said.user.into_owned(), said.comment.into_owned());
        event.message = safe(line.text, MESSAGE_BYTES_MAX);
        let Some(known) = self.routers.get_mut(&router.name) else { return };
        if !known.events.take(EVENTS_MAX / 10.0, EVENTS_MAX) {
            count(&self.status.over_rate);
            return known.say_over(&router.name, "messages of events than 100 per second");
        }
        if said.kind == COMMIT
            && let Some((user, comment)) = known.commit.take()
        {
            (event.user, event.comment) = (user, comment);
        }
        let told = match said.is {
            Is::State(number) => Told::State(number),
            Is::Happened | Is::Requested => Told::Happened,
        };
        let is_news = watch.with_state(|state| state.hear(event, told));
        count(if is_news { &self.status.events } else { &self.status.known });
    }

    fn pass_on(&mut self, router: &Arc<Router>, line: &Line, time_ns: u64) {
        count(&self.status.other);
        if self.settings.pass_on.is_none_or(|least| line.severity > least) {
            return;
        }
        count(&self.status.passed);
        let mut points = Points::default();
        points.set_tags(&router.tags);
        let tags = [line.process, line.tag, SEVERITIES[usize::from(line.severity & 7)]];
        let text = safe(line.text, self.settings.line_bytes_max);
        points.push(&PASSED, &tags, &text);
        self.passed.push((router.clone(), time_ns, points));
        if self.passed.len() >= PASSED_MAX {
            self.rest();
        }
    }
}

/// A limit for a rate: what may come now.
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn new(most: f64) -> Bucket {
        Bucket { tokens: most, filled: Instant::now() }
    }

    /// Takes one, of `rate` in a second and `most` at once; whether there was one.
    fn take(&mut self, rate: f64, most: f64) -> bool {
        let now = Instant::now();
        let more = rate * (now - self.filled).as_secs_f64();
        (self.tokens, self.filled) = ((self.tokens + more).min(most), now);
        let is_there = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(is_there));
        is_there
    }

    fn is_half_full(&self, most: f64) -> bool {
        self.tokens >= most / 2.0
    }
}

impl Known {
    fn new(rate: f64) -> Known {
        let (lines, events) = (Bucket::new(rate), Bucket::new(EVENTS_MAX));
        Known { lines, events, is_over: false, last_ns: 0, commit: None }
    }

    /// Says so once, until it has sent less for a while.
    fn say_over(&mut self, name: &str, what: &str) {
        if !std::mem::replace(&mut self.is_over, true) {
            log::warn!("syslog: {name} sends more {what}; the rest is dropped and counted");
        }
    }

    /// When a line was written. Lines of one second each get a nanosecond of their own, so that a
    /// database keeps all of them, in their order.
    fn when(&mut self, stamp: Option<Stamp>, came_ns: u64) -> When {
        let told = stamp.and_then(|stamp| stamp.time_ns(came_ns));
        let (time_ns, exactness) = match told {
            Some((time_ns, step)) => (time_ns, Some(step)),
            None => (came_ns, None),
        };
        let is_same = self.last_ns.checked_sub(time_ns).is_some_and(|later| later < LINES_APART_NS);
        let time_ns = if is_same { self.last_ns + 1 } else { time_ns };
        self.last_ns = time_ns;
        let exactness_ms = exactness.map(|step| step.as_millis() as u64);
        When { time_ns, exactness_ms, clock: Clock::Syslog }
    }
}

/// Lines that come one after the other and differ by less have the same time.
const LINES_APART_NS: u64 = 1_000_000;

impl Taker for Intake {
    fn take(&mut self, sources: &Sources, from: From, line: &[u8], is_cut: bool) {
        let taken = panics::caught(|| self.take_line(sources, from, line, is_cut));
        if taken.is_err() {
            count(&self.status.abandoned);
        }
    }

    fn refuse(&mut self, from: From) {
        let From::Address(address) = from else { return };
        if self.named.len() < NAMED_MAX && self.named.insert(address) {
            log::warn!(
                "syslog: {address} is no router of the settings: what it sends is refused and \
                 counted ([events.syslog.sources] names more addresses of a router)"
            );
        }
    }

    fn rest(&mut self) {
        if self.passed.is_empty() {
            return;
        }
        let outputs = self.outputs.hold();
        let mut patience = Patience::new(&outputs, PATIENCE, PATIENCE * 4 / 3);
        for (router, time_ns, points) in self.passed.drain(..) {
            let (node, collector) = (&*router.name, SYSLOG);
            let batch = Batch { node, collector, time_ns, points: &points };
            output::push(&outputs, &batch, &mut self.scratch, &mut patience);
        }
    }

    fn changed(&mut self) {
        self.routers.clear();
    }
}
