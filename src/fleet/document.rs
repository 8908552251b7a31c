//! A list of targets as Prometheus reads it from files (file_sd) and servers (http_sd): an array of
//! groups, each with targets and the labels of all of them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

#[cfg(feature = "import")]
use crate::base::yaml::{self, Node};

#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub targets: Vec<String>,
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

/// What a text, or a group, takes beside its bytes.
const TEXT_BYTES: usize = 64;
const GROUP_BYTES: usize = 128;

/// What of a document is kept: these labels, and so much memory.
pub struct Keep<'a> {
    labels: Vec<&'a str>,
    bytes_max: usize,
    bytes: Cell<usize>,
}

impl<'a> Keep<'a> {
    pub fn new(labels: Vec<&'a str>, bytes_max: usize) -> Keep<'a> {
        Keep { labels, bytes_max, bytes: Cell::new(0) }
    }

    fn take(&self, bytes: usize) -> Result<(), String> {
        let bytes = self.bytes.get() + bytes;
        self.bytes.set(bytes);
        let max = self.bytes_max;
        let why = || format!("its targets and labels take more than {max} bytes of memory");
        (bytes <= max).then_some(()).ok_or_else(why)
    }

    fn text(&self, text: &str) -> Result<(), String> {
        self.take(TEXT_BYTES + text.len())
    }
}

/// Reads a whole document; groups without a target are left out. JSON that is not complete is
/// refused; YAML does not tell.
pub fn read(text: &[u8], format: Format, keep: &Keep) -> Result<Vec<Group>, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let read = match format {
        Format::Json => read_json(text, keep).map_err(|err| err.to_string()),
        Format::Yaml => read_yaml(text, keep),
    };
    read.map_err(|why| format!("it is not a list of targets: {why}"))
}

fn read_json(text: &[u8], keep: &Keep) -> Result<Vec<Group>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let groups = Groups(keep).deserialize(&mut json)?;
    json.end()?;
    Ok(groups)
}

/// A part of a JSON document, of which so much is kept.
struct Groups<'a>(&'a Keep<'a>);
struct OneGroup<'a>(&'a Keep<'a>);
struct Targets<'a>(&'a Keep<'a>);
struct Labels<'a>(&'a Keep<'a>);

/// `DeserializeSeed` for a part that is a sequence or a map, and asks for one.
macro_rules! part {
    ($part:ident, $value:ty, $ask:ident) => {
        impl<'de> DeserializeSeed<'de> for $part<'_> {
            type Value = $value;
            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<$value, D::Error> {
                from.$ask(self)
            }
        }
    };
}
part!(Groups, Vec<Group>, deserialize_seq);
part!(OneGroup, Group, deserialize_map);
part!(Targets, Vec<String>, deserialize_seq);
part!(Labels, BTreeMap<String, String>, deserialize_map);

impl<'de> Visitor<'de> for Groups<'_> {
    type Value = Vec<Group>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of groups")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<Group>, A::Error> {
        let mut groups = Vec::new();
        while let Some(group) = from.next_element_seed(OneGroup(self.0))? {
            if !group.targets.is_empty() {
                self.0.take(GROUP_BYTES).map_err(A::Error::custom)?;
                groups.push(group);
            }
        }
        Ok(groups)
    }
}

impl<'de> Visitor<'de> for OneGroup<'_> {
    type Value = Group;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a group of targets")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Group, A::Error> {
        let (mut targets, mut labels) = (None, BTreeMap::new());
        while let Some(key) = from.next_key::<String>()? {
            match &*key {
                "targets" => targets = Some(from.next_value_seed(Targets(self.0))?),
                "labels" => labels = from.next_value_seed(Labels(self.0))?,
                _ => _ = from.next_value::<IgnoredAny>()?,
            }
        }
        let targets = targets.ok_or_else(|| A::Error::missing_field("targets"))?;
        Ok(Group { targets, labels })
    }
}

impl<'de> Visitor<'de> for Targets<'_> {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of targets")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<String>, A::Error> {
        let mut targets = Vec::new();
        while let Some(target) = from.next_element::<String>()? {
            self.0.text(&target).map_err(A::Error::custom)?;
            targets.push(target);
        }
        Ok(targets)
    }
}

impl<'de> Visitor<'de> for Labels<'_> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("labels")
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut from: A,
    ) -> Result<BTreeMap<String, String>, A::Error> {
        let mut labels = BTreeMap::new();
        while let Some((name, value)) = from.next_entry::<String, String>()? {
            if self.0.labels.contains(&&*name) {
                self.0.text(&name).map_err(A::Error::custom)?;
                self.0.text(&value).map_err(A::Error::custom)?;
                labels.insert(name, value);
            }
        }
        Ok(labels)
    }
}

#[cfg(feature = "import")]
fn read_yaml(text: &[u8], keep: &Keep) -> Result<Vec<Group>, String> {
    let text = std::str::from_utf8(text).map_err(|err| err.to_string())?;
    let read = yaml::read(text)?;
    let groups = read.list()?.iter().map(|node| group(node, keep));
    let has_target = |group: &Result<Group, String>| {
        group.as_ref().map_or(true, |group| !group.targets.is_empty())
    };
    groups.filter(has_target).collect()
}

#[cfg(feature = "import")]
fn group(node: &Node, keep: &Keep) -> Result<Group, String> {
    let (mut targets, mut labels) = (None, BTreeMap::new());
    keep.take(GROUP_BYTES)?;
    for (key, value) in node.map()? {
        match &**key {
            "targets" => {
                let texts = value.list()?.iter().map(|target| {
                    let target = target.text()?;
                    keep.text(target).map(|()| target.to_string())
                });
                targets = Some(texts.collect::<Result<_, _>>()?);
            }
            "labels" => {
                for (name, value) in value.map()? {
                    let value = value.text()?;
                    if keep.labels.contains(&&**name) {
                        keep.text(name)?;
                        keep.text(value)?;
                        labels.insert(name.clone(), value.into());
                    }
                }
            }
            _ => {}
        }
    }
    let targets = targets.ok_or_else(|| format!("line {}: a group has no targets", node.line))?;
    Ok(Group { targets, labels })
}

#[cfg(not(feature = "import"))]
fn read_yaml(_: &[u8], _: &Keep) -> Result<Vec<Group>, String> {
    Err("this perijove was built without YAML (the feature import): write the list as JSON".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], format: Format) -> Result<Vec<Group>, String> {
        super::read(text, format, &Keep::new(vec!["site", "rack"], 1000))
    }

    fn group(targets: &[&str], labels: &[(&str, &str)]) -> Group {
        let labels = labels.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Group { targets: targets.iter().map(|t| t.to_string()).collect(), labels: labels.collect() }
    }

    #[test]
    fn documents_of_both_formats() {
        let expected =
            [group(&["a:22", "b"], &[("site", "fra"), ("rack", "7")]), group(&["c"], &[])];
        let json = r#"[{"targets": ["a:22", "b"], "labels": {"site": "fra", "rack": "7"}, "x": 1},
                       {"targets": []}, {"targets": ["c"], "labels": {"other": "label"}}]"#;
        assert_eq!(read(json.as_bytes(), Format::Json).unwrap(), expected);
        for wrong in ["", "{}", "[{}]", "[{\"targets\": \"a\"}]", "[{\"targets\": [1]}]", "[1]"] {
            let said = read(wrong.as_bytes(), Format::Json).unwrap_err();
            assert!(said.starts_with("it is not a list of targets: "), "{wrong}: {said}");
        }
        let many = format!("[{{\"targets\": [{}\"\"]}}]", "\"\",".repeat(20));
        for text in [&*many, "[{\"targets\": [\"a\"]}] ["] {
            assert!(read(text.as_bytes(), Format::Json).is_err(), "{text}");
        }
        if cfg!(feature = "import") {
            assert!(read(many.as_bytes(), Format::Yaml).unwrap_err().contains("1000 bytes"));
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
