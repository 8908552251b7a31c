//! Reads an inventory document: entries that name an address or a prefix, and its host.
//!
//! It is read as a stream, an entry at a time. An entry that does not fit costs that entry. JSON
//! that is malformed costs its whole document, for nothing behind the mistake is certain: that is
//! the array, or the line where each line is a document of its own.

use std::cell::Cell;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::base::inventory::{Builder, Inventory, Label};
use crate::base::prefix::Prefix;
use crate::point::tags;

/// What an inventory is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One array of objects.
    #[default]
    ArrayJson,
    /// One object after another, a line each.
    NdJson,
}

/// What is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub bytes_max: usize,
    pub entries_max: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { bytes_max: 64 << 20, entries_max: 1_000_000 }
    }
}

/// The fields that every entry may have.
pub const FIELDS: &[&str] = &["ip_address", "domain", "hostgroup"];

/// One entry as it is written. Every field may be missing or null.
#[derive(Default)]
struct Entry {
    ip_address: Option<String>,
    domain: Option<String>,
    hostgroup: Option<String>,
    /// The labels' values in their order, and what of them does not fit.
    labels: Vec<String>,
    misfits: Vec<String>,
    /// Fields that nothing is made of.
    unused: Vec<String>,
}

/// Reads an entry with these labels.
struct Entries<'a>(&'a [Label]);

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = Entry;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Entry, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an entry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Entry, A::Error> {
        let mut entry = Entry { labels: vec![String::new(); self.0.len()], ..Entry::default() };
        let mut seen = Vec::new();
        while let Some(key) = from.next_key::<String>()? {
            let known = match &*key {
                "ip_address" => Some((&mut entry.ip_address, "ip_address")),
                "domain" => Some((&mut entry.domain, "domain")),
                "hostgroup" => Some((&mut entry.hostgroup, "hostgroup")),
                _ => None,
            };
            if let Some((field, name)) = known {
                if seen.contains(&name) {
                    return Err(A::Error::duplicate_field(name));
                }
                seen.push(name);
                *field = from.next_value()?;
            } else if self.0.iter().any(|label| label.field == key) {
                let value = label_value(from.next_value()?).unwrap_or_else(|why| {
                    entry.misfits.push(format!("`{key}`: {why}"));
                    String::new()
                });
                for (label, kept) in self.0.iter().zip(&mut entry.labels) {
                    if label.field == key {
                        kept.clone_from(&value);
                    }
                }
            } else {
                from.next_value::<IgnoredAny>()?;
                entry.unused.push(key);
            }
        }
        Ok(entry)
    }
}

/// A label's value: a text, a number, `true` or `false`; null is none.
fn label_value(value: Value) -> Result<String, String> {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text,
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => return Err("neither a text nor a number".into()),
    };
    if text.contains(char::is_control) {
        return Err("a label has no control characters".into());
    }
    tags::check_value(&text).map(|()| text)
}

/// An entry is as long at most; a longer one is rejected.
const ENTRY_BYTES_MAX: usize = 4 << 10;
/// A document with an element of the array, or a line, that is longer is refused, so that the
/// memory for one has a limit.
const ELEMENT_BYTES_MAX: usize = 1 << 20;

/// Reads a whole document, compressed with gzip or not: some servers compress unasked. Fails if it
/// is malformed, is not complete, is too large, or has entries of which none fits.
pub fn read(input: impl Read, format: Format, bounds: Bounds) -> Result<Inventory, String> {
    read_labelled(input, format, bounds, &Arc::default())
}

/// The same, with fields that are kept as labels.
pub fn read_labelled(
    input: impl Read,
    format: Format,
    bounds: Bounds,
    labels: &Arc<[Label]>,
) -> Result<Inventory, String> {
    let place = Place { bytes: Cell::new(0), element_bytes: Cell::new(0), line: Cell::new(1) };
    let mut input = BufReader::with_capacity(64 << 10, input);
    let start = input.fill_buf().map_err(|err| format!("reading it failed: {err}"))?;
    let input: Box<dyn Read + '_> = match start.starts_with(GZIP) {
        true => Box::new(MultiGzDecoder::new(input)),
        false => Box::new(input),
    };
    let mut input = BufReader::with_capacity(64 << 10, input);
    let start = input.fill_buf().map_err(|err| format!("reading it failed: {err}"))?;
    if start.starts_with(BYTE_ORDER_MARK) {
        input.consume(BYTE_ORDER_MARK.len());
    }
    let input = Document { input, bytes_max: bounds.bytes_max, place: &place };
    let builder = Builder::new(labels.clone());
    let mut reading = Reading { bounds, place: &place, good: 0, labels, builder };
    match format {
        Format::ArrayJson => reading.array(input)?,
        Format::NdJson => reading.lines(input)?,
    }
    reading.finish()
}

/// RFC 1952 section 2.3.1; no JSON begins so.
const GZIP: &[u8] = b"\x1f\x8b";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How far a document has been read: bytes in all and of this element, and the line.
struct Place {
    bytes: Cell<usize>,
    element_bytes: Cell<usize>,
    line: Cell<u64>,
}

/// A document within its limits.
struct Document<'a, R> {
    input: R,
    bytes_max: usize,
    place: &'a Place,
}

impl<R: Read> Read for Document<'_, R> {
    fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(room)?;
        let place = self.place;
        place.bytes.set(place.bytes.get() + read);
        place.element_bytes.set(place.element_bytes.get() + read);
        place.line.set(place.line.get() + newlines(&room[..read]));
        let longer = |than: String| Err(std::io::Error::other(than));
        if place.bytes.get() > self.bytes_max {
            return longer(format!("it is longer than {} bytes (bytes_max)", self.bytes_max));
        }
        if place.element_bytes.get() > ELEMENT_BYTES_MAX {
            let line = place.line.get();
            return longer(format!("line {line}: an entry of more than {ELEMENT_BYTES_MAX} bytes"));
        }
        Ok(read)
    }
}

fn newlines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// An inventory that is being read.
struct Reading<'a> {
    bounds: Bounds,
    place: &'a Place,
    good: u64,
    labels: &'a [Label],
    builder: Builder,
}

impl<'de> Visitor<'de> for &mut Reading<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<Box<RawValue>>()? {
            let json = element.get().as_bytes();
            self.take_json(self.place.line.get() - newlines(json), json);
            self.place.element_bytes.set(0);
        }
        Ok(())
    }
}

impl Reading<'_> {
    /// Takes the entries of one array. Whatever follows it is ignored, as planet-exporter does.
    fn array(&mut self, input: impl Read) -> Result<(), String> {
        let mut json = serde_json::Deserializer::from_reader(input);
        json.deserialize_seq(self).map_err(|err| match err.is_io() {
            true => err.to_string(),
            false => format!("it is not a JSON array of entries: {err}"),
        })
    }

    /// Takes the entries of all lines; there may be several in one.
    #[expect(clippy::unbuffered_bytes, reason = "there is a buffer within the document")]
    fn lines(&mut self, input: impl Read) -> Result<(), String> {
        let (mut line, mut number) = (Vec::new(), 1);
        for byte in input.bytes() {
            match byte.map_err(|err| err.to_string())? {
                b'\n' => {
                    self.take_line(number, &line);
                    self.place.element_bytes.set(0);
                    line.clear();
                    number += 1;
                }
                byte => line.push(byte),
            }
        }
        self.take_line(number, &line);
        Ok(())
    }

    fn take_line(&mut self, number: u64, line: &[u8]) {
        for element in serde_json::Deserializer::from_slice(line).into_iter::<&RawValue>() {
            match element {
                Ok(element) => self.take_json(number, element.get().as_bytes()),
                Err(err) => self.builder.reject(number, without_place(&err)),
            }
        }
    }

    fn take_json(&mut self, line: u64, json: &[u8]) {
        if let Err(why) = self.take(line, json) {
            self.builder.reject(line, why);
        }
    }

    /// Takes one entry; an error says why it is rejected.
    fn take(&mut self, line: u64, json: &[u8]) -> Result<(), String> {
        if json.len() > ENTRY_BYTES_MAX {
            return Err(format!("longer than {ENTRY_BYTES_MAX} bytes"));
        }
        if !json.starts_with(b"{") {
            return Err("not an object".into());
        }
        let mut json = serde_json::Deserializer::from_slice(json);
        let entry = Entries(self.labels).deserialize(&mut json);
        let entry = entry.map_err(|err| without_place(&err))?;
        let prefix: Prefix = entry.ip_address.as_deref().unwrap_or_default().parse()?;
        let domain = entry.domain.as_deref().unwrap_or_default();
        let hostgroup = entry.hostgroup.as_deref().unwrap_or_default();
        self.good += 1;
        entry.unused.iter().for_each(|field| self.builder.unused(field));
        // Without a label that does not fit, the rest of the entry is good.
        entry.misfits.iter().for_each(|why| self.builder.reject(line, why));
        let has_label = entry.labels.iter().any(|value| !value.is_empty());
        if domain.is_empty() && hostgroup.is_empty() && !has_label {
            // It names nothing, and hides no wider prefix that does.
            return Ok(());
        }
        if self.builder.len() >= self.bounds.entries_max {
            return Err(format!("one more than {} entries (entries_max)", self.bounds.entries_max));
        }
        let labels = if has_label { &entry.labels[..] } else { &[] };
        self.builder.add(prefix, domain, hostgroup, labels);
        Ok(())
    }

    fn finish(self) -> Result<Inventory, String> {
        let (rejected, first) = self.builder.rejected();
        if self.good == 0 && rejected > 0 {
            let first = first.unwrap_or_default();
            return Err(format!("none of its {rejected} entries is good: {first}"));
        }
        Ok(self.builder.finish())
    }
}

/// serde's words without the place, which is a place within the entry.
fn without_place(err: &serde_json::Error) -> String {
    let words = err.to_string();
    words.split(" at line ").next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::inventory::Host;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn read(format: Format, text: &str) -> Result<Inventory, String> {
        super::read(text.as_bytes(), format, Bounds::default())
    }

    fn of<'a>(inventory: &'a Inventory, address: &str) -> (&'a str, &'a str) {
        let Host { domain, hostgroup, .. } = inventory.host(address.parse().unwrap());
        (domain, hostgroup)
    }

    #[test]
    fn the_longest_prefix_is_found_in_both_families() {
        let text = r#"[{"ip_address":"10.2.3.0/24","hostgroup":"net"},
            {"ip_address":"10.2.0.0/16","domain":"wide","hostgroup":"w"},
            {"ip_address":"10.2.3.7","domain":"exact","hostgroup":"e"},
            {"ip_address":"10.2.3.8/32","domain":"","hostgroup":""},
            {"ip_address":"0.0.0.0/0","domain":"world"},
            {"ip_address":"255.255.255.255","domain":"last"},
            {"ip_address":"2001:db8::/32","domain":"six"},
            {"ip_address":"2001:db8:0:0::1","domain":"one"},
            {"ip_address":"::ffff:10.2.3.9","domain":"mapped"},
            {"ip_address":"::ffff:192.0.2.0/120","domain":"mapped net"},
            {"ip_address":"10.2.3.10","domain":null,"hostgroup":"nulls"},
            {"ip_address":"10.2.3.7","domain":"again"}]"#;
        let inventory = read(Format::ArrayJson, text).unwrap();
        assert_eq!((inventory.len(), inventory.rejected), (11, 0));
        for (address, expected) in [
            ("10.2.3.1", ("", "net")),
            ("10.2.3.7", ("again", "")),
            ("10.2.3.8", ("", "net")),
            ("10.2.3.9", ("mapped", "")),
            ("10.2.3.10", ("", "nulls")),
            ("::ffff:10.2.3.9", ("mapped", "")),
            ("10.2.4.0", ("wide", "w")),
            ("10.3.0.0", ("world", "")),
            ("192.0.2.255", ("mapped net", "")),
            ("255.255.255.255", ("last", "")),
            ("2001:db8::1", ("one", "")),
            ("2001:db8::2", ("six", "")),
            ("2001:db9::", ("", "")),
            ("127.0.0.1", ("localhost", "localhost")),
            ("127.9.0.1", ("localhost", "localhost")),
            ("::1", ("localhost", "localhost")),
        ] {
            assert_eq!(of(&inventory, address), expected, "{address}");
        }
    }

    #[test]
    fn an_entry_that_does_not_fit_costs_that_entry() {
        let good = |n: u32| format!(r#"{{"ip_address":"10.0.0.{n}","domain":"d{n}"}}"#);
        for (bad, why) in [
            (r#"{"ip_address":"10.0.0.9","domain":7}"#, "invalid type: integer `7`"),
            (r#"{"ip_address":"10.0.0.9","domain":"a","domain":"b"}"#, "duplicate field `domain`"),
            (r#"{"ip_address":"10.0.0.999","domain":"x"}"#, "`10.0.0.999` is neither"),
            (r#"{"ip_address":"10.0.0.9/33","domain":"x"}"#, "`10.0.0.9/33` is neither"),
            (r#"{"domain":"x"}"#, "`` is neither"),
            (r#"{"ip_address":null,"domain":"x"}"#, "`` is neither"),
            (r#"["10.0.0.9","x","y"]"#, "not an object"),
            ("7", "not an object"),
        ] {
            for (format, text) in [
                (Format::ArrayJson, format!("[{},\n{bad},\n{},{}]", good(1), good(2), good(3))),
                (Format::NdJson, format!("{}\n{bad}\n{}{}", good(1), good(2), good(3))),
            ] {
                let inventory = read(format, &text).unwrap();
                let first = inventory.first_rejected.as_deref().unwrap();
                assert!(first.starts_with(&format!("line 2: {why}")), "{bad}: {first}");
                for n in 1..=3 {
                    let expected = format!("d{n}");
                    assert_eq!(of(&inventory, &format!("10.0.0.{n}")).0, expected, "{bad}");
                }
            }
        }
        let long =
            |bytes| format!(r#"{{"ip_address":"10.0.0.9","domain":"{}"}}"#, "x".repeat(bytes));
        for (format, (a, separator, z)) in
            [(Format::ArrayJson, ("[", ",\n", "]")), (Format::NdJson, ("", "\n", ""))]
        {
            let text = |bytes| {
                format!("{a}{}{separator}{}{separator}{}{z}", good(1), long(bytes), good(2))
            };
            let inventory = read(format, &text(5000)).unwrap();
            let first = inventory.first_rejected.as_deref();
            assert_eq!(first, Some("line 2: longer than 4096 bytes"));
            assert_eq!((inventory.rejected, of(&inventory, "10.0.0.2").0), (1, "d2"));
            // One that is held whole until its end would fill the memory.
            let err = read(format, &text(2 << 20)).unwrap_err();
            assert!(err.starts_with("line 2: an entry of more than 1048576 bytes"), "{err}");
        }
    }

    #[test]
    fn fields_of_the_operator_s_own_are_kept_where_they_are_named() {
        let label = |name: &str, field: &str| Label {
            field: field.into(),
            local: format!("local_{name}"),
            remote: format!("remote_{name}"),
        };
        let labels: Arc<[Label]> = [label("site", "Data Center"), label("rack", "rack")].into();
        let long = "x".repeat(tags::VALUE_BYTES_MAX + 1);
        let text = format!(
            r#"[{{"ip_address":"10.0.0.1","domain":"a","Data Center":"fra1","rack":7}},
            {{"ip_address":"10.0.0.2","hostgrop":"b","rack":true}},
            {{"ip_address":"10.0.0.3","domain":"c","rack":null,"owner":{{"team":["x"]}}}},
            {{"ip_address":"10.0.0.4","domain":"d","rack":[1],"Data Center":"x\u001fy"}},
            {{"ip_address":"10.0.0.5","domain":"e","rack":"{long}","Data Center":"fra2"}},
            {{"domain":"f","rack":"no address","nonsense":1}}]"#
        );
        let inventory =
            read_labelled(text.as_bytes(), Format::ArrayJson, Bounds::default(), &labels).unwrap();
        let of = |n: u8| {
            let host = inventory.host([10, 0, 0, n].into());
            let labels = inventory.labels(host.labels, host.labels);
            let labels: Vec<_> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
            format!("{} {}", host.domain, labels.join(" "))
        };
        let both = "local_site=fra1 local_rack=7 remote_site=fra1 remote_rack=7";
        assert_eq!(of(1), format!("a {both}"));
        assert_eq!(of(2), " local_rack=true remote_rack=true");
        assert_eq!((of(3), of(4)), ("c ".into(), "d ".into()));
        assert_eq!(of(5), "e local_site=fra2 remote_site=fra2");
        assert!(inventory.labels("", "").is_empty());
        // Two values and a value, each of its label alone; and the entry without an address.
        assert_eq!((inventory.len(), inventory.rejected), (5, 4));
        let first = inventory.first_rejected.as_deref().unwrap();
        assert_eq!(first, "line 4: `rack`: neither a text nor a number");
        assert_eq!(inventory.unused_fields, ["hostgrop", "owner"]);
        // Without a label, the fields are but noted, as many as a message has room for.
        let many: Vec<String> = (0..100).map(|n| format!("\"f{n}\\u001b\":1")).collect();
        let text = format!(r#"[{{"ip_address":"10.0.0.1","domain":"a",{}}}]"#, many.join(","));
        let inventory = read(Format::ArrayJson, &text).unwrap();
        assert_eq!((inventory.len(), inventory.rejected), (1, 0));
        assert_eq!(inventory.unused_fields.len(), 8);
        assert_eq!(inventory.unused_fields[0], "f0\\u{1b}");
    }

    #[test]
    fn a_malformed_array_is_refused() {
        let good = |n: u32| format!(r#"{{"ip_address":"10.0.0.{n}","domain":"d{n}"}}"#);
        for (bad, why) in [
            ("{bad json", "key must be a string at line 2 column 2"),
            (r#"{"ip_address":"10.0.0.9,"domain":"x"}"#, "expected `,` or `}` at line 2 column 26"),
            (r#"{"ip_address":"10.0.0.9","domain":"x","#, "key must be a string"),
            ("nul", "expected ident at line 2"),
            (r#"{"ip_address":]}"#, "expected value at line 2 column 15"),
            ("", "expected value at line 2"),
        ] {
            let text = format!("[{},\n{bad},\n{},{}]", good(1), good(2), good(3));
            let err = read(Format::ArrayJson, &text).unwrap_err();
            assert!(err.starts_with("it is not a JSON array of entries: "), "{bad}: {err}");
            assert!(err.contains(why), "{bad}: {err}");
        }
    }

    #[test]
    fn lines_are_read_one_by_one_each_with_a_fresh_record() {
        let text = "\u{feff}{\"ip_address\":\"10.0.1.2\",\"domain\":\"a\",\"hostgroup\":\"b\"}\n\
                    {bad json\n\n{\"ip_address\":\"10.0.1.3\"}\n\
                    {\"ip_address\":\"10.0.1.4\",\"extra\":1} {\"ip_address\":\"10.0.1.5\",\
                    \"domain\":\"c\"}{\"ip_address\":\"10.0.1.6\",\"domain\":\"d\"}";
        let inventory = read(Format::NdJson, text).unwrap();
        assert_eq!(inventory.rejected, 1);
        assert_eq!(inventory.unused_fields, ["extra"]);
        assert!(
            inventory.first_rejected.as_ref().unwrap().starts_with("line 2: key must be a string")
        );
        assert_eq!(of(&inventory, "10.0.1.2"), ("a", "b"));
        // A missing field has nothing of the line before.
        assert_eq!(of(&inventory, "10.0.1.3"), ("", ""));
        assert_eq!(of(&inventory, "10.0.1.5"), ("c", ""));
        assert_eq!(of(&inventory, "10.0.1.6"), ("d", ""));
    }

    #[test]
    fn a_compressed_document_is_read_within_the_same_limits() {
        let compressed = |text: &str| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
            gzip.write_all(text.as_bytes()).unwrap();
            gzip.finish().unwrap()
        };
        let text = r#"[{"ip_address":"10.0.0.1","domain":"x"}]"#;
        for text in [text.to_string(), format!("\u{feff}{text}")] {
            let read =
                super::read(&compressed(&text)[..], Format::ArrayJson, Bounds::default()).unwrap();
            assert_eq!(of(&read, "10.0.0.1"), ("x", ""));
        }
        let bounds = Bounds { bytes_max: 100, entries_max: 1 };
        let err = super::read(&compressed(&" ".repeat(1 << 20))[..], Format::ArrayJson, bounds);
        assert_eq!(err.unwrap_err(), "it is longer than 100 bytes (bytes_max)");
        let cut = &compressed(text)[..30];
        let err = super::read(cut, Format::ArrayJson, Bounds::default()).unwrap_err();
        assert!(!err.contains("JSON array"), "{err}");
    }

    #[test]
    fn what_is_no_inventory_or_not_all_of_it_is_refused() {
        for (text, why) in [
            ("<html>busy</html>", "it is not a JSON array of entries: expected value at line 1"),
            (r#"{"error":"busy"}"#, "it is not a JSON array of entries: invalid type: map"),
            ("", "it is not a JSON array of entries: EOF while parsing a value"),
            (
                r#"[{"ip_address":"10.0.0.1","domain":"x"}"#,
                "it is not a JSON array of entries: EOF while parsing a list",
            ),
            (r#"[{"error":"busy"}]"#, "none of its 1 entries is good: line 1: `` is neither"),
        ] {
            let err = read(Format::ArrayJson, text).unwrap_err();
            assert!(err.starts_with(why), "{text}: {err}");
        }
        let err = read(Format::NdJson, "<html>\nbusy\n").unwrap_err();
        assert!(err.starts_with("none of its 2 entries is good: line 1: expected value"), "{err}");
        let none = read(Format::ArrayJson, " [ ] ").unwrap();
        assert!(none.is_empty() && none.find([10, 0, 0, 1].into()).is_none());
        let bounds = Bounds { bytes_max: 100, entries_max: 1 };
        let spaces = std::io::repeat(b' ');
        let err = super::read(spaces, Format::ArrayJson, bounds).unwrap_err();
        assert_eq!(err, "it is longer than 100 bytes (bytes_max)");
        let two =
            r#"[{"ip_address":"1.1.1.1","domain":"x"},{"ip_address":"1.1.1.2","domain":"x"}]"#;
        let inventory = super::read(two.as_bytes(), Format::ArrayJson, bounds).unwrap();
        assert!(inventory.first_rejected.unwrap().contains("(entries_max)"));
    }
}
