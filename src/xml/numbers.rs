//! Numbers as devices print them.

use std::str::FromStr;

/// A number, however it is printed: `1514`, `-12.3`, `1,234,567`, `12%`, `12 percent`,
/// `34 packets`, and where decimals are wanted `-Inf` or `- Inf`, as the power of no light is in
/// dBm.
pub fn number<T: FromStr>(text: &str) -> Option<T> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let text = COUNTED.iter().find_map(|unit| text.strip_suffix(unit)).unwrap_or(text);
    let text = text.trim_end();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    if text.eq_ignore_ascii_case("- inf") {
        return "-inf".parse().ok();
    }
    ungrouped(text)?.parse().ok()
}

/// What readings count, and the units that each of them has without a prefix.
const COUNTED: &[&str] = &["%", "percent", "packets", "frames", "bytes", "octets", "pps", "bps"];

/// A number with decimals, which may have the unit behind it that its reading has without one.
pub fn decimal(text: &str) -> Option<f64> {
    const OWN: &[&str] = &["mA", "mW", "dBm", "V"];
    let own = |text| with_unit(text).filter(|(_, unit)| OWN.contains(unit));
    number(text).or_else(|| own(text).map(|(number, _)| number))
}

/// A number with its unit behind it: `100%`, `15.4W`, `1.5 kW`, `5,430 RPM`, `-12.3 dBm`,
/// `- Inf dBm`. It is in watts, volts or amperes where the text has thousands or thousandths of
/// them.
pub fn quantity(text: &str) -> Option<f64> {
    let (number, unit) = with_unit(text)?;
    let prefix = unit.strip_suffix(['W', 'V', 'A']).unwrap_or_default();
    let scale = match prefix {
        "M" => 1e6,
        "k" | "K" => 1e3,
        "m" => 1e-3,
        "u" | "µ" => 1e-6,
        _ => 1.0,
    };
    Some(number * scale)
}

/// A temperature in degrees Celsius: `36 degrees C / 96 degrees F`, `36°C`, `96 degrees F`, `36`.
pub fn celsius(text: &str) -> Option<f64> {
    let (number, unit) = with_unit(text)?;
    let unit = unit.trim_start_matches("degrees").trim_start_matches('°').trim_start();
    let is_fahrenheit = unit.starts_with(['F', 'f']);
    Some(if is_fahrenheit { (number - 32.0) / 1.8 } else { number })
}

/// Memory in MiB: `16330 MB`, `16 GB`, `2,048 MB (2048 MB installed)`, and `16330` alone.
pub fn mebibytes(text: &str) -> Option<f64> {
    let (number, unit) = with_unit(text)?;
    let scale = match unit.bytes().next().map(|byte| byte.to_ascii_lowercase()) {
        Some(b't') => 1024.0 * 1024.0,
        Some(b'g') => 1024.0,
        Some(b'k') => 1.0 / 1024.0,
        Some(b'b') => 1.0 / 1024.0 / 1024.0,
        Some(b'm') | None => 1.0,
        Some(_) => return None,
    };
    Some(number * scale)
}

/// A number and what stands behind it: words, a percent sign or nothing.
fn with_unit(text: &str) -> Option<(f64, &str)> {
    let (number, unit) = match infinity(text) {
        Some(unit) => ("-inf", unit),
        None => {
            let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | ',' | '-' | '+'));
            text.split_at(end.unwrap_or(text.len()))
        }
    };
    // "10.3.2" and "5a7" are no numbers.
    let unit = unit.trim_start();
    let is_unit =
        unit.is_empty() || unit.starts_with(|c: char| c.is_alphabetic() || "%°".contains(c));
    if is_unit { Some((self::number(number)?, unit)) } else { None }
}

/// A span of time, in seconds: `1:02:03`, `2d 03:04`, `1w2d 03:04:05`, `34 days, 18 hours`.
pub fn duration(text: &str) -> Option<u64> {
    let mut seconds: u64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        if rest[end..].starts_with(':') {
            let clock = clock(rest, seconds > 0)?;
            return seconds.checked_add(clock);
        }
        let number: u64 = rest[..end].parse().ok()?;
        let unit = rest[end..].trim_start();
        let end = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        seconds = seconds.checked_add(number.checked_mul(unit_s(&unit[..end])?)?)?;
        rest = unit[end..].trim_start_matches([' ', ',']);
    }
    (!text.is_empty()).then_some(seconds)
}

/// `1:02:03`; behind days also `1:02`, which alone might be minutes and seconds.
fn clock(text: &str, follows_days: bool) -> Option<u64> {
    let (hours, rest) = text.split_once(':')?;
    let (minutes, seconds) = match rest.split_once(':') {
        Some(parts) => parts,
        None if follows_days => (rest, "0"),
        None => return None,
    };
    let [hours, minutes, seconds] = [hours, minutes, seconds].map(|part| part.parse::<u64>().ok());
    hours?.checked_mul(3600)?.checked_add(minutes? * 60 + seconds?)
}

fn unit_s(unit: &str) -> Option<u64> {
    let units: [(&[&str], u64); 5] = [
        (&["w", "week", "weeks"], 7 * 86400),
        (&["d", "day", "days"], 86400),
        (&["h", "hr", "hrs", "hour", "hours"], 3600),
        (&["m", "min", "mins", "minute", "minutes"], 60),
        (&["s", "sec", "secs", "second", "seconds"], 1),
    ];
    let is = |word: &&str| unit.eq_ignore_ascii_case(word);
    units.iter().find(|(words, _)| words.iter().any(is)).map(|(_, seconds)| *seconds)
}

/// What stands behind `-Inf` or `- Inf`.
fn infinity(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('-')?.trim_start();
    let (word, rest) = rest.split_at_checked("inf".len())?;
    let ends = !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
    (word.eq_ignore_ascii_case("inf") && ends).then_some(rest)
}

/// A number without the commas between its thousands; `None` where they are elsewhere.
fn ungrouped(text: &str) -> Option<String> {
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    let (first, groups) = whole.split_once(',')?;
    let digits = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = first.strip_prefix(['-', '+']).unwrap_or(first);
    let fits = matches!(unsigned.len(), 1..=3)
        && digits(unsigned)
        && groups.split(',').all(|group| group.len() == 3 && digits(group));
    fits.then(|| text.replace(',', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated_in_threes() {
        for (text, expected) in [
            ("1,234", Some(1234)),
            ("12,345,678", Some(12_345_678)),
            ("-1,234", Some(-1234)),
            ("1234,567", None),
            ("1,23", None),
            ("1,2345", None),
            (",123", None),
            ("1,,234", None),
            ("1,234,", None),
            ("1,234.5", None),
        ] {
            assert_eq!(number::<i64>(text), expected, "{text}");
        }
        assert_eq!(
            (number("12%"), number("12.5 %"), number::<u64>("%")),
            (Some(12), Some(12.5), None)
        );
        let counted = ["1,234 packets", "12 bytes", "5 pps", "7bps", "6 kbytes", "packets"];
        let expected = [Some(1234), Some(12), Some(5), Some(7), None, None];
        assert_eq!(counted.map(number::<u64>), expected);
        assert_eq!(number::<f64>("1,234.5"), Some(1234.5));
        assert_eq!(number::<f64>("1.234,567"), None);
        assert_eq!(number::<u64>("18,446,744,073,709,551,615"), Some(u64::MAX));
        assert_eq!(number::<u64>("18,446,744,073,709,551,616"), None);
    }

    #[test]
    fn a_unit_says_how_much_a_number_is() {
        for (text, expected) in [
            ("1.5 kW", Some(1500.0)),
            ("250 mV", Some(0.25)),
            ("10A", Some(10.0)),
            ("1,200 W", Some(1200.0)),
            ("100 Watts", Some(100.0)),
            ("5,430 RPM", Some(5430.0)),
            ("4 %", Some(4.0)),
            ("12 percent", Some(12.0)),
            ("- RPM", None),
            ("10.3.2", None),
        ] {
            assert_eq!(quantity(text), expected, "{text}");
        }
        for (text, expected) in [
            ("36 degrees C / 96 degrees F", Some(36.0)),
            ("36°C", Some(36.0)),
            ("36", Some(36.0)),
            ("212 degrees F", Some(100.0)),
            ("212°F", Some(100.0)),
            ("Absent", None),
        ] {
            assert_eq!(celsius(text), expected, "{text}");
        }
        for (text, expected) in [
            ("16330 MB", Some(16330.0)),
            ("16,330", Some(16330.0)),
            ("16 GB", Some(16384.0)),
            ("2048KB", Some(2.0)),
            ("1048576 bytes", Some(1.0)),
            ("2048 MB (2048 MB installed)", Some(2048.0)),
            ("20 furlongs", None),
        ] {
            assert_eq!(mebibytes(text), expected, "{text}");
        }
        for (text, expected) in [
            ("33.490 mA", Some(33.49)),
            ("0.6980 mW", Some(0.698)),
            ("- Inf dBm", Some(f64::NEG_INFINITY)),
            ("3.2 V", Some(3.2)),
            ("7.5", Some(7.5)),
            ("0.7 W", None),
            ("0.7 uW", None),
        ] {
            assert_eq!(decimal(text), expected, "{text}");
        }
    }

    #[test]
    fn spans_of_time() {
        for (text, expected) in [
            ("1:02:03", Some(3723)),
            ("2d 03:04", Some(2 * 86400 + 3 * 3600 + 240)),
            ("1w2d 03:04:05", Some(9 * 86400 + 3 * 3600 + 245)),
            ("34 days, 18 hours, 43 minutes, 47 seconds", Some(3_005_027)),
            ("34 Days, 1 Hour", Some(34 * 86400 + 3600)),
            ("30 sec", Some(30)),
            ("10:05", None),
            ("3600", None),
            ("Never", None),
            ("2024-01-02 03:04:05 UTC", None),
            ("1:02:03 ago", None),
            ("1:2:", None),
            ("", None),
            ("99999999999999999999 days", None),
            ("9999999999999999999:00:00", None),
        ] {
            assert_eq!(duration(text), expected, "{text}");
        }
    }

    #[test]
    fn no_light_is_minus_infinity() {
        for text in ["-Inf", "- Inf", "- inf", "-INF"] {
            assert_eq!(number::<f64>(text), Some(f64::NEG_INFINITY), "{text}");
            assert_eq!(number::<i64>(text), None, "{text}");
            for unit in ["", " dBm", "dBm"] {
                let fits = unit != "dBm";
                let expected = fits.then_some(f64::NEG_INFINITY);
                assert_eq!(quantity(&format!("{text}{unit}")), expected, "{text}{unit}");
            }
        }
        assert_eq!((quantity("- Info"), quantity("Inf"), quantity("-")), (None, None, None));
    }
}
