//! InfluxDB line protocol.
//!
//! One point is one line: control characters in text, which the protocol would take as they are,
//! become spaces, so that a batch can be split and counted by its newlines.

use super::layout;
use crate::point::{Batch, Point, Value};

/// How a batch becomes lines.
#[derive(Clone, Debug, PartialEq)]
pub struct LineProtocol {
    /// The name of the tag that holds the router's name.
    pub host_tag: String,
    /// Integers as `1u`; as `1i` otherwise, where one beyond i64 is clamped.
    pub unsigned: bool,
}

impl Default for LineProtocol {
    fn default() -> LineProtocol {
        LineProtocol { host_tag: "host".into(), unsigned: false }
    }
}

impl LineProtocol {
    /// Appends the batch's points, a line each. How many integers had to be clamped.
    pub fn encode(&self, batch: &Batch, out: &mut Vec<u8>) -> u64 {
        let mut clamped = 0;
        for point in batch.points.iter() {
            clamped += self.encode_point(batch, &point, out);
            out.push(b'\n');
        }
        clamped
    }

    /// The same in the layout of jinfluxexporter.
    pub fn encode_layout(&self, batch: &Batch, out: &mut Vec<u8>) -> u64 {
        let mut clamped = 0;
        for row in batch.points.iter().filter_map(|point| layout::row(&point)) {
            clamped +=
                self.line(batch, row.name, row.tags.into_iter(), row.fields.into_iter(), out);
            out.push(b'\n');
        }
        clamped
    }

    /// Appends one point, without a newline; how many integers had to be clamped.
    pub fn encode_point(&self, batch: &Batch, point: &Point, out: &mut Vec<u8>) -> u64 {
        let fields = point.fields().map(|(_, info, value)| (info.name, value));
        self.line(batch, point.schema.name(), point.tags(), fields, out)
    }

    fn line<'a>(
        &self,
        batch: &Batch,
        measurement: &str,
        tags: impl Iterator<Item = (&'a str, &'a str)>,
        fields: impl Iterator<Item = (&'static str, Value<'a>)>,
        out: &mut Vec<u8>,
    ) -> u64 {
        let mut clamped = 0;
        escape(measurement, MEASUREMENT, out);
        if !batch.node.is_empty() {
            tag(&self.host_tag, batch.node, out);
        }
        // A tag from a description must not forge the router. Without one it forges nothing.
        let is_forged = |name: &str| !batch.node.is_empty() && name == self.host_tag;
        for (name, value) in tags.filter(|(name, _)| !is_forged(name)) {
            tag(name, value, out);
        }
        let mut separator = b' ';
        for (name, value) in fields {
            out.push(separator);
            separator = b',';
            escape(name, TAG, out);
            out.push(b'=');
            clamped += u64::from(self.value(value, out));
        }
        out.push(b' ');
        let mut time = itoa::Buffer::new();
        out.extend_from_slice(time.format(batch.time_ns).as_bytes());
        clamped
    }

    /// Appends a field's value; true where it had to be clamped.
    fn value(&self, value: Value, out: &mut Vec<u8>) -> bool {
        match value {
            Value::Integer(number) => {
                let largest = if self.unsigned { u64::MAX } else { i64::MAX as u64 };
                let mut buffer = itoa::Buffer::new();
                out.extend_from_slice(buffer.format(number.min(largest)).as_bytes());
                out.push(if self.unsigned { b'u' } else { b'i' });
                return number > largest;
            }
            Value::Decimal(number) => {
                let mut buffer = zmij::Buffer::new();
                out.extend_from_slice(buffer.format_finite(number).as_bytes());
            }
            Value::Text(text) => {
                out.push(b'"');
                escape(text, STRING, out);
                out.push(b'"');
            }
        }
        false
    }
}

/// Bits of `SPECIAL`: where a byte needs a backslash.
const MEASUREMENT: u8 = 1;
const TAG: u8 = 2;
const STRING: u8 = 4;
const CONTROL: u8 = 8;

static SPECIAL: [u8; 256] = {
    let mut special = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        special[control] = CONTROL;
        control += 1;
    }
    special[b',' as usize] = MEASUREMENT | TAG;
    special[b' ' as usize] = MEASUREMENT | TAG;
    special[b'=' as usize] = TAG;
    special[b'"' as usize] = STRING;
    special[b'\\' as usize] = STRING;
    special
};

fn tag(name: &str, value: &str, out: &mut Vec<u8>) {
    // A backslash at the end would escape what follows the tag.
    let value = value.trim_end_matches('\\');
    if !value.is_empty() {
        out.push(b',');
        escape(name, TAG, out);
        out.push(b'=');
        escape(value, TAG, out);
    }
}

fn escape(text: &str, place: u8, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let special = SPECIAL[usize::from(*byte)] & (place | CONTROL);
        if special == 0 {
            continue;
        }
        out.extend_from_slice(&bytes[done..at]);
        let byte = if special == CONTROL { b' ' } else { *byte };
        if SPECIAL[usize::from(byte)] & place != 0 {
            out.push(b'\\');
        }
        out.push(byte);
        done = at + 1;
    }
    out.extend_from_slice(&bytes[done..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Measurement, Points, counter, gauge, info};

    struct Item {
        count: u64,
        ratio: f64,
        text: &'static str,
    }

    static ITEM: Measurement<Item> = Measurement {
        name: "it em",
        help: "",
        tags: &["na=me", "lane"],
        fields: &[
            counter("count", "", "", |i| Some(i.count)),
            gauge("ratio", "", "", |i| Some(i.ratio)),
            info("text", "", |i| Some(i.text)),
        ],
    };

    fn line(codec: &LineProtocol, tag: &str, item: &Item) -> (String, u64) {
        let mut points = Points::default();
        points.push(&ITEM, &[tag, ""], item);
        let batch = Batch {
            node: "r 1",
            collector: "c",
            time_ns: 1_700_000_000_123_456_789,
            points: &points,
        };
        let mut out = Vec::new();
        let clamped = codec.encode(&batch, &mut out);
        (String::from_utf8(out).unwrap(), clamped)
    }

    #[test]
    fn escapes_what_the_protocol_takes_for_syntax() {
        let item = Item { count: 7, ratio: -0.5, text: "say \"hi\"\\\n, a=b" };
        let (line, _) = line(&LineProtocol::default(), "a,b c=d\\\\", &item);
        let expected = "it\\ em,host=r\\ 1,na\\=me=a\\,b\\ c\\=d count=7i,ratio=-0.5,\
                        text=\"say \\\"hi\\\"\\\\ , a=b\" 1700000000123456789\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn integers_keep_to_their_type() {
        let item = Item { count: u64::MAX, ratio: 3.0, text: "" };
        let unsigned = LineProtocol { unsigned: true, ..Default::default() };
        let (text, clamped) = line(&unsigned, "x", &item);
        assert!(
            text.ends_with(" count=18446744073709551615u,ratio=3.0 1700000000123456789\n"),
            "{text}"
        );
        assert_eq!(clamped, 0);
        let (text, clamped) = line(&LineProtocol::default(), "x", &item);
        assert!(text.contains(" count=9223372036854775807i,"), "{text}");
        assert_eq!(clamped, 1);
    }
}
