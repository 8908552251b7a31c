//! Secrets in a reply: by the element that they stand in, by their form, and by the word before.

use std::sync::LazyLock;

use regex_lite::Regex;

/// What stands in place of a secret.
pub const MASKED: &str = "masked";

/// Elements of configuration and of state that hold a secret, by the words that end their names.
const ELEMENTS: &[&str] = &[
    "ascii-text",
    "authentication-key",
    "cak",
    "certificate",
    "community",
    "community-name",
    "encryption-key",
    "hexadecimal",
    "key-data",
    "passphrase",
    "passwd",
    "password",
    "pre-shared-key",
    "private-key",
    "secret",
    "secret-key",
    "shared-secret",
    "ssh-dsa",
    "ssh-ecdsa",
    "ssh-ed25519",
    "ssh-rsa",
];

/// Junos's own forms (`$9$`, `$8$`) and those of crypt(3).
static FORM: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"\$(?:[0-9][a-z]?|sha1|sha256|argon2[a-z]*)\$[^\s"'<>;]+"#));
static IN_URL: LazyLock<Regex> = LazyLock::new(|| regex(r#"(://[^/\s:@"<>]*):[^/\s@"<>]+@"#));
static PUBLIC_KEY: LazyLock<Regex> = LazyLock::new(|| regex(r"AAAA[0-9A-Za-z+/=]{30,}"));
/// A line of configuration that Junos marks.
static MARKED: LazyLock<Regex> =
    LazyLock::new(|| regex(r##"(?m)("[^"\n]*"|[^\s"]+?)(;?[ \t]*##[ \t]*SECRET-DATA)"##));
/// A word, and what is set behind it in configuration as text.
static AFTER_WORD: LazyLock<Regex> = LazyLock::new(|| {
    const WORD: &str = "(password|passphrase|secret|community|authentication-key|encryption-key|\
                        private-key|ascii-text|hexadecimal)";
    const VALUE: &str = r#"("|&quot;|[^\s"<>;:={}\[\]#][^\s"<>;{}\[\]]*)"#;
    regex(&format!(r"(?i){WORD}([ \t]*[:=][ \t]*|[ \t]+){VALUE}"))
});
/// A BGP community is no secret.
static COMMUNITY: LazyLock<Regex> =
    LazyLock::new(|| regex(r"^(?:[a-z-]+:)?[0-9.]+[L]?:[0-9:*.]+$"));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern of the program's own")
}

/// Whether all that an element holds is a secret.
pub fn is_element(name: &str) -> bool {
    let ends_with = |words: &str| {
        name.strip_suffix(words).is_some_and(|before| before.is_empty() || before.ends_with('-'))
    };
    ELEMENTS.iter().any(|words| ends_with(words))
}

/// The text of such an element without the secret.
pub fn masked_whole(text: &str) -> String {
    let inner = text.trim();
    if inner.is_empty() || COMMUNITY.is_match(inner) {
        return text.into();
    }
    text.replacen(inner, MASKED, 1)
}

/// A text without the secrets that can be told by their form or by the word before them.
pub fn masked(text: &str) -> String {
    // Most texts are short words and numbers.
    if !text.contains(['$', ' ', '\t', '=', ':']) && text.len() < 34 {
        return text.into();
    }
    // First, while quotes are still in pairs.
    let text = after_words(text);
    let text = MARKED.replace_all(&text, format!("{MASKED}$2"));
    let text = FORM.replace_all(&text, MASKED);
    let text = IN_URL.replace_all(&text, format!("$1:{MASKED}@"));
    PUBLIC_KEY.replace_all(&text, MASKED).into_owned()
}

/// A text without what is set behind words that name a secret.
fn after_words(text: &str) -> String {
    let (mut out, mut at) = (String::new(), 0);
    while let Some(found) = AFTER_WORD.captures_at(text, at) {
        let Some(value) = found.get(3) else { break };
        out += &text[at..value.start()];
        let word = value.as_str();
        at = match word {
            "\"" | "&quot;" => quoted_end(text, value.start(), word),
            _ if COMMUNITY.is_match(word) || is_element(&word.to_ascii_lowercase()) => {
                // What stands behind such a word is looked at next.
                at = value.start();
                continue;
            }
            _ => value.end(),
        };
        // The value of an attribute keeps its quotes.
        let quote = if word == "\"" && is_tag(text) { word } else { "" };
        out += &format!("{quote}{MASKED}{quote}");
    }
    out + &text[at..]
}

fn is_tag(text: &str) -> bool {
    text.starts_with('<')
}

/// Where what begins with a quote ends: rather too late than too early, for quotes may be missing.
/// At the last quote of the line, or else of the text, or else with the line.
fn quoted_end(text: &str, start: usize, quote: &str) -> usize {
    let from = start + quote.len();
    let rest = &text[from..];
    let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
    let end = if is_tag(text) { rest.find(quote) } else { line.rfind(quote).or(rest.rfind(quote)) };
    from + end.map_or(line.len(), |end| end + quote.len())
}

/// What stands around a key or a certificate as text (RFC 7468).
const PEM_BEGIN: &str = "-----BEGIN ";
const PEM_END: &str = "-----END ";

/// Takes keys and certificates out; one may begin in a text and end in a later one.
#[derive(Default)]
pub struct Pem {
    is_within: bool,
}

impl Pem {
    pub fn masked(&mut self, text: &str) -> Option<String> {
        if !self.is_within && !text.contains(PEM_BEGIN) {
            return None;
        }
        let (mut out, mut rest) = (String::new(), text);
        loop {
            let word = if self.is_within { PEM_END } else { PEM_BEGIN };
            let Some(at) = rest.find(word) else { break };
            if self.is_within {
                let label = &rest[at + PEM_END.len()..];
                let end = label.find("-----").unwrap_or(label.len());
                rest = &label[end..];
                // The dashes may be those with which the next one begins.
                let next = rest.find(PEM_BEGIN).unwrap_or(rest.len()).min("-----".len());
                rest = rest.get(next..).unwrap_or_default();
            } else {
                out += &rest[..at];
                out += MASKED;
                rest = &rest[at + word.len()..];
            }
            self.is_within = !self.is_within;
        }
        if !self.is_within {
            out += rest;
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_form_and_word() {
        for (text, expected) in [
            ("$9$abcDEF.x/y", "masked"),
            (
                "encrypted-password \"$6$salt$hash/./\"; ## SECRET-DATA",
                "encrypted-password masked; ## SECRET-DATA",
            ),
            ("secret $8$aes256-gcm$hmac-sha2-256$100$x$y== ;", "secret masked ;"),
            ("pre-shared-key ascii-text \"s p\";", "pre-shared-key ascii-text masked;"),
            (
                "snmp { community public { authorization read-only;",
                "snmp { community masked { authorization read-only;",
            ),
            (
                "    key plain; ## SECRET-DATA\n    other 1;",
                "    key masked; ## SECRET-DATA\n    other 1;",
            ),
            ("ftp://bob:hunter2@192.0.2.1/x", "ftp://bob:masked@192.0.2.1/x"),
            ("Password: hunter2", "Password: masked"),
            ("community 65000:100 and target:1:2", "community 65000:100 and target:1:2"),
            ("password=a b", "password=masked b"),
            ("<a password=\"a b\" c=\"d\">", "<a password=\"masked\" c=\"d\">"),
            ("community &quot;a b&quot;;", "community masked;"),
            ("secret password hunter2", "secret password masked"),
            ("password\thunter2", "password\tmasked"),
            ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDZ7d/x you@host", "ssh-rsa masked you@host"),
            ("costs $5 or $6, US$9", "costs $5 or $6, US$9"),
            ("Uplink to core-1 [backbone]", "Uplink to core-1 [backbone]"),
        ] {
            assert_eq!(masked(text), expected);
        }
        for name in ["secret", "simple-password", "pre-shared-key", "md5-authentication-key"] {
            assert!(is_element(name), "{name}");
        }
        for name in
            ["an-endpoint-changed-its-cookiesecret", "communities", "bad-community-names", "key"]
        {
            assert!(!is_element(name), "{name}");
        }
        assert_eq!(masked_whole("\n hunter2\n"), "\n masked\n");
        assert_eq!(masked_whole("65151:65109"), "65151:65109");
    }

    #[test]
    fn keys_and_certificates_go_even_in_parts() {
        let mut pem = Pem::default();
        let whole = "a -----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE----- b";
        assert_eq!(pem.masked(whole).as_deref(), Some("a masked b"));
        assert_eq!(pem.masked("plain"), None);
        assert_eq!(pem.masked("x -----BEGIN PRIVATE KEY-----\nMII").as_deref(), Some("x masked"));
        assert_eq!(pem.masked("MIIEvQ").as_deref(), Some(""));
        assert_eq!(pem.masked("Q==\n-----END PRIVATE KEY-----\nz").as_deref(), Some("\nz"));
        assert_eq!(pem.masked("z"), None);
        let next = "-----BEGIN X-----MII-----END X------BEGIN X-----MIIEvQ-----END X-----z";
        assert_eq!(pem.masked(next).as_deref(), Some("maskedmaskedz"));
    }
}
