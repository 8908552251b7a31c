//! `/map`: what this machine, and the routers that it polls, depend on, out of the points that the
//! listener has for `/metrics`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::output::latest::Poll;
use crate::picture::graph::{Builder, Dependency, End, Graph, Who};
use crate::point::{DEPENDENCY_TAGS, Point, Value};

/// What the map is compared with, where perijove has run for so long.
const SINCE_SECONDS: u64 = 86_400;

/// The measurements that it is made of: planet-exporter's, and what the kernel counts.
const UPSTREAM: &str = "planet_upstream";
const DOWNSTREAM: &str = "planet_downstream";
const TRAFFIC: &str = "planet_traffic";
const HOSTNAME: &str = "planet_hostname";
const FIGURES: &str = "perijove_dependency";

/// The figures of a dependency that has been seen.
struct Figures<'a> {
    point: Point<'a>,
    first_seen: u64,
    last_seen: u64,
}

/// Tags and numbers of a point, by their names.
fn tag<'a>(point: &Point<'a>, name: &str) -> &'a str {
    point.tags().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
}

fn number(point: &Point, name: &str) -> Option<f64> {
    point.fields().find(|(_, info, _)| info.name == name).and_then(|(_, _, value)| match value {
        Value::Integer(number) => Some(number as f64),
        Value::Decimal(number) => Some(number),
        Value::Text(_) => None,
    })
}

/// What began or vanished is as far back as a day, or as the first reading.
pub fn graph(polls: &[Arc<Poll>], now: u64) -> Graph {
    let batches: Vec<_> = polls.iter().flat_map(|poll| poll.batches()).collect();
    let all = || batches.iter().flat_map(|batch| batch.points.iter());
    let of = |name: &'static str| all().filter(move |point| point.schema.name() == name);
    let mut figures: Vec<Figures> = of(FIGURES).filter_map(figures).collect();
    let since = figures.iter().map(|row| row.first_seen).min();
    let since = since.map(|first| first.max(now.saturating_sub(SINCE_SECONDS)));
    figures.retain(|row| row.last_seen >= since.unwrap_or(0));
    let mut builder = Builder::default();
    // Rows that are there now were there before, where nothing says since when.
    let mut first_seen = BTreeMap::new();
    for row in &figures {
        first_seen.insert(key(&row.point, tag(&row.point, "direction")), row.first_seen);
    }
    for (name, direction) in [(UPSTREAM, "upstream"), (DOWNSTREAM, "downstream")] {
        for point in of(name) {
            let first = first_seen.remove(&key(&point, direction)).unwrap_or(0);
            builder.dependency(&dependency(&point, direction, true, first <= since.unwrap_or(0)));
        }
    }
    for row in &figures {
        let direction = tag(&row.point, "direction");
        // What is left has no connection now.
        if first_seen.contains_key(&key(&row.point, direction)) {
            let before = row.first_seen <= since.unwrap_or(0);
            builder.dependency(&dependency(&row.point, direction, false, before));
        }
    }
    add_figures(&mut builder, &figures);
    let host = of(HOSTNAME).next();
    if figures.iter().all(|row| number(&row.point, "sent_bytes_total").is_none()) {
        of(TRAFFIC).for_each(|point| add_traffic(&mut builder, &point, host.as_ref()));
    }
    let mut graph = builder.finish();
    let name = host.map(|point| tag(&point, "hostname")).unwrap_or_default();
    graph.title = if name.is_empty() { "perijove".into() } else { name.into() };
    (graph.taken, graph.since, graph.unit) = (now, since, "B");
    graph
}

fn figures(point: Point<'_>) -> Option<Figures<'_>> {
    let seconds = |name| number(&point, name).map(|seconds| seconds as u64);
    let first_seen = seconds("first_seen_timestamp_seconds")?;
    let last_seen = seconds("last_seen_timestamp_seconds")?;
    Some(Figures { point, first_seen, last_seen })
}

/// What tells a dependency from others.
fn key<'a>(point: &Point<'a>, direction: &'a str) -> [&'a str; 8] {
    let [a, b, c, d, e, f, g] = DEPENDENCY_TAGS.map(|name| tag(point, name));
    [direction, a, b, c, d, e, f, g]
}

fn ends<'a>(point: &Point<'a>) -> (Who<'a>, Who<'a>) {
    let who = |group, name| Who { group: tag(point, group), name: tag(point, name) };
    (who("local_hostgroup", "local_address"), who("remote_hostgroup", "remote_address"))
}

fn dependency<'a>(point: &Point<'a>, direction: &str, now: bool, before: bool) -> Dependency<'a> {
    let (local, remote) = ends(point);
    let (client, server, end) = match direction {
        "upstream" => (local, remote, End::Client),
        _ => (remote, local, End::Server),
    };
    let (port, protocol) = (tag(point, "port"), tag(point, "protocol"));
    let process = tag(point, "process_name");
    Dependency { client, server, port, protocol, process, end, now, before }
}

/// Round trips, and bytes since perijove counts them.
fn add_figures(builder: &mut Builder, figures: &[Figures]) {
    for Figures { point, .. } in figures {
        let (local, remote) = ends(point);
        let (client, server) = match tag(point, "direction") {
            "upstream" => (local, remote),
            _ => (remote, local),
        };
        if let Some(seconds) = number(point, "rtt_seconds") {
            builder.rtt(client, server, tag(point, "port"), tag(point, "protocol"), seconds);
        }
        for (name, is_ingress) in [("sent_bytes_total", false), ("received_bytes_total", true)] {
            if let Some(bytes) = number(point, name) {
                builder.traffic(local, remote, is_ingress, bytes);
            }
        }
    }
}

/// Bytes with a peer that has a name; others would be as many as there are addresses.
fn add_traffic(builder: &mut Builder, point: &Point, host: Option<&Point>) {
    let or = |first: &'static str, second: &'static str, point: &Point| match tag(point, first) {
        "" => tag(point, second).to_string(),
        name => name.to_string(),
    };
    let (group, remote_group) = (tag(point, "local_hostgroup"), tag(point, "remote_hostgroup"));
    let own = host.map(|host| or("domain", "ip", host)).unwrap_or_default();
    let (domain, remote) = (tag(point, "local_domain"), or("remote_domain", "remote_ip", point));
    let local = if domain.is_empty() { &own } else { domain };
    let is_named = !remote_group.is_empty() || !tag(point, "remote_domain").is_empty();
    if let (Some(bytes), true, false) = (number(point, "bytes_total"), is_named, local.is_empty()) {
        let (local, remote) =
            (Who { group, name: local }, Who { group: remote_group, name: &remote });
        builder.traffic(local, remote, tag(point, "direction") == "ingress", bytes);
    }
}
