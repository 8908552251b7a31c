//! The queries, and the points that are made from their answers. Measurements, tags and fields are
//! planet-federator's, so that dashboards made for it keep working.

use super::answer::Series;
use super::ask::{Asking, DOWNSTREAM_LABELS, UPSTREAM_LABELS, limit, seen};
use super::ends;
use super::exclusions::Exclusions;
use super::roll_up::{RollUp, Rows};
use super::traffic::{self, Gaps};
use super::windows::Window;
use crate::base::leaked::leak;
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
    &ends::ONE_SIDED,
];

/// A query and what is made from its answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Job {
    Traffic,
    EbpfTraffic,
    Upstream,
    Downstream,
    OneSided,
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

/// What a job's answer gives.
pub struct Answer {
    pub found: Found,
    pub series: u64,
    pub gaps: Gaps,
}

/// A job's result; no points were emitted yet.
pub enum Found {
    Traffic(&'static [&'static Measurement<f64>; 3], RollUp<5>),
    Dependencies(&'static Measurement<f64>, RollUp<7>),
    OneSided(RollUp<8>),
    Labelled(&'static Definition<f64>, Rows),
}

const TRAFFIC: &[&Measurement<f64>; 3] = &[&INGRESS, &EGRESS, &UNKNOWN];
const EBPF: &[&Measurement<f64>; 3] = &[&EBPF_INGRESS, &EBPF_EGRESS, &EBPF_UNKNOWN];

impl Job {
    pub fn name(&self) -> &'static str {
        match self {
            Job::Traffic => "traffic",
            Job::EbpfTraffic => "ebpf_traffic",
            Job::Upstream => "upstream",
            Job::Downstream => "downstream",
            Job::OneSided => "one_sided",
            Job::Query(query) => query.name,
        }
    }

    /// Asks about a window.
    pub fn ask(&self, window: Window, asking: &Asking) -> Result<Answer, String> {
        let traffic = |metric, measurements| {
            let traffic::Found { sums, series, gaps } = traffic::ask(metric, window, asking)?;
            Ok(Answer { found: Found::Traffic(measurements, sums), series, gaps })
        };
        match self {
            Job::Traffic => traffic("planet_traffic_bytes_total", TRAFFIC),
            Job::EbpfTraffic => traffic("planet_ebpf_traffic_bytes_total", EBPF),
            Job::Upstream => {
                dependencies("planet_upstream", &UPSTREAM, UPSTREAM_LABELS, window, asking)
            }
            Job::Downstream => {
                dependencies("planet_downstream", &DOWNSTREAM, DOWNSTREAM_LABELS, window, asking)
            }
            Job::OneSided => {
                let (sums, series) = ends::ask(window, asking)?;
                Ok(Answer { found: Found::OneSided(sums), series, gaps: Gaps::default() })
            }
            Job::Query(query) => labelled(query, window, asking),
        }
    }
}

/// Who was seen to depend on whom in the window. The labels are in the order of the tags.
fn dependencies(
    metric: &str,
    measurement: &'static Measurement<f64>,
    labels: &[&str; 7],
    window: Window,
    asking: &Asking,
) -> Result<Answer, String> {
    let mut sums = RollUp::default();
    let series = seen(metric, labels, window, asking, &mut |labels| {
        let [a, b, c, d, e, f, g] = labels else { return Ok(()) };
        sums.add([a, b, c, d, e, f, g], 1.0);
        limit(sums.size(), asking.rows_max)
    })?;
    let found = Found::Dependencies(measurement, sums);
    Ok(Answer { found, series, gaps: Gaps::default() })
}

/// Whatever the settings ask for, at the window's end.
fn labelled(query: &Query, window: Window, asking: &Asking) -> Result<Answer, String> {
    let expression = query.expression.replace("{window}", &format!("{}ms", window.ms()));
    let mut found = Rows::default();
    let mut each = |series: &Series| {
        if let Some((_, value)) = series.samples.last().filter(|(_, value)| value.is_finite()) {
            found.add(&series.others, *value);
        }
        limit(found.size(), asking.rows_max)
    };
    let rest = asking.client.ask(&expression, window.end, &[], &mut each)?;
    let found = Found::Labelled(query.measurement, found);
    Ok(Answer { found, series: rest.series, gaps: Gaps::default() })
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
            Found::OneSided(sums) => {
                for (tags, value) in sums.iter() {
                    batches.push(|points| points.push(&ends::ONE_SIDED, &tags, &value));
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
}
