//! A map as one HTML page that needs nothing else: style, script and data are in it.
//!
//! The page allows its own script and style sheet alone, by their hashes. The data is JSON in which
//! nothing can end its element, and the script makes text nodes of names.

use openssl::base64;
use openssl::sha::sha256;

use super::drawing;
use super::graph::Graph;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

pub fn page(graph: &Graph) -> String {
    let data = drawing::json(graph).replace('<', "\\u003c");
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + data.len());
    // What stands for something is found in the page alone, never in what was put there.
    for (number, part) in PAGE.split('@').enumerate() {
        let (name, rest) = match number {
            0 => ("", part),
            _ => part.split_at(part.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(part.len())),
        };
        match name {
            "SCRIPT" => page += &hash(SCRIPT),
            "STYLE" => page += &hash(STYLE),
            "CSS" => page += STYLE,
            "JS" => page += SCRIPT,
            "DATA" => page += &data,
            _ => {}
        }
        page += rest;
    }
    page
}

/// As a Content Security Policy names a script or a style sheet (CSP3, 2.3.1).
fn hash(text: &str) -> String {
    format!("sha256-{}", base64::encode_block(&sha256(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::graph::{Builder, Dependency, End, Who};

    #[test]
    fn the_data_cannot_end_its_element() {
        let mut builder = Builder::default();
        let name = "</script><script>alert(1)</script><!--@JS";
        builder.dependency(&Dependency {
            client: Who { group: name, name },
            server: Who { group: "", name: "\u{2028}&lt;\"'`${x}" },
            port: "1",
            protocol: "tcp",
            process: "<img src=x onerror=alert(1)>",
            end: End::Client,
            now: true,
            before: true,
        });
        let page = page(&builder.finish());
        assert_eq!(page.matches("<script").count(), 2);
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("<img") && !page.contains("<!--") && page.ends_with("</html>\n"));
        let (_, data) = page.split_once("id=\"data\">").unwrap();
        let data: serde_json::Value =
            serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
        assert!(data["nodes"].as_array().unwrap().iter().any(|node| node["name"] == name));
        assert!(SCRIPT.is_ascii() || page.contains("charset=\"utf-8\""));
        for word in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "http:"]
        {
            assert!(!SCRIPT.replace("http://www.w3.org/2000/svg", "").contains(word), "{word}");
        }
    }
}
