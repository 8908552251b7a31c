//! `[[router]]`: how a router is reached, and what it is asked. `[router_defaults]` has the same
//! keys for all routers, and `[login.NAME]` those of a login that routers name.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use toml::Spanned;

use super::collector::{FileCollector, unknown_collector};
use super::dependency::{self, FileDependency};
use super::described::Directory;
use super::file_router::{FileLimits, FileRouter, Logins};
use super::link::{link, second_link};
use super::nearest::or_nearest;
use super::place::{Written, note};
use crate::base::sys;
use crate::base::units::{Bytes, Interval, Timeout, or_seconds};
use crate::point::{self, Schema, Tags};
use crate::poll::on_demand::{Allow, Template};
use crate::poll::router::{Link, Polled, Router, Thresholds};
use crate::poll::shard::Shard;
use crate::poll::status;
use crate::xml::items::Limits;

/// How many routers that scrapes name are known at a time.
const TARGETS_MAX: usize = 1000;

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
    let timeout = router.timeout.or(defaults.timeout);
    let link = note(faults, link(written, spanned, router, timeout))?;
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
    use crate::netconf::ssh;

    fn ssh(text: &str) -> ssh::SshConfig {
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
