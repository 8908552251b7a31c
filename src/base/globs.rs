//! Regular expressions as lists of names with `*`, for programs that understand no more. A list
//! stands for all names that the expression matches, and perhaps for others.

/// A longer list is no list.
const GLOBS_MAX: usize = 64;

#[derive(Debug, PartialEq)]
pub struct Globs {
    pub globs: Vec<String>,
    /// Whether they may stand for more than the expression's names.
    pub is_wider: bool,
    /// Whether the expression matches only names that begin with what it says.
    pub is_anchored: bool,
}

/// `None` for an expression that has more to it. Without `^` and `$`, a glob stands for whole names
/// nevertheless; with `open_end`, for what begins with it, unless there is a `$`.
pub fn globs(regex: &str, open_end: bool) -> Option<Globs> {
    let mut reader = Reader { rest: regex, is_wider: false, is_anchored: true, open_end };
    let found = reader.either(true)?;
    if !reader.rest.is_empty() {
        return None;
    }
    let mut globs: Vec<String> = Vec::new();
    for mut glob in found {
        while glob.contains("**") {
            glob = glob.replace("**", "*");
        }
        if !globs.contains(&glob) {
            globs.push(glob);
        }
    }
    let Reader { is_wider, is_anchored, .. } = reader;
    (!globs.iter().any(String::is_empty)).then_some(Globs { globs, is_wider, is_anchored })
}

struct Reader<'a> {
    rest: &'a str,
    is_wider: bool,
    is_anchored: bool,
    open_end: bool,
}

impl Reader<'_> {
    fn take(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The alternatives up to the end of the group, or of everything.
    fn either(&mut self, at_top: bool) -> Option<Vec<String>> {
        let mut all = Vec::new();
        loop {
            if at_top {
                self.is_anchored &= self.take("^");
            }
            let mut one = self.sequence()?;
            let ends = at_top && self.take("$");
            if at_top && self.open_end && !ends {
                one.iter_mut().for_each(|glob| glob.push('*'));
            }
            all.append(&mut one);
            if all.len() > GLOBS_MAX {
                return None;
            }
            if !self.take("|") {
                return Some(all);
            }
        }
    }

    fn sequence(&mut self) -> Option<Vec<String>> {
        let mut all = vec![String::new()];
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')', '$']) {
            let part = self.repeated()?;
            let with = |one: &String| part.iter().map(move |p| format!("{one}{p}")).collect();
            all = all.iter().flat_map(|one| -> Vec<String> { with(one) }).collect();
            if all.len() > GLOBS_MAX {
                return None;
            }
        }
        Some(all)
    }

    fn repeated(&mut self) -> Option<Vec<String>> {
        let is_any = self.rest.starts_with('.');
        let mut part = self.one()?;
        if self.take("?") {
            part.push(String::new());
            return Some(part);
        }
        let is_star = self.take("*");
        let mut is_repeated = is_star || self.take("+");
        if self.take("{") {
            self.rest = &self.rest[self.rest.find('}')? + 1..];
            is_repeated = true;
        }
        if is_repeated {
            self.is_wider |= !(is_any && is_star);
            part = vec!["*".into()];
        } else {
            self.is_wider |= is_any;
        }
        Some(part)
    }

    fn one(&mut self) -> Option<Vec<String>> {
        let mut characters = self.rest.chars();
        let first = characters.next()?;
        self.rest = characters.as_str();
        match first {
            '(' => {
                self.take("?:");
                let all = self.either(false)?;
                self.take(")").then_some(all)
            }
            '[' => self.class(),
            '\\' => {
                let escaped = characters.next()?;
                self.rest = characters.as_str();
                match escaped {
                    'd' | 'w' => {
                        self.is_wider = true;
                        Some(vec!["*".into()])
                    }
                    _ => is_punctuation(escaped).then(|| vec![escaped.into()]),
                }
            }
            '.' => Some(vec!["*".into()]),
            _ => is_plain(first).then(|| vec![first.into()]),
        }
    }

    /// `[abc1-3]`, from behind the bracket.
    fn class(&mut self) -> Option<Vec<String>> {
        let (inside, rest) = self.rest.split_once(']')?;
        self.rest = rest;
        let inside: Vec<char> = inside.chars().collect();
        let mut all = Vec::new();
        let mut at = 0;
        while at < inside.len() {
            let first = inside[at];
            if !is_plain(first) && first != '.' {
                return None;
            }
            match inside.get(at + 1..at + 3) {
                Some(['-', last]) => {
                    all.extend((first..=*last).map(String::from));
                    at += 3;
                }
                _ => {
                    all.push(first.into());
                    at += 1;
                }
            }
        }
        (!all.is_empty()).then_some(all)
    }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_:/ ".contains(c)
}

fn is_punctuation(c: char) -> bool {
    ".-_:/".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_list_is_one() {
        for (regex, open_end, expected, is_wider, is_anchored) in [
            ("mx1", false, &["mx1"][..], false, false),
            ("^mx1$", true, &["mx1"], false, true),
            ("^(ge|xe|et|ae)", true, &["ge*", "xe*", "et*", "ae*"], false, true),
            (
                "^ge-0/0/[0-2]$|^lo0",
                true,
                &["ge-0/0/0", "ge-0/0/1", "ge-0/0/2", "lo0*"],
                false,
                true,
            ),
            ("^ge|lo0", true, &["ge*", "lo0*"], false, false),
            (
                r"^mx[12]\.example\.net$",
                false,
                &["mx1.example.net", "mx2.example.net"],
                false,
                true,
            ),
            (r"r(?:a|b[1-3])?", false, &["ra", "rb1", "rb2", "rb3", "r"], false, false),
            (r"switch\d+", false, &["switch*"], true, false),
            (r"^.*", true, &["*"], false, true),
            (r"^ge-.", true, &["ge-*"], true, true),
            (r"[a-z]+[0-9]{2}", false, &["*"], true, false),
        ] {
            let globs = expected.iter().map(|glob| glob.to_string()).collect();
            let found = super::globs(regex, open_end);
            assert_eq!(found, Some(Globs { globs, is_wider, is_anchored }), "{regex}");
        }
        for regex in [
            "",
            "^",
            "a(",
            r"\bmx",
            "[^a]b",
            "[a-z][a-z]",
            "a&b",
            "a|",
            "(?i)mx",
            "ä",
            "(a$|b)",
            "a^",
        ] {
            assert_eq!(globs(regex, false), None, "{regex}");
        }
    }
}
