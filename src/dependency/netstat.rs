//! The text of netstat: Junos's `show system connections` and FreeBSD's `netstat -an -W`; and of
//! sockstat, which knows the processes.
//!
//! Words are what counts, not columns: a row has the protocol, two numbers, the two addresses with
//! the port behind the last dot, and perhaps a state; releases add columns before and behind.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::dependency::{Endpoint, Protocol, Socket, State};

/// The sockets of a text, and rows that could not be read.
#[derive(Debug, Default)]
pub struct Table {
    pub sockets: Vec<Socket>,
    pub rejected: u64,
    pub first_rejected: Option<String>,
}

/// Reads the rows; what stands before and between them is passed over. Sockets beyond so many are
/// rejected.
pub fn read(text: &str, sockets_max: usize) -> Table {
    let mut table = Table::default();
    for line in text.lines() {
        match row(line) {
            Row::Socket(socket) if table.sockets.len() < sockets_max => table.sockets.push(socket),
            Row::Other => {}
            Row::Socket(_) | Row::Wrong => {
                table.rejected += 1;
                table.first_rejected.get_or_insert_with(|| line.trim().chars().take(200).collect());
            }
        }
    }
    table
}

enum Row {
    Socket(Socket),
    /// No row, or a state in which there is no dependency.
    Other,
    Wrong,
}

fn row(line: &str) -> Row {
    let mut words = line.split_ascii_whitespace();
    let Some((protocol, family)) = words.by_ref().find_map(protocol) else { return Row::Other };
    // A process may be called `tcp4`: what follows a protocol are the lengths of its queues.
    let mut queues = words.by_ref().take(2).map(|word| word.parse::<u64>());
    if !matches!((queues.next(), queues.next()), (Some(Ok(_)), Some(Ok(_)))) {
        return Row::Other;
    }
    let (local, remote) = (words.next(), words.next());
    let endpoint = |word: Option<&str>| word.and_then(|word| endpoint(word, '.', family));
    let (Some(local), Some(remote)) = (endpoint(local), endpoint(remote)) else {
        return Row::Wrong;
    };
    let state = match protocol {
        Protocol::Udp if remote.port == 0 && remote.address.is_unspecified() => State::Listening,
        Protocol::Udp => State::Connected,
        Protocol::Tcp => {
            let state = words.find_map(|word| match word {
                "LISTEN" => Some(State::Listening),
                "ESTABLISHED" => Some(State::Connected),
                "TIME_WAIT" => Some(State::Waiting),
                _ => None,
            });
            let Some(state) = state else { return Row::Other };
            state
        }
    };
    let remote = if state == State::Listening { Endpoint::NONE } else { remote };
    if local.port == 0 {
        return Row::Other;
    }
    Row::Socket(Socket { protocol, state, local, remote, process: None, tcp: None })
}

/// Which addresses a socket has.
#[derive(Clone, Copy, PartialEq)]
enum Family {
    V4,
    V6,
}

fn protocol(word: &str) -> Option<(Protocol, Family)> {
    let (protocol, family) = match (word.strip_prefix("tcp"), word.strip_prefix("udp")) {
        (Some(family), _) => (Protocol::Tcp, family),
        (_, Some(family)) => (Protocol::Udp, family),
        _ => return None,
    };
    match family {
        "" | "4" => Some((protocol, Family::V4)),
        // A socket for both has a name of its own; wildcards are those of IPv6.
        "6" | "46" | "64" => Some((protocol, Family::V6)),
        _ => None,
    }
}

/// An address and a port; `*` is any.
fn endpoint(word: &str, separator: char, family: Family) -> Option<Endpoint> {
    let (address, port) = word.rsplit_once(separator)?;
    let port = if port == "*" { 0 } else { port.parse().ok()? };
    let address = match address.trim_matches(['[', ']']) {
        "*" if family == Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        "*" => Ipv6Addr::UNSPECIFIED.into(),
        // A link's address has its interface behind it.
        address => address.split('%').next()?.parse::<IpAddr>().ok()?,
    };
    Some(Endpoint::new(address, port))
}

/// Who has a socket: protocol, local and remote end.
pub type Owners = HashMap<(Protocol, Endpoint, Endpoint), (u32, String)>;

/// Reads what sockstat prints: user, command, process, descriptor, protocol, and both ends.
pub fn owners(text: &str) -> Owners {
    let mut owners = Owners::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_number = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
        // The first two words are names, which may look like anything; a name may have blanks.
        let places = 4..words.len().saturating_sub(1);
        let place = places
            .clone()
            .find(|at| words[at - 2..*at].iter().all(is_number) && protocol(words[*at]).is_some());
        let Some((at, (protocol, family))) = place.and_then(|at| Some((at, protocol(words[at])?)))
        else {
            continue;
        };
        let end = |at: usize| words.get(at).and_then(|word| endpoint(word, ':', family));
        let (Some(local), Some(remote)) = (end(at + 1), end(at + 2)) else { continue };
        let Ok(process) = words[at - 2].parse() else { continue };
        let remote = if remote.port == 0 { Endpoint::NONE } else { remote };
        owners.insert((protocol, local, remote), (process, words[1..at - 2].join(" ")));
    }
    owners
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (Vec<String>, u64) {
        let table = read(text, usize::MAX);
        let show = |s: &Socket| {
            let (l, r) = (s.local, s.remote);
            let name = s.protocol.name();
            format!("{name} {:?} {} {} {} {}", s.state, l.address, l.port, r.address, r.port)
        };
        (table.sockets.iter().map(show).collect(), table.rejected)
    }

    #[test]
    fn rows_of_junos() {
        let text = "Active Internet connections (including servers)\n\
            Proto Recv-Q Send-Q  Local Address           Foreign Address        (state)\n\
            tcp4       0      0  10.1.0.192.22           10.1.0.1.56714         ESTABLISHED\n\
            tcp4       0     48  10.1.0.192.179          10.1.0.7.50123         CLOSE_WAIT\n\
            tcp4       0      0  *.33081                 *.*                    LISTEN\n\
            tcp46      0      0  *.32768                 *.*                    LISTEN\n\
            tcp6       0      0  2001:db8:ffff:ffff:ffff:ffff:ffff:fffe.179 \
            2001:db8:ffff:ffff:ffff:ffff:ffff:ffff.61234 ESTABLISHED  mgmt_junos\n\
            tcp46      0      0  ::ffff:10.0.0.1.22      ::ffff:10.0.0.2.4000   TIME_WAIT\n\
            default.iso tcp6 0 0 fe80::1%em0.646         fe80::2%em0.646        ESTABLISHED\n\
            tcp4       0      0  10.1.0.192.22           10.1.0.1.1             NEW_STATE\n\
            tcp4       0      0  10.1.0.192.22           10.1.0.1.ssh           ESTABLISHED\n\
            tcp4       0      0  10.1.0.192\n\
            udp4       0      0  *.161                   *.*\n\
            udp6       0      0  *.514                   *.*\n\
            udp46      0      0  10.0.0.1.49152          10.0.0.9.514\n\
            udp4       0      0  *.*                     *.*\n\
            ip4        0      0  *.*                     *.*\n\
            sctp4      0      0  1.1.1.1.1               1.1.1.2.2              LISTEN\n\
            Active UNIX domain sockets\n";
        let (rows, rejected) = shown(text);
        let expected = [
            "tcp Connected 10.1.0.192 22 10.1.0.1 56714",
            "tcp Listening 0.0.0.0 33081 0.0.0.0 0",
            "tcp Listening :: 32768 0.0.0.0 0",
            "tcp Connected 2001:db8:ffff:ffff:ffff:ffff:ffff:fffe 179 \
             2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 61234",
            "tcp Waiting 10.0.0.1 22 10.0.0.2 4000",
            "tcp Connected fe80::1 646 fe80::2 646",
            "udp Listening 0.0.0.0 161 0.0.0.0 0",
            "udp Listening :: 514 0.0.0.0 0",
            "udp Connected 10.0.0.1 49152 10.0.0.9 514",
        ];
        assert_eq!(rows, expected);
        assert_eq!(rejected, 2);
    }

    #[test]
    fn owners_of_sockstat() {
        let text = "USER     COMMAND    PID   FD PROTO  LOCAL ADDRESS         FOREIGN ADDRESS\n\
            root     sshd       901   3  tcp4   *:22                  *:*\n\
            www      Web Conten 77    12 tcp6   2001:db8::1:4000   2001:db8::2:443  ESTABLISHED\n\
            ?        ?          ?     ?  tcp4   127.0.0.1:25          127.0.0.1:4000\n\
            ntpd     ntpd       5     21 udp4   127.0.0.1:123         *:*\n";
        let owners = owners(text);
        let end = |address: &str, port| Endpoint::new(address.parse().unwrap(), port);
        assert_eq!(owners.len(), 3);
        let key = (Protocol::Tcp, end("2001:db8::1", 4000), end("2001:db8::2", 443));
        assert_eq!(owners[&key], (77, "Web Conten".into()));
        assert_eq!(owners[&(Protocol::Udp, end("127.0.0.1", 123), Endpoint::NONE)].0, 5);
        assert_eq!(owners[&(Protocol::Tcp, end("0.0.0.0", 22), Endpoint::NONE)].1, "sshd");
    }
}
