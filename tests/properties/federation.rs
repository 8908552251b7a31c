//! Prometheus's answers against a tree of them, and windows of time that have to add up.

use perijove::federate::answer::{self, Series};
use perijove::federate::cron::Cron;
use perijove::federate::growth::Question;
use perijove::federate::windows::{Schedule, Windows};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::cases;

/// Labels and samples of a series.
type Plain = (Vec<(String, String)>, Vec<(f64, f64)>);

fn series() -> impl Strategy<Value = Vec<Plain>> {
    let name = proptest::sample::select(vec!["a", "b", "c", "__name__"]);
    let label = (name.prop_map(String::from), any::<String>());
    let value = prop_oneof![Just(f64::INFINITY), -1e18..1e18f64];
    let sample = ((0u32..1 << 30).prop_map(|ms| f64::from(ms) / 1000.0), value);
    vec((vec(label, 0..4), vec(sample, 0..5)), 0..6)
}

fn render(all: &[Plain]) -> Json {
    let one = |(labels, samples): &Plain| {
        let labels: serde_json::Map<String, Json> =
            labels.iter().map(|(name, text)| (name.clone(), text.as_str().into())).collect();
        let shown =
            |value: f64| if value.is_infinite() { "+Inf".into() } else { value.to_string() };
        let samples: Vec<Json> =
            samples.iter().map(|(time, value)| json!([time, shown(*value)])).collect();
        json!({"metric": labels, "values": samples, "extra": {"x": [null, 1.5, "y"]}})
    };
    let result: Vec<Json> = all.iter().map(one).collect();
    json!({"status": "success", "data": {"resultType": "matrix", "result": result}})
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn an_answer_is_read_as_it_was_meant(all in series(), pretty: bool) {
        let json = render(&all);
        let text = match pretty {
            true => serde_json::to_string_pretty(&json),
            false => serde_json::to_string(&json),
        };
        let mut found: Vec<Plain> = Vec::new();
        let wanted = ["b", "a"];
        let mut each = |series: &Series| {
            let labels = wanted.iter().zip(&series.labels);
            let labels = labels.map(|(name, text)| (name.to_string(), text.clone())).collect();
            found.push((labels, series.samples.clone()));
            Ok(())
        };
        let text = text.unwrap();
        let rest = answer::read(text.as_bytes(), 1 << 30, &wanted, &mut each).unwrap();
        prop_assert_eq!(rest.series as usize, all.len());
        let last = |labels: &[(String, String)], wanted: &str| {
            let of = labels.iter().rev().find(|(name, _)| name == wanted);
            (wanted.to_string(), of.map_or(String::new(), |(_, text)| text.clone()))
        };
        let expected: Vec<Plain> = all
            .iter()
            .map(|(labels, samples)| {
                (wanted.iter().map(|name| last(labels, name)).collect(), samples.clone())
            })
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_damaged_answer_is_an_error_or_an_answer(
        all in series(),
        cuts in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end: prop::sample::Index,
    ) {
        let mut bytes = render(&all).to_string().into_bytes();
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(end.index(bytes.len()) + 1);
        let _ = answer::read(&bytes[..], 1 << 30, &["a"], &mut |_| Ok(()));
        let _ = answer::read(&bytes[..], 64, &[], &mut |_| Ok(()));
    }

    #[test]
    fn windows_side_by_side_add_up_to_the_whole(
        steps in vec((1u32..200_000, 0u32..1_000_000), 2..40),
        every_s in 5u64..1000,
        offset_ms in 5_000u64..200_000,
    ) {
        let (mut time, mut samples) = (10_000_000u32, Vec::new());
        for (step, value) in steps {
            time += step;
            samples.push((f64::from(time) / 1000.0, f64::from(value)));
        }
        let schedule = Schedule::Every { ms: every_s * 1000 };
        let windows = Windows { schedule, longest_ms: 300_000 };
        let (mut start, end) = (windows.last_end(8_000_000).unwrap(), u64::from(time) + 1_000_000);
        let mut parts = 0.0;
        while start < end {
            let window = windows.after(start).unwrap();
            start = window.end;
            let question = Question::new(&windows, window, offset_ms);
            let at = |sample: &(f64, f64)| (sample.0 * 1000.0).round() as u64;
            let before = samples.iter().rfind(|sample| at(sample) <= question.since);
            let there = samples.iter().copied();
            let there = there.filter(|s| (question.since + 1..=question.until).contains(&at(s)));
            let growth = question.growth(&there.collect::<Vec<_>>());
            parts += growth.bytes.unwrap_or_default();
            if let (Some(first), Some((_, old))) = (growth.first, before) {
                parts += first.after(*old).bytes.unwrap_or_default();
            }
        }
        let grown = |pair: &[(f64, f64)]| {
            let ((_, old), (_, new)) = (pair[0], pair[1]);
            if new < old { new } else { new - old }
        };
        let whole: f64 = samples.windows(2).map(grown).sum();
        prop_assert!((parts - whole).abs() <= 1e-6 * whole.max(1.0), "{} {}", parts, whole);
    }

    #[test]
    fn ticks_before_and_after_agree(
        line in proptest::sample::select(vec![
            "*/7 * * * * *", "0 0 * * * *", "30 5,35 2-4 * * *", "0 0 0 1 * 1", "@weekly",
            "59 59 23 31 12 ?", "0 0 12 29 2 *", "1/13 2/17 3/5 * jan,jul sun",
        ]),
        at in 0u64..4_000_000_000_000,
    ) {
        let cron: Cron = line.parse().unwrap();
        let seconds = (at / 1000) as i64;
        let next = cron.next(seconds).unwrap();
        prop_assert!(next > seconds);
        prop_assert_eq!(cron.last(next), Some(next));
        if let Some(last) = cron.last(seconds) {
            prop_assert!(last <= seconds && cron.next(last).unwrap() == next);
        }
        let windows = Windows { schedule: Schedule::Cron(cron), longest_ms: 3_600_000 };
        if let Some(window) = windows.last(at) {
            prop_assert!(window.start < window.end && window.end <= at);
            prop_assert!(window.ms() <= 3_600_000 || windows.after(window.start) == Some(window));
            prop_assert_eq!(windows.after(window.start), Some(window));
        }
    }
}
