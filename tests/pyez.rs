//! PyEZ itself is the judge: its own op tables read replies, and the descriptions that
//! `perijove import pyez-table` makes of them give the same keys and values.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::needs::{PYTHON, SHARED, skips};
use common::temporary::Directory;

/// The files below a directory whose names end in `.xml`.
fn replies(directory: &Path) -> Vec<PathBuf> {
    let (mut found, mut directories) = (Vec::new(), vec![directory.to_path_buf()]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => directories.push(path),
                path if path.extension().is_some_and(|end| end == "xml") => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

#[test]
fn imported_tables_read_what_pyez_reads() {
    if skips(&[PYTHON, SHARED]) {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = replies(&root.join("tests/fixtures"));
    files.extend(replies(&root.join(SHARED).join("replies/recorded")));
    files.extend(replies(&root.join(SHARED).join("replies/reconstructed")));
    let directory = Directory::new();
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-venv");
    let output = Command::new(venv.join("bin/python"))
        .arg(root.join("tests/common/pyez_judge.py"))
        .arg(env!("CARGO_BIN_EXE_perijove"))
        .arg(directory.path())
        .args(files)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().last().unwrap_or_default();
    println!("{last}");
    let (tables, values) = last.split_once(", values equal ").unwrap_or_default();
    let words: Vec<&str> = values.split([' ', ',']).collect();
    let why = || format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    let [equal, _, compared, ..] = words[..] else { panic!("{}", why()) };
    assert_eq!(equal, compared, "{}", why());
    assert!(compared.parse::<u32>().unwrap() > 7000, "{}", why());
    assert_eq!(tables, "tables imported 48 of 56");
}
