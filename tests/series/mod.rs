//! Series of Prometheus exposition text, read by other means than those that wrote it.
//! Each test file uses a part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;

use perijove::collector::Entry;
use perijove::output::exposition;
use perijove::point::{Batch, Points};
use serde::{Deserialize, Deserializer};

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Series {
    pub name: String,
    /// `counter` or `gauge`.
    #[serde(rename = "type")]
    pub kind: String,
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "number")]
    pub value: f64,
}

fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

impl Series {
    /// Label values trimmed; an empty one is none.
    pub fn normal(mut self) -> Series {
        self.labels = self.labels.into_iter().map(|(n, v)| (n, v.trim().to_string())).collect();
        self.labels.retain(|_, value| !value.is_empty());
        self
    }

    /// A label's value, empty where there is none.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// The series without a label.
    pub fn without(&self, label: &str) -> Series {
        let mut series = self.clone();
        series.labels.remove(label);
        series
    }
}

impl std::fmt::Display for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let labels: Vec<String> = self.labels.iter().map(|(n, v)| format!("{n}={v:?}")).collect();
        let Series { name, kind, value, .. } = self;
        write!(f, "{kind} {name}{{{}}} {value}", labels.join(","))
    }
}

/// The points' series, and how many were left out as duplicates.
pub fn exposition(entry: &Entry, points: &Points) -> (Vec<Series>, u64) {
    let batch = Batch { node: "", collector: entry.name, time_ns: 0, points };
    let mut text = Vec::new();
    let duplicates = exposition::write(&[batch], &mut text).unwrap();
    (read(&String::from_utf8(text).unwrap()), duplicates)
}

/// The series of a text.
pub fn read(text: &str) -> Vec<Series> {
    let mut kind = "";
    let mut all = Vec::new();
    for line in text.lines() {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            kind = family.rsplit_once(' ').expect("a family has a type").1;
        } else if !line.starts_with('#') {
            all.push(sample(line, kind).normal());
        }
    }
    all
}

/// `name{label="value",…} value`.
fn sample(line: &str, kind: &str) -> Series {
    let name_end = line.find(['{', ' ']).expect("a sample has a value");
    let name = line[..name_end].to_string();
    let mut labels = BTreeMap::new();
    let mut rest = &line[name_end..];
    while let Some(label) = rest.strip_prefix(['{', ',']) {
        let (name, value) = label.split_once("=\"").expect("a label has a value");
        let mut text = String::new();
        let mut characters = value.char_indices();
        loop {
            match characters.next().expect("a label's value ends") {
                (_, '\\') => match characters.next().expect("an escape has two characters").1 {
                    'n' => text.push('\n'),
                    other => text.push(other),
                },
                (end, '"') => {
                    rest = &value[end + 1..];
                    break;
                }
                (_, other) => text.push(other),
            }
        }
        assert!(labels.insert(name.to_string(), text).is_none(), "a label twice: {line}");
    }
    let value = rest.strip_prefix('}').unwrap_or(rest).trim().parse().expect(line);
    Series { name, kind: kind.to_string(), labels, value }
}
