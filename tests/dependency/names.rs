//! Names and labels as planet-exporter's, in every format, of machines and of routers.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};

use crate::common::http_stub::{HttpStub, Reply};
use crate::common::needs::skips;
use crate::common::perijove::{Daemon, local_router, perijove, run_with};
use crate::common::process::{Process, run};
use crate::common::prometheus::promtool;
use crate::common::temporary::Directory;
use crate::common::{free_port, lines, wait_for};
use crate::series::{self, Series};
use crate::{DARKSTAT, get, named, once, once_finished, scrape, served};

/// Names and labels are planet-exporter's, in the text that promtool likes. Defect 19: bytes are
/// counters, unless somebody wants gauges.
#[test]
fn names_and_labels_are_those_of_planet_exporter() {
    if skips(&["prometheus", "promtool"]) {
        return;
    }
    let server = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let _client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let sample = include_str!("../samples/ebpf.prom");
    let ebpf = HttpStub::start(move |_, _| Reply::message(200, sample));
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let directory = Directory::new();
    let inventory = directory.write(
        "inventory.json",
        r#"[{"ip_address":"0.0.0.0/0","domain":"all.example","hostgroup":"all"},
            {"ip_address":"::/0","domain":"six.example","hostgroup":"six"}]"#,
    );
    let settings = |bytes_as: &str| {
        format!(
            "[dependency]\naddress = \"198.51.100.2\"\n{bytes_as}\
             [dependency.sockets]\nloopback = true\n\
             [dependency.inventory]\nfile = {inventory:?}\n\
             [dependency.darkstat]\nurl = \"{}\"\n[dependency.ebpf]\nurl = \"{}\"\n",
            darkstat.url(),
            ebpf.url()
        )
    };
    let finished = once_finished(&settings(""));
    assert_eq!(finished.code, 0, "{finished:?}");
    promtool(&finished.stdout);
    let all = series::read(&finished.stdout);
    let peers = "local_address local_hostgroup port process_name protocol remote_address \
                 remote_hostgroup";
    let bytes = "direction local_domain local_hostgroup remote_domain remote_hostgroup remote_ip";
    for (name, labels, kind) in [
        ("planet_upstream", peers, "gauge"),
        ("planet_downstream", peers, "gauge"),
        ("planet_server_process", "bind local_hostgroup port process_name", "gauge"),
        ("planet_hostname", "domain hostname ip local_hostgroup", "gauge"),
        ("planet_traffic_bytes_total", bytes, "counter"),
        ("planet_ebpf_traffic_bytes_total", bytes, "counter"),
    ] {
        let found = named(&all, name);
        // Where nobody may see a process it has no name, and an empty label is none.
        let whole = found.iter().find(|series| {
            series.labels.keys().map(String::as_str).collect::<Vec<_>>().join(" ") == labels
        });
        assert!(whole.is_some(), "{name}: {found:?}");
        assert!(found.iter().all(|series| series.kind == kind), "{name}");
    }
    assert!(all.iter().all(|series| series.label("target").is_empty()));
    let all = once(&settings("bytes_as = \"gauge\"\n"));
    let found = named(&all, "planet_traffic_bytes_total");
    assert!(!found.is_empty() && found.iter().all(|series| series.kind == "gauge"));
    // The same through the other formats.
    for format in ["line", "json"] {
        let finished = run_with(&settings(""), &["once", "--format", format]);
        for name in ["planet_upstream", "planet_server_process", "planet_ebpf_traffic"] {
            assert!(finished.stdout.contains(name), "{format}: {name}");
        }
    }
    let text = run_with(&settings(""), &["once"]).stdout;
    let all = lines::read(&text);
    let row = all.iter().find(|line| line.measurement == "planet_traffic").unwrap();
    assert!(!row.tag("host").is_empty() && row.tag("local_hostgroup") == "all");
    assert!(row.fields.contains_key("bytes_total"), "{row:?}");
}

/// Defects 12 and 13: one server a port, and nothing open but what is named.
#[test]
fn it_stands_in_for_planet_exporter() {
    let port = free_port();
    let listen = format!("127.0.0.1:{port}");
    let arguments = ["run", "--dependency", "--listen", &*listen];
    let daemon = Process::start(&mut perijove(&arguments));
    let all = wait_for("the map", || {
        let all = scrape(port);
        let has = |name| !named(&all, name).is_empty();
        (has("planet_server_process") && has("planet_hostname")).then_some(all)
    });
    // No router is asked where none is named.
    assert!(named(&all, "perijove_session_up").is_empty());
    assert!(named(&all, "up").is_empty());
    for path in ["/debug/pprof/", "/debug/pprof/heap", "/anything"] {
        assert_eq!(get(port, path).0, 404, "{path}");
    }
    let second = run(&mut perijove(&arguments));
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("cannot listen on"), "{second:?}");
    daemon.signal("TERM");
    assert_eq!(daemon.finish().code, 0);
}

/// Defect 17: a machine that the inventory does not know has one hostgroup, not two.
#[test]
fn an_unknown_machine_is_the_same_in_every_metric() {
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let _server = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let all = once(&format!("[dependency.darkstat]\nurl = \"{}\"\n", darkstat.url()));
    let planet = all.iter().filter(|series| series.name.starts_with("planet_"));
    let groups: BTreeSet<&str> = planet.map(|series| series.label("local_hostgroup")).collect();
    assert_eq!(groups, [""].into());
}

#[test]
fn settings_are_read_again() {
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let port = free_port();
    let sockets = "[dependency.sockets]\ninterval = \"200ms\"\n";
    let mut daemon = Daemon::start(&served(port, sockets));
    wait_for("sockets", || {
        (!named(&scrape(port), "planet_server_process").is_empty()).then_some(())
    });
    let more = format!("{sockets}[dependency.darkstat]\nurl = \"{}\"\n", darkstat.url());
    daemon.reload(&served(port, &more));
    daemon.process.wait_stderr("the settings were read again");
    wait_for("darkstat", || {
        (!named(&scrape(port), "planet_traffic_bytes_total").is_empty()).then_some(())
    });
    daemon.reload(&served(port, "[dependency.darkstat]\nurl = \"no url\"\n"));
    daemon.process.wait_stderr("`no url` does not begin with http:// or https://");
    assert!(!named(&scrape(port), "planet_traffic_bytes_total").is_empty());
    assert_eq!(daemon.stop().code, 0);
}

/// A router's connections over NETCONF, and what the inventory knows of its peers.
#[test]
fn a_router_has_a_map_too() {
    let directory = Directory::new();
    let inventory = directory.write(
        "inventory.json",
        r#"[{"ip_address":"192.0.2.0/24","domain":"peer.example","hostgroup":"peers"},
            {"ip_address":"10.0.0.0/8","domain":"core.example","hostgroup":"core","site":"fra"}]"#,
    );
    let settings = |enrich: bool| {
        format!(
            "collectors = [\"bfd\"]\n{}[dependency.inventory]\nfile = {inventory:?}\n\
             enrich = {enrich}\nlabels = {{ site = \"site\" }}\n",
            local_router("r1", "")
        )
    };
    let all = once(&settings(true));
    let found = named(&all, "planet_upstream");
    let bgp = found.iter().find(|s| s.label("port") == "179").unwrap();
    assert_eq!(bgp.label("process_name"), "rpd");
    assert_eq!(bgp.label("remote_address"), "peer.example");
    assert_eq!(bgp.label("target"), "r1");
    let internal = |series: &Series| series.labels.values().any(|v| v.starts_with("128.0."));
    assert!(!all.iter().any(internal));
    // Its own machine is not asked where routers are.
    assert!(named(&all, "planet_server_process").iter().all(|s| s.label("target") == "r1"));
    let peers = |all: &[Series]| {
        let bfd = named(all, "junos_bfd_state").into_iter().cloned().collect::<Vec<_>>();
        assert!(!bfd.is_empty());
        bfd.iter().filter(|series| !series.label("remote_hostgroup").is_empty()).count()
    };
    assert!(peers(&all) > 0, "{:?}", named(&all, "junos_bfd_state"));
    let has_site = |series: &&Series| series.label("remote_site") == "fra";
    let of_core = named(&all, "junos_bfd_state").into_iter();
    let of_core: Vec<_> = of_core.filter(|s| s.label("remote_hostgroup") == "core").collect();
    assert!(!of_core.is_empty() && of_core.iter().all(has_site), "{of_core:?}");
    assert_eq!(peers(&once(&settings(false))), 0);
}
