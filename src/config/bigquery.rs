//! `[bigquery]`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::place::Written;
use super::values::{FileLogin, named_file};
use crate::base::http_client::Login;
use crate::base::secret::Secret;
use crate::base::units::{Time, Timeout, or_seconds};
use crate::bigquery::token::Credentials;
use crate::bigquery::{BigqueryConfig, influxql};
use crate::federate::windows::Schedule;

/// An emulator's host and port, as Google's own clients have it.
const EMULATOR_VARIABLE: &str = "BIGQUERY_EMULATOR_HOST";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileBigquery {
    pub project: Option<String>,
    pub dataset: Option<String>,
    pub traffic_table: Option<String>,
    pub dependency_table: Option<String>,
    pub traffic_cron: Option<Spanned<String>>,
    pub dependency_cron: Option<Spanned<String>>,
    pub url: Option<Spanned<String>>,
    pub service_account_file: Option<PathBuf>,
    pub token_file: Option<PathBuf>,
    pub metadata_url: Option<Spanned<String>>,
    pub timeout: Option<Timeout>,
    pub retry_max: Option<Time>,
    pub ca_file: Option<PathBuf>,
    pub batch_rows_max: Option<Spanned<usize>>,
    pub influxdb: Option<Spanned<FileSource>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileSource {
    pub url: Option<Spanned<String>>,
    pub database: Option<String>,
    pub retention_policy: Option<String>,
    pub username: Option<String>,
    pub password_file: Option<Spanned<PathBuf>>,
    pub token_file: Option<Spanned<PathBuf>>,
    pub timeout: Option<Timeout>,
    pub ca_file: Option<PathBuf>,
}

pub fn settings(
    written: &Written,
    spanned: &Spanned<FileBigquery>,
    state_directory: &Path,
) -> Result<BigqueryConfig, String> {
    let file = spanned.get_ref();
    let needs = |what: &str| written.at_value(spanned, format!("needs {what}"));
    let influxdb = file.influxdb.as_ref();
    let influxdb = influxdb.ok_or_else(|| needs("[bigquery.influxdb], to read from"))?;
    let cron = |line: &Option<Spanned<String>>, or: &str| {
        let parsed = match line {
            None => or.parse(),
            Some(line) => line.get_ref().parse().map_err(|why: String| written.at_value(line, why)),
        };
        parsed.map(Schedule::Cron)
    };
    let emulator = std::env::var(EMULATOR_VARIABLE).ok().filter(|host| !host.is_empty());
    let emulator = emulator.map(|host| match host.contains("://") {
        true => host.trim_end_matches('/').to_string(),
        false => format!("http://{host}"),
    });
    let url = match (&file.url, &emulator) {
        (Some(_), _) => written.base_url(&file.url, spanned)?,
        (None, Some(emulator)) => emulator.clone(),
        (None, None) => "https://bigquery.googleapis.com".into(),
    };
    let metadata = "http://metadata.google.internal".to_string();
    let credentials = match (&file.service_account_file, &file.token_file, &file.metadata_url) {
        (Some(path), None, None) => Credentials::ServiceAccount(named_file(path)),
        (None, Some(path), None) => Credentials::TokenFile(named_file(path)),
        (None, None, Some(_)) => {
            Credentials::Metadata { url: written.base_url(&file.metadata_url, spanned)? }
        }
        (None, None, None) if emulator.is_some() => Credentials::None,
        (None, None, None) => Credentials::Metadata { url: metadata },
        _ => {
            let message = "one of service_account_file, token_file and metadata_url";
            return Err(written.at_value(spanned, message));
        }
    };
    Ok(BigqueryConfig {
        influxdb: bigquery_source(written, influxdb)?,
        url,
        project: file.project.clone().ok_or_else(|| needs("a project"))?,
        dataset: file.dataset.clone().ok_or_else(|| needs("a dataset"))?,
        traffic_table: file.traffic_table.clone().unwrap_or("planet_exporter_traffic".into()),
        dependency_table: file
            .dependency_table
            .clone()
            .unwrap_or("planet_exporter_dependency".into()),
        traffic: cron(&file.traffic_cron, "30 5 * * * *")?,
        dependency: cron(&file.dependency_cron, "30 5 11 * * *")?,
        credentials,
        timeout: or_seconds(file.timeout, 60),
        ca_file: file.ca_file.as_deref().map(named_file),
        retry_max: or_seconds(file.retry_max, 300),
        rows_max: written.batch_points(&file.batch_rows_max, 500)?,
        progress_file: state_directory.join("bigquery.progress"),
    })
}

fn bigquery_source(
    written: &Written,
    spanned: &Spanned<FileSource>,
) -> Result<influxql::InfluxqlConfig, String> {
    let file = spanned.get_ref();
    let login = FileLogin {
        username: &file.username,
        password_file: &file.password_file,
        token_file: &file.token_file,
    };
    let authorization = match written.login(login, spanned)? {
        // InfluxDB has its own word for it.
        Login::Bearer(token) => Some(Secret::new(format!("Token {}", token.expose()))),
        login => login.header(),
    };
    Ok(influxql::InfluxqlConfig {
        url: written.base_url(&file.url, spanned)?,
        database: file.database.clone().unwrap_or("perijove".into()),
        retention_policy: file.retention_policy.clone(),
        authorization,
        timeout: or_seconds(file.timeout, 300),
        ca_file: file.ca_file.as_deref().map(named_file),
    })
}
