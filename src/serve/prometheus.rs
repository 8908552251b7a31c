//! The listener for Prometheus: an HTTP server that shows the latest poll of each collector.
//!
//! Clients come through the `door`. Pollers know nothing of all this: they leave their points in
//! `Latest`. What answers hold beyond that has a bound, however slowly they are read.

use std::collections::HashSet;
use std::io;
#[cfg(feature = "map")]
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod, SslMode};
use serde::Deserialize;

use super::connection::{Connection, Reader};
use super::door::{Answers, Bell, Door, House, Limits};
use super::http::{self, BAD_REQUEST, Manner, PLAIN, Request, STACK_BYTES, ranges};
use super::logins::{Known, Logins};
use super::{Program, Refusal, Wanted, events};
#[cfg(feature = "map")]
use crate::base::clock::now_ms;
use crate::base::http_client;
use crate::base::sandbox::{self, Confine};
use crate::base::secret::{self, Secret};
use crate::base::sync::{lock, wait};
use crate::base::sys;
use crate::output::exposition::{self, Format};
use crate::output::latest::{Latest, Poll};
#[cfg(feature = "map")]
use crate::picture;
use crate::point::Batch;

#[derive(Clone, Debug, PartialEq)]
pub struct PrometheusConfig {
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
    /// In scrape mode, points younger than this are served without a new poll.
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
    /// When they are scraped.
    Scrape,
}

/// Prometheus says how long it waits; the answer must be on its way before.
const SCRAPE_TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
const SCRAPE_MARGIN: Duration = Duration::from_millis(500);
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);
/// Scrapes whose text is made at a time: each has a list of all its points beside the points.
const RENDERINGS_MAX: usize = 4;
/// What `/healthz` answers.
const HEALTHY: &str = "ok\n";
/// How often a scrape that waits for its turn looks for slow readers of others.
const LOOK: Duration = Duration::from_millis(100);

pub struct Prometheus {
    settings: PrometheusConfig,
    latest: Arc<Latest>,
    tls: Option<Arc<Certificate>>,
    running: Option<(Arc<Bell>, JoinHandle<()>)>,
}

impl Prometheus {
    pub fn new(settings: &PrometheusConfig) -> Result<Prometheus, String> {
        let latest = Latest::new(settings.expire_intervals, settings.points_bytes_max);
        let tls = settings.tls.as_ref().map(Certificate::read).transpose()?.map(Arc::new);
        let settings = settings.clone();
        Ok(Prometheus { settings, latest: Arc::new(latest), tls, running: None })
    }

    /// Where its points are kept.
    pub fn latest(&self) -> Arc<Latest> {
        self.latest.clone()
    }

    /// Serves the points that another listener has kept.
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
        let address: SocketAddr = listener.local_addr().map_err(failed)?;
        let (bell, sleep) = Bell::new().map_err(failed)?;
        let bell = Arc::new(bell);
        let answers = Arc::new(Answers::default());
        let settings = self.settings.clone();
        let limits = Limits {
            answers_max: settings.connections_max,
            request_timeout: settings.request_timeout,
            response_timeout: settings.response_timeout,
        };
        let held = Arc::new(Held::default());
        let holders = held.clone();
        self.latest.cut_readers_with(move |bytes_max| holders.cut(bytes_max));
        let house = Arc::new(Server {
            logins: Logins::new(settings.users.clone())?,
            settings,
            latest: self.latest.clone(),
            tls: self.tls.clone(),
            program: program.clone(),
            answers: answers.clone(),
            renderings: Mutex::new(0),
            rendered: Condvar::new(),
            held,
        });
        let door = Door { house, listener, limits, bell: bell.clone(), sleep, answers };
        let thread = thread::Builder::new().name("prometheus".into()).stack_size(STACK_BYTES);
        let run = move || {
            sandbox::enter(Confine::Files);
            door.run();
        };
        let thread = thread.spawn(run).map_err(failed)?;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        log::info!("prometheus: serves {scheme}://{address}/metrics");
        self.running = Some((bell, thread));
        Ok(())
    }

    /// Whether it could listen now, or a perijove does: for `check`, which the health check of a
    /// container runs beside it.
    pub fn check(&self) -> Result<String, String> {
        let listen = &self.settings.listen;
        match self.bind() {
            Ok(_) => Ok(format!("{listen} is free to listen on")),
            Err(_) if self.is_served() => Ok(format!("{listen} answers: a perijove runs")),
            Err(why) => Err(why),
        }
    }

    fn is_served(&self) -> bool {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/healthz", self.settings.listen);
        http_client::ask_own_machine(&url).is_some_and(|answer| answer == HEALTHY)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Some((bell, thread)) = self.running.take() {
            bell.end();
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
    secret::warn_if_exposed(key_file);
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())
        .map_err(|err| wrong("TLS", err))?;
    builder
        .set_certificate_chain_file(cert_file)
        .map_err(|err| wrong(&format!("cert_file {}", cert_file.display()), err))?;
    builder
        .set_private_key_file(key_file, SslFiletype::PEM)
        .and_then(|()| builder.check_private_key())
        .map_err(|err| wrong(&format!("key_file {}", key_file.display()), err))?;
    // A connection that waits takes little room.
    builder.set_mode(SslMode::RELEASE_BUFFERS);
    Ok(builder.build())
}

struct Server {
    settings: PrometheusConfig,
    latest: Arc<Latest>,
    tls: Option<Arc<Certificate>>,
    program: Arc<dyn Program>,
    logins: Logins,
    answers: Arc<Answers>,
    /// How many scrapes are being written.
    renderings: Mutex<usize>,
    rendered: Condvar,
    held: Arc<Held>,
}

/// The polls that answers hold, by who reads them.
#[derive(Default)]
struct Held(Mutex<Vec<Holder>>);

type Holder = (Arc<Reader>, Vec<Arc<Poll>>);

impl Held {
    /// Notes what an answer holds.
    fn add(&self, reader: &Arc<Reader>, polls: &[Arc<Poll>]) {
        lock(&self.0).push((reader.clone(), polls.to_vec()));
    }

    /// Where the polls that have been replaced take more than `bytes_max`, cuts off the slowest of
    /// their readers.
    fn cut(&self, bytes_max: usize) {
        let mut held = lock(&self.0);
        loop {
            let mut seen = HashSet::new();
            let polls = held.iter().flat_map(|(_, polls)| polls);
            let old = polls.filter(|poll| poll.is_replaced() && seen.insert(Arc::as_ptr(poll)));
            if old.map(|poll| poll.bytes()).sum::<usize>() <= bytes_max {
                break;
            }
            let holds =
                |(_, (_, polls)): &(usize, &Holder)| polls.iter().any(|poll| poll.is_replaced());
            let holders = held.iter().enumerate().filter(holds);
            let now = Instant::now();
            let Some((at, _)) = holders.max_by_key(|(_, (reader, _))| reader.waited(now)) else {
                break;
            };
            log::debug!(
                "prometheus: a slow scrape is cut off: others need the memory of the polls it holds"
            );
            held.swap_remove(at).0.cut();
        }
    }

    fn remove(&self, reader: &Arc<Reader>) {
        lock(&self.0).retain(|(other, _)| !Arc::ptr_eq(other, reader));
    }
}

/// A scrape's turn to be written, until it is dropped.
struct Rendering<'a>(&'a Server, Arc<Reader>);

impl Drop for Rendering<'_> {
    fn drop(&mut self) {
        self.0.held.remove(&self.1);
        *lock(&self.0.renderings) -= 1;
        self.0.rendered.notify_one();
    }
}

impl House for Server {
    fn acceptor(&self) -> Option<SslAcceptor> {
        self.tls.as_ref().map(|certificate| certificate.acceptor())
    }

    fn takes_check(&self, request: &Request) -> bool {
        let login = request.header("authorization");
        !is_probe(request) && self.logins.know(login) == Known::Unchecked
    }

    fn turned_away(&self) {
        self.latest.refused_connections.fetch_add(1, Ordering::Relaxed);
    }

    fn answer(&self, request: &Request, out: &mut Connection, manner: Manner) -> io::Result<bool> {
        let is_probe = is_probe(request);
        if !is_probe && !self.logins.check(request.header("authorization")) {
            let challenge = ("WWW-Authenticate", "Basic realm=\"perijove\", charset=\"UTF-8\"");
            let headers = [PLAIN[0], challenge];
            http::respond(out, "401 Unauthorized", &headers, "unauthorized\n", manner)?;
            return Ok(false);
        }
        self.show(request, out, manner).map(|()| !is_probe)
    }
}

/// Health checks need no password: whether perijove runs is no secret.
fn is_probe(request: &Request) -> bool {
    matches!(&*request.path, "/healthz" | "/-/ready")
}

impl Server {
    fn show(&self, request: &Request, out: &mut Connection, manner: Manner) -> io::Result<()> {
        if !matches!(&*request.method, "GET" | "HEAD") {
            let headers = [PLAIN[0], ("Allow", "GET, HEAD")];
            let words = "only GET and HEAD\n";
            return http::respond(out, "405 Method Not Allowed", &headers, words, manner);
        }
        match &*request.path {
            "/metrics" => self.metrics(request, out, manner),
            #[cfg(feature = "map")]
            "/map" => self.map(request, out, manner),
            "/events" => match events::answer(request, &*self.program) {
                Ok((records, position)) => {
                    let headers =
                        [("Content-Type", "application/jsonl"), (events::POSITION, &*position)];
                    http::respond(out, "200 OK", &headers, &records, manner)
                }
                Err(why) => http::respond(out, BAD_REQUEST, PLAIN, &why, manner),
            },
            "/healthz" => http::respond(out, "200 OK", PLAIN, HEALTHY, manner),
            "/-/ready" => {
                // In scrape mode, the first scrape has the collectors polled, once there are any.
                let is_scrape = self.settings.mode == Mode::Scrape;
                let has_targets = || !self.program.targets().is_empty();
                let is_ready = (is_scrape && has_targets()) || self.program.is_ready();
                match is_ready {
                    true => http::respond(out, "200 OK", PLAIN, "ready\n", manner),
                    false => {
                        let words = "not every router was polled\n";
                        http::respond(out, UNAVAILABLE, PLAIN, words, manner)
                    }
                }
            }
            "/" => {
                let headers = [("Content-Type", "text/html; charset=utf-8")];
                http::respond(out, "200 OK", &headers, &self.index(), manner)
            }
            path => {
                let words = format!("there is no {path}; there are {PATHS}\n");
                http::respond(out, "404 Not Found", PLAIN, &words, manner)
            }
        }
    }

    /// Waits until a scrape may be written; `None` if that takes too long.
    fn begin_rendering(&self, reader: Arc<Reader>) -> Option<Rendering<'_>> {
        let until = Instant::now() + self.settings.response_timeout;
        let mut renderings = lock(&self.renderings);
        while *renderings >= RENDERINGS_MAX {
            if Instant::now() >= until {
                return None;
            }
            self.answers.make_room();
            renderings = wait(&self.rendered, renderings, Some(LOOK));
        }
        *renderings += 1;
        Some(Rendering(self, reader))
    }

    fn metrics(
        &self,
        request: &Request,
        out: &mut Connection,
        mut manner: Manner,
    ) -> io::Result<()> {
        let wanted = match wanted(request, &*self.program) {
            Ok(wanted) => wanted,
            Err((status, words)) => return http::respond(out, status, PLAIN, &words, manner),
        };
        let polls = self.settings.mode == Mode::Scrape || wanted.is_admitted;
        if polls && !manner.head_only {
            let timeout = request.header(SCRAPE_TIMEOUT_HEADER).and_then(|s| s.parse().ok());
            let timeout = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            let timeout = timeout.unwrap_or(SCRAPE_TIMEOUT).min(self.settings.response_timeout);
            let until = Instant::now() + timeout.saturating_sub(SCRAPE_MARGIN);
            self.program.poll(&wanted, self.settings.age_min, until);
            // What the poll needed makes room for what the answer needs.
            sys::let_go();
        }
        let reader = out.reader();
        let Some(_rendering) = self.begin_rendering(reader.clone()) else {
            let words = "too many scrapes at a time\n";
            return http::respond(out, UNAVAILABLE, PLAIN, words, manner);
        };
        let is_wanted = |node: &str, name: &str| {
            let is_named = wanted.target.is_some() || !self.program.is_admitted(node);
            wanted.has(node, name) && is_named
        };
        let polls = self.latest.get(is_wanted, Instant::now());
        self.latest.make_room();
        self.held.add(&reader, &polls);
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

    /// The map of dependencies, as far as it is in what is kept for scrapes.
    #[cfg(feature = "map")]
    fn map(&self, request: &Request, out: &mut Connection, mut manner: Manner) -> io::Result<()> {
        let asked = request.query.iter().find(|(name, _)| name == "format");
        let asked = asked.map_or("html", |(_, format)| format);
        let Some((kind, write)) = picture::format(asked) else {
            let words = format!("format: `{asked}` is not one of {}\n", picture::names());
            return http::respond(out, BAD_REQUEST, PLAIN, &words, manner);
        };
        let Some(_rendering) = self.begin_rendering(out.reader()) else {
            let words = "too many scrapes at a time\n";
            return http::respond(out, UNAVAILABLE, PLAIN, words, manner);
        };
        let is_own = |node: &str, _: &str| !self.program.is_admitted(node);
        let polls = self.latest.get(is_own, Instant::now());
        let page = write(&super::map::graph(&polls, now_ms() / 1000));
        drop(polls);
        manner.gzip = self.settings.gzip && request.takes_gzip();
        let headers = [("Content-Type", kind), ("Vary", "Accept-Encoding")];
        http::stream(out, &headers, request, manner, |body| body.write_all(page.as_bytes()))?;
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
             <h1>perijove {}</h1>\n{}<p><a href=\"/metrics\">Metrics</a> of all routers, or of \
             one:</p>\n<ul>\n{routers}</ul>\n</body></html>\n",
            env!("CARGO_PKG_VERSION"),
            if cfg!(feature = "map") {
                "<p><a href=\"/map\">Map</a> of dependencies</p>\n"
            } else {
                ""
            }
        )
    }
}

#[cfg(feature = "map")]
const PATHS: &str = "/metrics, /events, /map, /healthz, /-/ready";
#[cfg(not(feature = "map"))]
const PATHS: &str = "/metrics, /events, /healthz, /-/ready";
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
            "target" => match program.admit(value) {
                Ok(name) => (wanted.target, wanted.is_admitted) = (Some(name), true),
                Err(Refusal::Unknown) => {
                    let words = format!("no router has the name {value}\n");
                    return Err(("404 Not Found", words));
                }
                Err(Refusal::TooMany) => {
                    return Err((UNAVAILABLE, "too many targets are known\n".into()));
                }
            },
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
