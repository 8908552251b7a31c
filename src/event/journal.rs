//! The newest events of all routers, for those who ask the running program.

use std::collections::VecDeque;
use std::sync::Mutex;

use super::record::Event;
use crate::base::sync::lock;

/// So many are kept: about 300 kB.
const EVENTS_MAX: usize = 1000;

#[derive(Default)]
pub struct Journal(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    events: VecDeque<(String, Event)>,
    /// The number of the first of them; they are counted from 1.
    first: u64,
}

impl Journal {
    /// Adds events of a router.
    pub fn add(&self, router: &str, events: &[Event]) {
        let mut kept = lock(&self.0);
        for event in events {
            if kept.events.len() >= EVENTS_MAX {
                kept.events.pop_front();
                kept.first += 1;
            }
            kept.events.push_back((router.into(), event.clone()));
        }
    }

    /// The events after that number, with their routers, and the number of the last of all.
    pub fn after(&self, number: u64) -> (Vec<(String, Event)>, u64) {
        let kept = lock(&self.0);
        let last = kept.first + kept.events.len() as u64;
        // A number beyond the last is of an earlier run.
        let number = if number > last { 0 } else { number };
        let skip = number.saturating_sub(kept.first);
        let events = kept.events.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX));
        (events.cloned().collect(), last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::record::{Clock, When};

    #[test]
    fn who_asks_again_gets_what_is_new() {
        let journal = Journal::default();
        let when = When { time_ns: 1, exactness_ms: None, clock: Clock::Poll };
        let events: Vec<Event> =
            (0..EVENTS_MAX + 5).map(|number| Event::new("x", &number.to_string(), when)).collect();
        journal.add("a", &events[..2]);
        let (found, last) = journal.after(0);
        assert_eq!((found.len(), last), (2, 2));
        journal.add("a", &events[2..3]);
        let (found, last) = journal.after(last);
        assert_eq!((found.len(), found[0].1.subject.as_str(), last), (1, "2", 3));
        assert_eq!(journal.after(last), (Vec::new(), 3));
        journal.add("a", &events[3..]);
        let (found, last) = journal.after(0);
        assert_eq!((found.len(), found[0].1.subject.as_str()), (EVENTS_MAX, "5"));
        assert_eq!(last as usize, EVENTS_MAX + 5);
        // A number of an earlier run.
        assert_eq!(journal.after(1 << 60).0.len(), EVENTS_MAX);
    }
}
