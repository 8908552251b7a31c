//! perijove that is started again and again with what it has kept, for tests of events.

use std::collections::{BTreeMap, BTreeSet};

use super::lines::{Line, Value};
use super::perijove::{Daemon, FAST, whole_lines};
use super::script::Script;
use super::temporary::Directory;
use super::{now_ns, wait_for};

/// perijove in a directory that outlives it, with a file output there.
pub struct Run {
    pub directory: Option<Directory>,
    pub daemon: Option<Daemon>,
    settings: String,
}

impl Run {
    pub fn new(script: &Script, collectors: &str, more: &str) -> Run {
        Run::of(&script.router(), collectors, more)
    }

    pub fn of(router: &str, collectors: &str, more: &str) -> Run {
        let settings = format!(
            "collectors = [{collectors}]\n{FAST}state_directory = \"DIRECTORY\"\n{router}\
             [output.file]\npath = \"DIRECTORY/points\"\n{more}"
        );
        let settings = settings.replace("interval = \"300ms\"", "interval = \"1s\"");
        let mut run = Run { directory: Some(Directory::new()), daemon: None, settings };
        run.start();
        run
    }

    pub fn start(&mut self) {
        let directory = self.directory.take().unwrap();
        self.daemon = Some(Daemon::start_in(directory, &self.settings, &[]));
    }

    pub fn lines(&self) -> Vec<Line> {
        let daemon = self.daemon.as_ref().unwrap();
        whole_lines(&std::fs::read_to_string(daemon.directory.join("points")).unwrap_or_default())
    }

    /// The different events so far, in the order of their times: a record that comes twice is one.
    pub fn events(&self) -> Vec<Line> {
        let events = self.lines().into_iter().filter(|line| line.measurement == "event");
        let events: BTreeMap<_, _> =
            events.map(|line| ((line.timestamp, line.key()), line)).collect();
        events.into_values().collect()
    }

    /// Waits for two more polls of a measurement that begin after now.
    pub fn poll(&self, measurement: &str) {
        let from = now_ns();
        wait_for("two more polls", || {
            let lines = self.lines();
            let times = lines.iter().filter(|line| line.measurement == measurement);
            let times: BTreeSet<_> = times.map(|line| line.timestamp).collect();
            (times.range(from..).count() >= 2).then_some(())
        });
    }

    /// Waits for four more polls of collectors, of which two at least begin after now.
    pub fn wait_polls(&self, collectors: &[&str]) {
        let counts = || -> BTreeMap<String, f64> {
            let lines = self.lines().into_iter();
            let own = lines.filter(|line| line.measurement == "perijove_collector");
            own.map(|line| (line.tag("collector").into(), line.number("polls_total"))).collect()
        };
        let before = counts();
        let of = |counts: &BTreeMap<_, f64>, name: &str| counts.get(name).copied().unwrap_or(0.0);
        wait_for("four more polls", || {
            let now = counts();
            let is_over = |name: &&str| of(&now, name) >= of(&before, name) + 4.0;
            collectors.iter().all(is_over).then_some(())
        });
    }

    /// Kills it, once what the first poll has shown is on the disk.
    pub fn kill(&mut self) {
        let daemon = self.daemon.take().unwrap();
        let kept = daemon.directory.join("events/r1");
        wait_for("the states", || kept.exists().then_some(()));
        // Stopped first: a write that is killed in its middle would leave half a line.
        let Daemon { process, directory } = daemon;
        drop(process);
        self.directory = Some(directory);
    }

    pub fn wait_events(&self, count: usize) -> Vec<Line> {
        wait_for("events", || Some(self.events()).filter(|events| events.len() >= count))
    }
}

/// A field's text; empty if there is none.
pub fn text<'a>(line: &'a Line, field: &str) -> &'a str {
    match line.fields.get(field) {
        Some(Value::Text(text)) => text,
        _ => "",
    }
}

/// Kind, subject, severity, from, to.
pub fn shown(line: &Line) -> String {
    let [kind, subject, severity] = ["kind", "subject", "severity"].map(|tag| line.tag(tag));
    format!("{severity} {kind} {subject}: {} -> {}", text(line, "from"), text(line, "to"))
}
