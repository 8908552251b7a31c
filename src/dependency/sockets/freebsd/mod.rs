//! FreeBSD: what sockstat(1) reads, `net.inet.{tcp,udp}.pcblist` and `kern.file`, joined by the
//! address of the socket.
//!
//! The records are structures of the kernel, of FreeBSD 12 and later, and say their own lengths:
//! those and some fields are checked on the way, and where they do not fit, as in a kernel that
//! was changed, the text of netstat and sockstat is read instead. All but the questions to the
//! kernel is tested everywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dependency::{Endpoint, Protocol, Socket, State, Tcp};

/// A record's length stands in its first 8 bytes.
const LENGTH_BYTES: usize = 8;
/// `struct xinpgen`, before and behind the records.
const XINPGEN_BYTES: usize = 64;
/// `struct xsocket`: kernel address, protocol, family. All of it is 0, its length too, where a
/// connection outlives its socket.
const XSOCKET_BYTES: usize = 240;
const XSO_SO: usize = 8;
const XSO_PROTOCOL: usize = 96;
const XSO_FAMILY: usize = 100;
/// `struct in_conninfo`: ports and addresses, the other end's first.
const INC_PORTS: usize = 4;
const INC_ADDRESSES: usize = 8;
const IN_CONNINFO_BYTES: usize = 44;
/// `struct xinpcb` of that length: which families its addresses may be of.
const XINPCB_BYTES: usize = 400;
const INP_GENCNT: usize = 296;
const INP_VFLAG: usize = 392;
const INP_IPV4: u8 = 1;
const INP_IPV6: u8 = 2;
/// `struct xtcpcb`: the state stands so far behind the inner `struct xinpcb`.
const T_STATE_BEHIND: usize = 160;
const T_STATE_MAX: u32 = 10;
/// `t_sndrexmitpack` behind the state, the flags and `t_sndzerowin`: segments sent again.
const T_SNDREXMITPACK_BEHIND: usize = T_STATE_BEHIND + 12;
/// netinet/tcp_fsm.h, from CLOSED on, which has no dependency.
const STATES: [State; 10] = [
    State::Listening,
    State::SynSent,
    State::SynReceived,
    State::Connected,
    State::CloseWait,
    State::FinWait1,
    State::Closing,
    State::LastAck,
    State::FinWait2,
    State::Waiting,
];
/// `struct xfile`.
const XFILE_BYTES: usize = 128;
const XF_PID: usize = 8;
const XF_TYPE: usize = 32;
const XF_DATA: usize = 56;
const DTYPE_SOCKET: u16 = 2;

const AF_INET: u32 = 2;
const AF_INET6: u32 = 28;

/// A socket and its address in the kernel; 0 if no process has it any more.
type Found = (Socket, u64);

fn u16_at(record: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(record.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(record: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(record.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(record: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(record.get(at..at + 8)?.try_into().ok()?))
}

fn length_at(record: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u64_at(record, at)?).ok()
}

/// The sockets in what `net.inet.tcp.pcblist` or the one of UDP gives.
pub fn sockets(bytes: &[u8], protocol: Protocol) -> Result<Vec<Found>, String> {
    let odd = |what: &str| {
        format!("the kernel's {} records are of another kind: {what}", protocol.name())
    };
    let header = length_at(bytes, 0).ok_or_else(|| odd("no header"))?;
    if header != XINPGEN_BYTES {
        return Err(odd(&format!("a header of {header} bytes")));
    }
    let mut found = Vec::new();
    let mut rest = bytes.get(header..).unwrap_or_default();
    // The header again is the end.
    while let Some(length) = length_at(rest, 0).filter(|length| *length > XINPGEN_BYTES) {
        let record = rest.get(..length).ok_or_else(|| odd("one is cut off"))?;
        let size = || odd(&format!("one of {length} bytes"));
        found.extend(socket(record, protocol).ok_or_else(size)?);
        rest = &rest[length..];
    }
    Ok(found)
}

/// One record; `None` if it does not fit, nothing in it for a state without a dependency.
fn socket(record: &[u8], protocol: Protocol) -> Option<Option<Found>> {
    // TCP's record has the one for any protocol inside.
    let (inner, state) = match protocol {
        Protocol::Udp => (record, None),
        Protocol::Tcp => {
            let inner = record.get(LENGTH_BYTES..)?;
            let inner = inner.get(..length_at(inner, 0)?)?;
            let state = u32_at(record, LENGTH_BYTES + inner.len() + T_STATE_BEHIND)?;
            (inner, Some(state).filter(|state| *state <= T_STATE_MAX))
        }
    };
    let xsocket = inner.get(LENGTH_BYTES..)?;
    let length = length_at(xsocket, 0)?;
    let xsocket = xsocket.get(..if length == 0 { XSOCKET_BYTES } else { length })?;
    let connection = inner.get(LENGTH_BYTES + xsocket.len()..)?.get(..IN_CONNINFO_BYTES)?;
    let number = if protocol == Protocol::Tcp { 6 } else { 17 };
    let kernel_address = u64_at(xsocket, XSO_SO)?;
    let family = u32_at(xsocket, XSO_FAMILY)?;
    // A record without a socket has all zeroes in its place.
    if kernel_address != 0
        && (length == 0
            || u32_at(xsocket, XSO_PROTOCOL)? != number
            || !matches!(family, AF_INET | AF_INET6))
    {
        return None;
    }
    let is_v4 = is_v4(inner, family, &connection[INC_ADDRESSES..]);
    let end = |number: usize| {
        let port = connection[INC_PORTS + 2 * number..][..2].try_into().ok()?;
        let mut bytes: [u8; 16] =
            connection[INC_ADDRESSES + 16 * number..][..16].try_into().ok()?;
        let address: IpAddr = if is_v4 {
            Ipv4Addr::new(bytes[12], bytes[13], bytes[14], bytes[15]).into()
        } else {
            if Ipv6Addr::from(bytes).is_unicast_link_local() {
                // The kernel keeps the interface's number in there.
                bytes[2..4].fill(0);
            }
            Ipv6Addr::from(bytes).into()
        };
        Some(Endpoint::new(address, u16::from_be_bytes(port)))
    };
    let (remote, local) = (end(0)?, end(1)?);
    let state = match (protocol, state) {
        (Protocol::Tcp, None) => return None,
        (Protocol::Udp, _) if remote.port == 0 => State::Listening,
        (Protocol::Udp, _) => State::Connected,
        (Protocol::Tcp, Some(number)) => {
            let place = (number as usize).checked_sub(1);
            match place.and_then(|place| STATES.get(place)) {
                Some(state) => *state,
                None => return Some(None),
            }
        }
    };
    if local.port == 0 {
        return Some(None);
    }
    let remote = if state == State::Listening { Endpoint::NONE } else { remote };
    Some(Some((
        Socket { protocol, state, local, remote, process: None, tcp: tcp(record, inner, state) },
        kernel_address,
    )))
}

/// What the kernel counts of a connection. In TIME_WAIT there is nothing more in the record.
fn tcp(record: &[u8], inner: &[u8], state: State) -> Option<Tcp> {
    let counts = inner.len() == XINPCB_BYTES
        && record.len() > inner.len() + T_STATE_BEHIND
        && !matches!(state, State::Listening | State::Waiting);
    let at = LENGTH_BYTES + inner.len() + T_SNDREXMITPACK_BEHIND;
    let retransmits = u32_at(record, at).filter(|_| counts)?.into();
    // The number of the control block, of which each new one gets the next.
    let cookie = u64_at(inner, INP_GENCNT)?;
    Some(Tcp { cookie, has_bytes: false, sent: 0, received: 0, rtt_us: 0, retransmits })
}

/// Whether the addresses are of IPv4, which stand at the end of the room for those of IPv6. A
/// connection over IPv4 that came to a socket of IPv6 has the family of that.
fn is_v4(inner: &[u8], family: u32, addresses: &[u8]) -> bool {
    let flags = if inner.len() == XINPCB_BYTES { inner[INP_VFLAG] } else { 0 };
    let is_short = |address: &[u8; 16]| {
        let (before, last) = address.split_at(12);
        before == [0; 12] && !matches!(last, [0, 0, 0, 0 | 1])
    };
    match flags & (INP_IPV4 | INP_IPV6) {
        // A kernel that does not report it.
        0 => family == AF_INET || addresses.as_chunks().0.iter().any(is_short),
        flags => flags == INP_IPV4,
    }
}

/// Which process has which socket, by its address in the kernel, out of `kern.file`.
pub fn owners(bytes: &[u8]) -> Result<Vec<(u64, u32)>, String> {
    let mut owners = Vec::new();
    let mut rest = bytes;
    while let Some(length) = length_at(rest, 0) {
        let record = rest.get(..length).filter(|_| length == XFILE_BYTES);
        let record = record.ok_or_else(|| {
            format!("the kernel's file records are of another kind: {length} bytes")
        })?;
        if u16_at(record, XF_TYPE) == Some(DTYPE_SOCKET) {
            owners.extend(u64_at(record, XF_DATA).zip(u32_at(record, XF_PID)));
        }
        rest = &rest[length..];
    }
    Ok(owners)
}

/// `struct kinfo_proc`: the name of its command, of which the kernel keeps 19 bytes.
const KI_COMM: usize = 447;
const COMM_BYTES_MAX: usize = 19;

/// The name of a process, out of `kern.proc.pid` and `kern.proc.args`.
pub fn process_name(process: &[u8], arguments: &[u8]) -> String {
    let comm = process.get(KI_COMM..KI_COMM + COMM_BYTES_MAX + 1).unwrap_or_default();
    let comm = comm.split(|byte| *byte == 0).next().unwrap_or_default();
    super::full_name(&String::from_utf8_lossy(comm), COMM_BYTES_MAX, arguments, "")
}

#[cfg(any(target_os = "freebsd", test))]
pub use kernel::Freebsd;
#[cfg(target_os = "freebsd")]
pub use kernel::ThisKernel;

#[cfg(any(target_os = "freebsd", test))]
mod kernel {
    use std::collections::HashMap;
    use std::ffi::CStr;
    use std::io::Read;
    use std::ops::RangeInclusive;
    use std::process::{Command, Stdio};
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use super::*;
    use crate::dependency::map::EPHEMERAL;
    use crate::dependency::sockets::reading::{Addresses, Network, Reading};
    use crate::dependency::{Process, netstat};

    const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
    const COMMAND_BYTES_MAX: u64 = 32 << 20;

    /// What is asked of a system.
    pub trait Kernel {
        fn sysctl(&self, name: &CStr) -> std::io::Result<Vec<u8>>;
        /// `kern.proc.pid` of a process.
        fn process(&self, process: u32) -> std::io::Result<Vec<u8>>;
        /// `kern.proc.args`.
        fn arguments(&self, process: u32) -> std::io::Result<Vec<u8>>;
        /// What a command prints.
        fn output_of(&self, command: &str, arguments: &[&str]) -> Result<String, String> {
            output_of(command, arguments, COMMAND_TIMEOUT)
        }
    }

    /// The kernel that this program runs on.
    #[cfg(target_os = "freebsd")]
    pub struct ThisKernel;

    #[cfg(target_os = "freebsd")]
    impl Kernel for ThisKernel {
        fn sysctl(&self, name: &CStr) -> std::io::Result<Vec<u8>> {
            crate::base::sys::sysctl(name)
        }

        fn process(&self, process: u32) -> std::io::Result<Vec<u8>> {
            crate::base::sys::sysctl_of_process(libc::KERN_PROC_PID, process)
        }

        fn arguments(&self, process: u32) -> std::io::Result<Vec<u8>> {
            crate::base::sys::sysctl_of_process(libc::KERN_PROC_ARGS, process)
        }
    }

    /// Reads the machine's sockets.
    pub struct Freebsd<K> {
        kernel: K,
        /// The kernel's own records are not read, and why was said.
        records_do_not_fit: bool,
    }

    impl<K: Kernel> Freebsd<K> {
        pub fn of(kernel: K) -> Freebsd<K> {
            Freebsd { kernel, records_do_not_fit: false }
        }

        fn ephemeral(&self) -> RangeInclusive<u16> {
            let port = |name| u16::try_from(u32_at(&self.kernel.sysctl(name).ok()?, 0)?).ok();
            let first = port(c"net.inet.ip.portrange.first");
            let ports = first.zip(port(c"net.inet.ip.portrange.last"));
            ports.map_or(EPHEMERAL, |(first, last)| first..=last)
        }

        pub fn read(&mut self, udp: bool) -> Result<Reading, String> {
            let sockets = self.sockets(udp)?;
            let (addresses, ephemeral) = (Addresses::of_this_network(), self.ephemeral());
            let network = Network { id: 0, is_own: true, addresses, ephemeral };
            Ok(Reading { networks: vec![(network, sockets)], ..Reading::default() })
        }

        pub(super) fn sockets(&mut self, udp: bool) -> Result<Vec<Socket>, String> {
            if !self.records_do_not_fit {
                match self.read_records(udp) {
                    Ok(sockets) => return Ok(sockets),
                    Err(why) => {
                        log::warn!("sockets: {why}; netstat and sockstat are asked instead");
                        self.records_do_not_fit = true;
                    }
                }
            }
            self.read_text(udp)
        }

        fn read_records(&self, udp: bool) -> Result<Vec<Socket>, String> {
            let get = |name: &CStr| {
                let failed = |err| format!("sysctl {}: {err}", name.to_string_lossy());
                self.kernel.sysctl(name).map_err(failed)
            };
            let mut found = sockets(&get(c"net.inet.tcp.pcblist")?, Protocol::Tcp)?;
            if udp {
                found.extend(sockets(&get(c"net.inet.udp.pcblist")?, Protocol::Udp)?);
            }
            let mut processes = HashMap::new();
            for (address, process) in owners(&get(c"kern.file")?)? {
                // The oldest process owns it; the first process holds sockets only for others.
                let older = |have: &u32| *have == 1 || process < *have && process != 1;
                let have = processes.entry(address).or_insert(process);
                if older(have) {
                    *have = process;
                }
            }
            let mut names: HashMap<u32, Arc<Process>> = HashMap::new();
            let named = |(mut socket, address): Found| {
                if let Some(process) = processes.get(&address).filter(|_| address != 0) {
                    let named = || Process::named(&self.name_of(*process));
                    let found = names.entry(*process).or_insert_with(named);
                    socket.process = Some(found.clone()).filter(|found| !found.name.is_empty());
                }
                socket
            };
            Ok(found.into_iter().map(named).collect())
        }

        fn read_text(&self, udp: bool) -> Result<Vec<Socket>, String> {
            let text = self.kernel.output_of("netstat", &["-an", "-W"])?;
            // Long addresses are cut off, but for the option that older releases do not know.
            let owners = |option: &&str| {
                let text = self.kernel.output_of("sockstat", &[option]);
                netstat::owners(&text.unwrap_or_default())
            };
            let owners = ["-46w", "-46"].iter().map(owners).find(|owners| !owners.is_empty());
            let owners = owners.unwrap_or_default();
            let mut sockets = netstat::read(&text, usize::MAX).sockets;
            sockets.retain(|socket| udp || socket.protocol == Protocol::Tcp);
            for socket in &mut sockets {
                let key = (socket.protocol, socket.local, socket.remote);
                socket.process = owners.get(&key).map(|(process, shown)| {
                    let name = self.name_of(*process);
                    Process::named(if name.is_empty() { shown } else { &name })
                });
            }
            Ok(sockets)
        }

        fn name_of(&self, process: u32) -> String {
            let record = self.kernel.process(process).unwrap_or_default();
            process_name(&record, &self.kernel.arguments(process).unwrap_or_default())
        }
    }

    /// What a command prints; one that does not end in time is killed.
    pub(super) fn output_of(
        command: &str,
        arguments: &[&str],
        timeout: Duration,
    ) -> Result<String, String> {
        let failed = |why: &dyn std::fmt::Display| format!("{command}: {why}");
        let mut asked = Command::new(command);
        asked.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = asked.spawn().map_err(|err| failed(&err))?;
        let output = child.stdout.take().ok_or_else(|| failed(&"no output"))?;
        let (done, wait) = mpsc::channel();
        let read = move || {
            let mut text = Vec::new();
            let read = output.take(COMMAND_BYTES_MAX).read_to_end(&mut text);
            let _ = done.send(read.map(|_| text));
        };
        std::thread::Builder::new().spawn(read).map_err(|err| failed(&err))?;
        let text = wait.recv_timeout(timeout);
        let _ = child.kill();
        let _ = child.wait();
        match text {
            Ok(Ok(text)) => Ok(String::from_utf8_lossy(&text).into_owned()),
            Ok(Err(err)) => Err(failed(&err)),
            Err(_) => Err(failed(&"does not end in time")),
        }
    }
}

#[cfg(test)]
mod tests;
