//! The program; what it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    perijove::sys::tame_allocator();
    perijove::sys::raise_open_files();
    perijove::cli::main(std::env::args_os())
}
