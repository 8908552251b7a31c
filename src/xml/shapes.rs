//! Element shapes that many Junos replies share.

use serde::{Deserialize, Deserializer};

use crate::base::text::first_line;
use crate::point::{Field, Kind, named};
use crate::xml::{misfits, numbers};

/// A time with its `junos:seconds` attribute: `<up-time junos:seconds="3600">1:00:00</up-time>`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Seconds {
    #[serde(rename = "@seconds")]
    pub seconds: Option<u64>,
}

/// A temperature, in degrees Celsius: its `junos:celsius` attribute, or else the text
/// (`36 degrees C / 96 degrees F`).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Celsius {
    #[serde(rename = "@celsius")]
    attribute: Option<f64>,
    #[serde(rename = "$text")]
    text: Option<Quantity>,
}

impl Celsius {
    pub fn celsius(&self) -> Option<f64> {
        self.attribute.or(self.text.map(|text| text.0))
    }
}

/// A number with its unit behind it: `16330 MB`, `100%`, `15.4W`, `5430 RPM`, `-12.3 dBm`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantity(pub f64);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Quantity, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom(format!("`{}` is not a number", first_line(&text)));
        numbers::quantity(&text).map(Quantity).ok_or_else(wrong)
    }
}

/// The leaf elements of an item, at whatever depth, in the reply's order.
#[derive(Debug, Default)]
pub struct Flat(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Flat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Flat, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Flat;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("elements")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Flat, A::Error> {
                let mut leaves = Flat::default();
                while let Some(leaf) = map.next_entry()? {
                    leaves.0.push(leaf);
                }
                Ok(leaves)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

impl Flat {
    /// The leaves' names and texts: for lists in which some leaves hold for several records.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The records of a list without elements around its records: each goes from an element of
    /// that name to the next one, the last to the end.
    pub fn records(&self, first: &str) -> Vec<Leaves> {
        let mut records: Vec<Leaves> = Vec::new();
        for (name, text) in &self.0 {
            if name == first {
                records.push(Leaves::default());
            }
            if let Some(record) = records.last_mut() {
                record.add(name.clone(), text.clone());
            }
        }
        records
    }
}

/// A bandwidth in bit/s, of a text such as `10Gbps`, `1000 Mbps`, `9.5Gbps,`, `1000mbps`, `10g`,
/// `1,000,000` or `1000000`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BitRate(pub f64);

impl<'de> Deserialize<'de> for BitRate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<BitRate, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let wrong = || format!("`{}` is not a bandwidth", first_line(&text));
        BitRate::of(&text).ok_or_else(|| serde::de::Error::custom(wrong()))
    }
}

impl BitRate {
    pub fn of(text: &str) -> Option<BitRate> {
        // Some releases put a comma between this and what is next.
        let text = text.trim_end_matches(',');
        let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let scale = match &*text[number.len()..].to_ascii_lowercase() {
            "" | "bps" => 1.0,
            "kbps" | "k" => 1e3,
            "mbps" | "m" => 1e6,
            "gbps" | "g" => 1e9,
            "tbps" | "t" => 1e12,
            _ => return None,
        };
        let number: f64 = numbers::number(number.trim_end())?;
        Some(BitRate(number * scale)).filter(|rate| rate.0.is_finite())
    }
}

/// What stands below an item, for replies that are long lists of counters.
#[derive(Debug, Default)]
pub struct Leaves(Vec<(String, Node)>);

#[derive(Debug)]
enum Node {
    Leaf(String),
    Group(Leaves),
}

impl FromIterator<(String, String)> for Leaves {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(all: I) -> Leaves {
        Leaves(all.into_iter().map(|(name, text)| (name, Node::Leaf(text))).collect())
    }
}

impl From<Flat> for Leaves {
    fn from(flat: Flat) -> Leaves {
        flat.0.into_iter().collect()
    }
}

impl<'de> Deserialize<'de> for Leaves {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Leaves, D::Error> {
        match Node::deserialize(deserializer)? {
            Node::Leaf(_) => Ok(Leaves::default()),
            Node::Group(leaves) => Ok(leaves),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Node;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an element")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut children = Vec::new();
                let mut leaf = String::new();
                while let Some(name) = map.next_key::<String>()? {
                    match &*name {
                        "$text" => leaf = map.next_value()?,
                        _ => children.push((name, map.next_value()?)),
                    }
                }
                let is_leaf = children.is_empty();
                Ok(if is_leaf { Node::Leaf(leaf) } else { Node::Group(Leaves(children)) })
            }
        }
        deserializer.deserialize_struct("", &[], Visitor)
    }
}

impl Leaves {
    /// Adds a leaf: for replies that are text.
    pub fn add(&mut self, name: String, text: String) {
        self.0.push((name, Node::Leaf(text)));
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the elements of that name out: those that stand several times, or whose leaves have
    /// the names of others.
    pub fn take(&mut self, name: &str) -> Vec<Leaves> {
        let taken = self.0.extract_if(.., |(element, _)| element == name).map(|(_, node)| node);
        let groups = taken.filter_map(|node| match node {
            Node::Group(leaves) => Some(leaves),
            Node::Leaf(_) => None,
        });
        groups.collect()
    }

    /// The first leaf of that name in the reply's order, at whatever depth.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(element, node)| match node {
            Node::Leaf(text) => (element == name).then_some(text.as_str()),
            Node::Group(leaves) => leaves.text(name),
        })
    }
    pub fn integer(&self, name: &str) -> Option<u64> {
        self.number(name, numbers::number, "a whole number")
    }
    pub fn decimal(&self, name: &str) -> Option<f64> {
        self.number(name, numbers::number, "a number")
    }
    /// A number that may have its unit behind it, as `Quantity` has.
    pub fn quantity(&self, name: &str) -> Option<f64> {
        self.number(name, numbers::quantity, "a number")
    }

    fn number<N>(&self, name: &str, read: fn(&str) -> Option<N>, what: &str) -> Option<N> {
        let text = self.text(name)?;
        let number = read(text);
        if number.is_none() {
            misfits::count(|| format!("{name}: `{}` is not {what}", first_line(text)));
        }
        number
    }
}

/// Adds what is there, for elements that repeat.
pub fn sum(total: &mut Option<u64>, more: Option<u64>) {
    if let Some(more) = more {
        *total = Some(total.map_or(more, |total| total.saturating_add(more)));
    }
}

/// A counter that the name of its element describes: `packets-received` is the field
/// `packets_received`, in packets, "Packets received."
pub fn leaf_counter(element: &'static str) -> Field<Leaves> {
    leaf(Kind::Counter, element)
}

/// A gauge that the name of its element describes, as `leaf_counter` has it.
pub fn leaf_gauge(element: &'static str) -> Field<Leaves> {
    leaf(Kind::Gauge, element)
}

fn leaf(kind: Kind, element: &'static str) -> Field<Leaves> {
    let name = element.replace('-', "_").leak();
    let unit = UNITS.iter().find(|(word, _)| element.contains(word)).map_or("", |(_, unit)| unit);
    let mut help = element.replace('-', " ") + ".";
    help[..1].make_ascii_uppercase();
    named(name, unit, help.leak(), kind, Leaves::integer).of_element(element)
}

/// The unit that a word in an element's name tells.
const UNITS: &[(&str, &str)] = &[
    ("bytes", "bytes"),
    ("octets", "bytes"),
    ("packets", "packets"),
    ("datagrams", "datagrams"),
    ("pps", "packets/s"),
];

/// A routing instance as a tag, which is left out where it is the router's own.
pub fn routing_instance(name: &str) -> &str {
    if name == "master" { "" } else { name }
}

/// States of a Routing Engine and of environment items.
pub const STATUS: &[(&str, u64)] =
    &[("OK", 1), ("Testing", 2), ("Failed", 3), ("Absent", 4), ("Present", 5)];

/// Whether a text is that word, as people and releases write it: letter case does not count, nor do
/// spaces around it, hyphens or underscores in place of spaces, and a remark behind it (`Master
/// (default)`).
pub fn is_word(text: &str, word: &str) -> bool {
    let text = match text.split_once('(') {
        Some((text, _)) if !word.contains('(') => text,
        _ => text,
    };
    let parts = |text| str::split(text, [' ', '-', '_', '\n']).filter(|part| !part.is_empty());
    let (mut these, mut those) = (parts(text), parts(word));
    loop {
        match (these.next(), those.next()) {
            (None, None) => return true,
            (Some(this), Some(that)) if this.eq_ignore_ascii_case(that) => {}
            _ => return false,
        }
    }
}

/// What is up, and what a protocol, a port or a path has for a state while it is not.
pub const UP: &[&str] = &["Up"];
pub const DOWN: &[&str] = &[
    "Down",
    "Dn",
    "AdminDown",
    "Admin down",
    "Disabled",
    "Failing",
    "Failed",
    "Init",
    "Initializing",
    "NotInService",
    "Not present",
    "Lower layer down",
    "Dormant",
    "Testing",
];
/// What is switched on, and what is off.
pub const ON: &[&str] = &["On", "Enabled", "Yes"];
pub const OFF: &[&str] = &["Off", "Disabled", "No"];
/// A card that works, and one that does not yet, or no longer.
pub const ONLINE: &[&str] = &["Online", "Online Master", "Online Standby"];
pub const NOT_ONLINE: &[&str] = &[
    "Offline",
    "Empty",
    "Present",
    "Absent",
    "Ready",
    "Testing",
    "Check",
    "Spare",
    "Fault",
    "Failed",
    "Mismatch",
    "Dormant",
    "Diagnostics",
    "Announce online",
    "Announce offline",
    "Probed",
    "Probe wait",
    "Power off",
];

/// 1 for a state that is good, 0 for one that is bad; nothing where the reply has no state, or one
/// that is neither, which is counted as a value that does not fit.
pub fn is(state: Option<&str>, good: &[&str], bad: &[&str]) -> Option<u64> {
    let state = state.filter(|state| !state.is_empty())?;
    let among = |words: &[&str]| words.iter().any(|word| is_word(state, word));
    if among(good) {
        return Some(1);
    }
    if among(bad) {
        return Some(0);
    }
    misfits::count(|| format!("`{}` is no state that is known", first_line(state)));
    None
}

/// The number that junos_exporter gives to a state; 0 for one it does not know.
pub fn state_number(state: Option<&str>, states: &[(&str, u64)]) -> Option<u64> {
    Some(known_state(state?, states).unwrap_or_default())
}

/// The number of a state, if it is known.
pub fn known_state(state: &str, states: &[(&str, u64)]) -> Option<u64> {
    states.iter().find(|(word, _)| is_word(state, word)).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Definition, Measurement, Points, Schema, Value};
    use crate::xml::element::Element;

    #[derive(Deserialize)]
    struct Item {
        q: Option<Quantity>,
    }

    #[test]
    fn words_as_people_write_them() {
        for text in ["master", "Master", " MASTER ", "Master (default)", "\nmaster\n"] {
            assert!(is_word(text, "master"), "{text}");
        }
        for (text, word) in [("not-applicable", "Not Applicable"), ("One way", "One-way")] {
            assert!(is_word(text, word), "{text}");
        }
        for text in ["", "masters", "Master default", "not master", "(master)"] {
            assert!(!is_word(text, "master"), "{text}");
        }
    }

    #[test]
    fn a_state_that_is_not_known_is_neither() {
        misfits::take();
        for (state, expected) in [
            (Some("UP"), Some(1)),
            (Some("Admin Down (by policy)"), Some(0)),
            (Some("Sideways"), None),
            (Some(""), None),
            (None, None),
        ] {
            assert_eq!(is(state, UP, DOWN), expected, "{state:?}");
        }
        let misfits = misfits::take();
        let first = "`Sideways` is no state that is known".to_string();
        assert_eq!((misfits.count, misfits.first), (1, Some(first)));
        assert_eq!(state_number(Some("Sideways"), STATUS), Some(0));
        assert_eq!(state_number(Some("ok"), STATUS), Some(1));
    }

    #[test]
    fn quantities() {
        for (text, expected) in [
            ("16330 MB", Some(16330.0)),
            ("100%", Some(100.0)),
            ("-12.30", Some(-12.3)),
            ("15.4W", Some(15.4)),
            ("N/A", None),
            ("6r7 5.5.5", Some(6.0)),
            ("10.1.2.3", None),
            ("", None),
        ] {
            let item = format!("<i><q>{text}</q></i>");
            let item: Item = Element::new(&item, 9).read().unwrap();
            assert_eq!(item.q.map(|q| q.0), expected, "{text}");
        }
    }

    #[test]
    fn bandwidths() {
        for (text, expected) in [
            ("10Gbps", Some(1e10)),
            ("9.5Gbps", Some(9.5e9)),
            ("2Gbps,", Some(2e9)),
            ("1.2t", Some(1.2e12)),
            ("Gbps", None),
            ("inf", None),
            ("0bps", Some(0.0)),
            ("1000000", Some(1e6)),
            ("1000 Mbps", Some(1e9)),
            ("1,000,000 bps", Some(1e6)),
            ("-inf Mbps", None),
            ("1 000 Mbps", None),
            ("10 furlongs", None),
            ("Unlimited", None),
        ] {
            let item = format!("<i>{text}</i>");
            let rate: Option<BitRate> = Element::new(&item, 9).read().ok();
            assert_eq!(rate.map(|rate| rate.0), expected, "{text}");
        }
    }

    #[test]
    fn leaves_at_any_depth() {
        let item = "<i>a<x>1</x><list><y> 2 </y><list><y>3</y></list><z/></list>b<w>4</w></i>";
        let leaves: Leaves = Element::new(item, 9).read().unwrap();
        let found = ["x", "y", "z", "w", "list"].map(|name| leaves.text(name));
        assert_eq!(found, [Some("1"), Some("2"), Some(""), Some("4"), None]);
        let none: Leaves = Element::new("<i/>", 9).read().unwrap();
        assert_eq!(none.text("i"), None);
    }

    #[test]
    fn a_leaf_that_does_not_fit_is_counted() {
        let leaves: Leaves = Element::new("<i><a>x</a><b>7 s</b><c/></i>", 9).read().unwrap();
        misfits::take();
        let read = (leaves.integer("a"), leaves.decimal("b"), leaves.quantity("b"));
        assert_eq!(read, (None, None, Some(7.0)));
        assert_eq!((leaves.integer("absent"), leaves.text("c")), (None, Some("")));
        let found = misfits::take();
        assert_eq!(
            (found.count, found.first.as_deref()),
            (2, Some("a: `x` is not a whole number"))
        );
        assert_eq!(misfits::take(), misfits::Misfits::default());
    }

    #[test]
    fn a_flat_list_becomes_records() {
        let item = "<i><h>0</h><n>a</n><v>1</v><n>b</n><n>c</n><v>3</v><t>9</t></i>";
        let flat: Flat = Element::new(item, 9).read().unwrap();
        let records = flat.records("n");
        let found: Vec<_> = records.iter().map(|r| (r.text("n"), r.integer("v"))).collect();
        assert_eq!(found, [(Some("a"), Some(1)), (Some("b"), None), (Some("c"), Some(3))]);
        assert_eq!(Leaves::from(flat).integer("t"), Some(9));
    }

    #[test]
    fn groups_among_leaves_can_be_taken_out() {
        let item = "<i><g><n>1</n></g><o><m>\n5\n</m></o><g><n>2</n></g><n>3</n><flag/> </i>";
        let mut leaves: Leaves = Element::new(item, 9).read().unwrap();
        assert_eq!(leaves.integer("n"), Some(1));
        let groups = leaves.take("g");
        assert_eq!(groups.iter().map(|g| g.integer("n")).collect::<Vec<_>>(), [Some(1), Some(2)]);
        let left = (leaves.integer("n"), leaves.integer("m"), leaves.text("flag"));
        assert_eq!(left, (Some(3), Some(5), Some("")));
    }

    #[test]
    fn counters_named_by_their_elements() {
        static COUNTS: Measurement<Leaves> = Measurement::new(|| Definition {
            name: "m",
            help: "",
            tags: &[],
            fields: vec![
                leaf_counter("data-packets-bytes"),
                leaf_counter("iri-max").of_element("arp-iri-max"),
                leaf_gauge("ip6nh-tcp").renamed("nh_tcp").total(),
            ],
        });
        let info = |index| COUNTS.field(index);
        assert_eq!((info(0).name, info(0).unit), ("data_packets_bytes", "bytes"));
        assert_eq!(info(0).help, "Data packets bytes.");
        assert_eq!((info(1).name, info(1).help), ("iri_max", "Iri max."));
        assert_eq!((info(2).name, info(2).help), ("nh_tcp_total", "Ip6nh tcp."));
        let mut leaves = Leaves::default();
        leaves.add("arp-iri-max".into(), "7".into());
        leaves.add("ip6nh-tcp".into(), "8".into());
        let mut points = Points::default();
        points.push(&COUNTS, &[], &leaves);
        let values: Vec<_> =
            points.get(0).fields().map(|(index, _, value)| (index, value)).collect();
        assert_eq!(values, [(1, Value::Integer(7)), (2, Value::Integer(8))]);
    }
}
