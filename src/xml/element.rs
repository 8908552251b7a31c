//! serde's view of one Junos element.
//!
//! Made for Junos replies rather than for XML in general, it is lenient where Junos is:
//!
//! * names are local names, text is trimmed, attributes are fields named `@name`, the text beside
//!   attributes or children is `$text`;
//! * a value that does not fit (`N/A`, `Unlimited`, `-----`) leaves its `Option` empty and is
//!   counted; any other type fails its item, and a list leaves the element out;
//! * a list's elements may stand apart from each other, a repeated scalar's first value counts;
//! * an empty element is a flag: `bool` or `Option<()>`.
//!
//! Tags are found by searching for their brackets, also in elements that no field asks for: those
//! are passed over, but tags that are mixed up in them are found out. All else, text with
//! references, comments, CDATA and instructions, is read by quick-xml, to whose reading a test
//! holds the search.
//!
//! What does not depend on the struct that is read is kept out of line (`inline(never)`): copied
//! into every struct's reading it would be the greater part of the program.

use std::borrow::Cow;
use std::marker::PhantomData;

use memchr::memmem;
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};

use crate::xml::items::{tag_bytes, unescape};

/// Why an element could not be read, by what the caller does next.
#[derive(Debug, PartialEq)]
pub enum Error {
    /// A value does not fit: the element can be passed over.
    Value(Cow<'static, str>),
    /// The XML is not well formed: the item is lost.
    Syntax { at: usize, why: String },
    /// The text ends within the element: it was cut too early.
    Short,
    /// Elements nest deeper than `limits.depth_max`.
    TooDeep,
}

type Result<T> = std::result::Result<T, Error>;

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Error::Value(why) => f.write_str(why),
            Error::Syntax { at, why } => write!(f, "not well-formed at its byte {at}: {why}"),
            Error::Short => f.write_str("the text ends within the element"),
            Error::TooDeep => f.write_str("elements nest deeper than limits.depth_max"),
        }
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: std::fmt::Display>(why: T) -> Error {
        Error::Value(why.to_string().into())
    }
}

/// One element's text, and how far it was read.
pub struct Element<'de> {
    all: &'de str,
    /// Where the reading goes on.
    at: usize,
    /// The last tag opened an element and closed it too: its end is still to be told.
    empty: bool,
    /// The elements that are open, outermost first.
    open: Vec<&'de str>,
    depth_max: usize,
    /// The tag that was read last: its attributes if it opened an element, and the text before it.
    closed: bool,
    attributes: &'de str,
    text: Text<'de>,
    /// `next` gives the last tag once more.
    again: bool,
    /// How many values did not fit, and the first of them.
    pub misfits: u64,
    pub first_misfit: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct Text<'de>(Cow<'de, str>);

impl<'de> Text<'de> {
    fn push(&mut self, part: Cow<'de, str>) {
        if self.0.is_empty() {
            self.0 = part;
        } else {
            self.0.to_mut().push_str(&part);
        }
    }
    #[inline(never)]
    fn trimmed(&self) -> Cow<'de, str> {
        match &self.0 {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii()),
            Cow::Owned(text) => Cow::Owned(text.trim_ascii().to_string()),
        }
    }
}

fn misfit(what: &'static str) -> Error {
    Error::Value(Cow::Borrowed(what))
}

/// The part of a name behind its prefix.
fn local(name: &str) -> &str {
    match memchr::memchr(b':', name.as_bytes()) {
        Some(colon) => &name[colon + 1..],
        None => name,
    }
}

impl<'de> Element<'de> {
    pub fn new(all: &'de str, depth_max: usize) -> Element<'de> {
        Element {
            all,
            at: 0,
            empty: false,
            open: Vec::new(),
            depth_max,
            closed: false,
            attributes: "",
            text: Text::default(),
            again: false,
            misfits: 0,
            first_misfit: None,
        }
    }

    /// The element as a `T`, read to its end.
    pub fn read<T: Deserialize<'de>>(&mut self) -> Result<T> {
        self.next()?;
        let value = T::deserialize(Child(self));
        if let Ok(_) | Err(Error::Value(_)) = value {
            self.skip_to(0)?;
        }
        value
    }

    fn syntax(&self, why: String) -> Error {
        Error::Syntax { at: self.at, why }
    }

    /// Reads up to and with the next tag; true where it opens an element.
    fn next(&mut self) -> Result<bool> {
        if self.again {
            self.again = false;
            return Ok(!self.closed);
        }
        self.text = Text::default();
        if std::mem::take(&mut self.empty) {
            self.open.pop();
            self.closed = true;
            return Ok(false);
        }
        // White space before a tag says nothing.
        let rest = self.all[self.at..].trim_ascii_start().as_bytes();
        match rest {
            [] => return Err(Error::Short),
            [b'<', b'!' | b'?', ..] => self.read_text()?,
            [b'<', ..] => self.at = self.all.len() - rest.len(),
            _ => self.read_text()?,
        }
        self.read_tag()
    }

    /// Reads all that stands before the next tag.
    fn read_text(&mut self) -> Result<()> {
        let mut reader = Reader::from_str(&self.all[self.at..]);
        reader.config_mut().check_end_names = false;
        reader.config_mut().allow_unmatched_ends = true;
        reader.config_mut().allow_dangling_amp = true;
        loop {
            let before = self.all.len() - reader.get_ref().len();
            match reader.read_event() {
                Ok(Event::Start(_) | Event::End(_) | Event::Empty(_)) => {
                    // What quick-xml takes for a byte order mark may stand before the tag.
                    let tag = memchr::memchr(b'<', &self.all.as_bytes()[before..]);
                    self.at = before + tag.ok_or(Error::Short)?;
                    return Ok(());
                }
                Ok(Event::Text(text)) => self.text.push(text.into_inner()),
                Ok(Event::CData(text)) => self.text.push(text.into_inner()),
                Ok(Event::GeneralRef(name)) => {
                    let raw = format!("&{};", &*name);
                    self.text.push(Cow::Owned(unescape(&raw).into_owned()));
                }
                Ok(Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_)) => {}
                Ok(Event::Eof) | Err(quick_xml::Error::Syntax(_)) => return Err(Error::Short),
                Err(err) => return Err(self.syntax(err.to_string())),
            }
        }
    }

    /// Reads the tag that stands where the reading goes on; true where it opens an element.
    fn read_tag(&mut self) -> Result<bool> {
        let rest = &self.all[self.at..];
        let bytes = tag_bytes(rest.as_bytes()).ok_or(Error::Short)?;
        let inside = &rest[1..bytes - 1];
        if let Some(name) = inside.strip_prefix('/') {
            let name = name.trim_ascii_end();
            let open = self.open.pop().unwrap_or_default();
            if name != open {
                return Err(self.syntax(format!("expected </{open}>, found </{name}>")));
            }
            self.at += bytes;
            self.closed = true;
            return Ok(false);
        }
        if self.open.len() >= self.depth_max {
            return Err(Error::TooDeep);
        }
        self.empty = inside.ends_with('/');
        let inside = if self.empty { &inside[..inside.len() - 1] } else { inside };
        let end = inside.bytes().position(|byte| byte.is_ascii_whitespace() || byte == b'<');
        let (name, attributes) = inside.split_at(end.unwrap_or(inside.len()));
        if name.is_empty() || attributes.starts_with('<') {
            return Err(self.syntax("expected an element's name".into()));
        }
        self.at += bytes;
        self.open.push(name);
        self.attributes = attributes;
        self.closed = false;
        Ok(true)
    }

    /// Elements open around the place that `next` goes on from.
    fn depth(&self) -> usize {
        match (self.again, self.closed) {
            (true, true) => self.open.len() + 1,
            (true, false) => self.open.len() - 1,
            (false, _) => self.open.len(),
        }
    }

    fn name(&self) -> &'de str {
        self.open.last().map_or("", |name| local(name))
    }

    /// Goes on behind the close tag of the innermost open element, following the tags within.
    fn skip(&mut self) -> Result<()> {
        let depth = self.depth();
        while self.depth() >= depth {
            self.pass_tag()?;
        }
        Ok(())
    }

    /// Reads up to and with the next tag as `next` does, but leaves the text before it unread, and
    /// with an open tag takes a leaf's plain text and close tag.
    fn pass_tag(&mut self) -> Result<()> {
        if self.again || self.empty {
            return self.next().map(drop);
        }
        self.text = Text::default();
        let rest = &self.all.as_bytes()[self.at..];
        self.at += memchr::memchr(b'<', rest).ok_or(Error::Short)?;
        if let Some(b'!' | b'?') = self.all.as_bytes().get(self.at + 1) {
            self.read_text()?;
        }
        if self.read_tag()? && !self.empty {
            self.plain_leaf();
        }
        Ok(())
    }

    fn skip_to(&mut self, depth: usize) -> Result<()> {
        while self.depth() > depth {
            self.skip()?;
        }
        Ok(())
    }

    /// The text of the innermost open element, if it stands plainly before its close tag, as
    /// nearly all do: reading it as two events would take several times as long.
    fn plain_leaf(&mut self) -> Option<&'de str> {
        let rest = &self.all[self.at..];
        let end = memchr::memchr(b'<', rest.as_bytes())?;
        let name = *self.open.last()?;
        let close = rest[end + 1..].strip_prefix('/')?.strip_prefix(name)?;
        let text = &rest[..end];
        if !close.starts_with('>') || memchr::memchr(b'&', text.as_bytes()).is_some() {
            return None;
        }
        self.at += end + "</>".len() + name.len();
        self.open.pop();
        self.closed = true;
        self.text = Text::default();
        Some(text.trim_ascii())
    }

    /// The text of the innermost open element, read to its close tag; children are left out.
    #[inline(never)]
    fn leaf(&mut self) -> Result<Cow<'de, str>> {
        if !self.again
            && !self.empty
            && let Some(text) = self.plain_leaf()
        {
            return Ok(Cow::Borrowed(text));
        }
        if !self.next()? {
            return Ok(self.text.trimmed());
        }
        let mut all = self.text.clone();
        loop {
            self.skip()?;
            let open = self.next()?;
            all.push(self.text.0.clone());
            if !open {
                return Ok(all.trimmed());
            }
        }
    }

    fn count_misfit(&mut self, field: &str, why: &Error) {
        self.misfits += 1;
        if self.first_misfit.is_none() {
            self.first_misfit = Some(format!("{field}: {why}"));
        }
    }
}

/// A number, or why the text is none; the text is quoted, shortened, for the log.
#[inline(never)]
fn number<T: std::str::FromStr>(text: Cow<str>, what: &str) -> Result<T> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        Error::Value(format!("`{shown}` is not {what}").into())
    })
}

/// `Text` in the forms that serde asks for.
struct Scalar<'de>(Cow<'de, str>);

macro_rules! numbers {
    ($($method:ident $visit:ident $what:literal),* $(,)?) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.$visit(number(self.scalar()?, $what)?)
        }
    )* };
}

/// What a leaf, an attribute and `$text` have in common.
macro_rules! scalar {
    () => {
        numbers! {
            deserialize_u64 visit_u64 "a whole number",
            deserialize_u32 visit_u32 "a whole number",
            deserialize_u16 visit_u16 "a whole number",
            deserialize_u8 visit_u8 "a whole number",
            deserialize_i64 visit_i64 "a whole number",
            deserialize_i32 visit_i32 "a whole number",
            deserialize_f64 visit_f64 "a number",
        }
        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match self.scalar()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            }
        }
        fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            match &*self.scalar()? {
                "" | "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                _ => Err(misfit("neither true nor false")),
            }
        }
        fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            visitor.visit_some(self)
        }
        fn deserialize_newtype_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            visitor: V,
        ) -> Result<V::Value> {
            visitor.visit_newtype_struct(self)
        }
        fn deserialize_enum<V: Visitor<'de>>(
            self,
            _: &'static str,
            _: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value> {
            visitor.visit_enum((&*self.scalar()?).into_deserializer())
        }
    };
}

impl<'de> Scalar<'de> {
    fn scalar(self) -> Result<Cow<'de, str>> {
        Ok(self.0)
    }
}

impl<'de> Deserializer<'de> for Scalar<'de> {
    type Error = Error;
    scalar!();
    serde::forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The element whose open tag was just read.
struct Child<'a, 'de>(&'a mut Element<'de>);

impl<'de> Child<'_, 'de> {
    fn scalar(self) -> Result<Cow<'de, str>> {
        self.0.leaf()
    }
}

impl<'a, 'de> Deserializer<'de> for Child<'a, 'de> {
    type Error = Error;
    scalar!();
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.0.skip()?;
        visitor.visit_unit()
    }
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_map(Fields::new(self.0, fields))
    }
    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let depth = self.0.depth();
        visitor.visit_map(Leaves { element: self.0, depth })
    }
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let name = self.0.name();
        visitor.visit_seq(Siblings { element: self.0, name, at: At::First })
    }
    serde::forward_to_deserialize_any! {
        i8 i16 i128 u128 f32 char str string bytes byte_buf unit_struct tuple tuple_struct
        identifier
    }
}

enum Source<'de> {
    Child,
    Attribute(&'de str),
    Text,
}

/// An element as a map: the leaf elements below it, at whatever depth, in the reply's order.
struct Leaves<'a, 'de> {
    element: &'a mut Element<'de>,
    depth: usize,
}

impl<'de> MapAccess<'de> for Leaves<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let mut opened = None;
        loop {
            if self.element.next()? {
                opened = Some(self.element.name());
            } else if let Some(leaf) = opened {
                return seed.deserialize(BorrowedStrDeserializer::new(leaf)).map(Some);
            } else if self.element.depth() < self.depth {
                return Ok(None);
            }
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        seed.deserialize(Scalar(self.element.text.trimmed()))
    }
}

/// A struct's fields: attributes first, then children in the reply's order, then `$text`. One
/// without fields takes all children.
struct Fields<'a, 'de> {
    element: &'a mut Element<'de>,
    fields: &'static [&'static str],
    attributes: &'de str,
    /// Where the last field was found: replies keep one order, so the next is likely behind it.
    last: usize,
    /// Fields that have their value: a list took later ones, or the first of several counts.
    seen: u128,
    source: Source<'de>,
    field: &'static str,
    end: bool,
}

impl<'a, 'de> Fields<'a, 'de> {
    fn new(element: &'a mut Element<'de>, fields: &'static [&'static str]) -> Fields<'a, 'de> {
        debug_assert!(fields.len() <= 128, "more fields than bits in Fields::seen");
        let attributes = element.attributes;
        let source = Source::Child;
        Fields { element, fields, attributes, last: 0, seen: 0, source, field: "", end: false }
    }

    /// The next attribute that a field asks for.
    fn attribute(&mut self) -> Option<(&'static str, &'de str)> {
        while let Some((name, rest)) = self.attributes.split_once('=') {
            let rest = rest.trim_ascii_start();
            let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            let (value, rest) = rest[1..].split_once(quote)?;
            self.attributes = rest;
            let name = local(name.trim_ascii());
            let wanted = |field: &&&str| field.strip_prefix('@') == Some(name);
            if let Some(field) = self.fields.iter().find(wanted) {
                return Some((field, value));
            }
        }
        None
    }

    /// The index of the field that takes the element just opened, if it is still wanted.
    fn find(&mut self) -> Option<usize> {
        let name = self.element.name();
        let (before, after) = self.fields.split_at(self.last);
        let at = match after.iter().position(|field| *field == name) {
            Some(at) => self.last + at,
            None => before.iter().position(|field| *field == name)?,
        };
        self.last = at;
        let bit = 1u128.checked_shl(at as u32).unwrap_or(0);
        let fresh = self.seen & bit == 0;
        self.seen |= bit;
        fresh.then_some(at)
    }

    /// Goes to the next field's place, and gives its name.
    #[inline(never)]
    fn next_field(&mut self) -> Result<Option<&'de str>> {
        if let Some((field, value)) = self.attribute() {
            self.source = Source::Attribute(value);
            self.field = field;
            return Ok(Some(field));
        }
        self.attributes = "";
        while !self.end {
            if !self.element.next()? {
                self.end = true;
                let wanted = self.fields.is_empty() || self.fields.contains(&"$text");
                if wanted && !self.element.text.trimmed().is_empty() {
                    self.source = Source::Text;
                    self.field = "$text";
                    return Ok(Some(self.field));
                }
                break;
            }
            self.source = Source::Child;
            if self.fields.is_empty() {
                return Ok(Some(self.element.name()));
            }
            match self.find() {
                Some(at) => {
                    self.field = self.fields[at];
                    return Ok(Some(self.field));
                }
                None => self.element.skip()?,
            }
        }
        Ok(None)
    }

    /// Leaves the child whose value does not fit, and counts it.
    #[inline(never)]
    fn pass_over(&mut self, inside: usize, why: &Error) -> Result<()> {
        if let Source::Child = self.source {
            self.element.skip_to(inside - 1)?;
        }
        self.element.count_misfit(self.field, why);
        Ok(())
    }
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let Some(name) = self.next_field()? else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        match self.source {
            Source::Child => seed.deserialize(Child(self.element)),
            Source::Attribute(raw) => seed.deserialize(Scalar(Text(unescape(raw)).trimmed())),
            Source::Text => seed.deserialize(Scalar(self.element.text.trimmed())),
        }
    }

    /// An `Option` whose value does not fit is `None`; any other type fails its item.
    fn next_value<T: Deserialize<'de>>(&mut self) -> Result<T> {
        let inside = self.element.depth();
        match self.next_value_seed(PhantomData::<T>) {
            Err(why @ Error::Value(_)) => {
                self.pass_over(inside, &why)?;
                T::deserialize(Nothing)
                    .map_err(|_: Error| Error::Value(format!("<{}>: {why}", self.field).into()))
            }
            done => done,
        }
    }
}

/// A place to go back to: before the open tag that ended a run of siblings.
struct Mark<'de> {
    at: usize,
    /// How many elements are open around it, and the innermost of them, the list's parent.
    open: usize,
    parent: &'de str,
}

enum At<'de> {
    First,
    Run,
    Ahead(Mark<'de>),
    End,
}

/// Siblings of one name; those that stand behind other elements are fetched ahead, after which
/// the reading goes on behind the first run of them.
struct Siblings<'a, 'de> {
    element: &'a mut Element<'de>,
    name: &'de str,
    at: At<'de>,
}

impl<'de> Siblings<'_, 'de> {
    /// Goes to the next element of the name; false where there is none.
    fn find(&mut self) -> Result<bool> {
        match self.at {
            At::First => {
                self.at = At::Run;
                return Ok(true);
            }
            At::End => return Ok(false),
            At::Run | At::Ahead(_) => {}
        }
        loop {
            let open = self.element.next()?;
            if open && self.element.name() == self.name {
                return Ok(true);
            }
            if let At::Run = self.at {
                let rest = &self.element.all[self.element.at..];
                // Nothing of that name is left in the item: spare the search.
                if !open || memmem::find(rest.as_bytes(), self.name.as_bytes()).is_none() {
                    self.element.again = true;
                    self.at = At::End;
                    return Ok(false);
                }
                self.at = At::Ahead(self.mark());
            }
            if !open {
                break;
            }
            self.element.skip()?;
        }
        if let At::Ahead(mark) = std::mem::replace(&mut self.at, At::End) {
            // Looking ahead has read the parent's close tag: the parent is open again.
            self.element.open.truncate(mark.open - 1);
            self.element.open.push(mark.parent);
            self.element.at = mark.at;
            self.element.empty = false;
        }
        Ok(false)
    }

    fn mark(&self) -> Mark<'de> {
        let Element { all, open, .. } = &*self.element;
        let at = all[..self.element.at].rfind('<').unwrap_or_default();
        let around = &open[..open.len() - 1];
        Mark { at, open: around.len(), parent: around.last().copied().unwrap_or_default() }
    }
}

impl<'de> SeqAccess<'de> for Siblings<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        if self.find()? { seed.deserialize(Child(self.element)).map(Some) } else { Ok(None) }
    }

    /// A list leaves out what does not fit.
    fn next_element<T: Deserialize<'de>>(&mut self) -> Result<Option<T>> {
        while self.find()? {
            let inside = self.element.depth();
            match T::deserialize(Child(self.element)) {
                Err(why @ Error::Value(_)) => {
                    self.element.skip_to(inside - 1)?;
                    self.element.count_misfit(self.name, &why);
                }
                done => return done.map(Some),
            }
        }
        Ok(None)
    }
}

/// What an `Option` is made from when its value does not fit; nothing else can be.
struct Nothing;

impl<'de> Deserializer<'de> for Nothing {
    type Error = Error;
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        Err(misfit("nothing"))
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_none()
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    fn read<'de, T: Deserialize<'de>>(text: &'de str) -> (Result<T>, u64) {
        let mut element = Element::new(text, 128);
        let value = element.read();
        (value, element.misfits)
    }

    #[derive(Deserialize, Debug, PartialEq, Default)]
    #[serde(rename_all = "kebab-case", default)]
    struct Port {
        name: String,
        mtu: Option<u64>,
        up: bool,
        temperature: Option<Temperature>,
        unit: Vec<Unit>,
        last: Option<String>,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    struct Temperature {
        #[serde(rename = "@celsius")]
        celsius: Option<f64>,
        #[serde(rename = "$text")]
        text: Option<String>,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    struct Unit {
        name: String,
    }

    fn unit(name: &str) -> Unit {
        Unit { name: name.into() }
    }

    #[test]
    fn a_byte_order_mark_in_the_middle_is_passed_over() {
        let mut element = Element::new("<a><b>\u{feff}</b><b>1</b>\u{feff}</a>", 8);
        let read: Result<std::collections::BTreeMap<String, String>> = element.read();
        assert_eq!(read.unwrap().get("b").map(String::as_str), Some("1"));
    }

    #[test]
    fn reads_what_junos_sends() {
        let (port, misfits) = read::<Port>(
            "<j:port xmlns:j='x'><name>\nge-0/0/0\n</name><mtu> 1514 </mtu><j:up/>\n\
             <temperature j:celsius=\"36\">36 degrees C &amp; rising</temperature></j:port>",
        );
        let port = port.unwrap();
        assert_eq!((port.name.as_str(), port.mtu, port.up), ("ge-0/0/0", Some(1514), true));
        let temperature = port.temperature.unwrap();
        assert_eq!(temperature.celsius, Some(36.0));
        assert_eq!(temperature.text.as_deref(), Some("36 degrees C & rising"));
        assert_eq!(misfits, 0);
    }

    #[test]
    fn a_value_that_does_not_fit_costs_that_value() {
        let (port, misfits) = read::<Port>("<p><mtu>Unlimited</mtu><name>xe-0/0/0</name></p>");
        assert_eq!(port.unwrap().name, "xe-0/0/0");
        assert_eq!(misfits, 1);
        let (port, misfits) =
            read::<Port>("<p><unit><title/></unit><unit><name>1</name></unit><mtu>9</mtu></p>");
        let port = port.unwrap();
        assert_eq!((port.unit, port.mtu, misfits), (vec![unit("1")], Some(9), 1));
    }

    #[test]
    fn a_list_may_stand_apart() {
        let (port, _) = read::<Port>(
            "<p><unit><name>1</name></unit><mtu>1</mtu><unit><name>2</name></unit><up/>\
             <unit><name>3</name></unit><last>x</last></p>",
        );
        let port = port.unwrap();
        assert_eq!(port.unit, [unit("1"), unit("2"), unit("3")]);
        assert_eq!((port.mtu, port.up, port.last.as_deref()), (Some(1), true, Some("x")));
    }

    #[test]
    fn an_empty_element_after_a_list_is_read_again() {
        let (port, _) = read::<Port>(
            "<p><unit><name>1</name></unit><up/><mtu>1</mtu><unit><name>2</name></unit></p>",
        );
        let port = port.unwrap();
        assert_eq!((port.unit.len(), port.up, port.mtu), (2, true, Some(1)));
    }

    #[test]
    fn unknown_elements_are_passed_over() {
        let (port, _) = read::<Port>(
            "<p><q><q>1</q><mtu>5</mtu></q><flag/><r><rr>x</rr><r1/></r><!-- <mtu>6</mtu> -->\
             <s a='>'>t</s ><u><!-- </u> --></u><name>a<b>c</b>d</name><mtu>7</mtu></p>",
        );
        let port = port.unwrap();
        assert_eq!((port.name.as_str(), port.mtu), ("ad", Some(7)));
    }

    #[test]
    fn a_text_that_ends_early_is_told_from_one_that_is_wrong() {
        assert_eq!(read::<Port>("<p><name>x</name>").0, Err(Error::Short));
        assert_eq!(read::<Port>("<p><name>x").0, Err(Error::Short));
        let wrong = read::<Port>("<p><name>x</mtu></p>").0;
        assert!(matches!(wrong, Err(Error::Syntax { .. })), "{wrong:?}");
    }

    #[test]
    fn mixed_up_tags_in_what_is_passed_over_are_found_out() {
        for (within, at) in [
            ("<q></oops></q>", 6),
            ("<q>1</q ><q><r>1</r></s></q>", 23),
            ("<q><r><s>1</r></s></q>", 13),
            ("<q><!-- <q> --><r/></oops></q>", 22),
            ("<q><<r/></q>", 6),
            ("<q>a < b</q>", 8),
            ("<q a='>'></q><r><s<t/></r>", 19),
            ("<unit><name>1</name></unit><up/><q></r></q><unit><name>2</name></unit>", 38),
        ] {
            match read::<Port>(&format!("<p>{within}</p>")).0 {
                Err(Error::Syntax { at: found, .. }) => assert_eq!(found, at, "{within}"),
                other => panic!("{within}: {other:?}"),
            }
        }
    }

    #[test]
    fn depth_is_limited() {
        let deep = "<p>".repeat(200) + "<name>x</name>" + &"</p>".repeat(200);
        assert_eq!(read::<Port>(&deep).0, Err(Error::TooDeep));
    }
}
