//! Records that wait in memory, oldest first, each with its source.
//!
//! Each source (a router, or the machine itself) has a fair share of the room: when records must be
//! dropped, they are the oldest of a source that holds more than its share.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::spool::Part;

/// Records of one source that came together.
struct Segment {
    source: Arc<str>,
    bytes: Vec<u8>,
    /// The bytes before this place were taken already.
    start: usize,
    points: u64,
    since: Instant,
}

impl Segment {
    fn records(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// A copy of the oldest records, and whose they are.
#[derive(Debug, PartialEq)]
pub struct Held {
    pub bytes: Vec<u8>,
    pub points: u64,
    pub parts: Vec<Part>,
}

#[derive(Default)]
pub struct Backlog {
    segments: VecDeque<Segment>,
    /// How many bytes each source has here.
    sources: HashMap<Arc<str>, usize>,
    bytes: usize,
    points: u64,
    /// So many segments at the front are being written to disk: they stay until that is done.
    held: usize,
}

impl Backlog {
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn points(&self) -> u64 {
        self.points
    }

    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// When the oldest records came.
    pub fn since(&self) -> Option<Instant> {
        self.segments.front().map(|segment| segment.since)
    }

    /// Adds whole records, each with its newline.
    pub fn add(&mut self, source: &str, bytes: Vec<u8>, points: u64) {
        let source = match self.sources.get_key_value(source) {
            Some((source, _)) => source.clone(),
            None => Arc::from(source),
        };
        *self.sources.entry(source.clone()).or_default() += bytes.len();
        self.bytes += bytes.len();
        self.points += points;
        let (start, since) = (0, Instant::now());
        self.segments.push_back(Segment { source, bytes, start, points, since });
    }

    /// Takes the oldest records, as many as fit into these limits and at least one.
    pub fn take(&mut self, bytes_max: usize, points_max: usize) -> Option<(Vec<u8>, u64)> {
        debug_assert_eq!(self.held, 0, "nothing is taken while the disk takes the oldest");
        let room = bytes_max.min(self.bytes);
        let (mut bytes, mut points) = (Vec::new(), 0);
        while let Some(segment) = self.segments.front_mut() {
            let (bytes_room, points_room) = (bytes_max - bytes.len(), points_max as u64 - points);
            let records = segment.records();
            let is_whole = records.len() <= bytes_room && segment.points <= points_room;
            if is_whole && bytes.is_empty() && segment.start == 0 {
                // The most common case copies nothing.
                points = segment.points;
                bytes = std::mem::take(&mut segment.bytes);
                self.remove(0, bytes.len());
                bytes.reserve_exact(room - bytes.len());
                continue;
            }
            let (taken, number) = match is_whole {
                true => (records.len(), segment.points),
                false if bytes.is_empty() => at_least_one(records, bytes_room, points_room),
                false => fitting(records, bytes_room, points_room),
            };
            if taken == 0 {
                break;
            }
            bytes.reserve_exact(room.saturating_sub(bytes.len()).max(taken));
            bytes.extend_from_slice(&records[..taken]);
            points += number;
            if is_whole || taken == records.len() {
                self.remove(0, taken);
            } else {
                segment.start += taken;
                segment.points -= number;
                self.points -= number;
                self.lighten(0, taken);
            }
            if bytes.len() >= bytes_max || points >= points_max as u64 {
                break;
            }
        }
        (points > 0).then_some((bytes, points))
    }

    /// A copy of the oldest records, in whole segments: as many as fit and at least one. They are
    /// held until `release` or `forget_held`.
    pub fn hold(&mut self, bytes_max: usize, points_max: usize) -> Option<Held> {
        let (mut bytes, mut points) = (Vec::new(), 0);
        let mut parts: Vec<Part> = Vec::new();
        for segment in &self.segments {
            let records = segment.records();
            let fits = bytes.len() + records.len() <= bytes_max
                && points + segment.points <= points_max as u64;
            if self.held > 0 && !fits {
                break;
            }
            bytes.extend_from_slice(records);
            points += segment.points;
            match parts.last_mut().filter(|part| part.source == segment.source) {
                Some(part) => {
                    part.bytes += records.len();
                    part.points += segment.points;
                }
                None => {
                    let (source, bytes) = (segment.source.clone(), records.len());
                    parts.push(Part { source, bytes, points: segment.points });
                }
            }
            self.held += 1;
        }
        (self.held > 0).then_some(Held { bytes, points, parts })
    }

    /// What is held stays.
    pub fn release(&mut self) {
        self.held = 0;
    }

    /// What is held is on disk.
    pub fn forget_held(&mut self) {
        for _ in 0..std::mem::take(&mut self.held) {
            let bytes = self.segments.front().map_or(0, |segment| segment.records().len());
            self.remove(0, bytes);
        }
    }

    /// Drops the oldest segment of those sources that hold more than their share of so much room;
    /// how many points went. `None` if nothing can go: what is held, and what came last, stays.
    pub fn drop_one(&mut self, bytes_max: usize) -> Option<u64> {
        let share = bytes_max / self.sources.len().max(1);
        let last = self.segments.len().checked_sub(1)?;
        let is_over = |at: &usize| self.sources[&self.segments[*at].source] > share;
        let at = (self.held..last).find(is_over).or((self.held < last).then_some(self.held))?;
        let (bytes, points) = (self.segments[at].records().len(), self.segments[at].points);
        self.remove(at, bytes);
        Some(points)
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        *self = Backlog::default();
    }

    /// Removes the segment at `at`, which has so many bytes left.
    fn remove(&mut self, at: usize, bytes: usize) {
        self.lighten(at, bytes);
        if let Some(segment) = self.segments.remove(at) {
            self.points -= segment.points;
        }
    }

    /// So many bytes of the segment at `at` go.
    fn lighten(&mut self, at: usize, bytes: usize) {
        self.bytes -= bytes;
        let source = &self.segments[at].source;
        if let Some(all) = self.sources.get_mut(source) {
            *all -= bytes;
            if *all == 0 {
                self.sources.remove(source);
            }
        }
    }
}

/// The whole records at the start that fit: their bytes and number.
fn fitting(records: &[u8], bytes_max: usize, points_max: u64) -> (usize, u64) {
    let (mut bytes, mut points) = (0, 0);
    for end in memchr::memchr_iter(b'\n', records) {
        if end + 1 > bytes_max || points >= points_max {
            break;
        }
        (bytes, points) = (end + 1, points + 1);
    }
    (bytes, points)
}

/// The same, with the first in any case.
fn at_least_one(records: &[u8], bytes_max: usize, points_max: u64) -> (usize, u64) {
    match fitting(records, bytes_max, points_max) {
        (0, _) => (first(records), 1),
        some => some,
    }
}

/// The bytes of the first record.
pub fn first(records: &[u8]) -> usize {
    memchr::memchr(b'\n', records).map_or(records.len(), |end| end + 1)
}

/// The whole records at the start that fit, none of them larger than `record_max`; at least one,
/// unless the first is larger: then none.
pub fn piece(records: &[u8], record_max: usize, bytes_max: usize, points_max: u64) -> (usize, u64) {
    let (mut bytes, mut points) = (0, 0);
    for end in memchr::memchr_iter(b'\n', records) {
        let is_full = points > 0 && (end + 1 > bytes_max || points >= points_max);
        if is_full || end + 1 - bytes > record_max {
            break;
        }
        (bytes, points) = (end + 1, points + 1);
    }
    (bytes, points)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(records: &[(&str, &str)]) -> Backlog {
        let mut backlog = Backlog::default();
        for (source, text) in records {
            backlog.add(source, text.as_bytes().to_vec(), text.lines().count() as u64);
        }
        backlog
    }

    fn rest(backlog: &mut Backlog) -> String {
        let mut text = Vec::new();
        while let Some((bytes, _)) = backlog.take(1000, 1000) {
            text.extend_from_slice(&bytes);
        }
        assert_eq!((backlog.bytes, backlog.points, backlog.sources.len()), (0, 0, 0));
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn segments_are_cut_to_fill_what_is_taken() {
        let mut backlog = backlog(&[("a", "1\n2\n3\n"), ("b", "4\n"), ("a", "5\n")]);
        assert_eq!(backlog.take(100, 2), Some((b"1\n2\n".to_vec(), 2)));
        assert_eq!(backlog.take(4, 100), Some((b"3\n4\n".to_vec(), 2)));
        // One that is too large alone comes alone.
        assert_eq!(backlog.take(1, 100), Some((b"5\n".to_vec(), 1)));
        assert_eq!(backlog.take(1, 100), None);
        assert_eq!(rest(&mut backlog), "");
    }

    #[test]
    fn a_source_that_holds_more_than_its_share_makes_room() {
        let mut backlog = backlog(&[("quiet", "q1\n"), ("loud", "l1\n"), ("quiet", "q2\n")]);
        for number in 2..6 {
            backlog.add("loud", format!("l{number}\n").into_bytes(), 1);
        }
        while backlog.bytes() > 12 {
            assert_eq!(backlog.drop_one(12), Some(1));
        }
        assert_eq!(rest(&mut backlog), "q1\nq2\nl4\nl5\n");
    }

    #[test]
    fn what_is_held_stays_until_it_is_on_disk() {
        let mut backlog = backlog(&[("a", "1\n"), ("a", "2\n"), ("a", "3\n")]);
        let held = backlog.hold(4, 100).unwrap();
        assert_eq!((held.bytes, held.points), (b"1\n2\n".to_vec(), 2));
        assert_eq!(held.parts, [Part { source: "a".into(), bytes: 4, points: 2 }]);
        backlog.add("a", b"4\n".to_vec(), 1);
        assert_eq!(backlog.drop_one(1), Some(1));
        assert_eq!(backlog.drop_one(1), None);
        backlog.release();
        assert_eq!(backlog.hold(2, 100).unwrap().bytes, b"1\n");
        backlog.forget_held();
        assert_eq!(rest(&mut backlog), "2\n4\n");
    }
}
