//! `[output]` and `[spool]`: where points go, and what keeps them meanwhile.

use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::influxdb::{self, FileInfluxdb};
use super::kafka::{self, FileKafka};
use super::place::Written;
use super::prometheus::{self, FilePrometheus};
use super::remote_write::{self, FileRemoteWrite};
use crate::base::units::{Bytes, Interval, Time, or_seconds};
use crate::output::{self, spool};
use crate::serve;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileOutputs {
    pub stdout: Option<FileStdout>,
    pub file: Option<FileFile>,
    pub influxdb: Option<Spanned<FileInfluxdb>>,
    pub kafka: Option<Spanned<FileKafka>>,
    pub prometheus: Option<Spanned<FilePrometheus>>,
    pub remote_write: Option<Spanned<FileRemoteWrite>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    #[default]
    Line,
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileStdout {
    pub format: Format,
    pub queue_bytes_max: Option<Bytes>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFile {
    pub path: PathBuf,
    #[serde(default)]
    pub format: Format,
    pub queue_bytes_max: Option<Bytes>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSpool {
    pub directory: PathBuf,
    pub bytes_max: Option<Bytes>,
    pub age_max: Option<Time>,
    pub sync_interval: Option<Interval>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub kind: OutputKind,
    pub queue_bytes_max: usize,
    pub spool: Option<spool::SpoolConfig>,
}

impl Output {
    pub fn name(&self) -> &'static str {
        match &self.kind {
            OutputKind::Stdout { .. } => "stdout",
            OutputKind::File { .. } => "file",
            OutputKind::Influxdb(_) => "influxdb",
            OutputKind::Kafka(_) => "kafka",
            OutputKind::Prometheus(_) => "prometheus",
            OutputKind::RemoteWrite(_) => output::remote_write::OUTPUT,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum OutputKind {
    Stdout { format: Format },
    File { path: PathBuf, format: Format },
    Influxdb(output::influxdb::InfluxdbConfig),
    Kafka(output::kafka::KafkaConfig),
    Prometheus(serve::prometheus::PrometheusConfig),
    RemoteWrite(output::remote_write::RemoteWriteConfig),
}

pub fn outputs(
    written: &Written,
    outputs: &FileOutputs,
    spool: Option<&FileSpool>,
    faults: &mut Vec<String>,
) -> Vec<Output> {
    let mut found = Vec::new();
    let mut add = |kind: Result<OutputKind, String>, queue_bytes_max: Option<Bytes>| {
        let kind = match kind {
            Ok(kind) => kind,
            Err(why) => return faults.push(why),
        };
        let queue_bytes_max = queue_bytes_max.map_or(4 << 20, |bytes| bytes.0);
        let mut output = Output { kind, queue_bytes_max, spool: None };
        output.spool = spool.and_then(|spool| of_output(spool, &output));
        found.push(output);
    };
    if let Some(FileStdout { format, queue_bytes_max }) = &outputs.stdout {
        add(Ok(OutputKind::Stdout { format: *format }), *queue_bytes_max);
    }
    if let Some(FileFile { path, format, queue_bytes_max }) = &outputs.file {
        add(Ok(OutputKind::File { path: path.clone(), format: *format }), *queue_bytes_max);
    }
    if let Some(influxdb) = &outputs.influxdb {
        let kind = influxdb::settings(written, influxdb).map(OutputKind::Influxdb);
        add(kind, influxdb.get_ref().queue_bytes_max);
    }
    if let Some(kafka) = &outputs.kafka {
        let kind = kafka::settings(written, kafka).map(OutputKind::Kafka);
        add(kind, kafka.get_ref().queue_bytes_max);
    }
    if let Some(prometheus) = &outputs.prometheus {
        add(prometheus::settings(written, prometheus).map(OutputKind::Prometheus), None);
    }
    if let Some(remote_write) = &outputs.remote_write {
        let kind = remote_write::settings(written, remote_write).map(OutputKind::RemoteWrite);
        add(kind, remote_write.get_ref().queue_bytes_max);
    }
    if found.is_empty() {
        let kind = OutputKind::Stdout { format: Format::Line };
        found.push(Output { kind, queue_bytes_max: 4 << 20, spool: None });
    }
    found
}

/// Each output has its own directory. Standard output has no spool, nor has Prometheus, which
/// scrapes only the latest points.
fn of_output(file: &FileSpool, output: &Output) -> Option<spool::SpoolConfig> {
    if let OutputKind::Stdout { .. } | OutputKind::Prometheus(_) = output.kind {
        return None;
    }
    Some(spool::SpoolConfig {
        directory: file.directory.join(output.name()),
        bytes_max: file.bytes_max.map_or(64 << 20, |bytes| bytes.0 as u64),
        age_max: or_seconds(file.age_max, 86400),
        sync_interval: or_seconds(file.sync_interval, 5),
    })
}
