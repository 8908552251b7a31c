//! A daemon's life on a box: what it meets there besides routers and outputs.

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use perijove::base::inventory::Shared;
use perijove::base::panics;
use perijove::config::{OutputKind, Source};
use perijove::point::Points;
use perijove::poll::RouterPoller;
use perijove::poll::status::RouterStatus;
use perijove::serve::prometheus::Prometheus;
use perijove::serve::{Program, Wanted};

use common::lines::Line;
use common::needs::{PYTHON, ROOT, skips};
use common::perijove::{
    Daemon, FAST, alarm_polls, hosts, local_router, own, perijove, whole_lines,
};
use common::process::{Process, descendants, run};
use common::syslog::{wait_syslog, with_syslog};
use common::temporary::Directory;
use common::{answer, http_agent, program, wait_for};

/// Settings for polls of one quick collector.
fn polling(name: &str) -> String {
    format!("collectors = [\"alarm\"]\n{FAST}{}", local_router(name, ""))
}

/// `perijove run -v` by a shell, which says where its standard error goes.
fn run_by_shell(directory: &Directory, before: &str, stderr: &str) -> Command {
    let program = env!("CARGO_BIN_EXE_perijove");
    let script = format!("{before} exec \"{program}\" run -v --config perijove.toml 2>{stderr}");
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(directory.path());
    command
}

#[test]
fn a_log_that_cannot_be_written_costs_the_log() {
    let directory = Directory::new();
    directory.write("perijove.toml", polling("r1"));
    let mut process = Process::start(&mut run_by_shell(&directory, "", "/dev/full"));
    process.wait_for("polls", |process| {
        (alarm_polls(&whole_lines(&process.stdout())) >= 3).then_some(())
    });
    process.signal("TERM");
    assert_eq!(process.finish().code, 0);

    directory.write("perijove.toml", "intervall = \"1s\"\n");
    let refused = run(&mut run_by_shell(&directory, "", "/dev/full"));
    assert_eq!(refused.code, 2, "{refused:?}");
}

#[test]
fn a_reader_of_the_log_that_goes_away_ends_nothing() {
    let directory = Directory::new();
    directory.write("perijove.toml", polling("before"));
    let reader = "mkfifo log; (head -n 1 log >first; : >gone) &";
    let mut process = Process::start(&mut run_by_shell(&directory, reader, "log"));
    process.wait_for("the reader's end, and polls", |process| {
        let polls = alarm_polls(&whole_lines(&process.stdout()));
        (directory.join("gone").exists() && polls > 0).then_some(())
    });
    directory.write("perijove.toml", polling("after"));
    process.signal("HUP");
    process.wait_for("polls of the new settings", |process| {
        hosts(&whole_lines(&process.stdout())).contains("after").then_some(())
    });
    process.signal("TERM");
    assert_eq!(process.finish().code, 0);
}

/// A text that is replaced at once.
fn replace(directory: &Directory, name: &str, text: &str) {
    let new = directory.write("new", text);
    std::fs::rename(new, directory.join(name)).expect("rename");
}

#[test]
fn a_hangup_while_it_starts_is_followed_later() {
    let directory = Directory::new();
    let path = directory.join("perijove.toml");
    assert_eq!(run(Command::new("mkfifo").arg(&path)).code, 0);
    let mut process = Process::start(perijove(&["run", "--config"]).arg(&path));
    // The settings are a pipe: opening it waits for who reads them.
    let mut settings = std::fs::OpenOptions::new().write(true).open(&path).expect("open the pipe");
    process.signal("HUP");
    settings.write_all(polling("before").as_bytes()).expect("write the settings");
    drop(settings);
    process.wait_for("polls of the first settings", |process| {
        hosts(&whole_lines(&process.stdout())).contains("before").then_some(())
    });
    std::fs::write(&path, polling("after")).expect("write the settings again");
    process.wait_for("polls of the second settings", |process| {
        hosts(&whole_lines(&process.stdout())).contains("after").then_some(())
    });
    process.signal("TERM");
    let finished = process.finish();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
}

#[test]
fn the_backup_is_quiet_and_takes_over() {
    if skips(&["prometheus", PYTHON]) {
        return;
    }
    let directory = Directory::new();
    replace(&directory, "role", "backup");
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/two_engines.py");
    let command = [program("python3").to_str().expect("UTF-8"), server].map(String::from);
    let settings = format!(
        "master_only = true\ncollectors = [\"alarm\"]\n{FAST}[[router]]\nname = \"r1\"\n\
         command = [{:?}, {:?}, \"DIRECTORY\"]\n",
        command[0], command[1]
    );
    let mut daemon = Daemon::start_in(directory, &settings, &[]);
    let count = |lines: &[Line], field: &str| own(lines, ("host", "r1"), field).unwrap_or(0.0);
    daemon.wait_lines("sessions lost while it stands by", |lines| {
        (count(lines, "losses_total") >= 3.0).then_some(())
    });
    let asked = std::fs::read_to_string(daemon.directory.join("asked")).expect("what was asked");
    assert!(!asked.contains("alarm"), "the backup was polled:\n{asked}");
    // Nor is the question answered for both, which does not tell which one this is.
    assert!(!asked.contains("<get-route-engine-information/>"), "{asked}");

    replace(&daemon.directory, "role", "master");
    daemon.wait_lines("polls by the new master", |lines| (alarm_polls(lines) >= 3).then_some(()));
    replace(&daemon.directory, "role", "backup");
    daemon.wait_lines("it stands by again", |lines| {
        (own(lines, ("collector", "alarm"), "no_data") == Some(1.0)).then_some(())
    });
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("is the master"), "{}", finished.stderr);
}

/// Junos OS Evolved says what it is with a capital letter, as other releases have other spaces and
/// remarks.
#[test]
fn evo_master_is_polled() {
    if skips(&[PYTHON]) {
        return;
    }
    let evo = "<route-engine-information><route-engine><slot>0</slot><mastership-state>Master\
               </mastership-state><mastership-priority>Master (default)</mastership-priority>\
               <status>OK</status></route-engine></route-engine-information>";
    for (state, is_polled) in
        [("Master", true), ("\n MASTER (default) \n", true), ("Backup", false)]
    {
        let engine = evo.replacen(">Master<", &format!(">{state}<"), 1);
        let alarms = "<alarm-information><alarm-summary><no-active-alarms/></alarm-summary>\
                      </alarm-information>";
        let payloads = BTreeMap::from([("get-route-engine-information", &*engine), ("", alarms)]);
        let directory = Directory::new();
        directory.write("payloads", serde_json::to_string(&payloads).expect("payloads"));
        directory.write("reply", "<rpc-reply message-id=\"ID\">PAYLOAD</rpc-reply>");
        directory.write("hello", "<hello><capabilities/><session-id>9</session-id></hello>]]>]]>");
        let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/canned.py");
        let settings = format!(
            "master_only = true\ncollectors = [\"alarm\"]\n{FAST}[[router]]\nname = \"r1\"\n\
             command = [{:?}, {server:?}, \"DIRECTORY/hello\", \"DIRECTORY/reply\", \
             \"DIRECTORY/payloads\"]\n",
            program("python3")
        );
        let mut daemon = Daemon::start_in(directory, &settings, &[]);
        let said = if is_polled { "is the master" } else { "is not the master" };
        daemon.wait_lines(&format!("{said}: {state:?}"), |lines| {
            let state = own(lines, ("collector", "alarm"), "state")?;
            ((alarm_polls(lines) > 0) == is_polled && state == f64::from(2 - u8::from(is_polled)))
                .then_some(())
        });
        let finished = daemon.stop();
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        assert!(finished.stderr.contains(said), "{}", finished.stderr);
    }
}

#[test]
fn a_second_copy_with_the_same_state_is_refused() {
    let settings = format!("state_directory = \"DIRECTORY\"\n{}", polling("r1"));
    let mut daemon = Daemon::start(&settings);
    daemon.wait_lines("polls", |lines| (alarm_polls(lines) > 0).then_some(()));
    let file = daemon.directory.join("perijove.toml");
    let second = run(perijove(&["run", "--config"]).arg(&file));
    assert_eq!(second.code, 1, "{second:?}");
    assert!(second.stderr.contains("another perijove runs"), "{second:?}");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn the_load_into_bigquery_has_a_lock_of_its_own() {
    let directory = Directory::new();
    let here = directory.path().display();
    let nobody = format!("http://127.0.0.1:{}", common::free_port());
    let settings = format!(
        "state_directory = \"{here}\"\n[bigquery]\nproject = \"p\"\ndataset = \"d\"\n\
         url = \"{nobody}\"\nretry_max = \"0s\"\n[bigquery.influxdb]\nurl = \"{nobody}\"\n"
    );
    let file = directory.write("perijove.toml", settings);
    let held = std::fs::File::create(directory.join("bigquery.lock")).expect("make the lock");
    held.try_lock().expect("lock");
    let refused = |arguments: &[&str]| {
        let finished = run(perijove(&["bigquery", "--config"]).arg(&file).args(arguments));
        assert_eq!(finished.code, 1, "{finished:?}");
        finished.stderr.contains("another perijove runs")
    };
    assert!(refused(&[]) && refused(&["--once"]));
    // What is not remembered may be done beside it.
    assert!(!refused(&["--once", "--dry-run"]) && !refused(&["--from", "2026-03-01"]));
}

#[test]
fn a_bug_costs_one_poll_and_the_session_is_in_step_afterwards() {
    panics::watch();
    let directory = Directory::new();
    let settings = "collectors = [\"alarm\", \"interfaces\"]\n".to_string();
    let file = directory.write("perijove.toml", settings + &local_router("r1", "--interfaces 500"));
    let config = Source::read(&file).and_then(Source::into_config).expect("settings");
    let router = &config.routers[0];
    let status = Arc::new(RouterStatus::new(router));
    let mut poller = RouterPoller::new(router, status, &Shared::default());
    let before = panics::count();
    let mut poll = |mut is_broken: bool| {
        let mut points = 0;
        let outcomes = poller.poll(&[0, 1], &[], &mut |batch| {
            if batch.collector == "interfaces" && std::mem::take(&mut is_broken) {
                panic!("in the middle of a reply");
            }
            points += batch.points.len();
        });
        let failures = outcomes.iter().map(|outcome| outcome.failure().map(str::to_string));
        (failures.collect::<Vec<_>>(), points)
    };
    let (failures, points) = poll(false);
    assert_eq!(failures, [None, None]);
    let why = "a bug in perijove: in the middle of a reply".to_string();
    let (failures, points_then) = poll(true);
    assert_eq!(failures, [None, Some(why)]);
    assert!(points_then < points, "{points_then} of {points} points in the middle of the reply");
    assert!(panics::count() > before);
    assert_eq!(poll(false), (vec![None, None], points));
}

/// A program that cannot say what it knows of itself, the first time.
struct Broken(AtomicBool);

impl Program for Broken {
    fn admit(&self, _: &str) -> Result<String, perijove::serve::Refusal> {
        Err(perijove::serve::Refusal::Unknown)
    }
    fn is_admitted(&self, _: &str) -> bool {
        false
    }
    fn targets(&self) -> Vec<String> {
        Vec::new()
    }
    fn own(&self, _: &Wanted) -> Vec<(String, u64, Points)> {
        assert!(!self.0.swap(false, Ordering::Relaxed), "the first time");
        Vec::new()
    }
    fn knows(&self, _: &str) -> bool {
        true
    }
    fn events(&self, _: u64) -> (Vec<(String, perijove::event::record::Event)>, u64) {
        Default::default()
    }
    fn is_ready(&self) -> bool {
        true
    }
    fn poll(&self, _: &Wanted, _: Duration, _: Instant) {}
}

#[test]
fn a_bug_in_the_listener_costs_one_connection() {
    let directory = Directory::new();
    let port = common::free_port();
    let settings = format!("[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n");
    let file = directory.write("perijove.toml", settings);
    let config = Source::read(&file).and_then(Source::into_config).expect("settings");
    let OutputKind::Prometheus(settings) = &config.outputs[0].kind else { panic!("the output") };
    let mut listener = Prometheus::new(settings).expect("a listener");
    let program: Arc<dyn Program> = Arc::new(Broken(AtomicBool::new(true)));
    listener.start(&program).expect("listen");
    let scrape = || {
        let request = http_agent().get(format!("http://127.0.0.1:{port}/metrics"));
        request.call().and_then(answer).map(|(status, _)| status).ok()
    };
    assert_eq!(scrape(), None);
    assert_eq!(scrape(), Some(200));
}

/// An account that is nobody's, for programs that are not to be root's.
const NOBODY: u32 = 65534;

#[test]
fn the_lock_holds_whoever_has_made_it() {
    if skips(&["prometheus"]) {
        return;
    }
    let directory = Directory::new();
    if std::os::unix::fs::chown(directory.path(), Some(NOBODY), Some(NOBODY)).is_err() {
        println!("skipped: only root can be two users");
        return;
    }
    let path = directory.path().to_path_buf();
    let program = directory.join("perijove");
    // Where another account can run it.
    std::fs::copy(env!("CARGO_BIN_EXE_perijove"), &program).expect("copy the program");
    let settings = format!("state_directory = \"DIRECTORY\"\n{}", polling("r1"));
    let mut daemon = Daemon::start_in(directory, &settings, &[]);
    daemon.wait_lines("polls", |lines| (alarm_polls(lines) > 0).then_some(()));
    let second = |words: &str| {
        let mut command = Command::new(&program);
        command.args(["run", "--config"]).arg(path.join("perijove.toml"));
        let finished = run(command.uid(NOBODY).gid(NOBODY));
        assert_eq!(finished.code, 1, "{finished:?}");
        assert!(finished.stderr.contains(words), "{finished:?}");
    };
    second("another perijove runs");
    // Not even readable: whether the lock is held cannot be told.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(path.join("lock"), mode).expect("set mode");
    second("cannot lock");
    assert_eq!(daemon.stop().code, 0);
}

/// The nice value of each thread of a process: see proc_pid_stat(5).
fn nice(id: u32) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).expect("read /proc").flatten();
    let stats = threads.map(|thread| std::fs::read_to_string(thread.path().join("stat")));
    let after_name = stats.flatten().map(|s| s.rsplit(") ").next().expect("stat").to_string());
    after_name.map(|fields| fields.split(' ').nth(16).expect("nice").to_string()).collect()
}

#[test]
fn nice_and_the_logs_level_are_as_set_and_follow_hup() {
    let settings = |name: &str, nice: u32, log: &str| {
        // Of which something is to be said at that level.
        let router = local_router(name, "--fault na");
        format!(
            "nice = {nice}\ncollectors = [\"alarm\", \"routingengine\"]\n{FAST}{router}\
             [log]\n{log}\n"
        )
    };
    let mut daemon = Daemon::start(&settings("r1", 11, ""));
    daemon.wait_lines("polls", |lines| (alarm_polls(lines) > 0).then_some(()));
    let id = daemon.process.id();
    assert!(nice(id).iter().all(|nice| nice == "11"), "{:?}", nice(id));
    for child in descendants(id) {
        assert_eq!(nice(child), ["11"]);
    }
    assert!(!daemon.process.stderr().contains(" DEBUG "));

    daemon.reload(&settings("r2", 13, "level = \"debug\"\ndestination = \"syslog\""));
    daemon.process.wait_stderr("needs a restart");
    wait_for("the new nice value", || nice(id).iter().all(|nice| nice == "13").then_some(()));
    daemon.process.wait_stderr(" DEBUG ");
    assert_eq!(daemon.stop().code, 0);
}

const SYSLOG: &str = "[log]\ndestination = \"syslog\"\n";

#[test]
fn syslog_has_the_log_and_why_the_program_ends() {
    if skips(&[ROOT]) {
        return;
    }
    let directory = Directory::new();
    let Some((socket, mut command)) = with_syslog(&directory) else { return };
    directory.write("perijove.toml", polling("r1") + SYSLOG);
    let mut process = Process::start(&mut command);
    let said = wait_syslog(&socket, "r1: session");
    // Facility daemon, severity info.
    assert!(said.starts_with("<30>") && said.contains("perijove["), "{said}");
    process.wait_for("polls", |process| {
        (alarm_polls(&whole_lines(&process.stdout())) > 0).then_some(())
    });
    process.signal("TERM");
    wait_syslog(&socket, "stopping");
    let finished = process.finish();
    assert_eq!((finished.code, finished.stderr.as_str()), (0, ""));

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("an address");
    let prometheus = format!("[output.prometheus]\nlisten = \"{address}\"\n");
    directory.write("perijove.toml", polling("r1") + SYSLOG + &prometheus);
    assert_eq!(run(&mut command).code, 1);
    wait_syslog(&socket, &format!("cannot listen on {address}"));

    directory.write("perijove.toml", format!("intervall = \"1s\"\n{SYSLOG}"));
    assert_eq!(run(&mut command).code, 2);
    wait_syslog(&socket, "perijove.toml:1: intervall");
}

#[test]
fn a_slow_router_rests_between_scrapes() {
    let port = common::free_port();
    let slow = local_router("r1", "--fault slow --drip-bytes 20 --drip-ms 20");
    let daemon = Daemon::start(&format!(
        "collectors = [\"alarm\"]\npoll_share_max = 1\n{slow}[output.prometheus]\n\
         listen = \"127.0.0.1:{port}\"\nmode = \"scrape\"\nage_min = \"0s\"\n"
    ));
    let scrape = || {
        let request = http_agent().get(format!("http://127.0.0.1:{port}/metrics"));
        request.call().and_then(answer).ok().filter(|(status, _)| *status == 200)
    };
    let polls = |text: &str| {
        let series = text.lines().find(|line| line.starts_with("perijove_collector_polls_total{"));
        series.and_then(|series| series.rsplit(' ').next()?.parse::<f64>().ok())
    };
    wait_for("a poll", || polls(&scrape()?.1).filter(|polls| *polls == 1.0));
    // It takes a second at least, and so has its rest for minutes.
    for _ in 0..3 {
        let (_, text) = scrape().expect("an answer");
        assert_eq!(polls(&text), Some(1.0), "{text}");
        assert!(text.contains("junos_alarms_yellow_count{"), "{text}");
    }
    assert_eq!(daemon.stop().code, 0);
}
