//! Room in a spool at the cost of those sources alone that hold more than their share of it: what
//! the others have is copied out of the oldest segment that has something of such a source.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::{HEADER_BYTES, Placed, Segment, Spool, WINDOW_BYTES, encode, options, record_at};

/// The source of what an earlier run has left, of which nothing is known.
const UNKNOWN: &str = "";

impl Spool {
    /// Drops the oldest points of sources that hold more than an equal share, as many as lie in one
    /// segment; how many points went. `None` if there is nothing of them to drop.
    pub(super) fn thin(&mut self) -> Option<u64> {
        let mut held: HashMap<Arc<str>, u64> = HashMap::new();
        for segment in &self.segments {
            for (source, bytes) in segment.sources(0) {
                *held.entry(source).or_default() += bytes;
            }
        }
        let share = self.settings.bytes_max / held.len().max(1) as u64;
        held.retain(|_, bytes| *bytes > share);
        let is_over = |source: &str| held.contains_key(source);
        // What was read of the first may be delivered or on its way.
        let read = self.read;
        let behind = |at: usize| if at == 0 { read } else { 0 };
        let at = (0..self.segments.len()).find(|at| {
            self.segments[*at].sources(behind(*at)).any(|(source, _)| is_over(&source))
        })?;
        let segment = &mut self.segments[at];
        if behind(at) == 0 && segment.sources(0).all(|(source, _)| is_over(&source)) {
            return self.remove(at);
        }
        let before = segment.points;
        if let Err(err) = segment.rewrite_without(is_over, behind(at)) {
            log::debug!("{} cannot be rewritten: {err}", segment.path.display());
            return None;
        }
        let (points, number) = (segment.points, segment.number);
        let from = self.unsynced_from.unwrap_or(number);
        self.unsynced_from = Some(from.min(number));
        Some(before - points)
    }

    /// Removes a segment of which nothing is on its way; how many points went.
    fn remove(&mut self, at: usize) -> Option<u64> {
        if at == 0 {
            let points = self.segments.front()?.points;
            self.drop_first();
            return Some(points);
        }
        let segment = self.segments.remove(at)?;
        let _ = fs::remove_file(&segment.path);
        Some(segment.points)
    }
}

impl Segment {
    /// Each source that has something from `start` on, with its bytes; one may come several times.
    fn sources(&self, start: u64) -> impl Iterator<Item = (Arc<str>, u64)> {
        let found = self.found.saturating_sub(start);
        let unknown = (found > 0).then(|| (UNKNOWN.into(), found));
        let records = self.records.iter().filter(move |record| record.start >= start);
        let known = records.flat_map(|record| {
            let header = |at| if at == 0 { HEADER_BYTES } else { 0 };
            let parts = record.parts.iter().enumerate();
            parts.map(move |(at, part)| (part.source.clone(), (header(at) + part.bytes) as u64))
        });
        unknown.into_iter().chain(known)
    }

    /// Replaces the file at once by one that has nothing of these sources; up to `start` it stays
    /// as it is.
    fn rewrite_without(&mut self, is_over: impl Fn(&str) -> bool, start: u64) -> io::Result<()> {
        let path = self.path.with_extension("new");
        let _ = fs::remove_file(&path);
        let mut file = options().read(true).write(true).create_new(true).open(&path)?;
        let written = self.write_without(&mut file, is_over, start).and_then(|written| {
            file.sync_data()?;
            fs::rename(&path, &self.path)?;
            Ok(written)
        });
        let (bytes, points, records) = written.inspect_err(|_| {
            let _ = fs::remove_file(&path);
        })?;
        let first = records.first().map_or(bytes, |record| record.start);
        (self.file, self.bytes, self.points) = (file, bytes, points);
        (self.found, self.records) = (self.found.min(first), records);
        Ok(())
    }

    /// Writes what is not of these sources, or before `start`: the bytes, the points that were not
    /// read, and the records.
    fn write_without(
        &self,
        file: &mut File,
        is_over: impl Fn(&str) -> bool,
        start: u64,
    ) -> io::Result<(u64, u64, Vec<Placed>)> {
        let drops_found = is_over(UNKNOWN);
        let mut end = if drops_found { start } else { start.max(self.found) };
        let mut window = vec![0; WINDOW_BYTES];
        let mut at = 0;
        while at < end {
            let part = usize::try_from(end - at).unwrap_or(usize::MAX).min(WINDOW_BYTES);
            self.file.read_exact_at(&mut window[..part], at)?;
            file.write_all(&window[..part])?;
            at += part as u64;
        }
        let (before, behind): (Vec<&Placed>, Vec<&Placed>) =
            self.records.iter().partition(|record| record.start < end);
        let mut records: Vec<Placed> = before.into_iter().cloned().collect();
        let known = behind.iter().flat_map(|record| &record.parts).map(|part| part.points);
        // Those of an earlier run.
        let found = self.points.saturating_sub(known.sum());
        let mut points = if drops_found { 0 } else { found };
        for record in behind {
            // One that was damaged meanwhile is lost.
            let whole = record_at(self, record.start).and_then(|record| record.read(self));
            let Some(whole) = whole else { continue };
            let (mut bytes, mut parts, mut rest) = (Vec::new(), Vec::new(), &whole[..]);
            for part in &record.parts {
                let (own, behind) = rest.split_at(part.bytes.min(rest.len()));
                rest = behind;
                if !is_over(&part.source) {
                    bytes.extend_from_slice(own);
                    parts.push(part.clone());
                }
            }
            if parts.is_empty() {
                continue;
            }
            let kept = parts.iter().map(|part| part.points).sum();
            let mut encoded = Vec::new();
            encode(&bytes, kept, &mut encoded);
            file.write_all(&encoded)?;
            records.push(Placed { start: end, parts });
            end += encoded.len() as u64;
            points += kept;
        }
        Ok((end, points, records))
    }
}
