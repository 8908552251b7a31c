//! What slow outputs, and many routers at once, do to each other: who waits, and what is dropped.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::account::{
    Account, COLLECTORS, Polling, ROUTER, SPOOL, recover_with_loss, settings, to_influxdb,
};
use crate::common::http_stub::HttpStub;
use crate::common::influxd::Influxd;
use crate::common::lines;
use crate::common::perijove::{hosts, local_router, own, whole_lines};
use crate::common::process::{run, signal};
use crate::common::temporary::Directory;
use crate::common::wait_for;
use crate::influxdb::pass_on;
use crate::{Fault, Long};

pub const FAULTS: &[&Fault] = &[
    &Fault { name: "flow-half-as-fast", quick: true, run: half_as_fast },
    &Fault { name: "flow-one-stalls", quick: true, run: one_stalls },
    &Fault { name: "flow-200-routers", quick: false, run: |_| many_routers(200, 40) },
    &Fault { name: "flow-20-routers", quick: false, run: |_| many_routers(20, 400) },
    &Fault { name: "spool-slow-disk", quick: true, run: slow_disk },
];

/// A little queue without a spool.
const SMALL: &str = "queue_bytes_max = \"50KB\"\nbatch_points_max = 50\n";
/// Polls come every 250 ms. The machine is busy, so that some of them are late.
const ON_TIME: Duration = Duration::from_secs(2);

/// The server takes half of what comes: pollers wait for it first, and then it is behind.
fn half_as_fast(_: &Long) -> Account {
    let influxd = Influxd::start();
    let (url, is_slow) = (influxd.url(), Arc::new(AtomicBool::new(true)));
    let slow = is_slow.clone();
    let front = HttpStub::start(move |_, request| {
        // 200 points a second are polled.
        if slow.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10) * request.body.lines().count() as u32);
        }
        pass_on(&url, request)
    });
    let slow = to_influxdb(&influxd, SMALL)
        .replace(&influxd.url(), &format!("http://127.0.0.1:{}", front.port));
    let mut polling = Polling::start(&slow);
    polling.poll(400);
    let early = polling.dropped("influxdb");
    wait_for("dropped points", || (polling.dropped("influxdb") > 200).then_some(()));
    is_slow.store(false, Ordering::Relaxed);
    let polled = polling.polled();
    let mut account = recover_with_loss(polling, &mut &influxd);
    if early > 0 {
        account.failures.push(format!("{early} points were dropped before the queue was full"));
    }
    account.failures.extend(late(&polled));
    account.failures.extend(not_counted(&polled, "dropped_behind_points_total"));
    account
}

/// One output stalls for a minute; the file gets what is polled all the same, in time.
fn one_stalls(long: &Long) -> Account {
    let influxd = Influxd::start();
    let mut polling = Polling::start(&to_influxdb(&influxd, SMALL));
    polling.poll(200);
    signal(influxd.id(), "STOP");
    polling.go_on(Duration::from_secs(if long.0 { 60 } else { 8 }));
    wait_for("dropped points", || (polling.dropped("influxdb") > 200).then_some(()));
    signal(influxd.id(), "CONT");
    let polled = polling.polled();
    let mut account = recover_with_loss(polling, &mut &influxd);
    account.failures.extend(late(&polled));
    account.failures.extend(not_counted(&polled, "dropped_down_points_total"));
    account
}

/// All routers are polled in the same moment, whatever their phases: perijove stands still for
/// longer than their interval. Each table gives five points: both bursts are more than the queue
/// holds.
fn many_routers(number: usize, tables: usize) -> Account {
    let influxd = Influxd::start();
    let tables_of_each = format!("--tables {tables}");
    let routers = (0..number).map(|number| local_router(&format!("r{number:03}"), &tables_of_each));
    let one = local_router("r1", ROUTER);
    let output = format!("{}timeout = \"20s\"\n", influxd.output());
    let settings = settings(ROUTER, "line", &output)
        .replace(&one, &routers.collect::<String>())
        .replace("interval = \"250ms\"", "interval = \"10s\"")
        .replace(COLLECTORS, "[\"route\"]");
    let mut polling = Polling::start(&settings);
    let all = |polling: &Polling| hosts(&lines::read(&polling.polled().join("\n"))).len() >= number;
    wait_for("polls of all routers", || all(&polling).then_some(()));
    for _ in 0..2 {
        signal(polling.daemon.process.id(), "STOP");
        std::thread::sleep(Duration::from_secs(12));
        signal(polling.daemon.process.id(), "CONT");
        polling.poll(number * tables);
    }
    polling.settle(&mut &influxd);
    polling.finish(&mut &influxd)
}

/// Each write to the disk of the spool takes 4 s: polls and the other output stay on time.
fn slow_disk(_: &Long) -> Account {
    let mut influxd = Influxd::start();
    influxd.stop();
    let directory = Directory::new();
    let library = directory.join("slow_disk.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fault_matrix/slow_disk.c");
    let made = run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source));
    assert_eq!(made.code, 0, "cc: {}", made.stderr);
    let environment = [("LD_PRELOAD", library.display().to_string())];
    let mut polling = Polling::start_with(directory, &to_influxdb(&influxd, SPOOL), &environment);
    polling.poll(100);
    polling.go_on(Duration::from_secs(16));
    let polled = polling.polled();
    let spooled =
        own(&whole_lines(&(polled.join("\n") + "\n")), ("output", "influxdb"), "spooled_points");
    influxd.start_again();
    polling.settle(&mut &influxd);
    let mut account = polling.finish(&mut &influxd);
    account.failures.extend(late(&polled));
    if spooled.is_none_or(|points| points == 0.0) {
        account.failures.push("nothing was in the spool".into());
    }
    account
}

/// Whether polls of the file came too far apart.
fn late(polled: &[String]) -> Option<String> {
    let alarms = lines::read(&polled.join("\n"));
    let alarms = alarms.iter().filter(|line| line.fields.contains_key("red_count"));
    let mut times: Vec<i64> = alarms.map(|line| line.timestamp).collect();
    times.sort_unstable();
    let most = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(i64::MAX);
    let most = Duration::from_nanos(most.unsigned_abs());
    (most > ON_TIME).then(|| format!("two polls came {most:?} apart"))
}

/// Whether the reason of what was dropped is missing.
fn not_counted(polled: &[String], field: &str) -> Option<String> {
    let lines = whole_lines(&(polled.join("\n") + "\n"));
    let counted = own(&lines, ("output", "influxdb"), field).unwrap_or(0.0);
    (counted == 0.0).then(|| format!("{field} is 0"))
}
