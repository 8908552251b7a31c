//! The contract between a collector and the program; `reader` drives it.
//!
//! A collector says which RPCs it asks, which elements of the replies are its items, and what
//! points an item makes. Timing, limits, errors, counting, `re_name` and batches are done here and
//! in the poller, once for all of them.

pub mod logical_systems;
pub mod reader;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::base::inventory::Shared;
use crate::base::prefix::Prefix;
use crate::base::units::{Interval, Timeout};
use crate::point::labels::DescriptionLabels;
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
    /// The settings of `[collector.NAME]` that it takes besides `interval` and `timeout`.
    const KEYS: &'static [&'static str] = &[];
    /// What the login class must allow, for the reference.
    const PERMISSIONS: &'static [&'static str] = &["view"];
    /// How often to ask, where the default interval is often for what the reply costs or says; for
    /// the reference.
    const ADVICE: &'static str = "";

    fn new(settings: &Settings) -> Self;

    /// Before the reply to one of a query's RPCs, which are counted from 0: for replies that do
    /// not say what they are about.
    fn asked(&mut self, _rpc: usize) {}

    /// After the last reply: points that take more than one item to make.
    fn finish(&mut self, _points: &mut Points) {}
}

/// What may be set for a collector; each takes the keys that it names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub interval: Option<Interval>,
    pub timeout: Option<Timeout>,
    /// Ask for satellite devices too.
    pub satellite: bool,
    /// Ask for licences too.
    pub license: bool,
    /// What is matched by it is left out: for `alarm`, a description or type.
    pub ignore: Option<Pattern>,
    /// Only what is matched by it is collected: for `firewall` a filter's name, for `interfaces`
    /// and `interfacequeue` an interface's.
    pub only: Option<Pattern>,
    /// What in a description is a label: for peers and interfaces.
    pub description_labels: Option<DescriptionLabels>,
    /// Services redundancy groups to ask for, by number.
    pub groups: Vec<u32>,
    /// Logical systems to ask for besides the router itself.
    pub logical_systems: Vec<String>,
    /// Addresses within the router, whose connections are left out.
    pub internal: Option<Vec<Prefix>>,
    /// Whether UDP counts.
    pub udp: Option<bool>,
    /// Which daemon serves a port.
    pub daemons: Daemons,
    /// What is known of addresses; given by the program.
    #[serde(skip)]
    pub inventory: Shared,
}

impl Settings {
    /// The keys that are set and that not every collector has, by name.
    pub fn keys(&self) -> Vec<&'static str> {
        let set = [
            ("satellite", self.satellite),
            ("license", self.license),
            ("ignore", self.ignore.is_some()),
            ("only", self.only.is_some()),
            ("description_labels", self.description_labels.is_some()),
            ("groups", !self.groups.is_empty()),
            ("logical_systems", !self.logical_systems.is_empty()),
            ("internal", self.internal.is_some()),
            ("udp", self.udp.is_some()),
            ("daemons", !self.daemons.0.is_empty()),
        ];
        set.iter().filter(|(_, set)| *set).map(|(key, _)| *key).collect()
    }
}

/// Names by port.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Daemons(pub BTreeMap<u16, String>);

impl TryFrom<BTreeMap<String, String>> for Daemons {
    type Error = String;
    fn try_from(written: BTreeMap<String, String>) -> Result<Daemons, String> {
        let port = |(port, name): (String, String)| match port.parse() {
            Ok(port) => Ok((port, name)),
            Err(_) => Err(format!("`{port}` is not a port")),
        };
        written.into_iter().map(port).collect::<Result<_, _>>().map(Daemons)
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

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Pattern {
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
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

/// A collector in the registry: plain data, its type forgotten.
#[derive(Clone, Copy)]
pub struct Entry {
    pub name: &'static str,
    pub help: &'static str,
    pub keys: &'static [&'static str],
    pub permissions: &'static [&'static str],
    pub advice: &'static str,
    pub measurements: &'static [&'static dyn Schema],
    /// Starts a poll.
    pub start: fn(&Settings) -> Box<dyn Poll>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

pub const fn entry<C: Collector>() -> Entry {
    Entry {
        name: C::NAME,
        help: C::HELP,
        keys: C::KEYS,
        permissions: C::PERMISSIONS,
        advice: C::ADVICE,
        measurements: C::MEASUREMENTS,
        start: |settings| Box::new(C::new(settings)),
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
    /// Before the reply to the query's RPC of that index is read.
    fn asked(&mut self, rpc: usize);
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
    fn finish(&mut self, points: &mut Points);
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
            Rpc::Each(_, rpcs) => rpcs(self).into_iter().map(Cow::Owned).collect(),
        }
    }
    fn asked(&mut self, rpc: usize) {
        Collector::asked(self, rpc);
    }
    fn rpc_shown(&self, query: usize) -> &'static str {
        match C::QUERIES[query].rpc {
            Rpc::Once(rpc) | Rpc::Each(rpc, _) => rpc,
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
    fn finish(&mut self, points: &mut Points) {
        Collector::finish(self, points);
    }
}
