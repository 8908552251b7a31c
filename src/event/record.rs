//! One event, and the point that outputs get for it.

use std::borrow::Cow;

use crate::base::changes::Severity;
use crate::point::{Definition, Measurement, Points, Tags, fact, text};

/// Whose clock says when it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Ours, less the time since the change that the router told.
    Age,
    /// The router's, less what it is ahead of ours.
    Router,
    /// The router's; how far it is ahead of ours is not known.
    RouterAlone,
    /// Ours when the poll saw it: it happened since the poll before.
    Poll,
    /// The one in a syslog message.
    Syslog,
}

impl Clock {
    pub const ALL: [Clock; 5] =
        [Clock::Age, Clock::Router, Clock::RouterAlone, Clock::Poll, Clock::Syslog];

    pub fn word(self) -> &'static str {
        match self {
            Clock::Age => "age",
            Clock::Router => "router",
            Clock::RouterAlone => "router-alone",
            Clock::Poll => "poll",
            Clock::Syslog => "syslog",
        }
    }
}

/// When something happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct When {
    /// Nanoseconds since 1970.
    pub time_ns: u64,
    /// It happened within so many milliseconds of that; `None` if that is not known.
    pub exactness_ms: Option<u64>,
    pub clock: Clock,
}

/// What changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `interface-state`, `bgp-session`, …
    pub kind: Cow<'static, str>,
    /// The interface, peer, … that it is about.
    pub subject: String,
    /// The Routing Engine or node that said so; empty where replies name none.
    pub re_name: String,
    pub severity: Severity,
    pub from: String,
    pub to: String,
    pub message: String,
    pub user: String,
    pub comment: String,
    pub when: When,
    /// When perijove saw it, in nanoseconds since 1970.
    pub seen_ns: u64,
    /// How many changes it stands for.
    pub count: u64,
}

impl Event {
    pub fn new(kind: impl Into<Cow<'static, str>>, subject: &str, when: When) -> Event {
        let (re_name, from, to, message, user, comment) = Default::default();
        Event {
            kind: kind.into(),
            subject: subject.into(),
            re_name,
            severity: Severity::Info,
            from,
            to,
            message,
            user,
            comment,
            when,
            seen_ns: when.time_ns,
            count: 1,
        }
    }

    /// One line for people: a log, a terminal.
    pub fn line(&self) -> String {
        let Event { kind, subject, re_name, from, to, .. } = self;
        let mut line = format!("{kind} {subject}");
        if !re_name.is_empty() {
            line += &format!(" ({re_name})");
        }
        match (from.is_empty(), to.is_empty()) {
            (false, false) if from == to => line += &format!(": {to} again"),
            (false, false) => line += &format!(": {from} -> {to}"),
            (true, false) => line += &format!(": {to}"),
            _ => {}
        }
        if self.count > 1 {
            line += &format!(", {} changes", self.count);
        }
        for (name, value) in
            [("by", &self.user), ("comment:", &self.comment), ("message:", &self.message)]
        {
            if !value.is_empty() {
                line += &format!(", {name} {value}");
            }
        }
        line
    }

    /// Adds the point of it.
    pub fn push(&self, points: &mut Points) {
        points.set_re_name(&self.re_name);
        points.push(&EVENT, &[&self.kind, &self.subject, self.severity.word()], self);
    }
}

/// Points about a router with these tags, for events of one time.
pub fn points(tags: &Tags) -> Points {
    let mut points = Points::default();
    points.set_tags(tags);
    points
}

fn seconds(time_ns: u64) -> f64 {
    (time_ns / 1_000_000) as f64 / 1000.0
}

pub static EVENT: Measurement<Event> = Measurement::new(|| Definition {
    name: crate::point::EVENT,
    help: "Something that changed on the router; the record's time is the time of the change.",
    tags: &["kind", "subject", "severity"],
    fields: vec![
        text("from", "The state before.", |e| Some(&e.from)),
        text("to", "The state now.", |e| Some(&e.to)),
        text("message", "What the router says about it.", |e| Some(&e.message)),
        text("user", "Who did it.", |e| Some(&e.user)),
        text("comment", "What they wrote about it.", |e| Some(&e.comment)),
        fact("seen", "s", "When perijove saw it, since 1970.", |e| Some(seconds(e.seen_ns))),
        fact("count", "", "How many changes it stands for.", |e| Some(e.count)),
        fact("exactness", "s", "The change was within so much of the record's time.", |e| {
            Some(e.when.exactness_ms? as f64 / 1000.0)
        }),
        text(
            "clock",
            "Whose clock the time is by: age (ours, less the age that the router tells), router \
             (the router's, corrected), router-alone (the router's, not corrected), poll (ours \
             when the poll saw it) or syslog (a message's).",
            |e| Some(e.when.clock.word()),
        ),
    ],
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::Value;

    #[test]
    fn an_event_is_a_point_and_a_line() {
        let when = When { time_ns: 5_000_000_000, exactness_ms: Some(1500), clock: Clock::Age };
        let mut event = Event::new("interface-state", "ge-0/0/1", when);
        event.severity = Severity::Warning;
        (event.from, event.to, event.count) = ("up".into(), "down".into(), 3);
        event.re_name = "re0".into();
        assert_eq!(event.line(), "interface-state ge-0/0/1 (re0): up -> down, 3 changes");
        let mut points = points(&Tags::default());
        event.push(&mut points);
        let point = points.get(0);
        let tags: Vec<_> = point.tags().map(|(name, value)| format!("{name}={value}")).collect();
        let expected =
            ["kind=interface-state", "subject=ge-0/0/1", "severity=warning", "re_name=re0"];
        assert_eq!(tags, expected);
        let fields: Vec<_> = point.fields().map(|(_, info, value)| (info.name, value)).collect();
        let expected = [
            ("from", Value::Text("up")),
            ("to", Value::Text("down")),
            ("seen", Value::Decimal(5.0)),
            ("count", Value::Integer(3)),
            ("exactness", Value::Decimal(1.5)),
            ("clock", Value::Text("age")),
        ];
        assert_eq!(fields, expected);
    }
}
