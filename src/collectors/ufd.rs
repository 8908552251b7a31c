//! Uplink failure detection: groups, and the links they watch and disable.

use serde::Deserialize;

use crate::collector::distinct;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info};
use crate::xml::items::Scope;
use crate::xml::shapes::is;

#[derive(Default)]
pub struct Ufd;

static FAILURE: Measurement<Group> = Measurement::new(|| Definition {
    name: "ufd_group",
    help: "Whether a group has disabled its downlinks.",
    tags: &["group"],
    fields: vec![
        info("failure_action", "In words.", |g| g.failure_action.as_deref()),
        gauge("failure_active", "", "1 if its uplinks failed.", |g| {
            match g.failure_action.as_deref()? {
                "" => Some(0),
                action => is(Some(action), &["Active"], &["Inactive"]),
            }
        }),
    ],
});

static GROUP: Measurement<Group> = Measurement::new(|| Definition {
    name: "ufd_group",
    help: "A group of uplinks and downlinks.",
    tags: &["group"],
    fields: vec![
        gauge("debounce_seconds", "s", "Time until downlinks are enabled.", |g| {
            g.debounce_interval
        }),
        gauge("uplink_count", "", "Uplinks.", |g| {
            Some(distinct::count(g.uplinks().map(|link| [name(link).0])))
        }),
        gauge("downlink_count", "", "Downlinks.", |g| {
            Some(distinct::count(g.downlinks().map(|link| [name(link).0])))
        }),
    ],
});

static UPLINK: Measurement<bool> = Measurement::new(|| Definition {
    name: "ufd",
    help: "A link that is watched.",
    tags: &["group", "interface"],
    fields: vec![gauge("uplink_active", "", "1 if it is up.", |up| Some(u64::from(*up)))],
});

static DOWNLINK: Measurement<bool> = Measurement::new(|| Definition {
    name: "ufd",
    help: "A link that is disabled with the uplinks.",
    tags: &["group", "interface"],
    fields: vec![gauge("downlink_active", "", "1 if it is up.", |up| Some(u64::from(*up)))],
});

impl Collector for Ufd {
    const NAME: &'static str = "ufd";
    const HELP: &'static str =
        "Uplink failure detection: groups, and the links they watch and disable.";
    const QUERIES: &'static [Query<Ufd>] = &[Query {
        rpc: Rpc::Once("<get-uplink-failure-detection-information/>"),
        command: "show uplink-failure-detection",
        roots: &["uplink-failure-detection-information"],
        items: &[item::<_, Group>("ufd-group")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&FAILURE, &GROUP, &UPLINK, &DOWNLINK];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Group {
    ufd_group_name: String,
    failure_action: Option<String>,
    debounce_interval: Option<u64>,
    #[serde(default)]
    link_to_monitor_list: Vec<Links>,
    #[serde(default)]
    link_to_disable_list: Vec<Links>,
}

/// A link's name, and whether the star behind it says that the link is up.
fn name(link: &str) -> (&str, bool) {
    let name = link.strip_suffix('*');
    (name.unwrap_or(link).trim_end(), name.is_some())
}

/// Names of links.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Links {
    #[serde(default, alias = "uplink-interface", alias = "downlink-interface")]
    interface: Vec<String>,
}

impl Group {
    fn uplinks(&self) -> impl Iterator<Item = &String> {
        self.link_to_monitor_list.iter().flat_map(|links| &links.interface)
    }

    fn downlinks(&self) -> impl Iterator<Item = &String> {
        self.link_to_disable_list.iter().flat_map(|links| &links.interface)
    }
}

impl Item<Ufd> for Group {
    fn points(self, _: &mut Ufd, _: &Scope, points: &mut Points) {
        let group = self.ufd_group_name.as_str();
        points.push(&FAILURE, &[group], &self);
        points.push(&GROUP, &[group], &self);
        let mut push = |measurement, link: &str| {
            let (name, is_up) = name(link);
            points.push(measurement, &[group, name], &is_up);
        };
        self.uplinks().for_each(|link| push(&UPLINK, link));
        self.downlinks().for_each(|link| push(&DOWNLINK, link));
    }
}
