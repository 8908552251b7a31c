//! Which things a reply has told of, so that one that stands in it twice is counted once.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, RandomState};

/// Numbers of the things that were met. The keys are random, so that nobody can choose things that
/// share a number.
#[derive(Default)]
pub struct Distinct {
    numbers: HashSet<u64>,
    keys: RandomState,
}

impl Distinct {
    /// Whether the thing with these names is met for the first time in the list; one that lacks
    /// the first of them cannot be told from others, and always is.
    pub fn is_new(&mut self, list: &str, names: &[&str]) -> bool {
        names[0].is_empty() || self.numbers.insert(self.keys.hash_one((list, names)))
    }

    /// The same for a thing that has no name of its own: everything that its record says tells it
    /// from others.
    pub fn is_new_record(&mut self, list: &str, record: &impl Hash) -> bool {
        self.numbers.insert(self.keys.hash_one((list, record)))
    }
}

/// How many different things there are, by their names.
pub fn count<'a, const N: usize>(names: impl IntoIterator<Item = [&'a str; N]>) -> u64 {
    let mut met = Distinct::default();
    names.into_iter().filter(|names| met.is_new("", names)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_told_by_all_its_names() {
        let things = [["a", "b"], ["ab", ""], ["a", "b"], ["", "b"], ["", "b"], ["b", "a"]];
        assert_eq!(count(things), 5);
        let mut met = Distinct::default();
        let new = ["r1", "r2", "r1"].map(|list| met.is_new(list, &["a"]));
        assert_eq!(new, [true, true, false]);
        let records = [("r1", [1, 2]), ("r1", [1, 3]), ("r1", [1, 2]), ("r2", [1, 2])];
        let new = records.map(|(list, record)| met.is_new_record(list, &record));
        assert_eq!(new, [true, true, false, true]);
    }
}
