//! The load into BigQuery: from a real InfluxDB into a stand-in for Google's services.
#![cfg(feature = "federation")]

#[path = "../common/mod.rs"]
mod common;
mod google;

use std::collections::{BTreeMap, BTreeSet};

use common::http_stub::{HttpStub, Reply};
use common::influxd::{Influxd, Options};
use common::needs::skips;
use common::now_ns;
use common::perijove::perijove;
use common::process::{Finished, Process, run};
use google::{Fault, Google, TOKEN};
use serde_json::{Value as Json, json};

const HOUR: i64 = 3_600_000_000_000;

/// The last full hour's end. It stays that for a while.
fn last_hour() -> i64 {
    let left = HOUR - now_ns() % HOUR;
    if left < 90_000_000_000 {
        std::thread::sleep(std::time::Duration::from_nanos(left as u64));
    }
    now_ns() / HOUR * HOUR
}

/// An hour of which every load's time has come; `days` cover it.
fn past_hour() -> i64 {
    now_ns() / HOUR * HOUR - 25 * HOUR
}

/// An InfluxDB with the traffic and the dependencies of the hour that ends there.
fn influxd(end: i64, measurements: &[&str]) -> Influxd {
    let influxd = Influxd::start();
    let mut lines = String::new();
    for name in measurements {
        for (number, minute) in [1i64, 20, 59, 60].into_iter().enumerate() {
            let time = end - HOUR + minute * HOUR / 60;
            let bits = 1000.0 * (number + 1) as f64 + 0.4;
            lines += &match *name {
                "ingress" | "egress" => format!(
                    "{name},service=web,address=web.example,remote_service=db \
                     bandwidth_bps={bits} {time}\n{name},service=web,remote_service=files,\
                     remote_address=f\\ 1 bandwidth_bps=5 {time}\n"
                ),
                "upstream" => format!(
                    "upstream,service=web,address=web.example,upstream_service=db,\
                     upstream_port=5432,process_name=app,protocol=tcp service_dependency=1i \
                     {time}\n"
                ),
                _ => format!(
                    "downstream,service=db,port=5432,process_name=postgres,\
                     downstream_service=web,downstream_address=web.example,protocol=tcp \
                     service_dependency=1i {time}\n"
                ),
            };
        }
        // The hour before and the one after.
        if *name == "ingress" {
            for time in [end - HOUR, end + 1] {
                lines += &format!(
                    "ingress,service=web,address=web.example,remote_service=db \
                     bandwidth_bps=999999 {time}\n"
                );
            }
        }
    }
    influxd.write(&lines);
    influxd
}

const HOURLY: &str = "traffic_cron = \"@hourly\"\ndependency_cron = \"@hourly\"\n";
const ALL: &[&str] = &["ingress", "egress", "upstream", "downstream"];

#[test]
fn both_tables_are_made_and_filled_and_a_rerun_adds_no_row() {
    if skips(&["influxd"]) {
        return;
    }
    let google = Google::start(|_, _| None);
    let influxd = influxd(last_hour(), ALL);
    let settings = google.settings(&influxd, HOURLY);
    let finished = google.run(&settings, &["--once", "--create"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    {
        let known = google.known.lock().unwrap();
        assert_eq!(known.tables.len(), 2);
        for table in known.tables.values() {
            let partitioned = json!({"type": "DAY", "field": "inventory_date"});
            assert_eq!(table["timePartitioning"], partitioned);
            assert!(table["clustering"]["fields"].as_array().unwrap().len() <= 4);
        }
        assert_eq!(known.tokens, 1, "a token is used until it expires");
    }
    let traffic = google.rows("planet_exporter_traffic");
    assert_eq!(traffic.len(), 4);
    let row = traffic
        .iter()
        .find(|row| row["traffic_direction"] == "ingress" && row["remote_hostgroup"] == "db");
    let time = row.expect("a row")["inventory_date"].as_str().unwrap().to_string();
    let expected = json!({
        "inventory_date": time,
        "traffic_direction": "ingress",
        "local_hostgroup": "web",
        "local_hostgroup_address": "web.example",
        "remote_hostgroup": "db",
        "remote_hostgroup_address": null,
        "traffic_bandwidth_bits_min_1h": 1000,
        "traffic_bandwidth_bits_max_1h": 4000,
        "traffic_bandwidth_bits_avg_1h": 2500,
    });
    assert_eq!(row, Some(&expected));
    let dependencies = google.rows("planet_exporter_dependency");
    assert_eq!(dependencies.len(), 2);
    let before = google.known.lock().unwrap().rows.clone();
    let again = google.run(&settings, &["--once"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    let known = google.known.lock().unwrap();
    assert_eq!(known.rows, before, "a rerun has added rows");
    // BigQuery forgets a row's id after a minute or so, and would take it for another row.
    assert_eq!(known.came, before.len(), "a rerun has written rows again");
    drop(known);
    assert!(again.stderr.matches("nothing is due").count() == 4, "{}", again.stderr);
    // Whoever names the day gets it again.
    let [from, to] = days(last_hour());
    let ranged = google.run(&settings, &["--from", &from, "--to", &to]);
    assert_eq!(ranged.code, 0, "{}", ranged.stderr);
    assert!(google.known.lock().unwrap().came > before.len());
}

fn day(time: i64) -> String {
    let date = time::OffsetDateTime::from_unix_timestamp(time / 1_000_000_000);
    date.expect("a time").date().to_string()
}

/// The days around an hour, for loads that are not the last.
fn days(end: i64) -> [String; 2] {
    [day(end - 2 * HOUR), day(end + 24 * HOUR)]
}

#[test]
fn a_range_of_days_is_what_the_schedule_would_have_loaded_then() {
    if skips(&["influxd"]) {
        return;
    }
    let google = Google::start(|_, _| None);
    let end = past_hour();
    let influxd = influxd(end, ALL);
    let [from, to] = days(end);
    let range = ["--from", &from, "--to", &to];
    let settings = google.settings(&influxd, "");
    let dry = google.run(&settings, &[&["--dry-run"][..], &range].concat());
    assert_eq!(dry.code, 0, "{}", dry.stderr);
    assert_eq!(google.stub.requests().len(), 0, "a dry run has written");
    let finished = google.run(&settings, &[&["--create"][..], &range].concat());
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let printed: BTreeMap<(String, String), Json> = dry
        .stdout
        .lines()
        .map(|line| {
            let row: Json = serde_json::from_str(line).expect("JSON");
            let text = |name: &str| row[name].as_str().expect("a text").to_string();
            ((text("table"), text("insertId")), row["json"].clone())
        })
        .collect();
    assert_eq!(printed, google.known.lock().unwrap().rows);
    // The hour that is filled gives two series in each direction, the ones beside it one.
    let traffic = google.rows("planet_exporter_traffic");
    assert_eq!(traffic.len(), 6, "{traffic:?}");
    let dependencies = google.rows("planet_exporter_dependency");
    assert!(dependencies.len() >= 2, "{dependencies:?}");
    let upstream = dependencies.iter().find(|row| row["dependency_direction"] == "upstream");
    let upstream = upstream.expect("a row");
    assert_eq!(upstream["remote_hostgroup_address_port"], "5432");
    assert_eq!(upstream["local_hostgroup_address_port"], Json::Null);
    assert_eq!(upstream["local_hostgroup_process_name"], "app");
    let downstream = dependencies.iter().find(|row| row["dependency_direction"] == "downstream");
    assert_eq!(downstream.expect("a row")["local_hostgroup_address_port"], "5432");
}

#[test]
fn one_empty_direction_does_not_lose_the_other() {
    if skips(&["influxd"]) {
        return;
    }
    for (measurements, expected) in [(&["egress"][..], 2), (&["ingress"], 4), (&[], 0)] {
        let google = Google::start(|_, _| None);
        let end = past_hour();
        let influxd = influxd(end, measurements);
        let [from, to] = days(end);
        let range = ["--create", "--from", &from, "--to", &to];
        let finished = google.run(&google.settings(&influxd, ""), &range);
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        assert_eq!(google.rows("planet_exporter_traffic").len(), expected, "{measurements:?}");
    }
}

#[test]
fn what_may_pass_is_tried_again_and_no_row_is_lost() {
    if skips(&["influxd"]) {
        return;
    }
    let faults: [Fault; 6] = [
        |number, _| (number < 2).then(|| Reply::message(500, "{\"error\":{\"message\":\"oh\"}}")),
        |number, _| (number == 0).then(|| Reply::Answer(429, &[("Retry-After", "1")], "".into())),
        |number, _| {
            let limit = "{\"error\":{\"errors\":[{\"reason\":\"rateLimitExceeded\"}]}}";
            (number == 0).then(|| Reply::message(403, limit))
        },
        |number, _| (number == 0).then(|| Reply::status(401)),
        |number, _| (number == 0).then_some(Reply::Close),
        // 200, and one row was not taken.
        |number, rows| {
            let errors = json!({"insertErrors": rows.iter().enumerate().map(|(index, _)| {
                json!({"index": index, "errors": [{"reason": "backendError"}]})
            }).collect::<Vec<_>>()});
            (number == 0).then(|| Reply::message(200, &errors.to_string()))
        },
    ];
    let end = past_hour();
    let influxd = influxd(end, ALL);
    std::thread::scope(|scope| {
        for fault in faults {
            let influxd = &influxd;
            scope.spawn(move || {
                let google = Google::start(fault);
                let [from, to] = days(end);
                let range = ["--create", "--from", &from, "--to", &to];
                let settings = google.settings(influxd, "batch_rows_max = 1\n");
                let finished = google.run(&settings, &range);
                assert_eq!(finished.code, 0, "{}", finished.stderr);
                assert_eq!(google.rows("planet_exporter_traffic").len(), 6);
            });
        }
    });
}

#[test]
fn a_row_that_is_refused_for_good_costs_that_row_and_is_said() {
    if skips(&["influxd"]) {
        return;
    }
    let google = Google::start(|_, rows| {
        let bad = rows.iter().position(|row| row["json"]["remote_hostgroup"] == "files")?;
        let error = json!({"reason": "invalid", "location": null, "message": "no such column"});
        let errors = json!({"insertErrors": [{"index": bad, "errors": [error]}]});
        Some(Reply::message(200, &errors.to_string()))
    });
    let end = past_hour();
    let influxd = influxd(end, &["ingress"]);
    let [from, to] = days(end);
    let settings = google.settings(&influxd, "batch_rows_max = 1\n");
    let finished = google.run(&settings, &["--create", "--from", &from, "--to", &to]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("no such column"), "{}", finished.stderr);
    let rows = google.rows("planet_exporter_traffic");
    assert!(!rows.is_empty() && rows.iter().all(|row| row["remote_hostgroup"] == "db"));
}

#[test]
fn what_cannot_pass_is_said_with_what_to_do() {
    if skips(&["influxd"]) {
        return;
    }
    let google = Google::start(|_, _| None);
    let end = past_hour();
    let influxd = influxd(end, ALL);
    let settings = google.settings(&influxd, "");
    let [from, to] = days(end);
    let range = ["--from", &from, "--to", &to];
    // No tables.
    let finished = google.run(&settings, &range);
    assert_eq!(finished.code, 1);
    assert!(finished.stderr.contains("--create"), "{}", finished.stderr);
    // Nothing that is a key.
    for (account, expected) in [
        ("{", "not JSON"),
        ("{}", "client_email or private_key is missing"),
        ("{\"client_email\":\"a\",\"private_key\":\"b\"}", "no private key"),
    ] {
        google.directory.write_secret("account.json", account);
        let finished = google.run(&settings, &range);
        assert_eq!(finished.code, 1);
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
    // No InfluxDB, and one that asks who is there.
    let closed = settings.replace(&influxd.url(), "http://127.0.0.1:1");
    let finished = google.run(&closed, &range);
    assert_eq!(finished.code, 1);
    let administrator = Some(("a", "p-assw0rd"));
    let locked = Influxd::start_with(Options { administrator, ..Options::default() });
    let finished = google.run(&google.settings(&locked, ""), &["--dry-run"]);
    assert!(finished.stderr.contains("InfluxDB answered 401"), "{}", finished.stderr);
    google.directory.write_secret("password", "p-assw0rd");
    let login = format!(
        "{}username = \"a\"\npassword_file = \"{}\"\n",
        google.settings(&locked, ""),
        google.directory.join("password").display()
    );
    let finished = google.run(&login, &["--dry-run"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
}

#[test]
fn the_metadata_server_and_an_emulator_and_a_file_will_do() {
    if skips(&["influxd"]) {
        return;
    }
    let influxd = influxd(last_hour(), ALL);
    let metadata = HttpStub::start(|number, request| {
        assert_eq!(request.headers["metadata-flavor"], "Google");
        assert!(request.target.ends_with("/service-accounts/default/token"));
        match number {
            0 => Reply::status(503),
            _ => {
                let token = json!({"access_token": TOKEN, "expires_in": u64::MAX});
                Reply::message(200, &token.to_string())
            }
        }
    });
    let google = Google::start(|_, _| None);
    google.directory.write_secret("token", TOKEN);
    let account =
        format!("service_account_file = \"{}\"", google.directory.join("account.json").display());
    let token = format!("token_file = \"{}\"", google.directory.join("token").display());
    for credentials in [format!("metadata_url = \"{}\"", metadata.url()), token] {
        let hourly = "traffic_cron = \"@hourly\"\n";
        let settings = google.settings(&influxd, hourly).replace(&account, &credentials);
        google.forget();
        let finished = google.run(&settings, &["--once", "--create"]);
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        assert_eq!(google.known.lock().unwrap().tokens, 0);
    }
    assert_eq!(google.rows("planet_exporter_traffic").len(), 4);
    // An emulator asks for no token.
    let emulator = HttpStub::start(|_, request| {
        assert!(!request.headers.contains_key("authorization"));
        Reply::message(200, "{}")
    });
    let url = format!("url = \"{}\"\n", google.stub.url());
    let settings = google.settings(&influxd, "").replacen(&url, "", 1).replace(&account, "");
    let file = google.directory.write("emulator.toml", settings);
    google.forget();
    let mut command = perijove(&["bigquery", "--once", "--config"]);
    let host = format!("127.0.0.1:{}", emulator.port);
    let finished = run(command.arg(file).env("BIGQUERY_EMULATOR_HOST", host));
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(!emulator.requests().is_empty());
}

/// Starts the daemon, waits until that is so of what it says, and stops it.
fn run_daemon(google: &Google, settings: &str, until: &dyn Fn(&str) -> bool) -> Finished {
    let file = google.directory.write("perijove.toml", settings);
    let mut process =
        Process::start(perijove(&["bigquery", "--create", "--verbose", "--config"]).arg(file));
    process.wait_for("loads", |process| until(&process.stderr()).then_some(()));
    process.signal("TERM");
    let finished = process.finish();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    finished
}

/// What is noted: direction and time.
fn progress(google: &Google) -> BTreeMap<String, i64> {
    let text = std::fs::read_to_string(google.directory.join("state/bigquery.progress"));
    let words = |line: &str| {
        let (direction, time) = line.split_once(" bigquery ").expect("a direction and a time");
        (direction.to_string(), time.parse::<i64>().expect("a time") * 1_000_000)
    };
    text.unwrap_or_default().lines().map(words).collect()
}

#[test]
fn on_its_schedule_it_loads_what_is_due_once_and_makes_up_for_what_was_missed() {
    if skips(&["influxd"]) {
        return;
    }
    let google = Google::start(|_, _| None);
    let end = last_hour();
    let influxd = influxd(end, ALL);
    // The hour is the same whatever second it is loaded in.
    let settings = google.settings(&influxd, "traffic_cron = \"* * * * * *\"\n");
    let came = |finished: &Finished, direction: &str| {
        finished.stderr.matches(&format!("bigquery: traffic {direction} of")).count()
    };
    let finished = run_daemon(&google, &settings, &|said| said.matches("rows").count() >= 4);
    assert_eq!((came(&finished, "ingress"), came(&finished, "egress")), (1, 1));
    assert_eq!(google.rows("planet_exporter_traffic").len(), 4);
    assert!(progress(&google)["traffic.ingress"] >= end);
    // A dry run notes nothing, and `--once` makes up for what was missed.
    let missed = format!("traffic.ingress bigquery {}\n", (end - 3 * HOUR) / 1_000_000)
        + &format!("traffic.egress bigquery {}\n", (end + 9 * HOUR) / 1_000_000);
    google.directory.write("state/bigquery.progress", &missed);
    let settings = google.settings(&influxd, HOURLY);
    for arguments in [&["--dry-run"][..], &["--once", "--dry-run"]] {
        let finished = google.run(&settings, arguments);
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        let noted = progress(&google);
        assert_eq!(noted["traffic.ingress"], end - 3 * HOUR, "{arguments:?}");
        assert_eq!(noted["traffic.egress"], end + 9 * HOUR, "{arguments:?}");
        assert!(!noted.contains_key("dependency.upstream"));
    }
    let finished = google.run(&settings, &["--once"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert_eq!((came(&finished, "ingress"), came(&finished, "egress")), (3, 0));
    assert!(progress(&google)["traffic.ingress"] >= end);
    assert!(progress(&google).contains_key("dependency.upstream"));
    google.directory.write("state/bigquery.progress", &missed);
    let finished = run_daemon(&google, &settings, &|said| said.matches("ingress of").count() >= 3);
    assert_eq!((came(&finished, "ingress"), came(&finished, "egress")), (3, 0));
}

#[test]
fn a_bad_row_or_direction_holds_up_nothing_else() {
    if skips(&["influxd"]) {
        return;
    }
    let google = Google::start(|_, rows| {
        let bad = |name: &str, value: &str| rows.iter().position(|row| row["json"][name] == value);
        if bad("traffic_direction", "egress").is_some() {
            return Some(Reply::message(400, "{\"error\":{\"message\":\"no, thanks\"}}"));
        }
        let index = bad("remote_hostgroup", "files")?;
        let errors = [json!({"reason": "invalid"})];
        let errors = json!({"insertErrors": [{"index": index, "errors": errors}]});
        Some(Reply::message(200, &errors.to_string()))
    });
    let influxd = influxd(last_hour(), ALL);
    let settings = google.settings(&influxd, HOURLY);
    let finished = run_daemon(&google, &settings, &|_| progress(&google).len() >= 3);
    assert!(finished.stderr.contains("1 rows were refused: invalid"), "{}", finished.stderr);
    assert!(finished.stderr.contains("no, thanks); trying again"), "{}", finished.stderr);
    let noted: Vec<String> = progress(&google).into_keys().collect();
    assert_eq!(noted, ["dependency.downstream", "dependency.upstream", "traffic.ingress"]);
}

#[test]
fn an_hour_that_has_not_ended_is_not_loaded() {
    if skips(&["influxd"]) {
        return;
    }
    let google = Google::start(|_, _| None);
    let end = last_hour();
    // There is a point of the present hour.
    let influxd = influxd(end, &["ingress"]);
    let range = ["--dry-run", "--from", &day(end - HOUR), "--to", &day(end + 48 * HOUR)];
    let finished = google.run(&google.settings(&influxd, HOURLY), &range);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("are in the future and left out"), "{}", finished.stderr);
    let dates: BTreeSet<i64> = finished
        .stdout
        .lines()
        .map(|line| {
            let row: Json = serde_json::from_str(line).expect("JSON");
            let date = row["json"]["inventory_date"].as_str().expect("a date");
            let format = &time::format_description::well_known::Rfc3339;
            let date = time::OffsetDateTime::parse(date, format).expect("a date");
            date.unix_timestamp() * 1_000_000_000
        })
        .collect();
    assert_eq!(dates.last(), Some(&end));
}

#[test]
fn what_cannot_be_understood_is_an_error() {
    if skips(&["influxd"]) {
        return;
    }
    let faults: [(Fault, &str); 2] = [
        (
            |_, _| Some(Reply::message(200, "{\"insertErrors\":[{\"index\":\"first\"}]}")),
            "cannot read which rows of planet_exporter_traffic were inserted",
        ),
        // A time to wait that no clock can tell.
        (
            |_, _| {
                let wait = &[("Retry-After", "18446744073709551615")];
                Some(Reply::Answer(429, wait, "".into()))
            },
            "BigQuery answered 429",
        ),
    ];
    let influxd = influxd(last_hour(), &["ingress"]);
    for (fault, expected) in faults {
        let google = Google::start(fault);
        let settings = google.settings(&influxd, HOURLY);
        let finished = google.run(&settings, &["--once", "--create"]);
        assert_eq!(finished.code, 1, "{}", finished.stderr);
        assert!(finished.stderr.contains(expected), "{}", finished.stderr);
    }
    for body in ["", "{}"] {
        let stub = HttpStub::start(move |_, _| Reply::message(200, body));
        let google = Google::start(|_, _| None);
        let settings = google.settings(&influxd, HOURLY).replace(&influxd.url(), &stub.url());
        let finished = google.run(&settings, &["--once", "--dry-run"]);
        assert_eq!(finished.code, 1, "{}", finished.stderr);
        assert!(finished.stderr.contains("the answer is not InfluxDB's"), "{}", finished.stderr);
    }
}

/// A piece of an answer of InfluxDB's: a series for each service.
fn piece(services: impl Iterator<Item = String>) -> String {
    let series = services.map(|service| {
        json!({
            "name": "ingress",
            "tags": {"service": service, "address": "", "remote_service": "db"},
            "columns": ["time", "min", "max", "mean"],
            "values": [[1, 1.0, 2.0, 1.5]],
        })
    });
    let series: Vec<Json> = series.collect();
    json!({"results": [{"statement_id": 0, "series": series, "partial": true}]}).to_string() + "\n"
}

#[test]
fn influxdb_has_its_time_to_itself() {
    // The answer is longer than what is read ahead, and BigQuery takes longer than InfluxDB may.
    let google = Google::start(|number, _| {
        (number == 0).then(|| Reply::Answer(429, &[("Retry-After", "18")], "".into()))
    });
    let influxdb = HttpStub::start(move |_, request| {
        let services = |from: usize| (from..from + 1000).map(|number| number.to_string());
        match request.body.contains("FROM+%22ingress%22") {
            true => Reply::message(
                200,
                &(0..9).map(|at| piece(services(1000 * at))).collect::<String>(),
            ),
            false => Reply::message(200, "{\"results\":[{\"statement_id\":0}]}\n"),
        }
    });
    let settings = google.settings_for(&influxdb.url(), "").replace("\"20s\"", "\"50s\"")
        + "retention_policy = \"year\"
timeout = \"15s\"
";
    let finished = google.run(&settings, &["--once", "--create"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert_eq!(google.rows("planet_exporter_traffic").len(), 9000);
    assert!(influxdb.requests().iter().all(|request| request.target.contains("&rp=year")));
}

#[test]
fn check_looks_at_both_sides() {
    if skips(&["influxd"]) {
        return;
    }
    let google = Google::start(|_, _| None);
    let influxd = influxd(last_hour(), ALL);
    let file = google.directory.write("perijove.toml", google.settings(&influxd, ""));
    let check = || run(perijove(&["check", "--config"]).arg(&file));
    let finished = check();
    assert_eq!(finished.code, 1);
    assert!(finished.stdout.contains("--create"), "{}", finished.stdout);
    let table = json!({"schema": {"fields": []}});
    for name in ["planet_exporter_traffic", "planet_exporter_dependency"] {
        google.known.lock().unwrap().tables.insert(name.into(), table.clone());
    }
    let finished = check();
    assert_eq!(finished.code, 0, "{}{}", finished.stdout, finished.stderr);
    assert!(finished.stdout.contains("InfluxDB has 4 measurements"), "{}", finished.stdout);
}

#[test]
fn the_second_influxdb_is_asked_with_its_token_and_answers_in_pieces() {
    let google = Google::start(|_, _| None);
    let piece = |service: &str| piece(std::iter::once(service.to_string()));
    let influxdb = HttpStub::start(move |_, request| {
        assert_eq!(request.headers["authorization"], "Token t0ken");
        assert!(request.target.starts_with("/query?db=bucket%2Frp&epoch=ns"), "{request:?}");
        let statement = request.body.replace('+', " ").replace("%22", "\"");
        match statement.contains("FROM \"ingress\"") {
            true => Reply::message(200, &(piece("a") + &piece("b"))),
            false => Reply::message(200, "{\"results\":[{\"statement_id\":0}]}\n"),
        }
    });
    google.directory.write_secret("token", "t0ken");
    let here = google.directory.path().display();
    let settings = google.settings_for(&influxdb.url(), "")
        + &format!(
            "database = \"bucket/rp\"
token_file = \"{here}/token\"
"
        );
    let finished = google.run(&settings, &["--once", "--create"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let rows = google.rows("planet_exporter_traffic");
    let services: BTreeSet<&str> =
        rows.iter().map(|row| row["local_hostgroup"].as_str().expect("a text")).collect();
    assert_eq!(services, ["a", "b"].into());
}
