//! InfluxDB line protocol.
//!
//! One point is one line: control characters in text, which the protocol would take as they are,
//! become spaces, so that a batch can be split and counted by its newlines.
//!
//! Servers read a backslash in a tag in different ways: for InfluxDB two of them are two, for
//! VictoriaMetrics one. Backslashes before a character that is escaped, and at the end of a value,
//! are left out, so that no value can end its tag and begin another.

use super::layout::{self, finite};
use super::sink::Encoded;
use crate::base::bytes::{below, equal, has};
use crate::point::{Batch, FieldInfo, Point, Value};

/// How a batch becomes lines.
#[derive(Clone, Debug, PartialEq)]
pub struct LineProtocol {
    /// The name of the tag that holds the router's identity.
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
    /// Appends the batch's points, a line each.
    pub fn encode(&self, batch: &Batch, out: &mut Vec<u8>) -> Encoded {
        let mut encoded = Encoded::default();
        for point in batch.points.iter() {
            self.encode_point(batch, &point, out, &mut encoded);
        }
        encoded
    }

    /// The same in the layout of jinfluxexporter.
    pub fn encode_layout(&self, batch: &Batch, out: &mut Vec<u8>) -> Encoded {
        let mut encoded = Encoded::default();
        for point in batch.points.iter() {
            if point.has_label_twice(&[]) {
                encoded.rejected += 1;
            } else if let Some(row) = layout::row(&point) {
                let (tags, fields) = (row.tags.into_iter(), row.fields.into_iter());
                self.line(batch, row.name, tags, fields, out, &mut encoded);
            }
        }
        encoded
    }

    /// Appends one point and a newline, or nothing if it cannot be a line. False if not.
    pub fn encode_point(
        &self,
        batch: &Batch,
        point: &Point,
        out: &mut Vec<u8>,
        encoded: &mut Encoded,
    ) -> bool {
        if point.has_label_twice(&[]) {
            encoded.rejected += 1;
            return false;
        }
        let finite = |(_, info, value): (usize, &'static FieldInfo, _)| {
            finite(info, value).map(|value| (info.name, value))
        };
        let fields = point.fields().filter_map(finite);
        self.line(batch, point.schema.name(), point.tags(), fields, out, encoded)
    }

    fn line<'a>(
        &self,
        batch: &Batch,
        measurement: &str,
        tags: impl Iterator<Item = (&'a str, &'a str)>,
        fields: impl Iterator<Item = (&'static str, Value<'a>)>,
        out: &mut Vec<u8>,
        encoded: &mut Encoded,
    ) -> bool {
        let start = out.len();
        escape(measurement, MEASUREMENT, out);
        if !batch.node.is_empty() {
            tag(&self.host_tag, batch.node, out);
        }
        // A tag from a description must not forge the router. Without one it forges nothing.
        let is_forged = |name: &str| !batch.node.is_empty() && name == self.host_tag;
        let tags = tags.filter(|(name, _)| !is_forged(name));
        tags.for_each(|(name, value)| tag(name, value, out));
        let mut separator = b' ';
        for (name, value) in fields {
            out.push(separator);
            separator = b',';
            escape(name, TAG, out);
            out.push(b'=');
            encoded.clamped += u64::from(self.value(value, out));
        }
        if separator == b' ' {
            // A line needs a field.
            out.truncate(start);
            encoded.rejected += 1;
            return false;
        }
        out.push(b' ');
        let mut time = itoa::Buffer::new();
        out.extend_from_slice(time.format(batch.time_ns).as_bytes());
        out.push(b'\n');
        true
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

/// What may have a meaning somewhere, and a little more.
fn special(word: u64) -> u64 {
    below(word, b'"' + 1) | equal(word, b',') | equal(word, b'=') | equal(word, b'\\')
}

/// What stands before the backslashes at the end.
fn without_backslashes(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != b'\\').map_or(0, |last| last + 1);
    &bytes[..end]
}

fn escape(text: &str, place: u8, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    if !has(bytes, special) {
        return out.extend_from_slice(bytes);
    }
    let mut done = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let special = SPECIAL[usize::from(*byte)] & (place | CONTROL);
        if special == 0 {
            continue;
        }
        let byte = if special == CONTROL { b' ' } else { *byte };
        let needs_one = SPECIAL[usize::from(byte)] & place != 0;
        out.extend_from_slice(match needs_one && place != STRING {
            true => without_backslashes(&bytes[done..at]),
            false => &bytes[done..at],
        });
        if needs_one {
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
    use crate::point::{Definition, Measurement, Points, counter, gauge, info};

    struct Item {
        count: u64,
        ratio: f64,
        text: &'static str,
    }

    static ITEM: Measurement<Item> = Measurement::new(|| Definition {
        name: "it em",
        help: "",
        tags: &["na=me", "lane"],
        fields: vec![
            counter("count", "", "", |i| Some(i.count)),
            gauge("ratio", "", "", |i| Some(i.ratio)),
            info("text", "", |i| Some(i.text)),
        ],
    });

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
        let Encoded { clamped, rejected } = codec.encode(&batch, &mut out);
        assert_eq!(rejected, 0);
        (String::from_utf8(out).unwrap(), clamped)
    }

    #[test]
    fn what_is_plain_has_no_byte_with_a_meaning() {
        for length in 0..20 {
            for at in 0..length {
                // `!` may be taken for one of them, which costs it a second look.
                for byte in (0..=255).filter(|byte| *byte != b'!') {
                    let mut bytes = vec![b'a'; length];
                    bytes[at] = byte;
                    let has_none = SPECIAL[usize::from(byte)] == 0;
                    assert_eq!(!has(&bytes, special), has_none, "{byte} {length}");
                }
            }
        }
    }

    #[test]
    fn no_value_ends_its_tag() {
        let item = Item { count: 7, ratio: 1.0, text: "a\\,b" };
        for (value, written) in [
            (r"a\,host\=forged", r"a\,host\=forged"),
            (r"a\\,host\ count=1", r"a\,host\ count\=1"),
            (r"a\b\", r"a\b"),
            ("a\\\tb", r"a\ b"),
        ] {
            let (line, _) = line(&LineProtocol::default(), value, &item);
            let expected = format!("it\\ em,host=r\\ 1,na\\=me={written} count=7i");
            assert!(line.starts_with(&expected), "{line} {expected}");
            assert!(line.contains(r#",text="a\\,b" "#), "{line}");
        }
    }

    #[test]
    fn no_light_has_a_floor_and_a_point_without_a_value_is_left_out() {
        static LIGHT: Measurement<f64> = Measurement::new(|| Definition {
            name: "light",
            help: "",
            tags: &["name"],
            fields: vec![
                gauge("dbm", "dBm", "", |p| Some(*p)),
                gauge("mw", "mW", "", |p| Some(*p)),
            ],
        });
        let mut points = Points::default();
        for value in [f64::NEG_INFINITY, f64::INFINITY, -1.5, 1.0] {
            points.push(&LIGHT, &["x"], &value);
        }
        points.label("name", "forged");
        let batch = Batch { node: "", collector: "c", time_ns: 1, points: &points };
        let mut out = Vec::new();
        let encoded = LineProtocol::default().encode(&batch, &mut out);
        assert_eq!(encoded, Encoded { clamped: 0, rejected: 2 });
        let expected = "light,name=x dbm=-40.0 1\nlight,name=x dbm=-1.5,mw=-1.5 1\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
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
