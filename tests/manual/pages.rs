//! perijove(8) from the table of commands, perijove.toml(5) from the shipped settings file.

use std::fmt::Write;

use perijove::cli::{COMMANDS, Command};
use perijove::config;

use crate::roff::{argument, escaped, paragraph, setting};

/// The day of a release stands in the changelog's newest heading that has one.
fn day() -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let changelog = include_str!("../../CHANGELOG.md");
    let dates = changelog.lines().filter_map(|line| {
        let (_, date) = line.strip_prefix("## ")?.split_once(", ")?;
        let [year, month, day] = date.split('-').collect::<Vec<_>>()[..] else { return None };
        let month = MONTHS[month.parse::<usize>().ok()? - 1];
        Some(format!("{month} {}, {year}", day.trim_start_matches('0')))
    });
    dates.into_iter().next().expect("CHANGELOG.md has a heading `## VERSION, YEAR-MONTH-DAY`")
}

fn head(title: &str, section: u8, name: &str, about: &str) -> String {
    format!(
        ".\\\" Made by tests/manual, which holds it to the code: do not edit.\n\
         .Dd {}\n.Dt {title} {section}\n.Os\n.Sh NAME\n.Nm {name}\n.Nd {about}\n",
        day()
    )
}

pub fn program() -> String {
    let mut out = head("PERIJOVE", 8, "perijove", "operational state of Junos routers, pushed");
    out += ".Sh SYNOPSIS\n";
    for command in COMMANDS {
        out += ".Nm\n";
        let name = command.name;
        let _ =
            if name == "run" { writeln!(out, ".Op Cm run") } else { writeln!(out, ".Cm {name}") };
        for word in command.arguments.split_whitespace() {
            let _ = match word.strip_prefix('[').and_then(|word| word.strip_suffix(']')) {
                Some(optional) => writeln!(out, ".Op Ar {}", optional.to_lowercase()),
                None => writeln!(out, ".Ar {}", word.to_lowercase()),
            };
        }
        if !command.flags.is_empty() {
            out += ".Op Ar flags\n";
        }
    }
    out += ".Sh DESCRIPTION\n";
    out += &paragraph(
        "perijove reads the operational state of Junos routers over NETCONF, on the router \
         itself or over SSH, and gives it to InfluxDB, Kafka and Prometheus. It writes nothing \
         to a router. What it does stands in its settings file, perijove.toml(5); flags change \
         single settings.",
    );
    out += ".Pp\nThe commands are:\n.Bl -tag -width Ds\n";
    for command in COMMANDS {
        let _ = writeln!(out, ".It Cm {}", command.name);
        out += &paragraph(&(capital(command.help) + "."));
        out += &paragraph(command.about);
    }
    out += ".El\n.Sh FLAGS\nBehind each flag are the commands that take it.\n.Bl -tag -width Ds\n";
    out += &flags();
    out += ".It Fl h , -help\nPrint the commands, or the flags of a command.\n\
            .It Fl V , -version\n\
            Print the version, the features, and the versions of the C libraries.\n.El\n";
    out += ENVIRONMENT;
    let _ = write!(
        out,
        ".Sh FILES\n.Bl -tag -width Ds\n.It Pa {}\nThe settings, if\n.Fl -config\nnames no other \
         file.\n.El\n.Sh EXIT STATUS\n.Bl -tag -width Ds\n.It 0\nSuccess.\n.It 1\nFailure.\n.It 2\n\
         An error in the command line or the settings.\n.El\n.Sh EXAMPLES\n",
        config::DEFAULT_PATH
    );
    for command in COMMANDS {
        let _ = writeln!(out, ".Dl {}", argument(command.example).trim_matches('"'));
    }
    out + ".Sh SEE ALSO\n.Xr perijove.toml 5\n"
}

const ENVIRONMENT: &str = "\
.Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev PERIJOVE_PASSWORD , PERIJOVE_PASSPHRASE
The password to log in with, and the passphrase of the private key.
.It Ev CREDENTIALS_DIRECTORY
Where relative paths of secret files begin; systemd sets it.
.It Ev STATE_DIRECTORY
The state directory, if the settings name none; systemd sets it.
.It Ev BIGQUERY_EMULATOR_HOST
The server that stands in for BigQuery, if the settings name none.
.El
.Sh SIGNALS
.Bl -tag -width Ds
.It Dv SIGHUP
Read the settings again.
If they are wrong, the old ones stay in use.
.It Dv SIGTERM , SIGINT
Send what is queued, and exit.
A second one, a second later or more, ends the program at once.
.El
";

fn flags() -> String {
    let mut names: Vec<&str> = COMMANDS.iter().flat_map(Command::flags).map(|f| f.name).collect();
    names.sort_unstable();
    names.dedup();
    let mut out = String::new();
    for name in names {
        let takers: Vec<_> = COMMANDS
            .iter()
            .filter_map(|command| Some((command, command.flags().find(|flag| flag.name == name)?)))
            .collect();
        let flag = takers[0].1;
        let short = flag.short.map_or(String::new(), |short| format!("{short} , "));
        let _ = write!(out, ".It Fl {short}-{name}");
        // A flag whose values are not the same everywhere is shown with those of each command.
        let mut values: Vec<&str> = takers.iter().map(|(_, flag)| flag.value).collect();
        values.dedup();
        if !flag.value.is_empty() {
            let value = if values.len() == 1 { flag.value } else { "FORMAT" };
            let _ = write!(out, " Ar {}", argument(value.trim_matches('"')));
        }
        out.push('\n');
        out += &paragraph(&(capital(flag.help) + "."));
        for (command, flag) in &takers {
            let values =
                if values.len() == 1 { String::new() } else { format!(": {}", flag.value) };
            let last = command.name == takers[takers.len() - 1].0.name;
            let end = if last { " ." } else { " ," };
            let _ = writeln!(out, ".Cm {}{}{end}", command.name, quoted(&values));
        }
    }
    out
}

fn quoted(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" Ns {}", argument(text)) }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or(String::new(), |first| {
        first.to_uppercase().collect::<String>() + characters.as_str()
    })
}

pub fn settings() -> String {
    let out = head("PERIJOVE.TOML", 5, "perijove.toml", "settings of perijove");
    let mut page = Page { out, ..Page::default() };
    page.out += ".Sh DESCRIPTION\n";
    let file = include_str!("../../packaging/perijove.toml").replacen(", commented out,", "", 1);
    for line in file.lines() {
        page.line(line);
    }
    page.end_list();
    page.out + ".Sh SEE ALSO\n.Xr perijove 8\n"
}

#[derive(Default)]
struct Page {
    out: String,
    /// The comment that the next key or table belongs to.
    comment: String,
    is_list: bool,
    has_head: bool,
}

impl Page {
    fn line(&mut self, line: &str) {
        if let Some(table) = line.strip_prefix("#[") {
            self.section(&format!("[{table}"));
        } else if let Some((key, value)) = setting(line) {
            self.key(key, value);
        } else if line == "#" || line.is_empty() {
            self.end_paragraph();
        } else {
            self.comment += line.trim_start_matches('#');
        }
    }

    /// The file's own head, or a remark that belongs to no key.
    fn end_paragraph(&mut self) {
        if !self.comment.is_empty() && !self.has_head {
            self.out += &paragraph(&std::mem::take(&mut self.comment));
            self.out += ".Pp\n";
        }
    }

    fn section(&mut self, name: &str) {
        self.end_list();
        let _ = writeln!(self.out, ".Ss {}\\&", escaped(name));
        self.out += &paragraph(&std::mem::take(&mut self.comment));
        self.has_head = true;
    }

    fn key(&mut self, key: &str, value: &str) {
        if !self.has_head {
            // The paragraph's own mark is not wanted before a heading.
            self.out.truncate(self.out.trim_end_matches(".Pp\n").len());
            self.out += ".Ss The top of the file\n";
            self.has_head = true;
        }
        if !self.is_list {
            self.out += ".Bl -tag -width Ds\n";
            self.is_list = true;
        }
        let _ = writeln!(self.out, ".It Ic {} = {}", escaped(key), value_argument(value));
        self.out += &paragraph(&std::mem::take(&mut self.comment));
    }

    fn end_list(&mut self) {
        if self.is_list {
            self.out += ".El\n";
            self.is_list = false;
        }
    }
}

/// A value as one argument, whatever is in it.
fn value_argument(value: &str) -> String {
    format!("\"{}\"", escaped(value).replace('"', "\\(dq"))
}
