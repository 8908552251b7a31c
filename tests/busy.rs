//! A router whose Routing Engine is busy is polled less.

mod common;

use std::time::{Duration, Instant};

use common::lines::Line;
use common::perijove::{Daemon, FAST, alarm_polls, local_router, own};
use common::temporary::Directory;
use common::{answer, free_port, http_agent, wait_for};

/// The figure of the session with the router, as it was told last.
fn session(lines: &[Line], field: &str) -> Option<f64> {
    let session = lines.iter().filter(|line| line.measurement == "perijove_session");
    own(&session.cloned().collect::<Vec<_>>(), ("host", "r1"), field)
}

fn wait_busy(daemon: &mut Daemon, value: f64) {
    daemon.wait_lines(&format!("busy = {value}"), |lines| {
        (session(lines, "busy") == Some(value)).then_some(())
    });
}

/// Says how busy the master is: CPU idle and memory in use. The other engine is a backup, whose
/// load is its own.
fn write_engines(directory: &Directory, idle: u32, memory: u32) {
    let text = format!("engine Master {idle} {memory}\nengine Backup 0 99\n");
    std::fs::rename(directory.write("new", text), directory.join("state")).expect("rename");
}

#[test]
fn a_busy_routing_engine_is_polled_at_one_of_four_ticks() {
    let directory = Directory::new();
    let engines = |idle, memory| write_engines(&directory, idle, memory);
    engines(50, 50);
    let options = format!("--configuration {}", directory.join("state").display());
    let settings = |more: &str| {
        let router = local_router("r1", &options);
        format!("{more}collectors = [\"alarm\", \"routingengine\"]\n{FAST}{router}")
    };
    let mut daemon = Daemon::start(&settings(""));
    wait_busy(&mut daemon, 0.0);
    daemon.wait_lines("polls", |lines| (alarm_polls(lines) >= 4).then_some(()));
    engines(5, 50);
    wait_busy(&mut daemon, 1.0);
    let figures = |daemon: &mut Daemon, at_least: f64| {
        daemon.wait_lines("polls that are left out", |lines| {
            let spared = session(lines, "spared_polls_total").filter(|count| *count >= at_least)?;
            let polls = own(lines, ("collector", "alarm"), "polls_total")?
                + own(lines, ("collector", "routingengine"), "polls_total")?;
            Some((spared, polls))
        })
    };
    let (spared, polls) = figures(&mut daemon, 6.0);
    let (more_spared, more_polls) = figures(&mut daemon, spared + 30.0);
    // Of each 4 ticks 3 are left out. A poll that still runs is told with the next report, and what
    // was printed may end between two lines of one.
    let (made, left_out) = (more_polls - polls, more_spared - spared);
    assert!((made * 3.0 - left_out).abs() <= 12.0, "{made} polls made, {left_out} left out");
    // Well below the threshold, and not only just below.
    engines(15, 50);
    let (spared, _) = figures(&mut daemon, more_spared);
    figures(&mut daemon, spared + 12.0);
    wait_busy(&mut daemon, 1.0);
    engines(30, 50);
    wait_busy(&mut daemon, 0.0);
    // Memory counts as well.
    engines(50, 96);
    wait_busy(&mut daemon, 1.0);
    // Thresholds may be set; the limit of 100 is never exceeded.
    daemon.reload(&settings("busy_memory_percent = 100\n"));
    wait_busy(&mut daemon, 0.0);
    let finished = daemon.stop();
    assert_eq!(finished.code, 0);
    let said = |words: &str| finished.stderr.matches(words).count();
    assert_eq!(said("r1: the Routing Engine is busy (CPU 95 %, memory 50 %): until"), 1);
    assert_eq!(said("r1: the Routing Engine is busy (CPU 50 %, memory 96 %): until"), 1);
    assert_eq!(said("r1: the Routing Engine is no longer busy (CPU 70 %, memory 50 %)"), 1);
}

/// Where scrapes cause the polls: a busy router rests for three intervals after each, and what is
/// kept of it is shown meanwhile.
#[test]
fn scrapes_of_a_busy_routing_engine_poll_it_at_one_of_four_intervals() {
    let directory = Directory::new();
    write_engines(&directory, 50, 50);
    let options = format!("--configuration {}", directory.join("state").display());
    let port = free_port();
    let mut daemon = Daemon::start(&format!(
        "collectors = [\"alarm\", \"routingengine\"]\ninterval = \"1s\"\npoll_share_max = 100\n{}\
         [output.prometheus]\nlisten = \"127.0.0.1:{port}\"\nmode = \"scrape\"\nage_min = \"0s\"\n\
         expire_intervals = 100\n",
        local_router("r1", &options)
    ));
    daemon.process.wait_stderr("serves http://");
    // The polls so far, whether it is busy, and the polls that were left out, as a scrape tells.
    let scrape = || {
        let request = http_agent().get(format!("http://127.0.0.1:{port}/metrics"));
        let (status, text) = request.call().and_then(answer).expect("an answer");
        assert_eq!(status, 200, "{text}");
        let value = |name: &str, label: &str| {
            let mut series = text.lines().filter(|line| line.starts_with(name));
            let line = series.find(|line| line.contains(label))?;
            line.rsplit_once(' ')?.1.parse::<f64>().ok()
        };
        assert!(value("junos_alarms_red_count", "").is_some(), "{text}");
        let polls = value("perijove_collector_polls_total", "alarm").expect("polls");
        let busy = value("perijove_session_busy", "").expect("whether it is busy");
        (polls, busy, value("perijove_session_spared_polls_total", "").unwrap_or(0.0))
    };
    let (polls, busy, spared) = scrape();
    assert_eq!((busy, spared), (0.0, 0.0));
    assert_eq!(scrape(), (polls + 1.0, 0.0, 0.0));
    write_engines(&directory, 5, 50);
    let since = Instant::now();
    assert_eq!(scrape(), (polls + 2.0, 1.0, 0.0));
    let (_, _, spared) =
        wait_for("the next poll", || Some(scrape()).filter(|(so_far, _, _)| *so_far > polls + 2.0));
    assert!(since.elapsed() >= Duration::from_secs(3), "{:?}", since.elapsed());
    assert!(spared > 0.0);
    write_engines(&directory, 50, 50);
    wait_for("a poll that finds it less busy", || {
        Some(scrape()).filter(|(_, busy, _)| *busy == 0.0)
    });
    let (polls, ..) = scrape();
    assert_eq!(scrape().0, polls + 1.0);
    assert_eq!(daemon.stop().code, 0);
}
