//! Which changes of a reading are events, and how severe. A field's definition says so, beside its
//! name, unit and help; `event` compares the points of one poll with those of the polls before.

use std::fmt;

use serde::Deserialize;

/// How much a change matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Things got better, or somebody changed them on purpose.
    Info,
    /// Something went down, or was started again.
    Warning,
    /// Something broke.
    Error,
}

impl Severity {
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Error];

    pub fn word(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Which change of a field is an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watch {
    /// Another value than before. A point that is missing says nothing.
    #[default]
    Change,
    /// A number of seconds that is lower than before: what it counts from began again.
    Restart,
    /// The field's point came, changed or went: one that whole replies lack has the value 0.
    Presence,
    /// The field's point came; that it goes says nothing.
    Appearance,
    /// No event: the field is the router's clock, in seconds since 1970.
    Clock,
}

/// How severe a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    Always(Severity),
    /// Less is worse: of this severity if the value fell, and info if it rose.
    Falls(Severity),
    /// Info if the new value is one of these words, and otherwise of this severity.
    Unless(&'static [&'static str], Severity),
    /// As a tag of the point says: info if the value fell to 0, or if the tag is none of the words.
    ByTag(&'static str, &'static [(&'static str, Severity)]),
}

/// What a change of a field is called, and what else of the point the event takes.
#[derive(Debug)]
pub struct Rule {
    /// `interface-state`, `bgp-session`, …
    pub kind: &'static str,
    pub watch: Watch,
    /// The words of the numbers that the field may have: `down 0, up 1`. Others are shown as
    /// numbers.
    pub words: &'static str,
    /// What a point that went is: `gone`, `cleared`.
    pub gone: &'static str,
    pub grade: Grade,
    /// The tags, or fields, that say what has changed; all tags, if it is empty. One that begins
    /// with `=` is the word behind it.
    pub subject: &'static [&'static str],
    /// The tags, or fields, that tell one point from another, if that is more than the subject.
    pub key: &'static [&'static str],
    /// The field with the time since the change, in seconds.
    pub ago: &'static str,
    /// The field with the time of the change by the router's clock, in seconds since 1970.
    pub at: &'static str,
    /// The field that counts such changes.
    pub flaps: &'static str,
    /// The tags, or fields, that the event's fields of these names are taken from.
    pub user: &'static str,
    pub comment: &'static str,
    pub message: &'static str,
}

impl Rule {
    /// Any change is an event of severity info.
    pub const fn of(kind: &'static str) -> Rule {
        Rule {
            kind,
            watch: Watch::Change,
            words: "",
            gone: "gone",
            grade: Grade::Always(Severity::Info),
            subject: &[],
            key: &[],
            ago: "",
            at: "",
            flaps: "",
            user: "",
            comment: "",
            message: "",
        }
    }

    /// 1 is up, and 0 is down, which is a warning.
    pub const fn up_down(kind: &'static str) -> Rule {
        Rule { words: UP_DOWN, grade: Grade::Falls(Severity::Warning), ..Rule::of(kind) }
    }

    /// A session that is up (1) or down (0), or gone, which are warnings.
    pub const fn session(kind: &'static str) -> Rule {
        Rule { watch: Watch::Presence, ..Rule::up_down(kind) }
    }

    /// A time in seconds since something was started: that it was started again is a warning.
    pub const fn restart(kind: &'static str) -> Rule {
        Rule { watch: Watch::Restart, grade: Grade::Always(Severity::Warning), ..Rule::of(kind) }
    }

    /// The router's clock.
    pub const CLOCK: Rule = Rule { watch: Watch::Clock, ..Rule::of("") };

    /// The severity of a change between two numbers that are shown as these words. `tag` finds a
    /// tag's value.
    pub fn severity<'a>(
        &self,
        from: f64,
        to: f64,
        word: &str,
        tag: impl FnOnce(&str) -> &'a str,
    ) -> Severity {
        match self.grade {
            Grade::Always(severity) => severity,
            Grade::Falls(severity) if to < from => severity,
            Grade::Falls(_) => Severity::Info,
            Grade::Unless(good, _) if good.contains(&word) => Severity::Info,
            Grade::Unless(_, severity) => severity,
            Grade::ByTag(..) if to == 0.0 => Severity::Info,
            Grade::ByTag(name, severities) => {
                let value = tag(name);
                let found = severities.iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
                found.map_or(Severity::Info, |(_, severity)| *severity)
            }
        }
    }

    /// The worst that a change of it can be.
    pub fn worst(&self) -> Severity {
        match self.grade {
            Grade::Always(severity) | Grade::Falls(severity) | Grade::Unless(_, severity) => {
                severity
            }
            Grade::ByTag(_, severities) => {
                severities.iter().map(|(_, severity)| *severity).max().unwrap_or(Severity::Info)
            }
        }
    }

    /// The word of a number.
    pub fn word(&self, number: f64) -> Option<&'static str> {
        let pairs = self.words.trim_end_matches('.').split(", ");
        let found = pairs
            .filter_map(|pair| pair.rsplit_once(' '))
            .find(|(_, value)| value.parse::<f64>().is_ok_and(|value| value == number));
        found.map(|(word, _)| word)
    }
}

pub const UP_DOWN: &str = "down 0, up 1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_follow_the_change() {
        let none = |_: &str| "";
        let state = Rule::up_down("x");
        assert_eq!(state.severity(1.0, 0.0, "down", none), Severity::Warning);
        assert_eq!(state.severity(0.0, 1.0, "up", none), Severity::Info);
        let grade = Grade::Unless(&["Up"], Severity::Error);
        let words = Rule { grade, ..Rule::of("x") };
        assert_eq!(words.severity(2.0, 1.0, "Up", none), Severity::Info);
        assert_eq!(words.severity(1.0, 2.0, "New", none), Severity::Error);
        let grade = Grade::ByTag("class", &[("Major", Severity::Error)]);
        let alarm = Rule { grade, ..Rule::of("x") };
        assert_eq!(alarm.severity(0.0, 1.0, "set", |_| "major"), Severity::Error);
        assert_eq!(alarm.severity(0.0, 1.0, "set", |_| "Minor"), Severity::Info);
        assert_eq!(alarm.severity(1.0, 0.0, "cleared", |_| "Major"), Severity::Info);
    }

    #[test]
    fn numbers_have_words() {
        let rule =
            Rule { words: "Down 0, Up 1, One-way 3, route reflector client 7.", ..Rule::of("x") };
        let words = [0.0, 1.0, 3.0, 7.0, 9.0].map(|number| rule.word(number));
        let expected =
            [Some("Down"), Some("Up"), Some("One-way"), Some("route reflector client"), None];
        assert_eq!(words, expected);
        assert_eq!(Rule::of("x").word(0.0), None);
    }
}
