//! A description as it is written.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::base::changes::{Severity, Watch};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    pub name: Spanned<String>,
    pub help: Spanned<String>,
    #[serde(default)]
    pub advice: String,
    pub permissions: Option<Vec<String>>,
    /// It takes the place of the built-in collector of its name.
    #[serde(default)]
    pub replaces: bool,
    /// The tag that the setting `only` looks at.
    pub only: Option<Spanned<String>>,
    #[serde(default)]
    pub argument: Vec<Spanned<Argument>>,
    pub query: Vec<Spanned<Query>>,
}

/// A setting of the collector's own whose value goes into its RPCs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    pub name: Spanned<String>,
    pub help: Spanned<String>,
    /// What it may be.
    pub values: Spanned<Vec<String>>,
    pub default: Spanned<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    pub rpc: Spanned<String>,
    /// What is sent in its place for each name that the setting `only` consists of.
    pub only_rpc: Option<Spanned<String>>,
    pub command: Spanned<String>,
    pub roots: Spanned<Vec<String>>,
    /// The RPC is sent once more for each logical system that is set.
    #[serde(default)]
    pub logical_systems: bool,
    pub point: Vec<Spanned<Point>>,
}

/// What becomes a point, and what is in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The element of the reply that is read whole.
    pub item: Spanned<String>,
    /// Elements below the item: a point for each.
    pub each: Option<Spanned<String>>,
    /// A point also where there is no such element.
    #[serde(default)]
    pub or_none: bool,
    /// The element that begins a record, where records have no element of their own.
    pub records: Option<Spanned<String>>,
    #[serde(default, rename = "where")]
    pub wanted: BTreeMap<String, Spanned<Wanted>>,
    pub measurement: Spanned<String>,
    pub help: Spanned<String>,
    #[serde(default)]
    pub tags: Vec<Spanned<Tag>>,
    /// A text that may have labels in it, `[customer=acme]`: they become tags.
    pub labels: Option<Spanned<String>>,
    pub fields: Vec<Spanned<Field>>,
}

/// What the text of a path has to be.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text, a list of texts, true or false")]
pub enum Wanted {
    /// Whether it is there, and not empty.
    There(bool),
    Word(String),
    Words(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tag {
    pub name: Spanned<String>,
    /// The name with hyphens, if it is left out.
    pub path: Option<Spanned<String>>,
    /// A point may be without it.
    #[serde(default)]
    pub optional: bool,
    pub trim: Option<Spanned<String>>,
    #[serde(default)]
    pub map: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub name: Spanned<String>,
    // One of these is its path, and says what kind of field it is.
    pub counter: Option<Spanned<String>>,
    pub gauge: Option<Spanned<String>>,
    pub info: Option<Spanned<String>>,
    pub text: Option<Spanned<String>>,
    pub help: Spanned<String>,
    #[serde(default)]
    pub unit: String,
    /// An info's label in Prometheus.
    pub label: Option<Spanned<String>>,
    #[serde(rename = "type")]
    pub ty: Option<Spanned<Number>>,
    /// 1 where the text is one of these words.
    pub is: Option<Spanned<Words>>,
    /// 0 where it is one of these; without them, where it is any other.
    pub not: Option<Spanned<Words>>,
    /// The numbers of words.
    pub map: Option<Spanned<BTreeMap<String, f64>>>,
    /// The number of any other word.
    pub other: Option<Spanned<f64>>,
    pub shape: Option<Spanned<Shape>>,
    pub scale: Option<Spanned<f64>>,
    pub trim: Option<Spanned<String>>,
    /// That it changes is an event.
    pub event: Option<Spanned<Event>>,
}

/// Which change of a field is an event, and what the event has: `base::changes::Rule`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    pub kind: Spanned<String>,
    #[serde(default)]
    pub watch: Watch,
    pub severity: Option<Severity>,
    /// New values of which the severity is info.
    pub good: Option<Spanned<Words>>,
    /// Only a lower value has the severity.
    pub falls: Option<bool>,
    pub gone: Option<String>,
    #[serde(default)]
    pub subject: Vec<Spanned<String>>,
    #[serde(default)]
    pub key: Vec<Spanned<String>>,
    pub ago: Option<Spanned<String>>,
    pub at: Option<Spanned<String>>,
    pub flaps: Option<Spanned<String>>,
    pub user: Option<Spanned<String>>,
    pub comment: Option<Spanned<String>>,
    pub message: Option<Spanned<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Number {
    Integer,
    Decimal,
}

#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
pub enum Words {
    One(String),
    Several(Vec<String>),
}

impl Words {
    pub fn all(&self) -> &[String] {
        match self {
            Words::One(word) => std::slice::from_ref(word),
            Words::Several(words) => words,
        }
    }
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// With its unit behind it: `16330 MB`, `100%`, `36 degrees C`.
    Quantity,
    /// `10Gbps`, in bit/s.
    BitRate,
    /// `1w2d 03:04:05` or `3600`, in seconds.
    Duration,
    /// What is left of something: where that is less than nothing, it is 0.
    Remainder,
}
