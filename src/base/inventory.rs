//! Which name (`domain`) and which service (`hostgroup`) an address belongs to.
//!
//! An address belongs to the longest prefix around it. A lookup is a binary search over two flat
//! lists: tens of nanoseconds among 100,000 prefixes.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::prefix::{Prefix, Ranges};
use super::sync::{lock, wait};
use super::text::safe;

/// So many fields that nothing is made of are noted, with so much of the name of each.
const UNUSED_FIELDS_MAX: usize = 8;
const UNUSED_FIELD_BYTES_MAX: usize = 64;

/// What is known of an address; empty where the inventory says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host<'a> {
    pub domain: &'a str,
    pub hostgroup: &'a str,
    /// The values of the inventory's labels; `Inventory::labels` tells them apart.
    pub labels: &'a str,
}

/// A field of the entries that is kept as a label, and what the label is called at either end of a
/// dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub field: String,
    pub local: String,
    pub remote: String,
}

/// Ends each value of an entry's labels; no value has it.
const LABEL_END: char = '\u{1f}';

/// Where an entry's texts are in `Inventory::text`.
#[derive(Clone, Copy)]
struct Words {
    start: u32,
    middle: u32,
    labels: u32,
    end: u32,
}

/// The inventory, ready for lookups.
#[derive(Default)]
pub struct Inventory {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
    words: Vec<Words>,
    /// Domain, hostgroup and labels of each entry, one after the other.
    text: String,
    labels: Arc<[Label]>,
    /// Entries that did not fit and were left out, and the first of them with its line.
    pub rejected: u64,
    pub first_rejected: Option<String>,
    /// Fields of entries that nothing is made of, as many as a message has room for.
    pub unused_fields: Vec<String>,
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Inventory of {} entries, {} rejected", self.len(), self.rejected)
    }
}

/// The machine's own addresses, which are in every inventory. What the document says of them takes
/// precedence, except for the last.
const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1", "127.0.0.1"];
const LOCALHOST: &str = "localhost";

impl Inventory {
    /// What is known of the address.
    pub fn find(&self, address: IpAddr) -> Option<Host<'_>> {
        let entry = match address.to_canonical() {
            IpAddr::V4(address) => self.v4.find(address.to_bits()),
            IpAddr::V6(address) => self.v6.find(address.to_bits()),
        }?;
        let Words { start, middle, labels, end } = self.words[entry as usize];
        Some(Host {
            domain: &self.text[start as usize..middle as usize],
            hostgroup: &self.text[middle as usize..labels as usize],
            labels: &self.text[labels as usize..end as usize],
        })
    }

    /// The labels of a dependency with these ends: `Host::labels` of each, or nothing.
    pub fn labels<'a>(&'a self, local: &'a str, remote: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut found = Vec::new();
        for (values, is_local) in [(local, true), (remote, false)] {
            for (label, value) in self.labels.iter().zip(values.split(LABEL_END)) {
                let name = if is_local { &label.local } else { &label.remote };
                if !value.is_empty() {
                    found.push((&**name, value));
                }
            }
        }
        found
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

/// An inventory that is being made.
pub struct Builder {
    v4: Vec<(u32, u32, u32)>,
    v6: Vec<(u128, u128, u32)>,
    inventory: Inventory,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder::new(Arc::default())
    }
}

impl Builder {
    /// Of entries that have these labels.
    pub fn new(labels: Arc<[Label]>) -> Builder {
        let inventory = Inventory { labels, ..Inventory::default() };
        let mut builder = Builder { v4: Vec::new(), v6: Vec::new(), inventory };
        builder.add_loopback(&LOOPBACK[..2]);
        builder
    }

    fn add_loopback(&mut self, addresses: &[&str]) {
        for address in addresses.iter().filter_map(|address| address.parse().ok()) {
            self.add(address, LOCALHOST, LOCALHOST, &[]);
        }
    }

    /// Counts an entry that does not fit.
    pub fn reject(&mut self, line: u64, why: impl fmt::Display) {
        self.inventory.rejected += 1;
        self.inventory.first_rejected.get_or_insert_with(|| format!("line {line}: {why}"));
    }

    /// Entries that were added.
    pub fn len(&self) -> usize {
        self.inventory.words.len() - 2
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn rejected(&self) -> (u64, Option<&str>) {
        (self.inventory.rejected, self.inventory.first_rejected.as_deref())
    }

    /// Notes a field that nothing is made of.
    pub fn unused(&mut self, field: &str) {
        let fields = &mut self.inventory.unused_fields;
        if fields.len() < UNUSED_FIELDS_MAX {
            let field = safe(field, UNUSED_FIELD_BYTES_MAX);
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
    }

    /// `labels` are the values of the inventory's labels in their order, or none at all.
    pub fn add(&mut self, prefix: Prefix, domain: &str, hostgroup: &str, labels: &[String]) {
        let index = self.inventory.words.len() as u32;
        let text = &mut self.inventory.text;
        let start = text.len() as u32;
        text.push_str(domain);
        let middle = text.len() as u32;
        text.push_str(hostgroup);
        let labels_start = text.len() as u32;
        for label in labels {
            text.push_str(label);
            text.push(LABEL_END);
        }
        let end = text.len() as u32;
        self.inventory.words.push(Words { start, middle, labels: labels_start, end });
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

    pub fn finish(mut self) -> Inventory {
        self.add_loopback(&LOOPBACK[2..]);
        let mut inventory = self.inventory;
        inventory.v4 = Ranges::new(self.v4, |address| address.checked_add(1));
        inventory.v6 = Ranges::new(self.v6, |address| address.checked_add(1));
        inventory.words.shrink_to_fit();
        inventory.text.shrink_to_fit();
        inventory
    }
}

/// The inventory in use, shared by all threads.
#[derive(Clone, Default)]
pub struct Shared(Arc<Held>);

#[derive(Default)]
struct Held {
    /// And whether there is one, or there was an attempt to get one.
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

    /// Notes that there was an attempt to get one.
    pub fn tried(&self) {
        lock(&self.0.current).1 = true;
        self.0.tried.notify_all();
    }

    /// Waits until there was an attempt, or for this long.
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
