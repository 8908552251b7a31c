//! What may be set for a collector in `[collector.NAME]`, besides when it is polled.
//!
//! A collector states its settings once, as a struct in `settings!`. The keys that are allowed,
//! their types, and what the reference says of them follow from it.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, Deserializer, Error};

use super::Poll;
use crate::base::inventory::Shared;

/// A key, and what it means in a sentence.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    pub help: &'static str,
}

/// The settings of one collector; `settings!` makes them.
pub trait Settings: Clone + Default + DeserializeOwned + Send + Sync + 'static {
    const KEYS: &'static [Key];
}

/// A struct of settings: each field is a key, and its comment is what the reference says of it.
macro_rules! settings {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident { $($(#[doc = $help:literal])+ $key:ident: $ty:ty,)* }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Default, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name { $($(#[doc = $help])+ pub $key: $ty,)* }

        impl $crate::collector::settings::Settings for $name {
            const KEYS: &'static [$crate::collector::settings::Key] = &[
                $($crate::collector::settings::Key {
                    name: stringify!($key),
                    help: concat!($($help),+),
                },)*
            ];
        }
    };
}
pub(crate) use settings;

settings! {
    /// Those of a collector that has none.
    pub struct NoSettings {}
}

/// Starts a poll. It gets what is known of addresses.
pub type Start = Arc<dyn Fn(&Shared) -> Box<dyn Poll> + Send + Sync>;

/// Reads a collector's settings.
pub(super) type Configure = Box<dyn Fn(Deserializer) -> Result<Start, Error> + Send + Sync>;

/// A collector with its settings: what a poller starts polls of.
#[derive(Clone)]
pub struct Configured {
    /// The settings as they are written, to tell whether they have changed.
    written: toml::Table,
    start: Start,
}

impl Configured {
    pub(super) fn new(table: Spanned<DeTable>, configure: &Configure) -> Result<Configured, Error> {
        let written = toml::Table::deserialize(Deserializer::from(table.clone()))?;
        Ok(Configured { written, start: configure(Deserializer::from(table))? })
    }

    pub(super) fn by_default(start: Start) -> Configured {
        Configured { written: toml::Table::new(), start }
    }

    /// Starts a poll.
    pub fn start(&self, inventory: &Shared) -> Box<dyn Poll> {
        (self.start)(inventory)
    }
}

impl PartialEq for Configured {
    fn eq(&self, other: &Configured) -> bool {
        self.written == other.written
    }
}

impl fmt::Debug for Configured {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.written.fmt(f)
    }
}

/// A regular expression in a settings file.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(regex_lite::Regex);

impl TryFrom<String> for Pattern {
    type Error = String;
    fn try_from(pattern: String) -> Result<Pattern, String> {
        regex_lite::Regex::new(&pattern)
            .map(Pattern)
            .map_err(|err| format!("`{pattern}` is not a regular expression: {err}"))
    }
}

impl Pattern {
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}
