//! The two tables, as planet-federator-influxdb-to-bq has them, and their rows. Pure.

use std::collections::BTreeMap;

use openssl::sha::Sha256;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::output::json::rfc3339;

pub const HOUR: u64 = 3_600_000;

/// A table, the questions that fill it, and the span that a question is about.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    pub clustering: &'static [&'static str],
    pub queries: &'static [Query],
    pub span_ms: u64,
}

#[derive(Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: &'static str,
    pub required: bool,
}

/// One of a table's two directions.
#[derive(Debug)]
pub struct Query {
    /// The measurement, and what the rows say of the direction.
    pub direction: &'static str,
    direction_column: &'static str,
    select: &'static str,
    /// Tags of the measurement and the columns that they fill.
    tags: &'static [(&'static str, &'static str)],
    /// Columns of the answer and of the table.
    values: &'static [(&'static str, &'static str)],
}

const fn required(name: &'static str, kind: &'static str) -> Column {
    Column { name, kind, required: true }
}

const fn nullable(name: &'static str) -> Column {
    Column { name, kind: "STRING", required: false }
}

const BANDWIDTHS: &[(&str, &str)] = &[
    ("min", "traffic_bandwidth_bits_min_1h"),
    ("max", "traffic_bandwidth_bits_max_1h"),
    ("mean", "traffic_bandwidth_bits_avg_1h"),
];

const fn traffic(direction: &'static str) -> Query {
    Query {
        direction,
        direction_column: "traffic_direction",
        select: "MIN(\"bandwidth_bps\"), MAX(\"bandwidth_bps\"), MEAN(\"bandwidth_bps\")",
        tags: &[
            ("service", "local_hostgroup"),
            ("address", "local_hostgroup_address"),
            ("remote_service", "remote_hostgroup"),
            ("remote_address", "remote_hostgroup_address"),
        ],
        values: BANDWIDTHS,
    }
}

pub static TRAFFIC: Table = Table {
    name: "traffic",
    columns: &[
        required("inventory_date", "TIMESTAMP"),
        required("traffic_direction", "STRING"),
        required("local_hostgroup", "STRING"),
        nullable("local_hostgroup_address"),
        required("remote_hostgroup", "STRING"),
        nullable("remote_hostgroup_address"),
        required("traffic_bandwidth_bits_min_1h", "INTEGER"),
        required("traffic_bandwidth_bits_max_1h", "INTEGER"),
        required("traffic_bandwidth_bits_avg_1h", "INTEGER"),
    ],
    clustering: &["local_hostgroup", "remote_hostgroup", "traffic_direction"],
    queries: &[traffic("ingress"), traffic("egress")],
    span_ms: HOUR,
};

const fn dependency(
    direction: &'static str,
    tags: &'static [(&'static str, &'static str)],
) -> Query {
    Query {
        direction,
        direction_column: "dependency_direction",
        select: "COUNT(\"service_dependency\")",
        tags,
        values: &[],
    }
}

pub static DEPENDENCY: Table = Table {
    name: "dependency",
    columns: &[
        required("inventory_date", "TIMESTAMP"),
        required("dependency_direction", "STRING"),
        required("protocol", "STRING"),
        nullable("local_hostgroup_process_name"),
        required("local_hostgroup", "STRING"),
        nullable("local_hostgroup_address"),
        nullable("local_hostgroup_address_port"),
        required("remote_hostgroup", "STRING"),
        nullable("remote_hostgroup_address"),
        nullable("remote_hostgroup_address_port"),
    ],
    clustering: &["local_hostgroup", "remote_hostgroup", "dependency_direction"],
    queries: &[
        dependency(
            "upstream",
            &[
                ("service", "local_hostgroup"),
                ("address", "local_hostgroup_address"),
                ("upstream_service", "remote_hostgroup"),
                ("upstream_address", "remote_hostgroup_address"),
                ("process_name", "local_hostgroup_process_name"),
                ("upstream_port", "remote_hostgroup_address_port"),
                ("protocol", "protocol"),
            ],
        ),
        dependency(
            "downstream",
            &[
                ("service", "local_hostgroup"),
                ("address", "local_hostgroup_address"),
                ("downstream_service", "remote_hostgroup"),
                ("downstream_address", "remote_hostgroup_address"),
                ("process_name", "local_hostgroup_process_name"),
                ("port", "local_hostgroup_address_port"),
                ("protocol", "protocol"),
            ],
        ),
    ],
    span_ms: 7 * 24 * HOUR,
};

/// The end of the span that a load of that time is about: the full hour before.
pub fn span_end(time_ms: u64) -> u64 {
    time_ms / HOUR * HOUR
}

/// A row with the id that keeps it from being there twice.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Row {
    pub id: String,
    pub json: Map<String, Json>,
}

/// One series of InfluxDB's answer: its tags, and the columns of its only row.
pub struct Series<'a> {
    pub tags: &'a BTreeMap<String, String>,
    pub columns: &'a [String],
    pub values: &'a [Json],
}

impl Query {
    /// The statement for a span; points stand at the ends of windows, so the span's end is in it.
    pub fn statement(&self, end_ms: u64, span_ms: u64) -> String {
        let tags: Vec<String> = self.tags.iter().map(|(tag, _)| format!("\"{tag}\"")).collect();
        let (from, to) = ((end_ms - span_ms) * 1_000_000, end_ms * 1_000_000);
        format!(
            "SELECT {} FROM \"{}\" WHERE \"service\" != '' AND time > {from} AND time <= {to} \
             GROUP BY {}",
            self.select,
            self.direction,
            tags.join(", ")
        )
    }

    /// The row that a series gives; none where a number is missing.
    pub fn row(&self, table: &Table, end_ms: u64, series: &Series) -> Option<Row> {
        let mut json = Map::new();
        for Column { name, .. } in table.columns {
            json.insert(name.to_string(), Json::Null);
        }
        let date = rfc3339(end_ms * 1_000_000);
        json.insert("inventory_date".into(), date.into());
        json.insert(self.direction_column.into(), self.direction.into());
        for (tag, column) in self.tags {
            let text = series.tags.get(*tag).map_or("", String::as_str);
            let is_required = table.columns.iter().any(|c| c.name == *column && c.required);
            if is_required || !text.is_empty() {
                json.insert(column.to_string(), text.into());
            }
        }
        for (value, column) in self.values {
            let at = series.columns.iter().position(|column| column == value)?;
            let number = series.values.get(at)?.as_f64()?;
            json.insert(column.to_string(), json!(number.round() as i64));
        }
        let mut hash = Sha256::new();
        hash.update(table.name.as_bytes());
        // What is measured is no part of what the row is about.
        for Column { name, kind, .. } in table.columns.iter().filter(|c| c.kind != "INTEGER") {
            debug_assert!(!kind.is_empty());
            hash.update(json[*name].to_string().as_bytes());
            hash.update(b"\n");
        }
        let id = hash.finish()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Row { id, json })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(query: &Query, columns: &[&str], values: Json, service: &str) -> Option<Row> {
        let tags = [("service", service), ("remote_service", "db"), ("remote_address", "")];
        let tags = tags.map(|(name, value)| (name.to_string(), value.to_string())).into();
        let columns: Vec<String> = columns.iter().map(|column| column.to_string()).collect();
        let values = values.as_array().unwrap();
        let end = 1_772_362_800_000;
        query.row(&TRAFFIC, end, &Series { tags: &tags, columns: &columns, values })
    }

    #[test]
    fn rows_have_every_column_and_an_id_that_follows_from_what_they_are_about() {
        let [ingress, egress] = TRAFFIC.queries else { panic!() };
        let columns = ["time", "min", "max", "mean"];
        let row = series(ingress, &columns, json!([0, 1.4, 9, 2.5]), "web").unwrap();
        let expected = json!({
            "inventory_date": "2026-03-01T11:00:00Z",
            "traffic_direction": "ingress",
            "local_hostgroup": "web",
            "local_hostgroup_address": null,
            "remote_hostgroup": "db",
            "remote_hostgroup_address": null,
            "traffic_bandwidth_bits_min_1h": 1,
            "traffic_bandwidth_bits_max_1h": 9,
            "traffic_bandwidth_bits_avg_1h": 3,
        });
        assert_eq!(Json::Object(row.json), expected);
        let again = series(ingress, &columns, json!([0, 7, 7, 7]), "web").unwrap();
        assert_eq!(row.id, again.id);
        for other in [
            series(egress, &columns, json!([0, 1.4, 9, 2.5]), "web"),
            series(ingress, &columns, json!([0, 1.4, 9, 2.5]), "we"),
        ] {
            assert_ne!(row.id, other.unwrap().id);
        }
        assert_eq!(series(ingress, &columns, json!([0, 1, null, 2]), "web"), None);
        assert_eq!(series(ingress, &["time", "min"], json!([0, 1]), "web"), None);
    }

    #[test]
    fn statements_name_a_span() {
        let expected = "SELECT COUNT(\"service_dependency\") FROM \"downstream\" WHERE \"service\" \
                        != '' AND time > 1771758000000000000 AND time <= 1772362800000000000 GROUP \
                        BY \"service\", \"address\", \"downstream_service\", \
                        \"downstream_address\", \"process_name\", \"port\", \"protocol\"";
        let end = span_end(1_772_362_830_000);
        assert_eq!(DEPENDENCY.queries[1].statement(end, DEPENDENCY.span_ms), expected);
    }
}
