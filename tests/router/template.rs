//! How a reply is written: a text with generators and repeats.
//!
//! A template is an XML text, indented for people; the line ends stay, the indentation does not.
//!
//! * `{repeat port interfaces}` … `{end}` repeats lines; `port` counts from 0, as many times as
//!   a number or a size of the command line.
//! * `{when port%4=3}` … `{end}` writes lines or not; `{when port>2}`, and `!` before the sign.
//! * `{port}`, `{port*2+512}`, `{1+port+unit*3}`: products and sums of loop variables and numbers.
//! * `{counter 1000}`: grows by about 1000 a second. `{gauge 20 60}`, `{gauge -3.20 1.00}`: another
//!   value between them with every second. `{fixed 20 60}`: one value for good.
//! * `{age 60 86400}`: seconds since an event that comes back; `{since …}` and `{date …}` are the
//!   event's time; `{long …}` and `{short …}` are the age in words.
//! * `{ago 1735689600000}`: whole seconds since that time, which is in milliseconds since 1970, as
//!   `{ago 0}` is the router's time.
//! * `{pick up|up|down}`: one of them for good. `{nth port a|b|c}`: in turn.
//! * `{ifname port}`, `{mac 7+port}`, `{ipv4 10.0.0.1 peer*4}`, `{hex port+1}`,
//!   `{fahrenheit 20 60}`: what they say.
//! * `{release}`, and `{request fpc-slot 0}`: the text of an element of the request, or 0.
//! * `{# …}` is a comment.
//!
//! A value follows from the seed, the loop variables and the template's line: two generators on a
//! line have the same randomness, so that `junos:celsius="{gauge 20 60}">{gauge 20 60} degrees C`
//! agrees with itself. `{age@boot …}` takes the label's randomness instead, to agree with other
//! lines, and with other templates.

use std::cmp::Ordering;

use crate::options::Sizes;
use crate::render::mix;

pub const DEPTH_MAX: usize = 8;

/// How values stand in their elements.
#[derive(Clone, Copy, PartialEq)]
pub enum Style {
    /// `<name>value</name>`
    Plain,
    /// A line end before and after every value, as Junos has it in interface replies.
    Wrapped,
}

/// What a template is filled from.
pub struct Setting<'a> {
    pub sizes: &'a Sizes,
    pub release: &'a str,
    /// Finds the text of an element of the request.
    pub request: &'a dyn Fn(&str) -> Option<String>,
    pub not_numbers: bool,
    pub latin1: bool,
}

/// A template that is ready to be written.
pub struct Template {
    pub body: Vec<Piece>,
    pub not_numbers: bool,
}

pub enum Piece {
    Text(Vec<u8>),
    Value { salt: u64, value: Value },
    Repeat { variable: usize, times: Times, body: Vec<Piece> },
}

pub enum Times {
    Count(u64),
    /// Once if the loop variable's rest is (or is not) like this.
    Condition {
        variable: usize,
        modulus: u64,
        order: Ordering,
        than: u64,
        is: bool,
    },
}

/// Products of a number and a loop variable, to be added up.
pub struct Sum(pub Vec<(u64, Option<usize>)>);

pub struct Range {
    pub low: i64,
    pub high: i64,
    pub decimals: u32,
}

pub enum Value {
    Number(Sum),
    Hex(Sum),
    Counter { per_1000_s: u64 },
    Gauge(Range),
    Fixed(Range),
    Fahrenheit(Range),
    Age(Range, AgeForm),
    Ago { since_ms: u64 },
    Pick(Vec<String>),
    Nth(Sum, Vec<String>),
    InterfaceName(Sum),
    Mac(Sum),
    Ipv4(u32, Sum),
}

#[derive(Clone, Copy)]
pub enum AgeForm {
    Seconds,
    Epoch,
    Date,
    Long,
    Short,
}

impl Template {
    /// The templates are part of the program: a mistake in one is a panic that says where.
    pub fn new(text: &str, style: Style, setting: &Setting) -> Template {
        let mut reader = Reader { setting, style, variables: Vec::new(), line: 0 };
        let mut lines = text.lines();
        let body = reader.body(&mut lines, false);
        Template { body, not_numbers: setting.not_numbers }
    }
}

struct Reader<'a> {
    setting: &'a Setting<'a>,
    style: Style,
    variables: Vec<String>,
    line: usize,
}

impl Reader<'_> {
    fn body(&mut self, lines: &mut std::str::Lines, inside: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while let Some(line) = lines.next() {
            self.line += 1;
            let line = line.trim();
            let command = line.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            if line.is_empty() || line.starts_with("{#") {
                continue;
            } else if line == "{end}" {
                assert!(inside, "line {}: {{end}} without a repeat", self.line);
                return pieces;
            } else if let Some(repeat) = command.and_then(|text| text.strip_prefix("repeat ")) {
                let (name, times) = repeat.split_once(' ').expect("{repeat NAME TIMES}");
                let times = Times::Count(self.count(times));
                pieces.push(self.repeat(name, times, lines));
            } else if let Some(condition) = command.and_then(|text| text.strip_prefix("when ")) {
                let times = self.condition(condition);
                pieces.push(self.repeat("", times, lines));
            } else {
                self.content(line, &mut pieces);
            }
        }
        assert!(!inside, "line {}: {{end}} is missing", self.line);
        pieces
    }

    fn repeat(&mut self, name: &str, times: Times, lines: &mut std::str::Lines) -> Piece {
        let variable = self.variables.len();
        assert!(variable < DEPTH_MAX, "line {}: repeats are nested too deep", self.line);
        self.variables.push(name.to_owned());
        let body = self.body(lines, true);
        self.variables.pop();
        Piece::Repeat { variable, times, body }
    }

    fn count(&self, text: &str) -> u64 {
        let sizes = self.setting.sizes;
        match text {
            "interfaces" => sizes.interfaces,
            "units" => sizes.units,
            "bgp-peers" => sizes.bgp_peers,
            "tables" => sizes.tables,
            "optics" => sizes.optics,
            "queues" => sizes.queues,
            "alarms" => sizes.alarms,
            "fpcs" => sizes.fpcs(),
            number => self.number(number),
        }
    }

    fn condition(&self, text: &str) -> Times {
        let order = if text.contains('>') { Ordering::Greater } else { Ordering::Equal };
        let (left, than) = text.split_once(['=', '>']).unwrap_or_else(|| self.fail(text));
        let (left, is) = left.strip_suffix('!').map_or((left, true), |left| (left, false));
        let (name, modulus) = left.split_once('%').unwrap_or((left, "4294967296"));
        let variable = self.variable(name).unwrap_or_else(|| self.fail(text));
        let (modulus, than) = (self.number(modulus), self.number(than));
        Times::Condition { variable, modulus, order, than, is }
    }

    /// A line of text: an element's tag, or a whole leaf element.
    fn content(&mut self, line: &str, pieces: &mut Vec<Piece>) {
        let leaf = line.find('>').and_then(|start| {
            let end = line.rfind("</")?;
            (line.starts_with('<') && start < end).then_some((start + 1, end))
        });
        let (start, end) = leaf.unwrap_or((line.len(), line.len()));
        let wrap = if self.style == Style::Wrapped { "\n" } else { "" };
        self.text(&line[..start], pieces);
        if leaf.is_some() {
            let value = &line[start..end];
            let number = self.setting.not_numbers && value.trim().parse::<f64>().is_ok();
            literal(wrap, pieces);
            self.text(if number { "N/A" } else { value }, pieces);
            literal(wrap, pieces);
            self.text(&line[end..], pieces);
        }
        literal("\n", pieces);
    }

    fn text(&mut self, mut text: &str, pieces: &mut Vec<Piece>) {
        while let Some((before, rest)) = text.split_once('{') {
            self.literal(before, pieces);
            let (placeholder, rest) = rest.split_once('}').expect("a closing brace");
            self.placeholder(placeholder, pieces);
            text = rest;
        }
        self.literal(text, pieces);
    }

    fn literal(&self, text: &str, pieces: &mut Vec<Piece>) {
        if self.setting.latin1 {
            let bytes = text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect::<Vec<_>>();
            append(&bytes, pieces);
        } else {
            literal(text, pieces);
        }
    }

    fn placeholder(&self, text: &str, pieces: &mut Vec<Piece>) {
        let (name, arguments) = text.split_once(' ').unwrap_or((text, ""));
        let (name, label) = name.split_once('@').unwrap_or((name, ""));
        let constant = match name {
            // The payload's namespace has the release's base, as 24.4R1.9 sends 24.4R0.
            "release" => {
                let release = self.setting.release;
                Some(format!("{}R0", release.split(['R', 'X', 'F', 'I']).next().unwrap_or(release)))
            }
            "request" => {
                let (element, otherwise) = arguments.split_once(' ').expect("{request NAME ELSE}");
                let text = (self.setting.request)(element);
                Some(text.map_or_else(|| otherwise.to_owned(), |text| crate::xml::escape(&text)))
            }
            _ => None,
        };
        if let Some(text) = constant {
            return self.literal(&text, pieces);
        }
        let salt = if label.is_empty() {
            self.line as u64
        } else {
            label.bytes().fold(1 << 32, |hash, byte| mix(hash ^ u64::from(byte)))
        };
        pieces.push(Piece::Value { salt, value: self.value(name, arguments) });
    }

    fn value(&self, name: &str, arguments: &str) -> Value {
        let range = || self.range(arguments);
        let choices = |text: &str| text.split('|').map(str::to_owned).collect::<Vec<_>>();
        match name {
            "counter" => {
                let rate: f64 = arguments.parse().unwrap_or_else(|_| self.fail(arguments));
                Value::Counter { per_1000_s: (rate * 1000.0).ceil() as u64 }
            }
            "gauge" => Value::Gauge(range()),
            "fixed" => Value::Fixed(range()),
            "fahrenheit" => Value::Fahrenheit(range()),
            "age" => Value::Age(range(), AgeForm::Seconds),
            "since" => Value::Age(range(), AgeForm::Epoch),
            "date" => Value::Age(range(), AgeForm::Date),
            "long" => Value::Age(range(), AgeForm::Long),
            "short" => Value::Age(range(), AgeForm::Short),
            "ago" => Value::Ago { since_ms: self.number(arguments) },
            "pick" => Value::Pick(choices(arguments)),
            "nth" => {
                let (sum, list) = arguments.split_once(' ').unwrap_or_else(|| self.fail(arguments));
                Value::Nth(self.sum(sum), choices(list))
            }
            "ifname" => Value::InterfaceName(self.sum(arguments)),
            "mac" => Value::Mac(self.sum(arguments)),
            "hex" => Value::Hex(self.sum(arguments)),
            "ipv4" => {
                let (base, sum) = arguments.split_once(' ').unwrap_or_else(|| self.fail(arguments));
                let base: std::net::Ipv4Addr = base.parse().unwrap_or_else(|_| self.fail(base));
                Value::Ipv4(base.to_bits(), self.sum(sum))
            }
            sum => Value::Number(self.sum(sum)),
        }
    }

    fn sum(&self, text: &str) -> Sum {
        let term = |term: &str| {
            let (mut number, mut variable) = (1, None);
            for factor in term.split('*') {
                match self.variable(factor) {
                    Some(found) => variable = Some(found),
                    None => number = self.number(factor),
                }
            }
            (number, variable)
        };
        Sum(text.split('+').map(term).collect())
    }

    fn range(&self, text: &str) -> Range {
        let (low, high) = text.split_once(' ').unwrap_or_else(|| self.fail(text));
        let decimals = low.split_once('.').map_or(0, |(_, digits)| digits.len());
        let scaled = |text: &str| {
            text.replacen('.', "", 1).parse::<i64>().unwrap_or_else(|_| self.fail(text))
        };
        let (low, high) = (scaled(low), scaled(high));
        assert!(low < high, "line {}: a range goes up, with equal decimals", self.line);
        Range { low, high, decimals: decimals as u32 }
    }

    fn variable(&self, name: &str) -> Option<usize> {
        self.variables.iter().rposition(|variable| variable == name)
    }

    fn number(&self, text: &str) -> u64 {
        text.parse().unwrap_or_else(|_| self.fail(text))
    }

    fn fail(&self, text: &str) -> ! {
        panic!("line {}: `{text}` is not understood", self.line)
    }
}

fn literal(text: &str, pieces: &mut Vec<Piece>) {
    append(text.as_bytes(), pieces);
}

fn append(bytes: &[u8], pieces: &mut Vec<Piece>) {
    if let Some(Piece::Text(text)) = pieces.last_mut() {
        text.extend_from_slice(bytes);
    } else if !bytes.is_empty() {
        pieces.push(Piece::Text(bytes.to_vec()));
    }
}
