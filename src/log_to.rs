//! Where log lines go: standard error in the foreground, syslog by setting.

use log::{LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

use crate::config::{Destination, Level};
use crate::sys;

struct Syslog;

impl Log for Syslog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level()
    }
    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) && is_ours(record.target()) {
            sys::syslog(record.level(), &record.args().to_string());
        }
    }
    fn flush(&self) {}
}

fn is_ours(target: &str) -> bool {
    target.starts_with("perijove")
}

/// Libraries stay silent at any level: their traces show what goes over the wire, passwords too.
pub fn start(destination: Destination, level: Level) {
    let level = match level {
        Level::Error => LevelFilter::Error,
        Level::Warn => LevelFilter::Warn,
        Level::Info => LevelFilter::Info,
        Level::Debug => LevelFilter::Debug,
        Level::Trace => LevelFilter::Trace,
    };
    match destination {
        Destination::Syslog => {
            sys::open_syslog();
            log::set_max_level(level);
            let _ = log::set_logger(&Syslog);
        }
        Destination::Stderr => {
            let logger = SimpleLogger::new().with_utc_timestamps().with_level(LevelFilter::Off);
            let _ = logger.with_module_level("perijove", level).init();
        }
    }
}
