//! Prometheus remote write 1.0: protobuf `WriteRequest`s, compressed with snappy.
//!
//! In the queue a record is one line for each point: `TIME_MS`, its labels as `name=value`, an
//! empty field, and its samples as `metric value`, with tabs between them. So the labels that a
//! point's samples share wait only once, and a request can be cut in two between any two points.

use std::path::PathBuf;
use std::time::Duration;

use prost::Message;
use ureq::Agent;
use ureq::http::{HeaderMap, StatusCode};

use super::exposition::{each_label, metric};
use super::sink::{Encoded, Failure, Sink};
use crate::base::http_client::{self, Login};
use crate::base::text::first_line;
use crate::point::{Batch, Kind, Value};

#[derive(Clone, Debug, PartialEq)]
pub struct RemoteWriteConfig {
    /// The whole of it, such as `http://127.0.0.1:9090/api/v1/write`.
    pub url: String,
    pub login: Login,
    /// Whose series they are, for servers that keep several tenants apart.
    pub tenant: Option<String>,
    pub batch_points_max: usize,
    pub batch_bytes_max: usize,
    pub flush_interval: Duration,
    pub timeout: Duration,
    pub ca_file: Option<PathBuf>,
}

/// The output's name in the settings, and in what is reported of it.
pub const OUTPUT: &str = "remote_write";

/// What the series would get from a scrape: the job of prometheus.yml beside this program.
const JOB: &str = "perijove";

/// A label's name after a scrape, in which `job` and `instance` are the target's.
fn scraped(name: &str) -> &str {
    match name {
        "job" => "exported_job",
        "instance" => "exported_instance",
        name => name,
    }
}

/// Appends the batch's records, one for each point, even if none of its fields is a number. The
/// labels are those that a scrape of the machine `instance` gives, so that queries and alerts need
/// not know which way the samples came.
pub fn encode(instance: &str, batch: &Batch, out: &mut Vec<u8>) -> Encoded {
    let time = batch.time_ns / 1_000_000;
    let mut encoded = Encoded::default();
    for point in batch.points.iter() {
        if point.has_label_twice(&["target", "exported_job", "exported_instance"]) {
            encoded.rejected += 1;
            continue;
        }
        out.extend_from_slice(itoa::Buffer::new().format(time).as_bytes());
        let infos: Vec<usize> = point
            .fields()
            .filter(|(_, info, _)| info.kind == Kind::Info)
            .map(|(index, ..)| index)
            .collect();
        let mut labels = vec![("job", JOB), ("instance", instance)];
        let mut add = |name, value| labels.push((scraped(name), value));
        each_label(batch.node, &point, &infos, &mut add);
        // The protocol wants them sorted.
        labels.sort_unstable_by_key(|(name, _)| *name);
        for (name, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
            out.push(b'\t');
            out.extend_from_slice(name.as_bytes());
            out.push(b'=');
            escape(value, out);
        }
        out.push(b'\t');
        for (_, info, value) in point.fields() {
            let mut number = zmij::Buffer::new();
            let value = match value {
                Value::Integer(integer) => integer as f64,
                Value::Decimal(decimal) => decimal,
                Value::Text(_) => continue,
            };
            out.push(b'\t');
            out.extend_from_slice(metric(point.schema.name(), info.name).as_bytes());
            out.push(b' ');
            out.extend_from_slice(number.format(value).as_bytes());
        }
        out.push(b'\n');
    }
    encoded
}

/// A tab and a newline mean something in the queue.
fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            byte => out.push(byte),
        }
    }
}

fn unescape(text: &str, out: &mut String) {
    out.clear();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        out.push(match letter {
            '\\' => match letters.next() {
                Some('t') => '\t',
                Some('n') => '\n',
                other => other.unwrap_or('\\'),
            },
            letter => letter,
        });
    }
}

/// `prometheus.TimeSeries` of the remote write 1.0 specification.
#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// `WriteRequest` is nothing but series, each behind this: field 1, length-delimited.
const SERIES_KEY: u8 = 0x0a;
const NAME: &str = "__name__";

/// Makes requests of records; keeps the room that it needs.
#[derive(Default)]
struct Requests {
    series: TimeSeries,
    request: Vec<u8>,
    compressed: Vec<u8>,
}

impl Requests {
    /// The records as a compressed `WriteRequest`. One that cannot be read, which only a damaged
    /// spool could hold, is left out.
    fn make(&mut self, records: &[u8]) -> Result<&[u8], snap::Error> {
        self.request.clear();
        for record in String::from_utf8_lossy(records).lines() {
            self.add(record);
        }
        self.compressed.resize(snap::raw::max_compress_len(self.request.len()), 0);
        let bytes = snap::raw::Encoder::new().compress(&self.request, &mut self.compressed)?;
        Ok(&self.compressed[..bytes])
    }

    fn add(&mut self, record: &str) -> Option<()> {
        let mut fields = record.split('\t');
        let timestamp = fields.next()?.parse().ok()?;
        let labels = &mut self.series.labels;
        let mut used = 0;
        let mut place = None;
        for field in fields.by_ref().take_while(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=')?;
            if name > NAME && place.is_none() {
                place = Some(used);
                next(labels, &mut used, NAME);
            }
            unescape(value, next(labels, &mut used, name));
        }
        let place = place.unwrap_or(used);
        if place == used {
            next(labels, &mut used, NAME);
        }
        labels.truncate(used);
        for field in fields {
            let (name, value) = field.split_once(' ')?;
            self.series.labels[place].value.replace_range(.., name);
            self.series.samples.clear();
            self.series.samples.push(Sample { value: value.parse().ok()?, timestamp });
            self.request.push(SERIES_KEY);
            self.series.encode_length_delimited(&mut self.request).ok()?;
        }
        Some(())
    }
}

/// The value of the next label, in a list whose strings are used again.
fn next<'a>(labels: &'a mut Vec<Label>, used: &mut usize, name: &str) -> &'a mut String {
    if labels.len() == *used {
        labels.push(Label::default());
    }
    let label = &mut labels[*used];
    *used += 1;
    label.name.replace_range(.., name);
    &mut label.value
}

pub struct RemoteWrite {
    agent: Agent,
    settings: RemoteWriteConfig,
    requests: Requests,
}

impl RemoteWrite {
    /// Fails if the file with the roots of trust cannot be read.
    pub fn new(settings: &RemoteWriteConfig) -> Result<RemoteWrite, String> {
        let agent = http_client::agent(&settings.url, settings.timeout, &settings.ca_file)?;
        Ok(RemoteWrite { agent, settings: settings.clone(), requests: Requests::default() })
    }
}

impl Sink for RemoteWrite {
    fn write(&mut self, records: &[u8], _: u64, _: &dyn Fn() -> bool) -> Result<(), Failure> {
        let retry = |why: String| Failure::Retry { after: None, why };
        let body = self.requests.make(records).map_err(|err| retry(err.to_string()))?;
        let RemoteWriteConfig { url, login, tenant, .. } = &self.settings;
        let mut request = self.agent.post(url);
        request = request.header("Content-Type", "application/x-protobuf");
        request = request.header("Content-Encoding", "snappy");
        request = request.header("X-Prometheus-Remote-Write-Version", "0.1.0");
        if let Some(tenant) = tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        if let Some(authorization) = login.header() {
            request = request.header("Authorization", authorization.expose());
        }
        let response = request.send(body).map_err(|err| {
            let shown = http_client::shown(url);
            retry(format!("cannot write to {shown}: {}", http_client::describe(&err)))
        })?;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            return Ok(());
        }
        Err(failure(head.status, &head.headers, &http_client::words(body), records))
    }

    /// A request without series is a good one.
    fn check(&mut self) -> Result<String, String> {
        match self.write(b"", 0, &|| true) {
            Ok(()) => Ok(format!("{} takes samples", http_client::shown(&self.settings.url))),
            Err(
                Failure::Retry { why, .. }
                | Failure::Missing { why }
                | Failure::TooLarge { why }
                | Failure::Suspect { why }
                | Failure::Refused { why, .. },
            ) => Err(why),
            Err(Failure::Gone) => Err("gone".into()),
        }
    }
}

/// What to do, by the server's status and words.
fn failure(status: StatusCode, headers: &HeaderMap, answer: &str, records: &[u8]) -> Failure {
    let why = format!("the server answered {} ({})", status.as_u16(), first_line(answer.trim()));
    match status.as_u16() {
        400 | 422 => {
            let too_old = ["out of bounds", "too old"].iter().any(|words| answer.contains(words));
            match uniform_time(records) {
                // The server is done with that time, whatever the series.
                Some(points) if too_old => Failure::Refused { points, why },
                // Whatever else is wrong with a sample, Prometheus then takes none of them.
                _ => Failure::Suspect { why },
            }
        }
        413 => Failure::TooLarge { why },
        401 | 403 => {
            let why = format!("{why}: check username, password_file or token_file");
            Failure::Retry { after: None, why }
        }
        404 => {
            let why = format!(
                "{why}: check the url; Prometheus takes writes only with \
                 --web.enable-remote-write-receiver"
            );
            Failure::Retry { after: None, why }
        }
        _ => Failure::Retry { after: http_client::retry_after(headers), why },
    }
}

/// How many records there are, if all have the same time.
fn uniform_time(records: &[u8]) -> Option<u64> {
    let time = |record: &[u8]| memchr::memchr(b'\t', record).map(|end| record[..end].to_vec());
    let mut times = records.split_inclusive(|byte| *byte == b'\n').map(time);
    let first = times.next()?;
    times.try_fold(1, |points, time| (time == first).then_some(points + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Definition, Measurement, Points, counter, gauge, info, labelled, text};

    #[derive(PartialEq, Message)]
    struct WriteRequest {
        #[prost(message, repeated, tag = "1")]
        series: Vec<TimeSeries>,
    }

    static PORT: Measurement<f64> = Measurement::new(|| Definition {
        name: "port",
        help: "A port.",
        tags: &["name", "Area", "instance"],
        fields: vec![
            labelled("what", info("description", "", |_| Some("a\t\"b\"\\\nc"))),
            counter("bytes", "", "", |_| Some(7)),
            gauge("dbm", "", "", |p| Some(*p)),
            text("state", "", |_| Some("up")),
        ],
    });

    type Labels = Vec<(String, String)>;

    fn series(records: &[u8]) -> Vec<(Labels, f64, i64)> {
        let mut requests = Requests::default();
        let body = requests.make(records).unwrap();
        let plain = snap::raw::Decoder::new().decompress_vec(body).unwrap();
        let request = WriteRequest::decode(&plain[..]).unwrap();
        let pair = |label: Label| (label.name, label.value);
        let one = |series: TimeSeries| {
            let [sample] = &series.samples[..] else { panic!("{} samples", series.samples.len()) };
            let (value, timestamp) = (sample.value, sample.timestamp);
            (series.labels.into_iter().map(pair).collect(), value, timestamp)
        };
        request.series.into_iter().map(one).collect()
    }

    fn records() -> Vec<u8> {
        let mut points = Points::default();
        points.push(&PORT, &["ge-0/0/0", "0.0.0.0", "red"], &f64::NEG_INFINITY);
        points.push(&PORT, &["forged", "", ""], &1.0);
        points.label("name", "forged");
        points.push(&PORT, &["é", "", ""], &1e300);
        let (node, collector, time_ns) = ("r1", "c", 1_700_000_000_123_456_789);
        let mut out = Vec::new();
        let encoded = encode("m1", &Batch { node, collector, time_ns, points: &points }, &mut out);
        assert_eq!(encoded, Encoded { clamped: 0, rejected: 1 });
        out
    }

    #[test]
    fn series_have_sorted_labels_each_once_and_milliseconds() {
        let records = records();
        assert_eq!(records.iter().filter(|byte| **byte == b'\n').count(), 2);
        let found = series(&records);
        let labels = |metric: &str, name: &str, area: Option<&str>| -> Labels {
            let routed = area.map(|area| [("Area", area), ("exported_instance", "red")]);
            let rest = [
                ("__name__", metric),
                ("instance", "m1"),
                ("job", "perijove"),
                ("name", name),
                ("target", "r1"),
                ("what", "a\t\"b\"\\\nc"),
            ];
            let all = routed.into_iter().flatten().chain(rest);
            let mut all: Labels =
                all.map(|(n, value)| (n.to_string(), value.to_string())).collect();
            all.sort();
            all
        };
        let time = 1_700_000_000_123;
        let expected = [
            (labels("junos_port_bytes", "ge-0/0/0", Some("0.0.0.0")), 7.0, time),
            (labels("junos_port_dbm", "ge-0/0/0", Some("0.0.0.0")), f64::NEG_INFINITY, time),
            (labels("junos_port_bytes", "é", None), 7.0, time),
            (labels("junos_port_dbm", "é", None), 1e300, time),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn damaged_records_are_left_out_and_cost_no_other() {
        let good = records();
        let mut bad = b"x\ta=b\t\tc 1\n\n17\ta\t\tc 1\n17\ta=b\t\tc x\n17\n\xff\xfe\n".to_vec();
        bad.extend_from_slice(&good);
        assert_eq!(series(&bad), series(&good));
        assert_eq!(series(b""), []);
    }

    #[test]
    fn what_to_do_by_status() {
        let answer = |status: u16, words: &str, records: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", "7".parse().unwrap());
            failure(StatusCode::from_u16(status).unwrap(), &headers, words, records)
        };
        let one_time = b"17\ta=b\t\tc 1\n17\ta=c\t\tc 1\n";
        let two_times = b"17\ta=b\t\tc 1\n18\ta=c\t\tc 1\n";
        let old = answer(400, "out of bounds\n", one_time);
        assert!(matches!(old, Failure::Refused { points: 2, .. }), "{old:?}");
        assert!(matches!(answer(400, "out of bounds", two_times), Failure::Suspect { .. }));
        assert!(matches!(answer(400, "out of order sample", one_time), Failure::Suspect { .. }));
        assert!(matches!(answer(413, "", one_time), Failure::TooLarge { .. }));
        for status in [429, 500, 503] {
            let Failure::Retry { after, .. } = answer(status, "", one_time) else {
                panic!("{status}")
            };
            assert_eq!(after, Some(Duration::from_secs(7)));
        }
        let Failure::Retry { why, .. } = answer(404, "", one_time) else { panic!("404") };
        assert!(why.contains("--web.enable-remote-write-receiver"), "{why}");
    }
}
