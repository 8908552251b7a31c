//! perijove asks Junos routers for their operational state over NETCONF and sends it on as points.
//!
//! The folders are floors: each imports only from those that stand before it in this list.
//! ARCHITECTURE.md says what each holds, and `tests/tidy.rs` checks the order.

pub mod base;
pub mod point;
pub mod event;
pub mod xml;
pub mod netconf;
pub mod collector;
pub mod collectors;
pub mod output;
pub mod syslog;
#[cfg(feature = "map")]
pub mod picture;
pub mod serve;
pub mod dependency;
pub mod federate;
pub mod bigquery;
pub mod poll;
pub mod fleet;
pub mod config;
pub mod daemon;
pub mod cli;
