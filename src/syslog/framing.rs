//! Lines out of a TCP stream (RFC 6587): each begins with its length, or ends with a newline.

/// What has come of a stream and is no whole line yet.
#[derive(Default)]
pub struct Framer {
    bytes: Vec<u8>,
    /// What is left of a line that was cut.
    skip: Skip,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Skip {
    #[default]
    Nothing,
    Bytes(usize),
    ToNewline,
}

/// A length has at most so many digits; what has more is no length.
const DIGITS_MAX: usize = 9;
/// These end a line that has no length; some senders take zero.
const ENDS: [u8; 2] = [b'\n', b'\0'];

/// Where a line is in the bytes, and what comes behind it.
struct Frame {
    start: usize,
    end: usize,
    next: usize,
    skip: Skip,
}

impl Framer {
    /// Takes what has come. Calls `each` with every line of at most `bytes_max` bytes, and whether
    /// it was longer.
    pub fn take(&mut self, more: &[u8], bytes_max: usize, mut each: impl FnMut(&[u8], bool)) {
        self.bytes.extend_from_slice(more);
        let mut at = 0;
        loop {
            at += self.skipped(at);
            let Some(frame) = next(&self.bytes[at..], bytes_max) else { break };
            let line = &self.bytes[at + frame.start..at + frame.end];
            if !line.is_empty() {
                each(line, frame.skip != Skip::Nothing);
            }
            self.skip = frame.skip;
            at += frame.next;
        }
        self.bytes.drain(..at);
    }

    /// The last line of a stream may lack its end.
    pub fn end(self) -> Option<Vec<u8>> {
        let is_line = self.skip == Skip::Nothing && self.bytes.first() == Some(&b'<');
        is_line.then_some(self.bytes)
    }

    /// How many bytes from there on belong to a line that was cut.
    fn skipped(&mut self, at: usize) -> usize {
        let rest = &self.bytes[at..];
        let (skipped, left) = match self.skip {
            Skip::Nothing => (0, Skip::Nothing),
            Skip::Bytes(bytes) if bytes > rest.len() => {
                (rest.len(), Skip::Bytes(bytes - rest.len()))
            }
            Skip::Bytes(bytes) => (bytes, Skip::Nothing),
            Skip::ToNewline => match memchr::memchr2(ENDS[0], ENDS[1], rest) {
                Some(end) => (end + 1, Skip::Nothing),
                None => (rest.len(), Skip::ToNewline),
            },
        };
        self.skip = left;
        skipped
    }
}

/// The first line of the bytes; `None` if it is not whole and not too long.
fn next(bytes: &[u8], bytes_max: usize) -> Option<Frame> {
    let first = bytes.first()?;
    if (b'1'..=b'9').contains(first) {
        let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match bytes.get(digits) {
            Some(b' ') if digits <= DIGITS_MAX => return counted(bytes, digits, bytes_max),
            None if digits <= DIGITS_MAX => return None,
            _ => {}
        }
    }
    let (end, skip) = match memchr::memchr2(ENDS[0], ENDS[1], bytes) {
        Some(end) if end <= bytes_max => (end, Skip::Nothing),
        _ if bytes.len() > bytes_max => (bytes_max, Skip::ToNewline),
        _ => return None,
    };
    let next = if skip == Skip::Nothing { end + 1 } else { end };
    Some(Frame { start: 0, end, next, skip })
}

/// A line behind its length.
fn counted(bytes: &[u8], digits: usize, bytes_max: usize) -> Option<Frame> {
    let length: usize = std::str::from_utf8(&bytes[..digits]).ok()?.parse().ok()?;
    let (start, taken) = (digits + 1, length.min(bytes_max));
    let end = start + taken;
    let skip = if taken < length { Skip::Bytes(length - taken) } else { Skip::Nothing };
    (end <= bytes.len()).then_some(Frame { start, end, next: end, skip })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a stream that comes in pieces of that size; those that were cut end with `…`.
    fn lines(stream: &str, piece: usize) -> Vec<String> {
        let (mut framer, mut found) = (Framer::default(), Vec::new());
        for piece in stream.as_bytes().chunks(piece) {
            framer.take(piece, 10, |line, is_cut| {
                let line = String::from_utf8_lossy(line);
                found.push(format!("{line}{}", if is_cut { "…" } else { "" }));
            });
            assert!(framer.bytes.len() <= 10 + DIGITS_MAX + 1, "{:?}", framer.bytes);
        }
        found.extend(framer.end().map(|line| String::from_utf8_lossy(&line).into_owned()));
        found
    }

    #[test]
    fn lines_are_the_same_in_any_pieces() {
        for (stream, expected) in [
            ("<1>a\n<2>b\n", &["<1>a", "<2>b"][..]),
            ("<1>a\0<2>b", &["<1>a", "<2>b"]),
            ("<1>a\n\n\n<2>b\r\n", &["<1>a", "<2>b\r"]),
            ("4 <1>a4 <2>b", &["<1>a", "<2>b"]),
            ("6 <1>a\nb4 <2>b<3>c\n", &["<1>a\nb", "<2>b", "<3>c"]),
            ("<1>3456789abc\n<2>b\n", &["<1>3456789…", "<2>b"]),
            ("13 <1>3456789abc4 <2>b", &["<1>3456789…", "<2>b"]),
            ("999999999 <1>a", &[]),
            ("9999999999 <\n<2>b\n", &["9999999999…", "<2>b"]),
            ("12x\n<2>b\n", &["12x", "<2>b"]),
            ("no syslog", &[]),
        ] {
            for piece in 1..=stream.len() {
                assert_eq!(lines(stream, piece), expected, "{stream:?} in pieces of {piece}");
            }
        }
    }
}
