//! Five hundred routers in one process, each with a session and a thread of its own.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::lines::{Line, readings};
use common::perijove::{hosts, local_router, perijove, whole_lines};
use common::process::{Process, descendants};
use common::temporary::Directory;
use common::wait_for;

const ROUTERS: usize = 500;

/// The most routers that were asked within 100 ms.
fn busiest(lines: &[Line]) -> usize {
    let mut asked: BTreeMap<i64, BTreeSet<String>> = BTreeMap::new();
    for line in readings(lines) {
        asked.entry(line.timestamp / 100_000_000).or_default().insert(line.tag("host").to_string());
    }
    asked.values().map(BTreeSet::len).max().unwrap_or_default()
}

#[test]
fn five_hundred_routers_in_one_process() {
    let mut settings = "collectors = [\"alarm\"]\ninterval = \"20s\"\n".to_string();
    for number in 0..ROUTERS {
        settings += &local_router(&format!("r{number:03}"), "");
    }
    let directory = Directory::new();
    let file = directory.write("perijove.toml", settings);

    // Started as a login shell starts it: 1,024 open files, which is less than three pipes for
    // each of them, unless the program asks for more.
    let program = perijove(&[]).get_program().to_owned();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -Sn 1024 && exec \"$@\"", "sh"]).arg(program);
    let mut process = Process::start(command.arg("run").arg("--config").arg(file));

    let mut seen = 0;
    while seen < ROUTERS {
        // The deadline is for the next router and not for all of them: the machine may be busy.
        seen = process.wait_for(&format!("points of more than {seen} routers"), |process| {
            let count = hosts(&whole_lines(&process.stdout())).len();
            (count > seen).then_some(count)
        });
    }
    let children = descendants(process.id());
    assert_eq!(children.len(), ROUTERS, "one session for each");

    process.signal("TERM");
    let finished = process.finish();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let lines = whole_lines(&finished.stdout);
    assert_eq!(hosts(&lines).len(), ROUTERS);
    assert!(busiest(&lines) <= ROUTERS / 20, "{} routers in 100 ms", busiest(&lines));
    wait_for("the children's end", || {
        let gone = |id: &u32| !std::path::Path::new(&format!("/proc/{id}")).exists();
        children.iter().all(gone).then_some(())
    });
}
