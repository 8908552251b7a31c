//! Reads a settings file with all its faults, not only the first.

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::nearest::{may_be_shown, or_nearest};
use super::place::Written;

/// More faults than this are not listed: nobody would read them all.
const FAULTS_MAX: usize = 50;

/// What of the settings was understood, and what was not. The tables that have a fault are left
/// out, so that what follows from the fault is not called another one.
pub fn read<T: Default + DeserializeOwned>(
    written: &Written,
    mut faulty: Spanned<DeTable>,
) -> (T, Vec<String>) {
    let say = |err: &toml::de::Error| misfit(written, err);
    let mut sound = faulty.clone();
    let mut faults = Vec::new();
    loop {
        let err = match T::deserialize(Deserializer::from(faulty.clone())) {
            Ok(whole) if faults.is_empty() => return (whole, faults),
            Ok(_) => break,
            Err(err) => err,
        };
        faults.push(say(&err));
        let place = err.span().map(|span| span.start);
        let removed = place.map(|at| {
            remove(sound.get_mut(), at, true);
            remove(faulty.get_mut(), at, false)
        });
        if matches!(removed, None | Some(Removed::Nothing)) || faults.len() == FAULTS_MAX {
            return (T::default(), faults);
        }
    }
    (T::deserialize(Deserializer::from(sound)).unwrap_or_default(), faults)
}

/// What does not fit, at its place.
pub fn misfit(written: &Written, err: &toml::de::Error) -> String {
    written.at(err.span().map_or(0, |span| span.start), &with_nearest(err.message()))
}

enum Removed {
    Nothing,
    /// Something of the value itself.
    Own,
    /// Something of a table within it, or that table.
    Inner,
}

/// Removes the key, or the item of a list, that stands at that place of the text; with
/// `whole_table` the table that it is in, unless that is the file itself.
fn remove(table: &mut DeTable, at: usize, whole_table: bool) -> Removed {
    for (key, value) in table.iter_mut() {
        let removed = remove_within(value, at, whole_table);
        let entry = match removed {
            Removed::Own if value.get_ref().is_table() && whole_table => Removed::Inner,
            Removed::Own if value.get_ref().is_table() => return Removed::Inner,
            Removed::Nothing if is_at(key, at) || is_at(value, at) => Removed::Own,
            Removed::Nothing => continue,
            removed => return removed,
        };
        let key = key.clone();
        table.remove(&key);
        return entry;
    }
    Removed::Nothing
}

fn remove_within(value: &mut Spanned<DeValue>, at: usize, whole_table: bool) -> Removed {
    let array = match value.get_mut() {
        DeValue::Table(table) => return remove(table, at, whole_table),
        DeValue::Array(array) => array,
        _ => return Removed::Nothing,
    };
    for index in 0..array.len() {
        let item = &mut array.as_mut()[index];
        let is_table = item.get_ref().is_table();
        let entry = match remove_within(item, at, whole_table) {
            Removed::Own if is_table && whole_table => Removed::Inner,
            Removed::Own if is_table => return Removed::Inner,
            Removed::Nothing if is_at(item, at) => Removed::Own,
            Removed::Nothing => continue,
            removed => return removed,
        };
        let items = std::mem::replace(array, DeArray::new()).into_iter().enumerate();
        *array = items.filter(|(other, _)| *other != index).map(|(_, item)| item).collect();
        return entry;
    }
    Removed::Nothing
}

fn is_at<T>(value: &Spanned<T>, at: usize) -> bool {
    value.span().start == at || value.span().contains(&at)
}

/// serde's words about a text in the place of something else, without the text: it may be a secret
/// that stands behind the wrong key.
fn without_text(message: &str) -> String {
    match (message.split_once("string \""), message.rsplit_once("\", expected ")) {
        (Some((before, _)), Some((_, after))) => format!("{before}string, expected {after}"),
        _ => message.into(),
    }
}

/// serde's words about an unknown key, with the key that was probably meant.
fn with_nearest(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((key, known)) if message.starts_with("unknown") => {
            let nearest = or_nearest(key, known);
            let kind =
                message.split(" `").next().unwrap_or("unknown field").replace("field", "key");
            let known = known.join(", ");
            if !may_be_shown(key) {
                return format!("{kind}, which is not shown. Known here: {known}");
            }
            format!("{kind} `{key}`{nearest} Known here: {known}")
        }
        _ => {
            let message = without_text(message).trim_end().replace('\n', "; ");
            message.replace("map, expected a sequence", "one table, expected many: [[router]]")
        }
    }
}
