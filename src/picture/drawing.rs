//! A map and where everything stands, as JSON: what the page draws, and what other programs read.
//!
//! `nodes` are services, `groups` hostgroups with the numbers of their nodes and their place in
//! pixels, `edges` dependencies between nodes. Times are seconds since 1970, round trips seconds.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::graph::{Change, Edge, Ends, Graph, Port};
use super::layout::{Size, layout};

/// What a box has room for, in pixels. The page's style sheet has the same.
const TITLE_HEIGHT: f64 = 28.0;
const ROW_HEIGHT: f64 = 22.0;
const LETTER_WIDTH: f64 = 6.8;
const PADDING: f64 = 24.0;
const WIDTHS: (f64, f64) = (110.0, 260.0);
/// A box shows so many services; the others are behind `and … more`.
const ROWS_MAX: usize = 12;

#[derive(Serialize)]
struct Drawing<'a> {
    title: &'a str,
    taken: u64,
    since: Option<u64>,
    unit: &'a str,
    dropped: u64,
    width: u64,
    height: u64,
    rows: usize,
    groups: Vec<Group<'a>>,
    nodes: Vec<Node<'a>>,
    edges: Vec<Line<'a>>,
}

#[derive(Serialize)]
struct Group<'a> {
    name: &'a str,
    x: u64,
    y: u64,
    w: u64,
    h: u64,
    nodes: Vec<usize>,
}

#[derive(Serialize)]
struct Node<'a> {
    name: &'a str,
    group: usize,
    reports: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    from: usize,
    to: usize,
    sent: Option<f64>,
    received: Option<f64>,
    rtt: Option<f64>,
    change: Change,
    ports: Vec<LinePort<'a>>,
}

#[derive(Serialize)]
struct LinePort<'a> {
    port: u16,
    protocol: &'a str,
    clients: &'a BTreeSet<String>,
    servers: &'a BTreeSet<String>,
    rtt: Option<f64>,
    change: Change,
    ends: Option<Ends>,
}

/// The hostgroups of a map, in order, and the nodes of each; a service without one is alone.
pub fn groups(graph: &Graph) -> Vec<(&str, Vec<usize>)> {
    let mut groups: BTreeMap<(&str, Option<usize>), Vec<usize>> = BTreeMap::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        let alone = node.group.is_empty().then_some(at);
        groups.entry((&node.group, alone)).or_default().push(at);
    }
    groups.into_iter().map(|((name, _), nodes)| (name, nodes)).collect()
}

impl<'a> Drawing<'a> {
    fn new(graph: &'a Graph) -> Drawing<'a> {
        let groups = groups(graph);
        let mut of = vec![0; graph.nodes.len()];
        for (group, (_, nodes)) in groups.iter().enumerate() {
            nodes.iter().for_each(|at| of[*at] = group);
        }
        let boxes: Vec<Size> =
            groups.iter().map(|(name, nodes)| size(graph, name, nodes)).collect();
        let pairs = graph.edges.iter().map(|edge| (of[edge.from], of[edge.to]));
        let placed = layout(&boxes, &pairs.collect());
        let boxed = groups.into_iter().zip(&boxes).zip(&placed.places);
        let group = |(((name, nodes), (w, h)), (x, y)): (((&'a str, Vec<usize>), &Size), &Size)| {
            let [x, y, w, h] = [*x, *y, *w, *h].map(|pixels| pixels.round() as u64);
            Group { name, x, y, w, h, nodes }
        };
        let nodes = graph.nodes.iter().zip(&of).map(|(node, group)| Node {
            name: &node.name,
            group: *group,
            reports: node.reports,
        });
        Drawing {
            title: &graph.title,
            taken: graph.taken,
            since: graph.since,
            unit: graph.unit,
            dropped: graph.dropped,
            width: placed.width.ceil() as u64,
            height: placed.height.ceil() as u64,
            rows: ROWS_MAX,
            groups: boxed.map(group).collect(),
            nodes: nodes.collect(),
            edges: graph.edges.iter().map(|edge| line(graph, edge)).collect(),
        }
    }
}

pub fn json(graph: &Graph) -> String {
    serde_json::to_string(&Drawing::new(graph)).unwrap_or_default() + "\n"
}

/// Of a hostgroup's box.
fn size(graph: &Graph, name: &str, nodes: &[usize]) -> Size {
    let shown = nodes.iter().take(ROWS_MAX).map(|at| graph.nodes[*at].name.chars().count());
    let letters = shown.chain([name.chars().count()]).max().unwrap_or(0);
    let width = (letters as f64 * LETTER_WIDTH + PADDING).clamp(WIDTHS.0, WIDTHS.1);
    let rows = nodes.len().min(ROWS_MAX) + usize::from(nodes.len() > ROWS_MAX);
    let title = if name.is_empty() { 0.0 } else { TITLE_HEIGHT };
    (width, title + rows as f64 * ROW_HEIGHT + 4.0)
}

fn line<'a>(graph: &Graph, edge: &'a Edge) -> Line<'a> {
    let port = |((number, protocol), port): (&'a (u16, String), &'a Port)| LinePort {
        port: *number,
        protocol,
        clients: &port.clients,
        servers: &port.servers,
        rtt: port.rtt(),
        change: port.change(),
        ends: graph.ends(edge, port),
    };
    Line {
        from: edge.from,
        to: edge.to,
        sent: edge.sent,
        received: edge.received,
        rtt: edge.rtt(),
        change: edge.change(),
        ports: edge.ports.iter().map(port).collect(),
    }
}
