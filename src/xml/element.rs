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
//! Tags and plain text are found by looking for the few bytes that end them, also in elements that
//! no field asks for: those are passed over, but tags that are mixed up in them are found out.
//! quick-xml is the judge: property tests compare the two readings.
//! No byte is looked at more than a few times, whatever stands in the item.
//!
//! What does not depend on the struct that is read is kept out of line (`inline(never)`): copied
//! into every struct's reading it would be the greater part of the program.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use memchr::memmem;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};

use crate::base::text::first_line;
use crate::xml::items::{
    CDATA_OPEN, MarkupEnd, NAME_BYTES_MAX, NO_DECLARATION, expected_name, is_declaration, to_text,
    unescape,
};
use crate::xml::numbers;

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
    /// Bytes that are no UTF-8 are Latin-1, as `items::to_text` has it.
    all: &'de [u8],
    /// Where the reading goes on.
    at: usize,
    /// Where the tag that was read last starts.
    tag: usize,
    /// The last tag opened an element and closed it too: its end must still be reported.
    empty: bool,
    /// The elements that are open, outermost first.
    open: Vec<Name<'de>>,
    depth_max: usize,
    /// The tag that was read last: its attributes if it opened an element, and the text before it.
    closed: bool,
    attributes: &'de [u8],
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

/// An element's name as it is written, and the part behind its prefix.
#[derive(Clone, Copy, Default)]
struct Name<'de> {
    written: &'de [u8],
    local: &'de [u8],
}

impl<'de> Name<'de> {
    fn new(written: &'de [u8]) -> Name<'de> {
        let colon = written.iter().position(|byte| *byte == b':');
        Name { written, local: &written[colon.map_or(0, |colon| colon + 1)..] }
    }
}

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks the bytes of a word that are `byte`: the lowest mark is right, those above it may not be.
const fn equal(word: u64, byte: u8) -> u64 {
    let zeros = word ^ (EACH * byte as u64);
    zeros.wrapping_sub(EACH) & !zeros & HIGH
}

/// The same for the bytes below `limit`, which is at most 128.
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(EACH * limit as u64) & !word & HIGH
}

/// Where the first byte is that `marks` marks. Eight bytes are looked at at once: what is sought
/// is nearly always so near that setting up a longer search would cost more than searching.
#[inline(always)]
fn find(bytes: &[u8], marks: impl Fn(u64) -> u64) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let marked = marks(u64::from_le_bytes(*word));
        if marked != 0 {
            return Some(index * 8 + marked.trailing_zeros() as usize / 8);
        }
    }
    let at = rest.iter().position(|byte| marks(EACH * u64::from(*byte)) != 0)?;
    Some(words.len() * 8 + at)
}

/// A tag that is a plain name ends at the first of these, and at its `>`: no name has white space,
/// quotes or what else stands before the apostrophe.
const fn end_of_name(word: u64) -> u64 {
    below(word, b'\'' + 1) | equal(word, b'<') | equal(word, b'>') | equal(word, b':')
}

/// Text as it is meant; a reference that is not XML's own stays as it is written.
#[inline(never)]
fn decoded(raw: &[u8]) -> Cow<'_, str> {
    let text = to_text(raw);
    if !raw.contains(&b'&') {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest[1..].find(['&', ';']).map_or(1, |end| end + 1);
        let end = if rest.as_bytes().get(end) == Some(&b';') { end + 1 } else { end };
        out.push_str(&unescape(&rest[..end]));
        rest = &rest[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

impl<'de> Element<'de> {
    pub fn new<T: AsRef<[u8]> + ?Sized>(all: &'de T, depth_max: usize) -> Element<'de> {
        Element {
            all: all.as_ref(),
            at: 0,
            tag: 0,
            empty: false,
            open: Vec::new(),
            depth_max,
            closed: false,
            attributes: &[],
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
        let rest = self.all[self.at..].trim_ascii_start();
        match rest {
            [b'<', b'!' | b'?', ..] => self.read_text()?,
            [b'<', ..] => self.at = self.all.len() - rest.len(),
            _ => self.read_text()?,
        }
        self.read_tag()
    }

    /// Reads all that stands before the next tag.
    #[inline(never)]
    fn read_text(&mut self) -> Result<()> {
        loop {
            let rest = &self.all[self.at..];
            let bytes = if let [b'<', b'!' | b'?', ..] = rest {
                if is_declaration(rest) {
                    return Err(self.syntax(NO_DECLARATION.into()));
                }
                let bytes = MarkupEnd::default().find(rest).ok_or(Error::Short)?;
                if let Some(text) = rest[..bytes].strip_prefix(CDATA_OPEN) {
                    self.text.push(to_text(&text[..text.len() - "]]>".len()]));
                }
                bytes
            } else {
                find(rest, |word| equal(word, b'<')).ok_or(Error::Short)?
            };
            match rest[0] {
                b'<' if bytes == 0 => return Ok(()),
                b'<' => {}
                _ => self.text.push(decoded(&rest[..bytes])),
            }
            self.at += bytes;
        }
    }

    /// Reads the tag that stands where the reading goes on; true where it opens an element.
    fn read_tag(&mut self) -> Result<bool> {
        self.tag = self.at;
        let rest = &self.all[self.at..];
        if let Some(close) = rest.strip_prefix(b"</") {
            let open = self.open.last().map_or(&[][..], |open| open.written);
            let plain = close.strip_prefix(open).is_some_and(|rest| rest.starts_with(b">"));
            return if plain { Ok(self.leave("</>".len() + open.len())) } else { self.odd_close() };
        }
        let name_bytes = find(&rest[1..], end_of_name).ok_or(Error::Short)?;
        if rest[1 + name_bytes] != b'>' {
            return self.odd_open();
        }
        let inside = &rest[1..1 + name_bytes];
        let name = inside.strip_suffix(b"/").unwrap_or(inside);
        self.empty = name.len() < inside.len();
        self.enter("<>".len() + inside.len(), Name { written: name, local: name }, &[])
    }

    fn enter(&mut self, bytes: usize, name: Name<'de>, attributes: &'de [u8]) -> Result<bool> {
        if self.open.len() >= self.depth_max {
            return Err(Error::TooDeep);
        }
        if name.written.is_empty() || name.written.len() > NAME_BYTES_MAX {
            return Err(self.syntax(format!("expected {}", expected_name())));
        }
        self.at += bytes;
        self.open.push(name);
        self.attributes = attributes;
        self.closed = false;
        Ok(true)
    }

    fn leave(&mut self, bytes: usize) -> bool {
        self.at += bytes;
        self.open.pop();
        self.closed = true;
        false
    }

    /// The length of the tag that stands where the reading goes on, and what is between its ends.
    fn tag(&self) -> Result<(usize, &'de [u8])> {
        let rest = &self.all[self.at..];
        let bytes = MarkupEnd::default().find(rest).ok_or(Error::Short)?;
        Ok((bytes, &rest[1..bytes - 1]))
    }

    /// An open tag with a prefix or attributes.
    #[inline(never)]
    fn odd_open(&mut self) -> Result<bool> {
        let (bytes, inside) = self.tag()?;
        let tag = inside.strip_suffix(b"/").unwrap_or(inside);
        self.empty = tag.len() < inside.len();
        let end = tag.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'<');
        let (name, attributes) = tag.split_at(end.unwrap_or(tag.len()));
        // A `<` within the name is none.
        let name = if attributes.starts_with(b"<") { &[] } else { name };
        self.enter(bytes, Name::new(name), attributes)
    }

    /// A close tag with white space in it, or of another element than the innermost.
    #[inline(never)]
    fn odd_close(&mut self) -> Result<bool> {
        let (bytes, inside) = self.tag()?;
        let name = inside[1..].trim_ascii_end();
        let open = self.open.last().map_or(&[][..], |open| open.written);
        if name != open {
            let shown = |name: &[u8]| first_line(&to_text(&name[..name.len().min(NAME_BYTES_MAX)]));
            let why = format!("expected </{}>, found </{}>", shown(open), shown(name));
            return Err(self.syntax(why));
        }
        Ok(self.leave(bytes))
    }

    /// Elements open around the place that `next` goes on from.
    fn depth(&self) -> usize {
        match (self.again, self.closed) {
            (true, true) => self.open.len() + 1,
            (true, false) => self.open.len() - 1,
            (false, _) => self.open.len(),
        }
    }

    fn name(&self) -> &'de [u8] {
        self.open.last().map_or(&[], |name| name.local)
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
        let rest = &self.all[self.at..];
        self.at += find(rest, |word| equal(word, b'<')).ok_or(Error::Short)?;
        if let Some(b'!' | b'?') = self.all.get(self.at + 1) {
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
    fn plain_leaf(&mut self) -> Option<&'de [u8]> {
        let rest = &self.all[self.at..];
        let end = find(rest, |word| equal(word, b'<') | equal(word, b'&'))?;
        let name = self.open.last()?.written;
        let close = rest[end..].strip_prefix(b"</")?.strip_prefix(name)?;
        if !close.starts_with(b">") {
            return None;
        }
        self.leave(end + "</>".len() + name.len());
        self.text = Text::default();
        Some(rest[..end].trim_ascii())
    }

    /// The text of the innermost open element, read to its close tag; children are left out.
    #[inline(never)]
    fn leaf(&mut self) -> Result<Cow<'de, str>> {
        if !self.again
            && !self.empty
            && let Some(text) = self.plain_leaf()
        {
            return Ok(to_text(text));
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
    numbers::number(&text).ok_or_else(|| {
        let shown: String = first_line(&text).chars().take(40).collect();
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
    Attribute(&'de [u8]),
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
                return seed.deserialize(to_text(leaf).into_deserializer()).map(Some);
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
    attributes: &'de [u8],
    /// Where the last field was found: replies keep one order, so the next is likely behind it.
    last: usize,
    /// Fields that have their value, by `number_of`: a list took later ones, or the first of
    /// several counts, by whichever of its names.
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
    fn attribute(&mut self) -> Option<(&'static str, &'de [u8])> {
        while let Some(equals) = memchr::memchr(b'=', self.attributes) {
            let (name, rest) = self.attributes.split_at(equals);
            let rest = rest[1..].trim_ascii_start();
            let quote = *rest.first().filter(|byte| matches!(byte, b'"' | b'\''))?;
            let end = 1 + memchr::memchr(quote, &rest[1..])?;
            self.attributes = &rest[end + 1..];
            let name = Name::new(name.trim_ascii()).local;
            let wanted = |field: &&&str| field.as_bytes().strip_prefix(b"@") == Some(name);
            if let Some(field) = self.fields.iter().find(wanted) {
                return Some((field, &rest[1..end]));
            }
        }
        None
    }

    /// The index of the field that takes the element just opened.
    fn find(&mut self) -> Option<usize> {
        let name = self.element.name();
        let (before, after) = self.fields.split_at(self.last);
        let at = match after.iter().position(|field| field.as_bytes() == name) {
            Some(at) => self.last + at,
            None => before.iter().position(|field| field.as_bytes() == name)?,
        };
        self.last = at;
        Some(at)
    }

    /// Goes to the next field's place, and gives its name.
    #[inline(never)]
    fn next_field(&mut self) -> Result<Option<Cow<'de, str>>> {
        if let Some((field, value)) = self.attribute() {
            self.source = Source::Attribute(value);
            self.field = field;
            return Ok(Some(Cow::Borrowed(field)));
        }
        self.attributes = &[];
        while !self.end {
            if !self.element.next()? {
                self.end = true;
                let wanted = self.fields.is_empty() || self.fields.contains(&"$text");
                if wanted && !self.element.text.trimmed().is_empty() {
                    self.source = Source::Text;
                    self.field = "$text";
                    return Ok(Some(Cow::Borrowed(self.field)));
                }
                break;
            }
            self.source = Source::Child;
            if self.fields.is_empty() {
                return Ok(Some(to_text(self.element.name())));
            }
            match self.find() {
                Some(at) => {
                    self.field = self.fields[at];
                    return Ok(Some(Cow::Borrowed(self.field)));
                }
                None => self.element.skip()?,
            }
        }
        Ok(None)
    }

    /// Leaves the value of a field that has one already.
    fn pass_again(&mut self) -> Result<()> {
        if let Source::Child = self.source { self.element.skip() } else { Ok(()) }
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
        seed.deserialize(name.into_deserializer()).map(Some)
    }

    /// Passes over a field that has its value: serde would refuse the whole item for it.
    fn next_key<K: Deserialize<'de>>(&mut self) -> Result<Option<K>> {
        while let Some(name) = self.next_field()? {
            let key = K::deserialize(name.into_deserializer())?;
            if self.fields.is_empty() {
                return Ok(Some(key));
            }
            let bit = 1u128.checked_shl(number_of(&key)).unwrap_or(0);
            if self.seen & bit == 0 {
                self.seen |= bit;
                return Ok(Some(key));
            }
            self.pass_again()?;
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        match self.source {
            Source::Child => seed.deserialize(Child(self.element)),
            Source::Attribute(raw) => {
                let text = match to_text(raw) {
                    Cow::Borrowed(text) => unescape(text),
                    Cow::Owned(text) => Cow::Owned(unescape(&text).into_owned()),
                };
                seed.deserialize(Scalar(Text(text).trimmed()))
            }
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

/// The number of the field that a key stands for: serde's derived structs name their fields by an
/// enum, with one variant for all names of a field.
fn number_of<K>(key: &K) -> u32 {
    struct Number(u64);
    impl Hasher for Number {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes.iter().rev() {
                self.0 = self.0 << 8 | u64::from(*byte);
            }
        }
        fn write_isize(&mut self, number: isize) {
            self.0 = number as u64;
        }
        fn finish(&self) -> u64 {
            self.0
        }
    }
    let mut number = Number(0);
    std::mem::discriminant(key).hash(&mut number);
    u32::try_from(number.finish()).unwrap_or(u32::MAX)
}

/// A place to go back to: before the open tag that ended a run of siblings.
struct Mark<'de> {
    at: usize,
    /// How many elements are open around it, and the innermost of them, the list's parent.
    open: usize,
    parent: Name<'de>,
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
    name: &'de [u8],
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
                if !open || memmem::find(rest, self.name).is_none() {
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
        let Element { tag, open, .. } = &*self.element;
        let around = &open[..open.len() - 1];
        Mark { at: *tag, open: around.len(), parent: around.last().copied().unwrap_or_default() }
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
                    self.element.count_misfit(&to_text(self.name), &why);
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

    #[derive(Deserialize, Debug, PartialEq, Default)]
    #[serde(default)]
    struct Renamed {
        #[serde(rename = "@key")]
        key: Option<u64>,
        #[serde(alias = "older", alias = "oldest")]
        index: Option<u64>,
        #[serde(alias = "units")]
        unit: Vec<Unit>,
        last: Option<u64>,
    }

    #[test]
    fn of_two_names_of_one_element_the_first_counts() {
        let (renamed, misfits) = read::<Renamed>(
            "<r key='1' x:key='2'><older>1</older><index>2</index><oldest><x/></oldest>\
             <units><name>1</name></units><unit><name>2</name></unit><last>3</last></r>",
        );
        let expected =
            Renamed { key: Some(1), index: Some(1), unit: vec![unit("1")], last: Some(3) };
        assert_eq!((renamed, misfits), (Ok(expected), 0));
        // One that does not fit has been there too.
        let (renamed, misfits) = read::<Renamed>("<r><older>x</older><index>2</index></r>");
        assert_eq!((renamed, misfits), (Ok(Renamed::default()), 1));
    }

    #[test]
    fn numbers_are_read_as_devices_print_them() {
        #[derive(Deserialize, Debug, PartialEq)]
        struct Numbers {
            n: Option<u64>,
            d: Option<f64>,
        }
        for (n, d, expected, misfits) in [
            ("1,234,567", "-1,234.5", (Some(1_234_567), Some(-1234.5)), 0),
            ("1,23", "- Inf", (None, Some(f64::NEG_INFINITY)), 1),
            ("- Inf", "-Inf", (None, Some(f64::NEG_INFINITY)), 1),
            ("7 s", "7 s", (None, None), 2),
        ] {
            let (read, found) = read::<Numbers>(&format!("<r><n>{n}</n><d>{d}</d></r>"));
            let read = read.unwrap();
            assert_eq!(((read.n, read.d), found), (expected, misfits), "{n} {d}");
        }
    }

    #[test]
    fn a_name_has_a_limit() {
        let long = "n".repeat(NAME_BYTES_MAX);
        assert!(read::<Port>(&format!("<p><{long}/></p>")).0.is_ok());
        for tag in [format!("<{long}n/>"), format!("<x:{long}>"), format!("<{long}n a='b'/>")] {
            let wrong = read::<Port>(&format!("<p>{tag}</p>")).0;
            assert!(matches!(&wrong, Err(Error::Syntax { at: 3, .. })), "{wrong:?}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_cost_nothing_else() {
        let port =
            b"<p><\xfcber>1</\xfcber><name>Z\xfcrich &amp; \xe2\x82\xac</name><mtu>7</mtu></p>";
        let port: Port = Element::new(port, 128).read().unwrap();
        assert_eq!((port.name.as_str(), port.mtu), ("Z\u{fc}rich & \u{20ac}", Some(7)));
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
