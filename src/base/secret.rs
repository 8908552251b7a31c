//! Passwords, passphrases and tokens: read from files or the environment, never shown, wiped from
//! memory when they are no longer used.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use log::LevelFilter;
use zeroize::Zeroizing;

use super::sync::lock;

/// A secret that no log, error or debug output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl Secret {
    pub fn new(secret: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(secret.into()))
    }

    /// The first line of a file.
    pub fn from_file(path: &Path) -> Result<Secret, String> {
        warn_if_exposed(path);
        Secret::from_file_again(path)
    }

    /// The same without a warning if others can read it, which was said before.
    fn from_file_again(path: &Path) -> Result<Secret, String> {
        let text = read_text(path)?;
        let secret = text.lines().next().unwrap_or_default();
        if secret.is_empty() {
            return Err(format!("{} has an empty first line, not a secret", path.display()));
        }
        Ok(Secret::new(secret))
    }

    pub fn from_environment(name: &str) -> Result<Secret, String> {
        let secret = std::env::var(name).unwrap_or_default();
        if secret.is_empty() {
            // The setting may hold the secret itself instead of the variable's name.
            let of_a_name = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
            return Err(if name.bytes().all(of_a_name) {
                format!("the environment variable {name} is not set")
            } else {
                "no environment variable has that name, which is not shown: a secret may stand in \
                 its place"
                    .into()
            });
        }
        Ok(Secret::new(secret))
    }

    /// The secret itself, to be sent.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Where a secret is kept. A file is read at each use, so that a new secret needs no restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    File(PathBuf),
    Here(Secret),
}

impl Kept {
    /// A secret in a file, which can be read now; a warning if others can read it too.
    pub fn in_file(path: PathBuf) -> Result<Kept, String> {
        Secret::from_file(&path)?;
        Ok(Kept::File(path))
    }

    pub fn read(&self) -> Result<Secret, String> {
        match self {
            Kept::File(path) => Secret::from_file_again(path),
            Kept::Here(secret) => Ok(secret.clone()),
        }
    }
}

/// The text of a file that holds secrets; a warning if others can read it too. The error names the
/// file.
pub fn read_file(path: &Path) -> Result<Zeroizing<String>, String> {
    warn_if_exposed(path);
    read_text(path)
}

fn read_text(path: &Path) -> Result<Zeroizing<String>, String> {
    let text = std::fs::read_to_string(path).map_err(|err| match path.is_absolute() {
        true => format!("cannot read {}: {err}", path.display()),
        // It may be the secret itself.
        false => format!("cannot read the file of that name, which is not an absolute path: {err}"),
    })?;
    Ok(Zeroizing::new(text))
}

/// Warns of a file with a secret that others can read.
pub fn warn_if_exposed(path: &Path) {
    let mode = std::fs::metadata(path).map_or(0, |data| data.permissions().mode());
    if mode & 0o077 == 0 {
        return;
    }
    let shown = path.display();
    let mode = mode & 0o7777;
    let warning = format!(
        "{shown} holds a secret, and others than its owner may use it (mode {mode:04o}): \
         chmod 600 {shown}"
    );
    // Settings are read before they have said where the log goes.
    match log::max_level() {
        LevelFilter::Off => lock(&EARLY).push(warning),
        _ => log::warn!("{warning}"),
    }
}

static EARLY: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Logs the warnings that came before the log was started.
pub fn log_early_warnings() {
    let mut early = std::mem::take(&mut *lock(&EARLY));
    early.sort();
    early.dedup();
    early.iter().for_each(|warning| log::warn!("{warning}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_can_read_is_said() {
        let name = format!("perijove-secret-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, "word\nmore\n").unwrap();
        let said = |mode: u32| {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert_eq!(Secret::from_file(&path), Ok(Secret::new("word")));
            let shown = path.display().to_string();
            lock(&EARLY).iter().filter(|warning| warning.starts_with(&shown)).count()
        };
        assert_eq!((said(0o600), said(0o400), said(0o640)), (0, 0, 1));
        let warnings = lock(&EARLY).join("\n");
        assert!(warnings.contains("(mode 0640): chmod 600 /"), "{warnings}");
        assert!(!format!("{:?}", Secret::new("word")).contains("word"));
        std::fs::remove_file(&path).unwrap();
    }
}
