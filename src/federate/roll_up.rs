//! Sums of many series by some of their labels, and what a counter grew by in a window of time.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};

use super::windows::Window;

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
        let set = labels.map(|label| self.texts.number(label));
        *self.sums.entry(set).or_default() += value;
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

/// What a counter grew by in a window, from samples (seconds, value) before, in and behind it. What
/// it grew by between two samples is shared out evenly over the time between them, so that windows
/// side by side add up to exactly what the counter grew by, however far apart its samples are. A
/// counter that falls has been reset to 0. `None` if no two samples cover any of the window.
pub fn growth(samples: &[(f64, f64)], window: Window) -> Option<f64> {
    let (start, end) = (window.start as f64 / 1000.0, window.end as f64 / 1000.0);
    let mut growth = None;
    let mut finite = samples.iter().filter(|(_, value)| value.is_finite());
    let mut before = *finite.next()?;
    for sample in finite {
        let ((from, old), (to, new)) = (before, *sample);
        before = *sample;
        let within = to.min(end) - from.max(start);
        if within > 0.0 {
            let grown = if new < old { new } else { new - old };
            *growth.get_or_insert(0.0) += grown * within / (to - from);
        }
    }
    growth
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

    #[test]
    fn windows_side_by_side_add_up_whatever_the_scrape_interval() {
        for interval in [7, 15, 60, 61] {
            // It begins again once, and a sample is missing.
            let mut value = 1e9;
            let mut samples = Vec::new();
            let mut grown = 0.0;
            for index in 0..20u32 {
                let more = f64::from(index * index % 17) * 1000.0 + 0.5;
                value = if index == 9 { more } else { value + more };
                grown += if index == 0 { 0.0 } else { more };
                samples.push((f64::from(3 + index * interval), value));
            }
            samples.insert(5, (f64::from(3 + 4 * interval) + 1.0, f64::NAN));
            let end = u64::from(20 * interval) * 1000;
            let windows =
                (0..end).step_by(30_000).map(|start| Window { start, end: start + 30_000 });
            let sum: f64 = windows.filter_map(|window| growth(&samples, window)).sum();
            assert!((sum - grown).abs() < 1e-6 * grown, "{interval}: {sum} {grown}");
        }
        let window = Window { start: 30_000, end: 60_000 };
        assert_eq!(growth(&[], window), None);
        assert_eq!(growth(&[(40.0, 5.0)], window), None);
        assert_eq!(growth(&[(10.0, 5.0), (30.0, 9.0), (61.0, 9.0)], window), Some(0.0));
    }
}
