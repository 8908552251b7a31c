//! The layout of jkafkaexporter's and jinfluxexporter's data, for those who read it already: their
//! names for what seven of our collectors measure.
//!
//! What they got wrong stays theirs: records are JSON, every tag that tells things apart is there,
//! decimals and negative numbers are not cut to whole ones. Measurements that they do not have are
//! left out.

use crate::point::{FieldInfo, Point, Value};

/// A point as they have it.
#[derive(Debug, PartialEq)]
pub struct Row<'a> {
    /// Topic or measurement.
    pub name: &'static str,
    pub tags: Vec<(&'a str, &'a str)>,
    pub fields: Vec<(&'static str, Value<'a>)>,
}

/// Where a field of theirs comes from.
enum From {
    Field(&'static str),
    /// A decimal of ours that is a whole number there.
    Whole(&'static str),
    Tag(&'static str),
}

use From::{Field, Tag, Whole};

struct Table {
    /// Ours.
    measurement: &'static str,
    /// Theirs.
    name: &'static str,
    fields: &'static [(&'static str, From)],
}

/// A measurement may have several: the fields say which point is which.
const TABLES: &[Table] = &[
    Table {
        measurement: "alarms",
        name: "alarm",
        fields: &[("redcount", Field("red_count")), ("yellowcount", Field("yellow_count"))],
    },
    Table {
        measurement: "interface",
        name: "interfaces",
        fields: &[
            ("Iface", Tag("name")),
            ("IfaceDescription", Field("description")),
            ("IfaceMAC", Field("mac")),
            ("ReceivedBytes", Field("receive_bytes")),
            ("TransmitBytes", Field("transmit_bytes")),
            ("AdminState", Field("admin_up")),
            ("OpState", Field("up")),
            ("Err", Field("error_status")),
            ("TXErr", Field("transmit_errors")),
            ("TXDrop", Field("transmit_drops")),
            ("RXErr", Field("receive_errors")),
            ("RXDrop", Field("receive_drops")),
        ],
    },
    Table {
        measurement: "route_engine",
        name: "routing-engine",
        fields: &[
            ("temp", Whole("temp")),
            ("memoryUtilised", Whole("memory_utilization_percent")),
            ("cpuTemp", Whole("cpu_temp")),
            ("cpuUser", Whole("cpu_user_percent")),
            ("cpuBackground", Whole("cpu_background_percent")),
            ("cpuSystem", Whole("cpu_system_percent")),
            ("cpuInterrupt", Whole("cpu_interrupt_percent")),
            ("cpuIdle", Whole("cpu_idle_percent")),
            ("loadAverage1", Field("load_average_one")),
            ("loadAverage5", Field("load_average_five")),
            ("loadAverage15", Field("load_average_fifteen")),
        ],
    },
    Table {
        // Their fields have bgp's names.
        measurement: "environment",
        name: "environment",
        fields: &[("receivedPrefixes", Tag("item")), ("acceptedPrefixes", Field("item_temp"))],
    },
    Table {
        measurement: "routes",
        name: "route",
        fields: &[
            ("totalRoutes", Field("total_count")),
            ("activeRoutes", Field("active_count")),
            ("maxRoutes", Field("max_count")),
        ],
    },
    Table {
        measurement: "routes_protocol",
        name: "route",
        fields: &[
            ("protocolRoutes", Field("count")),
            ("protocolActiveRoutes", Field("active_count")),
        ],
    },
    Table {
        measurement: "bgp_session",
        name: "bgp",
        fields: &[
            ("up", Field("up")),
            ("inputMessages", Field("messages_input_count")),
            ("outputMessages", Field("messages_output_count")),
            ("flaps", Field("flap_count")),
        ],
    },
    Table {
        measurement: "bgp_session_prefixes",
        name: "bgp",
        fields: &[
            ("receivedPrefixes", Field("received_count")),
            ("acceptedPrefixes", Field("accepted_count")),
            ("rejectedPrefixes", Field("rejected_count")),
            ("activePrefixes", Field("active_count")),
        ],
    },
    Table {
        measurement: "interface_diagnostics",
        name: "interfacediagnostics",
        fields: &[
            ("ModuleTemperature", Field("temp")),
            ("ModuleVoltage", Field("module_voltage")),
            ("RxSignalAvgOpticalPower", Field("rx_signal_avg")),
            ("RxSignalAvgOpticalPowerDbm", Field("rx_signal_avg_dbm")),
        ],
    },
    Table {
        measurement: "interface_diagnostics_laser",
        name: "interfacediagnostics",
        fields: &[
            ("LaserBiasCurrent", Field("bias")),
            ("LaserOutputPower", Field("output")),
            ("LaserOutputPowerDbm", Field("output_dbm")),
            ("LaserRxOpticalPower", Field("rx")),
            ("LaserRxOpticalPowerDbm", Field("rx_dbm")),
        ],
    },
];

/// The point in their layout; none if they do not have it.
pub fn row<'a>(point: &Point<'a>) -> Option<Row<'a>> {
    let measurement = point.schema.name();
    let table = TABLES.iter().find(|table| table.measurement == measurement)?;
    let field = |ours: &str| point.fields().find(|(_, info, _)| info.name == ours);
    let tag = |ours: &str| point.tags().find(|(name, _)| *name == ours).map(|(_, value)| value);
    let mut fields = Vec::with_capacity(table.fields.len());
    let mut readings = 0;
    for (theirs, from) in table.fields {
        let value = match from {
            Field(ours) => field(ours).and_then(|(_, info, value)| finite(info, value)),
            Whole(ours) => field(ours).and_then(|(_, _, value)| whole(value)),
            Tag(ours) => tag(ours).map(Value::Text),
        };
        let Some(value) = value else { continue };
        readings += usize::from(!matches!(value, Value::Text(_)));
        fields.push((*theirs, value));
    }
    if readings == 0 {
        return None;
    }
    // A description may have a label of a name that is one of theirs.
    let of_port = ["logicalname", "phyname"];
    let taken = |name: &str| {
        table.fields.iter().any(|(theirs, _)| *theirs == name) || of_port.contains(&name)
    };
    let tags = point.tags().filter(|(name, _)| !taken(name));
    let tags = tags.map(|(name, value)| match (measurement, name) {
        ("interface", "name") if value.contains('.') => ("logicalname", value),
        ("interface", "name") => ("phyname", value),
        _ => (name, value),
    });
    Some(Row { name: table.name, tags: tags.collect(), fields })
}

/// No light at all, which Junos prints as `- Inf` dBm: less than any receiver measures.
const DARK_DBM: f64 = -40.0;

/// A value as formats have it that know no infinity: no light has a floor, and any other value that
/// is not finite is left out.
pub fn finite<'a>(info: &FieldInfo, value: Value<'a>) -> Option<Value<'a>> {
    match value {
        Value::Decimal(f64::NEG_INFINITY) if info.unit == "dBm" => Some(Value::Decimal(DARK_DBM)),
        Value::Decimal(number) if !number.is_finite() => None,
        value => Some(value),
    }
}

fn whole(value: Value<'_>) -> Option<Value<'_>> {
    match value {
        Value::Decimal(number) if number >= 0.0 && number.is_finite() => {
            Some(Value::Integer(number.round() as u64))
        }
        Value::Decimal(_) => None,
        value => Some(value),
    }
}
