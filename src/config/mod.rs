//! Settings: exactly what was written first (`File`), then one conversion to what runs (`Config`).
//!
//! Nothing else reads settings files, flags or the environment. Every error says the file, the
//! line, the key and what is allowed there.

mod place;
mod nearest;
mod read;
mod values;
mod dependency;
mod federate;
mod bigquery;
mod influxdb;
mod kafka;
mod prometheus;
mod remote_write;
mod outputs;
mod collector;
mod router;
mod confined;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::base::sandbox::Files;
use crate::base::units::{Interval, Time, Timeout, or_seconds};
use crate::collector::Entry;
use crate::collector::settings::Configured;
use crate::dependency::source;
use crate::poll;
use collector::FileCollector;
use place::{Written, note};
use router::Defaults;

pub use bigquery::FileBigquery;
pub use collector::unknown_collector;
pub use confined::Sandbox;
pub use dependency::FileDependency;
pub use federate::FileFederate;
pub use influxdb::FileInfluxdb;
pub use kafka::FileKafka;
pub use nearest::or_nearest;
pub use outputs::{FileOutputs, FileSpool, Format, Output, OutputKind};
pub use prometheus::FilePrometheus;
pub use router::{FileLimits, FileRouter, Transport};

/// Where the settings are on the router, when no flag says otherwise.
pub const DEFAULT_PATH: &str = "/var/db/perijove/perijove.toml";
/// systemd.exec(5): of StateDirectory=.
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
    pub sandbox: Sandbox,
    pub master_only: Option<bool>,
    pub re_slot: Option<u32>,
    pub limits: FileLimits,
    pub log: FileLog,
    pub router: Vec<Spanned<FileRouter>>,
    /// Each is read as its collector has it: `collector::read`.
    pub collector: BTreeMap<String, toml::Table>,
    pub output: FileOutputs,
    pub spool: Option<FileSpool>,
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
    /// What confined threads may open; `None` if no thread is confined.
    pub sandbox: Option<Files>,
    /// Warnings about settings that are accepted.
    pub warnings: Vec<String>,
}

/// A settings file: its text, and what could be read of it.
pub struct Source {
    written: Written,
    pub file: File,
    collectors: BTreeMap<&'static str, FileCollector>,
    /// What could not be read.
    faults: Vec<String>,
}

impl Source {
    /// No settings file: flags alone.
    pub fn empty() -> Source {
        Source::parse(None, String::new())
    }

    pub fn read(path: &Path) -> Result<Source, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|err| format!("cannot read the settings file {}: {err}", path.display()))?;
        Ok(Source::parse(Some(path.into()), text))
    }

    /// The settings in a text; the path is for errors.
    pub fn parse(path: Option<PathBuf>, text: String) -> Source {
        let written = Written::new(path, text);
        let (file, mut faults) = read::read(&written);
        let (collectors, more) = collector::read(&written);
        faults.extend(more);
        Source { written, file, collectors, faults }
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

    /// Checks everything and fills in defaults. The error has a line for each fault.
    pub fn into_config(self) -> Result<Config, String> {
        let Source { written, file, collectors, faults } = &self;
        let faults = &mut faults.clone();
        let defaults = Defaults {
            interval: file.interval,
            timeout: file.timeout,
            collectors: file.collectors.as_ref(),
            poll_share_max: note(faults, self.poll_share_max()).unwrap_or_default(),
            master_only: file.master_only.unwrap_or(false),
            re_slot: file.re_slot,
            limits: &file.limits,
            collector: collectors,
            dependency: file.dependency.as_ref(),
        };
        let own = [Spanned::new(0..0, FileRouter::default())];
        // A machine that maps its own dependencies, or rolls up a fleet's, need not be a router.
        let is_for_routers =
            file.dependency.is_none() && file.federate.is_none() && file.bigquery.is_none();
        let listed = match &file.router[..] {
            [] if is_for_routers => &own[..],
            listed => listed,
        };
        let mut routers: Vec<poll::router::Router> = Vec::new();
        for written_router in listed {
            let read = router::router(written, written_router, &defaults, faults);
            let Some(router) = read else { continue };
            if routers.iter().any(|other| other.name == router.name) {
                let message = format!("two routers have the name `{}`", router.name);
                faults.push(written.at_value(written_router, message));
            }
            routers.push(router);
        }
        let has_routers = !file.router.is_empty();
        let dependency = file.dependency.as_ref();
        let dependency = dependency.map(|file| dependency::settings(written, file, has_routers));
        let state_directory = file.state_directory.clone().unwrap_or_else(default_state_directory);
        let federate = file.federate.as_ref();
        let federate =
            federate.map(|federate| federate::settings(written, federate, &state_directory));
        let bigquery = file.bigquery.as_ref();
        let bigquery =
            bigquery.map(|bigquery| bigquery::settings(written, bigquery, &state_directory));
        let outputs = outputs::outputs(written, &file.output, file.spool.as_ref(), faults);
        let named = file.router.iter().flat_map(|router| router.get_ref().files());
        let sandbox = (file.sandbox == Sandbox::Auto)
            .then(|| confined::files(written, named, &state_directory, &outputs));
        let config = Config {
            sandbox,
            routers,
            outputs,
            federate: federate.and_then(|federate| note(faults, federate)),
            bigquery: bigquery.and_then(|bigquery| note(faults, bigquery)),
            self_interval: or_seconds(file.self_interval, 30),
            drain_timeout: or_seconds(file.drain_timeout, 5),
            state_directory,
            nice: note(faults, self.nice()).unwrap_or_default(),
            level: file.log.level.unwrap_or(Level::Info),
            destination: file.log.destination.unwrap_or_default(),
            dependency: dependency.and_then(|dependency| note(faults, dependency)),
            warnings: written.warnings.take(),
        };
        if faults.is_empty() { Ok(config) } else { Err(faults.join("\n")) }
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
        if !self.faults.is_empty() {
            return Err(self.faults.join("\n"));
        }
        let set = self.collectors.get(entry.name);
        Ok(set.map_or(entry.by_default(), |set| &set.configured).clone())
    }
}

/// systemd's, if it has made one for the unit; it may name several.
fn default_state_directory() -> PathBuf {
    let directories = std::env::var(STATE_VARIABLE).unwrap_or_default();
    let first = directories.split(':').next().filter(|first| !first.is_empty());
    first.unwrap_or("/var/db/perijove").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::parse(Some("FILE".into()), text.into())
    }

    pub(super) fn read(text: &str) -> Result<Config, String> {
        source(text).into_config()
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
        assert_eq!(source(&text.join("\n")).faults, [""; 0], "{path}");
    }

    #[test]
    fn a_router_s_sockets_are_asked_for_as_often_as_a_machine_s() {
        let interval = |of: &str, name: &str| {
            let text = format!("{of}[[router]]\nname = \"a\"\n[dependency]\n");
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
                "FILE:2: collector.bgp.satellite: bgp has no setting `satellite`. It has interval, \
                 timeout, description_labels, logical_systems",
            ),
            (
                "collector-value",
                "[collector.connections]\nudp = true\n[collector.connections.daemons]\nx = \"y\"\n",
                "FILE:3: collector.connections.daemons: `x` is not a port",
            ),
            (
                "collector-interval",
                "[collector.alarm]\nignore = \"a\"\nintervall = \"9s\"\n",
                "FILE:3: collector.alarm.intervall: alarm has no setting `intervall`, did you mean \
                 `interval`? It has interval, timeout, ignore",
            ),
            (
                "collector-pattern",
                "[collector.alarm]\ninterval = \"9s\"\nignore = \"[\"\n",
                "FILE:3: collector.alarm.ignore: `[` is not a regular expression",
            ),
            (
                "collector-time",
                "[collector.alarm]\nignore = \"a\"\ninterval = \"9\"\n",
                "FILE:3: collector.alarm.interval: `9` is not a time such as",
            ),
            (
                "collector-name",
                "[collector.alarms]\nignore = \"a\"\n",
                "FILE:1: collector.alarms: there is no collector `alarms`, did you mean `alarm`?",
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
                "[[router]]\nname = \"a\"\n[[router]]\nname = \"a\"\n",
                "FILE:3: router: two routers have the name `a`",
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
            (local, "name = \" \"", empty),
            (local, "port = 830", not_local),
            (local, "username = \"u\"", not_local),
            (local, "password_file = \"/nonexistent\"", not_local),
            (local, "password_env = \"PERIJOVE_NOT_SET\"", not_local),
            (local, "private_key = \"/nonexistent\"", not_local),
            (local, "agent = true", not_local),
            (ssh, "command = [\"c\"]", "is for transport = \"local\""),
            (ssh, "transport = \"local\"", not_local),
            ("[dependency]\n", "name = \"\"", empty),
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
    fn all_faults_are_said_at_once() {
        let text = "\
intervall = \"30s\"
nice = 30
collectors = [\"bgp\", \"rout\"]

[[router]]
target = \"a\"
usernme = \"u\"
port = 70000

[[router]]
target = \"b\"

[[router]]
target = \"b:\"
username = \"u\"

[output.influxdb]
url = \"ftp://h\"

[output.kafka]
topic = \"t\"

[output.prometheus]
expire_intervals = 0
gzip = \"yes\"
";
        let said = read(text).map(drop).unwrap_err();
        let lines: Vec<&str> = said.lines().collect();
        let expected = [
            "FILE:1: intervall: unknown key `intervall`, did you mean `interval`?",
            "FILE:7: router.usernme: unknown key `usernme`, did you mean `username`?",
            "FILE:8: router.port: invalid value: integer `70000`, expected u16",
            "FILE:25: output.prometheus.gzip: invalid type: string \"yes\", expected a boolean",
            "FILE:3: collectors: there is no collector `rout`, did you mean `route`?",
            "FILE:10: router: target b needs a username",
            "FILE:14: router.target: `b:` is not a host, host:port or [IPv6 address]:port",
            "FILE:18: output.influxdb.url: `ftp://h` does not begin with http:// or https://",
            "FILE:20: output.kafka: needs brokers",
            "FILE:2: nice: a nice value is between -20 and 20",
        ];
        let is_said = |expected: &&str| lines.iter().any(|line| line.starts_with(expected));
        let missing: Vec<_> = expected.iter().filter(|expected| !is_said(expected)).collect();
        assert!(missing.is_empty(), "{missing:#?} in\n{said}");
        assert_eq!(lines.len(), expected.len(), "{said}");
    }

    #[test]
    fn an_old_key_is_taken_with_a_warning() {
        let config =
            read("[[router]]\nidentity = \"a\"\n[dependency]\nidentity = \"b\"\n").unwrap();
        assert_eq!(config.routers[0].name, "a");
        assert_eq!(config.dependency.map(|dependency| dependency.name).as_deref(), Some("b"));
        let say = "is now called name; the next release drops the old key";
        let expected = [
            format!("FILE:2: router.identity: identity {say}"),
            format!("FILE:4: dependency.identity: identity {say}"),
        ];
        assert_eq!(config.warnings, expected);
        let both = read("[[router]]\nname = \"a\"\nidentity = \"a\"\n").map(drop);
        let why = "identity is the old key for name, which is set too: remove identity";
        assert_eq!(both, Err(format!("FILE:3: router.identity: {why}")));
    }

    #[test]
    fn a_target_may_have_its_port() {
        let reached = |router: &str| {
            let config = read(&format!("[[router]]\nusername = \"u\"\n{router}\n"))?;
            match &config.routers[0].link {
                poll::router::Link::Ssh(ssh) => Ok((ssh.target.clone(), ssh.port)),
                other => panic!("{other:?}"),
            }
        };
        for (router, host, port) in [
            ("target = \"mx1\"", "mx1", 830),
            ("target = \"mx1\"\nport = 22", "mx1", 22),
            ("target = \"mx1:22\"", "mx1", 22),
            ("target = \"mx1:22\"\nport = 22", "mx1", 22),
            ("target = \"192.0.2.1:2222\"", "192.0.2.1", 2222),
            ("target = \"2001:db8::2\"", "2001:db8::2", 830),
            ("target = \"[2001:db8::2]\"", "2001:db8::2", 830),
            ("target = \"[2001:db8::2]:22\"", "2001:db8::2", 22),
        ] {
            assert_eq!(reached(router), Ok((host.into(), port)), "{router}");
        }
        let is_not = "is not a host, host:port or [IPv6 address]:port";
        for (router, why) in [
            ("target = \"mx1:\"", format!("`mx1:` {is_not}")),
            ("target = \"mx1:ssh\"", format!("`mx1:ssh` {is_not}")),
            ("target = \":22\"", format!("`:22` {is_not}")),
            ("target = \"[::1]22\"", format!("`[::1]22` {is_not}")),
            (
                "target = \"mx1:22\"\nport = 23",
                "the target has the port 22, and port is 23: keep one".into(),
            ),
        ] {
            assert_eq!(reached(router), Err(format!("FILE:3: router.target: {why}")), "{router}");
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
            let source = || source(&text(table));
            let does = |source: Source| source.into_config().is_ok();
            assert_eq!(does(source().only_polling().unwrap()), polling, "{table}");
            assert_eq!(does(source().only_federate().unwrap()), federate, "{table}");
            assert_eq!(does(source().only_bigquery()), bigquery, "{table}");
            assert!(!does(source()), "{table}");
        }
    }
}
