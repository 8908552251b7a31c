//! The collector directory: what is read of it, and what a file costs that cannot be.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use perijove::config::{Source, read_description};

use crate::common::lines::Line;
use crate::common::perijove::{Daemon, FAST, local_router};
use crate::common::process::run;
use crate::common::temporary::Directory;
use crate::{file_systems, settings};

/// A settings file beside an empty directory of collectors.
fn with_directory() -> (Directory, PathBuf) {
    let directory = Directory::new();
    std::fs::create_dir(directory.join("collectors.d")).unwrap();
    let file = directory.write("perijove.toml", settings(""));
    (directory, file)
}

/// The names of the operator's collectors, or what is wrong.
fn names(file: &PathBuf) -> Result<Vec<&'static str>, String> {
    let text = std::fs::read_to_string(file).unwrap();
    let registry = Source::parse(Some(file.clone()), text).into_registry()?;
    let own = |d: perijove::collector::described::Described| !d.is_built_in;
    let all = registry.all().iter().filter(|entry| entry.description.is_some_and(own));
    Ok(all.map(|entry| entry.name).collect())
}

#[test]
fn a_link_is_the_file_that_it_leads_to() {
    let (directory, file) = with_directory();
    // Kubernetes mounts a map of files so: each is a link through a link to a directory.
    std::fs::create_dir(directory.join("collectors.d/..data-1")).unwrap();
    directory.write("collectors.d/..data-1/mine.toml", file_systems("mine"));
    symlink("..data-1", directory.join("collectors.d/..data")).unwrap();
    symlink("..data/mine.toml", directory.join("collectors.d/mine.toml")).unwrap();
    directory.write("elsewhere", file_systems("other"));
    symlink("../elsewhere", directory.join("collectors.d/other.toml")).unwrap();
    // What editors and package managers leave is none.
    for name in [".hidden.toml", "mine.toml~", "mine.toml.dpkg-new", "README"] {
        directory.write(&format!("collectors.d/{name}"), "no description");
    }
    assert_eq!(names(&file), Ok(vec!["mine", "other"]));
}

#[test]
fn what_is_no_readable_text_is_refused_with_its_name() {
    let (directory, file) = with_directory();
    let path = |name: &str| directory.join(&format!("collectors.d/{name}.toml"));
    symlink("nowhere", path("dangling")).unwrap();
    symlink("loop.toml", path("loop")).unwrap();
    symlink("/dev/zero", path("endless")).unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    // Opening it would wait for one who writes.
    assert_eq!(run(Command::new("mkfifo").arg(path("pipe"))).code, 0);
    let right = file_systems("large");
    std::fs::write(path("large"), format!("{right}# {}", "x".repeat(256 << 10))).unwrap();
    let latin = file_systems("latin").replace("as a test", "\u{1}").into_bytes();
    let latin: Vec<u8> = latin.into_iter().map(|b| if b == 1 { 0xe9 } else { b }).collect();
    std::fs::write(path("latin"), latin).unwrap();
    std::fs::write(path("binary"), [0; 4096]).unwrap();
    std::fs::write(path("empty"), "").unwrap();
    std::fs::write(path("mark"), format!("\u{feff}{}", file_systems("mark"))).unwrap();
    let expected = [
        ("binary", "binary.toml:1: "),
        ("dangling", "No such file or directory"),
        ("empty", "empty.toml:1: missing field `name`"),
        ("endless", "it is not a file"),
        ("folder", "it is not a file"),
        ("large", "it has more than 256 kB"),
        ("latin", "it is not UTF-8"),
        ("loop", "symbolic link"),
        ("pipe", "it is not a file"),
    ];
    let said = names(&file).unwrap_err();
    println!("{said}");
    assert_eq!(said.lines().count(), expected.len(), "{said}");
    for (line, (name, why)) in said.lines().zip(expected) {
        assert!(line.contains(&format!("collectors.d/{name}.toml")), "{name}: {line}");
        assert!(line.contains(why), "{name}: {line}");
        let again = read_description(&path(name)).unwrap_err();
        assert!(again.contains(why), "{name}: {again}");
    }
}

#[test]
fn a_name_is_taken_once() {
    let (directory, file) = with_directory();
    // As it is printed, without saying that it replaces one: whether that one is code or described.
    for name in ["lacp", "bgp", "alarm"] {
        directory.write(&format!("collectors.d/{name}.toml"), file_systems(name));
    }
    // A measurement that another of the files has.
    directory.write("collectors.d/mine.toml", file_systems("mine"));
    let second =
        file_systems("second").replace("measurement = \"second\"", "measurement = \"mine\"");
    directory.write("collectors.d/second.toml", second.replace("device", "disk"));
    directory.write("collectors.d/third.toml", file_systems("mine"));
    let said = names(&file).unwrap_err();
    for expected in [
        "alarm.toml:1: name: there is a collector `alarm`: replaces = true puts this in its place",
        "bgp.toml:1: name: there is a collector `bgp`: replaces = true",
        "lacp.toml:1: name: there is a collector `lacp`: replaces = true",
        "the measurement `mine` is one of mine, and has no tag `disk`: give yours another name",
        "third.toml:1: name: there is a collector `mine`: replaces = true",
    ] {
        assert!(said.contains(expected), "{expected} in\n{said}");
    }
    assert_eq!(said.lines().count(), 5, "{said}");
    for name in ["bgp", "alarm", "second", "third"] {
        std::fs::remove_file(directory.join(&format!("collectors.d/{name}.toml"))).unwrap();
    }
    let lacp =
        format!("replaces = true\n{}", file_systems("lacp").replace("\"device\"", "\"name\""));
    directory.write(
        "collectors.d/lacp.toml",
        lacp.replace("measurement = \"lacp\"", "measurement = \"own\""),
    );
    assert_eq!(names(&file), Ok(vec!["lacp", "mine"]));
}

#[test]
fn only_so_many_files_are_read() {
    let (directory, file) = with_directory();
    for number in 0..=256 {
        let name = format!("mine{number:03}");
        directory.write(&format!("collectors.d/{name}.toml"), file_systems(&name));
    }
    let said = names(&file).unwrap_err();
    assert!(said.ends_with("collectors.d: more than 256 descriptions"), "{said}");
    std::fs::remove_file(directory.join("collectors.d/mine000.toml")).unwrap();
    assert_eq!(names(&file).unwrap().len(), 256);
}

/// One that is there and cannot be read holds collectors that nobody would miss.
#[test]
fn a_directory_that_cannot_be_read_is_said() {
    let (directory, file) = with_directory();
    std::fs::remove_dir(directory.join("collectors.d")).unwrap();
    let read = || {
        let text = std::fs::read_to_string(&file).unwrap();
        Source::parse(Some(file.clone()), text).into_config()
    };
    assert!(read().unwrap().warnings.is_empty());
    directory.write("collectors.d", "a file");
    let said = read().unwrap_err();
    assert!(said.contains("collectors.d: Not a directory"), "{said}");
}

/// A link that is led elsewhere is another file from the next hangup on, and one that leads
/// nowhere leaves its collector as it was.
#[test]
fn a_reload_follows_links() {
    let (directory, _) = with_directory();
    directory.write("one", file_systems("mine"));
    directory.write("two", file_systems("mine").replace("\"device\"", "\"disk\""));
    let link = directory.join("collectors.d/mine.toml");
    symlink("../one", &link).unwrap();
    let lead_to = |path: &str| {
        let new = link.with_extension("new");
        symlink(path, &new).unwrap();
        std::fs::rename(new, &link).unwrap();
    };
    let all = format!("collectors = [\"mine\"]\n{FAST}{}", local_router("r1", ""));
    let mut daemon = Daemon::start_in(directory, &all, &[]);
    let has = |lines: &[Line], host: &str, tag: &str| {
        let mut of_host = lines.iter().filter(|l| l.measurement == "mine" && l.tag("host") == host);
        of_host.any(|line| line.tags.contains_key(tag)).then_some(())
    };
    daemon.wait_lines("points of the first", |lines| has(lines, "r1", "device"));
    lead_to("../two");
    daemon.reload(&all.replace("r1", "r2"));
    daemon.wait_lines("points of the second", |lines| has(lines, "r2", "disk"));
    lead_to("../nowhere");
    daemon.reload(&all.replace("r1", "r3"));
    daemon.wait_lines("points of the second still", |lines| has(lines, "r3", "disk"));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let said = "a description is not used (its last good version stays in use): cannot read";
    assert_eq!(finished.stderr.matches(said).count(), 1, "{}", finished.stderr);
}
