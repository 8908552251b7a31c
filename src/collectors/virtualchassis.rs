//! Virtual chassis: its mode, its members and the ports between them.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info, labelled};
use crate::xml::items::Scope;
use crate::xml::shapes::{DOWN, UP, is};

#[derive(Default)]
pub struct VirtualChassis;

static MODE: Measurement<Mode> = Measurement::new(|| Definition {
    name: "virtual_chassis",
    help: "The virtual chassis.",
    tags: &["virtual_chassis_id"],
    fields: vec![
        labelled(
            "mode",
            info("mode_name", "Its mode in words.", |m| m.virtual_chassis_mode.as_deref()),
        ),
        info("preprovisioned", "Whether its members are configured.", |m| {
            Some(if m.preprovisioned { "true" } else { "false" })
        }),
        gauge("mode", "", "1 if it is enabled.", |m| {
            is(m.virtual_chassis_mode.as_deref(), &["Enabled"], &["Disabled", "Mixed"])
        }),
    ],
});

static STATUS: Measurement<Member> = Measurement::new(|| Definition {
    name: "virtual_chassis_member",
    help: "Whether a member is there.",
    tags: &["member_id"],
    fields: vec![
        info("role", "Its role; a star is at the one that answers.", |m| m.member_role.as_deref()),
        info("model", "Its model.", |m| m.member_model.as_deref()),
        info("serial_number", "Its serial number.", |m| m.member_serial_number.as_deref()),
        gauge("status", "", "1 if it is there.", |m| {
            // The second spelling is Junos's.
            let there = &["Prsnt", "NotPreprevisioned"];
            is(m.member_status.as_deref(), there, &["NotPrsnt", "Inactive", "Unprvsnd"])
        }),
    ],
});

static MEMBER: Measurement<Member> = Measurement::new(|| Definition {
    name: "virtual_chassis_member",
    help: "A member.",
    tags: &["member_id"],
    fields: vec![
        info("serial_number", "Its serial number.", |m| m.member_serial_number.as_deref()),
        gauge("priority", "", "Its priority to become the master.", |m| m.member_priority),
        gauge("mixed_mode", "", "1 if it may be with other models.", |m| {
            is(m.member_mixed_mode.as_deref(), &["Y"], &["N", "NA"])
        }),
    ],
});

static PORT: Measurement<Port> = Measurement::new(|| Definition {
    name: "virtual_chassis_vcp",
    help: "A port between members.",
    tags: &["member_node", "port_name"],
    fields: vec![
        info("neighbor_id", "The member at its other end.", |p| p.neighbor_id.as_deref()),
        gauge("status", "", "1 if it is up.", |p| is(p.port_status.as_deref(), UP, DOWN)),
    ],
});

impl Collector for VirtualChassis {
    const NAME: &'static str = "virtualchassis";
    const HELP: &'static str = "Virtual chassis: its mode, its members and the ports between them.";
    const ADVICE: &'static str = "60s: members change seldom.";
    const QUERIES: &'static [Query<VirtualChassis>] = &[
        Query {
            rpc: Rpc::Once("<get-virtual-chassis-status-information/>"),
            command: "show virtual-chassis status",
            roots: &["virtual-chassis-information"],
            items: &[
                item::<_, Configured>("preprovisioned-virtual-chassis-information"),
                item::<_, Mode>("virtual-chassis-id-information"),
                item::<_, Member>("member"),
            ],
        },
        Query {
            rpc: Rpc::Once(
                "<get-virtual-chassis-port-information><all-members/>\
                 </get-virtual-chassis-port-information>",
            ),
            command: "show virtual-chassis vc-port all-members",
            roots: &["virtual-chassis-port-information"],
            items: &[item::<_, Port>("port-information")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&MODE, &STATUS, &MEMBER, &PORT];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mode {
    virtual_chassis_id: String,
    virtual_chassis_mode: Option<String>,
    #[serde(skip)]
    preprovisioned: bool,
}

impl Item<VirtualChassis> for Mode {
    fn points(self, _: &mut VirtualChassis, _: &Scope, points: &mut Points) {
        points.push(&MODE, &[&self.virtual_chassis_id], &self);
    }
}

#[derive(Deserialize)]
struct Configured(Mode);

impl Item<VirtualChassis> for Configured {
    fn points(self, chassis: &mut VirtualChassis, scope: &Scope, points: &mut Points) {
        Mode { preprovisioned: true, ..self.0 }.points(chassis, scope, points);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Member {
    member_id: String,
    member_status: Option<String>,
    member_role: Option<String>,
    member_model: Option<String>,
    member_serial_number: Option<String>,
    member_priority: Option<u64>,
    member_mixed_mode: Option<String>,
}

impl Item<VirtualChassis> for Member {
    fn points(self, _: &mut VirtualChassis, _: &Scope, points: &mut Points) {
        points.push(&STATUS, &[&self.member_id], &self);
        points.push(&MEMBER, &[&self.member_id], &self);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Port {
    port_name: String,
    port_status: Option<String>,
    neighbor_id: Option<String>,
}

impl Item<VirtualChassis> for Port {
    fn points(self, _: &mut VirtualChassis, scope: &Scope, points: &mut Points) {
        // The wrapper's name is that of the member whose ports these are.
        points.set_re_name("");
        points.push(&PORT, &[scope.get("re-name").unwrap_or_default(), &self.port_name], &self);
    }
}
