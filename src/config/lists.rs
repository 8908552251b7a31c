//! `[[routers]]`: where lists of routers are, and what the routers of each have in common.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::file_router::FileRouter;
use super::place::{Written, note};
use super::router::{self, Defaults};
use super::values::{FileLogin, named_file};
use crate::base::http_client;
use crate::base::units::{Bytes, Interval, Timeout, or_seconds};
use crate::fleet::list::{List, Origin};
use crate::point::Tags;
use crate::poll::router::Link;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileRouters {
    pub file: Option<Spanned<PathBuf>>,
    pub http: Option<Spanned<String>>,
    pub refresh_interval: Option<Interval>,
    pub timeout: Option<Timeout>,
    pub bytes_max: Option<Bytes>,
    pub targets_max: Option<usize>,
    pub username: Option<String>,
    pub password_file: Option<Spanned<PathBuf>>,
    pub token_file: Option<Spanned<PathBuf>>,
    pub ca_file: Option<PathBuf>,
    pub name_label: Option<String>,
    pub labels: Option<Spanned<BTreeMap<String, String>>>,
    pub login: Option<Spanned<String>>,
    pub interval: Option<Interval>,
    pub collectors: Option<Spanned<Vec<String>>>,
    pub tags: Option<Spanned<BTreeMap<String, String>>>,
}

/// Stands for a target and for labels until there are some.
const PLACEHOLDER: &str = "(list)";

pub fn list(
    written: &Written,
    spanned: &Spanned<FileRouters>,
    defaults: &Defaults,
    faults: &mut Vec<String>,
) -> Option<List> {
    let file = spanned.get_ref();
    let origin = note(faults, origin(written, spanned));
    let mut tags = file.tags.as_ref().map_or_else(BTreeMap::new, |tags| tags.get_ref().clone());
    let labels = file.labels.as_ref().map_or_else(BTreeMap::new, |labels| labels.get_ref().clone());
    for tag in labels.keys() {
        tags.entry(tag.clone()).or_insert(PLACEHOLDER.into());
    }
    let tags_span = file.tags.as_ref().map(Spanned::span);
    let span = tags_span.or(file.labels.as_ref().map(Spanned::span)).unwrap_or_default();
    let router = FileRouter {
        target: Some(Spanned::new(0..0, PLACEHOLDER.into())),
        login: file.login.clone(),
        interval: file.interval,
        collectors: file.collectors.clone(),
        tags: (!tags.is_empty()).then(|| Spanned::new(span, tags)),
        ..FileRouter::default()
    };
    let router = Spanned::new(spanned.span(), router);
    let mut template = router::router(written, &router, defaults, faults)?;
    let is_set = |(_, value): &(&str, &str)| *value != PLACEHOLDER;
    let tags = template.tags.iter().filter(is_set);
    let tags = tags.map(|(name, value)| (name.into(), value.into())).collect();
    template.tags = Tags::new(tags).unwrap_or_default();
    if matches!(&template.link, Link::Ssh(ssh) if !ssh.host_key_check) {
        let why =
            "host_key_check = false: whoever can change the list is sent the routers' password";
        written.warnings.borrow_mut().push(written.at_value(spanned, why));
    }
    let (name, origin) = origin?;
    Some(List {
        name,
        origin,
        refresh_interval: or_seconds(file.refresh_interval, 60),
        bytes_max: file.bytes_max.map_or(16 << 20, |bytes| bytes.0),
        targets_max: file.targets_max.unwrap_or(1_000),
        template,
        name_label: file.name_label.clone(),
        labels: labels.into_iter().collect(),
    })
}

/// Where the list is, and what it is called.
fn origin(written: &Written, spanned: &Spanned<FileRouters>) -> Result<(String, Origin), String> {
    let file = spanned.get_ref();
    let of_http = [
        ("timeout", file.timeout.is_some()),
        ("username", file.username.is_some()),
        ("password_file", file.password_file.is_some()),
        ("token_file", file.token_file.is_some()),
        ("ca_file", file.ca_file.is_some()),
    ];
    match (&file.file, &file.http) {
        (Some(path), None) => {
            written.refuse(spanned, &of_http, "is for a list from a server (http)")?;
            files(path.get_ref()).map_err(|why| written.at_value(path, why))
        }
        (None, Some(_)) => {
            let url = written.url(&file.http, spanned)?;
            let login = FileLogin {
                username: &file.username,
                password_file: &file.password_file,
                token_file: &file.token_file,
            };
            let origin = Origin::Http {
                login: written.login(login, spanned)?,
                timeout: or_seconds(file.timeout, 10),
                ca_file: file.ca_file.as_deref().map(named_file),
                url: url.clone(),
            };
            Ok((http_client::shown(&url).to_string(), origin))
        }
        _ => Err(written.at_value(spanned, "needs either file or http: where the list is")),
    }
}

fn files(path: &Path) -> Result<(String, Origin), String> {
    let pattern = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let directory = match path.parent() {
        Some(directory) if directory.as_os_str().is_empty() => Path::new("."),
        Some(directory) => directory,
        None => Path::new("/"),
    };
    let is_glob = |c: char| c == '*' || c == '?';
    if pattern.is_empty() || directory.to_string_lossy().contains(is_glob) {
        return Err(
            "a list is a file such as /etc/perijove/routers/*.json: only its last part may \
                    have * and ?"
                .into(),
        );
    }
    let origin = Origin::Files { directory: directory.into(), pattern: pattern.into() };
    Ok((path.display().to_string(), origin))
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    const LOGIN: &str = "[router_defaults]\nusername = \"u\"\n";

    #[test]
    fn a_list_is_files_or_a_server() {
        let origin = |list: &str| -> Result<(String, Origin), String> {
            let config = read(&format!("[[routers]]\n{list}\n{LOGIN}"))?;
            assert!(config.routers.is_empty());
            let List { name, origin, .. } = config.lists.into_iter().next().unwrap();
            Ok((name, origin))
        };
        for (file, directory, pattern) in [
            ("/a/b/*.json", "/a/b", "*.json"),
            ("/one.yml", "/", "one.yml"),
            ("lists/?.json", "lists", "?.json"),
            ("one.json", ".", "one.json"),
        ] {
            let files = Origin::Files { directory: directory.into(), pattern: pattern.into() };
            assert_eq!(origin(&format!("file = \"{file}\"")), Ok((file.into(), files)));
        }
        let (name, _) = origin("http = \"https://h/list?token=x\"").unwrap();
        assert_eq!(name, "https://h/list");
        for (list, why) in [
            ("", "1: routers: needs either file or http: where the list is"),
            ("file = \"a\"\nhttp = \"http://h\"", "1: routers: needs either file or http"),
            ("file = \"/a*/b.json\"", "2: routers.file: a list is a file such as"),
            ("file = \"/\"", "2: routers.file: a list is a file such as"),
            ("file = \"a\"\nca_file = \"b\"", "3: routers.ca_file: ca_file is for a list from"),
            ("http = \"ftp://h\"", "2: routers.http: `ftp://h` does not begin with http:// or"),
            ("file = \"a\"\nlogin = \"b\"", "3: routers.login: there is no table [login.b]"),
            (
                "file = \"a\"\nlabels = { Bad = \"b\" }",
                "3: routers.labels: a tag's name is made of",
            ),
            (
                "file = \"a\"\nlabels = { up = \"b\" }",
                "3: routers.labels: the tag `up` has the name",
            ),
            (
                "file = \"a\"\ncollectors = [\"bpg\"]",
                "3: routers.collectors: there is no collector",
            ),
        ] {
            let said = origin(list).unwrap_err();
            assert!(said.starts_with(&format!("FILE:{why}")), "{list}: {said}");
        }
        let twice = "[[routers]]\nfile = \"a\"\n[[routers]]\nfile = \"a\"\n";
        let said = read(&format!("{twice}{LOGIN}")).unwrap_err();
        assert_eq!(said, "FILE:3: routers: two lists are read from a");
        let said = read("[[routers]]\nfile = \"a\"\n").unwrap_err();
        assert!(said.contains("target (list) needs a username"), "{said}");
    }

    #[test]
    fn labels_become_tags_and_targets_routers() {
        let text = format!(
            "[[routers]]\nfile = \"a\"\ntags = {{ site = \"none\", role = \"core\" }}\n\
             labels = {{ site = \"__meta_site\", rack = \"rack\" }}\nname_label = \"name\"\n\
             targets_max = 6\n{LOGIN}host_key_check = false\nport = 22\n"
        );
        let config = read(&text).unwrap();
        assert!(config.warnings[0].contains("host_key_check = false"), "{:?}", config.warnings);
        let list = &config.lists[0];
        let group = |targets: &[&str], labels: &[(&str, &str)]| crate::fleet::document::Group {
            targets: targets.iter().map(|target| target.to_string()).collect(),
            labels: labels.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
        };
        let long = "x".repeat(300);
        let members = list.members(&[
            group(&["a:830"], &[("name", "mx1"), ("__meta_site", "fra"), ("job", "x")]),
            group(&["b", "-b", "[::1]:23"], &[("rack", &long), ("name", " ")]),
            group(&["c"], &[("name", "mx1"), ("rack", "7")]),
            group(&["d", "e"], &[]),
        ]);
        let routers: Vec<_> = members
            .routers
            .iter()
            .map(|router| {
                let Link::Ssh(ssh) = &router.link else { panic!("{router:?}") };
                let tags: Vec<_> = router.tags.iter().map(|(n, v)| format!("{n}={v}")).collect();
                (router.name.as_str(), format!("{} {}", ssh.target, ssh.port), tags.join(" "))
            })
            .collect();
        let expected = [
            ("mx1", "a 830", "role=core site=fra"),
            ("b", "b 22", "role=core site=none"),
            ("::1", "::1 23", "role=core site=none"),
            ("d", "d 22", "role=core site=none"),
        ];
        let expected = expected.map(|(name, at, tags)| (name, at.to_string(), tags.to_string()));
        assert_eq!(routers, expected);
        // The rack that is too long, twice, and a target that is an option.
        assert_eq!((members.rejected, members.duplicates, members.dropped), (3, 1, 1));
    }
}
