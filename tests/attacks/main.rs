//! Attacks that perijove must stand: each begins where an attacker would, at a socket, a file or a
//! description, and ends with what others still get.

#[path = "../common/mod.rs"]
mod common;

mod labels;
mod listener;
mod lists;
mod local_files;
mod peers;
mod router;
mod sandbox;
mod servers;
