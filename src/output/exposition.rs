//! Prometheus exposition text 0.0.4.
//!
//! Samples of a metric family stand together, as the format demands, whatever batches they come
//! from; families are in the order of their names. A series that appears twice is written once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};

use crate::point::{Batch, Kind, Point, Schema, Value, metric_prefix};

/// Writes all samples of the batches. How many were left out because their series was there.
pub fn write(batches: &[Batch], out: &mut impl Write) -> io::Result<u64> {
    let schemas = by_schema(batches);
    let mut duplicates = 0;
    let mut seen = HashSet::new();
    let mut sample = Vec::new();
    for (metric, fields) in families(&schemas) {
        let (schema, field) = fields[0];
        let info = schemas[schema].0.field(field);
        let kind = if info.kind == Kind::Counter { "counter" } else { "gauge" };
        seen.clear();
        for (schema, field) in fields {
            for (batch, at) in &schemas[schema].1 {
                let point = batches[*batch].points.get(*at);
                let Some(value) = point.field(field) else { continue };
                sample.clear();
                sample.extend_from_slice(metric.as_bytes());
                labels(batches[*batch].node, &point, &mut sample);
                if !seen.insert(hash(&sample)) {
                    duplicates += 1;
                    continue;
                }
                if seen.len() == 1 {
                    writeln!(out, "# HELP {metric} {}\n# TYPE {metric} {kind}", info.help)?;
                }
                sample.push(b' ');
                number(value, &mut sample);
                sample.push(b'\n');
                out.write_all(&sample)?;
            }
        }
    }
    Ok(duplicates)
}

/// Where the points of a schema stand: batch, and place in it.
type Places = Vec<(usize, usize)>;

fn by_schema(batches: &[Batch]) -> Vec<(&'static dyn Schema, Places)> {
    let mut schemas: Vec<(&'static dyn Schema, Places)> = Vec::new();
    let mut known: HashMap<*const (), usize> = HashMap::new();
    for (index, batch) in batches.iter().enumerate() {
        for (at, point) in batch.points.iter().enumerate() {
            let schema =
                *known.entry(std::ptr::from_ref(point.schema).cast()).or_insert_with(|| {
                    schemas.push((point.schema, Places::new()));
                    schemas.len() - 1
                });
            schemas[schema].1.push((index, at));
        }
    }
    schemas
}

/// The fields that make each metric: several schemas may have one of the same name.
fn families(schemas: &[(&'static dyn Schema, Places)]) -> BTreeMap<String, Vec<(usize, usize)>> {
    let mut families: BTreeMap<String, Vec<(usize, usize)>> = BTreeMap::new();
    for (index, (schema, _)) in schemas.iter().enumerate() {
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

/// What Prometheus calls a field of a measurement.
pub fn metric(measurement: &str, field: &str) -> String {
    format!("{}{measurement}_{field}", metric_prefix(measurement))
}

fn hash(sample: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    sample.hash(&mut hasher);
    hasher.finish()
}

fn labels(node: &str, point: &Point, out: &mut Vec<u8>) {
    let mut separator = b'{';
    let mut label = |name: &str, value: &str| {
        out.push(separator);
        separator = b',';
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"=\"");
        for byte in value.bytes() {
            match byte {
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'"' => out.extend_from_slice(b"\\\""),
                b'\n' => out.extend_from_slice(b"\\n"),
                byte => out.push(byte),
            }
        }
        out.push(b'"');
    };
    if !node.is_empty() {
        label("target", node);
    }
    for (name, value) in point.tags() {
        label(name, value);
    }
    for (_, info, value) in point.fields() {
        if let (Kind::Info, Value::Text(text)) = (info.kind, value) {
            label(info.label, text);
        }
    }
    if separator == b',' {
        out.push(b'}');
    }
}

fn number(value: Value, out: &mut Vec<u8>) {
    match value {
        Value::Integer(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        }
        Value::Decimal(number) => {
            out.extend_from_slice(zmij::Buffer::new().format_finite(number).as_bytes());
        }
        Value::Text(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Measurement, Points, counter, gauge, info, labelled, text};

    static PORT: Measurement<u64> = Measurement {
        name: "port",
        help: "A port.",
        tags: &["name"],
        fields: &[
            labelled("what", info("description", "", |_| Some("a \"b\" \\ c\nd"))),
            counter("bytes", "bytes", "Bytes.", |p| Some(*p)),
            gauge("dbm", "dBm", "Power.", |p| (*p > 1).then_some(-0.5)),
            text("state", "", |_| Some("up")),
        ],
    };

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
}
