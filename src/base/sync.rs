//! Locks without poisoning: what they guard is plain data, whole after every step.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

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
