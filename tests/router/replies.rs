//! The requests that are answered.

use crate::template::Style;
use crate::xml::Element;

/// A request and its reply.
pub struct Reply {
    /// The request's element.
    pub rpc: &'static str,
    /// Names and texts that must be below it, whichever way they are written.
    pub words: &'static [&'static str],
    pub cli: &'static str,
    pub style: Style,
    /// Never wrapped in multi-routing-engine-results.
    pub single: bool,
    pub text: &'static str,
}

/// Earlier rows first: a request's form with more words stands before the one with fewer.
#[rustfmt::skip]
const REPLIES: &[Reply] = &[
    reply("get-system-alarm-information", &[], "show system alarms",
        include_str!("replies/system-alarms.xml")),
    reply("get-alarm-information", &[], "show chassis alarms",
        include_str!("replies/chassis-alarms.xml")),
    reply("get-bgp-group-information", &[], "show bgp group",
        include_str!("replies/bgp-group.xml")),
    reply("get-bgp-neighbor-information", &[], "show bgp neighbor",
        include_str!("replies/bgp-neighbor.xml")),
    reply("get-bgp-summary-information", &[], "show bgp summary",
        include_str!("replies/bgp-summary.xml")),
    reply("get-environment-information", &[], "show chassis environment",
        include_str!("replies/environment.xml")),
    reply("get-chassis-environment-satellite-information", &[], "show chassis environment satellite",
        include_str!("replies/environment-satellite.xml")),
    reply("get-environment-pem-information", &[], "show chassis environment pem",
        include_str!("replies/environment-pem.xml")),
    reply("get-interface-optics-diagnostics-information", &[], "show interfaces diagnostics optics",
        include_str!("replies/optics.xml")).wrapped(),
    reply("get-interface-optics-diagnostics-satellite", &[],
        "show interfaces diagnostics optics satellite",
        include_str!("replies/optics-satellite.xml")).wrapped(),
    reply("get-interface-information", &["extensive"], "show interfaces extensive",
        include_str!("replies/interfaces-extensive.xml")).wrapped(),
    reply("get-interface-information", &["media"], "show interfaces media",
        include_str!("replies/interfaces-media.xml")).wrapped(),
    reply("get-interface-information", &[], "show interfaces",
        include_str!("replies/interfaces-media.xml")).wrapped(),
    reply("get-chassis-inventory", &[], "show chassis hardware",
        include_str!("replies/inventory.xml")),
    reply("get-pic-detail", &[], "show chassis pic fpc-slot 0 pic-slot 0",
        include_str!("replies/pic-detail.xml")),
    reply("get-route-summary-information", &[], "show route summary",
        include_str!("replies/route-summary.xml")),
    reply("get-route-engine-information", &[], "show chassis routing-engine",
        include_str!("replies/route-engine.xml")),
    reply("get-config", &[], "", include_str!("replies/config.xml")).single(),
    reply("get", &[], "", include_str!("replies/get.xml")).single(),
];

const fn reply(
    rpc: &'static str,
    words: &'static [&'static str],
    cli: &'static str,
    text: &'static str,
) -> Reply {
    Reply { rpc, words, cli, style: Style::Plain, single: false, text }
}

impl Reply {
    const fn wrapped(self) -> Reply {
        Reply { style: Style::Wrapped, ..self }
    }

    const fn single(self) -> Reply {
        Reply { single: true, ..self }
    }

    pub fn name(&self) -> String {
        [&[self.rpc], self.words].concat().join(" ")
    }
}

/// The reply to a request as the client sent it.
pub fn by_request(operation: &Element) -> Option<&'static Reply> {
    if operation.name == "command" {
        let command = operation.text.split_whitespace().collect::<Vec<_>>().join(" ");
        return REPLIES.iter().find(|reply| reply.cli == command);
    }
    let words = operation.words();
    let fits = |reply: &&Reply| {
        reply.rpc == operation.name && reply.words.iter().all(|word| words.contains(word))
    };
    REPLIES.iter().find(fits)
}

/// The reply to a request by its element and words, its element alone, or its CLI command.
pub fn by_name(name: &str) -> Option<&'static Reply> {
    let is = |reply: &&Reply| reply.name() == name || reply.cli == name;
    REPLIES.iter().find(is).or_else(|| REPLIES.iter().find(|reply| reply.rpc == name))
}

pub fn list() -> String {
    REPLIES.iter().map(|reply| format!("{}\t{}\n", reply.name(), reply.cli)).collect()
}
