//! Routers that the settings do not name: a scrape names one, and a pattern of theirs allows it.
//! A client chooses among what is allowed, and nothing else: not the login, and not the port.

use std::net::IpAddr;
use std::time::Duration;

use super::router::Router;
use crate::base::prefix::Prefix;

/// RFC 1035's limits.
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// What a scrape may name.
#[derive(Clone, Debug, PartialEq)]
pub enum Allow {
    Addresses(Prefix),
    /// `*` stands for anything. A port is allowed only where it is written.
    Names {
        pattern: String,
        port: Option<u16>,
    },
}

impl Allow {
    pub fn read(text: &str) -> Result<Allow, String> {
        if let Ok(prefix) = text.parse() {
            return Ok(Allow::Addresses(prefix));
        }
        let (pattern, port) = split_port(text).unwrap_or_default();
        let is_fine = |c: char| c.is_ascii_alphanumeric() || "-_.*".contains(c);
        if pattern.is_empty() || !pattern.chars().all(is_fine) {
            return Err(format!(
                "`{text}` is neither a pattern of names nor a prefix of addresses"
            ));
        }
        Ok(Allow::Names { pattern: pattern.to_ascii_lowercase(), port })
    }

    fn has(&self, target: &Target) -> bool {
        match (self, target) {
            (Allow::Addresses(prefix), Target::Address(address)) => prefix.contains(*address),
            (Allow::Names { pattern, port }, Target::Name(name, asked)) => {
                // A name of other alphabets may look like another one.
                let is_shown = !name.contains("xn--") || pattern.contains("xn--");
                is_shown && port == asked && is_like(name, pattern)
            }
            _ => false,
        }
    }
}

/// What a scrape names.
#[derive(Debug, PartialEq)]
enum Target {
    Address(IpAddr),
    /// In lower case.
    Name(String, Option<u16>),
}

impl Target {
    fn read(text: &str) -> Option<Target> {
        if text.len() > NAME_BYTES_MAX + ":65535".len() {
            return None;
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(text).parse::<IpAddr>() {
            return Some(Target::Address(address.to_canonical()));
        }
        let (name, port) = split_port(text)?;
        let name = name.to_ascii_lowercase();
        let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let is_label = |label: &str| {
            let fits = (1..=LABEL_BYTES_MAX).contains(&label.len());
            fits && label.chars().all(is_letter) && !label.starts_with('-')
        };
        // `127.1`, `0x7f000001`: resolvers take these for addresses.
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_number = last.starts_with("0x") || last.chars().all(|c| c.is_ascii_digit());
        let fits = name.len() <= NAME_BYTES_MAX && name.split('.').all(is_label) && !is_number;
        fits.then_some(Target::Name(name, port))
    }
}

/// A host and the port that may stand behind it; `None` if what stands there is no port.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    match text.split_once(':') {
        None => Some((text, None)),
        Some((host, port)) => {
            let port = port.parse().ok().filter(|port| *port > 0)?;
            Some((host, Some(port)))
        }
    }
}

fn is_like(name: &str, pattern: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return name == pattern };
    let Some(rest) = name.strip_prefix(before) else { return false };
    let Some(last) = after.rsplit('*').next().filter(|_| after.contains('*')) else {
        return rest.ends_with(after);
    };
    // Each part between stars at its first place: a later one would leave less for the rest.
    let mut rest = rest;
    for part in after[..after.len() - last.len()].split('*').filter(|part| !part.is_empty()) {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Routers that a `[[router]]` allows: all that they have in common, and their names.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    pub allow: Vec<Allow>,
    /// So many are known at a time.
    pub targets_max: usize,
    /// After this time without a scrape, a session is closed and the router is forgotten.
    pub idle_timeout: Duration,
    /// How long a scrape waits for one, if the scrape's own limit is not shorter.
    pub scrape_timeout: Option<Duration>,
    pub router: Router,
}

impl Template {
    /// The router of that name, if it is allowed.
    pub fn router(&self, target: &str) -> Option<Router> {
        let target = Target::read(target)?;
        if !self.allow.iter().any(|allow| allow.has(&target)) {
            return None;
        }
        let (host, asked) = match target {
            Target::Address(address) => (address.to_string(), None),
            Target::Name(name, port) => (name, port),
        };
        let name = asked.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        self.router.at(&name, &host, asked, self.router.tags.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(allow: &str, target: &str) -> bool {
        let allow = Allow::read(allow).unwrap();
        Target::read(target).is_some_and(|target| allow.has(&target))
    }

    #[test]
    fn what_is_allowed_and_nothing_else() {
        for (allow, target, expected) in [
            ("*.core.example.net", "mx1.core.example.net", true),
            ("*.core.example.net", "MX1.Core.example.net", true),
            ("*.core.example.net", "a.b.core.example.net", true),
            ("*.core.example.net", "core.example.net", false),
            ("*.core.example.net", "mx1.core.example.net.evil.example", false),
            ("*.core.example.net", "mx1.core.example.net:22", false),
            ("*.core.example.net:22", "mx1.core.example.net:22", true),
            ("*.core.example.net:22", "mx1.core.example.net", false),
            ("*.core.example.net", "mx1.core.example.net.", false),
            ("*.core.example.net", "evil@mx1.core.example.net", false),
            ("*.core.example.net", "-oProxyCommand=x.core.example.net", false),
            ("*.core.example.net", "x y.core.example.net", false),
            ("*.core.example.net", "x\n.core.example.net", false),
            ("*.core.example.net", "mx1..core.example.net", false),
            ("*.core.example.net", "m\u{445}1.core.example.net", false),
            ("*.core.example.net", "xn--mx-ccc.core.example.net", false),
            ("xn--*.example.net", "xn--mx-ccc.example.net", true),
            ("mx*-*.net", "mx1-fra.net", true),
            ("mx*-*.net", "mx1.net", false),
            ("a*b*b", "ab", false),
            ("a*b*b", "abb", true),
            // Names are no addresses, however these are written.
            ("*", "anything", true),
            ("*", "192.0.2.1", false),
            ("*", "::1", false),
            ("*", "127.1", false),
            ("*", "2130706433", false),
            ("*", "0x7f000001", false),
            ("*", "[::1]:22", false),
            ("192.0.2.0/24", "192.0.2.7", true),
            ("192.0.2.0/24", "192.0.3.7", false),
            ("192.0.2.0/24", "192.0.2.7:22", false),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("192.0.2.0/24", "mx1", false),
            ("2001:db8::/32", "2001:db8::1", true),
            ("2001:db8::/32", "[2001:db8::1]", true),
            ("192.0.2.1", "192.0.2.1", true),
        ] {
            assert_eq!(allows(allow, target), expected, "{allow} {target}");
        }
        let long = "a".repeat(64);
        assert!(!allows("*", &long) && !allows("*", &"a.".repeat(200)) && !allows("*", ""));
        for wrong in ["", "a b", "a:0", "a:x", "*.net:", "(mx|ptx)", "a/b"] {
            assert!(Allow::read(wrong).is_err(), "{wrong}");
        }
    }
}
