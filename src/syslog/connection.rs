//! A router's TCP or TLS connection, which nothing waits for.

use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use openssl::ssl::{ErrorCode, Ssl, SslAcceptor, SslFiletype, SslMethod, SslStream, SslVerifyMode};

use super::framing::Framer;
use super::settings::Tls;
use crate::base::sys;

/// A TLS session must be there within this time.
const HANDSHAKE: Duration = Duration::from_secs(10);

pub struct Connection {
    stream: Stream,
    pub from: IpAddr,
    /// When the TLS session must be there; `None` once it is.
    pub until: Option<Instant>,
    pub framer: Framer,
    pub wait: Wait,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Read,
    Write,
    /// There may be more, of which the kernel knows nothing.
    Nothing,
}

/// What a look at a connection has found.
pub enum Received {
    Bytes(usize),
    Nothing,
    Ended,
}

/// How this end speaks TLS; files that were renewed are read again.
pub struct Acceptor {
    tls: Tls,
    acceptor: SslAcceptor,
    /// When the files were written that were tried last.
    written: Vec<Option<SystemTime>>,
}

impl Acceptor {
    /// Fails if the files do not fit.
    pub fn new(tls: &Tls) -> Result<Acceptor, String> {
        let written = written(tls);
        Ok(Acceptor { tls: tls.clone(), acceptor: read(tls)?, written })
    }

    /// The one to use for a connection that comes now.
    pub fn current(&mut self) -> &SslAcceptor {
        let now = written(&self.tls);
        if now != self.written {
            self.written = now;
            match read(&self.tls) {
                Ok(acceptor) => self.acceptor = acceptor,
                Err(why) => log::error!("syslog: the certificates from before stay in use: {why}"),
            }
        }
        &self.acceptor
    }
}

fn files(tls: &Tls) -> impl Iterator<Item = &PathBuf> {
    [&tls.cert_file, &tls.key_file].into_iter().chain(&tls.ca_file)
}

fn written(tls: &Tls) -> Vec<Option<SystemTime>> {
    let time = |file: &PathBuf| file.metadata().and_then(|file| file.modified()).ok();
    files(tls).map(time).collect()
}

fn read(tls: &Tls) -> Result<SslAcceptor, String> {
    let make = || {
        let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
        builder.set_certificate_chain_file(&tls.cert_file)?;
        builder.set_private_key_file(&tls.key_file, SslFiletype::PEM)?;
        builder.check_private_key()?;
        if let Some(ca_file) = &tls.ca_file {
            builder.set_ca_file(ca_file)?;
            builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
        Ok(builder.build())
    };
    make().map_err(|err: openssl::error::ErrorStack| {
        let files: Vec<String> = files(tls).map(|file| file.display().to_string()).collect();
        format!("cannot use the TLS files {}: {err}", files.join(", "))
    })
}

impl Connection {
    pub fn new(
        socket: TcpStream,
        from: IpAddr,
        tls: Option<&SslAcceptor>,
    ) -> io::Result<Connection> {
        socket.set_nonblocking(true)?;
        // A router that has gone without a word is noticed one day.
        let _ = sys::set_keepalive(&socket);
        let (stream, until) = match tls {
            None => (Stream::Plain(socket), None),
            Some(acceptor) => {
                let ssl = Ssl::new(acceptor.context())?;
                let stream = Stream::Tls(Box::new(SslStream::new(ssl, socket)?));
                (stream, Some(Instant::now() + HANDSHAKE))
            }
        };
        Ok(Connection { stream, from, until, framer: Framer::default(), wait: Wait::Read })
    }

    pub fn descriptor(&self) -> RawFd {
        match &self.stream {
            Stream::Plain(socket) => socket.as_raw_fd(),
            Stream::Tls(stream) => stream.get_ref().as_raw_fd(),
        }
    }

    /// Reads what has come, as much as there is room.
    pub fn receive(&mut self, room: &mut [u8]) -> io::Result<Received> {
        let stream = match &mut self.stream {
            Stream::Plain(socket) => return plain(socket.read(room)),
            Stream::Tls(stream) => stream,
        };
        if self.until.is_some() {
            match stream.accept() {
                Ok(()) => self.until = None,
                Err(err) => return self.later(err),
            }
        }
        match stream.ssl_read(room) {
            Ok(0) => Ok(Received::Ended),
            Ok(bytes) => {
                self.wait = if stream.ssl().pending() > 0 { Wait::Nothing } else { Wait::Read };
                Ok(Received::Bytes(bytes))
            }
            Err(err) => self.later(err),
        }
    }

    fn later(&mut self, err: openssl::ssl::Error) -> io::Result<Received> {
        self.wait = match err.code() {
            ErrorCode::WANT_READ => Wait::Read,
            ErrorCode::WANT_WRITE => Wait::Write,
            ErrorCode::ZERO_RETURN => return Ok(Received::Ended),
            _ => return Err(err.into_io_error().unwrap_or_else(io::Error::other)),
        };
        Ok(Received::Nothing)
    }
}

fn plain(read: io::Result<usize>) -> io::Result<Received> {
    match read {
        Ok(0) => Ok(Received::Ended),
        Ok(bytes) => Ok(Received::Bytes(bytes)),
        Err(err) if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
            Ok(Received::Nothing)
        }
        Err(err) => Err(err),
    }
}
