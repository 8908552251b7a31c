//! A reply as the answer to any collector's requests, and its points in every format. The first
//! byte chooses the collector.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perijove::cli::parse_reply;
use perijove::poll::registry;
use perijove::output::line_protocol::LineProtocol;
use perijove::output::{exposition, json};
use perijove::point::{Batch, Points};

fuzz_target!(|data: &[u8]| {
    let Some((first, reply)) = data.split_first() else { return };
    let entry = &registry::collectors()[usize::from(*first) % registry::collectors().len()];
    let mut points = Points::default();
    let _ = parse_reply(&mut *entry.poll(), reply, &mut points);
    let batch = Batch { node: "r1", collector: entry.name, time_ns: 1, points: &points };
    let mut out = Vec::new();
    LineProtocol::default().encode(&batch, &mut out);
    assert!(out.is_empty() || out.ends_with(b"\n"));
    json::encode(&batch, &mut out);
    exposition::write(&[batch], &mut out).expect("a vector takes everything");
});
