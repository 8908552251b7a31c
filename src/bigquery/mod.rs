//! Loads the roll-up that is in InfluxDB into BigQuery: hourly the traffic of the hour, daily the
//! dependencies of the last seven days.
//!
//! * `rows` has the two tables and makes their rows, `influxql` asks InfluxDB.
//! * `token` gets what Google's services ask for, `insert` writes rows and makes tables.
//! * `load` does one direction of a table at one time, and what is due.
//!
//! A load is known by its time, a tick of its schedule: which span of time it is about, its
//! `inventory_date` and its rows' insert ids follow from that alone.

pub mod influxql;
pub mod insert;
pub mod load;
pub mod rows;
pub mod token;

use std::path::PathBuf;
use std::time::Duration;

use crate::federate::windows::Schedule;

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub influxdb: influxql::Settings,
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
    /// Where it is remembered what was loaded.
    pub progress_file: PathBuf,
}
