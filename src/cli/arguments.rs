//! Reads a command line: which command, which of its flags, and what else.

use std::ffi::OsString;

use lexopt::Arg;

use super::command::{Arguments, Command, apply};
use super::flags::Flag;
use super::{foreign, help};
use crate::base::sys;
use crate::config::{File, nearer, or_nearest};
use crate::netconf::libssh2;
use crate::output::kafka::Kafka;
use crate::poll::registry;

/// What a command line comes to.
pub enum Typed {
    Command(&'static Command, Box<Arguments>),
    /// `--help` or `--version`, and the answer.
    Question(String),
}

/// Reads a command line, the program's name first. `commands[0]` is the default.
pub fn read(
    commands: &'static [Command],
    arguments: impl Iterator<Item = OsString>,
) -> Result<Typed, String> {
    let arguments: Vec<OsString> = arguments.collect();
    if let Some(typed) = read_foreign(commands, &arguments) {
        return Ok(typed);
    }
    if let Some(answer) = arguments.iter().skip(1).find_map(|text| foreign::answer(text.to_str()?))
    {
        return Err(answer);
    }
    let all = || commands.iter().flat_map(Command::flags);
    let mut parser = lexopt::Parser::from_iter(arguments);
    let (mut typed, mut positional, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    let mut asks_for_help = false;
    while let Some(argument) = parser.next().map_err(|err| err.to_string())? {
        let found = match &argument {
            Arg::Value(value) => {
                positional.push(value.to_string_lossy().into_owned());
                continue;
            }
            Arg::Short('h') | Arg::Long("help") => {
                asks_for_help = true;
                continue;
            }
            Arg::Short('V') | Arg::Long("version") => {
                return Ok(Typed::Question(version()));
            }
            Arg::Long("identity") => {
                warnings
                    .push("--identity is now called --name; the next release removes it".into());
                all().find(|flag| flag.name == "name")
            }
            Arg::Short(short) => all().find(|flag| flag.short == Some(*short)),
            Arg::Long(long) => all().find(|flag| flag.name == *long),
        };
        let Some(flag) = found else { return Err(unknown_flag(commands, &argument)) };
        let mut text = String::new();
        if !flag.value.is_empty() {
            let value = parser.value().map_err(|err| err.to_string())?;
            text =
                value.into_string().map_err(|v| format!("--{}: {v:?} is not text", flag.name))?;
        }
        typed.push((flag, text));
    }
    let command = match positional.first() {
        None if asks_for_help => return Ok(Typed::Question(help::overview(commands))),
        None => &commands[0],
        Some(_) => find(commands, &positional.remove(0))?,
    };
    if asks_for_help {
        return Ok(Typed::Question(help::of(command)));
    }
    for (flag, _) in &mut typed {
        *flag = own_flag(commands, command, flag)?;
    }
    let most = command.arguments.split_ascii_whitespace().count();
    let least = command.arguments.split_ascii_whitespace().filter(|a| !a.starts_with('[')).count();
    if let Some(extra) = positional.get(most) {
        return Err(format!("`{extra}` is one argument too many: {}", command.usage()));
    }
    if positional.len() < least {
        return Err(format!("an argument is missing: {}", command.usage()));
    }
    let flags = apply(&typed, File::default())?;
    Ok(Typed::Command(command, Box::new(Arguments { typed, flags, positional, warnings })))
}

/// A command that takes the words of another program as they are.
fn read_foreign(commands: &'static [Command], arguments: &[OsString]) -> Option<Typed> {
    let words: Vec<String> =
        arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let (first, rest) = words.split_first()?;
    let command = commands.iter().find(|command| command.name == first)?;
    if !command.arguments.ends_with('…') {
        return None;
    }
    if let Some("-h" | "--help") = rest.first().map(String::as_str) {
        return Some(Typed::Question(help::of(command)));
    }
    let (typed, warnings) = Default::default();
    let (flags, positional) = (Default::default(), rest.to_vec());
    Some(Typed::Command(command, Box::new(Arguments { typed, flags, positional, warnings })))
}

/// The command of that name.
pub fn find(commands: &'static [Command], name: &str) -> Result<&'static Command, String> {
    commands.iter().find(|command| command.name == name).ok_or_else(|| {
        let names: Vec<&str> = commands.iter().map(|command| command.name).collect();
        if LEFT_OUT.contains(&name) {
            return format!("this perijove was built without `{name}`; that of a server has it");
        }
        let collectors: Vec<&str> = registry::collectors().iter().map(|c| c.name).collect();
        match nearer(name, &names, &collectors) {
            Some(collector) if collector == name => format!(
                "`{name}` is a collector, not a command: `perijove once --collectors {name}` polls \
                 it, and `perijove collectors {name}` says what it has"
            ),
            Some(near) => format!(
                "there is no command `{name}`; did you mean the collector `{near}`, which \
                 `perijove once --collectors {near}` polls?"
            ),
            None => {
                let nearest = or_nearest(name, &names);
                format!("there is no command `{name}`{nearest} See `perijove help`")
            }
        }
    })
}

/// The commands that a build may leave out, as the router's does.
const LEFT_OUT: [&str; 4] = ["federate", "map", "bigquery", "import"];

/// A command's own flag of the name; other commands may have one, too.
fn own_flag(commands: &[Command], command: &Command, flag: &Flag) -> Result<&'static Flag, String> {
    command.flags().find(|own| own.name == flag.name).ok_or_else(|| {
        let takes = |other: &&Command| other.flags().any(|its| its.name == flag.name);
        let others: Vec<&str> = commands.iter().filter(takes).map(|other| other.name).collect();
        let (name, others) = (command.name, others.join(", "));
        format!(
            "`perijove {name}` does not take --{}, which is a flag of: {others}. See \
             `perijove help {name}`",
            flag.name
        )
    })
}

fn unknown_flag(commands: &[Command], argument: &Arg) -> String {
    let name = match argument {
        Arg::Long(name) => format!("--{name}"),
        Arg::Short(name) => format!("-{name}"),
        Arg::Value(_) => String::new(),
    };
    let names: Vec<String> = commands
        .iter()
        .flat_map(|command| command.flags().map(|flag| format!("--{}", flag.name)))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    format!("there is no flag {name}{} See `perijove help`", or_nearest(&name, &names))
}

/// perijove's version, what it was built from and with, and the versions of the C libraries.
fn version() -> String {
    let mut lines = vec![format!("perijove {}", env!("CARGO_PKG_VERSION"))];
    if let Some(commit) = option_env!("PERIJOVE_COMMIT") {
        lines.push(format!("commit {commit}"));
    }
    let features = [
        ("federation", cfg!(feature = "federation")),
        ("import", cfg!(feature = "import")),
        ("kafka", cfg!(feature = "kafka")),
        ("map", cfg!(feature = "map")),
        ("vendored", cfg!(feature = "vendored")),
        ("legacy_algorithms", libssh2::has_sha1()),
    ];
    let there: Vec<&str> = features.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    lines.push(format!("features {}", there.join(" ")));
    let openssl = openssl::version::version();
    let openssl = openssl.split_ascii_whitespace().nth(1).unwrap_or(openssl);
    lines.push(format!("OpenSSL {openssl}"));
    lines.push(format!("libssh2 {}", sys::libssh2_version()));
    lines.extend(Kafka::version().map(|version| format!("librdkafka {version}")));
    lines.join("\n") + "\n"
}
