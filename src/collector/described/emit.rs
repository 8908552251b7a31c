//! Makes the points of an item from the rows that were read of it.

use super::file::{Number, Shape};
use super::plan::{Convert, Field, Item, Source, Tag, Template, Wanted, Words};
use super::points::TAGS_MAX;
use super::walk::{Found, Rows};
use crate::base::text::first_line;
use crate::collector::only::Only;
use crate::point::labels::DescriptionLabels;
use crate::point::{Points, Value};
use crate::xml::element::Error;
use crate::xml::items::Scope;
use crate::xml::shapes::{BitRate, is, is_word};
use crate::xml::{misfits, numbers};

/// What the points of one item are made from.
pub struct Emit<'a> {
    pub item: &'static Item,
    pub rows: &'a Rows,
    pub scope: &'a Scope,
    pub logical_system: &'a str,
    pub only: Option<&'a Only>,
    pub labels: &'a DescriptionLabels,
    /// How many more points the poll may make, and how many it could not.
    pub room: &'a mut u64,
    pub dropped: u64,
    /// By level: the row that a point is made from, and those around it.
    around: Vec<usize>,
}

impl<'a> Emit<'a> {
    pub fn new(
        item: &'static Item,
        rows: &'a Rows,
        scope: &'a Scope,
        logical_system: &'a str,
        only: Option<&'a Only>,
        labels: &'a DescriptionLabels,
        room: &'a mut u64,
    ) -> Emit<'a> {
        let around = vec![0; item.levels.len()];
        Emit { item, rows, scope, logical_system, only, labels, room, dropped: 0, around }
    }

    /// All points, in the order of the file: points of the same `each` that stand one after the
    /// other in it are made row by row.
    pub fn points(&mut self, points: &mut Points) -> Result<(), Error> {
        for (sources, name) in &self.item.required {
            if !sources.iter().any(|source| self.find(source).is_some()) {
                return Err(Error::Value(format!("missing field `{name}`").into()));
            }
        }
        for templates in self.item.templates.chunk_by(|a, b| a.level == b.level) {
            let level = templates[0].level;
            for row in 0..self.rows.len(level) {
                let is_none = self.enter(level, row);
                for template in templates.iter().filter(|t| t.or_none || !is_none) {
                    self.point(template, points);
                }
            }
        }
        Ok(())
    }

    /// Goes to a row, and says whether it has no element.
    fn enter(&mut self, mut level: usize, mut row: usize) -> bool {
        let (_, is_none) = self.rows.head(level, row);
        self.around[level] = row;
        while level > 0 {
            row = self.rows.head(level, row).0;
            level = self.item.levels[level].parent;
            self.around[level] = row;
        }
        is_none
    }

    fn find(&self, source: &Source) -> Option<Found<'a>> {
        match source {
            Source::Slot(place) => {
                let width = self.item.levels[place.level].slots.len();
                self.rows.get(*place, self.around[place.level], width)
            }
            Source::Scope(name) => self.scope.get(name).map(Found::Text),
            Source::Engine => Some(Found::Text(self.scope.re_name())),
            Source::LogicalSystem => Some(Found::Text(self.logical_system)),
            Source::Constant(text) => Some(Found::Text(text)),
        }
    }

    /// The first that is there and not empty, or else the first that is there.
    fn first(&self, sources: &[Source]) -> Option<Found<'a>> {
        let mut found = sources.iter().filter_map(|source| self.find(source));
        let first = found.next()?;
        match first {
            Found::Text("") => found.find(|found| *found != Found::Text("")).or(Some(first)),
            _ => Some(first),
        }
    }

    fn point(&mut self, template: &Template, points: &mut Points) {
        if !template.wanted.iter().all(|wanted| self.is_wanted(wanted)) {
            // What does not fit is counted wherever it stands.
            template.fields.iter().for_each(|field| _ = self.value(field));
            return;
        }
        if template.is_total && self.only.is_some() {
            return;
        }
        let mut tags = [""; TAGS_MAX];
        for (value, tag) in tags.iter_mut().zip(&template.tags) {
            match self.tag(tag) {
                Some(text) => *value = text,
                None => {
                    let (row, name) = (template.element, tag.element);
                    return misfits::count(|| format!("{row}: missing field `{name}`"));
                }
            }
        }
        if let (Some(only), Some(at)) = (self.only, template.only)
            && !only.is_match(tags[at])
        {
            return;
        }
        if *self.room == 0 {
            self.dropped += 1;
            return;
        }
        if template.names_engine {
            points.set_re_name("");
        }
        let tags = &tags[..template.tags.len()];
        let is_new =
            points.push_values(template.schema, tags, |index| self.value(&template.fields[index]));
        *self.room -= u64::from(is_new);
        if is_new && let Some(Found::Text(text)) = self.first(&template.labels) {
            self.labels.find(text).add(points);
        }
        if template.names_engine {
            points.set_re_name(self.scope.get("re-name").unwrap_or_default());
        }
    }

    fn is_wanted(&self, wanted: &Wanted) -> bool {
        let found = self.first(&wanted.sources);
        match (&wanted.words, found) {
            (Words::There(is_there), found) => {
                *is_there == found.is_some_and(|found| found != Found::Text(""))
            }
            (Words::Among(words), Some(Found::Text(text))) => {
                words.iter().any(|word| is_word(text, word))
            }
            (Words::Among(_), _) => false,
        }
    }

    /// A tag's value, empty where the point may be without it.
    fn tag(&self, tag: &Tag) -> Option<&'a str> {
        let text = match self.first(&tag.sources) {
            Some(Found::Text(text)) => trimmed(text, tag.trim),
            _ if tag.optional => "",
            _ => return None,
        };
        let mapped = tag.map.iter().find(|(word, _)| is_word(text, word));
        Some(mapped.map_or(text, |(_, to)| to))
    }

    fn value(&self, field: &Field) -> Option<Value<'a>> {
        let text = match self.first(&field.sources)? {
            Found::Count(count) => return Some(count_as(count, &field.convert)),
            Found::Text(text) => trimmed(text, field.trim),
        };
        convert(text, &field.convert).unwrap_or_else(|why| {
            misfits::count(|| format!("{}: `{}` {why}", field.element, shown(text)));
            None
        })
    }
}

/// A text without what is to be cut off its ends.
fn trimmed<'a>(text: &'a str, trim: &str) -> &'a str {
    if trim.is_empty() {
        return text;
    }
    text.trim_start_matches(trim).trim_end_matches(trim).trim_ascii()
}

/// The beginning of a text, for the log.
fn shown(text: &str) -> String {
    first_line(text).chars().take(40).collect()
}

fn count_as(count: u32, convert: &Convert) -> Value<'static> {
    match convert {
        Convert::Number { scale, ty: Number::Decimal, .. } => {
            Value::Decimal(f64::from(count) * scale)
        }
        _ => Value::Integer(u64::from(count)),
    }
}

/// The value of a text; an error says what it is not.
fn convert<'a>(text: &'a str, convert: &Convert) -> Result<Option<Value<'a>>, &'static str> {
    let (number, ty) = match convert {
        Convert::Text => return Ok(Some(Value::Text(text))),
        Convert::Integer { scale } => {
            let number = numbers::number::<u64>(text).ok_or(NOT_WHOLE)?;
            let scaled = number.checked_mul(scale.unwrap_or(1)).ok_or("is too large")?;
            return Ok(Some(Value::Integer(scaled)));
        }
        Convert::Number { shape, scale, ty } => (shaped(text, *shape)? * scale, *ty),
        Convert::Is { good, bad, ty } => {
            let number = match bad.is_empty() {
                true => Some(u64::from(good.iter().any(|word| is_word(text, word)))),
                // It counts what is neither.
                false => is(Some(text), good, bad),
            };
            let Some(number) = number.filter(|_| !text.is_empty()) else { return Ok(None) };
            (number as f64, *ty)
        }
        // An element without a state has none.
        Convert::Map { other: Some(_), .. } if text.is_empty() => return Ok(None),
        Convert::Map { words, other, ty } => {
            let known = words.iter().find(|(word, _)| is_word(text, word));
            let number = match known.map(|(_, number)| *number).or(*other) {
                Some(number) => number,
                None => shaped(text, None)?,
            };
            (number, *ty)
        }
    };
    match ty {
        Number::Decimal => Ok(Some(Value::Decimal(number))),
        Number::Integer if number >= 0.0 => Ok(Some(Value::Integer(number as u64))),
        Number::Integer => Err("is below 0: it needs type = \"decimal\""),
    }
}

const NOT_WHOLE: &str = "is not a whole number";

fn shaped(text: &str, shape: Option<Shape>) -> Result<f64, &'static str> {
    let (number, why) = match shape {
        None => (numbers::decimal(text), "is not a number"),
        Some(Shape::Quantity) => (numbers::quantity(text), "is not a number"),
        Some(Shape::Remainder) => {
            (numbers::number::<i64>(text).map(|number| number.max(0) as f64), NOT_WHOLE)
        }
        Some(Shape::BitRate) => (BitRate::of(text).map(|rate| rate.0), "is not a bandwidth"),
        Some(Shape::Duration) => (seconds(text), "is not a duration"),
    };
    number.ok_or(why)
}

/// A span of time, or a number of seconds.
fn seconds(text: &str) -> Option<f64> {
    let number = numbers::number::<u64>(text).or_else(|| numbers::duration(text));
    number.map(|seconds| seconds as f64)
}
