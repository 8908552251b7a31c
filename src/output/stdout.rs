//! Standard output, or a file that grows: one record a line.

use std::io::{self, Write};
use std::path::PathBuf;

use super::sink::{Failure, Sink};
use crate::base::own_file;

pub struct Stdout;

impl Sink for Stdout {
    fn write(&mut self, records: &[u8], _: u64, _: &dyn Fn() -> bool) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        match stdout.write_all(records).and_then(|()| stdout.flush()) {
            Ok(()) => Ok(()),
            // The reader has left (`perijove | head`): there is nothing to wait for.
            Err(err) if err.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Gone),
            Err(err) => Err(Failure::Retry { after: None, why: err.to_string() }),
        }
    }

    fn check(&mut self) -> Result<String, String> {
        Ok("standard output".into())
    }
}

/// Opened again for each chunk, so that it can be rotated by moving it away.
pub struct File {
    pub path: PathBuf,
}

impl File {
    fn append(&self, records: &[u8]) -> io::Result<()> {
        let mut file = own_file::append(&self.path)?;
        let before = file.metadata()?.len();
        file.write_all(records).inspect_err(|_| {
            // A full disk took a part: no half records, and no double ones when it is tried again.
            let _ = file.set_len(before);
        })
    }
}

impl Sink for File {
    fn write(&mut self, records: &[u8], _: u64, _: &dyn Fn() -> bool) -> Result<(), Failure> {
        self.append(records).map_err(|err| {
            let why = format!("cannot write {}: {err}", self.path.display());
            Failure::Retry { after: None, why }
        })
    }

    fn check(&mut self) -> Result<String, String> {
        let shown = self.path.display();
        let is_new = !self.path.exists();
        self.append(b"").map_err(|err| format!("cannot write {shown}: {err}"))?;
        // Nothing is left behind.
        if is_new && self.path.metadata().is_ok_and(|file| file.len() == 0) {
            let _ = std::fs::remove_file(&self.path);
        }
        Ok(format!("{shown} can be written"))
    }
}
