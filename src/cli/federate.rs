//! `perijove federate`: rolls up a fleet's dependencies from Prometheus.

use super::command::{Arguments, Exit};
use super::run::{hold_hangups, run_daemon};
use crate::daemon;

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let hangups = hold_hangups()?;
    let read = || arguments.source()?.only_federate()?.into_config();
    if !arguments.flags.once {
        return run_daemon(arguments, hangups, &read);
    }
    let config = arguments.start_unwatched(&read)?;
    daemon::federate_once(config, hangups).map_err(Exit::Failed)
}
