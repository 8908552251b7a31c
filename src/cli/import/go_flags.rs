//! A command line as Go's package `flag` reads it: `-name value`, `--name=value`, `-switch`.

use std::collections::BTreeMap;

/// What was typed: flags by name, the last of each, and the rest.
#[derive(Debug, Default)]
pub struct GoFlags {
    pub flags: BTreeMap<String, String>,
    pub rest: Vec<String>,
}

/// `is_switch` tells what is known of a flag: whether it needs no value, or `None` for a flag that
/// is not known.
pub fn read(
    arguments: &[String],
    is_switch: impl Fn(&str) -> Option<bool>,
) -> Result<GoFlags, String> {
    let mut read = GoFlags::default();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let flag = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
        let Some(flag) = flag.filter(|flag| !flag.is_empty()) else {
            read.rest.push(argument.clone());
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (flag, None),
        };
        let unknown = || format!("it has no flag -{name}");
        let value = match (value, is_switch(name).ok_or_else(unknown)?) {
            (Some(value), _) => value,
            (None, true) => "true".into(),
            (None, false) => {
                arguments.next().ok_or_else(|| format!("-{name} needs a value"))?.clone()
            }
        };
        read.flags.insert(name.into(), value);
    }
    Ok(read)
}

impl GoFlags {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.flags.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A switch: Go takes 1, t, T, true, TRUE, True and their opposites.
    pub fn switch(&self, name: &str) -> Result<Option<bool>, String> {
        let Some(text) = self.flags.get(name) else { return Ok(None) };
        match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
            _ => Err(format!("-{name}={text} is neither true nor false")),
        }
    }
}

/// Go's spans of time (`1m30s`, `1.5h`, `250ms`) as the settings have them.
pub fn time(text: &str) -> Result<String, String> {
    const UNITS: &[(&str, f64)] = &[
        ("ns", 1e-6),
        ("us", 1e-3),
        ("µs", 1e-3),
        ("ms", 1.0),
        ("s", 1e3),
        ("m", 60e3),
        ("h", 3600e3),
    ];
    let wrong = || format!("`{text}` is no time such as 30s");
    let (mut rest, mut milliseconds) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..end].parse().map_err(|_| wrong())?;
        rest = &rest[end..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = UNITS.iter().find(|(unit, _)| *unit == &rest[..unit_end]).ok_or_else(wrong)?;
        milliseconds += number * unit.1;
        rest = &rest[unit_end..];
    }
    let milliseconds = milliseconds.round() as u64;
    match (milliseconds, milliseconds % 1000) {
        (0, _) => Err(wrong()),
        (_, 0) => Ok(format!("{}s", milliseconds / 1000)),
        _ => Ok(format!("{milliseconds}ms")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_as_go_reads_them() {
        let words = "file -a x --b=y=z -on -off=false --c 5 -a last - rest";
        let words: Vec<String> = words.split(' ').map(String::from).collect();
        let is_switch = |name: &str| Some(name.starts_with('o'));
        let read = read(&words, is_switch).unwrap();
        let flags: Vec<_> =
            read.flags.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(flags, ["a=last", "b=y=z", "c=5", "off=false", "on=true"]);
        assert_eq!(read.rest, ["file", "-", "rest"]);
        assert_eq!((read.switch("on"), read.switch("off")), (Ok(Some(true)), Ok(Some(false))));
        assert_eq!(read.switch("none"), Ok(None));
        assert!(read.switch("c").is_err());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let read = |word: &str| {
            let words = [word.to_string()];
            super::read(&words, |name| (name == "a").then_some(false)).unwrap_err()
        };
        assert_eq!(read("-a"), "-a needs a value");
        assert_eq!(read("--nothing=1"), "it has no flag -nothing");
    }

    #[test]
    fn spans_of_time() {
        for (text, expected) in [
            ("7s", "7s"),
            ("1m30s", "90s"),
            ("1.5h", "5400s"),
            ("250ms", "250ms"),
            ("1m0.5s", "60500ms"),
        ] {
            assert_eq!(time(text).as_deref(), Ok(expected), "{text}");
        }
        for text in ["", "7", "s", "0s", "5 s", "1d", "-5s"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
