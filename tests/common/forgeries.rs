//! Values of a tag that try to end it and to begin another one, as the encoder writes them: not
//! part of `common`, which shares no code with the program.

use perijove::output::line_protocol::LineProtocol;
use perijove::point::{Batch, Definition, Measurement, Points, counter};

pub const FORGERIES: &[&str] = &[
    r"a\,host\=forged",
    r"b\\,host\\=forged",
    r"c,host=forged",
    r"d\ count=2i",
    r"e\",
    "f\\\n,host=forged",
];

static ITEM: Measurement<u64> = Measurement::new(|| Definition {
    name: "item",
    help: "",
    tags: &["name"],
    fields: vec![counter("count", "", "", |i| Some(*i))],
});

/// A line for each, as perijove writes it for the router `r1`.
pub fn forging_lines() -> String {
    let mut points = Points::default();
    FORGERIES.iter().for_each(|name| _ = points.push(&ITEM, &[name], &1));
    let time_ns = u64::try_from(crate::common::now_ns()).expect("a clock after 1970");
    let mut lines = Vec::new();
    let batch = Batch { node: "r1", collector: "c", time_ns, points: &points };
    LineProtocol::default().encode(&batch, &mut lines);
    String::from_utf8(lines).expect("lines are UTF-8")
}
