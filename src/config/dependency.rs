//! `[dependency]`: what the machine itself talks to.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::place::Written;
use super::values::{FileLogin, named_file};
use crate::base::inventory::Label;
use crate::base::prefix::Prefix;
use crate::base::sys;
use crate::base::units::{Bytes, Interval, Timeout, or_seconds};
use crate::dependency::inventory::{self, Format};
use crate::dependency::ledger;
use crate::dependency::own_map::SocketSettings;
use crate::dependency::sockets::reading::Ask;
use crate::dependency::source::{
    DependencyConfig, Http, InventorySettings, Origin, ScrapeSettings,
};
use crate::dependency::{map, traffic};
use crate::point::tags;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileDependency {
    pub name: Option<Spanned<String>>,
    /// The old word for `name`.
    pub identity: Option<Spanned<String>>,
    pub address: Option<Spanned<String>>,
    pub bytes_as: Option<Kind>,
    pub sockets: FileSockets,
    pub inventory: Option<Spanned<FileInventory>>,
    pub darkstat: Option<Spanned<FileScrape>>,
    pub ebpf: Option<Spanned<FileScrape>>,
}

/// The type of byte counters; planet-exporter has gauges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Counter,
    Gauge,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileSockets {
    pub machine: Option<bool>,
    pub routers: Option<bool>,
    pub interval: Option<Interval>,
    pub udp: Option<bool>,
    pub loopback: Option<bool>,
    pub ignore: Vec<Prefix>,
    pub figures: Option<bool>,
    pub traffic: Option<Spanned<bool>>,
    pub namespaces: Option<bool>,
    pub who: Option<bool>,
    pub keep: Option<Interval>,
    pub rows_max: Option<usize>,
    pub peers_max: Option<usize>,
    pub proc: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileInventory {
    pub url: Option<Spanned<String>>,
    pub file: Option<PathBuf>,
    pub format: Format,
    pub interval: Option<Interval>,
    pub timeout: Option<Timeout>,
    pub bytes_max: Option<Bytes>,
    pub entries_max: Option<usize>,
    pub username: Option<String>,
    pub password_file: Option<Spanned<PathBuf>>,
    pub token_file: Option<Spanned<PathBuf>>,
    pub ca_file: Option<PathBuf>,
    pub labels: Option<Spanned<BTreeMap<String, String>>>,
    pub enrich: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileScrape {
    pub url: Option<Spanned<String>>,
    pub interval: Option<Interval>,
    pub timeout: Option<Timeout>,
    pub bytes_max: Option<Bytes>,
    pub peers_max: Option<usize>,
    pub username: Option<String>,
    pub password_file: Option<Spanned<PathBuf>>,
    pub token_file: Option<Spanned<PathBuf>>,
    pub ca_file: Option<PathBuf>,
}

const DARKSTAT_URL: &str = "http://127.0.0.1:11560/metrics";
const EBPF_URL: &str = "http://localhost:9435/metrics";
/// Of sockets, darkstat and ebpf_exporter; the inventory changes seldom.
pub const INTERVAL_SECONDS: u64 = 7;
/// What vanished is kept for a day, and for the time that it takes to look at it.
const KEEP_SECONDS: u64 = 25 * 3600;
const INVENTORY_INTERVAL_SECONDS: u64 = 180;

impl FileDependency {
    /// Whether routers are asked for their connections.
    pub fn wants_connections(&self) -> bool {
        self.sockets.routers.unwrap_or(true)
    }

    /// Whether collectors' points of a peer get its domain and hostgroup.
    pub fn enriches(&self) -> bool {
        self.inventory.as_ref().is_some_and(|inventory| inventory.get_ref().enrich)
    }
}

/// If it is not set, the machine's own sockets are read only if there are no routers.
pub fn settings(
    written: &Written,
    file: &FileDependency,
    has_routers: bool,
) -> Result<DependencyConfig, String> {
    let address =
        match &file.address {
            None => None,
            Some(text) => Some(text.get_ref().parse::<IpAddr>().map_err(|_| {
                written.at_value(text, format!("`{}` is no address", text.get_ref()))
            })?),
        };
    let sockets = &file.sockets;
    if let (Some(traffic), Some(_)) = (&sockets.traffic, &file.darkstat)
        && *traffic.get_ref()
    {
        let why = "gives planet_traffic_bytes_total, which [dependency.darkstat] gives too: \
                   remove one of the two";
        return Err(written.at_value(traffic, why));
    }
    let interval = or_seconds(sockets.interval, INTERVAL_SECONDS);
    let of_machine = sockets.machine.unwrap_or(!has_routers);
    Ok(DependencyConfig {
        name: written.name(&file.name, &file.identity)?.unwrap_or_else(sys::hostname),
        address: address.map(|address| address.to_canonical()),
        bytes_as_gauge: file.bytes_as == Some(Kind::Gauge),
        host_interval: interval,
        sockets: of_machine.then(|| SocketSettings {
            interval,
            udp: sockets.udp.unwrap_or(true),
            loopback: sockets.loopback.unwrap_or(false),
            ignore: sockets.ignore.clone(),
            figures: sockets.figures.unwrap_or(true),
            traffic: sockets.traffic.as_ref().is_some_and(|traffic| *traffic.get_ref()),
            ask: Ask {
                namespaces: sockets.namespaces.unwrap_or(true),
                who: sockets.who.unwrap_or(false),
            },
            bounds: ledger::Bounds {
                keep: or_seconds(sockets.keep, KEEP_SECONDS),
                rows_max: sockets.rows_max.unwrap_or(20_000),
                peers_max: sockets.peers_max.unwrap_or(10_000),
            },
            proc: sockets.proc.clone().unwrap_or("/proc".into()),
        }),
        inventory: file.inventory.as_ref().map(|file| inventory(written, file)).transpose()?,
        darkstat: scrape(written, &file.darkstat, DARKSTAT_URL)?,
        ebpf: scrape(written, &file.ebpf, EBPF_URL)?,
    })
}

fn inventory(
    written: &Written,
    spanned: &Spanned<FileInventory>,
) -> Result<InventorySettings, String> {
    let file = spanned.get_ref();
    let login = FileLogin {
        username: &file.username,
        password_file: &file.password_file,
        token_file: &file.token_file,
    };
    let from = match (&file.url, &file.file) {
        (Some(_), None) => Origin::Http(Http {
            url: written.url(&file.url, spanned)?,
            timeout: or_seconds(file.timeout, 10),
            authorization: written.login(login, spanned)?.header(),
            ca_file: file.ca_file.as_deref().map(named_file),
        }),
        (None, Some(path)) => Origin::File(path.clone()),
        _ => return Err(written.at_value(spanned, "needs either a url or a file")),
    };
    let bounds = inventory::Bounds::default();
    Ok(InventorySettings {
        interval: or_seconds(file.interval, INVENTORY_INTERVAL_SECONDS),
        from,
        format: file.format,
        bounds: inventory::Bounds {
            bytes_max: file.bytes_max.map_or(bounds.bytes_max, |bytes| bytes.0),
            entries_max: file.entries_max.unwrap_or(bounds.entries_max),
        },
        labels: file.labels.as_ref().map_or(Ok(Arc::default()), |of| labels(written, of))?,
        enrich: file.enrich,
    })
}

/// Each is written with most series of the map.
const LABELS_MAX: usize = 8;

/// The fields that are kept as labels, none of which has the name of a label that the map has.
fn labels(
    written: &Written,
    spanned: &Spanned<BTreeMap<String, String>>,
) -> Result<Arc<[Label]>, String> {
    let fail = |why: String| written.at_value(spanned, why);
    let labels = spanned.get_ref();
    if labels.len() > LABELS_MAX {
        return Err(fail(format!("{} labels, and there are {LABELS_MAX} at most", labels.len())));
    }
    let mut all = Vec::new();
    for (name, field) in labels {
        let (local, remote) = (format!("local_{name}"), format!("remote_{name}"));
        let is_taken = |tags: &[&str]| tags.iter().any(|tag| *tag == local || *tag == remote);
        let schemas = map::MEASUREMENTS.iter().map(|schema| schema.tags());
        if name.is_empty() || schemas.chain([traffic::TAGS]).any(is_taken) {
            return Err(fail(format!("`{name}` cannot be a label: the map has one so called")));
        }
        if inventory::FIELDS.contains(&&**field) {
            return Err(fail(format!("`{field}` is in the map already: name another field")));
        }
        tags::check_name(&remote).map_err(fail)?;
        all.push(Label { field: field.clone(), local, remote });
    }
    Ok(all.into())
}

fn scrape(
    written: &Written,
    file: &Option<Spanned<FileScrape>>,
    default: &str,
) -> Result<Option<ScrapeSettings>, String> {
    let Some(spanned) = file else { return Ok(None) };
    let file = spanned.get_ref();
    let login = FileLogin {
        username: &file.username,
        password_file: &file.password_file,
        token_file: &file.token_file,
    };
    let url = file.url.as_ref().map(|_| written.url(&file.url, spanned)).transpose()?;
    Ok(Some(ScrapeSettings {
        interval: or_seconds(file.interval, INTERVAL_SECONDS),
        from: Http {
            url: url.unwrap_or(default.into()),
            timeout: file.timeout.map_or(Duration::from_secs(5), |time| time.0),
            authorization: written.login(login, spanned)?.header(),
            ca_file: file.ca_file.as_deref().map(named_file),
        },
        bounds: traffic::Bounds {
            bytes_max: file.bytes_max.map_or(64 << 20, |bytes| bytes.0),
            peers_max: file.peers_max.unwrap_or(10_000),
        },
    }))
}

#[cfg(test)]
mod tests {
    use crate::config::tests::read;

    #[test]
    fn labels_have_names_that_the_map_does_not_have() {
        let labels = |written: &str| {
            let text = format!("[dependency.inventory]\nfile = \"a\"\nlabels = {written}\n");
            let config = read(&text)?;
            let inventory = config.dependency.and_then(|settings| settings.inventory);
            let labels = inventory.expect("an inventory").labels;
            let of = |label: &crate::base::inventory::Label| {
                format!("{} {} {}", label.field, label.local, label.remote)
            };
            Ok::<_, String>(labels.iter().map(of).collect::<Vec<_>>())
        };
        assert_eq!(labels("{}"), Ok(Vec::new()));
        let both = ["Data Center local_dc remote_dc", "env local_env remote_env"];
        assert_eq!(labels("{ dc = \"Data Center\", env = \"env\" }").unwrap(), both);
        for name in ["address", "domain", "hostgroup", "ip", "\"\""] {
            let said = labels(&format!("{{ {name} = \"x\" }}")).unwrap_err();
            assert!(said.contains("cannot be a label: the map has one so called"), "{said}");
        }
        for (written, why) in [
            ("{ Site = \"x\" }", "FILE:3: dependency.inventory.labels: a tag's name is made of"),
            ("{ site = \"domain\" }", "`domain` is in the map already"),
            ("{ site = 7 }", "FILE:3: dependency.inventory.labels: invalid type"),
        ] {
            let said = labels(written).unwrap_err();
            assert!(said.contains(why), "{written}: {said}");
        }
        let many: Vec<_> = (0..9).map(|n| format!("l{n} = \"x\"")).collect();
        let said = labels(&format!("{{ {} }}", many.join(", "))).unwrap_err();
        assert!(said.contains("9 labels, and there are 8 at most"), "{said}");
        assert!(labels(&format!("{{ {} }}", many[1..].join(", "))).is_ok());
    }
}
