//! The dashboards in packaging/: they name what perijove has, and real servers answer each of
//! their queries with something.

mod common;
mod series;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::http_stub::{HttpStub, Reply};
use common::influxd::Influxd;
use common::perijove::{Daemon, FAST, local_router, run_with};
use common::process::run;
use common::prometheus::Prometheus;
use common::temporary::Directory;
use common::{free_port, now_ns, program, target_directory};
use perijove::collectors::COLLECTORS;
use perijove::output::exposition::metric;
use perijove::own_metrics;
use perijove::point::{Kind, Schema};
use serde_json::Value as Json;

/// What the dependency dashboards ask for: planet_exporter's metrics with their labels, and the
/// measurements that their roll-up has in InfluxDB.
const PLANET: &[(&str, &str)] = &[
    ("planet_upstream", PEER),
    ("planet_downstream", PEER),
    ("planet_server_process", "local_hostgroup bind port process_name"),
    (
        "planet_traffic_bytes_total",
        "direction local_hostgroup local_domain remote_hostgroup remote_domain remote_ip",
    ),
];
const PEER: &str = "local_hostgroup local_address remote_hostgroup remote_address port protocol \
                    process_name";
const FEDERATED: &[(&str, &str)] = &[
    ("ingress", "service address remote_service remote_address bandwidth_bps"),
    ("egress", "service address remote_service remote_address bandwidth_bps"),
    (
        "upstream",
        "service address upstream_service upstream_address upstream_port process_name protocol \
         service_dependency",
    ),
    (
        "downstream",
        "service address downstream_service downstream_address port process_name protocol \
         service_dependency",
    ),
];

fn packaging(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(path)
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

const FLAVOURS: [&str; 2] = ["prometheus", "influxdb"];

/// The dashboards' files in a folder, by their names.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).expect("a folder of dashboards");
    let read = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().expect("a name"), read(&entry.path()))
    };
    entries.map(|entry| read(entry.expect("an entry"))).collect()
}

/// One query of a dashboard: where it stands, its text, and the names that its legend takes.
struct Query {
    place: String,
    text: String,
    legend: Vec<String>,
}

fn queries(flavour: &str) -> Vec<Query> {
    let mut found = Vec::new();
    for (file, text) in files(&packaging("grafana").join(flavour)) {
        let dashboard: Json = serde_json::from_str(&text).expect("JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let legend = target["legendFormat"].as_str().or(target["alias"].as_str());
                let tag = |word: &str| {
                    let inner = word.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
                    inner.or(word.strip_prefix("$tag_")).map(String::from)
                };
                let query = target["expr"].as_str().or(target["query"].as_str());
                found.push(Query {
                    place: format!("{flavour}/{file}, {}", panel["title"]),
                    text: query.expect("a query").to_string(),
                    legend: legend.unwrap_or_default().split(' ').filter_map(tag).collect(),
                });
            }
        }
        for variable in dashboard["templating"]["list"].as_array().expect("variables") {
            if variable["type"] == "query" {
                found.push(Query {
                    place: format!("{flavour}/{file}, variable {}", variable["name"]),
                    text: as_query(variable["query"].as_str().expect("a query")),
                    legend: Vec::new(),
                });
            }
        }
    }
    assert!(found.len() > 50, "{} queries", found.len());
    found
}

/// What Grafana makes of `label_values(SELECTOR, LABEL)`, as an expression.
fn as_query(variable: &str) -> String {
    let inner = variable.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let split = inner.and_then(|inner| inner.rsplit_once(", "));
    split.map_or(variable.into(), |(of, label)| format!("count by ({label}) ({of})"))
}

/// As Grafana asks with all routers, interfaces and services chosen.
fn with_values(query: &str) -> String {
    let mut query = query.to_string();
    for name in ["target", "interface", "group", "service"] {
        query = query.replace(&format!("${{{name}:regex}}"), ".*");
        query = query.replace(&format!("\"${name}\""), "\".*\"");
    }
    for (name, value) in [
        ("$__rate_interval", "5s"),
        ("$__interval", "1s"),
        ("$timeFilter", "time > now() - 10m"),
        ("$within", "5m"),
    ] {
        query = query.replace(name, value);
    }
    // What is left is the end of a regular expression.
    assert_eq!(query.matches('$').count(), query.matches("$/").count(), "{query}");
    query
}

/// The names that there are: labels by metric, tags and fields by measurement.
struct Known {
    metrics: BTreeMap<String, BTreeSet<String>>,
    measurements: BTreeMap<String, BTreeSet<String>>,
}

impl Known {
    fn new() -> Known {
        let words = |text: &str| text.split(' ').map(String::from).collect::<BTreeSet<String>>();
        let table = |rows: &[(&str, &str)]| {
            rows.iter().map(|(name, names)| (name.to_string(), words(names))).collect()
        };
        let mut known = Known { metrics: table(PLANET), measurements: table(FEDERATED) };
        // junos_exporter's own, which only the Prometheus output has.
        known.metrics.insert("junos_up".into(), words("target"));
        let of_collectors = COLLECTORS.iter().flat_map(|entry| entry.measurements.iter());
        for schema in of_collectors.chain(own_metrics::MEASUREMENTS) {
            known.add(*schema);
        }
        known
    }

    fn add(&mut self, schema: &dyn Schema) {
        let fields: Vec<_> = (0..schema.fields()).map(|index| schema.field(index)).collect();
        let tags = schema.tags().iter().copied().chain(["re_name"]);
        let infos = fields.iter().filter(|field| field.kind == Kind::Info);
        let labels = tags.clone().chain(["target"]).chain(infos.map(|field| field.label));
        let labels: BTreeSet<String> = labels.map(String::from).collect();
        for field in fields.iter().filter(|f| matches!(f.kind, Kind::Counter | Kind::Gauge)) {
            let name = metric(schema.name(), field.name);
            self.metrics.entry(name).or_default().extend(labels.clone());
        }
        let names = tags.chain(["host"]).chain(fields.iter().map(|field| field.name));
        let measurement = self.measurements.entry(schema.name().into()).or_default();
        measurement.extend(names.map(String::from));
    }

    /// What a PromQL expression names that is not there.
    fn missing_in_promql(&self, query: &Query) -> Vec<String> {
        let quoted: Vec<&str> = query.text.split('"').collect();
        let bare = quoted.iter().step_by(2).copied().collect::<Vec<_>>().join("\"\"");
        let mut labels = query.legend.clone();
        let mut missing = Vec::new();
        let mut there = BTreeSet::new();
        for word in words(&bare).filter(|word| is_metric(word)) {
            match self.metrics.get(word) {
                Some(labels) => there.extend(labels.clone()),
                None => missing.push(word.to_string()),
            }
        }
        for (opening, closing) in [("{", '}'), ("by (", ')')] {
            for rest in bare.split(opening).skip(1) {
                let inner = rest.split(closing).next().unwrap_or_default();
                labels.extend(words(inner).map(String::from));
            }
        }
        // A variable may ask for several metrics by a pattern of their names.
        let is_missing =
            |label: &String| label != "__name__" && !there.is_empty() && !there.contains(label);
        missing.extend(labels.into_iter().filter(is_missing));
        missing
    }

    /// What an InfluxQL statement names that is not there; it has all names in quotes.
    fn missing_in_influxql(&self, query: &Query) -> Vec<String> {
        let parts: Vec<&str> = query.text.split('"').collect();
        let (mut missing, mut there) = (Vec::new(), BTreeSet::new());
        let mut named = query.legend.clone();
        for [before, name] in parts.as_chunks().0 {
            let (before, name) = (before.trim_end(), name.to_string());
            let measurement = self.measurements.get(&name);
            match (before.ends_with("FROM") || before == ",", before.ends_with("AS")) {
                (true, _) if measurement.is_some() => there.extend(measurement.cloned().unwrap()),
                (_, true) => drop(there.insert(name)),
                _ => named.push(name),
            }
        }
        missing.extend(named.into_iter().filter(|name| !there.contains(name)));
        missing
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn is_metric(word: &str) -> bool {
    ["junos_", "perijove_", "planet_"].iter().any(|prefix| word.starts_with(prefix))
}

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
    let python = target_directory().join("test-venv/bin/python");
    assert!(python.is_file(), "{} is missing: run tests/install", python.display());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/grafana_model.py");
    let folders = FLAVOURS.map(|flavour| packaging("grafana").join(flavour));
    let paths = folders.iter().flat_map(|folder| files(folder).into_keys().map(|f| folder.join(f)));
    let finished = run(Command::new(python).arg(script).args(paths));
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert_eq!(finished.stdout.lines().count(), 10, "{}", finished.stdout);
}

/// Asks everything again until each has had an answer with something in it.
fn answer_all(queries: Vec<Query>, ask: impl Fn(&str) -> usize) {
    let number = queries.len();
    let mut empty: Vec<Query> = queries;
    let deadline = Instant::now() + Duration::from_secs(30);
    while !empty.is_empty() && Instant::now() < deadline {
        empty.retain(|query| ask(&with_values(&query.text)) == 0);
        std::thread::sleep(Duration::from_millis(300));
    }
    let empty: Vec<String> = empty.iter().map(|q| format!("{}: {}", q.place, q.text)).collect();
    assert!(empty.is_empty(), "{} of {number} gave nothing:\n{}", empty.len(), empty.join("\n"));
}

/// Three routers that have between them whatever a dashboard shows: a BGP session that is down,
/// ports that are down, a collector that fails.
fn settings(output: &str) -> String {
    let routers = [
        ("core1", "--interfaces 12 --optics 8 --bgp-peers 16"),
        ("core2", "--interfaces 12 --optics 8 --seed 4 --fault rpc-error:get-route-summary"),
        ("edge1", "--interfaces 4 --seed 3"),
    ];
    let routers: String = routers.map(|(name, options)| local_router(name, options)).concat();
    format!("{FAST}{routers}{output}")
}

#[test]
fn a_real_influxdb_answers_every_query() {
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
    let daemon = Daemon::start(&settings(&influxd.output()));
    let has_value = |row: &&Json| row.as_array().expect("a row")[1..].iter().any(|v| !v.is_null());
    let rows = |series: &Json| {
        series["values"].as_array().map_or(0, |rows| rows.iter().filter(has_value).count())
    };
    answer_all(queries("influxdb"), |query| influxd.query(query).iter().map(rows).sum());
    assert_eq!(daemon.stop().code, 0);
}

const PLANET_SAMPLES: &str = "\
planet_upstream{local_hostgroup=\"web\",local_address=\"w1\",remote_hostgroup=\"db\",\
remote_address=\"d1\",port=\"5432\",protocol=\"tcp\",process_name=\"app\"} 1
planet_downstream{local_hostgroup=\"db\",local_address=\"d1\",remote_hostgroup=\"web\",\
remote_address=\"w1\",port=\"5432\",protocol=\"tcp\",process_name=\"postgres\"} 1
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
        .replace("127.0.0.1:9100", &format!("127.0.0.1:{port}"))
        .replace("30s", "1s");
    let dependencies = format!(
        "  - job_name: planet\n    scrape_interval: 1s\n\
         \x20   static_configs:\n      - targets: ['127.0.0.1:{planet}']\n"
    );
    let templates = packaging("prometheus/consoles");
    let flag = format!("--web.console.templates={}", templates.display());
    Prometheus::start_with(&(settings + &dependencies), &[flag])
}

#[test]
fn a_real_prometheus_answers_every_query_and_shows_its_console() {
    let port = free_port();
    let settings = settings(&format!("[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n"));
    let once = run_with(&settings, &["once", "--format", "prometheus"]);
    let printed = series::read(&once.stdout);
    let daemon = Daemon::start(&settings);
    let stub = HttpStub::start(|_, _| {
        Reply::Answer(200, &[("Content-Type", "text/plain")], PLANET_SAMPLES.into())
    });
    let prometheus = packaged_prometheus(port, stub.port);
    answer_all(queries("prometheus"), |query| prometheus.count(query));

    // Alerts wait for some minutes before they fire, but are there at once.
    for alert in ["RouterMajorAlarm", "InterfaceDown", "BgpSessionDown", "PerijoveCollectorFails"] {
        let expression = format!("ALERTS{{alertname={alert:?}}}");
        common::wait_for(alert, || (prometheus.count(&expression) > 0).then_some(()));
    }
    assert_eq!(prometheus.count("ALERTS{alertname=\"RouterDown\"}"), 0);

    let url = format!("http://127.0.0.1:{}/consoles/perijove.html?minutes=1", prometheus.port);
    let page = chromium(&["--dump-dom", &url]);
    let sum = |name: &str| {
        printed.iter().filter(|series| series.name == name).map(|series| series.value).sum::<f64>()
    };
    let down = |name| printed.iter().filter(move |s| s.name == name && s.value == 0.0);
    let disabled: Vec<(&str, &str)> =
        down("junos_interface_admin_up").map(|s| (s.label("target"), s.label("name"))).collect();
    let interfaces: Vec<&str> = down("junos_interface_up")
        .filter(|s| !disabled.contains(&(s.label("target"), s.label("name"))))
        .map(|s| s.label("name"))
        .collect();
    let sessions: Vec<&str> = down("junos_bgp_session_up").map(|s| s.label("ip")).collect();
    assert!(!interfaces.is_empty() && !sessions.is_empty());
    for (tile, number) in [
        ("routers-silent", 0.0),
        ("alarms-major", sum("junos_alarms_red_count")),
        ("alarms-minor", sum("junos_alarms_yellow_count")),
        ("bgp-down", sessions.len() as f64),
        ("interfaces-down", interfaces.len() as f64),
        ("collectors-failing", 1.0),
    ] {
        assert!(
            page.contains(&format!("<b id=\"{tile}\">{number}</b>")),
            "{tile} {number}: {page}"
        );
    }
    for name in interfaces.iter().chain(&sessions) {
        assert!(page.contains(&format!("<td class=\"bad\">{name}</td>")), "{name}: {page}");
    }
    for router in ["core1", "core2", "edge1"] {
        assert!(page.contains(&format!("<tr data-target={router:?}>")), "{router}: {page}");
    }
    // Four graphs with a line for each router.
    assert_eq!(page.matches("<polyline points=").count(), 12, "{page}");

    let one = chromium(&["--dump-dom", &format!("{url}&target=edge1")]);
    assert!(one.contains("<tr data-target=\"edge1\">") && !one.contains("data-target=\"core1\""));
    assert_eq!(one.matches("<polyline points=").count(), 4, "{one}");

    let picture = target_directory().join("tmp/overview.png");
    chromium(&["--window-size=1280,1210", &format!("--screenshot={}", picture.display()), &url]);
    let bytes = std::fs::read(&picture).expect("a screenshot");
    assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 50_000, "{} bytes", bytes.len());
    println!("{} shows the console", picture.display());
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn promtool_takes_the_settings_and_the_alerts() {
    let file = packaging("prometheus/prometheus.yml");
    let checked = run(Command::new(program("promtool")).args(["check", "config"]).arg(file));
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    assert!(checked.stdout.contains("rules found"), "{}", checked.stdout);
}

/// Opens a page in a browser without a window, lets its scripts run, and gives what it prints.
fn chromium(arguments: &[&str]) -> String {
    let directory = Directory::new();
    // The sandbox needs rights that root in a container does not have; the page is our own.
    let finished = run(Command::new(program("chromium"))
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--hide-scrollbars", "--virtual-time-budget=8000"])
        .arg(format!("--user-data-dir={}", directory.path().display()))
        .args(arguments));
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    finished.stdout
}
