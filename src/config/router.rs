//! `[[router]]`: how a router is reached, and what it is asked.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::collector::{FileCollector, unknown_collector};
use super::dependency::{self, FileDependency};
use super::place::{Written, note};
use super::values::named_file;
use crate::base::secret::Secret;
use crate::base::sys;
use crate::base::units::{Bytes, Interval, Time, Timeout, or_seconds};
use crate::collectors;
use crate::netconf::ssh;
use crate::poll::registry;
use crate::poll::router::{Link, Polled, Router};
use crate::xml::items::Limits;

/// IANA's for NETCONF over SSH (RFC 6242).
const DEFAULT_PORT: u16 = 830;
const PASSWORD_VARIABLE: &str = "PERIJOVE_PASSWORD";
const PASSPHRASE_VARIABLE: &str = "PERIJOVE_PASSPHRASE";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Local,
    Ssh,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileLimits {
    pub message_bytes_max: Option<Bytes>,
    pub item_bytes_max: Option<Bytes>,
    pub depth_max: Option<NonZeroUsize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileRouter {
    pub name: Option<Spanned<String>>,
    /// The old word for `name`.
    pub identity: Option<Spanned<String>>,
    pub transport: Option<Transport>,
    pub target: Option<Spanned<String>>,
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
    pub ciphers: Option<Spanned<Vec<String>>>,
    pub command: Option<Vec<String>>,
    pub connect_timeout: Option<Timeout>,
    pub keepalive_interval: Option<Time>,
    pub interval: Option<Interval>,
    pub timeout: Option<Timeout>,
    pub collectors: Option<Spanned<Vec<String>>>,
    pub limits: FileLimits,
}

impl FileRouter {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let secrets = [&self.private_key, &self.passphrase_file, &self.password_file];
        let secrets = secrets.into_iter().flatten().map(|path| path.get_ref().as_path());
        secrets.chain(self.known_hosts.as_deref())
    }

    /// The keys that are SSH's alone, and whether they are set.
    fn ssh_keys(&self) -> [(&'static str, bool); 14] {
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
            ("ciphers", self.ciphers.is_some()),
            ("keepalive_interval", self.keepalive_interval.is_some()),
        ]
    }
}

/// What the settings say for all routers.
pub struct Defaults<'a> {
    pub interval: Option<Interval>,
    pub timeout: Option<Timeout>,
    pub collectors: Option<&'a Spanned<Vec<String>>>,
    /// 0 to 1.
    pub poll_share_max: f64,
    pub master_only: bool,
    pub re_slot: Option<u32>,
    pub limits: &'a FileLimits,
    /// `[collector.NAME]`
    pub collector: &'a BTreeMap<&'static str, FileCollector>,
    pub dependency: Option<&'a FileDependency>,
}

pub fn router(
    written: &Written,
    spanned: &Spanned<FileRouter>,
    defaults: &Defaults,
    faults: &mut Vec<String>,
) -> Option<Router> {
    let router = spanned.get_ref();
    let name = note(faults, written.name(&router.name, &router.identity));
    let collectors = note(faults, polled(written, router, defaults));
    let link = note(faults, link(written, spanned, defaults))?;
    let name = match (name?, &link) {
        (Some(name), _) => name,
        (None, Link::Ssh(ssh)) => ssh.target.clone(),
        (None, Link::Local { .. }) => sys::hostname(),
    };
    let limits = |of: fn(&FileLimits) -> Option<Bytes>, or: usize| {
        of(&router.limits).or(of(defaults.limits)).map_or(or, |bytes| bytes.0)
    };
    let default = Limits::default();
    let depth = router.limits.depth_max.or(defaults.limits.depth_max);
    Some(Router {
        name,
        link,
        limits: Limits {
            message_bytes_max: limits(|l| l.message_bytes_max, default.message_bytes_max),
            item_bytes_max: limits(|l| l.item_bytes_max, default.item_bytes_max),
            depth_max: depth.map_or(default.depth_max, NonZeroUsize::get),
        },
        collectors: collectors?,
        poll_share_max: defaults.poll_share_max,
        master_only: defaults.master_only,
        re_slot: defaults.re_slot,
        enrich: defaults.dependency.is_some_and(FileDependency::enriches),
    })
}

fn link(
    written: &Written,
    spanned: &Spanned<FileRouter>,
    defaults: &Defaults,
) -> Result<Link, String> {
    let router = spanned.get_ref();
    if let Some(target) = router.target.as_ref().filter(|target| target.get_ref().trim().is_empty())
    {
        return Err(written.at_value(target, "target is empty"));
    }
    written.refuse_empty(spanned, &[("username", &router.username)])?;
    let fail = |message: &str| written.at_value(spanned, message);
    let transport = router.transport.unwrap_or(match router.target {
        Some(_) => Transport::Ssh,
        None => Transport::Local,
    });
    if transport == Transport::Local {
        let why = "is for a router that is reached over SSH, by its target";
        written.refuse(spanned, &router.ssh_keys(), why)?;
        let cli = ["/usr/sbin/cli", "xml-mode", "netconf", "need-trailer"];
        let cli = || cli.iter().map(|word| word.to_string()).collect();
        let command = router.command.clone().unwrap_or_else(cli);
        if command.is_empty() {
            return Err(fail("command is empty: it needs a program"));
        }
        // A router that is slow to reply may be slow with its first bytes, too.
        let timeout = router.timeout.or(defaults.timeout);
        let connect_timeout = or_seconds(router.connect_timeout.or(timeout), 30);
        return Ok(Link::Local { command, connect_timeout });
    }
    let why = "is for transport = \"local\", and this router is reached over SSH";
    written.refuse(spanned, &[("command", router.command.is_some())], why)?;
    let (target, port) = target(written, spanned)?;
    let username = router.username.clone();
    let username = username.ok_or_else(|| fail(&format!("target {target} needs a username")))?;
    let private_key = router.private_key.as_ref().map(|path| named_file(path.get_ref()));
    if let (Some(spanned), Some(path)) = (&router.private_key, &private_key) {
        let opened = std::fs::File::open(path).map_err(|err| {
            let shown = path.display();
            written.at_value(spanned, format!("the private key {shown} cannot be read: {err}"))
        });
        opened.map(drop)?;
    }
    let home = std::env::var_os("HOME").unwrap_or_default();
    let known_hosts = || PathBuf::from(home).join(".ssh/known_hosts");
    Ok(Link::Ssh(ssh::Settings {
        target,
        port,
        username,
        password: secret(written, &router.password_file, &router.password_env, PASSWORD_VARIABLE)?,
        private_key,
        passphrase: secret(
            written,
            &router.passphrase_file,
            &router.passphrase_env,
            PASSPHRASE_VARIABLE,
        )?,
        agent: router.agent,
        known_hosts: router.known_hosts.clone().unwrap_or_else(known_hosts),
        host_key_check: router.host_key_check.unwrap_or(true),
        legacy_algorithms: router.legacy_algorithms,
        ciphers: ciphers(written, router)?,
        connect_timeout: or_seconds(router.connect_timeout, 10),
        keepalive_interval: or_seconds(router.keepalive_interval, 15),
    }))
}

/// A router's host and port. A port may stand with the target, as `host:port` or `[v6]:port`.
fn target(written: &Written, spanned: &Spanned<FileRouter>) -> Result<(String, u16), String> {
    let router = spanned.get_ref();
    let Some(target) = &router.target else {
        return Err(written.at_value(spanned, "transport ssh needs a target"));
    };
    let text = target.get_ref().trim();
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').or((!rest.is_empty()).then_some(""))),
        // More than one colon: an IPv6 address.
        None => match text.split_once(':').filter(|(_, port)| !port.contains(':')) {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map(str::parse).transpose().ok().filter(|_| !host.is_empty());
    let port = port.ok_or_else(|| {
        let message = format!("`{text}` is not a host, host:port or [IPv6 address]:port");
        written.at_value(target, message)
    })?;
    match (port, router.port) {
        (None, port) => Ok((host.into(), port.unwrap_or(DEFAULT_PORT))),
        (Some(port), Some(other)) if other != port => {
            let message = format!("the target has the port {port}, and port is {other}: keep one");
            Err(written.at_value(target, message))
        }
        (Some(port), _) => Ok((host.into(), port)),
    }
}

/// The ciphers that are allowed, or none for the default.
fn ciphers(written: &Written, router: &FileRouter) -> Result<Vec<String>, String> {
    let Some(spanned) = &router.ciphers else { return Ok(Vec::new()) };
    let names = spanned.get_ref();
    if names.is_empty() {
        return Err(written.at_value(spanned, "an empty list: name at least one cipher"));
    }
    for name in names {
        ssh::check_cipher(name, router.legacy_algorithms)
            .map_err(|why| written.at_value(spanned, why))?;
    }
    Ok(names.clone())
}

/// A secret from its file, its named variable, or the variable that needs no setting.
fn secret(
    written: &Written,
    file: &Option<Spanned<PathBuf>>,
    variable: &Option<Spanned<String>>,
    default: &str,
) -> Result<Option<Secret>, String> {
    match (file, variable) {
        (Some(_), _) => written.secret_file(file),
        (None, Some(name)) => {
            let secret = Secret::from_environment(name.get_ref());
            secret.map(Some).map_err(|why| written.at_value(name, why))
        }
        (None, None) => Ok(Secret::from_environment(default).ok()),
    }
}

fn polled(
    written: &Written,
    router: &FileRouter,
    defaults: &Defaults,
) -> Result<Vec<Polled>, String> {
    let default = || collectors::DEFAULT.iter().map(|name| name.to_string()).collect();
    let spanned = router.collectors.as_ref().or(defaults.collectors);
    let mut names: Vec<String> = spanned.map_or_else(default, |names| names.get_ref().clone());
    if let (Some(spanned), true) = (spanned, names.is_empty()) {
        return Err(written.at_value(spanned, "an empty list: name at least one collector"));
    }
    if defaults.dependency.is_some_and(FileDependency::wants_connections) {
        names.push("connections".into());
    }
    let mut polled: Vec<Polled> = Vec::new();
    for name in names {
        let Some(entry) = registry::find(&name) else {
            let message = unknown_collector(&name);
            return Err(spanned.map_or(message.clone(), |names| written.at_value(names, message)));
        };
        if polled.iter().any(|polled| polled.entry.name == entry.name) {
            continue;
        }
        let set = defaults.collector.get(entry.name);
        let every = set.map(|set| set.every).unwrap_or_default();
        let configured = set.map_or(entry.by_default(), |set| &set.configured).clone();
        let interval = every.interval.or(router.interval).or(defaults.interval);
        let timeout = every.timeout.or(router.timeout).or(defaults.timeout);
        // A router's sockets are asked for as often as a machine's.
        let is_sockets = entry.name == "connections";
        let often = if is_sockets { dependency::INTERVAL_SECONDS } else { 30 };
        let (interval, timeout) = (or_seconds(interval, often), or_seconds(timeout, 30));
        polled.push(Polled { entry, interval, timeout, configured });
    }
    Ok(polled)
}
