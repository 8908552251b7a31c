//! A stand-in for Google's services, which checks what real ones check and has their bad days.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::Verifier;
use serde_json::{Value as Json, json};

use crate::common::http_stub::{HttpStub, Reply, Request};
use crate::common::influxd::Influxd;
use crate::common::now_ns;
use crate::common::perijove::perijove;
use crate::common::process::{Finished, run};
use crate::common::temporary::Directory;

pub const TOKEN: &str = "ya29.s3cret-t0ken";

/// What BigQuery knows: tables with their definitions, and rows by table and insert id.
#[derive(Default)]
pub struct Known {
    pub tables: BTreeMap<String, Json>,
    pub rows: BTreeMap<(String, String), Json>,
    /// Rows that came, those that were there already among them.
    pub came: usize,
    pub tokens: usize,
}

pub struct Google {
    pub stub: HttpStub,
    pub known: Arc<Mutex<Known>>,
    pub directory: Directory,
}

/// What happens to an insert in place of what should: its number, from 0, is given.
pub type Fault = fn(usize, &[Json]) -> Option<Reply>;

fn decode(text: &str) -> Vec<u8> {
    let mut plain = text.replace('-', "+").replace('_', "/");
    while !plain.len().is_multiple_of(4) {
        plain.push('=');
    }
    openssl::base64::decode_block(&plain).expect("base64url")
}

impl Google {
    /// As if nothing had been loaded before.
    pub fn forget(&self) {
        let _ = std::fs::remove_file(self.directory.join("state/bigquery.progress"));
    }

    pub fn start(fault: Fault) -> Google {
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

    pub fn settings(&self, influxdb: &Influxd, more: &str) -> String {
        self.settings_for(&influxdb.url(), more)
    }

    /// What is appended is about InfluxDB.
    pub fn settings_for(&self, influxdb: &str, more: &str) -> String {
        format!(
            "state_directory = \"{here}/state\"\n[bigquery]\nproject = \"p\"\ndataset = \"d\"\n\
             url = \"{}\"\nservice_account_file = \"{here}/account.json\"\nretry_max = \"20s\"\n\
             {more}[bigquery.influxdb]\nurl = \"{influxdb}\"\n",
            self.stub.url(),
            here = self.directory.path().display(),
        )
    }

    pub fn run(&self, settings: &str, arguments: &[&str]) -> Finished {
        let file = self.directory.write("perijove.toml", settings);
        let finished =
            run(perijove(&["bigquery", "--config"]).arg(file).args(arguments).arg("--verbose"));
        for secret in [TOKEN, "PRIVATE KEY", "eyJ"] {
            assert!(!finished.stderr.contains(secret), "{}", finished.stderr);
        }
        finished
    }

    pub fn rows(&self, table: &str) -> Vec<Json> {
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
    if request.method == "GET" {
        return match known.tables.get(place.trim_start_matches('/')) {
            Some(table) => Reply::message(200, &table.to_string()),
            None => Reply::message(404, "{\"error\":{\"message\":\"Not found: Table p:d.t\"}}"),
        };
    }
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
        if !(fits || value.is_null() && field["mode"] == "NULLABLE") {
            return Some(name.into());
        }
    }
    let mut names = row.as_object().expect("a row").keys();
    names.find(|name| !known.contains(name.as_str())).cloned()
}
