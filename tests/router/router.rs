//! A simulated Junos router: a NETCONF server (RFC 6241, RFC 6242) on standard input and output.
//!
//! It runs as the child of the `local` transport and as the `netconf` subsystem of an sshd. Reading
//! order: `options` (what was asked for), `session` (hello and the loop of requests), `framing` and
//! `xml` (what comes in and goes out), `replies` (the table of requests it knows), `template` and
//! `render` (how a reply is written: a text with generators and repeats, never held whole),
//! `configuration` (commits and macros, as a file says), `faults` (what goes wrong on request). The
//! replies' texts are in `replies/`.

mod configuration;
mod faults;
mod framing;
mod options;
mod render;
mod replies;
mod reply;
mod session;
mod template;
mod xml;

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use options::{Action, Options};

fn main() -> ExitCode {
    let options = match Options::from_arguments() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("router: {error}\nrouter --help lists the options");
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        // The client is gone, which is how most sessions end.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("router: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> io::Result<()> {
    // A plain file: standard output of the library looks for line ends in all that it is given.
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    match options.action {
        Action::Serve => session::serve(options, io::stdin().lock(), output),
        Action::Help => (&output).write_all(options::help().as_bytes()),
        Action::List => (&output).write_all(replies::list().as_bytes()),
        Action::Print(ref name) => session::print(&name.clone(), options, output),
    }
}
