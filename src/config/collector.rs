//! `[collector.NAME]`: how often a collector is polled, and the settings of its own.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::described::Directory;
use super::nearest::or_nearest;
use super::place::{Written, note};
use super::read::misfit;
use crate::base::units::{Interval, Timeout};
use crate::collector::Entry;
use crate::collector::settings::Configured;
use crate::poll::registry::Registry;

/// What is set for one collector.
pub struct FileCollector {
    pub every: Every,
    pub configured: Configured,
}

/// The settings that all collectors have.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Every {
    pub interval: Option<Interval>,
    pub timeout: Option<Timeout>,
}

const EVERY: &[&str] = &["interval", "timeout"];

/// The tables of the collectors by name, each read as its collector has it, and their faults.
pub fn read(
    written: &Written,
    settings: DeTable,
    described: &Directory,
) -> (BTreeMap<&'static str, FileCollector>, Vec<String>) {
    let (mut collectors, mut faults) = (BTreeMap::new(), Vec::new());
    // What is no table is said where the settings are read.
    let collector = settings.into_iter().find(|(key, _)| key.get_ref() == "collector");
    let Some((_, DeValue::Table(tables))) = collector.map(|(key, v)| (key, v.into_inner())) else {
        return (collectors, faults);
    };
    for (name, table) in tables {
        let span = name.span().start..table.span().end.max(name.span().end);
        let DeValue::Table(table) = table.into_inner() else { continue };
        let Some(entry) = described.registry.find(name.get_ref()) else {
            if !described.broken.contains(&**name.get_ref()) {
                let message = unknown_collector(&described.registry, name.get_ref());
                faults.push(written.at_value(&name, message));
            }
            continue;
        };
        let collector = read_one(written, entry, Spanned::new(span, table), &mut faults);
        collectors.extend(note(&mut faults, collector).map(|read| (entry.name, read)));
    }
    (collectors, faults)
}

fn read_one(
    written: &Written,
    entry: &Entry,
    table: Spanned<DeTable>,
    faults: &mut Vec<String>,
) -> Result<FileCollector, String> {
    let span = table.span();
    let (mut every, mut own) = (DeTable::new(), DeTable::new());
    for (key, value) in table.into_inner() {
        let name: &str = key.get_ref();
        if EVERY.contains(&name) {
            every.insert(key, value);
        } else if entry.keys.iter().any(|known| known.name == name) {
            own.insert(key, value);
        } else {
            faults.push(written.at_value(&key, unknown_setting(entry, name)));
        }
    }
    let every = Every::deserialize(Deserializer::from(Spanned::new(span.clone(), every)));
    let every = every.map_err(|err| misfit(written, &err))?;
    let configured = entry.configure(Spanned::new(span, own));
    let configured = configured.map_err(|err| misfit(written, &err))?;
    Ok(FileCollector { every, configured })
}

fn unknown_setting(entry: &Entry, key: &str) -> String {
    let own = entry.keys.iter().map(|key| key.name);
    let known: Vec<&str> = EVERY.iter().copied().chain(own).collect();
    let nearest = or_nearest(key, &known);
    format!("{} has no setting `{key}`{nearest} It has {}", entry.name, known.join(", "))
}

/// What to say of a collector that does not exist.
pub fn unknown_collector(registry: &Registry, name: &str) -> String {
    let names: Vec<&str> = registry.all().iter().map(|entry| entry.name).collect();
    let nearest = or_nearest(name, &names);
    format!("there is no collector `{name}`{nearest} There are: {}", names.join(" "))
}
