//! LLDP: the neighbour at each port.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::collector::outcome::Answered;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info};
use crate::xml::items::Scope;
use crate::xml::shapes::is_word;

#[derive(Default)]
pub struct Lldp {
    /// By Routing Engine and local interface.
    neighbors: BTreeMap<(String, String), BTreeSet<Neighbor>>,
    ports: Vec<(String, Port)>,
}

struct Peer {
    parent: String,
    status: Option<String>,
    connected: u64,
}

static PEER: Measurement<Peer> = Measurement::new(|| Definition {
    name: "lldp",
    help: "A neighbour, or a port that is up and has none.",
    tags: &["local_interface", "remote_port_info", "remote_system_name"],
    fields: vec![
        info("parent_interface", "The aggregate that the port is of.", |p| Some(&p.parent)),
        info("interface_status", "The port's status.", |p| p.status.as_deref()),
        gauge("peer", "", "1 if there is a neighbour.", |p| Some(p.connected)),
    ],
});

/// The index of the query for neighbours.
const NEIGHBORS: usize = 0;

impl Collector for Lldp {
    const NAME: &'static str = "lldp";
    const HELP: &'static str = "LLDP: the neighbour at each port.";
    const ADVICE: &'static str = "300s: neighbours change seldom.";
    const QUERIES: &'static [Query<Lldp>] = &[
        Query {
            rpc: Rpc::Once("<get-lldp-neighbors-information/>"),
            command: "show lldp neighbors",
            roots: &["lldp-neighbors-information"],
            items: &[item::<_, Neighbor>("lldp-neighbor-information")],
        },
        Query {
            rpc: Rpc::Once("<get-lldp-local-info/>"),
            command: "show lldp local-information",
            roots: &["lldp-local-info"],
            items: &[item::<_, Port>("lldp-local-interface-info")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&PEER];

    fn finish(&mut self, answered: Answered, points: &mut Points) {
        for (re_name, port) in std::mem::take(&mut self.ports) {
            points.set_re_name(&re_name);
            let neighbors = self.neighbors_at(re_name, &port.name);
            if !port.status.as_deref().is_some_and(|status| is_word(status, "Up"))
                || is_management(&port.name)
            {
                continue;
            }
            let connected = u64::from(!neighbors.is_empty());
            let peer = Peer { parent: port.parent, status: port.status, connected };
            for neighbor in &neighbors {
                points.push(&PEER, &[&port.name, neighbor.port(), &neighbor.system_name], &peer);
            }
            if neighbors.is_empty() && answered.has(NEIGHBORS) {
                points.push(&PEER, &[&port.name, "", ""], &peer);
            }
        }
        // Neighbours at ports that the router does not list.
        for ((re_name, interface), neighbors) in &self.neighbors {
            points.set_re_name(re_name);
            for neighbor in neighbors.iter().filter(|_| !is_management(interface)) {
                let peer = Peer { parent: neighbor.parent.clone(), status: None, connected: 1 };
                points.push(&PEER, &[interface, neighbor.port(), &neighbor.system_name], &peer);
            }
        }
    }
}

impl Lldp {
    /// Takes out a port's neighbours. Some releases list them under the port's unit 0.
    fn neighbors_at(&mut self, re_name: String, port: &str) -> BTreeSet<Neighbor> {
        let unit = (re_name.clone(), format!("{port}.0"));
        let neighbors = self.neighbors.remove(&(re_name, port.to_string()));
        neighbors.or_else(|| self.neighbors.remove(&unit)).unwrap_or_default()
    }
}

/// Ports of the management network are left out.
fn is_management(interface: &str) -> bool {
    let port = interface.split('.').next().unwrap_or_default();
    let kind = port.trim_end_matches(['0', '1', '2']);
    matches!(kind, "fxp" | "em" | "me") && port.len() == kind.len() + 1
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
struct Neighbor {
    /// The port's name, or its number if `lldp_local_interface` has the name.
    lldp_local_port_id: Option<String>,
    lldp_local_interface: Option<String>,
    #[serde(default, rename = "lldp-local-parent-interface-name")]
    parent: String,
    #[serde(default, rename = "lldp-remote-port-id")]
    port_id: String,
    #[serde(default, rename = "lldp-remote-port-description")]
    port_description: String,
    #[serde(default, rename = "lldp-remote-system-name")]
    system_name: String,
}

impl Neighbor {
    /// Junos sends only one of the two, unless it is asked for details.
    fn port(&self) -> &str {
        if self.port_id.is_empty() { &self.port_description } else { &self.port_id }
    }
}

impl Item<Lldp> for Neighbor {
    fn points(self, lldp: &mut Lldp, scope: &Scope, _: &mut Points) {
        let interface = self.lldp_local_interface.as_ref().or(self.lldp_local_port_id.as_ref());
        let Some(interface) = interface.cloned() else { return };
        let re_name = scope.get("re-name").unwrap_or_default().to_string();
        lldp.neighbors.entry((re_name, interface)).or_default().insert(self);
    }
}

#[derive(Deserialize)]
struct Port {
    #[serde(rename = "lldp-local-interface-name")]
    name: String,
    #[serde(default, rename = "lldp-parent-local-interface-name")]
    parent: String,
    #[serde(rename = "lldp-local-interface-status")]
    status: Option<String>,
}

impl Item<Lldp> for Port {
    fn points(self, lldp: &mut Lldp, scope: &Scope, _: &mut Points) {
        let re_name = scope.get("re-name").unwrap_or_default().to_string();
        lldp.ports.push((re_name, self));
    }
}
