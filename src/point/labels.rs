//! Labels that operators write into descriptions: `[customer=acme] [backbone]`.
//!
//! They become tags of the described thing's points, `customer="acme"` and `backbone="1"`, as
//! junos_exporter has it. Whoever may write a description may choose names, so that none can take
//! the place of what a collector says: `Points::free_label` refuses every name that is in use.

use regex_lite::Regex;
use serde::Deserialize;

use crate::point::points::Points;

/// Of one description.
const LABELS_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 64;

/// What in a description is a label: the pattern's first group is its name, the second its value,
/// which is 1 where there is none. `brackets` stands for `[tag]` and `[key=value]`, and is what
/// junos_exporter does by default too. With an empty pattern there are no labels.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct DescriptionLabels(Pattern);

#[derive(Clone, Debug, Default)]
enum Pattern {
    None,
    #[default]
    Brackets,
    Regex(Regex),
}

impl TryFrom<String> for DescriptionLabels {
    type Error = String;
    fn try_from(pattern: String) -> Result<DescriptionLabels, String> {
        match &*pattern {
            "" => return Ok(DescriptionLabels(Pattern::None)),
            "brackets" => return Ok(DescriptionLabels::default()),
            _ => {}
        }
        let regex = Regex::new(&pattern)
            .map_err(|err| format!("`{pattern}` is not a regular expression: {err}"))?;
        match regex.captures_len() {
            2 | 3 => Ok(DescriptionLabels(Pattern::Regex(regex))),
            _ => Err(format!(
                "`{pattern}` needs a group for the name and may have one for the value"
            )),
        }
    }
}

impl PartialEq for DescriptionLabels {
    fn eq(&self, other: &DescriptionLabels) -> bool {
        match (&self.0, &other.0) {
            (Pattern::Regex(one), Pattern::Regex(other)) => one.as_str() == other.as_str(),
            (Pattern::None, Pattern::None) | (Pattern::Brackets, Pattern::Brackets) => true,
            _ => false,
        }
    }
}

impl DescriptionLabels {
    /// Whether there may be a label in it.
    pub fn stand_in(&self, description: &str) -> bool {
        match &self.0 {
            Pattern::None => false,
            Pattern::Brackets => brackets(description).next().is_some(),
            Pattern::Regex(regex) => regex.is_match(description),
        }
    }

    /// The labels of a description: once for all points that it describes.
    pub fn find(&self, description: &str) -> Labels {
        let mut labels = Labels::default();
        match &self.0 {
            _ if description.is_empty() => {}
            Pattern::None => {}
            Pattern::Brackets => {
                brackets(description).for_each(|(name, value)| labels.note(name, value));
            }
            Pattern::Regex(regex) => {
                for found in regex.captures_iter(description) {
                    let group = |index| found.get(index).map(|found| found.as_str());
                    labels.note(group(1).unwrap_or_default(), group(2));
                }
            }
        }
        labels
    }
}

/// The names and values that `\[([^=\]]+)(=[^\]]+)?\]` finds, without a regular expression's cost.
fn brackets(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = &rest[rest.find('[')? + 1..];
            let end = rest.find(['=', ']'])?;
            let (name, after) = rest.split_at(end);
            // A bracket within the name is part of it; where the name is empty, what is behind the
            // bracket may begin another label.
            let value = match after.strip_prefix('=') {
                None => {
                    if name.is_empty() {
                        continue;
                    }
                    rest = &after[1..];
                    return Some((name, None));
                }
                Some(value) => value,
            };
            let end = value.find(']')?;
            if name.is_empty() {
                continue;
            }
            if end == 0 {
                rest = value;
                continue;
            }
            rest = &value[end + 1..];
            return Some((name, Some(&value[..end])));
        }
    })
}

/// Those of one description.
#[derive(Default)]
pub struct Labels {
    found: Vec<(String, String)>,
    refused: u64,
}

impl Labels {
    fn note(&mut self, name: &str, value: Option<&str>) {
        match label_name(name).filter(|_| self.found.len() < LABELS_MAX) {
            Some(name) => {
                let value = value.map_or("1", |value| value.trim_start_matches('=').trim());
                self.found.push((name, value.to_string()));
            }
            None => self.refused += 1,
        }
    }

    /// Gives them to the last point, and counts those that it cannot have.
    pub fn add(&self, points: &mut Points) {
        let mut refused = self.refused;
        for (name, value) in &self.found {
            refused += u64::from(!points.free_label(name, value));
        }
        points.leave_out(refused, || "a description's label".into());
    }
}

/// In lower case, and an underscore for what is neither letter nor digit. It begins with a letter:
/// Prometheus and InfluxDB keep names with an underscore in front for themselves.
fn label_name(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = text.len() <= NAME_BYTES_MAX && text.starts_with(|c: char| c.is_ascii_alphabetic());
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    fits.then(|| text.chars().map(plain).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Definition, Measurement, gauge, info, labelled};

    static PORT: Measurement<String> = Measurement::new(|| Definition {
        name: "port",
        help: "A port.",
        tags: &["name", "if_index"],
        fields: vec![
            labelled("text", info("description", "What it says.", |p| Some(p))),
            gauge("up", "", "1 if it is up.", |_| Some(1)),
        ],
    });

    fn tags(labels: &DescriptionLabels, description: &str) -> Vec<(String, String)> {
        let mut points = Points::default();
        points.set_re_name("re0");
        points.push(&PORT, &["ge-0/0/0", ""], &description.to_string());
        labels.find(description).add(&mut points);
        let owned = |(name, value): (&str, &str)| (name.to_string(), value.to_string());
        points.get(0).tags().map(owned).filter(|(name, _)| name != "name").collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let all = [("re_name", "re0")].iter().chain(pairs);
        all.map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn tags_and_pairs_become_labels() {
        let labels = DescriptionLabels::try_from("brackets".to_string()).unwrap();
        assert_eq!(labels, DescriptionLabels::default());
        let found = tags(&labels, "to x [Customer=ACME \"1\"] [backbone][Peering-LAN.2= a=b ] []");
        let expected = [("customer", "ACME \"1\""), ("backbone", "1"), ("peering_lan_2", "a=b")];
        assert_eq!(found, pairs(&expected));
        assert_eq!(tags(&labels, "[x=] [2=3] [__name__=up] [é=1] no [brackets"), pairs(&[]));
    }

    #[test]
    fn brackets_are_found_as_a_regular_expression_finds_them() {
        const PARTS: &[&str] = &["[", "]", "=", "a", "é", " "];
        let regex = Regex::new(r"\[([^=\]]+)(=[^\]]+)?\]").unwrap();
        // All texts of up to seven parts.
        let mut texts = vec![String::new()];
        let mut start = 0;
        for _ in 0..7 {
            let end = texts.len();
            for at in start..end {
                let text = texts[at].clone();
                texts.extend(PARTS.iter().map(|part| format!("{text}{part}")));
            }
            start = end;
        }
        for text in &texts {
            let found: Vec<_> = brackets(text).collect();
            let judge = regex.captures_iter(text).map(|found| {
                let value = found.get(2).map(|value| &value.as_str()[1..]);
                (found.get(1).unwrap().as_str(), value)
            });
            assert_eq!(found, judge.collect::<Vec<_>>(), "{text}");
        }
    }

    #[test]
    fn no_label_takes_the_place_of_another() {
        // A tag that is empty here, infos by both names, a field, what outputs add, a second one.
        for taken in
            ["name", "IF-Index", "description", "text", "up", "target", "host", "node", "re_name"]
        {
            let found = tags(&DescriptionLabels::default(), &format!("[{taken}=forged]"));
            assert_eq!(found, pairs(&[]), "{taken}");
        }
        let found = tags(&DescriptionLabels::default(), "[a=1] [A=2]");
        assert_eq!(found, pairs(&[("a", "1")]));
    }

    #[test]
    fn labels_that_are_left_out_are_counted() {
        let mut points = Points::default();
        points.push(&PORT, &["ge-0/0/0", ""], &String::new());
        let many: String = (0..LABELS_MAX + 2).map(|number| format!("[l{number}]")).collect();
        DescriptionLabels::default().find(&many).add(&mut points);
        assert_eq!((points.get(0).tags().count(), points.misfits), (LABELS_MAX + 1, 2));
        let long = format!("[name=x] [2=3] [{}]", "n".repeat(NAME_BYTES_MAX + 1));
        DescriptionLabels::default().find(&long).add(&mut points);
        assert_eq!(points.misfits, 5);
    }

    #[test]
    fn the_pattern_is_a_setting() {
        let labels = DescriptionLabels::try_from(r"(\w+):(\w+)".to_string()).unwrap();
        assert_eq!(tags(&labels, "[x] circuit:17"), pairs(&[("circuit", "17")]));
        let none = DescriptionLabels::try_from(String::new()).unwrap();
        assert_eq!(tags(&none, "[x]"), pairs(&[]));
        let err = DescriptionLabels::try_from(r"\w+".to_string()).unwrap_err();
        assert!(err.contains("needs a group"), "{err}");
    }
}
