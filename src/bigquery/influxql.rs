//! Asks InfluxDB in InfluxQL: version 1, and version 2 through its compatibility endpoint.

use std::collections::BTreeMap;
use std::io::{BufReader, Read};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use ureq::Agent;

use super::rows::Series;
use crate::base::http_client;
use crate::base::secret::Secret;
use crate::base::text::first_line;

#[derive(Clone, Debug, PartialEq)]
pub struct InfluxqlConfig {
    pub url: String,
    /// Of version 2, the name that its bucket is mapped to.
    pub database: String,
    /// The database's own, if none is named.
    pub retention_policy: Option<String>,
    pub authorization: Option<Secret>,
    pub timeout: Duration,
    pub ca_file: Option<PathBuf>,
}

/// Series that come in one piece.
const CHUNK_ROWS: &str = "1000";
/// An answer of more is a mistake; only a piece of it is in memory at a time.
const ANSWER_BYTES_MAX: u64 = 4 << 30;

#[derive(Deserialize)]
struct Answer {
    results: Option<Vec<AnswerResult>>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct AnswerResult {
    #[serde(default)]
    series: Vec<AnswerSeries>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct AnswerSeries {
    #[serde(default)]
    tags: BTreeMap<String, String>,
    columns: Vec<String>,
    #[serde(default)]
    values: Vec<Vec<Json>>,
}

pub struct InfluxqlClient {
    agent: Agent,
    settings: InfluxqlConfig,
}

impl InfluxqlClient {
    /// Fails if the file with the roots of trust cannot be read.
    pub fn new(settings: &InfluxqlConfig) -> Result<InfluxqlClient, String> {
        let agent = http_client::agent(&settings.url, settings.timeout, &settings.ca_file)?;
        Ok(InfluxqlClient { agent, settings: settings.clone() })
    }

    /// Gives each row of a statement's answer to `each`. No series at all is an answer, too.
    pub fn ask(
        &self,
        statement: &str,
        each: &mut dyn FnMut(&Series) -> Result<(), String>,
    ) -> Result<(), String> {
        let InfluxqlConfig { url, database, retention_policy, authorization, .. } = &self.settings;
        let fail = |why: String| format!("{url}: {why}");
        let mut request = self.agent.post(format!("{url}/query")).query("db", database);
        request = request.query("epoch", "ns");
        if let Some(policy) = retention_policy {
            request = request.query("rp", policy);
        }
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization.expose());
        }
        let form = [("q", statement), ("chunked", "true"), ("chunk_size", CHUNK_ROWS)];
        let response = request.send_form(form);
        let response = response.map_err(|err| fail(http_client::describe(&err)))?;
        let (head, body) = response.into_parts();
        if !head.status.is_success() {
            let words = serde_json::from_str::<Answer>(&http_client::words(body))
                .ok()
                .and_then(|a| a.error);
            let words = first_line(words.as_deref().unwrap_or("no reason given"));
            return Err(fail(format!("InfluxDB answered {} ({words})", head.status.as_u16())));
        }
        // In pieces it is one document after another. That there is nothing is said in one, too.
        let mut has_results = false;
        let body = BufReader::new(body.into_reader().take(ANSWER_BYTES_MAX));
        for answer in serde_json::Deserializer::from_reader(body).into_iter::<Answer>() {
            let answer = answer.map_err(|err| fail(format!("the answer cannot be read: {err}")))?;
            let results = answer.results.iter().flatten();
            let errors = results.clone().filter_map(|result| result.error.as_ref());
            if let Some(error) = answer.error.iter().chain(errors).next() {
                return Err(fail(format!("InfluxDB says: {}", first_line(error))));
            }
            has_results |= answer.results.is_some();
            for AnswerSeries { tags, columns, values } in results.flat_map(|result| &result.series)
            {
                for values in values {
                    each(&Series { tags, columns, values })?;
                }
            }
        }
        if has_results { Ok(()) } else { Err(fail("the answer is not InfluxDB's".into())) }
    }
}
