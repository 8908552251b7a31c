//! Sums of many series by some of their labels, and what a counter grew by in a window of time.

use std::collections::HashMap;
use std::sync::Arc;

use super::windows::Window;

/// A number for each set of `N` labels. The labels' texts are kept once, however many sets have
/// them: a set takes little more than its numbers.
pub struct RollUp<const N: usize> {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    sums: HashMap<[u32; N], f64>,
}

impl<const N: usize> Default for RollUp<N> {
    fn default() -> RollUp<N> {
        RollUp { numbers: HashMap::new(), texts: Vec::new(), sums: HashMap::new() }
    }
}

impl<const N: usize> RollUp<N> {
    pub fn add(&mut self, labels: [&str; N], value: f64) {
        let set = labels.map(|label| self.number(label));
        *self.sums.entry(set).or_default() += value;
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let (number, text) = (self.texts.len() as u32, Arc::<str>::from(text));
        self.texts.push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    pub fn len(&self) -> usize {
        self.sums.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = ([&str; N], f64)> {
        self.sums.iter().map(|(set, sum)| (set.map(|number| &*self.texts[number as usize]), *sum))
    }
}

/// What a counter grew by in a window, from samples (seconds, value) before, in and behind it. What
/// it grew by between two samples is shared out evenly over the time between them, so that windows
/// side by side add up to exactly what the counter grew by, however far apart its samples are. A
/// counter that falls has begun again at 0. `None` where no two samples tell of the window.
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
