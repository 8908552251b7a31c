//! Linux: the sockets of this machine, by netlink, or by the text of /proc where that is refused;
//! what ended between two readings; and who has them.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::diag::Row;
use super::events::Events;
use super::netlink::Netlink;
use super::owners::Owners;
use super::proc_net;
use super::reading::{Addresses, Ask, Network, Reading};
use super::spaces::{self, Spaces};
use crate::dependency::map::EPHEMERAL;
use crate::dependency::status::Lack;

/// What the machine's own network is called among others: no namespace has this number.
const OWN: u64 = 0;

pub struct Linux {
    proc: PathBuf,
    owners: Owners,
    /// None until the first reading, and where it is refused.
    netlink: Option<Netlink>,
    events: Option<Events>,
    /// Other networks than the machine's own, where they are asked for.
    spaces: Option<Spaces>,
    is_tried: bool,
    /// Why netlink, or the ends of connections, are not there.
    refused: Vec<Lack>,
}

impl Linux {
    pub fn new(proc: PathBuf, ask: Ask) -> Linux {
        Linux {
            owners: Owners::new(proc.clone(), ask.who),
            spaces: ask.namespaces.then(Spaces::default),
            proc,
            netlink: None,
            events: None,
            is_tried: false,
            refused: Vec::new(),
        }
    }

    pub fn read(&mut self, udp: bool) -> Result<Reading, String> {
        if !std::mem::replace(&mut self.is_tried, true) {
            self.open();
        }
        let mut reading = Reading { lacks: self.refused.clone(), ..Reading::default() };
        self.update_spaces();
        let mut parts = self.other_networks(udp, &mut reading);
        // Where /proc is another machine's view, that one's own network may be among them.
        if parts.first().is_none_or(|(network, _)| !network.is_own) {
            let rows = self.rows(udp)?;
            let (addresses, ephemeral) = (Addresses::of_this_network(), self.ephemeral());
            parts.insert(0, (Network { id: OWN, is_own: true, addresses, ephemeral }, rows));
        }
        let inodes = parts.iter().flat_map(|(_, rows)| rows).map(|row| row.inode);
        let wanted = inodes.filter(|inode| *inode != 0).collect();
        let names = self.owners.name(&wanted);
        reading.nameless = (wanted.len() - names.len()) as u64;
        if let Some(why) = self.owners.nameless(reading.nameless) {
            reading.lacks.push(Lack { kind: "names".into(), why });
        }
        let named = |mut row: Row| {
            row.socket.process = names.get(&row.inode).cloned();
            row.socket
        };
        for (network, rows) in parts {
            let mut sockets: Vec<_> = rows.into_iter().map(named).collect();
            // Behind what is there: a connection may be in both.
            let ends = self.events.as_ref().map(|events| events.take(network.id));
            let ends = ends.unwrap_or_default();
            reading.lost_ends += ends.lost;
            sockets.extend(ends.sockets);
            reading.networks.push((network, sockets));
        }
        Ok(reading)
    }

    /// Whether the file system is that of the machine that perijove runs on, as it sees it.
    fn is_own_view(&self) -> bool {
        self.proc == Path::new("/proc")
    }

    fn update_spaces(&mut self) {
        let is_own_view = self.is_own_view();
        let Some(spaces) = &mut self.spaces else { return };
        let own = spaces::number(Path::new("/proc/self")).ok().filter(|_| is_own_view);
        let processes = self.owners.processes();
        spaces.update(&self.proc, &processes, own, self.events.as_mut());
    }

    /// The networks of the other namespaces; one that cannot be read is left out, and said.
    fn other_networks(&mut self, udp: bool, reading: &mut Reading) -> Vec<(Network, Vec<Row>)> {
        let first = spaces::number(&self.proc.join("1")).ok().filter(|_| !self.is_own_view());
        let Some(spaces) = &mut self.spaces else { return Vec::new() };
        reading.dropped_networks = spaces.dropped;
        reading.lacks.extend(spaces.lack.clone());
        let mut found = Vec::new();
        for (id, space) in &mut spaces.open {
            let mut rows = Vec::new();
            let read = space.netlink.read(udp, |row| rows.push(row));
            let here = || (Addresses::of_this_network(), ephemeral(Path::new("/proc")));
            match read.and_then(|()| space.inside(here)) {
                Ok((addresses, ephemeral)) => {
                    let is_own = first == Some(*id);
                    let place = if is_own { 0 } else { found.len() };
                    found.insert(place, (Network { id: *id, is_own, addresses, ephemeral }, rows));
                }
                Err(why) => {
                    let why = format!("a network namespace is not read: {why}");
                    reading.lacks.push(Lack { kind: "namespace".into(), why });
                }
            }
        }
        found
    }

    /// Tries netlink, once: what is refused stays so.
    fn open(&mut self) {
        let is_own_view = self.is_own_view();
        if is_own_view {
            match Netlink::open() {
                Ok(netlink) => self.netlink = Some(netlink),
                Err(err) => return self.refuse_netlink(&err.to_string()),
            }
        } else if self.spaces.is_none() {
            return;
        }
        let events = Events::start().and_then(|mut events| {
            if is_own_view {
                events.add(OWN, Events::source()?)?;
            }
            Ok(events)
        });
        match events {
            Ok(events) => self.events = Some(events),
            Err(err) => {
                let why = format!(
                    "the kernel does not tell which connections end ({err}): those that live \
                     between two readings are missing"
                );
                self.refused.push(Lack { kind: "ends".into(), why });
            }
        }
    }

    fn refuse_netlink(&mut self, why: &str) {
        let why = format!(
            "netlink (NETLINK_SOCK_DIAG) is refused ({why}): /proc/net is read instead, without \
             bytes, round-trip times and connections that live between two readings"
        );
        self.refused.push(Lack { kind: "netlink".into(), why });
        (self.netlink, self.events) = (None, None);
    }

    fn rows(&mut self, udp: bool) -> Result<Vec<Row>, String> {
        let mut rows = Vec::new();
        if let Some(netlink) = &mut self.netlink {
            match netlink.read(udp, |row| rows.push(row)) {
                Ok(()) => return Ok(rows),
                Err(why) => self.refuse_netlink(&why),
            }
            rows.clear();
        }
        proc_net::read(&self.network(), udp, |row| rows.push(row))?;
        Ok(rows)
    }

    /// The tables of our own network, or of the first process's where the file system is another
    /// machine's view.
    fn network(&self) -> PathBuf {
        let own = self.proc == Path::new("/proc");
        self.proc.join(if own { "self/net" } else { "1/net" })
    }

    fn ephemeral(&self) -> RangeInclusive<u16> {
        ephemeral(&self.proc)
    }
}

/// The ports that the kernel gives to callers in this network.
fn ephemeral(proc: &Path) -> RangeInclusive<u16> {
    let text = fs::read_to_string(proc.join("sys/net/ipv4/ip_local_port_range"));
    let text = text.unwrap_or_default();
    let mut ports = text.split_ascii_whitespace().map(str::parse);
    match (ports.next(), ports.next()) {
        (Some(Ok(first)), Some(Ok(last))) if first <= last => first..=last,
        _ => EPHEMERAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dependency::Socket;
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

    /// proc_pid_stat(5), as far as it counts: name, state, threads, start.
    fn stat(root: &Path, number: &str, comm: &str, state: char, threads: u32, started: u64) {
        let zeroes = "0 ".repeat(16);
        let text = format!("{number} ({comm}) {state} {zeroes}{threads} 0 {started} 0 0\n");
        fs::write(root.join(number).join("stat"), text).unwrap();
    }

    fn process(root: &Path, number: &str, comm: &str, arguments: &str, inodes: &[u64]) {
        let folder = root.join(number);
        fs::create_dir_all(folder.join("fd")).unwrap();
        stat(root, number, comm, 'S', 1, 100);
        fs::write(folder.join("cmdline"), arguments).unwrap();
        symlink("/dev/null", folder.join("fd/0")).unwrap();
        for (at, inode) in inodes.iter().enumerate() {
            symlink(format!("socket:[{inode}]"), folder.join(format!("fd/{}", at + 3))).unwrap();
        }
    }

    fn sockets_of(linux: &mut Linux, udp: bool) -> Vec<Socket> {
        linux.read(udp).unwrap().networks.remove(0).1
    }

    #[test]
    fn a_service_that_its_socket_started_gets_its_name() {
        let root = machine("activated");
        symlink("socket:[99]", root.join("1/fd/9")).unwrap();
        let mut linux = Linux::new(root.clone(), Ask::default());
        let mut owner = || {
            let sockets = sockets_of(&mut linux, false);
            let found = sockets.iter().find(|socket| socket.local.port == 50003).unwrap();
            found.process.as_ref().map(|it| it.name.to_string()).unwrap_or_default()
        };
        assert_eq!(owner(), "systemd");
        process(&root, "79", "web", "web", &[99]);
        let owners: Vec<String> = (0..20).map(|_| owner()).collect();
        assert_eq!(owners.last().unwrap(), "web");
        fs::remove_dir_all(&root).unwrap();
    }

    /// An owner is kept from one reading to the next, though never longer than it lives.
    #[test]
    fn a_process_that_ends_or_becomes_another_program() {
        let root = machine("changes");
        let mut linux = Linux::new(root.clone(), Ask::default());
        let mut names = || {
            let sockets = sockets_of(&mut linux, true);
            let of = |port| sockets.iter().find(|socket| socket.local.port == port).unwrap();
            [5432, 50000, 53]
                .map(|port| of(port).process.as_ref().map_or("-", |it| &it.name).to_string())
        };
        assert_eq!(names(), ["process_exporter-1", "process_exporter-1", "sshd"]);
        // What is kept is not looked for: the descriptors that said so are not needed again.
        fs::remove_dir_all(root.join("78/fd")).unwrap();
        stat(&root, "78", "other", 'S', 1, 100);
        assert_eq!(names(), ["process_exporter-1", "process_exporter-1", "other"]);
        fs::remove_dir_all(root.join("77")).unwrap();
        assert_eq!(names(), ["systemd", "-", "other"]);
        fs::remove_dir_all(&root).unwrap();
    }

    /// The name of the process that listens at that port, or `-`.
    fn server(linux: &mut Linux, port: u16) -> String {
        let sockets = sockets_of(linux, true);
        let found = sockets.iter().find(|socket| socket.local.port == port).unwrap();
        found.process.as_ref().map_or("-", |it| &it.name).to_string()
    }

    #[test]
    fn whole_names() {
        let root = machine("names");
        let mut linux = Linux::new(root.clone(), Ask::default());
        let mut name = |arguments: &str| {
            fs::write(root.join("77/cmdline"), arguments).unwrap();
            server(&mut linux, 5432)
        };
        let whole = "process_exporter.py";
        assert_eq!(name(&format!("/usr/bin/python3\0-u\0/opt/{whole}\0--port\09\0")), whole);
        assert_eq!(name("/opt/process_exporter.py --title\0"), whole);
        // What it calls itself, or others, is not its name.
        assert_eq!(name("java\0-x\0-y\0-z\0/opt/process_exporter.py\0"), "process_exporte");
        assert_eq!(name("worker\0/var/log/other\0"), "process_exporte");
        // A program that was replaced while it runs.
        symlink("/opt/process_exporter-1 (deleted)", root.join("77/exe")).unwrap();
        assert_eq!(name("worker\0"), "process_exporter-1");
        // A name with the characters that end it, and bytes that are no text.
        let text = [&b"77 (a) S) 1 (\xff) S "[..], &b"0 ".repeat(16), b"1 0 100 0\n"].concat();
        fs::write(root.join("77/stat"), text).unwrap();
        assert_eq!(name(""), "a) S) 1 (\u{fffd}");
        fs::remove_dir_all(&root).unwrap();
    }

    /// A process that has ended stands in /proc until its parent asks for it, and its number may
    /// become another's: neither hides who has the socket now.
    #[test]
    fn a_process_that_has_ended_hides_nobody() {
        let root = machine("ended");
        // Two share the listener, as a server's processes do after a fork.
        process(&root, "80", "worker", "worker", &[11]);
        let mut linux = Linux::new(root.clone(), Ask::default());
        assert_eq!(server(&mut linux, 5432), "process_exporter-1");
        stat(&root, "77", "process_exporte", 'Z', 1, 100);
        fs::remove_dir_all(root.join("77/fd")).unwrap();
        assert_eq!(server(&mut linux, 5432), "worker");
        stat(&root, "80", "other", 'S', 1, 999);
        fs::remove_dir_all(root.join("80/fd")).unwrap();
        assert_eq!(server(&mut linux, 5432), "systemd");
        fs::remove_dir_all(&root).unwrap();
    }

    /// Threads may have files of their own (CLONE_FILES), and may live longer than the first.
    #[test]
    fn threads_have_sockets_too() {
        let root = machine("threads");
        let descriptors = root.join("77/task/701/fd");
        fs::create_dir_all(&descriptors).unwrap();
        symlink("socket:[99]", descriptors.join("3")).unwrap();
        let mut linux = Linux::new(root.clone(), Ask::default());
        assert_eq!(server(&mut linux, 50003), "-", "of a process with one thread");
        stat(&root, "77", "process_exporte", 'Z', 2, 100);
        fs::remove_dir_all(root.join("77/fd")).unwrap();
        let names: Vec<String> = (0..20).map(|_| server(&mut linux, 50003)).collect();
        assert_eq!(names.last().unwrap(), "process_exporter-1");
        fs::remove_dir_all(&root).unwrap();
    }

    /// What is gone between one look and the next leaves no name, and nothing fails.
    #[test]
    fn a_process_that_goes_while_it_is_looked_at() {
        let root = machine("gone");
        for (number, missing) in [("81", "stat"), ("82", "fd"), ("83", "stat")] {
            process(&root, number, "gone", "gone", &[99]);
            let missing = root.join(number).join(missing);
            let _ = fs::remove_file(&missing).or_else(|_| fs::remove_dir_all(&missing));
        }
        fs::write(root.join("83/stat"), "83 (gone").unwrap();
        let mut linux = Linux::new(root.clone(), Ask::default());
        assert_eq!(server(&mut linux, 50003), "-");
        let reading = linux.read(true).unwrap();
        assert_eq!(reading.nameless, 3);
        let why = &reading.lacks[0].why;
        assert!(why.starts_with("3 sockets have no process name: no process that can"), "{why}");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn tables_and_owners_of_a_machine() {
        let root = machine("tables");
        let mut linux = Linux::new(root.clone(), Ask::default());
        let sockets = sockets_of(&mut linux, true);
        let show = |s: &Socket| {
            let (l, r, process) =
                (s.local, s.remote, s.process.as_ref().map_or("-", |it| &it.name));
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
            "tcp CloseWait 10.0.0.2 50002 10.0.0.3 443 -",
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
        assert_eq!(sockets_of(&mut linux, true), sockets);
        assert_eq!(sockets_of(&mut linux, false).len(), 7);
        assert_eq!(linux.ephemeral(), 32768..=60999);
        fs::remove_dir_all(&root).unwrap();
        let err = linux.read(true).map(drop).unwrap_err();
        assert!(err.starts_with("cannot read ") && err.contains("1/net/tcp: "), "{err}");
    }
}
