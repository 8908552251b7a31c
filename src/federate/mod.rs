//! Federation: asks Prometheus for the dependencies and the traffic of a fleet, rolls them up by
//! service, and writes them as points.
//!
//! * `cron` and `windows` say which windows of time there are; the time is an argument.
//! * `query` asks Prometheus, `answer` reads what it says while it comes.
//! * `jobs` has the questions and the measurements, `roll_up` the sums, `exclusions` what is left
//!   out.
//! * `feed` writes window after window through the outputs and remembers in `progress` how far
//!   each of them got.

pub mod cron;
pub mod windows;
pub mod answer;
pub mod exclusions;
pub mod query;
pub mod roll_up;
pub mod status;
pub mod progress;
pub mod jobs;
pub mod settings;
pub mod feed;

pub use settings::Settings;
