//! What the code keeps to, where a test can tell.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders from the bottom up: each imports only from those before it. ARCHITECTURE.md has the
/// same table, and what each holds.
const FLOORS: &[&str] = &[
    "base",
    "point",
    "event",
    "xml",
    "netconf",
    "collector",
    "collectors",
    "output",
    "syslog",
    "picture",
    "serve",
    "dependency",
    "federate",
    "bigquery",
    "poll",
    "fleet",
    "config",
    "daemon",
    "cli",
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

/// The modules that a folder's `mod.rs` lists, in its order.
fn listed(text: &str) -> Vec<&str> {
    let names = code(text).filter_map(|line| {
        let rest = line.trim().strip_prefix("pub ").unwrap_or(line.trim());
        rest.strip_prefix("mod ")?.strip_suffix(';')
    });
    names.collect()
}

/// Where a path of modules leads: its folder, and the file in it.
fn place<'a>(path: &'a str, files: &[&str]) -> (&'a str, Option<&'a str>) {
    let (folder, rest) = path.split_once("::").unwrap_or((path, ""));
    let file = rest.split("::").next().unwrap_or_default();
    (folder, Some(file).filter(|file| files.contains(file)))
}

/// A folder imports from folders before it, a file from files of its folder before it. What a
/// folder's `mod.rs` holds stands either below all its files or above them.
#[test]
fn imports_go_down() {
    let mut sources = sources("src");
    // Tests import what they like, in a file of their own as well.
    sources.retain(|(path, _)| !path.ends_with("tests.rs"));
    let lib = &sources.iter().find(|(path, _)| path.ends_with("src/lib.rs")).unwrap().1;
    assert_eq!(listed(lib), FLOORS, "src/lib.rs lists the folders in the order of the floors");
    let mut wrong = Vec::new();
    for (floor, folder) in FLOORS.iter().enumerate() {
        let of_folder =
            || sources.iter().filter(|(path, _)| path.starts_with(format!("src/{folder}")));
        let (_, text) = of_folder().find(|(path, _)| module(path) == *folder).unwrap();
        let files = listed(text);
        let (mut below_files, mut above_files) = (Vec::new(), Vec::new());
        for (path, text) in of_folder() {
            let module = module(path);
            let own = place(&module, &files).1;
            if own.is_none() {
                // A path from `mod.rs` into one of its files needs no prefix.
                let code = code(text).collect::<Vec<_>>().join("\n");
                let named = files.iter().filter(|file| {
                    code.match_indices(&format!("{file}::")).any(|(at, _)| {
                        !code[..at].ends_with(|c: char| c == ':' || c == '_' || c.is_alphanumeric())
                    })
                });
                above_files.extend(named.map(|file| format!("{module} imports {module}::{file}")));
            }
            for import in imports(&module, text) {
                let (other_folder, other) = place(&import, &files);
                let Some(other_floor) = FLOORS.iter().position(|name| *name == other_folder) else {
                    continue;
                };
                if other_floor > floor {
                    wrong.push(format!("{module} imports {import}, which stands above it"));
                }
                if other_floor != floor || own == other {
                    continue;
                }
                let at = |file| files.iter().position(|name| *name == file);
                match (own, other) {
                    (Some(_), Some(_)) if *folder == "collectors" => {
                        wrong.push(format!("{module} imports {import}, another collector"));
                    }
                    (Some(own), Some(other)) if at(other) > at(own) => {
                        wrong.push(format!("{module} imports {import}, listed after it"));
                    }
                    (None, Some(_)) => above_files.push(format!("{module} imports {import}")),
                    (Some(_), None) => below_files.push(format!("{module} imports {import}")),
                    _ => {}
                }
            }
        }
        if let (Some(above), Some(below)) = (above_files.first(), below_files.first()) {
            wrong.push(format!("src/{folder}/mod.rs is in a cycle: {above}, and {below}"));
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
        let binds = ["src/base/sys.rs", "src/netconf/libssh2/"];
        if path.starts_with("src") && !binds.iter().any(|place| shown.to_string().contains(place)) {
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

/// Documents speak of files by their path, or by its end (`poll/schedule.rs`).
#[test]
fn files_that_documents_name_are_there() {
    let files = ["src", "tests"].map(sources).concat();
    let ends_one = |name: &str| files.iter().any(|(path, _)| path.ends_with(name));
    let mut documents = Vec::new();
    for folder in ["", "docs"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            // Other projects' files are called likewise.
            if name.ends_with(".md") && !name.starts_with("upstream-") {
                documents.push(path);
            }
        }
    }
    let is_path = |text: &str| {
        let in_path = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "/._-".contains(c);
        text.contains('/') && text.replace("README", "").chars().all(in_path)
    };
    let mut wrong = Vec::new();
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        let on_floors = document.ends_with("ARCHITECTURE.md");
        for name in text.split('`').skip(1).step_by(2) {
            let first = name.split('/').next().unwrap_or("");
            let is_there = match name {
                _ if !is_path(name) => {
                    !name.ends_with(".rs") || name.contains('/') || ends_one(name)
                }
                _ if ["src", "tests", "packaging", "cross"].contains(&first) => {
                    root().join(name).exists()
                }
                _ if name.ends_with(".rs") => ends_one(name),
                _ if on_floors && FLOORS.contains(&first) => root().join("src").join(name).exists(),
                _ => true,
            };
            if !is_there {
                wrong.push(format!("{}: {name}", document.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these files are not there:\n{}", wrong.join("\n"));
}
