//! `configuration_interval`: whether the configuration of the router that perijove runs on has
//! settings too.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::link::is_own_cli;
use super::place::Written;
use crate::base::units::Interval;
use crate::poll::router::{Link, Router};

/// A time, or `off`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct OrOff(Option<Duration>);

impl TryFrom<String> for OrOff {
    type Error = String;
    fn try_from(text: String) -> Result<OrOff, String> {
        if text == "off" {
            return Ok(OrOff(None));
        }
        text.parse().map(|interval: Interval| OrOff(Some(interval.0)))
    }
}

const BY_DEFAULT: Duration = Duration::from_secs(30);

/// Marks the router whose configuration is looked at: the first that is reached by a command. If
/// that is not the router's own cli, it is looked at only if the setting says so.
pub fn mark(
    written: &Written,
    set: &Option<Spanned<OrOff>>,
    routers: &mut [Router],
) -> Result<(), String> {
    let is_local = |router: &&mut Router| matches!(router.link, Link::Local { .. });
    let local = routers.iter_mut().find(is_local);
    match (local, set.as_ref().map(|set| (set, set.get_ref().0))) {
        (Some(router), Some((_, interval))) => router.configuration_interval = interval,
        (Some(router), None) => {
            router.configuration_interval = is_own_cli(&router.link).then_some(BY_DEFAULT);
        }
        (None, Some((set, Some(_)))) => {
            let why = "settings are read from the configuration of the router that perijove runs \
                       on, and none here has transport = \"local\"";
            return Err(written.at_value(set, why));
        }
        (None, _) => {}
    }
    Ok(())
}
