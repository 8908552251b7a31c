//! A router as its poller sees it: how it is reached, and what it is asked.

use std::time::Duration;

use super::shard::Shard;
use crate::collector::Entry;
use crate::collector::settings::Configured;
use crate::netconf::{openssh, ssh};
use crate::point::{Load, Tags};
use crate::xml::items::Limits;

#[derive(Clone, Debug, PartialEq)]
pub struct Router {
    pub name: String,
    pub link: Link,
    /// The way that is tried when there is no session by the first one.
    pub second: Option<Link>,
    /// Every point of the router has them.
    pub tags: Tags,
    /// Which part of the fleet this process polls; `None` for all of it.
    pub shard: Option<Shard>,
    pub limits: Limits,
    pub collectors: Vec<Polled>,
    /// The share of wall time that RPCs may take, 0 to 1.
    pub poll_share_max: f64,
    /// Above these, it is polled less.
    pub busy_above: Thresholds,
    /// Poll only while the Routing Engine that answers is the master.
    pub master_only: bool,
    /// Which Routing Engine that is, where it cannot be told from the reply.
    pub re_slot: Option<u32>,
    /// How often its configuration is looked at for perijove's settings.
    pub configuration_interval: Option<Duration>,
    /// Whether points of a peer get the tags that the inventory has for it.
    pub enrich: bool,
}

impl Router {
    /// Whether this process polls it.
    pub fn is_ours(&self) -> bool {
        self.shard.is_none_or(|shard| shard.has(&self.name))
    }

    /// The same for another router of this name, host and port; none if this one is no remote one.
    pub fn at(&self, name: &str, host: &str, port: Option<u16>, tags: Tags) -> Option<Router> {
        let link = self.link.at(host, port)?;
        Some(Router { name: name.into(), tags, link, ..self.clone() })
    }
}

/// Beyond one of these, the router is busy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds(pub Load);

/// A busy router is no longer busy when it is so many percent below its thresholds.
const CALM_PERCENT: f64 = 10.0;

impl Thresholds {
    pub fn is_exceeded(&self, load: Load, is_busy: bool) -> bool {
        let calm = if is_busy { CALM_PERCENT } else { 0.0 };
        load.cpu_percent > self.0.cpu_percent - calm
            || load.memory_percent > self.0.memory_percent - calm
    }
}

impl Default for Thresholds {
    /// A Routing Engine that converges is busier than that for seconds, not for a minute; and one
    /// that has less than a twentieth of its memory left is about to swap.
    fn default() -> Thresholds {
        Thresholds(Load { cpu_percent: 90.0, memory_percent: 95.0 })
    }
}

/// How a router is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    Local {
        command: Vec<String>,
        connect_timeout: Duration,
    },
    Ssh(ssh::SshConfig),
    /// Through the system's own ssh.
    Openssh(openssh::OpensshConfig),
}

/// A collector that is polled, and how.
#[derive(Clone, Debug)]
pub struct Polled {
    pub entry: &'static Entry,
    pub interval: Duration,
    pub timeout: Duration,
    pub configured: Configured,
}

impl PartialEq for Polled {
    fn eq(&self, other: &Polled) -> bool {
        std::ptr::eq(self.entry, other.entry)
            && self.interval == other.interval
            && self.timeout == other.timeout
            && self.configured == other.configured
    }
}

impl Link {
    /// The same way to another host, and port if one is given; none to a child process.
    pub fn at(&self, host: &str, port: Option<u16>) -> Option<Link> {
        let mut link = self.clone();
        match &mut link {
            Link::Local { .. } => return None,
            Link::Openssh(settings) => {
                settings.target = host.into();
                settings.port = port.or(settings.port);
            }
            Link::Ssh(settings) => {
                settings.target = host.into();
                settings.port = port.unwrap_or(settings.port);
            }
        }
        Some(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_is_busy_above_a_threshold_until_it_is_well_below() {
        let above = Thresholds::default();
        let mut is_busy = false;
        for (cpu_percent, memory_percent, expected) in [
            (90.0, 95.0, false),
            (90.5, 0.0, true),
            (85.0, 0.0, true),
            (80.0, 0.0, false),
            (0.0, 96.0, true),
            (0.0, 86.0, true),
            (79.0, 85.0, false),
            (0.0, 0.0, false),
        ] {
            is_busy = above.is_exceeded(Load { cpu_percent, memory_percent }, is_busy);
            assert_eq!(is_busy, expected, "{cpu_percent} {memory_percent}");
        }
        // 100 turns a threshold off.
        let off = Thresholds(Load { cpu_percent: 100.0, memory_percent: 100.0 });
        assert!(!off.is_exceeded(Load { cpu_percent: 100.0, memory_percent: 100.0 }, false));
    }
}
