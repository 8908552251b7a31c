//! Who polled what, and what has become of it.
//!
//! Each perijove of the matrix has two outputs: the one that things happen to, and a file on a
//! healthy disk that tells what was polled. A record counts as the same when all of it is: tags,
//! fields, values and time.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::common::broker::Reader;
use crate::common::influxd::Influxd;
use crate::common::lines::{self, Line, Value};
use crate::common::perijove::{Daemon, local_router, own, whole_lines};
use crate::common::temporary::Directory;
use crate::common::{DEADLINE, wait_for};

/// The sum of a fault.
#[derive(Debug, Default)]
pub struct Account {
    pub points: usize,
    pub lost: usize,
    pub first_lost: Option<String>,
    pub duplicate: usize,
    /// What perijove says that it has dropped.
    pub dropped: u64,
    /// What did not arrive in the order in which it was polled.
    pub disorder: Option<String>,
    /// At the far end, and not in the file.
    pub unknown: usize,
    /// Duplicates are part of this fault.
    pub may_repeat: bool,
    /// Another order is.
    pub may_reorder: bool,
    /// Points are lost by a limit in this fault; perijove must have counted them.
    pub has_limit: bool,
    pub notes: Vec<String>,
    /// Anything else that was not as it must be.
    pub failures: Vec<String>,
}

impl Account {
    pub fn note(mut self, note: impl Into<String>) -> Account {
        self.notes.push(note.into());
        self
    }

    /// Why the fault has failed; nothing if it has not.
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = self.failures.clone();
        let mut check = |ok: bool, what: &str| {
            if !ok {
                wrong.push(what.to_string());
            }
        };
        check(self.points > 0, "nothing was polled");
        check(self.unknown == 0, &format!("{} points that were never polled", self.unknown));
        check(
            self.lost as u64 == self.dropped,
            "what is missing is not what was counted as dropped",
        );
        let first = self.first_lost.as_deref().unwrap_or("nothing");
        let what = format!("lost first: {first}, and a limit was set: {}", self.has_limit);
        check(self.has_limit == (self.lost > 0), &what);
        check(self.may_repeat || self.duplicate == 0, "points came twice");
        let disorder = self.disorder.as_deref().unwrap_or("nothing");
        let in_order = self.may_repeat || self.may_reorder || self.disorder.is_none();
        check(in_order, &format!("came behind a later one: {disorder}"));
        wrong
    }
}

/// Where points arrive: every record, and how often.
pub trait FarEnd {
    /// The output that leads there.
    const OUTPUT: &'static str;
    /// Records of the file as the far end has them.
    fn same(&self, lines: &[String]) -> BTreeSet<String>;
    fn arrived(&mut self) -> BTreeMap<String, usize>;
    /// A record that arrived behind a later one, where that can be seen.
    fn disorder(&self) -> Option<String> {
        None
    }
}

impl FarEnd for &Influxd {
    const OUTPUT: &'static str = "influxdb";

    /// Fields of the same series and time are one point's.
    fn same(&self, lines: &[String]) -> BTreeSet<String> {
        let mut points: BTreeMap<String, Line> = BTreeMap::new();
        for line in lines::read(&lines.join("\n")) {
            match points.entry(line.key()) {
                Entry::Vacant(entry) => drop(entry.insert(line)),
                Entry::Occupied(mut entry) => entry.get_mut().fields.extend(line.fields),
            }
        }
        points.values().map(canonical).collect()
    }

    fn arrived(&mut self) -> BTreeMap<String, usize> {
        self.points().iter().map(|line| (canonical(line), 1)).collect()
    }
}

/// A line with its tags and fields in order and its numbers in one form.
fn canonical(line: &Line) -> String {
    let mut text = line.key();
    for (name, value) in &line.fields {
        text += &match value {
            Value::Integer(number) => format!(" {name}={number}"),
            Value::Unsigned(number) => format!(" {name}={number}"),
            // Whole, or to twelve digits: not every reader of decimals is exact.
            Value::Float(number) if number.fract() == 0.0 => format!(" {name}={number}"),
            Value::Float(number) => format!(" {name}={number:.12e}"),
            Value::Text(_) | Value::Boolean(_) => format!(" {name}={value:?}"),
        };
    }
    text
}

impl FarEnd for Reader {
    const OUTPUT: &'static str = "kafka";

    fn same(&self, lines: &[String]) -> BTreeSet<String> {
        lines.iter().cloned().collect()
    }

    fn arrived(&mut self) -> BTreeMap<String, usize> {
        let mut arrived = BTreeMap::new();
        for record in self.read() {
            *arrived.entry(record.value.clone()).or_default() += 1;
        }
        arrived
    }

    /// A topic is a collector's, and a key a router's.
    fn disorder(&self) -> Option<String> {
        let mut last: BTreeMap<(&str, &str), String> = BTreeMap::new();
        self.records.iter().find_map(|record| {
            let value: serde_json::Value = serde_json::from_str(&record.value).ok()?;
            // Without it, times that say more of the same second are greater.
            let time = value["time"].as_str()?.trim_end_matches('Z').to_string();
            let last = last.entry((&record.topic, &record.key)).or_default();
            let is_late = time < *last;
            *last = time;
            is_late.then(|| record.value.clone())
        })
    }
}

/// A perijove under test and its settings, whose `DIRECTORY` stands for its own.
pub struct Polling {
    pub daemon: Daemon,
    settings: String,
}

/// A broker may take so long to show its readers what it has acknowledged.
const SHOWN: Duration = Duration::from_secs(5);

/// With these collectors about 200 points a second, each of a series of its own.
pub const ROUTER: &str = "--tables 10";
pub const OFTEN: &str = "interval = \"250ms\"";
const OWN_OFTEN: &str = "self_interval = \"500ms\"";
pub const COLLECTORS: &str = "[\"alarm\", \"route\"]";

/// Settings for an output, given with what else is to be set in tables; `format` is the file's.
pub fn settings(router: &str, format: &str, output: &str) -> String {
    format!(
        "{OFTEN}\npoll_share_max = 100\n{OWN_OFTEN}\n\
         drain_timeout = \"45s\"\ncollectors = {COLLECTORS}\n{}\
         [output.file]\npath = \"DIRECTORY/polled\"\nformat = \"{format}\"\n{output}",
        local_router("r1", router)
    )
}

/// The same for InfluxDB; `more` are further settings of the output, then tables.
pub fn to_influxdb(influxd: &Influxd, more: &str) -> String {
    settings(ROUTER, "line", &format!("{}timeout = \"2s\"\n{more}", influxd.output()))
}

/// A table that gives the outputs a spool.
pub const SPOOL: &str = "[spool]\ndirectory = \"DIRECTORY/spool\"\nsync_interval = \"500ms\"\n";

impl Polling {
    pub fn start(settings: &str) -> Polling {
        Polling { daemon: Daemon::start(settings), settings: settings.to_string() }
    }

    pub fn start_in(directory: Directory, settings: &str) -> Polling {
        let daemon = Daemon::start_in(directory, settings, &[]);
        Polling { daemon, settings: settings.to_string() }
    }

    /// With these environment variables.
    pub fn start_with(
        directory: Directory,
        settings: &str,
        environment: &[(&str, String)],
    ) -> Polling {
        let daemon = Daemon::start_with(directory, settings, &[], environment);
        Polling { daemon, settings: settings.to_string() }
    }

    pub fn reload(&mut self, settings: &str) {
        self.daemon.reload(settings);
        self.settings = settings.to_string();
    }

    /// Kills it and starts it again with what it left, after `between` was done there.
    pub fn kill_and_start_again(self, between: impl FnOnce(&Directory)) -> Polling {
        let Polling { daemon: Daemon { mut process, directory }, settings } = self;
        process.kill();
        between(&directory);
        let daemon = Daemon::start_in(directory, &settings, &[]);
        Polling { daemon, settings }
    }

    /// The file's whole lines.
    pub fn polled(&self) -> Vec<String> {
        polled(&self.daemon.directory)
    }

    /// Lets it poll for so long.
    pub fn go_on(&mut self, time: Duration) {
        std::thread::sleep(time);
        let ended = self.daemon.process.status();
        assert!(ended.is_none(), "perijove has ended: {}", self.daemon.process.stderr());
    }

    /// Waits until `more` records were polled.
    pub fn poll(&mut self, more: usize) {
        let before = self.polled().len();
        wait_for("polls", || (self.polled().len() >= before + more).then_some(()));
    }

    /// From now on there are only the program's own points.
    pub fn pause(&mut self) {
        let settings = self.settings.replacen(OFTEN, "interval = \"1h\"", 1);
        self.reload(&settings);
        self.daemon.process.wait_stderr("the settings were read again");
    }

    /// From now on there are no points at all, until it is started again.
    pub fn rest(&mut self) {
        let settings = self.settings.replacen(OFTEN, "interval = \"1h\"", 1);
        self.daemon.reload(&settings.replacen(OWN_OFTEN, "self_interval = \"1h\"", 1));
        self.daemon.process.wait_stderr("the settings were read again");
        // One report was due already.
        self.go_on(Duration::from_secs(1));
    }

    /// Waits until what was polled last has arrived.
    pub fn arrive(&self, far_end: &mut impl FarEnd) {
        wait_for("what was polled last arrives", || {
            let newest = far_end.same(&[self.polled().pop()?]);
            let arrived = far_end.arrived();
            newest.iter().all(|record| arrived.contains_key(record)).then_some(())
        });
    }

    /// Waits until all that was polled so far has arrived, polling going on, as long as more of it
    /// arrives. To read all of it is work for the far end too: it rests for as long.
    pub fn settle(&self, far_end: &mut impl FarEnd) {
        let polled = far_end.same(&self.polled());
        let (mut fewest, mut deadline) = (usize::MAX, Instant::now());
        loop {
            let start = Instant::now();
            let arrived = far_end.arrived();
            let missing: Vec<_> = polled.iter().filter(|l| !arrived.contains_key(*l)).collect();
            let Some(first) = missing.first() else { return };
            if missing.len() < fewest {
                (fewest, deadline) = (missing.len(), Instant::now() + DEADLINE);
            }
            assert!(
                Instant::now() < deadline,
                "{fewest} of {} are missing, the first is {first}\n{}",
                polled.len(),
                self.daemon.process.stderr()
            );
            std::thread::sleep(start.elapsed().max(Duration::from_millis(200)));
        }
    }

    /// Ends it in good order, and holds what arrived against what was polled.
    pub fn finish<F: FarEnd>(self, far_end: &mut F) -> Account {
        self.finish_with(far_end, false)
    }

    pub fn finish_with<F: FarEnd>(self, far_end: &mut F, may_lose: bool) -> Account {
        let Polling { daemon: Daemon { process, directory }, .. } = self;
        process.signal("TERM");
        let finished = process.finish();
        let (polled, deadline) = (polled(&directory), Instant::now() + SHOWN);
        let mut account = account(&polled, far_end);
        while account.lost > 0 && !may_lose && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(500));
            account = self::account(&polled, far_end);
        }
        if finished.code != 0 || (account.lost > 0 && !may_lose) {
            let said = finished.stderr.replace('\n', "\n#   ");
            account.failures.push(format!("exit code {}: {said}", finished.code));
        }
        account.dropped = dropped_points(&polled, F::OUTPUT).unwrap_or(0);
        account.disorder = far_end.disorder();
        let undelivered = undelivered(&finished.stderr);
        if undelivered != account.dropped {
            account.failures.push(format!("in the end {undelivered} points were not delivered"));
        }
        account
    }

    /// The number of points that the output says it has dropped, once that has been polled too.
    pub fn dropped(&self, output: &str) -> u64 {
        let before = self.polled().len();
        wait_for("the program's own points", || dropped_points(&self.polled()[before..], output))
    }
}

/// Once the newest points arrive nothing more is dropped, and the count is final.
pub fn recover_with_loss<F: FarEnd>(polling: Polling, far_end: &mut F) -> Account {
    polling.arrive(far_end);
    polling.dropped(F::OUTPUT);
    Account { has_limit: true, ..polling.finish_with(far_end, true) }
}

/// What the last of the program's own points among these say that an output has dropped.
fn dropped_points(polled: &[String], output: &str) -> Option<u64> {
    let text = polled.join("\n");
    let lines = if text.starts_with('{') { json_lines(&text) } else { whole_lines(&text) };
    own(&lines, ("output", output), "dropped_points_total").map(|points| points as u64)
}

/// Points that were not delivered, by what perijove says when it ends.
pub fn undelivered(stderr: &str) -> u64 {
    let lines = stderr.lines().filter_map(|line| line.strip_suffix(" points were not delivered"));
    let points = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    points.sum()
}

pub fn polled(directory: &Directory) -> Vec<String> {
    let text = std::fs::read_to_string(directory.join("polled")).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(str::to_string).collect()
}

/// Holds the records of the file against those of the far end.
pub fn account(polled: &[String], far_end: &mut impl FarEnd) -> Account {
    let arrived = far_end.arrived();
    let polled = far_end.same(polled);
    let lost: Vec<_> = polled.iter().filter(|line| !arrived.contains_key(*line)).collect();
    Account {
        points: polled.len(),
        lost: lost.len(),
        first_lost: lost.first().map(|line| line.to_string()),
        duplicate: arrived.values().map(|count| count - 1).sum(),
        unknown: arrived.keys().filter(|line| !polled.contains(*line)).count(),
        ..Account::default()
    }
}

/// JSON records as lines.
pub fn json_lines(text: &str) -> Vec<Line> {
    let line = |text: &str| {
        let record: serde_json::Value = serde_json::from_str(text).expect("a JSON record");
        let word = |value: &serde_json::Value| value.as_str().expect("a word").to_string();
        let object = |name: &str| record[name].as_object().expect("an object").clone();
        let tags = object("tags").into_iter().map(|(name, value)| (name, word(&value)));
        let fields = object("fields").into_iter().map(|(name, value)| {
            let number = value.as_f64().map(Value::Float);
            (name, number.unwrap_or_else(|| Value::Text(value.to_string())))
        });
        let measurement = word(&record["measurement"]);
        Line { measurement, tags: tags.collect(), fields: fields.collect(), timestamp: 0 }
    };
    text.lines().map(line).collect()
}
