//! Attacks by a router: whatever it sends fills no memory, and takes nothing from another router.

use std::time::Duration;

use crate::common::perijove::{Daemon, every, local_router};
use crate::common::process::peak_bytes;
use crate::common::temporary::Directory;
use crate::common::{answer, free_port, http_agent};

const MEMORY_BYTES_MAX: u64 = 64 << 20;
/// What the default limit of an item leaves room for.
const ITEM_BYTES: usize = 7 << 20;

/// So much of a text, again and again.
fn bytes(text: &str, bytes: usize) -> String {
    text.repeat(bytes / text.len())
}

fn item(within: &str) -> String {
    format!("<physical-interface><name>ge-0/0/0</name>{within}</physical-interface>")
}

/// Polls a router that answers with this, once, and another router; what the other one's scrape is
/// answered with, and the most memory that was used.
fn poll(reply: &str) -> (String, u64) {
    let directory = Directory::new();
    let hello = "<hello><capabilities/><session-id>1</session-id></hello>]]>]]>";
    let said = directory.write(
        "said",
        format!(
            "{hello}<rpc-reply><interface-information>{reply}</interface-information>\
             </rpc-reply>]]>]]>"
        ),
    );
    let port = free_port();
    // The answer is there before the question.
    let script = format!("cat {}; exec cat >/dev/null", said.display());
    let settings = format!(
        "collectors = [\"interfaces\"]\ntimeout = \"40s\"\n{}[[router]]\nname = \"bad\"\n\
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
    (good, peak)
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
