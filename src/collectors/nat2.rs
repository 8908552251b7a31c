//! Address translation on SPC3: counters by interface, source pools, CPU of service sets.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Field, Kind, Measurement, Points, Schema, gauge, named};
use crate::xml::items::Scope;
use crate::xml::shapes::{Flat, Leaves};

#[derive(Default)]
pub struct Nat2;

static STATISTICS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "nat2_statistics",
    help: "Address translation by an interface.",
    tags: &["interface"],
    fields: vec![
        packets("nat_pkt_dst_in_nat_route", "Packets to a NAT route."),
        count("nat_filtering_session", "Sessions created by EIF."),
        count("nat_mapping_session", "Sessions created by EIM."),
        count("nat_rule_lookup_failures", "Rule lookups that failed."),
        count("nat_map_allocation_successes", "Address allocations."),
        count("nat_map_allocation_failures", "Address allocations that failed."),
        count("nat_map_free_success", "Address frees."),
        count("nat_map_free_failures", "Address frees that failed."),
        count("nat_eim_mapping_create_failed", "EIM mappings not created."),
        count("nat_eim_mapping_created", "EIM mappings created."),
        count("nat_eim_mapping_updated", "EIM mappings updated."),
        count("nat_eif_mapping_free", "EIF mappings freed."),
        count("nat_eim_mapping_free", "EIM mappings freed."),
        packets("nat_total_pkts_processed", "Packets processed."),
        packets("nat_total_pkts_forwarded", "Packets forwarded."),
        packets("nat_total_pkts_translated", "Packets translated."),
        packets("nat64_mtu_exceed", "NAT64 packets above the MTU."),
        packets("nat64_dfbit_set", "NAT64 packets with the DF bit."),
        count("nat64_err_mtu_exceed_build", "NAT64 packet-too-big messages not built."),
        count("nat64_err_mtu_exceed_send", "NAT64 packet-too-big messages not sent."),
        count("session_xlate464_clat_prefix_not_found", "464XLAT sessions without a CLAT prefix."),
        count(
            "session_xlate464_embeded_ipv4_not_found",
            "464XLAT sessions without an IPv4 address.",
        ),
        count("nat_jflow_log_alloc_fail", "jflow logs not allocated."),
        count("nat_jflow_log_alloc_success", "jflow logs allocated."),
        count("nat_jflow_log_free_success", "jflow logs freed."),
        count("nat_jflow_log_free_fail_record", "jflow logs not freed, no record."),
        count("nat_jflow_log_free_fail_data", "jflow logs not freed, no data."),
        gauge(
            "nat_jflow_log_invalid_trans_type",
            "",
            "jflow logs, invalid translation type.",
            |l| {
                // The spelling is Junos's.
                l.integer("nat-jflow_log-invalid-trans-type")
            },
        ),
        count("nat_jflow_log_free_success_fail_queuing", "jflow logs freed, not queued."),
        count("nat_jflow_log_invalid_input_args", "jflow logs, invalid arguments."),
        count("nat_jflow_log_invalid_alloc_err", "jflow logs, invalid allocation error."),
        count("nat_jflow_log_rate_limit_fail_get_pool", "Rate-limited logs, no pool."),
        count(
            "nat_jflow_log_rate_limit_fail_get_service_set",
            "Rate-limited logs, no service set.",
        ),
        count(
            "nat_jflow_log_rate_limit_fail_invalid_current_time",
            "Rate-limited logs, invalid time.",
        ),
    ],
});

const POOL_TAGS: &[&str] = &["interface", "service_set", "pool_name", "pool_id"];

static POOL: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "nat2_statistics",
    help: "A source pool.",
    tags: POOL_TAGS,
    fields: vec![
        count("port_overloading_factor", "How often a port may be used."),
        count("total_pool_address", "Addresses."),
        count("address_pool_hits", "Translations with it."),
        count("source_pool_blk_size", "Ports in a block."),
        count("source_pool_blk_max_per_host", "Most blocks of a host."),
        seconds("source_pool_blk_atv_timeout", "Time a block is used for new sessions."),
        seconds("source_pool_blk_interim_log_cycle", "Time between logs of a block in use."),
        count("source_pool_blk_used", "Blocks in use."),
        count("source_pool_blk_total", "Blocks."),
        gauge("source_pool_port_blk_efficiency", "%", "Use of blocks; -1 if not a number.", |l| {
            let efficiency = "source-pool-port-blk-efficiency";
            l.text(efficiency).map(|_| l.quantity(efficiency).unwrap_or(-1.0))
        }),
        count("source_pool_max_blk_used", "Most blocks in use so far."),
        count("source_pool_users", "Hosts that use it."),
        seconds("source_pool_eim_timeout", "Timeout of EIM mappings."),
        seconds("source_pool_mapping_timeout", "Timeout of mappings."),
        count("source_pool_eif_inbound_flows_count", "Inbound EIF flows."),
        count("source_pool_eif_flow_limit_exceed_drops", "Inbound EIF flows above the limit."),
        count("single_port_sum", "Ports in use."),
        count("out_of_port_error", "No port left."),
        count("out_of_addr_error", "No address left."),
        count("parity_port_error", "No port of that parity left."),
        count("preserve_range_error", "No port of that range left."),
        count("app_out_of_port_error", "No port for an application."),
        count("app_exceed_port_limit_error", "Applications above their limit."),
        count("out_of_blk_error", "No block left."),
        count("blk_exceed_limit_error", "Hosts above their limit of blocks."),
        count("blk_out_of_port_error", "No port left in a block."),
        count("blk_mem_alloc_error", "No memory for a block."),
    ],
});

/// junos_exporter calls all of them gauges. Elements have the fields' names, with hyphens.
fn count(name: &'static str, help: &'static str) -> Field<Leaves> {
    named(name, "", help, Kind::Gauge, by_name)
}

fn packets(name: &'static str, help: &'static str) -> Field<Leaves> {
    named(name, "packets", help, Kind::Gauge, by_name)
}

fn seconds(name: &'static str, help: &'static str) -> Field<Leaves> {
    named(name, "s", help, Kind::Gauge, by_name)
}

fn by_name(leaves: &Leaves, name: &str) -> Option<u64> {
    leaves.integer(&name.replace('_', "-"))
}

static RANGE: Measurement<Option<u64>> = Measurement::new(|| Definition {
    name: "nat2_statistics",
    help: "A range of addresses of a source pool.",
    tags: &[
        "interface",
        "service_set",
        "pool_name",
        "pool_id",
        "address_range_low",
        "address_range_high",
    ],
    fields: vec![gauge("single_port", "", "Ports in use.", |ports| *ports)],
});

static SERVICE_SET: Measurement<ServiceSet> = Measurement::new(|| Definition {
    name: "nat2_statistics_service_set",
    help: "A service set.",
    tags: &["interface", "service_set"],
    fields: vec![gauge("cpu_utilization", "%", "CPU in use.", |s| s.cpu_utilization_percent)],
});

impl Collector for Nat2 {
    const NAME: &'static str = "nat2";
    const HELP: &'static str =
        "Address translation on SPC3: counters by interface, source pools, CPU of service sets.";
    const QUERIES: &'static [Query<Nat2>] = &[
        Query {
            rpc: Rpc::Once("<get-service-nat-statistics-information/>"),
            command: "show services nat statistics",
            roots: &["service-nat-statistics-information"],
            items: &[item::<_, Statistics>("service-nat-statistics-information")],
        },
        Query {
            rpc: Rpc::Once(
                "<retrieve-srv-source-nat-pool-information><all/>\
                 </retrieve-srv-source-nat-pool-information>",
            ),
            command: "show services nat source pool all",
            roots: &["source-nat-pool-detail-information"],
            items: &[item::<_, Pool>("source-nat-pool-info-entry")],
        },
        Query {
            rpc: Rpc::Once("<get-service-set-cpu-statistics/>"),
            command: "show services service-sets cpu-usage",
            roots: &["service-set-cpu-statistics-information"],
            items: &[item::<_, ServiceSet>("service-set-cpu-statistics")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] =
        &[&STATISTICS, &POOL, &RANGE, &SERVICE_SET];
}

#[derive(Deserialize)]
struct Statistics(Leaves);

impl Item<Nat2> for Statistics {
    fn points(self, _: &mut Nat2, _: &Scope, points: &mut Points) {
        let interface = self.0.text("interface-name").unwrap_or_default();
        points.push(&STATISTICS, &[interface], &self.0);
    }
}

#[derive(Deserialize)]
struct Pool(Flat);

impl Item<Nat2> for Pool {
    fn points(self, _: &mut Nat2, _: &Scope, points: &mut Points) {
        // The ranges have no element around each.
        let ranges = self.0.records("address-range-low");
        let pool = Leaves::from(self.0);
        let tags = ["interface-name", "service-set-name", "pool-name", "pool-id"];
        let [interface, set, name, id] = tags.map(|tag| pool.text(tag).unwrap_or_default());
        points.push(&POOL, &[interface, set, name, id], &pool);
        for range in &ranges {
            let ends = ["address-range-low", "address-range-high"];
            let [low, high] = ends.map(|end| range.text(end).unwrap_or_default());
            points.push(
                &RANGE,
                &[interface, set, name, id, low, high],
                &range.integer("single-port"),
            );
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ServiceSet {
    interface_name: String,
    service_set_name: String,
    cpu_utilization_percent: Option<f64>,
}

impl Item<Nat2> for ServiceSet {
    fn points(self, _: &mut Nat2, _: &Scope, points: &mut Points) {
        points.push(&SERVICE_SET, &[&self.interface_name, &self.service_set_name], &self);
    }
}
