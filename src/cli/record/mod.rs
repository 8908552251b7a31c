//! `perijove record`: saves each collector's replies, without the secrets in them.

mod secrets;
mod hide;
mod mask;

use std::path::PathBuf;
use std::sync::Arc;

use super::command::{Arguments, Exit};
use super::once::poll_once;
use crate::poll::recorder::{Filter, Recording};

pub use hide::Hide;
pub use mask::Mask;

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let config = arguments.start()?;
    let directory = PathBuf::from(&arguments.positional[0]);
    std::fs::create_dir_all(&directory)
        .map_err(|err| Exit::Failed(format!("cannot make {}: {err}", directory.display())))?;
    // One for all replies: what is the same in two of them is the same afterwards.
    let hide = arguments.flags.anonymous.then(|| Arc::new(Hide::default()));
    let filter = move || -> Box<dyn Filter> { Box::new(Mask::new(hide.clone())) };
    let recording = Recording { directory, filter: Box::new(filter) };
    poll_once(&config, Some(Arc::new(recording)), &mut |_| {})
}
