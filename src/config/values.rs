//! Values that several tables have: a URL, a login, the file of a secret.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::place::Written;
use crate::base::http_client::Login;
use crate::base::secret::Secret;

/// systemd.exec(5): of LoadCredential=.
pub const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// How a table of settings says who logs in.
pub struct FileLogin<'a> {
    pub username: &'a Option<String>,
    pub password_file: &'a Option<Spanned<PathBuf>>,
    pub token_file: &'a Option<Spanned<PathBuf>>,
}

impl Written {
    /// The name of a router or a machine, whose key was `identity`.
    pub fn name(
        &self,
        name: &Option<Spanned<String>>,
        identity: &Option<Spanned<String>>,
    ) -> Result<Option<String>, String> {
        let key = if name.is_some() { "name" } else { "identity" };
        match (name, identity) {
            (Some(_), Some(identity)) => {
                let why = "identity is the old key for name, which is set too: remove identity";
                return Err(self.at_value(identity, why));
            }
            (None, Some(identity)) => {
                let why = "identity is now called name; the next release drops the old key";
                self.warnings.borrow_mut().push(self.at_value(identity, why));
            }
            _ => {}
        }
        match name.as_ref().or(identity.as_ref()) {
            Some(name) if name.get_ref().trim().is_empty() => {
                Err(self.at_value(name, format!("{key} is empty")))
            }
            name => Ok(name.map(|name| name.get_ref().clone())),
        }
    }

    pub fn secret_file(&self, path: &Option<Spanned<PathBuf>>) -> Result<Option<Secret>, String> {
        let read = |path: &Spanned<PathBuf>| {
            Secret::from_file(&named_file(path.get_ref())).map_err(|why| self.at_value(path, why))
        };
        path.as_ref().map(read).transpose()
    }

    /// A URL, which has to be there, as it is written.
    pub fn url<T>(
        &self,
        url: &Option<Spanned<String>>,
        table: &Spanned<T>,
    ) -> Result<String, String> {
        let url = url.as_ref().ok_or_else(|| self.at_value(table, "needs a url"))?;
        let text = url.get_ref();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_http = ["http", "https"].contains(&scheme);
        // First: no other error may show the password.
        if authority.contains('@') || !is_http && text.contains('@') {
            let message = "a password does not belong into the url: use username, password_file";
            return Err(self.at_value(url, message));
        }
        if !is_http {
            let message = format!("`{text}` does not begin with http:// or https://");
            return Err(self.at_value(url, message));
        }
        Ok(text.clone())
    }

    /// A server's URL, which paths are added to: without the slash at its end.
    pub fn base_url<T>(
        &self,
        url: &Option<Spanned<String>>,
        table: &Spanned<T>,
    ) -> Result<String, String> {
        let text = self.url(url, table)?;
        match url.as_ref().filter(|_| text.contains(['?', '#'])) {
            Some(url) => {
                let why = "paths are added to this url: it has no query, and no fragment";
                Err(self.at_value(url, why))
            }
            None => Ok(text.trim_end_matches('/').to_string()),
        }
    }

    pub fn login<T>(&self, file: FileLogin, table: &Spanned<T>) -> Result<Login, String> {
        let password = self.secret_file(file.password_file)?;
        let token = self.secret_file(file.token_file)?;
        match (file.username.clone(), password, token) {
            (None, None, None) => Ok(Login::None),
            (Some(username), Some(password), None) => Ok(Login::Basic { username, password }),
            (None, None, Some(token)) => Ok(Login::Bearer(token)),
            (_, _, Some(_)) => {
                Err(self.at_value(table, "either token_file, or username and password_file"))
            }
            _ => Err(self.at_value(table, "username and password_file go together")),
        }
    }

    pub fn batch_points(&self, file: &Option<Spanned<usize>>, or: usize) -> Result<usize, String> {
        match file {
            Some(points) if *points.get_ref() == 0 => {
                Err(self.at_value(points, "a batch has at least 1 point"))
            }
            points => Ok(points.as_ref().map_or(or, |points| *points.get_ref())),
        }
    }
}

/// The file that a `*_file` key names. systemd gives a unit its secrets in a directory of its own:
/// a path that is not absolute is in there, so that the units of one settings file can share it.
pub fn named_file(path: &Path) -> PathBuf {
    let directory = std::env::var_os(CREDENTIALS_VARIABLE).unwrap_or_default();
    Path::new(&directory).join(path)
}
