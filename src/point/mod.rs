//! Points: what collectors produce and outputs consume.
//!
//! A measurement is a table of fields, each with the function that takes its value from an item:
//! name, unit, kind, help and source are stated in one place, and reference docs, Prometheus
//! HELP and TYPE and the JSON schema are read from the same table.
//!
//! `Points` keeps a batch as a few flat lists, so that making a point allocates nothing once the
//! lists have grown, and a batch that is kept (as Prometheus needs) stays small.

pub mod field;
pub mod tags;
mod kept;
pub mod points;
pub mod labels;

pub use field::{
    About, Definition, Field, FieldInfo, Kind, Measurement, Schema, Type, Value, counter, fact,
    gauge, has_name, info, labelled, named, text, watched,
};
pub use points::{Load, Point, Points, TEXT_BYTES_MAX};
pub use tags::Tags;

/// The tags of a dependency of the machine: its two ends, the server's port, and the process here.
pub const DEPENDENCY_TAGS: [&str; 7] = [
    "local_hostgroup",
    "local_address",
    "remote_hostgroup",
    "remote_address",
    "port",
    "protocol",
    "process_name",
];

/// Names of tags from several lists, in one; `N` is how many they are.
pub const fn joined<const N: usize>(lists: &[&[&'static str]]) -> [&'static str; N] {
    let mut all = [""; N];
    let (mut at, mut list) = (0, 0);
    while list < lists.len() {
        let mut index = 0;
        while index < lists[list].len() {
            all[at] = lists[list][index];
            (at, index) = (at + 1, index + 1);
        }
        list += 1;
    }
    assert!(at == N);
    all
}

/// What events have in place of a collector, and the name of their measurement.
pub const EVENT: &str = "event";

/// What the readings of the machine itself have in place of a collector begins with it.
pub const OF_MACHINE: &str = "dependency_";

/// Points of one poll and what is the same for all of them.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// The router's name.
    pub node: &'a str,
    pub collector: &'a str,
    /// When the router was asked, in nanoseconds since 1970.
    pub time_ns: u64,
    pub points: &'a Points,
}

#[cfg(test)]
mod tests;
