//! What of the fleet's traffic and dependencies is left out. Pure.

use std::net::IpAddr;
use std::str::FromStr;

use regex_lite::Regex;

/// An address with the number of its bits that count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prefix {
    bits: u128,
    is_v6: bool,
    length: u32,
}

fn bits(address: IpAddr) -> (u128, bool) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, false),
        IpAddr::V6(v6) => (v6.to_bits(), true),
    }
}

fn mask(length: u32) -> u128 {
    u128::MAX.checked_shl(128 - length).unwrap_or(0)
}

impl FromStr for Prefix {
    type Err = String;
    fn from_str(text: &str) -> Result<Prefix, String> {
        let wrong = || format!("`{text}` is no prefix such as 10.0.0.0/8 or fe80::/10");
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let (bits, is_v6) = bits(address.parse().map_err(|_| wrong())?);
        let length = length.parse().map_err(|_| wrong())?;
        if length > if is_v6 { 128 } else { 32 } {
            return Err(wrong());
        }
        Ok(Prefix { bits: bits & mask(length), is_v6, length })
    }
}

impl Prefix {
    pub fn has(&self, address: IpAddr) -> bool {
        let (bits, is_v6) = bits(address);
        is_v6 == self.is_v6 && bits & mask(self.length) == self.bits
    }
}

#[derive(Clone, Debug)]
pub struct Exclusions {
    pub ports: Vec<u16>,
    pub prefixes: Vec<Prefix>,
    /// Whole names.
    pub names: Vec<Regex>,
    /// Traffic below that many bits a second.
    pub bandwidth_min: f64,
    /// Peers, services and processes without a name are left in.
    pub unnamed: bool,
}

impl PartialEq for Exclusions {
    fn eq(&self, other: &Exclusions) -> bool {
        let names = |all: &Exclusions| -> Vec<String> {
            all.names.iter().map(|name| name.as_str().to_string()).collect()
        };
        (&self.ports, &self.prefixes, self.unnamed)
            == (&other.ports, &other.prefixes, other.unnamed)
            && self.bandwidth_min == other.bandwidth_min
            && names(self) == names(other)
    }
}

/// A pattern for whole names.
pub fn name_pattern(text: &str) -> Result<Regex, String> {
    Regex::new(&format!("^(?:{text})$"))
        .map_err(|err| format!("`{text}` is not a regular expression: {err}"))
}

impl Exclusions {
    /// Whether a peer's address is one that is left out; what is not an address is not.
    pub fn has_address(&self, text: &str) -> bool {
        let address = text.parse::<IpAddr>();
        address.is_ok_and(|address| self.prefixes.iter().any(|prefix| prefix.has(address)))
    }

    /// The same for its name: an address stands there where nothing better is known.
    pub fn has_name(&self, name: &str) -> bool {
        let unnamed = || name.is_empty() || name.parse::<IpAddr>().is_ok();
        (!self.unnamed && unnamed()) || self.has_pattern(name)
    }

    /// Whether one of the patterns for names is for this one.
    pub fn has_pattern(&self, name: &str) -> bool {
        self.names.iter().any(|pattern| pattern.is_match(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_names() {
        let parse = |text: &str| text.parse::<Prefix>();
        let exclusions = Exclusions {
            ports: Vec::new(),
            prefixes: ["169.254.0.0/16", "10.1.2.3/32", "fe80::/10", "2001:db8::/127"]
                .map(|text| parse(text).unwrap())
                .to_vec(),
            names: vec![name_pattern(".*prometheus.*|db").unwrap()],
            bandwidth_min: 0.0,
            unnamed: false,
        };
        for (address, excluded) in [
            ("169.254.169.254", true),
            ("::ffff:169.254.0.1", true),
            ("169.255.0.1", false),
            ("10.1.2.3", true),
            ("10.1.2.4", false),
            ("fe80::1", true),
            ("fec0::1", false),
            ("2001:db8::1", true),
            ("2001:db8::2", false),
            ("a9fe::", false),
            ("name", false),
        ] {
            assert_eq!(exclusions.has_address(address), excluded, "{address}");
        }
        for (name, excluded) in [
            ("", true),
            ("10.0.0.1", true),
            ("fe80::1", true),
            ("my-prometheus-2", true),
            ("db", true),
            ("db2", false),
            ("frontend", false),
            ("10-0-0-1.example", false),
        ] {
            assert_eq!(exclusions.has_name(name), excluded, "{name}");
        }
        let unnamed = Exclusions { unnamed: true, ..exclusions };
        assert!(!unnamed.has_name("") && !unnamed.has_name("10.0.0.1") && unnamed.has_name("db"));
        assert!(parse("0.0.0.0/0").unwrap().has("1.2.3.4".parse().unwrap()));
        assert!(!parse("::/0").unwrap().has("1.2.3.4".parse().unwrap()));
        for wrong in ["10.0.0.0", "10.0.0.0/33", "x/8", "::/129", "10.0.0.0/-1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
