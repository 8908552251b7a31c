//! The text of one reply: the envelope, errors, and the payload of each Routing Engine.

use std::io::{self, BufWriter, Write};

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
        let template = Template::new(
            reply.text,
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
        if names.is_empty() || reply.single {
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
        let error = |text| rpc_error(self.options, "operation-failed", "error", text, "");
        if has(Kind::RpcError) {
            output.write_all(error("Could not connect to re1 : No route to host").as_bytes())
        } else if has(Kind::NoSubsystem) {
            output.write_all(error("the routing subsystem is not running").as_bytes())
        } else if has(Kind::NotRunning) {
            let names = self.request.names();
            let subject = NOT_RUNNING.iter().find(|(part, _)| names.contains(part));
            let subject = subject.map_or("the routing subsystem", |(_, subject)| subject);
            writeln!(output, "<output>{subject} is not running</output>")
        } else {
            let huge = self.effects.has(Kind::Huge);
            template.write(moment, huge, output)?;
            // A template without repeats becomes large by coming again.
            while huge && output.bytes() < HUGE_BYTES {
                template.write(moment, huge, output)?;
            }
            Ok(())
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
