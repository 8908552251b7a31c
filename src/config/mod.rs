//! Settings: exactly what was written first (`File`), then one conversion to what runs (`Config`).
//!
//! Nothing else reads settings files, flags or the environment. Every error says the file, the
//! line, the key and what is allowed there.

mod nearest;
mod macros;
mod place;
mod read;
mod layers;
mod values;
mod dependency;
mod federate;
mod bigquery;
mod syslog;
mod events;
mod influxdb;
mod kafka;
mod prometheus;
mod remote_write;
mod outputs;
mod described;
mod collector;
mod file_router;
mod link;
mod router;
mod configuration;
mod lists;
mod confined;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::base::http_client::Route;
use crate::base::sandbox::Files;
use crate::base::units::{Bytes, Interval, Time, Timeout, or_seconds};
use crate::collector::Entry;
use crate::collector::settings::Configured;
use crate::dependency::source;
use crate::fleet::list::List;
use crate::point::Load;
use crate::poll;
use crate::poll::configuration::Macros;
use crate::poll::registry::Registry;
use crate::poll::router::{Link, Thresholds};
use crate::poll::shard::Shard;
use collector::FileCollector;
use configuration::OrOff;
use described::{DEFAULT_DIRECTORY, Directory};
use file_router::Logins;
use place::{Written, note};
use router::Defaults;

pub use bigquery::FileBigquery;
pub use collector::unknown_collector;
pub use confined::Sandbox;
pub use dependency::FileDependency;
pub use events::FileEvents;
pub use federate::FileFederate;
pub use file_router::{FileLimits, FileRouter, Transport};
pub use influxdb::FileInfluxdb;
pub use kafka::FileKafka;
pub use lists::FileRouters;
pub use nearest::{nearer, or_nearest};
pub use outputs::{FileOutputs, FileSpool, Format, Output, OutputKind};
pub use prometheus::FilePrometheus;

/// Where the settings are on the router, when no flag says otherwise.
pub const DEFAULT_PATH: &str = "/var/db/perijove/perijove.toml";
/// The part of the fleet that a process polls, as the setting `shard` has it.
const SHARD_VARIABLE: &str = "PERIJOVE_SHARD";
/// systemd.exec(5): of StateDirectory=.
const STATE_VARIABLE: &str = "STATE_DIRECTORY";

/// A settings file as it is written; flags change it before it is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    pub interval: Option<Interval>,
    pub timeout: Option<Timeout>,
    pub collectors: Option<Spanned<Vec<String>>>,
    pub collector_directory: Option<Spanned<PathBuf>>,
    pub poll_share_max: Option<Spanned<f64>>,
    pub busy_cpu_percent: Option<Spanned<f64>>,
    pub busy_memory_percent: Option<Spanned<f64>>,
    pub self_interval: Option<Interval>,
    pub drain_timeout: Option<Time>,
    pub state_directory: Option<PathBuf>,
    pub nice: Option<Spanned<i32>>,
    pub configuration_interval: Option<Spanned<OrOff>>,
    pub supervise: Option<bool>,
    pub memory_limit: Option<Bytes>,
    pub sandbox: Sandbox,
    pub proxy: Option<Spanned<String>>,
    pub master_only: Option<bool>,
    pub re_slot: Option<u32>,
    pub limits: FileLimits,
    pub log: FileLog,
    pub router: Vec<Spanned<FileRouter>>,
    /// Lists of routers.
    pub routers: Vec<Spanned<FileRouters>>,
    pub shard: Option<Spanned<String>>,
    pub router_defaults: Option<Spanned<FileRouter>>,
    pub login: Logins,
    /// Each is read as its collector has it: `collector::read`.
    pub collector: BTreeMap<String, toml::Table>,
    pub output: FileOutputs,
    pub spool: Option<FileSpool>,
    pub events: FileEvents,
    pub dependency: Option<FileDependency>,
    pub federate: Option<Spanned<FileFederate>>,
    pub bigquery: Option<Spanned<FileBigquery>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileLog {
    pub level: Option<Level>,
    pub destination: Option<Destination>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    #[default]
    Stderr,
    Syslog,
}

/// What runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub routers: Vec<poll::router::Router>,
    /// Routers that a scrape may name.
    pub on_demand: Vec<poll::on_demand::Template>,
    /// Lists of more of them.
    pub lists: Vec<List>,
    pub outputs: Vec<Output>,
    /// Where routers' syslog comes in.
    pub syslog: Option<crate::syslog::settings::SyslogConfig>,
    /// How events are found; `None` if they are not.
    pub events: Option<crate::event::state::EventsConfig>,
    pub federate: Option<crate::federate::FederateConfig>,
    pub bigquery: Option<crate::bigquery::BigqueryConfig>,
    pub self_interval: Duration,
    pub drain_timeout: Duration,
    pub state_directory: PathBuf,
    pub nice: i32,
    /// Whether a parent starts perijove again whenever it ends by itself.
    pub supervise: bool,
    /// The most memory that it may have, in bytes.
    pub memory_limit: Option<usize>,
    pub level: Level,
    pub destination: Destination,
    /// What the machine itself talks to.
    pub dependency: Option<source::DependencyConfig>,
    /// What confined threads may open; `None` if no thread is confined.
    pub sandbox: Option<Files>,
    /// How HTTP servers on other machines are reached.
    pub proxy: Route,
    /// Warnings about settings that are accepted.
    pub warnings: Vec<String>,
}

/// A settings file: its text, and what could be read of it.
pub struct Source {
    written: Written,
    pub file: File,
    collectors: BTreeMap<&'static str, FileCollector>,
    /// The operator's collectors, and what is wrong in their files.
    described: Directory,
    /// What could not be read.
    faults: Vec<String>,
}

impl Source {
    /// No settings file: flags alone.
    pub fn empty() -> Source {
        Source::parse(None, String::new())
    }

    pub fn read(path: &Path) -> Result<Source, String> {
        Source::read_with(path, &Macros::new())
    }

    /// A settings file with what the router's configuration adds.
    pub fn read_with(path: &Path, macros: &Macros) -> Result<Source, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|err| format!("cannot read the settings file {}: {err}", path.display()))?;
        Ok(Source::parse_with(Some(path.into()), text, macros))
    }

    /// The settings in a text; the path is for errors.
    pub fn parse(path: Option<PathBuf>, text: String) -> Source {
        Source::parse_with(path, text, &Macros::new())
    }

    pub fn parse_with(path: Option<PathBuf>, text: String, macros: &Macros) -> Source {
        let written = Written::with_macros(path, text, macros);
        let mut faults = Vec::new();
        let mut others = Vec::new();
        let settings = layers::settings(&written, &home(&written), &mut faults, &mut others);
        let (file, more) = read::read(&written, settings.clone());
        faults.extend(more);
        layers::refuse_others(&written, &others, &mut faults);
        let described = collector_directory(&written, &file, &mut faults);
        let (collectors, more) = collector::read(&written, settings.into_inner(), &described);
        faults.extend(more);
        Source { written, file, collectors, described, faults }
    }

    /// The settings where others are in use already: a description that is wrong costs only itself,
    /// and is said here.
    pub fn again(mut self) -> Source {
        for fault in self.described.faults.drain(..) {
            log::error!("a description is not used (its last good version stays in use): {fault}");
        }
        self
    }

    /// A flag sets this key: says so if a macro sets it too.
    pub fn has_flag(&mut self, flag: &str, key: &str) {
        for (_, line) in self.written.macros.keys().filter(|(set, _)| *set == key) {
            let warning = format!("{line}: the flag --{flag} sets this key too, and counts");
            self.written.warnings.borrow_mut().push(warning);
        }
    }

    /// All collectors, if the descriptions are right.
    pub fn into_registry(self) -> Result<Registry, String> {
        let Directory { registry, faults, .. } = self.described;
        if faults.is_empty() { Ok(registry) } else { Err(faults.join("\n")) }
    }

    pub fn registry(&self) -> &Registry {
        &self.described.registry
    }

    /// The log's destination in a settings file, if it can be read although the rest is wrong.
    pub fn log_destination(path: &Path) -> Destination {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct OnlyLog {
            log: FileLog,
        }
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let only: OnlyLog = toml::from_str(&text).unwrap_or_default();
        only.log.destination.unwrap_or_default()
    }

    /// What polls: without federation and the load into BigQuery, which have commands of their own,
    /// and perhaps secrets that this one cannot read.
    pub fn only_polling(mut self) -> Result<Source, String> {
        let file = &mut self.file;
        let elsewhere = file.federate.take().is_some() | file.bigquery.take().is_some();
        if self.faults.is_empty()
            && elsewhere
            && file.router.is_empty()
            && file.routers.is_empty()
            && file.dependency.is_none()
        {
            return Err("the settings have neither a [[router]] nor [dependency] to poll; \
                        `perijove federate` and `perijove bigquery` take theirs"
                .into());
        }
        Ok(self)
    }

    /// Federation and its outputs. It may run beside what polls, and so has spools of its own.
    pub fn only_federate(mut self) -> Result<Source, String> {
        let file = &mut self.file;
        if self.faults.is_empty() && file.federate.is_none() {
            return Err("the settings have no [federate]: it needs a url, Prometheus's".into());
        }
        (file.bigquery, file.dependency) = (None, None);
        file.router.clear();
        file.routers.clear();
        if let Some(spool) = &mut file.spool {
            spool.directory.push("federate");
        }
        Ok(self)
    }

    /// What federation asks Prometheus, and no outputs.
    pub fn only_prometheus(self) -> Result<Source, String> {
        let mut source = self.only_federate()?;
        (source.file.output, source.file.spool) = (FileOutputs::default(), None);
        Ok(source)
    }

    /// The load into BigQuery, which has no outputs.
    pub fn only_bigquery(mut self) -> Source {
        let file = &mut self.file;
        (file.federate, file.dependency, file.spool) = (None, None, None);
        file.output = FileOutputs::default();
        file.router.clear();
        file.routers.clear();
        self
    }

    /// Checks everything and fills in defaults. The error has a line for each fault.
    pub fn into_config(self) -> Result<Config, String> {
        let Source { written, file, described, faults, .. } = &self;
        let faults = &mut [&described.faults[..], &faults[..]].concat();
        let defaults = self.defaults(faults);
        router::check_defaults(written, &defaults, faults);
        let (routers, on_demand) = self.routers(&defaults, faults);
        let mut lists: Vec<List> = Vec::new();
        for routers in &file.routers {
            let Some(list) = lists::list(written, routers, &defaults, faults) else { continue };
            if lists.iter().any(|other| other.name == list.name) {
                let message = format!("two lists are read from {}", list.name);
                faults.push(written.at_value(routers, message));
            }
            lists.push(list);
        }
        let has_routers = !file.router.is_empty() || !file.routers.is_empty();
        let dependency = file.dependency.as_ref();
        let dependency = dependency.map(|file| dependency::settings(written, file, has_routers));
        let state_directory = self.state_directory();
        let federate = file.federate.as_ref();
        let federate =
            federate.map(|federate| federate::settings(written, federate, &state_directory));
        let bigquery = file.bigquery.as_ref();
        let bigquery =
            bigquery.map(|bigquery| bigquery::settings(written, bigquery, &state_directory));
        let outputs = outputs::outputs(written, &file.output, file.spool.as_ref(), faults);
        if let Some(influxdb) = &file.output.influxdb {
            let lists = lists.iter().map(|list| &list.template);
            let all = routers.iter().chain(lists);
            let checked = influxdb::check_host_tag(written, influxdb, all);
            note(faults, checked);
        }
        let tables = file.router.iter().chain(&file.router_defaults).chain(file.login.values());
        let named = tables.flat_map(|table| table.get_ref().files());
        let files = file.routers.iter().filter_map(|list| list.get_ref().file.as_ref());
        let named = named.chain(files.map(|path| path.get_ref().as_path()));
        let is_local = |router: &poll::router::Router| matches!(router.link, Link::Local { .. });
        let has_local = routers.iter().any(is_local);
        let syslog = file.events.syslog.as_ref();
        let syslog = syslog.map(|syslog| {
            let has_events = file.events.enabled.unwrap_or(true);
            syslog::settings(written, syslog, has_events, has_local)
        });
        let syslog = syslog.and_then(|syslog| note(faults, syslog));
        let sandbox = (file.sandbox == Sandbox::Auto).then(|| {
            let sockets = syslog.iter().flat_map(|syslog| syslog.paths());
            confined::files(written, named, &state_directory, &outputs, sockets)
        });
        let has_polled = !routers.is_empty() || !lists.is_empty();
        let config = Config {
            events: note(faults, events::settings(written, &file.events))
                .flatten()
                .filter(|_| has_polled),
            syslog: syslog.filter(|_| has_polled),
            sandbox,
            routers,
            on_demand,
            lists,
            outputs,
            federate: federate.and_then(|federate| note(faults, federate)),
            bigquery: bigquery.and_then(|bigquery| note(faults, bigquery)),
            self_interval: or_seconds(file.self_interval, 30),
            drain_timeout: or_seconds(file.drain_timeout, 5),
            state_directory,
            nice: note(faults, self.nice()).unwrap_or_default(),
            proxy: note(faults, self.proxy()).unwrap_or_default(),
            supervise: file.supervise.unwrap_or(false),
            memory_limit: file.memory_limit.map(|limit| limit.0),
            level: file.log.level.unwrap_or(Level::Info),
            destination: file.log.destination.unwrap_or_default(),
            dependency: dependency.and_then(|dependency| note(faults, dependency)),
            warnings: written.warnings.take(),
        };
        if faults.is_empty() { Ok(config) } else { Err(faults.join("\n")) }
    }

    /// What the settings say for all routers.
    fn defaults(&self, faults: &mut Vec<String>) -> Defaults<'_> {
        let Source { file, collectors, described, .. } = self;
        Defaults {
            router: file.router_defaults.as_ref(),
            logins: &file.login,
            interval: file.interval,
            timeout: file.timeout,
            collectors: file.collectors.as_ref(),
            poll_share_max: note(faults, self.poll_share_max()).unwrap_or_default(),
            busy_above: note(faults, self.busy_above()).unwrap_or_default(),
            master_only: file.master_only.unwrap_or(false),
            re_slot: file.re_slot,
            limits: &file.limits,
            collector: collectors,
            described,
            dependency: file.dependency.as_ref(),
            shard: note(faults, self.shard()).flatten(),
        }
    }

    /// The routers that are polled, and those that a scrape may name.
    fn routers(
        &self,
        defaults: &Defaults,
        faults: &mut Vec<String>,
    ) -> (Vec<poll::router::Router>, Vec<poll::on_demand::Template>) {
        let Source { written, file, .. } = self;
        let own = [Spanned::new(0..0, FileRouter::default())];
        // A machine that maps its own dependencies, or rolls up a fleet's, need not be a router.
        let is_for_routers = file.dependency.is_none()
            && file.federate.is_none()
            && file.bigquery.is_none()
            && file.routers.is_empty();
        let listed = match &file.router[..] {
            [] if is_for_routers => &own[..],
            listed => listed,
        };
        let mut routers: Vec<poll::router::Router> = Vec::new();
        let mut on_demand = Vec::new();
        for written_router in listed {
            if let Some(allow) = &written_router.get_ref().allow {
                let template = router::template(written, written_router, allow, defaults, faults);
                on_demand.extend(template);
                if file.output.prometheus.is_none() {
                    let why = "allow is for scrapes, and there is no [output.prometheus]";
                    faults.push(written.at_value(allow, why));
                }
                continue;
            }
            let read = router::router(written, written_router, defaults, faults);
            let Some(router) = read else { continue };
            if routers.iter().any(|other| other.name == router.name) {
                let message = format!("two routers have the name `{}`", router.name);
                faults.push(written.at_value(written_router, message));
            }
            routers.push(router);
        }
        let look = configuration::mark(written, &file.configuration_interval, &mut routers);
        note(faults, look);
        (routers, on_demand)
    }

    /// The router that perijove runs on, if its configuration has settings too. It can be told
    /// before they are known.
    pub fn asked(&self) -> Option<poll::router::Router> {
        if !self.faults.is_empty() {
            return None;
        }
        let unsaid = &mut Vec::new();
        let warnings = self.written.warnings.borrow().len();
        let (routers, _) = self.routers(&self.defaults(unsaid), unsaid);
        // They come again when the settings are made.
        self.written.warnings.borrow_mut().truncate(warnings);
        routers.into_iter().find(|router| router.configuration_interval.is_some())
    }

    /// The directory of perijove's state: never one that a macro names.
    pub fn state_directory(&self) -> PathBuf {
        self.file.state_directory.clone().unwrap_or_else(default_state_directory)
    }

    fn proxy(&self) -> Result<Route, String> {
        let Some(text) = &self.file.proxy else { return Ok(Route::default()) };
        text.get_ref().parse().map_err(|why: String| self.written.at_value(text, why))
    }

    /// Which part of the routers is polled; a variable goes before the settings, for processes that
    /// share a file.
    fn shard(&self) -> Result<Option<Shard>, String> {
        if let Ok(text) = std::env::var(SHARD_VARIABLE) {
            return text.parse().map(Some).map_err(|why| format!("{SHARD_VARIABLE}: {why}"));
        }
        let read = |text: &Spanned<String>| {
            text.get_ref().parse().map_err(|why: String| self.written.at_value(text, why))
        };
        self.file.shard.as_ref().map(read).transpose()
    }

    /// As a part of 1.
    fn poll_share_max(&self) -> Result<f64, String> {
        match &self.file.poll_share_max {
            Some(share) if !(1.0..=100.0).contains(share.get_ref()) => {
                Err(self.written.at_value(share, "a share of time is from 1 to 100 percent"))
            }
            share => Ok(share.as_ref().map_or(25.0, |share| *share.get_ref()) / 100.0),
        }
    }

    fn busy_above(&self) -> Result<Thresholds, String> {
        let percent = |set: &Option<Spanned<f64>>, or: f64| match set {
            Some(set) if !(1.0..=100.0).contains(set.get_ref()) => {
                Err(self.written.at_value(set, "a threshold is from 1 to 100 percent"))
            }
            set => Ok(set.as_ref().map_or(or, |set| *set.get_ref())),
        };
        let Thresholds(Load { cpu_percent, memory_percent }) = Thresholds::default();
        Ok(Thresholds(Load {
            cpu_percent: percent(&self.file.busy_cpu_percent, cpu_percent)?,
            memory_percent: percent(&self.file.busy_memory_percent, memory_percent)?,
        }))
    }

    fn nice(&self) -> Result<i32, String> {
        match &self.file.nice {
            Some(nice) if !(-20..=20).contains(nice.get_ref()) => {
                Err(self.written.at_value(nice, "a nice value is between -20 and 20"))
            }
            nice => Ok(nice.as_ref().map_or(10, |nice| *nice.get_ref())),
        }
    }

    /// A collector as it is set, if the file is right.
    pub fn into_collector(self, entry: &Entry) -> Result<Configured, String> {
        let faults = [self.described.faults, self.faults].concat();
        if !faults.is_empty() {
            return Err(faults.join("\n"));
        }
        let set = self.collectors.get(entry.name);
        Ok(set.map_or(entry.by_default(), |set| &set.configured).clone())
    }
}

/// The directory of the settings file, or the one where it would be.
fn home(written: &Written) -> PathBuf {
    let file = written.path.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
    let file = std::path::absolute(file).unwrap_or(file.into());
    file.parent().map(PathBuf::from).unwrap_or_default()
}

/// The operator's collectors: in the directory that is set, or in that beside the settings file. A
/// relative path is relative to that file.
fn collector_directory(written: &Written, file: &File, faults: &mut Vec<String>) -> Directory {
    let settings = written.path.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
    let set = file.collector_directory.as_ref();
    let name = set.map_or(Path::new(DEFAULT_DIRECTORY), |set| set.get_ref());
    let path = settings.parent().unwrap_or(Path::new("")).join(name);
    Directory::read(&path).unwrap_or_else(|err| {
        let message = format!("cannot read the directory {}: {err}", path.display());
        match (set, err.kind()) {
            (None, ErrorKind::NotFound) => {}
            (None, _) => faults.push(message),
            // It may come before the next reload.
            (Some(set), ErrorKind::NotFound) => {
                written.warnings.borrow_mut().push(written.at_value(set, message));
            }
            (Some(set), _) => faults.push(written.at_value(set, message)),
        }
        Directory::default()
    })
}

/// The collector that a file describes, beside those of the program.
pub fn read_description(path: &Path) -> Result<&'static Entry, String> {
    described::read_file(path, &Registry::default())
}

/// systemd's, if it has made one for the unit; it may name several.
fn default_state_directory() -> PathBuf {
    let directories = std::env::var(STATE_VARIABLE).unwrap_or_default();
    let first = directories.split(':').next().filter(|first| !first.is_empty());
    first.unwrap_or("/var/db/perijove").into()
}

#[cfg(test)]
mod tests;
