//! YAML as other programs' settings have it, as a tree with lines for errors. The parser is
//! saphyr-parser; here are its limits, aliases and merge keys.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Deeper nesting is refused, and more nodes, aliases written out.
const DEPTH_MAX: usize = 32;
const NODES_MAX: usize = 100_000;

/// A value and the line that it begins in.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// As it is written; numbers and booleans too.
    Text(String),
    /// Nothing, `~` or `null`.
    Null,
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub fn text(&self) -> Result<&str, String> {
        match &self.value {
            Value::Text(text) => Ok(text),
            Value::Null => Ok(""),
            _ => self.wrong("a text"),
        }
    }

    /// YAML 1.1's words for a boolean, which many programs still take.
    pub fn flag(&self) -> Result<bool, String> {
        let text = self.text()?.to_ascii_lowercase();
        match &*text {
            "true" | "yes" | "on" | "y" => Ok(true),
            "false" | "no" | "off" | "n" | "" => Ok(false),
            _ => self.wrong("true or false"),
        }
    }

    pub fn list(&self) -> Result<&[Node], String> {
        match &self.value {
            Value::List(list) => Ok(list),
            Value::Null => Ok(&[]),
            _ => self.wrong("a list"),
        }
    }

    pub fn map(&self) -> Result<&[(String, Node)], String> {
        match &self.value {
            Value::Map(map) => Ok(map),
            Value::Null => Ok(&[]),
            _ => self.wrong("a table of keys"),
        }
    }

    fn wrong<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("line {}: {what} is expected", self.line))
    }
}

/// A document. An error has its line.
pub fn read(text: &str) -> Result<Node, String> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: Vec::new(), nodes: 0 };
    loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(_), _) => {}
            (Event::StreamEnd, line) => return Ok(Node { line, value: Value::Null }),
            (event, line) => return reader.node(event, line, 0),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// The nodes that have an anchor, by its number.
    anchors: Vec<(usize, Node)>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, usize), String> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            Some(Err(err)) => Err(format!("line {}: {}", err.marker().line(), err.info())),
            None => Err("it ends in the middle".into()),
        }
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), String> {
        self.nodes += nodes;
        if self.nodes > NODES_MAX {
            return Err(format!("line {line}: there are more than {NODES_MAX} values"));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node, String> {
        if depth > DEPTH_MAX {
            return Err(format!("line {line}: it is nested deeper than {DEPTH_MAX} levels"));
        }
        self.count(1, line)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => (scalar(&text, style), anchor),
            Event::SequenceStart(anchor, _) => {
                let mut list = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, line) => list.push(self.node(event, line, depth + 1)?),
                    }
                }
                (Value::List(list), anchor)
            }
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, line),
            _ => return Err(format!("line {line}: a value is expected")),
        };
        let node = Node { line, value };
        if anchor > 0 {
            self.anchors.push((anchor, node.clone()));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, line: usize) -> Result<Node, String> {
        let found = self.anchors.iter().rfind(|(known, _)| *known == anchor);
        let node = found.map(|(_, node)| node.clone());
        let node = node.ok_or_else(|| format!("line {line}: the alias has no anchor"))?;
        self.count(size(&node), line)?;
        Ok(node)
    }

    /// What `<<` adds has the least weight.
    fn map(&mut self, depth: usize) -> Result<Value, String> {
        let (mut map, mut merged): (Vec<(String, Node)>, Vec<Node>) = Default::default();
        let mut known = HashSet::new();
        loop {
            let (event, line) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, line, depth + 1)?.text()?.to_string();
            let (event, at) = self.next()?;
            let value = self.node(event, at, depth + 1)?;
            match &*key {
                "<<" => match value.value {
                    Value::List(list) => merged.extend(list),
                    _ => merged.push(value),
                },
                _ if !known.insert(key.clone()) => {
                    return Err(format!("line {line}: the key {key} is there twice"));
                }
                _ => map.push((key, value)),
            }
        }
        for node in merged {
            for (key, value) in node.map()? {
                if known.insert(key.clone()) {
                    map.push((key.clone(), value.clone()));
                }
            }
        }
        Ok(Value::Map(map))
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" if style == ScalarStyle::Plain => Value::Null,
        _ => Value::Text(text.into()),
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(list) => 1 + list.iter().map(size).sum::<usize>(),
        Value::Map(map) => 1 + map.iter().map(|(_, value)| size(value)).sum::<usize>(),
        Value::Text(_) | Value::Null => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(node: &'a Node, key: &str) -> &'a Node {
        &node.map().unwrap().iter().find(|(known, _)| known == key).unwrap().1
    }

    #[test]
    fn values_are_as_they_are_written() {
        let text = "# settings\na: 0123\nb: 'null'\nc:\nd: [yes, \"no\", On]\n\
                    e: |\n  two\n  lines\n\
                    f: {x: ~}\n";
        let node = read(text).unwrap();
        assert_eq!((get(&node, "a").text(), get(&node, "a").line), (Ok("0123"), 2));
        assert_eq!(get(&node, "b").value, Value::Text("null".into()));
        assert_eq!(get(&node, "c").value, Value::Null);
        let flags: Vec<_> = get(&node, "d").list().unwrap().iter().map(Node::flag).collect();
        assert_eq!(flags, [Ok(true), Ok(false), Ok(true)]);
        assert_eq!(get(&node, "e").text(), Ok("two\nlines\n"));
        assert_eq!(get(get(&node, "f"), "x").value, Value::Null);
        assert_eq!(get(&node, "a").list(), Err("line 2: a list is expected".into()));
        assert_eq!(get(&node, "a").flag(), Err("line 2: true or false is expected".into()));
        assert_eq!(read("").unwrap().map().unwrap(), []);
    }

    #[test]
    fn anchors_and_merge_keys_are_written_out() {
        let text = "all: &all {a: 1, b: 2}\none:\n  <<: *all\n  b: 3\ntwo: *all\n";
        let node = read(text).unwrap();
        let one = get(&node, "one");
        assert_eq!((get(one, "a").text(), get(one, "b").text()), (Ok("1"), Ok("3")));
        assert_eq!(get(get(&node, "two"), "b").text(), Ok("2"));
    }

    #[test]
    fn what_is_malformed_or_endless_is_refused_with_its_line() {
        for (text, words) in [
            ("a: [1\nb: 2\n", "line "),
            ("a: 1\na: 2\n", "line 2: the key a is there twice"),
            ("a: *b\n", "line 1"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.starts_with(words), "{text}: {said}");
        }
        let deep = "[".repeat(50) + &"]".repeat(50);
        assert!(read(&deep).unwrap_err().contains("nested deeper"), "{deep}");
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..10 {
            let one = format!("*a{}", level - 1);
            laughs += &format!("a{level}: &a{level} [{}]\n", vec![one; 10].join(", "));
        }
        assert!(read(&laughs).unwrap_err().contains("more than 100000 values"));
    }
}
