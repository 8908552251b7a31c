//! IKE peers of an SRX, and how many users are connected from each.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::distinct::Distinct;
use crate::collector::outcome::Answered;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::misfits;
use crate::xml::shapes::Leaves;

#[derive(Default)]
pub struct SecurityIke {
    /// How often each peer of each Routing Engine is listed, by what its series is labelled with.
    users: BTreeMap<(String, [String; 5]), u64>,
    met: Distinct,
}

static PEER: Measurement<u64> = Measurement::new(|| Definition {
    name: "security_ike",
    help: "An IKE peer.",
    tags: &[
        "re_name",
        "remote_address",
        "remote_port",
        "ike_id",
        "x_auth_username",
        "x_auth_user_assigned_ip",
    ],
    fields: vec![gauge("connected_active_users", "", "Users connected.", |users| Some(*users))],
});

impl Collector for SecurityIke {
    const NAME: &'static str = "securityike";
    const HELP: &'static str = "IKE peers of an SRX, and how many users are connected from each.";
    const QUERIES: &'static [Query<SecurityIke>] = &[Query {
        rpc: Rpc::Once("<get-ike-active-peers-information/>"),
        command: "show security ike active-peer",
        roots: &["ike-active-peers-information"],
        items: &[item::<_, Peer>("ike-active-peers")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&PEER];

    fn finish(&mut self, _: Answered, points: &mut Points) {
        for ((re_name, peer), users) in &self.users {
            let [address, port, id, username, assigned] = peer.each_ref().map(String::as_str);
            let tags = [re_name, address, port, id, username, assigned];
            points.push(&PEER, &tags, users);
        }
    }
}

#[derive(Deserialize)]
struct Peer(Leaves);

impl Item<SecurityIke> for Peer {
    fn points(self, ike: &mut SecurityIke, scope: &Scope, _: &mut Points) {
        let re_name = scope.re_name().to_string();
        let names = [
            "ike-sa-remote-address",
            "ike-sa-remote-port",
            "ike-ike-id",
            "ike-xauth-username",
            "ike-xauth-user-assigned-ip",
        ];
        let peer = names.map(|name| self.0.text(name).unwrap_or_default().to_string());
        if peer[0].is_empty() {
            return misfits::count(|| "ike-active-peers: no `ike-sa-remote-address`".into());
        }
        if ike.met.is_new_record(&re_name, &self.0) {
            *ike.users.entry((re_name, peer)).or_default() += 1;
        }
    }
}
