//! Power over Ethernet by interface.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::{OFF, ON, Quantity, is, is_word};

#[derive(Default)]
pub struct Poe;

static POE: Measurement<Interface> = Measurement::new(|| Definition {
    name: "poe",
    help: "Power over Ethernet on an interface.",
    tags: &["interface"],
    fields: vec![
        gauge("enabled", "", "1 if it is enabled.", |i| {
            is(i.interface_enabled.as_deref(), ON, OFF)
        }),
        gauge("status", "", "1 if it delivers power.", |i| {
            is(i.interface_status.as_deref(), ON, NOT_ON)
        }),
        gauge("power_limit", "W", "The most it may deliver.", |i| Some(i.interface_power_limit?.0)),
        gauge("power", "W", "Power delivered.", |i| Some(i.interface_power?.0)),
        gauge("class", "", "The device's class; -1 for none.", |i| {
            match i.interface_class.as_deref()? {
                class if is_word(class, "not-applicable") => Some(-1.0),
                class => class.parse().ok(),
            }
        }),
    ],
});

const NOT_ON: &[&str] = &["Off", "Disabled", "Denied", "Fault", "Searching"];

impl Collector for Poe {
    const NAME: &'static str = "poe";
    const HELP: &'static str = "Power over Ethernet by interface.";
    const ADVICE: &'static str = "60s: power changes slowly.";
    const QUERIES: &'static [Query<Poe>] = &[Query {
        rpc: Rpc::Once("<get-poe-interface-information/>"),
        command: "show poe interface",
        roots: &["poe", "interface-information"],
        items: &[item::<_, Interface>("interface-information")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&POE];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Interface {
    /// None in the reply of that name to `show interfaces`.
    interface_name: Option<String>,
    interface_enabled: Option<String>,
    interface_status: Option<String>,
    interface_power_limit: Option<Quantity>,
    interface_power: Option<Quantity>,
    interface_class: Option<String>,
}

impl Item<Poe> for Interface {
    fn points(self, _: &mut Poe, _: &Scope, points: &mut Points) {
        if let Some(name) = &self.interface_name {
            points.push(&POE, &[name], &self);
        }
    }
}
