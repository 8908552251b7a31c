//! Saves raw replies: for `perijove record`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use crate::base::own_file;

/// Passes a reply on, and saves it if it is to be recorded.
pub struct Recorder<R> {
    reply: R,
    file: Option<File>,
}

impl<R: Read> Recorder<R> {
    pub fn new(
        reply: R,
        directory: Option<&Path>,
        name: impl FnOnce() -> String,
    ) -> Result<Recorder<R>, String> {
        let create = |directory: &Path| {
            let path = directory.join(name());
            let file = own_file::replace(&path);
            file.map_err(|err| format!("cannot write {}: {err}", path.display()))
        };
        Ok(Recorder { reply, file: directory.map(create).transpose()? })
    }
}

impl<R: Read> Read for Recorder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let bytes = self.reply.read(into)?;
        if let Some(file) = &mut self.file {
            file.write_all(&into[..bytes])?;
        }
        Ok(bytes)
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
