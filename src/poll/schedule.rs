//! When each collector is due. Pure: the time is an argument.

use std::time::{Duration, Instant};

/// However long a poll took, the router is asked again after that.
const REST_LONGEST: Duration = Duration::from_secs(600);

/// How long to leave a router alone after a poll that took so long, for polls to take no more than
/// that share of the time, 0 to 1.
pub fn rest(spent: Duration, share_max: f64) -> Duration {
    let rest = spent.as_secs_f64() * (1.0 / share_max - 1.0);
    Duration::from_secs_f64(rest.min(REST_LONGEST.as_secs_f64()))
}

/// The collectors of one router, by index.
pub struct Schedule {
    slots: Vec<Slot>,
    /// The share of wall time that polls may take, 0 to 1.
    share_max: f64,
    /// After a poll the router is left alone until then.
    rest_until: Instant,
}

struct Slot {
    interval: Duration,
    due: Instant,
}

/// A collector whose time has come, and how many of its ticks passed unused before.
#[derive(Debug, PartialEq)]
pub struct Due {
    pub index: usize,
    pub skipped: u64,
}

impl Schedule {
    /// `collectors` are each one's interval and group: those of a group are due at the same time.
    /// Groups are spread over their interval, so that a router is not asked everything at once.
    pub fn new(collectors: &[(Duration, usize)], share_max: f64, now: Instant) -> Schedule {
        let groups = collectors.iter().map(|(_, group)| group + 1).max().unwrap_or(1) as u32;
        let slot = |(interval, group): &(Duration, usize)| Slot {
            interval: *interval,
            due: now + *interval * *group as u32 / groups,
        };
        Schedule { slots: collectors.iter().map(slot).collect(), share_max, rest_until: now }
    }

    /// Those that are due. A tick that was missed is skipped, never made up for.
    pub fn due(&mut self, now: Instant) -> Vec<Due> {
        if now < self.rest_until {
            return Vec::new();
        }
        let mut due = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if now >= slot.due {
                let late = (now - slot.due).as_nanos() / slot.interval.as_nanos();
                let skipped = u32::try_from(late).unwrap_or(u32::MAX);
                slot.due += slot.interval * skipped + slot.interval;
                due.push(Due { index, skipped: u64::from(skipped) });
            }
        }
        due
    }

    /// When to look again.
    pub fn next(&self) -> Option<Instant> {
        self.slots.iter().map(|slot| slot.due).min().map(|due| due.max(self.rest_until))
    }

    /// A poll took so long: the router rests until its share of time is kept again.
    pub fn rest(&mut self, spent: Duration, now: Instant) {
        self.rest_until = now + rest(spent, self.share_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn indexes(due: Vec<Due>) -> Vec<usize> {
        due.into_iter().map(|due| due.index).collect()
    }

    #[test]
    fn groups_are_spread_over_the_interval() {
        let start = Instant::now();
        let collectors = [(30 * S, 0), (30 * S, 1), (30 * S, 1), (60 * S, 2)];
        let mut schedule = Schedule::new(&collectors, 0.25, start);
        assert_eq!(indexes(schedule.due(start)), [0]);
        assert_eq!(schedule.next(), Some(start + 10 * S));
        assert_eq!(indexes(schedule.due(start + 10 * S)), [1, 2]);
        assert!(schedule.due(start + 29 * S).is_empty());
        assert_eq!(indexes(schedule.due(start + 30 * S)), [0]);
        assert_eq!(indexes(schedule.due(start + 40 * S)), [1, 2, 3]);
    }

    #[test]
    fn missed_ticks_are_skipped_and_counted() {
        let start = Instant::now();
        let mut schedule = Schedule::new(&[(10 * S, 0)], 0.25, start);
        schedule.due(start);
        assert_eq!(schedule.due(start + 35 * S), [Due { index: 0, skipped: 2 }]);
        assert_eq!(schedule.next(), Some(start + 40 * S));
    }

    #[test]
    fn a_slow_router_is_asked_less() {
        let start = Instant::now();
        let mut schedule = Schedule::new(&[(10 * S, 0)], 0.25, start);
        schedule.due(start);
        schedule.rest(3 * S, start + 3 * S);
        assert_eq!(schedule.next(), Some(start + 12 * S));
        assert!(schedule.due(start + 11 * S).is_empty());
        assert_eq!(indexes(schedule.due(start + 12 * S)), [0]);
        // One that takes longer than its interval has its share, too.
        schedule.rest(30 * S, start + 42 * S);
        assert_eq!(schedule.next(), Some(start + 132 * S));
    }

    #[test]
    fn a_router_that_takes_ever_so_long_is_asked_again() {
        assert_eq!(rest(2 * S, 0.25), 6 * S);
        assert_eq!(rest(9 * S, 1.0), Duration::ZERO);
        assert_eq!(rest(3600 * S, 0.01), REST_LONGEST);
        assert_eq!(rest(Duration::MAX, 0.01), REST_LONGEST);
    }
}
