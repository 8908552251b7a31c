//! NETCONF (RFC 6241) with a router: a session over a transport, and what the router answers.

pub mod framing;
pub mod rpc_error;
pub mod transport;
pub mod child_log;
pub mod local;
pub mod openssh;
pub mod known_hosts;
pub mod agent;
pub mod libssh2;
pub mod ssh;
pub mod session;

pub use session::{Reply, Session};
pub use transport::{Error, Transport};
