//! Flow control: what pollers do with a queue.

use std::sync::{Arc, Condvar, MutexGuard};
use std::time::{Duration, Instant};

use super::{Bounds, LOOK, Queue, Reason, State, Watched};
use crate::base::sync::{self, lock};
use crate::output::backlog::{first, piece};

/// A larger record is refused: it is no more than this part of the queue, so that one source
/// cannot take the room of the others.
const RECORD_SHARE: usize = 16;
/// A record of up to this size is never refused.
const RECORD_BYTES_MIN: usize = 4 << 10;
/// How long a poller waits for the spool to take over.
const SPOOL_PATIENCE: Duration = Duration::from_millis(250);

/// How a wait for room has ended.
#[derive(Clone, Copy, PartialEq)]
enum Waited {
    Room,
    /// The output takes no data, is behind, or is closed.
    NotWorthIt,
    InVain,
}

impl Queue {
    /// Adds a source's records. Waits for room as long as the output takes data, and no longer
    /// than `patience`; without room, older records go, or are on disk. How long it has waited.
    pub fn push(&self, source: &str, records: &[u8], patience: Duration) -> Duration {
        let Bounds { chunk_points_max, chunk_bytes_max, queue_bytes_max, .. } = self.bounds;
        let record_max = (queue_bytes_max / RECORD_SHARE).max(RECORD_BYTES_MIN);
        let (mut rest, mut waited) = (records, Duration::ZERO);
        while !rest.is_empty() {
            let (bytes, points) = piece(rest, record_max, chunk_bytes_max, chunk_points_max as u64);
            if points == 0 {
                let (refused, more) = rest.split_at(first(rest));
                self.refuse(source, refused.len());
                rest = more;
                continue;
            }
            let (records, more) = rest.split_at(bytes);
            rest = more;
            let patience = patience.saturating_sub(waited);
            waited += self.push_piece(source, records.to_vec(), points, patience);
        }
        waited
    }

    fn refuse(&self, source: &str, bytes: usize) {
        let mut state = lock(&self.state);
        state.pushed += 1;
        let why =
            format!("a record of {source} has {bytes} bytes, which is too large for the queue");
        state.drop_points(1, Reason::Other, self.name, &why);
    }

    fn push_piece(
        &self,
        source: &str,
        records: Vec<u8>,
        points: u64,
        patience: Duration,
    ) -> Duration {
        let (bytes, queue_bytes_max) = (records.len(), self.bounds.queue_bytes_max);
        let (mut state, waited) = self.wait_to_push(lock(&self.state), bytes, patience);
        state.pushed += points;
        state.backlog.add(source, records, points);
        if self.disk.is_some() {
            state.spooling |= state.backlog.bytes() > self.mark();
            if state.spooling {
                self.spill_wanted.notify_one();
            }
        }
        let takes = state.takes_for(Instant::now()).is_some();
        let (reason, why) = match takes {
            true => (Reason::Behind, "the queue is full, the output takes less than is polled"),
            false => (Reason::Down, "the queue is full, the output does not take data"),
        };
        let mut dropped = 0;
        while state.backlog.bytes() > queue_bytes_max
            && let Some(points) = state.backlog.drop_one(queue_bytes_max)
        {
            dropped += points;
        }
        state.drop_points(dropped, reason, self.name, why);
        drop(state);
        // The writer sleeps until a chunk is due; it must hear of the first and of a full one.
        self.changed.notify_one();
        waited
    }

    /// The number of bytes from which on the spool takes over.
    pub(super) fn mark(&self) -> usize {
        self.bounds.queue_bytes_max / 2
    }

    /// The number of bytes from which on pollers wait: one chunk is there to be sent, and another
    /// comes together. The rest of the queue is for pollers that do not wait.
    fn wait_mark(&self) -> usize {
        self.mark().min(2 * self.bounds.chunk_bytes_max)
    }

    fn wait_to_push<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        bytes: usize,
        patience: Duration,
    ) -> (MutexGuard<'a, State>, Duration) {
        let has_room = |state: &State| {
            // The spool makes room at once.
            let limit = match state.spool_works {
                true => self.bounds.queue_bytes_max,
                false => self.wait_mark(),
            };
            state.backlog.is_empty() || state.backlog.bytes() + bytes <= limit
        };
        if state.waiting.is_empty() && has_room(&state) {
            return (state, Duration::ZERO);
        }
        let now = Instant::now();
        state.watch(now);
        if patience.is_zero() || self.worth_waiting(&mut state, Duration::ZERO, now).is_none() {
            return (state, Duration::ZERO);
        }
        let (mut state, end, waited) = self.wait(state, has_room, patience);
        if end == Waited::InVain {
            state.behind = true;
            state.wake_all();
        }
        (state, waited)
    }

    /// How long a poller that has waited for so long waits on, if nothing happens.
    fn worth_waiting(&self, state: &mut State, waited: Duration, now: Instant) -> Option<Duration> {
        if state.behind || state.closed.is_some() {
            return None;
        }
        // With a spool, not for long: no poller waits for a slow disk.
        match state.spooling && state.spool_works {
            true => Some(SPOOL_PATIENCE.saturating_sub(waited)),
            false => state.takes_for(now),
        }
    }

    /// Waits for the caller's turn and for room, as long as that makes sense; also for how long.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        has_room: impl Fn(&State) -> bool,
        patience: Duration,
    ) -> (MutexGuard<'a, State>, Waited, Duration) {
        let (mut own, turn) = (Watched::from(Instant::now()), Arc::new(Condvar::new()));
        state.watch(own.looked);
        state.waiting.push_back(turn.clone());
        let end = loop {
            let waited = own.look(Instant::now());
            let is_first = state.waiting.front().is_some_and(|first| Arc::ptr_eq(first, &turn));
            if is_first && has_room(&state) {
                break Waited::Room;
            }
            let Some(left) = self.worth_waiting(&mut state, waited, own.looked) else {
                break Waited::NotWorthIt;
            };
            let left = left.min(patience.saturating_sub(waited));
            if left.is_zero() {
                break Waited::InVain;
            }
            state = sync::wait(&turn, state, Some(left.min(LOOK)));
        };
        state.waiting.retain(|other| !Arc::ptr_eq(other, &turn));
        state.wake_first();
        (state, end, own.time)
    }

    /// Waits until no more than half of the room is taken. False if more is at `until`, or the
    /// output does not take data.
    pub fn wait_room(&self, until: Instant) -> bool {
        let has_room = |state: &State| state.backlog.bytes() <= self.mark();
        let state = lock(&self.state);
        if has_room(&state) {
            return true;
        }
        let patience = until.saturating_duration_since(Instant::now());
        self.wait(state, has_room, patience).1 == Waited::Room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::queue::tests::{LONG, drain, queue, records};
    use crate::output::queue::{QueueLevel, STALL};

    #[test]
    fn a_full_queue_drops_the_oldest_and_counts() {
        let queue = queue(1, 100, 6);
        queue.push("r", b"a\nb\nc\n", Duration::ZERO);
        assert_eq!(queue.level().dropped, 0);
        queue.push("r", b"d\n", Duration::ZERO);
        let (dropped, dropped_behind) = (1, 1);
        let level = QueueLevel {
            points: 3,
            bytes: 6,
            dropped,
            dropped_behind,
            pushed: 4,
            ..QueueLevel::default()
        };
        assert_eq!(queue.level(), level);
        let lines: String = drain(&queue).into_iter().map(|(text, _)| text).collect();
        assert_eq!(lines, "b\nc\nd\n");
    }

    #[test]
    fn a_record_that_is_too_large_is_refused_and_costs_no_other() {
        let queue = queue(10, 1 << 20, 1 << 20);
        let large = format!("{}\n", "x".repeat((1 << 20) / RECORD_SHARE));
        queue.push("good", b"a\n", Duration::ZERO);
        queue.push("bad", format!("b\n{large}c\n").as_bytes(), Duration::ZERO);
        assert_eq!((queue.level().points, queue.level().dropped), (3, 1));
        assert_eq!(drain(&queue), [("a\nb\nc\n".into(), 3)]);
    }

    #[test]
    fn a_poller_waits_while_the_output_takes_data_and_nothing_is_dropped() {
        let queue = queue(5, 500, 2000);
        std::thread::scope(|scope| {
            let pollers: Vec<_> = (0..10)
                .map(|poller| {
                    let queue = &queue;
                    scope.spawn(move || {
                        (0..10).map(|_| queue.push(&poller.to_string(), &records(5), LONG)).sum()
                    })
                })
                .collect();
            let output = scope.spawn(|| {
                let mut points = 0;
                while let Some(chunk) = queue.take() {
                    assert!(queue.level().bytes <= 1000, "{:?}", queue.level());
                    std::thread::sleep(Duration::from_millis(1));
                    points += chunk.points;
                    queue.acknowledge();
                }
                points
            });
            let waited: Vec<Duration> = pollers.into_iter().map(|p| p.join().unwrap()).collect();
            assert!(waited.iter().any(|waited| !waited.is_zero()));
            queue.close(Instant::now() + LONG);
            assert_eq!(output.join().unwrap(), 500);
        });
        assert_eq!(queue.level().dropped, 0);
    }

    #[test]
    fn an_output_that_is_behind_is_not_waited_for_until_it_has_caught_up() {
        let queue = queue(5, 500, 2000);
        let patience = Duration::from_millis(50);
        queue.push("r", &records(10), patience);
        assert!(queue.push("r", &records(5), patience) >= patience);
        assert!(queue.push("r", &records(10), LONG).is_zero());
        let QueueLevel { dropped, dropped_behind, .. } = queue.level();
        assert_eq!((dropped, dropped_behind), (5, 5));
        while queue.level().bytes > 500 {
            assert!(queue.push("r", b"", LONG).is_zero());
            queue.take().unwrap();
            queue.acknowledge();
        }
        // One byte too many to be at the mark, and it is waited for again.
        queue.push("r", &records(5), patience);
        assert!(queue.push("r", &records(1), patience) >= patience);
    }

    #[test]
    fn an_output_that_fails_is_not_waited_for() {
        let queue = queue(5, 500, 2000);
        queue.push("r", &records(10), LONG);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.push("r", &records(5), LONG));
            std::thread::sleep(Duration::from_millis(50));
            queue.lag();
            assert!(waiting.join().unwrap() < LONG / 2);
        });
        assert!(queue.push("r", &records(10), LONG).is_zero());
        let QueueLevel { dropped, dropped_down, .. } = queue.level();
        assert_eq!((dropped, dropped_down), (5, 5));
        // It works again.
        queue.take().unwrap();
        queue.acknowledge();
        let patience = Duration::from_millis(50);
        assert!(queue.push("r", &records(5), patience) >= patience);
    }

    #[test]
    fn an_output_stalls_only_while_it_is_watched() {
        let queue = queue(5, 500, 2000);
        queue.push("r", &records(15), Duration::ZERO);
        queue.take().unwrap();
        // perijove stood still for ten seconds, and so the write has not ended: first before
        // somebody waits, then while somebody does.
        lock(&queue.state).in_flight.as_mut().unwrap().0.since -= STALL * 2;
        let patience = Duration::from_millis(50);
        assert!(queue.push("r", &records(1), patience) >= patience);
        let mut state = lock(&queue.state);
        state.watched.as_mut().unwrap().looked -= STALL * 2;
        state.behind = false;
        drop(state);
        assert!(queue.push("r", &records(1), patience) >= patience);
        // After ten seconds in which somebody waited, it still has not.
        let mut state = lock(&queue.state);
        state.watched.as_mut().unwrap().time += STALL * 2;
        state.behind = false;
        drop(state);
        assert!(queue.push("r", &records(1), LONG).is_zero());
    }

    #[test]
    fn patience_is_not_used_up_by_standing_still() {
        let start = Instant::now();
        let mut watched = Watched::from(start);
        assert_eq!(watched.look(start + LOOK), LOOK);
        assert_eq!(watched.look(start + LOOK * 20), LOOK);
        assert_eq!(watched.look(start + LOOK * 21), LOOK * 2);
    }

    #[test]
    fn the_end_wakes_those_who_wait() {
        let queue = queue(5, 500, 2000);
        queue.push("r", &records(10), LONG);
        std::thread::scope(|scope| {
            let waiting: Vec<_> =
                (0..5).map(|_| scope.spawn(|| queue.push("r", &records(1), LONG))).collect();
            std::thread::sleep(Duration::from_millis(50));
            queue.close(Instant::now() + LONG);
            assert!(waiting.into_iter().all(|waited| waited.join().unwrap() < LONG / 2));
        });
        assert_eq!((queue.level().points, queue.level().dropped), (15, 0));
    }
}
