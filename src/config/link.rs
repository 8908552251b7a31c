//! How a router is reached: the link that its settings describe.

use std::path::PathBuf;

use toml::Spanned;

use super::file_router::{FileRouter, Transport};
use super::place::Written;
use super::values::named_file;
use crate::base::secret::{Kept, Secret};
use crate::base::units::{Timeout, or_seconds};
use crate::netconf::{openssh, ssh};
use crate::poll::router::Link;

/// IANA's for NETCONF over SSH (RFC 6242).
const DEFAULT_PORT: u16 = 830;
/// Junos's NETCONF over pipes.
const CLI: [&str; 4] = ["/usr/sbin/cli", "xml-mode", "netconf", "need-trailer"];
const PASSWORD_VARIABLE: &str = "PERIJOVE_PASSWORD";
const PASSPHRASE_VARIABLE: &str = "PERIJOVE_PASSPHRASE";

/// Whether a router is reached by its own cli, on the router itself.
pub fn is_own_cli(link: &Link) -> bool {
    matches!(link, Link::Local { command, .. } if *command == CLI)
}

/// `spanned` is the router as it is written, `router` with what its login and the defaults add;
/// `timeout` is its RPCs'.
pub fn link(
    written: &Written,
    spanned: &Spanned<FileRouter>,
    router: &FileRouter,
    timeout: Option<Timeout>,
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
        let connect_timeout = or_seconds(router.connect_timeout.or(timeout), 30);
        return Ok(Link::Local { command, connect_timeout });
    }
    let why = "is for transport = \"local\", and this router is reached over SSH";
    written.refuse(spanned, &[("command", own.command.is_some())], why)?;
    if transport == Transport::Openssh {
        return openssh(written, spanned, router, timeout).map(Link::Openssh);
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
    Ok(Link::Ssh(ssh::SshConfig {
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
    timeout: Option<Timeout>,
) -> Result<openssh::OpensshConfig, String> {
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
    Ok(openssh::OpensshConfig {
        target: host,
        port,
        username: router.username.clone(),
        ssh_config: router.ssh_config.clone(),
        ssh_options: options.map_or_else(Vec::new, |options| options.get_ref().clone()),
        connect_timeout: or_seconds(router.connect_timeout.or(timeout), 30),
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
pub fn second_link(
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
