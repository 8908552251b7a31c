//! Traffic: what the counters of a fleet grew by in a window of time.

use std::collections::{HashMap, HashSet};

use super::answer::Series;
use super::ask::{Asking, join, limit};
use super::growth::{First, Growth, Question};
use super::roll_up::RollUp;
use super::windows::Window;
use crate::dependency::traffic::TAGS;

/// Bytes by direction, service, address, and those of the peer.
pub struct Found {
    pub sums: RollUp<5>,
    pub series: u64,
    pub gaps: Gaps,
}

/// What is known of gaps between the samples of a window's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gaps {
    /// Bytes that grew in gaps and that the window has.
    pub bytes: f64,
    /// Bytes that counters had counted before they were seen: no window has them.
    pub unseen_bytes: f64,
    /// Time before resets, summed over the counters: no window has what they grew by in it.
    pub unseen_seconds: f64,
}

impl Gaps {
    fn add(&mut self, growth: &Growth) {
        self.bytes += growth.gap_bytes;
        self.unseen_seconds += growth.reset_seconds;
    }
}

/// Bytes that counters grew by in the window, by all labels but the address of the peer's machine
/// and what tells one exporter from another. An exporter that two jobs scrape counts once.
pub fn ask(metric: &str, window: Window, asking: &Asking) -> Result<Found, String> {
    let Asking { exclusions, client, rows_max, .. } = asking;
    let named = match exclusions.unnamed {
        true => "",
        false => "local_hostgroup!=\"\",remote_hostgroup!=\"\"",
    };
    let selector = format!("{metric}{{{}}}", join(named, asking.matchers));
    let question = Question::new(asking.windows, window, asking.offset_ms);
    let range = question.until - question.since;
    let (mut sums, mut gaps) = (RollUp::default(), Gaps::default());
    let (mut firsts, mut seen) = (HashMap::new(), HashSet::new());
    let mut each = |series: &Series| {
        let [direction, service, address, remote_service, remote_address, ip] = &series.labels[..]
        else {
            return Ok(());
        };
        if exclusions.has_address(ip) || exclusions.has_address(remote_address) {
            return Ok(());
        }
        if !seen.insert(series.identity) {
            return Ok(());
        }
        let growth = question.growth(&series.samples);
        gaps.add(&growth);
        if growth.bytes.is_some() || growth.first.is_some() {
            let row = sums.row([direction, service, address, remote_service, remote_address]);
            if let Some(bytes) = growth.bytes {
                sums.add_to(row, bytes);
            }
            match growth.first {
                Some(first) if firsts.len() >= *rows_max => {
                    gaps.unseen_bytes += first.unseen_bytes();
                }
                Some(first) => drop(firsts.insert(series.identity, (first, row))),
                None => {}
            }
        }
        limit(sums.size(), *rows_max)
    };
    let expression = format!("{selector}[{range}ms]");
    let rest = client.ask(&expression, question.until, TAGS, &mut each)?;
    drop(seen);
    before_gaps(&selector, question.since, firsts, &mut sums, &mut gaps, asking)?;
    Ok(Found { sums, series: rest.series, gaps })
}

/// Adds what counters grew by up to their first samples in an answer, by their rows, from the last
/// values that they had before.
fn before_gaps(
    selector: &str,
    since: u64,
    mut firsts: HashMap<u64, (First, [u32; 5])>,
    sums: &mut RollUp<5>,
    gaps: &mut Gaps,
    asking: &Asking,
) -> Result<(), String> {
    if firsts.is_empty() {
        return Ok(());
    }
    let mut each = |series: &Series| {
        let last = series.samples.last().filter(|(_, value)| value.is_finite());
        if let (Some((_, old)), Some((first, row))) = (last, firsts.remove(&series.identity)) {
            let growth = first.after(*old);
            gaps.add(&growth);
            sums.add_to(row, growth.bytes.unwrap_or_default());
        }
        limit(sums.size(), asking.rows_max)
    };
    let expression = format!("last_over_time({selector}[{}ms])", asking.gap_max_ms);
    asking.client.ask(&expression, since, &["direction"], &mut each)?;
    gaps.unseen_bytes += firsts.values().map(|(first, _)| first.unseen_bytes()).sum::<f64>();
    Ok(())
}
