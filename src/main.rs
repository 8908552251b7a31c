//! The program; what it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    perijove::base::sys::keep_to_itself();
    perijove::base::sys::tame_allocator();
    perijove::base::sys::raise_open_files();
    perijove::cli::main(std::env::args_os())
}
