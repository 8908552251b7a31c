//! Collectors that an operator describes: what is taken, what is refused and how that is said, and
//! a daemon whose collector directory changes.

#[path = "../common/mod.rs"]
mod common;
mod directory;
mod features;
mod made;
mod reach;
mod sends;

use std::path::Path;

use perijove::config::{Source, read_description};
use perijove::poll::registry;

use common::influxd::Influxd;
use common::lines::{self, Line};
use common::needs::skips;
use common::perijove::{Daemon, FAST, local_router, own, perijove, seen};
use common::process::run;
use common::temporary::Directory;

/// A description of file systems, with a name and a measurement.
fn file_systems(name: &str) -> String {
    format!(
        r#"name = "{name}"
help = "File systems, as a test has them."

[[query]]
rpc = "<get-system-storage/>"
command = "show system storage"
roots = ["system-storage-information"]

[[query.point]]
item = "filesystem"
measurement = "{name}"
help = "A file system."
tags = [
  {{ name = "device", path = "filesystem-name" }},
]
fields = [
  {{ name = "blocks", gauge = "total-blocks", unit = "blocks", help = "Blocks." }},
]
"#
    )
}

/// What is said of a description in a file of its name.
fn refused(name: &str, text: &str) -> String {
    let directory = Directory::new();
    let path = directory.write(&format!("{name}.toml"), text);
    let shown = format!("{}:", path.display());
    match read_description(&path) {
        Ok(_) => panic!("{name} is taken:\n{text}"),
        Err(why) => why.replace(&shown, "FILE:"),
    }
}

#[test]
fn every_described_collector_of_the_program_is_one_that_an_operator_could_have_written() {
    let described = registry::collectors().iter().filter_map(|entry| entry.description);
    let directory = Directory::new();
    let mut count = 0;
    for described in described {
        let text = format!("replaces = true\n{}", described.text);
        let entry = read_description(&directory.write("x.toml", text));
        assert!(entry.is_ok(), "{}", entry.unwrap_err());
        count += 1;
    }
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/collectors/described");
    assert_eq!(count, std::fs::read_dir(files).unwrap().count());
    let said = include_str!("../../docs/write-a-collector.md");
    assert!(said.contains(&format!("one of the {count} collectors")), "{count}");
}

#[test]
fn a_description_is_printed_and_reads_replies_as_its_collector_does() {
    let printed = run(&mut perijove(&["collectors", "lacp", "--format", "toml"]));
    assert_eq!(printed.code, 0, "{printed:?}");
    let directory = Directory::new();
    let text = printed.stdout.replace("name = \"lacp\"\n", "name = \"mylacp\"\n");
    let file = directory.write("mylacp.toml", &text);
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lacp");
    let mut points = 0;
    for reply in std::fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()) {
        if reply.extension().unwrap() != "xml" {
            continue;
        }
        let reply = reply.to_str().unwrap();
        let theirs = run(&mut perijove(&["parse", "lacp", reply]));
        let file = file.to_str().unwrap();
        let ours = run(&mut perijove(&["parse", "--description", file, reply]));
        let without_time = |text: &str| {
            let cut = |line: &str| line.rsplit_once(' ').map(|(line, _)| line.to_string());
            text.lines().filter_map(cut).collect::<Vec<_>>()
        };
        assert_eq!(without_time(&ours.stdout), without_time(&theirs.stdout), "{reply}");
        assert_eq!(ours.code, theirs.code, "{reply}");
        points += ours.stdout.lines().count();
    }
    assert!(points >= 3, "{points} points");
    for arguments in [&["collectors", "--format", "toml"][..], &["parse"]] {
        assert_eq!(run(&mut perijove(arguments)).code, 2, "{arguments:?}");
    }
    let not_described = run(&mut perijove(&["collectors", "bgp", "--format", "toml"]));
    assert!(not_described.stderr.contains("bgp is not described"), "{not_described:?}");
}

/// Each case: what is changed in a description that is right, and what is said.
#[test]
fn errors_name_the_line_the_key_and_what_is_allowed() {
    let right = file_systems("mine");
    let cases = [
        ("name = \"mine\"", "name = \"Mine\"", "FILE:1: name: `Mine` is not a name: it has lower"),
        ("name = \"mine\"", "name = \"lacp\"", "FILE:1: name: there is a collector `lacp`"),
        ("name = \"mine\"", "name = \"mine\"\nreplaces = true", "no collector `mine` that this"),
        ("help = \"File", "hlep = \"File", "FILE:2: hlep: unknown key `hlep`, did you mean `help`"),
        (
            "\"<get-system-storage/>\"",
            "\"<request-reboot/>\"",
            "FILE:5: query.rpc: <request-reboot>",
        ),
        ("<get-system-storage/>", "<get-x>{slot}</get-x>", "no [[argument]] for `{slot}`"),
        ("[\"system-storage-information\"]", "[]", "FILE:7: query.roots: it has no roots"),
        ("\"filesystem\"", "\"file system\"", "FILE:10: query.point.item: `file system` is not an"),
        (
            "measurement = \"mine\"",
            "measurement = \"lacp\"",
            "is one of lacp, and has no tag `device`",
        ),
        (
            "measurement = \"mine\"",
            "measurement = \"\"",
            "FILE:11: query.point.measurement: `` is not",
        ),
        (
            "path = \"filesystem-name\"",
            "path = \"../../a\"",
            "FILE:14: query.point.tags: `../../a` leads",
        ),
        ("name = \"device\"", "name = \"target\"", "`target` is a name that points have already"),
        (
            "name = \"device\"",
            "name = \"blocks\"",
            "FILE:17: query.point.fields: `blocks` is the name",
        ),
        ("gauge = ", "guage = ", "did you mean `gauge`"),
        ("gauge = \"total-blocks\"", "unit = \"x\"", "duplicate key"),
        (
            "gauge = \"total-blocks\", unit = \"blocks\"",
            "type = \"decimal\"",
            "one of counter, gauge",
        ),
        (
            "gauge = ",
            "counter = ",
            "no name for such a field in Prometheus: call it `blocks_total`",
        ),
        ("gauge = ", "is = \"a\", text = ", "FILE:17: query.point.fields: is is for a counter"),
        ("gauge = ", "not = \"a\", gauge = ", "not goes with is"),
        ("gauge = ", "other = 1, gauge = ", "other goes with map"),
        ("gauge = ", "map = { a = 1.5 }, gauge = ", "its numbers are not whole"),
        ("gauge = ", "scale = 0, gauge = ", "scale is a number above 0"),
        ("gauge = ", "shape = \"date\", gauge = ", "unknown variant `date`"),
        ("gauge = ", "label = \"x\", gauge = ", "label is for an info"),
        (
            "gauge = \"total-blocks\", unit = \"blocks\"",
            "text = \"count(total-blocks)\"",
            "a count is a number",
        ),
        ("tags = [", "or_none = true\ntags = [", "or_none is for points with each"),
        ("tags = [", "each = \"..\"\ntags = [", "does not lead down from the item"),
        ("tags = [", "where = { a = 1 }\ntags = [", "a text, a list of texts, true or false"),
        ("name = \"blocks\"", "name = \"b\"", ""),
    ];
    for (what, with, expected) in cases {
        let text = right.replacen(what, with, 1);
        assert_ne!(text, right, "{what}");
        if expected.is_empty() {
            let path = Directory::new().write("mine.toml", &text);
            // The directory is gone: only the text is the case's.
            assert!(read_description(&path).unwrap_err().contains("cannot read the description"));
            continue;
        }
        let said = refused("mine", &text);
        assert!(said.contains(expected), "{with}:\n{said}");
        assert!(said.starts_with("FILE:"), "{with}:\n{said}");
    }
    // All that is wrong is said at once.
    let two = right.replace("<get-system-storage/>", "<clear/>").replace("total-blocks", "a b");
    assert_eq!(refused("mine", &two).lines().count(), 2);
}

fn settings(more: &str) -> String {
    format!("collectors = [\"alarm\"]\n{more}{FAST}{}", local_router("r1", ""))
}

fn first(lines: &[Line], measurement: &str) -> Option<Line> {
    lines.iter().find(|line| line.measurement == measurement).cloned()
}

#[test]
fn a_file_in_the_directory_is_a_collector_from_the_next_hangup_on() {
    let directory = Directory::new();
    std::fs::create_dir(directory.join("collectors.d")).unwrap();
    let all = format!("{FAST}{}", local_router("r1", ""));
    let mut daemon = Daemon::start_in(directory, &all, &[]);
    daemon
        .wait_lines("polls of the default set", |lines| (seen(lines, "routes") > 0).then_some(()));
    daemon.directory.write("collectors.d/mine.toml", file_systems("mine"));
    daemon.reload(&all);
    let line = daemon.wait_lines("points of the file", |lines| first(lines, "mine"));
    assert_eq!(line.tags.keys().collect::<Vec<_>>(), ["device", "host"]);
    assert!(line.number("blocks") > 0.0, "{line:?}");

    // One that is broken, and one that was right and is broken now, cost only themselves.
    daemon.directory.write("collectors.d/other.toml", "name = \"other\"\n");
    let broken = file_systems("mine").replace("<get-system-storage/>", "<clear/>");
    daemon.directory.write("collectors.d/mine.toml", broken);
    daemon.reload(&all.replace("r1", "r2"));
    daemon.wait_lines("points under another name", |lines| {
        lines.iter().any(|l| l.measurement == "mine" && l.tag("host") == "r2").then_some(())
    });
    daemon.directory.write("collectors.d/other.toml", file_systems("other"));
    daemon.directory.write("collectors.d/mine.toml", file_systems("mine"));
    daemon.reload(&all.replace("r1", "r3"));
    daemon.wait_lines("points of both", |lines| {
        let of = |name: &str| {
            lines.iter().any(|line| line.measurement == name && line.tag("host") == "r3")
        };
        (of("mine") && of("other")).then_some(())
    });
    // A file that is gone is no collector any more.
    std::fs::remove_file(daemon.directory.join("collectors.d/other.toml")).unwrap();
    daemon.reload(&all.replace("r1", "r4"));
    let lines = daemon.wait_lines("several polls without it", |lines| {
        let polls = lines.iter().filter(|l| l.measurement == "mine" && l.tag("host") == "r4");
        (polls.count() > 20).then(|| lines.to_vec())
    });
    let of_r4 = |line: &&Line| line.tag("host") == "r4" && line.measurement == "other";
    assert_eq!(lines.iter().filter(of_r4).count(), 0);
    let finished = daemon.stop();
    assert_eq!(finished.code, 0);
    let said = "a description is not used (its last good version stays in use):";
    assert_eq!(finished.stderr.matches(said).count(), 2, "{}", finished.stderr);
    for expected in ["other.toml:1: ", "mine.toml:5: query.rpc: <clear> may do more than read"] {
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
}

#[test]
fn points_of_a_file_reach_influxdb() {
    if skips(&["influxd"]) {
        return;
    }
    let influxd = Influxd::start();
    let directory = Directory::new();
    std::fs::create_dir(directory.join("own")).unwrap();
    let all = settings("collector_directory = \"own\"\n") + &influxd.output();
    let daemon = Daemon::start_in(directory, &all, &[]);
    influxd.wait_points("polls", |lines| (seen(lines, "alarms") > 0).then_some(()));
    daemon.directory.write("own/mine.toml", file_systems("mine"));
    daemon.reload(&all.replace("\"alarm\"", "\"alarm\", \"mine\""));
    let line = influxd.wait_points("points of the file", |lines| first(lines, "mine"));
    assert!(line.number("blocks") > 0.0, "{line:?}");
    daemon.directory.write("own/broken.toml", "?");
    daemon.reload(&all.replace("\"alarm\"", "\"alarm\", \"mine\", \"broken\"").replace("r1", "r2"));
    influxd.wait_points("points after a broken file", |lines| {
        lines.iter().any(|l| l.measurement == "mine" && l.tag("host") == "r2").then_some(())
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_start_with_a_broken_file_is_refused() {
    let directory = Directory::new();
    std::fs::create_dir(directory.join("collectors.d")).unwrap();
    directory.write("collectors.d/a.toml", file_systems("b"));
    directory.write("collectors.d/c.toml", file_systems("c").replace("gauge", "gage"));
    let file = directory.write("perijove.toml", settings(""));
    let file = file.to_str().unwrap();
    for command in ["run", "once", "check", "collectors"] {
        let finished = run(&mut perijove(&[command, "--config", file]));
        assert_eq!(finished.code, 2, "{command}: {finished:?}");
        let said = &finished.stderr;
        assert!(said.contains("a.toml: it describes `b`: call it b.toml"), "{said}");
        assert!(said.contains("c.toml:17: query.point.fields: unknown key `gage`"), "{said}");
    }
    let read = |named: &str| {
        let text = settings(&format!("collector_directory = \"{named}\"\n"));
        Source::parse(Some(directory.join("p.toml")), text).into_config()
    };
    let said = "p.toml:2: collector_directory: cannot read the directory";
    // One that is not there may come before the next reload; a file is none.
    assert!(read("nowhere").unwrap().warnings[0].contains(said));
    assert!(read("perijove.toml").unwrap_err().contains(said));
}

/// Everything that a collector of the program has, an operator's has too.
#[test]
fn a_file_has_settings_reference_and_schema() {
    let directory = Directory::new();
    std::fs::create_dir(directory.join("collectors.d")).unwrap();
    let text = file_systems("mine")
        .replace("help = \"File systems,", "only = \"device\"\nhelp = \"File systems,");
    directory.write("collectors.d/mine.toml", text);
    let only = "[collector.mine]\nonly = \"^/dev/gpt/junos$\"\ninterval = \"1s\"\n";
    let file = directory.write("perijove.toml", settings("") + only);
    let file = file.to_str().unwrap();
    let printed = |arguments: &[&str]| {
        let finished = run(&mut perijove(&[arguments, &["--config", file]].concat()));
        assert_eq!(finished.code, 0, "{finished:?}");
        finished.stdout
    };
    let list = printed(&["collectors"]);
    let own = list.lines().find(|line| line.starts_with("mine ")).unwrap();
    assert_eq!(own, "mine                 + File systems, as a test has them.");
    assert!(list.contains("+ described in the collector directory"), "{list}");
    let reference = printed(&["collectors", "mine"]);
    for expected in ["<get-system-storage/>", "points_max", "only ", "blocks  "] {
        assert!(reference.contains(expected), "{expected} in\n{reference}");
    }
    let schema = printed(&["collectors", "mine", "--format", "json"]);
    assert!(schema.contains("\"mine\"") && schema.contains("\"blocks\""), "{schema}");
    let once = |format: &str| printed(&["once", "--collectors", "mine", "--format", format]);
    let line = once("line");
    assert_eq!(lines::read(&line).len(), 1, "{line}");
    assert!(line.starts_with("mine,host=r1,device=/dev/gpt/junos "), "{line}");
    let exposition = once("prometheus");
    for expected in [
        "# HELP junos_mine_blocks Blocks.\n",
        "# TYPE junos_mine_blocks gauge\n",
        "junos_mine_blocks{target=\"r1\",device=\"/dev/gpt/junos\"}",
    ] {
        assert!(exposition.contains(expected), "{expected} in\n{exposition}");
    }
    assert!(once("json").contains("\"collector\":\"mine\""));
    let check = printed(&["check", "--collectors", "mine"]);
    assert!(check.contains("mine") && check.contains("ok"), "{check}");
    let record = directory.join("recorded");
    printed(&["record", record.to_str().unwrap(), "--collectors", "mine"]);
    assert!(record.join("mine-0.xml").exists() || std::fs::read_dir(&record).unwrap().count() == 1);
}

#[test]
fn the_points_of_one_poll_have_a_limit_and_what_it_drops_is_counted() {
    let directory = Directory::new();
    std::fs::create_dir(directory.join("collectors.d")).unwrap();
    directory.write("collectors.d/mine.toml", file_systems("mine"));
    let few = "[collector.mine]\npoints_max = 2\n";
    let all = format!("collectors = [\"mine\"]\n{FAST}{}{few}", local_router("r1", ""));
    let mut daemon = Daemon::start_in(directory, &all, &[]);
    let tag = ("collector", "mine");
    let (points, dropped) = daemon.wait_lines("what was left out", |lines| {
        let dropped = own(lines, tag, "rejected_values_total").filter(|count| *count > 0.0)?;
        let mine: Vec<&Line> = lines.iter().filter(|line| line.measurement == "mine").collect();
        let of_first = mine.iter().filter(|line| line.timestamp == mine[0].timestamp).count();
        Some((of_first, dropped))
    });
    assert_eq!(points, 2);
    assert!(dropped >= 1.0, "{dropped}");
    assert_eq!(daemon.stop().code, 0);
}

/// The file in a document that begins with `name = `.
fn in_document(document: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.into_iter().find(|block| block.starts_with("name = ")).unwrap().to_string()
}

/// What the documents show is a collector that works.
#[test]
fn the_descriptions_in_the_documents_work() {
    for (document, tag) in [("docs/write-a-collector.md", "fan"), ("README.md", "name")] {
        let directory = Directory::new();
        std::fs::create_dir(directory.join("collectors.d")).unwrap();
        directory.write("collectors.d/fans.toml", in_document(document));
        let file = directory.write("perijove.toml", settings(""));
        let file = file.to_str().unwrap();
        let arguments = ["once", "--config", file, "--collectors", "fans", "--format", "line"];
        let finished = run(perijove(&arguments).arg("--quiet"));
        assert_eq!((finished.code, &*finished.stderr), (0, ""), "{document}");
        let points = lines::read(&finished.stdout);
        assert_eq!(points.len(), 4, "{document}: {}", finished.stdout);
        for (number, point) in points.iter().enumerate() {
            assert_eq!(point.tag(tag), format!("Fan {number}"), "{document}");
            assert!(point.number("rpm") >= 2400.0, "{document}: {point:?}");
        }
    }
    // The reply in the tutorial gives the point that the tutorial speaks of.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/write-a-collector.md");
    let text = std::fs::read_to_string(path).unwrap();
    let reply = text.split("```xml\n").nth(1).unwrap().split("```").next().unwrap();
    let directory = Directory::new();
    let reply = directory.write("fan.xml", format!("<rpc-reply>{reply}</rpc-reply>"));
    let file = directory.write("fans.toml", in_document("docs/write-a-collector.md"));
    let (reply, file) = (reply.to_str().unwrap(), file.to_str().unwrap());
    let arguments = ["parse", "--description", file, reply, "--format", "prometheus"];
    let finished = run(&mut perijove(&arguments));
    let expected = "junos_fans_rpm{fan=\"Fan 0\"} 3480\n";
    assert!(finished.stdout.contains(expected), "{finished:?}");
}

/// Every key of a description is in the tutorial's table, and every key of the table is one.
#[test]
fn the_tutorial_has_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/write-a-collector.md");
    let text = std::fs::read_to_string(path).unwrap();
    let known = |text: &str| {
        let said = refused("mine", text);
        let known = said.split("Known here: ").nth(1).unwrap().to_string();
        known.split(", ").map(|key| key.trim().to_string()).collect::<Vec<_>>()
    };
    let right = file_systems("mine");
    let mut keys = known(&right.replace("help = \"File systems", "x = \"File systems"));
    for (what, with) in [
        ("rpc = ", "x = 1\nrpc = "),
        ("item = ", "x = 1\nitem = "),
        ("{ name = \"device\"", "{ x = 1, name = \"device\""),
        ("{ name = \"blocks\"", "{ x = 1, name = \"blocks\""),
        ("[[query]]", "[[argument]]\nx = 1\n[[query]]"),
    ] {
        keys.extend(known(&right.replacen(what, with, 1)));
    }
    assert!(keys.len() > 40, "{keys:?}");
    for key in keys.iter().filter(|key| !["query", "argument", "point"].contains(&&***key)) {
        assert!(text.contains(&format!("`{key}`")), "the tutorial lacks `{key}`");
    }
}
