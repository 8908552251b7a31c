//! The fleet's map, out of Prometheus: who depends on whom now, and who did a day ago.

use super::answer::Series;
use super::ask::{Asking, UPSTREAM_LABELS, join, seen};
use super::ends::ENDS;
use super::query::PrometheusClient;
use super::settings::FederateConfig;
use super::windows::Window;
use crate::picture::graph::{Builder, Dependency, End, Graph, Who};
use crate::point::joined;

/// A dependency counts if it was seen in this time: many are asked for now and then.
const RANGE_MS: u64 = 3_600_000;
/// The same hour a day ago is what the map is compared with.
const SINCE_MS: u64 = 86_400_000;

/// Reports of a machine by themselves, as labels in the order of `UPSTREAM_LABELS`.
const METRICS: [(&str, End); 2] =
    [("planet_upstream", End::Client), ("planet_downstream", End::Server)];

/// The map at a time, in milliseconds since 1970.
pub fn graph(settings: &FederateConfig, at_ms: u64) -> Result<Graph, String> {
    let client = PrometheusClient::new(&settings.query)?;
    let asking = Asking {
        client: &client,
        exclusions: &settings.exclusions,
        matchers: &settings.matchers,
        windows: &settings.windows,
        offset_ms: settings.offset_ms,
        gap_max_ms: settings.gap_max_ms,
        rows_max: settings.rows_max,
    };
    let mut builder = Builder::default();
    let mut was_known = false;
    for (metric, end) in METRICS {
        for is_now in [true, false] {
            let end_ms = if is_now { at_ms } else { at_ms.saturating_sub(SINCE_MS) };
            let window = Window { start: end_ms.saturating_sub(RANGE_MS), end: end_ms };
            let series = seen(metric, UPSTREAM_LABELS, window, &asking, &mut |labels| {
                add(&mut builder, labels, end, is_now);
                Ok(())
            })?;
            was_known |= !is_now && series > 0;
        }
    }
    add_round_trips(&mut builder, &asking, at_ms)?;
    add_traffic(&mut builder, &asking, at_ms)?;
    let mut graph = builder.finish();
    graph.title = "The fleet".into();
    (graph.taken, graph.unit, graph.has_both_ends) = (at_ms / 1000, "bit/s", true);
    // Where Prometheus knows nothing of that time, nothing began since.
    match was_known {
        true => graph.since = Some(at_ms.saturating_sub(SINCE_MS) / 1000),
        false => graph.without_changes(),
    }
    Ok(graph)
}

fn add(builder: &mut Builder, labels: &[String], end: End, is_now: bool) {
    let [group, name, remote_group, remote, port, process, protocol] = labels else { return };
    let (local, remote) = (Who { group, name }, Who { group: remote_group, name: remote });
    let (client, server) = if end == End::Client { (local, remote) } else { (remote, local) };
    let (now, before) = (is_now, !is_now);
    builder.dependency(&Dependency { client, server, port, protocol, process, end, now, before });
}

fn add_round_trips(builder: &mut Builder, asking: &Asking, at_ms: u64) -> Result<(), String> {
    const LABELS: [&str; 7] = joined(&[&["direction"], ENDS]);
    let expression = format!(
        "avg by ({}) (avg_over_time(perijove_dependency_rtt_seconds{{{}}}[{RANGE_MS}ms]))",
        LABELS.join(","),
        asking.matchers,
    );
    let mut each = |series: &Series| {
        let [direction, group, name, remote_group, remote, port, protocol] = &series.labels[..]
        else {
            return Ok(());
        };
        let (local, remote) = (Who { group, name }, Who { group: remote_group, name: remote });
        let is_upstream = direction == "upstream";
        let (client, server) = if is_upstream { (local, remote) } else { (remote, local) };
        if let Some((_, seconds)) = series.samples.last() {
            builder.rtt(client, server, port, protocol, *seconds);
        }
        Ok(())
    };
    asking.client.ask(&expression, at_ms, &LABELS, &mut each).map(|_| ())
}

fn add_traffic(builder: &mut Builder, asking: &Asking, at_ms: u64) -> Result<(), String> {
    const LABELS: &[&str; 5] =
        &["direction", "local_hostgroup", "local_domain", "remote_hostgroup", "remote_domain"];
    let exclusions = asking.exclusions;
    let matchers = join("local_domain!=\"\",remote_domain!=\"\"", asking.matchers);
    let expression = format!(
        "8 * sum by ({}) (max without (job) \
         (rate(planet_traffic_bytes_total{{{matchers}}}[{RANGE_MS}ms]))) > {}",
        LABELS.join(","),
        exclusions.bandwidth_min,
    );
    let mut each = |series: &Series| {
        let [direction, group, name, remote_group, remote] = &series.labels[..] else {
            return Ok(());
        };
        let is_left_out = exclusions.has_address(remote) || exclusions.has_name(remote);
        if let (Some((_, bits)), false) = (series.samples.last(), is_left_out) {
            let (local, remote) = (Who { group, name }, Who { group: remote_group, name: remote });
            builder.traffic(local, remote, direction == "ingress", *bits);
        }
        Ok(())
    };
    asking.client.ask(&expression, at_ms, LABELS, &mut each).map(|_| ())
}
