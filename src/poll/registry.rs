//! The registry: every collector, by name.

use std::sync::LazyLock;

use crate::collector::{Entry, entry_of};
use crate::collectors;
use crate::dependency::connections::Connections;

static ALL: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let mut all = collectors::all();
    all.push(entry_of(Connections::new));
    all.sort_by_key(|entry| entry.name);
    all
});

/// In the order of the reference, which is that of the alphabet.
pub fn collectors() -> &'static [Entry] {
    &ALL
}

pub fn find(name: &str) -> Option<&'static Entry> {
    collectors().iter().find(|entry| entry.name == name)
}
