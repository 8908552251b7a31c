//! Help, made from the table of commands.

use std::fmt::Write;

use super::command::Command;
use super::flags::Flag;
use crate::config;

/// All commands, each in a line.
pub fn overview(commands: &[Command]) -> String {
    let mut help = String::from(
        "perijove: operational state of Junos routers as InfluxDB line protocol, Kafka records\n\
         and Prometheus metrics\n\nUsage: perijove [COMMAND] [FLAGS]\n\nCommands:\n",
    );
    for Command { name, arguments, help: text, .. } in commands {
        let _ = writeln!(help, "  {:<24} {text}", format!("{name} {arguments}"));
    }
    let _ = write!(
        help,
        "\n`perijove help COMMAND` lists the flags of a command, with an example.\n\
         -V or --version prints the version.\n\
         Without --config, the settings are read from {} if it exists.\n\
         Exit codes: 0 success, 1 failure, 2 an error in the command line or the settings.\n",
        config::DEFAULT_PATH
    );
    help
}

/// One command with its flags and an example.
pub fn of(command: &Command) -> String {
    let mut help = format!("perijove {}: {}\n", command.name, command.help);
    if !command.about.is_empty() {
        let _ = write!(help, "\n{}\n", command.about);
    }
    let _ = write!(help, "\nUsage: {}\n\nFlags:\n", command.usage());
    for Flag { name, short, value, help: text, .. } in command.flags() {
        let short = short.map_or("    ".into(), |short| format!("-{short}, "));
        let _ = writeln!(help, "  {short}{:<24} {text}", format!("--{name} {value}"));
    }
    let _ = writeln!(help, "  -h, {:<24} this text", "--help");
    let _ = write!(help, "\nExample:\n  {}\n", command.example);
    help
}
