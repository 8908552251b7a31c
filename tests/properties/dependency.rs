//! The readers of the dependency map: any bytes, and comparisons with plainer ways to the same.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use perijove::dependency::exposition_text;
use perijove::dependency::inventory::{self, Bounds, Format};
use perijove::dependency::sockets::{diag, freebsd};
use perijove::dependency::{Protocol, netstat};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::cases;

/// A prefix of either family, of few addresses, so that they lie within each other.
fn prefix() -> impl Strategy<Value = (IpAddr, u8)> {
    let v4 = (0..4u32, 0..4u32, 0..=32u8)
        .prop_map(|(high, low, bits)| (Ipv4Addr::from_bits(high << 30 | low).into(), bits));
    let v6 = (0..4u128, 0..4u128, 0..=128u8)
        .prop_map(|(high, low, bits)| (Ipv6Addr::from_bits(high << 126 | low).into(), bits));
    prop_oneof![v4, v6]
}

fn is_inside(address: IpAddr, (of, bits): (IpAddr, u8)) -> bool {
    match (address, of) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            (a.to_bits() ^ b.to_bits()).leading_zeros() >= u32::from(bits)
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            (a.to_bits() ^ b.to_bits()).leading_zeros() >= u32::from(bits)
        }
        _ => false,
    }
}

/// The last of the longest prefixes around an address, by looking at all.
fn scan(prefixes: &[(IpAddr, u8)], address: IpAddr) -> Option<String> {
    let inside = prefixes.iter().enumerate().filter(|(_, prefix)| is_inside(address, **prefix));
    inside.max_by_key(|(at, (_, bits))| (*bits, *at)).map(|(at, _)| format!("d{at}"))
}

proptest! {
    #![proptest_config(cases(300))]

    /// Netlink's messages: none is longer than what is left, and each has a header of 16 bytes.
    #[test]
    fn any_answer_of_netlink_is_cut_into_messages(
        parts in vec((0..200u32, 0..4u16, vec(any::<u8>(), 0..200)), 0..6),
    ) {
        let kinds = [2, 3, 20, 77u16];
        let mut bytes = Vec::new();
        for (length, kind, body) in parts {
            bytes.extend(length.to_ne_bytes());
            bytes.extend(kinds[usize::from(kind)].to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(body);
        }
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let mut messages = 0;
            diag::messages(&bytes, protocol, diag::UNASKED, |_| messages += 1);
            prop_assert!(messages <= bytes.len() / 16);
        }
    }

    #[test]
    fn the_longest_prefix_is_the_one_that_a_scan_finds(
        prefixes in vec(prefix(), 0..40),
        asked in vec(prefix(), 1..40),
    ) {
        let entry = |(at, (address, bits)): (usize, &(IpAddr, u8))| {
            format!("{{\"ip_address\":\"{address}/{bits}\",\"domain\":\"d{at}\"}}")
        };
        let entries: Vec<String> = prefixes.iter().enumerate().map(entry).collect();
        let text = format!("[{}]", entries.join(","));
        let read = inventory::read(text.as_bytes(), Format::ArrayJson, Bounds::default());
        let inventory = read.unwrap();
        prop_assert_eq!(inventory.rejected, 0);
        // What is mapped into IPv6 is IPv4, and is not looked for among these.
        let is_plain =
            |address: &IpAddr| !address.is_loopback() && address.to_canonical() == *address;
        for address in asked.iter().map(|(address, _)| *address).filter(is_plain) {
            let found = inventory.find(address).map(|host| host.domain.to_string());
            prop_assert_eq!(found, scan(&prefixes, address), "{}", address);
        }
    }

    /// Whatever stands between good lines costs no more than its own line.
    #[test]
    fn good_lines_outlive_what_is_between_them(between in vec("[^\n]{0,40}", 1..8)) {
        let good = |n: usize| format!("{{\"ip_address\":\"10.0.0.{n}\",\"domain\":\"d{n}\"}}");
        let mut lines = Vec::new();
        for (n, bad) in between.iter().enumerate() {
            lines.extend([good(n), format!("{{{bad}")]);
        }
        lines.push(good(between.len()));
        let text = lines.join("\n");
        let inventory =
            inventory::read(text.as_bytes(), Format::NdJson, Bounds::default()).unwrap();
        for n in 0..=between.len() {
            let host = inventory.host(IpAddr::from([10, 0, 0, n as u8]));
            prop_assert_eq!(host.domain, format!("d{n}"), "{}", text);
        }
    }

    #[test]
    fn no_bytes_are_too_odd(bytes in vec(any::<u8>(), 0..400), text in "\\PC{0,200}") {
        let bounds = Bounds { bytes_max: 300, entries_max: 3 };
        for format in [Format::ArrayJson, Format::NdJson] {
            let _ = inventory::read(&bytes[..], format, bounds);
            let _ = inventory::read(text.as_bytes(), format, bounds);
        }
        let mut samples = 0;
        let tally = exposition_text::read(&bytes[..], &["a"], "a", 300, |_, _, _| samples += 1);
        prop_assert_eq!(tally.is_ok(), bytes.len() <= 300);
        netstat::read(&text, 3);
        netstat::owners(&text);
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let _ = freebsd::sockets(&bytes, protocol);
        }
        let _ = freebsd::owners(&bytes);
        freebsd::process_name(&bytes, &bytes);
    }

    /// Records of the right lengths with anything in them.
    #[test]
    fn no_record_is_too_odd(inside in vec(any::<u8>(), 744), lengths in (0..900u64, 0..500u64)) {
        let mut record = inside;
        record[..8].copy_from_slice(&744u64.to_ne_bytes());
        record[8..16].copy_from_slice(&lengths.0.to_ne_bytes());
        record[16..24].copy_from_slice(&lengths.1.to_ne_bytes());
        let mut bytes = vec![0; 64];
        bytes[..8].copy_from_slice(&64u64.to_ne_bytes());
        bytes.extend(record);
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let _ = freebsd::sockets(&bytes, protocol);
        }
    }

    #[test]
    fn labels_come_back(values in vec("\\PC{0,10}|[\\\\\"{},\n=]{0,6}", 1..5)) {
        let escape = |text: &String| {
            text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
        };
        let labels: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(at, value)| format!("l{at}=\"{}\"", escape(value)))
            .collect();
        let text = format!("other 1\nfam{{{}}} 7 1\n", labels.join(","));
        let mut found = Vec::new();
        exposition_text::read(text.as_bytes(), &["fam"], "fam", 1 << 20, |_, labels, value| {
            found = labels.iter().map(|(_, value)| value.to_string()).collect();
            assert_eq!(value, 7.0);
        })
        .unwrap();
        prop_assert_eq!(found, values);
    }
}
