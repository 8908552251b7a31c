//! A description and a reply, apart by a zero byte: the description is refused, or reads the reply.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perijove::cli::parse_reply;
use perijove::collector::described::load;
use perijove::output::exposition::metric;
use perijove::point::Points;
use perijove::poll::registry;

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (Some(text), Some(reply)) = (parts.next(), parts.next()) else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let beside: Vec<_> = registry::collectors().iter().collect();
    let Ok(entry) = load(text, &beside, metric) else { return };
    let mut points = Points::default();
    let _ = parse_reply(&mut *entry.poll(), reply, &mut points);
});
