//! planet-exporter's flags.

use super::go_flags::{self, GoFlags};
use super::settings::Toml;
use super::{Imported, Place};

/// Its flags, and whether each needs no value.
const FLAGS: &[(&str, bool)] = &[
    ("listen-address", false),
    ("log-level", false),
    ("log-disable-timestamp", true),
    ("log-disable-colors", true),
    ("version", true),
    ("task-interval", false),
    ("task-socketstat-enabled", true),
    ("task-darkstat-enabled", true),
    ("task-darkstat-addr", false),
    ("task-ebpf-enabled", true),
    ("task-ebpf-addr", false),
    ("task-inventory-enabled", true),
    ("task-inventory-addr", false),
    ("task-inventory-format", false),
];
/// How many intervals pass between two looks at the inventory there.
const INVENTORY_INTERVALS: u32 = 25;

pub fn read(arguments: &[String], _: &Place) -> Result<Imported, String> {
    let is_switch = |name: &str| FLAGS.iter().find(|(known, _)| *known == name).map(|f| f.1);
    let flags = go_flags::read(arguments, is_switch)?;
    if let Some(word) = flags.rest.first() {
        return Err(format!("`{word}` is no flag of it"));
    }
    let mut imported = Imported::default();
    imported.settings = settings(&flags, &mut imported.notes)?;
    Ok(imported)
}

fn settings(flags: &GoFlags, notes: &mut Vec<String>) -> Result<String, String> {
    let enabled = |task: &str| flags.switch(&format!("task-{task}-enabled"));
    let interval = go_flags::time(flags.text("task-interval").unwrap_or("7s"))?;
    let mut toml = Toml::default();
    if let Some(level) = flags.text("log-level").filter(|level| *level != "info") {
        toml.table("[log]");
        toml.set("level", self::level(level)?);
    }
    toml.table("[output.prometheus]");
    toml.set("listen", flags.text("listen-address").unwrap_or("0.0.0.0:19100"));
    toml.table("[dependency]");
    toml.table("[dependency.sockets]");
    toml.raw("machine", enabled("socketstat")?.unwrap_or(true));
    toml.set("interval", &interval);
    for (task, default) in [("darkstat", ""), ("ebpf", "http://localhost:9435/metrics")] {
        if enabled(task)? != Some(true) {
            continue;
        }
        let address = flags.text(&format!("task-{task}-addr")).unwrap_or(default);
        if address.is_empty() {
            notes.push(format!("{task}, which is enabled without an address"));
            continue;
        }
        toml.table(&format!("[dependency.{task}]"));
        toml.set("url", address);
        toml.set("interval", &interval);
    }
    if enabled("inventory")? == Some(true) {
        inventory(flags, &interval, &mut toml, notes)?;
    }
    Ok(toml.text)
}

fn inventory(
    flags: &GoFlags,
    interval: &str,
    toml: &mut Toml,
    notes: &mut Vec<String>,
) -> Result<(), String> {
    let Some(address) = flags.text("task-inventory-addr") else {
        notes.push("the inventory, which is enabled without an address".into());
        return Ok(());
    };
    toml.table("[dependency.inventory]");
    toml.set("url", address);
    let format = flags.text("task-inventory-format").unwrap_or("arrayjson");
    if !["arrayjson", "ndjson"].contains(&format) {
        notes.push(format!("the format {format}, in whose place planet-exporter reads arrayjson"));
    }
    toml.set("format", if format == "ndjson" { "ndjson" } else { "arrayjson" });
    let unit = if interval.ends_with("ms") { "ms" } else { "s" };
    let number: u64 = interval.trim_end_matches(unit).parse().map_err(|_| "-task-interval")?;
    toml.set("interval", &format!("{}{unit}", number * u64::from(INVENTORY_INTERVALS)));
    Ok(())
}

/// logrus has more levels.
fn level(level: &str) -> Result<&'static str, String> {
    match level {
        "panic" | "fatal" | "error" => Ok("error"),
        "warn" | "warning" => Ok("warn"),
        "info" => Ok("info"),
        "debug" => Ok("debug"),
        "trace" => Ok("trace"),
        _ => Err(format!("-log-level: there is no level `{level}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn imported(words: &str) -> Result<Imported, String> {
        let words: Vec<String> = words.split_whitespace().map(String::from).collect();
        read(&words, &Place { directory: None })
    }

    #[test]
    fn the_service_that_its_playbook_installs() {
        let imported = imported(
            "-listen-address 0.0.0.0:11910 -log-level info -log-disable-colors \
             -log-disable-timestamp -task-darkstat-enabled \
             -task-darkstat-addr http://127.0.0.1:11560/metrics -task-inventory-enabled=true \
             --task-inventory-addr=http://inventory.example/all.ndjson \
             -task-inventory-format ndjson -task-interval 10s",
        )
        .unwrap();
        assert_eq!(imported.notes, [""; 0]);
        let expected = "\n[output.prometheus]\nlisten = \"0.0.0.0:11910\"\n\n[dependency]\n\n\
                        [dependency.sockets]\nmachine = true\ninterval = \"10s\"\n\n\
                        [dependency.darkstat]\nurl = \"http://127.0.0.1:11560/metrics\"\n\
                        interval = \"10s\"\n\n[dependency.inventory]\n\
                        url = \"http://inventory.example/all.ndjson\"\nformat = \"ndjson\"\n\
                        interval = \"250s\"\n";
        assert_eq!(imported.settings, expected);
        let config = Source::parse(None, imported.settings).into_config().unwrap();
        assert!(config.routers.is_empty() && config.dependency.is_some());
    }

    #[test]
    fn what_is_off_or_without_an_address_is_left_out() {
        let imported = imported(
            "-task-socketstat-enabled=false -task-ebpf-enabled -task-darkstat-enabled \
             -log-level warning",
        )
        .unwrap();
        assert_eq!(imported.notes, ["darkstat, which is enabled without an address"]);
        for words in ["machine = false", "url = \"http://localhost:9435/metrics\"", "\"warn\""] {
            assert!(imported.settings.contains(words), "{words}: {}", imported.settings);
        }
        assert!(!imported.settings.contains("darkstat"));
        Source::parse(None, imported.settings).into_config().unwrap();
        for (words, said) in [
            ("-task-interval soon", "`soon` is no time such as 30s"),
            ("-nothing", "it has no flag -nothing"),
            ("-log-level loud", "-log-level: there is no level `loud`"),
            ("file", "`file` is no flag of it"),
        ] {
            assert_eq!(super::tests::imported(words).err().as_deref(), Some(said));
        }
    }
}
