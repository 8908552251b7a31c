//! The flags: what each is called, takes and changes. Commands list those that they take.

use std::path::PathBuf;

use time::Date;
use toml::Spanned;

use crate::config::{File, FileInfluxdb, FileKafka, FilePrometheus, FileRouter, Level, Transport};

pub struct Flag {
    pub name: &'static str,
    pub short: Option<char>,
    /// What its value is; a flag without takes none.
    pub value: &'static str,
    pub help: &'static str,
    pub set: fn(&mut Flags, &str) -> Result<(), String>,
}

/// What flags change: the settings, and what a command does.
#[derive(Default)]
pub struct Flags {
    pub config: Option<PathBuf>,
    pub format: Option<String>,
    pub description: Option<PathBuf>,
    pub verbose: usize,
    pub quiet: bool,
    pub connect: bool,
    pub from_configuration: bool,
    pub follow: bool,
    pub url: Option<String>,
    /// Who logs in to the listener.
    pub username: Option<String>,
    pub once: bool,
    pub anonymous: bool,
    pub create: bool,
    pub dry_run: bool,
    pub from: Option<Date>,
    pub to: Option<Date>,
    pub file: File,
}

impl Flags {
    /// How much is logged, if a flag says so.
    pub fn level(&self) -> Option<Level> {
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

    fn influxdb(&mut self) -> &mut FileInfluxdb {
        let influxdb = &mut self.file.output.influxdb;
        influxdb.get_or_insert_with(|| typed(FileInfluxdb::default())).as_mut()
    }

    fn kafka(&mut self) -> &mut FileKafka {
        let kafka = &mut self.file.output.kafka;
        kafka.get_or_insert_with(|| typed(FileKafka::default())).as_mut()
    }

    fn prometheus(&mut self) -> &mut FilePrometheus {
        let prometheus = &mut self.file.output.prometheus;
        prometheus.get_or_insert_with(|| typed(FilePrometheus::default())).as_mut()
    }
}

fn value<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is not {what}"))
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

/// Where the settings are.
pub const SETTINGS: &[Flag] = &[flag!("config", Some('c'), "FILE", "settings file", |f, v| {
    f.config = Some(v.into());
    Ok(())
})];

pub const NAME: &[Flag] =
    &[flag!("name", None, "NAME", "the router's name in every point", |f, v| f
        .router(|r| (r.name, r.identity) = (Some(typed(v.into())), None)))];

/// The one router to reach.
pub const ROUTER: &[Flag] = &[
    flag!("target", Some('t'), "HOST[:PORT]", "router to reach over SSH", |f, v| {
        f.router(|r| r.target = Some(typed(v.into())))
    }),
    flag!("port", Some('p'), "N", "its port (830)", |f, v| {
        let port = value(v, "a port")?;
        f.router(|r| r.port = Some(port))
    }),
    flag!("transport", None, "ssh|openssh|local", "how it is reached (ssh)", |f, v| {
        let transport = match v {
            "ssh" => Transport::Ssh,
            "openssh" => Transport::Openssh,
            "local" => Transport::Local,
            _ => return Err(format!("`{v}` is neither ssh, openssh nor local")),
        };
        f.router(|r| r.transport = Some(transport))
    }),
    flag!("command", None, "\"CMD ARGS\"", "the child process of the local transport", |f, v| {
        f.router(|r| {
            r.transport = Some(Transport::Local);
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
        |f, v| f.router(|r| r.password_file = Some(typed(v.into())))
    ),
    flag!("known-hosts", None, "FILE", "host keys to trust (~/.ssh/known_hosts)", |f, v| {
        f.router(|r| r.known_hosts = Some(v.into()))
    }),
];

pub const INTERVAL: &[Flag] =
    &[flag!("interval", None, "TIME", "time between two polls of a collector (30s)", |f, v| {
        f.file.interval = Some(v.parse()?);
        Ok(())
    })];

/// The keys of the settings that flags set, as far as a router's configuration may set them too.
pub const KEYS: &[(&str, &str)] = &[
    ("collectors", "collectors"),
    ("database", "output.influxdb.database"),
    ("influxdb", "output.influxdb.url"),
    ("interval", "interval"),
    ("kafka", "output.kafka.brokers"),
    ("listen", "output.prometheus.listen"),
    ("quiet", "log.level"),
    ("timeout", "timeout"),
    ("verbose", "log.level"),
];

/// What routers are asked.
pub const POLLING: &[Flag] = &[
    flag!("collectors", None, "A,B,…", "collectors to run", |f, v| {
        let names = v.split(',').map(|name| name.trim().to_string());
        f.file.collectors = Some(typed(names.filter(|name| !name.is_empty()).collect()));
        Ok(())
    }),
    flag!("timeout", None, "TIME", "time limit of one RPC (30s)", |f, v| {
        f.file.timeout = Some(v.parse()?);
        Ok(())
    }),
];

pub const DEPENDENCY: &[Flag] =
    &[flag!("dependency", None, "", "map what this machine talks to", |f, _| {
        f.file.dependency.get_or_insert_default();
        Ok(())
    })];

/// Where points go.
pub const PUSH: &[Flag] = &[
    flag!("influxdb", None, "URL", "push to the InfluxDB at this URL", |f, v| {
        f.influxdb().url = Some(typed(v.into()));
        Ok(())
    }),
    flag!("database", None, "NAME", "the InfluxDB database (perijove)", |f, v| {
        f.influxdb().database = Some(v.into());
        Ok(())
    }),
    flag!("kafka", None, "BROKERS", "push to Kafka at these brokers: host:port, …", |f, v| {
        f.kafka().brokers = Some(v.into());
        Ok(())
    }),
];

/// Where they are asked for.
pub const LISTEN: &[Flag] =
    &[flag!("listen", None, "ADDR", "serve Prometheus at host:port", |f, v| {
        f.prometheus().listen = Some(typed(v.into()));
        Ok(())
    })];

pub const SUPERVISE: &[Flag] =
    &[flag!("supervise", None, "", "start again after any end that is no stop", |f, _| {
        f.file.supervise = Some(true);
        Ok(())
    })];

fn set_format(flags: &mut Flags, format: &str) -> Result<(), String> {
    flags.format = Some(format.into());
    Ok(())
}

/// How points are printed.
pub const POINT_FORMAT: &[Flag] =
    &[flag!("format", Some('f'), "line|json|prometheus", "print in this format", set_format)];

/// How a map is printed.
#[cfg(feature = "map")]
pub const MAP_FORMAT: &[Flag] =
    &[flag!("format", Some('f'), "html|json|dot|mermaid", "print in this format", set_format)];

/// How the reference is printed.
pub const TEXT_FORMAT: &[Flag] =
    &[flag!("format", Some('f'), "text|markdown|json|toml", "print in this format", set_format)];

pub const DESCRIPTION: &[Flag] =
    &[flag!("description", None, "FILE", "read as the collector that this describes", |f, v| {
        f.description = Some(v.into());
        Ok(())
    })];

/// How findings are printed, and how much is tried.
pub const CHECK: &[Flag] = &[
    flag!("connect", None, "", "only open each session, without a poll", |f, _| {
        f.connect = true;
        Ok(())
    }),
    flag!(
        "from-configuration",
        None,
        "",
        "with the macros in the router's configuration",
        |f, _| {
            f.from_configuration = true;
            Ok(())
        }
    ),
    flag!("format", Some('f'), "text|json", "print in this format", set_format),
];

/// Whose events are printed, and how.
pub const EVENTS: &[Flag] = &[
    flag!("follow", None, "", "go on with what comes", |f, _| {
        f.follow = true;
        Ok(())
    }),
    flag!("url", None, "URL", "the listener (as the settings have it)", |f, v| {
        f.url = Some(v.into());
        Ok(())
    }),
    flag!("as", None, "NAME", "user of the listener, with PERIJOVE_PASSWORD", |f, v| {
        f.username = Some(v.into());
        Ok(())
    }),
    flag!("format", Some('f'), "text|json", "print in this format", set_format),
];

pub const ANONYMOUS: &[Flag] =
    &[flag!("anonymous", None, "", "hide addresses, names and serial numbers too", |f, _| {
        f.anonymous = true;
        Ok(())
    })];

#[cfg(feature = "federation")]
pub const ONCE: &[Flag] = &[flag!("once", None, "", "write what is due, and exit", |f, _| {
    f.once = true;
    Ok(())
})];

/// What is loaded into BigQuery, and whether tables are made for it.
#[cfg(feature = "federation")]
pub const LOAD: &[Flag] = &[
    flag!("create", None, "", "create the tables that are missing", |f, _| {
        f.create = true;
        Ok(())
    }),
    flag!("dry-run", None, "", "print the rows and write nothing", |f, _| {
        f.dry_run = true;
        Ok(())
    }),
    flag!("from", None, "DAY", "load from this day on (UTC)", |f, v| {
        f.from = Some(day(v)?);
        Ok(())
    }),
    flag!("to", None, "DAY", "up to this day, such as 2026-03-31", |f, v| {
        f.to = Some(day(v)?);
        Ok(())
    }),
];

#[cfg(feature = "federation")]
fn day(text: &str) -> Result<Date, String> {
    use time::format_description::well_known::Rfc3339;
    let midnight = time::OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339);
    midnight
        .map(time::OffsetDateTime::date)
        .map_err(|_| format!("`{text}` is not a day such as 2026-03-31"))
}

/// How much is logged.
pub const LOG: &[Flag] = &[
    flag!("verbose", Some('v'), "", "log more; twice: even more", |f, _| {
        f.verbose += 1;
        Ok(())
    }),
    flag!("quiet", Some('q'), "", "log errors only", |f, _| {
        f.quiet = true;
        Ok(())
    }),
];
