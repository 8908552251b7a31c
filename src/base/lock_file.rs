//! Keeps a second copy from running with the same state.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use crate::base::{own_file, sys};

/// Holds the lock of that name in the state directory for as long as the file is kept; `None`
/// where there is no such directory, as in the foreground on another machine, or it is another's.
pub fn hold(directory: &Path, name: &str) -> Result<Option<File>, String> {
    let path = directory.join(name);
    let shown = path.display();
    let file = match open(&path) {
        Ok(file) => file,
        Err(err) if err.kind() == ErrorKind::NotFound => {
            let directory = directory.display();
            log::info!("{directory} does not exist: nothing keeps a second perijove from running");
            return Ok(None);
        }
        Err(err) if err.kind() == ErrorKind::PermissionDenied && !sys::may_write(directory) => {
            // A user who cannot write there keeps no state there either.
            log::warn!("cannot lock {shown}: {err}");
            return Ok(None);
        }
        Err(err) => return Err(format!("cannot lock {shown}: {err}")),
    };
    let held = file.try_lock();
    check(&file, directory).map_err(|why| {
        format!("cannot lock {shown}: {why}; if no perijove runs, remove it: rm {shown}")
    })?;
    match held {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            Err(format!("another perijove runs with this state directory ({shown} is locked)"))
        }
        Err(TryLockError::Error(err)) => Err(format!("cannot lock {shown}: {err}")),
    }
}

fn open(path: &Path) -> io::Result<File> {
    match own_file::append(path) {
        // Root made it, when somebody ran perijove by hand. Locking needs no permission to write.
        Err(err) if err.kind() == ErrorKind::PermissionDenied => {
            let mut options = File::options();
            options.read(true).custom_flags(libc::O_NOFOLLOW).open(path).or(Err(err))
        }
        opened => opened,
    }
}

/// Refuses a file that somebody else could lock, to keep perijove from running: one of another
/// user, or one that others can open.
fn check(file: &File, directory: &Path) -> Result<(), String> {
    let said = |err: io::Error| err.to_string();
    let (data, state) = (file.metadata().map_err(said)?, directory.metadata().map_err(said)?);
    let (owner, user) = (data.uid(), sys::user());
    if owner != 0 && owner != user && owner != state.uid() {
        return Err(format!(
            "it belongs to the user {owner}, who could keep perijove from running"
        ));
    }
    if !data.is_file() {
        return Err("it is no plain file".into());
    }
    if owner != user {
        return Ok(());
    }
    // Root's, from a run by hand: the owner of the directory must be able to see that it is held.
    let is_by_hand = user == 0 && state.uid() != 0;
    if is_by_hand {
        fchown(file, None, Some(state.gid())).map_err(said)?;
    }
    let mode = if is_by_hand { 0o640 } else { 0o600 };
    file.set_permissions(PermissionsExt::from_mode(mode)).map_err(said)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_lock_is_its_owners_alone() {
        let directory = std::env::temp_dir().join(format!("perijove-lock-{}", std::process::id()));
        assert!(hold(&directory, "lock").unwrap().is_none());
        fs::create_dir(&directory).unwrap();
        let path = directory.join("lock");
        let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
        // The lock file of an earlier version, which others could open, is repaired.
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        let held = hold(&directory, "lock").unwrap();
        assert!(held.is_some() && mode() == 0o600);
        let second = hold(&directory, "lock").unwrap_err();
        assert!(second.starts_with("another perijove runs"), "{second}");
        drop(held);
        // A link is not followed, and a directory is no lock.
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("victim", &path).unwrap();
        assert!(hold(&directory, "lock").unwrap_err().contains("symbolic link"));
        assert!(!directory.join("victim").exists());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(hold(&directory, "lock").is_err());
        fs::remove_dir(&path).unwrap();
        assert!(hold(&directory, "lock").unwrap().is_some() && mode() == 0o600);
        if sys::user() == 0 {
            // Another user's, in a directory that is not that user's.
            std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
            let refused = hold(&directory, "lock").unwrap_err();
            assert!(refused.contains("belongs to the user 65534"), "{refused}");
        }
        fs::remove_dir_all(&directory).unwrap();
    }
}
