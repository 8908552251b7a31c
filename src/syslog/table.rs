//! The messages of Junos that are events: one table.
//!
//! A message's text is Juniper's, with the names of the structured data in the gaps: so one line
//! reads both forms. Each says what it is taken from: Juniper's reference, or a line that a router
//! has logged and somebody has published.

use std::borrow::Cow;

use super::line::Line;
use super::pattern::{self, Found};
use crate::base::changes::Severity;

/// A message.
pub struct Message {
    /// `RPD_ISIS_ADJUP`; where Junos has none, the process that says it.
    pub tag: &'static str,
    pub text: &'static str,
    pub kind: &'static str,
    /// Gaps, of which the first word counts, or all if they begin with `*`.
    pub subject: &'static [&'static str],
    pub to: To,
    pub severity: Severity,
    pub user: &'static str,
    pub comment: &'static str,
    pub source: &'static str,
}

/// What a message says of its subject.
#[derive(Clone, Copy)]
pub enum To {
    /// The state that it had and that it has now, as the collector's field has it, and its number.
    State(&'static str, &'static str, u64),
    /// The states before and now are in the gaps `old-state` and `new-state`. It is an event if one
    /// of them is good and the other is not.
    Changed(&'static [Known]),
    /// It happened.
    Happened(&'static str),
    /// It may follow: who asked for it.
    Requested,
}

/// A state that a message names.
pub struct Known {
    /// Empty for any other.
    pub name: &'static str,
    /// As the collector's field has it.
    pub word: &'static str,
    pub number: u64,
    pub is_good: bool,
}

const fn state(name: &'static str, word: &'static str, number: u64) -> Known {
    Known { name, word, number, is_good: false }
}

const fn good(name: &'static str, word: &'static str, number: u64) -> Known {
    Known { name, word, number, is_good: true }
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub struct Said<'a> {
    pub kind: &'static str,
    pub subject: String,
    pub from: &'static str,
    pub to: &'static str,
    pub is: Is,
    pub severity: Severity,
    pub user: Cow<'a, str>,
    pub comment: Cow<'a, str>,
}

/// How a message meets what polls have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Is {
    /// The number that the collector's field has from then on.
    State(u64),
    Happened,
    Requested,
}

/// No collector tells these: each message is an event.
const ONLY_HERE: &[&str] = &["ospf3-neighbor-address", "ldp-neighbor"];

const DOWN: To = To::State("up", "down", 0);
const IS_UP: To = To::State("down", "up", 1);
const BGP: &[Known] = &[good("Established", "up", 1), state("", "down", 0)];
/// RFC 2328 section 10.1.
const OSPF: &[Known] = &[
    state("Down", "Down", 0),
    state("Attempt", "Attempt", 1),
    state("Init", "Init", 2),
    good("2Way", "2Way", 3),
    state("ExStart", "ExStart", 4),
    state("Exchange", "Exchange", 5),
    state("Loading", "Loading", 6),
    good("Full", "Full", 7),
];
const LACP: &[Known] = &[
    state("DETACHED", "Detached", 1),
    state("WAITING", "Waiting", 2),
    state("ATTACHED", "Attached", 3),
    state("COLLECTING", "Collecting", 4),
    good("DISTRIBUTING", "Distributing", 5),
    good("COLLECTING_DISTRIBUTING", "Collecting distributing", 6),
];

const REFERENCE: &str = "Junos OS System Log Messages Reference";
const LOGGED: &str = "published lines of routers";
const UNCONFIRMED: &str = "not confirmed: a device has to show it";

const fn message(
    tag: &'static str,
    text: &'static str,
    kind: &'static str,
    subject: &'static [&'static str],
    to: To,
    severity: Severity,
) -> Message {
    Message { tag, text, kind, subject, to, severity, user: "", comment: "", source: LOGGED }
}

const fn reference(message: Message) -> Message {
    Message { source: REFERENCE, ..message }
}

const fn unconfirmed(message: Message) -> Message {
    Message { source: UNCONFIRMED, ..message }
}

use Severity::{Error, Info, Warning};

/// By tag; of those with one tag, the first that fits counts.
pub const MESSAGES: &[Message] = &[
    reference(message(
        "SNMP_TRAP_LINK_DOWN",
        LINK,
        "interface-state",
        &["interface-name"],
        DOWN,
        Warning,
    )),
    reference(message(
        "SNMP_TRAP_LINK_UP",
        LINK,
        "interface-state",
        &["interface-name"],
        IS_UP,
        Info,
    )),
    message(
        "RPD_BGP_NEIGHBOR_STATE_CHANGED",
        "BGP peer {peer-name} changed state from {old-state} to {new-state} (event {event-name}) \
         (instance {instance})",
        "bgp-session",
        &["peer-name", "instance"],
        To::Changed(BGP),
        Warning,
    ),
    // Releases that name no instance.
    message(
        "RPD_BGP_NEIGHBOR_STATE_CHANGED",
        "BGP peer {peer-name} changed state from {old-state} to {new-state} (event {event-name}){}",
        "bgp-session",
        &["peer-name"],
        To::Changed(BGP),
        Warning,
    ),
    ospf("RPD_OSPF_NBRUP", OSPF_2, "ospf-neighbor"),
    ospf("RPD_OSPF_NBRDOWN", OSPF_2, "ospf-neighbor"),
    // The collector has the neighbour's identifier in place of its address.
    ospf("RPD_OSPF_NBRUP", OSPF_3, "ospf3-neighbor-address"),
    ospf("RPD_OSPF_NBRDOWN", OSPF_3, "ospf3-neighbor-address"),
    message(
        "RPD_ISIS_ADJUP",
        "IS-IS new {level} adjacency to {neighbor} on {interface-name}",
        "isis-adjacency",
        ISIS_SUBJECT,
        To::State("Down", "Up", 1),
        Info,
    ),
    message(
        "RPD_ISIS_ADJDOWN",
        "IS-IS lost {level} adjacency to {neighbor} on {interface-name}, reason: {reason}",
        "isis-adjacency",
        ISIS_SUBJECT,
        To::State("Up", "Down", 0),
        Warning,
    ),
    reference(message(
        "RPD_LDP_SESSIONUP",
        "LDP session {neighbor-address} is up",
        "ldp-session",
        &["neighbor-address"],
        IS_UP,
        Info,
    )),
    reference(message(
        "RPD_LDP_SESSIONDOWN",
        "LDP session {neighbor-address} is down, reason: {reason}",
        "ldp-session",
        &["neighbor-address"],
        DOWN,
        Warning,
    )),
    message(
        "RPD_LDP_NBRUP",
        "LDP neighbor {neighbor-address} ({interface-name}) is up",
        "ldp-neighbor",
        &["neighbor-address", "interface-name"],
        IS_UP,
        Info,
    ),
    message(
        "RPD_LDP_NBRDOWN",
        "LDP neighbor {neighbor-address} ({interface-name}) is down{}",
        "ldp-neighbor",
        &["neighbor-address", "interface-name"],
        DOWN,
        Warning,
    ),
    message("BFDD_TRAP_SHOP_STATE_UP", BFD, "bfd-session", BFD_SUBJECT, IS_UP, Info),
    message("BFDD_TRAP_SHOP_STATE_DOWN", BFD, "bfd-session", BFD_SUBJECT, DOWN, Warning),
    message("BFDD_TRAP_MHOP_STATE_UP", BFD_HOPS, "bfd-session", &["remote-peer"], IS_UP, Info),
    message("BFDD_TRAP_MHOP_STATE_DOWN", BFD_HOPS, "bfd-session", &["remote-peer"], DOWN, Warning),
    message(
        "RPD_RSVP_NBRUP",
        "RSVP neighbor {neighbor-address} up on interface {interface-name} nbr-type {}",
        "rsvp-neighbor",
        &["neighbor-address"],
        IS_UP,
        Info,
    ),
    message(
        "RPD_RSVP_NBRDOWN",
        "RSVP neighbor {neighbor-address} down on interface {interface-name} nbr-type {}",
        "rsvp-neighbor",
        &["neighbor-address"],
        DOWN,
        Warning,
    ),
    unconfirmed(message(
        "LACP_INTF_MUX_STATE_CHANGED",
        "{aggregate}: {interface-name}: Lacp state changed from {old-state} to {new-state}, {}",
        "lacp-member",
        LACP_SUBJECT,
        To::Changed(LACP),
        Warning,
    )),
    message(
        "LACP_INTF_DOWN",
        "{aggregate}: Interface marked down due to {reason} on member {interface-name}",
        "lacp-interface",
        LACP_SUBJECT,
        To::Happened("down"),
        Warning,
    ),
    message(
        "LACPD_TIMEOUT",
        "{interface-name}: lacp current while timer expired{}",
        "lacp-timeout",
        &["interface-name"],
        To::Happened("timer expired"),
        Warning,
    ),
    // alarmd says each alarm, and craftd those of the chassis again, in one moment.
    alarm("alarmd", "Alarm set: {} color=RED, class={}, reason={reason}", true, Error),
    alarm("alarmd", "Alarm set: {} color=YELLOW, class={}, reason={reason}", true, Warning),
    alarm("alarmd", "Alarm cleared: {} color={}, class={}, reason={reason}", false, Info),
    alarm("craftd", "Major alarm set, {reason}", true, Error),
    alarm("craftd", "Minor alarm set, {reason}", true, Warning),
    alarm("craftd", "Major alarm cleared, {reason}", false, Info),
    alarm("craftd", "Minor alarm cleared, {reason}", false, Info),
    Message {
        user: "username",
        comment: "message",
        ..message(
            "UI_COMMIT",
            "User '{username}' requested '{command}' operation (comment: {message})",
            COMMIT,
            &["=configuration"],
            To::Requested,
            Info,
        )
    },
    message(
        "UI_COMMIT_COMPLETED",
        "{}",
        COMMIT,
        &["=configuration"],
        To::Happened("committed"),
        Info,
    ),
    // Releases without the message above.
    message(
        "UI_COMMIT_PROGRESS",
        "Commit operation in progress: commit complete",
        COMMIT,
        &["=configuration"],
        To::Happened("committed"),
        Info,
    ),
    user("UI_LOGIN_EVENT", "User '{username}' login, class '{class-name}' {}", "logged in"),
    user("UI_LOGIN_EVENT", "User '{username}' login{}", "logged in"),
    user("UI_LOGOUT_EVENT", "User '{username}' logout", "logged out"),
    message(
        "CHASSISD_FRU_OFFLINE_NOTICE",
        "Taking FPC {fpc-slot} offline: {reason}",
        "fpc-state",
        &["fpc-slot"],
        DOWN,
        Warning,
    ),
    message(
        "CHASSISD_FRU_OFFLINE_NOTICE",
        "Taking {fru} offline: {reason}",
        "fru",
        &["*fru"],
        To::Happened("offline"),
        Warning,
    ),
    reference(message(
        "CHASSISD_PIC_OFFLINE_NOTICE",
        "Taking PIC {pic-slot} in FPC {fpc-slot} offline: {reason}",
        "pic-state",
        &["fpc-slot", "pic-slot"],
        DOWN,
        Warning,
    )),
    message(
        "CHASSISD_FRU_ONLINE_NOTICE",
        "Taking {fru} online{}",
        "fru",
        &["*fru"],
        To::Happened("online"),
        Info,
    ),
    unconfirmed(message(
        "CHASSISD_FRU_EVENT",
        "{}: attached {fru}",
        "fru",
        &["*fru"],
        To::Happened("online"),
        Info,
    )),
    unconfirmed(message(
        "dumpd",
        "Core and context for {process} saved in {file}",
        "core-dump",
        &["file"],
        To::Happened("dumped"),
        Error,
    )),
    Message {
        source: "FreeBSD, sys/kern/kern_sig.c: sigexit",
        ..message(
            "/kernel",
            "pid {} ({process}), {}: exited on signal {signal} (core dumped)",
            "process-crash",
            &["process"],
            To::Happened("dumped core"),
            Error,
        )
    },
];

/// The kind of commits.
pub const COMMIT: &str = "commit";

const fn alarm(tag: &'static str, text: &'static str, is_set: bool, severity: Severity) -> Message {
    let to = if is_set { To::State("cleared", "set", 1) } else { To::State("set", "cleared", 0) };
    message(tag, text, "alarm", &["*reason"], to, severity)
}

const fn ospf(tag: &'static str, text: &'static str, kind: &'static str) -> Message {
    message(tag, text, kind, &["interface-name", "neighbor-address"], To::Changed(OSPF), Warning)
}

const fn user(tag: &'static str, text: &'static str, what: &'static str) -> Message {
    let of_user = message(tag, text, "login", &["username"], To::Happened(what), Info);
    Message { user: "username", ..of_user }
}

const LINK: &str = "ifIndex {snmp-interface-index}, ifAdminStatus {admin-status}, \
                    ifOperStatus {operational-status}, ifName {interface-name}";
const OSPF_2: &str = "OSPF neighbor {neighbor-address} (realm ospf-v2 {interface-name} area \
                      {area}) state changed from {old-state} to {new-state} due to {}";
const OSPF_3: &str = "OSPF neighbor {neighbor-address} (realm {realm} {interface-name} area \
                      {area}) state changed from {old-state} to {new-state} due to {}";
const ISIS_SUBJECT: &[&str] = &["interface-name", "neighbor", "level"];
const BFD: &str = "local discriminator: {session-id}, new state: {state}, \
                   interface: {pip-interface}, peer addr: {remote-peer}";
const BFD_HOPS: &str =
    "local discriminator: {session-id}, new state: {state}, peer addr: {remote-peer}";
const BFD_SUBJECT: &[&str] = &["remote-peer", "pip-interface"];
const LACP_SUBJECT: &[&str] = &["aggregate", "interface-name"];
/// What a line says, if its message is in the table and fits.
pub fn find<'a>(line: &Line<'a>) -> Option<Said<'a>> {
    let name = if line.tag.is_empty() { line.process } else { line.tag };
    let named = || MESSAGES.iter().filter(|message| message.tag == name);
    let by_text = named().find_map(|message| {
        let found = pattern::read(message.text, line.text)?;
        message.read(line, &found)
    });
    // The text may be left out (`structured-data brief`), or be another release's.
    let by_parameters = || {
        let has_gaps = |message: &&Message| message.text.contains("{") && message.text != "{}";
        let mut named = named().filter(has_gaps).filter(|_| line.has_parameters());
        named.find_map(|message| message.read(line, &Found::new()))
    };
    by_text.or_else(by_parameters)
}

impl Message {
    fn read<'a>(&self, line: &Line<'a>, found: &Found<'_, 'a>) -> Option<Said<'a>> {
        let get = |name: &str| value(line, found, name);
        let (from, to, is) = match self.to {
            To::State(from, to, number) => (from, to, Is::State(number)),
            To::Changed(states) => {
                let [from, to] = ["old-state", "new-state"].map(|gap| known(states, &get(gap)?));
                let (from, to) = (from?, to?);
                if from.is_good == to.is_good {
                    return None;
                }
                (from.word, to.word, Is::State(to.number))
            }
            To::Happened(word) => ("", word, Is::Happened),
            To::Requested => ("", "", Is::Requested),
        };
        let severity = match self.to {
            To::Changed(states) if states.iter().any(|known| known.is_good && known.word == to) => {
                Severity::Info
            }
            _ => self.severity,
        };
        let is = if ONLY_HERE.contains(&self.kind) { Is::Happened } else { is };
        let subject = self.subject(get)?;
        let of = |name: &str| if name.is_empty() { None } else { get(name) }.unwrap_or_default();
        let (user, comment) = (of(self.user), of(self.comment));
        Some(Said { kind: self.kind, subject, from, to, is, severity, user, comment })
    }

    fn subject<'a>(&self, get: impl Fn(&str) -> Option<Cow<'a, str>>) -> Option<String> {
        let mut subject = String::new();
        for name in self.subject {
            let part = match name.strip_prefix('=') {
                Some(word) => Cow::Borrowed(word),
                None => get(name)?,
            };
            let part = match *name {
                // As the collectors have them.
                "instance" if part == "master" => "",
                "level" => part.trim_start_matches('L'),
                name if name.starts_with('*') => part.trim(),
                _ => first_word(&part),
            };
            if !subject.is_empty() && !part.is_empty() {
                subject.push(' ');
            }
            subject.push_str(part);
        }
        Some(subject).filter(|subject| !subject.is_empty())
    }
}

/// What stands in a gap: in the structured data, or else in the text.
fn value<'a>(line: &Line<'a>, found: &Found<'_, 'a>, name: &str) -> Option<Cow<'a, str>> {
    let name = name.trim_start_matches('*');
    let of_text =
        || found.iter().find(|(own, _)| *own == name).map(|(_, text)| Cow::Borrowed(*text));
    line.parameter(name).or_else(of_text)
}

fn known(states: &'static [Known], name: &str) -> Option<&'static Known> {
    states.iter().find(|known| known.name.is_empty() || known.name.eq_ignore_ascii_case(name))
}

fn first_word(text: &str) -> &str {
    text.trim_start().split([' ', ',']).next().unwrap_or_default()
}
