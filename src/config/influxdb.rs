//! `[output.influxdb]`.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::place::Written;
use super::values::named_file;
use crate::base::units::{Bytes, Time, Timeout, or_seconds};
use crate::collector::described;
use crate::dependency::{source, traffic};
use crate::federate::jobs;
use crate::output::influxdb;
use crate::poll::registry;
use crate::poll::router::Router;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileInfluxdb {
    pub url: Option<Spanned<String>>,
    pub version: Option<Spanned<u8>>,
    pub database: Option<String>,
    pub create_database: Option<bool>,
    pub retention_policy: Option<String>,
    pub username: Option<String>,
    pub password_file: Option<Spanned<PathBuf>>,
    pub org: Option<String>,
    pub bucket: Option<String>,
    pub token_file: Option<Spanned<PathBuf>>,
    pub batch_points_max: Option<Spanned<usize>>,
    pub batch_bytes_max: Option<Bytes>,
    pub flush_interval: Option<Time>,
    pub precision: Option<influxdb::Precision>,
    pub gzip: Option<bool>,
    pub integers: Option<influxdb::Integers>,
    pub timeout: Option<Timeout>,
    pub ca_file: Option<PathBuf>,
    pub host_tag: Option<String>,
    pub layout: Option<influxdb::Layout>,
    pub queue_bytes_max: Option<Bytes>,
}

/// Tags of perijove's own metrics.
pub const OWN_TAGS: &[&str] =
    &["collector", "job", "kind", "list", "output", "severity", "source", "subject", "version"];

pub fn settings(
    written: &Written,
    spanned: &Spanned<FileInfluxdb>,
) -> Result<influxdb::InfluxdbConfig, String> {
    let file = spanned.get_ref();
    let fail = |message: &str| written.at_value(spanned, message);
    let version = file.version.as_ref().map_or(1, |version| *version.get_ref());
    if let Some(spanned) = file.version.as_ref().filter(|_| !(1..=3).contains(&version)) {
        let message = "version is 1 (with database), 2 (with org and bucket) or 3 (with database)";
        return Err(written.at_value(spanned, message));
    }
    check_keys(written, spanned, version)?;
    let target = match version {
        1 => influxdb::Target::V1 {
            database: file.database.clone().unwrap_or("perijove".into()),
            retention_policy: file.retention_policy.clone().unwrap_or_default(),
            username: file.username.clone(),
            password: written.secret_file(&file.password_file)?,
            creates: file.create_database.unwrap_or(false),
        },
        2 => influxdb::Target::V2 {
            token: written.secret_file(&file.token_file)?,
            org: file.org.clone().ok_or_else(|| fail("version 2 needs an org"))?,
            bucket: file.bucket.clone().ok_or_else(|| fail("version 2 needs a bucket"))?,
        },
        _ => influxdb::Target::V3 {
            token: written.secret_file(&file.token_file)?,
            database: file.database.clone().unwrap_or("perijove".into()),
        },
    };
    if file.username.is_some() != file.password_file.is_some() && version == 1 {
        return Err(fail("username and password_file go together"));
    }
    Ok(influxdb::InfluxdbConfig {
        url: written.base_url(&file.url, spanned)?,
        target,
        batch_points_max: written.batch_points(&file.batch_points_max, 5000)?,
        batch_bytes_max: file.batch_bytes_max.map_or(512 << 10, |bytes| bytes.0),
        flush_interval: or_seconds(file.flush_interval, 1),
        precision: file.precision.unwrap_or_default(),
        gzip: file.gzip.unwrap_or(true),
        integers: file.integers.unwrap_or_default(),
        timeout: or_seconds(file.timeout, 10),
        ca_file: file.ca_file.as_deref().map(named_file),
        host_tag: file.host_tag.clone().unwrap_or("host".into()),
        layout: file.layout,
    })
}

/// Refuses a `host_tag` that a router has as a tag of its own.
pub fn check_host_tag<'a>(
    written: &Written,
    spanned: &Spanned<FileInfluxdb>,
    mut routers: impl Iterator<Item = &'a Router>,
) -> Result<(), String> {
    let host_tag = spanned.get_ref().host_tag.as_deref().unwrap_or_default();
    let Some(router) = routers.find(|router| router.tags.has(host_tag)) else {
        return Ok(());
    };
    let why = format!("`{host_tag}` has the name of a tag of {}", router.name);
    written.refuse(spanned, &[("host_tag", true)], &why)
}

/// Refuses empty names, the other version's keys, and a `host_tag` that is another tag's name:
/// it would take that tag's place, and all its series would be one.
fn check_keys(
    written: &Written,
    spanned: &Spanned<FileInfluxdb>,
    version: u8,
) -> Result<(), String> {
    let file = spanned.get_ref();
    written.refuse_empty(
        spanned,
        &[
            ("database", &file.database),
            ("username", &file.username),
            ("org", &file.org),
            ("bucket", &file.bucket),
            ("host_tag", &file.host_tag),
        ],
    )?;
    let of_1 = [
        ("create_database", file.create_database.is_some()),
        ("retention_policy", file.retention_policy.is_some()),
        ("username", file.username.is_some()),
        ("password_file", file.password_file.is_some()),
    ];
    let of_2 = [("org", file.org.is_some()), ("bucket", file.bucket.is_some())];
    let refuse = |keys: &[(&str, bool)], versions: &str| {
        let why = format!("is for version = {versions}, and this is version {version}");
        written.refuse(spanned, keys, &why)
    };
    if version != 1 {
        refuse(&of_1, "1")?;
    }
    if version != 2 {
        refuse(&of_2, "2")?;
    }
    match version {
        1 => refuse(&[("token_file", file.token_file.is_some())], "2 or 3")?,
        2 => refuse(&[("database", file.database.is_some())], "1 or 3")?,
        _ => {}
    }
    let of_points = [source::MEASUREMENTS, traffic::MEASUREMENTS, jobs::MEASUREMENTS];
    let built_in = registry::collectors().iter().map(|entry| entry.measurements);
    let own = described::loaded().into_iter().map(|entry| entry.measurements);
    let all = built_in.chain(own).chain(of_points);
    let mut tags = all.flatten().flat_map(|schema| schema.tags()).chain(OWN_TAGS);
    let taken = file.host_tag.as_deref().is_some_and(|name| tags.any(|tag| *tag == name));
    written.refuse(spanned, &[("host_tag", taken)], "has the name of a tag that points have")
}
