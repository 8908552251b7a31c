//! What carries a session's bytes.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// A byte stream to a NETCONF server. Reading and writing fail with `TimedOut` at the deadline.
pub trait Transport: Read + Write + Send {
    fn set_deadline(&mut self, deadline: Instant);

    /// Keeps the connection alive while nothing is asked. How long until it wants to again.
    fn idle(&mut self) -> io::Result<Option<Duration>> {
        Ok(None)
    }
}

/// What a read says that reached its deadline.
pub const NO_ANSWER: &str = "the router did not answer within the time limit";

/// What is left until the deadline; sockets take no limit of 0.
pub(super) fn time_left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(timed_out()) } else { Ok(left) }
}

pub(super) fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, NO_ANSWER)
}

/// A local socket on which nothing waits past the deadline.
pub(super) struct Timed {
    pub socket: UnixStream,
    pub deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(time_left(self.deadline)?))?;
        self.socket.read(into).map_err(limit)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(time_left(self.deadline)?))?;
        self.socket.write(bytes).map_err(limit)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A socket's time limit is over.
fn limit(err: io::Error) -> io::Error {
    if err.kind() == io::ErrorKind::WouldBlock { timed_out() } else { err }
}

/// Why there is no session, or no longer one. The caller opens another one later.
#[derive(Debug)]
pub struct Error(pub String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}
