//! The status of federation: its thread writes it, others read it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use crate::base::clock::since_1970;
use crate::base::sync::lock;
use crate::federate::jobs::Answer;
use crate::federate::traffic::Gaps;
use crate::point::{Definition, Measurement, Points, counter, gauge, text};

/// What is known of one of federation's jobs.
#[derive(Clone, Debug, Default)]
pub struct JobStatus {
    windows: u64,
    failures: u64,
    skipped_seconds: u64,
    gaps: Gaps,
    /// The end of the last window whose gaps were counted.
    counted_ms: Option<u64>,
    series: u64,
    rows: u64,
    duration: Duration,
    /// The last window's end, in milliseconds since 1970.
    end_ms: Option<u64>,
    error: Option<String>,
}

pub static FEDERATE: Measurement<JobStatus> = Measurement::new(|| Definition {
    name: "perijove_federate",
    help: "A job of federation.",
    tags: &["job"],
    fields: vec![
        gauge("success", "", "1 if the last window could be written.", |j| {
            (j.windows + j.failures > 0).then(|| u64::from(j.error.is_none()))
        }),
        counter("windows_total", "", "Windows of time written.", |j| Some(j.windows)),
        counter("failures_total", "", "Windows that could not be written yet.", |j| {
            Some(j.failures)
        }),
        counter("skipped_seconds_total", "s", "Time beyond catch_up_max, left out.", |j| {
            Some(j.skipped_seconds)
        }),
        counter("gap_bytes_total", "bytes", "Bytes that grew in gaps between scrapes.", |j| {
            Some(j.gaps.bytes as u64)
        }),
        counter(
            "unseen_bytes_total",
            "bytes",
            "Bytes that counters had when they were first seen, or for the first time in gap_max: \
             no window has them.",
            |j| Some(j.gaps.unseen_bytes as u64),
        ),
        counter(
            "unseen_seconds_total",
            "s",
            "Time before resets of counters, summed over them: no window has what they grew by.",
            |j| Some(j.gaps.unseen_seconds as u64),
        ),
        gauge("series", "", "Series in the last answer.", |j| j.end_ms.map(|_| j.series)),
        gauge("rows", "", "Points made of them.", |j| j.end_ms.map(|_| j.rows)),
        gauge("duration_seconds", "s", "Time the last window took.", |j| {
            j.end_ms.map(|_| j.duration.as_secs_f64())
        }),
        gauge("lag_seconds", "s", "Time since the last window's end.", |j| {
            Some(since_1970().as_secs_f64() - j.end_ms? as f64 / 1000.0)
        }),
        text("error", "Why the last window could not be written.", |j| j.error.as_deref()),
    ],
});

/// What is known of federation; its thread writes, the daemon reads.
#[derive(Default)]
pub struct FederateStatus(Mutex<BTreeMap<&'static str, JobStatus>>);

impl FederateStatus {
    /// Begins with these jobs, of which nothing is known yet.
    pub fn new(jobs: impl Iterator<Item = &'static str>) -> FederateStatus {
        FederateStatus(Mutex::new(jobs.map(|job| (job, JobStatus::default())).collect()))
    }

    fn job(&self, job: &'static str, change: impl FnOnce(&mut JobStatus)) {
        change(lock(&self.0).entry(job).or_default());
    }

    pub fn skipped(&self, job: &'static str, seconds: u64) {
        self.job(job, |status| status.skipped_seconds += seconds);
    }

    /// Logs what is new about it.
    pub fn failed(&self, job: &'static str, why: &str) {
        self.job(job, |status| {
            status.failures += 1;
            if status.error.as_deref() != Some(why) {
                log::warn!("federate: {job}: {why}; the window is tried again");
            }
            status.error = Some(why.into());
        });
    }

    /// Counts a window; its gaps count once if it is written to one output after another.
    pub fn written(
        &self,
        job: &'static str,
        end_ms: u64,
        answer: &Answer,
        rows: u64,
        spent: Duration,
    ) {
        let Answer { series, gaps, .. } = *answer;
        self.job(job, |status| {
            if status.error.take().is_some() {
                log::info!("federate: {job}: works again");
            }
            log::debug!("federate: {job}: {rows} points of {series} series in {spent:?}");
            status.windows += 1;
            if status.counted_ms.is_none_or(|before| before < end_ms) {
                status.counted_ms = Some(end_ms);
                status.gaps.bytes += gaps.bytes;
                status.gaps.unseen_bytes += gaps.unseen_bytes;
                status.gaps.unseen_seconds += gaps.unseen_seconds;
            }
            (status.series, status.rows, status.duration) = (series, rows, spent);
            status.end_ms = Some(end_ms);
        });
    }

    /// Whether each job was tried.
    pub fn is_tried(&self) -> bool {
        lock(&self.0).values().all(|status| status.windows + status.failures > 0)
    }

    pub fn points(&self, points: &mut Points) {
        for (job, status) in lock(&self.0).iter() {
            points.push(&FEDERATE, &[job], status);
        }
    }
}
