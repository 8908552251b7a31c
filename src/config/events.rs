//! `[events]`.

use serde::Deserialize;
use toml::Spanned;

use super::place::Written;
use super::syslog::FileSyslog;
use crate::base::units::{Time, or_seconds};
use crate::event::state::{EventsConfig, Limits};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileEvents {
    pub enabled: Option<bool>,
    pub subjects_max: Option<Spanned<usize>>,
    pub flaps_max: Option<Spanned<u32>>,
    pub flaps_window: Option<Time>,
    pub log: bool,
    pub syslog: Option<Spanned<FileSyslog>>,
}

/// States of a router that are kept where the settings say nothing: at most 6 MB.
const SUBJECTS_MAX: usize = 100_000;
/// A file says how many states it holds in 32 bits, and is read whole.
const SUBJECTS_LARGEST: usize = 4_000_000;

/// How events are found; `None` where they are not wanted.
pub fn settings(written: &Written, file: &FileEvents) -> Result<Option<EventsConfig>, String> {
    let subjects_max = match &file.subjects_max {
        Some(max) if !(1..=SUBJECTS_LARGEST).contains(max.get_ref()) => {
            let why = format!("a router has 1 to {SUBJECTS_LARGEST} states that are kept");
            return Err(written.at_value(max, why));
        }
        max => max.as_ref().map_or(SUBJECTS_MAX, |max| *max.get_ref()),
    };
    let flaps_max = match &file.flaps_max {
        Some(max) if *max.get_ref() == 0 => {
            return Err(written.at_value(max, "at least 1 event; enabled = false turns them off"));
        }
        max => max.as_ref().map_or(10, |max| *max.get_ref()),
    };
    let window = or_seconds(file.flaps_window, 600).as_secs();
    let flaps_window_s = u32::try_from(window).unwrap_or(u32::MAX);
    let limits = Limits { subjects_max, flaps_max, flaps_window_s };
    Ok(file.enabled.unwrap_or(true).then_some(EventsConfig { limits, log: file.log }))
}
