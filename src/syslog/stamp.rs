//! When a line says that it was written.
//!
//! BSD's form has neither a zone nor, mostly, a year. A line is on its way for less than some
//! minutes, so both follow from when it came: zones differ by quarters of an hour.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Zones lie at multiples of this.
const ZONE_STEP: i128 = Duration::from_secs(15 * 60).as_nanos() as i128;
/// None is further from UTC.
const ZONE_MAX: i128 = Duration::from_secs(14 * 3600).as_nanos() as i128;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stamp {
    at: At,
    /// The step in which it counts: 1 s, 1 ms, …
    step: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    /// In nanoseconds since 1970.
    Known(i128),
    /// On the router's clock, whose zone is unknown.
    Wall { year: Option<i32>, month: Month, day: u8, time: Time },
}

impl Stamp {
    /// RFC 5424 section 6.2.3, which takes it from RFC 3339.
    pub fn read_rfc3339(text: &str) -> Option<Stamp> {
        let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        Some(Stamp { at: At::Known(time.unix_timestamp_nanos()), step: step(digits) })
    }

    /// `Mmm dd hh:mm:ss`, with or without milliseconds and the year behind it, or RFC 3339, as some
    /// relays write it; and what comes behind.
    pub fn take_bsd(text: &str) -> (Option<Stamp>, &str) {
        if text.starts_with(|c: char| c.is_ascii_digit())
            && let Some((word, rest)) = text.split_once(' ')
            && let Some(stamp) = Stamp::read_rfc3339(word)
        {
            return (Some(stamp), rest);
        }
        match take_wall(text) {
            Some((stamp, rest)) => (Some(stamp), rest),
            None => (None, text),
        }
    }

    /// When that was, in nanoseconds since 1970, and how exactly it says so. `None` if that cannot
    /// be told: the line came at another time than it says, whatever the router's zone.
    pub fn time_ns(&self, came_ns: u64) -> Option<(u64, Duration)> {
        let came = i128::from(came_ns);
        let time = match self.at {
            At::Known(time) => time,
            At::Wall { year, month, day, time } => {
                let came_year = OffsetDateTime::from_unix_timestamp_nanos(came).ok()?.year();
                let years = year.map_or(came_year - 1..=came_year + 1, |year| year..=year);
                let at = |year| {
                    let date = Date::from_calendar_date(year, month, day).ok()?;
                    let at = PrimitiveDateTime::new(date, time).assume_utc();
                    Some(at.unix_timestamp_nanos())
                };
                let near = years.filter_map(at).min_by_key(|at| (at - came).abs())?;
                let zone = (near - came + ZONE_STEP / 2).div_euclid(ZONE_STEP) * ZONE_STEP;
                if zone.abs() > ZONE_MAX {
                    return None;
                }
                near - zone
            }
        };
        Some((u64::try_from(time).ok()?, self.step))
    }
}

fn step(digits: usize) -> Duration {
    Duration::from_nanos(10u64.pow(9 - digits.min(9) as u32))
}

fn take_wall(text: &str) -> Option<(Stamp, &str)> {
    let month = MONTHS.iter().position(|month| text.starts_with(month))?;
    let month = Month::try_from(month as u8 + 1).ok()?;
    let rest = text.get(3..)?.strip_prefix(' ')?.trim_start();
    let (day, rest) = rest.split_once(' ')?;
    let (clock, rest) = rest.trim_start().split_once(' ')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut numbers = clock.splitn(3, ':').map(number);
    let (hour, minute, second) = (numbers.next()??, numbers.next()??, numbers.next()??);
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: u32 = format!("{fraction:0<9}").parse().ok()?;
    let time = Time::from_hms_nano(hour, minute, second, nanoseconds).ok()?;
    let (year, rest) = match rest.split_once(' ') {
        Some((year, behind)) if is_year(year) => (year.parse().ok(), behind),
        _ => (None, rest),
    };
    let at = At::Wall { year, month, day: number(day)?, time };
    Some((Stamp { at, step: step(fraction.len()) }, rest))
}

fn is_year(word: &str) -> bool {
    word.len() == 4
        && (word.starts_with("19") || word.starts_with("20"))
        && number(&word[2..]).is_some()
}

/// One or two digits.
fn number(text: &str) -> Option<u8> {
    let is_number = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(text: &str) -> u64 {
        OffsetDateTime::parse(text, &Rfc3339).unwrap().unix_timestamp_nanos() as u64
    }

    /// The time of a stamp that came at that time.
    fn time(stamp: &str, came: &str) -> Option<(u64, Duration)> {
        let text = format!("{stamp} rest");
        let (stamp, rest) = Stamp::take_bsd(&text);
        assert_eq!(rest, "rest");
        stamp.unwrap().time_ns(ns(came))
    }

    #[test]
    fn zone_and_year_follow_from_when_a_line_came() {
        let second = Duration::from_secs(1);
        for (stamp, came, expected) in [
            ("Mar 14 13:19:49", "2026-03-14T13:19:50Z", "2026-03-14T13:19:49Z"),
            ("Mar  4 13:19:49", "2026-03-04T12:19:50Z", "2026-03-04T12:19:49Z"),
            ("Mar 14 13:19:49", "2026-03-14T07:49:50Z", "2026-03-14T07:49:49Z"),
            // A clock that is wrong by two minutes, on either side.
            ("Mar 14 13:21:50", "2026-03-14T13:19:50Z", "2026-03-14T13:21:50Z"),
            ("Mar 14 13:17:50", "2026-03-14T23:19:50Z", "2026-03-14T23:17:50Z"),
            // The year turns.
            ("Dec 31 23:59:59", "2027-01-01T00:00:01Z", "2026-12-31T23:59:59Z"),
            ("Jan  1 09:00:00", "2026-12-31T23:00:01Z", "2026-12-31T23:00:00Z"),
            ("Feb 29 00:00:00", "2028-02-29T00:00:01Z", "2028-02-29T00:00:00Z"),
            ("Mar 14 13:19:49 2026", "2026-03-14T13:19:50Z", "2026-03-14T13:19:49Z"),
        ] {
            assert_eq!(time(stamp, came), Some((ns(expected), second)), "{stamp}");
        }
        let milliseconds = time("Mar 14 13:19:49.468 2026", "2026-03-14T12:19:50Z");
        let step = Duration::from_millis(1);
        assert_eq!(milliseconds, Some((ns("2026-03-14T12:19:49.468Z"), step)));
        // RFC 3339 says everything itself.
        let old = time("2020-11-04T07:05:36+01:00", "2026-03-14T12:19:50Z");
        assert_eq!(old, Some((ns("2020-11-04T06:05:36Z"), second)));
    }

    #[test]
    fn a_time_that_cannot_be_is_none() {
        for (stamp, came) in [
            ("Mar 16 13:19:49", "2026-03-14T13:19:50Z"),
            ("Mar 14 13:19:49 2025", "2026-03-14T13:19:50Z"),
            ("Feb 30 13:19:49", "2026-03-01T13:19:50Z"),
            ("Feb 29 13:19:49 2026", "2026-03-01T13:19:50Z"),
            ("1969-12-31T23:59:59Z", "2026-03-14T13:19:50Z"),
        ] {
            assert_eq!(time(stamp, came), None, "{stamp}");
        }
        for text in [
            "Mar 14 25:19:49 mx1",
            "Mar 14 13:19 mx1",
            "Mar 14 13:19:49:1 mx1",
            "Mar x 13:19:49 mx1",
            "Mär 14 13:19:49 mx1",
            "Mar 14 13:19:49.1234567890 mx1",
            "Mar 14 13:19:49.+12 mx1",
            "March 14 13:19:49 mx1",
            "2026-03-14 13:19:49 mx1",
            "",
        ] {
            assert_eq!(Stamp::take_bsd(text), (None, text));
        }
    }
}
