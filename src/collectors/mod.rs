//! The collectors, a file each, and their list. Those in `described/` are data: a description says
//! what they ask and what becomes of the replies.

mod accounting;
mod alarm;
mod arp;
mod bgp;
mod clusterinterfaces;
mod commits;
mod coredumps;
mod ddosprotection;
mod dhcp;
mod dot1x;
mod environment;
mod evpn;
mod evpnipprefix;
mod fabric;
mod fpc;
mod interfacediagnostics;
mod interfacequeue;
mod interfaces;
mod ipsec;
mod ipv6neighbors;
mod isis;
mod l2circuit;
mod l2vpn;
mod ldp;
mod lldp;
mod mac;
mod macsec;
mod memory;
mod mnha;
mod nat;
mod ntp;
mod ospf;
mod power;
mod replication;
mod routingengine;
mod rpm;
mod rsvp;
mod securityike;
mod securitypolicies;
mod stp;
mod subscriber;
mod system;
mod systemstatistics;
mod ufd;
mod users;

use std::convert::identity;

use crate::collector::{Entry, described, entry, entry_with};

/// Those that are described.
const DESCRIBED: &[&str] = &[
    include_str!("described/bfd.toml"),
    include_str!("described/classofservice.toml"),
    include_str!("described/cluster.toml"),
    include_str!("described/firewall.toml"),
    include_str!("described/flowsessions.toml"),
    include_str!("described/krt.toml"),
    include_str!("described/lacp.toml"),
    include_str!("described/lacpstatistics.toml"),
    include_str!("described/mplslsp.toml"),
    include_str!("described/ospfneighbor.toml"),
    include_str!("described/pfe.toml"),
    include_str!("described/pim.toml"),
    include_str!("described/poe.toml"),
    include_str!("described/queues.toml"),
    include_str!("described/route.toml"),
    include_str!("described/rpki.toml"),
    include_str!("described/security.toml"),
    include_str!("described/storage.toml"),
    include_str!("described/twamp.toml"),
    include_str!("described/uptime.toml"),
    include_str!("described/virtualchassis.toml"),
    include_str!("described/vpws.toml"),
    include_str!("described/vrrp.toml"),
];

/// Each collector once. Those with `identity` are nothing but their settings.
pub fn all() -> Vec<Entry> {
    let mut all = vec![
        entry::<accounting::Accounting>(),
        entry_with(alarm::Alarm::new),
        entry::<arp::Arp>(),
        entry_with(bgp::Bgp::new),
        entry::<clusterinterfaces::ClusterInterfaces>(),
        entry_with(commits::Commits::new),
        entry::<coredumps::CoreDumps>(),
        entry::<ddosprotection::DdosProtection>(),
        entry::<dhcp::Dhcp>(),
        entry::<dot1x::Dot1x>(),
        entry_with(environment::Environment::new),
        entry_with(identity::<evpn::Evpn>),
        entry::<evpnipprefix::EvpnIpPrefix>(),
        entry::<fabric::Fabric>(),
        entry::<fpc::Fpc>(),
        entry_with(interfacediagnostics::InterfaceDiagnostics::new),
        entry_with(identity::<interfacequeue::InterfaceQueue>),
        entry_with(identity::<interfaces::Interfaces>),
        entry::<ipsec::Ipsec>(),
        entry::<ipv6neighbors::Ipv6Neighbors>(),
        entry_with(isis::Isis::new),
        entry_with(l2circuit::L2circuit::new),
        entry_with(identity::<l2vpn::L2vpn>),
        entry_with(ldp::Ldp::new),
        entry::<lldp::Lldp>(),
        entry::<mac::Mac>(),
        entry::<macsec::Macsec>(),
        entry::<memory::Memory>(),
        entry_with(mnha::Mnha::new),
        entry::<nat::Nat>(),
        entry::<nat::Nat2>(),
        entry::<ntp::Ntp>(),
        entry_with(identity::<ospf::Ospf>),
        entry::<power::Power>(),
        entry::<replication::Replication>(),
        entry::<routingengine::RoutingEngine>(),
        entry::<rpm::Rpm>(),
        entry_with(identity::<rsvp::Rsvp>),
        entry::<securityike::SecurityIke>(),
        entry::<securitypolicies::SecurityPolicies>(),
        entry::<stp::Stp>(),
        entry::<subscriber::Subscribers>(),
        entry_with(identity::<system::System>),
        entry::<systemstatistics::SystemStatistics>(),
        entry::<ufd::Ufd>(),
        entry::<users::Users>(),
    ];
    all.extend(DESCRIBED.iter().map(|text| described::built_in(text)));
    all
}

/// The collectors that are asked where the settings name none.
pub const DEFAULT: &[&str] = &[
    "alarm",
    "bgp",
    "environment",
    "firewall",
    "interfacediagnostics",
    "interfacequeue",
    "interfaces",
    "isis",
    "ldp",
    "macsec",
    "ospf",
    "route",
    "routingengine",
    "systemstatistics",
];
