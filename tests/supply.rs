//! What perijove is built from: crates of one registry, under licences that let it be given on,
//! each in one version; and the C libraries, in the versions that SECURITY.md lists.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each may stand beside the MIT licence of perijove; `packaging/licenses` gives their texts.
const LICENCES: &[&str] =
    &["0BSD", "Apache-2.0", "BSD-3-Clause", "MIT", "Unicode-3.0", "Unlicense", "Zlib"];

/// Crates that are there in more than one version, with who brings the second: syn is needed by
/// macros alone, and is no part of the program.
const TWICE: &[&str] = &["syn"];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The systems that perijove is built for.
const SYSTEMS: &[&str] = &["x86_64-unknown-linux-gnu", "x86_64-unknown-freebsd"];

fn packages() -> Vec<Value> {
    let mut arguments = vec!["metadata", "--locked", "--format-version", "1"];
    arguments.extend(SYSTEMS.iter().flat_map(|system| ["--filter-platform", system]));
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo metadata");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

fn text<'a>(package: &'a Value, key: &str) -> &'a str {
    package[key].as_str().unwrap_or_default()
}

/// Whether one may choose licences that are all known: `OR` and `/` let choose, `AND` does not.
fn is_licensed(expression: &str) -> bool {
    let all = expression.replace(['(', ')'], " ").replace('/', " OR ");
    all.split(" AND ")
        .all(|choice| choice.split(" OR ").any(|name| LICENCES.contains(&name.trim())))
}

#[test]
fn licence_expressions_are_read() {
    for (expression, expected) in [
        ("MIT", true),
        ("MIT/Apache-2.0", true),
        ("GPL-3.0-only OR MIT", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("MIT AND GPL-3.0-only", false),
        ("GPL-3.0-only", false),
        ("", false),
    ] {
        assert_eq!(is_licensed(expression), expected, "{expression}");
    }
}

#[test]
fn crates_have_a_known_licence_source_and_one_version() {
    let mut wrong = Vec::new();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        let (name, version) = (text(&package, "name"), text(&package, "version"));
        versions.entry(name.into()).or_default().insert(version.into());
        if !is_licensed(text(&package, "license")) {
            wrong.push(format!("{name} {version}: the licence {}", package["license"]));
        }
        let own = ["perijove", "perijove-router"].contains(&name);
        if !own && text(&package, "source") != REGISTRY {
            wrong.push(format!("{name} {version}: the source {}", package["source"]));
        }
    }
    for (name, versions) in &versions {
        if (versions.len() > 1) != TWICE.contains(&name.as_str()) {
            wrong.push(format!("{name}: the versions {versions:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A build with another library than the list says is one that nobody has looked at.
#[test]
#[cfg(feature = "vendored")]
fn built_in_libraries_are_those_of_security_md() {
    let output = Command::new(env!("CARGO_BIN_EXE_perijove")).arg("--version").output();
    let printed = String::from_utf8(output.expect("perijove").stdout).expect("text");
    let mut lines = printed.lines();
    let own = concat!("perijove ", env!("CARGO_PKG_VERSION"));
    assert_eq!(lines.next(), Some(own));
    let built = lines.filter_map(|line| line.split_once(' '));
    let built: Vec<(&str, &str)> =
        built.filter(|(name, _)| !["commit", "features"].contains(name)).collect();
    let list = include_str!("../SECURITY.md");
    for (library, version) in &built {
        assert!(list.contains(&format!("\n| {library} | {version} |\n")), "{library} {version}");
    }
    let kafka = cfg!(feature = "kafka").then_some("librdkafka");
    let names: Vec<&str> = built.iter().map(|(library, _)| *library).collect();
    let expected: Vec<&str> = ["OpenSSL", "libssh2"].into_iter().chain(kafka).collect();
    assert_eq!(names, expected);
}
