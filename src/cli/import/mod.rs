//! `perijove import`: settings for perijove from those of another program, and descriptions of
//! collectors from PyEZ's tables.

mod go_flags;
mod settings;
mod junos_exporter;
mod planet_exporter;
mod pyez_table;

use std::io::Write;
use std::path::{Path, PathBuf};

use super::command::{Arguments, Exit};
use super::print::say;
use crate::base::own_file;
use crate::base::secret::Secret;
use crate::config::or_nearest;

/// What another program's settings come to.
#[derive(Default)]
pub struct Imported {
    /// The settings, without the notes.
    pub settings: String,
    /// The files that hold secrets, by the names that the settings have for them.
    pub secrets: Vec<(String, Secret)>,
    /// What is not carried, or is to be done, each in a sentence.
    pub notes: Vec<String>,
}

/// A program whose settings can be read.
struct Kind {
    name: &'static str,
    /// What is typed behind its name.
    arguments: &'static str,
    read: fn(&[String], &Place) -> Result<Imported, String>,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "junos_exporter",
        arguments: "[config.yml] [its flags]",
        read: junos_exporter::read,
    },
    Kind { name: "planet-exporter", arguments: "[its flags]", read: planet_exporter::read },
];

/// The kind that becomes descriptions of collectors, and what is typed behind it.
const TABLES: (&str, &str) = ("pyez-table", "FILE.yml [TABLE]");

/// Where the settings and the files with secrets go.
pub struct Place {
    directory: Option<PathBuf>,
}

impl Place {
    /// The path of a file beside the settings.
    pub fn path(&self, name: &str) -> String {
        let directory = self.directory.as_deref().unwrap_or(Path::new("/etc/perijove"));
        directory.join(name).display().to_string()
    }
}

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let (kind, rest) = arguments.positional.split_first().ok_or_else(|| usage("a kind"))?;
    if kind == TABLES.0 {
        return tables(rest);
    }
    let kind = KINDS.iter().find(|known| known.name == kind).ok_or_else(|| {
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).chain([TABLES.0]).collect();
        let nearest = or_nearest(kind, &names);
        Exit::Usage(format!("import knows no `{kind}`{nearest} It knows: {}", names.join(", ")))
    })?;
    let (place, theirs) = place(rest)?;
    let failed = |why| Exit::Failed(format!("{}: {why}", kind.name));
    let imported = (kind.read)(&theirs, &place).map_err(failed)?;
    for note in &imported.notes {
        eprintln!("not carried: {note}");
    }
    match &place.directory {
        None => print(kind, &imported),
        Some(directory) => write(kind, &imported, directory).map_err(Exit::Failed),
    }
}

fn usage(what: &str) -> Exit {
    let kinds = KINDS.iter().map(|kind| (kind.name, kind.arguments)).chain([TABLES]);
    let kinds = kinds.map(|(name, arguments)| format!("import {name} {arguments}"));
    let kinds: Vec<String> = kinds.collect();
    Exit::Usage(format!("{what} is missing: {}", kinds.join(", or ")))
}

/// Takes our own flag from theirs: `--directory DIR`.
fn place(arguments: &[String]) -> Result<(Place, Vec<String>), Exit> {
    let (mut directory, mut theirs) = (None, Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let value = match argument.strip_prefix("--directory") {
            Some("") => Some(arguments.next().ok_or_else(|| usage("the directory"))?.as_str()),
            Some(rest) => rest.strip_prefix('='),
            None => None,
        };
        match value {
            Some(value) => directory = Some(PathBuf::from(value)),
            None => theirs.push(argument.clone()),
        }
    }
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    Ok((Place { directory: directory.map(absolute) }, theirs))
}

/// PyEZ's tables: the description of one to standard output, or each in a file of its own.
fn tables(rest: &[String]) -> Result<(), Exit> {
    let (place, rest) = place(rest)?;
    let (path, wanted) = match &rest[..] {
        [path] => (path, None),
        [path, table] => (path, Some(table)),
        _ => return Err(usage("a file of PyEZ's tables")),
    };
    let failed = |why| Exit::Failed(format!("{path}: {why}"));
    let text = std::fs::read_to_string(path).map_err(|err| failed(err.to_string()))?;
    let mut tables = pyez_table::read(&text).map_err(failed)?;
    if let Some(wanted) = wanted {
        tables.described.retain(|described| described.table == *wanted);
    }
    tables.notes.iter().for_each(|note| eprintln!("not carried: {note}"));
    for described in &tables.described {
        let table = &described.table;
        described.notes.iter().for_each(|note| eprintln!("not carried: {table}: {note}"));
    }
    match (&tables.described[..], &place.directory) {
        ([], _) => Err(failed("no table of it can be described".into())),
        (several, Some(directory)) => {
            several.iter().try_for_each(|described| write_description(described, directory))
        }
        ([one], None) => say(&pyez_table::with_notes(one)),
        (several, None) => {
            let names: Vec<&str> = several.iter().map(|one| one.table.as_str()).collect();
            let names = names.join(", ");
            Err(failed(format!("it has several tables, name one or give --directory: {names}")))
        }
    }
}

fn write_description(described: &pyez_table::Described, directory: &Path) -> Result<(), Exit> {
    let path = directory.join(format!("{}.toml", described.name));
    let write = || {
        std::fs::create_dir_all(directory)?;
        std::fs::File::create_new(&path)?.write_all(pyez_table::with_notes(described).as_bytes())
    };
    write().map_err(|err| Exit::Failed(format!("cannot write {}: {err}", path.display())))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// The settings with their notes as comments.
fn text(kind: &Kind, imported: &Imported) -> String {
    let mut text = format!("# perijove's settings, made from those of {}.\n", kind.name);
    if !imported.notes.is_empty() {
        text += "#\n# Not carried:\n";
    }
    for note in &imported.notes {
        text += &format!("# * {}\n", note.replace(char::is_control, " "));
    }
    text + &imported.settings
}

fn print(kind: &Kind, imported: &Imported) -> Result<(), Exit> {
    for (name, _) in &imported.secrets {
        eprintln!("{name} is not written: --directory DIR writes it, and the settings beside it");
    }
    say(&text(kind, imported))
}

/// Writes perijove.toml and the files with secrets. Nothing that is there already is replaced.
fn write(kind: &Kind, imported: &Imported, directory: &Path) -> Result<(), String> {
    let failed = |path: &Path, err| format!("cannot write {}: {err}", path.display());
    std::fs::create_dir_all(directory).map_err(|err| failed(directory, err))?;
    let settings = text(kind, imported);
    let mut files = vec![(directory.join("perijove.toml"), settings.as_str())];
    for (name, secret) in &imported.secrets {
        files.push((directory.join(name), secret.expose()));
    }
    if let Some((path, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        return Err(format!("{} is there already; nothing was written", path.display()));
    }
    for (path, text) in &files {
        let write = || {
            let mut file = own_file::replace(path)?;
            file.write_all(text.as_bytes())?;
            file.write_all(if text.ends_with('\n') { b"" } else { b"\n" })
        };
        write().map_err(|err| failed(path, err))?;
        eprintln!("wrote {}", path.display());
    }
    eprintln!("next: perijove check --config {}", files[0].0.display());
    Ok(())
}
