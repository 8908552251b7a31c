//! Starts children from a thread that is never confined: confined threads (see `sandbox`) may not
//! start any, and their children would be confined too.

use std::io;
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread;

use super::sync::lock;
use super::sys;

type Wanted = (Command, SyncSender<io::Result<Child>>);

static NURSERY: Mutex<Option<Sender<Wanted>>> = Mutex::new(None);

/// Starts that thread; from a thread that is not confined.
pub fn start_nursery() -> io::Result<()> {
    let (want, wanted) = channel::<Wanted>();
    let run = move || {
        for (mut command, give) in wanted {
            let _ = give.send(command.spawn());
        }
    };
    thread::Builder::new().name("children".into()).stack_size(128 << 10).spawn(run)?;
    *lock(&NURSERY) = Some(want);
    Ok(())
}

/// Starts a child: from that thread if it runs, else from this one.
pub fn spawn(mut command: Command) -> io::Result<Child> {
    sys::spare(&mut command);
    let Some(nursery) = lock(&NURSERY).clone() else { return command.spawn() };
    let (give, given) = sync_channel(1);
    let ended = || io::Error::other("perijove ends");
    nursery.send((command, give)).map_err(|_| ended())?;
    given.recv().unwrap_or_else(|_| Err(ended()))
}
