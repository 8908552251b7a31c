//! The bounded queue before each output.
//!
//! It holds what the output will send: encoded records, each ending with a newline, which are
//! gathered into chunks that are as large as one request may be.
//!
//! **Flow control.** While the output takes data, a poller that finds the queue half full waits for
//! room, first come first served, outside every lock and no longer than its patience. An output
//! that used up a poller's patience is *behind*: no poller waits for it until it has caught up. Of
//! an output that is behind, fails or stalls, the oldest records go when the queue is full.
//!
//! **Spool.** What the output does not take in time goes to disk, in order, and what comes while
//! there is something on disk follows it. Pollers have no part in it: the output's thread and a
//! thread of the spool write and read; `disk` is their lock, and they take it before `state`.
//! Disk is not touched while all is well.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::backlog::{Backlog, first, piece};
use super::spool::{self, Spool, Taken};
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

/// An output that takes longer than this for a chunk lags: its queue goes to disk.
const LAG: Duration = Duration::from_secs(1);
/// An output that takes longer than this for a chunk stalls: no poller waits for it.
pub const STALL: Duration = Duration::from_secs(5);
/// How long a poller waits for the spool to take over.
const SPOOL_PATIENCE: Duration = Duration::from_millis(250);
/// How long a disk that failed is left alone.
const SPOOL_RETRY: Duration = Duration::from_secs(1);
/// A larger record is refused: it is no more than this part of the queue, so that one source
/// cannot take the room of the others.
const RECORD_SHARE: usize = 16;
/// A record of up to this size is never refused.
const RECORD_BYTES_MIN: usize = 4 << 10;

/// How often a condition that lasts is logged.
pub const LOG_INTERVAL: Duration = Duration::from_secs(60);

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
    /// The last write failed.
    failing: bool,
    /// A poller waited in vain, and the queue has not been emptied since.
    behind: bool,
    /// Pollers that wait for room, in the order in which they came.
    waiting: VecDeque<Arc<Condvar>>,
    /// What is not sent goes to disk.
    spooling: bool,
    /// The spool is open, and its last write did not fail.
    spool_works: bool,
    /// Something on disk has changed since it was last synced.
    is_unsynced: bool,
    spooled_points: u64,
    spooled_bytes: u64,
}

/// The spool, and what was logged about it.
struct Disk {
    settings: spool::SpoolConfig,
    /// `None` until it can be opened, and at the end.
    spool: Option<Spool>,
    is_closed: bool,
    error: Option<String>,
    /// Whether it was logged that it cannot be synced.
    unsynced_said: bool,
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

    /// Until when the output counts as one that takes data, if nothing more happens; `None` if it
    /// fails or stalls.
    fn takes_until(&self, now: Instant) -> Option<Instant> {
        let until = self.in_flight.as_ref().map_or(now, |(chunk, _)| chunk.since) + STALL;
        (!self.failing && until > now).then_some(until)
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
    /// The output's thread waits for `disk`: it goes first.
    writer_waits: AtomicBool,
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
            writer_waits: AtomicBool::new(false),
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
        let takes = state.takes_until(Instant::now()).is_some();
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

    /// The number of bytes from which on pollers wait, or the spool takes over. The rest is for
    /// pollers that do not wait.
    fn mark(&self) -> usize {
        self.bounds.queue_bytes_max / 2
    }

    fn wait_to_push<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        bytes: usize,
        patience: Duration,
    ) -> (MutexGuard<'a, State>, Duration) {
        let has_room = |state: &State| {
            // The spool makes room at once.
            let limit = if state.spool_works { self.bounds.queue_bytes_max } else { self.mark() };
            state.backlog.is_empty() || state.backlog.bytes() + bytes <= limit
        };
        if patience.is_zero() || (state.waiting.is_empty() && has_room(&state)) {
            return (state, Duration::ZERO);
        }
        let begun = Instant::now();
        if self.worth_waiting_until(&state, begun, begun).is_none() {
            return (state, Duration::ZERO);
        }
        let (mut state, waited) = self.wait(state, has_room, begun + patience);
        if waited == Waited::InVain {
            state.behind = true;
            state.wake_all();
        }
        (state, begun.elapsed())
    }

    /// Until when a poller waits that began at `begun`, if nothing happens.
    fn worth_waiting_until(&self, state: &State, begun: Instant, now: Instant) -> Option<Instant> {
        if state.behind || state.closed.is_some() {
            return None;
        }
        // With a spool, not for long: no poller waits for a slow disk.
        match state.spooling && state.spool_works {
            true => Some(begun + SPOOL_PATIENCE),
            false => state.takes_until(now),
        }
    }

    /// Waits for the caller's turn and for room, as long as that makes sense.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        has_room: impl Fn(&State) -> bool,
        deadline: Instant,
    ) -> (MutexGuard<'a, State>, Waited) {
        let (begun, turn) = (Instant::now(), Arc::new(Condvar::new()));
        state.waiting.push_back(turn.clone());
        let waited = loop {
            let now = Instant::now();
            let is_first = state.waiting.front().is_some_and(|first| Arc::ptr_eq(first, &turn));
            if is_first && has_room(&state) {
                break Waited::Room;
            }
            let Some(until) = self.worth_waiting_until(&state, begun, now) else {
                break Waited::NotWorthIt;
            };
            let until = until.min(deadline);
            if now >= until {
                break Waited::InVain;
            }
            state = sync::wait(&turn, state, Some(until - now));
        };
        state.waiting.retain(|other| !Arc::ptr_eq(other, &turn));
        state.wake_first();
        (state, waited)
    }

    /// Waits until less than half of the room is taken. False if it still is at `until`, or the
    /// output does not take data.
    pub fn wait_room(&self, until: Instant) -> bool {
        let has_room = |state: &State| state.backlog.bytes() <= self.mark();
        let state = lock(&self.state);
        if has_room(&state) {
            return true;
        }
        self.wait(state, has_room, until).1 == Waited::Room
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

    /// The oldest records on disk, if there are any.
    fn take_spooled(&self, disk: Option<&mut Disk>) -> Option<Chunk> {
        let spool = disk?.spool.as_mut().filter(|spool| spool.points() > 0)?;
        let taken = spool.take(self.bounds.chunk_bytes_max, self.bounds.chunk_points_max);
        let Taken { bytes, points, damaged_bytes, damaged_points } = taken;
        let mut state = lock(&self.state);
        let why = format!("{damaged_bytes} bytes of the spool are damaged");
        state.drop_points(damaged_points, Reason::Other, self.name, &why);
        state.note(spool);
        (points > 0).then(|| self.send(&mut state, bytes, points, Kept::Spool))
    }

    fn send(&self, state: &mut State, bytes: Vec<u8>, points: u64, kept: Kept) -> Chunk {
        let chunk = Chunk { bytes: Arc::new(bytes), points, since: Instant::now() };
        state.in_flight = Some((chunk.clone(), kept));
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

    /// The output's thread takes the lock of the disk.
    fn lock_disk(&self) -> Option<MutexGuard<'_, Disk>> {
        let disk = self.disk.as_ref()?;
        self.writer_waits.store(true, Ordering::Relaxed);
        let disk = lock(disk);
        self.writer_waits.store(false, Ordering::Relaxed);
        Some(disk)
    }

    /// Puts on disk what the output does not take in time and syncs it, until `end`. For a thread
    /// of its own: pollers and the output do not wait for it.
    pub fn keep_spool(&self) {
        let Some(disk) = &self.disk else { return };
        let interval = lock(disk).settings.sync_interval;
        let mut sync_at = Instant::now() + interval;
        while let Some(is_wanted) = self.wait_spill(sync_at) {
            // The output's thread takes what is on disk, or says that it was delivered.
            while self.writer_waits.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            if is_wanted {
                self.spill(&mut lock(disk));
            }
            if Instant::now() >= sync_at {
                self.sync();
                let works = lock(&self.state).spool_works;
                sync_at = Instant::now() + if works { interval } else { interval.min(SPOOL_RETRY) };
            }
        }
    }

    /// Waits until something is to be put on disk (true) or to be synced (false), or the end.
    fn wait_spill(&self, sync_at: Instant) -> Option<bool> {
        let mut state = lock(&self.state);
        loop {
            if state.ended {
                return None;
            }
            let now = Instant::now();
            let mut wait = None;
            if let Some((chunk, Kept::Nowhere)) = &state.in_flight
                && !state.spooling
            {
                let lags_at = chunk.since + LAG;
                state.spooling = now >= lags_at;
                wait = Some(lags_at.saturating_duration_since(now));
            }
            let in_flight = matches!(state.in_flight, Some((_, Kept::Nowhere)));
            let has_more = !state.backlog.is_empty() || (in_flight && state.spooled_points == 0);
            if state.spooling && state.spool_works && has_more {
                return Some(true);
            }
            if state.is_unsynced || !state.spool_works {
                if now >= sync_at {
                    return Some(false);
                }
                wait = Some(wait.unwrap_or(Duration::MAX).min(sync_at - now));
            }
            state = sync::wait(&self.spill_wanted, state, wait);
        }
    }

    /// Writes to disk what is in memory now, oldest first, if that is wanted. What cannot be
    /// written stays in memory; that is said once.
    fn spill(&self, disk: &mut Disk) {
        let Bounds { chunk_bytes_max, chunk_points_max, .. } = self.bounds;
        let Some(spool) = &mut disk.spool else { return };
        let (mut failed, mut tried) = (None, false);
        let (mut left, in_flight) = {
            let state = lock(&self.state);
            if !state.spooling {
                return;
            }
            let in_flight = match &state.in_flight {
                // Behind older records it would be sent a second time, so it stays where it is.
                Some((chunk, Kept::Nowhere)) if spool.is_empty() => Some(chunk.clone()),
                _ => None,
            };
            (state.backlog.bytes(), in_flight)
        };
        if let Some(chunk) = in_flight {
            tried = true;
            match spool.append_taken(&chunk.bytes, chunk.points) {
                Ok(()) => {
                    let mut state = lock(&self.state);
                    if let Some((_, kept)) = &mut state.in_flight {
                        *kept = Kept::Spool;
                    }
                    state.note(spool);
                }
                Err(err) => failed = Some(err),
            }
        }
        // What comes meanwhile is for the next time: the output's thread has its turn before.
        while left > 0
            && failed.is_none()
            && let Some((bytes, points)) =
                { lock(&self.state).backlog.hold(chunk_bytes_max, chunk_points_max) }
        {
            tried = true;
            left = left.saturating_sub(bytes.len());
            let appended = spool.append(&bytes, points);
            let mut state = lock(&self.state);
            match appended {
                Ok(()) => state.backlog.forget_held(),
                Err(err) => {
                    state.backlog.release();
                    failed = Some(err);
                }
            }
            state.note(spool);
            self.note_left(&mut state);
        }
        let dropped = spool.enforce_limits();
        let mut state = lock(&self.state);
        if let Some(dropped) = dropped {
            // What is on its way may still arrive: it is not lost yet.
            if let Some((_, kept @ Kept::Spool)) = &mut state.in_flight {
                *kept = Kept::Dropped;
            }
            let why = "the spool is over its limit";
            state.drop_points(dropped, Reason::Other, self.name, why);
            state.note(spool);
        }
        if !tried {
            return;
        }
        state.spool_works = failed.is_none();
        drop(state);
        // The output's thread may wait for records that are on disk now.
        self.changed.notify_one();
        match (failed, &disk.error) {
            (Some(err), None) => {
                log::warn!(
                    "{}: the spool cannot be written, points stay in memory: {err}",
                    self.name
                );
                disk.error = Some(err.to_string());
            }
            (None, Some(_)) => {
                log::info!("{}: the spool can be written again", self.name);
                disk.error = None;
            }
            _ => {}
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

    /// Makes what is on disk survive a loss of power.
    pub fn sync(&self) {
        let Some(disk) = &self.disk else { return };
        let unsynced = {
            let disk = &mut lock(disk);
            self.open_spool(disk);
            self.spill(disk);
            let Some(spool) = &mut disk.spool else { return };
            lock(&self.state).is_unsynced = false;
            let unsynced = spool.unsynced().transpose();
            if let Err(err) = spool.save_acknowledged() {
                log::debug!("{}: cannot record how far the spool was sent: {err}", self.name);
            }
            unsynced
        };
        // Flash may be slow, so this holds no lock.
        let Some(unsynced) = unsynced else { return };
        let synced = unsynced.and_then(|unsynced| {
            let mut synced = Ok(());
            // All of them, whatever happens to one.
            for file in &unsynced.files {
                synced = synced.and(file.sync_data());
            }
            if let (Err(_), Some(spool)) = (&synced, &mut lock(disk).spool) {
                spool.not_synced(&unsynced);
            }
            synced
        });
        if synced.is_err() {
            lock(&self.state).is_unsynced = true;
        }
        let mut disk = lock(disk);
        match synced {
            Err(err) if !std::mem::replace(&mut disk.unsynced_said, true) => {
                log::warn!("{}: the spool cannot be synced: {err}", self.name);
            }
            Ok(()) if std::mem::take(&mut disk.unsynced_said) => {
                log::info!("{}: the spool can be synced again", self.name);
            }
            _ => {}
        }
    }

    /// Syncs the spool and lets go of it, at the end.
    pub fn close_spool(&self) {
        self.sync();
        if let Some(disk) = &self.disk {
            let mut disk = lock(disk);
            (disk.spool, disk.is_closed) = (None, true);
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

    /// Opens the spool if it is not open yet, and says what it holds; that it cannot be opened is
    /// said once.
    fn open_spool(&self, disk: &mut Disk) {
        if disk.spool.is_some() || disk.is_closed {
            return;
        }
        let (name, shown) = (self.name, disk.settings.directory.display());
        match Spool::open(&disk.settings) {
            Ok((spool, damaged)) => {
                if damaged > 0 {
                    log::warn!(
                        "{name}: {damaged} bytes of the spool {shown} are damaged and left out"
                    );
                }
                if spool.points() > 0 {
                    log::info!(
                        "{name}: {} points of an earlier run wait in {shown}",
                        spool.points()
                    );
                }
                if disk.error.take().is_some() {
                    log::info!("{name}: the spool {shown} can be used now");
                }
                let mut state = lock(&self.state);
                state.spooling |= !spool.is_empty();
                state.spool_works = true;
                state.note(&spool);
                disk.spool = Some(spool);
            }
            Err(err) => {
                if disk.error.is_none() {
                    log::warn!(
                        "{name}: the spool {shown} cannot be opened, points stay in memory: {err}"
                    );
                }
                disk.error = Some(format!("{shown}: {err}"));
            }
        }
    }
}

/// How a wait for room has ended.
#[derive(Clone, Copy, PartialEq)]
enum Waited {
    Room,
    /// The output takes no data, is behind, or is closed.
    NotWorthIt,
    InVain,
}

const HURRY: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(points: usize, bytes: usize, all: usize) -> Queue {
        let flush_interval = Duration::from_secs(3600);
        let (chunk_points_max, chunk_bytes_max, queue_bytes_max) = (points, bytes, all);
        let bounds = Bounds { chunk_points_max, chunk_bytes_max, queue_bytes_max, flush_interval };
        Queue::new("test", bounds, None).unwrap()
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
        by_points.push("r", b"a\nb\nc\n", Duration::ZERO);
        by_points.push("r", b"d\n", Duration::ZERO);
        assert_eq!(drain(&by_points), [("a\nb\n".into(), 2), ("c\nd\n".into(), 2)]);
        let by_bytes = queue(100, 5, 1000);
        by_bytes.push("r", b"aaaaaaaaa\nb\nc\ndd\n", Duration::ZERO);
        let expected = [("aaaaaaaaa\n".into(), 1), ("b\nc\n".into(), 2), ("dd\n".into(), 1)];
        assert_eq!(drain(&by_bytes), expected);
    }

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

    /// Records of 100 bytes; 20 of them fill the queue of these tests.
    fn records(number: usize) -> Vec<u8> {
        format!("{}\n", "x".repeat(99)).repeat(number).into_bytes()
    }

    const LONG: Duration = Duration::from_secs(60);

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

    #[test]
    fn what_cannot_be_sent_before_the_deadline_is_dropped_and_counted() {
        let queue = queue(1, 100, 100);
        queue.push("r", b"a\nb\n", Duration::ZERO);
        queue.close(Instant::now());
        assert!(queue.take().is_none());
        assert!(!queue.pause(Duration::from_secs(60)));
        assert_eq!(queue.level(), QueueLevel { dropped: 2, pushed: 2, ..QueueLevel::default() });
    }

    #[test]
    fn with_a_spool_what_lags_goes_to_disk_and_comes_back_in_order() {
        let settings = spool_settings("lag");
        let bounds = Bounds {
            chunk_points_max: 2,
            chunk_bytes_max: 100,
            queue_bytes_max: 1000,
            flush_interval: Duration::ZERO,
        };
        let queue = Queue::new("test", bounds.clone(), Some(&settings)).unwrap();
        queue.push("r", b"a\nb\nc\n", Duration::ZERO);
        let first = queue.take().unwrap();
        assert_eq!(&first.bytes[..], b"a\nb\n");
        assert_eq!(queue.level().spooled_points, 0);
        // The output fails: what is on its way and what waits are on disk before anything else.
        queue.lag();
        queue.push("r", b"d\n", Duration::ZERO);
        queue.sync();
        let level = queue.level();
        assert_eq!((level.points, level.spooled_points, level.bytes), (0, 4, 0));
        // It works again: the chunk on its way is not sent a second time.
        queue.acknowledge();
        assert_eq!(queue.level().spooled_points, 2);
        // Killed: the rest is there for the next run, which repeats no more than since a sync.
        queue.sync();
        drop(queue);
        let queue = Queue::new("test", bounds, Some(&settings)).unwrap();
        queue.push("r", b"e\n", Duration::ZERO);
        let lines: String = drain(&queue).into_iter().map(|(text, _)| text).collect();
        assert_eq!(lines, "c\nd\ne\n");
        assert_eq!(queue.level(), QueueLevel { pushed: 1, ..QueueLevel::default() });
        std::fs::remove_dir_all(&settings.directory).unwrap();
    }

    fn spool_settings(name: &str) -> spool::SpoolConfig {
        let directory = format!("perijove-queue-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        let _ = std::fs::remove_dir_all(&directory);
        spool::SpoolConfig {
            directory,
            bytes_max: 1 << 20,
            age_max: Duration::from_secs(60),
            sync_interval: Duration::from_secs(1),
        }
    }

    #[test]
    fn the_thread_of_the_spool_makes_room_while_the_output_is_down() {
        let settings = spool_settings("thread");
        let bounds = Bounds {
            chunk_points_max: 5,
            chunk_bytes_max: 500,
            queue_bytes_max: 2000,
            flush_interval: Duration::ZERO,
        };
        let queue = Queue::new("test", bounds.clone(), Some(&settings)).unwrap();
        let in_use = Queue::new("test", bounds.clone(), Some(&settings)).err();
        assert!(in_use.is_some_and(|why| why.contains(spool::IN_USE)));
        std::thread::scope(|scope| {
            scope.spawn(|| queue.keep_spool());
            queue.push("r", &records(5), LONG);
            queue.take().unwrap();
            queue.lag();
            for _ in 0..50 {
                queue.push("r", &records(5), LONG);
            }
            assert!(queue.wait_gone(255, Instant::now() + LONG));
            queue.end();
        });
        let level = queue.level();
        assert_eq!((level.spooled_points, level.points, level.dropped), (255, 0, 0));
        queue.close_spool();
        let queue = Queue::new("test", bounds, Some(&settings)).unwrap();
        assert_eq!(drain(&queue).iter().map(|(_, points)| points).sum::<u64>(), 255);
        std::fs::remove_dir_all(&settings.directory).unwrap();
    }

    #[test]
    fn a_write_that_goes_on_for_a_second_goes_to_disk() {
        let settings = spool_settings("slow");
        let bounds = Bounds {
            chunk_points_max: 5,
            chunk_bytes_max: 500,
            queue_bytes_max: 2000,
            flush_interval: Duration::ZERO,
        };
        let queue = Queue::new("test", bounds, Some(&settings)).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| queue.keep_spool());
            queue.push("r", &records(6), LONG);
            queue.take().unwrap();
            assert_eq!(queue.level().spooled_points, 0);
            assert!(queue.wait_gone(6, Instant::now() + LONG));
            queue.end();
        });
        std::fs::remove_dir_all(&settings.directory).unwrap();
    }
}
