//! What the threads of a daemon may do, should somebody make them do it. That a confined thread
//! opens nothing else is shown beside the code; here is shown that the threads are confined.

use std::collections::BTreeMap;
use std::fs;

use crate::common::perijove::{Daemon, FAST, alarm_polls, local_router};
use crate::common::{free_port, wait_for};

/// The names of a process's threads, and whether each has a filter for its system calls.
fn threads(id: u32) -> BTreeMap<String, bool> {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("threads");
    let thread = |task: std::io::Result<fs::DirEntry>| {
        let status = fs::read_to_string(task.ok()?.path().join("status")).ok()?;
        let value = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_once('\t').map(|(_, value)| value.to_string())
        };
        Some((value("Name:")?, value("Seccomp:")? == "2" && value("NoNewPrivs:")? == "1"))
    };
    tasks.filter_map(thread).collect()
}

fn daemon(sandbox: &str) -> Daemon {
    let port = free_port();
    let settings = format!(
        "collectors = [\"alarm\"]\n{sandbox}{FAST}{}[output.stdout]\n\
         [output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n",
        local_router("r1", "")
    );
    let mut daemon = Daemon::start(&settings);
    daemon.wait_lines("polls", |lines| (alarm_polls(lines) >= 2).then_some(()));
    daemon
}

#[test]
fn threads_that_read_what_others_send_are_confined() {
    let confined = daemon("");
    // One that has just begun is confined a moment later.
    for name in ["router", "stdout", "prometheus"] {
        let is_confined = || threads(confined.process.id()).get(name).copied();
        wait_for(name, || is_confined().filter(|is_confined| *is_confined));
    }
    // These have work that a confined thread cannot do.
    let threads = threads(confined.process.id());
    for name in ["perijove", "children"] {
        assert_eq!(threads.get(name), Some(&false), "{name} of {threads:?}");
    }
    let finished = confined.stop();
    assert_eq!(finished.code, 0);
    assert!(finished.stderr.contains("Landlock and seccomp confine"), "{}", finished.stderr);
}

#[test]
fn the_sandbox_can_be_switched_off() {
    let free = daemon("sandbox = \"off\"\n");
    let threads = threads(free.process.id());
    assert!(threads.values().all(|is_confined| !is_confined), "{threads:?}");
    assert!(free.stop().stderr.contains("no thread is confined"));
}
