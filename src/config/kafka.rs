//! `[output.kafka]`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::place::Written;
use super::values::named_file;
use crate::base::secret::Secret;
use crate::base::units::{Bytes, Interval, Time, or_seconds};
use crate::output::kafka;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileKafka {
    pub brokers: Option<String>,
    pub topic: Option<Spanned<String>>,
    pub key: Option<Spanned<String>>,
    pub value: Option<kafka::Value>,
    pub layout: Option<kafka::Layout>,
    pub compression: Option<String>,
    pub producer_bytes_max: Option<Bytes>,
    pub linger: Option<Time>,
    pub statistics_interval: Option<Interval>,
    pub username: Option<String>,
    pub password_file: Option<Spanned<PathBuf>>,
    pub ca_file: Option<PathBuf>,
    pub queue_bytes_max: Option<Bytes>,
    pub librdkafka: BTreeMap<String, toml::Value>,
}

pub fn settings(
    written: &Written,
    spanned: &Spanned<FileKafka>,
) -> Result<kafka::KafkaConfig, String> {
    let file = spanned.get_ref();
    let fail = |message: &str| written.at_value(spanned, message);
    let template = |template: &Option<Spanned<String>>, or: &str| match template {
        None => Ok(or.to_string()),
        Some(template) => kafka::check_template(template.get_ref())
            .map(|()| template.get_ref().clone())
            .map_err(|message| written.at_value(template, message)),
    };
    if file.layout.is_some() && file.value == Some(kafka::Value::Line) {
        return Err(fail("a layout has values of its own: value = \"line\" cannot be"));
    }
    let mut librdkafka = Vec::new();
    for (name, value) in &file.librdkafka {
        let value = property(value)
            .ok_or_else(|| fail(&format!("librdkafka.{name} is no text, number or boolean")))?;
        librdkafka.push((name.clone(), Secret::new(value)));
    }
    Ok(kafka::KafkaConfig {
        brokers: file.brokers.clone().ok_or_else(|| fail("needs brokers"))?,
        topic: template(&file.topic, "{collector}")?,
        key: template(&file.key, if file.layout.is_some() { "{time}" } else { "{node}" })?,
        layout: file.layout,
        value: file.value.unwrap_or_default(),
        compression: file.compression.clone().unwrap_or("lz4".into()),
        producer_bytes_max: file.producer_bytes_max.map_or(8 << 20, |bytes| bytes.0),
        // A chunk is handed over at once and then waited for: a longer time would gather no more.
        linger: file.linger.unwrap_or(Time(Duration::from_millis(1))).0,
        statistics_interval: or_seconds(file.statistics_interval, 30),
        username: file.username.clone(),
        password: written.secret_file(&file.password_file)?,
        ca_file: file.ca_file.as_deref().map(named_file),
        librdkafka,
    })
}

/// What librdkafka takes its properties as.
fn property(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}
