//! What the collectors of a poll keep until its end: a router chooses how much that is, by the
//! number and the length of its names. It is measured, not estimated, so that no collector can
//! forget it.

use std::cell::Cell;

use crate::base::sys;

/// The collectors of a poll keep no more than this at a time. A reply that would need more fails.
pub const BYTES_MAX: usize = 16 << 20;

thread_local! {
    /// Nothing while no poll is counted, as when a file is read: its points wait until all is read.
    static KEPT: Cell<Option<i64>> = const { Cell::new(None) };
}

/// A poll begins on this thread.
pub fn begin() {
    KEPT.set(Some(0));
}

/// Counts what this leaves behind in memory, or frees.
pub fn counted<T>(keep: impl FnOnce() -> T) -> T {
    let before = sys::allocated_bytes();
    let made = keep();
    KEPT.set(KEPT.get().map(|kept| kept + sys::allocated_bytes() - before));
    made
}

/// Whether more is kept than may be.
pub fn is_too_much() -> bool {
    KEPT.get().is_some_and(|kept| kept > BYTES_MAX as i64)
}
