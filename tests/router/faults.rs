//! What goes wrong on request.

use std::io::{self, BufWriter, Write};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use crate::framing::Frames;
use crate::render::Counted;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Hang,
    Slow,
    Keepalive,
    Close,
    Truncate,
    Garbage,
    Misframe,
    Exit,
    Noise,
    Stderr,
    RpcError,
    Unsupported,
    NoSubsystem,
    Warning,
    NotRunning,
    Na,
    Latin1,
    Deep,
    Huge,
}

/// Every kind with its name on the command line and what it does.
pub const KINDS: &[(Kind, &str, &str)] = &[
    (Kind::Hang, "hang", "the request is never answered, nor any after it"),
    (Kind::Slow, "slow", "the reply comes a few bytes at a time"),
    (Kind::Keepalive, "keepalive", "as slow, with <!-- keepalive --> comments between elements"),
    (Kind::Close, "close", "the connection is closed in the middle of the reply"),
    (Kind::Truncate, "truncate", "the message ends in the middle of the reply, properly framed"),
    (Kind::Garbage, "garbage", "malformed XML in the middle of the reply"),
    (Kind::Misframe, "misframe", "a chunk header that is none, in the middle of the reply (1.1)"),
    (Kind::Exit, "exit", "the process exits with status 3 instead of answering"),
    (Kind::Noise, "noise", "a banner, text and comments before <hello> (no request, no range)"),
    (Kind::Stderr, "stderr", "lines on standard error with each reply"),
    (Kind::RpcError, "rpc-error", "an rpc-error; with --multi-re only in the last item"),
    (Kind::Unsupported, "unsupported", "the rpc-error of a platform that lacks the request"),
    (Kind::NoSubsystem, "no-subsystem", "rpc-error: the routing subsystem is not running"),
    (Kind::NotRunning, "not-running", "<output>BGP is not running</output>; place as rpc-error"),
    (Kind::Warning, "warning", "an rpc-error of severity warning before the data"),
    (Kind::Na, "na", "N/A instead of every number"),
    (Kind::Latin1, "latin1", "text that is not ASCII is in Latin-1, so is not UTF-8"),
    (Kind::Deep, "deep", "an element nested 1000 deep before the data"),
    (Kind::Huge, "huge", "a reply of 50 MB"),
];

/// `KIND[@N[-M]][:RPC]`.
#[derive(Debug)]
pub struct Fault {
    pub kind: Kind,
    first: u64,
    last: u64,
    rpc: String,
    seen: u64,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Fault, String> {
        let (head, rpc) = text.split_once(':').unwrap_or((text, ""));
        let (name, range) = head.split_once('@').unwrap_or((head, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, "18446744073709551615"));
        let number = |text: &str| text.parse().map_err(|_| format!("`{text}` is not a number"));
        let Some((kind, ..)) = KINDS.iter().find(|(_, known, _)| *known == name) else {
            let names: Vec<_> = KINDS.iter().map(|(_, name, _)| *name).collect();
            return Err(format!("no fault is called `{name}`; there are {}", names.join(", ")));
        };
        let (first, last) = (number(first)?, number(last)?);
        Ok(Fault { kind: *kind, first, last, rpc: rpc.to_owned(), seen: 0 })
    }
}

/// The faults that one reply has.
#[derive(Default)]
pub struct Effects(Vec<Kind>);

impl Effects {
    pub fn has(&self, kind: Kind) -> bool {
        self.0.contains(&kind)
    }

    /// What is to happen in the middle of the reply, if anything.
    pub fn middle(&self) -> Option<Kind> {
        let middle = [Kind::Close, Kind::Truncate, Kind::Garbage, Kind::Misframe];
        middle.into_iter().find(|kind| self.has(*kind))
    }
}

/// Counts a request, described by all its names, and tells which faults its reply has.
pub fn effects(faults: &mut [Fault], request: &str) -> Effects {
    let mut kinds = Vec::new();
    for fault in faults.iter_mut().filter(|fault| request.contains(&fault.rpc)) {
        fault.seen += 1;
        if (fault.first..=fault.last).contains(&fault.seen) {
            kinds.push(fault.kind);
        }
    }
    Effects(kinds)
}

/// How a faulty reply gets to the client.
#[derive(Default)]
pub struct Path {
    pub middle: Option<Kind>,
    /// Where the middle is: half of the reply's bytes.
    pub middle_at: u64,
    pub drip: Option<Drip>,
}

#[derive(Clone, Copy)]
pub struct Drip {
    pub bytes: usize,
    pub ms: u64,
    pub keepalive: bool,
}

/// A reply's way out: faults in its bytes, then its frames.
pub struct Outlet<'a, W: Write> {
    pub frames: &'a mut Frames<W>,
    pub path: Path,
    pub bytes: u64,
}

impl<W: Write> Counted for BufWriter<Outlet<'_, W>> {
    fn bytes(&self) -> u64 {
        self.get_ref().bytes
    }
}

impl<W: Write> Outlet<'_, W> {
    fn drip(&mut self, mut data: &[u8]) -> io::Result<()> {
        let Some(drip) = self.path.drip else { return self.frames.part(data) };
        while !data.is_empty() {
            let mut end = drip.bytes.min(data.len());
            if drip.keepalive {
                // After a tag, where a comment may stand.
                end += data[end - 1..].iter().position(|b| *b == b'>').unwrap_or(data.len() - end);
            }
            let (now, later) = data.split_at(end);
            self.frames.part(now)?;
            self.frames.output.flush()?;
            if drip.keepalive && now.ends_with(b">") {
                self.frames.part(b"<!-- keepalive -->")?;
            }
            thread::sleep(Duration::from_millis(drip.ms));
            data = later;
        }
        Ok(())
    }
}

impl<W: Write> Write for Outlet<'_, W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let start = self.bytes;
        self.bytes += data.len() as u64;
        let Some(kind) = self.path.middle.filter(|_| self.bytes > self.path.middle_at) else {
            self.drip(data)?;
            return Ok(data.len());
        };
        let (before, behind) = data.split_at(self.path.middle_at.saturating_sub(start) as usize);
        self.drip(before)?;
        let reached_now = start <= self.path.middle_at;
        match kind {
            // As if the client had gone: nothing more is written, and the process ends.
            Kind::Close => {
                self.frames.output.flush()?;
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Kind::Truncate => return Ok(data.len()),
            Kind::Garbage if reached_now => self.drip(b"</oops><<a b=c>&nothing;")?,
            Kind::Misframe if reached_now => self.frames.corrupt(),
            _ => (),
        }
        self.drip(behind)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
