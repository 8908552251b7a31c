//! What federation asks for, and what it writes.

use std::path::PathBuf;

use super::{exclusions, jobs, query, windows};

#[derive(Clone, Debug, PartialEq)]
pub struct FederateConfig {
    pub query: query::PrometheusQueryConfig,
    pub windows: windows::Windows,
    /// Windows end so long ago.
    pub offset_ms: u64,
    /// How far back the sample before a gap is looked for.
    pub gap_max_ms: u64,
    /// What is further back is not made up for.
    pub catch_up_max_ms: u64,
    pub jobs: Vec<jobs::Job>,
    pub exclusions: exclusions::Exclusions,
    pub matchers: String,
    pub rows_max: usize,
    /// The file that records how far the outputs got.
    pub progress_file: PathBuf,
}
