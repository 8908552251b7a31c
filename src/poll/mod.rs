//! Polls one router: keeps its session, polls the collectors that are due, and emits their points.

pub mod schedule;
pub mod mastership;
pub mod configuration;
pub mod registry;
pub mod shard;
pub mod router;
pub mod on_demand;
pub mod status;
pub mod connection;
pub mod recorder;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::time::{Duration, Instant};

use self::configuration::{Committed, Macros, Watch};
use self::connection::{Connection, connect};
use self::recorder::{Recorder, Recording, recording_name};
use self::router::{Link, Polled, Router};
use self::schedule::{BUSY_PACE, Schedule, Start, phase};
use self::status::{NOT_MASTER, RouterStatus};
use crate::base::clock::{now_ns, since_1970};
use crate::base::inventory::Shared;
use crate::base::{panics, sys};
use crate::collector::outcome::{Answered, Outcome};
use crate::collector::reader::{Reader, Reply, Tally, read_reply};
use crate::collector::{Poll, kept};
use crate::dependency::enrich::enrich;
use crate::event;
use crate::netconf;
use crate::output::{self, Output, Outputs, Patience};
use crate::point::{Batch, Points};
use crate::serve::Wanted;

/// How long an RPC that a router does not know is not sent to it.
const UNSUPPORTED_PAUSE: Duration = Duration::from_secs(3600);
/// Why a session is lost where an RPC did not fail.
const FRAMING_LOST: &str = "its framing was lost";
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest wait with nothing to do.
const IDLE_LONGEST: Duration = Duration::from_secs(3600);

/// Reads the macros of the router's configuration, in a session of its own.
pub fn read_macros(router: &Router, timeout: Duration) -> Result<Macros, String> {
    let mut router = router.clone();
    if let Link::Local { connect_timeout, .. } = &mut router.link {
        *connect_timeout = timeout.min(*connect_timeout);
    }
    let (mut session, _) = connect(&router).map_err(|err| err.0)?;
    let read = configuration::read(&mut session, None, &router.limits, timeout)?;
    session.close();
    Ok(read.map(|committed| committed.macros).unwrap_or_default())
}

/// Why an RPC failed.
enum Broken {
    /// Not a single byte of a reply came.
    Unanswered(String),
    Failed(String),
    NoSession(String),
}

impl Broken {
    fn why(&self) -> &str {
        let (Broken::Unanswered(why) | Broken::Failed(why) | Broken::NoSession(why)) = self;
        why
    }
}

/// A router, its session, and what is known about it.
pub struct RouterPoller {
    router: Router,
    connection: Connection,
    /// Whether the Routing Engine was the master when last asked, or why that is not known.
    mastership: Result<bool, String>,
    /// Whether its last answer said that it is busy.
    is_busy: bool,
    /// RPCs that the router does not know, its error text, and until when not to ask again.
    unsupported: HashMap<String, (Instant, String)>,
    /// Where replies are saved: for `record`.
    pub record: Option<Arc<Recording>>,
    /// Looks after perijove's settings in the router's configuration.
    pub configuration: Option<Watch>,
    /// What looks for events in its points.
    pub watch: Option<Arc<event::watch::Watch>>,
    pub status: Arc<RouterStatus>,
    /// What the inventory says of addresses.
    inventory: Shared,
    outputs: Outputs,
}

/// A request for a poll, from a scrape that waits for it.
pub struct Ask {
    pub wanted: Wanted,
    pub made: Instant,
    /// A collector whose last poll is not older than this is not polled again.
    pub age_min: Duration,
    /// When the scrape stops waiting.
    pub until: Instant,
    /// Dropped when the poll is done.
    pub done: Sender<()>,
}

/// One collector in one poll.
struct Work {
    index: usize,
    poll: Box<dyn Poll>,
    points: Points,
    tally: Tally,
    outcome: Option<Outcome>,
    answered: Answered,
    /// No part of a reply was missing.
    is_whole: bool,
    spent: Duration,
}

impl Work {
    fn note(&mut self, outcome: Outcome) {
        self.outcome = Some(match self.outcome.take() {
            Some(have) => have.or_worse(outcome),
            None => outcome,
        });
    }
}

impl RouterPoller {
    pub fn new(router: &Router, status: Arc<RouterStatus>, inventory: &Shared) -> RouterPoller {
        RouterPoller {
            router: router.clone(),
            inventory: inventory.clone(),
            connection: Connection::new(&router.name, &status),
            mastership: Err(String::new()),
            is_busy: false,
            unsupported: HashMap::new(),
            record: None,
            configuration: None,
            watch: None,
            status,
            outputs: Outputs::default(),
        }
    }

    /// Polls the router when it is asked to, until `asks` is closed. A poll serves all who asked
    /// before it ended; while the router rests from one, what is kept has to do.
    pub fn run_when_asked(mut self, outputs: &Outputs, asks: &Receiver<Ask>) {
        self.outputs = outputs.clone();
        let mut ended: Vec<Option<Instant>> = vec![None; self.router.collectors.len()];
        // Collectors that were asked for while the router rested: they are part of the next poll.
        // Otherwise a scrape that always comes during that rest would never get a poll.
        let mut owed = vec![false; ended.len()];
        let mut rest_until = Instant::now();
        loop {
            self.look_at_configuration();
            let ask = match asks.recv_timeout(self.wait(IDLE_LONGEST)) {
                Ok(ask) => ask,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            for (at, polled) in self.router.collectors.iter().enumerate() {
                let is_old = ended[at].is_none_or(|ended| ended + ask.age_min < ask.made);
                owed[at] |= is_old && ask.wanted.has_collector(polled.entry.name);
            }
            let now = Instant::now();
            let due: Vec<usize> = (0..owed.len()).filter(|at| owed[*at]).collect();
            if due.is_empty() || now < rest_until || now >= ask.until {
                if self.is_busy && now < rest_until {
                    self.status.spared(due.len() as u64);
                }
                continue;
            }
            let waited = self.poll_or_stand_by(&due);
            let end = Instant::now();
            let spent = (end - now).saturating_sub(waited);
            let mut rest = schedule::rest(spent, self.router.poll_share_max);
            if self.is_busy {
                let intervals = due.iter().map(|at| self.router.collectors[*at].interval);
                rest = rest.max(intervals.min().unwrap_or_default() * (BUSY_PACE - 1));
            }
            rest_until = end + rest;
            for at in due {
                (ended[at], owed[at]) = (Some(end), false);
            }
        }
        self.close();
    }

    /// How long the poll waited for outputs, which does not count as the router's time.
    fn poll_or_stand_by(&mut self, due: &[usize]) -> Duration {
        // Not kept between polls: there may be hundreds of routers.
        let mut scratch = Vec::new();
        let shared = self.outputs.clone();
        let outputs = shared.hold();
        let collectors = || due.iter().map(|index| &self.router.collectors[*index]);
        let interval = collectors().map(|polled| polled.interval).min().unwrap_or_default();
        let timeout = collectors().map(|polled| polled.timeout).min().unwrap_or_default();
        let mut patience = Patience::new(&outputs, interval, timeout);
        let polled = panics::caught(|| match self.is_master() {
            true => {
                let mut asked_ns = 0;
                let mut emit = |batch: &Batch| {
                    // What an RPC brings has the time at which it was sent.
                    if std::mem::replace(&mut asked_ns, batch.time_ns) != batch.time_ns {
                        patience.renew();
                    }
                    output::push(&outputs, batch, &mut scratch, &mut patience);
                };
                self.poll(due, &outputs, &mut emit);
            }
            false => self.stand_by(due),
        });
        if let Err(why) = polled {
            self.connection.lose(&why);
            for index in due {
                let outcome = Outcome::Failed(why.clone());
                self.status.polled(*index, &outcome, &Tally::default(), Duration::ZERO);
                let Polled { entry, interval, .. } = &self.router.collectors[*index];
                output::end(&outputs, &self.router.name, entry.name, *interval, true);
            }
        }
        patience.waited()
    }

    /// Polls the router at its intervals until `stop` is closed; each collector for the first time
    /// within `first_within`.
    pub fn run(mut self, outputs: &Outputs, stop: &Receiver<Ask>, first_within: Duration) {
        self.outputs = outputs.clone();
        let start = Start { now: Instant::now(), since_1970: since_1970(), first_within };
        let slots = slots(&self.router);
        let mut schedule = Schedule::new(&slots, self.router.poll_share_max, start);
        loop {
            self.look_at_configuration();
            let now = Instant::now();
            schedule.set_pace(if self.is_busy { BUSY_PACE } else { 1 });
            let due = schedule.due(now);
            if due.is_empty() {
                let next = schedule.next().map_or(IDLE_LONGEST, |next| next - now.min(next));
                match stop.recv_timeout(self.wait(next.min(IDLE_LONGEST))) {
                    Ok(_) | Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            // A poller that is always due must notice the end, too.
            if matches!(stop.try_recv(), Err(TryRecvError::Disconnected)) {
                break;
            }
            let indexes: Vec<usize> = due.iter().map(|due| due.index).collect();
            for due in due {
                self.status.skipped(due.index, due.skipped);
                self.status.spared(due.spared);
            }
            let waited = self.poll_or_stand_by(&indexes);
            schedule.rest(now.elapsed().saturating_sub(waited), Instant::now());
        }
        self.close();
    }

    /// Whether to poll: always, unless `master_only` is set and this Routing Engine is the backup.
    /// While the router cannot be asked, its last answer holds. If it never gave one, it is polled,
    /// and that is logged.
    fn is_master(&mut self) -> bool {
        if !self.router.master_only {
            return true;
        }
        let heard = self.hear_mastership();
        let unclear = || String::from("the reply does not tell which Routing Engine this is");
        let name = &self.router.name;
        match (heard.and_then(|master| master.ok_or_else(unclear)), &self.mastership) {
            (Ok(master), known) if known.as_ref() != Ok(&master) => {
                let role = if master { "the master" } else { "not the master: it is not polled" };
                log::info!("{name}: this Routing Engine is {role}");
                self.mastership = Ok(master);
            }
            (Err(why), Err(said)) if why != *said => {
                log::warn!("{name}: master_only: {why}; polling it anyway (set re_slot)");
                self.mastership = Err(why);
            }
            _ => {}
        }
        *self.mastership.as_ref().unwrap_or(&true)
    }

    /// Whether this is a backup Routing Engine, on which a daemon does not have to run: asked only
    /// where one does not.
    fn is_backup(&mut self) -> bool {
        self.hear_mastership() == Ok(Some(false))
    }

    fn hear_mastership(&mut self) -> Result<Option<bool>, String> {
        let had_session = self.connection.is_open();
        let mut heard = self.ask_mastership(mastership::RPC_LOCAL);
        if heard.is_err() && had_session {
            // The router had ended the session while nothing was asked.
            heard = self.ask_mastership(mastership::RPC_LOCAL);
        }
        if heard == Ok(None) {
            heard = self.ask_mastership(mastership::RPC_ALL);
        }
        heard
    }

    fn ask_mastership(&mut self, rpc: &str) -> Result<Option<bool>, String> {
        let router = &self.router;
        let session = self.connection.session(router)?;
        let timeout = router.collectors.first().map_or(LOOK_TIMEOUT, |first| first.timeout);
        let deadline = Instant::now() + timeout;
        let reply = session.rpc(rpc, deadline).map_err(|err| err.0);
        let read = reply.and_then(|reply| {
            mastership::read(reply, router.re_slot, &router.limits).map_err(|err| err.to_string())
        });
        if session.is_lost() {
            self.connection.lose(read.as_ref().err().map_or(FRAMING_LOST, |why| why));
        }
        read
    }

    /// Counts polls that were left to the master.
    fn stand_by(&mut self, due: &[usize]) {
        let outcome = Outcome::NoData(NOT_MASTER.into());
        for index in due {
            self.status.polled(*index, &outcome, &Tally::default(), Duration::ZERO);
        }
    }

    /// Reads the settings in the router's configuration, if it is time and there was a commit.
    fn look_at_configuration(&mut self) {
        let Some(mut watch) = self.configuration.take_if(|watch| watch.wait().is_zero()) else {
            return;
        };
        let had_session = self.connection.is_open();
        let mut read = self.read_configuration(watch.commit);
        if read.is_err() && had_session && !self.connection.is_open() {
            // The router had ended the session while nothing was asked.
            read = self.read_configuration(watch.commit);
        }
        watch.note(read);
        self.configuration = Some(watch);
    }

    fn read_configuration(&mut self, known: Option<u64>) -> Result<Option<Committed>, String> {
        let router = &self.router;
        let session = self.connection.session(router)?;
        let timeout = router.collectors.first().map_or(LOOK_TIMEOUT, |first| first.timeout);
        let limits = &router.limits;
        let read = panics::caught(|| configuration::read(session, known, limits, timeout));
        if read.is_err() || session.is_lost() {
            let why = read.as_ref().err().or(read.as_ref().ok().and_then(|r| r.as_ref().err()));
            self.connection.lose(why.map_or(FRAMING_LOST, |why| why));
        }
        read.flatten()
    }

    /// How long to wait for something to do: at most so long.
    fn wait(&mut self, longest: Duration) -> Duration {
        let keepalive = self.connection.idle().unwrap_or(longest);
        self.status.rests(self.connection.is_open());
        let look = self.configuration.as_ref().map_or(longest, Watch::wait);
        longest.min(keepalive).min(look)
    }

    /// Polls these collectors once. `emit` gets their points in batches, while replies arrive;
    /// `outputs` are notified when a collector's poll has ended.
    pub fn poll(
        &mut self,
        due: &[usize],
        outputs: &[Arc<Output>],
        emit: &mut dyn FnMut(&Batch),
    ) -> Vec<Outcome> {
        kept::begin();
        let mut work: Vec<Work> = due.iter().map(|index| self.start(*index)).collect();
        for at in 0..work.len() {
            for query in 0..work[at].poll.queries() {
                for (index, rpc) in work[at].poll.rpcs(query).iter().enumerate() {
                    let items = work[at].poll.items(query);
                    let asked_before =
                        work[..at].iter().any(|other| asks(&*other.poll, rpc, &items));
                    if !asked_before {
                        work[at].points.rpc = index;
                        self.ask(rpc, &mut work[at..], query, emit);
                    }
                }
            }
            self.finish(&mut work[at], outputs, emit);
        }
        work.into_iter().map(|work| work.outcome.unwrap_or(Outcome::Data)).collect()
    }

    fn start(&self, index: usize) -> Work {
        let poll = self.router.collectors[index].configured.start(&self.inventory);
        let (mut points, tally) = (Points::default(), Tally::default());
        points.asked_ns = Some(now_ns());
        points.set_tags(&self.router.tags);
        points.keep_first();
        let (outcome, answered, spent) = (None, Answered::default(), Duration::ZERO);
        Work { index, poll, points, tally, outcome, answered, is_whole: true, spent }
    }

    fn finish(&mut self, work: &mut Work, outputs: &[Arc<Output>], emit: &mut dyn FnMut(&Batch)) {
        let outcome = work.outcome.as_ref().unwrap_or(&Outcome::Data);
        // Points that are made from all replies would be wrong if one of them is missing.
        if outcome.failure().is_none() {
            let before = work.points.len();
            work.points.set_re_name("");
            let finish = || work.poll.finish(work.answered, &mut work.points);
            if let Err(why) = panics::caught(|| kept::counted(finish)) {
                work.note(Outcome::Failed(why));
            }
            work.tally.take_left_out(&mut work.points);
            work.tally.points += work.points.len().saturating_sub(before) as u64;
        }
        let outcome = work.outcome.as_ref().unwrap_or(&Outcome::Data);
        let failed = outcome.failure().is_some();
        let Polled { entry, interval, .. } = &self.router.collectors[work.index];
        let node = self.router.name.as_str();
        if self.router.enrich {
            enrich(&mut work.points, &self.inventory.get());
        }
        if !work.points.is_empty() {
            let (collector, points) = (entry.name, &work.points);
            let batch = Batch { node, collector, time_ns: now_ns(), points };
            self.watch.iter().for_each(|watch| watch.see(&batch));
            emit(&batch);
        }
        if let Some(watch) = &self.watch {
            let is_whole = !failed && work.is_whole && work.tally.rejected == 0;
            let asked_ns = work.points.asked_ns.unwrap_or_else(now_ns);
            let answered = is_whole.then(|| work.answered.bits());
            watch.end(entry.name, entry.measurements, answered, asked_ns);
        }
        self.status.polled(work.index, outcome, &work.tally, work.spent);
        output::end(outputs, node, entry.name, *interval, failed);
        if let Some(load) = work.points.load.filter(|_| !failed) {
            self.is_busy = self.router.busy_above.is_exceeded(load, self.is_busy);
            self.status.busy(self.is_busy, load);
        }
        // Those that are still to come need the room.
        kept::counted(|| work.points = Points::default());
        self.let_go(work);
    }

    /// Lets go of what the collector keeps.
    fn let_go(&self, work: &mut Work) {
        kept::counted(|| {
            work.poll = self.router.collectors[work.index].configured.start(&self.inventory);
        });
    }

    /// Sends one RPC for the first of `work`, and for all others that ask the same.
    fn ask(&mut self, rpc: &str, work: &mut [Work], query: usize, emit: &mut dyn FnMut(&Batch)) {
        let first = work[0].index;
        let mut readers: Vec<(usize, usize)> = vec![(0, query)];
        let items = work[0].poll.items(query);
        for (at, other) in work.iter().enumerate().skip(1) {
            readers.extend(static_query(&*other.poll, rpc, &items).map(|query| (at, query)));
        }
        let now = Instant::now();
        let known = self.unsupported.get(rpc).filter(|(until, _)| now < *until);
        let reply = if let Some((_, why)) = known {
            Err(Outcome::Unsupported(why.clone()))
        } else {
            let had_session = self.connection.is_open();
            let mut result = self.exchange(rpc, first, work, &readers, emit);
            if let (Err(Broken::Unanswered(_)), true) = (&result, had_session) {
                // The router had ended the session while nothing was asked.
                result = self.exchange(rpc, first, work, &readers, emit);
            }
            result.map_err(|broken| match broken {
                Broken::NoSession(why) => Outcome::NoSession(why),
                Broken::Unanswered(why) | Broken::Failed(why) => Outcome::Failed(why),
            })
        };
        if kept::is_too_much() {
            readers.iter().for_each(|(at, _)| self.let_go(&mut work[*at]));
        }
        let spent = now.elapsed();
        let is_backup = reply.as_ref().is_ok_and(Reply::depends_on_mastership) && self.is_backup();
        for (at, query) in readers {
            let Work { index, poll, answered, is_whole, .. } = &mut work[at];
            let roots = poll.roots(query);
            let outcome = match &reply {
                Ok(reply) => reply.outcome(roots, is_backup),
                Err(outcome) => outcome.clone(),
            };
            answered.note(query, reply.as_ref().is_ok_and(|reply| reply.answers(roots)));
            *is_whole &= reply.as_ref().is_ok_and(|reply| reply.errors.is_empty())
                || matches!(outcome, Outcome::NoData(_) | Outcome::Unsupported(_));
            let outcome = match outcome {
                Outcome::Unsupported(why) if reply.is_ok() => {
                    let why = format!("{why}: {rpc}");
                    let until = Instant::now() + UNSUPPORTED_PAUSE;
                    self.unsupported.insert(rpc.to_string(), (until, why.clone()));
                    Outcome::Unsupported(why)
                }
                Outcome::Denied(why) => {
                    let permissions = self.router.collectors[*index].entry.permissions.join(", ");
                    Outcome::Denied(format!(
                        "{why}; the login class needs: permissions {permissions}"
                    ))
                }
                outcome => outcome,
            };
            work[at].note(outcome);
            work[at].spent += spent;
        }
    }

    /// Sends the RPC and reads its reply for all readers: places in `work`, and their queries.
    fn exchange(
        &mut self,
        rpc: &str,
        first: usize,
        work: &mut [Work],
        readers: &[(usize, usize)],
        emit: &mut dyn FnMut(&Batch),
    ) -> Result<Reply, Broken> {
        let router = &self.router;
        let session = self.connection.session(router).map_err(Broken::NoSession)?;
        let polled = &router.collectors[first];
        let record = self.record.as_deref();
        let time_ns = now_ns();
        let deadline = Instant::now() + polled.timeout;
        let indexes: Vec<usize> = readers.iter().map(|(at, _)| work[*at].index).collect();
        let mut taking = take_readers(work, readers);
        taking.iter_mut().for_each(|reader| reader.points.asked_ns = Some(time_ns));
        let inventory = router.enrich.then(|| self.inventory.get());
        let watch = self.watch.as_ref();
        let mut deliver = |reader: usize, points: &mut Points| {
            if let Some(inventory) = &inventory {
                enrich(points, inventory);
            }
            let collector = router.collectors[indexes[reader]].entry.name;
            let batch = Batch { node: &router.name, collector, time_ns, points };
            watch.iter().for_each(|watch| watch.see(&batch));
            emit(&batch);
            sys::let_go_after(points.bytes());
            points.clear();
        };
        let mut read = || {
            let reply = session.rpc(rpc, deadline).map_err(|err| Broken::Unanswered(err.0))?;
            let name = || recording_name(polled.entry.name, rpc);
            let reply = Recorder::new(reply, record, name).map_err(Broken::Failed)?;
            let read = read_reply(reply, &mut taking, &router.limits, &mut deliver);
            read.map_err(|err| Broken::Failed(err.to_string()))
        };
        // After a panic in a collector, the session is in the middle of a reply.
        let (result, broke) = match panics::caught(&mut read) {
            Ok(result) => (result, false),
            Err(why) => (Err(Broken::Failed(why)), true),
        };
        for (index, reader) in taking.iter_mut().enumerate() {
            if !reader.points.is_empty() {
                deliver(index, reader.points);
            }
        }
        let timeout = polled.timeout;
        let timed_out = session.is_lost() && Instant::now() >= deadline;
        if broke || session.is_lost() {
            self.connection.lose(result.as_ref().err().map_or(FRAMING_LOST, Broken::why));
        }
        match result {
            Ok(reply) => Ok(reply),
            Err(_) if timed_out => {
                let why =
                    format!("{} (timeout = {timeout:?}): {rpc}", netconf::transport::NO_ANSWER);
                Err(Broken::Failed(why))
            }
            Err(broken) => Err(broken),
        }
    }

    /// Ends the session.
    pub fn close(&mut self) {
        self.connection.close();
    }
}

/// The readers of a reply: for each place in `work`, the query that it answers.
fn take_readers<'a>(work: &'a mut [Work], readers: &[(usize, usize)]) -> Vec<Reader<'a>> {
    let wanted = |at: usize| readers.iter().find(|(place, _)| *place == at).map(|(_, q)| *q);
    let work = work.iter_mut().enumerate();
    work.filter_map(|(at, work)| {
        let query = wanted(at)?;
        let Work { poll, points, tally, .. } = work;
        Some(Reader { poll: &mut **poll, query, points, tally })
    })
    .collect()
}

/// The query of a collector that always sends exactly this RPC and cuts these items of its reply:
/// those who cut others read a reply of their own.
fn static_query(poll: &dyn Poll, rpc: &str, items: &[&str]) -> Option<usize> {
    let sends =
        |query: usize| matches!(&poll.rpcs(query)[..], [Cow::Borrowed(only)] if *only == rpc);
    (0..poll.queries()).find(|query| sends(*query) && poll.items(*query) == items)
}

fn asks(poll: &dyn Poll, rpc: &str, items: &[&str]) -> bool {
    static_query(poll, rpc, items).is_some()
}

/// The interval and the phase of each collector. Those that share an RPC and an interval are polled
/// together, so that it is sent once: at the phase of the first of them.
fn slots(router: &Router) -> Vec<(Duration, f64)> {
    let rpcs = |polled: &Polled| {
        let poll = polled.configured.start(&Shared::default());
        let rpcs: Vec<&str> = (0..poll.queries()).map(|query| poll.rpc_shown(query)).collect();
        rpcs
    };
    let rpcs: Vec<Vec<&str>> = router.collectors.iter().map(rpcs).collect();
    let mut firsts: Vec<usize> = Vec::new();
    for (at, polled) in router.collectors.iter().enumerate() {
        let shares = |other: &usize| {
            router.collectors[*other].interval == polled.interval
                && rpcs[*other].iter().any(|rpc| rpcs[at].contains(rpc))
        };
        firsts.push((0..at).find(shares).map_or(at, |other| firsts[other]));
    }
    let phase = |first: &usize| phase(&router.name, router.collectors[*first].entry.name);
    let intervals = router.collectors.iter().map(|polled| polled.interval);
    intervals.zip(firsts.iter().map(phase)).collect()
}

#[cfg(test)]
mod tests;
