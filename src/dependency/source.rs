//! The sources of the dependency map: each asks one thing, at its interval, in a thread of its own,
//! so that one that hangs delays no other.
//!
//! What a source found is pushed through every output. One that fails pushes nothing: what it found
//! before goes when it is too old, and `perijove_dependency` says why.

use std::fs::File;
use std::io::Read;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ureq::Agent;
use ureq::http::header::{ETAG, HeaderMap, LAST_MODIFIED};

use crate::base::clock::now_ns;
use crate::base::http_client::{self, Redirects};
use crate::base::inventory::{Inventory, Label, Shared};
use crate::base::panics;
use crate::base::secret::Secret;
use crate::base::sync::Stop;
use crate::base::sys;
use crate::collector::reader::BATCH_BYTES;
use crate::dependency::inventory::{self, Format};
use crate::dependency::map::Own;
use crate::dependency::own_map::{OwnMap, SocketSettings};
use crate::dependency::sockets;
use crate::dependency::sockets::reading::Addresses;
use crate::dependency::status::{Found, Lack, SourceStatus};
use crate::dependency::traffic::{Bounds, Dialect, Grown, Traffic};
use crate::dependency::{DARKSTAT, EBPF, HOST, INVENTORY, SOCKETS};
use crate::output::{self, Outputs, Patience};
use crate::point::{Batch, Definition, Measurement, Points, Schema, gauge};

/// The settings of the map.
#[derive(Clone, Debug, PartialEq)]
pub struct DependencyConfig {
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
pub struct InventorySettings {
    pub interval: Duration,
    pub from: Origin,
    pub format: Format,
    pub bounds: inventory::Bounds,
    /// Fields of its entries that are kept as labels.
    pub labels: Arc<[Label]>,
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
    /// For the whole answer, and for that of each redirect.
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

/// What a source does.
enum Work {
    Host,
    Sockets(Box<OwnMap>),
    Inventory(Fetch),
    Traffic(Dialect, Agent, ScrapeSettings, Grown),
}

/// One of the things that are asked.
pub struct Source {
    work: Work,
    interval: Duration,
    settings: DependencyConfig,
    inventory: Shared,
    pub status: Arc<SourceStatus>,
}

/// How long the first run waits for the inventory's: the machine's first map has names then.
const INVENTORY_WAIT: Duration = Duration::from_secs(2);

/// The sources that are set, the inventory first. Fails if a file with roots of trust is no good.
pub fn sources(settings: &DependencyConfig, inventory: &Shared) -> Result<Vec<Source>, String> {
    let source = |source, interval, work| Source {
        work,
        interval,
        settings: settings.clone(),
        inventory: inventory.clone(),
        status: Arc::new(SourceStatus::new(source)),
    };
    let mut found = Vec::new();
    if let Some(inventory) = &settings.inventory {
        let work = Work::Inventory(Fetch::new(inventory)?);
        found.push(source(INVENTORY, inventory.interval, work));
    }
    found.push(source(HOST, settings.host_interval, Work::Host));
    if let Some(sockets) = &settings.sockets {
        let work = Work::Sockets(Box::new(OwnMap::new(sockets.clone())));
        found.push(source(SOCKETS, sockets.interval, work));
    }
    let scrapes =
        [(DARKSTAT, Dialect::Darkstat, &settings.darkstat), (EBPF, Dialect::Ebpf, &settings.ebpf)];
    for (name, dialect, scrape) in scrapes {
        if let Some(scrape) = scrape {
            let work =
                Work::Traffic(dialect, scrape.from.agent()?, scrape.clone(), Grown::default());
            found.push(source(name, scrape.interval, work));
        }
    }
    Ok(found)
}

/// Takes points while a run goes on, and leaves the room that they took.
type Full<'a> = &'a mut dyn FnMut(&mut Points);

impl Source {
    /// Whether its thread starts others that enter network namespaces.
    pub fn enters_networks(&self) -> bool {
        matches!(&self.work, Work::Sockets(own_map) if own_map.enters_networks())
    }

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
                self.status.skipped(u64::from(skipped));
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
                let own = own(settings.address, &inventory);
                let host = own.primary.map(|address| inventory.host(address)).unwrap_or_default();
                let address = own.primary.map(|address| address.to_string()).unwrap_or_default();
                let tags = [host.hostgroup, &sys::hostname(), host.domain, &address];
                points.push_labelled(&HOSTNAME, &tags, &inventory.labels(host.labels, ""), &1);
                Ok(Found { items: own.addresses.len() as u64, ..Found::default() })
            }
            Work::Sockets(own_map) => {
                let full = &mut |points: &mut Points| hand_on(points, full);
                let as_gauge = settings.bytes_as_gauge;
                own_map.read(settings.address, as_gauge, &inventory.get(), points, full)
            }
            Work::Traffic(dialect, agent, set, grown) => {
                let inventory = inventory.get();
                let own = own(settings.address, &inventory);
                let answer = set.from.get(agent, &[("accept", "text/plain;version=0.0.4")])?;
                let body = answer.body.ok_or("it answers that nothing has changed")?;
                let traffic = Traffic::read(body, *dialect, &own, set.bounds, grown)
                    .map_err(|why| format!("{}: {why}", http_client::shown(&set.from.url)))?;
                let as_gauge = settings.bytes_as_gauge;
                let full = &mut |points: &mut Points| hand_on(points, full);
                traffic.points(*dialect, as_gauge, &own, &inventory, points, full);
                let is_empty = traffic.is_empty() && traffic.tally.rejected == 0;
                Ok(Found {
                    lacks: if is_empty { vec![dialect.empty()] } else { Vec::new() },
                    items: traffic.len() as u64,
                    rejected: traffic.tally.rejected,
                    first_rejected: traffic.tally.first_rejected,
                    dropped: traffic.dropped,
                    ..Found::default()
                })
            }
        }
    }
}

/// The machine's addresses, and the one that stands for it.
fn own(set: Option<IpAddr>, inventory: &Inventory) -> Own {
    sockets::own(&Addresses::of_this_network(), set, inventory)
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
        http_client::agent(&self.url, self.timeout, &self.ca_file)
    }

    fn get(&self, agent: &Agent, headers: &[(&str, &str)]) -> Result<Answer, String> {
        let failed = |why: String| format!("{}: {why}", http_client::shown(&self.url));
        let authorization = self.authorization.as_ref();
        let (head, body) = http_client::get_redirected(
            agent,
            &self.url,
            headers,
            authorization,
            Redirects::ToAnyServer,
        )
        .map_err(failed)?
        .into_parts();
        let body: Option<Box<dyn Read>> = match head.status.as_u16() {
            200 => Some(Box::new(body.into_reader())),
            304 => None,
            status => return Err(failed(format!("status {status}"))),
        };
        Ok(Answer { headers: head.headers, body })
    }
}

/// What is said of fields that nothing is made of: one of them may be a known one, mistyped.
fn unused(fields: &[String]) -> Option<Lack> {
    let names: Vec<_> = fields.iter().map(|field| format!("`{field}`")).collect();
    let names = names.join(", ");
    let why = format!(
        "its entries have fields that are not used: {names}; [dependency.inventory] labels \
         would keep them"
    );
    (!fields.is_empty()).then(|| Lack { kind: names.into(), why })
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
            lacks: unused(&read.unused_fields).into_iter().collect(),
            ..Found::default()
        };
        inventory.set(read);
        Ok(self.found.clone())
    }

    /// Lines of which there are none may be the rest of a document; an array without an entry says
    /// so.
    fn read(&self, input: impl Read, in_use: &Shared) -> Result<Inventory, String> {
        let InventorySettings { format, bounds, labels, .. } = &self.settings;
        let read = inventory::read_labelled(input, *format, *bounds, labels)?;
        let known = in_use.get().len();
        if read.is_empty() && known > 0 && self.settings.format == Format::NdJson {
            return Err(format!("it has no entry, and the one in use has {known}"));
        }
        Ok(read)
    }
}
