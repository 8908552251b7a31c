//! `perijove once`: polls every collector once, and writes the points to the outputs or prints
//! them.

use std::sync::Arc;

use super::command::{Arguments, Exit};
use super::print::{POINT_FORMATS, Printer};
use crate::base::inventory::Shared;
use crate::config::{Config, Format, OutputKind};
use crate::daemon;
use crate::dependency::source;
use crate::fleet;
use crate::point::Batch;
use crate::poll::RouterPoller;
use crate::poll::recorder::Recording;
use crate::poll::status::RouterStatus;

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let config = arguments.start()?;
    let format = arguments.format(POINT_FORMATS)?;
    let mut points = 0;
    let polled = if arguments.flags.format.is_some() || !has_outputs(&config) {
        let mut printer = Printer::new(format);
        let polled = poll_once(&config, None, &mut |batch| {
            points += batch.points.len();
            printer.print(batch);
        });
        printer.finish()?;
        polled
    } else {
        let mut polled = Ok(());
        let pushed = daemon::push_once(&config, |push: &mut dyn FnMut(&Batch)| {
            polled = poll_once(&config, None, &mut |batch| {
                points += batch.points.len();
                push(batch);
            });
        });
        match (polled, pushed) {
            (polled, Ok(())) => polled,
            (Ok(()), Err(why)) => Err(Exit::Failed(why)),
            (Err(Exit::Failed(polls)), Err(why)) => Err(Exit::Failed(format!("{polls}; {why}"))),
            (usage, Err(_)) => usage,
        }
    };
    polled?;
    if points == 0 {
        return Err(Exit::Failed("there are no points: no collector returned data".into()));
    }
    Ok(())
}

/// Whether there is an output that can be written to, besides the one of settings without any.
fn has_outputs(config: &Config) -> bool {
    config.outputs.iter().any(|output| {
        !matches!(
            output.kind,
            OutputKind::Stdout { format: Format::Line } | OutputKind::Prometheus(_)
        )
    })
}

/// Polls every collector of every router once; fails if any did.
pub fn poll_once(
    config: &Config,
    record: Option<Arc<Recording>>,
    emit: &mut dyn FnMut(&Batch),
) -> Result<(), Exit> {
    let mut failed = Vec::new();
    let inventory = Shared::default();
    if let (Some(settings), None) = (&config.dependency, &record) {
        for mut source in source::sources(settings, &inventory).map_err(Exit::Failed)? {
            if source.run_once(emit).is_err() {
                failed.push(source.status.source.to_string());
            }
        }
    }
    let (routers, lists) = fleet::once::read(&config.routers, &config.lists);
    for (name, read) in lists {
        if let Err(why) = read {
            log::warn!("list {name}: {why}");
            failed.push(format!("list {name}"));
        }
    }
    for router in &routers {
        let status = Arc::new(RouterStatus::new(router));
        let mut poller = RouterPoller::new(router, status, &inventory);
        poller.record = record.clone();
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
