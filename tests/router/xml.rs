//! Just enough XML to read a client's requests, whichever way it writes them.

const DEPTH_MAX: usize = 64;

/// An element by its local name; attributes as they were written.
#[derive(Default, Debug)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// All names and texts below this element, in document order.
    pub fn words(&self) -> Vec<&str> {
        let mut words = Vec::new();
        for child in &self.children {
            words.push(child.name.as_str());
            words.extend((!child.text.is_empty()).then_some(child.text.as_str()));
            words.extend(child.words());
        }
        words
    }
}

/// Reads a document's root element; text, comments and declarations before it are skipped.
pub fn parse(document: &[u8]) -> Result<Element, String> {
    let document = String::from_utf8_lossy(document);
    let mut rest: &str = &document;
    // The elements that are open, under a stand-in for the document.
    let mut open = vec![Element::default()];
    while let Some(start) = rest.find('<') {
        let text = &rest[..start];
        rest = &rest[start..];
        let top = open.last_mut().expect("the document stays open");
        top.text.push_str(&unescape(text.trim()));
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = after(comment, "-->")?.1;
        } else if let Some(section) = rest.strip_prefix("<![CDATA[") {
            let (text, tail) = after(section, "]]>")?;
            top.text.push_str(text);
            rest = tail;
        } else if rest.starts_with("<?") || rest.starts_with("<!") {
            rest = after(rest, ">")?.1;
        } else if let Some(tag) = rest.strip_prefix("</") {
            let (name, tail) = after(tag, ">")?;
            let element = open.pop().expect("the document stays open");
            if open.is_empty() || element.name != local(name.trim()) {
                return Err(format!("</{name}> closes nothing"));
            }
            open.last_mut().expect("checked").children.push(element);
            rest = tail;
        } else {
            let (element, closed, tail) = start_tag(&rest[1..])?;
            rest = tail;
            if closed {
                top.children.push(element);
            } else if open.len() > DEPTH_MAX {
                return Err(format!("elements are nested more than {DEPTH_MAX} deep"));
            } else {
                open.push(element);
            }
        }
        if let [document] = open.as_mut_slice()
            && let Some(root) = document.children.pop()
        {
            return Ok(root);
        }
    }
    Err("the document has no complete element".to_owned())
}

fn start_tag(tag: &str) -> Result<(Element, bool, &str), String> {
    let end =
        tag.find(|c: char| c.is_whitespace() || c == '>' || c == '/').ok_or("a tag is open")?;
    let mut element = Element { name: local(&tag[..end]).to_owned(), ..Element::default() };
    let mut rest = &tag[end..];
    loop {
        rest = rest.trim_start();
        if let Some(tail) = rest.strip_prefix("/>") {
            return Ok((element, true, tail));
        }
        if let Some(tail) = rest.strip_prefix('>') {
            return Ok((element, false, tail));
        }
        let (name, value) = after(rest, "=")?;
        let value = value.trim_start();
        let quote = if value.starts_with('\'') { "'" } else { "\"" };
        let value = value.strip_prefix(quote).ok_or("an attribute has no quotes")?;
        let (value, tail) = after(value, quote)?;
        element.attributes.push((name.trim().to_owned(), format!("{quote}{value}{quote}")));
        rest = tail;
    }
}

fn after<'a>(text: &'a str, mark: &str) -> Result<(&'a str, &'a str), String> {
    text.split_once(mark).ok_or_else(|| format!("`{mark}` is missing"))
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&apos;", "'").replace("&amp;", "&")
}

/// Text as it stands inside an element.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
