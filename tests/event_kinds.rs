//! Each kind of event, from the router's reply to the record, there and back.
//!
//! `tests/events/replies/ELEMENT.xml` is what the router answers to the request of that element;
//! `{before|after}` in it is what changes. `tests/events/told.txt` has the events of the change,
//! and of the change back. `UPDATE=1 cargo test --test event_kinds` writes it anew: read the
//! difference before it is committed.

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::lines::Line;
use common::run::{Run, shown, text};
use common::script::Script;
use perijove::poll::registry;

/// Every collector that has an event, and its kinds.
fn kinds() -> Vec<(&'static str, BTreeSet<&'static str>)> {
    let of = |entry: &perijove::collector::Entry| {
        let fields = entry
            .measurements
            .iter()
            .flat_map(|schema| (0..schema.fields()).map(|at| schema.field(at)));
        let kinds = fields.filter_map(|field| field.event).map(|rule| rule.kind);
        (entry.name, kinds.filter(|kind| !kind.is_empty()).collect::<BTreeSet<_>>())
    };
    registry::collectors().iter().map(of).filter(|(_, kinds)| !kinds.is_empty()).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events")
}

/// The replies before the change, or after it.
fn answer(script: &Script, is_after: bool) {
    for reply in std::fs::read_dir(folder().join("replies")).unwrap() {
        let path = reply.unwrap().path();
        let (template, mut reply) = (std::fs::read_to_string(&path).unwrap(), String::new());
        let mut rest = template.as_str();
        while let Some((text, change)) = rest.split_once('{') {
            let (change, behind) = change.split_once('}').expect("a change's end");
            let (before, after) = change.split_once('|').expect("before and after");
            reply += text;
            reply += if is_after { after } else { before };
            rest = behind;
        }
        script.answer(path.file_stem().unwrap().to_str().unwrap(), &(reply + rest));
    }
}

/// What an event says, but for its times.
fn told(event: &Line) -> String {
    let mut told = shown(event);
    for name in ["user", "comment", "message"] {
        if !text(event, name).is_empty() {
            told += &format!(", {name} {}", text(event, name));
        }
    }
    told + "\n"
}

#[test]
fn every_kind_is_told_there_and_back() {
    let script = Script::new();
    answer(&script, false);
    let kinds = kinds();
    // `system` reads a reply for `commits` too, which ends later.
    let collectors = kinds.iter().rev().map(|(name, _)| format!("\"{name}\""));
    let collectors: Vec<String> = collectors.collect();
    let run = Run::new(&script, &collectors.join(", "), "[collector.system]\nlicense = true\n");
    let names: Vec<&str> = kinds.iter().map(|(name, _)| *name).collect();
    let poll = || run.wait_polls(&names);
    poll();
    assert_eq!(run.events(), [], "the first poll is silent");
    let path = folder().join("told.txt");
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let is_update = std::env::var_os("UPDATE").is_some();
    let mut found = String::new();
    let mut before = BTreeSet::new();
    for (is_after, title) in [(true, "# there\n"), (false, "# back\n")] {
        answer(&script, is_after);
        let lines = expected.split_once(title).map_or("", |(_, lines)| lines);
        let lines = lines.lines().take_while(|line| !line.starts_with('#')).count();
        if !is_update {
            run.wait_events(before.len() + lines);
        }
        poll();
        let events: BTreeSet<String> = run
            .events()
            .iter()
            .map(|event| format!("{} {}", event.timestamp, told(event)))
            .collect();
        let new = events.difference(&before).map(|event| event.split_once(' ').unwrap().1);
        found += title;
        found += &new.collect::<BTreeSet<_>>().into_iter().collect::<String>();
        before = events;
    }
    if is_update {
        std::fs::write(&path, &found).unwrap();
    }
    assert!(is_update || found == expected, "(UPDATE=1 writes it anew)\n{found}");
    let in_text = found.lines().filter(|line| !line.starts_with('#'));
    let in_text: BTreeSet<&str> = in_text.filter_map(|line| line.split(' ').nth(1)).collect();
    let all: BTreeSet<&str> = kinds.iter().flat_map(|(_, kinds)| kinds).copied().collect();
    assert_eq!(in_text, all, "tests/events/replies lacks a change of some kind");
}

/// docs/events.md has a line for each kind, with its collector.
#[test]
fn the_document_has_every_kind() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/events.md");
    let document = std::fs::read_to_string(path).unwrap();
    for (collector, kinds) in kinds() {
        for kind in kinds {
            let is_of = |line: &&str| {
                let mut cells = line.split('|').skip(1);
                cells.next().is_some_and(|cell| cell.contains(&format!("`{kind}`")))
                    && cells.next().is_some_and(|cell| cell.contains(&format!("`{collector}`")))
            };
            assert!(document.lines().any(|line| is_of(&line)), "{kind} of {collector}");
        }
    }
}
