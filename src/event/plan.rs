//! Which fields of a measurement are watched, found once for each measurement.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{LazyLock, Mutex};

use crate::base::changes::{Rule, Watch};
use crate::base::sync::lock;
use crate::point::{Point, Schema, Value};

/// The keys are hashes already.
#[derive(Default)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers")
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

pub type Table<T> = HashMap<u64, T, BuildHasherDefault<Identity>>;

/// What of a measurement is watched.
pub struct Plan {
    pub fields: Vec<Watched>,
    /// The tag with the Routing Engine, if it is one of the measurement's own.
    re_name: Option<usize>,
}

/// A watched field of a measurement.
pub struct Watched {
    pub rule: &'static Rule,
    pub field: usize,
    pub subject: Vec<Part>,
    pub key: Vec<Part>,
    /// The key is made of the same parts as that of the field before.
    pub has_same_key: bool,
    /// What the kind adds to the key.
    pub kind_key: u64,
    pub ago: Option<usize>,
    pub at: Option<usize>,
    pub flaps: Option<usize>,
}

/// Where a part of a subject comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Tag(usize),
    Field(usize),
    Word(&'static str),
}

/// Plans live as long as the measurements, which is as long as the program.
static PLANS: LazyLock<Mutex<Table<&'static Plan>>> = LazyLock::new(Mutex::default);

/// The plan of a measurement.
pub fn plan(schema: &'static dyn Schema) -> &'static Plan {
    lock(&PLANS).entry(number_of(schema)).or_insert_with(|| Box::leak(Box::new(make(schema))))
}

/// Plans that a router has asked for, so that it need not wait for the others.
#[derive(Default)]
pub struct Plans(Table<&'static Plan>);

impl Plans {
    pub fn of(&mut self, schema: &'static dyn Schema) -> &'static Plan {
        self.0.entry(number_of(schema)).or_insert_with(|| plan(schema))
    }
}

/// A number for a measurement whose bits are mixed.
fn number_of(schema: &'static dyn Schema) -> u64 {
    let address = std::ptr::from_ref(schema).addr() as u64;
    address.wrapping_mul(0x9e37_79b9_7f4a_7c15).swap_bytes()
}

/// What a kind adds to the keys of its subjects (FNV-1a). Only bits in the upper half: a table then
/// keeps the states of one subject near one another.
pub fn kind_key(kind: &str) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    kind.bytes().fold(0xcbf2_9ce4_8422_2325, fold) << 32
}

fn make(schema: &'static dyn Schema) -> Plan {
    let field = |name: &str| (0..schema.fields()).find(|at| schema.field(*at).name == name);
    let part = |name: &&'static str| match name.strip_prefix('=') {
        Some(word) => Part::Word(word),
        None => match schema.tags().iter().position(|tag| tag == name) {
            Some(tag) => Part::Tag(tag),
            // A test holds the declarations to the names that there are.
            None => field(name).map_or(Part::Word(""), Part::Field),
        },
    };
    let watched = |at: usize| {
        let rule = schema.field(at).event?;
        let subject: Vec<Part> = match rule.subject {
            // The Routing Engine has a tag of its own.
            [] => {
                let tags = schema.tags().iter().enumerate();
                let tags = tags.filter(|(_, name)| !matches!(**name, "if_index" | "re_name"));
                tags.map(|(tag, _)| Part::Tag(tag)).collect()
            }
            names => names.iter().map(part).collect(),
        };
        let key = match rule.key {
            [] => subject.clone(),
            names => names.iter().map(part).collect(),
        };
        let [ago, at_time, flaps] = [rule.ago, rule.at, rule.flaps].map(field);
        let (has_same_key, kind_key) = (false, kind_key(rule.kind));
        let (field, at) = (at, at_time);
        Some(Watched { rule, field, subject, key, has_same_key, kind_key, ago, at, flaps })
    };
    let mut fields: Vec<Watched> = (0..schema.fields()).filter_map(watched).collect();
    for at in 1..fields.len() {
        fields[at].has_same_key = fields[at].key == fields[at - 1].key;
    }
    Plan { fields, re_name: schema.tags().iter().position(|tag| *tag == "re_name") }
}

impl Plan {
    pub fn re_name<'a>(&self, point: &Point<'a>) -> &'a str {
        let name = self.re_name.map_or_else(|| point.label("re_name"), |tag| point.tag(tag));
        if name == "N/A" { "" } else { name }
    }
}

impl Watched {
    pub fn is_row(&self) -> bool {
        matches!(self.rule.watch, Watch::Presence | Watch::Appearance)
    }
}

/// The names that a rule gives and the measurement lacks: for the test of the declarations.
pub fn unknown_names(schema: &'static dyn Schema) -> Vec<String> {
    let has = |name: &str| {
        name.is_empty()
            || name.starts_with('=')
            || schema.tags().contains(&name)
            || (0..schema.fields()).any(|at| schema.field(at).name == name)
    };
    let rules = (0..schema.fields()).filter_map(|at| schema.field(at).event);
    let names = rules.flat_map(|rule| {
        let single = [rule.ago, rule.at, rule.flaps, rule.user, rule.comment, rule.message];
        rule.subject.iter().chain(rule.key).copied().chain(single)
    });
    names.filter(|name| !has(name)).map(|name| format!("{}: {name}", schema.name())).collect()
}

/// A part of a point as text. `room` is for numbers.
pub fn text<'a>(point: &Point<'a>, part: Part, room: &'a mut String) -> &'a str {
    match part {
        Part::Tag(tag) => point.tag(tag),
        Part::Word(word) => word,
        Part::Field(field) => match point.field(field) {
            Some(Value::Text(text)) => text,
            Some(Value::Integer(number)) => {
                *room = number.to_string();
                room
            }
            Some(Value::Decimal(number)) => {
                *room = number.to_string();
                room
            }
            None => "",
        },
    }
}

/// A tag, or a field, of a point by its name.
pub fn named(point: &Point, name: &str) -> String {
    let schema = point.schema;
    if name.is_empty() {
        return String::new();
    }
    if let Some(tag) = schema.tags().iter().position(|tag| *tag == name) {
        return point.tag(tag).to_string();
    }
    let field = (0..schema.fields()).find(|at| schema.field(*at).name == name);
    let mut room = String::new();
    field.map_or(String::new(), |field| text(point, Part::Field(field), &mut room).to_string())
}

/// The number that a field has.
pub fn number(point: &Point, field: Option<usize>) -> Option<f64> {
    match point.field(field?)? {
        Value::Integer(number) => Some(number as f64),
        Value::Decimal(number) => Some(number),
        Value::Text(_) => None,
    }
}

/// The Routing Engine or node that a point is from; empty where the reply names none.
pub fn re_name<'a>(point: &Point<'a>) -> &'a str {
    plan(point.schema).re_name(point)
}
