//! BGP peers, their sessions and the prefixes they exchange.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::changes::Rule;
use crate::collector::logical_systems::LogicalSystems;
use crate::collector::only::{self, Only};
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::labels::DescriptionLabels;
use crate::point::{Definition, Measurement, Points, Schema, gauge, info, text, watched};
use crate::xml::items::Scope;
use crate::xml::shapes::{Seconds, is, is_word, routing_instance, state_number};

settings! {
    pub struct BgpSettings {
        /// A pattern: only peers whose address matches are collected. The router is asked for no
        /// more where it is addresses between `^` and `$`, with `\.` for a dot.
        only: Option<Only>,
        /// What in a description is a label: `brackets`, a pattern, or none.
        description_labels: DescriptionLabels,
        /// Logical systems to ask for besides the router itself.
        logical_systems: LogicalSystems,
        /// Ask for `show bgp summary`, too: it tells the age of each session.
        elapsed: bool,
    }
}

pub struct Bgp {
    only: Option<Only>,
    logical_systems: LogicalSystems,
    /// Group names by logical system and index: a peer's entry may have only its group's index.
    groups: BTreeMap<(String, String), String>,
    labels: DescriptionLabels,
    wants_elapsed: bool,
    /// When sessions went up or down by logical system and address, in seconds since 1970; none
    /// where several peers have the address.
    flapped: BTreeMap<(String, String), Option<f64>>,
}

const TAGS: &[&str] = &["asn", "ip", "group", "interface", "logical_system", "instance"];
const TABLE_TAGS: &[&str] =
    &["asn", "ip", "group", "interface", "logical_system", "instance", "table"];

/// Without what only an established session has.
const PEER: &[&str] = &["ip", "instance", "logical_system"];

static UP: Rule = Rule {
    subject: PEER,
    ago: "last_flapped_seconds",
    flaps: "flap_count",
    message: "description",
    ..Rule::up_down("bgp-session")
};
static ADMIN: Rule = Rule {
    words: "shut down 0, enabled 1",
    subject: PEER,
    message: "description",
    ..Rule::of("bgp-admin")
};

static SESSION: Measurement<Peer> = Measurement::new(|| Definition {
    name: "bgp_session",
    help: "A BGP session with a peer.",
    tags: TAGS,
    fields: vec![
        info("description", "The peer's description.", |p| Some(&p.description)),
        watched(
            &UP,
            gauge("up", "", "1 if the session is established.", |p| {
                is(p.state(), &["Established"], NOT_ESTABLISHED)
            }),
        ),
        watched(&ADMIN, gauge("admin_up", "", "0 if it is shut down on purpose.", Peer::admin_up)),
        gauge("state", "", STATES, |p| state_number(p.state(), STATES)),
        gauge("messages_input_count", "", "Messages received.", |p| p.input_messages),
        gauge("messages_output_count", "", "Messages sent.", |p| p.output_messages),
        gauge("flap_count", "", "Times the session went down.", |p| p.flap_count),
        gauge("last_flapped_seconds", "s", "Time since it went up or down.", |p| p.flapped_s),
        gauge("metric_out", "", "MED that is sent.", |p| p.bgp_option_information.metric_out),
        gauge("preference", "", "Route preference.", |p| p.bgp_option_information.preference),
        gauge("hold_time_seconds", "s", "Hold time.", |p| p.bgp_option_information.holdtime),
    ],
});

static SESSION_INFO: Measurement<Peer> = Measurement::new(|| Definition {
    name: "bgp_session",
    help: "How a BGP session is configured.",
    tags: TAGS,
    fields: vec![
        info("description", "The peer's description.", |p| Some(&p.description)),
        info("local_as", "AS number of this side.", Peer::local_as),
        info("import_policy", "Import policies.", |p| {
            Some(&p.bgp_option_information.import_policy)
        }),
        info("export_policy", "Export policies.", |p| {
            Some(&p.bgp_option_information.export_policy)
        }),
        info("options", "Options that are set.", |p| Some(&p.bgp_option_information.bgp_options)),
        text("options2", "More of them.", |p| Some(&p.bgp_option_information.bgp_options2)),
        text("options_extended", "More of them.", |p| {
            Some(&p.bgp_option_information.bgp_options_extended)
        }),
        text("options_extended2", "More of them.", |p| {
            Some(&p.bgp_option_information.bgp_options_extended2)
        }),
        text("last_state", "The state before this one.", |p| Some(&p.last_state)),
        text("last_event", "The last event.", |p| Some(&p.last_event)),
        text("last_error", "The last error.", |p| Some(&p.last_error)),
        text("last_flap_event", "What brought the session down last.", |p| {
            Some(&p.last_flap_event)
        }),
        gauge("info", "", "1; the facts are in the labels.", |_| Some(1)),
    ],
});

static PREFIXES: Measurement<Rib> = Measurement::new(|| Definition {
    name: "bgp_session_prefixes",
    help: "Prefixes exchanged with a BGP peer, by routing table.",
    tags: TABLE_TAGS,
    fields: vec![
        info("description", "The peer's description.", |r| Some(&r.description)),
        gauge("received_count", "", "Prefixes received.", |r| r.received_prefix_count),
        gauge("accepted_count", "", "Prefixes accepted.", |r| r.accepted_prefix_count),
        gauge("rejected_count", "", "Prefixes suppressed.", |r| r.suppressed_prefix_count),
        gauge("active_count", "", "Prefixes in use.", |r| r.active_prefix_count),
        gauge("advertised_count", "", "Prefixes advertised.", |r| r.advertised_prefix_count),
        gauge("limit_count", "", "Prefixes allowed.", |r| r.limit),
        gauge("limit_percentage", "", "Received as a fraction of allowed, 0 to 1.", |r| {
            let fraction = r.received_prefix_count? as f64 / r.limit? as f64;
            Some((fraction * 100.0).round() / 100.0)
        }),
    ],
});

const NOT_ESTABLISHED: &[&str] =
    &["Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Shutdown", "route reflector client"];

const STATES: &str = "Active 1, Connect 2, Established 3, Idle 4, OpenConfirm 5, OpenSent 6, \
                      route reflector client 7, other 0.";

impl Bgp {
    pub fn new(settings: BgpSettings) -> Bgp {
        Bgp {
            only: settings.only,
            logical_systems: settings.logical_systems,
            groups: BTreeMap::new(),
            labels: settings.description_labels,
            wants_elapsed: settings.elapsed,
            flapped: BTreeMap::new(),
        }
    }
}

impl Collector for Bgp {
    const NAME: &'static str = "bgp";
    const HELP: &'static str = "BGP peers, their sessions and the prefixes they exchange.";
    const ADVICE: &'static str = "60s with more than 500 peers: the reply has about 5 kB for each.";
    const QUERIES: &'static [Query<Bgp>] = &[
        Query {
            rpc: Rpc::Each("<get-bgp-group-information/>", |bgp| {
                bgp.logical_systems.rpcs("get-bgp-group-information")
            }),
            command: "show bgp group",
            roots: &["bgp-group-information"],
            items: &[item::<_, Group>("bgp-group")],
        },
        Query {
            rpc: Rpc::Each("<get-bgp-summary-information/>", |bgp| match bgp.wants_elapsed {
                true => bgp.logical_systems.rpcs("get-bgp-summary-information"),
                false => Vec::new(),
            }),
            command: "show bgp summary",
            roots: &["bgp-information"],
            items: &[item::<_, Summary>("bgp-peer")],
        },
        Query {
            rpc: Rpc::Each("<get-bgp-neighbor-information/>", |bgp| {
                let rpcs = only::neighbor_rpcs(&bgp.only, "get-bgp-neighbor-information");
                rpcs.iter().flat_map(|rpc| bgp.logical_systems.rpcs_of(rpc)).collect()
            }),
            command: "show bgp neighbor",
            roots: &["bgp-information"],
            items: &[item::<_, Peer>("bgp-peer")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&SESSION, &SESSION_INFO, &PREFIXES];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Group {
    name: String,
    group_index: String,
}

impl Item<Bgp> for Group {
    fn points(self, bgp: &mut Bgp, _: &Scope, points: &mut Points) {
        let logical_system = bgp.logical_systems.asked_by(points.rpc).to_string();
        bgp.groups.insert((logical_system, self.group_index), self.name);
    }
}

/// A peer of the summary, which tells no routing instance.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Summary {
    peer_address: String,
    elapsed_time: Option<Seconds>,
}

impl Item<Bgp> for Summary {
    fn points(self, bgp: &mut Bgp, _: &Scope, points: &mut Points) {
        let logical_system = bgp.logical_systems.asked_by(points.rpc).to_string();
        let flapped = self.elapsed_time.and_then(|elapsed| elapsed.seconds);
        let flapped = flapped.and_then(|elapsed| Some(asked_s(points)? - elapsed as f64));
        let address = ip(&self.peer_address).to_string();
        let peer = bgp.flapped.entry((logical_system, address));
        peer.and_modify(|flapped| *flapped = None).or_insert(flapped);
    }
}

/// When the reply was asked for, in seconds since 1970.
fn asked_s(points: &Points) -> Option<f64> {
    Some(points.asked_ns? as f64 / 1e9)
}

/// An established session's address has its TCP port behind a plus sign.
fn ip(address: &str) -> &str {
    address.split('+').next().unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Peer {
    peer_address: String,
    #[serde(default)]
    peer_as: String,
    #[serde(default)]
    description: String,
    peer_group: Option<String>,
    #[serde(alias = "group-index")]
    peer_group_index: Option<String>,
    #[serde(default)]
    local_as: String,
    #[serde(default)]
    peer_cfg_rti: String,
    #[serde(default)]
    local_interface_name: String,
    peer_state: Option<String>,
    input_messages: Option<u64>,
    output_messages: Option<u64>,
    flap_count: Option<u64>,
    #[serde(skip)]
    flapped_s: Option<f64>,
    #[serde(default)]
    last_state: String,
    #[serde(default)]
    last_event: String,
    #[serde(default)]
    last_error: String,
    #[serde(default)]
    last_flap_event: String,
    #[serde(default)]
    bgp_option_information: Options,
    #[serde(default)]
    bgp_rib: Vec<Rib>,
}

impl Peer {
    /// Its state; the summary's short form of one counts as the whole word.
    fn state(&self) -> Option<&str> {
        let state = self.peer_state.as_deref()?;
        Some(if is_word(state, "Establ") { "Established" } else { state })
    }

    /// `Shutdown` is one of the options; which element has it depends on the release. Without
    /// options it is unknown, unless the state itself says so.
    fn admin_up(&self) -> Option<u64> {
        let set = &self.bgp_option_information;
        let lists = [
            &set.bgp_options,
            &set.bgp_options2,
            &set.bgp_options_extended,
            &set.bgp_options_extended2,
        ];
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let mut options = lists.into_iter().flat_map(|list| list.split(|c| !is_part(c)));
        let is_known = lists.iter().any(|list| !list.is_empty());
        let is_shut = options.any(|option| option.eq_ignore_ascii_case("shutdown"))
            || self.state().is_some_and(|state| is_word(state, "Shutdown"));
        (is_known || is_shut).then_some(u64::from(!is_shut))
    }

    /// The session's AS number, or else the router's. Older releases report only `local_as`.
    fn local_as(&self) -> Option<&str> {
        let Options { local_as, local_system_as, .. } = &self.bgp_option_information;
        let known = [local_as, local_system_as, &self.local_as];
        known.into_iter().map(String::as_str).find(|number| !matches!(*number, "" | "0"))
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Options {
    metric_out: Option<u64>,
    preference: Option<u64>,
    holdtime: Option<u64>,
    local_as: String,
    local_system_as: String,
    import_policy: String,
    export_policy: String,
    bgp_options: String,
    bgp_options2: String,
    bgp_options_extended: String,
    bgp_options_extended2: String,
    prefix_limit: Vec<PrefixLimit>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PrefixLimit {
    #[serde(default)]
    nlri_type: String,
    prefix_count: u64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Rib {
    name: String,
    received_prefix_count: Option<u64>,
    accepted_prefix_count: Option<u64>,
    suppressed_prefix_count: Option<u64>,
    active_prefix_count: Option<u64>,
    advertised_prefix_count: Option<u64>,
    #[serde(skip)]
    limit: Option<u64>,
    #[serde(skip)]
    description: String,
}

impl Item<Bgp> for Peer {
    fn points(mut self, bgp: &mut Bgp, _: &Scope, points: &mut Points) {
        let address = self.peer_address.clone();
        let ip = ip(&address);
        if bgp.only.as_ref().is_some_and(|only| !only.is_match(ip)) {
            return;
        }
        let logical_system = bgp.logical_systems.asked_by(points.rpc);
        if bgp.wants_elapsed {
            let flapped = bgp.flapped.get(&(logical_system.to_string(), ip.to_string()));
            // The summary was asked for a moment before.
            self.flapped_s = flapped.and_then(|at| Some((asked_s(points)? - (*at)?).max(0.0)));
        }
        let by_index = || {
            let index = self.peer_group_index.clone()?;
            bgp.groups.get(&(logical_system.to_string(), index))
        };
        let group = self.peer_group.as_ref().or_else(by_index).map_or("", |name| name);
        let instance = routing_instance(&self.peer_cfg_rti);
        let interface = &self.local_interface_name;
        let session = [&*self.peer_as, ip, group, interface, logical_system, instance];
        let labels = bgp.labels.find(&self.description);
        for measurement in [&SESSION, &SESSION_INFO] {
            if points.push(measurement, &session, &self) {
                labels.add(points);
            }
        }
        let mut ribs = self.bgp_rib;
        for PrefixLimit { nlri_type, prefix_count } in self.bgp_option_information.prefix_limit {
            let name = table(&nlri_type, instance);
            let limit = Some(prefix_count);
            match ribs.iter_mut().find(|rib| rib.name == name) {
                Some(rib) => rib.limit = limit,
                // A peer that is down has limits and no tables.
                None => ribs.push(Rib { name, limit, ..Rib::default() }),
            }
        }
        for mut rib in ribs {
            rib.description.clone_from(&self.description);
            let [asn, ip, group, interface, logical_system, instance] = session;
            let tags = [asn, ip, group, interface, logical_system, instance, &rib.name];
            if points.push(&PREFIXES, &tags, &rib) {
                labels.add(points);
            }
        }
    }
}

/// The table that a prefix limit counts: an address family's, in the peer's routing instance.
fn table(nlri_type: &str, instance: &str) -> String {
    let of_family = |(family, _): &&(&str, _)| is_word(nlri_type, family);
    let table = TABLES.iter().find(of_family).map_or(nlri_type, |(_, table)| table);
    match instance {
        "" => table.to_string(),
        instance => format!("{instance}.{table}"),
    }
}

const TABLES: &[(&str, &str)] = &[
    ("inet-unicast", "inet.0"),
    ("inet6-unicast", "inet6.0"),
    ("inet-multicast", "inet.2"),
    ("inet6-multicast", "inet6.2"),
    ("inet-labeled-unicast", "inet.3"),
    ("inet6-labeled-unicast", "inet6.3"),
    ("inet-flow", "inetflow.0"),
    ("inet-vpn-unicast", "bgp.l3vpn.0"),
    ("inet6-vpn-unicast", "bgp.l3vpn-inet6.0"),
    ("l2vpn", "bgp.l2vpn.0"),
    ("l2vpn-signaling", "bgp.l2vpn.0"),
    ("evpn", "bgp.evpn.0"),
    ("evpn-signaling", "bgp.evpn.0"),
];
