//! Which fields of a measurement are watched, found once for each measurement.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use crate::base::changes::{Rule, Watch};
use crate::base::sync::lock;
use crate::point::{Point, Schema, Value};

/// A watched field of a measurement.
pub struct Watched {
    pub rule: &'static Rule,
    pub field: usize,
    pub subject: Vec<Part>,
    pub key: Vec<Part>,
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
static PLANS: LazyLock<Mutex<HashMap<usize, &'static [Watched]>>> = LazyLock::new(Mutex::default);

/// The watched fields of a measurement.
pub fn plan(schema: &'static dyn Schema) -> &'static [Watched] {
    let key = std::ptr::from_ref(schema).addr();
    lock(&PLANS).entry(key).or_insert_with(|| make(schema).leak())
}

fn make(schema: &'static dyn Schema) -> Vec<Watched> {
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
        Some(Watched { rule, field: at, subject, key, ago, at: at_time, flaps })
    };
    (0..schema.fields()).filter_map(watched).collect()
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
    let tag = point.schema.tags().iter().position(|tag| *tag == "re_name");
    let name = tag.map_or_else(|| point.label("re_name"), |tag| point.tag(tag));
    if name == "N/A" { "" } else { name }
}
