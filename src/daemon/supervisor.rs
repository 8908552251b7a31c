//! Runs the units that the settings want, and changes over to those that other settings want.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::changes::Changes;
use super::configuration;
use super::events::Event;
use super::own_metrics;
use super::unit::{self, Key, Part, Plan, Surroundings, Unit};
use super::visitors::Visitors;
use crate::base::clock::now_ns;
use crate::base::inventory::{Inventory, Shared};
use crate::base::sync::lock;
use crate::base::sys;
use crate::collector::described;
use crate::config::Config;
use crate::dependency;
use crate::fleet::list::List;
use crate::fleet::status::ListStatus;
use crate::output::{self, Output, Outputs, remote_write};
use crate::point::{Batch, Points};
use crate::poll::on_demand::Template;
use crate::poll::{Ask, registry, schedule};
use crate::serve::{Program, Refusal, Wanted};
use crate::syslog::sources::Routers;

/// How long a report waits for queues to have room: what is said of hundreds of routers fills one.
/// Signals wait as long.
const REPORT_PATIENCE: Duration = Duration::from_secs(2);

/// The units that run, in the order of the settings.
struct Units {
    list: Mutex<Vec<Unit>>,
    /// Routers that scrapes have named and the settings do not.
    visitors: Visitors,
    /// What is known of settings in a router's configuration, where one is looked at.
    configuration: Mutex<Option<configuration::ConfigurationStatus>>,
    /// Whether everything that is wanted has been started.
    is_complete: AtomicBool,
}

pub struct Supervisor {
    units: Arc<Units>,
    outputs: Outputs,
    /// What the inventory says of addresses.
    inventory: Shared,
    /// The routers that may send lines of syslog.
    senders: Routers,
    events: Sender<Event>,
}

impl Supervisor {
    pub fn new(events: Sender<Event>) -> Supervisor {
        let (outputs, inventory, senders) = Default::default();
        let visitors = Visitors::new(&outputs, &inventory);
        let (list, configuration) = Default::default();
        let units = Units { list, visitors, configuration, is_complete: false.into() };
        Supervisor { units: Arc::new(units), outputs, inventory, senders, events }
    }

    /// The units that the settings want. Fails if one of them certainly could not start.
    pub fn plan(&self, config: &Config) -> Result<Vec<Plan>, String> {
        let lists = self.units.lists();
        let known = |list: &List| {
            let before = lists.iter().find(|status| status.name == list.name);
            before.map(|status| status.known()).unwrap_or_default()
        };
        let mut plans = unit::plans(config, &self.inventory, &known)?;
        let units = lock(&self.units.list);
        // At the start, the listener itself reports it.
        for plan in plans.iter_mut().filter(|_| !units.is_empty()) {
            plan.check(&units)?;
        }
        Ok(plans)
    }

    pub fn outputs(&self) -> Vec<Arc<Output>> {
        self.outputs.hold().to_vec()
    }

    /// What scrapes may name besides the routers of the settings.
    pub fn allow(&self, templates: &[Template]) {
        self.units.visitors.allow(templates);
    }

    /// What is to be said of settings in a router's configuration.
    pub fn note_configuration(&self, status: Option<&configuration::ConfigurationStatus>) {
        *lock(&self.units.configuration) = status.cloned();
    }

    /// Changes over to these units. Units with the same key keep running, except that an output may
    /// get another sink; the others are stopped, within `drain_timeout`, and new ones are started.
    /// After a failure, some of the wanted units do not run.
    pub fn go_over(&self, plans: Vec<Plan>, drain_timeout: Duration) -> Result<(), String> {
        let order: Vec<Key> = plans.iter().map(|plan| plan.key.clone()).collect();
        self.units.is_complete.store(false, Ordering::Relaxed);
        let (stop, start, gone_on) = self.compare(plans, |_| true);
        if let Err(why) = gone_on {
            unit::stop(stop, Instant::now() + drain_timeout);
            return Err(why);
        }
        let (old_outputs, old): (Vec<_>, Vec<_>) = stop.into_iter().partition(Unit::is_output);
        let (outputs, others): (Vec<_>, Vec<_>) = start.into_iter().partition(Plan::is_output);
        stop_others(old, Instant::now() + drain_timeout);
        if !old_outputs.is_empty() || !outputs.is_empty() {
            self.outputs.change(Instant::now() + drain_timeout, || {
                unit::stop(old_outputs, Instant::now() + drain_timeout);
                let started = self.start(outputs, drain_timeout);
                (self.units.outputs(), started)
            })?;
        }
        self.start(others, drain_timeout)?;
        let place = |unit: &Unit| order.iter().position(|key| *key == unit.key);
        lock(&self.units.list).sort_by_cached_key(place);
        self.units.is_complete.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Changes over to the routers that the lists have now; everything else keeps running.
    pub fn follow_lists(&self, config: &Config, drain_timeout: Duration) -> Result<(), String> {
        let lists = self.units.lists();
        if lists.len() != config.lists.len() {
            // The settings are being changed, and the lists with them.
            return Ok(());
        }
        let plans = unit::routers(config, &lists);
        let (stop, start, gone_on) =
            self.compare(plans, |unit| matches!(unit.key, Key::Router { .. }));
        if !stop.is_empty() || !start.is_empty() {
            let (gone, new) = (stop.len(), start.len());
            log::info!("the lists of routers have changed: {new} units start, {gone} stop");
        }
        unit::stop(stop, Instant::now() + drain_timeout);
        self.start(start, drain_timeout).and(gone_on)
    }

    /// Of the units that it is about, removes those that are not wanted, and gives the others their
    /// new plans. Returns the removed units, the plans without a unit, and whether all others could
    /// take their plans.
    fn compare(
        &self,
        plans: Vec<Plan>,
        is_about: fn(&Unit) -> bool,
    ) -> (Vec<Unit>, Vec<Plan>, Result<(), String>) {
        let program: Arc<dyn Program> = self.units.clone();
        let mut units = lock(&self.units.list);
        let is_wanted =
            |unit: &Unit| !is_about(unit) || plans.iter().any(|plan| plan.key == unit.key);
        let (keep, stop): (Vec<_>, Vec<_>) = units.drain(..).partition(is_wanted);
        *units = keep;
        let (mut start, mut gone_on) = (Vec::new(), Ok(()));
        for plan in plans {
            match units.iter_mut().find(|unit| unit.key == plan.key) {
                Some(unit) => gone_on = gone_on.and(unit.go_on(plan, &program)),
                None => start.push(plan),
            }
        }
        (stop, start, gone_on)
    }

    fn start(&self, plans: Vec<Plan>, drain_timeout: Duration) -> Result<(), String> {
        let collectors = plans.iter().map(Plan::collectors).sum();
        let mut around = Surroundings {
            outputs: &self.outputs,
            inventory: &self.inventory,
            program: self.units.clone(),
            changes: self.units.changes(),
            senders: &self.senders,
            events: &self.events,
            patience: drain_timeout / 2,
            first_within: schedule::first_within(collectors),
        };
        for plan in plans {
            if let Key::Source(_, settings) = &plan.key
                && settings.inventory.is_none()
            {
                // The inventory is no longer in the settings: forget what it said.
                self.inventory.set(Inventory::default());
            }
            if matches!(plan.key, Key::Syslog(..)) {
                self.tell_senders();
            }
            let unit = plan.start(&around)?;
            if let Part::Events(changes) = &unit.part {
                around.changes = Some(changes.clone());
            }
            lock(&self.units.list).push(unit);
        }
        self.tell_senders();
        Ok(())
    }

    /// Says which routers may send lines of syslog.
    fn tell_senders(&self) {
        self.senders.set(lock(&self.units.list).iter().filter_map(Unit::sender).collect());
    }

    /// Sends perijove's own metrics through every output, and those that a scrape adds through
    /// remote write. Outputs that are scraped get them at the scrape.
    pub fn report(&self, scratch: &mut Vec<u8>) {
        self.units.visitors.forget(Instant::now());
        let mut outputs = self.outputs();
        outputs.retain(|output| output.latest.is_none());
        let is_prometheus = |output: &Arc<Output>| output.name == remote_write::OUTPUT;
        let (prometheus, others): (Vec<_>, Vec<_>) = outputs.into_iter().partition(is_prometheus);
        let until = Instant::now() + REPORT_PATIENCE;
        for (outputs, for_prometheus) in [(others, false), (prometheus, true)] {
            if outputs.is_empty() {
                continue;
            }
            let own = self.units.points(&Wanted::default(), for_prometheus);
            for (node, time_ns, points) in &own {
                let (time_ns, collector) = (*time_ns, "perijove");
                let batch = Batch { node, collector, time_ns, points };
                output::push_by(&outputs, &batch, scratch, until);
            }
        }
    }

    /// Stops all units, within `drain_timeout`: half of it is for routers and sources, and outputs
    /// have what is left to send what they hold.
    pub fn stop(self, drain_timeout: Duration) {
        let start = Instant::now();
        self.units.visitors.allow(&[]);
        self.units.is_complete.store(false, Ordering::Relaxed);
        let units = std::mem::take(&mut *lock(&self.units.list));
        let (left, units): (Vec<_>, Vec<_>) = units.into_iter().partition(Unit::leave);
        // Their threads end with the program. To wake thousands for that would take longer than all
        // else.
        std::mem::forget(left);
        let (outputs, others): (Vec<_>, Vec<_>) = units.into_iter().partition(Unit::is_output);
        let changes = find_changes(&others);
        stop_others(others, start + drain_timeout / 2);
        unit::stop(outputs, start + drain_timeout);
        if let Some(changes) = changes {
            changes.settle();
        }
    }
}

/// Stops units that are no outputs: the events after those that find them.
fn stop_others(units: Vec<Unit>, deadline: Instant) {
    let (events, others): (Vec<_>, Vec<_>) = units.into_iter().partition(Unit::is_events);
    unit::stop(others, deadline);
    unit::stop(events, deadline);
}

fn find_changes(units: &[Unit]) -> Option<Arc<Changes>> {
    units.iter().find_map(|unit| match &unit.part {
        Part::Events(changes) => Some(changes.clone()),
        _ => None,
    })
}

impl Units {
    /// Who takes the routers' events.
    fn changes(&self) -> Option<Arc<Changes>> {
        find_changes(&lock(&self.list))
    }

    fn outputs(&self) -> Vec<Arc<Output>> {
        let units = lock(&self.list);
        let outputs = units.iter().filter_map(|unit| match &unit.part {
            Part::Output { output, .. } => Some(output.clone()),
            _ => None,
        });
        outputs.collect()
    }

    fn lists(&self) -> Vec<Arc<ListStatus>> {
        let units = lock(&self.list);
        let lists = units.iter().filter_map(|unit| match &unit.part {
            Part::List(status) => Some(status.clone()),
            _ => None,
        });
        lists.collect()
    }

    /// perijove's own points: those about each router that is wanted, and then those about itself.
    fn points(&self, wanted: &Wanted, for_prometheus: bool) -> Vec<(String, u64, Points)> {
        let time_ns = now_ns();
        let (mut found, mut itself, mut machine) = (Vec::new(), Points::default(), None);
        let mut routers = Vec::new();
        let list = lock(&self.list);
        let changes = find_changes(&list);
        for unit in list.iter() {
            match &unit.part {
                Part::Router(status, _) => {
                    routers.push(status.name().to_string());
                    if !wanted.has_target(status.name()) {
                        continue;
                    }
                    let mut points = status.start();
                    if for_prometheus {
                        status.exporter_points(wanted, &mut points);
                    }
                    if wanted.collectors.is_empty() {
                        status.points(&mut points);
                        let watch = changes.as_ref().and_then(|c| c.find(status.name()));
                        watch.iter().for_each(|w| w.points(for_prometheus, &mut points));
                    }
                    found.push((status.name().to_string(), time_ns, points));
                }
                Part::Events(_) => {}
                Part::Syslog(status, _) => status.points(&mut itself),
                Part::Source(status) => {
                    machine = unit.key.machine().map(str::to_string);
                    own_metrics::source_points(status, &mut itself);
                }
                Part::Federation(status) => status.points(&mut itself),
                Part::List(status) => status.points(&mut itself),
                Part::Output { output, kafka, .. } => {
                    own_metrics::output_points(output, &mut itself);
                    if let Some(statistics) = kafka {
                        own_metrics::kafka_points(&lock(statistics), &mut itself);
                    }
                    if let Some(latest) = &output.latest {
                        own_metrics::prometheus_points(latest, &mut itself);
                    }
                }
            }
        }
        drop(list);
        if wanted.is_all() {
            if let Some(status) = &*lock(&self.configuration) {
                configuration::points(status, &mut itself);
            }
            own_metrics::process_points(&mut itself);
            let node = match (&routers[..], machine) {
                ([only], _) => only.clone(),
                (_, Some(machine)) => machine,
                _ => sys::hostname(),
            };
            found.push((node, time_ns, itself));
        }
        found
    }
}

impl Program for Units {
    fn targets(&self) -> Vec<String> {
        let units = lock(&self.list);
        let routers = units.iter().filter_map(|unit| match &unit.part {
            Part::Router(status, _) => Some(status.name()),
            _ => None,
        });
        let machine = units.iter().find_map(|unit| unit.key.machine());
        routers.chain(machine).map(str::to_string).collect()
    }

    fn admit(&self, target: &str) -> Result<String, Refusal> {
        self.visitors.admit(target, Instant::now())
    }

    fn is_admitted(&self, node: &str) -> bool {
        self.visitors.has(node)
    }

    fn own(&self, wanted: &Wanted) -> Vec<(String, u64, Points)> {
        let mut found = self.points(wanted, true);
        let admitted = wanted.target.as_ref().filter(|_| wanted.is_admitted);
        if let Some(status) = admitted.and_then(|name| self.visitors.status(name)) {
            let mut points = status.start();
            status.exporter_points(wanted, &mut points);
            if wanted.collectors.is_empty() {
                status.points(&mut points);
            }
            found.push((status.name().to_string(), now_ns(), points));
        }
        found
    }

    fn knows(&self, collector: &str) -> bool {
        registry::find(collector).is_some()
            || described::loaded().iter().any(|entry| entry.name == collector)
            || dependency::SOURCES.contains(&collector)
    }

    fn events(&self, after: u64) -> (Vec<(String, crate::event::record::Event)>, u64) {
        self.changes().map(|changes| changes.journal.after(after)).unwrap_or_default()
    }

    fn is_ready(&self) -> bool {
        let is_tried = |unit: &Unit| match &unit.part {
            Part::Router(status, _) => status.is_polled(),
            Part::Source(status) => status.state().runs > 0,
            Part::Federation(status) => status.is_tried(),
            Part::List(status) => status.is_tried(),
            Part::Output { .. } | Part::Events(_) | Part::Syslog(..) => true,
        };
        self.is_complete.load(Ordering::Relaxed) && lock(&self.list).iter().all(is_tried)
    }

    fn poll(&self, wanted: &Wanted, age_min: Duration, until: Instant) {
        let (done, all_done) = mpsc::channel();
        let made = Instant::now();
        for unit in lock(&self.list).iter() {
            if let Part::Router(status, asks) = &unit.part
                && wanted.has_target(status.name())
            {
                let (wanted, done) = (wanted.clone(), done.clone());
                // A router that is being stopped takes no more requests.
                let _ = asks.send(Ask { wanted, made, age_min, until, done });
            }
        }
        let admitted = wanted.target.as_ref().filter(|_| wanted.is_admitted);
        let until = match admitted {
            Some(name) => {
                let (wanted, done) = (wanted.clone(), done.clone());
                self.visitors.ask(name, Ask { wanted, made, age_min, until, done })
            }
            None => until,
        };
        drop(done);
        let waited = all_done.recv_timeout(until.saturating_duration_since(made));
        if let (Some(name), Err(RecvTimeoutError::Timeout)) = (admitted, waited)
            && let Some(status) = self.visitors.status(name)
        {
            status.unanswered();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::super::make_output::without_sink;
    use super::*;
    use crate::config::{self, OutputKind, Source};

    /// Settings that differ in each kind of unit; nothing that they name is there.
    const SETTINGS: &[&str] = &[
        "[output.stdout]\n",
        "[[router]]\nname = 'r1'\ncommand = ['false']\n",
        "[[router]]\nname = 'r1'\ncommand = ['false']\ninterval = '20s'\n\
         [[router]]\nname = 'r2'\ncommand = ['false']\n",
        "[output.influxdb]\nurl = 'http://127.0.0.1:1'\nusername = 'a'\npassword_file = 'FILE'\n\
         [[router]]\nname = 'r1'\ncommand = ['false']\n",
        "[output.influxdb]\nurl = 'http://127.0.0.1:2'\n\
         [[router]]\nname = 'r1'\ncommand = ['false']\n",
        "[output.influxdb]\nurl = 'http://127.0.0.1:2'\nbatch_points_max = 7\n\
         [output.file]\npath = 'DIRECTORY/points'\n",
        "[output.prometheus]\nlisten = '127.0.0.1:0'\n\
         [[router]]\nname = 'r1'\ncommand = ['false']\n",
        "[output.prometheus]\nlisten = '127.0.0.2:0'\ngzip = false\n\
         [[router]]\nname = 'r1'\ncommand = ['false']\n",
        "[output.prometheus]\nlisten = '127.0.0.1:0'\nmode = 'scrape'\n\
         [[router]]\nname = 'r1'\ncommand = ['false']\n",
        "[output.stdout]\n[[routers]]\nfile = 'DIRECTORY/none.json'\n\
         [router_defaults]\nusername = 'a'\n",
        "[output.stdout]\n[[routers]]\nfile = 'DIRECTORY/none.json'\nrefresh_interval = '2m'\n\
         [router_defaults]\nusername = 'a'\n",
        "[output.influxdb]\nurl = 'http://127.0.0.1:1'\n\
         [dependency]\n[dependency.sockets]\nproc = 'DIRECTORY'\n",
        "[output.influxdb]\nurl = 'http://127.0.0.1:1'\n\
         [dependency]\nname = 'm'\n[dependency.sockets]\nproc = 'DIRECTORY'\n",
        "[output.influxdb]\nurl = 'http://127.0.0.1:3'\n[federate]\nurl = 'http://127.0.0.1:1'\n",
        "[output.influxdb]\nurl = 'http://127.0.0.1:3'\n[federate]\nurl = 'http://127.0.0.1:2'\n",
        "[output.stdout]\n[[router]]\nname = 'r1'\ncommand = ['false']\n\
         [events.syslog]\nlisten = ['udp://127.0.0.1:0', 'unix://DIRECTORY/log']\n",
    ];
    const DRAIN: Duration = Duration::from_millis(20);

    fn directory(name: &str) -> PathBuf {
        let name = format!("perijove-{name}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        directory
    }

    fn configs(directory: &Path) -> Vec<Config> {
        let password = directory.join("password");
        std::fs::write(&password, "secret").unwrap();
        let text = |settings: &str| {
            let settings = settings.replace("FILE", password.to_str().unwrap());
            let settings = settings.replace("DIRECTORY", directory.to_str().unwrap());
            format!("drain_timeout = '20ms'\nstate_directory = {directory:?}\n{settings}")
        };
        let config = |settings: &&str| {
            let file = directory.join("perijove.toml");
            std::fs::write(&file, text(settings)).unwrap();
            Source::read(&file).and_then(Source::into_config).unwrap()
        };
        SETTINGS.iter().map(config).collect()
    }

    /// What is to be seen of what runs: keys, sinks, and whether the outputs are those that are
    /// pushed to.
    fn state(supervisor: &Supervisor) -> (Vec<(Key, Option<config::Output>)>, bool) {
        let units = lock(&supervisor.units.list);
        let states = units.iter().map(|unit| match &unit.part {
            Part::Output { config, .. } => (unit.key.clone(), Some(config::Output::clone(config))),
            _ => (unit.key.clone(), None),
        });
        let states = states.collect();
        drop(units);
        let (shown, pushed_to) = (supervisor.units.outputs(), supervisor.outputs());
        let same = |(one, other): (&Arc<Output>, &Arc<Output>)| Arc::ptr_eq(one, other);
        let alike = shown.len() == pushed_to.len() && shown.iter().zip(&pushed_to).all(same);
        (states, alike)
    }

    #[test]
    fn every_change_ends_as_a_fresh_start_and_what_is_queued_stays() {
        let directory = directory("units");
        let configs = configs(&directory);
        let start = |config: &Config| {
            let supervisor = Supervisor::new(mpsc::channel().0);
            supervisor.go_over(supervisor.plan(config).unwrap(), DRAIN).unwrap();
            supervisor
        };
        let fresh = configs.iter().map(|config| {
            let supervisor = start(config);
            let state = state(&supervisor);
            supervisor.stop(DRAIN);
            state
        });
        let fresh: Vec<_> = fresh.collect();
        for (index, before) in configs.iter().enumerate() {
            for (other, after) in configs.iter().enumerate() {
                let supervisor = start(before);
                let old = supervisor.outputs();
                if old.iter().all(|output| output.name != "stdout") {
                    supervisor.report(&mut Vec::new());
                }
                supervisor.go_over(supervisor.plan(after).unwrap(), DRAIN).unwrap();
                assert_eq!(state(&supervisor), fresh[other], "from {index} to {other}");
                assert!(fresh[other].1);
                for output in supervisor.outputs() {
                    let has_stayed = old.iter().any(|old| Arc::ptr_eq(old, &output));
                    let key = |config: &Config| {
                        let mut outputs = config.outputs.iter();
                        outputs.find(|config| config.name() == output.name).map(without_sink)
                    };
                    assert_eq!(has_stayed, key(before) == key(after), "from {index} to {other}");
                    // Nobody takes these.
                    if has_stayed && output.name == "influxdb" {
                        let level = output.queue.level();
                        assert!(level.points > 0, "from {index} to {other}");
                        assert_eq!((level.points, level.dropped), (level.pushed, 0));
                    }
                }
                supervisor.stop(DRAIN);
            }
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn settings_that_cannot_start_leave_what_runs() {
        let directory = directory("taken");
        let configs = configs(&directory);
        let supervisor = Supervisor::new(mpsc::channel().0);
        supervisor.go_over(supervisor.plan(&configs[1]).unwrap(), DRAIN).unwrap();
        let before = state(&supervisor);
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = configs[6].clone();
        for output in &mut config.outputs {
            if let OutputKind::Prometheus(settings) = &mut output.kind {
                settings.listen = taken.local_addr().unwrap().to_string();
            }
        }
        assert!(supervisor.plan(&config).err().unwrap().contains("cannot listen"));
        assert_eq!(state(&supervisor), before);
        supervisor.stop(DRAIN);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
