//! The listener: one thread that waits for all sockets, and never for any router.

use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use libc::{POLLIN, POLLOUT, pollfd};

use super::connection::{Acceptor, Connection, Received, Wait};
use super::settings::{Listen, SyslogConfig};
use super::sources::{From, Routers, Sources};
use super::status::{SyslogStatus, count};
use crate::base::sys;

/// What the kernel keeps while this thread is busy: some seconds of lines.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// So much of a socket is taken before the others get a look.
const DATAGRAMS_MAX: usize = 256;
const READ_BYTES: usize = 16 << 10;
/// So many connections of one router; one more takes the place of its oldest.
const ROUTER_CONNECTIONS_MAX: usize = 4;
const ACCEPTS_MAX: usize = 16;
/// The pause after an accept that failed, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Who takes the lines.
pub trait Taker {
    /// Takes a line of a sender who is known.
    fn take(&mut self, sources: &Sources, from: From, line: &[u8], is_cut: bool);
    /// Someone unknown has sent something.
    fn refuse(&mut self, from: From);
    /// All that has come so far was taken.
    fn rest(&mut self);
    /// There are other routers now.
    fn changed(&mut self);
}

enum Socket {
    Udp(UdpSocket),
    Tcp(TcpListener),
    Tls(TcpListener),
    Unix(UnixDatagram, PathBuf),
}

impl Socket {
    fn bind(listen: &Listen) -> Result<Socket, String> {
        let failed = |err: io::Error| format!("syslog: cannot listen on {listen}: {err}");
        let nonblocking = |listener: TcpListener| {
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        match listen {
            Listen::Udp(place) => {
                let socket = UdpSocket::bind(place).map_err(failed)?;
                socket.set_nonblocking(true).map_err(failed)?;
                // It grants what it may.
                let _ = sys::set_receive_buffer(&socket, RECEIVE_BUFFER_BYTES);
                Ok(Socket::Udp(socket))
            }
            Listen::Tcp(place) => {
                TcpListener::bind(place).and_then(nonblocking).map(Socket::Tcp).map_err(failed)
            }
            Listen::Tls(place) => {
                TcpListener::bind(place).and_then(nonblocking).map(Socket::Tls).map_err(failed)
            }
            Listen::Unix(path) => {
                let socket = bind_unix(path).map_err(failed)?;
                let _ = sys::set_receive_buffer(&socket, RECEIVE_BUFFER_BYTES);
                Ok(Socket::Unix(socket, path.clone()))
            }
        }
    }

    fn descriptor(&self) -> RawFd {
        match self {
            Socket::Udp(socket) => socket.as_raw_fd(),
            Socket::Tcp(socket) | Socket::Tls(socket) => socket.as_raw_fd(),
            Socket::Unix(socket, _) => socket.as_raw_fd(),
        }
    }

    /// How many datagrams the kernel has dropped because this thread was too slow.
    fn kernel_drops(&self) -> u64 {
        match self {
            Socket::Udp(socket) => sys::socket_drops(socket),
            Socket::Unix(..) | Socket::Tcp(_) | Socket::Tls(_) => 0,
        }
    }
}

/// A socket that a run before has left is no obstacle.
fn bind_unix(path: &Path) -> io::Result<UnixDatagram> {
    use std::os::unix::fs::FileTypeExt;
    let is_socket =
        |path: &Path| path.symlink_metadata().is_ok_and(|own| own.file_type().is_socket());
    let is_left = UnixDatagram::unbound()?
        .connect(path)
        .is_err_and(|err| err.kind() == ErrorKind::ConnectionRefused);
    if is_left && is_socket(path) {
        std::fs::remove_file(path)?;
    }
    let socket = UnixDatagram::bind(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Ends the listener's thread.
pub struct Bell {
    is_ending: AtomicBool,
    wake: UnixStream,
}

impl Bell {
    pub fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
        // A pipe that is full wakes as well.
        let _ = io::Write::write(&mut &self.wake, &[0]);
    }
}

pub struct Listener {
    settings: SyslogConfig,
    sockets: Vec<Socket>,
    connections: Vec<Connection>,
    tls: Option<Acceptor>,
    sources: Sources,
    status: Arc<SyslogStatus>,
    bell: Arc<Bell>,
    sleep: UnixStream,
    accept_at: Instant,
}

/// Whether it could listen now, but for the places that are `taken` and will be free.
pub fn check(settings: &SyslogConfig, taken: &[Listen]) -> Result<(), String> {
    settings.tls.as_ref().map(Acceptor::new).transpose()?;
    let is_network = |listen: &&Listen| !matches!(listen, Listen::Unix(_));
    let mut free = settings.listen.iter().filter(|listen| !taken.contains(listen));
    free.by_ref().filter(is_network).try_for_each(|listen| Socket::bind(listen).map(drop))
}

impl Listener {
    pub fn new(
        settings: &SyslogConfig,
        routers: Routers,
        status: Arc<SyslogStatus>,
    ) -> Result<Listener, String> {
        let tls = settings.tls.as_ref().map(Acceptor::new).transpose()?;
        let sockets = settings.listen.iter().map(Socket::bind).collect::<Result<_, _>>()?;
        let pipe = || {
            let (wake, sleep) = UnixStream::pair()?;
            wake.set_nonblocking(true)?;
            sleep.set_nonblocking(true)?;
            Ok((wake, sleep))
        };
        let (wake, sleep) =
            pipe().map_err(|err: io::Error| format!("syslog: cannot listen: {err}"))?;
        Ok(Listener {
            settings: settings.clone(),
            sockets,
            connections: Vec::new(),
            tls,
            sources: Sources::new(routers, settings.sources.clone()),
            status,
            bell: Arc::new(Bell { is_ending: false.into(), wake }),
            sleep,
            accept_at: Instant::now(),
        })
    }

    pub fn bell(&self) -> Arc<Bell> {
        self.bell.clone()
    }

    /// Where it listens, as it is bound.
    pub fn addresses(&self) -> Vec<String> {
        let shown = |socket: &Socket| match socket {
            Socket::Udp(socket) => socket.local_addr().map(|at| format!("udp://{at}")),
            Socket::Tcp(socket) => socket.local_addr().map(|at| format!("tcp://{at}")),
            Socket::Tls(socket) => socket.local_addr().map(|at| format!("tls://{at}")),
            Socket::Unix(_, path) => Ok(format!("unix://{}", path.display())),
        };
        self.sockets.iter().filter_map(|socket| shown(socket).ok()).collect()
    }

    /// Takes lines until the bell says to end.
    pub fn run(&mut self, taker: &mut dyn Taker) {
        let mut room = vec![0; READ_BYTES.max(self.settings.line_bytes_max + 1)];
        loop {
            let ready = self.wait();
            if self.bell.is_ending.load(Ordering::Relaxed) {
                // What has come so far is taken; who sends on is not waited for.
                self.take_datagrams(&mut room, taker);
                taker.rest();
                return;
            }
            let mut wakes = [0; 64];
            while matches!(self.sleep.read(&mut wakes), Ok(1..)) {}
            if self.sources.refresh() {
                taker.changed();
            }
            self.take_datagrams(&mut room, taker);
            self.take_streams(&ready, &mut room, taker);
            self.accept(taker);
            self.end_late();
            let drops = self.sockets.iter().map(Socket::kernel_drops).sum();
            self.status.kernel_drops.store(drops, Ordering::Relaxed);
            self.status.connections.store(self.connections.len() as u64, Ordering::Relaxed);
            taker.rest();
        }
    }

    /// Waits until something has come; of which connections.
    fn wait(&self) -> Vec<bool> {
        let now = Instant::now();
        let polled = |fd, events| pollfd { fd, events, revents: 0 };
        let mut polls = vec![polled(self.sleep.as_raw_fd(), POLLIN)];
        let mut until = None;
        let mut wake_by =
            |at: Instant| until = Some(until.map_or(at, |until: Instant| until.min(at)));
        for socket in &self.sockets {
            let pauses = matches!(socket, Socket::Tcp(_) | Socket::Tls(_)) && now < self.accept_at;
            if pauses {
                wake_by(self.accept_at);
            }
            // poll(2) passes over what is negative.
            polls.push(polled(if pauses { -1 } else { socket.descriptor() }, POLLIN));
        }
        for connection in &self.connections {
            let events = if connection.wait == Wait::Write { POLLOUT } else { POLLIN };
            polls.push(polled(connection.descriptor(), events));
            connection.until.into_iter().for_each(&mut wake_by);
            if connection.wait == Wait::Nothing {
                wake_by(now);
            }
        }
        let time = until.map(|until| until.saturating_duration_since(now));
        if let Err(err) = sys::poll(&mut polls, time) {
            log::warn!("syslog: cannot wait for lines: {err}");
            // The bell alone can be waited for.
            let _ = sys::poll(&mut polls[..1], Some(ACCEPT_PAUSE));
        }
        polls.iter().skip(1 + self.sockets.len()).map(|polled| polled.revents != 0).collect()
    }

    fn take_datagrams(&mut self, room: &mut [u8], taker: &mut dyn Taker) {
        let bytes_max = self.settings.line_bytes_max;
        let room = &mut room[..bytes_max + 1];
        for socket in &self.sockets {
            for _ in 0..DATAGRAMS_MAX {
                let received = match socket {
                    Socket::Udp(socket) => socket
                        .recv_from(room)
                        .map(|(bytes, from)| (bytes, From::Address(from.ip()))),
                    Socket::Unix(socket, _) => socket.recv(room).map(|bytes| (bytes, From::Here)),
                    Socket::Tcp(_) | Socket::Tls(_) => break,
                };
                let (bytes, from) = match received {
                    Ok(received) => received,
                    Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                    // An ICMP message about something sent; nothing is sent here.
                    Err(_) => continue,
                };
                if !self.sources.knows(from) {
                    count(&self.status.refused_lines);
                    taker.refuse(from);
                    continue;
                }
                let is_cut = bytes > bytes_max;
                taker.take(&self.sources, from, &room[..bytes.min(bytes_max)], is_cut);
            }
        }
    }

    fn take_streams(&mut self, ready: &[bool], room: &mut [u8], taker: &mut dyn Taker) {
        let Listener { connections, sources, status, settings, .. } = self;
        let mut at = 0;
        connections.retain_mut(|connection| {
            let is_ready = ready.get(at).copied().unwrap_or_default();
            at += 1;
            if !is_ready && connection.wait != Wait::Nothing {
                return true;
            }
            let from = From::Address(connection.from);
            if !sources.knows(from) {
                // Its router is no longer in the settings.
                count(&status.refused_connections);
                return false;
            }
            let mut take = |line: &[u8], is_cut| taker.take(sources, from, line, is_cut);
            match connection.receive(room) {
                Ok(Received::Bytes(bytes)) => {
                    connection.framer.take(&room[..bytes], settings.line_bytes_max, take);
                    true
                }
                Ok(Received::Nothing) => true,
                Ok(Received::Ended) => {
                    let last = std::mem::take(&mut connection.framer).end();
                    last.iter().for_each(|line| take(line, false));
                    false
                }
                Err(err) => {
                    log::debug!("syslog: the connection of {} failed: {err}", connection.from);
                    count(&status.failed_connections);
                    false
                }
            }
        });
    }

    fn accept(&mut self, taker: &mut dyn Taker) {
        for at in 0..self.sockets.len() {
            for _ in 0..ACCEPTS_MAX {
                let (listener, tls) = match &self.sockets[at] {
                    Socket::Tcp(listener) => (listener, None),
                    Socket::Tls(listener) => (listener, self.tls.as_mut()),
                    Socket::Udp(_) | Socket::Unix(..) => break,
                };
                let (socket, from) = match listener.accept() {
                    Ok((socket, from)) => (socket, from.ip().to_canonical()),
                    Err(err) if err.kind() == ErrorKind::WouldBlock => break,
                    Err(err) => {
                        log::debug!("syslog: cannot accept a connection: {err}");
                        self.accept_at = Instant::now() + ACCEPT_PAUSE;
                        break;
                    }
                };
                if !self.sources.knows(From::Address(from)) {
                    count(&self.status.refused_connections);
                    taker.refuse(From::Address(from));
                    continue;
                }
                let connection = Connection::new(socket, from, tls.map(Acceptor::current));
                match connection.map(|connection| self.admit(connection)) {
                    Ok(()) => {}
                    Err(err) => {
                        log::debug!("syslog: the connection of {from} failed: {err}");
                        count(&self.status.failed_connections);
                    }
                }
            }
        }
    }

    /// Takes a connection in, within the limits.
    fn admit(&mut self, connection: Connection) {
        let from: IpAddr = connection.from;
        let own = self.connections.iter().filter(|other| other.from == from).count();
        let max = self.settings.connections_max;
        if own >= ROUTER_CONNECTIONS_MAX.min(max) {
            let oldest = self.connections.iter().position(|other| other.from == from);
            oldest.map(|at| self.connections.remove(at));
            count(&self.status.refused_connections);
        } else if self.connections.len() >= max {
            log::debug!("syslog: no room for a connection of {from} (connections_max)");
            count(&self.status.refused_connections);
            return;
        }
        self.connections.push(connection);
    }

    /// Drops the connections that have no TLS session in time.
    fn end_late(&mut self) {
        let now = Instant::now();
        let status = &self.status;
        self.connections.retain(|connection| {
            let is_late = connection.until.is_some_and(|until| until <= now);
            if is_late {
                log::debug!("syslog: {} did not begin a TLS session in time", connection.from);
                count(&status.failed_connections);
            }
            !is_late
        });
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        for socket in &self.sockets {
            if let Socket::Unix(_, path) = socket {
                // The one that a new listener has bound meanwhile would be another one.
                let _ = std::fs::remove_file(path);
            }
        }
    }
}
