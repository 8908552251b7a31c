//! What a test needs that a plain machine does not have.
//!
//! `cargo test` alone skips a test that needs something missing, and says so with the test's name;
//! `tests/run` installs everything and sets `PERIJOVE_TESTS=all`, so that nothing is skipped there.
#![allow(dead_code)]

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is no program: to be root, Python packages, and the material that a clone does not have.
pub const ROOT: &str = "root";
pub const PYTHON: &str = "the Python packages of tests/install";
pub const SHARED: &str = "../shared";

/// Whether the test ends here because something it needs is missing.
pub fn skips(needs: &[&str]) -> bool {
    let all = std::env::var_os("PERIJOVE_TESTS").is_some_and(|tests| tests == "all");
    let missing = needs.iter().find(|need| !is_there(need));
    // What is not installed fails where everything must be; a clone never has the material, and
    // its own fixtures prove the same claims.
    let Some(missing) = missing.filter(|missing| !all || **missing == SHARED) else {
        return false;
    };
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not `eprintln!`: a test that passes shows nothing of it.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: it needs {missing}");
    true
}

fn is_there(need: &str) -> bool {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    match need {
        ROOT => std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0),
        PYTHON => {
            let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-venv");
            target.join("installed.txt").is_file()
        }
        SHARED => project.join(SHARED).is_dir(),
        program => find_program(program).is_some(),
    }
}

/// The path of a program, if it is installed. Servers live where an ordinary user's PATH does not
/// look.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"])
        .map(|folder| PathBuf::from(folder).join(name))
        .find(|candidate| candidate.is_file())
}
