//! What a router sends, in either framing. The first byte chooses the framing and how much of each
//! message is read before it is dropped.

#![no_main]

use std::io::{self, Read, Write};

use libfuzzer_sys::fuzz_target;
use perijove::netconf::framing::Framer;

/// A peer that says what it has to say and hears nothing.
struct Peer<'a>(&'a [u8]);

impl Read for Peer<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Write for Peer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    let mut framer = Framer::new(Peer(bytes), 1 << 16);
    if first & 1 == 1 {
        framer.use_chunks();
    }
    // Every message takes at least a byte.
    for _ in 0..=bytes.len() {
        let mut read = Vec::new();
        let result = framer.message().take(u64::from(first >> 1)).read_to_end(&mut read);
        if result.is_err() || framer.is_lost() {
            return;
        }
    }
});
