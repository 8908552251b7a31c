//! The running program: a thread for each router and each output, and one that waits for signals.

pub mod log_to;
pub mod own_metrics;

use std::fs::File;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::base::clock::now_ns;
use crate::base::inventory::{Inventory, Shared};
use crate::base::sync::{Stop, lock};
use crate::base::{lock_file, sys};
use crate::bigquery;
use crate::bigquery::load::{Loader, Options};
use crate::config::{self, Config, Format, OutputKind};
use crate::dependency;
use crate::dependency::source::{self, Status};
use crate::federate;
use crate::federate::feed::Feed;
use crate::federate::status::FederateStatus;
use crate::netconf::local;
use crate::output::influxdb::Influxdb;
use crate::output::kafka::{self, Kafka};
use crate::output::latest::Latest;
use crate::output::line_protocol::LineProtocol;
use crate::output::queue::{Bounds, Queue};
use crate::output::remote_write::{self, RemoteWrite};
use crate::output::{self, Encode, Output, Sink, json, stdout};
use crate::point::{Batch, Points};
use crate::poll::registry;
use crate::poll::router::Router;
use crate::poll::schedule;
use crate::poll::status::RouterStatus;
use crate::poll::{Ask, RouterPoller};
use crate::serve::prometheus::{Mode, Prometheus};
use crate::serve::{Program, Wanted};

/// What the main thread waits for.
enum Event {
    Terminate,
    Reload,
    /// An output has nobody to write for.
    Gone,
    /// What was to be done once is done.
    Ended(Result<(), String>),
}

/// Stacks are small, for there may be hundreds of routers; replies nest 128 deep at most.
const STACK_BYTES: usize = 512 << 10;

struct RunningRouter {
    config: Router,
    status: Arc<RouterStatus>,
    /// Dropping all copies of it tells the thread to end.
    asks: Sender<Ask>,
    done: Done,
}

/// A source of the machine's dependency map.
struct RunningSource {
    status: Arc<Status>,
    stop: Stop,
    done: Done,
}

struct RunningFederation {
    config: federate::Settings,
    status: Arc<FederateStatus>,
    stop: Stop,
    done: Done,
}

struct RunningOutput {
    config: config::Output,
    output: Arc<Output>,
    kafka: Option<KafkaStatistics>,
    /// Of the thread that writes.
    done: Option<Done>,
    /// Ends when it is dropped.
    listener: Option<Box<Prometheus>>,
}

type KafkaStatistics = Arc<Mutex<kafka::Statistics>>;

/// Is closed by a thread that ends.
type Done = Receiver<()>;

/// Polls until a signal says to stop. `reload` reads the settings again.
pub fn run(
    config: Config,
    hangups: Hangups,
    reload: &dyn Fn() -> Result<Config, String>,
) -> Result<(), String> {
    // Before any thread is started, which inherits it.
    set_nice(config.nice);
    let _lock = lock_state(&config)?;
    let (events, wait) = mpsc::channel();
    watch_signals(hangups, events.clone())?;
    let mut daemon = Daemon::new(config, events);
    daemon.start_outputs()?;
    daemon.start_machine()?;
    daemon.start_sources()?;
    daemon.serve(&wait, reload);
    daemon.stop();
    Ok(())
}

/// Writes the windows of federation that are due, and ends.
pub fn federate_once(config: Config, hangups: Hangups) -> Result<(), String> {
    let _lock = lock_state(&config)?;
    let Some(settings) = config.federate.clone() else { return Ok(()) };
    let (events, wait) = mpsc::channel();
    watch_signals(hangups, events.clone())?;
    let patience = config.drain_timeout;
    let mut daemon = Daemon::new(config, events);
    daemon.start_outputs()?;
    let outputs = daemon.outputs.iter().map(|running| running.output.clone()).collect();
    let status = Arc::new(FederateStatus::default());
    let feed = Feed::new(&settings, outputs, status)?;
    let (stop, ended) = (Stop::default(), daemon.events.clone());
    let stopped = stop.clone();
    spawn("federate", move || {
        let _ = ended.send(Event::Ended(feed.run_once(patience, &stopped)));
    })?;
    let result = loop {
        match wait.recv() {
            Ok(Event::Ended(result)) => break result,
            Ok(Event::Reload) => {}
            Ok(Event::Terminate | Event::Gone) | Err(_) => stop.set(),
        }
    };
    daemon.stop();
    result
}

/// Loads into BigQuery what is due until a signal says to stop.
pub fn bigquery(
    settings: bigquery::Settings,
    options: Options,
    hangups: Hangups,
    reload: &dyn Fn() -> Result<bigquery::Settings, String>,
) -> Result<(), String> {
    let stop = Stop::default();
    let mut loader = Loader::new(&settings, options, &stop)?;
    let (events, wait) = mpsc::channel();
    watch_signals(hangups, events)?;
    let (change, changed) = mpsc::channel();
    let load = move || loop {
        match changed.recv_timeout(loader.due()) {
            Ok(new) => loader = new,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    };
    spawn("bigquery", load)?;
    while let Ok(Event::Reload) = wait.recv() {
        match reload().and_then(|settings| Loader::new(&settings, options, &stop)) {
            Ok(loader) => _ = change.send(loader),
            Err(why) => log::error!("the old settings stay in use: {why}"),
        }
    }
    // A load that is under way at the end is not noted, and done again by the next run.
    stop.set();
    Ok(())
}

/// Federation may run beside the one that polls: what it keeps there has other names.
fn lock_state(config: &Config) -> Result<Option<File>, String> {
    let name = if config.federate.is_some() { "federate.lock" } else { "lock" };
    lock_file::hold(&config.state_directory, name)
}

fn set_nice(nice: i32) {
    if let Err(err) = sys::set_nice(nice) {
        log::warn!("cannot set nice = {nice}: {err}");
    }
}

/// Requests to read the settings again. One that comes before the program can follow it waits until
/// then, and does not end the program.
pub struct Hangups(Signals);

impl Hangups {
    /// To be called before anything else is done.
    pub fn hold() -> Result<Hangups, String> {
        Signals::new([SIGHUP]).map(Hangups).map_err(cannot_watch)
    }
}

fn cannot_watch(err: std::io::Error) -> String {
    format!("cannot wait for signals: {err}")
}

/// A second signal to stop ends the program at once.
fn watch_signals(Hangups(mut signals): Hangups, events: Sender<Event>) -> Result<(), String> {
    for signal in [SIGTERM, SIGINT] {
        signals.add_signal(signal).map_err(cannot_watch)?;
    }
    let watch = move || {
        let mut stopping = false;
        for signal in signals.forever() {
            let event = if signal == SIGHUP { Event::Reload } else { Event::Terminate };
            if signal != SIGHUP && std::mem::replace(&mut stopping, true) {
                local::end_all();
                std::process::exit(1);
            }
            if events.send(event).is_err() {
                return;
            }
        }
    };
    spawn("signals", watch).map(|_| ())
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<Done, String> {
    let (alive, done) = mpsc::channel();
    let thread = thread::Builder::new().name(name.into()).stack_size(STACK_BYTES);
    let run = move || {
        let _alive: Sender<()> = alive;
        run();
    };
    thread.spawn(run).map_err(|err| format!("cannot start a thread: {err}"))?;
    Ok(done)
}

/// What an output is made of.
pub struct Parts {
    encode: Encode,
    bounds: Bounds,
    end: End,
    /// What it has to tell of itself besides what all outputs do.
    kafka: Option<KafkaStatistics>,
    latest: Option<Arc<Latest>>,
}

/// Where an output's points end.
enum End {
    /// Records are written there, by a thread.
    Sink(Box<dyn Sink>),
    /// Points are kept for those who ask.
    Listener(Box<Prometheus>),
}

impl Parts {
    /// Whether it could work now: for `check`.
    pub fn check(&mut self) -> Result<String, String> {
        match &mut self.end {
            End::Sink(sink) => sink.check(),
            End::Listener(listener) => listener.check(),
        }
    }
}

/// How an output encodes, and what it writes to.
pub fn make_output(config: &config::Output) -> Result<Parts, String> {
    let encode = |format: &Format| -> Encode {
        match format {
            Format::Line => {
                let codec = LineProtocol::default();
                Box::new(move |batch, out| codec.encode(batch, out))
            }
            Format::Json => Box::new(|batch, out| {
                json::encode(batch, out);
                0
            }),
        }
    };
    let mut bounds = Bounds {
        chunk_points_max: 5000,
        chunk_bytes_max: 256 << 10,
        queue_bytes_max: config.queue_bytes_max,
        flush_interval: Duration::ZERO,
    };
    let (mut kafka, mut latest) = (None, None);
    let (encode, end): (Encode, End) = match &config.kind {
        OutputKind::Stdout { format } => (encode(format), End::Sink(Box::new(stdout::Stdout))),
        OutputKind::File { path, format } => {
            (encode(format), End::Sink(Box::new(stdout::File { path: path.clone() })))
        }
        OutputKind::Influxdb(settings) => {
            bounds.chunk_points_max = settings.batch_points_max;
            bounds.chunk_bytes_max = settings.batch_bytes_max;
            bounds.flush_interval = settings.flush_interval;
            let codec = settings.line_protocol();
            let encode: Encode = match settings.layout {
                None => Box::new(move |batch, out| codec.encode(batch, out)),
                Some(_) => Box::new(move |batch, out| codec.encode_layout(batch, out)),
            };
            (encode, End::Sink(Box::new(Influxdb::new(settings)?)))
        }
        OutputKind::Kafka(settings) => {
            let sink = Kafka::new(settings)?;
            kafka = Some(sink.statistics());
            let settings = settings.clone();
            let encode: Encode = Box::new(move |batch, out| settings.encode(batch, out));
            (encode, End::Sink(Box::new(sink)))
        }
        OutputKind::Prometheus(settings) => {
            let listener = Prometheus::new(settings)?;
            latest = Some(listener.latest());
            // It keeps points: nothing is encoded before somebody asks.
            (Box::new(|_, _| 0), End::Listener(Box::new(listener)))
        }
        OutputKind::RemoteWrite(settings) => {
            bounds.chunk_points_max = settings.batch_points_max;
            bounds.chunk_bytes_max = settings.batch_bytes_max;
            bounds.flush_interval = settings.flush_interval;
            let encode: Encode = Box::new(|batch, out| {
                remote_write::encode(batch, out);
                0
            });
            (encode, End::Sink(Box::new(RemoteWrite::new(settings)?)))
        }
    };
    Ok(Parts { encode, bounds, end, kafka, latest })
}

struct Daemon {
    config: Config,
    events: Sender<Event>,
    /// What is known of addresses.
    inventory: Shared,
    routers: Vec<RunningRouter>,
    sources: Vec<RunningSource>,
    federation: Option<RunningFederation>,
    outputs: Vec<RunningOutput>,
    /// The same, for those who ask.
    running: Arc<Mutex<Running>>,
}

/// What runs.
#[derive(Default)]
struct Running {
    routers: Vec<(Arc<RouterStatus>, Sender<Ask>)>,
    /// The machine's name in its dependency map, if there is one.
    machine: Option<String>,
    sources: Vec<Arc<Status>>,
    federation: Option<Arc<FederateStatus>>,
    outputs: Vec<(Arc<Output>, Option<KafkaStatistics>)>,
}

impl Running {
    /// What perijove knows of itself: of each router that is wanted, and of itself in the end.
    fn own(&self, wanted: &Wanted, for_prometheus: bool) -> Vec<(String, u64, Points)> {
        let time_ns = now_ns();
        let mut own = Vec::new();
        for (status, _) in &self.routers {
            if !wanted.has_target(status.name()) {
                continue;
            }
            let mut points = Points::default();
            if for_prometheus {
                status.exporter_points(wanted, &mut points);
            }
            if wanted.collectors.is_empty() {
                status.points(&mut points);
            }
            own.push((status.name().to_string(), time_ns, points));
        }
        if wanted.is_all() {
            let node = match (&self.routers[..], &self.machine) {
                ([(only, _)], _) => only.name().to_string(),
                (_, Some(machine)) => machine.clone(),
                _ => sys::hostname(),
            };
            own.push((node, time_ns, self.own_outputs()));
        }
        own
    }

    fn own_outputs(&self) -> Points {
        let mut points = Points::default();
        for status in &self.sources {
            own_metrics::source_points(status, &mut points);
        }
        if let Some(federation) = &self.federation {
            federation.points(&mut points);
        }
        for (output, kafka) in &self.outputs {
            own_metrics::output_points(output, &mut points);
            if let Some(statistics) = kafka {
                own_metrics::kafka_points(&lock(statistics), &mut points);
            }
            if let Some(latest) = &output.latest {
                own_metrics::prometheus_points(latest, &mut points);
            }
        }
        own_metrics::process_points(&mut points);
        points
    }
}

impl Program for Mutex<Running> {
    fn targets(&self) -> Vec<String> {
        let running = lock(self);
        let routers = running.routers.iter().map(|(status, _)| status.name().to_string());
        routers.chain(running.machine.clone()).collect()
    }

    fn own(&self, wanted: &Wanted) -> Vec<(String, u64, Points)> {
        lock(self).own(wanted, true)
    }

    fn knows(&self, collector: &str) -> bool {
        registry::find(collector).is_some() || dependency::SOURCES.contains(&collector)
    }

    fn is_ready(&self) -> bool {
        let running = lock(self);
        // There is always an output: without one, not everything has been started yet.
        !running.outputs.is_empty()
            && running.routers.iter().all(|(status, _)| status.is_polled())
            && running.sources.iter().all(|status| status.state().runs > 0)
            && running.federation.as_ref().is_none_or(|status| status.is_tried())
    }

    fn poll(&self, wanted: &Wanted, age_min: Duration, until: Instant) {
        let (done, all_done) = mpsc::channel();
        let made = Instant::now();
        for (status, asks) in &lock(self).routers {
            if wanted.has_target(status.name()) {
                let (wanted, done) = (wanted.clone(), done.clone());
                // A router that is being stopped has nobody to take it.
                let _ = asks.send(Ask { wanted, made, age_min, until, done });
            }
        }
        drop(done);
        let _ = all_done.recv_timeout(until.saturating_duration_since(made));
    }
}

impl Daemon {
    fn new(config: Config, events: Sender<Event>) -> Daemon {
        let (routers, sources, federation, outputs) = (Vec::new(), Vec::new(), None, Vec::new());
        let (inventory, running) = (Shared::default(), Arc::default());
        Daemon { config, events, inventory, routers, sources, federation, outputs, running }
    }

    /// Shows what runs to those who ask.
    fn share(&self) {
        let routers = self.routers.iter();
        let outputs = self.outputs.iter();
        let machine = self.config.dependency.as_ref().map(|settings| settings.name.clone());
        *lock(&self.running) = Running {
            machine,
            sources: self.sources.iter().map(|source| source.status.clone()).collect(),
            routers: routers.map(|r| (r.status.clone(), r.asks.clone())).collect(),
            federation: self.federation.as_ref().map(|running| running.status.clone()),
            outputs: outputs.map(|o| (o.output.clone(), o.kafka.clone())).collect(),
        };
    }

    /// Whether routers are polled only when somebody asks.
    fn waits_for_scrapes(&self) -> bool {
        let is_scrape = |output: &config::Output| match &output.kind {
            OutputKind::Prometheus(settings) => settings.mode == Mode::Scrape,
            _ => false,
        };
        self.config.outputs.iter().any(is_scrape)
    }

    /// Starts the outputs of the settings that do not run yet.
    fn start_outputs(&mut self) -> Result<(), String> {
        for config in &self.config.outputs {
            if self.outputs.iter().any(|running| running.config == *config) {
                continue;
            }
            let name = config.name();
            let Parts { encode, bounds, end, kafka, latest } = make_output(config)?;
            let queue = Queue::new(name, bounds, config.spool.as_ref());
            let output = Arc::new(Output::new(name, encode, queue, latest));
            let (done, listener) = match end {
                End::Listener(mut listener) => {
                    let program: Arc<dyn Program> = self.running.clone();
                    listener.start(&program)?;
                    (None, Some(listener))
                }
                End::Sink(sink) => {
                    let (theirs, events) = (output.clone(), self.events.clone());
                    let write = move || {
                        if !output::write_all(&theirs, sink) {
                            let _ = events.send(Event::Gone);
                        }
                    };
                    (Some(spawn(output.name, write)?), None)
                }
            };
            let config = config.clone();
            self.outputs.push(RunningOutput { config, output, kafka, done, listener });
        }
        Ok(())
    }

    /// Starts the sources of the machine's dependency map, unless they run.
    fn start_machine(&mut self) -> Result<(), String> {
        let Some(settings) = self.config.dependency.as_ref().filter(|_| self.sources.is_empty())
        else {
            return Ok(());
        };
        if settings.inventory.is_none() {
            self.inventory.set(Inventory::default());
        }
        let outputs: Vec<_> = self.outputs.iter().map(|running| running.output.clone()).collect();
        for source in source::sources(settings, &self.inventory)? {
            let stop = Stop::default();
            let (status, outputs, stopped) = (source.status.clone(), outputs.clone(), stop.clone());
            let done = spawn(status.source, move || source.run(&outputs, &stopped))?;
            self.sources.push(RunningSource { status, stop, done });
        }
        Ok(())
    }

    /// Starts the routers, and the federation, of the settings that do not run yet.
    fn start_sources(&mut self) -> Result<(), String> {
        let outputs: Vec<_> = self.outputs.iter().map(|running| running.output.clone()).collect();
        if let (Some(config), None) = (&self.config.federate, &self.federation) {
            let status = FederateStatus::new(config.jobs.iter().map(|job| job.name()));
            let status = Arc::new(status);
            let feed = Feed::new(config, outputs.clone(), status.clone())?;
            let stop = Stop::default();
            let stopped = stop.clone();
            let patience = self.config.drain_timeout / 2;
            let done = spawn("federate", move || feed.run(&stopped, patience))?;
            self.federation =
                Some(RunningFederation { config: config.clone(), status, stop, done });
        }
        let runs = |config: &Router| self.routers.iter().any(|running| running.config == *config);
        let starting: Vec<Router> =
            self.config.routers.iter().filter(|config| !runs(config)).cloned().collect();
        let collectors = starting.iter().map(|config| config.collectors.len()).sum();
        for config in &starting {
            let (asks, asked) = mpsc::channel();
            let status = Arc::new(RouterStatus::new(config));
            let poller = RouterPoller::new(config, status.clone(), &self.inventory);
            let outputs = outputs.clone();
            let waits = self.waits_for_scrapes();
            let first_within = schedule::first_within(collectors);
            let run = move || match waits {
                true => poller.run_when_asked(&outputs, &asked),
                false => poller.run(&outputs, &asked, first_within),
            };
            let done = spawn("router", run)?;
            let config = config.clone();
            self.routers.push(RunningRouter { config, status, asks, done });
        }
        self.share();
        Ok(())
    }

    /// Waits for events, and reports on itself in between.
    fn serve(&mut self, wait: &Receiver<Event>, reload: &dyn Fn() -> Result<Config, String>) {
        let mut report_at = Instant::now() + self.config.self_interval;
        let mut sync_at = self.sync_interval().map(|interval| Instant::now() + interval);
        let mut scratch = Vec::new();
        loop {
            let next = sync_at.map_or(report_at, |sync_at| sync_at.min(report_at));
            match wait.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Event::Terminate | Event::Gone | Event::Ended(_))
                | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Event::Reload) => match reload().and_then(|config| self.change(config)) {
                    Ok(()) => log::info!("the settings were read again"),
                    Err(why) => log::error!("the old settings stay in use: {why}"),
                },
                Err(RecvTimeoutError::Timeout) => {
                    let now = Instant::now();
                    if now >= report_at {
                        self.report(&mut scratch);
                        report_at = now + self.config.self_interval;
                    }
                    if sync_at.is_some_and(|sync_at| now >= sync_at) {
                        self.outputs.iter().for_each(|running| running.output.queue.sync());
                        sync_at = self.sync_interval().map(|interval| now + interval);
                    }
                }
            }
        }
    }

    fn sync_interval(&self) -> Option<Duration> {
        let spools = self.config.outputs.iter().filter_map(|output| output.spool.as_ref());
        spools.map(|spool| spool.sync_interval).min()
    }

    /// Goes over to other settings, or stays with those that there are.
    fn change(&mut self, config: Config) -> Result<(), String> {
        for output in &config.outputs {
            // Those that cannot start leave everything as it was.
            let mut parts = make_output(output)?;
            if self.listens_elsewhere(output) {
                parts.check()?;
            }
        }
        if let Some(settings) = &config.dependency {
            source::sources(settings, &Shared::default())?;
        }
        let before = self.config.clone();
        self.go_over(config).inspect_err(|_| {
            if let Err(why) = self.go_over(before.clone()) {
                log::error!("the old settings cannot be gone back to either, perijove ends: {why}");
                let _ = self.events.send(Event::Terminate);
            }
        })?;
        if (&self.config.state_directory, self.config.destination)
            != (&before.state_directory, before.destination)
        {
            log::warn!("another state_directory or [log] destination needs a restart");
        }
        log_to::set_level(self.config.level);
        if self.config.nice != before.nice {
            set_nice(self.config.nice);
        }
        Ok(())
    }

    /// Whether that output serves at a port that perijove does not have yet.
    fn listens_elsewhere(&self, output: &config::Output) -> bool {
        let port = |output: &config::Output| match &output.kind {
            OutputKind::Prometheus(settings) => {
                settings.listen.rsplit_once(':').map(|(_, port)| port.to_string())
            }
            _ => None,
        };
        let running = || self.outputs.iter().filter_map(|running| port(&running.config));
        port(output).is_some_and(|wanted| running().all(|port| port != wanted))
    }

    /// What other settings do not change goes on as it is.
    fn go_over(&mut self, config: Config) -> Result<(), String> {
        for running in &mut self.outputs {
            let other_sink = |new: &&config::Output| running.config.differs_in_sink(new);
            if let Some(new) = config.outputs.iter().find(other_sink) {
                let Parts { end, kafka, .. } = make_output(new)?;
                if let End::Sink(sink) = end {
                    running.output.replace_sink(sink);
                }
                running.kafka = kafka;
                running.config = new.clone();
            }
        }
        let drain = self.config.drain_timeout;
        let machine_changes = config.dependency != self.config.dependency;
        self.config = config;
        let wanted = |running: &RunningOutput| self.config.outputs.contains(&running.config);
        let (keep, stop): (Vec<_>, Vec<_>) = self.outputs.drain(..).partition(wanted);
        let outputs_change = !stop.is_empty() || keep.len() != self.config.outputs.len();
        self.outputs = keep;
        let wanted = |running: &RunningRouter| {
            // Pollers hold the list of outputs.
            !outputs_change && self.config.routers.contains(&running.config)
        };
        let (keep, old): (Vec<_>, Vec<_>) = self.routers.drain(..).partition(wanted);
        self.routers = keep;
        let machine_stops = machine_changes || outputs_change;
        let machine = if machine_stops { std::mem::take(&mut self.sources) } else { Vec::new() };
        let federate = &self.config.federate;
        let unwanted = |running: &mut RunningFederation| {
            outputs_change || federate.as_ref() != Some(&running.config)
        };
        let old_federation = self.federation.take_if(unwanted);
        self.share();
        stop_machine(machine, Instant::now() + drain);
        stop_federation(old_federation, Instant::now() + drain);
        stop_routers(old, Instant::now() + drain);
        stop_outputs(stop, Instant::now() + drain);
        self.start_outputs()?;
        self.start_machine()?;
        self.start_sources()
    }

    /// Sends what perijove knows of itself through every output; those that are asked for it tell
    /// it then.
    fn report(&self, scratch: &mut Vec<u8>) {
        let outputs = self.outputs.iter().map(|running| running.output.clone());
        let outputs: Vec<_> = outputs.filter(|output| output.latest.is_none()).collect();
        let own = lock(&self.running).own(&Wanted::default(), false);
        for (node, time_ns, points) in &own {
            let (time_ns, collector) = (*time_ns, "perijove");
            output::push(&outputs, &Batch { node, collector, time_ns, points }, scratch);
        }
    }

    /// Stops polling, and gives the outputs time to send what is left.
    fn stop(self) {
        *lock(&self.running) = Running::default();
        let deadline = Instant::now() + self.config.drain_timeout;
        log::info!("stopping");
        stop_machine(self.sources, Instant::now() + self.config.drain_timeout / 4);
        stop_federation(self.federation, Instant::now() + self.config.drain_timeout / 2);
        stop_routers(self.routers, Instant::now() + self.config.drain_timeout / 2);
        stop_outputs(self.outputs, deadline);
        // Of routers that still answer.
        local::end_all();
    }
}

/// Whether the thread has ended by then.
fn ends_by(done: &Done, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    done.recv_timeout(left) == Err(RecvTimeoutError::Disconnected)
}

/// One that still waits for an answer is left to its time limit.
fn stop_machine(sources: Vec<RunningSource>, deadline: Instant) {
    let stopping = |RunningSource { stop, done, .. }| {
        stop.set();
        done
    };
    let stopping: Vec<Done> = sources.into_iter().map(stopping).collect();
    stopping.iter().for_each(|done| _ = ends_by(done, deadline));
}

fn stop_routers(routers: Vec<RunningRouter>, deadline: Instant) {
    let stopping = |RunningRouter { asks, done, .. }| {
        drop(asks);
        done
    };
    let stopping: Vec<Done> = routers.into_iter().map(stopping).collect();
    let busy = stopping.iter().filter(|done| !ends_by(done, deadline)).count();
    if busy > 0 {
        log::warn!("{busy} routers still answer; they are not waited for");
    }
}

/// It waits for the outputs that long, to note what they have got.
fn stop_federation(federation: Option<RunningFederation>, deadline: Instant) {
    let Some(RunningFederation { stop, done, .. }) = federation else { return };
    stop.set();
    if !ends_by(&done, deadline + Duration::from_millis(200)) {
        log::warn!("Prometheus still answers; it is not waited for");
    }
}

fn stop_outputs(outputs: Vec<RunningOutput>, deadline: Instant) {
    for running in &outputs {
        running.output.queue.close(deadline);
    }
    for RunningOutput { output, done, listener, .. } in outputs {
        drop(listener);
        let late = deadline + Duration::from_millis(500);
        if done.is_some_and(|done| !ends_by(&done, late)) {
            // It hangs in a write: what it holds is kept if there is a spool.
            output.queue.abandon();
        }
        output.queue.sync();
        let spooled = output.queue.level().spooled_points;
        if spooled > 0 {
            log::info!("{}: {spooled} points wait in the spool", output.name);
        }
        let undelivered = output.queue.level().points + output.dropped();
        if undelivered > 0 {
            log::warn!("{}: {undelivered} points were not delivered", output.name);
        }
    }
}
