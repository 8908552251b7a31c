//! The collectors, a file each, and their list.

mod accounting;
mod alarm;
mod arp;
mod bfd;
mod bgp;
mod classofservice;
mod cluster;
mod clusterinterfaces;
mod coredumps;
mod ddosprotection;
mod dhcp;
mod dot1x;
mod environment;
mod evpn;
mod evpnipprefix;
mod fabric;
mod firewall;
mod flowsessions;
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
mod lacpstatistics;
mod ldp;
mod lldp;
mod mac;
mod macsec;
mod memory;
mod mnha;
mod mplslsp;
mod nat;
mod nat2;
mod ntp;
mod ospf;
mod pfe;
mod pim;
mod poe;
mod power;
mod queues;
mod replication;
mod route;
mod routingengine;
mod rpki;
mod rpm;
mod rsvp;
mod security;
mod securityike;
mod securitypolicies;
mod storage;
mod stp;
mod subscriber;
mod system;
mod systemstatistics;
mod twamp;
mod ufd;
mod uptime;
mod users;
mod virtualchassis;
mod vpws;
mod vrrp;

use crate::collector::{Entry, entry, entry_with};

/// Each collector once.
pub fn all() -> Vec<Entry> {
    vec![
        entry::<accounting::Accounting>(),
        entry_with(alarm::Alarm::new),
        entry::<arp::Arp>(),
        entry::<bfd::Bfd>(),
        entry_with(bgp::Bgp::new),
        entry::<classofservice::ClassOfService>(),
        entry::<cluster::Cluster>(),
        entry::<clusterinterfaces::ClusterInterfaces>(),
        entry::<coredumps::CoreDumps>(),
        entry::<ddosprotection::DdosProtection>(),
        entry::<dhcp::Dhcp>(),
        entry::<dot1x::Dot1x>(),
        entry_with(environment::Environment::new),
        entry::<evpn::Evpn>(),
        entry::<evpnipprefix::EvpnIpPrefix>(),
        entry::<fabric::Fabric>(),
        entry_with(firewall::Firewall::new),
        entry::<flowsessions::FlowSessions>(),
        entry::<fpc::Fpc>(),
        entry_with(interfacediagnostics::InterfaceDiagnostics::new),
        entry_with(interfacequeue::InterfaceQueue::new),
        entry_with(interfaces::Interfaces::new),
        entry::<ipsec::Ipsec>(),
        entry::<isis::Isis>(),
        entry::<krt::Krt>(),
        entry::<l2circuit::L2circuit>(),
        entry::<l2vpn::L2vpn>(),
        entry::<lacp::Lacp>(),
        entry::<lacpstatistics::LacpStatistics>(),
        entry::<ldp::Ldp>(),
        entry::<lldp::Lldp>(),
        entry::<mac::Mac>(),
        entry::<macsec::Macsec>(),
        entry::<memory::Memory>(),
        entry_with(mnha::Mnha::new),
        entry::<mplslsp::MplsLsp>(),
        entry::<nat::Nat>(),
        entry::<nat2::Nat2>(),
        entry::<ntp::Ntp>(),
        entry_with(ospf::Ospf::new),
        entry::<pfe::Pfe>(),
        entry::<pim::Pim>(),
        entry::<poe::Poe>(),
        entry::<power::Power>(),
        entry::<queues::Queues>(),
        entry::<replication::Replication>(),
        entry::<route::Route>(),
        entry::<routingengine::RoutingEngine>(),
        entry::<rpki::Rpki>(),
        entry::<rpm::Rpm>(),
        entry::<rsvp::Rsvp>(),
        entry::<security::Security>(),
        entry::<securityike::SecurityIke>(),
        entry::<securitypolicies::SecurityPolicies>(),
        entry::<storage::Storage>(),
        entry::<stp::Stp>(),
        entry::<subscriber::Subscribers>(),
        entry_with(system::System::new),
        entry::<systemstatistics::SystemStatistics>(),
        entry::<twamp::Twamp>(),
        entry::<ufd::Ufd>(),
        entry::<uptime::Uptime>(),
        entry::<users::Users>(),
        entry::<virtualchassis::VirtualChassis>(),
        entry::<vpws::Vpws>(),
        entry::<vrrp::Vrrp>(),
    ]
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
];
