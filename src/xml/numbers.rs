//! Numbers as devices print them.

use std::str::FromStr;

/// A number, however it is printed: `1514`, `-12.3`, `1,234,567`, and where decimals are
/// wanted `-Inf` or `- Inf`, as the power of no light is in dBm.
pub fn number<T: FromStr>(text: &str) -> Option<T> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    if text.eq_ignore_ascii_case("- inf") {
        return "-inf".parse().ok();
    }
    ungrouped(text)?.parse().ok()
}

/// A number with its unit behind it: `16330 MB`, `100%`, `15.4W`, `-12.3 dBm`, `- Inf dBm`,
/// `36 degrees C / 96 degrees F`.
pub fn quantity(text: &str) -> Option<f64> {
    let (number, unit) = match infinity(text) {
        Some(unit) => ("-inf", unit),
        None => {
            let end = text.find(|c: char| !matches!(c, '0'..='9' | '.' | ',' | '-' | '+'));
            text.split_at(end.unwrap_or(text.len()))
        }
    };
    // "10.3.2" and "5a7" are no numbers; a unit is words, a percent sign or nothing.
    let unit = unit.trim_start();
    let is_unit = unit.is_empty() || unit.starts_with(|c: char| c.is_alphabetic() || c == '%');
    if is_unit { self::number(number) } else { None }
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
        assert_eq!(number::<f64>("1,234.5"), Some(1234.5));
        assert_eq!(number::<f64>("1.234,567"), None);
        assert_eq!(number::<u64>("18,446,744,073,709,551,615"), Some(u64::MAX));
        assert_eq!(number::<u64>("18,446,744,073,709,551,616"), None);
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
