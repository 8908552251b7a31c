//! Where log lines go: standard error in the foreground, syslog by setting.

use std::io::{self, IsTerminal, Write};
use std::num::NonZeroU8;
use std::sync::atomic::{AtomicBool, Ordering};

use log::{LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;
use time::OffsetDateTime;
use time::format_description::well_known::Iso8601;
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};

use crate::base::{panics, secret, sys};
use crate::config::{Destination, Level};

/// Passes on what perijove itself says, at the level that is set.
struct Logger {
    write: fn(&Record),
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }
    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) && is_ours(record.target()) {
            (self.write)(record);
        }
    }
    fn flush(&self) {}
}

static IS_SYSLOG: AtomicBool = AtomicBool::new(false);

fn to_syslog(record: &Record) {
    sys::syslog(record.level(), &record.args().to_string());
}

const MILLISECONDS: EncodedConfig = Config::DEFAULT
    .set_time_precision(TimePrecision::Second { decimal_digits: NonZeroU8::new(3) })
    .encode();

/// For a standard error that is no terminal. A full disk, or a pipe without a reader, costs the
/// line; simple_logger uses `eprintln!`, which would panic.
fn to_stderr(record: &Record) {
    let time = OffsetDateTime::now_utc().format(&Iso8601::<MILLISECONDS>).unwrap_or_default();
    let (level, target, words) = (record.level(), record.target(), record.args());
    // In one write: other processes may write to the same file.
    let line = format!("{time} {level:<5} [{target}] {words}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}

fn is_ours(target: &str) -> bool {
    target.starts_with("perijove")
}

/// Libraries stay silent at any level: their traces show what goes over the wire, passwords too.
pub fn start(destination: Destination, level: Level) {
    match destination {
        Destination::Syslog => {
            sys::open_syslog();
            let _ = log::set_logger(&Logger { write: to_syslog });
            IS_SYSLOG.store(true, Ordering::Relaxed);
        }
        Destination::Stderr if io::stderr().is_terminal() => {
            let logger = SimpleLogger::new().with_utc_timestamps().with_level(LevelFilter::Off);
            let _ = logger.with_module_level("perijove", LevelFilter::Trace).init();
        }
        Destination::Stderr => _ = log::set_logger(&Logger { write: to_stderr }),
    }
    set_level(level);
    panics::watch();
    secret::log_early_warnings();
}

/// Says why the program ends: on standard error, and in syslog if the log goes there. If neither
/// can be written, there is still the exit code.
pub fn last_words(message: &str) {
    let _ = writeln!(io::stderr(), "perijove: {message}");
    if IS_SYSLOG.load(Ordering::Relaxed) {
        sys::syslog(log::Level::Error, message);
    }
}

/// Logs this, and says it in syslog even if the log goes elsewhere: it is for who looks there.
pub fn tell(level: log::Level, message: &str) {
    log::log!(level, "{message}");
    if !IS_SYSLOG.load(Ordering::Relaxed) {
        sys::open_syslog();
        sys::syslog(level, message);
    }
}

pub fn set_level(level: Level) {
    log::set_max_level(match level {
        Level::Error => LevelFilter::Error,
        Level::Warn => LevelFilter::Warn,
        Level::Info => LevelFilter::Info,
        Level::Debug => LevelFilter::Debug,
        Level::Trace => LevelFilter::Trace,
    });
}
