//! Linux: `/proc/net/{tcp,tcp6,udp,udp6}` for sockets, `/proc/PID/fd` for whose they are.
//!
//! A process is looked into only while there are sockets whose owner is not known yet, those that
//! had sockets last time first, so that most processes are never touched.

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
/// Sockets whose owner was not found, or is the first process, which has them until others come to
/// take them, are looked for again after so many rounds.
const OWNERLESS_ROUNDS: u32 = 20;

pub struct Linux {
    proc: PathBuf,
    /// The processes that had sockets.
    owners: Vec<u32>,
    /// Sockets, by inode, that nobody who can be seen has.
    ownerless: HashSet<u64>,
    rounds: u32,
}

impl Linux {
    pub fn new(proc: PathBuf) -> Linux {
        Linux { proc, owners: Vec::new(), ownerless: HashSet::new(), rounds: 0 }
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
        self.name(&mut sockets, wanted);
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

    /// Gives the sockets the names of their processes.
    fn name(&mut self, sockets: &mut [Socket], mut wanted: HashMap<u64, usize>) {
        self.rounds += 1;
        if self.rounds.is_multiple_of(OWNERLESS_ROUNDS) {
            self.ownerless.clear();
            self.owners.retain(|process| *process != FIRST);
        }
        self.ownerless.retain(|inode| wanted.remove(inode).is_some());
        let mut known = std::mem::take(&mut self.owners);
        eldest_first(&mut known);
        for process in &known {
            self.look_into(*process, sockets, &mut wanted);
        }
        if wanted.is_empty() {
            return;
        }
        let mut others = self.processes();
        others.retain(|process| !known.contains(process));
        eldest_first(&mut others);
        for process in others {
            if wanted.is_empty() {
                return;
            }
            self.look_into(process, sockets, &mut wanted);
        }
        self.ownerless.extend(wanted.keys());
    }

    fn processes(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.proc) else { return Vec::new() };
        let number =
            |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
        entries.filter_map(number).collect()
    }

    /// Finds the sockets of one process; one that is gone, or is nobody's business, has none.
    fn look_into(
        &mut self,
        process: u32,
        sockets: &mut [Socket],
        wanted: &mut HashMap<u64, usize>,
    ) {
        let folder = self.proc.join(process.to_string());
        let Ok(descriptors) = fs::read_dir(folder.join("fd")) else { return };
        let mut name: Option<Arc<str>> = None;
        for descriptor in descriptors.flatten() {
            let Ok(target) = fs::read_link(descriptor.path()) else { continue };
            let Some(index) = inode(&target).and_then(|inode| wanted.remove(&inode)) else {
                continue;
            };
            let name = name.get_or_insert_with(|| process_name(&folder).into());
            sockets[index].process = Some(name.clone());
            if wanted.is_empty() {
                break;
            }
        }
        if name.is_some() {
            self.owners.push(process);
        }
    }
}

/// Where systemd starts services by their sockets, it has these.
const FIRST: u32 = 1;

/// A socket that several processes have is the eldest's, and the first process's last of all.
fn eldest_first(processes: &mut [u32]) {
    processes.sort_unstable_by_key(|process| if *process == FIRST { u32::MAX } else { *process });
}

/// The number in `socket:[12345]`.
fn inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn process_name(folder: &Path) -> String {
    let comm = fs::read(folder.join("comm")).unwrap_or_default();
    let comm = String::from_utf8_lossy(comm.trim_ascii_end()).into_owned();
    if comm.len() < COMM_BYTES_MAX {
        return comm;
    }
    let arguments = fs::read(folder.join("cmdline")).unwrap_or_default();
    let program = fs::read_link(folder.join("exe")).unwrap_or_default();
    full_name(&comm, COMM_BYTES_MAX, &arguments, &program.to_string_lossy())
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
        let owners: Vec<String> = (0..OWNERLESS_ROUNDS).map(|_| owner()).collect();
        assert_eq!(owners.last().unwrap(), "web");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn whole_names() {
        let root = machine("names");
        let name = |arguments: &str| {
            fs::write(root.join("77/cmdline"), arguments).unwrap();
            process_name(&root.join("77"))
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
        // Nobody is asked twice for what nobody had, and whoever had sockets is asked first.
        assert_eq!(linux.ownerless, HashSet::from([18, 99]));
        assert_eq!(linux.owners, [77, 78]);
        assert_eq!(linux.read(true).unwrap(), sockets);
        assert_eq!(linux.read(false).unwrap().len(), 6);
        assert_eq!(linux.ephemeral(), 32768..=60999);
        fs::remove_dir_all(&root).unwrap();
        let err = linux.read(true).unwrap_err();
        assert!(err.starts_with("cannot read ") && err.contains("1/net/tcp: "), "{err}");
    }
}
