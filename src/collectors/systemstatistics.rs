//! What the Routing Engine's own IP stack has sent, received, dropped and answered.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, leaves};

#[derive(Default)]
pub struct SystemStatistics;

const TAGS: &[&str] = &["protocol"];
const HISTOGRAM_TAGS: &[&str] = &["protocol", "histogram_type"];

static IPV4: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_ipv4",
    help: "IPv4 of the Routing Engine.",
    tags: TAGS,
    fields: leaves(
        "packets-received bad-header-checksums packets-with-size-smaller-than-minimum \
         packets-with-data-size-less-than-datalength \
         packets-with-header-length-less-than-data-size packets-with-incorrect-version-number \
         packets-destined-to-dead-next-hop fragments-received \
         fragments-dropped-due-to-outofspace-or-dup=fragments_dropped_due_to_outspace_or_dup \
         fragments-dropped-due-to-queueoverflow fragments-dropped-after-timeout \
         packets-reassembled-ok packets-for-this-host \
         packets-for-unknown-or-unsupported-protocol packets-forwarded packets-not-forwardable \
         redirects-sent packets-sent-from-this-host packets-sent-with-fabricated-ip-header \
         output-packets-dropped-due-to-no-bufs output-packets-discarded-due-to-no-route \
         output-datagrams-fragmented fragments-created datagrams-that-can-not-be-fragmented \
         packets-with-bad-options packets-with-options-handled-without-error \
         strict-source-and-record-route-options loose-source-and-record-route-options \
         record-route-options timestamp-options timestamp-and-address-options \
         timestamp-and-prespecified-address-options ~option-packets-dropped-due-to-rate-limit \
         router-alert-options=router_alert_option multicast-packets-dropped packets-dropped \
         transit-re-packets-dropped-on-mgmt-interface=transit_re_packets_droppedon_mgt_interface \
         packets-used-first-nexthop-in-ecmp-unilist incoming-ttpoip-packets-received \
         incoming-ttpoip-packets-dropped outgoing-ttpoip-packets-sent \
         outgoing-ttpoip-packets-dropped \
         incoming-rawip-packets-dropped-no-socket-buffer=\
         incoming_raw_ip_packets_dropped_no_socket_buffer \
         incoming-virtual-node-packets-delivered",
    ),
});

static IPV6: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_ipv6",
    help: "IPv6 of the Routing Engine.",
    tags: TAGS,
    fields: leaves(
        "total-packets-received ip6-(packets-with-size-smaller-than-minimum) \
         packets-with-datasize-less-than-data-length ip6-(packets-with-bad-options) \
         ip6-(packets-with-incorrect-version-number) ip6-(fragments-received) \
         duplicate-or-out-of-space-fragments-dropped ip6-(fragments-dropped-after-timeout) \
         ~fragments-that-exceeded-limit ip6-(packets-reassembled-ok) \
         ip6-(packets-for-this-host) ip6-(packets-forwarded) ip6-(packets-not-forwardable) \
         ip6-(redirects-sent) ip6-(packets-sent-from-this-host) \
         ip6-(packets-sent-with-fabricated-ip-header) \
         ip6-(output-packets-dropped-due-to-no-bufs) \
         ip6-(output-packets-discarded-due-to-no-route) ip6-(output-datagrams-fragmented) \
         ip6-(fragments-created) ip6-(datagrams-that-can-not-be-fragmented) \
         packets-that-violated-scope-rules multicast-packets-which-we-do-not-join ip6(nh-tcp) \
         ip6(nh-udp) ip6(nh-icmp6) packets-whose-headers-are-not-continuous \
         tunneling-packets-that-can-not-find-gif packets-discarded-due-to-too-may-headers \
         failures-of-source-address-selection forward-cache-hit forward-cache-miss \
         ip6-(packets-destined-to-dead-next-hop) \
         ~ip6-(option-packets-dropped-due-to-rate-limit) ip6-(packets-dropped) \
         packets-dropped-due-to-bad-protocol transit-re-packet-dropped-on-mgmt-interface \
         packet-used-first-nexthop-in-ecmp-unilist",
    ),
});

static IPV6_HEADER_TYPE: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_ipv6_header_type",
    help: "Source addresses that were selected, by how.",
    tags: &["protocol", "header_type"],
    fields: leaves("link-locals globals"),
});

static UDP: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_udp",
    help: "UDP of the Routing Engine.",
    tags: TAGS,
    fields: leaves(
        "datagrams-received datagrams-with-incomplete-header \
         datagrams-with-bad-datalength-field datagrams-with-bad-checksum \
         datagrams-dropped-due-to-no-socket \
         broadcast-or-multicast-datagrams-dropped-due-to-no-socket \
         datagrams-dropped-due-to-full-socket-buffers datagrams-not-for-hashed-pcb \
         datagrams-delivered datagrams-output",
    ),
});

static TCP: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_tcp",
    help: "TCP of the Routing Engine.",
    tags: TAGS,
    fields: leaves(
        "packets-sent sent-data-packets data-packets-bytes sent-data-packets-retransmitted \
         retransmitted-bytes sent-data-unnecessary-retransmitted sent-resends-by-mtu-discovery \
         sent-ack-only-packets sent-packets-delayed sent-urg-only-packets \
         sent-window-probe-packets sent-window-update-packets sent-control-packets \
         packets-received received-acks acks-bytes received-duplicate-acks \
         received-acks-for-unsent-data packets-received-in-sequence in-sequence-bytes \
         received-completely-duplicate-packet duplicate-in-bytes received-old-duplicate-packets \
         received-packets-with-some-dupliacte-data=received_packet_with_some_duplicate_data \
         some-duplicate-in-bytes received-out-of-order-packets out-of-order-in-bytes \
         received-packets-of-data-after-window bytes received-window-probes \
         received-window-update-packets packets-received-after-close \
         received-discarded-for-bad-checksum received-discarded-for-bad-header-offset \
         received-discarded-because-packet-too-short connection-requests connection-accepts \
         bad-connection-attempts listen-queue-overflows bad-rst-window connections-established \
         connections-closed drops connections-updated-rtt-on-close \
         connections-updated-variance-on-close connections-updated-ssthresh-on-close \
         embryonic-connections-dropped segments-updated-rtt attempts retransmit-timeouts \
         connections-dropped-by-retransmit-timeout persist-timeouts \
         connections-dropped-by-persist-timeout keepalive-timeouts keepalive-probes-sent \
         keepalive-connections-dropped ack-header-predictions data-packet-header-predictions \
         syncache-entries-added retransmitted dupsyn dropped completed bucket-overflow \
         cache-overflow reset stale aborted badack unreach zone-failures cookies-sent \
         cookies-received sack-recovery-episodes segment-retransmits byte-retransmits \
         sack-options-received sack-opitions-sent=sack_options_sent sack-scoreboard-overflow \
         acks-sent-in-response-but-not-exact-rsts \
         acks-sent-in-response-to-syns-on-established-connections=\
         ack_sent_in_response_to_syns_on_established_connections \
         rcv-packets-dropped-due-to-bad-address out-of-sequence-segment-drops rst-packets \
         icmp-packets-ignored send-packets-dropped rcv-packets-dropped \
         outgoing-segments-dropped received-synfin-dropped received-ipsec-dropped \
         received-mac-dropped received-minttl-exceeded listenstate-badflags-dropped \
         finwaitstate-badflags-dropped received-dos-attack received-bad-synack \
         syncache-zone-full received-rst-firewallfilter received-noack-timewait \
         received-no-timewait-state received-rst-timewait-state received-timewait-drops \
         received-badaddr-timewait-state \
         received-ackoff-in-syn-sentrcvd=received_ackoff_insyn_sentrcvd \
         received-badaddr-firewall received-nosyn-syn-sent=received_nosyn_synsent \
         received-badrst-syn-sent=received_badrst_synsent \
         received-badrst-listen-state=received_badrst_listenstate option-maxsegment-length \
         option-window-length option-timestamp-length option-md5-length option-auth-length \
         option-sackpermitted-length option-sack-length option-authoption-length",
    ),
});

static ARP: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_arp",
    help: "ARP of the Routing Engine.",
    tags: TAGS,
    fields: leaves(
        "datagrams-received arp-(requests-received) arp-(replies-received) \
         resolution-request-received resolution-request-dropped unrestricted-proxy-requests \
         restricted-proxy-requests received-proxy-requests proxy-requests-not-proxied \
         restricted-proxy-requests-not-proxied datagrams-with-bogus-interface \
         datagrams-with-incorrect-length datagrams-for-non-ip-protocol \
         datagrams-with-unsupported-opcode datagrams-with-bad-protocol-address-length \
         datagrams-with-bad-hardware-address-length datagrams-with-multicast-source-address \
         datagrams-with-multicast-target-address datagrams-with-my-own-hardware-address \
         datagrams-for-an-address-not-on-the-interface=datagrams_for_an_address_not_on_interface \
         datagrams-with-a-broadcast-source-address \
         datagrams-with-source-address-duplicate-to-mine datagrams-which-were-not-for-me \
         packets-discarded-waiting-for-resolution packets-sent-after-waiting-for-resolution \
         arp-(requests-sent) arp-(replies-sent) requests-for-memory-denied \
         requests-dropped-on-entry requests-dropped-during-retry \
         requests-dropped-due-to-interface-deletion requests-on-unnumbered-interfaces \
         new-requests-on-unnumbered-interfaces replies-from-unnumbered-interfaces \
         requests-on-unnumbered-interface-with-non-subnetted-donor \
         replies-from-unnumbered-interface-with-non-subnetted-donor=\
         replies_from_unnumbered_interface_with_non_subnet_donor \
         arp-packets-rejected-as-family-is-configured-with-deny-arp=\
         packets_rejected_as_family_is_configured_with_deny \
         arp-response-packets-are-rejected-on-mc-ae-icl-interface=\
         response_packets_are_rejected_on_McAeIcl_interface \
         arp-(replies-are-rejected-as-source-and-destination-is-same) \
         arp-(probe-for-proxy-address-reachable-from-the-incoming-interface) \
         arp-(request-discarded-for-vrrp-source-address) \
         self-arp-request-packet-received-on-irb-interface \
         proxy-arp-request-discarded-as-source-ip-is-a-proxy-target \
         arp-(packets-are-dropped-as-nexthop-allocation-failed) \
         arp-(packets-are-rejected-as-target-ip-arp-resolve-is-in-progress) \
         grat-arp-packets-are-ignored-as-mac-address-is-not-changed \
         arp-(packets-are-dropped-as-driver-call-failed) \
         arp-(packets-are-dropped-as-source-is-not-validated) arp-(system-max) arp-(public-max) \
         arp-(iri-max) arp-mgt-max=mgnt_max arp-(public-cnt) arp-(iri-cnt) arp-mgt-cnt=mgnt_cnt \
         arp-(system-drop) arp-(public-drop) arp-(iri-drop) arp-mgt-drop=mgnt_drop",
    ),
});

/// The spelling is junos_exporter's.
static APR: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_apr",
    help: "ARP of the Routing Engine.",
    tags: TAGS,
    fields: leaves(
        "arp-(packets-received-from-peer-vrrp-router-and-discarded) \
         arp-(packets-are-dropped-from-peer-vrrp)",
    ),
});

static ICMP: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_icmp",
    help: "ICMP of the Routing Engine.",
    tags: TAGS,
    fields: leaves(
        "~drops-due-to-rate-limit calls-to-icmp-error \
         errors-not-generated-because-old-message-was-icmp messages-with-bad-code-fields \
         messages-less-than-the-minimum-length messages-with-bad-checksum \
         messages-with-bad-source-address=messages_with_nad_source_address \
         messages-with-bad-length \
         echo-drops-with-broadcast-or-multicast-destinaton-address=\
         echo_drops_with_broadcast_or_multicast_destination_address \
         timestamp-drops-with-broadcast-or-multicast-destination-address \
         message-responses-generated",
    ),
});

static ICMP_HISTOGRAM: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_icmp",
    help: "ICMP messages by type, in and out.",
    tags: HISTOGRAM_TAGS,
    fields: leaves(
        "icmp-(echo-reply) destination-unreachable icmp-(echo) time-stamp-reply time-exceeded \
         time-stamp address-mask-request \
         an-endpoint-changed-its-cookiesecret=an_endpoint_changed_its_cookie_secret",
    ),
});

static ICMP6: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_icmp6",
    help: "ICMPv6 of the Routing Engine.",
    tags: TAGS,
    fields: leaves(
        "calls-to-icmp6-error=calles_to_icmp6_error \
         errors-not-generated-because-old-message-was-icmp-error \
         ~errors-not-generated-because-rate-limitation icmp6-(messages-with-bad-code-fields) \
         messages-less-than-minimum-length bad-checksums icmp6-(messages-with-bad-length) \
         no-route administratively-prohibited beyond-scope address-unreachable port-unreachable \
         packet-too-big time-exceed-transit time-exceed-reassembly \
         erroneous-header-field=errors_on_header_file unrecognized-next-header \
         unrecognized-option redirect unknown icmp6-(message-responses-generated) \
         messages-with-too-many-nd-options=message_with_to_many_nd_options nd-system-max \
         nd-public-max nd-iri-max nd-mgt-max nd-public-cnt nd-iri-cnt nd-mgt-cnt nd-system-drop \
         nd-public-drop nd-iri-drop nd-mgt-drop nd6-(ndp-proxy-requests) \
         nd6-dad-proxy-requests=nd_dad_proxy_requests nd6-ndp-proxy-responses \
         nd6-dad-proxy-conflicts nd6-dup-proxy-responses=nd6_dup_proxy_response \
         nd6-ndp-proxy-resolve-cnt nd6-dad-proxy-resolve-cnt=nd6_dad_proxy_resolve \
         nd6-dad-proxy-eqmac-drop nd6-dad-proxy-nomac-drop nd6-ndp-proxy-unr-requests \
         nd6-dad-proxy-unr-requests nd6-ndp-proxy-unr-responses nd6-dad-proxy-unr-conflicts \
         nd6-dad-proxy-unr-responses nd6-ndp-proxy-unr-resolve-cnt \
         nd6-dad-proxy-unr-resolve-cnt nd6-dad-proxy-unr-eqport-drop \
         nd6-dad-proxy-unr-nomac-drop=nd6_dad_proxy_unr_nomac_droop \
         nd6-requests-dropped-on-entry nd6-requests-dropped-during-retry",
    ),
});

static ICMP6_OUTPUT: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_icmp6",
    help: "ICMPv6 messages sent, by type.",
    tags: HISTOGRAM_TAGS,
    fields: leaves(
        "unreachable-icmp6-packets icmp6-echo icmp6-echo-reply neighbor-solicitation \
         neighbor-advertisement",
    ),
});

static ICMP6_INPUT: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_icmp6",
    help: "ICMPv6 messages received, by type.",
    tags: HISTOGRAM_TAGS,
    fields: leaves(
        "unreachable-icmp6-packets=unreachable_icmp6_packet_input_histogram \
         packet-too-big=packet_too_big_input_histogram \
         time-exceeded-icmp6-packets=time_exceeded_icmp6_packets_input_histogram \
         icmp6-echo=icmp6_echo_input_histogram icmp6-echo-reply=echo_reply_input_histogram \
         router-solicitation-icmp6-packets=router_solicitation_icmp6_packets_input_histogram \
         neighbor-solicitation=neighbor_solicitation_input_histogram \
         neighbor-advertisement=neighbor_advertisement_input_histogram",
    ),
});

static MPLS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_mpls",
    help: "MPLS of the Routing Engine.",
    tags: TAGS,
    fields: leaves(
        "total-mpls-packets-received packets-forwarded packets-dropped \
         packets-with-header-too-small after-tagging-packets-can-not-fit-link-mtu \
         packets-with-ipv4-explicit-null-tag packets-with-ipv4-explicit-null-checksum-errors \
         packets-with-router-alert-tag lsp-ping-packets packets-with-ttl-expired \
         packets-with-tag-encoding-error packets-discarded-due-to-no-route \
         packets-used-first-nexthop-in-ecmp-unilist=packets_used_first_next_hop_in_ecmp_unilist \
         packets-dropped-due-to-ifl-down packets-dropped-at-mpls-socket-send \
         packets-forwarded-at-mpls-socket-send packets-dropped-at-p2mp-cnh-output",
    ),
});

macro_rules! query {
    ($protocol:literal) => {
        Query {
            rpc: Rpc::Once(concat!(
                "<get-statistics-information><",
                $protocol,
                "/></get-statistics-information>"
            )),
            command: concat!("show system statistics ", $protocol),
            roots: &["statistics"],
            items: &[item::<_, Statistics>("statistics")],
        }
    };
}

impl Collector for SystemStatistics {
    const NAME: &'static str = "systemstatistics";
    const HELP: &'static str =
        "What the Routing Engine's own IP stack has sent, received, dropped and answered.";
    const QUERIES: &'static [Query<SystemStatistics>] = &[
        query!("ip"),
        query!("ip6"),
        query!("udp"),
        query!("tcp"),
        query!("arp"),
        query!("icmp"),
        query!("icmp6"),
        query!("mpls"),
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[
        &IPV4,
        &IPV6,
        &IPV6_HEADER_TYPE,
        &UDP,
        &TCP,
        &ARP,
        &APR,
        &ICMP,
        &ICMP_HISTOGRAM,
        &ICMP6,
        &ICMP6_OUTPUT,
        &ICMP6_INPUT,
        &MPLS,
    ];
}

/// A reply has one of these.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Statistics {
    ip: Leaves,
    ip6: Leaves,
    udp: Leaves,
    tcp: Leaves,
    arp: Leaves,
    icmp: Leaves,
    icmp6: Leaves,
    mpls: Leaves,
}

impl Item<SystemStatistics> for Statistics {
    fn points(mut self, _: &mut SystemStatistics, _: &Scope, points: &mut Points) {
        points.push(&IPV4, &["ipv4"], &self.ip);
        let header_types = self.ip6.take("header-type");
        for (ty, leaves) in by_type(&header_types, "header-for-source-address-selection") {
            points.push(&IPV6_HEADER_TYPE, &["ipv6", ty], leaves);
        }
        points.push(&IPV6, &["ipv6"], &self.ip6);
        points.push(&UDP, &["udp"], &self.udp);
        points.push(&TCP, &["tcp"], &self.tcp);
        points.push(&ARP, &["ARP"], &self.arp);
        points.push(&APR, &["ARP"], &self.arp);
        for (ty, leaves) in by_type(&self.icmp.take("histogram"), "type-of-histogram") {
            points.push(&ICMP_HISTOGRAM, &["ICMP", ty], leaves);
        }
        points.push(&ICMP, &["ICMP"], &self.icmp);
        if let [leaves] = &*self.icmp6.take("output-histogram") {
            points.push(&ICMP6_OUTPUT, &["ICMP6", "Output Histogram"], leaves);
        }
        if let [leaves] = &*self.icmp6.take("input-histogram") {
            points.push(&ICMP6_INPUT, &["ICMP6", "Input Histogram"], leaves);
        }
        points.push(&ICMP6, &["ICMP6"], &self.icmp6);
        points.push(&MPLS, &["MPLS"], &self.mpls);
    }
}

/// The groups by type. Groups of one type would be one series: the last one counts.
fn by_type<'a>(groups: &'a [Leaves], ty: &str) -> BTreeMap<&'a str, &'a Leaves> {
    groups.iter().map(|leaves| (leaves.text(ty).unwrap_or_default(), leaves)).collect()
}
