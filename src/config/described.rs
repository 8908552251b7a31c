//! `collector_directory`: the files that describe an operator's collectors.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::place::Written;
use super::read::misfit;
use crate::base::sync::lock;
use crate::collector::Entry;
use crate::collector::described::{self, Refused};
use crate::output::exposition::metric;
use crate::poll::registry::Registry;

/// The directory beside the settings file, where none is set.
pub const DEFAULT_DIRECTORY: &str = "collectors.d";
/// At most so many files are read.
const FILES_MAX: usize = 256;
/// A description has at most so many bytes.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// The collectors of the last files that could be read.
static LAST_GOOD: Mutex<BTreeMap<PathBuf, &'static Entry>> = Mutex::new(BTreeMap::new());

/// What a directory holds.
#[derive(Default)]
pub struct Directory {
    pub registry: Registry,
    /// What is wrong in its files.
    pub faults: Vec<String>,
    /// The collectors whose files are wrong.
    pub broken: BTreeSet<String>,
}

impl Directory {
    /// Reads the files of a directory whose names end in `.toml`. One that is not there holds
    /// nothing. A file that is wrong leaves its collector as it was, if it was read before.
    pub fn read(path: &Path) -> Result<Directory, std::io::Error> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(path)? {
            let path = entry?.path();
            let is_hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes()[0] == b'.');
            if path.extension().is_some_and(|end| end == "toml") && !is_hidden {
                paths.push(path);
            }
        }
        paths.sort();
        let mut directory = Directory::default();
        if paths.len() > FILES_MAX {
            let why = format!("{}: more than {FILES_MAX} descriptions", path.display());
            directory.faults.push(why);
            paths.truncate(FILES_MAX);
        }
        for path in paths {
            directory.add(&path);
        }
        Ok(directory)
    }

    fn add(&mut self, path: &Path) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match read_file(path, &self.registry) {
            Ok(entry) if entry.name == stem => {
                lock(&LAST_GOOD).insert(path.into(), entry);
                self.registry.add(entry);
            }
            Ok(entry) => {
                let (path, name) = (path.display(), entry.name);
                self.faults.push(format!("{path}: it describes `{name}`: call it {name}.toml"));
                self.broken.insert(stem);
            }
            Err(why) => {
                self.faults.push(why);
                match lock(&LAST_GOOD).get(path) {
                    Some(entry) => self.registry.add(entry),
                    None => _ = self.broken.insert(stem),
                }
            }
        }
    }
}

/// The collector that a file describes, beside others.
pub fn read_file(path: &Path, registry: &Registry) -> Result<&'static Entry, String> {
    let shown = path.display();
    let cannot = |why: String| format!("cannot read the description {shown}: {why}");
    let metadata = std::fs::metadata(path).map_err(|err| cannot(err.to_string()))?;
    if !metadata.is_file() {
        return Err(cannot("it is not a file".into()));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(cannot(format!("it has more than {} kB", FILE_BYTES_MAX >> 10)));
    }
    let bytes = std::fs::read(path).map_err(|err| cannot(err.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8".into()))?;
    described::load(&text, registry.all(), metric).map_err(|refused| {
        let written = Written::new(Some(path.into()), text);
        match refused {
            Refused::Toml(err) => misfit(&written, &err),
            Refused::Faults(faults) => {
                let said = faults.iter().map(|fault| written.at(fault.at, &fault.why));
                said.collect::<Vec<_>>().join("\n")
            }
        }
    })
}
