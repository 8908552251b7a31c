//! Lists of routers: read again and again, and turned into the routers that are polled.

pub mod document;
pub mod list;
pub mod fetch;
pub mod status;
pub mod once;
