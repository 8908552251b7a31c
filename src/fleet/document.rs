//! A list of targets as Prometheus reads it from files (file_sd) and servers (http_sd): an array of
//! groups, each with targets and the labels of all of them.

use std::collections::BTreeMap;

use serde::Deserialize;

#[cfg(feature = "import")]
use crate::base::yaml::{self, Node};

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Group {
    pub targets: Vec<String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What a document is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
}

impl Format {
    /// As a file's name has it at its end; JSON where it says nothing else.
    pub fn of(name: &str) -> Format {
        match name.ends_with(".yml") || name.ends_with(".yaml") {
            true => Format::Yaml,
            false => Format::Json,
        }
    }
}

/// Reads a whole document. JSON that is not complete is refused; YAML does not tell.
pub fn read(text: &[u8], format: Format) -> Result<Vec<Group>, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let read = match format {
        Format::Json => serde_json::from_slice(text).map_err(|err| err.to_string()),
        Format::Yaml => read_yaml(text),
    };
    read.map_err(|why| format!("it is not a list of targets: {why}"))
}

#[cfg(feature = "import")]
fn read_yaml(text: &[u8]) -> Result<Vec<Group>, String> {
    let text = std::str::from_utf8(text).map_err(|err| err.to_string())?;
    yaml::read(text)?.list()?.iter().map(group).collect()
}

#[cfg(feature = "import")]
fn group(node: &Node) -> Result<Group, String> {
    let (mut targets, mut labels) = (None, BTreeMap::new());
    for (key, value) in node.map()? {
        match &**key {
            "targets" => {
                let texts = value.list()?.iter().map(|target| target.text().map(String::from));
                targets = Some(texts.collect::<Result<_, _>>()?);
            }
            "labels" => {
                for (name, value) in value.map()? {
                    labels.insert(name.clone(), value.text()?.into());
                }
            }
            _ => {}
        }
    }
    let targets = targets.ok_or_else(|| format!("line {}: a group has no targets", node.line))?;
    Ok(Group { targets, labels })
}

#[cfg(not(feature = "import"))]
fn read_yaml(_: &[u8]) -> Result<Vec<Group>, String> {
    Err("this perijove was built without YAML (the feature import): write the list as JSON".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(targets: &[&str], labels: &[(&str, &str)]) -> Group {
        let labels = labels.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Group { targets: targets.iter().map(|t| t.to_string()).collect(), labels: labels.collect() }
    }

    #[test]
    fn documents_of_both_formats() {
        let expected =
            [group(&["a:22", "b"], &[("site", "fra"), ("rack", "7")]), group(&["c"], &[])];
        let json = r#"[{"targets": ["a:22", "b"], "labels": {"site": "fra", "rack": "7"}, "x": 1},
                       {"targets": ["c"]}]"#;
        assert_eq!(read(json.as_bytes(), Format::Json).unwrap(), expected);
        for wrong in ["", "{}", "[{}]", "[{\"targets\": \"a\"}]", "[{\"targets\": [1]}]", "[1]"] {
            let said = read(wrong.as_bytes(), Format::Json).unwrap_err();
            assert!(said.starts_with("it is not a list of targets: "), "{wrong}: {said}");
        }
        if cfg!(feature = "import") {
            let yaml = "# ours\n- targets: ['a:22', b]\n  labels:\n    site: fra\n    rack: 7\n\
                        - targets:\n  - c\n";
            assert_eq!(read(yaml.as_bytes(), Format::Yaml).unwrap(), expected);
            assert_eq!(read(json.as_bytes(), Format::Yaml).unwrap(), expected);
            for wrong in ["a: b", "- labels: {}", "- targets: {a: b}", "- [a]", "- targets: [a"] {
                let said = read(wrong.as_bytes(), Format::Yaml).unwrap_err();
                assert!(said.starts_with("it is not a list of targets: "), "{wrong}: {said}");
            }
        }
        assert_eq!((Format::of("a.yml"), Format::of("yaml.json")), (Format::Yaml, Format::Json));
    }
}
