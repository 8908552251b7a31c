//! Real-time performance monitoring: what its probes measure.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::{Quantity, is_word};

#[derive(Default)]
pub struct Rpm {
    /// Tests of `show services rpm`: Junos OS Evolved has another command.
    tests: usize,
}

static PROBE: Measurement<Results> = Measurement::new(|| Definition {
    name: "rpm_probe_results",
    help: "A test: its probes so far, and its last run.",
    tags: &["owner", "name", "address", "type", "interface"],
    fields: vec![
        gauge("sent_total", "", "Probes sent.", |r| r.sent),
        gauge("received_total", "", "Probes answered.", |r| r.received),
        gauge("loss_percent_current", "%", "Probes not answered.", |r| Some(r.loss?.0)),
        gauge("rtt_min_current", "µs", "Least round trip time.", |r| r.rtt.min_delay),
        gauge("rtt_max_current", "µs", "Most round trip time.", |r| r.rtt.max_delay),
        gauge("rtt_avg_current", "µs", "Average round trip time.", |r| r.rtt.avg_delay),
        gauge("rtt_jitter_current", "µs", "Round trip jitter.", |r| r.rtt.jitter_delay),
        gauge("rtt_stddev_current", "µs", "Standard deviation of round trip times.", |r| {
            r.rtt.stddev_delay
        }),
        gauge("rtt_sum_current", "µs", "Sum of round trip times.", |r| r.rtt.sum_delay),
    ],
});

impl Collector for Rpm {
    const NAME: &'static str = "rpm";
    const HELP: &'static str = "Real-time performance monitoring: what its probes measure.";
    const QUERIES: &'static [Query<Rpm>] = &[
        Query {
            rpc: Rpc::Once("<get-probe-results/>"),
            command: "show services rpm probe-results",
            roots: &["probe-results"],
            items: &[item::<_, Test>("probe-test-results")],
        },
        Query {
            rpc: Rpc::When("<get-rpm-probe-results/>", |rpm| rpm.tests == 0),
            command: "show services monitoring rpm probe-results",
            roots: &["probe-results"],
            items: &[item::<_, EvolvedTest>("probe-test-results")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&PROBE];
}

/// What a test's probes came to.
struct Results {
    sent: Option<u64>,
    received: Option<u64>,
    loss: Option<Quantity>,
    rtt: RoundTripTimes,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct RoundTripTimes {
    min_delay: Option<u64>,
    max_delay: Option<u64>,
    avg_delay: Option<u64>,
    jitter_delay: Option<u64>,
    stddev_delay: Option<u64>,
    sum_delay: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Test {
    #[serde(default)]
    owner: String,
    test_name: String,
    #[serde(default)]
    target_address: String,
    #[serde(default)]
    probe_type: String,
    #[serde(default)]
    destination_interface: String,
    #[serde(default)]
    probe_test_global_results: Run,
    #[serde(default)]
    probe_last_test_results: Run,
}

/// The last run of a test, or all of them.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Run {
    probe_test_generic_results: Generic,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Generic {
    probes_sent: Option<u64>,
    probe_responses: Option<u64>,
    loss_percentage: Option<Quantity>,
    probe_test_rtt: Rtt,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Rtt {
    probe_summary_results: RoundTripTimes,
}

impl Item<Rpm> for Test {
    fn points(self, rpm: &mut Rpm, _: &Scope, points: &mut Points) {
        let all = self.probe_test_global_results.probe_test_generic_results;
        let last = self.probe_last_test_results.probe_test_generic_results;
        let results = Results {
            sent: all.probes_sent,
            received: all.probe_responses,
            loss: last.loss_percentage,
            rtt: last.probe_test_rtt.probe_summary_results,
        };
        let tags = [
            &*self.owner,
            &self.test_name,
            &self.target_address,
            &self.probe_type,
            &self.destination_interface,
        ];
        rpm.tests += usize::from(points.push(&PROBE, &tags, &results));
    }
}

/// A test of Junos OS Evolved, which has the shape of a TWAMP test.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct EvolvedTest {
    #[serde(default)]
    owner_name: String,
    test_name: String,
    #[serde(default)]
    target_address: String,
    #[serde(default)]
    test_type: String,
    #[serde(default)]
    generic_aggregate_results: Vec<Aggregate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Aggregate {
    /// `current test`, `last test` or `all tests`.
    #[serde(default)]
    aggregate_type: String,
    num_samples_tx: Option<u64>,
    num_samples_rx: Option<u64>,
    loss_percentage: Option<Quantity>,
    #[serde(default)]
    generic_aggregate_measurement: Vec<Measured>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Measured {
    /// `Round trip time (usec)`, and others.
    measurement_type: String,
    measurement_min: Option<u64>,
    measurement_max: Option<u64>,
    measurement_avg: Option<u64>,
    measurement_stddev: Option<u64>,
}

impl Item<Rpm> for EvolvedTest {
    fn points(self, _: &mut Rpm, _: &Scope, points: &mut Points) {
        let of = |what| {
            let is = |run: &&Aggregate| is_word(&run.aggregate_type, what);
            self.generic_aggregate_results.iter().find(is)
        };
        let (all, last) = (of("all tests"), of("last test"));
        let is_rtt = |measured: &&Measured| is_word(&measured.measurement_type, "Round trip time");
        let rtt = last.and_then(|last| last.generic_aggregate_measurement.iter().find(is_rtt));
        let results = Results {
            sent: all.and_then(|all| all.num_samples_tx),
            received: all.and_then(|all| all.num_samples_rx),
            loss: last.and_then(|last| last.loss_percentage),
            rtt: rtt.map_or_else(RoundTripTimes::default, |rtt| RoundTripTimes {
                min_delay: rtt.measurement_min,
                max_delay: rtt.measurement_max,
                avg_delay: rtt.measurement_avg,
                stddev_delay: rtt.measurement_stddev,
                ..RoundTripTimes::default()
            }),
        };
        let tags = [&*self.owner_name, &self.test_name, &self.target_address, &self.test_type, ""];
        points.push(&PROBE, &tags, &results);
    }
}
