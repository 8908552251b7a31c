//! A map for Graphviz (`dot`) and Mermaid.

use std::fmt::Write;

use super::drawing::groups;
use super::graph::{Change, Edge, Graph};

/// In Graphviz's language: a service is a node, a hostgroup a cluster.
pub fn dot(graph: &Graph) -> String {
    let mut text = format!(
        "digraph perijove {{\n  graph [rankdir=LR, label={}];\n  \
         node [shape=box, fontname=\"sans-serif\"];\n",
        dot_quoted(&graph.title)
    );
    for (number, (name, nodes)) in groups(graph).into_iter().enumerate() {
        let is_group = !name.is_empty();
        if is_group {
            let label = dot_quoted(name);
            let _ = writeln!(text, "  subgraph cluster_{number} {{\n    label={label};");
        }
        for at in nodes {
            let _ = writeln!(text, "    n{at} [label={}];", dot_quoted(&graph.nodes[at].name));
        }
        if is_group {
            text += "  }\n";
        }
    }
    for edge in &graph.edges {
        let style = match edge.change() {
            Change::None => "",
            Change::Began => ", color=\"green\"",
            Change::Vanished => ", color=\"red\", style=\"dashed\"",
        };
        let label = dot_quoted(&label(graph, edge));
        let _ = writeln!(text, "  n{} -> n{} [label={label}{style}];", edge.from, edge.to);
    }
    text + "}\n"
}

/// A flowchart of Mermaid.
pub fn mermaid(graph: &Graph) -> String {
    let mut text = String::from("flowchart LR\n");
    for (number, (name, nodes)) in groups(graph).into_iter().enumerate() {
        let is_group = !name.is_empty();
        if is_group {
            let _ = writeln!(text, "  subgraph g{number}[{}]", mermaid_quoted(name));
        }
        for at in nodes {
            let _ = writeln!(text, "    n{at}[{}]", mermaid_quoted(&graph.nodes[at].name));
        }
        if is_group {
            text += "  end\n";
        }
    }
    for edge in &graph.edges {
        let arrow = if edge.change() == Change::Vanished { "-.->" } else { "-->" };
        let label = match label(graph, edge) {
            label if label.is_empty() => String::new(),
            label => format!("|{}|", mermaid_quoted(&label)),
        };
        let _ = writeln!(text, "  n{} {arrow}{label} n{}", edge.from, edge.to);
    }
    text
}

/// Ports, round trip and traffic of an edge, and what became of it.
fn label(graph: &Graph, edge: &Edge) -> String {
    let mut parts: Vec<String> =
        edge.ports.keys().take(4).map(|(port, protocol)| format!("{port}/{protocol}")).collect();
    if edge.ports.len() > parts.len() {
        parts.push(format!("and {} more", edge.ports.len() - parts.len()));
    }
    if let Some(seconds) = edge.rtt() {
        parts.push(format!("{:.1} ms", seconds * 1000.0));
    }
    if edge.sent.is_some() || edge.received.is_some() {
        let traffic = edge.sent.unwrap_or(0.0) + edge.received.unwrap_or(0.0);
        parts.push(format!("{} {}", scaled(traffic), graph.unit));
    }
    match edge.change() {
        Change::None => {}
        Change::Began => parts.push("began".into()),
        Change::Vanished => parts.push("vanished".into()),
    }
    parts.join(", ")
}

/// A number with a prefix of SI.
fn scaled(number: f64) -> String {
    let prefixes = ["", "k", "M", "G", "T", "P"];
    let step = (number.max(1.0).log10() / 3.0) as usize;
    let step = step.min(prefixes.len() - 1);
    format!("{:.1} {}", number / 1000f64.powi(step as i32), prefixes[step])
}

/// Names have no control characters: `graph` has written them as codes.
fn dot_quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What Mermaid, and the HTML and Markdown in its labels, could read as more than text becomes the
/// number of its character.
fn mermaid_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            ' ' | '.' | '-' | ':' | '/' | ',' => quoted.push(c),
            c if c.is_alphanumeric() => quoted.push(c),
            c => drop(write!(quoted, "#{};", u32::from(c))),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::graph::{Builder, Dependency, End, Who};

    fn hostile() -> Graph {
        let mut builder = Builder::default();
        let server = Who { group: "d\"b\\", name: "\"];} digraph {\n<b>" };
        let client = Who { group: "", name: "end\"] click n0 `x` #quot;" };
        builder.dependency(&Dependency {
            client,
            server,
            port: "5432",
            protocol: "tcp\"",
            process: "app",
            end: End::Client,
            now: true,
            before: false,
        });
        builder.traffic(client, server, false, 1_234_567.0);
        builder.rtt(client, server, "5432", "tcp\"", 0.0015);
        let mut graph = builder.finish();
        (graph.unit, graph.title) = ("bit/s", "a \"title\"".into());
        graph
    }

    #[test]
    fn names_stay_within_their_quotes() {
        let graph = hostile();
        let expected = "digraph perijove {\n  graph [rankdir=LR, label=\"a \\\"title\\\"\"];\n  \
            node [shape=box, fontname=\"sans-serif\"];\n    \
            n0 [label=\"end\\\"] click n0 `x` #quot;\"];\n  subgraph cluster_1 {\n    \
            label=\"d\\\"b\\\\\";\n    n1 [label=\"\\\"];} digraph {\\\\n<b>\"];\n  }\n  \
            n0 -> n1 [label=\"5432/tcp\\\", 1.5 ms, 1.2 M bit/s, began\", color=\"green\"];\n}\n";
        assert_eq!(dot(&graph), expected);
        let expected = "flowchart LR\n    n0[\"end#34;#93; click n0 #96;x#96; #35;quot#59;\"]\n  \
            subgraph g1[\"d#34;b#92;\"]\n    \
            n1[\"#34;#93;#59;#125; digraph #123;#92;n#60;b#62;\"]\n  end\n  \
            n0 -->|\"5432/tcp#34;, 1.5 ms, 1.2 M bit/s, began\"| n1\n";
        assert_eq!(mermaid(&graph), expected);
    }

    #[test]
    fn numbers_are_short() {
        for (number, expected) in [
            (0.0, "0.0 "),
            (999.0, "999.0 "),
            (1000.0, "1.0 k"),
            (2.5e9, "2.5 G"),
            (1e30, "1000000000000000.0 P"),
        ] {
            assert_eq!(scaled(number), expected);
        }
    }
}
