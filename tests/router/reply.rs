//! The text of one reply: the envelope, errors, and the payload of each Routing Engine.

use std::io::{self, BufWriter, Write};

use crate::configuration;
use crate::faults::{Effects, Kind, Outlet, Path};
use crate::framing::{Frames, Framing};
use crate::options::Options;
use crate::render::{Counted, HUGE_BYTES, Moment, mix};
use crate::replies::Reply;
use crate::template::{Setting, Template};
use crate::xml::{self, Element};

pub const BASE_NAMESPACE: &str = "urn:ietf:params:xml:ns:netconf:base:1.0";
const DEEP: usize = 1000;

pub struct Request {
    /// As they go back, each with a space before it.
    pub attributes: String,
    pub operation: Element,
    pub found: Option<&'static Reply>,
}

impl Request {
    /// All that a fault can be tied to.
    pub fn names(&self) -> String {
        match self.found {
            Some(reply) => format!("{} {}", reply.name(), reply.cli),
            None => format!("{} {}", self.operation.name, self.operation.text),
        }
    }

    /// The text of an element anywhere in the request.
    fn text_of(&self, name: &str) -> Option<String> {
        fn find(element: &Element, name: &str) -> Option<String> {
            let here = element.child(name).map(|child| child.text.clone());
            here.or_else(|| element.children.iter().find_map(|child| find(child, name)))
        }
        find(&self.operation, name).filter(|text| !text.is_empty())
    }
}

/// The rpc element's attributes as the reply gives them back (RFC 6241 section 4.1).
pub fn echoed(rpc: &Element) -> String {
    let ours = ["xmlns", "xmlns:nc", "xmlns:junos"];
    let attributes = rpc.attributes.iter().filter(|(name, _)| !ours.contains(&name.as_str()));
    attributes.map(|(name, value)| format!(" {name}={value}")).collect()
}

pub fn envelope(options: &Options, attributes: &str) -> (String, String) {
    let (prefix, declaration) = if options.nc_prefix { ("nc:", ":nc") } else { ("", "") };
    let junos = format!("http://xml.juniper.net/junos/{}/junos", options.release);
    let head = format!(
        "<{prefix}rpc-reply xmlns{declaration}=\"{BASE_NAMESPACE}\" \
         xmlns:junos=\"{junos}\"{attributes}>\n"
    );
    (head, format!("</{prefix}rpc-reply>"))
}

pub fn rpc_error(options: &Options, tag: &str, severity: &str, text: &str, bad: &str) -> String {
    let nc = if options.nc_prefix { "nc:" } else { "" };
    let text = xml::escape(text);
    let mut info = String::new();
    if !bad.is_empty() {
        let bad = xml::escape(bad);
        info = format!(
            "<{nc}error-info>\n<{nc}bad-element>{bad}</{nc}bad-element>\n</{nc}error-info>\n"
        );
    }
    format!(
        "<{nc}rpc-error>\n<{nc}error-type>protocol</{nc}error-type>\n\
         <{nc}error-tag>{tag}</{nc}error-tag>\n\
         <{nc}error-severity>{severity}</{nc}error-severity>\n\
         <{nc}error-message>\n{text}\n</{nc}error-message>\n{info}</{nc}rpc-error>\n"
    )
}

/// All that one reply's text follows from.
pub struct Text<'a> {
    pub options: &'a Options,
    pub request: &'a Request,
    pub effects: &'a Effects,
    pub moment: Moment,
}

impl Text<'_> {
    /// The reply's length in bytes.
    pub fn length(&self) -> io::Result<u64> {
        let mut nowhere = Frames::new(Framing::None, self.options.chunk_bytes, io::sink());
        self.write(Outlet { frames: &mut nowhere, path: Path::default(), bytes: 0 })
    }

    /// Writes the reply as it is made, and returns its length in bytes.
    pub fn write(&self, outlet: Outlet<impl Write>) -> io::Result<u64> {
        let mut output = BufWriter::with_capacity(1 << 16, outlet);
        let (head, tail) = envelope(self.options, &self.request.attributes);
        output.write_all(head.as_bytes())?;
        if self.effects.has(Kind::Warning) {
            let text = "ipsec-key-management subsystem not running - not needed by configuration.";
            let warning = rpc_error(self.options, "operation-failed", "warning", text, "");
            output.write_all(warning.as_bytes())?;
        }
        if self.effects.has(Kind::Deep) {
            output.write_all("<deep>".repeat(DEEP).as_bytes())?;
            output.write_all("</deep>".repeat(DEEP).as_bytes())?;
        }
        match self.request.found {
            Some(reply) if !self.effects.has(Kind::Unsupported) => {
                self.payloads(reply, &mut output)?;
            }
            _ => output.write_all(self.syntax_error().as_bytes())?,
        }
        output.write_all(tail.as_bytes())?;
        output.flush()?;
        Ok(output.bytes())
    }

    /// As Junos refuses what it does not know.
    fn syntax_error(&self) -> String {
        let operation = &self.request.operation;
        let bad = if operation.name == "command" { &operation.text } else { &operation.name };
        rpc_error(self.options, "operation-failed", "error", "syntax error", bad)
    }

    fn payloads(&self, reply: &Reply, output: &mut (impl Write + Counted)) -> io::Result<()> {
        let text = self.options.replies.as_ref().and_then(|directory| {
            std::fs::read_to_string(directory.join(reply.rpc).with_extension("xml")).ok()
        });
        let template = Template::new(
            text.as_deref().unwrap_or(reply.text),
            reply.style,
            &Setting {
                sizes: &self.options.sizes,
                release: &self.options.release,
                request: &|name| self.request.text_of(name),
                not_numbers: self.effects.has(Kind::Na),
                latin1: self.effects.has(Kind::Latin1),
            },
        );
        let names = &self.options.multi_re;
        if names.is_empty() || reply.single && self.options.configuration.is_none() {
            return self.payload(&template, self.moment, true, output);
        }
        // Blank lines as Junos has them.
        output.write_all(b"<multi-routing-engine-results>\n\n")?;
        for (number, name) in names.iter().enumerate() {
            let item = format!("<multi-routing-engine-item>\n\n<re-name>{name}</re-name>\n\n");
            output.write_all(item.as_bytes())?;
            let seed = mix(self.moment.seed ^ (number as u64) << 40);
            let moment = Moment { seed, ..self.moment };
            self.payload(&template, moment, number + 1 == names.len(), output)?;
            output.write_all(b"</multi-routing-engine-item>\n\n")?;
        }
        output.write_all(b"</multi-routing-engine-results>\n")
    }

    /// One Routing Engine's payload; faults of the payload are the last one's.
    fn payload(
        &self,
        template: &Template,
        moment: Moment,
        last: bool,
        output: &mut (impl Write + Counted),
    ) -> io::Result<()> {
        let has = |kind| last && self.effects.has(kind);
        let error = |text: &str| rpc_error(self.options, "operation-failed", "error", text, "");
        if has(Kind::RpcError) {
            output.write_all(error("Could not connect to re1 : No route to host").as_bytes())
        } else if has(Kind::NoSubsystem) {
            output.write_all(error("the routing subsystem is not running").as_bytes())
        } else if has(Kind::NotRunning) {
            let names = self.request.names();
            let subject = NOT_RUNNING.iter().find(|(part, _)| names.contains(part));
            let subject = subject.map_or("the routing subsystem", |(_, subject)| subject);
            writeln!(output, "<output>{subject} is not running</output>")
        } else if let Some(file) = &self.options.configuration
            && let Some(payload) = configuration::payload(file, &self.request.operation)?
        {
            output.write_all(payload.unwrap_or_else(|words| error(&words)).as_bytes())
        } else {
            let huge = self.effects.has(Kind::Huge);
            let asked = FILTERS.iter().find_map(|filter| {
                let is_its = self.request.operation.name.starts_with(filter.operation);
                Some((filter, self.request.text_of(filter.argument)?)).filter(|_| is_its)
            });
            if let Some((filter, wanted)) = asked {
                let mut whole = Whole::default();
                template.write(moment, false, &mut whole)?;
                let is_wanted = |name: &str| (filter.is_like)(name, &wanted);
                return match (only(&whole.0, filter, is_wanted), filter.missing) {
                    (None, Some(thing)) => {
                        output.write_all(error(&format!("{thing} {wanted} not found")).as_bytes())
                    }
                    (some, _) => output.write_all(&some.unwrap_or_default()),
                };
            }
            template.write(moment, huge, output)?;
            // A template without repeats becomes large by coming again.
            while huge && output.bytes() < HUGE_BYTES {
                template.write(moment, huge, output)?;
            }
            Ok(())
        }
    }
}

/// A payload that is kept, to be looked at before it goes.
#[derive(Default)]
struct Whole(Vec<u8>);

impl Write for Whole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Counted for Whole {
    fn bytes(&self) -> u64 {
        self.0.len() as u64
    }
}

/// An argument of requests that chooses items of the reply by a name in them.
struct Filter {
    /// How the request's element begins.
    operation: &'static str,
    argument: &'static str,
    item: &'static str,
    name: &'static str,
    is_like: fn(&str, &str) -> bool,
    /// What the error calls a thing that is not there; without it, the reply is empty then.
    missing: Option<&'static str>,
}

/// A name alone, and an empty reply where there is no such thing.
const fn named(
    operation: &'static str,
    argument: &'static str,
    item: &'static str,
    name: &'static str,
) -> Filter {
    Filter {
        operation,
        argument,
        item,
        name,
        is_like: |name, wanted| name == wanted,
        missing: None,
    }
}

const FILTERS: &[Filter] = &[
    named("get-route-summary", "table", "route-table", "table-name"),
    named("get-l2vpn", "instance", "instance", "instance-name"),
    named("get-evpn-instance", "instance-name", "evpn-instance", "evpn-instance-name"),
    named("get-ospf-neighbor", "interface", "ospf-neighbor", "interface-name"),
    named("get-ospf3-neighbor", "interface", "ospf3-neighbor", "interface-name"),
    named("get-evpn-vpws", "instance-name", "evpn-vpws-instance", "evpn-vpws-instance-name"),
    named("get-bfd-session-address", "session_addr", "bfd-session", "session-neighbor"),
    named("get-ldp-session", "destination", "ldp-session", "ldp-neighbor-address"),
    named("get-l2ckt", "neighbor", "l2circuit-neighbor", "neighbor-address"),
    named("get-rsvp-session", "session-name", "rsvp-session", "name"),
    named("get-isis-interface", "interface-name", "isis-interface", "interface-name"),
    named("get-ospf-overview", "instance", "ospf-overview", "instance-name"),
    named("get-ospf3-overview", "instance", "ospf-overview", "instance-name"),
    named("get-lacp-interface-i", "interface-name", "lacp-interface-information", "aggregate-name"),
    named("get-lacp-interface-s", "interface-name", "lacp-interface-statistics", "aggregate-name"),
    // A regular expression, of which this is enough.
    named("get-mpls-lsp", "regex", "rsvp-session", "name"),
    Filter {
        is_like: |name, wanted| name.strip_prefix("PIM.") == Some(wanted),
        ..named("get-pim-interfaces", "instance", "pim-interfaces-information", "pim-instance")
    },
    Filter {
        is_like: |name, wanted| name.strip_prefix("PIM.") == Some(wanted),
        ..named("get-pim-neighbors", "instance", "pim-neighbors-information", "pim-instance")
    },
    Filter {
        operation: "get-interface",
        argument: "interface-name",
        item: "physical-interface",
        name: "name",
        is_like,
        missing: Some("device"),
    },
    Filter {
        operation: "get-bgp",
        argument: "neighbor-address",
        item: "bgp-peer",
        name: "peer-address",
        // The TCP port follows the address of an established session.
        is_like: |name, wanted| name.split('+').next() == Some(wanted),
        missing: None,
    },
    Filter {
        operation: "get-firewall",
        argument: "filtername",
        item: "filter-information",
        name: "filter-name",
        // A regular expression, of which this is enough.
        is_like: |name, wanted| is_like(name, &wanted.replace(".*", "*").replace("\\.", ".")),
        missing: None,
    },
];

/// The payload with the items whose name is wanted; `None` if it has none of them and the filter
/// calls that an error.
fn only(payload: &[u8], filter: &Filter, is_wanted: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let (start, end) = (format!("<{}", filter.item), format!("</{}>", filter.item));
    let name_start = format!("<{}>", filter.name);
    let at =
        |bytes: &[u8], part: &str| bytes.windows(part.len()).position(|w| w == part.as_bytes());
    // The item's element, with attributes or without, and none whose name is longer.
    let at_start = |bytes: &[u8]| {
        let mut from = 0;
        loop {
            let start_at = from + at(&bytes[from..], &start)?;
            from = start_at + start.len();
            if matches!(bytes.get(from), Some(b'>' | b' ')) {
                return Some(start_at);
            }
        }
    };
    let (mut kept, mut rest, mut any) = (Vec::new(), payload, filter.missing.is_none());
    while let Some(start) = at_start(rest) {
        let (before, item) = rest.split_at(start);
        let (item, behind) = item.split_at(at(item, &end)? + end.len());
        let name = &item[at(item, &name_start)? + name_start.len()..];
        let name = String::from_utf8_lossy(&name[..at(name, "<")?]).trim().to_owned();
        kept.extend_from_slice(before);
        if is_wanted(&name) {
            kept.extend_from_slice(item);
            any = true;
        }
        rest = behind;
    }
    kept.extend_from_slice(rest);
    // A reply of another form has what it was asked for.
    (any || rest.len() == payload.len()).then_some(kept)
}

/// Whether the name is the wanted one, in which `*` stands for anything.
fn is_like(name: &str, wanted: &str) -> bool {
    match wanted.split_once('*') {
        None => name == wanted,
        Some((before, after)) => {
            let behind = name.strip_prefix(before);
            behind.is_some_and(|name| {
                (0..=name.len()).any(|at| name.is_char_boundary(at) && is_like(&name[at..], after))
            })
        }
    }
}

/// What Junos calls a thing that does not run, by a part of the request's name.
const NOT_RUNNING: &[(&str, &str)] = &[
    ("bgp", "BGP"),
    ("ospf", "OSPF instance"),
    ("isis", "IS-IS instance"),
    ("ldp", "LDP instance"),
    ("pim", "PIM instance"),
];
