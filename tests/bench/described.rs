//! Described collectors beside the same collectors as code: each item read by serde into a struct.

use std::sync::atomic::Ordering;

use perijove::collector::described::load;
use perijove::collector::{Collector, Entry, Item, Query, Rpc, entry, item};
use perijove::output::exposition::metric;
use perijove::point::{Definition, Measurement, Points, Schema, counter, gauge, info};
use perijove::poll::registry;
use perijove::xml::items::Scope;
use perijove::xml::shapes::state_number;
use serde::Deserialize;

use crate::{ALLOCATIONS, PAIRS, cpu_time, paired, points_of, print, router_prints};

/// A described collector has at least this share of the speed that the same has as code.
const TARGET: f64 = 0.7;

pub fn described(router: &str) {
    let find = |name| registry::find(name).expect("a collector");
    let tables = router_prints(router, "get-route-summary-information", &["--tables", "20000"]);
    beside("described-route", find("route"), &entry::<Route>(), &tables);

    beside("described-lacp", find("lacp"), &entry::<Lacp>(), lacp(40 << 20).as_bytes());

    let options = ["--interfaces", "4000"];
    let interfaces = router_prints(router, "get-interface-information extensive", &options);
    let ours = load(INTERFACES, &[], metric).expect("a description");
    beside("described-interfaces", ours, &entry::<Interfaces>(), &interfaces);
    loading();
}

/// Reads a reply in both ways, which give as many points.
fn beside(name: &str, ours: &Entry, theirs: &Entry, reply: &[u8]) {
    let (mut described, mut compiled) = (0, 0);
    let allocated = |entry: &Entry| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let points = points_of(entry, reply, &mut |_| {});
        (ALLOCATIONS.load(Ordering::Relaxed) - before) as f64 / points as f64
    };
    let allocations = (allocated(ours), allocated(theirs));
    let pair = paired(
        PAIRS,
        cpu_time,
        || described = points_of(ours, reply, &mut |_| {}),
        || compiled = points_of(theirs, reply, &mut |_| {}),
    );
    assert_eq!(described, compiled, "{name}");
    println!(
        "# {name}: {:.1} MB, {described} points; allocations for each: {:.3}, compiled {:.3}",
        reply.len() as f64 / 1e6,
        allocations.0,
        allocations.1
    );
    print(name, pair.speed, "of-compiled", TARGET, true);
    print(
        &format!("{name}-allocations"),
        allocations.0,
        "per-point",
        allocations.1.max(0.1),
        false,
    );
}

/// Two hundred descriptions: how long they take to load, and what memory they keep.
fn loading() {
    let text = registry::find("vpws").and_then(|entry| entry.description).expect("described").text;
    let texts: Vec<String> = (0..200)
        .map(|n| {
            text.replace("name = \"vpws\"", &format!("name = \"mine{n}\""))
                .replace("measurement = \"vpws\"", &format!("measurement = \"mine{n}\""))
        })
        .collect();
    let beside: Vec<&'static Entry> = registry::collectors().iter().collect();
    let (start, before) = (std::time::Instant::now(), crate::IN_USE.load(Ordering::Relaxed));
    for text in &texts {
        load(text, &beside, metric).expect("a description");
    }
    let ms = start.elapsed().as_secs_f64() * 1e3;
    let megabytes = (crate::IN_USE.load(Ordering::Relaxed) - before) as f64 / 1e6;
    print("described-load-200", ms, "ms", 50.0, false);
    print("described-load-200-memory", megabytes, "MB", 4.0, false);
}

/// A reply of at least so many bytes.
fn lacp(bytes: usize) -> String {
    let mut reply = String::from("<rpc-reply><lacp-interface-information-list>");
    let mut number = 0;
    while reply.len() < bytes {
        reply += &format!(
            "<lacp-interface-information xmlns=\"http://xml.juniper.net/junos/21.4R3/junos-lacp\">\
             <lag-lacp-header><aggregate-name>ae{number}</aggregate-name></lag-lacp-header>"
        );
        for member in 0..4 {
            let name = format!("<name>xe-{}/0/{member}</name>", number % 20);
            reply += &format!(
                "<lag-lacp-state>{name}<lacp-role>Actor</lacp-role><lacp-expired>No</lacp-expired>\
                 <lacp-defaulted>No</lacp-defaulted><lacp-distributing>Yes</lacp-distributing>\
                 <lacp-timeout>Fast</lacp-timeout><lacp-activity>Active</lacp-activity>\
                 </lag-lacp-state><lag-lacp-protocol>{name}\
                 <lacp-receive-state>Current</lacp-receive-state>\
                 <lacp-transmit-state>Fast periodic</lacp-transmit-state>\
                 <lacp-mux-state>Collecting distributing</lacp-mux-state></lag-lacp-protocol>"
            );
        }
        reply += "</lacp-interface-information>";
        number += 1;
    }
    reply + "</lacp-interface-information-list></rpc-reply>"
}

const INTERFACES: &str = r#"
name = "interfaceslike"
help = "Interfaces."

[[query]]
rpc = "<get-interface-information><extensive/></get-interface-information>"
command = "show interfaces extensive"
roots = ["interface-information"]

[[query.point]]
item = "physical-interface"
measurement = "interfaceslike"
help = "An interface."
tags = [{ name = "name" }]
fields = [
  { name = "admin", gauge = "admin-status", is = "up", help = "Whether it is on." },
  { name = "oper", gauge = "oper-status", is = "up", help = "Whether it is up." },
  { name = "speed", gauge = "speed", shape = "bit_rate", help = "Its speed." },
  { name = "description", info = "description", help = "Its description." },
  { name = "input_bytes_total", counter = "traffic-statistics/input-bytes", help = "Bytes." },
  { name = "output_bytes_total", counter = "traffic-statistics/output-bytes", help = "Bytes." },
  { name = "input_packets_total", counter = "traffic-statistics/input-packets", help = "Packets." },
  { name = "output_packets_total", counter = "traffic-statistics/output-packets", help = "P." },
  { name = "input_errors_total", counter = "input-error-list/input-errors", help = "Errors." },
  { name = "input_drops_total", counter = "input-error-list/input-drops", help = "Drops." },
  { name = "output_errors_total", counter = "output-error-list/output-errors", help = "Errors." },
  { name = "output_drops_total", counter = "output-error-list/output-drops", help = "Drops." },
]

[[query.point]]
item = "physical-interface"
each = "logical-interface"
measurement = "interfaceslike_unit"
help = "A unit."
tags = [{ name = "name" }]
fields = [
  { name = "input_bytes_total", counter = "traffic-statistics/input-bytes", help = "Bytes." },
  { name = "output_bytes_total", counter = "traffic-statistics/output-bytes", help = "Bytes." },
  { name = "input_packets_total", counter = "traffic-statistics/input-packets", help = "Packets." },
  { name = "output_packets_total", counter = "traffic-statistics/output-packets", help = "P." },
]
"#;

#[derive(Default)]
struct Interfaces;

static PHYSICAL: Measurement<Physical> = Measurement::new(|| Definition {
    name: "interfaceslike",
    help: "An interface.",
    tags: &["name"],
    fields: vec![
        gauge("admin", "", "", |p| Some(u64::from(p.admin_status.as_deref()? == "up"))),
        gauge("oper", "", "", |p| Some(u64::from(p.oper_status.as_deref()? == "up"))),
        gauge("speed", "", "", |p| Some(p.speed?.0)),
        info("description", "", |p| p.description.as_deref()),
        counter("input_bytes_total", "", "", |p| p.traffic_statistics.input_bytes),
        counter("output_bytes_total", "", "", |p| p.traffic_statistics.output_bytes),
        counter("input_packets_total", "", "", |p| p.traffic_statistics.input_packets),
        counter("output_packets_total", "", "", |p| p.traffic_statistics.output_packets),
        counter("input_errors_total", "", "", |p| p.input_error_list.input_errors),
        counter("input_drops_total", "", "", |p| p.input_error_list.input_drops),
        counter("output_errors_total", "", "", |p| p.output_error_list.output_errors),
        counter("output_drops_total", "", "", |p| p.output_error_list.output_drops),
    ],
});

static LOGICAL: Measurement<Logical> = Measurement::new(|| Definition {
    name: "interfaceslike_unit",
    help: "A unit.",
    tags: &["name"],
    fields: vec![
        counter("input_bytes_total", "", "", |l| l.traffic_statistics.input_bytes),
        counter("output_bytes_total", "", "", |l| l.traffic_statistics.output_bytes),
        counter("input_packets_total", "", "", |l| l.traffic_statistics.input_packets),
        counter("output_packets_total", "", "", |l| l.traffic_statistics.output_packets),
    ],
});

impl Collector for Interfaces {
    const NAME: &'static str = "interfaceslike";
    const HELP: &'static str = "Interfaces.";
    const QUERIES: &'static [Query<Interfaces>] = &[Query {
        rpc: Rpc::Once("<get-interface-information><extensive/></get-interface-information>"),
        command: "show interfaces extensive",
        roots: &["interface-information"],
        items: &[item::<_, Physical>("physical-interface")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&PHYSICAL, &LOGICAL];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Physical {
    name: String,
    admin_status: Option<String>,
    oper_status: Option<String>,
    speed: Option<perijove::xml::shapes::BitRate>,
    description: Option<String>,
    #[serde(default)]
    traffic_statistics: Traffic,
    #[serde(default)]
    input_error_list: InputErrors,
    #[serde(default)]
    output_error_list: OutputErrors,
    #[serde(default)]
    logical_interface: Vec<Logical>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Traffic {
    input_bytes: Option<u64>,
    output_bytes: Option<u64>,
    input_packets: Option<u64>,
    output_packets: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct InputErrors {
    input_errors: Option<u64>,
    input_drops: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct OutputErrors {
    output_errors: Option<u64>,
    output_drops: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Logical {
    name: String,
    #[serde(default)]
    traffic_statistics: Traffic,
}

impl Item<Interfaces> for Physical {
    fn points(self, _: &mut Interfaces, _: &Scope, points: &mut Points) {
        points.push(&PHYSICAL, &[&self.name], &self);
        for unit in &self.logical_interface {
            points.push(&LOGICAL, &[&unit.name], unit);
        }
    }
}

#[derive(Default)]
struct Route;

static ROUTES: Measurement<Table> = Measurement::new(|| Definition {
    name: "routes",
    help: "Routes in a table.",
    tags: &["table"],
    fields: vec![
        gauge("total_count", "", "Routes.", |t| t.total_route_count),
        gauge("active_count", "", "Routes in use.", |t| t.active_route_count),
        gauge("max_count", "", "Routes that the table may have.", |t| t.prefix_max),
    ],
});

static PROTOCOL: Measurement<Protocol> = Measurement::new(|| Definition {
    name: "routes_protocol",
    help: "Routes in a table, by protocol.",
    tags: &["table", "protocol"],
    fields: vec![
        gauge("count", "", "Routes.", |p| p.protocol_route_count),
        gauge("active_count", "", "Routes in use.", |p| p.active_route_count),
    ],
});

impl Collector for Route {
    const NAME: &'static str = "route";
    const HELP: &'static str = "Routes by table and by the protocol that gave them.";
    const QUERIES: &'static [Query<Route>] = &[Query {
        rpc: Rpc::Once("<get-route-summary-information/>"),
        command: "show route summary",
        roots: &["route-summary-information"],
        items: &[item::<_, Table>("route-table")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&ROUTES, &PROTOCOL];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Table {
    table_name: String,
    total_route_count: Option<u64>,
    active_route_count: Option<u64>,
    prefix_max: Option<u64>,
    #[serde(default)]
    protocols: Vec<Protocol>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Protocol {
    protocol_name: String,
    protocol_route_count: Option<u64>,
    active_route_count: Option<u64>,
}

impl Item<Route> for Table {
    fn points(self, _: &mut Route, _: &Scope, points: &mut Points) {
        points.push(&ROUTES, &[&self.table_name], &self);
        for protocol in &self.protocols {
            points.push(&PROTOCOL, &[&self.table_name, &protocol.protocol_name], protocol);
        }
    }
}

#[derive(Default)]
struct Lacp;

static LACP_LINK: Measurement<Link> = Measurement::new(|| Definition {
    name: "lacp",
    help: "A link of an aggregated Ethernet interface.",
    tags: &["aggregate", "name"],
    fields: vec![gauge("muxstate", "", STATES, |p| {
        state_number(p.lacp_mux_state.as_deref(), STATES)
    })],
});

const STATES: &str = "Detached 1, Waiting 2, Attached 3, Collecting 4, Distributing 5, \
                      Collecting distributing 6, other 0.";

impl Collector for Lacp {
    const NAME: &'static str = "lacp";
    const HELP: &'static str = "LACP: the links of aggregated Ethernet interfaces.";
    const QUERIES: &'static [Query<Lacp>] = &[Query {
        rpc: Rpc::Once("<get-lacp-interface-information/>"),
        command: "show lacp interfaces",
        roots: &["lacp-interface-information-list"],
        items: &[item::<_, Aggregate>("lacp-interface-information")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&LACP_LINK];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Aggregate {
    lag_lacp_header: LacpHeader,
    #[serde(default)]
    lag_lacp_protocol: Vec<Link>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct LacpHeader {
    aggregate_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Link {
    name: String,
    lacp_mux_state: Option<String>,
}

impl Item<Lacp> for Aggregate {
    fn points(self, _: &mut Lacp, _: &Scope, points: &mut Points) {
        for link in &self.lag_lacp_protocol {
            points.push(&LACP_LINK, &[&self.lag_lacp_header.aggregate_name, &link.name], link);
        }
    }
}
