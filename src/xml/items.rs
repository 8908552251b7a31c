//! Cuts a reply into its items while it arrives.
//!
//! One window over the input holds the item that is being looked at and grows to the largest one,
//! up to a limit. Between items the tags are followed, so that a reply that is cut short or mixes
//! up its tags is found out with its place, and the text of leaf elements that stand on the way
//! (`re-name`, `table-name`, an interface's `name`) is kept as the items' scope. What an item holds
//! is the business of `element`.
//!
//! No byte is examined more than a few times, whatever a router sends: what was looked through
//! before more input came is not looked through again. So between two reads of the input there is
//! never more work than for one item of `limits.item_bytes_max`, and the input keeps the deadline.

use std::borrow::Cow;
use std::io::{self, Read};

use memchr::{memchr, memchr3, memmem};

use crate::base::text::first_line;

/// How much of a router's reply is taken at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub message_bytes_max: usize,
    pub item_bytes_max: usize,
    pub depth_max: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { message_bytes_max: 512 << 20, item_bytes_max: 8 << 20, depth_max: 128 }
    }
}

/// Why a reply cannot be read any further.
#[derive(Debug)]
pub enum Error {
    /// So many bytes had come.
    Io {
        at: u64,
        err: io::Error,
    },
    /// At that byte of the reply something else was expected.
    Malformed {
        at: u64,
        expected: String,
    },
    ItemTooLarge {
        at: u64,
        limit: usize,
    },
    TooDeep {
        at: u64,
        limit: usize,
    },
    /// Whoever reads the items keeps too much of them.
    TooMuchKept {
        at: u64,
        limit: usize,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Error::Io { at, err } => write!(f, "at byte {at} of the reply: {err}"),
            Error::Malformed { at, expected } => {
                write!(f, "the reply is malformed at byte {at}: expected {expected}")
            }
            Error::ItemTooLarge { at, limit } => {
                let what = "the element at byte";
                write!(f, "{what} {at} is larger than limits.item_bytes_max ({limit} bytes)")
            }
            Error::TooDeep { at, limit } => {
                write!(f, "at byte {at} elements nest deeper than limits.depth_max ({limit})")
            }
            Error::TooMuchKept { at, limit } => {
                let what = "more has to be kept until the end of the poll than";
                write!(f, "at byte {at} of the reply {what} {limit} bytes")
            }
        }
    }
}

impl std::error::Error for Error {}

/// A longer element name is refused: names are kept while their elements are open.
pub const NAME_BYTES_MAX: usize = 1024;
/// Longer leaf texts are no names and no keys; scopes are to stay small.
const LEAF_BYTES_MAX: usize = 4096;
const LEAVES_MAX: usize = 256;
const WINDOW_BYTES: usize = 32 << 10;
/// At most this many different elements under the envelope are reported.
const ROOTS_MAX: usize = 16;

/// What stands around an item: the elements that are open, and the leaves passed in them.
#[derive(Default)]
pub struct Scope {
    /// The open elements' names as written, end to end, and where each ends.
    names: String,
    ends: Vec<usize>,
    leaves: Vec<Leaf>,
}

struct Leaf {
    depth: usize,
    name: String,
    text: String,
}

impl Scope {
    /// The text of the innermost leaf of that name passed on the way to the item.
    pub fn get(&self, name: &str) -> Option<&str> {
        let leaf = self.leaves.iter().rev().filter(|leaf| leaf.name == name);
        leaf.max_by_key(|leaf| leaf.depth).map(|leaf| leaf.text.as_str())
    }

    /// The Routing Engine that answered, as junos_exporter names it: `N/A` where no wrapper does.
    /// Only for measurements that have the tag there; others get `re_name` where it is known.
    pub fn re_name(&self) -> &str {
        self.get("re-name").unwrap_or("N/A")
    }

    /// Whether the item stands within an element of that name.
    pub fn within(&self, name: &str) -> bool {
        self.open().any(|open| open == name)
    }

    /// Local names of the open elements, outermost first.
    pub fn open(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| local(&self.names[start..*end]))
    }

    fn innermost(&self) -> &str {
        let start = self.ends.len().checked_sub(2).map_or(0, |at| self.ends[at]);
        &self.names[start..]
    }

    fn enter(&mut self, name: &str) {
        self.names.push_str(name);
        self.ends.push(self.names.len());
    }

    fn leave(&mut self) {
        let start = self.names.len() - self.innermost().len();
        self.names.truncate(start);
        self.ends.pop();
        let depth = self.ends.len();
        self.leaves.retain(|leaf| leaf.depth <= depth);
    }

    fn keep(&mut self, name: &str, text: &str) {
        let depth = self.ends.len();
        let same = |leaf: &&mut Leaf| leaf.depth == depth && leaf.name == local(name);
        if let Some(leaf) = self.leaves.iter_mut().find(same) {
            leaf.text.clear();
            leaf.text.push_str(text);
        } else if self.leaves.len() < LEAVES_MAX {
            self.leaves.push(Leaf { depth, name: local(name).into(), text: text.into() });
        }
    }
}

fn local(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, local)| local)
}

/// What stands in place of a name that is none.
pub fn expected_name() -> String {
    format!("an element's name of at most {NAME_BYTES_MAX} bytes")
}

/// Text as UTF-8. What is not is taken as Latin-1: descriptions are free text, and older
/// releases store what the operator's terminal sent.
pub fn to_text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| char::from(*byte)));
    }
    Cow::Owned(text)
}

/// Text without its references; where one is not XML's own, all stays as it is written.
pub fn unescape(text: &str) -> Cow<'_, str> {
    quick_xml::escape::unescape(text).unwrap_or(Cow::Borrowed(text))
}

/// Elements that only wrap a reply's root; `data` is that of `<get-config>`.
const ENVELOPE: &[&str] =
    &["rpc-reply", "multi-routing-engine-results", "multi-routing-engine-item", "re-name", "data"];

/// A reader of one reply that stops at each item.
pub struct Items<'n, R> {
    input: R,
    /// Local names of the elements that are items.
    names: &'n [&'n str],
    limits: Limits,
    window: Vec<u8>,
    at: usize,
    end: usize,
    /// How many bytes of the reply lie before the window.
    before: u64,
    scope: Scope,
    /// The elements that stand in nothing but wrappers.
    roots: Vec<String>,
    /// The text since the last open tag, while no other tag came: bytes, since what was read
    /// may end within a character.
    leaf: Option<Vec<u8>>,
    /// The last item: its length, and the close tag to look for.
    item_bytes: usize,
    close: Vec<u8>,
    close_finder: memmem::Finder<'static>,
}

impl<'n, R: Read> Items<'n, R> {
    pub fn new(input: R, names: &'n [&'n str], limits: &Limits) -> Items<'n, R> {
        Items {
            input,
            names,
            limits: limits.clone(),
            window: vec![0; WINDOW_BYTES.min(limits.item_bytes_max)],
            at: 0,
            end: 0,
            before: 0,
            scope: Scope::default(),
            roots: Vec::new(),
            leaf: None,
            item_bytes: 0,
            close: Vec::new(),
            close_finder: memmem::Finder::new(&[]).into_owned(),
        }
    }

    /// Goes to the next item, wherever it stands: the index of its name, or `None` at the end.
    pub fn next_item(&mut self) -> Result<Option<usize>, Error> {
        loop {
            let have = &self.window[self.at..self.end];
            let open = memchr(b'<', have).unwrap_or(have.len());
            if let Some(leaf) = &mut self.leaf {
                leaf.extend_from_slice(&have[..open]);
                if leaf.len() > LEAF_BYTES_MAX {
                    self.leaf = None;
                }
            } else if self.scope.ends.is_empty() && !have[..open].trim_ascii().is_empty() {
                return self.malformed("an element, not text");
            }
            self.at += open;
            if self.at == self.end {
                if !self.fill()? {
                    return self.finish();
                }
                continue;
            }
            let Some(tag_bytes) = self.tag()? else { continue };
            if let Some(index) = self.enter_or_leave(tag_bytes)? {
                return Ok(Some(index));
            }
        }
    }

    /// The item that `next_item` went to, both tags included.
    pub fn item(&self) -> &[u8] {
        &self.window[self.at - self.item_bytes..self.at]
    }

    /// The same as text.
    pub fn text(&self) -> Cow<'_, str> {
        to_text(self.item())
    }

    /// Local names of the elements under the envelope that were met, each once and in their order.
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Where in the reply the item starts.
    pub fn offset(&self) -> u64 {
        self.before + (self.at - self.item_bytes) as u64
    }

    /// How many bytes were read.
    pub fn bytes(&self) -> u64 {
        self.before + self.end as u64
    }

    /// Takes the item up to its own close tag: for one that nests in itself, or whose close tag was
    /// found within a comment. Its tags are followed once, however many of its name are in it.
    pub fn longer(&mut self) -> Result<(), Error> {
        self.at -= self.item_bytes;
        let (mut look, mut depth, mut of_name) = (0, 0, 0);
        let mut end = MarkupEnd::default();
        loop {
            let have = &self.window[self.at..self.end];
            look += memchr(b'<', &have[look..]).unwrap_or(have.len() - look);
            let rest = &have[look..];
            let Some(bytes) = end.find(rest) else {
                if !self.fill()? {
                    return self.never_closed();
                }
                continue;
            };
            end = MarkupEnd::default();
            look += bytes;
            let name = &self.close[2..];
            match &rest[1..bytes - 1] {
                [b'!' | b'?', ..] => {}
                [b'/', close @ ..] => {
                    depth -= 1;
                    of_name -= i32::from(close.trim_ascii_end() == name);
                }
                [.., b'/'] => {}
                tag => {
                    depth += 1;
                    let opened = tag.split(u8::is_ascii_whitespace).next();
                    of_name += i32::from(opened == Some(name));
                }
            }
            // They differ only where tags are mixed up, which is then found out where they are.
            if depth == 0 || of_name == 0 {
                self.item_bytes = look;
                self.at += look;
                return Ok(());
            }
        }
    }

    fn malformed<T>(&self, expected: impl Into<String>) -> Result<T, Error> {
        Err(Error::Malformed { at: self.before + self.at as u64, expected: expected.into() })
    }

    /// The item's close tag is not in the reply.
    fn never_closed<T>(&mut self) -> Result<T, Error> {
        self.at = self.end;
        let close = first_line(&to_text(&self.close));
        self.malformed(format!("{close}>, and the reply ended"))
    }

    fn finish(&self) -> Result<Option<usize>, Error> {
        if self.scope.ends.is_empty() {
            return Ok(None);
        }
        let open = first_line(self.scope.innermost());
        self.malformed(format!("</{open}>, and the reply ended"))
    }

    /// More input behind what is there; false at its end.
    fn fill(&mut self) -> Result<bool, Error> {
        if self.at > 0 && self.end == self.window.len() {
            self.window.copy_within(self.at..self.end, 0);
            self.before += self.at as u64;
            self.end -= self.at;
            self.at = 0;
        }
        if self.end == self.window.len() {
            let limit = self.limits.item_bytes_max;
            if self.end >= limit {
                return Err(Error::ItemTooLarge { at: self.before + self.at as u64, limit });
            }
            self.window.resize((self.end * 2).min(limit), 0);
        }
        loop {
            match self.input.read(&mut self.window[self.end..]) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(Error::Io { at: self.bytes(), err }),
                Ok(bytes) => {
                    self.end += bytes;
                    return Ok(bytes > 0);
                }
            }
        }
    }

    /// The length of the tag that stands at `at`; comments and the like are passed over.
    fn tag(&mut self) -> Result<Option<usize>, Error> {
        let mut end = MarkupEnd::default();
        let bytes = loop {
            if let Some(bytes) = end.find(&self.window[self.at..self.end]) {
                break bytes;
            }
            if !self.fill()? {
                return self.malformed("the end of a tag");
            }
        };
        let markup = &self.window[self.at..self.at + bytes];
        if !is_aside(markup) {
            return Ok(Some(bytes));
        }
        if is_declaration(markup) {
            return self.malformed(NO_DECLARATION);
        }
        if let Some(leaf) = &mut self.leaf {
            let text = markup.strip_prefix(CDATA_OPEN).and_then(|text| text.strip_suffix(b"]]>"));
            let text = text.unwrap_or_default();
            if leaf.len() + text.len() > LEAF_BYTES_MAX {
                self.leaf = None;
            } else {
                // The leaf's text is unescaped when it is complete.
                for byte in text {
                    leaf.extend_from_slice(if *byte == b'&' {
                        b"&amp;"
                    } else {
                        std::slice::from_ref(byte)
                    });
                }
            }
        }
        self.at += bytes;
        Ok(None)
    }

    /// Follows the tag of that length; an item's index if it opens one, which is then read whole.
    fn enter_or_leave(&mut self, tag_bytes: usize) -> Result<Option<usize>, Error> {
        let tag = &self.window[self.at + 1..self.at + tag_bytes - 1];
        if let Some(name) = tag.strip_prefix(b"/") {
            return self.leave(tag_bytes, to_text(shortest(name.trim_ascii_end())).into_owned());
        }
        let (tag, empty) = tag.strip_suffix(b"/").map_or((tag, false), |tag| (tag, true));
        let end = tag.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'<');
        let (name, rest) = tag.split_at(end.unwrap_or(tag.len()));
        if name.is_empty() || name.len() > NAME_BYTES_MAX || rest.starts_with(b"<") {
            return self.malformed(expected_name());
        }
        let name = to_text(name).into_owned();
        self.leaf = None;
        let item = self.names.iter().position(|wanted| *wanted == local(&name));
        self.note_root(&name);
        if item.is_some() {
            self.item_bytes = tag_bytes;
            if !empty {
                self.look_for(&name);
                self.item_bytes = self.close_tag(tag_bytes)?;
            }
            self.at += self.item_bytes;
            return Ok(item);
        }
        if !empty {
            if self.scope.ends.len() >= self.limits.depth_max {
                let at = self.before + self.at as u64;
                return Err(Error::TooDeep { at, limit: self.limits.depth_max });
            }
            self.scope.enter(&name);
            self.leaf = Some(Vec::new());
        }
        self.at += tag_bytes;
        Ok(None)
    }

    fn leave(&mut self, tag_bytes: usize, name: String) -> Result<Option<usize>, Error> {
        if name != self.scope.innermost() || self.scope.ends.is_empty() {
            let open = first_line(self.scope.innermost());
            return self.malformed(format!("</{open}>, found </{}>", first_line(&name)));
        }
        self.scope.leave();
        if let Some(text) = self.leaf.take() {
            self.scope.keep(&name, unescape(&to_text(&text)).trim_ascii());
        }
        self.at += tag_bytes;
        Ok(None)
    }

    /// Remembers an element that stands in nothing but wrappers and is none.
    fn note_root(&mut self, name: &str) {
        let name = local(name);
        let is_wrapper = |name: &str| ENVELOPE.contains(&name);
        let is_new = !is_wrapper(name) && !self.roots.iter().any(|root| root == name);
        if is_new && self.roots.len() < ROOTS_MAX && self.scope.open().all(is_wrapper) {
            self.roots.push(first_line(name));
        }
    }

    fn look_for(&mut self, name: &str) {
        if self.close.get(2..) != Some(name.as_bytes()) {
            self.close = [b"</", name.as_bytes()].concat();
            self.close_finder = memmem::Finder::new(&self.close).into_owned();
        }
    }

    /// The length of the item that starts at `at`, its close tag searched from `look` on.
    fn close_tag(&mut self, mut look: usize) -> Result<usize, Error> {
        // Whether `look` stands behind the name of a close tag.
        let mut named = false;
        loop {
            let have = &self.window[self.at..self.end];
            if named {
                look = have.len() - have[look..].trim_ascii_start().len();
                match have.get(look) {
                    Some(b'>') => return Ok(look + 1),
                    // Another name that begins with this one.
                    Some(_) => {
                        named = false;
                        continue;
                    }
                    None => {}
                }
            } else if let Some(found) = self.close_finder.find(&have[look..]) {
                look += found + self.close.len();
                named = true;
                continue;
            } else {
                look = look.max(have.len().saturating_sub(self.close.len()));
            }
            if !self.fill()? {
                return self.never_closed();
            }
        }
    }
}

pub const CDATA_OPEN: &[u8] = b"<![CDATA[";

/// A comment, a CDATA section or an instruction, not a tag.
fn is_aside(markup: &[u8]) -> bool {
    matches!(markup.get(1), Some(b'!' | b'?'))
}

/// A document type declaration, which NETCONF forbids (RFC 6241 section 3).
pub fn is_declaration(markup: &[u8]) -> bool {
    // What is cut short may become a comment or CDATA.
    let may_be = |open: &[u8]| markup.starts_with(open) || open.starts_with(markup);
    markup.starts_with(b"<!") && !may_be(b"<!--") && !may_be(CDATA_OPEN)
}

pub const NO_DECLARATION: &str = "no document type declaration";

/// Enough of a name to say what it is.
fn shortest(name: &[u8]) -> &[u8] {
    &name[..name.len().min(NAME_BYTES_MAX)]
}

/// The search for the end of a tag or an aside, which goes on where it was when more has come.
#[derive(Default)]
pub struct MarkupEnd {
    look: usize,
    /// The quotes of an attribute in which `look` stands.
    quote: Option<u8>,
}

impl MarkupEnd {
    /// The length of the markup at the start of `bytes`, which are those of the last call and more.
    pub fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        if is_aside(bytes) { self.find_aside(bytes) } else { self.find_tag(bytes) }
    }

    /// A `>` may stand in an attribute's quotes.
    fn find_tag(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            let rest = bytes.get(self.look..)?;
            let found = match self.quote {
                Some(quote) => memchr(quote, rest),
                None => memchr3(b'>', b'"', b'\'', rest),
            };
            let Some(found) = found else {
                self.look = bytes.len();
                return None;
            };
            self.look += found + 1;
            match (self.quote, rest[found]) {
                (Some(_), _) => self.quote = None,
                (None, b'>') => return Some(self.look),
                (None, quote) => self.quote = Some(quote),
            }
        }
    }

    fn find_aside(&mut self, bytes: &[u8]) -> Option<usize> {
        let (open, close) = if bytes.starts_with(b"<!--") {
            (4, &b"-->"[..])
        } else if bytes.starts_with(CDATA_OPEN) {
            (9, &b"]]>"[..])
        } else if b"<!--".starts_with(bytes) || CDATA_OPEN.starts_with(bytes) {
            return None;
        } else if bytes.starts_with(b"<?") {
            (2, &b"?>"[..])
        } else {
            (2, &b">"[..])
        };
        let from = self.look.max(open);
        match memmem::find(&bytes[from..], close) {
            Some(at) => Some(from + at + close.len()),
            None => {
                self.look = from.max(bytes.len() - (close.len() - 1));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes one at a time: every boundary is met.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let bytes = self.0.len().min(1).min(into.len());
            into[..bytes].copy_from_slice(&self.0[..bytes]);
            self.0 = &self.0[bytes..];
            Ok(bytes)
        }
    }

    fn cut(reply: &str, names: &[&str]) -> Result<Vec<String>, Error> {
        let mut items = Items::new(Drip(reply.as_bytes()), names, &Limits::default());
        let mut found = Vec::new();
        while items.next_item()?.is_some() {
            let re_name = items.scope().get("re-name").unwrap_or("-").to_string();
            found.push(format!("{re_name} {}", items.text()));
        }
        Ok(found)
    }

    fn malformed(reply: &str) -> (u64, String) {
        match cut(reply, &["i"]) {
            Err(Error::Malformed { at, expected }) => (at, expected),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn items_and_their_scope() {
        let reply = "<?xml version='1.0'?><r><m a='>'><re-name>\nnode0\n</re-name><i>1</i ></m>\
                     <!-- <i>no</i> --><m><re-name><![CDATA[node]]>1</re-name><x><n:i/></x></m>\
                     <i>2</i><ii>3</ii></r>";
        let expected = ["node0 <i>1</i >", "node1 <n:i/>", "- <i>2</i>"];
        assert_eq!(cut(reply, &["i"]).unwrap(), expected);
    }

    #[test]
    fn a_name_that_begins_like_the_items_does_not_end_it() {
        let reply = "<r><i><ii>1</ii></i><i>2</i></r>";
        assert_eq!(cut(reply, &["i"]).unwrap(), ["- <i><ii>1</ii></i>", "- <i>2</i>"]);
    }

    #[test]
    fn an_item_within_itself_is_taken_further() {
        let reply = b"<r><i><i>1</i></i></r>";
        let mut items = Items::new(&reply[..], &["i"], &Limits::default());
        items.next_item().unwrap();
        assert_eq!(items.text(), "<i><i>1</i>");
        items.longer().unwrap();
        assert_eq!(items.text(), "<i><i>1</i></i>");
        assert_eq!(items.offset(), 3);
        assert_eq!(items.next_item().unwrap(), None);
    }

    #[test]
    fn an_item_is_taken_to_its_own_close_tag_at_once() {
        for (item, rest) in [
            ("<i><!-- </i> --><!--</i>--><i a='</i>'/><i>1</i ><i>2</i></i >", ""),
            ("<i><i>1</i><![CDATA[</i>]]><?x </i>?><ii></ii></i>", ""),
            // What closes something else ends it too: the mixed-up tag is found where it is.
            ("<i><i>1</i></x>", "<i>2</i>"),
        ] {
            let reply = format!("<r>{item}{rest}<i>3</i></r>");
            let mut items = Items::new(Drip(reply.as_bytes()), &["i"], &Limits::default());
            items.next_item().unwrap();
            items.longer().unwrap();
            assert_eq!(items.text(), item);
        }
        let endless = b"<r><i><!-- </i> --><i></i>";
        let mut items = Items::new(&endless[..], &["i"], &Limits::default());
        items.next_item().unwrap();
        let err = items.longer().unwrap_err().to_string();
        assert!(err.ends_with("at byte 26: expected </i>, and the reply ended"), "{err}");
    }

    #[test]
    fn a_reply_that_is_cut_short_or_mixed_up_says_where() {
        assert_eq!(malformed("<r><a>x</a>"), (11, "</r>, and the reply ended".into()));
        assert_eq!(malformed("<r><i>x</i"), (10, "</i>, and the reply ended".into()));
        assert_eq!(malformed("<r><a></r>"), (6, "</a>, found </r>".into()));
        assert_eq!(malformed("<r></r></r>"), (7, "</>, found </r>".into()));
        assert_eq!(malformed("error: syntax error"), (0, "an element, not text".into()));
        assert_eq!(malformed("<r>a < b</r>"), (5, expected_name()));
        assert_eq!(malformed("<r><a b='"), (3, "the end of a tag".into()));
    }

    #[test]
    fn the_names_of_a_reply_forge_no_log_line() {
        let (_, expected) = malformed("<r><\u{1b}[2Ja></\u{1b}[2Jb></r>");
        assert_eq!(expected, r"</\u{1b}[2Ja>, found </\u{1b}[2Jb>");
        let deep = format!("<r><{}>", "n".repeat(NAME_BYTES_MAX));
        let (_, expected) = malformed(&deep);
        assert!(expected.len() < 600, "{expected}");
    }

    #[test]
    fn long_names_hold_no_memory() {
        let long = format!("<r><{}>", "n".repeat(NAME_BYTES_MAX + 1));
        assert_eq!(malformed(&long), (3, expected_name()));
        let mut items = Items::new(long.as_bytes(), &["i"], &Limits::default());
        assert!(items.next_item().is_err());
        assert_eq!(items.roots(), ["r"]);
        assert!(items.scope.names.len() <= NAME_BYTES_MAX);
    }

    #[test]
    fn the_elements_under_the_envelope_are_told() {
        let reply = "<rpc-reply><multi-routing-engine-results><multi-routing-engine-item>\
                     <re-name>a</re-name><x:list><i><b/></i><c/></x:list>\
                     </multi-routing-engine-item><multi-routing-engine-item><list/><i/>\
                     </multi-routing-engine-item></multi-routing-engine-results></rpc-reply>";
        let mut items = Items::new(reply.as_bytes(), &["i"], &Limits::default());
        while items.next_item().unwrap().is_some() {}
        assert_eq!(items.roots(), ["list", "i"]);
    }

    #[test]
    fn limits_are_kept_and_named() {
        let limits = Limits { item_bytes_max: 64, depth_max: 3, ..Limits::default() };
        let long = format!("<r><i>{}</i></r>", "x".repeat(100));
        let err = Items::new(long.as_bytes(), &["i"], &limits).next_item().unwrap_err();
        assert!(err.to_string().contains("limits.item_bytes_max (64 bytes)"), "{err}");
        let deep = "<a>".repeat(4);
        let err = Items::new(deep.as_bytes(), &["i"], &limits).next_item().unwrap_err();
        assert!(err.to_string().contains("limits.depth_max (3)"), "{err}");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_latin1() {
        assert_eq!(to_text(b"Z\xfcrich \xe2\x82\xac"), "Zürich €");
    }
}
