//! What may be written of a router, and which keys go together.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::base::units::{Bytes, Interval, Time, Timeout};
use crate::netconf::ssh;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Local,
    /// The system's own ssh.
    Openssh,
    Ssh,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileLimits {
    pub message_bytes_max: Option<Bytes>,
    pub item_bytes_max: Option<Bytes>,
    pub depth_max: Option<NonZeroUsize>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileRouter {
    pub name: Option<Spanned<String>>,
    /// The old word for `name`.
    pub identity: Option<Spanned<String>>,
    pub login: Option<Spanned<String>>,
    pub transport: Option<Transport>,
    pub target: Option<Spanned<String>>,
    pub allow: Option<Spanned<Vec<String>>>,
    pub targets_max: Option<Spanned<usize>>,
    pub idle_timeout: Option<Time>,
    pub scrape_timeout: Option<Time<1000>>,
    pub second_target: Option<Spanned<String>>,
    pub port: Option<u16>,
    pub username: Option<String>,
    pub password_file: Option<Spanned<PathBuf>>,
    pub password_env: Option<Spanned<String>>,
    pub private_key: Option<Spanned<PathBuf>>,
    pub passphrase_file: Option<Spanned<PathBuf>>,
    pub passphrase_env: Option<Spanned<String>>,
    pub agent: Option<bool>,
    pub known_hosts: Option<PathBuf>,
    pub host_key_check: Option<bool>,
    pub legacy_algorithms: Option<bool>,
    pub ciphers: Option<Spanned<Vec<String>>>,
    pub command: Option<Vec<String>>,
    pub ssh_config: Option<PathBuf>,
    pub ssh_options: Option<Spanned<Vec<String>>>,
    pub connect_timeout: Option<Timeout>,
    pub keepalive_interval: Option<Time>,
    pub interval: Option<Interval>,
    pub timeout: Option<Timeout>,
    pub collectors: Option<Spanned<Vec<String>>>,
    pub limits: FileLimits,
    pub tags: Option<Spanned<BTreeMap<String, String>>>,
}

impl FileRouter {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let secrets = [&self.private_key, &self.passphrase_file, &self.password_file];
        let secrets = secrets.into_iter().flatten().map(|path| path.get_ref().as_path());
        secrets.chain(self.known_hosts.as_deref())
    }

    /// What is set here, and what else is set there. A secret has two keys, and a port may stand
    /// with the target: where one is set here, the other is not looked for there.
    pub fn or(&self, there: &FileRouter) -> FileRouter {
        let mut both = self.clone();
        macro_rules! or {
            ($($key:ident $($part:ident)?),*) => {
                $(both.$key$(.$part)? = both.$key$(.$part)?.or(there.$key$(.$part)?.clone());)*
            };
        }
        or!(login, transport, username, private_key, agent, known_hosts, host_key_check);
        or!(legacy_algorithms, ciphers, command, connect_timeout, keepalive_interval, interval);
        or!(timeout, collectors, limits message_bytes_max, limits item_bytes_max);
        or!(limits depth_max, ssh_config, ssh_options);
        if self.password_file.is_none() && self.password_env.is_none() {
            or!(password_file, password_env);
        }
        if self.passphrase_file.is_none() && self.passphrase_env.is_none() {
            or!(passphrase_file, passphrase_env);
        }
        let target = self.target.as_ref().and_then(|target| ssh::host_and_port(target.get_ref()));
        if !matches!(target, Some((_, Some(_)))) {
            or!(port);
        }
        // Each tag counts where it is set first.
        if let (Some(tags), Some(more)) = (&mut both.tags, &there.tags) {
            for (name, value) in more.get_ref() {
                tags.as_mut().entry(name.clone()).or_insert(value.clone());
            }
        }
        or!(tags);
        both
    }

    /// The keys that are one router's alone, and whether they are set.
    pub fn own_keys(&self) -> [(&'static str, bool); 8] {
        [
            ("allow", self.allow.is_some()),
            ("targets_max", self.targets_max.is_some()),
            ("idle_timeout", self.idle_timeout.is_some()),
            ("scrape_timeout", self.scrape_timeout.is_some()),
            ("name", self.name.is_some()),
            ("identity", self.identity.is_some()),
            ("target", self.target.is_some()),
            ("second_target", self.second_target.is_some()),
        ]
    }

    /// The limits of routers that scrapes name, and whether they are set.
    pub fn allowed_keys(&self) -> [(&'static str, bool); 3] {
        let [_, targets_max, idle_timeout, scrape_timeout, ..] = self.own_keys();
        [targets_max, idle_timeout, scrape_timeout]
    }

    /// The keys that say what a router is asked, and not how it is reached.
    pub fn asking_keys(&self) -> [(&'static str, bool); 6] {
        let FileLimits { message_bytes_max, item_bytes_max, depth_max } = self.limits;
        let limits = (message_bytes_max.is_some(), item_bytes_max.is_some(), depth_max.is_some());
        [
            ("login", self.login.is_some()),
            ("command", self.command.is_some()),
            ("interval", self.interval.is_some()),
            ("timeout", self.timeout.is_some()),
            ("collectors", self.collectors.is_some()),
            ("limits", limits != (false, false, false)),
        ]
    }

    /// The keys that every way over SSH has, and whether they are set.
    pub fn remote_keys(&self) -> [(&'static str, bool); 6] {
        [
            ("login", self.login.is_some()),
            ("target", self.target.is_some()),
            ("second_target", self.second_target.is_some()),
            ("port", self.port.is_some()),
            ("username", self.username.is_some()),
            ("keepalive_interval", self.keepalive_interval.is_some()),
        ]
    }

    /// The keys of the system's own ssh.
    pub fn openssh_keys(&self) -> [(&'static str, bool); 2] {
        [("ssh_config", self.ssh_config.is_some()), ("ssh_options", self.ssh_options.is_some())]
    }

    /// The keys of the built-in client alone.
    pub fn ssh_keys(&self) -> [(&'static str, bool); 10] {
        [
            ("password_file", self.password_file.is_some()),
            ("password_env", self.password_env.is_some()),
            ("private_key", self.private_key.is_some()),
            ("passphrase_file", self.passphrase_file.is_some()),
            ("passphrase_env", self.passphrase_env.is_some()),
            ("agent", self.agent.is_some()),
            ("known_hosts", self.known_hosts.is_some()),
            ("host_key_check", self.host_key_check.is_some()),
            ("legacy_algorithms", self.legacy_algorithms.is_some()),
            ("ciphers", self.ciphers.is_some()),
        ]
    }
}

/// `[login.NAME]`, by name.
pub type Logins = BTreeMap<String, Spanned<FileRouter>>;
