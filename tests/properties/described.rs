//! Any description is refused or reads any reply: it never panics, and never gives more points than
//! it may.

use perijove::cli::parse_reply;
use perijove::collector::Entry;
use perijove::collector::described::load;
use perijove::output::exposition::{self, metric};
use perijove::output::json;
use perijove::output::line_protocol::LineProtocol;
use perijove::point::{Batch, Points};
use perijove::poll::registry;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::cases;

const NAMES: &[&str] = &["a", "b", "c", "list"];
const PATHS: &[&str] = &[
    "a",
    "b",
    "c",
    ".",
    "..",
    "../a",
    "../../b",
    "a/b",
    "list/a",
    "list/a/b",
    "@k",
    "a@k",
    "count(list)",
    "count(a/b)",
    "$a",
    "$re-name",
    "=x",
    "a | b",
    "../a | ../b | c",
    "..@k",
    "a//b",
];
const EACHES: &[&str] =
    &["", "each = \"list\"", "each = \"list/a\"", "each = \"a\"\nor_none = true"];
const RECORDS: &[&str] = &["", "", "records = \"b\"", "records = \"list\""];
const WHERES: &[&str] =
    &["", "", "where = { a = true }", "where = { \"../b\" = false }", "where = { b = [\"1\"] }"];
const KINDS: &[(&str, &str)] = &[
    ("gauge", ""),
    ("gauge", ", type = \"decimal\", scale = 0.5"),
    ("gauge", ", scale = 1000"),
    ("gauge", ", shape = \"quantity\""),
    ("gauge", ", shape = \"bit_rate\", type = \"integer\""),
    ("gauge", ", shape = \"duration\", scale = 1e300, type = \"decimal\""),
    ("gauge", ", is = [\"1\", \"x\"], not = \"2\""),
    ("gauge", ", map = { 1 = 2, x = 3 }, other = 0"),
    ("gauge", ", map = { x = -1 }, type = \"decimal\""),
    ("info", ""),
    ("text", ", trim = \"x\""),
];

/// A point, as the description has it.
fn point(number: usize) -> impl Strategy<Value = String> {
    let field = (select(PATHS), select(KINDS));
    let tag = (select(PATHS), any::<bool>());
    (
        (select(NAMES), select(EACHES), select(RECORDS), select(WHERES)),
        vec(tag, 0..3),
        vec(field, 1..4),
    )
        .prop_map(move |((item, each, records, wanted), tags, fields)| {
            let tags: Vec<String> = tags
                .iter()
                .enumerate()
                .map(|(at, (path, optional))| {
                    format!("{{ name = \"t{at}\", path = \"{path}\", optional = {optional} }}")
                })
                .collect();
            let fields: Vec<String> = fields
                .iter()
                .enumerate()
                .map(|(at, (path, (kind, more)))| {
                    format!("{{ name = \"f{at}\", {kind} = \"{path}\"{more}, help = \"F.\" }}")
                })
                .collect();
            format!(
                "[[query.point]]\nitem = \"{item}\"\n{each}\n{records}\n{wanted}\n\
                 measurement = \"mine{number}\"\nhelp = \"M.\"\ntags = [{}]\nfields = [{}]\n",
                tags.join(", "),
                fields.join(", ")
            )
        })
}

fn description() -> impl Strategy<Value = String> {
    (point(0), point(1), point(2)).prop_map(|(a, b, c)| {
        format!(
            "name = \"mine\"\nhelp = \"Mine.\"\n[[query]]\nrpc = \"<get-x/>\"\n\
             command = \"show x\"\nroots = [\"root\"]\n{a}{b}{c}"
        )
    })
}

/// Elements within each other, with texts that fit and texts that do not.
fn elements() -> impl Strategy<Value = String> {
    let texts = select(&["", "1", "x", "2.5 W", "1d 2:03", "18446744073709551616", "é&amp;"][..]);
    let leaf = (select(NAMES), texts, any::<bool>()).prop_map(|(name, text, has_attribute)| {
        let attribute = if has_attribute { " j:k='7'" } else { "" };
        format!("<{name}{attribute}>{text}</{name}>")
    });
    leaf.prop_recursive(5, 60, 6, |inner| {
        (select(NAMES), vec(inner, 0..6))
            .prop_map(|(name, inner)| format!("<{name}>{}</{name}>", inner.concat()))
    })
}

/// Reads a reply with a collector, at most so many points of which are taken.
fn read(entry: &Entry, reply: &str, points_max: u64) -> usize {
    let set = format!("points_max = {points_max}");
    let table = toml::de::DeTable::parse(&set).unwrap();
    let configured = entry.configure(table).unwrap();
    let mut points = Points::default();
    points.keep_first();
    let _ = parse_reply(&mut *configured.start(&Default::default()), reply.as_bytes(), &mut points);
    let batch = Batch { node: "r", collector: entry.name, time_ns: 1, points: &points };
    let mut out = Vec::new();
    LineProtocol::default().encode(&batch, &mut out);
    json::encode(&batch, &mut out);
    exposition::write(&[batch], &mut out).unwrap();
    points.len()
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_description_that_loads_reads_any_reply(
        description in description(),
        replies in vec(vec(elements(), 0..5), 1..4),
        points_max in 1..5u64,
    ) {
        let beside: Vec<&'static Entry> = registry::collectors().iter().collect();
        let Ok(entry) = load(&description, &beside, metric) else { return Ok(()) };
        for elements in replies {
            let reply = format!("<rpc-reply><root>{}</root></rpc-reply>", elements.concat());
            let points = read(entry, &reply, points_max);
            prop_assert!(points as u64 <= points_max, "{points} points");
        }
    }

    #[test]
    fn text_that_is_hardly_a_description_is_refused(
        description in description(),
        at in any::<prop::sample::Index>(),
        with in select(&["", "\"", "=", "[", "{", "\n", "é", "\u{0}", "..", "|", "$"][..]),
    ) {
        let mut text = description;
        let mut at = at.index(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.insert_str(at, with);
        let _ = load(&text, &[], metric);
    }
}
