//! The count of values that are there and do not fit, for those that are read only when a point is
//! made: then the reader of the reply is far away.
//!
//! A value that `element` reads is counted there. Leaves that are kept as text are read by the
//! fields of a measurement, which get the item and nothing else. They count here, in the thread
//! that reads the reply; the reader takes the count after each item.

use std::cell::RefCell;

/// How many values did not fit, and the first of them.
#[derive(Debug, Default, PartialEq)]
pub struct Misfits {
    pub count: u64,
    pub first: Option<String>,
}

thread_local! {
    static MISFITS: RefCell<Misfits> = const { RefCell::new(Misfits { count: 0, first: None }) };
}

/// Counts a value of this thread's reply.
pub fn count(why: impl FnOnce() -> String) {
    MISFITS.with_borrow_mut(|misfits| {
        misfits.count += 1;
        misfits.first.get_or_insert_with(why);
    });
}

/// What was counted in this thread since the last call.
pub fn take() -> Misfits {
    MISFITS.with_borrow_mut(|misfits| match misfits.count {
        0 => Misfits::default(),
        _ => std::mem::take(misfits),
    })
}
