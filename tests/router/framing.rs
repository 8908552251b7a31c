//! End-of-message and chunked framing (RFC 6242 section 4).

use std::io::{self, BufRead, Read, Write};

const END_OF_MESSAGE: &[u8] = b"]]>]]>";
const MESSAGE_BYTES_MAX: usize = 1 << 20;

#[derive(Clone, Copy, PartialEq)]
pub enum Framing {
    EndOfMessage,
    Chunked,
    /// A bare reply in a file.
    None,
}

/// Reads the client's next message; `None` at the end of input.
pub fn read_message(framing: Framing, input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    match framing {
        Framing::Chunked => read_chunked(input),
        _ => read_to_end_of_message(input),
    }
}

fn read_to_end_of_message(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    while !message.ends_with(END_OF_MESSAGE) {
        let limit = (MESSAGE_BYTES_MAX - message.len()) as u64;
        if limit == 0 {
            return Err(invalid("the client's message is longer than 1 MB"));
        }
        if input.by_ref().take(limit).read_until(b'>', &mut message)? == 0 {
            return Ok(None);
        }
    }
    message.truncate(message.len() - END_OF_MESSAGE.len());
    Ok(Some(message))
}

fn read_chunked(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    loop {
        let mut header = Vec::new();
        // A header is "\n#SIZE\n"; lenient about more line ends before it.
        while header.iter().all(u8::is_ascii_whitespace) {
            header.clear();
            if input.by_ref().take(16).read_until(b'\n', &mut header)? == 0 {
                return Ok(None);
            }
        }
        let header = header.trim_ascii();
        if header == b"##" {
            return Ok(Some(message));
        }
        let size = header.strip_prefix(b"#").and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(size) = size.and_then(|digits| digits.parse::<usize>().ok()).filter(|n| *n > 0)
        else {
            let header = String::from_utf8_lossy(header);
            return Err(invalid(&format!("`{header}` is not a chunk header of the client")));
        };
        if size > MESSAGE_BYTES_MAX - message.len() {
            return Err(invalid("the client's message is longer than 1 MB"));
        }
        let start = message.len();
        message.resize(start + size, 0);
        input.read_exact(&mut message[start..])?;
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Writes messages, in chunks where framing is chunked.
pub struct Frames<W: Write> {
    pub framing: Framing,
    pub output: W,
    pub chunk_bytes: usize,
    corrupt: bool,
}

impl<W: Write> Frames<W> {
    pub fn new(framing: Framing, chunk_bytes: usize, output: W) -> Self {
        Frames { framing, output, chunk_bytes, corrupt: false }
    }

    /// Makes the next chunk header wrong.
    pub fn corrupt(&mut self) {
        self.corrupt = true;
    }

    pub fn part(&mut self, data: &[u8]) -> io::Result<()> {
        if self.framing != Framing::Chunked {
            return self.output.write_all(data);
        }
        for chunk in data.chunks(self.chunk_bytes) {
            let wrong = if std::mem::take(&mut self.corrupt) { "x" } else { "" };
            write!(self.output, "\n#{}{wrong}\n", chunk.len())?;
            self.output.write_all(chunk)?;
        }
        Ok(())
    }

    pub fn end(&mut self) -> io::Result<()> {
        match self.framing {
            Framing::EndOfMessage => self.output.write_all(b"\n]]>]]>\n")?,
            Framing::Chunked => self.output.write_all(b"\n##\n")?,
            Framing::None => self.output.write_all(b"\n")?,
        }
        self.output.flush()
    }
}
