//! The macros that were in use last, in a file: for a start at which the router cannot be asked, or
//! has wrong ones. A line for each parameter: macro, name and value with tabs in between.

use std::io;
use std::path::Path;

use crate::base::own_file;
use crate::poll::configuration::{Macros, Parameter};

/// More than all parameters that are taken have.
const BYTES_MAX: u64 = 1 << 20;

/// What an earlier run left; lines that say nothing are passed over.
pub fn load(path: &Path) -> Macros {
    let read = own_file::read(path, BYTES_MAX);
    let text = read.ok().flatten().and_then(|bytes| String::from_utf8(bytes).ok());
    let text = text.unwrap_or_default();
    let parameter = |line: &str| {
        let mut parts = line.splitn(3, '\t').map(String::from);
        Some(Parameter { of: parts.next()?, name: parts.next()?, value: Some(parts.next()?) })
    };
    text.lines().filter_map(parameter).collect()
}

/// Replaces the file at once: whenever the program is killed, one of the two is whole.
pub fn save(path: &Path, macros: &Macros) -> io::Result<()> {
    let mut text = String::new();
    for Parameter { of, name, value } in macros {
        // In use are only such that have a value, and no tab.
        text += &format!("{of}\t{name}\t{}\n", value.as_deref().unwrap_or_default());
    }
    own_file::write_whole(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_saved_is_loaded() {
        let name = format!("perijove-last-macros-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        let path = directory.join("macros");
        assert_eq!(load(&path), Macros::new());
        let parameter = |name: &str, value: &str| Parameter {
            of: "perijove".into(),
            name: name.into(),
            value: Some(value.into()),
        };
        let macros = vec![parameter("interval", "9s"), parameter("a.\"b\"", " é = 1 ")];
        save(&path, &macros).unwrap();
        assert_eq!(load(&path), macros);
        fs::write(&path, "perijove\tinterval\t9s\n\nperijove\tname\nhalf").unwrap();
        assert_eq!(load(&path), macros[..1]);
        fs::write(&path, b"\xff\n").unwrap();
        assert_eq!(load(&path), Macros::new());
        fs::remove_dir_all(&directory).unwrap();
    }
}
