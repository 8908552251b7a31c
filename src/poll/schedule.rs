//! When each collector is due. Pure: the time is an argument.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

/// However long a poll took, the router rests no longer than this.
const REST_LONGEST: Duration = Duration::from_secs(600);

/// How long a router must rest after a poll of this length, so that polls take no more than this
/// share (0 to 1) of the time.
pub fn rest(spent: Duration, share_max: f64) -> Duration {
    let rest = spent.as_secs_f64() * (1.0 / share_max - 1.0);
    Duration::from_secs_f64(rest.min(REST_LONGEST.as_secs_f64()))
}

/// The polls of a start come no faster than one in this time, unless their intervals ask for it.
const FIRST_POLLS_APART: Duration = Duration::from_millis(50);

/// How long the first polls of so many collectors take in all, where no interval is shorter.
pub fn first_within(collectors: usize) -> Duration {
    FIRST_POLLS_APART * u32::try_from(collectors).unwrap_or(u32::MAX)
}

/// Where in its interval a router's collector is polled: 0 up to 1, spread evenly over names, and
/// the same after every start.
pub fn phase(router: &str, collector: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    (router, collector).hash(&mut hasher);
    // The upper 32 bits: as many as fit a float and leave it below 1.
    (hasher.finish() >> 32) as f64 / (1u64 << 32) as f64
}

/// When a schedule begins.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    pub now: Instant,
    /// The same in the time since 1970, which the intervals are counted from.
    pub since_1970: Duration,
    /// All first polls come within this time, see `first_within`.
    pub first_within: Duration,
}

/// The collectors of one router, by index.
pub struct Schedule {
    slots: Vec<Slot>,
    /// The share of wall time that polls may take, 0 to 1.
    share_max: f64,
    /// Until when the router rests after a poll.
    rest_until: Instant,
    /// Of so many ticks, one is used.
    pace: u32,
}

struct Slot {
    interval: Duration,
    due: Instant,
    /// The tick after that.
    next: Instant,
}

/// A collector whose time has come.
#[derive(Debug, PartialEq)]
pub struct Due {
    pub index: usize,
    /// How many of its ticks passed unused before.
    pub skipped: u64,
    /// How many of the next ones are left out, because the router is busy.
    pub spared: u64,
}

/// Of a busy router's ticks, one of so many is used.
pub const BUSY_PACE: u32 = 4;

/// So many collectors are polled at a time, and those that are due at the same time as the last of
/// them. Where all are due at once, after a poll that took long, the router rests in between.
const AT_ONCE: usize = 8;

impl Slot {
    /// Ticks stand at the phase within the interval. The first poll does not wait for one: the time
    /// until then is shortened in proportion, so that first polls keep the order of the phases. The
    /// tick that would follow within half an interval is left out.
    fn new(interval: Duration, phase: f64, start: Start) -> Slot {
        let nanoseconds = interval.as_nanos().max(1);
        let passed = start.since_1970.as_nanos() % nanoseconds;
        let tick = interval.mul_f64(phase).as_nanos();
        let until_tick = (tick + nanoseconds - passed) % nanoseconds;
        let until_tick = Duration::from_nanos(u64::try_from(until_tick).unwrap_or(u64::MAX));
        let share = start.first_within.as_secs_f64() / interval.as_secs_f64();
        let due = start.now + until_tick.mul_f64(share.min(1.0));
        let mut next = start.now + until_tick;
        if next < due + interval / 2 {
            next += interval;
        }
        Slot { interval, due, next }
    }
}

impl Schedule {
    /// `collectors` are each one's interval and phase: those of one interval and phase are due at
    /// the same time.
    pub fn new(collectors: &[(Duration, f64)], share_max: f64, start: Start) -> Schedule {
        let slot = |(interval, phase): &(Duration, f64)| Slot::new(*interval, *phase, start);
        let slots = collectors.iter().map(slot).collect();
        Schedule { slots, share_max, rest_until: start.now, pace: 1 }
    }

    /// Uses one of so many ticks from the next poll of each collector on.
    pub fn set_pace(&mut self, pace: u32) {
        self.pace = pace;
    }

    /// Those that are due, or those of them that have been for the longest time. A tick that was
    /// missed is skipped, never made up for.
    pub fn due(&mut self, now: Instant) -> Vec<Due> {
        if now < self.rest_until {
            return Vec::new();
        }
        let mut waiting: Vec<Instant> =
            self.slots.iter().map(|slot| slot.due).filter(|due| now >= *due).collect();
        waiting.sort_unstable();
        let Some(last) = waiting.get(AT_ONCE - 1).or(waiting.last()).copied() else {
            return Vec::new();
        };
        let spared = self.pace - 1;
        let mut due = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.due <= last {
                let passed = |late: Duration| late.as_nanos() / slot.interval.as_nanos() + 1;
                let skipped = now.checked_duration_since(slot.next).map_or(0, passed);
                let skipped = u32::try_from(skipped).unwrap_or(u32::MAX);
                slot.due = slot.next + slot.interval * skipped + slot.interval * spared;
                slot.next = slot.due + slot.interval;
                let (skipped, spared) = (u64::from(skipped), u64::from(spared));
                due.push(Due { index, skipped, spared });
            }
        }
        due
    }

    /// When to look again.
    pub fn next(&self) -> Option<Instant> {
        self.slots.iter().map(|slot| slot.due).min().map(|due| due.max(self.rest_until))
    }

    /// Notes how long a poll took: the router rests until its share of the time is kept again.
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

    /// A start in the middle of a second, far from any tick of whole seconds.
    fn start(first_within: Duration) -> Start {
        Start { now: Instant::now(), since_1970: 1_000_000 * S + S / 2, first_within }
    }

    /// The most polls that begin within 100 ms, in so many intervals after a start.
    fn busiest(schedules: &mut [Schedule], begin: Instant, interval: Duration) -> usize {
        const STEP: Duration = Duration::from_millis(100);
        let steps = (3 * interval).as_millis() / STEP.as_millis();
        let polls = (0..steps as u32).map(|step| {
            let due = schedules.iter_mut().map(|schedule| schedule.due(begin + STEP * step).len());
            due.sum()
        });
        polls.max().unwrap_or_default()
    }

    #[test]
    fn two_hundred_routers_are_not_polled_at_once() {
        let start = start(first_within(200));
        let mut schedules: Vec<Schedule> = (0..200)
            .map(|router| {
                let phase = phase(&format!("r{router}"), "bgp");
                Schedule::new(&[(30 * S, phase)], 0.25, start)
            })
            .collect();
        // 20 a second at the start, 7 a second later; without phases it would be all 200.
        assert!(busiest(&mut schedules, start.now, 30 * S) <= 8);
        let later = start.now + 90 * S;
        assert!(busiest(&mut schedules, later, 30 * S) <= 5);
    }

    #[test]
    fn phases_are_spread_and_stay() {
        let mut tenths = [0; 10];
        for router in 0..1000 {
            tenths[(phase(&format!("r{router}"), "bgp") * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (70..130).contains(count)), "{tenths:?}");
        assert_eq!(phase("r1", "bgp"), phase("r1", "bgp"));
        assert_ne!(phase("r1", "bgp"), phase("r1", "route"));
    }

    #[test]
    fn the_first_poll_comes_soon_and_the_phase_holds_afterwards() {
        // The ticks are 9.5 s and 4.5 s after the start.
        let start = start(Duration::from_millis(100));
        let mut schedule = Schedule::new(&[(10 * S, 0.0), (10 * S, 0.5)], 1.0, start);
        let at = |milliseconds| start.now + Duration::from_millis(milliseconds);
        assert!(schedule.due(at(0)).is_empty());
        assert_eq!(indexes(schedule.due(at(45))), [1]);
        assert_eq!(indexes(schedule.due(at(95))), [0]);
        // 4.5 s is too early for another poll.
        assert_eq!(schedule.next(), Some(at(9_500)));
        assert_eq!(indexes(schedule.due(at(9_500))), [0]);
        assert_eq!(indexes(schedule.due(at(14_500))), [1]);
        assert_eq!(schedule.next(), Some(at(19_500)));
        // A later start, of this program or of the next one, finds the same ticks.
        let start = Start { now: at(12_000), since_1970: start.since_1970 + 12 * S, ..start };
        let mut schedule = Schedule::new(&[(10 * S, 0.0), (10 * S, 0.5)], 1.0, start);
        assert_eq!(schedule.due(at(12_100)).len(), 2);
        assert_eq!(schedule.next(), Some(at(19_500)));
    }

    #[test]
    fn where_there_are_many_the_phases_hold_from_the_start() {
        let start = start(3600 * S);
        let schedule = Schedule::new(&[(10 * S, 0.5)], 1.0, start);
        assert_eq!(schedule.next(), Some(start.now + 4 * S + S / 2));
    }

    #[test]
    fn missed_ticks_are_skipped_and_counted() {
        let mut schedule = Schedule::new(&[(10 * S, 0.05)], 0.25, start(Duration::ZERO));
        let start = schedule.rest_until;
        schedule.due(start);
        assert_eq!(schedule.due(start + 35 * S), [Due { index: 0, skipped: 2, spared: 0 }]);
        assert_eq!(schedule.next(), Some(start + 40 * S));
    }

    #[test]
    fn a_busy_router_is_asked_at_one_of_four_ticks() {
        let mut schedule = Schedule::new(&[(10 * S, 0.05)], 0.25, start(Duration::ZERO));
        let start = schedule.rest_until;
        schedule.due(start);
        schedule.set_pace(BUSY_PACE);
        assert_eq!(schedule.due(start + 10 * S), [Due { index: 0, skipped: 0, spared: 3 }]);
        assert_eq!(schedule.next(), Some(start + 50 * S));
        // A tick that is missed by a little more than an interval.
        assert_eq!(schedule.due(start + 61 * S), [Due { index: 0, skipped: 1, spared: 3 }]);
        schedule.set_pace(1);
        assert_eq!(schedule.due(start + 100 * S), [Due { index: 0, skipped: 0, spared: 0 }]);
        assert_eq!(schedule.next(), Some(start + 110 * S));
    }

    /// Polls that take 200 ms each, of 60 collectors, at a start and after a long time without an
    /// answer: the share of the time that they take is kept within every 20 s.
    #[test]
    fn a_storm_of_polls_is_spread() {
        const POLL: Duration = Duration::from_millis(200);
        let slots: Vec<_> =
            (0..60).map(|at| (60 * S, phase("r1", &format!("collector{at}")))).collect();
        let mut schedule = Schedule::new(&slots, 0.25, start(first_within(60)));
        let begin = schedule.rest_until;
        for from in [begin, begin + 600 * S] {
            let (mut now, mut polled) = (from, Vec::new());
            while now < from + 120 * S {
                let due = u32::try_from(schedule.due(now).len()).unwrap();
                if due > 0 {
                    polled.push((now, due));
                    now += POLL * due;
                    schedule.rest(POLL * due, now);
                }
                now = schedule.next().unwrap().max(now);
            }
            assert!(polled.iter().all(|(_, due)| *due as usize <= AT_ONCE), "{polled:?}");
            for (at, _) in &polled {
                let within = polled.iter().filter(|(other, _)| (*at..*at + 20 * S).contains(other));
                let spent: Duration = within.map(|(_, due)| POLL * *due).sum();
                assert!(spent <= 20 * S / 4 + POLL * AT_ONCE as u32, "{spent:?} in 20 s");
            }
            // Each has its turn.
            assert!(polled.iter().map(|(_, due)| *due).sum::<u32>() >= 60);
        }
    }

    #[test]
    fn a_slow_router_is_asked_less() {
        let mut schedule = Schedule::new(&[(10 * S, 0.05)], 0.25, start(Duration::ZERO));
        let start = schedule.rest_until;
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
