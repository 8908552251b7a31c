//! The machine's own sockets, and the processes that have them.

pub mod freebsd;
pub mod linux;

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::base::inventory::Inventory;
use crate::base::sys;
use crate::dependency::Socket;
use crate::dependency::map::Own;

/// Reads the kernel's sockets, again and again.
pub struct Sockets {
    #[cfg(target_os = "freebsd")]
    system: freebsd::Freebsd,
    #[cfg(not(target_os = "freebsd"))]
    system: linux::Linux,
}

impl Sockets {
    /// `proc` is where Linux's process file system is; another system has no use for it.
    #[cfg(target_os = "freebsd")]
    pub fn new(_proc: PathBuf) -> Sockets {
        Sockets { system: freebsd::Freebsd::default() }
    }

    /// `proc` is where Linux's process file system is; another system has no use for it.
    #[cfg(not(target_os = "freebsd"))]
    pub fn new(proc: PathBuf) -> Sockets {
        Sockets { system: linux::Linux::new(proc) }
    }

    /// All sockets now, of TCP and, where it is wanted, UDP.
    pub fn read(&mut self, udp: bool) -> Result<Vec<Socket>, String> {
        self.system.read(udp)
    }

    /// The kernel's ephemeral ports.
    pub fn ephemeral(&self) -> RangeInclusive<u16> {
        self.system.ephemeral()
    }
}

/// The machine's addresses. The one that stands for it is the one that is set, or the first that
/// the inventory knows, or the first of its interfaces.
pub fn own(set: Option<IpAddr>, inventory: &Inventory) -> Own {
    let interfaces = sys::interface_addresses();
    let is_local = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    };
    let others = || interfaces.iter().copied().filter(|address| !is_local(address));
    let is_known = |address: &IpAddr| !inventory.host(*address).domain.is_empty();
    let primary = set
        .or_else(|| others().find(is_known))
        .or_else(|| others().find(IpAddr::is_ipv4))
        .or_else(|| others().next());
    Own { addresses: interfaces.iter().copied().chain(set).collect(), primary }
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
