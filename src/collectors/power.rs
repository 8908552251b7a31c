//! Power: what the chassis, its zones and its power entry modules have and use.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info, labelled};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, state_number};

#[derive(Default)]
pub struct Power {
    /// Items of `show chassis power`: switches without that command have a power budget instead.
    usages: usize,
}

static SYSTEM: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "power_capacity_sys",
    help: "Power of the chassis.",
    tags: &["re_name"],
    fields: vec![
        gauge("actual_usage", "W", "Capacity that is there.", |l| {
            l.quantity("capacity-sys-actual")
        }),
        gauge("max", "W", "The most capacity there may be.", |l| l.quantity("capacity-sys-max")),
        gauge("remaining", "W", "Capacity that is not allocated.", |l| {
            l.quantity("capacity-sys-remaining")
        }),
    ],
});

static ZONE: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "power_capacity",
    help: "Power of a zone of the chassis.",
    tags: &["re_name", "zone"],
    fields: vec![
        gauge("actual", "W", "Capacity that is there.", |l| l.quantity("capacity-actual")),
        gauge("max", "W", "The most capacity there may be.", |l| l.quantity("capacity-max")),
        gauge("allocated", "W", "Capacity allocated.", |l| l.quantity("capacity-allocated")),
        gauge("remaining", "W", "Capacity that is not allocated.", |l| {
            l.quantity("capacity-remaining")
        }),
        gauge("actual_usage", "W", "Power in use.", |l| l.quantity("capacity-actual-usage")),
    ],
});

static PEM: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "power_pem",
    help: "What a power entry module delivers.",
    tags: &["re_name", "name", "zone"],
    fields: vec![
        gauge("power_usage", "W", "Power.", |l| output(l, "dc-power")),
        gauge("current", "A", "Current.", |l| output(l, "dc-current")),
        gauge("voltage", "V", "Voltage.", |l| output(l, "dc-voltage")),
        gauge("power_load_percent", "%", "Load.", |l| output(l, "dc-load")),
    ],
});

static PEM_STATE: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "power_pem",
    help: "A power entry module.",
    tags: &["re_name", "name", "zone"],
    fields: vec![
        info("state", "Its state in words.", |l| l.text("state")),
        gauge("power_state", "", STATES, |l| state_number(l.text("state"), STATES)),
    ],
});

static BUDGET: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "power_budget",
    help: "The power budget of a switch.",
    tags: &["line_card_slot"],
    fields: vec![
        gauge("total_power_supplied", "W", "Power supplied.", |l| {
            l.quantity("total-power-supplied")
        }),
        gauge("actual_power_used", "W", "Power in use.", |l| l.quantity("actual-power-used")),
    ],
});

static SUPPLY: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "power_budget",
    help: "What a power supply of a switch gives.",
    tags: &["line_card_slot", "psu_slot"],
    fields: vec![
        info("psu_type", "Its model.", |l| l.text("psu-type")),
        gauge("power_supplied_psu", "W", "Power it can supply.", |l| {
            l.quantity("power-supplied-psu")
        }),
    ],
});

static SUPPLY_STATE: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "power_budget",
    help: "A power supply of a switch.",
    tags: &["line_card_slot", "psu_slot"],
    fields: vec![
        info("psu_type", "Its model.", |l| l.text("psu-type")),
        labelled(
            "power_supply_state",
            info("power_supply_state_name", "Its state in words.", |l| {
                l.text("power-supply-state")
            }),
        ),
        gauge("power_supply_state", "", STATES, |l| {
            state_number(l.text("power-supply-state"), STATES)
        }),
    ],
});

const STATES: &str = "Online 1, Present 2, Empty 3, other 0.";

/// Some chassis and releases put a prefix in front of the names.
fn output(leaves: &Leaves, name: &str) -> Option<f64> {
    let mut names = ["", "str3-", "str-", "str2-"].iter().map(|front| format!("{front}{name}"));
    names.find_map(|name| leaves.quantity(&name))
}

fn zone(leaves: &Leaves) -> &str {
    leaves.text("zone").or(leaves.text("str-zone")).unwrap_or_default()
}

impl Collector for Power {
    const NAME: &'static str = "power";
    const HELP: &'static str =
        "Power: what the chassis, its zones and its power entry modules have and use.";
    const ADVICE: &'static str = "60s: power changes slowly.";
    const QUERIES: &'static [Query<Power>] = &[
        Query {
            rpc: Rpc::Once("<get-power-usage-information/>"),
            command: "show chassis power",
            roots: &["power-usage-information"],
            items: &[
                item::<_, Module>("power-usage-item"),
                item::<_, System>("power-usage-system"),
            ],
        },
        Query {
            rpc: Rpc::When("<get-power-budget-information/>", |power| power.usages == 0),
            command: "show chassis power-budget-statistics",
            roots: &["power-budget-information"],
            items: &[item::<_, Budget>("power-budget-information")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] =
        &[&SYSTEM, &ZONE, &PEM, &PEM_STATE, &BUDGET, &SUPPLY, &SUPPLY_STATE];
}

#[derive(Deserialize)]
struct Module(Leaves);

impl Item<Power> for Module {
    fn points(self, power: &mut Power, scope: &Scope, points: &mut Points) {
        power.usages += 1;
        let name = self.0.text("name").unwrap_or_default();
        let tags = [scope.re_name(), name, zone(&self.0)];
        points.push(&PEM, &tags, &self.0);
        points.push(&PEM_STATE, &tags, &self.0);
    }
}

#[derive(Deserialize)]
struct System(Leaves);

impl Item<Power> for System {
    fn points(mut self, power: &mut Power, scope: &Scope, points: &mut Points) {
        power.usages += 1;
        let zones = self.0.take("power-usage-zone-information");
        points.push(&SYSTEM, &[scope.re_name()], &self.0);
        for leaves in &zones {
            points.push(&ZONE, &[scope.re_name(), zone(leaves)], leaves);
        }
    }
}

/// A flat list: each `psu-slot` begins another power supply.
#[derive(Deserialize)]
struct Budget(Leaves);

impl Item<Power> for Budget {
    fn points(self, _: &mut Power, _: &Scope, points: &mut Points) {
        let Budget(budget) = self;
        let card = budget.text("line-card-slot").unwrap_or_default();
        points.push(&BUDGET, &[card], &budget);
        for supply in &budget.records("psu-slot") {
            let slot = supply.text("psu-slot").unwrap_or_default();
            points.push(&SUPPLY, &[card, slot], supply);
            points.push(&SUPPLY_STATE, &[card, slot], supply);
        }
    }
}
