//! What must hold for any input, tried on many that nobody thought of.
//!
//! Each property compares the code with a slower or plainer way to the same result: quick-xml's
//! events, a tree, a reader of the format that was written from its specification, a model.

mod codecs;
mod dependency;
mod described;
mod federation;
mod framing;
mod macros;
mod queue;
mod syslog;
mod xml;

use proptest::test_runner::Config;

/// So many cases; one that fails is printed, not kept in a file.
fn cases(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}
