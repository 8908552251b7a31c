//! The bounded queue before each output.
//!
//! It holds what the output will send: encoded records, each ending with a newline, gathered into
//! chunks that are as large as one request may be. Pollers never wait for it: when it is full the
//! oldest chunk is dropped and counted.
//!
//! With a spool, what the output does not take in time goes to disk, in order, and what comes
//! while there is something on disk goes there at once. Disk is not touched while all is well.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use super::spool::{self, Spool, Taken};
use crate::base::sync::{self, lock};

/// Records that are sent together.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub bytes: Arc<Vec<u8>>,
    pub points: u64,
    since: Instant,
}

/// How large a chunk and the whole queue may be, and how long a chunk waits to be full.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    pub chunk_points_max: usize,
    pub chunk_bytes_max: usize,
    pub queue_bytes_max: usize,
    pub flush_interval: Duration,
}

/// An output that takes longer than this for a chunk is taken to lag.
const LAG: Duration = Duration::from_secs(1);

/// What goes on is logged that often.
pub const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Where the chunk that is being sent is kept besides.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kept {
    /// Nowhere: lost if the program is killed.
    Nowhere,
    /// At the front of the spool.
    Spool,
    /// It was in the spool and a limit dropped it there: as good as nowhere.
    Dropped,
}

#[derive(Default)]
struct State {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    pushed: u64,
    dropped: u64,
    /// When that something was dropped was logged last.
    logged: Option<Instant>,
    /// Nothing more comes; what is there may still be sent until then.
    closed: Option<Instant>,
    /// The next pause is over.
    nudged: bool,
    in_flight: Option<(Chunk, Kept)>,
    spool: Option<Spool>,
    /// A spool that could not be opened yet.
    unopened: Option<spool::Settings>,
    /// What is not sent goes to disk.
    spooling: bool,
    spool_error: Option<String>,
    /// That it cannot be synced was said.
    unsynced: bool,
}

impl State {
    /// Points that are nowhere else than in memory.
    fn points(&self) -> u64 {
        let in_flight = match &self.in_flight {
            Some((chunk, Kept::Nowhere | Kept::Dropped)) => chunk.points,
            _ => 0,
        };
        self.chunks.iter().map(|chunk| chunk.points).sum::<u64>() + in_flight
    }

    /// Counts points that will never be sent, and says so now and then.
    fn drop_points(&mut self, points: u64, name: &str, why: &str) {
        self.dropped += points;
        let is_due = self.logged.is_none_or(|logged| logged.elapsed() >= LOG_INTERVAL);
        if points > 0 && is_due {
            self.logged = Some(Instant::now());
            let dropped = self.dropped;
            log::warn!("{name}: {why}: {points} points are dropped, {dropped} so far");
        }
    }
}

pub struct Queue {
    name: &'static str,
    bounds: Bounds,
    state: Mutex<State>,
    changed: Condvar,
    /// Something has left the memory.
    left: Condvar,
}

/// What is in a queue, and what it had to drop.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    pub points: u64,
    pub bytes: usize,
    pub spooled_points: u64,
    pub spooled_bytes: u64,
    pub dropped: u64,
    /// Points that were ever put in; the last `points` of them are in memory only.
    pub pushed: u64,
}

impl Queue {
    /// Opens the spool, with what an earlier run left there. One that cannot be used leaves the
    /// memory until it can be.
    pub fn new(name: &'static str, mut bounds: Bounds, spool: Option<&spool::Settings>) -> Queue {
        // The queue drops whole chunks: several have to fit in it.
        bounds.chunk_bytes_max = bounds.chunk_bytes_max.min(bounds.queue_bytes_max / 4).max(1);
        let mut state = State { unopened: spool.cloned(), ..State::default() };
        open_spool(name, &mut state);
        let (state, changed, left) = (Mutex::new(state), Condvar::new(), Condvar::new());
        Queue { name, bounds, state, changed, left }
    }

    /// Adds records; `points` is how many lines there are. Older ones may have to go.
    pub fn push(&self, records: &[u8], points: usize) {
        if points == 0 {
            return;
        }
        let mut state = lock(&self.state);
        state.pushed += points as u64;
        self.gather(&mut state, records, points);
        self.spill_if_late(&mut state);
        let mut dropped = 0;
        while state.bytes > self.bounds.queue_bytes_max && state.chunks.len() > 1 {
            let Some(chunk) = state.chunks.pop_front() else { break };
            state.bytes -= chunk.bytes.len();
            dropped += chunk.points;
        }
        state.drop_points(dropped, self.name, "the queue is full");
        drop(state);
        // The writer sleeps until a chunk is due; it must hear of the first and of a full one.
        self.changed.notify_one();
    }

    /// Puts records into the chunks at the end.
    fn gather(&self, state: &mut State, mut records: &[u8], mut points: usize) {
        let Bounds { chunk_points_max, chunk_bytes_max, .. } = self.bounds;
        while !records.is_empty() {
            if !state.chunks.back().is_some_and(|chunk| self.has_room(chunk, records)) {
                let bytes = Arc::default();
                state.chunks.push_back(Chunk { bytes, points: 0, since: Instant::now() });
            }
            let Some(chunk) = state.chunks.back_mut() else { return };
            let points_room = chunk_points_max.saturating_sub(chunk.points as usize).max(1);
            let bytes_room = chunk_bytes_max.saturating_sub(chunk.bytes.len());
            let all = records.len() <= bytes_room && points <= points_room;
            let (bytes_taken, points_taken) = match all {
                true => (records.len(), points),
                false => fitting(records, bytes_room, points_room),
            };
            // Nobody else has the chunk while it stands in the queue: this copies nothing.
            Arc::make_mut(&mut chunk.bytes).extend_from_slice(&records[..bytes_taken]);
            chunk.points += points_taken as u64;
            state.bytes += bytes_taken;
            records = &records[bytes_taken..];
            points -= points_taken.min(points);
        }
    }

    /// Goes over to disk if the output does not keep up.
    fn spill_if_late(&self, state: &mut State) {
        let waits = |(chunk, _): &(Chunk, Kept)| chunk.since.elapsed() > LAG;
        let lags = state.in_flight.as_ref().is_some_and(waits)
            || state.bytes > self.bounds.queue_bytes_max / 2;
        state.spooling |= lags;
        self.spill(state);
    }

    /// Writes to disk what is in memory, oldest first, if that is wanted now. What cannot be
    /// written stays in memory; that is said once.
    fn spill(&self, state: &mut State) {
        let State { spool: Some(spool), chunks, in_flight, spooling: true, .. } = state else {
            return;
        };
        let mut failed = None;
        // Behind older records it would be sent a second time, so it stays where it is.
        if let (Some((chunk, kept @ Kept::Nowhere)), true) = (&mut *in_flight, spool.is_empty()) {
            match spool.append_taken(&chunk.bytes, chunk.points) {
                Ok(()) => *kept = Kept::Spool,
                Err(err) => failed = Some(err),
            }
        }
        while let (None, Some(chunk)) = (&failed, chunks.front()) {
            match spool.append(&chunk.bytes, chunk.points) {
                Ok(()) => {
                    state.bytes -= chunk.bytes.len();
                    chunks.pop_front();
                }
                Err(err) => failed = Some(err),
            }
        }
        self.left.notify_all();
        if let Some(dropped) = spool.enforce_limits() {
            // What is on its way may still arrive: it is not lost yet.
            if let Some((_, kept @ Kept::Spool)) = in_flight {
                *kept = Kept::Dropped;
            }
            state.drop_points(dropped, self.name, "the spool is over its limit");
        }
        match (failed, &state.spool_error) {
            (Some(err), None) => {
                log::warn!("{}: the spool cannot be written, memory it is: {err}", self.name);
                state.spool_error = Some(err.to_string());
            }
            (None, Some(_)) => {
                log::info!("{}: the spool can be written again", self.name);
                state.spool_error = None;
            }
            _ => {}
        }
    }

    fn is_full(&self, chunk: &Chunk) -> bool {
        chunk.points as usize >= self.bounds.chunk_points_max
            || chunk.bytes.len() >= self.bounds.chunk_bytes_max
    }

    /// Whether at least the first record fits.
    fn has_room(&self, chunk: &Chunk, records: &[u8]) -> bool {
        let first = memchr::memchr(b'\n', records).map_or(records.len(), |end| end + 1);
        !self.is_full(chunk) && chunk.bytes.len() + first <= self.bounds.chunk_bytes_max
    }

    /// Waits for the next chunk: one that is full, or old enough, or the rest after `close`.
    /// `None` when there is nothing more to send, or no more time for it. It is kept until
    /// `acknowledge`.
    pub fn take(&self) -> Option<Chunk> {
        let mut state = lock(&self.state);
        loop {
            let now = Instant::now();
            if state.closed.is_some_and(|until| now >= until) {
                self.give_up(&mut state);
                return None;
            }
            let Bounds { chunk_bytes_max, chunk_points_max, .. } = self.bounds;
            if let Some(spool) = state.spool.as_mut().filter(|spool| spool.points() > 0) {
                let taken = spool.take(chunk_bytes_max, chunk_points_max);
                let Taken { bytes, points, damaged_bytes, damaged_points } = taken;
                if damaged_points > 0 {
                    let why = format!("{damaged_bytes} bytes of the spool are damaged");
                    state.drop_points(damaged_points, self.name, &why);
                }
                if points > 0 {
                    let chunk = Chunk { bytes: Arc::new(bytes), points, since: now };
                    state.in_flight = Some((chunk.clone(), Kept::Spool));
                    return Some(chunk);
                }
            }
            if state.closed.is_some() && state.chunks.is_empty() {
                return None;
            }
            let more = state.chunks.len() > 1 || state.closed.is_some();
            let wait = state.chunks.front().map(|chunk| {
                let due = chunk.since + self.bounds.flush_interval;
                let ready = more || self.is_full(chunk) || now >= due;
                if ready { Duration::ZERO } else { due - now }
            });
            if wait == Some(Duration::ZERO) {
                let mut chunk = state.chunks.pop_front()?;
                state.bytes -= chunk.bytes.len();
                chunk.since = now;
                self.left.notify_all();
                state.in_flight = Some((chunk.clone(), Kept::Nowhere));
                return Some(chunk);
            }
            state = sync::wait(&self.changed, state, wait);
        }
    }

    /// The chunk that was taken last is dealt with: it need not be kept any longer.
    pub fn acknowledge(&self) {
        let mut state = lock(&self.state);
        let Some((_, kept)) = state.in_flight.take() else { return };
        self.left.notify_all();
        let Some(spool) = &mut state.spool else { return };
        if kept == Kept::Spool {
            spool.acknowledge();
        }
        if spool.is_empty() {
            state.spooling = false;
            // Trouble that comes later is news.
            if state.spool_error.take().is_some() {
                log::info!("{}: the spool is empty again, and not needed", self.name);
            }
        }
    }

    /// Waits until less than half of the room is taken, for one who can wait; false if it still is
    /// at `until`, or when the queue is closed.
    pub fn wait_room(&self, until: Instant) -> bool {
        let mut state = lock(&self.state);
        while state.bytes > self.bounds.queue_bytes_max / 2 {
            let time = until.saturating_duration_since(Instant::now());
            if time.is_zero() || state.closed.is_some() {
                return false;
            }
            state = sync::wait(&self.left, state, Some(time));
        }
        true
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

    /// The output does not get on: what waits is better off on disk.
    pub fn lag(&self) {
        let mut state = lock(&self.state);
        state.spooling = true;
        self.spill(&mut state);
    }

    /// At the end: to disk with it, or it is dropped and counted.
    fn give_up(&self, state: &mut State) {
        state.spooling = true;
        self.spill(state);
        if let State { spool: Some(spool), in_flight: Some((chunk, kept @ Kept::Nowhere)), .. } =
            state
            && spool.append(&chunk.bytes, chunk.points).is_ok()
        {
            *kept = Kept::Spool;
        }
        // How many is said when the output has ended.
        state.dropped += state.points();
        state.chunks.clear();
        state.bytes = 0;
        state.in_flight = None;
        self.left.notify_all();
    }

    /// Gives up what was taken last and all the rest: for a writer that runs out of time.
    pub fn abandon(&self) {
        self.give_up(&mut lock(&self.state));
    }

    /// Makes what is on disk survive a loss of power, after putting there what waits too long.
    pub fn sync(&self) {
        let mut state = lock(&self.state);
        open_spool(self.name, &mut state);
        self.spill_if_late(&mut state);
        let Some(spool) = &mut state.spool else { return };
        let unsynced = spool.unsynced().transpose();
        if let Err(err) = spool.save_acknowledged() {
            log::debug!("{}: how far the spool was sent cannot be noted: {err}", self.name);
        }
        drop(state);
        // Flash may take its time: nobody waits for it.
        let synced = unsynced.map(|unsynced| {
            let unsynced = unsynced?;
            let mut synced = Ok(());
            // All of them, whatever happens to one.
            for file in &unsynced.files {
                synced = synced.and(file.sync_data());
            }
            if let (Err(_), Some(spool)) = (&synced, &mut lock(&self.state).spool) {
                spool.not_synced(&unsynced);
            }
            synced
        });
        let mut state = lock(&self.state);
        match synced {
            Some(Err(err)) if !std::mem::replace(&mut state.unsynced, true) => {
                log::warn!("{}: the spool cannot be synced: {err}", self.name);
            }
            Some(Ok(())) if std::mem::take(&mut state.unsynced) => {
                log::info!("{}: the spool can be synced again", self.name);
            }
            _ => {}
        }
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
        lock(&self.state).closed = Some(deadline);
        self.changed.notify_all();
        self.left.notify_all();
    }

    /// Whether there is still time to send: false after `close` and its deadline.
    pub fn has_time(&self) -> bool {
        lock(&self.state).closed.is_none_or(|closed| Instant::now() < closed)
    }

    pub fn level(&self) -> Level {
        let state = lock(&self.state);
        let (spooled_points, spooled_bytes) =
            state.spool.as_ref().map_or((0, 0), |spool| (spool.unacknowledged(), spool.bytes()));
        Level {
            points: state.points(),
            bytes: state.bytes,
            spooled_points,
            spooled_bytes,
            dropped: state.dropped,
            pushed: state.pushed,
        }
    }
}

/// Opens the spool that is not open yet, if there is one, and says what it holds; that it cannot
/// be opened is said once.
fn open_spool(name: &str, state: &mut State) {
    let Some(settings) = &state.unopened else { return };
    let shown = settings.directory.display();
    match Spool::open(settings) {
        Ok((spool, damaged)) => {
            if damaged > 0 {
                log::warn!("{name}: {damaged} bytes of the spool {shown} are damaged and left out");
            }
            if spool.points() > 0 {
                log::info!("{name}: {} points of an earlier run wait in {shown}", spool.points());
            }
            if state.spool_error.take().is_some() {
                log::info!("{name}: the spool {shown} can be used now");
            }
            state.spooling |= !spool.is_empty();
            state.spool = Some(spool);
            state.unopened = None;
        }
        Err(err) => {
            if state.spool_error.is_none() {
                log::warn!("{name}: no spool, memory it is: {shown}: {err}");
            }
            state.spool_error = Some(err.to_string());
        }
    }
}

const HURRY: Duration = Duration::from_millis(100);

/// The whole lines at the start that fit, at least one: their bytes and number.
fn fitting(records: &[u8], bytes_max: usize, points_max: usize) -> (usize, usize) {
    let mut bytes = 0;
    let mut points = 0;
    for end in memchr::memchr_iter(b'\n', records) {
        if points > 0 && (end + 1 > bytes_max || points >= points_max) {
            break;
        }
        bytes = end + 1;
        points += 1;
    }
    if bytes == 0 { (records.len(), 1) } else { (bytes, points) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(points: usize, bytes: usize, all: usize) -> Queue {
        let flush_interval = Duration::from_secs(3600);
        let (chunk_points_max, chunk_bytes_max, queue_bytes_max) = (points, bytes, all);
        let bounds = Bounds { chunk_points_max, chunk_bytes_max, queue_bytes_max, flush_interval };
        Queue::new("test", bounds, None)
    }

    fn drain(queue: &Queue) -> Vec<(String, u64)> {
        queue.close(Instant::now() + Duration::from_secs(60));
        let mut all = Vec::new();
        while let Some(chunk) = queue.take() {
            all.push((String::from_utf8(chunk.bytes.to_vec()).unwrap(), chunk.points));
            queue.acknowledge();
        }
        all
    }

    #[test]
    fn chunks_are_cut_between_records() {
        let by_points = queue(2, 1000, 1000);
        by_points.push(b"a\nb\nc\n", 3);
        by_points.push(b"d\n", 1);
        assert_eq!(drain(&by_points), [("a\nb\n".into(), 2), ("c\nd\n".into(), 2)]);
        let by_bytes = queue(100, 5, 1000);
        by_bytes.push(b"aaaaaaaaa\nb\nc\ndd\n", 4);
        let expected = [("aaaaaaaaa\n".into(), 1), ("b\nc\n".into(), 2), ("dd\n".into(), 1)];
        assert_eq!(drain(&by_bytes), expected);
    }

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts() {
        let queue = queue(1, 100, 6);
        queue.push(b"a\nb\nc\n", 3);
        assert_eq!(queue.level().dropped, 0);
        queue.push(b"d\n", 1);
        assert_eq!(
            queue.level(),
            Level { points: 3, bytes: 6, dropped: 1, pushed: 4, ..Level::default() }
        );
        let lines: String = drain(&queue).into_iter().map(|(text, _)| text).collect();
        assert_eq!(lines, "b\nc\nd\n");
    }

    #[test]
    fn what_cannot_be_sent_before_the_deadline_is_dropped_and_counted() {
        let queue = queue(1, 100, 100);
        queue.push(b"a\nb\n", 2);
        queue.close(Instant::now());
        assert!(queue.take().is_none());
        assert!(!queue.pause(Duration::from_secs(60)));
        assert_eq!(queue.level(), Level { dropped: 2, pushed: 2, ..Level::default() });
    }

    #[test]
    fn with_a_spool_what_lags_goes_to_disk_and_comes_back_in_order() {
        let directory = format!("perijove-queue-{}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        let _ = std::fs::remove_dir_all(&directory);
        let settings = super::super::spool::Settings {
            directory: directory.clone(),
            bytes_max: 1 << 20,
            age_max: Duration::from_secs(60),
            sync_interval: Duration::from_secs(1),
        };
        let bounds = Bounds {
            chunk_points_max: 2,
            chunk_bytes_max: 100,
            queue_bytes_max: 1000,
            flush_interval: Duration::ZERO,
        };
        let queue = Queue::new("test", bounds.clone(), Some(&settings));
        queue.push(b"a\nb\nc\n", 3);
        let first = queue.take().unwrap();
        assert_eq!(&first.bytes[..], b"a\nb\n");
        assert_eq!(queue.level().spooled_points, 0);
        // The output fails: what is on its way and what waits are on disk before anything else.
        queue.lag();
        queue.push(b"d\n", 1);
        let level = queue.level();
        assert_eq!((level.points, level.spooled_points, level.bytes), (0, 4, 0));
        // It works again: the chunk on its way is not sent a second time.
        queue.acknowledge();
        assert_eq!(queue.level().spooled_points, 2);
        // Killed: the rest is there for the next run, which repeats no more than since a sync.
        queue.sync();
        drop(queue);
        let queue = Queue::new("test", bounds, Some(&settings));
        queue.push(b"e\n", 1);
        let lines: String = drain(&queue).into_iter().map(|(text, _)| text).collect();
        assert_eq!(lines, "c\nd\ne\n");
        assert_eq!(queue.level(), Level { pushed: 1, ..Level::default() });
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
