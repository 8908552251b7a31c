//! One Junos element: its tags and texts, and serde's view of them (`values`).
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

mod values;

use std::borrow::Cow;

use serde::de::{self, Deserialize};

use self::values::Child;

use crate::base::bytes::{below, equal, find};
use crate::base::text::first_line;
use crate::xml::items::{
    CDATA_OPEN, MarkupEnd, NAME_BYTES_MAX, NO_DECLARATION, expected_name, is_declaration, to_text,
    unescape,
};

/// The attributes of an open tag; the rest is left out from where one is not well formed.
pub struct Attributes<'de>(&'de [u8]);

impl<'de> Iterator for Attributes<'de> {
    type Item = (&'de [u8], RawValue<'de>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, rest) = self.0.split_at(memchr::memchr(b'=', self.0)?);
        let rest = rest[1..].trim_ascii_start();
        let quote = *rest.first().filter(|byte| matches!(byte, b'"' | b'\''))?;
        let end = 1 + memchr::memchr(quote, &rest[1..])?;
        self.0 = &rest[end + 1..];
        Some((Name::new(name.trim_ascii()).local, RawValue(&rest[1..end])))
    }
}

/// An attribute's value as it is written.
#[derive(Clone, Copy)]
pub struct RawValue<'de>(&'de [u8]);

impl<'de> RawValue<'de> {
    pub fn text(self) -> Cow<'de, str> {
        let text = match to_text(self.0) {
            Cow::Borrowed(text) => unescape(text),
            Cow::Owned(text) => Cow::Owned(unescape(&text).into_owned()),
        };
        Text(text).trimmed()
    }
}

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
    /// More than `LISTED_MAX`.
    TooMany,
}

type Result<T> = std::result::Result<T, Error>;

/// So many elements of lists may be in one item: each becomes a struct, which takes much more
/// memory than a short element takes in the reply.
const LISTED_MAX: usize = 16 << 10;

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Error::Value(why) => f.write_str(why),
            Error::Syntax { at, why } => write!(f, "not well-formed at its byte {at}: {why}"),
            Error::Short => f.write_str("the text ends within the element"),
            Error::TooDeep => f.write_str("elements nest deeper than limits.depth_max"),
            Error::TooMany => write!(f, "more than {LISTED_MAX} elements in its lists"),
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
    /// Elements of lists that were read.
    listed: usize,
    /// The tag that was read last: its attributes if it opened an element, and the text before it.
    closed: bool,
    attributes: &'de [u8],
    text: Text<'de>,
    /// `next_tag` gives the last tag once more.
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

/// What must be found, or the text ends too early. An error that is not needed is not made: this is
/// asked of every tag.
fn needed<T>(found: Option<T>) -> Result<T> {
    match found {
        Some(found) => Ok(found),
        None => Err(Error::Short),
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

/// A tag that is a plain name ends at the first of these, and at its `>`: no name has white space,
/// quotes or what else stands before the apostrophe.
const fn end_of_name(word: u64) -> u64 {
    below(word, b'\'' + 1) | equal(word, b'<') | equal(word, b'>') | equal(word, b':')
}

/// `strip_prefix`, which in a program built for size would be a call for each tag.
#[inline(always)]
fn behind<'a>(bytes: &'a [u8], first: &[u8]) -> Option<&'a [u8]> {
    bytes.starts_with(first).then(|| &bytes[first.len()..])
}

/// The length of a leaf without attributes or a prefix, and of the white space before it, if that
/// is what stands here.
fn plain_leaf_bytes(all: &[u8]) -> Option<usize> {
    let inside = behind(all.trim_ascii_start(), b"<")?;
    if inside.starts_with(b"/") {
        return None;
    }
    let name_bytes =
        find(inside, end_of_name).filter(|bytes| (1..=NAME_BYTES_MAX).contains(bytes))?;
    let name = &inside[..name_bytes];
    let text = behind(&inside[name_bytes..], b">")?;
    if name.ends_with(b"/") {
        return Some(all.len() - text.len());
    }
    let close = &text[find(text, |word| equal(word, b'<'))?..];
    let rest = behind(behind(behind(close, b"</")?, name)?, b">")?;
    Some(all.len() - rest.len())
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
            listed: 0,
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
        self.next_tag()?;
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
    pub fn next_tag(&mut self) -> Result<bool> {
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
                let bytes = needed(MarkupEnd::default().find(rest))?;
                if let Some(text) = rest[..bytes].strip_prefix(CDATA_OPEN) {
                    self.text.push(to_text(&text[..text.len() - "]]>".len()]));
                }
                bytes
            } else {
                needed(find(rest, |word| equal(word, b'<')))?
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
        if let Some(close) = behind(rest, b"</") {
            let open = self.open.last().map_or(&[][..], |open| open.written);
            let plain = behind(close, open).is_some_and(|rest| rest.starts_with(b">"));
            return if plain { Ok(self.leave("</>".len() + open.len())) } else { self.odd_close() };
        }
        let name_bytes = needed(find(&rest[1..], end_of_name))?;
        if rest[1 + name_bytes] != b'>' {
            return self.odd_open();
        }
        let inside = &rest[1..1 + name_bytes];
        let name = inside.strip_suffix(b"/").unwrap_or(inside);
        self.empty = name.len() < inside.len();
        self.enter("<>".len() + inside.len(), Name { written: name, local: name }, &[])
    }

    #[inline(always)]
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

    #[inline(always)]
    fn leave(&mut self, bytes: usize) -> bool {
        self.at += bytes;
        self.open.pop();
        self.closed = true;
        false
    }

    /// The length of the tag that stands where the reading goes on, and what is between its ends.
    fn tag(&self) -> Result<(usize, &'de [u8])> {
        let rest = &self.all[self.at..];
        let bytes = needed(MarkupEnd::default().find(rest))?;
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

    /// Elements open around the place that `next_tag` goes on from.
    #[inline(always)]
    fn depth(&self) -> usize {
        match (self.again, self.closed) {
            (true, true) => self.open.len() + 1,
            (true, false) => self.open.len() - 1,
            (false, _) => self.open.len(),
        }
    }

    /// The local name of the innermost open element.
    pub fn name(&self) -> &'de [u8] {
        self.open.last().map_or(&[], |name| name.local)
    }

    /// Goes on behind the close tag of the innermost open element, following the tags within.
    pub fn skip(&mut self) -> Result<()> {
        let depth = self.depth();
        while self.depth() >= depth {
            self.pass_leaves();
            self.pass_tag()?;
        }
        Ok(())
    }

    /// Passes over the leaves that stand plainly where the reading goes on, one behind the other:
    /// most of an element that is passed over are such.
    fn pass_leaves(&mut self) {
        if self.again || self.empty || self.open.len() >= self.depth_max {
            return;
        }
        while let Some(bytes) = plain_leaf_bytes(&self.all[self.at..]) {
            self.at += bytes;
        }
    }

    /// Reads up to and with the next tag as `next_tag` does, but leaves the text before it unread,
    /// and with an open tag takes a leaf's plain text and close tag.
    fn pass_tag(&mut self) -> Result<()> {
        if self.again || self.empty {
            return self.next_tag().map(drop);
        }
        self.text = Text::default();
        let rest = &self.all[self.at..];
        self.at += needed(find(rest, |word| equal(word, b'<')))?;
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
        let close = behind(behind(&rest[end..], b"</")?, name)?;
        if !close.starts_with(b">") {
            return None;
        }
        self.leave(end + "</>".len() + name.len());
        self.text = Text::default();
        Some(rest[..end].trim_ascii())
    }

    /// The text of the innermost open element, read to its close tag; children are left out.
    #[inline(never)]
    pub fn leaf(&mut self) -> Result<Cow<'de, str>> {
        if !self.again
            && !self.empty
            && let Some(text) = self.plain_leaf()
        {
            return Ok(to_text(text));
        }
        if !self.next_tag()? {
            return Ok(self.text.trimmed());
        }
        let mut all = self.text.clone();
        loop {
            self.skip()?;
            let open = self.next_tag()?;
            all.push(self.text.0.clone());
            if !open {
                return Ok(all.trimmed());
            }
        }
    }

    /// The text between the tag that was read last and the one before it.
    pub fn text(&self) -> Cow<'de, str> {
        self.text.trimmed()
    }

    /// The attributes of the element that was just opened: local names, and values.
    pub fn attributes(&self) -> Attributes<'de> {
        Attributes(self.attributes)
    }

    fn count_misfit(&mut self, field: &str, why: &Error) {
        self.misfits += 1;
        if self.first_misfit.is_none() {
            self.first_misfit = Some(format!("{field}: {why}"));
        }
    }
}
