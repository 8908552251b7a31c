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
mod describe;
mod events;
mod parse;
mod record;
#[cfg(feature = "federation")]
mod federate;
#[cfg(feature = "federation")]
mod bigquery;
#[cfg(feature = "map")]
mod map;
#[cfg(feature = "import")]
mod import;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::daemon::{log_to, parent};
use arguments::Typed;
use command::Arguments;
use flags::{
    ANONYMOUS, CHECK, DEPENDENCY, DESCRIPTION, EVENTS, INTERVAL, LISTEN, LOG, NAME, POINT_FORMAT,
    POLLING, PUSH, ROUTER, SETTINGS, SUPERVISE, TEXT_FORMAT,
};

#[cfg(feature = "map")]
use flags::MAP_FORMAT;
#[cfg(feature = "federation")]
use flags::{LOAD, ONCE};

pub use command::{Command, Exit};
pub use parse::parse_reply;
pub use record::{Hide, Mask};

/// All commands; the first is the one that needs no name.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "run",
        arguments: "",
        help: "poll until told to stop (the default)",
        about: "Points go to the outputs in the settings or flags, or to standard output.\n\
                SIGHUP makes it read the settings again; SIGTERM, send what is queued and exit.",
        example: "perijove run --target 192.0.2.1 --username perijove --listen 127.0.0.1:9326",
        flags: &[
            SETTINGS, NAME, ROUTER, POLLING, INTERVAL, DEPENDENCY, PUSH, LISTEN, SUPERVISE, LOG,
        ],
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
        about: "Without NAME it lists all collectors; a star marks those that run by default,\n\
                a plus those that a file in the collector directory describes. --format toml\n\
                prints the description of a collector that has one, to start from.",
        example: "perijove collectors bgp",
        flags: &[SETTINGS, TEXT_FORMAT],
        run: collectors::run,
    },
    Command {
        name: "parse",
        arguments: "[COLLECTOR] [FILE]",
        help: "print the points of a recorded <rpc-reply>, from FILE or standard input",
        about: "The output of `show … | display xml` may be pasted with the prompts around it.\n\
                With --description, no COLLECTOR is named.",
        example: "perijove parse bgp recorded/bgp--get-bgp-neighbor-information.xml",
        flags: &[SETTINGS, NAME, DESCRIPTION, POINT_FORMAT, LOG],
        run: parse::run,
    },
    Command {
        name: "describe",
        arguments: "RPC [FILE]",
        help: "print a first description of a collector, from a reply",
        about: "RPC is `<get-…/>`, or `show …` in quotes. Lists become items, numbers gauges,\n\
                words infos, names tags. What only a person knows stands in comments.",
        example: "perijove describe '<get-fan-information/>' fan.xml",
        flags: &[SETTINGS, ROUTER, LOG],
        run: describe::run,
    },
    Command {
        name: "record",
        arguments: "DIR",
        help: "save each collector's replies, for a bug report or a fixture",
        about: "Each reply is a file in DIR, without passwords, keys and communities. --anonymous\n\
                replaces addresses, names and serial numbers by others, the same ones in all\n\
                files of a run. Read the files before you share them.",
        example: "perijove record recorded --config perijove.toml --anonymous",
        flags: &[ANONYMOUS, SETTINGS, NAME, ROUTER, POLLING, LOG],
        run: record::run,
    },
    Command {
        name: "events",
        arguments: "",
        help: "print what has changed on the routers, as the running perijove saw it",
        about: "It asks the listener of [output.prometheus], which keeps the newest 1000 events.\n\
                With --follow it goes on until it is stopped.",
        example: "perijove events --follow --config perijove.toml",
        flags: &[SETTINGS, EVENTS, LISTEN],
        run: events::run,
    },
    #[cfg(feature = "federation")]
    Command {
        name: "federate",
        arguments: "",
        help: "roll up a fleet's dependencies from Prometheus, until told to stop",
        about: "The settings need [federate]; docs/federation.md has the rest.",
        example: "perijove federate --config perijove.toml --once",
        flags: &[SETTINGS, ONCE, PUSH, LISTEN, LOG],
        run: federate::run,
    },
    #[cfg(feature = "map")]
    Command {
        name: "map",
        arguments: "",
        help: "draw the fleet's map of dependencies as a page, from Prometheus",
        about: "The settings need [federate], and no output. The page is one HTML file. What is\n\
                there in this hour and was not in the same one of yesterday has begun.",
        example: "perijove map --config perijove.toml > map.html",
        flags: &[SETTINGS, MAP_FORMAT, LOG],
        run: map::run,
    },
    #[cfg(feature = "federation")]
    Command {
        name: "bigquery",
        arguments: "",
        help: "load the roll-up from InfluxDB into BigQuery, until told to stop",
        about: "The settings need [bigquery]; docs/federation.md has the rest.",
        example: "perijove bigquery --config perijove.toml --from 2026-03-01 --to 2026-03-31",
        flags: &[SETTINGS, ONCE, LOAD, LOG],
        run: bigquery::run,
    },
    #[cfg(feature = "import")]
    Command {
        name: "import",
        arguments: "PROGRAM …",
        help: "make settings of another exporter's, or a collector of a PyEZ table",
        about: "Behind PROGRAM stand its flags, and for junos_exporter its config.yml. With\n\
                --directory DIR, perijove.toml and a file of mode 0600 for each secret are\n\
                written there. What cannot be carried is listed; docs/switching.md has more.\n\
                pyez-table FILE.yml [TABLE] prints a table as the description of a collector, or\n\
                writes each to DIR; docs/write-a-collector.md has more.",
        example: "perijove import junos_exporter config.yml -ssh.user exporter --directory new",
        flags: &[],
        run: import::run,
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
    if let Some(destination) = parent::parents_log() {
        return ExitCode::from(parent::watch(destination));
    }
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
