//! Replies of real routers, and what junos_exporter makes of them.
//!
//! The replies are other projects' and stand beside this repository, in ../shared: where they are
//! not there, these tests say so and pass. What is compared without them are replies that
//! tests/exporter/build makes from a table of junos_exporter's series, tests/exporter/rules.tsv.
//!
//! junos_exporter is the exporter whose names perijove takes over, so that its dashboards go on
//! working: each of its series must come out of `perijove parse` too. One rule holds for all: an
//! element that a reply does not have gives 0 there and nothing here. Every other difference is a
//! row of `DIFFERENCES`, each a mistake of that exporter, and a paragraph of docs/differences.md.

mod common;
mod said;
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use common::needs::{PYTHON, SHARED, skips};
use common::temporary::Directory;
use perijove::base::inventory::Shared;
use perijove::collector::Entry;
use perijove::poll::registry;
use perijove::xml::items;
use perijove::{cli, point::Points};
use quick_xml::events::Event;
use serde::Deserialize;
use series::{Series, exposition};

/// Series of that exporter that are not reproduced.
struct Difference {
    collector: &'static str,
    /// The heading in docs/differences.md under which it is explained.
    title: &'static str,
    /// Its metrics, by name or by a name's beginning and `*`.
    metrics: &'static [&'static str],
    /// Whether this is why a series of theirs is not among ours.
    explains: fn(theirs: &Series, ours: &[Series]) -> bool,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        collector: "alarm",
        title: "Alarms name their Routing Engine",
        metrics: &["junos_alarms_set"],
        explains: |theirs, ours| ours.iter().any(|our| our.without("re_name") == *theirs),
    },
    Difference {
        collector: "bgp",
        title: "An AS number that is not known is left out",
        metrics: &["junos_bgp_session_info"],
        explains: |theirs, ours| {
            theirs.label("local_as") == "unknown" && ours.contains(&theirs.without("local_as"))
        },
    },
    Difference {
        collector: "bgp",
        title: "Every prefix limit names its table",
        metrics: &["junos_bgp_session_prefixes_limit_count"],
        explains: |theirs, ours| {
            let ours = ours.iter().filter(|our| !our.label("table").is_empty());
            theirs.label("table").is_empty()
                && ours.map(|o| o.without("table").without("instance")).any(|o| o == *theirs)
        },
    },
    Difference {
        collector: "bgp",
        title: "Peers name their routing instance",
        metrics: &["junos_bgp_session_*"],
        explains: |theirs, ours| ours.iter().any(|our| our.without("instance") == *theirs),
    },
    Difference {
        collector: "ddosprotection",
        title: "A physical interface's detection mode is its own",
        metrics: &["junos_ddos_protection_flow_aggregation_level_physical_interface"],
        explains: |theirs, ours| {
            let theirs = theirs.without("detection_mode");
            ours.iter().any(|our| our.without("detection_mode") == theirs)
        },
    },
    Difference {
        collector: "ddosprotection",
        title: "Flow detection names its packet type",
        metrics: &["junos_ddos_protection_flow_system_*"],
        explains: |theirs, ours| {
            ours.iter().any(|our| our.without("protocol").without("packet") == *theirs)
        },
    },
    Difference {
        collector: "evpn",
        title: "Instances name their Routing Engine",
        metrics: &["junos_evpn_*"],
        explains: |theirs, ours| ours.iter().any(|our| our.without("re_name") == *theirs),
    },
    Difference {
        collector: "interfaces",
        title: "An interface that is as it is meant to be has no error",
        metrics: &["junos_interface_error_status"],
        explains: |theirs, ours| {
            let same = |our: &&Series| our.name == theirs.name && our.labels == theirs.labels;
            theirs.value == 1.0 && ours.iter().find(same).is_none_or(|our| our.value == 0.0)
        },
    },
    Difference {
        collector: "interfaces",
        title: "An interface that reports no FEC mode has none",
        metrics: &["junos_interface_fec_mode"],
        explains: |theirs, ours| {
            let same = |our: &&Series| our.name == theirs.name && our.labels == theirs.labels;
            theirs.value == 1.0 && !ours.iter().any(|our| same(&our))
        },
    },
    Difference {
        collector: "ipsec",
        title: "A state with newlines around it is read",
        metrics: &["junos_ipsec_security_associations_state"],
        explains: |theirs, ours| {
            let gateway = theirs.label("name");
            let up = |our: &&Series| our.label("name") == gateway && our.value == 1.0;
            theirs.label("description").contains('\n') && ours.iter().any(|our| up(&our))
        },
    },
    Difference {
        collector: "ldp",
        title: "A session's state is the session's",
        metrics: &["junos_ldp_session_state"],
        explains: |theirs, ours| ours.iter().any(|our| our.labels == theirs.labels),
    },
    Difference {
        collector: "lldp",
        title: "Neighbours stand in a reply of their own",
        metrics: &["junos_lldp_peer"],
        explains: |_, ours| ours.iter().all(|our| our.name != "junos_lldp_peer"),
    },
    Difference {
        collector: "security",
        title: "Each unit names its place",
        metrics: &["junos_security_*"],
        explains: |theirs, ours| {
            ours.iter().any(|our| our.without("fpc").without("pic") == *theirs)
        },
    },
    Difference {
        collector: "systemstatistics",
        title: "A counter is that of its name",
        metrics: &[
            "junos_systemstatistics_tcp_sack_options_sent",
            "junos_systemstatistics_icmp6_icmp6_echo_input_histogram",
        ],
        explains: |theirs, ours| {
            let other = match &*theirs.name {
                "junos_systemstatistics_tcp_sack_options_sent" => "tcp_sack_options_received",
                _ => "icmp6_echo_reply_input_histogram",
            };
            ours.iter().any(|our| our.name.ends_with(other) && our.value == theirs.value)
        },
    },
    Difference {
        collector: "systemstatistics",
        title: "ARP requests received are not those sent",
        metrics: &["junos_systemstatistics_arp_requests_received"],
        explains: |theirs, ours| {
            let sent = |our: &&Series| our.name == "junos_systemstatistics_arp_requests_sent";
            ours.iter().find(sent).is_some_and(|our| our.value == theirs.value)
        },
    },
    Difference {
        collector: "systemstatistics",
        title: "Groups of one type are one series",
        metrics: &[
            "junos_systemstatistics_icmp_*",
            "junos_systemstatistics_ipv6_header_type_globals",
            "junos_systemstatistics_ipv6_header_type_link_locals",
        ],
        explains: |theirs, ours| {
            ours.iter().any(|our| our.name == theirs.name && our.labels == theirs.labels)
        },
    },
    Difference {
        collector: "systemstatistics",
        title: "A metric's name has no hyphen",
        metrics: &["junos_systemstatistics_icmp_messages_with_nad_source-address"],
        explains: |theirs, ours| {
            let name = theirs.name.replace('-', "_");
            ours.contains(&Series { name, ..theirs.clone() })
        },
    },
    Difference {
        collector: "ufd",
        title: "Groups name their member",
        metrics: &["junos_ufd_*"],
        explains: |theirs, ours| ours.iter().any(|our| our.without("re_name") == *theirs),
    },
];

impl Difference {
    fn covers(&self, collector: &str, metric: &str) -> bool {
        let named = |name: &&str| match name.strip_suffix('*') {
            Some(beginning) => metric.starts_with(beginning),
            None => *name == metric,
        };
        self.collector == collector && self.metrics.iter().any(named)
    }
}

/// The folder of replies, if it is there.
fn replies() -> Option<PathBuf> {
    if skips(&[SHARED]) {
        return None;
    }
    Some(Path::new(env!("CARGO_MANIFEST_DIR")).join(SHARED).join("replies"))
}

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
}

/// The points that a collector makes of a reply that answers its queries, without the labels of
/// descriptions, which junos_exporter's output here was made without.
fn parse(entry: &Entry, reply: &[u8]) -> (Points, Result<(), String>) {
    let has_labels = entry.keys.iter().any(|key| key.name == "description_labels");
    let settings = if has_labels { "description_labels = \"\"" } else { "" };
    let configured = entry.configure(toml::de::DeTable::parse(settings).unwrap()).unwrap();
    let mut poll = configured.start(&Shared::default());
    let mut points = Points::default();
    let result = cli::parse_reply(&mut *poll, reply, &mut points);
    (points, result)
}

/// Replies to another form of a collector's command, whose items lack what identifies them.
const OTHER_FORMS: &[&str] = &[
    // Only the addresses of logical interfaces.
    "interface-information/Juniper_py-junos-eznc--facts_rpc-reply_",
    "bgp-group-information/genieparser--ShowBgpGroupSummary",
];

#[test]
fn every_reply_is_read_or_refused() {
    let Some(folder) = replies() else { return };
    let mut paths = Vec::new();
    files(&folder.join("recorded"), "xml", &mut paths);
    files(&folder.join("reconstructed"), "xml", &mut paths);
    let mut wrong = Vec::new();
    for path in &paths {
        let reply = std::fs::read(path).unwrap();
        let root = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        for entry in registry::collectors() {
            let poll = entry.poll();
            let own = (0..poll.queries()).any(|query| poll.roots(query).contains(&root));
            let ((points, result), said) = said::listen(|| parse(entry, &reply));
            let (_, duplicates) = exposition(entry, &points);
            let name = path.strip_prefix(&folder).unwrap().display();
            if duplicates > 0 {
                wrong.push(format!("{} {name}: {duplicates} duplicate series", entry.name));
            }
            let other_form = OTHER_FORMS.iter().any(|form| path.to_str().unwrap().contains(form));
            let left_out = |words: &&String| words.contains("items were left out");
            if let Some(words) = said.iter().find(|words| left_out(words) && !other_form) {
                wrong.push(format!("{} {name}: {words}", entry.name));
            }
            match result {
                // Some collectors read text; other text is refused in its own words.
                Err(why) if own && root != "output" || !is_refusal(&why, &reply) => {
                    wrong.push(format!("{} {name}: {why}", entry.name));
                }
                _ => {}
            }
        }
    }
    println!("{} replies read by {} collectors", paths.len(), registry::collectors().len());
    assert!(wrong.is_empty(), "{} of them wrongly:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether a collector has said no for a good reason: the reply is another's, or an error, whose
/// words it repeats.
fn is_refusal(why: &str, reply: &[u8]) -> bool {
    let words = why.split(" (").next().unwrap();
    why.contains("is not its reply") || items::to_text(reply).contains(words)
}

/// An element of a reply: where it starts and ends, and where its content does.
struct Place {
    path: String,
    whole: Range<usize>,
    content: Range<usize>,
}

impl Place {
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }
}

/// The leaves of a reply, by quick-xml: of those with one path, the first.
fn leaves(reply: &str) -> Vec<Place> {
    let mut reader = quick_xml::Reader::from_str(reply);
    let mut open: Vec<(String, usize, usize)> = Vec::new();
    let mut is_leaf = false;
    let mut found: Vec<Place> = Vec::new();
    loop {
        let start = reader.buffer_position() as usize;
        let Ok(event) = reader.read_event() else { return found };
        let end = reader.buffer_position() as usize;
        match event {
            Event::Start(tag) => {
                let around = open.last().map_or("", |(path, _, _)| path);
                open.push((format!("{around}/{}", tag.local_name().into_inner()), start, end));
                is_leaf = true;
            }
            Event::End(_) => {
                let (path, from, inside) = open.pop().unwrap();
                let is_new = found.iter().all(|place| place.path != path);
                if std::mem::take(&mut is_leaf) && is_new {
                    found.push(Place { path, whole: from..end, content: inside..start });
                }
            }
            Event::Eof => return found,
            _ => {}
        }
    }
}

/// Names that releases have for one element, as the collectors say.
const ALIASES: &[&[&str]] = &[
    &["peer-group-index", "group-index"],
    &["mac-table-total-count", "l2ng-l2-total-mac-count"],
    &["interface", "uplink-interface", "downlink-interface"],
    &["sids", "evpn-vpws-sid-local", "evpn-vpws-sid-remote"],
    &["value", "evpn-vpws-sid-local-value", "evpn-vpws-sid-remote-value"],
];

/// Makes the changed reply.
type Change = fn(&str, &Place) -> String;

/// What is done to an element, and whether its own series may be lost by it.
const CHANGES: &[(&str, bool, Change)] = &[
    ("repeated", false, |reply, place| {
        let whole = &reply[place.whole.clone()];
        reply[..place.whole.end].to_string() + whole + &reply[place.whole.end..]
    }),
    ("beside an element that nobody knows", false, |reply, place| {
        let (before, after) = reply.split_at(place.whole.start);
        format!("{before}<zzz a='1'><zz>zzz</zz>7<zz/></zzz><zzzz/>{after}")
    }),
    ("beside its name in an element that nobody knows", false, |reply, place| {
        let (before, after) = reply.split_at(place.whole.start);
        let name = place.name();
        format!("{before}<zzz><{name}>9</{name}></zzz>{after}")
    }),
    ("followed by its other names", false, |reply, place| {
        let others = ALIASES.iter().filter(|names| names.contains(&place.name())).copied();
        let others = others.flatten().map(|name| format!("<{name}>9</{name}>"));
        let (before, after) = reply.split_at(place.whole.end);
        before.to_string() + &others.collect::<String>() + after
    }),
    ("empty", true, |reply, place| {
        reply[..place.content.start].to_string() + &reply[place.content.end..]
    }),
    ("nested", true, |reply, place| {
        let content = &reply[place.content.clone()];
        let (before, after) = (&reply[..place.content.start], &reply[place.content.end..]);
        format!("{before}<zzz>{content}</zzz>{after}")
    }),
    ("dropped", true, |reply, place| {
        reply[..place.whole.start].to_string() + &reply[place.whole.end..]
    }),
];

/// A leaf that is changed costs the series that it makes or names: at most so many whose labels say
/// nothing of it.
const SERIES_OF_A_LEAF: usize = 8;

/// Replies that have their records' leaves side by side, in lists of their own: one more of them
/// is another record.
const SIDE_BY_SIDE: &[&str] =
    &["objects-side-by-side", "several-clients-of-a-port", "lists-side-by-side"];

/// A collector's recorded replies that the project has.
fn fixtures_of(entry: &Entry) -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(entry.name);
    let mut paths = Vec::new();
    if directory.is_dir() {
        files(&directory, "xml", &mut paths);
    }
    paths
}

/// What a struct does not expect costs itself, and nothing beside it.
#[test]
fn a_changed_element_costs_no_other_series() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for entry in registry::collectors() {
        let read = |reply: &str| -> BTreeMap<String, Series> {
            let ((points, _), _) = said::listen(|| parse(entry, reply.as_bytes()));
            let (series, _) = exposition(entry, &points);
            let id = |series: &Series| format!("{} {:?}", series.name, series.labels);
            series.into_iter().map(|series| (id(&series), series)).collect()
        };
        for path in fixtures_of(entry) {
            let fixture = path.file_stem().unwrap().to_str().unwrap();
            let reply = std::fs::read(&path).unwrap();
            let reply = items::to_text(&reply);
            let before = read(&reply);
            for place in leaves(&reply) {
                let text = items::unescape(reply[place.content.clone()].trim());
                let names_it = |series: &Series| {
                    let mut values = series.labels.values().filter(|value| !value.is_empty());
                    !text.is_empty() && values.any(|v| text.contains(v) || v.contains(&*text))
                };
                for (change, may_lose, make) in CHANGES {
                    let is_text = place.name() == "output";
                    let is_record = *change == "repeated" && SIDE_BY_SIDE.contains(&fixture);
                    if is_text || is_record {
                        continue;
                    }
                    tried += 1;
                    let after = read(&make(&reply, &place));
                    let lost = before.iter().filter(|(id, _)| !after.contains_key(*id));
                    let lost = lost.filter(|(_, series)| !(*may_lose && names_it(series)));
                    let lost: Vec<&String> = lost.map(|(id, _)| id).collect();
                    if lost.len() > if *may_lose { SERIES_OF_A_LEAF } else { 0 } {
                        let (name, path, count) = (entry.name, &place.path, lost.len());
                        let first = lost[0];
                        wrong.push(format!(
                            "{name}/{fixture}: {path} {change}: {count} series lost, first {first}"
                        ));
                    }
                }
            }
        }
    }
    println!("{tried} replies tried");
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Another way to write a leaf's text that says the same, if the text has one.
type Spelling = fn(&str) -> Option<String>;

const SPELLINGS: &[(&str, Spelling)] = &[
    ("in capitals", |text| is_words(text).then(|| text.to_uppercase())),
    ("in small letters", |text| is_words(text).then(|| text.to_lowercase())),
    ("between spaces", |text| is_words(text).then(|| format!("\n {text} \n"))),
    ("with a remark", |text| is_words(text).then(|| format!("{text} (remark)"))),
    ("with thousands separated", |text| {
        let is_number = text.len() > 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        let groups = text.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap());
        is_number.then(|| groups.collect::<Vec<_>>().join(","))
    }),
];

fn is_words(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphabetic() || matches!(c, ' ' | '-' | '_');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_part)
}

/// Names that somebody chose, which are not the same in other letters.
const NAMES: &[&str] = &[
    "/alarm-description",
    "/peer-cfg-rti",
    "/isis-instance-name",
    "/isis-routing-instance-name",
    "/ospf-overview/instance-name",
    "/rsvp-session/name",
    "/ike-xauth-username",
    "/user-entry/user",
    // A label, whatever it says.
    "/adv-ip-route-status",
];

/// Replies that have a thing twice: where the first is written otherwise, the second counts too.
const TWICE: &[&str] = &[
    "a-file-system-twice",
    "an-adjacency-twice",
    "an-interface-twice",
    "capitals-and-an-address-twice",
    "two-sessions-of-one-peer",
];

/// Words are compared and numbers read as people write them.
#[test]
fn a_text_that_is_written_otherwise_says_the_same() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for entry in registry::collectors() {
        let read = |reply: &str| -> BTreeMap<String, f64> {
            let ((points, _), _) = said::listen(|| parse(entry, reply.as_bytes()));
            let (series, _) = exposition(entry, &points);
            let plain = |text: &str| text.to_lowercase().replace(" (remark)", "").replace(',', "");
            let id = |series: &Series| plain(&format!("{} {:?}", series.name, series.labels));
            series.iter().map(|series| (id(series), series.value)).collect()
        };
        for path in fixtures_of(entry) {
            let fixture = path.file_stem().unwrap().to_str().unwrap();
            if TWICE.contains(&fixture) {
                continue;
            }
            let reply = std::fs::read(&path).unwrap();
            let reply = items::to_text(&reply);
            let before = read(&reply);
            let is_name = |place: &&Place| NAMES.iter().any(|name| place.path.ends_with(name));
            for place in leaves(&reply).iter().filter(|place| !is_name(place)) {
                let text = reply[place.content.clone()].trim();
                for (spelling, write) in SPELLINGS {
                    let Some(other) = write(text).filter(|other| other != text) else { continue };
                    let (start, end) = (&reply[..place.content.start], &reply[place.content.end..]);
                    tried += 1;
                    let after = read(&format!("{start}{other}{end}"));
                    let same = |(id, value): &(&String, &f64)| after.get(*id) == Some(value);
                    if let Some((id, value)) = before.iter().find(|series| !same(series)) {
                        let (name, path) = (entry.name, &place.path);
                        let after = after.get(id);
                        wrong.push(format!(
                            "{name}/{fixture}: {path} {spelling}: {id} is {after:?}, not {value}"
                        ));
                    }
                }
            }
        }
    }
    println!("{tried} replies tried");
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
}

/// A file of junos_exporter's output.
#[derive(Deserialize)]
struct Theirs {
    collector: String,
    /// The reply, below the folder of replies.
    xml: String,
    metrics: Vec<Series>,
}

#[derive(Default)]
struct Count {
    all: usize,
    reproduced: usize,
    documented: usize,
    /// Those of the documented ones that are 0 for an element which the reply does not have.
    absent: usize,
}

impl std::ops::AddAssign<&Count> for Count {
    fn add_assign(&mut self, more: &Count) {
        self.all += more.all;
        self.reproduced += more.reproduced;
        self.documented += more.documented;
        self.absent += more.absent;
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Count { all, reproduced, documented, absent } = self;
        write!(f, "series reproduced {reproduced} of {all}, documented {documented}")?;
        write!(f, " ({absent} are 0 for an absent element)")
    }
}

/// What `tests/exporter/build` has made of the rules for junos_exporter's series: for each
/// collector a reply, and the series of it.
fn compare_with_rules(counts: &mut Counts, used: &mut BTreeSet<&'static str>) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exporter");
    let mut paths = Vec::new();
    files(&folder, "series", &mut paths);
    let mut missing = Vec::new();
    for path in &paths {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let entry = registry::find(name).unwrap();
        let theirs = series::read(&std::fs::read_to_string(path).unwrap());
        let (points, _) = parse(entry, &std::fs::read(path.with_extension("xml")).unwrap());
        let (ours, _) = exposition(entry, &points);
        let count = counts.entry(entry.name).or_default();
        for lack in compare(entry, theirs, &ours, count, used) {
            missing.push(format!("{}: {lack}", entry.name));
        }
    }
    missing
}

type Counts = BTreeMap<&'static str, Count>;

#[test]
fn every_series_of_the_rules_is_reproduced() {
    let (mut counts, mut used) = (Counts::new(), BTreeSet::new());
    let missing = compare_with_rules(&mut counts, &mut used);
    let mut total = Count::default();
    counts.values().for_each(|count| total += count);
    println!("{} collectors: {total}", counts.len());
    assert!(missing.is_empty(), "{} series are missing:\n{}", missing.len(), missing.join("\n"));
    assert!(counts.len() > 45 && total.reproduced > 1700 && total.absent == 0, "{total}");
}

#[test]
fn the_replies_of_the_rules_are_what_their_generator_writes() {
    if skips(&[PYTHON]) {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exporter");
    let made = Directory::new();
    let status = std::process::Command::new(folder.join("build")).arg(made.path()).status();
    assert!(status.unwrap().success());
    let read = |folder: &Path| -> BTreeMap<PathBuf, String> {
        let mut paths = Vec::new();
        files(folder, "xml", &mut paths);
        files(folder, "series", &mut paths);
        let name = |path: &PathBuf| path.file_name().unwrap().into();
        paths.iter().map(|p| (name(p), std::fs::read_to_string(p).unwrap())).collect()
    };
    let (made, kept) = (read(made.path()), read(&folder));
    assert!(made.keys().eq(kept.keys()), "{:?} {:?}", made.keys(), kept.keys());
    let other: Vec<_> = made.iter().filter(|(name, text)| kept[*name] != **text).collect();
    assert!(other.is_empty(), "run tests/exporter/build: {:?}", other[0].0);
}

#[test]
fn every_series_of_junos_exporter_is_reproduced() {
    let Some(folder) = replies() else { return };
    let mut paths = Vec::new();
    files(&folder.join("junos_exporter-output"), "json", &mut paths);
    let (mut counts, mut used) = (Counts::new(), BTreeSet::new());
    let mut missing = Vec::new();
    for path in &paths {
        let theirs: Theirs = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let Some(entry) = registry::find(&theirs.collector) else { continue };
        let (points, _) = parse(entry, &std::fs::read(folder.join(&theirs.xml)).unwrap());
        let (ours, _) = exposition(entry, &points);
        let count = counts.entry(entry.name).or_default();
        for lack in compare(entry, theirs.metrics, &ours, count, &mut used) {
            missing.push(format!("{} {}: {lack}", entry.name, theirs.xml));
        }
    }
    let mut total = Count::default();
    for (name, count) in &counts {
        println!("{name}: {count}");
        total += count;
        assert!(count.reproduced + count.documented == count.all || !missing.is_empty());
    }
    println!("total: {total}");
    assert!(missing.is_empty(), "{} series are missing:\n{}", missing.len(), missing.join("\n"));
    compare_with_rules(&mut Counts::new(), &mut used);
    let unused = DIFFERENCES.iter().filter(|d| !used.contains(d.title));
    let unused: Vec<_> = unused.map(|difference| difference.title).collect();
    assert!(unused.is_empty(), "differences that explain nothing: {unused:?}");
}

/// Looks for their series among ours; what is missing for no known reason.
fn compare(
    entry: &Entry,
    theirs: Vec<Series>,
    ours: &[Series],
    count: &mut Count,
    used: &mut BTreeSet<&'static str>,
) -> Vec<String> {
    let theirs: Vec<Series> = theirs.into_iter().map(Series::normal).collect();
    let ids = |all: &[Series]| -> BTreeSet<String> { all.iter().map(Series::to_string).collect() };
    let (their_ids, our_ids) = (ids(&theirs), ids(ours));
    // A zero of ours that they do not have would be one of theirs with other labels.
    let odd = |our: &&Series| our.value == 0.0 && !their_ids.contains(&our.to_string());
    let odd: BTreeSet<&str> = ours.iter().filter(odd).map(|our| our.name.as_str()).collect();
    let mut missing = Vec::new();
    for series in &theirs {
        count.all += 1;
        let mut differences = DIFFERENCES.iter().filter(|d| d.covers(entry.name, &series.name));
        if our_ids.contains(&series.to_string()) {
            count.reproduced += 1;
        } else if let Some(difference) = differences.find(|d| (d.explains)(series, ours)) {
            count.documented += 1;
            used.insert(difference.title);
        } else if series.value == 0.0 && !odd.contains(series.name.as_str()) {
            count.documented += 1;
            count.absent += 1;
        } else {
            missing.push(format!("{series}\n  {}", nearest(series, ours)));
        }
    }
    missing
}

/// The series of ours that may have been meant.
fn nearest(theirs: &Series, ours: &[Series]) -> String {
    let same = ours.iter().filter(|series| series.name == theirs.name);
    let alike = |series: &&Series| {
        let equal = |(name, value): &(&String, &String)| theirs.labels.get(*name) == Some(value);
        (series.labels.iter().filter(equal).count(), series.value == theirs.value)
    };
    let nearest = same.max_by_key(alike);
    nearest.map_or("there is none of that name".into(), |series| format!("nearest: {series}"))
}

#[test]
fn every_difference_is_documented() {
    let mut documented = Vec::new();
    let mut collector = "";
    for line in include_str!("../docs/differences.md").lines() {
        if let Some(name) = line.strip_prefix("## ") {
            collector = name;
        } else if let Some(title) = line.strip_prefix("### ") {
            documented.push((collector, title));
        }
    }
    let listed: Vec<_> = DIFFERENCES.iter().map(|d| (d.collector, d.title)).collect();
    assert_eq!(documented, listed);
}
