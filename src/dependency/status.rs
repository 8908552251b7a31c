//! What is known of a source of the dependency map, and what of it is logged.

use std::borrow::Cow;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::base::sync::lock;

/// What one run found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Sockets, entries or peers.
    pub items: u64,
    /// Items that did not fit, and the first of them.
    pub rejected: u64,
    pub first_rejected: Option<String>,
    /// Rows beyond a limit.
    pub dropped: u64,
    /// Sockets without the name of their process, and ends of connections that were lost, where
    /// such are looked for.
    pub nameless: Option<u64>,
    pub lost_ends: Option<u64>,
    /// What is missing although nothing failed.
    pub lacks: Vec<Lack>,
}

/// What a run that succeeds is without, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Lack {
    /// It is logged when one of its kind was not there before.
    pub kind: Cow<'static, str>,
    pub why: String,
}

/// What is known of a source; its thread writes, the daemon reads.
#[derive(Clone, Debug, Default)]
pub struct SourceState {
    pub runs: u64,
    pub failed_runs: u64,
    pub skipped_ticks: u64,
    pub duration: Duration,
    pub last_success: Option<Instant>,
    /// Why the last run failed.
    pub failure: Option<String>,
    pub found: Found,
    /// Ends of connections that were lost in all runs.
    pub lost_ends: u64,
    said_rejected: Said,
    said_dropped: Said,
}

/// A number that keeps changing is logged at most once in this time.
const SAID_FOR: Duration = Duration::from_secs(600);

/// A number that was logged, and when.
#[derive(Clone, Debug, Default)]
struct Said(Option<(u64, Instant)>);

impl Said {
    /// Whether to log this one now.
    fn is_news(&mut self, number: u64, now: Instant) -> bool {
        let is_said = |(said, at)| said == number || now.duration_since(at) < SAID_FOR;
        let is_news = number > 0 && !self.0.is_some_and(is_said);
        if is_news {
            self.0 = Some((number, now));
        }
        is_news
    }
}

pub struct SourceStatus {
    pub source: &'static str,
    state: Mutex<SourceState>,
}

impl SourceStatus {
    pub fn new(source: &'static str) -> SourceStatus {
        SourceStatus { source, state: Mutex::default() }
    }

    /// Counts runs that were left out.
    pub fn skipped(&self, ticks: u64) {
        lock(&self.state).skipped_ticks += ticks;
    }

    pub fn state(&self) -> SourceState {
        lock(&self.state).clone()
    }

    /// Counts a run, and logs what is new about it.
    pub fn ran(&self, result: Result<Found, String>, duration: Duration) {
        let (name, now) = (self.source, Instant::now());
        let mut state = lock(&self.state);
        state.runs += 1;
        state.duration = duration;
        match result {
            Ok(found) => {
                if state.failure.take().is_some() {
                    log::info!("{name}: works again");
                }
                if state.said_rejected.is_news(found.rejected, now) {
                    let first = found.first_rejected.as_deref().unwrap_or_default();
                    log::warn!(
                        "{name}: left out {} items that do not fit, first: {first}",
                        found.rejected
                    );
                }
                if state.said_dropped.is_news(found.dropped, now) {
                    log::warn!("{name}: left out {} rows beyond the limit", found.dropped);
                }
                for lack in &found.lacks {
                    if !state.found.lacks.iter().any(|known| known.kind == lack.kind) {
                        log::warn!("{name}: {}", lack.why);
                    }
                }
                state.lost_ends += found.lost_ends.unwrap_or(0);
                state.found = found;
                state.last_success = Some(now);
            }
            Err(why) => {
                if state.failure.as_ref() != Some(&why) {
                    log::warn!("{name}: {why}");
                }
                state.failed_runs += 1;
                state.failure = Some(why);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_goes_up_and_down_is_not_logged_each_time() {
        let (mut said, start) = (Said::default(), Instant::now());
        let news: Vec<u64> = (0..1000)
            .filter(|second| {
                let number = [3, 0, 4, 3][*second as usize % 4];
                said.is_news(number, start + Duration::from_secs(*second))
            })
            .collect();
        // The first, and the next other one after ten minutes.
        assert_eq!(news, [0, 602]);
    }
}
