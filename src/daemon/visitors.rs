//! The routers that scrapes have named and the settings allow (`poll::on_demand`): a thread and a
//! session each, from the first scrape until none has come for a while.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::events;
use crate::base::inventory::Shared;
use crate::base::panics;
use crate::base::sandbox::Confine;
use crate::base::sync::lock;
use crate::output::Outputs;
use crate::poll::on_demand::Template;
use crate::poll::status::RouterStatus;
use crate::poll::{Ask, RouterPoller};
use crate::serve::Refusal;

pub struct Visitors {
    templates: Mutex<Vec<Template>>,
    list: Mutex<BTreeMap<String, Visitor>>,
    outputs: Outputs,
    inventory: Shared,
}

struct Visitor {
    status: Arc<RouterStatus>,
    /// Dropping it ends the thread.
    asks: Sender<Ask>,
    used: Instant,
    /// The place of its template.
    template: usize,
    idle_timeout: Duration,
    scrape_timeout: Option<Duration>,
}

impl Visitors {
    pub fn new(outputs: &Outputs, inventory: &Shared) -> Visitors {
        let (templates, list) = Default::default();
        Visitors { templates, list, outputs: outputs.clone(), inventory: inventory.clone() }
    }

    /// From now on these are allowed. If they are others than before, all visitors end.
    pub fn allow(&self, templates: &[Template]) {
        let mut allowed = lock(&self.templates);
        if *allowed != templates {
            *allowed = templates.to_vec();
            lock(&self.list).clear();
        }
    }

    /// The name of the router that a scrape names, which is started if it is new.
    pub fn admit(&self, target: &str, now: Instant) -> Result<String, Refusal> {
        let templates = lock(&self.templates);
        let mut found = templates.iter().enumerate();
        let found = found.find_map(|(at, template)| Some((at, template, template.router(target)?)));
        let (at, template, router) = found.ok_or(Refusal::Unknown)?;
        self.forget(now);
        let mut list = lock(&self.list);
        if let Some(visitor) = list.get_mut(&router.name) {
            visitor.used = now;
            return Ok(router.name);
        }
        let known = list.values().filter(|visitor| visitor.template == at).count();
        if known >= template.targets_max {
            return Err(Refusal::TooMany);
        }
        let (asks, asked) = mpsc::channel::<Ask>();
        let name = router.name.clone();
        let status = Arc::new(RouterStatus::new(&router));
        let (theirs, inventory) = (status.clone(), self.inventory.clone());
        let outputs = self.outputs.clone();
        let run = move || {
            let poll = || {
                let poller = RouterPoller::new(&router, theirs.clone(), &inventory);
                poller.run_when_asked(&outputs, &asked);
            };
            let ends = mpsc::RecvTimeoutError::Disconnected;
            panics::keep_running(poll, |time| asked.recv_timeout(time).err() == Some(ends));
        };
        events::spawn("router", Confine::Files, run).map_err(|why| {
            log::error!("{name}: {why}");
            Refusal::TooMany
        })?;
        let (idle_timeout, scrape_timeout) = (template.idle_timeout, template.scrape_timeout);
        let visitor =
            Visitor { status, asks, used: now, template: at, idle_timeout, scrape_timeout };
        list.insert(name.clone(), visitor);
        Ok(name)
    }

    /// Ends those that no scrape has named for a while.
    pub fn forget(&self, now: Instant) {
        lock(&self.list).retain(|_, visitor| {
            now.saturating_duration_since(visitor.used) < visitor.idle_timeout
        });
    }

    pub fn has(&self, name: &str) -> bool {
        lock(&self.list).contains_key(name)
    }

    pub fn status(&self, name: &str) -> Option<Arc<RouterStatus>> {
        lock(&self.list).get(name).map(|visitor| visitor.status.clone())
    }

    /// Asks the router, and says until when its answer is waited for.
    pub fn ask(&self, name: &str, mut ask: Ask) -> Instant {
        if let Some(visitor) = lock(&self.list).get(name) {
            let longest = visitor.scrape_timeout.map(|time| ask.made + time);
            ask.until = longest.map_or(ask.until, |longest| longest.min(ask.until));
            let until = ask.until;
            let _ = visitor.asks.send(ask);
            return until;
        }
        ask.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn visitors() -> Visitors {
        let router = "[[router]]\nusername = 'u'\npassword_env = 'HOME'\n";
        let text = format!(
            "{router}allow = ['r*']\ntargets_max = 20\nidle_timeout = '10m'\n\
             {router}allow = ['r*', 't*']\n[output.prometheus]\n"
        );
        let config = Source::parse(None, text).into_config().unwrap();
        let visitors = Visitors::new(&Outputs::default(), &Shared::default());
        assert_eq!(visitors.admit("r1", Instant::now()), Err(Refusal::Unknown));
        visitors.allow(&config.on_demand);
        visitors
    }

    #[test]
    fn who_is_not_asked_for_is_forgotten_and_there_is_a_limit() {
        let (visitors, now) = (visitors(), Instant::now());
        assert_eq!(visitors.admit("R1", now), Ok("r1".into()));
        assert_eq!(visitors.admit("s1", now), Err(Refusal::Unknown));
        for number in 2..=20 {
            assert!(visitors.admit(&format!("r{number}"), now).is_ok());
        }
        assert_eq!(visitors.admit("r0", now), Err(Refusal::TooMany));
        // Others have limits of their own.
        assert_eq!(visitors.admit("t1", now), Ok("t1".into()));
        let later = now + Duration::from_secs(300);
        assert!(visitors.admit("r1", later).is_ok());
        // All but the one that was asked for again have gone, and there is room.
        let late = now + Duration::from_secs(600);
        assert_eq!(visitors.admit("r0", late), Ok("r0".into()));
        assert!(visitors.has("r1") && visitors.has("r0") && !visitors.has("r2"));
        assert!(visitors.has("t1"));
        visitors.forget(now + Duration::from_secs(900));
        assert!(visitors.has("r0") && !visitors.has("t1"));
        visitors.allow(&[]);
        assert!(!visitors.has("r0") && visitors.admit("r1", late) == Err(Refusal::Unknown));
    }
}
