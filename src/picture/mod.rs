//! The picture of a map: services, who depends on whom, and where each stands in the drawing.
//!
//! * `graph` is the map, from what machines say of themselves; `layout` places its hostgroups.
//! * `drawing` is both, as JSON.
//! * `text` writes it for Graphviz and Mermaid, `page` as one HTML page.
//!
//! Names come from anywhere: what a text means in a format is escaped where it is written.

pub mod graph;
pub mod layout;
pub mod drawing;
pub mod text;
pub mod page;

use graph::Graph;

/// Writes a map.
pub type Write = fn(&Graph) -> String;

/// What a map can be written as: a name, the media type, and who writes it.
pub const FORMATS: &[(&str, &str, Write)] = &[
    ("html", "text/html; charset=utf-8", page::page),
    ("json", "application/json", drawing::json),
    ("dot", "text/vnd.graphviz; charset=utf-8", text::dot),
    ("mermaid", "text/plain; charset=utf-8", text::mermaid),
];

/// The media type of a format and who writes it.
pub fn format(name: &str) -> Option<(&'static str, Write)> {
    let found = FORMATS.iter().find(|(known, ..)| *known == name);
    found.map(|(_, kind, write)| (*kind, *write))
}

/// The names of the formats.
pub fn names() -> String {
    let names: Vec<&str> = FORMATS.iter().map(|(name, ..)| *name).collect();
    names.join(", ")
}
