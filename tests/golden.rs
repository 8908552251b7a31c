//! Replies of our own making, each with one oddity of real routers, and the points they give.
//!
//! `tests/fixtures/COLLECTOR/WHAT-IS-ODD.xml` is a reply, or several where each has a line
//! `<!-- COMMAND -->` before it that says which of the collector's queries it answers. Beside it
//! stand its points as line protocol (`.line`, with what is said about the reply as comments) and
//! as Prometheus reads them (`.prom`). `UPDATE=1 cargo test --test golden` writes those anew: read
//! the difference before it is committed.

mod common;
mod said;

use std::fmt::Write;
use std::path::Path;

use common::schema::Schemas;
use perijove::cli;
use perijove::collector::outcome::Answered;
use perijove::collector::reader::{Reader, Tally, read_reply};
use perijove::collector::{Entry, Poll};
use perijove::output::{exposition, json, line_protocol::LineProtocol};
use perijove::point::{Batch, Points};
use perijove::poll::registry;
use perijove::xml::items::Limits;

const TIME_NS: u64 = 1_700_000_000_000_000_000;

#[test]
fn fixtures_give_their_points() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let update = std::env::var_os("UPDATE").is_some();
    let schemas = Schemas::printed();
    let mut changed = Vec::new();
    let mut fixtures = 0;
    for entry in registry::collectors() {
        for path in replies(&folder.join(entry.name)) {
            fixtures += 1;
            let (line, prom) = read(entry, &std::fs::read(&path).unwrap(), &schemas);
            for (extension, text) in [("line", line), ("prom", prom)] {
                let path = path.with_extension(extension);
                let expected = std::fs::read_to_string(&path).unwrap_or_default();
                if update {
                    std::fs::write(&path, text).unwrap();
                } else if text != expected {
                    let name = path.strip_prefix(&folder).unwrap().display();
                    changed.push(format!("{name}\n{}", first_difference(&expected, &text)));
                }
            }
        }
    }
    println!("{fixtures} fixtures");
    assert!(changed.is_empty(), "(UPDATE=1 writes them anew)\n{}", changed.join("\n"));
}

#[test]
fn every_folder_is_a_collectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(registry::find(name).is_some(), "there is no collector {name}");
        for expected in std::fs::read_dir(&path).unwrap() {
            let reply = expected.unwrap().path().with_extension("xml");
            assert!(reply.exists(), "there is no {}", reply.display());
        }
    }
}

fn replies(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut replies: Vec<_> = paths.filter(|path| path.extension().unwrap() == "xml").collect();
    replies.sort();
    replies
}

/// The points of a fixture as line protocol and as exposition text. As JSON they are as their
/// schema says.
fn read(entry: &Entry, fixture: &[u8], schemas: &Schemas) -> (String, String) {
    let mut poll = entry.poll();
    let mut points = Points::default();
    points.asked_ns = Some(TIME_NS);
    points.keep_first();
    let mut line = String::new();
    let parts = parts(fixture);
    let mut answered = Answered::default();
    for (command, reply) in &parts {
        let (result, said) = said::listen(|| match command {
            Some(command) => answer(&mut *poll, command, reply, &mut answered, &mut points),
            None => cli::parse_reply(&mut *poll, reply, &mut points),
        });
        for words in said {
            writeln!(line, "# {words}").unwrap();
        }
        if let Err(why) = result {
            writeln!(line, "# refused: {why}").unwrap();
        }
    }
    if parts.iter().any(|(command, _)| command.is_some()) {
        points.set_re_name("");
        poll.finish(answered, &mut points);
    }
    let batch = Batch { node: "router", collector: entry.name, time_ns: TIME_NS, points: &points };
    let mut lines = Vec::new();
    LineProtocol::default().encode(&batch, &mut lines);
    line += std::str::from_utf8(&lines).unwrap();
    let mut records = Vec::new();
    json::encode(&batch, &mut records);
    let records = std::str::from_utf8(&records).unwrap();
    records.lines().for_each(|record| drop(schemas.check(record)));
    assert_eq!(records.lines().count(), points.len());
    let mut prom = Vec::new();
    assert_eq!(exposition::write(&[batch], &mut prom).unwrap(), 0, "duplicate series");
    (line, String::from_utf8(prom).unwrap())
}

/// The replies of a fixture, each with the command that it answers, if that is said.
fn parts(fixture: &[u8]) -> Vec<(Option<String>, &[u8])> {
    let mark = b"<!-- show ";
    let mut starts: Vec<usize> = memchr::memmem::find_iter(fixture, mark).collect();
    if starts.is_empty() {
        return vec![(None, fixture)];
    }
    starts.push(fixture.len());
    let part = |range: &[usize]| {
        let part = &fixture[range[0]..range[1]];
        let end = memchr::memmem::find(part, b" -->").unwrap();
        let command = str::from_utf8(&part[b"<!-- ".len()..end]).unwrap();
        (Some(command.to_string()), part)
    };
    starts.windows(2).map(part).collect()
}

/// Reads a reply as the answer to the query of that command, as a poller does.
fn answer(
    poll: &mut dyn Poll,
    command: &str,
    reply: &[u8],
    answered: &mut Answered,
    points: &mut Points,
) -> Result<(), String> {
    let query = (0..poll.queries()).find(|query| poll.command(*query) == command);
    let query = query.unwrap_or_else(|| panic!("no query has the command `{command}`"));
    let mut tally = Tally::default();
    let mut readers = [Reader { poll, query, points, tally: &mut tally }];
    let read = read_reply(reply, &mut readers, &Limits::default(), &mut |_, _| {});
    for why in tally.first_rejected.iter().chain(&tally.first_misfit) {
        log::info!("left out: {why}");
    }
    let read = read.map_err(|err| err.to_string())?;
    answered.note(query, read.answers(poll.roots(query)));
    match read.refusal() {
        Some((meaning, why)) => Err(format!("{meaning:?}: {why}")),
        None => Ok(()),
    }
}

fn first_difference(expected: &str, text: &str) -> String {
    let mut lines = expected.lines();
    for (number, line) in text.lines().enumerate() {
        let expected = lines.next().unwrap_or_default();
        if line != expected {
            return format!("  line {}\n  expected {expected}\n  found    {line}", number + 1);
        }
    }
    format!("  expected {}\n  found the end", lines.next().unwrap_or_default())
}
