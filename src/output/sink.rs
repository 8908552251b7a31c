//! What each output defines: how a batch is encoded, and how records are written once.

use std::time::Duration;

use crate::point::Batch;

/// Appends a batch's records, each ending with a newline.
pub type Encode = Box<dyn Fn(&Batch, &mut Vec<u8>) -> Encoded + Send + Sync>;

/// What a format could not carry as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Integers that were clamped to the largest one.
    pub clamped: u64,
    /// Points that were left out: a label is there twice, or there is no value that it can carry.
    pub rejected: u64,
}

/// Where records go.
pub trait Sink: Send {
    /// Writes the records; what to do if that fails is in the error.
    /// `has_time` turns false when it must not wait any longer: the program ends, or another sink
    /// takes over.
    fn write(
        &mut self,
        records: &[u8],
        points: u64,
        has_time: &dyn Fn() -> bool,
    ) -> Result<(), Failure>;

    /// Whether it could write now: for `check`.
    fn check(&mut self) -> Result<String, String>;
}

/// What to do next with records that could not be written.
#[derive(Debug, PartialEq)]
pub enum Failure {
    /// Try again later; not before `after`.
    Retry { after: Option<Duration>, why: String },
    /// What they are written into is missing, and easily made: try again soon, however often.
    Missing { why: String },
    /// Too many at once: try the halves.
    TooLarge { why: String },
    /// One or more are wrong, and the server does not say which: try the halves, and drop a record
    /// that is refused by itself.
    Suspect { why: String },
    /// This many were refused for good; the others are written.
    Refused { points: u64, why: String },
    /// Nobody will ever read them.
    Gone,
}
