//! Collectors that are described in a file: which RPC, which items, which points.
//!
//! A description (`file`) is compiled once (`compile`, `points`, `tree`) into a plan (`plan`). A
//! poll walks each item once (`walk`) and makes its points (`emit`). What a description may send is
//! decided by `read_only`. docs/write-a-collector.md says how one is written.

mod file;
mod path;
mod read_only;
mod plan;
mod walk;
mod faults;
mod tree;
mod events;
mod points;
mod compile;
mod checks;
mod emit;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::{Arc, LazyLock, Mutex};

use serde::Deserializer as _;
use serde::de::{Error as _, MapAccess, Visitor};
use toml::de::{Deserializer, Error};

use self::compile::compile;
use self::emit::Emit;
use self::file::Description;
use self::plan::Plan;
use self::walk::Rows;
use crate::base::sync::lock;
use crate::collector::logical_systems::LogicalSystems;
use crate::collector::only::{self, Only};
use crate::collector::outcome::Answered;
use crate::collector::settings::{Configured, Key, Start};
use crate::collector::{Entry, Poll};
use crate::point::Points;
use crate::point::labels::DescriptionLabels;
use crate::xml::element::{self, Element};
use crate::xml::items::Scope;

pub use self::faults::Fault;
pub use self::read_only::check as check_operation;

/// So many points a described collector gives in one poll where its settings say nothing.
pub const POINTS_MAX: u64 = 100_000;

/// The entry of a description that belongs to the program.
pub fn built_in(text: &'static str) -> Entry {
    let description: Result<Description, _> = toml::from_str(text);
    let plan = description
        .map_err(|err| err.to_string())
        .and_then(|description| compile(&description).map_err(|faults| format!("{faults:?}")));
    // A test reads them all.
    let plan = plan.unwrap_or_else(|why| panic!("a built-in description is wrong: {why}\n{text}"));
    entry(Box::leak(Box::new(plan)), text, true)
}

/// Why a file is no description.
#[derive(Clone, Debug)]
pub enum Refused {
    /// It is no TOML, or has a key or a value that is not allowed.
    Toml(Error),
    Faults(Vec<Fault>),
}

/// What came of each text that was read: a text is compiled once, so that files that are read again
/// and again take no more room, and a collector whose file has not changed stays the same one.
static LOADED: LazyLock<Mutex<BTreeMap<&'static str, Result<&'static Entry, Refused>>>> =
    LazyLock::new(Mutex::default);

/// The collector that a text describes. `beside` is what else there is: a description adds nothing
/// to the measurements of others, and `metric` is what Prometheus calls a field.
pub fn load(
    text: &str,
    beside: &[&'static Entry],
    metric: fn(&str, &str) -> String,
) -> Result<&'static Entry, Refused> {
    let mut loaded = lock(&LOADED);
    let known = loaded.get(text).cloned();
    let entry = match known {
        Some(known) => known,
        None => {
            let text = text.to_string().leak();
            let new = read(text);
            loaded.insert(text, new.clone());
            new
        }
    }?;
    let Some(Described { plan, .. }) = entry.description else { return Ok(entry) };
    let others: Vec<&Entry> = beside.iter().copied().filter(|e| e.name != entry.name).collect();
    let mut faults = checks::beside(plan, &others, metric);
    let is_taken = others.len() < beside.len();
    if is_taken != plan.replaces {
        let name = plan.name;
        let why = match is_taken {
            true => {
                format!("there is a collector `{name}`: replaces = true puts this in its place")
            }
            false => format!("there is no collector `{name}` that this replaces"),
        };
        faults.push(Fault { at: plan.name_at, why });
    }
    faults.sort_by_key(|fault| fault.at);
    if faults.is_empty() { Ok(entry) } else { Err(Refused::Faults(faults)) }
}

/// Every collector that a file has described since the program started.
pub fn loaded() -> Vec<&'static Entry> {
    lock(&LOADED).values().flatten().copied().collect()
}

fn read(text: &'static str) -> Result<&'static Entry, Refused> {
    let description: Description = toml::from_str(text).map_err(Refused::Toml)?;
    let plan = compile(&description).map_err(Refused::Faults)?;
    let entry = entry(Box::leak(Box::new(plan)), text, false);
    Ok(Box::leak(Box::new(entry)))
}

/// A description: its text, and what became of it.
#[derive(Clone, Copy)]
pub struct Described {
    pub text: &'static str,
    pub is_built_in: bool,
    plan: &'static Plan,
}

/// The entry of a compiled description with its text.
fn entry(plan: &'static Plan, text: &'static str, is_built_in: bool) -> Entry {
    let configure = move |table: Deserializer| -> Result<Start, Error> {
        let own = Arc::new(table.deserialize_map(OwnVisitor(plan))?);
        Ok(start(plan, own))
    };
    Entry {
        name: plan.name,
        help: plan.help,
        keys: keys(plan),
        permissions: plan.permissions,
        advice: plan.advice,
        measurements: plan.measurements.clone().leak(),
        description: Some(Described { text, is_built_in, plan }),
        configure: Box::new(configure),
        by_default: Configured::by_default(start(plan, Arc::new(Own::by_default(plan)))),
    }
}

fn start(plan: &'static Plan, own: Arc<Own>) -> Start {
    Arc::new(move |_| {
        let room = own.points_max.get();
        let (own, rows) = (own.clone(), Rows::default());
        let logical_systems = own.logical_systems.clone();
        Box::new(DescribedPoll { plan, own, rows, room, logical_systems })
    })
}

/// The keys of the settings that a described collector has.
fn keys(plan: &Plan) -> &'static [Key] {
    let mut keys = Vec::new();
    if let Some(tag) = plan.only_tag {
        let any = |has: fn(&plan::Query) -> bool| plan.queries.iter().any(has);
        let more = if any(plan::Query::asks_for_only) {
            " The router is asked for no more where it is names between `^` and `$`, or one \
             beginning of names behind `^`."
        } else if any(|query| query.only_rpc.is_some()) {
            " The router is asked for no more where it is up to eight names between `^` and `$`, \
             with `\\.` for a dot."
        } else {
            ""
        };
        let mut templates =
            plan.queries.iter().flat_map(|query| &query.items).flat_map(|item| &item.templates);
        let totals = if templates.any(|template| template.is_total) {
            " What counts all of them is left out then."
        } else {
            ""
        };
        let help = format!(
            "A pattern: only what has a tag `{tag}` that matches is collected.{more}{totals}"
        );
        keys.push(Key { name: "only", help: help.leak() });
    }
    if plan.has_labels {
        let help = "What in a description is a label: `brackets`, a pattern, or none.";
        keys.push(Key { name: "description_labels", help });
    }
    if plan.logical_systems {
        let help = "Names of logical systems that are asked too.";
        keys.push(Key { name: "logical_systems", help });
    }
    keys.extend(
        plan.arguments.iter().map(|argument| Key { name: argument.name, help: argument.help }),
    );
    keys.push(Key { name: "points_max", help: "Points of one poll; those beyond are dropped." });
    keys.leak()
}

/// What is set in `[collector.NAME]`.
struct Own {
    only: Option<Only>,
    labels: DescriptionLabels,
    logical_systems: LogicalSystems,
    points_max: NonZeroU64,
    /// The RPCs of each query, with the values of its arguments and what `only` names.
    rpcs: Vec<Vec<Cow<'static, str>>>,
}

impl Own {
    fn by_default(plan: &'static Plan) -> Own {
        Own {
            only: None,
            labels: DescriptionLabels::default(),
            logical_systems: LogicalSystems::default(),
            points_max: NonZeroU64::new(POINTS_MAX).unwrap_or(NonZeroU64::MIN),
            rpcs: rpcs(plan, &BTreeMap::new(), &None),
        }
    }
}

/// The RPCs of each query with these values of arguments, or their defaults.
fn rpcs(
    plan: &'static Plan,
    set: &BTreeMap<&str, String>,
    only: &Option<Only>,
) -> Vec<Vec<Cow<'static, str>>> {
    let (names, regexes) = (only::names(only), only::regexes(only));
    let rpc = |rpc: &'static str, only: &str| {
        if !rpc.contains('{') {
            return Cow::Borrowed(rpc);
        }
        let values = plan.arguments.iter().map(|argument| {
            let value = set.get(argument.name).unwrap_or(&argument.default);
            (argument.name, value.as_str())
        });
        Cow::Owned(filled(rpc, values.chain([("only", only)])).unwrap_or_default())
    };
    let rpcs = |query: &'static plan::Query| match query.only_rpc {
        Some(only_rpc) if !names.is_empty() => {
            names.iter().map(|name| rpc(only_rpc, name)).collect()
        }
        _ => {
            let names = if query.asks_for_only() { &regexes[..] } else { &regexes[..1] };
            names.iter().map(|name| rpc(query.rpc, name)).collect()
        }
    };
    plan.queries.iter().map(rpcs).collect()
}

/// An RPC with values in place of its `{name}`s.
fn filled<'a>(
    rpc: &str,
    values: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<String, String> {
    let mut filled = rpc.to_string();
    for (name, value) in values {
        filled = filled.replace(&format!("{{{name}}}"), value);
    }
    match filled.split_once('{') {
        Some((_, rest)) => {
            let name = rest.split('}').next().unwrap_or_default();
            Err(format!("there is no [[argument]] for `{{{name}}}`"))
        }
        None => Ok(filled),
    }
}

/// Reads the settings of a described collector.
struct OwnVisitor(&'static Plan);

impl<'de> Visitor<'de> for OwnVisitor {
    type Value = Own;

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Own, A::Error> {
        let mut own = Own::by_default(self.0);
        let mut set = BTreeMap::new();
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "only" => own.only = Some(map.next_value()?),
                "description_labels" => own.labels = map.next_value()?,
                "logical_systems" => own.logical_systems = map.next_value()?,
                "points_max" => own.points_max = map.next_value()?,
                _ => {
                    let argument = self.0.arguments.iter().find(|a| a.name == key);
                    let argument = argument.ok_or_else(|| A::Error::custom("unknown key"))?;
                    set.insert(argument.name, map.next_value_seed(Allowed(&argument.values))?);
                }
            }
        }
        own.rpcs = rpcs(self.0, &set, &own.only);
        Ok(own)
    }
}

/// The value of an argument, if it is one of those that are allowed.
struct Allowed<'a>(&'a [String]);

impl<'de> serde::de::DeserializeSeed<'de> for Allowed<'_> {
    type Value = String;

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<String, D::Error> {
        let value: String = serde::Deserialize::deserialize(value)?;
        if self.0.contains(&value) {
            return Ok(value);
        }
        let allowed = self.0.join("`, `");
        Err(D::Error::custom(format!("`{value}` is not one of `{allowed}`")))
    }
}

/// One poll.
struct DescribedPoll {
    plan: &'static Plan,
    own: Arc<Own>,
    rows: Rows,
    /// How many more points this poll may give.
    room: u64,
    logical_systems: LogicalSystems,
}

impl Poll for DescribedPoll {
    fn queries(&self) -> usize {
        self.plan.queries.len()
    }
    fn roots(&self, query: usize) -> &'static [&'static str] {
        self.plan.queries[query].roots
    }
    fn command(&self, query: usize) -> &'static str {
        self.plan.queries[query].command
    }
    fn items(&self, query: usize) -> Vec<&'static str> {
        self.plan.queries[query].items.iter().map(|item| item.element).collect()
    }
    fn rpcs(&self, query: usize) -> Vec<Cow<'static, str>> {
        let rpcs = &self.own.rpcs[query];
        if !self.plan.queries[query].logical_systems {
            return rpcs.clone();
        }
        let of = |rpc| self.logical_systems.rpcs_of(rpc).into_iter().map(Cow::Owned);
        rpcs.iter().flat_map(|rpc| of(rpc)).collect()
    }
    fn rpc_shown(&self, query: usize) -> &'static str {
        self.plan.queries[query].shown
    }
    fn reads_alike(&self, query: usize, other: usize) -> bool {
        query == other
    }
    fn read(
        &mut self,
        query: usize,
        item: usize,
        element: &mut Element,
        scope: &Scope,
        points: &mut Points,
    ) -> Result<(), element::Error> {
        let item = &self.plan.queries[query].items[item];
        self.rows.read(item, element)?;
        let Own { only, labels, points_max, .. } = &*self.own;
        let (rows, logical_system, room) =
            (&self.rows, self.logical_systems.asked_by(points.rpc), &mut self.room);
        let mut emit = Emit::new(item, rows, scope, logical_system, only.as_ref(), labels, room);
        emit.points(points)?;
        let dropped = emit.dropped;
        points.leave_out(dropped, || format!("more points than points_max = {points_max}"));
        Ok(())
    }
    fn finish(&mut self, _: Answered, _: &mut Points) {}
}
