//! What a client sends to the Prometheus output's listener.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perijove::serve::http::{ranges, take_request};

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    while let Ok(Some(request)) = take_request(&mut bytes) {
        request.takes_gzip();
        ranges(request.header("accept").unwrap_or_default()).count();
        if !request.keeps_alive() {
            return;
        }
    }
});
