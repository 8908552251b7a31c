//! Reads a reply for the collectors that asked for it.

use std::io::Read;

use super::Poll;
use crate::base::text::first_line;
use crate::netconf::rpc_error::{Meaning, RpcError, meaning_of};
use crate::point::Points;
use crate::xml::element::{self, Element};
use crate::xml::items::{self, Items, Limits};

/// What reading came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    pub items: u64,
    /// Items that did not fit and were left out, and the first of them with its reason.
    pub rejected: u64,
    pub first_rejected: Option<String>,
    /// Values that did not fit and left their field out, and the first of them.
    pub misfits: u64,
    pub first_misfit: Option<String>,
    pub points: u64,
    pub bytes: u64,
}

impl Tally {
    fn reject(&mut self, why: String) {
        self.rejected += 1;
        self.first_rejected.get_or_insert(why);
    }

    fn take_misfits(&mut self, element: &mut Element, points: &mut Points) {
        self.misfits += element.misfits + std::mem::take(&mut points.misfits);
        let first = element.first_misfit.take().or(points.first_misfit.take());
        self.first_misfit = self.first_misfit.take().or(first);
    }
}

/// One reader of a reply: a collector's poll, which of its queries the reply answers, and where
/// the points go.
pub struct Reader<'a> {
    pub poll: &'a mut dyn Poll,
    pub query: usize,
    pub points: &'a mut Points,
    pub tally: &'a mut Tally,
}

/// What a reply said besides items.
#[derive(Debug, Default, PartialEq)]
pub struct Reply {
    pub items: u64,
    pub errors: Vec<RpcError>,
    /// The words of an `<output>`: Junos's answer where it has no data.
    pub output: Option<String>,
    /// The first element under the envelope that was none of the above.
    pub root: Option<String>,
    /// Where an item is malformed, if one is, and what was expected there.
    malformed: Option<(u64, String)>,
}

impl Reply {
    /// Why there is no data in it, and what that means; `None` where there is, or where the
    /// router answered with an empty reply or an empty list.
    pub fn refusal(&self) -> Option<(Meaning, String)> {
        let refused = self.errors.iter().filter(|error| error.meaning() != Meaning::Warning);
        // One node of a cluster may have no data while the other has: that is no refusal.
        let refused = refused.filter(|e| self.items == 0 || e.meaning() == Meaning::Failed);
        if let Some(error) = refused.max_by_key(|e| e.meaning() == Meaning::Failed) {
            return Some((error.meaning(), error.to_string()));
        }
        let output = self.output.as_deref().filter(|_| self.items == 0)?;
        let meaning = meaning_of(output).unwrap_or(Meaning::NoData);
        Some((meaning, first_line(output)))
    }
}

/// A reply's other elements: what a router answers instead of data.
const ERRORS: &[&str] = &["rpc-error", "error", "warning", "output"];
const ERRORS_MAX: usize = 16;

/// Points are handed on when a batch has this many bytes, so that a reply of any size is read in
/// little memory.
pub const BATCH_BYTES: usize = 64 << 10;

/// Reads one reply for all that asked for it. `deliver` gets the index of a reader whose points
/// make a batch, and takes them.
pub fn read_reply(
    input: impl Read,
    readers: &mut [Reader],
    limits: &Limits,
    deliver: &mut dyn FnMut(usize, &mut Points),
) -> Result<Reply, items::Error> {
    let mut names = readers.first().map_or_else(Vec::new, |r| r.poll.items(r.query));
    let wanted = names.len();
    names.extend(ERRORS);
    let mut items = Items::new(input, &names, limits);
    let mut reply = Reply::default();
    let result = loop {
        match items.next_item() {
            Ok(Some(item)) if item < wanted => {
                let named = (item, names[item]);
                read_item_for_all(&mut items, named, readers, limits, &mut reply)?;
                for (index, reader) in readers.iter_mut().enumerate() {
                    if reader.points.bytes() >= BATCH_BYTES {
                        deliver(index, reader.points);
                    }
                }
            }
            Ok(Some(item)) => note_error(names[item], &items.text(), limits, &mut reply),
            Ok(None) => break Ok(()),
            Err(err) => break Err(err),
        }
    };
    for reader in readers {
        reader.tally.bytes += items.bytes();
    }
    reply.root = items.root().map(String::from);
    result?;
    match reply.malformed.take() {
        Some((at, expected)) => Err(items::Error::Malformed { at, expected }),
        None => Ok(reply),
    }
}

/// Gives the item that was cut to every reader whose root it stands in.
fn read_item_for_all<R: Read>(
    items: &mut Items<R>,
    (item, name): (usize, &str),
    readers: &mut [Reader],
    limits: &Limits,
    reply: &mut Reply,
) -> Result<(), items::Error> {
    let (mut first, mut taken_further) = (0, false);
    'longer: loop {
        let text = items.text();
        let scope = items.scope();
        for (index, reader) in readers.iter_mut().enumerate().skip(first) {
            let roots = reader.poll.roots(reader.query);
            if !roots.iter().any(|root| *root == name || scope.within(root)) {
                continue;
            }
            let mut element = Element::new(&text, limits.depth_max);
            reader.points.set_re_name(scope.get("re-name").unwrap_or_default());
            let before = reader.points.len();
            match reader.poll.read(reader.query, item, &mut element, scope, reader.points) {
                // Older releases answer some requests with text that a collector can read; other
                // words are an answer like any.
                Ok(()) if name == "output" && reader.points.len() == before => {
                    note_error(name, &text, limits, reply);
                }
                Ok(()) => {
                    reply.items += 1;
                    reader.tally.items += 1;
                    reader.tally.points += (reader.points.len() - before) as u64;
                }
                Err(element::Error::Short) if !taken_further => {
                    // The close tag that was found is within the item: take it to its own.
                    drop(text);
                    items.longer()?;
                    taken_further = true;
                    first = index;
                    continue 'longer;
                }
                Err(element::Error::Short) => {
                    reader.tally.rejected += 1;
                    let at = items.offset() + text.len() as u64;
                    reply.malformed.get_or_insert((at, format!("</{name}>")));
                }
                Err(element::Error::Syntax { at, why }) => {
                    // The reply has failed, and yet the items that follow may be whole.
                    reader.tally.rejected += 1;
                    let expected = why.strip_prefix("expected ").map(String::from);
                    let expected = expected.unwrap_or(format!("well-formed XML ({why})"));
                    reply.malformed.get_or_insert((items.offset() + at as u64, expected));
                }
                Err(why) => {
                    let why = format!("<{name}> at byte {}: {why}", items.offset());
                    reader.tally.reject(why);
                }
            }
            reader.tally.take_misfits(&mut element, reader.points);
        }
        return Ok(());
    }
}

fn note_error(name: &str, text: &str, limits: &Limits, reply: &mut Reply) {
    let mut element = Element::new(text, limits.depth_max);
    if name == "output" {
        let words: Result<String, _> = element.read();
        reply.output.get_or_insert(words.unwrap_or_default());
    } else if reply.errors.len() < ERRORS_MAX {
        let mut error: RpcError = element.read().unwrap_or_default();
        if name == "warning" {
            error.error_severity = name.to_string();
        }
        if error.error_message.is_empty() {
            error.error_message = Element::new(text, limits.depth_max).read().unwrap_or_default();
        }
        reply.errors.push(error);
    }
}
