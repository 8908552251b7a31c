//! What a counter grew by in a window of time, from its samples. Pure.
//!
//! What it grew by between two samples is spread evenly over the time between them. Windows side by
//! side add up to exactly what it grew by.
//!
//! Two samples that are further apart than `reach` have a gap between them. A window at the start
//! of the gap was written before the sample at its end was there, and had nothing of it. So all
//! that grew in the gap is spread over the windows that end at most `reach` before the sample at
//! its end, or later: they are written when that sample is there. Which windows these are follows
//! from the sample's time and the schedule alone, so that a window has the same bytes whenever it
//! is asked for.

use super::windows::{Window, Windows};

/// A window, and which samples say what counters grew by in it.
pub struct Question<'a> {
    windows: &'a Windows,
    window: Window,
    reach_ms: u64,
    /// Samples are needed from this time on, in milliseconds since 1970. Of those before it only
    /// the last one's value counts, and not its time.
    pub since: u64,
    /// And up to this time.
    pub until: u64,
}

/// This part of `offset` is for delays: a scrape may come late, and take a while to be there.
const DELAYS: u64 = 5;

/// What a series' samples say of a window.
#[derive(Debug, Default, PartialEq)]
pub struct Growth {
    /// What it grew by; `None` if no two samples cover any of the window.
    pub bytes: Option<f64>,
    /// As much of that grew in gaps.
    pub gap_bytes: f64,
    /// Seconds before resets: what it grew by up to the reset is not known.
    pub reset_seconds: f64,
    /// The first sample, if what the counter grew by up to it belongs to the window.
    pub first: Option<First>,
}

/// A sample without one before it since `Question::since`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct First {
    value: f64,
    /// Of what the counter grew by up to this sample, that much belongs to the window.
    share: f64,
    /// So does that much of the time, in seconds.
    seconds: f64,
}

impl<'a> Question<'a> {
    /// The window is asked about no earlier than `offset_ms` after its end.
    pub fn new(windows: &'a Windows, window: Window, offset_ms: u64) -> Question<'a> {
        let delays_ms = offset_ms / DELAYS;
        let reach_ms = offset_ms - delays_ms;
        let since = window.start.saturating_sub(reach_ms);
        // Where scrapes are `reach` apart, nearly, the one before is among the samples.
        let since = windows.last_end(since).unwrap_or(since).saturating_sub(delays_ms);
        Question { windows, window, reach_ms, since, until: window.end + reach_ms }
    }

    /// From samples (seconds since 1970, value) between `since` and `until`.
    pub fn growth(&self, samples: &[(f64, f64)]) -> Growth {
        let mut growth = Growth::default();
        let mut finite = samples.iter().filter(|(_, value)| value.is_finite());
        let Some(mut before) = finite.next().copied() else { return growth };
        growth.first = self.first(before);
        for sample in finite {
            let ((from, old), (to, new)) = (before, *sample);
            before = *sample;
            let (share, is_gap) = self.share(Some(from), to);
            if share > 0.0 {
                let bytes = grown(old, new) * share;
                *growth.bytes.get_or_insert(0.0) += bytes;
                growth.gap_bytes += if is_gap { bytes } else { 0.0 };
                growth.reset_seconds += if new < old { (to - from) * share } else { 0.0 };
            }
        }
        growth
    }

    fn first(&self, (at, value): (f64, f64)) -> Option<First> {
        let share = self.share(None, at).0;
        let seconds = (at - self.gap_start(at)) * share;
        (share > 0.0).then_some(First { value, share, seconds })
    }

    /// How much of what a counter grew by from one sample to the next belongs to the window, from 0
    /// to 1, and whether there is a gap between the two. It is not known when the one before was
    /// made if that was before `since`.
    fn share(&self, before: Option<f64>, at: f64) -> (f64, bool) {
        let near = before.filter(|before| at - before <= self.reach_ms as f64 / 1000.0);
        let from = near.unwrap_or_else(|| before.unwrap_or(f64::MIN).max(self.gap_start(at)));
        let (start, end) = (self.window.start as f64 / 1000.0, self.window.end as f64 / 1000.0);
        let within = at.min(end) - from.max(start);
        (if within > 0.0 { within / (at - from) } else { 0.0 }, near.is_none())
    }

    /// Where the first window begins that is written when this sample is there, in seconds.
    fn gap_start(&self, at: f64) -> f64 {
        let end = ((at * 1000.0).ceil() as u64).saturating_sub(self.reach_ms);
        let before = end.saturating_sub(1);
        self.windows.last_end(before).unwrap_or(before) as f64 / 1000.0
    }
}

/// A counter that falls has been reset to 0.
fn grown(old: f64, new: f64) -> f64 {
    if new < old { new } else { new - old }
}

impl First {
    /// What the counter grew by in the window, now that its value before is known.
    pub fn after(&self, old: f64) -> Growth {
        let bytes = grown(old, self.value) * self.share;
        let reset_seconds = if self.value < old { self.seconds } else { 0.0 };
        Growth { bytes: Some(bytes), gap_bytes: bytes, reset_seconds, first: None }
    }

    /// What the counter had counted before it was seen, as much of it as belongs to the window.
    pub fn unseen_bytes(&self) -> f64 {
        self.value * self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::federate::windows::Schedule;

    const OFFSET_MS: u64 = 75_000;
    const DAY: usize = 86_400;

    /// What each window of the time between two has, from what Prometheus has when its time to
    /// be written comes: a sample that is made later is not there, and only the last value is known
    /// of those before `since`.
    fn windows_of(
        windows: &Windows,
        samples: &[(f64, f64)],
        mut start: u64,
        end: u64,
    ) -> Vec<Growth> {
        let mut found = Vec::new();
        while start < end {
            let window = windows.after(start).unwrap();
            start = window.end;
            let question = Question::new(windows, window, OFFSET_MS);
            let (since, until) = (question.since as f64 / 1e3, question.until as f64 / 1e3);
            assert!(until <= (window.end + OFFSET_MS) as f64 / 1e3);
            let there: Vec<_> =
                samples.iter().copied().filter(|(at, _)| *at > since && *at <= until).collect();
            let mut growth = question.growth(&there);
            let before = samples.iter().rfind(|(at, value)| *at <= since && value.is_finite());
            if let (Some(first), Some((_, old))) = (growth.first, before) {
                let more = first.after(*old);
                *growth.bytes.get_or_insert(0.0) += more.bytes.unwrap();
                growth.reset_seconds += more.reset_seconds;
                growth.gap_bytes += more.gap_bytes;
                growth.first = None;
            }
            found.push(growth);
        }
        found
    }

    fn every(ms: u64) -> Windows {
        Windows { schedule: Schedule::Every { ms }, longest_ms: 300_000 }
    }

    #[test]
    fn windows_side_by_side_add_up_whatever_is_missing() {
        let cron = Schedule::Cron("7,20,50 * * * * *".parse().unwrap());
        let irregular = Windows { schedule: cron, longest_ms: 300_000 };
        for windows in [every(30_000), every(10_000), every(300_000), every(700_000), irregular] {
            for interval in [7, 15, 60, 61, 100, 400] {
                // None, one, two, and a quarter of an hour of scrapes are missing; it begins again
                // once, and once a sample is no number.
                for missing in [0..0, 8..9, 9..11, 4..(4 + 900 / interval).min(60)] {
                    let mut value = 1e9;
                    let mut samples = Vec::new();
                    let mut grown = 0.0;
                    let (mut last, mut resets) = (None, 0.0);
                    for index in 0..100 {
                        let more = (index * index % 17) as f64 * 1000.0 + 0.5;
                        value = if index == 10 { more } else { value + more };
                        if missing.contains(&index) {
                            continue;
                        }
                        let at = (DAY + 3 + index * interval) as f64;
                        if let Some((before, old)) = last {
                            grown += super::grown(old, value);
                            resets += if value < old { at - before } else { 0.0 };
                        }
                        last = Some((at, value));
                        samples.push((at, value));
                    }
                    samples.insert(3, ((DAY + 3 + 2 * interval) as f64 + 1.0, f64::NAN));
                    // The first sample's share begins before it.
                    let (start, end) = (DAY - 1500, DAY + 100 * interval);
                    let (start, end) = (start as u64 * 1000, end as u64 * 1000);
                    let found = windows_of(&windows, &samples, start, end);
                    let sum: f64 = found.iter().filter_map(|growth| growth.bytes).sum();
                    let what = format!("{windows:?} {interval} {missing:?}");
                    assert!((sum - grown).abs() < 1e-6 * grown, "{what}: {sum} {grown}");
                    let seconds: f64 = found.iter().map(|growth| growth.reset_seconds).sum();
                    assert!(seconds > 0.0 && seconds < resets + 1e-6, "{what}: {seconds}");
                    // What the first sample had counted, once.
                    let unseen = found.iter().filter_map(|growth| growth.first);
                    let unseen: f64 = unseen.map(|first| first.unseen_bytes()).sum();
                    assert!((unseen - samples[0].1).abs() < 1.0, "{what}: {unseen}");
                }
            }
        }
    }

    #[test]
    fn without_gaps_a_rate_is_even_and_after_one_it_is_made_up_for() {
        let sample = |second: u32| (f64::from(second), f64::from(second) * 100.0);
        let bytes = |samples: &[(f64, f64)]| -> Vec<f64> {
            let found = windows_of(&every(30_000), samples, 0, 600_000);
            found.iter().map(|growth| growth.bytes.unwrap_or_default().round()).collect()
        };
        // A scrape that comes a moment late is no gap.
        let even: Vec<_> = (0..20).map(|index| sample(index * 60)).collect();
        assert_eq!(bytes(&even), [3000.0; 20]);
        // From 120 s to 300 s there is none.
        let gap: Vec<_> =
            (0..20).filter(|index| ![3, 4].contains(index)).map(|i| sample(i * 60)).collect();
        let found = bytes(&gap);
        assert_eq!(found[..4], [3000.0; 4]);
        assert_eq!(found[4..10], [0.0, 0.0, 0.0, 6000.0, 6000.0, 6000.0]);
        assert_eq!(found[10..], [3000.0; 10]);
    }

    #[test]
    fn too_few_samples_say_nothing() {
        let windows = every(30_000);
        let question = Question::new(&windows, Window { start: 120_000, end: 150_000 }, OFFSET_MS);
        assert_eq!((question.since, question.until), (45_000, 210_000));
        assert_eq!(question.growth(&[]), Growth::default());
        assert_eq!(question.growth(&[(140.0, f64::NAN)]), Growth::default());
        assert_eq!(question.growth(&[(70.0, 5.0)]), Growth::default());
        let growth = question.growth(&[(100.0, 5.0), (120.0, 9.0), (151.0, 9.0)]);
        assert_eq!((growth.bytes, growth.first), (Some(0.0), None));
    }
}
