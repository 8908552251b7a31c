//! What the inventory knows of the peers that collectors report: more tags for their points.

use std::net::IpAddr;

use crate::base::inventory::Inventory;
use crate::point::{Point, Points};

/// Measurements of a peer, and the tag that is its address.
const PEERS: &[(&str, &str)] = &[
    ("bgp_session", "ip"),
    ("bgp_session_prefixes", "ip"),
    ("bfd", "neighbor"),
    ("ldp_session", "neighbor"),
    ("rpki_session", "ip"),
    ("security_ike", "remote_address"),
];

/// Adds `remote_domain`, `remote_hostgroup` and the inventory's labels to points of a peer that the
/// inventory knows.
pub fn enrich(points: &mut Points, inventory: &Inventory) {
    let is_peers = |point: &Point| PEERS.iter().any(|(name, _)| *name == point.schema.name());
    if inventory.is_empty() || !points.iter().any(|point| is_peers(&point)) {
        return;
    }
    points.add_labels(|point| {
        let peer = PEERS.iter().find(|(name, _)| *name == point.schema.name());
        let address = peer.and_then(|(_, tag)| {
            let (_, address) = point.tags().find(|(name, _)| name == tag)?;
            // BGP adds the port of a session that is open.
            address.split('+').next()?.parse::<IpAddr>().ok()
        });
        let Some(host) = address.and_then(|address| inventory.find(address)) else {
            return Vec::new();
        };
        let names = [("remote_domain", host.domain), ("remote_hostgroup", host.hostgroup)];
        let labels = inventory.labels("", host.labels);
        names.into_iter().chain(labels).map(|(n, v)| (n.to_string(), v.to_string())).collect()
    });
}
