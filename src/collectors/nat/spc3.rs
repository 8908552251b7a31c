//! Address translation on SPC3: counters by interface, source pools, CPU of service sets.

use serde::Deserialize;

use super::counters::{Counter, field, field_of};
use super::{ServiceSet, Statistics, service_set, service_sets_query, statistics_query};
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Field, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::Leaves;

#[derive(Default)]
pub struct Nat2;

static STATISTICS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "nat2_statistics",
    help: "Address translation by an interface.",
    tags: &["interface"],
    fields: COUNTERS.split_ascii_whitespace().map(|name| field_of(OWN, name)).collect(),
});

/// The counters of `nat` that SPC3 has too, and those of `OWN`.
const COUNTERS: &str = "nat_pkt_dst_in_nat_route nat_filtering_session nat_mapping_session \
     nat_rule_lookup_failures nat_map_allocation_successes nat_map_allocation_failures \
     nat_map_free_success nat_map_free_failures nat_eim_mapping_create_failed \
     nat_eim_mapping_created nat_eim_mapping_updated nat_eif_mapping_free nat_eim_mapping_free \
     nat_total_pkts_processed nat_total_pkts_forwarded nat_total_pkts_translated \
     nat64_mtu_exceed nat64_dfbit_set nat64_err_mtu_exceed_build nat64_err_mtu_exceed_send \
     session_xlate464_clat_prefix_not_found session_xlate464_embeded_ipv4_not_found \
     nat_jflow_log_alloc_fail nat_jflow_log_alloc_success nat_jflow_log_free_success \
     nat_jflow_log_free_fail_record nat_jflow_log_free_fail_data \
     nat_jflow_log_invalid_trans_type nat_jflow_log_free_success_fail_queuing \
     nat_jflow_log_invalid_input_args nat_jflow_log_invalid_alloc_err \
     nat_jflow_log_rate_limit_fail_get_pool nat_jflow_log_rate_limit_fail_get_service_set \
     nat_jflow_log_rate_limit_fail_invalid_current_time";

const OWN: &[Counter] = &[
    ("", "session_xlate464_clat_prefix_not_found", "464XLAT sessions without a CLAT prefix."),
    ("", "session_xlate464_embeded_ipv4_not_found", "464XLAT sessions without an IPv4 address."),
    ("", "nat_jflow_log_rate_limit_fail_get_pool", "Rate-limited logs, no pool."),
];

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

fn count(name: &'static str, help: &'static str) -> Field<Leaves> {
    field(&("", name, help))
}

fn seconds(name: &'static str, help: &'static str) -> Field<Leaves> {
    field(&("s", name, help))
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

static SERVICE_SET: Measurement<ServiceSet> =
    Measurement::new(|| service_set("nat2_statistics_service_set", "cpu_utilization"));

impl Collector for Nat2 {
    const NAME: &'static str = "nat2";
    const HELP: &'static str =
        "Address translation on SPC3: counters by interface, source pools, CPU of service sets.";
    const QUERIES: &'static [Query<Nat2>] = &[
        statistics_query(),
        Query {
            rpc: Rpc::Once(
                "<retrieve-srv-source-nat-pool-information><all/>\
                 </retrieve-srv-source-nat-pool-information>",
            ),
            command: "show services nat source pool all",
            roots: &["source-nat-pool-detail-information"],
            items: &[item::<_, Pool>("source-nat-pool-info-entry")],
        },
        service_sets_query(),
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] =
        &[&STATISTICS, &POOL, &RANGE, &SERVICE_SET];
}

impl Item<Nat2> for Statistics {
    fn points(self, _: &mut Nat2, _: &Scope, points: &mut Points) {
        self.push(&STATISTICS, points);
    }
}

impl Item<Nat2> for ServiceSet {
    fn points(self, _: &mut Nat2, _: &Scope, points: &mut Points) {
        self.push(&SERVICE_SET, points);
    }
}

#[derive(Deserialize)]
struct Pool(Leaves);

impl Item<Nat2> for Pool {
    fn points(self, _: &mut Nat2, _: &Scope, points: &mut Points) {
        let Pool(pool) = self;
        let tags = ["interface-name", "service-set-name", "pool-name", "pool-id"];
        let [interface, set, name, id] = tags.map(|tag| pool.text(tag).unwrap_or_default());
        points.push(&POOL, &[interface, set, name, id], &pool);
        // The ranges have no element around each.
        for range in &pool.records("address-range-low") {
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
