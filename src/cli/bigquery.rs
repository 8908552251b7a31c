//! `perijove bigquery`: loads the roll-up from InfluxDB into BigQuery.

use time::Date;

use super::command::{Arguments, Exit};
use super::flags::Flags;
use super::run::hold_hangups;
use crate::base::lock_file;
use crate::base::sync::Stop;
use crate::bigquery::load::{Loader, Options};
use crate::daemon;

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let Flags { once, create, dry_run, from, to, .. } = arguments.flags;
    let stays = from.is_none() && to.is_none() && !once && !dry_run;
    let hangups = stays.then(hold_hangups).transpose()?;
    let none = || "the settings have no [bigquery]: it needs a project and a dataset".to_string();
    let all = || arguments.source()?.only_bigquery().into_config();
    let read = || all()?.bigquery.ok_or_else(none);
    let config = arguments.start_unwatched(&all)?;
    let settings = config.bigquery.ok_or_else(|| Exit::Usage(none()))?;
    let options = Options { create, dry_run };
    // Days given by flags may be loaded while another perijove runs: they are not recorded.
    let _lock = match from {
        None if !dry_run => {
            let lock = lock_file::hold(&config.state_directory, "bigquery.lock");
            lock.map_err(Exit::Failed)?
        }
        _ => None,
    };
    if let Some(hangups) = hangups {
        return daemon::bigquery(settings, config.sandbox, options, hangups, &read)
            .map_err(Exit::Failed);
    }
    let days = match (from, to) {
        (None, None) => None,
        (Some(from), to) => Some((from, to.unwrap_or(from))),
        (None, Some(_)) => return Err(Exit::Usage("--to: goes with --from".into())),
    };
    let mut loader = Loader::new(&settings, options, &Stop::default()).map_err(Exit::Failed)?;
    let loaded = match days {
        None => loader.once(),
        Some((from, to)) => {
            let start = |day: Date| day.midnight().assume_utc().unix_timestamp() as u64 * 1000;
            let end = to.next_day().map_or(u64::MAX, start);
            loader.range(start(from), end)
        }
    };
    loaded.map_err(Exit::Failed)
}
