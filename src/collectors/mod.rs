//! The registry: every collector, in the order of the reference.

mod accounting;
mod alarm;
mod arp;
mod bfd;
mod bgp;
mod cluster;
mod ddosprotection;
mod dot1x;
mod environment;
mod evpn;
mod evpnipprefix;
mod firewall;
mod fpc;
mod interfacediagnostics;
mod interfacequeue;
mod interfaces;
mod ipsec;
mod isis;
mod krt;
mod l2circuit;
mod l2vpn;
mod lacp;
mod ldp;
mod lldp;
mod mac;
mod macsec;
pub mod mastership;
mod mnha;
mod mplslsp;
mod nat;
mod nat2;
mod ntp;
mod ospf;
mod poe;
mod route;
mod routingengine;

use crate::collector::{Entry, entry};

pub const COLLECTORS: &[Entry] = &[
    entry::<accounting::Accounting>(),
    entry::<alarm::Alarm>(),
    entry::<arp::Arp>(),
    entry::<bfd::Bfd>(),
    entry::<bgp::Bgp>(),
    entry::<cluster::Cluster>(),
    entry::<ddosprotection::DdosProtection>(),
    entry::<dot1x::Dot1x>(),
    entry::<environment::Environment>(),
    entry::<evpn::Evpn>(),
    entry::<evpnipprefix::EvpnIpPrefix>(),
    entry::<firewall::Firewall>(),
    entry::<fpc::Fpc>(),
    entry::<interfacediagnostics::InterfaceDiagnostics>(),
    entry::<interfacequeue::InterfaceQueue>(),
    entry::<interfaces::Interfaces>(),
    entry::<ipsec::Ipsec>(),
    entry::<isis::Isis>(),
    entry::<krt::Krt>(),
    entry::<l2circuit::L2circuit>(),
    entry::<l2vpn::L2vpn>(),
    entry::<lacp::Lacp>(),
    entry::<ldp::Ldp>(),
    entry::<lldp::Lldp>(),
    entry::<mac::Mac>(),
    entry::<macsec::Macsec>(),
    entry::<mnha::Mnha>(),
    entry::<mplslsp::MplsLsp>(),
    entry::<nat::Nat>(),
    entry::<nat2::Nat2>(),
    entry::<ntp::Ntp>(),
    entry::<ospf::Ospf>(),
    entry::<poe::Poe>(),
    entry::<route::Route>(),
    entry::<routingengine::RoutingEngine>(),
];

/// The collectors that are asked where the settings name none.
pub const DEFAULT: &[&str] = &[
    "alarm",
    "bgp",
    "environment",
    "interfacediagnostics",
    "interfaces",
    "route",
    "routingengine",
];

pub fn find(name: &str) -> Option<&'static Entry> {
    COLLECTORS.iter().find(|entry| entry.name == name)
}
