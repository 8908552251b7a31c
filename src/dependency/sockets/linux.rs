//! Linux: `/proc/net/{tcp,tcp6,udp,udp6}` for sockets, `/proc/PID/fd` for their owners.
//!
//! The owner of a socket is kept from one reading to the next, because finding it costs a system
//! call for each descriptor of a process. Processes are looked into only while there are sockets
//! whose owner is not known yet, those that had sockets last time first, so that most are never
//! touched.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::full_name;
use crate::dependency::map::EPHEMERAL;
use crate::dependency::{Endpoint, Protocol, Socket, State};

/// The kernel keeps that much of a process's name.
const COMM_BYTES_MAX: usize = 15;
/// After so many readings all owners are looked for again: the first process has the sockets of
/// services until they come to take them, and a process may hand one to another.
const OWNER_READINGS: u32 = 20;

pub struct Linux {
    proc: PathBuf,
    /// The process that owns a socket, by its inode; `None` if no visible process owns it.
    owners: HashMap<u64, Option<u32>>,
    readings: u32,
}

impl Linux {
    pub fn new(proc: PathBuf) -> Linux {
        Linux { proc, owners: HashMap::new(), readings: 0 }
    }

    pub fn read(&mut self, udp: bool) -> Result<Vec<Socket>, String> {
        let mut sockets = Vec::new();
        // By inode, where in the list it is.
        let mut wanted = HashMap::new();
        let files = [
            ("tcp", Protocol::Tcp),
            ("tcp6", Protocol::Tcp),
            ("udp", Protocol::Udp),
            ("udp6", Protocol::Udp),
        ];
        for (name, protocol) in files {
            if udp || protocol == Protocol::Tcp {
                let path = self.network().join(name);
                let read = read_table(&path, protocol, &mut sockets, &mut wanted);
                read.map_err(|err| format!("cannot read {}: {err}", path.display()))?;
            }
        }
        self.name(&mut sockets, &wanted);
        Ok(sockets)
    }

    /// The tables of our own network, or of the first process's where the file system is another
    /// machine's view.
    fn network(&self) -> PathBuf {
        let own = self.proc == Path::new("/proc");
        self.proc.join(if own { "self/net" } else { "1/net" })
    }

    pub fn ephemeral(&self) -> RangeInclusive<u16> {
        let text = fs::read_to_string(self.proc.join("sys/net/ipv4/ip_local_port_range"));
        let text = text.unwrap_or_default();
        let mut ports = text.split_ascii_whitespace().map(str::parse);
        match (ports.next(), ports.next()) {
            (Some(Ok(first)), Some(Ok(last))) if first <= last => first..=last,
            _ => EPHEMERAL,
        }
    }

    /// Gives the sockets the names of their processes; `wanted` says by inode which they are.
    fn name(&mut self, sockets: &mut [Socket], wanted: &HashMap<u64, usize>) {
        let proc = self.proc.clone();
        let mut names: HashMap<u32, Option<Arc<str>>> = HashMap::new();
        let mut name_of = |process: u32| {
            let folder = proc.join(process.to_string());
            names.entry(process).or_insert_with(|| process_name(&folder)).clone()
        };
        // The sockets of a process that has ended may belong to another one now.
        self.owners.retain(|inode, owner| {
            wanted.contains_key(inode) && owner.is_none_or(|process| name_of(process).is_some())
        });
        let mut known: Vec<u32> = self.owners.values().copied().flatten().collect();
        known.sort_unstable();
        known.dedup();
        known.retain(|process| *process != FIRST);
        self.readings += 1;
        if self.readings.is_multiple_of(OWNER_READINGS) {
            self.owners.clear();
        }
        let is_unknown = |inode: &&u64| !self.owners.contains_key(inode);
        let mut unknown: HashSet<u64> = wanted.keys().filter(is_unknown).copied().collect();
        for process in &known {
            self.look_into(*process, &mut unknown);
        }
        if !unknown.is_empty() {
            let mut others = self.processes();
            others.retain(|process| known.binary_search(process).is_err());
            eldest_first(&mut others);
            for process in others {
                self.look_into(process, &mut unknown);
            }
        }
        self.owners.extend(unknown.into_iter().map(|inode| (inode, None)));
        for (inode, owner) in &self.owners {
            sockets[wanted[inode]].process = owner.and_then(&mut name_of);
        }
    }

    fn processes(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.proc) else { return Vec::new() };
        let number =
            |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
        entries.filter_map(number).collect()
    }

    /// Finds which of the unknown sockets a process has; one that has ended, or that this user may
    /// not look into, has none.
    fn look_into(&mut self, process: u32, unknown: &mut HashSet<u64>) {
        if unknown.is_empty() {
            return;
        }
        let descriptors = fs::read_dir(self.proc.join(process.to_string()).join("fd"));
        for descriptor in descriptors.into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(descriptor.path()) else { continue };
            if let Some(inode) = inode(&target).filter(|inode| unknown.remove(inode)) {
                self.owners.insert(inode, Some(process));
                if unknown.is_empty() {
                    return;
                }
            }
        }
    }
}

/// Where systemd starts services by their sockets, it has these.
const FIRST: u32 = 1;

/// A socket of several processes belongs to the oldest; to the first process only if no other has
/// it.
fn eldest_first(processes: &mut [u32]) {
    processes.sort_unstable_by_key(|process| if *process == FIRST { u32::MAX } else { *process });
}

/// The number in `socket:[12345]`.
fn inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The name of the process whose folder that is; none if it has ended.
fn process_name(folder: &Path) -> Option<Arc<str>> {
    let comm = fs::read(folder.join("comm")).ok()?;
    let comm = String::from_utf8_lossy(comm.trim_ascii_end());
    if comm.len() < COMM_BYTES_MAX {
        return Some((*comm).into());
    }
    let arguments = fs::read(folder.join("cmdline")).unwrap_or_default();
    let program = fs::read_link(folder.join("exe")).unwrap_or_default();
    Some(full_name(&comm, COMM_BYTES_MAX, &arguments, &program.to_string_lossy()).into())
}

/// Adds the sockets of one of the kernel's tables; without IPv6 there is none for it.
fn read_table(
    path: &Path,
    protocol: Protocol,
    sockets: &mut Vec<Socket>,
    wanted: &mut HashMap<u64, usize>,
) -> io::Result<()> {
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
        if let Some((socket, inode)) = row(&line, protocol) {
            if inode != 0 {
                wanted.insert(inode, sockets.len());
            }
            sockets.push(socket);
        }
        line.clear();
    }
    Ok(())
}

/// A row of a table, where its state is one in which a dependency shows, and its inode.
fn row(line: &[u8], protocol: Protocol) -> Option<(Socket, u64)> {
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let (local, remote, state) = (words.nth(1)?, words.next()?, words.next()?);
    let state = match (protocol, state) {
        (_, b"01") => State::Connected,
        (Protocol::Tcp, b"06") => State::Waiting,
        (Protocol::Tcp, b"0A") | (Protocol::Udp, b"07") => State::Listening,
        _ => return None,
    };
    let local = endpoint(local)?;
    let remote = if state == State::Listening { Endpoint::NONE } else { endpoint(remote)? };
    let inode = std::str::from_utf8(words.nth(5)?).ok()?.parse().ok()?;
    (local.port != 0).then_some((Socket { protocol, state, local, remote, process: None }, inode))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const TCP: &str = include_str!("../../../tests/samples/proc/tcp");
    const TCP6: &str = include_str!("../../../tests/samples/proc/tcp6");
    const UDP: &str = include_str!("../../../tests/samples/proc/udp");

    /// A machine's process file system, with two processes.
    fn machine(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("perijove-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("1/net")).unwrap();
        fs::create_dir_all(root.join("sys/net/ipv4")).unwrap();
        fs::write(root.join("sys/net/ipv4/ip_local_port_range"), "32768\t60999\n").unwrap();
        for (table, text) in [("tcp", TCP), ("tcp6", TCP6), ("udp", UDP)] {
            fs::write(root.join("1/net").join(table), text).unwrap();
        }
        process(&root, "1", "systemd", "/sbin/init", &[11, 15]);
        process(&root, "77", "process_exporte", "/opt/process_exporter-1\0-v\0", &[11, 12, 16]);
        process(&root, "78", "sshd", "sshd: root", &[15, 16, 17]);
        root
    }

    fn process(root: &Path, number: &str, comm: &str, arguments: &str, inodes: &[u64]) {
        let folder = root.join(number);
        fs::create_dir_all(folder.join("fd")).unwrap();
        fs::write(folder.join("comm"), format!("{comm}\n")).unwrap();
        fs::write(folder.join("cmdline"), arguments).unwrap();
        symlink("/dev/null", folder.join("fd/0")).unwrap();
        for (at, inode) in inodes.iter().enumerate() {
            symlink(format!("socket:[{inode}]"), folder.join(format!("fd/{}", at + 3))).unwrap();
        }
    }

    #[test]
    fn a_service_that_its_socket_started_gets_its_name() {
        let root = machine("activated");
        symlink("socket:[99]", root.join("1/fd/9")).unwrap();
        let mut linux = Linux::new(root.clone());
        let mut owner = || {
            let sockets = linux.read(false).unwrap();
            let found = sockets.iter().find(|socket| socket.local.port == 50003).unwrap();
            found.process.as_deref().unwrap_or_default().to_string()
        };
        assert_eq!(owner(), "systemd");
        process(&root, "79", "web", "web", &[99]);
        let owners: Vec<String> = (0..OWNER_READINGS).map(|_| owner()).collect();
        assert_eq!(owners.last().unwrap(), "web");
        fs::remove_dir_all(&root).unwrap();
    }

    /// An owner is kept from one reading to the next, though never longer than it lives.
    #[test]
    fn a_process_that_ends_or_becomes_another_program() {
        let root = machine("changes");
        let mut linux = Linux::new(root.clone());
        let mut names = || {
            let sockets = linux.read(true).unwrap();
            let of = |port| sockets.iter().find(|socket| socket.local.port == port).unwrap();
            [5432, 50000, 53].map(|port| of(port).process.as_deref().unwrap_or("-").to_string())
        };
        assert_eq!(names(), ["process_exporter-1", "process_exporter-1", "sshd"]);
        // What is kept is not looked for: the descriptors that said so are not needed again.
        fs::remove_dir_all(root.join("78/fd")).unwrap();
        fs::write(root.join("78/comm"), "other\n").unwrap();
        assert_eq!(names(), ["process_exporter-1", "process_exporter-1", "other"]);
        fs::remove_dir_all(root.join("77")).unwrap();
        assert_eq!(names(), ["systemd", "-", "other"]);
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn whole_names() {
        let root = machine("names");
        let name = |arguments: &str| {
            fs::write(root.join("77/cmdline"), arguments).unwrap();
            process_name(&root.join("77")).unwrap().to_string()
        };
        let whole = "process_exporter.py";
        assert_eq!(name(&format!("/usr/bin/python3\0-u\0/opt/{whole}\0--port\09\0")), whole);
        assert_eq!(name("/opt/process_exporter.py --title\0"), whole);
        // What it calls itself, or others, is not its name.
        assert_eq!(name("java\0-x\0-y\0-z\0/opt/process_exporter.py\0"), "process_exporte");
        assert_eq!(name("worker\0/var/log/other\0"), "process_exporte");
        symlink("/opt/process_exporter-1", root.join("77/exe")).unwrap();
        assert_eq!(name("worker\0"), "process_exporter-1");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn tables_and_owners_of_a_machine() {
        let root = machine("tables");
        let mut linux = Linux::new(root.clone());
        let sockets = linux.read(true).unwrap();
        let show = |s: &Socket| {
            let (l, r, process) = (s.local, s.remote, s.process.as_deref().unwrap_or("-"));
            let name = s.protocol.name();
            format!(
                "{name} {:?} {} {} {} {} {process}",
                s.state, l.address, l.port, r.address, r.port
            )
        };
        let shown: Vec<String> = sockets.iter().map(show).collect();
        let expected = [
            "tcp Listening 127.0.0.1 5432 0.0.0.0 0 process_exporter-1",
            "tcp Connected 10.0.0.2 50000 10.0.0.3 443 process_exporter-1",
            "tcp Waiting 10.0.0.2 50001 10.0.0.3 443 -",
            "tcp Listening :: 22 0.0.0.0 0 sshd",
            "tcp Connected 10.0.0.2 22 10.0.0.9 49152 process_exporter-1",
            "tcp Connected 2001:db8::1 50003 2001:db8::2 443 -",
            "udp Listening 127.0.0.1 53 0.0.0.0 0 sshd",
            "udp Connected 10.0.0.2 50004 10.0.0.3 53 -",
        ];
        // The words of the addresses are read as this machine has its numbers.
        if cfg!(target_endian = "little") {
            assert_eq!(shown, expected);
        }
        // Nobody is asked twice for what nobody had.
        let mut ownerless: Vec<u64> = linux
            .owners
            .iter()
            .filter(|(_, owner)| owner.is_none())
            .map(|(inode, _)| *inode)
            .collect();
        ownerless.sort_unstable();
        assert_eq!(ownerless, [18, 99]);
        assert_eq!(linux.read(true).unwrap(), sockets);
        assert_eq!(linux.read(false).unwrap().len(), 6);
        assert_eq!(linux.ephemeral(), 32768..=60999);
        fs::remove_dir_all(&root).unwrap();
        let err = linux.read(true).unwrap_err();
        assert!(err.starts_with("cannot read ") && err.contains("1/net/tcp: "), "{err}");
    }
}
