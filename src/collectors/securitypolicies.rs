//! Security policies of an SRX: hits, sessions and traffic.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, counter};
use crate::xml::items::Scope;

#[derive(Default)]
pub struct SecurityPolicies {
    /// The zones of the policies that follow.
    from_zone: String,
    to_zone: String,
}

const TAGS: &[&str] = &["from_zone", "to_zone", "policy_name"];

static HITS: Measurement<Hits> = Measurement::new(|| Definition {
    name: "security_policies",
    help: "Hits of a policy.",
    tags: TAGS,
    fields: vec![counter("hit_count", "", "Hits.", |h| h.policy_hit_count_count)],
});

static SESSIONS: Measurement<Statistics> = Measurement::new(|| Definition {
    name: "security_policies",
    help: "Sessions of a policy that counts.",
    tags: TAGS,
    fields: vec![
        counter("session_creations", "", "Sessions created.", |s| s.session_creations),
        counter("session_deletions", "", "Sessions deleted.", |s| s.session_deletions),
    ],
});

static TRAFFIC: Measurement<Traffic> = Measurement::new(|| Definition {
    name: "security_policies",
    help: "Traffic of a policy that counts, initial and in reply.",
    tags: &["from_zone", "to_zone", "policy_name", "direction"],
    fields: vec![
        counter("input_bytes", "bytes", "Bytes in.", |t| t.input_bytes),
        counter("output_bytes", "bytes", "Bytes out.", |t| t.output_bytes),
        counter("input_packets", "packets", "Packets in.", |t| t.input_packets),
        counter("output_packets", "packets", "Packets out.", |t| t.output_packets),
    ],
});

impl Collector for SecurityPolicies {
    const NAME: &'static str = "securitypolicies";
    const HELP: &'static str = "Security policies of an SRX: hits, sessions and traffic.";
    const ADVICE: &'static str = "60s: the reply has each policy.";
    const QUERIES: &'static [Query<SecurityPolicies>] = &[
        Query {
            rpc: Rpc::Once("<get-firewall-policies><detail/></get-firewall-policies>"),
            command: "show security policies detail",
            roots: &["security-policies"],
            items: &[
                item::<_, Context>("context-information"),
                item::<_, Policy>("policy-information"),
            ],
        },
        Query {
            rpc: Rpc::Once("<get-security-policies-hit-count/>"),
            command: "show security policies hit-count",
            roots: &["policy-hit-count"],
            items: &[item::<_, Hits>("policy-hit-count-entry")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&HITS, &SESSIONS, &TRAFFIC];
}

/// The zones of a context's policies.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Context {
    #[serde(default)]
    global_context: bool,
    #[serde(default)]
    source_zone_name: String,
    #[serde(default)]
    destination_zone_name: String,
}

impl Item<SecurityPolicies> for Context {
    fn points(self, policies: &mut SecurityPolicies, _: &Scope, _: &mut Points) {
        let global = || "junos-global".to_string();
        (policies.from_zone, policies.to_zone) = match self.global_context {
            true => (global(), global()),
            false => (self.source_zone_name, self.destination_zone_name),
        };
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Policy {
    policy_name: String,
    policy_statistics_information: Option<Statistics>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Statistics {
    session_creations: Option<u64>,
    session_deletions: Option<u64>,
    input_bytes_init: Option<u64>,
    input_bytes_reply: Option<u64>,
    output_bytes_init: Option<u64>,
    output_bytes_reply: Option<u64>,
    input_packets_init: Option<u64>,
    input_packets_reply: Option<u64>,
    output_packets_init: Option<u64>,
    output_packets_reply: Option<u64>,
}

struct Traffic {
    input_bytes: Option<u64>,
    output_bytes: Option<u64>,
    input_packets: Option<u64>,
    output_packets: Option<u64>,
}

impl Item<SecurityPolicies> for Policy {
    fn points(self, policies: &mut SecurityPolicies, _: &Scope, points: &mut Points) {
        let Some(statistics) = &self.policy_statistics_information else { return };
        let [from, to, name] = [&policies.from_zone, &policies.to_zone, &self.policy_name];
        points.push(&SESSIONS, &[from, to, name], statistics);
        let initial = Traffic {
            input_bytes: statistics.input_bytes_init,
            output_bytes: statistics.output_bytes_init,
            input_packets: statistics.input_packets_init,
            output_packets: statistics.output_packets_init,
        };
        let reply = Traffic {
            input_bytes: statistics.input_bytes_reply,
            output_bytes: statistics.output_bytes_reply,
            input_packets: statistics.input_packets_reply,
            output_packets: statistics.output_packets_reply,
        };
        points.push(&TRAFFIC, &[from, to, name, "initial"], &initial);
        points.push(&TRAFFIC, &[from, to, name, "reply"], &reply);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Hits {
    #[serde(default)]
    policy_hit_count_from_zone: String,
    #[serde(default)]
    policy_hit_count_to_zone: String,
    policy_hit_count_policy_name: String,
    policy_hit_count_count: Option<u64>,
}

impl Item<SecurityPolicies> for Hits {
    fn points(self, _: &mut SecurityPolicies, _: &Scope, points: &mut Points) {
        let tags = [
            &*self.policy_hit_count_from_zone,
            &self.policy_hit_count_to_zone,
            &self.policy_hit_count_policy_name,
        ];
        points.push(&HITS, &tags, &self);
    }
}
