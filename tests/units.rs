//! The systemd units: systemd reads them without a word, and says how exposed they are.

#[path = "common/needs.rs"]
mod needs;

use std::path::{Path, PathBuf};
use std::process::Command;

/// Of 10: systemd calls 2 and less "OK".
const EXPOSURE_MAX: f64 = 2.0;

/// A folder with the units, whose program is one that is there.
fn units() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("units-{}", thread_name()));
    std::fs::create_dir_all(&folder).unwrap();
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    let mut units = Vec::new();
    for entry in std::fs::read_dir(packaging).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "service") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let unit = folder.join(path.file_name().unwrap());
        std::fs::write(&unit, text.replace("/usr/local/bin/perijove", "/bin/true")).unwrap();
        units.push(unit);
    }
    assert_eq!(units.len(), 3, "{units:?}");
    units
}

fn thread_name() -> String {
    std::thread::current().name().unwrap_or("test").to_string()
}

fn analyze(arguments: &[&str], unit: &Path) -> String {
    let output = Command::new("systemd-analyze").args(arguments).arg(unit).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn systemd_has_nothing_to_say_of_the_units() {
    if needs::skips(&["systemd-analyze"]) {
        return;
    }
    for unit in units() {
        assert_eq!(analyze(&["verify"], &unit), "", "{}", unit.display());
    }
}

#[test]
fn the_units_leave_little_open() {
    if needs::skips(&["systemd-analyze"]) {
        return;
    }
    for unit in units() {
        let said = analyze(&["security", "--offline=true"], &unit);
        let last = said.lines().rfind(|line| line.contains("exposure level")).unwrap();
        let (_, score) = last.split_once(": ").unwrap();
        let score: f64 = score.split_whitespace().next().unwrap().parse().unwrap();
        assert!(score <= EXPOSURE_MAX, "{last}");
    }
}
