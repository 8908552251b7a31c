//! What can happen to perijove itself, to its clock and to its router.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::account::{
    Account, COLLECTORS, FarEnd, OFTEN, Polling, ROUTER, SPOOL, polled, settings, to_influxdb,
    undelivered,
};
use crate::common::broker::{self, Noida, Reader};
use crate::common::http_stub::{HttpStub, Reply};
use crate::common::influxd::Influxd;
use crate::common::lines::{self, Line};
use crate::common::perijove::Daemon;
use crate::common::temporary::Directory;
use crate::common::{now_ns, wait_for, wait_for_within};
use crate::influxdb::{pass_on, through};
use crate::{Fault, Long};

pub const FAULTS: &[&Fault] = &[
    &Fault { name: "perijove-killed-influxdb", quick: false, run: |_| killed_influxdb(20) },
    &Fault { name: "perijove-killed-kafka", quick: false, run: killed_kafka },
    &Fault { name: "perijove-killed-twice", quick: true, run: |_| killed_influxdb(2) },
    &Fault { name: "perijove-killed-up", quick: false, run: |_| killed_while(|_, _| Way::Up) },
    &Fault { name: "perijove-killed-flap", quick: false, run: |_| killed_while(flaps) },
    &Fault { name: "perijove-killed-slow", quick: false, run: |_| killed_while(|_, _| Way::Slow) },
    &Fault { name: "perijove-killed-mute", quick: false, run: |_| killed_while(forgets) },
    &Fault { name: "clock-back-an-hour", quick: true, run: |_| clock_stepped("-1h") },
    &Fault { name: "clock-forward-two-days", quick: true, run: |_| clock_stepped("+2d") },
    &Fault { name: "router-drops", quick: true, run: |_| router("--fault close@7", 3) },
    &Fault { name: "router-slow", quick: true, run: |_| router(SLOW, 1) },
    &Fault { name: "memory-influxdb", quick: false, run: memory_influxdb },
    &Fault { name: "memory-kafka", quick: false, run: memory_kafka },
];

fn killed_influxdb(times: usize) -> Account {
    let mut influxd = Influxd::start();
    influxd.stop();
    let polling = kill_often(Polling::start(&to_influxdb(&influxd, SPOOL)), times);
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

/// Kills it at random moments while its output is down.
pub fn kill_often(mut polling: Polling, times: usize) -> (Polling, Vec<Vec<String>>) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let mut state = u64::try_from(since.as_nanos()).expect("a clock before 2554") | 1;
    let mut in_hand = Vec::new();
    // An output goes to disk with its first failure, or when a batch takes more than a second.
    polling.go_on(Duration::from_millis(2500));
    for _ in 0..times {
        polling.poll(50);
        polling.go_on(Duration::from_millis(random(&mut state) % 1500));
        polling = polling.kill_and_start_again(|directory| {
            in_hand.push(newest(&polled(directory)));
        });
    }
    polling.poll(50);
    (polling, in_hand)
}

/// How an InfluxDB answers a write.
#[derive(Clone, Copy)]
enum Way {
    Up,
    Down,
    /// Late.
    Slow,
    /// It has taken the points, and says nothing.
    Mute,
}

fn flaps(since: Duration, _: usize) -> Way {
    if since.as_secs().is_multiple_of(3) { Way::Down } else { Way::Up }
}

fn forgets(_: Duration, number: usize) -> Way {
    [Way::Up, Way::Mute, Way::Slow][number % 3]
}

/// What is in memory only, when it is killed: a write that waits for `flush_interval`, or for its
/// answer, and what a busy machine adds.
const IN_HAND: Duration = Duration::from_secs(4);

/// Kills it at random moments while InfluxDB answers this way: all is there in the end but what was
/// polled just before.
fn killed_while(way: fn(Duration, usize) -> Way) -> Account {
    let influxd = Influxd::start();
    let (url, began, is_over) = (influxd.url(), Instant::now(), Arc::new(AtomicBool::new(false)));
    let ends = is_over.clone();
    let front = HttpStub::start(move |number, request| {
        let way = match ends.load(Ordering::Relaxed) {
            true => Way::Up,
            false => way(began.elapsed(), number),
        };
        match way {
            Way::Up => pass_on(&url, request),
            Way::Down => Reply::status(503),
            Way::Slow => {
                std::thread::sleep(Duration::from_millis(700));
                pass_on(&url, request)
            }
            Way::Mute => {
                pass_on(&url, request);
                Reply::Close
            }
        }
    });
    let output = through(&influxd, front.port, "flush_interval = \"300ms\"\n");
    let mut polling = Polling::start(&output);
    let mut kills = Vec::new();
    let mut state = now_ns() as u64 | 1;
    for _ in 0..20 {
        polling.poll(20);
        polling.go_on(Duration::from_millis(random(&mut state) % 2500));
        polling = polling.kill_and_start_again(|_| kills.push(now_ns()));
    }
    is_over.store(true, Ordering::Relaxed);
    polling.poll(50);
    polling.arrive(&mut &influxd);
    let lines = lines::read(&polling.polled().join("\n"));
    let mut account = polling.finish_with(&mut &influxd, true);
    let arrived: BTreeSet<String> = influxd.points().iter().map(Line::key).collect();
    let missing = lines.iter().filter(|line| !arrived.contains(&line.key()));
    let is_excused = |line: &&Line| {
        let age = |kill: &i64| kill - line.timestamp;
        kills.iter().map(age).any(|age| (0..IN_HAND.as_nanos() as i64).contains(&age))
    };
    let (excused, lost): (Vec<&Line>, Vec<&Line>) = missing.partition(is_excused);
    if let Some(first) = lost.first() {
        account.failures.push(format!("{} are lost by no kill, first {}", lost.len(), first.key()));
    }
    account.lost = account.lost.saturating_sub(excused.len());
    let note = format!(
        "{} of {} points were in hand when it was killed; {} reached only InfluxDB",
        excused.len(),
        lines.len(),
        account.unknown
    );
    (account.unknown, account.may_repeat) = (0, true);
    account.note(note)
}

/// The next of a series of numbers (xorshift).
pub fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// The records of each measurement's last poll: a kill may come between the hand-over to the
/// file's queue and the one to the other output's.
pub fn newest(polled: &[String]) -> Vec<String> {
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

/// Measurement and time.
fn time(line: &str) -> (String, String) {
    match serde_json::from_str::<serde_json::Value>(line) {
        Ok(record) => (record["measurement"].to_string(), record["time"].to_string()),
        Err(_) => {
            let line = &lines::read(line)[0];
            (line.measurement.clone(), line.timestamp.to_string())
        }
    }
}

pub fn after_kills<F: FarEnd>(
    (polling, in_hand): (Polling, Vec<Vec<String>>),
    far_end: &mut F,
) -> Account {
    polling.arrive(far_end);
    let arrived = far_end.arrived();
    let (mut missing, mut polls_most) = (0, 0);
    for in_hand in &in_hand {
        // What one poll hands over is of one time.
        let mut polls: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in in_hand {
            polls.entry(time(line).1).or_default().push(line.clone());
        }
        let polls = polls.values().map(|lines| {
            let records = far_end.same(lines);
            records.iter().filter(|record| !arrived.contains_key(*record)).count()
        });
        let polls: Vec<usize> = polls.filter(|missing| *missing > 0).collect();
        missing += polls.iter().sum::<usize>();
        polls_most = polls_most.max(polls.len());
    }
    let mut account = polling.finish_with(far_end, missing > 0);
    account.lost -= missing;
    if polls_most > 1 {
        account.failures.push(format!("a kill took {polls_most} polls"));
    }
    let note = format!(
        "{missing} points of a kill's last moment reached only the file, {} only the far end; \
         {} came again",
        account.unknown, account.duplicate
    );
    account.unknown = 0;
    account.may_repeat = true;
    account.note(note)
}

/// libfaketime steps perijove's wall clock while its output is down, by more than the spool's age.
fn clock_stepped(by: &str) -> Account {
    let mut influxd = Influxd::start();
    influxd.stop();
    let directory = Directory::new();
    let (environment, offset) = faked_clock(&directory);
    let settings =
        to_influxdb(&influxd, &format!("{SPOOL}age_max = \"10m\"\nbytes_max = \"400KB\"\n"));
    let mut polling = Polling::start_with(directory, &settings, &environment);
    // More than goes into one segment: the others are not written to any more.
    polling.poll(700);
    std::fs::write(offset, format!("{by}\n")).expect("step the clock");
    polling.poll(200);
    let stepped = polling.polled().iter().any(|line| {
        let age = crate::common::now_ns() - lines::read(line)[0].timestamp;
        age.abs() > 3_000_000_000_000
    });
    assert!(stepped, "the clock was not stepped");
    influxd.start_again();
    polling.settle(&mut &influxd);
    polling.finish(&mut &influxd)
}

/// The environment of a program whose clock is set by writing to the file, and that file.
pub fn faked_clock(directory: &Directory) -> (Vec<(&'static str, String)>, PathBuf) {
    let offset = directory.write("offset", "+0\n");
    let environment = vec![
        ("LD_PRELOAD", libfaketime()),
        ("FAKETIME_TIMESTAMP_FILE", offset.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
        ("DONT_FAKE_MONOTONIC", "1".into()),
    ];
    (environment, offset)
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
    let undelivered = undelivered(&finished.stderr);
    if finished.code != 0 || peak > MEMORY_BYTES_MAX || undelivered > 0 {
        account.failures.push(format!(
            "exit code {}, {peak} bytes of memory, {undelivered} points not delivered",
            finished.code
        ));
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
