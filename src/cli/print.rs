//! What commands print: a text, or points in a format.

use std::io::{self, BufWriter, Write};

use super::command::Exit;
use crate::output::line_protocol::LineProtocol;
use crate::output::{exposition, json};
use crate::point::{Batch, Points};

#[derive(Clone, Copy, PartialEq)]
pub enum PointFormat {
    Line,
    Json,
    Prometheus,
}

pub const POINT_FORMATS: &[(&str, PointFormat)] = &[
    ("line", PointFormat::Line),
    ("json", PointFormat::Json),
    ("prometheus", PointFormat::Prometheus),
];

/// Prints points in a format: as they come, or at the end where the format wants them together.
pub struct Printer {
    format: PointFormat,
    out: BufWriter<io::StdoutLock<'static>>,
    scratch: Vec<u8>,
    kept: Vec<(String, String, u64, Points)>,
    failed: Option<io::Error>,
}

impl Printer {
    pub fn new(format: PointFormat) -> Printer {
        let out = BufWriter::new(io::stdout().lock());
        Printer { format, out, scratch: Vec::new(), kept: Vec::new(), failed: None }
    }

    pub fn print(&mut self, batch: &Batch) {
        self.scratch.clear();
        match self.format {
            PointFormat::Line => {
                LineProtocol::default().encode(batch, &mut self.scratch);
            }
            PointFormat::Json => {
                json::encode(batch, &mut self.scratch);
            }
            PointFormat::Prometheus => {
                let (node, collector) = (batch.node.to_string(), batch.collector.to_string());
                self.kept.push((node, collector, batch.time_ns, batch.points.clone()));
            }
        }
        if self.failed.is_none() {
            self.failed = self.out.write_all(&self.scratch).err();
        }
    }

    pub fn finish(mut self) -> Result<(), Exit> {
        let kept = self.kept.iter();
        let batches: Vec<Batch> = kept
            .map(|(node, collector, time_ns, points)| Batch {
                node,
                collector,
                time_ns: *time_ns,
                points,
            })
            .collect();
        let written = match self.failed.take() {
            Some(err) => Err(err),
            None => exposition::write(&batches, &mut self.out).and_then(|duplicates| {
                if duplicates > 0 {
                    log::warn!("{duplicates} samples were left out: their series is there already");
                }
                self.out.flush()
            }),
        };
        printed(written)
    }
}

/// Prints a text at once.
pub fn say(text: &str) -> Result<(), Exit> {
    let mut out = io::stdout().lock();
    printed(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

fn printed(written: io::Result<()>) -> Result<(), Exit> {
    match written {
        // The reader has seen enough (`perijove once | head`).
        Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|err| Exit::Failed(format!("cannot print: {err}"))),
    }
}
