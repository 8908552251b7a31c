//! The machine's own sockets, and the processes that have them.

pub mod reading;
pub mod diag;
pub mod netlink;
pub mod events;
pub mod who;
pub mod owners;
pub mod spaces;
pub mod proc_net;
pub mod linux;
pub mod freebsd;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;

use self::reading::{Addresses, Ask, Network, Reading};
use crate::base::inventory::Inventory;
use crate::dependency::growth::Growth;
use crate::dependency::map::Own;
use crate::dependency::{Endpoint, Protocol, Socket, State};

/// Reads the kernel's sockets, again and again.
pub struct Sockets {
    #[cfg(target_os = "freebsd")]
    system: freebsd::Freebsd<freebsd::ThisKernel>,
    #[cfg(not(target_os = "freebsd"))]
    system: linux::Linux,
    /// By the number of the network.
    memories: HashMap<u64, Memory>,
    has_read: bool,
}

/// What is kept of a network from one reading to the next.
#[derive(Default)]
struct Memory {
    growth: Growth,
    /// Where UDP sockets took datagrams from anyone.
    udp: Option<HashSet<Endpoint>>,
}

/// A network of a reading, and what only two readings show.
pub struct Read {
    pub network: Network,
    pub sockets: Vec<Socket>,
    /// UDP sockets that take datagrams from anyone and did not at the reading before.
    pub unsettled: HashSet<Endpoint>,
}

impl Sockets {
    /// `proc` is where Linux's process file system is; another system has no use for it.
    #[cfg(target_os = "freebsd")]
    pub fn new(_proc: PathBuf, _ask: Ask) -> Sockets {
        Sockets::of(freebsd::Freebsd::of(freebsd::ThisKernel))
    }

    /// `proc` is where Linux's process file system is; another system has no use for it.
    #[cfg(not(target_os = "freebsd"))]
    pub fn new(proc: PathBuf, ask: Ask) -> Sockets {
        Sockets::of(linux::Linux::new(proc, ask))
    }

    fn of(
        #[cfg(target_os = "freebsd")] system: freebsd::Freebsd<freebsd::ThisKernel>,
        #[cfg(not(target_os = "freebsd"))] system: linux::Linux,
    ) -> Sockets {
        Sockets { system, memories: HashMap::new(), has_read: false }
    }

    /// All sockets now, of TCP and, where it is wanted, UDP, with what their connections carried
    /// since the reading before. Also how many connections there was no room for.
    pub fn read(&mut self, udp: bool) -> Result<(Reading, Vec<Read>, u64), String> {
        let mut reading = self.system.read(udp)?;
        let mut left_out = 0;
        let mut all = Vec::new();
        for (network, mut sockets) in std::mem::take(&mut reading.networks) {
            let new = || match self.has_read {
                true => Memory { growth: Growth::of_new(), ..Memory::default() },
                false => Memory::default(),
            };
            let memory = self.memories.entry(network.id).or_insert_with(new);
            left_out += memory.growth.apply(&mut sockets);
            let unsettled = memory.unsettled(&sockets);
            all.push(Read { network, sockets, unsettled });
        }
        self.has_read = true;
        self.memories.retain(|id, _| all.iter().any(|read| read.network.id == *id));
        Ok((reading, all, left_out))
    }
}

impl Memory {
    fn unsettled(&mut self, sockets: &[Socket]) -> HashSet<Endpoint> {
        let is_open =
            |socket: &&Socket| socket.protocol == Protocol::Udp && socket.state == State::Listening;
        let now: HashSet<Endpoint> =
            sockets.iter().filter(is_open).map(|socket| socket.local).collect();
        // Nothing is known at the first reading.
        let before = self.udp.replace(now.clone());
        before.map_or_else(HashSet::new, |before| &now - &before)
    }
}

/// A network's addresses, and the one that stands for it.
pub fn own(addresses: &Addresses, set: Option<IpAddr>, inventory: &Inventory) -> Own {
    let Addresses { interfaces, routes } = addresses;
    let primary = set.or_else(|| primary(routes, interfaces, inventory));
    Own { addresses: interfaces.iter().copied().chain(set).collect(), primary }
}

/// The address that stands for the machine: one whose name the inventory knows, or one whose
/// hostgroup it knows, or an IPv4 address, or any. Of several, that of a default route, or else
/// the first.
fn primary(routes: &[IpAddr], interfaces: &[IpAddr], inventory: &Inventory) -> Option<IpAddr> {
    let is_local = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    };
    let of_routes = routes.iter().filter(|address| interfaces.contains(address));
    let candidates = of_routes.chain(interfaces).copied().filter(|address| !is_local(address));
    let has_domain = |address: &IpAddr| !inventory.host(*address).domain.is_empty();
    let has_group = |address: &IpAddr| !inventory.host(*address).hostgroup.is_empty();
    let mut others = candidates.clone();
    let first = others.next();
    let find = |is_wanted: &dyn Fn(&IpAddr) -> bool| candidates.clone().find(is_wanted);
    find(&has_domain).or_else(|| find(&has_group)).or_else(|| find(&IpAddr::is_ipv4)).or(first)
}

/// A script's path stands behind its interpreter and what `#!` gives to that.
const ARGUMENTS_MAX: usize = 4;

/// A process's name, where the kernel keeps no more than its beginning: the whole one is in its
/// arguments or its program's path, unless it calls itself something else there.
fn full_name(kept: &str, kept_bytes_max: usize, arguments: &[u8], program: &str) -> String {
    if kept.len() < kept_bytes_max {
        return kept.to_string();
    }
    let arguments = String::from_utf8_lossy(arguments);
    // A process may write its whole title there: `sshd: root@pts/0`.
    let words = arguments.split('\0').take(ARGUMENTS_MAX);
    let words = words.map(|argument| argument.split(' ').next().unwrap_or(argument));
    let mut names = words.chain([program]).map(|path| path.rsplit('/').next().unwrap_or(path));
    names.find(|name| name.starts_with(kept)).unwrap_or(kept).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dependency::inventory::{self, Bounds, Format};

    #[test]
    fn the_default_route_and_what_the_inventory_knows_decide() {
        let all = ["127.0.0.1", "fe80::1", "172.17.0.1", "10.3.0.5", "10.4.0.5", "2001:db8:1::5"];
        let all = all.map(|address| address.parse::<IpAddr>().unwrap());
        let [loopback, _, docker, first, second, six] = all;
        let empty = "[]";
        let by_group = r#"[{"ip_address":"10.3.0.0/16","domain":"","hostgroup":"web"}]"#;
        let by_name = r#"[{"ip_address":"10.3.0.0/16","hostgroup":"web"},
            {"ip_address":"10.4.0.5","domain":"me.example"}]"#;
        let both = r#"[{"ip_address":"0.0.0.0/0","hostgroup":"world"}]"#;
        for (routes, interfaces, text, expected) in [
            (&[][..], &all[..], empty, Some(docker)),
            (&[first], &all, empty, Some(first)),
            (&[second, six], &all, empty, Some(second)),
            (&[six], &all, empty, Some(docker)),
            (&[six], &all[5..], empty, Some(six)),
            (&[], &all, by_group, Some(first)),
            (&[second], &all, by_group, Some(first)),
            (&[first], &all, by_name, Some(second)),
            (&[], &all, both, Some(docker)),
            (&[second], &all, both, Some(second)),
            // A route's address is one of the machine's, and no loopback.
            (&[loopback, "10.9.9.9".parse().unwrap()], &all, empty, Some(docker)),
            (&[], &all[..2], empty, None),
        ] {
            let bounds = Bounds::default();
            let inventory = inventory::read(text.as_bytes(), Format::ArrayJson, bounds).unwrap();
            let found = primary(routes, interfaces, &inventory);
            assert_eq!(found, expected, "{routes:?} {text}");
        }
    }
}
