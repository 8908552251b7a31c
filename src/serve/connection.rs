//! A client's connection, with or without TLS: read without waiting while it has no whole request,
//! and with a deadline while it is answered.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use openssl::ssl::{ErrorCode, Ssl, SslAcceptor, SslStream};

use super::http::HEAD_BYTES_MAX;
use crate::base::sync::lock;
use crate::base::sys;

/// An answer that others wait for gives way once its reader has kept it waiting for longer than
/// this, and a second more for each `READER_BYTES_PER_SECOND` that it has taken.
const READER_PATIENCE: Duration = Duration::from_millis(500);
const READER_BYTES_PER_SECOND: f64 = 1e6;
/// What the kernel keeps for a reader.
const SEND_BUFFER_BYTES: usize = 128 << 10;
/// How long a client may take to hear the end of an answer.
const END: Duration = Duration::from_millis(200);

pub struct Connection {
    stream: Stream,
    /// Whom limits per address count it for.
    pub client: IpAddr,
    /// What has come of requests that are not answered yet.
    pub bytes: Vec<u8>,
    pub made: Instant,
    /// How many requests were answered.
    pub requests: u32,
    /// Whether one of them was let in.
    pub admitted: bool,
}

enum Stream {
    Plain(Timed),
    /// While the flag is set, the handshake goes on.
    Tls(Box<SslStream<Timed>>, bool),
}

/// What a connection waits for, that is not answered at this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Read,
    Write,
    /// The client has ended.
    Over,
}

impl Connection {
    pub fn new(socket: TcpStream, tls: Option<&SslAcceptor>) -> io::Result<Connection> {
        let client = client(socket.peer_addr()?.ip());
        let _ = socket.set_nodelay(true);
        // Else what the kernel takes would count as read.
        let _ = sys::set_send_buffer(&socket, SEND_BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        let timed = Timed { reader: Arc::new(Reader::new(socket)), deadline: None };
        let stream = match tls {
            None => Stream::Plain(timed),
            Some(acceptor) => {
                let ssl = Ssl::new(acceptor.context())?;
                Stream::Tls(Box::new(SslStream::new(ssl, timed)?), true)
            }
        };
        let (bytes, made) = (Vec::new(), Instant::now());
        Ok(Connection { stream, client, bytes, made, requests: 0, admitted: false })
    }

    pub fn descriptor(&self) -> RawFd {
        self.timed().reader.socket.as_raw_fd()
    }

    /// Takes what has come, up to a whole head, without waiting.
    pub fn receive(&mut self) -> io::Result<Wait> {
        if let Stream::Tls(stream, shakes @ true) = &mut self.stream {
            match stream.accept() {
                Ok(()) => *shakes = false,
                Err(err) if err.code() == ErrorCode::WANT_READ => return Ok(Wait::Read),
                Err(err) if err.code() == ErrorCode::WANT_WRITE => return Ok(Wait::Write),
                Err(err) => return Err(io::Error::other(format!("no TLS session: {err}"))),
            }
        }
        loop {
            let have = self.bytes.len();
            if have >= HEAD_BYTES_MAX {
                return Ok(Wait::Read);
            }
            let mut more = [0; 2048];
            let room = more.len().min(HEAD_BYTES_MAX - have);
            match self.read(&mut more[..room]) {
                Ok(0) => return Ok(Wait::Over),
                Ok(length) => self.bytes.extend_from_slice(&more[..length]),
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(Wait::Read),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
    }

    /// Reads away what a client sends behind its last request.
    pub fn discard(&mut self) -> Wait {
        let mut rest = [0; 2048];
        // In steps: others wait too.
        match self.timed_mut().read(&mut rest) {
            Ok(0) => Wait::Over,
            Ok(_) => Wait::Read,
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => Wait::Read,
            Err(_) => Wait::Over,
        }
    }

    /// From now on reads and writes wait, until the deadline.
    pub fn wait_until(&mut self, deadline: Instant) -> io::Result<()> {
        self.timed_mut().deadline = Some(deadline);
        self.timed().reader.socket.set_nonblocking(false)
    }

    /// From now on they do not wait.
    pub fn wait_no_more(&mut self) -> io::Result<()> {
        self.timed_mut().deadline = None;
        self.timed().reader.socket.set_nonblocking(true)
    }

    /// Says that nothing more comes. Without TLS's own end, the client would have to take the
    /// answer for one that was cut off.
    pub fn end(&mut self) -> io::Result<()> {
        let soon = Instant::now() + END;
        let timed = self.timed_mut();
        timed.deadline = timed.deadline.map(|deadline| deadline.min(soon));
        if let Stream::Tls(stream, false) = &mut self.stream {
            stream.shutdown().map_err(io::Error::other)?;
        }
        self.timed().reader.socket.shutdown(Shutdown::Write)
    }

    /// Whoever reads what is written here.
    pub fn reader(&self) -> Arc<Reader> {
        self.timed().reader.clone()
    }

    fn timed(&self) -> &Timed {
        match &self.stream {
            Stream::Plain(timed) => timed,
            Stream::Tls(stream, _) => stream.get_ref(),
        }
    }

    fn timed_mut(&mut self) -> &mut Timed {
        match &mut self.stream {
            Stream::Plain(timed) => timed,
            Stream::Tls(stream, _) => stream.get_mut(),
        }
    }
}

impl Read for Connection {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(timed) => timed.read(into),
            Stream::Tls(stream, _) => stream.read(into),
        }
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(timed) => timed.write(bytes),
            Stream::Tls(stream, _) => stream.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The address that a client's connections have in common: who has one IPv6 address most often has
/// the 2^64 of its network.
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) >> 64 << 64).into()),
        v4 => v4,
    }
}

/// A socket, and how quickly the one at its other end takes what is written.
pub struct Reader {
    socket: TcpStream,
    pace: Mutex<Pace>,
}

#[derive(Default)]
struct Pace {
    taken_bytes: u64,
    waited: Duration,
    /// The write that goes on.
    waits_since: Option<Instant>,
}

impl Reader {
    fn new(socket: TcpStream) -> Reader {
        Reader { socket, pace: Mutex::default() }
    }

    /// How long writes have waited for it beyond what is fair; `None` within that.
    pub fn overdue(&self, now: Instant) -> Option<Duration> {
        let taken = lock(&self.pace).taken_bytes as f64 / READER_BYTES_PER_SECOND;
        self.waited(now).checked_sub(READER_PATIENCE + Duration::from_secs_f64(taken))
    }

    /// How long writes have waited for it.
    pub fn waited(&self, now: Instant) -> Duration {
        let pace = lock(&self.pace);
        pace.waited + pace.waits_since.map_or(Duration::ZERO, |since| now - since)
    }

    /// Ends the connection, whatever thread waits for it.
    pub fn cut(&self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Another answer begins.
    pub fn begin(&self) {
        *lock(&self.pace) = Pace::default();
    }
}

/// A socket on which nothing waits without a deadline, and not past it.
struct Timed {
    reader: Arc<Reader>,
    deadline: Option<Instant>,
}

impl Timed {
    /// The time limit of a read or a write; `None` for one that does not wait.
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(left) = self.left()? {
            self.reader.socket.set_read_timeout(Some(left))?;
        }
        (&self.reader.socket).read(into)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left()? else { return (&self.reader.socket).write(bytes) };
        self.reader.socket.set_write_timeout(Some(left))?;
        let started = Instant::now();
        lock(&self.reader.pace).waits_since = Some(started);
        let written = (&self.reader.socket).write(bytes);
        let mut pace = lock(&self.reader.pace);
        pace.waits_since = None;
        pace.waited += started.elapsed();
        pace.taken_bytes += *written.as_ref().unwrap_or(&0) as u64;
        written
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_network() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(client(address.parse().unwrap()).to_string(), expected);
        }
    }

    #[test]
    fn who_reads_too_slowly_is_overdue() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let reader = Reader::new(socket);
        let now = Instant::now();
        assert_eq!(reader.overdue(now), None);
        lock(&reader.pace).waits_since = Some(now);
        assert_eq!(reader.overdue(now), None);
        let second = Duration::from_secs(1);
        assert_eq!(reader.overdue(now + second), Some(second - READER_PATIENCE));
        // What it has taken counts for it.
        lock(&reader.pace).taken_bytes = READER_BYTES_PER_SECOND as u64;
        assert_eq!(reader.overdue(now + second), None);
        lock(&reader.pace).waited = second;
        assert_eq!(reader.overdue(now + second), Some(second - READER_PATIENCE));
        reader.begin();
        assert_eq!(reader.overdue(now), None);
    }
}
