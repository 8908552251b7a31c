//! IPsec security associations and the number of configured VPNs.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::distinct;
use crate::collector::outcome::Answered;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info};
use crate::xml::items::Scope;
use crate::xml::shapes::{DOWN, UP, is};

#[derive(Default)]
pub struct Ipsec {
    /// By Routing Engine and remote gateway.
    gateways: BTreeMap<(String, String), Gateway>,
}

struct Gateway {
    description: String,
    /// The state of its worst tunnel: several tunnels may end at one gateway.
    up: Option<u64>,
}

const TAGS: &[&str] = &["re_name", "name"];

static GATEWAY: Measurement<Gateway> = Measurement::new(|| Definition {
    name: "ipsec_security_associations",
    help: "The security associations with a remote gateway.",
    tags: TAGS,
    fields: vec![
        info("description", "What it is.", |g| Some(&g.description)),
        gauge("state", "", "1 if all tunnels to the gateway are up.", |g| g.up),
    ],
});

static ACTIVE: Measurement<Active> = Measurement::new(|| Definition {
    name: "ipsec_security_associations",
    help: "The tunnels of a Routing Engine.",
    tags: TAGS,
    fields: vec![
        info("description", "What it is.", |_| Some("active tunnels")),
        gauge("active_tunnels", "", "Active tunnels.", |a| Some(a.0)),
    ],
});

static CONFIGURED: Measurement<Configuration> = Measurement::new(|| Definition {
    name: "ipsec",
    help: "The configuration of IPsec.",
    tags: TAGS,
    fields: vec![
        info("description", "What it is.", |_| Some("configured tunnels")),
        gauge("configured_tunnels", "", "VPNs.", |c| {
            Some(distinct::count(c.security.ipsec.vpn.iter().map(|vpn| [&*vpn.name])))
        }),
    ],
});

impl Collector for Ipsec {
    const NAME: &'static str = "ipsec";
    const HELP: &'static str = "IPsec security associations and the number of configured VPNs.";
    const PERMISSIONS: &'static [&'static str] = &["view", "view-configuration"];
    const QUERIES: &'static [Query<Ipsec>] = &[
        Query {
            rpc: Rpc::Once("<get-security-associations-information/>"),
            command: "show security ipsec security-associations",
            roots: &["ipsec-security-associations-information"],
            items: &[
                item::<_, Active>("total-active-tunnels"),
                item::<_, Block>("ipsec-security-associations-block"),
            ],
        },
        Query {
            rpc: Rpc::Once(
                "<get-config><source><running/></source><filter type=\"subtree\"><configuration>\
                 <security><ipsec/></security></configuration></filter></get-config>",
            ),
            command: "show configuration security ipsec",
            roots: &["configuration"],
            items: &[item::<_, Configuration>("configuration")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&GATEWAY, &ACTIVE, &CONFIGURED];

    fn finish(&mut self, _: Answered, points: &mut Points) {
        for ((re_name, name), gateway) in &self.gateways {
            points.push(&GATEWAY, &[re_name, name], gateway);
        }
    }
}

#[derive(Deserialize)]
struct Active(u64);

impl Item<Ipsec> for Active {
    fn points(self, _: &mut Ipsec, scope: &Scope, points: &mut Points) {
        points.push(&ACTIVE, &[scope.re_name(), ""], &self);
    }
}

/// A tunnel: one association for each direction, or more while keys are renewed.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Block {
    sa_block_state: Option<String>,
    #[serde(default)]
    ipsec_security_associations: Vec<Association>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Association {
    sa_remote_gateway: String,
}

impl Item<Ipsec> for Block {
    fn points(self, ipsec: &mut Ipsec, scope: &Scope, _: &mut Points) {
        let last = self.ipsec_security_associations.into_iter().next_back();
        let name = last.map(|association| association.sa_remote_gateway).unwrap_or_default();
        let description = format!("security association for remote gateway {name}");
        let up = is(self.sa_block_state.as_deref(), UP, DOWN);
        let key = (scope.re_name().to_string(), name);
        let gateway = ipsec.gateways.entry(key).or_insert(Gateway { description, up });
        gateway.up = gateway.up.min(up);
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Configuration {
    security: Security,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Security {
    ipsec: IpsecConfiguration,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IpsecConfiguration {
    vpn: Vec<Vpn>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Vpn {
    name: String,
}

impl Item<Ipsec> for Configuration {
    fn points(self, _: &mut Ipsec, scope: &Scope, points: &mut Points) {
        points.push(&CONFIGURED, &[scope.re_name(), ""], &self);
    }
}
