//! `only`: a pattern for the names that are collected. What of it Junos understands goes into the
//! RPC, so that the router is not asked for all; the pattern decides in any case.

use std::net::IpAddr;

use serde::Deserialize;

use super::settings::Pattern;
use crate::base::globs;

/// More RPCs would cost a router more than a long reply.
const RPCS_MAX: usize = 8;

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Only {
    pattern: Pattern,
    /// Names with `*` that stand for all that the pattern matches, none within another; empty if
    /// there are no such.
    globs: Vec<String>,
}

impl TryFrom<String> for Only {
    type Error = String;
    fn try_from(text: String) -> Result<Only, String> {
        let globs = globs::globs(&text, true).filter(|globs| globs.is_anchored);
        let globs = globs.map_or_else(Vec::new, |globs| apart(&globs.globs));
        Ok(Only { pattern: Pattern::try_from(text)?, globs })
    }
}

impl Only {
    pub fn is_match(&self, name: &str) -> bool {
        self.pattern.is_match(name)
    }
}

/// Globs without those that another contains; none if two may overlap otherwise, or if there are
/// too many.
fn apart(globs: &[String]) -> Vec<String> {
    let prefix = |glob: &str| glob.split('*').next().unwrap_or_default().to_string();
    let mut apart: Vec<String> = Vec::new();
    for (at, glob) in globs.iter().enumerate() {
        let mut others = globs.iter().enumerate().filter(|(other, _)| *other != at);
        let contains = |other: &String| {
            let is_open = other.ends_with('*') && other.matches('*').count() == 1;
            is_open && glob.starts_with(&prefix(other))
        };
        if others.clone().any(|(_, other)| contains(other)) {
            continue;
        }
        let overlaps = |other: &String| {
            glob.contains('*') && other.starts_with(&prefix(glob)) && !other.is_empty()
        };
        let is_within = |other: &String| {
            glob.ends_with('*')
                && glob.matches('*').count() == 1
                && other.starts_with(&prefix(glob))
        };
        if others.any(|(_, other)| overlaps(other) && !is_within(other)) {
            return Vec::new();
        }
        apart.push(glob.clone());
    }
    if apart.len() > RPCS_MAX || apart.iter().any(|glob| glob == "*") {
        return Vec::new();
    }
    apart
}

/// The operation for all interfaces, or once for each of those that `only` names. The name of a
/// unit stands for its interface: asked for alone, a unit comes without it.
pub fn interface_rpcs(only: &Option<Only>, name: &str, inside: &str) -> Vec<String> {
    let globs = only.iter().flat_map(|only| &only.globs);
    let mut interfaces: Vec<&str> =
        globs.map(|glob| glob.split('.').next().unwrap_or_default()).collect();
    interfaces.dedup();
    if interfaces.is_empty() {
        return match inside {
            "" => vec![format!("<{name}/>")],
            _ => vec![format!("<{name}>{inside}</{name}>")],
        };
    }
    let of = |interface: &&str| {
        format!("<{name}>{inside}<interface-name>{interface}</interface-name></{name}>")
    };
    interfaces.iter().map(of).collect()
}

/// The operation for all peers, or once for each address that `only` names.
pub fn neighbor_rpcs(only: &Option<Only>, name: &str) -> Vec<String> {
    let globs = only.as_ref().map_or(&[][..], |only| &only.globs);
    let is_address = |glob: &String| glob.parse::<IpAddr>().is_ok();
    if globs.is_empty() || !globs.iter().all(is_address) {
        return vec![format!("<{name}/>")];
    }
    let of = |address: &String| {
        format!("<{name}><neighbor-address>{address}</neighbor-address></{name}>")
    };
    globs.iter().map(of).collect()
}

/// The names that `only` consists of, for RPCs that take one; none if it is anything else.
pub fn names(only: &Option<Only>) -> Vec<&str> {
    let globs = only.as_ref().map_or(&[][..], |only| &only.globs);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    // Where Junos takes a regular expression, none may match what another does.
    let is_alone = |glob: &String| globs.iter().filter(|other| other.contains(glob)).count() == 1;
    let is_name = |glob: &String| glob.chars().all(is_plain) && !glob.is_empty();
    if !globs.iter().all(|glob| is_name(glob) && is_alone(glob)) {
        return Vec::new();
    }
    globs.iter().map(String::as_str).collect()
}

/// The operation for all, or once for each name that `only` consists of, in that argument.
pub fn name_rpcs(only: &Option<Only>, name: &str, inside: &str, argument: &str) -> Vec<String> {
    let names = names(only);
    if names.is_empty() {
        return match inside {
            "" => vec![format!("<{name}/>")],
            _ => vec![format!("<{name}>{inside}</{name}>")],
        };
    }
    let of = |wanted: &&str| format!("<{name}>{inside}<{argument}>{wanted}</{argument}></{name}>");
    names.iter().map(of).collect()
}

/// What stands for all names in a regular expression of Junos.
pub const ALL: &str = ".*";

/// Regular expressions for what `only` names, as Junos takes them: one for each name, or `ALL`.
/// None matches what another does, also if they need not match the whole name.
pub fn regexes(only: &Option<Only>) -> Vec<String> {
    let globs = only.as_ref().map_or(&[][..], |only| &only.globs);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/*".contains(c);
    let is_alone = |glob: &String| {
        !glob.contains('*') && globs.iter().filter(|other| other.contains(glob)).count() == 1
    };
    let is_sure = globs.len() == 1 || globs.iter().all(is_alone);
    if globs.is_empty() || !is_sure || !globs.iter().all(|glob| glob.chars().all(is_plain)) {
        return vec![ALL.into()];
    }
    globs.iter().map(|glob| glob.replace('.', "\\.").replace('*', ALL)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(pattern: &str) -> Option<Only> {
        Some(Only::try_from(pattern.to_string()).unwrap())
    }

    fn names(pattern: &str) -> Vec<String> {
        let rpcs = interface_rpcs(&only(pattern), "get", "<x/>");
        let name = |rpc: &String| {
            let name = rpc.split("<interface-name>").nth(1)?;
            Some(name.split('<').next()?.to_string())
        };
        rpcs.iter().filter_map(name).collect()
    }

    #[test]
    fn a_pattern_becomes_names_where_it_can() {
        assert_eq!(names("^(ge|xe|et|ae)"), ["ge*", "xe*", "et*", "ae*"]);
        assert_eq!(names("^ge-0/0/0$"), ["ge-0/0/0"]);
        assert_eq!(names(r"^ge-0/0/0\.(1|2)$"), ["ge-0/0/0"]);
        // One within another is asked for once.
        assert_eq!(names("^ge|^ge-0|^lo0"), ["ge*", "lo0*"]);
        // Everything, what may begin elsewhere, what is too much, and what may overlap.
        for all in ["", "ge", "^ge|ae", "^.*", "^[a-j]", "^[^a]", "^ge-.*/0$|^ge-0/.*/1$"] {
            assert_eq!(names(all), [""; 0], "{all}");
            assert_eq!(interface_rpcs(&only(all), "get", "<x/>"), ["<get><x/></get>"]);
        }
        assert_eq!(interface_rpcs(&None, "get", ""), ["<get/>"]);
        let peers = |pattern| neighbor_rpcs(&only(pattern), "get").len();
        assert_eq!(
            neighbor_rpcs(&only(r"^192\.0\.2\.1$"), "get"),
            ["<get><neighbor-address>192.0.2.1</neighbor-address></get>"]
        );
        assert_eq!(peers(r"^192\.0\.2\.(1|2)$|^2001:db8::1$"), 3);
        // A beginning of addresses, no address, and any character where a dot is meant.
        for all in ["", r"^192\.0\.2\.1", r"^192\.0\.2\.1$|^10\.", "^edge$", "^192.0.2.1$"] {
            assert_eq!(neighbor_rpcs(&only(all), "get"), ["<get/>"], "{all}");
        }
        assert_eq!(neighbor_rpcs(&None, "get"), ["<get/>"]);
        assert_eq!(regexes(&only(r"^(edge|c\.ore)$")), ["edge", "c\\.ore"]);
        assert_eq!(regexes(&only("^edge")), ["edge.*"]);
        // What may begin elsewhere, what may overlap, and what Junos may read otherwise.
        for all in ["edge", "^edge|^core", "^(edge|edge-2)$", r"^a\+b$", ""] {
            assert_eq!(regexes(&only(all)), [ALL], "{all}");
        }
        assert_eq!(regexes(&None), [ALL]);
    }

    #[test]
    fn names_go_into_an_argument_and_patterns_do_not() {
        let rpcs = |pattern| name_rpcs(&only(pattern), "get", "<x/>", "name");
        let of = |name| format!("<get><x/><name>{name}</name></get>");
        assert_eq!(rpcs(r"^(edge|c\.ore)$"), [of("edge"), of("c.ore")]);
        for all in ["", "^edge", "edge", "^(edge|edge1)$", "^edge.*$", "^(a|b|c|d|e|f|g|h|i)$"] {
            assert_eq!(rpcs(all), ["<get><x/></get>"], "{all}");
        }
        assert_eq!(name_rpcs(&None, "get", "", "name"), ["<get/>"]);
    }
}
