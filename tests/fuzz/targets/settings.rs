//! What somebody writes into a settings file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perijove::config::Source;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let _ = Source::parse(Some("FILE".into()), text.to_string());
});
