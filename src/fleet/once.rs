//! Reads all lists once, for commands that end.

use super::fetch::Fetch;
use super::list::{List, Members, union};
use crate::poll::router::Router;

/// A list's name, and what was read of it in words.
pub type Read = (String, Result<String, String>);

/// The routers that this process polls, and how each of the lists could be read.
pub fn read(own: &[Router], lists: &[List]) -> (Vec<Router>, Vec<Read>) {
    let groups = lists.iter().map(|list| Fetch::new(list).and_then(|fetch| fetch.get()));
    let groups: Vec<_> = groups.collect();
    let members = lists.iter().zip(&groups).map(|(list, groups)| {
        groups.as_ref().map_or_else(|_| Members::default(), |groups| list.members(groups))
    });
    let mut found = Vec::new();
    let routers = union(own, members, |at, members, again, polled| {
        let read = groups[at].as_ref().map(|_| words(members, again, polled)).map_err(Clone::clone);
        found.push((lists[at].name.clone(), read));
    });
    (routers, found)
}

fn words(members: &Members, again: u64, polled: u64) -> String {
    let Members { rejected, first_rejected, duplicates, dropped, .. } = members;
    let mut words = format!("{polled} routers");
    for (count, why) in [
        (
            *rejected,
            format!("do not fit, first: {}", first_rejected.as_deref().unwrap_or_default()),
        ),
        (duplicates + again, "have the name of another".into()),
        (*dropped, "are beyond targets_max".into()),
    ] {
        if count > 0 {
            words += &format!("; {count} {why}");
        }
    }
    words
}
