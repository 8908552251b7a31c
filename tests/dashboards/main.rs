//! The dashboards in packaging/: they name what perijove has, and real servers answer each of
//! their queries with something.

#[path = "../common/mod.rs"]
mod common;
mod console;
mod flavours;
mod names;
mod queries;
#[path = "../series/mod.rs"]
mod series;
mod zoom;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use common::http_stub::{HttpStub, Reply};
use common::influxd::Influxd;
use common::needs::{PYTHON, skips};
use common::perijove::{Daemon, every, local_router};
use common::process::{Process, run};
use common::prometheus::{self, Prometheus};
use common::temporary::Directory;
use common::{free_port, now_ns, program, target_directory};
use flavours::{differences, rows};
use names::{Known, is_metric, words};
use queries::{FLAVOURS, Query, files, packaging, queries, read, with_routers, with_values};

#[test]
fn the_files_are_what_their_generator_writes() {
    let directory = Directory::new();
    let made = match std::env::var_os("UPDATE") {
        Some(_) => packaging("grafana"),
        None => directory.path().to_path_buf(),
    };
    let finished = run(Command::new(packaging("grafana/build")).arg(&made));
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    for flavour in FLAVOURS {
        let (made, kept) = (files(&made.join(flavour)), files(&packaging("grafana").join(flavour)));
        assert_eq!(made.keys().collect::<Vec<_>>(), kept.keys().collect::<Vec<_>>());
        for (name, text) in made {
            assert!(text == kept[&name], "{flavour}/{name}: run packaging/grafana/build");
        }
    }
}

#[test]
fn every_name_is_one_that_perijove_has() {
    let known = Known::new();
    let mut missing = Vec::new();
    for query in queries("prometheus") {
        let names = known.missing_in_promql(&query);
        missing.extend(names.iter().map(|name| format!("{}: {name}", query.place)));
    }
    for query in queries("influxdb") {
        let names = known.missing_in_influxql(&query);
        missing.extend(names.iter().map(|name| format!("{}: {name}", query.place)));
    }
    for file in ["prometheus/alerts.yml", "prometheus/consoles/perijove.html"] {
        let text = read(&packaging(file));
        let names: Vec<&str> = words(&text).filter(|word| is_metric(word)).collect();
        assert!(names.len() > 10, "{file}: {names:?}");
        let unknown = names.iter().filter(|name| !known.metrics.contains_key(**name));
        missing.extend(unknown.map(|name| format!("{file}: {name}")));
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn grafanas_own_model_reads_every_dashboard() {
    if skips(&[PYTHON]) {
        return;
    }
    let python = target_directory().join("test-venv/bin/python");
    assert!(python.is_file(), "{} is missing: run tests/install", python.display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/grafana_model.py");
    let folders = FLAVOURS.map(|flavour| packaging("grafana").join(flavour));
    let paths = folders.iter().flat_map(|folder| files(folder).into_keys().map(|f| folder.join(f)));
    let finished = run(Command::new(python).arg(script).args(paths));
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert_eq!(finished.stdout.lines().count(), 10, "{}", finished.stdout);
}

/// Asks everything again until each has had an answer with something in it: with all routers
/// chosen, and with 200 by their names.
fn answer_all(queries: &[Query], ask: impl Fn(&str) -> usize) {
    let sites = (4..=200).map(|number| format!("site{number}.example"));
    let chosen: Vec<String> =
        ["core1", "core2", "edge1"].map(String::from).into_iter().chain(sites).collect();
    for routers in [&[], &*chosen] {
        let mut empty: Vec<&Query> = queries.iter().collect();
        let deadline = Instant::now() + 2 * common::DEADLINE;
        while !empty.is_empty() && Instant::now() < deadline {
            empty.retain(|query| ask(&with_routers(&query.text, routers)) == 0);
            std::thread::sleep(Duration::from_millis(300));
        }
        let empty: Vec<String> = empty.iter().map(|q| format!("{}: {}", q.place, q.text)).collect();
        let number = queries.len();
        assert!(
            empty.is_empty(),
            "{} of {number} gave nothing:\n{}",
            empty.len(),
            empty.join("\n")
        );
    }
}

/// Three routers that have between them whatever a dashboard shows: a BGP session that is down, one
/// that is shut down on purpose, ports that are down, a collector that fails. All have these
/// options besides their own.
fn settings(options: &str, output: &str) -> String {
    let routers = [
        ("core1", "--interfaces 12 --optics 8 --bgp-peers 32"),
        ("core2", "--interfaces 12 --optics 8 --seed 4 --fault rpc-error:get-route-summary"),
        ("edge1", "--interfaces 4 --seed 3"),
    ];
    let routers: String =
        routers.map(|(name, own)| local_router(name, &format!("{own} {options}"))).concat();
    let syslog = format!("[events.syslog]\nlisten = [\"udp://127.0.0.1:{}\"]\n", free_port());
    // Several times a second, such polls take all of a processor.
    format!("{}{routers}{syslog}{output}", every("1s"))
}

/// The output that Prometheus scrapes. Readings stay for a while: a busy machine polls less often
/// than is asked for.
fn listens(port: u16) -> String {
    format!("[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\nexpire_intervals = 1000\n")
}

/// A busy machine needs more than a second or two for it.
fn scrape(port: u16) -> String {
    prometheus::scrape("4s", &[port], "")
}

#[test]
fn a_real_influxdb_answers_every_query() {
    if skips(&["influxd"]) {
        return;
    }
    let influxd = Influxd::start();
    let now = now_ns();
    let direction = |name| {
        format!(
            "{name},service=web,address=w1,remote_service=db,remote_address=d1 bandwidth_bps=8e6 \
             {now}\n"
        )
    };
    let rest = format!("process_name=app,protocol=tcp service_dependency=1i {now}\n");
    influxd.write(&format!(
        "{}{}upstream,service=web,address=w1,upstream_service=db,upstream_address=d1,\
         upstream_port=5432,{rest}\
         downstream,service=db,address=d1,downstream_service=web,downstream_address=w1,port=5432,\
         {rest}",
        direction("ingress"),
        direction("egress")
    ));
    let daemon = Daemon::start(&settings("", &influxd.output()));
    answer_all(&queries("influxdb"), |query| influxd.query(query).iter().flat_map(rows).count());
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn both_flavours_show_the_same() {
    if skips(&["influxd", "prometheus"]) {
        return;
    }
    let (port, influxd) = (free_port(), Influxd::start());
    let output = listens(port) + &influxd.output();
    // Nothing moves, so that what is read later is no other.
    let daemon = Daemon::start(&settings("--clock 5000 --step 0", &output));
    let prometheus = Prometheus::start_with(&scrape(port), &[]);
    let deadline = Instant::now() + 2 * common::DEADLINE;
    loop {
        let different = differences(&prometheus, &influxd);
        if different.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{}", different.join("\n"));
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(daemon.stop().code, 0);
}

/// A number is of those that report: 0 where all of them are well, none at all where nobody does.
#[test]
fn numbers_are_of_routers_that_report() {
    if skips(&["influxd", "prometheus"]) {
        return;
    }
    let (port, influxd) = (free_port(), Influxd::start());
    let routers = [
        local_router("works", "--alarms 0"),
        // One BGP session is down, another is shut down on purpose.
        local_router("peers", "--bgp-peers 32"),
        "[[router]]\nname = \"silent\"\ntransport = \"local\"\ncommand = [\"/bin/false\"]\n".into(),
    ];
    let settings =
        format!("{}{}{}{}", every("1s"), routers.concat(), listens(port), influxd.output());
    let daemon = Daemon::start(&settings);
    let prometheus = Prometheus::start_with(&scrape(port), &[]);
    let number = |flavour: &str, query: &str, router: &str| -> Option<f64> {
        let query = with_routers(query, &[router.into()]);
        match flavour {
            "prometheus" => prometheus.query(&query).first().map(|(_, value)| *value),
            _ => rows(influxd.query(&query).first()?).last().and_then(|row| row[1].as_f64()),
        }
    };
    for flavour in FLAVOURS {
        let stats = stats(flavour);
        let query = |title: &str| {
            let stat = stats.iter().find(|(place, _)| place.ends_with(title));
            &*stat.unwrap_or_else(|| panic!("no {title}")).1
        };
        for (title, router, expected) in [
            ("overview.json, Routers that do not answer", "works", 0.0),
            ("overview.json, Routers that do not answer", "silent", 1.0),
            ("overview.json, Major alarms", "works", 0.0),
            ("overview.json, Major alarms", "peers", 2.0),
            ("overview.json, BGP sessions down", "works", 0.0),
            ("overview.json, BGP sessions down", "peers", 1.0),
            ("overview.json, Collectors that fail", "works", 0.0),
            ("bgp.json, Down", "works", 0.0),
            ("bgp.json, Down", "peers", 1.0),
            ("bgp.json, Established", "peers", 30.0),
        ] {
            let what = format!("{flavour}: {title} of {router}");
            common::wait_for(&what, || {
                (number(flavour, query(title), router) == Some(expected)).then_some(())
            });
        }
        for (place, query) in stats.iter().filter(|(_, query)| !query.contains("perijove_")) {
            assert_eq!(number(flavour, query, "silent"), None, "{flavour}/{place}");
        }
    }
    assert_eq!(daemon.stop().code, 0);
}

/// The panels with one number, by file and title, and their queries. None of them shows a number or
/// is green where there is no data.
fn stats(flavour: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (file, text) in files(&packaging("grafana").join(flavour)) {
        let dashboard: Json = serde_json::from_str(&text).expect("JSON");
        let panels = dashboard["panels"].as_array().expect("panels");
        for panel in panels.iter().filter(|panel| panel["type"] == "stat") {
            let place = format!("{file}, {}", panel["title"].as_str().expect("a title"));
            let defaults = &panel["fieldConfig"]["defaults"];
            assert_eq!(defaults["noValue"], "no data", "{place}");
            let base = &defaults["thresholds"]["steps"][0];
            assert_eq!(
                (&base["color"], &base["value"]),
                (&"#6a7283".into(), &Json::Null),
                "{place}"
            );
            let target = &panel["targets"][0];
            let query = target["expr"].as_str().or(target["query"].as_str()).expect("a query");
            found.push((place, query.to_string()));
        }
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

const PLANET_SAMPLES: &str = "\
planet_upstream{local_hostgroup=\"web\",local_address=\"w1\",remote_hostgroup=\"db\",\
remote_address=\"d1\",port=\"5432\",protocol=\"tcp\",process_name=\"app\"} 1
planet_downstream{local_hostgroup=\"db\",local_address=\"d1\",remote_hostgroup=\"web\",\
remote_address=\"w1\",port=\"5432\",protocol=\"tcp\",process_name=\"postgres\"} 1
perijove_dependency_rtt_seconds{direction=\"upstream\",local_hostgroup=\"web\",\
local_address=\"w1\",remote_hostgroup=\"db\",remote_address=\"d1\",port=\"5432\",\
protocol=\"tcp\",process_name=\"app\"} 0.001
perijove_dependency_connections{direction=\"upstream\",local_hostgroup=\"web\",\
local_address=\"w1\",remote_hostgroup=\"db\",remote_address=\"d1\",port=\"5432\",\
protocol=\"tcp\",process_name=\"app\",state=\"established\"} 3
planet_server_process{local_hostgroup=\"db\",bind=\"0.0.0.0:5432\",port=\"5432\",\
process_name=\"postgres\"} 1
planet_traffic_bytes_total{direction=\"ingress\",local_hostgroup=\"web\",local_domain=\"w1\",\
remote_hostgroup=\"db\",remote_domain=\"d1\",remote_ip=\"192.0.2.1\"} 1000
planet_traffic_bytes_total{direction=\"egress\",local_hostgroup=\"web\",local_domain=\"w1\",\
remote_hostgroup=\"db\",remote_domain=\"d1\",remote_ip=\"192.0.2.1\"} 2000
";

/// A Prometheus with the settings, the alerts and the console template of packaging/prometheus.
fn packaged_prometheus(port: u16, planet: u16) -> Prometheus {
    let alerts = packaging("prometheus/alerts.yml").display().to_string();
    let settings = read(&packaging("prometheus/prometheus.yml"))
        .replace("- alerts.yml", &format!("- {alerts}"))
        .replace("127.0.0.1:9326", &format!("127.0.0.1:{port}"))
        .replace("30s", "4s");
    let dependencies = format!(
        "  - job_name: planet\n    scrape_interval: 1s\n\
         \x20   static_configs:\n      - targets: ['127.0.0.1:{planet}']\n"
    );
    let templates = packaging("prometheus/consoles");
    let flag = format!("--web.console.templates={}", templates.display());
    Prometheus::start_with(&(settings + &dependencies), &[flag])
}

#[test]
fn a_real_prometheus_answers_every_query() {
    if skips(&["prometheus"]) {
        return;
    }
    let port = free_port();
    let daemon = Daemon::start(&settings("", &listens(port)));
    let stub = HttpStub::start(|_, _| {
        Reply::Answer(200, &[("Content-Type", "text/plain")], PLANET_SAMPLES.into())
    });
    let prometheus = packaged_prometheus(port, stub.port);
    answer_all(&queries("prometheus"), |query| prometheus.count(query));

    // Alerts wait for some minutes before they fire, but are there at once.
    for alert in ["RouterMajorAlarm", "InterfaceDown", "BgpSessionDown", "PerijoveCollectorFails"] {
        let expression = format!("ALERTS{{alertname={alert:?}}}");
        common::wait_for(alert, || (prometheus.count(&expression) > 0).then_some(()));
    }
    assert_eq!(prometheus.count("ALERTS{alertname=\"RouterDown\"}"), 0);
    assert_eq!(daemon.stop().code, 0);
}

/// The alerts of a server that is written to are those of one that scrapes, also where routers are
/// silent, and so are the series that dashboards find.
#[test]
fn samples_that_are_written_give_what_samples_that_are_scraped_give() {
    if skips(&["prometheus"]) {
        return;
    }
    let alerts = packaging("prometheus/alerts.yml").display().to_string();
    let receive = ["--web.enable-remote-write-receiver".to_string()];
    let rules = format!("global: {{ evaluation_interval: 1s }}\nrule_files: [{alerts:?}]\n");
    let written = Prometheus::start_with(&format!("{rules}scrape_configs: []\n"), &receive);
    let port = free_port();
    let scraped = Prometheus::start_with(&format!("{rules}{}", scrape(port)), &[]);
    let output = format!(
        "{}[output.remote_write]\nurl = \"{}/api/v1/write\"\nflush_interval = \"100ms\"\n",
        listens(port),
        written.url()
    );
    let silent =
        "[[router]]\nname = \"silent\"\ntransport = \"local\"\ncommand = [\"/bin/false\"]\n";
    let daemon = Daemon::start(&settings("--clock 5000 --step 0", &format!("{silent}{output}")));

    let labels = |server: &Prometheus, query: &str| -> BTreeSet<_> {
        server.query(query).into_iter().map(|(labels, _)| labels).collect()
    };
    let named = [
        "ALERTS",
        "junos_up",
        "junos_up == 0",
        "junos_collect_duration_seconds",
        "junos_collector_duration_seconds",
        "junos_bgp_session_up",
    ];
    let of_routers =
        queries("prometheus").into_iter().filter(|q| !q.place.contains("dependencies.json"));
    let mut different: Vec<String> = of_routers.map(|query| with_values(&query.text)).collect();
    different.extend(named.map(String::from));
    let number = different.len();
    let deadline = Instant::now() + 2 * common::DEADLINE;
    while !different.is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_secs(1));
        different.retain(|query| {
            let here = labels(&scraped, query);
            here.is_empty() || here != labels(&written, query)
        });
    }
    let sides = |query: &String| {
        format!("{query}\n{:?}\n{:?}", labels(&scraped, query), labels(&written, query))
    };
    let sides: Vec<String> = different.iter().map(sides).collect();
    assert!(sides.is_empty(), "{} of {number}:\n{}", sides.len(), sides.join("\n"));
    for server in [&scraped, &written] {
        for alert in ["RouterDown", "InterfaceDown", "BgpSessionDown", "PerijoveCollectorFails"] {
            let expression = format!("ALERTS{{alertname={alert:?}}}");
            common::wait_for(alert, || (server.count(&expression) > 0).then_some(()));
        }
        let down = "ALERTS{alertname=\"RouterDown\", target!=\"silent\"}";
        assert_eq!(server.count(down), 0);
    }
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn each_alert_fires_on_what_is_broken_and_on_nothing_else() {
    if skips(&["promtool"]) {
        return;
    }
    let cases = packaging("prometheus/alerts_test.yml");
    // Some seconds of a processor, of which a busy machine has a small part for it.
    let mut command = Command::new(program("promtool"));
    let tested = Process::start(command.args(["test", "rules"]).arg(&cases));
    let tested = tested.finish_within(10 * common::DEADLINE);
    assert_eq!(tested.code, 0, "{}{}", tested.stdout, tested.stderr);
    let (alerts, cases) = (read(&packaging("prometheus/alerts.yml")), read(&cases));
    let names = alerts.lines().filter_map(|line| line.trim_start().strip_prefix("- alert: "));
    for alert in names {
        let fires = format!("alertname: {alert}\n        exp_alerts:\n");
        assert!(cases.contains(&fires), "no case in which {alert} fires");
    }
    // And says, in the comment before it, what makes it blind.
    let mut comment = String::new();
    for line in alerts.lines().map(str::trim_start) {
        match (line.strip_prefix('#'), line.strip_prefix("- alert: ")) {
            (Some(more), _) => comment += &more.to_lowercase(),
            (None, Some(alert)) => assert!(comment.contains("blind"), "when is {alert} blind?"),
            (None, None) => comment.clear(),
        }
    }
}

#[test]
fn promtool_takes_the_settings_and_the_alerts() {
    if skips(&["promtool"]) {
        return;
    }
    let file = packaging("prometheus/prometheus.yml");
    let checked = run(Command::new(program("promtool")).args(["check", "config"]).arg(file));
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    assert!(checked.stdout.contains("rules found"), "{}", checked.stdout);
}
