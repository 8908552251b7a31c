//! Settings from the router's own configuration: what was heard of it, and what became of that.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use super::{last_macros, log_to};
use crate::base::text::safe;
use crate::config::{Config, Source};
use crate::point::{Definition, Measurement, Points, counter, gauge, text};
use crate::poll;
use crate::poll::configuration::{Macros, NAME};

/// How long the program waits for the router before it starts with the settings file alone.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Of a line that says what is wrong.
const LINE_BYTES_MAX: usize = 1024;

/// What is said of it in the metrics.
#[derive(Clone, Debug, Default)]
pub struct ConfigurationStatus {
    parameters: u64,
    changes: u64,
    refusals: u64,
    failures: u64,
    /// Why what is committed is not in use.
    refused: Option<String>,
    /// Why the configuration could not be read the last time.
    failed: Option<String>,
}

pub static CONFIGURATION: Measurement<ConfigurationStatus> = Measurement::new(|| Definition {
    name: "perijove_configuration",
    help: "Settings in the router's own configuration.",
    tags: &[],
    fields: vec![
        gauge("refused", "", "1 while those that are committed are not in use.", |s| {
            Some(u64::from(s.refused.is_some()))
        }),
        gauge("success", "", "1 if the configuration could be read the last time.", |s| {
            Some(u64::from(s.failed.is_none()))
        }),
        gauge("parameters", "", "Parameters that are in use.", |s| Some(s.parameters)),
        counter("changes_total", "", "Changes that are in use.", |s| Some(s.changes)),
        counter("refusals_total", "", "Changes that were refused.", |s| Some(s.refusals)),
        counter("failures_total", "", "Times that it could not be read.", |s| Some(s.failures)),
        text("error", "Why they are not in use, or could not be read.", |s| {
            s.refused.as_deref().or(s.failed.as_deref())
        }),
    ],
});

/// The point about it.
pub fn points(status: &ConfigurationStatus, points: &mut Points) {
    points.push(&CONFIGURATION, &[], status);
}

/// The macros that the router has, and what became of them.
#[derive(Default)]
pub struct Configured {
    pub macros: Macros,
    status: Option<ConfigurationStatus>,
    /// What was found before there was a log.
    unsaid: Vec<(log::Level, String)>,
    /// Keeps the macros that were in use last.
    file: PathBuf,
    is_unsaved: bool,
}

/// The settings to start with: those of the file with those of the router's configuration. If the
/// router cannot be asked, or has wrong ones, the macros that were in use last take their place.
pub fn start(
    read: &dyn Fn(&Macros) -> Result<Source, String>,
) -> Result<(Config, Configured), String> {
    let file = read(&Macros::new())?;
    let Some(router) = file.asked() else {
        return Ok((file.into_config()?, Configured::default()));
    };
    let kept = file.state_directory().join("macros");
    let mut configured = Configured { file: kept, ..Configured::default() };
    let whole = |macros: &Macros| read(macros).and_then(Source::into_config);
    let refused = match configured.hears(poll::read_macros(&router, START_PATIENCE)).map(whole) {
        Some(Ok(config)) => {
            configured.taken();
            return Ok((config, configured));
        }
        Some(Err(why)) => Some(why),
        None if configured.is_heard() => return Ok((file.into_config()?, configured)),
        None => None,
    };
    let last = last_macros::load(&configured.file);
    let (config, instead) = match whole(&last) {
        Ok(config) if !last.is_empty() => (config, "those that were in use last are used"),
        // The file may not be whole without macros: then what is wrong with them is said.
        _ => {
            let alone = file.into_config();
            (
                alone.map_err(|why| refused.clone().unwrap_or(why))?,
                "the settings file alone is used",
            )
        }
    };
    configured.starts_with(last, refused.as_deref(), instead);
    Ok((config, configured))
}

impl Configured {
    /// What to tell of it in the metrics, where a router's configuration is looked at.
    pub fn status(&self) -> Option<&ConfigurationStatus> {
        self.status.as_ref()
    }

    /// Takes an answer of the router; the macros, if they are others than before.
    pub fn hears(&mut self, heard: Result<Macros, String>) -> Option<&Macros> {
        let status = self.status.get_or_insert_default();
        match heard {
            Ok(macros) => {
                if let Some(why) = status.failed.take() {
                    let said = format!("the configuration can be read again, after: {why}");
                    self.unsaid.push((log::Level::Info, said));
                }
                if macros == self.macros {
                    return None;
                }
                self.macros = macros;
                Some(&self.macros)
            }
            Err(why) => {
                status.failures += 1;
                if status.failed.as_ref() != Some(&why) {
                    let said = format!(
                        "the router's configuration cannot be read, its settings stay as they \
                         are: {why}"
                    );
                    self.unsaid.push((log::Level::Warn, said));
                }
                status.failed = Some(why);
                None
            }
        }
    }

    /// Whether the configuration could be read the last time.
    fn is_heard(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.failed.is_none())
    }

    /// Starts with other macros than the router's, which are wrong or not known.
    fn starts_with(&mut self, last: Macros, refused: Option<&str>, instead: &str) {
        if let Some(status) = &mut self.status {
            status.parameters = last.len() as u64;
        }
        match refused {
            Some(why) => self.refused(why, instead),
            None => {
                self.macros = last;
                self.unsaid.push((log::Level::Warn, format!("until it can be read, {instead}")));
            }
        }
    }

    /// The macros are in use from now on.
    pub fn taken(&mut self) {
        self.is_unsaved = true;
        let Some(status) = &mut self.status else { return };
        status.refused = None;
        status.changes += 1;
        status.parameters = self.macros.len() as u64;
        let said = format!(
            "{} parameters of apply-macro {NAME} in the router's configuration are in use",
            status.parameters
        );
        self.unsaid.push((log::Level::Info, said));
    }

    /// The settings file was changed so that the macros fit, if they did not.
    pub fn are_right(&mut self) {
        if self.status.as_ref().is_some_and(|status| status.refused.is_some()) {
            self.taken();
        }
    }

    /// The macros are wrong; `instead` says what is used.
    pub fn refused(&mut self, why: &str, instead: &str) {
        let Some(status) = &mut self.status else { return };
        status.refusals += 1;
        let lines: Vec<String> = why.lines().map(|line| safe(line, LINE_BYTES_MAX)).collect();
        status.refused = lines.first().cloned();
        self.unsaid.extend(lines.into_iter().map(|line| (log::Level::Error, line)));
        let said = format!("apply-macro {NAME} is not used as it is committed: {instead}");
        self.unsaid.push((log::Level::Error, said));
    }

    /// Keeps what is in use now, and says what is new, also in the router's syslog: there an
    /// operator looks after a commit.
    pub fn say(&mut self) {
        if std::mem::take(&mut self.is_unsaved)
            && let Err(err) = last_macros::save(&self.file, &self.macros)
            // As with the lock: in the foreground on another machine.
            && err.kind() != ErrorKind::NotFound
        {
            log::warn!("cannot write {}: {err}", self.file.display());
        }
        for (level, said) in self.unsaid.drain(..) {
            log_to::tell(level, &said);
        }
    }
}
