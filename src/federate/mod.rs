//! Federation: asks Prometheus for the dependencies and the traffic of a fleet, rolls them up by
//! service, and writes them as points.
//!
//! * `cron` and `windows` say which windows of time there are; the time is an argument.
//! * `query` asks Prometheus, `answer` reads what it says while it comes.
//! * `growth` says what counters grew by in a window, gaps between their samples included.
//! * `roll_up` has the sums, `exclusions` what is left out, `ask` what all questions share.
//! * `traffic` and `ends` are questions; `jobs` has all of them, and the measurements.
//! * `picture` makes the fleet's map.
//! * `feed` writes window after window through the outputs and remembers in `progress` how far
//!   each of them got.

pub mod cron;
pub mod windows;
pub mod growth;
pub mod answer;
pub mod exclusions;
pub mod query;
pub mod roll_up;
pub mod progress;
pub mod ask;
pub mod traffic;
pub mod ends;
pub mod jobs;
pub mod status;
pub mod settings;
pub mod feed;
#[cfg(feature = "map")]
pub mod picture;

pub use settings::FederateConfig;
