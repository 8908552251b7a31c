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

/// More are not known at a time.
const VISITORS_MAX: usize = 1000;
/// After this time without a scrape, a session is closed and the router is forgotten.
const IDLE: Duration = Duration::from_secs(15 * 60);

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
        let found = lock(&self.templates).iter().find_map(|template| template.router(target));
        let router = found.ok_or(Refusal::Unknown)?;
        self.forget(now);
        let mut list = lock(&self.list);
        if let Some(visitor) = list.get_mut(&router.name) {
            visitor.used = now;
            return Ok(router.name);
        }
        if list.len() >= VISITORS_MAX {
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
        list.insert(name.clone(), Visitor { status, asks, used: now });
        Ok(name)
    }

    /// Ends those that no scrape has named for a while.
    pub fn forget(&self, now: Instant) {
        lock(&self.list).retain(|_, visitor| now.saturating_duration_since(visitor.used) < IDLE);
    }

    pub fn has(&self, name: &str) -> bool {
        lock(&self.list).contains_key(name)
    }

    pub fn status(&self, name: &str) -> Option<Arc<RouterStatus>> {
        lock(&self.list).get(name).map(|visitor| visitor.status.clone())
    }

    pub fn ask(&self, name: &str, ask: Ask) {
        if let Some(visitor) = lock(&self.list).get(name) {
            let _ = visitor.asks.send(ask);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    fn visitors() -> Visitors {
        let text = "[[router]]\nallow = ['r*']\nusername = 'u'\npassword_env = 'HOME'\n\
                    [output.prometheus]\n";
        let config = Source::parse(None, text.into()).into_config().unwrap();
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
        for number in 2..=VISITORS_MAX {
            assert!(visitors.admit(&format!("r{number}"), now).is_ok());
        }
        assert_eq!(visitors.admit("r0", now), Err(Refusal::TooMany));
        let later = now + IDLE / 2;
        assert!(visitors.admit("r1", later).is_ok());
        // All but the one that was asked for again have gone, and there is room.
        let late = now + IDLE;
        assert_eq!(visitors.admit("r0", late), Ok("r0".into()));
        assert!(visitors.has("r1") && visitors.has("r0") && !visitors.has("r2"));
        visitors.allow(&[]);
        assert!(!visitors.has("r1") && visitors.admit("r1", late) == Err(Refusal::Unknown));
    }
}
