//! `[federate]`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::place::Written;
use super::values::{FileLogin, named_file};
use crate::base::prefix::Prefix;
use crate::base::units::{Bytes, Interval, Time, Timeout, or_seconds};
use crate::federate;
use crate::federate::exclusions::{Exclusions, name_pattern};
use crate::federate::jobs::{Job, MEASUREMENTS, Query};
use crate::federate::query;
use crate::federate::windows::{Schedule, Windows};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileFederate {
    pub url: Option<Spanned<String>>,
    pub username: Option<String>,
    pub password_file: Option<Spanned<PathBuf>>,
    pub token_file: Option<Spanned<PathBuf>>,
    pub tenant: Option<String>,
    pub ca_file: Option<PathBuf>,
    pub timeout: Option<Timeout>,
    pub answer_bytes_max: Option<Bytes>,
    pub partial: bool,
    pub every: Option<Spanned<Interval>>,
    pub cron: Option<Spanned<String>>,
    pub offset: Option<Time<1000>>,
    pub gap_max: Option<Time<1000>>,
    pub window_max: Option<Interval>,
    pub catch_up_max: Option<Time<1000>>,
    pub jobs: Option<Spanned<Vec<String>>>,
    pub matchers: String,
    pub rows_max: Option<usize>,
    pub exclude: FileExclude,
    pub query: Vec<Spanned<FileQuery>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileExclude {
    pub ports: Option<Vec<u16>>,
    pub prefixes: Option<Vec<Prefix>>,
    pub names: Option<Spanned<Vec<String>>>,
    pub bandwidth_min: Option<f64>,
    pub unnamed: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileQuery {
    pub measurement: String,
    pub field: String,
    pub query: String,
}

/// What every machine talks to: logins, names, time, monitoring, service discovery.
const PORTS: &[u16] = &[22, 53, 111, 123, 5666, 8300, 8301, 8500, 9100, 11560, 11910, 19100];
/// Loopback and link-local addresses.
const PREFIXES: &[&str] = &["127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10"];
const NAMES: &[&str] = &["localhost", ".*prometheus.*"];

const JOBS: &[(&str, Job)] = &[
    ("traffic", Job::Traffic),
    ("ebpf_traffic", Job::EbpfTraffic),
    ("upstream", Job::Upstream),
    ("downstream", Job::Downstream),
    ("one_sided", Job::OneSided),
];

/// Prometheus's rule for names of metrics, without the colon.
fn is_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(is_letter) && text.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

pub fn settings(
    written: &Written,
    spanned: &Spanned<FileFederate>,
    state_directory: &Path,
) -> Result<federate::FederateConfig, String> {
    let file = spanned.get_ref();
    let login = FileLogin {
        username: &file.username,
        password_file: &file.password_file,
        token_file: &file.token_file,
    };
    let schedule = match (&file.every, &file.cron) {
        (Some(_), Some(cron)) => {
            return Err(written.at_value(cron, "either every or cron"));
        }
        (_, Some(cron)) => {
            let cron = cron.get_ref().parse().map_err(|why: String| written.at_value(cron, why))?;
            Schedule::Cron(cron)
        }
        (every, None) => {
            let every = or_seconds(every.as_ref().map(|every| *every.get_ref()), 30);
            Schedule::Every { ms: every.as_millis() as u64 }
        }
    };
    let ms = |time: std::time::Duration| time.as_millis() as u64;
    Ok(federate::FederateConfig {
        query: query::PrometheusQueryConfig {
            url: written.base_url(&file.url, spanned)?,
            login: written.login(login, spanned)?,
            tenant: file.tenant.clone(),
            timeout: or_seconds(file.timeout, 60),
            ca_file: file.ca_file.as_deref().map(named_file),
            answer_bytes_max: file.answer_bytes_max.map_or(1 << 30, |bytes| bytes.0 as u64),
            partial: file.partial,
        },
        windows: Windows { schedule, longest_ms: ms(or_seconds(file.window_max, 300)) },
        offset_ms: ms(or_seconds(file.offset, 75)),
        gap_max_ms: ms(or_seconds(file.gap_max, 3600)),
        catch_up_max_ms: ms(or_seconds(file.catch_up_max, 86_400)),
        jobs: jobs(written, file)?,
        exclusions: exclusions(written, &file.exclude)?,
        matchers: file.matchers.clone(),
        rows_max: file.rows_max.unwrap_or(200_000),
        progress_file: state_directory.join("federate.progress"),
    })
}

fn jobs(written: &Written, file: &FileFederate) -> Result<Vec<Job>, String> {
    let mut jobs: Vec<Job> = match &file.jobs {
        None => JOBS.iter().map(|(_, job)| job.clone()).collect(),
        Some(names) => {
            let mut jobs = Vec::new();
            for name in names.get_ref() {
                let known = JOBS.iter().find(|(known, _)| known == name).ok_or_else(|| {
                    let known: Vec<&str> = JOBS.iter().map(|(name, _)| *name).collect();
                    let message = format!("`{name}` is not one of {}", known.join(", "));
                    written.at_value(names, message)
                })?;
                jobs.push(known.1.clone());
            }
            jobs
        }
    };
    for query in &file.query {
        let FileQuery { measurement, field, query: expression } = query.get_ref();
        for name in [measurement, field] {
            if !is_name(name) || name == "time" {
                let message = format!("`{name}` is no name of letters, digits and _");
                return Err(written.at_value(query, message));
            }
        }
        if MEASUREMENTS.iter().any(|own| own.name() == measurement) {
            let message = format!("`{measurement}` is what one of the jobs writes");
            return Err(written.at_value(query, message));
        }
        let asked = Query::leak(measurement, field, expression);
        if jobs.iter().any(|job| job.name() == asked.name) {
            let message = format!("there are two queries for {field} of `{measurement}`");
            return Err(written.at_value(query, message));
        }
        jobs.push(Job::Query(asked));
    }
    if let (Some(names), true) = (&file.jobs, jobs.is_empty()) {
        return Err(written.at_value(names, "there is nothing to ask: no job and no query"));
    }
    Ok(jobs)
}

fn exclusions(written: &Written, file: &FileExclude) -> Result<Exclusions, String> {
    let names = || NAMES.iter().map(|text| text.to_string()).collect();
    let names: Vec<String> =
        file.names.as_ref().map_or_else(names, |names| names.get_ref().clone());
    let names: Result<_, String> = names.iter().map(|text| name_pattern(text)).collect();
    let names = names.map_err(|why| match &file.names {
        Some(names) => written.at_value(names, why),
        None => why,
    })?;
    let prefixes = || PREFIXES.iter().filter_map(|text| text.parse().ok()).collect();
    Ok(Exclusions {
        ports: file.ports.clone().unwrap_or_else(|| PORTS.to_vec()),
        prefixes: file.prefixes.clone().unwrap_or_else(prefixes),
        names,
        bandwidth_min: file.bandwidth_min.unwrap_or(1000.0),
        unnamed: file.unnamed == Some(false),
    })
}
