//! Small things that every other folder may use.

pub mod units;
pub mod text;
pub mod bytes;
pub mod globs;
pub mod sync;
pub mod leaked;
pub mod clock;
pub mod changes;
pub mod seen;
pub mod panics;
pub mod aside;
pub mod prefix;
pub mod inventory;
pub mod sys;
pub mod own_file;
pub mod child;
pub mod sandbox;
pub mod lock_file;
pub mod secret;
pub mod http_client;
#[cfg(feature = "import")]
pub mod yaml;
