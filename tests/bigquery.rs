//! The load into BigQuery: from a real InfluxDB into a stand-in for Google's services that checks
//! what real ones check and has their bad days.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use common::http_stub::{HttpStub, Reply, Request};
use common::influxd::{Influxd, Options};
use common::now_ns;
use common::perijove::perijove;
use common::process::{Finished, Process, run};
use common::temporary::Directory;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::Verifier;
use serde_json::{Value as Json, json};

const HOUR: i64 = 3_600_000_000_000;
const TOKEN: &str = "ya29.s3cret-t0ken";

/// What BigQuery knows: tables with their definitions, and rows by table and insert id.
#[derive(Default)]
struct Known {
    tables: BTreeMap<String, Json>,
    rows: BTreeMap<(String, String), Json>,
    /// Rows that came, those that were there already among them.
    came: usize,
    tokens: usize,
}

struct Google {
    stub: HttpStub,
    known: Arc<Mutex<Known>>,
    directory: Directory,
}

/// What happens to an insert in place of what should: its number, from 0, is given.
type Fault = fn(usize, &[Json]) -> Option<Reply>;

fn decode(text: &str) -> Vec<u8> {
    let mut plain = text.replace('-', "+").replace('_', "/");
    while !plain.len().is_multiple_of(4) {
        plain.push('=');
    }
    openssl::base64::decode_block(&plain).expect("base64url")
}

impl Google {
    fn start(fault: Fault) -> Google {
        let key = Rsa::generate(2048).expect("a key");
        let private = key.private_key_to_pem().expect("PEM");
        let key = PKey::from_rsa(key).expect("a key");
        let public = PKey::public_key_from_pem(&key.public_key_to_pem().expect("PEM"));
        let public = public.expect("a public key");
        let known = Arc::new(Mutex::new(Known::default()));
        let inserts = Mutex::new(0);
        let shared = known.clone();
        let stub = HttpStub::start(move |_, request| {
            let mut known = shared.lock().expect("what is known");
            if request.target == "/token" {
                check_assertion(&request.body, &public);
                known.tokens += 1;
                let answer = json!({"access_token": TOKEN, "expires_in": 3600});
                return Reply::message(200, &answer.to_string());
            }
            let sent = request.headers.get("authorization").map_or("", String::as_str);
            if sent != format!("Bearer {TOKEN}") {
                return Reply::message(401, "{\"error\":{\"message\":\"who are you?\"}}");
            }
            answer(request, &mut known, &inserts, fault)
        });
        let directory = Directory::new();
        let account = json!({
            "type": "service_account",
            "client_email": "loader@project.iam.gserviceaccount.com",
            "private_key_id": "k1",
            "private_key": String::from_utf8(private).expect("PEM"),
            "token_uri": format!("{}/token", stub.url()),
        });
        directory.write_secret("account.json", account.to_string());
        Google { stub, known, directory }
    }

    fn settings(&self, influxdb: &Influxd, more: &str) -> String {
        format!(
            "state_directory = \"{here}/state\"\n[bigquery]\nproject = \"p\"\ndataset = \"d\"\n\
             url = \"{}\"\nservice_account_file = \"{here}/account.json\"\nretry_max = \"20s\"\n\
             {more}[bigquery.influxdb]\nurl = \"{}\"\n",
            self.stub.url(),
            influxdb.url(),
            here = self.directory.path().display(),
        )
    }

    fn run(&self, settings: &str, arguments: &[&str]) -> Finished {
        let file = self.directory.write("perijove.toml", settings);
        let finished =
            run(perijove(&["bigquery", "--config"]).arg(file).args(arguments).arg("--verbose"));
        for secret in [TOKEN, "PRIVATE KEY", "eyJ"] {
            assert!(!finished.stderr.contains(secret), "{}", finished.stderr);
        }
        finished
    }

    fn rows(&self, table: &str) -> Vec<Json> {
        let known = self.known.lock().expect("what is known");
        let of = known.rows.iter().filter(|((name, _), _)| name == table);
        of.map(|(_, row)| row.clone()).collect()
    }
}

/// RFC 7523: the claims, and the signature.
fn check_assertion(body: &str, key: &PKey<openssl::pkey::Public>) {
    let assertion = body.split('&').find_map(|pair| pair.strip_prefix("assertion="));
    let parts: Vec<&str> = assertion.expect("an assertion").split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("{parts:?}") };
    assert!(body.contains("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"));
    let mut verifier = Verifier::new(MessageDigest::sha256(), key).expect("a verifier");
    let signed = format!("{header}.{claims}");
    let good = verifier.verify_oneshot(&decode(signature), signed.as_bytes());
    assert!(good.expect("verified"), "the signature is wrong");
    let header: Json = serde_json::from_slice(&decode(header)).expect("JSON");
    assert_eq!(header, json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    let claims: Json = serde_json::from_slice(&decode(claims)).expect("JSON");
    let (issued, expires) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!((now_ns() / 1_000_000_000 - issued).abs() < 60 && expires - issued <= 3600);
    assert_eq!(claims["iss"], "loader@project.iam.gserviceaccount.com");
    assert!(claims["scope"].as_str().unwrap().starts_with("https://www.googleapis.com/auth/"));
    assert!(claims["aud"].as_str().unwrap().ends_with("/token"));
}

fn answer(request: &Request, known: &mut Known, inserts: &Mutex<usize>, fault: Fault) -> Reply {
    let place = request.target.strip_prefix("/bigquery/v2/projects/p/datasets/d/tables");
    let place = place.unwrap_or_else(|| panic!("{}", request.target));
    let body: Json = serde_json::from_str(&request.body).expect("JSON");
    if place.is_empty() {
        let id = body["tableReference"]["tableId"].as_str().expect("an id").to_string();
        if known.tables.contains_key(&id) {
            return Reply::message(409, "{\"error\":{\"message\":\"Already Exists\"}}");
        }
        known.tables.insert(id, body.clone());
        return Reply::message(200, &body.to_string());
    }
    let table = place.trim_start_matches('/').trim_end_matches("/insertAll").to_string();
    let Some(definition) = known.tables.get(&table).cloned() else {
        return Reply::message(404, "{\"error\":{\"message\":\"Not found: Table p:d.t\"}}");
    };
    let rows = body["rows"].as_array().expect("rows");
    let number = {
        let mut inserts = inserts.lock().expect("a number");
        *inserts += 1;
        *inserts - 1
    };
    if let Some(reply) = fault(number, rows) {
        return reply;
    }
    let mut errors = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        known.came += 1;
        if let Some(why) = misfit(&definition, &row["json"]) {
            let error = json!({"reason": "invalid", "location": why, "message": "no"});
            errors.push(json!({"index": index, "errors": [error]}));
            continue;
        }
        let id = row["insertId"].as_str().expect("an insert id").to_string();
        known.rows.insert((table.clone(), id), row["json"].clone());
    }
    let answer = match errors.is_empty() {
        true => json!({"kind": "bigquery#tableDataInsertAllResponse"}),
        false => json!({"insertErrors": errors}),
    };
    Reply::message(200, &answer.to_string())
}

/// The column that a row does not fit.
fn misfit(definition: &Json, row: &Json) -> Option<String> {
    let fields = definition["schema"]["fields"].as_array().expect("fields");
    let mut known = BTreeSet::new();
    for field in fields {
        let name = field["name"].as_str().expect("a name");
        known.insert(name);
        let value = &row[name];
        let fits = match field["type"].as_str().expect("a type") {
            "STRING" => value.is_string(),
            "INTEGER" => value.is_i64(),
            "TIMESTAMP" => value.as_str().is_some_and(|time| time.ends_with(":00:00Z")),
            other => panic!("{other}"),
        };
        if !fits && !(value.is_null() && field["mode"] == "NULLABLE") {
            return Some(name.into());
        }
    }
    let mut names = row.as_object().expect("a row").keys();
    names.find(|name| !known.contains(name.as_str())).cloned()
}

/// An InfluxDB with an hour's traffic and dependencies; `--from` and `--to` cover them.
fn influxd(measurements: &[&str]) -> Influxd {
    let influxd = Influxd::start();
    fill(&influxd, measurements);
    influxd
}

/// The last full hour's end.
fn hour() -> i64 {
    now_ns() / HOUR * HOUR
}

fn fill(influxd: &Influxd, measurements: &[&str]) {
    let end = hour();
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
}

const ALL: &[&str] = &["ingress", "egress", "upstream", "downstream"];

#[test]
fn both_tables_are_made_and_filled_and_a_rerun_adds_no_row() {
    let google = Google::start(|_, _| None);
    let influxd = influxd(ALL);
    let hourly = "traffic_cron = \"@hourly\"\ndependency_cron = \"@hourly\"\n";
    let settings = google.settings(&influxd, hourly);
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
    assert_eq!(known.came, 2 * before.len(), "a rerun has not come at all");
}

/// The days around the hour that is filled, for loads that are not the last.
fn days() -> [String; 2] {
    let day = |time: i64| {
        let date = time::OffsetDateTime::from_unix_timestamp(time / 1_000_000_000);
        date.expect("a time").date().to_string()
    };
    [day(hour() - 2 * HOUR), day(hour() + 24 * HOUR)]
}

#[test]
fn a_range_of_days_is_what_the_schedule_would_have_loaded_then() {
    let google = Google::start(|_, _| None);
    let influxd = influxd(ALL);
    let [from, to] = days();
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
    for (measurements, expected) in [(&["egress"][..], 2), (&["ingress"], 4), (&[], 0)] {
        let google = Google::start(|_, _| None);
        let influxd = influxd(measurements);
        let [from, to] = days();
        let range = ["--create", "--from", &from, "--to", &to];
        let finished = google.run(&google.settings(&influxd, ""), &range);
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        assert_eq!(google.rows("planet_exporter_traffic").len(), expected, "{measurements:?}");
    }
}

#[test]
fn what_may_pass_is_tried_again_and_no_row_is_lost() {
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
    let influxd = influxd(ALL);
    std::thread::scope(|scope| {
        for fault in faults {
            let influxd = &influxd;
            scope.spawn(move || {
                let google = Google::start(fault);
                let [from, to] = days();
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
    let google = Google::start(|_, rows| {
        let bad = rows.iter().position(|row| row["json"]["remote_hostgroup"] == "files")?;
        let error = json!({"reason": "invalid", "location": "x", "message": "no such column"});
        let errors = json!({"insertErrors": [{"index": bad, "errors": [error]}]});
        Some(Reply::message(200, &errors.to_string()))
    });
    let influxd = influxd(&["ingress"]);
    let [from, to] = days();
    let settings = google.settings(&influxd, "batch_rows_max = 1\n");
    let finished = google.run(&settings, &["--create", "--from", &from, "--to", &to]);
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    assert!(finished.stderr.contains("no such column"), "{}", finished.stderr);
    let rows = google.rows("planet_exporter_traffic");
    assert!(!rows.is_empty() && rows.iter().all(|row| row["remote_hostgroup"] == "db"));
}

#[test]
fn what_cannot_pass_is_said_with_what_to_do() {
    let google = Google::start(|_, _| None);
    let influxd = influxd(ALL);
    let settings = google.settings(&influxd, "");
    let [from, to] = days();
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
    let influxd = influxd(ALL);
    let metadata = HttpStub::start(|_, request| {
        assert_eq!(request.headers["metadata-flavor"], "Google");
        assert!(request.target.ends_with("/service-accounts/default/token"));
        Reply::message(200, &json!({"access_token": TOKEN, "expires_in": 99}).to_string())
    });
    let google = Google::start(|_, _| None);
    google.directory.write_secret("token", TOKEN);
    let account =
        format!("service_account_file = \"{}\"", google.directory.join("account.json").display());
    let token = format!("token_file = \"{}\"", google.directory.join("token").display());
    for credentials in [format!("metadata_url = \"{}\"", metadata.url()), token] {
        let hourly = "traffic_cron = \"@hourly\"\n";
        let settings = google.settings(&influxd, hourly).replace(&account, &credentials);
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
    let mut command = perijove(&["bigquery", "--once", "--config"]);
    let host = format!("127.0.0.1:{}", emulator.port);
    let finished = run(command.arg(file).env("BIGQUERY_EMULATOR_HOST", host));
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(!emulator.requests().is_empty());
}

#[test]
fn on_its_schedule_it_loads_what_is_due_and_remembers() {
    let google = Google::start(|_, _| None);
    let influxd = influxd(ALL);
    let settings = google.settings(&influxd, "traffic_cron = \"* * * * * *\"\n");
    let file = google.directory.write("perijove.toml", &settings);
    let mut command = perijove(&["bigquery", "--create", "--verbose", "--config"]);
    let mut process = Process::start(command.arg(file));
    process.wait_for("three loads", |process| {
        let loads = process.stderr().matches("bigquery: traffic of").count();
        (loads >= 3).then_some(())
    });
    process.signal("TERM");
    let finished = process.finish();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert_eq!(google.rows("planet_exporter_traffic").len(), 4);
    let progress = google.directory.join("state/bigquery.progress");
    let progress = std::fs::read_to_string(progress).expect("what was loaded");
    assert!(progress.contains("traffic bigquery 1"), "{progress}");
}

#[test]
fn the_second_influxdb_is_asked_with_its_token_and_answers_in_pieces() {
    let google = Google::start(|_, _| None);
    let piece = |service: &str, at: i64| {
        let series = json!({
            "name": "ingress",
            "tags": {"service": service, "address": "", "remote_service": "db"},
            "columns": ["time", "min", "max", "mean"],
            "values": [[at, 1.0, 2.0, 1.5]],
        });
        json!({"results": [{"statement_id": 0, "series": [series], "partial": true}]}).to_string()
    };
    let influxdb = HttpStub::start(move |_, request| {
        assert_eq!(request.headers["authorization"], "Token t0ken");
        assert!(request.target.starts_with("/query?db=bucket%2Frp&epoch=ns"), "{request:?}");
        let statement = request.body.replace('+', " ").replace("%22", "\"");
        match statement.contains("FROM \"ingress\"") {
            true => Reply::message(200, &format!("{}\n{}\n", piece("a", 1), piece("b", 2))),
            false => Reply::message(200, "{\"results\":[{\"statement_id\":0}]}\n"),
        }
    });
    google.directory.write_secret("token", "t0ken");
    let here = google.directory.path().display();
    let settings = format!(
        "state_directory = \"{here}/state\"\n[bigquery]\nproject = \"p\"\ndataset = \"d\"\n\
         url = \"{}\"\nservice_account_file = \"{here}/account.json\"\n[bigquery.influxdb]\n\
         url = \"{}\"\ndatabase = \"bucket/rp\"\ntoken_file = \"{here}/token\"\n",
        google.stub.url(),
        influxdb.url(),
    );
    let finished = google.run(&settings, &["--once", "--create"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let rows = google.rows("planet_exporter_traffic");
    let services: BTreeSet<&str> =
        rows.iter().map(|row| row["local_hostgroup"].as_str().expect("a text")).collect();
    assert_eq!(services, ["a", "b"].into());
}
