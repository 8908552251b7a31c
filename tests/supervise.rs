//! `supervise`: a parent that starts perijove again, and nothing else.

mod common;

use std::time::Instant;

use common::perijove::{Daemon, FAST, alarm_polls, hosts, local_router, perijove, whole_lines};
use common::process::{Process, children, run, signal};
use common::temporary::Directory;
use common::wait_for;

fn polling(name: &str) -> String {
    format!(
        "supervise = true\ncollectors = [\"alarm\"]\n{FAST}drain_timeout = \"100ms\"\n\
         state_directory = \"DIRECTORY\"\n{}",
        local_router(name, "")
    )
}

/// The child of a parent, once there is one that is another than this.
fn child(parent: &Process, before: u32) -> u32 {
    wait_for("a child", || children(parent.id()).first().copied().filter(|id| *id != before))
}

/// Ends a child as a fault does: Rust's own handler takes the first SIGSEGV, and waits for the
/// fault to come again.
fn crash(parent: &Process, id: u32, name: &str) {
    wait_for("the child's end", || {
        signal(id, name);
        (!children(parent.id()).contains(&id)).then_some(())
    });
}

fn restarts(process: &Process) -> f64 {
    let lines = whole_lines(&process.stdout());
    let last = lines.iter().rev().find(|line| line.measurement == "perijove_restarts");
    last.map_or(-1.0, |line| line.number("total"))
}

/// Waits until it has polled so often since then.
fn wait_polls(daemon: &mut Daemon, more: usize) {
    let before = alarm_polls(&whole_lines(&daemon.process.stdout()));
    daemon.wait_lines("polls", |lines| (alarm_polls(lines) >= before + more).then_some(()));
}

#[test]
fn whatever_ends_it_it_comes_back_and_says_so() {
    // Time for a busy machine: a poll that does not end within it is said behind the stop.
    let polling = |name| polling(name).replace("\"100ms\"", "\"50s\"");
    let mut daemon = Daemon::start(&polling("r1"));
    let mut id = child(&daemon.process, 0);
    wait_polls(&mut daemon, 2);
    daemon.process.wait_for("no restart", |process| (restarts(process) == 0.0).then_some(()));
    for (count, name) in [(1.0, "SEGV"), (2.0, "KILL"), (3.0, "ABRT")] {
        crash(&daemon.process, id, name);
        id = child(&daemon.process, id);
        daemon
            .process
            .wait_for("one restart more", |process| (restarts(process) == count).then_some(()));
        wait_polls(&mut daemon, 2);
        daemon.process.wait_stderr(&format!("(SIG{name})); it starts again in "));
    }
    daemon.process.wait_stderr("this is restart 3: perijove has ended (signal: 6 (SIGABRT))");
    // A reload reaches the child, and a stop ends both in good order.
    daemon.reload(&polling("r2"));
    daemon
        .wait_lines("polls of the new settings", |lines| hosts(lines).contains("r2").then_some(()));
    assert_eq!(children(daemon.process.id()), [id]);
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(finished.stderr.ends_with("stopping\n"), "{}", finished.stderr);
}

/// One that does nothing is not told from one that has ended: its parent kills it.
#[test]
fn one_that_stands_still_is_ended() {
    let mut daemon = Daemon::start(&polling("r1"));
    let id = child(&daemon.process, 0);
    wait_polls(&mut daemon, 1);
    signal(id, "STOP");
    child(&daemon.process, id);
    daemon.process.wait_stderr("gave no sign of life in time, and was killed");
    wait_polls(&mut daemon, 2);
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn wrong_settings_end_both_at_once() {
    let directory = Directory::new();
    let file = directory.write("perijove.toml", "supervise = true\nintervall = \"1s\"\n");
    let refused = run(perijove(&["run", "--config"]).arg(&file));
    assert_eq!(
        (refused.code, refused.stderr.matches("unknown key").count()),
        (2, 1),
        "{refused:?}"
    );
}

/// Whoever mends the settings need not wait for the next try.
#[test]
fn settings_that_are_wrong_later_are_mended_later() {
    let mut daemon = Daemon::start(&polling("r1"));
    let id = child(&daemon.process, 0);
    wait_polls(&mut daemon, 1);
    daemon.directory.write("perijove.toml", "intervall = \"1s\"\n");
    signal(id, "KILL");
    daemon.process.wait_stderr("has ended (exit status: 2)");
    daemon.process.wait_stderr("unknown key `intervall`");
    daemon.reload(&polling("r2"));
    daemon
        .wait_lines("polls of the new settings", |lines| hosts(lines).contains("r2").then_some(()));
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_child_ends_with_its_parent() {
    let mut daemon = Daemon::start(&polling("r1"));
    let id = child(&daemon.process, 0);
    wait_polls(&mut daemon, 1);
    signal(daemon.process.id(), "KILL");
    wait_for("the child's end", || {
        let status = std::fs::read_to_string(format!("/proc/{id}/stat"));
        status.map_or(true, |stat| stat.contains(") Z ")).then_some(())
    });
    daemon.process.wait_stderr("stopping");
    // Its lock is free.
    let mut again = Daemon::start_in(daemon.directory, &polling("r1"), &[]);
    wait_polls(&mut again, 1);
    assert_eq!(again.stop().code, 0);
}

/// A terminal, or a service manager, signals both.
#[test]
fn a_stop_that_comes_twice_is_one() {
    let mut daemon = Daemon::start(&polling("r1"));
    let id = child(&daemon.process, 0);
    wait_polls(&mut daemon, 1);
    signal(id, "TERM");
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{finished:?}");
}

#[test]
fn the_parent_is_tiny_and_sleeps() {
    let mut daemon = Daemon::start(&polling("r1"));
    let id = child(&daemon.process, 0);
    wait_polls(&mut daemon, 5);
    signal(id, "KILL");
    child(&daemon.process, id);
    wait_polls(&mut daemon, 5);
    let parent = daemon.process.id();
    let status = |what: &str| {
        let status = std::fs::read_to_string(format!("/proc/{parent}/status"));
        let status = status.expect("a status");
        let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("a line");
        line.trim_start_matches(':')
            .split_whitespace()
            .next()
            .expect("a value")
            .parse::<u64>()
            .expect("a number")
    };
    assert_eq!(status("Threads"), 1);
    // Of its own; the program's code is shared with the child's.
    assert!(status("RssAnon") < 2048, "{} kB", status("RssAnon"));
    let before = status("voluntary_ctxt_switches");
    let start = Instant::now();
    wait_polls(&mut daemon, 10);
    let wakes = status("voluntary_ctxt_switches") - before;
    // It looks every 10 s until the child has begun to promise, and then more rarely.
    let expected = start.elapsed().as_secs() / 10 + 1;
    assert!(wakes <= expected, "{wakes} wake-ups in {:?}", start.elapsed());
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn beyond_its_memory_it_starts_again() {
    // A server that is away, and a queue for it that may have more than perijove.
    let output = "[output.influxdb]\nurl = \"http://127.0.0.1:9\"\ndatabase = \"d\"\n\
                  queue_bytes_max = \"1GB\"\n";
    let settings = |limit: &str| {
        let collectors = "\"alarm\", \"route\"]\n";
        let router = local_router("r1", "--tables 1000");
        let all = polling("r1").replace(&local_router("r1", ""), &router);
        limit.to_string() + &all.replace("\"alarm\"]\n", collectors) + output
    };
    let mut daemon = Daemon::start(&settings(""));
    let id = child(&daemon.process, 0);
    daemon.process.wait_stderr("influxdb");
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a status");
    let used = status.lines().find_map(|line| line.strip_prefix("VmData:")).expect("a line");
    let used: u32 = used.trim().trim_end_matches(" kB").parse().expect("a number");
    daemon.reload(&settings(&format!("memory_limit = \"{}kB\"\n", used + 1024)));
    daemon.process.wait_stderr("it starts again in ");
    daemon.reload(&settings("memory_limit = \"1GB\"\n"));
    let id = child(&daemon.process, id);
    wait_for("the router's program, without the limit", || {
        let router = children(id).first().copied()?;
        let limits = std::fs::read_to_string(format!("/proc/{router}/limits")).ok()?;
        let data = limits.lines().find(|line| line.starts_with("Max data size"))?;
        data.contains("unlimited").then_some(())
    });
    assert_eq!(daemon.stop().code, 0);
}

/// docs/on-the-router.md: its first settings, and the flags that the package starts perijove with.
#[test]
fn the_first_hour_has_settings_that_are_right() {
    let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(project.join(path)).expect(path);
    let document = read("docs/on-the-router.md");
    let (_, after) = document.split_once("```toml\n").expect("settings");
    let (settings, _) = after.split_once("```").expect("their end");
    let source = perijove::config::Source::parse(Some("document".into()), settings.into());
    let config = source.into_config().expect("settings without a fault");
    assert_eq!(config.memory_limit, Some(256 << 20));
    assert_eq!(config.warnings, [""; 0]);
    // What the program says of itself; a test's has no commit.
    let (_, after) = document.split_once("perijove --version\"\n").expect("what it prints");
    let (shown, _) = after.split_once("\n# ").expect("the next command");
    let names = |text: &str| -> Vec<String> {
        let names = text.lines().filter_map(|line| Some(line.split_once(' ')?.0.to_string()));
        names.filter(|name| name != "commit").collect()
    };
    let said = run(&mut perijove(&["--version"]));
    assert_eq!(names(shown), names(&said.stdout));
    let set = read("packaging/junos/application.set");
    assert!(
        set.contains("arguments \"--supervise --config /var/db/perijove/perijove.toml\""),
        "{set}"
    );
}
