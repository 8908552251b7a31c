//! What the Routing Engine's own IP stack has sent, received, dropped and answered.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema};
use crate::xml::items::Scope;
use crate::xml::shapes::{Leaves, leaf_counter, leaf_gauge};

#[derive(Default)]
pub struct SystemStatistics;

const TAGS: &[&str] = &["protocol"];
const HISTOGRAM_TAGS: &[&str] = &["protocol", "histogram_type"];

static IPV4: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_ipv4",
    help: "IPv4 of the Routing Engine.",
    tags: TAGS,
    fields: vec![
        leaf_counter("packets-received"),
        leaf_counter("bad-header-checksums"),
        leaf_counter("packets-with-size-smaller-than-minimum"),
        leaf_counter("packets-with-data-size-less-than-datalength"),
        leaf_counter("packets-with-header-length-less-than-data-size"),
        leaf_counter("packets-with-incorrect-version-number"),
        leaf_counter("packets-destined-to-dead-next-hop"),
        leaf_counter("fragments-received"),
        leaf_counter("fragments-dropped-due-to-outofspace-or-dup")
            .renamed("fragments_dropped_due_to_outspace_or_dup"),
        leaf_counter("fragments-dropped-due-to-queueoverflow"),
        leaf_counter("fragments-dropped-after-timeout"),
        leaf_counter("packets-reassembled-ok"),
        leaf_counter("packets-for-this-host"),
        leaf_counter("packets-for-unknown-or-unsupported-protocol"),
        leaf_counter("packets-forwarded"),
        leaf_counter("packets-not-forwardable"),
        leaf_counter("redirects-sent"),
        leaf_counter("packets-sent-from-this-host"),
        leaf_counter("packets-sent-with-fabricated-ip-header"),
        leaf_counter("output-packets-dropped-due-to-no-bufs"),
        leaf_counter("output-packets-discarded-due-to-no-route"),
        leaf_counter("output-datagrams-fragmented"),
        leaf_counter("fragments-created"),
        leaf_counter("datagrams-that-can-not-be-fragmented"),
        leaf_counter("packets-with-bad-options"),
        leaf_counter("packets-with-options-handled-without-error"),
        leaf_counter("strict-source-and-record-route-options"),
        leaf_counter("loose-source-and-record-route-options"),
        leaf_counter("record-route-options"),
        leaf_counter("timestamp-options"),
        leaf_counter("timestamp-and-address-options"),
        leaf_counter("timestamp-and-prespecified-address-options"),
        leaf_gauge("option-packets-dropped-due-to-rate-limit"),
        leaf_counter("router-alert-options").renamed("router_alert_option"),
        leaf_counter("multicast-packets-dropped"),
        leaf_counter("packets-dropped"),
        leaf_counter("transit-re-packets-dropped-on-mgmt-interface")
            .renamed("transit_re_packets_droppedon_mgt_interface"),
        leaf_counter("packets-used-first-nexthop-in-ecmp-unilist"),
        leaf_counter("incoming-ttpoip-packets-received"),
        leaf_counter("incoming-ttpoip-packets-dropped"),
        leaf_counter("outgoing-ttpoip-packets-sent"),
        leaf_counter("outgoing-ttpoip-packets-dropped"),
        leaf_counter("incoming-rawip-packets-dropped-no-socket-buffer")
            .renamed("incoming_raw_ip_packets_dropped_no_socket_buffer"),
        leaf_counter("incoming-virtual-node-packets-delivered"),
    ],
});

static IPV6: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_ipv6",
    help: "IPv6 of the Routing Engine.",
    tags: TAGS,
    fields: vec![
        leaf_counter("total-packets-received"),
        leaf_counter("packets-with-size-smaller-than-minimum")
            .of_element("ip6-packets-with-size-smaller-than-minimum"),
        leaf_counter("packets-with-datasize-less-than-data-length"),
        leaf_counter("packets-with-bad-options").of_element("ip6-packets-with-bad-options"),
        leaf_counter("packets-with-incorrect-version-number")
            .of_element("ip6-packets-with-incorrect-version-number"),
        leaf_counter("fragments-received").of_element("ip6-fragments-received"),
        leaf_counter("duplicate-or-out-of-space-fragments-dropped"),
        leaf_counter("fragments-dropped-after-timeout")
            .of_element("ip6-fragments-dropped-after-timeout"),
        leaf_gauge("fragments-that-exceeded-limit"),
        leaf_counter("packets-reassembled-ok").of_element("ip6-packets-reassembled-ok"),
        leaf_counter("packets-for-this-host").of_element("ip6-packets-for-this-host"),
        leaf_counter("packets-forwarded").of_element("ip6-packets-forwarded"),
        leaf_counter("packets-not-forwardable").of_element("ip6-packets-not-forwardable"),
        leaf_counter("redirects-sent").of_element("ip6-redirects-sent"),
        leaf_counter("packets-sent-from-this-host").of_element("ip6-packets-sent-from-this-host"),
        leaf_counter("packets-sent-with-fabricated-ip-header")
            .of_element("ip6-packets-sent-with-fabricated-ip-header"),
        leaf_counter("output-packets-dropped-due-to-no-bufs")
            .of_element("ip6-output-packets-dropped-due-to-no-bufs"),
        leaf_counter("output-packets-discarded-due-to-no-route")
            .of_element("ip6-output-packets-discarded-due-to-no-route"),
        leaf_counter("output-datagrams-fragmented").of_element("ip6-output-datagrams-fragmented"),
        leaf_counter("fragments-created").of_element("ip6-fragments-created"),
        leaf_counter("datagrams-that-can-not-be-fragmented")
            .of_element("ip6-datagrams-that-can-not-be-fragmented"),
        leaf_counter("packets-that-violated-scope-rules"),
        leaf_counter("multicast-packets-which-we-do-not-join"),
        leaf_counter("nh-tcp").of_element("ip6nh-tcp"),
        leaf_counter("nh-udp").of_element("ip6nh-udp"),
        leaf_counter("nh-icmp6").of_element("ip6nh-icmp6"),
        leaf_counter("packets-whose-headers-are-not-continuous"),
        leaf_counter("tunneling-packets-that-can-not-find-gif"),
        leaf_counter("packets-discarded-due-to-too-may-headers"),
        leaf_counter("failures-of-source-address-selection"),
        leaf_counter("forward-cache-hit"),
        leaf_counter("forward-cache-miss"),
        leaf_counter("packets-destined-to-dead-next-hop")
            .of_element("ip6-packets-destined-to-dead-next-hop"),
        leaf_gauge("option-packets-dropped-due-to-rate-limit")
            .of_element("ip6-option-packets-dropped-due-to-rate-limit"),
        leaf_counter("packets-dropped").of_element("ip6-packets-dropped"),
        leaf_counter("packets-dropped-due-to-bad-protocol"),
        leaf_counter("transit-re-packet-dropped-on-mgmt-interface"),
        leaf_counter("packet-used-first-nexthop-in-ecmp-unilist"),
    ],
});

static IPV6_HEADER_TYPE: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_ipv6_header_type",
    help: "Source addresses that were selected, by how.",
    tags: &["protocol", "header_type"],
    fields: vec![leaf_counter("link-locals"), leaf_counter("globals")],
});

static UDP: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_udp",
    help: "UDP of the Routing Engine.",
    tags: TAGS,
    fields: vec![
        leaf_counter("datagrams-received"),
        leaf_counter("datagrams-with-incomplete-header"),
        leaf_counter("datagrams-with-bad-datalength-field"),
        leaf_counter("datagrams-with-bad-checksum"),
        leaf_counter("datagrams-dropped-due-to-no-socket"),
        leaf_counter("broadcast-or-multicast-datagrams-dropped-due-to-no-socket"),
        leaf_counter("datagrams-dropped-due-to-full-socket-buffers"),
        leaf_counter("datagrams-not-for-hashed-pcb"),
        leaf_counter("datagrams-delivered"),
        leaf_counter("datagrams-output"),
    ],
});

static TCP: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_tcp",
    help: "TCP of the Routing Engine.",
    tags: TAGS,
    fields: vec![
        leaf_counter("packets-sent"),
        leaf_counter("sent-data-packets"),
        leaf_counter("data-packets-bytes"),
        leaf_counter("sent-data-packets-retransmitted"),
        leaf_counter("retransmitted-bytes"),
        leaf_counter("sent-data-unnecessary-retransmitted"),
        leaf_counter("sent-resends-by-mtu-discovery"),
        leaf_counter("sent-ack-only-packets"),
        leaf_counter("sent-packets-delayed"),
        leaf_counter("sent-urg-only-packets"),
        leaf_counter("sent-window-probe-packets"),
        leaf_counter("sent-window-update-packets"),
        leaf_counter("sent-control-packets"),
        leaf_counter("packets-received"),
        leaf_counter("received-acks"),
        leaf_counter("acks-bytes"),
        leaf_counter("received-duplicate-acks"),
        leaf_counter("received-acks-for-unsent-data"),
        leaf_counter("packets-received-in-sequence"),
        leaf_counter("in-sequence-bytes"),
        leaf_counter("received-completely-duplicate-packet"),
        leaf_counter("duplicate-in-bytes"),
        leaf_counter("received-old-duplicate-packets"),
        leaf_counter("received-packets-with-some-dupliacte-data")
            .renamed("received_packet_with_some_duplicate_data"),
        leaf_counter("some-duplicate-in-bytes"),
        leaf_counter("received-out-of-order-packets"),
        leaf_counter("out-of-order-in-bytes"),
        leaf_counter("received-packets-of-data-after-window"),
        leaf_counter("bytes"),
        leaf_counter("received-window-probes"),
        leaf_counter("received-window-update-packets"),
        leaf_counter("packets-received-after-close"),
        leaf_counter("received-discarded-for-bad-checksum"),
        leaf_counter("received-discarded-for-bad-header-offset"),
        leaf_counter("received-discarded-because-packet-too-short"),
        leaf_counter("connection-requests"),
        leaf_counter("connection-accepts"),
        leaf_counter("bad-connection-attempts"),
        leaf_counter("listen-queue-overflows"),
        leaf_counter("bad-rst-window"),
        leaf_counter("connections-established"),
        leaf_counter("connections-closed"),
        leaf_counter("drops"),
        leaf_counter("connections-updated-rtt-on-close"),
        leaf_counter("connections-updated-variance-on-close"),
        leaf_counter("connections-updated-ssthresh-on-close"),
        leaf_counter("embryonic-connections-dropped"),
        leaf_counter("segments-updated-rtt"),
        leaf_counter("attempts"),
        leaf_counter("retransmit-timeouts"),
        leaf_counter("connections-dropped-by-retransmit-timeout"),
        leaf_counter("persist-timeouts"),
        leaf_counter("connections-dropped-by-persist-timeout"),
        leaf_counter("keepalive-timeouts"),
        leaf_counter("keepalive-probes-sent"),
        leaf_counter("keepalive-connections-dropped"),
        leaf_counter("ack-header-predictions"),
        leaf_counter("data-packet-header-predictions"),
        leaf_counter("syncache-entries-added"),
        leaf_counter("retransmitted"),
        leaf_counter("dupsyn"),
        leaf_counter("dropped"),
        leaf_counter("completed"),
        leaf_counter("bucket-overflow"),
        leaf_counter("cache-overflow"),
        leaf_counter("reset"),
        leaf_counter("stale"),
        leaf_counter("aborted"),
        leaf_counter("badack"),
        leaf_counter("unreach"),
        leaf_counter("zone-failures"),
        leaf_counter("cookies-sent"),
        leaf_counter("cookies-received"),
        leaf_counter("sack-recovery-episodes"),
        leaf_counter("segment-retransmits"),
        leaf_counter("byte-retransmits"),
        leaf_counter("sack-options-received"),
        leaf_counter("sack-opitions-sent").renamed("sack_options_sent"),
        leaf_counter("sack-scoreboard-overflow"),
        leaf_counter("acks-sent-in-response-but-not-exact-rsts"),
        leaf_counter("acks-sent-in-response-to-syns-on-established-connections")
            .renamed("ack_sent_in_response_to_syns_on_established_connections"),
        leaf_counter("rcv-packets-dropped-due-to-bad-address"),
        leaf_counter("out-of-sequence-segment-drops"),
        leaf_counter("rst-packets"),
        leaf_counter("icmp-packets-ignored"),
        leaf_counter("send-packets-dropped"),
        leaf_counter("rcv-packets-dropped"),
        leaf_counter("outgoing-segments-dropped"),
        leaf_counter("received-synfin-dropped"),
        leaf_counter("received-ipsec-dropped"),
        leaf_counter("received-mac-dropped"),
        leaf_counter("received-minttl-exceeded"),
        leaf_counter("listenstate-badflags-dropped"),
        leaf_counter("finwaitstate-badflags-dropped"),
        leaf_counter("received-dos-attack"),
        leaf_counter("received-bad-synack"),
        leaf_counter("syncache-zone-full"),
        leaf_counter("received-rst-firewallfilter"),
        leaf_counter("received-noack-timewait"),
        leaf_counter("received-no-timewait-state"),
        leaf_counter("received-rst-timewait-state"),
        leaf_counter("received-timewait-drops"),
        leaf_counter("received-badaddr-timewait-state"),
        leaf_counter("received-ackoff-in-syn-sentrcvd").renamed("received_ackoff_insyn_sentrcvd"),
        leaf_counter("received-badaddr-firewall"),
        leaf_counter("received-nosyn-syn-sent").renamed("received_nosyn_synsent"),
        leaf_counter("received-badrst-syn-sent").renamed("received_badrst_synsent"),
        leaf_counter("received-badrst-listen-state").renamed("received_badrst_listenstate"),
        leaf_counter("option-maxsegment-length"),
        leaf_counter("option-window-length"),
        leaf_counter("option-timestamp-length"),
        leaf_counter("option-md5-length"),
        leaf_counter("option-auth-length"),
        leaf_counter("option-sackpermitted-length"),
        leaf_counter("option-sack-length"),
        leaf_counter("option-authoption-length"),
    ],
});

static ARP: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_arp",
    help: "ARP of the Routing Engine.",
    tags: TAGS,
    fields: vec![
        leaf_counter("datagrams-received"),
        leaf_counter("requests-received").of_element("arp-requests-received"),
        leaf_counter("replies-received").of_element("arp-replies-received"),
        leaf_counter("resolution-request-received"),
        leaf_counter("resolution-request-dropped"),
        leaf_counter("unrestricted-proxy-requests"),
        leaf_counter("restricted-proxy-requests"),
        leaf_counter("received-proxy-requests"),
        leaf_counter("proxy-requests-not-proxied"),
        leaf_counter("restricted-proxy-requests-not-proxied"),
        leaf_counter("datagrams-with-bogus-interface"),
        leaf_counter("datagrams-with-incorrect-length"),
        leaf_counter("datagrams-for-non-ip-protocol"),
        leaf_counter("datagrams-with-unsupported-opcode"),
        leaf_counter("datagrams-with-bad-protocol-address-length"),
        leaf_counter("datagrams-with-bad-hardware-address-length"),
        leaf_counter("datagrams-with-multicast-source-address"),
        leaf_counter("datagrams-with-multicast-target-address"),
        leaf_counter("datagrams-with-my-own-hardware-address"),
        leaf_counter("datagrams-for-an-address-not-on-the-interface")
            .renamed("datagrams_for_an_address_not_on_interface"),
        leaf_counter("datagrams-with-a-broadcast-source-address"),
        leaf_counter("datagrams-with-source-address-duplicate-to-mine"),
        leaf_counter("datagrams-which-were-not-for-me"),
        leaf_counter("packets-discarded-waiting-for-resolution"),
        leaf_counter("packets-sent-after-waiting-for-resolution"),
        leaf_counter("requests-sent").of_element("arp-requests-sent"),
        leaf_counter("replies-sent").of_element("arp-replies-sent"),
        leaf_counter("requests-for-memory-denied"),
        leaf_counter("requests-dropped-on-entry"),
        leaf_counter("requests-dropped-during-retry"),
        leaf_counter("requests-dropped-due-to-interface-deletion"),
        leaf_counter("requests-on-unnumbered-interfaces"),
        leaf_counter("new-requests-on-unnumbered-interfaces"),
        leaf_counter("replies-from-unnumbered-interfaces"),
        leaf_counter("requests-on-unnumbered-interface-with-non-subnetted-donor"),
        leaf_counter("replies-from-unnumbered-interface-with-non-subnetted-donor")
            .renamed("replies_from_unnumbered_interface_with_non_subnet_donor"),
        leaf_counter("arp-packets-rejected-as-family-is-configured-with-deny-arp")
            .renamed("packets_rejected_as_family_is_configured_with_deny"),
        leaf_counter("arp-response-packets-are-rejected-on-mc-ae-icl-interface")
            .renamed("response_packets_are_rejected_on_McAeIcl_interface"),
        leaf_counter("replies-are-rejected-as-source-and-destination-is-same")
            .of_element("arp-replies-are-rejected-as-source-and-destination-is-same"),
        leaf_counter("probe-for-proxy-address-reachable-from-the-incoming-interface")
            .of_element("arp-probe-for-proxy-address-reachable-from-the-incoming-interface"),
        leaf_counter("request-discarded-for-vrrp-source-address")
            .of_element("arp-request-discarded-for-vrrp-source-address"),
        leaf_counter("self-arp-request-packet-received-on-irb-interface"),
        leaf_counter("proxy-arp-request-discarded-as-source-ip-is-a-proxy-target"),
        leaf_counter("packets-are-dropped-as-nexthop-allocation-failed")
            .of_element("arp-packets-are-dropped-as-nexthop-allocation-failed"),
        leaf_counter("packets-are-rejected-as-target-ip-arp-resolve-is-in-progress")
            .of_element("arp-packets-are-rejected-as-target-ip-arp-resolve-is-in-progress"),
        leaf_counter("grat-arp-packets-are-ignored-as-mac-address-is-not-changed"),
        leaf_counter("packets-are-dropped-as-driver-call-failed")
            .of_element("arp-packets-are-dropped-as-driver-call-failed"),
        leaf_counter("packets-are-dropped-as-source-is-not-validated")
            .of_element("arp-packets-are-dropped-as-source-is-not-validated"),
        leaf_counter("system-max").of_element("arp-system-max"),
        leaf_counter("public-max").of_element("arp-public-max"),
        leaf_counter("iri-max").of_element("arp-iri-max"),
        leaf_counter("arp-mgt-max").renamed("mgnt_max"),
        leaf_counter("public-cnt").of_element("arp-public-cnt"),
        leaf_counter("iri-cnt").of_element("arp-iri-cnt"),
        leaf_counter("arp-mgt-cnt").renamed("mgnt_cnt"),
        leaf_counter("system-drop").of_element("arp-system-drop"),
        leaf_counter("public-drop").of_element("arp-public-drop"),
        leaf_counter("iri-drop").of_element("arp-iri-drop"),
        leaf_counter("arp-mgt-drop").renamed("mgnt_drop"),
    ],
});

/// junos_exporter spells it so.
static APR: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_apr",
    help: "ARP of the Routing Engine.",
    tags: TAGS,
    fields: vec![
        leaf_counter("packets-received-from-peer-vrrp-router-and-discarded")
            .of_element("arp-packets-received-from-peer-vrrp-router-and-discarded"),
        leaf_counter("packets-are-dropped-from-peer-vrrp")
            .of_element("arp-packets-are-dropped-from-peer-vrrp"),
    ],
});

static ICMP: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_icmp",
    help: "ICMP of the Routing Engine.",
    tags: TAGS,
    fields: vec![
        leaf_gauge("drops-due-to-rate-limit"),
        leaf_counter("calls-to-icmp-error"),
        leaf_counter("errors-not-generated-because-old-message-was-icmp"),
        leaf_counter("messages-with-bad-code-fields"),
        leaf_counter("messages-less-than-the-minimum-length"),
        leaf_counter("messages-with-bad-checksum"),
        leaf_counter("messages-with-bad-source-address")
            .renamed("messages_with_nad_source_address"),
        leaf_counter("messages-with-bad-length"),
        leaf_counter("echo-drops-with-broadcast-or-multicast-destinaton-address")
            .renamed("echo_drops_with_broadcast_or_multicast_destination_address"),
        leaf_counter("timestamp-drops-with-broadcast-or-multicast-destination-address"),
        leaf_counter("message-responses-generated"),
    ],
});

static ICMP_HISTOGRAM: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_icmp",
    help: "ICMP messages by type, in and out.",
    tags: HISTOGRAM_TAGS,
    fields: vec![
        leaf_counter("echo-reply").of_element("icmp-echo-reply"),
        leaf_counter("destination-unreachable"),
        leaf_counter("echo").of_element("icmp-echo"),
        leaf_counter("time-stamp-reply"),
        leaf_counter("time-exceeded"),
        leaf_counter("time-stamp"),
        leaf_counter("address-mask-request"),
        leaf_counter("an-endpoint-changed-its-cookiesecret")
            .renamed("an_endpoint_changed_its_cookie_secret"),
    ],
});

static ICMP6: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_icmp6",
    help: "ICMPv6 of the Routing Engine.",
    tags: TAGS,
    fields: vec![
        leaf_counter("calls-to-icmp6-error").renamed("calles_to_icmp6_error"),
        leaf_counter("errors-not-generated-because-old-message-was-icmp-error"),
        leaf_gauge("errors-not-generated-because-rate-limitation"),
        leaf_counter("messages-with-bad-code-fields")
            .of_element("icmp6-messages-with-bad-code-fields"),
        leaf_counter("messages-less-than-minimum-length"),
        leaf_counter("bad-checksums"),
        leaf_counter("messages-with-bad-length").of_element("icmp6-messages-with-bad-length"),
        leaf_counter("no-route"),
        leaf_counter("administratively-prohibited"),
        leaf_counter("beyond-scope"),
        leaf_counter("address-unreachable"),
        leaf_counter("port-unreachable"),
        leaf_counter("packet-too-big"),
        leaf_counter("time-exceed-transit"),
        leaf_counter("time-exceed-reassembly"),
        leaf_counter("erroneous-header-field").renamed("errors_on_header_file"),
        leaf_counter("unrecognized-next-header"),
        leaf_counter("unrecognized-option"),
        leaf_counter("redirect"),
        leaf_counter("unknown"),
        leaf_counter("message-responses-generated").of_element("icmp6-message-responses-generated"),
        leaf_counter("messages-with-too-many-nd-options")
            .renamed("message_with_to_many_nd_options"),
        leaf_counter("nd-system-max"),
        leaf_counter("nd-public-max"),
        leaf_counter("nd-iri-max"),
        leaf_counter("nd-mgt-max"),
        leaf_counter("nd-public-cnt"),
        leaf_counter("nd-iri-cnt"),
        leaf_counter("nd-mgt-cnt"),
        leaf_counter("nd-system-drop"),
        leaf_counter("nd-public-drop"),
        leaf_counter("nd-iri-drop"),
        leaf_counter("nd-mgt-drop"),
        leaf_counter("ndp-proxy-requests").of_element("nd6-ndp-proxy-requests"),
        leaf_counter("nd6-dad-proxy-requests").renamed("nd_dad_proxy_requests"),
        leaf_counter("nd6-ndp-proxy-responses"),
        leaf_counter("nd6-dad-proxy-conflicts"),
        leaf_counter("nd6-dup-proxy-responses").renamed("nd6_dup_proxy_response"),
        leaf_counter("nd6-ndp-proxy-resolve-cnt"),
        leaf_counter("nd6-dad-proxy-resolve-cnt").renamed("nd6_dad_proxy_resolve"),
        leaf_counter("nd6-dad-proxy-eqmac-drop"),
        leaf_counter("nd6-dad-proxy-nomac-drop"),
        leaf_counter("nd6-ndp-proxy-unr-requests"),
        leaf_counter("nd6-dad-proxy-unr-requests"),
        leaf_counter("nd6-ndp-proxy-unr-responses"),
        leaf_counter("nd6-dad-proxy-unr-conflicts"),
        leaf_counter("nd6-dad-proxy-unr-responses"),
        leaf_counter("nd6-ndp-proxy-unr-resolve-cnt"),
        leaf_counter("nd6-dad-proxy-unr-resolve-cnt"),
        leaf_counter("nd6-dad-proxy-unr-eqport-drop"),
        leaf_counter("nd6-dad-proxy-unr-nomac-drop").renamed("nd6_dad_proxy_unr_nomac_droop"),
        leaf_counter("nd6-requests-dropped-on-entry"),
        leaf_counter("nd6-requests-dropped-during-retry"),
    ],
});

static ICMP6_OUTPUT: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_icmp6",
    help: "ICMPv6 messages sent, by type.",
    tags: HISTOGRAM_TAGS,
    fields: vec![
        leaf_counter("unreachable-icmp6-packets"),
        leaf_counter("icmp6-echo"),
        leaf_counter("icmp6-echo-reply"),
        leaf_counter("neighbor-solicitation"),
        leaf_counter("neighbor-advertisement"),
    ],
});

static ICMP6_INPUT: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_icmp6",
    help: "ICMPv6 messages received, by type.",
    tags: HISTOGRAM_TAGS,
    fields: vec![
        leaf_counter("unreachable-icmp6-packets")
            .renamed("unreachable_icmp6_packet_input_histogram"),
        leaf_counter("packet-too-big").renamed("packet_too_big_input_histogram"),
        leaf_counter("time-exceeded-icmp6-packets")
            .renamed("time_exceeded_icmp6_packets_input_histogram"),
        leaf_counter("icmp6-echo").renamed("icmp6_echo_input_histogram"),
        leaf_counter("icmp6-echo-reply").renamed("echo_reply_input_histogram"),
        leaf_counter("router-solicitation-icmp6-packets")
            .renamed("router_solicitation_icmp6_packets_input_histogram"),
        leaf_counter("neighbor-solicitation").renamed("neighbor_solicitation_input_histogram"),
        leaf_counter("neighbor-advertisement").renamed("neighbor_advertisement_input_histogram"),
    ],
});

static MPLS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "systemstatistics_mpls",
    help: "MPLS of the Routing Engine.",
    tags: TAGS,
    fields: vec![
        leaf_counter("total-mpls-packets-received"),
        leaf_counter("packets-forwarded"),
        leaf_counter("packets-dropped"),
        leaf_counter("packets-with-header-too-small"),
        leaf_counter("after-tagging-packets-can-not-fit-link-mtu"),
        leaf_counter("packets-with-ipv4-explicit-null-tag"),
        leaf_counter("packets-with-ipv4-explicit-null-checksum-errors"),
        leaf_counter("packets-with-router-alert-tag"),
        leaf_counter("lsp-ping-packets"),
        leaf_counter("packets-with-ttl-expired"),
        leaf_counter("packets-with-tag-encoding-error"),
        leaf_counter("packets-discarded-due-to-no-route"),
        leaf_counter("packets-used-first-nexthop-in-ecmp-unilist")
            .renamed("packets_used_first_next_hop_in_ecmp_unilist"),
        leaf_counter("packets-dropped-due-to-ifl-down"),
        leaf_counter("packets-dropped-at-mpls-socket-send"),
        leaf_counter("packets-forwarded-at-mpls-socket-send"),
        leaf_counter("packets-dropped-at-p2mp-cnh-output"),
    ],
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
