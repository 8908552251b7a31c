//! What the main thread waits for: signals, and events from units.

use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::base::sandbox::{self, Confine};
use crate::netconf::local;
use crate::poll::configuration::Macros;

pub enum Event {
    Terminate,
    Reload,
    /// The macros in the router's configuration, after a commit; or why they cannot be read.
    Configured(Result<Macros, String>),
    /// A list of routers has changed.
    Listed,
    /// Nobody reads what an output writes any more.
    Gone,
    /// A command that runs once is done.
    Ended(Result<(), String>),
}

/// Requests to read the settings again (SIGHUP). One that comes before the program can obey it is
/// kept until then, and does not end the program.
pub struct Hangups(Signals);

impl Hangups {
    /// To be called before anything else is done.
    pub fn hold() -> Result<Hangups, String> {
        Signals::new([SIGHUP]).map(Hangups).map_err(cannot_watch)
    }
}

fn cannot_watch(err: std::io::Error) -> String {
    format!("cannot wait for signals: {err}")
}

/// A signal to stop may come twice: from the terminal or the service manager, and passed on by a
/// parent. Later than this, it is another one.
const SAME_STOP: Duration = Duration::from_secs(1);

/// Turns signals into events. A second signal to stop ends the program at once.
pub fn watch_signals(Hangups(mut signals): Hangups, events: Sender<Event>) -> Result<(), String> {
    for signal in [SIGTERM, SIGINT] {
        signals.add_signal(signal).map_err(cannot_watch)?;
    }
    let watch = move || {
        let mut stopping: Option<Instant> = None;
        for signal in signals.forever() {
            let event = if signal == SIGHUP { Event::Reload } else { Event::Terminate };
            if signal != SIGHUP {
                match stopping {
                    Some(since) if since.elapsed() < SAME_STOP => continue,
                    Some(_) => {
                        local::end_all();
                        std::process::exit(1);
                    }
                    None => stopping = Some(Instant::now()),
                }
            }
            if events.send(event).is_err() {
                return;
            }
        }
    };
    spawn("signals", Confine::Calls, watch)
}

/// Stacks are small, because there may be hundreds of routers; replies nest at most 128 deep.
const STACK_BYTES: usize = 512 << 10;

/// Starts a thread with this confinement.
pub fn spawn(name: &str, how: Confine, run: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let run = move || {
        sandbox::enter(how);
        run();
    };
    let thread = thread::Builder::new().name(name.into()).stack_size(STACK_BYTES);
    thread.spawn(run).map(drop).map_err(|err| format!("cannot start a thread: {err}"))
}
