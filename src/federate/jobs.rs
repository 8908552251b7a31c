//! The queries, and the points that are made from their answers. Measurements, tags and fields are
//! planet-federator's, so that dashboards made for it keep working.

use super::answer::Series;
use super::exclusions::Exclusions;
use super::query::Client;
use super::roll_up::{RollUp, Rows, Size, growth};
use super::windows::Window;
use crate::dependency::traffic::TAGS as TRAFFIC_TAGS;
use crate::point::{Definition, Measurement, Points, Schema, gauge};

static INGRESS: Measurement<f64> =
    Measurement::new(|| of_direction("ingress", "What a service gets from another."));
static EGRESS: Measurement<f64> =
    Measurement::new(|| of_direction("egress", "What a service sends to another."));
static UNKNOWN: Measurement<f64> =
    Measurement::new(|| of_direction("unknown", "Traffic whose direction is not said."));
static EBPF_INGRESS: Measurement<f64> = Measurement::new(|| {
    of_direction("ebpf_ingress", "What a service gets from another, as eBPF counts it.")
});
static EBPF_EGRESS: Measurement<f64> = Measurement::new(|| {
    of_direction("ebpf_egress", "What a service sends to another, as eBPF counts it.")
});
static EBPF_UNKNOWN: Measurement<f64> =
    Measurement::new(|| of_direction("ebpf_unknown", "The same, of a direction that is not said."));

/// Traffic of one direction.
fn of_direction(name: &'static str, help: &'static str) -> Definition<f64> {
    Definition {
        name,
        help,
        tags: &["service", "address", "remote_service", "remote_address"],
        fields: vec![gauge("bandwidth_bps", "bit/s", "Mean over the window of time.", |b| {
            Some(*b)
        })],
    }
}

static UPSTREAM: Measurement<f64> = Measurement::new(|| Definition {
    name: "upstream",
    help: "A service that depends on another.",
    tags: &[
        "service",
        "address",
        "upstream_service",
        "upstream_address",
        "upstream_port",
        "process_name",
        "protocol",
    ],
    fields: vec![gauge("service_dependency", "", "1: it does.", |_| Some(1))],
});

static DOWNSTREAM: Measurement<f64> = Measurement::new(|| Definition {
    name: "downstream",
    help: "A service that another depends on.",
    tags: &[
        "service",
        "address",
        "port",
        "process_name",
        "downstream_service",
        "downstream_address",
        "protocol",
    ],
    fields: vec![gauge("service_dependency", "", "1: it does.", |_| Some(1))],
});

/// All of them, for the reference.
pub const MEASUREMENTS: &[&dyn Schema] = &[
    &INGRESS,
    &EGRESS,
    &UNKNOWN,
    &EBPF_INGRESS,
    &EBPF_EGRESS,
    &EBPF_UNKNOWN,
    &UPSTREAM,
    &DOWNSTREAM,
];

/// A query and what is made from its answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    Traffic,
    EbpfTraffic,
    Upstream,
    Downstream,
    /// One of the settings: a point for each series, its labels as tags.
    Query(Query),
}

/// A measurement of one field that the settings name; its texts live as long as the program.
#[derive(Clone, Copy)]
pub struct Query {
    /// The measurement's and the field's.
    pub name: &'static str,
    pub measurement: &'static Definition<f64>,
    pub expression: &'static str,
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.expression)
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Query) -> bool {
        let text = |query: &Query| format!("{query:?}");
        text(self) == text(other)
    }
}

impl Query {
    /// For settings, which are read a few times in a program's life.
    pub fn leak(measurement: &str, field: &str, expression: &str) -> Query {
        fn leak(text: &str) -> &'static str {
            text.to_string().leak()
        }
        let name = leak(&format!("{measurement}.{field}"));
        let field = gauge(leak(field), "", "As the settings ask for it.", |v: &f64| Some(*v));
        let measurement = Definition {
            name: leak(measurement),
            help: "As the settings ask for it.",
            tags: &[],
            fields: vec![field],
        };
        let measurement = Box::leak(Box::new(measurement));
        Query { name, measurement, expression: leak(expression) }
    }
}

/// How a job asks.
pub struct Asking<'a> {
    pub client: &'a Client,
    pub exclusions: &'a Exclusions,
    /// Label matchers that go into every selector.
    pub matchers: &'a str,
    /// How far samples are looked for around a window of traffic.
    pub around_ms: u64,
    pub rows_max: usize,
}

/// A job's result; no points were emitted yet.
pub enum Found {
    Traffic(&'static [&'static Measurement<f64>; 3], RollUp<5>),
    Dependencies(&'static Measurement<f64>, RollUp<7>),
    Labelled(&'static Definition<f64>, Rows),
}

const TRAFFIC: &[&Measurement<f64>; 3] = &[&INGRESS, &EGRESS, &UNKNOWN];
const EBPF: &[&Measurement<f64>; 3] = &[&EBPF_INGRESS, &EBPF_EGRESS, &EBPF_UNKNOWN];

const UPSTREAM_LABELS: &[&str; 7] = &[
    "local_hostgroup",
    "local_address",
    "remote_hostgroup",
    "remote_address",
    "port",
    "process_name",
    "protocol",
];

const DOWNSTREAM_LABELS: &[&str; 7] = &[
    "local_hostgroup",
    "local_address",
    "port",
    "process_name",
    "remote_hostgroup",
    "remote_address",
    "protocol",
];

impl Job {
    pub fn name(&self) -> &'static str {
        match self {
            Job::Traffic => "traffic",
            Job::EbpfTraffic => "ebpf_traffic",
            Job::Upstream => "upstream",
            Job::Downstream => "downstream",
            Job::Query(query) => query.name,
        }
    }

    /// Asks about a window. Also how many series there were.
    pub fn ask(&self, window: Window, asking: &Asking) -> Result<(Found, u64), String> {
        match self {
            Job::Traffic => traffic("planet_traffic_bytes_total", TRAFFIC, window, asking),
            Job::EbpfTraffic => traffic("planet_ebpf_traffic_bytes_total", EBPF, window, asking),
            Job::Upstream => {
                dependencies("planet_upstream", &UPSTREAM, UPSTREAM_LABELS, window, asking)
            }
            Job::Downstream => {
                dependencies("planet_downstream", &DOWNSTREAM, DOWNSTREAM_LABELS, window, asking)
            }
            Job::Query(query) => labelled(query, window, asking),
        }
    }
}

/// Bytes that counters grew by in the window, by all labels but the address of the peer's machine
/// and what tells one exporter from another.
fn traffic(
    metric: &str,
    measurements: &'static [&'static Measurement<f64>; 3],
    window: Window,
    asking: &Asking,
) -> Result<(Found, u64), String> {
    let Asking { exclusions, around_ms, .. } = asking;
    let named = match exclusions.unnamed {
        true => "",
        false => "local_hostgroup!=\"\",remote_hostgroup!=\"\"",
    };
    let range = window.ms() + 2 * around_ms;
    let expression = format!("{metric}{{{}}}[{range}ms]", join(named, asking.matchers));
    let mut sums = RollUp::default();
    let mut each = |series: &Series| {
        let [direction, service, address, remote_service, remote_address, ip] = &series.labels[..]
        else {
            return Ok(());
        };
        if exclusions.has_address(ip) || exclusions.has_address(remote_address) {
            return Ok(());
        }
        if let Some(bytes) = growth(&series.samples, window) {
            sums.add([direction, service, address, remote_service, remote_address], bytes);
        }
        limit(sums.size(), asking.rows_max)
    };
    let rest = asking.client.ask(&expression, window.end + around_ms, TRAFFIC_TAGS, &mut each)?;
    Ok((Found::Traffic(measurements, sums), rest.series))
}

/// Who was seen to depend on whom in the window. The labels are in the order of the tags.
fn dependencies(
    metric: &str,
    measurement: &'static Measurement<f64>,
    labels: &[&str; 7],
    window: Window,
    asking: &Asking,
) -> Result<(Found, u64), String> {
    let exclusions = asking.exclusions;
    let mut matchers = match exclusions.unnamed {
        true => String::new(),
        false => "local_hostgroup!=\"\",process_name!=\"\"".into(),
    };
    if !exclusions.ports.is_empty() {
        let ports: Vec<String> = exclusions.ports.iter().map(u16::to_string).collect();
        matchers = join(&matchers, &format!("port!~\"{}\"", ports.join("|")));
    }
    let expression = format!(
        "max by ({}) (max_over_time({metric}{{{}}}[{}ms]))",
        labels.join(","),
        join(&matchers, asking.matchers),
        window.ms(),
    );
    let peer = labels.iter().position(|label| *label == "remote_address").unwrap_or(0);
    let mut sums = RollUp::default();
    let mut each = |series: &Series| {
        let [a, b, c, d, e, f, g] = &series.labels[..] else { return Ok(()) };
        let address = &series.labels[peer];
        let is_there = series.samples.iter().any(|(_, value)| *value > 0.0);
        if is_there && !exclusions.has_address(address) && !exclusions.has_name(address) {
            sums.add([a, b, c, d, e, f, g], 1.0);
        }
        limit(sums.size(), asking.rows_max)
    };
    let rest = asking.client.ask(&expression, window.end, labels, &mut each)?;
    Ok((Found::Dependencies(measurement, sums), rest.series))
}

/// Whatever the settings ask for, at the window's end.
fn labelled(query: &Query, window: Window, asking: &Asking) -> Result<(Found, u64), String> {
    let expression = query.expression.replace("{window}", &format!("{}ms", window.ms()));
    let mut found = Rows::default();
    let mut each = |series: &Series| {
        if let Some((_, value)) = series.samples.last().filter(|(_, value)| value.is_finite()) {
            found.add(&series.others, *value);
        }
        limit(found.size(), asking.rows_max)
    };
    let rest = asking.client.ask(&expression, window.end, &[], &mut each)?;
    Ok((Found::Labelled(query.measurement, found), rest.series))
}

fn join(first: &str, second: &str) -> String {
    let separator = if first.is_empty() || second.is_empty() { "" } else { "," };
    format!("{first}{separator}{second}")
}

/// The most bytes of labels for a row, on average, that it shares with no other row.
const ROW_TEXT_BYTES_MAX: usize = 256;

fn limit(size: Size, rows_max: usize) -> Result<(), String> {
    let Size { rows, text_bytes } = size;
    let what = match () {
        () if rows > rows_max => "rows",
        () if text_bytes / ROW_TEXT_BYTES_MAX > rows_max => "rows' labels",
        () => return Ok(()),
    };
    Err(format!("there are more than rows_max, {rows_max}, {what}: raise it, or leave more out"))
}

/// The name of a label as every output can write it: what Prometheus takes for one, not InfluxDB's
/// time, not the field's, and none that the series has besides.
fn tag_name(name: &str, field: &str, taken: &[String]) -> String {
    let letter = |(at, c): (usize, char)| match c {
        '0'..='9' if at > 0 => c,
        'a'..='z' | 'A'..='Z' | '_' => c,
        _ => '_',
    };
    let mut plain: String = name.chars().enumerate().map(letter).collect();
    while plain == "time" || plain == field || taken.contains(&plain) {
        plain.insert_str(0, "exported_");
    }
    plain
}

impl Found {
    /// Makes the points, in batches that are not too large; how many there were. `hand_on` says
    /// whether to go on.
    pub fn points(
        &self,
        window: Window,
        exclusions: &Exclusions,
        hand_on: &mut dyn FnMut(&Points) -> bool,
    ) -> u64 {
        let mut batches = Batches { points: Points::default(), number: 0, hand_on, goes_on: true };
        match self {
            Found::Traffic(measurements, sums) => {
                let seconds = window.ms() as f64 / 1000.0;
                for ([direction, tags @ ..], bytes) in sums.iter() {
                    let bits = bytes * 8.0 / seconds;
                    if bits <= exclusions.bandwidth_min || exclusions.has_pattern(tags[3]) {
                        continue;
                    }
                    let measurement = match direction {
                        "ingress" => measurements[0],
                        "egress" => measurements[1],
                        _ => measurements[2],
                    };
                    batches.push(|points| points.push(measurement, &tags, &bits));
                }
            }
            Found::Dependencies(measurement, sums) => {
                for (tags, value) in sums.iter() {
                    batches.push(|points| points.push(measurement, &tags, &value));
                }
            }
            Found::Labelled(measurement, rows) => {
                let field = measurement.field(0).name;
                for (labels, value) in rows.iter() {
                    batches.push(|points| {
                        let pushed = points.push(measurement, &[], &value);
                        let mut taken = Vec::new();
                        for (name, value) in labels.filter(|(name, _)| *name != "__name__") {
                            let name = tag_name(name, field, &taken);
                            points.label(&name, value);
                            taken.push(name);
                        }
                        pushed
                    });
                }
            }
        }
        batches.flush();
        batches.number
    }
}

/// Points that are emitted together.
const BATCH_POINTS: usize = 500;

struct Batches<'a> {
    points: Points,
    number: u64,
    hand_on: &'a mut dyn FnMut(&Points) -> bool,
    goes_on: bool,
}

impl Batches<'_> {
    fn push(&mut self, push: impl FnOnce(&mut Points) -> bool) {
        self.number += u64::from(push(&mut self.points));
        if self.points.len() >= BATCH_POINTS {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.points.is_empty() && self.goes_on {
            self.goes_on = (self.hand_on)(&self.points);
        }
        self.points.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_get_names_that_every_output_can_write() {
        let mut taken: Vec<String> = Vec::new();
        for (name, expected) in [
            ("host", "host"),
            ("time", "exported_time"),
            ("bps", "exported_bps"),
            ("a.b", "a_b"),
            ("a_b", "exported_a_b"),
            ("a/b", "exported_exported_a_b"),
            ("1é", "__"),
        ] {
            let found = tag_name(name, "bps", &taken);
            assert_eq!(found, expected, "{name}");
            taken.push(found);
        }
    }

    #[test]
    fn rows_and_their_texts_have_a_limit() {
        assert_eq!(limit(Size { rows: 2, text_bytes: 512 }, 2), Ok(()));
        assert!(limit(Size { rows: 3, text_bytes: 0 }, 2).unwrap_err().contains("2, rows:"));
        assert!(limit(Size { rows: 1, text_bytes: 768 }, 2).unwrap_err().contains("labels"));
    }
}
