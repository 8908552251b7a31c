//! What is loaded, from where, and where to.

use std::path::PathBuf;
use std::time::Duration;

use super::{influxql, token};
use crate::federate::windows::Schedule;

#[derive(Clone, Debug, PartialEq)]
pub struct BigqueryConfig {
    pub influxdb: influxql::InfluxqlConfig,
    /// Of the service or an emulator, without `/bigquery/v2`.
    pub url: String,
    pub project: String,
    pub dataset: String,
    pub traffic_table: String,
    pub dependency_table: String,
    pub traffic: Schedule,
    pub dependency: Schedule,
    pub credentials: token::Credentials,
    pub timeout: Duration,
    pub ca_file: Option<PathBuf>,
    /// How long what may be tried again is.
    pub retry_max: Duration,
    pub rows_max: usize,
    /// The file that records what was loaded.
    pub progress_file: PathBuf,
}
