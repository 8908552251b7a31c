//! perijove asks Junos routers for their operational state over NETCONF and hands it on as points.
//!
//! The modules in reading order, from the bytes to the terminal:
//!
//! * `netconf` opens a session over a transport (`local`, `ssh`) and gives a reader for each reply;
//!   `framing` cuts messages out of the bytes.
//! * `items` cuts a reply into items while it arrives, `element` is serde's view of one item,
//!   `reply` has the shapes that many replies share.
//! * `collector` is the contract between a collector and the program; `collectors` are the files
//!   that know Junos's elements, and their registry.
//! * `point` is what they make: measurements as tables of fields, and points in flat batches.
//! * `labels` finds the labels that operators write into descriptions, `logical_systems` asks for
//!   each of a router's.
//! * `schedule` says when a collector is due, `poller` asks one router.
//! * `dependency` maps what the machine itself, or a router, talks to.
//! * `output` has the queue, the retrying and the formats; `own_metrics` is what perijove reports
//!   of itself.
//! * `federate` asks Prometheus for a fleet's dependencies and rolls them up.
//! * `bigquery` loads that from InfluxDB into BigQuery.
//! * `config` turns what was written into what runs, `daemon` runs it, `cli` is the command line,
//!   `reference` the documentation that the code knows.
//! * `http_client` is what all that asks over HTTP shares; `units`, `secret`, `sync`, `sys` and
//!   `log_to` are small things that several of these need.
//!
//! A module imports only from those that stand below it; ARCHITECTURE.md has the floors.

pub mod bigquery;
pub mod cli;
pub mod collector;
pub mod collectors;
pub mod config;
pub mod daemon;
pub mod dependency;
pub mod element;
pub mod federate;
pub mod http_client;
pub mod items;
pub mod labels;
pub mod log_to;
pub mod logical_systems;
pub mod netconf;
pub mod output;
pub mod own_metrics;
pub mod point;
pub mod poller;
pub mod reference;
pub mod reply;
pub mod schedule;
pub mod secret;
pub mod sync;
pub mod sys;
pub mod units;
