//! Other programs' words, made fit for a log line or an error.

/// The first line of another's words, short enough for a log line, and without what could make it
/// look like several.
pub fn first_line(words: &str) -> String {
    let line = words.trim().lines().next().unwrap_or_default().trim();
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}
