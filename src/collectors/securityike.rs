//! IKE peers of an SRX, and how many users are connected from each.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::outcome::Answered;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;

#[derive(Default)]
pub struct SecurityIke {
    /// How often each peer of each Routing Engine is listed.
    users: BTreeMap<(String, Peer), u64>,
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
            let tags = [
                re_name,
                &peer.ike_sa_remote_address,
                &peer.ike_sa_remote_port,
                &peer.ike_ike_id,
                &peer.ike_xauth_username,
                &peer.ike_xauth_user_assigned_ip,
            ];
            points.push(&PEER, &tags.map(String::as_str), users);
        }
    }
}

#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "kebab-case")]
struct Peer {
    ike_sa_remote_address: String,
    #[serde(default)]
    ike_sa_remote_port: String,
    #[serde(default)]
    ike_ike_id: String,
    #[serde(default)]
    ike_xauth_username: String,
    #[serde(default)]
    ike_xauth_user_assigned_ip: String,
}

impl Item<SecurityIke> for Peer {
    fn points(self, ike: &mut SecurityIke, scope: &Scope, _: &mut Points) {
        *ike.users.entry((scope.re_name().to_string(), self)).or_default() += 1;
    }
}
