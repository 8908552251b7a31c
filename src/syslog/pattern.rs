//! Texts with gaps: `User '{username}' login` says what stands where in a message.

/// More gaps has no pattern.
const GAPS_MAX: usize = 8;

/// What stands in the gaps of a pattern, by their names.
pub type Found<'p, 't> = Vec<(&'p str, &'t str)>;

/// Compares a text with a pattern. A gap `{name}` takes the least that fits, and the last gap all
/// that is left. `{}` is a gap without a name.
pub fn read<'p, 't>(pattern: &'p str, text: &'t str) -> Option<Found<'p, 't>> {
    let mut found = Vec::with_capacity(GAPS_MAX);
    let (start, mut pattern) = pattern.split_once('{').unwrap_or((pattern, ""));
    let mut text = text.strip_prefix(start)?;
    while !pattern.is_empty() {
        let (name, after) = pattern.split_once('}')?;
        let (between, next) = after.split_once('{').unwrap_or((after, ""));
        let is_last = next.is_empty();
        let value = match (is_last, between.is_empty()) {
            (true, _) => text.strip_suffix(between)?,
            (false, _) => &text[..text.find(between)?],
        };
        text = &text[value.len() + between.len()..];
        if !name.is_empty() {
            found.push((name, value));
        }
        pattern = next;
    }
    text.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_take_what_stands_there() {
        for (pattern, text, expected) in [
            ("up", "up", Some(&[][..])),
            ("up", "upper", None),
            ("{a}", "", Some(&[("a", "")])),
            ("{a} is {b}", "x is y is z", Some(&[("a", "x"), ("b", "y is z")])),
            ("({a})", "(b))", Some(&[("a", "b)")])),
            ("({a})", "(b", None),
            ("if {a}, {}", "if b, c, d", Some(&[("a", "b")])),
            ("'{a}' in", "'b' in x", None),
            ("'{a}' in{}", "'b' in x", Some(&[("a", "b")])),
            ("ä{a}ö", "äüö", Some(&[("a", "ü")])),
        ] {
            assert_eq!(read(pattern, text).as_deref(), expected, "{pattern} in {text}");
        }
    }
}
