//! How a router's state is kept in a file: little-endian numbers, texts with their length before
//! them, and at the end a checksum.
//!
//! A file of another version, or one that is damaged, is not used: the next poll is silent then, as
//! the first one is.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use super::record::{Clock, Event, When};
use super::state::{Damping, Last, Limits, Polls, Row, Slot, State, TEXT_BYTES};
use crate::base::changes::Severity;
use crate::base::own_file;

/// The magic number and the version.
const HEAD: &[u8; 8] = b"pjevent2";
/// A larger file is not read.
const BYTES_MAX: u64 = 256 << 20;
/// What a file's name keeps of a router's.
const NAME_BYTES_MAX: usize = 100;

/// The file of a router.
pub fn path(directory: &Path, router: &str) -> PathBuf {
    let mut name = String::new();
    for byte in router.bytes().take(NAME_BYTES_MAX) {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
            b'.' if !name.is_empty() => name.push('.'),
            byte => name += &format!("%{byte:02x}"),
        }
    }
    if router.len() > NAME_BYTES_MAX {
        name += &format!("%{:016x}", checksum(router.as_bytes()));
    }
    directory.join(name)
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// What an earlier run left; `None` if there was none.
pub fn load(path: &Path, limits: &Limits) -> io::Result<Option<State>> {
    let Some(directory) = path.parent().filter(|directory| directory.is_dir()) else {
        return Ok(None);
    };
    own_file::directory(directory)?;
    let Some(bytes) = own_file::read(path, BYTES_MAX)? else { return Ok(None) };
    let state = decode(&bytes, limits);
    state.map(Some).ok_or_else(|| io::Error::other("it is damaged, or of another version"))
}

/// Replaces the file at once: whenever the program is killed, one of the two is whole.
pub fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        own_file::directory(directory)?;
    }
    // The new one is called as no router's file: a percent sign has digits behind it there.
    own_file::write_whole(path, bytes)
}

/// The state as bytes.
pub fn encode(state: &State) -> Vec<u8> {
    let mut out = Writer(HEAD.to_vec());
    out.number(state.secret);
    out.number(state.dropped);
    out.number(state.damped);
    out.list(state.slots.len());
    for (key, slot) in &state.slots {
        out.number(*key);
        out.number(slot.value);
        out.short(slot.seen_s);
    }
    out.list(state.texts.len());
    for (key, text) in &state.texts {
        out.number(*key);
        out.text(text);
    }
    out.list(state.rows.len());
    for (key, row) in &state.rows {
        out.number(*key);
        out.row(row);
    }
    out.list(state.polls.len());
    for (collector, polls) in &state.polls {
        out.text(collector);
        out.number(polls.answered);
        out.short(polls.last_s);
    }
    out.list(state.damping.len());
    for (key, damping) in &state.damping {
        out.number(*key);
        out.number(damping.held);
        out.short(damping.since_s);
        out.short(damping.reported);
        out.short(damping.last_s);
    }
    out.list(state.last.len());
    for ((kind, subject), last) in &state.last {
        out.text(kind);
        out.text(subject);
        out.number(last.time_ns);
        out.0.push(last.severity as u8);
    }
    out.list(state.totals.len());
    for (kind, total) in &state.totals {
        out.text(kind);
        out.number(*total);
    }
    out.list(state.pending.len());
    state.pending.iter().for_each(|event| out.event(event));
    let sum = checksum(&out.0);
    out.number(sum);
    out.0
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn short(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn list(&mut self, length: usize) {
        self.short(u32::try_from(length).unwrap_or(u32::MAX));
    }

    fn text(&mut self, text: &str) {
        self.list(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn row(&mut self, row: &Row) {
        let Row { collector, kind, subject, re_name, value, seen_s, missed_s, words, .. } = row;
        let Row { user, message, .. } = row;
        for text in [collector, &**kind, subject, re_name, user, message] {
            self.text(text);
        }
        self.number(value.to_bits());
        self.short(*seen_s);
        self.short(missed_s.unwrap_or_default());
        self.0.push(row.gone as u8);
        self.0.push(u8::from(words.is_some()));
        if let Some((from, to)) = words {
            self.text(from);
            self.text(to);
        }
    }

    fn event(&mut self, event: &Event) {
        for text in texts(event) {
            self.text(text);
        }
        self.0.push(event.severity as u8);
        self.0.push(event.when.clock as u8);
        self.number(event.when.time_ns);
        self.number(event.when.exactness_ms.unwrap_or(u64::MAX));
        self.number(event.seen_ns);
        self.number(event.count);
    }
}

fn texts(event: &Event) -> [&str; 8] {
    let Event { kind, subject, re_name, from, to, message, user, comment, .. } = event;
    [kind, subject, re_name, from, to, message, user, comment]
}

/// The state that bytes say; `None` if they are damaged.
pub fn decode(bytes: &[u8], limits: &Limits) -> Option<State> {
    let (body, sum) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
    if checksum(body).to_le_bytes() != sum {
        return None;
    }
    let mut from = Reader(body.strip_prefix(HEAD)?);
    let mut state = State::new(limits.clone(), from.number()?);
    state.dropped = from.number()?;
    state.damped = from.number()?;
    for _ in 0..from.short()? {
        let (key, value, seen_s) = (from.number()?, from.number()?, from.short()?);
        state.slots.insert(key, Slot { value, seen_s });
    }
    for _ in 0..from.short()? {
        let key = from.number()?;
        let text = from.text()?;
        state.words_bytes += TEXT_BYTES + text.len();
        state.texts.insert(key, text.into());
    }
    for _ in 0..from.short()? {
        let key = from.number()?;
        let row = from.row()?;
        state.words_bytes += row.bytes();
        state.rows.insert(key, Box::new(row));
    }
    for _ in 0..from.short()? {
        let collector = from.text()?;
        let (answered, last_s) = (from.number()?, from.short()?);
        state.polls.insert(collector, Polls { answered, last_s });
    }
    for _ in 0..from.short()? {
        let (key, held) = (from.number()?, from.number()?);
        let (since_s, reported, last_s) = (from.short()?, from.short()?, from.short()?);
        state.damping.insert(key, Damping { since_s, reported, held, last_s });
    }
    for _ in 0..from.short()? {
        let key = (from.text()?, from.text()?);
        let (time_ns, severity) = (from.number()?, from.severity()?);
        state.last.insert(key, Last { time_ns, severity });
    }
    for _ in 0..from.short()? {
        let kind = Cow::Owned(from.text()?);
        state.totals.insert(kind, from.number()?);
    }
    for _ in 0..from.short()? {
        state.pending.push_back(from.event()?);
    }
    from.0.is_empty().then_some(state)
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn short(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.short()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn severity(&mut self) -> Option<Severity> {
        Severity::ALL.get(usize::from(self.byte()?)).copied()
    }

    fn row(&mut self) -> Option<Row> {
        let (collector, kind, subject) = (self.text()?, self.text()?, self.text()?);
        let (re_name, user, message) = (self.text()?, self.text()?, self.text()?);
        let (value, seen_s) = (f64::from_bits(self.number()?), self.short()?);
        let missed_s = Some(self.short()?).filter(|missed| *missed > 0);
        let gone = self.severity()?;
        let words = match self.byte()? {
            0 => None,
            _ => Some((self.text()?, self.text()?)),
        };
        let kind = kind.into();
        Some(Row {
            collector,
            kind,
            subject,
            re_name,
            value,
            seen_s,
            missed_s,
            words,
            gone,
            user,
            message,
        })
    }

    fn event(&mut self) -> Option<Event> {
        let (kind, subject, re_name) = (self.text()?, self.text()?, self.text()?);
        let (from, to, message) = (self.text()?, self.text()?, self.text()?);
        let (user, comment) = (self.text()?, self.text()?);
        let severity = self.severity()?;
        let clock = *Clock::ALL.get(usize::from(self.byte()?))?;
        let time_ns = self.number()?;
        let exactness_ms = Some(self.number()?).filter(|exactness| *exactness != u64::MAX);
        let when = When { time_ns, exactness_ms, clock };
        let (seen_ns, count) = (self.number()?, self.number()?);
        let kind = kind.into();
        Some(Event {
            kind,
            subject,
            re_name,
            severity,
            from,
            to,
            message,
            user,
            comment,
            when,
            seen_ns,
            count,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LIMITS: Limits = Limits { subjects_max: 10, flaps_max: 3, flaps_window_s: 600 };

    fn state() -> State {
        let mut state = State::new(LIMITS, 7);
        state.slots.insert(1, Slot { value: 2, seen_s: 3 });
        state.texts.insert(1, "Zürich".into());
        let row = Row {
            collector: "alarm".into(),
            kind: "alarm".into(),
            subject: "Fan".into(),
            re_name: "re0".into(),
            value: 1.0,
            seen_s: 9,
            missed_s: Some(10),
            words: Some(("set".into(), "cleared".into())),
            gone: Severity::Info,
            user: String::new(),
            message: "m".into(),
        };
        state.rows.insert(5, Box::new(row));
        state.polls.insert("alarm".into(), Polls { answered: 3, last_s: 9 });
        state.damping.insert(1, Damping { since_s: 1, reported: 2, held: 3, last_s: 4 });
        let when = When { time_ns: 11, exactness_ms: None, clock: Clock::Syslog };
        let mut event = Event::new("interface-state", "ge-0/0/0", when);
        (event.severity, event.user, event.count) = (Severity::Error, "u".into(), 4);
        state.add(event);
        (state.dropped, state.damped) = (8, 9);
        state
    }

    #[test]
    fn what_was_saved_is_loaded_and_damage_is_noticed() {
        let name = format!("perijove-event-file-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        let path = path(&directory, "../R 1");
        assert_eq!(path, directory.join("%2e.%2f%52%201"));
        assert!(load(&path, &LIMITS).unwrap().is_none());
        let before = state();
        save(&path, &encode(&before)).unwrap();
        let after = load(&path, &LIMITS).unwrap().unwrap();
        assert_eq!(encode(&after), encode(&before));
        assert_eq!((after.pending, after.rows), (before.pending, before.rows));
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged, &LIMITS).is_none(), "byte {at}");
            assert!(decode(&whole[..at], &LIMITS).is_none(), "cut at {at}");
        }
        fs::write(&path, &whole[1..]).unwrap();
        assert!(load(&path, &LIMITS).err().unwrap().to_string().contains("damaged"));
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn names_of_files_differ_as_routers_do() {
        let name = |router: &str| path(Path::new("/d"), router).display().to_string();
        assert_eq!(name("mx1.example"), "/d/mx1.example");
        assert_eq!(name("."), "/d/%2e");
        assert_ne!(name("A"), name("a"));
        let long = "x".repeat(200);
        assert!(name(&long).len() < 130 && name(&long) != name(&(long.clone() + "y")));
    }
}
