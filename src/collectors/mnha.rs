//! Multinode high availability of SRX: nodes, peers, monitoring and redundancy groups.

use serde::Deserialize;

use crate::base::text::first_line;
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, counter, gauge, info, labelled};
use crate::xml::items::Scope;
use crate::xml::shapes::{DOWN, Leaves, OFF, ON, UP, is, known_state};

settings! {
    pub struct MnhaSettings {
        /// Services redundancy groups to ask for, by number, besides group 0.
        groups: Vec<u32>,
    }
}

pub struct Mnha {
    groups: Vec<u32>,
}

static NODE: Measurement<Node> = Measurement::new(|| Definition {
    name: "mnha_node",
    help: "This node.",
    tags: &["grid_id", "local_id"],
    fields: vec![
        info("local_ip", "Its address.", |n| n.local_ip.as_deref()),
        info("local_fwd_ip", "Its address for forwarding.", |n| n.local_fwd_ip.as_deref()),
        labelled(
            "status",
            info("status_name", "Its status in words.", |n| n.node_status.as_deref()),
        ),
        gauge("status", "", ONLINE, |n| online(n.node_status.as_deref())),
    ],
});

static PEER: Measurement<Peer> = Measurement::new(|| Definition {
    name: "mnha_peer",
    help: "A peer node.",
    tags: &["peer_id"],
    fields: vec![
        gauge("encryption_enabled", "", "1 if the link between the nodes is encrypted.", |p| {
            is(p.high_availability_peer_encryption_status.as_deref(), ON, OFF)
        }),
        gauge("detect_time_milliseconds", "ms", "Time in which a failure is detected.", |p| {
            Some(p.high_availability_peer_detect_time.as_ref()?.0)
        }),
    ],
});

static PEER_LINK: Measurement<Peer> = Measurement::new(|| Definition {
    name: "mnha_peer",
    help: "The link to a peer node.",
    tags: &["peer_id"],
    fields: vec![
        info("peer_ip", "The peer's address.", |p| p.high_availability_peer_ip_address.as_deref()),
        info("local_interface", "This side's interface.", |p| {
            p.high_availability_local_interface.as_deref()
        }),
        gauge("bfd_up", "", "1 if its BFD session is up.", |p| {
            is(p.high_availability_peer_bfd_status.as_deref(), UP, DOWN)
        }),
    ],
});

static PEER_FORWARDING: Measurement<Peer> = Measurement::new(|| Definition {
    name: "mnha_peer",
    help: "The forwarding path to a peer node.",
    tags: &["peer_id"],
    fields: vec![
        info("peer_fwd_ip", "The peer's address.", |p| {
            p.high_availability_peer_fwd_ip_address.as_deref()
        }),
        info("local_fwd_interface", "This side's interface.", |p| {
            p.high_availability_local_fwd_interface.as_deref()
        }),
        gauge("fwd_bfd_up", "", "1 if its BFD session is up.", |p| {
            is(p.high_availability_peer_fwd_bfd_status.as_deref(), UP, DOWN)
        }),
    ],
});

static COLD_SYNC: Measurement<Peer> = Measurement::new(|| Definition {
    name: "mnha",
    help: "Cold synchronisation with a peer node.",
    tags: &["peer_id"],
    fields: vec![
        labelled(
            "status",
            info("cold_sync_status", "Its status in words.", |p| p.cold_sync_status.as_deref()),
        ),
        gauge("cold_sync_complete", "", "1 if it is complete.", |p| {
            is(
                p.cold_sync_status.as_deref(),
                &["Complete"],
                &["In progress", "Not started", "Failed"],
            )
        }),
    ],
});

static PACKET_ERRORS: Measurement<Option<u64>> = Measurement::new(|| Definition {
    name: "mnha_peer",
    help: "Packets to or from a peer node that failed.",
    tags: &["peer_id", "direction"],
    fields: vec![counter("packet_errors_total", "packets", "Packets that failed.", |count| *count)],
});

static PACKETS: Measurement<Option<u64>> = Measurement::new(|| Definition {
    name: "mnha_peer",
    help: "Packets to or from a peer node.",
    tags: &["peer_id", "packet_type", "direction"],
    fields: vec![counter("packets_total", "packets", "Packets.", |count| *count)],
});

static MONITORING: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "mnha",
    help: "What this node monitors.",
    tags: &[],
    fields: vec![
        counter("cold_sync_completed_total", "", "Cold synchronisations completed.", |l| {
            l.integer("current-cold-synchronization-completed")
        }),
        counter("cold_sync_failed_total", "", "Cold synchronisations failed.", |l| {
            l.integer("current-cold-synchronization-failed")
        }),
        gauge("spu_monitoring_enabled", "", "1 if SPUs are monitored.", |l| {
            is(l.text("spu-monitoring-state"), ON, OFF)
        }),
        gauge("spu_up", "", "SPUs up.", |l| l.integer("spu-up-count")),
        gauge("npc_up", "", "NPCs up.", |l| l.integer("npc-up-count")),
        gauge("spu_down", "", "SPUs down.", |l| l.integer("spu-down-count")),
        gauge("npc_down", "", "NPCs down.", |l| l.integer("npc-down-count")),
        counter("chinfo_blob_errors_total", "", "Errors in information on the chassis.", |l| {
            l.integer("chinfo-blob-error-count")
        }),
        gauge("hardware_monitoring_enabled", "", "1 if the hardware is monitored.", |l| {
            is(l.text("high-availability-hardware-monitoring-activation-status"), ON, OFF)
        }),
        counter("hardware_control_plane_errors_total", "", "Control plane errors.", |l| {
            l.integer("high-availability-hardware-monitoring-ctrl-plane-errors")
        }),
        counter("hardware_data_plane_errors_total", "", "Data plane errors.", |l| {
            l.integer("high-availability-hardware-monitoring-data-plane-errors")
        }),
    ],
});

static CHECK: Measurement<Option<String>> = Measurement::new(|| Definition {
    name: "mnha_loopback_check",
    help: "A self-test of a packet forwarding engine.",
    tags: &["pfe_name", "check"],
    fields: vec![gauge("success", "", "1 if it succeeded.", |s| {
        is(s.as_deref(), &["Success"], &["Failure", "Failed", "N/A"])
    })],
});

static GROUP: Measurement<Group> = Measurement::new(|| Definition {
    name: "mnha_srg",
    help: "A services redundancy group.",
    tags: &["srg_id", "peer_id"],
    fields: vec![
        labelled(
            "state",
            info("state_name", "Its state in words.", |g| g.current_state.as_deref()),
        ),
        gauge("state", "", ONLINE, |g| online(g.current_state.as_deref())),
    ],
});

const ONLINE: &str = "ONLINE 1, OFFLINE 0, other -1.";

fn online(state: Option<&str>) -> Option<f64> {
    let states = [("ONLINE", 1), ("OFFLINE", 0)];
    Some(known_state(state?, &states).map_or(-1.0, |number| number as f64))
}

const DETAIL: &str = "chassis-high-availability-detail-information";

impl Mnha {
    pub fn new(settings: MnhaSettings) -> Mnha {
        let groups = if settings.groups.is_empty() { vec![0] } else { settings.groups };
        Mnha { groups }
    }
}

impl Collector for Mnha {
    const NAME: &'static str = "mnha";
    const HELP: &'static str =
        "Multinode high availability of SRX: nodes, peers, monitoring and redundancy groups.";
    const QUERIES: &'static [Query<Mnha>] = &[
        Query {
            rpc: Rpc::Once("<get-chassis-high-availability-detail-information/>"),
            command: "show chassis high-availability information detail",
            roots: &[DETAIL],
            items: &[
                item::<_, Node>("chassis-high-availability-node-info"),
                item::<_, Monitoring>("cold-synchronization-monitoring-information"),
                item::<_, Monitoring>("spu-monitoring-information"),
                item::<_, Monitoring>("high-availability-hardware-monitoring-information"),
                item::<_, Loopback>("loopback-information-list"),
                item::<_, Group>("chassis-high-availability-default-srg-info"),
            ],
        },
        Query {
            rpc: Rpc::Each(
                "<get-chassis-high-availability-srg-information><services-redundancy-group-id>N\
                 </services-redundancy-group-id></get-chassis-high-availability-srg-information>",
                |mnha| mnha.other_groups().map(group_rpc).collect(),
            ),
            command: "show chassis high-availability services-redundancy-group N",
            roots: &["chassis-high-availability-default-srg-info"],
            items: &[item::<_, OtherGroup>("chassis-high-availability-default-srg-info")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[
        &NODE,
        &PEER,
        &PEER_LINK,
        &PEER_FORWARDING,
        &COLD_SYNC,
        &PACKET_ERRORS,
        &PACKETS,
        &MONITORING,
        &CHECK,
        &GROUP,
    ];
}

impl Mnha {
    /// Group 0 is in the first reply.
    fn other_groups(&self) -> impl Iterator<Item = u32> {
        self.groups.iter().copied().filter(|group| *group != 0)
    }
}

fn group_rpc(group: u32) -> String {
    let group = format!("<services-redundancy-group-id>{group}</services-redundancy-group-id>");
    format!(
        "<get-chassis-high-availability-srg-information>{group}\
         </get-chassis-high-availability-srg-information>"
    )
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Node {
    node_status: Option<String>,
    grid_id: String,
    local_id: String,
    local_ip: Option<String>,
    local_fwd_ip: Option<String>,
    chassis_high_availability_peer_info_detail: Vec<Peer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Peer {
    high_availability_peer_id: String,
    high_availability_peer_ip_address: Option<String>,
    high_availability_local_interface: Option<String>,
    high_availability_peer_encryption_status: Option<String>,
    high_availability_peer_bfd_status: Option<String>,
    high_availability_peer_detect_time: Option<DetectTime>,
    cold_sync_status: Option<String>,
    high_availability_peer_fwd_ip_address: Option<String>,
    high_availability_local_fwd_interface: Option<String>,
    high_availability_peer_fwd_bfd_status: Option<String>,
    #[serde(default)]
    high_availability_peer_packet_stats: PacketStats,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct PacketStats {
    packet_send_err_cnt: Option<u64>,
    packet_recv_err_cnt: Option<u64>,
    peer_packet_send_rcv_stats: PacketTypes,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct PacketTypes {
    peer_packet_stats_list: Vec<PacketType>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PacketType {
    peer_packet_type: String,
    peer_packet_send_cnt: Option<u64>,
    peer_packet_rcv_cnt: Option<u64>,
}

/// In milliseconds: `3 * 1000ms`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct DetectTime(u64);

impl TryFrom<String> for DetectTime {
    type Error = String;

    fn try_from(text: String) -> Result<DetectTime, String> {
        let product = || {
            let (count, interval) = text.split_once('*')?;
            let interval = interval.trim().to_ascii_lowercase();
            let interval: u64 = interval.strip_suffix("ms")?.trim_end().parse().ok()?;
            interval.checked_mul(count.trim().parse().ok()?)
        };
        let wrong = || format!("`{}` is not a count of milliseconds", first_line(&text));
        product().map(DetectTime).ok_or_else(wrong)
    }
}

fn uppercase(state: &mut Option<String>) {
    if let Some(state) = state {
        state.make_ascii_uppercase();
    }
}

impl Item<Mnha> for Node {
    fn points(mut self, _: &mut Mnha, _: &Scope, points: &mut Points) {
        uppercase(&mut self.node_status);
        points.push(&NODE, &[&self.grid_id, &self.local_id], &self);
        for mut peer in self.chassis_high_availability_peer_info_detail {
            uppercase(&mut peer.cold_sync_status);
            let id = peer.high_availability_peer_id.as_str();
            for measurement in [&PEER, &PEER_LINK, &PEER_FORWARDING, &COLD_SYNC] {
                points.push(measurement, &[id], &peer);
            }
            let stats = &peer.high_availability_peer_packet_stats;
            points.push(&PACKET_ERRORS, &[id, "send"], &stats.packet_send_err_cnt);
            points.push(&PACKET_ERRORS, &[id, "receive"], &stats.packet_recv_err_cnt);
            for packets in &stats.peer_packet_send_rcv_stats.peer_packet_stats_list {
                let kind = packets.peer_packet_type.as_str();
                points.push(&PACKETS, &[id, kind, "send"], &packets.peer_packet_send_cnt);
                points.push(&PACKETS, &[id, kind, "receive"], &packets.peer_packet_rcv_cnt);
            }
        }
    }
}

#[derive(Deserialize)]
struct Monitoring(Leaves);

impl Item<Mnha> for Monitoring {
    fn points(self, _: &mut Mnha, _: &Scope, points: &mut Points) {
        points.push(&MONITORING, &[], &self.0);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Loopback {
    pfe_name: String,
    loopback_status: Option<String>,
    nexthop_status: Option<String>,
    mbuf_status: Option<String>,
}

impl Item<Mnha> for Loopback {
    fn points(self, _: &mut Mnha, _: &Scope, points: &mut Points) {
        points.push(&CHECK, &[&self.pfe_name, "loopback"], &self.loopback_status);
        points.push(&CHECK, &[&self.pfe_name, "nexthop"], &self.nexthop_status);
        points.push(&CHECK, &[&self.pfe_name, "mbuf"], &self.mbuf_status);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Group {
    current_state: Option<String>,
    #[serde(default)]
    peer_id: String,
}

/// A group in a reply that does not name it.
#[derive(Deserialize)]
struct OtherGroup(Group);

impl Group {
    fn push(mut self, id: u32, points: &mut Points) {
        uppercase(&mut self.current_state);
        points.push(&GROUP, &[&id.to_string(), &self.peer_id], &self);
    }
}

impl Item<Mnha> for Group {
    fn points(self, mnha: &mut Mnha, _: &Scope, points: &mut Points) {
        if mnha.groups.contains(&0) {
            self.push(0, points);
        }
    }
}

impl Item<Mnha> for OtherGroup {
    fn points(self, mnha: &mut Mnha, scope: &Scope, points: &mut Points) {
        if !scope.within(DETAIL) {
            let group = mnha.other_groups().nth(points.rpc).unwrap_or(0);
            self.0.push(group, points);
        }
    }
}
