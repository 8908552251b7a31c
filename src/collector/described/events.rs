//! The events that a description declares beside its fields.

use toml::Spanned;

use super::faults::Compiler;
use super::file::{self, Event, Number};
use super::plan::Convert;
use crate::base::changes::{Grade, Rule, Severity, UP_DOWN, Watch};
use crate::base::leaked::{leak, leak_all};

impl Compiler {
    /// The rule of a field's event; the names in it are those of the point's tags and fields.
    pub fn rule(
        &mut self,
        point: &file::Point,
        spanned: &Spanned<Event>,
        convert: &Convert,
    ) -> Option<&'static Rule> {
        let event = spanned.get_ref();
        let is_number = !matches!(convert, Convert::Text);
        if event.watch != Watch::Change && !is_number {
            self.fault(spanned, "watch is for numbers; of a text, any change is an event");
        }
        let kind = event.kind.get_ref();
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if event.watch != Watch::Clock && (kind.is_empty() || !kind.chars().all(is_part)) {
            let why = "a kind has lower-case letters, digits and `-`, such as `bgp-session`";
            self.fault(&event.kind, why);
        }
        let severity = event.severity.unwrap_or(Severity::Info);
        let is_state = matches!(convert, Convert::Is { .. });
        let falls = event.falls.unwrap_or(is_state || event.watch == Watch::Presence);
        let grade = match &event.good {
            Some(good) => Grade::Unless(leak_all(good.get_ref().all()), severity),
            None if falls && is_number => Grade::Falls(severity),
            None => Grade::Always(severity),
        };
        let mut name = |name: &Option<Spanned<String>>| self.name_in(point, name.as_ref());
        let (ago, at, flaps) = (name(&event.ago), name(&event.at), name(&event.flaps));
        let (user, comment) = (name(&event.user), name(&event.comment));
        let message = name(&event.message);
        let mut names = |names: &[Spanned<String>]| -> &'static [&'static str] {
            let names = names.iter().map(|name| self.name_in(point, Some(name)));
            names.collect::<Vec<_>>().leak()
        };
        let (subject, key) = (names(&event.subject), names(&event.key));
        let rule = Rule {
            kind: leak(kind),
            watch: event.watch,
            words: words(convert),
            gone: event.gone.as_deref().map_or("gone", leak),
            grade,
            subject,
            key,
            ago,
            at,
            flaps,
            user,
            comment,
            message,
        };
        Some(Box::leak(Box::new(rule)))
    }

    /// A tag or a field of the point, or a word behind `=`.
    fn name_in(&mut self, point: &file::Point, name: Option<&Spanned<String>>) -> &'static str {
        let Some(name) = name else { return "" };
        let text = name.get_ref();
        let mut tags = point.tags.iter().map(|tag| tag.get_ref().name.get_ref());
        let mut fields = point.fields.iter().map(|field| field.get_ref().name.get_ref());
        let is_known = tags.any(|tag| tag == text) || fields.any(|field| field == text);
        if !is_known && !text.starts_with('=') {
            self.fault(name, format!("the point has no tag and no field `{text}`"));
        }
        leak(text)
    }
}

/// The words of the numbers that a field may have.
fn words(convert: &Convert) -> &'static str {
    match convert {
        Convert::Is { ty: Number::Integer, .. } => UP_DOWN,
        Convert::Map { words, .. } => {
            let words: Vec<String> =
                words.iter().map(|(word, number)| format!("{word} {number}")).collect();
            words.join(", ").leak()
        }
        _ => "",
    }
}
