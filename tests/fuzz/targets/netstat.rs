//! What netstat and sockstat print.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perijove::dependency::netstat::{owners, read};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let table = read(&text, 1000);
    assert!(table.sockets.len() as u64 + table.rejected <= text.lines().count() as u64);
    owners(&text);
});
