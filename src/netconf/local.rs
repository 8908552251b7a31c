//! NETCONF on the router itself: a child process spoken to over a socket pair.
//!
//! A socket, unlike a pipe, has time limits of its own; it is also what sshd gives the same
//! program when it runs it as a subsystem.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use super::child_log::{self, ChildLog};
use super::transport::{Error, Transport, time_left, timed_out};
use crate::base::sync::lock;
use crate::base::{child, sys};

/// What the child gets of perijove's environment: what the cli of Junos or a shell needs, and none
/// of perijove's secrets.
const ENVIRONMENT: &[&str] =
    &["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"];

/// The children that run, each the leader of a group of its own; `None` once there are to be no
/// more. A thread that still waits for an answer when the program ends drops nothing.
static LIVE: Mutex<Option<BTreeSet<u32>>> = Mutex::new(Some(BTreeSet::new()));

/// Kills all children that run, and lets no other be started.
pub fn end_all() {
    lock(&LIVE).take().into_iter().flatten().for_each(sys::kill_group);
}

pub struct Local {
    program: String,
    child: Child,
    /// Its exit status, once that is known.
    status: Option<ExitStatus>,
    socket: UnixStream,
    /// The last words of its standard error are logged when this goes.
    log: Option<ChildLog>,
    deadline: Instant,
}

/// Starts the command, whose standard error goes to the log, named by `router`.
pub fn start(command: &[String], router: &str) -> Result<Box<dyn Transport>, Error> {
    let (program, arguments) = command.split_first().ok_or(Error("no command is set".into()))?;
    let run = || -> io::Result<Local> {
        let (socket, theirs) = UnixStream::pair()?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(theirs.try_clone()?)))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            .env_clear()
            .envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .process_group(0);
        let mut live = lock(&LIVE);
        let live = live.as_mut().ok_or_else(|| io::Error::other("perijove ends"))?;
        let mut child = child::spawn(command)?;
        live.insert(child.id());
        let stderr = child.stderr.take();
        let program = program.clone();
        // From here on the child is killed if anything fails.
        let mut local =
            Local { program, child, status: None, socket, log: None, deadline: Instant::now() };
        if let Some(stderr) = stderr {
            let name = format!("{router}: {}", local.program);
            local.log = Some(child_log::watch(stderr.into(), name)?);
        }
        Ok(local)
    };
    match run() {
        Ok(local) => Ok(Box::new(local)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Err(Error(format!(
            "cannot run {program}: there is no such program; if this is no router, --target HOST \
             reaches one over SSH"
        ))),
        Err(err) => Err(Error(format!("cannot run {program}: {err}"))),
    }
}

fn limit(err: io::Error) -> io::Error {
    if err.kind() == io::ErrorKind::WouldBlock { timed_out() } else { err }
}

impl Local {
    /// Why no more data comes.
    fn ended(&mut self) -> io::Error {
        self.reap(|child| child.try_wait().ok().flatten());
        let status = self.status.map(|status| format!(" ({status})")).unwrap_or_default();
        let what = format!("the command {} has ended{status}", self.program);
        io::Error::new(io::ErrorKind::UnexpectedEof, what)
    }

    /// Takes the child's end, once, and what it has started with it.
    fn reap(&mut self, wait: impl Fn(&mut Child) -> Option<ExitStatus>) {
        if self.status.is_none() {
            let mut live = lock(&LIVE);
            self.status = wait(&mut self.child);
            if self.status.is_some() {
                let id = self.child.id();
                sys::kill_group(id);
                live.as_mut().map(|live| live.remove(&id));
            }
        }
    }
}

impl Read for Local {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(time_left(self.deadline)?))?;
        match self.socket.read(into) {
            Ok(0) => Err(self.ended()),
            // What we had sent was not read to its end.
            Err(err) if err.kind() == io::ErrorKind::ConnectionReset => Err(self.ended()),
            read => read.map_err(limit),
        }
    }
}

impl Write for Local {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(Some(time_left(self.deadline)?))?;
        self.socket.write(bytes).map_err(limit)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Local {
    fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        if self.status.is_none() {
            sys::kill_group(self.child.id());
        }
        self.reap(|child| child.wait().ok());
    }
}
