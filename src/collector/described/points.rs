//! The points of a description: their tags, their fields, and how a text becomes a value.

use std::collections::BTreeSet;

use toml::Spanned;

use super::faults::{Compiler, Fault};
use super::file::{self, Number, Shape};
use super::path;
use super::plan::{Convert, Described, Field, Item, Source, Tag, Template, Wanted, Words};
use super::tree::{At, Base, RE_NAME};
use crate::base::leaked::{leak, leak_all};
use crate::point::{FieldInfo, Kind, Type};

pub const TAGS_MAX: usize = 16;
const FIELDS_MAX: usize = 256;

/// What outputs call the router, what they add to its points, and what Prometheus gives a meaning.
const RESERVED: &[&str] =
    &["target", "host", "re_name", "remote_domain", "remote_hostgroup", "le", "quantile"];

impl Compiler {
    pub fn point(
        &mut self,
        spanned: &Spanned<file::Point>,
        item: &mut Item,
        logical_systems: bool,
        only: Option<&str>,
        asks_for_less: bool,
    ) -> Option<Template> {
        let point = spanned.get_ref();
        let base = self.base(point, item)?;
        self.count(spanned, "fields", point.fields.len(), FIELDS_MAX);
        if point.tags.len() > TAGS_MAX {
            self.count(spanned, "tags", point.tags.len(), TAGS_MAX);
        }
        let in_record = point.records.is_some();
        let mut at = At { item, base, in_record, logical_systems };
        let mut wanted = Vec::new();
        for (path, words) in &point.wanted {
            let sources = self.or_fault(words, at.sources(path)).unwrap_or_default();
            let words = match words.get_ref() {
                file::Wanted::There(is_there) => Words::There(*is_there),
                file::Wanted::Word(word) => Words::Among(vec![leak(word)]),
                file::Wanted::Words(all) => Words::Among(leak_all(all).to_vec()),
            };
            wanted.push(Wanted { sources, words });
        }
        let (tag_names, tags) = self.tags(point, &mut at);
        let labels = point.labels.as_ref().and_then(|path| {
            let sources = self.or_fault(path, at.sources(path.get_ref()))?;
            if sources.iter().any(|source| at.is_count(source)) {
                self.fault(path, "a count is no text that could have labels");
            }
            Some(sources)
        });
        let (mut infos, fields) = self.fields(point, &mut at);
        infos.shrink_to_fit();
        self.check_names(point, &tag_names, &infos);
        let is_engine = |tag: &Tag| tag.sources.iter().any(is_engine);
        let names_engine = tags.iter().any(is_engine) && !tag_names.contains(&"re_name");
        let schema = Described {
            name: self.name(&point.measurement),
            help: self.sentence(&point.help),
            tags: tag_names.clone().leak(),
            fields: infos,
        };
        let only = only.and_then(|only| tag_names.iter().position(|name| *name == only));
        Some(Template {
            schema: Box::leak(Box::new(schema)),
            order: spanned.span().start,
            level: base.level,
            or_none: point.or_none,
            wanted,
            tags,
            labels: labels.unwrap_or_default(),
            fields,
            only,
            is_total: only.is_none() && asks_for_less,
            names_engine,
            element: leak(base_name(point)),
        })
    }

    /// Where a point's paths start: at the elements of `each`, or at the item.
    fn base(&mut self, point: &file::Point, item: &mut Item) -> Option<Base> {
        let mut node = 0;
        if let Some(each) = &point.each {
            for name in self.or_fault(each, path::down(each.get_ref()))? {
                node = item.child(node, &name);
                item.row(node);
            }
        }
        let mut level = item.nodes[node].row.unwrap_or_default();
        if let Some(records) = &point.records {
            let first = self.or_fault(records, path::element(records.get_ref()))?;
            match item.records(node, &first) {
                Some(place) => (node, level) = place,
                None => {
                    let why = "records of another point begin with another element here";
                    self.fault(records, why);
                    return None;
                }
            }
        }
        if point.or_none {
            match &point.each {
                Some(_) if point.records.is_none() => item.levels[level].or_none = true,
                _ => {
                    let why = "or_none is for points with each, and without records";
                    self.fault(&point.item, why);
                }
            }
        }
        Some(Base { node, level })
    }

    fn tags(&mut self, point: &file::Point, at: &mut At) -> (Vec<&'static str>, Vec<Tag>) {
        let (mut names, mut tags) = (Vec::new(), Vec::new());
        for spanned in &point.tags {
            let tag = spanned.get_ref();
            let name = self.name(&tag.name);
            let own = with_hyphens(name);
            let (place, text) = match &tag.path {
                Some(path) => (path, path.get_ref()),
                None => (&tag.name, &own),
            };
            let is_engine = name == "re_name" && text == "$re-name";
            if !is_engine && RESERVED.contains(&name) {
                self.fault(&tag.name, format!("`{name}` is a name that points have already"));
            }
            let mut sources = self.or_fault(place, at.sources(text)).unwrap_or_default();
            for source in &mut sources {
                // `N/A` is for the tag that other measurements get where a name is known.
                if name != "re_name" && *source == Source::Engine {
                    *source = Source::Scope(RE_NAME);
                }
            }
            let beside = sources.iter().any(|source| !matches!(source, Source::Slot(_)));
            tags.push(Tag {
                sources,
                optional: tag.optional || beside,
                trim: tag.trim.as_ref().map_or("", |trim| leak(trim.get_ref())),
                map: tag.map.iter().map(|(from, to)| (leak(from), leak(to))).collect(),
                element: last_name(text),
            });
            names.push(name);
        }
        (names, tags)
    }

    fn fields(&mut self, point: &file::Point, at: &mut At) -> (Vec<FieldInfo>, Vec<Field>) {
        let (mut infos, mut fields) = (Vec::new(), Vec::new());
        for spanned in &point.fields {
            let field = spanned.get_ref();
            let name = self.name(&field.name);
            let Some((kind, path)) = self.kind(spanned) else { continue };
            let Some(convert) = self.convert(field, kind) else { continue };
            let ty = match &convert {
                Convert::Text => Type::Text,
                Convert::Integer { .. } => Type::Integer,
                Convert::Number { ty, .. } | Convert::Is { ty, .. } | Convert::Map { ty, .. } => {
                    match ty {
                        Number::Integer => Type::Integer,
                        Number::Decimal => Type::Decimal,
                    }
                }
            };
            let label = match &field.label {
                Some(label) => self.name(label),
                None => name,
            };
            if let Some(label) = field.label.as_ref().filter(|_| kind != Kind::Info) {
                self.fault(label, "label is for an info");
            }
            let help = self.sentence(&field.help);
            let event = field.event.as_ref().and_then(|event| self.rule(point, event, &convert));
            infos.push(FieldInfo { name, kind, ty, unit: leak(&field.unit), help, label, event });
            let sources = self.or_fault(path, at.sources(path.get_ref())).unwrap_or_default();
            if matches!(convert, Convert::Text) && sources.iter().any(|source| at.is_count(source))
            {
                self.fault(path, "a count is a number: it is for a counter or a gauge");
            }
            fields.push(Field {
                sources,
                trim: field.trim.as_ref().map_or("", |trim| leak(trim.get_ref())),
                convert,
                element: last_name(path.get_ref()),
                at: spanned.span().start,
            });
        }
        (infos, fields)
    }

    /// What kind a field is, and its path.
    fn kind<'a>(
        &mut self,
        spanned: &'a Spanned<file::Field>,
    ) -> Option<(Kind, &'a Spanned<String>)> {
        let field = spanned.get_ref();
        let kinds = [
            (Kind::Counter, &field.counter),
            (Kind::Gauge, &field.gauge),
            (Kind::Info, &field.info),
            (Kind::Text, &field.text),
        ];
        let mut set = kinds.into_iter().filter_map(|(kind, path)| Some((kind, path.as_ref()?)));
        match (set.next(), set.next()) {
            (Some(one), None) => Some(one),
            _ => {
                self.fault(spanned, "a field has one of counter, gauge, info and text: its path");
                None
            }
        }
    }

    fn convert(&mut self, field: &file::Field, kind: Kind) -> Option<Convert> {
        if matches!(kind, Kind::Info | Kind::Text) {
            let set = [
                ("type", field.ty.as_ref().map(Spanned::span)),
                ("is", field.is.as_ref().map(Spanned::span)),
                ("not", field.not.as_ref().map(Spanned::span)),
                ("map", field.map.as_ref().map(Spanned::span)),
                ("other", field.other.as_ref().map(Spanned::span)),
                ("shape", field.shape.as_ref().map(Spanned::span)),
                ("scale", field.scale.as_ref().map(Spanned::span)),
            ];
            if let Some((key, Some(span))) = set.into_iter().find(|(_, span)| span.is_some()) {
                let why = format!("{key} is for a counter or a gauge");
                self.faults.push(Fault { at: span.start, why });
            }
            return Some(Convert::Text);
        }
        if let Some(trim) = &field.trim
            && trim.get_ref().is_empty()
        {
            self.fault(trim, "trim is empty");
        }
        let written = field.ty.as_ref().map(|ty| *ty.get_ref());
        let whole = written.unwrap_or(Number::Integer);
        if let Some(is) = &field.is {
            if let Some(map) = &field.map {
                self.fault(map, "a field has is or map, not both");
            }
            let bad = field.not.as_ref().map_or(&[][..], |not| leak_all(not.get_ref().all()));
            let good = leak_all(is.get_ref().all()).to_vec();
            return Some(Convert::Is { good, bad: bad.to_vec(), ty: whole });
        }
        if let Some(not) = &field.not {
            self.fault(not, "not goes with is");
        }
        if let Some(map) = &field.map {
            let all = map.get_ref().values().chain(field.other.as_ref().map(Spanned::get_ref));
            let is_whole = |number: &f64| number.fract() == 0.0 && (0.0..9e15).contains(number);
            if whole == Number::Integer && !all.into_iter().all(is_whole) {
                self.fault(map, "its numbers are not whole: it needs type = \"decimal\"");
            }
            let words = map.get_ref().iter().map(|(word, number)| (leak(word), *number)).collect();
            let other = field.other.as_ref().map(|other| *other.get_ref());
            return Some(Convert::Map { words, other, ty: whole });
        }
        if let Some(other) = &field.other {
            self.fault(other, "other goes with map");
        }
        let shape = field.shape.as_ref().map(|shape| *shape.get_ref());
        let scale = field.scale.as_ref().map_or(1.0, |scale| *scale.get_ref());
        if let Some(spanned) = field.scale.as_ref().filter(|_| !scale.is_finite() || scale <= 0.0) {
            self.fault(spanned, "scale is a number above 0");
        }
        let by_default = match shape {
            Some(Shape::Quantity | Shape::BitRate) => Number::Decimal,
            Some(Shape::Duration | Shape::Remainder) | None => Number::Integer,
        };
        let ty = written.unwrap_or(by_default);
        let is_whole = scale.fract() == 0.0 && scale < 9e15;
        match (shape, ty) {
            (None, Number::Integer) if is_whole => {
                Some(Convert::Integer { scale: (scale != 1.0).then_some(scale as u64) })
            }
            _ => Some(Convert::Number { shape, scale, ty }),
        }
    }

    /// No two names of a point may be the same.
    fn check_names(&mut self, point: &file::Point, tags: &[&str], fields: &[FieldInfo]) {
        let mut labels = BTreeSet::new();
        for (tag, name) in point.tags.iter().zip(tags) {
            if !labels.insert(*name) {
                self.fault(tag, format!("there is another tag `{name}`"));
            }
        }
        let mut names = BTreeSet::new();
        for (field, info) in point.fields.iter().zip(fields) {
            if !names.insert(info.name) {
                self.fault(field, format!("there is another field `{}`", info.name));
            }
            if tags.contains(&info.name) {
                self.fault(field, format!("`{}` is the name of a tag too", info.name));
            }
            if info.kind == Kind::Info && !labels.insert(info.label) {
                let why = format!("another label is called `{}`: give it a label", info.label);
                self.fault(field, why);
            }
            if RESERVED.contains(&info.name) || RESERVED.contains(&info.label) {
                let why = format!("`{}` is a name that points have already", info.name);
                self.fault(field, why);
            }
        }
    }
}

fn is_engine(source: &Source) -> bool {
    matches!(source, Source::Engine | Source::Scope(RE_NAME))
}

/// The element that a tag of that name is by itself.
fn with_hyphens(name: &str) -> String {
    name.replace('_', "-")
}

/// What a point's row is called: the last element of `each`, or the item.
fn base_name(point: &file::Point) -> &str {
    let each = point.each.as_ref().map(|each| each.get_ref().as_str());
    let each = each.unwrap_or(point.item.get_ref());
    point.records.as_ref().map_or(last_name_of(each), |records| records.get_ref())
}

fn last_name_of(path: &str) -> &str {
    path.rsplit(['/', ' ']).next().unwrap_or(path)
}

fn last_name(path: &str) -> &'static str {
    leak(last_name_of(path))
}
