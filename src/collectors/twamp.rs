//! TWAMP clients: what their tests measure.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::{Quantity, is_word};

#[derive(Default)]
pub struct Twamp;

const TAGS: &[&str] = &["owner", "test", "target_address", "source_address", "type"];

static SAMPLE: Measurement<Sample> = Measurement::new(|| Definition {
    name: "twamp_probe_results",
    help: "The last packet of a test.",
    tags: TAGS,
    fields: vec![
        gauge("rtt_current", "µs", "Round trip time.", |s| s.rtt),
        gauge("rtt_jitter_current", "µs", "Round trip jitter.", |s| s.rtt_jitter),
    ],
});

static AGGREGATE: Measurement<Aggregate> = Measurement::new(|| Definition {
    name: "twamp_probe_results",
    help: "The last run of a test.",
    tags: TAGS,
    fields: vec![
        gauge("sent_total", "", "Packets sent.", |a| a.num_samples_tx),
        gauge("received_total", "", "Packets received.", |a| a.num_samples_rx),
        gauge("loss_percent_current", "%", "Packets lost.", |a| Some(a.loss_percentage?.0)),
    ],
});

/// The spelling is junos_exporter's.
static MEASURED: Measurement<Measured> = Measurement::new(|| Definition {
    name: "twamp_probe_results",
    help: "What the last run of a test measured, by type of measurement.",
    tags: TAGS,
    fields: vec![
        gauge("measurment_avg_current", "µs", "Average.", |m| m.measurement_avg),
        gauge("measurment_min_current", "µs", "Least.", |m| m.measurement_min),
        gauge("measurment_max_current", "µs", "Most.", |m| m.measurement_max),
        gauge("measurment_stddev_current", "µs", "Standard deviation.", |m| m.measurement_stddev),
        gauge("measurment_samples_current", "", "Samples.", |m| m.measurement_samples),
    ],
});

impl Collector for Twamp {
    const NAME: &'static str = "twamp";
    const HELP: &'static str = "TWAMP clients: what their tests measure.";
    const QUERIES: &'static [Query<Twamp>] = &[Query {
        rpc: Rpc::Once("<get-twamp-probe-results/>"),
        command: "show services monitoring twamp client probe-results",
        roots: &["probe-results"],
        items: &[item::<_, Test>("probe-test-results")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&SAMPLE, &AGGREGATE, &MEASURED];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Test {
    #[serde(default)]
    owner_name: String,
    test_name: String,
    #[serde(default)]
    target_address: String,
    #[serde(default)]
    source_address: String,
    #[serde(default)]
    test_type: String,
    generic_sample_results: Option<Sample>,
    #[serde(default)]
    generic_aggregate_results: Vec<Aggregate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sample {
    rtt: Option<u64>,
    rtt_jitter: Option<u64>,
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
    measurement_type: String,
    measurement_samples: Option<u64>,
    measurement_min: Option<u64>,
    measurement_max: Option<u64>,
    measurement_avg: Option<u64>,
    measurement_stddev: Option<u64>,
}

impl Item<Twamp> for Test {
    fn points(self, _: &mut Twamp, _: &Scope, points: &mut Points) {
        let tags = |kind| {
            [&*self.owner_name, &self.test_name, &self.target_address, &self.source_address, kind]
        };
        if let Some(sample) = &self.generic_sample_results {
            points.push(&SAMPLE, &tags(&self.test_type), sample);
        }
        let last = |aggregate: &&Aggregate| is_word(&aggregate.aggregate_type, "last test");
        for aggregate in self.generic_aggregate_results.iter().filter(last) {
            points.push(&AGGREGATE, &tags(&self.test_type), aggregate);
            for measured in &aggregate.generic_aggregate_measurement {
                points.push(&MEASURED, &tags(&measured.measurement_type), measured);
            }
        }
    }
}
