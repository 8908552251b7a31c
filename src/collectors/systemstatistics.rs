//! What the Routing Engine's own IP stack has sent, received, dropped and answered.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Measurement, Points, Schema};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, counter, level};

#[derive(Default)]
pub struct SystemStatistics;

const TAGS: &[&str] = &["protocol"];
const HISTOGRAM_TAGS: &[&str] = &["protocol", "histogram_type"];

static IPV4: Measurement<Leaves> = Measurement {
    name: "systemstatistics_ipv4",
    help: "IPv4 of the Routing Engine.",
    tags: TAGS,
    fields: &[
        counter!("packets-received"),
        counter!("bad-header-checksums"),
        counter!("packets-with-size-smaller-than-minimum"),
        counter!("packets-with-data-size-less-than-datalength"),
        counter!("packets-with-header-length-less-than-data-size"),
        counter!("packets-with-incorrect-version-number"),
        counter!("packets-destined-to-dead-next-hop"),
        counter!("fragments-received"),
        counter!(
            "fragments_dropped_due_to_outspace_or_dup" =
                "fragments-dropped-due-to-outofspace-or-dup"
        ),
        counter!("fragments-dropped-due-to-queueoverflow"),
        counter!("fragments-dropped-after-timeout"),
        counter!("packets-reassembled-ok"),
        counter!("packets-for-this-host"),
        counter!("packets-for-unknown-or-unsupported-protocol"),
        counter!("packets-forwarded"),
        counter!("packets-not-forwardable"),
        counter!("redirects-sent"),
        counter!("packets-sent-from-this-host"),
        counter!("packets-sent-with-fabricated-ip-header"),
        counter!("output-packets-dropped-due-to-no-bufs"),
        counter!("output-packets-discarded-due-to-no-route"),
        counter!("output-datagrams-fragmented"),
        counter!("fragments-created"),
        counter!("datagrams-that-can-not-be-fragmented"),
        counter!("packets-with-bad-options"),
        counter!("packets-with-options-handled-without-error"),
        counter!("strict-source-and-record-route-options"),
        counter!("loose-source-and-record-route-options"),
        counter!("record-route-options"),
        counter!("timestamp-options"),
        counter!("timestamp-and-address-options"),
        counter!("timestamp-and-prespecified-address-options"),
        level!("option-packets-dropped-due-to-rate-limit"),
        counter!("router_alert_option" = "router-alert-options"),
        counter!("multicast-packets-dropped"),
        counter!("packets-dropped"),
        counter!(
            "transit_re_packets_droppedon_mgt_interface" =
                "transit-re-packets-dropped-on-mgmt-interface"
        ),
        counter!("packets-used-first-nexthop-in-ecmp-unilist"),
        counter!("incoming-ttpoip-packets-received"),
        counter!("incoming-ttpoip-packets-dropped"),
        counter!("outgoing-ttpoip-packets-sent"),
        counter!("outgoing-ttpoip-packets-dropped"),
        counter!(
            "incoming_raw_ip_packets_dropped_no_socket_buffer" =
                "incoming-rawip-packets-dropped-no-socket-buffer"
        ),
        counter!("incoming-virtual-node-packets-delivered"),
    ],
};

static IPV6: Measurement<Leaves> = Measurement {
    name: "systemstatistics_ipv6",
    help: "IPv6 of the Routing Engine.",
    tags: TAGS,
    fields: &[
        counter!("total-packets-received"),
        counter!("ip6-" + "packets-with-size-smaller-than-minimum"),
        counter!("packets-with-datasize-less-than-data-length"),
        counter!("ip6-" + "packets-with-bad-options"),
        counter!("ip6-" + "packets-with-incorrect-version-number"),
        counter!("ip6-" + "fragments-received"),
        counter!("duplicate-or-out-of-space-fragments-dropped"),
        counter!("ip6-" + "fragments-dropped-after-timeout"),
        level!("fragments-that-exceeded-limit"),
        counter!("ip6-" + "packets-reassembled-ok"),
        counter!("ip6-" + "packets-for-this-host"),
        counter!("ip6-" + "packets-forwarded"),
        counter!("ip6-" + "packets-not-forwardable"),
        counter!("ip6-" + "redirects-sent"),
        counter!("ip6-" + "packets-sent-from-this-host"),
        counter!("ip6-" + "packets-sent-with-fabricated-ip-header"),
        counter!("ip6-" + "output-packets-dropped-due-to-no-bufs"),
        counter!("ip6-" + "output-packets-discarded-due-to-no-route"),
        counter!("ip6-" + "output-datagrams-fragmented"),
        counter!("ip6-" + "fragments-created"),
        counter!("ip6-" + "datagrams-that-can-not-be-fragmented"),
        counter!("packets-that-violated-scope-rules"),
        counter!("multicast-packets-which-we-do-not-join"),
        counter!("ip6" + "nh-tcp"),
        counter!("ip6" + "nh-udp"),
        counter!("ip6" + "nh-icmp6"),
        counter!("packets-whose-headers-are-not-continuous"),
        counter!("tunneling-packets-that-can-not-find-gif"),
        counter!("packets-discarded-due-to-too-may-headers"),
        counter!("failures-of-source-address-selection"),
        counter!("forward-cache-hit"),
        counter!("forward-cache-miss"),
        counter!("ip6-" + "packets-destined-to-dead-next-hop"),
        level!("ip6-" + "option-packets-dropped-due-to-rate-limit"),
        counter!("ip6-" + "packets-dropped"),
        counter!("packets-dropped-due-to-bad-protocol"),
        counter!("transit-re-packet-dropped-on-mgmt-interface"),
        counter!("packet-used-first-nexthop-in-ecmp-unilist"),
    ],
};

static IPV6_HEADER_TYPE: Measurement<Leaves> = Measurement {
    name: "systemstatistics_ipv6_header_type",
    help: "Source addresses that were selected, by how.",
    tags: &["protocol", "header_type"],
    fields: &[counter!("link-locals"), counter!("globals")],
};

static UDP: Measurement<Leaves> = Measurement {
    name: "systemstatistics_udp",
    help: "UDP of the Routing Engine.",
    tags: TAGS,
    fields: &[
        counter!("datagrams-received"),
        counter!("datagrams-with-incomplete-header"),
        counter!("datagrams-with-bad-datalength-field"),
        counter!("datagrams-with-bad-checksum"),
        counter!("datagrams-dropped-due-to-no-socket"),
        counter!("broadcast-or-multicast-datagrams-dropped-due-to-no-socket"),
        counter!("datagrams-dropped-due-to-full-socket-buffers"),
        counter!("datagrams-not-for-hashed-pcb"),
        counter!("datagrams-delivered"),
        counter!("datagrams-output"),
    ],
};

static TCP: Measurement<Leaves> = Measurement {
    name: "systemstatistics_tcp",
    help: "TCP of the Routing Engine.",
    tags: TAGS,
    fields: &[
        counter!("packets-sent"),
        counter!("sent-data-packets"),
        counter!("data-packets-bytes"),
        counter!("sent-data-packets-retransmitted"),
        counter!("retransmitted-bytes"),
        counter!("sent-data-unnecessary-retransmitted"),
        counter!("sent-resends-by-mtu-discovery"),
        counter!("sent-ack-only-packets"),
        counter!("sent-packets-delayed"),
        counter!("sent-urg-only-packets"),
        counter!("sent-window-probe-packets"),
        counter!("sent-window-update-packets"),
        counter!("sent-control-packets"),
        counter!("packets-received"),
        counter!("received-acks"),
        counter!("acks-bytes"),
        counter!("received-duplicate-acks"),
        counter!("received-acks-for-unsent-data"),
        counter!("packets-received-in-sequence"),
        counter!("in-sequence-bytes"),
        counter!("received-completely-duplicate-packet"),
        counter!("duplicate-in-bytes"),
        counter!("received-old-duplicate-packets"),
        counter!(
            "received_packet_with_some_duplicate_data" =
                "received-packets-with-some-dupliacte-data"
        ),
        counter!("some-duplicate-in-bytes"),
        counter!("received-out-of-order-packets"),
        counter!("out-of-order-in-bytes"),
        counter!("received-packets-of-data-after-window"),
        counter!("bytes"),
        counter!("received-window-probes"),
        counter!("received-window-update-packets"),
        counter!("packets-received-after-close"),
        counter!("received-discarded-for-bad-checksum"),
        counter!("received-discarded-for-bad-header-offset"),
        counter!("received-discarded-because-packet-too-short"),
        counter!("connection-requests"),
        counter!("connection-accepts"),
        counter!("bad-connection-attempts"),
        counter!("listen-queue-overflows"),
        counter!("bad-rst-window"),
        counter!("connections-established"),
        counter!("connections-closed"),
        counter!("drops"),
        counter!("connections-updated-rtt-on-close"),
        counter!("connections-updated-variance-on-close"),
        counter!("connections-updated-ssthresh-on-close"),
        counter!("embryonic-connections-dropped"),
        counter!("segments-updated-rtt"),
        counter!("attempts"),
        counter!("retransmit-timeouts"),
        counter!("connections-dropped-by-retransmit-timeout"),
        counter!("persist-timeouts"),
        counter!("connections-dropped-by-persist-timeout"),
        counter!("keepalive-timeouts"),
        counter!("keepalive-probes-sent"),
        counter!("keepalive-connections-dropped"),
        counter!("ack-header-predictions"),
        counter!("data-packet-header-predictions"),
        counter!("syncache-entries-added"),
        counter!("retransmitted"),
        counter!("dupsyn"),
        counter!("dropped"),
        counter!("completed"),
        counter!("bucket-overflow"),
        counter!("cache-overflow"),
        counter!("reset"),
        counter!("stale"),
        counter!("aborted"),
        counter!("badack"),
        counter!("unreach"),
        counter!("zone-failures"),
        counter!("cookies-sent"),
        counter!("cookies-received"),
        counter!("sack-recovery-episodes"),
        counter!("segment-retransmits"),
        counter!("byte-retransmits"),
        counter!("sack-options-received"),
        counter!("sack_options_sent" = "sack-opitions-sent"),
        counter!("sack-scoreboard-overflow"),
        counter!("acks-sent-in-response-but-not-exact-rsts"),
        counter!(
            "ack_sent_in_response_to_syns_on_established_connections" =
                "acks-sent-in-response-to-syns-on-established-connections"
        ),
        counter!("rcv-packets-dropped-due-to-bad-address"),
        counter!("out-of-sequence-segment-drops"),
        counter!("rst-packets"),
        counter!("icmp-packets-ignored"),
        counter!("send-packets-dropped"),
        counter!("rcv-packets-dropped"),
        counter!("outgoing-segments-dropped"),
        counter!("received-synfin-dropped"),
        counter!("received-ipsec-dropped"),
        counter!("received-mac-dropped"),
        counter!("received-minttl-exceeded"),
        counter!("listenstate-badflags-dropped"),
        counter!("finwaitstate-badflags-dropped"),
        counter!("received-dos-attack"),
        counter!("received-bad-synack"),
        counter!("syncache-zone-full"),
        counter!("received-rst-firewallfilter"),
        counter!("received-noack-timewait"),
        counter!("received-no-timewait-state"),
        counter!("received-rst-timewait-state"),
        counter!("received-timewait-drops"),
        counter!("received-badaddr-timewait-state"),
        counter!("received_ackoff_insyn_sentrcvd" = "received-ackoff-in-syn-sentrcvd"),
        counter!("received-badaddr-firewall"),
        counter!("received_nosyn_synsent" = "received-nosyn-syn-sent"),
        counter!("received_badrst_synsent" = "received-badrst-syn-sent"),
        counter!("received_badrst_listenstate" = "received-badrst-listen-state"),
        counter!("option-maxsegment-length"),
        counter!("option-window-length"),
        counter!("option-timestamp-length"),
        counter!("option-md5-length"),
        counter!("option-auth-length"),
        counter!("option-sackpermitted-length"),
        counter!("option-sack-length"),
        counter!("option-authoption-length"),
    ],
};

static ARP: Measurement<Leaves> = Measurement {
    name: "systemstatistics_arp",
    help: "ARP of the Routing Engine.",
    tags: TAGS,
    fields: &[
        counter!("datagrams-received"),
        counter!("arp-" + "requests-received"),
        counter!("arp-" + "replies-received"),
        counter!("resolution-request-received"),
        counter!("resolution-request-dropped"),
        counter!("unrestricted-proxy-requests"),
        counter!("restricted-proxy-requests"),
        counter!("received-proxy-requests"),
        counter!("proxy-requests-not-proxied"),
        counter!("restricted-proxy-requests-not-proxied"),
        counter!("datagrams-with-bogus-interface"),
        counter!("datagrams-with-incorrect-length"),
        counter!("datagrams-for-non-ip-protocol"),
        counter!("datagrams-with-unsupported-opcode"),
        counter!("datagrams-with-bad-protocol-address-length"),
        counter!("datagrams-with-bad-hardware-address-length"),
        counter!("datagrams-with-multicast-source-address"),
        counter!("datagrams-with-multicast-target-address"),
        counter!("datagrams-with-my-own-hardware-address"),
        counter!(
            "datagrams_for_an_address_not_on_interface" =
                "datagrams-for-an-address-not-on-the-interface"
        ),
        counter!("datagrams-with-a-broadcast-source-address"),
        counter!("datagrams-with-source-address-duplicate-to-mine"),
        counter!("datagrams-which-were-not-for-me"),
        counter!("packets-discarded-waiting-for-resolution"),
        counter!("packets-sent-after-waiting-for-resolution"),
        counter!("arp-" + "requests-sent"),
        counter!("arp-" + "replies-sent"),
        counter!("requests-for-memory-denied"),
        counter!("requests-dropped-on-entry"),
        counter!("requests-dropped-during-retry"),
        counter!("requests-dropped-due-to-interface-deletion"),
        counter!("requests-on-unnumbered-interfaces"),
        counter!("new-requests-on-unnumbered-interfaces"),
        counter!("replies-from-unnumbered-interfaces"),
        counter!("requests-on-unnumbered-interface-with-non-subnetted-donor"),
        counter!(
            "replies_from_unnumbered_interface_with_non_subnet_donor" =
                "replies-from-unnumbered-interface-with-non-subnetted-donor"
        ),
        counter!(
            "packets_rejected_as_family_is_configured_with_deny" =
                "arp-packets-rejected-as-family-is-configured-with-deny-arp"
        ),
        counter!(
            "response_packets_are_rejected_on_McAeIcl_interface" =
                "arp-response-packets-are-rejected-on-mc-ae-icl-interface"
        ),
        counter!("arp-" + "replies-are-rejected-as-source-and-destination-is-same"),
        counter!("arp-" + "probe-for-proxy-address-reachable-from-the-incoming-interface"),
        counter!("arp-" + "request-discarded-for-vrrp-source-address"),
        counter!("self-arp-request-packet-received-on-irb-interface"),
        counter!("proxy-arp-request-discarded-as-source-ip-is-a-proxy-target"),
        counter!("arp-" + "packets-are-dropped-as-nexthop-allocation-failed"),
        counter!("arp-" + "packets-are-rejected-as-target-ip-arp-resolve-is-in-progress"),
        counter!("grat-arp-packets-are-ignored-as-mac-address-is-not-changed"),
        counter!("arp-" + "packets-are-dropped-as-driver-call-failed"),
        counter!("arp-" + "packets-are-dropped-as-source-is-not-validated"),
        counter!("arp-" + "system-max"),
        counter!("arp-" + "public-max"),
        counter!("arp-" + "iri-max"),
        counter!("mgnt_max" = "arp-mgt-max"),
        counter!("arp-" + "public-cnt"),
        counter!("arp-" + "iri-cnt"),
        counter!("mgnt_cnt" = "arp-mgt-cnt"),
        counter!("arp-" + "system-drop"),
        counter!("arp-" + "public-drop"),
        counter!("arp-" + "iri-drop"),
        counter!("mgnt_drop" = "arp-mgt-drop"),
    ],
};

/// junos_exporter spells it so.
static APR: Measurement<Leaves> = Measurement {
    name: "systemstatistics_apr",
    help: "ARP of the Routing Engine.",
    tags: TAGS,
    fields: &[
        counter!("arp-" + "packets-received-from-peer-vrrp-router-and-discarded"),
        counter!("arp-" + "packets-are-dropped-from-peer-vrrp"),
    ],
};

static ICMP: Measurement<Leaves> = Measurement {
    name: "systemstatistics_icmp",
    help: "ICMP of the Routing Engine.",
    tags: TAGS,
    fields: &[
        level!("drops-due-to-rate-limit"),
        counter!("calls-to-icmp-error"),
        counter!("errors-not-generated-because-old-message-was-icmp"),
        counter!("messages-with-bad-code-fields"),
        counter!("messages-less-than-the-minimum-length"),
        counter!("messages-with-bad-checksum"),
        counter!("messages_with_nad_source_address" = "messages-with-bad-source-address"),
        counter!("messages-with-bad-length"),
        counter!(
            "echo_drops_with_broadcast_or_multicast_destination_address" =
                "echo-drops-with-broadcast-or-multicast-destinaton-address"
        ),
        counter!("timestamp-drops-with-broadcast-or-multicast-destination-address"),
        counter!("message-responses-generated"),
    ],
};

static ICMP_HISTOGRAM: Measurement<Leaves> = Measurement {
    name: "systemstatistics_icmp",
    help: "ICMP messages by type, in and out.",
    tags: HISTOGRAM_TAGS,
    fields: &[
        counter!("icmp-" + "echo-reply"),
        counter!("destination-unreachable"),
        counter!("icmp-" + "echo"),
        counter!("time-stamp-reply"),
        counter!("time-exceeded"),
        counter!("time-stamp"),
        counter!("address-mask-request"),
        counter!("an_endpoint_changed_its_cookie_secret" = "an-endpoint-changed-its-cookiesecret"),
    ],
};

static ICMP6: Measurement<Leaves> = Measurement {
    name: "systemstatistics_icmp6",
    help: "ICMPv6 of the Routing Engine.",
    tags: TAGS,
    fields: &[
        counter!("calles_to_icmp6_error" = "calls-to-icmp6-error"),
        counter!("errors-not-generated-because-old-message-was-icmp-error"),
        level!("errors-not-generated-because-rate-limitation"),
        counter!("icmp6-" + "messages-with-bad-code-fields"),
        counter!("messages-less-than-minimum-length"),
        counter!("bad-checksums"),
        counter!("icmp6-" + "messages-with-bad-length"),
        counter!("no-route"),
        counter!("administratively-prohibited"),
        counter!("beyond-scope"),
        counter!("address-unreachable"),
        counter!("port-unreachable"),
        counter!("packet-too-big"),
        counter!("time-exceed-transit"),
        counter!("time-exceed-reassembly"),
        counter!("errors_on_header_file" = "erroneous-header-field"),
        counter!("unrecognized-next-header"),
        counter!("unrecognized-option"),
        counter!("redirect"),
        counter!("unknown"),
        counter!("icmp6-" + "message-responses-generated"),
        counter!("message_with_to_many_nd_options" = "messages-with-too-many-nd-options"),
        counter!("nd-system-max"),
        counter!("nd-public-max"),
        counter!("nd-iri-max"),
        counter!("nd-mgt-max"),
        counter!("nd-public-cnt"),
        counter!("nd-iri-cnt"),
        counter!("nd-mgt-cnt"),
        counter!("nd-system-drop"),
        counter!("nd-public-drop"),
        counter!("nd-iri-drop"),
        counter!("nd-mgt-drop"),
        counter!("nd6-" + "ndp-proxy-requests"),
        counter!("nd_dad_proxy_requests" = "nd6-dad-proxy-requests"),
        counter!("nd6-ndp-proxy-responses"),
        counter!("nd6-dad-proxy-conflicts"),
        counter!("nd6_dup_proxy_response" = "nd6-dup-proxy-responses"),
        counter!("nd6-ndp-proxy-resolve-cnt"),
        counter!("nd6_dad_proxy_resolve" = "nd6-dad-proxy-resolve-cnt"),
        counter!("nd6-dad-proxy-eqmac-drop"),
        counter!("nd6-dad-proxy-nomac-drop"),
        counter!("nd6-ndp-proxy-unr-requests"),
        counter!("nd6-dad-proxy-unr-requests"),
        counter!("nd6-ndp-proxy-unr-responses"),
        counter!("nd6-dad-proxy-unr-conflicts"),
        counter!("nd6-dad-proxy-unr-responses"),
        counter!("nd6-ndp-proxy-unr-resolve-cnt"),
        counter!("nd6-dad-proxy-unr-resolve-cnt"),
        counter!("nd6-dad-proxy-unr-eqport-drop"),
        counter!("nd6_dad_proxy_unr_nomac_droop" = "nd6-dad-proxy-unr-nomac-drop"),
        counter!("nd6-requests-dropped-on-entry"),
        counter!("nd6-requests-dropped-during-retry"),
    ],
};

static ICMP6_OUTPUT: Measurement<Leaves> = Measurement {
    name: "systemstatistics_icmp6",
    help: "ICMPv6 messages sent, by type.",
    tags: HISTOGRAM_TAGS,
    fields: &[
        counter!("unreachable-icmp6-packets"),
        counter!("icmp6-echo"),
        counter!("icmp6-echo-reply"),
        counter!("neighbor-solicitation"),
        counter!("neighbor-advertisement"),
    ],
};

static ICMP6_INPUT: Measurement<Leaves> = Measurement {
    name: "systemstatistics_icmp6",
    help: "ICMPv6 messages received, by type.",
    tags: HISTOGRAM_TAGS,
    fields: &[
        counter!("unreachable_icmp6_packet_input_histogram" = "unreachable-icmp6-packets"),
        counter!("packet_too_big_input_histogram" = "packet-too-big"),
        counter!("time_exceeded_icmp6_packets_input_histogram" = "time-exceeded-icmp6-packets"),
        counter!("icmp6_echo_input_histogram" = "icmp6-echo"),
        counter!("echo_reply_input_histogram" = "icmp6-echo-reply"),
        counter!(
            "router_solicitation_icmp6_packets_input_histogram" =
                "router-solicitation-icmp6-packets"
        ),
        counter!("neighbor_solicitation_input_histogram" = "neighbor-solicitation"),
        counter!("neighbor_advertisement_input_histogram" = "neighbor-advertisement"),
    ],
};

static MPLS: Measurement<Leaves> = Measurement {
    name: "systemstatistics_mpls",
    help: "MPLS of the Routing Engine.",
    tags: TAGS,
    fields: &[
        counter!("total-mpls-packets-received"),
        counter!("packets-forwarded"),
        counter!("packets-dropped"),
        counter!("packets-with-header-too-small"),
        counter!("after-tagging-packets-can-not-fit-link-mtu"),
        counter!("packets-with-ipv4-explicit-null-tag"),
        counter!("packets-with-ipv4-explicit-null-checksum-errors"),
        counter!("packets-with-router-alert-tag"),
        counter!("lsp-ping-packets"),
        counter!("packets-with-ttl-expired"),
        counter!("packets-with-tag-encoding-error"),
        counter!("packets-discarded-due-to-no-route"),
        counter!(
            "packets_used_first_next_hop_in_ecmp_unilist" =
                "packets-used-first-nexthop-in-ecmp-unilist"
        ),
        counter!("packets-dropped-due-to-ifl-down"),
        counter!("packets-dropped-at-mpls-socket-send"),
        counter!("packets-forwarded-at-mpls-socket-send"),
        counter!("packets-dropped-at-p2mp-cnh-output"),
    ],
};

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
            items: &[item::<SystemStatistics, Statistics>("statistics")],
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

/// One of them a reply.
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

/// The groups by their types. Those of one type would be one series: the last of them.
fn by_type<'a>(groups: &'a [Leaves], ty: &str) -> BTreeMap<&'a str, &'a Leaves> {
    groups.iter().map(|leaves| (leaves.text(ty).unwrap_or_default(), leaves)).collect()
}
