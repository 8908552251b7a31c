//! The command line: one table of commands, each with its own flags; help is made from it.

pub mod reference;
mod flags;
mod command;
mod foreign;
mod help;
mod arguments;
mod print;
mod run;
mod once;
mod check;
mod collectors;
mod parse;
mod record;
mod federate;
mod bigquery;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::daemon::log_to;
use arguments::Typed;
use command::Arguments;
use flags::{
    CHECK, DEPENDENCY, INTERVAL, LISTEN, LOAD, LOG, NAME, ONCE, POINT_FORMAT, POLLING, PUSH,
    ROUTER, SETTINGS, TEXT_FORMAT,
};

pub use command::{Command, Exit};
pub use parse::parse_reply;

/// All commands; the first is the one that needs no name.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "run",
        arguments: "",
        help: "poll until told to stop (the default)",
        about: "Points go to the outputs in the settings or flags, or to standard output.\n\
                SIGHUP makes it read the settings again; SIGTERM, send what is queued and exit.",
        example: "perijove run --target 192.0.2.1 --username perijove --listen 127.0.0.1:9326",
        flags: &[SETTINGS, NAME, ROUTER, POLLING, INTERVAL, DEPENDENCY, PUSH, LISTEN, LOG],
        run: run::run,
    },
    Command {
        name: "once",
        arguments: "",
        help: "poll every collector once, write or print the points, exit",
        about: "Points are written to the outputs in the settings or flags, but not Prometheus.\n\
                With --format, or without an output, they are printed. The exit code is 1 if\n\
                anything fails, or if there are no points.",
        example: "perijove once --config perijove.toml --collectors bgp --format json",
        flags: &[SETTINGS, NAME, ROUTER, POLLING, DEPENDENCY, PUSH, POINT_FORMAT, LOG],
        run: once::run,
    },
    Command {
        name: "check",
        arguments: "",
        help: "poll each router once, try each output, report what works",
        about: "For each collector: ok, slow, no data, unsupported, denied or FAILED. The exit\n\
                code is 1 if a router, collector or output does not work. Outputs get no points.",
        example: "perijove check --config perijove.toml --format json",
        flags: &[CHECK, SETTINGS, NAME, ROUTER, POLLING, INTERVAL, DEPENDENCY, PUSH, LISTEN, LOG],
        run: check::run,
    },
    Command {
        name: "collectors",
        arguments: "[NAME]",
        help: "print the reference: RPCs, measurements, fields",
        about: "Without NAME it lists all collectors; a star marks those that run by default.",
        example: "perijove collectors bgp",
        flags: &[TEXT_FORMAT],
        run: collectors::run,
    },
    Command {
        name: "parse",
        arguments: "COLLECTOR [FILE]",
        help: "print the points of a recorded <rpc-reply>, from FILE or standard input",
        about: "The output of `show … | display xml` may be pasted with the prompts around it.",
        example: "perijove parse bgp recorded/bgp-0.xml",
        flags: &[SETTINGS, NAME, POINT_FORMAT, LOG],
        run: parse::run,
    },
    Command {
        name: "record",
        arguments: "DIR",
        help: "save each collector's raw replies, for a bug report or a fixture",
        about: "Each reply is a file in DIR, as the router sent it. Read it before you share it.",
        example: "perijove record recorded --config perijove.toml --collectors bgp",
        flags: &[SETTINGS, NAME, ROUTER, POLLING, LOG],
        run: record::run,
    },
    Command {
        name: "federate",
        arguments: "",
        help: "roll up a fleet's dependencies from Prometheus, until told to stop",
        about: "The settings need [federate]; docs/federation.md has the rest.",
        example: "perijove federate --config perijove.toml --once",
        flags: &[SETTINGS, ONCE, PUSH, LISTEN, LOG],
        run: federate::run,
    },
    Command {
        name: "bigquery",
        arguments: "",
        help: "load the roll-up from InfluxDB into BigQuery, until told to stop",
        about: "The settings need [bigquery]; docs/federation.md has the rest.",
        example: "perijove bigquery --config perijove.toml --from 2026-03-01 --to 2026-03-31",
        flags: &[SETTINGS, ONCE, LOAD, LOG],
        run: bigquery::run,
    },
    Command {
        name: "help",
        arguments: "[COMMAND]",
        help: "list the commands, or one command's flags with an example",
        about: "",
        example: "perijove help once",
        flags: &[],
        run: help,
    },
];

/// Does what the command line says.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let result = match arguments::read(COMMANDS, arguments) {
        Ok(Typed::Command(command, arguments)) => (command.run)(&arguments),
        Ok(Typed::Question(answer)) => print::say(&answer),
        Err(message) => Err(Exit::Usage(message)),
    };
    let (message, code) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Exit::Failed(message)) => (message, 1),
        Err(Exit::Usage(message)) => (message, 2),
    };
    for line in message.lines() {
        log_to::last_words(line);
    }
    ExitCode::from(code)
}

fn help(arguments: &Arguments) -> Result<(), Exit> {
    let text = match arguments.positional.first() {
        None => help::overview(COMMANDS),
        Some(name) => help::of(arguments::find(COMMANDS, name).map_err(Exit::Usage)?),
    };
    print::say(&text)
}
