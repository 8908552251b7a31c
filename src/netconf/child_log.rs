//! The standard error of the local transport's children, in the log: one thread for all of them.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::base::sync::lock;
use crate::base::sys;
use crate::base::text::{first_line, safe};

/// Longer lines are cut in the log.
const LINE_BYTES_MAX: usize = 1000;
/// So many lines of a child are logged in a `PERIOD`; the others are counted.
const LINES_MAX: u32 = 50;
const PERIOD: Duration = Duration::from_secs(60);
/// So many of the last lines are repeated when a child has ended.
const LAST_WORDS_LINES: usize = 3;
/// A child that writes more than that is read only at this interval, one buffer each time: it is
/// not blocked for good, and costs next to nothing.
const BYTES_MAX: usize = 64 << 10;
const FLOOD_PAUSE: Duration = Duration::from_millis(20);
const BUFFER_BYTES: usize = 16 << 10;

/// Children that the thread does not know yet.
static INCOMING: Mutex<Vec<Child>> = Mutex::new(Vec::new());
/// A byte down this socket makes the thread look; `None` until there is a thread.
static WAKE: Mutex<Option<UnixStream>> = Mutex::new(None);

/// How long the end of a child waits for its last lines to be logged.
const LAST_LINES: Duration = Duration::from_millis(250);

/// Stands for a child whose standard error is logged. Drop it when the child has ended: that waits
/// for its last lines, which tell why it ended.
pub struct ChildLog {
    has_ended: Arc<AtomicBool>,
    last: Arc<Mutex<VecDeque<String>>>,
    /// Is closed when the last line is logged.
    logged: Receiver<()>,
}

/// Logs each line that comes from there, behind the name.
pub fn watch(stderr: OwnedFd, name: String) -> io::Result<ChildLog> {
    let mut wake = lock(&WAKE);
    if wake.is_none() {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let log = move || log_all(theirs);
        std::thread::Builder::new().name("stderr".into()).stack_size(64 << 10).spawn(log)?;
        *wake = Some(ours);
    }
    drop(wake);
    let has_ended = Arc::new(AtomicBool::new(false));
    let lines = Lines::new(name, Instant::now());
    let last = lines.last.clone();
    let (logging, logged) = mpsc::channel();
    let stderr = stderr.into();
    let child = Child { stderr, has_ended: has_ended.clone(), lines, _logging: logging };
    lock(&INCOMING).push(child);
    look();
    Ok(ChildLog { has_ended, last, logged })
}

impl ChildLog {
    /// What a child that has ended said at last, in a line.
    pub fn last_words(self) -> String {
        let last = self.last.clone();
        drop(self);
        let lines: Vec<String> = lock(&last).drain(..).collect();
        lines.join("; ")
    }
}

impl Drop for ChildLog {
    fn drop(&mut self) {
        self.has_ended.store(true, Ordering::Release);
        look();
        let _ = self.logged.recv_timeout(LAST_LINES);
    }
}

fn look() {
    if let Some(wake) = lock(&WAKE).as_mut() {
        // One that is full wakes the thread as well.
        let _ = wake.write(&[0]);
    }
}

struct Child {
    stderr: File,
    has_ended: Arc<AtomicBool>,
    lines: Lines,
    _logging: Sender<()>,
}

fn log_all(mut woken: UnixStream) {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut children: Vec<Child> = Vec::new();
    let mut files = Vec::new();
    loop {
        children.append(&mut lock(&INCOMING));
        let now = Instant::now();
        files.clear();
        // poll passes over a negative number: that child is not read now.
        let wanted = children.iter().map(|child| match child.lines.pause(now) {
            None => child.stderr.as_raw_fd(),
            Some(_) => -1,
        });
        files.extend(std::iter::once(woken.as_raw_fd()).chain(wanted).map(|fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        }));
        let due = children.iter().filter_map(|child| child.lines.due(now)).min();
        if sys::poll(&mut files, due).is_err() {
            // The system has no memory for so many now; for the first alone it needs none.
            let _ = sys::poll(&mut files[..1], Some(FLOOD_PAUSE));
        }
        let _ = woken.read(&mut buffer);
        let now = Instant::now();
        let mut ready = files[1..].iter().map(|file| file.revents != 0);
        children.retain_mut(|child| {
            let read = ready.next().unwrap_or_default().then(|| child.stderr.read(&mut buffer));
            let has_ended = child.has_ended.load(Ordering::Acquire);
            let is_open = match read {
                Some(Ok(bytes @ 1..)) => {
                    child.lines.take(&buffer[..bytes], now, &mut |line| log::warn!("{line}"));
                    // Output of processes that it started, and that still run, is not read.
                    !has_ended || bytes == BUFFER_BYTES
                }
                Some(Err(err)) if err.kind() == io::ErrorKind::Interrupted => true,
                Some(_) => false,
                None => !has_ended,
            };
            child.lines.count(now, !is_open, &mut |line| log::warn!("{line}"));
            is_open
        });
    }
}

/// What has come of a child's standard error.
struct Lines {
    name: String,
    /// The beginning of a line; once that is logged, the rest is passed over up to its end.
    line: Vec<u8>,
    is_logged: bool,
    /// When the period began, and what has come in it.
    period: Instant,
    bytes: usize,
    logged: u32,
    left_out: u64,
    last: Arc<Mutex<VecDeque<String>>>,
    /// Until when a child that says too much is not read.
    resume: Option<Instant>,
}

impl Lines {
    fn new(name: String, now: Instant) -> Lines {
        Lines {
            name,
            line: Vec::new(),
            is_logged: false,
            period: now,
            bytes: 0,
            logged: 0,
            left_out: 0,
            last: Arc::default(),
            resume: None,
        }
    }

    /// How long the child is not to be read.
    fn pause(&self, now: Instant) -> Option<Duration> {
        self.resume.map(|resume| resume.saturating_duration_since(now)).filter(|t| !t.is_zero())
    }

    /// When there is something to do even if nothing comes.
    fn due(&self, now: Instant) -> Option<Duration> {
        let period_ends = (self.period + PERIOD).saturating_duration_since(now);
        let counted = (self.left_out > 0).then_some(period_ends);
        self.pause(now).into_iter().chain(counted).min()
    }

    fn take(&mut self, bytes: &[u8], now: Instant, log: &mut dyn FnMut(String)) {
        self.count(now, false, log);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ends = part.ends_with(b"\n");
            if !self.is_logged {
                // One byte more than is shown says that there are more.
                let room = (LINE_BYTES_MAX + 1).saturating_sub(self.line.len());
                self.line.extend_from_slice(&part[..part.len().min(room)]);
                self.is_logged = ends || self.line.len() > LINE_BYTES_MAX;
                if self.is_logged {
                    self.end_line(log);
                }
            }
            self.is_logged &= !ends;
        }
        self.bytes += bytes.len();
        self.resume = (self.bytes > BYTES_MAX).then(|| now + FLOOD_PAUSE);
    }

    fn end_line(&mut self, log: &mut dyn FnMut(String)) {
        let line = std::mem::take(&mut self.line);
        let Lines { name, last, .. } = self;
        if self.logged < LINES_MAX {
            self.logged += 1;
            let text = String::from_utf8_lossy(&line);
            let text = safe(text.trim_end(), LINE_BYTES_MAX);
            log(format!("{name}: {text}"));
            let mut last = lock(last);
            last.push_back(first_line(&text));
            let too_many = last.len().saturating_sub(LAST_WORDS_LINES);
            last.drain(..too_many);
            return;
        }
        if self.left_out == 0 {
            log(format!(
                "{name}: more than {LINES_MAX} lines in {} s on its standard error: the others \
                 are counted and not logged",
                PERIOD.as_secs()
            ));
        }
        self.left_out += 1;
    }

    /// At the end of a period, or of everything, says how many lines were left out.
    fn count(&mut self, now: Instant, at_end: bool, log: &mut dyn FnMut(String)) {
        if at_end && !self.line.is_empty() {
            self.end_line(log);
        }
        if !at_end && now.saturating_duration_since(self.period) < PERIOD {
            return;
        }
        if self.left_out > 0 {
            let Lines { name, left_out, .. } = self;
            log(format!("{name}: {left_out} lines of its standard error were not logged"));
        }
        (self.period, self.bytes, self.logged, self.left_out) = (now, 0, 0, 0);
        self.resume = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(lines: &mut Lines, bytes: &[u8], now: Instant) -> Vec<String> {
        let mut logged = Vec::new();
        lines.take(bytes, now, &mut |line| logged.push(line));
        logged
    }

    #[test]
    fn lines_come_whole_and_safe() {
        let now = Instant::now();
        let mut lines = Lines::new("r1: cli".into(), now);
        assert_eq!(logged(&mut lines, b"one\ntw", now), ["r1: cli: one"]);
        assert_eq!(logged(&mut lines, b"o\x1b[2J\r\n", now), ["r1: cli: two\\u{1b}[2J"]);
        let mut long = vec![b'x'; 3000];
        assert!(logged(&mut lines, &long, now)[0].ends_with("xx…"));
        long.extend(b"\nnext\n");
        assert_eq!(logged(&mut lines, &long, now), ["r1: cli: next"]);
        logged(&mut lines, b"last", now);
        let mut last = Vec::new();
        lines.count(now, true, &mut |line| last.push(line));
        assert_eq!(last, ["r1: cli: last"]);
    }

    #[test]
    fn a_flood_is_cut_counted_and_read_slowly() {
        let now = Instant::now();
        let mut lines = Lines::new("r1: cli".into(), now);
        let flood = b"line\n".repeat(40_000);
        let said = logged(&mut lines, &flood, now);
        assert_eq!(said.len(), LINES_MAX as usize + 1);
        assert!(said.last().unwrap().contains("more than 50 lines in 60 s"), "{said:?}");
        assert_eq!(lines.pause(now), Some(FLOOD_PAUSE));
        assert_eq!(lines.due(now), Some(FLOOD_PAUSE));
        assert_eq!(logged(&mut lines, &flood, now), [""; 0]);
        let later = now + PERIOD;
        let said = logged(&mut lines, b"calm\n", later);
        assert_eq!(said[0], "r1: cli: 79950 lines of its standard error were not logged");
        assert_eq!(said[1..], ["r1: cli: calm"]);
        assert_eq!((lines.pause(later), lines.due(later)), (None, None));

        let mut lines = Lines::new("r1: cli".into(), now);
        let endless = vec![b'x'; 1 << 20];
        assert_eq!(logged(&mut lines, &endless, now).len(), 1);
        assert_eq!(logged(&mut lines, &endless, now), [""; 0]);
        assert_eq!(lines.pause(now), Some(FLOOD_PAUSE));
    }
}
