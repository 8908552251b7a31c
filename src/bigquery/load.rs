//! One direction of a table at one time, and what is due.

use std::io::{BufReader, Write};
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::json;

use super::rows::{DEPENDENCY, HOUR, Query, Row, TRAFFIC, Table, span_end};
use super::settings::BigqueryConfig;
use super::{influxql, insert};
use crate::base::clock::now_ms;
use crate::base::sync::Stop;
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

/// Missed loads older than this are made only on request (`--from`).
const CATCH_UP_MAX_MS: u64 = 7 * 86_400_000;
const RETRY_INTERVAL_MS: u64 = 60_000;

pub struct Loader {
    settings: BigqueryConfig,
    options: Options,
    influxdb: influxql::InfluxqlClient,
    bigquery: insert::BigqueryClient,
}

impl Loader {
    /// Fails if a client cannot be made, or a table. What waits for BigQuery fails at `stop`.
    pub fn new(settings: &BigqueryConfig, options: Options, stop: &Stop) -> Result<Loader, String> {
        let influxdb = influxql::InfluxqlClient::new(&settings.influxdb)?;
        let mut bigquery = insert::BigqueryClient::new(settings, options.create, stop)?;
        if options.create && !options.dry_run {
            for table in [&TRAFFIC, &DEPENDENCY] {
                bigquery.make_table(table)?;
            }
        }
        Ok(Loader { settings: settings.clone(), options, influxdb, bigquery })
    }

    /// Both directions of both tables.
    fn loads(&self) -> Vec<(&'static Table, &'static Query, Schedule)> {
        let BigqueryConfig { traffic, dependency, .. } = &self.settings;
        let tables = [(&TRAFFIC, traffic), (&DEPENDENCY, dependency)];
        let of = |(table, schedule): (&'static Table, &Schedule)| {
            let schedule = schedule.clone();
            table.queries.iter().map(move |query| (table, query, schedule.clone()))
        };
        tables.into_iter().flat_map(of).collect()
    }

    /// Every load whose time is in `[from_ms, to_ms)` and has come. Fails after all were tried.
    pub fn range(&mut self, from_ms: u64, to_ms: u64) -> Result<(), String> {
        let now = now_ms();
        if to_ms > now {
            log::info!("bigquery: loads after {} are in the future and left out", shown(now));
        }
        let mut failed = Vec::new();
        for (table, query, schedule) in self.loads() {
            let mut next = schedule.next(from_ms.saturating_sub(1));
            while let Some(time) = next.filter(|time| *time < to_ms && *time <= now) {
                self.try_load(table, query, time, &mut failed);
                next = next_load(&schedule, time);
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
    }

    /// What is due and what an earlier run left, as the daemon does it, and nothing again. A dry
    /// run does the last load that was due, done before or not. Fails after all were tried.
    pub fn once(&mut self) -> Result<(), String> {
        let (now, mut failed) = (now_ms(), Vec::new());
        for (table, query, schedule) in self.loads() {
            if self.options.dry_run {
                if let Some(time) = schedule.last(now) {
                    self.try_load(table, query, time, &mut failed);
                }
                continue;
            }
            let mut next = self.first(table, query, &schedule, now);
            if next.is_none_or(|time| time > now) {
                let (table, direction) = (table.name, query.direction);
                log::info!("bigquery: {table} {direction}: nothing is due; --from loads again");
            }
            while let Some(time) = next.filter(|time| *time <= now) {
                if !self.try_load(table, query, time, &mut failed) {
                    break;
                }
                self.note(table, query, time);
                next = next_load(&schedule, time);
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
    }

    /// The first load that is not noted as done, in the past or to come.
    fn first(&self, table: &Table, query: &Query, schedule: &Schedule, now: u64) -> Option<u64> {
        match self.noted(table, query) {
            Some(done) => next_load(schedule, done.max(now.saturating_sub(CATCH_UP_MAX_MS))),
            // At first, the last load that was due.
            None => schedule.last(now).or_else(|| schedule.next(now)),
        }
    }

    /// Loads and says what went wrong, refused rows as well; whether the load is done.
    fn try_load(
        &mut self,
        table: &'static Table,
        query: &'static Query,
        time: u64,
        failed: &mut Vec<String>,
    ) -> bool {
        let what = format!("{} {} of {}", table.name, query.direction, shown(time));
        let loaded = self.load(table, query, time);
        match &loaded {
            Ok(0) => {}
            Ok(refused) => failed.push(format!("{refused} rows of {what}")),
            Err(why) => {
                log::error!("bigquery: {what}: {why}");
                failed.push(what);
            }
        }
        loaded.is_ok()
    }

    /// Does what is due, and what an earlier run left; how long there is nothing to do then. A
    /// direction that fails holds up itself and nothing else.
    pub fn due(&mut self) -> Duration {
        let now = now_ms();
        let mut next_look = u64::MAX;
        for (table, query, schedule) in self.loads() {
            let mut next = self.first(table, query, &schedule, now);
            while let Some(time) = next {
                if time > now {
                    next_look = next_look.min(time);
                    break;
                }
                // Refused rows would be refused again, so the load is not repeated for them.
                if let Err(why) = self.load(table, query, time) {
                    let (table, direction) = (table.name, query.direction);
                    let time = shown(time);
                    log::error!("bigquery: {table} {direction} of {time}: {why}; trying again");
                    next_look = next_look.min(now + RETRY_INTERVAL_MS);
                    break;
                }
                self.note(table, query, time);
                next = next_load(&schedule, time);
            }
        }
        Duration::from_millis(next_look.saturating_sub(now_ms()))
    }

    /// The time of the last load of a direction that is remembered.
    fn noted(&self, table: &Table, query: &Query) -> Option<u64> {
        let known = progress::load(&self.settings.progress_file).unwrap_or_default();
        known.get(&key(table, query)).copied()
    }

    fn note(&self, table: &Table, query: &Query, time: u64) {
        let path = &self.settings.progress_file;
        let mut known = progress::load(path).unwrap_or_default();
        known.insert(key(table, query), time);
        if let Err(err) = progress::save(path, &known) {
            log::warn!("bigquery: cannot record what was loaded: {}: {err}", path.display());
        }
    }

    /// One direction of a table; one without series has no rows. How many rows were refused for
    /// good.
    fn load(
        &mut self,
        table: &'static Table,
        query: &'static Query,
        time: u64,
    ) -> Result<u64, String> {
        let end = span_end(time);
        let (mut number, mut refused, mut left_out) = (0, 0, 0u64);
        let (bigquery, options) = (&mut self.bigquery, self.options);
        let rows_max = self.settings.rows_max;
        let mut write = |packed: &mut Packed| {
            packed.each(rows_max, &mut |rows| {
                number += rows.len();
                let (bad, why) = match options.dry_run {
                    true => print(bigquery.table_id(table), rows)?,
                    false => bigquery.insert(table, rows)?,
                };
                if bad > 0 {
                    log::warn!("bigquery: {}: {bad} rows were refused: {why}", table.name);
                }
                refused += bad;
                Ok(())
            })
        };
        let mut packed = Packed::default();
        let statement = query.statement(end, table.span_ms);
        self.influxdb.ask(&statement, &mut |series| {
            match query.row(table, end, series) {
                Some(row) => packed.add(&row)?,
                None => left_out += 1,
            }
            if packed.is_full() { write(&mut packed) } else { Ok(()) }
        })?;
        write(&mut packed)?;
        if left_out > 0 {
            log::warn!(
                "bigquery: {}: {left_out} rows without numbers are left out",
                query.direction
            );
        }
        let (table, direction, time) = (table.name, query.direction, shown(time));
        log::info!("bigquery: {table} {direction} of {time}: {number} rows");
        Ok(refused)
    }
}

/// Whether both sides answer and the tables are there: for `check`.
pub fn check(settings: &BigqueryConfig) -> Result<String, String> {
    let mut measurements = 0;
    influxql::InfluxqlClient::new(&settings.influxdb)?.ask("SHOW MEASUREMENTS", &mut |_| {
        measurements += 1;
        Ok(())
    })?;
    // Seeing a table needs the same permission as making one.
    let mut bigquery = insert::BigqueryClient::new(settings, true, &Stop::default())?;
    for table in [&TRAFFIC, &DEPENDENCY] {
        bigquery.check(table)?;
    }
    Ok(format!("InfluxDB has {measurements} measurements, BigQuery both tables"))
}

/// The first tick behind the hour of that load: to load the same hour again would add nothing.
fn next_load(schedule: &Schedule, done: u64) -> Option<u64> {
    schedule.next(span_end(done) + HOUR - 1)
}

fn key(table: &Table, query: &Query) -> (String, String) {
    (format!("{}.{}", table.name, query.direction), "bigquery".into())
}

/// The rows of an answer, compressed. The answer is read to its end before they are inserted, so
/// that BigQuery does not use up InfluxDB's time limit.
struct Packed(GzEncoder<Vec<u8>>);

/// More rows wait for BigQuery after all: a million and some.
const PACKED_BYTES_MAX: usize = 32 << 20;

impl Default for Packed {
    fn default() -> Packed {
        Packed(GzEncoder::new(Vec::new(), Compression::fast()))
    }
}

impl Packed {
    fn add(&mut self, row: &Row) -> Result<(), String> {
        let written = self.0.write_all(json!(row).to_string().as_bytes());
        written.map_err(|err| format!("cannot keep a row: {err}"))
    }

    fn is_full(&self) -> bool {
        self.0.get_ref().len() >= PACKED_BYTES_MAX
    }

    /// Takes the rows out, so many at a time.
    fn each(
        &mut self,
        rows_max: usize,
        write: &mut dyn FnMut(&[Row]) -> Result<(), String>,
    ) -> Result<(), String> {
        let fail = |err: String| format!("cannot read the rows that were kept: {err}");
        let bytes = std::mem::take(self).0.finish().map_err(|err| fail(err.to_string()))?;
        let rows = BufReader::new(GzDecoder::new(&bytes[..]));
        let rows = serde_json::Deserializer::from_reader(rows);
        let mut waiting = Vec::new();
        for row in rows.into_iter::<Row>() {
            waiting.push(row.map_err(|err| fail(err.to_string()))?);
            if waiting.len() >= rows_max {
                write(&waiting)?;
                waiting.clear();
            }
        }
        if waiting.is_empty() { Ok(()) } else { write(&waiting) }
    }
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
