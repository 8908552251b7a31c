//! The commits of the configuration: who, when, how, why, and by setting what.

use serde::Deserialize;

use crate::base::changes::{Rule, Watch};
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, info, text, watched};
use crate::xml::items::Scope;
use crate::xml::shapes::Seconds;

settings! {
    pub struct CommitsSettings {
        /// Ask for what the last commit changed, too. Secrets in it are masked.
        difference: bool,
    }
}

pub struct Commits {
    wants_difference: bool,
    difference: String,
}

static CLOCK: Rule = Rule::CLOCK;
static COMMIT: Rule = Rule {
    watch: Watch::Appearance,
    subject: &["client"],
    // The number of a commit changes with each that follows.
    key: &["made_time", "user", "client", "comment"],
    at: "made_time",
    user: "user",
    comment: "comment",
    message: "difference",
    ..Rule::of("commit")
};

static ROUTER: Measurement<Uptime> = Measurement::new(|| Definition {
    name: "commits",
    help: "The clock that the times of commits are by.",
    tags: &[],
    fields: vec![watched(
        &CLOCK,
        gauge("router_time", "s", "The router's clock, since 1970.", |u| {
            u.current_time.date_time?.seconds
        }),
    )],
});

static HISTORY: Measurement<Commit> = Measurement::new(|| Definition {
    name: "commit",
    help: "A commit of the configuration; 0 is the last one.",
    tags: &["number"],
    fields: vec![
        info("user", "Who made it.", |c| Some(&c.user)),
        info("client", "How: cli, netconf, …", |c| Some(&c.client)),
        watched(
            &COMMIT,
            gauge("made_time", "s", "When it was made, since 1970.", |c| c.date_time?.seconds),
        ),
        text("comment", "What the user and the router say about it.", |c| Some(&c.log)),
        text("difference", "What the last one changed, without secrets.", |c| Some(&c.difference)),
    ],
});

impl Commits {
    pub fn new(settings: CommitsSettings) -> Commits {
        Commits { wants_difference: settings.difference, difference: String::new() }
    }
}

impl Collector for Commits {
    const NAME: &'static str = "commits";
    const HELP: &'static str =
        "The commits of the configuration: who, when, how, why, and by setting what.";
    const PERMISSIONS: &'static [&'static str] = &["view", "view-configuration"];
    const QUERIES: &'static [Query<Commits>] = &[
        Query {
            rpc: Rpc::Once("<get-system-uptime-information/>"),
            command: "show system uptime",
            roots: &["system-uptime-information"],
            items: &[item::<_, Uptime>("system-uptime-information")],
        },
        Query {
            // The base of the comparison is in <compare>.
            rpc: Rpc::When(
                "<get-rollback-information><rollback>0</rollback><compare>1</compare>\
                 </get-rollback-information>",
                |commits| commits.wants_difference,
            ),
            command: "show system rollback 0 compare 1",
            roots: &["rollback-information"],
            items: &[item::<_, Difference>("configuration-output")],
        },
        Query {
            rpc: Rpc::Once("<get-commit-information/>"),
            command: "show system commit",
            roots: &["commit-information"],
            items: &[item::<_, Commit>("commit-history")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&ROUTER, &HISTORY];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Uptime {
    #[serde(default)]
    current_time: CurrentTime,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct CurrentTime {
    date_time: Option<Seconds>,
}

impl Item<Commits> for Uptime {
    fn points(self, _: &mut Commits, _: &Scope, points: &mut Points) {
        points.push(&ROUTER, &[], &self);
    }
}

/// What `show system rollback compare` prints.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Difference(String);

impl From<String> for Difference {
    fn from(text: String) -> Difference {
        Difference(text)
    }
}

impl Item<Commits> for Difference {
    fn points(self, commits: &mut Commits, _: &Scope, _: &mut Points) {
        commits.difference = masked(&self.0);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Commit {
    sequence_number: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    client: String,
    date_time: Option<Seconds>,
    #[serde(default)]
    log: String,
    #[serde(default)]
    comment: String,
    #[serde(skip)]
    difference: String,
}

impl Item<Commits> for Commit {
    fn points(mut self, commits: &mut Commits, _: &Scope, points: &mut Points) {
        if !self.comment.is_empty() {
            let between = if self.log.is_empty() { "" } else { "; " };
            self.log += &format!("{between}{}", self.comment);
        }
        if self.sequence_number == "0" {
            self.difference = std::mem::take(&mut commits.difference);
        }
        let number = self.sequence_number.clone();
        points.push(&HISTORY, &[&number], &self);
    }
}

/// So much of a difference is looked at; less is kept of any text.
const DIFFERENCE_BYTES_MAX: usize = 16 << 10;
/// Statements whose last word is a secret, also where the router does not mark it.
const SECRETS: &[&str] = &[
    "secret",
    "password",
    "encrypted-password",
    "plain-text-password",
    "key",
    "authentication-key",
    "pre-shared-key",
    "ascii-text",
    "hexadecimal",
    "community",
    "simple-password",
    "passphrase",
    "authentication-password",
    "privacy-password",
];
const MASK: &str = "/* SECRET-DATA */";

/// The text without secrets: values that the router marks, values in one of Junos's encodings
/// (`$9$`, `$6$`, …), and the values of statements that have secrets.
fn masked(text: &str) -> String {
    let text = crate::base::text::shortened(text.trim(), DIFFERENCE_BYTES_MAX);
    let lines: Vec<String> = text.lines().map(masked_line).collect();
    lines.join("\n")
}

fn masked_line(line: &str) -> String {
    let is_marked = line.contains("SECRET-DATA");
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_secret = |word: &str| SECRETS.contains(&word.trim_end_matches(';'));
    let names = words.iter().take(words.len().saturating_sub(1)).any(|word| is_secret(word));
    let is_encoded = |word: &&str| {
        let word = word.trim_start_matches('"');
        let mut parts = word.split('$');
        word.starts_with('$')
            && parts.nth(1).is_some_and(|kind| !kind.is_empty())
            && parts.next().is_some()
    };
    if !is_marked && !names && !words.iter().any(is_encoded) {
        return line.to_string();
    }
    // What stands before the value: the sign, and the statement's own words.
    let value = words.iter().position(|word| word.starts_with('"') || is_encoded(word));
    let secret = words.iter().position(|word| is_secret(word)).map(|at| at + 1);
    let last = words.iter().position(|word| word.ends_with(';') || word.starts_with("##"));
    let kept = [value, secret, last].into_iter().flatten().min().unwrap_or(1).min(words.len());
    let start =
        words.get(kept).map_or(line.len(), |word| word.as_ptr().addr() - line.as_ptr().addr());
    format!("{} {MASK};", line[..start].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        for (line, shown) in [
            ("[edit system]", "[edit system]"),
            ("+   host-name r1;", "+   host-name r1;"),
            ("-      secret \"$9$abc\"; ## SECRET-DATA", "-      secret /* SECRET-DATA */;"),
            ("+ encrypted-password \"$6$x$y\";", "+ encrypted-password /* SECRET-DATA */;"),
            ("+ something \"$8$aes256-gcm$x\";", "+ something /* SECRET-DATA */;"),
            ("+ something $9$x;", "+ something /* SECRET-DATA */;"),
            ("+ authentication-key plain;", "+ authentication-key /* SECRET-DATA */;"),
            ("+ community public {", "+ community /* SECRET-DATA */;"),
            ("+ name words here; ## SECRET-DATA", "+ name words /* SECRET-DATA */;"),
            ("+ price $5;", "+ price $5;"),
        ] {
            assert_eq!(masked(line), shown.trim_start(), "{line}");
        }
        let long = "x y;\n".repeat(10_000);
        assert!(masked(&long).len() <= DIFFERENCE_BYTES_MAX);
    }
}
