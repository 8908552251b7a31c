//! What is known of a router and its collectors: its poller writes it, others read it.

use std::sync::Mutex;
use std::time::Duration;

use super::router::Router;
use super::schedule::BUSY_PACE;
use super::shard::Shard;
use crate::base::sync::lock;
use crate::collector::outcome::{Outcome, STATES};
use crate::collector::reader::Tally;
use crate::point::{
    self, Definition, Load, Measurement, Points, Schema, Tags, counter, gauge, text,
};
use crate::serve::Wanted;

/// Why a Routing Engine that is to be quiet gives no data.
pub const NOT_MASTER: &str = "this Routing Engine is not the master";

/// What is known of one collector on one router.
#[derive(Clone, Debug, Default)]
pub struct CollectorStatus {
    polls: u64,
    failed_polls: u64,
    skipped_ticks: u64,
    items: u64,
    rejected_items: u64,
    rejected_values: u64,
    points: u64,
    bytes: u64,
    duration: Duration,
    outcome: Option<Outcome>,
    /// What was said in the log already.
    said_rejected: bool,
}

static COLLECTOR: Measurement<CollectorStatus> = Measurement::new(|| Definition {
    name: "perijove_collector",
    help: "A collector's polls of a router.",
    tags: &["collector"],
    fields: vec![
        gauge("success", "", "1 if the last poll did not fail.", |c| {
            Some(u64::from(c.outcome.as_ref()?.failure().is_none()))
        }),
        gauge("no_data", "", "1 if the router has nothing of the kind.", |c| {
            Some(u64::from(c.outcome.as_ref()?.absence().is_some()))
        }),
        gauge("state", "", STATES, |c| c.outcome.as_ref().map(Outcome::number)),
        gauge("duration_seconds", "s", "Time the last poll's RPCs took.", |c| {
            c.outcome.as_ref().map(|_| c.duration.as_secs_f64())
        }),
        counter("polls_total", "", "Polls.", |c| Some(c.polls)),
        counter("failed_polls_total", "", "Polls that failed.", |c| Some(c.failed_polls)),
        counter("skipped_ticks_total", "", "Polls left out, the last one still ran.", |c| {
            Some(c.skipped_ticks)
        }),
        counter("items_total", "", "Items read.", |c| Some(c.items)),
        counter("rejected_items_total", "", "Items that did not fit.", |c| Some(c.rejected_items)),
        counter(
            "rejected_values_total",
            "",
            "Values, and labels of descriptions, that did not fit.",
            |c| Some(c.rejected_values),
        ),
        counter("points_total", "", "Points made.", |c| Some(c.points)),
        counter("reply_bytes_total", "bytes", "Bytes of replies read.", |c| Some(c.bytes)),
        text("error", "Why the last poll failed.", |c| c.outcome.as_ref()?.failure()),
        text("absence", "Why there was no data.", |c| c.outcome.as_ref()?.absence()),
    ],
});

#[derive(Clone, Debug, Default)]
struct SessionStatus {
    up: bool,
    /// The last attempt to open one failed.
    refused: bool,
    connects: u64,
    losses: u64,
    /// As far as its answers tell.
    is_busy: Option<bool>,
    spared: u64,
    shard: Option<Shard>,
    /// 1 or 2, of a router that has two.
    target: Option<u64>,
    /// Its poller has a session, or is in a poll that had one.
    is_in_use: bool,
    /// The program ends without its poller, which opens no session any more.
    is_left: bool,
}

static SESSION: Measurement<SessionStatus> = Measurement::new(|| Definition {
    name: "perijove_session",
    help: "The NETCONF session with a router.",
    tags: &[],
    fields: vec![
        gauge("up", "", "1 while it is open.", |s| Some(u64::from(s.up))),
        counter("connects_total", "", "Sessions opened.", |s| Some(s.connects)),
        counter("losses_total", "", "Sessions lost.", |s| Some(s.losses)),
        gauge("busy", "", "1 while the router is busy and is polled less.", |s| {
            s.is_busy.map(u64::from)
        }),
        counter("spared_polls_total", "", "Polls left out because it is busy.", |s| {
            s.is_busy.map(|_| s.spared)
        }),
        gauge("shard", "", "The shard that has the router, where there are several.", |s| {
            Some(u64::from(s.shard?.number))
        }),
        gauge("target_number", "", "Which target the last session is with: 1, or 2.", |s| s.target),
        gauge("shards", "", "How many shards there are.", |s| Some(u64::from(s.shard?.of))),
    ],
});

/// junos_exporter's metrics about itself, for Prometheus only, by a scrape or by remote write:
/// elsewhere it would be there twice.
static UP: Measurement<CollectorStatus> = Measurement::new(|| Definition {
    name: "",
    help: "A router, as junos_exporter has it.",
    tags: &[],
    fields: vec![gauge("up", "", "1 if the router answers.", |c| {
        Some(u64::from(!matches!(c.outcome.as_ref()?, Outcome::Failed(_))))
    })],
});

static COLLECTOR_DURATION: Measurement<CollectorStatus> = Measurement::new(|| Definition {
    name: "collector",
    help: "All collectors of a router, as junos_exporter has it.",
    tags: &[],
    fields: vec![gauge("duration_seconds", "s", "Time the last polls' RPCs took in all.", |c| {
        Some(c.duration.as_secs_f64())
    })],
});

static COLLECT_DURATION: Measurement<CollectorStatus> = Measurement::new(|| Definition {
    name: "collect",
    help: "A collector of a router, as junos_exporter has it.",
    tags: &["collector"],
    fields: vec![gauge("duration_seconds", "s", "Time the last poll's RPCs took.", |c| {
        c.outcome.as_ref().map(|_| c.duration.as_secs_f64())
    })],
});

pub const MEASUREMENTS: &[&dyn Schema] = &[&COLLECTOR, &SESSION];

/// Whether a measurement about routers has a tag or a field of that name.
pub fn has_name(name: &str) -> bool {
    let others: [&dyn Schema; 3] = [&UP, &COLLECTOR_DURATION, &COLLECT_DURATION];
    MEASUREMENTS.iter().chain(&others).any(|schema| point::has_name(*schema, name))
}

/// What is known of one router; its poller writes, the daemon reads.
pub struct RouterStatus {
    name: String,
    tags: Tags,
    has_two_targets: bool,
    names: Vec<&'static str>,
    collectors: Mutex<Vec<CollectorStatus>>,
    session: Mutex<SessionStatus>,
}

impl RouterStatus {
    pub fn new(router: &Router) -> RouterStatus {
        let names: Vec<_> = router.collectors.iter().map(|polled| polled.entry.name).collect();
        RouterStatus {
            name: router.name.clone(),
            tags: router.tags.clone(),
            has_two_targets: router.second.is_some(),
            collectors: Mutex::new(vec![CollectorStatus::default(); names.len()]),
            names,
            session: Mutex::new(SessionStatus { shard: router.shard, ..Default::default() }),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Room for points about the router.
    pub fn start(&self) -> Points {
        let mut points = Points::default();
        points.set_tags(&self.tags);
        points
    }

    fn collector(&self, index: usize, change: impl FnOnce(&mut CollectorStatus)) {
        let mut collectors = lock(&self.collectors);
        change(&mut collectors[index]);
    }

    pub fn skipped(&self, index: usize, ticks: u64) {
        self.collector(index, |status| status.skipped_ticks += ticks);
    }

    /// Counts polls that are left out because the router is busy.
    pub fn spared(&self, polls: u64) {
        lock(&self.session).spared += polls;
    }

    /// Notes whether the router is busy, and logs what is new about it.
    pub fn busy(&self, is_busy: bool, load: Load) {
        let was_busy = lock(&self.session).is_busy.replace(is_busy).unwrap_or(false);
        let (router, Load { cpu_percent, memory_percent }) = (&self.name, load);
        let load = format!("CPU {cpu_percent:.0} %, memory {memory_percent:.0} %");
        match (was_busy, is_busy) {
            (false, true) => log::warn!(
                "{router}: the Routing Engine is busy ({load}): until that is over, one of \
                 {BUSY_PACE} polls is made"
            ),
            (true, false) => {
                log::info!("{router}: the Routing Engine is no longer busy ({load})");
            }
            _ => {}
        }
    }

    /// Counts a poll, and logs what is new about it.
    pub fn polled(&self, index: usize, outcome: &Outcome, tally: &Tally, duration: Duration) {
        let (router, name) = (&self.name, self.names[index]);
        self.collector(index, |status| {
            let failed_before = status.outcome.as_ref().and_then(Outcome::failure).is_some();
            if matches!(outcome, Outcome::NoSession(_)) {
                lock(&self.session).refused = true;
            }
            match outcome {
                _ if status.outcome.as_ref() == Some(outcome) => {}
                Outcome::Denied(why) | Outcome::Failed(why) => {
                    log::warn!("{router}: {name}: {why}");
                }
                Outcome::NoSession(why) => log::debug!("{router}: {name}: {why}"),
                // It was said once for all collectors.
                Outcome::NoData(why) if why == NOT_MASTER => {}
                Outcome::NoData(why) => log::info!("{router}: {name}: no data: {why}"),
                Outcome::Unsupported(why) => {
                    log::info!(
                        "{router}: {name}: the router does not know this command: {why}; it is \
                         asked again each hour"
                    );
                }
                Outcome::Data if failed_before => log::info!("{router}: {name}: works again"),
                Outcome::Data => {}
            }
            if let (Some(why), false) = (&tally.first_rejected, status.said_rejected) {
                log::warn!("{router}: {name}: left out an item that does not fit: {why}");
                status.said_rejected = true;
            }
            if let Some(why) = &tally.first_misfit {
                log::debug!("{router}: {name}: left out values that do not fit, first: {why}");
            }
            status.polls += 1;
            status.failed_polls += u64::from(outcome.failure().is_some());
            status.items += tally.items;
            status.rejected_items += tally.rejected;
            status.rejected_values += tally.misfits;
            status.points += tally.points;
            status.bytes += tally.bytes;
            status.duration = duration;
            status.outcome = Some(outcome.clone());
        });
    }

    /// How long the RPCs of a collector's last poll took, and the bytes of all its replies.
    pub fn last_poll(&self, index: usize) -> (Duration, u64) {
        let status = &lock(&self.collectors)[index];
        (status.duration, status.bytes)
    }

    /// A scrape that waited for it got nothing.
    pub fn unanswered(&self) {
        let mut session = lock(&self.session);
        session.refused |= !session.up;
    }

    /// A session was opened with the target of this number; false if it comes too late.
    pub fn connected(&self, target: u64) -> bool {
        let mut session = lock(&self.session);
        if session.is_left {
            return false;
        }
        session.is_in_use = true;
        session.target = self.has_two_targets.then_some(target);
        session.up = true;
        session.refused = false;
        session.connects += 1;
        true
    }

    /// Between two polls: whether the poller has a session.
    pub fn rests(&self, has_session: bool) {
        lock(&self.session).is_in_use = has_session;
    }

    /// Whether the program can end without its poller: it has nothing to end, and from now on
    /// begins nothing.
    pub fn leave(&self) -> bool {
        let mut session = lock(&self.session);
        session.is_left = !session.is_in_use;
        session.is_left
    }

    pub fn disconnected(&self) {
        let mut session = lock(&self.session);
        session.up = false;
        session.losses += 1;
    }

    /// Whether each collector was polled.
    pub fn is_polled(&self) -> bool {
        lock(&self.collectors).iter().all(|status| status.outcome.is_some())
    }

    /// What junos_exporter says of a router.
    pub fn exporter_points(&self, wanted: &Wanted, points: &mut Points) {
        let SessionStatus { up: is_up, refused, .. } = *lock(&self.session);
        let collectors = lock(&self.collectors);
        // A session that ends while it is idle does not mean that the router is down, nor does
        // a request that is not sent because the router does not know it. One that cannot be
        // opened does, even if a collector with a long interval has not noticed it.
        let good = |status: &&CollectorStatus| matches!(status.outcome, Some(Outcome::Data));
        let polled = || collectors.iter().filter(|status| status.outcome.is_some());
        if is_up || refused || polled().next().is_some() {
            let answers = is_up || !refused && polled().any(|status| good(&status));
            let outcome = if answers { Outcome::Data } else { Outcome::Failed(String::new()) };
            let duration = polled().map(|status| status.duration).sum();
            let all = CollectorStatus { outcome: Some(outcome), duration, ..Default::default() };
            points.push(&UP, &[], &all);
            points.push(&COLLECTOR_DURATION, &[], &all);
        }
        for (name, status) in self.names.iter().zip(collectors.iter()) {
            if wanted.has_collector(name) {
                points.push(&COLLECT_DURATION, &[name], status);
            }
        }
    }

    /// Points about the router.
    pub fn points(&self, points: &mut Points) {
        let collectors = lock(&self.collectors);
        for (name, status) in self.names.iter().zip(collectors.iter()) {
            points.push(&COLLECTOR, &[name], status);
        }
        points.push(&SESSION, &[], &*lock(&self.session));
    }
}
