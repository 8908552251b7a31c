//! An inventory. The first byte chooses its format.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use perijove::dependency::inventory::{self, Bounds, Format};


fuzz_target!(|data: &[u8]| {
    let Some((first, text)) = data.split_first() else { return };
    let format = if first & 1 == 0 { Format::ArrayJson } else { Format::NdJson };
    let bounds = Bounds { bytes_max: 1 << 16, entries_max: 100 };
    let Ok(inventory) = inventory::read(text, format, bounds) else { return };
    // What is said of the machine itself always stands.
    let loopback = inventory.host(IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!((loopback.domain, loopback.hostgroup), ("localhost", "localhost"));
    assert!(inventory.len() <= bounds.entries_max);
    for bits in [0, 0x0a00_0001, u32::MAX] {
        inventory.find(Ipv4Addr::from_bits(bits).into());
        inventory.find(Ipv4Addr::from_bits(bits).to_ipv6_compatible().into());
    }
});
