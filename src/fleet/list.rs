//! `[[routers]]`: where a list of routers is, and the routers that its targets are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::document::Group;
use crate::base::http_client::Login;
use crate::base::text::first_line;
use crate::netconf::ssh;
use crate::point::Tags;
use crate::poll::router::Router;

/// A list and what its routers have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// What it is called in the log and in metrics: its files, or its URL without a query.
    pub name: String,
    pub origin: Origin,
    pub refresh_interval: Duration,
    pub bytes_max: usize,
    pub targets_max: usize,
    /// A router of the list, but for its name, its target and the tags from labels.
    pub template: Router,
    /// The label with a router's name; a router without is called by its target.
    pub name_label: Option<String>,
    /// Tags that have the value of a label: the tag, and the label.
    pub labels: Vec<(String, String)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// The files of a directory whose names are like the pattern.
    Files {
        directory: PathBuf,
        pattern: String,
    },
    Http {
        url: String,
        login: Login,
        timeout: Duration,
        ca_file: Option<PathBuf>,
    },
}

/// The routers that a list's targets are, and what of them is none.
#[derive(Debug, Default)]
pub struct Members {
    pub routers: Vec<Router>,
    pub rejected: u64,
    pub first_rejected: Option<String>,
    /// Targets whose router is there already.
    pub duplicates: u64,
    /// Targets beyond `targets_max`.
    pub dropped: u64,
}

impl Members {
    fn reject(&mut self, why: impl FnOnce() -> String) {
        self.rejected += 1;
        self.first_rejected.get_or_insert_with(why);
    }
}

/// As a name in the DNS has at most.
const NAME_BYTES_MAX: usize = 253;

impl List {
    pub fn members(&self, groups: &[Group]) -> Members {
        let mut members = Members::default();
        let mut names = BTreeSet::new();
        let all = groups.iter().flat_map(|group| group.targets.iter().map(move |t| (t, group)));
        for (at, (target, group)) in all.enumerate() {
            if at >= self.targets_max {
                members.dropped += 1;
                continue;
            }
            let Some((host, port)) = ssh::host_and_port(target).filter(|(host, _)| is_host(host))
            else {
                members.reject(|| format!("`{}` is no target", first_line(target)));
                continue;
            };
            let name = self.name_label.as_ref().and_then(|label| group.labels.get(label));
            let name = name.filter(|name| !name.trim().is_empty()).map_or(host, |name| name);
            if name.len() > NAME_BYTES_MAX {
                members.reject(|| format!("`{}` is too long for a name", first_line(name)));
                continue;
            }
            if !names.insert(name.to_string()) {
                members.duplicates += 1;
                continue;
            }
            let tags = self.tags(group, &mut members);
            let router = self.template.at(name, host, port, tags);
            members.routers.extend(router);
        }
        members
    }

    fn tags(&self, group: &Group, members: &mut Members) -> Tags {
        let own = &self.template.tags;
        if self.labels.is_empty() {
            return own.clone();
        }
        let mut tags: BTreeMap<String, String> =
            own.iter().map(|(name, value)| (name.into(), value.into())).collect();
        for (tag, label) in &self.labels {
            let Some(value) = group.labels.get(label) else { continue };
            match Tags::new(BTreeMap::from([(tag.clone(), value.clone())])) {
                Ok(_) => _ = tags.insert(tag.clone(), value.clone()),
                Err(why) => members.reject(|| why),
            }
        }
        Tags::new(tags).unwrap_or_else(|_| own.clone())
    }
}

/// What a host is made of. Nothing else goes to the resolver, or to ssh's command line.
fn is_host(host: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".-_:%".contains(c);
    !host.starts_with('-') && host.len() <= NAME_BYTES_MAX && host.chars().all(is_part)
}

/// The routers that this process polls: those of the settings, and those of the lists whose name
/// none before has. `taken` is told of each list what became of it: how many of its routers were
/// there already, and how many are polled here.
pub fn union(
    own: &[Router],
    lists: impl Iterator<Item = Members>,
    mut taken: impl FnMut(usize, &Members, u64, u64),
) -> Vec<Router> {
    let mut routers: Vec<Router> = own.iter().filter(|router| router.is_ours()).cloned().collect();
    let mut names: BTreeSet<String> = own.iter().map(|router| router.name.clone()).collect();
    for (at, members) in lists.enumerate() {
        let is_new = |router: &&Router| names.insert(router.name.clone());
        let new: Vec<&Router> = members.routers.iter().filter(is_new).collect();
        let again = members.routers.len() - new.len();
        let before = routers.len();
        routers.extend(new.into_iter().filter(|router| router.is_ours()).cloned());
        taken(at, &members, again as u64, (routers.len() - before) as u64);
    }
    routers
}
