//! What an exporter exposes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use perijove::dependency::exposition_text::read;

fuzz_target!(|data: &[u8]| {
    let families = ["host_bytes_total", "a"];
    let mut samples = 0;
    let tally = read(data, &families, "host_", 1 << 16, |family, labels, _| {
        assert!(family < families.len());
        labels.iter().for_each(drop);
        samples += 1;
    });
    let lines = data.split(|byte| *byte == b'\n').count() as u64;
    assert!(samples + tally.map_or(0, |tally| tally.rejected) <= lines);
});
