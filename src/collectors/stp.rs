//! Spanning trees: bridges and ports.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, counter, gauge, info, text};
use crate::xml::items::Scope;
use crate::xml::shapes::state_number;

#[derive(Default)]
pub struct Stp;

static BRIDGE: Measurement<Bridge> = Measurement::new(|| Definition {
    name: "stp_bridge",
    help: "The router as a bridge of a spanning tree: the common one, an instance's or a VLAN's.",
    tags: &["routing_instance", "instance_id", "vlan_id"],
    fields: vec![
        info("protocol", "STP, RSTP, MSTP, VSTP.", |b| Some(&b.protocol)),
        info("root_bridge_mac", "Hardware address of the root.", |b| Some(&b.root().bridge_mac)),
        gauge("is_root", "", "1 if the router is the root.", Bridge::is_root),
        gauge("root_cost", "", "Cost of the path to the root.", |b| b.root_cost),
        text("root_port", "Port towards the root.", |b| b.root_port.as_deref()),
        counter("topology_changes_total", "", "Topology changes.", |b| b.topology_change_count),
        gauge("time_since_last_tc", "s", "Time since the last one.", |b| {
            b.time_since_last_tc.or(b.time_since_last_topology_change)
        }),
    ],
});

static INTERFACE: Measurement<Port> = Measurement::new(|| Definition {
    name: "stp_interface",
    help: "A port in a spanning tree.",
    tags: &["instance_id", "vlan_id", "name"],
    fields: vec![
        text("port_state_name", "Its state as Junos writes it.", |p| p.port_state.as_deref()),
        text("port_role_name", "Its role as Junos writes it.", |p| p.port_role.as_deref()),
        gauge("port_state", "", STATES, |p| state_number(p.port_state.as_deref(), STATES)),
        gauge("port_role", "", ROLES, |p| state_number(p.port_role.as_deref(), ROLES)),
        gauge("port_cost", "", "Its cost.", |p| p.port_cost),
    ],
});

const STATES: &str = "FWD or forwarding 1, LRN or learning 2, BLK or blocking or discarding 3, \
                      DIS or disabled 4, other 0.";
const ROLES: &str = "ROOT 1, DESG or designated 2, ALT or alternate 3, BKUP or backup 4, MSTR or \
                     master 5, DIS or disabled 6, other 0.";

impl Collector for Stp {
    const NAME: &'static str = "stp";
    const HELP: &'static str = "Spanning trees: bridges and ports.";
    const QUERIES: &'static [Query<Stp>] = &[
        Query {
            rpc: Rpc::Once("<get-stp-bridge-information/>"),
            command: "show spanning-tree bridge",
            roots: &["stp-bridge"],
            items: &[item::<_, RoutingInstance>("stp-bridge")],
        },
        Query {
            rpc: Rpc::Once("<get-stp-interface-information/>"),
            command: "show spanning-tree interface",
            roots: &["stp-interface-information"],
            items: &[item::<_, Instance>("stp-instance")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&BRIDGE, &INTERFACE];
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct RoutingInstance {
    routing_instance_name: String,
    protocol: String,
    cist_bridge_parameters: Vec<Bridge>,
    msti_bridge_parameters: Vec<Bridge>,
    vst_bridge_parameters: Vec<Bridge>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Bridge {
    #[serde(skip)]
    protocol: String,
    cist_id: String,
    msti_id: String,
    vlan_id: String,
    root_bridge: BridgeId,
    msti_regional_root_bridge: BridgeId,
    this_bridge: BridgeId,
    root_cost: Option<u64>,
    root_port: Option<String>,
    topology_change_count: Option<u64>,
    time_since_last_tc: Option<u64>,
    time_since_last_topology_change: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct BridgeId {
    bridge_mac: String,
}

impl Bridge {
    fn root(&self) -> &BridgeId {
        let root = &self.root_bridge;
        if root.bridge_mac.is_empty() { &self.msti_regional_root_bridge } else { root }
    }

    fn is_root(&self) -> Option<u64> {
        let (root, this) = (&self.root().bridge_mac, &self.this_bridge.bridge_mac);
        let is_root = root.eq_ignore_ascii_case(this);
        (!root.is_empty() && !this.is_empty()).then_some(is_root.into())
    }
}

impl Item<Stp> for RoutingInstance {
    fn points(self, _: &mut Stp, _: &Scope, points: &mut Points) {
        let bridges = self.cist_bridge_parameters.into_iter().chain(self.msti_bridge_parameters);
        for mut bridge in bridges.chain(self.vst_bridge_parameters) {
            bridge.protocol.clone_from(&self.protocol);
            let instance = format!("{}{}", bridge.cist_id, bridge.msti_id);
            let tags = [&*self.routing_instance_name, &instance, &bridge.vlan_id];
            points.push(&BRIDGE, &tags, &bridge);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Instance {
    #[serde(default)]
    instance_id: String,
    #[serde(default)]
    vlan_id: String,
    #[serde(default)]
    stp_interfaces: Vec<Ports>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Ports {
    #[serde(default)]
    stp_interface_entry: Vec<Port>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Port {
    interface_name: String,
    port_state: Option<String>,
    port_role: Option<String>,
    port_cost: Option<u64>,
}

impl Item<Stp> for Instance {
    fn points(self, _: &mut Stp, _: &Scope, points: &mut Points) {
        for port in self.stp_interfaces.iter().flat_map(|ports| &ports.stp_interface_entry) {
            points.push(
                &INTERFACE,
                &[&self.instance_id, &self.vlan_id, &port.interface_name],
                port,
            );
        }
    }
}
