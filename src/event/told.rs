//! What the router says of itself meets what polls see of it: one event for each change.
//!
//! Whoever is first makes the event. What a message says becomes the last state of its subject, so
//! that the next poll finds nothing new; and a message about what a poll has seen already is no
//! news. A poll that was asked before a message came, or shortly after, knows less than the
//! message.

use super::heard::begins;
use super::record::Event;
use super::state::{FLAPS, Row, State};

/// What a message says of its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The number that the collector's field has now.
    State(u64),
    /// It happened.
    Happened,
}

/// So long after a message, the router's answers may still be older.
const SETTLE_NS: u64 = 10_000_000_000;

impl State {
    /// Takes an event that a message tells; whether it is news.
    pub fn hear(&mut self, mut event: Event, told: Told) -> bool {
        self.correct(&mut event);
        let number = match told {
            Told::State(number) => number,
            Told::Happened => {
                let is_news = self.heard.is_first(&event, true, self.clock_ahead_ns);
                if is_news {
                    let key = self.key(&event.kind, "", &event.subject);
                    self.report(key, event);
                }
                return is_news;
            }
        };
        let Some(key) = self.find(&mut event) else {
            let is_news = self.heard.say(&event, number);
            if is_news {
                // What it was before, nobody has seen.
                event.from.clear();
                let key = self.key(&event.kind, "", &event.subject);
                self.report(key, event);
            }
            return is_news;
        };
        let before = match (self.slots.get_mut(&key), self.rows.get_mut(&key)) {
            (Some(slot), _) => std::mem::replace(&mut slot.value, number),
            (None, Some(row)) => {
                if let Some((word, _)) = &mut row.words {
                    word.clone_from(&event.to);
                }
                std::mem::replace(&mut row.value, number as f64) as u64
            }
            (None, None) => number,
        };
        if before == number {
            return false;
        }
        // The router counts this change too; over a restart, only this says so.
        if let Some(flaps) = self.slots.get_mut(&(key ^ FLAPS)) {
            flaps.value += 1;
        }
        self.is_dirty = true;
        self.told.insert(key, event.seen_ns + SETTLE_NS);
        self.report(key, event);
        true
    }

    /// A message's time is by the router's clock.
    fn correct(&self, event: &mut Event) {
        if let Some(ahead) = self.clock_ahead_ns.filter(|ahead| *ahead != 0) {
            event.when.time_ns = event.when.time_ns.saturating_add_signed(-ahead);
            // The router tells its clock in whole seconds.
            event.when.exactness_ms = event.when.exactness_ms.map(|exactness| exactness + 1000);
        }
    }

    /// What polls have seen of the event's subject. The event gets their words for it.
    fn find(&self, event: &mut Event) -> Option<u64> {
        let names = std::iter::once("").chain(self.heard.re_names.iter().map(String::as_str));
        for name in names {
            let key = self.key(&event.kind, name, &event.subject);
            if self.slots.contains_key(&key) {
                event.re_name = name.into();
                return Some(key);
            }
        }
        let (key, row) = self.rows.iter().find(|(_, row)| is_about(row, event))?;
        event.re_name.clone_from(&row.re_name);
        event.subject.clone_from(&row.subject);
        Some(*key)
    }
}

/// Whether a message is about that row.
fn is_about(row: &Row, event: &Event) -> bool {
    row.kind == event.kind && begins(&row.subject, &event.subject)
}

#[cfg(test)]
mod tests {
    use super::super::record::{Clock, When};
    use super::super::state::Limits;
    use super::*;
    use crate::base::changes::{Rule, Severity, Watch};
    use crate::point::{Definition, Measurement, Points, gauge, watched};

    const SECOND: u64 = 1_000_000_000;
    /// Long after 1970, as times are.
    const START: u64 = 1_700_000_000;

    struct Port {
        up: u64,
        flaps: u64,
    }

    static PORT: Rule = Rule { subject: &["name"], flaps: "flaps", ..Rule::up_down("port-state") };
    static ALARM: Rule = Rule {
        watch: Watch::Presence,
        words: "cleared 0, set 1",
        subject: &["description"],
        key: &["class", "description"],
        ..Rule::of("alarm")
    };
    static COMMIT: Rule = Rule {
        watch: Watch::Appearance,
        subject: &["client"],
        key: &["time"],
        at: "time",
        ..Rule::of("commit")
    };
    static PORTS: Measurement<Port> = Measurement::new(|| Definition {
        name: "port",
        help: "",
        tags: &["name"],
        fields: vec![
            watched(&PORT, gauge("up", "", "", |port: &Port| Some(port.up))),
            gauge("flaps", "", "", |port: &Port| Some(port.flaps)),
        ],
    });
    static ALARMS: Measurement<u64> = Measurement::new(|| Definition {
        name: "alarms",
        help: "",
        tags: &["class", "description"],
        fields: vec![watched(&ALARM, gauge("set", "", "", |set: &u64| Some(*set)))],
    });
    static COMMITS: Measurement<u64> = Measurement::new(|| Definition {
        name: "commit",
        help: "",
        tags: &["client"],
        fields: vec![watched(&COMMIT, gauge("time", "s", "", |time: &u64| Some(*time)))],
    });

    fn state() -> State {
        State::new(Limits { subjects_max: 100, flaps_max: 100, flaps_window_s: 600 }, 7)
    }

    /// A poll that is asked at that second.
    fn poll(state: &mut State, second: u64, points: &Points) {
        let time_ns = (START + second) * SECOND;
        points.iter().for_each(|point| state.see("c", &point, time_ns, time_ns));
        state.ended("c", 1, time_ns);
    }

    fn port(state: &mut State, second: u64, up: u64, flaps: u64) {
        let mut points = Points::default();
        points.push(&PORTS, &["ge-0/0/0"], &Port { up, flaps });
        poll(state, second, &points);
    }

    /// A poll of which only these alarms come.
    fn alarms(state: &mut State, second: u64, alarms: &[&str]) {
        let mut points = Points::default();
        alarms.iter().for_each(|alarm| _ = points.push(&ALARMS, &["Major", alarm], &1));
        poll(state, second, &points);
    }

    fn commits(state: &mut State, second: u64, times: &[u64]) {
        let mut points = Points::default();
        times.iter().for_each(|time| _ = points.push(&COMMITS, &["cli"], &(START + time)));
        poll(state, second, &points);
    }

    fn event(second: u64, kind: &'static str, subject: &str, to: &str) -> Event {
        let time_ns = (START + second) * SECOND;
        let when = When { time_ns, exactness_ms: Some(0), clock: Clock::Syslog };
        let mut event = Event::new(kind, subject, when);
        (event.severity, event.from, event.to) = (Severity::Info, "x".into(), to.into());
        event
    }

    fn link(state: &mut State, second: u64, up: u64) -> bool {
        let to = if up == 1 { "up" } else { "down" };
        state.hear(event(second, "port-state", "ge-0/0/0", to), Told::State(up))
    }

    /// What became of it: second, state and whose clock.
    fn events(state: &State) -> Vec<(u64, &str, Clock)> {
        let shown = |event: &Event| event.when.time_ns / SECOND - START;
        state.pending.iter().map(|event| (shown(event), &*event.to, event.when.clock)).collect()
    }

    #[test]
    fn a_message_comes_first_and_polls_find_nothing_new() {
        let mut state = state();
        port(&mut state, 0, 1, 3);
        assert!(link(&mut state, 5, 0) && !link(&mut state, 6, 0));
        // Asked before it, or so soon after it that the router may not know yet.
        port(&mut state, 4, 1, 3);
        port(&mut state, 7, 1, 3);
        port(&mut state, 30, 0, 4);
        assert_eq!(events(&state), [(5, "down", Clock::Syslog)]);
        assert!(link(&mut state, 40, 1) && link(&mut state, 41, 0) && link(&mut state, 42, 1));
        port(&mut state, 60, 1, 7);
        let all = [(5, "down"), (40, "up"), (41, "down"), (42, "up")];
        assert_eq!(events(&state), all.map(|(second, to)| (second, to, Clock::Syslog)));
        // What comes later is a change of its own.
        port(&mut state, 90, 0, 8);
        assert_eq!(events(&state).last(), Some(&(90, "down", Clock::Poll)));
    }

    #[test]
    fn what_a_poll_saw_first_is_no_news_and_a_lost_message_costs_time() {
        let mut state = state();
        port(&mut state, 0, 1, 3);
        port(&mut state, 30, 0, 4);
        assert!(!link(&mut state, 31, 0));
        assert!(link(&mut state, 40, 1));
        // The message that it went down again is lost.
        port(&mut state, 60, 0, 5);
        let expected =
            [(30, "down", Clock::Poll), (40, "up", Clock::Syslog), (60, "down", Clock::Poll)];
        assert_eq!(events(&state), expected);
    }

    #[test]
    fn what_no_poll_has_seen_is_an_event_each_time_it_changes() {
        let mut state = state();
        assert!(link(&mut state, 1, 0) && !link(&mut state, 2, 0) && link(&mut state, 3, 1));
        port(&mut state, 30, 1, 0);
        assert!(!link(&mut state, 31, 1));
        assert_eq!(state.pending.len(), 2);
        assert_eq!(state.pending[0].from, "", "nobody knows what it was before");
        // Without any poll, the same message counts again one day.
        let other = |second| event(second, "port-state", "ge-9/9/9", "down");
        assert!(state.hear(other(1), Told::State(0)) && !state.hear(other(600), Told::State(0)));
        assert!(state.hear(other(1300), Told::State(0)));
        for number in 0..5000 {
            let subject = number.to_string();
            state.hear(event(number, "port-state", &subject, "down"), Told::State(0));
        }
        assert!(state.heard.is_bounded());
    }

    #[test]
    fn alarms_are_told_once_by_two_processes_and_a_poll() {
        let mut state = state();
        alarms(&mut state, 0, &["old"]);
        let hear = |state: &mut State, second, name: &str, set| {
            let to = if set == 1 { "set" } else { "cleared" };
            state.hear(event(second, "alarm", name, to), Told::State(set))
        };
        assert!(hear(&mut state, 5, "new", 1) && !hear(&mut state, 5, "new", 1));
        alarms(&mut state, 30, &["old", "new"]);
        assert!(!hear(&mut state, 31, "old", 1));
        assert!(hear(&mut state, 40, "new", 0) && !hear(&mut state, 40, "new", 0));
        // A poll that was asked before it went.
        alarms(&mut state, 39, &["old", "new"]);
        for second in [60, 90, 120] {
            alarms(&mut state, second, &["old"]);
        }
        assert!(hear(&mut state, 130, "new", 1));
        alarms(&mut state, 150, &["old", "new"]);
        let all = [(5, "set"), (40, "cleared"), (130, "set")];
        assert_eq!(events(&state), all.map(|(second, to)| (second, to, Clock::Syslog)));
        // The polls' subject may say more than the message.
        let told = event(160, "alarm", "old", "cleared");
        alarms(&mut state, 155, &["old level 2", "new"]);
        assert!(state.hear(told, Told::State(0)));
    }

    #[test]
    fn a_commit_is_one_event_whoever_tells_it_first() {
        let mut state = state();
        commits(&mut state, 0, &[]);
        let told = |second, user: &str| {
            let mut told = event(second, "commit", "configuration", "committed");
            told.user = user.into();
            told
        };
        assert!(state.hear(told(10, "anna"), Told::Happened));
        commits(&mut state, 30, &[11]);
        commits(&mut state, 60, &[11, 50]);
        assert!(!state.hear(told(51, "anna"), Told::Happened));
        assert!(state.hear(told(70, "anna"), Told::Happened));
        assert!(state.hear(told(71, "ben"), Told::Happened));
        commits(&mut state, 90, &[11, 50, 70, 71]);
        let seconds: Vec<u64> = events(&state).iter().map(|(second, ..)| *second).collect();
        assert_eq!(seconds, [10, 50, 70, 71]);
    }

    #[test]
    fn our_clock_may_be_set_between_a_message_and_a_poll() {
        const HOUR: u64 = 3600;
        let mut state = state();
        port(&mut state, HOUR, 1, 3);
        commits(&mut state, HOUR, &[]);
        alarms(&mut state, HOUR, &[]);
        assert!(link(&mut state, HOUR + 5, 0));
        let hear = |state: &mut State, kind, subject, told| {
            state.hear(event(HOUR + 6, kind, subject, "told"), told)
        };
        assert!(hear(&mut state, "commit", "configuration", Told::Happened));
        assert!(hear(&mut state, "alarm", "new", Told::State(1)));
        // Back by an hour: the router's clock is an hour ahead now.
        state.clock_was_set(-(HOUR as i64 * SECOND as i64));
        assert_eq!(state.clock_ahead_ns, None);
        state.clock_ahead_ns = Some(HOUR as i64 * SECOND as i64);
        alarms(&mut state, 30, &["new"]);
        commits(&mut state, 30, &[HOUR + 6]);
        assert_eq!(state.pending.len(), 3);
        // What polls say of the port counts again.
        port(&mut state, 30, 0, 4);
        port(&mut state, 60, 1, 5);
        state.pending.retain(|event| event.kind == "port-state");
        let expected = [(HOUR + 5, "down", Clock::Syslog), (60, "up", Clock::Poll)];
        assert_eq!(events(&state), expected);
    }

    #[test]
    fn a_clock_that_is_ahead_is_corrected() {
        let mut state = state();
        state.clock_ahead_ns = Some(3600 * SECOND as i64);
        link(&mut state, 3605, 0);
        assert_eq!(events(&state), [(5, "down", Clock::Syslog)]);
        assert_eq!(state.pending[0].when.exactness_ms, Some(1000));
    }
}
