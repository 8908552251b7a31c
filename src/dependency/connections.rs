//! What a router talks to, in the words of planet-exporter, out of its Routing Engine's sockets.
//!
//! Junos has no RPC for them: the command's text is netstat's. Which process has a socket is not
//! in it; the list of processes and a table of who serves which port have to do.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use serde::Deserialize;

use crate::base::inventory::Shared;
use crate::base::prefix::Prefix;
use crate::collector::settings::settings;
use crate::collector::{Collector, Item, Query, Rpc, item};
use crate::dependency::map::{self, EPHEMERAL, Own, Rules};
use crate::dependency::{self, Socket, State, netstat};
use crate::point::{Points, Schema};
use crate::xml::items::Scope;

settings! {
    pub struct ConnectionsSettings {
        /// Names by port, of those that serve it, besides the names that are known.
        daemons: Daemons,
        /// Addresses within the router, whose connections are left out.
        internal: Option<Vec<Prefix>>,
        /// Whether UDP counts.
        udp: Option<bool>,
    }
}

/// Who serves a port, by its number.
#[derive(Clone, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Daemons(BTreeMap<u16, String>);

impl TryFrom<BTreeMap<String, String>> for Daemons {
    type Error = String;
    fn try_from(written: BTreeMap<String, String>) -> Result<Daemons, String> {
        let port = |(port, name): (String, String)| match port.parse() {
            Ok(port) => Ok((port, name)),
            Err(_) => Err(format!("`{port}` is not a port")),
        };
        written.into_iter().map(port).collect::<Result<_, _>>().map(Daemons)
    }
}

pub struct Connections {
    udp: bool,
    internal: Vec<Prefix>,
    daemons: Daemons,
    inventory: Shared,
    /// Which of `DAEMONS` run on each Routing Engine.
    running: BTreeMap<String, BTreeSet<&'static str>>,
}

/// Between Routing Engines and line cards, and within itself.
const INTERNAL: &[&str] = &["128.0.0.0/16", "127.0.0.0/8", "::1"];
const ROWS_MAX: usize = 10_000;
/// So many sockets of a Routing Engine are looked at.
const SOCKETS_MAX: usize = 20_000;

/// Who serves a port, or asks one elsewhere: the first of them that runs.
const DAEMONS: &[(u16, &[&str])] = &[
    (22, &["sshd"]),
    (23, &["telnetd", "inetd"]),
    (49, &["authd", "sshd"]),
    (80, &["httpd"]),
    (123, &["xntpd", "ntpd"]),
    (161, &["snmpd"]),
    (179, &["rpd"]),
    (443, &["httpd"]),
    (514, &["eventd"]),
    (520, &["rpd"]),
    (639, &["rpd"]),
    (646, &["rpd"]),
    (830, &["sshd"]),
    (1812, &["authd"]),
    (1813, &["authd"]),
    (3000, &["lighttpd", "httpd"]),
    (3443, &["lighttpd", "httpd"]),
    (3784, &["bfdd", "ppmd"]),
    (3785, &["bfdd", "ppmd"]),
    (4784, &["bfdd", "ppmd"]),
    (6514, &["eventd"]),
    (9339, &["na-grpcd", "jsd"]),
    (32767, &["jsd", "na-grpcd"]),
    (32768, &["jsd", "na-grpcd"]),
    (57400, &["na-grpcd", "jsd"]),
];

impl Collector for Connections {
    const NAME: &'static str = "connections";
    const HELP: &'static str = "What a router talks to, as planet-exporter names dependencies.";
    const QUERIES: &'static [Query<Connections>] = &[
        Query {
            rpc: Rpc::Once("<get-system-process-information/>"),
            command: "show system processes",
            roots: &["system-process-information", "output"],
            items: &[item::<_, Process>("process"), item::<_, ProcessText>("output")],
        },
        Query {
            // Never with `extensive`, which leaks memory on some releases.
            rpc: Rpc::Once("<command format=\"text\">show system connections</command>"),
            command: "show system connections",
            roots: &["output"],
            items: &[item::<_, Text>("output")],
        },
    ];
    const MEASUREMENTS: &'static [&'static dyn Schema] = map::MEASUREMENTS;
}

impl Connections {
    pub fn new(settings: ConnectionsSettings, inventory: &Shared) -> Connections {
        let internal = || INTERNAL.iter().filter_map(|prefix| prefix.parse().ok()).collect();
        Connections {
            udp: settings.udp.unwrap_or(true),
            internal: settings.internal.unwrap_or_else(internal),
            daemons: settings.daemons,
            inventory: inventory.clone(),
            running: BTreeMap::new(),
        }
    }

    fn runs(&mut self, scope: &Scope, command: &str) {
        let words = command.split_ascii_whitespace().next().unwrap_or_default();
        let name = words.rsplit('/').next().unwrap_or_default().trim_matches(['(', ')', ':']);
        let running = self.running.entry(scope.re_name().to_string()).or_default();
        let mut daemons = DAEMONS.iter().flat_map(|(_, names)| names.iter().copied());
        running.extend(daemons.find(|daemon| *daemon == name));
    }

    /// Who has the socket, by its port here, or by the one there if it made the connection.
    fn daemon(
        &self,
        socket: &Socket,
        running: Option<&BTreeSet<&'static str>>,
    ) -> Option<Arc<dependency::Process>> {
        let runs = |name: &str| running.is_none_or(|running| running.contains(name));
        let of = |port: u16| {
            if let Some(name) = self.daemons.0.get(&port) {
                return Some(name.as_str());
            }
            let (_, names) = DAEMONS.iter().find(|(known, _)| *known == port)?;
            names.iter().copied().find(|name| runs(name))
        };
        let remote = (socket.state != State::Listening).then_some(socket.remote.port);
        of(socket.local.port).or_else(|| of(remote?)).map(dependency::Process::named)
    }
}

#[derive(Deserialize)]
struct Process {
    #[serde(default)]
    command: String,
}

impl Item<Connections> for Process {
    fn points(self, connections: &mut Connections, scope: &Scope, _: &mut Points) {
        connections.runs(scope, &self.command);
    }
}

/// What ps prints on older releases: number, terminal, state, time, command.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct ProcessText(String);

impl ProcessText {
    fn commands(&self) -> impl Iterator<Item = &str> {
        self.0.lines().filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let is_row = words.next().is_some_and(|number| number.parse::<u32>().is_ok());
            words.nth(3).filter(|_| is_row)
        })
    }
}

impl TryFrom<String> for ProcessText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<ProcessText, Self::Error> {
        let text = ProcessText(text);
        if text.commands().next().is_none() { Err("no table of processes") } else { Ok(text) }
    }
}

impl Item<Connections> for ProcessText {
    fn points(self, connections: &mut Connections, scope: &Scope, _: &mut Points) {
        for command in self.commands() {
            connections.runs(scope, command);
        }
    }
}

/// What netstat prints.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Text(String);

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Text, Self::Error> {
        let is_row = |line: &str| line.contains("tcp") || line.contains("udp");
        let is_heading = |line: &str| line.contains("Local Address");
        let is_table = text.lines().any(|line| is_heading(line) || is_row(line));
        if is_table { Ok(Text(text)) } else { Err("no table of connections") }
    }
}

impl Item<Connections> for Text {
    fn points(self, connections: &mut Connections, scope: &Scope, points: &mut Points) {
        let mut table = netstat::read(&self.0, SOCKETS_MAX);
        let running = connections.running.get(scope.re_name());
        for socket in &mut table.sockets {
            socket.process = connections.daemon(socket, running);
        }
        let inventory = connections.inventory.get();
        let rules = Rules {
            inventory: &inventory,
            own: &Own::default(),
            udp: connections.udp,
            loopback: false,
            ignore: &connections.internal,
            ephemeral: EPHEMERAL,
            unsettled: &HashSet::new(),
            rows_max: ROWS_MAX,
        };
        let found = map::map(&table.sockets, &rules);
        points.leave_out(table.rejected, || table.first_rejected.unwrap_or_default());
        points.leave_out(found.dropped, || format!("a row beyond {ROWS_MAX}"));
        found.points(&inventory, points, &mut |_| ());
    }
}
