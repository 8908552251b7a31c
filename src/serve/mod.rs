//! The HTTP listener, and what it needs of the program.

pub mod http;
pub mod logins;
pub mod connection;
pub mod door;
pub mod events;
#[cfg(feature = "map")]
pub mod map;
pub mod prometheus;

use std::time::{Duration, Instant};

use crate::event::record::Event;
use crate::point::Points;

/// Why a scrape cannot have a router that the settings do not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No pattern allows it.
    Unknown,
    /// So many are known already.
    TooMany,
}

/// The program, as a listener sees it.
pub trait Program: Send + Sync {
    /// The names of the routers in the settings.
    fn targets(&self) -> Vec<String>;
    /// The name of a router that the settings do not name but allow; from then on it is known.
    fn admit(&self, target: &str) -> Result<String, Refusal>;
    /// Whether it was admitted: only who names it gets its points.
    fn is_admitted(&self, node: &str) -> bool;
    /// perijove's own points now: the router that they are about, the time, and the points.
    fn own(&self, wanted: &Wanted) -> Vec<(String, u64, Points)>;
    /// Whether there is a collector, or a source of the dependency map, of that name.
    fn knows(&self, collector: &str) -> bool;
    /// The newest events after that position, each with its router, and the position behind them.
    fn events(&self, after: u64) -> (Vec<(String, Event)>, u64);
    /// Whether every router was polled.
    fn is_ready(&self) -> bool;
    /// Polls what is wanted and older than `age_min`; returns when that is done, or at `until`.
    fn poll(&self, wanted: &Wanted, age_min: Duration, until: Instant);
}

/// Which points a scrape asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Those of this router; `None` for all in the settings.
    pub target: Option<String>,
    /// It is not in the settings: it is polled for whoever names it.
    pub is_admitted: bool,
    /// Those of these collectors; all if it is empty.
    pub collectors: Vec<String>,
}

impl Wanted {
    pub fn is_all(&self) -> bool {
        *self == Wanted::default()
    }

    pub fn has(&self, node: &str, collector: &str) -> bool {
        self.has_target(node) && self.has_collector(collector)
    }

    pub fn has_target(&self, node: &str) -> bool {
        self.target.as_ref().is_none_or(|target| target == node)
    }

    pub fn has_collector(&self, collector: &str) -> bool {
        self.collectors.is_empty() || self.collectors.iter().any(|name| name == collector)
    }
}
