//! The messages of `sock_diag(7)` for sockets of the Internet: linux/inet_diag.h, linux/netlink.h.
//!
//! Numbers are in the machine's own order, but for ports and addresses. Nothing here touches a
//! socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dependency::{Endpoint, Protocol, Socket, State, Tcp};

pub const IPV4: u8 = 2;
pub const IPV6: u8 = 10;

/// `struct nlmsghdr`: length, type, flags, number, port.
const HEADER_BYTES: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `struct inet_diag_req_v2`: family, protocol, wanted attributes, states, `inet_diag_sockid`.
const REQUEST_BYTES: usize = HEADER_BYTES + 56;
/// All states of a socket, from ESTABLISHED to CLOSING.
const STATES: u32 = 0xfff;
/// `struct inet_diag_msg`, before the attributes.
const ROW_BYTES: usize = 72;
const INET_DIAG_INFO: u16 = 2;

/// `struct tcp_info`.
const TCPI_RTT: usize = 68;
const TCPI_TOTAL_RETRANS: usize = 100;
const TCPI_BYTES_ACKED: usize = 120;
const TCPI_BYTES_RECEIVED: usize = 128;

/// Asks for all sockets of a family and a protocol; for `tcp_info` of those of TCP. The answer has
/// the same `number`.
pub fn request(family: u8, protocol: Protocol, number: u32) -> [u8; REQUEST_BYTES] {
    let mut request = [0; REQUEST_BYTES];
    let mut put = |at: usize, bytes: &[u8]| request[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(REQUEST_BYTES as u32).to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &DUMP.to_ne_bytes());
    put(8, &number.to_ne_bytes());
    let (code, attributes) = match protocol {
        Protocol::Tcp => (6, 1 << (INET_DIAG_INFO - 1)),
        Protocol::Udp => (17, 0),
    };
    put(HEADER_BYTES, &[family, code, attributes]);
    put(HEADER_BYTES + 4, &STATES.to_ne_bytes());
    request
}

/// A socket and its inode, which is 0 if no process has it any more.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub socket: Socket,
    pub inode: u64,
}

#[derive(Debug, PartialEq)]
pub enum Message {
    Row(Row),
    /// A socket in which no dependency shows, or a message about something else.
    Other,
    /// The end of the answer.
    Done,
    /// The kernel refuses, with this number of an error.
    Refused(i32),
}

/// What was not asked for has this number.
pub const UNASKED: u32 = 0;

/// Cuts what was read into its messages; `take` gets each with this number. What is cut off is left
/// out.
pub fn messages(mut bytes: &[u8], protocol: Protocol, number: u32, mut take: impl FnMut(Message)) {
    while let Some(length) = u32_at(bytes, 0) {
        let Some(message) = bytes.get(..length as usize).filter(|it| it.len() >= HEADER_BYTES)
        else {
            return;
        };
        if u32_at(message, 8) == Some(number) {
            take(read(message, protocol));
        }
        bytes = bytes.get((length as usize).next_multiple_of(4)..).unwrap_or_default();
    }
}

fn read(message: &[u8], protocol: Protocol) -> Message {
    let body = &message[HEADER_BYTES..];
    match u16_at(message, 4) {
        Some(NLMSG_DONE) => Message::Done,
        Some(NLMSG_ERROR) => Message::Refused(
            u32_at(body, 0).map_or(0, |number| number.cast_signed().wrapping_neg()),
        ),
        Some(SOCK_DIAG_BY_FAMILY) => row(body, protocol).map_or(Message::Other, Message::Row),
        _ => Message::Other,
    }
}

fn row(body: &[u8], protocol: Protocol) -> Option<Row> {
    let head = body.get(..ROW_BYTES)?;
    let family = head[0];
    let state = state(head[1], protocol)?;
    let end = |port: usize, address: usize| -> Option<Endpoint> {
        let port = u16::from_be_bytes(head[port..port + 2].try_into().ok()?);
        let bytes: [u8; 16] = head[address..address + 16].try_into().ok()?;
        let address: IpAddr = match family {
            IPV4 => Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3]).into(),
            IPV6 => Ipv6Addr::from(bytes).into(),
            _ => return None,
        };
        Some(Endpoint::new(address, port))
    };
    let (local, remote) = (end(4, 8)?, end(6, 24)?);
    let cookie = u64::from(u32_at(head, 44)?) | u64::from(u32_at(head, 48)?) << 32;
    let inode = u32_at(head, 68)?.into();
    let is_listening = state == State::Listening;
    if local.port == 0 || !is_listening && remote.port == 0 {
        return None;
    }
    let tcp = if is_listening { None } else { tcp(&body[ROW_BYTES..], cookie) };
    // What ends without a round trip was never connected.
    if state == State::Ended && tcp.is_none_or(|tcp| tcp.rtt_us == 0) {
        return None;
    }
    let remote = if is_listening { Endpoint::NONE } else { remote };
    Some(Row { socket: Socket { protocol, state, local, remote, process: None, tcp }, inode })
}

/// The kernel's number of a state, net/tcp_states.h. CLOSE is a UDP socket without a peer, or a TCP
/// socket that has ended.
pub fn state(number: u8, protocol: Protocol) -> Option<State> {
    Some(match (protocol, number) {
        (_, 1) => State::Connected,
        (Protocol::Udp, 7) => State::Listening,
        (Protocol::Udp, _) => return None,
        (_, 2) => State::SynSent,
        (_, 3 | 12) => State::SynReceived,
        (_, 4) => State::FinWait1,
        (_, 5) => State::FinWait2,
        (_, 6) => State::Waiting,
        (_, 7) => State::Ended,
        (_, 8) => State::CloseWait,
        (_, 9) => State::LastAck,
        (_, 10) => State::Listening,
        (_, 11) => State::Closing,
        _ => return None,
    })
}

/// `tcp_info` among the attributes; older kernels have less of it.
fn tcp(mut attributes: &[u8], cookie: u64) -> Option<Tcp> {
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        let attribute = attributes.get(..length).filter(|it| it.len() >= 4)?;
        if u16_at(attribute, 2) == Some(INET_DIAG_INFO) {
            let info = &attribute[4..];
            let bytes = |at| u64_at(info, at);
            return Some(Tcp {
                cookie,
                has_bytes: bytes(TCPI_BYTES_RECEIVED).is_some(),
                sent: bytes(TCPI_BYTES_ACKED).unwrap_or(0),
                received: bytes(TCPI_BYTES_RECEIVED).unwrap_or(0),
                rtt_us: u32_at(info, TCPI_RTT).unwrap_or(0),
                retransmits: u32_at(info, TCPI_TOTAL_RETRANS).unwrap_or(0).into(),
            });
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
        bytes[at..at + value.len()].copy_from_slice(value);
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = vec![0; HEADER_BYTES];
        put(&mut message, 0, &((HEADER_BYTES + body.len()) as u32).to_ne_bytes());
        put(&mut message, 4, &kind.to_ne_bytes());
        message.extend_from_slice(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    /// A row of a socket from 10.0.0.2 to 10.0.0.9, and a `tcp_info` of so many bytes.
    fn row(state: u8, ports: [u16; 2], info_bytes: usize) -> Vec<u8> {
        let mut body = vec![0; ROW_BYTES];
        put(&mut body, 0, &[IPV4, state]);
        put(&mut body, 4, &ports[0].to_be_bytes());
        put(&mut body, 6, &ports[1].to_be_bytes());
        put(&mut body, 8, &[10, 0, 0, 2]);
        put(&mut body, 24, &[10, 0, 0, 9]);
        put(&mut body, 44, &7u32.to_ne_bytes());
        put(&mut body, 48, &1u32.to_ne_bytes());
        put(&mut body, 68, &99u32.to_ne_bytes());
        // An attribute before it, whose length is no multiple of four.
        body.extend_from_slice(&[5, 0, 8, 0, 1, 0, 0, 0]);
        let mut info = vec![0; info_bytes];
        let values: [(usize, &[u8]); 4] = [
            (TCPI_RTT, &42u32.to_ne_bytes()),
            (TCPI_TOTAL_RETRANS, &3u32.to_ne_bytes()),
            (TCPI_BYTES_ACKED, &1000u64.to_ne_bytes()),
            (TCPI_BYTES_RECEIVED, &2000u64.to_ne_bytes()),
        ];
        for (at, value) in values.into_iter().filter(|(at, _)| at + 8 <= info_bytes) {
            put(&mut info, at, value);
        }
        if info_bytes > 0 {
            body.extend_from_slice(&((4 + info_bytes) as u16).to_ne_bytes());
            body.extend_from_slice(&INET_DIAG_INFO.to_ne_bytes());
            body.extend_from_slice(&info);
        }
        message(SOCK_DIAG_BY_FAMILY, &body)
    }

    fn read_all(bytes: &[u8], protocol: Protocol) -> Vec<Message> {
        let mut found = Vec::new();
        messages(bytes, protocol, UNASKED, |message| found.push(message));
        found
    }

    fn only_row(bytes: &[u8], protocol: Protocol) -> Option<Row> {
        match read_all(bytes, protocol).pop() {
            Some(Message::Row(row)) => Some(row),
            other => {
                assert_eq!(other, Some(Message::Other));
                None
            }
        }
    }

    #[test]
    fn rows_of_an_answer() {
        let end = |address: &str, port| Endpoint::new(address.parse().unwrap(), port);
        let found = only_row(&row(1, [50000, 443], 280), Protocol::Tcp).unwrap();
        assert_eq!(found.inode, 99);
        let socket = found.socket;
        assert_eq!((socket.state, socket.protocol), (State::Connected, Protocol::Tcp));
        assert_eq!((socket.local, socket.remote), (end("10.0.0.2", 50000), end("10.0.0.9", 443)));
        let cookie = 1 << 32 | 7;
        let (sent, received, has_bytes) = (1000, 2000, true);
        let whole = Tcp { cookie, has_bytes, sent, received, rtt_us: 42, retransmits: 3 };
        assert_eq!(socket.tcp, Some(whole));
        // Kernels before 4.1 do not count bytes.
        let socket = only_row(&row(1, [50000, 443], 104), Protocol::Tcp).unwrap().socket;
        assert_eq!(
            socket.tcp,
            Some(Tcp { has_bytes: false, sent: 0, received: 0, retransmits: 0, ..whole })
        );
        let waiting = only_row(&row(6, [50000, 443], 0), Protocol::Tcp).unwrap().socket;
        assert_eq!((waiting.state, waiting.tcp), (State::Waiting, None));
        let server = only_row(&row(10, [80, 0], 280), Protocol::Tcp).unwrap().socket;
        assert_eq!(
            (server.state, server.remote, server.tcp),
            (State::Listening, Endpoint::NONE, None)
        );
        let server = only_row(&row(7, [53, 0], 0), Protocol::Udp).unwrap().socket;
        assert_eq!(server.state, State::Listening);
        // Not bound; no UDP state; ended without ever having been connected, or without a peer.
        assert_eq!(only_row(&row(7, [0, 0], 0), Protocol::Udp), None);
        assert_eq!(only_row(&row(6, [53, 1], 0), Protocol::Udp), None);
        assert_eq!(only_row(&row(7, [50000, 443], 0), Protocol::Tcp), None);
        assert_eq!(only_row(&row(7, [50000, 0], 280), Protocol::Tcp), None);
        let ended = only_row(&row(7, [50000, 443], 280), Protocol::Tcp).unwrap().socket;
        assert_eq!((ended.state, ended.tcp), (State::Ended, Some(whole)));
        for (number, name) in [(2, "syn_sent"), (3, "syn_recv"), (8, "close_wait"), (11, "closing")]
        {
            let socket = only_row(&row(number, [50000, 443], 280), Protocol::Tcp).unwrap().socket;
            assert_eq!(socket.state.name(), name);
        }
    }

    #[test]
    fn ends_errors_and_what_is_cut_off() {
        let refused = message(NLMSG_ERROR, &(-2i32).to_ne_bytes());
        let done = message(NLMSG_DONE, &[0; 4]);
        let all = [row(1, [1, 2], 280), message(77, b"abc"), refused, done].concat();
        let kinds = read_all(&all, Protocol::Tcp);
        assert!(matches!(
            kinds[..],
            [Message::Row(_), Message::Other, Message::Refused(2), Message::Done]
        ));
        // No cut makes anything of the rest, and none fails.
        for end in 0..all.len() {
            assert!(read_all(&all[..end], Protocol::Tcp).len() <= 4);
        }
        let mut odd = row(1, [1, 2], 280);
        put(&mut odd, 16 + ROW_BYTES, &0u16.to_ne_bytes());
        assert_eq!(only_row(&odd, Protocol::Tcp).unwrap().socket.tcp, None);
        put(&mut odd, 0, &3u32.to_ne_bytes());
        assert_eq!(read_all(&odd, Protocol::Tcp), []);
    }

    #[test]
    fn a_request_is_as_the_kernel_reads_it() {
        let request = request(IPV6, Protocol::Tcp, 5);
        assert_eq!(u32_at(&request, 0), Some(72));
        assert_eq!(request[16..20], [10, 6, 2, 0]);
        assert_eq!(u32_at(&request, 20), Some(0xfff));
        // An answer to another request is passed over.
        let mut answer = message(NLMSG_DONE, &[0; 4]);
        assert_eq!(read_all(&answer, Protocol::Tcp), [Message::Done]);
        put(&mut answer, 8, &request[8..12]);
        assert_eq!(read_all(&answer, Protocol::Tcp), []);
    }
}
