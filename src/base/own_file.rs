//! Files that perijove makes: no other user can read them, and what another user put in their place
//! is not used: a symbolic link, a file of their own, a FIFO that nobody reads.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::base::sys;

const MODE: u32 = 0o600;

/// Opens a file to append to; makes it if there is none. A link is an error.
pub fn append(path: &Path) -> io::Result<File> {
    let open = |flags| {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(MODE).custom_flags(libc::O_NOFOLLOW | flags);
        options.open(path).map_err(name_link)
    };
    // Without a wait for whoever reads a FIFO.
    let file = open(libc::O_NONBLOCK)?;
    let found = file.metadata()?;
    check(&found, path)?;
    // A device or a FIFO of ours may be waited for.
    if found.is_file() { Ok(file) } else { open(0) }
}

fn name_link(err: io::Error) -> io::Error {
    match err.raw_os_error() {
        Some(libc::ELOOP | libc::EMLINK) => io::Error::new(err.kind(), IS_LINK),
        _ => err,
    }
}

const IS_LINK: &str = "it is a symbolic link, which is not followed";

/// The bytes of such a file; `None` if there is none. A longer one is an error.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    let file = match options.open(path) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(name_link)?,
    };
    let found = file.metadata()?;
    check(&found, path)?;
    if !found.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= bytes_max {
        true => Ok(Some(bytes)),
        false => Err(io::Error::other("it is too large")),
    }
}

/// Opens a directory for such files; makes it if there is none. Another user's is refused, and a
/// link where others may have made one.
pub fn directory(path: &Path) -> io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    check(&fs::symlink_metadata(path)?, path)?;
    let file = File::open(path)?;
    check(&file.metadata()?, path)?;
    Ok(file)
}

/// Refuses what another user has put in the place of a file: theirs, or one of ours by another
/// name. What belongs to root or to the directory's owner is no other user's.
pub fn check(found: &Metadata, path: &Path) -> io::Result<()> {
    let refuse = |why: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = fs::metadata(directory.unwrap_or(Path::new(".")))?;
    let owner = found.uid();
    if ![0, sys::user(), directory.uid()].contains(&owner) {
        return refuse(format!("it belongs to the user {owner}, and is not perijove's own"));
    }
    let is_open_to_others = directory.mode() & 0o022 != 0;
    if found.is_file() && found.nlink() > 1 && is_open_to_others {
        return refuse("it has another name (a hard link), which others may have made".into());
    }
    if found.is_symlink() && is_open_to_others {
        return refuse(IS_LINK.into());
    }
    Ok(())
}

/// Makes a new file. One of that name that is there already, or a link, is removed before: what it
/// leads to stays as it is.
pub fn replace(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        _ => OpenOptions::new().write(true).create_new(true).mode(MODE).open(path),
    }
}

/// Writes a file anew: whenever the program or the machine ends, the old or the new one is whole.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push("%new");
    let mut file = replace(new.as_ref())?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

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

    #[test]
    fn what_another_user_put_there_is_not_used() {
        let name = format!("perijove-others-file-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory).unwrap();
        // As /tmp is.
        fs::set_permissions(&directory, PermissionsExt::from_mode(0o1777)).unwrap();
        let refused = |path: &Path| append(path).unwrap_err().to_string();
        let (ours, hard) = (directory.join("ours"), directory.join("hard"));
        append(&ours).unwrap();
        fs::hard_link(&ours, &hard).unwrap();
        assert!(refused(&hard).contains("another name"));
        // Nobody reads it; opened as files are, it would wait for ever.
        let fifo = directory.join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        refused(&fifo);
        let unread = |path: &Path| read(path, 4).unwrap_err().to_string();
        assert!(unread(&fifo).contains("no plain file"));
        assert!(unread(&hard).contains("another name"));
        let (link, made) = (directory.join("link"), directory.join("made/within"));
        symlink("/dev/zero", &link).unwrap();
        assert!(unread(&link).contains("symbolic link"));
        assert_eq!(read(&directory.join("none"), 4).unwrap(), None);
        super::directory(&made).unwrap();
        let whole = made.join("whole");
        write_whole(&whole, b"four").unwrap();
        assert_eq!(read(&whole, 4).unwrap().unwrap(), b"four");
        assert!(read(&whole, 3).unwrap_err().to_string().contains("too large"));
        let elsewhere = directory.join("elsewhere");
        symlink(&made, &elsewhere).unwrap();
        let no_directory = |path: &Path| super::directory(path).unwrap_err().to_string();
        assert!(no_directory(&elsewhere).contains("symbolic link"));
        // Where nobody else can write, it is the operator's.
        fs::set_permissions(&directory, PermissionsExt::from_mode(0o700)).unwrap();
        super::directory(&elsewhere).unwrap();
        fs::set_permissions(&directory, PermissionsExt::from_mode(0o1777)).unwrap();
        if sys::user() == 0 {
            chown(&made, Some(65534), None).unwrap();
            assert!(no_directory(&made).contains("belongs to the user 65534"));
            let theirs = directory.join("theirs");
            fs::write(&theirs, "").unwrap();
            chown(&theirs, Some(65534), None).unwrap();
            assert!(refused(&theirs).contains("belongs to the user 65534"));
            chown(&directory, Some(65534), None).unwrap();
            append(&theirs).unwrap();
        }
        fs::remove_dir_all(&directory).unwrap();
    }
}
