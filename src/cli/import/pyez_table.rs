//! PyEZ's op tables and views, as descriptions of collectors. What a person must decide stands in
//! comments: which numbers only grow, which units they have, which element is the reply's root.

use std::collections::BTreeSet;

use super::settings::{Toml, quoted};
use crate::base::yaml::{self, Node, Value};
use crate::collector::described::check_operation;
use crate::collectors;

/// A description that was made of a table, and what it lacks.
pub struct Described {
    pub table: String,
    pub name: String,
    pub text: String,
    pub notes: Vec<String>,
}

/// What the tables of a file come to; a table that cannot be described is a note.
pub struct Tables {
    pub described: Vec<Described>,
    pub notes: Vec<String>,
}

/// Reads a file of tables and views. Tables whose names begin with `_` stand in others.
pub fn read(text: &str) -> Result<Tables, String> {
    let file = yaml::read(text)?;
    let file = File(file.map()?);
    let mut tables = Tables { described: Vec::new(), notes: Vec::new() };
    for (name, node) in file.0 {
        let is_table = get(node, "rpc").is_some() || get(node, "command").is_some();
        if name.starts_with('_') || !is_table {
            continue;
        }
        match file.table(name, node) {
            Ok(described) => tables.described.push(described),
            Err(why) => tables.notes.push(format!("{name}: {why}")),
        }
    }
    if tables.described.is_empty() && tables.notes.is_empty() {
        return Err("it has no op table: one has an `rpc`, an `item` and a `view`".into());
    }
    Ok(tables)
}

/// A description with what it lacks as comments.
pub fn with_notes(described: &Described) -> String {
    let mut text =
        format!("# PyEZ's {}, as perijove import pyez-table made it.\n", described.table);
    for note in &described.notes {
        text += &format!("# Not carried: {}\n", note.replace(char::is_control, " "));
    }
    text + &described.text
}

struct File<'a>(&'a [(String, Node)]);

fn get<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Value::Map(map) = &node.value else { return None };
    map.iter().find(|(name, _)| name == key).map(|(_, node)| node)
}

/// `LacpPortTable` is `lacp_port`.
fn snake(name: &str) -> String {
    let name = name.trim_start_matches('_');
    let name = name.strip_suffix("Table").filter(|rest| !rest.is_empty()).unwrap_or(name);
    let mut snake = String::new();
    let mut before = '_';
    for c in name.chars() {
        if c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            snake.push('_');
        }
        snake.push(if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
        before = c;
    }
    snake
}

/// A name of a tag or a field; Prometheus has a use of its own for two endings.
fn name_of(name: &str) -> String {
    let plain = snake(name).trim_matches('_').to_string();
    let plain =
        if plain.starts_with(|c: char| c.is_ascii_digit()) { format!("n{plain}") } else { plain };
    ["_total", "_count"]
        .iter()
        .find_map(|end| plain.strip_suffix(end))
        .map(String::from)
        .unwrap_or(if plain == "total" { "all".into() } else { plain })
}

/// A path that a description has too, from the item; `../x` and `ancestor::e/x` are leaves around
/// the item.
fn path_of(xpath: &str) -> Result<String, String> {
    let paths: Vec<String> = xpath
        .split('|')
        .map(|path| {
            let path = path.trim();
            if path.contains("//") {
                return Err(format!("the path `{path}` leads to any depth"));
            }
            let path = path.trim_start_matches("./");
            // The innermost leaf of that name around the item is the ancestor's.
            let above = path.strip_prefix("ancestor::").and_then(|path| path.split_once('/'));
            let path = above.map_or_else(|| path.to_string(), |(_, leaf)| format!("../{leaf}"));
            let path = match path.trim_start_matches("../") {
                rest if rest.len() < path.len() && !rest.contains('/') => format!("${rest}"),
                rest if rest.len() < path.len() => {
                    return Err(format!("the path `{path}` leads around the item"));
                }
                path => path.replace("/@", "@"),
            };
            // A prefix says nothing: names are local ones.
            let path = path.replace("junos:", "");
            let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.$@/".contains(c);
            match path.chars().all(is_part) && !path.is_empty() && !path.contains("//") {
                true => Ok(path),
                false => Err(format!("the path `{path}` is more than names of elements")),
            }
        })
        .collect::<Result<_, _>>()?;
    Ok(paths.join(" | "))
}

/// The elements that an item's path ends in: they are found wherever they stand.
fn items_of(node: &Node, whole: bool) -> Result<Vec<String>, String> {
    node.text()?
        .split('|')
        .map(|path| {
            let path = path.trim().trim_start_matches("./").trim_start_matches('/');
            let path = path.strip_prefix("rpc-reply/").unwrap_or(path);
            let path = path_of(path)?;
            if path.contains(['$', '@']) {
                return Err(format!("the item `{path}` is no element below the reply"));
            }
            let last = path.rsplit('/').next().unwrap_or(&path).to_string();
            Ok(if whole { path } else { last })
        })
        .collect()
}

/// A key: the paths of its tags, each with whether it may be missing.
fn keys_of(table: &Node) -> Result<Vec<(String, bool)>, String> {
    let written = match get(table, "key").map(|node| (&node.value, node)) {
        None => return Ok(vec![("name".into(), true)]),
        Some((Value::Null, _)) => return Ok(Vec::new()),
        Some((Value::List(list), _)) => {
            list.iter().map(|node| node.text()).collect::<Result<Vec<_>, _>>()?
        }
        Some((_, node)) => vec![node.text()?],
    };
    let mut keys = Vec::new();
    for key in written {
        // Each point has the Routing Engine's name.
        if key.starts_with("ancestor::") && key.ends_with("/re-name") {
            continue;
        }
        let parts: Vec<&str> =
            key.split('|').map(str::trim).filter(|part| *part != "Null").collect();
        let is_optional = parts.len() < key.split('|').count();
        if !parts.is_empty() {
            keys.push((path_of(&parts.join(" | "))?, is_optional));
        }
    }
    Ok(keys)
}

/// A point that is being described, and the places around it.
struct Point<'a> {
    items: Vec<String>,
    each: Vec<String>,
    measurement: String,
    /// The keys of the tables around this one.
    keys: Vec<(String, bool)>,
    table: &'a Node,
}

impl<'a> File<'a> {
    fn find(&self, name: &str) -> Option<&'a Node> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, node)| node)
    }

    fn table(&self, name: &str, table: &Node) -> Result<Described, String> {
        let rpc = get(table, "rpc").ok_or("it reads the text of a command")?.text()?;
        let item = get(table, "item").ok_or("it has no item")?;
        if get(table, "eval").is_some() {
            return Err("it has eval, which computes in Python".into());
        }
        let operation = operation(rpc, get(table, "args"))?;
        check_operation(&operation)?;
        let items = items_of(item, false)?;
        if items.len() > 1 && item.text()?.matches("//").count() > 1 {
            return Err("its items may stand in each other".into());
        }
        let table_name = name.to_string();
        let name = format!("pyez_{}", snake(name));
        let mut toml = Toml::default();
        toml.set("name", &name);
        toml.set("help", &format!("{} as PyEZ's table has it.", name.trim_start_matches("pyez_")));
        toml.table("[[query]]");
        toml.set("rpc", &operation);
        toml.comment(
            "The CLI's command for the reference: show … | display xml rpc tells its RPC.",
        );
        toml.set("command", &rpc.replacen("get-", "show ", 1));
        let mut roots = known_roots(rpc);
        if roots.is_empty() {
            toml.comment(
                "The elements under <rpc-reply>: the first is a guess, the others are items.",
            );
            roots.push(rpc.trim_start_matches("get-").to_string());
            roots.extend(
                items.iter().filter(|item| !roots.contains(item)).cloned().collect::<Vec<_>>(),
            );
        }
        toml.list("roots", &roots);
        let (each, keys) = (Vec::new(), Vec::new());
        let point = Point { items, each, measurement: name.clone(), keys, table };
        let mut notes = Vec::new();
        self.point(&point, &mut toml, &mut notes, 0)?;
        if !toml.text.contains("[[query.point]]") {
            return Err("none of its fields can be described".into());
        }
        Ok(Described { table: table_name, name, text: toml.text, notes })
    }

    /// Describes the points of a table, and those of the tables in its fields.
    fn point(
        &self,
        point: &Point,
        toml: &mut Toml,
        notes: &mut Vec<String>,
        depth: usize,
    ) -> Result<(), String> {
        if depth > 8 {
            return Err("its tables stand in each other without an end".into());
        }
        let view = get(point.table, "view").ok_or("it has no view")?.text()?;
        let view = self.find(view).ok_or_else(|| format!("the file has no view `{view}`"))?;
        let mut keys: Vec<(String, bool)> = point.keys.clone();
        keys.extend(keys_of(point.table)?);
        let mut tags = BTreeSet::from(RESERVED.map(String::from));
        let tags: Vec<(String, &(String, bool))> =
            keys.iter().map(|key| (free(&last_name(&key.0), &mut tags), key)).collect();
        let mut taken: BTreeSet<String> =
            tags.iter().map(|(name, _)| name.clone()).chain(RESERVED.map(String::from)).collect();
        let groups = get(view, "groups");
        let (mut fields, mut inner) = (Vec::new(), Vec::new());
        let Value::Map(parts) = &view.value else { return Err("its view has no fields".into()) };
        for (part, list) in parts {
            let group = match part.strip_prefix("fields").map(|rest| rest.strip_prefix('_')) {
                Some(None) if part == "fields" => String::new(),
                Some(Some(group)) => {
                    let group = groups.and_then(|groups| get(groups, group));
                    path_of(group.ok_or_else(|| format!("`{part}` has no group"))?.text()?)? + "/"
                }
                _ if part == "groups" => continue,
                _ => {
                    notes.push(format!("`{part}` of its view is left out"));
                    continue;
                }
            };
            for (name, node) in list.map()? {
                let table = match &node.value {
                    Value::Text(text) => self.find(text).filter(|node| get(node, "item").is_some()),
                    _ => None,
                };
                match table {
                    Some(table) => inner.push((name, table)),
                    None => match field(name, &group, node, &mut taken) {
                        Ok(field) => fields.push(field),
                        Err(why) => notes.push(format!("the field `{name}`: {why}")),
                    },
                }
            }
        }
        let own_tags: Vec<String> = tags.iter().map(|(name, key)| tag(name, key)).collect();
        for item in &point.items {
            let eaches: Vec<Option<&String>> = match &point.each[..] {
                [] => vec![None],
                each => each.iter().map(Some).collect(),
            };
            for each in eaches.into_iter().filter(|_| !fields.is_empty()) {
                write_point(toml, point, item, each, &own_tags, &fields);
            }
        }
        for (name, table) in inner {
            let nested = self.nested(point, &keys, name, table);
            match nested.and_then(|nested| self.point(&nested, toml, notes, depth + 1)) {
                Ok(()) => {}
                Err(why) => notes.push(format!("the table in the field `{name}`: {why}")),
            }
        }
        Ok(())
    }

    /// A table in a field: its items stand below those of the table around it.
    fn nested(
        &self,
        point: &Point,
        keys: &[(String, bool)],
        name: &str,
        table: &'a Node,
    ) -> Result<Point<'a>, String> {
        let below = items_of(get(table, "item").ok_or("it has no item")?, true)?;
        let around: Vec<String> = match &point.each[..] {
            [] => vec![String::new()],
            each => each.iter().map(|each| format!("{each}/")).collect(),
        };
        // A path that begins with the item's own name leads from above it.
        let mut each = Vec::new();
        for (around, below) in around.iter().flat_map(|a| below.iter().map(move |b| (a, b))) {
            each.push(format!("{around}{below}"));
        }
        let steps: BTreeSet<usize> = below.iter().map(|path| path.split('/').count()).collect();
        let [steps] = steps.into_iter().collect::<Vec<_>>()[..] else {
            return Err("its items stand at several depths".into());
        };
        let up = "../".repeat(steps);
        let keys = keys.iter().map(|(path, optional)| {
            let lifted = |path: &str| match path.starts_with('$') {
                true => path.to_string(),
                false => format!("{up}{path}"),
            };
            (path.split(" | ").map(lifted).collect::<Vec<_>>().join(" | "), *optional)
        });
        Ok(Point {
            items: point.items.clone(),
            each,
            measurement: format!("{}_{}", point.measurement, name_of(name)),
            keys: keys.collect(),
            table,
        })
    }
}

/// The elements under `<rpc-reply>`, for an RPC that a built-in collector sends too.
fn known_roots(rpc: &str) -> Vec<String> {
    for entry in collectors::all() {
        let poll = entry.poll();
        let name = |query| poll.rpc_shown(query).split(['<', '/', '>', ' ']).nth(1);
        if let Some(query) = (0..poll.queries()).find(|query| name(*query) == Some(rpc)) {
            return poll.roots(query).iter().map(|root| root.to_string()).collect();
        }
    }
    Vec::new()
}

/// Names that points have already.
const RESERVED: [&str; 5] = ["target", "host", "re_name", "le", "quantile"];

/// The RPC with its arguments, as PyEZ sends it.
fn operation(rpc: &str, args: Option<&Node>) -> Result<String, String> {
    let mut inside = String::new();
    for (name, value) in args.map_or(Ok(&[][..]), Node::map)? {
        let name = name.replace('_', "-");
        match value.text()? {
            "True" | "true" => inside += &format!("<{name}/>"),
            "False" | "false" | "" => {}
            text => {
                let text = quick_xml::escape::escape(text);
                inside += &format!("<{name}>{text}</{name}>");
            }
        }
    }
    Ok(if inside.is_empty() { format!("<{rpc}/>") } else { format!("<{rpc}>{inside}</{rpc}>") })
}

fn last_name(path: &str) -> String {
    let first = path.split(" | ").next().unwrap_or(path);
    let last = first.rsplit(['/', '@', '$']).next().unwrap_or(first);
    match snake(last) {
        name if name.is_empty() || name == "." => "value".into(),
        name => name,
    }
}

/// A name that is not taken yet.
fn free(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut free = name.to_string();
    for number in 2.. {
        if taken.insert(free.clone()) {
            break;
        }
        free = format!("{name}_{number}");
    }
    free
}

fn tag(name: &str, (path, is_optional): &(String, bool)) -> String {
    let optional = if *is_optional { ", optional = true" } else { "" };
    format!("  {{ name = {}, path = {}{optional} }},\n", quoted(name), quoted(path))
}

/// A field: whether it is a number, and its line, which lacks the kind where it is a text.
struct Field {
    is_number: bool,
    name: String,
    path: String,
    more: String,
    comment: &'static str,
}

fn field(
    name: &str,
    group: &str,
    node: &Node,
    taken: &mut BTreeSet<String>,
) -> Result<Field, String> {
    let (path, ty) = match &node.value {
        Value::Text(path) => (path.as_str(), ""),
        Value::Map(map) => match &map[..] {
            [(path, ty)] => (path.as_str(), ty.text()?),
            _ => return Err("it is no path with one type".into()),
        },
        _ => return Err("it is no path".into()),
    };
    let in_group = |path: &str| format!("{group}{}", path.trim());
    let path = path.split('|').map(in_group).collect::<Vec<_>>().join(" | ");
    let path = path_of(&path)?;
    let (is_number, path, more) = match ty {
        "" | "str" => (false, path, String::new()),
        "int" => (true, path, String::new()),
        "float" => (true, path, ", type = \"decimal\"".to_string()),
        "flag" if !path.contains(['|', '@', '$']) => {
            (true, format!("count({path})"), String::new())
        }
        _ => match ty.split_once('=') {
            Some(("True", word)) if !word.contains('(') => {
                (true, path, format!(", is = {}", quoted(word)))
            }
            Some(("False", word)) if !word.contains('(') => {
                (true, path, format!(", map = {{ {} = 0 }}, other = 1", quoted(word)))
            }
            _ => return Err(format!("the type `{ty}` is not known")),
        },
    };
    let comment = if ty == "int" { "  # only grows? then counter, NAME_total" } else { "" };
    let comment = if is_number { comment } else { "  # a number? then gauge, or counter" };
    let name = free(&name_of(name), taken);
    Ok(Field { is_number, name, path, more, comment })
}

fn write_point(
    toml: &mut Toml,
    point: &Point,
    item: &str,
    each: Option<&String>,
    tags: &[String],
    fields: &[Field],
) {
    toml.table("[[query.point]]");
    toml.set("item", item);
    each.iter().for_each(|each| toml.set("each", each));
    toml.set("measurement", &point.measurement);
    toml.comment("Say what it is.");
    toml.set("help", &format!("A row of {}.", point.measurement));
    toml.text += &format!("tags = [\n{}]\n", tags.concat());
    toml.text += "fields = [\n";
    // Infos stand with a number; where there is none, texts are all that a point has.
    let words = if fields.iter().any(|field| field.is_number) { "info" } else { "text" };
    for Field { is_number, name, path, more, comment } in fields {
        let kind = if *is_number { "gauge" } else { words };
        let (name, path) = (quoted(name), quoted(path));
        let help = quoted(&format!("{}.", path.trim_matches('"')));
        toml.text +=
            &format!("  {{ name = {name}, {kind} = {path}{more}, help = {help} }},{comment}\n");
    }
    toml.text += "]\n";
}
