//! How a collector's poll ended: what the metrics, the log and `perijove check` tell of it.

use crate::netconf::rpc_error::Meaning;

/// How a poll of a collector ended, or one RPC of it; the reasons are in the router's words.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Data,
    /// Nothing of the kind is configured, or this Routing Engine is not the one to ask.
    NoData(String),
    /// This platform or release does not know the request.
    Unsupported(String),
    /// The login class lacks a permission.
    Denied(String),
    Failed(String),
    /// There is no session; why, is said once for all collectors.
    NoSession(String),
}

/// What `number` stands for.
pub const STATES: &str = "How the last poll ended: 1 ok, 2 no data, 3 unsupported, 4 denied, \
                          5 failed, 6 no session.";

impl Outcome {
    /// What an answer in place of data comes to; `is_backup` says that it is from a Routing Engine
    /// on which not every daemon has to run.
    pub fn of(meaning: Meaning, why: String, is_backup: bool) -> Outcome {
        match meaning {
            Meaning::Empty => Outcome::Data,
            Meaning::Warning | Meaning::NoData => Outcome::NoData(why),
            Meaning::NotRunning if is_backup => Outcome::NoData(why),
            Meaning::Unsupported => Outcome::Unsupported(why),
            Meaning::Denied => Outcome::Denied(why),
            Meaning::NotRunning | Meaning::Failed => Outcome::Failed(why),
        }
    }

    /// Why it failed, if it did.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Outcome::Denied(why) | Outcome::Failed(why) | Outcome::NoSession(why) => Some(why),
            Outcome::Data | Outcome::NoData(_) | Outcome::Unsupported(_) => None,
        }
    }

    /// Why there is no data although nothing failed.
    pub fn absence(&self) -> Option<&str> {
        match self {
            Outcome::NoData(why) | Outcome::Unsupported(why) => Some(why),
            _ => None,
        }
    }

    /// The state as a number (`STATES`).
    pub fn number(&self) -> u64 {
        match self {
            Outcome::Data => 1,
            Outcome::NoData(_) => 2,
            Outcome::Unsupported(_) => 3,
            Outcome::Denied(_) => 4,
            Outcome::Failed(_) => 5,
            Outcome::NoSession(_) => 6,
        }
    }

    /// Of two RPCs, the outcome that the collector's poll has: a failure says more than data, data
    /// more than none, and none more than no answer.
    pub fn or_worse(self, other: Outcome) -> Outcome {
        let rank = |outcome: &Outcome| match outcome {
            Outcome::Unsupported(_) => 0,
            Outcome::NoData(_) => 1,
            Outcome::Data => 2,
            Outcome::NoSession(_) => 3,
            Outcome::Denied(_) => 4,
            Outcome::Failed(_) => 5,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }
}

/// Which of a collector's queries the router answered, if only with an empty list. Counts from
/// the replies to the other queries are unknown, not 0.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answered {
    answered: u64,
    refused: u64,
}

impl Answered {
    /// Takes whether a reply answered the query; one of several that does not is enough.
    pub fn note(&mut self, query: usize, is_answer: bool) {
        let bits = if is_answer { &mut self.answered } else { &mut self.refused };
        *bits |= 1 << query;
    }

    pub fn has(self, query: usize) -> bool {
        (self.answered & !self.refused) >> query & 1 == 1
    }

    /// The queries that were answered, a bit for each.
    pub fn bits(self) -> u64 {
        self.answered & !self.refused
    }

    pub fn has_any(self) -> bool {
        self.bits() != 0
    }
}
