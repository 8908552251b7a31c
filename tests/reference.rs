//! The reference is what the code says, and what the code says fits together.

#[path = "common/needs.rs"]
mod needs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use needs::{SHARED, skips};
use perijove::cli::reference;
use perijove::collector::Entry;
use perijove::collector::settings::Key;
use perijove::daemon::own_metrics;
use perijove::output::exposition::metric;
use perijove::point::{Kind, Schema, Type};
use perijove::poll::registry;
use toml::de::DeTable;

#[test]
fn docs_collectors_md_is_made_from_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/collectors.md");
    let all: Vec<&Entry> = registry::collectors().iter().collect();
    let made = reference::markdown(&all);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, made).unwrap();
    } else {
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        let hint = "UPDATE=1 cargo test --test reference writes it anew";
        assert!(made == found, "{} is not what the code says; {hint}", path.display());
    }
}

/// A comment of perijove.toml says how a setting is written. `UPDATE` adds those that it lacks,
/// with the first of some values that fits.
#[test]
fn the_example_file_has_every_setting() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/perijove.toml");
    let mut file = std::fs::read_to_string(&path).unwrap();
    for (entry, key) in
        registry::collectors().iter().flat_map(|e| e.keys.iter().map(move |k| (e, k)))
    {
        let (line, table) = (format!("\n#{} = ", key.name), format!(".{}]\n", key.name));
        let has = |file: &str| file.contains(&line) || file.contains(&table);
        if !has(&file) && std::env::var_os("UPDATE").is_some() {
            let before = file.find("\n# Where readings go:").expect("the outputs");
            file.insert_str(before, &example(entry, key));
            std::fs::write(&path, &file).unwrap();
        }
        let hint = "UPDATE=1 cargo test --test reference adds it";
        assert!(has(&file), "perijove.toml lacks {} of {}; {hint}", key.name, entry.name);
        assert!(key.help.ends_with('.'), "{} of {}: {}", key.name, entry.name, key.help);
    }
}

/// How the example file shows a setting.
fn example(entry: &Entry, key: &Key) -> String {
    let fits = |value: &&str| {
        let text = format!("{} = {value}", key.name);
        DeTable::parse(&text).is_ok_and(|table| entry.configure(table).is_ok())
    };
    let value = ["false", "[]", "\".*\"", "1", "{}"].into_iter().find(fits);
    let value = value.unwrap_or_else(|| panic!("write {} into perijove.toml by hand", key.name));
    let mut lines = vec![String::from("#")];
    for word in format!("For {}: {}", entry.name, key.help).split_ascii_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 100 => *line += &format!(" {word}"),
            _ => lines.push(format!("# {word}")),
        }
    }
    format!("{}\n#[collector.{}]\n#{} = {value}\n", lines.join("\n"), entry.name, key.name)
}

#[test]
fn the_readme_counts_the_collectors() {
    let said = format!("\n{} collectors: ", registry::collectors().len());
    assert!(include_str!("../README.md").contains(&said), "README.md does not say {said:?}");
}

/// Every measurement, with the collector that has it.
fn measurements() -> impl Iterator<Item = (&'static str, &'static dyn Schema)> {
    let of = |entry: &'static Entry| entry.measurements.iter().map(|schema| (entry.name, *schema));
    let own = own_metrics::MEASUREMENTS.iter().map(|schema| ("perijove", *schema));
    registry::collectors().iter().flat_map(of).chain(own)
}

/// InfluxDB refuses a field whose type changes, and Prometheus a family whose type does.
#[test]
fn a_field_has_one_type_wherever_it_is_made() {
    let mut known: BTreeMap<(&str, &str), (Type, Kind, &str)> = BTreeMap::new();
    for (collector, schema) in measurements() {
        for field in (0..schema.fields()).map(|index| schema.field(index)) {
            let (ty, kind, by) = *known
                .entry((schema.name(), field.name))
                .or_insert((field.ty, field.kind, collector));
            let what = format!("{}.{} of {collector} and {by}", schema.name(), field.name);
            assert_eq!((ty, kind), (field.ty, field.kind), "{what}");
        }
    }
}

#[test]
fn no_two_names_of_a_point_are_the_same() {
    let mut tags_of: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (_, schema) in measurements() {
        tags_of.entry(schema.name()).or_default().extend(schema.tags());
    }
    for (collector, schema) in measurements() {
        let tags = &tags_of[schema.name()];
        let mut labels: BTreeSet<&str> = schema.tags().iter().copied().collect();
        let mut names = BTreeSet::new();
        for field in (0..schema.fields()).map(|index| schema.field(index)) {
            let what = format!("{collector}: {} of {}", field.name, schema.name());
            assert!(names.insert(field.name), "{what} is there twice");
            assert!(!tags.contains(field.name), "{what} is a tag and a field");
            let label = field.kind != Kind::Info || labels.insert(field.label);
            assert!(label, "{what} has a label that another has");
        }
        // JSON's `node` stands apart from the tags.
        for reserved in ["target", "host"] {
            assert!(!labels.contains(reserved), "{collector}: {reserved} is the router's");
        }
    }
}

/// junos_exporter's names are kept as they are; others say what they are as Prometheus has it.
#[test]
fn names_of_our_own_end_in_total_for_counters_alone() {
    if skips(&[SHARED]) {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SHARED).join("facts/metrics.tsv");
    let table = std::fs::read_to_string(path).unwrap();
    let theirs = table.replace('-', "_");
    let theirs: BTreeSet<&str> =
        theirs.lines().filter_map(|line| line.split('\t').nth(1)).collect();
    for (collector, schema) in measurements() {
        for field in (0..schema.fields()).map(|index| schema.field(index)) {
            let name = metric(schema.name(), field.name);
            let number = matches!(field.kind, Kind::Counter | Kind::Gauge);
            if number && !theirs.contains(&*name) && name.starts_with("junos_") {
                let counter = field.kind == Kind::Counter;
                assert_eq!(name.ends_with("_total"), counter, "{collector}: {name}");
                assert!(!name.ends_with("_count"), "{collector}: {name}");
            }
        }
    }
}

/// What ../shared has of junos_exporter's metrics, for the collectors that are there.
#[test]
fn every_metric_of_junos_exporter_is_stated() {
    if skips(&[SHARED]) {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SHARED).join("facts/metrics.tsv");
    let table = std::fs::read_to_string(path).unwrap();
    let mut missing = Vec::new();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for line in table.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [collector, name, kind, labels, path, ..] = columns[..] else { panic!("{line}") };
        // Declared there, but never given a value.
        if path == "-" {
            continue;
        }
        let Some(entry) = perijove::poll::registry::find(collector) else { continue };
        let (stated, all) = counts.entry(collector).or_default();
        *all += 1;
        // One of its names has a hyphen, which no metric's name may have.
        match lack(entry, &name.replace('-', "_"), kind, labels) {
            None => *stated += 1,
            Some(why) => missing.push(format!("{collector} {name}: {why}")),
        }
    }
    for (collector, (stated, all)) in counts {
        println!("{collector}: metrics stated {stated} of {all}");
    }
    assert!(missing.is_empty(), "{} metrics:\n{}", missing.len(), missing.join("\n"));
}

/// What a collector's schema lacks of a metric.
fn lack(entry: &Entry, name: &str, kind: &str, labels: &str) -> Option<String> {
    let mut found = false;
    let mut lacking: BTreeSet<&str> = labels.split(',').filter(|label| !label.is_empty()).collect();
    for schema in entry.measurements {
        let fields: Vec<_> = (0..schema.fields()).map(|index| schema.field(index)).collect();
        let named = fields.iter().find(|field| metric(schema.name(), field.name) == name);
        let Some(field) = named else { continue };
        found = true;
        let ours = if field.kind == Kind::Counter { "counter" } else { "gauge" };
        if !kind.is_empty() && ours != kind {
            return Some(format!("is a {ours}, not a {kind}"));
        }
        let infos = fields.iter().filter(|field| field.kind == Kind::Info);
        for label in schema.tags().iter().copied().chain(infos.map(|field| field.label)) {
            lacking.remove(label);
        }
    }
    match (found, lacking.is_empty()) {
        (false, _) => Some("is not there".into()),
        (true, false) => Some(format!("lacks the labels {lacking:?}")),
        (true, true) => None,
    }
}

/// The names in the declarations of events are those of the measurement's tags and fields.
#[test]
fn events_name_what_there_is() {
    let mut kinds = BTreeSet::new();
    for (collector, schema) in measurements() {
        let unknown = perijove::event::plan::unknown_names(schema);
        assert_eq!(unknown, [""; 0], "{collector}");
        let rules = (0..schema.fields()).filter_map(|index| schema.field(index).event);
        kinds.extend(rules.map(|rule| rule.kind).filter(|kind| !kind.is_empty()));
    }
    // docs/events.md has each kind in its table.
    let document = include_str!("../docs/events.md");
    let missing: Vec<&&str> =
        kinds.iter().filter(|kind| !document.contains(&format!("`{kind}`"))).collect();
    assert!(missing.is_empty() && kinds.len() > 30, "{missing:?} of {}", kinds.len());
}
