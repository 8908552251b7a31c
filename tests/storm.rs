//! Polls that could all come at once, after a start, a crash or a switch of mastership, are spread.

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use perijove::poll::schedule::phase;

use common::needs::skips;
use common::perijove::{Daemon, own};
use common::program;
use common::temporary::Directory;

const COLLECTORS: usize = 16;

/// A directory with so many collectors of a request each, and what a router that answers them all
/// says it is.
fn directory(role: &str) -> Directory {
    let directory = Directory::new();
    std::fs::create_dir(directory.join("collectors.d")).expect("a directory");
    for at in 0..COLLECTORS {
        let text = format!(
            "name = \"c{at}\"\nhelp = \"Rows.\"\nquery = [{{ rpc = \"<get-c{at}/>\", \
             command = \"show c{at}\", roots = [\"rows\"], point = [{{ item = \"row\", \
             measurement = \"c{at}\", help = \"A row.\", \
             fields = [{{ name = \"value\", gauge = \"value\", help = \"A number.\" }}] }}] }}]\n"
        );
        directory.write(&format!("collectors.d/c{at}.toml"), text);
    }
    directory.write("role", role);
    directory
}

/// Settings for all of them, of a router whose answers take so many seconds.
fn settings(more: &str, interval: u64, seconds: &str) -> String {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/any_request.py");
    let names: Vec<String> = (0..COLLECTORS).map(|at| format!("c{at}")).collect();
    format!(
        "{more}interval = \"{interval}s\"\nself_interval = \"300ms\"\ncollectors = {names:?}\n\
         [[router]]\nname = \"r1\"\ncommand = [{:?}, {server:?}, \"DIRECTORY\", \"{seconds}\"]\n",
        program("python3").to_str().expect("UTF-8")
    )
}

/// What was asked so far, and when, in seconds since 1970.
fn asked(directory: &Directory) -> Vec<(f64, String)> {
    let text = std::fs::read_to_string(directory.join("asked")).unwrap_or_default();
    let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
    let line = |line: &str| {
        let (time, name) = line.split_once(' ').expect("two words");
        (time.parse().expect("a time"), name.to_string())
    };
    whole.lines().map(line).collect()
}

/// Of the requests of one run: however many are due at once, those before the last 8 took their
/// share of the time at most. A machine that is slow makes them later, never sooner.
fn keeps_its_share(asked: &[(f64, String)], seconds: f64, share: f64) {
    for (before, (time, name)) in asked.iter().enumerate().skip(8) {
        let least = seconds / share * (before - 8) as f64;
        let passed = time - asked[0].0;
        assert!(passed >= least, "{name}, {before} others before it: {passed} s, and not {least}");
    }
}

#[test]
fn after_a_start_and_after_a_crash_the_router_rests_in_between() {
    if skips(&["python3"]) {
        return;
    }
    let mut daemon = Daemon::start_in(directory("master"), &settings("", 60, "0.1"), &[]);
    let first = daemon.process.wait_for("each collector's first poll", |_| {
        Some(asked(&daemon.directory)).filter(|asked| asked.len() >= COLLECTORS)
    });
    keeps_its_share(&first, 0.1, 0.25);
    daemon.process.kill();
    let Daemon { directory, .. } = daemon;
    let before = asked(&directory).len();
    let mut daemon = Daemon::start_in(directory, &settings("", 60, "0.1"), &[]);
    let again = daemon.process.wait_for("each collector's next poll", |_| {
        Some(asked(&daemon.directory).split_off(before)).filter(|asked| asked.len() >= COLLECTORS)
    });
    keeps_its_share(&again, 0.1, 0.25);
    assert_eq!(daemon.stop().code, 0);
}

/// Each collector is polled at its own tick, and these are all over the interval: what came due
/// while another engine was the master does not come at once.
#[test]
fn after_a_switch_of_mastership_each_collector_waits_for_its_tick() {
    /// A poll that was due before the switch may come after it, on a machine that is slow.
    const LATE: f64 = 10.0;
    const INTERVAL: u64 = 60;
    if skips(&["python3"]) {
        return;
    }
    let settings = settings("master_only = true\npoll_share_max = 100\n", INTERVAL, "0");
    let mut daemon = Daemon::start_in(directory("backup"), &settings, &[]);
    daemon.wait_lines("all collectors stand by", |lines| {
        let stands_by = |at| own(lines, ("collector", &format!("c{at}")), "no_data") == Some(1.0);
        (0..COLLECTORS).all(stands_by).then_some(())
    });
    assert_eq!(asked(&daemon.directory), [], "the backup was polled");
    let switched = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let new = daemon.directory.write("new", "master");
    std::fs::rename(new, daemon.directory.join("role")).expect("rename");
    let polled = daemon.process.wait_for("the first polls of the new master", |_| {
        Some(asked(&daemon.directory)).filter(|asked| asked.len() >= COLLECTORS / 4)
    });
    let mut ticks = BTreeMap::new();
    for (time, request) in polled {
        let collector = request.strip_prefix("get-").expect("a request");
        let interval = Duration::from_secs(INTERVAL).as_secs_f64();
        let offset = phase("r1", collector) * interval;
        // Its last tick before it was polled.
        let tick =
            ((time - offset) / interval).floor() * interval + offset - switched.as_secs_f64();
        ticks.insert(request, tick);
    }
    assert!(ticks.values().all(|tick| *tick > -LATE), "seconds after the switch: {ticks:?}");
    assert_eq!(daemon.stop().code, 0);
}
