//! A daemon's life on a box: what it meets there besides routers and outputs.

mod common;

use std::process::Command;

use common::perijove::{FAST, alarm_polls, hosts, local_router, whole_lines};
use common::process::{Process, run};
use common::temporary::Directory;

/// Settings for polls of one quick collector.
fn polling(identity: &str) -> String {
    format!("collectors = [\"alarm\"]\n{FAST}{}", local_router(identity, ""))
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
    process.wait_for("the reader's end", |_| directory.join("gone").exists().then_some(()));
    directory.write("perijove.toml", polling("after"));
    process.signal("HUP");
    process.wait_for("polls of the new settings", |process| {
        hosts(&whole_lines(&process.stdout())).contains("after").then_some(())
    });
    process.signal("TERM");
    assert_eq!(process.finish().code, 0);
}
