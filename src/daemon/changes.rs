//! Events on their way: what a router's `Watch` has found is written to the disk, and then handed
//! over to the outputs. One thread does so for all routers, so that no poller waits for a disk.
//!
//! **Once.** An event is in the router's file before an output gets it, and stays there until every
//! output has let go of it: sent it, or put it into a spool. A run that is killed before that
//! leaves it to the next one, which hands over the same record again. An output that had to drop
//! points gets the events again that it may have lost.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};

use crate::base::sync::lock;
use crate::event::file;
use crate::event::journal::Journal;
use crate::event::record::{Event, points};
use crate::event::state::{EventsConfig, State};
use crate::event::watch::{News, Watch};
use crate::output::{self, Output, Outputs, Patience, remote_write};
use crate::point::{self, Batch, Tags};

/// What the thread of the events waits for: a router with news, or nothing more.
pub type Wake = Option<Arc<Watch>>;

/// All that is watched.
pub struct Changes {
    settings: EventsConfig,
    /// None where there is no state directory: then nothing survives a restart.
    directory: Option<PathBuf>,
    watches: Mutex<BTreeMap<String, Arc<Watch>>>,
    /// How far the events of each router are.
    routers: Mutex<BTreeMap<String, Router>>,
    pub journal: Journal,
    wake: Sender<Wake>,
    /// The last failure to write that was logged.
    said: Mutex<Option<String>>,
}

impl Changes {
    /// Also what its thread waits for, in `run`.
    pub fn new(settings: &EventsConfig, state_directory: &Path) -> (Arc<Changes>, Receiver<Wake>) {
        let (wake, woken) = mpsc::channel();
        let (watches, routers, journal, said) = Default::default();
        let directory = state_directory.is_dir().then(|| state_directory.join("events"));
        let settings = settings.clone();
        let changes = Changes { settings, directory, watches, routers, journal, wake, said };
        (Arc::new(changes), woken)
    }

    /// The watch of a router, with what an earlier run has left.
    pub fn watch(&self, router: &str, tags: &Tags) -> Arc<Watch> {
        let mut watches = lock(&self.watches);
        let watch = watches.entry(router.into()).or_insert_with(|| {
            let state = self.load(router);
            let has_left = !state.pending.is_empty();
            let watch = Arc::new(Watch::new(router, state, self.wake.clone()));
            if has_left {
                let _ = self.wake.send(Some(watch.clone()));
            }
            watch
        });
        watch.set_tags(tags);
        watch.clone()
    }

    /// The watch of a router, if there is one.
    pub fn find(&self, router: &str) -> Option<Arc<Watch>> {
        lock(&self.watches).get(router).cloned()
    }

    fn load(&self, router: &str) -> State {
        let limits = &self.settings.limits;
        let load = |directory: &PathBuf| {
            let path = file::path(directory, router);
            file::load(&path, limits).unwrap_or_else(|err| {
                let path = path.display();
                log::warn!(
                    "{router}: events: {path} is not used, changes since then are not reported: \
                     {err}"
                );
                None
            })
        };
        self.directory
            .as_ref()
            .and_then(load)
            .unwrap_or_else(|| State::new(limits.clone(), RandomState::new().hash_one(router)))
    }

    /// Writes and hands over what is new, until it is told to end.
    pub fn run(&self, outputs: &Outputs, woken: &Receiver<Wake>) {
        while let Ok(Some(first)) = woken.recv() {
            let (mut watches, mut is_over) = (vec![first], false);
            for more in woken.try_iter() {
                match more {
                    Some(watch) if watches.iter().any(|known| Arc::ptr_eq(known, &watch)) => {}
                    Some(watch) => watches.push(watch),
                    None => is_over = true,
                }
            }
            let outputs = outputs.hold();
            watches.iter().for_each(|watch| self.hand_over(watch, &outputs));
            if is_over {
                return;
            }
        }
    }

    /// Ends the thread once it has handed over what is there.
    pub fn end(&self) {
        let _ = self.wake.send(None);
    }

    /// After the end of the outputs: notes in the files what they have taken.
    pub fn settle(&self) {
        let watches: Vec<_> = lock(&self.watches).values().cloned().collect();
        for watch in watches {
            let mut routers = lock(&self.routers);
            if let Some(router) = routers.get_mut(&watch.router) {
                router.places.iter_mut().for_each(Place::look);
                let news = watch.news(router.settled());
                self.save(&watch, &news);
            }
        }
    }

    fn hand_over(&self, watch: &Watch, outputs: &[Arc<Output>]) {
        let mut routers = lock(&self.routers);
        let router = routers.entry(watch.router.clone()).or_default();
        router.look(outputs);
        let news = watch.news(router.settled());
        self.save(watch, &news);
        let end = news.first + news.events.len() as u64;
        let fresh = news.after(router.known);
        self.journal.add(&watch.router, fresh);
        if self.settings.log {
            fresh.iter().for_each(|event| log::info!("{}: {}", watch.router, event.line()));
        }
        router.known = end;
        for place in &mut router.places {
            place.give(watch, &news, end);
        }
        router.places.iter_mut().for_each(Place::look);
    }

    /// Writes the state, if it has changed.
    fn save(&self, watch: &Watch, news: &News) {
        let (Some(bytes), Some(directory)) = (&news.bytes, &self.directory) else { return };
        let path = file::path(directory, &watch.router);
        let mut said = lock(&self.said);
        match file::save(&path, bytes) {
            Ok(()) => *said = None,
            Err(err) => {
                watch.not_saved();
                let why = err.to_string();
                if said.as_ref() != Some(&why) {
                    let shown = path.display();
                    log::warn!("events: cannot write {shown}: {why}; a restart may miss changes");
                    *said = Some(why);
                }
            }
        }
    }
}

/// How far the events of a router are.
#[derive(Default)]
struct Router {
    places: Vec<Place>,
    /// Events before this number are in the journal and the log.
    known: u64,
    is_known: bool,
}

impl Router {
    /// Looks where the outputs are, which may be others than before.
    fn look(&mut self, outputs: &[Arc<Output>]) {
        self.places.iter_mut().for_each(Place::look);
        let next = self.places.iter().map(|place| place.next).max();
        let mut before = std::mem::take(&mut self.places);
        let takes =
            |output: &&Arc<Output>| output.latest.is_none() && output.name != remote_write::OUTPUT;
        for output in outputs.iter().filter(takes) {
            let same = before.iter().position(|place| Arc::ptr_eq(&place.output, output));
            let named = || before.iter().position(|place| place.output.name == output.name);
            let place = match same.or_else(named).map(|at| before.swap_remove(at)) {
                Some(place) if same.is_some() => place,
                // The one before has ended, and may not have taken all.
                Some(place) => Place::new(output, place.done),
                // At the start it gets what an earlier run left, and later what is new.
                None if !self.is_known => Place::new(output, 0),
                None => Place::new(output, next.unwrap_or(self.known)),
            };
            self.places.push(place);
        }
        self.is_known = true;
    }

    /// The events before this number are with all outputs.
    fn settled(&self) -> u64 {
        self.places.iter().map(|place| place.done).min().unwrap_or(self.known)
    }
}

/// How far one output is with a router's events.
struct Place {
    output: Arc<Output>,
    /// The number of the first event that it has not got.
    next: u64,
    /// Those before this number have left it.
    done: u64,
    /// For events that it got: the number behind them, what the queue had been given then, and what
    /// it had dropped before.
    marks: VecDeque<(u64, u64, u64)>,
}

impl Place {
    fn new(output: &Arc<Output>, next: u64) -> Place {
        Place { output: output.clone(), next, done: next, marks: VecDeque::new() }
    }

    /// Looks what has left the output's queue. Where it dropped points, the events among them may
    /// be lost: it gets them again.
    fn look(&mut self) {
        let level = self.output.queue.level();
        let gone = level.pushed.saturating_sub(level.points);
        while let Some((number, pushed, dropped)) = self.marks.front().copied() {
            if gone < pushed {
                return;
            }
            if level.dropped > dropped {
                self.next = self.done;
                self.marks.clear();
                return;
            }
            self.done = number;
            self.marks.pop_front();
        }
    }

    /// Gives the output the events that it has not got, by their times.
    fn give(&mut self, watch: &Watch, news: &News, end: u64) {
        let mut events: Vec<&Event> = news.after(self.next).iter().collect();
        if events.is_empty() {
            return;
        }
        events.sort_by_key(|event| event.when.time_ns);
        let dropped = self.output.queue.level().dropped;
        let outputs = std::slice::from_ref(&self.output);
        let (tags, mut scratch) = (watch.tags(), Vec::new());
        for of_one_time in events.chunk_by(|one, other| one.when.time_ns == other.when.time_ns) {
            let mut points = points(&tags);
            of_one_time.iter().for_each(|event| event.push(&mut points));
            let batch = Batch {
                node: &watch.router,
                collector: point::EVENT,
                time_ns: of_one_time[0].when.time_ns,
                points: &points,
            };
            output::push(outputs, &batch, &mut scratch, &mut Patience::none());
        }
        self.next = end;
        self.marks.push_back((end, self.output.queue.level().pushed, dropped));
    }
}
