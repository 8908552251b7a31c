//! Linux: the network namespaces of the machine's processes, such as those of containers.
//!
//! A thread that enters a namespace ends in it, so that no thread of perijove is ever in the wrong
//! one. What it opened there goes on working: netlink answers for the namespace in which its socket
//! was made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::events::Events;
use super::netlink::Netlink;
use crate::base::{panics, sys};
use crate::dependency::status::Lack;

/// So many are read; what more there are is left out and counted.
const SPACES_MAX: usize = 256;

/// A namespace that is read. It lives at least until the reading after its last process.
pub struct Space {
    namespace: File,
    pub netlink: Netlink,
    /// Whether a process was in it at this reading.
    is_used: bool,
}

#[derive(Default)]
pub struct Spaces {
    /// By the number that /proc has for it.
    pub open: BTreeMap<u64, Space>,
    /// Those beyond the limit at this reading.
    pub dropped: u64,
    /// Why some are not read.
    pub lack: Option<Lack>,
}

/// The number of a process's network namespace.
pub fn number(process: &Path) -> io::Result<u64> {
    fs::metadata(process.join("ns/net")).map(|namespace| namespace.ino())
}

impl Spaces {
    /// Opens those that are new among these processes' and lets go of those that were not used at
    /// the reading before; `own` is perijove's.
    pub fn update(
        &mut self,
        proc: &Path,
        processes: &[u32],
        own: Option<u64>,
        events: Option<&mut Events>,
    ) {
        let mut events = events;
        self.open.retain(|id, space| {
            let was_used = std::mem::replace(&mut space.is_used, false);
            if let (false, Some(events)) = (was_used, events.as_deref_mut()) {
                events.remove(*id);
            }
            was_used
        });
        self.lack = None;
        let mut refused: BTreeMap<u64, String> = BTreeMap::new();
        let mut beyond = BTreeSet::new();
        for process in processes {
            let folder = proc.join(process.to_string());
            let Ok(id) = number(&folder) else { continue };
            if Some(id) == own || refused.contains_key(&id) {
                continue;
            }
            if let Some(space) = self.open.get_mut(&id) {
                space.is_used = true;
            } else if self.open.len() >= SPACES_MAX {
                beyond.insert(id);
            } else {
                match open(id, folder, events.as_deref_mut()) {
                    Ok(space) => drop(self.open.insert(id, space)),
                    Err(why) => drop(refused.insert(id, why)),
                }
            }
        }
        self.dropped = beyond.len() as u64;
        if let Some(why) = refused.values().next() {
            let why = format!(
                "{} network namespaces of other processes are not read ({why}): perijove needs \
                 the capabilities CAP_SYS_ADMIN and CAP_SYS_PTRACE, or root; namespaces = false \
                 leaves them out",
                refused.len()
            );
            self.lack = Some(Lack { kind: "namespaces".into(), why });
        }
    }
}

fn open(id: u64, process: PathBuf, events: Option<&mut Events>) -> Result<Space, String> {
    let namespace = File::open(process.join("ns/net")).map_err(|err| err.to_string())?;
    let netlink = || Ok((Netlink::open()?, Events::source()));
    let (netlink, source) =
        inside(&namespace, netlink)?.map_err(|err: io::Error| err.to_string())?;
    if let (Some(events), Ok(source)) = (events, source) {
        events.add(id, source).map_err(|err| err.to_string())?;
    }
    Ok(Space { namespace, netlink, is_used: true })
}

impl Space {
    /// Runs it in the namespace.
    pub fn inside<T: Send>(&self, run: impl FnOnce() -> T + Send) -> Result<T, String> {
        inside(&self.namespace, run)
    }
}

fn inside<T: Send>(namespace: &File, run: impl FnOnce() -> T + Send) -> Result<T, String> {
    let entered = || {
        sys::enter_network(namespace).map_err(|err| format!("setns: {err}"))?;
        panics::caught(run)
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, entered);
        let thread = thread.map_err(|err| format!("no thread: {err}"))?;
        thread.join().unwrap_or_else(|_| Err("the thread ended".into()))
    })
}
