//! Core dumps that crashed processes have left.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::changes::{Grade, Rule, Severity, Watch};
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge, watched};
use crate::xml::items::Scope;
use crate::xml::shapes::Seconds;

#[derive(Default)]
pub struct CoreDumps;

static ALL: Measurement<BTreeMap<String, File>> = Measurement::new(|| Definition {
    name: "coredumps",
    help: "Core dumps on a Routing Engine.",
    tags: &[],
    fields: vec![
        gauge("files", "", "Files.", |files| Some(files.len() as u64)),
        gauge("size", "bytes", "Their sizes together.", |files| {
            Some(files.values().filter_map(|file| file.file_size).sum::<u64>())
        }),
        gauge("newest_date", "s", "When the newest was written, since 1970.", |files| {
            files.values().filter_map(File::date).max()
        }),
    ],
});

static DUMP: Rule = Rule {
    watch: Watch::Appearance,
    grade: Grade::Always(Severity::Error),
    key: &["file_name", "date"],
    at: "date",
    ..Rule::of("core-dump")
};

static FILE: Measurement<File> = Measurement::new(|| Definition {
    name: "coredumps_file",
    help: "A core dump.",
    tags: &["file_name"],
    fields: vec![
        watched(&DUMP, gauge("size", "bytes", "Its size.", |file| file.file_size)),
        gauge("date", "s", "When it was written, since 1970.", File::date),
    ],
});

impl Collector for CoreDumps {
    const NAME: &'static str = "coredumps";
    const HELP: &'static str = "Core dumps that crashed processes have left.";
    const ADVICE: &'static str = "300s: they come seldom.";
    const QUERIES: &'static [Query<CoreDumps>] = &[Query {
        rpc: Rpc::Once("<get-system-core-dumps/>"),
        command: "show system core-dumps",
        roots: &["directory-list"],
        items: &[item::<_, DirectoryList>("directory-list")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&ALL, &FILE];
}

/// Between the directories, `<output>` elements name the files that were not found.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct DirectoryList {
    directory: Vec<Directory>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Directory {
    file_information: Vec<File>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    file_name: String,
    file_size: Option<u64>,
    file_date: Option<Seconds>,
}

impl File {
    fn date(&self) -> Option<u64> {
        self.file_date?.seconds
    }
}

impl Item<CoreDumps> for DirectoryList {
    fn points(self, _: &mut CoreDumps, _: &Scope, points: &mut Points) {
        let files = self.directory.into_iter().flat_map(|directory| directory.file_information);
        // Two of the search patterns may find the same file.
        let files: BTreeMap<_, _> = files.map(|file| (file.file_name.clone(), file)).collect();
        points.push(&ALL, &[], &files);
        for (name, file) in &files {
            points.push(&FILE, &[name], file);
        }
    }
}
