//! Delivers what the queues hold: retrying, splitting, counting and logging, once for all outputs.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::latest::Latest;
use super::queue::{Chunk, LOG_INTERVAL, Queue, QueueLevel, STALL};
use super::sink::{Encode, Failure, Sink};
use crate::base::clock::{Backoff, RETRY_AFTER_LONGEST};
use crate::base::panics;
use crate::base::sync::lock;
use crate::point::Batch;

/// What an output has delivered, for its metrics.
#[derive(Default)]
pub struct OutputStatus {
    pub sent: AtomicU64,
    pub rejected: AtomicU64,
    pub clamped: AtomicU64,
    pub failures: AtomicU64,
    last_failure: Mutex<Option<Instant>>,
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// An output as pollers see it.
pub struct Output {
    pub name: &'static str,
    pub encode: Encode,
    pub queue: Queue,
    /// `Some` for an output that keeps points instead of queueing records.
    pub latest: Option<Arc<Latest>>,
    pub status: OutputStatus,
    /// The sink to write to from now on, if it was replaced.
    replacement: Mutex<Option<Box<dyn Sink>>>,
}

impl Output {
    pub fn new(
        name: &'static str,
        encode: Encode,
        queue: Queue,
        latest: Option<Arc<Latest>>,
    ) -> Output {
        let (status, replacement) = (OutputStatus::default(), Mutex::default());
        Output { name, encode, queue, latest, status, replacement }
    }

    /// Replaces the sink. The next try uses the new one and is made at once; the queue is kept.
    pub fn replace_sink(&self, sink: Box<dyn Sink>) {
        *lock(&self.replacement) = Some(sink);
        self.queue.nudge();
    }

    /// Points that did not reach the far end and never will.
    pub fn dropped(&self) -> u64 {
        self.queue.level().dropped + self.status.rejected.load(Ordering::Relaxed)
    }

    pub fn last_failure(&self) -> Option<Instant> {
        *lock(&self.status.last_failure)
    }

    fn count_failure(&self) {
        add(&self.status.failures, 1);
        *lock(&self.status.last_failure) = Some(Instant::now());
    }

    fn warn_that_points_wait(&self, why: &str) {
        let QueueLevel { points, spooled_points, dropped, .. } = self.queue.level();
        let wait = points + spooled_points;
        log::warn!("{}: {why}; {wait} points wait, {dropped} dropped", self.name);
    }
}

/// How long a poll may still wait for each output's queue to have room.
#[derive(Default)]
pub struct Patience {
    left: Vec<Duration>,
    /// Where there is one output with a queue, its time for each RPC.
    alone: Option<Duration>,
    waited: Duration,
}

impl Patience {
    /// For a poll that comes every `interval` and whose RPCs have this time limit: the outputs with
    /// a queue share three quarters of the time limit. Where there are several, each has one
    /// interval at most, in which it takes what a poll brings if it can keep up at all: it must
    /// not delay the others for longer.
    pub fn new(outputs: &[Arc<Output>], interval: Duration, timeout: Duration) -> Patience {
        let queues = outputs.iter().filter(|output| output.latest.is_none()).count() as u32;
        let each = timeout * 3 / 4 / queues.max(1);
        let alone = (queues <= 1).then_some(each);
        let left = vec![alone.unwrap_or(each.min(interval)); outputs.len()];
        Patience { left, alone, waited: Duration::ZERO }
    }

    /// The poll's next RPC has a time limit of its own, which an output that is alone may have.
    /// Others would have to wait for one that cannot keep up.
    pub fn renew(&mut self) {
        if let Some(each) = self.alone {
            self.left.fill(each);
        }
    }

    /// Waits for no output.
    pub fn none() -> Patience {
        Patience::default()
    }

    /// How long it has waited in all.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

/// Gives a batch to all outputs. `scratch` is room for the encoding, to be used again. An output
/// that takes data and has two chunks in its queue is waited for, as long as there is patience.
pub fn push(
    outputs: &[Arc<Output>],
    batch: &Batch,
    scratch: &mut Vec<u8>,
    patience: &mut Patience,
) {
    for (index, output) in outputs.iter().enumerate() {
        if let Some(latest) = &output.latest {
            let OutputStatus { sent, rejected, .. } = &output.status;
            add(if latest.add(batch) { sent } else { rejected }, batch.points.len() as u64);
            continue;
        }
        scratch.clear();
        // A bug in an encoder costs this output the batch.
        let Ok(encoded) = panics::caught(|| (output.encode)(batch, scratch)) else {
            add(&output.status.rejected, batch.points.len() as u64);
            continue;
        };
        add(&output.status.clamped, encoded.clamped);
        add(&output.status.rejected, encoded.rejected);
        let mut none = Duration::ZERO;
        let left = patience.left.get_mut(index).unwrap_or(&mut none);
        let waited = output.queue.push(batch.node, scratch, *left);
        *left = left.saturating_sub(waited);
        patience.waited += waited;
    }
}

/// Gives a batch to all outputs when half of each one's queue is free, or at `until`: for points
/// that come many at once, and not from a poll.
pub fn push_by(outputs: &[Arc<Output>], batch: &Batch, scratch: &mut Vec<u8>, until: Instant) {
    outputs.iter().for_each(|output| _ = output.queue.wait_room(until));
    push(outputs, batch, scratch, &mut Patience::none());
}

/// Tells the outputs that keep points that a collector's poll has ended.
pub fn end(outputs: &[Arc<Output>], node: &str, collector: &str, interval: Duration, failed: bool) {
    for latest in outputs.iter().filter_map(|output| output.latest.as_ref()) {
        latest.end(node, collector, interval, failed, Instant::now());
    }
}

const RETRY: Backoff =
    Backoff { first: Duration::from_millis(500), longest: Duration::from_secs(60) };
/// After so many panics in a row, it is a record that the sink cannot write, and not the moment.
const PANICS_MAX: u32 = 2;
/// Between tries to write into something that is missing.
const MISSING_PAUSE: Duration = Duration::from_secs(1);
const SPOOL_STACK_BYTES: usize = 256 << 10;

/// How long to wait after a failure.
enum Pause {
    Short,
    /// Longer with every failure, and at least what the server asks for.
    Longer(Option<Duration>),
}

/// Writes what comes through the queue until it is closed, with a second thread for the spool.
/// False if nobody reads the output any more.
pub fn write_all(output: &Output, sink: Box<dyn Sink>) -> bool {
    let queue = &output.queue;
    if !queue.has_spool() {
        return write_chunks(output, sink);
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("spool".into()).stack_size(SPOOL_STACK_BYTES);
        if let Err(err) = thread.spawn_scoped(scope, || queue.keep_spool()) {
            log::error!(
                "{}: cannot start the spool's thread, the spool is used after failures only: {err}",
                output.name
            );
        }
        let _ended = Ended(queue);
        write_chunks(output, sink)
    })
}

/// Tells the spool's thread that the output's thread has ended, also after a panic.
struct Ended<'a>(&'a Queue);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

fn write_chunks(output: &Output, sink: Box<dyn Sink>) -> bool {
    let mut writer = Writer { output, sink, failing: None, logged: None };
    while let Some(chunk) = output.queue.take() {
        match writer.deliver(&chunk) {
            Delivery::Done => output.queue.acknowledge(),
            Delivery::OutOfTime => output.queue.abandon(),
            Delivery::Gone => return false,
        }
    }
    true
}

/// How the delivery of a chunk ended.
enum Delivery {
    Done,
    OutOfTime,
    Gone,
}

struct Writer<'a> {
    output: &'a Output,
    sink: Box<dyn Sink>,
    /// Since when, and how many tries ago, nothing could be written.
    failing: Option<(Instant, u32)>,
    logged: Option<Instant>,
}

impl Writer<'_> {
    /// Writes a chunk, in parts if it must be.
    fn deliver(&mut self, chunk: &Chunk) -> Delivery {
        let status = &self.output.status;
        // A sink that waits must not hold up the one that is to take its place.
        let output = self.output;
        let stalls = Cell::new((Instant::now(), 0));
        let has_time = || {
            stalls.set(stalled(output, stalls.get(), Instant::now()));
            output.queue.has_time() && lock(&output.replacement).is_none()
        };
        let mut parts = vec![(0..chunk.bytes.len(), chunk.points)];
        let mut panics_in_a_row = 0;
        while let Some((range, points)) = parts.pop() {
            let replacement = lock(&self.output.replacement).take();
            if let Some(sink) = replacement {
                self.sink = sink;
            }
            stalls.set((Instant::now(), 0));
            let records = &chunk.bytes[range.clone()];
            let write = || self.sink.write(records, points, &has_time);
            let written = panics::caught(write).unwrap_or_else(|why| {
                panics_in_a_row += 1;
                Err(match panics_in_a_row {
                    ..=PANICS_MAX => Failure::Retry { after: None, why },
                    _ => Failure::Suspect { why },
                })
            });
            let failure = match written {
                Ok(()) => {
                    panics_in_a_row = 0;
                    add(&status.sent, points);
                    self.recovered();
                    continue;
                }
                Err(failure) => failure,
            };
            self.output.count_failure();
            let pause = match &failure {
                Failure::Retry { after, .. } => Pause::Longer(*after),
                _ => Pause::Short,
            };
            match failure {
                Failure::Gone => return Delivery::Gone,
                Failure::Refused { points: refused, why } => {
                    add(&status.sent, points.saturating_sub(refused));
                    add(&status.rejected, refused.min(points));
                    self.log_refused(refused, &why);
                    self.recovered();
                }
                Failure::TooLarge { why } | Failure::Suspect { why } if points <= 1 => {
                    add(&status.rejected, points);
                    self.log_refused(points, &why);
                }
                Failure::TooLarge { .. } | Failure::Suspect { .. } => {
                    let (first, second) = halves(&chunk.bytes, range, points);
                    parts.push(second);
                    parts.push(first);
                }
                Failure::Retry { why, .. } | Failure::Missing { why } => {
                    let wait = self.failed(pause, &why);
                    parts.push((range, points));
                    self.output.queue.lag();
                    if !self.output.queue.pause(wait) {
                        return Delivery::OutOfTime;
                    }
                }
            }
        }
        Delivery::Done
    }

    /// Notes a failure; how long to wait before the next try.
    fn failed(&mut self, pause: Pause, why: &str) -> Duration {
        let now = Instant::now();
        let (since, tries) = self.failing.unwrap_or((now, 0));
        self.failing = Some((since, tries + 1));
        if self.logged.is_none_or(|logged| now - logged >= LOG_INTERVAL) {
            self.logged = Some(now);
            self.output.warn_that_points_wait(why);
        }
        match pause {
            Pause::Short => MISSING_PAUSE,
            Pause::Longer(after) => {
                RETRY.wait(tries).max(after.unwrap_or_default().min(RETRY_AFTER_LONGEST))
            }
        }
    }

    fn recovered(&mut self) {
        if let Some((since, _)) = self.failing.take() {
            self.logged = None;
            let seconds = since.elapsed().as_secs();
            log::info!("{}: works again after {seconds} s", self.output.name);
        }
    }

    fn log_refused(&mut self, points: u64, why: &str) {
        let now = Instant::now();
        if self.logged.is_none_or(|logged| now - logged >= LOG_INTERVAL) {
            self.logged = Some(now);
            log::warn!("{}: {points} points were refused and are dropped: {why}", self.output.name);
        }
    }
}

/// Notes that a write goes on: since when, and how often that was noted. A sink may wait within a
/// write while its server is away: every `STALL` that counts as a failure.
fn stalled(output: &Output, (since, times): (Instant, u32), now: Instant) -> (Instant, u32) {
    let times_now = ((now - since).as_millis() / STALL.as_millis()) as u32;
    if times_now <= times {
        return (since, times);
    }
    output.count_failure();
    let logs_every = (LOG_INTERVAL.as_secs() / STALL.as_secs()) as u32;
    if times % logs_every == 0 {
        let seconds = (now - since).as_secs();
        output.warn_that_points_wait(&format!("a write has not ended after {seconds} s"));
    }
    (since, times_now)
}

type Part = (std::ops::Range<usize>, u64);

/// Cuts the records in two where a record ends.
fn halves(bytes: &[u8], range: std::ops::Range<usize>, points: u64) -> (Part, Part) {
    let ends = memchr::memchr_iter(b'\n', &bytes[range.clone()]);
    let half = points / 2;
    let middle = ends.take(half as usize).last().map_or(range.start, |end| range.start + end + 1);
    ((range.start..middle, half), (middle..range.end, points - half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Encoded;
    use crate::output::queue::Bounds;
    use crate::point::{Definition, Measurement, Points, counter};

    fn output() -> Output {
        let bounds = Bounds {
            chunk_points_max: 100,
            chunk_bytes_max: 100,
            queue_bytes_max: 400,
            flush_interval: Duration::ZERO,
        };
        Output::new(
            "test",
            Box::new(|_, _| Encoded::default()),
            Queue::new("test", bounds, None).unwrap(),
            None,
        )
    }

    #[test]
    fn an_output_delays_others_by_an_interval_at_most() {
        let seconds = Duration::from_secs;
        let queue = || Arc::new(output());
        let scraped = Output { latest: Some(Arc::new(Latest::new(3, 1))), ..output() };
        let scraped = Arc::new(scraped);
        let left = |outputs: &[Arc<Output>], interval| {
            Patience::new(outputs, seconds(interval), seconds(60)).left
        };
        assert_eq!(left(&[queue()], 10), [seconds(45)]);
        assert_eq!(left(&[queue(), scraped], 10)[0], seconds(45));
        assert_eq!(left(&[queue(), queue()], 10), [seconds(10); 2]);
        assert_eq!(left(&[queue(), queue()], 300), [Duration::from_millis(22_500); 2]);
        // At the next RPC, one that is alone may be waited for again.
        for (outputs, again) in [(1, seconds(45)), (2, Duration::ZERO)] {
            let outputs: Vec<_> = (0..outputs).map(|_| queue()).collect();
            let mut patience = Patience::new(&outputs, seconds(10), seconds(60));
            patience.left.fill(Duration::ZERO);
            patience.renew();
            assert_eq!(patience.left[0], again);
        }
    }

    /// Refuses requests by what is in them.
    struct Fussy {
        got: Arc<Mutex<Vec<String>>>,
        tries: u32,
    }

    impl Sink for Fussy {
        fn write(
            &mut self,
            records: &[u8],
            points: u64,
            _: &dyn Fn() -> bool,
        ) -> Result<(), Failure> {
            let text = String::from_utf8(records.to_vec()).unwrap();
            assert_eq!(text.lines().count() as u64, points);
            self.tries += 1;
            if text.len() > 8 {
                return Err(Failure::TooLarge { why: "413".into() });
            }
            if text.contains("bad") {
                return Err(Failure::Suspect { why: "400".into() });
            }
            if text.contains('d') && self.tries < 9 {
                return Err(Failure::Retry { after: None, why: "503".into() });
            }
            lock(&self.got).push(text);
            Ok(())
        }
        fn check(&mut self) -> Result<String, String> {
            Ok(String::new())
        }
    }

    #[test]
    fn a_write_that_goes_on_is_a_failure_again_and_again() {
        let output = output();
        let begun = Instant::now();
        let mut stalls = (begun, 0);
        let mut failures = Vec::new();
        for tenths in [1, 9, 10, 11, 19, 20, 30, 35] {
            stalls = stalled(&output, stalls, begun + STALL * tenths / 10);
            failures.push(output.status.failures.load(Ordering::Relaxed));
        }
        assert_eq!(failures, [0, 0, 1, 1, 1, 2, 3, 3]);
        assert!(output.last_failure().is_some());
    }

    #[test]
    fn what_is_too_large_is_split_and_what_is_wrong_is_left_alone_and_dropped() {
        let output = output();
        output.queue.push("r", b"a\nb\nbad\nc\nd\nhuge huge\n", Duration::ZERO);
        output.queue.close(Instant::now() + Duration::from_secs(60));
        let got = Arc::new(Mutex::default());
        assert!(write_all(&output, Box::new(Fussy { got: got.clone(), tries: 0 })));
        assert_eq!(lock(&got).concat(), "a\nb\nc\nd\n");
        assert_eq!(output.status.sent.load(Ordering::Relaxed), 4);
        assert_eq!(output.dropped(), 2);
    }

    static POINT: Measurement<u64> = Measurement::new(|| Definition {
        name: "point",
        help: "A point.",
        tags: &[],
        fields: vec![counter("count", "", "A count.", |count| Some(*count))],
    });

    #[test]
    fn a_bug_in_an_encoder_costs_its_output_the_batch() {
        let broken = Output { encode: Box::new(|_, _| panic!("no record")), ..output() };
        let encode = |_: &Batch, out: &mut Vec<u8>| {
            out.extend_from_slice(b"a\n");
            Encoded::default()
        };
        let healthy = Output { encode: Box::new(encode), ..output() };
        let outputs = [Arc::new(broken), Arc::new(healthy)];
        let mut points = Points::default();
        points.push(&POINT, &[], &1);
        let batch = Batch { node: "r1", collector: "c", time_ns: 0, points: &points };
        push(&outputs, &batch, &mut Vec::new(), &mut Patience::none());
        assert_eq!((outputs[0].dropped(), outputs[0].queue.level().points), (1, 0));
        assert_eq!((outputs[1].dropped(), outputs[1].queue.level().points), (0, 1));
    }

    /// Panics at the first try.
    struct Clumsy {
        tries: u32,
    }

    impl Sink for Clumsy {
        fn write(&mut self, _: &[u8], _: u64, _: &dyn Fn() -> bool) -> Result<(), Failure> {
            self.tries += 1;
            assert!(self.tries > 1, "not the first time");
            Ok(())
        }
        fn check(&mut self) -> Result<String, String> {
            Ok(String::new())
        }
    }

    #[test]
    fn a_bug_in_a_sink_costs_a_try() {
        let output = output();
        output.queue.push("r", b"a\n", Duration::ZERO);
        output.queue.close(Instant::now() + Duration::from_secs(60));
        assert!(write_all(&output, Box::new(Clumsy { tries: 0 })));
        assert_eq!(output.status.sent.load(Ordering::Relaxed), 1);
        assert_eq!(output.dropped(), 0);
    }

    /// Panics at one record.
    struct Stumbling {
        got: Arc<Mutex<Vec<String>>>,
    }

    impl Sink for Stumbling {
        fn write(&mut self, records: &[u8], _: u64, _: &dyn Fn() -> bool) -> Result<(), Failure> {
            let records = String::from_utf8(records.to_vec()).expect("text");
            assert!(!records.contains('b'), "no such record");
            lock(&self.got).push(records);
            Ok(())
        }
        fn check(&mut self) -> Result<String, String> {
            Ok(String::new())
        }
    }

    #[test]
    fn a_bug_in_a_sink_that_stays_costs_a_record() {
        let output = output();
        for record in ["a\n", "b\n", "c\n", "d\n"] {
            output.queue.push("r", record.as_bytes(), Duration::ZERO);
        }
        output.queue.close(Instant::now() + Duration::from_secs(60));
        let got = Arc::new(Mutex::default());
        assert!(write_all(&output, Box::new(Stumbling { got: got.clone() })));
        assert_eq!(lock(&got).concat(), "a\nc\nd\n");
        assert_eq!((output.status.sent.load(Ordering::Relaxed), output.dropped()), (3, 1));
    }

    /// Cannot write, and asks for another one to be put in its place.
    struct Tired {
        output: Arc<Output>,
        alive: Arc<()>,
    }

    impl Sink for Tired {
        fn write(&mut self, _: &[u8], _: u64, _: &dyn Fn() -> bool) -> Result<(), Failure> {
            self.output.replace_sink(Box::new(Rested { before: self.alive.clone() }));
            Err(Failure::Retry { after: None, why: "tired".into() })
        }
        fn check(&mut self) -> Result<String, String> {
            Ok(String::new())
        }
    }

    struct Rested {
        before: Arc<()>,
    }

    impl Sink for Rested {
        fn write(&mut self, _: &[u8], _: u64, _: &dyn Fn() -> bool) -> Result<(), Failure> {
            // Its own, and the test's.
            assert_eq!(Arc::strong_count(&self.before), 2, "the sink before it is still there");
            Ok(())
        }
        fn check(&mut self) -> Result<String, String> {
            Ok(String::new())
        }
    }

    #[test]
    fn a_sink_that_is_replaced_is_gone() {
        let (output, alive) = (Arc::new(output()), Arc::new(()));
        output.queue.push("r", b"a\n", Duration::ZERO);
        output.queue.close(Instant::now() + Duration::from_secs(60));
        let tired = Tired { output: output.clone(), alive: alive.clone() };
        assert!(write_all(&output, Box::new(tired)));
        assert_eq!(output.status.sent.load(Ordering::Relaxed), 1);
    }
}
