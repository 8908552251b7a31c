//! What Prometheus, or whoever stands in its place, answers to a query.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perijove::federate::answer::{error_words, read};

fuzz_target!(|data: &[u8]| {
    let _ = read(data, 1 << 20, &["direction", "service"], &mut |_| Ok(()));
    let _ = read(data, 1 << 20, &[], &mut |_| Ok(()));
    error_words(&String::from_utf8_lossy(data));
});
