//! Real-time performance monitoring: what its probes measure.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, Quantity};

#[derive(Default)]
pub struct Rpm;

static PROBE: Measurement<Probe> = Measurement::new(|| Definition {
    name: "rpm_probe_results",
    help: "A test: its probes so far, and its last run.",
    tags: &["owner", "name", "address", "type", "interface"],
    fields: vec![
        gauge("sent_total", "", "Probes sent.", |p| {
            p.probe_test_global_results.integer("probes-sent")
        }),
        gauge("received_total", "", "Probes answered.", |p| {
            p.probe_test_global_results.integer("probe-responses")
        }),
        gauge("loss_percent_current", "%", "Probes not answered.", |p| {
            Some(p.last().loss_percentage?.0)
        }),
        gauge("rtt_min_current", "µs", "Least round trip time.", |p| p.last().rtt("min-delay")),
        gauge("rtt_max_current", "µs", "Most round trip time.", |p| p.last().rtt("max-delay")),
        gauge("rtt_avg_current", "µs", "Average round trip time.", |p| p.last().rtt("avg-delay")),
        gauge("rtt_jitter_current", "µs", "Round trip jitter.", |p| p.last().rtt("jitter-delay")),
        gauge("rtt_stddev_current", "µs", "Standard deviation of round trip times.", |p| {
            p.last().rtt("stddev-delay")
        }),
        gauge("rtt_sum_current", "µs", "Sum of round trip times.", |p| p.last().rtt("sum-delay")),
    ],
});

impl Collector for Rpm {
    const NAME: &'static str = "rpm";
    const HELP: &'static str = "Real-time performance monitoring: what its probes measure.";
    const QUERIES: &'static [Query<Rpm>] = &[Query {
        rpc: Rpc::Once("<get-probe-results/>"),
        command: "show services rpm probe-results",
        roots: &["probe-results"],
        items: &[item::<_, Probe>("probe-test-results")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&PROBE];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Probe {
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
    probe_test_global_results: Leaves,
    #[serde(default)]
    probe_last_test_results: LastTest,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct LastTest {
    probe_test_generic_results: Generic,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Generic {
    loss_percentage: Option<Quantity>,
    probe_test_rtt: Leaves,
}

impl Probe {
    fn last(&self) -> &Generic {
        &self.probe_last_test_results.probe_test_generic_results
    }
}

impl Generic {
    fn rtt(&self, what: &str) -> Option<u64> {
        self.probe_test_rtt.integer(what)
    }
}

impl Item<Rpm> for Probe {
    fn points(self, _: &mut Rpm, _: &Scope, points: &mut Points) {
        let tags = [
            &*self.owner,
            &self.test_name,
            &self.target_address,
            &self.probe_type,
            &self.destination_interface,
        ];
        points.push(&PROBE, &tags, &self);
    }
}
