//! Times and sizes as people write them in settings: `30s`, `8MB`.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A time: `500ms`, `30s`, `5m`, `1h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

/// A size: `512`, `64kB`, `8MB`, `1GB`; in powers of 1024, as memory is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub usize);

impl Time {
    pub const fn seconds(seconds: u64) -> Time {
        Time(Duration::from_secs(seconds))
    }
}

impl FromStr for Time {
    type Err = String;
    fn from_str(text: &str) -> Result<Time, String> {
        let wrong = || format!("`{text}` is not a time such as 500ms, 30s, 5m, 1h or 7d");
        let (number, unit) = split(text).ok_or_else(wrong)?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let ms = number.checked_mul(unit_ms).ok_or_else(wrong)?;
        Ok(Time(Duration::from_millis(ms)))
    }
}

impl FromStr for Bytes {
    type Err = String;
    fn from_str(text: &str) -> Result<Bytes, String> {
        let wrong = || format!("`{text}` is not a size such as 512, 64kB, 8MB or 1GB");
        let (number, unit) = split(text).ok_or_else(wrong)?;
        let shift = match unit {
            "" | "B" => 0,
            "kB" | "KB" => 10,
            "MB" => 20,
            "GB" => 30,
            _ => return Err(wrong()),
        };
        let bytes = number.checked_mul(1 << shift).and_then(|n| usize::try_from(n).ok());
        bytes.map(Bytes).ok_or_else(wrong)
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

/// What a value is written as, for the one who wrote something else.
struct Written<T>(&'static str, PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for Written<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.0)
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
        from.deserialize_str(Written("a time such as \"500ms\", \"30s\" or \"5m\"", PhantomData))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        from.deserialize_str(Written("a size such as \"64kB\" or \"8MB\"", PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        assert_eq!("90s".parse(), Ok(Time::seconds(90)));
        assert_eq!("250 ms".parse(), Ok(Time(Duration::from_millis(250))));
        assert_eq!("8MB".parse(), Ok(Bytes(8 << 20)));
        for wrong in ["", "30", "s", "-1s", "1.5s", "99999999999999999999s"] {
            let err = wrong.parse::<Time>().unwrap_err();
            assert!(err.contains("is not a time such as"), "{err}");
        }
        assert!("8 megs".parse::<Bytes>().is_err());
    }
}
