//! JSON records: one point, one line.
//!
//! `{"measurement","node","collector","time","tags":{},"fields":{}}`, the time as RFC 3339 with
//! nanoseconds, all nine digits of them, the fields typed as the schema says: whole numbers are
//! exact up to 2^64. What is not finite is as line protocol has it.

use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::layout::{Row, finite};
use super::sink::Encoded;
use crate::point::{Batch, Point, Value};

/// Appends the batch's points, a line each.
pub fn encode(batch: &Batch, out: &mut Vec<u8>) -> Encoded {
    let time = rfc3339_ns(batch.time_ns);
    let mut encoded = Encoded::default();
    for point in batch.points.iter() {
        if point.has_label_twice(&[]) {
            encoded.rejected += 1;
            continue;
        }
        encode_point(batch, &time, point, out);
        out.push(b'\n');
    }
    encoded
}

/// Appends one point, without a newline. `time` is the batch's, as `rfc3339_ns` writes it.
pub fn encode_point(batch: &Batch, time: &str, point: Point, out: &mut Vec<u8>) {
    let record = Record { batch, time, point };
    serde_json::to_writer(out, &record).expect("a record has no keys but strings");
}

/// Appends a point in the layout of jkafkaexporter: one flat object.
pub fn encode_row(batch: &Batch, row: &Row, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &Flat { batch, row }).expect("a record has no keys but strings");
}

struct Flat<'a> {
    batch: &'a Batch<'a>,
    row: &'a Row<'a>,
}

impl Serialize for Flat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_map(None)?;
        record.serialize_entry("Node", self.batch.node)?;
        for (name, value) in &self.row.tags {
            record.serialize_entry(name, value)?;
        }
        for (name, value) in &self.row.fields {
            record.serialize_entry(name, value)?;
        }
        record.end()
    }
}

pub fn rfc3339(time_ns: u64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(time_ns));
    time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// Of one width, so that times sort as text.
pub fn rfc3339_ns(time_ns: u64) -> String {
    let part_ns = time_ns % 1_000_000_000;
    format!("{}.{part_ns:09}Z", rfc3339(time_ns - part_ns).trim_end_matches('Z'))
}

struct Record<'a> {
    batch: &'a Batch<'a>,
    time: &'a str,
    point: Point<'a>,
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut record = serializer.serialize_struct("record", 6)?;
        record.serialize_field("measurement", self.point.schema.name())?;
        record.serialize_field("node", self.batch.node)?;
        record.serialize_field("collector", self.batch.collector)?;
        record.serialize_field("time", self.time)?;
        record.serialize_field("tags", &Tags(&self.point))?;
        record.serialize_field("fields", &Fields(&self.point))?;
        record.end()
    }
}

struct Tags<'a>(&'a Point<'a>);

impl Serialize for Tags<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.tags())
    }
}

struct Fields<'a>(&'a Point<'a>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let finite = |(_, info, value)| finite(info, value).map(|value| (info.name, value));
        // The map's length is not known: some may be left out.
        let mut fields = serializer.serialize_map(None)?;
        for (name, value) in self.0.fields().filter_map(finite) {
            fields.serialize_entry(name, &value)?;
        }
        fields.end()
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Integer(number) => serializer.serialize_u64(*number),
            Value::Decimal(number) => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Definition, Measurement, Points, counter, text};

    static ITEM: Measurement<u64> = Measurement::new(|| Definition {
        name: "item",
        help: "",
        tags: &["name"],
        fields: vec![
            counter("count", "", "", |i| Some(*i)),
            text("state", "", |_| Some("a\n\"b\"")),
        ],
    });

    #[test]
    fn a_record_is_one_line() {
        let mut points = Points::default();
        points.push(&ITEM, &["x"], &u64::MAX);
        let batch = Batch {
            node: "r1",
            collector: "c",
            time_ns: 1_700_000_000_000_000_001,
            points: &points,
        };
        let mut out = Vec::new();
        encode(&batch, &mut out);
        let expected = concat!(
            r#"{"measurement":"item","node":"r1","collector":"c","#,
            r#""time":"2023-11-14T22:13:20.000000001Z","tags":{"name":"x"},"#,
            r#""fields":{"count":18446744073709551615,"state":"a\n\"b\""}}"#
        );
        assert_eq!(String::from_utf8(out).unwrap().trim_end(), expected);
        assert_eq!(rfc3339_ns(1_700_000_000_120_000_000), "2023-11-14T22:13:20.120000000Z");
        assert_eq!(rfc3339_ns(0), "1970-01-01T00:00:00.000000000Z");
    }
}
