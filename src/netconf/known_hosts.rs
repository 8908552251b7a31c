//! OpenSSH's known-hosts file, read as ssh reads it (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"):
//! whether a host's key is known. Nothing is known here that ssh would not know.

use openssl::base64;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;

/// ssh takes no pattern that is longer.
const PATTERN_BYTES_MAX: usize = 1023;
/// ssh takes no salt of another length.
const SALT_BYTES: usize = 20;

/// What the file says of a host's key. Lines count from 1.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Known,
    /// Other keys of the host are there, and not this one.
    Changed,
    /// A line that begins with `@revoked` has the key.
    Revoked {
        line: usize,
    },
    /// No key of the host is there. `authority` is a `@cert-authority` line for it, which
    /// is for host certificates.
    Unknown {
        authority: Option<usize>,
    },
}

#[derive(Clone, Copy, PartialEq)]
enum Marker {
    None,
    Revoked,
    Authority,
}

/// A line for the host that is asked for.
struct Entry<'a> {
    line: usize,
    marker: Marker,
    kind: &'a str,
    key: Vec<u8>,
}

/// What the file's text says of the key of the host at that port, the key as on the wire.
pub fn check(text: &str, host: &str, port: u16, key: &[u8]) -> Verdict {
    let of = |name: &str| verdict(&entries(text, name), key);
    match of(&name(host, port)) {
        // A line without a port is good for every port, if none has this one. ssh takes nothing
        // but a match from such a line, and a revocation refuses as well as no line at all.
        Verdict::Unknown { authority } if port != 22 => match of(&name(host, 22)) {
            Verdict::Unknown { authority: other } => {
                Verdict::Unknown { authority: authority.or(other) }
            }
            verdict => verdict,
        },
        verdict => verdict,
    }
}

/// The types of the keys that are known for the host at that port.
pub fn key_types(text: &str, host: &str, port: u16) -> Vec<String> {
    let names = [name(host, port), name(host, 22)];
    let entries = names.iter().flat_map(|name| entries(text, name));
    entries.filter(|e| e.marker == Marker::None).map(|e| e.kind.to_string()).collect()
}

/// The name that lines have for the host at that port.
pub fn name(host: &str, port: u16) -> String {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

fn verdict(entries: &[Entry], key: &[u8]) -> Verdict {
    let with = |marker| entries.iter().filter(move |entry| entry.marker == marker);
    if let Some(entry) = with(Marker::Revoked).find(|entry| entry.key == key) {
        return Verdict::Revoked { line: entry.line };
    }
    if with(Marker::None).any(|entry| entry.key == key) {
        return Verdict::Known;
    }
    if with(Marker::None).next().is_some() {
        return Verdict::Changed;
    }
    Verdict::Unknown { authority: with(Marker::Authority).next().map(|entry| entry.line) }
}

/// The lines whose hosts are that one. A line that ssh cannot read counts for nothing.
fn entries<'a>(text: &'a str, name: &str) -> Vec<Entry<'a>> {
    text.lines().enumerate().filter_map(|(at, line)| entry(at + 1, line, name)).collect()
}

fn entry<'a>(at: usize, line: &'a str, name: &str) -> Option<Entry<'a>> {
    let blank = |c: char| c == ' ' || c == '\t';
    let word = |line: &'a str| line.trim_start_matches(blank).split_once(blank);
    let line = line.trim_start_matches(blank);
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (marker, line) = match word(line)? {
        ("@revoked", rest) => (Marker::Revoked, rest),
        ("@cert-authority", rest) => (Marker::Authority, rest),
        (word, _) if word.starts_with('@') => return None,
        _ => (Marker::None, line),
    };
    let (hosts, rest) = word(line)?;
    if hosts.starts_with('@') {
        return None;
    }
    let is_ours =
        if hosts.starts_with('|') { is_hash_of(hosts, name) } else { has_name(hosts, name) };
    if !is_ours {
        return None;
    }
    let (kind, rest) = word(rest)?;
    let key = base64::decode_block(rest.split_ascii_whitespace().next()?).ok()?;
    // The key says its own type.
    (key_type(&key) == Some(kind)).then_some(Entry { line: at, marker, kind, key })
}

/// The type of a key as on the wire.
pub fn key_type(key: &[u8]) -> Option<&str> {
    let (bytes, rest) = key.split_first_chunk()?;
    let kind = rest.get(..u32::from_be_bytes(*bytes) as usize)?;
    std::str::from_utf8(kind).ok()
}

/// `|1|salt|hash`, as `ssh-keygen -H` writes it.
fn is_hash_of(hosts: &str, name: &str) -> bool {
    let hash = || -> Option<String> {
        let salt = hosts.strip_prefix("|1|")?.split('|').next()?;
        let bytes = base64::decode_block(salt).ok()?;
        if bytes.len() != SALT_BYTES {
            return None;
        }
        let key = PKey::hmac(&bytes).ok()?;
        let mut signer = Signer::new(MessageDigest::sha1(), &key).ok()?;
        let hash = signer.sign_oneshot_to_vec(name.as_bytes()).ok()?;
        Some(format!("|1|{salt}|{}", base64::encode_block(&hash)))
    };
    hash().is_some_and(|hash| hash == hosts)
}

/// Whether a pattern of the list is the name's and none with a `!` is.
fn has_name(patterns: &str, name: &str) -> bool {
    let mut is_ours = false;
    for pattern in patterns.split(',') {
        let (negated, pattern) = match pattern.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, pattern),
        };
        if pattern.len() >= PATTERN_BYTES_MAX {
            return false;
        }
        if is_like(name.as_bytes(), pattern.to_ascii_lowercase().as_bytes()) {
            if negated {
                return false;
            }
            is_ours = true;
        }
    }
    is_ours
}

/// Whether a name is like a pattern, in which `*` stands for any bytes and `?` for one.
pub fn is_like(name: &[u8], pattern: &[u8]) -> bool {
    let (mut n, mut p) = (0, 0);
    // Behind the last `*`, and where its bytes end so far: a later `*` makes an earlier one do.
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                star = Some((p, n));
            }
            Some(c) if *c == b'?' || *c == name[n] => (n, p) = (n + 1, p + 1),
            _ => {
                let Some((behind, end)) = star else { return false };
                (n, p) = (end + 1, behind);
                star = Some((behind, end + 1));
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, like) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*.example.net", "mx1.example.net", true),
            ("*.example.net", "example.net", false),
            ("mx?", "mx1", true),
            ("mx?", "mx", false),
            ("a*b*c", "axxbyybc", true),
            ("a*b*c", "axxbyyb", false),
            ("[mx1]:*", "[mx1]:830", true),
            ("*?", "", false),
            ("MX*", "mx1", false),
        ] {
            assert_eq!(is_like(name.as_bytes(), pattern.as_bytes()), like, "{pattern} {name}");
        }
        let (pattern, name) = ("*a".repeat(500), "a".repeat(40_000) + "b");
        assert!(!has_name(&pattern, &name));
    }

    #[test]
    fn names_with_ports() {
        assert_eq!(name("MX1.example.net", 22), "mx1.example.net");
        assert_eq!(name("192.0.2.1", 830), "[192.0.2.1]:830");
        assert_eq!(name("[2001:db8::1]", 830), "[2001:db8::1]:830");
        assert_eq!(name("[2001:db8::1]", 22), "2001:db8::1");
    }
}
