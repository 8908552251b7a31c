//! Labels out of a description, and whatever else a router may call its things: they keep every
//! format's syntax, and no label is there twice. Bytes of one part the description from the
//! other texts; the first byte chooses the pattern.

#![no_main]

use std::collections::HashSet;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use perijove::output::exposition::{self, Format};
use perijove::output::json;
use perijove::output::line_protocol::LineProtocol;
use perijove::output::remote_write;
use perijove::point::labels::DescriptionLabels;
use perijove::point::{Batch, Definition, Measurement, Points, gauge, info, labelled, text};

static PORT: Measurement<String> = Measurement::new(|| Definition {
    name: "port",
    help: "A port.",
    tags: &["name", "if_index"],
    fields: vec![
        labelled("what", info("description", "", |p: &String| Some(p))),
        gauge("up", "", "", |_| Some(1)),
        text("state", "", |p: &String| Some(p)),
    ],
});

static PATTERNS: LazyLock<Vec<DescriptionLabels>> = LazyLock::new(|| {
    let pattern = |pattern: &str| pattern.to_string().try_into().expect("a pattern");
    vec![pattern("brackets"), pattern(r"(\w+)[:=]([^ ]*)"), pattern(r"\[([^=\]]+)(=[^\]]+)?\]")]
});

/// Text up to one of these bytes; a backslash makes the byte behind it plain. `plain` says which
/// bytes it does that to: InfluxDB and VictoriaMetrics differ.
fn until<'a>(text: &mut &'a [u8], ends: &[u8], plain: fn(u8) -> bool) -> &'a [u8] {
    let mut at = 0;
    while at < text.len() && !ends.contains(&text[at]) {
        let escapes = text[at] == b'\\' && text.get(at + 1).is_some_and(|next| plain(*next));
        at += if escapes { 2 } else { 1 };
    }
    let (taken, rest) = text.split_at(at.min(text.len()));
    *text = rest;
    taken
}

/// The names of a line's tags and fields. Fails where a line is none.
fn line_names(line: &[u8], plain: fn(u8) -> bool) -> Vec<Vec<u8>> {
    let mut rest = line;
    let mut names = Vec::new();
    assert_eq!(until(&mut rest, b", ", plain), b"port");
    while rest.first() == Some(&b',') {
        rest = &rest[1..];
        names.push(until(&mut rest, b"=, ", plain).to_vec());
        assert_eq!(rest.first(), Some(&b'='));
        rest = &rest[1..];
        assert!(!until(&mut rest, b",= ", plain).is_empty());
        assert_ne!(rest.first(), Some(&b'='));
    }
    let mut separator = b' ';
    while rest.first() == Some(&separator) {
        separator = b',';
        rest = &rest[1..];
        names.push(until(&mut rest, b"=, ", plain).to_vec());
        assert_eq!(rest.first(), Some(&b'='));
        rest = &rest[1..];
        if rest.first() == Some(&b'"') {
            rest = &rest[1..];
            until(&mut rest, b"\"", |c| c == b'"' || c == b'\\');
            assert_eq!(rest.first(), Some(&b'"'));
            rest = &rest[1..];
        } else {
            until(&mut rest, b", ", |_| false);
        }
    }
    assert_eq!(rest, b" 17");
    names
}

/// The names of a sample's labels (text format 0.0.4).
fn sample_names(sample: &[u8]) -> Vec<&[u8]> {
    let mut rest = sample.strip_prefix(b"junos_port_up").expect("the metric");
    let mut names = Vec::new();
    while let [b'{' | b',', label @ ..] = rest {
        rest = label;
        let name = until(&mut rest, b"=", |_| false);
        let plain = |c: &u8| c.is_ascii_alphanumeric() || *c == b'_';
        assert!(!name.is_empty() && !name[0].is_ascii_digit() && name.iter().all(plain));
        names.push(name);
        rest = rest.strip_prefix(b"=\"").expect("a value");
        until(&mut rest, b"\"", |_| true);
        rest = rest.strip_prefix(b"\"").expect("its end");
    }
    assert_eq!(rest, b"} 1");
    names
}

fn assert_once<T: Eq + std::hash::Hash + std::fmt::Debug>(names: &[T]) {
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
}

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let mut parts = text.splitn(5, '\u{1}');
    let mut part = || parts.next().unwrap_or_default().to_string();
    let (description, name, index, node, re_name) = (part(), part(), part(), part(), part());
    let labels = PATTERNS[usize::from(*first) % PATTERNS.len()].find(&description);
    let mut points = Points::default();
    points.set_re_name(&re_name);
    points.push(&PORT, &[&name, &index], &description);
    labels.add(&mut points);
    points.add_labels(|_| vec![("remote_domain", index.clone()), ("re_name", name.clone())]);
    let node = if node.is_empty() { "r1" } else { &node };
    let batch = Batch { node, collector: "c", time_ns: 17, points: &points };

    let mut out = Vec::new();
    let encoded = LineProtocol::default().encode(&batch, &mut out);
    assert_eq!(encoded.rejected, 0);
    let line = out.strip_suffix(b"\n").expect("a line");
    assert!(!line.contains(&b'\n'));
    let influxdb: fn(u8) -> bool = |c| b",= ".contains(&c);
    let names = line_names(line, influxdb);
    assert_once(&names);
    // VictoriaMetrics takes a backslash away from whatever is behind it.
    assert_eq!(line_names(line, |_| true), names);

    for format in [Format::Text, Format::OpenMetrics] {
        let mut out = Vec::new();
        let left_out = exposition::write_as(format, &[batch], &mut out);
        assert_eq!(left_out.expect("a vector takes everything"), 0);
        String::from_utf8(out.clone()).expect("UTF-8");
        let lines = out.split(|byte| *byte == b'\n');
        let samples: Vec<&[u8]> = lines.filter(|line| line.starts_with(b"junos_")).collect();
        assert_eq!(samples.len(), 1);
        assert_once(&sample_names(samples[0]));
    }

    let mut out = Vec::new();
    assert_eq!(remote_write::encode("i", &batch, &mut out).rejected, 0);
    let record = String::from_utf8(out).expect("UTF-8");
    assert_eq!(record.matches('\n').count(), 1);
    let (labels, samples) = record.split_once("\t\t").expect("labels and samples");
    let labels: Vec<&str> = labels.split('\t').skip(1).collect();
    let names = labels.iter().map(|label| label.split_once('=').expect("a label").0);
    assert_once(&names.collect::<Vec<_>>());
    assert_eq!(samples, "junos_port_up 1.0\n");

    let mut out = Vec::new();
    assert_eq!(json::encode(&batch, &mut out).rejected, 0);
    let line = out.strip_suffix(b"\n").expect("a line");
    assert!(!line.contains(&b'\n'));
    let record: serde_json::Value = serde_json::from_slice(line).expect("JSON");
    // Of two that are the same, the reader would keep one.
    let tags = record["tags"].as_object().expect("an object");
    assert_eq!(tags.len(), points.get(0).tags().count());
});
