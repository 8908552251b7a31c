//! A reader for InfluxDB line protocol, written from InfluxData's description of it, not from the
//! encoder under test.

use std::collections::BTreeMap;

/// One line. Tags and fields are sorted, so that two lines that say the same are equal.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub measurement: String,
    pub tags: BTreeMap<String, String>,
    pub fields: BTreeMap<String, Value>,
    pub timestamp: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    Boolean(bool),
}

impl Value {
    /// The number, whatever its type; a server may give `5` back for `5.0`.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Integer(number) => Some(*number as f64),
            Value::Unsigned(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::Text(_) | Value::Boolean(_) => None,
        }
    }

    /// Equal, or the same number written in two types without loss.
    pub fn same(&self, other: &Value) -> bool {
        let whole = |value: &Value| match value {
            Value::Integer(number) => Some(i128::from(*number)),
            Value::Unsigned(number) => Some(i128::from(*number)),
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                Some(*number as i128)
            }
            _ => None,
        };
        self == other || (whole(self).is_some() && whole(self) == whole(other))
    }
}

impl Line {
    pub fn tag(&self, name: &str) -> &str {
        self.tags.get(name).map_or("", String::as_str)
    }

    pub fn number(&self, field: &str) -> f64 {
        let value = self.fields.get(field);
        value.and_then(Value::number).unwrap_or_else(|| panic!("no number {field} in {self:?}"))
    }

    /// What makes the point one and the same for a server: series and time.
    pub fn key(&self) -> String {
        format!("{} {:?} {}", self.measurement, self.tags, self.timestamp)
    }
}

/// Reads a whole text; a line that is not line protocol fails the test.
pub fn read(text: &str) -> Vec<Line> {
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| read_line(line).unwrap_or_else(|e| panic!("not line protocol, {e}: {line}")))
        .collect()
}

/// Those that are readings of a router, without the program's own `perijove_…` points.
pub fn readings(lines: &[Line]) -> Vec<Line> {
    lines.iter().filter(|line| !line.measurement.starts_with("perijove")).cloned().collect()
}

fn read_line(line: &str) -> Result<Line, String> {
    let (series, rest) = split_once(line, ' ', false).ok_or("no field set")?;
    let (fields, timestamp) = split_once(rest, ' ', true).ok_or("no timestamp")?;
    let mut parts = split(series, ',', false).into_iter();
    let measurement = unescape(parts.next().filter(|name| !name.is_empty()).ok_or("no name")?);
    let mut tags = BTreeMap::new();
    for part in parts {
        let (name, value) = split_once(part, '=', false).ok_or("a tag without a value")?;
        if name.is_empty() || value.is_empty() {
            return Err(format!("an empty tag in {part:?}"));
        }
        if tags.insert(unescape(name), unescape(value)).is_some() {
            return Err(format!("the tag {name} twice"));
        }
    }
    let mut values = BTreeMap::new();
    for part in split(fields, ',', true) {
        let (name, value) = split_once(part, '=', false).ok_or("a field without a value")?;
        let value = read_value(value).ok_or_else(|| format!("no value: {value:?}"))?;
        if name.is_empty() || values.insert(unescape(name), value).is_some() {
            return Err(format!("the field {name:?} is empty or there twice"));
        }
    }
    let timestamp = timestamp.parse().map_err(|e| format!("timestamp {timestamp:?}: {e}"))?;
    Ok(Line { measurement, tags, fields: values, timestamp })
}

fn read_value(text: &str) -> Option<Value> {
    if let Some(inner) = text.strip_prefix('"') {
        let inner = inner.strip_suffix('"')?;
        return Some(Value::Text(inner.replace("\\\"", "\"").replace("\\\\", "\\")));
    }
    match text {
        "t" | "T" | "true" => return Some(Value::Boolean(true)),
        "f" | "F" | "false" => return Some(Value::Boolean(false)),
        _ => {}
    }
    if let Some(number) = text.strip_suffix('i') {
        return number.parse().ok().map(Value::Integer);
    }
    if let Some(number) = text.strip_suffix('u') {
        return number.parse().ok().map(Value::Unsigned);
    }
    // Rust's parser knows `inf` and `NaN`; line protocol has neither.
    if text.contains(|letter: char| letter.is_ascii_alphabetic() && !matches!(letter, 'e' | 'E')) {
        return None;
    }
    text.parse().ok().map(Value::Float)
}

fn split_once(text: &str, at: char, quotes: bool) -> Option<(&str, &str)> {
    let place = find(text, at, quotes)?;
    Some((&text[..place], &text[place + 1..]))
}

fn split(mut text: &str, at: char, quotes: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    while let Some((part, rest)) = split_once(text, at, quotes) {
        parts.push(part);
        text = rest;
    }
    parts.push(text);
    parts
}

/// The first `at` that is neither escaped nor, where strings can stand, inside a quoted string.
fn find(text: &str, at: char, quotes: bool) -> Option<usize> {
    let mut escaped = false;
    let mut quoted = false;
    for (place, letter) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if quotes && letter == '"' {
            quoted = !quoted;
        } else if letter == at && !quoted {
            return Some(place);
        }
    }
    None
}

/// Takes the backslash from before a comma, an equals sign or a space; elsewhere it is itself.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek() {
            Some(',' | '=' | ' ') if letter == '\\' => plain.extend(letters.next()),
            _ => plain.push(letter),
        }
    }
    plain
}
