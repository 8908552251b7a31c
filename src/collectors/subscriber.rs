//! DHCP subscribers, the lines they are on and the interfaces that carry them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::outcome::Answered;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, counter, info};
use crate::xml::items::Scope;

#[derive(Default)]
pub struct Subscribers {
    /// Subscribers on a demux interface, each with its Routing Engine: the next reply says what
    /// carries the interface. The others are pushed at once, since there are many.
    on_demux: Vec<(String, Subscriber)>,
    /// The interface below each demux interface, which may be another demux interface.
    below: BTreeMap<String, String>,
}

/// How many demux interfaces may be stacked.
const HOPS_MAX: usize = 3;

static SUBSCRIBER: Measurement<Subscriber> = Measurement::new(|| Definition {
    name: "subscriber",
    help: "A DHCP subscriber.",
    tags: &["interface", "agent_circuit_id", "agent_remote_id"],
    fields: vec![
        info("underlying_ifd", "What carries its interface.", |s| Some(&s.underlying_interface)),
        counter("info", "", "1; the facts are in the labels.", |_| Some(1)),
    ],
});

impl Collector for Subscribers {
    const NAME: &'static str = "subscriber";
    const HELP: &'static str =
        "DHCP subscribers, the lines they are on and the interfaces that carry them.";
    const ADVICE: &'static str = "300s: the reply has each subscriber.";
    const QUERIES: &'static [Query<Subscribers>] = &[
        Query {
            rpc: Rpc::Once(
                "<get-subscribers><client-type>dhcp</client-type><detail/></get-subscribers>",
            ),
            command: "show subscribers client-type dhcp detail",
            roots: &["subscribers-information"],
            items: &[item::<_, Subscriber>("subscriber")],
        },
        Query {
            rpc: Rpc::When(DEMUX, |subscribers| !subscribers.on_demux.is_empty()),
            command: "show interfaces demux0 brief",
            roots: &["interface-information"],
            items: &[item::<_, Unit>("logical-interface")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&SUBSCRIBER];

    fn finish(&mut self, _: Answered, points: &mut Points) {
        for (re_name, mut subscriber) in std::mem::take(&mut self.on_demux) {
            for _ in 0..HOPS_MAX {
                if let Some(below) = self.below.get(&subscriber.underlying_interface) {
                    subscriber.underlying_interface.clone_from(below);
                }
            }
            points.set_re_name(&re_name);
            subscriber.push(points);
        }
    }
}

const DEMUX: &str = "<get-interface-information><brief/><interface-name>demux0</interface-name>\
                     </get-interface-information>";

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Subscriber {
    interface: String,
    agent_circuit_id: String,
    agent_remote_id: String,
    underlying_interface: String,
}

impl Subscriber {
    fn push(&self, points: &mut Points) {
        let tags = [&*self.interface, &self.agent_circuit_id, &self.agent_remote_id];
        points.push(&SUBSCRIBER, &tags, self);
    }
}

impl Item<Subscribers> for Subscriber {
    fn points(self, subscribers: &mut Subscribers, scope: &Scope, points: &mut Points) {
        if self.underlying_interface.starts_with("demux") {
            let re_name = scope.get("re-name").unwrap_or_default().to_string();
            subscribers.on_demux.push((re_name, self));
        } else {
            self.push(points);
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Unit {
    name: String,
    #[serde(default)]
    demux_information: DemuxInformation,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct DemuxInformation {
    demux_interface: DemuxInterface,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct DemuxInterface {
    demux_underlying_interface_name: Option<String>,
}

impl Item<Subscribers> for Unit {
    fn points(self, subscribers: &mut Subscribers, _: &Scope, _: &mut Points) {
        if let Some(below) = self.demux_information.demux_interface.demux_underlying_interface_name
        {
            subscribers.below.insert(self.name, below);
        }
    }
}
