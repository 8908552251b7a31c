//! What polls that follow one another make of the state.

use super::plan::Table;
use super::record::{Clock, Event, When};
use super::state::{Limits, Row, State};
use crate::base::changes::{Grade, Rule};
use crate::base::changes::{Severity, Watch};
use crate::point::{Definition, Measurement, Points, counter, gauge, info, watched};

struct Port {
    up: u64,
    ago: f64,
    flaps: u64,
    description: &'static str,
    uptime: u64,
}

static STATE: Rule = Rule {
    subject: &["name"],
    ago: "ago",
    flaps: "flaps",
    message: "description",
    ..Rule::up_down("port-state")
};
static DESCRIPTION: Rule = Rule { subject: &["name"], ..Rule::of("port-description") };
static RESTART: Rule = Rule { subject: &["name"], ..Rule::restart("port-restart") };

static PORT: Measurement<Port> = Measurement::new(|| Definition {
    name: "port",
    help: "A port.",
    tags: &["name", "if_index"],
    fields: vec![
        watched(&STATE, gauge("up", "", "1 if it is up.", |p: &Port| Some(p.up))),
        gauge("ago", "s", "Since it changed.", |p| Some(p.ago)),
        counter("flaps", "", "Changes.", |p| Some(p.flaps)),
        watched(&DESCRIPTION, info("description", "Words.", |p: &Port| Some(p.description))),
        watched(&RESTART, counter("uptime", "s", "Uptime.", |p: &Port| Some(p.uptime))),
    ],
});

static ALARM: Rule = Rule {
    watch: Watch::Presence,
    words: "cleared 0, set 1",
    gone: "cleared",
    grade: Grade::ByTag("class", &[("Major", Severity::Error)]),
    subject: &["what"],
    ..Rule::of("alarm")
};

static ALARMS: Measurement<()> = Measurement::new(|| Definition {
    name: "alarms",
    help: "An alarm.",
    tags: &["class", "what"],
    fields: vec![watched(&ALARM, gauge("set", "", "1.", |(): &()| Some(1)))],
});

const SECOND: u64 = 1_000_000_000;
const LIMITS: Limits = Limits { subjects_max: 100, flaps_max: 3, flaps_window_s: 600 };

fn port(up: u64, ago: f64, flaps: u64) -> Port {
    Port { up, ago, flaps, description: "core", uptime: 1_000_000 }
}

/// One poll of ports at a time, in seconds.
fn poll(state: &mut State, at: u64, ports: &[(&str, Port)]) -> Vec<Event> {
    let mut points = Points::default();
    for (name, port) in ports {
        points.push(&PORT, &[name, "7"], port);
    }
    let from = state.pending.len();
    points.iter().for_each(|point| state.see("ports", &point, at * SECOND, at * SECOND));
    state.pending.iter().skip(from).cloned().collect()
}

fn shown(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| format!("{} {}", event.severity, event.line())).collect()
}

fn state() -> State {
    State::new(LIMITS, 1)
}

#[test]
fn a_change_is_an_event_and_the_first_poll_none() {
    let state = &mut state();
    assert_eq!(poll(state, 1000, &[("a", port(1, 500.0, 2))]), []);
    assert_eq!(poll(state, 1030, &[("a", port(1, 530.0, 2))]), []);
    let events = poll(state, 1060, &[("a", port(0, 12.0, 3))]);
    assert_eq!(shown(&events), ["warning port-state a: up -> down, message: core"]);
    let when = When { time_ns: 1048 * SECOND, exactness_ms: Some(1000), clock: Clock::Age };
    assert_eq!((events[0].when, events[0].count), (when, 1));
    // It is missing in a reply, and comes back as it was.
    assert_eq!(poll(state, 1090, &[]), []);
    assert_eq!(poll(state, 1120, &[("a", port(0, 72.0, 3))]), []);
    let up = Port { description: "edge", ..port(1, 5.0, 4) };
    let events = poll(state, 1150, &[("a", up)]);
    let expected =
        ["info port-state a: down -> up, message: edge", "info port-description a: core -> edge"];
    assert_eq!(shown(&events), expected);
    let when = When { time_ns: 1150 * SECOND, exactness_ms: Some(30_000), clock: Clock::Poll };
    assert_eq!(events[1].when, when);
    assert_eq!(state.totals["port-state"], 2);
}

#[test]
fn flaps_between_polls_are_one_event_with_their_count() {
    let state = &mut state();
    poll(state, 1000, &[("a", port(1, 500.0, 2))]);
    let events = poll(state, 1030, &[("a", port(1, 3.0, 6))]);
    assert_eq!((events.len(), events[0].count, events[0].severity), (1, 4, Severity::Warning));
    assert_eq!((events[0].from.as_str(), events[0].to.as_str()), ("up", "up"));
    // The counter was cleared.
    assert_eq!(poll(state, 1060, &[("a", port(1, 33.0, 0))]), []);
    let events = poll(state, 1090, &[("a", port(0, 1.0, 3))]);
    assert_eq!((events.len(), events[0].count), (1, 3));
}

#[test]
fn an_age_that_does_not_fit_is_not_believed() {
    let state = &mut state();
    poll(state, 1000, &[("a", port(1, 500.0, 2))]);
    let events = poll(state, 1030, &[("a", port(0, 400.0, 3))]);
    assert_eq!(events[0].when.clock, Clock::Poll);
    // Our clock went back an hour: there is nothing to compare with.
    let state = &mut self::state();
    poll(state, 10_000, &[("a", port(1, 500.0, 2))]);
    let events = poll(state, 6400, &[("a", port(0, 4.0, 3))]);
    assert_eq!((events[0].when.clock, events[0].when.time_ns), (Clock::Age, 6396 * SECOND));
    let events = poll(state, 6430, &[("a", port(1, 4.0, 4))]);
    assert_eq!(events[0].when.exactness_ms, Some(1000));
}

#[test]
fn an_uptime_that_fell_is_a_restart() {
    let state = &mut state();
    let up = |uptime| Port { uptime, ..port(1, 500.0, 2) };
    poll(state, 1000, &[("a", up(5000))]);
    assert_eq!(poll(state, 1030, &[("a", up(5030))]), []);
    assert_eq!(poll(state, 1060, &[("a", up(5029))]), [], "rounding");
    let events = poll(state, 1090, &[("a", up(20))]);
    let expected = ["warning port-restart a: up for 5029 s -> started again"];
    assert_eq!(shown(&events), expected);
    assert_eq!(events[0].when.time_ns, 1070 * SECOND);
}

#[test]
fn what_flaps_often_is_damped_and_no_change_is_lost() {
    let state = &mut state();
    let mut told = Vec::new();
    for (number, at) in (1000..1300).step_by(30).enumerate() {
        let port = port(number as u64 % 2, 1.0, number as u64);
        told.extend(poll(state, at, &[("a", port)]));
    }
    assert_eq!((told.len(), state.damped), (3, 6));
    // Calm for long enough.
    assert_eq!(poll(state, 1500, &[("a", port(1, 230.0, 9))]), []);
    let calm = poll(state, 1900, &[("a", port(1, 630.0, 9))]);
    assert_eq!((calm.len(), calm[0].count, calm[0].to.as_str()), (1, 6, "up"));
    assert_eq!(state.totals["port-state"], 9);
    assert!(state.damping.is_empty());
    assert_eq!(poll(state, 1930, &[("a", port(0, 1.0, 10))]).len(), 1);
}

#[test]
fn there_is_a_limit_and_what_is_beyond_is_counted() {
    // A state, its counter and an uptime; a description takes more than there is.
    let mut state = State::new(Limits { subjects_max: 3, ..LIMITS }, 1);
    poll(&mut state, 1000, &[("a", port(1, 1.0, 0)), ("b", port(1, 1.0, 0))]);
    assert_eq!((state.slots.len(), state.dropped), (3, 5));
    let events = poll(&mut state, 1030, &[("a", port(0, 1.0, 1)), ("b", port(0, 1.0, 1))]);
    assert_eq!(events.len(), 1);
    assert_eq!(state.slots.len(), 3);
}

/// What the tables of a state take: places for a power of two, of which an eighth stays free, each
/// with a byte of the table's own; and what the words in them take.
fn bytes(state: &State) -> usize {
    fn table<T>(table: &Table<T>) -> usize {
        table.capacity().div_ceil(7) * 8 * (size_of::<(u64, T)>() + 1)
    }
    let rows = state.rows.values().map(|row| {
        let Row { collector, subject, re_name, user, message, words, .. } = &**row;
        let (now, gone) = words.clone().unwrap_or_default();
        [collector, subject, re_name, user, message, &now, &gone].map(String::capacity)
    });
    let texts: usize = state.texts.values().map(|text| text.len()).sum();
    table(&state.slots)
        + table(&state.texts)
        + table(&state.rows)
        + state.rows.len() * size_of::<Row>()
        + texts
        + rows.flatten().sum::<usize>()
}

#[test]
fn memory_is_bounded_by_the_setting_whatever_subjects_are_like() {
    let long = "x".repeat(4000);
    for max in [100, 5000, 57_400] {
        let limits = Limits { subjects_max: max, ..LIMITS };
        let mut values = State::new(limits.clone(), 1);
        let mut rows = State::new(limits.clone(), 1);
        let mut words = State::new(limits, 1);
        for number in 0..max + 100 {
            let name = number.to_string();
            poll(&mut values, 1000, &[(&name, port(1, 1.0, 0))]);
            if number % 50 == 0 {
                let alarms: Vec<String> = (0..50)
                    .map(|more| format!("{more} {name} {}", &long[..number % 300]))
                    .collect();
                let alarms: Vec<&str> = alarms.iter().map(String::as_str).collect();
                let mut points = Points::default();
                alarms.iter().for_each(|what| _ = points.push(&ALARMS, &["Major", what], &()));
                points.iter().for_each(|point| rows.see("alarm", &point, SECOND, SECOND));
            }
            let leaked: &'static str = [LONGEST, ""][number % 2];
            let described = Port { description: leaked, ..port(1, 1.0, 0) };
            poll(&mut words, 1000, &[(&name, described)]);
        }
        rows.ended("alarm", 1, SECOND);
        for (what, state) in [("values", &values), ("rows", &rows), ("words", &words)] {
            let kept = state.slots.len() + state.rows.len();
            let bytes = bytes(state);
            println!("{what}: of {max}, {kept} kept, in {bytes} bytes, {} each", bytes / kept);
            assert!(state.dropped > 0 && bytes <= max * 60 + 4096, "{what} of {max}: {bytes}");
        }
    }
}

/// As much as is kept of a text.
const LONGEST: &str = match str::from_utf8(&[b'x'; 256]) {
    Ok(text) => text,
    Err(_) => "",
};

#[test]
fn one_reply_may_be_read_by_two_collectors() {
    let state = &mut state();
    assert_eq!(alarms(state, 1000, 1, &["Fan"]), [""; 0]);
    // The other one ends before, well or not, and its rows are others.
    for (at, what) in [(1030, "Fan"), (1060, "Fan"), (1090, "PEM")] {
        let mut points = Points::default();
        points.push(&ALARMS, &["Major", what], &());
        let at_ns = at * SECOND;
        points.iter().for_each(|point| state.see("alarm", &point, at_ns, at_ns));
        match at {
            1030 => state.failed("other"),
            _ => state.ended("other", 1, at_ns),
        }
        state.ended("alarm", 1, at_ns);
    }
    assert_eq!(shown(state.pending.make_contiguous()), ["error alarm PEM: cleared -> set"]);
    assert_eq!(alarms(state, 1120, 1, &["PEM"]), ["info alarm Fan: set -> cleared"]);
}

/// One poll of alarms that ended well.
fn alarms(state: &mut State, at: u64, answered: u64, alarms: &[&str]) -> Vec<String> {
    let mut points = Points::default();
    alarms.iter().for_each(|what| _ = points.push(&ALARMS, &["Major", what], &()));
    let from = state.pending.len();
    points.iter().for_each(|point| state.see("alarm", &point, at * SECOND, at * SECOND));
    state.ended("alarm", answered, at * SECOND);
    let events: Vec<Event> = state.pending.iter().skip(from).cloned().collect();
    shown(&events)
}

#[test]
fn alarms_are_set_and_cleared_where_whole_replies_say_so() {
    let state = &mut state();
    assert_eq!(alarms(state, 1000, 1, &["Fan"]), [""; 0], "the first poll is silent");
    assert_eq!(alarms(state, 1030, 1, &["Fan", "Fan", "PEM"]), ["error alarm PEM: cleared -> set"]);
    // Missing once may be chance.
    assert_eq!(alarms(state, 1060, 1, &["Fan"]), [""; 0]);
    assert_eq!(alarms(state, 1090, 1, &["Fan", "PEM"]), [""; 0]);
    assert_eq!(alarms(state, 1120, 1, &["Fan"]), [""; 0]);
    assert_eq!(alarms(state, 1150, 1, &["Fan"]), ["info alarm PEM: set -> cleared"]);
    let gone = state.pending.back().unwrap();
    assert_eq!(gone.when.time_ns, 1120 * SECOND);
    assert_eq!(gone.when.exactness_ms, Some(30_000));
    // A poll that failed says nothing, nor one that another query answered.
    state.failed("alarm");
    assert_eq!(alarms(state, 1180, 3, &["Other"]), [""; 0]);
    assert_eq!(alarms(state, 1210, 3, &["Other"]), [""; 0]);
    assert_eq!(alarms(state, 1240, 3, &["Other", "New"]), ["error alarm New: cleared -> set"]);
}
