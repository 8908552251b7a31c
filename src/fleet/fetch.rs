//! Reads a list from its files or its server.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::read::GzDecoder;
use ureq::Agent;

use super::document::{self, Format, Group, Keep};
use super::list::{List, Origin};
use crate::base::http_client::{self, Login, Redirects};
use crate::netconf::known_hosts::is_like;

/// A list with more files is refused.
const FILES_MAX: usize = 1000;

pub struct Fetch {
    list: List,
    agent: Option<Agent>,
}

impl Fetch {
    /// Fails if the file with the roots of trust is no good.
    pub fn new(list: &List) -> Result<Fetch, String> {
        let agent = match &list.origin {
            Origin::Http { url, timeout, ca_file, .. } => {
                Some(http_client::agent(url, *timeout, ca_file)?)
            }
            Origin::Files { .. } => None,
        };
        Ok(Fetch { list: list.clone(), agent })
    }

    /// The whole list as it is now; an error if a part of it is missing, or if no target
    /// fits.
    pub fn get(&self) -> Result<Vec<Group>, String> {
        let groups = match (&self.list.origin, &self.agent) {
            (Origin::Http { url, login, .. }, Some(agent)) => self.ask(agent, url, login)?,
            (Origin::Files { directory, pattern }, _) => self.files(directory, pattern)?,
            (Origin::Http { .. }, None) => return Err("it has no client".into()),
        };
        if groups.iter().all(|group| group.targets.is_empty()) {
            return Err("it has no target".into());
        }
        let members = self.list.members(&groups);
        match members.routers.is_empty() {
            true => Err(format!("no target fits: {}", members.first_rejected.unwrap_or_default())),
            false => Ok(groups),
        }
    }

    fn files(&self, directory: &Path, pattern: &str) -> Result<Vec<Group>, String> {
        let shown = directory.display();
        let failed = |err| format!("cannot read {shown}: {err}");
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().as_encoded_bytes();
            // Not what an editor or a program is still writing.
            if !name.starts_with(b".") && is_like(name, pattern.as_bytes()) {
                paths.push(path);
            }
        }
        paths.sort();
        if paths.is_empty() {
            return Err(format!("there is no file {}", directory.join(pattern).display()));
        }
        if paths.len() > FILES_MAX {
            return Err(format!("{} files, and a list has {FILES_MAX} at most", paths.len()));
        }
        let (mut groups, mut left) = (Vec::new(), self.list.bytes_max);
        let keep = self.keep();
        for path in paths {
            let failed = |why: String| format!("{}: {why}", path.display());
            let file = open(&path).map_err(|err| failed(err.to_string()))?;
            let text = self.read(file, left).map_err(failed)?;
            left -= text.len();
            let format = Format::of(&path.to_string_lossy());
            groups.extend(document::read(&text, format, &keep).map_err(failed)?);
        }
        Ok(groups)
    }

    fn ask(&self, agent: &Agent, url: &str, login: &Login) -> Result<Vec<Group>, String> {
        let headers = [("accept", "application/json"), ("accept-encoding", "gzip")];
        let authorization = login.header();
        let answer = http_client::get_redirected(
            agent,
            url,
            &headers,
            authorization.as_ref(),
            Redirects::ToSameServer,
        )?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(format!("status {status}"));
        }
        let encoding = answer.headers().get("content-encoding");
        let is_gzip = encoding.is_some_and(|encoding| encoding == "gzip");
        let body = answer.into_body().into_reader();
        let text = match is_gzip {
            true => self.read(GzDecoder::new(body), self.list.bytes_max),
            false => self.read(body, self.list.bytes_max),
        };
        document::read(&text?, Format::Json, &self.keep())
    }

    /// Half of what the text may take: there is the list that is in use, too.
    fn keep(&self) -> Keep<'_> {
        let List { name_label, labels, bytes_max, .. } = &self.list;
        let labels = labels.iter().map(|(_, label)| label).chain(name_label);
        Keep::new(labels.map(|label| &**label).collect(), bytes_max / 2)
    }

    fn read(&self, from: impl Read, bytes_max: usize) -> Result<Vec<u8>, String> {
        let mut text = Vec::new();
        let read = from.take(bytes_max as u64 + 1).read_to_end(&mut text);
        read.map_err(|err| format!("reading it failed: {err}"))?;
        match text.len() <= bytes_max {
            true => Ok(text),
            false => Err(format!("it is longer than {} bytes (bytes_max)", self.list.bytes_max)),
        }
    }
}

/// Opens a file, and waits for nobody, as it would to write to a FIFO.
fn open(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no plain file")),
    }
}
