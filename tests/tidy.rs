//! What the code keeps to, where a test can tell.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The modules from the bottom up. One imports from lower floors, and on its own floor only from
/// those that stand before it; collectors never import from each other.
const FLOORS: &[(&str, &[&str])] = &[
    (
        "values",
        &[
            "units",
            "sync",
            "point",
            "items",
            "element",
            "reply",
            "labels",
            "logical_systems",
            "schedule",
            "federate::cron",
            "federate::windows",
        ],
    ),
    (
        "codecs",
        &[
            "netconf::framing",
            "output::layout",
            "output::line_protocol",
            "output::json",
            "output::exposition",
            "output::http",
            "dependency::inventory",
            "dependency::exposition_text",
            "collector",
            "federate::answer",
        ],
    ),
    (
        "domain",
        &[
            "dependency",
            "dependency::netstat",
            "dependency::map",
            "dependency::traffic",
            "dependency::enrich",
            "collectors",
            "federate::exclusions",
            "federate::roll_up",
            "bigquery::rows",
        ],
    ),
    (
        "edges",
        &[
            "sys",
            "secret",
            "http_client",
            "netconf",
            "netconf::local",
            "netconf::ssh",
            "output::spool",
            "output::queue",
            "output::latest",
            "output::logins",
            "output",
            "output::stdout",
            "output::influxdb",
            "output::kafka",
            "output::prometheus",
            "dependency::sockets",
            "dependency::source",
            "output::remote_write",
            "federate::progress",
            "federate::query",
            "federate::jobs",
            "federate",
            "bigquery::influxql",
            "bigquery::token",
            "bigquery",
            "bigquery::insert",
            "bigquery::load",
        ],
    ),
    ("wiring", &["config", "log_to", "own_metrics", "poller", "federate::feed", "daemon"]),
    ("face", &["reference", "cli", "lib", "main"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below a folder, and their text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root()).unwrap().to_path_buf(), text));
            }
        }
    }
    found.sort();
    found
}

/// `src/output/json.rs` is `output::json`, `src/output/mod.rs` is `output`.
fn module(path: &Path) -> String {
    let path = path.strip_prefix("src").unwrap().with_extension("");
    let names: Vec<_> = path.iter().map(|name| name.to_str().unwrap()).collect();
    names.join("::").trim_end_matches("::mod").to_string()
}

/// A file's lines without its unit tests and comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end].lines().map(|line| line.split("//").next().unwrap())
}

/// The paths that the code of a module takes from the crate, whole: `a::{b, c::d}` is two.
fn imports(module: &str, text: &str) -> BTreeSet<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let own = if text.contains("\npub mod ") || parent.is_empty() { module } else { parent };
    let code: Vec<&str> = code(text).collect();
    let code = code.join("\n");
    let mut paths = BTreeSet::new();
    for (start, before) in [("crate::", ""), ("super::", own)] {
        for (at, _) in code.match_indices(start) {
            spread(before, &code[at + start.len()..], &mut paths);
        }
    }
    paths
}

/// Adds the paths that a use tree holds behind a prefix; what of the text is left.
fn spread<'a>(prefix: &str, tree: &'a str, paths: &mut BTreeSet<String>) -> &'a str {
    let tree = tree.trim_start();
    if let Some(mut rest) = tree.strip_prefix('{') {
        loop {
            rest = spread(prefix, rest, paths).trim_start();
            match rest.strip_prefix(',') {
                Some(more) if more.trim_start().starts_with('}') => rest = more.trim_start(),
                Some(more) => rest = more,
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = tree.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(tree.len());
    let separator = if prefix.is_empty() || end == 0 { "" } else { "::" };
    let path = format!("{prefix}{separator}{}", &tree[..end]);
    match tree[end..].strip_prefix("::") {
        Some(rest) => spread(&path, rest, paths),
        None => {
            paths.insert(path);
            &tree[end..]
        }
    }
}

#[test]
fn use_trees_are_spread() {
    let text = "use crate::a::{self, b::{C, D}, e};\nfn f() { crate::g::h(super::i) }\n";
    let found = imports("x::y", text);
    let expected = ["a::b::C", "a::b::D", "a::e", "a::self", "g::h", "x::i"];
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn modules_import_only_from_below() {
    let order: Vec<&str> = FLOORS.iter().flat_map(|(_, modules)| modules.iter().copied()).collect();
    let place: BTreeMap<&str, usize> = order.iter().enumerate().map(|(i, m)| (*m, i)).collect();
    let known = |path: &str| {
        let mut path = path;
        loop {
            match (place.get_key_value(path), path.rsplit_once("::")) {
                (Some((name, at)), _) => return Some((*name, *at)),
                (None, Some((shorter, _))) => path = shorter,
                (None, None) => return None,
            }
        }
    };
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let module = module(&path);
        let Some((own, at)) = known(&module) else {
            wrong.push(format!("{module}: say in tests/tidy.rs on which floor it stands"));
            continue;
        };
        for import in imports(&module, &text) {
            let sibling = module.starts_with("collectors::")
                && import.starts_with("collectors::")
                && !import.starts_with(&module);
            match known(&import) {
                Some((other, below)) if other != own && below > at => {
                    wrong.push(format!("{module} imports {import}, which stands above it"));
                }
                _ if sibling => wrong.push(format!("{module} imports {import}, a sibling")),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lines_are_short_and_code_is_safe_and_done() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src").into_iter().chain(sources("tests")) {
        let shown = path.display();
        for (number, line) in text.lines().enumerate() {
            if line.chars().count() > 100 {
                wrong.push(format!("{shown}:{}: longer than 100 columns", number + 1));
            }
            if line.ends_with(' ') {
                wrong.push(format!("{shown}:{}: ends with a blank", number + 1));
            }
        }
        if path.ends_with("tests/tidy.rs") {
            continue;
        }
        let code: Vec<&str> = code(&text).collect();
        let code = code.join("\n");
        let mut words = vec!["#[ignore", "todo!(", "unimplemented!(", "dbg!(", "async fn"];
        if path.starts_with("src") && !path.ends_with("src/sys.rs") {
            words.extend(["unsafe {", "unsafe fn", "unsafe impl", "allow(unsafe_code)"]);
        }
        for word in words {
            if code.contains(word) {
                wrong.push(format!("{shown}: has `{word}`"));
            }
        }
        if path.starts_with("src") && !text.starts_with("//! ") {
            wrong.push(format!("{shown}: does not say what it is for"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Threads only: no runtime, not even one that a dependency hides.
#[test]
fn no_dependency_brings_an_async_runtime() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "-e", "normal", "--prefix", "none"])
        .arg("--all-features")
        .current_dir(root())
        .output()
        .unwrap();
    let text = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    assert!(text.starts_with("perijove "), "{text}");
    let runtimes = ["tokio", "async-std", "smol", "futures-executor", "async-executor", "mio"];
    for line in text.lines() {
        let name = line.split(' ').next().unwrap();
        assert!(!runtimes.contains(&name), "{line}");
    }
}
