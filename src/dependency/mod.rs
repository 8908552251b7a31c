//! "Know your network dependencies": which peers this machine, or a router, talks to, which process
//! does, how many bytes, and which service the peer is.
//!
//! * `inventory` says what service an address belongs to.
//! * `exposition_text` and `netstat` read the output of other programs; `sockets` asks the kernel.
//! * `map` makes dependencies from sockets, `traffic` from the byte counters of darkstat and
//!   ebpf_exporter. Names and labels are planet-exporter's, whose dashboards work with them.
//! * `enrich` names the peers in what routers report.
//! * `source` runs them, each in a thread of its own.

pub mod inventory;
pub mod exposition_text;
pub mod netstat;
pub mod map;
pub mod traffic;
pub mod enrich;
pub mod connections;
pub mod sockets;
pub mod source;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// What the sources of a machine's map are called, where a router's readings have a collector.
pub const INVENTORY: &str = "dependency_inventory";
pub const HOST: &str = "dependency_host";
pub const SOCKETS: &str = "dependency_sockets";
pub const DARKSTAT: &str = "dependency_darkstat";
pub const EBPF: &str = "dependency_ebpf";
pub const SOURCES: &[&str] = &[INVENTORY, HOST, SOCKETS, DARKSTAT, EBPF];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A TCP socket that listens, or a UDP socket that takes datagrams from anyone.
    Listening,
    Connected,
    /// TIME_WAIT: it belongs to no process any more.
    Waiting,
}

/// One end of a connection; what is mapped into IPv6 is IPv4 again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    pub address: IpAddr,
    pub port: u16,
}

impl Endpoint {
    pub const NONE: Endpoint = Endpoint { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0 };

    pub fn new(address: IpAddr, port: u16) -> Endpoint {
        Endpoint { address: address.to_canonical(), port }
    }
}

/// A socket, as far as dependencies show in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Socket {
    pub protocol: Protocol,
    pub state: State,
    pub local: Endpoint,
    /// Nothing, for one that listens.
    pub remote: Endpoint,
    /// The name of the process that has it, where that is known.
    pub process: Option<Arc<str>>,
}
