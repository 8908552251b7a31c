//! The spool of a queue: what the output's thread and the spool's thread write to the disk and read
//! back. Pollers have no part in it.

use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use super::{Bounds, Chunk, Kept, Queue, Reason};
use crate::base::sync::{self, lock};
use crate::output::backlog::Held;
use crate::output::spool::{self, Spool, Taken};

/// An output that takes longer than this for a chunk lags: its queue goes to disk.
const LAG: Duration = Duration::from_secs(1);
/// How long a disk that failed is left alone.
const SPOOL_RETRY: Duration = Duration::from_secs(1);

/// The spool, and what was logged about it.
pub(super) struct Disk {
    pub(super) settings: spool::SpoolConfig,
    /// `None` until it can be opened, and at the end.
    pub(super) spool: Option<Spool>,
    pub(super) is_closed: bool,
    pub(super) error: Option<String>,
    /// Whether it was logged that it cannot be synced.
    pub(super) unsynced_said: bool,
}

impl Queue {
    /// Opens the spool if it is not open yet, and says what it holds; that it cannot be opened is
    /// said once.
    pub(super) fn open_spool(&self, disk: &mut Disk) {
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

    /// The output's thread takes the lock of the disk, before the spool's thread.
    pub(super) fn lock_disk(&self) -> Option<MutexGuard<'_, Disk>> {
        let disk = self.disk.as_ref()?;
        lock(&self.state).want_disk += 1;
        let disk = lock(disk);
        lock(&self.state).want_disk -= 1;
        self.spill_wanted.notify_one();
        Some(disk)
    }

    /// The oldest records on disk, if there are any.
    pub(super) fn take_spooled(&self, disk: Option<&mut Disk>) -> Option<Chunk> {
        let spool = disk?.spool.as_mut().filter(|spool| spool.points() > 0)?;
        let taken = spool.take(self.bounds.chunk_bytes_max, self.bounds.chunk_points_max);
        let Taken { bytes, points, damaged_bytes, damaged_points } = taken;
        let mut state = lock(&self.state);
        let why = format!("{damaged_bytes} bytes of the spool are damaged");
        state.drop_points(damaged_points, Reason::Other, self.name, &why);
        state.note(spool);
        (points > 0).then(|| self.send(&mut state, bytes, points, Kept::Spool))
    }

    /// Puts on disk what the output does not take in time and syncs it, until `end`. For a thread
    /// of its own: pollers and the output do not wait for it.
    pub fn keep_spool(&self) {
        let Some(disk) = &self.disk else { return };
        let interval = lock(disk).settings.sync_interval;
        let mut sync_at = Instant::now() + interval;
        while let Some(is_wanted) = self.wait_spill(sync_at) {
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

    /// Waits until something is to be put on disk (true) or to be synced (false), or the end. The
    /// output's thread goes first: it takes what is on disk, or says that it was delivered.
    fn wait_spill(&self, sync_at: Instant) -> Option<bool> {
        let mut state = lock(&self.state);
        loop {
            if state.ended {
                return None;
            }
            if state.want_disk > 0 {
                state = sync::wait(&self.spill_wanted, state, None);
                continue;
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
    pub(super) fn spill(&self, disk: &mut Disk) {
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
            && let Some(Held { bytes, points, parts }) =
                { lock(&self.state).backlog.hold(chunk_bytes_max, chunk_points_max) }
        {
            tried = true;
            left = left.saturating_sub(bytes.len());
            let appended = spool.append_of(&bytes, points, parts);
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
            if !spool.is_on_its_way()
                && let Some((_, kept @ Kept::Spool)) = &mut state.in_flight
            {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::queue::QueueLevel;
    use crate::output::queue::tests::{LONG, drain, records};

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
