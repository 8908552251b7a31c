//! The inventory: what name (`domain`) and what service (`hostgroup`) an address belongs to.
//!
//! Entries name an address or a prefix; an address belongs to the longest prefix around it. Nested
//! prefixes are cut into ranges that do not overlap when the inventory is read, so that a lookup is
//! a binary search over two flat lists: tens of nanoseconds among 100,000 prefixes.
//!
//! It is read as a stream, an entry at a time; a bad entry costs that entry.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::sync::{lock, wait};

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

/// An address and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    bits: u8,
}

impl Prefix {
    pub fn contains(&self, address: IpAddr) -> bool {
        let (first, last) = self.range();
        (first..=last).contains(&address.to_canonical())
    }

    fn range(&self) -> (IpAddr, IpAddr) {
        match self.address {
            IpAddr::V4(address) => {
                let host = u32::MAX.checked_shr(self.bits.into()).unwrap_or(0);
                let first = address.to_bits() & !host;
                (Ipv4Addr::from_bits(first).into(), Ipv4Addr::from_bits(first | host).into())
            }
            IpAddr::V6(address) => {
                let host = u128::MAX.checked_shr(self.bits.into()).unwrap_or(0);
                let first = address.to_bits() & !host;
                (Ipv6Addr::from_bits(first).into(), Ipv6Addr::from_bits(first | host).into())
            }
        }
    }
}

impl FromStr for Prefix {
    type Err = String;
    /// An address, or address/bits. What is mapped into IPv6 is IPv4 again.
    fn from_str(text: &str) -> Result<Prefix, String> {
        let wrong = || format!("`{text}` is neither an address nor a prefix such as 10.0.0.0/8");
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().map_err(|_| wrong())?;
        let address = written.to_canonical();
        let width = |address: IpAddr| if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width(written));
        // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
        let bits = bits.checked_sub(width(written) - width(address)).ok_or_else(wrong)?;
        if bits > width(address) {
            return Err(wrong());
        }
        Ok(Prefix { address, bits })
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Prefix, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What is known of an address; empty where the inventory says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host<'a> {
    pub domain: &'a str,
    pub hostgroup: &'a str,
}

/// Where an entry's words stand in `Inventory::text`.
#[derive(Clone, Copy)]
struct Words {
    start: u32,
    middle: u32,
    end: u32,
}

/// Ranges that do not overlap, in order: where each begins, and which entry it is of.
struct Ranges<A> {
    starts: Vec<A>,
    entries: Vec<u32>,
}

impl<A> Default for Ranges<A> {
    fn default() -> Ranges<A> {
        Ranges { starts: Vec::new(), entries: Vec::new() }
    }
}

/// A range that no entry is about.
const NOBODY: u32 = u32::MAX;

impl<A: Copy + Ord> Ranges<A> {
    /// Of ranges that lie apart or within each other, the inner ones winning; of equal ones the
    /// last. `after` gives the address behind one, if there is any.
    fn new(mut nested: Vec<(A, A, u32)>, after: impl Fn(A) -> Option<A>) -> Ranges<A> {
        // Outer ranges first; the sort is stable, so that of equal ones the last stays on top.
        nested.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut ranges = Ranges::default();
        let mut open: Vec<(A, u32)> = Vec::new();
        for (first, last, entry) in nested {
            ranges.close_before(&mut open, Some(first), &after);
            ranges.begin(first, entry);
            open.push((last, entry));
        }
        ranges.close_before(&mut open, None, &after);
        ranges
    }

    /// Ends the ranges that lie before `first`: behind each goes on what is around it.
    fn close_before(
        &mut self,
        open: &mut Vec<(A, u32)>,
        first: Option<A>,
        after: &impl Fn(A) -> Option<A>,
    ) {
        while let Some((last, _)) = open.last().copied() {
            if first.is_some_and(|first| first <= last) {
                return;
            }
            open.pop();
            if let Some(next) = after(last) {
                self.begin(next, open.last().map_or(NOBODY, |(_, entry)| *entry));
            }
        }
    }

    fn begin(&mut self, start: A, entry: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.entries.pop();
        }
        if self.entries.last() != Some(&entry) {
            self.starts.push(start);
            self.entries.push(entry);
        }
    }

    fn find(&self, address: A) -> Option<u32> {
        let after = self.starts.partition_point(|start| *start <= address);
        let entry = self.entries[after.checked_sub(1)?];
        (entry != NOBODY).then_some(entry)
    }
}

/// The inventory, read and ready to be asked.
#[derive(Default)]
pub struct Inventory {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    words: Vec<Words>,
    /// Domain and hostgroup of each entry, one after the other.
    text: String,
    /// Entries that did not fit and were left out, and the first of them with its line.
    pub rejected: u64,
    pub first_rejected: Option<String>,
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Inventory of {} entries, {} rejected", self.len(), self.rejected)
    }
}

/// The machine's own addresses in every inventory: what the document says of them goes before,
/// except of the last.
const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1", "127.0.0.1"];
const LOCALHOST: &str = "localhost";

impl Inventory {
    /// Reads a whole document. Fails if it is none, is not complete, or is too large.
    pub fn read(input: impl Read, format: Format, bounds: Bounds) -> Result<Inventory, String> {
        let mut reading = Reading::new(bounds);
        let limited = input.take(bounds.bytes_max as u64 + 1);
        let mut input = BufReader::with_capacity(64 << 10, limited);
        reading.entries(&mut input, format == Format::ArrayJson)?;
        reading.finish()
    }

    /// What is known of the address.
    pub fn find(&self, address: IpAddr) -> Option<Host<'_>> {
        let entry = match address.to_canonical() {
            IpAddr::V4(address) => self.v4.find(address.to_bits()),
            IpAddr::V6(address) => self.v6.find(address.to_bits()),
        }?;
        let Words { start, middle, end } = self.words[entry as usize];
        Some(Host {
            domain: &self.text[start as usize..middle as usize],
            hostgroup: &self.text[middle as usize..end as usize],
        })
    }

    /// The same; nothing is known of an address that is not there.
    pub fn host(&self, address: IpAddr) -> Host<'_> {
        self.find(address).unwrap_or_default()
    }

    /// Entries of the document that are used.
    pub fn len(&self) -> usize {
        self.words.len().saturating_sub(LOOPBACK.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An inventory that is being read.
struct Reading {
    bounds: Bounds,
    bytes: usize,
    line: u64,
    good: u64,
    v4: Vec<(u32, u32, u32)>,
    v6: Vec<(u128, u128, u32)>,
    inventory: Inventory,
}

impl Reading {
    fn new(bounds: Bounds) -> Reading {
        let (v4, v6, inventory) = (Vec::new(), Vec::new(), Inventory::default());
        let mut reading = Reading { bounds, bytes: 0, line: 1, good: 0, v4, v6, inventory };
        reading.take_loopback(&LOOPBACK[..2]);
        reading
    }

    fn take_loopback(&mut self, addresses: &[&str]) {
        for address in addresses.iter().filter_map(|address| address.parse().ok()) {
            self.add(address, LOCALHOST, LOCALHOST);
        }
    }

    fn reject(&mut self, line: u64, why: impl fmt::Display) {
        self.inventory.rejected += 1;
        self.inventory.first_rejected.get_or_insert_with(|| format!("line {line}: {why}"));
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
        if self.inventory.words.len() >= self.bounds.entries_max + 2 {
            return Err(format!("one more than {} entries (entries_max)", self.bounds.entries_max));
        }
        self.add(prefix, domain, hostgroup);
        Ok(())
    }

    fn add(&mut self, prefix: Prefix, domain: &str, hostgroup: &str) {
        let index = self.inventory.words.len() as u32;
        let text = &mut self.inventory.text;
        let start = text.len() as u32;
        text.push_str(domain);
        let middle = text.len() as u32;
        text.push_str(hostgroup);
        self.inventory.words.push(Words { start, middle, end: text.len() as u32 });
        match prefix.range() {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                self.v4.push((first.to_bits(), last.to_bits(), index));
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                self.v6.push((first.to_bits(), last.to_bits(), index));
            }
            _ => {}
        }
    }

    fn take_json(&mut self, line: u64, json: &[u8]) {
        let entry = serde_json::from_slice::<Entry>(json);
        let taken = entry.map_err(|err| without_place(&err)).and_then(|entry| self.take(&entry));
        if let Err(why) = taken {
            self.reject(line, why);
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
            self.reject(cutter.line, UNENDED);
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
            Cut::Malformed(why) => self.reject(cutter.malformed_line, why),
            Cut::End => return true,
        }
        false
    }

    fn finish(mut self) -> Result<Inventory, String> {
        if self.good == 0 && self.inventory.rejected > 0 {
            let first = self.inventory.first_rejected.unwrap_or_default();
            return Err(format!(
                "none of its {} entries is good: {first}",
                self.inventory.rejected
            ));
        }
        self.take_loopback(&LOOPBACK[2..]);
        let inventory = &mut self.inventory;
        inventory.v4 = Ranges::new(self.v4, |address| address.checked_add(1));
        inventory.v6 = Ranges::new(self.v6, |address| address.checked_add(1));
        inventory.words.shrink_to_fit();
        inventory.text.shrink_to_fit();
        Ok(self.inventory)
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

/// The inventory in use, for all who ask it.
#[derive(Clone, Default)]
pub struct Shared(Arc<Held>);

#[derive(Default)]
struct Held {
    /// And whether there is one, or was a try to get one.
    current: Mutex<(Arc<Inventory>, bool)>,
    tried: Condvar,
}

impl Shared {
    pub fn get(&self) -> Arc<Inventory> {
        lock(&self.0.current).0.clone()
    }

    /// Takes the place of the one before.
    pub fn set(&self, inventory: Inventory) {
        lock(&self.0.current).0 = Arc::new(inventory);
    }

    /// There was a try to get one.
    pub fn tried(&self) {
        lock(&self.0.current).1 = true;
        self.0.tried.notify_all();
    }

    /// Waits until there was a try, or for so long.
    pub fn wait_tried(&self, time: Duration) {
        let current = lock(&self.0.current);
        if !current.1 {
            drop(wait(&self.0.tried, current, Some(time)));
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// It is no setting: where settings are compared, all are alike.
impl PartialEq for Shared {
    fn eq(&self, _: &Shared) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Format, text: &str) -> Result<Inventory, String> {
        Inventory::read(text.as_bytes(), format, Bounds::default())
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
        let err = Inventory::read(spaces, Format::ArrayJson, bounds).unwrap_err();
        assert_eq!(err, "it is longer than 100 bytes (bytes_max)");
        let two =
            r#"[{"ip_address":"1.1.1.1","domain":"x"},{"ip_address":"1.1.1.2","domain":"x"}]"#;
        let inventory = Inventory::read(two.as_bytes(), Format::ArrayJson, bounds).unwrap();
        assert!(inventory.first_rejected.unwrap().contains("(entries_max)"));
    }
}
