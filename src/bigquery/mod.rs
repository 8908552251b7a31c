//! Loads the roll-up that is in InfluxDB into BigQuery: hourly the traffic of the hour, daily the
//! dependencies of the last seven days.
//!
//! * `rows` has the two tables and makes their rows, `influxql` asks InfluxDB.
//! * `token` gets what Google's services ask for, `insert` writes rows and makes tables.
//! * `load` does one direction of a table at one time, and what is due.
//!
//! A load is known by its time, a tick of its schedule: which span of time it is about, its
//! `inventory_date` and its rows' insert ids follow from that alone.

pub mod rows;
pub mod token;
pub mod influxql;
pub mod settings;
pub mod insert;
pub mod load;

pub use settings::BigqueryConfig;
