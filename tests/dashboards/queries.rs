//! The queries of the dashboards' files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

pub fn packaging(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(path)
}

pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub const FLAVOURS: [&str; 2] = ["prometheus", "influxdb"];

/// The dashboards' files in a folder, by their names.
pub fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).expect("a folder of dashboards");
    let read = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().expect("a name"), read(&entry.path()))
    };
    entries.map(|entry| read(entry.expect("an entry"))).collect()
}

/// One query of a dashboard: where it stands, its text, and the names that its legend takes.
pub struct Query {
    pub place: String,
    pub text: String,
    pub legend: Vec<String>,
}

pub fn queries(flavour: &str) -> Vec<Query> {
    let mut found = Vec::new();
    for (file, text) in files(&packaging("grafana").join(flavour)) {
        let dashboard: Json = serde_json::from_str(&text).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            // tests/events.rs asks these: where nothing changes, they give nothing.
            if panel["title"] == "Events" {
                continue;
            }
            for target in panel["targets"].as_array().into_iter().flatten() {
                let legend = target["legendFormat"].as_str().or(target["alias"].as_str());
                let tag = |word: &str| {
                    let inner = word.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
                    inner.or(word.strip_prefix("$tag_")).map(String::from)
                };
                let query = target["expr"].as_str().or(target["query"].as_str());
                found.push(Query {
                    place: format!("{flavour}/{file}, {}", panel["title"]),
                    text: query.expect("a query").to_string(),
                    legend: legend.unwrap_or_default().split(' ').filter_map(tag).collect(),
                });
            }
        }
        for variable in dashboard["templating"]["list"].as_array().expect("variables") {
            if variable["type"] == "query" {
                found.push(Query {
                    place: format!("{flavour}/{file}, variable {}", variable["name"]),
                    text: as_query(variable["query"].as_str().expect("a query")),
                    legend: Vec::new(),
                });
            }
        }
    }
    assert!(found.len() > 50, "{} queries", found.len());
    found
}

/// What Grafana makes of `label_values(SELECTOR, LABEL)`, as an expression.
pub fn as_query(variable: &str) -> String {
    let inner = variable.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let split = inner.and_then(|inner| inner.rsplit_once(", "));
    split.map_or(variable.into(), |(of, label)| format!("count by ({label}) ({of})"))
}

/// As Grafana asks with all routers, interfaces and services chosen.
pub fn with_values(query: &str) -> String {
    with_routers(query, &[])
}

/// As Grafana asks with these routers chosen, or all if there are none; and all of the rest.
pub fn with_routers(query: &str, routers: &[String]) -> String {
    // Grafana escapes what is special in a regular expression, and in PromQL the backslash too.
    let names = routers.join("|").replace('.', "\\.");
    let pattern = if routers.is_empty() { ".*".into() } else { format!("({names})") };
    let mut query = query.to_string();
    for (name, pattern) in
        [("target", &*pattern), ("interface", ".*"), ("group", ".*"), ("service", ".*")]
    {
        query = query.replace(&format!("${{{name}:regex}}"), pattern);
        let quoted = format!("\"{}\"", pattern.replace('\\', "\\\\"));
        query = query.replace(&format!("\"${name}\""), &quoted);
    }
    for (name, value) in [
        ("$__rate_interval", "20s"),
        ("$__interval", "1s"),
        ("$timeFilter", "time > now() - 10m"),
        ("$within", "5m"),
    ] {
        query = query.replace(name, value);
    }
    // What is left is the end of a regular expression.
    assert_eq!(query.matches('$').count(), query.matches("$/").count(), "{query}");
    query
}
