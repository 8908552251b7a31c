//! Text as mdoc(7) wants it: a sentence begins a line, lines are short, and what roff would take
//! for its own is escaped.

const COLUMNS: usize = 78;

pub fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('…', "...").replace(['“', '”'], "\"");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// A macro's argument: quoted where it has spaces, and never taken for a macro.
pub fn argument(text: &str) -> String {
    let text = escaped(text).replace('"', "\\(dq");
    if text.contains(' ') || text.is_empty() { format!("\"{text}\"") } else { text }
}

/// A paragraph; what is between backticks is bold.
pub fn paragraph(text: &str) -> String {
    let mut out = String::new();
    for sentence in sentences(text) {
        let mut line = String::new();
        for word in sentence.split_whitespace() {
            if !line.is_empty() && line.len() + 1 + word.len() > COLUMNS {
                out += &finished(&line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line += word;
        }
        out += &finished(&line);
    }
    bold(&out)
}

fn finished(line: &str) -> String {
    escaped(line) + "\n"
}

fn sentences(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for word in text.split_whitespace() {
        let last = all.last_mut().unwrap();
        if !last.is_empty() {
            last.push(' ');
        }
        *last += word;
        let ends = word.trim_end_matches([')', '"', '`']);
        if ends.ends_with(['.', '!', '?']) {
            all.push(String::new());
        }
    }
    all.retain(|sentence| !sentence.is_empty());
    all
}

fn bold(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 1 { format!("\\fB{part}\\fR") } else { part.into() })
        .collect()
}

/// The key and the value of a line of the shipped settings file, if it has one.
pub fn setting(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix('#').filter(|line| !line.starts_with([' ', '[']))?;
    line.split_once(" = ")
}
