//! Label-switched paths that begin here, and the paths they may take.

use serde::Deserialize;

use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::point::{Definition, Measurement, Points, Schema, gauge};
use crate::xml::items::Scope;
use crate::xml::shapes::{DOWN, UP, is};

#[derive(Default)]
pub struct MplsLsp;

static LSP: Measurement<Lsp> = Measurement::new(|| Definition {
    name: "mpls_lsp",
    help: "A label-switched path.",
    tags: &["lspname", "lspsrc", "lspdst"],
    fields: vec![gauge("state", "", "1 if it is up.", |l| is(l.lsp_state.as_deref(), UP, DOWN))],
});

static PATH: Measurement<Path> = Measurement::new(|| Definition {
    name: "mpls_lsp_path",
    help: "A path that a label-switched path may take.",
    tags: &["lspname", "lspsrc", "lspdst", "title", "name"],
    fields: vec![
        gauge("state", "", "1 if it is up.", |p| is(p.path_state.as_deref(), UP, DOWN)),
        gauge("flapcount", "", "Times it went down.", |p| p.path_flap_count),
    ],
});

impl Collector for MplsLsp {
    const NAME: &'static str = "mplslsp";
    const HELP: &'static str = "Label-switched paths that begin here, and the paths they may take.";
    const ADVICE: &'static str =
        "60s with more than 1,000 paths: the reply has about 4 kB for each.";
    const QUERIES: &'static [Query<MplsLsp>] = &[Query {
        rpc: Rpc::Once(
            "<get-mpls-lsp-information><ingress/><extensive/></get-mpls-lsp-information>",
        ),
        command: "show mpls lsp ingress extensive",
        roots: &["mpls-lsp-information"],
        items: &[item::<_, Lsp>("mpls-lsp")],
    }];
    const MEASUREMENTS: &'static [&'static dyn Schema] = &[&LSP, &PATH];
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Lsp {
    name: String,
    #[serde(default)]
    source_address: String,
    #[serde(default)]
    destination_address: String,
    lsp_state: Option<String>,
    #[serde(default)]
    mpls_lsp_path: Vec<Path>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Path {
    #[serde(default)]
    title: String,
    #[serde(default)]
    name: String,
    path_state: Option<String>,
    path_flap_count: Option<u64>,
}

impl Item<MplsLsp> for Lsp {
    fn points(self, _: &mut MplsLsp, _: &Scope, points: &mut Points) {
        let [name, from, to] = [&self.name, &self.source_address, &self.destination_address];
        points.push(&LSP, &[name, from, to], &self);
        for path in &self.mpls_lsp_path {
            points.push(&PATH, &[name, from, to, &path.title, &path.name], path);
        }
    }
}
