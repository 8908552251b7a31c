//! Makes a plan of a description, or says what is wrong in it.

use std::collections::BTreeSet;
use std::sync::Mutex;

use toml::Spanned;

use super::file::{self, Description, Number, Shape};
use super::path::{self, Path};
use super::plan::{
    Argument, Convert, Described, Field, Item, Level, Node, Place, Plan, Query, Records, SlotKind,
    Source, Tag, Template, Wanted, Words,
};
use super::read_only;
use crate::base::sync::lock;
use crate::collector::only;
use crate::point::{FieldInfo, Kind, Schema, Type};

/// Something wrong at a byte of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub at: usize,
    pub why: String,
}

pub const QUERIES_MAX: usize = 16;
pub const POINTS_MAX: usize = 64;
pub const TAGS_MAX: usize = 16;
pub const FIELDS_MAX: usize = 256;
const LEVELS_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 128;
/// So much of a help, a unit or another text.
const TEXT_BYTES_MAX: usize = 1024;

/// What outputs call the router, what they add to its points, and what Prometheus gives a meaning.
const RESERVED: &[&str] =
    &["target", "host", "re_name", "remote_domain", "remote_hostgroup", "le", "quantile"];

/// The settings of a described collector, which no argument may be called.
const SETTINGS: [&str; 6] =
    ["interval", "timeout", "points_max", "only", "logical_systems", "description_labels"];

/// The logical system whose reply is read, as a path has it.
const LOGICAL_SYSTEM: &str = "logical-system";
const RE_NAME: &str = "re-name";

/// Compiles a description. What it says lives as long as the program: the texts are leaked, and the
/// caller sees to it that the same file is not compiled twice.
pub fn compile(description: &Description) -> Result<Plan, Vec<Fault>> {
    let mut compiler = Compiler { faults: Vec::new() };
    let plan = compiler.plan(description);
    if compiler.faults.is_empty() { Ok(plan) } else { Err(compiler.faults) }
}

pub struct Compiler {
    faults: Vec<Fault>,
}

/// Texts that live as long as the program: each is kept once, for most names stand in a description
/// several times.
pub fn leak(text: &str) -> &'static str {
    static LEAKED: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut leaked = lock(&LEAKED);
    leaked.get(text).copied().unwrap_or_else(|| {
        let text = text.to_string().leak();
        leaked.insert(text);
        text
    })
}

pub fn leak_all(texts: &[String]) -> &'static [&'static str] {
    texts.iter().map(|text| leak(text)).collect::<Vec<_>>().leak()
}

/// How a field's name becomes a path, and the reverse.
fn with_hyphens(name: &str) -> String {
    name.replace('_', "-")
}

impl Compiler {
    pub fn fault<T>(&mut self, at: &Spanned<T>, why: impl Into<String>) {
        self.faults.push(Fault { at: at.span().start, why: why.into() });
    }

    fn or_fault<T, U>(&mut self, at: &Spanned<T>, result: Result<U, String>) -> Option<U> {
        result.map_err(|why| self.fault(at, why)).ok()
    }

    /// A name of a collector, a measurement, a tag or a field.
    fn name(&mut self, name: &Spanned<String>) -> &'static str {
        let text = name.get_ref();
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let fits = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(is_part)
            && text.len() <= NAME_BYTES_MAX;
        if !fits {
            let what = format!(
                "`{text}` is not a name: it has lower-case letters, digits and `_`, begins with a \
                 letter, and has at most {NAME_BYTES_MAX} bytes"
            );
            self.fault(name, what);
        }
        leak(text)
    }

    /// A sentence for people.
    fn sentence(&mut self, text: &Spanned<String>) -> &'static str {
        let sentence = text.get_ref();
        if sentence.trim().is_empty() || sentence.contains('\n') || sentence.len() > TEXT_BYTES_MAX
        {
            let why = format!("a help is one line, not empty, of at most {TEXT_BYTES_MAX} bytes");
            self.fault(text, why);
        }
        leak(sentence)
    }

    fn count<T>(&mut self, at: &Spanned<T>, what: &str, count: usize, limit: usize) {
        if count == 0 {
            self.fault(at, format!("it has no {what}: it needs at least one"));
        }
        if count > limit {
            self.fault(at, format!("it has {count} {what}, and at most {limit} are allowed"));
        }
    }

    fn plan(&mut self, description: &Description) -> Plan {
        let name = self.name(&description.name);
        self.count(&description.name, "queries", description.query.len(), QUERIES_MAX);
        let help = self.sentence(&description.help);
        let arguments = self.arguments(&description.argument);
        let only = description.only.as_ref();
        let queries: Vec<Query> = description
            .query
            .iter()
            .map(|query| self.query(query, &arguments, only.map(|only| only.get_ref().as_str())))
            .collect();
        let templates = || queries.iter().flat_map(|q| &q.items).flat_map(|item| &item.templates);
        if let Some(only) = only.filter(|_| !templates().any(|t| t.only.is_some())) {
            self.fault(only, format!("no point has the tag `{}`", only.get_ref()));
        }
        // In the order of the file, which is that of the reference.
        let mut ordered: Vec<&Template> = templates().collect();
        ordered.sort_by_key(|template| template.order);
        let measurements = ordered.iter().map(|t| t.schema as &'static dyn Schema).collect();
        let permissions = description.permissions.clone().unwrap_or(vec!["view".into()]);
        Plan {
            name,
            name_at: description.name.span().start,
            help,
            advice: leak(&description.advice),
            permissions: leak_all(&permissions),
            replaces: description.replaces,
            measurements,
            logical_systems: queries.iter().any(|query| query.logical_systems),
            has_only: only.is_some(),
            has_labels: templates().any(|template| !template.labels.is_empty()),
            arguments,
            queries,
        }
    }

    fn arguments(&mut self, arguments: &[Spanned<file::Argument>]) -> Vec<Argument> {
        let mut names = BTreeSet::from(SETTINGS);
        let mut read = Vec::new();
        for argument in arguments.iter().map(Spanned::get_ref) {
            let name = self.name(&argument.name);
            if !names.insert(name) {
                self.fault(&argument.name, format!("there is another setting `{name}`"));
            }
            let values = argument.values.get_ref();
            self.count(&argument.values, "values", values.len(), TEXT_BYTES_MAX);
            let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.:/*".contains(c);
            for value in values {
                if value.is_empty() || !value.chars().all(is_part) {
                    let why = format!("`{value}` is not a word of letters, digits and `-_.:/*`");
                    self.fault(&argument.values, why);
                }
            }
            if !values.contains(argument.default.get_ref()) {
                let why = format!("`{}` is not one of the values", argument.default.get_ref());
                self.fault(&argument.default, why);
            }
            read.push(Argument {
                name,
                help: self.sentence(&argument.help),
                values: values.clone(),
                default: argument.default.get_ref().clone(),
            });
        }
        read
    }

    fn query(
        &mut self,
        spanned: &Spanned<file::Query>,
        arguments: &[Argument],
        only: Option<&str>,
    ) -> Query {
        let query = spanned.get_ref();
        let rpc = query.rpc.get_ref();
        let by_default = arguments.iter().map(|argument| (argument.name, &*argument.default));
        let all = only.map(|_| ("only", only::ALL));
        let checked = super::filled(rpc, by_default.chain(all)).and_then(|filled| {
            read_only::check(&filled)?;
            // What it may be set to later must not matter.
            let any = arguments.iter().map(|argument| (argument.name, read_only::ANY_WORD));
            let any = any.chain(only.map(|_| ("only", read_only::ANY_WORD)));
            read_only::check(&super::filled(rpc, any)?).map_err(|_| {
                "an argument stands in an element's text, or in a command behind `show`".into()
            })
        });
        self.or_fault(&query.rpc, checked);
        if query.logical_systems && rpc.starts_with("<command") {
            self.fault(&query.rpc, "a command takes no <logical-system>");
        }
        let command = query.command.get_ref();
        if command.trim().is_empty() || command.len() > TEXT_BYTES_MAX || command.contains('\n') {
            self.fault(&query.command, "the command is empty, or not one line");
        }
        self.count(&query.roots, "roots", query.roots.get_ref().len(), QUERIES_MAX);
        for root in query.roots.get_ref() {
            self.or_fault(&query.roots, path::element(root));
        }
        self.count(spanned, "points", query.point.len(), POINTS_MAX);
        let mut items: Vec<Item> = Vec::new();
        for point in &query.point {
            let element = point.get_ref().item.get_ref();
            self.or_fault(&point.get_ref().item, path::element(element));
            let known = items.iter().position(|item| item.element == element);
            let at = known.unwrap_or_else(|| {
                items.push(Item::new(leak(element)));
                items.len() - 1
            });
            let item = &mut items[at];
            let template = self.point(point, item, query.logical_systems, only);
            item.templates.extend(template);
            if item.levels.len() > LEVELS_MAX {
                self.fault(point, format!("more than {LEVELS_MAX} lists in one item"));
            }
        }
        for item in &mut items {
            item.required = item.required();
            item.give_back_room();
        }
        Query {
            rpc: leak(rpc),
            shown: leak(&rpc.replace("{only}", only::ALL)),
            command: leak(command),
            roots: leak_all(query.roots.get_ref()),
            logical_systems: query.logical_systems,
            items,
        }
    }

    fn point(
        &mut self,
        spanned: &Spanned<file::Point>,
        item: &mut Item,
        logical_systems: bool,
        only: Option<&str>,
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
        Some(Template {
            schema: Box::leak(Box::new(schema)),
            order: spanned.span().start,
            level: base.level,
            or_none: point.or_none,
            wanted,
            tags,
            labels: labels.unwrap_or_default(),
            fields,
            only: only.and_then(|only| tag_names.iter().position(|name| *name == only)),
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
            Some(Shape::Duration) | None => Number::Integer,
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

#[derive(Clone, Copy)]
struct Base {
    node: usize,
    level: usize,
}

/// An item whose paths are resolved from a place in it.
struct At<'a> {
    item: &'a mut Item,
    base: Base,
    in_record: bool,
    logical_systems: bool,
}

impl At<'_> {
    fn sources(&mut self, text: &str) -> Result<Vec<Source>, String> {
        let paths = path::alternatives(text)?;
        let sources = paths.into_iter().map(|path| self.source(text, path));
        let mut sources = sources.collect::<Result<Vec<Source>, String>>()?;
        sources.shrink_to_fit();
        Ok(sources)
    }

    fn source(&mut self, text: &str, path: Path) -> Result<Source, String> {
        Ok(match path {
            Path::Constant(text) => Source::Constant(leak(&text)),
            Path::Scope(name) if name == RE_NAME => Source::Engine,
            Path::Scope(name) if name == LOGICAL_SYSTEM && self.logical_systems => {
                Source::LogicalSystem
            }
            Path::Scope(name) => Source::Scope(leak(&name)),
            Path::Count { up, down } => {
                let (node, level) = self.descend(text, up, &down)?;
                let place = self.item.slot(level, SlotKind::Count);
                self.item.nodes[node].counts.push(place);
                Source::Slot(place)
            }
            Path::Element { up, down, attribute } => {
                let (node, level) = self.descend(text, up, &down)?;
                Source::Slot(self.item.value(node, level, attribute.as_deref()))
            }
        })
    }

    fn is_count(&self, source: &Source) -> bool {
        let Source::Slot(place) = source else { return false };
        self.item.levels[place.level].slots[place.slot] == SlotKind::Count
    }

    /// The node at the end of a path, and the level that what it holds belongs to.
    fn descend(
        &mut self,
        text: &str,
        up: usize,
        down: &[String],
    ) -> Result<(usize, usize), String> {
        let (mut node, mut level) = (self.base.node, self.base.level);
        if self.in_record && up == 0 && down.is_empty() {
            return Err(format!("`{text}` is no element: a record is several side by side"));
        }
        for _ in 0..up {
            node = self.item.parents[node].ok_or_else(|| {
                format!("`{text}` leads above the item: it has fewer elements around the point")
            })?;
            level = self.item.nodes[node].row.unwrap_or_default();
        }
        for name in down {
            node = self.item.child(node, name);
        }
        Ok((node, level))
    }
}

impl Item {
    fn new(element: &'static str) -> Item {
        let item = Node { row: Some(0), ..Node::default() };
        Item {
            element,
            nodes: vec![item],
            parents: vec![None],
            levels: vec![Level { parent: 0, slots: Vec::new(), or_none: false }],
            templates: Vec::new(),
            required: Vec::new(),
        }
    }

    /// The tags that each of its points needs and that only the item itself can have. Where all
    /// points have a `where`, the item may be one that is not wanted.
    fn required(&self) -> Vec<(Vec<Source>, &'static str)> {
        let of_item = |source: &Source| matches!(source, Source::Slot(Place { level: 0, .. }));
        let needs = |template: &Template, sources: &[Source]| {
            let mut tags = template.tags.iter();
            tags.any(|tag| !tag.optional && tag.sources == sources)
        };
        let Some(first) = self.templates.iter().find(|template| template.wanted.is_empty()) else {
            return Vec::new();
        };
        let tags = first.tags.iter().filter(|tag| tag.sources.iter().all(of_item));
        let all_need = |tag: &&Tag| self.templates.iter().all(|t| needs(t, &tag.sources));
        tags.filter(all_need).map(|tag| (tag.sources.clone(), tag.element)).collect()
    }

    /// No more is added: its lists need no spare room.
    fn give_back_room(&mut self) {
        self.parents = Vec::new();
        self.nodes.shrink_to_fit();
        self.templates.shrink_to_fit();
        for node in &mut self.nodes {
            node.children.shrink_to_fit();
            node.texts.shrink_to_fit();
            node.attributes.shrink_to_fit();
        }
        self.levels.iter_mut().for_each(|level| level.slots.shrink_to_fit());
        for template in &mut self.templates {
            template.tags.shrink_to_fit();
            template.fields.shrink_to_fit();
        }
    }

    fn node(&mut self, parent: Option<usize>) -> usize {
        self.nodes.push(Node::default());
        self.parents.push(parent);
        self.nodes.len() - 1
    }

    /// The child of that name, made if there is none.
    fn child(&mut self, node: usize, name: &str) -> usize {
        let known = self.nodes[node].children.iter().find(|(known, _)| **known == *name.as_bytes());
        if let Some((_, child)) = known {
            return *child;
        }
        let child = self.node(Some(node));
        self.nodes[node].children.push((name.as_bytes().into(), child));
        child
    }

    /// Makes a node begin rows of a level.
    fn row(&mut self, node: usize) {
        if self.nodes[node].row.is_none() {
            self.nodes[node].row = Some(self.level(self.parents[node]));
        }
    }

    fn level(&mut self, around: Option<usize>) -> usize {
        let parent = around.and_then(|node| self.nodes[node].row).unwrap_or_default();
        self.levels.push(Level { parent, slots: Vec::new(), or_none: false });
        self.levels.len() - 1
    }

    /// The node of the records that begin with that element, and their level; `None` where others
    /// begin with another.
    fn records(&mut self, node: usize, first: &str) -> Option<(usize, usize)> {
        if let Some(records) = &self.nodes[node].records {
            return (*records.first == *first.as_bytes()).then_some((records.node, records.level));
        }
        let level = self.level(Some(node));
        // A record stands in the element that holds the records.
        let record = self.node(Some(node));
        self.nodes[node].records =
            Some(Records { first: first.as_bytes().into(), node: record, level });
        Some((record, level))
    }

    fn slot(&mut self, level: usize, kind: SlotKind) -> Place {
        self.levels[level].slots.push(kind);
        Place { level, slot: self.levels[level].slots.len() - 1 }
    }

    /// The slot of a node's text or attribute, made if there is none.
    fn value(&mut self, node: usize, level: usize, attribute: Option<&str>) -> Place {
        let of = &self.nodes[node];
        let known = match attribute {
            None => of.texts.iter().find(|place| place.level == level).copied(),
            Some(name) => {
                let is = |(known, place): &&(Box<[u8]>, Place)| {
                    **known == *name.as_bytes() && place.level == level
                };
                of.attributes.iter().find(is).map(|(_, place)| *place)
            }
        };
        known.unwrap_or_else(|| {
            let place = self.slot(level, SlotKind::Text);
            let of = &mut self.nodes[node];
            match attribute {
                None => of.texts.push(place),
                Some(name) => of.attributes.push((name.as_bytes().into(), place)),
            }
            place
        })
    }
}
