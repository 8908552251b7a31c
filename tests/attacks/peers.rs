//! Attacks by a NETCONF server that says what it likes, when it likes: it takes its own readings
//! away, and nothing else.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::common::needs::skips;
use crate::common::perijove::{Daemon, local_router, own};
use crate::common::process::{peak_bytes, run};
use crate::common::{DEADLINE, program};

const MEMORY_BYTES_MAX: u64 = 64 << 20;
const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/hostile_peer.py");
/// The cases that are tried at a time.
const AT_A_TIME: usize = 6;

/// Polls this peer, and another router beside it.
fn start(case: &str) -> Daemon {
    let python = program("python3");
    let bad = format!(
        "[[router]]\nname = \"bad\"\ntransport = \"local\"\nconnect_timeout = \"2s\"\n\
         command = [{python:?}, \"{PEER}\", \"{case}\"]\n"
    );
    let often = "interval = \"500ms\"\npoll_share_max = 100\nself_interval = \"500ms\"\n";
    Daemon::start(&format!(
        "collectors = [\"interfaces\"]\n{often}timeout = \"2s\"\n{bad}{}",
        local_router("good", "--interfaces 5"),
    ))
}

/// Goes on until both were polled several times.
fn try_case(case: &str) {
    let mut daemon = start(case);
    let id = daemon.process.id();
    daemon.process.wait_for(case, |process| {
        let stdout = process.stdout();
        let own_lines: Vec<_> = stdout.lines().filter(|line| line.contains("host=bad")).collect();
        let polls = own_lines.iter().rev().find_map(|line| {
            let (_, rest) = line.split_once("polls_total=")?;
            rest.split(['i', ',', ' ']).next()?.parse::<f64>().ok()
        });
        let good = stdout.matches("interface,host=good").count();
        let is_said = process.stderr().contains("bad: ");
        std::thread::sleep(Duration::from_millis(100));
        ((is_said || polls.is_some_and(|polls| polls >= 2.0)) && good >= 15).then_some(())
    });
    let peak = peak_bytes(id);
    let started = Instant::now();
    let finished = daemon.stop();
    let took = started.elapsed();
    assert_eq!(finished.code, 0, "{case}: {}", finished.stderr);
    // Half of `drain_timeout` is for routers; what is more is a busy machine's.
    assert!(took < DEADLINE / 2, "{case}: it took {took:?} to end");
    assert!(peak < MEMORY_BYTES_MAX, "{case}: {} MB", peak >> 20);
    let log = &finished.stderr;
    assert!(log.len() < 20_000, "{case}: {} bytes are logged", log.len());
    assert!(!log.contains("panicked") && !log.lines().any(is_forged), "{case}: {log}");
    assert!(!log.contains(|c: char| c.is_control() && c != '\n'), "{case}: {log:?}");
    for line in finished.stdout.lines() {
        let is_ours = ["interface", "perijove_"].iter().any(|name| line.starts_with(name));
        assert!(is_ours && !is_forged(line), "{case}: {line}");
    }
}

fn is_forged(line: &str) -> bool {
    line.trim_start().starts_with("FORGED")
}

#[test]
fn a_peer_that_misbehaves_costs_only_its_own_readings() {
    if skips(&["python3"]) {
        return;
    }
    let listed = run(Command::new(program("python3")).arg(Path::new(PEER)).arg("--list"));
    let cases: VecDeque<String> =
        listed.stdout.split_ascii_whitespace().map(String::from).collect();
    assert!(cases.len() > 50, "{listed:?}");
    let cases = Mutex::new(cases);
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(case) = cases.lock().map(|mut cases| cases.pop_front()).unwrap() {
                    try_case(&case);
                }
            });
        }
    });
}

/// Whether nothing comes, or something all the time: the poll ends at its limit of two seconds.
/// What is more is a busy machine's.
#[test]
fn a_peer_that_misbehaves_is_waited_for_no_longer_than_the_limit() {
    if skips(&["python3"]) {
        return;
    }
    for case in ["late", "slow", "bytes-one-by-one", "close-tags-that-begin", "words-on-the-error"]
    {
        let mut daemon = start(case);
        let seconds = daemon.wait_lines(case, |lines| {
            own(lines, ("host", "bad"), "duration_seconds").filter(|seconds| *seconds > 1.9)
        });
        println!("{case}: {seconds:.2} s");
        assert!(seconds < 10.0, "{case}: {seconds} s");
        assert_eq!(daemon.stop().code, 0);
    }
}
