//! Linux: which process has which socket, by `/proc/PID/fd`.
//!
//! The owner of a socket is kept from one reading to the next, because finding it costs a system
//! call for each descriptor of a process. Processes are looked into only while there are sockets
//! whose owner is not known yet, those that had sockets last time first, so that most are never
//! touched.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::full_name;
use super::who::{self, Names};
use crate::dependency;

/// The kernel keeps that much of a process's name.
const COMM_BYTES_MAX: usize = 15;
/// After so many readings all owners are looked for again: the first process has the sockets of
/// services until they come to take them, and a process may hand one to another.
const OWNER_READINGS: u32 = 20;
/// Threads may have files of their own: so many are looked into in a reading.
const THREADS_MAX: usize = 5_000;
/// Where systemd starts services by their sockets, it has these.
const FIRST: u32 = 1;

/// A process: its number, and when it started. Another one may get the number later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Id {
    number: u32,
    started: u64,
}

/// What is known of a process that runs.
#[derive(Clone, Debug)]
struct Process {
    started: u64,
    threads: u32,
    name: String,
}

pub struct Owners {
    proc: PathBuf,
    /// The process that owns a socket, by its inode; `None` if no visible process owns it.
    owners: HashMap<u64, Option<Id>>,
    readings: u32,
    /// Processes that this user may not look into.
    denied: HashSet<u32>,
    /// The names of containers, where it is asked who a process is.
    containers: Option<Names>,
}

/// Those that run, as far as this reading has asked for them.
struct Running {
    proc: PathBuf,
    known: HashMap<u32, Option<Process>>,
}

impl Running {
    fn get(&mut self, number: u32) -> Option<&Process> {
        let folder = self.proc.join(number.to_string());
        self.known.entry(number).or_insert_with(|| process(&folder)).as_ref()
    }

    fn of(&mut self, id: Id) -> Option<&Process> {
        self.get(id.number).filter(|process| process.started == id.started)
    }
}

impl Owners {
    /// `who`: whether to find the unit, container and pod of each process.
    pub fn new(proc: PathBuf, who: bool) -> Owners {
        let containers = who.then(Names::default);
        Owners { proc, owners: HashMap::new(), readings: 0, denied: HashSet::new(), containers }
    }

    /// The processes of these sockets, by inode, where they are known.
    pub fn name(&mut self, wanted: &HashSet<u64>) -> HashMap<u64, Arc<dependency::Process>> {
        let mut running = Running { proc: self.proc.clone(), known: HashMap::new() };
        // The sockets of a process that has ended may belong to another one now.
        self.owners.retain(|inode, owner| {
            wanted.contains(inode) && owner.is_none_or(|id| running.of(id).is_some())
        });
        let mut known: Vec<u32> = self.owners.values().flatten().map(|id| id.number).collect();
        known.sort_unstable();
        known.dedup();
        known.retain(|number| *number != FIRST);
        self.readings += 1;
        if self.readings.is_multiple_of(OWNER_READINGS) {
            self.owners.clear();
            self.denied.clear();
        }
        let is_unknown = |inode: &&u64| !self.owners.contains_key(inode);
        let mut unknown: HashSet<u64> = wanted.iter().filter(is_unknown).copied().collect();
        for number in &known {
            self.look_into(*number, &mut unknown, &mut running);
        }
        if !unknown.is_empty() {
            let mut others = self.processes();
            others.retain(|number| known.binary_search(number).is_err());
            eldest_first(&mut others);
            for number in &others {
                self.look_into(*number, &mut unknown, &mut running);
            }
            known.extend(others);
            self.look_into_threads(&known, &mut unknown, &mut running);
        }
        self.owners.extend(unknown.into_iter().map(|inode| (inode, None)));
        let mut found: HashMap<Id, Arc<dependency::Process>> = HashMap::new();
        let mut names = HashMap::new();
        let Owners { proc, owners, containers, .. } = self;
        for (inode, owner) in owners.iter() {
            let Some((id, process)) = owner.and_then(|id| Some((id, running.of(id)?))) else {
                continue;
            };
            let process = found.entry(id).or_insert_with(|| {
                let folder = proc.join(id.number.to_string());
                let who = containers.as_mut().map(|names| who::of(&folder, names));
                let (name, who) = (process.name.as_str().into(), who.unwrap_or_default());
                Arc::new(dependency::Process { name, who })
            });
            names.insert(*inode, process.clone());
        }
        names
    }

    /// How many of these sockets have no name although a process has them, and why.
    pub fn nameless(&self, sockets: u64) -> Option<String> {
        if sockets == 0 {
            return None;
        }
        let hides = hides_processes(&self.proc);
        let why = match self.denied.len() {
            0 if hides => "the process file system is mounted with hidepid, which hides the \
                 processes of others: run as root, or in the group of its option gid="
                .to_string(),
            0 => "no process that can be seen has them, such as those of the kernel itself or of \
                 another PID namespace"
                .to_string(),
            denied => format!(
                "{denied} processes of others may not be looked into: perijove needs the \
                 capabilities CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, or root"
            ),
        };
        Some(format!("{sockets} sockets have no process name: {why}"))
    }

    pub fn processes(&self) -> Vec<u32> {
        numbers(&self.proc)
    }

    /// Finds which of the unknown sockets a process has; one that has ended, or that this user may
    /// not look into, has none.
    fn look_into(&mut self, number: u32, unknown: &mut HashSet<u64>, running: &mut Running) {
        if unknown.is_empty() {
            return;
        }
        let folder = self.proc.join(number.to_string()).join("fd");
        self.look_at(&folder, number, unknown, running);
    }

    /// The same for what threads have besides their process: files of their own, or all that is
    /// left where the first of them has ended.
    fn look_into_threads(
        &mut self,
        processes: &[u32],
        unknown: &mut HashSet<u64>,
        running: &mut Running,
    ) {
        let mut left = THREADS_MAX;
        for number in processes {
            if unknown.is_empty() || left == 0 {
                return;
            }
            if running.get(*number).is_none_or(|process| process.threads < 2) {
                continue;
            }
            let tasks = self.proc.join(number.to_string()).join("task");
            for thread in numbers(&tasks).into_iter().filter(|thread| thread != number).take(left) {
                left -= 1;
                let folder = tasks.join(thread.to_string()).join("fd");
                self.look_at(&folder, *number, unknown, running);
            }
        }
    }

    fn look_at(
        &mut self,
        folder: &Path,
        number: u32,
        unknown: &mut HashSet<u64>,
        running: &mut Running,
    ) {
        let descriptors = match fs::read_dir(folder) {
            Ok(descriptors) => descriptors,
            Err(err) => {
                if err.kind() == io::ErrorKind::PermissionDenied {
                    self.denied.insert(number);
                }
                return;
            }
        };
        for descriptor in descriptors.flatten() {
            let target = match fs::read_link(descriptor.path()) {
                Ok(target) => target,
                // Who may list them may not see what they are.
                Err(err) if err.kind() == io::ErrorKind::PermissionDenied => {
                    self.denied.insert(number);
                    return;
                }
                Err(_) => continue,
            };
            let Some(inode) = inode(&target).filter(|inode| unknown.contains(inode)) else {
                continue;
            };
            // One that ends meanwhile leaves the socket to another, or to nobody.
            let Some(process) = running.get(number) else { return };
            let id = Id { number, started: process.started };
            unknown.remove(&inode);
            self.owners.insert(inode, Some(id));
            if unknown.is_empty() {
                return;
            }
        }
    }
}

/// The names of a folder that are numbers.
fn numbers(folder: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let number = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    entries.filter_map(number).collect()
}

/// A socket of several processes belongs to the oldest; to the first process only if no other has
/// it.
fn eldest_first(processes: &mut [u32]) {
    processes.sort_unstable_by_key(|process| if *process == FIRST { u32::MAX } else { *process });
}

/// The number in `socket:[12345]`.
fn inode(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The process whose folder that is; none if it has ended, be its parent yet to ask for it.
fn process(folder: &Path) -> Option<Process> {
    let text = fs::read(folder.join("stat")).ok()?;
    let text = String::from_utf8_lossy(&text);
    // The name may have any bytes in it.
    let (before, behind) = text.rsplit_once(") ")?;
    let comm = before.split_once(" (")?.1;
    let mut words = behind.split_ascii_whitespace();
    let state = words.next()?;
    let threads = words.nth(16)?.parse().ok()?;
    let started = words.nth(1)?.parse().ok()?;
    // The first thread may end before the others.
    if matches!(state, "Z" | "X") && threads < 2 {
        return None;
    }
    Some(Process { started, threads, name: name(folder, comm) })
}

fn name(folder: &Path, comm: &str) -> String {
    if comm.len() < COMM_BYTES_MAX {
        return comm.into();
    }
    let arguments = fs::read(folder.join("cmdline")).unwrap_or_default();
    let program = fs::read_link(folder.join("exe")).unwrap_or_default();
    let program = program.to_string_lossy();
    // What was replaced while it runs.
    let program = program.strip_suffix(" (deleted)").unwrap_or(&program);
    full_name(comm, COMM_BYTES_MAX, &arguments, program)
}

/// Whether that process file system hides the processes of other users.
fn hides_processes(proc: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().any(|line| {
        let mut words = line.split(' ').skip(1);
        let is_this = words.next().is_some_and(|place| Path::new(place) == proc);
        let options = words.nth(1).unwrap_or_default();
        let option = options.split(',').find_map(|option| option.strip_prefix("hidepid="));
        is_this && !matches!(option, None | Some("0" | "off"))
    })
}
