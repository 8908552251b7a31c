//! One table at one time, and what is due.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::rows::{DEPENDENCY, Row, TRAFFIC, Table, span_end};
use super::{Settings, influxql, insert};
use crate::federate::progress;
use crate::federate::windows::Schedule;
use crate::output::json::rfc3339;

/// What the command line says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Make the tables that are not there.
    pub create: bool,
    /// Print the rows and write nothing.
    pub dry_run: bool,
}

/// What is further back is not made up for without being told.
const CATCH_UP_MAX_MS: u64 = 7 * 86_400_000;
const RETRY_INTERVAL_MS: u64 = 60_000;

pub struct Loader {
    settings: Settings,
    options: Options,
    influxdb: influxql::Client,
    bigquery: insert::Client,
}

impl Loader {
    /// Fails if a client cannot be made, or a table.
    pub fn new(settings: &Settings, options: Options) -> Result<Loader, String> {
        let influxdb = influxql::Client::new(&settings.influxdb)?;
        let mut bigquery = insert::Client::new(settings, options.create)?;
        if options.create && !options.dry_run {
            for table in [&TRAFFIC, &DEPENDENCY] {
                bigquery.make_table(table)?;
            }
        }
        Ok(Loader { settings: settings.clone(), options, influxdb, bigquery })
    }

    fn tables(&self) -> [(&'static Table, Schedule); 2] {
        let Settings { traffic, dependency, .. } = &self.settings;
        [(&TRAFFIC, traffic.clone()), (&DEPENDENCY, dependency.clone())]
    }

    /// Every load whose time is in `[from_ms, to_ms)`. Fails after all were tried.
    pub fn range(&mut self, from_ms: u64, to_ms: u64) -> Result<(), String> {
        let mut failed = Vec::new();
        for (table, schedule) in self.tables() {
            let mut time = from_ms.saturating_sub(1);
            while let Some(next) = schedule.next(time).filter(|next| *next < to_ms) {
                time = next;
                if let Err(why) = self.load(table, time) {
                    log::error!("bigquery: {} of {}: {why}", table.name, shown(time));
                    failed.push(format!("{} of {}", table.name, shown(time)));
                }
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
    }

    /// The last load of each table that was due by now, done before or not.
    pub fn once(&mut self) -> Result<(), String> {
        let mut failed = Vec::new();
        for (table, schedule) in self.tables() {
            let Some(time) = schedule.last(now_ms()) else { continue };
            match self.load(table, time) {
                Ok(()) => self.note(table, time),
                Err(why) => {
                    log::error!("bigquery: {}: {why}", table.name);
                    failed.push(table.name);
                }
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
    }

    /// Does what is due, and what an earlier run left; how long there is nothing to do then.
    pub fn due(&mut self) -> Duration {
        let now = now_ms();
        let mut next_look = u64::MAX;
        for (table, schedule) in self.tables() {
            let known = progress::load(&self.settings.progress_file).unwrap_or_default();
            let key = (table.name.to_string(), "bigquery".to_string());
            // At first, the last load that was due.
            let before = schedule.last(now).map_or(now, |last| last - 1);
            let mut done = *known.get(&key).unwrap_or(&before);
            done = done.max(now.saturating_sub(CATCH_UP_MAX_MS));
            while let Some(time) = schedule.next(done) {
                if time > now {
                    next_look = next_look.min(time);
                    break;
                }
                if let Err(why) = self.load(table, time) {
                    log::error!("bigquery: {} of {}: {why}; trying again", table.name, shown(time));
                    next_look = next_look.min(now + RETRY_INTERVAL_MS);
                    break;
                }
                self.note(table, time);
                done = time;
            }
        }
        Duration::from_millis(next_look.saturating_sub(now_ms()))
    }

    fn note(&self, table: &Table, time: u64) {
        let path = &self.settings.progress_file;
        let mut known = progress::load(path).unwrap_or_default();
        known.insert((table.name.into(), "bigquery".into()), time);
        if let Err(err) = progress::save(path, &known) {
            log::warn!("bigquery: what was loaded is not remembered: {}: {err}", path.display());
        }
    }

    /// Both directions of a table. One that has no series has no rows; one that fails does not
    /// keep the other out.
    fn load(&mut self, table: &'static Table, time: u64) -> Result<(), String> {
        let end = span_end(time);
        let mut failures = Vec::new();
        let (mut number, mut refused) = (0, 0);
        for query in table.queries {
            let (bigquery, options) = (&mut self.bigquery, self.options);
            let mut waiting: Vec<Row> = Vec::new();
            let mut left_out = 0u64;
            let mut write = |rows: &mut Vec<Row>| {
                let rows = std::mem::take(rows);
                number += rows.len();
                let (bad, why) = match options.dry_run {
                    true => print(bigquery.table_id(table), &rows)?,
                    false => bigquery.insert(table, &rows)?,
                };
                if bad > 0 {
                    log::warn!("bigquery: {}: {bad} rows were refused: {why}", table.name);
                }
                refused += bad;
                Ok::<(), String>(())
            };
            let statement = query.statement(end, table.span_ms);
            let rows_max = self.settings.rows_max;
            let asked = self.influxdb.ask(&statement, &mut |series| {
                match query.row(table, end, series) {
                    Some(row) => waiting.push(row),
                    None => left_out += 1,
                }
                if waiting.len() >= rows_max { write(&mut waiting) } else { Ok(()) }
            });
            if let Err(why) = asked.and_then(|()| write(&mut waiting)) {
                failures.push(format!("{}: {why}", query.direction));
            }
            if left_out > 0 {
                log::warn!("bigquery: {}: {left_out} rows without numbers", query.direction);
            }
        }
        log::info!("bigquery: {} of {}: {number} rows", table.name, shown(time));
        if refused > 0 {
            failures.push(format!("{refused} rows were refused"));
        }
        if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn shown(time_ms: u64) -> String {
    rfc3339(time_ms * 1_000_000)
}

fn print(table: &str, rows: &[Row]) -> Result<(u64, String), String> {
    let mut stdout = std::io::stdout().lock();
    for row in rows {
        let line = json!({"table": table, "insertId": row.id, "json": row.json});
        writeln!(stdout, "{line}").map_err(|err| format!("cannot print: {err}"))?;
    }
    Ok((0, String::new()))
}
