//! Whose lines are taken: those of the configured routers, by the addresses that they send from.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::base::aside;
use crate::base::sync::lock;
use crate::point::Tags;

/// A router that sends lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    pub name: String,
    /// Every point of the router has them.
    pub tags: Tags,
    /// Where it is polled: a name or an address; `None` for the one that perijove runs on.
    pub host: Option<String>,
}

/// The routers of the settings and of their lists, as the daemon has them; copies share them.
#[derive(Clone, Default)]
pub struct Routers(Arc<Mutex<(u64, Arc<[Router]>)>>);

impl Routers {
    pub fn set(&self, routers: Vec<Router>) {
        let mut own = lock(&self.0);
        if *own.1 != routers {
            *own = (own.0 + 1, routers.into());
        }
    }

    /// The routers, and how often they have changed.
    fn get(&self) -> (u64, Arc<[Router]>) {
        lock(&self.0).clone()
    }
}

/// Names are looked up again at most so often, when someone unknown sends lines.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(60);
/// All of them must be known within this time; those that are not keep the addresses that they had.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(30);

/// The routers by their addresses.
pub struct Sources {
    routers: Routers,
    /// More addresses, by the routers' names.
    more: BTreeMap<String, Vec<IpAddr>>,
    /// How often the routers had changed when they were looked at, and look-ups of names had ended.
    seen: Option<(u64, u64)>,
    by_address: HashMap<IpAddr, Vec<Arc<Router>>>,
    /// The one that perijove runs on.
    local: Option<Arc<Router>>,
    names: Names,
}

/// The addresses of names, which a thread looks up.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Looked>>);

#[derive(Default)]
struct Looked {
    addresses: HashMap<String, Vec<IpAddr>>,
    /// Counts the ends of look-ups.
    ends: u64,
    is_looking: bool,
    last: Option<Instant>,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    Address(IpAddr),
    /// A program of this machine, over a socket of its file system.
    Here,
}

impl Sources {
    pub fn new(routers: Routers, more: BTreeMap<String, Vec<IpAddr>>) -> Sources {
        let (by_address, local, names) = Default::default();
        Sources { routers, more, seen: None, by_address, local, names }
    }

    /// Takes the routers as they are now. True if they were not those of the last time.
    pub fn refresh(&mut self) -> bool {
        let (changes, routers) = self.routers.get();
        let looked = lock(&self.names.0);
        let now = (changes, looked.ends);
        if self.seen == Some(now) {
            return false;
        }
        let is_new = self.seen.is_none_or(|(seen, _)| seen != changes);
        self.seen = Some(now);
        self.by_address.clear();
        self.local = None;
        let mut unknown = Vec::new();
        for router in routers.iter() {
            let router = Arc::new(router.clone());
            let mut own: Vec<IpAddr> = self.more.get(&router.name).cloned().unwrap_or_default();
            match router.host.as_deref().map(|host| (host, host.parse::<IpAddr>())) {
                Some((_, Ok(address))) => own.push(address),
                Some((host, Err(_))) => {
                    own.extend(looked.addresses.get(host).into_iter().flatten());
                    unknown.push(host.to_string());
                }
                None => _ = self.local.get_or_insert_with(|| router.clone()),
            }
            for address in own {
                let routers = self.by_address.entry(address.to_canonical()).or_default();
                if !routers.iter().any(|other| other.name == router.name) {
                    routers.push(router.clone());
                }
            }
        }
        drop(looked);
        if is_new {
            self.names.look_up(unknown);
        }
        true
    }

    /// Whether someone may send lines. If not, names are looked up again, at most so often.
    pub fn knows(&self, from: From) -> bool {
        let is_known = match from {
            From::Here => self.local.is_some(),
            From::Address(address) => {
                let address = address.to_canonical();
                self.by_address.contains_key(&address)
                    || address.is_loopback() && self.local.is_some()
            }
        };
        if !is_known {
            self.look_up_again();
        }
        is_known
    }

    /// The router whose line it is; of several behind one address, such as a relay's, the one whose
    /// name the line has.
    pub fn find(&self, from: From, host: &str) -> Option<&Arc<Router>> {
        let From::Address(address) = from else { return self.local.as_ref() };
        let address = address.to_canonical();
        match self.by_address.get(&address).map(Vec::as_slice) {
            None if address.is_loopback() => self.local.as_ref(),
            None => None,
            Some([only]) => Some(only),
            Some(several) => several.iter().find(|router| is_name(host, &router.name)),
        }
    }

    fn look_up_again(&self) {
        let last = lock(&self.names.0).last;
        if last.is_none_or(|last| last.elapsed() < LOOK_UP_AGAIN) {
            return;
        }
        let (_, routers) = self.routers.get();
        let hosts = routers.iter().filter_map(|router| router.host.clone());
        self.names.look_up(hosts.filter(|host| host.parse::<IpAddr>().is_err()).collect());
    }
}

impl Names {
    fn look_up(&self, hosts: Vec<String>) {
        let mut looked = lock(&self.0);
        if hosts.is_empty() || std::mem::replace(&mut looked.is_looking, true) {
            return;
        }
        looked.last = Some(Instant::now());
        drop(looked);
        let (names, within) = (self.clone(), Instant::now() + LOOK_UP_WITHIN);
        let look = move || {
            for host in hosts {
                let name = host.clone();
                let found =
                    aside::call(within, move || Ok((&*name, 0).to_socket_addrs()?.collect()));
                let found: Vec<std::net::SocketAddr> = match found {
                    Ok(found) => found,
                    Err(err) => {
                        log::debug!("syslog: no address of {host}: {err}");
                        continue;
                    }
                };
                let addresses = found.into_iter().map(|found| found.ip()).collect();
                lock(&names.0).addresses.insert(host, addresses);
            }
            let mut looked = lock(&names.0);
            (looked.ends, looked.is_looking) = (looked.ends + 1, false);
        };
        let thread = std::thread::Builder::new().name("syslog names".into());
        if let Err(err) = thread.spawn(look) {
            log::warn!("syslog: cannot look up the routers' names: {err}");
            lock(&self.0).is_looking = false;
        }
    }
}

/// Whether a line's host is that router: without domains, and without the Routing Engine that Junos
/// puts before or behind it.
fn is_name(host: &str, name: &str) -> bool {
    let bare = |text: &str| {
        let text = ["re0.", "re1."].iter().find_map(|re| text.strip_prefix(re)).unwrap_or(text);
        let first = text.split('.').next().unwrap_or_default();
        let first = ["-re0", "-re1"].iter().find_map(|re| first.strip_suffix(re)).unwrap_or(first);
        first.to_ascii_lowercase()
    };
    host == name || !host.is_empty() && bare(host) == bare(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(name: &str, host: Option<&str>) -> Router {
        Router { name: name.into(), tags: Tags::default(), host: host.map(str::to_string) }
    }

    fn from(address: &str) -> From {
        From::Address(address.parse().unwrap())
    }

    #[test]
    fn lines_belong_to_who_sends_them() {
        let routers = Routers::default();
        let more = BTreeMap::from([
            ("mx1".to_string(), vec!["192.0.2.9".parse().unwrap(), "10.9.9.9".parse().unwrap()]),
            ("mx2.example.net".to_string(), vec!["10.9.9.9".parse().unwrap()]),
        ]);
        let mut sources = Sources::new(routers.clone(), more);
        assert!(sources.refresh());
        assert!(!sources.knows(from("192.0.2.1")));
        routers.set(vec![
            router("mx1", Some("192.0.2.1")),
            router("mx2.example.net", Some("2001:db8::2")),
        ]);
        assert!(sources.refresh() && !sources.refresh());
        for (address, host, name) in [
            ("192.0.2.1", "whatever", Some("mx1")),
            ("::ffff:192.0.2.1", "", Some("mx1")),
            ("192.0.2.9", "", Some("mx1")),
            ("2001:db8::2", "mx1", Some("mx2.example.net")),
            // A relay's lines say whose they are.
            ("10.9.9.9", "mx1", Some("mx1")),
            ("10.9.9.9", "re0.MX2", Some("mx2.example.net")),
            ("10.9.9.9", "mx2-re1.other.net", Some("mx2.example.net")),
            ("10.9.9.9", "mx3", None),
            ("10.9.9.9", "", None),
            ("192.0.2.7", "mx1", None),
            ("127.0.0.1", "mx1", None),
        ] {
            let found = sources.find(from(address), host).map(|router| &*router.name);
            assert_eq!(found, name, "{address} {host}");
        }
        assert!(!sources.knows(From::Here) && !sources.knows(from("127.0.0.1")));
        routers.set(vec![router("own", None), router("mx1", Some("192.0.2.1"))]);
        sources.refresh();
        for here in [From::Here, from("127.0.0.1"), from("::1")] {
            assert!(sources.knows(here));
            assert_eq!(sources.find(here, "x").map(|router| &*router.name), Some("own"));
        }
    }

    #[test]
    fn names_are_looked_up_aside() {
        let routers = Routers::default();
        let names = [router("mx1", Some("localhost")), router("mx2", Some("none.invalid"))];
        routers.set(names.to_vec());
        let mut sources = Sources::new(routers, BTreeMap::new());
        sources.refresh();
        let until = Instant::now() + LOOK_UP_WITHIN;
        while !sources.refresh() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        let local: Vec<IpAddr> =
            ("localhost", 0).to_socket_addrs().unwrap().map(|found| found.ip()).collect();
        let known = |address: &IpAddr| sources.find(From::Address(*address), "").is_some();
        assert!(!local.is_empty() && local.iter().all(known));
    }
}
