//! Security policies of an SRX: hits, sessions and traffic.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, counter};
use crate::xml::items::Scope;
use crate::xml::shapes::Leaves;

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

static SESSIONS: Measurement<Leaves> = Measurement::new(|| Definition {
    name: "security_policies",
    help: "Sessions of a policy that counts.",
    tags: TAGS,
    fields: vec![
        counter("session_creations", "", "Sessions created.", |l| l.integer("session-creations")),
        counter("session_deletions", "", "Sessions deleted.", |l| l.integer("session-deletions")),
    ],
});

/// Bytes in and out, then packets in and out.
type Traffic = [Option<u64>; 4];

static TRAFFIC: Measurement<Traffic> = Measurement::new(|| Definition {
    name: "security_policies",
    help: "Traffic of a policy that counts, initial and in reply.",
    tags: &["from_zone", "to_zone", "policy_name", "direction"],
    fields: vec![
        counter("input_bytes", "bytes", "Bytes in.", |t| t[0]),
        counter("output_bytes", "bytes", "Bytes out.", |t| t[1]),
        counter("input_packets", "packets", "Packets in.", |t| t[2]),
        counter("output_packets", "packets", "Packets out.", |t| t[3]),
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
    policy_statistics_information: Option<Leaves>,
}

impl Item<SecurityPolicies> for Policy {
    fn points(self, policies: &mut SecurityPolicies, _: &Scope, points: &mut Points) {
        let Some(statistics) = &self.policy_statistics_information else { return };
        let [from, to, name] = [&policies.from_zone, &policies.to_zone, &self.policy_name];
        points.push(&SESSIONS, &[from, to, name], statistics);
        for (direction, ending) in [("initial", "init"), ("reply", "reply")] {
            let count = |name| statistics.integer(&format!("{name}-{ending}"));
            let traffic = ["input-bytes", "output-bytes", "input-packets", "output-packets"];
            points.push(&TRAFFIC, &[from, to, name, direction], &traffic.map(count));
        }
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
