//! The older tools' layouts, from replies of the simulated router: `tests/layouts` holds what is
//! expected. `UPDATE=1 cargo test --test layout` writes it anew.

mod common;

use std::path::Path;

use common::perijove::router_program;
use common::process::run;
use perijove::cli;
use perijove::output::line_protocol::LineProtocol;
use perijove::output::{json, layout};
use perijove::point::{Batch, Points};
use perijove::poll::registry;

/// The commands whose replies the older tools read, and ours too.
const COMMANDS: &[(&str, &str)] = &[
    ("alarm", "show chassis alarms"),
    ("bgp", "get-bgp-neighbor-information"),
    ("environment", "get-environment-information"),
    ("interfacediagnostics", "get-interface-optics-diagnostics-information"),
    ("interfaces", "get-interface-information extensive"),
    ("route", "get-route-summary-information"),
    ("routingengine", "get-route-engine-information"),
    ("fpc", "get-fpc-information"),
];

const SIZES: &str = "--clock 86400 --interfaces 1 --bgp-peers 1 --tables 2 --optics 1 --queues 1";

/// Gives each command's points to `each`.
fn batches(mut each: impl FnMut(&Batch)) {
    for (collector, command) in COMMANDS {
        let mut router = std::process::Command::new(router_program());
        let printed = run(router.args(SIZES.split(' ')).args(["--print", command]));
        assert_eq!(printed.code, 0, "{command}: {}", printed.stderr);
        let entry = registry::find(collector).expect("a collector");
        let mut poll = entry.poll();
        let mut points = Points::default();
        cli::parse_reply(&mut *poll, printed.stdout.as_bytes(), &mut points).expect("a reply");
        assert!(!points.is_empty(), "{collector} gives no points");
        let time_ns = 1_700_000_000_000_000_000;
        each(&Batch { node: "r1", collector, time_ns, points: &points });
    }
}

fn expect(name: &str, text: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layouts").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).expect("write what is expected");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let text = std::str::from_utf8(text).expect("UTF-8");
    for (number, (expected, line)) in expected.lines().zip(text.lines()).enumerate() {
        assert_eq!(line, expected, "{name}:{} (UPDATE=1 writes it anew)", number + 1);
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "{name}");
}

#[test]
fn jinfluxexporter() {
    let mut out = Vec::new();
    batches(|batch| {
        LineProtocol::default().encode_layout(batch, &mut out);
    });
    let lines = common::lines::read(std::str::from_utf8(&out).expect("UTF-8"));
    // No two points of a poll are one for the server, but for those that share their fields out.
    let mut fields = std::collections::BTreeSet::new();
    for line in &lines {
        for name in line.fields.keys() {
            assert!(fields.insert((line.key(), name.clone())), "{name} twice in {}", line.key());
        }
    }
    expect("jinfluxexporter.line", &out);
}

#[test]
fn jkafkaexporter() {
    let mut out = Vec::new();
    batches(|batch| {
        for row in batch.points.iter().filter_map(|point| layout::row(&point)) {
            out.extend_from_slice(format!("{} ", row.name).as_bytes());
            json::encode_row(batch, &row, &mut out);
            out.push(b'\n');
        }
    });
    for line in std::str::from_utf8(&out).expect("UTF-8").lines() {
        let (topic, value) = line.split_once(' ').expect("a topic");
        let value: serde_json::Value = serde_json::from_str(value).expect("JSON");
        assert_eq!(value["Node"], "r1", "{topic}");
    }
    expect("jkafkaexporter.json", &out);
}
