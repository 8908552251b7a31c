//! The queue before an output: what goes in comes out in order, or is counted as dropped.

use std::time::{Duration, Instant};

use perijove::output::queue::{Bounds, Queue};
use perijove::output::spool::SpoolConfig;
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Records of these lengths.
    Push(Vec<usize>),
    Take,
    Acknowledge,
    /// The output does not get on.
    Lag,
    Sync,
    /// The program ends, and is started again: only with a spool.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => vec(0..40usize, 0..8).prop_map(Step::Push),
        3 => Just(Step::Take),
        3 => Just(Step::Acknowledge),
        1 => Just(Step::Lag),
        1 => Just(Step::Sync),
        1 => Just(Step::Restart),
    ]
}

/// What is known to have happened to the records, numbered from 0 as they were pushed.
#[derive(Default)]
struct Model {
    pushed: u64,
    /// The numbers of those that came out.
    out: Vec<u64>,
    /// How many of these were acknowledged.
    acknowledged: usize,
    /// What earlier runs dropped.
    dropped: u64,
}

impl Model {
    /// A record carries its number, and is as long as it is told.
    fn push(&mut self, queue: &Queue, lengths: &[usize]) {
        let mut records = String::new();
        for length in lengths {
            records += &format!("{} {}\n", self.pushed, "x".repeat(*length));
            self.pushed += 1;
        }
        let source = self.pushed % 3;
        queue.push(&source.to_string(), records.as_bytes(), Duration::ZERO);
    }

    /// Takes a chunk, if there is one: it is within its bounds or a single record.
    fn take(&mut self, queue: &Queue, bounds: &Bounds) {
        let level = queue.level();
        if level.points + level.spooled_points == 0 {
            return;
        }
        let chunk = queue.take().expect("the level says that there are points");
        let text = std::str::from_utf8(&chunk.bytes).unwrap();
        let records: Vec<&str> = text.split_terminator('\n').collect();
        assert_eq!(records.len() as u64, chunk.points);
        assert!(text.ends_with('\n'));
        let fits = text.len() <= bounds.chunk_bytes_max
            && chunk.points as usize <= bounds.chunk_points_max;
        assert!(fits || chunk.points == 1, "{} points, {} bytes", chunk.points, text.len());
        for record in records {
            let (number, xs) = record.split_once(' ').unwrap();
            assert!(xs.bytes().all(|byte| byte == b'x'), "{record}");
            self.out.push(number.parse().unwrap());
        }
    }

    fn check(&self, queue: &Queue, bounds: &Bounds) {
        let in_order = self.out.is_sorted_by(|a, b| a < b);
        assert!(in_order, "{:?}", self.out);
        let bytes = queue.level().bytes;
        // One chunk may stand alone whatever its size, and one is on its way.
        let most = bounds.queue_bytes_max.max(bounds.chunk_bytes_max) + bounds.chunk_bytes_max + 50;
        assert!(bytes <= most, "{bytes} of {most} bytes");
    }
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (1..6usize, 10..100usize, 50..300usize).prop_map(|(points, bytes, all)| Bounds {
        chunk_points_max: points,
        chunk_bytes_max: bytes,
        queue_bytes_max: all,
        flush_interval: Duration::ZERO,
    })
}

/// Does the steps, then takes the rest; every record came out or was counted as dropped.
fn run(bounds: &Bounds, spool: Option<&SpoolConfig>, steps: &[Step]) {
    let open = || Queue::new("test", bounds.clone(), spool).unwrap();
    let (mut queue, mut model) = (open(), Model::default());
    for step in steps {
        match step {
            Step::Push(lengths) => model.push(&queue, lengths),
            Step::Take if model.acknowledged == model.out.len() => model.take(&queue, bounds),
            Step::Take => {}
            Step::Acknowledge => {
                queue.acknowledge();
                model.acknowledged = model.out.len();
            }
            Step::Lag => queue.lag(),
            Step::Sync => queue.sync(),
            Step::Restart if spool.is_some() => {
                queue.abandon();
                queue.close_spool();
                model.dropped += queue.level().dropped;
                queue = open();
                // What was on its way comes again, or a limit had dropped it.
                model.out.truncate(model.acknowledged);
            }
            Step::Restart => {}
        }
        model.check(&queue, bounds);
    }
    queue.acknowledge();
    queue.close(Instant::now() + Duration::from_secs(60));
    loop {
        let before = model.out.len();
        model.take(&queue, bounds);
        queue.acknowledge();
        if model.out.len() == before {
            break;
        }
    }
    model.check(&queue, bounds);
    let level = queue.level();
    assert_eq!((level.points, level.spooled_points), (0, 0));
    assert_eq!(model.out.len() as u64 + model.dropped + level.dropped, model.pushed);
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    #[test]
    fn in_memory(bounds in bounds(), steps in vec(step(), 1..60)) {
        run(&bounds, None, &steps);
    }
}

proptest! {
    // Each case writes files.
    #![proptest_config(crate::cases(100))]

    #[test]
    fn with_a_spool(
        bounds in bounds(),
        // From what holds a few records to what holds all, in one segment or in several.
        bytes_max in prop_oneof![200..2000u64, Just(1 << 30)],
        steps in vec(step(), 1..60),
    ) {
        let directory = Path::fresh();
        let settings = SpoolConfig {
            directory: directory.0.clone(),
            bytes_max,
            age_max: Duration::from_secs(3600),
            sync_interval: Duration::from_secs(1),
        };
        run(&bounds, Some(&settings), &steps);
    }
}

/// A folder of the test's own, gone when it is done.
struct Path(std::path::PathBuf);

impl Path {
    fn fresh() -> Path {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("perijove-spool-{}-{number}", std::process::id());
        Path(std::env::temp_dir().join(name))
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
