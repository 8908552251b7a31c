//! Outputs that are away, kills and reloads: no window is lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::http_stub::{HttpStub, Reply};
use crate::common::influxd::Influxd;
use crate::common::needs::skips;
use crate::common::perijove::whole_lines;
use crate::common::temporary::Directory;
use crate::common::wait_for;
use crate::{Federation, SECOND, ends, has_windows, scraped, settings};

#[test]
fn a_kill_between_query_and_write_loses_no_window() {
    if skips(&["prometheus"]) {
        return;
    }
    let (_machines, source) = scraped();
    let hangs = Arc::new(AtomicBool::new(false));
    let flag = hangs.clone();
    let stub = HttpStub::start(move |_, _| match flag.load(Ordering::Relaxed) {
        true => Reply::Hang,
        false => Reply::status(204),
    });
    let output = format!("[output.influxdb]\nurl = \"{}\"\ntimeout = \"60s\"\n", stub.url());
    let settings = settings(&source.url(), &output);
    let mut federation = Federation::start(&settings);
    federation.process.wait_for("windows", |_| has_windows(&stub.accepted(), 2));
    hangs.store(true, Ordering::Relaxed);
    let before = federation.wait("the last windows", |lines| lines.last().map(|l| l.timestamp));
    federation.wait("windows that hang", |lines| {
        (lines.last()?.timestamp > before + 4 * SECOND).then_some(())
    });
    federation.process.kill();
    hangs.store(false, Ordering::Relaxed);
    let Federation { directory, .. } = federation;
    let mut federation = Federation::start_in(directory, &settings);
    let so_far = ends(&stub.accepted(), "ingress").len();
    federation.process.wait_for("windows after", |_| has_windows(&stub.accepted(), so_far + 4));
    federation.stop();
    for measurement in ["ingress", "egress", "ebpf_ingress", "upstream", "downstream"] {
        let found: Vec<i64> = ends(&stub.accepted(), measurement).into_iter().collect();
        let (first, last) = (found[0], found[found.len() - 1]);
        let all: Vec<i64> = (first..=last).step_by(2 * SECOND as usize).collect();
        assert_eq!(found, all, "{measurement}: a window is missing");
    }
}

#[test]
fn an_output_that_is_down_stops_no_other_and_is_caught_up() {
    if skips(&["influxd", "prometheus"]) {
        return;
    }
    let (_machines, source) = scraped();
    let mut influxd = Influxd::start();
    let output = format!("{}queue_bytes_max = \"8kB\"\n", influxd.output());
    let mut federation = Federation::start(&settings(&source.url(), &output));
    federation.wait("a window", |lines| has_windows(lines, 1));
    influxd.stop();
    let down = federation.wait("windows", |lines| lines.last().map(|line| line.timestamp));
    federation.wait("windows meanwhile", |lines| {
        (lines.last()?.timestamp >= down + 10 * SECOND).then_some(())
    });
    influxd.start_again();
    let printed = federation.wait("windows after", |lines| {
        let last = *ends(lines, "upstream").last()?;
        (last >= down + 16 * SECOND).then(|| ends(lines, "upstream"))
    });
    wait_for("the windows of the outage", || {
        printed.is_subset(&ends(&influxd.points(), "upstream")).then_some(())
    });
    federation.stop();
}

/// Until when a job's windows are noted as done for InfluxDB, in nanoseconds.
fn noted(directory: &Directory, job: &str) -> Option<i64> {
    let text = std::fs::read_to_string(directory.join("state/federate.progress")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{job} influxdb ")))?;
    Some(line.parse::<i64>().ok()? * 1_000_000)
}

#[test]
fn what_is_in_the_spool_is_done_and_needs_no_prometheus() {
    if skips(&["influxd", "prometheus"]) {
        return;
    }
    let (machines, source) = scraped();
    let mut influxd = Influxd::start();
    influxd.stop();
    let spool = "[spool]\ndirectory = \"DIRECTORY/spool\"\nsync_interval = \"200ms\"\n";
    let settings = settings(&source.url(), &format!("{}{spool}", influxd.output()));
    let mut federation = Federation::start(&settings);
    federation.wait("windows", |lines| has_windows(lines, 3));
    let Federation { mut process, directory } = federation;
    let printed = whole_lines(&process.stdout());
    let last = *ends(&printed, "upstream").last().expect("windows");
    wait_for("the windows in the spool are noted", || {
        (noted(&directory, "upstream")? >= last).then_some(())
    });
    process.kill();
    drop((source, machines));
    influxd.start_again();
    let mut federation = Federation::start_in(directory, &settings);
    let expected: BTreeSet<i64> =
        ends(&printed, "upstream").into_iter().filter(|end| *end <= last).collect();
    wait_for("the windows of the spool", || {
        expected.is_subset(&ends(&influxd.points(), "upstream")).then_some(())
    });
    // And it was the spool that had them.
    federation.process.wait_stderr("the window is tried again");
    federation.stop();
}

#[test]
fn other_settings_take_over_where_the_old_ones_were() {
    if skips(&["influxd", "prometheus"]) {
        return;
    }
    let (_machines, source) = scraped();
    let influxd = Influxd::start();
    let before = settings(&source.url(), &influxd.output());
    let mut federation = Federation::start(&before);
    federation.process.wait_for("windows", |_| has_windows(&influxd.points(), 2));
    // What cannot be changes nothing.
    federation.reload(&before.replace("every = \"2s\"", "every = \"2\""));
    federation.process.wait_stderr("the old settings stay in use");
    let so_far = ends(&influxd.points(), "upstream").len();
    let now = |number| has_windows(&influxd.points(), number);
    federation.process.wait_for("windows as before", |_| now(so_far + 1));
    federation.reload(&before.replace("every = \"2s\"", "every = \"1s\""));
    federation.process.wait_stderr("the settings were read again");
    let so_far = ends(&influxd.points(), "upstream").len();
    federation.process.wait_for("windows of the other length", |_| now(so_far + 4));
    federation.stop();
    let found: Vec<i64> = ends(&influxd.points(), "upstream").into_iter().collect();
    let steps: Vec<i64> = found.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let change = steps.iter().position(|step| *step == SECOND).expect("a shorter window");
    assert!(change > 0 && steps[..change].iter().all(|step| *step == 2 * SECOND), "{steps:?}");
    assert!(steps[change..].iter().all(|step| *step == SECOND), "{steps:?}");
}
