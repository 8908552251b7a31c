//! Cron lines of six fields, seconds first, in UTC: `*/30 * * * * *`, `0 0 6 * * mon-fri`,
//! `@hourly`. The days of the week are 0 to 6 from Sunday. Where both the day of the month and the
//! day of the week are given, either will do, as cron has had it for ever. Pure: the time is an
//! argument.

use std::str::FromStr;

use time::{Date, OffsetDateTime};

/// When something is due: a bit for each value that each field allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both kinds of day are given.
    either_day: bool,
}

const DAY_SECONDS: i64 = 86_400;
/// The 29th of February is that far from the next at most.
const DAYS_MAX: usize = 366 * 8;

const MONTHS: &[&str] =
    &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl FromStr for Cron {
    type Err = String;

    fn from_str(text: &str) -> Result<Cron, String> {
        let line = match text.trim() {
            "@yearly" | "@annually" => "0 0 0 1 1 *",
            "@monthly" => "0 0 0 1 * *",
            "@weekly" => "0 0 0 * * 0",
            "@daily" | "@midnight" => "0 0 0 * * *",
            "@hourly" => "0 0 * * * *",
            line => line,
        };
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [seconds, minutes, hours, days, months, weekdays] = fields[..] else {
            return Err(format!(
                "`{text}` is no cron line: it has six fields, second, minute, hour, day, month, \
                 day of the week, or is one of @hourly, @daily, @weekly, @monthly, @yearly"
            ));
        };
        let is_free = |field: &str| field == "*" || field == "?";
        let cron = Cron {
            seconds: bits(seconds, 0, 59, &[])?,
            minutes: bits(minutes, 0, 59, &[])?,
            hours: bits(hours, 0, 23, &[])?,
            days: bits(days, 1, 31, &[])?,
            months: bits(months, 1, 12, MONTHS)?,
            weekdays: bits(weekdays, 0, 6, WEEKDAYS)?,
            either_day: !is_free(days) && !is_free(weekdays),
        };
        if cron.next(0).is_none() {
            return Err(format!("`{text}` never comes"));
        }
        Ok(cron)
    }
}

/// The values that a field allows: a list of `*`, `7`, `1-5`, each with or without `/step`.
fn bits(field: &str, least: u64, most: u64, names: &[&str]) -> Result<u64, String> {
    let wrong = || format!("`{field}` is no list of values from {least} to {most}");
    let value = |text: &str| {
        let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = named.map(|at| at as u64 + least).or_else(|| text.parse().ok());
        number.filter(|number| (least..=most).contains(number)).ok_or_else(wrong)
    };
    let mut bits = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<usize>().map_err(|_| wrong())?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" || range == "?" => (least, most),
            Some((from, to)) => (value(from)?, value(to)?),
            // `5/15` is from 5 on.
            None if step.is_some() => (value(range)?, most),
            None => (value(range)?, value(range)?),
        };
        if from > to || step == Some(0) {
            return Err(wrong());
        }
        (from..=to).step_by(step.unwrap_or(1)).for_each(|value| bits |= 1 << value);
    }
    Ok(bits)
}

impl Cron {
    /// The first time after `after`, in seconds since 1970.
    pub fn next(&self, after: i64) -> Option<i64> {
        let (mut day, mut from) = split(after + 1)?;
        for _ in 0..DAYS_MAX {
            if self.has_day(day)
                && let Some(second) = (from..DAY_SECONDS).find(|second| self.has_time(*second))
            {
                return Some(day.midnight().assume_utc().unix_timestamp() + second);
            }
            (day, from) = (day.next_day()?, 0);
        }
        None
    }

    /// The last time at or before `at`.
    pub fn last(&self, at: i64) -> Option<i64> {
        let (mut day, mut to) = split(at)?;
        for _ in 0..DAYS_MAX {
            if self.has_day(day)
                && let Some(second) = (0..=to).rev().find(|second| self.has_time(*second))
            {
                return Some(day.midnight().assume_utc().unix_timestamp() + second);
            }
            (day, to) = (day.previous_day()?, DAY_SECONDS - 1);
        }
        None
    }

    fn has_day(&self, day: Date) -> bool {
        let month = self.months >> u8::from(day.month()) & 1 == 1;
        let of_month = self.days >> day.day() & 1 == 1;
        let of_week = self.weekdays >> day.weekday().number_days_from_sunday() & 1 == 1;
        let either = of_month || of_week;
        month && if self.either_day { either } else { of_month && of_week }
    }

    fn has_time(&self, second: i64) -> bool {
        self.hours >> (second / 3600) & 1 == 1
            && self.minutes >> (second / 60 % 60) & 1 == 1
            && self.seconds >> (second % 60) & 1 == 1
    }
}

/// The day, and the second of it.
fn split(seconds: i64) -> Option<(Date, i64)> {
    let date = OffsetDateTime::from_unix_timestamp(seconds).ok()?.date();
    Some((date, seconds.rem_euclid(DAY_SECONDS)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::format_description::well_known::Rfc3339;

    fn seconds(text: &str) -> i64 {
        OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339).unwrap().unix_timestamp()
    }

    #[test]
    fn times_before_and_after() {
        for (line, at, last, next) in [
            ("*/30 * * * * *", "2026-03-01T12:00:30", "2026-03-01T12:00:30", "2026-03-01T12:01:00"),
            ("30 0 * * * *", "2026-12-31T23:59:59", "2026-12-31T23:00:30", "2027-01-01T00:00:30"),
            ("30 0 11 * * *", "2026-03-01T11:00:29", "2026-02-28T11:00:30", "2026-03-01T11:00:30"),
            ("@weekly", "2026-03-04T00:00:00", "2026-03-01T00:00:00", "2026-03-08T00:00:00"),
            (
                "0 0 6 * * mon-fri",
                "2026-03-06T06:00:00",
                "2026-03-06T06:00:00",
                "2026-03-09T06:00:00",
            ),
            (
                "0 5/20 8,20 ? JAN *",
                "2026-06-01T00:00:00",
                "2026-01-31T20:45:00",
                "2027-01-01T08:05:00",
            ),
            // Either the 13th or a Friday.
            ("0 0 0 13 * 5", "2026-03-12T00:00:00", "2026-03-06T00:00:00", "2026-03-13T00:00:00"),
            ("0 0 0 */2 * 5", "2026-03-06T00:00:00", "2026-03-06T00:00:00", "2026-03-07T00:00:00"),
            ("0 0 0 29 2 *", "2097-01-01T00:00:00", "2096-02-29T00:00:00", "2104-02-29T00:00:00"),
        ] {
            let cron: Cron = line.parse().unwrap();
            assert_eq!(cron.last(seconds(at)), Some(seconds(last)), "{line}");
            assert_eq!(cron.next(seconds(at)), Some(seconds(next)), "{line}");
        }
    }

    #[test]
    fn what_is_no_cron_line() {
        for line in [
            "",
            "* * * * *",
            "* * * * * * *",
            "60 * * * * *",
            "* * * 0 * *",
            "* * * * * 7",
            "5-1 * * * * *",
            "*/0 * * * * *",
            "* * * * foo *",
            "@every 5s",
            "-1 * * * * *",
            "0 0 0 30 2 *",
        ] {
            assert!(line.parse::<Cron>().is_err(), "{line}");
        }
    }
}
