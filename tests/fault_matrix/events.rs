//! Events: what a router changes is told once, whatever happens to perijove or to its session.
//!
//! The script knows every change and its moment. Points are changes here: one is lost if no event
//! stands for it, and a duplicate or unknown if there are more events than changes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::account::{Account, undelivered};
use crate::common::influxd::Influxd;
use crate::common::lines::{Line, Value};
use crate::common::perijove::{Daemon, local_router};
use crate::common::script::{Script, port};
use crate::common::temporary::Directory;
use crate::common::{now_ns, wait_for};
use crate::perijove::{faked_clock, random};
use crate::{Fault, Long};

pub const FAULTS: &[&Fault] = &[
    &Fault { name: "events-killed", quick: true, run: |_| killed(4) },
    &Fault { name: "events-killed-often", quick: false, run: |_| killed(40) },
    &Fault { name: "events-session-cut", quick: true, run: session_cut },
    &Fault { name: "events-clock-back", quick: true, run: |_| clock_set(-3600) },
    &Fault { name: "events-clock-forward", quick: true, run: |_| clock_set(172_800) },
];

const PORTS: usize = 8;
/// Things that change once each: descriptions, and alarms that are set or cleared.
const ONCE: usize = 200;

/// One change: when it was, by perijove's clock, and what it led to.
struct Change {
    at_ns: i64,
    to: String,
}

/// The router's time.
const CLOCK: &str = "<system-uptime-information>\n<current-time>\n\
                     <date-time junos:seconds=\"{ago 0}\">x</date-time>\n</current-time>\n\
                     </system-uptime-information>\n";

struct Port {
    is_up: bool,
    flapped_ms: i64,
    transitions: u64,
}

/// What the router has, and all that was changed there.
struct Router {
    script: Script,
    ports: Vec<Port>,
    /// Of the descriptions, and of the alarms, so many are new.
    described: usize,
    set: usize,
    cleared: usize,
    /// The times of commits by the router's clock, in seconds.
    commits: Vec<i64>,
    /// So far perijove's clock is ahead of the real one, which is the router's; and was before.
    ahead_ns: i64,
    ahead_before: Vec<i64>,
    /// By kind and subject: what it was at first, and its changes.
    made: BTreeMap<(&'static str, String), (String, Vec<Change>)>,
    random: u64,
}

impl Router {
    fn new() -> Router {
        let flapped_ms = now_ns() / 1_000_000 - 90_000_000;
        let ports = (0..PORTS).map(|_| Port { is_up: true, flapped_ms, transitions: 4 }).collect();
        let router = Router {
            script: Script::new(),
            ports,
            described: 0,
            set: 0,
            cleared: 0,
            commits: Vec::new(),
            ahead_ns: 0,
            ahead_before: vec![0],
            made: BTreeMap::new(),
            random: now_ns() as u64 | 1,
        };
        router.script.no_system_alarms();
        router.script.answer("get-system-uptime-information", CLOCK);
        router.write_ports();
        router.write_alarms();
        router.write_commits();
        router
    }

    fn write_ports(&self) {
        let ports = self.ports.iter().enumerate().map(|(number, of)| {
            let state = if of.is_up { "up" } else { "down" };
            let flapped = format!("{{ago {}}}", of.flapped_ms);
            port(&name(number), state, "", &flapped, of.transitions)
        });
        let described = (0..ONCE).map(|number| {
            let description = if number < self.described { "after" } else { "before" };
            port(&format!("xe-0/1/{number}"), "up", description, &90_000, 1)
        });
        self.script.interfaces(&ports.chain(described).collect::<String>());
    }

    fn write_alarms(&self) {
        let old = (self.cleared..ONCE).map(|number| format!("Old {number}"));
        let new = (0..self.set).map(|number| format!("New {number}"));
        let alarms: Vec<String> = old.chain(new).collect();
        self.script.alarms(&alarms.iter().map(String::as_str).collect::<Vec<_>>());
    }

    fn write_commits(&self) {
        let commits = self.commits.iter().enumerate().rev().map(|(number, at)| {
            let number = self.commits.len() - 1 - number;
            format!(
                "<commit-history>\n<sequence-number>{number}</sequence-number>\n\
                 <user>anna</user>\n<client>cli</client>\n\
                 <date-time junos:seconds=\"{at}\">x</date-time>\n</commit-history>\n"
            )
        });
        let commits: String = commits.collect();
        let text = format!("<commit-information>\n{commits}</commit-information>\n");
        self.script.answer("get-commit-information", &text);
    }

    fn random(&mut self, below: usize) -> usize {
        random(&mut self.random) as usize % below
    }

    fn note(&mut self, kind: &'static str, subject: String, from: &str, to: &[&str]) {
        let (_, changes) =
            self.made.entry((kind, subject)).or_insert_with(|| (from.to_string(), Vec::new()));
        let at_ns = now_ns() + self.ahead_ns;
        changes.extend(to.iter().map(|to| Change { at_ns, to: to.to_string() }));
    }

    /// A port goes up or down, or does both.
    fn change_port(&mut self) {
        let (number, is_flap) = (self.random(PORTS), self.random(3) == 0);
        let of = &mut self.ports[number];
        let (now, other) = if of.is_up { ("up", "down") } else { ("down", "up") };
        of.flapped_ms = now_ns() / 1_000_000;
        of.is_up ^= !is_flap;
        let to: &[&str] = if is_flap { &[other, now] } else { &[other] };
        of.transitions += to.len() as u64;
        self.note("interface-state", name(number), "up", to);
        self.write_ports();
    }

    fn change_description(&mut self) {
        let subject = format!("xe-0/1/{}", self.described);
        self.described += 1;
        self.note("interface-description", subject, "before", &["after"]);
        self.write_ports();
    }

    fn set_alarm(&mut self) {
        self.note("alarm", format!("New {}", self.set), "cleared", &["set"]);
        self.set += 1;
        self.write_alarms();
    }

    fn clear_alarm(&mut self) {
        self.note("alarm", format!("Old {}", self.cleared), "set", &["cleared"]);
        self.cleared += 1;
        self.write_alarms();
    }

    /// A router commits no two at once.
    fn commit(&mut self) {
        let now_s = now_ns() / 1_000_000_000;
        if self.commits.last() != Some(&now_s) {
            self.note("commit", "cli".into(), "", &[""]);
            self.commits.push(now_s);
            self.write_commits();
        }
    }

    /// Whatever it is.
    fn change(&mut self) {
        match self.random(5) {
            0 => self.change_port(),
            1 => self.change_description(),
            2 => self.set_alarm(),
            3 => self.commit(),
            _ => self.clear_alarm(),
        }
    }

    /// When an event was seen, by the real clock: perijove's was set by more than all this takes.
    fn seen_ms(&self, event: &Line) -> i64 {
        let (seen_ms, now_ms) = ((event.number("seen") * 1000.0) as i64, now_ns() / 1_000_000);
        let real = self.ahead_before.iter().map(|ahead_ns| seen_ms - ahead_ns / 1_000_000);
        real.min_by_key(|real_ms| (now_ms - real_ms).abs()).expect("a clock")
    }

    /// Holds what was told against what was changed.
    fn account(&self, told: Vec<Line>) -> Account {
        let mut account = Account::default();
        let mut by_subject: BTreeMap<(String, String), Vec<Line>> = BTreeMap::new();
        for event in told {
            let key = (event.tag("kind").to_string(), event.tag("subject").to_string());
            by_subject.entry(key).or_default().push(event);
        }
        for ((kind, subject), (first, changes)) in &self.made {
            let key = (kind.to_string(), subject.clone());
            let mut events = by_subject.remove(&key).unwrap_or_default();
            // Each poll's by their times: those of one clock.
            events.sort_by_key(|event| (self.seen_ms(event), event.timestamp));
            walk(&mut account, &format!("{kind} {subject}"), first, changes, &events);
        }
        account.unknown = by_subject.values().map(Vec::len).sum();
        account
    }
}

fn name(port: usize) -> String {
    format!("xe-0/0/{port}")
}

fn text<'a>(event: &'a Line, field: &str) -> &'a str {
    match event.fields.get(field) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

/// The events of one subject, in the order in which they were seen, stand for its changes.
fn walk(account: &mut Account, what: &str, first: &str, changes: &[Change], events: &[Line]) {
    account.points += changes.len();
    let (mut state, mut next) = (first, 0);
    for event in events {
        let count = event.number("count") as usize;
        account.duplicate += (next + count).saturating_sub(changes.len()).min(count);
        next += count;
        let Some(change) = changes.get(next - 1) else { continue };
        let (from, to) = (text(event, "from"), text(event, "to"));
        if (from, to) != (state, &change.to) {
            let expected = format!("{state} -> {}", change.to);
            account.failures.push(format!("{what}: {from} -> {to}, not {expected}"));
        }
        state = &change.to;
        // What polls tell counts from whole seconds.
        let rounding = if text(event, "clock") == "age" { 0.0 } else { 1.0 };
        let off = (event.timestamp - change.at_ns).abs() as f64 / 1e9;
        // Not known where our clock was set back since the poll before.
        let exactness = event.fields.get("exactness").and_then(Value::number);
        if exactness.is_some_and(|exactness| off > exactness + rounding) {
            account.failures.push(format!("{what}: {off} s off: {event:?}"));
        }
    }
    let missing = changes.len().saturating_sub(next);
    account.lost += missing;
    if missing > 0 {
        account.first_lost.get_or_insert(what.to_string());
    }
}

fn settings(options: &str, influxd: &Influxd) -> String {
    format!(
        "interval = \"250ms\"\npoll_share_max = 100\nstate_directory = \"DIRECTORY\"\n\
         collectors = [\"interfaces\", \"alarm\", \"commits\"]\n{}[events]\nflaps_max = 100000\n\
         {}timeout = \"2s\"\n",
        local_router("r1", options),
        influxd.output()
    )
}

/// A perijove that polls the router of a script.
struct Watching {
    router: Router,
    influxd: Influxd,
    daemon: Option<Daemon>,
    settings: String,
    environment: Vec<(&'static str, String)>,
}

impl Watching {
    fn start(options: &str) -> Watching {
        Watching::start_in(Directory::new(), options, Vec::new())
    }

    fn start_in(
        directory: Directory,
        options: &str,
        environment: Vec<(&'static str, String)>,
    ) -> Watching {
        let (router, influxd) = (Router::new(), Influxd::start());
        let settings = settings(&format!("{} {options}", router.script.options()), &influxd);
        let mut watching = Watching { router, influxd, daemon: None, settings, environment };
        watching.go_on(directory);
        watching.begin();
        watching
    }

    /// What an event was found by is on the disk before the event is anywhere else: with one of
    /// each collector, all states are.
    fn begin(&mut self) {
        for measurement in ["interface", "alarms", "commits"] {
            wait_for("two polls", || {
                let points = self.influxd.points_of(measurement);
                let times: Vec<i64> = points.iter().map(|point| point.timestamp).collect();
                times.iter().any(|time| *time != times[0]).then_some(())
            });
        }
        self.router.change_port();
        self.router.set_alarm();
        self.router.commit();
        self.wait_told();
    }

    /// Starts it with what it left.
    fn go_on(&mut self, directory: Directory) {
        let daemon = Daemon::start_with(directory, &self.settings, &[], &self.environment);
        self.daemon = Some(daemon);
    }

    /// InfluxDB shows a point's fields one by one while it takes them.
    fn told(&self) -> Vec<Line> {
        wait_for("the same events twice", || {
            let events = self.influxd.points_of("event");
            (self.influxd.points_of("event") == events).then_some(events)
        })
    }

    /// Waits until every change so far was told.
    fn wait_told(&self) {
        let deadline = Instant::now() + crate::common::DEADLINE;
        loop {
            let account = self.router.account(self.told());
            if account.lost == 0 || Instant::now() > deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits for so many more polls.
    fn wait_polls(&self, count: usize) {
        let polls = || self.influxd.points_of("commits").len();
        let before = polls();
        // One may be under way.
        wait_for("more polls", || (polls() > before + count).then_some(()));
    }

    fn directory(&mut self) -> Directory {
        let Daemon { mut process, directory } = self.daemon.take().expect("it runs");
        process.kill();
        directory
    }

    /// More polls must tell nothing more.
    fn finish(self) -> (Account, String) {
        self.wait_told();
        self.wait_polls(4);
        let finished = self.daemon.expect("it runs").stop();
        let events = self.influxd.points_of("event");
        let count = events.len();
        let mut account = self.router.account(events);
        if finished.code != 0 || undelivered(&finished.stderr) > 0 {
            account.failures.push(format!("exit code {}: {}", finished.code, finished.stderr));
        }
        (account.note(format!("{count} events")), finished.stderr)
    }
}

/// Killed at random moments between and in polls, while changes go on.
fn killed(times: usize) -> Account {
    let mut watching = Watching::start("");
    for _ in 0..times {
        for _ in 0..watching.router.random(4) {
            watching.router.change();
            let pause = watching.router.random(300);
            std::thread::sleep(Duration::from_millis(pause as u64));
        }
        let pause = watching.router.random(1200);
        std::thread::sleep(Duration::from_millis(pause as u64));
        let directory = watching.directory();
        // What happens while it does not run is found too.
        if watching.router.random(2) == 0 {
            watching.router.change();
        }
        watching.go_on(directory);
    }
    watching.finish().0.note(format!("killed {times} times"))
}

/// The session is cut in the middle of a reply, again and again, while changes go on.
fn session_cut(_: &Long) -> Account {
    let mut watching = Watching::start("--fault close@10");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(8) {
        watching.router.change();
        let pause = watching.router.random(250);
        std::thread::sleep(Duration::from_millis(pause as u64));
    }
    let (mut account, said) = watching.finish();
    let sessions = said.matches(" is open").count();
    if sessions < 3 {
        account.failures.push(format!("only {sessions} sessions were opened"));
    }
    account.note(format!("{sessions} sessions were opened"))
}

/// perijove's own clock is set while it runs, and again while it does not; the router's is right.
fn clock_set(by_s: i64) -> Account {
    let directory = Directory::new();
    let (environment, offset) = faked_clock(&directory);
    let mut watching = Watching::start_in(directory, "", environment);
    let change = |watching: &mut Watching| {
        for _ in 0..6 {
            watching.router.change();
            std::thread::sleep(Duration::from_millis(300));
        }
        // A change is noted by the clock of the poll that sees it.
        watching.wait_told();
    };
    let set = |watching: &mut Watching, to_s: i64| {
        std::fs::write(&offset, format!("{to_s:+}\n")).expect("set the clock");
        watching.router.ahead_ns = to_s * 1_000_000_000;
        watching.router.ahead_before.push(watching.router.ahead_ns);
    };
    change(&mut watching);
    set(&mut watching, by_s);
    change(&mut watching);
    watching.wait_polls(2);
    let directory = watching.directory();
    set(&mut watching, 0);
    watching.router.change();
    watching.go_on(directory);
    change(&mut watching);
    set(&mut watching, by_s);
    watching.wait_polls(4);
    watching.finish().0.note(format!("set by {by_s} s, and back"))
}
