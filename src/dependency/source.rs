//! The sources of the dependency map: each asks one thing, at its interval, in a thread of its own,
//! so that one that hangs delays no other.
//!
//! What a source found is pushed through every output. One that fails pushes nothing: what it found
//! before goes when it is too old, and `perijove_dependency` says why.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use ureq::Agent;
use ureq::http::header::{ETAG, HeaderMap, LAST_MODIFIED};

use crate::base::clock::now_ns;
use crate::base::http_client;
use crate::base::inventory::{Inventory, Shared};
use crate::base::panics;
use crate::base::prefix::Prefix;
use crate::base::secret::Secret;
use crate::base::sync::{Stop, lock};
use crate::base::sys;
use crate::collector::reader::BATCH_BYTES;
use crate::dependency::inventory::{self, Format};
use crate::dependency::map::{self, Rules};
use crate::dependency::sockets::{self, Sockets};
use crate::dependency::traffic::{Bounds, Dialect, Traffic};
use crate::dependency::{DARKSTAT, EBPF, HOST, INVENTORY, SOCKETS};
use crate::output::{self, Outputs, Patience};
use crate::point::{Batch, Definition, Measurement, Points, Schema, gauge};

/// The settings of the map.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The machine's name in every point.
    pub name: String,
    /// The address that stands for it, where it is not left to its interfaces and the inventory.
    pub address: Option<IpAddr>,
    /// Whether byte counters are gauges, as in planet-exporter.
    pub bytes_as_gauge: bool,
    pub host_interval: Duration,
    pub sockets: Option<SocketSettings>,
    pub inventory: Option<InventorySettings>,
    pub darkstat: Option<ScrapeSettings>,
    pub ebpf: Option<ScrapeSettings>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct SocketSettings {
    pub interval: Duration,
    pub udp: bool,
    pub loopback: bool,
    pub ignore: Vec<Prefix>,
    pub rows_max: usize,
    pub proc: PathBuf,
}

#[derive(Clone, Debug, PartialEq)]
pub struct InventorySettings {
    pub interval: Duration,
    pub from: Origin,
    pub format: Format,
    pub bounds: inventory::Bounds,
    /// Whether collectors' points of a peer get its domain and hostgroup.
    pub enrich: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeSettings {
    pub interval: Duration,
    pub from: Http,
    pub bounds: Bounds,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    Http(Http),
    File(PathBuf),
}

/// How something is asked for over HTTP.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    pub url: String,
    /// For the whole answer.
    pub timeout: Duration,
    /// The `Authorization` header, if there is one.
    pub authorization: Option<Secret>,
    pub ca_file: Option<PathBuf>,
}

static HOSTNAME: Measurement<u64> = Measurement::new(|| Definition {
    name: "planet_hostname",
    help: "Hostname of the collected machine",
    tags: &["local_hostgroup", "hostname", "domain", "ip"],
    fields: vec![gauge("value", "", "Hostname of the collected machine", |v| Some(*v))],
});

pub const MEASUREMENTS: &[&dyn Schema] = &[&HOSTNAME];

/// What one run found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Sockets, entries or peers.
    pub items: u64,
    /// Items that did not fit, and the first of them.
    pub rejected: u64,
    pub first_rejected: Option<String>,
    /// Rows beyond a limit.
    pub dropped: u64,
}

/// What is known of a source; its thread writes, the daemon reads.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub runs: u64,
    pub failed_runs: u64,
    pub skipped_ticks: u64,
    pub duration: Duration,
    pub last_success: Option<Instant>,
    /// Why the last run failed.
    pub failure: Option<String>,
    pub found: Found,
    said_rejected: Said,
    said_dropped: Said,
}

/// A number that keeps changing is logged at most once in this time.
const SAID_FOR: Duration = Duration::from_secs(600);

/// A number that was logged, and when.
#[derive(Clone, Debug, Default)]
struct Said(Option<(u64, Instant)>);

impl Said {
    /// Whether to log this one now.
    fn is_news(&mut self, number: u64, now: Instant) -> bool {
        let is_said = |(said, at)| said == number || now.duration_since(at) < SAID_FOR;
        let is_news = number > 0 && !self.0.is_some_and(is_said);
        if is_news {
            self.0 = Some((number, now));
        }
        is_news
    }
}

pub struct Status {
    pub source: &'static str,
    state: Mutex<State>,
}

impl Status {
    pub fn state(&self) -> State {
        lock(&self.state).clone()
    }

    /// Counts a run, and logs what is new about it.
    fn ran(&self, result: Result<Found, String>, duration: Duration) {
        let (name, now) = (self.source, Instant::now());
        let mut state = lock(&self.state);
        state.runs += 1;
        state.duration = duration;
        match result {
            Ok(found) => {
                if state.failure.take().is_some() {
                    log::info!("{name}: works again");
                }
                if state.said_rejected.is_news(found.rejected, now) {
                    let first = found.first_rejected.as_deref().unwrap_or_default();
                    log::warn!("{name}: left out {} that do not fit: {first}", found.rejected);
                }
                if state.said_dropped.is_news(found.dropped, now) {
                    log::warn!("{name}: {} rows are beyond the limit", found.dropped);
                }
                state.found = found;
                state.last_success = Some(now);
            }
            Err(why) => {
                if state.failure.as_ref() != Some(&why) {
                    log::warn!("{name}: {why}");
                }
                state.failed_runs += 1;
                state.failure = Some(why);
            }
        }
    }
}

/// What a source does.
enum Work {
    Host,
    Sockets(Box<Sockets>, SocketSettings),
    Inventory(Fetch),
    Traffic(Dialect, Agent, ScrapeSettings),
}

/// One of the things that are asked.
pub struct Source {
    work: Work,
    interval: Duration,
    settings: Settings,
    inventory: Shared,
    pub status: Arc<Status>,
}

/// How long the first run waits for the inventory's: the machine's first map has names then.
const INVENTORY_WAIT: Duration = Duration::from_secs(2);

/// The sources that are set, the inventory first. Fails if a file with roots of trust is no good.
pub fn sources(settings: &Settings, inventory: &Shared) -> Result<Vec<Source>, String> {
    let source = |source, interval, work| Source {
        work,
        interval,
        settings: settings.clone(),
        inventory: inventory.clone(),
        status: Arc::new(Status { source, state: Mutex::default() }),
    };
    let mut found = Vec::new();
    if let Some(inventory) = &settings.inventory {
        let work = Work::Inventory(Fetch::new(inventory)?);
        found.push(source(INVENTORY, inventory.interval, work));
    }
    found.push(source(HOST, settings.host_interval, Work::Host));
    if let Some(sockets) = &settings.sockets {
        let kernel = Sockets::new(sockets.proc.clone());
        let work = Work::Sockets(Box::new(kernel), sockets.clone());
        found.push(source(SOCKETS, sockets.interval, work));
    }
    let scrapes =
        [(DARKSTAT, Dialect::Darkstat, &settings.darkstat), (EBPF, Dialect::Ebpf, &settings.ebpf)];
    for (name, dialect, scrape) in scrapes {
        if let Some(scrape) = scrape {
            let work = Work::Traffic(dialect, scrape.from.agent()?, scrape.clone());
            found.push(source(name, scrape.interval, work));
        }
    }
    Ok(found)
}

/// Takes points while a run goes on, and leaves the room that they took.
type Full<'a> = &'a mut dyn FnMut(&mut Points);

impl Source {
    /// Runs at its interval until `stop`.
    pub fn run(&mut self, outputs: &Outputs, stop: &Stop) {
        let is_inventory = matches!(self.work, Work::Inventory(_));
        if !is_inventory && self.settings.inventory.is_some() {
            self.inventory.wait_tried(INVENTORY_WAIT);
        }
        let mut due = Instant::now();
        let mut scratch = Vec::new();
        loop {
            let outputs = outputs.hold();
            let mut patience = Patience::new(&outputs, self.interval, self.interval);
            let mut emit =
                |batch: &Batch| output::push(&outputs, batch, &mut scratch, &mut patience);
            let failed = match panics::caught(|| self.run_once(&mut emit)) {
                Ok(found) => found.is_err(),
                Err(why) => {
                    self.status.ran(Err(why), Duration::ZERO);
                    true
                }
            };
            if !is_inventory {
                let (node, name) = (&self.settings.name, self.status.source);
                output::end(&outputs, node, name, self.interval, failed);
            }
            drop(outputs);
            due += self.interval;
            let late = Instant::now().saturating_duration_since(due);
            if !late.is_zero() {
                // Ticks that passed meanwhile are skipped.
                let skipped = (late.as_nanos() / self.interval.as_nanos()) as u32 + 1;
                due += self.interval * skipped;
                lock(&self.status.state).skipped_ticks += u64::from(skipped);
            }
            if stop.wait(due.saturating_duration_since(Instant::now())) {
                return;
            }
        }
    }

    /// Asks once; `emit` gets the points in batches.
    pub fn run_once(&mut self, emit: &mut dyn FnMut(&Batch)) -> Result<Found, String> {
        let start = Instant::now();
        let time_ns = now_ns();
        let (node, collector) = (self.settings.name.clone(), self.status.source);
        let mut points = Points::default();
        let mut full = |points: &mut Points| {
            emit(&Batch { node: &node, collector, time_ns, points });
            points.clear();
        };
        let result = self.collect(&mut points, &mut full);
        if !points.is_empty() {
            full(&mut points);
        }
        self.status.ran(result.clone(), start.elapsed());
        result
    }

    fn collect(&mut self, points: &mut Points, full: Full) -> Result<Found, String> {
        let Source { settings, inventory, .. } = self;
        match &mut self.work {
            Work::Inventory(fetch) => {
                let fetched = fetch.fetch(inventory);
                inventory.tried();
                fetched
            }
            Work::Host => {
                let inventory = inventory.get();
                let own = sockets::own(settings.address, &inventory);
                let host = own.primary.map(|address| inventory.host(address)).unwrap_or_default();
                let address = own.primary.map(|address| address.to_string()).unwrap_or_default();
                let tags = [host.hostgroup, &sys::hostname(), host.domain, &address];
                points.push(&HOSTNAME, &tags, &1);
                Ok(Found { items: own.addresses.len() as u64, ..Found::default() })
            }
            Work::Sockets(kernel, set) => {
                let sockets = kernel.read(set.udp)?;
                let inventory = inventory.get();
                let rules = Rules {
                    inventory: &inventory,
                    own: &sockets::own(settings.address, &inventory),
                    udp: set.udp,
                    loopback: set.loopback,
                    ignore: &set.ignore,
                    ephemeral: kernel.ephemeral(),
                    rows_max: set.rows_max,
                };
                let found = map::map(&sockets, &rules);
                found.points(points, &mut |points| hand_on(points, full));
                let (items, dropped) = (sockets.len() as u64, found.dropped);
                Ok(Found { items, dropped, ..Found::default() })
            }
            Work::Traffic(dialect, agent, set) => {
                let inventory = inventory.get();
                let own = sockets::own(settings.address, &inventory);
                let answer = set.from.get(agent, &[("accept", "text/plain;version=0.0.4")])?;
                let body = answer.body.ok_or("it answers that nothing has changed")?;
                let traffic = Traffic::read(body, *dialect, &own, set.bounds)
                    .map_err(|why| format!("{}: {why}", http_client::shown(&set.from.url)))?;
                let as_gauge = settings.bytes_as_gauge;
                let full = &mut |points: &mut Points| hand_on(points, full);
                traffic.points(*dialect, as_gauge, &own, &inventory, points, full);
                Ok(Found {
                    items: traffic.len() as u64,
                    rejected: traffic.tally.rejected,
                    first_rejected: traffic.tally.first_rejected,
                    dropped: traffic.dropped,
                })
            }
        }
    }
}

/// Emits the points once they make a batch.
fn hand_on(points: &mut Points, full: &mut dyn FnMut(&mut Points)) {
    if points.bytes() >= BATCH_BYTES {
        full(points);
    }
}

/// An answer: nothing in it where nothing has changed.
struct Answer {
    headers: HeaderMap,
    body: Option<Box<dyn Read>>,
}

impl Http {
    fn agent(&self) -> Result<Agent, String> {
        http_client::agent(self.timeout, self.ca_file.as_deref())
    }

    fn get(&self, agent: &Agent, headers: &[(&str, &str)]) -> Result<Answer, String> {
        let mut request = agent.get(&self.url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization.expose());
        }
        let failed = |why: &str| format!("{}: {why}", http_client::shown(&self.url));
        let answer = request.call().map_err(|err| failed(&http_client::describe(&err)))?;
        let headers = answer.headers().clone();
        match answer.status().as_u16() {
            200 => Ok(Answer { headers, body: Some(Box::new(answer.into_body().into_reader())) }),
            304 => Ok(Answer { headers, body: None }),
            status @ 300..400 => {
                let to = headers.get("location").and_then(|to| to.to_str().ok());
                let to = to.unwrap_or("nowhere");
                Err(failed(&format!("status {status} to {to}: redirects are not followed")))
            }
            status => Err(failed(&format!("status {status}"))),
        }
    }
}

/// Gets the inventory, if it has changed.
struct Fetch {
    settings: InventorySettings,
    agent: Option<Agent>,
    /// What the server said of the one in use: to ask for another only.
    known: Vec<(&'static str, String)>,
    /// When the file in use was written, and its length.
    file: Option<(SystemTime, u64)>,
    /// What it held.
    found: Found,
}

impl Fetch {
    fn new(settings: &InventorySettings) -> Result<Fetch, String> {
        let agent = match &settings.from {
            Origin::Http(http) => Some(http.agent()?),
            Origin::File(_) => None,
        };
        let (settings, found) = (settings.clone(), Found::default());
        Ok(Fetch { settings, agent, known: Vec::new(), file: None, found })
    }

    fn fetch(&mut self, inventory: &Shared) -> Result<Found, String> {
        let (from, read) = match (&self.settings.from, &self.agent) {
            (Origin::Http(http), Some(agent)) => {
                let known: Vec<(&str, &str)> =
                    self.known.iter().map(|(name, value)| (*name, &**value)).collect();
                let Answer { headers, body } = http.get(agent, &known)?;
                let Some(body) = body else { return Ok(self.found.clone()) };
                let read = self.read(body, inventory);
                let known = [("if-none-match", ETAG), ("if-modified-since", LAST_MODIFIED)];
                let said = |name| headers.get(name).and_then(|value| value.to_str().ok());
                let known = known
                    .into_iter()
                    .filter_map(|(ask, told)| Some((ask, said(told)?.to_string())));
                let known: Vec<_> = known.collect();
                if read.is_ok() {
                    self.known = known;
                }
                (http_client::shown(&http.url).to_string(), read)
            }
            (Origin::File(path), _) => {
                let shown = path.display().to_string();
                let failed = |err| format!("cannot read {shown}: {err}");
                let file = File::open(path).map_err(failed)?;
                let data = file.metadata().map_err(failed)?;
                let written = data.modified().ok().map(|time| (time, data.len()));
                if written.is_some() && self.file == written {
                    return Ok(self.found.clone());
                }
                let read = self.read(file, inventory);
                self.file = written.filter(|_| read.is_ok());
                (shown, read)
            }
            (Origin::Http(_), None) => return Err("it has no client".into()),
        };
        let mut read = read.map_err(|why| format!("{from}: {why}"))?;
        self.found = Found {
            items: read.len() as u64,
            rejected: read.rejected,
            first_rejected: read.first_rejected.take(),
            dropped: 0,
        };
        inventory.set(read);
        Ok(self.found.clone())
    }

    /// Lines of which there are none may be the rest of a document; an array without an entry says
    /// so.
    fn read(&self, input: impl Read, in_use: &Shared) -> Result<Inventory, String> {
        let read = inventory::read(input, self.settings.format, self.settings.bounds)?;
        let known = in_use.get().len();
        if read.is_empty() && known > 0 && self.settings.format == Format::NdJson {
            return Err(format!("it has no entry, and the one in use has {known}"));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_goes_up_and_down_is_not_logged_each_time() {
        let (mut said, start) = (Said::default(), Instant::now());
        let news: Vec<u64> = (0..1000)
            .filter(|second| {
                let number = [3, 0, 4, 3][*second as usize % 4];
                said.is_news(number, start + Duration::from_secs(*second))
            })
            .collect();
        // The first, and the next other one after ten minutes.
        assert_eq!(news, [0, 602]);
    }
}
