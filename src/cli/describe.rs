//! `perijove describe`: writes a first description of a collector from a reply.
//!
//! Lists become items, elements with a number become gauges, with words infos, and those that name
//! a thing tags. What only a person knows stands in comments.

use std::fmt::Write as _;
use std::io::Read;
use std::time::{Duration, Instant};

use quick_xml::events::Event;

use super::command::{Arguments, Exit};
use super::print::say;
use crate::collector::described::check_operation;
use crate::netconf::rpc_error::{Meaning, RpcError};
use crate::poll::connection::connect;
use crate::xml::element::Element;
use crate::xml::numbers;

/// So much of a reply is looked at.
const REPLY_BYTES_MAX: u64 = 16 << 20;
/// So many texts of an element say what kind it is.
const TEXTS_MAX: usize = 50;
const DEPTH_MAX: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(60);
/// Elements that stand around a reply's root.
const AROUND: &[&str] = &[
    "rpc-reply",
    "multi-routing-engine-results",
    "multi-routing-engine-item",
    "re-name",
    "cli",
    "output",
];

/// What the elements of one name in one place have in common.
#[derive(Default)]
struct Shape {
    name: String,
    /// Whether several stand in one element.
    repeats: bool,
    has_seconds: bool,
    texts: Vec<String>,
    inner: Vec<Shape>,
}

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let asked = arguments.positional[0].trim();
    let operation = match asked.starts_with('<') {
        true => asked.to_string(),
        false => format!("<command format=\"xml\">{asked}</command>"),
    };
    check_operation(&operation).map_err(Exit::Usage)?;
    let reply = match arguments.positional.get(1) {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|err| Exit::Failed(format!("cannot read {path}: {err}")))?,
        None => ask(arguments, &operation)?,
    };
    let root = shape_of(&reply).map_err(Exit::Failed)?;
    say(&description(asked, &operation, &root))
}

/// The reply of the first router.
fn ask(arguments: &Arguments, operation: &str) -> Result<String, Exit> {
    let config = arguments.start()?;
    let router = config.routers.first();
    let router = router.ok_or_else(|| Exit::Usage("there is no router to ask".into()))?;
    let failed = |why: String| Exit::Failed(format!("{}: {why}", router.name));
    let (mut session, _) = connect(router).map_err(|err| failed(err.0))?;
    let reply = session.rpc(operation, Instant::now() + TIMEOUT).map_err(|err| failed(err.0))?;
    let mut bytes = Vec::new();
    let read = reply.take(REPLY_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(|err| failed(err.to_string()))?;
    session.close();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The shape of a reply's root. A reply that is cut short is looked at as far as it goes.
fn shape_of(reply: &str) -> Result<Shape, String> {
    let start = reply.find("<rpc-reply").unwrap_or_default();
    let mut reader = quick_xml::Reader::from_str(&reply[start..]);
    reader.config_mut().check_end_names = false;
    let mut whole = Shape::default();
    // The names of the open elements, and how many of each name each has had.
    let mut path: Vec<String> = Vec::new();
    let mut met: Vec<Vec<String>> = vec![Vec::new()];
    loop {
        let event = reader.read_event().map_err(|err| format!("the reply is not XML: {err}"))?;
        let (tag, is_empty) = match event {
            Event::Eof => break,
            Event::Start(tag) => (tag, false),
            Event::Empty(tag) => (tag, true),
            Event::End(_) => {
                path.pop();
                met.pop();
                continue;
            }
            Event::Text(text) => {
                let text = text.into_inner();
                let shape = find(&mut whole, &path);
                if !text.trim().is_empty() && shape.texts.len() < TEXTS_MAX {
                    shape.texts.push(text.trim().to_string());
                }
                continue;
            }
            _ => continue,
        };
        let name = tag.name().0;
        let name = name.rsplit(':').next().unwrap_or(name).to_string();
        if ["rpc-error", "error"].contains(&&*name) && path.len() <= 1 && !is_empty {
            let inside = reader.read_text(tag.name()).map_err(|err| err.to_string())?;
            let error = format!("<error>{}</error>", inside.into_inner());
            let error: RpcError = Element::new(&error, DEPTH_MAX).read().unwrap_or_default();
            match error.meaning() {
                Meaning::Warning => continue,
                _ => return Err(format!("the router answered with an error: {error}")),
            }
        }
        if path.len() >= DEPTH_MAX {
            return Err(format!("elements nest deeper than {DEPTH_MAX}"));
        }
        let has_seconds = tag.attributes().flatten().any(|a| a.key.0.ends_with("seconds"));
        let seen = met.last_mut().is_some_and(|names| {
            let seen = names.contains(&name);
            if !seen {
                names.push(name.clone());
            }
            seen
        });
        path.push(name);
        let shape = find(&mut whole, &path);
        shape.repeats |= seen;
        shape.has_seconds |= has_seconds;
        match is_empty {
            true => _ = path.pop(),
            false => met.push(Vec::new()),
        }
    }
    root_of(whole).ok_or_else(|| "the reply has no data: it has no element but wrappers".into())
}

/// The shape at the end of a path, made if there is none.
fn find<'a>(whole: &'a mut Shape, path: &[String]) -> &'a mut Shape {
    let mut shape = whole;
    for name in path {
        let known = shape.inner.iter().position(|inner| inner.name == *name);
        let at = known.unwrap_or_else(|| {
            shape.inner.push(Shape { name: name.clone(), ..Shape::default() });
            shape.inner.len() - 1
        });
        shape = &mut shape.inner[at];
    }
    shape
}

/// The first element that is no wrapper and has others in it.
fn root_of(shape: Shape) -> Option<Shape> {
    for inner in shape.inner {
        match AROUND.contains(&inner.name.as_str()) {
            _ if inner.inner.is_empty() => {}
            true => return root_of(inner),
            false => return Some(inner),
        }
    }
    None
}

fn description(asked: &str, operation: &str, root: &Shape) -> String {
    let plain = operation.trim_start_matches("<get-").split(['>', '/', ' ']).next();
    let words = if asked.starts_with('<') { plain.unwrap_or_default() } else { &asked[5..] };
    let name = snake(words.trim_end_matches("-information"));
    let command =
        if asked.starts_with('<') { format!("show {name} (say which)") } else { asked.into() };
    let mut out = String::new();
    let _ = write!(
        out,
        "# A first description: read it, and change it. docs/write-a-collector.md says how.\n\
         name = {}\nhelp = \"Say what it collects.\"\n\n[[query]]\nrpc = {}\ncommand = {}\n\
         roots = [{}]\n",
        quoted(&name),
        quoted(operation),
        quoted(&command),
        quoted(&root.name)
    );
    let mut around = Vec::new();
    let item = item_of(root, &mut around);
    let scope: Vec<(String, String)> =
        around.iter().map(|leaf| (snake(leaf), format!("${leaf}"))).collect();
    points(&mut out, item, item, "", &name, &scope);
    out
}

/// The first list from the root down, or the root; and the names of leaves on the way to it.
fn item_of<'a>(root: &'a Shape, around: &mut Vec<String>) -> &'a Shape {
    let mut level = vec![root];
    while !level.is_empty() {
        let inner: Vec<&Shape> = level.iter().flat_map(|shape| &shape.inner).collect();
        if let Some(list) = inner.iter().find(|shape| shape.repeats && !shape.inner.is_empty()) {
            return list;
        }
        around.extend(inner.iter().filter(|s| names_a_thing(s)).map(|s| s.name.clone()));
        level = inner;
    }
    around.clear();
    root
}

/// The points of an element of the item, and of the lists in it.
fn points(
    out: &mut String,
    item: &Shape,
    shape: &Shape,
    each: &str,
    name: &str,
    around: &[(String, String)],
) {
    let mut leaves = Vec::new();
    let mut lists = Vec::new();
    flatten(shape, "", &mut leaves, &mut lists);
    let mut tags = around.to_vec();
    for (path, leaf) in
        leaves.iter().filter(|(path, leaf)| names_a_thing(leaf) && !path.contains('/'))
    {
        add(&mut tags, snake(&leaf.name), path.clone());
    }
    if tags.len() == around.len()
        && let Some((path, leaf)) = leaves.iter().find(|(_, leaf)| kind(leaf).0 == "info")
    {
        add(&mut tags, snake(&leaf.name), path.clone());
    }
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut has_number = false;
    let mut lines = String::new();
    for (path, leaf) in &leaves {
        if tags.iter().any(|(_, tag)| tag == path) {
            continue;
        }
        let (kind, more) = kind(leaf);
        has_number |= kind == "gauge";
        let path = if leaf.has_seconds { format!("{path}@seconds") } else { path.clone() };
        let taken: Vec<(String, String)> = tags.iter().chain(&fields).cloned().collect();
        let field = free(&field_name(path.trim_end_matches("@seconds")), &taken);
        fields.push((field.clone(), path.clone()));
        let comment = if kind == "gauge" { "  # only grows? then counter, NAME_total" } else { "" };
        let help = quoted(&format!("{}.", leaf.name.replace('-', " ")));
        let (field, path) = (quoted(&field), quoted(&path));
        let _ = writeln!(
            lines,
            "  {{ name = {field}, {kind} = {path}{more}, help = {help} }},{comment}"
        );
    }
    if !has_number {
        // Words alone are a point too.
        lines = lines.replace(", info = ", ", text = ");
    }
    if !lines.is_empty() {
        let _ = write!(out, "\n[[query.point]]\nitem = {}\n", quoted(&item.name));
        if !each.is_empty() {
            let _ = writeln!(out, "each = {}", quoted(each));
        }
        let name = quoted(&name.replace("__", "_"));
        let _ = write!(out, "measurement = {name}\nhelp = \"Say what one is.\"\ntags = [\n");
        for (tag, path) in &tags {
            let (tag, path) = (quoted(tag), quoted(path));
            let _ = writeln!(out, "  {{ name = {tag}, path = {path}, optional = true }},");
        }
        let _ = write!(out, "]\nfields = [\n{lines}]\n");
    }
    for (path, list) in lists {
        let steps = path.split('/').count();
        let lifted: Vec<(String, String)> = tags
            .iter()
            .map(|(tag, path)| match path.starts_with('$') {
                true => (tag.clone(), path.clone()),
                false => (tag.clone(), "../".repeat(steps) + path),
            })
            .collect();
        let each = if each.is_empty() { path } else { format!("{each}/{path}") };
        // One name for all of one list's points, however deep the list stands.
        let top = name.split("__").next().unwrap_or(name);
        points(out, item, list, &each, &format!("{top}__{}", snake(&list.name)), &lifted);
    }
}

/// The leaves below an element with their paths, and the lists among them.
fn flatten<'a>(
    shape: &'a Shape,
    before: &str,
    leaves: &mut Vec<(String, &'a Shape)>,
    lists: &mut Vec<(String, &'a Shape)>,
) {
    for inner in &shape.inner {
        let path = format!("{before}{}", inner.name);
        match (inner.inner.is_empty(), inner.repeats) {
            (true, _) => leaves.push((path, inner)),
            (false, true) => lists.push((path, inner)),
            (false, false) => flatten(inner, &format!("{path}/"), leaves, lists),
        }
    }
}

/// Whether a leaf says which thing it is about.
fn names_a_thing(leaf: &Shape) -> bool {
    let ends = ["name", "id", "index", "address", "slot", "type", "number", "key"];
    let last = leaf.name.rsplit('-').next().unwrap_or_default();
    leaf.inner.is_empty() && !leaf.texts.is_empty() && ends.contains(&last)
}

/// What kind of field a leaf becomes, and what else its texts tell.
fn kind(leaf: &Shape) -> (&'static str, &'static str) {
    let all = |fits: &dyn Fn(&str) -> bool| {
        !leaf.texts.is_empty() && leaf.texts.iter().all(|text| fits(text))
    };
    if leaf.has_seconds || all(&|text| numbers::number::<u64>(text).is_some()) {
        return ("gauge", "");
    }
    if all(&|text| numbers::number::<f64>(text).is_some()) {
        return ("gauge", ", type = \"decimal\"");
    }
    if all(&|text| numbers::duration(text).is_some()) {
        return ("gauge", ", shape = \"duration\"");
    }
    if all(&|text| numbers::quantity(text).is_some()) {
        return ("gauge", ", shape = \"quantity\"");
    }
    ("info", "")
}

fn snake(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let name = name.trim_matches('_');
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase());
    if is_name { name.to_string() } else { format!("x{name}") }
}

/// A field's name: that of the last elements of its path.
fn field_name(path: &str) -> String {
    let name = snake(path.rsplit('/').next().unwrap_or(path));
    let name = name.strip_suffix("_total").or(name.strip_suffix("_count")).unwrap_or(&name);
    let reserved = ["total", "target", "host", "re_name", "le", "quantile"];
    if reserved.contains(&name) { format!("{name}_value") } else { name.to_string() }
}

fn free(name: &str, taken: &[(String, String)]) -> String {
    let is_free = |name: &str| taken.iter().all(|(other, _)| other != name);
    let mut names = std::iter::once(name.to_string()).chain((2..).map(|n| format!("{name}_{n}")));
    names.find(|name| is_free(name)).unwrap_or_default()
}

fn add(tags: &mut Vec<(String, String)>, name: String, path: String) {
    let reserved = ["target", "host", "re_name"];
    let name = if reserved.contains(&&*name) { format!("{name}_value") } else { name };
    let name = free(&name, tags);
    tags.push((name, path));
}

/// A string as TOML has it.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}
