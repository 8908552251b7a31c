//! Linux: the sockets in the text of `/proc/net/{tcp,tcp6,udp,udp6}`, where netlink is refused.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::diag::{self, Row};
use crate::dependency::{Endpoint, Protocol, Socket, State};

const TABLES: [(&str, Protocol); 4] = [
    ("tcp", Protocol::Tcp),
    ("tcp6", Protocol::Tcp),
    ("udp", Protocol::Udp),
    ("udp6", Protocol::Udp),
];

/// `take` gets all sockets in the tables of a folder.
pub fn read(folder: &Path, udp: bool, mut take: impl FnMut(Row)) -> Result<(), String> {
    for (name, protocol) in TABLES {
        if udp || protocol == Protocol::Tcp {
            let path = folder.join(name);
            read_table(&path, protocol, &mut take)
                .map_err(|err| format!("cannot read {}: {err}", path.display()))?;
        }
    }
    Ok(())
}

/// Reads one of the kernel's tables; without IPv6 there is none for it.
fn read_table(path: &Path, protocol: Protocol, take: &mut impl FnMut(Row)) -> io::Result<()> {
    let file = match File::open(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound && path.ends_with("tcp") => {
            return Err(err);
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let mut input = BufReader::with_capacity(64 << 10, file);
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        if let Some(row) = row(&line, protocol) {
            take(row);
        }
        line.clear();
    }
    Ok(())
}

/// A row of a table, where its state is one that counts.
fn row(line: &[u8], protocol: Protocol) -> Option<Row> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let (local, remote, state) = (words.nth(1)?, words.next()?, words.next()?);
    let state = diag::state(u8::try_from(hex(state)?).ok()?, protocol)?;
    let local = endpoint(local)?;
    let remote = if state == State::Listening { Endpoint::NONE } else { endpoint(remote)? };
    let inode = std::str::from_utf8(words.nth(5)?).ok()?.parse().ok()?;
    let is_bound = local.port != 0 && state != State::Ended;
    let socket = Socket { protocol, state, local, remote, process: None, tcp: None };
    is_bound.then_some(Row { socket, inode })
}

/// `0100007F:0035`: words of the address as this machine reads numbers, and the port.
fn endpoint(word: &[u8]) -> Option<Endpoint> {
    let colon = word.iter().position(|byte| *byte == b':')?;
    let (address, port) = (&word[..colon], &word[colon + 1..]);
    let port = u16::try_from(hex(port)?).ok()?;
    let address: IpAddr = match address.len() {
        8 => Ipv4Addr::from(hex(address)?.to_ne_bytes()).into(),
        32 => {
            let mut bytes = [0; 16];
            for (at, word) in address.chunks(8).enumerate() {
                bytes[at * 4..at * 4 + 4].copy_from_slice(&hex(word)?.to_ne_bytes());
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(Endpoint::new(address, port))
}

fn hex(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 8 {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| Some(number << 4 | char::from(*digit).to_digit(16)?))
}
