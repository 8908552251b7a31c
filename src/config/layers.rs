//! The settings file and the macros as one: what a macro may set, and which of two counts.

use std::path::{Component, Path};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::place::Written;
use super::read::misfit;

/// What a macro may set: the tables and keys that say what is polled and where points go.
const ALLOWED: &[&str] = &[
    "busy_cpu_percent",
    "busy_memory_percent",
    "collector",
    "collectors",
    "dependency",
    "drain_timeout",
    "events",
    "interval",
    "limits",
    "log",
    "master_only",
    "output",
    "poll_share_max",
    "re_slot",
    "router_defaults.collectors",
    "router_defaults.interval",
    "router_defaults.limits",
    "router_defaults.tags",
    "router_defaults.timeout",
    "self_interval",
    "spool",
    "timeout",
];

/// What only who can write the settings file may set: what runs programs, loads code, writes files
/// of any name, reaches other machines with the router's logins, or confines perijove.
const REFUSED: &[&str] = &[
    "bigquery",
    "collector_directory",
    "configuration_interval",
    "dependency.sockets.proc",
    "events.syslog",
    "federate",
    "login",
    "memory_limit",
    "nice",
    "output.file",
    "output.kafka.librdkafka",
    "proxy",
    "router",
    "router_defaults",
    "routers",
    "sandbox",
    "shard",
    "state_directory",
    "supervise",
];

/// Why a key is refused.
const REFUSAL: &str = "this can be set in the settings file only: SECURITY.md says why";

/// The settings of the file with those of the macros. The file's count where both have a key, and
/// a warning says so. Files that macros name are in `home`. `others` gets the places of keys that
/// are in no list above.
pub fn settings<'i>(
    written: &'i Written,
    home: &Path,
    faults: &mut Vec<String>,
    others: &mut Vec<usize>,
) -> Spanned<DeTable<'i>> {
    let mut settings = DeTable::parse(&written.text).unwrap_or_else(|err| {
        faults.push(misfit(written, &err));
        Spanned::new(0..0, DeTable::new())
    });
    faults.extend(written.macros.faults().iter().cloned());
    let macros = match written.macros.table() {
        Ok(table) => table,
        Err(err) => {
            faults.push(misfit(written, &err));
            return settings;
        }
    };
    let macros = sift(macros, "", home, &mut |at, why| match why {
        Some(why) => faults.push(written.at(at, &why)),
        None => others.push(at),
    });
    merge(settings.get_mut(), macros, &mut |at| {
        let why = "the settings file has this key too, and counts";
        written.warnings.borrow_mut().push(written.at(at, why));
    });
    settings
}

/// Refuses the keys that are in no list, unless something is wrong with them anyway: keys that do
/// not exist.
pub fn refuse_others(written: &Written, others: &[usize], faults: &mut Vec<String>) {
    for at in others {
        let line = written.at(*at, "");
        if !faults.iter().any(|fault| fault.starts_with(&line)) {
            faults.push(written.at(*at, REFUSAL));
        }
    }
}

/// The table without what a macro may not set; `say` gets the place of that, and why. A key that is
/// in no list has no reason, and stays.
fn sift<'i>(
    table: DeTable<'i>,
    above: &str,
    home: &Path,
    say: &mut impl FnMut(usize, Option<String>),
) -> DeTable<'i> {
    let mut kept = DeTable::new();
    for (key, mut value) in table {
        let dot = if above.is_empty() { "" } else { "." };
        let path = format!("{above}{dot}{}", key.get_ref());
        if let DeValue::Table(inner) = value.get_mut()
            && !inner.is_empty()
        {
            *inner = sift(std::mem::take(inner), &path, home, say);
            if !inner.is_empty() {
                kept.insert(key, value);
            }
            continue;
        }
        let at = key.span().start;
        let (allowed, refused) = (longest(ALLOWED, &path), longest(REFUSED, &path));
        let why = match () {
            () if allowed == refused => {
                say(at, None);
                None
            }
            () if refused > allowed => Some(REFUSAL.into()),
            () => file_fault(&path, value.get_ref(), home),
        };
        match why {
            None => _ = kept.insert(key, value),
            why => say(at, why),
        }
    }
    kept
}

/// The length of the longest of these keys that a path is in.
fn longest(keys: &[&str], path: &str) -> usize {
    let is_in = |key: &&&str| {
        path.strip_prefix(**key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    keys.iter().filter(is_in).map(|key| key.len()).max().unwrap_or_default()
}

/// Why a macro may not have this value: it names a file elsewhere than in `home`.
fn file_fault(path: &str, value: &DeValue, home: &Path) -> Option<String> {
    let text = match value {
        DeValue::String(text) => text,
        DeValue::Array(items) => {
            return items.iter().find_map(|item| file_fault(path, item.get_ref(), home));
        }
        DeValue::Table(table) => {
            return table.values().find_map(|value| file_fault(path, value.get_ref(), home));
        }
        _ => return None,
    };
    let is_file = path.ends_with("file") || path.ends_with("directory");
    let named = Path::new(&**text);
    let goes_up = named.components().any(|part| part == Component::ParentDir);
    let is_at_home = named.starts_with(home) && !goes_up;
    ((is_file || text.starts_with('/')) && !is_at_home).then(|| {
        let home = home.display();
        format!("a macro names files in the directory of the settings file only: {home}/…")
    })
}

/// Adds what the file does not have; `doubled` gets the place of what it has.
fn merge<'i>(file: &mut DeTable<'i>, macros: DeTable<'i>, doubled: &mut impl FnMut(usize)) {
    for (key, value) in macros {
        let Some(there) = file.get_mut(key.get_ref().as_ref()) else {
            file.insert(key, value);
            continue;
        };
        match (there.get_mut(), value.into_inner()) {
            (DeValue::Table(there), DeValue::Table(more)) => merge(there, more, doubled),
            _ => doubled(key.span().start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use crate::poll::configuration::Parameter;

    fn read(file: &str, macros: &[(&str, &str, &str)]) -> (Vec<String>, Vec<String>) {
        let parameter = |(of, name, value): &(&str, &str, &str)| Parameter {
            of: of.to_string(),
            name: name.to_string(),
            value: (*value != "-").then(|| value.to_string()),
        };
        let macros = macros.iter().map(parameter).collect();
        let source = Source::parse_with(Some("/etc/p/perijove.toml".into()), file.into(), &macros);
        match source.into_config() {
            Ok(config) => (config.warnings, Vec::new()),
            Err(why) => (Vec::new(), why.lines().map(String::from).collect()),
        }
    }

    #[test]
    fn an_error_names_the_line_of_the_configuration() {
        let influxdb = ("perijove", "output.influxdb.url", "http://h");
        for (macros, expected) in [
            (
                &[("perijove", "output.influxdb.url", "ftp://h")][..],
                "perijove output.influxdb.url …: `ftp://h` does not begin with http",
            ),
            (
                &[("perijove", "output.influxdb.database", "d")],
                "perijove output.influxdb.database …: needs a url",
            ),
            (
                &[influxdb, ("perijove-output.influxdb", "org", "o")],
                "perijove-output.influxdb org …: org is for version = 2",
            ),
            (
                &[influxdb, ("perijove-output.influxdb", "url", "http://h")],
                "perijove-output.influxdb url …: duplicate key",
            ),
            (
                &[("perijove", "intervall", "10s")],
                "perijove intervall …: unknown key `intervall`, did you mean `interval`?",
            ),
            (&[("perijove", "interval", "10")], "perijove interval …: invalid type: integer `10`"),
            (&[("perijove", "interval", "-")], "perijove interval …: a value is missing"),
            (&[("perijove", "a b", "1")], "perijove …: the name is no key of the settings"),
            (&[("perijove", "interval", "1s\n")], "perijove interval …: the value has a control"),
            (
                &[("perijove-collector.bgp", "intervall", "9s")],
                "perijove-collector.bgp intervall …: bgp has no setting `intervall`",
            ),
            (
                &[("perijove-collector.bpg", "interval", "9s")],
                "perijove-collector.bpg interval …: there is no collector `bpg`",
            ),
            (
                &[("perijove", "collectors", "['alarm', 'rout']")],
                "perijove collectors …: there is no collector `rout`",
            ),
        ] {
            let (_, faults) = read("nice = 5\n", macros);
            let expected = format!("set system apply-macro {expected}");
            assert!(faults.len() == 1 && faults[0].starts_with(&expected), "{faults:#?}");
        }
    }

    #[test]
    fn the_file_counts_and_that_is_said() {
        let file = "interval = \"5s\"\n[output.influxdb]\nurl = \"http://h\"\n";
        let macros = [
            ("perijove", "interval", "10s"),
            ("perijove", "output.influxdb.url", "http://other"),
            ("perijove", "output.influxdb.database", "d"),
        ];
        let why = "…: the settings file has this key too, and counts";
        let expected = ["interval", "output.influxdb.url"];
        let expected = expected.map(|key| format!("set system apply-macro perijove {key} {why}"));
        assert_eq!(read(file, &macros), (expected.to_vec(), vec![]));
        // What is wrong with the file is said as it always was.
        let (_, faults) = read("nice = 30\n", &macros[..1]);
        assert_eq!(faults, ["/etc/p/perijove.toml:1: nice: a nice value is between -20 and 20"]);
        let org = ("perijove", "output.influxdb.org", "o");
        let (_, faults) = read("[output.influxdb]\nurl = \"http://h\"\n", &[org]);
        assert!(faults[0].starts_with("set system apply-macro perijove output.influxdb.org …"));
    }

    #[test]
    fn what_would_be_dangerous_is_refused() {
        for (name, value) in [
            ("router", "[{ command = ['sh'] }]"),
            ("router_defaults.command", "['sh']"),
            ("router_defaults", "{ tags = { a = 'b' }, command = ['sh'] }"),
            ("router_defaults.ssh_options", "['ProxyCommand=sh']"),
            ("output.file.path", "/etc/p/points"),
            ("output.kafka.librdkafka.\"plugin.library.paths\"", "/etc/p/x.so"),
            ("output.kafka", "{ brokers = 'b', librdkafka = { a = 'b' } }"),
            ("collector_directory", "/etc/p"),
            ("state_directory", "/etc/p"),
            ("configuration_interval", "off"),
            ("sandbox", "off"),
            ("proxy", "http://p:3128"),
            ("nice", "-20"),
            ("memory_limit", "1kB"),
            ("supervise", "false"),
        ] {
            let (_, faults) = read("", &[("perijove", name, value)]);
            assert!(
                faults.iter().any(|fault| fault.contains("in the settings file only")),
                "{name}: {faults:?}"
            );
        }
        for (name, value) in [
            ("output.influxdb.password_file", "/etc/shadow"),
            ("output.influxdb.password_file", "shadow"),
            ("output.influxdb.password_file", "/etc/p/../shadow"),
            ("output.influxdb", "{ url = 'http://h', password_file = '/etc/shadow' }"),
            ("spool.directory", "/etc/cron.d"),
            ("spool.directory", "/etc/pp"),
            ("dependency.inventory.file", "hosts"),
        ] {
            let (_, faults) = read("", &[("perijove", name, value)]);
            let said = "a macro names files in the directory of the settings file only: /etc/p/…";
            assert!(faults.iter().any(|fault| fault.contains(said)), "{name}: {faults:?}");
        }
    }

    /// The shipped file shows each key with its value or an example.
    #[test]
    fn every_key_of_a_file_is_one_of_the_router_or_confined() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/perijove.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let mut table = String::new();
        let mut files = 0;
        for line in text.lines() {
            let Some(line) = line.strip_prefix('#').filter(|l| !l.starts_with(' ')) else {
                continue;
            };
            if let Some(name) = line.strip_prefix('[') {
                table = name.trim_matches(['[', ']']).to_string();
                continue;
            }
            let Some((key, value)) = line.split_once(" = ") else { continue };
            let key = if table.is_empty() { key.into() } else { format!("{table}.{key}") };
            if !value.contains("\"/") || super::longest(super::ALLOWED, &key) == 0 {
                continue;
            }
            files += 1;
            let (_, faults) = read("", &[("perijove", &key, value)]);
            let is_refused = |fault: &String| fault.contains("the settings file only");
            assert!(faults.iter().any(is_refused), "{key} = {value}: {faults:?}");
        }
        assert!(files > 5, "{files}");
    }
}
