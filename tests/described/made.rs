//! `perijove describe`: a first description, of a recorded reply or of a router's answer.

use std::path::Path;

use perijove::poll::registry;

use crate::common::lines;
use crate::common::perijove::{local_router, perijove};
use crate::common::process::run;
use crate::common::temporary::Directory;

/// A first description of a reply reads that reply.
#[test]
fn what_describe_prints_reads_the_reply() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let directory = Directory::new();
    let (mut described, mut points) = (0, 0);
    for entry in registry::collectors().iter().filter(|entry| entry.description.is_some()) {
        let poll = entry.poll();
        for reply in std::fs::read_dir(fixtures.join(entry.name)).unwrap() {
            let reply = reply.unwrap().path();
            let text = std::fs::read_to_string(&reply).unwrap();
            let is_one = text.matches("<rpc-reply").count() == 1;
            if reply.extension().unwrap() != "xml" || !is_one || poll.queries() > 1 {
                continue;
            }
            let reply = reply.to_str().unwrap();
            let made = run(&mut perijove(&["describe", poll.rpc_shown(0), reply]));
            if made.code != 0 {
                let why = ["no data", "answered with an error: "];
                assert!(why.iter().any(|why| made.stderr.contains(why)), "{reply}: {made:?}");
                continue;
            }
            // It has the name of a built-in collector where that is the RPC's.
            let text = made.stdout.replacen("name = \"", "name = \"my_", 1);
            let text = text.replace("measurement = \"", "measurement = \"my_");
            let file = directory.write("x.toml", &text);
            let file = file.to_str().unwrap();
            let parsed = run(&mut perijove(&["parse", "--description", file, reply, "--quiet"]));
            assert_eq!(parsed.code, 0, "{reply}: {}\n{}", parsed.stderr, made.stdout);
            described += 1;
            points += lines::read(&parsed.stdout).len();
        }
    }
    assert!(described >= 15 && points >= 40, "{described} described, {points} points");
    let refused = run(&mut perijove(&["describe", "request system reboot"]));
    assert!(
        refused.code == 2 && refused.stderr.contains("does not begin with `show`"),
        "{refused:?}"
    );
}

/// What is asked, what the description then sends, and what its points are about.
const ASKED: &[(&str, &str, &str)] = &[
    ("<get-fan-information/>", "<get-fan-information/>", "name=Fan\\ 0"),
    ("show chassis fan", "<command format=\\\"xml\\\">show chassis fan</command>", "name=Fan\\ 0"),
    (
        "<get-route-summary-information><logical-system>all</logical-system>\
         </get-route-summary-information>",
        "<get-route-summary-information><logical-system>all</logical-system>\
         </get-route-summary-information>",
        "table_name=inet.0",
    ),
    (
        "  show route summary ",
        "<command format=\\\"xml\\\">show route summary</command>",
        "protocol_name=Direct",
    ),
];

/// Without a file it asks the router, and what it prints is a collector of that router.
#[test]
fn describe_asks_the_router() {
    for base in ["1.0", "1.1"] {
        let directory = Directory::new();
        std::fs::create_dir(directory.join("collectors.d")).unwrap();
        let router = local_router("r1", &format!("--base {base} --nc-prefix"));
        let settings = directory.write("perijove.toml", router);
        let settings = settings.to_str().unwrap();
        for (asked, sent, about) in ASKED {
            let made = run(&mut perijove(&["describe", asked, "--config", settings, "--quiet"]));
            assert_eq!((made.code, &*made.stderr), (0, ""), "{asked}");
            assert!(made.stdout.contains(&format!("rpc = \"{sent}\"\n")), "{}", made.stdout);
            let name = made.stdout.split("name = \"").nth(1).unwrap().split('"').next().unwrap();
            directory.write(&format!("collectors.d/{name}.toml"), &made.stdout);
            let arguments =
                ["once", "--config", settings, "--collectors", name, "--format", "line"];
            let polled = run(perijove(&arguments).arg("--quiet"));
            assert_eq!((polled.code, &*polled.stderr), (0, ""), "{asked}:\n{}", made.stdout);
            let lines: Vec<&str> = polled.stdout.lines().collect();
            assert!(lines.iter().any(|line| line.contains(about)), "{asked}: {lines:?}");
            assert!(lines.iter().all(|line| line.starts_with(name)), "{asked}: {lines:?}");
        }
        for (asked, code, said) in [
            ("<get-nothing/>", 1, "the router answered with an error: syntax error"),
            ("show nothing", 1, "the router answered with an error: "),
            ("<get-fan-information/><clear-arp-table/>", 2, "a second operation"),
            ("show chassis fan</command><clear/><command>show x", 2, "a second operation"),
            ("show chassis fan | save /x", 2, "the pipe `save /x` is not one of"),
        ] {
            let made = run(&mut perijove(&["describe", asked, "--config", settings, "--quiet"]));
            assert_eq!((made.code, &*made.stdout), (code, ""), "{asked}: {made:?}");
            assert!(made.stderr.contains(said), "{asked}: {made:?}");
        }
    }
}
