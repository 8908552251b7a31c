//! What messages have said lately, that polls have not seen yet; it is not kept over restarts.

use std::collections::{BTreeMap, VecDeque};

use super::record::Event;

/// A message and a poll mean the same thing that happened if their times differ by less.
const SAME_NS: u64 = 120_000_000_000;
/// What a message says of something that no poll has seen holds for so long.
const LONGEST_NS: u64 = 600_000_000_000;
/// So much is remembered of each; then the oldest is forgotten.
const SAID_MAX: usize = 1000;
const ONCE_MAX: usize = 64;
/// A router has fewer Routing Engines and members.
const NAMES_MAX: usize = 16;
/// What happens once, and both messages and polls tell.
const ONCE: [&str; 3] = ["commit", "core-dump", "login"];

#[derive(Default)]
pub struct Heard {
    /// Of what no poll has seen, by kind and subject: when, and the number.
    said: BTreeMap<(String, String), (u64, u64)>,
    /// What happened once, as one side has said it and the other has not yet.
    once: VecDeque<Once>,
    /// The Routing Engines and members that polls have named.
    pub re_names: Vec<String>,
}

struct Once {
    kind: String,
    user: String,
    /// By the router's clock: ours may be set before the other side says it.
    router_ns: u64,
    exactness_ns: u64,
    is_told: bool,
}

impl Heard {
    /// A poll names a Routing Engine or a member.
    pub fn see_name(&mut self, re_name: &str) {
        let is_known = re_name.is_empty() || self.re_names.iter().any(|known| known == re_name);
        if !is_known && self.re_names.len() < NAMES_MAX {
            self.re_names.push(re_name.into());
        }
    }

    #[cfg(test)]
    pub fn is_bounded(&self) -> bool {
        self.said.len() <= SAID_MAX && self.once.len() <= ONCE_MAX
    }

    /// Notes what a message says of something that no poll has seen; whether it is news.
    pub fn say(&mut self, event: &Event, number: u64) -> bool {
        let name = (event.kind.to_string(), event.subject.clone());
        let said = self.said.insert(name, (event.seen_ns, number));
        if self.said.len() > SAID_MAX {
            let oldest = self.said.iter().min_by_key(|(_, (at_ns, _))| *at_ns);
            let oldest = oldest.map(|(name, _)| name.clone());
            oldest.map(|name| self.said.remove(&name));
        }
        let holds = |at_ns: u64| event.seen_ns < at_ns + LONGEST_NS;
        said.is_none_or(|(at_ns, before)| before != number || !holds(at_ns))
    }

    /// Whether a message has said what a poll sees for the first time.
    pub fn has_said(&mut self, event: &Event, number: u64) -> bool {
        let is_it = |(kind, subject): &(String, String)| {
            *kind == event.kind && begins(&event.subject, subject)
        };
        let Some(name) = self.said.keys().find(|name| is_it(name)).cloned() else { return false };
        let said = self.said.remove(&name);
        said.is_some_and(|(at_ns, said)| said == number && event.seen_ns < at_ns + LONGEST_NS)
    }

    /// Our clock was set.
    pub fn clock_was_set(&mut self, by_ns: i64) {
        for (at_ns, _) in self.said.values_mut() {
            *at_ns = at_ns.saturating_add_signed(by_ns);
        }
    }

    /// Whether nobody else has said that this happened. `is_told`: a message says it, not a poll.
    /// The router's clock is so far ahead of ours.
    pub fn is_first(&mut self, event: &Event, is_told: bool, ahead_ns: Option<i64>) -> bool {
        if !ONCE.contains(&&*event.kind) {
            return true;
        }
        let router_ns = event.when.time_ns.saturating_add_signed(ahead_ns.unwrap_or_default());
        let exactness_ns = event.when.exactness_ms.unwrap_or_default().saturating_mul(1_000_000);
        let is_same = |once: &Once| {
            once.is_told != is_told
                && once.kind == event.kind
                && once.router_ns.abs_diff(router_ns) < SAME_NS + exactness_ns + once.exactness_ns
                && (once.user == event.user || once.user.is_empty() || event.user.is_empty())
        };
        if let Some(at) = self.once.iter().position(is_same) {
            self.once.remove(at);
            return false;
        }
        if self.once.len() >= ONCE_MAX {
            self.once.pop_front();
        }
        let (kind, user) = (event.kind.to_string(), event.user.clone());
        self.once.push_back(Once { kind, user, router_ns, exactness_ns, is_told });
        true
    }
}

/// Whether polls' words for a subject are those of a message, or more.
pub fn begins(subject: &str, of_message: &str) -> bool {
    let rest = subject.strip_prefix(of_message);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}
