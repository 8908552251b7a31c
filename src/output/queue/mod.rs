//! The bounded queue before each output.
//!
//! It holds what the output will send: encoded records, each ending with a newline, which are
//! gathered into chunks that are as large as one request may be.
//!
//! **Flow control.** While the output takes data, a poller that finds two chunks in the queue waits
//! for room, first come first served, outside every lock and no longer than its patience. An output
//! that used up a poller's patience is *behind*: no poller waits for it until it has caught up. Of
//! an output that is behind, fails or stalls, the oldest records go when the queue is full.
//!
//! **Spool.** What the output does not take in time goes to disk, in order, and what comes while
//! there is something on disk follows it. Pollers have no part in it: the output's thread and a
//! thread of the spool write and read; `disk` is their lock, and they take it before `state`.
//! Disk is not touched while all is well.

mod flow;
mod disk;

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use self::disk::Disk;
use super::backlog::Backlog;
use super::spool::{self, Spool};
use crate::base::sync::{self, lock};

/// Records that are sent together.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub bytes: Arc<Vec<u8>>,
    pub points: u64,
    /// When it was taken.
    since: Instant,
}

/// How large a chunk and the whole queue may be, and how long records wait for a chunk to be full.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    pub chunk_points_max: usize,
    pub chunk_bytes_max: usize,
    pub queue_bytes_max: usize,
    pub flush_interval: Duration,
}

/// An output that takes longer than this for a chunk stalls: no poller waits for it.
pub const STALL: Duration = Duration::from_secs(5);
/// How often a condition that lasts is logged.
pub const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// How often those who wait look again.
const LOOK: Duration = Duration::from_secs(1);

/// Time in which somebody looked. When the machine stands still, or perijove does, nobody looks:
/// that says nothing of an output.
#[derive(Clone, Copy)]
struct Watched {
    time: Duration,
    looked: Instant,
}

impl Watched {
    fn from(now: Instant) -> Watched {
        Watched { time: Duration::ZERO, looked: now }
    }

    fn look(&mut self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.looked);
        if since <= 2 * LOOK {
            self.time += since;
        }
        self.looked = now;
        self.time
    }
}

/// Where the chunk that is being sent is also kept.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kept {
    /// Nowhere: lost if the program is killed.
    Nowhere,
    /// At the front of the spool.
    Spool,
    /// It was in the spool, where a limit dropped it: now it is in memory only.
    Dropped,
}

/// Why points are dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Reason {
    /// The output takes data, but less than comes.
    Behind,
    /// The output fails or stalls.
    Down,
    /// A limit or the damage of the spool, a record that is too large, or the end of the program.
    Other,
}

#[derive(Default)]
struct State {
    backlog: Backlog,
    pushed: u64,
    dropped: u64,
    dropped_behind: u64,
    dropped_down: u64,
    /// When drops were last logged.
    logged: Option<Instant>,
    /// Nothing more comes; what is there may still be sent until then.
    closed: Option<Instant>,
    /// The output's thread is done.
    ended: bool,
    /// The next pause is over.
    nudged: bool,
    in_flight: Option<(Chunk, Kept)>,
    /// How long somebody has wanted room while that chunk is on its way.
    watched: Option<Watched>,
    /// The last write failed.
    failing: bool,
    /// A poller waited in vain, and the queue has not been emptied since.
    behind: bool,
    /// Pollers that wait for room, in the order in which they came.
    waiting: VecDeque<Arc<Condvar>>,
    /// Threads that want `disk` before the spool's thread takes it again.
    want_disk: u32,
    /// What is not sent goes to disk.
    spooling: bool,
    /// The spool is open, and its last write did not fail.
    spool_works: bool,
    /// Something on disk has changed since it was last synced.
    is_unsynced: bool,
    spooled_points: u64,
    spooled_bytes: u64,
}

impl State {
    /// Points that are nowhere else than in memory.
    fn points(&self) -> u64 {
        let in_flight = match &self.in_flight {
            Some((chunk, Kept::Nowhere | Kept::Dropped)) => chunk.points,
            _ => 0,
        };
        self.backlog.points() + in_flight
    }

    /// Somebody wants room.
    fn watch(&mut self, now: Instant) {
        if self.in_flight.is_some() {
            self.watched.get_or_insert(Watched::from(now));
        }
    }

    /// How much longer the output counts as one that takes data, if nothing more happens; `None` if
    /// it fails or stalls.
    fn takes_for(&mut self, now: Instant) -> Option<Duration> {
        let watched = self.watched.as_mut().filter(|_| self.in_flight.is_some());
        let left =
            STALL.saturating_sub(watched.map_or(Duration::ZERO, |watched| watched.look(now)));
        (!self.failing && !left.is_zero()).then_some(left)
    }

    /// Counts points that will never be sent, and says so now and then.
    fn drop_points(&mut self, points: u64, reason: Reason, name: &str, why: &str) {
        if points == 0 {
            return;
        }
        self.dropped += points;
        match reason {
            Reason::Behind => self.dropped_behind += points,
            Reason::Down => self.dropped_down += points,
            Reason::Other => {}
        }
        if self.logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL) {
            self.logged = Some(Instant::now());
            let dropped = self.dropped;
            log::warn!("{name}: {why}: {points} points are dropped, {dropped} so far");
        }
    }

    /// Notes what is on disk.
    fn note(&mut self, spool: &Spool) {
        (self.spooled_points, self.spooled_bytes) = (spool.unacknowledged(), spool.bytes());
        self.is_unsynced = true;
    }

    /// Wakes the poller that has waited longest.
    fn wake_first(&self) {
        if let Some(turn) = self.waiting.front() {
            turn.notify_one();
        }
    }

    /// Wakes all pollers: there is nothing to wait for any more.
    fn wake_all(&self) {
        self.waiting.iter().for_each(|turn| turn.notify_one());
    }
}

pub struct Queue {
    name: &'static str,
    bounds: Bounds,
    /// Held for operations in memory only.
    state: Mutex<State>,
    /// Held while the disk is read or written. A thread that takes both locks takes this one first.
    disk: Option<Mutex<Disk>>,
    /// For the output's thread.
    changed: Condvar,
    /// For the spool's thread.
    spill_wanted: Condvar,
    /// Something has left the memory: for those who wait for that.
    left: Condvar,
}

/// What is in a queue, and what it had to drop.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QueueLevel {
    pub points: u64,
    pub bytes: usize,
    pub spooled_points: u64,
    pub spooled_bytes: u64,
    /// In all, and of them those that an output which is behind, or down, did not take in time.
    pub dropped: u64,
    pub dropped_behind: u64,
    pub dropped_down: u64,
    /// Points that were ever put in; the last `points` of them are in memory only.
    pub pushed: u64,
}

impl Queue {
    /// Opens the spool, with what an earlier run left there. One that cannot be used leaves the
    /// memory until it can be; one that another program uses is an error.
    pub fn new(
        name: &'static str,
        mut bounds: Bounds,
        spool: Option<&spool::SpoolConfig>,
    ) -> Result<Queue, String> {
        // Several chunks have to fit in the queue.
        bounds.chunk_bytes_max = bounds.chunk_bytes_max.min(bounds.queue_bytes_max / 4).max(1);
        let disk = spool.map(|settings| {
            let settings = settings.clone();
            let (spool, is_closed, error, unsynced_said) = (None, false, None, false);
            Mutex::new(Disk { settings, spool, is_closed, error, unsynced_said })
        });
        let queue = Queue {
            name,
            bounds,
            state: Mutex::default(),
            disk,
            changed: Condvar::new(),
            spill_wanted: Condvar::new(),
            left: Condvar::new(),
        };
        if let Some(disk) = &queue.disk {
            let disk = &mut lock(disk);
            queue.open_spool(disk);
            if let Some(why) = disk.error.as_ref().filter(|why| why.contains(spool::IN_USE)) {
                return Err(format!("{name}: {why}"));
            }
        }
        Ok(queue)
    }

    /// Something has left the memory.
    fn note_left(&self, state: &mut State) {
        if state.backlog.bytes() <= self.mark() / 2 {
            state.behind = false;
        }
        state.wake_first();
        self.left.notify_all();
    }

    /// Waits for the next chunk: one that is full, or old enough, or the rest after `close`.
    /// `None` when there is nothing more to send, or no more time for it. It is kept until
    /// `acknowledge`.
    pub fn take(&self) -> Option<Chunk> {
        let Bounds { chunk_bytes_max, chunk_points_max, flush_interval, .. } = self.bounds;
        loop {
            let mut disk = self.lock_disk();
            if !self.has_time() {
                self.give_up(disk.as_deref_mut());
                return None;
            }
            if let Some(chunk) = self.take_spooled(disk.as_deref_mut()) {
                return Some(chunk);
            }
            let mut state = lock(&self.state);
            let Some(since) = state.backlog.since() else {
                if state.closed.is_some() {
                    return None;
                }
                drop(disk);
                drop(sync::wait(&self.changed, state, None));
                continue;
            };
            let now = Instant::now();
            let is_due = state.closed.is_some()
                || state.backlog.bytes() >= chunk_bytes_max
                || state.backlog.points() >= chunk_points_max as u64
                || now >= since + flush_interval;
            if is_due {
                let (bytes, points) = state.backlog.take(chunk_bytes_max, chunk_points_max)?;
                return Some(self.send(&mut state, bytes, points, Kept::Nowhere));
            }
            drop(disk);
            drop(sync::wait(&self.changed, state, Some(since + flush_interval - now)));
        }
    }

    fn send(&self, state: &mut State, bytes: Vec<u8>, points: u64, kept: Kept) -> Chunk {
        let chunk = Chunk { bytes: Arc::new(bytes), points, since: Instant::now() };
        state.in_flight = Some((chunk.clone(), kept));
        state.watched = None;
        self.note_left(state);
        // The spool's thread watches how long it takes.
        self.spill_wanted.notify_one();
        chunk
    }

    /// The chunk that was taken last is dealt with: it need not be kept any longer.
    pub fn acknowledge(&self) {
        let mut disk = self.lock_disk();
        let Some((_, kept)) = lock(&self.state).in_flight.take() else { return };
        if let Some(Disk { spool: Some(spool), error, .. }) = disk.as_deref_mut() {
            if kept == Kept::Spool {
                spool.acknowledge();
                lock(&self.state).note(spool);
            }
            if spool.is_empty() {
                let mut state = lock(&self.state);
                state.spooling = false;
                state.spool_works = true;
                drop(state);
                // Trouble that comes later is news.
                if error.take().is_some() {
                    log::info!("{}: the spool is empty again, and not needed", self.name);
                }
            }
        }
        let mut state = lock(&self.state);
        state.failing = false;
        self.note_left(&mut state);
    }

    /// The output makes no progress: what waits goes to disk.
    pub fn lag(&self) {
        {
            let mut state = lock(&self.state);
            state.failing = true;
            state.spooling = true;
            state.wake_all();
        }
        if let Some(mut disk) = self.lock_disk() {
            self.spill(&mut disk);
        }
    }

    /// Waits until so many of the points that were ever put in have left the memory, delivered or
    /// for the disk; false if that is not so by then.
    pub fn wait_gone(&self, mark: u64, until: Instant) -> bool {
        let mut state = lock(&self.state);
        while state.pushed.saturating_sub(state.points()) < mark {
            let time = until.saturating_duration_since(Instant::now());
            if time.is_zero() {
                return false;
            }
            state = sync::wait(&self.left, state, Some(time));
        }
        true
    }

    /// At the end: what is left goes to disk, or is dropped and counted.
    fn give_up(&self, disk: Option<&mut Disk>) {
        lock(&self.state).spooling = true;
        if let Some(disk) = disk {
            self.spill(disk);
            let in_flight = match &lock(&self.state).in_flight {
                Some((chunk, Kept::Nowhere)) => Some(chunk.clone()),
                _ => None,
            };
            if let (Some(spool), Some(chunk)) = (&mut disk.spool, in_flight)
                && spool.append(&chunk.bytes, chunk.points).is_ok()
            {
                let mut state = lock(&self.state);
                state.in_flight = None;
                state.note(spool);
            }
        }
        let mut state = lock(&self.state);
        // How many is said when the output has ended.
        state.dropped += state.points();
        state.backlog.clear();
        state.in_flight = None;
        self.note_left(&mut state);
    }

    /// Gives up what was taken last and all the rest: for a writer that runs out of time.
    pub fn abandon(&self) {
        self.give_up(self.lock_disk().as_deref_mut());
    }

    /// Waits before another try; false when there is no time for one.
    pub fn pause(&self, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        let mut state = lock(&self.state);
        loop {
            let now = Instant::now();
            if state.closed.is_some_and(|closed| now >= closed) {
                return false;
            }
            // Once closed, what is left is tried often: there is little time.
            let hurried = state.closed.is_some();
            let wait = if hurried { HURRY } else { until.saturating_duration_since(now) };
            if wait.is_zero() || std::mem::take(&mut state.nudged) {
                return true;
            }
            state = sync::wait(&self.changed, state, Some(wait));
            if hurried {
                return state.closed.is_none_or(|closed| Instant::now() < closed);
            }
        }
    }

    /// Ends a pause: the next try is likely to do better.
    pub fn nudge(&self) {
        lock(&self.state).nudged = true;
        self.changed.notify_all();
    }

    /// Nothing more will be pushed; what is there may be sent until `deadline`.
    pub fn close(&self, deadline: Instant) {
        let mut state = lock(&self.state);
        state.closed = Some(deadline);
        state.wake_all();
        drop(state);
        self.changed.notify_all();
        self.left.notify_all();
    }

    /// The output's thread is done: so is the spool's.
    pub fn end(&self) {
        lock(&self.state).ended = true;
        self.spill_wanted.notify_all();
    }

    /// Whether there is a spool, which needs a thread for `keep_spool`.
    pub fn has_spool(&self) -> bool {
        self.disk.is_some()
    }

    /// Whether there is still time to send: false after `close` and its deadline.
    pub fn has_time(&self) -> bool {
        lock(&self.state).closed.is_none_or(|closed| Instant::now() < closed)
    }

    pub fn level(&self) -> QueueLevel {
        let state = lock(&self.state);
        QueueLevel {
            points: state.points(),
            bytes: state.backlog.bytes(),
            spooled_points: state.spooled_points,
            spooled_bytes: state.spooled_bytes,
            dropped: state.dropped,
            dropped_behind: state.dropped_behind,
            dropped_down: state.dropped_down,
            pushed: state.pushed,
        }
    }
}

const HURRY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    pub(in crate::output::queue) fn queue(points: usize, bytes: usize, all: usize) -> Queue {
        let flush_interval = Duration::from_secs(3600);
        let (chunk_points_max, chunk_bytes_max, queue_bytes_max) = (points, bytes, all);
        let bounds = Bounds { chunk_points_max, chunk_bytes_max, queue_bytes_max, flush_interval };
        Queue::new("test", bounds, None).unwrap()
    }

    pub(in crate::output::queue) fn drain(queue: &Queue) -> Vec<(String, u64)> {
        queue.close(Instant::now() + Duration::from_secs(60));
        let mut all = Vec::new();
        while let Some(chunk) = queue.take() {
            all.push((String::from_utf8(chunk.bytes.to_vec()).unwrap(), chunk.points));
            queue.acknowledge();
        }
        all
    }

    /// Records of 100 bytes; 20 of them fill the queue of these tests.
    pub(in crate::output::queue) fn records(number: usize) -> Vec<u8> {
        format!("{}\n", "x".repeat(99)).repeat(number).into_bytes()
    }

    pub(in crate::output::queue) const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn chunks_are_cut_between_records() {
        let by_points = queue(2, 1000, 1000);
        by_points.push("r", b"a\nb\nc\n", Duration::ZERO);
        by_points.push("r", b"d\n", Duration::ZERO);
        assert_eq!(drain(&by_points), [("a\nb\n".into(), 2), ("c\nd\n".into(), 2)]);
        let by_bytes = queue(100, 5, 1000);
        by_bytes.push("r", b"aaaaaaaaa\nb\nc\ndd\n", Duration::ZERO);
        let expected = [("aaaaaaaaa\n".into(), 1), ("b\nc\n".into(), 2), ("dd\n".into(), 1)];
        assert_eq!(drain(&by_bytes), expected);
    }

    #[test]
    fn what_cannot_be_sent_before_the_deadline_is_dropped_and_counted() {
        let queue = queue(1, 100, 100);
        queue.push("r", b"a\nb\n", Duration::ZERO);
        queue.close(Instant::now());
        assert!(queue.take().is_none());
        assert!(!queue.pause(Duration::from_secs(60)));
        assert_eq!(queue.level(), QueueLevel { dropped: 2, pushed: 2, ..QueueLevel::default() });
    }
}
