//! What one reading of the kernel's sockets gives.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::ops::RangeInclusive;

use crate::base::sys;
use crate::dependency::Socket;
use crate::dependency::status::Lack;

/// What is asked besides the sockets of the machine's own network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// The networks of all namespaces that processes are in.
    pub namespaces: bool,
    /// The unit, container and pod of each process.
    pub who: bool,
}

#[derive(Default)]
pub struct Reading {
    /// One for each network namespace, the machine's own first, and its sockets.
    pub networks: Vec<(Network, Vec<Socket>)>,
    /// Networks beyond a limit.
    pub dropped_networks: u64,
    /// Ends of connections that the kernel told and that were lost.
    pub lost_ends: u64,
    /// Sockets that a process has, but nobody knows which.
    pub nameless: u64,
    pub lacks: Vec<Lack>,
}

/// The sockets that share addresses and ports.
pub struct Network {
    /// Its number, the same in each reading.
    pub id: u64,
    /// Whether it is the machine's own.
    pub is_own: bool,
    pub addresses: Addresses,
    /// The kernel's ephemeral ports.
    pub ephemeral: RangeInclusive<u16>,
}

/// The addresses of a network.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Those of the interfaces that are up, in the kernel's order.
    pub interfaces: Vec<IpAddr>,
    /// Those that are used towards the default routes.
    pub routes: Vec<IpAddr>,
}

/// Addresses of documentation (RFC 5737 and 3849), which are behind the default route.
const FAR: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

impl Addresses {
    /// Of the network that this thread is in.
    pub fn of_this_network() -> Addresses {
        Addresses { interfaces: sys::interface_addresses(), routes: default_routes() }
    }
}

/// Connecting a UDP socket asks the kernel for the address that it would use, and sends nothing.
fn default_routes() -> Vec<IpAddr> {
    let source = |far: IpAddr| {
        let any: IpAddr = match far {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((far, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    FAR.into_iter().filter_map(source).collect()
}
