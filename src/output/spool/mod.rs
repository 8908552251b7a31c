//! A log on disk of what an output has not acknowledged yet.
//!
//! A directory of segments, `00000001.log` and so on, each written once from front to back and
//! deleted when all of it was delivered, which is easy on flash. A record is
//! `magic, length, CRC-32, points` (four bytes each, little endian) and its bytes; one that was
//! damaged or cut short is passed over by looking for the next that is whole. `acknowledged` says
//! how far the first segment was delivered, so that a restart repeats little. A segment is written
//! anew only to drop the points of a source that holds more than its share (`share`).
//!
//! Every segment stays open: if the directory is deleted, its content can still be read, and new
//! records go to a new directory.
//!
//! One program at a time uses a spool: it holds a lock on the directory. Only its own user can
//! read the files, whatever the umask, and links are not followed.

use std::collections::VecDeque;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::Crc;

use crate::base::{lock_file, own_file, sys};

mod share;

/// Where and how much may be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct SpoolConfig {
    pub directory: PathBuf,
    pub bytes_max: u64,
    pub age_max: Duration,
    /// How often what was written is made to survive a loss of power.
    pub sync_interval: Duration,
}

const MAGIC: &[u8; 4] = b"PJ1\n";
const HEADER_BYTES: usize = 16;
/// A longer record is a damaged header.
const RECORD_BYTES_MAX: usize = 64 << 20;
/// What is read at once of a file in which records are looked for.
const WINDOW_BYTES: usize = 64 << 10;
/// What is read in vain of a segment, where records seem to begin that are none: so many times its
/// length, and so much besides. Beyond that, the rest of it is damaged.
const VAIN_TIMES: u64 = 16;
const VAIN_BYTES: u64 = 16 << 20;
/// So many segments that an earlier run left are taken: each takes a file descriptor. The others
/// wait for the next start.
const FOUND_MAX: usize = 1000;
/// Larger ones only where there would be too many: each takes a file descriptor.
const SEGMENT_BYTES: u64 = 4 << 20;
const SEGMENTS_MAX: u64 = 64;
const ACKNOWLEDGED: &str = "acknowledged";
const NOTE_BYTES_MAX: u64 = 64;
/// A greater number is not a segment of ours: it would take a million years to get there.
const NUMBER_MAX: u64 = 1 << 53;
/// The error for a spool that another program holds.
pub const IN_USE: &str = "another perijove uses this spool";

/// Points of one source (a router, or the machine itself) that lie together in a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub source: Arc<str>,
    pub bytes: usize,
    pub points: u64,
}

/// A record that this run has written.
#[derive(Clone)]
struct Placed {
    start: u64,
    parts: Vec<Part>,
}

struct Segment {
    number: u64,
    path: PathBuf,
    file: File,
    bytes: u64,
    /// How many of them an earlier run has left.
    found: u64,
    /// Points in records that were not read yet.
    points: u64,
    /// The records of this run.
    records: Vec<Placed>,
    /// Bytes that were passed over.
    damaged: u64,
    /// Bytes that were read where no record is.
    vain: u64,
    /// How old it was when this run found it, by its file's time.
    age_found: Duration,
    since: Instant,
}

/// The records of one output, oldest first.
pub struct Spool {
    settings: SpoolConfig,
    /// The directory, locked for as long as it is open.
    directory: File,
    segments: VecDeque<Segment>,
    /// How far the first segment was delivered, and how far it was read.
    acknowledged: u64,
    read: u64,
    /// What was read and not acknowledged: points.
    in_flight: u64,
    next_number: u64,
    /// The first segment that was written to since it was last made to survive a loss of power.
    unsynced_from: Option<u64>,
    acknowledged_saved: u64,
    /// Room for a record with its header.
    record: Vec<u8>,
}

/// What was read: records end to end.
#[derive(Debug, Default, PartialEq)]
pub struct Taken {
    pub bytes: Vec<u8>,
    pub points: u64,
    /// What was passed over in segments that are read to their end: bytes, and points that were
    /// in them.
    pub damaged_bytes: u64,
    pub damaged_points: u64,
}

/// What has to be synced: its files, and their first segment's number.
pub struct Unsynced {
    pub files: Vec<File>,
    from: u64,
}

impl Spool {
    /// Opens the directory, making it if need be; what an earlier run left is there to be read.
    /// Also how many bytes were damaged and passed over.
    pub fn open(settings: &SpoolConfig) -> io::Result<(Spool, u64)> {
        let directory = lock_directory(&settings.directory)?;
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&settings.directory)? {
            numbers.extend(entry?.file_name().to_str().and_then(segment_number));
        }
        numbers.sort_unstable();
        let shown = settings.directory.display();
        if numbers.len() > FOUND_MAX {
            let others = numbers.len() - FOUND_MAX;
            log::warn!("{shown}: {others} of its files wait for the next start");
        }
        let acknowledged = read_acknowledged(&settings.directory);
        // The number of a segment that is gone is not given again: what was noted of it would be
        // taken for the new one's.
        let last = numbers.last().copied().max(acknowledged.map(|(number, _)| number));
        let mut spool = Spool {
            settings: settings.clone(),
            directory,
            segments: VecDeque::new(),
            acknowledged: 0,
            read: 0,
            in_flight: 0,
            next_number: last.map_or(1, |last| last + 1),
            unsynced_from: None,
            acknowledged_saved: 0,
            record: Vec::new(),
        };
        let mut damaged = 0;
        for number in numbers.into_iter().take(FOUND_MAX) {
            let path = segment_path(&settings.directory, number);
            let (metadata, file) = match open_found(&path, settings.bytes_max) {
                Ok(opened) => opened,
                Err(err) => {
                    log::warn!("{} is not read: {err}", path.display());
                    continue;
                }
            };
            let age_found = metadata.modified()?.elapsed().unwrap_or_default();
            let bytes = metadata.len();
            spool.segments.push_back(Segment::new(number, path, file, bytes, age_found));
        }
        if let (Some(first), Some((number, at))) = (spool.segments.front_mut(), acknowledged)
            && first.number == number
        {
            if ends_a_record(first, at) {
                (spool.acknowledged, spool.read, spool.acknowledged_saved) = (at, at, at);
            } else {
                log::warn!(
                    "{shown}: the place in {ACKNOWLEDGED} is not the end of a record: the oldest \
                     file is sent again from its start"
                );
                // Differs from any true place, so that the file is written again.
                spool.acknowledged_saved = at;
            }
        }
        for (index, segment) in spool.segments.iter_mut().enumerate() {
            let from = if index == 0 { spool.acknowledged } else { 0 };
            let mut at = from;
            while let Some(record) = next_record(segment, at) {
                damaged += record.start - at;
                segment.points += u64::from(record.points);
                at = record.end();
            }
            damaged += segment.bytes - at;
        }
        spool.remove_delivered();
        Ok((spool, damaged))
    }

    /// Whether everything was delivered.
    pub fn is_empty(&self) -> bool {
        self.unacknowledged() == 0
    }

    /// Points that wait to be read.
    pub fn points(&self) -> u64 {
        self.segments.iter().map(|segment| segment.points).sum()
    }

    /// Points that were not delivered.
    pub fn unacknowledged(&self) -> u64 {
        self.points() + self.in_flight
    }

    /// Whether something that was taken is on its way, and still on disk.
    pub fn is_on_its_way(&self) -> bool {
        self.in_flight > 0
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Adds a record of which nobody knows the source.
    pub fn append(&mut self, bytes: &[u8], points: u64) -> io::Result<()> {
        self.append_of(bytes, points, vec![Part { source: "".into(), bytes: bytes.len(), points }])
    }

    /// Adds a record at the end, of these parts. On failure nothing is added.
    pub fn append_of(&mut self, bytes: &[u8], points: u64, parts: Vec<Part>) -> io::Result<()> {
        // Limits drop whole segments: several of them must fit.
        let SpoolConfig { bytes_max, age_max, .. } = self.settings;
        let bytes_max = SEGMENT_BYTES.max(bytes_max / SEGMENTS_MAX).min(bytes_max / 4);
        let room = |segment: &Segment| {
            segment.bytes < bytes_max && segment.age() < age_max / 4 && segment.is_in_place()
        };
        if !self.segments.back().is_some_and(room) {
            self.start_segment()?;
        }
        let Some(segment) = self.segments.back_mut() else { return Ok(()) };
        let start = segment.bytes;
        // One write: a slow disk takes its time for each.
        encode(bytes, points, &mut self.record);
        if let Err(err) = segment.file.write_all_at(&self.record, start) {
            // A full disk may have taken a part of it.
            let _ = segment.file.set_len(start);
            return Err(err);
        }
        segment.bytes = start + self.record.len() as u64;
        segment.points += points;
        segment.records.push(Placed { start, parts });
        self.unsynced_from.get_or_insert(segment.number);
        Ok(())
    }

    /// Adds what is on its way already, as if it had been taken from here. Only where nothing waits
    /// to be delivered: what is before it would come after it.
    pub fn append_taken(&mut self, bytes: &[u8], points: u64) -> io::Result<()> {
        self.append(bytes, points)?;
        while self.segments.len() > 1 {
            self.drop_first();
        }
        if let Some(segment) = self.segments.front_mut() {
            segment.points = 0;
            self.read = segment.bytes;
        }
        self.in_flight = points;
        Ok(())
    }

    fn start_segment(&mut self) -> io::Result<()> {
        if !is_same(&self.directory, &self.settings.directory) {
            // Somebody has deleted it, and the lock with it.
            self.directory = lock_directory(&self.settings.directory)?;
        }
        let number = self.next_number;
        let path = segment_path(&self.settings.directory, number);
        let file = options().read(true).write(true).create_new(true).open(&path)?;
        self.segments.push_back(Segment::new(number, path, file, 0, Duration::ZERO));
        self.next_number += 1;
        if self.segments.len() == 1 {
            (self.acknowledged, self.read, self.acknowledged_saved) = (0, 0, 0);
        }
        Ok(())
    }

    /// Takes the oldest records, as many as fit into these limits and at least one. They stay on
    /// disk until `acknowledge`; only one `Taken` may be on its way at a time.
    pub fn take(&mut self, bytes_max: usize, points_max: usize) -> Taken {
        let mut taken = Taken::default();
        let mut at = self.read;
        while let Some(segment) = self.segments.front_mut() {
            let fits = |bytes: usize, points: u32| {
                taken.points == 0
                    || taken.bytes.len() + bytes <= bytes_max
                        && taken.points as usize + points as usize <= points_max
            };
            // One that does not fit is read when it is taken, and only then.
            if header_at(segment, at).is_some_and(|header| !fits(header.length, header.points)) {
                break;
            }
            let Some(record) = next_record(segment, at) else {
                // Read to its end: what was not found is damaged.
                segment.damaged += segment.bytes - at;
                taken.damaged_bytes += std::mem::take(&mut segment.damaged);
                taken.damaged_points += std::mem::take(&mut segment.points);
                at = segment.bytes;
                if taken.points > 0 || self.segments.len() == 1 {
                    break;
                }
                self.drop_first();
                at = 0;
                continue;
            };
            if !fits(record.length, record.points) {
                break;
            }
            // What cannot be read any more is found to be damaged the next time around.
            let Some(bytes) = record.read(segment) else { continue };
            segment.damaged += record.start - at;
            at = record.end();
            taken.points += u64::from(record.points);
            segment.points = segment.points.saturating_sub(u64::from(record.points));
            if taken.bytes.is_empty() {
                taken.bytes = bytes;
            } else {
                taken.bytes.extend_from_slice(&bytes);
            }
        }
        self.read = at;
        self.in_flight = taken.points;
        if taken.points == 0 {
            self.remove_delivered();
        }
        taken
    }

    /// What was taken was delivered.
    pub fn acknowledge(&mut self) {
        self.acknowledged = self.read;
        self.in_flight = 0;
        self.remove_delivered();
    }

    /// Drops the oldest points until the limits are kept: where there is too much, those of sources
    /// that hold more than their share, and else whole segments. If any had to go, how many
    /// points that were not taken yet went with them; what was taken was in the first.
    pub fn enforce_limits(&mut self) -> Option<u64> {
        let mut dropped = None;
        loop {
            let SpoolConfig { bytes_max, age_max, .. } = self.settings;
            let too_many = self.segments.len() > 1 && self.bytes() > bytes_max;
            let too_old = self.segments.front().is_some_and(|first| first.age() > age_max);
            if !too_many && !too_old {
                return dropped;
            }
            if !too_old && let Some(points) = self.thin() {
                *dropped.get_or_insert(0) += points;
                continue;
            }
            *dropped.get_or_insert(0) += self.segments.front().map_or(0, |first| first.points);
            self.in_flight = 0;
            self.drop_first();
        }
    }

    /// What to sync for all that was written to survive a loss of power: segments and their
    /// directory. The caller does so without holding anybody up.
    pub fn unsynced(&mut self) -> io::Result<Option<Unsynced>> {
        let Some(from) = self.unsynced_from else { return Ok(None) };
        let written = self.segments.iter().filter(|segment| segment.number >= from);
        let files = written.map(|segment| segment.file.try_clone());
        let mut files = files.collect::<io::Result<Vec<File>>>()?;
        match File::open(&self.settings.directory) {
            Ok(directory) => files.push(directory),
            // Somebody has deleted it, and with it the files' names.
            Err(err) if err.kind() == io::ErrorKind::NotFound => {}
            Err(err) => return Err(err),
        }
        self.unsynced_from = None;
        Ok(Some(Unsynced { files, from }))
    }

    /// Notes that they could not all be synced, and must be synced again.
    pub fn not_synced(&mut self, unsynced: &Unsynced) {
        let from = self.unsynced_from.unwrap_or(unsynced.from);
        self.unsynced_from = Some(from.min(unsynced.from));
    }

    /// Notes on disk how far the first segment was delivered.
    pub fn save_acknowledged(&mut self) -> io::Result<()> {
        let Some(first) = self.segments.front() else { return Ok(()) };
        if self.acknowledged == self.acknowledged_saved {
            return Ok(());
        }
        let path = self.settings.directory.join(ACKNOWLEDGED);
        let new = path.with_extension("new");
        let _ = fs::remove_file(&new);
        let mut file = options().write(true).create_new(true).open(&new)?;
        writeln!(file, "{} {}", first.number, self.acknowledged)?;
        fs::rename(&new, &path)?;
        self.acknowledged_saved = self.acknowledged;
        Ok(())
    }

    /// Deletes what was delivered whole.
    fn remove_delivered(&mut self) {
        while let Some(first) = self.segments.front() {
            let done =
                self.acknowledged >= first.bytes || (first.points == 0 && self.in_flight == 0);
            if !done || (self.segments.len() == 1 && first.bytes == 0) {
                return;
            }
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.segments.pop_front() {
            let _ = fs::remove_file(&first.path);
        }
        (self.acknowledged, self.read, self.acknowledged_saved) = (0, 0, 0);
    }
}

impl Segment {
    fn new(number: u64, path: PathBuf, file: File, bytes: u64, age_found: Duration) -> Segment {
        let (points, damaged, vain, since) = (0, 0, 0, Instant::now());
        let (found, records) = (bytes, Vec::new());
        Segment {
            number,
            path,
            file,
            bytes,
            found,
            points,
            records,
            damaged,
            vain,
            age_found,
            since,
        }
    }

    /// How long ago its first record was written. A clock that is stepped makes nothing old.
    fn age(&self) -> Duration {
        self.age_found + self.since.elapsed()
    }

    /// Whether the file is still the one of its name: somebody may have cleaned up.
    fn is_in_place(&self) -> bool {
        is_same(&self.file, &self.path)
    }
}

/// Whether that path leads to this file.
fn is_same(file: &File, path: &Path) -> bool {
    let ours = file.metadata().map(|ours| (ours.dev(), ours.ino()));
    let there = fs::symlink_metadata(path).map(|there| (there.dev(), there.ino()));
    matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
}

/// Options for a file of the spool: only its owner may read it, links are not followed, and a FIFO
/// is not waited for.
fn options() -> OpenOptions {
    let mut options = File::options();
    options.mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options
}

/// Opens a segment that an earlier run left: not what another user has put there, while the
/// directory was open to all, nor what is larger than the whole spool may be.
fn open_found(path: &Path, bytes_max: u64) -> io::Result<(Metadata, File)> {
    let file = options().read(true).write(true).open(path)?;
    let found = file.metadata()?;
    own_file::check(&found, path)?;
    let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    if !found.is_file() {
        return refuse("it is no plain file");
    }
    if found.nlink() > 1 {
        return refuse("it has another name (a hard link)");
    }
    if found.len() > bytes_max.saturating_add(RECORD_BYTES_MAX as u64) {
        return refuse("it is larger than the spool may be (spool.bytes_max)");
    }
    Ok((found, file))
}

/// Makes the directory if need be, and locks it. Whoever may read a directory may lock it, so that
/// this one is its user's alone, and another user's is refused.
fn lock_directory(directory: &Path) -> io::Result<File> {
    let file = own_file::directory(directory)?;
    let found = file.metadata()?;
    if found.uid() == sys::user() && found.mode() & 0o077 != 0 {
        file.set_permissions(PermissionsExt::from_mode(0o700))?;
    }
    match lock_file::lock(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(io::ErrorKind::WouldBlock, IN_USE)),
        Err(TryLockError::Error(err)) => Err(err),
    }
}

/// Whether the directory can be written, or be made where it is to be; leaves nothing behind.
pub fn check(directory: &Path) -> Result<String, String> {
    let place = directory.ancestors().find(|place| place.is_dir()).unwrap_or(Path::new("."));
    let file = place.join(".perijove-check");
    let written = own_file::replace(&file).and_then(|_| fs::remove_file(&file));
    written.map_err(|err| format!("cannot write in {}: {err}", place.display()))?;
    Ok(format!("{} can be written", directory.display()))
}

/// A segment's number, and how far it was delivered.
fn read_acknowledged(directory: &Path) -> Option<(u64, u64)> {
    let found = own_file::read(&directory.join(ACKNOWLEDGED), NOTE_BYTES_MAX).ok()??;
    let text = String::from_utf8(found).ok()?;
    let (number, at) = text.trim().split_once(' ')?;
    let number = number.parse().ok().filter(|number| *number < NUMBER_MAX)?;
    Some((number, at.parse().ok()?))
}

/// The number of the segment of that name.
fn segment_number(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".log")?.parse().ok().filter(|number| *number < NUMBER_MAX)?;
    (segment_path(Path::new(""), number) == Path::new(name)).then_some(number)
}

/// Whether a record, or the segment, ends there.
fn ends_a_record(segment: &mut Segment, end: u64) -> bool {
    let mut at = 0;
    while at < end {
        match next_record(segment, at) {
            Some(record) => at = record.end(),
            None => return end == segment.bytes,
        }
    }
    at == end
}

fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:08}.log"))
}

/// Makes a record of these bytes.
fn encode(bytes: &[u8], points: u64, record: &mut Vec<u8>) {
    let header = [
        *MAGIC,
        (bytes.len() as u32).to_le_bytes(),
        checksum(bytes, points as u32).to_le_bytes(),
        (points as u32).to_le_bytes(),
    ];
    record.clear();
    record.extend_from_slice(header.as_flattened());
    record.extend_from_slice(bytes);
}

fn checksum(bytes: &[u8], points: u32) -> u32 {
    let mut crc = Crc::new();
    crc.update(&points.to_le_bytes());
    crc.update(bytes);
    crc.sum()
}

/// A record that is whole.
struct Record {
    start: u64,
    points: u32,
    length: usize,
}

impl Record {
    fn end(&self) -> u64 {
        self.start + (HEADER_BYTES + self.length) as u64
    }

    fn read(&self, segment: &Segment) -> Option<Vec<u8>> {
        let mut bytes = vec![0; self.length];
        segment.file.read_exact_at(&mut bytes, self.start + HEADER_BYTES as u64).ok()?;
        Some(bytes)
    }
}

/// The first whole record at or behind `at`.
fn next_record(segment: &mut Segment, mut at: u64) -> Option<Record> {
    let vain_max = segment.bytes.saturating_mul(VAIN_TIMES).saturating_add(VAIN_BYTES);
    loop {
        if let Some(record) = record_at(segment, at) {
            return Some(record);
        }
        let length = header_at(segment, at).map_or(0, |header| header.length);
        segment.vain += (WINDOW_BYTES + length) as u64;
        if segment.vain > vain_max {
            return None;
        }
        at = find_magic(segment, at + 1)?;
    }
}

fn record_at(segment: &Segment, start: u64) -> Option<Record> {
    let Header { length, crc, points } = header_at(segment, start)?;
    let mut sum = Crc::new();
    sum.update(&points.to_le_bytes());
    let mut window = vec![0; WINDOW_BYTES.min(length)];
    let record = Record { start, points, length };
    let mut at = start + HEADER_BYTES as u64;
    while at < record.end() {
        let left = usize::try_from(record.end() - at).unwrap_or(usize::MAX);
        let part = &mut window[..left.min(WINDOW_BYTES)];
        segment.file.read_exact_at(part, at).ok()?;
        sum.update(part);
        at += part.len() as u64;
    }
    (sum.sum() == crc).then_some(record)
}

/// What stands before a record, if that may be whole.
struct Header {
    length: usize,
    crc: u32,
    points: u32,
}

fn header_at(segment: &Segment, start: u64) -> Option<Header> {
    let mut header = [0; HEADER_BYTES];
    segment.file.read_exact_at(&mut header, start).ok()?;
    let word = |at: usize| {
        u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    let (length, crc, points) = (word(4) as usize, word(8), word(12));
    let room = segment.bytes.saturating_sub(start + HEADER_BYTES as u64);
    let is_one = header.starts_with(MAGIC) && length <= RECORD_BYTES_MAX && length as u64 <= room;
    is_one.then_some(Header { length, crc, points })
}

fn find_magic(segment: &Segment, mut at: u64) -> Option<u64> {
    let mut window = vec![0; WINDOW_BYTES];
    while at + HEADER_BYTES as u64 <= segment.bytes {
        let bytes = segment.file.read_at(&mut window, at).ok().filter(|bytes| *bytes >= 4)?;
        if let Some(found) = memchr::memmem::find(&window[..bytes], MAGIC) {
            return Some(at + found as u64);
        }
        at += bytes as u64 - 3;
    }
    None
}

#[cfg(test)]
mod tests;
