//! Element shapes that many Junos replies share.

use serde::{Deserialize, Deserializer};

use crate::base::text::first_line;
use crate::point::{Field, Kind, named};
use crate::xml::{misfits, numbers};

/// A time with its `junos:seconds` attribute: `<up-time junos:seconds="3600">1:00:00</up-time>`; a
/// span of time is read from the text where there is no attribute.
#[derive(Clone, Copy, Debug, Default, Hash, Deserialize)]
#[serde(from = "Time")]
pub struct Seconds {
    pub seconds: Option<u64>,
}

#[derive(Deserialize)]
struct Time {
    #[serde(rename = "@seconds")]
    seconds: Option<u64>,
    #[serde(rename = "$text")]
    text: Option<Span>,
}

impl From<Time> for Seconds {
    fn from(time: Time) -> Seconds {
        let span = || time.text.and_then(|Span(seconds)| seconds);
        Seconds { seconds: time.seconds.or_else(span) }
    }
}

/// What a text says, if it is a span of time.
struct Span(Option<u64>);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Ok(Span(numbers::duration(&text)))
    }
}

/// A temperature, in degrees Celsius: its `junos:celsius` attribute, or else the text
/// (`36 degrees C / 96 degrees F`).
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Celsius {
    #[serde(rename = "@celsius")]
    attribute: Option<f64>,
    #[serde(rename = "$text")]
    text: Option<Degrees>,
}

impl Celsius {
    pub fn celsius(&self) -> Option<f64> {
        self.attribute.or(self.text.map(|text| text.0))
    }
}

/// A number that has its unit behind it, and how its text is read.
macro_rules! with_unit {
    ($(#[$doc:meta] $name:ident $read:path),* $(,)?) => { $(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $name(pub f64);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                let wrong = || format!("`{}` is not a number", first_line(&text));
                $read(&text).map($name).ok_or_else(|| serde::de::Error::custom(wrong()))
            }
        }
    )* };
}

with_unit! {
    /// A number with its unit behind it: `100%`, `15.4W`, `5430 RPM`, `-12.3 dBm`.
    Quantity numbers::quantity,
    /// Memory in MiB: `16330 MB`, `16 GB`, and `16330` alone.
    Mebibytes numbers::mebibytes,
    /// A temperature without an attribute, in degrees Celsius.
    Degrees numbers::celsius,
}

/// A bandwidth in bit/s, of a text such as `10Gbps`, `1000 Mbps`, `9.5Gbps,`, `1000mbps`, `10g`,
/// `400GE`, `10Gbps/Full`, `OC192`, `T1`, `1,000,000` or `1000000`.
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
        let text = text.to_ascii_lowercase();
        // Some releases put a comma between this and what is next, such as the link's mode.
        let joint = |c: char| c == ' ' || c == ',' || c == '/';
        let text = text.trim_end_matches(joint);
        let mode = MODES.iter().find_map(|mode| text.strip_suffix(mode)?.strip_suffix(joint));
        let text = mode.unwrap_or(text).trim_end_matches(joint);
        let rate = line_rate(text).or_else(|| {
            let (number, unit) =
                text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
            let (scale, unit) = match unit.as_bytes() {
                [b'k', ..] => (1e3, &unit[1..]),
                [b'm', ..] => (1e6, &unit[1..]),
                [b'g', ..] => (1e9, &unit[1..]),
                [b't', ..] => (1e12, &unit[1..]),
                _ => (1.0, unit),
            };
            let is_unit = BITS.contains(&unit) || (unit == "e" && scale > 1.0);
            Some(numbers::number::<f64>(number.trim_end()).filter(|_| is_unit)? * scale)
        });
        rate.filter(|rate| rate.is_finite()).map(BitRate)
    }
}

/// What stands behind a link's speed.
const MODES: &[&str] =
    &["full-duplex", "half-duplex", "full duplex", "half duplex", "full", "half"];
/// Bits per second, behind what multiplies them.
const BITS: &[&str] = &[
    "",
    "b",
    "bps",
    "bit",
    "bits",
    "b/s",
    "bit/s",
    "bits/s",
    "bit/sec",
    "bits/sec",
    "bits/second",
];

/// The speeds of lines that have a name, by ITU-T G.702 and G.707 and ANSI T1.105 and T1.107.
fn line_rate(name: &str) -> Option<f64> {
    let times = |prefix: &str, rate: f64| {
        let number = name.strip_prefix(prefix)?.trim_start_matches('-').trim_end_matches('c');
        Some(f64::from(number.parse::<u16>().ok()?) * rate)
    };
    match name {
        "ds0" => Some(64e3),
        "t1" | "ds1" => Some(1.544e6),
        "e1" => Some(2.048e6),
        "e3" => Some(34.368e6),
        "t3" | "ds3" => Some(44.736e6),
        _ => times("oc", 51.84e6).or_else(|| times("stm", 155.52e6)),
    }
}

/// What stands below an item, for replies that are long lists of counters.
#[derive(Clone, Debug, Default, Hash)]
pub struct Leaves(Vec<(String, Node)>);

#[derive(Clone, Debug, Hash)]
enum Node {
    Leaf(String),
    Group(Leaves),
}

impl FromIterator<(String, String)> for Leaves {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(all: I) -> Leaves {
        Leaves(all.into_iter().map(|(name, text)| (name, Node::Leaf(text))).collect())
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

    /// Its own leaves' names and texts: for lists in which some leaves hold for several records.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, node)| match node {
            Node::Leaf(text) => Some((name.as_str(), text.as_str())),
            Node::Group(_) => None,
        })
    }

    /// The records of a list without elements around its records, at whatever depth it stands:
    /// each goes from an element of that name to the next one beside it, the last to the list's
    /// end.
    pub fn records(&self, first: &str) -> Vec<Leaves> {
        let mut records = Vec::new();
        self.find_records(first, &mut records);
        records
    }

    fn find_records(&self, first: &str, records: &mut Vec<Leaves>) {
        let mut current = None;
        for (name, node) in &self.0 {
            match node {
                Node::Group(list) if list.text(first).is_some() => {
                    list.find_records(first, records);
                    continue;
                }
                Node::Leaf(_) if name == first => {
                    current = Some(records.len());
                    records.push(Leaves::default());
                }
                _ => {}
            }
            if let Some(record) = current {
                records[record].0.push((name.clone(), node.clone()));
            }
        }
    }

    /// The first leaf of that name: its own, or else one at whatever depth, in the reply's order.
    pub fn text(&self, name: &str) -> Option<&str> {
        let own = self.0.iter().find_map(|(element, node)| match node {
            Node::Leaf(text) => (element == name).then_some(text.as_str()),
            Node::Group(_) => None,
        });
        own.or_else(|| {
            self.0.iter().find_map(|(_, node)| match node {
                Node::Leaf(_) => None,
                Node::Group(leaves) => leaves.text(name),
            })
        })
    }
    pub fn integer(&self, name: &str) -> Option<u64> {
        self.number(name, numbers::number, "a whole number")
    }
    pub fn decimal(&self, name: &str) -> Option<f64> {
        self.number(name, numbers::decimal, "a number")
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

/// Fields that the names of their elements describe: `packets-received` is the counter
/// `packets_received`, in packets, "Packets received." With `~` in front it is a gauge,
/// `ip6-(drops)` is the field `drops` of the element `ip6-drops`, and `element=name` has another
/// name.
pub fn leaves(elements: &'static str) -> Vec<Field<Leaves>> {
    elements.split_ascii_whitespace().map(|element| leaf(element, "")).collect()
}

/// The same for counters that junos_exporter does not have, with names that end in `_total`.
pub fn totals(elements: &'static str) -> Vec<Field<Leaves>> {
    elements.split_ascii_whitespace().map(|element| leaf(element, "_total")).collect()
}

/// The field of an element, whose name ends in `ending`.
fn leaf(written: &'static str, ending: &str) -> Field<Leaves> {
    let (kind, element) = match written.strip_prefix('~') {
        Some(gauge) => (Kind::Gauge, gauge),
        None => (Kind::Counter, written),
    };
    let (element, name) = match element.split_once('=') {
        Some((element, name)) => (element, Some(name)),
        None => (element, None),
    };
    let part = element.split_once('(').map(|(_, part)| part.trim_end_matches(')'));
    let words = part.unwrap_or(element);
    let unit = UNITS.iter().find(|(word, _)| words.contains(word)).map_or("", |(_, unit)| unit);
    let mut help = words.replace('-', " ") + ".";
    help[..1].make_ascii_uppercase();
    let name = name.map_or_else(|| words.replace('-', "_"), String::from) + ending;
    let element = element.replace(['(', ')'], "").leak();
    named(kind, name.leak(), unit, help.leak(), element, Leaves::integer)
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
pub const STATUS: &str = "OK 1, Testing 2, Failed 3, Absent 4, Present 5, other 0.";

/// Whether a text is that word, as people and releases write it: letter case does not count, nor do
/// spaces, hyphens and underscores (`notPresent`, `Not present`), and a remark behind it (`Master
/// (default)`).
pub fn is_word(text: &str, word: &str) -> bool {
    let text = match text.split_once('(') {
        Some((text, _)) if !word.contains('(') => text,
        _ => text,
    };
    letters(text).eq(letters(word))
}

fn letters(text: &str) -> impl Iterator<Item = u8> {
    let is_letter = |byte: &u8| !byte.is_ascii_whitespace() && !b"-_".contains(byte);
    text.bytes().filter(is_letter).map(|byte| byte.to_ascii_lowercase())
}

/// What is up, and what a protocol, a port or a path has for a state while it is not.
pub const UP: &[&str] = &["Up"];
pub const DOWN: &[&str] = &[
    "Down",
    "Dn",
    "AdminDown",
    "Admin down",
    "Administratively down",
    "AdminDn",
    "Link down",
    "Hardware down",
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
    "Onlining",
    "Offlining",
    "Restarting",
    "Unresponsive",
    "Dead",
    "Diag",
    "Probed",
    "Probe wait",
    "Power off",
];

/// 1 for a state that is good, 0 for one that is bad; nothing where the reply has no state, or one
/// that is neither, which is counted as a value that does not fit.
pub fn is(state: Option<&str>, good: &[&str], bad: &[&str]) -> Option<u64> {
    let state = state.filter(|state| !state.is_empty())?;
    let known = is_good(state, good, bad);
    if known.is_none() {
        misfits::count(|| format!("`{}` is no state that is known", first_line(state)));
    }
    known.map(u64::from)
}

/// Whether a state is good; `None` for one that is neither good nor bad.
pub fn is_good(state: &str, good: &[&str], bad: &[&str]) -> Option<bool> {
    let among = |words: &[&str]| words.iter().any(|word| is_word(state, word));
    if among(good) { Some(true) } else { among(bad).then_some(false) }
}

/// The number that junos_exporter gives to a state, as the field's help says it: `Online 1, Present
/// or ready 2, other 0.` An element without a state has none.
pub fn state_number(state: Option<&str>, help: &str) -> Option<u64> {
    let state = state.filter(|state| !state.is_empty())?;
    let mut others = "0";
    for part in help.trim_end_matches('.').split(',') {
        let (words, number) = part.trim_start().rsplit_once(' ')?;
        if words == "other" {
            others = number;
        } else if words.split(" or ").any(|word| is_word(state, word)) {
            return number.parse().ok();
        }
    }
    others.parse().ok()
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
        for (text, word) in [
            ("not-applicable", "Not Applicable"),
            ("One way", "One-way"),
            ("notPresent", "Not present"),
            ("IN_PROGRESS", "In progress"),
        ] {
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
        let help = "No or off 0, yes 2, -> 3, <- 4, other 1.";
        for (state, number) in [("OFF", 0), ("Yes (by default)", 2), ("->", 3), ("<-", 4), ("x", 1)]
        {
            assert_eq!(state_number(Some(state), help), Some(number), "{state}");
        }
        assert_eq!((state_number(None, help), state_number(Some(""), help)), (None, None));
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
    fn times_by_their_attribute_or_else_as_spans() {
        #[derive(Deserialize)]
        struct Item {
            t: Option<Seconds>,
        }
        for (element, expected) in [
            ("<t xmlns:j='j' j:seconds='7'>1:00:00</t>", Some(7)),
            ("<t>1:00:00</t>", Some(3600)),
            ("<t>\n1 day, 2 hours\n</t>", Some(93600)),
            ("<t>2024-01-02 03:04:05 UTC</t>", None),
            ("<t/>", None),
        ] {
            let item = format!("<i>{element}</i>");
            let item: Item = Element::new(&item, 9).read().unwrap();
            assert_eq!(item.t.and_then(|time| time.seconds), expected, "{element}");
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
            ("1000Mb/s", Some(1e9)),
            ("2.5 Gbit/s", Some(2.5e9)),
            ("25Gb", Some(2.5e10)),
            ("1/s", None),
            ("1,000,000 bps", Some(1e6)),
            ("10Gbps/Full", Some(1e10)),
            ("1000mbps, Full-duplex", Some(1e9)),
            ("100 Mbps half", Some(1e8)),
            ("400GE", Some(4e11)),
            ("1.6TE", Some(1.6e12)),
            ("10 Mbits/sec", Some(1e7)),
            ("OC192", Some(9_953_280_000.0)),
            ("OC-3c", Some(155_520_000.0)),
            ("STM-16", Some(2_488_320_000.0)),
            ("T1", Some(1_544_000.0)),
            ("ds3", Some(44_736_000.0)),
            ("E1", Some(2_048_000.0)),
            ("OC", None),
            ("E2", None),
            ("100E", None),
            ("Full", None),
            ("10Gbps/Fuller", None),
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
        let item = "<i>a<x>1</x><list><y> 2 </y><list><y>3</y></list><z/><w>0</w></list>b<w>4</w>\
                    </i>";
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
    fn a_list_becomes_records() {
        let list = "<n>a</n><v>1</v><zz><v>9</v></zz><n>b</n><zz><v>9</v><n>x</n></zz><n>c</n>\
                    <zz><v>9</v></zz><v>3</v><t>9</t>";
        for item in [format!("<i><h>0</h>{list}</i>"), format!("<i><l><g>{list}</g></l></i>")] {
            let leaves: Leaves = Element::new(&item, 9).read().unwrap();
            let records = leaves.records("n");
            let found: Vec<_> = records.iter().map(|r| (r.text("n"), r.integer("v"))).collect();
            let expected = [("a", Some(1)), ("b", None), ("x", None), ("c", Some(3))];
            assert_eq!(found, expected.map(|(n, v)| (Some(n), v)), "{item}");
        }
    }

    #[test]
    fn groups_among_leaves_can_be_taken_out() {
        let item = "<i><g><n>1</n></g><o><m>\n5\n</m></o><g><n>2</n></g><n>3</n><flag/> </i>";
        let mut leaves: Leaves = Element::new(item, 9).read().unwrap();
        assert_eq!(leaves.integer("n"), Some(3));
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
            fields: leaves("data-packets-bytes arp-(iri-max) ~ip6nh-tcp=nh_tcp")
                .into_iter()
                .chain(totals("bfd-count=bfd"))
                .collect(),
        });
        let info = |index| COUNTS.field(index);
        assert_eq!((info(0).name, info(0).unit), ("data_packets_bytes", "bytes"));
        assert_eq!(info(0).help, "Data packets bytes.");
        assert_eq!((info(1).name, info(1).help), ("iri_max", "Iri max."));
        assert_eq!((info(2).name, info(2).help), ("nh_tcp", "Ip6nh tcp."));
        assert_eq!((info(3).name, info(3).help), ("bfd_total", "Bfd count."));
        assert_eq!([info(1).kind, info(2).kind], [Kind::Counter, Kind::Gauge]);
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
