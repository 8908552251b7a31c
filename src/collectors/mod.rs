//! The registry: every collector, in the order of the reference.

mod alarm;
mod bgp;
mod environment;
mod interfacediagnostics;
mod interfaces;
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
    entry::<alarm::Alarm>(),
    entry::<bgp::Bgp>(),
    entry::<environment::Environment>(),
    entry::<interfacediagnostics::InterfaceDiagnostics>(),
    entry::<interfaces::Interfaces>(),
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
