//! The latest poll of each collector of each router, kept for scrapes.
//!
//! Polls are kept as their points, a few flat lists for each batch, not as text: a series takes
//! little more than its value, and texts of a batch that are the same are there once. A poll's
//! batches wait aside until it has ended and then replace the one before at once. Whoever reads
//! holds what it reads; pollers never wait for a reader.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::base::sync::lock;
use crate::point::{Batch, Points};

/// Polls of a router that rests between them come further apart than their interval. They are kept
/// longer, but as if the interval were longer by this factor at most.
const INTERVALS_APART_MAX: u32 = 10;

/// Of all bytes, one router may take a third: none leaves the others without room.
const SHARE: usize = 3;
/// Readers may hold polls that newer ones have replaced: as many bytes as the latest ones take,
/// less what the polls that go on take, or this if that is more.
const OLD_BYTES_MAX: usize = 10 << 20;

/// One poll of one collector.
pub struct Poll {
    pub node: String,
    pub collector: String,
    /// When each batch was asked for, in nanoseconds since 1970, and its points.
    batches: Vec<(u64, Points)>,
    /// Something is missing: an RPC of several, or a node's part of a reply.
    failed: bool,
    expires: Instant,
    /// It was replaced; only its readers still hold it.
    replaced: AtomicBool,
    /// Bytes of all such polls.
    old_bytes: Arc<AtomicUsize>,
}

impl Poll {
    pub fn bytes(&self) -> usize {
        bytes(&self.batches)
    }

    /// Whether only its readers still hold it.
    pub fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Relaxed)
    }

    /// Marks it as replaced; how many bytes are no longer kept.
    fn let_go(&self) -> usize {
        self.replaced.store(true, Ordering::Relaxed);
        self.old_bytes.fetch_add(self.bytes(), Ordering::Relaxed);
        self.bytes()
    }

    pub fn batches(&self) -> impl Iterator<Item = Batch<'_>> {
        self.batches.iter().map(|(time_ns, points)| Batch {
            node: &self.node,
            collector: &self.collector,
            time_ns: *time_ns,
            points,
        })
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        if self.is_replaced() {
            self.old_bytes.fetch_sub(self.bytes(), Ordering::Relaxed);
        }
    }
}

#[derive(Default)]
struct Kept {
    /// Of the poll that has not ended.
    coming: Vec<(u64, Points)>,
    latest: Option<Arc<Poll>>,
    /// When the last poll ended, shown or not.
    ended: Option<Instant>,
}

#[derive(Default)]
struct State {
    /// By the router's name and the collector.
    polls: BTreeMap<(String, String), Kept>,
    bytes: usize,
    /// Those of them that polls that go on take.
    coming_bytes: usize,
}

/// Cuts off readers until they hold no more than so many bytes of old polls.
type CutReaders = Box<dyn Fn(usize) + Send + Sync>;

pub struct Latest {
    expire_intervals: u32,
    bytes_max: usize,
    state: Mutex<State>,
    old_bytes: Arc<AtomicUsize>,
    cut_readers: Mutex<Option<CutReaders>>,
    pub scrapes: AtomicU64,
    /// Of the last scrape of everything: samples whose series was there already.
    pub duplicates: AtomicU64,
    pub refused_connections: AtomicU64,
}

/// What is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KeptLevel {
    pub points: u64,
    pub bytes: u64,
}

impl Latest {
    /// A poll is kept for so many of its collector's intervals. All polls, and those that have
    /// not ended, take no more than `bytes_max`; those of one router take no more than a third.
    pub fn new(expire_intervals: u32, bytes_max: usize) -> Latest {
        Latest {
            expire_intervals,
            bytes_max,
            state: Mutex::default(),
            old_bytes: Arc::default(),
            cut_readers: Mutex::default(),
            scrapes: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            refused_connections: AtomicU64::new(0),
        }
    }

    /// Sets what cuts off readers who hold too much.
    pub fn cut_readers_with(&self, cut: impl Fn(usize) + Send + Sync + 'static) {
        *lock(&self.cut_readers) = Some(Box::new(cut));
    }

    /// Cuts off readers who hold more old polls than there is room for.
    pub fn make_room(&self) {
        let State { bytes, coming_bytes, .. } = *lock(&self.state);
        let old_bytes_max = OLD_BYTES_MAX.max(bytes.saturating_sub(2 * coming_bytes));
        if self.old_bytes.load(Ordering::Relaxed) > old_bytes_max
            && let Some(cut) = &*lock(&self.cut_readers)
        {
            cut(old_bytes_max);
        }
    }

    /// Takes a batch of a poll that goes on; false if there is no room for it.
    pub fn add(&self, batch: &Batch) -> bool {
        let (time_ns, points) = (batch.time_ns, batch.points.kept());
        let bytes = points.bytes();
        let mut state = lock(&self.state);
        let own = state.bytes_of(batch.node) + bytes;
        if state.bytes + bytes > self.bytes_max || own > self.bytes_max / SHARE {
            return false;
        }
        state.bytes += bytes;
        state.coming_bytes += bytes;
        let key = (batch.node.to_string(), batch.collector.to_string());
        state.polls.entry(key).or_default().coming.push((time_ns, points));
        drop(state);
        self.make_room();
        true
    }

    /// The poll has ended: it takes the place of the one before. One that has failed half-way
    /// leaves a whole one there as long as that is sure to be shown until the next poll; failure
    /// after failure, what still comes is shown, and is fresh.
    pub fn end(&self, node: &str, collector: &str, interval: Duration, failed: bool, now: Instant) {
        let key = (node.to_string(), collector.to_string());
        let state = &mut *lock(&self.state);
        let Kept { coming, latest, ended } = state.polls.entry(key).or_default();
        let batches = std::mem::take(coming);
        state.coming_bytes -= bytes(&batches);
        let apart = ended.replace(now).map_or(interval, |before| now - before);
        let apart = apart.clamp(interval, interval * INTERVALS_APART_MAX);
        // Polls do not end to the second: half an interval more.
        let next = now + apart + apart / 2;
        let is_held = |before: &Arc<Poll>| !before.failed && before.expires > next;
        if failed && (batches.is_empty() || latest.as_ref().is_some_and(is_held)) {
            state.bytes -= bytes(&batches);
        } else {
            let (node, collector) = (node.into(), collector.into());
            let expires = now + apart * self.expire_intervals;
            let replaced = AtomicBool::new(false);
            let old_bytes = self.old_bytes.clone();
            let poll = Poll { node, collector, batches, failed, expires, replaced, old_bytes };
            let before = latest.replace(Arc::new(poll));
            state.bytes -= before.map_or(0, |before| before.let_go());
        }
        state.expire(now);
    }

    /// The polls that are wanted by router and collector and are not too old.
    pub fn get(&self, wanted: impl Fn(&str, &str) -> bool, now: Instant) -> Vec<Arc<Poll>> {
        let mut state = lock(&self.state);
        state.expire(now);
        let polls = state.polls.values().filter_map(|kept| kept.latest.as_ref());
        polls.filter(|poll| wanted(&poll.node, &poll.collector)).cloned().collect()
    }

    pub fn level(&self) -> KeptLevel {
        let state = lock(&self.state);
        let polls = state.polls.values().filter_map(|kept| kept.latest.as_ref());
        let points = polls.flat_map(|poll| &poll.batches).map(|(_, points)| points.len() as u64);
        KeptLevel { points: points.sum(), bytes: state.bytes as u64 }
    }

    /// Notes a scrape of everything.
    pub fn scraped(&self, duplicates: u64) {
        let before = self.duplicates.swap(duplicates, Ordering::Relaxed);
        if duplicates > 0 && before != duplicates {
            log::warn!(
                "prometheus: {duplicates} samples are left out: their series is there twice"
            );
        }
    }
}

impl State {
    /// What a router takes.
    fn bytes_of(&self, node: &str) -> usize {
        let from = (node.to_string(), String::new());
        let own = self.polls.range(from..).take_while(|((other, _), _)| other == node);
        own.map(|(_, kept)| {
            bytes(&kept.coming) + kept.latest.as_ref().map_or(0, |poll| poll.bytes())
        })
        .sum()
    }

    fn expire(&mut self, now: Instant) {
        let bytes_in_use = &mut self.bytes;
        self.polls.retain(|_, kept| {
            if let Some(old) = kept.latest.take_if(|poll| poll.expires <= now) {
                *bytes_in_use -= old.let_go();
            }
            kept.latest.is_some() || !kept.coming.is_empty()
        });
    }
}

fn bytes(batches: &[(u64, Points)]) -> usize {
    batches.iter().map(|(_, points)| points.bytes()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::point::{Definition, Measurement, gauge};

    static PORT: Measurement<u64> = Measurement::new(|| Definition {
        name: "port",
        help: "A port.",
        tags: &[],
        fields: vec![gauge("bytes", "bytes", "Bytes.", |p| Some(*p))],
    });
    const SECOND: Duration = Duration::from_secs(1);

    fn add(latest: &Latest, values: &[u64]) -> bool {
        let mut points = Points::default();
        values.iter().for_each(|value| _ = points.push(&PORT, &[], value));
        latest.add(&Batch { node: "r", collector: "c", time_ns: 1, points: &points })
    }

    fn points(latest: &Latest, now: Instant) -> usize {
        let polls = latest.get(|node, collector| (node, collector) == ("r", "c"), now);
        polls.iter().flat_map(|poll| poll.batches()).map(|batch| batch.points.len()).sum()
    }

    #[test]
    fn a_poll_is_seen_when_it_has_ended_and_until_it_is_too_old() {
        let latest = Latest::new(3, 1 << 20);
        let start = Instant::now();
        assert!(add(&latest, &[1, 2]) && add(&latest, &[3]));
        assert_eq!(points(&latest, start), 0);
        latest.end("r", "c", SECOND, false, start);
        assert_eq!(points(&latest, start), 3);
        add(&latest, &[4]);
        assert_eq!(points(&latest, start + SECOND), 3);
        // One that fails half-way changes nothing, until there is nothing else.
        latest.end("r", "c", SECOND, true, start + SECOND);
        assert_eq!(points(&latest, start + 2 * SECOND), 3);
        assert_eq!(points(&latest, start + 3 * SECOND), 0);
        assert_eq!(latest.level(), KeptLevel::default());
        add(&latest, &[5]);
        latest.end("r", "c", SECOND, true, start + 4 * SECOND);
        assert_eq!(points(&latest, start + 5 * SECOND), 1);
        // One that comes later than its interval is kept longer.
        add(&latest, &[6, 7]);
        latest.end("r", "c", SECOND, false, start + 6 * SECOND);
        assert_eq!(points(&latest, start + 11 * SECOND), 2);
        assert_eq!(points(&latest, start + 12 * SECOND), 0);
    }

    #[test]
    fn where_polls_go_on_failing_half_way_what_they_brought_is_shown() {
        let latest = Latest::new(3, 1 << 20);
        let start = Instant::now();
        add(&latest, &[1, 2, 3, 4]);
        latest.end("r", "c", SECOND, false, start);
        // A whole one is held for one poll; then there are the partial ones, and never nothing.
        let mut shown = Vec::new();
        for (poll, values) in [(1, &[5, 6, 7][..]), (2, &[8, 9]), (3, &[10]), (4, &[11])] {
            add(&latest, values);
            let now = start + poll * SECOND;
            latest.end("r", "c", SECOND, true, now);
            shown.push(points(&latest, now + SECOND / 2));
        }
        assert_eq!(shown, [4, 2, 1, 1]);
        // Nothing at all takes nothing away.
        latest.end("r", "c", SECOND, true, start + 5 * SECOND);
        assert_eq!(points(&latest, start + 6 * SECOND), 1);
        assert_eq!(points(&latest, start + 7 * SECOND), 0);
        add(&latest, &[12, 13, 14, 15]);
        latest.end("r", "c", SECOND, false, start + 8 * SECOND);
        assert_eq!(points(&latest, start + 9 * SECOND), 4);
    }

    #[test]
    fn what_is_kept_has_a_limit_and_is_counted() {
        let latest = Latest::new(3, 300);
        assert!(add(&latest, &[1]));
        let bytes = latest.level().bytes;
        assert!(bytes > 30 && bytes < 100);
        assert!(!add(&latest, &[1, 2, 3, 4]));
        latest.end("r", "c", SECOND, false, Instant::now());
        assert_eq!(latest.level(), KeptLevel { points: 1, bytes });
    }

    #[test]
    fn no_router_takes_the_room_of_others() {
        let latest = Latest::new(3, 3000);
        let mut points = Points::default();
        points.push(&PORT, &[], &1);
        let add = |node: &str, collector: &str| {
            latest.add(&Batch { node, collector, time_ns: 1, points: &points })
        };
        let taken = (0..100).take_while(|number| add("bad", &format!("c{}", number % 3))).count();
        assert!((10..1000 / 30).contains(&taken), "{taken}");
        // What has ended counts as well.
        latest.end("bad", "c1", SECOND, false, Instant::now());
        assert!(!add("bad", "c1"));
        assert!(add("ba", "c") && add("bad2", "c") && add("good", "c"));
    }

    #[test]
    fn readers_who_hold_old_polls_give_way_to_new_ones() {
        let latest = Latest::new(3, 96 << 20);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = asked.clone();
        latest.cut_readers_with(move |bytes_max| lock(&noted).push(bytes_max));
        // Some 12 MB.
        let values: Vec<u64> = (0..700_000).map(|value| u64::MAX - value).collect();
        assert!(add(&latest, &values));
        latest.end("r", "c", SECOND, false, Instant::now());
        let held = latest.get(|_, _| true, Instant::now());
        assert!(held[0].bytes() > OLD_BYTES_MAX);
        assert!(add(&latest, &values));
        latest.end("r", "c", SECOND, false, Instant::now());
        // As much as the latest is no more than may be held, until the next poll needs room.
        latest.make_room();
        assert!(lock(&asked).is_empty());
        assert!(add(&latest, &values));
        assert_eq!(*lock(&asked), [OLD_BYTES_MAX]);
        drop(held);
        latest.make_room();
        assert_eq!(lock(&asked).len(), 1);
        assert_eq!(latest.old_bytes.load(Ordering::Relaxed), 0);
    }
}
