//! `perijove record`: saves each collector's raw replies.

use std::path::PathBuf;

use super::command::{Arguments, Exit};
use super::once::poll_once;

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let config = arguments.start()?;
    let directory = PathBuf::from(&arguments.positional[0]);
    std::fs::create_dir_all(&directory)
        .map_err(|err| Exit::Failed(format!("cannot make {}: {err}", directory.display())))?;
    poll_once(&config, Some(&directory), &mut |_| {})
}
