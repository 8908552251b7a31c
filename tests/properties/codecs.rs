//! Points as text, and back by readers written from the formats' specifications.

use perijove::output::line_protocol::LineProtocol;
use perijove::output::{exposition, json};
use perijove::point::{
    Batch, Definition, Measurement, Points, Value, counter, gauge, info, labelled, text,
};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Item {
    tags: [String; 2],
    run_time: String,
    re_name: String,
    count: Option<u64>,
    level: Option<u64>,
    ratio: Option<f64>,
    description: String,
    state: String,
}

static ITEM: Measurement<Item> = Measurement::new(|| Definition {
    name: "it em,of",
    help: "",
    tags: &["name", "an=other tag"],
    fields: vec![
        counter("count", "", "", |i| i.count),
        gauge("le vel", "", "", |i| i.level),
        gauge("ratio", "", "", |i| i.ratio),
        info("description", "", |i| Some(&i.description)),
        labelled("what", info("count_name", "", |i| Some(&i.state))),
        text("state", "", |i| Some(&i.state)),
    ],
});

/// Text with much of what a format takes for syntax.
fn words() -> impl Strategy<Value = String> {
    let syntax = proptest::sample::select(vec![
        ' ',
        ',',
        '=',
        '"',
        '\\',
        '\n',
        '\r',
        '\t',
        '\0',
        '{',
        '}',
        '#',
        'n',
        'é',
        '\u{1f680}',
    ]);
    vec(prop_oneof![3 => syntax, 2 => any::<char>()], 0..12).prop_map(|c| c.into_iter().collect())
}

fn item() -> impl Strategy<Value = Item> {
    let tags = [words(), words()];
    (tags, words(), words(), any::<[Option<u64>; 2]>(), any::<Option<f64>>(), words(), words())
        .prop_map(|(tags, run_time, re_name, [count, level], ratio, description, state)| Item {
            tags,
            run_time,
            re_name,
            count,
            level,
            ratio,
            description,
            state,
        })
}

fn points(items: &[Item]) -> Points {
    let mut points = Points::default();
    for item in items {
        points.set_re_name(&item.re_name);
        let [name, other] = &item.tags;
        if points.push(&ITEM, &[name, other], item) {
            points.label("run time", &item.run_time);
        }
    }
    points
}

fn batch(points: &Points) -> Batch<'_> {
    Batch { node: "r 1", collector: "c", time_ns: 1_700_000_000_123_456_789, points }
}

/// A line's measurement, tags, fields (with the value as it is written) and time.
type Line = (String, Vec<(String, String)>, Vec<(String, String)>, String);

/// Reads a line as InfluxDB's reference has it: a backslash before a character that is special
/// where it stands makes it plain; any other backslash is itself.
fn parse_line(line: &str) -> Line {
    let mut rest = line;
    let measurement = take(&mut rest, ", ", ", ");
    let mut tags = Vec::new();
    while let Some(more) = rest.strip_prefix(',') {
        rest = more;
        let name = take(&mut rest, "=", ",= ");
        rest = &rest[1..];
        tags.push((name, take(&mut rest, ", ", ",= ")));
    }
    let mut fields = Vec::new();
    while let Some(more) = rest.strip_prefix(if fields.is_empty() { ' ' } else { ',' }) {
        rest = more;
        let name = take(&mut rest, "=", ",= ");
        rest = &rest[1..];
        let value = match rest.strip_prefix('"') {
            Some(more) => {
                rest = more;
                let text = take(&mut rest, "\"", "\"\\");
                rest = &rest[1..];
                format!("\"{text}")
            }
            None => take(&mut rest, ", ", ""),
        };
        fields.push((name, value));
    }
    (measurement, tags, fields, rest.strip_prefix(' ').unwrap().to_string())
}

/// Takes text up to one of the characters that end it, `\` before one of `escapes` left out.
fn take(rest: &mut &str, ends: &str, escapes: &str) -> String {
    let mut text = String::new();
    let mut characters = rest.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if ends.contains(c) {
            *rest = &rest[at..];
            return text;
        }
        match characters.peek() {
            Some((_, next)) if c == '\\' && escapes.contains(*next) => {
                text.push(*next);
                characters.next();
            }
            _ => text.push(c),
        }
    }
    *rest = "";
    text
}

/// What line protocol keeps of a tag: no backslash stands before what needs one, or at the end.
fn tag_text(text: &str) -> String {
    let text = one_line(text);
    let mut kept = String::new();
    for c in text.chars() {
        if matches!(c, ',' | '=' | ' ') {
            kept.truncate(kept.trim_end_matches('\\').len());
        }
        kept.push(c);
    }
    kept.trim_end_matches('\\').to_string()
}

/// What line protocol keeps of a text: a record is one line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c < ' ' { ' ' } else { c }).collect()
}

fn expected_fields(item: &Item) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let integer = |value: u64| format!("{}i", value.min(i64::MAX as u64));
    fields.extend(item.count.map(|count| ("count", integer(count))));
    fields.extend(item.level.map(|level| ("le vel", integer(level))));
    let ratio = item.ratio.filter(|ratio| ratio.is_finite());
    fields.extend(ratio.map(|ratio| ("ratio", format!("{ratio:?}"))));
    let texts =
        [("description", &item.description), ("count_name", &item.state), ("state", &item.state)];
    for (name, text) in texts {
        fields.extend((!text.is_empty()).then(|| (name, format!("\"{}", one_line(text)))));
    }
    fields.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

fn expected_tags(item: &Item) -> Vec<(String, String)> {
    let tags = [
        ("host", "r 1"),
        ("name", &item.tags[0]),
        ("an=other tag", &item.tags[1]),
        ("re_name", &item.re_name),
        ("run time", &item.run_time),
    ];
    let tags = tags.map(|(name, value)| (name.into(), tag_text(value)));
    tags.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// Decimals may be written in more than one way.
fn same(found: &(String, String), expected: &(String, String)) -> bool {
    found == expected
        || (found.0 == expected.0
            && !found.1.starts_with('"')
            && found.1.parse::<f64>().is_ok_and(|number| Ok(number) == expected.1.parse()))
}

fn has_reading(item: &&Item) -> bool {
    item.count.is_some()
        || item.level.is_some()
        || item.ratio.is_some_and(f64::is_finite)
        || !item.state.is_empty()
}

proptest! {
    #![proptest_config(crate::cases(500))]

    #[test]
    fn line_protocol_gives_the_points_back(items in vec(item(), 1..4)) {
        let points = points(&items);
        let mut text = Vec::new();
        LineProtocol::default().encode(&batch(&points), &mut text);
        let text = String::from_utf8(text).unwrap();
        let kept: Vec<&Item> = items.iter().filter(has_reading).collect();
        prop_assert_eq!(text.split_terminator('\n').count(), kept.len());
        for (line, item) in text.split_terminator('\n').zip(kept) {
            let (measurement, tags, fields, time) = parse_line(line);
            prop_assert_eq!(measurement, "it em,of");
            prop_assert_eq!(time, "1700000000123456789");
            prop_assert_eq!(tags, expected_tags(item));
            let expected = expected_fields(item);
            prop_assert_eq!(fields.len(), expected.len());
            let all = fields.iter().zip(&expected).all(|(found, expected)| same(found, expected));
            prop_assert!(all, "{:?} {:?}", fields, expected);
        }
    }

    #[test]
    fn json_gives_the_points_back(items in vec(item(), 1..4)) {
        let points = points(&items);
        let mut text = Vec::new();
        json::encode(&batch(&points), &mut text);
        let lines = text.strip_suffix(b"\n").unwrap_or_default().split(|byte| *byte == b'\n');
        let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).collect();
        prop_assert_eq!(lines.len(), points.len());
        for (line, point) in lines.iter().zip(points.iter()) {
            let record: serde_json::Value = serde_json::from_slice(line).unwrap();
            prop_assert_eq!(&record["measurement"], "it em,of");
            for (name, value) in point.tags() {
                prop_assert_eq!(&record["tags"][name], value);
            }
            for (_, field, value) in point.fields() {
                let found = &record["fields"][field.name];
                match value {
                    Value::Integer(number) => prop_assert_eq!(found.as_u64(), Some(number)),
                    Value::Decimal(number) => {
                        // serde_json may read the last digits as others.
                        let off = (found.as_f64().unwrap() - number).abs();
                        let most = number.abs() * 8.0 * f64::EPSILON + f64::MIN_POSITIVE;
                        prop_assert!(off <= most, "{} {}", found, number);
                    }
                    Value::Text(text) => prop_assert_eq!(found.as_str(), Some(text)),
                }
            }
            prop_assert_eq!(record["tags"].as_object().unwrap().len(), point.tags().count());
            prop_assert_eq!(record["fields"].as_object().unwrap().len(), point.fields().count());
        }
    }

    #[test]
    fn exposition_gives_each_series_once_and_whole(items in vec(item(), 1..4)) {
        let points = points(&items);
        let mut text = Vec::new();
        let duplicates = exposition::write(&[batch(&points)], &mut text).unwrap();
        let (kept, mut of_kept) = (points.kept(), Vec::new());
        prop_assert_eq!(exposition::write(&[batch(&kept)], &mut of_kept).unwrap(), duplicates);
        prop_assert_eq!(&of_kept, &text);
        let text = String::from_utf8(text).unwrap();
        let samples = text.split_terminator('\n').filter(|line| !line.starts_with('#'));
        let readings = |item: &&Item| {
            [item.count.is_some(), item.level.is_some(), item.ratio.is_some_and(f64::is_finite)]
                .iter()
                .filter(|there| **there)
                .count()
        };
        let expected: usize = items.iter().filter(has_reading).map(|item| readings(&item)).sum();
        let samples: Vec<&str> = samples.collect();
        // Prometheus takes a NUL for the end of the text: it is shown as another character.
        let shown = |text: &str| text.replace('\0', "\u{fffd}");
        prop_assert_eq!(samples.len() + duplicates as usize, expected);
        for sample in samples {
            let labels = parse_labels(sample);
            let item = items.iter().find(|item| {
                let label = |name: &str| labels.iter().find(|(n, _)| n == name).map(|(_, v)| v);
                label("description").map_or("", |v| v) == shown(&item.description)
                    && label("what").map_or("", |v| v) == shown(&item.state)
                    && label("name").map_or("", |v| v) == shown(&item.tags[0])
            });
            prop_assert!(item.is_some(), "{}", sample);
        }
    }
}

/// The labels of a sample, by the rules of the text format 0.0.4.
fn parse_labels(sample: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    let mut rest = &sample[sample.find('{').unwrap()..];
    while let Some(label) = rest.strip_prefix(['{', ',']) {
        let (name, value) = label.split_once("=\"").unwrap();
        let mut text = String::new();
        let mut characters = value.char_indices();
        loop {
            match characters.next().unwrap() {
                (_, '\\') => match characters.next().unwrap().1 {
                    'n' => text.push('\n'),
                    plain => text.push(plain),
                },
                (end, '"') => {
                    rest = &value[end + 1..];
                    break;
                }
                (_, plain) => text.push(plain),
            }
        }
        labels.push((name.to_string(), text));
    }
    assert!(rest.starts_with("} "), "{sample}");
    labels
}
