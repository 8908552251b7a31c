//! What can happen to perijove itself, to its disk, its clock and its router.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::account::{
    Account, COLLECTORS, FarEnd, OFTEN, Polling, ROUTER, SPOOL, polled, settings, to_influxdb,
};
use crate::common::broker::{self, Noida, Reader};
use crate::common::influxd::Influxd;
use crate::common::lines;
use crate::common::perijove::Daemon;
use crate::common::process::run;
use crate::common::temporary::Directory;
use crate::common::{wait_for, wait_for_within};
use crate::{Fault, Long};

pub const FAULTS: &[&Fault] = &[
    &Fault { name: "perijove-killed-influxdb", quick: false, run: killed_influxdb },
    &Fault { name: "perijove-killed-kafka", quick: false, run: killed_kafka },
    &Fault { name: "perijove-killed-twice", quick: true, run: killed_twice },
    &Fault { name: "spool-limit", quick: true, run: spool_limit },
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
    &Fault { name: "clock-back-an-hour", quick: true, run: clock_back },
    &Fault { name: "router-drops", quick: true, run: |_| router("--fault close@7", 3) },
    &Fault { name: "router-slow", quick: true, run: |_| router(SLOW, 1) },
    &Fault { name: "memory-influxdb", quick: false, run: memory_influxdb },
    &Fault { name: "memory-kafka", quick: false, run: memory_kafka },
];

fn killed_influxdb(_: &Long) -> Account {
    let mut influxd = Influxd::start();
    influxd.stop();
    let polling = kill_often(Polling::start(&to_influxdb(&influxd, SPOOL)), 20);
    influxd.start_again();
    after_kills(polling, &mut &influxd)
}

fn killed_kafka(_: &Long) -> Account {
    let mut noida = Noida::stopped();
    let output = format!("{}{SPOOL}", broker::output(&noida.brokers()));
    let polling = kill_often(Polling::start(&settings(ROUTER, "json", &output)), 20);
    noida.start_again();
    after_kills(polling, &mut Reader::new(&noida.brokers(), &[]))
}

fn killed_twice(_: &Long) -> Account {
    let mut influxd = Influxd::start();
    influxd.stop();
    let polling = kill_often(Polling::start(&to_influxdb(&influxd, SPOOL)), 2);
    influxd.start_again();
    after_kills(polling, &mut &influxd)
}

/// Kills it at random moments while its output is down.
fn kill_often(mut polling: Polling, times: usize) -> (Polling, Vec<String>) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let mut random = u64::try_from(since.as_nanos()).expect("a clock before 2554") | 1;
    let mut in_hand = Vec::new();
    // An output goes to disk with its first failure, or when a batch takes more than a second.
    polling.go_on(Duration::from_millis(2500));
    for _ in 0..times {
        polling.poll(50);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        polling.go_on(Duration::from_millis(random % 1500));
        polling = polling.kill_and_start_again(|directory| {
            in_hand.extend(newest(&polled(directory)));
        });
    }
    polling.poll(50);
    (polling, in_hand)
}

/// The records of each measurement's last poll: a kill may come between the hand-over to the
/// file's queue and the one to the other output's.
fn newest(polled: &[String]) -> Vec<String> {
    let time = |line: &String| match serde_json::from_str::<serde_json::Value>(line) {
        Ok(record) => (record["measurement"].to_string(), record["time"].to_string()),
        Err(_) => {
            let line = &lines::read(line)[0];
            (line.measurement.clone(), line.timestamp.to_string())
        }
    };
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for line in polled {
        let (measurement, time) = time(line);
        last.insert(measurement, time);
    }
    let is_newest = |line: &&String| {
        let (measurement, time) = time(line);
        last.get(&measurement) == Some(&time)
    };
    polled.iter().filter(is_newest).cloned().collect()
}

fn after_kills((polling, in_hand): (Polling, Vec<String>), far_end: &mut impl FarEnd) -> Account {
    polling.arrive(far_end);
    let arrived = far_end.arrived();
    let in_hand = far_end.same(&in_hand);
    let missing = in_hand.iter().filter(|line| !arrived.contains_key(*line)).count();
    let mut account = polling.finish_with(far_end, missing > 0);
    account.lost -= missing;
    let note = format!(
        "{missing} points of a kill's last moment reached only the file, {} only the far end; \
         {} came again",
        account.unknown, account.duplicate
    );
    account.unknown = 0;
    account.may_repeat = true;
    account.note(note)
}

/// The spool may hold less than the outage brings: the oldest go, and are counted.
fn spool_limit(_: &Long) -> Account {
    let mut influxd = Influxd::start();
    influxd.stop();
    let spool = format!("{SPOOL}bytes_max = \"100KB\"\n");
    let polling = Polling::start(&to_influxdb(&influxd, &spool));
    wait_for("dropped points", || (polling.dropped("influxdb") > 200).then_some(()));
    influxd.start_again();
    recover_with_loss(polling, &influxd)
}

/// Once the newest points arrive nothing more is dropped, and the count is final.
fn recover_with_loss(polling: Polling, influxd: &Influxd) -> Account {
    polling.arrive(&mut &*influxd);
    let dropped = polling.dropped("influxdb");
    let mut account = polling.finish_with(&mut &*influxd, true);
    account.dropped = dropped;
    account.has_limit = true;
    account
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
    polling.daemon.process.wait_stderr("the spool cannot be written, memory it is");
    wait_for("dropped points", || (polling.dropped("influxdb") > 200).then_some(()));
    influxd.start_again();
    polling.daemon.process.wait_stderr("again");
    let said = polling.daemon.process.stderr().matches("memory it is").count();
    let mut account = recover_with_loss(polling, &influxd);
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
    polling.daemon.process.wait_stderr("the spool cannot be written, memory it is");
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
    polling.daemon.process.wait_stderr("no spool, memory it is");
    polling.poll(200);
    tmpfs.remount("rw");
    polling.daemon.process.wait_stderr("can be used now");
    polling.poll(200);
    let (mut polling, in_hand) = kill_once(polling);
    polling.poll(50);
    influxd.start_again();
    after_kills((polling, in_hand), &mut &influxd)
}

fn kill_once(mut polling: Polling) -> (Polling, Vec<String>) {
    let mut in_hand = Vec::new();
    polling.go_on(Duration::from_millis(1200));
    let polling = polling.kill_and_start_again(|directory| {
        in_hand = newest(&polled(directory));
    });
    (polling, in_hand)
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
        let mut segments: Vec<_> = std::fs::read_dir(directory.join("spool/influxdb"))
            .expect("the spool")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .collect();
        segments.sort();
        let last = segments.last().expect("a segment");
        let mut bytes = std::fs::read(last).expect("a segment");
        let records: Vec<usize> = memchr::memmem::find_iter(&bytes, b"PJ1\n").collect();
        let start = damage(&mut bytes, &records);
        // Magic, length, checksum, points.
        let points = bytes[start + 12..start + 16].try_into().expect("four bytes");
        damaged_points = u32::from_le_bytes(points);
        std::fs::write(last, bytes).expect("damage a segment");
    });
    polling.daemon.process.wait_stderr("are damaged and left out");
    polling.poll(100);
    influxd.start_again();
    polling.arrive(&mut &influxd);
    let mut account = polling.finish_with(&mut &influxd, true);
    (account.dropped, account.has_limit) = (damaged_points.into(), true);
    account
}

/// libfaketime steps perijove's wall clock back an hour while its output is down.
fn clock_back(_: &Long) -> Account {
    let mut influxd = Influxd::start();
    influxd.stop();
    let directory = Directory::new();
    let offset = directory.write("offset", "+0\n");
    let settings = to_influxdb(&influxd, &format!("{SPOOL}age_max = \"10m\"\n"));
    let environment = [
        ("LD_PRELOAD", libfaketime()),
        ("FAKETIME_TIMESTAMP_FILE", offset.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ("DONT_FAKE_MONOTONIC", "1".into()),
    ];
    let mut polling = Polling::start_with(directory, &settings, &environment);
    polling.poll(200);
    std::fs::write(offset, "-1h\n").expect("step the clock");
    polling.poll(200);
    let stepped = polling.polled().iter().any(|line| {
        let age = crate::common::now_ns() - lines::read(line)[0].timestamp;
        age > 3_000_000_000_000
    });
    assert!(stepped, "the clock was not stepped back");
    influxd.start_again();
    polling.settle(&mut &influxd);
    polling.finish(&mut &influxd)
}

fn libfaketime() -> String {
    let found = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|machine| format!("/usr/lib/{machine}/faketime/libfaketime.so.1"))
        .into_iter()
        .find(|path| Path::new(path).is_file());
    found.expect("libfaketime is not installed: run tests/install")
}

/// A reply takes about a second.
const SLOW: &str = "--fault slow --drip-bytes 100";

/// The router breaks off sessions, or answers slowly: what was polled arrives. `sessions_min` are
/// opened.
fn router(options: &str, sessions_min: usize) -> Account {
    let influxd = Influxd::start();
    let output = format!("{}timeout = \"2s\"\n{SPOOL}", influxd.output());
    let settings = settings(&format!("{ROUTER} {options}"), "line", &output);
    let mut polling = Polling::start(&settings);
    polling.go_on(Duration::from_secs(8));
    polling.poll(100);
    polling.settle(&mut &influxd);
    let sessions = polling.daemon.process.stderr().matches(" is open").count();
    let mut account = polling.finish(&mut &influxd);
    if sessions < sessions_min {
        account.failures.push(format!("only {sessions} sessions were opened"));
    }
    account.note(format!("{sessions} sessions were opened"))
}

/// Half an hour at 1,000 points a second.
const HALF_HOUR_POINTS: usize = 1_800_000;
const MEMORY_BYTES_MAX: u64 = 24 << 20;

/// An outage of as many points as half an hour brings, in less time.
fn long_outage(format: &str, output: &str) -> Polling {
    let all = format!("{output}{SPOOL}bytes_max = \"4GB\"\n");
    let settings = settings("--tables 4000", format, &all)
        .replace(OFTEN, "interval = \"100ms\"")
        .replace(COLLECTORS, "[\"route\"]");
    let mut polling = Polling::start(&settings);
    let mut lines = LineCount::of(&polling);
    let start = std::time::Instant::now();
    while lines.count() < HALF_HOUR_POINTS {
        assert!(start.elapsed() < Duration::from_secs(300), "too slow: {} points", lines.count());
        std::thread::sleep(Duration::from_millis(100));
    }
    // Nothing more is polled while the outage is made up for.
    let pause = settings.replace("interval = \"100ms\"", "interval = \"1h\"");
    polling.reload(&pause.replace("self_interval = \"500ms\"", "self_interval = \"1h\""));
    polling.daemon.process.wait_stderr("the settings were read again");
    polling
}

/// Counts the lines of a file that grows.
struct LineCount {
    file: std::fs::File,
    lines: usize,
}

impl LineCount {
    fn of(polling: &Polling) -> LineCount {
        let path = polling.daemon.directory.join("polled");
        let file = wait_for("the file of polls", || std::fs::File::open(&path).ok());
        LineCount { file, lines: 0 }
    }

    fn count(&mut self) -> usize {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(bytes @ 1..) = std::io::Read::read(&mut self.file, &mut buffer) {
            self.lines += memchr::memchr_iter(b'\n', &buffer[..bytes]).count();
        }
        self.lines
    }
}

/// Ends it; the account holds the number of lines of the file, and whether memory stayed flat.
fn finish_long_outage(polling: Polling) -> (Account, std::path::PathBuf, Directory) {
    let status = format!("/proc/{}/status", polling.daemon.process.id());
    let status = std::fs::read_to_string(status).expect("the process's status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let peak = peak.expect("VmHWM in kB") << 10;
    let mut lines = LineCount::of(&polling);
    let Daemon { process, directory } = polling.daemon;
    process.signal("TERM");
    let finished = process.finish();
    let mut account = Account { points: lines.count(), ..Account::default() };
    if finished.code != 0 || peak > MEMORY_BYTES_MAX {
        account.failures.push(format!("exit code {}, {peak} bytes of memory", finished.code));
    }
    let file = directory.join("polled");
    (account.note(format!("at most {:.1} MB resident", peak as f64 / 1e6)), file, directory)
}

fn memory_influxdb(_: &Long) -> Account {
    let mut influxd = Influxd::start();
    influxd.stop();
    let polling = long_outage("line", &influxd.output());
    influxd.start_again();
    let mut lines = LineCount::of(&polling);
    wait_for_within(Duration::from_secs(240), "the spool is empty", || {
        std::thread::sleep(Duration::from_secs(1));
        (influxd.count() >= lines.count()).then_some(())
    });
    let (mut account, _, _directory) = finish_long_outage(polling);
    // Points that are the same are one, so that there is nothing to come twice.
    account.lost = account.points.saturating_sub(influxd.count());
    account.unknown = influxd.count().saturating_sub(account.points);
    account
}

fn memory_kafka(_: &Long) -> Account {
    let mut noida = Noida::stopped();
    let polling = long_outage("json", &broker::output(&noida.brokers()));
    noida.start_again();
    let mut reader = Reader::new(&noida.brokers(), &[]);
    let mut lines = LineCount::of(&polling);
    wait_for_within(Duration::from_secs(240), "the spool is empty", || {
        std::thread::sleep(Duration::from_secs(1));
        (reader.count() >= lines.count()).then_some(())
    });
    let (mut account, polled, _directory) = finish_long_outage(polling);
    let hash = |text: &str| {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        BuildHasherDefault::<DefaultHasher>::default().hash_one(text)
    };
    let mut arrived: BTreeMap<u64, usize> = BTreeMap::new();
    reader.read_each(|record| *arrived.entry(hash(&record.value)).or_default() += 1);
    let file = std::io::BufReader::new(std::fs::File::open(polled).expect("the file of polls"));
    for line in std::io::BufRead::lines(file) {
        let line = line.expect("a line");
        match arrived.get_mut(&hash(&line)) {
            Some(count) => {
                account.duplicate += *count - 1;
                *count = 1;
            }
            None => account.lost += 1,
        }
    }
    account.unknown = (arrived.len() + account.lost).saturating_sub(account.points);
    account
}
