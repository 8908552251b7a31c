//! `supervise`: a parent that starts perijove again whenever it ends by itself.
//!
//! perijove reads its settings, and if they say so it executes itself as the parent: a process of
//! one thread that does nothing but wait for signals. It starts perijove once more, as its child,
//! passes signals on to it, and starts it again after any end that is not a stop. Parent and child
//! are the same file, because a router executes only files that it has verified.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, parent_id};
use std::path::PathBuf;
use std::process::{self, Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};

use super::log_to;
use crate::base::clock::Backoff;
use crate::base::sys;
use crate::config::{Destination, Level};

/// Makes a process the parent; its value is the log's destination.
const PARENT_VARIABLE: &str = "PERIJOVE_PARENT";
/// Makes one its child; its value is the parent's process id, the number of restarts, and how the
/// last child has ended.
const CHILD_VARIABLE: &str = "PERIJOVE_CHILD";

/// The signals that tell perijove to stop.
const STOPS: &[i32] = &[SIGTERM, SIGINT, SIGQUIT];
/// What the parent waits for. It passes all but SIGCHLD on.
const SIGNALS: &[i32] = &[SIGCHLD, SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2];

/// The waits before a new start.
const RESTART: Backoff =
    Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };
/// After so long, an end is the first of its kind again.
const SETTLED: Duration = Duration::from_secs(600);
/// How much later than promised a sign of life may come: the machine itself may have stood still.
const GRACE: Duration = Duration::from_secs(10);

/// Turns this process, which has started no thread, into the parent. Returns only if it fails.
pub fn become_parent(destination: Destination) -> io::Error {
    sys::hold_signals(SIGNALS);
    let value = if destination == Destination::Syslog { "syslog" } else { "stderr" };
    let mut command = Command::new(match own_program() {
        Ok(program) => program,
        Err(err) => return err,
    });
    command.env(PARENT_VARIABLE, value).env_remove(CHILD_VARIABLE);
    same_arguments(&mut command).exec()
}

/// Where this program is: the file that runs, or under which name it was started if that file has
/// been replaced.
fn own_program() -> io::Result<PathBuf> {
    let running = std::env::current_exe();
    if let Some(running) = running.as_ref().ok().filter(|running| running.exists()) {
        return Ok(running.clone());
    }
    let named = std::env::args_os().next().map(PathBuf::from);
    match named.filter(|named| named.components().count() > 1) {
        Some(named) => Ok(named),
        None => running,
    }
}

fn same_arguments(command: &mut Command) -> &mut Command {
    let mut arguments = std::env::args_os();
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments)
}

/// Whether this process was made the parent, and where it is to log.
pub fn parents_log() -> Option<Destination> {
    let value = std::env::var_os(PARENT_VARIABLE)?;
    Some(if value == *"syslog" { Destination::Syslog } else { Destination::Stderr })
}

/// The parent: returns perijove's exit code when it is to run no longer.
pub fn watch(destination: Destination) -> u8 {
    sys::hold_signals(SIGNALS);
    log_to::start(destination, Level::Info);
    let (mut restarts, mut failures) = (0, 0);
    let mut last_end = String::new();
    loop {
        let started = Instant::now();
        let (end, is_stopping) = match start(restarts, &last_end) {
            Ok(child) => child.wait(),
            Err(err) => (End::NotStarted(err.to_string()), false),
        };
        if let Some(code) = end.is_final(is_stopping, restarts) {
            if let End::NotStarted(_) = end {
                log::error!("perijove {}", end.words());
            }
            return code;
        }
        failures = if started.elapsed() < SETTLED { failures } else { 0 };
        let wait = RESTART.wait(failures);
        log::error!("perijove {}; it starts again in {:.1} s", end.words(), wait.as_secs_f64());
        if pause(wait) {
            return 0;
        }
        (restarts, failures, last_end) = (restarts + 1, failures + 1, end.words());
    }
}

/// Waits before a new start; true if it is not to come. SIGHUP ends the wait: the settings may be
/// right now.
fn pause(wait: Duration) -> bool {
    let until = Instant::now() + wait;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match sys::next_signal(SIGNALS, Some(left)) {
            Some(signal) if STOPS.contains(&signal) => return true,
            Some(SIGHUP) => return false,
            _ if left.is_zero() => return false,
            _ => {}
        }
    }
}

fn start(restarts: u64, last_end: &str) -> io::Result<Watched> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    let mut command = Command::new(own_program()?);
    command
        .env(CHILD_VARIABLE, format!("{} {restarts} {last_end}", process::id()))
        .env_remove(PARENT_VARIABLE)
        .stdin(Stdio::from(OwnedFd::from(theirs)));
    let child = same_arguments(&mut command).spawn()?;
    Ok(Watched { child, promises: ours })
}

/// A child, and what it promises.
struct Watched {
    child: Child,
    promises: UnixStream,
}

impl Watched {
    /// Passes signals on until the child has ended; says how, and whether it was told to stop.
    fn wait(mut self) -> (End, bool) {
        sys::let_go();
        let mut is_stopping = false;
        let mut pulse = Pulse::new(Instant::now());
        loop {
            let left = pulse.due.saturating_duration_since(Instant::now());
            if let Some(signal) = sys::next_signal(SIGNALS, Some(left))
                && signal != SIGCHLD
            {
                is_stopping |= STOPS.contains(&signal);
                sys::signal(self.child.id(), signal);
            }
            if let Some(status) = self.child.try_wait().ok().flatten() {
                return (End::Status(status), is_stopping);
            }
            let promise = self.last_promise();
            if pulse.is_hung(Instant::now(), promise) {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return (End::Hung, is_stopping);
            }
        }
    }

    /// The last promise since this was asked.
    fn last_promise(&mut self) -> Option<Duration> {
        let mut last = None;
        let mut bytes = [0; 64 * PROMISE_BYTES];
        while let Ok(read @ 1..) = self.promises.read(&mut bytes) {
            let promise = bytes[..read].chunks_exact(PROMISE_BYTES).next_back();
            last = promise.and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes).or(last);
        }
        last.map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// A promise is a number of seconds, within which the next one comes.
const PROMISE_BYTES: usize = size_of::<u32>();

/// Whether the child keeps its promises.
struct Pulse {
    due: Instant,
    /// A start may take as long as it takes.
    has_promised: bool,
    is_late: bool,
}

impl Pulse {
    fn new(now: Instant) -> Pulse {
        Pulse { due: now + GRACE, has_promised: false, is_late: false }
    }

    fn is_hung(&mut self, now: Instant, promise: Option<Duration>) -> bool {
        if let Some(promise) = promise {
            *self = Pulse { due: now + promise, has_promised: true, is_late: false };
        } else if now >= self.due {
            if self.is_late {
                return true;
            }
            (self.due, self.is_late) = (now + GRACE, self.has_promised);
        }
        false
    }
}

/// How a child has ended.
enum End {
    Status(ExitStatus),
    Hung,
    NotStarted(String),
}

impl End {
    /// The exit code, if this was the end.
    fn is_final(&self, is_stopping: bool, restarts: u64) -> Option<u8> {
        let code = match self {
            End::Status(status) => status.code().and_then(|code| u8::try_from(code).ok()),
            End::Hung => None,
            End::NotStarted(_) => Some(1),
        };
        match (self, code) {
            (_, Some(0)) => Some(0),
            _ if is_stopping => Some(code.unwrap_or(1)),
            // What is wrong from the start does not get right by itself.
            (End::NotStarted(_), _) | (_, Some(2)) if restarts == 0 => code,
            _ => None,
        }
    }

    fn words(&self) -> String {
        match self {
            End::Status(status) => format!("has ended ({status})"),
            End::Hung => "gave no sign of life in time, and was killed".into(),
            End::NotStarted(why) => format!("could not be started ({why})"),
        }
    }
}

/// What a child knows of its parent.
struct Parent {
    restarts: u64,
    last_end: String,
    promises: Option<UnixStream>,
}

static PARENT: OnceLock<Option<Parent>> = OnceLock::new();

fn parent() -> Option<&'static Parent> {
    PARENT.get().and_then(Option::as_ref)
}

/// Finds out whether this process is such a child, and if so ends with its parent. Signals that
/// came before reach it now.
pub fn find() {
    let find = || {
        let value = std::env::var(CHILD_VARIABLE).ok()?;
        let (id, rest) = value.split_once(' ')?;
        let (restarts, last_end) = rest.split_once(' ')?;
        // If not, it was inherited from somewhere else; or the parent ends just now, which is why
        // this is asked again.
        let is_parents = || id.parse() == Ok(parent_id());
        if !is_parents() {
            return None;
        }
        sys::end_with_parent();
        if !is_parents() {
            return None;
        }
        let socket = io::stdin().as_fd().try_clone_to_owned();
        Some(Parent {
            restarts: restarts.parse().ok()?,
            last_end: last_end.into(),
            promises: socket.ok().map(UnixStream::from),
        })
    };
    if PARENT.get_or_init(find).is_some() {
        sys::release_signals();
    }
}

pub fn is_found() -> bool {
    parent().is_some()
}

/// How often this process has been started again; `None` without a parent.
pub fn restarts() -> Option<u64> {
    parent().map(|parent| parent.restarts)
}

/// Says that this is a new start, and why. The parent says so too, but may not know where the log
/// is that the router's configuration names.
pub fn say_restart() {
    if let Some(Parent { restarts: restarts @ 1.., last_end, .. }) = parent() {
        log::warn!("this is restart {restarts}: perijove {last_end}");
    }
}

/// Promises the parent another sign of life within that time. A parent that does not listen is no
/// error.
pub fn promise(time: Duration) {
    if let Some(mut socket) = parent().and_then(|parent| parent.promises.as_ref()) {
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1);
        let _ = socket.write(&seconds.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn only_what_is_no_stop_starts_again() {
        let exit = |code: i32| End::Status(ExitStatus::from_raw(code << 8));
        let killed = |signal| End::Status(ExitStatus::from_raw(signal));
        let cannot = || End::NotStarted("why".into());
        for (end, is_stopping, restarts, code) in [
            (exit(0), false, 0, Some(0)),
            (exit(0), true, 5, Some(0)),
            (exit(1), true, 0, Some(1)),
            (killed(9), true, 0, Some(1)),
            (End::Hung, true, 0, Some(1)),
            (exit(2), false, 0, Some(2)),
            (cannot(), false, 0, Some(1)),
            // Settings that are wrong later are mended later.
            (exit(2), false, 1, None),
            (cannot(), false, 1, None),
            (exit(1), false, 0, None),
            (killed(11), false, 0, None),
            (killed(9), false, 3, None),
            (End::Hung, false, 0, None),
        ] {
            let what = format!("{} {is_stopping} {restarts}", end.words());
            assert_eq!(end.is_final(is_stopping, restarts), code, "{what}");
        }
    }

    #[test]
    fn who_breaks_a_promise_is_given_some_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::new(start);
        // Without a promise none is broken.
        for seconds in [10, 20, 300] {
            assert!(!pulse.is_hung(at(seconds), None));
        }
        assert!(!pulse.is_hung(at(301), Some(Duration::from_secs(60))));
        assert!(!pulse.is_hung(at(360), None) && pulse.due == at(361));
        assert!(!pulse.is_hung(at(361), None) && pulse.due == at(371));
        // Both had stood still; a promise makes it good.
        assert!(!pulse.is_hung(at(371), Some(Duration::from_secs(60))));
        assert!(!pulse.is_hung(at(431), None));
        assert!(!pulse.is_hung(at(440), None));
        assert!(pulse.is_hung(at(441), None));
    }

    #[test]
    fn the_last_promise_counts() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let child = Command::new("true").spawn().unwrap();
        let mut watched = Watched { child, promises: ours };
        assert_eq!(watched.last_promise(), None);
        for seconds in 1..=200u32 {
            theirs.write_all(&seconds.to_ne_bytes()).unwrap();
        }
        assert_eq!(watched.last_promise(), Some(Duration::from_secs(200)));
        assert_eq!(watched.last_promise(), None);
        let _ = watched.child.wait();
    }
}
