//! Keeps a second copy from running with the same state.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::base::{own_file, sys};

/// How long a lock is tried for. A child that is about to be started holds, until it executes its
/// program, a copy of every open file: a lock that was just let go can be held by it for a moment.
const PATIENCE: Duration = Duration::from_secs(1);

/// Locks a file or a directory for as long as it is kept open. It tries again and again, because
/// flock(2) knows no time limit: it fails at once or waits for as long as another holds the lock.
pub fn lock(file: &File) -> Result<(), TryLockError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(10));
            }
            result => return result,
        }
    }
}

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
    let held = lock(&file);
    check(&file, &path).map_err(|why| {
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
fn check(file: &File, path: &Path) -> io::Result<()> {
    let found = file.metadata()?;
    own_file::check(&found, path)?;
    if !found.is_file() {
        return Err(io::Error::other("it is no plain file"));
    }
    let user = sys::user();
    if found.uid() != user {
        return Ok(());
    }
    // Root's, from a run by hand: the owner of the directory must be able to see that it is held.
    let state = path.parent().unwrap_or(Path::new(".")).metadata()?;
    let is_by_hand = user == 0 && state.uid() != 0;
    if is_by_hand {
        fchown(file, None, Some(state.gid()))?;
    }
    let mode = if is_by_hand { 0o640 } else { 0o600 };
    file.set_permissions(PermissionsExt::from_mode(mode))
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
