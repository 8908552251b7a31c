//! EVPN instances, their neighbours, interfaces and Ethernet segments; duplicate MACs; L3 contexts.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::distinct::{self, Distinct};
use crate::collector::only::{self, Only};
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info};
use crate::xml::items::Scope;
use crate::xml::shapes::{DOWN, Leaves, UP, is};

settings! {
    pub struct Evpn {
        /// A pattern: only instances whose name matches are collected. The router is asked for no
        /// more of them where it is up to eight names between `^` and `$`, with `\.` for a dot.
        only: Option<Only>,
    }
}

impl Evpn {
    fn has(&self, instance: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.is_match(instance))
    }
}

static INSTANCE_INFO: Measurement<Instance> = Measurement::new(|| Definition {
    name: "evpn_instance",
    help: "How an EVPN instance is configured.",
    tags: &["instance"],
    fields: vec![
        info("rd", "Route distinguisher.", |i| Some(&i.route_distinguisher)),
        info("encap", "Encapsulation.", |i| Some(&i.evpn_encap_type)),
        info("router_id", "Router ID.", |i| Some(&i.evpn_router_id)),
        info("source_vtep", "Address of the source VTEP.", |i| Some(&i.evpn_source_vtep_ipaddr)),
        gauge("info", "", "1; the facts are in the labels.", |_| Some(1)),
    ],
});

static INSTANCE: Measurement<Instance> = Measurement::new(|| Definition {
    name: "evpn_instance",
    help: "An EVPN instance.",
    tags: &["instance"],
    fields: vec![
        gauge("neighbor_count", "", "Neighbours.", |i| i.evpn_num_neighbors),
        gauge("esi_count", "", "Ethernet segments.", |i| i.evpn_num_esi),
        gauge("local_interfaces", "", "Local interfaces.", |i| i.local_interfaces),
        gauge("local_interfaces_up", "", "Local interfaces that are up.", |i| {
            i.local_interfaces_up
        }),
        gauge("irb_interfaces", "", "IRB interfaces.", |i| i.irb_interfaces),
        gauge("irb_interfaces_up", "", "IRB interfaces that are up.", |i| i.irb_interfaces_up),
        gauge("protect_interfaces", "", "Protect interfaces.", |i| i.num_protect_interfaces),
        gauge("bridge_domains", "", "Bridge domains.", |i| i.num_bridge_domains),
        gauge("local_mac_count", "", "MACs learned here.", |i| i.macs.integer("local-macs")),
        gauge("remote_mac_count", "", "MACs learned from others.", |i| {
            i.macs.integer("remote-macs")
        }),
        gauge("local_mac_ip_count", "", "MACs with an IP address, local.", |i| {
            i.macs.integer("local-mac-ips")
        }),
        gauge("remote_mac_ip_count", "", "MACs with an IP address, remote.", |i| {
            i.macs.integer("remote-mac-ips")
        }),
        gauge("local_default_gateway_mac_count", "", "Default gateways' MACs, local.", |i| {
            i.macs.integer("local-default-gateway-macs")
        }),
        gauge("remote_default_gateway_mac_count", "", "Default gateways' MACs, remote.", |i| {
            i.macs.integer("remote-default-gateway-macs")
        }),
        gauge("duplicate_mac_threshold", "", "Moves that make a MAC a duplicate.", |i| {
            i.duplicate_mac_detection_threshold
        }),
        gauge("duplicate_mac_window_seconds", "s", "Time in which moves are counted.", |i| {
            i.duplicate_mac_detection_window
        }),
    ],
});

static NEIGHBOR: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "evpn_neighbor",
    help: "Routes of an EVPN instance from a neighbour.",
    tags: &["instance", "neighbor"],
    fields: vec![
        gauge("mac_routes", "", "MAC routes (type 2).", |l| l.integer("evpn-num-mac-routes")),
        gauge("mac_ip_routes", "", "MAC and IP routes (type 2).", |l| {
            l.integer("evpn-num-mac-ip-routes")
        }),
        gauge("ethernet_autodiscovery_routes", "", "Auto-discovery routes (type 1).", |l| {
            l.integer("evpn-num-ethernet-autodiscovery-routes")
        }),
        gauge("inclusive_multicast_routes", "", "Inclusive multicast routes (type 3).", |l| {
            l.integer("evpn-num-inclusive-multicast-routes")
        }),
        gauge("ethernet_segment_routes", "", "Ethernet segment routes (type 4).", |l| {
            l.integer("evpn-num-ethernet-segment-routes")
        }),
    ],
});

static INTERFACE: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "evpn_interface",
    help: "An interface of an EVPN instance.",
    tags: &["instance", "interface"],
    fields: vec![
        info("esi", "Its Ethernet segment.", |l| l.text("evpn-interface-esi")),
        info("mode", "How it is homed.", |l| l.text("evpn-interface-mode")),
        info("etree_role", "Root or leaf.", |l| l.text("evpn-interface-etree-role")),
        gauge("status", "", "1 if it is up.", |l| is(l.text("evpn-interface-status"), UP, DOWN)),
    ],
});

static IRB: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "evpn_irb",
    help: "An IRB interface of an EVPN instance.",
    tags: &["instance", "irb_interface", "vni_id"],
    fields: vec![
        info("l3_context", "Its VRF.", |l| l.text("irb-interface-l3-context")),
        gauge("status", "", "1 if it is up.", |l| is(l.text("irb-interface-status"), UP, DOWN)),
    ],
});

static BRIDGE_DOMAIN: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "evpn_bridge_domain",
    help: "A bridge domain of an EVPN instance.",
    tags: &["instance", "vlan_id", "domain_id"],
    fields: vec![
        info("irb_interface", "Its IRB interface.", |l| l.text("irb-interface")),
        info("mode", "Its mode.", |l| l.text("mode")),
        info("mac_sync", "Whether MACs are synchronized.", |l| l.text("mac-sync-status")),
        gauge("interface_count", "", "Interfaces.", |l| l.integer("interfaces")),
        gauge("interface_up_count", "", "Interfaces that are up.", |l| l.integer("interfaces-up")),
    ],
});

static ESI: Measurement<Esi> = Measurement::new(|| Definition {
    name: "evpn_esi",
    help: "An Ethernet segment of an EVPN instance.",
    tags: &["instance", "esi"],
    fields: vec![
        gauge("resolved", "", "1 if it is resolved.", |e| {
            // "Resolved by IFL ae10.0" or "Resolved by NH 1048577", or else "Unresolved".
            let status = e.evpn_esi_status.as_deref()?;
            let word = status.split_ascii_whitespace().next();
            is(word, &["Resolved"], &["Unresolved"])
        }),
        gauge("remote_pe_count", "", "Remote PEs.", |e| {
            e.evpn_esi_remote_pe_information.integer("evpn-esi-num-remote-pe")
        }),
    ],
});

static FORWARDER: Measurement<Esi> = Measurement::new(|| Definition {
    name: "evpn_esi",
    help: "The designated forwarder of an Ethernet segment.",
    tags: &["instance", "esi"],
    fields: vec![
        info("designated_forwarder", "Its address.", |e| {
            e.forwarders.as_ref()?.text("esi-designated-forwarder")
        }),
        info("backup_forwarder", "The first backup's address.", |e| {
            e.forwarders.as_ref()?.text("esi-backup-forwarder")
        }),
        info("df_algorithm", "How it was elected.", |e| {
            e.forwarders.as_ref()?.text("esi-df-election-algorithm")
        }),
        info("local_interface", "This router's interface in the segment.", |e| {
            e.evpn_esi_local_intf_information.text("evpn-esi-local-intf-name")
        }),
        gauge("designated_forwarder_info", "", "1; the facts are in the labels.", |e| {
            e.forwarders.as_ref().map(|_| 1)
        }),
    ],
});

static DUPLICATES: Measurement<u64> = Measurement::new(|| Definition {
    name: "evpn",
    help: "MACs that were taken out of use because they move too often.",
    tags: &[],
    fields: vec![gauge("duplicate_mac_total", "", "In all instances.", |count| Some(*count))],
});

static INSTANCE_DUPLICATES: Measurement<u64> = Measurement::new(|| Definition {
    name: "evpn_duplicate_mac",
    help: "MACs that were taken out of use because they move too often.",
    tags: &["instance"],
    fields: vec![gauge("count", "", "In an instance that has some.", |count| {
        Some(*count).filter(|count| *count > 0)
    })],
});

static CONTEXTS: Measurement<Contexts> = Measurement::new(|| Definition {
    name: "evpn",
    help: "L3 contexts: VRFs that EVPN routes between.",
    tags: &[],
    fields: vec![gauge("l3_context_count", "", "L3 contexts.", |c| {
        Some(distinct::count(c.evpn_l3_context.iter().map(|l| [tag(l, "context-name")])))
    })],
});

static CONTEXT: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "evpn_l3_context",
    help: "An L3 context.",
    tags: &["context"],
    fields: vec![
        info("type", "How it came to be.", |l| l.text("context-type")),
        info("advertisement_mode", "What is advertised.", |l| l.text("context-advertisement-mode")),
        info("router_mac", "Its router MAC.", |l| l.text("context-router-mac")),
        info("encapsulation", "Its encapsulation.", |l| l.text("context-encapsulation")),
        gauge("vni", "", "Its VNI.", |l| l.integer("context-vni")),
    ],
});

impl Collector for Evpn {
    const NAME: &'static str = "evpn";
    const HELP: &'static str =
        "EVPN: instances, neighbours, interfaces, Ethernet segments, duplicate MACs, L3 contexts.";
    const ADVICE: &'static str =
        "300s: the reply has each instance with its neighbours and segments.";
    const QUERIES: &'static [Query<Evpn>] = &[
        Query {
            rpc: Rpc::Each(
                "<get-evpn-instance-information><extensive/></get-evpn-instance-information>",
                |evpn| {
                    let name = "get-evpn-instance-information";
                    only::name_rpcs(&evpn.only, name, "<extensive/>", "instance-name")
                },
            ),
            command: "show evpn instance extensive",
            roots: &["evpn-instance-information"],
            items: &[item::<_, Instance>("evpn-instance")],
        },
        Query {
            rpc: Rpc::Once(
                "<get-evpn-database-information><state>duplicate</state>\
                 </get-evpn-database-information>",
            ),
            command: "show evpn database state duplicate",
            roots: &["evpn-database-information"],
            items: &[item::<_, Duplicates>("evpn-database-information")],
        },
        Query {
            rpc: Rpc::Once("<get-evpn-l3-context-information/>"),
            command: "show evpn l3-context",
            roots: &["evpn-l3-context-information"],
            items: &[item::<_, Contexts>("evpn-l3-context-information")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[
        &INSTANCE_INFO,
        &INSTANCE,
        &NEIGHBOR,
        &INTERFACE,
        &IRB,
        &BRIDGE_DOMAIN,
        &ESI,
        &FORWARDER,
        &DUPLICATES,
        &INSTANCE_DUPLICATES,
        &CONTEXTS,
        &CONTEXT,
    ];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Instance {
    evpn_instance_name: String,
    #[serde(default)]
    route_distinguisher: String,
    #[serde(default)]
    evpn_encap_type: String,
    #[serde(default)]
    evpn_router_id: String,
    #[serde(default)]
    evpn_source_vtep_ipaddr: String,
    duplicate_mac_detection_threshold: Option<u64>,
    duplicate_mac_detection_window: Option<u64>,
    local_interfaces: Option<u64>,
    local_interfaces_up: Option<u64>,
    irb_interfaces: Option<u64>,
    irb_interfaces_up: Option<u64>,
    num_protect_interfaces: Option<u64>,
    num_bridge_domains: Option<u64>,
    evpn_num_neighbors: Option<u64>,
    evpn_num_esi: Option<u64>,
    #[serde(default, rename = "mac-database-status-table")]
    macs: Leaves,
    #[serde(default)]
    evpn_neighbor: Vec<Leaves>,
    #[serde(default, rename = "evpn-interface-status-table")]
    interfaces: Leaves,
    #[serde(default, rename = "irb-interface-status-table")]
    irbs: Leaves,
    #[serde(default, rename = "bridge-domain-status-table")]
    domains: Leaves,
    #[serde(default)]
    evpn_esi: Vec<Esi>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Esi {
    evpn_esi_value: String,
    evpn_esi_status: Option<String>,
    #[serde(default)]
    evpn_esi_local_intf_information: Leaves,
    #[serde(default)]
    evpn_esi_remote_pe_information: Leaves,
    #[serde(rename = "evpn-esi-df-information")]
    forwarders: Option<Leaves>,
}

fn tag<'a>(leaves: &'a Leaves, name: &str) -> &'a str {
    leaves.text(name).unwrap_or_default()
}

impl Item<Evpn> for Instance {
    fn points(mut self, evpn: &mut Evpn, _: &Scope, points: &mut Points) {
        let name = &*self.evpn_instance_name;
        if !evpn.has(name) {
            return;
        }
        points.push(&INSTANCE_INFO, &[name], &self);
        points.push(&INSTANCE, &[name], &self);
        for routes in &self.evpn_neighbor {
            points.push(&NEIGHBOR, &[name, tag(routes, "evpn-neighbor-address")], routes);
        }
        for interface in &self.interfaces.take("evpn-interface") {
            points.push(&INTERFACE, &[name, tag(interface, "evpn-interface-name")], interface);
        }
        for irb in &self.irbs.take("irb-interface") {
            let (interface, vni) = (tag(irb, "irb-interface-name"), "irb-interface-vni-id");
            points.push(&IRB, &[name, interface, tag(irb, vni)], irb);
        }
        for domain in &self.domains.take("bridge-domain") {
            let tags = [name, tag(domain, "vlan-id"), tag(domain, "domain-id")];
            points.push(&BRIDGE_DOMAIN, &tags, domain);
        }
        for esi in &self.evpn_esi {
            points.push(&ESI, &[name, &esi.evpn_esi_value], esi);
            points.push(&FORWARDER, &[name, &esi.evpn_esi_value], esi);
        }
    }
}

/// The whole reply, so that one without duplicates counts too.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Duplicates {
    evpn_database_instance: Vec<InstanceDuplicates>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct InstanceDuplicates {
    #[serde(default)]
    instance_name: String,
    #[serde(default)]
    mac_entry: Vec<MacEntry>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct MacEntry {
    mac_address: String,
    vlan_id: String,
    vni_id: String,
}

impl Item<Evpn> for Duplicates {
    fn points(self, evpn: &mut Evpn, _: &Scope, points: &mut Points) {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let mut met = Distinct::default();
        for instance in &self.evpn_database_instance {
            let name = instance.instance_name.as_str();
            let count = counts.entry(name).or_default();
            for mac in &instance.mac_entry {
                let names = [&*mac.mac_address, &mac.vlan_id, &mac.vni_id];
                *count += u64::from(met.is_new(name, &names));
            }
        }
        for (name, count) in counts.iter().filter(|(name, _)| evpn.has(name)) {
            points.push(&INSTANCE_DUPLICATES, &[name], count);
        }
        let total: u64 = counts.values().sum();
        points.push(&DUPLICATES, &[], &total);
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Contexts {
    evpn_l3_context: Vec<Leaves>,
}

impl Item<Evpn> for Contexts {
    fn points(self, _: &mut Evpn, _: &Scope, points: &mut Points) {
        points.push(&CONTEXTS, &[], &self);
        for context in &self.evpn_l3_context {
            points.push(&CONTEXT, &[tag(context, "context-name")], context);
        }
    }
}
