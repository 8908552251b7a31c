//! The listener for Prometheus: an HTTP server that shows the latest poll of each collector.
//!
//! One thread accepts, one serves each connection, and there are never more than a few of them. A
//! connection has its time for a request and for a response; whoever is slower is cut off. Pollers
//! know nothing of all this: they leave their points in `Latest`.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use openssl::ssl::{HandshakeError, SslAcceptor, SslFiletype, SslMethod, SslStream};
use serde::Deserialize;

use super::http::{self, Manner, Refusal, Request, ranges};
use super::logins::Logins;
use super::{Program, Wanted};
use crate::base::secret::Secret;
use crate::base::sync::{Stop, lock};
use crate::output::exposition::{self, Format};
use crate::output::latest::Latest;
use crate::point::Batch;

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub listen: String,
    pub tls: Option<Tls>,
    /// Names, and bcrypt hashes of their passwords. Without any, everyone is let in.
    pub users: Vec<(String, Secret)>,
    pub connections_max: usize,
    /// For a request's head, and for a connection without a request.
    pub request_timeout: Duration,
    /// For all of a response.
    pub response_timeout: Duration,
    pub expire_intervals: u32,
    pub points_bytes_max: usize,
    pub gzip: bool,
    pub mode: Mode,
    /// A scrape is content with points of that age, in scrape mode.
    pub age_min: Duration,
}

/// PEM files.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    pub cert_file: std::path::PathBuf,
    pub key_file: std::path::PathBuf,
}

/// When routers are polled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// At their intervals.
    #[default]
    Interval,
    /// When somebody asks.
    Scrape,
}

/// Prometheus says how long it waits; the answer must be on its way before.
const SCRAPE_TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
const SCRAPE_MARGIN: Duration = Duration::from_millis(500);
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections beyond the limit are told so, up to that many at once.
const REFUSALS_MAX: usize = 8;
const STACK_BYTES: usize = 512 << 10;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

pub struct Prometheus {
    settings: Settings,
    latest: Arc<Latest>,
    tls: Option<Arc<Certificate>>,
    running: Option<(Arc<Server>, SocketAddr, JoinHandle<()>)>,
}

impl Prometheus {
    pub fn new(settings: &Settings) -> Result<Prometheus, String> {
        let latest = Latest::new(settings.expire_intervals, settings.points_bytes_max);
        let tls = settings.tls.as_ref().map(Certificate::read).transpose()?.map(Arc::new);
        let settings = settings.clone();
        Ok(Prometheus { settings, latest: Arc::new(latest), tls, running: None })
    }

    /// Where its points are kept.
    pub fn latest(&self) -> Arc<Latest> {
        self.latest.clone()
    }

    /// Goes on with what another listener has kept.
    pub fn take_over(&mut self, latest: Arc<Latest>) {
        self.latest = latest;
    }

    fn bind(&self) -> Result<TcpListener, String> {
        let listen = &self.settings.listen;
        TcpListener::bind(listen).map_err(|err| format!("cannot listen on {listen}: {err}"))
    }

    /// Listens and answers until it is dropped.
    pub fn start(&mut self, program: &Arc<dyn Program>) -> Result<(), String> {
        let failed = |err| format!("cannot serve {}: {err}", self.settings.listen);
        let listener = self.bind()?;
        let address = listener.local_addr().map_err(failed)?;
        let server = Arc::new(Server {
            settings: self.settings.clone(),
            latest: self.latest.clone(),
            tls: self.tls.clone(),
            program: program.clone(),
            logins: Logins::new(self.settings.users.clone()),
            connections: AtomicUsize::new(0),
            stopping: Stop::default(),
        });
        let accepting = server.clone();
        let thread = thread::Builder::new().name("prometheus".into()).stack_size(STACK_BYTES);
        let thread = thread.spawn(move || accepting.accept(&listener)).map_err(failed)?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        log::info!("prometheus: serves {scheme}://{address}/metrics");
        self.running = Some((server, address, thread));
        Ok(())
    }

    /// Whether it could listen now: for `check`.
    pub fn check(&self) -> Result<String, String> {
        self.bind()?;
        Ok(format!("{} is free to listen on", self.settings.listen))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let Some((server, mut address, thread)) = self.running.take() else { return };
        server.stopping.set();
        // The one who accepts looks up when somebody comes.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
            let _ = thread.join();
        }
    }
}

/// A certificate and its key, read again when their files change.
struct Certificate {
    files: Tls,
    current: Mutex<(Option<SystemTime>, SslAcceptor)>,
}

impl Certificate {
    fn read(files: &Tls) -> Result<Certificate, String> {
        let current = Mutex::new((changed(files), acceptor(files)?));
        Ok(Certificate { files: files.clone(), current })
    }

    fn acceptor(&self) -> SslAcceptor {
        let now = changed(&self.files);
        let mut current = lock(&self.current);
        if current.0 != now {
            current.0 = now;
            match acceptor(&self.files) {
                Ok(acceptor) => {
                    log::info!("prometheus: {} was read again", self.files.cert_file.display());
                    current.1 = acceptor;
                }
                Err(why) => log::warn!("prometheus: the old certificate stays in use: {why}"),
            }
        }
        current.1.clone()
    }
}

/// When the files were last written.
fn changed(files: &Tls) -> Option<SystemTime> {
    let changed = |path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    changed(&files.cert_file).max(changed(&files.key_file))
}

fn acceptor(files: &Tls) -> Result<SslAcceptor, String> {
    let Tls { cert_file, key_file } = files;
    let wrong = |what: &str, err| format!("{what}: {err}");
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())
        .map_err(|err| wrong("TLS", err))?;
    builder
        .set_certificate_chain_file(cert_file)
        .map_err(|err| wrong(&format!("cert_file {}", cert_file.display()), err))?;
    builder
        .set_private_key_file(key_file, SslFiletype::PEM)
        .and_then(|()| builder.check_private_key())
        .map_err(|err| wrong(&format!("key_file {}", key_file.display()), err))?;
    Ok(builder.build())
}

struct Server {
    settings: Settings,
    latest: Arc<Latest>,
    tls: Option<Arc<Certificate>>,
    program: Arc<dyn Program>,
    logins: Logins,
    connections: AtomicUsize,
    stopping: Stop,
}

/// Counts a connection while it lives.
struct Counted(Arc<Server>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Server {
    fn accept(self: Arc<Server>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopping.is_set() {
                return;
            }
            let stream = match stream {
                Ok(stream) => stream,
                Err(err) => {
                    // Out of file descriptors, most likely: a moment later there may be some.
                    log::debug!("prometheus: cannot accept a connection: {err}");
                    self.stopping.wait(ACCEPT_PAUSE);
                    continue;
                }
            };
            let others = self.connections.fetch_add(1, Ordering::Relaxed);
            let counted = Counted(self.clone());
            let is_refused = others >= self.settings.connections_max;
            if is_refused {
                self.latest.refused_connections.fetch_add(1, Ordering::Relaxed);
                if others >= self.settings.connections_max + REFUSALS_MAX {
                    continue;
                }
            }
            let thread = thread::Builder::new().name("scrape".into()).stack_size(STACK_BYTES);
            let serve = move || counted.0.serve(stream, is_refused);
            if let Err(err) = thread.spawn(serve) {
                log::warn!("prometheus: cannot start a thread: {err}");
            }
        }
    }

    fn serve(&self, stream: TcpStream, is_refused: bool) {
        let deadline = Instant::now() + self.settings.request_timeout;
        let _ = stream.set_nodelay(true);
        let timed = Timed { stream, deadline };
        let result = match &self.tls {
            None => self.converse(&mut { timed }, is_refused),
            Some(certificate) => match certificate.acceptor().accept(timed) {
                Ok(mut tls) => self.converse(&mut tls, is_refused),
                Err(HandshakeError::Failure(failed)) => {
                    Err(io::Error::other(format!("no TLS session: {}", failed.error())))
                }
                Err(_) => Err(io::Error::other("no TLS session")),
            },
        };
        if let Err(err) = result {
            log::debug!("prometheus: a connection failed: {err}");
        }
    }

    /// Answers one request after another.
    fn converse(&self, connection: &mut impl Connection, is_refused: bool) -> io::Result<()> {
        let mut buffer = Vec::new();
        loop {
            connection.set_deadline(Instant::now() + self.settings.request_timeout);
            let request = match http::read_request(connection, &mut buffer) {
                Ok(Some(request)) => request,
                Ok(None) => return connection.end(),
                Err(Refusal::Gone(err)) => return Err(err),
                Err(Refusal::Status(status)) => {
                    connection.set_deadline(Instant::now() + DRAIN);
                    http::respond(connection, status, PLAIN, status, Manner::default())?;
                    return connection.drain();
                }
            };
            if self.stopping.is_set() {
                return connection.end();
            }
            connection.set_deadline(Instant::now() + self.settings.response_timeout);
            let keep_alive = !is_refused && request.keeps_alive();
            let manner = Manner { keep_alive, head_only: request.is_head(), gzip: false };
            if is_refused {
                let words = "too many connections (connections_max)\n";
                http::respond(connection, UNAVAILABLE, PLAIN, words, manner)?;
            } else {
                self.answer(&request, connection, manner)?;
            }
            if !keep_alive {
                return connection.drain();
            }
        }
    }

    fn answer(
        &self,
        request: &Request,
        out: &mut impl Connection,
        manner: Manner,
    ) -> io::Result<()> {
        // Whether it runs is no secret, and those who ask have no passwords.
        let is_probe = matches!(&*request.path, "/healthz" | "/-/ready");
        if !is_probe && !self.logins.admit(request.header("authorization")) {
            let challenge = ("WWW-Authenticate", "Basic realm=\"perijove\", charset=\"UTF-8\"");
            let headers = [PLAIN[0], challenge];
            return http::respond(out, "401 Unauthorized", &headers, "unauthorized\n", manner);
        }
        if !matches!(&*request.method, "GET" | "HEAD") {
            let headers = [PLAIN[0], ("Allow", "GET, HEAD")];
            let words = "only GET and HEAD\n";
            return http::respond(out, "405 Method Not Allowed", &headers, words, manner);
        }
        match &*request.path {
            "/metrics" => self.metrics(request, out, manner),
            "/healthz" => http::respond(out, "200 OK", PLAIN, "ok\n", manner),
            "/-/ready" if self.settings.mode == Mode::Scrape || self.program.is_ready() => {
                http::respond(out, "200 OK", PLAIN, "ready\n", manner)
            }
            "/-/ready" => {
                http::respond(out, UNAVAILABLE, PLAIN, "not every router was polled\n", manner)
            }
            "/" => {
                let headers = [("Content-Type", "text/html; charset=utf-8")];
                http::respond(out, "200 OK", &headers, &self.index(), manner)
            }
            path => {
                let words = format!("there is no {path}; there are /metrics, /healthz, /-/ready\n");
                http::respond(out, "404 Not Found", PLAIN, &words, manner)
            }
        }
    }

    fn metrics(
        &self,
        request: &Request,
        out: &mut impl Connection,
        mut manner: Manner,
    ) -> io::Result<()> {
        let wanted = match wanted(request, &*self.program) {
            Ok(wanted) => wanted,
            Err((status, words)) => return http::respond(out, status, PLAIN, &words, manner),
        };
        if self.settings.mode == Mode::Scrape && !manner.head_only {
            let timeout = request.header(SCRAPE_TIMEOUT_HEADER).and_then(|s| s.parse().ok());
            let timeout = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let timeout = timeout.unwrap_or(SCRAPE_TIMEOUT).min(self.settings.response_timeout);
            let until = Instant::now() + timeout.saturating_sub(SCRAPE_MARGIN);
            self.program.poll(&wanted, self.settings.age_min, until);
        }
        let polls = self.latest.get(|node, name| wanted.has(node, name), Instant::now());
        let own = self.program.own(&wanted);
        let own = own.iter().map(|(node, time_ns, points)| {
            let (time_ns, collector) = (*time_ns, "perijove");
            Batch { node, collector, time_ns, points }
        });
        let batches: Vec<Batch> = polls.iter().flat_map(|poll| poll.batches()).chain(own).collect();
        let format = negotiate(request.header("accept").unwrap_or_default());
        manner.gzip = self.settings.gzip && request.takes_gzip();
        let headers =
            [("Content-Type", format.content_type()), ("Vary", "Accept, Accept-Encoding")];
        let duplicates = http::stream(out, &headers, request, manner, |body| {
            exposition::write_as(format, &batches, body)
        })?;
        self.latest.scrapes.fetch_add(1, Ordering::Relaxed);
        if let (Some(duplicates), true) = (duplicates, wanted.is_all()) {
            self.latest.scraped(duplicates);
        }
        Ok(())
    }

    fn index(&self) -> String {
        let mut routers = String::new();
        for target in self.program.targets() {
            let mut query = String::new();
            let mut words = String::new();
            for byte in target.bytes() {
                match byte {
                    b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' => {
                        query.push(char::from(byte));
                    }
                    byte => query += &format!("%{byte:02X}"),
                }
            }
            for character in target.chars() {
                match character {
                    '&' => words += "&amp;",
                    '<' => words += "&lt;",
                    other => words.push(other),
                }
            }
            routers += &format!("<li><a href=\"/metrics?target={query}\">{words}</a></li>\n");
        }
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><title>perijove</title></head><body>\n\
             <h1>perijove {}</h1>\n<p><a href=\"/metrics\">Metrics</a> of all routers, or of one:\
             </p>\n<ul>\n{routers}</ul>\n</body></html>\n",
            env!("CARGO_PKG_VERSION")
        )
    }
}

const PLAIN: &[(&str, &str)] = &[("Content-Type", "text/plain; charset=utf-8")];
const BAD_REQUEST: &str = "400 Bad Request";
const UNAVAILABLE: &str = "503 Service Unavailable";

/// What a scrape asks for. What is empty is as good as absent.
fn wanted(request: &Request, program: &dyn Program) -> Result<Wanted, (&'static str, String)> {
    let targets = program.targets();
    let mut wanted = Wanted::default();
    for (name, value) in request.query.iter().filter(|(_, value)| !value.is_empty()) {
        match &**name {
            "target" if wanted.target.is_some() => {
                return Err((BAD_REQUEST, "one target, or none for all routers\n".into()));
            }
            "target" if targets.contains(value) => wanted.target = Some(value.clone()),
            "target" => {
                let words = format!("no router has the name {value}\n");
                return Err(("404 Not Found", words));
            }
            "collect[]" if program.knows(value) => wanted.collectors.push(value.clone()),
            "collect[]" => return Err((BAD_REQUEST, format!("there is no collector {value}\n"))),
            // junos_exporter's: it would be wrong to answer with more than was asked for.
            "ls" => {
                let words = "ls: logical systems are chosen in the settings of the collectors that \
                             ask for them (logical_systems)\n";
                return Err((BAD_REQUEST, words.into()));
            }
            // Prometheus and people may add what they like.
            _ => {}
        }
    }
    Ok(wanted)
}

/// The format that the client likes best; text where it likes both.
fn negotiate(accept: &str) -> Format {
    let mut best = [0.0, 0.0];
    for (name, parameters, q) in ranges(accept) {
        let version = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case("version"));
        let known = version.is_none_or(|(_, version)| *version == "1.0.0");
        let format = match name {
            "application/openmetrics-text" if known => 1,
            "text/plain" | "text/*" | "*/*" => 0,
            _ => continue,
        };
        best[format] = f64::max(best[format], q);
    }
    if best[1] > best[0] { Format::OpenMetrics } else { Format::Text }
}

/// A stream on which nothing may happen after a deadline.
struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> io::Result<Option<Duration>> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(into)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

trait Connection: Read + Write {
    fn timed(&mut self) -> &mut Timed;

    /// Says that nothing more comes.
    fn end(&mut self) -> io::Result<()>;

    fn set_deadline(&mut self, deadline: Instant) {
        self.timed().deadline = deadline;
    }

    /// Ends it: what the client still sends is read for a moment, for a socket that is closed with
    /// something unread is reset, and the answer may be lost.
    fn drain(&mut self) -> io::Result<()> {
        self.set_deadline(Instant::now() + DRAIN);
        self.end()?;
        let mut rest = [0; 1024];
        while matches!(self.timed().read(&mut rest), Ok(1..)) {}
        Ok(())
    }
}

const DRAIN: Duration = Duration::from_secs(1);

impl Connection for Timed {
    fn timed(&mut self) -> &mut Timed {
        self
    }

    fn end(&mut self) -> io::Result<()> {
        self.stream.shutdown(std::net::Shutdown::Write)
    }
}

impl Connection for SslStream<Timed> {
    fn timed(&mut self) -> &mut Timed {
        self.get_mut()
    }

    /// Without TLS's own end, the client would have to take the answer for one that was cut off.
    fn end(&mut self) -> io::Result<()> {
        self.shutdown().map_err(io::Error::other)?;
        self.timed().end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_what_the_client_likes_best() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=values;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=0.0.4;escaping=values;q=0.3,*/*;q=0.2";
        assert_eq!(negotiate(prometheus), Format::OpenMetrics);
        for text in ["", "*/*", "text/html, */*;q=0.8", "application/openmetrics-text;version=2.0"]
        {
            assert_eq!(negotiate(text), Format::Text, "{text}");
        }
        let refused = "application/openmetrics-text; q=0, text/plain;q=0.1";
        assert_eq!(negotiate(refused), Format::Text);
    }
}
