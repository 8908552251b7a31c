//! The bounded queue before each output.
//!
//! It holds what the output will send: encoded records, each ending with a newline, gathered into
//! chunks that are as large as one request may be. Pollers never wait for it: when it is full the
//! oldest chunk is dropped and counted.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::sync::{self, lock};

/// Records that are sent together.
#[derive(Debug)]
pub struct Chunk {
    pub bytes: Vec<u8>,
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

#[derive(Default)]
struct State {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    dropped: u64,
    /// Nothing more comes; what is there may still be sent until then.
    closed: Option<Instant>,
}

pub struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
    changed: Condvar,
}

/// What is in a queue, and what it had to drop.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Level {
    pub points: u64,
    pub bytes: usize,
    pub dropped: u64,
}

impl Queue {
    pub fn new(bounds: Bounds) -> Queue {
        Queue { bounds, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds records; `points` is how many lines there are. True if older ones had to go.
    pub fn push(&self, records: &[u8], points: usize) -> bool {
        if points == 0 {
            return false;
        }
        let mut state = lock(&self.state);
        let mut rest = records;
        let mut left = points;
        while !rest.is_empty() {
            let Bounds { chunk_points_max, chunk_bytes_max, .. } = self.bounds;
            let fresh = !state.chunks.back().is_some_and(|chunk| self.has_room(chunk, rest));
            if fresh {
                let since = Instant::now();
                state.chunks.push_back(Chunk { bytes: Vec::new(), points: 0, since });
            }
            let Some(chunk) = state.chunks.back_mut() else { break };
            let points_room = chunk_points_max.saturating_sub(chunk.points as usize).max(1);
            let bytes_room = chunk_bytes_max.saturating_sub(chunk.bytes.len());
            let (bytes, points) = if rest.len() <= bytes_room && left <= points_room {
                (rest.len(), left)
            } else {
                fitting(rest, bytes_room, points_room)
            };
            chunk.bytes.extend_from_slice(&rest[..bytes]);
            chunk.points += points as u64;
            state.bytes += bytes;
            rest = &rest[bytes..];
            left -= points.min(left);
        }
        let before = state.dropped;
        while state.bytes > self.bounds.queue_bytes_max && state.chunks.len() > 1 {
            let Some(chunk) = state.chunks.pop_front() else { break };
            state.bytes -= chunk.bytes.len();
            state.dropped += chunk.points;
        }
        let dropped = state.dropped > before;
        let ready = state.chunks.len() > 1 || state.chunks.back().is_some_and(|c| self.is_full(c));
        drop(state);
        // The writer sleeps until a chunk is due; it must hear of the first and of a full one.
        if ready || left == 0 {
            self.changed.notify_one();
        }
        dropped
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
    /// `None` when there is nothing more to send, or no more time for it.
    pub fn take(&self) -> Option<Chunk> {
        let mut state = lock(&self.state);
        loop {
            let now = Instant::now();
            if state.closed.is_some_and(|until| state.chunks.is_empty() || now >= until) {
                let rest: u64 = state.chunks.drain(..).map(|chunk| chunk.points).sum();
                state.dropped += rest;
                state.bytes = 0;
                return None;
            }
            let more = state.chunks.len() > 1 || state.closed.is_some();
            let wait = state.chunks.front().map(|chunk| {
                let due = chunk.since + self.bounds.flush_interval;
                let ready = more || self.is_full(chunk) || now >= due;
                if ready { Duration::ZERO } else { due - now }
            });
            if wait == Some(Duration::ZERO) {
                let chunk = state.chunks.pop_front()?;
                state.bytes -= chunk.bytes.len();
                return Some(chunk);
            }
            state = sync::wait(&self.changed, state, wait);
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
            let hurry = now + Duration::from_millis(100);
            let until = if state.closed.is_some() { until.min(hurry) } else { until };
            if now >= until {
                return true;
            }
            let hurried = state.closed.is_some();
            state = sync::wait(&self.changed, state, Some(until - now));
            if hurried {
                return state.closed.is_none_or(|closed| Instant::now() < closed);
            }
        }
    }

    /// Nothing more will be pushed; what is there may be sent until `deadline`.
    pub fn close(&self, deadline: Instant) {
        lock(&self.state).closed = Some(deadline);
        self.changed.notify_all();
    }

    pub fn level(&self) -> Level {
        let state = lock(&self.state);
        let points = state.chunks.iter().map(|chunk| chunk.points).sum();
        Level { points, bytes: state.bytes, dropped: state.dropped }
    }
}

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
        Queue::new(Bounds {
            chunk_points_max: points,
            chunk_bytes_max: bytes,
            queue_bytes_max: all,
            flush_interval: Duration::from_secs(3600),
        })
    }

    fn drain(queue: &Queue) -> Vec<(String, u64)> {
        queue.close(Instant::now() + Duration::from_secs(60));
        let text = |chunk: Chunk| (String::from_utf8(chunk.bytes).unwrap(), chunk.points);
        std::iter::from_fn(|| queue.take()).map(text).collect()
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
        assert!(!queue.push(b"a\nb\nc\n", 3));
        assert!(queue.push(b"d\n", 1));
        assert_eq!(queue.level(), Level { points: 3, bytes: 6, dropped: 1 });
        assert_eq!(drain(&queue).concat_lines(), "b\nc\nd\n");
    }

    trait ConcatLines {
        fn concat_lines(&self) -> String;
    }
    impl ConcatLines for Vec<(String, u64)> {
        fn concat_lines(&self) -> String {
            self.iter().map(|(text, _)| text.as_str()).collect()
        }
    }

    #[test]
    fn what_cannot_be_sent_before_the_deadline_is_dropped_and_counted() {
        let queue = queue(1, 100, 100);
        queue.push(b"a\nb\n", 2);
        queue.close(Instant::now());
        assert!(queue.take().is_none());
        assert!(!queue.pause(Duration::from_secs(60)));
        assert_eq!(queue.level(), Level { points: 0, bytes: 0, dropped: 2 });
    }
}
