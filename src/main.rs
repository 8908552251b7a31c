//! The program; what it does is in the library.

use std::process::ExitCode;

/// So that what a router makes its collectors keep has a limit (`collector/kept.rs`).
#[global_allocator]
static ALLOCATOR: perijove::base::sys::Counting = perijove::base::sys::Counting;

fn main() -> ExitCode {
    perijove::base::sys::keep_to_itself();
    perijove::base::sys::tame_allocator();
    perijove::base::sys::raise_open_files();
    perijove::cli::main(std::env::args_os())
}
