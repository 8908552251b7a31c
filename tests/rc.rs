//! The rc.d script for FreeBSD, with stand-ins for what Linux lacks: rc.subr, pwait(1), and a
//! daemon(8) that ends at once on SIGTERM, as FreeBSD 12.1's does.

mod common;

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::{Duration, Instant};

use common::needs::skips;
use common::perijove::{FAST, local_router};
use common::process::{Finished, run, signal};
use common::temporary::Directory;
use common::wait_for;

/// As much of it as the script uses: rc.subr(8).
const RC_SUBR: &str = r#"
load_rc_config() { . "$ROOT/rc.conf"; }
run_rc_command() {
  case $1 in
    restart) run_rc_command stop; run_rc_command start ;;
    *) eval "\$${1}_cmd" ;;
  esac
}
"#;

/// `daemon -f -R 5 -S -T TITLE -P FILE -u USER COMMAND…`: daemon(8). It passes SIGTERM on, and does
/// not wait.
const DAEMON: &str = r#"#!/bin/sh
while getopts fR:ST:P:u: option; do
  [ "$option" != P ] || pidfile=$OPTARG
done
shift $((OPTIND - 1))
if [ -z "$AGAIN" ]; then
  AGAIN=1 "$0" -P "$pidfile" "$@" </dev/null >/dev/null 2>&1 &
  echo $! >"$pidfile"
  exit
fi
unset AGAIN
"$@" 2>>"$ROOT/log" &
child=$!
trap 'kill -TERM $child; rm -f "$pidfile"; exit' TERM
wait
"#;

const PWAIT: &str = r#"#!/bin/sh
left=$(($2 * 20)); shift 2
for pid in "$@"; do
  while kill -0 "$pid" 2>/dev/null; do
    [ $((left -= 1)) -gt 0 ] || exit 124
    sleep 0.05
  done
done
"#;

/// The script in a directory, in place of /.
struct Rc(Directory);

impl Rc {
    fn new(settings: &str) -> Rc {
        let directory = Directory::new();
        let root = directory.path().display().to_string();
        let script = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/packaging/freebsd/perijove"
        ));
        let mut script = script.expect("the script");
        for path in
            ["/etc/rc.subr", "/var/run/$name.pid", "/usr/local/bin/$name", "/usr/sbin/daemon"]
        {
            assert!(script.contains(path), "{path}");
            let name = path.rsplit('/').next().expect("a name").replace("$name", "perijove");
            script = script.replace(path, &format!("{root}/{name}"));
        }
        directory.write("rc.d", &script);
        directory.write("rc.subr", RC_SUBR);
        directory.write("perijove.toml", settings.replace("DIRECTORY", &root));
        directory.write("rc.conf", format!("perijove_config={root}/perijove.toml\n"));
        for (name, text) in [("daemon", DAEMON), ("pwait", PWAIT)] {
            let path = directory.write(name, text);
            std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("a mode");
        }
        symlink(env!("CARGO_BIN_EXE_perijove"), directory.join("perijove")).expect("a link");
        Rc(directory)
    }

    fn does(&self, what: &str) -> Finished {
        let root = self.0.path().display().to_string();
        let path = format!("{root}:{}", std::env::var("PATH").unwrap_or_default());
        let script = self.0.join("rc.d");
        run(Command::new("sh").arg(script).arg(what).env("ROOT", &root).env("PATH", path))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.0.join("log")).unwrap_or_default()
    }

    fn runs(&self, times: usize) {
        wait_for("perijove runs", || {
            (self.log().matches(" is open").count() >= times).then_some(())
        });
    }
}

impl Drop for Rc {
    fn drop(&mut self) {
        // What a failed test leaves: the processes that have this directory in their arguments.
        let path = format!("{}/", self.0.path().display());
        let found = run(Command::new("pgrep").args(["-f", &path]));
        let ids = found.stdout.lines().filter_map(|id| id.parse::<u32>().ok());
        ids.for_each(|id| signal(id, "KILL"));
    }
}

#[test]
fn stop_waits_until_all_is_sent_and_restart_works() {
    if skips(&["pgrep"]) {
        return;
    }
    // A server that takes connections and never answers: the end takes all of its time.
    let server = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = server.local_addr().expect("an address");
    let rc = Rc::new(&format!(
        "state_directory = \"DIRECTORY\"\ndrain_timeout = \"10s\"\n\
         collectors = [\"alarm\"]\n{FAST}{}\
         [output.influxdb]\nurl = \"http://{address}\"\ndatabase = \"d\"\n",
        local_router("r1", "")
    ));
    assert_eq!(rc.does("status").code, 1);
    assert_eq!(rc.does("start").code, 0);
    rc.runs(1);
    let again = rc.does("start");
    assert!(again.code == 1 && again.stdout.contains("already runs"), "{again:?}");

    // daemon(8) alone is gone, and perijove drains.
    let daemon = std::fs::read_to_string(rc.0.join("perijove.pid")).expect("the pid file");
    assert_eq!(run(Command::new("kill").arg(daemon.trim())).code, 0);
    wait_for("the end of daemon(8)", || (!rc.0.join("perijove.pid").exists()).then_some(()));
    let early = rc.does("start");
    assert!(early.code == 1 && early.stdout.contains("still runs as pid"), "{early:?}");
    assert!(rc.does("status").stdout.contains("without daemon(8)"));
    let stopped = rc.does("stop");
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!(rc.does("status").code, 1);

    assert_eq!(rc.does("start").code, 0);
    rc.runs(2);
    let since = Instant::now();
    let restarted = rc.does("restart");
    assert_eq!(restarted.code, 0, "{restarted:?}");
    assert!(since.elapsed() > Duration::from_secs(2), "it did not wait: {:?}", since.elapsed());
    rc.runs(3);
    assert!(!rc.log().contains("another perijove runs"), "{}", rc.log());
    assert_eq!(rc.does("reload").code, 0);
    wait_for("the reload", || rc.log().contains("the settings were read again").then_some(()));
    assert_eq!(rc.does("stop").code, 0);
    assert_eq!(rc.does("stop").stdout, "perijove does not run.\n");
}
