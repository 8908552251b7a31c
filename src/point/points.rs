//! A batch of points, and the view of one of them.

use std::hash::{BuildHasher, Hasher, RandomState};

use super::field::{Definition, FieldInfo, Get, Kind, Schema, Type, Value, has_name};
use super::kept::{Form, Keeper, Kept, Row, TEXT_BYTES_END};
use super::tags::{RESERVED_LABELS, Tags};
use crate::base::seen;
use crate::base::text::shortened;

/// So much is kept of a tag's value, a label's, or a text: more is no name and no state, and would
/// be written with each of the point's series.
pub const TEXT_BYTES_MAX: usize = 4096;
const _: () = assert!(TEXT_BYTES_MAX < TEXT_BYTES_END);

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
    /// The points of a batch that is kept, in place of these.
    kept: Option<Kept>,
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
        debug_assert!(self.kept.is_none());
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
        let mut keeper = Keeper::new(self.kept_bytes_max());
        for point in self.iter() {
            let fixed = (0..point.schema.tags().len()).map(|index| point.tag(index));
            let labels = (0..point.labels()).map(|at| point.label_at(at));
            let form = Form {
                schema: point.schema,
                taken: point.taken(),
                doubtful: point.is_doubtful(),
                labels: labels.clone().map(|(name, _)| name).collect(),
                fields: point.indexes(),
            };
            let values = (0..form.fields.len()).map(|at| point.value(at));
            keeper.add(form, fixed.chain(labels.map(|(_, value)| value)), values);
        }
        Points { kept: Some(keeper.finish()), own: self.own.clone(), ..Points::default() }
    }

    /// More than all texts take, each behind a character, and more than all rows take where two
    /// bytes are enough for a place.
    pub(super) fn kept_bytes_max(&self) -> usize {
        let texts = self.tags.len() + 2 * self.labels.len() + self.values.len();
        let places = self.heads.len() + self.tags.len() + self.labels.len();
        let rows = 2 * places + 9 * self.values.len();
        rows.max(self.strings.len() + texts * size_of::<char>())
    }

    pub fn len(&self) -> usize {
        self.kept.as_ref().map_or(self.heads.len(), Kept::len)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the batch's content takes.
    pub fn bytes(&self) -> usize {
        self.heads.len() * size_of::<Head>()
            + self.tags.len() * size_of::<Span>()
            + self.labels.len() * size_of::<(Span, Span)>()
            + self.fields.len() * size_of::<u16>()
            + self.values.len() * size_of::<u64>()
            + self.kept.as_ref().map_or(0, Kept::bytes)
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
        self.kept = None;
        self.strings.clear();
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = Point<'_>> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// The point at `index`, below `len`.
    pub fn get(&self, index: usize) -> Point<'_> {
        let own = &self.own;
        if let Some(kept) = &self.kept {
            let row = kept.get(index);
            return Point { schema: row.shape.schema, own, source: Source::Kept(row) };
        }
        let head = &self.heads[index];
        let next = self.heads.get(index + 1);
        let labels = next.map_or(self.labels.len(), |h| h.labels as usize);
        let fields = next.map_or(self.fields.len(), |h| h.fields as usize);
        let tags = head.tags as usize;
        let lists = Lists {
            points: self,
            head,
            tags: &self.tags[tags..tags + head.schema.tags().len()],
            labels: &self.labels[head.labels as usize..labels],
            fields: &self.fields[head.fields as usize..fields],
            values: &self.values[head.fields as usize..fields],
        };
        Point { schema: head.schema, own, source: Source::Lists(lists) }
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
#[derive(Clone, Copy)]
pub struct Point<'a> {
    pub schema: &'static dyn Schema,
    own: &'a Tags,
    source: Source<'a>,
}

#[derive(Clone, Copy)]
enum Source<'a> {
    Lists(Lists<'a>),
    Kept(Row<'a>),
}

/// What is a point's in the lists of its batch.
#[derive(Clone, Copy)]
struct Lists<'a> {
    points: &'a Points,
    head: &'a Head,
    tags: &'a [Span],
    labels: &'a [(Span, Span)],
    fields: &'a [u16],
    values: &'a [u64],
}

impl<'a> Point<'a> {
    /// Name and value of each tag that is there: the schema's first, then those of run time, and
    /// the router's last.
    pub fn tags(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let point = *self;
        let fixed = point.schema.tags().iter().enumerate();
        let fixed = fixed.map(move |(index, name)| (*name, point.tag(index)));
        let labels = (0..point.labels()).map(move |at| point.label_at(at));
        let taken = point.taken();
        let own = point.own.iter().enumerate().filter(move |(at, _)| taken >> at & 1 == 0);
        fixed.chain(labels).filter(|(_, value)| !value.is_empty()).chain(own.map(|(_, tag)| tag))
    }

    /// The value of the schema's tag at `index`; empty if it was left out.
    pub fn tag(&self, index: usize) -> &'a str {
        match &self.source {
            _ if index >= self.schema.tags().len() => "",
            Source::Lists(lists) => lists.points.string(lists.tags[index]),
            Source::Kept(row) => row.text(index),
        }
    }

    /// How many tags it has that were named at run time.
    pub(super) fn labels(&self) -> usize {
        match &self.source {
            Source::Lists(lists) => lists.labels.len(),
            Source::Kept(row) => row.labels(),
        }
    }

    /// Name and value of one of them.
    pub(super) fn label_at(&self, at: usize) -> (&'a str, &'a str) {
        match &self.source {
            Source::Lists(Lists { points, labels, .. }) => {
                (points.string(labels[at].0), points.string(labels[at].1))
            }
            Source::Kept(row) => row.label(at),
        }
    }

    /// The value of a tag that was named at run time; empty if there is none.
    pub fn label(&self, name: &str) -> &'a str {
        let mut labels = (0..self.labels()).map(|at| self.label_at(at));
        labels.find(|(label, _)| *label == name).map_or("", |(_, value)| value)
    }

    pub(super) fn taken(&self) -> u16 {
        match &self.source {
            Source::Lists(lists) => lists.head.taken,
            Source::Kept(row) => row.shape.taken,
        }
    }

    pub(super) fn is_doubtful(&self) -> bool {
        match &self.source {
            Source::Lists(lists) => lists.head.doubtful,
            Source::Kept(row) => row.shape.doubtful,
        }
    }

    /// Whether a tag that was named at run time has the name of another one, of an info's label, or
    /// one of these: no output could tell the two apart.
    pub fn has_label_twice(&self, others: &[&str]) -> bool {
        let name = |at: usize| self.label_at(at).0;
        (0..self.labels()).any(|at| {
            let label = name(at);
            if !self.is_doubtful() {
                return others.contains(&label);
            }
            let is_info = |field: usize| {
                let field = self.schema.field(field);
                field.kind == Kind::Info && field.label == label
            };
            others.contains(&label)
                || self.schema.tags().contains(&label)
                || (0..at).any(|before| name(before) == label)
                || (0..self.schema.fields()).any(is_info)
        })
    }

    /// The value of the schema's field at `index`, if it is there.
    pub fn field(&self, index: usize) -> Option<Value<'a>> {
        let fields = self.indexes();
        // Where none before it is missing its place is its index, which it never stands behind.
        let at = match fields.get(index) {
            Some(field) if usize::from(*field) == index => index,
            _ => {
                let before = &fields[..index.min(fields.len())];
                before.binary_search_by_key(&index, |field| usize::from(*field)).ok()?
            }
        };
        Some(self.value(at))
    }

    /// Index into the schema and value of each field that is there.
    pub fn fields(&self) -> impl Iterator<Item = (usize, &'static FieldInfo, Value<'a>)> + use<'a> {
        let point = *self;
        point.indexes().iter().enumerate().map(move |(at, index)| {
            let index = usize::from(*index);
            (index, point.schema.field(index), point.value(at))
        })
    }

    /// Indexes into the schema of the fields that are there, ascending.
    pub(super) fn indexes(&self) -> &'a [u16] {
        match &self.source {
            Source::Lists(lists) => lists.fields,
            Source::Kept(row) => &row.shape.fields,
        }
    }

    /// The value of the field at that place among those that are there.
    pub(super) fn value(&self, at: usize) -> Value<'a> {
        match &self.source {
            Source::Lists(Lists { points, fields, values, .. }) => {
                match self.schema.field(fields[at].into()).ty {
                    Type::Integer => Value::Integer(values[at]),
                    Type::Decimal => Value::Decimal(f64::from_bits(values[at])),
                    Type::Text => Value::Text(points.string(Span::of(values[at]))),
                }
            }
            Source::Kept(row) => row.value(at),
        }
    }
}
