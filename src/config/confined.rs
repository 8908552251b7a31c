//! `sandbox`: what the threads that read what others send may open.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::outputs::{Output, OutputKind};
use super::place::Written;
use super::values::CREDENTIALS_VARIABLE;
use crate::base::sandbox::Files;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// As far as the system can.
    #[default]
    Auto,
    Off,
}

/// Read: the directory of the settings and that of each absolute path in them, those of the files
/// that are `named` elsewhere, systemd's credentials, and `~/.ssh`. A file's directory and not the
/// file alone, for a file that is renewed is another one. Written: the state directory, spools, and
/// the directories of the file output and of the `sockets` that are made.
pub fn files<'a>(
    written: &'a Written,
    named: impl Iterator<Item = &'a Path>,
    state_directory: &Path,
    outputs: &[Output],
    sockets: impl Iterator<Item = PathBuf>,
) -> Files {
    let mut read = BTreeSet::new();
    let mut name = |path: &Path| _ = path.parent().map(|parent| read.insert(parent.into()));
    written.path.iter().for_each(|path| name(path));
    named.for_each(&mut name);
    let settings: toml::Table = toml::from_str(&written.text).unwrap_or_default();
    settings.values().for_each(|value| name_paths(value, &mut name));
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    read.extend(variable(CREDENTIALS_VARIABLE));
    read.extend(variable("HOME").map(|home| home.join(".ssh")));
    let mut write = vec![existing(state_directory)];
    write.extend(sockets.filter_map(|path| path.parent().map(existing)));
    for output in outputs {
        write.extend(output.spool.iter().map(|spool| existing(&spool.directory)));
        if let OutputKind::File { path, .. } = &output.kind {
            write.extend(path.parent().map(existing));
        }
    }
    Files { read: read.into_iter().map(here).collect(), write }
}

/// Calls `each` with every absolute path in a value.
fn name_paths(value: &toml::Value, name: &mut impl FnMut(&Path)) {
    match value {
        toml::Value::String(text) if text.starts_with('/') => name(Path::new(text)),
        toml::Value::Array(values) => values.iter().for_each(|value| name_paths(value, name)),
        toml::Value::Table(table) => table.values().for_each(|value| name_paths(value, name)),
        _ => {}
    }
}

/// A directory, or the nearest above it that exists: it is made in there.
fn existing(directory: &Path) -> PathBuf {
    let above = directory.ancestors().map(|path| here(path.into()));
    above.into_iter().find(|path| path.is_dir()).unwrap_or_else(|| directory.into())
}

/// The parent of a path without a directory is the empty path.
fn here(path: PathBuf) -> PathBuf {
    if path.as_os_str().is_empty() { ".".into() } else { path }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;

    #[test]
    fn what_settings_name_may_be_opened() {
        let text = "state_directory = \"/nonexistent/a/b\"\n\
                    [[router]]\ntarget = \"r\"\nusername = \"u\"\nknown_hosts = \"/keys/hosts\"\n\
                    [output.kafka]\nbrokers = \"b\"\n\
                    [output.kafka.librdkafka]\n\"ssl.ca.location\" = \"/ca/roots.pem\"\n\
                    [output.file]\npath = \"/usr/points\"\n\
                    [spool]\ndirectory = \"/usr/lib/spool\"\n";
        let files = read(text).unwrap().sandbox.unwrap();
        for directory in ["/keys", "/ca"] {
            assert!(files.read.iter().any(|path| path.as_os_str() == directory), "{files:?}");
        }
        for directory in ["/", "/usr", "/usr/lib"] {
            assert!(files.write.iter().any(|path| path.as_os_str() == directory), "{files:?}");
        }
        assert_eq!(read(&format!("sandbox = \"off\"\n{text}")).unwrap().sandbox, None);
        assert!(read("sandbox = \"on\"\n").is_err());
    }
}
