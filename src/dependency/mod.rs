//! "Know your network dependencies": which peers this machine, or a router, talks to, which process
//! does, how many bytes, and which service the peer is.
//!
//! * `inventory` says what service an address belongs to.
//! * `exposition_text` and `netstat` read the output of other programs; `sockets` asks the kernel.
//! * `map` makes dependencies from sockets, `traffic` from the byte counters of darkstat and
//!   ebpf_exporter. Names and labels are planet-exporter's, whose dashboards work with them.
//! * `growth` says by how much each connection's bytes grew since the reading before, and `ledger`
//!   sums that up for each dependency, with round-trip times and states.
//! * `enrich` names the peers in what routers report.
//! * `own_map` goes from the machine's sockets to points.
//! * `source` runs all of them, each in a thread of its own; `status` is what is known of it.

pub mod status;
pub mod inventory;
pub mod exposition_text;
pub mod netstat;
pub mod map;
pub mod traffic;
pub mod growth;
pub mod ledger;
pub mod enrich;
pub mod connections;
pub mod sockets;
pub mod own_map;
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

/// What a socket does: TCP's states (RFC 9293, section 3.3.2), of which UDP has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// A TCP socket that listens, or a UDP socket that takes datagrams from anyone.
    Listening,
    SynSent,
    SynReceived,
    Connected,
    FinWait1,
    FinWait2,
    CloseWait,
    Closing,
    LastAck,
    /// TIME_WAIT: it belongs to no process any more.
    Waiting,
    /// It was connected, and ended since the reading before.
    Ended,
}

impl State {
    pub const ALL: [State; 11] = [
        State::Listening,
        State::SynSent,
        State::SynReceived,
        State::Connected,
        State::FinWait1,
        State::FinWait2,
        State::CloseWait,
        State::Closing,
        State::LastAck,
        State::Waiting,
        State::Ended,
    ];

    /// The name that ss(8) and netstat(8) have for it, in small letters.
    pub fn name(self) -> &'static str {
        match self {
            State::Listening => "listen",
            State::SynSent => "syn_sent",
            State::SynReceived => "syn_recv",
            State::Connected => "established",
            State::FinWait1 => "fin_wait_1",
            State::FinWait2 => "fin_wait_2",
            State::CloseWait => "close_wait",
            State::Closing => "closing",
            State::LastAck => "last_ack",
            State::Waiting => "time_wait",
            State::Ended => "ended",
        }
    }
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
    /// The process that has it, where that is known.
    pub process: Option<Arc<Process>>,
    /// What the kernel counts of a TCP connection, where it says so.
    pub tcp: Option<Tcp>,
}

/// Who has a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process {
    pub name: Box<str>,
    pub who: Who,
}

impl Process {
    pub fn named(name: &str) -> Arc<Process> {
        Arc::new(Process { name: name.into(), who: Who::default() })
    }
}

/// Where a process belongs, by its control group; empty where it does not say, or nobody asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Who {
    /// The systemd unit.
    pub unit: Box<str>,
    /// The container, by the first 12 digits of its identifier, and by name.
    pub container_id: Box<str>,
    pub container_name: Box<str>,
    /// The identifier of the Kubernetes pod.
    pub pod_uid: Box<str>,
}

/// The labels of `Who`, in the order of its fields.
pub const WHO_TAGS: [&str; 4] = ["unit", "container_id", "container_name", "pod_uid"];

impl Who {
    pub fn labels(&self) -> [&str; 4] {
        [&self.unit, &self.container_id, &self.container_name, &self.pod_uid]
    }
}

/// What the kernel counts of a TCP connection: on Linux `tcp_info`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tcp {
    /// Its number, which no other connection gets.
    pub cookie: u64,
    /// Whether it says the bytes: FreeBSD's records have the segments that were sent again alone.
    pub has_bytes: bool,
    /// Bytes that the other end has acknowledged, and those that came from it, without headers.
    pub sent: u64,
    pub received: u64,
    /// The smoothed round-trip time in microseconds; 0 before the first.
    pub rtt_us: u32,
    /// Segments that were sent again.
    pub retransmits: u64,
}
