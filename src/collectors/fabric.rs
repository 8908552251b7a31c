//! The switch fabric: its planes, and the cards' links to them.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, text};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, Seconds, is, state_number};

#[derive(Default)]
pub struct Fabric;

static PLANE: Measurement<PlaneState> = Measurement::new(|| Definition {
    name: "fabric_plane",
    help: "A plane of the switch fabric.",
    tags: &["plane"],
    fields: vec![
        text("state_name", "Its state in words.", |p| p.state.as_deref()),
        gauge("state", "", STATES, |p| state_number(p.state.as_deref(), STATES)),
        gauge("up_time", "s", "Time since it came up.", |p| p.up_time?.seconds),
    ],
});

const STATES: &str = "Online 1, Spare 2, Check 3, Offline 4, Fault 5, other 0.";

const NOT_ACTIVE: &[&str] =
    &["Spare", "Standby", "Inactive", "Check", "Offline", "Fault", "Empty", "Absent"];

static PLANE_ACTIVE: Measurement<String> = Measurement::new(|| Definition {
    name: "fabric_plane",
    help: "Whether a plane of the switch fabric carries traffic.",
    tags: &["plane"],
    fields: vec![gauge("active", "", "1 if it carries traffic.", |state| {
        is(Some(state), &["Active"], NOT_ACTIVE)
    })],
});

static PLANE_LINK: Measurement<String> = Measurement::new(|| Definition {
    name: "fabric_plane_link",
    help: "A plane's links to a Packet Forwarding Engine.",
    tags: &["plane", "fru", "pfe"],
    fields: vec![
        text("pfe_link_status", "Their state in words.", |status| Some(status)),
        gauge("up", "", "1 if they are ok.", |status| {
            is(Some(status), &["Links ok"], &["Link error", "Links error", "Unused", "Absent"])
        }),
    ],
});

static FPC: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "fabric_fpc",
    help: "A plane as a Packet Forwarding Engine sees it.",
    tags: &["fpc", "pfe", "plane"],
    fields: vec![
        text("plane_fm_state", "Its state in words.", |l| l.text("plane-fm-state")),
        gauge("enabled", "", "1 if it is enabled.", |l| {
            let state = l.text("plane-fm-state");
            is(state, &["Plane enabled"], &["Plane disabled", "Plane offline"])
        }),
    ],
});

impl Collector for Fabric {
    const NAME: &'static str = "fabric";
    const HELP: &'static str = "The switch fabric: its planes, and the cards' links to them.";
    const QUERIES: &'static [Query<Fabric>] = &[
        Query {
            rpc: Rpc::Once("<get-fm-state-information/>"),
            command: "show chassis fabric summary",
            roots: &["fm-state-information"],
            items: &[item::<_, PlaneState>("fm-state-item")],
        },
        Query {
            rpc: Rpc::Once("<get-fm-plane-state-information/>"),
            command: "show chassis fabric plane",
            roots: &["fm-plane-state-information"],
            items: &[item::<_, Plane>("fmp-plane")],
        },
        Query {
            rpc: Rpc::Once("<get-fm-fpc-state-information/>"),
            command: "show chassis fabric fpcs",
            roots: &["fm-fpc-state-information"],
            items: &[item::<_, Fpc>("fm-fpc-ln")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] =
        &[&PLANE, &PLANE_ACTIVE, &PLANE_LINK, &FPC];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PlaneState {
    plane_slot: String,
    state: Option<String>,
    up_time: Option<Seconds>,
}

impl Item<Fabric> for PlaneState {
    fn points(self, _: &mut Fabric, _: &Scope, points: &mut Points) {
        points.push(&PLANE, &[&self.plane_slot], &self);
    }
}

/// A flat list: `fru-slot` begins a card, `pfe-slot` one of its forwarding engines.
#[derive(Deserialize)]
struct Plane(Leaves);

impl Item<Fabric> for Plane {
    fn points(self, _: &mut Fabric, _: &Scope, points: &mut Points) {
        let (mut plane, mut kind, mut fru, mut pfe) = ("", "", String::new(), None);
        for (name, text) in self.0.iter() {
            match name {
                "slot" => plane = text,
                "state" => _ = points.push(&PLANE_ACTIVE, &[plane], &text.to_string()),
                "fru-name" => kind = text,
                "fru-slot" => fru = format!("{kind} {text}"),
                "pfe-slot" => pfe = Some(text),
                "pfe-link-status" => {
                    if let Some(pfe) = pfe.take() {
                        points.push(&PLANE_LINK, &[plane, fru.trim(), pfe], &text.to_string());
                    }
                }
                _ => {}
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Fpc {
    slot: String,
    #[serde(default)]
    fm_pfe_ln: Vec<Leaves>,
}

impl Item<Fabric> for Fpc {
    fn points(self, _: &mut Fabric, _: &Scope, points: &mut Points) {
        let slot = |leaves: &Leaves, name| leaves.text(name).unwrap_or_default().to_string();
        for mut pfe in self.fm_pfe_ln {
            for plane in &pfe.take("fm-plane-ln") {
                let (pfe, of) = (slot(&pfe, "pfe-slot"), slot(plane, "plane-slot"));
                points.push(&FPC, &[&self.slot, &pfe, &of], plane);
            }
        }
    }
}
