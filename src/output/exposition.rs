//! Prometheus exposition: text 0.0.4, and OpenMetrics 1.0.
//!
//! Samples of a metric family stand together, as the formats demand, whatever batches they come
//! from; families are in the order of their names. A series that appears twice is written once, and
//! a point with two labels of one name is left out: Prometheus would refuse the whole scrape.
//!
//! Nothing is built whole: what is kept besides the points is where the points of each measurement
//! stand, 8 bytes for each, and for a moment one number for each to find those that appear twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};

use crate::base::bytes::{below, equal, has};
use crate::point::{Batch, FieldInfo, Kind, OF_MACHINE, Point, Schema, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text 0.0.4.
    Text,
    /// OpenMetrics 1.0. There a counter's name ends with `_total`; junos_exporter's names, which
    /// are kept, often do not: such a counter's type is `unknown`, which is what Prometheus takes
    /// any sample for. No dashboard sees a difference.
    OpenMetrics,
}

impl Format {
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// So much is written at once, and one sample more.
const WRITE_BYTES: usize = 8 << 10;

/// Writes all samples as text 0.0.4. Returns how many were left out because their series was there
/// already or has no valid name.
pub fn write(batches: &[Batch], out: &mut impl Write) -> io::Result<u64> {
    write_as(Format::Text, batches, out)
}

/// Writes all samples of the batches. How many were left out because their series was there, or
/// could not be.
pub fn write_as(format: Format, batches: &[Batch], out: &mut impl Write) -> io::Result<u64> {
    let keys = RandomState::new();
    let (groups, mut duplicates) = groups(batches, &keys);
    let families = families(&groups);
    let mut text = Vec::with_capacity(2 * WRITE_BYTES);
    for (metric, members) in &families {
        let mut seen = HashSet::new();
        let mut has_header = false;
        for (group, field) in members {
            let group = &groups[*group];
            let mut doubtful = group.doubtful.iter().copied().peekable();
            for (index, place) in group.places.iter().enumerate() {
                let is_doubtful = doubtful.next_if(|at| *at as usize == index).is_some();
                let (node, point) = place.find(batches);
                let Some(value) = point.field(*field) else { continue };
                if (is_doubtful || members.len() > 1)
                    && !seen.insert(identity(&keys, node, &point, &group.infos))
                {
                    duplicates += 1;
                    continue;
                }
                if !std::mem::replace(&mut has_header, true) {
                    header(format, metric, group.schema.field(*field), &families, &mut text);
                }
                text.extend_from_slice(metric.as_bytes());
                labels(node, &point, &group.infos, &mut text);
                text.push(b' ');
                number(value, &mut text);
                text.push(b'\n');
                if text.len() >= WRITE_BYTES {
                    out.write_all(&text)?;
                    text.clear();
                }
            }
        }
    }
    if format == Format::OpenMetrics {
        text.extend_from_slice(b"# EOF\n");
    }
    out.write_all(&text)?;
    Ok(duplicates)
}

/// Where a point stands: batch, and place in it.
struct Place {
    batch: u32,
    at: u32,
}

impl Place {
    fn find<'a>(&self, batches: &[Batch<'a>]) -> (&'a str, Point<'a>) {
        let batch = &batches[self.batch as usize];
        // Whoever scrapes a machine knows which one it is, and planet-exporter has no such label.
        let node = if batch.collector.starts_with(OF_MACHINE) { "" } else { batch.node };
        (node, batch.points.get(self.at as usize))
    }
}

/// The points of one measurement, over all batches.
struct Group {
    schema: &'static dyn Schema,
    /// The fields that are labels.
    infos: Vec<usize>,
    places: Vec<Place>,
    /// Which of the places have the labels of another one; most often none.
    doubtful: Vec<u32>,
}

/// Also how many samples have two labels of one name, and are in no group.
fn groups(batches: &[Batch], keys: &RandomState) -> (Vec<Group>, u64) {
    let mut groups: Vec<Group> = Vec::new();
    let mut left_out = 0;
    let mut known: HashMap<*const (), usize> = HashMap::new();
    for (index, batch) in batches.iter().enumerate() {
        for (at, point) in batch.points.iter().enumerate() {
            let schema = point.schema;
            if point.has_label_twice(&["target"]) {
                let is_text = |value: &Value| matches!(value, Value::Text(_));
                left_out += point.fields().filter(|(_, _, value)| !is_text(value)).count() as u64;
                continue;
            }
            let group = *known.entry(std::ptr::from_ref(schema).cast()).or_insert_with(|| {
                let is_info = |field: &usize| schema.field(*field).kind == Kind::Info;
                let infos = (0..schema.fields()).filter(is_info).collect();
                groups.push(Group { schema, infos, places: Vec::new(), doubtful: Vec::new() });
                groups.len() - 1
            });
            groups[group].places.push(Place { batch: index as u32, at: at as u32 });
        }
    }
    for group in &mut groups {
        group.doubtful = doubtful(group, batches, keys);
    }
    (groups, left_out)
}

fn doubtful(group: &Group, batches: &[Batch], keys: &RandomState) -> Vec<u32> {
    let identities = || {
        group.places.iter().map(|place| {
            let (node, point) = place.find(batches);
            identity(keys, node, &point, &group.infos)
        })
    };
    let mut seen = HashSet::with_capacity(group.places.len());
    let twice: HashSet<u64> = identities().filter(|identity| !seen.insert(*identity)).collect();
    drop(seen);
    if twice.is_empty() {
        return Vec::new();
    }
    let doubtful = identities().enumerate().filter(|(_, identity)| twice.contains(identity));
    doubtful.map(|(index, _)| index as u32).collect()
}

/// A number for a set of labels, whatever their order. The keys are random: nobody can choose
/// labels that share a number with others.
fn identity(keys: &RandomState, node: &str, point: &Point, infos: &[usize]) -> u64 {
    let mut sum = 0u64;
    each_label(node, point, infos, |name, value| {
        sum = sum.wrapping_add(keys.hash_one((name, value)));
    });
    sum
}

/// For each metric the fields that give it: several measurements may have one of the same name.
type Families = BTreeMap<String, Vec<(usize, usize)>>;

fn families(groups: &[Group]) -> Families {
    let mut families = Families::new();
    for (index, Group { schema, .. }) in groups.iter().enumerate() {
        for field in 0..schema.fields() {
            let info = schema.field(field);
            if matches!(info.kind, Kind::Counter | Kind::Gauge) {
                let metric = metric(schema.name(), info.name);
                families.entry(metric).or_default().push((index, field));
            }
        }
    }
    families
}

/// Measurements of federation. planet-federator's names for them are so general that others may use
/// them too, so in Prometheus they begin with `planet_`.
const FEDERATED: &[&str] = &[
    "ingress",
    "egress",
    "unknown",
    "ebpf_ingress",
    "ebpf_egress",
    "ebpf_unknown",
    "upstream",
    "downstream",
    "one_sided",
];

/// What Prometheus calls a field: junos_exporter's name for what routers report; perijove's own
/// and the dependency map's measurements carry their prefix themselves.
fn metric_prefix(measurement: &str) -> &'static str {
    let own = ["perijove_", "planet_", "junos_"];
    match measurement {
        name if own.iter().any(|prefix| name.starts_with(prefix)) => "",
        name if FEDERATED.contains(&name) => "planet_",
        _ => "junos_",
    }
}

/// What Prometheus calls a field of a measurement. A measurement without a name leaves it to the
/// field, and the field `value` to the measurement.
pub fn metric(measurement: &str, field: &str) -> String {
    let field = if field == "value" { "" } else { field };
    let separator = if measurement.is_empty() || field.is_empty() { "" } else { "_" };
    format!("{}{measurement}{separator}{field}", metric_prefix(measurement))
}

fn header(format: Format, metric: &str, field: &FieldInfo, families: &Families, out: &mut Vec<u8>) {
    // OpenMetrics takes `x_total` for a sample of the family `x`, which must not be another's.
    let total = metric.strip_suffix("_total").filter(|family| !families.contains_key(*family));
    let (family, kind) = match (format, field.kind, total) {
        (Format::OpenMetrics, Kind::Counter, Some(family)) => (family, "counter"),
        (Format::OpenMetrics, Kind::Counter, None) => (metric, "unknown"),
        (Format::Text, Kind::Counter, _) => (metric, "counter"),
        _ => (metric, "gauge"),
    };
    out.extend_from_slice(format!("# HELP {family} ").as_bytes());
    escape(field.help, format == Format::OpenMetrics, out);
    out.extend_from_slice(format!("\n# TYPE {family} {kind}\n").as_bytes());
}

/// A point's labels: its router, its tags, and its infos.
pub fn each_label<'a>(
    node: &'a str,
    point: &Point<'a>,
    infos: &[usize],
    mut with: impl FnMut(&'a str, &'a str),
) {
    if !node.is_empty() {
        with("target", node);
    }
    point.tags().for_each(|(name, value)| with(name, value));
    for info in infos {
        if let Some(Value::Text(text)) = point.field(*info) {
            with(point.schema.field(*info).label, text);
        }
    }
}

fn labels(node: &str, point: &Point, infos: &[usize], out: &mut Vec<u8>) {
    let mut separator = b'{';
    each_label(node, point, infos, |name, value| {
        out.push(separator);
        separator = b',';
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        escape(value, true, out);
        out.push(b'"');
    });
    if separator == b',' {
        out.push(b'}');
    }
}

fn escape(text: &str, quotes: bool, out: &mut Vec<u8>) {
    let special = |word| equal(word, b'\\') | equal(word, b'"') | below(word, b'\n' + 1);
    if !has(text.as_bytes(), special) {
        return out.extend_from_slice(text.as_bytes());
    }
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' if quotes => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            // Prometheus takes a NUL for the end of the whole text.
            b'\0' => out.extend_from_slice("\u{fffd}".as_bytes()),
            byte => out.push(byte),
        }
    }
}

fn number(value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Integer(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        Value::Decimal(f64::INFINITY) => out.extend_from_slice(b"+Inf"),
        Value::Decimal(f64::NEG_INFINITY) => out.extend_from_slice(b"-Inf"),
        Value::Decimal(number) => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
        }
        Value::Text(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Definition, Measurement, Points, counter, gauge, info, labelled, text};

    static PORT: Measurement<u64> = Measurement::new(|| Definition {
        name: "port",
        help: "A port.",
        tags: &["name"],
        fields: vec![
            labelled("what", info("description", "", |_| Some("a \"b\" \\ c\nd"))),
            counter("bytes", "bytes", "Bytes.", |p| Some(*p)),
            gauge("dbm", "dBm", "Power.", |p| (*p > 1).then_some(-0.5)),
            text("state", "", |_| Some("up")),
        ],
    });

    #[test]
    fn families_stand_together_and_series_once() {
        let (mut first, mut second) = (Points::default(), Points::default());
        first.push(&PORT, &["a"], &1);
        first.push(&PORT, &["b"], &2);
        second.push(&PORT, &["c"], &3);
        second.push(&PORT, &["a"], &4);
        let batch = |points| Batch { node: "r", collector: "c", time_ns: 0, points };
        let mut out = Vec::new();
        assert_eq!(write(&[batch(&first), batch(&second)], &mut out).unwrap(), 1);
        let what = r#"what="a \"b\" \\ c\nd""#;
        let expected = format!(
            "# HELP junos_port_bytes Bytes.\n# TYPE junos_port_bytes counter\n\
             junos_port_bytes{{target=\"r\",name=\"a\",{what}}} 1\n\
             junos_port_bytes{{target=\"r\",name=\"b\",{what}}} 2\n\
             junos_port_bytes{{target=\"r\",name=\"c\",{what}}} 3\n\
             # HELP junos_port_dbm Power.\n# TYPE junos_port_dbm gauge\n\
             junos_port_dbm{{target=\"r\",name=\"b\",{what}}} -0.5\n\
             junos_port_dbm{{target=\"r\",name=\"c\",{what}}} -0.5\n\
             junos_port_dbm{{target=\"r\",name=\"a\",{what}}} -0.5\n",
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
    /// The same labels in another order, from a measurement of the same name.
    static TURNED: Measurement<u64> = Measurement::new(|| Definition {
        name: "port",
        help: "A port.",
        tags: &["lane", "name"],
        fields: vec![counter("bytes", "bytes", "Bytes.", |p| Some(*p))],
    });
    static LANE: Measurement<u64> = Measurement::new(|| Definition {
        name: "port",
        help: "A port.",
        tags: &["name", "lane"],
        fields: vec![
            counter("bytes", "bytes", "Bytes.", |p| Some(*p)),
            counter("flaps_total", "", "Said \"down\".", |p| (*p < 9).then_some(*p)),
        ],
    });

    #[test]
    fn openmetrics_has_its_own_types_and_an_end_and_order_does_not_make_a_series() {
        let mut points = Points::default();
        points.push(&LANE, &["a", "1"], &9);
        points.push(&LANE, &["a", "1"], &2);
        points.push(&TURNED, &["1", "a"], &3);
        points.push(&TURNED, &["2", "a"], &4);
        let batch = Batch { node: "", collector: "c", time_ns: 0, points: &points };
        let mut out = Vec::new();
        assert_eq!(write_as(Format::OpenMetrics, &[batch], &mut out).unwrap(), 2);
        let expected = "# HELP junos_port_bytes Bytes.\n# TYPE junos_port_bytes unknown\n\
             junos_port_bytes{name=\"a\",lane=\"1\"} 9\n\
             junos_port_bytes{lane=\"2\",name=\"a\"} 4\n\
             # HELP junos_port_flaps Said \\\"down\\\".\n# TYPE junos_port_flaps counter\n\
             junos_port_flaps_total{name=\"a\",lane=\"1\"} 2\n# EOF\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn infinities_are_written_and_a_label_is_never_there_twice() {
        static LIGHT: Measurement<f64> = Measurement::new(|| Definition {
            name: "light",
            help: "Light.",
            tags: &["name"],
            fields: vec![
                gauge("dbm", "dBm", "Power.", |p| Some(*p)),
                info("what", "", |_| Some("x")),
            ],
        });
        let mut points = Points::default();
        points.push(&LIGHT, &["dark"], &f64::NEG_INFINITY);
        points.push(&LIGHT, &["sun"], &f64::INFINITY);
        for name in ["name", "what", "target"] {
            points.push(&LIGHT, &["forged"], &1.0);
            points.label(name, "x");
        }
        let batch = Batch { node: "r", collector: "c", time_ns: 0, points: &points };
        let mut out = Vec::new();
        assert_eq!(write(&[batch], &mut out).unwrap(), 3);
        let expected = "# HELP junos_light_dbm Power.\n# TYPE junos_light_dbm gauge\n\
             junos_light_dbm{target=\"r\",name=\"dark\",what=\"x\"} -Inf\n\
             junos_light_dbm{target=\"r\",name=\"sun\",what=\"x\"} +Inf\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
