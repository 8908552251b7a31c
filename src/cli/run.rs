//! `perijove run`: polls until told to stop.

use std::cell::RefCell;

use super::command::{Arguments, Exit};
use crate::config::Source;
use crate::daemon::configuration;
use crate::daemon::{self, Hangups, parent};
use crate::poll::configuration::Macros;

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let hangups = hold_hangups()?;
    parent::find();
    // It is read once: it may be a pipe.
    let first = RefCell::new(Some(arguments.source()));
    // What is wrong with the settings, the child says.
    if let Some(Ok(Source { file, .. })) = &*first.borrow()
        && file.supervise == Some(true)
        && !parent::is_found()
    {
        let err = parent::become_parent(file.log.destination.unwrap_or_default());
        return Err(Exit::Failed(format!("cannot become perijove's own parent: {err}")));
    }
    let read = |macros: &Macros| {
        // The first time there are no macros yet.
        let source = first.take().unwrap_or_else(|| arguments.source_with(macros));
        source?.only_polling()
    };
    let configured = RefCell::default();
    let config = arguments.start_unwatched(&|| {
        let (config, heard) = configuration::start(&read)?;
        configured.replace(heard);
        Ok(config)
    })?;
    let again = |macros: &Macros| read(macros)?.again().into_config();
    daemon::run(config, configured.into_inner(), hangups, &again).map_err(Exit::Failed)
}

/// From here on a SIGHUP waits until the daemon can obey it, and does not end the program.
pub fn hold_hangups() -> Result<Hangups, Exit> {
    Hangups::hold().map_err(Exit::Failed)
}
