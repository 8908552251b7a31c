//! Attacks by whoever writes names and descriptions on a router: they become labels, and no word of
//! theirs takes a scrape, a series or a label of another router away.

use crate::common::needs::skips;
use crate::common::perijove::{Daemon, FAST, local_router};
use crate::common::process::peak_bytes;
use crate::common::prometheus::{Prometheus, promtool, scrape};
use crate::common::temporary::Directory;
use crate::common::{answer, free_port, http_agent, program, wait_for};

const MEMORY_BYTES_MAX: u64 = 64 << 20;
const NAMES: &[&str] = &[
    "a\"} 1\nFORGED{x=\"y",
    "a\0b",
    "&#0;",
    "&#10;FORGED 1&#10;",
    "\u{2028}FORGED 1",
    "\u{202e}\u{2066}\u{feff}\u{e0041}",
    "\u{7f}\u{85}\u{9b}2J",
    "\\",
    "\"",
    "a\\\"",
    "{}",
    " ",
    "# EOF\n# EOF\n",
    "# TYPE junos_interface_up counter\n",
    "&#xD800;&#xFFFF;&#x110000;",
];
/// What asks for labels that others set, for labels twice, for names that are none.
const DESCRIPTIONS: &[&str] = &[
    "x [remote_domain=forged] [remote_hostgroup=forged]",
    "[target=good] [re_name=y] [host=good] [le=1] [quantile=0.5]",
    "[Target=good] [TARGET=good]",
    "[__name__=up] [__address__=x] [a-b=1] [a_b=2] [A_B=3]",
    "[x=\"} 9\nFORGED 1\n]",
    "[x=a\\] [y=\\]",
    "[job=j] [instance=i] [exported_job=j] [exported_instance=i]",
    "[x=1][x=2][X=3]",
    "[mtu=9][description=9][name=9][status=9][type=9]",
    "[9=1] [\u{e9}=1] [=1] [a=] [_=1] [__=2]",
    "[a\0b=1\0] [c=\u{2028}FORGED 1]",
    "[collector=x][measurement=y][time=1][fields=2][tags=3][node=4]",
];

fn xml(text: &str) -> String {
    // References are the router's own.
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// `[[router]]` of a peer with these interfaces and sessions.
fn peer(directory: &Directory, name: &str, interfaces: &[(String, String)]) -> String {
    let port = |(name, description): &(String, String)| {
        format!(
            "<physical-interface><name>{}</name><admin-status>up</admin-status>\
             <oper-status>up</oper-status><description>{}</description><mtu>1514</mtu>\
             </physical-interface>",
            xml(name),
            xml(description)
        )
    };
    let session = |(number, (group, description)): (usize, &(String, String))| {
        format!(
            "<bgp-peer><peer-address>198.51.100.{number}</peer-address>\
             <description>{}</description><peer-as>1</peer-as><peer-group>{}</peer-group>\
             <peer-state>Established</peer-state>\
             <flap-count>2</flap-count></bgp-peer>",
            xml(description),
            xml(group)
        )
    };
    let ports: String = interfaces.iter().map(port).collect();
    let sessions: String = interfaces.iter().enumerate().map(session).collect();
    let ports = format!("<interface-information>{ports}</interface-information>");
    let sessions = format!("<bgp-information>{sessions}</bgp-information>");
    let payloads = serde_json::json!({
        "get-interface-information": ports,
        "get-bgp-neighbor-information": sessions,
        "": "",
    });
    let hello = "<hello><capabilities/><session-id>1</session-id></hello>]]>]]>";
    let hello = directory.write("hello", hello);
    let reply = "<rpc-reply message-id=\"ID\">PAYLOAD</rpc-reply>";
    let reply = directory.write("reply", reply);
    let payloads = directory.write(&format!("{name}.json"), payloads.to_string());
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/canned.py");
    format!(
        "[[router]]\nname = \"{name}\"\ntransport = \"local\"\n\
         command = [{:?}, {server:?}, {hello:?}, {reply:?}, {payloads:?}]\n",
        program("python3")
    )
}

/// All names with all descriptions, under the real Prometheus, with an inventory that gives labels
/// of its own.
#[test]
fn no_description_costs_prometheus_a_scrape() {
    if skips(&["python3", "prometheus", "promtool"]) {
        return;
    }
    let directory = Directory::new();
    let inventory = "[{\"ip_address\":\"198.51.100.0/24\",\"domain\":\"real.example\",\
                      \"hostgroup\":\"real\"}]";
    let inventory = directory.write("inventory.json", inventory);
    let count = NAMES.len().max(DESCRIPTIONS.len()) * 2;
    let interfaces: Vec<(String, String)> = (0..count)
        .map(|at| {
            let description = DESCRIPTIONS[(at + at / DESCRIPTIONS.len()) % DESCRIPTIONS.len()];
            (format!("{}{at}", NAMES[at % NAMES.len()]), description.to_string())
        })
        .collect();
    let port = free_port();
    let settings = format!(
        "collectors = [\"bgp\", \"interfaces\"]\n{FAST}{}{}\
         [dependency.sockets]\nmachine = false\nrouters = false\n\
         [dependency.inventory]\nfile = {inventory:?}\nenrich = true\n\
         [output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n\
         [output.file]\npath = \"DIRECTORY/points\"\n",
        peer(&directory, "bad", &interfaces),
        local_router("good", "--interfaces 5"),
    );
    let daemon = Daemon::start(&settings);
    let text = || {
        let scraped = http_agent().get(format!("http://127.0.0.1:{port}/metrics")).call();
        let (_, text) = scraped.and_then(answer).ok()?;
        let has = |series: &str| text.contains(series);
        let is_whole = has("junos_bgp_session_up{target=\"bad\"")
            && has("junos_interface_up{target=\"bad\"")
            && has("junos_interface_up{target=\"good\"");
        is_whole.then_some(text)
    };
    let text = wait_for("both routers and what the inventory says", || {
        text().filter(|text| text.contains("remote_domain=\"real.example\""))
    });

    let prometheus = Prometheus::start_with(&scrape("1s", &[port], ""), &[]);
    prometheus.wait_scraped(3);
    assert_eq!(prometheus.last_error(), "");
    let good = text.matches("\njunos_interface_up{target=\"good\"").count();
    assert!(good >= 5, "{good}");
    assert_eq!(prometheus.count("junos_interface_up{target=\"good\"}"), good);
    assert_eq!(prometheus.count("junos_interface_up{target=\"bad\"}"), count);
    assert_eq!(prometheus.count("junos_bgp_session_up{remote_domain=\"real.example\"}"), count);
    assert_eq!(prometheus.count("{__name__=~\"FORGED.*\"} or {remote_domain=\"forged\"}"), 0);
    // `promtool` fails the test if it cannot read the text.
    promtool(&text);
    let points = std::fs::read_to_string(daemon.directory.join("points")).expect("points");
    for line in points.lines().chain(text.lines()) {
        assert!(!line.starts_with("FORGED") && !line.contains('\0'), "{line:?}");
    }
    let forged = points.lines().filter(|line| line.matches(",host=").count() != 1);
    assert_eq!(forged.filter(|line| line.starts_with("interface,")).count(), 0);
    let peak = peak_bytes(daemon.process.id());
    assert!(peak < MEMORY_BYTES_MAX, "{} MB", peak >> 20);
    assert_eq!(daemon.stop().code, 0);
}
