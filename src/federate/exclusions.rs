//! Which of the fleet's traffic and dependencies are left out. Pure.

use std::net::IpAddr;

use regex_lite::Regex;

use crate::base::prefix::Prefix;

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
        address.is_ok_and(|address| self.prefixes.iter().any(|prefix| prefix.contains(address)))
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
        let exclusions = Exclusions {
            ports: Vec::new(),
            prefixes: ["169.254.0.0/16", "10.1.2.3/32", "fe80::/10", "2001:db8::/127"]
                .map(|text| text.parse().unwrap())
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
    }
}
