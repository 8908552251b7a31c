//! Where the windows of time end that are written one after another. Pure.
//!
//! The ends follow from the schedule alone, never from when the program ran: the same window has
//! the same points under the same time stamp however often it is written.

use super::cron::Cron;

#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    Every { ms: u64 },
    Cron(Cron),
}

impl Schedule {
    /// The last tick at or before that time, in milliseconds since 1970.
    pub fn last(&self, at: u64) -> Option<u64> {
        match self {
            Schedule::Every { ms } => Some(at / ms * ms),
            // A tick before 1970 is none.
            Schedule::Cron(cron) => {
                Some(u64::try_from(cron.last((at / 1000) as i64)?).ok()? * 1000)
            }
        }
    }

    /// The first tick after that time, in milliseconds since 1970.
    pub fn next(&self, after: u64) -> Option<u64> {
        match self {
            Schedule::Every { ms } => Some((after / ms + 1) * ms),
            Schedule::Cron(cron) => Some(cron.next((after / 1000) as i64)? as u64 * 1000),
        }
    }
}

/// The schedule's ticks; where these are far apart, also the multiples of `longest_ms` between
/// them, so that no question is about too much.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    pub schedule: Schedule,
    pub longest_ms: u64,
}

/// What is between two ends: after `start`, up to and with `end`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    pub start: u64,
    pub end: u64,
}

impl Window {
    pub fn ms(&self) -> u64 {
        self.end - self.start
    }
}

impl Windows {
    /// The window that begins there.
    pub fn after(&self, start: u64) -> Option<Window> {
        let (before, next) = (self.schedule.last(start)?, self.schedule.next(start)?);
        let cut = (start / self.longest_ms + 1) * self.longest_ms;
        let end = if next - before > self.longest_ms { next.min(cut) } else { next };
        Some(Window { start, end })
    }

    /// The last end that is not after `at`.
    pub fn last_end(&self, at: u64) -> Option<u64> {
        let (before, next) = (self.schedule.last(at)?, self.schedule.next(at)?);
        let cut = at / self.longest_ms * self.longest_ms;
        Some(if next - before > self.longest_ms { before.max(cut) } else { before })
    }

    /// The last end by then up to which windows may be written: a tick, however finely the time
    /// between two is cut.
    pub fn due(&self, at: u64) -> Option<u64> {
        self.schedule.last(at)
    }

    /// The last window that has ended by then.
    pub fn last(&self, at: u64) -> Option<Window> {
        let end = self.last_end(at)?;
        Some(Window { start: self.last_end(end.checked_sub(1)?)?, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(windows: &Windows, from: u64, number: usize) -> Vec<u64> {
        let next = |end: &u64| windows.after(*end).map(|window| window.end);
        std::iter::successors(Some(from), next).take(number).collect()
    }

    #[test]
    fn ends_follow_from_the_schedule_alone() {
        let windows = |schedule, longest_ms| Windows { schedule, longest_ms };
        let every = windows(Schedule::Every { ms: 30_000 }, 300_000);
        assert_eq!(ends(&every, 60_000, 3), [60_000, 90_000, 120_000]);
        assert_eq!(every.after(70_123).unwrap().end, 90_000);
        assert_eq!(every.last(119_999), Some(Window { start: 60_000, end: 90_000 }));
        assert_eq!(every.last(120_000), Some(Window { start: 90_000, end: 120_000 }));
        let slow = windows(Schedule::Every { ms: 700_000 }, 300_000);
        assert_eq!(ends(&slow, 0, 5), [0, 300_000, 600_000, 700_000, 900_000]);
        assert_eq!(slow.last(650_000), Some(Window { start: 300_000, end: 600_000 }));
        assert_eq!((slow.due(699_999), slow.due(700_000)), (Some(0), Some(700_000)));
        // Every ten minutes of the first hour of the day, and nothing else.
        let cron = windows(Schedule::Cron("0 */10 0 * * *".parse().unwrap()), 6 * 3_600_000);
        let day = 86_400_000;
        assert_eq!(ends(&cron, day, 3), [day, day + 600_000, day + 1_200_000]);
        let last = day + 3_000_000;
        assert_eq!(ends(&cron, last, 2), [last, day + 6 * 3_600_000]);
        // Whatever the time, the windows before and after it meet.
        for windows in [every, slow, cron] {
            for at in (day..3 * day).step_by(1_234_567) {
                let window = windows.last(at).unwrap();
                assert_eq!(windows.after(window.start), Some(window), "{windows:?} {at}");
                assert!(window.end <= at && windows.after(window.end).unwrap().end > at);
            }
        }
    }
}
