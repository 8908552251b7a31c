//! A router whose Routing Engine is busy is polled less.

mod common;

use common::lines::Line;
use common::perijove::{Daemon, FAST, alarm_polls, local_router, own};
use common::temporary::Directory;

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

#[test]
fn a_busy_routing_engine_is_polled_at_one_of_four_ticks() {
    let directory = Directory::new();
    // Master, CPU idle and memory in use; the other engine is a backup, whose load is its own.
    let engines = |idle: u32, memory: u32| {
        let text = format!("engine Master {idle} {memory}\nengine Backup 0 99\n");
        std::fs::rename(directory.write("new", text), directory.join("state")).expect("rename");
    };
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
