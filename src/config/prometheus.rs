//! `[output.prometheus]`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::place::Written;
use super::values::named_file;
use crate::base::secret::{self, Secret};
use crate::base::units::{Bytes, Time, or_seconds};
use crate::serve::prometheus;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilePrometheus {
    pub listen: Option<Spanned<String>>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub users: Option<Spanned<BTreeMap<String, Spanned<String>>>>,
    pub users_file: Option<Spanned<PathBuf>>,
    pub connections_max: Option<Spanned<usize>>,
    pub request_timeout: Option<Time>,
    pub response_timeout: Option<Time>,
    pub expire_intervals: Option<Spanned<u32>>,
    pub points_bytes_max: Option<Bytes>,
    pub gzip: Option<bool>,
    pub mode: prometheus::Mode,
    pub age_min: Option<Time>,
}

pub fn settings(
    written: &Written,
    spanned: &Spanned<FilePrometheus>,
) -> Result<prometheus::PrometheusConfig, String> {
    let file = spanned.get_ref();
    let default = || "127.0.0.1:9326".to_string();
    let listen = file.listen.as_ref().map_or_else(default, |listen| listen.get_ref().clone());
    let (host, port) = listen.rsplit_once(':').unwrap_or(("", ""));
    if let (Some(spanned), true) = (&file.listen, host.is_empty() || !is_port(port)) {
        let message = "an address to listen on is host:port, such as 127.0.0.1:9326; \
                       0.0.0.0:9326 or [::]:9326 for all";
        return Err(written.at_value(spanned, message));
    }
    let tls = match (&file.cert_file, &file.key_file) {
        (Some(cert_file), Some(key_file)) => {
            let (cert_file, key_file) = (named_file(cert_file), named_file(key_file));
            Some(prometheus::Tls { cert_file, key_file })
        }
        (None, None) => None,
        _ => return Err(written.at_value(spanned, "cert_file and key_file go together")),
    };
    let connections_max = match &file.connections_max {
        Some(max) if *max.get_ref() == 0 => {
            return Err(written.at_value(max, "at least 1 connection"));
        }
        max => max.as_ref().map_or(16, |max| *max.get_ref()),
    };
    let expire_intervals = match &file.expire_intervals {
        Some(number) if !(1..=1000).contains(number.get_ref()) => {
            return Err(written.at_value(number, "points are kept for 1 to 1000 intervals"));
        }
        number => number.as_ref().map_or(3, |number| *number.get_ref()),
    };
    Ok(prometheus::PrometheusConfig {
        listen,
        tls,
        users: users(written, file)?,
        connections_max,
        request_timeout: or_seconds(file.request_timeout, 10),
        response_timeout: or_seconds(file.response_timeout, 30),
        expire_intervals,
        points_bytes_max: file.points_bytes_max.map_or(128 << 20, |bytes| bytes.0),
        gzip: file.gzip.unwrap_or(true),
        mode: file.mode,
        age_min: or_seconds(file.age_min, 5),
    })
}

/// The users who may scrape: those in the table, and those in the file of `name:hash` lines.
fn users(written: &Written, file: &FilePrometheus) -> Result<Vec<(String, Secret)>, String> {
    let wrong = |name: &str| {
        format!(
            "the password of `{name}` is no bcrypt hash such as `htpasswd -nBC 10 {name}` prints, \
             of a cost from {} to {}",
            COSTS.start(),
            COSTS.end()
        )
    };
    let mut users = Vec::new();
    let table = file.users.as_ref();
    for (name, hash) in table.into_iter().flat_map(|table| table.get_ref()) {
        if !is_bcrypt(hash.get_ref()) {
            return Err(written.at_value(hash, wrong(name)));
        }
        users.push((name.clone(), Secret::new(hash.get_ref())));
    }
    let Some(spanned) = &file.users_file else {
        // An empty table must not let in everyone.
        return match table.filter(|table| table.get_ref().is_empty()) {
            Some(table) => {
                let why = "has no users: add one, or remove the table to let in everyone";
                Err(written.at_value(table, why))
            }
            None => Ok(users),
        };
    };
    let path = named_file(spanned.get_ref());
    let shown = path.display();
    let text = secret::read_file(&path).map_err(|why| written.at_value(spanned, why))?;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // Without a colon it may be a password: it is not shown.
        let Some((name, hash)) = line.split_once(':') else {
            return Err(format!("{shown}:{}: a line is NAME:HASH", number + 1));
        };
        if !is_bcrypt(hash) {
            return Err(format!("{shown}:{}: {}", number + 1, wrong(name)));
        }
        users.push((name.into(), Secret::new(hash)));
    }
    if users.is_empty() {
        // Nor must an empty file.
        return Err(written.at_value(spanned, format!("{shown} has no users")));
    }
    Ok(users)
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok()
}

/// A check at the highest takes some seconds; above that nobody could log in.
const COSTS: std::ops::RangeInclusive<u32> = 4..=15;

/// `$2b$12$` and 53 characters of salt and hash.
fn is_bcrypt(hash: &str) -> bool {
    let version = ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|version| hash.starts_with(version));
    let cost = hash.get(4..6).and_then(|cost| cost.parse().ok());
    let is_known = version && cost.is_some_and(|cost| COSTS.contains(&cost));
    is_known && hash.len() == 60 && hash.is_ascii()
}
