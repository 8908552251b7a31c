//! `[[router]]`: how a router is reached, and what it is asked.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::{
    FileLimits, PASSPHRASE_VARIABLE, PASSWORD_VARIABLE, Source, dependency, named_file,
    unknown_collector,
};
use crate::base::secret::Secret;
use crate::base::sys;
use crate::base::units::{Bytes, Interval, Time, Timeout, or_seconds};
use crate::collectors;
use crate::netconf::ssh;
use crate::poll::registry;
use crate::poll::router::{Link, Polled, Router};
use crate::xml::items::Limits;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Local,
    Ssh,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileRouter {
    pub identity: Option<String>,
    pub transport: Option<Transport>,
    pub target: Option<String>,
    pub port: Option<u16>,
    pub username: Option<String>,
    pub password_file: Option<Spanned<PathBuf>>,
    pub password_env: Option<Spanned<String>>,
    pub private_key: Option<Spanned<PathBuf>>,
    pub passphrase_file: Option<Spanned<PathBuf>>,
    pub passphrase_env: Option<Spanned<String>>,
    pub agent: bool,
    pub known_hosts: Option<PathBuf>,
    pub host_key_check: Option<bool>,
    pub legacy_algorithms: bool,
    pub command: Option<Vec<String>>,
    pub connect_timeout: Option<Timeout>,
    pub keepalive_interval: Option<Time>,
    pub interval: Option<Interval>,
    pub timeout: Option<Timeout>,
    pub collectors: Option<Spanned<Vec<String>>>,
    pub limits: FileLimits,
}

impl FileRouter {
    /// The keys that are SSH's alone, and whether they are set.
    fn ssh_keys(&self) -> [(&'static str, bool); 13] {
        [
            ("target", self.target.is_some()),
            ("port", self.port.is_some()),
            ("username", self.username.is_some()),
            ("password_file", self.password_file.is_some()),
            ("password_env", self.password_env.is_some()),
            ("private_key", self.private_key.is_some()),
            ("passphrase_file", self.passphrase_file.is_some()),
            ("passphrase_env", self.passphrase_env.is_some()),
            ("agent", self.agent),
            ("known_hosts", self.known_hosts.is_some()),
            ("host_key_check", self.host_key_check.is_some()),
            ("legacy_algorithms", self.legacy_algorithms),
            ("keepalive_interval", self.keepalive_interval.is_some()),
        ]
    }
}

impl Source {
    pub(super) fn router(&self, spanned: &Spanned<FileRouter>) -> Result<Router, String> {
        let router = spanned.get_ref();
        self.refuse_empty(
            spanned,
            &[
                ("identity", &router.identity),
                ("target", &router.target),
                ("username", &router.username),
            ],
        )?;
        let link = self.link(spanned)?;
        let identity = match (&router.identity, &link) {
            (Some(identity), _) => identity.clone(),
            (None, Link::Ssh(ssh)) => ssh.target.clone(),
            (None, Link::Local { .. }) => sys::hostname(),
        };
        let file = &self.file;
        let limits = |of: fn(&FileLimits) -> Option<Bytes>, or: usize| {
            of(&router.limits).or(of(&file.limits)).map_or(or, |bytes| bytes.0)
        };
        let default = Limits::default();
        let depth = router.limits.depth_max.or(file.limits.depth_max);
        let share = match &file.poll_share_max {
            Some(share) if !(1.0..=100.0).contains(share.get_ref()) => {
                return Err(self.at_value(share, "a share of time is from 1 to 100 percent"));
            }
            share => share.as_ref().map_or(25.0, |share| *share.get_ref()),
        };
        Ok(Router {
            identity,
            link,
            limits: Limits {
                message_bytes_max: limits(|l| l.message_bytes_max, default.message_bytes_max),
                item_bytes_max: limits(|l| l.item_bytes_max, default.item_bytes_max),
                depth_max: depth.map_or(default.depth_max, NonZeroUsize::get),
            },
            collectors: self.polled(router)?,
            poll_share_max: share / 100.0,
            master_only: file.master_only.unwrap_or(false),
            re_slot: file.re_slot,
            enrich: self.enriches(),
        })
    }

    fn link(&self, spanned: &Spanned<FileRouter>) -> Result<Link, String> {
        let router = spanned.get_ref();
        let fail = |message: &str| self.at_value(spanned, message);
        let transport = router.transport.unwrap_or(match router.target {
            Some(_) => Transport::Ssh,
            None => Transport::Local,
        });
        if transport == Transport::Local {
            let why = "is for a router that is reached over SSH, by its target";
            self.refuse(spanned, &router.ssh_keys(), why)?;
            let cli = ["/usr/sbin/cli", "xml-mode", "netconf", "need-trailer"];
            let cli = || cli.iter().map(|word| word.to_string()).collect();
            let command = router.command.clone().unwrap_or_else(cli);
            if command.is_empty() {
                return Err(fail("command is empty: it needs a program"));
            }
            // A router that takes its time for its replies may need it for its first words.
            let timeout = router.timeout.or(self.file.timeout);
            let connect_timeout = or_seconds(router.connect_timeout.or(timeout), 30);
            return Ok(Link::Local { command, connect_timeout });
        }
        let why = "is for transport = \"local\", and this router is reached over SSH";
        self.refuse(spanned, &[("command", router.command.is_some())], why)?;
        let target = router.target.clone().ok_or_else(|| fail("transport ssh needs a target"))?;
        let username = router.username.clone();
        let username =
            username.ok_or_else(|| fail(&format!("target {target} needs a username")))?;
        let private_key = router.private_key.as_ref().map(|path| named_file(path.get_ref()));
        if let (Some(spanned), Some(path)) = (&router.private_key, &private_key) {
            let opened = std::fs::File::open(path).map_err(|err| {
                let shown = path.display();
                self.at_value(spanned, format!("the private key {shown} cannot be read: {err}"))
            });
            opened.map(drop)?;
        }
        let home = std::env::var_os("HOME").unwrap_or_default();
        let known_hosts = || PathBuf::from(home).join(".ssh/known_hosts");
        Ok(Link::Ssh(ssh::Settings {
            target,
            port: router.port.unwrap_or(830),
            username,
            password: self.secret(
                &router.password_file,
                &router.password_env,
                PASSWORD_VARIABLE,
            )?,
            private_key,
            passphrase: self.secret(
                &router.passphrase_file,
                &router.passphrase_env,
                PASSPHRASE_VARIABLE,
            )?,
            agent: router.agent,
            known_hosts: router.known_hosts.clone().unwrap_or_else(known_hosts),
            host_key_check: router.host_key_check.unwrap_or(true),
            legacy_algorithms: router.legacy_algorithms,
            connect_timeout: or_seconds(router.connect_timeout, 10),
            keepalive_interval: or_seconds(router.keepalive_interval, 15),
        }))
    }

    /// A secret from its file, its named variable, or the variable that needs no setting.
    fn secret(
        &self,
        file: &Option<Spanned<PathBuf>>,
        variable: &Option<Spanned<String>>,
        default: &str,
    ) -> Result<Option<Secret>, String> {
        match (file, variable) {
            (Some(_), _) => self.secret_file(file),
            (None, Some(name)) => {
                let secret = Secret::from_environment(name.get_ref());
                secret.map(Some).map_err(|why| self.at_value(name, why))
            }
            (None, None) => Ok(Secret::from_environment(default).ok()),
        }
    }

    fn polled(&self, router: &FileRouter) -> Result<Vec<Polled>, String> {
        let file = &self.file;
        let default = || collectors::DEFAULT.iter().map(|name| name.to_string()).collect();
        let spanned = router.collectors.as_ref().or(file.collectors.as_ref());
        let mut names: Vec<String> = spanned.map_or_else(default, |names| names.get_ref().clone());
        if let (Some(spanned), true) = (spanned, names.is_empty()) {
            return Err(self.at_value(spanned, "an empty list: name at least one collector"));
        }
        if self.wants_connections() {
            names.push("connections".into());
        }
        let mut polled: Vec<Polled> = Vec::new();
        for name in names {
            let Some(entry) = registry::find(&name) else {
                let message = unknown_collector(&name);
                return Err(spanned.map_or(message.clone(), |names| self.at_value(names, message)));
            };
            if polled.iter().any(|polled| polled.entry.name == entry.name) {
                continue;
            }
            let settings = file.collector.get(&name).map(|settings| settings.get_ref().clone());
            let settings = settings.unwrap_or_default();
            let interval = settings.interval.or(router.interval).or(file.interval);
            let timeout = settings.timeout.or(router.timeout).or(file.timeout);
            // A router's sockets are asked for as often as a machine's.
            let is_sockets = entry.name == "connections";
            let often = if is_sockets { dependency::INTERVAL_SECONDS } else { 30 };
            let (interval, timeout) = (or_seconds(interval, often), or_seconds(timeout, 30));
            polled.push(Polled { entry, interval, timeout, settings });
        }
        Ok(polled)
    }
}
