//! junos_exporter's config.yml and flags, by the rules of its version 0.16: flags choose features
//! only where there is no config.yml, and a device's own features replace the general ones.

use std::collections::{BTreeMap, BTreeSet};

use super::go_flags::{self, GoFlags};
use super::settings::{Toml, quoted};
use super::{Imported, Place};
use crate::base::globs::{self, Globs};
use crate::base::secret::Secret;
use crate::base::yaml::{self, Node};
use crate::collectors::DEFAULT;
use crate::point::labels::DescriptionLabels;
use crate::poll::registry;

/// Its port for SSH.
const SSH_PORT: u16 = 22;
const SWITCHES: &[&str] =
    &["version", "debug", "dynamic-interface-labels", "logical-systems.enabled", "tls.enabled"];
const TEXTS: &[&str] = &[
    "web.listen-address",
    "web.telemetry-path",
    "ssh.targets",
    "ssh.user",
    "ssh.keyfile",
    "ssh.keyPassphrase",
    "ssh.password",
    "ssh.reconnect-interval",
    "ssh.keep-alive-interval",
    "ssh.keep-alive-timeout",
    "ssh.expire-timeout",
    "alarms.filter",
    "config.file",
    "interface-description-regex",
    "tls.cert-file",
    "tls.key-file",
    "tracing.provider",
    "tracing.collector.grpc-endpoint",
];
/// Features whose collector here has another name; elsewhere only underscores differ.
const FEATURES: &[(&str, &str)] = &[
    ("arps", "arp"),
    ("ifdiag", "interfacediagnostics"),
    ("interface_diagnostic", "interfacediagnostics"),
    ("license", "system"),
    ("queues", "interfacequeue"),
    ("routes", "route"),
];
/// The collectors that ask satellite devices too, where a feature of that name is on.
const OF_SATELLITES: &[&str] = &["environment", "interfacediagnostics", "system"];
const OF_DESCRIPTIONS: &[&str] = &["bgp", "interfacediagnostics", "interfacequeue", "interfaces"];

pub fn read(arguments: &[String], place: &Place) -> Result<Imported, String> {
    let flags = go_flags::read(arguments, is_switch)?;
    let file = match (&flags.rest[..], flags.text("config.file")) {
        ([], file) => file,
        ([file], None) => Some(file.as_str()),
        ([extra, ..], _) => return Err(format!("`{extra}` is one argument too many")),
    };
    let text = match file {
        None => String::new(),
        Some(file) => std::fs::read_to_string(file).map_err(|err| format!("{file}: {err}"))?,
    };
    let at = |why| format!("{}: {why}", file.unwrap_or("the flags"));
    import(&text, &flags, file.is_some(), place).map_err(at)
}

fn is_switch(name: &str) -> Option<bool> {
    if SWITCHES.contains(&name) || name.ends_with(".enabled") {
        return Some(true);
    }
    TEXTS.contains(&name).then_some(false)
}

/// The features that are on, as collectors, and what else they say.
#[derive(Clone, Default, PartialEq)]
struct Features {
    collectors: BTreeSet<&'static str>,
    satellite: bool,
    license: bool,
}

impl Features {
    fn by_default() -> Features {
        Features { collectors: DEFAULT.iter().copied().collect(), ..Features::default() }
    }

    fn set(&mut self, feature: &str, on: bool) -> Result<(), String> {
        match feature {
            "satellite" => {
                self.satellite = on;
                return Ok(());
            }
            "license" => self.license = on,
            _ => {}
        }
        let name = FEATURES.iter().find(|(theirs, _)| *theirs == feature);
        let name = name.map_or_else(|| feature.replace('_', ""), |(_, ours)| ours.to_string());
        let entry = registry::find(&name).ok_or_else(|| format!("the feature {feature}"))?;
        // `license` alone turns the collector on, and does not turn it off.
        if on {
            self.collectors.insert(entry.name);
        } else if feature != "license" {
            self.collectors.remove(entry.name);
        }
        Ok(())
    }

    fn names(&self) -> Vec<&'static str> {
        self.collectors.iter().copied().collect()
    }
}

/// How a user logs in.
#[derive(Clone, PartialEq)]
enum Method {
    Key { file: String, passphrase: Option<Secret> },
    Password(Secret),
}

#[derive(Clone, PartialEq)]
struct Login {
    username: String,
    method: Method,
}

struct Device {
    host: String,
    is_pattern: bool,
    login: Option<Login>,
    features: Option<Features>,
}

struct Import<'a> {
    flags: &'a GoFlags,
    notes: Vec<String>,
    features: Features,
    labels: Option<String>,
    logical_systems: bool,
    /// Of config.yml.
    password: Option<Secret>,
}

fn import(text: &str, flags: &GoFlags, has_file: bool, place: &Place) -> Result<Imported, String> {
    let root = yaml::read(text)?;
    let regex = flags.text("interface-description-regex").map(String::from);
    let mut import = Import {
        flags,
        notes: Vec::new(),
        features: Features::by_default(),
        labels: if has_file { None } else { regex },
        logical_systems: flags.switch("logical-systems.enabled")? == Some(true) && !has_file,
        password: None,
    };
    import.features_of_flags(has_file)?;
    let devices = import.devices(root.map()?)?;
    import.write(&devices, place)
}

impl Import<'_> {
    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn features_of_flags(&mut self, has_file: bool) -> Result<(), String> {
        for name in self.flags.flags.keys() {
            let Some(feature) = name.strip_suffix(".enabled") else { continue };
            if ["logical-systems", "tls", "tracing"].contains(&feature) {
                continue;
            }
            let on = self.flags.switch(name)?.unwrap_or_default();
            if has_file {
                self.notes.push(format!("-{name}: with a config.yml, it chooses the features"));
            } else if let Err(unknown) = self.features.set(feature, on) {
                self.notes.push(format!("{unknown}: no collector has this name"));
            }
        }
        Ok(())
    }

    fn features(&mut self, node: &Node, mut features: Features) -> Result<Features, String> {
        for (feature, on) in node.map()? {
            if let Err(unknown) = features.set(feature, on.flag()?) {
                self.note(format!("line {}: {unknown}: no collector has this name", on.line));
            }
        }
        Ok(features)
    }

    fn devices(&mut self, root: &[(String, Node)]) -> Result<Vec<Device>, String> {
        let (mut targets, mut devices) = (Vec::new(), None);
        for (key, node) in root {
            match &**key {
                "password" => self.password = secret(node)?,
                "targets" => targets.extend(node.list()?.iter().map(Node::text)),
                "devices" => devices = Some(node.list()?),
                "features" => self.features = self.features(node, self.features.clone())?,
                "logical_systems" => self.logical_systems = node.flag()?,
                "interface_description_regex" => {
                    self.labels = Some(node.text()?.to_string()).filter(|regex| !regex.is_empty());
                }
                other => self.note(format!("line {}: the key {other}", node.line)),
            }
        }
        let mut targets: Vec<String> =
            targets.into_iter().map(|t| t.map(String::from)).collect::<Result<_, _>>()?;
        if let Some(devices) = devices {
            if !targets.is_empty() {
                self.note("targets: where there are devices, junos_exporter takes these alone");
            }
            return devices.iter().map(|device| self.device(device.map()?)).collect();
        }
        if targets.is_empty() {
            let typed = self.flags.text("ssh.targets").unwrap_or_default().split(',');
            targets = typed.map(|target| target.trim().to_string()).collect();
            targets.retain(|target| !target.is_empty());
        }
        let login = self.login(None, None, None, None);
        let device =
            |host| Device { host, is_pattern: false, login: login.clone(), features: None };
        Ok(targets.into_iter().map(device).collect())
    }

    fn device(&mut self, keys: &[(String, Node)]) -> Result<Device, String> {
        let (mut host, mut is_pattern, mut features) = (String::new(), false, None);
        let (mut username, mut password, mut key_file, mut passphrase) = (None, None, None, None);
        for (key, node) in keys {
            let text = || node.text().map(|text| Some(text.to_string()).filter(|t| !t.is_empty()));
            match &**key {
                "host" => host = node.text()?.to_string(),
                "host_pattern" => is_pattern = node.flag()?,
                "features" => features = Some(self.features(node, Features::default())?),
                "username" => username = text()?,
                "password" => password = secret(node)?,
                "key_file" => key_file = text()?,
                "key_passphrase" => passphrase = secret(node)?,
                "interface_description_regex" => self.note(format!(
                    "line {}: the interface_description_regex of one device: description_labels \
                     are those of a collector, for all routers",
                    node.line
                )),
                other => self.note(format!("line {}: the key {other} of a device", node.line)),
            }
        }
        let login = self.login(username, password, key_file, passphrase);
        Ok(Device { host, is_pattern, login, features })
    }

    /// How a device is logged in to: with its own key, that of the flags, its own password, that of
    /// the file, that of the flags.
    fn login(
        &self,
        username: Option<String>,
        password: Option<Secret>,
        key_file: Option<String>,
        passphrase: Option<Secret>,
    ) -> Option<Login> {
        let flag = |name: &str| self.flags.text(name);
        let username = username.or(flag("ssh.user").map(String::from));
        let username = username.unwrap_or("junos_exporter".into());
        let key_file = key_file.or(flag("ssh.keyfile").map(String::from));
        let passphrase = passphrase.or_else(|| flag("ssh.keyPassphrase").map(Secret::new));
        let password = password.or_else(|| self.password.clone());
        let password = password.or_else(|| flag("ssh.password").map(Secret::new));
        let method = match (key_file, password) {
            (Some(file), _) => Method::Key { file, passphrase },
            (None, Some(password)) => Method::Password(password),
            (None, None) => return None,
        };
        Some(Login { username, method })
    }

    fn write(mut self, devices: &[Device], place: &Place) -> Result<Imported, String> {
        let mut toml = Toml::default();
        if self.features != Features::by_default() {
            toml.text += "\n";
            toml.list("collectors", &self.features.names());
        }
        self.output(&mut toml)?;
        self.collectors(&mut toml, devices);
        let secrets = self.routers(&mut toml, devices, place);
        self.advise(devices);
        Ok(Imported { settings: toml.text, secrets, notes: self.notes })
    }

    fn output(&mut self, toml: &mut Toml) -> Result<(), String> {
        let flags = self.flags;
        toml.table("[output.prometheus]");
        let listen = flags.text("web.listen-address").unwrap_or(":9326");
        let all = listen.strip_prefix(':').map(|port| format!("0.0.0.0:{port}"));
        toml.set("listen", all.as_deref().unwrap_or(listen));
        toml.comment("junos_exporter asks the routers when it is scraped; without this line they");
        toml.comment("are asked at their intervals, whoever scrapes.");
        toml.set("mode", "scrape");
        if flags.switch("tls.enabled")? == Some(true) {
            toml.set("cert_file", flags.text("tls.cert-file").unwrap_or_default());
            toml.set("key_file", flags.text("tls.key-file").unwrap_or_default());
        }
        if flags.switch("debug")? == Some(true) {
            toml.table("[log]");
            toml.set("level", "debug");
        }
        if let Some(path) = flags.text("web.telemetry-path").filter(|path| *path != "/metrics") {
            self.note(format!("-web.telemetry-path {path}: the path is /metrics"));
        }
        for name in flags.flags.keys().filter(|name| name.starts_with("tracing.")) {
            self.notes.push(format!("-{name}: there is no tracing"));
        }
        for name in ["ssh.reconnect-interval", "ssh.keep-alive-timeout", "ssh.expire-timeout"] {
            if flags.text(name).is_some() {
                self.note(format!("-{name}: docs/switching.md says how sessions are kept"));
            }
        }
        Ok(())
    }

    /// `[collector.NAME]` for all routers.
    fn collectors(&mut self, toml: &mut Toml, devices: &[Device]) {
        let mut tables: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut set = |collectors: &[&'static str], line: String| {
            collectors.iter().for_each(|name| tables.entry(name).or_default().push(line.clone()));
        };
        if let Some(filter) = self.flags.text("alarms.filter") {
            set(&["alarm"], format!("ignore = {}", quoted(filter)));
        }
        let is_off = self.flags.switch("dynamic-interface-labels") == Ok(Some(false));
        let labels = if is_off { Some(String::new()) } else { self.labels.clone() };
        match labels.map(|labels| (DescriptionLabels::try_from(labels.clone()), labels)) {
            Some((Ok(_), labels)) => {
                set(OF_DESCRIPTIONS, format!("description_labels = {}", quoted(&labels)));
            }
            Some((Err(why), _)) => self.notes.push(format!("interface_description_regex: {why}")),
            None => {}
        }
        let own = devices.iter().filter_map(|device| device.features.as_ref());
        let all: Vec<&Features> = std::iter::once(&self.features).chain(own).collect();
        let is_said = |of: fn(&Features) -> bool| {
            let on = all.iter().filter(|features| of(features)).count();
            (on > 0, on > 0 && on < all.len())
        };
        let (satellite, differs) = is_said(|features| features.satellite);
        if satellite {
            set(OF_SATELLITES, "satellite = true".into());
        }
        let (license, differs_too) = is_said(|features| features.license);
        if license {
            set(&["system"], "license = true".into());
        }
        if differs || differs_too {
            self.notes.push(
                "satellite and license for some devices only: here they are for all routers".into(),
            );
        }
        if self.logical_systems {
            self.notes.push(
                "logical_systems: a scraper names them there (ls=NAME); here they are named in \
                 logical_systems of [collector.bgp] and [collector.ospf]"
                    .into(),
            );
        }
        for (name, lines) in tables {
            toml.table(&format!("[collector.{name}]"));
            lines.iter().for_each(|line| toml.text += &format!("{line}\n"));
        }
    }

    /// The logins and the routers; returns the files that the logins name.
    fn routers(
        &mut self,
        toml: &mut Toml,
        devices: &[Device],
        place: &Place,
    ) -> Vec<(String, Secret)> {
        let mut logins: Vec<(String, &Login)> = Vec::new();
        for device in devices {
            if let Some(login) = &device.login
                && !logins.iter().any(|(_, known)| *known == login)
            {
                let number = logins.len() + 1;
                logins.push((format!("login{number}"), login));
            }
        }
        toml.table("[router_defaults]");
        toml.raw("port", SSH_PORT);
        toml.set("known_hosts", &place.path("known_hosts"));
        if let Some(Ok(interval)) = self.flags.text("ssh.keep-alive-interval").map(go_flags::time) {
            toml.set("keepalive_interval", &interval);
        }
        if let [(name, _), ..] = &logins[..] {
            toml.set("login", name);
        }
        let mut secrets = Vec::new();
        for (name, login) in &logins {
            toml.table(&format!("[login.{name}]"));
            toml.set("username", &login.username);
            let mut keep = |key: &str, file: String, secret: &Secret| {
                toml.set(key, &place.path(&file));
                secrets.push((file, secret.clone()));
            };
            match &login.method {
                Method::Password(secret) => {
                    keep("password_file", format!("{name}.password"), secret);
                }
                Method::Key { file, passphrase } => {
                    if let Some(secret) = passphrase {
                        keep("passphrase_file", format!("{name}.passphrase"), secret);
                    }
                    toml.set("private_key", file);
                }
            }
        }
        let mut known = BTreeSet::new();
        for device in devices {
            if !known.insert(&device.host) {
                self.note(format!("{}: it is there twice, and the first counts", device.host));
                continue;
            }
            self.router(toml, device, &logins);
        }
        secrets
    }

    fn router(&mut self, toml: &mut Toml, device: &Device, logins: &[(String, &Login)]) {
        let host = &device.host;
        if device.is_pattern {
            let Some(hosts) = hosts(host) else {
                self.note(format!("the host pattern {host}: allow takes names and `*`"));
                return;
            };
            let wider = if hosts.is_wider { ", which allows more" } else { "" };
            let list = hosts.globs.join(", ");
            self.note(format!(
                "the host pattern {host} as a regular expression: look over allow = {list}{wider}"
            ));
            self.allowed(toml, device, &hosts.globs, logins);
            return;
        }
        toml.table("[[router]]");
        toml.set("target", host);
        if host.contains(':') {
            // The name of its series there.
            toml.set("name", host);
        }
        self.asked(toml, device, logins);
    }

    /// Hosts that a scrape names. Names are no addresses.
    fn allowed(
        &mut self,
        toml: &mut Toml,
        device: &Device,
        globs: &[String],
        logins: &[(String, &Login)],
    ) {
        let mut allow = globs.to_vec();
        if allow.iter().any(|glob| glob == "*") {
            allow.extend(["0.0.0.0/0", "::/0"].map(String::from));
        }
        toml.table("[[router]]");
        toml.list("allow", &allow);
        self.asked(toml, device, logins);
    }

    /// How a router is logged in to, and what it is asked.
    fn asked(&mut self, toml: &mut Toml, device: &Device, logins: &[(String, &Login)]) {
        let host = &device.host;
        let Some(login) = &device.login else {
            self.note(format!("{host}: nothing is set to log in with"));
            return;
        };
        match logins.iter().position(|(_, known)| *known == login) {
            Some(at) if at > 0 => toml.set("login", &logins[at].0),
            _ => {}
        }
        match &device.features {
            Some(features) if features.collectors.is_empty() => {
                self.note(format!(
                    "{host}: it has no feature, and here every router is asked for some"
                ));
            }
            Some(features) => toml.list("collectors", &features.names()),
            None => {}
        }
    }

    /// What is to be done besides.
    fn advise(&mut self, devices: &[Device]) {
        let hosts: Vec<&str> = devices
            .iter()
            .filter(|device| !device.is_pattern)
            .map(|device| device.host.split(':').next().unwrap_or_default())
            .collect();
        self.note(format!(
            "trust in any host key: perijove compares them with known_hosts; fill it with \
             `ssh-keyscan {} >> known_hosts` and compare the fingerprints",
            hosts.join(" ")
        ));
        self.note(
            "the login class: NETCONF has to be on (set system services netconf ssh), and \
             `perijove check` says which permission a collector lacks",
        );
    }
}

/// A pattern of hosts as names with `*`. A dot between names is meant as one.
fn hosts(pattern: &str) -> Option<Globs> {
    let mut plain = String::new();
    let mut characters = pattern.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, characters.peek()) {
            ('\\', Some(_)) => plain.extend([c].into_iter().chain(characters.next())),
            ('.', next) if !next.is_some_and(|next| "*+?{".contains(*next)) => plain += "\\.",
            _ => plain.push(c),
        }
    }
    globs::globs(&plain, false)
}

fn secret(node: &Node) -> Result<Option<Secret>, String> {
    let text = node.text()?;
    Ok((!text.is_empty()).then(|| Secret::new(text)))
}

#[cfg(test)]
mod tests;
