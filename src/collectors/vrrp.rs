//! VRRP groups and their states.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::state_number;

#[derive(Default)]
pub struct Vrrp;

static GROUP: Measurement<Group> = Measurement::new(|| Definition {
    name: "vrrp",
    help: "An address of a VRRP group.",
    tags: &["interface", "group", "local_interface_address", "virtual_ip_address"],
    fields: vec![gauge("state", "", "init 1, backup 2, master 3, other 0.", |g| {
        state_number(g.vrrp_state.as_deref(), &[("init", 1), ("backup", 2), ("master", 3)])
    })],
});

impl Collector for Vrrp {
    const NAME: &'static str = "vrrp";
    const HELP: &'static str = "VRRP groups and their states.";
    const QUERIES: &'static [Query<Vrrp>] = &[Query {
        rpc: Rpc::Once("<get-vrrp-information><summary/></get-vrrp-information>"),
        command: "show vrrp summary",
        roots: &["vrrp-information"],
        items: &[item::<_, Group>("vrrp-interface")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&GROUP];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Group {
    interface: String,
    #[serde(default)]
    group: String,
    vrrp_state: Option<String>,
    #[serde(default)]
    local_interface_address: String,
    #[serde(default)]
    virtual_ip_address: Vec<String>,
}

impl Item<Vrrp> for Group {
    fn points(mut self, _: &mut Vrrp, _: &Scope, points: &mut Points) {
        let mut addresses = std::mem::take(&mut self.virtual_ip_address);
        if addresses.is_empty() {
            addresses.push(String::new());
        }
        for address in &addresses {
            let tags = [&*self.interface, &self.group, &self.local_interface_address, address];
            points.push(&GROUP, &tags, &self);
        }
    }
}
