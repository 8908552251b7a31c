//! Kafka: one record for each point.
//!
//! In the queue a record is a line `time TAB topic TAB key TAB measurement TAB collector TAB
//! value`; none of the six can hold a tab or a newline. The time is the point's, in milliseconds
//! since 1970, and becomes the record's. The producer itself is in `enabled.rs`, or, in a build
//! without the feature `kafka`, the refusal in `disabled.rs`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::json;
use super::layout;
use super::line_protocol::LineProtocol;
use super::sink::Encoded;
use crate::base::secret::Secret;
use crate::point::Batch;

#[cfg(not(feature = "kafka"))]
#[path = "disabled.rs"]
mod producer;
#[cfg(feature = "kafka")]
#[path = "enabled.rs"]
mod producer;

pub use producer::Kafka;

#[derive(Clone, Debug, PartialEq)]
pub struct KafkaConfig {
    pub brokers: String,
    /// Templates: `{collector}`, `{measurement}`, `{node}` and `{time}`, in whole seconds since
    /// 1970, are replaced.
    pub topic: String,
    pub key: String,
    pub value: Value,
    pub layout: Option<Layout>,
    pub compression: String,
    /// Room for records that librdkafka holds.
    pub producer_bytes_max: usize,
    pub linger: Duration,
    pub statistics_interval: Duration,
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub ca_file: Option<PathBuf>,
    /// Any of librdkafka's properties; they have the last word. Some are secret.
    pub librdkafka: Vec<(String, Secret)>,
}

/// What a record's value is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    #[default]
    Json,
    Line,
}

/// Other names than ours for topics and what is in the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    Jkafkaexporter,
}

/// The producer's own statistics.
#[derive(Clone, Debug, Default)]
pub struct Statistics {
    pub brokers_up: u64,
    pub waiting_records: u64,
    pub waiting_bytes: u64,
    pub sent_records: u64,
    pub sent_bytes: u64,
    pub retries: u64,
    /// The mean round trip to the slowest broker.
    pub round_trip_seconds: Option<f64>,
}

impl KafkaConfig {
    /// Appends the batch's records.
    pub fn encode(&self, batch: &Batch, out: &mut Vec<u8>) -> Encoded {
        let mut encoded = Encoded::default();
        let time = json::rfc3339_ns(batch.time_ns);
        let mut milliseconds = itoa::Buffer::new();
        let milliseconds = milliseconds.format(batch.time_ns / 1_000_000);
        let codec = LineProtocol::default();
        for point in batch.points.iter() {
            if point.has_label_twice(&[]) {
                encoded.rejected += 1;
                continue;
            }
            let (start, measurement) = (out.len(), point.schema.name());
            let row = self.layout.map(|Layout::Jkafkaexporter| layout::row(&point));
            let row = match row {
                Some(None) => continue,
                row => row.flatten(),
            };
            let collector = row.as_ref().map_or(batch.collector, |row| row.name);
            out.extend_from_slice(milliseconds.as_bytes());
            out.push(b'\t');
            fill(&self.topic, batch, collector, measurement, topic_character, out);
            out.push(b'\t');
            let key_character = |c: char| if c.is_control() { ' ' } else { c };
            fill(&self.key, batch, collector, measurement, key_character, out);
            for header in [measurement, batch.collector] {
                out.push(b'\t');
                out.extend_from_slice(header.as_bytes());
            }
            out.push(b'\t');
            match (&row, self.value) {
                (Some(row), _) => json::encode_row(batch, row, out),
                (None, Value::Json) => json::encode_point(batch, &time, point, out),
                (None, Value::Line) => {
                    if !codec.encode_point(batch, &point, out, &mut encoded) {
                        out.truncate(start);
                    }
                    continue;
                }
            }
            out.push(b'\n');
        }
        encoded
    }
}

/// Kafka takes only these in a topic's name.
fn topic_character(c: char) -> char {
    if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' }
}

/// Appends the template with its names replaced, each character as `allowed` has it.
fn fill(
    template: &str,
    batch: &Batch,
    collector: &str,
    measurement: &str,
    allowed: fn(char) -> char,
    out: &mut Vec<u8>,
) {
    let mut put = |text: &str| {
        let mut buffer = [0; 4];
        for c in text.chars() {
            out.extend_from_slice(allowed(c).encode_utf8(&mut buffer).as_bytes());
        }
    };
    let mut rest = template;
    while let Some((before, tail)) = rest.split_once('{') {
        put(before);
        let (name, after) = tail.split_once('}').unwrap_or((tail, ""));
        match name {
            "collector" => put(collector),
            "measurement" => put(measurement),
            "time" => put(itoa::Buffer::new().format(batch.time_ns / 1_000_000_000)),
            "node" => put(batch.node),
            // The settings were checked: there is no other name.
            _ => {}
        }
        rest = after;
    }
    put(rest);
}

/// Why a template cannot be used.
pub fn check_template(template: &str) -> Result<(), String> {
    let mut rest = template;
    while let Some((_, tail)) = rest.split_once('{') {
        let (name, after) =
            tail.split_once('}').ok_or_else(|| format!("`{template}` has a {{ without a }}"))?;
        if !["collector", "measurement", "node", "time"].contains(&name) {
            return Err(format!(
                "`{{{name}}}` is none of {{collector}}, {{measurement}}, {{node}}, {{time}}"
            ));
        }
        rest = after;
    }
    if template.is_empty() { Err("is empty".into()) } else { Ok(()) }
}

/// The fields of a record in the queue.
#[derive(Debug, PartialEq)]
struct Record<'a> {
    time_ms: i64,
    topic: &'a str,
    key: &'a str,
    measurement: &'a str,
    collector: &'a str,
    value: &'a str,
}

#[cfg_attr(not(feature = "kafka"), allow(dead_code))]
fn record(line: &str) -> Option<Record<'_>> {
    let mut fields = line.splitn(6, '\t');
    Some(Record {
        time_ms: fields.next()?.parse().ok()?,
        topic: fields.next()?,
        key: fields.next()?,
        measurement: fields.next()?,
        collector: fields.next()?,
        value: fields.next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Definition, Measurement, Points, counter};

    static ITEM: Measurement<u64> = Measurement::new(|| Definition {
        name: "item",
        help: "",
        tags: &["name"],
        fields: vec![counter("count", "", "", |i| Some(*i))],
    });

    #[test]
    fn records_are_lines_of_six_fields() {
        let settings = KafkaConfig {
            brokers: String::new(),
            topic: "junos.{collector}.{node}".into(),
            key: "{node}".into(),
            value: Value::Line,
            layout: None,
            compression: "lz4".into(),
            producer_bytes_max: 0,
            linger: Duration::ZERO,
            statistics_interval: Duration::ZERO,
            username: None,
            password: None,
            ca_file: None,
            librdkafka: Vec::new(),
        };
        let mut points = Points::default();
        points.push(&ITEM, &["a\tb"], &1);
        let batch = Batch { node: "r1:x\n", collector: "c", time_ns: 5_000_007, points: &points };
        let mut out = Vec::new();
        settings.encode(&batch, &mut out);
        let line = String::from_utf8(out).unwrap();
        let expected = Record {
            time_ms: 5,
            topic: "junos.c.r1_x_",
            key: "r1:x ",
            measurement: "item",
            collector: "c",
            value: "item,host=r1:x\\ ,name=a\\ b count=1i 5000007",
        };
        assert_eq!(record(line.trim_end_matches('\n')), Some(expected));
    }

    #[test]
    fn templates_are_checked() {
        assert_eq!(check_template("{collector}-{measurement}.{node}"), Ok(()));
        for wrong in ["", "{collector", "{host}"] {
            assert!(check_template(wrong).is_err(), "{wrong}");
        }
    }
}
