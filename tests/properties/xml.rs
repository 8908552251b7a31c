//! The cutter and serde's view of an element, against quick-xml's events and a tree.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{self, Read};
use std::time::Duration;

use perijove::xml::element::{self, Element};
use perijove::xml::items::{self, Items, Limits};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use quick_xml::events::Event;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// An element as Junos writes them: it holds elements or text, and asides anywhere.
#[derive(Clone, Debug)]
struct Node {
    name: &'static str,
    attribute: Option<(&'static str, &'static str)>,
    /// Stands before each child and at the end.
    aside: &'static str,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Nodes(Vec<Node>),
    /// The text as it is written, and as it is meant.
    Text(Vec<(&'static str, &'static str)>),
    /// `<name/>`
    Empty,
}

const NAMES: &[&str] =
    &["item", "items", "name", "x:name", "mtu", "unit", "x:unit", "flag", "other", "re-name"];
const ITEMS: &[&str] = &["item", "unit"];
const ASIDES: &[&str] = &[
    "",
    "\n",
    " \n ",
    "<!-- keepalive -->",
    "<!-- </item> </other> <unit> -->",
    "<?pi </item>?>",
    "\n<!---->\n",
];
const TEXTS: &[(&str, &str)] = &[
    ("", ""),
    ("7", "7"),
    ("\nge-0/0/0\n", "\nge-0/0/0\n"),
    (" 18446744073709551615 ", " 18446744073709551615 "),
    ("N/A", "N/A"),
    ("a &amp; b", "a & b"),
    ("&lt;item&gt;", "<item>"),
    ("&#65;&#x42;", "AB"),
    ("&unknown;", "&unknown;"),
    ("]]> > é", "]]> > é"),
    ("<![CDATA[</item><unit> &amp;]]>", "</item><unit> &amp;"),
    ("<!-- keepalive -->", ""),
];
const ATTRIBUTES: &[(&str, &str)] = &[
    ("key", "'v'"),
    ("x:key", "\" a > b / '\""),
    ("key", "'\"'"),
    ("keys", "\"1\""),
    ("junos:key", "'a &amp; b'"),
];

fn node() -> impl Strategy<Value = Node> {
    let attribute = || proptest::option::weighted(0.3, select(ATTRIBUTES));
    let content = prop_oneof![
        4 => vec(select(TEXTS), 0..3).prop_map(Content::Text),
        1 => Just(Content::Empty)
    ];
    let make = |(name, attribute, aside, content)| Node { name, attribute, aside, content };
    let leaf = (select(NAMES), attribute(), select(ASIDES), content).prop_map(make);
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let content = vec(inner, 0..6).prop_map(Content::Nodes);
        (select(NAMES), attribute(), select(ASIDES), content).prop_map(make)
    })
}

impl Node {
    fn write(&self, out: &mut String) {
        write!(out, "<{}", self.name).unwrap();
        if let Some((name, value)) = self.attribute {
            write!(out, " {name}={value}").unwrap();
        }
        match &self.content {
            Content::Empty => return out.push_str("/>"),
            Content::Nodes(nodes) => {
                out.push('>');
                for node in nodes {
                    out.push_str(self.aside);
                    node.write(out);
                }
            }
            Content::Text(texts) => {
                out.push('>');
                texts.iter().for_each(|(written, _)| out.push_str(written));
            }
        }
        // Asides are blank or invisible: they change no text that is trimmed.
        out.push_str(self.aside);
        // XML allows a blank before the end of a close tag.
        let blank = if self.aside.is_empty() { " " } else { "" };
        write!(out, "</{}{blank}>", self.name).unwrap();
    }

    fn local(&self) -> &'static str {
        self.name.rsplit(':').next().unwrap()
    }

    fn nodes(&self) -> &[Node] {
        match &self.content {
            Content::Nodes(nodes) => nodes,
            _ => &[],
        }
    }

    fn text(&self) -> String {
        match &self.content {
            Content::Text(texts) => texts.iter().map(|(_, meant)| *meant).collect::<String>(),
            _ => String::new(),
        }
        .trim_ascii()
        .to_string()
    }
}

/// Gives its bytes in pieces of these sizes, over and over.
struct Pieces<'a> {
    bytes: &'a [u8],
    sizes: Vec<usize>,
    next: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes[self.next % self.sizes.len()].min(into.len()).min(self.bytes.len());
        self.next += 1;
        into[..size].copy_from_slice(&self.bytes[..size]);
        self.bytes = &self.bytes[size..];
        Ok(size)
    }
}

/// An item as it was found: its text, the elements around it, and the scope's `name`.
#[derive(Debug, PartialEq)]
struct Found {
    text: String,
    open: Vec<String>,
    name: Option<String>,
}

fn cut(reply: &str, sizes: Vec<usize>) -> Vec<Found> {
    let input = Pieces { bytes: reply.as_bytes(), sizes, next: 0 };
    let mut items = Items::new(input, ITEMS, &Limits::default());
    let mut found = Vec::new();
    while items.next_item().unwrap().is_some() {
        if Element::new(items.item(), 128).read::<IgnoredAny>() == Err(element::Error::Short) {
            items.longer().unwrap();
        }
        let scope = items.scope();
        found.push(Found {
            text: items.text().into_owned(),
            open: scope.open().map(String::from).collect(),
            name: scope.get("name").map(String::from),
        });
    }
    assert_eq!(items.bytes(), reply.len() as u64);
    found
}

/// The same by quick-xml's events.
fn walk(reply: &str) -> Vec<Found> {
    let mut reader = quick_xml::Reader::from_str(reply);
    let mut open: Vec<String> = Vec::new();
    // By depth: the leaves that were passed in the elements that are open.
    let mut leaves: Vec<BTreeMap<String, String>> = vec![BTreeMap::new()];
    let mut leaf: Option<String> = None;
    let mut item: Option<(usize, usize)> = None;
    let mut found = Vec::new();
    loop {
        let start = reader.buffer_position() as usize;
        let event = reader.read_event().unwrap();
        let end = reader.buffer_position() as usize;
        let mut complete = None;
        match event {
            Event::Start(tag) => {
                let name: &str = tag.local_name().into_inner();
                if item.is_none() && ITEMS.contains(&name) {
                    item = Some((open.len(), start));
                }
                leaf = item.is_none().then(String::new);
                open.push(name.to_string());
                leaves.push(BTreeMap::new());
            }
            Event::End(_) => {
                let name = open.pop().unwrap();
                leaves.pop();
                match item {
                    Some((depth, start)) if depth == open.len() => complete = Some(start),
                    Some(_) => {}
                    None => {
                        if let Some(text) = leaf.take() {
                            let text = items::unescape(&text).trim_ascii().to_string();
                            leaves.last_mut().unwrap().insert(name, text);
                        }
                    }
                }
            }
            Event::Empty(tag) => {
                leaf = None;
                let name: &str = tag.local_name().into_inner();
                if item.is_none() && ITEMS.contains(&name) {
                    complete = Some(start);
                }
            }
            Event::Text(text) => leaf.iter_mut().for_each(|leaf| leaf.push_str(&text)),
            Event::CData(text) => {
                let text = text.replace('&', "&amp;");
                leaf.iter_mut().for_each(|leaf| leaf.push_str(&text));
            }
            Event::GeneralRef(name) => {
                let reference = format!("&{};", &*name);
                leaf.iter_mut().for_each(|leaf| leaf.push_str(&reference));
            }
            Event::Eof => return found,
            _ => {}
        }
        if let Some(start) = complete {
            item = None;
            let innermost = leaves.iter().rev().find_map(|leaves| leaves.get("name"));
            found.push(Found {
                text: reply[start..end].to_string(),
                open: open.clone(),
                name: innermost.cloned(),
            });
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
struct Thing {
    #[serde(rename = "@key")]
    key: Option<String>,
    name: Option<String>,
    mtu: Option<u64>,
    unit: Vec<Unit>,
    flag: Option<bool>,
    item: Option<Box<Thing>>,
    #[serde(rename = "re-name")]
    re_name: Option<Text>,
}

/// A unit without a name does not fit.
#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Unit {
    name: String,
    #[serde(default)]
    unit: Vec<Unit>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Text {
    #[serde(rename = "@key")]
    key: Option<String>,
    #[serde(rename = "$text")]
    text: Option<String>,
}

/// The same, from the tree.
impl Node {
    fn first(&self, name: &str) -> Option<&Node> {
        self.nodes().iter().find(|node| node.local() == name)
    }

    fn key(&self) -> Option<String> {
        let (name, value) = self.attribute?;
        let text = quick_xml::escape::unescape(&value[1..value.len() - 1]).unwrap();
        (name.rsplit(':').next() == Some("key")).then(|| text.trim_ascii().to_string())
    }

    fn units(&self) -> Vec<Unit> {
        let units = self.nodes().iter().filter(|node| node.local() == "unit");
        let unit =
            |node: &Node| Some(Unit { name: node.first("name")?.text(), unit: node.units() });
        units.filter_map(unit).collect()
    }

    fn thing(&self) -> Thing {
        Thing {
            key: self.key(),
            name: self.first("name").map(Node::text),
            mtu: self.first("mtu").and_then(|node| node.text().parse().ok()),
            unit: self.units(),
            flag: self.first("flag").and_then(|node| node.text().is_empty().then_some(true)),
            item: self.first("item").map(|node| Box::new(node.thing())),
            re_name: self.first("re-name").map(|node| Text {
                key: node.key(),
                text: Some(node.text()).filter(|text| !text.is_empty()),
            }),
        }
    }
}

/// Where the close tags are, by quick-xml's events.
fn close_tags(text: &str) -> Vec<usize> {
    let mut reader = quick_xml::Reader::from_str(text);
    let mut found = Vec::new();
    loop {
        let at = reader.buffer_position() as usize;
        match reader.read_event().unwrap() {
            Event::End(_) => found.push(at),
            Event::Eof => return found,
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(crate::cases(3000))]

    #[test]
    fn items_are_cut_where_the_events_say(
        nodes in vec(node(), 1..4),
        sizes in vec(1..40usize, 1..4),
    ) {
        let mut reply = String::from("<?xml version='1.0'?>\n<rpc-reply a='>'>");
        nodes.iter().for_each(|node| node.write(&mut reply));
        reply.push_str("</rpc-reply>\n");
        prop_assert_eq!(cut(&reply, sizes), walk(&reply), "{}", reply);
    }

    #[test]
    fn an_element_is_read_as_its_tree_is(node in node()) {
        let mut text = String::new();
        node.write(&mut text);
        let mut element = Element::new(&text, 128);
        prop_assert_eq!(element.read::<Thing>(), Ok(node.thing()), "{}", text);
    }

    /// A text that ends anywhere within is told from one that is whole.
    #[test]
    fn a_cut_element_is_short(node in node(), at in any::<proptest::sample::Index>()) {
        let mut text = String::new();
        node.write(&mut text);
        let mut at = at.index(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let read = Element::new(&text[..at], 128).read::<Thing>();
        prop_assert_eq!(read, Err(element::Error::Short), "{}", &text[..at]);
    }

    /// A close tag of another name is found where it stands, also in what no field asks for.
    #[test]
    fn a_mixed_up_tag_is_found_out(node in node(), which in any::<proptest::sample::Index>()) {
        let mut text = String::new();
        node.write(&mut text);
        let closes = close_tags(&text);
        prop_assume!(!closes.is_empty());
        let at = closes[which.index(closes.len())];
        text.insert_str(at + "</".len(), "oops-");
        for read in [
            Element::new(&text, 128).read::<Thing>().map(drop),
            Element::new(&text, 128).read::<IgnoredAny>().map(drop),
        ] {
            let Err(element::Error::Syntax { at: found, .. }) = read else {
                panic!("{read:?}: {text}");
            };
            prop_assert_eq!(found, at, "{}", text);
        }
    }
}

/// A reply of about that many bytes.
type Make = fn(usize) -> String;

/// Replies of a size that are hard to read: each would take a time that grows with the square of
/// the size if something in them were looked through again and again.
const HARD: &[(&str, Make)] = &[
    ("text", |bytes| format!("<r><item><name>{}</name></item></r>", "d".repeat(bytes))),
    ("references", |bytes| {
        format!("<r><item><name>{}</name></item></r>", "&amp;".repeat(bytes / 5))
    }),
    ("ampersands", |bytes| format!("<r><item><name>{}</name></item></r>", "&".repeat(bytes))),
    ("quotes in an item's tag", |bytes| format!("<r><item {}></item></r>", "''".repeat(bytes / 2))),
    ("quotes in a tag", |bytes| format!("<r><x {}></x></r>", "''".repeat(bytes / 2))),
    ("quotes without an end", |bytes| format!("<r><x {}", "''".repeat(bytes / 2))),
    ("a quote without an end", |bytes| format!("<r><x a=\"{}", "'>".repeat(bytes / 2))),
    ("attributes", |bytes| format!("<r><item {}/></r>", "a='b' ".repeat(bytes / 6))),
    ("close tags without an end", |bytes| format!("<r><item>{}>", "</item".repeat(bytes / 6))),
    ("a close tag with spaces", |bytes| format!("<r><item></item{}></r>", " ".repeat(bytes))),
    ("close tags with spaces", |bytes| format!("<r><item>{}", "</item     x".repeat(bytes / 12))),
    ("names that begin alike", |bytes| {
        format!("<r><item>{}</item></r>", "<items></items>".repeat(bytes / 15))
    }),
    ("items within items", |bytes| {
        format!("<r>{}</r>", "<item><item></item><item/></item>".repeat(bytes / 33))
    }),
    ("open items", |bytes| format!("<r>{}", "<item>".repeat(bytes / 6))),
    ("comments", |bytes| format!("<r><item>{}</item></r>", "<a/><!-- -->".repeat(bytes / 12))),
    ("comments without an end", |bytes| {
        format!("<r><item>{}</item></r>", "<!--".repeat(bytes / 4))
    }),
    ("a comment", |bytes| format!("<r><!--{}--></r>", "-".repeat(bytes))),
    ("close tags in comments", |bytes| {
        format!("<r><item>{}</item></r>", "<!--</item>-->".repeat(bytes / 14))
    }),
    ("brackets", |bytes| format!("<r>{}", "<".repeat(bytes))),
    ("brackets in an item", |bytes| format!("<r><item>{}</item></r>", "<".repeat(bytes))),
    ("lists that stand apart", |bytes| {
        format!("<r><item>{}</item></r>", "<unit><name/></unit><flag/>".repeat(bytes / 27))
    }),
    ("lists within lists", |bytes| {
        let unit = "<unit><name/><unit><name/></unit><flag/></unit><mtu/>";
        format!("<r><item>{}</item></r>", unit.repeat(bytes / unit.len()))
    }),
    ("a long name", |bytes| format!("<r><{}/></r>", "n".repeat(bytes))),
    ("long names", |bytes| {
        format!("<r>{}", format!("<{}>", "n".repeat(items::NAME_BYTES_MAX)).repeat(bytes >> 10))
    }),
];

/// Reads a reply as `read_reply` does, in pieces as they come from a session.
fn read_through(reply: &str) {
    let input = Pieces { bytes: reply.as_bytes(), sizes: vec![1400, 16384], next: 0 };
    let limits = Limits { item_bytes_max: 16 << 20, ..Limits::default() };
    let mut items = Items::new(input, ITEMS, &limits);
    while let Ok(Some(_)) = items.next_item() {
        let read = Element::new(items.item(), 128).read::<Thing>();
        if read == Err(element::Error::Short) && items.longer().is_ok() {
            let _ = Element::new(items.item(), 128).read::<Thing>();
        }
    }
}

/// How long this thread was on a processor: other programs may have those at the same time.
#[cfg(target_os = "linux")]
fn processor_time() -> Duration {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(schedstat.split(' ').next().unwrap().parse().unwrap())
}

#[test]
#[cfg(target_os = "linux")]
fn the_time_for_a_byte_does_not_grow_with_the_reply() {
    const SMALL: usize = 64 << 10;
    const LARGE: usize = 8 << 20;
    let time = |reply: &str, runs: usize| -> f64 {
        let start = processor_time();
        (0..runs).for_each(|_| read_through(reply));
        let time = processor_time() - start;
        time.as_nanos() as f64 / (reply.len() * runs) as f64
    };
    let mut wrong = Vec::new();
    for (name, make) in HARD {
        let small = time(&make(SMALL), LARGE / SMALL);
        let large = time(&make(LARGE), 1);
        // Squared it would be 128 times as much; what fits into the processor's cache is faster.
        if large > 8.0 * small && large > 10.0 {
            wrong.push(format!("{name}: {small:.1} ns for a byte, then {large:.1}"));
        }
        println!("{name}: {small:.1} ns for a byte, then {large:.1}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
