//! Events: what changed between two polls, when, and who did it.
//!
//! A field's definition says which of its changes is an event (`base::changes`). A router's `watch`
//! keeps the last state of everything that is declared so (`state`), compares each poll's points
//! with it, and makes `record`s, which go to the outputs as points. What is kept survives restarts:
//! `file` says how it is written. `journal` keeps the newest records for those who ask.

pub mod record;
pub mod plan;
pub mod heard;
pub mod state;
mod damping;
mod values;
mod rows;
pub mod told;
pub mod file;
pub mod journal;
pub mod watch;
#[cfg(test)]
mod tests;
