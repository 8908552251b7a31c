//! One line of syslog, in the forms that Junos has: RFC 5424 with structured data, and BSD's (RFC
//! 3164) with or without milliseconds, the year, and the priority in words (`explicit-priority`).
//!
//! Nothing is copied: a line's parts are parts of its text.

use std::borrow::Cow;

use super::stamp::Stamp;

/// What Junos calls its structured data: this, and a number for the platform.
const JUNOS_ELEMENT: &str = "junos@2636";
/// RFC 5424 section 6.2.1: 24 facilities of 8 severities each.
const PRIORITY_MAX: u8 = 191;
/// Shorter words before a colon are words of the text.
const TAG_BYTES_MIN: usize = 4;

#[derive(Clone, Debug, PartialEq)]
pub struct Line<'a> {
    /// 0 (kernel) to 23 (local7).
    pub facility: u8,
    /// 0 (emergency) to 7 (debug).
    pub severity: u8,
    pub stamp: Option<Stamp>,
    /// The host that the line names; who sent it is another question. Empty if there is none.
    pub host: &'a str,
    /// Without its number: `rpd`, `/kernel`.
    pub process: &'a str,
    /// Which message it is, such as `UI_COMMIT`; empty if it has no tag.
    pub tag: &'a str,
    /// The pairs of Junos's structured data as they are written.
    parameters: &'a str,
    pub text: &'a str,
}

impl<'a> Line<'a> {
    /// Reads a line without its end. `None` if it has no priority, or nothing behind it: then it is
    /// no syslog.
    pub fn read(line: &'a str) -> Option<Line<'a>> {
        let line = line.trim_end_matches(['\n', '\r', '\0', ' ']);
        let (priority, rest) = line.strip_prefix('<')?.split_once('>')?;
        let is_number =
            (1..=3).contains(&priority.len()) && priority.bytes().all(|byte| byte.is_ascii_digit());
        let priority: u8 = priority.parse().ok().filter(|_| is_number)?;
        if priority > PRIORITY_MAX || rest.trim().is_empty() {
            return None;
        }
        let structured = rest.strip_prefix("1 ").and_then(read_structured);
        let line = structured.unwrap_or_else(|| read_bsd(rest));
        Some(Line { facility: priority / 8, severity: priority % 8, ..line })
    }

    pub fn has_parameters(&self) -> bool {
        !self.parameters.is_empty()
    }

    /// The value of a pair of the structured data.
    pub fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut rest = self.parameters;
        loop {
            let (own, value, after) = next_pair(rest)?;
            if own == name {
                return Some(unescaped(value));
            }
            rest = after;
        }
    }
}

/// What comes behind the version of RFC 5424; `None` if it is not of that form.
fn read_structured(rest: &str) -> Option<Line<'_>> {
    let mut fields = rest.splitn(6, ' ');
    let mut field = || fields.next().map(|field| if field == "-" { "" } else { field });
    let (stamp, host, process, _) = (field()?, field()?, field()?, field()?);
    let tag = field()?;
    let stamp = match stamp {
        "" => None,
        stamp => Some(Stamp::read_rfc3339(stamp)?),
    };
    let rest = fields.next().unwrap_or_default();
    let (parameters, text) = match rest.strip_prefix('-') {
        Some(text) => ("", text),
        None => take_elements(rest),
    };
    // The mark that the text is UTF-8, which it must be anyway.
    let text = text.trim_start().trim_start_matches('\u{feff}');
    let (own_tag, own_text) = split_tag(text);
    let (tag, text) = if tag.is_empty() { (own_tag, own_text) } else { (tag, text) };
    Some(Line { facility: 0, severity: 0, stamp, host, process, tag, parameters, text })
}

/// The pairs of Junos's own element, and the text behind all elements. What is no structured data
/// is text.
fn take_elements(text: &str) -> (&str, &str) {
    let (mut rest, mut parameters) = (text, "");
    while let Some(element) = rest.strip_prefix('[') {
        let Some(end) = end_of_element(element) else { return ("", text) };
        let (id, pairs) = element[..end].split_once(' ').unwrap_or((&element[..end], ""));
        if id.starts_with(JUNOS_ELEMENT) {
            parameters = pairs;
        }
        rest = &element[end + 1..];
    }
    (parameters, rest)
}

/// Where the bracket is that ends an element: one that no quotes and no backslash hide.
fn end_of_element(element: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in element.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            b']' if !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// The first pair, its value as it is written, and what comes behind.
fn next_pair(pairs: &str) -> Option<(&str, &str, &str)> {
    let (name, rest) = pairs.split_once("=\"")?;
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some((name.trim_start(), &rest[..at], &rest[at + 1..])),
            _ => {}
        }
    }
    None
}

/// RFC 5424 section 6.3.3: a backslash stands before `"`, `\` and `]`, and is itself elsewhere.
fn unescaped(value: &str) -> Cow<'_, str> {
    if !value.contains('\\') {
        return Cow::Borrowed(value);
    }
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars().peekable();
    while let Some(character) = characters.next() {
        match characters.peek() {
            Some('"' | '\\' | ']') if character == '\\' => plain.extend(characters.next()),
            _ => plain.push(character),
        }
    }
    Cow::Owned(plain)
}

/// `[time ][host ]process[number]: [%FACILITY-severity-][TAG: ]text`, of which Junos leaves out
/// this or that.
fn read_bsd(rest: &str) -> Line<'_> {
    let (stamp, rest) = Stamp::take_bsd(rest.trim_start());
    let rest = rest.trim_start();
    let (host, rest) = match rest.split_once(' ') {
        // The process itself; or a text alone, as RFC 3164 section 4.3.3 allows.
        Some((word, _)) if stamp.is_none() || word.ends_with(':') => ("", rest),
        Some((word, rest)) => (word, rest.trim_start()),
        None => ("", rest),
    };
    let (mut process, mut text) = split_process(rest);
    // The `log-prefix` of the settings for the host stands before the process.
    if let (own, behind) = split_process(text)
        && text.starts_with(&format!("{own}["))
        && !own.is_empty()
    {
        (process, text) = (own, behind);
    }
    let (tag, text) = split_tag(text);
    Line { facility: 0, severity: 0, stamp, host, process, tag, parameters: "", text }
}

/// `rpd[1234]: text`; the process is empty where the text has none (`: %PFE-5: fpc1 …`).
fn split_process(rest: &str) -> (&str, &str) {
    let Some((word, text)) = rest.split_once(':') else { return ("", rest) };
    let name = word.trim_end().split('[').next().unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_/.".contains(c);
    let is_text = name.len() > MAX_PROCESS_BYTES || !name.chars().all(is_name) || is_tag(name);
    if is_text { ("", rest) } else { (name, text.trim_start()) }
}

/// No process of Junos has a longer name; a longer word before a colon is none.
const MAX_PROCESS_BYTES: usize = 64;

fn split_tag(text: &str) -> (&str, &str) {
    let Some((word, rest)) = text.split_once(':') else { return ("", text) };
    let rest = rest.trim_start();
    match word.strip_prefix('%') {
        // `explicit-priority`: %DAEMON-5-TAG, or %DAEMON-5 and a text that may begin with a tag.
        Some(priority) => match priority.splitn(3, '-').nth(2) {
            Some(tag) if is_tag(tag) => (tag, rest),
            Some(_) => ("", text),
            None => split_tag(rest),
        },
        None if is_tag(word) => (word, rest),
        None => ("", text),
    }
}

fn is_tag(word: &str) -> bool {
    let of_a_tag = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    word.len() >= TAG_BYTES_MIN && word.contains('_') && word.bytes().all(of_a_tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a line: host, process, tag and text.
    fn parts(line: &str) -> [&str; 4] {
        let line = Line::read(line).unwrap();
        [line.host, line.process, line.tag, line.text]
    }

    #[test]
    fn every_form_of_junos_is_read() {
        let down = "IS-IS lost L2 adjacency to b on ge-0/0/1.0, reason: Aged Out";
        let tag = "RPD_ISIS_ADJDOWN";
        for header in [
            "<29>1 2026-03-14T13:19:49.123+01:00 mx1 rpd 1167 RPD_ISIS_ADJDOWN - ",
            "<29>1 2026-03-14T13:19:49Z mx1 rpd - RPD_ISIS_ADJDOWN [junos@2636.1.2.18 a=\"]\"] ",
            "<29>1 - mx1 rpd 1167 RPD_ISIS_ADJDOWN - \u{feff}",
            "<29>Mar 14 13:19:49 mx1 rpd[1167]: RPD_ISIS_ADJDOWN: ",
            "<29>Mar  4 13:19:49.123  mx1 rpd[1167]: RPD_ISIS_ADJDOWN: ",
            "<29>Mar 14 13:19:49.468 2026  mx1 rpd[1167]: %DAEMON-5-RPD_ISIS_ADJDOWN: ",
            "<29>Mar 14 13:19:49 2026 mx1 rpd: %DAEMON-5: RPD_ISIS_ADJDOWN: ",
            "<29>2026-03-14T13:19:49+00:00 mx1 rpd[1167]: RPD_ISIS_ADJDOWN: ",
            "<29>Mar 14 13:19:49 mx1 PE1: rpd[1167]: RPD_ISIS_ADJDOWN: ",
        ] {
            let text = format!("{header}{down}");
            assert_eq!(parts(&text), ["mx1", "rpd", tag, down], "{header}");
            let line = Line::read(&text).unwrap();
            assert_eq!((line.facility, line.severity), (3, 5));
        }
        // What Junos writes where it has no host, no process or no tag.
        for (line, expected) in [
            ("<30>Jan 23 21:35:09   mgd[1]: UI_COMMIT: x", ["", "mgd", "UI_COMMIT", "x"]),
            (
                "<29>Jan 18 02:59:26.012 2026  mx1 : %PFE-5: fpc1 Performing action cmalarm",
                ["mx1", "", "", "fpc1 Performing action cmalarm"],
            ),
            (
                "<28>Jul  8 23:04:13  vmx01 craftd[4817]:  Major alarm set, Host 0 : Link Down\n",
                ["vmx01", "craftd", "", "Major alarm set, Host 0 : Link Down"],
            ),
            (
                "<6>Jul  8 23:04:13 mx1 /kernel: pid 7 (rpd), uid 0: exited on signal 6",
                ["mx1", "/kernel", "", "pid 7 (rpd), uid 0: exited on signal 6"],
            ),
            ("<13>su: failed", ["", "su", "", "failed"]),
            ("<13>no time, no process", ["", "", "", "no time, no process"]),
            ("<13>Mar 14 13:19:49 mx1 text alone", ["mx1", "", "", "text alone"]),
            ("<0>UI_COMMIT: User", ["", "", "UI_COMMIT", "User"]),
            ("<13>1 no form at all", ["", "", "", "1 no form at all"]),
        ] {
            assert_eq!(parts(line), expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_syslog_is_refused() {
        for line in ["", "<", "<>a", "<192>a", "<1", "<+1>a", "<0013>a", "<13>", "<13> \n", "a"] {
            assert_eq!(Line::read(line), None, "{line}");
        }
    }

    #[test]
    fn pairs_are_found_whatever_they_hold() {
        let line = Line::read(
            "<28>1 2026-03-14T13:19:49Z mx1 mgd 1 UI_COMMIT [other@1 username=\"no\"]\
             [junos@2636.1 username=\"a\\\"b\\\\c\\]d\\e\" command=\"\" comment=\"x=\\\"y\"] t",
        );
        let line = line.unwrap();
        assert_eq!(line.parameter("username").as_deref(), Some("a\"b\\c]d\\e"));
        assert_eq!(line.parameter("command").as_deref(), Some(""));
        assert_eq!(line.parameter("comment").as_deref(), Some("x=\"y"));
        assert_eq!((line.parameter("x"), line.text), (None, "t"));
        // What does not end is text.
        let open = Line::read("<28>1 - mx1 mgd 1 UI_COMMIT [junos@2636.1 a=\"b] text").unwrap();
        assert_eq!((open.parameter("a"), open.text), (None, "[junos@2636.1 a=\"b] text"));
    }
}
