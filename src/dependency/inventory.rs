//! Reads an inventory document: entries that name an address or a prefix, and its host.
//!
//! It is read as a stream, an entry at a time; a bad entry costs that entry.

use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;

use crate::base::inventory::{Builder, Inventory};
use crate::base::prefix::Prefix;

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

/// One entry as it is written. Every field may be missing or null; any other is a mistake.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Entry {
    ip_address: Option<String>,
    domain: Option<String>,
    hostgroup: Option<String>,
}

/// An entry is as long at most; what is longer is none.
const ENTRY_BYTES_MAX: usize = 4 << 10;

/// Reads a whole document. Fails if it is none, is not complete, or is too large.
pub fn read(input: impl Read, format: Format, bounds: Bounds) -> Result<Inventory, String> {
    let mut reading = Reading::new(bounds);
    let limited = input.take(bounds.bytes_max as u64 + 1);
    let mut input = BufReader::with_capacity(64 << 10, limited);
    reading.entries(&mut input, format == Format::ArrayJson)?;
    reading.finish()
}

/// An inventory that is being read.
struct Reading {
    bounds: Bounds,
    bytes: usize,
    line: u64,
    good: u64,
    builder: Builder,
}

impl Reading {
    fn new(bounds: Bounds) -> Reading {
        Reading { bounds, bytes: 0, line: 1, good: 0, builder: Builder::default() }
    }

    fn count(&mut self, bytes: usize) -> Result<(), String> {
        self.bytes += bytes;
        if self.bytes > self.bounds.bytes_max {
            return Err(format!("it is longer than {} bytes (bytes_max)", self.bounds.bytes_max));
        }
        Ok(())
    }

    /// Takes one entry; an error says why it is none.
    fn take(&mut self, entry: &Entry) -> Result<(), String> {
        let prefix: Prefix = entry.ip_address.as_deref().unwrap_or_default().parse()?;
        let domain = entry.domain.as_deref().unwrap_or_default();
        let hostgroup = entry.hostgroup.as_deref().unwrap_or_default();
        self.good += 1;
        if domain.is_empty() && hostgroup.is_empty() {
            // It says nothing, and hides nothing of what is around it.
            return Ok(());
        }
        if self.builder.len() >= self.bounds.entries_max {
            return Err(format!("one more than {} entries (entries_max)", self.bounds.entries_max));
        }
        self.builder.add(prefix, domain, hostgroup);
        Ok(())
    }

    fn take_json(&mut self, line: u64, json: &[u8]) {
        let entry = serde_json::from_slice::<Entry>(json);
        let taken = entry.map_err(|err| without_place(&err)).and_then(|entry| self.take(&entry));
        if let Err(why) = taken {
            self.builder.reject(line, why);
        }
    }

    /// Takes the entries out of the text; an array has its brackets around them.
    fn entries(&mut self, input: &mut impl BufRead, is_array: bool) -> Result<(), String> {
        let mut cutter = Cutter::default();
        let mut begun = !is_array;
        loop {
            let block = match input.fill_buf() {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
                block => block.map_err(|err| format!("reading it failed: {err}"))?,
            };
            let bytes = block.len();
            if bytes == 0 {
                break;
            }
            let block = if self.bytes == 0 { without_mark(block) } else { block };
            for byte in block {
                if *byte == b'\n' {
                    self.line += 1;
                }
                if begun {
                    if self.cut(&mut cutter, *byte) && is_array {
                        // What follows the array is nobody's.
                        return Ok(());
                    }
                } else if *byte == b'[' {
                    begun = true;
                } else if !byte.is_ascii_whitespace() {
                    return Err(NO_ARRAY.into());
                }
            }
            input.consume(bytes);
            self.count(bytes)?;
        }
        if cutter.depth > 0 {
            self.builder.reject(cutter.line, UNENDED);
        }
        match (is_array, begun) {
            (true, false) => Err(NO_ARRAY.into()),
            (true, true) if !cutter.is_doubtful_end => Err("it ends before its `]`".into()),
            _ => Ok(()),
        }
    }

    /// Takes the next byte of the array; true if it ends an array.
    fn cut(&mut self, cutter: &mut Cutter, byte: u8) -> bool {
        let line = self.line;
        match cutter.step(byte, line) {
            Cut::Nothing => {}
            Cut::Element => {
                let json = std::mem::take(&mut cutter.element);
                self.take_json(cutter.line, &json);
                cutter.element = json;
                cutter.element.clear();
            }
            Cut::Malformed(why) => self.builder.reject(cutter.malformed_line, why),
            Cut::End => return true,
        }
        false
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

const NO_ARRAY: &str = "it is no JSON array";
const UNENDED: &str = "an object without its end";

/// Without the byte order mark.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// serde's words without the place, which is one in the entry alone.
fn without_place(err: &serde_json::Error) -> String {
    let words = err.to_string();
    words.split(" at line ").next().unwrap_or_default().to_string()
}

/// Cuts the objects out of the bytes, and finds its way again behind a malformed one: a text ends
/// with its line at the latest, and an object that begins a line, or begins where none can, is the
/// next one.
#[derive(Default)]
struct Cutter {
    element: Vec<u8>,
    /// Where the element begins, and where the one before that was malformed.
    line: u64,
    malformed_line: u64,
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The last byte that was not blank, and whether its line has none.
    before: u8,
    is_new_line: bool,
    /// Nested arrays of what is skipped up to the next comma or line.
    skipping: Option<u32>,
    /// What looked like the array's end closed an object that had none.
    is_doubtful_end: bool,
}

enum Cut {
    Nothing,
    /// `element` is whole.
    Element,
    Malformed(&'static str),
    /// The array has ended.
    End,
}

impl Cutter {
    fn step(&mut self, byte: u8, line: u64) -> Cut {
        if self.in_string {
            return self.step_in_string(byte);
        }
        if byte.is_ascii_whitespace() {
            if byte == b'\n' {
                self.skipping = None;
                self.is_new_line = true;
            }
            return self.keep(byte);
        }
        self.is_doubtful_end = false;
        let before = std::mem::replace(&mut self.before, byte);
        let is_first = std::mem::take(&mut self.is_new_line);
        if self.depth == 0 {
            return self.step_between(byte, line);
        }
        match byte {
            b'{' if is_first || !matches!(before, b':' | b'[') => {
                let line = std::mem::replace(&mut self.line, line);
                self.begin();
                self.malformed_line = line;
                return Cut::Malformed(UNENDED);
            }
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        if self.depth == 0 {
            self.is_doubtful_end = byte == b']';
            self.element.push(byte);
            return Cut::Element;
        }
        self.keep(byte)
    }

    /// Between two elements.
    fn step_between(&mut self, byte: u8, line: u64) -> Cut {
        match (byte, &mut self.skipping) {
            (b'{', _) => {
                self.skipping = None;
                self.line = line;
                self.begin();
            }
            (b'[', Some(nested)) => *nested += 1,
            (b']', Some(nested @ 1..)) => *nested -= 1,
            (b']', _) => return Cut::End,
            (b',', Some(0) | None) => self.skipping = None,
            (_, Some(_)) => {}
            (_, None) => {
                self.skipping = Some(u32::from(byte == b'['));
                self.malformed_line = line;
                return Cut::Malformed("not an object");
            }
        }
        Cut::Nothing
    }

    fn step_in_string(&mut self, byte: u8) -> Cut {
        if byte == b'\n' {
            self.is_new_line = true;
            return self.give_up("a text without its end", None);
        }
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
        self.keep(byte)
    }

    fn begin(&mut self) {
        self.element.clear();
        self.element.push(b'{');
        self.depth = 1;
    }

    /// Keeps a byte of the element, if there is one.
    fn keep(&mut self, byte: u8) -> Cut {
        if self.depth > 0 {
            if self.element.len() >= ENTRY_BYTES_MAX {
                return self.give_up("longer than 4096 bytes", Some(0));
            }
            self.element.push(byte);
        }
        Cut::Nothing
    }

    fn give_up(&mut self, why: &'static str, skipping: Option<u32>) -> Cut {
        (self.depth, self.in_string, self.escaped) = (0, false, false);
        (self.skipping, self.malformed_line) = (skipping, self.line);
        Cut::Malformed(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::inventory::Host;

    fn read(format: Format, text: &str) -> Result<Inventory, String> {
        super::read(text.as_bytes(), format, Bounds::default())
    }

    fn of<'a>(inventory: &'a Inventory, address: &str) -> (&'a str, &'a str) {
        let Host { domain, hostgroup } = inventory.host(address.parse().unwrap());
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
    fn a_malformed_entry_costs_that_entry() {
        let good = |n: u32| format!(r#"{{"ip_address":"10.0.0.{n}","domain":"d{n}"}}"#);
        for (bad, line, why) in [
            ("{bad json", 2, "an object without its end"),
            (r#"{"ip_address":"10.0.0.9,"domain":"x"}"#, 2, "a text without its end"),
            (r#"{"ip_address":"10.0.0.9","domain":"x","#, 2, "an object without its end"),
            (r#"{"ip_address":"10.0.0.9","domain":7}"#, 2, "invalid type: integer `7`"),
            (r#"{"ip_address":"10.0.0.9","extra":{"a":[1]}}"#, 2, "unknown field `extra`"),
            (r#"{"ip_address":"10.0.0.999","domain":"x"}"#, 2, "`10.0.0.999` is neither"),
            (r#"{"ip_address":"10.0.0.9/33","domain":"x"}"#, 2, "`10.0.0.9/33` is neither"),
            (r#"{"domain":"x"}"#, 2, "`` is neither"),
            (r#"{"ip_address":null,"domain":"x"}"#, 2, "`` is neither"),
            ("[1,[2],3]", 2, "not an object"),
            ("nul", 2, "not an object"),
            (r#"{"ip_address":]}"#, 2, "expected value"),
        ] {
            let text = format!("[{},\n{bad},\n{},{}]", good(1), good(2), good(3));
            let inventory = read(Format::ArrayJson, &text).unwrap();
            let first = inventory.first_rejected.as_deref().unwrap();
            assert!(first.starts_with(&format!("line {line}: {why}")), "{bad}: {first}");
            for n in 1..=3 {
                let expected = format!("d{n}");
                assert_eq!(of(&inventory, &format!("10.0.0.{n}")).0, expected, "{bad}");
            }
        }
        let huge = format!(r#"[{},{{"domain":"{}"}},{}]"#, good(1), "x".repeat(5000), good(2));
        let inventory = read(Format::ArrayJson, &huge).unwrap();
        assert_eq!((inventory.rejected, of(&inventory, "10.0.0.2").0), (1, "d2"));
        // The last one has no end, so that the array's is taken for it.
        let text = format!("[{},{{bad]\n", good(1));
        assert_eq!(read(Format::ArrayJson, &text).unwrap().rejected, 1);
    }

    #[test]
    fn lines_are_read_one_by_one_each_with_a_fresh_record() {
        let text = "\u{feff}{\"ip_address\":\"10.0.1.2\",\"domain\":\"a\",\"hostgroup\":\"b\"}\n\
                    {bad json\n\n{\"ip_address\":\"10.0.1.3\"}\n\
                    {\"ip_address\":\"10.0.1.4\",\"extra\":1} {\"ip_address\":\"10.0.1.5\",\
                    \"domain\":\"c\"}{\"ip_address\":\"10.0.1.6\",\"domain\":\"d\"}";
        let inventory = read(Format::NdJson, text).unwrap();
        assert_eq!(inventory.rejected, 2);
        assert!(
            inventory.first_rejected.as_ref().unwrap().starts_with("line 2: an object without")
        );
        assert_eq!(of(&inventory, "10.0.1.2"), ("a", "b"));
        // A missing field has nothing of the line before.
        assert_eq!(of(&inventory, "10.0.1.3"), ("", ""));
        assert_eq!(of(&inventory, "10.0.1.5"), ("c", ""));
        assert_eq!(of(&inventory, "10.0.1.6"), ("d", ""));
    }

    #[test]
    fn what_is_no_inventory_or_not_all_of_it_is_refused() {
        for (text, why) in [
            ("<html>busy</html>", "it is no JSON array"),
            (r#"{"error":"busy"}"#, "it is no JSON array"),
            ("", "it is no JSON array"),
            (r#"[{"ip_address":"10.0.0.1","domain":"x"}"#, "it ends before its `]`"),
            (r#"[{"error":"busy"}]"#, "none of its 1 entries is good: line 1: unknown field"),
        ] {
            let err = read(Format::ArrayJson, text).unwrap_err();
            assert!(err.starts_with(why), "{text}: {err}");
        }
        let err = read(Format::NdJson, "<html>\nbusy\n").unwrap_err();
        assert!(err.starts_with("none of its 2 entries is good: line 1: not an object"), "{err}");
        let none = read(Format::ArrayJson, " [ ] ").unwrap();
        assert!(none.is_empty() && none.find([10, 0, 0, 1].into()).is_none());
        let bounds = Bounds { bytes_max: 100, entries_max: 1 };
        let spaces = io::repeat(b' ');
        let err = super::read(spaces, Format::ArrayJson, bounds).unwrap_err();
        assert_eq!(err, "it is longer than 100 bytes (bytes_max)");
        let two =
            r#"[{"ip_address":"1.1.1.1","domain":"x"},{"ip_address":"1.1.1.2","domain":"x"}]"#;
        let inventory = super::read(two.as_bytes(), Format::ArrayJson, bounds).unwrap();
        assert!(inventory.first_rejected.unwrap().contains("(entries_max)"));
    }
}
