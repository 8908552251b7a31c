//! What can happen to the spool and its disk.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::account::{Account, Polling, ROUTER, SPOOL, recover_with_loss, settings, to_influxdb};
use crate::common::broker::{self, Noida, Reader};
use crate::common::influxd::Influxd;
use crate::common::lines::{self, Line};
use crate::common::perijove::Daemon;
use crate::common::process::{Finished, run};
use crate::common::temporary::Directory;
use crate::common::wait_for;
use crate::perijove::{after_kills, kill_often};
use crate::{Fault, Long};

pub const FAULTS: &[&Fault] = &[
    &Fault { name: "spool-limit", quick: true, run: spool_limit },
    &Fault { name: "spool-limit-kafka", quick: true, run: spool_limit_kafka },
    &Fault { name: "spool-full", quick: true, run: spool_full },
    &Fault { name: "spool-read-only", quick: true, run: spool_read_only },
    &Fault { name: "spool-read-only-at-start", quick: true, run: spool_read_only_at_start },
    &Fault { name: "spool-deleted", quick: true, run: spool_deleted },
    &Fault { name: "spool-truncated", quick: true, run: |_| spool_damaged(truncate) },
    &Fault {
        name: "spool-corrupted",
        quick: true,
        run: |_| spool_damaged(|bytes, records| corrupt(bytes, records)),
    },
    &Fault { name: "spool-of-two", quick: true, run: spool_of_two },
    &Fault { name: "spool-rots", quick: true, run: spool_rots },
];

/// Two programs with one spool, each with a state directory of its own: the second refuses to
/// start, and the first loses nothing.
fn spool_of_two(_: &Long) -> Account {
    let mut influxd = Influxd::start();
    influxd.stop();
    let mut first = Polling::start(&to_influxdb(&influxd, SPOOL));
    first.poll(100);
    let theirs = first.daemon.directory.join("spool");
    let same = SPOOL.replace("DIRECTORY/spool", theirs.to_str().expect("a UTF-8 path"));
    let mut refusals = Vec::new();
    for _ in 0..3 {
        let second = Daemon::start(&to_influxdb(&influxd, &same));
        let Finished { code, stderr, .. } = second.process.finish();
        if code == 0 || !stderr.contains("another perijove uses this spool") {
            refusals.push(format!("the second ended with {code}: {stderr}"));
        }
        first.poll(50);
    }
    influxd.start_again();
    first.settle(&mut &influxd);
    let mut account = first.finish(&mut &influxd);
    account.failures.extend(refusals);
    account
}

/// The spool may hold less than the outage brings: the oldest go, and are counted.
fn spool_limit(_: &Long) -> Account {
    let mut influxd = Influxd::start();
    influxd.stop();
    let spool = format!("{SPOOL}bytes_max = \"100KB\"\n");
    let polling = Polling::start(&to_influxdb(&influxd, &spool));
    wait_for("dropped points", || (polling.dropped("influxdb") > 200).then_some(()));
    influxd.start_again();
    polling.arrive(&mut &influxd);
    let polled = polling.polled();
    let mut account = recover_with_loss(polling, &mut &influxd);
    account.failures.extend(newer_lost(&polled, &influxd));
    account
}

/// Its writes wait inside for as long as the broker is away; what goes meanwhile is said all the
/// same.
fn spool_limit_kafka(_: &Long) -> Account {
    let mut noida = Noida::stopped();
    let brokers = noida.brokers();
    let output = format!("{}{SPOOL}bytes_max = \"100KB\"\n", broker::output(&brokers));
    let mut polling = Polling::start(&settings(ROUTER, "json", &output));
    polling.daemon.process.wait_stderr("kafka: the spool is over its limit");
    wait_for("dropped points", || (polling.dropped("kafka") > 200).then_some(()));
    noida.start_again();
    recover_with_loss(polling, &mut Reader::new(&brokers, &[]))
}

/// What was lost of each measurement is one gap: behind the batch that was on its way, and before
/// all else that arrived.
fn newer_lost(polled: &[String], influxd: &Influxd) -> Option<String> {
    let arrived = influxd.points();
    let keys: BTreeSet<String> = arrived.iter().map(Line::key).collect();
    let mut gaps: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for Line { measurement, timestamp, .. } in
        lines::read(&polled.join("\n")).into_iter().filter(|line| !keys.contains(&line.key()))
    {
        let gap = gaps.entry(measurement).or_insert((timestamp, timestamp));
        *gap = (gap.0.min(timestamp), gap.1.max(timestamp));
    }
    let within = |line: &&Line| {
        let gap = gaps.get(&line.measurement);
        gap.is_some_and(|(first, last)| *first < line.timestamp && line.timestamp < *last)
    };
    let older = arrived.iter().find(within)?;
    Some(format!("newer points than this one were dropped: {}", older.key()))
}

/// A small file system of its own, gone with its handle.
struct Tmpfs(Directory);

impl Tmpfs {
    fn new(bytes: &str) -> Tmpfs {
        let directory = Directory::new();
        let options = format!("size={bytes}");
        mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], directory.path());
        Tmpfs(directory)
    }

    fn remount(&self, how: &str) {
        mount(&["-o", &format!("remount,{how}")], self.0.path());
    }

    fn spool(&self) -> String {
        let path = self.0.path().display();
        SPOOL.replace("DIRECTORY/spool", &path.to_string())
    }
}

fn mount(arguments: &[&str], place: &Path) {
    let mounted = run(Command::new("mount").args(arguments).arg(place));
    assert_eq!(mounted.code, 0, "mount needs to be root: {}", mounted.stderr);
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// The disk takes a part of the outage, the memory more of it; then the oldest there go.
fn spool_full(_: &Long) -> Account {
    let tmpfs = Tmpfs::new("64k");
    let mut influxd = Influxd::start();
    influxd.stop();
    let small = "queue_bytes_max = \"50KB\"\nbatch_points_max = 50\n";
    let settings = to_influxdb(&influxd, &format!("{small}{}", tmpfs.spool()));
    let mut polling = Polling::start(&settings);
    polling.daemon.process.wait_stderr("the spool cannot be written, points stay in memory");
    wait_for("dropped points", || (polling.dropped("influxdb") > 200).then_some(()));
    influxd.start_again();
    polling.daemon.process.wait_stderr("again");
    let said = polling.daemon.process.stderr().matches("points stay in memory").count();
    let mut account = recover_with_loss(polling, &mut &influxd);
    if said > 3 {
        account.failures.push(format!("the full disk was said {said} times"));
    }
    account
}

/// The kernel lets a file system become read-only while nobody writes there: before the outage.
fn spool_read_only(long: &Long) -> Account {
    let tmpfs = Tmpfs::new("4m");
    let mut influxd = Influxd::start();
    let mut polling = Polling::start(&to_influxdb(&influxd, &tmpfs.spool()));
    polling.poll(100);
    tmpfs.remount("ro");
    influxd.stop();
    polling.daemon.process.wait_stderr("the spool cannot be written, points stay in memory");
    polling.go_on(long.outage());
    tmpfs.remount("rw");
    polling.daemon.process.wait_stderr("the spool can be written again");
    polling.poll(100);
    influxd.start_again();
    polling.settle(&mut &influxd);
    polling.finish(&mut &influxd)
}

fn spool_read_only_at_start(_: &Long) -> Account {
    let tmpfs = Tmpfs::new("4m");
    tmpfs.remount("ro");
    let mut influxd = Influxd::start();
    influxd.stop();
    let mut polling = Polling::start(&to_influxdb(&influxd, &tmpfs.spool()));
    polling.daemon.process.wait_stderr("cannot be opened, points stay in memory");
    polling.poll(200);
    tmpfs.remount("rw");
    polling.daemon.process.wait_stderr("can be used now");
    polling.poll(200);
    let polling = kill_often(polling, 1);
    influxd.start_again();
    after_kills(polling, &mut &influxd)
}

fn spool_deleted(_: &Long) -> Account {
    let mut influxd = Influxd::start();
    let mut polling = Polling::start(&to_influxdb(&influxd, SPOOL));
    polling.poll(100);
    influxd.stop();
    polling.daemon.process.wait_stderr("points wait");
    for _ in 0..2 {
        polling.poll(200);
        std::fs::remove_dir_all(polling.daemon.directory.join("spool")).expect("delete the spool");
    }
    polling.poll(100);
    influxd.start_again();
    polling.settle(&mut &influxd);
    polling.finish(&mut &influxd)
}

/// The last segment loses its end, as when power fails.
fn truncate(bytes: &mut Vec<u8>, records: &[usize]) -> usize {
    bytes.truncate(bytes.len() - 20);
    records[records.len() - 1]
}

/// A bit of the last record but one is wrong.
fn corrupt(bytes: &mut [u8], records: &[usize]) -> usize {
    let start = records[records.len() - 2];
    bytes[start + 40] ^= 1;
    start
}

/// Killed, and then the disk turns out to be damaged: that record is lost, no other, and the log
/// says so. `damage` is given the last segment and where its records start; it tells which one it
/// has damaged.
fn spool_damaged(damage: fn(&mut Vec<u8>, &[usize]) -> usize) -> Account {
    let mut influxd = Influxd::start();
    influxd.stop();
    let mut polling = Polling::start(&to_influxdb(&influxd, SPOOL));
    polling.daemon.process.wait_stderr("points wait");
    polling.poll(300);
    polling.rest();
    let mut damaged_points = 0;
    let mut polling = polling.kill_and_start_again(|directory| {
        let (last, mut bytes, records) = last_segment(directory);
        let before = bytes.clone();
        let start = damage(&mut bytes, &records);
        damaged_points = points_at(&before, start);
        std::fs::write(last, bytes).expect("damage a segment");
    });
    polling.daemon.process.wait_stderr("are damaged and left out");
    polling.poll(100);
    influxd.start_again();
    polling.arrive(&mut &influxd);
    let mut account = polling.finish_with(&mut &influxd, true);
    (account.dropped, account.has_limit) = (damaged_points, true);
    account
}

/// Its path, what is in it, and where its records start.
fn last_segment(directory: &Directory) -> (PathBuf, Vec<u8>, Vec<usize>) {
    let segments = std::fs::read_dir(directory.join("spool/influxdb")).expect("the spool");
    let last = segments
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .max()
        .expect("a segment");
    let bytes = std::fs::read(&last).expect("a segment");
    let records = memchr::memmem::find_iter(&bytes, b"PJ1\n").collect();
    (last, bytes, records)
}

/// Magic, length, checksum, points.
fn points_at(bytes: &[u8], start: usize) -> u64 {
    u32::from_le_bytes(bytes[start + 12..start + 16].try_into().expect("four bytes")).into()
}

/// The disk damages a record while perijove runs: that one is lost, no other, and is counted.
fn spool_rots(_: &Long) -> Account {
    let mut influxd = Influxd::start();
    influxd.stop();
    let mut polling = Polling::start(&to_influxdb(&influxd, SPOOL));
    polling.daemon.process.wait_stderr("points wait");
    polling.poll(300);
    let (path, bytes, records) = last_segment(&polling.daemon.directory);
    let start = records[records.len() / 2];
    let file = std::fs::File::options().write(true).open(path).expect("a segment");
    let place = u64::try_from(start + 40).expect("a place in the file");
    file.write_all_at(&[bytes[start + 40] ^ 1], place).expect("damage a segment");
    influxd.start_again();
    polling.daemon.process.wait_stderr("bytes of the spool are damaged");
    let mut account = recover_with_loss(polling, &mut &influxd);
    let damaged_points = points_at(&bytes, start);
    if account.dropped != damaged_points {
        account.failures.push(format!("{damaged_points} points were damaged"));
    }
    account
}
