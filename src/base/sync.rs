//! Locks without poisoning: they guard plain data that is consistent after every step.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Waits for the condition, or for so long if a time is given.
pub fn wait<'a, T>(
    changed: &Condvar,
    guard: MutexGuard<'a, T>,
    time: Option<Duration>,
) -> MutexGuard<'a, T> {
    match time {
        None => changed.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner()),
        Some(time) => {
            changed.wait_timeout(guard, time).unwrap_or_else(|poisoned| poisoned.into_inner()).0
        }
    }
}

/// Tells a thread to end, and ends its waits. Copies share one state.
#[derive(Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    pub fn set(&self) {
        *lock(&self.0.0) = true;
        self.0.1.notify_all();
    }

    pub fn is_set(&self) -> bool {
        *lock(&self.0.0)
    }

    /// Waits for so long; true at once when the thread is to end.
    pub fn wait(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut is_set = lock(&self.0.0);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if *is_set || left.is_zero() {
                return *is_set;
            }
            is_set = wait(&self.0.1, is_set, Some(left));
        }
    }
}
