//! Hides what tells whose network it is: addresses, names, serial numbers. The same stays the same,
//! so that replies still fit together; what was there cannot be had back, because the key is made
//! anew in each run and kept nowhere.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Elements that hold a name of an operator's own, by the words that their names end with.
const NAMES: &[&str] = &[
    "agent-circuit-id",
    "agent-remote-id",
    "association-name",
    "bgp-group-name",
    "bridging-domain",
    "contact",
    "context-name",
    "counter-name",
    "description",
    "domain-name",
    "export-policy",
    "filter-name",
    "from",
    "from-zone",
    "host-name",
    "hostname",
    "ike-ike-id",
    "import-policy",
    "instance-name",
    "ipsec-policy",
    "irib-name",
    "location",
    "logical-system-name",
    "login-name",
    "lsp-name",
    "map-name",
    "node-id",
    "owner",
    "owner-name",
    "path-name",
    "peer-group",
    "policer-name",
    "policy-name",
    "pool-name",
    "re-name",
    "rt-instance",
    "routing-instance",
    "service-set-name",
    "system-name",
    "table-name",
    "test-name",
    "to-zone",
    "ufd-group-name",
    "user",
    "user-name",
    "username",
    "vlan-name",
    "vrfname",
    "zone-name",
];

/// Those of them whose words are Junos's.
const NOT_NAMES: &[&str] = &[
    "alarm-description",
    "alarm-short-description",
    "packet-type-description",
    "table-description",
];

/// Elements whose `<name>` is such a name, by the words that their names end with.
const NAMED: &[&str] = &[
    "bgp-group",
    "class",
    "domain",
    "group",
    "host",
    "instance",
    "policy",
    "system",
    "user",
    "vlan",
    "zone",
];

/// Words of Junos's own in the place of a name.
const KEPT: &[&str] = &[
    "-",
    "all",
    "any",
    "default",
    "default-switch",
    "global",
    "junos-global",
    "junos-host",
    "management",
    "master",
    "N/A",
    "none",
    "not available",
    "Null",
    "root",
    "trust",
    "unknown",
    "untrust",
];

/// What a routing table's name ends with, behind its instance's: `CUSTOMER.inet6.0`.
const FAMILIES: &[&str] = &[
    "bgp",
    "evpn",
    "inet",
    "inet6",
    "inetcolor",
    "inetflow",
    "inet6flow",
    "iso",
    "l2circuit",
    "l2id",
    "l2vpn",
    "l3vpn",
    "lsdist",
    "mdt",
    "mpls",
    "mvpn",
    "rtarget",
    "vpls",
];

const SERIALS: &[&str] = &["serial-number", "serial", "uuid", "asset-tag", "license-key"];

/// What element it is, as far as hiding goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Name,
    Serial,
    Other,
}

/// Of an element, and of the one around it.
pub fn kind(name: &str, parent: &str) -> Kind {
    let ends_with = |name: &str, list: &[&str]| {
        list.iter().any(|words| {
            name.strip_suffix(words)
                .is_some_and(|before| before.is_empty() || before.ends_with('-'))
        })
    };
    match name {
        _ if NOT_NAMES.contains(&name) => Kind::Other,
        "name" if ends_with(parent, NAMED) => Kind::Name,
        _ if ends_with(name, SERIALS) => Kind::Serial,
        _ if ends_with(name, NAMES) => Kind::Name,
        _ => Kind::Other,
    }
}

/// Replaces them by others, by a key of its own.
#[derive(Default)]
pub struct Hide(RandomState);

impl Hide {
    /// The text of an element of that kind.
    pub fn hidden(&self, text: &str, kind: Kind) -> String {
        let inner = text.trim();
        let hidden = match kind {
            Kind::Serial if is_told(inner) => format!("SERIAL{:08X}", self.hash(&inner)),
            Kind::Name if inner.parse::<IpAddr>().is_err() && is_told(inner) => self.name(inner),
            _ => return self.addresses(text),
        };
        text.replacen(inner, &hidden, 1)
    }

    fn hash(&self, what: &(impl std::hash::Hash + ?Sized)) -> u32 {
        self.0.hash_one(what) as u32
    }

    /// A name's last part stays where it is Junos's: a table's family, a node's number.
    fn name(&self, name: &str) -> String {
        let end = family(name).or_else(|| node(name)).unwrap_or(name.len());
        let (own, rest) = name.split_at(end);
        if own.is_empty() || is_slot(own) || KEPT.contains(&own) || own.starts_with("__") {
            return name.into();
        }
        format!("name-{:08x}{rest}", self.hash(own))
    }

    /// A text with other addresses: IPv4, IPv6, MAC, and the system identifiers of IS-IS.
    pub fn addresses(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit() || c == ':') {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c: char| !c.is_ascii_hexdigit() && c != ':' && c != '.');
            let (token, after) = from.split_at(end.unwrap_or(from.len()));
            out += before;
            // Within a word, `Gigabit` or `fab0`, are only addresses with dots: `BGP_192.0.2.1`.
            let glued = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let in_word = glued(before.chars().next_back()) || glued(after.chars().next());
            out += &self.token(token, in_word).unwrap_or_else(|| token.into());
            rest = after;
            // The rest of the word is none.
            if in_word {
                let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
                out += &rest[..end];
                rest = &rest[end..];
            }
        }
        out + rest
    }

    fn token(&self, token: &str, in_word: bool) -> Option<String> {
        // At the end of a sentence, or before a port: `192.0.2.1:179`, `2001:db8::1.`
        let trimmed = token.trim_end_matches(['.', ':']);
        if !trimmed.contains(':') {
            return self.dotted(trimmed).map(|new| new + &token[trimmed.len()..]);
        }
        if in_word {
            return None;
        }
        if let Ok(address) = token.parse::<Ipv6Addr>().or_else(|_| trimmed.parse()) {
            let rest = if token.parse::<Ipv6Addr>().is_ok() { "" } else { &token[trimmed.len()..] };
            return Some(self.v6(address).to_string() + rest);
        }
        let groups: Vec<&str> = trimmed.split(':').collect();
        if groups.len() >= 6 && groups.iter().all(|group| group.len() == 2) {
            // A MAC address keeps its vendor. An ESI is longer.
            let bytes: Vec<u8> =
                groups.iter().filter_map(|group| u8::from_str_radix(group, 16).ok()).collect();
            let keep =
                if bytes.iter().all(|byte| [0, 255].contains(byte)) { bytes.len() } else { 3 };
            let bytes = self.bits(&bytes, keep * 8);
            let text: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            return Some(text.join(":") + &token[trimmed.len()..]);
        }
        // An address with a number behind or before it: a port, a route distinguisher.
        let parts: Vec<String> = groups
            .iter()
            .map(|part| self.dotted(part).unwrap_or_else(|| part.to_string()))
            .collect();
        Some(parts.join(":") + &token[trimmed.len()..])
    }

    /// `192.0.2.1`, `0:1920.0000.2001` or `f0e9.b6b2.378b`; nothing for what is neither.
    fn dotted(&self, token: &str) -> Option<String> {
        let groups: Vec<&str> = token.split('.').collect();
        // An object identifier of SNMP has no address that would tell anything.
        if groups.len() >= 4 && !token.starts_with("1.3.6.1.") {
            let (before, last) = groups.split_at(groups.len() - 4);
            if let Ok(address) = last.join(".").parse::<Ipv4Addr>() {
                let before: String = before.iter().flat_map(|group| [*group, "."]).collect();
                return Some(before + &self.v4(address).to_string());
            }
        }
        let is_system = |groups: &[&str]| groups.iter().all(|group| group.len() == 4);
        let at =
            (0..groups.len().saturating_sub(2)).rev().find(|at| is_system(&groups[*at..at + 3]))?;
        let digits = groups[at..at + 3].concat();
        let new =
            format!("{:06x}{:06x}", self.hash(&(digits.as_str(), 1)) >> 8, self.hash(&digits) >> 8);
        let mut groups: Vec<&str> = groups;
        for (index, group) in groups[at..at + 3].iter_mut().enumerate() {
            *group = &new[index * 4..index * 4 + 4];
        }
        Some(groups.join("."))
    }

    /// The first 8 bits stay, and so do addresses that mean the same everywhere.
    fn v4(&self, address: Ipv4Addr) -> Ipv4Addr {
        let is_everybodys = address.is_loopback()
            || address.is_multicast()
            || [0, 255].contains(&address.octets()[0]);
        if is_everybodys {
            return address;
        }
        let bytes = self.bits(&address.octets(), 8);
        <[u8; 4]>::try_from(bytes).map_or(address, Ipv4Addr::from)
    }

    /// The first 16 bits stay; so do `::`, `::1` and groups such as ff02::5.
    fn v6(&self, address: Ipv6Addr) -> Ipv6Addr {
        let octets = address.octets();
        if octets[2..14].iter().all(|octet| *octet == 0) {
            return address;
        }
        <[u8; 16]>::try_from(self.bits(&octets, 16)).map_or(address, Ipv6Addr::from)
    }

    /// Other bits behind the first: each depends on those before it, so that what has a prefix in
    /// common has one of the same length afterwards (Crypto-PAn does it so), and no two become one.
    fn bits(&self, bytes: &[u8], keep: usize) -> Vec<u8> {
        let mut new = bytes.to_vec();
        for bit in keep..bytes.len() * 8 {
            let mut before = bytes[..=bit / 8].to_vec();
            if let Some(last) = before.last_mut() {
                *last &= !(0xff >> (bit % 8));
            }
            new[bit / 8] ^= (self.hash(&(bit, before)) as u8 & 1) << (7 - bit % 8);
        }
        new
    }
}

/// Whether it tells anything.
fn is_told(text: &str) -> bool {
    !text.is_empty() && !text.bytes().all(|byte| byte.is_ascii_digit()) && !KEPT.contains(&text)
}

const SLOTS: &[&str] = &["feb", "fpc", "lcc", "member", "node", "pic", "re", "sfc"];

/// `re0`, `node1`, `lcc0-re1`: where something is in the chassis.
fn is_slot(name: &str) -> bool {
    name.trim_end_matches(':').split('-').all(|part| {
        let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
        letters.len() < part.len() && SLOTS.contains(&letters)
    })
}

/// Where the family of a routing table's name begins.
fn family(name: &str) -> Option<usize> {
    let (before, number) = name.rsplit_once('.')?;
    number.parse::<u32>().ok()?;
    let mut start = None;
    for (at, part) in before.rmatch_indices('.').map(|(at, _)| (at, &before[at + 1..])) {
        if !FAMILIES.contains(&part.split('.').next().unwrap_or_default()) {
            break;
        }
        start = Some(at);
    }
    let first = start.map_or(before, |at| &before[..at]);
    if FAMILIES.contains(&first) { Some(0) } else { start }
}

/// Where the number of a pseudonode or a fragment begins: `core-1.00-00` (ISO/IEC 10589).
fn node(name: &str) -> Option<usize> {
    let at = name.rfind('.')?;
    let number = &name[at + 1..];
    let is_number = number.starts_with(|c: char| c.is_ascii_digit())
        && number.split('-').all(|part| part.len() == 2)
        && number.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_number.then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_change_and_keep_what_they_have_in_common() {
        let hide = Hide::default();
        let v4 = |text: &str| hide.addresses(text).parse::<Ipv4Addr>().unwrap().to_bits();
        let common = |a: u32, b: u32| (a ^ b).leading_zeros();
        let addresses = ["10.1.2.3", "10.1.2.4", "10.1.7.4", "10.200.0.1", "192.0.2.1"];
        for a in addresses {
            assert_eq!(v4(a), v4(a));
            for b in addresses {
                let before: [Ipv4Addr; 2] = [a, b].map(|text| text.parse().unwrap());
                assert_eq!(common(v4(a), v4(b)), common(before[0].to_bits(), before[1].to_bits()));
            }
        }
        let mut all: Vec<u32> = (0..=255).map(|last| v4(&format!("10.9.8.{last}"))).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 256);
        // Of 24 bits a few at least are others.
        assert!(addresses.iter().any(|text| hide.addresses(text) != **text));
    }

    #[test]
    fn what_is_no_address_of_anybodys_stays() {
        let hide = Hide::default();
        for text in [
            "0.0.0.0",
            "127.0.0.1",
            "224.0.0.5",
            "255.255.255.0",
            "::",
            "::1",
            "ff02::5",
            "23.4R1.9",
            "ge-0/0/0.100",
            "1.3.6.1.2.1.31.1.1.1.1.2000900",
            "12:34:56",
            "65000:100",
            "1w2d 03:04:05",
            "2026-03-01 10:11:12 UTC",
            "00:00:00:00:00:00",
            "fab0",
            "Deadbeef",
            "1.5",
            "0x1a2b",
            "a:b",
            "QSFP-100G",
            "FPC 0",
            "ff:ff:ff:ff:ff:ff",
        ] {
            assert_eq!(hide.addresses(text), text);
        }
    }

    #[test]
    fn addresses_are_found_where_they_stand() {
        let hide = Hide::default();
        let one = hide.addresses("198.51.100.77");
        let six = hide.addresses("2001:db8:77::1");
        assert!(one != "198.51.100.77" && six != "2001:db8:77::1");
        for (text, expected) in [
            ("198.51.100.77+179", format!("{one}+179")),
            ("198.51.100.77/32", format!("{one}/32")),
            ("198.51.100.77:100", format!("{one}:100")),
            ("BGP_65000.198.51.100.77", format!("BGP_65000.{one}")),
            ("BGP_198.51.100.77", format!("BGP_{one}")),
            ("from 198.51.100.77, via x", format!("from {one}, via x")),
            ("198.51.100.77.", format!("{one}.")),
            ("2001:db8:77::1/64", format!("{six}/64")),
            ("[2001:DB8:77::1]", format!("[{six}]")),
            ("via 2001:db8:77::1%ge-0/0/0", format!("via {six}%ge-0/0/0")),
        ] {
            assert_eq!(hide.addresses(text), expected, "{text}");
        }
        let mac = hide.addresses("2c:6b:f5:12:34:56");
        assert!(
            mac.starts_with("2c:6b:f5:") && mac != "2c:6b:f5:12:34:56" && mac.len() == 17,
            "{mac}"
        );
        let system = hide.addresses("49.0001.1920.0000.2001.00");
        assert!(
            system.starts_with("49.") && system.len() == 25 && !system.contains("2001"),
            "{system}"
        );
    }

    #[test]
    fn names_become_others_and_junos_s_words_stay() {
        let hide = Hide::default();
        let name = |text: &str| hide.hidden(text, Kind::Name);
        let own = name("CUST-A");
        assert!(own.starts_with("name-") && own.len() == 13, "{own}");
        for (text, expected) in [
            ("\n CUST-A\n", format!("\n {own}\n")),
            ("CUST-A.inet6.0", format!("{own}.inet6.0")),
            ("CUST-A.mvpn-inet6.0", name("CUST-A.mvpn-inet6.0")),
            ("CUST-A.00-00", format!("{own}.00-00")),
            ("inet.0", "inet.0".into()),
            ("bgp.l3vpn.0", "bgp.l3vpn.0".into()),
            ("__juniper_private1__.inet.0", "__juniper_private1__.inet.0".into()),
            ("master", "master".into()),
            ("re0", "re0".into()),
            ("lcc0-re1", "lcc0-re1".into()),
            ("12", "12".into()),
            ("", "".into()),
        ] {
            assert_eq!(name(text), expected);
        }
        assert_ne!(name("CUST-B"), own);
        assert!(hide.hidden("JN1234", Kind::Serial).starts_with("SERIAL"));
        assert_eq!(kind("name", "bgp-group"), Kind::Name);
        assert_eq!(kind("name", "physical-interface"), Kind::Other);
        assert_eq!(kind("lldp-remote-system-name", ""), Kind::Name);
        assert_eq!(kind("alarm-description", ""), Kind::Other);
    }
}
