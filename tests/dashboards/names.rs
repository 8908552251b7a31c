//! The names that dashboards may use, and what a query names besides.

use std::collections::{BTreeMap, BTreeSet};

use perijove::daemon::own_metrics;
use perijove::dependency::{ledger, map, source, traffic};
use perijove::federate::jobs;
use perijove::output::exposition::metric;
use perijove::point::{Kind, Schema};
use perijove::poll::registry;

use super::queries::Query;

/// The names that there are: labels by metric, tags and fields by measurement.
pub struct Known {
    pub metrics: BTreeMap<String, BTreeSet<String>>,
    measurements: BTreeMap<String, BTreeSet<String>>,
}

impl Known {
    pub fn new() -> Known {
        let mut known = Known { metrics: BTreeMap::new(), measurements: BTreeMap::new() };
        // junos_exporter's own, which only the Prometheus output has.
        known.metrics.insert("junos_up".into(), BTreeSet::from(["target".into()]));
        let of_collectors = registry::collectors().iter().flat_map(|entry| entry.measurements);
        let others = [source::MEASUREMENTS, map::MEASUREMENTS, traffic::MEASUREMENTS];
        let own = [ledger::MEASUREMENTS, jobs::MEASUREMENTS, own_metrics::MEASUREMENTS];
        let others = others.into_iter().chain(own);
        for schema in of_collectors.chain(others.flatten()) {
            known.add(*schema);
        }
        known
    }

    fn add(&mut self, schema: &dyn Schema) {
        let fields: Vec<_> = (0..schema.fields()).map(|index| schema.field(index)).collect();
        let tags = schema.tags().iter().copied().chain(["re_name"]);
        let infos = fields.iter().filter(|field| field.kind == Kind::Info);
        let labels = tags.clone().chain(["target"]).chain(infos.map(|field| field.label));
        // Prometheus has an `instance` of its own.
        let scraped = |label| if label == "instance" { "exported_instance" } else { label };
        let labels: BTreeSet<String> = labels.map(|label| scraped(label).to_string()).collect();
        for field in fields.iter().filter(|f| matches!(f.kind, Kind::Counter | Kind::Gauge)) {
            let name = metric(schema.name(), field.name);
            self.metrics.entry(name).or_default().extend(labels.clone());
        }
        let names = tags.chain(["host"]).chain(fields.iter().map(|field| field.name));
        let measurement = self.measurements.entry(schema.name().into()).or_default();
        measurement.extend(names.map(String::from));
    }

    /// What a PromQL expression names that is not there.
    pub fn missing_in_promql(&self, query: &Query) -> Vec<String> {
        let quoted: Vec<&str> = query.text.split('"').collect();
        let bare = quoted.iter().step_by(2).copied().collect::<Vec<_>>().join("\"\"");
        let mut labels = query.legend.clone();
        let mut missing = Vec::new();
        let mut there = BTreeSet::new();
        for word in words(&bare).filter(|word| is_metric(word)) {
            match self.metrics.get(word) {
                Some(labels) => there.extend(labels.clone()),
                None => missing.push(word.to_string()),
            }
        }
        for (opening, closing) in [("{", '}'), ("by (", ')')] {
            for rest in bare.split(opening).skip(1) {
                let inner = rest.split(closing).next().unwrap_or_default();
                labels.extend(words(inner).map(String::from));
            }
        }
        // label_join(…, "new", " > ", "old") makes a label.
        let made = quoted.windows(3).filter(|parts| parts[2] == " > " && parts[1] == ", ");
        there.extend(made.map(|parts| parts[0].to_string()));
        // A variable may ask for several metrics by a pattern of their names.
        let is_missing =
            |label: &String| label != "__name__" && !there.is_empty() && !there.contains(label);
        missing.extend(labels.into_iter().filter(is_missing));
        missing
    }

    /// What an InfluxQL statement names that is not there; it has all names in quotes.
    pub fn missing_in_influxql(&self, query: &Query) -> Vec<String> {
        let parts: Vec<&str> = query.text.split('"').collect();
        let (mut missing, mut there) = (Vec::new(), BTreeSet::new());
        let mut named = query.legend.clone();
        for [before, name] in parts.as_chunks().0 {
            let (before, name) = (before.trim_end(), name.to_string());
            let measurement = self.measurements.get(&name);
            match (before.ends_with("FROM") || before == ",", before.ends_with("AS")) {
                (true, _) if measurement.is_some() => there.extend(measurement.cloned().unwrap()),
                // A field that keeps its name has to be a field all the same.
                (_, true) if named.last() == Some(&name) => {}
                (_, true) => drop(there.insert(name)),
                _ => named.push(name),
            }
        }
        missing.extend(named.into_iter().filter(|name| !there.contains(name)));
        missing
    }
}

pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

pub fn is_metric(word: &str) -> bool {
    ["junos_", "perijove_", "planet_"].iter().any(|prefix| word.starts_with(prefix))
}
