//! What a client sends to the Prometheus output's listener.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perijove::serve::http::{ranges, read_request};

fuzz_target!(|data: &[u8]| {
    let (mut input, mut buffer) = (data, Vec::new());
    while let Ok(Some(request)) = read_request(&mut input, &mut buffer) {
        request.takes_gzip();
        ranges(request.header("accept").unwrap_or_default()).count();
        if !request.keeps_alive() {
            return;
        }
    }
});
