//! The inventory: bad entries, bad answers, where it may be, and what stays in use meanwhile.

use std::net::{TcpListener, TcpStream};

use crate::common::http_stub::{HttpStub, Reply};
use crate::common::needs::skips;
use crate::common::perijove::{Daemon, run_with};
use crate::common::temporary::Directory;
use crate::common::victoria_metrics::VictoriaMetrics;
use crate::common::{free_port, lines, wait_for};
use crate::series::Series;
use crate::{DARKSTAT, common, named, of_source, once, once_finished, scrape, served};

/// A daemon that asks for the inventory again and again, its port, and the darkstat that it asks.
fn with_inventory(inventory: &HttpStub, format: &str) -> (Daemon, u16, HttpStub) {
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let port = free_port();
    let daemon = Daemon::start(&served(
        port,
        &format!(
            "[dependency.sockets]\nmachine = false\n\
             [dependency.inventory]\nurl = \"{}\"\nformat = \"{format}\"\n\
             interval = \"300ms\"\n\
             [dependency.darkstat]\nurl = \"{}\"\ninterval = \"100ms\"\n",
            inventory.url(),
            darkstat.url()
        ),
    ));
    (daemon, port, darkstat)
}

/// What is served once a refresh has failed, and the traffic with 10.0.0.9. A busy machine asks
/// darkstat too rarely for that row to be there each time.
fn after_a_failed_refresh(port: u16) -> (Vec<Series>, Series) {
    wait_for("a failed refresh", || {
        let all = scrape(port);
        let traffic = named(&all, "planet_traffic_bytes_total");
        let row = traffic.into_iter().find(|s| s.label("remote_ip") == "10.0.0.9").cloned()?;
        (of_source(&all, "inventory", "success") == Some(0.0)).then_some((all, row))
    })
}

/// Defects 1, 2, 7 and 18: bad entries, bad answers, and what stays in use meanwhile.
#[test]
fn the_inventory_outlives_bad_entries_and_bad_answers() {
    const GOOD: &str = r#"{"ip_address":"10.0.0.9","domain":"a.example","hostgroup":"a"}
{bad json
{"ip_address":"10.0.0.8","hostgroup":"b"}
"#;
    let etag: &[(&str, &str)] = &[("ETag", "\"one\"")];
    let inventory = HttpStub::start(move |number, request| match number {
        0 => Reply::Answer(200, etag, GOOD.into()),
        1 if request.headers.get("if-none-match").is_some_and(|tag| tag == "\"one\"") => {
            Reply::status(304)
        }
        2 => Reply::message(500, "{\"ip_address\":\"10.0.0.9\",\"domain\":\"wrong.example\"}"),
        3 => Reply::message(200, "<html>busy</html>"),
        4 => Reply::CutInBody,
        5 => Reply::message(200, ""),
        _ => Reply::Garbage,
    });
    let (daemon, port, _darkstat) = with_inventory(&inventory, "ndjson");
    inventory.wait_requests("bad answers", |requests| (requests.len() > 7).then_some(()));
    let (all, row) = after_a_failed_refresh(port);
    assert_eq!(of_source(&all, "inventory", "rejected_items"), Some(1.0));
    assert!(of_source(&all, "inventory", "failed_runs_total") >= Some(1.0));
    assert!(of_source(&all, "inventory", "last_success_age_seconds") > Some(0.0));
    assert_eq!((row.label("remote_domain"), row.label("remote_hostgroup")), ("a.example", "a"));
    let stderr = daemon.stop().stderr;
    let empty = "it has no entry, and the one in use has 2";
    for words in
        ["left out 1 items that do not fit, first: line 2", "status 500", "expected value", empty]
    {
        assert!(stderr.contains(words), "{words}: {stderr}");
    }
}

/// A malformed line in the middle of 100,000 costs that line; in an array it costs the document,
/// and an entry that does not fit costs itself.
#[test]
fn one_bad_line_in_a_hundred_thousand() {
    let directory = Directory::new();
    let entry = |n: u32| {
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n);
        format!("{{\"ip_address\":\"{address}\",\"domain\":\"d{n}\",\"hostgroup\":\"g\"}}")
    };
    let malformed = "{\"ip_address\":\"10.0.195.80\",\"domain\":\"x";
    let unfit = "{\"ip_address\":\"10.0.195.80\",\"domain\":7}";
    let found = "ok          source dependency_inventory: 99999 found, 1 left out";
    let lines = ("ndjson", "\n", ["", ""]);
    let array = ("arrayjson", ",\n", ["[", "]"]);
    let refused = "FAILED      source dependency_inventory";
    for ((format, separator, around), bad, code, stdout, place) in [
        (lines, malformed, 0, found, "line 50001"),
        (lines, unfit, 0, found, "line 50001"),
        (array, unfit, 0, found, "line 50001"),
        // The text that has no end goes over the end of its line.
        (array, malformed, 1, refused, "line 50002"),
    ] {
        let mut entries: Vec<String> = (0..100_000).map(entry).collect();
        entries[50_000] = bad.into();
        let text = format!("{}{}{}", around[0], entries.join(separator), around[1]);
        let file = directory.write("inventory", text);
        let settings = format!(
            "[dependency.sockets]\nmachine = false\n\
             [dependency.inventory]\nfile = {file:?}\nformat = \"{format}\"\n"
        );
        let finished = run_with(&settings, &["check"]);
        assert_eq!(finished.code, code, "{format}: {finished:?}");
        assert!(finished.stdout.contains(stdout), "{format}: {finished:?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(said.contains(place), "{finished:?}");
    }
}

/// A malformed array keeps the last good one in use.
#[test]
fn a_malformed_array_keeps_the_last_good_one() {
    let inventory = HttpStub::start(|number, _| match number {
        0 => Reply::message(200, r#"[{"ip_address":"10.0.0.9","domain":"a.example"}]"#),
        _ => Reply::message(200, r#"[{"ip_address":"10.0.0.9","domain":"b.example"},{bad]"#),
    });
    let (daemon, port, _darkstat) = with_inventory(&inventory, "arrayjson");
    let (_, row) = after_a_failed_refresh(port);
    assert_eq!(row.label("remote_domain"), "a.example");
    let stderr = daemon.stop().stderr;
    assert!(stderr.contains("it is not a JSON array of entries: key must be"), "{stderr}");
}

/// Redirects are followed, and credentials stay with the server that they are for.
#[test]
fn the_inventory_may_be_elsewhere() {
    const TEXT: &str = r#"[{"ip_address":"10.0.0.9","domain":"a.example","hostgroup":"a"}]"#;
    let other = HttpStub::start(|_, _| Reply::message(200, TEXT));
    let header = |to: String| -> &'static [(&'static str, &'static str)] {
        vec![("Location", &*to.leak())].leak()
    };
    let (there, round) = (header(format!("{}/there", other.url())), header("/round".into()));
    let same = header("/same".into());
    let first = HttpStub::start(move |_, request| match request.target.as_str() {
        "/inventory" => Reply::Answer(302, same, String::new()),
        "/same" => Reply::Answer(307, there, String::new()),
        _ => Reply::Answer(301, round, String::new()),
    });
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let directory = Directory::new();
    let password = directory.write_secret("password", "s3cret\n");
    let settings = |path: &str| {
        format!(
            "[dependency.sockets]\nmachine = false\n\
             [dependency.inventory]\nurl = \"{}{path}\"\nusername = \"me\"\n\
             password_file = {password:?}\n[dependency.darkstat]\nurl = \"{}\"\n",
            first.url(),
            darkstat.url()
        )
    };
    let all = once(&settings("/inventory"));
    let traffic = named(&all, "planet_traffic_bytes_total");
    let row = traffic.iter().find(|series| series.label("remote_ip") == "10.0.0.9").unwrap();
    assert_eq!(row.label("remote_domain"), "a.example");
    let has_login =
        |request: &common::http_stub::Request| request.headers.contains_key("authorization");
    let paths: Vec<_> =
        first.requests().iter().map(|it| (it.target.clone(), has_login(it))).collect();
    assert_eq!(paths, [("/inventory".into(), true), ("/same".into(), true)]);
    let paths: Vec<_> =
        other.requests().iter().map(|it| (it.target.clone(), has_login(it))).collect();
    assert_eq!(paths, [("/there".into(), false)]);
    let finished = once_finished(&settings("/round"));
    assert!(finished.stderr.contains("more than 3 redirects"), "{finished:?}");
}

/// Fields that planet-exporter refuses are ignored, and said once; those that are named become
/// labels of both ends, in every output.
#[test]
fn other_fields_are_labels_where_the_settings_name_them() {
    const TEXT: &str = r#"[
        {"ip_address":"10.0.0.9","domain":"a.example","hostgroup":"a","Site":"fra1","rack":7},
        {"ip_address":"198.51.100.2","domain":"me.example","hostgroup":"me","Site":"ams2"},
        {"ip_address":"127.0.0.0/8","domain":"lo.example","hostgroup":"lo","Site":"here","rack":[]}
    ]"#;
    let server = TcpListener::bind(("127.0.0.3", free_port())).unwrap();
    let _client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let service = server.local_addr().unwrap().port();
    let inventory = HttpStub::start(|_, _| Reply::message(200, TEXT));
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let dependency = |labels: &str| {
        format!(
            "address = \"198.51.100.2\"\n[dependency.sockets]\nloopback = true\ninterval = \"1s\"\n\
             [dependency.inventory]\nurl = \"{}\"\ninterval = \"200ms\"\n{labels}\
             [dependency.darkstat]\nurl = \"{}\"\n",
            inventory.url(),
            darkstat.url()
        )
    };
    let labels = "labels = { site = \"Site\", rack = \"rack\" }\n";
    let settings = format!("[dependency]\n{}", dependency(labels));
    let all = once(&settings);
    let has = |name: &str, is_it: &dyn Fn(&Series) -> bool, expected: &str| {
        let row = named(&all, name).into_iter().find(|series| is_it(series));
        let row = row.unwrap_or_else(|| panic!("{name}: {all:?}"));
        let mut found: Vec<String> = row
            .labels
            .iter()
            .filter(|(name, _)| name.ends_with("_site") || name.ends_with("_rack"))
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        found.sort();
        assert_eq!(found.join(" "), expected, "{row:?}");
    };
    let is_peer = |series: &Series| series.label("remote_ip") == "10.0.0.9";
    let both = "local_site=ams2 remote_rack=7 remote_site=fra1";
    has("planet_traffic_bytes_total", &is_peer, both);
    has("planet_hostname", &|_| true, "local_site=ams2");
    let is_ours = |series: &Series| series.label("port") == service.to_string();
    has("planet_server_process", &is_ours, "local_site=ams2");
    let both = "local_site=ams2 remote_site=here";
    has("planet_upstream", &is_ours, both);
    // The inventory has nothing to say of 127.0.0.1.
    has("planet_downstream", &is_ours, "local_site=ams2");
    let is_upstream = |series: &Series| is_ours(series) && series.label("direction") == "upstream";
    for figure in ["connections", "first_seen_timestamp_seconds"] {
        has(&format!("perijove_dependency_{figure}"), &is_upstream, both);
    }
    // The other formats and outputs have the same.
    let printed = lines::read(&run_with(&settings, &["once"]).stdout);
    let row = printed.iter().find(|line| line.tag("remote_ip") == "10.0.0.9").unwrap();
    let tags = ["local_site", "remote_site", "remote_rack"].map(|tag| row.tag(tag));
    assert_eq!(tags, ["ams2", "fra1", "7"]);
    let json = run_with(&settings, &["once", "--format", "json"]).stdout;
    let row = json.lines().find(|line| line.contains("\"10.0.0.9\"")).unwrap();
    let row: serde_json::Value = serde_json::from_str(row).unwrap();
    assert_eq!(
        (&row["tags"]["remote_site"], &row["tags"]["remote_rack"]),
        (&"fra1".into(), &"7".into())
    );
    // A value that is no label's is left out, and its entry is used.
    let checked = run_with(&settings, &["check"]);
    let line = checked.stdout.lines().find(|line| line.contains("dependency_inventory")).unwrap();
    assert!(line.contains("3 found, 1 left out"), "{line}");
    // Without the setting there are none; the log says once what is not used, `check` each time.
    let port = free_port();
    let daemon = Daemon::start(&served(port, &dependency("")));
    let all = wait_for("the map, and refreshes", || {
        let all = scrape(port);
        let is_there = named(&all, "planet_traffic_bytes_total").into_iter().any(is_peer);
        let runs = of_source(&all, "inventory", "runs_total") >= Some(4.0);
        (is_there && runs).then_some(all)
    });
    assert!(all.iter().all(|series| !series.labels.keys().any(|name| name.ends_with("_site"))));
    assert_eq!(of_source(&all, "inventory", "rejected_items"), Some(0.0));
    let stderr = daemon.stop().stderr;
    let words = "its entries have fields that are not used: `Site`, `rack`;";
    assert_eq!(stderr.matches(words).count(), 1, "{stderr}");
    let checked = run_with(&format!("[dependency]\n{}", dependency("")), &["check"]);
    assert!(checked.stdout.contains(words), "{checked:?}");
}

/// Settings for a machine whose darkstat has a peer in `fra1`.
fn with_a_site(directory: &Directory, darkstat: &HttpStub, output: &str) -> String {
    let inventory = directory.write(
        "inventory.json",
        r#"[{"ip_address":"10.0.0.9","domain":"a.example","hostgroup":"a","Site":"fra1"}]"#,
    );
    format!(
        "{output}[dependency.sockets]\nmachine = false\n\
         [dependency.inventory]\nfile = {inventory:?}\nlabels = {{ site = \"Site\" }}\n\
         [dependency.darkstat]\nurl = \"{}\"\ninterval = \"300ms\"\n",
        darkstat.url()
    )
}

#[test]
fn labels_of_the_inventory_are_in_remote_write() {
    if skips(&["victoria-metrics"]) {
        return;
    }
    let server = VictoriaMetrics::start();
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let output = format!(
        "[output.remote_write]\nurl = \"{}/api/v1/write\"\nflush_interval = \"100ms\"\n",
        server.url()
    );
    let directory = Directory::new();
    let daemon = Daemon::start(&with_a_site(&directory, &darkstat, &output));
    let series = wait_for("series of the peer", || {
        let all = server.series("planet_traffic_bytes_total");
        all.into_iter().find(|s| s.labels.get("remote_ip").is_some_and(|ip| ip == "10.0.0.9"))
    });
    assert_eq!(series.labels.get("remote_site").map(String::as_str), Some("fra1"));
    assert_eq!(daemon.stop().code, 0);
}

#[cfg(feature = "kafka")]
#[test]
fn labels_of_the_inventory_are_in_kafka() {
    use crate::common::broker::{self, Noida, Reader};
    if skips(&[crate::common::needs::PYTHON]) {
        return;
    }
    let noida = Noida::start();
    let mut reader = Reader::new(&noida.brokers(), &[]);
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let directory = Directory::new();
    let settings = with_a_site(&directory, &darkstat, &broker::output(&noida.brokers()));
    let daemon = Daemon::start(&settings);
    let record = wait_for("a record of the peer", || {
        let of_peer = |value: &&String| value.contains("\"10.0.0.9\"");
        let values: Vec<String> = reader.read().iter().map(|record| record.value.clone()).collect();
        values.iter().find(of_peer).cloned()
    });
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["tags"]["remote_site"], "fra1");
    assert_eq!(daemon.stop().code, 0);
}
