//! The units of the daemon: each has a thread of its own, and is known by what it is made from.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::changes::{Changes, Wake};
use super::events::{self, Event};
use super::make_output::{End, KafkaStatistics, Parts, make_output, without_sink};
use crate::base::inventory::Shared;
use crate::base::panics;
use crate::base::sandbox::Confine;
use crate::base::sync::Stop;
use crate::config::{self, Config, OutputKind};
use crate::dependency::source::{self, Source};
use crate::dependency::status::SourceStatus;
use crate::event;
use crate::federate;
use crate::federate::feed::Feed;
use crate::federate::status::FederateStatus;
use crate::fleet::fetch::Fetch;
use crate::fleet::list::{self, List, Members};
use crate::fleet::status::{Known, ListStatus};
use crate::output::queue::Queue;
use crate::output::{self, Output, Outputs};
use crate::poll::configuration::Watch;
use crate::poll::router::{Link, Router};
use crate::poll::status::RouterStatus;
use crate::poll::{Ask, RouterPoller};
use crate::serve::Program;
use crate::serve::prometheus::{Mode, Prometheus};
use crate::syslog;
use crate::syslog::intake::Intake;
use crate::syslog::listener::{self, Bell, Listener};
use crate::syslog::sources::{self, Routers};

/// What a unit is made from: two units with the same key do the same.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    /// Without the settings that only its sink uses.
    Output(config::Output),
    /// A source of the machine's dependency map.
    Source(&'static str, source::DependencyConfig),
    List(Box<List>),
    /// With the outputs for which it records how far it got.
    Federation(federate::FederateConfig, Vec<config::Output>),
    Router {
        router: Router,
        /// Whether it is polled only on request (scrape mode).
        waits: bool,
        /// How its events are found, if they are.
        events: Option<event::state::EventsConfig>,
    },
    /// With the state directory.
    Events(event::state::EventsConfig, PathBuf),
    /// With how events are found, which it makes of lines.
    Syslog(syslog::settings::SyslogConfig, Option<event::state::EventsConfig>, PathBuf),
}

impl Key {
    /// The name of the machine whose dependency map a source is for.
    pub fn machine(&self) -> Option<&str> {
        match self {
            Key::Source(_, settings) => Some(&settings.name),
            _ => None,
        }
    }
}

/// A unit that the settings want; everything that can fail before it is started has been tried.
pub struct Plan {
    pub key: Key,
    ready: Ready,
}

enum Ready {
    Output(Box<config::Output>, Box<Parts>),
    Source(Box<Source>),
    List(Box<Fetch>, Arc<ListStatus>),
    Federation,
    Router,
    Events(Arc<Changes>, Receiver<Wake>),
    Syslog,
}

/// The units that the settings want, in the order in which they start. `known` is what was read of
/// a list before.
pub fn plans(
    config: &Config,
    inventory: &Shared,
    known: &dyn Fn(&List) -> Known,
) -> Result<Vec<Plan>, String> {
    let mut plans = Vec::new();
    for output in &config.outputs {
        let key = Key::Output(without_sink(output));
        let ready = Ready::Output(Box::new(output.clone()), Box::new(make_output(output)?));
        plans.push(Plan { key, ready });
    }
    if let Some(settings) = &config.dependency {
        for source in source::sources(settings, inventory)? {
            let key = Key::Source(source.status.source, settings.clone());
            plans.push(Plan { key, ready: Ready::Source(Box::new(source)) });
        }
    }
    if let Some(settings) = config.federate.as_ref().filter(|_| cfg!(feature = "federation")) {
        let outputs = config.outputs.iter().map(without_sink).collect();
        let key = Key::Federation(settings.clone(), outputs);
        plans.push(Plan { key, ready: Ready::Federation });
    }
    if let Some(settings) = &config.events {
        let (changes, woken) = Changes::new(settings, &config.state_directory);
        let key = Key::Events(settings.clone(), config.state_directory.clone());
        plans.push(Plan { key, ready: Ready::Events(changes, woken) });
    }
    let mut statuses = Vec::new();
    for list in &config.lists {
        let status = Arc::new(ListStatus::new(list, known(list)));
        statuses.push(status.clone());
        let ready = Ready::List(Box::new(Fetch::new(list)?), status);
        plans.push(Plan { key: Key::List(Box::new(list.clone())), ready });
    }
    plans.extend(routers(config, &statuses));
    if let Some(settings) = &config.syslog {
        let directory = config.state_directory.clone();
        let key = Key::Syslog(settings.clone(), config.events.clone(), directory);
        plans.push(Plan { key, ready: Ready::Syslog });
    }
    Ok(plans)
}

/// The routers of the settings and those of the lists, as far as these are known.
pub fn routers(config: &Config, lists: &[Arc<ListStatus>]) -> Vec<Plan> {
    let is_scrape = |output: &config::Output| match &output.kind {
        OutputKind::Prometheus(settings) => settings.mode == Mode::Scrape,
        _ => false,
    };
    let waits = config.outputs.iter().any(is_scrape);
    let router = |router: &Router| Plan {
        key: Key::Router { router: router.clone(), waits, events: config.events.clone() },
        ready: Ready::Router,
    };
    let members = config.lists.iter().zip(lists).map(|(list, status)| {
        let (groups, _) = status.known();
        list.members(&groups)
    });
    let taken = |at: usize, members: &Members, again, polled| {
        lists[at].taken(members, again, polled);
    };
    list::union(&config.routers, members, taken).iter().map(router).collect()
}

/// What units are started with.
pub struct Surroundings<'a> {
    pub outputs: &'a Outputs,
    pub inventory: &'a Shared,
    pub program: Arc<dyn Program>,
    pub changes: Option<Arc<Changes>>,
    /// The routers that may send lines of syslog.
    pub senders: &'a Routers,
    pub events: &'a Sender<Event>,
    /// How long federation waits for its outputs at the end.
    pub patience: Duration,
    /// All first polls come within this time.
    pub first_within: Duration,
}

/// What runs.
pub struct Unit {
    pub key: Key,
    pub part: Part,
    stop: Stop,
    done: Done,
}

/// The part of a unit that others see.
pub enum Part {
    Output {
        output: Arc<Output>,
        /// Its settings with those of the sink.
        config: Box<config::Output>,
        kafka: Option<KafkaStatistics>,
        /// Ends when it is dropped.
        listener: Option<Box<Prometheus>>,
    },
    Source(Arc<SourceStatus>),
    List(Arc<ListStatus>),
    Federation(Arc<FederateStatus>),
    Events(Arc<Changes>),
    Syslog(Arc<syslog::status::SyslogStatus>, Arc<Bell>),
    /// Dropping all senders tells the thread to end.
    Router(Arc<RouterStatus>, Sender<Ask>),
}

/// Closed when the thread ends.
type Done = Receiver<()>;

fn spawn(name: &str, how: Confine, run: impl FnOnce() + Send + 'static) -> Result<Done, String> {
    let (alive, done) = mpsc::channel::<()>();
    let run = move || {
        let _alive = alive;
        run();
    };
    events::spawn(name, how, run).map(|()| done)
}

impl Plan {
    pub fn is_output(&self) -> bool {
        matches!(self.key, Key::Output(_))
    }

    pub fn is_list(&self) -> bool {
        matches!(self.key, Key::List(_))
    }

    /// How many collectors it polls.
    pub fn collectors(&self) -> usize {
        match &self.key {
            Key::Router { router, .. } => router.collectors.len(),
            _ => 0,
        }
    }

    /// The port that it listens on.
    fn port(&self) -> Option<&str> {
        match &self.ready {
            Ready::Output(config, _) => port(config),
            _ => None,
        }
    }

    /// Whether it could listen, unless one of the units has the port.
    pub fn check(&mut self, units: &[Unit]) -> Result<(), String> {
        if let Key::Syslog(settings, ..) = &self.key {
            let taken = units.iter().filter_map(|unit| match &unit.key {
                Key::Syslog(settings, ..) => Some(&settings.listen[..]),
                _ => None,
            });
            return listener::check(settings, &taken.collect::<Vec<_>>().concat());
        }
        let has_port = |unit: &Unit| match &unit.part {
            Part::Output { config, .. } => port(config) == self.port(),
            _ => false,
        };
        if self.port().is_none() || units.iter().any(has_port) {
            return Ok(());
        }
        match &mut self.ready {
            Ready::Output(_, parts) => parts.check().map(drop),
            _ => Ok(()),
        }
    }

    pub fn start(self, around: &Surroundings) -> Result<Unit, String> {
        let stop = Stop::default();
        let (part, done) = match (self.ready, &self.key) {
            (Ready::Output(config, parts), _) => start_output(config, *parts, around)?,
            (Ready::Source(mut source), _) => {
                let confine = match source.enters_networks() {
                    true => Confine::CallsButNetworks,
                    false => Confine::Calls,
                };
                let (status, stop, outputs) =
                    (source.status.clone(), stop.clone(), around.outputs.clone());
                let run = move || {
                    let pause = |time| stop.wait(time);
                    panics::keep_running(|| source.run(&outputs, &stop), pause);
                };
                (Part::Source(status.clone()), spawn(status.source, confine, run)?)
            }
            (Ready::List(fetch, status), Key::List(list)) => {
                start_list(*fetch, status, list.refresh_interval, &stop, around)?
            }
            (Ready::Federation, Key::Federation(settings, _)) => {
                start_federation(settings, &stop, around)?
            }
            (Ready::Router, Key::Router { router, waits, .. }) => {
                start_router(router, *waits, around)?
            }
            (Ready::Events(changes, woken), _) => start_events(changes, woken, &stop, around)?,
            (Ready::Syslog, Key::Syslog(settings, ..)) => start_syslog(settings, &stop, around)?,
            (Ready::List(..) | Ready::Federation | Ready::Router | Ready::Syslog, _) => {
                return Err("the unit has no settings".into());
            }
        };
        Ok(Unit { key: self.key, part, stop, done })
    }
}

fn port(config: &config::Output) -> Option<&str> {
    match &config.kind {
        OutputKind::Prometheus(settings) => Some(settings.listen.rsplit_once(':')?.1),
        _ => None,
    }
}

fn start_output(
    config: Box<config::Output>,
    parts: Parts,
    around: &Surroundings,
) -> Result<(Part, Done), String> {
    let Parts { encode, bounds, end, kafka, latest } = parts;
    let name = config.name();
    let queue = Queue::new(name, bounds, config.spool.as_ref())?;
    let output = Arc::new(Output::new(name, encode, queue, latest));
    let (done, listener) = match end {
        End::Listener(mut listener) => {
            listener.start(&around.program)?;
            // There is no other thread to wait for.
            (mpsc::channel().1, Some(listener))
        }
        End::Sink(sink) => {
            let (output, events) = (output.clone(), around.events.clone());
            let write = move || {
                if !output::write_all(&output, sink) {
                    let _ = events.send(Event::Gone);
                }
            };
            (spawn(name, Confine::Files, write)?, None)
        }
    };
    Ok((Part::Output { output, config, kafka, listener }, done))
}

fn start_list(
    fetch: Fetch,
    status: Arc<ListStatus>,
    refresh_interval: Duration,
    stop: &Stop,
    around: &Surroundings,
) -> Result<(Part, Done), String> {
    let (theirs, stop, events) = (status.clone(), stop.clone(), around.events.clone());
    let read = move || {
        let read = || loop {
            if theirs.read(fetch.get()) && events.send(Event::Listed).is_err() {
                return;
            }
            if stop.wait(refresh_interval) {
                return;
            }
        };
        panics::keep_running(read, |time| stop.wait(time));
    };
    Ok((Part::List(status), spawn("list", Confine::Files, read)?))
}

fn start_federation(
    settings: &federate::FederateConfig,
    stop: &Stop,
    around: &Surroundings,
) -> Result<(Part, Done), String> {
    let status = FederateStatus::new(settings.jobs.iter().map(|job| job.name()));
    let status = Arc::new(status);
    let outputs = around.outputs.hold().to_vec();
    let mut first = Some(Feed::new(settings, outputs.clone(), status.clone())?);
    let (settings, theirs, stop, patience) =
        (settings.clone(), status.clone(), stop.clone(), around.patience);
    let run = move || {
        // After a panic, a new feed goes on from the recorded progress.
        let feed = || Feed::new(&settings, outputs.clone(), theirs.clone());
        let run = || match first.take().map_or_else(feed, Ok) {
            Ok(feed) => feed.run(&stop, patience),
            Err(why) => log::error!("federate: cannot start again after a bug: {why}"),
        };
        panics::keep_running(run, |time| stop.wait(time));
    };
    Ok((Part::Federation(status), spawn("federate", Confine::Files, run)?))
}

fn start_events(
    changes: Arc<Changes>,
    woken: Receiver<Wake>,
    stop: &Stop,
    around: &Surroundings,
) -> Result<(Part, Done), String> {
    let (theirs, stop, outputs) = (changes.clone(), stop.clone(), around.outputs.clone());
    let run = move || {
        panics::keep_running(|| theirs.run(&outputs, &woken), |time| stop.wait(time));
    };
    Ok((Part::Events(changes), spawn("events", Confine::Files, run)?))
}

fn start_syslog(
    settings: &syslog::settings::SyslogConfig,
    stop: &Stop,
    around: &Surroundings,
) -> Result<(Part, Done), String> {
    let status = Arc::new(syslog::status::SyslogStatus::default());
    let mut listener = Listener::new(settings, around.senders.clone(), status.clone())?;
    let bell = listener.bell();
    log::info!("syslog: listening on {}", listener.addresses().join(", "));
    let changes = around.changes.clone();
    let find = move |name: &str| changes.as_ref().and_then(|changes| changes.find(name));
    let (outputs, theirs, stop) = (around.outputs.clone(), status.clone(), stop.clone());
    let mut intake = Intake::new(settings, outputs, theirs, Box::new(find));
    let run = move || {
        panics::keep_running(|| listener.run(&mut intake), |time| stop.wait(time));
    };
    Ok((Part::Syslog(status, bell), spawn("syslog", Confine::Files, run)?))
}

fn start_router(
    router: &Router,
    waits: bool,
    around: &Surroundings,
) -> Result<(Part, Done), String> {
    let (asks, asked) = mpsc::channel();
    let status = Arc::new(RouterStatus::new(router));
    let (router, theirs, first_within) = (router.clone(), status.clone(), around.first_within);
    let (inventory, outputs) = (around.inventory.clone(), around.outputs.clone());
    let events = around.events.clone();
    let changes = around.changes.as_ref();
    let watch = changes.map(|changes| changes.watch(&router.name, &router.tags));
    let run = move || {
        let poll = || {
            let mut poller = RouterPoller::new(&router, theirs.clone(), &inventory);
            poller.watch = watch.clone();
            poller.configuration = router.configuration_interval.map(|interval| {
                let events = events.clone();
                Watch::new(interval, move |heard| _ = events.send(Event::Configured(heard)))
            });
            match waits {
                true => poller.run_when_asked(&outputs, &asked),
                false => poller.run(&outputs, &asked, first_within),
            }
        };
        let pause = |time| asked.recv_timeout(time).err() == Some(RecvTimeoutError::Disconnected);
        panics::keep_running(poll, pause);
    };
    Ok((Part::Router(status, asks), spawn("router", Confine::Files, run)?))
}

impl Unit {
    /// The router that it polls, as one that may send lines of syslog.
    pub fn sender(&self) -> Option<sources::Router> {
        let Key::Router { router, .. } = &self.key else { return None };
        let host = match &router.link {
            Link::Local { .. } => None,
            Link::Ssh(ssh) => Some(ssh.target.clone()),
            Link::Openssh(openssh) => Some(openssh.target.clone()),
        };
        Some(sources::Router { name: router.name.clone(), tags: router.tags.clone(), host })
    }

    pub fn is_output(&self) -> bool {
        matches!(self.key, Key::Output(_))
    }

    /// Whether it takes what routers find: it ends after them.
    pub fn is_events(&self) -> bool {
        matches!(self.key, Key::Events(..))
    }

    /// Takes a plan with the same key: an output may get another sink, or another listener for the
    /// points that it keeps.
    pub fn go_on(&mut self, plan: Plan, program: &Arc<dyn Program>) -> Result<(), String> {
        if let (Part::Output { output, config, kafka, listener }, Ready::Output(new, parts)) =
            (&mut self.part, plan.ready)
            && *config != new
        {
            (*config, *kafka) = (new, parts.kafka);
            match parts.end {
                End::Sink(sink) => output.replace_sink(sink),
                End::Listener(mut new) => {
                    *listener = None;
                    output.latest.iter().for_each(|latest| new.take_over(latest.clone()));
                    new.start(program)?;
                    *listener = Some(new);
                }
            }
        }
        Ok(())
    }

    /// Whether the program can end without it: a router without a session, which gets none now.
    pub fn leave(&self) -> bool {
        matches!(&self.part, Part::Router(status, _) if status.leave())
    }

    /// Tells it to end by then.
    fn end(self, deadline: Instant) -> Ending {
        let Unit { part, stop, done, .. } = self;
        stop.set();
        let output = match part {
            Part::Output { output, listener, .. } => {
                output.queue.close(deadline);
                Some((output, listener))
            }
            Part::Events(changes) => {
                changes.end();
                None
            }
            Part::Syslog(_, bell) => {
                bell.end();
                None
            }
            Part::Source(_) | Part::List(_) | Part::Federation(_) | Part::Router(..) => None,
        };
        Ending { output, done }
    }
}

/// A unit that was told to end.
struct Ending {
    output: Option<(Arc<Output>, Option<Box<Prometheus>>)>,
    done: Done,
}

/// How much later than told a unit may end.
const LATE: Duration = Duration::from_millis(500);

impl Ending {
    /// Waits for the end; whether it came.
    fn wait(self, deadline: Instant) -> bool {
        let left = (deadline + LATE).saturating_duration_since(Instant::now());
        let Some((output, listener)) = self.output else {
            return self.done.recv_timeout(left) == Err(RecvTimeoutError::Disconnected);
        };
        drop(listener);
        if self.done.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
            // It hangs in a write: its queue is kept only if there is a spool.
            output.queue.abandon();
        }
        output.queue.close_spool();
        let spooled = output.queue.level().spooled_points;
        if spooled > 0 {
            log::info!("{}: {spooled} points wait in the spool", output.name);
        }
        let undelivered = output.queue.level().points + output.dropped();
        if undelivered > 0 {
            log::warn!("{}: {undelivered} points were not delivered", output.name);
        }
        true
    }
}

/// Tells all of them to end by then, and waits for that.
pub fn stop(units: Vec<Unit>, deadline: Instant) {
    let ending: Vec<Ending> = units.into_iter().map(|unit| unit.end(deadline)).collect();
    let late = ending.into_iter().map(|ending| ending.wait(deadline)).filter(|ended| !ended);
    let late = late.count();
    if late > 0 {
        log::warn!("{late} routers or sources have not ended in time; going on without them");
    }
}
