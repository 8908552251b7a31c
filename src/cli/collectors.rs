//! `perijove collectors`: the reference.

use super::command::{Arguments, Exit};
use super::print::say;
use super::reference;
use crate::collector::Entry;
use crate::config;
use crate::poll::registry;

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    type Format = fn(&[&Entry]) -> String;
    let formats: [(&str, Format); 3] =
        [("text", reference::text), ("markdown", reference::markdown), ("json", reference::json)];
    let format = arguments.format(&formats)?;
    let entries = match arguments.positional.first() {
        Some(name) => vec![find(name)?],
        None => registry::collectors().iter().collect(),
    };
    say(&format(&entries))
}

/// The collector of that name.
pub fn find(name: &str) -> Result<&'static Entry, Exit> {
    registry::find(name).ok_or_else(|| Exit::Usage(config::unknown_collector(name)))
}
