//! Settings: exactly what was written first (`File`), then one conversion to what runs (`Config`).
//!
//! Nothing else reads settings files, flags or the environment. Every error says the file, the
//! line, the key and what is allowed there.

mod place;
mod dependency;
mod federate;
mod bigquery;
mod influxdb;
mod kafka;
mod prometheus;
mod remote_write;
mod router;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::base::http_client::Login;
use crate::base::secret::Secret;
use crate::base::sys;
use crate::base::units::{Bytes, Interval, Time, Timeout, or_seconds};
use crate::collector::{self};
use crate::dependency::source;
use crate::output::{self, spool};
use crate::poll::{self, registry};
use crate::serve;

pub use bigquery::FileBigquery;
pub use dependency::FileDependency;
pub use federate::FileFederate;
pub use influxdb::FileInfluxdb;
pub use kafka::FileKafka;
pub use prometheus::FilePrometheus;
pub use remote_write::FileRemoteWrite;
pub use router::{FileRouter, Transport};

/// Where the settings are on the router, when no flag says otherwise.
pub const DEFAULT_PATH: &str = "/var/db/perijove/perijove.toml";
pub const PASSWORD_VARIABLE: &str = "PERIJOVE_PASSWORD";
pub const PASSPHRASE_VARIABLE: &str = "PERIJOVE_PASSPHRASE";
/// systemd.exec(5): of LoadCredential= and StateDirectory=.
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";
const STATE_VARIABLE: &str = "STATE_DIRECTORY";

/// A settings file as it is written; flags change it before it is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    pub interval: Option<Interval>,
    pub timeout: Option<Timeout>,
    pub collectors: Option<Spanned<Vec<String>>>,
    pub poll_share_max: Option<Spanned<f64>>,
    pub self_interval: Option<Interval>,
    pub drain_timeout: Option<Time>,
    pub state_directory: Option<PathBuf>,
    pub nice: Option<Spanned<i32>>,
    pub master_only: Option<bool>,
    pub re_slot: Option<u32>,
    pub limits: FileLimits,
    pub log: FileLog,
    pub router: Vec<Spanned<FileRouter>>,
    pub collector: BTreeMap<String, Spanned<collector::Settings>>,
    pub output: FileOutputs,
    pub spool: Option<FileSpool>,
    pub dependency: Option<FileDependency>,
    pub federate: Option<Spanned<FileFederate>>,
    pub bigquery: Option<Spanned<FileBigquery>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpool {
    pub directory: PathBuf,
    pub bytes_max: Option<Bytes>,
    pub age_max: Option<Time>,
    pub sync_interval: Option<Interval>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileLimits {
    pub message_bytes_max: Option<Bytes>,
    pub item_bytes_max: Option<Bytes>,
    pub depth_max: Option<NonZeroUsize>,
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

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileOutputs {
    pub stdout: Option<FileStdout>,
    pub file: Option<FileFile>,
    pub influxdb: Option<Spanned<FileInfluxdb>>,
    pub kafka: Option<Spanned<FileKafka>>,
    pub prometheus: Option<Spanned<FilePrometheus>>,
    pub remote_write: Option<Spanned<FileRemoteWrite>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Line,
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileStdout {
    pub format: Format,
    pub queue_bytes_max: Option<Bytes>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFile {
    pub path: PathBuf,
    #[serde(default)]
    pub format: Format,
    pub queue_bytes_max: Option<Bytes>,
}

/// How a table of settings says who logs in.
struct FileLogin<'a> {
    username: &'a Option<String>,
    password_file: &'a Option<Spanned<PathBuf>>,
    token_file: &'a Option<Spanned<PathBuf>>,
}

/// What runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub routers: Vec<poll::router::Router>,
    pub outputs: Vec<Output>,
    pub federate: Option<crate::federate::Settings>,
    pub bigquery: Option<crate::bigquery::Settings>,
    pub self_interval: Duration,
    pub drain_timeout: Duration,
    pub state_directory: PathBuf,
    pub nice: i32,
    pub level: Level,
    pub destination: Destination,
    /// What the machine itself talks to.
    pub dependency: Option<source::Settings>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub kind: OutputKind,
    pub queue_bytes_max: usize,
    pub spool: Option<spool::Settings>,
}

impl Output {
    pub fn name(&self) -> &'static str {
        match &self.kind {
            OutputKind::Stdout { .. } => "stdout",
            OutputKind::File { .. } => "file",
            OutputKind::Influxdb(_) => "influxdb",
            OutputKind::Kafka(_) => "kafka",
            OutputKind::Prometheus(_) => "prometheus",
            OutputKind::RemoteWrite(_) => "remote_write",
        }
    }

    /// Whether the other one takes the same records and only writes them elsewhere, or under
    /// another name: what is queued for the one can go to the other.
    pub fn differs_in_sink(&self, other: &Output) -> bool {
        let like_ours = match (&self.kind, &other.kind) {
            (OutputKind::Influxdb(ours), OutputKind::Influxdb(theirs)) => {
                OutputKind::Influxdb(output::influxdb::Settings {
                    url: ours.url.clone(),
                    target: ours.target.clone(),
                    gzip: ours.gzip,
                    timeout: ours.timeout,
                    ca_file: ours.ca_file.clone(),
                    ..theirs.clone()
                })
            }
            (OutputKind::Kafka(ours), OutputKind::Kafka(theirs)) => {
                OutputKind::Kafka(output::kafka::Settings {
                    topic: theirs.topic.clone(),
                    key: theirs.key.clone(),
                    value: theirs.value,
                    layout: theirs.layout,
                    ..ours.clone()
                })
            }
            (OutputKind::RemoteWrite(ours), OutputKind::RemoteWrite(theirs)) => {
                OutputKind::RemoteWrite(output::remote_write::Settings {
                    batch_points_max: theirs.batch_points_max,
                    batch_bytes_max: theirs.batch_bytes_max,
                    flush_interval: theirs.flush_interval,
                    ..ours.clone()
                })
            }
            _ => return false,
        };
        let same_queue =
            (self.queue_bytes_max, &self.spool) == (other.queue_bytes_max, &other.spool);
        self.kind != other.kind && self.kind == like_ours && same_queue
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum OutputKind {
    Stdout { format: Format },
    File { path: PathBuf, format: Format },
    Influxdb(output::influxdb::Settings),
    Kafka(output::kafka::Settings),
    Prometheus(serve::prometheus::Settings),
    RemoteWrite(output::remote_write::Settings),
}

/// A settings file with its text, for errors that name a line.
pub struct Source {
    path: Option<PathBuf>,
    text: String,
    pub file: File,
}

impl Source {
    /// No settings file: flags alone.
    pub fn empty() -> Source {
        Source { path: None, text: String::new(), file: File::default() }
    }

    pub fn read(path: &Path) -> Result<Source, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|err| format!("cannot read the settings file {}: {err}", path.display()))?;
        Source::parse(Some(path.into()), text)
    }

    fn parse(path: Option<PathBuf>, text: String) -> Result<Source, String> {
        let mut source = Source { path, text, file: File::default() };
        match toml::from_str(&source.text) {
            Ok(file) => source.file = file,
            Err(err) => {
                let message = with_nearest(err.message());
                return Err(source.at(err.span().map_or(0, |span| span.start), &message));
            }
        }
        Ok(source)
    }

    /// Where a settings file wants its log, as far as that can be made out if the rest is wrong.
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
        if elsewhere && file.router.is_empty() && file.dependency.is_none() {
            return Err("the settings have neither a [[router]] nor [dependency] to poll; \
                        `perijove federate` and `perijove bigquery` take theirs"
                .into());
        }
        Ok(self)
    }

    /// Federation and its outputs. It may run beside what polls, and so has spools of its own.
    pub fn only_federate(mut self) -> Result<Source, String> {
        let file = &mut self.file;
        if file.federate.is_none() {
            return Err("the settings have no [federate]: it needs a url, Prometheus's".into());
        }
        (file.bigquery, file.dependency) = (None, None);
        file.router.clear();
        if let Some(spool) = &mut file.spool {
            spool.directory.push("federate");
        }
        Ok(self)
    }

    /// The load into BigQuery, which has no outputs.
    pub fn only_bigquery(mut self) -> Source {
        let file = &mut self.file;
        (file.federate, file.dependency, file.spool) = (None, None, None);
        file.output = FileOutputs::default();
        file.router.clear();
        self
    }

    /// Checks everything and fills in what is not set.
    pub fn into_config(self) -> Result<Config, String> {
        let file = &self.file;
        self.check_collector_tables()?;
        let mut routers = Vec::new();
        for router in &file.router {
            routers.push(self.router(router)?);
        }
        let dependency = self.dependency()?;
        // Who maps a machine's own dependencies, or loads a fleet's, need not be on a router.
        let is_for_routers =
            dependency.is_none() && file.federate.is_none() && file.bigquery.is_none();
        if routers.is_empty() && is_for_routers {
            routers.push(self.router(&Spanned::new(0..0, FileRouter::default()))?);
        }
        let mut names = BTreeSet::new();
        for (index, router) in routers.iter().enumerate() {
            if !names.insert(&router.identity) {
                let message = format!("two routers have the identity `{}`", router.identity);
                return Err(self.at_value(&file.router[index], message));
            }
        }
        let state_directory = file.state_directory.clone().unwrap_or_else(default_state_directory);
        let federate = file.federate.as_ref();
        let federate = federate.map(|federate| self.federate(federate, &state_directory));
        let bigquery = file.bigquery.as_ref();
        let bigquery = bigquery.map(|bigquery| self.bigquery(bigquery, &state_directory));
        Ok(Config {
            routers,
            outputs: self.outputs()?,
            federate: federate.transpose()?,
            bigquery: bigquery.transpose()?,
            self_interval: or_seconds(file.self_interval, 30),
            drain_timeout: or_seconds(file.drain_timeout, 5),
            state_directory,
            nice: self.nice()?,
            level: file.log.level.unwrap_or(Level::Info),
            destination: file.log.destination.unwrap_or_default(),
            dependency,
        })
    }

    fn nice(&self) -> Result<i32, String> {
        match &self.file.nice {
            Some(nice) if !(-20..=20).contains(nice.get_ref()) => {
                Err(self.at_value(nice, "a nice value is between -20 and 20"))
            }
            nice => Ok(nice.as_ref().map_or(10, |nice| *nice.get_ref())),
        }
    }

    pub fn check_collector_tables(&self) -> Result<(), String> {
        for (name, settings) in &self.file.collector {
            let entry = registry::find(name)
                .ok_or_else(|| self.at_value(settings, unknown_collector(name)))?;
            for key in settings.get_ref().keys() {
                if !entry.keys.contains(&key) {
                    let mut known = vec!["interval", "timeout"];
                    known.extend(entry.keys);
                    let known = known.join(", ");
                    let message = format!("{name} has no setting `{key}`; it has {known}");
                    return Err(self.at_value(settings, message));
                }
            }
        }
        Ok(())
    }

    fn secret_file(&self, path: &Option<Spanned<PathBuf>>) -> Result<Option<Secret>, String> {
        let read = |path: &Spanned<PathBuf>| {
            Secret::from_file(&named_file(path.get_ref())).map_err(|why| self.at_value(path, why))
        };
        path.as_ref().map(read).transpose()
    }

    fn outputs(&self) -> Result<Vec<Output>, String> {
        let outputs = &self.file.output;
        let mut found = Vec::new();
        let mut add = |kind: OutputKind, queue_bytes_max: Option<Bytes>| {
            let queue_bytes_max = queue_bytes_max.map_or(4 << 20, |bytes| bytes.0);
            let mut output = Output { kind, queue_bytes_max, spool: None };
            output.spool = self.spool(&output);
            found.push(output);
        };
        if let Some(FileStdout { format, queue_bytes_max }) = &outputs.stdout {
            add(OutputKind::Stdout { format: *format }, *queue_bytes_max);
        }
        if let Some(FileFile { path, format, queue_bytes_max }) = &outputs.file {
            add(OutputKind::File { path: path.clone(), format: *format }, *queue_bytes_max);
        }
        if let Some(influxdb) = &outputs.influxdb {
            let kind = OutputKind::Influxdb(self.influxdb(influxdb)?);
            add(kind, influxdb.get_ref().queue_bytes_max);
        }
        if let Some(kafka) = &outputs.kafka {
            add(OutputKind::Kafka(self.kafka(kafka)?), kafka.get_ref().queue_bytes_max);
        }
        if let Some(prometheus) = &outputs.prometheus {
            add(OutputKind::Prometheus(self.prometheus(prometheus)?), None);
        }
        if let Some(remote_write) = &outputs.remote_write {
            let kind = OutputKind::RemoteWrite(self.remote_write(remote_write)?);
            add(kind, remote_write.get_ref().queue_bytes_max);
        }
        if found.is_empty() {
            let kind = OutputKind::Stdout { format: Format::Line };
            found.push(Output { kind, queue_bytes_max: 4 << 20, spool: None });
        }
        Ok(found)
    }

    /// Each output has a directory of its own; standard output is nothing to keep points for, and
    /// Prometheus asks for the latest only.
    fn spool(&self, output: &Output) -> Option<spool::Settings> {
        let file = self.file.spool.as_ref()?;
        if let OutputKind::Stdout { .. } | OutputKind::Prometheus(_) = output.kind {
            return None;
        }
        Some(spool::Settings {
            directory: file.directory.join(output.name()),
            bytes_max: file.bytes_max.map_or(64 << 20, |bytes| bytes.0 as u64),
            age_max: or_seconds(file.age_max, 86400),
            sync_interval: or_seconds(file.sync_interval, 5),
        })
    }

    /// A URL, which has to be there, as it is written.
    fn url<T>(&self, url: &Option<Spanned<String>>, table: &Spanned<T>) -> Result<String, String> {
        let url = url.as_ref().ok_or_else(|| self.at_value(table, "needs a url"))?;
        let text = url.get_ref();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_http = ["http", "https"].contains(&scheme);
        // First: no other error may show the password.
        if authority.contains('@') || !is_http && text.contains('@') {
            let message = "a password does not belong into the url: use username, password_file";
            return Err(self.at_value(url, message));
        }
        if !is_http {
            let message = format!("`{text}` does not begin with http:// or https://");
            return Err(self.at_value(url, message));
        }
        Ok(text.clone())
    }

    /// A server's URL, which paths are added to: without the slash at its end.
    fn base_url<T>(
        &self,
        url: &Option<Spanned<String>>,
        table: &Spanned<T>,
    ) -> Result<String, String> {
        Ok(self.url(url, table)?.trim_end_matches('/').to_string())
    }

    fn login<T>(&self, file: FileLogin, table: &Spanned<T>) -> Result<Login, String> {
        let password = self.secret_file(file.password_file)?;
        let token = self.secret_file(file.token_file)?;
        match (file.username.clone(), password, token) {
            (None, None, None) => Ok(Login::None),
            (Some(username), Some(password), None) => Ok(Login::Basic { username, password }),
            (None, None, Some(token)) => Ok(Login::Bearer(token)),
            (_, _, Some(_)) => {
                Err(self.at_value(table, "either token_file, or username and password_file"))
            }
            _ => Err(self.at_value(table, "username and password_file go together")),
        }
    }

    fn batch_points(&self, file: &Option<Spanned<usize>>, or: usize) -> Result<usize, String> {
        match file {
            Some(points) if *points.get_ref() == 0 => {
                Err(self.at_value(points, "a batch has at least 1 point"))
            }
            points => Ok(points.as_ref().map_or(or, |points| *points.get_ref())),
        }
    }
}

/// The file that a `*_file` key names. systemd gives a unit its secrets in a directory of its own:
/// a path that is not absolute is in there, so that the units of one settings file can share it.
fn named_file(path: &Path) -> PathBuf {
    let directory = std::env::var_os(CREDENTIALS_VARIABLE).unwrap_or_default();
    Path::new(&directory).join(path)
}

/// systemd's, if it has made one for the unit; it may name several.
fn default_state_directory() -> PathBuf {
    let directories = std::env::var(STATE_VARIABLE).unwrap_or_default();
    let first = directories.split(':').next().filter(|first| !first.is_empty());
    first.unwrap_or("/var/db/perijove").into()
}

/// What to say of a collector that does not exist.
pub fn unknown_collector(name: &str) -> String {
    let names: Vec<&str> = registry::collectors().iter().map(|entry| entry.name).collect();
    let nearest = nearest(name, &names).map(|near| format!(", did you mean `{near}`?"));
    let nearest = nearest.unwrap_or_default();
    format!("there is no collector `{name}`{nearest} There are: {}", names.join(" "))
}

/// serde's words about an unknown key, with the key that was probably meant.
fn with_nearest(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((key, known)) if message.starts_with("unknown") => {
            let nearest = nearest(key, known).map(|near| format!(", did you mean `{near}`?"));
            let kind =
                message.split(" `").next().unwrap_or("unknown field").replace("field", "key");
            let known = known.join(", ");
            format!("{kind} `{key}`{} Known here: {known}", nearest.as_deref().unwrap_or("."))
        }
        _ => {
            let message = message.trim_end().replace('\n', "; ");
            message.replace("map, expected a sequence", "one table, expected many: [[router]]")
        }
    }
}

/// The name that differs from `name` by the fewest letters, if they are few.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let best = known.iter().map(|known| (distance(name, known), *known)).min()?;
    (best.0 <= 1 + name.len() / 3).then_some(best.1)
}

/// How many letters have to be replaced, added, left out or swapped with the next one.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // The row before last, the last one, and the one that is made.
    let mut rows = [vec![usize::MAX; b.len() + 1], (0..=b.len()).collect(), vec![0; b.len() + 1]];
    for i in 1..=a.len() {
        rows[2][0] = i;
        for j in 1..=b.len() {
            let replaced = rows[1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            rows[2][j] = replaced.min(rows[1][j] + 1).min(rows[2][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                rows[2][j] = rows[2][j].min(rows[0][j - 2] + 1);
            }
        }
        rows.rotate_left(1);
    }
    rows[1][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Result<Source, String> {
        Source::parse(Some("FILE".into()), text.into())
    }

    pub(super) fn read(text: &str) -> Result<Config, String> {
        source(text).and_then(Source::into_config)
    }

    /// The shipped file is all comments; what stands behind a `#` without a space is a setting.
    #[test]
    fn every_key_of_the_shipped_settings_is_known() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/perijove.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let setting = |line: &str| line.starts_with('#') && !line.starts_with("# ");
        let uncomment =
            |line: &str| if setting(line) { line[1..].to_string() } else { line.into() };
        let text: Vec<String> = text.lines().map(uncomment).collect();
        let file: Result<File, _> = toml::from_str(&text.join("\n"));
        if let Err(err) = file {
            panic!("{path}: {err}");
        }
    }

    #[test]
    fn a_router_s_sockets_are_asked_for_as_often_as_a_machine_s() {
        let interval = |of: &str, name: &str| {
            let text = format!("{of}[[router]]\nidentity = \"a\"\n[dependency]\n");
            let config = read(&text).unwrap();
            let polled = &config.routers[0].collectors;
            let polled = polled.iter().find(|polled| polled.entry.name == name).unwrap();
            polled.interval.as_secs()
        };
        assert_eq!((interval("", "connections"), interval("", "bgp")), (7, 30));
        assert_eq!(interval("interval = \"60s\"\n", "connections"), 60);
    }

    #[test]
    fn errors_name_line_key_and_what_is_allowed() {
        for (name, text, expected) in [
            (
                "key",
                "interval = \"30s\"\ntimeuot = \"5s\"\n",
                "FILE:2: timeuot: unknown key `timeuot`, did you mean `timeout`? Known here:",
            ),
            (
                "table",
                "[output.influxdb]\nurl = \"http://h\"\nbatch_points = 5\n",
                "FILE:3: output.influxdb.batch_points: unknown key `batch_points`, did you mean \
                 `batch_points_max`?",
            ),
            ("time", "interval = \"30\"\n", "FILE:1: interval: `30` is not a time such as"),
            (
                "collector",
                "\ncollectors = [\"rout\"]\n",
                "FILE:2: collectors: there is no collector `rout`, did you mean `route`? There are",
            ),
            (
                "collector-key",
                "[collector.bgp]\nsatellite = true\n",
                "FILE:1: collector.bgp: bgp has no setting `satellite`; it has interval, timeout",
            ),
            ("share", "poll_share_max = 0.0\n", "FILE:1: poll_share_max: a share of time is from"),
            ("user", "[[router]]\ntarget = \"h\"\n", "FILE:1: router: target h needs a username"),
            (
                "layout",
                "[output.kafka]\nbrokers = \"b\"\nlayout = \"jkafkaexporter\"\nvalue = \"line\"\n",
                "FILE:1: output.kafka: a layout has values of its own",
            ),
            (
                "twice",
                "[[router]]\nidentity = \"a\"\n[[router]]\nidentity = \"a\"\n",
                "FILE:3: router: two routers have the identity `a`",
            ),
        ] {
            let err = read(text).unwrap_err();
            assert!(err.starts_with(expected), "{name}: {err}");
        }
    }

    /// Each case: settings, the line that is wrong, and the key with what is said of it.
    #[test]
    fn what_contradicts_itself_is_refused() {
        let v1 = "[output.influxdb]\nurl = \"http://h\"\n";
        let v2 = &format!("{v1}version = 2\norg = \"o\"\nbucket = \"b\"\n");
        let ssh = "[[router]]\ntarget = \"r\"\nusername = \"u\"\n";
        let local = "[[router]]\ncommand = [\"c\"]\n";
        let not_1 = "is for version = 2, and this is version 1";
        let not_2 = "is for version = 1, and this is version 2";
        let not_local = "is for a router that is reached over SSH, by its target";
        let empty = "is empty";
        let taken = "has the name of a tag that points have";
        for (before, setting, why) in [
            (v1, "org = \"o\"", not_1),
            (v1, "bucket = \"b\"", not_1),
            (v1, "token_file = \"/nonexistent\"", not_1),
            (v1, "database = \"\"", empty),
            (v1, "host_tag = \"\"", empty),
            (v1, "host_tag = \"table\"", taken),
            (v1, "host_tag = \"re_name\"", taken),
            (v1, "host_tag = \"remote_hostgroup\"", taken),
            (v1, "host_tag = \"collector\"", taken),
            (v2, "username = \"u\"", not_2),
            (v2, "password_file = \"/nonexistent\"", not_2),
            (v2, "database = \"d\"", not_2),
            (v2, "retention_policy = \"p\"", not_2),
            (local, "target = \"r\"", "is for transport = \"local\""),
            (local, "target = \"\"", empty),
            (local, "identity = \" \"", empty),
            (local, "port = 830", not_local),
            (local, "username = \"u\"", not_local),
            (local, "password_file = \"/nonexistent\"", not_local),
            (local, "password_env = \"PERIJOVE_NOT_SET\"", not_local),
            (local, "private_key = \"/nonexistent\"", not_local),
            (local, "agent = true", not_local),
            (ssh, "command = [\"c\"]", "is for transport = \"local\""),
            (ssh, "transport = \"local\"", not_local),
            ("[dependency]\n", "identity = \"\"", empty),
            ("[limits]\n", "message_bytes_max = \"0\"", "too small"),
            ("[limits]\n", "item_bytes_max = \"1023\"", "too small"),
            (v1, "batch_bytes_max = \"0\"", "too small"),
            (v1, "queue_bytes_max = \"0kB\"", "too small"),
        ] {
            let err = read(&format!("{before}{setting}\n")).unwrap_err();
            assert!(err.starts_with("FILE:") && err.contains(why), "{setting}: {err}");
        }
        for fine in [v1, v2, ssh, local, &format!("{v1}host_tag = \"router\"\n")] {
            assert!(read(fine).is_ok(), "{:?}", read(fine));
        }
    }

    #[test]
    fn own_tags_are_known() {
        let own = crate::daemon::own_metrics::MEASUREMENTS.iter().flat_map(|schema| schema.tags());
        let unknown: Vec<_> = own.filter(|tag| !influxdb::OWN_TAGS.contains(tag)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn a_url_is_taken_as_it_is_written() {
        let origin = |url: &str| {
            let config = read(&format!("[dependency.inventory]\nurl = \"{url}\"\n"))?;
            match config.dependency.and_then(|dependency| dependency.inventory) {
                Some(source::InventorySettings { from: source::Origin::Http(http), .. }) => {
                    Ok(http.url)
                }
                other => panic!("{other:?}"),
            }
        };
        for url in ["http://h/hosts/", "https://h/hosts?owner=a@b", "http://h#@"] {
            assert_eq!(origin(url).as_deref(), Ok(url));
        }
        for url in ["http://u:secret@h/", "ftp://u:secret@h", "u:secret@h", "ftp://u:se/secret@h"] {
            let why = "a password does not belong into the url: use username, password_file";
            let expected = format!("FILE:2: dependency.inventory.url: {why}");
            assert_eq!(origin(url), Err(expected));
        }
        // Paths are added to this one.
        let config = read("[output.influxdb]\nurl = \"http://h/influx/\"\n").unwrap();
        let OutputKind::Influxdb(settings) = &config.outputs[0].kind else { panic!("{config:?}") };
        assert_eq!(settings.url, "http://h/influx");
    }

    /// Each command can do without the secrets of the others, which may run as another unit.
    #[test]
    fn a_command_looks_at_its_own_tables() {
        let secret = "username = \"u\"\npassword_file = \"/nonexistent\"\n";
        let text = |broken: &str| {
            let secret = |table: &str| if table == broken { secret } else { "" };
            format!(
                "[[router]]\ntarget = \"r\"\n{}\n[federate]\nurl = \"http://p\"\n{}\n\
                 [output.influxdb]\nurl = \"http://h\"\n{}\n[bigquery]\nproject = \"p\"\n\
                 dataset = \"d\"\n[bigquery.influxdb]\nurl = \"http://h\"\n{}",
                if broken == "router" { secret("router") } else { "username = \"u\"" },
                secret("federate"),
                secret("output"),
                secret("bigquery"),
            )
        };
        for (table, polling, federate, bigquery) in [
            ("router", false, true, true),
            ("federate", true, false, true),
            ("output", false, false, true),
            ("bigquery", true, true, false),
        ] {
            let source = || source(&text(table)).unwrap();
            let does = |source: Source| source.into_config().is_ok();
            assert_eq!(does(source().only_polling().unwrap()), polling, "{table}");
            assert_eq!(does(source().only_federate().unwrap()), federate, "{table}");
            assert_eq!(does(source().only_bigquery()), bigquery, "{table}");
            assert!(!does(source()), "{table}");
        }
    }
}
