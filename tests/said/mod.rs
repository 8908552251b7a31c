//! What is logged meanwhile.

use std::cell::RefCell;

thread_local! {
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Does something; what it came to, and what it logged in this thread.
pub fn listen<T>(act: impl FnOnce() -> T) -> (T, Vec<String>) {
    // Another test of the program may have set it before.
    let _ = log::set_logger(&Said);
    log::set_max_level(log::LevelFilter::Info);
    SAID.with_borrow_mut(Vec::clear);
    let result = act();
    (result, SAID.take())
}

struct Said;

impl log::Log for Said {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }
    fn log(&self, record: &log::Record) {
        SAID.with_borrow_mut(|said| said.push(record.args().to_string()));
    }
    fn flush(&self) {}
}
