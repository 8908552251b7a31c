//! JSON records: one point, one line.
//!
//! `{"measurement","node","collector","time","tags":{},"fields":{}}`, the time as RFC 3339 with
//! nanoseconds, all nine digits of them, the fields typed as the schema says: whole numbers are
//! exact up to 2^64. What is not finite is as line protocol has it.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::layout::{Row, finite};
use super::sink::Encoded;
use crate::base::bytes::{below, equal, has};
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
    out.push(b'{');
    let Batch { node, collector, .. } = *batch;
    let measurement = point.schema.name();
    let head = [("measurement", measurement), ("node", node), ("collector", collector)];
    for (name, text) in head.into_iter().chain([("time", time)]) {
        entry(name, Value::Text(text), out);
    }
    key("tags", out);
    out.push(b'{');
    point.tags().for_each(|(name, text)| entry(name, Value::Text(text), out));
    out.push(b'}');
    key("fields", out);
    out.push(b'{');
    for (_, info, value) in point.fields() {
        if let Some(value) = finite(info, value) {
            entry(info.name, value, out);
        }
    }
    out.extend_from_slice(b"}}");
}

/// Appends a point in the layout of jkafkaexporter: one flat object.
pub fn encode_row(batch: &Batch, row: &Row, out: &mut Vec<u8>) {
    out.push(b'{');
    entry("Node", Value::Text(batch.node), out);
    row.tags.iter().for_each(|(name, text)| entry(name, Value::Text(text), out));
    row.fields.iter().for_each(|(name, value)| entry(name, *value, out));
    out.push(b'}');
}

/// Appends a name and a value that is finite.
fn entry(name: &str, value: Value, out: &mut Vec<u8>) {
    key(name, out);
    match value {
        Value::Integer(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        Value::Decimal(number) => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
        }
        Value::Text(text) => string(text, out),
    }
}

fn key(name: &str, out: &mut Vec<u8>) {
    if !out.ends_with(b"{") {
        out.push(b',');
    }
    string(name, out);
    out.push(b':');
}

fn string(text: &str, out: &mut Vec<u8>) {
    let special = |word| equal(word, b'"') | equal(word, b'\\') | below(word, b' ');
    if has(text.as_bytes(), special) {
        return serde_json::to_writer(out, text).expect("a string can be written");
    }
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
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
