//! Attacks by another user of the machine: on files, on the lock, on the process.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::common::needs::{ROOT, skips};
use crate::common::perijove::{Daemon, FAST, local_router, perijove, run_with};
use crate::common::process::{Process, peak_bytes, run};
use crate::common::temporary::Directory;
use crate::common::wait_for;

/// Settings for a poll of a quick collector, with a state directory and a file output.
fn settings(directory: &Path) -> String {
    let shown = directory.display();
    format!(
        "collectors = [\"alarm\"]\nstate_directory = \"{shown}/state\"\n{FAST}{}\
         [output.file]\npath = \"{shown}/points\"\n",
        local_router("r1", "")
    )
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

#[test]
fn what_is_made_is_its_users_alone_whatever_the_umask() {
    let directory = Directory::new();
    fs::create_dir(directory.join("state")).expect("mkdir");
    let file = directory.write("perijove.toml", settings(directory.path()));
    let program = env!("CARGO_BIN_EXE_perijove");
    let script = format!("umask 000; exec {program} run --config {}", file.display());
    let mut process = Process::start(Command::new("sh").args(["-c", &script]));
    let points = directory.join("points");
    process.wait_for("points", |_| points.exists().then_some(()));
    let lock = directory.join("state/lock");
    assert_eq!((mode(&points), mode(&lock)), (0o600, 0o600));
    // Nobody reads its memory, alive or after its end.
    let limits = fs::read_to_string(format!("/proc/{}/limits", process.id())).expect("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("core");
    let words: Vec<&str> = core.split_ascii_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
    process.signal("TERM");
    assert_eq!(process.finish().code, 0);
}

/// A process that cannot be dumped belongs to root in /proc, whoever runs it.
#[test]
fn another_process_of_its_user_cannot_look_into_it() {
    if skips(&[ROOT]) {
        return;
    }
    let directory = Directory::new();
    let text = settings(directory.path());
    let file = directory.write("perijove.toml", text);
    // The account that runs it may write here.
    fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o777)).expect("mode");
    let mut command = perijove(&["run", "--config"]);
    let mut process = Process::start(command.arg(file).uid(65534).gid(65534));
    process.wait_for("it runs", |_| directory.join("points").exists().then_some(()));
    let environment = format!("/proc/{}/environ", process.id());
    let mut other = Command::new("cat");
    let read = run(other.arg(environment).uid(65534).gid(65534));
    assert_ne!(read.code, 0, "{read:?}");
    process.signal("TERM");
    process.finish();
}

#[test]
fn links_are_not_followed() {
    let directory = Directory::new();
    let settings = settings(directory.path());
    let victim = directory.write("victim", "precious");

    let recorded = directory.join("recorded");
    fs::create_dir(&recorded).expect("mkdir");
    let finished = run_with(&settings, &["record", recorded.to_str().expect("text")]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let names: Vec<_> = fs::read_dir(&recorded)
        .expect("a directory")
        .map(|e| e.expect("an entry").path())
        .collect();
    assert!(!names.is_empty() && names.iter().all(|name| mode(name) == 0o600), "{names:?}");
    for name in &names {
        fs::remove_file(name).expect("remove");
        symlink(&victim, name).expect("link");
    }
    let finished = run_with(&settings, &["record", recorded.to_str().expect("text")]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(names.iter().all(|name| fs::symlink_metadata(name).expect("metadata").is_file()));

    let points = directory.join("points");
    symlink(&victim, &points).expect("link");
    let finished = run_with(&settings, &["check"]);
    assert_eq!(finished.code, 1, "{}", finished.stdout);
    assert!(finished.stdout.contains("symbolic link"), "{}", finished.stdout);
    assert_eq!(fs::read_to_string(&victim).expect("the victim"), "precious");
}

/// A state directory that others can write to, as one below /tmp: what they put there first is not
/// used, and holds nothing up.
#[test]
fn what_others_put_into_the_state_directory_is_not_used() {
    if skips(&[ROOT]) {
        return;
    }
    let nobody = |path: &Path| {
        std::os::unix::fs::lchown(path, Some(65534), None).expect("change the owner");
    };
    for what in ["link", "directory", "fifo"] {
        let directory = Directory::new();
        let (state, victim) = (directory.join("state"), directory.join("victim"));
        for path in [&state, &victim] {
            fs::create_dir(path).expect("mkdir");
        }
        fs::set_permissions(&state, PermissionsExt::from_mode(0o1777)).expect("mode");
        let events = state.join("events");
        match what {
            "link" => symlink(&victim, &events).expect("link"),
            _ => fs::create_dir(&events).expect("mkdir"),
        }
        if what == "fifo" {
            assert_eq!(run(Command::new("mkfifo").arg(events.join("r1"))).code, 0);
            nobody(&events.join("r1"));
        }
        nobody(&events);
        let mut daemon = Daemon::start(&settings(directory.path()));
        let points = directory.join("points");
        wait_for("polls", || points.exists().then_some(()));
        daemon.process.wait_stderr("events: ");
        let finished = daemon.stop();
        assert_eq!(finished.code, 0, "{what}: {}", finished.stderr);
        let is_said = finished.stderr.contains("belongs to the user 65534");
        assert!(is_said, "{what}: {}", finished.stderr);
        assert_eq!(fs::read_dir(&victim).expect("the victim").count(), 0, "{what}");
        let left = usize::from(what == "fifo");
        let found = fs::read_dir(&events).expect("what was there").count();
        assert_eq!(found, left, "{what}");
    }
}

#[test]
fn a_secret_that_others_can_read_is_said() {
    let directory = Directory::new();
    let secret = directory.write("password", "SEKRIT\n");
    let influxdb = format!(
        "[output.influxdb]\nurl = \"http://127.0.0.1:1\"\nusername = \"u\"\n\
         password_file = {secret:?}\n"
    );
    let settings = format!("collectors = [\"alarm\"]\n{FAST}{}{influxdb}", local_router("r1", ""));
    for (mode, said) in [(0o644, 1), (0o600, 0)] {
        fs::set_permissions(&secret, PermissionsExt::from_mode(mode)).expect("mode");
        let mut daemon = Daemon::start(&settings);
        daemon.process.wait_stderr("influxdb");
        let log = daemon.stop().stderr;
        let warning = format!("(mode 0644): chmod 600 {}", secret.display());
        assert_eq!(log.matches(&warning).count(), said, "{log}");
        assert!(!log.contains("SEKRIT"), "{log}");
    }
}

/// A server's URL may have a token in its query.
#[test]
fn a_token_in_a_url_is_not_shown() {
    for table in [
        "[output.remote_write]\nurl = \"http://127.0.0.1:1/w?token=SEKRIT\"\n",
        "[dependency.darkstat]\nurl = \"http://127.0.0.1:1/?token=SEKRIT\"\n",
        "[dependency.inventory]\nurl = \"http://127.0.0.1:1/?token=SEKRIT\"\n",
        "[output.kafka]\nbrokers = \"127.0.0.1:1\"\n\
         [output.kafka.librdkafka]\n\"security.protocol\" = \"SEKRIT\"\n",
    ] {
        let finished = run_with(&format!("{}{table}", local_router("r1", "")), &["check", "-vv"]);
        assert_eq!(finished.code, 1, "{finished:?}");
        let said = finished.stdout + &finished.stderr;
        assert!(!said.contains("SEKRIT"), "{said}");
    }
}

/// A file that is no list of users may be anything, such as a key.
#[test]
fn what_is_no_secret_file_is_not_shown() {
    let directory = Directory::new();
    let file = directory.write_secret("users", "SEKRIT\n");
    for table in [
        format!("[output.prometheus]\nusers_file = {file:?}\n"),
        "[output.prometheus.users]\nme = \"SEKRIT\"\n".into(),
        "[output.influxdb]\nurl = \"http://h\"\npassword = \"SEKRIT\"\n".into(),
        "[output.influxdb]\nurl = \"http://h\"\npassword = SEKRIT\n".into(),
        "[output.influxdb]\nurl = \"http://u:SEKRIT@h\"\n".into(),
        "[output.influxdb]\nurl = \"http:/u:SEKRIT@h\"\n".into(),
        "[output.influxdb]\nurl = \"http://h/?p=SEKRIT\"\n".into(),
        "[output.influxdb]\nurl = \"http://h\"\nusername = \"u\"\npassword_file = \"SEKRIT\"\n"
            .into(),
        "SEKRIT\n".into(),
        "SEKRIT = 1\n".into(),
        "SEKRIT.a = 1\n".into(),
        "[SEKRIT]\n".into(),
        "[output.SEKRIT]\na = 1\n".into(),
        "[output.influxdb]\nurl = \"http://h\"\nversion = \"SEKRIT\"\n".into(),
        "[output.influxdb]\nurl = \"http://h\"\nSEKRIT = \"x\"\n".into(),
    ] {
        for settings in [format!("{}{table}", local_router("r1", "")), table.clone()] {
            let finished = run_with(&settings, &["check"]);
            assert_eq!(finished.code, 2, "{finished:?}");
            assert!(!finished.stderr.contains("SEKRIT"), "{}", finished.stderr);
        }
    }
}

#[test]
fn a_hangup_in_the_first_moments_ends_nothing() {
    let directory = Directory::new();
    let file = directory.write("perijove.toml", settings(directory.path()));
    let mut process = Process::start(perijove(&["run", "--config"]).arg(file));
    // The loader's moments are the kernel's; from its own first one on it holds the signal.
    let caught = |process: &Process| {
        let status = fs::read_to_string(format!("/proc/{}/status", process.id())).ok()?;
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t"))?;
        (u64::from_str_radix(mask, 16).ok()? & 1 != 0).then_some(())
    };
    process.wait_for("it holds SIGHUP", caught);
    for _ in 0..20 {
        process.signal("HUP");
    }
    let polls = || fs::metadata(directory.join("points")).map_or(0, |points| points.len());
    wait_for("polls", || (polls() > 0).then_some(()));
    // Later on, too.
    let flood =
        format!("i=0; while [ $i -lt 3000 ]; do kill -s HUP {}; i=$((i+1)); done", process.id());
    assert_eq!(run(Command::new("sh").args(["-c", &flood])).code, 0);
    let before = polls();
    wait_for("more polls", || (polls() > before).then_some(()));
    assert!(process.status().is_none());
    assert!(peak_bytes(process.id()) < 64 << 20);
    process.signal("TERM");
    assert_eq!(process.finish().code, 0);
}
