//! Sums of many series by some of their labels.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};

/// Texts by number, in the order in which they first came, each of them once.
#[derive(Default)]
struct Texts {
    /// By a text's hash, or the next number after it that is free.
    numbers: HashMap<u64, u32>,
    hasher: RandomState,
    /// Where each text ends in `bytes`.
    ends: Vec<usize>,
    bytes: String,
}

impl Texts {
    fn number(&mut self, text: &str) -> u32 {
        let mut hash = self.hasher.hash_one(text);
        let new = self.ends.len() as u32;
        loop {
            match self.numbers.entry(hash) {
                Entry::Vacant(free) => {
                    free.insert(new);
                    self.bytes.push_str(text);
                    self.ends.push(self.bytes.len());
                    return new;
                }
                Entry::Occupied(taken) => {
                    let number = *taken.get();
                    if span(&self.bytes, &self.ends, number) == text {
                        return number;
                    }
                }
            }
            hash = hash.wrapping_add(1);
        }
    }

    fn text(&self, number: u32) -> &str {
        span(&self.bytes, &self.ends, number)
    }
}

fn span<'a>(bytes: &'a str, ends: &[usize], number: u32) -> &'a str {
    let at = number as usize;
    let start = if at == 0 { 0 } else { ends[at - 1] };
    &bytes[start..ends[at]]
}

/// A number for each set of `N` labels. The labels' texts are kept once, however many sets have
/// them: a set takes little more than its numbers.
pub struct RollUp<const N: usize> {
    texts: Texts,
    sums: HashMap<[u32; N], f64>,
}

impl<const N: usize> Default for RollUp<N> {
    fn default() -> RollUp<N> {
        RollUp { texts: Texts::default(), sums: HashMap::new() }
    }
}

impl<const N: usize> RollUp<N> {
    pub fn add(&mut self, labels: [&str; N], value: f64) {
        let row = self.row(labels);
        self.add_to(row, value);
    }

    /// The row of these labels, which is there once something is added to it.
    pub fn row(&mut self, labels: [&str; N]) -> [u32; N] {
        labels.map(|label| self.texts.number(label))
    }

    pub fn add_to(&mut self, row: [u32; N], value: f64) {
        *self.sums.entry(row).or_default() += value;
    }

    pub fn size(&self) -> Size {
        Size { rows: self.sums.len(), text_bytes: self.texts.bytes.len() }
    }

    pub fn iter(&self) -> impl Iterator<Item = ([&str; N], f64)> {
        self.sums.iter().map(|(set, sum)| (set.map(|number| self.texts.text(number)), *sum))
    }
}

/// A number for each series, whatever labels it has; the texts are kept as in a `RollUp`.
#[derive(Default)]
pub struct Rows {
    texts: Texts,
    /// Name and value.
    labels: Vec<(u32, u32)>,
    /// Where a row's labels end, and its number.
    rows: Vec<(usize, f64)>,
}

impl Rows {
    pub fn add(&mut self, labels: &[(String, String)], value: f64) {
        for (name, text) in labels {
            let label = (self.texts.number(name), self.texts.number(text));
            self.labels.push(label);
        }
        self.rows.push((self.labels.len(), value));
    }

    pub fn size(&self) -> Size {
        Size { rows: self.rows.len(), text_bytes: self.texts.bytes.len() }
    }

    pub fn iter(&self) -> impl Iterator<Item = (impl Iterator<Item = (&str, &str)>, f64)> {
        self.rows.iter().enumerate().map(|(index, (end, value))| {
            let start = index.checked_sub(1).map_or(0, |before| self.rows[before].0);
            let text = |number| self.texts.text(number);
            let labels = self.labels[start..*end].iter();
            (labels.map(move |(name, value)| (text(*name), text(*value))), *value)
        })
    }
}

/// What is kept: rows, and their labels' texts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    pub rows: usize,
    pub text_bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_labels_are_summed() {
        let mut sums = RollUp::default();
        for (labels, value) in [(["a", "b"], 1.0), (["b", "a"], 2.0), (["a", "b"], 4.0)] {
            sums.add(labels, value);
        }
        let mut found: Vec<_> = sums.iter().collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(found, [(["a", "b"], 5.0), (["b", "a"], 2.0)]);
        assert_eq!(sums.size(), Size { rows: 2, text_bytes: 2 });
    }

    #[test]
    fn rows_keep_their_labels_apart_and_texts_once() {
        let mut rows = Rows::default();
        let labels = |labels: &[(&str, &str)]| {
            labels.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
        };
        let all: [Vec<(String, String)>; 4] = [
            labels(&[("a", "1"), ("b", "")]),
            labels(&[]),
            labels(&[("b", "1"), ("a", "é")]),
            labels(&[("a", "1"), ("b", "")]),
        ];
        for (index, labels) in all.iter().enumerate() {
            rows.add(labels, index as f64);
        }
        let owned = |(name, text): (&str, &str)| (name.to_string(), text.to_string());
        for (index, (found, value)) in rows.iter().enumerate() {
            assert_eq!((found.map(owned).collect(), value), (all[index].clone(), index as f64));
        }
        assert_eq!(rows.size(), Size { rows: 4, text_bytes: 5 });
    }
}
