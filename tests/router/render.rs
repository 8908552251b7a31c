//! Writing a template: the values at one moment.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::options::Clock;
use crate::template::{AgeForm, DEPTH_MAX, Piece, Range, Sum, Template, Times, Value};

/// Where the simulated time starts: 2025-01-01 00:00:00 UTC.
const START_EPOCH_S: u64 = 1_735_689_600;
pub const HUGE_BYTES: u64 = 50_000_000;

/// The time and randomness that one reply is written with.
#[derive(Clone, Copy)]
pub struct Moment {
    pub ms: u64,
    pub seed: u64,
}

impl Moment {
    /// The moment of the `polls`th poll of a request.
    pub fn of(clock: Clock, polls: u64, seed: u64) -> Moment {
        let ms = match clock {
            Clock::Fixed { start, step } => (start + step * polls) * 1000,
            Clock::Real => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let now_ms = now.map_or(0, |now| now.as_millis() as u64);
                now_ms.saturating_sub(START_EPOCH_S * 1000)
            }
        };
        Moment { ms, seed }
    }

    fn seconds(self) -> u64 {
        self.ms / 1000
    }
}

/// A writer that knows how much it was given, for replies of a wanted size.
pub trait Counted {
    fn bytes(&self) -> u64;
}

impl Template {
    /// Writes the reply; a `huge` one until it has 50 MB, by going on with its first repeat.
    pub fn write(
        &self,
        moment: Moment,
        huge: bool,
        output: &mut (impl Write + Counted),
    ) -> io::Result<()> {
        let hash = mix(moment.seed);
        let mut writer =
            Writer { moment, not_numbers: self.not_numbers, huge, index: [0; DEPTH_MAX], output };
        writer.body(&self.body, hash)
    }
}

struct Writer<'a, W: Write + Counted> {
    moment: Moment,
    not_numbers: bool,
    huge: bool,
    index: [u64; DEPTH_MAX],
    output: &'a mut W,
}

impl<W: Write + Counted> Writer<'_, W> {
    fn body(&mut self, body: &[Piece], hash: u64) -> io::Result<()> {
        for piece in body {
            match piece {
                Piece::Text(text) => self.output.write_all(text)?,
                Piece::Value { salt, value } => self.value(value, mix(hash ^ salt))?,
                Piece::Repeat { variable, times, body } => match times {
                    Times::Count(count) => self.repeat(*variable, *count, body, hash)?,
                    Times::Condition { variable, modulus, order, than, is } => {
                        let rest = self.index[*variable] % modulus;
                        if (rest.cmp(than) == *order) == *is {
                            self.body(body, hash)?;
                        }
                    }
                },
            }
        }
        Ok(())
    }

    fn repeat(&mut self, slot: usize, count: u64, body: &[Piece], hash: u64) -> io::Result<()> {
        let huge = std::mem::take(&mut self.huge);
        let mut number = 0;
        while number < count || (huge && self.output.bytes() < HUGE_BYTES) {
            self.index[slot] = number;
            number += 1;
            self.body(body, mix(hash ^ number))?;
        }
        Ok(())
    }

    fn value(&mut self, value: &Value, hash: u64) -> io::Result<()> {
        match value {
            Value::Counter { .. }
            | Value::Gauge(_)
            | Value::Fixed(_)
            | Value::Fahrenheit(_)
            | Value::Age(_, AgeForm::Seconds | AgeForm::Epoch)
                if self.not_numbers =>
            {
                self.output.write_all(b"N/A")
            }
            Value::Number(sum) => self.number(self.sum(sum)),
            Value::Hex(sum) => write!(self.output, "{:x}", self.sum(sum)),
            Value::Counter { per_1000_s } => {
                // Half to one and a half of the rate, and up to three days' start.
                let rate = per_1000_s / 2 + hash % (per_1000_s + 1);
                let start = (hash >> 8) % (per_1000_s * 260 + 1);
                self.number(
                    start + (u128::from(rate) * u128::from(self.moment.ms) / 1_000_000) as u64,
                )
            }
            Value::Gauge(range) => self.decimal(range.at(mix(hash ^ self.moment.seconds())), range),
            Value::Fixed(range) => self.decimal(range.at(hash), range),
            Value::Fahrenheit(range) => {
                let celsius = range.at(mix(hash ^ self.moment.seconds()));
                self.decimal(celsius * 9 / 5 + 32, range)
            }
            Value::Age(range, form) => self.age(range, *form, hash),
            Value::Ago { since_ms } => {
                let now_ms = START_EPOCH_S * 1000 + self.moment.ms;
                self.number(now_ms.saturating_sub(*since_ms) / 1000)
            }
            Value::Pick(list) => {
                let choice = &list[(hash % list.len() as u64) as usize];
                let number = self.not_numbers && choice.parse::<f64>().is_ok();
                self.output.write_all(if number { b"N/A" } else { choice.as_bytes() })
            }
            Value::Nth(sum, list) => {
                let choice = &list[(self.sum(sum) % list.len() as u64) as usize];
                self.output.write_all(choice.as_bytes())
            }
            Value::InterfaceName(sum) => self.interface_name(self.sum(sum)),
            Value::Mac(sum) => {
                let number = self.sum(sum);
                let [.., a, b, c] = number.to_be_bytes();
                write!(self.output, "02:00:5e:{a:02x}:{b:02x}:{c:02x}")
            }
            Value::Ipv4(base, sum) => {
                let [a, b, c, d] = base.wrapping_add(self.sum(sum) as u32).to_be_bytes();
                write!(self.output, "{a}.{b}.{c}.{d}")
            }
        }
    }

    fn sum(&self, sum: &Sum) -> u64 {
        let term = |(number, variable): &(u64, Option<usize>)| {
            number * variable.map_or(1, |variable| self.index[variable])
        };
        sum.0.iter().map(term).sum()
    }

    /// 48 ports a line card, 12 a PIC, one in four of them faster.
    fn interface_name(&mut self, port: u64) -> io::Result<()> {
        self.output.write_all(if port % 4 == 3 { b"et-" } else { b"xe-" })?;
        self.number(port / 48)?;
        self.output.write_all(b"/")?;
        self.number(port / 12 % 4)?;
        self.output.write_all(b"/")?;
        self.number(port % 12)
    }

    fn age(&mut self, range: &Range, form: AgeForm, hash: u64) -> io::Result<()> {
        let (low, span) = (range.low as u64, (range.high - range.low) as u64);
        let age = low + (hash + self.moment.seconds()) % span;
        let event = (START_EPOCH_S + self.moment.seconds()).saturating_sub(age);
        let (days, hours, minutes, seconds) =
            (age / 86_400, age / 3600 % 24, age / 60 % 60, age % 60);
        match form {
            AgeForm::Seconds => self.number(age),
            AgeForm::Epoch => self.number(event),
            AgeForm::Date => {
                let (year, month, day) = date(event / 86_400);
                let (hour, minute, second) = (event / 3600 % 24, event / 60 % 60, event % 60);
                write!(
                    self.output,
                    "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC"
                )
            }
            AgeForm::Long => write!(
                self.output,
                "{days} days, {hours} hours, {minutes} minutes, {seconds} seconds"
            ),
            AgeForm::Short if days == 0 => {
                write!(self.output, "{hours:02}:{minutes:02}:{seconds:02}")
            }
            AgeForm::Short if days < 7 => write!(self.output, "{days}d {hours:02}:{minutes:02}"),
            AgeForm::Short => {
                write!(self.output, "{}w{}d {hours:02}:{minutes:02}", days / 7, days % 7)
            }
        }
    }

    fn decimal(&mut self, value: i64, range: &Range) -> io::Result<()> {
        if value < 0 {
            self.output.write_all(b"-")?;
        }
        let (value, unit) = (value.unsigned_abs(), 10u64.pow(range.decimals));
        self.number(value / unit)?;
        if range.decimals == 0 {
            return Ok(());
        }
        write!(self.output, ".{:0width$}", value % unit, width = range.decimals as usize)
    }

    /// Digits without the formatter, which would take half of a large reply's time.
    fn number(&mut self, mut number: u64) -> io::Result<()> {
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return self.output.write_all(&digits[start..]);
            }
        }
    }
}

impl Range {
    fn at(&self, hash: u64) -> i64 {
        self.low + (hash % (self.high - self.low + 1) as u64) as i64
    }
}

/// Splitmix64's mixer.
pub fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    // Half of it: sums with a time must not overflow.
    (number ^ (number >> 31)) >> 1
}

/// Days since 1970 as a date of the Gregorian calendar (Hinnant's days algorithm).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}
