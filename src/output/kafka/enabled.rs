//! The producer: librdkafka's, with a thread of its own; no async runtime.
//!
//! Nothing leaves the queue before its delivery report came. Within a session the producer is
//! idempotent: what librdkafka sends again arrives once. A record that a broker refuses for good,
//! even when it comes alone, is dropped and counted; all other failures are librdkafka's to retry,
//! or ours. A session that librdkafka declares beyond repair is followed by a new one.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, PurgeConfig,
    ThreadedProducer,
};

use super::{KafkaConfig, Statistics, record};
use crate::base::sync::{self, lock};
use crate::base::text::first_line;
use crate::output::sink::{Failure, Sink};

const POLL: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_secs(1);
const LOG_INTERVAL: Duration = Duration::from_secs(60);
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// What became of the records on their way.
#[derive(Default)]
struct Reports {
    waiting: usize,
    /// Counts the tries, so that a late report of an earlier one is told apart.
    attempt: usize,
    /// Lines to send again.
    again: Vec<usize>,
    /// Lines that a broker will not take in this company.
    refused: Vec<usize>,
    why: String,
    /// The last trouble with a broker, and when it was logged.
    trouble: Option<Instant>,
}

#[derive(Default)]
struct Shared {
    reports: Mutex<Reports>,
    changed: Condvar,
    statistics: Arc<Mutex<Statistics>>,
}

struct Context(Arc<Shared>);

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log::debug!("kafka: {level:?}: {facility}: {}", first_line(message));
    }

    fn error(&self, err: KafkaError, reason: &str) {
        let mut reports = lock(&self.0.reports);
        if reports.trouble.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
            reports.trouble = Some(Instant::now());
            log::warn!("kafka: {err}: {}", first_line(reason));
        }
    }

    fn stats(&self, from: rdkafka::Statistics) {
        let count = |number: i64| u64::try_from(number).unwrap_or(0);
        let brokers = || from.brokers.values().filter(|broker| broker.nodeid >= 0);
        let trips = brokers().filter_map(|broker| broker.rtt.as_ref()).map(|rtt| rtt.avg as f64);
        *lock(&self.0.statistics) = Statistics {
            brokers_up: brokers().filter(|broker| broker.state == "UP").count() as u64,
            waiting_records: from.msg_cnt,
            waiting_bytes: from.msg_size,
            sent_records: count(from.txmsgs),
            sent_bytes: count(from.txmsg_bytes),
            retries: brokers().map(|broker| broker.txretries).sum(),
            round_trip_seconds: trips.reduce(f64::max).map(|microseconds| microseconds / 1e6),
        };
    }
}

impl ProducerContext<NoCustomPartitioner> for Context {
    /// The attempt and the line.
    type DeliveryOpaque = Box<(usize, usize)>;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Self::DeliveryOpaque) {
        let (attempt, line) = *opaque;
        let mut reports = lock(&self.0.reports);
        if reports.attempt != attempt {
            return;
        }
        reports.waiting -= 1;
        if let Err((err, _)) = result {
            reports.why = err.to_string();
            match err.rdkafka_error_code() {
                Some(code) if is_refusal(code) => reports.refused.push(line),
                _ => reports.again.push(line),
            }
        } else if reports.trouble.take().is_some() {
            log::info!("kafka: records are delivered again");
        }
        if reports.waiting == 0 {
            self.0.changed.notify_one();
        }
    }
}

/// Whether a broker will never take the record.
fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::MessageSizeTooLarge
            | Code::MessageBatchTooLarge
            | Code::InvalidMessage
            | Code::InvalidRecord
            | Code::InvalidTimestamp
            | Code::InvalidTopic
    )
}

/// librdkafka would take responses of 100 MB. Those that a producer gets list brokers and topics.
const RESPONSE_BYTES_MAX: usize = 4 << 20;

/// A producer of its own session.
fn start_producer(
    settings: &KafkaConfig,
    shared: &Arc<Shared>,
) -> Result<ThreadedProducer<Context>, String> {
    let mut config = ClientConfig::new();
    let kilobytes = (settings.producer_bytes_max >> 10).max(1);
    let milliseconds = |time: Duration| time.as_millis().to_string();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", "perijove")
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("compression.type", &settings.compression)
        .set("linger.ms", milliseconds(settings.linger))
        .set("queue.buffering.max.kbytes", kilobytes.to_string())
        // Ours is the queue that has limits of age and size: librdkafka never gives up.
        .set("message.timeout.ms", "0")
        .set("statistics.interval.ms", milliseconds(settings.statistics_interval))
        .set("log.connection.close", "false")
        .set("receive.message.max.bytes", RESPONSE_BYTES_MAX.to_string())
        .set_log_level(RDKafkaLogLevel::Warning);
    if let Some(username) = &settings.username {
        config.set("sasl.username", username);
    }
    if let Some(password) = &settings.password {
        config.set("sasl.password", password.expose());
    }
    if let Some(path) = &settings.ca_file {
        config.set("ssl.ca.location", path.to_string_lossy());
    }
    for (name, value) in &settings.librdkafka {
        config.set(name, value.expose());
    }
    let producer = config.create_with_context(Context(shared.clone()));
    producer.map_err(|err| match err {
        // Its own words have the value in them, which may be a password.
        KafkaError::ClientConfig(_, why, name, _) => {
            let own = settings.librdkafka.iter().map(|(_, value)| value.expose());
            let why = own.fold(why, |why, value| match value {
                "" => why,
                value => why.replace(value, "…"),
            });
            format!("librdkafka: {name}: {why}")
        }
        err => format!("librdkafka: {err}"),
    })
}

pub struct Kafka {
    producer: ThreadedProducer<Context>,
    shared: Arc<Shared>,
    settings: KafkaConfig,
}

impl Kafka {
    /// The version of librdkafka.
    pub fn version() -> Option<String> {
        Some(rdkafka::util::get_rdkafka_version().1)
    }

    /// Connects when it can: a broker that is away now is no error. Fails if librdkafka does not
    /// take the settings.
    pub fn new(settings: &KafkaConfig) -> Result<Kafka, String> {
        let shared = Arc::new(Shared::default());
        let producer = start_producer(settings, &shared)?;
        Ok(Kafka { producer, shared, settings: settings.clone() })
    }

    pub fn statistics(&self) -> Arc<Mutex<Statistics>> {
        self.shared.statistics.clone()
    }

    /// Hands these lines to librdkafka, waiting while its queue is full; false without time left.
    fn send(&self, lines: &[&str], which: &[usize], has_time: &dyn Fn() -> bool) -> bool {
        let attempt = {
            let mut reports = lock(&self.shared.reports);
            reports.attempt += 1;
            reports.waiting = which.len();
            reports.again.clear();
            reports.refused.clear();
            reports.attempt
        };
        for line in which {
            let Some(record) = record(lines[*line]) else {
                self.refuse(*line, "a record of the queue is damaged");
                continue;
            };
            let header = |key, value| Header { key, value: Some(value) };
            let headers = OwnedHeaders::new_with_capacity(2)
                .insert(header("schema", record.measurement))
                .insert(header("collector", record.collector));
            let mut message = BaseRecord::with_opaque_to(record.topic, Box::new((attempt, *line)))
                .key(record.key)
                .timestamp(record.time_ms)
                .payload(record.value)
                .headers(headers);
            while let Err((err, back)) = self.producer.send(message) {
                message = back;
                match err.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::QueueFull) => {}
                    Some(code) if is_refusal(code) => {
                        self.refuse(*line, &err.to_string());
                        break;
                    }
                    _ => {
                        let mut reports = lock(&self.shared.reports);
                        reports.waiting -= 1;
                        reports.again.push(*line);
                        reports.why = err.to_string();
                        break;
                    }
                }
                if !has_time() {
                    return false;
                }
                // Delivery reports make room.
                let reports = lock(&self.shared.reports);
                drop(sync::wait(&self.shared.changed, reports, Some(POLL / 10)));
            }
        }
        true
    }

    fn refuse(&self, line: usize, why: &str) {
        let mut reports = lock(&self.shared.reports);
        reports.waiting -= 1;
        reports.refused.push(line);
        reports.why = why.to_string();
    }

    fn trouble(&self, records: usize, why: &str) {
        let mut reports = lock(&self.shared.reports);
        if reports.trouble.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
            reports.trouble = Some(Instant::now());
            log::warn!("kafka: {records} records are sent again: {why}");
        }
    }

    /// Starts a new session in place of one that can send nothing any more, as when the brokers
    /// have forgotten what they acknowledged.
    fn renew(&mut self) -> Result<(), Failure> {
        let Some((_, why)) = self.producer.client().fatal_error() else { return Ok(()) };
        log::warn!("kafka: a new session begins: {why}");
        let retry = |why| Failure::Retry { after: None, why };
        self.producer = start_producer(&self.settings, &self.shared).map_err(retry)?;
        Ok(())
    }

    /// Takes back what is still in librdkafka's hands: the queue keeps it.
    fn out_of_time(&self) -> Failure {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        Failure::Retry { after: None, why: "no delivery report in time".into() }
    }

    /// Waits for the reports of all that was sent; false without time left.
    fn wait(&self, has_time: &dyn Fn() -> bool) -> bool {
        let mut reports = lock(&self.shared.reports);
        while reports.waiting > 0 {
            if !has_time() {
                return false;
            }
            reports = sync::wait(&self.shared.changed, reports, Some(POLL));
        }
        true
    }
}

impl Sink for Kafka {
    fn write(
        &mut self,
        records: &[u8],
        _: u64,
        has_time: &dyn Fn() -> bool,
    ) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(records);
        let lines: Vec<&str> = text.lines().collect();
        let (mut refused_points, mut refused_why) = (0, String::new());
        // What is sent together, the next group last.
        let mut groups: Vec<Vec<usize>> = vec![(0..lines.len()).collect()];
        while let Some(group) = groups.pop() {
            if !self.send(&lines, &group, has_time) || !self.wait(has_time) {
                return Err(self.out_of_time());
            }
            let (mut again, refused, why) = {
                let mut reports = lock(&self.shared.reports);
                let Reports { again, refused, why, .. } = &mut *reports;
                (std::mem::take(again), std::mem::take(refused), why.clone())
            };
            if refused.len() == 1 && group.len() == 1 {
                refused_points += 1;
                refused_why = why.clone();
            } else if !refused.is_empty() {
                // Brokers refuse a batch for one record in it: the halves tell which.
                let (first, second) = refused.split_at(refused.len() / 2);
                let halves = [second, first].into_iter().filter(|half| !half.is_empty());
                groups.extend(halves.map(<[usize]>::to_vec));
            }
            if !again.is_empty() {
                self.trouble(again.len(), &why);
                // In the order in which they were made.
                again.sort_unstable();
                groups.push(again);
                self.renew()?;
                let reports = lock(&self.shared.reports);
                drop(sync::wait(&self.shared.changed, reports, Some(RETRY)));
                if !has_time() {
                    return Err(self.out_of_time());
                }
            }
        }
        let refused = Failure::Refused { points: refused_points, why: refused_why };
        if refused_points > 0 { Err(refused) } else { Ok(()) }
    }

    fn check(&mut self) -> Result<String, String> {
        let brokers = &self.settings.brokers;
        let metadata = self.producer.client().fetch_metadata(None, CHECK_TIMEOUT);
        let metadata = metadata.map_err(|err| format!("{brokers}: {err}"))?;
        let (count, topics) = (metadata.brokers().len(), metadata.topics().len());
        Ok(format!("{brokers}: {count} brokers, {topics} topics"))
    }
}
