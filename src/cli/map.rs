//! `perijove map`: the fleet's map, from Prometheus.

use super::command::{Arguments, Exit};
use super::print::say;
use crate::base::clock::now_ms;
use crate::federate::picture;
use crate::picture::{FORMATS, Write};

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let formats: Vec<(&str, Write)> =
        FORMATS.iter().map(|(name, _, write)| (*name, *write)).collect();
    let write = arguments.format(&formats)?;
    let read = || arguments.source()?.only_prometheus()?.into_config();
    let config = arguments.start_unwatched(&read)?;
    let none =
        || Exit::Usage("the settings have no [federate]: it needs a url, Prometheus's".into());
    let settings = config.federate.ok_or_else(none)?;
    let graph = picture::graph(&settings, now_ms()).map_err(Exit::Failed)?;
    if graph.edges.is_empty() {
        log::warn!("map: Prometheus has no planet_upstream or planet_downstream of the last hour");
    }
    if graph.since.is_none() {
        log::info!("map: Prometheus has nothing of a day ago: the map does not show what began");
    }
    if graph.dropped > 0 {
        log::warn!(
            "map: {} services and dependencies are left out: the map is full",
            graph.dropped
        );
    }
    say(&write(&graph))
}
