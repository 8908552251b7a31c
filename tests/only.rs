//! `only`: what of it goes to the router, and that the pattern decides in any case.

mod common;

use std::collections::BTreeSet;

use common::lines::{self, Line};
use common::perijove::{local_router, perijove, run_with};
use common::process::run;
use common::temporary::Directory;

const OPTIONS: &str = "--interfaces 60 --units 3 --optics 60 --bgp-peers 60 --clock 100 --step 0";

fn settings(collector: &str, only: &str) -> String {
    let router = local_router("r1", OPTIONS);
    let only = if only.is_empty() { String::new() } else { format!("only = '{only}'\n") };
    format!("collectors = [\"{collector}\"]\n{router}[collector.{collector}]\n{only}")
}

fn points(settings: &str) -> Vec<Line> {
    let finished = run_with(settings, &["once"]);
    assert_eq!(finished.code, 0, "{finished:?}");
    let mut lines = lines::readings(&lines::read(&finished.stdout));
    lines.iter_mut().for_each(|line| line.timestamp = 0);
    lines.sort_by_key(Line::key);
    lines
}

/// The names of the interfaces in what the router sent for the collector, and how many bytes.
fn sent(settings: &str) -> (BTreeSet<String>, usize) {
    let directory = Directory::new();
    let file = directory.write("perijove.toml", settings);
    let into = directory.join("recorded");
    let finished = run(perijove(&["record"]).arg(&into).arg("--config").arg(file));
    assert_eq!(finished.code, 0, "{finished:?}");
    let (mut names, mut bytes) = (BTreeSet::new(), 0);
    for reply in std::fs::read_dir(&into).expect("recorded replies") {
        let text = std::fs::read(reply.expect("a reply").path()).expect("read a reply");
        let text = String::from_utf8_lossy(&text).into_owned();
        bytes += text.len();
        for item in text.split("<physical-interface>").skip(1) {
            let name = item.split("<name>").nth(1).and_then(|rest| rest.split('<').next());
            names.insert(name.expect("a name").trim().to_string());
        }
    }
    (names, bytes)
}

#[test]
fn the_router_is_asked_for_what_is_collected() {
    for collector in ["interfaces", "interfacequeue", "interfacediagnostics"] {
        let (all, all_bytes) = sent(&settings(collector, ""));
        assert!(all.len() >= 60, "{collector}: {}", all.len());
        let first = all.iter().find(|name| name.ends_with("/1")).expect("a port 1");
        let (kind, _) = first.split_once('-').expect("a port");
        for (only, other) in [
            // The second asks for everything.
            (format!("^{first}$"), format!("(^{first}$)")),
            (format!("^({first}|nothing-9/9/9|{kind}-0/0/2)"), format!("({first}|{kind}-0/0/2)")),
            (format!("^{kind}-0/0/4.?$"), format!("{kind}-0/0/4.?$")),
        ] {
            let (some, bytes) = sent(&settings(collector, &only));
            assert!(some.len() < 20 && some.contains(first) != only.contains("/4"), "{some:?}");
            assert!(bytes < all_bytes / 2, "{collector}: {bytes} of {all_bytes}");
            assert_eq!(sent(&settings(collector, &other)).0, all, "{other}");
            let points = points(&settings(collector, &only));
            assert!(!points.is_empty(), "{collector} {only}");
            assert_eq!(points, self::points(&settings(collector, &other)), "{collector} {only}");
        }
    }
}

/// A unit's name matches, and its interface's does not.
#[test]
fn a_unit_is_found_within_its_interface() {
    let all = points(&settings("interfaces", ""));
    let unit = all.iter().map(|line| line.tag("name")).find(|name| name.ends_with(".1"));
    let unit = unit.expect("a unit").to_string();
    let only = format!("^{}$", unit.replace('.', "\\."));
    let found = points(&settings("interfaces", &only));
    let names: BTreeSet<&str> = found.iter().map(|line| line.tag("name")).collect();
    assert_eq!(names, BTreeSet::from([unit.as_str()]));
    assert_eq!(sent(&settings("interfaces", &only)).0.len(), 1);
}

#[test]
fn an_interface_that_is_not_there_is_no_failure() {
    let finished = run_with(&settings("interfaces", "^ge-9/9/9$"), &["check"]);
    assert!(finished.stdout.contains("no data"), "{finished:?}");
    assert!(finished.stdout.contains("device ge-9/9/9 not found"), "{finished:?}");
}

/// A peer that only an address in the pattern names is asked for alone; others come with all.
#[test]
fn the_router_is_asked_for_the_peers_that_are_collected() {
    let all = points(&settings("bgp", ""));
    let (_, all_bytes) = sent(&settings("bgp", ""));
    let peers: BTreeSet<&str> = all.iter().map(|line| line.tag("ip")).collect();
    let (first, last) = (peers.first().expect("a peer"), peers.last().expect("a peer"));
    let names = [first, last].map(|peer| peer.replace('.', "\\."));
    let only = format!("^{}$|^{}$", names[0], names[1]);
    let found = points(&settings("bgp", &only));
    let ips: BTreeSet<&str> = found.iter().map(|line| line.tag("ip")).collect();
    assert_eq!(ips, BTreeSet::from([*first, *last]));
    let (_, bytes) = sent(&settings("bgp", &only));
    assert!(bytes < all_bytes / 2, "{bytes} of {all_bytes}");
    // The same points where the router cannot be asked for them alone.
    let other = format!("^({first}|{last})$");
    assert_eq!(sent(&settings("bgp", &other)).1, all_bytes);
    assert_eq!(points(&settings("bgp", &other)), found);
}

#[test]
fn a_peer_that_is_not_there_gives_no_points() {
    let settings = settings("bgp", r"^203\.0\.113\.99$");
    let finished = run_with(&settings, &["check"]);
    assert!(finished.stdout.contains("bgp") && finished.code == 0, "{finished:?}");
    assert!(lines::readings(&lines::read(&run_with(&settings, &["once"]).stdout)).is_empty());
}

/// The names of the filters in what the router sent.
fn sent_filters(only: &str) -> Vec<String> {
    let directory = Directory::new();
    let file = directory.write("perijove.toml", settings("firewall", only));
    let into = directory.join("recorded");
    let finished = run(perijove(&["record"]).arg(&into).arg("--config").arg(file));
    assert_eq!(finished.code, 0, "{finished:?}");
    let mut names = Vec::new();
    for reply in std::fs::read_dir(&into).expect("recorded replies") {
        let text = std::fs::read_to_string(reply.expect("a reply").path()).expect("read a reply");
        let behind = text.split("<filter-name>").skip(1);
        names.extend(behind.map(|rest| rest.split('<').next().expect("a name").trim().to_string()));
    }
    names.sort();
    names
}

#[test]
fn the_router_is_asked_for_the_filters_that_are_collected() {
    let all = sent_filters("");
    assert!(all.len() > 2 && all.contains(&"protect-re".to_string()), "{all:?}");
    for (only, other, filters) in [
        ("^protect-re$", "(^protect-re$)", vec!["protect-re"]),
        ("^protect", "(^protect)", vec!["protect-re"]),
        (
            "^(protect-re|__default_bpdu_filter__)$",
            "(^protect-re$|^__default_bpdu_filter__$)",
            vec!["__default_bpdu_filter__", "protect-re"],
        ),
    ] {
        assert_eq!(sent_filters(only), filters, "{only}");
        assert_eq!(sent_filters(other), all, "{other}");
        let found = points(&settings("firewall", only));
        assert!(!found.is_empty(), "{only}");
        assert_eq!(found, points(&settings("firewall", other)), "{only}");
    }
}

/// Names, as `^a$` or `^(a|b)$`, go into the RPCs; the same names written otherwise do not.
#[test]
fn the_router_is_asked_for_the_instances_tables_and_paths_that_are_collected() {
    let bytes = |collector: &str, only: &str| sent(&settings(collector, only)).1;
    for (collector, tag, first, second) in [
        ("route", "table", "inet.0", "mpls.0"),
        ("l2vpn", "routing_instance", "L2VPN-0", "L2VPN-1"),
        ("evpn", "instance", "EVI-0", "EVI-2"),
        ("ospfneighbor", "interface", "ge-0/0/0.0", "ge-0/0/1.0"),
        ("pim", "instance", "master", "CUST-1"),
        ("lacp", "aggregate", "ae0", "ae1"),
        ("lacpstatistics", "aggregate", "ae0", "ae1"),
        ("mplslsp", "lspname", "to-core-0", "to-core-3"),
        ("vpws", "vpwsinstance", "VPWS-0", "VPWS-1"),
        ("bfd", "neighbor", "10.128.0.1", "10.128.0.9"),
        ("ldp", "neighbor", "192.0.2.10", "192.0.2.13"),
        ("l2circuit", "address", "192.0.2.10", "192.0.2.11"),
        ("rsvp", "name", "lsp-0-0", "lsp-1-3"),
        ("isis", "interface_name", "xe-0/0/0.0", "xe-0/0/1.0"),
    ] {
        let all = bytes(collector, "");
        let [first_pattern, second_pattern] = [first, second].map(|name| name.replace('.', "\\."));
        let one = format!("^{first_pattern}$");
        let names = |only: &str| -> BTreeSet<String> {
            let found = points(&settings(collector, only));
            let tags = found.iter().map(|line| line.tag(tag).to_string());
            tags.filter(|name| !name.is_empty()).collect()
        };
        assert_eq!(names(&one), BTreeSet::from([first.to_string()]), "{collector}");
        // Whatever else the router has is left out of what it sends.
        let (some, rest) = (bytes(collector, &one), bytes(collector, "^nothing-like-it$"));
        assert!(some < all && rest < some || first == "master", "{collector}: {rest} {some} {all}");
        assert!(rest < all, "{collector}: {rest} of {all}");
        // The same points where the router is asked for all.
        let both = format!("^({first_pattern}|{second_pattern})$");
        let other = format!("(^{first_pattern}$|^{second_pattern}$)");
        assert_eq!(bytes(collector, &other), all, "{collector}");
        let found = points(&settings(collector, &both));
        assert!(!found.is_empty(), "{collector}");
        assert_eq!(found, points(&settings(collector, &other)), "{collector}");
    }
}

/// What counts all would count a part: it is left out, whether the router is asked for less or not.
#[test]
fn totals_are_left_out_where_a_part_is_collected() {
    let fields = |collector: &str, only: &str| -> BTreeSet<String> {
        let found = points(&settings(collector, only));
        let of = |line: &Line| {
            let names: Vec<_> =
                line.fields.keys().map(|name| format!("{} {name}", line.measurement)).collect();
            names
        };
        found.iter().flat_map(of).collect()
    };
    for (collector, total, kept, name) in [
        ("ldp", "ldp session_count", "ldp neighbor_count", "192.0.2.10"),
        ("l2circuit", "l2circuit_connection count", "l2circuit_connection status", "192.0.2.10"),
        ("rsvp", "rsvp_sessions all", "rsvp_session all", "lsp-0-0"),
        ("ospf", "ospf up", "ospf neighbors_count", "master"),
        ("ospf", "ospf3 up", "ospf3 neighbors_count", "master"),
    ] {
        let all = fields(collector, "");
        assert!(all.contains(total) && all.contains(kept), "{collector}: {all:?}");
        let name = name.replace('.', "\\.");
        for only in [format!("^{name}$"), format!("(^{name}$)")] {
            let some = fields(collector, &only);
            assert!(!some.contains(total) && some.contains(kept), "{collector}: {some:?}");
        }
    }
    // Adjacencies are asked for whole, and counted so.
    let counts = |only: &str| {
        let found = points(&settings("isis", only));
        found.into_iter().filter(|line| line.fields.contains_key("total_count")).collect::<Vec<_>>()
    };
    assert_eq!(counts("").len(), 1);
    assert_eq!(counts("^xe-0/0/0\\.0$"), counts(""));
}

/// Each instance that is named is asked for in each logical system.
#[test]
fn instances_are_asked_for_in_each_logical_system() {
    let settings = |only: &str| settings("ospf", only) + "logical_systems = [\"LS1\"]\n";
    let systems = |only: &str| -> BTreeSet<String> {
        let found = points(&settings(only));
        found.iter().map(|line| line.tag("logical_system").to_string()).collect()
    };
    let both = BTreeSet::from([String::new(), "LS1".to_string()]);
    assert_eq!(systems(""), both);
    assert_eq!(systems("^(CUST-1|master)$"), both);
    assert!(sent(&settings("^CUST-1$")).1 < sent(&settings("")).1);
}

/// The list in docs/fleet.md against the reference, which the collectors' settings give.
#[test]
fn the_page_names_the_collectors_that_ask_for_less() {
    let reference = include_str!("../docs/collectors.md");
    let mut asked = BTreeSet::new();
    for section in reference.split("\n## ").skip(1) {
        let name = section.lines().next().expect("a heading").trim();
        let is_only = |line: &str| line.contains("Setting `only`") && line.contains("is asked for");
        if section.lines().any(is_only) {
            asked.insert(name.to_string());
        }
    }
    let page = include_str!("../docs/fleet.md");
    let list = page.split("These collectors do so:").nth(1).expect("the list");
    let list = list.split("[collectors.md]").next().expect("its end");
    let named: BTreeSet<String> = list.split('`').skip(1).step_by(2).map(String::from).collect();
    assert_eq!(named, asked);
    assert!(named.len() > 10);
}
