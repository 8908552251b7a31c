//! The door of the listener: one thread that accepts connections, and reads requests as they
//! arrive, without waiting for any client. An idle connection costs a file descriptor; only a
//! complete request gets a thread, for as long as it is answered.
//!
//! Which connections give way when there is no room:
//! * of the connections without a whole request, those of the address that has the most, first
//!   those that were never let in, the oldest of them first, but none within `GRACE`: where all are
//!   so young, the next one waits in the kernel's queue;
//! * of the answers, those whose reader takes too little (`Reader::overdue`).
//!
//! Complete requests wait for their turn, and the addresses take turns.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use libc::{POLLIN, POLLOUT, pollfd};
use openssl::ssl::SslAcceptor;

use super::connection::{Connection, Reader, Wait};
use super::http::{self, Manner, Request, STACK_BYTES};
use crate::base::sync::lock;
use crate::base::sys;

/// Connections that have no whole request, or whose request waits for its turn.
const WAITING_MAX: usize = 256;
/// A new connection may take this long to send something, however many others come.
const GRACE: Duration = Duration::from_millis(250);
/// A connection ends after so many requests, or when it is so old, whatever is asked for.
const REQUESTS_MAX: u32 = 100;
const AGE_MAX: Duration = Duration::from_secs(300);
/// Passwords that are checked at a time: guessing takes no more than a core.
const CHECKS_MAX: usize = 1;
/// What the client of a closed connection still sends is read for a moment, for a socket that is
/// closed with something unread is reset, and the answer may be lost.
const DRAIN: Duration = Duration::from_secs(1);
/// Connections that are accepted before those that have come get a look.
const ACCEPTS_MAX: usize = 64;
/// The pause after an accept that failed, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often slow readers are looked for while others wait.
const LOOK: Duration = Duration::from_millis(100);

/// What is behind the door.
pub trait House: Send + Sync {
    /// For TLS, if that is spoken.
    fn acceptor(&self) -> Option<SslAcceptor>;
    /// Whether answering takes the check of a password.
    fn takes_check(&self, request: &Request) -> bool;
    /// Answers; whether the client was let in.
    fn answer(&self, request: &Request, out: &mut Connection, manner: Manner) -> io::Result<bool>;
    /// Counts a connection that was refused for want of room.
    fn turned_away(&self);
}

pub struct Limits {
    pub answers_max: usize,
    pub request_timeout: Duration,
    pub response_timeout: Duration,
}

/// Ends the door's thread, and wakes it.
pub struct Bell {
    ending: AtomicBool,
    wake: UnixStream,
}

impl Bell {
    pub fn new() -> io::Result<(Bell, UnixStream)> {
        let (wake, sleep) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        sleep.set_nonblocking(true)?;
        Ok((Bell { ending: AtomicBool::new(false), wake }, sleep))
    }

    pub fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
        self.ring();
    }

    fn ring(&self) {
        // A pipe that is full wakes as well.
        let _ = (&self.wake).write(&[0]);
    }
}

/// The answers under way, as the door sees them.
#[derive(Default)]
pub struct Answers(Mutex<Vec<Arc<Answer>>>);

struct Answer {
    client: IpAddr,
    reader: Arc<Reader>,
    checks: bool,
}

impl Answers {
    /// Cuts off those whose reader takes too little.
    pub fn make_room(&self) {
        let now = Instant::now();
        for answer in &*lock(&self.0) {
            if let Some(overdue) = answer.reader.overdue(now) {
                let client = answer.client;
                log::debug!("prometheus: {client} reads too slowly ({overdue:?}): it is cut off");
                answer.reader.cut();
            }
        }
    }
}

struct Waiting {
    connection: Connection,
    phase: Phase,
    /// Since when it is in this phase, and how long it may be.
    since: Instant,
    until: Instant,
    wait: Wait,
}

enum Phase {
    /// No request has come whole.
    Head,
    /// One waits for its turn.
    Turn(Box<Request>, bool),
    /// Everything is said.
    Drain,
}

/// A connection whose request was answered; `None` if it has failed.
type Answered = (Arc<Answer>, Option<(Connection, bool)>);

pub struct Door {
    pub house: Arc<dyn House>,
    pub listener: TcpListener,
    pub limits: Limits,
    pub bell: Arc<Bell>,
    pub sleep: UnixStream,
    pub answers: Arc<Answers>,
}

impl Door {
    /// Lets in until the bell says to end.
    pub fn run(self) {
        let (done, answered) = std::sync::mpsc::channel();
        let porter = Porter {
            door: self,
            waiting: Vec::new(),
            turns: HashMap::new(),
            turn: 0,
            accept_at: Instant::now(),
            done,
        };
        porter.run(&answered);
    }
}

/// What the door's thread holds.
struct Porter {
    door: Door,
    waiting: Vec<Waiting>,
    /// When each address had its last turn, counted in turns.
    turns: HashMap<IpAddr, u64>,
    turn: u64,
    accept_at: Instant,
    done: Sender<Answered>,
}

impl Porter {
    fn run(mut self, answered: &Receiver<Answered>) {
        if let Err(err) = self.door.listener.set_nonblocking(true) {
            log::error!("prometheus: cannot serve: {err}");
            return;
        }
        loop {
            let ready = self.wait();
            if self.door.bell.ending.load(Ordering::Relaxed) {
                return;
            }
            let mut wakes = [0; 64];
            while matches!(self.door.sleep.read(&mut wakes), Ok(1..)) {}
            for (at, is_ready) in ready.iter().enumerate() {
                if *is_ready {
                    self.advance(at);
                }
            }
            while let Ok((answer, connection)) = answered.try_recv() {
                lock(&self.door.answers.0).retain(|other| !Arc::ptr_eq(other, &answer));
                if let Some((connection, keep)) = connection {
                    self.take_back(connection, keep);
                }
            }
            self.end_late();
            self.accept();
            self.give_turns();
        }
    }

    /// Waits until something is to be done; which connections have something to say.
    fn wait(&self) -> Vec<bool> {
        let now = Instant::now();
        let accepts = self.victim(now).is_ok() && now >= self.accept_at;
        // poll(2) passes over what is negative.
        let listener = if accepts { self.door.listener.as_raw_fd() } else { -1 };
        let mut polled = vec![
            pollfd { fd: self.door.sleep.as_raw_fd(), events: POLLIN, revents: 0 },
            pollfd { fd: listener, events: POLLIN, revents: 0 },
        ];
        let mut until = now + Duration::from_secs(60);
        for waiting in &self.waiting {
            until = until.min(waiting.until);
            let waits_for_turn = matches!(waiting.phase, Phase::Turn(..));
            let fd = if waits_for_turn { -1 } else { waiting.connection.descriptor() };
            let events = if waiting.wait == Wait::Write { POLLOUT } else { POLLIN };
            polled.push(pollfd { fd, events, revents: 0 });
            if waits_for_turn {
                until = until.min(now + LOOK);
            }
        }
        if !accepts {
            until = until.min(now + ACCEPT_PAUSE);
        }
        if let Err(err) = sys::poll(&mut polled, Some(until - now)) {
            log::warn!("prometheus: cannot wait for clients: {err}");
            // The bell alone can be waited for.
            let _ = sys::poll(&mut polled[..1], Some(ACCEPT_PAUSE));
        }
        polled.iter().skip(2).map(|polled| polled.revents != 0).collect()
    }

    /// Which connection a new one takes the place of, if all places are taken; an error if none
    /// may be asked to go.
    fn victim(&self, now: Instant) -> Result<Option<usize>, ()> {
        if self.waiting.len() < WAITING_MAX {
            return Ok(None);
        }
        let mut of_client = HashMap::new();
        for waiting in &self.waiting {
            *of_client.entry(waiting.connection.client).or_insert(0) += 1;
        }
        let old = self.waiting.iter().enumerate().filter(|(_, w)| w.since + GRACE <= now);
        let rank = |(_, waiting): &(usize, &Waiting)| {
            let Connection { client, admitted, .. } = waiting.connection;
            let is_let_in = matches!(waiting.phase, Phase::Turn(_, false));
            (is_let_in, admitted, Reverse(of_client[&client]), waiting.since)
        };
        old.min_by_key(rank).map(|(at, _)| Some(at)).ok_or(())
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_MAX {
            let Ok(victim) = self.victim(Instant::now()) else { return };
            let socket = match self.door.listener.accept() {
                Ok((socket, _)) => socket,
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return,
                Err(err) => {
                    log::debug!("prometheus: cannot accept a connection: {err}");
                    self.accept_at = Instant::now() + ACCEPT_PAUSE;
                    return;
                }
            };
            if let Some(at) = victim {
                self.waiting.swap_remove(at);
                self.door.house.turned_away();
            }
            match Connection::new(socket, self.door.house.acceptor().as_ref()) {
                Ok(connection) => self.read_head(connection),
                Err(err) => log::debug!("prometheus: a connection failed: {err}"),
            }
        }
    }

    /// Waits for a connection's next request, which may be there.
    fn read_head(&mut self, connection: Connection) {
        let until = Instant::now() + self.door.limits.request_timeout;
        self.add(connection, Phase::Head, until);
        self.advance(self.waiting.len() - 1);
    }

    fn add(&mut self, connection: Connection, phase: Phase, until: Instant) {
        let (since, wait) = (Instant::now(), Wait::Read);
        self.waiting.push(Waiting { connection, phase, since, until, wait });
    }

    /// Takes what has come; a connection that is over stays, marked, until `end_late`.
    fn advance(&mut self, at: usize) {
        let waiting = &mut self.waiting[at];
        if let Phase::Drain = waiting.phase {
            waiting.wait = waiting.connection.discard();
            return;
        }
        let received = waiting.connection.receive();
        waiting.wait = match received {
            Ok(wait) => wait,
            Err(err) => {
                log::debug!("prometheus: a connection failed: {err}");
                Wait::Over
            }
        };
        match http::take_request(&mut waiting.connection.bytes) {
            Ok(None) => {}
            Ok(Some(request)) => {
                waiting.wait = Wait::Read;
                let checks = self.door.house.takes_check(&request);
                waiting.phase = Phase::Turn(Box::new(request), checks);
                waiting.since = Instant::now();
                // Others' guesses may come before; a login that is checked late is known then.
                let Limits { request_timeout, response_timeout, .. } = self.door.limits;
                let longest = if checks { response_timeout } else { request_timeout };
                waiting.until = waiting.since + longest;
            }
            Err(status) => refuse(waiting, status, status),
        }
    }

    fn take_back(&mut self, mut connection: Connection, keep: bool) {
        match connection.wait_no_more() {
            Ok(()) if keep => self.read_head(connection),
            Ok(()) => self.add(connection, Phase::Drain, Instant::now() + DRAIN),
            Err(err) => log::debug!("prometheus: a connection failed: {err}"),
        }
    }

    /// Drops the connections that are over, and those whose time is up.
    fn end_late(&mut self) {
        let now = Instant::now();
        let house = &self.door.house;
        self.waiting.retain_mut(|waiting| {
            if waiting.wait == Wait::Over {
                return false;
            }
            if waiting.until > now {
                return true;
            }
            match &waiting.phase {
                Phase::Drain => return false,
                Phase::Head if waiting.connection.bytes.is_empty() => return false,
                Phase::Head => refuse(waiting, REQUEST_TIMEOUT, REQUEST_TIMEOUT),
                Phase::Turn(..) => {
                    house.turned_away();
                    refuse(waiting, UNAVAILABLE, "too many requests at a time (connections_max)\n");
                }
            }
            true
        });
    }

    /// Answers as many of the requests that wait as may be answered at a time.
    fn give_turns(&mut self) {
        while let Some(at) = self.next_turn() {
            let Waiting { connection, phase: Phase::Turn(request, checks), .. } =
                self.waiting.swap_remove(at)
            else {
                return;
            };
            self.turn += 1;
            if self.turns.len() > 4 * WAITING_MAX {
                self.turns.clear();
            }
            self.turns.insert(connection.client, self.turn);
            self.answer(connection, *request, checks);
        }
        if self.waiting.iter().any(|waiting| matches!(waiting.phase, Phase::Turn(..))) {
            self.door.answers.make_room();
        }
    }

    /// Whose turn is next: of those that wait, the one whose address was answered least lately. An
    /// address leaves some room to the others.
    fn next_turn(&self) -> Option<usize> {
        let answers = lock(&self.door.answers.0);
        let max = self.door.limits.answers_max;
        if answers.len() >= max {
            return None;
        }
        let checks = answers.iter().filter(|answer| answer.checks).count();
        let client_max = (max - max.div_ceil(4)).max(1);
        let may = |waiting: &Waiting| {
            let Phase::Turn(_, check) = waiting.phase else { return false };
            let client = waiting.connection.client;
            let own = answers.iter().filter(|answer| answer.client == client).count();
            own < client_max && !(check && checks >= CHECKS_MAX)
        };
        let able = self.waiting.iter().enumerate().filter(|(_, waiting)| may(waiting));
        let rank = |(_, waiting): &(usize, &Waiting)| {
            let turn = self.turns.get(&waiting.connection.client);
            (turn.copied().unwrap_or_default(), waiting.since)
        };
        able.min_by_key(rank).map(|(at, _)| at)
    }

    fn answer(&self, connection: Connection, request: Request, checks: bool) {
        let (client, reader) = (connection.client, connection.reader());
        reader.begin();
        let answer = Arc::new(Answer { client, reader, checks });
        lock(&self.door.answers.0).push(answer.clone());
        let deadline = Instant::now() + self.door.limits.response_timeout;
        let mut done = Done {
            answered: Some((answer, None)),
            bell: self.door.bell.clone(),
            done: self.done.clone(),
        };
        let house = self.door.house.clone();
        let run = move || match answer_one(&*house, connection, &request, deadline) {
            Ok(result) => done.give(result),
            Err(err) => log::debug!("prometheus: a connection failed: {err}"),
        };
        let thread = thread::Builder::new().name("scrape".into()).stack_size(STACK_BYTES);
        if let Err(err) = thread.spawn(run) {
            log::debug!("prometheus: cannot start a thread: {err}");
            self.door.house.turned_away();
        }
    }
}

/// Tells the door that an answer has ended, however it has.
struct Done {
    answered: Option<Answered>,
    bell: Arc<Bell>,
    done: Sender<Answered>,
}

impl Done {
    fn give(&mut self, result: (Connection, bool)) {
        if let Some((_, connection)) = &mut self.answered {
            *connection = Some(result);
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(answered) = self.answered.take() {
            let _ = self.done.send(answered);
            self.bell.ring();
        }
    }
}

/// Answers a request; the connection, and whether another one may follow.
fn answer_one(
    house: &dyn House,
    mut connection: Connection,
    request: &Request,
    deadline: Instant,
) -> io::Result<(Connection, bool)> {
    connection.wait_until(deadline)?;
    connection.requests += 1;
    let keep_alive = request.keeps_alive()
        && connection.requests < REQUESTS_MAX
        && connection.made.elapsed() < AGE_MAX;
    let manner = Manner { keep_alive, head_only: request.is_head(), gzip: false };
    connection.admitted |= house.answer(request, &mut connection, manner)?;
    if !keep_alive {
        connection.end()?;
    }
    Ok((connection, keep_alive))
}

/// Answers without waiting, and ends the connection.
fn refuse(waiting: &mut Waiting, status: &str, words: &str) {
    let connection = &mut waiting.connection;
    let said = http::respond(connection, status, http::PLAIN, words, Manner::default());
    waiting.wait = match said.and_then(|()| connection.end()) {
        Ok(()) => Wait::Read,
        Err(_) => Wait::Over,
    };
    waiting.phase = Phase::Drain;
    waiting.until = Instant::now() + DRAIN;
}

const REQUEST_TIMEOUT: &str = "408 Request Timeout";
const UNAVAILABLE: &str = "503 Service Unavailable";
