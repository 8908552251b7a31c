//! Panics: a bug costs the current operation; it is counted, and logged once with its place.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::clock::Backoff;
use super::sync::lock;

static COUNT: AtomicU64 = AtomicU64::new(0);
/// The places where the code has panicked; the code bounds their number.
static PLACES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The waits before a thread that has panicked starts again.
const RESTART: Backoff =
    Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// Counts panics from now on and logs them, instead of writing them to standard error.
pub fn watch() {
    panic::set_hook(Box::new(note));
}

fn note(info: &PanicHookInfo) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    if lock(&PLACES).insert(place.clone()) {
        let why = words(info.payload());
        log::error!(
            "a bug in perijove at {place} ({why}): the operation is abandoned, the rest goes \
             on; please report it. It is logged once and counted in perijove_panics_total"
        );
    }
}

/// Panics since the start.
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

fn words(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Runs `run`; after a panic, the error is its message. What it changed may be half done: the
/// caller must discard that.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    panic::catch_unwind(AssertUnwindSafe(run))
        .map_err(|payload| format!("a bug in perijove: {}", words(&*payload)))
}

/// Runs `run` until it ends without a panic. After a panic it runs again, after a wait that grows;
/// `pause` waits for this long, and returns whether to end instead.
pub fn keep_running(mut run: impl FnMut(), pause: impl Fn(Duration) -> bool) {
    let mut failures = 0;
    while caught(&mut run).is_err() {
        if pause(RESTART.wait(failures)) {
            return;
        }
        failures += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_panics_runs_again_later_each_time_until_it_ends() {
        let before = count();
        let hook = panic::take_hook();
        watch();
        let (mut runs, pauses) = (0, Mutex::new(Vec::new()));
        let run = || {
            runs += 1;
            assert!(runs > 3, "not yet");
        };
        keep_running(run, |time| {
            lock(&pauses).push(time);
            false
        });
        let pauses = pauses.into_inner().unwrap();
        assert_eq!((runs, pauses.len()), (4, 3));
        assert!(pauses[2] > pauses[0], "{pauses:?}");
        assert!(count() >= before + 3);
        assert_eq!(
            caught(|| panic!("{} things", 2)),
            Err::<(), _>("a bug in perijove: 2 things".into())
        );
        assert_eq!(caught(|| 7), Ok(7));
        // The other tests say why they fail.
        panic::set_hook(hook);
    }

    #[test]
    fn what_is_to_end_does_not_run_again() {
        let mut runs = 0;
        let run = || {
            runs += 1;
            panic!("always");
        };
        keep_running(run, |_| true);
        assert_eq!(runs, 1);
    }
}
