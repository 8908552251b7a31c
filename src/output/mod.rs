//! Outputs: each in a thread of its own behind its own queue; none stops a poller or another
//! output.
//!
//! An output states how a batch is encoded and how a chunk of records is written once. Queueing,
//! retrying, splitting, counting and logging are done here, for all of them.

pub mod sink;
pub mod layout;
pub mod line_protocol;
pub mod json;
pub mod exposition;
pub mod latest;
pub mod spool;
pub mod backlog;
pub mod queue;
pub mod delivery;
pub mod outputs;
pub mod stdout;
pub mod influxdb;
pub mod kafka;
pub mod remote_write;

pub use delivery::{Output, Patience, end, push, push_by, write_all};
pub use outputs::Outputs;
pub use sink::{Encode, Encoded, Failure, Sink};
