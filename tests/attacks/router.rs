//! Attacks by a router: whatever it sends fills no memory, and takes nothing from another router.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::http_stub::{HttpStub, Reply};
use crate::common::lines::Line;
use crate::common::perijove::{Daemon, FAST, every, local_router, own, run_with, whole_lines};
use crate::common::process::peak_bytes;
use crate::common::temporary::Directory;
use crate::common::{answer, free_port, http_agent, wait_for};

const MEMORY_BYTES_MAX: u64 = 64 << 20;
/// What the default limit of an item leaves room for.
const ITEM_BYTES: usize = 7 << 20;

const HELLO: &str = "<hello><capabilities/><session-id>1</session-id></hello>]]>]]>";

/// So much of a text, again and again.
fn bytes(text: &str, bytes: usize) -> String {
    text.repeat(bytes / text.len())
}

/// Which points of that router are among these.
fn keys_of<'a>(router: &str, lines: impl Iterator<Item = &'a Line>) -> BTreeSet<String> {
    lines.filter(|line| line.tag("host") == router).map(Line::key).collect()
}

fn many(count: usize, one: &dyn Fn(usize) -> String) -> String {
    (0..count).map(one).collect()
}

fn item(within: &str) -> String {
    format!("<physical-interface><name>ge-0/0/0</name>{within}</physical-interface>")
}

/// Polls a router that answers with this, once, and another router; what the other one's scrape is
/// answered with, and the most memory that was used.
fn poll(reply: &str) -> (String, u64) {
    let (good, peak, _) = poll_of("interfaces", &[("interface-information", reply)]);
    (good, peak)
}

/// The same of another collector, whose RPCs are answered with these roots and what is in them, the
/// last of them for ever; also the log.
fn poll_of(collector: &str, replies: &[(&str, &str)]) -> (String, u64, String) {
    let directory = Directory::new();
    // The answers are there before the questions.
    let mut script = format!("printf %s '{HELLO}'; ");
    let mut file = String::new();
    for (number, (root, reply)) in replies.iter().enumerate() {
        let reply = format!("<rpc-reply><{root}>{reply}</{root}></rpc-reply>]]>]]>");
        file = directory.write(&number.to_string(), reply).display().to_string();
        script += &format!("cat {file}; ");
    }
    script += &format!("while cat {file}; do :; done");
    let port = free_port();
    let settings = format!(
        "collectors = [\"{collector}\"]\ntimeout = \"40s\"\n{}[[router]]\nname = \"bad\"\n\
         transport = \"local\"\ncommand = [\"sh\", \"-c\", {script:?}]\n{}\
         [output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n",
        every("1h"),
        local_router("good", "--interfaces 5"),
    );
    let mut daemon = Daemon::start(&settings);
    let get = |path: &str| {
        let asked = http_agent().get(format!("http://127.0.0.1:{port}{path}")).call();
        asked.and_then(answer).unwrap_or_default()
    };
    daemon.process.wait_for("both were polled", |_| {
        std::thread::sleep(Duration::from_millis(50));
        (get("/-/ready").0 == 200).then_some(())
    });
    let peak = peak_bytes(daemon.process.id());
    let (_, good) = get("/metrics?target=good");
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.len() < 10_000, "{}", finished.stderr);
    // Were each byte looked at again for each quote or tag, it would take minutes.
    let is_late = finished.stderr.contains("did not answer within the time limit (timeout");
    assert!(!is_late, "{}", finished.stderr);
    (good, peak, finished.stderr)
}

/// Collectors that add up a reply keep its names until it ends: new ones for ever, or long ones.
#[test]
fn no_collector_keeps_what_fills_the_memory() {
    let many =
        |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<String>();
    let arp = |number: usize| {
        format!(
            "<arp-table-entry><ip-address>10.0.0.1</ip-address><interface-name>ge-{number}\
             </interface-name></arp-table-entry>"
        )
    };
    let alarm = |number: usize| {
        format!(
            "<alarm-detail><alarm-class>Major</alarm-class><alarm-description>{number}{}\
             </alarm-description><alarm-type>x</alarm-type></alarm-detail>",
            "d".repeat(1 << 20)
        )
    };
    let prefix = |number: usize| {
        format!(
            "<evpn-ip-prefix-database><context-name>{number}</context-name><evpn-pfxdb-ip-table>\
             <table-description>IPv4</table-description></evpn-pfxdb-ip-table>\
             </evpn-ip-prefix-database>"
        )
    };
    let mac = |number: usize| {
        format!(
            "<l2ng-l2ald-macdb-rtb-name>{number}</l2ng-l2ald-macdb-rtb-name>\
             <l2ng-l2ald-ethernet-switching-table-summary><l2ng-l2-total-mac-count>1\
             </l2ng-l2-total-mac-count></l2ng-l2ald-ethernet-switching-table-summary>"
        )
    };
    let flow = |number: usize| {
        format!(
            "<ddos-protocol><packet-type>{number}</packet-type><ddos-flow-detection>\
             <ddos-flow-detection-enabled>on</ddos-flow-detection-enabled></ddos-flow-detection>\
             </ddos-protocol>"
        )
    };
    let engine = |number: usize| format!("<x><re-name>{number}</re-name><process/></x>");
    let process = |number: usize| format!("{number} ? S 1 d{number}\n");
    let row =
        |number: usize| format!("udp4 0 0 1.1.1.1.1 2.2.{}.1.{}\n", number % 200, number % 9999);
    let processes = many(ITEM_BYTES / 20, &process);
    let processes = ("output", &*processes);
    for (collector, replies, is_refused) in [
        ("arp", vec![("arp-table-information", &*many(200_000, &arp))], true),
        ("alarm", vec![("alarm-information", &*many(24, &alarm))], true),
        (
            "evpnipprefix",
            vec![("evpn-ip-prefix-database-information", &*many(120_000, &prefix))],
            true,
        ),
        ("mac", vec![("l2ng-l2ald-rtb-macdb", &*many(1_000_000, &mac))], true),
        ("ddosprotection", vec![("ddos-protocols-information", &*many(120_000, &flow))], true),
        (
            "connections",
            vec![("system-process-information", &*many(300_000, &engine)), processes],
            true,
        ),
        ("connections", vec![processes, ("output", &*many(ITEM_BYTES / 30, &row))], false),
    ] {
        let (_, peak, log) = poll_of(collector, &replies);
        assert!(peak < MEMORY_BYTES_MAX, "{collector}: {} MB", peak >> 20);
        println!("{collector}: {} MB", peak >> 20);
        let is_said = log.contains("has to be kept until the end of the poll");
        assert_eq!(is_said, is_refused, "{collector}: {log}");
    }
}

/// What reading takes for a moment is not kept, nor is what is left out.
#[test]
fn what_a_large_router_has_is_no_attack() {
    let arp = |number: usize| {
        format!(
            "<arp-table-entry><ip-address>10.0.0.1</ip-address><interface-name>ge-{number}\
             </interface-name></arp-table-entry>"
        )
    };
    let nameless = |number: usize| {
        format!("<arp-table-entry><ip-address>{number}</ip-address></arp-table-entry>")
    };
    let entry = |number: usize| {
        format!(
            "<evpn-pfxdb-evpn-ip-entry><entry-prefix>{number}</entry-prefix>\
             </evpn-pfxdb-evpn-ip-entry>"
        )
    };
    let prefixes = many(250_000, &entry);
    let prefixes = format!(
        "<context-name>a</context-name><evpn-pfxdb-evpn-ip-table><table-description>IPv4\
         </table-description>{prefixes}</evpn-pfxdb-evpn-ip-table>"
    );
    for (collector, root, reply) in [
        ("arp", "arp-table-information", &many(30_000, &arp)),
        ("arp", "arp-table-information", &many(250_000, &nameless)),
        ("evpnipprefix", "evpn-ip-prefix-database-information", &prefixes),
    ] {
        let (_, _, log) = poll_of(collector, &[(root, reply)]);
        assert!(!log.contains("has to be kept"), "{collector}: {log}");
    }
}

#[test]
fn no_reply_fills_the_memory_or_takes_from_another_router() {
    let unit = "<logical-interface><name>1</name><x/></logical-interface>";
    let port = |number: usize| {
        format!(
            "<physical-interface><name>ge-{number}</name><admin-status>up</admin-status>\
             <oper-status>up</oper-status><mtu>1514</mtu></physical-interface>"
        )
    };
    let deep = |name: &str| bytes(&format!("<{name}>"), ITEM_BYTES);
    for (what, reply) in [
        ("many siblings in an item", item(&bytes(unit, ITEM_BYTES))),
        ("many names in an item", item(&bytes("<a/><b/>", ITEM_BYTES))),
        ("many attributes", item(&format!("<a {}/>", bytes("b='c' ", ITEM_BYTES)))),
        ("a long text", item(&format!("<description>{}", bytes("d", ITEM_BYTES)))),
        ("a text of references", item(&format!("<mtu>{}</mtu>", bytes("&amp;", ITEM_BYTES)))),
        ("a long name", format!("<{}>", bytes("n", ITEM_BYTES))),
        ("long names that nest", deep(&"n".repeat(1000))),
        ("items that nest", deep("physical-interface")),
        ("quotes in a tag", format!("<physical-interface {}>", bytes("''", ITEM_BYTES))),
        ("quotes in an item's tag", item(&format!("<a {}>", bytes("''", ITEM_BYTES)))),
        ("beginnings of its close tag", item(&bytes("</physical-interface", ITEM_BYTES))),
        ("comments", item(&bytes("<a/><!-- -->", ITEM_BYTES))),
        ("many items", (0..30_000).map(port).collect()),
    ] {
        let (good, peak) = poll(&reply);
        assert!(peak < MEMORY_BYTES_MAX, "{what}: {} MB", peak >> 20);
        assert!(good.contains("junos_interface_up{target=\"good\""), "{what}: {good}");
    }
}

/// While InfluxDB is away, one router has far more to say than there is room for, in memory or on
/// the disk.
#[test]
fn a_loud_router_takes_no_room_of_another() {
    let often = "interval = \"300ms\"\npoll_share_max = 100\nself_interval = \"1h\"\n";
    for spool in ["", "[spool]\ndirectory = \"DIRECTORY/spool\"\nbytes_max = \"1MB\"\n"] {
        let is_up = Arc::new(AtomicBool::new(false));
        let answers = is_up.clone();
        let stub = HttpStub::start(move |_, _| match answers.load(Ordering::Relaxed) {
            true => Reply::status(204),
            false => Reply::status(503),
        });
        let settings = format!(
            "collectors = [\"interfaces\"]\n{often}{}{}[output.influxdb]\nurl = \"{}\"\n\
             queue_bytes_max = \"500kB\"\n[output.file]\npath = \"DIRECTORY/points\"\n{spool}",
            local_router("loud", "--interfaces 1000"),
            local_router("quiet", "--interfaces 2"),
            stub.url()
        );
        let daemon = Daemon::start(&settings);
        let path = daemon.directory.join("points");
        wait_for("many points", || {
            let length = std::fs::metadata(&path).map_or(0, |data| data.len());
            (length > 4 << 20).then_some(())
        });
        let made = std::fs::read_to_string(&path).expect("points");
        let made = keys_of("quiet", whole_lines(&made).iter());
        assert!(made.len() > 10, "{made:?}");
        is_up.store(true, Ordering::Relaxed);
        wait_for("all points of the quiet router", || {
            std::thread::sleep(Duration::from_millis(300));
            keys_of("quiet", stub.accepted().iter()).is_superset(&made).then_some(())
        });
        assert_eq!(daemon.stop().code, 0);
    }
}

/// One router has a text, and another a name, that is larger than all that the output's queue
/// holds, in every poll, while InfluxDB is well.
#[test]
fn a_long_text_takes_nothing_of_another_router() {
    let text = item(&format!("<description>{}</description>", bytes("d", 5 << 20)));
    let name = bytes("n", 5 << 20);
    let reply = |within: &str| {
        let root = "interface-information";
        format!("<rpc-reply><{root}>{within}</{root}></rpc-reply>]]>]]>")
    };
    let directory = Directory::new();
    let loud = |router: &str, said: String| {
        let said = directory.write(router, said);
        // Each answer is there before the question.
        let script = format!("printf %s '{HELLO}'; while cat {}; do :; done", said.display());
        format!(
            "[[router]]\nname = \"{router}\"\ntransport = \"local\"\n\
             command = [\"sh\", \"-c\", {script:?}]\n"
        )
    };
    for spool in ["", "[spool]\ndirectory = \"DIRECTORY/spool\"\n"] {
        let stub = HttpStub::start(|_, _| Reply::status(204));
        let daemon = Daemon::start(&format!(
            "collectors = [\"interfaces\"]\n{FAST}{}{}{}[output.influxdb]\nurl = \"{}\"\n\
             queue_bytes_max = \"500kB\"\n[output.file]\npath = \"DIRECTORY/points\"\n{spool}",
            loud("text", reply(&text)),
            loud("name", reply(&format!("<{name}><x></{name}>"))),
            local_router("quiet", "--interfaces 2"),
            stub.url()
        ));
        let path = daemon.directory.join("points");
        let written = || whole_lines(&std::fs::read_to_string(&path).unwrap_or_default());
        let polls = |lines: &[Line], router| own(lines, ("host", router), "polls_total");
        wait_for("many polls", || {
            std::thread::sleep(Duration::from_millis(300));
            let lines = written();
            let many = |router| polls(&lines, router).is_some_and(|polls| polls >= 10.0);
            ["text", "name", "quiet"].iter().all(|router| many(router)).then_some(())
        });
        let made = written();
        let quiet = keys_of("quiet", made.iter());
        wait_for("all points of the quiet router", || {
            std::thread::sleep(Duration::from_millis(300));
            keys_of("quiet", stub.accepted().iter()).is_superset(&quiet).then_some(())
        });
        let dropped = own(&made, ("output", "influxdb"), "dropped_points_total");
        assert_eq!(dropped, Some(0.0));
        assert_eq!(daemon.stop().code, 0);
    }
}

/// Wherever a router's words come from, they drive no terminal and begin no line.
#[test]
fn what_a_router_says_forges_no_line_of_the_log() {
    const FORGED: &str =
        "x\r\nFORGED 2026-01-01 ERROR\u{1b}[31m\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}";
    let hello =
        |id: &str| format!("<hello><capabilities/><session-id>{id}</session-id></hello>]]>]]>");
    let error = |within: &str| {
        format!("<rpc-error><error-severity>error</error-severity>{within}</rpc-error>")
    };
    let reply = |within: &str| format!("{}<rpc-reply>{within}</rpc-reply>]]>]]>", hello("1"));
    let items =
        |within: &str| reply(&format!("<interface-information>{within}</interface-information>"));
    for (what, said) in [
        ("no hello", format!("{FORGED}\n")),
        ("a session's number", hello(FORGED)),
        ("a message", reply(&error(&format!("<error-message>{FORGED}</error-message>")))),
        ("a tag", reply(&error(&format!("<error-tag>{FORGED}</error-tag>")))),
        ("a path", reply(&error(&format!("<error-path>{FORGED}</error-path>")))),
        (
            "an element's name in an error",
            reply(&error(&format!("<error-info><bad-element>{FORGED}</bad-element></error-info>"))),
        ),
        ("an output", reply(&format!("<output>{FORGED}</output>"))),
        ("a root", reply(&format!("<{FORGED}/>"))),
        ("tags", items(&format!("<{FORGED}></y{FORGED}>"))),
        ("an attribute", items(&format!("<a b='{FORGED}></a>"))),
        ("a reference", items(&format!("<physical-interface><name>&{FORGED};</name>"))),
        ("a number", items(&item(&format!("<mtu>{FORGED}</mtu>")))),
        ("a name", items(&format!("<physical-interface><name>{FORGED}</name>"))),
    ] {
        let directory = Directory::new();
        let file = directory.write("said", said);
        let script = format!("cat {}; printf '{FORGED}' >&2; exec cat >/dev/null", file.display());
        let settings = format!(
            "collectors = [\"interfaces\"]\ntimeout = \"3s\"\n[[router]]\nname = \"bad\"\n\
             transport = \"local\"\ncommand = [\"sh\", \"-c\", {}]\n",
            serde_json::to_string(&script).expect("a string")
        );
        let finished = run_with(&settings, &["check", "--verbose", "--verbose"]);
        let all = finished.stdout + &finished.stderr;
        assert!(all.contains("bad"), "{what}: {all}");
        let is_forged = |line: &str| line.trim_start().starts_with("FORGED");
        assert!(!all.lines().any(is_forged), "{what}: {all}");
        let drives = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!all.contains(drives), "{what}: {all:?}");
    }
}
