//! A router as its poller sees it: how it is reached, and what it is asked.

use std::time::Duration;

use crate::collector::Entry;
use crate::collector::settings::Configured;
use crate::netconf::ssh;
use crate::xml::items::Limits;

#[derive(Clone, Debug, PartialEq)]
pub struct Router {
    pub name: String,
    pub link: Link,
    pub limits: Limits,
    pub collectors: Vec<Polled>,
    /// The share of wall time that RPCs may take, 0 to 1.
    pub poll_share_max: f64,
    /// Poll only while the Routing Engine that answers is the master.
    pub master_only: bool,
    /// Which Routing Engine that is, where it cannot be told from the reply.
    pub re_slot: Option<u32>,
    /// Whether points of a peer get the tags that the inventory has for it.
    pub enrich: bool,
}

/// How a router is reached.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    Local { command: Vec<String>, connect_timeout: Duration },
    Ssh(ssh::Settings),
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
