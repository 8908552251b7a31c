//! The reference of the collectors, made from their declarations.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Map, Value as Json, json};

use crate::base::changes::Watch;
use crate::collector::Entry;
use crate::collectors::DEFAULT;
use crate::daemon::own_metrics;
use crate::dependency::{ledger, source, traffic};
use crate::event::record;
use crate::federate::jobs;
use crate::output::exposition::metric;
use crate::point::{FieldInfo, Kind, Schema, Type};
use crate::syslog::intake;

const EVENTS_ARE: &str = "
## Events

What changed on a router: docs/events.md. Prometheus gets no events, but how many there were
and the time of each subject's last one.
";

/// The records of events, and of lines of syslog that are passed on.
const EVENTS: &[&dyn Schema] = &[&record::EVENT, intake::MEASUREMENTS[0]];

/// A line of the reference shows no more fields.
const EXAMPLE_FIELDS_MAX: usize = 4;

/// The settings of a collector's own, and what they mean: a phrase, without its full stop.
fn keys(entry: &Entry) -> impl Iterator<Item = (&'static str, String)> {
    entry.keys.iter().map(|key| {
        let help = key.help.trim().trim_end_matches('.');
        let (first, rest) = help.split_at(help.len().min(1));
        (key.name, first.to_ascii_lowercase() + rest)
    })
}

/// A measurement's fields: the tables that share its name together, in the order of the code.
struct Described {
    name: &'static str,
    help: &'static str,
    tags: Vec<&'static str>,
    fields: Vec<&'static FieldInfo>,
}

fn describe(schemas: &[&'static dyn Schema]) -> Vec<Described> {
    let mut all: Vec<Described> = Vec::new();
    for schema in schemas {
        let (name, help) = (schema.name(), schema.help());
        let at = all.iter().position(|described| described.name == name).unwrap_or_else(|| {
            all.push(Described { name, help, tags: Vec::new(), fields: Vec::new() });
            all.len() - 1
        });
        let described = &mut all[at];
        for tag in schema.tags() {
            if !described.tags.contains(tag) {
                described.tags.push(tag);
            }
        }
        for index in 0..schema.fields() {
            let field = schema.field(index);
            if !described.fields.iter().any(|known| known.name == field.name) {
                described.fields.push(field);
            }
        }
    }
    all
}

/// Name and help of each collector, and for one alone all of it. A star marks the default set.
pub fn text(entries: &[&Entry]) -> String {
    let mut out = String::new();
    if let [entry] = entries {
        return one_as_text(entry);
    }
    for entry in entries {
        let mark = match DEFAULT.contains(&entry.name) {
            _ if is_own(entry) => '+',
            true => '*',
            false => ' ',
        };
        let _ = writeln!(out, "{:<21}{mark} {}", entry.name, entry.help);
    }
    let own = if entries.iter().any(|entry| is_own(entry)) { OWN } else { "" };
    out + "\n* polled by default\n" + own
}

const OWN: &str = "+ described in the collector directory, and polled by default\n";

/// Whether a file of an operator's describes it.
fn is_own(entry: &Entry) -> bool {
    entry.description.is_some_and(|described| !described.is_built_in)
}

fn queries(entry: &Entry) -> Vec<(&'static str, &'static str)> {
    let poll = entry.poll();
    (0..poll.queries()).map(|query| (poll.command(query), poll.rpc_shown(query))).collect()
}

fn one_as_text(entry: &Entry) -> String {
    let mut out = format!("{}: {}\n\n", entry.name, entry.help);
    for (command, rpc) in queries(entry) {
        let _ = writeln!(out, "  {command}\n      {rpc}");
    }
    for (index, (key, meaning)) in keys(entry).enumerate() {
        let title = if index == 0 { "\nSettings\n" } else { "" };
        let _ = writeln!(out, "{title}  {key:<36} {meaning}");
    }
    for described in describe(entry.measurements) {
        let _ = writeln!(out, "\n{} ({})", described.name, described.tags.join(", "));
        for field in described.fields {
            let unit =
                if field.unit.is_empty() { String::new() } else { format!(", {}", field.unit) };
            let _ = writeln!(out, "  {:<36} {}{unit}: {}", field.name, kind(field), field.help);
        }
    }
    out
}

fn kind(field: &FieldInfo) -> &'static str {
    match field.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Info => "info",
        Kind::Text => "text",
    }
}

fn type_of(field: &FieldInfo) -> &'static str {
    match field.ty {
        Type::Integer => "integer",
        Type::Decimal => "decimal",
        Type::Text => "string",
    }
}

/// docs/collectors.md.
pub fn markdown(entries: &[&Entry]) -> String {
    let mut out = String::from(
        "# Collectors\n\n\
         Made by `perijove collectors --format markdown`; a test holds it to the code.\n\n\
         Every point has the router's name as its tag `host` (`target` in Prometheus,\n\
         `node` in JSON), and `re_name` where a reply names the Routing Engine that it is from.\n\
         An *info* is a string field in line protocol and JSON, and a label in Prometheus; a\n\
         *text* has no Prometheus series.\n\n\
         `Permissions` are those of the login class that is asked with. `Interval` is advice for\n\
         `[collector.NAME]` where the default of 30 s is often for what the reply costs or says.\n",
    );
    if entries.len() > 1 {
        contents(&mut out, entries);
    }
    for entry in entries {
        let _ = writeln!(out, "\n## {}\n\n{}\n", entry.name, entry.help);
        let _ = writeln!(out, "| Junos command | RPC |\n|---|---|");
        for (command, rpc) in queries(entry) {
            let _ = writeln!(out, "| `{command}` | `{rpc}` |");
        }
        let _ = writeln!(out, "\n* Permissions: {}.", quoted(entry.permissions));
        if DEFAULT.contains(&entry.name) {
            let _ = writeln!(out, "* Asked where the settings name no collectors.");
        }
        if !entry.advice.is_empty() {
            let _ = writeln!(out, "* Interval: {}", entry.advice);
        }
        for (key, meaning) in keys(entry) {
            let _ = writeln!(out, "* Setting `{key}`: {meaning}.");
        }
        measurements(&mut out, entry.measurements);
    }
    if entries.len() > 1 {
        let _ = writeln!(out, "\n## The machine\n\nWith `[dependency]`: docs/dependencies.md.");
        measurements(&mut out, &machine());
        let _ =
            writeln!(out, "\n## perijove itself\n\nPoints about perijove, through every output.");
        measurements(&mut out, own_metrics::MEASUREMENTS);
        out += EVENTS_ARE;
        measurements(&mut out, EVENTS);
        out += "\n## Federation\n\nWhat `perijove federate` makes of a fleet's dependencies and \
                traffic; a name in Prometheus begins with `planet_`.\n";
        measurements(&mut out, jobs::MEASUREMENTS);
    }
    out
}

/// A line for each collector, which leads to its section.
fn contents(out: &mut String, entries: &[&Entry]) {
    *out += "\n| Collector | By default | What it is about |\n|---|---|---|\n";
    for Entry { name, help, .. } in entries {
        let by_default = if DEFAULT.contains(name) { "yes" } else { "" };
        let _ = writeln!(out, "| [{name}](#{name}) | {by_default} | {help} |");
    }
}

/// What the machine itself is asked for; what its sockets give is what a router's do.
fn machine() -> Vec<&'static dyn Schema> {
    [source::MEASUREMENTS, traffic::MEASUREMENTS, ledger::MEASUREMENTS].concat()
}

fn measurements(out: &mut String, schemas: &[&'static dyn Schema]) {
    for described in describe(schemas) {
        let tags = if described.tags.is_empty() { "none".into() } else { quoted(&described.tags) };
        let _ = writeln!(out, "\n### {}\n\n{} Tags: {tags}.\n", described.name, described.help);
        let _ = writeln!(
            out,
            "| Field | Kind | Type | Unit | Prometheus | |\n|---|---|---|---|---|---|"
        );
        for field in &described.fields {
            let prometheus = match field.kind {
                Kind::Counter | Kind::Gauge => format!("`{}`", metric(described.name, field.name)),
                Kind::Info => format!("label `{}`", field.label),
                Kind::Text => String::new(),
            };
            let _ = writeln!(
                out,
                "| `{}` | {} | {} | {} | {prometheus} | {} |",
                field.name,
                kind(field),
                type_of(field),
                field.unit,
                field.help
            );
        }
        let events = described.fields.iter().filter_map(|field| {
            let rule = field.event.filter(|rule| rule.watch != Watch::Clock)?;
            Some(format!("`{}` by `{}`", rule.kind, field.name))
        });
        let events: Vec<String> = events.collect();
        if !events.is_empty() {
            let _ = writeln!(out, "\nEvents: {}.", events.join(", "));
        }
        let _ = writeln!(out, "\n```\n{}\n```", example(&described));
    }
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The first fields of a point as line protocol, with words in capitals for what is to be read.
fn example(described: &Described) -> String {
    let mut line = format!("{},host=ROUTER", described.name);
    for tag in &described.tags {
        let _ = write!(line, ",{tag}={}", tag.to_uppercase());
    }
    for (index, field) in described.fields.iter().enumerate() {
        let before = if index == 0 { ' ' } else { ',' };
        if index == EXAMPLE_FIELDS_MAX {
            line += ",…";
            break;
        }
        let _ = match field.ty {
            Type::Integer => write!(line, "{before}{}=1i", field.name),
            Type::Decimal => write!(line, "{before}{}=1.5", field.name),
            Type::Text => {
                write!(line, "{before}{}=\"{}\"", field.name, field.name.to_uppercase())
            }
        };
    }
    line + " 1767225600000000000"
}

/// A JSON Schema (2020-12) for the records of each measurement, by its name.
pub fn json(entries: &[&Entry]) -> String {
    let mut schemas: Vec<&'static dyn Schema> = Vec::new();
    for entry in entries {
        schemas.extend(entry.measurements);
    }
    if entries.len() > 1 {
        schemas.extend(machine());
        schemas.extend(own_metrics::MEASUREMENTS);
        schemas.extend(EVENTS);
        schemas.extend(jobs::MEASUREMENTS);
    }
    let all: BTreeMap<&str, Json> =
        describe(&schemas).into_iter().map(|d| (d.name, record_schema(&d))).collect();
    serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"
}

fn record_schema(described: &Described) -> Json {
    let text = json!({"type": "string"});
    let mut fields = Map::new();
    for field in &described.fields {
        let ty = match field.ty {
            Type::Integer => json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}),
            Type::Decimal => json!({"type": "number"}),
            Type::Text => text.clone(),
        };
        let Json::Object(mut ty) = ty else { continue };
        ty.insert("description".into(), field.help.into());
        if !field.unit.is_empty() {
            ty.insert("unit".into(), field.unit.into());
        }
        fields.insert(field.name.into(), Json::Object(ty));
    }
    let tags: Map<_, _> =
        described.tags.iter().map(|tag| (tag.to_string(), text.clone())).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": described.name,
        "description": described.help,
        "type": "object",
        "properties": {
            "measurement": {"const": described.name},
            "node": {"type": "string"},
            "collector": {"type": "string"},
            "time": {
                "type": "string",
                "format": "date-time",
                "description": "RFC 3339, UTC, with nine digits of a second's fraction",
            },
            // Descriptions can bring more.
            "tags": {"type": "object", "properties": tags, "additionalProperties": text},
            "fields": {
                "type": "object",
                "properties": fields,
                "additionalProperties": false,
                "minProperties": 1,
            },
        },
        "required": ["measurement", "node", "collector", "time", "tags", "fields"],
        "additionalProperties": false,
    })
}
