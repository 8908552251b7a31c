//! The requests that are answered.

use crate::template::Style;
use crate::xml::Element;

/// A request and its reply.
pub struct Reply {
    /// The request's element; none where the CLI's command is all there is.
    pub rpc: &'static str,
    /// Names and texts that must be below it, whichever way they are written.
    pub words: &'static [&'static str],
    pub cli: &'static str,
    pub style: Style,
    /// Never wrapped in multi-routing-engine-results.
    pub single: bool,
    pub text: &'static str,
}

/// Earlier rows first: a request's form with more words stands before the one with fewer.
#[rustfmt::skip]
const REPLIES: &[Reply] = &[
    // alarm
    reply("get-system-alarm-information", &[], "show system alarms",
        include_str!("replies/system-alarms.xml")),
    reply("get-alarm-information", &[], "show chassis alarms",
        include_str!("replies/chassis-alarms.xml")),
    // bgp
    reply("get-bgp-group-information", &[], "show bgp group",
        include_str!("replies/bgp-group.xml")),
    reply("get-bgp-neighbor-information", &[], "show bgp neighbor",
        include_str!("replies/bgp-neighbor.xml")),
    reply("get-bgp-summary-information", &[], "show bgp summary",
        include_str!("replies/bgp-summary.xml")),
    // environment
    reply("get-environment-information", &[], "show chassis environment",
        include_str!("replies/environment.xml")),
    reply("get-chassis-environment-satellite-information", &[],
        "show chassis environment satellite",
        include_str!("replies/environment-satellite.xml")),
    reply("get-environment-pem-information", &[], "show chassis environment pem",
        include_str!("replies/environment-pem.xml")),
    reply("get-environment-psm-information", &[], "show chassis environment psm",
        include_str!("replies/environment-pem.xml")),
    reply("get-temperature-threshold-information", &[], "show chassis temperature-thresholds",
        include_str!("replies/temperature-thresholds.xml")),
    reply("get-fan-information", &[], "show chassis fan", include_str!("replies/fan.xml")),
    // interfaces, interfacediagnostics, interfacequeue, subscriber
    reply("get-interface-information", &["extensive"], "show interfaces extensive",
        include_str!("replies/interfaces-extensive.xml")).wrapped(),
    reply("get-interface-information", &["media"], "show interfaces media",
        include_str!("replies/interfaces-media.xml")).wrapped(),
    reply("get-interface-information", &["brief", "demux0"], "show interfaces demux0 brief",
        include_str!("replies/demux0.xml")).wrapped(),
    reply("get-interface-information", &[], "show interfaces",
        include_str!("replies/interfaces-media.xml")).wrapped(),
    reply("get-interface-optics-diagnostics-information", &[], "show interfaces diagnostics optics",
        include_str!("replies/optics.xml")).wrapped(),
    reply("get-interface-optics-diagnostics-satellite", &[],
        "show interfaces diagnostics optics satellite",
        include_str!("replies/optics-satellite.xml")).wrapped(),
    reply("get-interface-queue-information", &[], "show interfaces queue",
        include_str!("replies/interfaces-queue.xml")).wrapped(),
    reply("get-chassis-inventory", &[], "show chassis hardware",
        include_str!("replies/inventory.xml")),
    reply("get-pic-detail", &[], "show chassis pic fpc-slot 0 pic-slot 0",
        include_str!("replies/pic-detail.xml")),
    reply("get-subscribers", &[], "show subscribers client-type dhcp detail",
        include_str!("replies/subscribers.xml")),
    // route, routingengine
    reply("get-route-summary-information", &[], "show route summary",
        include_str!("replies/route-summary.xml")),
    reply("get-route-engine-information", &[], "show chassis routing-engine",
        include_str!("replies/route-engine.xml")),
    // accounting
    reply("get-service-accounting-status-inline-jflow-flow-information", &[],
        "show services accounting flow inline-jflow",
        include_str!("replies/accounting-flow.xml")),
    reply("get-service-accounting-error-inline-jflow-information", &[],
        "show services accounting errors inline-jflow fpc-slot 0",
        include_str!("replies/accounting-errors.xml")),
    // arp, bfd, cluster
    reply("get-arp-table-information", &[], "show arp no-resolve", include_str!("replies/arp.xml")),
    reply("get-bfd-session-information", &[], "show bfd session extensive",
        include_str!("replies/bfd.xml")),
    reply("get-bfd-session-address", &[], "show bfd session address extensive",
        include_str!("replies/bfd.xml")),
    reply("get-chassis-cluster-status", &[], "show chassis cluster status",
        include_str!("replies/cluster-status.xml")).single(),
    // connections
    reply("get-system-process-information", &[], "show system processes",
        include_str!("replies/system-processes.xml")),
    reply("", &[], "show system connections", include_str!("replies/system-connections.xml")),
    // ddosprotection
    reply("get-ddos-protocols-statistics", &[], "show ddos-protection protocols statistics",
        include_str!("replies/ddos-statistics.xml")),
    reply("get-ddos-protocols-parameters", &[], "show ddos-protection protocols parameters",
        include_str!("replies/ddos-parameters.xml")),
    reply("get-ddos-flow-detection-parameters", &[],
        "show ddos-protection protocols flow-detection",
        include_str!("replies/ddos-flow-detection.xml")),
    // dot1x, evpn, evpnipprefix, vpws
    reply("get-dot1x-interface-information", &[], "show dot1x interface extensive",
        include_str!("replies/dot1x.xml")),
    reply("get-evpn-instance-information", &[], "show evpn instance extensive",
        include_str!("replies/evpn-instance.xml")),
    reply("get-evpn-database-information", &["duplicate"], "show evpn database state duplicate",
        include_str!("replies/evpn-duplicates.xml")),
    reply("get-evpn-l3-context-information", &[], "show evpn l3-context",
        include_str!("replies/evpn-l3-context.xml")),
    reply("get-evpn-ip-prefix-database-information", &[], "show evpn ip-prefix-database",
        include_str!("replies/evpn-ip-prefix.xml")),
    reply("get-evpn-vpws-information", &[], "show evpn vpws-instance",
        include_str!("replies/vpws.xml")),
    // firewall
    reply("get-firewall-filter-regex-information", &[], "show firewall filter regex .*",
        include_str!("replies/firewall.xml")).wrapped(),
    reply("get-firewall-information", &[], "show firewall",
        include_str!("replies/firewall.xml")).wrapped(),
    // fpc
    reply("get-fpc-information", &["detail"], "show chassis fpc detail",
        include_str!("replies/fpc-detail.xml")),
    reply("get-fpc-information", &[], "show chassis fpc", include_str!("replies/fpc.xml")),
    reply("get-pic-information", &[], "show chassis fpc pic-status",
        include_str!("replies/pic-status.xml")),
    // ipsec, securityike
    reply("get-security-associations-information", &[], "show security ipsec security-associations",
        include_str!("replies/ipsec-sa.xml")).wrapped(),
    reply("get-ike-active-peers-information", &[], "show security ike active-peer",
        include_str!("replies/ike-peers.xml")),
    // isis
    reply("get-isis-adjacency-information", &[], "show isis adjacency",
        include_str!("replies/isis-adjacency.xml")),
    reply("get-isis-interface-information", &[], "show isis interface extensive",
        include_str!("replies/isis-interface.xml")),
    reply("get-isis-backup-coverage-information", &[], "show isis backup coverage",
        include_str!("replies/isis-backup-coverage.xml")),
    reply("get-isis-backup-spf-results-information", &[], "show isis backup spf results",
        include_str!("replies/isis-backup-spf.xml")),
    // krt, l2circuit, l2vpn
    reply("", &[], "show krt queue", include_str!("replies/krt-queue.xml")),
    reply("get-l2ckt-connection-information", &[], "show l2circuit connections brief",
        include_str!("replies/l2circuit.xml")),
    reply("get-l2vpn-connection-information", &[], "show l2vpn connections",
        include_str!("replies/l2vpn.xml")),
    // lacp, lacpstatistics
    reply("get-lacp-interface-information", &[], "show lacp interfaces",
        include_str!("replies/lacp.xml")),
    reply("get-lacp-interface-statistics", &[], "show lacp statistics interfaces",
        include_str!("replies/lacp-statistics.xml")),
    // ldp, lldp
    reply("get-ldp-session-information", &[], "show ldp session",
        include_str!("replies/ldp-session.xml")),
    reply("get-ldp-neighbor-information", &[], "show ldp neighbor",
        include_str!("replies/ldp-neighbor.xml")),
    reply("get-lldp-neighbors-information", &[], "show lldp neighbors",
        include_str!("replies/lldp-neighbors.xml")),
    reply("get-lldp-local-info", &[], "show lldp local-information",
        include_str!("replies/lldp-local.xml")),
    // mac, macsec
    reply("get-ethernet-switching-table-information", &["summary"],
        "show ethernet-switching table summary",
        include_str!("replies/mac-summary.xml")),
    reply("get-macsec-connection-information", &[], "show security macsec connections",
        include_str!("replies/macsec-connections.xml")),
    reply("get-macsec-statistics", &[], "show security macsec statistics",
        include_str!("replies/macsec-statistics.xml")),
    // mnha
    reply("get-chassis-high-availability-detail-information", &[],
        "show chassis high-availability information detail",
        include_str!("replies/mnha-detail.xml")),
    reply("get-chassis-high-availability-srg-information", &[],
        "show chassis high-availability services-redundancy-group 1",
        include_str!("replies/mnha-group.xml")),
    // mplslsp, rsvp
    reply("get-mpls-lsp-information", &[], "show mpls lsp ingress extensive",
        include_str!("replies/mpls-lsp.xml")),
    reply("get-rsvp-neighbor-information", &[], "show rsvp neighbor",
        include_str!("replies/rsvp-neighbors.xml")),
    reply("get-rsvp-session-information", &[], "show rsvp session",
        include_str!("replies/rsvp-sessions.xml")),
    reply("get-rsvp-interface-information", &[], "show rsvp interface",
        include_str!("replies/rsvp-interfaces.xml")),
    // nat, nat2
    reply("get-service-nat-statistics-information", &[], "show services nat statistics",
        include_str!("replies/nat-statistics.xml")),
    reply("get-service-nat-pool-information", &["detail"], "show services nat pool detail",
        include_str!("replies/nat-pool.xml")),
    reply("get-service-nat-pool-information", &[], "show services nat pool",
        include_str!("replies/nat-pool.xml")),
    reply("retrieve-srv-source-nat-pool-information", &[], "show services nat source pool all",
        include_str!("replies/nat-source-pool.xml")),
    reply("retrieve-source-nat-pool-information", &[], "show security nat source pool all",
        include_str!("replies/nat-source-pool.xml")),
    reply("get-service-set-cpu-statistics", &[], "show services service-sets cpu-usage",
        include_str!("replies/service-sets-cpu.xml")),
    // ntp
    reply("get-ntp-status-information", &[], "", include_str!("replies/ntp-status.xml")),
    reply("", &[], "show ntp status", include_str!("replies/ntp-status-text.xml")),
    // ospf, pim
    reply("get-ospf-overview-information", &[], "show ospf overview",
        include_str!("replies/ospf-overview.xml")),
    reply("get-ospf3-overview-information", &[], "show ospf3 overview",
        include_str!("replies/ospf3-overview.xml")),
    reply("get-ospf-neighbor-information", &[], "show ospf neighbor extensive",
        include_str!("replies/ospf-neighbor.xml")),
    reply("get-ospf3-neighbor-information", &[], "show ospf3 neighbor extensive",
        include_str!("replies/ospf3-neighbor.xml")),
    reply("get-pim-neighbors-information", &[], "show pim neighbors",
        include_str!("replies/pim-neighbors.xml")),
    reply("get-pim-interfaces-information", &[], "show pim interfaces",
        include_str!("replies/pim-interfaces.xml")),
    // poe, power
    reply("get-poe-interface-information", &[], "show poe interface",
        include_str!("replies/poe.xml")),
    reply("get-power-usage-information", &[], "show chassis power",
        include_str!("replies/power.xml")),
    reply("get-power-budget-information", &[], "show chassis power-budget-statistics",
        include_str!("replies/power-budget.xml")),
    // rpki, rpm, twamp
    reply("get-validation-session-information", &[], "show validation session",
        include_str!("replies/rpki-session.xml")),
    reply("get-validation-statistics-information", &[], "show validation statistics",
        include_str!("replies/rpki-statistics.xml")),
    reply("get-probe-results", &[], "show services rpm probe-results",
        include_str!("replies/rpm-probes.xml")),
    reply("get-twamp-probe-results", &[], "show services monitoring twamp client probe-results",
        include_str!("replies/twamp-probes.xml")),
    reply("twamp-get-probe-results", &[], "show services rpm twamp client probe-results",
        include_str!("replies/twamp-probes.xml")),
    // security, securitypolicies, flowsessions
    reply("get-performance-summary-information", &[], "show security monitoring",
        include_str!("replies/security-monitoring.xml")),
    reply("get-firewall-policies", &[], "show security policies detail",
        include_str!("replies/security-policies.xml")),
    reply("get-security-policies-hit-count", &[], "show security policies hit-count",
        include_str!("replies/security-policies-hits.xml")),
    reply("get-flow-session-information", &["summary"], "show security flow session summary",
        include_str!("replies/flow-sessions.xml")).wrapped(),
    // system, storage
    reply("get-system-storage", &[], "show system storage",
        include_str!("replies/storage.xml")).wrapped(),
    reply("get-buffer-informations", &[], "show system buffers",
        include_str!("replies/system-buffers.xml")),
    reply("get-system-information", &[], "show system information",
        include_str!("replies/system-information.xml")),
    reply("get-chassis-satellite-information", &[], "show chassis satellite detail",
        include_str!("replies/satellites.xml")),
    reply("get-license-usage-summary", &[], "show system license usage",
        include_str!("replies/license-usage.xml")),
    reply("get-commit-information", &[], "show system commit", include_str!("replies/commits.xml")),
    reply("get-rollback-information", &["compare"], "show system rollback 0 compare 1",
        include_str!("replies/rollback-compare.xml")),
    reply("get-software-information", &[], "show version", include_str!("replies/software.xml")),
    // systemstatistics
    reply("get-statistics-information", &["ip"], "show system statistics ip",
        include_str!("replies/statistics-ip.xml")),
    reply("get-statistics-information", &["ip6"], "show system statistics ip6",
        include_str!("replies/statistics-ip6.xml")),
    reply("get-statistics-information", &["udp"], "show system statistics udp",
        include_str!("replies/statistics-udp.xml")),
    reply("get-statistics-information", &["tcp"], "show system statistics tcp",
        include_str!("replies/statistics-tcp.xml")),
    reply("get-statistics-information", &["arp"], "show system statistics arp",
        include_str!("replies/statistics-arp.xml")),
    reply("get-statistics-information", &["icmp"], "show system statistics icmp",
        include_str!("replies/statistics-icmp.xml")),
    reply("get-statistics-information", &["icmp6"], "show system statistics icmp6",
        include_str!("replies/statistics-icmp6.xml")),
    reply("get-statistics-information", &["mpls"], "show system statistics mpls",
        include_str!("replies/statistics-mpls.xml")),
    // ufd, virtualchassis, vrrp
    reply("get-uplink-failure-detection-information", &[], "show uplink-failure-detection",
        include_str!("replies/ufd.xml")),
    reply("get-virtual-chassis-status-information", &[], "show virtual-chassis status",
        include_str!("replies/virtual-chassis.xml")),
    reply("get-virtual-chassis-information", &[], "show virtual-chassis",
        include_str!("replies/virtual-chassis.xml")),
    reply("get-virtual-chassis-port-information", &[], "show virtual-chassis vc-port all-members",
        include_str!("replies/virtual-chassis-ports.xml")),
    reply("get-vrrp-information", &[], "show vrrp summary",
        include_str!("replies/vrrp-summary.xml")),
    // memory, pfe, fabric, queues
    reply("get-task-memory-information", &[], "show task memory",
        include_str!("replies/task-memory.xml")),
    reply("get-system-memory-information", &[], "show system memory",
        include_str!("replies/system-memory.xml")),
    reply("get-system-virtual-memory-information", &[], "show system virtual-memory",
        include_str!("replies/virtual-memory.xml")),
    reply("get-pfe-statistics", &[], "show pfe statistics traffic",
        include_str!("replies/pfe-traffic.xml")),
    reply("get-pfe-stats-error", &[], "show pfe statistics error",
        include_str!("replies/pfe-errors.xml")),
    reply("get-fm-state-information", &[], "show chassis fabric summary",
        include_str!("replies/fabric-summary.xml")),
    reply("get-fm-plane-state-information", &[], "show chassis fabric plane",
        include_str!("replies/fabric-plane.xml")),
    reply("get-fm-fpc-state-information", &[], "show chassis fabric fpcs",
        include_str!("replies/fabric-fpcs.xml")),
    reply("get-queues-information", &[], "show system queues", include_str!("replies/queues.xml")),
    // uptime, users, coredumps, replication
    reply("get-system-uptime-information", &[], "show system uptime",
        include_str!("replies/uptime.xml")),
    reply("get-system-users-information", &[], "show system users",
        include_str!("replies/users.xml")),
    reply("get-system-core-dumps", &[], "show system core-dumps",
        include_str!("replies/core-dumps.xml")),
    reply("get-routing-task-replication-state", &[], "show task replication",
        include_str!("replies/task-replication.xml")),
    reply("get-switchover-information", &[], "show system switchover",
        include_str!("replies/switchover.xml")),
    // stp, dhcp, classofservice
    reply("get-stp-bridge-information", &[], "show spanning-tree bridge",
        include_str!("replies/stp-bridge.xml")),
    reply("get-stp-interface-information", &[], "show spanning-tree interface",
        include_str!("replies/stp-interfaces.xml")),
    reply("get-dhcp-server-statistics-information", &[], "show dhcp server statistics",
        include_str!("replies/dhcp-server-statistics.xml")),
    reply("get-dhcp-server-binding-information", &[], "show dhcp server binding summary",
        include_str!("replies/dhcp-binding-summary.xml")),
    reply("get-dhcp-relay-statistics-information", &[], "show dhcp relay statistics",
        include_str!("replies/dhcp-relay-statistics.xml")),
    reply("get-cos-interface-map-information", &[], "show class-of-service interface",
        include_str!("replies/cos-interfaces.xml")),
    // the machine's own dependencies, and the standard's reads
    reply("", &[], "show system connections", include_str!("replies/connections.xml")),
    reply("get-configuration", &[], "show configuration",
        include_str!("replies/configuration.xml")).single(),
    reply("get-config", &[], "", include_str!("replies/get-config.xml")).single(),
    reply("get", &[], "", include_str!("replies/get.xml")).single(),
];

const fn reply(
    rpc: &'static str,
    words: &'static [&'static str],
    cli: &'static str,
    text: &'static str,
) -> Reply {
    Reply { rpc, words, cli, style: Style::Plain, single: false, text }
}

impl Reply {
    const fn wrapped(self) -> Reply {
        Reply { style: Style::Wrapped, ..self }
    }

    const fn single(self) -> Reply {
        Reply { single: true, ..self }
    }

    /// The request's element and words, or else the CLI's command.
    pub fn name(&self) -> String {
        if self.rpc.is_empty() {
            return self.cli.to_owned();
        }
        [&[self.rpc], self.words].concat().join(" ")
    }
}

/// The reply to a request as the client sent it.
pub fn by_request(operation: &Element) -> Option<&'static Reply> {
    if operation.name == "command" {
        let command = operation.text.split_whitespace().collect::<Vec<_>>().join(" ");
        return REPLIES.iter().find(|reply| reply.cli == command && !command.is_empty());
    }
    let words = operation.words();
    let fits = |reply: &&Reply| {
        reply.rpc == operation.name && reply.words.iter().all(|word| words.contains(word))
    };
    REPLIES.iter().find(fits)
}

/// The reply to a request by its element and words, its element alone, or its CLI command.
pub fn by_name(name: &str) -> Option<&'static Reply> {
    let is = |reply: &&Reply| reply.name() == name || (reply.cli == name && !name.is_empty());
    REPLIES.iter().find(is).or_else(|| REPLIES.iter().find(|reply| reply.rpc == name))
}

pub fn list() -> String {
    REPLIES.iter().map(|reply| format!("{}\t{}\n", reply.name(), reply.cli)).collect()
}
