//! NETCONF on the router itself: a child process spoken to over a socket pair.
//!
//! A socket, unlike a pipe, has time limits of its own; it is also what sshd gives the same
//! program when it runs it as a subsystem.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::child_log::{self, ChildLog};
use super::transport::{Error, Timed, Transport};
use crate::base::sync::lock;
use crate::base::{child, sys};

/// What the child gets of perijove's environment: what the cli of Junos or a shell needs, and none
/// of perijove's secrets.
const ENVIRONMENT: &[&str] =
    &["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"];

/// How long a child that says nothing more may take to end.
const END: Duration = Duration::from_millis(250);

/// The children that run, each the leader of a group of its own; `None` once there are to be no
/// more. A thread that still waits for an answer when the program ends drops nothing.
static LIVE: Mutex<Option<BTreeSet<u32>>> = Mutex::new(Some(BTreeSet::new()));

/// Kills all children that run, and lets no other be started.
pub fn end_all() {
    lock(&LIVE).take().into_iter().flatten().for_each(sys::kill_group);
}

/// How a child is started, and what is said of it.
pub struct Child<'a> {
    pub command: &'a [String],
    /// The name that lines of its standard error have in the log.
    pub router: &'a str,
    /// What it gets of the environment besides `ENVIRONMENT`.
    pub environment: &'a [&'a str],
    /// What to say if there is no such program.
    pub absent: &'a str,
    /// What to add to its last words, when it has ended.
    pub explain: Explain,
}

type Explain = Box<dyn Fn(&str) -> String + Send>;

pub struct Local {
    program: String,
    explain: Explain,
    child: process::Child,
    /// Its exit status, once that is known.
    status: Option<ExitStatus>,
    socket: Timed,
    /// The last words of its standard error are logged when this goes.
    log: Option<ChildLog>,
}

/// Starts a router's own command.
pub fn start_command(command: &[String], router: &str) -> Result<Box<dyn Transport>, Error> {
    start(Child {
        command,
        router,
        environment: &[],
        absent: "if this is no router, --target HOST reaches one over SSH",
        explain: Box::new(|_| String::new()),
    })
}

/// Starts a child, whose standard error goes to the log.
pub fn start(child: Child) -> Result<Box<dyn Transport>, Error> {
    let Child { command, router, environment, absent, explain } = child;
    let (program, arguments) = command.split_first().ok_or(Error("no command is set".into()))?;
    let run = || -> io::Result<Local> {
        let environment = ENVIRONMENT.iter().chain(environment);
        let (socket, theirs) = UnixStream::pair()?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(theirs.try_clone()?)))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            .env_clear()
            .envs(environment.filter_map(|name| Some((name, std::env::var_os(name)?))))
            .process_group(0);
        let mut live = lock(&LIVE);
        let live = live.as_mut().ok_or_else(|| io::Error::other("perijove ends"))?;
        let mut child = child::spawn(command)?;
        live.insert(child.id());
        let stderr = child.stderr.take();
        let program = program.clone();
        // From here on the child is killed if anything fails.
        let (status, log) = (None, None);
        let socket = Timed { socket, deadline: Instant::now() };
        let mut local = Local { program, explain, child, status, socket, log };
        if let Some(stderr) = stderr {
            let name = format!("{router}: {}", local.program);
            local.log = Some(child_log::watch(stderr.into(), name)?);
        }
        Ok(local)
    };
    match run() {
        Ok(local) => Ok(Box::new(local)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => {
            Err(Error(format!("cannot run {program}: there is no such program; {absent}")))
        }
        Err(err) => Err(Error(format!("cannot run {program}: {err}"))),
    }
}

impl Local {
    /// Why no more data comes.
    fn ended(&mut self) -> io::Error {
        // It closes its end a moment before it is gone. It is asked again and again, because
        // waitpid(2) knows no time limit, and what does (a pidfd, a kqueue) is not on every system.
        // `END` bounds this, so that a stop is not held up.
        let until = Instant::now() + END;
        loop {
            self.reap(|child| child.try_wait().ok().flatten());
            if self.status.is_some() || Instant::now() >= until {
                break;
            }
            std::thread::sleep(END / 50);
        }
        let status = self.status.map(|status| format!(" ({status})")).unwrap_or_default();
        let words = self.log.take().map(ChildLog::last_words).unwrap_or_default();
        let said = if words.is_empty() { String::new() } else { format!(": {words}") };
        let advice = (self.explain)(&words);
        let what = format!("the command {} has ended{status}{said}{advice}", self.program);
        io::Error::new(io::ErrorKind::UnexpectedEof, what)
    }

    /// Takes the child's end, once, and what it has started with it.
    fn reap(&mut self, wait: impl Fn(&mut process::Child) -> Option<ExitStatus>) {
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
        match self.socket.read(into) {
            Ok(0) => Err(self.ended()),
            // What we had sent was not read to its end.
            Err(err) if err.kind() == io::ErrorKind::ConnectionReset => Err(self.ended()),
            read => read,
        }
    }
}

impl Write for Local {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Local {
    fn set_deadline(&mut self, deadline: Instant) {
        self.socket.deadline = deadline;
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
