//! `perijove federate`: rolls up a fleet's dependencies from Prometheus.

use super::command::{Arguments, Exit};
use super::run::hold_hangups;
use crate::daemon;
use crate::daemon::configuration::Configured;

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let hangups = hold_hangups()?;
    let read = || arguments.source()?.only_federate()?.into_config();
    let config = arguments.start_unwatched(&read)?;
    let ended = if arguments.flags.once {
        daemon::federate_once(config, hangups)
    } else {
        daemon::run(config, Configured::default(), hangups, &|_| read())
    };
    ended.map_err(Exit::Failed)
}
