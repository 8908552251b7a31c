//! Attacks by a server with a list of routers, and by who can write into a directory of lists.

use std::os::unix::fs::symlink;

use crate::common::http_stub::{HttpStub, Reply};
use crate::common::perijove::{Daemon, FAST, local_router};
use crate::common::process::{peak_bytes, run};
use crate::common::temporary::Directory;
use crate::common::wait_for;

const MEMORY_BYTES_MAX: u64 = 64 << 20;
/// What the default limit leaves room for.
const LIST_BYTES: usize = 15 << 20;

fn login(directory: &Directory) -> String {
    let password = directory.write_secret("password", "SEKRIT");
    format!("login = \"l\"\n[login.l]\nusername = \"u\"\npassword_file = {password:?}\n")
}

/// So much of a list, with this again and again.
fn filled(before: &str, again: &str, after: &str) -> String {
    format!("{before}{}{after}", again.repeat(LIST_BYTES / again.len()))
}

#[test]
fn no_list_fills_the_memory() {
    let distinct = |count: usize, one: fn(usize) -> String| (0..count).map(one).collect::<String>();
    let label = |number| format!(",\"{number:x}\":\"\"");
    let labels = distinct(1_000_000, label);
    for (what, text) in [
        ("targets", filled("[{\"targets\":[\"127.0.0.1\"", ",\"\"", "]}]")),
        ("groups", filled("[{\"targets\":[\"127.0.0.1\"]}", ",{\"targets\":[]}", "]")),
        ("full groups", filled("[{\"targets\":[\"127.0.0.1\"]}", ",{\"targets\":[\"\"]}", "]")),
        ("labels", format!("[{{\"targets\":[\"127.0.0.1\"],\"labels\":{{\"a\":\"\"{labels}}}}}]")),
        ("a target", filled("[{\"targets\":[\"", "a", "\"]}]")),
        ("levels", filled("[{\"x\":", "[", "")),
    ] {
        let stub = HttpStub::start(move |_, _| Reply::message(200, &text));
        let directory = Directory::new();
        let settings = format!(
            "collectors = [\"alarm\"]\n{FAST}[[routers]]\nhttp = \"{}\"\n\
             refresh_interval = \"1s\"\n{}",
            stub.url(),
            login(&directory)
        );
        let daemon = Daemon::start(&settings);
        wait_for(what, || (stub.requests().len() >= 4).then_some(()));
        let peak = peak_bytes(daemon.process.id());
        assert!(peak < MEMORY_BYTES_MAX, "{what}: {} MB", peak >> 20);
        let finished = daemon.stop();
        assert_eq!(finished.code, 0, "{what}: {}", finished.stderr);
        assert!(finished.stderr.len() < 10_000, "{what}: {}", finished.stderr);
    }
}

/// A FIFO that nobody writes to would be waited for, and a link may lead to a secret.
#[test]
fn a_file_in_the_place_of_a_list_holds_nothing_up_and_is_not_shown() {
    let directory = Directory::new();
    let secret = directory.write_secret("secret", "SEKRIT: SEKRIT\nroot:$6$SEKRIT:1:2:3:::\n");
    for (what, name) in [("a FIFO", "fifo.json"), ("a link", "link.json"), ("YAML", "link.yml")] {
        let lists = directory.join(what);
        std::fs::create_dir(&lists).expect("mkdir");
        let file = lists.join(name);
        if what == "a FIFO" {
            assert_eq!(run(std::process::Command::new("mkfifo").arg(&file)).code, 0);
        } else {
            symlink(&secret, &file).expect("link");
        }
        let settings = format!(
            "collectors = [\"alarm\"]\n{FAST}{}[[routers]]\nfile = \"{}/*.*\"\n\
             refresh_interval = \"1s\"\n{}[output.file]\npath = \"DIRECTORY/points\"\n",
            local_router("r1", ""),
            lists.display(),
            login(&directory)
        );
        let mut daemon = Daemon::start(&settings);
        daemon.process.wait_stderr(name);
        let points = daemon.directory.join("points");
        wait_for("polls", || points.exists().then_some(()));
        let finished = daemon.stop();
        assert_eq!(finished.code, 0, "{what}: {}", finished.stderr);
        assert!(!finished.stderr.contains("SEKRIT"), "{what}: {}", finished.stderr);
    }
}
