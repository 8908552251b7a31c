//! `perijove once`: polls every collector once, prints, exits.

use std::path::Path;
use std::sync::Arc;

use super::command::{Arguments, Exit};
use super::print::{POINT_FORMATS, Printer};
use crate::base::inventory::Shared;
use crate::config::Config;
use crate::dependency::source;
use crate::point::Batch;
use crate::poll::RouterPoller;
use crate::poll::status::RouterStatus;

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let config = arguments.start()?;
    let mut printer = Printer::new(arguments.format(POINT_FORMATS)?);
    let failed = poll_once(&config, None, &mut |batch| printer.print(batch));
    printer.finish()?;
    failed
}

/// Polls every collector of every router once; fails if any did.
pub fn poll_once(
    config: &Config,
    record: Option<&Path>,
    emit: &mut dyn FnMut(&Batch),
) -> Result<(), Exit> {
    let mut failed = Vec::new();
    let inventory = Shared::default();
    if let (Some(settings), None) = (&config.dependency, record) {
        for mut source in source::sources(settings, &inventory).map_err(Exit::Failed)? {
            if source.run_once(emit).is_err() {
                failed.push(source.status.source.to_string());
            }
        }
    }
    for router in &config.routers {
        let status = Arc::new(RouterStatus::new(router));
        let mut poller = RouterPoller::new(router, status, &inventory);
        poller.record = record.map(Path::to_path_buf);
        let all: Vec<usize> = (0..router.collectors.len()).collect();
        let outcomes = poller.poll(&all, &[], emit);
        poller.close();
        for (polled, outcome) in router.collectors.iter().zip(outcomes) {
            if outcome.failure().is_some() {
                failed.push(format!("{} {}", router.name, polled.entry.name));
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(Exit::Failed(format!("failed: {}", failed.join(", "))))
}
