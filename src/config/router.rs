//! `[[router]]`: how a router is reached, and what it is asked. `[router_defaults]` has the same
//! keys for all routers, and `[login.NAME]` those of a login that routers name.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::collector::{FileCollector, unknown_collector};
use super::dependency::{self, FileDependency};
use super::described::Directory;
use super::nearest::or_nearest;
use super::place::{Written, note};
use super::values::named_file;
use crate::base::secret::{Kept, Secret};
use crate::base::sys;
use crate::base::units::{Bytes, Interval, Time, Timeout, or_seconds};
use crate::netconf::{openssh, ssh};
use crate::point::{self, Schema, Tags};
use crate::poll::on_demand::{Allow, Template};
use crate::poll::router::{Link, Polled, Router, Thresholds};
use crate::poll::shard::Shard;
use crate::poll::status;
use crate::xml::items::Limits;

/// IANA's for NETCONF over SSH (RFC 6242).
const DEFAULT_PORT: u16 = 830;
/// Junos's NETCONF over pipes.
const CLI: [&str; 4] = ["/usr/sbin/cli", "xml-mode", "netconf", "need-trailer"];
/// How many routers that scrapes name are known at a time.
const TARGETS_MAX: usize = 1000;
const PASSWORD_VARIABLE: &str = "PERIJOVE_PASSWORD";
const PASSPHRASE_VARIABLE: &str = "PERIJOVE_PASSPHRASE";

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
    fn or(&self, there: &FileRouter) -> FileRouter {
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
    fn own_keys(&self) -> [(&'static str, bool); 8] {
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
    fn allowed_keys(&self) -> [(&'static str, bool); 3] {
        let [_, targets_max, idle_timeout, scrape_timeout, ..] = self.own_keys();
        [targets_max, idle_timeout, scrape_timeout]
    }

    /// The keys that say what a router is asked, and not how it is reached.
    fn asking_keys(&self) -> [(&'static str, bool); 6] {
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
    fn remote_keys(&self) -> [(&'static str, bool); 6] {
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
    fn openssh_keys(&self) -> [(&'static str, bool); 2] {
        [("ssh_config", self.ssh_config.is_some()), ("ssh_options", self.ssh_options.is_some())]
    }

    /// The keys of the built-in client alone.
    fn ssh_keys(&self) -> [(&'static str, bool); 10] {
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

/// What the settings say for all routers.
pub struct Defaults<'a> {
    /// `[router_defaults]`
    pub router: Option<&'a Spanned<FileRouter>>,
    pub logins: &'a Logins,
    pub interval: Option<Interval>,
    pub timeout: Option<Timeout>,
    pub collectors: Option<&'a Spanned<Vec<String>>>,
    /// 0 to 1.
    pub poll_share_max: f64,
    pub busy_above: Thresholds,
    pub master_only: bool,
    pub re_slot: Option<u32>,
    pub limits: &'a FileLimits,
    /// `[collector.NAME]`
    pub collector: &'a BTreeMap<&'static str, FileCollector>,
    pub described: &'a Directory,
    pub dependency: Option<&'a FileDependency>,
    pub shard: Option<Shard>,
}

/// Refuses keys of `[router_defaults]` and of logins that only a router can have.
pub fn check_defaults(written: &Written, defaults: &Defaults, faults: &mut Vec<String>) {
    let mut refuse = |table: &Spanned<FileRouter>, keys: &[(&str, bool)], why| {
        note(faults, written.refuse(table, keys, why));
    };
    if let Some(all) = defaults.router {
        refuse(all, &all.get_ref().own_keys(), "is one router's, and this is for all of them");
    }
    for login in defaults.logins.values() {
        let (own, asking) = (login.get_ref().own_keys(), login.get_ref().asking_keys());
        refuse(login, &own, "is one router's, and a login is for many");
        refuse(login, &asking, "is a router's: a login says only how to log in");
    }
}

/// The router with what its login and the defaults add.
fn whole(
    written: &Written,
    router: &FileRouter,
    defaults: &Defaults,
) -> Result<FileRouter, String> {
    let nothing = FileRouter::default();
    let for_all = defaults.router.map_or(&nothing, Spanned::get_ref);
    let Some(name) = router.login.as_ref().or(for_all.login.as_ref()) else {
        return Ok(router.or(for_all));
    };
    let login = defaults.logins.get(name.get_ref()).ok_or_else(|| {
        let names: Vec<&str> = defaults.logins.keys().map(String::as_str).collect();
        let nearest = or_nearest(name.get_ref(), &names);
        let message = format!("there is no table [login.{}]{nearest}", name.get_ref());
        written.at_value(name, message.trim_end_matches('.'))
    })?;
    Ok(router.or(login.get_ref()).or(for_all))
}

pub fn router(
    written: &Written,
    spanned: &Spanned<FileRouter>,
    defaults: &Defaults,
    faults: &mut Vec<String>,
) -> Option<Router> {
    let whole = note(faults, whole(written, spanned.get_ref(), defaults))?;
    let router = &whole;
    if router.allow.is_none() {
        note(faults, written.refuse(spanned, &router.allowed_keys(), "is a limit for allow"));
    }
    let name = note(faults, written.name(&router.name, &router.identity));
    let collectors = note(faults, polled(written, router, defaults));
    let link = note(faults, link(written, spanned, router, defaults))?;
    let second = note(faults, second_link(written, spanned, &link, router))?;
    let name = match (name?, &link) {
        (Some(name), _) => name,
        (None, Link::Ssh(ssh)) => ssh.target.clone(),
        (None, Link::Openssh(openssh)) => openssh.target.clone(),
        (None, Link::Local { .. }) => sys::hostname(),
    };
    let limits = |of: fn(&FileLimits) -> Option<Bytes>, or: usize| {
        of(&router.limits).or(of(defaults.limits)).map_or(or, |bytes| bytes.0)
    };
    let tags = note(faults, tags(written, router, collectors.as_deref().unwrap_or_default()))?;
    let default = Limits::default();
    let depth = router.limits.depth_max.or(defaults.limits.depth_max);
    Some(Router {
        name,
        link,
        second,
        tags,
        shard: defaults.shard,
        limits: Limits {
            message_bytes_max: limits(|l| l.message_bytes_max, default.message_bytes_max),
            item_bytes_max: limits(|l| l.item_bytes_max, default.item_bytes_max),
            depth_max: depth.map_or(default.depth_max, NonZeroUsize::get),
        },
        collectors: collectors?,
        poll_share_max: defaults.poll_share_max,
        busy_above: defaults.busy_above,
        master_only: defaults.master_only,
        re_slot: defaults.re_slot,
        configuration_interval: None,
        enrich: defaults.dependency.is_some_and(FileDependency::enriches),
    })
}

/// Whether a router is reached by its own cli, on the router itself.
pub fn is_own_cli(link: &Link) -> bool {
    matches!(link, Link::Local { command, .. } if *command == CLI)
}

/// Routers that scrapes name, as a `[[router]]` with `allow` has them.
pub fn template(
    written: &Written,
    spanned: &Spanned<FileRouter>,
    allow: &Spanned<Vec<String>>,
    defaults: &Defaults,
    faults: &mut Vec<String>,
) -> Option<Template> {
    let own = spanned.get_ref();
    let keys = &own.own_keys()[4..];
    note(faults, written.refuse(spanned, keys, "is one router's, and allow is for many"));
    let read = allow.get_ref().iter().map(|text| Allow::read(text)).collect::<Result<Vec<_>, _>>();
    let read = match read {
        Ok(read) if read.is_empty() => Err("an empty list: name at least one pattern".into()),
        read => read,
    };
    let allow_read = note(faults, read.map_err(|why| written.at_value(allow, why)));
    // Any target, in place of which there will be the one that a scrape names.
    let target = Some(Spanned::new(allow.span(), "allowed".to_string()));
    let (name, identity) = (None, None);
    let any = Spanned::new(spanned.span(), FileRouter { target, name, identity, ..own.clone() });
    let router = router(written, &any, defaults, faults)?;
    if let Link::Local { .. } = router.link {
        faults.push(written.at_value(spanned, "allow is for routers that are reached over SSH"));
    }
    let targets_max = match &own.targets_max {
        Some(max) if *max.get_ref() == 0 => {
            faults.push(written.at_value(max, "at least 1 router"));
            return None;
        }
        max => max.as_ref().map_or(TARGETS_MAX, |max| *max.get_ref()),
    };
    Some(Template {
        allow: allow_read?,
        targets_max,
        idle_timeout: or_seconds(own.idle_timeout, 15 * 60),
        scrape_timeout: own.scrape_timeout.map(|time| time.0),
        router,
    })
}

/// `spanned` is the router as it is written, `router` with what its login and the defaults add.
fn link(
    written: &Written,
    spanned: &Spanned<FileRouter>,
    router: &FileRouter,
    defaults: &Defaults,
) -> Result<Link, String> {
    let own = spanned.get_ref();
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
        let keys = [&own.remote_keys()[..], &own.ssh_keys(), &own.openssh_keys()];
        written.refuse(spanned, &keys.concat(), why)?;
        let cli = || CLI.iter().map(|word| word.to_string()).collect();
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
    written.refuse(spanned, &[("command", own.command.is_some())], why)?;
    if transport == Transport::Openssh {
        return openssh(written, spanned, router, defaults).map(Link::Openssh);
    }
    let why = "is for transport = \"openssh\", and this router is reached by the built-in client";
    written.refuse(spanned, &own.openssh_keys(), why)?;
    let (target, port) = target(written, spanned, router)?;
    let port = port.unwrap_or(DEFAULT_PORT);
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
    if router.legacy_algorithms == Some(true) {
        ssh::check_legacy().map_err(|why| fail(&why))?;
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
        agent: router.agent.unwrap_or(false),
        known_hosts: router.known_hosts.clone().unwrap_or_else(known_hosts),
        host_key_check: router.host_key_check.unwrap_or(true),
        legacy_algorithms: router.legacy_algorithms.unwrap_or(false),
        ciphers: ciphers(written, router)?,
        connect_timeout: or_seconds(router.connect_timeout, 10),
        keepalive_interval: or_seconds(router.keepalive_interval, 15),
    }))
}

/// Everything that is ssh's own business is left to ssh.
fn openssh(
    written: &Written,
    spanned: &Spanned<FileRouter>,
    router: &FileRouter,
    defaults: &Defaults,
) -> Result<openssh::Settings, String> {
    let why = "is for the built-in client: with transport = \"openssh\", say it in ssh_config or \
               ssh_options";
    written.refuse(spanned, &spanned.get_ref().ssh_keys(), why)?;
    let (host, port) = target(written, spanned, router)?;
    if let Some(target) = &router.target
        && (host.starts_with('-') || host.contains(|c: char| c.is_whitespace() || c.is_control()))
    {
        return Err(written.at_value(target, "this is no name of a host"));
    }
    let options = router.ssh_options.as_ref();
    let is_option = |option: &String| option.contains('=') && !option.starts_with('-');
    if let Some(spanned) = options.filter(|options| !options.get_ref().iter().all(is_option)) {
        let message = "an option is written as behind ssh -o, such as \"ProxyJump=bastion\"";
        return Err(written.at_value(spanned, message));
    }
    let timeout = router.connect_timeout.or(router.timeout).or(defaults.timeout);
    Ok(openssh::Settings {
        target: host,
        port,
        username: router.username.clone(),
        ssh_config: router.ssh_config.clone(),
        ssh_options: options.map_or_else(Vec::new, |options| options.get_ref().clone()),
        connect_timeout: or_seconds(timeout, 30),
        keepalive_interval: router.keepalive_interval.map(|time| or_seconds(Some(time), 0)),
    })
}

/// A router's host and port, if one is set. A port may stand with the target, as `host:port` or
/// `[v6]:port`.
fn target(
    written: &Written,
    spanned: &Spanned<FileRouter>,
    router: &FileRouter,
) -> Result<(String, Option<u16>), String> {
    let Some(target) = &router.target else {
        return Err(written.at_value(spanned, "a router that is reached over SSH needs a target"));
    };
    let text = target.get_ref();
    let (host, port) = ssh::host_and_port(text).ok_or_else(|| {
        let text = text.trim();
        let message = format!("`{text}` is not a host, host:port or [IPv6 address]:port");
        written.at_value(target, message)
    })?;
    match (port, router.port) {
        (None, port) => Ok((host.into(), port)),
        (Some(port), Some(other)) if other != port => {
            let message = format!("the target has the port {port}, and port is {other}: keep one");
            Err(written.at_value(target, message))
        }
        (Some(port), _) => Ok((host.into(), Some(port))),
    }
}

/// The way to the second target: the same but for the host, and the port if it has one.
fn second_link(
    written: &Written,
    spanned: &Spanned<FileRouter>,
    link: &Link,
    router: &FileRouter,
) -> Result<Option<Link>, String> {
    let Some(second) = &router.second_target else { return Ok(None) };
    let with_port = FileRouter { target: Some(second.clone()), port: None, ..router.clone() };
    let (host, port) = target(written, spanned, &with_port)?;
    Ok(link.at(&host, port))
}

/// The router's tags, none of which has a name that its collectors have.
fn tags(written: &Written, router: &FileRouter, polled: &[Polled]) -> Result<Tags, String> {
    let Some(spanned) = &router.tags else { return Ok(Tags::default()) };
    let fail = |why: String| written.at_value(spanned, why);
    let tags = Tags::new(spanned.get_ref().clone()).map_err(fail)?;
    for (name, _) in tags.iter() {
        let has_name = |schema: &&dyn Schema| point::has_name(*schema, name);
        let collector = polled.iter().find(|p| p.entry.measurements.iter().any(has_name));
        let taken = collector.map(|polled| polled.entry.name);
        let taken = taken.or(status::has_name(name).then_some("perijove"));
        if let Some(by) = taken {
            let why = format!("the tag `{name}` has the name of a tag or a field of {by}");
            return Err(written.at_value(spanned, why));
        }
    }
    Ok(tags)
}

/// The ciphers that are allowed, or none for the default.
fn ciphers(written: &Written, router: &FileRouter) -> Result<Vec<String>, String> {
    let Some(spanned) = &router.ciphers else { return Ok(Vec::new()) };
    let names = spanned.get_ref();
    if names.is_empty() {
        return Err(written.at_value(spanned, "an empty list: name at least one cipher"));
    }
    for name in names {
        ssh::check_cipher(name, router.legacy_algorithms.unwrap_or(false))
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
) -> Result<Option<Kept>, String> {
    let here = |secret: Secret| Some(Kept::Here(secret));
    match (file, variable) {
        (Some(file), _) => {
            let kept = Kept::in_file(named_file(file.get_ref()));
            kept.map(Some).map_err(|why| written.at_value(file, why))
        }
        (None, Some(name)) => {
            let secret = Secret::from_environment(name.get_ref());
            secret.map(here).map_err(|why| written.at_value(name, why))
        }
        (None, None) => Ok(Secret::from_environment(default).ok().and_then(here)),
    }
}

fn polled(
    written: &Written,
    router: &FileRouter,
    defaults: &Defaults,
) -> Result<Vec<Polled>, String> {
    let registry = &defaults.described.registry;
    let default = || registry.by_default().map(String::from).collect();
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
        let Some(entry) = registry.find(&name) else {
            if defaults.described.broken.contains(&name) {
                continue;
            }
            let message = unknown_collector(registry, &name);
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

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    fn ssh(text: &str) -> ssh::Settings {
        let config = read(text).unwrap();
        match &config.routers[0].link {
            Link::Ssh(ssh) => ssh.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_router_takes_from_its_login_and_then_from_the_defaults() {
        let text = |router: &str| {
            format!(
                "interval = \"50s\"\n[[router]]\ntarget = \"a\"\n{router}\n\
                 [router_defaults]\nlogin = \"lab\"\nport = 22\nusername = \"all\"\n\
                 interval = \"40s\"\nknown_hosts = \"/all\"\nciphers = [\"aes128-ctr\"]\n\
                 [router_defaults.limits]\ndepth_max = 9\n\
                 [login.lab]\nusername = \"lab\"\nlegacy_algorithms = true\n\
                 [login.core]\nusername = \"core\"\nport = 2222\nagent = true\n\
                 known_hosts = \"/core\"\n"
            )
        };
        for (router, username, port, known_hosts, legacy, agent) in [
            ("", "lab", 22, "/all", true, false),
            ("login = \"core\"", "core", 2222, "/core", false, true),
            ("login = \"core\"\nagent = false", "core", 2222, "/core", false, false),
            ("username = \"own\"\nport = 830", "own", 830, "/all", true, false),
            ("known_hosts = \"/own\"\nlegacy_algorithms = false", "lab", 22, "/own", false, false),
        ] {
            let ssh = ssh(&text(router));
            let found = (&*ssh.username, ssh.port, ssh.known_hosts.to_str().unwrap());
            assert_eq!(found, (username, port, known_hosts), "{router}");
            assert_eq!((ssh.legacy_algorithms, ssh.agent), (legacy, agent), "{router}");
            assert_eq!(ssh.ciphers, ["aes128-ctr"], "{router}");
        }
        let config = read(&text("")).unwrap();
        assert_eq!(config.routers[0].collectors[0].interval.as_secs(), 40);
        assert_eq!(config.routers[0].limits.depth_max, 9);
        let config = read(&text("interval = \"30s\"")).unwrap();
        assert_eq!(config.routers[0].collectors[0].interval.as_secs(), 30);
        // A port that stands with the target is not another one.
        assert_eq!(ssh(&text("").replace("\"a\"", "\"a:23\"")).port, 23);
        // What SSH needs is no matter where the router is a child process.
        let local = text("").replace("target = \"a\"", "command = [\"c\"]");
        assert!(matches!(read(&local).unwrap().routers[0].link, Link::Local { .. }));
    }

    #[test]
    fn one_secret_is_taken_from_one_place() {
        let missing = "/nonexistent/all";
        let text = |router: &str| {
            format!(
                "[[router]]\ntarget = \"a\"\nusername = \"u\"\n{router}\n\
                 [router_defaults]\npassword_file = \"{missing}\"\n"
            )
        };
        assert!(read(&text("")).unwrap_err().contains(missing));
        // The router's own variable is asked and the file for all is not.
        let said = read(&text("password_env = \"PERIJOVE_NOT_SET\"")).unwrap_err();
        assert!(said.contains("PERIJOVE_NOT_SET") && !said.contains(missing), "{said}");
    }

    #[test]
    fn what_scrapes_may_name_is_checked() {
        let text = |allow: &str| {
            format!("[[router]]\nusername = \"u\"\nallow = {allow}\n[output.prometheus]\n")
        };
        let config = read(&text("[\"*.example.net\"]")).unwrap();
        assert!(config.routers.is_empty());
        let router = config.on_demand[0].router("mx1.example.net").unwrap();
        assert_eq!((&*router.name, config.on_demand.len()), ("mx1.example.net", 1));
        let (times, max) = ("idle_timeout = \"2m\"\nscrape_timeout = \"3s\"", "targets_max = 7");
        let limits = |config: &crate::config::Config| {
            let template = &config.on_demand[0];
            let scrape = template.scrape_timeout.map(|time| time.as_secs());
            (template.targets_max, template.idle_timeout.as_secs(), scrape)
        };
        assert_eq!(limits(&config), (1000, 900, None));
        let config = read(&text(&format!("[\"*\"]\n{times}\n{max}"))).unwrap();
        assert_eq!(limits(&config), (7, 120, Some(3)));
        for (settings, expected) in [
            (text("[]"), "FILE:3: router.allow: an empty list"),
            (text("[\"a b\"]"), "FILE:3: router.allow: `a b` is neither a pattern of names"),
            (text("[\"*\"]\ntarget = \"x\""), "FILE:4: router.target: target is one router's"),
            (text("[\"*\"]\ntargets_max = 0"), "FILE:4: router.targets_max: at least 1 router"),
            (
                text("[]").replace("allow = []", "target = \"x\"\nidle_timeout = \"1m\""),
                "FILE:4: router.idle_timeout: idle_timeout is a limit for allow",
            ),
            (
                text("[\"*\"]").replace("[output.prometheus]", ""),
                "FILE:3: router.allow: allow is for scrapes, and there is no [output.prometheus]",
            ),
            (
                text("[\"*\"]\n[login.x]\nallow = [\"*\"]"),
                "FILE:5: login.x.allow: allow is one router's, and a login is for many",
            ),
        ] {
            let said = read(&settings).unwrap_err();
            assert!(said.starts_with(expected), "{said}");
        }
    }

    #[test]
    fn what_only_a_router_can_have_is_refused_elsewhere() {
        let router = "[[router]]\ntarget = \"a\"\nusername = \"u\"\n";
        for (text, expected) in [
            (
                "login = \"cor\"\n[login.core]\n",
                "4: router.login: there is no table [login.cor], did you mean `core`?",
            ),
            ("login = \"core\"\n", "4: router.login: there is no table [login.core]"),
            (
                "[router_defaults]\nname = \"x\"\n",
                "5: router_defaults.name: name is one router's, and this is for all of them",
            ),
            (
                "[login.x]\ntarget = \"x\"\n",
                "5: login.x.target: target is one router's, and a login is for many",
            ),
            (
                "[login.x]\ninterval = \"9s\"\n",
                "5: login.x.interval: interval is a router's: a login says only how to log in",
            ),
            (
                "[login.x]\nlogin = \"y\"\n",
                "5: login.x.login: login is a router's: a login says only how to log in",
            ),
            ("[login.x]\nuser = \"y\"\n", "5: login.x.user: unknown key `user`"),
        ] {
            let said = read(&format!("{router}{text}")).unwrap_err();
            assert!(said.starts_with(&format!("FILE:{expected}")), "{said}");
        }
        let local = "[[router]]\ncommand = [\"c\"]\nlogin = \"x\"\n[login.x]\n";
        let said = read(local).unwrap_err();
        assert!(said.starts_with("FILE:3: router.login: login is for a router that is"), "{said}");
    }
}
