//! BigQuery's REST interface: streaming inserts, and making tables.

use std::io::Read;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value as Json, json};
use ureq::Agent;
use ureq::http::HeaderMap;

use super::rows::{Row, Table};
use super::settings::BigqueryConfig;
use super::token::{NoToken, SCOPE_ALL, SCOPE_INSERT, Tokens};
use crate::base::clock::{Backoff, RETRY_AFTER_LONGEST};
use crate::base::http_client;
use crate::base::sync::Stop;
use crate::base::text::first_line;

const ANSWER_BYTES_MAX: u64 = 16 << 20;
const RETRY: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };

pub struct BigqueryClient {
    agent: Agent,
    settings: BigqueryConfig,
    tokens: Tokens,
    /// A table that was just made may not be known everywhere yet.
    made: bool,
    stop: Stop,
}

/// How a request came out.
enum Outcome {
    Answer(Json),
    /// May do better later, not before `after`.
    Later {
        after: Option<Duration>,
        why: String,
    },
    Refused {
        status: u16,
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Inserted {
    insert_errors: Option<Vec<InsertError>>,
}

#[derive(Deserialize)]
struct InsertError {
    index: usize,
    errors: Option<Vec<RowError>>,
}

#[derive(Deserialize)]
struct RowError {
    reason: Option<String>,
    location: Option<String>,
    message: Option<String>,
}

impl RowError {
    /// `stopped`: this row is fine, but another one in the request is not.
    fn may_pass(&self) -> bool {
        let reason = self.reason.as_deref().unwrap_or_default();
        matches!(reason, "stopped" | "backendError" | "internalError" | "timeout")
    }

    fn words(&self) -> String {
        let words = [&self.reason, &self.location, &self.message];
        first_line(&words.map(|words| words.as_deref().unwrap_or_default()).join(": "))
    }
}

impl BigqueryClient {
    /// `makes_tables`: ask for the right to do so. Fails if the file with the roots of trust
    /// cannot be read.
    pub fn new(
        settings: &BigqueryConfig,
        makes_tables: bool,
        stop: &Stop,
    ) -> Result<BigqueryClient, String> {
        let agent = http_client::agent(&settings.url, settings.timeout, &settings.ca_file)?;
        let scope = if makes_tables { SCOPE_ALL } else { SCOPE_INSERT };
        let tokens = Tokens::new(agent.clone(), settings.credentials.clone(), scope);
        let (settings, made, stop) = (settings.clone(), false, stop.clone());
        Ok(BigqueryClient { agent, settings, tokens, made, stop })
    }

    fn tables(&self) -> String {
        let BigqueryConfig { url, project, dataset, .. } = &self.settings;
        format!("{url}/bigquery/v2/projects/{project}/datasets/{dataset}/tables")
    }

    /// The table's id in the dataset.
    pub fn table_id(&self, table: &Table) -> &str {
        match table.name {
            "traffic" => &self.settings.traffic_table,
            _ => &self.settings.dependency_table,
        }
    }

    /// Makes the table if it is not there: partitioned by day, clustered by what is asked for.
    pub fn make_table(&mut self, table: &Table) -> Result<(), String> {
        let mode = |required| if required { "REQUIRED" } else { "NULLABLE" };
        let fields = table.columns.iter();
        let fields = fields
            .map(|column| {
                json!({
                    "name": column.name,
                    "type": column.kind,
                    "mode": mode(column.required),
                })
            })
            .collect::<Vec<_>>();
        let id = self.table_id(table).to_string();
        let BigqueryConfig { project, dataset, .. } = &self.settings;
        let body = json!({
            "tableReference": {"projectId": project, "datasetId": dataset, "tableId": id},
            "schema": {"fields": fields},
            "timePartitioning": {"type": "DAY", "field": "inventory_date"},
            "clustering": {"fields": table.clustering},
        });
        let url = self.tables();
        match self.persist(&url, &body)? {
            Ok(_) => {
                log::info!("bigquery: made the table {id}");
                self.made = true;
                Ok(())
            }
            Err((409, _)) => Ok(()),
            Err((_, why)) => Err(format!("cannot make the table {id}: {why}")),
        }
    }

    /// Inserts rows; how many were refused for good, and why the first of them was.
    pub fn insert(&mut self, table: &Table, rows: &[Row]) -> Result<(u64, String), String> {
        let id = self.table_id(table).to_string();
        let url = format!("{}/{id}/insertAll", self.tables());
        let mut left: Vec<&Row> = rows.iter().collect();
        let (mut refused, mut first) = (0, String::new());
        let until = Instant::now() + self.settings.retry_max;
        let mut tries = 0;
        while !left.is_empty() {
            let body = json!({
                // One bad row costs that row.
                "skipInvalidRows": true,
                "ignoreUnknownValues": false,
                "rows": left.iter().map(|row| json!({"insertId": row.id, "json": row.json}))
                    .collect::<Vec<_>>(),
            });
            let answer = match self.persist(&url, &body)? {
                Ok(answer) => answer,
                Err((413, _)) if left.len() > 1 => {
                    let (one, two) = rows.split_at(rows.len() / 2);
                    let (one, two) = (self.insert(table, one)?, self.insert(table, two)?);
                    return Ok((one.0 + two.0, one.1 + &two.1));
                }
                Err((_, why)) => return Err(format!("cannot insert into {id}: {why}")),
            };
            // If it is not known which rows were refused, none may be taken for inserted.
            let inserted: Inserted = serde_json::from_value(answer)
                .map_err(|err| format!("cannot read which rows of {id} were inserted: {err}"))?;
            let mut again = Vec::new();
            for InsertError { index, errors } in inserted.insert_errors.iter().flatten() {
                let Some(row) = left.get(*index) else { continue };
                let Some(error) = errors.iter().flatten().find(|error| !error.may_pass()) else {
                    again.push(*row);
                    continue;
                };
                refused += 1;
                if first.is_empty() {
                    first = error.words();
                }
            }
            left = again;
            if !left.is_empty() {
                let wait = RETRY.wait(tries);
                tries += 1;
                if Instant::now() + wait >= until || self.stop.wait(wait) {
                    return Err(format!("{} rows of {id} could not be inserted", left.len()));
                }
            }
        }
        Ok((refused, first))
    }

    /// Posts until there is an answer, for as long as it may be tried. The inner error is the
    /// status and the words of a refusal.
    #[allow(clippy::type_complexity)]
    fn persist(&mut self, url: &str, body: &Json) -> Result<Result<Json, (u16, String)>, String> {
        let until = Instant::now() + self.settings.retry_max;
        let mut tries = 0;
        let mut renewed = false;
        loop {
            let (after, why) = match self.exchange(url, Some(body))? {
                Outcome::Answer(answer) => return Ok(Ok(answer)),
                Outcome::Refused { status: 401, .. } if !std::mem::replace(&mut renewed, true) => {
                    self.tokens.forget();
                    continue;
                }
                Outcome::Refused { status: 404, why } if self.made => (None, why),
                Outcome::Refused { status, why } => return Ok(Err((status, why))),
                Outcome::Later { after, why } => (after, why),
            };
            let after = after.unwrap_or_default().min(RETRY_AFTER_LONGEST);
            let wait = RETRY.wait(tries).max(after);
            tries += 1;
            if Instant::now() + wait >= until {
                return Err(format!("{url}: {why}"));
            }
            log::debug!("bigquery: {why}; trying again in {wait:?}");
            if self.stop.wait(wait) {
                return Err(format!("{url}: {why}"));
            }
        }
    }

    /// Whether the table is there.
    pub fn check(&mut self, table: &Table) -> Result<(), String> {
        let url = format!("{}/{}", self.tables(), self.table_id(table));
        match self.exchange(&url, None)? {
            Outcome::Answer(_) => Ok(()),
            Outcome::Later { why, .. } | Outcome::Refused { why, .. } => {
                Err(format!("{url}: {why}"))
            }
        }
    }

    /// Posts the body, or gets what is there.
    fn exchange(&mut self, url: &str, body: Option<&Json>) -> Result<Outcome, String> {
        let token = match self.tokens.header() {
            Ok(token) => token,
            Err(NoToken::Later { after, why }) => return Ok(Outcome::Later { after, why }),
            Err(NoToken::Refused(why)) => return Err(why),
        };
        let authorization = token.as_ref().map(|token| ("Authorization", token.expose()));
        let response = match body {
            Some(body) => {
                let mut request = self.agent.post(url).header("Content-Type", "application/json");
                if let Some((name, value)) = authorization {
                    request = request.header(name, value);
                }
                request.send(body.to_string())
            }
            None => {
                let mut request = self.agent.get(url);
                if let Some((name, value)) = authorization {
                    request = request.header(name, value);
                }
                request.call()
            }
        };
        let response = match response {
            Ok(response) => response,
            Err(err) => {
                return Ok(Outcome::Later { after: None, why: http_client::describe(&err) });
            }
        };
        let (head, body) = response.into_parts();
        let mut text = Vec::new();
        let read = body.into_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut text);
        if let Err(err) = read {
            return Ok(Outcome::Later { after: None, why: err.to_string() });
        }
        if head.status.is_success() {
            return Ok(match serde_json::from_slice(&text) {
                Ok(answer) => Outcome::Answer(answer),
                Err(_) => Outcome::Later { after: None, why: "the answer is not JSON".into() },
            });
        }
        Ok(refusal(head.status.as_u16(), &head.headers, &text))
    }
}

/// What a status other than success means.
fn refusal(status: u16, headers: &HeaderMap, text: &[u8]) -> Outcome {
    let json: Json = serde_json::from_slice(text).unwrap_or_default();
    let reason = json["error"]["errors"][0]["reason"].as_str().unwrap_or_default();
    let plain = String::from_utf8_lossy(text);
    let words = json["error"]["message"].as_str().unwrap_or(&plain);
    let advice = match status {
        401 => ": check the credentials",
        403 => ": the account needs the role roles/bigquery.dataEditor on the dataset",
        404 => ": check project, dataset and table, or make the tables with --create",
        _ => "",
    };
    let why = format!("BigQuery answered {status} ({}){advice}", first_line(words));
    let busy = matches!(reason, "rateLimitExceeded" | "quotaExceeded" | "backendError");
    match status {
        408 | 429 | 500..=599 => Outcome::Later { after: http_client::retry_after(headers), why },
        403 if busy => Outcome::Later { after: http_client::retry_after(headers), why },
        _ => Outcome::Refused { status, why },
    }
}
