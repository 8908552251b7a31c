//! `perijove record`: what it saves tells no secrets, and reads as the router's own reply does.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::needs::{SHARED, skips};
use common::perijove::{local_router, run_with};
use common::temporary::Directory;
use perijove::cli::{self, Hide, Mask};
use perijove::collector::Entry;
use perijove::point::Points;
use perijove::poll::recorder::Filter;
use perijove::poll::registry;

fn passed(reply: &[u8], hide: Option<&Arc<Hide>>) -> Vec<u8> {
    let mut mask = Mask::new(hide.cloned());
    let mut out = Vec::new();
    for bytes in reply.chunks(8192) {
        mask.pass(bytes, &mut out).expect("memory");
    }
    mask.finish(&mut out).expect("memory");
    out
}

/// How many points a collector reads in it, of each measurement.
fn counts(entry: &Entry, reply: &[u8]) -> BTreeMap<&'static str, usize> {
    let mut points = Points::default();
    let _ = cli::parse_reply(&mut *entry.poll(), reply, &mut points);
    let mut counts = BTreeMap::new();
    for point in points.iter() {
        *counts.entry(point.schema.name()).or_default() += 1;
    }
    counts
}

/// The XML files below a directory.
fn replies(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(replies(&path));
        } else if path.extension().is_some_and(|extension| extension == "xml") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Addresses of the text that could be anybody's.
fn addresses(text: &str) -> Vec<&str> {
    let tokens = text.split(|c: char| !c.is_ascii_hexdigit() && c != '.' && c != ':');
    tokens
        .filter(|token| {
            let v4 = token.parse::<std::net::Ipv4Addr>();
            let v4 = v4.is_ok_and(|v4| {
                !v4.is_loopback() && !v4.is_multicast() && ![0, 255].contains(&v4.octets()[0])
            });
            let v6 = token.parse::<std::net::Ipv6Addr>();
            v4 || v6.is_ok_and(|v6| v6.octets()[2..14].iter().any(|octet| *octet != 0))
        })
        .collect()
}

/// The replies, and the points in them.
fn reads_alike(directory: &Path) -> (usize, usize) {
    let hide = Arc::new(Hide::default());
    let (mut files, mut points) = (0, 0);
    for path in replies(directory) {
        let reply = std::fs::read(&path).expect("a reply");
        let masked = [None, Some(&hide)].map(|hide| passed(&reply, hide));
        for entry in registry::collectors() {
            let before = counts(entry, &reply);
            points += before.values().sum::<usize>();
            for masked in masked.iter().filter(|_| !before.is_empty()) {
                assert_eq!(counts(entry, masked), before, "{} {}", entry.name, path.display());
            }
        }
        let texts = [&reply, &masked[1]].map(|bytes| String::from_utf8_lossy(bytes));
        let [before, after] = [&texts[0], &texts[1]].map(|text| addresses(text));
        // By chance, one that is hidden may look like another that was there.
        let kept = before.iter().filter(|old| after.contains(old)).count();
        assert!(kept * 10 <= before.len() + 19, "{}: {kept} addresses stay", path.display());
        files += 1;
    }
    (files, points)
}

#[test]
fn masked_fixtures_give_as_many_points() {
    let (files, points) =
        reads_alike(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"));
    println!("{files} replies, {points} points");
    assert!(files > 100 && points > 500);
}

/// The command: what it saves of the simulated router, with and without its names and addresses.
#[test]
fn the_command_leaves_secrets_out_and_by_flag_more() {
    let directory = Directory::new();
    let saved = |name: &str, flags: &[&str]| {
        let target = directory.join(name);
        let path = target.to_str().expect("UTF-8");
        let arguments = [&["record", path, "--collectors", "bgp,lldp"][..], flags].concat();
        let finished = run_with(&local_router("r1", "--clock 1000"), &arguments);
        assert_eq!(finished.code, 0, "{finished:?}");
        let texts = replies(&target)
            .into_iter()
            .map(|path| std::fs::read_to_string(path).expect("a reply"));
        texts.collect::<String>()
    };
    let plain = saved("plain", &[]);
    let anonymous = saved("anonymous", &["--anonymous"]);
    let before = addresses(&plain);
    assert!(before.len() > 10, "{plain}");
    let kept = before.iter().filter(|old| anonymous.contains(**old)).count();
    assert!(kept * 10 <= before.len(), "{kept} of {} addresses stay", before.len());
    // What is the same in one place is the same in another.
    let different =
        |text: &str| addresses(text).iter().map(|a| a.to_string()).collect::<BTreeSet<_>>().len();
    assert_eq!(different(&anonymous), different(&plain));
}

/// Replies of real devices.
#[test]
fn masked_replies_of_devices_give_as_many_points() {
    if skips(&[SHARED]) {
        return;
    }
    let (files, points) =
        reads_alike(&Path::new(env!("CARGO_MANIFEST_DIR")).join(SHARED).join("replies/recorded"));
    println!("{files} replies, {points} points");
    assert!(files > 0 && points > 0);
}
