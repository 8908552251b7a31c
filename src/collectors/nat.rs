//! Address translation on MS-MPC: counters by interface, pools, CPU of service sets. `spc3` is the
//! collector `nat2`, for cards that count much of the same.

mod spc3;

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Field, Kind, Measurement, Points, Schema, gauge, info, named};
use crate::xml::items::Scope;
use crate::xml::shapes::Leaves;

pub use spc3::Nat2;

#[derive(Default)]
pub struct Nat;

static STATISTICS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "nat_statistics",
    help: "Address translation by an interface.",
    tags: &["interface"],
    fields: COUNTERS.iter().map(field).collect(),
});

/// What an interface counts: unit, name, meaning. Elements have the fields' names, most with
/// hyphens.
const COUNTERS: &[Counter] = &[
    ("packets", "nat64_dfbit_set", "NAT64 packets with the DF bit."),
    ("", "nat64_err_map_dst", "NAT64 IPv6 destinations not mapped."),
    ("", "nat64_err_map_src", "NAT64 IPv4 sources not mapped."),
    ("", "nat64_err_mtu_exceed_build", "NAT64 packet-too-big messages not built."),
    ("", "nat64_err_mtu_exceed_send", "NAT64 packet-too-big messages not sent."),
    ("", "nat64_err_ttl_exceed_build", "NAT64 time-exceeded messages not built."),
    ("", "nat64_err_ttl_exceed_send", "NAT64 time-exceeded messages not sent."),
    ("packets", "nat64_ipoptions_drop", "NAT64 packets dropped for IP options."),
    ("packets", "nat64_mtu_exceed", "NAT64 packets above the MTU."),
    ("packets", "nat64_udp_cksum_zero_drop", "NAT64 packets dropped, UDP checksum zero."),
    ("packets", "nat64_unsupp_hdr_drop", "NAT64 packets dropped, unsupported header."),
    ("packets", "nat64_unsupp_icmp_code_drop", "NAT64 packets dropped, unsupported ICMP code."),
    ("packets", "nat64_unsupp_icmp_error", "NAT64 unsupported ICMP errors."),
    ("packets", "nat64_unsupp_icmp_type_drop", "NAT64 packets dropped, unsupported ICMP type."),
    ("packets", "nat64_unsupp_l4_drop", "NAT64 packets dropped, unsupported layer 4."),
    ("", "nat_alg_data_session_created", "ALG data sessions created."),
    ("", "nat_alg_data_session_interest", "ALG data session interests."),
    ("", "nat_cm_eim_lnode_deleted", "EIM list nodes deleted."),
    ("", "nat_cm_eim_lnode_created", "EIM list nodes created."),
    ("", "nat_cm_sess_lnode_deleted", "Session list nodes deleted."),
    ("", "nat_cm_sess_lnode_created", "Session list nodes created."),
    ("", "nat_ctrl_sess_not_xltd_chld_sess_ignd", "Child sessions ignored."),
    ("packets", "nat_dst_ipv4_restorations", "Destination IPv4 restorations."),
    ("packets", "nat_dst_ipv4_translations", "Destination IPv4 translations."),
    ("packets", "nat_dst_ipv6_restorations", "Destination IPv6 restorations."),
    ("packets", "nat_dst_ipv6_translations", "Destination IPv6 translations."),
    ("packets", "nat_dst_port_restorations", "Destination port restorations."),
    ("packets", "nat_dst_port_translations", "Destination port translations."),
    ("", "nat_eif_mapping_free", "EIF mappings freed."),
    ("", "nat_eim_drain_in_lookup", "EIM entries drained in a lookup."),
    ("", "nat_eim_duplicate_mapping", "Duplicate EIM mappings."),
    ("", "nat_eim_entry_drained", "EIM entries drained."),
    ("", "nat_eim_lookup_clear_timer", "EIM lookups that cleared a timer."),
    ("", "nat_eim_lookup_entry_without_timer", "EIM lookups, entry without a timer."),
    ("", "nat_eim_lookup_hold_success", "EIM lookups that held the entry."),
    ("", "nat_eim_lookup_timeout", "EIM lookups, entry in its timeout."),
    ("", "nat_eim_mapping_alloc_failures", "EIM mappings not allocated."),
    ("", "nat_eim_mapping_create_failed", "EIM mappings not created."),
    ("", "nat_eim_mapping_created", "EIM mappings created."),
    ("", "nat_eim_mapping_created_without_eif_sess_limit", "EIM mappings without a limit."),
    ("", "nat_eim_mapping_eif_curr_sess_update_invalid", "Invalid EIF session counts."),
    ("", "nat_eim_mapping_free", "EIM mappings freed."),
    ("", "nat_eim_mapping_reused", "EIM mappings reused."),
    ("", "nat_eim_mapping_updated", "EIM mappings updated."),
    ("", "nat_eim_mismatched_mapping", "EIM mappings that did not match."),
    ("", "nat_eim_release_in_timeout", "EIM releases within the timeout."),
    ("", "nat_eim_release_race", "EIM releases in a race."),
    ("", "nat_eim_release_set_timeout", "EIM releases that set the timeout."),
    ("", "nat_eim_release_without_entry", "EIM releases without an entry."),
    ("", "nat_eim_timer_entry_refreshed", "EIM timers, entry refreshed."),
    ("", "nat_eim_timer_free_mapping", "EIM timers that freed the mapping."),
    ("", "nat_eim_timer_start_invalid", "EIM timers started wrongly."),
    ("", "nat_eim_timer_start_invalid_fail", "EIM timers started wrongly that failed."),
    ("", "nat_eim_timer_update_timeout", "EIM timers that updated the timeout."),
    ("", "nat_eim_waiting_for_init", "EIM entries waited for."),
    ("", "nat_eim_waiting_for_init_failed", "EIM entries waited for in vain."),
    ("", "nat_error_ip_version", "Errors of the IP version."),
    ("", "nat_error_no_policy", "Errors for want of a policy."),
    ("", "nat_filtering_session", "Sessions created by EIF."),
    ("", "nat_free_fail_on_inactive_sset", "Frees that failed, service set inactive."),
    ("", "nat_gre_call_id_restorations", "GRE call ID restorations."),
    ("", "nat_gre_call_id_translations", "GRE call ID translations."),
    ("", "nat_icmp_allocation_failure", "ICMP allocations that failed."),
    ("packets", "nat_icmp_drop", "ICMP packets dropped."),
    ("packets", "nat_icmp_error_dst_restored", "ICMP errors: destination restored."),
    ("packets", "nat_icmp_error_dst_xlated", "ICMP errors: destination translated."),
    ("packets", "nat_icmp_error_new_src_xlated", "ICMP errors: new source translated."),
    (
        "packets",
        "nat_icmp_error_org_ip_dst_port_restored",
        "ICMP errors: inner destination port restored.",
    ),
    (
        "packets",
        "nat_icmp_error_org_ip_dst_port_xlated",
        "ICMP errors: inner destination port translated.",
    ),
    ("packets", "nat_icmp_error_org_ip_dst_restored", "ICMP errors: inner destination restored."),
    ("packets", "nat_icmp_error_org_ip_dst_xlated", "ICMP errors: inner destination translated."),
    (
        "packets",
        "nat_icmp_error_org_ip_src_port_restored",
        "ICMP errors: inner source port restored.",
    ),
    (
        "packets",
        "nat_icmp_error_org_ip_src_port_xlated",
        "ICMP errors: inner source port translated.",
    ),
    ("packets", "nat_icmp_error_org_ip_src_restored", "ICMP errors: inner source restored."),
    ("packets", "nat_icmp_error_org_ip_src_xlated", "ICMP errors: inner source translated."),
    ("packets", "nat_icmp_error_src_restored", "ICMP errors: source restored."),
    ("packets", "nat_icmp_error_src_xlated", "ICMP errors: source translated."),
    ("packets", "nat_icmp_error_translations", "ICMP errors translated."),
    ("packets", "nat_icmp_id_translations", "ICMP ID translations."),
    ("", "nat_jflow_log_alloc_fail", "jflow logs not allocated."),
    ("", "nat_jflow_log_alloc_success", "jflow logs allocated."),
    ("", "nat_jflow_log_free_fail_data", "jflow logs not freed, no data."),
    ("", "nat_jflow_log_free_fail_record", "jflow logs not freed, no record."),
    ("", "nat_jflow_log_free_success", "jflow logs freed."),
    ("", "nat_jflow_log_free_success_fail_queuing", "jflow logs freed, not queued."),
    ("", "nat_jflow_log_invalid_alloc_err", "jflow logs, invalid allocation error."),
    ("", "nat_jflow_log_invalid_input_args", "jflow logs, invalid arguments."),
    ("", "nat_jflow_log_invalid_trans_type", "jflow logs, invalid translation type."),
    ("", "nat_jflow_log_nat_sext_null", "jflow logs without a session extension."),
    ("", "nat_jflow_log_rate_limit_fail_get_natpool", "Rate-limited logs, no NAT pool."),
    (
        "",
        "nat_jflow_log_rate_limit_fail_get_natpool_given_id",
        "Rate-limited logs, no pool of the ID.",
    ),
    ("", "nat_jflow_log_rate_limit_fail_get_service_set", "Rate-limited logs, no service set."),
    ("", "nat_jflow_log_rate_limit_fail_invalid_current_time", "Rate-limited logs, invalid time."),
    ("", "nat_jflow_log_rate_limit_fail_get_pool_name", "Rate-limited logs, no pool name."),
    ("", "nat_map_allocation_failures", "Address allocations that failed."),
    ("", "nat_map_allocation_successes", "Address allocations."),
    ("", "nat_map_free_failures", "Address frees that failed."),
    ("", "nat_map_free_success", "Address frees."),
    ("", "nat_mapping_session", "Sessions created by EIM."),
    ("packets", "no_sext_in_xlate_pkt", "Packets without a session extension."),
    ("packets", "nat_icmp_id_restorations", "ICMP ID restorations."),
    ("packets", "nat_pkt_drop_in_backup_state", "Packets dropped as the backup."),
    ("packets", "nat_pkt_dst_in_nat_route", "Packets to a NAT route."),
    ("", "nat_policy_add_failed", "Policies not added."),
    ("", "nat_policy_delete_failed", "Policies not deleted."),
    ("", "pool_session_cnt_update_fail_on_close", "Pool session counts not updated on close."),
    ("", "pool_session_cnt_update_fail_on_create", "Pool session counts not updated on create."),
    ("", "nat_prefix_filter_alloc_failed", "Prefix filters: not allocated."),
    ("", "nat_prefix_filter_changed", "Prefix filters: changed."),
    ("", "nat_prefix_filter_created", "Prefix filters: created."),
    ("", "nat_prefix_filter_ctrl_free", "Prefix filters: control blocks freed."),
    ("", "nat_prefix_filter_mapping_add", "Prefix filters: mappings added."),
    ("", "nat_prefix_filter_mapping_free", "Prefix filters: mappings freed."),
    ("", "nat_prefix_filter_mapping_remove", "Prefix filters: mappings removed."),
    ("", "nat_prefix_filter_match", "Prefix filters: matches."),
    ("", "nat_prefix_filter_name_failed", "Prefix filters: names that failed."),
    ("", "nat_prefix_filter_no_match", "Prefix filters: no match."),
    ("", "nat_prefix_filter_tree_add_failed", "Prefix filters: not added to the tree."),
    ("", "nat_prefix_filter_unsupp_ip_version", "Prefix filters: unsupported IP versions."),
    ("", "nat_prefix_list_create_failed", "Prefix lists not created."),
    ("", "nat_rule_lookup_failures", "Rule lookups that failed."),
    ("", "nat_rule_lookup_for_icmp_err_fail", "Rule lookups that failed, ICMP errors."),
    ("", "nat_session_ext_alloc_failures", "Session extensions not allocated."),
    ("", "nat_session_ext_free_failed", "Session extensions not freed."),
    ("", "nat_session_ext_set_failures", "Session extensions not set."),
    ("", "nat_session_interest_pub_req", "Session interest publish requests."),
    ("packets", "nat_src_ipv4_restorations", "Source IPv4 restorations."),
    ("packets", "nat_src_ipv4_translations", "Source IPv4 translations."),
    ("packets", "nat_src_ipv6_restorations", "Source IPv6 restorations."),
    ("packets", "nat_src_ipv6_translations", "Source IPv6 translations."),
    ("packets", "nat_src_port_restorations", "Source port restorations."),
    ("packets", "nat_src_port_translations", "Source port translations."),
    ("", "nat_subs_ext_alloc", "Subscribers: allocated."),
    ("", "nat_subs_ext_dec_inval_eim_cnt", "Subscribers: invalid EIM counts."),
    ("", "nat_subs_ext_dec_inval_sess_cnt", "Subscribers: invalid session counts."),
    ("", "nat_subs_ext_delay_timer_fail", "Subscribers: delay timers not started."),
    ("", "nat_subs_ext_delay_timer_success", "Subscribers: delay timers started."),
    ("", "nat_subs_ext_err_set_state", "Subscribers: states not set."),
    ("", "nat_subs_ext_in_tw_during_free", "Subscribers: freed in the timer wheel."),
    ("", "nat_subs_ext_incorrect_state", "Subscribers: incorrect states."),
    ("", "nat_subs_ext_unlink_success", "Subscribers: unlinked."),
    ("", "nat_subs_ext_invalid_eimrefcnt", "Subscribers: invalid EIM references."),
    ("", "nat_subs_ext_invalid_param", "Subscribers: invalid parameters."),
    ("", "nat_subs_ext_is_invalid", "Subscribers: invalid."),
    ("", "nat_subs_ext_is_invalid_subs_in_tw", "Subscribers: invalid in the timer wheel."),
    ("", "nat_subs_ext_is_null", "Subscribers: none there."),
    ("", "nat_subs_ext_link_exist", "Subscribers: already linked."),
    ("", "nat_subs_ext_link_fail", "Subscribers: not linked."),
    ("", "nat_subs_ext_link_success", "Subscribers: linked."),
    ("", "nat_subs_ext_link_unknown_ret", "Subscribers: unknown results of linking."),
    ("", "nat_subs_ext_missing_ext", "Subscribers: missing."),
    ("", "nat_subs_ext_no_mem", "Subscribers: no memory."),
    ("", "nat_subs_ext_ports_in_use_err", "Subscribers: wrong numbers of ports in use."),
    ("", "nat_subs_ext_queue_inconsistent", "Subscribers: inconsistent queues."),
    ("", "nat_subs_ext_refcount_dec_fail", "Subscribers: references not decremented."),
    ("", "nat_subs_ext_resource_in_use", "Subscribers: resources in use."),
    ("", "nat_subs_ext_return_to_prealloc_err", "Subscribers: not returned to their pool."),
    ("", "nat_subs_ext_reuse_from_timer", "Subscribers: reused from a timer."),
    ("", "nat_subs_ext_subs_reset_fail", "Subscribers: subscribers not reset."),
    (
        "",
        "nat_subs_ext_subs_session_count_update_ignore",
        "Subscribers: session counts not updated.",
    ),
    ("", "nat_subs_ext_svc_set_is_null", "Subscribers: no service set."),
    ("", "nat_subs_ext_svc_set_not_active", "Subscribers: inactive service sets."),
    ("", "nat_subs_ext_timer_cb", "Subscribers: timers that ran."),
    ("", "nat_subs_ext_timer_start_fail", "Subscribers: timers not started."),
    ("", "nat_subs_ext_timer_start_success", "Subscribers: timers started."),
    ("", "nat_subs_ext_unlink_busy", "Subscribers: busy when unlinked."),
    ("", "nat_subs_ext_unlink_fail", "Subscribers: not unlinked."),
    ("", "nat_subs_ext_unlink_unk_err", "Subscribers: unknown errors of unlinking."),
    ("", "nat_subs_ext_free", "Subscribers: freed."),
    ("packets", "nat_tcp_port_restorations", "TCP port restorations."),
    ("packets", "nat_tcp_port_translations", "TCP port translations."),
    ("bytes", "nat_total_bytes_processed", "Bytes processed."),
    ("packets", "nat_total_pkts_discarded", "Packets discarded."),
    ("packets", "nat_total_pkts_forwarded", "Packets forwarded."),
    ("packets", "nat_total_pkts_processed", "Packets processed."),
    ("packets", "nat_total_pkts_restored", "Packets restored."),
    ("packets", "nat_total_pkts_translated", "Packets translated."),
    ("", "nat_total_session_accepts", "Sessions accepted."),
    ("", "total_session_close", "Sessions closed."),
    ("", "nat_total_session_create", "Sessions created."),
    ("", "nat_total_session_destroy", "Sessions destroyed."),
    ("", "nat_total_session_discards", "Sessions discarded."),
    ("", "nat_total_session_ignores", "Sessions ignored."),
    ("", "nat_total_session_interest", "Session interests."),
    ("", "nat_total_session_pub_req", "Session publish requests."),
    ("", "nat_total_session_time_event", "Session timer events."),
    ("packets", "nat_udp_port_restorations", "UDP port restorations."),
    ("packets", "nat_udp_port_translations", "UDP port translations."),
    (
        "packets",
        "nat_unexpected_proto_with_port_xlation",
        "Port translations of an unexpected protocol.",
    ),
    ("packets", "nat_unsupported_gre_proto", "Unsupported GRE protocols."),
    ("", "nat_xlate_free_null_ext", "Frees without a session extension."),
    ("packets", "nat_unsupported_icmp_type_napt", "ICMP types that NAPT does not support."),
    ("packets", "nat_unsupported_layer_4_napt", "Layer 4 protocols that NAPT does not support."),
];

/// A counter's unit, name and meaning.
type Counter = (&'static str, &'static str, &'static str);

/// junos_exporter calls all of them gauges.
fn field((unit, name, help): &Counter) -> Field<Leaves> {
    named(Kind::Gauge, name, unit, help, (name, by_name))
}

/// The field of the counter of that name, among `own` or the common ones.
fn field_of(own: &[Counter], name: &str) -> Field<Leaves> {
    let mut all = own.iter().chain(COUNTERS);
    field(all.find(|(_, known, _)| *known == name).expect("a counter that is known"))
}

fn by_name(leaves: &Leaves, name: &str) -> Option<u64> {
    let hyphens = name.replace('_', "-");
    let odd = || match name {
        // The spelling is Junos's.
        "nat_jflow_log_invalid_trans_type" => leaves.integer("nat-jflow_log-invalid-trans-type"),
        _ => None,
    };
    leaves.integer(&hyphens).or_else(|| leaves.integer(name)).or_else(odd)
}

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
            items: &[item::<_, Pool>("service-nat-pool")],
        },
        Query {
            rpc: Rpc::Once(
                "<get-service-nat-pool-information><detail/></get-service-nat-pool-information>",
            ),
            command: "show services nat pool detail",
            roots: &["service-nat-pool-information"],
            items: &[item::<_, PoolDetail>("service-nat-pool")],
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

#[derive(Deserialize)]
struct Pool(Leaves);

#[derive(Deserialize)]
struct PoolDetail(Leaves);

fn pool_tags<'a>(pool: &'a Leaves, scope: &'a Scope) -> [&'a str; 2] {
    [scope.get("interface-name"), pool.text("pool-name")].map(Option::unwrap_or_default)
}

impl Item<Nat> for Pool {
    fn points(self, _: &mut Nat, scope: &Scope, points: &mut Points) {
        points.push(&POOL, &pool_tags(&self.0, scope), &self.0);
    }
}

impl Item<Nat> for PoolDetail {
    fn points(self, _: &mut Nat, scope: &Scope, points: &mut Points) {
        points.push(&POOL_DETAIL, &pool_tags(&self.0, scope), &self.0);
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
