//! A batch of points, and the view of one of them.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

use super::field::{Definition, FieldInfo, Get, Kind, Schema, Type, has_name};
use super::tags::{RESERVED_LABELS, Tags};
use crate::base::seen;
use crate::base::text::shortened;

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

impl Span {
    /// Of a text that is a value.
    fn of(bits: u64) -> Span {
        Span { start: (bits >> 32) as u32, end: bits as u32 }
    }
}

#[derive(Clone, Copy)]
struct Head {
    schema: &'static dyn Schema,
    tags: u32,
    labels: u32,
    fields: u32,
    /// Which of the router's tags the point cannot have: a bit for each.
    taken: u16,
    /// It has a label whose name was not compared with others.
    doubtful: bool,
}

/// How much of a router's control plane is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// 0 to 100; 0 where it is not known.
    pub cpu_percent: f64,
    pub memory_percent: f64,
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
    /// The values of a batch that is kept, in place of these.
    packed: Option<Packed>,
    strings: String,
    /// Goes into every point that is pushed while it is set.
    re_name: String,
    /// Those of the router, for all points.
    own: Tags,
    /// The last schema that was compared with them, and which of them it takes.
    compared: Option<(usize, u16)>,
    free: Free,
    /// When the router was asked: for what it dates and the points count from then.
    pub asked_ns: Option<u64>,
    /// Which of the collector's queries is being answered, and which of the query's RPCs, both
    /// counted from 0: for replies that do not say what they are about.
    pub query: usize,
    pub rpc: usize,
    /// How busy the router is, if a reply said so: a busy router is polled less.
    pub load: Option<Load>,
    /// What collectors left out of items since the count was last taken, and the first of it.
    pub misfits: u64,
    pub first_misfit: Option<String>,
    seen: Seen,
}

/// Values in as few bytes as they need. How many that are stands in the highest bits of `fields`.
#[derive(Clone, Default)]
struct Packed {
    bytes: Vec<u8>,
    /// Where each point's begin.
    starts: Vec<u32>,
}

/// The bits of an entry of `fields` that are a field's index.
const FIELD: u16 = 0x0fff;
const WIDTH_SHIFT: u32 = FIELD.count_ones();
/// A text's length in the lowest bits of its packed value.
const LENGTH_SHIFT: u32 = TEXT_BYTES_MAX.ilog2() + 1;

/// The bytes that a field's value takes in a batch that is kept, by its entry; else 0.
fn width(field: u16) -> usize {
    usize::from(field >> WIDTH_SHIFT)
}

impl Packed {
    /// Adds a value; how many bytes it takes.
    fn push(&mut self, bits: u64) -> u16 {
        let width = u64::BITS.div_ceil(8) - bits.leading_zeros() / 8;
        self.bytes.extend_from_slice(&bits.to_le_bytes()[..width as usize]);
        width as u16
    }

    /// The value that stands so many bytes behind the start of its point, by its entry.
    fn get(&self, point: usize, before: usize, field: u16) -> u64 {
        let start = self.starts[point] as usize + before;
        let width = width(field);
        let mut bits = [0; 8];
        bits[..width].copy_from_slice(&self.bytes[start..start + width]);
        u64::from_le_bytes(bits)
    }
}

/// The series that these points have had, also before `clear`; a copy knows of none.
#[derive(Default)]
struct Seen(Option<Box<Series>>);

impl Clone for Seen {
    fn clone(&self) -> Seen {
        Seen(None)
    }
}

/// So many names are remembered as free.
const FREE_MAX: usize = 32;

/// Names that neither a measurement nor the router has itself: labels have the same few again and
/// again. A copy knows of none.
#[derive(Default)]
struct Free(Vec<(usize, Box<str>)>);

impl Clone for Free {
    fn clone(&self) -> Free {
        Free::default()
    }
}

#[derive(Default)]
struct Series {
    /// Random, so that nobody can choose tags that share a number.
    keys: RandomState,
    /// By a number for a measurement, its tags and 64 of its fields: which of these it has had.
    fields: seen::Seen,
}

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
        self.push_labelled(measurement, tags, &[], item)
    }

    /// The same, and gives the point more tags, whose names others chose. One whose name is taken
    /// is left out and counted.
    pub fn push_labelled<T>(
        &mut self,
        measurement: &'static Definition<T>,
        tags: &[&str],
        labels: &[(&str, &str)],
        item: &T,
    ) -> bool {
        self.push_point(measurement, tags, labels, |index| match measurement.fields[index].get {
            Get::Integer(get) => get(item).map(Value::Integer),
            Get::Named(get, element) => get(item, element).map(Value::Integer),
            Get::Decimal(get) => get(item).map(Value::Decimal),
            Get::Text(get) => get(item).map(Value::Text),
        })
    }

    /// The same for a point whose values are found by the index of their field.
    pub fn push_values<'v, S: Schema>(
        &mut self,
        schema: &'static S,
        tags: &[&str],
        value: impl FnMut(usize) -> Option<Value<'v>>,
    ) -> bool {
        self.push_point(schema, tags, &[], value)
    }

    fn push_point<'v, S: Schema>(
        &mut self,
        schema: &'static S,
        tags: &[&str],
        labels: &[(&str, &str)],
        mut value: impl FnMut(usize) -> Option<Value<'v>>,
    ) -> bool {
        debug_assert_eq!(tags.len(), schema.tags().len(), "{}", schema.name());
        debug_assert!(self.packed.is_none() && schema.fields() <= usize::from(FIELD) + 1);
        let head = self.next_head(schema);
        let strings = self.strings.len();
        for tag in tags {
            let tag = self.store(tag);
            self.tags.push(tag);
        }
        let mut readings = 0;
        for index in 0..schema.fields() {
            let bits = match value(index) {
                Some(Value::Integer(number)) => number,
                Some(Value::Decimal(number)) if !number.is_nan() => number.to_bits(),
                Some(Value::Text(text)) if !text.is_empty() => {
                    let span = self.store(text);
                    u64::from(span.start) << 32 | u64::from(span.end)
                }
                _ => continue,
            };
            readings += usize::from(schema.field(index).kind != Kind::Info);
            self.fields.push(index as u16);
            self.values.push(bits);
        }
        let again = self.leave_out_again(&head, tags, labels);
        if again > 0 {
            readings -= again;
            let name = schema.name();
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
        let taken = u64::from(head.taken.count_ones());
        self.leave_out(taken, || {
            format!("tags of the router whose names {} has", head.schema.name())
        });
        if !self.re_name.is_empty() && !schema.tags().contains(&"re_name") {
            let re_name = std::mem::take(&mut self.re_name);
            let is_free = self.is_free(schema, "re_name");
            self.add_label("re_name", &re_name, !is_free);
            self.re_name = re_name;
        }
        for (name, value) in labels {
            if !self.free_label(name, value) {
                self.leave_out(1, || format!("a second label `{name}`"));
            }
        }
        true
    }

    /// From now on a reading whose series came before is left out and counted: the first one holds,
    /// in all outputs.
    pub fn keep_first(&mut self) {
        self.seen = Seen(Some(Box::default()));
    }

    /// Takes the readings out of the point that is being pushed whose series came before; how many.
    fn leave_out_again(&mut self, head: &Head, tags: &[&str], labels: &[(&str, &str)]) -> usize {
        let Some(Series { keys, fields: seen }) = self.seen.0.as_deref_mut() else { return 0 };
        let mut hasher = keys.build_hasher();
        hasher.write_usize(std::ptr::from_ref(head.schema).addr());
        let labels = labels.iter().flat_map(|(name, value)| [*name, *value]);
        for tag in tags.iter().copied().chain([&*self.re_name]).chain(labels) {
            hasher.write(tag.as_bytes());
            hasher.write_u8(0xff);
        }
        let number = hasher.finish();
        let start = head.fields as usize;
        let is_reading = |field: u16| head.schema.field(field as usize).kind != Kind::Info;
        let groups = self.fields[start..].last().map_or(0, |last| last / 64 + 1);
        let mut again = 0;
        for group in 0..groups {
            let of_group = |field: u16| field / 64 == group && is_reading(field);
            let fields = self.fields[start..].iter().copied().filter(|field| of_group(*field));
            let flags = fields.fold(0u64, |flags, field| flags | 1 << (field % 64));
            let had = seen.add(number.rotate_left(group.into()), flags);
            if had == 0 {
                continue;
            }
            let mut kept = start;
            for at in start..self.fields.len() {
                let field = self.fields[at];
                if of_group(field) && had & 1 << (field % 64) != 0 {
                    continue;
                }
                self.fields[kept] = field;
                self.values[kept] = self.values[at];
                kept += 1;
            }
            again += self.fields.len() - kept;
            self.fields.truncate(kept);
            self.values.truncate(kept);
        }
        again
    }

    /// Gives the last point one more tag, named at run time.
    pub fn label(&mut self, name: &str, value: &str) {
        self.add_label(name, value, true);
    }

    fn add_label(&mut self, name: &str, value: &str, doubtful: bool) {
        let label = (self.store(name), self.store(value));
        self.labels.push(label);
        if let Some(head) = self.heads.last_mut() {
            head.doubtful |= doubtful;
        }
    }

    /// The same, for a name that somebody else chose: false if it is taken, by the point's own tags
    /// and fields or by what outputs add.
    pub fn free_label(&mut self, name: &str, value: &str) -> bool {
        let Some(Head { schema, labels, .. }) = self.heads.last().copied() else { return false };
        let is_free = !RESERVED_LABELS.contains(&name) && !self.is_taken(schema, labels, name);
        if is_free {
            self.add_label(name, value, false);
        }
        is_free
    }

    /// Whether a point's tags or fields, or the router's tags, have that name; its labels begin at
    /// that place.
    fn is_taken(&mut self, schema: &'static dyn Schema, labels: u32, name: &str) -> bool {
        let mut labels = self.labels[labels as usize..].iter();
        labels.any(|(label, _)| self.string(*label) == name) || !self.is_free(schema, name)
    }

    /// Whether neither a measurement nor the router has that name itself.
    fn is_free(&mut self, schema: &'static dyn Schema, name: &str) -> bool {
        let key = std::ptr::from_ref(schema).addr();
        if self.free.0.iter().any(|(of, free)| *of == key && **free == *name) {
            return true;
        }
        let is_free = !has_name(schema, name) && !self.own.has(name);
        if is_free {
            self.free.0.truncate(FREE_MAX - 1);
            self.free.0.push((key, name.into()));
        }
        is_free
    }

    /// Gives points more tags, named at run time: `labels` is asked for each point. Those that a
    /// point has already are left out and counted.
    pub fn add_labels(&mut self, labels: impl Fn(&Point) -> Vec<(String, String)>) {
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
                if self.is_taken(schema, labels, &name) {
                    self.leave_out(1, || format!("a second label `{name}`"));
                } else {
                    self.add_label(&name, &value, false);
                }
            }
        }
    }

    /// The Routing Engine that points are from, from now on; empty where a reply names none.
    pub fn set_re_name(&mut self, re_name: &str) {
        self.re_name.clear();
        self.re_name.push_str(re_name);
    }

    /// The router's tags, which all points have from now on.
    pub fn set_tags(&mut self, tags: &Tags) {
        (self.own, self.compared, self.free) = (tags.clone(), None, Free::default());
    }

    /// A copy that takes little room, to be kept for long: what it holds cannot be changed.
    pub fn kept(&self) -> Points {
        let mut kept =
            Points { heads: self.heads.clone(), own: self.own.clone(), ..Points::default() };
        let mut packed = Packed::default();
        let mut known = HashMap::new();
        let mut strings = String::new();
        // Most texts come again: a port's name with each of its queues.
        let mut keep = |span: Span| {
            let text = self.string(span);
            *known.entry(text).or_insert_with(|| {
                let start = strings.len() as u32;
                strings.push_str(text);
                Span { start, end: strings.len() as u32 }
            })
        };
        kept.tags = self.tags.iter().map(|tag| keep(*tag)).collect();
        kept.labels = self.labels.iter().map(|(name, value)| (keep(*name), keep(*value))).collect();
        kept.fields.reserve_exact(self.fields.len());
        for point in self.iter() {
            packed.starts.push(packed.bytes.len() as u32);
            for at in point.fields.clone() {
                let (field, bits) = (self.fields[at], self.values[at]);
                let bits = match point.schema.field(field.into()).ty {
                    Type::Integer => bits,
                    // What is short as a decimal has its zeros at the end.
                    Type::Decimal => bits.swap_bytes(),
                    Type::Text => {
                        let span = keep(Span::of(bits));
                        u64::from(span.start) << LENGTH_SHIFT | u64::from(span.end - span.start)
                    }
                };
                kept.fields.push(field | packed.push(bits) << WIDTH_SHIFT);
            }
        }
        drop(known);
        packed.bytes.shrink_to_fit();
        packed.starts.shrink_to_fit();
        strings.shrink_to_fit();
        (kept.strings, kept.packed) = (strings, Some(packed));
        kept
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
            + self.fields.len() * size_of::<u16>()
            + self.values.len() * size_of::<u64>()
            + self.packed.as_ref().map_or(0, |packed| packed.bytes.len() + packed.starts.len() * 4)
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
        self.packed = None;
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
            index,
            schema: head.schema,
            tags: &self.tags[tags..tags + head.schema.tags().len()],
            labels: &self.labels[head.labels as usize..labels],
            fields: head.fields as usize..fields,
            taken: head.taken,
            doubtful: head.doubtful,
        }
    }

    fn next_head(&mut self, schema: &'static dyn Schema) -> Head {
        let key = std::ptr::from_ref(schema).addr();
        let taken = match self.compared {
            Some((known, taken)) if known == key => taken,
            _ => self.own.taken(schema),
        };
        self.compared = Some((key, taken));
        Head {
            taken,
            doubtful: false,
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
#[derive(Clone)]
pub struct Point<'a> {
    points: &'a Points,
    index: usize,
    pub schema: &'static dyn Schema,
    tags: &'a [Span],
    labels: &'a [(Span, Span)],
    fields: std::ops::Range<usize>,
    taken: u16,
    doubtful: bool,
}

impl<'a> Point<'a> {
    /// Name and value of each tag that is there: the schema's first, then those of run time, and
    /// the router's last.
    pub fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let points = self.points;
        let fixed = self.schema.tags().iter().zip(self.tags);
        let fixed = fixed.map(|(name, value)| (*name, points.string(*value)));
        let labels = self.labels.iter().map(|(n, v)| (points.string(*n), points.string(*v)));
        let taken = self.taken;
        let own = points.own.iter().enumerate().filter(move |(at, _)| taken >> at & 1 == 0);
        fixed.chain(labels).filter(|(_, value)| !value.is_empty()).chain(own.map(|(_, tag)| tag))
    }

    /// The value of the schema's tag at `index`; empty if it was left out.
    pub fn tag(&self, index: usize) -> &'a str {
        self.tags.get(index).map_or("", |value| self.points.string(*value))
    }

    /// The value of a tag that was named at run time; empty if there is none.
    pub fn label(&self, name: &str) -> &'a str {
        let found = self.labels.iter().find(|(label, _)| self.points.string(*label) == name);
        found.map_or("", |(_, value)| self.points.string(*value))
    }

    /// Whether a tag that was named at run time has the name of another one, of an info's label, or
    /// one of these: no output could tell the two apart.
    pub fn has_label_twice(&self, others: &[&str]) -> bool {
        self.labels.iter().enumerate().any(|(index, (name, _))| {
            let name = self.points.string(*name);
            if !self.doubtful {
                return others.contains(&name);
            }
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
        let fields = &self.points.fields[self.fields.clone()];
        // Where none before it is missing its place is its index, which it never stands behind.
        let index_of = |field: &u16| usize::from(field & FIELD);
        let at = match fields.get(index) {
            Some(field) if index_of(field) == index => index,
            _ => fields[..index.min(fields.len())].binary_search_by_key(&index, index_of).ok()?,
        };
        let is_packed = self.points.packed.is_some();
        let before = is_packed.then(|| fields[..at].iter().copied().map(width).sum());
        Some(self.value(at, before.unwrap_or(0)).2)
    }

    /// Index into the schema and value of each field that is there.
    pub fn fields(&self) -> impl Iterator<Item = (usize, &'static FieldInfo, Value<'a>)> + use<'a> {
        let point = self.clone();
        let mut before = 0;
        (0..self.fields.len()).map(move |at| {
            let field = point.value(at, before);
            before += width(point.points.fields[point.fields.start + at]);
            field
        })
    }

    /// The same of the field at that place in the point; `before` is the width of those before it.
    fn value(&self, at: usize, before: usize) -> (usize, &'static FieldInfo, Value<'a>) {
        let points = self.points;
        let fields = &points.fields[self.fields.clone()];
        let index = usize::from(fields[at] & FIELD);
        let info = self.schema.field(index);
        let bits = match &points.packed {
            None => points.values[self.fields.start + at],
            Some(packed) => {
                let bits = packed.get(self.index, before, fields[at]);
                match info.ty {
                    Type::Integer => bits,
                    Type::Decimal => bits.swap_bytes(),
                    Type::Text => {
                        let start = bits >> LENGTH_SHIFT;
                        start << 32 | (start + (bits & ((1 << LENGTH_SHIFT) - 1)))
                    }
                }
            }
        };
        let value = match info.ty {
            Type::Integer => Value::Integer(bits),
            Type::Decimal => Value::Decimal(f64::from_bits(bits)),
            Type::Text => Value::Text(points.string(Span::of(bits))),
        };
        (index, info, value)
    }
}
