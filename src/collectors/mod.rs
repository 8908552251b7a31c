//! The registry: every collector, in the order of the reference.

mod alarm;
mod bgp;
mod classofservice;
mod coredumps;
mod dhcp;
mod environment;
mod fabric;
mod flowsessions;
mod interfacediagnostics;
mod interfaces;
mod lacpstatistics;
pub mod mastership;
mod memory;
mod pfe;
mod pim;
mod queues;
mod replication;
mod route;
mod routingengine;
mod rsvp;
mod stp;
mod system;
mod systemstatistics;
mod uptime;
mod users;

use crate::collector::{Entry, entry};

pub const COLLECTORS: &[Entry] = &[
    entry::<alarm::Alarm>(),
    entry::<bgp::Bgp>(),
    entry::<classofservice::ClassOfService>(),
    entry::<coredumps::CoreDumps>(),
    entry::<dhcp::Dhcp>(),
    entry::<environment::Environment>(),
    entry::<fabric::Fabric>(),
    entry::<flowsessions::FlowSessions>(),
    entry::<interfacediagnostics::InterfaceDiagnostics>(),
    entry::<interfaces::Interfaces>(),
    entry::<lacpstatistics::LacpStatistics>(),
    entry::<memory::Memory>(),
    entry::<pfe::Pfe>(),
    entry::<pim::Pim>(),
    entry::<queues::Queues>(),
    entry::<replication::Replication>(),
    entry::<route::Route>(),
    entry::<routingengine::RoutingEngine>(),
    entry::<rsvp::Rsvp>(),
    entry::<stp::Stp>(),
    entry::<system::System>(),
    entry::<systemstatistics::SystemStatistics>(),
    entry::<uptime::Uptime>(),
    entry::<users::Users>(),
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
