//! The program under test and the simulated router that it polls.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::lines::{self, Line};
use super::process::{Finished, Process, run};
use super::temporary::Directory;

/// perijove with nothing of the caller's environment that could change what it does.
pub fn perijove(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perijove"));
    command.args(arguments).env("HOME", "/nonexistent");
    for (name, _) in std::env::vars() {
        if name.starts_with("PERIJOVE_") {
            command.env_remove(name);
        }
    }
    command
}

/// The simulated router's program, an example of this crate.
pub fn router_program() -> PathBuf {
    let binary = Path::new(env!("CARGO_BIN_EXE_perijove"));
    let path = binary.parent().expect("a directory").join("examples/router");
    assert!(path.is_file(), "{} is missing: run `cargo build --example router`", path.display());
    path
}

/// The command that starts a simulated router with these options.
pub fn router(options: &str) -> Vec<String> {
    let program = router_program().to_str().expect("a UTF-8 path").to_string();
    std::iter::once(program).chain(options.split_whitespace().map(str::to_string)).collect()
}

/// `[[router]]` for the local transport and a simulated router with these options.
pub fn local_router(name: &str, options: &str) -> String {
    format!(
        "[[router]]\nname = \"{name}\"\ntransport = \"local\"\ncommand = {:?}\n",
        router(options)
    )
}

/// Runs `perijove COMMAND --config FILE` to its end.
pub fn run_with(settings: &str, arguments: &[&str]) -> Finished {
    let directory = Directory::new();
    let file = directory.write("perijove.toml", settings);
    run(perijove(arguments).arg("--config").arg(file))
}

/// One poll of a simulated router with these options: the lines that `once` prints. Fails the test
/// unless the exit code is 0.
pub fn once(collectors: &str, router_options: &str) -> Vec<Line> {
    let finished = once_finished(collectors, router_options);
    assert_eq!(finished.code, 0, "{finished:?}");
    lines::read(&finished.stdout)
}

/// The same, however it ends.
pub fn once_finished(collectors: &str, router_options: &str) -> Finished {
    run_with(&local_router("r1", router_options), &["once", "--collectors", collectors])
}

/// A running perijove, its settings file and its directory.
pub struct Daemon {
    pub process: Process,
    pub directory: Directory,
}

impl Daemon {
    /// Starts `perijove run` in a directory of its own. `DIRECTORY` in the settings stands for it.
    pub fn start(settings: &str) -> Daemon {
        Daemon::start_in(Directory::new(), settings, &[])
    }

    pub fn start_in(directory: Directory, settings: &str, arguments: &[&str]) -> Daemon {
        Daemon::start_with(directory, settings, arguments, &[])
    }

    /// The same with these environment variables.
    pub fn start_with(
        directory: Directory,
        settings: &str,
        arguments: &[&str],
        environment: &[(&str, String)],
    ) -> Daemon {
        let file = directory.join("perijove.toml");
        write_settings(&directory, settings);
        let mut command = perijove(&["run"]);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start(command.arg("--config").arg(file).args(arguments));
        Daemon { process, directory }
    }

    /// Replaces the settings, for when they are read next.
    pub fn write_settings(&self, settings: &str) {
        write_settings(&self.directory, settings);
    }

    /// Replaces the settings and asks for them to be read again.
    pub fn reload(&self, settings: &str) {
        self.write_settings(settings);
        self.process.signal("HUP");
    }

    /// Ends it in good order and gives what it wrote.
    pub fn stop(self) -> Finished {
        self.process.signal("TERM");
        self.process.finish()
    }

    /// Waits until the lines on stdout satisfy `probe`.
    pub fn wait_lines<T>(&mut self, what: &str, probe: impl Fn(&[Line]) -> Option<T>) -> T {
        self.process.wait_for(what, |process| probe(&whole_lines(&process.stdout())))
    }
}

/// The lines of a text whose last line may still be being written.
pub fn whole_lines(text: &str) -> Vec<Line> {
    lines::read(text.rsplit_once('\n').map_or("", |(whole, _)| whole))
}

/// The settings appear at once, as an editor's rename does it, never half written.
fn write_settings(directory: &Directory, settings: &str) {
    let path = directory.path().to_str().expect("a UTF-8 path");
    let new = directory.write("perijove.toml.new", settings.replace("DIRECTORY", path));
    std::fs::rename(new, directory.join("perijove.toml")).expect("rename settings");
}

/// Settings for a poll so often, whatever it costs; they go before the first table.
pub fn every(interval: &str) -> String {
    FAST.replacen("300ms", interval, 1)
}

/// The same for several polls a second.
pub const FAST: &str = "interval = \"300ms\"\npoll_share_max = 100\nself_interval = \"300ms\"\n";

/// How many points of a measurement there are.
pub fn seen(lines: &[Line], measurement: &str) -> usize {
    lines.iter().filter(|line| line.measurement == measurement).count()
}

/// How many polls of the collector `alarm` came to their end: its counts are its last point.
pub fn alarm_polls(lines: &[Line]) -> usize {
    let counts = lines.iter().filter(|line| line.fields.contains_key("red_count"));
    counts.filter(|line| line.measurement == "alarms").count()
}

/// The identities that readings carry.
pub fn hosts(lines: &[Line]) -> std::collections::BTreeSet<String> {
    lines::readings(lines).iter().map(|line| line.tag("host").to_string()).collect()
}

/// The value of the last of the program's own points whose tags include this one and that has a
/// field of this name.
pub fn own(lines: &[Line], tag: (&str, &str), field: &str) -> Option<f64> {
    let mut own = lines.iter().rev().filter(|line| line.measurement.starts_with("perijove_"));
    own.find(|line| line.tag(tag.0) == tag.1 && line.fields.contains_key(field))
        .map(|line| line.number(field))
}

/// Whether InfluxDB's output says that it has dropped points.
pub fn dropped(lines: &[Line]) -> Option<()> {
    own(lines, ("output", "influxdb"), "dropped_points_total")
        .filter(|count| *count > 0.0)
        .map(|_| ())
}
