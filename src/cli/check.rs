//! `perijove check`: polls each router once and tries each output, and says what works.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::command::{Arguments, Exit};
use super::print::say;
use crate::base::inventory::Shared;
use crate::base::text::first_line;
use crate::bigquery::load;
use crate::collector::outcome::Outcome;
use crate::config::{Config, Level};
use crate::daemon;
use crate::dependency::source;
use crate::dependency::status::Found;
use crate::federate::query::PrometheusClient;
use crate::fleet;
use crate::output::spool;
use crate::poll::configuration::Macros;
use crate::poll::router::{Polled, Router};
use crate::poll::status::RouterStatus;
use crate::poll::{self, RouterPoller, connection};

/// More routers are not asked at once.
const ROUTERS_MAX: usize = 16;

/// How long the router may take to give its configuration.
const CONFIGURATION_TIMEOUT: Duration = Duration::from_secs(30);

/// What was found out of one thing: a collector of a router, an output.
struct Finding {
    verdict: Verdict,
    /// What it is about: `router r1`, `r1 bgp`, `output influxdb`.
    what: String,
    words: String,
    /// More of it, for programs.
    figures: Map<String, Json>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// It works, and takes more of the router's time than it may.
    Slow,
    NoData,
    Unsupported,
    Denied,
    Failed,
}

impl Verdict {
    const ALL: [Verdict; 6] = [
        Verdict::Ok,
        Verdict::Slow,
        Verdict::NoData,
        Verdict::Unsupported,
        Verdict::Denied,
        Verdict::Failed,
    ];

    fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Slow => "slow",
            Verdict::NoData => "no data",
            Verdict::Unsupported => "unsupported",
            Verdict::Denied => "denied",
            Verdict::Failed => "FAILED",
        }
    }

    fn works(self) -> bool {
        !matches!(self, Verdict::Denied | Verdict::Failed)
    }
}

impl Finding {
    fn new(verdict: Verdict, what: String, words: String) -> Finding {
        Finding { verdict, what, words, figures: Map::new() }
    }

    fn of(what: &str, result: Result<String, String>) -> Finding {
        let what = what.to_string();
        match result {
            Ok(words) => Finding::new(Verdict::Ok, what, words),
            Err(why) => Finding::new(Verdict::Failed, what, why),
        }
    }

    fn line(&self) -> String {
        format!("{:<11} {}: {}\n", self.verdict.name(), self.what, self.words)
    }

    fn json(&self) -> Json {
        let mut json = self.figures.clone();
        json.insert("verdict".into(), self.verdict.name().to_lowercase().into());
        json.insert("what".into(), self.what.as_str().into());
        json.insert("words".into(), self.words.as_str().into());
        Json::Object(json)
    }
}

#[derive(Clone, Copy)]
enum Format {
    Text,
    Json,
}

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let format = arguments.format(&[("text", Format::Text), ("json", Format::Json)])?;
    let mut all = Vec::new();
    let mut report = |found: Vec<Finding>| -> Result<(), Exit> {
        if let Format::Text = format {
            say(&found.iter().map(Finding::line).collect::<String>())?;
        }
        all.extend(found);
        Ok(())
    };
    let mut macros = Macros::new();
    if arguments.flags.from_configuration {
        let (found, right) = configuration(arguments)?;
        report(found)?;
        macros = right;
    }
    // Only the warnings and errors of a poll.
    let config = arguments.start_at(Level::Warn, &macros)?;
    let (routers, lists) = fleet::once::read(&config.routers, &config.lists);
    for (name, read) in lists {
        report(vec![Finding::of(&format!("list {name}"), read)])?;
    }
    check_routers(&routers, arguments.flags.connect, &mut report)?;
    check_rest(&config, &mut report)?;
    let works = all.iter().all(|finding| finding.verdict.works());
    if let Format::Json = format {
        let findings: Vec<Json> = all.iter().map(Finding::json).collect();
        let document = json!({"works": works, "findings": findings});
        say(&(serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"))?;
    }
    if works { Ok(()) } else { Err(Exit::Failed(String::new())) }
}

/// The macros in the router's configuration, and whether they can be used.
fn configuration(arguments: &Arguments) -> Result<(Vec<Finding>, Macros), Exit> {
    let asked = arguments.source().map_err(Exit::Usage)?.asked().ok_or_else(|| {
        let why = "--from-configuration is for perijove on the router itself: the settings have no \
                   router with transport = \"local\", or configuration_interval is off";
        Exit::Usage(why.into())
    })?;
    let finding = |result| vec![Finding::of("configuration", result)];
    let macros = match poll::read_macros(&asked, CONFIGURATION_TIMEOUT) {
        Ok(macros) => macros,
        Err(why) => return Ok((finding(Err(why)), Macros::new())),
    };
    let source = arguments.source_with(&macros).map_err(Exit::Usage)?;
    match source.into_config() {
        Ok(_) => {
            let words = format!("{} parameters of apply-macro perijove", macros.len());
            Ok((finding(Ok(words)), macros))
        }
        Err(why) => {
            let faults = why.lines().map(|line| Err(first_line(line)));
            Ok((faults.flat_map(finding).collect(), Macros::new()))
        }
    }
}

/// Checks the routers, some at once; reports each as soon as it is done.
fn check_routers(
    routers: &[Router],
    only_connect: bool,
    report: &mut dyn FnMut(Vec<Finding>) -> Result<(), Exit>,
) -> Result<(), Exit> {
    let next = AtomicUsize::new(0);
    let (done, found) = mpsc::channel();
    std::thread::scope(|scope| {
        for _ in 0..routers.len().min(ROUTERS_MAX) {
            let (done, next) = (done.clone(), &next);
            scope.spawn(move || {
                while let Some(router) = routers.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = if only_connect { vec![connect(router)] } else { poll(router) };
                    if done.send(found).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let is_watched = io::stderr().is_terminal() && routers.len() > 1;
        for (count, found) in found.iter().enumerate() {
            report(found)?;
            if is_watched {
                let mut err = io::stderr();
                let _ = write!(err, "{} of {} routers\r", count + 1, routers.len());
            }
        }
        Ok(())
    })
}

/// Opens a session, and closes it.
fn connect(router: &Router) -> Finding {
    let session = connection::connect(router).map_err(|err| err.0).map(|(session, number)| {
        let capabilities = session.capabilities.len();
        let with = if number == 2 { ", with its second target" } else { "" };
        let words = format!("session {}, {capabilities} capabilities{with}", session.session_id);
        session.close();
        words
    });
    Finding::of(&format!("router {}", router.name), session)
}

/// Polls each collector of a router once. The last finding sums them up.
fn poll(router: &Router) -> Vec<Finding> {
    let status = Arc::new(RouterStatus::new(router));
    let mut poller = RouterPoller::new(router, status.clone(), &Shared::default());
    let mut found = Vec::new();
    let mut share = 0.0;
    for (index, polled) in router.collectors.iter().enumerate() {
        let mut points = 0;
        let outcome = poller.poll(&[index], &[], &mut |batch| points += batch.points.len()).pop();
        let outcome = outcome.unwrap_or(Outcome::Data);
        if let Outcome::NoSession(why) = outcome {
            poller.close();
            return vec![Finding::new(Verdict::Failed, format!("router {}", router.name), why)];
        }
        let (took, bytes) = status.last_poll(index);
        share += took.as_secs_f64() / polled.interval.as_secs_f64();
        found.push(judge(router, polled, outcome, took, bytes, points));
    }
    poller.close();
    found.push(sum_up(router, &found, share));
    found
}

fn judge(
    router: &Router,
    polled: &Polled,
    outcome: Outcome,
    took: Duration,
    bytes: u64,
    points: usize,
) -> Finding {
    let seconds = took.as_secs_f64();
    let figures = format!("{seconds:.1} s, {}, {points} points", size(bytes));
    let too_long = seconds > polled.interval.as_secs_f64() * router.poll_share_max;
    let name = polled.entry.name;
    let (verdict, words) = match outcome {
        Outcome::Data if too_long => {
            let interval = (seconds / router.poll_share_max / 10.0).ceil() * 10.0;
            (
                Verdict::Slow,
                format!("{figures}: set interval = \"{interval}s\" in [collector.{name}]"),
            )
        }
        Outcome::Data if points == 0 => {
            (Verdict::NoData, format!("{figures}: the reply has nothing of it"))
        }
        Outcome::Data => (Verdict::Ok, figures),
        Outcome::NoData(why) => (Verdict::NoData, why),
        Outcome::Unsupported(why) => (Verdict::Unsupported, why),
        Outcome::Denied(why) => (Verdict::Denied, why),
        Outcome::Failed(why) | Outcome::NoSession(why) => (Verdict::Failed, why),
    };
    let mut finding = Finding::new(verdict, format!("{} {name}", router.name), words);
    finding.figures = Map::from_iter([
        ("router".into(), router.name.as_str().into()),
        ("collector".into(), name.into()),
        ("seconds".into(), seconds.into()),
        ("bytes".into(), bytes.into()),
        ("points".into(), points.into()),
    ]);
    finding
}

/// A size as settings have it.
fn size(bytes: u64) -> String {
    let kilobytes = bytes as f64 / 1024.0;
    if kilobytes < 1024.0 {
        format!("{kilobytes:.1} kB")
    } else {
        format!("{:.1} MB", kilobytes / 1024.0)
    }
}

fn sum_up(router: &Router, found: &[Finding], share: f64) -> Finding {
    let count = |verdict| found.iter().filter(|finding| finding.verdict == verdict).count();
    let counts = Verdict::ALL.into_iter().filter(|verdict| count(*verdict) > 0);
    let counts: Vec<_> =
        counts.map(|verdict| format!("{} {}", count(verdict), verdict.name())).collect();
    let percent = share * 100.0;
    let most = router.poll_share_max * 100.0;
    let words = format!(
        "{}; at these intervals, answers take {percent:.1} % of the Routing Engine's time \
         (poll_share_max is {most:.0})",
        counts.join(", ")
    );
    let verdict = match () {
        () if !found.iter().all(|finding| finding.verdict.works()) => Verdict::Failed,
        () if share > router.poll_share_max => Verdict::Slow,
        () => Verdict::Ok,
    };
    let mut finding = Finding::new(verdict, format!("router {}", router.name), words);
    finding.figures.insert("router".into(), router.name.as_str().into());
    finding.figures.insert("share_percent".into(), percent.into());
    finding
}

/// Checks what is not a router: the machine's sources, federation, BigQuery, outputs and spools.
fn check_rest(
    config: &Config,
    report: &mut dyn FnMut(Vec<Finding>) -> Result<(), Exit>,
) -> Result<(), Exit> {
    let mut report =
        |what: &str, result: Result<String, String>| report(vec![Finding::of(what, result)]);
    if let Some(settings) = &config.dependency {
        match source::sources(settings, &Shared::default()) {
            Ok(sources) => {
                for mut source in sources {
                    let mut points = 0;
                    let found = source.run_once(&mut |batch| points += batch.points.len());
                    let words = |found: Found| {
                        let Found { items, rejected, lacks, .. } = found;
                        let lacks: String =
                            lacks.iter().map(|lack| format!(": {}", lack.why)).collect();
                        format!("{items} found, {rejected} left out, {points} points{lacks}")
                    };
                    report(&format!("source {}", source.status.source), found.map(words))?;
                }
            }
            Err(why) => report("sources", Err(why))?,
        }
    }
    let is_built_in = cfg!(feature = "federation");
    if !is_built_in && (config.federate.is_some() || config.bigquery.is_some()) {
        report("federate", Err("this perijove was built without federation and BigQuery".into()))?;
    }
    if let Some(federate) = config.federate.as_ref().filter(|_| is_built_in) {
        let checked = PrometheusClient::new(&federate.query).and_then(|client| client.check());
        report("federate", checked)?;
    }
    if let Some(bigquery) = config.bigquery.as_ref().filter(|_| is_built_in) {
        report("bigquery", load::check(bigquery))?;
    }
    for output in &config.outputs {
        let checked = daemon::make_output(output).and_then(|mut parts| parts.check());
        report(&format!("output {}", output.name()), checked)?;
        if let Some(spool) = &output.spool {
            report(&format!("spool of {}", output.name()), spool::check(&spool.directory))?;
        }
    }
    Ok(())
}
