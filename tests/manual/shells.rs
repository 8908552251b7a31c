//! Completions for bash, zsh and fish.

use std::fmt::Write;

use perijove::cli::{COMMANDS, Command};
use perijove::poll::registry;

/// What may stand for a flag's value or an argument.
enum Words {
    Files,
    Directories,
    Collectors,
    Commands,
    Of(Vec<&'static str>),
    Any,
}

fn words(what: &'static str) -> Words {
    match what.trim_matches(['[', ']']) {
        "FILE" => Words::Files,
        "DIR" => Words::Directories,
        "COLLECTOR" | "A,B,…" => Words::Collectors,
        "COMMAND" => Words::Commands,
        choices if choices.contains('|') => Words::Of(choices.split('|').collect()),
        _ => Words::Any,
    }
}

/// The reference takes a collector's name for its NAME.
fn argument_words(command: &Command) -> Words {
    match (command.name, command.arguments.split_whitespace().next()) {
        ("collectors", _) => Words::Collectors,
        (_, Some(first)) => words(first),
        (_, None) => Words::Any,
    }
}

fn commands() -> String {
    COMMANDS.iter().map(|command| command.name).collect::<Vec<_>>().join(" ")
}

fn collectors() -> String {
    registry::collectors().iter().map(|entry| entry.name).collect::<Vec<_>>().join(" ")
}

fn listed(words: &Words) -> Option<String> {
    match words {
        Words::Collectors => Some(collectors()),
        Words::Commands => Some(commands()),
        Words::Of(choices) => Some(choices.join(" ")),
        Words::Files | Words::Directories | Words::Any => None,
    }
}

const MADE: &str = "# Made by tests/manual, which holds it to the code: do not edit.\n";

pub fn bash() -> String {
    let mut out = format!(
        "{MADE}_perijove() {{\n  local current=${{COMP_WORDS[COMP_CWORD]}} command=run word\n  \
         local previous=${{COMP_WORDS[COMP_CWORD-1]}}\n  COMPREPLY=()\n  \
         for word in \"${{COMP_WORDS[@]:1:COMP_CWORD-1}}\"; do\n    case $word in\n      \
         {}) command=$word; break ;;\n    esac\n  done\n  case $command:$previous in\n",
        commands().replace(' ', " | ")
    );
    for command in COMMANDS {
        for flag in command.flags().filter(|flag| !flag.value.is_empty()) {
            let short = flag.short.map_or(String::new(), |c| format!(" | {}:-{c}", command.name));
            let pattern = format!("{}:--{}{short}", command.name, flag.name);
            let _ = writeln!(out, "    {pattern}) {}; return ;;", bash_words(&words(flag.value)));
        }
    }
    out += "  esac\n  case $command:$current in\n";
    for command in COMMANDS {
        let flags: Vec<String> = command.flags().map(|flag| format!("--{}", flag.name)).collect();
        let words = (flags.join(" ") + " --help").trim_start().to_string();
        let _ = writeln!(
            out,
            "    {}:-*) mapfile -t COMPREPLY < <(compgen -W '{words}' -- \"$current\") ;;",
            command.name
        );
    }
    let _ = writeln!(
        out,
        "    run:*) mapfile -t COMPREPLY < <(compgen -W '{}' -- \"$current\") ;;",
        commands()
    );
    for command in COMMANDS.iter().filter(|command| !command.arguments.is_empty()) {
        let _ =
            writeln!(out, "    {}:*) {} ;;", command.name, bash_words(&argument_words(command)));
    }
    out + "  esac\n}\ncomplete -o filenames -F _perijove perijove\n"
}

fn bash_words(words: &Words) -> String {
    let how = match (words, listed(words)) {
        (_, Some(list)) => format!("-W '{list}'"),
        (Words::Files, _) => "-f".into(),
        (Words::Directories, _) => "-d".into(),
        _ => return ":".into(),
    };
    format!("mapfile -t COMPREPLY < <(compgen {how} -- \"$current\")")
}

pub fn zsh() -> String {
    let mut out = format!("#compdef perijove\n{MADE}_perijove() {{\n  local -a commands=(\n");
    for command in COMMANDS {
        let text = format!("{}:{}", command.name, command.help);
        let _ = writeln!(out, "    '{}'", text.replace('\'', "'\\''"));
    }
    out += "  )\n  local command=${words[(r)(";
    out += &commands().replace(' ', "|");
    out += ")]:-run}\n  case $command in\n";
    for command in COMMANDS {
        let _ = writeln!(out, "    {})\n      _arguments -s \\", command.name);
        for flag in command.flags() {
            let help = flag.help.replace('[', "(").replace(']', ")").replace(':', ",");
            let value = if flag.value.is_empty() {
                String::new()
            } else {
                let name = flag.value.replace(':', ",");
                format!(":{}:{}", name.trim_matches('"'), zsh_words(&words(flag.value)))
            };
            let name = match flag.short {
                Some(short) => format!("(-{short} --{0})'{{-{short},--{0}}}'", flag.name),
                None => format!("--{}", flag.name),
            };
            let _ = writeln!(out, "        '{name}[{}]{value}' \\", help.replace('\'', "'\\''"));
        }
        let rest = if command.name == "run" {
            "'1:command:{_describe command commands}'".to_string()
        } else {
            format!("'2:argument:{}'", zsh_words(&argument_words(command)))
        };
        let _ = writeln!(out, "        '--help[print its flags]' \\\n        {rest} ;;");
    }
    out + "  esac\n}\n_perijove \"$@\"\n"
}

fn zsh_words(words: &Words) -> String {
    match (words, listed(words)) {
        (_, Some(list)) => format!("({list})"),
        (Words::Files, _) => "_files".into(),
        (Words::Directories, _) => "_files -/".into(),
        _ => " ".into(),
    }
}

pub fn fish() -> String {
    let mut out = format!("{MADE}complete -c perijove -f\n");
    let all = commands();
    for command in COMMANDS {
        let _ = writeln!(
            out,
            "complete -c perijove -n 'not __fish_seen_subcommand_from {all}' -a {} -d {}",
            command.name,
            quoted(command.help)
        );
        let seen = if command.name == "run" {
            let others: Vec<&str> = all.split(' ').filter(|name| *name != "run").collect();
            format!("not __fish_seen_subcommand_from {}", others.join(" "))
        } else {
            format!("__fish_seen_subcommand_from {}", command.name)
        };
        for flag in command.flags() {
            let short = flag.short.map_or(String::new(), |short| format!(" -s {short}"));
            let value = if flag.value.is_empty() { "" } else { fish_words(&words(flag.value)) };
            let list = listed(&words(flag.value)).map_or(String::new(), |l| format!(" -a '{l}'"));
            let _ = writeln!(
                out,
                "complete -c perijove -n '{seen}' -l {}{short}{value}{list} -d {}",
                flag.name,
                quoted(flag.help)
            );
        }
        if let Some(list) = listed(&argument_words(command)) {
            let _ = writeln!(out, "complete -c perijove -n '{seen}' -a '{list}'");
        }
    }
    out
}

/// How fish is told what a value is: a file, or something else that has to be there.
fn fish_words(words: &Words) -> &'static str {
    match words {
        Words::Files | Words::Directories => " -r -F",
        _ => " -x",
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}
