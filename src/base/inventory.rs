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

/// What is known of an address; empty where the inventory says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host<'a> {
    pub domain: &'a str,
    pub hostgroup: &'a str,
}

/// Where an entry's texts are in `Inventory::text`.
#[derive(Clone, Copy)]
struct Words {
    start: u32,
    middle: u32,
    end: u32,
}

/// The inventory, ready for lookups.
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

/// An inventory that is being made.
pub struct Builder {
    v4: Vec<(u32, u32, u32)>,
    v6: Vec<(u128, u128, u32)>,
    inventory: Inventory,
}

impl Default for Builder {
    fn default() -> Builder {
        let (v4, v6, inventory) = (Vec::new(), Vec::new(), Inventory::default());
        let mut builder = Builder { v4, v6, inventory };
        builder.add_loopback(&LOOPBACK[..2]);
        builder
    }
}

impl Builder {
    fn add_loopback(&mut self, addresses: &[&str]) {
        for address in addresses.iter().filter_map(|address| address.parse().ok()) {
            self.add(address, LOCALHOST, LOCALHOST);
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

    pub fn add(&mut self, prefix: Prefix, domain: &str, hostgroup: &str) {
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
