//! Passwords, passphrases and tokens: read from files or the environment, never shown.

use std::path::Path;

/// A secret that no log, error or debug output shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl Secret {
    pub fn new(secret: impl Into<String>) -> Secret {
        Secret(secret.into())
    }

    /// The first line of a file.
    pub fn from_file(path: &Path) -> Result<Secret, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|err| format!("cannot read {}: {err}", path.display()))?;
        let secret = text.lines().next().unwrap_or_default();
        if secret.is_empty() {
            return Err(format!("{} has an empty first line, not a secret", path.display()));
        }
        Ok(Secret(secret.to_string()))
    }

    pub fn from_environment(name: &str) -> Result<Secret, String> {
        let secret = std::env::var(name).unwrap_or_default();
        if secret.is_empty() {
            // Somebody may have written the secret itself where its variable's name belongs.
            let of_a_name = |c: u8| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_';
            return Err(if name.bytes().all(of_a_name) {
                format!("the environment variable {name} is not set")
            } else {
                "no environment variable has that name, which is not shown: a secret may stand in \
                 its place"
                    .into()
            });
        }
        Ok(Secret(secret))
    }

    /// The secret itself, for the one who must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}
