//! Where in an item a value is: the small language of a description's paths.

/// One place of a value.
#[derive(Debug, PartialEq)]
pub enum Path {
    /// Steps up from the element of the point, then down through elements, then an attribute.
    Element { up: usize, down: Vec<String>, attribute: Option<String> },
    /// How many elements there are at the end of such a path.
    Count { up: usize, down: Vec<String> },
    /// A leaf that stands around the item or before it.
    Scope(String),
    /// A text that is the same for all points.
    Constant(String),
}

/// A path has at most this many steps; elements of Junos nest less deep.
pub const STEPS_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 128;
const ALTERNATIVES_MAX: usize = 8;

/// The paths of a value: the first that is there gives it.
pub fn alternatives(text: &str) -> Result<Vec<Path>, String> {
    if let Some(constant) = text.strip_prefix('=') {
        return Ok(vec![Path::Constant(constant.to_string())]);
    }
    let paths: Vec<Path> =
        text.split('|').map(|path| one(path.trim())).collect::<Result<_, _>>()?;
    if paths.len() > ALTERNATIVES_MAX {
        return Err(format!("`{text}` has more than {ALTERNATIVES_MAX} alternatives"));
    }
    Ok(paths)
}

fn one(text: &str) -> Result<Path, String> {
    if let Some(name) = text.strip_prefix('$') {
        return Ok(Path::Scope(element(name)?));
    }
    if let Some(inside) = text.strip_prefix("count(") {
        let inside = inside.strip_suffix(')');
        let inside = inside.ok_or_else(|| format!("`{text}` lacks the `)` of its count"))?;
        let (up, down) = steps(inside)?;
        if down.is_empty() {
            return Err(format!("`{text}` counts nothing: it needs an element's name"));
        }
        return Ok(Path::Count { up, down });
    }
    let (path, attribute) = match text.split_once('@') {
        Some((path, attribute)) => (path, Some(element(attribute)?)),
        None => (text, None),
    };
    let path = path.strip_suffix('/').filter(|_| attribute.is_some()).unwrap_or(path);
    let path = if path.is_empty() && attribute.is_some() { "." } else { path };
    let (up, down) = steps(path)?;
    Ok(Path::Element { up, down, attribute })
}

/// `../../a/b`: how far up, and the elements down from there.
fn steps(text: &str) -> Result<(usize, Vec<String>), String> {
    let mut parts: Vec<&str> = text.split('/').collect();
    if parts == ["."] {
        return Ok((0, Vec::new()));
    }
    let up = parts.iter().take_while(|part| **part == "..").count();
    let down = parts.split_off(up).into_iter().map(element).collect::<Result<Vec<_>, _>>()?;
    if up + down.len() > STEPS_MAX {
        return Err(format!("`{text}` has more than {STEPS_MAX} steps"));
    }
    Ok((up, down))
}

/// The path of `each`: elements down from the item.
pub fn down(text: &str) -> Result<Vec<String>, String> {
    match steps(text)? {
        (0, down) if !down.is_empty() => Ok(down),
        _ => Err(format!("`{text}` does not lead down from the item: it is `a` or `a/b`")),
    }
}

/// The local name of an element or an attribute.
pub fn element(name: &str) -> Result<String, String> {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.starts_with(is_start) && name.chars().all(is_part) && name.len() <= NAME_BYTES_MAX {
        return Ok(name.to_string());
    }
    let forms = "a, a/b, ../a, @a, a/@b, $a, count(a), =text, and several with ` | ` between them";
    Err(match name {
        "" => format!("a name is missing in the path; paths are {forms}"),
        _ => format!("`{name}` is not an element's name without its prefix; paths are {forms}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(up: usize, down: &[&str], attribute: Option<&str>) -> Path {
        let down = down.iter().map(|name| name.to_string()).collect();
        Path::Element { up, down, attribute: attribute.map(String::from) }
    }

    #[test]
    fn paths_of_every_form() {
        for (text, expected) in [
            ("a", vec![found(0, &["a"], None)]),
            (".", vec![found(0, &[], None)]),
            ("..", vec![found(1, &[], None)]),
            ("../../a/b", vec![found(2, &["a", "b"], None)]),
            ("@seconds", vec![found(0, &[], Some("seconds"))]),
            ("a/b@c", vec![found(0, &["a", "b"], Some("c"))]),
            ("a/@c", vec![found(0, &["a"], Some("c"))]),
            ("a | ../b", vec![found(0, &["a"], None), found(1, &["b"], None)]),
            ("$re-name", vec![Path::Scope("re-name".into())]),
            ("=a | b", vec![Path::Constant("a | b".into())]),
            ("count(a/b)", vec![Path::Count { up: 0, down: vec!["a".into(), "b".into()] }]),
        ] {
            assert_eq!(alternatives(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        let long = "a/".repeat(STEPS_MAX) + "a";
        for text in [
            "",
            "/a",
            "a//b",
            "a/",
            "a/../b",
            "junos:a",
            "a b",
            "a |",
            "count(a",
            "count()",
            "count(..)",
            "@",
            "a@",
            "$",
            "a[1]",
            "//a",
            "*",
            "text()",
            "1a",
            &long,
        ] {
            assert!(alternatives(text).is_err(), "{text}");
        }
        assert!(down("..").is_err() && down(".").is_err() && down("a/b").is_ok());
    }
}
