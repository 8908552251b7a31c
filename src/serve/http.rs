//! As much of an HTTP/1.1 server (RFC 9110, RFC 9112) as a page of metrics needs: requests without
//! a body, and responses in one piece or in chunks, compressed or not.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

/// A request's first line and headers may take that much.
pub const HEAD_BYTES_MAX: usize = 8 << 10;
const HEADERS_MAX: usize = 64;
const HEAD_TOO_LARGE: &str = "431 Request Header Fields Too Large";
pub const BAD_REQUEST: &str = "400 Bad Request";
/// Of the threads that serve.
pub const STACK_BYTES: usize = 512 << 10;
pub const PLAIN: &[(&str, &str)] = &[("Content-Type", "text/plain; charset=utf-8")];
/// A chunk is one write, and a few TLS records.
const CHUNK_BYTES: usize = 32 << 10;

#[derive(Debug, PartialEq)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Names and values behind the question mark, decoded.
    pub query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    /// Of HTTP/1.
    minor: u8,
}

impl Request {
    /// A header's first value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Whether another request may follow: a body is not read, so that nothing may follow one.
    pub fn keeps_alive(&self) -> bool {
        let body = self.header("content-length").is_some_and(|length| length.trim() != "0")
            || self.header("transfer-encoding").is_some();
        let close = self.header("connection").is_some_and(|v| has_word(v, "close"));
        self.minor == 1 && !body && !close
    }

    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Whether the client takes gzip.
    pub fn takes_gzip(&self) -> bool {
        let accepted = self.header("accept-encoding").unwrap_or_default();
        ranges(accepted).any(|(coding, _, q)| coding.eq_ignore_ascii_case("gzip") && q > 0.0)
    }
}

fn has_word(list: &str, word: &str) -> bool {
    list.split(',').any(|item| item.trim().eq_ignore_ascii_case(word))
}

/// The items of an `Accept` header, each with its parameters and its weight (RFC 9110, 12.4.2).
pub fn ranges(list: &str) -> impl Iterator<Item = (&str, Vec<(&str, &str)>, f64)> {
    list.split(',').map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let q = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("q"));
        let q = q.map_or(1.0, |(_, q)| q.trim().parse().unwrap_or(0.0));
        (name, parameters, q)
    })
}

/// Takes a request's head from the start of `bytes`, and leaves what came behind it; `None` while
/// the head has not come whole. The error is the status to answer with.
pub fn take_request(bytes: &mut Vec<u8>) -> Result<Option<Request>, &'static str> {
    match parse(bytes)? {
        Some((length, _)) if length > HEAD_BYTES_MAX => Err(HEAD_TOO_LARGE),
        Some((length, request)) => {
            bytes.drain(..length);
            Ok(Some(request))
        }
        None if bytes.len() >= HEAD_BYTES_MAX => Err(HEAD_TOO_LARGE),
        None => Ok(None),
    }
}

/// The request at the start of the bytes, if it is there whole, and its length.
fn parse(bytes: &[u8]) -> Result<Option<(usize, Request)>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(HEAD_TOO_LARGE),
        Err(httparse::Error::Version) => return Err("505 HTTP Version Not Supported"),
        Err(_) => return Err(BAD_REQUEST),
    };
    check_framing(&bytes[..length], &request)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let target = request.path.unwrap_or_default();
    // A proxy's absolute form: what is behind the authority is the path (RFC 9112, 3.2.2).
    let target = match target.split_once("://") {
        Some((_, rest)) if !target.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => target,
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let request = Request {
        method: request.method.unwrap_or_default().to_string(),
        path: decode(path, false),
        query: pairs.map(|(name, value)| (decode(name, true), decode(value, true))).collect(),
        headers: request.headers.iter().map(|h| (h.name.to_string(), text(h.value))).collect(),
        minor: request.version.unwrap_or_default(),
    };
    Ok(Some((length, request)))
}

/// Refuses a head that another server, such as a proxy before this one, could read differently:
/// two readings of where a request ends smuggle a second request past the first (RFC 9112, 11.2).
fn check_framing(head: &[u8], request: &httparse::Request) -> Result<(), &'static str> {
    // RFC 9112, 2.2 lets a server take LF alone for the end of a line; this one does not.
    let is_bare = |at: usize| at == 0 || head[at - 1] != b'\r';
    if memchr::memchr_iter(b'\n', head).any(is_bare) {
        return Err(BAD_REQUEST);
    }
    let only = |name: &str| {
        let mut found = request.headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
        match (found.next(), found.next()) {
            (first, None) => Ok(first.map(|header| header.value)),
            _ => Err(BAD_REQUEST),
        }
    };
    only("host")?;
    only("authorization")?;
    let (length, coding) = (only("content-length")?, only("transfer-encoding")?);
    if length.is_some_and(|length| length.is_empty() || !length.iter().all(u8::is_ascii_digit)) {
        return Err(BAD_REQUEST);
    }
    match coding {
        None => Ok(()),
        // RFC 9112, 6.1: both, or a coding in HTTP/1.0, is what an attack looks like.
        Some(_) if length.is_some() || request.version == Some(0) => Err(BAD_REQUEST),
        Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => Ok(()),
        Some(_) => Err("501 Not Implemented"),
    }
}

/// Percent-encoding undone; in a query a plus sign is a blank.
fn decode(text: &str, is_query: bool) -> String {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair =
            (bytes[at] == b'%').then(|| (digit(bytes.get(at + 1)), digit(bytes.get(at + 2))));
        match pair {
            Some((Some(high), Some(low))) => {
                decoded.push((high << 4 | low) as u8);
                at += 2;
            }
            _ if is_query && bytes[at] == b'+' => decoded.push(b' '),
            _ => decoded.push(bytes[at]),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// How a response is sent.
#[derive(Clone, Copy, Default)]
pub struct Manner {
    pub head_only: bool,
    pub keep_alive: bool,
    pub gzip: bool,
}

/// Sends a short response in one piece.
pub fn respond(
    out: &mut (impl Write + ?Sized),
    status: &str,
    headers: &[(&str, &str)],
    body: &str,
    manner: Manner,
) -> io::Result<()> {
    let mut text = head(status, headers, manner.keep_alive);
    text += &format!("Content-Length: {}\r\n\r\n", body.len());
    if !manner.head_only {
        text += body;
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn head(status: &str, headers: &[(&str, &str)], keep_alive: bool) -> String {
    let mut text = format!("HTTP/1.1 {status}\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if !keep_alive {
        text += "Connection: close\r\n";
    }
    text
}

/// Sends a response of any length while `write` makes it. A client of HTTP/1.0 knows no chunks:
/// there the end of the connection ends the response.
pub fn stream<T>(
    out: &mut (impl Write + ?Sized),
    headers: &[(&str, &str)],
    request: &Request,
    manner: Manner,
    write: impl FnOnce(&mut Body) -> io::Result<T>,
) -> io::Result<Option<T>> {
    let chunked = request.minor == 1;
    let mut text = head("200 OK", headers, manner.keep_alive && chunked);
    if manner.gzip {
        text += "Content-Encoding: gzip\r\n";
    }
    if chunked {
        text += "Transfer-Encoding: chunked\r\n";
    }
    text += "\r\n";
    out.write_all(text.as_bytes())?;
    if manner.head_only {
        out.flush()?;
        return Ok(None);
    }
    let mut out = out;
    let chunks = Chunks { out: &mut out, buffer: Vec::with_capacity(CHUNK_BYTES + 16), chunked };
    let mut body = match manner.gzip {
        true => Body::Gzip(GzEncoder::new(chunks, Compression::fast())),
        false => Body::Plain(chunks),
    };
    let written = write(&mut body)?;
    let chunks = match body {
        Body::Gzip(gzip) => gzip.finish()?,
        Body::Plain(chunks) => chunks,
    };
    chunks.finish()?;
    Ok(Some(written))
}

/// A response's body while it is made.
pub enum Body<'a> {
    Plain(Chunks<'a>),
    Gzip(GzEncoder<Chunks<'a>>),
}

impl Write for Body<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Body::Plain(chunks) => chunks.write(bytes),
            Body::Gzip(gzip) => gzip.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gathers what is written into chunks (RFC 9112, 7.1).
pub struct Chunks<'a> {
    out: &'a mut dyn Write,
    buffer: Vec<u8>,
    chunked: bool,
}

impl Chunks<'_> {
    fn send(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        if self.chunked {
            write!(self.out, "{:x}\r\n", self.buffer.len())?;
            self.buffer.extend_from_slice(b"\r\n");
        }
        self.out.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.send()?;
        if self.chunked {
            self.out.write_all(b"0\r\n\r\n")?;
        }
        self.out.flush()
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > CHUNK_BYTES {
            self.send()?;
        }
        let taken = bytes.len().min(CHUNK_BYTES);
        self.buffer.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Request>, &'static str> {
        take_request(&mut text.into())
    }

    #[test]
    fn requests_are_read_one_after_another() {
        let text = "GET /metrics?collect[]=bgp&collect%5B%5D=a+b&target=%zz&x HTTP/1.1\r\n\
                    Accept-Encoding: br, gzip;q=0.5\r\n\r\n\
                    HEAD http://h/%2e HTTP/1.0\r\nConnection: keep-alive, Close\r\n\r\n";
        let mut bytes = text.into();
        let first = take_request(&mut bytes).unwrap().unwrap();
        assert_eq!((&*first.method, &*first.path), ("GET", "/metrics"));
        let query: Vec<_> = first.query.iter().map(|(n, v)| (&**n, &**v)).collect();
        let expected = [("collect[]", "bgp"), ("collect[]", "a b"), ("target", "%zz"), ("x", "")];
        assert_eq!(query, expected);
        assert!(first.takes_gzip() && first.keeps_alive());
        let second = take_request(&mut bytes).unwrap().unwrap();
        assert_eq!((&*second.method, &*second.path), ("HEAD", "/."));
        assert!(!second.takes_gzip() && !second.keeps_alive());
        assert!(take_request(&mut bytes).unwrap().is_none() && bytes.is_empty());
    }

    #[test]
    fn what_is_no_request_or_too_large_is_refused() {
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(HEAD_BYTES_MAX));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX + 1));
        for (text, status) in [
            (&*long, "431 "),
            (&*many, "431 "),
            ("GET / HTTP/3.0\r\n\r\n", "505 "),
            ("\x16\x03\x01", "400 "),
            ("GET /\x01 HTTP/1.1\r\n\r\n", "400 "),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.starts_with(status), "{refused} for {text:?}");
        }
        assert_eq!(read("GET / HTTP/1.1\r\n"), Ok(None));
        let body = read("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello").unwrap().unwrap();
        assert!(!body.keeps_alive());
    }

    /// Heads that two servers may read as different requests.
    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (headers, status) in [
            ("Content-Length: 0\r\nContent-Length: 44\r\n", "400 "),
            ("Content-Length: 0\r\nContent-Length: 0\r\n", "400 "),
            ("Content-Length: 0, 44\r\n", "400 "),
            ("Content-Length: +0\r\n", "400 "),
            ("Content-Length: -1\r\n", "400 "),
            ("Content-Length: 0x0\r\n", "400 "),
            ("Content-Length:\r\n", "400 "),
            ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "400 "),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "400 "),
            ("Transfer-Encoding: xchunked\r\n", "501 "),
            ("Transfer-Encoding: gzip, chunked\r\n", "501 "),
            ("Transfer-Encoding : chunked\r\n", "400 "),
            ("Host: a\r\nHost: b\r\n", "400 "),
            ("Host: a\r\n folded\r\n", "400 "),
            ("Host: a\nX: b\r\n", "400 "),
            ("Host: a\rX: b\r\n", "400 "),
            ("X: \0\r\n", "400 "),
            ("Authorization: Basic YTpi\r\nAuthorization: Basic YTpj\r\n", "400 "),
        ] {
            let refused = read(&format!("GET / HTTP/1.1\r\n{headers}\r\n"));
            let refused = refused.map(|_| headers).unwrap_err();
            assert!(refused.starts_with(status), "{refused} for {headers:?}");
        }
        for text in ["GET / HTTP/1.1\n\n", "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"] {
            assert_eq!(read(text), Err(BAD_REQUEST), "{text:?}");
        }
        let chunked = read("GET / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n");
        assert!(!chunked.unwrap().unwrap().keeps_alive());
    }

    #[test]
    fn a_body_comes_in_chunks_or_to_the_end() {
        let send = |version: &str, gzip: bool| {
            let request = read(&format!("GET / HTTP/{version}\r\n\r\n")).unwrap().unwrap();
            let mut out = Vec::new();
            let manner = Manner { keep_alive: true, gzip, head_only: false };
            let write = |body: &mut Body| {
                body.write_all(&vec![b'a'; CHUNK_BYTES])?;
                body.write_all(b"bc")
            };
            stream(&mut out, &[("A", "b")], &request, manner, write).unwrap();
            String::from_utf8_lossy(&out).into_owned()
        };
        let a = "a".repeat(CHUNK_BYTES);
        let head = "HTTP/1.1 200 OK\r\nA: b\r\n";
        let chunks = format!("8000\r\n{a}\r\n2\r\nbc\r\n0\r\n\r\n");
        let expected = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunks}");
        assert_eq!(send("1.1", false), expected);
        assert_eq!(send("1.0", false), format!("{head}Connection: close\r\n\r\n{a}bc"));
        let gzip = send("1.1", true);
        assert!(gzip.contains("Content-Encoding: gzip\r\n") && gzip.len() < 1000);
        assert!(gzip.ends_with("\r\n0\r\n\r\n"));
    }
}
