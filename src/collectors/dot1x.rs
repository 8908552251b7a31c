//! 802.1X: the clients that ports have authenticated.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info};
use crate::xml::items::Scope;
use crate::xml::shapes::state_number;

#[derive(Default)]
pub struct Dot1x;

static SESSION: Measurement<Session> = Measurement::new(|| Definition {
    name: "dot1x",
    help: "A client of an 802.1X port, or a port without one.",
    tags: &["interface_name", "user_mac_address"],
    fields: vec![
        info("user_name", "The client's user name.", |s| s.user_name.as_deref()),
        gauge("auth_state", "", STATES, |s| state_number(s.state.as_deref(), STATES)),
        gauge("auth_method", "", METHODS, |s| state_number(s.method.as_deref(), METHODS)),
        gauge("authenticated_vlan", "", "VLAN of the client.", |s| s.vlan),
        gauge("authenticated_voip_vlan", "", "VLAN of its telephone.", |s| s.voip_vlan),
    ],
});

const STATES: &str = "Authenticated 1, Initialize 2, Connecting 3, Held 4, other 0.";
const METHODS: &str = "Radius 1, Mac Radius 2, None 3, Fail 4, other 0.";

impl Collector for Dot1x {
    const NAME: &'static str = "dot1x";
    const HELP: &'static str = "802.1X: the clients that ports have authenticated.";
    const QUERIES: &'static [Query<Dot1x>] = &[Query {
        rpc: Rpc::Once(
            "<get-dot1x-interface-information><extensive/></get-dot1x-interface-information>",
        ),
        command: "show dot1x interface extensive",
        roots: &["dot1x-interface-information"],
        items: &[item::<_, Interface>("interface")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&SESSION];
}

/// A port with one client, or with several whose values stand one after the other.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Interface {
    interface_name: String,
    #[serde(default)]
    state: Vec<String>,
    #[serde(default)]
    user_mac_address: Vec<String>,
    #[serde(default)]
    authenticated_method: Vec<String>,
    #[serde(default)]
    authenticated_vlan: Vec<String>,
    #[serde(default)]
    authenticated_voip_vlan: Vec<String>,
    #[serde(default)]
    user_name: Vec<String>,
}

struct Session {
    state: Option<String>,
    method: Option<String>,
    vlan: Option<u64>,
    voip_vlan: Option<u64>,
    user_name: Option<String>,
}

impl Item<Dot1x> for Interface {
    fn points(self, _: &mut Dot1x, _: &Scope, points: &mut Points) {
        let clients = self.user_mac_address.len().max(1);
        for client in 0..clients {
            // A list with fewer values than clients does not say which client a value belongs to.
            let of = |list: &[String]| list.get(client).filter(|_| list.len() == clients).cloned();
            let vlan = |list: &[String]| of(list)?.parse().ok();
            let session = Session {
                state: of(&self.state).or(self.state.first().cloned()),
                method: of(&self.authenticated_method),
                vlan: vlan(&self.authenticated_vlan),
                voip_vlan: vlan(&self.authenticated_voip_vlan),
                user_name: of(&self.user_name),
            };
            let mac = self.user_mac_address.get(client).map_or("", |mac| mac);
            points.push(&SESSION, &[&self.interface_name, mac], &session);
        }
    }
}
