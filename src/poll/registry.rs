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

/// The collectors of the program, in the order of the reference, which is that of the alphabet.
pub fn collectors() -> &'static [Entry] {
    &ALL
}

/// A collector of the program.
pub fn find(name: &str) -> Option<&'static Entry> {
    collectors().iter().find(|entry| entry.name == name)
}

/// The collectors of the program, and those that an operator describes in files.
pub struct Registry {
    all: Vec<&'static Entry>,
    own: Vec<&'static str>,
}

impl Default for Registry {
    fn default() -> Registry {
        Registry { all: collectors().iter().collect(), own: Vec::new() }
    }
}

impl Registry {
    /// Adds a collector of an operator's, in the place of a built-in one of its name.
    pub fn add(&mut self, entry: &'static Entry) {
        self.all.retain(|other| other.name != entry.name);
        let at = self.all.partition_point(|other| other.name < entry.name);
        self.all.insert(at, entry);
        self.own.push(entry.name);
    }

    /// In the order of the alphabet.
    pub fn all(&self) -> &[&'static Entry] {
        &self.all
    }

    pub fn find(&self, name: &str) -> Option<&'static Entry> {
        self.all.iter().copied().find(|entry| entry.name == name)
    }

    /// Those that an operator describes.
    pub fn own(&self) -> &[&'static str] {
        &self.own
    }

    /// Those that a router is asked for where the settings name none: the default set, and what an
    /// operator describes.
    pub fn by_default(&self) -> impl Iterator<Item = &'static str> {
        let is_new = |name: &&&str| !collectors::DEFAULT.contains(*name);
        collectors::DEFAULT.iter().chain(self.own.iter().filter(is_new)).copied()
    }

    pub fn is_default(&self, name: &str) -> bool {
        self.by_default().any(|other| other == name)
    }
}
