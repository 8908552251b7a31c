//! Fields, the measurements that they make, and what is known of both before any reply was read.

use std::sync::LazyLock;

use crate::base::changes::Rule;

/// What a field's value says, and so how each output treats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the router starts again.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Describes the thing measured: a string field; a label of the point's Prometheus series.
    Info,
    /// A state in words, or a fact of a record: a field, no Prometheus series.
    Text,
}

/// How a field's values are written. One field has one type for ever: InfluxDB refuses a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Integer,
    Decimal,
    Text,
}

/// One value of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Integer(u64),
    Decimal(f64),
    Text(&'a str),
}

/// What is known of a field before any reply was read.
#[derive(Debug)]
pub struct FieldInfo {
    pub name: &'static str,
    pub kind: Kind,
    pub ty: Type,
    /// Bytes, packets, seconds, …; empty for a plain number.
    pub unit: &'static str,
    pub help: &'static str,
    /// An info's Prometheus label, where another field of the measurement needs the name.
    pub label: &'static str,
    /// What a change of it is.
    pub event: Option<&'static Rule>,
}

/// The function that takes a field's value from an item.
pub enum Get<T: 'static> {
    Integer(fn(&T) -> Option<u64>),
    Decimal(fn(&T) -> Option<f64>),
    Text(fn(&T) -> Option<&str>),
    /// The item finds the number by this name of an element.
    Named(fn(&T, &str) -> Option<u64>, &'static str),
}

/// A field of a measurement whose points are made from a `T`.
pub struct Field<T: 'static> {
    info: FieldInfo,
    pub(super) get: Get<T>,
}

impl<T> Field<T> {
    fn new(
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        kind: Kind,
        get: Get<T>,
    ) -> Field<T> {
        let ty = match get {
            Get::Integer(_) | Get::Named(..) => Type::Integer,
            Get::Decimal(_) => Type::Decimal,
            Get::Text(_) => Type::Text,
        };
        Field { info: FieldInfo { name, kind, ty, unit, help, label: name, event: None }, get }
    }
}

/// A number that a field may have: a whole one, or one with decimals or a sign.
pub trait Number: Sized {
    fn get<T>(get: fn(&T) -> Option<Self>) -> Get<T>;
}

impl Number for u64 {
    fn get<T>(get: fn(&T) -> Option<u64>) -> Get<T> {
        Get::Integer(get)
    }
}

impl Number for f64 {
    fn get<T>(get: fn(&T) -> Option<f64>) -> Get<T> {
        Get::Decimal(get)
    }
}

/// A number that only grows.
pub fn counter<T, N: Number>(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    get: fn(&T) -> Option<N>,
) -> Field<T> {
    Field::new(name, unit, help, Kind::Counter, N::get(get))
}

/// A number that goes up and down: a quantity, a count, a state's number, a flag.
pub fn gauge<T, N: Number>(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    get: fn(&T) -> Option<N>,
) -> Field<T> {
    Field::new(name, unit, help, Kind::Gauge, N::get(get))
}

/// A whole number that the item finds by an element's name: for fields that a table describes.
pub fn named<T>(
    kind: Kind,
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    element: &'static str,
    get: fn(&T, &str) -> Option<u64>,
) -> Field<T> {
    Field::new(name, unit, help, kind, Get::Named(get, element))
}

/// A string that describes the thing measured.
pub fn info<T>(name: &'static str, help: &'static str, get: fn(&T) -> Option<&str>) -> Field<T> {
    Field::new(name, "", help, Kind::Info, Get::Text(get))
}

/// An info whose Prometheus label has another name: one that a field of the measurement has too.
pub fn labelled<T>(label: &'static str, mut info: Field<T>) -> Field<T> {
    info.info.label = label;
    info
}

/// A field whose change is an event.
pub fn watched<T>(rule: &'static Rule, mut field: Field<T>) -> Field<T> {
    field.info.event = Some(rule);
    field
}

/// A state in words.
pub fn text<T>(name: &'static str, help: &'static str, get: fn(&T) -> Option<&str>) -> Field<T> {
    Field::new(name, "", help, Kind::Text, Get::Text(get))
}

/// A number that says something about a record, and is no series in Prometheus.
pub fn fact<T, N: Number>(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    get: fn(&T) -> Option<N>,
) -> Field<T> {
    Field::new(name, unit, help, Kind::Text, N::get(get))
}

/// A measurement: its definition is made when it is first used. Several may share a name: their
/// points join in one series where their tags agree.
pub type Measurement<T> = LazyLock<Definition<T>>;

/// What is known of a measurement, and the fields that an item of type `T` gives it.
pub struct Definition<T: 'static> {
    pub name: &'static str,
    pub help: &'static str,
    /// The names of the tags, in the order in which `Points::push` takes their values.
    pub tags: &'static [&'static str],
    pub fields: Vec<Field<T>>,
}

/// A measurement without its item's type: what outputs and reference docs see.
pub trait Schema: Sync {
    fn about(&self) -> About;
    fn field(&self, index: usize) -> &FieldInfo;

    fn name(&self) -> &'static str {
        self.about().name
    }
    fn help(&self) -> &'static str {
        self.about().help
    }
    fn tags(&self) -> &'static [&'static str] {
        self.about().tags
    }
    fn fields(&self) -> usize {
        self.about().fields
    }
}

/// What is known of a measurement, besides its fields.
#[derive(Clone, Copy)]
pub struct About {
    pub name: &'static str,
    pub help: &'static str,
    pub tags: &'static [&'static str],
    /// How many there are.
    pub fields: usize,
}

impl<T> Schema for Definition<T> {
    fn about(&self) -> About {
        About { name: self.name, help: self.help, tags: self.tags, fields: self.fields.len() }
    }
    fn field(&self, index: usize) -> &FieldInfo {
        &self.fields[index].info
    }
}

impl<T> Schema for Measurement<T> {
    fn about(&self) -> About {
        Definition::about(self)
    }
    fn field(&self, index: usize) -> &FieldInfo {
        Definition::field(self, index)
    }
}

/// Whether a measurement has a tag, a field or a label of that name.
pub fn has_name(schema: &dyn Schema, name: &str) -> bool {
    let mut fields = (0..schema.fields()).map(|index| schema.field(index));
    schema.tags().contains(&name) || fields.any(|field| field.name == name || field.label == name)
}
