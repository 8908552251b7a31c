//! A reader for the Prometheus text format (0.0.4, and what OpenMetrics adds), as a stream.
//!
//! Only the families that are asked for are looked at; of all others a line's name is compared and
//! no more. Nothing is kept: a family of a million series costs time, not memory.

use std::io::{self, BufRead, BufReader, Read};

/// A longer line is no sample.
const LINE_BYTES_MAX: usize = 64 << 10;

/// The labels of one sample.
#[derive(Default)]
pub struct Labels {
    text: String,
    /// Where each name and value ends.
    ends: Vec<(usize, usize)>,
}

impl Labels {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let starts = std::iter::once(0).chain(self.ends.iter().map(|(_, end)| *end));
        starts
            .zip(&self.ends)
            .map(|(start, (name, value))| (&self.text[start..*name], &self.text[*name..*value]))
    }
}

/// What a text came to.
#[derive(Debug, Default, PartialEq)]
pub struct Tally {
    /// Whether there is a family with a name that begins as it should, be it without samples.
    pub is_there: bool,
    /// Lines of the families that are no samples, and the first of them.
    pub rejected: u64,
    pub first_rejected: Option<String>,
}

/// Reads all samples of these families: `take` gets a family's index, labels and value. `sign` is
/// what some name begins with in the text of whoever was to be asked. Fails if the text is longer
/// than `bytes_max`, or ends in an error.
pub fn read(
    input: impl Read,
    families: &[&str],
    sign: &str,
    bytes_max: usize,
    mut take: impl FnMut(usize, &Labels, f64),
) -> Result<Tally, String> {
    let limited = input.take(bytes_max as u64 + 1);
    let mut input = BufReader::with_capacity(64 << 10, limited);
    let mut tally = Tally::default();
    let (mut line, mut labels) = (Vec::new(), Labels::default());
    let (mut bytes, mut number) = (0, 0u64);
    loop {
        line.clear();
        let taken = read_line(&mut input, LINE_BYTES_MAX, &mut line)
            .map_err(|err| format!("reading it failed: {err}"))?;
        if taken == 0 {
            return Ok(tally);
        }
        bytes += taken;
        number += 1;
        if bytes > bytes_max {
            return Err(format!("it is longer than {bytes_max} bytes (bytes_max)"));
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let (name, rest) = name(text);
        if let Some(comment) = text.strip_prefix(b"#") {
            tally.is_there |= described(comment).starts_with(sign.as_bytes());
            continue;
        }
        tally.is_there |= name.starts_with(sign.as_bytes());
        let family = families.iter().position(|family| family.as_bytes() == name);
        let Some(family) = family else { continue };
        let value = if line.len() > LINE_BYTES_MAX { None } else { sample(rest, &mut labels) };
        match value {
            Some(value) => take(family, &labels, value),
            None => {
                tally.rejected += 1;
                let shown: String = String::from_utf8_lossy(text).chars().take(120).collect();
                tally.first_rejected.get_or_insert(format!("line {number}: {shown}"));
            }
        }
    }
}

/// Appends the next line, with its end, and of one that is longer than `bytes_max` one byte more
/// than that. How many bytes it took; 0 when there are no more.
fn read_line(input: &mut impl BufRead, bytes_max: usize, line: &mut Vec<u8>) -> io::Result<usize> {
    let mut taken = 0;
    loop {
        let block = match input.fill_buf() {
            Ok(block) => block,
            Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
            Err(err) => return Err(err),
        };
        let end = memchr::memchr(b'\n', block);
        let bytes = end.map_or(block.len(), |end| end + 1);
        let room = (bytes_max + 1).saturating_sub(line.len());
        line.extend_from_slice(&block[..bytes.min(room)]);
        input.consume(bytes);
        taken += bytes;
        if end.is_some() || bytes == 0 {
            return Ok(taken);
        }
    }
}

/// The metric's name, and what stands behind it.
fn name(text: &[u8]) -> (&[u8], &[u8]) {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
    text.split_at(text.iter().position(|byte| !is_name(byte)).unwrap_or(text.len()))
}

/// The family that a `# HELP` or `# TYPE` line is about; any other comment is about none.
fn described(comment: &[u8]) -> &[u8] {
    let comment = comment.trim_ascii_start();
    let rest = comment.strip_prefix(b"HELP").or(comment.strip_prefix(b"TYPE"));
    name(rest.unwrap_or_default().trim_ascii_start()).0
}

/// Labels, value, and perhaps a time and more, which are nothing to us.
fn sample(rest: &[u8], labels: &mut Labels) -> Option<f64> {
    labels.text.clear();
    labels.ends.clear();
    let mut rest = std::str::from_utf8(rest).ok()?.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside.trim_start();
        loop {
            if let Some(behind) = rest.strip_prefix('}') {
                rest = behind;
                break;
            }
            rest = label(rest, labels)?.trim_start();
            match rest.strip_prefix(',') {
                Some(next) => rest = next.trim_start(),
                None if rest.starts_with('}') => {}
                None => return None,
            }
        }
    }
    rest.split_ascii_whitespace().next()?.parse().ok()
}

/// Takes `name="value"`; what stands behind it.
fn label<'a>(text: &'a str, labels: &mut Labels) -> Option<&'a str> {
    let (name, rest) = text.split_once('=')?;
    let name = name.trim_end();
    if name.is_empty() || name.contains(['"', '{', '}', ',']) {
        return None;
    }
    labels.text.push_str(name);
    let name_end = labels.text.len();
    let rest = rest.trim_start().strip_prefix('"')?;
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                labels.ends.push((name_end, labels.text.len()));
                return Some(&rest[at + 1..]);
            }
            '\\' => match characters.next()?.1 {
                'n' => labels.text.push('\n'),
                escaped @ ('\\' | '"') => labels.text.push(escaped),
                other => labels.text.extend(['\\', other]),
            },
            plain => labels.text.push(plain),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> (Tally, Vec<String>) {
        let mut samples = Vec::new();
        let take = |family: usize, labels: &Labels, value: f64| {
            let labels: Vec<_> = labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
            samples.push(format!("{family} {} {value}", labels.join("|")));
        };
        let tally = read(text.as_bytes(), &["a_total", "b"], "a_", 1 << 20, take).unwrap();
        (tally, samples)
    }

    #[test]
    fn labels_hold_whatever_they_like() {
        let text = "# HELP a_total Says \"x\"\n# TYPE a_total counter\n\
            a_total{x=\"}\",y=\",\\\"z\\\\\\n\\t=\"} 1\n\
            a_total { x = \"1\" , } 2.5e3 1700000000000\n\
            a_total 3\r\nb{} +Inf\nb{q=\"\u{1f680}\"} NaN # {trace=\"1\"} 1\n\
            a_totals{x=\"1\"} 9\nother{x=\"1\"} 9\n\n# EOF";
        let (tally, samples) = read_all(text);
        let expected =
            ["0 x=}|y=,\"z\\\n\\t= 1", "0 x=1 2500", "0  3", "1  inf", "1 q=\u{1f680} NaN"];
        assert_eq!(samples, expected);
        assert_eq!((tally.is_there, tally.rejected), (true, 0));
    }

    #[test]
    fn a_bad_line_costs_that_line() {
        let text = "a_total{x=\"1\" 1\na_total{x=1} 1\na_total{x=\"1\"}\na_total{=\"\"} 1\n\
                    a_total{x=\"1\\\na_total x\na_total{x=\"1\"y=\"2\"} 1\na_total 4\n";
        let (tally, samples) = read_all(text);
        assert_eq!(samples, ["0  4"]);
        assert_eq!(tally.rejected, 7);
        assert_eq!(tally.first_rejected.unwrap(), "line 1: a_total{x=\"1\" 1");
        assert!(tally.is_there);
        let long = format!("a_total{{x=\"{}\"}} 1\na_total 2\n", "x".repeat(100_000));
        let (tally, samples) = read_all(&long);
        assert_eq!((tally.rejected, samples.len()), (1, 1));
    }

    #[test]
    fn whoever_was_asked_shows_in_a_name() {
        for (text, is_there) in [
            ("# TYPE a_b gauge\n", true),
            ("#HELP a_total x\n", true),
            ("a_b 1\n", true),
            ("# a_b\n# TYPE b gauge\nb 1\nba_b{x=\"a_\"} 1\n<a_b>\n", false),
            ("", false),
        ] {
            assert_eq!(read_all(text).0.is_there, is_there, "{text}");
        }
    }

    #[test]
    fn an_endless_text_ends() {
        let endless = io::repeat(b'\n');
        let err = read(endless, &["a"], "a", 1 << 20, |_, _, _| ()).unwrap_err();
        assert_eq!(err, "it is longer than 1048576 bytes (bytes_max)");
        let line = io::repeat(b'a');
        assert!(read(line, &["a"], "a", 1 << 20, |_, _, _| ()).is_err());
    }
}
