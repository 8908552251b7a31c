//! The contract between a collector and the program; `reader` drives it.
//!
//! A collector says which RPCs it asks, which elements of the replies are its items, and what
//! points an item makes. Timing, limits, errors, counting, `re_name` and batches are done here and
//! in the poller, once for all of them.

pub mod logical_systems;
pub mod settings;
pub mod only;
pub mod outcome;
pub mod distinct;
pub mod kept;
pub mod reader;
pub mod described;

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, Error};

use self::described::Described;
use self::outcome::Answered;
use self::settings::{Configure, Configured, Key, NoSettings, Settings, Start};
use crate::base::inventory::Shared;
use crate::point::{Points, Schema};
use crate::xml::element::{self, Element};
use crate::xml::items::Scope;

/// One subject of a router's state. A value of the type lives for one poll.
pub trait Collector: Sized + Send + 'static {
    const NAME: &'static str;
    /// What it collects, for the reference.
    const HELP: &'static str;
    /// Asked in this order. Queries that share an RPC and its items, in other collectors too, share
    /// its reply.
    const QUERIES: &'static [Query<Self>];
    const MEASUREMENTS: &'static [&'static dyn Schema];
    /// What the login class must allow, for the reference.
    const PERMISSIONS: &'static [&'static str] = &["view"];
    /// How often to ask, where the default interval is often for what the reply costs or says; for
    /// the reference.
    const ADVICE: &'static str = "";

    /// After the last reply: points that take more than one item to make, of the queries that the
    /// router answered. It is not called where there is none, nor after a failure.
    fn finish(&mut self, _answered: Answered, _points: &mut Points) {}
}

/// One RPC and how its reply is read.
pub struct Query<C: 'static> {
    pub rpc: Rpc<C>,
    /// The CLI command that asks the same, for the reference.
    pub command: &'static str,
    /// The reply's element under `<rpc-reply>` (and the multi-Routing-Engine wrapper), by whatever
    /// names releases and platforms call it.
    pub roots: &'static [&'static str],
    pub items: &'static [ItemOf<C>],
}

/// What a query sends.
pub enum Rpc<C> {
    /// The operation inside `<rpc>`, verbatim.
    Once(&'static str),
    /// The same, in polls where the collector's settings and earlier replies want it.
    When(&'static str, fn(&C) -> bool),
    /// None, one or several, as the collector's settings and earlier replies have it; the first
    /// field is what the reference shows.
    Each(&'static str, fn(&C) -> Vec<String>),
}

/// An element of a reply that is read whole, and the points it gives.
pub trait Item<C>: DeserializeOwned {
    fn points(self, collector: &mut C, scope: &Scope, points: &mut Points);
}

/// An element's name and the function that reads it for a `C`.
pub struct ItemOf<C> {
    pub element: &'static str,
    read: fn(&mut C, &mut Element, &Scope, &mut Points) -> Result<(), element::Error>,
}

/// Elements of that local name are read as an `I`.
pub const fn item<C, I: Item<C>>(element: &'static str) -> ItemOf<C> {
    ItemOf { element, read: read_item::<C, I> }
}

fn read_item<C, I: Item<C>>(
    collector: &mut C,
    element: &mut Element,
    scope: &Scope,
    points: &mut Points,
) -> Result<(), element::Error> {
    element.read::<I>()?.points(collector, scope, points);
    Ok(())
}

/// A collector in the registry: its declarations, without its type.
pub struct Entry {
    pub name: &'static str,
    pub help: &'static str,
    /// The settings of its own.
    pub keys: &'static [Key],
    pub permissions: &'static [&'static str],
    pub advice: &'static str,
    pub measurements: &'static [&'static dyn Schema],
    /// The file that describes it, if one does.
    pub description: Option<Described>,
    configure: Configure,
    by_default: Configured,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Entry {
    /// The collector with the settings of `[collector.NAME]`, of which only its own are left.
    pub fn configure(&self, table: Spanned<DeTable>) -> Result<Configured, Error> {
        Configured::new(table, &self.configure)
    }

    /// The collector where nothing is set.
    pub fn by_default(&self) -> &Configured {
        &self.by_default
    }

    /// A poll with default settings, and nothing known of addresses.
    pub fn poll(&self) -> Box<dyn Poll> {
        self.by_default.start(&Shared::default())
    }
}

/// The entry of a collector that has no settings.
pub fn entry<C: Collector + Default>() -> Entry {
    entry_of(|_: NoSettings, _| C::default())
}

/// The entry of a collector that is made from its settings.
pub fn entry_with<C: Collector, S: Settings>(new: fn(S) -> C) -> Entry {
    entry_of(move |settings, _| new(settings))
}

/// The entry of a collector that is made from its settings and from what is known of addresses.
pub fn entry_of<C: Collector, S: Settings>(
    new: impl Fn(S, &Shared) -> C + Copy + Send + Sync + 'static,
) -> Entry {
    let start = move |settings: S| -> Start {
        Arc::new(move |inventory| Box::new(new(settings.clone(), inventory)))
    };
    Entry {
        name: C::NAME,
        help: C::HELP,
        keys: S::KEYS,
        permissions: C::PERMISSIONS,
        advice: C::ADVICE,
        measurements: C::MEASUREMENTS,
        description: None,
        configure: Box::new(move |table| S::deserialize(table).map(start)),
        by_default: Configured::by_default(start(S::default())),
    }
}

/// One poll of one collector. `query` counts its queries from 0.
pub trait Poll: Send {
    fn queries(&self) -> usize;
    fn roots(&self, query: usize) -> &'static [&'static str];
    fn command(&self, query: usize) -> &'static str;
    fn items(&self, query: usize) -> Vec<&'static str>;
    /// What to send; `None` for a query that is not wanted in this poll.
    fn rpcs(&self, query: usize) -> Vec<Cow<'static, str>>;
    /// The RPC as the reference shows it.
    fn rpc_shown(&self, query: usize) -> &'static str;
    /// Whether two queries read their items in the same way.
    fn reads_alike(&self, query: usize, other: usize) -> bool;
    fn read(
        &mut self,
        query: usize,
        item: usize,
        element: &mut Element,
        scope: &Scope,
        points: &mut Points,
    ) -> Result<(), element::Error>;
    fn finish(&mut self, answered: Answered, points: &mut Points);
}

impl<C: Collector> Poll for C {
    fn queries(&self) -> usize {
        C::QUERIES.len()
    }
    fn roots(&self, query: usize) -> &'static [&'static str] {
        C::QUERIES[query].roots
    }
    fn command(&self, query: usize) -> &'static str {
        C::QUERIES[query].command
    }
    fn items(&self, query: usize) -> Vec<&'static str> {
        C::QUERIES[query].items.iter().map(|item| item.element).collect()
    }
    fn rpcs(&self, query: usize) -> Vec<Cow<'static, str>> {
        match C::QUERIES[query].rpc {
            Rpc::Once(rpc) => vec![Cow::Borrowed(rpc)],
            Rpc::When(rpc, wanted) if wanted(self) => vec![Cow::Borrowed(rpc)],
            Rpc::When(..) => Vec::new(),
            Rpc::Each(shown, rpcs) => {
                let shared =
                    |rpc| if rpc == shown { Cow::Borrowed(shown) } else { Cow::Owned(rpc) };
                rpcs(self).into_iter().map(shared).collect()
            }
        }
    }
    fn rpc_shown(&self, query: usize) -> &'static str {
        match C::QUERIES[query].rpc {
            Rpc::Once(rpc) | Rpc::When(rpc, _) | Rpc::Each(rpc, _) => rpc,
        }
    }
    fn reads_alike(&self, query: usize, other: usize) -> bool {
        let (a, b) = (&C::QUERIES[query], &C::QUERIES[other]);
        let reads = |query: &Query<C>| query.items.iter().map(|item| item.read as usize).collect();
        let (reads_a, reads_b): (Vec<_>, Vec<_>) = (reads(a), reads(b));
        a.roots == b.roots && reads_a == reads_b
    }
    fn read(
        &mut self,
        query: usize,
        item: usize,
        element: &mut Element,
        scope: &Scope,
        points: &mut Points,
    ) -> Result<(), element::Error> {
        (C::QUERIES[query].items[item].read)(self, element, scope, points)
    }
    fn finish(&mut self, answered: Answered, points: &mut Points) {
        if answered.has_any() {
            Collector::finish(self, answered, points);
        }
    }
}
