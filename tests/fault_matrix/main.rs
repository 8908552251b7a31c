//! The fault matrix: perijove polls the simulated router, something breaks, and every point is
//! accounted for at the far end. `tests/faults` runs this; so does `cargo test`, the quick ones.
//!
//! A line each: `fault NAME points N lost N duplicate N dropped N ok|FAILED`.

#[path = "../common/mod.rs"]
mod common;

mod account;
mod events;
mod federation;
mod flow;
mod influxdb;
mod kafka;
mod perijove;
mod spool;
mod supervise;

use std::collections::VecDeque;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::Instant;

use account::Account;

/// A fault, and how it is brought about.
pub struct Fault {
    pub name: &'static str,
    /// Runs with `cargo test` too: takes no more than some ten seconds.
    pub quick: bool,
    pub run: fn(&Long) -> Account,
}

/// How long things last: as the matrix has it, or shorter.
pub struct Long(pub bool);

impl Long {
    /// Seconds of an outage.
    pub fn outage(&self) -> std::time::Duration {
        std::time::Duration::from_secs(if self.0 { 30 } else { 4 })
    }
}

const HELP: &str = "\
usage: tests/faults [--list] [--quick] [NAME…]

Runs the faults whose names begin with NAME, or all of them. With --quick, those that `cargo test`
runs, and outages of 4 s instead of 30 s. Each prints a line:
  fault NAME points N lost N duplicate N dropped N ok|FAILED
and the exit code is 1 if any has FAILED. Lines that begin with # say more.";

/// Most of the time a fault waits, so that several run at once.
const AT_ONCE: usize = 4;

/// What takes all that the machine or its disk has: it runs by itself, after the others.
const ALONE: [&str; 4] = ["flow-200-routers", "flow-20-routers", "memory-influxdb", "memory-kafka"];

/// With `cargo test`, as many that failed beside others are tried once more, each by itself: the
/// machine may do other work. They are told in any case.
const ONCE_MORE: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--help") {
        println!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let names: Vec<&String> = arguments.iter().filter(|name| !name.starts_with("--")).collect();
    // `cargo test` gives its own flags, or none.
    let all = has("--all");
    let faults = [
        influxdb::FAULTS,
        kafka::FAULTS,
        perijove::FAULTS,
        events::FAULTS,
        supervise::FAULTS,
        spool::FAULTS,
        flow::FAULTS,
        federation::FAULTS,
    ]
    .concat();
    let wanted = |fault: &&Fault| {
        (all || fault.quick)
            && (names.is_empty() || names.iter().any(|name| fault.name.starts_with(*name)))
    };
    let chosen: Vec<&Fault> = faults.iter().copied().filter(wanted).collect();
    if has("--list") {
        chosen.iter().for_each(|fault| println!("{}: test", fault.name));
        return ExitCode::SUCCESS;
    }
    let long = Long(all);
    let (alone, beside): (Vec<&Fault>, Vec<&Fault>) =
        chosen.into_iter().partition(|fault| ALONE.contains(&fault.name));
    let (queue, failed) = (Mutex::new(VecDeque::from(beside)), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(fault) = { queue.lock().expect("the list").pop_front() } {
                    if !run(fault, &long) {
                        failed.lock().expect("a list").push(fault);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().expect("a list");
    if !all && failed.len() <= ONCE_MORE {
        failed.retain(|fault| {
            println!("# once more, by itself: {}", fault.name);
            !run(fault, &long)
        });
    }
    failed.extend(alone.into_iter().filter(|fault| {
        // What those before have written, gigabytes, would stop the next one's InfluxDB.
        let _ = Command::new("sync").status();
        !run(fault, &long)
    }));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one and prints its line; one that panics has failed.
fn run(fault: &Fault, long: &Long) -> bool {
    let start = Instant::now();
    let ran = std::panic::catch_unwind(|| (fault.run)(long));
    let seconds = start.elapsed().as_secs();
    match ran {
        Ok(account) => {
            let Account { points, lost, duplicate, dropped, .. } = &account;
            let wrong = account.wrong();
            let ok = if wrong.is_empty() { "ok" } else { "FAILED" };
            let notes = account.notes.iter().chain(&wrong);
            let notes: String = notes.map(|note| format!("# {}: {note}\n", fault.name)).collect();
            println!(
                "{notes}fault {} points {points} lost {lost} duplicate {duplicate} dropped \
                 {dropped} {ok} # {seconds} s",
                fault.name
            );
            wrong.is_empty()
        }
        Err(_) => {
            println!("fault {} FAILED # after {seconds} s, said why above", fault.name);
            false
        }
    }
}
