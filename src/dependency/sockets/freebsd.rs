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
            let mut sockets = netstat::read(&text).sockets;
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
mod tests {
    use super::*;

    const XTCPCB_BYTES: usize = 744;

    fn put(record: &mut [u8], at: usize, bytes: &[u8]) {
        record[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Protocol 6 or 17, family, and the flags of `inp_vflag`.
    type Kind = (u32, u32, u8);
    const TCP4: Kind = (6, AF_INET, INP_IPV4);
    const TCP6: Kind = (6, AF_INET6, INP_IPV6);
    const TCP46: Kind = (6, AF_INET6, INP_IPV4 | INP_IPV6);

    fn xinpcb(kernel: u64, kind: Kind, ends: [(&[u8], u16); 2]) -> Vec<u8> {
        let (number, family, flags) = kind;
        let mut record = vec![0; XINPCB_BYTES];
        put(&mut record, 0, &(XINPCB_BYTES as u64).to_ne_bytes());
        put(&mut record, 8 + 96, &number.to_ne_bytes());
        // The kernel fills in no more of a socket that has gone.
        if kernel != 0 {
            put(&mut record, 8, &(XSOCKET_BYTES as u64).to_ne_bytes());
            put(&mut record, 16, &kernel.to_ne_bytes());
            put(&mut record, 8 + 100, &family.to_ne_bytes());
        }
        put(&mut record, 296, &(kernel + 1).to_ne_bytes());
        put(&mut record, INP_VFLAG, &[flags]);
        for (at, (address, port)) in ends.iter().enumerate() {
            put(&mut record, 252 + 2 * at, &port.to_be_bytes());
            put(&mut record, 256 + 16 * at + 16 - address.len(), address);
        }
        record
    }

    fn xtcpcb(state: u32, inner: &[u8]) -> Vec<u8> {
        let mut record = vec![0; XTCPCB_BYTES];
        put(&mut record, 0, &(XTCPCB_BYTES as u64).to_ne_bytes());
        put(&mut record, 8, inner);
        put(&mut record, 8 + inner.len() + 160, &state.to_ne_bytes());
        // Flags and other counts stand before and behind what was sent again.
        put(&mut record, 8 + inner.len() + 164, &[0xff; 8]);
        put(&mut record, 8 + inner.len() + 172, &(state * 100).to_ne_bytes());
        put(&mut record, 8 + inner.len() + 176, &[0xff; 8]);
        record
    }

    fn list(records: &[Vec<u8>]) -> Vec<u8> {
        let mut header = vec![0; XINPGEN_BYTES];
        put(&mut header, 0, &(XINPGEN_BYTES as u64).to_ne_bytes());
        [header.clone(), records.concat(), header].concat()
    }

    #[test]
    fn records_of_a_kernel() {
        let remote = [10, 0, 0, 9];
        let own = [10, 0, 0, 2];
        let six = |last| [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        let bytes = list(&[
            xtcpcb(4, &xinpcb(0xabc, TCP4, [(&remote, 443), (&own, 50000)])),
            xtcpcb(1, &xinpcb(0xdef, TCP46, [(&[], 0), (&[], 22)])),
            xtcpcb(10, &xinpcb(0, TCP4, [(&remote, 443), (&own, 50001)])),
            xtcpcb(4, &xinpcb(0x123, TCP6, [(&six(1), 443), (&six(2), 50002)])),
            xtcpcb(5, &xinpcb(0x124, TCP4, [(&remote, 443), (&own, 50003)])),
            xtcpcb(0, &xinpcb(0x125, TCP4, [(&remote, 443), (&own, 50004)])),
        ]);
        let found = super::sockets(&bytes, Protocol::Tcp).unwrap();
        let end = |address: &str, port| Endpoint::new(address.parse().unwrap(), port);
        let ends: Vec<_> = found.iter().map(|(s, a)| (s.state, s.local, s.remote, *a)).collect();
        let expected = [
            (State::Connected, end("10.0.0.2", 50000), end("10.0.0.9", 443), 0xabc),
            (State::Listening, end("::", 22), Endpoint::NONE, 0xdef),
            (State::Waiting, end("10.0.0.2", 50001), end("10.0.0.9", 443), 0),
            (State::Connected, end("2001:db8::2", 50002), end("2001:db8::1", 443), 0x123),
            (State::CloseWait, end("10.0.0.2", 50003), end("10.0.0.9", 443), 0x124),
        ];
        assert_eq!(ends, expected);
        let tcp = |socket: &Socket| socket.tcp.map(|tcp| (tcp.cookie, tcp.retransmits));
        let counted: Vec<_> = found.iter().map(|(socket, _)| tcp(socket)).collect();
        let [first, second, third] = [(0xabd, 400), (0x124, 400), (0x125, 500)].map(Some);
        assert_eq!(counted, [first, None, None, second, third]);
        assert!(found.iter().all(|(socket, _)| socket.tcp.is_none_or(|tcp| !tcp.has_bytes)));
        let bytes = list(&[
            xinpcb(1, (17, AF_INET, INP_IPV4), [(&[], 0), (&own, 123)]),
            xinpcb(2, (17, AF_INET, INP_IPV4), [(&remote, 53), (&own, 50000)]),
            xinpcb(3, (17, AF_INET, INP_IPV4), [(&[], 0), (&[], 0)]),
        ]);
        let found = super::sockets(&bytes, Protocol::Udp).unwrap();
        let states: Vec<_> = found.iter().map(|(socket, _)| socket.state).collect();
        assert_eq!(states, [State::Listening, State::Connected]);
    }

    /// The family of a socket is not that of each connection that it takes.
    #[test]
    fn addresses_are_of_the_connection_s_family() {
        let link = |last| [0xfe, 0x80, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
        let (remote, own, one) = ([10, 0, 0, 9], [10, 0, 0, 2], [0, 0, 0, 1]);
        let mapped: Kind = (6, AF_INET6, INP_IPV4);
        let ends = |remote, local| -> [&[u8]; 2] { [remote, local] };
        let (first, second) = (link(1), link(2));
        let cases = [
            (mapped, ends(&remote, &own), ["10.0.0.9", "10.0.0.2"]),
            (mapped, ends(&one, &own), ["0.0.0.1", "10.0.0.2"]),
            (TCP6, ends(&one, &one), ["::1", "::1"]),
            (TCP6, ends(&first, &second), ["fe80::1", "fe80::2"]),
            (TCP4, ends(&remote, &own), ["10.0.0.9", "10.0.0.2"]),
        ];
        let read = |record: Vec<u8>| {
            let found = super::sockets(&list(&[record]), Protocol::Tcp).unwrap();
            [found[0].0.remote, found[0].0.local].map(|end| end.address.to_string())
        };
        for (kind, ends, expected) in cases {
            // With a socket, and in TIME_WAIT without one.
            for (kernel, state) in [(7, 4), (0, 10)] {
                let inner = xinpcb(kernel, kind, [(ends[0], 443), (ends[1], 50000)]);
                assert_eq!(read(xtcpcb(state, &inner)), expected, "{kind:?} {kernel}");
            }
        }
        // A record of another length may have its flags elsewhere.
        for (kind, ends, expected) in cases.into_iter().filter(|case| case.2[0] != "0.0.0.1") {
            let mut inner = xinpcb(7, kind, [(ends[0], 443), (ends[1], 50000)]);
            inner[INP_VFLAG] = 0xff;
            inner.extend([0; 8]);
            let length = inner.len() as u64;
            put(&mut inner, 0, &length.to_ne_bytes());
            assert_eq!(read(xtcpcb(4, &inner)), expected, "{kind:?}");
        }
    }

    #[test]
    fn records_of_another_kind_are_refused() {
        let good = xtcpcb(4, &xinpcb(1, TCP4, [(&[1, 2, 3, 4], 1), (&[1, 2, 3, 4], 1)]));
        let changed = |at: usize, bytes: &[u8]| {
            let mut record = good.clone();
            put(&mut record, at, bytes);
            list(&[record])
        };
        for (bytes, why) in [
            (Vec::new(), "no header"),
            (vec![9; 64], "a header of"),
            (changed(568, &99u32.to_ne_bytes()), "one of 744 bytes"),
            (changed(8, &4000u64.to_ne_bytes()), "one of 744 bytes"),
            (changed(16, &4000u64.to_ne_bytes()), "one of 744 bytes"),
            (changed(16, &0u64.to_ne_bytes()), "one of 744 bytes"),
            (changed(8 + 8 + 100, &7u32.to_ne_bytes()), "one of 744 bytes"),
            (changed(0, &9999u64.to_ne_bytes()), "one is cut off"),
        ] {
            let err = super::sockets(&bytes, Protocol::Tcp).unwrap_err();
            assert!(err.starts_with("the kernel's tcp records are of another kind: "), "{err}");
            assert!(err.contains(why), "{err}");
        }
    }

    fn file(process: u32, kind: u16, data: u64) -> Vec<u8> {
        let mut record = vec![0; XFILE_BYTES];
        put(&mut record, 0, &(XFILE_BYTES as u64).to_ne_bytes());
        put(&mut record, XF_PID, &process.to_ne_bytes());
        put(&mut record, XF_TYPE, &kind.to_ne_bytes());
        put(&mut record, XF_DATA, &data.to_ne_bytes());
        record
    }

    #[test]
    fn files_and_names() {
        let bytes = [file(7, 2, 0xabc), file(7, 1, 0xfff), file(8, 2, 0xdef)].concat();
        assert_eq!(super::owners(&bytes).unwrap(), [(0xabc, 7), (0xdef, 8)]);
        assert!(super::owners(&bytes[..200]).is_err());
        let mut process = vec![0; 1088];
        put(&mut process, KI_COMM, b"a_name_of_19_bytes_");
        let name = process_name(&process, b"/usr/local/bin/a_name_of_19_bytes_and_more\0-v\0");
        assert_eq!(name, "a_name_of_19_bytes_and_more");
        let script = b"/bin/sh\0-e\0/opt/a_name_of_19_bytes_and.sh\0";
        assert_eq!(process_name(&process, script), "a_name_of_19_bytes_and.sh");
        assert_eq!(process_name(&process, b"nginx: worker"), "a_name_of_19_bytes_");
        assert_eq!(process_name(&[], b""), "");
    }

    /// A system that answers as it is told to.
    #[derive(Default)]
    struct Told {
        sysctls: Vec<(&'static std::ffi::CStr, Vec<u8>)>,
        /// The names of processes.
        names: Vec<(u32, &'static str)>,
        commands: Vec<(&'static str, &'static str)>,
    }

    fn absent() -> std::io::Error {
        std::io::ErrorKind::NotFound.into()
    }

    impl kernel::Kernel for Told {
        fn sysctl(&self, name: &std::ffi::CStr) -> std::io::Result<Vec<u8>> {
            let found = self.sysctls.iter().find(|(known, _)| *known == name);
            found.map(|(_, bytes)| bytes.clone()).ok_or_else(absent)
        }

        fn process(&self, process: u32) -> std::io::Result<Vec<u8>> {
            let (_, name) = self.names.iter().find(|(id, _)| *id == process).ok_or_else(absent)?;
            let mut record = vec![0; 1088];
            put(&mut record, KI_COMM, name.as_bytes());
            Ok(record)
        }

        fn arguments(&self, _: u32) -> std::io::Result<Vec<u8>> {
            Err(absent())
        }

        fn output_of(&self, command: &str, arguments: &[&str]) -> Result<String, String> {
            let asked = [&[command], arguments].concat().join(" ");
            let found = self.commands.iter().find(|(known, _)| *known == asked);
            found.map(|(_, text)| String::from(*text)).ok_or(format!("{asked}: unknown"))
        }
    }

    fn shown(sockets: &[Socket]) -> Vec<(String, String)> {
        let name =
            |socket: &Socket| socket.process.as_ref().map(|process| process.name.to_string());
        let remote = |socket: &Socket| format!("{}:{}", socket.remote.address, socket.remote.port);
        sockets.iter().map(|socket| (remote(socket), name(socket).unwrap_or_default())).collect()
    }

    #[test]
    fn the_oldest_process_but_the_first_has_the_socket() {
        let own = [10, 0, 0, 2];
        let to = |last: u8, kernel| {
            xtcpcb(4, &xinpcb(kernel, TCP4, [(&[10, 0, 0, last], 443), (&own, 50000)]))
        };
        let files = [
            file(1, 2, 0xa),
            file(30, 2, 0xa),
            file(20, 2, 0xa),
            file(40, 2, 0xa),
            file(1, 2, 0xb),
        ];
        let udp = xinpcb(0xd, (17, AF_INET, INP_IPV4), [(&[10, 0, 0, 9], 53), (&own, 50001)]);
        let told = Told {
            sysctls: vec![
                (c"net.inet.tcp.pcblist", list(&[to(3, 0xa), to(4, 0xb), to(5, 0xc), to(6, 0)])),
                (c"net.inet.udp.pcblist", list(&[udp])),
                (c"kern.file", files.concat()),
                (c"net.inet.ip.portrange.first", 10_000u32.to_ne_bytes().to_vec()),
                (c"net.inet.ip.portrange.last", 65_535u32.to_ne_bytes().to_vec()),
            ],
            names: vec![(1, "init"), (20, "rpd"), (30, "mgd")],
            commands: Vec::new(),
        };
        let mut system = Freebsd::of(told);
        let name = |remote: &str, name: &str| (String::from(remote), String::from(name));
        let tcp = [
            name("10.0.0.3:443", "rpd"),
            name("10.0.0.4:443", "init"),
            name("10.0.0.5:443", ""),
            name("10.0.0.6:443", ""),
        ];
        assert_eq!(shown(&system.sockets(false).unwrap()), tcp);
        let all = [&tcp[..], &[name("10.0.0.9:53", "")]].concat();
        let reading = system.read(true).unwrap();
        let [(network, sockets)] = &reading.networks[..] else { panic!("one network") };
        assert_eq!((shown(sockets), network.ephemeral.clone()), (all, 10000..=65535));
    }

    #[test]
    fn where_records_do_not_fit_the_commands_are_read() {
        const NETSTAT: &str = "Active Internet connections (including servers)\n\
            Proto Recv-Q Send-Q Local Address          Foreign Address        (state)\n\
            tcp4       0      0 10.0.0.2.50000         10.0.0.3.443           ESTABLISHED\n\
            tcp4       0      0 10.0.0.2.50001         10.0.0.4.443           ESTABLISHED\n\
            udp4       0      0 10.0.0.2.50002         10.0.0.9.53\n";
        const SOCKSTAT: &str = "\
            USER     COMMAND    PID   FD PROTO  LOCAL ADDRESS         FOREIGN ADDRESS\n\
            root     rpd        20    5  tcp4   10.0.0.2:50000        10.0.0.3:443\n\
            root     sho        21    5  tcp4   10.0.0.2:50001        10.0.0.4:443\n";
        let told = |option| Told {
            sysctls: vec![(c"net.inet.tcp.pcblist", vec![9; 64])],
            names: vec![(21, "the_whole_name")],
            commands: vec![("netstat -an -W", NETSTAT), (option, SOCKSTAT)],
        };
        let name = |remote: &str, name: &str| (String::from(remote), String::from(name));
        // Older releases do not know the first option.
        for option in ["sockstat -46w", "sockstat -46"] {
            let mut system = Freebsd::of(told(option));
            let tcp = [name("10.0.0.3:443", "rpd"), name("10.0.0.4:443", "the_whole_name")];
            assert_eq!(shown(&system.sockets(false).unwrap()), tcp, "{option}");
            let all = [&tcp[..], &[name("10.0.0.9:53", "")]].concat();
            assert_eq!(shown(&system.sockets(true).unwrap()), all, "{option}");
        }
        let mut none = Freebsd::of(Told::default());
        assert_eq!(none.sockets(true).unwrap_err(), "netstat -an -W: unknown");
    }

    #[test]
    fn a_command_has_its_time() {
        use kernel::output_of;
        use std::time::{Duration, Instant};
        let long = Duration::from_secs(60);
        assert_eq!(output_of("echo", &["-n", "all"], long).unwrap(), "all");
        let unknown = output_of("/nonexistent/netstat", &[], long).unwrap_err();
        assert!(unknown.starts_with("/nonexistent/netstat: "), "{unknown}");
        let since = Instant::now();
        let late = output_of("sleep", &["600"], Duration::from_millis(200)).unwrap_err();
        assert_eq!(late, "sleep: does not end in time");
        assert!(since.elapsed() < Duration::from_secs(300));
    }
}
