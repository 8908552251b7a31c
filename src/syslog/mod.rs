//! The routers' syslog: what they say at once, where a poll sees it later.
//!
//! The `listener` waits for lines of routers that are in the settings (`sources`), cuts streams
//! into lines (`framing`), and gives each to the `intake`. That reads it (`line`, `stamp`), finds
//! the message in the `table`, whose `pattern`s say what stands where in its text, and makes an
//! event of it, unless a poll has told the same already.

pub mod stamp;
pub mod line;
pub mod framing;
pub mod pattern;
pub mod table;
pub mod settings;
pub mod sources;
pub mod status;
pub mod connection;
pub mod listener;
pub mod intake;
