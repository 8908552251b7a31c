//! Federation: asks Prometheus for the dependencies and the traffic of a fleet, rolls them up by
//! service, and hands them on as points.
//!
//! * `cron` and `windows` say which windows of time there are; the time is an argument.
//! * `query` asks Prometheus, `answer` reads what it says while it comes.
//! * `jobs` has the questions and the measurements, `roll_up` the sums, `exclusions` what is left
//!   out.
//! * `feed` writes window after window through the outputs and remembers in `progress` how far
//!   each of them got.

pub mod answer;
pub mod cron;
pub mod exclusions;
pub mod feed;
pub mod jobs;
pub mod progress;
pub mod query;
pub mod roll_up;
pub mod windows;

use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub query: query::Settings,
    pub windows: windows::Windows,
    /// Windows end so long ago; that far samples are looked for around them.
    pub offset_ms: u64,
    /// What is further back is not made up for.
    pub catch_up_max_ms: u64,
    pub jobs: Vec<jobs::Job>,
    pub exclusions: exclusions::Exclusions,
    pub matchers: String,
    pub rows_max: usize,
    /// Where it is remembered how far the outputs got.
    pub progress_file: PathBuf,
}
