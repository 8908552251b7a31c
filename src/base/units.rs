//! Times and sizes as people write them in settings: `30s`, `8MB`.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// A time: `500ms`, `30s`, `5m`, `1h`, `7d`. A shorter one than so many milliseconds is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time<const LEAST_MS: u64 = 0>(pub Duration);

/// An interval. With a shorter one, the program would do nothing else.
pub type Interval = Time<100>;

/// A time limit. Nothing could be done within a shorter one.
pub type Timeout = Time<10>;

/// The time that is set, or so many seconds.
pub fn or_seconds<const LEAST_MS: u64>(time: Option<Time<LEAST_MS>>, or: u64) -> Duration {
    time.map_or(Duration::from_secs(or), |time| time.0)
}

/// A size: `2048`, `64kB`, `8MB`, `1GB`; in powers of 1024, as memory is counted. One smaller than
/// `BYTES_MIN` is refused: nothing that has a size would fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub usize);

const BYTES_MIN: usize = 1024;

impl<const LEAST_MS: u64> FromStr for Time<LEAST_MS> {
    type Err = String;
    fn from_str(text: &str) -> Result<Time<LEAST_MS>, String> {
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
        if ms < LEAST_MS {
            return Err(format!("`{text}` is too short: it is at least {LEAST_MS}ms"));
        }
        Ok(Time(Duration::from_millis(ms)))
    }
}

impl FromStr for Bytes {
    type Err = String;
    fn from_str(text: &str) -> Result<Bytes, String> {
        let wrong = || format!("`{text}` is not a size such as 2048, 64kB, 8MB or 1GB");
        let (number, unit) = split(text).ok_or_else(wrong)?;
        let shift = match unit {
            "" | "B" => 0,
            "kB" | "KB" => 10,
            "MB" => 20,
            "GB" => 30,
            _ => return Err(wrong()),
        };
        let bytes = number.checked_mul(1 << shift).and_then(|n| usize::try_from(n).ok());
        match bytes.ok_or_else(wrong)? {
            bytes if bytes < BYTES_MIN => Err(format!("`{text}` is too small: it is at least 1kB")),
            bytes => Ok(Bytes(bytes)),
        }
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim_start()))
}

/// How a value is written, for the error about one that is written otherwise.
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

impl<'de, const LEAST_MS: u64> Deserialize<'de> for Time<LEAST_MS> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Time<LEAST_MS>, D::Error> {
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
        assert_eq!("90s".parse(), Ok(Time::<0>(Duration::from_secs(90))));
        assert_eq!("250 ms".parse(), Ok(Time::<0>(Duration::from_millis(250))));
        assert_eq!("0s".parse(), Ok(Time::<0>(Duration::ZERO)));
        let err = "0s".parse::<Interval>().unwrap_err();
        assert_eq!(err, "`0s` is too short: it is at least 100ms");
        assert_eq!("8MB".parse(), Ok(Bytes(8 << 20)));
        for wrong in ["", "30", "s", "-1s", "1.5s", "99999999999999999999s"] {
            let err = wrong.parse::<Time<0>>().unwrap_err();
            assert!(err.contains("is not a time such as"), "{err}");
        }
        assert_eq!("1kB".parse(), Ok(Bytes(1024)));
        assert!("8 megs".parse::<Bytes>().is_err());
        for small in ["0", "1023", "0GB"] {
            let err = small.parse::<Bytes>().unwrap_err();
            assert_eq!(err, format!("`{small}` is too small: it is at least 1kB"));
        }
    }
}
