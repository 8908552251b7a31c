//! `[output.remote_write]`.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::place::Written;
use super::values::{FileLogin, named_file};
use crate::base::units::{Bytes, Time, Timeout, or_seconds};
use crate::output::remote_write;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileRemoteWrite {
    pub url: Option<Spanned<String>>,
    pub username: Option<String>,
    pub password_file: Option<Spanned<PathBuf>>,
    pub token_file: Option<Spanned<PathBuf>>,
    pub tenant: Option<String>,
    pub batch_points_max: Option<Spanned<usize>>,
    pub batch_bytes_max: Option<Bytes>,
    pub flush_interval: Option<Time>,
    pub timeout: Option<Timeout>,
    pub ca_file: Option<PathBuf>,
    pub queue_bytes_max: Option<Bytes>,
}

pub fn settings(
    written: &Written,
    spanned: &Spanned<FileRemoteWrite>,
) -> Result<remote_write::RemoteWriteConfig, String> {
    let file = spanned.get_ref();
    let login = FileLogin {
        username: &file.username,
        password_file: &file.password_file,
        token_file: &file.token_file,
    };
    Ok(remote_write::RemoteWriteConfig {
        url: written.url(&file.url, spanned)?,
        login: written.login(login, spanned)?,
        tenant: file.tenant.clone(),
        batch_points_max: written.batch_points(&file.batch_points_max, 1000)?,
        batch_bytes_max: file.batch_bytes_max.map_or(256 << 10, |bytes| bytes.0),
        flush_interval: or_seconds(file.flush_interval, 1),
        timeout: or_seconds(file.timeout, 10),
        ca_file: file.ca_file.as_deref().map(named_file),
    })
}
