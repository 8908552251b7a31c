//! The system as a whole: memory buffers, hardware and software, the last commit, licences.

use serde::Deserialize;
use time::Date;
use time::format_description::well_known::Iso8601;

use crate::base::changes::{Grade, Rule, Severity};
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info, text, watched};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, Seconds, is_word, leaves};

settings! {
    pub struct System {
        /// Ask for licences too.
        license: bool,
        /// Ask for satellite devices too.
        satellite: bool,
    }
}

/// junos_exporter calls mbufs and clusters bytes, although they are counts.
static BUFFERS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "system",
    help: "Memory buffers of the kernel's network stack.",
    tags: &[],
    fields: [
        leaves(
            "~current-mbufs=mbufs_bytes_current ~cached-mbufs=mbufs_bytes_cache \
             ~total-mbufs=mbufs_bytes_total ~mbuf-failures=mbufs_denied_count \
             ~current-mbuf-clusters=mbuf_cluster_bytes_current \
             ~cached-mbuf-clusters=mbuf_cluster_bytes_cache \
             ~total-mbuf-clusters=mbuf_cluster_bytes_total \
             ~max-mbuf-clusters=mbuf_cluster_bytes_max \
             ~cluster-failures=mbufs_and_clusters_denied_count \
             ~packet-count=mbuf_and_clusters_from_packet_zone_bytes_current \
             ~packet-free=mbuf_and_clusters_from_packet_zone_bytes_cache \
             ~packet-failures=mbuf_and_clusters_denied_count",
        ),
        vec![
            gauge("network_allocated_bytes_current", "bytes", "Memory in use for packets.", |l| {
                bytes(l, "current-bytes-in-use")
            }),
            gauge("network_allocated_bytes_cache", "bytes", "Memory cached for packets.", |l| {
                bytes(l, "cached-bytes")
            }),
            gauge("network_allocated_bytes_total", "bytes", "Memory allocated for packets.", |l| {
                bytes(l, "total-bytes")
            }),
        ],
        leaves(
            "~sfbuf-requests-denied=sfbufs_denied_count \
             ~sfbuf-requests-delayed=sfbufs_delayed_count ~io-initiated=io_requests_count",
        ),
    ]
    .into_iter()
    .flatten()
    .collect(),
});

/// Junos reports it in KiB.
fn bytes(leaves: &Leaves, name: &str) -> Option<u64> {
    leaves.integer(name)?.checked_mul(1024)
}

static JUMBO_CLUSTERS: Measurement<JumboClusters> = Measurement::new(|| Definition {
    name: "system_jumbo_clusters",
    help: "Clusters of one size in the kernel's network stack.",
    tags: &["page_size"],
    fields: vec![
        gauge("current", "", "Clusters in use.", |c| c.current),
        gauge("cache", "", "Clusters in the cache.", |c| c.cached),
        gauge("total", "", "Clusters in all.", |c| c.total),
        gauge("max", "", "Clusters that there may be.", |c| c.max),
        gauge("denied_count", "", "Requests for clusters that were denied.", |c| c.denied),
    ],
});

static COMMIT: Measurement<Commit> = Measurement::new(|| Definition {
    name: "system",
    help: "The last commit of the configuration.",
    tags: &[],
    fields: vec![gauge("system_commit_time", "s", "When it was, since 1970.", |c| {
        c.date_time.as_ref()?.seconds
    })],
});

static HARDWARE: Measurement<Hardware> = Measurement::new(|| Definition {
    name: "system_hardware",
    help: "The router, or one of its satellites.",
    tags: &["slot_id"],
    fields: vec![
        info("model", "Hardware model.", |h| Some(&h.model)),
        info("os", "Operating system, or satellite.", |h| Some(&h.os)),
        info("os_version", "Its version.", |h| Some(&h.os_version)),
        info("serial", "Serial number.", |h| Some(&h.serial)),
        info("hostname", "Host name.", |h| Some(&h.hostname)),
        info("alias", "A satellite's alias.", |h| Some(&h.alias)),
        info("state", "A satellite's state.", |h| Some(&h.state)),
        gauge("info", "", "1; the facts are in the labels.", |h| {
            (*h != Hardware::default()).then_some(1)
        }),
    ],
});

static INSTALLED: Rule =
    Rule { grade: Grade::Falls(Severity::Warning), ..Rule::of("license-installed") };
static NEEDED: Rule =
    Rule { grade: Grade::Unless(&["0"], Severity::Warning), ..Rule::of("license-needed") };
static VALIDITY: Rule = Rule {
    grade: Grade::Unless(&["permanent", "date-based"], Severity::Warning),
    ..Rule::of("license-validity")
};

static LICENSE: Measurement<License> = Measurement::new(|| Definition {
    name: "system_license",
    help: "Licences for a feature.",
    tags: &["feature_name"],
    fields: vec![
        info("feature_description", "The feature in words.", |l| Some(&l.description)),
        watched(
            &VALIDITY,
            text("validity_type", "permanent, date-based, expired, ….", |l| {
                l.validity_type.as_deref()
            }),
        ),
        gauge("used", "", "Licences in use.", |l| l.used_licensed),
        watched(&INSTALLED, gauge("installed", "", "Licences installed.", |l| l.licensed)),
        watched(
            &NEEDED,
            gauge("needed", "", "Licences that are used but not installed.", |l| l.needed),
        ),
        gauge("expiry", "d", "Days to the end; -1 if expired; none if it never ends.", |l| match l
            .validity_type
            .as_deref()
        {
            Some(validity) if is_word(validity, "expired") => Some(-1.0),
            Some(validity) if is_word(validity, "permanent") => None,
            _ => Some((l.end_date.as_ref()?.seconds()? - l.asked_s?) / 86400.0),
        }),
    ],
});

impl Collector for System {
    const NAME: &'static str = "system";
    const HELP: &'static str =
        "The system as a whole: memory buffers, hardware and software, the last commit, licences.";
    const ADVICE: &'static str = "300s: versions, licences and commits change seldom.";
    const QUERIES: &'static [Query<System>] = &[
        Query {
            rpc: Rpc::Once("<get-buffer-informations/>"),
            command: "show system buffers",
            // Older releases answer with text.
            roots: &["memory-statistics", "output"],
            items: &[item::<_, Leaves>("memory-statistics"), item::<_, BuffersText>("output")],
        },
        Query {
            rpc: Rpc::Once("<get-system-information/>"),
            command: "show system information",
            roots: &["system-information"],
            items: &[item::<_, SystemInformation>("system-information")],
        },
        Query {
            rpc: Rpc::Once("<get-commit-information/>"),
            command: "show system commit",
            roots: &["commit-information"],
            items: &[item::<_, Commit>("commit-history")],
        },
        Query {
            rpc: Rpc::When(
                "<get-chassis-satellite-information><detail/></get-chassis-satellite-information>",
                |system| system.satellite,
            ),
            command: "show chassis satellite detail",
            roots: &["satellite-information"],
            items: &[item::<_, Satellite>("satellite")],
        },
        Query {
            rpc: Rpc::When("<get-license-usage-summary/>", |system| system.license),
            command: "show system license usage",
            roots: &["license-usage-summary"],
            items: &[item::<_, License>("feature-summary")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] =
        &[&BUFFERS, &JUMBO_CLUSTERS, &COMMIT, &HARDWARE, &LICENSE];
}

struct JumboClusters {
    current: Option<u64>,
    cached: Option<u64>,
    total: Option<u64>,
    max: Option<u64>,
    denied: Option<u64>,
}

impl Item<System> for Leaves {
    fn points(self, _: &mut System, _: &Scope, points: &mut Points) {
        points.push(&BUFFERS, &[], &self);
        for size in ["4k", "9k", "16k"] {
            let of_size = |name: &str| self.integer(&format!("{name}-{size}"));
            let clusters = JumboClusters {
                current: of_size("current-jumbo-clusters"),
                cached: of_size("cached-jumbo-clusters"),
                total: of_size("total-jumbo-clusters"),
                max: of_size("max-jumbo-clusters"),
                denied: of_size("jumbo-cluster-failures"),
            };
            points.push(&JUMBO_CLUSTERS, &[size], &clusters);
        }
    }
}

/// Lines such as `3216/15519/18735 mbufs in use (current/cache/total)`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct BuffersText(Leaves);

/// The words in such a line, and what newer releases call its numbers.
const LINES: &[(&str, &str)] = &[
    ("mbufs in use", "current-mbufs/cached-mbufs/total-mbufs"),
    (
        "mbuf clusters in use",
        "current-mbuf-clusters/cached-mbuf-clusters/total-mbuf-clusters/max-mbuf-clusters",
    ),
    ("mbuf+clusters out of packet secondary zone in use", "packet-count/packet-free"),
    (
        "4k (page size) jumbo clusters in use",
        "current-jumbo-clusters-4k/cached-jumbo-clusters-4k/total-jumbo-clusters-4k/\
         max-jumbo-clusters-4k",
    ),
    (
        "9k (page size) jumbo clusters in use",
        "current-jumbo-clusters-9k/cached-jumbo-clusters-9k/total-jumbo-clusters-9k/\
         max-jumbo-clusters-9k",
    ),
    (
        "16k (page size) jumbo clusters in use",
        "current-jumbo-clusters-16k/cached-jumbo-clusters-16k/total-jumbo-clusters-16k/\
         max-jumbo-clusters-16k",
    ),
    ("bytes allocated to network", "current-bytes-in-use/cached-bytes/total-bytes"),
    ("requests for mbufs denied", "mbuf-failures/cluster-failures/packet-failures"),
    (
        "requests for jumbo clusters denied",
        "jumbo-cluster-failures-4k/jumbo-cluster-failures-9k/jumbo-cluster-failures-16k",
    ),
    ("requests for sfbufs denied", "sfbuf-requests-denied"),
    ("requests for sfbufs delayed", "sfbuf-requests-delayed"),
    ("requests for I/O initiated by sendfile", "io-initiated"),
];

impl TryFrom<String> for BuffersText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<BuffersText, Self::Error> {
        let mut leaves = Leaves::default();
        for (numbers, words) in text.lines().filter_map(|line| line.trim().split_once(' ')) {
            let Some((_, names)) = LINES.iter().find(|(line, _)| words.starts_with(line)) else {
                continue;
            };
            for (name, number) in names.split('/').zip(numbers.split('/')) {
                leaves.add(name.into(), number.trim_end_matches(['K', 'k']).into());
            }
        }
        if leaves.is_empty() { Err("no line of buffers") } else { Ok(BuffersText(leaves)) }
    }
}

impl Item<System> for BuffersText {
    fn points(self, system: &mut System, scope: &Scope, points: &mut Points) {
        self.0.points(system, scope, points);
    }
}

#[derive(Default, PartialEq)]
struct Hardware {
    model: String,
    os: String,
    os_version: String,
    serial: String,
    hostname: String,
    alias: String,
    state: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct SystemInformation {
    hardware_model: String,
    os_name: String,
    os_version: String,
    serial_number: String,
    host_name: String,
}

impl Item<System> for SystemInformation {
    fn points(self, _: &mut System, _: &Scope, points: &mut Points) {
        let hardware = Hardware {
            model: self.hardware_model,
            os: self.os_name,
            os_version: self.os_version,
            serial: self.serial_number,
            hostname: self.host_name,
            ..Hardware::default()
        };
        points.push(&HARDWARE, &[""], &hardware);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Satellite {
    slot_id: String,
    #[serde(default)]
    product_model: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    serial_number: String,
    #[serde(default)]
    satellite_alias: String,
    #[serde(default)]
    operation_state: String,
}

impl Item<System> for Satellite {
    fn points(self, _: &mut System, _: &Scope, points: &mut Points) {
        let hardware = Hardware {
            model: self.product_model.to_lowercase(),
            os: "satellite".into(),
            os_version: self.version,
            serial: self.serial_number,
            hostname: String::new(),
            alias: self.satellite_alias,
            state: self.operation_state.to_lowercase(),
        };
        points.push(&HARDWARE, &[&self.slot_id], &hardware);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Commit {
    sequence_number: u64,
    date_time: Option<Seconds>,
}

impl Item<System> for Commit {
    fn points(self, _: &mut System, _: &Scope, points: &mut Points) {
        if self.sequence_number == 0 {
            points.push(&COMMIT, &[], &self);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct License {
    name: String,
    #[serde(default)]
    description: String,
    used_licensed: Option<u64>,
    licensed: Option<u64>,
    needed: Option<u64>,
    validity_type: Option<String>,
    end_date: Option<EndDate>,
    #[serde(skip)]
    asked_s: Option<f64>,
}

/// `2026-06-30`, with or without a time of day; newer releases add `junos:seconds`.
#[derive(Deserialize)]
struct EndDate {
    #[serde(rename = "@seconds")]
    seconds: Option<f64>,
    #[serde(rename = "$text")]
    text: Option<String>,
}

impl EndDate {
    fn seconds(&self) -> Option<f64> {
        let date = || Date::parse(self.text.as_deref()?.get(..10)?, &Iso8601::DATE).ok();
        self.seconds.or_else(|| Some(date()?.midnight().assume_utc().unix_timestamp() as f64))
    }
}

impl Item<System> for License {
    fn points(mut self, _: &mut System, _: &Scope, points: &mut Points) {
        self.description = self.description.to_lowercase();
        self.asked_s = points.asked_ns.map(|asked_ns| asked_ns as f64 / 1e9);
        points.push(&LICENSE, &[&self.name.to_lowercase()], &self);
    }
}
