//! InfluxDB over HTTP: the write API of version 1 and of version 2.

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
    },
    V2 {
        org: String,
        bucket: String,
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
        };
        let agent = http_client::agent(settings.timeout, settings.ca_file.as_deref())?;
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
        let precision = match precision {
            Precision::Ns => "ns",
            // Version 1 takes any other word for nanoseconds.
            Precision::Us if matches!(self.settings.target, Target::V1 { .. }) => "u",
            Precision::Us => "us",
            Precision::Ms => "ms",
            Precision::S => "s",
        };
        let mut request = match &self.settings.target {
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
        };
        request = request.query("precision", precision);
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
}

impl Sink for Influxdb {
    fn write(&mut self, records: &[u8], _: u64, _: &dyn Fn() -> bool) -> Result<(), Failure> {
        let retry = |why: String| Failure::Retry { after: None, why };
        let response = self.post(records).map_err(|err| {
            retry(format!("cannot write to {}: {}", self.settings.url, http_client::describe(&err)))
        })?;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            return Ok(());
        }
        Err(failure(head.status, &head.headers, &http_client::words(body)))
    }

    /// Writing nothing is allowed, and tells whether writing something would be.
    fn check(&mut self) -> Result<String, String> {
        match self.write(b"", 0, &|| true) {
            // Both versions may say that nothing came; they say it after they have let us in.
            Ok(()) | Err(Failure::Suspect { .. } | Failure::Refused { .. }) => {
                Ok(format!("{} takes points", self.settings.url))
            }
            Err(Failure::Retry { why, .. } | Failure::TooLarge { why }) => Err(why),
            Err(Failure::Gone) => Err("gone".into()),
        }
    }
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
fn failure(status: StatusCode, headers: &HeaderMap, answer: &str) -> Failure {
    let words = words(answer);
    let why = format!("the server answered {} ({})", status.as_u16(), first_line(&words));
    match status.as_u16() {
        413 => Failure::TooLarge { why },
        400 | 422 => match dropped(&words) {
            // A line that cannot be parsed: version 1 writes the others of its batch, version 2
            // writes none.
            0 => Failure::Suspect { why },
            points => Failure::Refused { points, why },
        },
        401 | 403 => {
            let why = format!("{why}: check username, password_file or token_file");
            Failure::Retry { after: None, why }
        }
        404 => {
            let why = format!("{why}: check url, database, org and bucket");
            Failure::Retry { after: None, why }
        }
        _ => Failure::Retry { after: http_client::retry_after(headers), why },
    }
}

/// The message in the server's JSON, or what it said.
fn words(answer: &str) -> String {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(alias = "message")]
        error: String,
    }
    serde_json::from_str::<Answer>(answer).map_or(answer.trim().to_string(), |a| a.error)
}

/// How many points were refused, the others being written, if it is said.
fn dropped(words: &str) -> u64 {
    let Some((_, count)) = words.rsplit_once("dropped=") else { return 0 };
    let end = count.find(|c: char| !c.is_ascii_digit()).unwrap_or(count.len());
    count[..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Failure {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "7".parse().unwrap());
        failure(StatusCode::from_u16(status).unwrap(), &headers, body)
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
        let Failure::Retry { why, .. } = answer(404, r#"{"error":"database not found: \"x\""}"#)
        else {
            panic!("404")
        };
        assert!(why.contains(r#"database not found: "x""#), "{why}");
        assert!(matches!(answer(401, ""), Failure::Retry { .. }));
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
