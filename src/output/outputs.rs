//! The list of outputs, shared by everything that pushes to them.

use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use super::delivery::Output;
use crate::base::sync::{lock, wait};

type List = Arc<[Arc<Output>]>;

/// The list of outputs. It can change while pollers run: the change waits for polls that hold the
/// list, and polls that begin meanwhile wait for the change. So no point goes to an output that has
/// ended, or misses one that is about to start.
#[derive(Clone, Default)]
pub struct Outputs(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    list: List,
    holders: usize,
    is_changing: bool,
}

/// The list as it is, until this is dropped.
pub struct Held<'a> {
    list: List,
    shared: &'a Shared,
}

impl Deref for Held<'_> {
    type Target = [Arc<Output>];

    fn deref(&self) -> &[Arc<Output>] {
        &self.list
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        lock(&self.shared.state).holders -= 1;
        self.shared.changed.notify_all();
    }
}

impl Outputs {
    /// Holds the list for a poll.
    pub fn hold(&self) -> Held<'_> {
        let mut state = lock(&self.0.state);
        while state.is_changing {
            state = wait(&self.0.changed, state, None);
        }
        state.holders += 1;
        Held { list: state.list.clone(), shared: &self.0 }
    }

    /// Replaces the list: `make` makes the new one as soon as no poll holds the old one, and at
    /// `until` in any case.
    pub fn change<T>(&self, until: Instant, make: impl FnOnce() -> (Vec<Arc<Output>>, T)) -> T {
        let mut state = lock(&self.0.state);
        state.is_changing = true;
        while state.holders > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = wait(&self.0.changed, state, Some(left));
        }
        drop(state);
        let (list, made) = make();
        let mut state = lock(&self.0.state);
        state.list = list.into();
        state.is_changing = false;
        drop(state);
        self.0.changed.notify_all();
        made
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_change_waits_for_holders_and_holders_for_a_change() {
        let outputs = Outputs::default();
        let held = outputs.hold();
        let (began, has_begun) = mpsc::channel();
        let (finish, may_finish) = mpsc::channel::<()>();
        let changing = outputs.clone();
        let change = thread::spawn(move || {
            changing.change(Instant::now() + Duration::from_secs(60), || {
                began.send(()).unwrap();
                may_finish.recv().unwrap();
                (Vec::new(), ())
            });
        });
        assert!(has_begun.recv_timeout(Duration::from_millis(50)).is_err());
        drop(held);
        has_begun.recv().unwrap();
        let (got, has_got) = mpsc::channel();
        thread::spawn(move || got.send(outputs.hold().len()));
        assert!(has_got.recv_timeout(Duration::from_millis(50)).is_err());
        finish.send(()).unwrap();
        assert_eq!(has_got.recv(), Ok(0));
        change.join().unwrap();
    }

    #[test]
    fn one_who_holds_the_list_too_long_is_not_waited_for() {
        let outputs = Outputs::default();
        let _held = outputs.hold();
        outputs.change(Instant::now(), || (Vec::new(), ()));
        assert_eq!(outputs.hold().len(), 0);
    }
}
