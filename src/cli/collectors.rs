//! `perijove collectors`: the reference.

use super::command::{Arguments, Exit};
use super::print::say;
use super::reference;
use crate::collector::Entry;
use crate::config;
use crate::poll::registry::Registry;

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    type Format = fn(&[&Entry]) -> String;
    let formats: [(&str, Format); 3] =
        [("text", reference::text), ("markdown", reference::markdown), ("json", reference::json)];
    let source = arguments.source().map_err(Exit::Usage)?;
    let registry = source.into_registry().map_err(Exit::Usage)?;
    let entries = match arguments.positional.first() {
        Some(name) => vec![find(&registry, name)?],
        None => registry.all().to_vec(),
    };
    if arguments.flags.format.as_deref() == Some("toml") {
        return say(description(&entries)?);
    }
    say(&arguments.format(&formats)?(&entries))
}

/// The collector of that name.
pub fn find(registry: &Registry, name: &str) -> Result<&'static Entry, Exit> {
    registry.find(name).ok_or_else(|| Exit::Usage(config::unknown_collector(registry, name)))
}

/// The file that describes a collector.
fn description(entries: &[&'static Entry]) -> Result<&'static str, Exit> {
    let described = |entry: &&'static Entry| entry.description.map(|described| described.text);
    match entries {
        [entry] => described(entry).ok_or_else(|| {
            let name = entry.name;
            Exit::Usage(format!("{name} is not described in a file: see `perijove collectors`"))
        }),
        _ => Err(Exit::Usage("--format toml is for one collector: name it".into())),
    }
}
