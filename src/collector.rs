//! The contract between a collector and the program, and the reader that drives it.
//!
//! A collector says which RPCs it asks, which elements of the replies are its items, and what
//! points an item makes. Timing, limits, errors, counting, `re_name` and batches are done here and
//! in the poller, once for all of them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::dependency::inventory::{Prefix, Shared};
use crate::element::{self, Element};
use crate::items::{self, Items, Limits, Scope};
use crate::labels::DescriptionLabels;
use crate::point::{Points, Schema};
use crate::reply::{self, Meaning, RpcError};
use crate::units::{Interval, Timeout};

/// One subject of a router's state. A value of the type lives for one poll.
pub trait Collector: Sized + Send + 'static {
    const NAME: &'static str;
    /// What it collects, for the reference.
    const HELP: &'static str;
    /// Asked in this order. Queries that share an RPC, in other collectors too, share its reply:
    /// they name the same items.
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

/// What reading came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    pub items: u64,
    /// Items that did not fit and were left out, and the first of them with its reason.
    pub rejected: u64,
    pub first_rejected: Option<String>,
    /// Values that did not fit and left their field out, and the first of them.
    pub misfits: u64,
    pub first_misfit: Option<String>,
    pub points: u64,
    pub bytes: u64,
}

impl Tally {
    fn reject(&mut self, why: String) {
        self.rejected += 1;
        self.first_rejected.get_or_insert(why);
    }

    fn take_misfits(&mut self, element: &mut Element, points: &mut Points) {
        self.misfits += element.misfits + std::mem::take(&mut points.misfits);
        let first = element.first_misfit.take().or(points.first_misfit.take());
        self.first_misfit = self.first_misfit.take().or(first);
    }
}

/// One reader of a reply: a collector's poll, which of its queries the reply answers, and where
/// the points go.
pub struct Reader<'a> {
    pub poll: &'a mut dyn Poll,
    pub query: usize,
    pub points: &'a mut Points,
    pub tally: &'a mut Tally,
}

/// What a reply said besides items.
#[derive(Debug, Default, PartialEq)]
pub struct Reply {
    pub items: u64,
    pub errors: Vec<RpcError>,
    /// The words of an `<output>`: Junos's answer where it has no data.
    pub output: Option<String>,
    /// The first element under the envelope that was none of the above.
    pub root: Option<String>,
    /// Where an item is malformed, if one is, and what was expected there.
    malformed: Option<(u64, String)>,
}

impl Reply {
    /// Why there is no data in it, and what that means; `None` where there is, or where the
    /// router answered with an empty reply or an empty list.
    pub fn refusal(&self) -> Option<(Meaning, String)> {
        let refused = self.errors.iter().filter(|error| error.meaning() != Meaning::Warning);
        // One node of a cluster may have no data while the other has: that is no refusal.
        let refused = refused.filter(|e| self.items == 0 || e.meaning() == Meaning::Failed);
        if let Some(error) = refused.max_by_key(|e| e.meaning() == Meaning::Failed) {
            return Some((error.meaning(), error.to_string()));
        }
        let output = self.output.as_deref().filter(|_| self.items == 0)?;
        let meaning = reply::meaning_of(output).unwrap_or(Meaning::NoData);
        Some((meaning, reply::first_line(output)))
    }
}

/// A reply's other elements: what a router answers instead of data.
const ERRORS: &[&str] = &["rpc-error", "error", "warning", "output"];
const ERRORS_MAX: usize = 16;

/// Points are handed on when a batch has this many bytes, so that a reply of any size is read in
/// little memory.
pub const BATCH_BYTES: usize = 64 << 10;

/// Reads one reply for all that asked for it. `deliver` gets the index of a reader whose points
/// make a batch, and takes them.
pub fn read_reply(
    input: impl Read,
    readers: &mut [Reader],
    limits: &Limits,
    deliver: &mut dyn FnMut(usize, &mut Points),
) -> Result<Reply, items::Error> {
    let mut names = readers.first().map_or_else(Vec::new, |r| r.poll.items(r.query));
    let wanted = names.len();
    names.extend(ERRORS);
    let mut items = Items::new(input, &names, limits);
    let mut reply = Reply::default();
    let result = loop {
        match items.next_item() {
            Ok(Some(item)) if item < wanted => {
                let named = (item, names[item]);
                read_item_for_all(&mut items, named, readers, limits, &mut reply)?;
                for (index, reader) in readers.iter_mut().enumerate() {
                    if reader.points.bytes() >= BATCH_BYTES {
                        deliver(index, reader.points);
                    }
                }
            }
            Ok(Some(item)) => note_error(names[item], &items.text(), limits, &mut reply),
            Ok(None) => break Ok(()),
            Err(err) => break Err(err),
        }
    };
    for reader in readers {
        reader.tally.bytes += items.bytes();
    }
    reply.root = items.root().map(String::from);
    result?;
    match reply.malformed.take() {
        Some((at, expected)) => Err(items::Error::Malformed { at, expected }),
        None => Ok(reply),
    }
}

/// Gives the item that was cut to every reader whose root it stands in.
fn read_item_for_all<R: Read>(
    items: &mut Items<R>,
    (item, name): (usize, &str),
    readers: &mut [Reader],
    limits: &Limits,
    reply: &mut Reply,
) -> Result<(), items::Error> {
    let (mut first, mut taken_further) = (0, false);
    'longer: loop {
        let text = items.text();
        let scope = items.scope();
        for (index, reader) in readers.iter_mut().enumerate().skip(first) {
            let roots = reader.poll.roots(reader.query);
            if !roots.iter().any(|root| *root == name || scope.within(root)) {
                continue;
            }
            let mut element = Element::new(&text, limits.depth_max);
            reader.points.set_re_name(scope.get("re-name").unwrap_or_default());
            let before = reader.points.len();
            match reader.poll.read(reader.query, item, &mut element, scope, reader.points) {
                // Older releases answer some requests with text that a collector can read; other
                // words are an answer like any.
                Ok(()) if name == "output" && reader.points.len() == before => {
                    note_error(name, &text, limits, reply);
                }
                Ok(()) => {
                    reply.items += 1;
                    reader.tally.items += 1;
                    reader.tally.points += (reader.points.len() - before) as u64;
                }
                Err(element::Error::Short) if !taken_further => {
                    // The close tag that was found is within the item: take it to its own.
                    drop(text);
                    items.longer()?;
                    taken_further = true;
                    first = index;
                    continue 'longer;
                }
                Err(element::Error::Short) => {
                    reader.tally.rejected += 1;
                    let at = items.offset() + text.len() as u64;
                    reply.malformed.get_or_insert((at, format!("</{name}>")));
                }
                Err(element::Error::Syntax { at, why }) => {
                    // The reply has failed, and yet the items that follow may be whole.
                    reader.tally.rejected += 1;
                    let expected = why.strip_prefix("expected ").map(String::from);
                    let expected = expected.unwrap_or(format!("well-formed XML ({why})"));
                    reply.malformed.get_or_insert((items.offset() + at as u64, expected));
                }
                Err(why) => {
                    let why = format!("<{name}> at byte {}: {why}", items.offset());
                    reader.tally.reject(why);
                }
            }
            reader.tally.take_misfits(&mut element, reader.points);
        }
        return Ok(());
    }
}

fn note_error(name: &str, text: &str, limits: &Limits, reply: &mut Reply) {
    let mut element = Element::new(text, limits.depth_max);
    if name == "output" {
        let words: Result<String, _> = element.read();
        reply.output.get_or_insert(words.unwrap_or_default());
    } else if reply.errors.len() < ERRORS_MAX {
        let mut error: RpcError = element.read().unwrap_or_default();
        if name == "warning" {
            error.error_severity = name.to_string();
        }
        if error.error_message.is_empty() {
            error.error_message = Element::new(text, limits.depth_max).read().unwrap_or_default();
        }
        reply.errors.push(error);
    }
}
