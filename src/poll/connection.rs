//! The session with a router: how it is opened, kept alive, given up and opened again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::router::{Link, Router};
use super::status::RouterStatus;
use crate::base::clock::Backoff;
use crate::netconf::{self, Session, local, openssh, ssh};

const RECONNECT: Backoff =
    Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(60) };

/// Opens a session with the router, by the second way if there is none by the first; the number of
/// the way.
pub fn connect(router: &Router) -> Result<(Session, u64), netconf::Error> {
    let first = match (open(router, &router.link), &router.second) {
        (Ok(session), _) => return Ok((session, 1)),
        (Err(why), None) => return Err(why),
        (Err(why), Some(_)) => why,
    };
    let link = router.second.as_ref().unwrap_or(&router.link);
    let second = open(router, link).map(|session| (session, 2));
    second.map_err(|second| netconf::Error(format!("{first}; and by its second target: {second}")))
}

fn open(router: &Router, link: &Link) -> Result<Session, netconf::Error> {
    let (transport, timeout) = match link {
        Link::Local { command, connect_timeout } => {
            (local::start_command(command, &router.name)?, *connect_timeout)
        }
        Link::Openssh(settings) => {
            (openssh::connect(settings, &router.name)?, settings.connect_timeout)
        }
        Link::Ssh(settings) => (ssh::connect(settings)?, settings.connect_timeout),
    };
    Session::open(transport, &router.limits, timeout)
}

/// The session, if there is one.
pub struct Connection {
    session: Option<Session>,
    /// After failures: not before then, and how many there were.
    reconnect: Option<(Instant, u32)>,
    last_error: String,
    status: Arc<RouterStatus>,
    /// The router, for the log.
    name: String,
}

impl Connection {
    pub fn new(name: &str, status: &Arc<RouterStatus>) -> Connection {
        Connection {
            session: None,
            reconnect: None,
            last_error: String::new(),
            status: status.clone(),
            name: name.into(),
        }
    }

    pub fn is_open(&self) -> bool {
        self.session.is_some()
    }

    /// The session, opened if there is none, unless the last failures are too recent.
    pub fn session(&mut self, router: &Router) -> Result<&mut Session, String> {
        let session = match self.session.take() {
            Some(session) => session,
            None => self.open(router)?,
        };
        Ok(self.session.insert(session))
    }

    fn open(&mut self, router: &Router) -> Result<Session, String> {
        let now = Instant::now();
        let failures = match self.reconnect {
            Some((not_before, _)) if now < not_before => return Err(self.last_error.clone()),
            Some((_, failures)) => failures,
            None => 0,
        };
        let name = &self.name;
        match connect(router) {
            Ok((session, number)) => {
                if !self.status.connected(number) {
                    return Err("perijove ends".into());
                }
                let with = if number == 2 { " with its second target" } else { "" };
                log::info!("{name}: session {} is open{with}", session.session_id);
                self.reconnect = None;
                self.last_error.clear();
                Ok(session)
            }
            Err(err) => {
                if err.0 != self.last_error {
                    log::warn!("{name}: {err}");
                }
                self.last_error = err.0;
                self.reconnect = Some((Instant::now() + RECONNECT.wait(failures), failures + 1));
                Err(self.last_error.clone())
            }
        }
    }

    /// Keeps the session alive; how long until that is wanted again.
    pub fn idle(&mut self) -> Option<Duration> {
        let alive = self.session.as_mut()?.idle();
        alive.unwrap_or_else(|err| {
            self.lose(&format!("the idle session was lost: {err}"));
            None
        })
    }

    /// Gives up the session, if there is one; the next RPC opens another.
    pub fn lose(&mut self, why: &str) {
        if self.session.take().is_some() {
            log::warn!("{}: the session is lost: {why}", self.name);
            self.status.disconnected();
        }
    }

    /// Ends the session.
    pub fn close(&mut self) {
        if let Some(session) = self.session.take() {
            session.close();
        }
    }
}
