//! Reads a reply for the collectors that asked for it.

use std::io::Read;

use super::outcome::Outcome;
use super::{Poll, kept};
use crate::base::text::{first_line, shortened};
use crate::netconf::rpc_error::{Meaning, RpcError, meaning_of};
use crate::point::Points;
use crate::xml::element::{self, Element};
use crate::xml::items::{self, Items, Limits, Scope};
use crate::xml::misfits;
use crate::xml::shapes::Leaves;

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

    /// Takes the counts of what was left out when an item was read.
    fn take_misfits(&mut self, element: &mut Element) {
        self.misfits += element.misfits;
        self.first_misfit = self.first_misfit.take().or(element.first_misfit.take());
    }

    /// Takes the counts of what was left out when points were made.
    pub fn take_left_out(&mut self, points: &mut Points) {
        let leaves = misfits::take();
        self.misfits += leaves.count + std::mem::take(&mut points.misfits);
        let first = leaves.first.or(points.first_misfit.take());
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

/// What a reply said, besides the points that its items gave.
#[derive(Debug, Default, PartialEq)]
pub struct Reply {
    pub items: u64,
    /// The first errors, without warnings; and the first warnings.
    pub errors: Vec<RpcError>,
    pub warnings: Vec<RpcError>,
    /// The words of an `<output>`: Junos's answer where it has no data.
    pub output: Option<String>,
    /// The CLI's banner says that this is a backup Routing Engine.
    pub is_backup: bool,
    /// Local names of the elements under the envelope, in their order: the reply's roots, and what
    /// stands in their place.
    pub roots: Vec<String>,
    /// Where an item is malformed, if one is, and what was expected there.
    malformed: Option<(u64, String)>,
}

impl Reply {
    /// What the reply comes to for a query with these roots. `is_backup` says that it is from a
    /// backup Routing Engine.
    pub fn outcome(&self, roots: &[&str], is_backup: bool) -> Outcome {
        if let Some((meaning, why)) = self.refusal() {
            return Outcome::of(meaning, why, is_backup || self.is_backup);
        }
        match self.first_root() {
            None if self.items == 0 => Outcome::NoData("an empty reply".into()),
            Some(root) if self.items == 0 && !self.has_root(roots) => {
                let expected = roots.join("> or <");
                Outcome::Failed(format!("<{root}> is not its reply, which is <{expected}>"))
            }
            _ => Outcome::Data,
        }
    }

    /// Whether the router answered a query with these roots, if only with an empty list or in words
    /// that say so: what is counted in it was counted.
    pub fn answers(&self, roots: &[&str]) -> bool {
        let is_empty = || self.refusal().is_some_and(|(meaning, _)| meaning == Meaning::Empty);
        self.items > 0 || self.has_root(roots) || is_empty()
    }

    /// Whether it depends on who answered what the reply comes to: a daemon does not run.
    pub fn depends_on_mastership(&self) -> bool {
        !self.is_backup && matches!(self.refusal(), Some((Meaning::NotRunning, _)))
    }

    /// Why there is no data in it, and what that means; `None` where there is, or where the
    /// router answered with an empty reply or an empty list.
    pub fn refusal(&self) -> Option<(Meaning, String)> {
        // One node of a cluster may have no data, or fewer daemons, while the other has data, or an
        // empty list: that is no refusal.
        let is_one_of_several =
            |error: &&RpcError| !error.re_name.is_empty() && self.first_root().is_some();
        let refused = self.errors.iter().filter(|error| match error.meaning() {
            Meaning::NotRunning if is_one_of_several(error) => false,
            meaning if self.items > 0 || is_one_of_several(error) => meaning.is_failure(),
            _ => true,
        });
        // Of several that say as much, the first.
        if let Some(error) = refused.rev().max_by_key(|e| e.meaning()) {
            return Some((error.meaning(), error.to_string()));
        }
        if self.items > 0 {
            return None;
        }
        if let Some(output) = &self.output {
            return Some((meaning_of(output).unwrap_or(Meaning::Failed), first_line(output)));
        }
        // A warning beside an empty list hides nothing; alone, it says why there is no data.
        let alone = self.first_root().is_none();
        let denies =
            |warning: &&RpcError| meaning_of(&warning.error_message) == Some(Meaning::Denied);
        if let Some(denied) = self.warnings.iter().find(denies).filter(|_| alone) {
            return Some((Meaning::Denied, denied.to_string()));
        }
        let warning = self.warnings.first().filter(|_| alone)?;
        Some((Meaning::NoData, warning.to_string()))
    }

    fn is_without_failure(&self) -> bool {
        self.refusal().is_none_or(|(meaning, _)| !meaning.is_failure())
    }

    /// Whether one of these elements was seen: the router answered the query, if only with an
    /// empty list.
    pub fn has_root(&self, roots: &[&str]) -> bool {
        self.roots.iter().any(|root| roots.contains(&root.as_str()))
    }

    /// The first element under the envelope that is no error, no warning and no words.
    pub fn first_root(&self) -> Option<&str> {
        self.roots.iter().map(String::as_str).find(|root| !ANSWERS.contains(root))
    }
}

/// What the CLI's banner says of an engine or a member that is not the master.
const NOT_MASTERS: &[&str] = &["backup", "secondary", "linecard"];
/// A reply's other elements: what a router answers instead of data, and what its CLI adds.
const ANSWERS: &[&str] = &["rpc-error", "error", "warning", "output", "cli"];
/// So many errors, and so many warnings, are kept.
const ERRORS_MAX: usize = 16;
/// So many empty lists wait for the reply's end.
const EMPTY_LISTS_MAX: usize = 64;
/// So much is kept of the words of one.
const ERROR_TEXT_BYTES_MAX: usize = 512;

/// Points are emitted when a batch has this many bytes, so that a reply of any size is read in
/// little memory.
pub const BATCH_BYTES: usize = 64 << 10;

/// Reads one reply for all that asked for it, who cut the same items. `deliver` gets the index of
/// a reader whose points make a batch, and takes them.
pub fn read_reply(
    input: impl Read,
    readers: &mut [Reader],
    limits: &Limits,
    deliver: &mut dyn FnMut(usize, &mut Points),
) -> Result<Reply, items::Error> {
    let mut names = readers.first().map_or_else(Vec::new, |r| r.poll.items(r.query));
    let wanted = names.len();
    debug_assert!(readers.iter().all(|reader| reader.poll.items(reader.query) == names));
    names.extend(ANSWERS);
    let mut items = Items::new(input, &names, limits);
    let mut reply = Reply::default();
    let mut empty = Vec::new();
    let result = loop {
        match items.next_item() {
            Ok(Some(item)) if item < wanted => {
                let named = (item, names[item]);
                let is_root = |reader: &Reader| {
                    reader.poll.roots(reader.query).contains(&names[item])
                        && names[item] != "output"
                };
                if readers.iter().any(is_root) {
                    if fails_within(&items, limits, &mut reply) {
                        continue;
                    }
                    if is_empty_list(items.item()) && empty.len() < EMPTY_LISTS_MAX {
                        empty.push(alone(&items));
                        continue;
                    }
                }
                read_item_for_all(&mut items, named, readers, limits, &mut reply)?;
                for (index, reader) in readers.iter_mut().enumerate() {
                    if reader.points.bytes() >= BATCH_BYTES {
                        deliver(index, reader.points);
                    }
                }
            }
            Ok(Some(item)) => {
                note_answer(names[item], items.item(), items.scope(), limits, &mut reply);
            }
            Ok(None) => break Ok(()),
            Err(err) => break Err(err),
        }
    };
    for reader in readers.iter_mut() {
        reader.tally.bytes += items.bytes();
    }
    reply.roots = items.roots().to_vec();
    result?;
    for list in &empty {
        if !reply.is_without_failure() {
            break;
        }
        let mut items = Items::new(&list[..], &names, limits);
        while let Some(item) = items.next_item()? {
            read_item_for_all(&mut items, (item, names[item]), readers, limits, &mut reply)?;
        }
    }
    match reply.malformed.take() {
        Some((at, expected)) => Err(items::Error::Malformed { at, expected }),
        None => Ok(reply),
    }
}

/// Whether a failure stands within a root that is an item itself: what would be counted in it was
/// not counted. What the errors and warnings in it say is noted.
fn fails_within<R: Read>(items: &Items<R>, limits: &Limits, reply: &mut Reply) -> bool {
    let text = items.item();
    if [&b"error>"[..], b"output>"].iter().all(|tag| memchr::memmem::find(text, tag).is_none()) {
        return false;
    }
    let names = ["rpc-error", "error", "output"];
    let mut within = Items::new(text, &names, limits);
    let errors = reply.errors.len();
    while let Ok(Some(item)) = within.next_item() {
        let text = within.item();
        if names[item] == "output" {
            let words: String = Element::new(text, limits.depth_max).read().unwrap_or_default();
            if begins(&words, "error:") {
                note_words(words, items.scope(), reply);
            }
        } else if text.starts_with(b"<rpc-error") || text.starts_with(b"<xnm:error") {
            note_answer(names[item], text, items.scope(), limits, reply);
        }
    }
    reply.errors[errors..].iter().any(|error| error.meaning().is_failure())
}

/// An empty list that is read as one item. What is counted in it counts only if no failure is
/// told beside it, so that it is read when the reply is at its end.
fn is_empty_list(text: &[u8]) -> bool {
    let Some(end) = memchr::memchr(b'>', text) else { return false };
    let rest = text[end + 1..].trim_ascii();
    rest.is_empty() || rest.starts_with(b"</")
}

/// The list alone, in what says whose it is.
fn alone<R: Read>(items: &Items<R>) -> Vec<u8> {
    let re_name = items.scope().get("re-name");
    let re_name =
        re_name.map(|name| format!("<re-name>{}</re-name>", quick_xml::escape::escape(name)));
    [b"<item>", re_name.unwrap_or_default().as_bytes(), items.item(), b"</item>"].concat()
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
        for (index, reader) in readers.iter_mut().enumerate().skip(first) {
            let roots = reader.poll.roots(reader.query);
            if !roots.iter().any(|root| *root == name || items.scope().within(root)) {
                continue;
            }
            // All that reading takes for a moment is given back in here.
            let is_short = kept::counted(|| {
                read_item(items, (item, name), reader, limits, reply, taken_further)
            });
            if kept::is_too_much() {
                let (at, limit) = (items.offset(), kept::BYTES_MAX);
                return Err(items::Error::TooMuchKept { at, limit });
            }
            if is_short {
                // The close tag that was found is within the item: take it to its own.
                items.longer()?;
                taken_further = true;
                first = index;
                continue 'longer;
            }
        }
        return Ok(());
    }
}

/// Gives it to one reader; whether its text ends too early, and is worth taking further.
fn read_item<R: Read>(
    items: &Items<R>,
    (item, name): (usize, &str),
    reader: &mut Reader,
    limits: &Limits,
    reply: &mut Reply,
    taken_further: bool,
) -> bool {
    let (text, scope) = (items.item(), items.scope());
    let mut element = Element::new(text, limits.depth_max);
    reader.points.set_re_name(scope.get("re-name").unwrap_or_default());
    let before = reader.points.len();
    reader.points.query = reader.query;
    match reader.poll.read(reader.query, item, &mut element, scope, reader.points) {
        Ok(()) => {
            reply.items += 1;
            reader.tally.items += 1;
            reader.tally.points += (reader.points.len() - before) as u64;
        }
        Err(element::Error::Short) if !taken_further => return true,
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
        // Words that a collector cannot read are an answer like any.
        Err(element::Error::Value(_)) if name == "output" => {
            note_answer(name, text, scope, limits, reply);
        }
        Err(why) => {
            let why = format!("<{name}> at byte {}: {why}", items.offset());
            reader.tally.reject(why);
        }
    }
    reader.tally.take_misfits(&mut element);
    reader.tally.take_left_out(reader.points);
    false
}

fn note_answer(name: &str, text: &[u8], scope: &Scope, limits: &Limits, reply: &mut Reply) {
    let mut element = Element::new(text, limits.depth_max);
    if name == "cli" {
        let banner = element.read::<Leaves>().unwrap_or_default();
        let words = banner.text("banner").unwrap_or_default().to_ascii_lowercase();
        reply.is_backup |= NOT_MASTERS.iter().any(|role| words.contains(role));
        return;
    }
    if name == "output" {
        // What is no XML is shown as it stands.
        let words = element.read().unwrap_or_else(|_| String::from_utf8_lossy(within(text)).into());
        note_words(words, scope, reply);
        return;
    }
    let mut error: RpcError = element.read().unwrap_or_default();
    if name == "warning" {
        error.error_severity = name.to_string();
    }
    if error.error_message.is_empty() {
        error.error_message = Element::new(text, limits.depth_max).read().unwrap_or_default();
    }
    note_error(error, scope, reply);
}

/// Words in place of data. Those that call themselves an error or a warning, and those of one of
/// several Routing Engines, may stand beside data, as an `<rpc-error>` may.
fn note_words(words: String, scope: &Scope, reply: &mut Reply) {
    let error_severity = match () {
        () if words.is_empty() => return,
        () if begins(&words, "warning:") => "warning".to_string(),
        () if begins(&words, "error:") || scope.get("re-name").is_some() => String::new(),
        () => {
            reply.output.get_or_insert_with(|| cut(words));
            return;
        }
    };
    note_error(
        RpcError { error_severity, error_message: words, ..RpcError::default() },
        scope,
        reply,
    );
}

fn begins(words: &str, with: &str) -> bool {
    words.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

fn note_error(mut error: RpcError, scope: &Scope, reply: &mut Reply) {
    // Junos may send one error twice, as `<rpc-error>` and as `<xnm:error>`: only the latter has
    // the reason.
    let re_name = scope.get("re-name").unwrap_or_default();
    let same = |kept: &&mut RpcError| {
        kept.re_name == re_name
            && first_line(&kept.error_message) == first_line(&error.error_message)
    };
    if let Some(twin) = reply.errors.iter_mut().find(same) {
        let reason = error.reason().or(twin.reason()).cloned();
        twin.reason.clone_from(&reason);
        error.reason = reason;
    }
    let meaning = error.meaning();
    let kept = if meaning == Meaning::Warning { &mut reply.warnings } else { &mut reply.errors };
    // A failure is not hidden behind however many errors or warnings that say less.
    let rank = |error: &RpcError| match error.meaning() {
        Meaning::Warning => meaning_of(&error.error_message).filter(|m| *m == Meaning::Denied),
        meaning => Some(meaning).filter(|meaning| meaning.is_failure()),
    };
    let own = rank(&error);
    let says_more = own.is_some() && kept.iter().all(|kept| rank(kept) < own);
    if kept.len() < ERRORS_MAX || says_more {
        error.error_severity = cut(error.error_severity);
        error.error_tag = cut(error.error_tag);
        error.error_message = cut(error.error_message);
        error.error_info.bad_element = cut(error.error_info.bad_element);
        error.re_name = re_name.to_string();
        kept.push(error);
    }
}

/// What stands within an element.
fn within(text: &[u8]) -> &[u8] {
    let open = memchr::memchr(b'>', text).map_or(0, |at| at + 1);
    let close = memchr::memrchr(b'<', text).unwrap_or(text.len());
    text.get(open..close).unwrap_or(text).trim_ascii()
}

/// The beginning of an answer's words.
fn cut(words: String) -> String {
    shortened(&words, ERROR_TEXT_BYTES_MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::{Collector, Item, Query, Rpc, entry, item};
    use crate::point::{Definition, Measurement, Schema, gauge};
    use crate::xml::items::Scope;
    use crate::xml::shapes::Leaves;

    static THING: Measurement<Leaves> = Measurement::new(|| Definition {
        name: "thing",
        help: "A thing.",
        tags: &["name"],
        fields: vec![gauge("value", "", "Its value.", |thing| thing.integer("value"))],
    });

    #[derive(serde::Deserialize)]
    struct Thing(Leaves);

    impl<C> Item<C> for Thing {
        fn points(self, _: &mut C, _: &Scope, points: &mut Points) {
            points.push(&THING, &[self.0.text("name").unwrap_or_default()], &self.0);
        }
    }

    /// A collector of things.
    #[derive(Default)]
    struct Things;

    impl Collector for Things {
        const NAME: &'static str = "things";
        const HELP: &'static str = "Things.";
        const QUERIES: &'static [Query<Things>] = &[Query {
            rpc: Rpc::Once("<get-things/>"),
            command: "show things",
            roots: &["things"],
            items: &[item::<_, Thing>("thing")],
        }];
        const MEASUREMENTS: &'static [&'static dyn Schema] = &[&THING];
    }

    fn read(reply: &str) -> (Reply, Tally) {
        let mut poll = entry::<Things>().poll();
        let (mut points, mut tally) = (Points::default(), Tally::default());
        let mut readers =
            [Reader { poll: &mut *poll, query: 0, points: &mut points, tally: &mut tally }];
        let reply = format!("<rpc-reply>{reply}</rpc-reply>");
        let limits = Limits::default();
        let reply = read_reply(reply.as_bytes(), &mut readers, &limits, &mut |_, _| {}).unwrap();
        (reply, tally)
    }

    const WARNING: &str = "<rpc-error><error-severity>warning</error-severity>\
        <error-message>\nthing subsystem not running - not needed by configuration.\n\
        </error-message></rpc-error>";
    const ERROR: &str = "<rpc-error><error-severity>error</error-severity>\
        <error-message>permission denied</error-message></rpc-error>";
    const DATA: &str = "<things><thing><name>a</name><value>1</value></thing></things>";

    #[test]
    fn a_warning_hides_nothing() {
        for warnings in [1, 30] {
            let warnings = WARNING.repeat(warnings);
            for (answer, refusal, points) in [
                (DATA, None, 1),
                ("<things/>", None, 0),
                ("<things></things>", None, 0),
                (ERROR, Some((Meaning::Denied, "permission denied".to_string())), 0),
                ("<output>none</output>", Some((Meaning::Failed, "none".to_string())), 0),
            ] {
                let between = answer.replace("<things>", &format!("<things>{warnings}"));
                for reply in [format!("{warnings}{answer}"), between, format!("{answer}{warnings}")]
                {
                    let (read, tally) = read(&reply);
                    assert_eq!(
                        (read.refusal(), tally.points),
                        (refusal.clone(), points),
                        "{reply}"
                    );
                    assert_eq!(read.has_root(&["things"]), answer.contains("things"), "{reply}");
                }
            }
        }
    }

    #[test]
    fn a_reply_of_warnings_alone_is_no_data() {
        let (reply, _) = read(&WARNING.repeat(30));
        let words = "thing subsystem not running - not needed by configuration.".to_string();
        assert_eq!(reply.refusal(), Some((Meaning::NoData, words)));
        assert_eq!((reply.warnings.len(), reply.errors.len()), (ERRORS_MAX, 0));
        assert_eq!((reply.first_root(), reply.has_root(&["things"])), (None, false));
    }

    #[test]
    fn errors_have_a_room_of_their_own_and_a_failure_is_seen_in_it() {
        let none = "<error><message>things are not configured</message></error>".repeat(30);
        let (reply, _) = read(&format!("{}{none}{ERROR}", WARNING.repeat(30)));
        assert_eq!(reply.errors.len(), ERRORS_MAX + 1);
        assert_eq!(reply.refusal(), Some((Meaning::Denied, "permission denied".into())));
    }

    #[test]
    fn an_error_that_is_sent_twice_has_the_reason_of_either() {
        let words = "the thing subsystem is not running";
        let bare = ERROR.replace("permission denied", words);
        let with = |reason: &str| {
            format!(
                "<xnm:error><message>\n{words}\n</message><reason><daemon>thing</daemon><{reason}/>\
                 </reason></xnm:error>"
            )
        };
        for (reason, meaning) in [
            ("process-not-configured", Meaning::NoData),
            ("process-not-running", Meaning::NotRunning),
        ] {
            let with = with(reason);
            for answer in [format!("{bare}{with}"), format!("{with}{bare}")] {
                let (reply, _) = read(&answer);
                assert_eq!(reply.refusal(), Some((meaning, words.to_string())), "{answer}");
            }
        }
    }

    #[test]
    fn words_that_are_no_xml_are_a_failure() {
        let (reply, _) = read("<output>\nmissing argument, expecting <name>.\n</output>");
        let expected = "missing argument, expecting <name>.".to_string();
        assert_eq!(reply.refusal(), Some((Meaning::Failed, expected)));
    }

    #[test]
    fn the_words_of_an_answer_are_cut() {
        let long = "w".repeat(100_000);
        let (reply, _) = read(&format!("<error><message>{long}</message></error>"));
        assert_eq!(reply.errors[0].error_message.len(), ERROR_TEXT_BYTES_MAX);
        let (reply, _) = read(&format!("<output>{long}</output>"));
        assert_eq!(reply.output.map(|words| words.len()), Some(ERROR_TEXT_BYTES_MAX));
    }

    #[test]
    fn a_foreign_root_is_told() {
        let (reply, _) = read("<others><thing/></others><things/>");
        assert_eq!((reply.first_root(), reply.items), (Some("others"), 0));
        assert!(reply.has_root(&["things"]));
    }

    #[test]
    fn a_leaf_that_does_not_fit_is_counted_with_its_item() {
        let (_, tally) = read(
            "<things><thing><name>a</name><value>N/A</value></thing>\
             <thing><name>b</name><value>1,234</value></thing></things>",
        );
        assert_eq!((tally.items, tally.points, tally.misfits), (2, 1, 1));
        assert_eq!(tally.first_misfit.as_deref(), Some("value: `N/A` is not a whole number"));
    }
}
