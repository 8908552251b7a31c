//! The running program: a thread for each router and each output, and one that waits for signals.

pub mod log_to;
pub mod parent;
mod last_macros;
pub mod configuration;
pub mod own_metrics;
pub mod events;
pub mod make_output;
pub mod changes;
pub mod unit;
pub mod visitors;
mod supervisor;

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use self::configuration::Configured;
pub use self::events::Hangups;
use self::events::{Event, spawn, watch_signals};
pub use self::make_output::make_output;
use self::supervisor::Supervisor;
use self::unit::Plan;
use crate::base::sandbox::{self, Confine, Files};
use crate::base::sync::Stop;
use crate::base::{child, lock_file, panics, sys};
use crate::bigquery;
use crate::bigquery::load::{Loader, Options};
use crate::config::{Config, OutputKind};
use crate::federate::feed::Feed;
use crate::federate::status::FederateStatus;
use crate::netconf::local;
use crate::output;
use crate::point::Batch;
use crate::poll::configuration::Macros;

/// Polls until a signal says to stop. `reload` reads the settings again, with what the router's
/// configuration adds.
pub fn run(
    config: Config,
    configured: Configured,
    hangups: Hangups,
    reload: Reload,
) -> Result<(), String> {
    parent::say_restart();
    set_nice(config.nice);
    limit_memory(config.memory_limit);
    let _lock = lock_state(&config)?;
    confine(config.sandbox.clone())?;
    let (events, wait) = mpsc::channel();
    watch_signals(hangups, events.clone())?;
    let supervisor = Supervisor::new(events.clone());
    supervisor.allow(&config.on_demand);
    let plans = supervisor.plan(&config)?;
    // What reading the settings needed, before anything runs; and then what starting needed.
    sys::let_go();
    supervisor.go_over(plans, config.drain_timeout)?;
    let mut daemon = Daemon { config, configured, supervisor, events };
    sys::let_go();
    let ended = daemon.serve(&wait, reload);
    log::info!("stopping");
    parent::promise(daemon.sign_of_life());
    daemon.supervisor.stop(daemon.config.drain_timeout);
    // Of routers that still answer.
    local::end_all();
    ended
}

/// Writes the windows of federation that are due, and ends.
pub fn federate_once(config: Config, hangups: Hangups) -> Result<(), String> {
    let _lock = lock_state(&config)?;
    confine(config.sandbox.clone())?;
    let Some(settings) = &config.federate else { return Ok(()) };
    let (events, wait) = mpsc::channel();
    watch_signals(hangups, events.clone())?;
    let supervisor = Supervisor::new(events.clone());
    let mut plans = supervisor.plan(&config)?;
    plans.retain(Plan::is_output);
    let patience = config.drain_timeout;
    supervisor.go_over(plans, patience)?;
    let status = Arc::new(FederateStatus::default());
    let feed = Feed::new(settings, supervisor.outputs(), status)?;
    let stop = Stop::default();
    let stopped = stop.clone();
    spawn("federate", Confine::Files, move || {
        let result = panics::caught(|| feed.run_once(patience, &stopped));
        let _ = events.send(Event::Ended(result.flatten()));
    })?;
    let result = loop {
        match wait.recv() {
            Ok(Event::Ended(result)) => break result,
            Ok(Event::Reload | Event::Listed | Event::Configured(_)) => {}
            Ok(Event::Terminate | Event::Gone) | Err(_) => stop.set(),
        }
    };
    log::info!("stopping");
    supervisor.stop(patience);
    result
}

/// Lets `poll` push to the outputs of the settings, and waits until they have delivered everything:
/// for `once`. Fails if one of them could not.
pub fn push_once<T>(
    config: &Config,
    poll: impl FnOnce(&mut dyn FnMut(&Batch)) -> T,
) -> Result<T, String> {
    let mut config = config.clone();
    // Nothing would scrape in this short time, and the spool belongs to the daemon.
    config.outputs.retain(|output| !matches!(output.kind, OutputKind::Prometheus(_)));
    config.outputs.iter_mut().for_each(|output| output.spool = None);
    let (events, _wait) = mpsc::channel();
    let supervisor = Supervisor::new(events);
    let mut plans = supervisor.plan(&config)?;
    plans.retain(Plan::is_output);
    let patience = config.drain_timeout;
    supervisor.go_over(plans, patience)?;
    let outputs = supervisor.outputs();
    let mut scratch = Vec::new();
    let polled = poll(&mut |batch| {
        output::push_by(&outputs, batch, &mut scratch, Instant::now() + patience);
    });
    supervisor.stop(patience);
    let lost = outputs.iter().filter(|output| output.dropped() > 0);
    let lost: Vec<String> = lost
        .map(|output| format!("{} did not get {} points", output.name, output.dropped()))
        .collect();
    if lost.is_empty() { Ok(polled) } else { Err(lost.join(", ")) }
}

/// Loads into BigQuery what is due until a signal says to stop.
pub fn bigquery(
    settings: bigquery::BigqueryConfig,
    sandbox: Option<Files>,
    options: Options,
    hangups: Hangups,
    reload: &dyn Fn() -> Result<bigquery::BigqueryConfig, String>,
) -> Result<(), String> {
    confine(sandbox)?;
    let stop = Stop::default();
    let mut loader = Loader::new(&settings, options, &stop)?;
    let (events, wait) = mpsc::channel();
    watch_signals(hangups, events)?;
    let (change, changed) = mpsc::channel();
    let load = move || loop {
        let due = panics::caught(|| loader.due()).unwrap_or(AFTER_PANIC);
        match changed.recv_timeout(due) {
            Ok(new) => loader = new,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    };
    spawn("bigquery", Confine::Files, load)?;
    while let Ok(Event::Reload) = wait.recv() {
        match reload().and_then(|settings| Loader::new(&settings, options, &stop)) {
            Ok(loader) => _ = change.send(loader),
            Err(why) => log::error!("the old settings stay in use: {why}"),
        }
    }
    // A load that is under way at the end is not recorded: the next run does it again.
    stop.set();
    Ok(())
}

/// Federation may run beside the daemon that polls: its files in the state directory have other
/// names.
fn lock_state(config: &Config) -> Result<Option<File>, String> {
    let name = if config.federate.is_some() { "federate.lock" } else { "lock" };
    lock_file::hold(&config.state_directory, name)
}

/// Confines the threads that are started from now on; children are started by one that is not.
fn confine(files: Option<Files>) -> Result<(), String> {
    child::start_nursery().map_err(|err| format!("cannot start a thread: {err}"))?;
    sandbox::set(files);
    Ok(())
}

fn set_nice(nice: i32) {
    if let Err(err) = sys::set_nice(nice) {
        log::warn!("cannot set nice = {nice}: {err}");
    }
}

fn limit_memory(bytes: Option<usize>) {
    if let Err(err) = sys::limit_memory(bytes) {
        log::warn!("cannot set memory_limit: {err}");
    }
}

/// How long the load into BigQuery rests after a panic.
const AFTER_PANIC: Duration = Duration::from_secs(60);

/// After a report, unused memory is let go of, but not more often than it is of use.
const LET_GO_PAUSE: Duration = Duration::from_secs(10);

const OLD_STAY: &str = "the old settings stay in use";

/// Reads the settings again, with these of the router's configuration.
pub type Reload<'a> = &'a dyn Fn(&Macros) -> Result<Config, String>;

struct Daemon {
    config: Config,
    configured: Configured,
    supervisor: Supervisor,
    events: Sender<Event>,
}

impl Daemon {
    /// Waits for events, and reports perijove's own metrics in between, until it is to end: an
    /// error says why, if that is no stop.
    fn serve(&mut self, wait: &Receiver<Event>, reload: Reload) -> Result<(), String> {
        self.say_configured();
        let mut report_at = Instant::now() + self.config.self_interval;
        let mut let_go_at = Instant::now() + LET_GO_PAUSE;
        let mut scratch = Vec::new();
        loop {
            parent::promise(self.sign_of_life());
            match wait.recv_timeout(report_at.saturating_duration_since(Instant::now())) {
                Ok(Event::Terminate | Event::Gone) | Err(RecvTimeoutError::Disconnected) => {
                    return Ok(());
                }
                Ok(Event::Ended(result)) => return result,
                Ok(Event::Reload) => {
                    match self.reload(reload) {
                        Ok(()) => {
                            log::info!("the settings were read again");
                            self.configured.are_right();
                        }
                        Err(why) => log::error!("{OLD_STAY}: {why}"),
                    }
                    self.say_configured();
                }
                Ok(Event::Configured(heard)) => {
                    if self.configured.hears(heard).is_some() {
                        match self.reload(reload) {
                            Ok(()) => self.configured.taken(),
                            Err(why) => self.configured.refused(&why, OLD_STAY),
                        }
                    }
                    self.say_configured();
                }
                Ok(Event::Listed) => {
                    let patience = self.config.drain_timeout;
                    let followed = || self.supervisor.follow_lists(&self.config, patience);
                    if let Err(why) = panics::caught(followed).flatten() {
                        log::error!("the lists' routers cannot be followed: {why}");
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    // A bug there costs one report.
                    let _ = panics::caught(|| self.supervisor.report(&mut scratch));
                    if Instant::now() >= let_go_at {
                        sys::let_go();
                        let_go_at = Instant::now() + LET_GO_PAUSE;
                    }
                    report_at = Instant::now() + self.config.self_interval;
                }
            }
        }
    }

    /// Within this time the loop comes around, whatever it does: a change of the settings may stop
    /// outputs, and start them again if that fails.
    fn sign_of_life(&self) -> Duration {
        let reports = (self.config.self_interval * 10).max(Duration::from_secs(10));
        reports + self.config.drain_timeout * 4
    }

    /// Changes over to what the settings file and the router's configuration say now.
    fn reload(&mut self, reload: Reload) -> Result<(), String> {
        let changed = panics::caught(|| {
            reload(&self.configured.macros).and_then(|config| self.change(config))
        });
        changed.flatten()?;
        for warning in &self.config.warnings {
            log::warn!("{warning}");
        }
        Ok(())
    }

    fn say_configured(&mut self) {
        self.configured.say();
        self.supervisor.note_configuration(self.configured.status());
    }

    /// Changes over to other settings, or keeps the old ones.
    fn change(&mut self, config: Config) -> Result<(), String> {
        let (supervisor, drain_timeout) = (&self.supervisor, self.config.drain_timeout);
        let go_over = |config: &Config| {
            sandbox::set(config.sandbox.clone());
            supervisor.plan(config).and_then(|plans| supervisor.go_over(plans, drain_timeout))
        };
        go_over(&config).inspect_err(|_| {
            if let Err(why) = go_over(&self.config) {
                let why = format!("cannot go back to the old settings either: {why}");
                let _ = self.events.send(Event::Ended(Err(why)));
            }
        })?;
        supervisor.allow(&config.on_demand);
        let before = std::mem::replace(&mut self.config, config);
        let fixed = |config: &Config| {
            let (directory, proxy) = (config.state_directory.clone(), config.proxy.clone());
            (directory, config.destination, config.supervise, proxy)
        };
        if fixed(&self.config) != fixed(&before) {
            log::warn!(
                "a change of state_directory, supervise, proxy or the [log] destination needs a \
                 restart"
            );
        }
        log_to::set_level(self.config.level);
        if self.config.nice != before.nice {
            set_nice(self.config.nice);
        }
        if self.config.memory_limit != before.memory_limit {
            limit_memory(self.config.memory_limit);
        }
        Ok(())
    }
}
