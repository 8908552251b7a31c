//! The running program: a thread for each router and each output, and one that waits for signals.

pub mod log_to;
pub mod own_metrics;
pub mod events;
pub mod make_output;
pub mod unit;
pub mod supervisor;

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

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
use crate::output::{self, Patience};
use crate::point::Batch;

/// Polls until a signal says to stop. `reload` reads the settings again.
pub fn run(
    config: Config,
    hangups: Hangups,
    reload: &dyn Fn() -> Result<Config, String>,
) -> Result<(), String> {
    set_nice(config.nice);
    let _lock = lock_state(&config)?;
    confine(config.sandbox.clone())?;
    let (events, wait) = mpsc::channel();
    watch_signals(hangups, events.clone())?;
    let supervisor = Supervisor::new(events.clone());
    supervisor.go_over(supervisor.plan(&config)?, config.drain_timeout)?;
    let mut daemon = Daemon { config, supervisor, events };
    daemon.serve(&wait, reload);
    log::info!("stopping");
    daemon.supervisor.stop(daemon.config.drain_timeout);
    // Of routers that still answer.
    local::end_all();
    Ok(())
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
            Ok(Event::Reload) => {}
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
        let until = Instant::now() + patience;
        outputs.iter().for_each(|output| _ = output.queue.wait_room(until));
        output::push(&outputs, batch, &mut scratch, &mut Patience::none());
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
    settings: bigquery::Settings,
    sandbox: Option<Files>,
    options: Options,
    hangups: Hangups,
    reload: &dyn Fn() -> Result<bigquery::Settings, String>,
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

/// How long the load into BigQuery rests after a panic.
const AFTER_PANIC: Duration = Duration::from_secs(60);

struct Daemon {
    config: Config,
    supervisor: Supervisor,
    events: Sender<Event>,
}

impl Daemon {
    /// Waits for events, and reports perijove's own metrics in between.
    fn serve(&mut self, wait: &Receiver<Event>, reload: &dyn Fn() -> Result<Config, String>) {
        let mut report_at = Instant::now() + self.config.self_interval;
        let mut scratch = Vec::new();
        loop {
            match wait.recv_timeout(report_at.saturating_duration_since(Instant::now())) {
                Ok(Event::Terminate | Event::Gone | Event::Ended(_))
                | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Event::Reload) => {
                    let changed =
                        panics::caught(|| reload().and_then(|config| self.change(config)));
                    match changed.flatten() {
                        Ok(()) => log::info!("the settings were read again"),
                        Err(why) => log::error!("the old settings stay in use: {why}"),
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    // A bug there costs one report.
                    let _ = panics::caught(|| self.supervisor.report(&mut scratch));
                    report_at = Instant::now() + self.config.self_interval;
                }
            }
        }
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
                log::error!("cannot go back to the old settings either, perijove exits: {why}");
                let _ = self.events.send(Event::Terminate);
            }
        })?;
        let before = std::mem::replace(&mut self.config, config);
        if (&self.config.state_directory, self.config.destination)
            != (&before.state_directory, before.destination)
        {
            log::warn!("a change of state_directory or of the [log] destination needs a restart");
        }
        log_to::set_level(self.config.level);
        if self.config.nice != before.nice {
            set_nice(self.config.nice);
        }
        Ok(())
    }
}
