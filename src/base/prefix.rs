//! Address ranges: a prefix, and a table that finds the longest one around an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

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

    /// Its first and its last address.
    pub fn range(&self) -> (IpAddr, IpAddr) {
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

/// Ranges that do not overlap, in order: where each begins, and which entry it is of.
pub struct Ranges<A> {
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
    pub fn new(mut nested: Vec<(A, A, u32)>, after: impl Fn(A) -> Option<A>) -> Ranges<A> {
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

    pub fn find(&self, address: A) -> Option<u32> {
        let after = self.starts.partition_point(|start| *start <= address);
        let entry = self.entries[after.checked_sub(1)?];
        (entry != NOBODY).then_some(entry)
    }
}
