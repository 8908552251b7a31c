//! Keeps a second copy from running with the same state.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use crate::base::sys;

/// Holds the lock of that name in the state directory for as long as the file is kept; `None`
/// where there is no such directory, as in the foreground on another machine, or it is another's.
pub fn hold(directory: &Path, name: &str) -> Result<Option<File>, String> {
    let path = directory.join(name);
    let shown = path.display();
    let opened = match File::options().create(true).append(true).open(&path) {
        // Another user has made it, such as root by a run by hand. A lock takes no right to write.
        Err(err) if err.kind() == ErrorKind::PermissionDenied => File::open(&path).or(Err(err)),
        opened => opened,
    };
    let file = match opened {
        Ok(file) => file,
        Err(err) if err.kind() == ErrorKind::NotFound => {
            let directory = directory.display();
            log::info!("there is no {directory}: nothing keeps a second perijove from running");
            return Ok(None);
        }
        Err(err) if err.kind() == ErrorKind::PermissionDenied && sys::may_write(directory) => {
            return Err(format!("cannot lock {shown}: {err}"));
        }
        // Whoever may not write there has no state there either.
        Err(err) => {
            log::warn!("cannot lock {shown}: {err}");
            return Ok(None);
        }
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            Err(format!("another perijove runs with this state directory ({shown} is locked)"))
        }
        Err(TryLockError::Error(err)) => Err(format!("cannot lock {shown}: {err}")),
    }
}
