//! Points: what collectors produce and outputs consume.
//!
//! A measurement is a table of fields, each with the function that takes its value from an item:
//! name, unit, kind, help and source are stated in one place, and reference docs, Prometheus
//! HELP and TYPE and the JSON schema are read from the same table.
//!
//! `Points` keeps a batch as a few flat lists, so that making a point allocates nothing once the
//! lists have grown, and a batch that is kept (as Prometheus needs) stays small.

pub mod labels;

use std::sync::LazyLock;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::base::text::shortened;

/// What a field's value says, and so how each output treats it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the router starts again.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Describes the thing measured: a string field; a label of the point's Prometheus series.
    Info,
    /// A state in words: a string field, no Prometheus series.
    Text,
}

/// How a field's values are written. One field has one type for ever: InfluxDB refuses a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Integer,
    Decimal,
    Text,
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
}

/// The function that takes a field's value from an item.
pub enum Get<T: 'static> {
    Integer(fn(&T) -> Option<u64>),
    Decimal(fn(&T) -> Option<f64>),
    Text(fn(&T) -> Option<&str>),
    /// The item finds the number by this name.
    Named(fn(&T, &str) -> Option<u64>, &'static str),
}

/// A field of a measurement whose points are made from a `T`.
pub struct Field<T: 'static> {
    info: FieldInfo,
    get: Get<T>,
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
        Field { info: FieldInfo { name, kind, ty, unit, help, label: name }, get }
    }

    /// The field with another name.
    pub fn renamed(mut self, name: &'static str) -> Field<T> {
        (self.info.name, self.info.label) = (name, name);
        self
    }

    /// The field with a name that ends as Prometheus wants it of a counter: for those that
    /// junos_exporter does not have.
    pub fn total(self) -> Field<T> {
        let name = format!("{}_total", self.info.name).leak();
        self.renamed(name)
    }

    /// A field that is found by name, found by another name than its own.
    pub fn of_element(mut self, element: &'static str) -> Field<T> {
        if let Get::Named(_, name) = &mut self.get {
            *name = element;
        }
        self
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

/// A whole number that the item finds by the field's own name: for long lists of counters.
pub fn named<T>(
    name: &'static str,
    unit: &'static str,
    help: &'static str,
    kind: Kind,
    get: fn(&T, &str) -> Option<u64>,
) -> Field<T> {
    Field::new(name, unit, help, kind, Get::Named(get, name))
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

/// A state in words.
pub fn text<T>(name: &'static str, help: &'static str, get: fn(&T) -> Option<&str>) -> Field<T> {
    Field::new(name, "", help, Kind::Text, Get::Text(get))
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
    fn name(&self) -> &'static str;
    fn help(&self) -> &'static str;
    fn tags(&self) -> &'static [&'static str];
    fn fields(&self) -> usize;
    fn field(&self, index: usize) -> &FieldInfo;
}

impl<T> Schema for Measurement<T> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn help(&self) -> &'static str {
        self.help
    }
    fn tags(&self) -> &'static [&'static str] {
        self.tags
    }
    fn fields(&self) -> usize {
        self.fields.len()
    }
    fn field(&self, index: usize) -> &FieldInfo {
        &self.fields[index].info
    }
}

impl<T> Schema for Definition<T> {
    fn name(&self) -> &'static str {
        self.name
    }
    fn help(&self) -> &'static str {
        self.help
    }
    fn tags(&self) -> &'static [&'static str] {
        self.tags
    }
    fn fields(&self) -> usize {
        self.fields.len()
    }
    fn field(&self, index: usize) -> &FieldInfo {
        &self.fields[index].info
    }
}

/// What outputs call the router, the collector and the time, what Prometheus reads in names, and
/// what the inventory says of a peer.
const RESERVED_LABELS: &[&str] = &[
    "target",
    "host",
    "node",
    "re_name",
    "remote_domain",
    "remote_hostgroup",
    "collector",
    "measurement",
    "time",
    "fields",
    "tags",
    "job",
    "instance",
    "exported_job",
    "exported_instance",
    "le",
    "quantile",
];

/// So much is kept of a tag's value, a label's, or a text: more is no name and no state, and would
/// be written with each of the point's series.
pub const TEXT_BYTES_MAX: usize = 4096;

/// One value of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Integer(u64),
    Decimal(f64),
    Text(&'a str),
}

/// A stretch of `Points::strings`.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

#[derive(Clone, Copy)]
struct Head {
    schema: &'static dyn Schema,
    tags: u32,
    labels: u32,
    fields: u32,
}

/// A batch of points. Text beyond 4 GB is not foreseen: batches are cut long before.
#[derive(Clone, Default)]
pub struct Points {
    heads: Vec<Head>,
    /// Every point has as many as its schema has tags; an empty one is a tag left out.
    tags: Vec<Span>,
    /// Tags whose name is known only at run time.
    labels: Vec<(Span, Span)>,
    fields: Vec<u16>,
    /// A field's bits: the number itself, an f64's bits, or a span's two halves.
    values: Vec<u64>,
    strings: String,
    /// Goes into every point that is pushed while it is set.
    re_name: String,
    /// When the router was asked: for what it dates and the points count from then.
    pub asked_ns: Option<u64>,
    /// What collectors left out of items since the count was last taken, and the first of it.
    pub misfits: u64,
    pub first_misfit: Option<String>,
    seen: Seen,
}

/// The series that these points have had, also before `clear`; a copy knows of none.
#[derive(Default)]
struct Seen(Option<Box<Series>>);

impl Clone for Seen {
    fn clone(&self) -> Seen {
        Seen(None)
    }
}

/// By a number for a measurement and its tags: which of up to 64 fields it has had.
#[derive(Default)]
struct Series {
    /// Random, so that nobody can choose tags that share a number.
    keys: RandomState,
    fields: HashMap<u64, u64>,
}

/// So many series are remembered, which takes 2 MB; what comes later is compared with these.
const SERIES_MAX: usize = 1 << 16;

impl Points {
    /// Adds the point that `item` gives for `measurement`. `tags` are the values of the
    /// measurement's tags in its order; an empty one is left out. A value that the item does not
    /// have, or that is not a number, leaves its field out; a point without any reading is dropped.
    pub fn push<T>(
        &mut self,
        measurement: &'static Definition<T>,
        tags: &[&str],
        item: &T,
    ) -> bool {
        debug_assert_eq!(tags.len(), measurement.tags.len(), "{}", measurement.name);
        let head = self.next_head(measurement);
        let strings = self.strings.len();
        for tag in tags {
            let tag = self.store(tag);
            self.tags.push(tag);
        }
        let mut readings = 0;
        for (index, field) in measurement.fields.iter().enumerate() {
            let bits = match field.get {
                Get::Integer(get) => get(item),
                Get::Named(get, name) => get(item, name),
                Get::Decimal(get) => get(item).filter(|v| !v.is_nan()).map(f64::to_bits),
                Get::Text(get) => get(item).filter(|t| !t.is_empty()).map(|t| {
                    let span = self.store(t);
                    u64::from(span.start) << 32 | u64::from(span.end)
                }),
            };
            if let Some(bits) = bits {
                readings += usize::from(field.info.kind != Kind::Info);
                self.fields.push(index as u16);
                self.values.push(bits);
            }
        }
        let again = self.leave_out_again(&head, tags);
        if again > 0 {
            readings -= again;
            let name = measurement.name;
            self.leave_out(again as u64, || format!("{name}: the same series again"));
        }
        if readings == 0 {
            self.tags.truncate(head.tags as usize);
            self.fields.truncate(head.fields as usize);
            self.values.truncate(head.fields as usize);
            self.strings.truncate(strings);
            return false;
        }
        self.heads.push(head);
        if !self.re_name.is_empty() && !measurement.tags.contains(&"re_name") {
            let re_name = std::mem::take(&mut self.re_name);
            self.label("re_name", &re_name);
            self.re_name = re_name;
        }
        true
    }

    /// From now on a reading whose series came before is left out and counted: the first one holds,
    /// in all outputs.
    pub fn keep_first(&mut self) {
        self.seen = Seen(Some(Box::default()));
    }

    /// Takes the readings out of the point that is being pushed whose series came before; how many.
    fn leave_out_again(&mut self, head: &Head, tags: &[&str]) -> usize {
        let Some(Series { keys, fields }) = self.seen.0.as_deref_mut() else { return 0 };
        let mut hasher = keys.build_hasher();
        hasher.write_usize(std::ptr::from_ref(head.schema).addr());
        for tag in tags.iter().copied().chain([&*self.re_name]) {
            hasher.write(tag.as_bytes());
            hasher.write_u8(0xff);
        }
        let number = hasher.finish();
        let (start, mut kept) = (head.fields as usize, head.fields as usize);
        for at in start..self.fields.len() {
            let field = self.fields[at];
            if head.schema.field(field as usize).kind != Kind::Info {
                let (key, bit) = (number.wrapping_add(u64::from(field / 64)), 1 << (field % 64));
                let has_room = fields.len() < SERIES_MAX;
                let had = match fields.get_mut(&key) {
                    Some(had) => had,
                    None if has_room => fields.entry(key).or_default(),
                    None => &mut 0,
                };
                if *had & bit != 0 {
                    continue;
                }
                *had |= bit;
            }
            self.fields[kept] = field;
            self.values[kept] = self.values[at];
            kept += 1;
        }
        let again = self.fields.len() - kept;
        self.fields.truncate(kept);
        self.values.truncate(kept);
        again
    }

    /// Gives the last point one more tag, named at run time.
    pub fn label(&mut self, name: &str, value: &str) {
        let label = (self.store(name), self.store(value));
        self.labels.push(label);
    }

    /// The same, for a name that somebody else chose: false if it is taken, by the point's own tags
    /// and fields or by what outputs add.
    pub fn free_label(&mut self, name: &str, value: &str) -> bool {
        let Some(head) = self.heads.last() else { return false };
        let labels = &self.labels[head.labels as usize..];
        let is_free = !RESERVED_LABELS.contains(&name) && !self.is_taken(head.schema, labels, name);
        if is_free {
            self.label(name, value);
        }
        is_free
    }

    /// Whether a point's tags or fields have that name.
    fn is_taken(&self, schema: &dyn Schema, labels: &[(Span, Span)], name: &str) -> bool {
        let mut fields = (0..schema.fields()).map(|index| schema.field(index));
        schema.tags().contains(&name)
            || fields.any(|field| field.name == name || field.label == name)
            || labels.iter().any(|(label, _)| self.string(*label) == name)
    }

    /// Gives points more tags, named at run time: `labels` is asked for each point. Those that a
    /// point has already are left out and counted.
    pub fn add_labels(&mut self, labels: impl Fn(&Point) -> Vec<(&'static str, String)>) {
        let more: Vec<_> = self.iter().map(|point| labels(&point)).collect();
        let old = std::mem::take(&mut self.labels);
        let ends = self.heads.iter().skip(1).map(|head| head.labels as usize);
        let ends: Vec<usize> = ends.chain(Some(old.len())).collect();
        let mut start = 0;
        for (index, (end, more)) in ends.into_iter().zip(more).enumerate() {
            self.heads[index].labels = self.labels.len() as u32;
            self.labels.extend_from_slice(&old[start..end]);
            start = end;
            for (name, value) in more {
                let Head { schema, labels, .. } = self.heads[index];
                if self.is_taken(schema, &self.labels[labels as usize..], name) {
                    self.leave_out(1, || format!("a second label `{name}`"));
                } else {
                    self.label(name, &value);
                }
            }
        }
    }

    /// The Routing Engine that points are from, from now on; empty where a reply names none.
    pub fn set_re_name(&mut self, re_name: &str) {
        self.re_name.clear();
        self.re_name.push_str(re_name);
    }

    pub fn len(&self) -> usize {
        self.heads.len()
    }

    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// Bytes that the batch's content takes.
    pub fn bytes(&self) -> usize {
        self.heads.len() * size_of::<Head>()
            + self.tags.len() * size_of::<Span>()
            + self.labels.len() * size_of::<(Span, Span)>()
            + self.values.len() * (size_of::<u64>() + size_of::<u16>())
            + self.strings.len()
    }

    /// Counts what a collector leaves out of an item.
    pub fn leave_out(&mut self, values: u64, why: impl FnOnce() -> String) {
        if values > 0 {
            self.misfits += values;
            self.first_misfit.get_or_insert_with(why);
        }
    }

    /// Forgets the points and keeps the room they took.
    pub fn clear(&mut self) {
        self.heads.clear();
        self.tags.clear();
        self.labels.clear();
        self.fields.clear();
        self.values.clear();
        self.strings.clear();
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Point<'_>> {
        (0..self.heads.len()).map(|index| self.get(index))
    }

    /// The point at `index`, below `len`.
    pub fn get(&self, index: usize) -> Point<'_> {
        let head = &self.heads[index];
        let next = self.heads.get(index + 1);
        let labels = next.map_or(self.labels.len(), |h| h.labels as usize);
        let fields = next.map_or(self.fields.len(), |h| h.fields as usize);
        let tags = head.tags as usize;
        Point {
            points: self,
            schema: head.schema,
            tags: &self.tags[tags..tags + head.schema.tags().len()],
            labels: &self.labels[head.labels as usize..labels],
            fields: head.fields as usize..fields,
        }
    }

    fn value(&self, schema: &'static dyn Schema, at: usize) -> (&'static FieldInfo, Value<'_>) {
        let (info, bits) = (schema.field(self.fields[at] as usize), self.values[at]);
        let value = match info.ty {
            Type::Integer => Value::Integer(bits),
            Type::Decimal => Value::Decimal(f64::from_bits(bits)),
            Type::Text => {
                let span = Span { start: (bits >> 32) as u32, end: bits as u32 };
                Value::Text(self.string(span))
            }
        };
        (info, value)
    }

    fn next_head(&self, schema: &'static dyn Schema) -> Head {
        Head {
            schema,
            tags: self.tags.len() as u32,
            labels: self.labels.len() as u32,
            fields: self.fields.len() as u32,
        }
    }

    /// Keeps a text, or its beginning.
    fn store(&mut self, mut text: &str) -> Span {
        if text.len() > TEXT_BYTES_MAX {
            self.leave_out(1, || format!("a text of more than {TEXT_BYTES_MAX} bytes is cut"));
            text = shortened(text, TEXT_BYTES_MAX);
        }
        let start = self.strings.len() as u32;
        self.strings.push_str(text);
        Span { start, end: self.strings.len() as u32 }
    }

    fn string(&self, span: Span) -> &str {
        &self.strings[span.start as usize..span.end as usize]
    }
}

/// A view of one point of a batch.
pub struct Point<'a> {
    points: &'a Points,
    pub schema: &'static dyn Schema,
    tags: &'a [Span],
    labels: &'a [(Span, Span)],
    fields: std::ops::Range<usize>,
}

impl<'a> Point<'a> {
    /// Name and value of each tag that is there: the schema's first, then those of run time.
    pub fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let points = self.points;
        let fixed = self.schema.tags().iter().zip(self.tags);
        let fixed = fixed.map(|(name, value)| (*name, points.string(*value)));
        let labels = self.labels.iter().map(|(n, v)| (points.string(*n), points.string(*v)));
        fixed.chain(labels).filter(|(_, value)| !value.is_empty())
    }

    /// Whether a tag that was named at run time has the name of another one, of an info's label, or
    /// one of these: no output could tell the two apart.
    pub fn has_label_twice(&self, others: &[&str]) -> bool {
        self.labels.iter().enumerate().any(|(index, (name, _))| {
            let name = self.points.string(*name);
            let is_info = |field: usize| {
                let field = self.schema.field(field);
                field.kind == Kind::Info && field.label == name
            };
            let mut before = self.labels[..index].iter();
            others.contains(&name)
                || self.schema.tags().contains(&name)
                || before.any(|(other, _)| self.points.string(*other) == name)
                || (0..self.schema.fields()).any(is_info)
        })
    }

    /// The value of the schema's field at `index`, if it is there.
    pub fn field(&self, index: usize) -> Option<Value<'a>> {
        let at = self.points.fields[self.fields.clone()].binary_search(&(index as u16)).ok()?;
        Some(self.points.value(self.schema, self.fields.start + at).1)
    }

    /// Index into the schema and value of each field that is there.
    pub fn fields(&self) -> impl Iterator<Item = (usize, &'static FieldInfo, Value<'a>)> + use<'a> {
        let (points, schema) = (self.points, self.schema);
        self.fields.clone().map(move |at| {
            let (info, value) = points.value(schema, at);
            (points.fields[at] as usize, info, value)
        })
    }
}

/// What the readings of the machine itself have in place of a collector begins with it.
pub const OF_MACHINE: &str = "dependency_";

/// Points of one poll and what is the same for all of them.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// The router's name.
    pub node: &'a str,
    pub collector: &'a str,
    /// When the router was asked, in nanoseconds since 1970.
    pub time_ns: u64,
    pub points: &'a Points,
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Port {
        bytes: Option<u64>,
        dbm: Option<f64>,
        description: String,
    }

    static PORT: Measurement<Port> = Measurement::new(|| Definition {
        name: "port",
        help: "A port.",
        tags: &["name", "lane"],
        fields: vec![
            counter("bytes", "bytes", "Bytes.", |p| p.bytes),
            gauge("dbm", "dBm", "Power.", |p| p.dbm),
            info("description", "What the operator wrote.", |p| Some(&p.description)),
        ],
    });

    #[test]
    fn a_reading_that_is_missing_or_not_a_number_leaves_its_field_out() {
        let mut points = Points::default();
        let port = Port { bytes: Some(u64::MAX), dbm: Some(f64::NAN), description: "".into() };
        assert!(points.push(&PORT, &["ge-0/0/0", ""], &port));
        let point = points.get(0);
        assert_eq!(point.tags().collect::<Vec<_>>(), [("name", "ge-0/0/0")]);
        let fields: Vec<_> = point.fields().map(|(_, info, value)| (info.name, value)).collect();
        assert_eq!(fields, [("bytes", Value::Integer(u64::MAX))]);
    }

    #[test]
    fn a_long_text_is_cut_and_counted() {
        let mut points = Points::default();
        let description = "é".repeat(TEXT_BYTES_MAX);
        let port = Port { bytes: Some(1), dbm: None, description };
        points.push(&PORT, &[&"n".repeat(8 << 20), ""], &port);
        let longest = |text: &str| text.len() == TEXT_BYTES_MAX;
        assert!(points.get(0).tags().all(|(_, value)| longest(value)));
        assert!(matches!(points.get(0).field(2), Some(Value::Text(text)) if longest(text)));
        assert_eq!(points.misfits, 2);
    }

    #[test]
    fn labels_are_added_to_points_that_are_there() {
        let mut points = Points::default();
        points.set_re_name("re0");
        for name in ["a", "b", "c"] {
            let port = Port { bytes: Some(1), dbm: None, description: String::new() };
            points.push(&PORT, &[name, ""], &port);
        }
        points.add_labels(|point| {
            let name = point.tags().next().unwrap().1;
            if name == "b" {
                Vec::new()
            } else {
                vec![("x", format!("{name}x")), ("y", "1".into())]
            }
        });
        let tags = |points: &Points, at: usize| {
            let tags: Vec<_> = points.get(at).tags().map(|(n, v)| format!("{n}={v}")).collect();
            tags.join(" ")
        };
        assert_eq!(tags(&points, 0), "name=a re_name=re0 x=ax y=1");
        assert_eq!(tags(&points, 1), "name=b re_name=re0");
        assert_eq!(tags(&points, 2), "name=c re_name=re0 x=cx y=1");
        // One that is there already is left out, and no point has two of one name.
        points.add_labels(|_| vec![("y", "2".into()), ("lane", "3".into()), ("z", "4".into())]);
        assert_eq!(tags(&points, 0), "name=a re_name=re0 x=ax y=1 z=4");
        assert_eq!(tags(&points, 1), "name=b re_name=re0 y=2 z=4");
        assert_eq!(points.misfits, 5);
        assert!(points.iter().all(|point| !point.has_label_twice(&["host"])));
        assert!(points.iter().all(|point| point.has_label_twice(&["z"])));
        for name in ["name", "z", "description"] {
            let mut points = points.clone();
            points.label(name, "forged");
            assert!(points.get(2).has_label_twice(&[]), "{name}");
        }
    }

    #[test]
    fn a_point_without_readings_is_dropped_whole() {
        let mut points = Points::default();
        points.set_re_name("node0");
        let port = Port { bytes: None, dbm: Some(f64::NAN), description: "uplink".into() };
        assert!(!points.push(&PORT, &["ge-0/0/0", ""], &port));
        let port = Port { bytes: Some(1), dbm: Some(-2.5), description: "core".into() };
        assert!(points.push(&PORT, &["ge-0/0/1", "2"], &port));
        assert_eq!(points.len(), 1);
        let point = points.get(0);
        let tags: Vec<_> = point.tags().collect();
        assert_eq!(tags, [("name", "ge-0/0/1"), ("lane", "2"), ("re_name", "node0")]);
        assert_eq!(point.fields().last().unwrap().2, Value::Text("core"));
    }

    #[test]
    fn of_a_series_that_comes_twice_the_first_reading_holds() {
        let mut points = Points::default();
        points.keep_first();
        let port = |bytes, dbm| Port { bytes, dbm, description: "core".into() };
        assert!(points.push(&PORT, &["a", ""], &port(Some(1), None)));
        assert!(points.push(&PORT, &["b", ""], &port(Some(2), None)));
        points.clear();
        assert!(!points.push(&PORT, &["a", ""], &port(Some(3), None)));
        // Another reading of the same thing is none of those.
        assert!(points.push(&PORT, &["a", ""], &port(Some(4), Some(-2.5))));
        points.set_re_name("re1");
        assert!(points.push(&PORT, &["a", ""], &port(Some(5), None)));
        let fields = |at: usize| {
            let fields: Vec<_> = points.get(at).fields().map(|(_, info, _)| info.name).collect();
            fields.join(" ")
        };
        assert_eq!(
            (points.len(), fields(0), fields(1)),
            (2, "dbm description".into(), "bytes description".into())
        );
        assert_eq!(points.misfits, 2);
        assert!(points.clone().push(&PORT, &["a", ""], &port(Some(6), None)));
    }
}
