//! Makes an output from its settings.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::base::http_client::Login;
use crate::base::sys;
use crate::config::{self, Format, OutputKind};
use crate::output::influxdb::{self, Influxdb, Target};
use crate::output::kafka::{self, Kafka};
use crate::output::latest::Latest;
use crate::output::line_protocol::LineProtocol;
use crate::output::queue::Bounds;
use crate::output::remote_write::{self, RemoteWrite};
use crate::output::{Encode, Encoded, Sink, json, stdout};
use crate::serve::prometheus::{self, Prometheus};

pub type KafkaStatistics = Arc<Mutex<kafka::Statistics>>;

/// The parts of an output.
pub struct Parts {
    pub encode: Encode,
    pub bounds: Bounds,
    pub end: End,
    /// Statistics that only the Kafka output reports.
    pub kafka: Option<KafkaStatistics>,
    pub latest: Option<Arc<Latest>>,
}

/// Where an output's points end.
pub enum End {
    /// A thread writes records there.
    Sink(Box<dyn Sink>),
    /// Points are kept until they are asked for.
    Listener(Box<Prometheus>),
}

impl Parts {
    /// Whether it would work now: for `check`.
    pub fn check(&mut self) -> Result<String, String> {
        match &mut self.end {
            End::Sink(sink) => sink.check(),
            End::Listener(listener) => listener.check(),
        }
    }
}

/// How an output encodes, and what it writes to.
pub fn make_output(config: &config::Output) -> Result<Parts, String> {
    let encode = |format: &Format| -> Encode {
        match format {
            Format::Line => {
                let codec = LineProtocol::default();
                Box::new(move |batch, out| codec.encode(batch, out))
            }
            Format::Json => Box::new(json::encode),
        }
    };
    let mut bounds = Bounds {
        chunk_points_max: 5000,
        chunk_bytes_max: 256 << 10,
        queue_bytes_max: config.queue_bytes_max,
        flush_interval: Duration::ZERO,
    };
    let (mut kafka, mut latest) = (None, None);
    let (encode, end): (Encode, End) = match &config.kind {
        OutputKind::Stdout { format } => (encode(format), End::Sink(Box::new(stdout::Stdout))),
        OutputKind::File { path, format } => {
            (encode(format), End::Sink(Box::new(stdout::File { path: path.clone() })))
        }
        OutputKind::Influxdb(settings) => {
            bounds.chunk_points_max = settings.batch_points_max;
            bounds.chunk_bytes_max = settings.batch_bytes_max;
            bounds.flush_interval = settings.flush_interval;
            let codec = settings.line_protocol();
            let encode: Encode = match settings.layout {
                None => Box::new(move |batch, out| codec.encode(batch, out)),
                Some(_) => Box::new(move |batch, out| codec.encode_layout(batch, out)),
            };
            (encode, End::Sink(Box::new(Influxdb::new(settings)?)))
        }
        OutputKind::Kafka(settings) => {
            let sink = Kafka::new(settings)?;
            kafka = Some(sink.statistics());
            let settings = settings.clone();
            let encode: Encode = Box::new(move |batch, out| settings.encode(batch, out));
            (encode, End::Sink(Box::new(sink)))
        }
        OutputKind::Prometheus(settings) => {
            let listener = Prometheus::new(settings)?;
            latest = Some(listener.latest());
            // It keeps points, and encodes them only when they are asked for.
            (Box::new(|_, _| Encoded::default()), End::Listener(Box::new(listener)))
        }
        OutputKind::RemoteWrite(settings) => {
            bounds.chunk_points_max = settings.batch_points_max;
            bounds.chunk_bytes_max = settings.batch_bytes_max;
            bounds.flush_interval = settings.flush_interval;
            let instance = sys::hostname();
            let encode: Encode =
                Box::new(move |batch, out| remote_write::encode(&instance, batch, out));
            (encode, End::Sink(Box::new(RemoteWrite::new(settings)?)))
        }
    };
    Ok(Parts { encode, bounds, end, kafka, latest })
}

/// The settings without those that only the sink or the listener uses. Two outputs that agree in
/// the rest take the same records: the queue of one can go to the other.
pub fn without_sink(output: &config::Output) -> config::Output {
    let kind = match &output.kind {
        OutputKind::Influxdb(settings) => OutputKind::Influxdb(influxdb::InfluxdbConfig {
            url: String::new(),
            target: Target::V2 { org: String::new(), bucket: String::new(), token: None },
            gzip: false,
            timeout: Duration::ZERO,
            ca_file: None,
            ..settings.clone()
        }),
        OutputKind::Kafka(settings) => OutputKind::Kafka(kafka::KafkaConfig {
            brokers: String::new(),
            compression: String::new(),
            producer_bytes_max: 0,
            linger: Duration::ZERO,
            statistics_interval: Duration::ZERO,
            username: None,
            password: None,
            ca_file: None,
            librdkafka: Vec::new(),
            ..settings.clone()
        }),
        OutputKind::RemoteWrite(settings) => {
            OutputKind::RemoteWrite(remote_write::RemoteWriteConfig {
                url: String::new(),
                login: Login::None,
                tenant: None,
                timeout: Duration::ZERO,
                ca_file: None,
                ..settings.clone()
            })
        }
        OutputKind::Prometheus(settings) => OutputKind::Prometheus(prometheus::PrometheusConfig {
            listen: String::new(),
            tls: None,
            users: Vec::new(),
            connections_max: 0,
            request_timeout: Duration::ZERO,
            response_timeout: Duration::ZERO,
            gzip: false,
            age_min: Duration::ZERO,
            ..settings.clone()
        }),
        OutputKind::Stdout { .. } | OutputKind::File { .. } => output.kind.clone(),
    };
    config::Output { kind, ..output.clone() }
}
