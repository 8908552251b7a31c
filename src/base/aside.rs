//! Calls that the system may hold up for longer than anybody waits, such as the resolution of a
//! name: each in a thread of its own, which is left alone once the deadline is over.

use std::io::{self, ErrorKind};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Condvar, Mutex};
use std::thread;
use std::time::Instant;

use super::sync::lock;

/// So many calls are under way at a time, those included that nobody waits for any more. Others
/// wait for room.
const CALLS_MAX: usize = 64;
/// The system's resolver wants some of it.
const STACK_BYTES: usize = 256 << 10;

static CALLS: Calls = Calls::new(CALLS_MAX);

/// Makes the call, and waits for what it returns until the deadline.
pub fn call<T: Send + 'static>(
    deadline: Instant,
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    CALLS.make(deadline, call)
}

struct Calls {
    under_way: Mutex<usize>,
    ended: Condvar,
    max: usize,
}

/// One of the calls under way, until it is dropped.
struct Place(&'static Calls);

impl Drop for Place {
    fn drop(&mut self) {
        *lock(&self.0.under_way) -= 1;
        self.0.ended.notify_one();
    }
}

impl Calls {
    const fn new(max: usize) -> Calls {
        Calls { under_way: Mutex::new(0), ended: Condvar::new(), max }
    }

    fn make<T: Send + 'static>(
        &'static self,
        deadline: Instant,
        call: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let place = self.place(deadline)?;
        let (give, given) = sync_channel(1);
        let run = move || {
            let result = call();
            drop(place);
            let _ = give.send(result);
        };
        thread::Builder::new().name("aside".into()).stack_size(STACK_BYTES).spawn(run)?;
        let left = deadline.saturating_duration_since(Instant::now());
        given.recv_timeout(left).unwrap_or_else(|err| match err {
            RecvTimeoutError::Timeout => Err(too_late("no answer from the system in time")),
            RecvTimeoutError::Disconnected => Err(io::Error::other("the call panicked")),
        })
    }

    fn place(&'static self, deadline: Instant) -> io::Result<Place> {
        let left = deadline.saturating_duration_since(Instant::now());
        let is_full = |under_way: &mut usize| *under_way >= self.max;
        let waited = self.ended.wait_timeout_while(lock(&self.under_way), left, is_full);
        let (mut under_way, waited) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        if waited.timed_out() {
            return Err(too_late("too many such calls have no answer from the system"));
        }
        *under_way += 1;
        Ok(Place(self))
    }
}

fn too_late(why: &str) -> io::Error {
    io::Error::new(ErrorKind::TimedOut, why)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_call_that_hangs_holds_nobody_up_and_others_wait_for_room() {
        static CALLS: Calls = Calls::new(2);
        let soon = || Instant::now() + Duration::from_millis(50);
        let late = || Instant::now() + Duration::from_secs(60);
        assert_eq!(CALLS.make(late(), || Ok(7)).unwrap(), 7);
        let denied = CALLS.make(late(), || Err::<(), _>(ErrorKind::PermissionDenied.into()));
        assert_eq!(denied.unwrap_err().kind(), ErrorKind::PermissionDenied);

        let hang = || {
            let (end, ended) = channel::<()>();
            let err = CALLS.make(soon(), move || {
                let _ = ended.recv();
                Ok(())
            });
            assert!(err.unwrap_err().to_string().contains("no answer from the system in time"));
            end
        };
        let (first, _second) = (hang(), hang());
        let err = CALLS.make(soon(), || Ok(())).unwrap_err();
        assert!(err.to_string().starts_with("too many"), "{err}");
        assert_eq!(err.kind(), ErrorKind::TimedOut);
        drop(first);
        assert_eq!(CALLS.make(late(), || Ok(8)).unwrap(), 8);
        assert_eq!(*lock(&CALLS.under_way), 1);
    }
}
