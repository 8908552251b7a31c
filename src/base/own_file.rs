//! Files that perijove makes: no other user can read them, and a symbolic link that another user
//! put in their place is not followed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const MODE: u32 = 0o600;

/// Opens a file to append to; makes it if there is none. A link is an error.
pub fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(MODE).custom_flags(libc::O_NOFOLLOW);
    options.open(path).map_err(|err| match err.raw_os_error() {
        Some(libc::ELOOP | libc::EMLINK) => {
            io::Error::new(err.kind(), "it is a symbolic link, which is not followed")
        }
        _ => err,
    })
}

/// Makes a new file. One of that name that is there already, or a link, is removed before: what it
/// leads to stays as it is.
pub fn replace(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => OpenOptions::new().write(true).create_new(true).mode(MODE).open(path),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn links_are_not_followed() {
        let name = format!("perijove-own-file-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        let (victim, link) = (directory.join("victim"), directory.join("link"));
        let (hard, new) = (directory.join("hard"), directory.join("new"));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, &link).unwrap();
        fs::hard_link(&victim, &hard).unwrap();

        let refused = append(&link).unwrap_err().to_string();
        assert!(refused.contains("symbolic link"), "{refused}");
        for path in [&link, &hard, &new, &new] {
            replace(path).unwrap().write_all(b"mine").unwrap();
            append(path).unwrap().write_all(b"!").unwrap();
            assert_eq!(fs::read_to_string(path).unwrap(), "mine!");
            let data = fs::symlink_metadata(path).unwrap();
            assert!(data.is_file() && data.permissions().mode() & 0o777 == 0o600);
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        fs::remove_dir_all(&directory).unwrap();
    }
}
