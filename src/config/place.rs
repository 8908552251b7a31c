//! Where in the settings file an error is: its line, and the key that is set there.

use std::cell::RefCell;
use std::path::PathBuf;

use toml::Spanned;

use super::macros::Lines;
use super::nearest::may_be_shown;
use crate::poll::configuration::Macros;

/// What was written: a settings file and its text, for errors that name a line.
pub struct Written {
    /// None: flags alone, which have no place in a file.
    pub path: Option<PathBuf>,
    pub text: String,
    /// What the router's configuration adds; its places are behind those of the file.
    pub macros: Lines,
    /// Warnings about settings that are accepted.
    pub warnings: RefCell<Vec<String>>,
}

impl Written {
    pub fn new(path: Option<PathBuf>, text: String) -> Written {
        Written::with_macros(path, text, &Macros::new())
    }

    pub fn with_macros(path: Option<PathBuf>, text: String, macros: &Macros) -> Written {
        let macros = Lines::new(text.len() + 1, macros);
        Written { path, text, macros, warnings: RefCell::default() }
    }

    /// An error at that byte of the file: file, line, key and message.
    pub fn at(&self, offset: usize, message: &str) -> String {
        if let Some(line) = self.macros.shown_at(offset) {
            return format!("{line}: {message}");
        }
        let Some(path) = &self.path else { return message.to_string() };
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count();
        let key = match self.key(line) {
            key if key.is_empty() => key,
            key => format!("{key}: "),
        };
        format!("{}:{}: {key}{message}", path.display(), line + 1)
    }

    /// What stands in that line, counted from 0: a table, or a key with its table; nothing where
    /// the line is empty and no table's.
    fn key(&self, line: usize) -> String {
        let lines: Vec<&str> = self.text.lines().take(line + 1).map(str::trim).collect();
        let own = lines.get(line).copied().unwrap_or_default();
        if let Some(table) = header(own) {
            return if may_be_shown(table) { table.into() } else { String::new() };
        }
        // A list may go on over several lines; all are the key's that is set in the first.
        let set = lines.iter().rposition(|line| assigned(line).is_some());
        let list = set.filter(|set| is_open_list(&lines[*set..line.min(lines.len())]));
        let of_list = list.and_then(|set| assigned(lines[set]));
        // What is no setting may be a line of some other file, such as a key.
        let plain = || own.split_once('=').map_or("", |(key, _)| key).trim();
        let key = of_list.or(assigned(own)).unwrap_or_else(plain);
        let key = if may_be_shown(key) { key } else { "" };
        let above = &lines[..list.unwrap_or(line).min(lines.len())];
        let table = above.iter().rev().find_map(|line| header(line));
        let path: Vec<&str> =
            table.into_iter().chain([key]).filter(|part| !part.is_empty()).collect();
        path.join(".")
    }

    pub fn at_value<T>(&self, value: &Spanned<T>, message: impl AsRef<str>) -> String {
        // A span of 0 is a flag's: it has no place in the file.
        match value.span() {
            span if span.is_empty() => message.as_ref().to_string(),
            span => self.at(span.start, message.as_ref()),
        }
    }

    /// An error at a key of a table: at the table, where the key has no line of its own.
    fn at_key<T>(&self, table: &Spanned<T>, key: &str, message: &str) -> String {
        let mut at = table.span().start;
        let name = || self.key(self.text.get(..at).unwrap_or_default().matches('\n').count());
        let name = self.macros.table_at(at).map_or_else(name, String::from);
        if let Some(line) = self.macros.shown_of(&name, key) {
            return format!("{line}: {message}");
        }
        let lines = self.text.get(at..).filter(|_| !table.span().is_empty());
        for (number, line) in lines.unwrap_or_default().split_inclusive('\n').enumerate() {
            match line.trim() {
                line if number > 0 && header(line).is_some() => break,
                line if assigned(line) == Some(key) => return self.at(at, message),
                _ => at += line.len(),
            }
        }
        self.at_value(table, message)
    }

    /// Refuses those of a table's keys that are set and belong to something else.
    pub fn refuse<T>(
        &self,
        table: &Spanned<T>,
        keys: &[(&str, bool)],
        why: &str,
    ) -> Result<(), String> {
        match keys.iter().find(|(_, set)| *set) {
            Some((key, _)) => Err(self.at_key(table, key, &format!("{key} {why}"))),
            None => Ok(()),
        }
    }

    /// Refuses names that are empty.
    pub fn refuse_empty<T>(
        &self,
        table: &Spanned<T>,
        keys: &[(&str, &Option<String>)],
    ) -> Result<(), String> {
        let empty =
            |name: &Option<String>| name.as_deref().is_some_and(|name| name.trim().is_empty());
        let keys: Vec<_> = keys.iter().map(|(key, name)| (*key, empty(name))).collect();
        self.refuse(table, &keys, "is empty")
    }
}

/// The value, if it could be read; otherwise the error is added to the faults, once.
pub fn note<T>(faults: &mut Vec<String>, read: Result<T, String>) -> Option<T> {
    let why = match read {
        Ok(read) => return Some(read),
        Err(why) => why,
    };
    // A fault in the settings for all routers would be found once for each router.
    if !faults.contains(&why) {
        faults.push(why);
    }
    None
}

/// The name in a table's header: `[table]` or `[[table]]`, with or without a comment.
fn header(line: &str) -> Option<&str> {
    let name = line.strip_prefix('[')?.trim_start_matches('[');
    Some(name.split([']', '#']).next().unwrap_or_default().trim())
}

/// The key that a line sets.
fn assigned(line: &str) -> Option<&str> {
    let key = line.split_once('=')?.0.trim();
    let bare = key.trim_matches('"');
    let is_key = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (bare.chars().all(is_key) && !bare.is_empty() && (key.len() - bare.len()) % 2 == 0)
        .then_some(key)
}

/// Whether a list that begins in these lines does not end in them.
fn is_open_list(lines: &[&str]) -> bool {
    let count = |bracket| lines.iter().map(|line| line.matches(bracket).count()).sum::<usize>();
    count('[') > count(']')
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    /// The whole of what is said, of every shape that a settings file has.
    #[test]
    fn errors_say_file_line_and_key() {
        for (text, expected) in [
            ("nice = 30\n", "1: nice: a nice value is between -20 and 20"),
            (
                "[limits]\nitem_bytes_max = \"0\"\n",
                "2: limits.item_bytes_max: `0` is too small: it is at least 1kB",
            ),
            (
                "nice = 1\n\n[output.influxdb] # my [own] db = 1\n# url =\ntimeout = \"1ms\"\n",
                "5: output.influxdb.timeout: `1ms` is too short: it is at least 10ms",
            ),
            (
                "[[router]]\ncommand = [\"a\",\n  \"key = b\", # and\n5,\n]\n",
                "4: router.command: invalid type: integer `5`, expected a string",
            ),
            (
                "[[router]]\ncommand = [\"a\"]\ntimeout = \"5s\" # [\n[log]\nlevel = 5\n",
                "5: log.level: wanted string or table",
            ),
            (
                "[output.kafka]\nbrokers = \"b\"\nlibrdkafka = { \"a.b\" = 1979-05-27 }\n",
                "1: output.kafka: librdkafka.a.b is no text, number or boolean",
            ),
            (
                "[output]\ninfluxdb = { url = \"http://h\", org = \"o\" }\n",
                "2: output.influxdb: org is for version = 2, and this is version 1",
            ),
            (
                "[output.influxdb]\nurl = \"http://h\"\n# org = \"o\"\n  org = \"o\"\n",
                "4: output.influxdb.org: org is for version = 2, and this is version 1",
            ),
        ] {
            assert_eq!(read(text).map(drop), Err(format!("FILE:{expected}")), "{text}");
        }
    }
}
