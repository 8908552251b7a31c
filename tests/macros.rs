//! Settings from the router's own configuration: macros, commits, and what becomes of them.

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::http_stub::{HttpStub, Reply};
use common::lines::{self, Line};
use common::needs::{ROOT, skips};
use common::perijove::{
    Daemon, FAST, alarm_polls, every, hosts, local_router, own, perijove, router_program, run_with,
};
use common::process::{Process, descendants, run};
use common::syslog::{wait_syslog, with_syslog};
use common::temporary::Directory;
use common::wait_for;

/// A router's configuration, which a test commits.
struct Router {
    directory: Directory,
    commits: Vec<String>,
}

impl Router {
    fn new() -> Router {
        let mut router = Router { directory: Directory::new(), commits: Vec::new() };
        router.commit("");
        router
    }

    fn file(&self) -> PathBuf {
        self.directory.join("configuration")
    }

    /// The configuration's text with one more commit; `lines` are all of its macros.
    fn next(&mut self, lines: &str) -> String {
        let number = self.commits.len();
        self.commits
            .insert(0, format!("commit {} operator change-{number}", 1_700_000_000 + number));
        format!("{}\n{lines}\n", self.commits.join("\n"))
    }

    fn commit(&mut self, lines: &str) {
        let text = self.next(lines);
        let new = self.directory.write("new", text);
        std::fs::rename(new, self.file()).expect("commit");
    }

    /// `[[router]]` for it, with these options beside.
    fn settings(&self, options: &str) -> String {
        local_router("r1", &format!("--configuration {} {options}", self.file().display()))
    }

    /// Settings that look at the configuration often, and poll as often.
    fn often(&self, options: &str) -> String {
        format!(
            "configuration_interval = \"200ms\"\ncollectors = [\"alarm\"]\n{FAST}{}",
            self.settings(options)
        )
    }
}

/// Waits until the readings that the daemon has printed so far are in InfluxDB.
fn wait_queued(daemon: &Daemon, influxdb: &HttpStub) {
    let before = daemon.process.stdout();
    let (before, _) = before.rsplit_once('\n').expect("lines");
    let key = |line: &Line| format!("{} {:?}", line.key(), line.fields);
    let readings = lines::readings(&lines::read(before));
    let wanted: BTreeSet<String> = readings.iter().map(key).collect();
    assert!(wanted.len() > 6, "{wanted:?}");
    wait_for("all that was queued", || {
        let got: BTreeSet<String> = influxdb.accepted().iter().map(key).collect();
        wanted.is_subset(&got).then_some(())
    });
}

/// `set system apply-macro perijove NAME VALUE`
fn set(name: &str, value: &str) -> String {
    format!("set system apply-macro perijove {name} {value}\n")
}

fn site(name: &str) -> String {
    set("router_defaults.tags.site", name)
}

/// Waits for a poll with this tag `site`; without one, for `none`.
fn wait_site(daemon: &mut Daemon, name: &str) {
    let so_far = common::perijove::whole_lines(&daemon.process.stdout()).len();
    daemon.wait_lines(&format!("polls with site={name}"), |lines| {
        let new = &lines[so_far..];
        let of_site = |line: &&Line| line.tags.get("site").map_or("none", String::as_str) == name;
        let new: Vec<Line> = new.iter().filter(of_site).cloned().collect();
        (alarm_polls(&new) > 0).then_some(())
    });
}

/// The last value of perijove_configuration's field.
fn configuration(lines: &[Line], field: &str) -> Option<f64> {
    let mut own = lines.iter().rev().filter(|line| line.measurement == "perijove_configuration");
    own.find(|line| line.fields.contains_key(field)).map(|line| line.number(field))
}

fn wait_figure(daemon: &mut Daemon, field: &str, value: f64) {
    daemon.wait_lines(&format!("{field} = {value}"), |lines| {
        (configuration(lines, field) == Some(value)).then_some(())
    });
}

#[test]
fn settings_follow_commits_and_queues_keep_what_they_hold() {
    let takes = Arc::new(AtomicBool::new(false));
    let says = takes.clone();
    let stub = HttpStub::start(move |_, _| {
        Reply::status(if says.load(Ordering::Relaxed) { 204 } else { 503 })
    });
    let mut router = Router::new();
    let url = format!("http://127.0.0.1:{}", stub.port);
    let outputs = format!("[output.stdout]\n[output.influxdb]\nurl = \"{url}\"\n");
    let mut daemon = Daemon::start(&(router.often("") + &outputs));
    wait_site(&mut daemon, "none");
    wait_figure(&mut daemon, "parameters", 0.0);
    router.commit(&site("north"));
    wait_site(&mut daemon, "north");
    router.commit(&(site("south") + &set("output.influxdb.flush_interval", "1s")));
    wait_site(&mut daemon, "south");
    wait_figure(&mut daemon, "parameters", 2.0);
    // A commit of something else changes nothing.
    router.commit(&(site("south") + &set("output.influxdb.flush_interval", "1s")));
    // A rollback.
    router.commit("");
    wait_site(&mut daemon, "none");
    wait_figure(&mut daemon, "changes_total", 3.0);
    // One session for polls and configuration.
    wait_for("one session", || (descendants(daemon.process.id()).len() == 1).then_some(()));
    takes.store(true, Ordering::Relaxed);
    wait_queued(&daemon, &stub);
    assert_eq!(daemon.stop().code, 0);
}

/// Two Routing Engines with one configuration, each with a perijove of its own.
#[test]
fn after_a_switch_of_mastership_the_other_engine_goes_on_with_the_same_settings() {
    let takes = Arc::new(AtomicBool::new(false));
    let says = takes.clone();
    let stub = HttpStub::start(move |_, _| {
        Reply::status(if says.load(Ordering::Relaxed) { 204 } else { 503 })
    });
    let url = format!("http://127.0.0.1:{}", stub.port);
    // `commit synchronize`: the macros are on both engines, the role is each one's own.
    let both = |of: &str, roles: [&str; 2]| {
        let macros = site(of) + &set("output.influxdb.url", &url);
        roles.map(|role| format!("{macros}engine {role} 50 50\n"))
    };
    let mut routers = [Router::new(), Router::new()];
    let commit = |routers: &mut [Router; 2], of: &str, roles: [&str; 2]| {
        routers.iter_mut().zip(both(of, roles)).for_each(|(router, lines)| router.commit(&lines));
    };
    commit(&mut routers, "north", ["Master", "Backup"]);
    let mut engines = routers.each_ref().map(|router| {
        Daemon::start(&format!("master_only = true\n{}[output.stdout]\n", router.often("")))
    });
    wait_site(&mut engines[0], "north");
    commit(&mut routers, "south", ["Master", "Backup"]);
    wait_site(&mut engines[0], "south");
    let changes = engines.each_mut().map(|engine| {
        wait_figure(engine, "parameters", 2.0);
        engine.wait_lines("the commit on either engine", |lines| {
            let own = |line: &&Line| line.measurement.starts_with("perijove_");
            lines.iter().filter(own).find(|line| line.tag("site") == "south")?;
            configuration(lines, "changes_total")
        })
    });
    let stands_by = |engine: &mut Daemon| {
        engine.wait_lines("it stands by", |lines| {
            (own(lines, ("collector", "alarm"), "no_data") == Some(1.0)).then_some(())
        });
    };
    stands_by(&mut engines[1]);
    let lines = common::perijove::whole_lines(&engines[1].process.stdout());
    assert_eq!(alarm_polls(&lines), 0, "the backup was polled");

    commit(&mut routers, "south", ["Backup", "Master"]);
    wait_site(&mut engines[1], "south");
    stands_by(&mut engines[0]);
    // What was due while it stood by is not made up for: it polls at its interval.
    let times = engines[1].wait_lines("polls by the new master", |lines| {
        let polls = lines.iter().filter(|line| line.fields.contains_key("red_count"));
        let times: Vec<i64> = polls.map(|line| line.timestamp).collect();
        (times.len() >= 8).then_some(times)
    });
    let span_ms = (times[times.len() - 1] - times[0]) / 1_000_000;
    assert!(times.len() as i64 <= span_ms / 300 + 2, "{} polls in {span_ms} ms", times.len());
    let lines = common::perijove::whole_lines(&engines[1].process.stdout());
    let new = lines.iter().filter(|line| line.fields.contains_key("red_count"));
    let sites: BTreeSet<&str> = new.map(|line| line.tag("site")).collect();
    assert_eq!(sites, BTreeSet::from(["south"]));

    // What both had queued arrives, from the old master too.
    takes.store(true, Ordering::Relaxed);
    for (engine, changes) in engines.iter_mut().zip(changes) {
        wait_figure(engine, "changes_total", changes);
        wait_figure(engine, "refused", 0.0);
        wait_queued(engine, &stub);
    }
    for engine in engines {
        let finished = engine.stop();
        assert_eq!(finished.code, 0, "{}", finished.stderr);
    }
}

#[test]
fn a_bad_value_keeps_the_old_settings_and_names_its_line() {
    let mut router = Router::new();
    router.commit(&site("north"));
    let mut daemon = Daemon::start(&router.often(""));
    wait_site(&mut daemon, "north");
    // Half of what an output needs, beside a change.
    router.commit(&(site("south") + &set("output.influxdb.database", "d")));
    let line = "set system apply-macro perijove output.influxdb.database …: needs a url";
    daemon.process.wait_stderr(line);
    daemon.process.wait_stderr("is not used as it is committed: the old settings stay in use");
    wait_figure(&mut daemon, "refused", 1.0);
    let error = daemon.wait_lines("the reason", |lines| {
        let mut own =
            lines.iter().rev().filter(|line| line.measurement == "perijove_configuration");
        own.find_map(|line| line.fields.get("error").map(|error| format!("{error:?}")))
    });
    assert!(error.contains(line), "{error}");
    wait_site(&mut daemon, "north");
    router.commit(&site("east"));
    wait_site(&mut daemon, "east");
    wait_figure(&mut daemon, "refused", 0.0);
    wait_figure(&mut daemon, "refusals_total", 1.0);
    // A new file can set right what a macro alone cannot.
    router.commit(&(site("west") + &set("output.influxdb.org", "o")));
    daemon.process.wait_stderr("perijove output.influxdb.org …");
    let v2 = "[output.stdout]\n[output.influxdb]\nurl = \"http://127.0.0.1:1\"\nversion = 2\n\
              bucket = \"b\"\n";
    daemon.reload(&(router.often("") + v2));
    wait_site(&mut daemon, "west");
    wait_figure(&mut daemon, "refused", 0.0);
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn the_start_has_the_macros_and_a_bad_one_leaves_the_file() {
    let mut router = Router::new();
    router.commit(&(site("north") + &set("interval", "300ms") + &set("log.level", "debug")));
    let settings = router.often("").replacen("interval = \"300ms\"\n", "", 1);
    let mut daemon = Daemon::start(&settings);
    wait_site(&mut daemon, "north");
    daemon.process.wait_stderr("3 parameters of apply-macro perijove");
    let finished = daemon.stop();
    let first = lines::readings(&lines::read(&finished.stdout));
    assert!(first.iter().all(|line| line.tag("site") == "north"), "{first:?}");

    router.commit(&(site("south") + &set("intervall", "300ms")));
    let mut daemon = Daemon::start(&router.often(""));
    wait_site(&mut daemon, "none");
    daemon.process.wait_stderr("perijove intervall …: unknown key `intervall`");
    daemon.process.wait_stderr("the settings file alone is used");
    wait_figure(&mut daemon, "refused", 1.0);
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_start_without_good_macros_uses_the_last_ones() {
    let mut router = Router::new();
    let state = router.directory.join("state");
    std::fs::create_dir(&state).expect("make a directory");
    let settings = format!("state_directory = {state:?}\n{}", router.often(""));
    router.commit(&site("north"));
    let mut daemon = Daemon::start(&settings);
    wait_site(&mut daemon, "north");
    // What is said is kept. Killed, and the next commit is wrong.
    daemon.process.wait_stderr("1 parameters of apply-macro perijove");
    daemon.process.signal("KILL");
    drop(daemon);
    router.commit(&(site("south") + &set("intervall", "300ms")));
    let mut daemon = Daemon::start(&settings);
    wait_site(&mut daemon, "north");
    daemon.process.wait_stderr("as it is committed: those that were in use last are used");
    wait_figure(&mut daemon, "refused", 1.0);
    wait_figure(&mut daemon, "parameters", 1.0);
    router.commit(&site("east"));
    wait_site(&mut daemon, "east");
    assert_eq!(daemon.stop().code, 0);
    // The router cannot be asked, and later it can.
    router.commit("denied");
    let mut daemon = Daemon::start(&settings);
    wait_site(&mut daemon, "east");
    daemon.process.wait_stderr("until it can be read, those that were in use last");
    router.commit("");
    wait_site(&mut daemon, "none");
    wait_figure(&mut daemon, "success", 1.0);
    assert_eq!(daemon.stop().code, 0);
    router.commit("denied");
    let mut daemon = Daemon::start(&settings);
    wait_site(&mut daemon, "none");
    daemon.process.wait_stderr("until it can be read, the settings file alone is used");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_file_may_be_whole_only_with_the_macros() {
    let stub = HttpStub::start(|_, _| Reply::status(204));
    let mut router = Router::new();
    let part = router.often("") + "[output.influxdb]\ndatabase = \"d\"\n";
    let url = format!("http://127.0.0.1:{}", stub.port);
    router.commit(&set("output.influxdb.url", &url));
    let daemon = Daemon::start(&part);
    stub.wait_requests("points", |requests| requests.first().map(drop));
    assert_eq!(daemon.stop().code, 0);
    router.commit("");
    let finished = run_with(&part, &["run"]);
    assert_eq!(finished.code, 2);
    assert!(finished.stderr.contains("output.influxdb: needs a url"), "{}", finished.stderr);
}

#[test]
fn a_router_that_is_away_at_the_start_is_asked_later() {
    let mut router = Router::new();
    router.commit(&site("late"));
    let settings = format!(
        "configuration_interval = \"200ms\"\ncollectors = [\"alarm\"]\n{FAST}[[router]]\n\
         name = \"r1\"\ncommand = [\"DIRECTORY/router\", \"--configuration\", {:?}]\n",
        router.file()
    );
    let mut daemon = Daemon::start(&settings);
    daemon.process.wait_stderr("the router's configuration cannot be read");
    wait_figure(&mut daemon, "success", 0.0);
    std::os::unix::fs::symlink(router_program(), daemon.directory.join("router")).expect("link");
    wait_site(&mut daemon, "late");
    wait_figure(&mut daemon, "success", 1.0);
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_commit_while_the_configuration_is_read_is_not_missed() {
    let mut router = Router::new();
    let mut daemon = Daemon::start(&router.often(""));
    wait_site(&mut daemon, "none");
    // The first of these is committed; the second comes when the first was read.
    let first = router.next(&site("first"));
    let second = router.next(&site("second"));
    let next = router.directory.write("next", second);
    let first = format!("{first}next {}\n", next.display());
    let new = router.directory.write("new", first);
    std::fs::rename(new, router.file()).expect("commit");
    wait_site(&mut daemon, "second");
    let finished = daemon.stop();
    let lines = lines::readings(&lines::read(&finished.stdout));
    let sites: BTreeSet<&str> =
        lines.iter().filter_map(|line| line.tags.get("site").map(String::as_str)).collect();
    assert_eq!(sites, BTreeSet::from(["second"]), "what no longer counted was used");
}

#[test]
fn both_routing_engines_groups_and_inactive_macros() {
    let mut router = Router::new();
    let groups = "set groups all system apply-macro perijove router_defaults.tags.site grouped\n";
    let off = "set system apply-macro perijove interval 9h\n\
               deactivate system apply-macro perijove interval\n\
               set system apply-macro perijove-collector.alarm ignore \"with spaces\"\n\
               set system apply-macro perijove-x intervall 1\n\
               deactivate system apply-macro perijove-x\n\
               set system apply-macro other interval 9h\n";
    router.commit(&format!("{groups}{off}"));
    let mut daemon = Daemon::start(&router.often("--multi-re re0,re1"));
    wait_site(&mut daemon, "grouped");
    wait_figure(&mut daemon, "parameters", 2.0);
    router.commit(&site("both"));
    wait_site(&mut daemon, "both");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn without_the_permission_settings_stay_and_it_is_said() {
    let mut router = Router::new();
    router.commit(&site("north"));
    let mut daemon = Daemon::start(&router.often(""));
    wait_site(&mut daemon, "north");
    router.commit("denied");
    daemon.process.wait_stderr(
        "the router's configuration cannot be read, its settings stay as they are: permission \
         denied; the login class needs: permissions view view-configuration",
    );
    wait_figure(&mut daemon, "success", 0.0);
    wait_site(&mut daemon, "north");
    router.commit(&site("south"));
    wait_site(&mut daemon, "south");
    let finished = daemon.stop();
    let said = finished.stderr.matches("its settings stay as they are").count();
    assert_eq!(said, 1, "{}", finished.stderr);
}

#[test]
fn thousands_of_macros_are_read_over_and_too_many_of_ours_refused() {
    let mut router = Router::new();
    let mut lines = site("north");
    for number in 0..5000 {
        writeln!(lines, "set system apply-macro other-{number} key \"value {number}\"").unwrap();
    }
    router.commit(&lines);
    let mut daemon = Daemon::start(&router.often(""));
    wait_site(&mut daemon, "north");
    let mut lines = site("south");
    for number in 0..5000 {
        lines += &set(&format!("router_defaults.tags.t{number}"), "x");
    }
    router.commit(&lines);
    daemon.process.wait_stderr("have more than 1000 parameters, or 128 kB");
    wait_site(&mut daemon, "north");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn flags_and_the_file_count_more_and_that_is_said() {
    let mut router = Router::new();
    router.commit(&(set("interval", "9h") + &set("collectors", "['bgp']") + &site("north")));
    let settings = router.often("");
    let mut daemon = Daemon::start_in(Directory::new(), &settings, &["--interval", "200ms"]);
    wait_site(&mut daemon, "north");
    daemon.process.wait_stderr("perijove interval …: the flag --interval sets this key too");
    daemon.process.wait_stderr("perijove collectors …: the settings file has this key too");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn off_the_router_it_is_not_offered() {
    let ssh = "[[router]]\ntarget = \"r\"\nusername = \"u\"\npassword_env = \"HOME\"\n";
    let finished = run_with(&format!("configuration_interval = \"30s\"\n{ssh}"), &["run"]);
    assert_eq!(finished.code, 2);
    let said = "perijove.toml:1: configuration_interval: settings are read from the configuration \
                of the router that perijove runs on";
    assert!(finished.stderr.contains(said), "{}", finished.stderr);
    let finished = run_with(ssh, &["check", "--from-configuration"]);
    assert_eq!(finished.code, 2);
    assert!(finished.stderr.contains("is for perijove on the router itself"), "{finished:?}");
    // A command that is not the router's own is not asked unless that is set.
    let mut router = Router::new();
    router.commit(&site("north"));
    let settings = format!("collectors = [\"alarm\"]\n{}{}", every("300ms"), router.settings(""));
    let mut daemon = Daemon::start(&settings);
    wait_site(&mut daemon, "none");
    assert!(hosts(&lines::read(&daemon.stop().stdout)).contains("r1"));
}

#[test]
fn check_reads_the_macros_when_it_is_asked_to() {
    let mut router = Router::new();
    router.commit(&set("output.prometheus.listen", "127.0.0.1:0"));
    let settings = router.often("");
    let check = |arguments: &[&str]| run_with(&settings, &[&["check"], arguments].concat());
    let with = check(&["--from-configuration"]);
    assert_eq!(with.code, 0, "{with:?}");
    let said = "ok          configuration: 1 parameters of apply-macro perijove";
    assert!(with.stdout.contains(said), "{}", with.stdout);
    assert!(with.stdout.contains("output prometheus"), "{}", with.stdout);
    assert!(!check(&[]).stdout.contains("output prometheus"));
    router.commit(&(set("sandbox", "off") + &set("nice", "-5")));
    let wrong = check(&["--from-configuration"]);
    assert_eq!(wrong.code, 1, "{wrong:?}");
    for key in ["sandbox", "nice"] {
        let said = format!("FAILED      configuration: set system apply-macro perijove {key} …: ");
        assert!(wrong.stdout.contains(&said), "{}", wrong.stdout);
    }
    router.commit("denied");
    let denied = check(&["--from-configuration"]);
    assert_eq!(denied.code, 1);
    assert!(denied.stdout.contains("configuration: permission denied"), "{denied:?}");
}

#[test]
fn the_shipped_example_is_right() {
    let text = include_str!("../packaging/junos/perijove.set");
    let macros = text.lines().filter(|line| line.starts_with("set system apply-macro"));
    let macros: String = macros.map(|line| format!("{line}\n")).collect();
    let directory = Directory::new();
    directory.write_secret("influxdb.password", "secret\n");
    let path = directory.path().display().to_string();
    let mut router = Router::new();
    assert!(macros.contains("/var/db/perijove/influxdb.password"), "{macros}");
    router.commit(&macros.replace("/var/db/perijove", &path));
    let file = directory.write("perijove.toml", router.often(""));
    let mut command = perijove(&["check", "--from-configuration", "--config"]);
    let finished = run(command.arg(file));
    assert!(finished.stdout.contains("ok          configuration: "), "{finished:?}");
}

#[test]
fn syslog_says_what_became_of_a_commit_wherever_the_log_goes() {
    if skips(&[ROOT]) {
        return;
    }
    let mut router = Router::new();
    let directory = Directory::new();
    let Some((socket, mut command)) = with_syslog(&directory) else { return };
    directory.write("perijove.toml", router.often(""));
    let process = Process::start(&mut command);
    router.commit(&site("north"));
    wait_syslog(&socket, "1 parameters of apply-macro perijove");
    router.commit(&set("timeout", "soon"));
    let said = wait_syslog(&socket, "set system apply-macro perijove timeout …: `soon` is not");
    // Facility daemon, severity error.
    assert!(said.starts_with("<27>") && said.contains("perijove["), "{said}");
    process.signal("TERM");
    assert_eq!(process.finish().code, 0);
}
