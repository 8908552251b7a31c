//! `perijove run`: polls until told to stop.

use super::command::{Arguments, Exit};
use crate::config::Config;
use crate::daemon::{self, Hangups};

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    run_daemon(arguments, hold_hangups()?, &|| arguments.source()?.only_polling()?.into_config())
}

/// From here on a SIGHUP waits until the daemon can obey it, and does not end the program.
pub fn hold_hangups() -> Result<Hangups, Exit> {
    Hangups::hold().map_err(Exit::Failed)
}

/// Runs what `read` gives; it is read again for each SIGHUP.
pub fn run_daemon(
    arguments: &Arguments,
    hangups: Hangups,
    read: &dyn Fn() -> Result<Config, String>,
) -> Result<(), Exit> {
    let config = arguments.start_unwatched(read)?;
    daemon::run(config, hangups, read).map_err(Exit::Failed)
}
