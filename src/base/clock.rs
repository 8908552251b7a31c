//! Times and waits.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time since 1970; zero if the clock is before that.
pub fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Now, in nanoseconds since 1970.
pub fn now_ns() -> u64 {
    u64::try_from(since_1970().as_nanos()).unwrap_or(u64::MAX)
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
}

/// Less than this is no step: the clock is slewed.
const STEP_NS_MIN: u64 = 2_000_000_000;

/// Notices that the clock was set, or that the machine slept.
#[derive(Default)]
pub struct Steps(Option<(Instant, u64)>);

impl Steps {
    /// How far the clock was set since the last look, in nanoseconds; `None` if it was not.
    pub fn look(&mut self, now: Instant, now_ns: u64) -> Option<i64> {
        let (then, then_ns) = self.0.replace((now, now_ns))?;
        let passed = u64::try_from(now.saturating_duration_since(then).as_nanos()).ok()?;
        let expected_ns = then_ns.saturating_add(passed);
        (now_ns.abs_diff(expected_ns) >= STEP_NS_MIN)
            .then(|| (now_ns as i64).wrapping_sub(expected_ns as i64))
    }
}

/// A longer wait that a server asks for is cut to this.
pub const RETRY_AFTER_LONGEST: Duration = Duration::from_secs(600);

/// How long to wait between tries that fail: twice as long each time.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    pub longest: Duration,
}

impl Backoff {
    /// How long to wait when so many tries had failed before this one: between half of that time
    /// and all of it, so that many who wait do not come back at the same moment.
    pub fn wait(&self, failures_before: u32) -> Duration {
        use std::hash::{BuildHasher, Hasher, RandomState};
        let time = self.first.saturating_mul(2u32.saturating_pow(failures_before));
        let time = time.min(self.longest);
        let random = RandomState::new().build_hasher().finish() as u32;
        time / 2 + (time / 2).mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_noticed_once() {
        const SECOND: u64 = 1_000_000_000;
        let (start, mut steps) = (Instant::now(), Steps::default());
        let mut look = |passed, now| steps.look(start + Duration::from_secs(passed), now * SECOND);
        assert_eq!(look(0, 5000), None);
        assert_eq!(look(30, 5031), None, "slewed");
        assert_eq!(look(60, 5031 + 30 + 3600), Some(3600 * SECOND as i64));
        assert_eq!(look(90, 5031 + 60 + 3600), None);
        assert_eq!(look(120, 1), Some((1 - (5031 + 90 + 3600)) * SECOND as i64));
    }

    #[test]
    fn waits_double_up_to_the_longest_and_differ() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
        for (failures, seconds) in [(0, 1), (1, 2), (2, 4), (5, 32), (6, 60), (u32::MAX, 60)] {
            let time = Duration::from_secs(seconds);
            let waits: Vec<Duration> = (0..20).map(|_| backoff.wait(failures)).collect();
            assert!(waits.iter().all(|wait| (time / 2..=time).contains(wait)), "{waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
        }
    }
}
