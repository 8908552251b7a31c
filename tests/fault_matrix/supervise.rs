//! What ends perijove while its parent watches: it comes back by itself, with all that it had.

use std::time::Duration;

use crate::account::{Account, Polling, SPOOL, polled, to_influxdb};
use crate::common::influxd::Influxd;
use crate::common::process::{children, signal};
use crate::common::{wait_for, wait_for_within};
use crate::perijove::{after_kills, newest};
use crate::{Fault, Long};

pub const FAULTS: &[&Fault] = &[
    &Fault { name: "supervised-crashes", quick: true, run: |long| ends(long, crash) },
    &Fault {
        name: "supervised-killed",
        quick: true,
        run: |long| ends(long, |id, _| signal(id, "KILL")),
    },
    &Fault { name: "supervised-hangs", quick: true, run: hangs },
    &Fault { name: "supervised-memory", quick: true, run: memory },
];

/// More routing tables than there is room for in the memory that perijove had for a few.
const LARGE: &str = "\"--tables\", \"4000\"";
const SMALL: &str = "\"--tables\", \"10\"";

fn start(influxd: &mut Influxd) -> (Polling, String) {
    influxd.stop();
    // A hung one is ended after 10 s and four times the drain timeout.
    let settings = format!("supervise = true\n{}", to_influxdb(influxd, SPOOL));
    let settings = settings.replace("drain_timeout = \"45s\"", "drain_timeout = \"2s\"");
    let mut polling = Polling::start(&settings);
    polling.poll(50);
    // An output goes to disk with its first failure, or when a batch takes more than a second.
    polling.go_on(Duration::from_millis(2500));
    (polling, settings)
}

fn child(polling: &Polling) -> u32 {
    let parent = polling.daemon.process.id();
    wait_for("perijove's child", || children(parent).first().copied())
}

/// Ends the child somehow. The parent stands still meanwhile, so that the records of the last
/// moment can be read before there are others.
fn end_once(polling: &mut Polling, how: impl FnOnce(&mut Polling, u32)) -> Vec<String> {
    let (parent, id) = (polling.daemon.process.id(), child(polling));
    signal(parent, "STOP");
    how(polling, id);
    wait_for("the child's end", || (!children(parent).contains(&id)).then_some(()));
    let in_hand = newest(&polled(&polling.daemon.directory));
    signal(parent, "CONT");
    wait_for("another child", || children(parent).first().filter(|new| **new != id).map(drop));
    polling.poll(50);
    in_hand
}

/// As a fault in a C library does it.
fn crash(id: u32, round: usize) {
    // Rust's own handler takes the first, and waits for the fault to come again.
    wait_for("a crash", || {
        signal(id, ["SEGV", "ABRT", "BUS"][round % 3]);
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

fn ends(long: &Long, how: fn(u32, usize)) -> Account {
    let mut influxd = Influxd::start();
    let (mut polling, _) = start(&mut influxd);
    let mut in_hand = Vec::new();
    for round in 0..if long.0 { 5 } else { 2 } {
        // At any moment of a poll, which comes every 250 ms.
        polling.go_on(Duration::from_millis(300 + 83 * round as u64));
        in_hand.push(end_once(&mut polling, |_, id| how(id, round)));
    }
    influxd.start_again();
    let restarts = polling.daemon.process.stderr().matches("it starts again in").count();
    let mut account = after_kills((polling, in_hand.clone()), &mut &influxd);
    if restarts != in_hand.len() {
        account.failures.push(format!("{restarts} restarts are logged, not {}", in_hand.len()));
    }
    account
}

/// It stands still, and its parent must notice.
fn hangs(_: &Long) -> Account {
    let mut influxd = Influxd::start();
    let (mut polling, _) = start(&mut influxd);
    let (parent, id) = (polling.daemon.process.id(), child(&polling));
    signal(id, "STOP");
    wait_for("it stands still", || {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        stat.contains(") T ").then_some(())
    });
    let in_hand = newest(&polled(&polling.daemon.directory));
    wait_for_within(Duration::from_secs(120), "another child", || {
        children(parent).first().filter(|new| **new != id).map(drop)
    });
    polling.poll(50);
    influxd.start_again();
    after_kills((polling, vec![in_hand]), &mut &influxd)
}

/// It needs more memory than it may have: no more than it had a moment before.
fn memory(_: &Long) -> Account {
    let mut influxd = Influxd::start();
    let (mut polling, settings) = start(&mut influxd);
    let in_hand = end_once(&mut polling, |polling, id| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a status");
        let used = status.lines().find_map(|line| line.strip_prefix("VmData:")).expect("a line");
        let used = used.trim().trim_end_matches(" kB");
        let limited = settings.replace(SMALL, LARGE);
        assert_ne!(limited, settings, "no router of that size");
        polling.daemon.write_settings(&format!("memory_limit = \"{used}kB\"\n{limited}"));
        signal(id, "HUP");
        wait_for("an end", || (!children(polling.daemon.process.id()).contains(&id)).then_some(()));
        polling.daemon.write_settings(&settings);
    });
    influxd.start_again();
    after_kills((polling, vec![in_hand]), &mut &influxd)
}
