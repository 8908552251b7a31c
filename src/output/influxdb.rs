//! InfluxDB over HTTP: the write APIs of versions 1, 2 and 3.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use ureq::http::{HeaderMap, Response, StatusCode};
use ureq::{Agent, Body};

use super::line_protocol::LineProtocol;
use super::sink::{Failure, Sink};
use crate::base::http_client;
use crate::base::secret::Secret;
use crate::base::text::first_line;

#[derive(Clone, Debug, PartialEq)]
pub struct InfluxdbConfig {
    pub url: String,
    pub target: Target,
    pub batch_points_max: usize,
    pub batch_bytes_max: usize,
    pub flush_interval: Duration,
    pub precision: Precision,
    pub gzip: bool,
    pub integers: Integers,
    pub timeout: Duration,
    pub ca_file: Option<PathBuf>,
    pub host_tag: String,
    pub layout: Option<Layout>,
}

/// Other names than ours for measurements, tags and fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    Jinfluxexporter,
}

/// Where the points go, by the version of the API.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    V1 {
        database: String,
        retention_policy: String,
        username: Option<String>,
        password: Option<Secret>,
        /// Whether a database that is missing is created.
        creates: bool,
    },
    V2 {
        org: String,
        bucket: String,
        token: Option<Secret>,
    },
    V3 {
        database: String,
        token: Option<Secret>,
    },
}

/// The unit of timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    #[default]
    Ns,
    Us,
    Ms,
    S,
}

impl Precision {
    fn unit_ns(self) -> u64 {
        match self {
            Precision::Ns => 1,
            Precision::Us => 1_000,
            Precision::Ms => 1_000_000,
            Precision::S => 1_000_000_000,
        }
    }
}

/// How whole numbers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Integers {
    /// Signed, which every server takes.
    #[default]
    I,
    /// Unsigned, for servers that were built with it.
    U,
}

impl InfluxdbConfig {
    /// With times in nanoseconds whatever the precision: what waits may meet other settings.
    pub fn line_protocol(&self) -> LineProtocol {
        let unsigned = self.integers == Integers::U;
        LineProtocol { host_tag: self.host_tag.clone(), unsigned }
    }
}

pub struct Influxdb {
    agent: Agent,
    settings: InfluxdbConfig,
    authorization: Option<Secret>,
    scaled: Vec<u8>,
    compressed: Vec<u8>,
}

impl Influxdb {
    /// Fails if the file with the roots of trust cannot be read.
    pub fn new(settings: &InfluxdbConfig) -> Result<Influxdb, String> {
        let authorization = match &settings.target {
            Target::V1 { username: Some(name), password: Some(password), .. } => {
                Some(http_client::basic(name, password))
            }
            Target::V1 { .. } => None,
            Target::V2 { token, .. } => {
                token.as_ref().map(|token| Secret::new(format!("Token {}", token.expose())))
            }
            Target::V3 { token, .. } => {
                token.as_ref().map(|token| Secret::new(format!("Bearer {}", token.expose())))
            }
        };
        let agent = http_client::agent(&settings.url, settings.timeout, &settings.ca_file)?;
        let (settings, scaled, compressed) = (settings.clone(), Vec::new(), Vec::new());
        Ok(Influxdb { agent, settings, authorization, scaled, compressed })
    }

    fn post(&mut self, lines: &[u8]) -> Result<Response<Body>, ureq::Error> {
        let InfluxdbConfig { url, precision, .. } = &self.settings;
        let mut lines = lines;
        if *precision != Precision::Ns {
            self.scaled.clear();
            scale(lines, precision.unit_ns(), &mut self.scaled);
            lines = &self.scaled;
        }
        let request = match &self.settings.target {
            Target::V1 { database, retention_policy, .. } => {
                let request = self.agent.post(format!("{url}/write")).query("db", database);
                if retention_policy.is_empty() {
                    request
                } else {
                    request.query("rp", retention_policy)
                }
            }
            Target::V2 { org, bucket, .. } => {
                let request = self.agent.post(format!("{url}/api/v2/write"));
                request.query("org", org).query("bucket", bucket)
            }
            // A line that does not fit must not cost the others of its batch.
            Target::V3 { database, .. } => {
                let request = self.agent.post(format!("{url}/api/v3/write_lp"));
                request.query("db", database).query("accept_partial", "true")
            }
        };
        let mut request = request.query("precision", word(*precision, &self.settings.target));
        request = request.header("Content-Type", "text/plain; charset=utf-8");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization.expose());
        }
        if !self.settings.gzip {
            return request.send(lines);
        }
        self.compressed.clear();
        let mut gzip = GzEncoder::new(&mut self.compressed, Compression::fast());
        gzip.write_all(lines)?;
        gzip.finish()?;
        request.header("Content-Encoding", "gzip").send(&self.compressed[..])
    }

    fn creates(&self) -> bool {
        matches!(self.settings.target, Target::V1 { creates: true, .. })
    }

    fn write_once(&mut self, records: &[u8]) -> Result<(), Failure> {
        let retry = |why: String| Failure::Retry { after: None, why };
        let response = self.post(records).map_err(|err| {
            retry(format!("cannot write to {}: {}", self.settings.url, http_client::describe(&err)))
        })?;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            return Ok(());
        }
        let answer = http_client::words(body);
        Err(failure(head.status, &head.headers, &answer, &self.settings.target))
    }

    /// Creates a database of version 1.
    fn create(&mut self, database: &str) -> Result<(), Failure> {
        let statement = create_statement(database);
        let missing = |why: String| {
            let why = format!("the database {database} is missing; {statement}: {why}");
            Err(Failure::Missing { why })
        };
        let url = format!("{}/query", self.settings.url);
        let mut request = self.agent.post(url).query("q", &statement);
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization.expose());
        }
        let (head, body) = match request.send_empty() {
            Ok(response) => response.into_parts(),
            Err(err) => return missing(http_client::describe(&err)),
        };
        let answer = http_client::words(body);
        // A statement that fails is answered with 200, too.
        if !head.status.is_success() || answer.contains("\"error\"") {
            let words = first_line(&refusal(&answer).words);
            return missing(format!("the server answered {} ({words})", head.status.as_u16()));
        }
        log::info!("influxdb: created the database {database}");
        Ok(())
    }
}

impl Sink for Influxdb {
    fn write(&mut self, records: &[u8], _: u64, _: &dyn Fn() -> bool) -> Result<(), Failure> {
        let written = self.write_once(records);
        match (&written, &self.settings.target) {
            (Err(Failure::Missing { .. }), Target::V1 { creates: true, database, .. }) => {
                self.create(&database.clone())?;
                self.write_once(records)
            }
            _ => written,
        }
    }

    /// Writing nothing is allowed, and tells whether writing something would be.
    fn check(&mut self) -> Result<String, String> {
        match self.write_once(b"") {
            // Both versions may say that nothing came; they say it after they have let us in.
            Ok(()) | Err(Failure::Suspect { .. } | Failure::Refused { .. }) => {
                Ok(format!("{} takes points", self.settings.url))
            }
            Err(Failure::Missing { .. }) if self.creates() => {
                Ok(format!("{} takes points, and creates the database", self.settings.url))
            }
            Err(
                Failure::Retry { why, .. } | Failure::Missing { why } | Failure::TooLarge { why },
            ) => Err(why),
            Err(Failure::Gone) => Err("gone".into()),
        }
    }
}

/// The word of that version for a unit of time.
fn word(precision: Precision, target: &Target) -> &'static str {
    match (precision, target) {
        (Precision::Ns, Target::V3 { .. }) => "nanosecond",
        (Precision::Us, Target::V3 { .. }) => "microsecond",
        (Precision::Ms, Target::V3 { .. }) => "millisecond",
        (Precision::S, Target::V3 { .. }) => "second",
        (Precision::Ns, _) => "ns",
        // Version 1 takes any other word for nanoseconds.
        (Precision::Us, Target::V1 { .. }) => "u",
        (Precision::Us, _) => "us",
        (Precision::Ms, _) => "ms",
        (Precision::S, _) => "s",
    }
}

/// InfluxQL that makes a database.
fn create_statement(database: &str) -> String {
    format!("CREATE DATABASE \"{}\"", database.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Appends the lines, whose times are in nanoseconds, with times in this unit.
fn scale(lines: &[u8], unit_ns: u64, out: &mut Vec<u8>) {
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let (before, time) = line.split_at(memchr::memrchr(b' ', line).map_or(0, |at| at + 1));
        out.extend_from_slice(before);
        match str::from_utf8(time).ok().and_then(|time| time.parse::<u64>().ok()) {
            Some(time) => {
                let mut buffer = itoa::Buffer::new();
                out.extend_from_slice(buffer.format(time / unit_ns).as_bytes());
            }
            // Damaged: the server's to refuse.
            None => out.extend_from_slice(time),
        }
        out.push(b'\n');
    }
}

/// What to do, by the server's status and words.
fn failure(status: StatusCode, headers: &HeaderMap, answer: &str, target: &Target) -> Failure {
    let refusal = refusal(answer);
    let why = format!("the server answered {} ({})", status.as_u16(), first_line(&refusal.words));
    match status.as_u16() {
        413 => Failure::TooLarge { why },
        400 | 422 => match refusal.points {
            // A line that cannot be parsed: version 1 writes the others of its batch, version 2
            // writes none.
            0 => Failure::Suspect { why },
            points => Failure::Refused { points, why },
        },
        401 | 403 => {
            let why = format!("{why}: check username, password_file or token_file");
            Failure::Retry { after: None, why }
        }
        404 => not_found(&refusal.words, why, target),
        _ => Failure::Retry { after: http_client::retry_after(headers), why },
    }
}

fn not_found(words: &str, why: String, target: &Target) -> Failure {
    let retry = |hint: &str| Failure::Retry { after: None, why: format!("{why}: {hint}") };
    match target {
        Target::V1 { database, creates, .. } if words.contains("database not found") => {
            let statement = create_statement(database);
            let or = if *creates { "" } else { ", or set create_database = true" };
            Failure::Missing { why: format!("{why}: run {statement} on the server{or}") }
        }
        Target::V1 { .. } => retry("check url, database and retention_policy"),
        Target::V2 { .. } => retry("check url, org and bucket; InfluxDB 1 takes version = 1"),
        Target::V3 { .. } => retry("check url and database; InfluxDB 2 takes version = 2"),
    }
}

/// What a server says of a write that it refuses.
struct Refusal {
    words: String,
    /// How many points were refused, the others being written, if it is said.
    points: u64,
}

/// Reads the server's JSON: `error`, or `message`, in words. Version 3 lists the lines that it
/// refuses in `data`; one that stands there alone, not in a list, says that none was written.
fn refusal(answer: &str) -> Refusal {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(alias = "message")]
        error: String,
        #[serde(default)]
        data: Option<Lines>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Lines {
        Refused(Vec<Line>),
        One(Line),
        Other(serde::de::IgnoredAny),
    }
    #[derive(Deserialize)]
    struct Line {
        error_message: String,
    }
    let Ok(Answer { error, data }) = serde_json::from_str(answer) else {
        return Refusal { words: answer.trim().to_string(), points: 0 };
    };
    match data {
        Some(Lines::Refused(lines)) if !lines.is_empty() => Refusal {
            words: format!("{error}: {}", lines[0].error_message),
            points: lines.len() as u64,
        },
        Some(Lines::One(line)) => {
            Refusal { words: format!("{error}: {}", line.error_message), points: 0 }
        }
        _ => Refusal { points: dropped(&error), words: error },
    }
}

/// The count in `partial write: … dropped=3`.
fn dropped(words: &str) -> u64 {
    let Some((_, count)) = words.rsplit_once("dropped=") else { return 0 };
    let end = count.find(|c: char| !c.is_ascii_digit()).unwrap_or(count.len());
    count[..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Failure {
        answer_of(&v1(false), status, body)
    }

    fn answer_of(target: &Target, status: u16, body: &str) -> Failure {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        failure(StatusCode::from_u16(status).unwrap(), &headers, body, target)
    }

    fn v1(creates: bool) -> Target {
        let (retention_policy, username, password) = (String::new(), None, None);
        Target::V1 { database: "a \"b".into(), retention_policy, username, password, creates }
    }

    #[test]
    fn what_to_do_by_status() {
        assert!(matches!(answer(413, ""), Failure::TooLarge { .. }));
        for status in [429, 500, 503] {
            let Failure::Retry { after, .. } = answer(status, "") else { panic!("{status}") };
            assert_eq!(after, Some(Duration::from_secs(7)));
        }
        let conflict =
            r#"{"error":"partial write: field type conflict: input field \"v\" … dropped=3"}"#;
        assert!(matches!(answer(400, conflict), Failure::Refused { points: 3, .. }));
        let parse = r#"{"error":"unable to parse 'x': missing fields\nunable to parse 'y': bad"}"#;
        assert!(matches!(answer(400, parse), Failure::Suspect { .. }));
        let none = r#"{"error":"partial write: unable to parse 'x': bad dropped=0"}"#;
        assert!(matches!(answer(400, none), Failure::Suspect { .. }));
        assert!(matches!(answer(422, r#"{"message":"no"}"#), Failure::Suspect { .. }));
        assert!(matches!(answer(401, ""), Failure::Retry { .. }));
        assert!(matches!(answer(404, "page not found"), Failure::Retry { .. }));
    }

    #[test]
    fn a_missing_database_is_named_with_what_makes_it() {
        let body = r#"{"error":"database not found: \"x\""}"#;
        for (creates, end) in [(false, ", or set create_database = true"), (true, " on the server")]
        {
            let Failure::Missing { why } = answer_of(&v1(creates), 404, body) else { panic!() };
            assert!(why.contains(r#"database not found: "x""#), "{why}");
            assert!(why.contains(r#"run CREATE DATABASE "a \"b" on the server"#), "{why}");
            assert!(why.ends_with(end), "{why}");
        }
    }

    #[test]
    fn version_3_says_which_lines_it_refused() {
        let target = Target::V3 { database: "d".into(), token: None };
        assert_eq!(word(Precision::S, &target), "second");
        let line = r#"{"original_line":"x","line_number":2,"error_message":"invalid column"}"#;
        let some = format!(
            "{{\"error\":\"partial write of line protocol occurred\",\"data\":[{line},{line}]}}"
        );
        let Failure::Refused { points: 2, why } = answer_of(&target, 400, &some) else {
            panic!("partial")
        };
        assert!(
            why.ends_with("(partial write of line protocol occurred: invalid column)"),
            "{why}"
        );
        let none = format!("{{\"error\":\"parsing failed\",\"data\":{line}}}");
        assert!(matches!(answer_of(&target, 400, &none), Failure::Suspect { .. }));
        for other in [r#"{"error":"no","data":null}"#, r#"{"error":"no","data":[]}"#, "no"] {
            assert!(matches!(answer_of(&target, 400, other), Failure::Suspect { .. }), "{other}");
        }
        let Failure::Retry { why, .. } = answer_of(&target, 404, "not found") else { panic!() };
        assert!(why.ends_with("InfluxDB 2 takes version = 2"), "{why}");
    }

    #[test]
    fn times_are_scaled_and_nothing_else() {
        let lines = b"a,b=1 c=5i 1700000000123456789\na d=\"x 9\" 1700000000999999999\ndamaged\n";
        let mut scaled = Vec::new();
        scale(lines, Precision::S.unit_ns(), &mut scaled);
        let scaled = String::from_utf8(scaled).unwrap();
        assert_eq!(scaled, "a,b=1 c=5i 1700000000\na d=\"x 9\" 1700000000\ndamaged\n");
    }
}
