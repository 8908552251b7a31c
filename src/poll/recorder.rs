//! Saves replies: for `perijove record`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use crate::base::own_file;

/// Where replies are saved, and what of each.
pub struct Recording {
    pub directory: PathBuf,
    /// Makes the filter that a reply goes through.
    pub filter: Box<dyn Fn() -> Box<dyn Filter> + Send + Sync>,
}

/// Decides what of a reply is written.
pub trait Filter {
    fn pass(&mut self, bytes: &[u8], file: &mut dyn Write) -> io::Result<()>;
    /// Writes what it still has.
    fn finish(&mut self, file: &mut dyn Write) -> io::Result<()>;
}

/// Passes a reply on, and saves it if it is to be recorded.
pub struct Recorder<R> {
    reply: R,
    file: Option<(File, Box<dyn Filter>)>,
}

impl<R: Read> Recorder<R> {
    pub fn new(
        reply: R,
        recording: Option<&Recording>,
        name: impl FnOnce() -> String,
    ) -> Result<Recorder<R>, String> {
        let create = |recording: &Recording| {
            let path = recording.directory.join(name());
            let file = own_file::replace(&path);
            let file = file.map_err(|err| format!("cannot write {}: {err}", path.display()))?;
            Ok::<_, String>((file, (recording.filter)()))
        };
        Ok(Recorder { reply, file: recording.map(create).transpose()? })
    }
}

impl<R: Read> Read for Recorder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reply.read(into)?;
        if let Some((file, filter)) = &mut self.file {
            filter.pass(&into[..bytes], file)?;
        }
        Ok(bytes)
    }
}

impl<R> Drop for Recorder<R> {
    fn drop(&mut self) {
        if let Some((file, filter)) = &mut self.file
            && let Err(err) = filter.finish(file)
        {
            log::error!("record: the end of a reply cannot be written: {err}");
        }
    }
}

/// `bgp--get-bgp-group-information.xml`: collector, and the RPC's words.
pub fn recording_name(collector: &str, rpc: &str) -> String {
    let words = rpc.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let mut seen: Vec<&str> = Vec::new();
    for word in words.filter(|word| !word.is_empty()) {
        if !seen.contains(&word) {
            seen.push(word);
        }
    }
    format!("{collector}--{}.xml", seen.join("-"))
}
