//! Address translation on MS-MPC: counters by interface, pools, CPU of service sets. `spc3` is the
//! collector `nat2`, for cards that count much of the same.

mod counters;
mod spc3;

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Field, Measurement, Points, Schema, gauge, info};
use crate::xml::items::Scope;
use crate::xml::shapes::Leaves;
use counters::{COUNTERS, field};

pub use spc3::Nat2;

#[derive(Default)]
pub struct Nat;

static STATISTICS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "nat_statistics",
    help: "Address translation by an interface.",
    tags: &["interface"],
    fields: COUNTERS.iter().map(field).collect(),
});

const POOL_TAGS: &[&str] = &["interface", "pool_name"];

fn translation_type() -> Field<Leaves> {
    info("translation_type", "How it translates.", |l| {
        l.text("description").or_else(|| l.text("translation-type"))
    })
}

fn port_range() -> Field<Leaves> {
    info("port_range", "Its ports.", |l| l.text("pool-port-range"))
}

fn port_block_type() -> Field<Leaves> {
    info("port_block_type", "How it assigns blocks of ports.", |l| l.text("port-block-type"))
}

static POOL: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "nat_statistics_pool",
    help: "How a pool is set up.",
    tags: POOL_TAGS,
    fields: vec![
        translation_type(),
        port_range(),
        port_block_type(),
        gauge("port_block_size", "", "Ports in a block.", |l| l.integer("port-block-size")),
        gauge("active_block_timeout", "s", "Time a block is used for new sessions.", |l| {
            l.integer("active-block-timeout")
        }),
        gauge("max_blocks_per_address", "", "Most blocks of an address.", |l| {
            l.integer("max-blocks-per-address")
        }),
        gauge("effective_port_blocks", "", "Blocks.", |l| l.integer("effective-port-blocks")),
        gauge("effective_ports", "", "Ports.", |l| l.integer("effective-ports")),
        gauge("port_block_efficiency", "%", "Ports in use of those in blocks in use.", |l| {
            l.quantity("port-block-efficiency")
        }),
    ],
});

static POOL_DETAIL: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "nat_statistics_pool",
    help: "How a pool is used.",
    tags: POOL_TAGS,
    fields: vec![
        translation_type(),
        port_range(),
        port_block_type(),
        gauge("ports_in_use", "", "Ports in use.", |l| l.integer("pool-ports-in-use")),
        gauge("out_of_port_errors", "", "No port left.", |l| l.integer("pool-out-of-port-errors")),
        gauge("parity_port_errors", "", "No port of that parity left.", |l| {
            l.integer("pool-parity-port-errors")
        }),
        gauge("preserve_range_errors", "", "No port of that range left.", |l| {
            l.integer("pool-preserve-range-errors")
        }),
        gauge("max_ports_in_use", "", "Most ports in use so far.", |l| {
            l.integer("pool-max-ports-in-use")
        }),
        gauge("app_port_errors", "", "No port for an application.", |l| {
            l.integer("pool-app-port-errors")
        }),
        gauge("app_exceed_port_limit_errors", "", "Applications above their limit.", |l| {
            l.integer("pool-app-exceed-port-limit-errors")
        }),
        gauge("mem_alloc_errors", "", "No memory.", |l| l.integer("pool-mem-alloc-errors")),
        gauge("max_port_blocks_used", "", "Most blocks in use so far.", |l| {
            l.integer("max-port-blocks-used")
        }),
        gauge("blocks_in_use", "", "Blocks in use.", |l| l.integer("port-blocks-in-use")),
        gauge("block_allocation_errors", "", "No block left.", |l| {
            l.integer("port-block-allocation-errors")
        }),
        gauge("blocks_limit_exceeded_errors", "", "Addresses above their limit.", |l| {
            l.integer("port-blocks-limit-exceeded-errors")
        }),
        gauge("users", "", "Addresses that use it.", |l| l.integer("pool-users")),
        gauge("eif_inbound_session_count", "", "Inbound EIF sessions.", |l| {
            l.integer("eif-inbound-session-count")
        }),
        gauge("eif_inbound_limit_exceed_drop", "", "Inbound EIF sessions above the limit.", |l| {
            l.integer("eif-inbound-session-limit-exceed-drop")
        }),
    ],
});

// The spelling is junos_exporter's.
static SERVICE_SET: Measurement<ServiceSet> =
    Measurement::new(|| service_set("nat_statistics_service_set", "cpu_utlization"));

fn service_set(name: &'static str, field: &'static str) -> Definition<ServiceSet> {
    let used = gauge(field, "%", "CPU in use.", |s: &ServiceSet| s.cpu_utilization_percent);
    let tags = &["interface", "service_set"];
    Definition { name, help: "A service set.", tags, fields: vec![used] }
}

impl Collector for Nat {
    const NAME: &'static str = "nat";
    const HELP: &'static str =
        "Address translation on MS-MPC: counters by interface, pools, CPU of service sets.";
    const QUERIES: &'static [Query<Nat>] = &[
        statistics_query(),
        Query {
            rpc: Rpc::Once("<get-service-nat-pool-information/>"),
            command: "show services nat pool",
            roots: &["service-nat-pool-information"],
            items: &[item::<_, Pool<false>>("service-nat-pool")],
        },
        Query {
            rpc: Rpc::Once(
                "<get-service-nat-pool-information><detail/></get-service-nat-pool-information>",
            ),
            command: "show services nat pool detail",
            roots: &["service-nat-pool-information"],
            items: &[item::<_, Pool<true>>("service-nat-pool")],
        },
        service_sets_query(),
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] =
        &[&STATISTICS, &POOL, &POOL_DETAIL, &SERVICE_SET];
}

const fn statistics_query<C>() -> Query<C>
where
    Statistics: Item<C>,
{
    Query {
        rpc: Rpc::Once("<get-service-nat-statistics-information/>"),
        command: "show services nat statistics",
        roots: &["service-nat-statistics-information"],
        items: const { &[item::<C, Statistics>("service-nat-statistics-information")] },
    }
}

const fn service_sets_query<C>() -> Query<C>
where
    ServiceSet: Item<C>,
{
    Query {
        rpc: Rpc::Once("<get-service-set-cpu-statistics/>"),
        command: "show services service-sets cpu-usage",
        roots: &["service-set-cpu-statistics-information"],
        items: const { &[item::<C, ServiceSet>("service-set-cpu-statistics")] },
    }
}

#[derive(Deserialize)]
struct Statistics(Leaves);

impl Statistics {
    fn push(&self, measurement: &'static Measurement<Leaves>, points: &mut Points) {
        points.push(measurement, &[self.0.text("interface-name").unwrap_or_default()], &self.0);
    }
}

impl Item<Nat> for Statistics {
    fn points(self, _: &mut Nat, _: &Scope, points: &mut Points) {
        self.push(&STATISTICS, points);
    }
}

/// What one of the two queries for pools says.
#[derive(Deserialize)]
struct Pool<const DETAIL: bool>(Leaves);

impl<const DETAIL: bool> Item<Nat> for Pool<DETAIL> {
    fn points(self, _: &mut Nat, scope: &Scope, points: &mut Points) {
        let tags = [scope.get("interface-name"), self.0.text("pool-name")];
        let measurement = if DETAIL { &POOL_DETAIL } else { &POOL };
        points.push(measurement, &tags.map(Option::unwrap_or_default), &self.0);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ServiceSet {
    interface_name: String,
    service_set_name: String,
    cpu_utilization_percent: Option<f64>,
}

impl ServiceSet {
    fn push(&self, measurement: &'static Measurement<ServiceSet>, points: &mut Points) {
        points.push(measurement, &[&self.interface_name, &self.service_set_name], self);
    }
}

impl Item<Nat> for ServiceSet {
    fn points(self, _: &mut Nat, _: &Scope, points: &mut Points) {
        self.push(&SERVICE_SET, points);
    }
}
