//! Text from other programs, made safe for a log line or an error.

/// The most bytes of another program's text in an error.
pub const ERROR_BYTES_MAX: usize = 512;

/// The first line of a text, safe for a log and at most `ERROR_BYTES_MAX` bytes long.
pub fn first_line(words: &str) -> String {
    let line = words.trim_start().lines().next().unwrap_or_default();
    safe(line.trim_end(), ERROR_BYTES_MAX)
}

/// A text as one line of at most `bytes_max` bytes (3 or more), ending with `…` if it was cut.
/// A character that could forge a second line, drive a terminal, or hide or reorder what
/// follows is written as its code: `\n`, `\u{1b}`, `\u{202e}`.
pub fn safe(words: &str, bytes_max: usize) -> String {
    const CUT: char = '…';
    let mut line = String::with_capacity(words.len().min(bytes_max));
    // How much of the line fits before the `…`.
    let mut kept = 0;
    for c in words.chars() {
        if is_deceptive(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
        if line.len() > bytes_max {
            line.truncate(kept);
            line.push(CUT);
            break;
        }
        if line.len() + CUT.len_utf8() <= bytes_max {
            kept = line.len();
        }
    }
    line
}

/// Control characters (ESC and the C1 set among them), line and paragraph separators, and
/// Unicode's marks of direction, characters without width, and tags.
fn is_deceptive(c: char) -> bool {
    let is_hidden = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}');
    c.is_control() || is_hidden
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
    fn words_cannot_forge_a_line_or_drive_a_terminal() {
        for (words, shown) in [
            ("", ""),
            (" \n syntax error \r\nmore", "syntax error"),
            ("größer – naïve \\ \"x\"", "größer – naïve \\ \"x\""),
            ("7\x1b[31m\x07\x7f\u{9b}2J", "7\\u{1b}[31m\\u{7}\\u{7f}\\u{9b}2J"),
            ("a\u{202e}b\u{200b}c\u{feff}d\u{2066}", "a\\u{202e}b\\u{200b}c\\u{feff}d\\u{2066}"),
            ("a\u{2028}ERROR\u{85}x\tb", "a\\u{2028}ERROR\\u{85}x\\tb"),
        ] {
            assert_eq!(first_line(words), shown);
        }
        assert_eq!(safe("7\nERROR forged\r", 100), "7\\nERROR forged\\r");
    }

    #[test]
    fn words_are_cut_at_a_character_and_say_so() {
        assert_eq!(safe("abcdefgh", 8), "abcdefgh");
        assert_eq!(safe("abcdefghi", 8), "abcde…");
        assert_eq!(safe("ääää", 7), "ää…");
        assert_eq!(safe("abcd\x1b", 9), "abcd…");
        let long = first_line(&"ü\x1b".repeat(4 << 20));
        assert!(long.len() <= ERROR_BYTES_MAX && long.ends_with('…'), "{}", long.len());
    }

    #[test]
    fn a_text_is_shortened_between_characters() {
        assert_eq!(shortened("Zürich", 3), "Zü");
        assert_eq!(shortened("Zürich", 2), "Z");
        assert_eq!((shortened("Zürich", 0), shortened("Zürich", 9)), ("", "Zürich"));
    }
}
