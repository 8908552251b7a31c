//! Whether the dashboards for Prometheus and for InfluxDB show the same.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::common::influxd::Influxd;
use super::common::prometheus::Prometheus;
use super::queries::{FLAVOURS, files, packaging, with_values};

/// The panels whose rows or series are not as many, or whose values are not the same.
pub fn differences(prometheus: &Prometheus, influxd: &Influxd) -> Vec<String> {
    let [by_name, others] = FLAVOURS.map(|flavour| files(&packaging("grafana").join(flavour)));
    let mut different = Vec::new();
    for (name, text) in by_name.iter().filter(|(name, _)| *name != "dependencies.json") {
        let [ours, theirs] = [text, &others[name]].map(|text| {
            let dashboard: Json = serde_json::from_str(text).expect("JSON");
            dashboard["panels"].as_array().expect("panels").clone()
        });
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours["title"], theirs["title"]);
            // Events are in InfluxDB alone, and nothing changes here.
            if ours["title"] == "Events" {
                continue;
            }
            let (promql, influxql) = (texts(ours, "expr"), texts(theirs, "query"));
            let is_table = ours["type"] == "table";
            let pairs: Vec<(&[String], &String)> = match is_table {
                // A query for each column, against one for all.
                true => influxql.iter().map(|query| (&promql[..], query)).collect(),
                false => promql.chunks(1).zip(&influxql).collect(),
            };
            for (promql, influxql) in pairs {
                let samples = promql.iter().flat_map(|expr| prometheus.query(expr));
                let series = influxd.query(influxql);
                let same = match is_table {
                    true => {
                        let labels: BTreeSet<_> = samples.map(|(labels, _)| labels).collect();
                        let number = series.iter().flat_map(rows).count();
                        number > 0 && labels.len() == number
                    }
                    false => {
                        // No light is -Inf dBm here, and in line protocol the floor of -40 dBm.
                        let here: Vec<f64> = samples.map(|(_, value)| value).collect();
                        let finite: Vec<f64> =
                            here.iter().copied().filter(|value| value.is_finite()).collect();
                        let last = |series| rows(series).last().and_then(|row| row[1].as_f64());
                        let there: Vec<f64> = series.iter().filter_map(last).collect();
                        // Time changes these.
                        let moves = ["rate(", "increase(", "perijove_"];
                        let moves = moves.iter().any(|word| promql[0].contains(word));
                        !there.is_empty()
                            && here.len() == there.len()
                            && (moves || all_in(&sorted(finite), &sorted(there)))
                    }
                };
                if !same {
                    different.push(format!("{name}, {}: {promql:?} {influxql}", ours["title"]));
                }
            }
        }
    }
    different
}

/// The queries of a panel.
fn texts(panel: &Json, key: &str) -> Vec<String> {
    let targets = panel["targets"].as_array().into_iter().flatten();
    targets.map(|target| with_values(target[key].as_str().expect("a query"))).collect()
}

/// In order, and without what adding and subtracting in another order changes.
fn sorted(values: Vec<f64>) -> Vec<i64> {
    let mut sorted: Vec<i64> = values.iter().map(|value| (value * 1e4).round() as i64).collect();
    sorted.sort_unstable();
    sorted
}

/// Whether each value of the one, in order, is in the other as often.
fn all_in(some: &[i64], all: &[i64]) -> bool {
    let mut all = all.iter();
    some.iter().all(|value| all.any(|other| other == value))
}

/// The rows of a series that have a value besides their time.
pub fn rows(series: &Json) -> impl Iterator<Item = &Vec<Json>> {
    let rows = series["values"].as_array().into_iter().flatten().filter_map(Json::as_array);
    rows.filter(|row| row[1..].iter().any(|value| !value.is_null()))
}
