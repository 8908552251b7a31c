//! A command, and what was typed for it.

use std::io::{self, IsTerminal};
use std::path::Path;

use crate::base::http_client;
use crate::config::{self, Config, File, Level, Source};
use crate::daemon::log_to;

use super::flags::{self, Flag, Flags};
use crate::poll::configuration::Macros;

/// A command of the program. Help is made from it.
pub struct Command {
    pub name: &'static str,
    /// What it takes besides flags; what may be left out is in brackets.
    pub arguments: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    /// More about it, in a few lines.
    pub about: &'static str,
    pub example: &'static str,
    pub flags: &'static [&'static [Flag]],
    pub run: fn(&Arguments) -> Result<(), Exit>,
}

impl Command {
    pub fn flags(&self) -> impl Iterator<Item = &'static Flag> {
        self.flags.iter().copied().flatten()
    }

    /// How it is typed.
    pub fn usage(&self) -> String {
        let flags = if self.flags.is_empty() { "" } else { "[FLAGS]" };
        let words = ["perijove", self.name, self.arguments, flags];
        let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words.join(" ")
    }
}

/// Why the program ends without success.
pub enum Exit {
    /// Exit code 1; empty if the reason was printed already.
    Failed(String),
    /// Exit code 2: the command line or the settings are wrong.
    Usage(String),
}

/// What was typed after the command.
pub struct Arguments {
    pub typed: Vec<(&'static Flag, String)>,
    pub flags: Flags,
    pub positional: Vec<String>,
    /// Warnings about flags that are accepted.
    pub warnings: Vec<String>,
}

/// The settings with what was typed.
pub fn apply(typed: &[(&'static Flag, String)], file: File) -> Result<Flags, String> {
    let mut flags = Flags { file, ..Flags::default() };
    for (flag, text) in typed {
        (flag.set)(&mut flags, text).map_err(|err| format!("--{}: {err}", flag.name))?;
    }
    Ok(flags)
}

impl Arguments {
    /// The settings file with what the flags change.
    pub fn source(&self) -> Result<Source, String> {
        self.source_with(&Macros::new())
    }

    /// The same with what the router's configuration adds, which comes last.
    pub fn source_with(&self, macros: &Macros) -> Result<Source, String> {
        let default = Path::new(config::DEFAULT_PATH);
        let mut source = match &self.flags.config {
            Some(path) => Source::read_with(path, macros)?,
            None if default.exists() => Source::read_with(default, macros)?,
            None => Source::parse_with(None, String::new(), macros),
        };
        for (flag, key) in flags::KEYS {
            if self.typed.iter().any(|(typed, _)| typed.name == *flag) {
                source.has_flag(flag, key);
            }
        }
        let flags = apply(&self.typed, std::mem::take(&mut source.file))?;
        let level = flags.level();
        source.file = flags.file;
        source.file.log.level = level.or(source.file.log.level);
        Ok(source)
    }

    /// The settings, and logging as they say.
    pub fn start(&self) -> Result<Config, Exit> {
        let config = self.source().and_then(Source::into_config).map_err(Exit::Usage)?;
        self.begin(&config);
        Ok(config)
    }

    /// The settings that `read` returns, with logging started. Without a terminal, an error in them
    /// goes to syslog too, if that is their log's destination.
    pub fn start_unwatched(
        &self,
        read: &dyn Fn() -> Result<Config, String>,
    ) -> Result<Config, Exit> {
        let config = read().map_err(|why| {
            let path = self.flags.config.as_deref().unwrap_or(Path::new(config::DEFAULT_PATH));
            let destination = Source::log_destination(path);
            if destination == config::Destination::Syslog && !io::stderr().is_terminal() {
                log_to::start(destination, Level::Error);
            }
            Exit::Usage(why)
        })?;
        self.begin(&config);
        Ok(config)
    }

    /// The same with these macros, at this log level unless a flag asks for another.
    pub fn start_at(&self, level: Level, macros: &Macros) -> Result<Config, Exit> {
        let config = self.source_with(macros).and_then(Source::into_config);
        let mut config = config.map_err(Exit::Usage)?;
        config.level = self.flags.level().unwrap_or(level);
        self.begin(&config);
        Ok(config)
    }

    fn begin(&self, config: &Config) {
        http_client::set_route(config.proxy.clone());
        log_to::start(config.destination, config.level);
        for warning in self.warnings.iter().chain(&config.warnings) {
            log::warn!("{warning}");
        }
    }

    /// The format that is asked for by its name; the first, if none is.
    pub fn format<T: Copy>(&self, formats: &[(&str, T)]) -> Result<T, Exit> {
        let Some(name) = &self.flags.format else { return Ok(formats[0].1) };
        let found = formats.iter().find(|(known, _)| known == name);
        found.map(|(_, format)| *format).ok_or_else(|| {
            let names: Vec<&str> = formats.iter().map(|(name, _)| *name).collect();
            Exit::Usage(format!("--format: `{name}` is not one of {}", names.join(", ")))
        })
    }
}
