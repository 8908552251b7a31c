//! Other programs' words, made fit for a log line or an error.

/// The first line of another's words, short enough for a log line, and without what could make it
/// look like several.
pub fn first_line(words: &str) -> String {
    let line = words.trim().lines().next().unwrap_or_default().trim();
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The beginning of a text: at most so many bytes, and whole characters.
pub fn shortened(text: &str, bytes_max: usize) -> &str {
    let fits = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=text.len().min(bytes_max)).rev().find(fits);
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_shortened_between_characters() {
        assert_eq!(shortened("Zürich", 3), "Zü");
        assert_eq!(shortened("Zürich", 2), "Z");
        assert_eq!((shortened("Zürich", 0), shortened("Zürich", 9)), ("", "Zürich"));
    }
}
