//! Writes window after window, and remembers how far each output got.
//!
//! A window is done for an output when the output's memory holds none of its points any longer:
//! they were delivered, or are on disk. Only then is it recorded. A window that was under way when
//! the program ended is asked for and written again, with the same points and times. An output that
//! makes no progress gets no further windows and holds up no other; when it works again, what it
//! lacks is asked of Prometheus again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ask::Asking;
use super::jobs::Job;
use super::progress;
use super::query::PrometheusClient;
use super::settings::FederateConfig;
use super::windows::Window;
use crate::base::clock::{Backoff, now_ms};
use crate::base::sync::Stop;
use crate::federate::status::FederateStatus;
use crate::output::{self, Output, Patience};
use crate::point::Batch;

const RETRY: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(60) };
/// How often an output without room is looked at.
const ROOM_INTERVAL: Duration = Duration::from_secs(1);
/// How long a full queue may hold up a window.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an output that dropped points gets no further windows.
const DROPPED_PAUSE: Duration = Duration::from_secs(5);
/// How often it is looked whether points were delivered.
const SETTLE_INTERVAL: Duration = Duration::from_millis(200);

/// How far one output got with one job.
struct Place {
    /// The time up to which points were put into its queue.
    sent: u64,
    /// The time up to which they were delivered, or are on disk.
    done: u64,
    /// What is in between: how many points its queue had ever got when a window was in it whole,
    /// and the window's end.
    marks: VecDeque<(u64, u64)>,
    /// What the queue had dropped by then.
    dropped: u64,
}

struct Running {
    job: Job,
    /// In the order of the outputs.
    places: Vec<Place>,
    /// After failures: not before then, and how many there were.
    retry: Option<(Instant, u32)>,
}

impl Running {
    /// Whether the last query failed.
    fn has_failed(&self) -> bool {
        self.retry.is_some_and(|(_, failures)| failures > 0)
    }
}

pub struct Feed {
    settings: FederateConfig,
    client: PrometheusClient,
    outputs: Vec<Arc<Output>>,
    status: Arc<FederateStatus>,
    jobs: Vec<Running>,
    /// Whether it was logged that progress cannot be recorded.
    said_forgetful: bool,
    scratch: Vec<u8>,
}

impl Feed {
    /// Goes on where an earlier run left off. Fails if the client cannot be made.
    pub fn new(
        settings: &FederateConfig,
        outputs: Vec<Arc<Output>>,
        status: Arc<FederateStatus>,
    ) -> Result<Feed, String> {
        let client = PrometheusClient::new(&settings.query)?;
        let known = progress::load(&settings.progress_file).unwrap_or_else(|err| {
            let shown = settings.progress_file.display();
            log::warn!("federate: cannot read {shown}, starting from the present: {err}");
            Default::default()
        });
        let at = now_ms().saturating_sub(settings.offset_ms);
        let windows = &settings.windows;
        let last = windows.due(at).and_then(|due| windows.last(due));
        let present = last.map_or(at, |window| window.start);
        // A larger offset makes no window undone. A clock that was ahead does: go on from here.
        let now = now_ms();
        let believed =
            |done: u64| if done <= now { done } else { windows.last_end(at).unwrap_or(at) };
        let place = |job: &Job, output: &Arc<Output>| {
            let key = (job.name().to_string(), output.name.to_string());
            // An output that serves the latest points has no use for older windows.
            let known = known.get(&key).filter(|_| output.latest.is_none());
            let done = known.map_or(present, |done| believed(*done));
            let dropped = output.queue.level().dropped;
            Place { sent: done, done, marks: VecDeque::new(), dropped }
        };
        let running = |job: &Job| Running {
            job: job.clone(),
            places: outputs.iter().map(|output| place(job, output)).collect(),
            retry: None,
        };
        let jobs = settings.jobs.iter().map(running).collect();
        let (settings, said_forgetful, scratch) = (settings.clone(), false, Vec::new());
        let mut feed = Feed { settings, client, outputs, status, jobs, said_forgetful, scratch };
        // Where it began is where the next run goes on if this one gets nothing done.
        feed.save();
        Ok(feed)
    }

    /// Writes what is due until `stop`, and then waits that long for the outputs.
    pub fn run(mut self, stop: &Stop, patience: Duration) {
        loop {
            let at = now_ms().saturating_sub(self.settings.offset_ms);
            self.turn(at, stop);
            let wait = self.next_look(at);
            if stop.wait(wait) {
                break;
            }
        }
        self.wait_settled(patience);
    }

    /// Writes what is due now and nothing more. Fails if any job did.
    pub fn run_once(mut self, patience: Duration, stop: &Stop) -> Result<(), String> {
        let at = now_ms().saturating_sub(self.settings.offset_ms);
        let due = self.settings.windows.due(at).unwrap_or_default();
        let (mut until, mut before) = (Instant::now() + patience, 0);
        loop {
            self.turn(at, stop);
            let failed = self.jobs.iter().filter(|running| running.has_failed());
            let failed: Vec<&str> = failed.map(|running| running.job.name()).collect();
            if !failed.is_empty() {
                self.wait_settled(patience);
                return Err(format!("failed: {}", failed.join(", ")));
            }
            // An output that has no room may get some, for as long as any of them gets on.
            let places = || self.jobs.iter().flat_map(|running| &running.places);
            let done = places().map(|place| place.done).sum::<u64>();
            if done > std::mem::replace(&mut before, done) {
                until = Instant::now() + patience;
            }
            let is_sent = places().all(|place| place.sent >= due);
            if is_sent || Instant::now() >= until || stop.wait(SETTLE_INTERVAL) {
                break;
            }
        }
        self.wait_settled(patience);
        let mut places = self.jobs.iter().flat_map(|running| &running.places);
        match places.all(|place| place.done >= due) {
            true => Ok(()),
            false => Err("not everything was delivered".into()),
        }
    }

    /// When there may be something to do.
    fn next_look(&self, at: u64) -> Duration {
        let windows = &self.settings.windows;
        let due = windows.due(at).unwrap_or(at);
        let next = windows.schedule.next(at).unwrap_or(u64::MAX);
        let next = next.saturating_add(self.settings.offset_ms);
        let mut wait = Duration::from_millis(next.saturating_sub(now_ms()));
        for Running { retry, places, .. } in &self.jobs {
            if let Some((retry_at, _)) = retry {
                wait = wait.min(retry_at.saturating_duration_since(Instant::now()));
            }
            if places.iter().any(|place| !place.marks.is_empty() || place.sent < due) {
                // A window is on its way, or an output that has no room may get some.
                let is_settled = places.iter().all(|place| place.marks.is_empty());
                wait = wait.min(if is_settled { ROOM_INTERVAL } else { SETTLE_INTERVAL });
            }
        }
        wait
    }

    /// Writes the windows that have ended by `at`, one of each job in turn.
    fn turn(&mut self, at: u64, stop: &Stop) {
        let Some(due) = self.settings.windows.due(at) else { return };
        let mut goes_on = true;
        while std::mem::take(&mut goes_on) {
            for job in 0..self.jobs.len() {
                self.settle();
                if stop.is_set() {
                    return;
                }
                if self.jobs[job].retry.is_some_and(|(retry_at, _)| Instant::now() < retry_at) {
                    continue;
                }
                self.skip(job, due);
                let receivers = self.receivers(job, due);
                let start = receivers.iter().map(|index| self.jobs[job].places[*index].sent).min();
                let window = start.and_then(|start| self.settings.windows.after(start));
                if let Some(window) = window.filter(|window| window.end <= due) {
                    goes_on |= self.write(job, window, &receivers);
                }
            }
        }
    }

    /// The outputs that are behind and have room.
    fn receivers(&self, job: usize, due: u64) -> Vec<usize> {
        let places = self.jobs[job].places.iter().enumerate();
        let behind = places.filter(|(_, place)| place.sent < due).map(|(index, _)| index);
        let now = Instant::now();
        behind.filter(|index| self.outputs[*index].queue.wait_room(now)).collect()
    }

    /// Leaves out what is too far back to be made up for.
    fn skip(&mut self, job: usize, due: u64) {
        let windows = &self.settings.windows;
        let first = due.saturating_sub(self.settings.catch_up_max_ms);
        let Some(first) = windows.last_end(first) else { return };
        let Running { job, places, .. } = &mut self.jobs[job];
        for (place, output) in places.iter_mut().zip(&self.outputs) {
            if place.sent < first {
                let seconds = (first - place.sent) / 1000;
                let (job, output) = (job.name(), output.name);
                log::warn!(
                    "federate: {job}: {output} is further behind than catch_up_max: {seconds} s \
                     are left out"
                );
                self.status.skipped(job, seconds);
                place.sent = first;
                place.done = place.done.max(first);
            }
        }
    }

    /// Queries a window and writes its points to the outputs that lack them. False if it failed.
    fn write(&mut self, job: usize, window: Window, receivers: &[usize]) -> bool {
        let running = &mut self.jobs[job];
        let name = running.job.name();
        let begun = Instant::now();
        let asking = Asking {
            client: &self.client,
            exclusions: &self.settings.exclusions,
            matchers: &self.settings.matchers,
            windows: &self.settings.windows,
            offset_ms: self.settings.offset_ms,
            gap_max_ms: self.settings.gap_max_ms,
            rows_max: self.settings.rows_max,
        };
        let answer = match running.job.ask(window, &asking) {
            Ok(answer) => answer,
            Err(why) => {
                let failures = running.retry.map_or(0, |(_, failures)| failures);
                running.retry = Some((Instant::now() + RETRY.wait(failures), failures + 1));
                self.status.failed(name, &why);
                return false;
            }
        };
        running.retry = None;
        let mut takers: Vec<usize> = receivers.to_vec();
        takers.retain(|index| running.places[*index].sent < window.end);
        let (outputs, scratch) = (&self.outputs, &mut self.scratch);
        let mut hand_on = |points: &crate::point::Points| {
            let until = Instant::now() + ROOM_TIMEOUT;
            takers.retain(|index| outputs[*index].queue.wait_room(until));
            let taking: Vec<_> = takers.iter().map(|index| outputs[*index].clone()).collect();
            // No router: a sum over many machines belongs to none of them.
            let (node, time_ns) = ("", window.end * 1_000_000);
            let batch = Batch { node, collector: name, time_ns, points };
            output::push(&taking, &batch, scratch, &mut Patience::none());
            !taking.is_empty()
        };
        let rows = answer.found.points(window, &self.settings.exclusions, &mut hand_on);
        if takers.is_empty() {
            self.status.failed(name, "no output has room for the window's points");
            return false;
        }
        for index in &takers {
            let (place, output) = (&mut running.places[*index], &outputs[*index]);
            place.sent = window.end;
            place.marks.push_back((output.queue.level().pushed, window.end));
            let interval = Duration::from_millis(window.ms() + self.settings.offset_ms);
            output::end(std::slice::from_ref(output), "", name, interval, false);
        }
        self.status.written(name, window.end, &answer, rows, begun.elapsed());
        true
    }

    /// Notes what was delivered meanwhile; whether that is all.
    fn settle(&mut self) -> bool {
        let (mut changed, mut is_settled) = (false, true);
        for Running { places, retry, .. } in &mut self.jobs {
            for (place, output) in places.iter_mut().zip(&self.outputs) {
                let level = output.queue.level();
                if level.dropped > place.dropped {
                    place.dropped = level.dropped;
                    if place.sent > place.done {
                        // Some of it may have been of these windows: they are written again.
                        log::debug!("federate: {} dropped points of a window", output.name);
                        place.marks.clear();
                        place.sent = place.done;
                        *retry = Some((Instant::now() + DROPPED_PAUSE, 0));
                    }
                }
                let gone = level.pushed.saturating_sub(level.points);
                while let Some((mark, end)) = place.marks.front().copied()
                    && mark <= gone
                {
                    place.marks.pop_front();
                    place.done = place.done.max(end);
                    changed = true;
                }
                is_settled &= place.marks.is_empty();
            }
        }
        if changed {
            self.save();
        }
        is_settled
    }

    fn wait_settled(&mut self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        for Running { places, .. } in &self.jobs {
            for (place, output) in places.iter().zip(&self.outputs) {
                let mark = place.marks.back().map_or(0, |(mark, _)| *mark);
                output.queue.wait_gone(mark, until);
            }
        }
        self.settle()
    }

    fn save(&mut self) {
        let path = &self.settings.progress_file;
        // Progress of jobs and outputs that are switched off now is kept.
        let mut progress = progress::load(path).unwrap_or_default();
        for Running { job, places, .. } in &self.jobs {
            for (place, output) in places.iter().zip(&self.outputs) {
                progress.insert((job.name().into(), output.name.into()), place.done);
            }
        }
        match progress::save(path, &progress) {
            Ok(()) => self.said_forgetful = false,
            Err(err) if !self.said_forgetful => {
                self.said_forgetful = true;
                let shown = path.display();
                log::warn!(
                    "federate: cannot write {shown}, a restart will start from the present: {err}"
                );
            }
            Err(_) => {}
        }
    }
}
