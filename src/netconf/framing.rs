//! NETCONF framing over any byte stream (RFC 6242): end-of-message framing (section 4.3) and
//! chunked framing (section 4.2).
//!
//! `Framer::message` is a reader for one message; dropping it early drains the message, so that
//! the stream stays in step. Where that cannot be, `Framer::is_lost` says so, and only a new
//! session helps.

use std::io::{self, Read, Write};

use memchr::memmem;

const END_OF_MESSAGE: &[u8] = b"]]>]]>";
const BUFFER_BYTES: usize = 32 << 10;
/// `\n#4294967295\n` is the longest chunk header.
const HEADER_BYTES_MAX: usize = 13;

pub struct Framer<S> {
    stream: S,
    chunked: bool,
    message_bytes_max: usize,
    buffer: Box<[u8]>,
    at: usize,
    end: usize,
    lost: bool,
}

impl<S: Read + Write> Framer<S> {
    /// Starts with end-of-message framing, as every session does.
    pub fn new(stream: S, message_bytes_max: usize) -> Framer<S> {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Framer { stream, chunked: false, message_bytes_max, buffer, at: 0, end: 0, lost: false }
    }

    /// Chunked framing from now on, both ways: for after both `<hello>`s offered base:1.1.
    pub fn use_chunks(&mut self) {
        self.chunked = true;
    }

    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Whether the stream's position is unknown, or it has failed.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    pub fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let mut framed = Vec::with_capacity(message.len() + 32);
        if self.chunked {
            write!(framed, "\n#{}\n", message.len())?;
            framed.extend_from_slice(message);
            framed.extend_from_slice(b"\n##\n");
        } else {
            framed.extend_from_slice(message);
            framed.extend_from_slice(END_OF_MESSAGE);
        }
        let sent = self.stream.write_all(&framed).and_then(|()| self.stream.flush());
        self.lost |= sent.is_err();
        sent
    }

    /// The next message.
    pub fn message(&mut self) -> Message<'_, S> {
        Message { framer: self, bytes: 0, left: 0, end: false }
    }

    /// More bytes behind those in the buffer.
    fn fill(&mut self) -> io::Result<()> {
        if self.end == self.buffer.len() {
            self.buffer.copy_within(self.at..self.end, 0);
            self.end -= self.at;
            self.at = 0;
        }
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) => {
                    let what = "the connection was closed before the end of a message";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
                }
                Ok(bytes) => {
                    self.end += bytes;
                    return Ok(());
                }
                Err(err) => return Err(err),
            }
        }
    }

    fn take(&mut self, bytes: usize, into: &mut [u8]) -> usize {
        let bytes = bytes.min(into.len());
        into[..bytes].copy_from_slice(&self.buffer[self.at..self.at + bytes]);
        self.at += bytes;
        bytes
    }
}

/// A reader for one message; at its end it reads 0 bytes.
pub struct Message<'a, S: Read + Write> {
    framer: &'a mut Framer<S>,
    bytes: usize,
    /// Bytes left in the chunk; or, of those in the buffer, that belong to no marker.
    left: usize,
    end: bool,
}

impl<S: Read + Write> Message<'_, S> {
    /// Gives up a message that has no end in sight: the session is lost.
    pub fn abandon(mut self) {
        self.framer.lost = true;
        self.end = true;
    }

    /// Up to the marker, which may be cut in two by the buffer's end.
    fn read_to_marker(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            let framer = &mut *self.framer;
            let have = &framer.buffer[framer.at..framer.end];
            // What is found to hold no marker is not looked through again.
            let found = memmem::find(have, END_OF_MESSAGE);
            if found == Some(0) {
                framer.at += END_OF_MESSAGE.len();
                self.end = true;
                return Ok(0);
            }
            self.left = found.unwrap_or(have.len().saturating_sub(END_OF_MESSAGE.len() - 1));
            if self.left > 0 {
                break;
            }
            match framer.fill() {
                // What could have begun a marker is the message's own, cut short as it is.
                Err(err)
                    if err.kind() == io::ErrorKind::UnexpectedEof && framer.at < framer.end =>
                {
                    self.left = framer.end - framer.at;
                }
                filled => filled?,
            }
        }
        let bytes = self.framer.take(self.left, into);
        self.left -= bytes;
        Ok(bytes)
    }

    /// As much as is there of the chunks, however small they are; a whole wait only for the first
    /// byte.
    fn read_chunks(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < into.len() {
            let framer = &mut *self.framer;
            let have = &framer.buffer[framer.at..framer.end];
            if self.left > 0 && !have.is_empty() {
                let bytes = framer.take(self.left.min(have.len()), &mut into[read..]);
                self.left -= bytes;
                read += bytes;
                continue;
            }
            // Junos ends its <hello> with a newline that is part of nothing.
            if self.left == 0 && have.starts_with(b"\n\n") {
                framer.at += 1;
                continue;
            }
            match if self.left > 0 { Header::Short } else { header(have) } {
                Header::Chunk { bytes, left } => {
                    framer.at += bytes;
                    self.left = left;
                }
                // The end, or what is wrong, is for the next call.
                Header::Short | Header::End { .. } | Header::Wrong if read > 0 => break,
                Header::Short => framer.fill()?,
                Header::End { bytes } => {
                    framer.at += bytes;
                    self.end = true;
                    break;
                }
                Header::Wrong => {
                    let shown = String::from_utf8_lossy(&have[..have.len().min(16)]).into_owned();
                    let what = format!("expected a chunk header (RFC 6242), found {shown:?}");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
            }
        }
        Ok(read)
    }
}

impl<S: Read + Write> Read for Message<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.end || into.is_empty() {
            return Ok(0);
        }
        let limit = self.framer.message_bytes_max;
        let read = if self.bytes > limit {
            let what = format!("the reply is larger than limits.message_bytes_max ({limit} bytes)");
            Err(io::Error::other(what))
        } else if self.framer.chunked {
            self.read_chunks(into)
        } else {
            self.read_to_marker(into)
        };
        match &read {
            Ok(bytes) => self.bytes += bytes,
            Err(_) => {
                self.framer.lost = true;
                self.end = true;
            }
        }
        read
    }
}

impl<S: Read + Write> Drop for Message<'_, S> {
    fn drop(&mut self) {
        let mut rest = [0; 4096];
        while !self.end && self.read(&mut rest).is_ok() {}
    }
}

#[derive(Debug, PartialEq)]
enum Header {
    Chunk { bytes: usize, left: usize },
    End { bytes: usize },
    Short,
    Wrong,
}

/// `LF HASH chunk-size LF`, or `LF HASH HASH LF`.
fn header(have: &[u8]) -> Header {
    let start = &have[..have.len().min(2)];
    if !b"\n#".starts_with(start) {
        return Header::Wrong;
    }
    let rest = have.get(2..).unwrap_or_default();
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
        return if have.len() < HEADER_BYTES_MAX { Header::Short } else { Header::Wrong };
    };
    let bytes = 2 + end + 1;
    match std::str::from_utf8(&rest[..end]) {
        Ok("#") => Header::End { bytes },
        Ok(size) if size.starts_with(|c: char| ('1'..='9').contains(&c)) => size
            .parse::<u32>()
            .map_or(Header::Wrong, |left| Header::Chunk { bytes, left: left as usize }),
        _ => Header::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that gives its bytes a few at a time and keeps what it is sent.
    struct Peer<'a> {
        gives: &'a [u8],
        at_once: usize,
        got: Vec<u8>,
    }

    impl Read for Peer<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let bytes = self.gives.len().min(self.at_once).min(into.len());
            into[..bytes].copy_from_slice(&self.gives[..bytes]);
            self.gives = &self.gives[bytes..];
            Ok(bytes)
        }
    }

    impl Write for Peer<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.got.extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn framer(gives: &[u8], at_once: usize, chunked: bool) -> Framer<Peer<'_>> {
        let mut framer = Framer::new(Peer { gives, at_once, got: Vec::new() }, 1000);
        if chunked {
            framer.use_chunks();
        }
        framer
    }

    fn text(framer: &mut Framer<Peer>) -> io::Result<String> {
        let mut text = String::new();
        framer.message().read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn messages_come_whole_however_the_bytes_do() {
        let marked = b"<a>]]>]</a>]]>]]><b/>]]>]]>";
        let chunked = b"\n\n#4\n<a>]\n#6\n]></a>\n##\n\n#4\n<b/>\n##\n";
        for at_once in [1, 2, 3, 5, 7, 100] {
            let mut framer = framer(marked, at_once, false);
            assert_eq!(text(&mut framer).unwrap(), "<a>]]>]</a>");
            assert_eq!(text(&mut framer).unwrap(), "<b/>");
            let mut framer = self::framer(chunked, at_once, true);
            assert_eq!(text(&mut framer).unwrap(), "<a>]]></a>");
            assert_eq!(text(&mut framer).unwrap(), "<b/>");
            assert!(!framer.is_lost());
        }
    }

    #[test]
    fn a_message_dropped_early_is_drained() {
        let mut framer = framer(b"\n#4\n<a/>\n#3\nabc\n##\n\n#4\n<b/>\n##\n", 3, true);
        let mut two = [0; 2];
        framer.message().read_exact(&mut two).unwrap();
        assert_eq!(text(&mut framer).unwrap(), "<b/>");
    }

    #[test]
    fn what_breaks_the_framing_loses_the_session() {
        for (gives, chunked, what) in [
            (&b"<a>"[..], false, "closed before the end of a message"),
            (b"\n#4\n<a", true, "closed before the end of a message"),
            (b"<a/>]]>]]>", true, "expected a chunk header"),
            (b"\n#0\n", true, "expected a chunk header"),
            (b"\n#99999999999999", true, "expected a chunk header"),
        ] {
            let mut framer = framer(gives, 2, chunked);
            let err = text(&mut framer).unwrap_err().to_string();
            assert!(err.contains(what), "{err}");
            assert!(framer.is_lost());
        }
        let long = [b'x'; 2000];
        let mut framer = framer(&long, 100, false);
        let err = text(&mut framer).unwrap_err().to_string();
        assert!(err.contains("limits.message_bytes_max (1000 bytes)"), "{err}");
        assert!(framer.is_lost());
    }

    #[test]
    fn sends_in_the_frames_that_are_in_use() {
        let mut framer = framer(b"", 1, false);
        framer.send(b"<a/>").unwrap();
        framer.use_chunks();
        framer.send(b"<b/>").unwrap();
        assert_eq!(framer.stream().got, b"<a/>]]>]]>\n#4\n<b/>\n##\n");
    }
}
