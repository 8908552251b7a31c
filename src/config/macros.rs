//! Settings that the router's own configuration has, as parameters of `apply-macro perijove`: each
//! is a line that stands behind the settings file, with its key and its value.
//!
//! What follows `perijove-` in a macro's name is the table that its parameters belong to. A value
//! that is a boolean, a number, a list, an inline table or a quoted text of TOML is that; any other
//! is the text itself.

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::nearest::may_be_shown;
use crate::poll::configuration::{Macros, NAME, Parameter};

/// The lines of the macros.
#[derive(Default)]
pub struct Lines {
    /// Where in the settings they begin: behind the file, in the place of which there are spaces.
    start: usize,
    text: String,
    /// The key and the parameter of each line.
    keys: Vec<(String, String)>,
    /// What is wrong with parameters that are no lines.
    faults: Vec<String>,
}

impl Lines {
    pub fn new(start: usize, macros: &Macros) -> Lines {
        if macros.is_empty() {
            return Lines::default();
        }
        let mut lines = Lines { start, text: " ".repeat(start), ..Lines::default() };
        for parameter in macros {
            match line(parameter) {
                Ok((key, value)) => {
                    lines.text += &format!("{key} = {value}\n");
                    lines.keys.push((key, shown(parameter)));
                }
                Err(why) => lines.faults.push(format!("{}: {why}", shown(parameter))),
            }
        }
        lines
    }

    /// The line at that byte of the settings, as the router's configuration shows it.
    pub fn shown_at(&self, at: usize) -> Option<&str> {
        self.line_at(at).map(|(_, shown)| shown.as_str())
    }

    /// The line that sets a key of a table.
    pub fn shown_of(&self, table: &str, key: &str) -> Option<&str> {
        let key = format!("{table}.{key}");
        self.keys.iter().find(|(set, _)| *set == key).map(|(_, shown)| shown.as_str())
    }

    /// The table that the line at that byte sets a key of.
    pub fn table_at(&self, at: usize) -> Option<&str> {
        self.line_at(at)?.0.rsplit_once('.').map(|(table, _)| table)
    }

    fn line_at(&self, at: usize) -> Option<&(String, String)> {
        let before = self.text.as_bytes().get(self.start..at)?;
        self.keys.get(before.iter().filter(|byte| **byte == b'\n').count())
    }

    /// The keys that they set, and the lines.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.keys.iter().map(|(key, shown)| (key.as_str(), shown.as_str()))
    }

    /// The lines as a table, whose places are those of the settings.
    pub fn table(&self) -> Result<DeTable<'_>, Error> {
        DeTable::parse(&self.text).map(Spanned::into_inner)
    }

    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}

/// The key and the value of a parameter, as a line of TOML has them.
fn line(parameter: &Parameter) -> Result<(String, String), String> {
    let Parameter { of, name, value } = parameter;
    let table = of.strip_prefix(NAME).unwrap_or_default().trim_start_matches('-');
    let key = if table.is_empty() { name.clone() } else { format!("{table}.{name}") };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.\"".contains(c);
    if !key.chars().all(is_plain) || single(&format!("{key} = 0")).is_none() {
        return Err("the name is no key of the settings, such as output.influxdb.url".into());
    }
    let Some(value) = value else {
        return Err("a value is missing".into());
    };
    if value.chars().any(char::is_control) {
        return Err("the value has a control character".into());
    }
    let is_toml = match single(&format!("value = {value}")) {
        // `inf` and `nan` are words.
        Some(DeValue::Float(_)) => value.trim_end().ends_with(|c: char| c.is_ascii_digit()),
        Some(DeValue::Datetime(_)) | None => false,
        Some(_) => true,
    };
    let quoted = || format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    Ok((key, if is_toml { value.clone() } else { quoted() }))
}

/// The value in a document of one key.
fn single(document: &str) -> Option<DeValue<'_>> {
    let table = DeTable::parse(document).ok()?.into_inner();
    let mut values = table.into_iter().map(|(_, value)| value.into_inner());
    let only = values.next()?;
    values.next().is_none().then_some(only)
}

/// The line of a parameter as `show configuration | display set` has it, without its value, which
/// may be a secret in a wrong place.
fn shown(parameter: &Parameter) -> String {
    let Parameter { of, name, .. } = parameter;
    let safe = |text: &str| {
        let is_plain = |c: char| c.is_ascii_graphic();
        may_be_shown(text) && text.chars().all(is_plain)
    };
    match (safe(of), safe(name)) {
        (true, true) => format!("set system apply-macro {of} {name} …"),
        (true, false) => format!("set system apply-macro {of} …"),
        (false, _) => format!("set system apply-macro {NAME}-…"),
    }
}
