//! The command line: one table of commands, one of flags; help and checks iterate over them.

pub mod reference;

use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use time::format_description::well_known::Rfc3339;
use time::{Date, OffsetDateTime};
use toml::Spanned;

use crate::base::clock::now_ns;
use crate::base::inventory::Shared;
use crate::base::lock_file;
use crate::base::sync::Stop;
use crate::bigquery::load::{self, Loader, Options};
use crate::collector::reader::{Reader, Reply, Tally, read_reply};
use crate::collector::{Poll, Settings};
use crate::config::{
    self, Config, File, FileInfluxdb, FileKafka, FilePrometheus, FileRouter, Level, Source, nearest,
};
use crate::daemon::{self, Hangups, log_to};
use crate::dependency::source;
use crate::federate::query::Client;
use crate::netconf::rpc_error::Meaning;
use crate::output::line_protocol::LineProtocol;
use crate::output::{exposition, json, spool};
use crate::point::{Batch, Points};
use crate::poll::registry;
use crate::poll::status::RouterStatus;
use crate::poll::{self, RouterPoller};
use crate::xml::items::Limits;

struct Command {
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    run: fn(&Arguments) -> Result<(), Exit>,
}

const COMMANDS: &[Command] = &[
    Command { name: "run", arguments: "", help: "poll until told to stop (the default)", run },
    Command {
        name: "once",
        arguments: "",
        help: "poll every collector once, print, exit",
        run: once,
    },
    Command {
        name: "check",
        arguments: "",
        help: "check the settings, open each session and each output, say what works",
        run: check,
    },
    Command {
        name: "collectors",
        arguments: "[NAME]",
        help: "the reference: RPCs, measurements, fields",
        run: show_collectors,
    },
    Command {
        name: "parse",
        arguments: "COLLECTOR [FILE]",
        help: "make points of a recorded <rpc-reply>, from FILE or standard input",
        run: parse,
    },
    Command {
        name: "record",
        arguments: "DIR",
        help: "save each collector's raw replies, for a bug report or a fixture",
        run: record,
    },
    Command {
        name: "federate",
        arguments: "",
        help: "roll up a fleet's dependencies from Prometheus, until told to stop",
        run: federate,
    },
    Command {
        name: "bigquery",
        arguments: "",
        help: "load the roll-up from InfluxDB into BigQuery, until told to stop",
        run: bigquery,
    },
];

struct Flag {
    name: &'static str,
    short: Option<char>,
    /// What its value is; a flag without takes none.
    value: &'static str,
    help: &'static str,
    set: fn(&mut Flags, &str) -> Result<(), String>,
}

/// What a flag may change.
#[derive(Default)]
struct Flags {
    config: Option<PathBuf>,
    format: Option<String>,
    verbose: usize,
    quiet: bool,
    once: bool,
    create: bool,
    dry_run: bool,
    from: Option<Date>,
    to: Option<Date>,
    file: File,
}

impl Flags {
    /// How much is logged, if they say so.
    fn level(&self) -> Option<Level> {
        match (self.quiet, self.verbose) {
            (true, _) => Some(Level::Error),
            (false, 0) => None,
            (false, 1) => Some(Level::Debug),
            (false, _) => Some(Level::Trace),
        }
    }

    /// Changes the one router that there is.
    fn router(&mut self, set: impl FnOnce(&mut FileRouter)) -> Result<(), String> {
        let routers = &mut self.file.router;
        if routers.is_empty() {
            routers.push(typed(FileRouter::default()));
        }
        match &mut routers[..] {
            [router] => set(router.as_mut()),
            routers => {
                let number = routers.len();
                return Err(format!("is for one router, and the settings have {number}"));
            }
        }
        Ok(())
    }

    /// The InfluxDB output.
    fn influxdb(&mut self, set: impl FnOnce(&mut FileInfluxdb)) -> Result<(), String> {
        let influxdb = &mut self.file.output.influxdb;
        set(influxdb.get_or_insert_with(|| typed(FileInfluxdb::default())).as_mut());
        Ok(())
    }

    /// The Kafka output.
    fn kafka(&mut self, set: impl FnOnce(&mut FileKafka)) -> Result<(), String> {
        let kafka = &mut self.file.output.kafka;
        set(kafka.get_or_insert_with(|| typed(FileKafka::default())).as_mut());
        Ok(())
    }

    /// The Prometheus output.
    fn prometheus(&mut self, set: impl FnOnce(&mut FilePrometheus)) -> Result<(), String> {
        let prometheus = &mut self.file.output.prometheus;
        set(prometheus.get_or_insert_with(|| typed(FilePrometheus::default())).as_mut());
        Ok(())
    }
}

fn value<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not {what}"))
}

fn day(text: &str) -> Result<Date, String> {
    let midnight = OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339);
    midnight.map(OffsetDateTime::date).map_err(|_| format!("`{text}` is no day such as 2026-03-31"))
}

/// A value that has no place in a settings file.
fn typed<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

macro_rules! flag {
    ($name:literal, $short:expr, $value:literal, $help:literal, $set:expr) => {
        Flag { name: $name, short: $short, value: $value, help: $help, set: $set }
    };
}

const FLAGS: &[Flag] = &[
    flag!("config", Some('c'), "FILE", "settings file", |f, v| {
        f.config = Some(v.into());
        Ok(())
    }),
    flag!("name", None, "NAME", "name of the router in every point", |f, v| {
        f.router(|r| (r.name, r.identity) = (Some(typed(v.into())), None))
    }),
    flag!("target", Some('t'), "HOST", "router to reach over SSH", |f, v| {
        f.router(|r| r.target = Some(v.into()))
    }),
    flag!("port", Some('p'), "N", "its port (830)", |f, v| {
        let port = value(v, "a port")?;
        f.router(|r| r.port = Some(port))
    }),
    flag!("transport", None, "ssh|local", "over SSH, or through a child process", |f, v| {
        let transport = match v {
            "ssh" => config::Transport::Ssh,
            "local" => config::Transport::Local,
            _ => return Err(format!("`{v}` is neither ssh nor local")),
        };
        f.router(|r| r.transport = Some(transport))
    }),
    flag!("command", None, "\"CMD ARGS\"", "the child process of the local transport", |f, v| {
        f.router(|r| {
            r.transport = Some(config::Transport::Local);
            r.command = Some(v.split_ascii_whitespace().map(String::from).collect());
        })
    }),
    flag!("username", Some('u'), "NAME", "user to log in as", |f, v| {
        f.router(|r| r.username = Some(v.into()))
    }),
    flag!("private-key", Some('i'), "FILE", "private key to log in with", |f, v| {
        f.router(|r| r.private_key = Some(typed(v.into())))
    }),
    flag!("passphrase-file", None, "FILE", "its passphrase (or PERIJOVE_PASSPHRASE)", |f, v| {
        f.router(|r| r.passphrase_file = Some(typed(v.into())))
    }),
    flag!(
        "password-file",
        None,
        "FILE",
        "password to log in with (or PERIJOVE_PASSWORD)",
        |f, v| { f.router(|r| r.password_file = Some(typed(v.into()))) }
    ),
    flag!("known-hosts", None, "FILE", "host keys to trust (~/.ssh/known_hosts)", |f, v| {
        f.router(|r| r.known_hosts = Some(v.into()))
    }),
    flag!("interval", None, "TIME", "time between two polls of a collector (30s)", |f, v| {
        f.file.interval = Some(v.parse()?);
        Ok(())
    }),
    flag!("timeout", None, "TIME", "time limit of one RPC (30s)", |f, v| {
        f.file.timeout = Some(v.parse()?);
        Ok(())
    }),
    flag!("collectors", None, "A,B,…", "what to collect", |f, v| {
        let names = v.split(',').map(|name| name.trim().to_string());
        f.file.collectors = Some(typed(names.filter(|name| !name.is_empty()).collect()));
        Ok(())
    }),
    flag!("influxdb", None, "URL", "push to InfluxDB there", |f, v| {
        f.influxdb(|i| i.url = Some(typed(v.into())))
    }),
    flag!("database", None, "NAME", "into this database (perijove)", |f, v| {
        f.influxdb(|i| i.database = Some(v.into()))
    }),
    flag!("kafka", None, "BROKERS", "push to Kafka there: host:port, …", |f, v| {
        f.kafka(|k| k.brokers = Some(v.into()))
    }),
    flag!("dependency", None, "", "map what this machine talks to", |f, _| {
        f.file.dependency.get_or_insert_default();
        Ok(())
    }),
    flag!("listen", None, "ADDR", "serve Prometheus at host:port", |f, v| {
        f.prometheus(|p| p.listen = Some(typed(v.into())))
    }),
    flag!(
        "format",
        Some('f'),
        "NAME",
        "line, json or prometheus; text, markdown or json",
        |f, v| {
            f.format = Some(v.into());
            Ok(())
        }
    ),
    flag!("once", None, "", "federate, bigquery: write what is due, and end", |f, _| {
        f.once = true;
        Ok(())
    }),
    flag!("create", None, "", "bigquery: make the tables that are not there", |f, _| {
        f.create = true;
        Ok(())
    }),
    flag!("dry-run", None, "", "bigquery: print the rows and write nothing", |f, _| {
        f.dry_run = true;
        Ok(())
    }),
    flag!("from", None, "DAY", "bigquery: load the days from this one (UTC) …", |f, v| {
        f.from = Some(day(v)?);
        Ok(())
    }),
    flag!("to", None, "DAY", "… to this one, such as 2026-03-31", |f, v| {
        f.to = Some(day(v)?);
        Ok(())
    }),
    flag!("verbose", Some('v'), "", "log more; twice: even more", |f, _| {
        f.verbose += 1;
        Ok(())
    }),
    flag!("quiet", Some('q'), "", "log errors only", |f, _| {
        f.quiet = true;
        Ok(())
    }),
];

/// Why the program ends other than well.
enum Exit {
    /// Exit code 1; said already if empty.
    Failed(String),
    /// Exit code 2: the command line or the settings are wrong.
    Usage(String),
}

/// What the command line comes to.
enum Typed {
    Command(&'static Command, Box<Arguments>),
    /// `--help` or `--version`, and the answer.
    Question(String),
}

/// What was typed.
struct Arguments {
    warnings: Vec<String>,
    typed: Vec<(&'static Flag, String)>,
    flags: Flags,
    positional: Vec<String>,
}

/// Does what the command line says.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let result = match read_arguments(arguments) {
        Ok(Typed::Command(command, arguments)) => (command.run)(&arguments),
        Ok(Typed::Question(answer)) => say(&answer),
        Err(message) => Err(Exit::Usage(message)),
    };
    let (message, code) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Exit::Failed(message)) => (message, 1),
        Err(Exit::Usage(message)) => (message, 2),
    };
    if !message.is_empty() {
        log_to::last_words(&message);
    }
    ExitCode::from(code)
}

fn read_arguments(arguments: impl Iterator<Item = OsString>) -> Result<Typed, String> {
    let mut parser = lexopt::Parser::from_iter(arguments);
    let mut warnings = Vec::new();
    let mut typed = Vec::new();
    let mut positional = Vec::new();
    while let Some(argument) = parser.next().map_err(|err| err.to_string())? {
        let flag = match &argument {
            lexopt::Arg::Value(value) => {
                positional.push(value.to_string_lossy().into_owned());
                continue;
            }
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => {
                return Ok(Typed::Question(help()));
            }
            lexopt::Arg::Short('V') | lexopt::Arg::Long("version") => {
                let version = concat!("perijove ", env!("CARGO_PKG_VERSION"), "\n");
                return Ok(Typed::Question(version.into()));
            }
            lexopt::Arg::Long("identity") => {
                warnings.push("--identity is now called --name; the next release drops it".into());
                FLAGS.iter().find(|flag| flag.name == "name")
            }
            lexopt::Arg::Short(short) => FLAGS.iter().find(|flag| flag.short == Some(*short)),
            lexopt::Arg::Long(long) => FLAGS.iter().find(|flag| flag.name == *long),
        };
        let Some(flag) = flag else { return Err(unknown_flag(&argument)) };
        let mut text = String::new();
        if !flag.value.is_empty() {
            let value = parser.value().map_err(|err| err.to_string())?;
            text =
                value.into_string().map_err(|v| format!("--{}: {v:?} is not text", flag.name))?;
        }
        typed.push((flag, text));
    }
    let name = if positional.is_empty() { "run".into() } else { positional.remove(0) };
    let command = COMMANDS.iter().find(|command| command.name == name).ok_or_else(|| {
        let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
        let near = nearest(&name, &names).map(|near| format!(", did you mean `{near}`?"));
        let near = near.unwrap_or_default();
        format!("there is no command `{name}`{near} There are: {}", names.join(" "))
    })?;
    let most = command.arguments.split_ascii_whitespace().count();
    let least = command.arguments.split_ascii_whitespace().filter(|a| !a.starts_with('[')).count();
    let Command { name, arguments, .. } = command;
    if let Some(extra) = positional.get(most) {
        return Err(format!("`{extra}` is one too many: perijove {name} {arguments}"));
    }
    if positional.len() < least {
        return Err(format!("something is missing: perijove {name} {arguments}"));
    }
    let flags = apply(&typed, File::default())?;
    Ok(Typed::Command(command, Box::new(Arguments { warnings, typed, flags, positional })))
}

/// The settings with what was typed.
fn apply(typed: &[(&'static Flag, String)], file: File) -> Result<Flags, String> {
    let mut flags = Flags { file, ..Flags::default() };
    for (flag, text) in typed {
        (flag.set)(&mut flags, text).map_err(|err| format!("--{}: {err}", flag.name))?;
    }
    Ok(flags)
}

fn unknown_flag(argument: &lexopt::Arg) -> String {
    let name = match argument {
        lexopt::Arg::Long(name) => format!("--{name}"),
        lexopt::Arg::Short(name) => format!("-{name}"),
        lexopt::Arg::Value(_) => String::new(),
    };
    let names: Vec<&str> = FLAGS.iter().map(|flag| flag.name).collect();
    let near = nearest(name.trim_start_matches('-'), &names);
    let near = near.map(|near| format!(", did you mean --{near}?")).unwrap_or_default();
    format!("there is no flag {name}{near} See perijove --help")
}

fn help() -> String {
    let mut help = String::from(
        "perijove: operational state of Junos routers as InfluxDB line protocol, Kafka records\n\
         and Prometheus metrics\n\nUsage: perijove [COMMAND] [FLAGS]\n\nCommands:\n",
    );
    for Command { name, arguments, help: text, .. } in COMMANDS {
        help += &format!("  {:<28} {text}\n", format!("{name} {arguments}"));
    }
    help += "\nFlags:\n";
    for Flag { name, short, value, help: text, .. } in FLAGS {
        let short = short.map_or("    ".into(), |short| format!("-{short}, "));
        help += &format!("  {short}{:<24} {text}\n", format!("--{name} {value}"));
    }
    help +=
        "  -h, --help                   this text\n  -V, --version                the version\n\n";
    help += &format!(
        "Without --config the settings are read from {} if it is there.\n\
         Exit codes: 0 done, 1 failed, 2 the command line or the settings are wrong.\n",
        config::DEFAULT_PATH
    );
    help
}

impl Arguments {
    /// The settings file with what the flags change.
    fn source(&self) -> Result<Source, String> {
        let default = Path::new(config::DEFAULT_PATH);
        let mut source = match &self.flags.config {
            Some(path) => Source::read(path)?,
            None if default.exists() => Source::read(default)?,
            None => Source::empty(),
        };
        let flags = apply(&self.typed, std::mem::take(&mut source.file))?;
        let level = flags.level();
        source.file = flags.file;
        source.file.log.level = level.or(source.file.log.level);
        Ok(source)
    }

    /// The settings, and logging as they say.
    fn start(&self) -> Result<Config, Exit> {
        let config = self.source().and_then(Source::into_config).map_err(Exit::Usage)?;
        self.start_log(&config);
        Ok(config)
    }

    fn start_log(&self, config: &Config) {
        log_to::start(config.destination, config.level);
        for warning in self.warnings.iter().chain(&config.warnings) {
            log::warn!("{warning}");
        }
    }

    /// Settings that `read` gives. If nobody watches, what is wrong with them is said in syslog
    /// too, where they want their log there.
    fn unwatched(&self, read: &dyn Fn() -> Result<Config, String>) -> Result<Config, Exit> {
        read().map_err(|why| {
            let path = self.flags.config.as_deref().unwrap_or(Path::new(config::DEFAULT_PATH));
            let destination = Source::log_destination(path);
            if destination == config::Destination::Syslog && !io::stderr().is_terminal() {
                log_to::start(destination, Level::Error);
            }
            Exit::Usage(why)
        })
    }

    fn format<T: Copy>(&self, formats: &[(&str, T)]) -> Result<T, Exit> {
        let Some(name) = &self.flags.format else { return Ok(formats[0].1) };
        let found = formats.iter().find(|(known, _)| known == name);
        found.map(|(_, format)| *format).ok_or_else(|| {
            let names: Vec<&str> = formats.iter().map(|(name, _)| *name).collect();
            Exit::Usage(format!("--format: `{name}` is none of {}", names.join(", ")))
        })
    }
}

fn run(arguments: &Arguments) -> Result<(), Exit> {
    let hangups = hold_hangups()?;
    let read = || arguments.source()?.only_polling()?.into_config();
    run_daemon(arguments, hangups, &read)
}

fn federate(arguments: &Arguments) -> Result<(), Exit> {
    let hangups = hold_hangups()?;
    let read = || arguments.source()?.only_federate()?.into_config();
    if !arguments.flags.once {
        return run_daemon(arguments, hangups, &read);
    }
    let config = arguments.unwatched(&read)?;
    arguments.start_log(&config);
    daemon::federate_once(config, hangups).map_err(Exit::Failed)
}

fn bigquery(arguments: &Arguments) -> Result<(), Exit> {
    let Flags { once, create, dry_run, from, to, .. } = arguments.flags;
    let stays = from.is_none() && to.is_none() && !once && !dry_run;
    let hangups = stays.then(hold_hangups).transpose()?;
    let none = || "the settings have no [bigquery]: it needs a project and a dataset".to_string();
    let all = || arguments.source()?.only_bigquery().into_config();
    let read = || all()?.bigquery.ok_or_else(none);
    let config = arguments.unwatched(&all)?;
    arguments.start_log(&config);
    let settings = config.bigquery.ok_or_else(|| Exit::Usage(none()))?;
    let options = Options { create, dry_run };
    // Days that are asked for are loaded whoever else runs: nothing is remembered of them.
    let _lock = match from {
        None if !dry_run => {
            let lock = lock_file::hold(&config.state_directory, "bigquery.lock");
            lock.map_err(Exit::Failed)?
        }
        _ => None,
    };
    if let Some(hangups) = hangups {
        return daemon::bigquery(settings, options, hangups, &read).map_err(Exit::Failed);
    }
    let days = match (from, to) {
        (None, None) => None,
        (Some(from), to) => Some((from, to.unwrap_or(from))),
        (None, Some(_)) => return Err(Exit::Usage("--to: goes with --from".into())),
    };
    let mut loader = Loader::new(&settings, options, &Stop::default()).map_err(Exit::Failed)?;
    let loaded = match days {
        None => loader.once(),
        Some((from, to)) => {
            let start = |day: Date| day.midnight().assume_utc().unix_timestamp() as u64 * 1000;
            let end = to.next_day().map_or(u64::MAX, start);
            loader.range(start(from), end)
        }
    };
    loaded.map_err(Exit::Failed)
}

fn hold_hangups() -> Result<Hangups, Exit> {
    Hangups::hold().map_err(Exit::Failed)
}

fn run_daemon(
    arguments: &Arguments,
    hangups: Hangups,
    read: &dyn Fn() -> Result<Config, String>,
) -> Result<(), Exit> {
    let config = arguments.unwatched(read)?;
    arguments.start_log(&config);
    daemon::run(config, hangups, read).map_err(Exit::Failed)
}

#[derive(Clone, Copy, PartialEq)]
enum PointFormat {
    Line,
    Json,
    Prometheus,
}

const POINT_FORMATS: &[(&str, PointFormat)] = &[
    ("line", PointFormat::Line),
    ("json", PointFormat::Json),
    ("prometheus", PointFormat::Prometheus),
];

/// Prints points in a format: as they come, or at the end where the format wants them together.
struct Printer {
    format: PointFormat,
    out: BufWriter<io::StdoutLock<'static>>,
    scratch: Vec<u8>,
    kept: Vec<(String, String, u64, Points)>,
    failed: Option<io::Error>,
}

impl Printer {
    fn new(format: PointFormat) -> Printer {
        let out = BufWriter::new(io::stdout().lock());
        Printer { format, out, scratch: Vec::new(), kept: Vec::new(), failed: None }
    }

    fn print(&mut self, batch: &Batch) {
        self.scratch.clear();
        match self.format {
            PointFormat::Line => {
                LineProtocol::default().encode(batch, &mut self.scratch);
            }
            PointFormat::Json => json::encode(batch, &mut self.scratch),
            PointFormat::Prometheus => {
                let (node, collector) = (batch.node.to_string(), batch.collector.to_string());
                self.kept.push((node, collector, batch.time_ns, batch.points.clone()));
            }
        }
        if self.failed.is_none() {
            self.failed = self.out.write_all(&self.scratch).err();
        }
    }

    fn finish(mut self) -> Result<(), Exit> {
        let kept = self.kept.iter();
        let batches: Vec<Batch> = kept
            .map(|(node, collector, time_ns, points)| Batch {
                node,
                collector,
                time_ns: *time_ns,
                points,
            })
            .collect();
        let written = match self.failed.take() {
            Some(err) => Err(err),
            None => exposition::write(&batches, &mut self.out).and_then(|duplicates| {
                if duplicates > 0 {
                    log::warn!("{duplicates} samples were left out: their series were there");
                }
                self.out.flush()
            }),
        };
        printed(written)
    }
}

/// Prints a text at once.
fn say(text: &str) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    printed(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

fn printed(written: io::Result<()>) -> Result<(), Exit> {
    match written {
        // The reader has seen enough (`perijove once | head`).
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|err| Exit::Failed(format!("cannot print: {err}"))),
    }
}

fn once(arguments: &Arguments) -> Result<(), Exit> {
    let config = arguments.start()?;
    let mut printer = Printer::new(arguments.format(POINT_FORMATS)?);
    let failed = poll_once(&config, None, &mut |batch| printer.print(batch));
    printer.finish()?;
    failed
}

fn record(arguments: &Arguments) -> Result<(), Exit> {
    let config = arguments.start()?;
    let directory = PathBuf::from(&arguments.positional[0]);
    std::fs::create_dir_all(&directory)
        .map_err(|err| Exit::Failed(format!("cannot make {}: {err}", directory.display())))?;
    poll_once(&config, Some(&directory), &mut |_| {})
}

/// Polls every collector of every router once; fails if any did.
fn poll_once(
    config: &Config,
    record: Option<&Path>,
    emit: &mut dyn FnMut(&Batch),
) -> Result<(), Exit> {
    let mut failed = Vec::new();
    let inventory = Shared::default();
    if let (Some(settings), None) = (&config.dependency, record) {
        for mut source in source::sources(settings, &inventory).map_err(Exit::Failed)? {
            if source.run_once(emit).is_err() {
                failed.push(source.status.source.to_string());
            }
        }
    }
    for router in &config.routers {
        let status = Arc::new(RouterStatus::new(router));
        let mut poller = RouterPoller::new(router, status, &inventory);
        poller.record = record.map(Path::to_path_buf);
        let all: Vec<usize> = (0..router.collectors.len()).collect();
        let outcomes = poller.poll(&all, emit);
        poller.close();
        for (polled, outcome) in router.collectors.iter().zip(outcomes) {
            if outcome.failure().is_some() {
                failed.push(format!("{} {}", router.name, polled.entry.name));
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Exit::Failed(format!("failed: {}", failed.join(", "))))
}

fn check(arguments: &Arguments) -> Result<(), Exit> {
    let config = arguments.start()?;
    let mut failed = false;
    let mut report = |what: &str, result: Result<String, String>| match result {
        Ok(words) => say(&format!("ok      {what}: {words}\n")),
        Err(why) => {
            failed = true;
            say(&format!("FAILED  {what}: {why}\n"))
        }
    };
    for router in &config.routers {
        let session = poll::connect(router).map_err(|err| err.0).map(|session| {
            let capabilities = session.capabilities.len();
            let words = format!("session {}, {capabilities} capabilities", session.session_id);
            session.close();
            words
        });
        report(&format!("router {}", router.name), session)?;
    }
    if let Some(settings) = &config.dependency {
        match source::sources(settings, &Shared::default()) {
            Ok(sources) => {
                for mut source in sources {
                    let mut points = 0;
                    let found = source.run_once(&mut |batch| points += batch.points.len());
                    let words = |found: source::Found| {
                        let source::Found { items, rejected, .. } = found;
                        format!("{items} found, {rejected} left out, {points} points")
                    };
                    report(&format!("source {}", source.status.source), found.map(words))?;
                }
            }
            Err(why) => report("sources", Err(why))?,
        }
    }
    if let Some(federate) = &config.federate {
        let checked = Client::new(&federate.query).and_then(|client| client.check());
        report("federate", checked)?;
    }
    if let Some(bigquery) = &config.bigquery {
        report("bigquery", load::check(bigquery))?;
    }
    for output in &config.outputs {
        let checked = daemon::make_output(output).and_then(|mut parts| parts.check());
        report(&format!("output {}", output.name()), checked)?;
        if let Some(spool) = &output.spool {
            report(&format!("spool of {}", output.name()), spool::check(&spool.directory))?;
        }
    }
    if failed { Err(Exit::Failed(String::new())) } else { Ok(()) }
}

fn show_collectors(arguments: &Arguments) -> Result<(), Exit> {
    type Format = fn(&[&crate::collector::Entry]) -> String;
    let formats: [(&str, Format); 3] =
        [("text", reference::text), ("markdown", reference::markdown), ("json", reference::json)];
    let format = arguments.format(&formats)?;
    let entries = match arguments.positional.first() {
        Some(name) => vec![find_collector(name)?],
        None => registry::collectors().iter().collect(),
    };
    say(&format(&entries))
}

fn find_collector(name: &str) -> Result<&'static crate::collector::Entry, Exit> {
    registry::find(name).ok_or_else(|| Exit::Usage(config::unknown_collector(name)))
}

fn parse(arguments: &Arguments) -> Result<(), Exit> {
    let format = arguments.format(POINT_FORMATS)?;
    let entry = find_collector(&arguments.positional[0])?;
    let level = arguments.flags.level().unwrap_or(Level::Warn);
    log_to::start(config::Destination::Stderr, level);
    let mut reply = Vec::new();
    let (name, read) = match arguments.positional.get(1) {
        Some(path) => (path.as_str(), std::fs::read(path).map(|bytes| reply = bytes)),
        None => ("standard input", io::stdin().read_to_end(&mut reply).map(|_| ())),
    };
    read.map_err(|err| Exit::Failed(format!("cannot read {name}: {err}")))?;
    let settings = match &arguments.flags.config {
        Some(path) => {
            let mut source = Source::read(path).map_err(Exit::Usage)?;
            source.check_collector_tables().map_err(Exit::Usage)?;
            source.file.collector.remove(entry.name).map(Spanned::into_inner).unwrap_or_default()
        }
        None => Settings::default(),
    };
    let mut poll = (entry.start)(&settings);
    let time_ns = now_ns();
    let mut points = Points::default();
    points.asked_ns = Some(time_ns);
    let result = parse_reply(&mut *poll, &reply, &mut points);
    let router = arguments.flags.file.router.first();
    let name = router.and_then(|router| router.get_ref().name.as_ref());
    let node = name.map_or_else(String::new, |name| name.get_ref().clone());
    let mut printer = Printer::new(format);
    printer.print(&Batch { node: &node, collector: entry.name, time_ns, points: &points });
    printer.finish()?;
    result.map_err(|why| Exit::Failed(format!("{name}: {why}")))
}

/// Reads a reply as the answer to each of a collector's queries that it may answer.
pub fn parse_reply(poll: &mut dyn Poll, reply: &[u8], points: &mut Points) -> Result<(), String> {
    let limits = Limits { message_bytes_max: usize::MAX, ..Limits::default() };
    let reply = reply.strip_prefix(b"\xef\xbb\xbf").unwrap_or(reply);
    let mut last = Reply::default();
    let mut failed = None;
    let mut roots = Vec::new();
    for query in 0..poll.queries() {
        if (0..query).any(|other| poll.reads_alike(query, other)) {
            continue;
        }
        roots.extend(poll.roots(query));
        let mut tally = Tally::default();
        let mut readers = [Reader { poll, query, points, tally: &mut tally }];
        // Everything is printed together: no batch is handed on before.
        let read = read_reply(reply, &mut readers, &limits, &mut |_, _| {});
        if let Some(why) = tally.first_rejected {
            log::warn!("{} items were left out, first {why}", tally.rejected);
        }
        if let Some(why) = tally.first_misfit {
            log::info!("{} values were left out, first {why}", tally.misfits);
        }
        match read {
            Ok(read) if query == 0 || read.items > 0 => last = read,
            Ok(_) => {}
            // What stands before the fault may be another query's.
            Err(err) => failed = failed.or(Some(err.to_string())),
        }
    }
    points.set_re_name("");
    if let Some(why) = failed {
        return Err(why);
    }
    match (last.refusal(), &last.root) {
        (Some((Meaning::Failed | Meaning::Unsupported, why)), _) => return Err(why),
        // A poller, too, ends a collector's poll that nothing runs for.
        (Some((_, why)), _) => {
            log::warn!("no data: {why}");
            poll.finish(points);
        }
        (None, Some(root)) if last.items == 0 && !roots.contains(&root.as_str()) => {
            return Err(format!("<{root}> is not its reply, which is <{}>", roots.join("> or <")));
        }
        (None, _) => poll.finish(points),
    }
    Ok(())
}
