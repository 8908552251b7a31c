//! A browser without a window, for pages with a script.

use std::process::Command;

use super::process::run;
use super::program;
use super::temporary::Directory;

/// Opens a page, lets its scripts run, and gives what the browser prints.
pub fn chromium(arguments: &[&str]) -> String {
    let directory = Directory::new();
    // The sandbox needs rights that root in a container does not have; the page is our own.
    let finished = run(Command::new(program("chromium"))
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--hide-scrollbars", "--virtual-time-budget=8000"])
        .arg(format!("--user-data-dir={}", directory.path().display()))
        .args(arguments));
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    finished.stdout
}
