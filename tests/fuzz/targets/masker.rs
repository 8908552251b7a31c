//! What `perijove record` saves: a secret, in each form that has one and between whatever else, is
//! never in it, in however many pieces the reply comes. The first byte chooses the size of these
//! and whether names are hidden too, the second the form; bytes of one part the secret from what
//! is before it and behind it.

#![no_main]

use std::fmt::Write;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use perijove::cli::Mask;
use perijove::poll::recorder::Filter;

/// A text as it may stand in a reply: some bytes become markup.
fn surroundings(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\u{2}' => out += "<a>",
            '\u{3}' => out += "</a>",
            '\u{4}' => out += "<junos:b x='y' z=\"1\"/>",
            '\u{5}' => out += "<!-- c: d -->",
            '\u{6}' => out += "<![CDATA[e <f> g]]>",
            '\u{7}' => out += "<name>",
            '\u{8}' => out += "</name>",
            '<' | '>' | '&' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fuzz_target!(|data: &[u8]| {
    let [first, form, rest @ ..] = data else { return };
    let text = String::from_utf8_lossy(rest);
    let mut parts = text.splitn(3, '\u{1}');
    let mut part = || parts.next().unwrap_or_default();
    let (seed, before, after) = (part(), surroundings(part()), surroundings(part()));
    if before.contains("S3cr3t") || after.contains("S3cr3t") {
        return;
    }
    // Long and odd enough to come from nowhere else.
    let mut secret = String::from("S3cr3t");
    seed.bytes().take(24).for_each(|byte| write!(secret, "{byte:02X}").expect("a string"));
    let secret = &secret;
    let within = match form % 12 {
        0 => format!("<password>{secret}</password>"),
        1 => format!("<md5-authentication-key junos:x=\"y\">\n{secret}\n</md5-authentication-key>"),
        2 => format!("<community><name>{secret}</name></community>"),
        3 => format!(" password {secret}; "),
        4 => format!(" secret \"a {secret}\"; "),
        5 => format!(" key $9${secret} "),
        6 => format!(" ftp://bob:{secret}@192.0.2.1/x "),
        7 => format!("\n key {secret}; ## SECRET-DATA\n"),
        8 => format!("<![CDATA[passphrase: {secret}]]>"),
        9 => format!("<data pre-shared-secret=\"{secret}\"/>"),
        10 => format!("-----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY-----"),
        _ => format!(" community &quot;a {secret}&quot;; "),
    };
    let reply = format!("<rpc-reply>{before}{within}{after}</rpc-reply>");
    let mut mask = Mask::new((first & 1 == 1).then(Arc::default));
    let mut out = Vec::new();
    for bytes in reply.as_bytes().chunks(usize::from(first >> 1) + 1) {
        mask.pass(bytes, &mut out).expect("a vector takes everything");
    }
    mask.finish(&mut out).expect("a vector takes everything");
    let out = String::from_utf8_lossy(&out);
    assert!(!out.contains(secret.as_str()), "{reply}\n{out}");
});
