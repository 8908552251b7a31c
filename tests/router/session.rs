//! A NETCONF session (RFC 6241) and the replies in it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufWriter, Write};

use crate::configuration;
use crate::faults::{self, Drip, Kind, Outlet, Path};
use crate::framing::{self, Frames, Framing};
use crate::options::{Base, Options};
use crate::render::Moment;
use crate::replies;
use crate::reply::{self, BASE_NAMESPACE, Request, Text};
use crate::xml::{self, Element};

const OUTPUT_BYTES: usize = 1 << 16;
const NOISE: &str = "\
--- JUNOS 23.4R1.9 Kernel 64-bit  JNPR-12.1-20231201.c77d5b2_buil\n\
*** Authorised users only & every session is <recorded>. ***\n\n\
<!-- No zombies were killed during the creation of this user interface -->\n\
<!-- user perijove, class j-operator -->\n";

/// Speaks NETCONF until the client closes the session or is gone.
pub fn serve(options: Options, mut input: impl BufRead, output: File) -> io::Result<()> {
    let mut session = Session::new(options, Framing::EndOfMessage, output);
    let (options, frames) = (&session.options, &mut session.frames);
    let noise = options.faults.iter().any(|fault| fault.kind == Kind::Noise);
    frames.part(if noise { NOISE } else { "" }.as_bytes())?;
    frames.part(hello(options.base).as_bytes())?;
    // Without the line end that other messages have: it would be in the way of a chunk header.
    frames.part(if noise { "\n]]>]]>\n" } else { "\n]]>]]>" }.as_bytes())?;
    frames.output.flush()?;
    let Some(message) = framing::read_message(Framing::EndOfMessage, &mut input)? else {
        return Ok(());
    };
    frames.framing = agree(options.base, &message)?;
    while let Some(message) = framing::read_message(session.frames.framing, &mut input)? {
        match session.answer(&message)? {
            Next::Request => (),
            Next::Hang => {
                io::copy(&mut input, &mut io::sink())?;
            }
            Next::End => break,
        }
    }
    Ok(())
}

/// Writes the one bare reply that was asked for on the command line.
pub fn print(name: &str, options: Options, output: File) -> io::Result<()> {
    let Some(found) = replies::by_name(name) else {
        let problem = format!("no reply is called `{name}`; --list has the names");
        return Err(io::Error::new(io::ErrorKind::NotFound, problem));
    };
    let request = Request {
        attributes: " message-id=\"1\"".to_owned(),
        operation: Element { name: found.rpc.to_owned(), ..Element::default() },
        found: Some(found),
    };
    Session::new(options, Framing::None, output).reply(&request)?;
    Ok(())
}

fn hello(base: Base) -> String {
    let mut text = format!("<hello xmlns=\"{BASE_NAMESPACE}\">\n<capabilities>\n");
    let mut capability = |uri: &str| text.push_str(&format!("<capability>{uri}</capability>\n"));
    if base != Base::V1_1 {
        capability("urn:ietf:params:netconf:base:1.0");
    }
    if base != Base::V1_0 {
        capability("urn:ietf:params:netconf:base:1.1");
    }
    capability("urn:ietf:params:netconf:capability:candidate:1.0");
    capability("urn:ietf:params:netconf:capability:url:1.0?scheme=http,ftp,file");
    capability("urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring");
    capability("http://xml.juniper.net/netconf/junos/1.0");
    capability("http://xml.juniper.net/dmi/system/1.0");
    let session_id = std::process::id();
    text.push_str(&format!("</capabilities>\n<session-id>{session_id}</session-id>\n</hello>"));
    text
}

/// The framing that both sides know (RFC 6242 section 4.1).
fn agree(base: Base, hello: &[u8]) -> io::Result<Framing> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let hello =
        xml::parse(hello).map_err(|error| invalid(format!("the client's hello: {error}")))?;
    let offers = |uri: &str| {
        let list = hello.child("capabilities").filter(|_| hello.name == "hello");
        list.is_some_and(|list| list.children.iter().any(|capability| capability.text == uri))
    };
    if base != Base::V1_0 && offers("urn:ietf:params:netconf:base:1.1") {
        Ok(Framing::Chunked)
    } else if base != Base::V1_1 && offers("urn:ietf:params:netconf:base:1.0") {
        Ok(Framing::EndOfMessage)
    } else {
        Err(invalid("the client's hello has no base capability that is offered here".to_owned()))
    }
}

struct Session {
    options: Options,
    /// How often each request was answered.
    polls: HashMap<Option<String>, u64>,
    frames: Frames<BufWriter<File>>,
}

enum Next {
    Request,
    Hang,
    End,
}

impl Session {
    fn new(options: Options, framing: Framing, output: File) -> Session {
        let output = BufWriter::with_capacity(OUTPUT_BYTES, output);
        let frames = Frames::new(framing, options.chunk_bytes, output);
        Session { options, polls: HashMap::new(), frames }
    }

    fn answer(&mut self, message: &[u8]) -> io::Result<Next> {
        let rpc = match xml::parse(message) {
            Ok(rpc) if rpc.name == "rpc" => rpc,
            Ok(other) => return self.refuse("", "unknown-element", &other.name),
            Err(problem) => return self.refuse("", "malformed-message", &problem),
        };
        let attributes = reply::echoed(&rpc);
        if !rpc.attributes.iter().any(|(name, _)| name == "message-id") {
            return self.refuse(&attributes, "missing-attribute", "message-id");
        }
        let Some(operation) = rpc.children.into_iter().next() else {
            return self.refuse(&attributes, "missing-element", "an operation");
        };
        if operation.name == "close-session" {
            self.short_reply(&attributes, "<ok/>\n")?;
            return Ok(Next::End);
        }
        let found = replies::by_request(&operation);
        self.reply(&Request { attributes, operation, found })
    }

    fn refuse(&mut self, attributes: &str, tag: &str, text: &str) -> io::Result<Next> {
        let error = reply::rpc_error(&self.options, tag, "error", text, "");
        self.short_reply(attributes, &error)?;
        Ok(Next::Request)
    }

    fn short_reply(&mut self, attributes: &str, payload: &str) -> io::Result<()> {
        let (head, tail) = reply::envelope(&self.options, attributes);
        self.frames.part(format!("{head}{payload}{tail}").as_bytes())?;
        self.frames.end()
    }

    fn reply(&mut self, request: &Request) -> io::Result<Next> {
        let names = request.names();
        let effects = faults::effects(&mut self.options.faults, &names);
        if effects.has(Kind::Stderr) {
            eprintln!("mgd: UI_NETCONF_CMD: user 'perijove' used NETCONF client to run {names}");
            eprintln!("mgd: warning: <this> is a line & no XML");
        }
        if effects.has(Kind::Hang) {
            return Ok(Next::Hang);
        }
        if effects.has(Kind::Exit) {
            std::process::exit(3);
        }
        let options = &self.options;
        let polls = self.polls.entry(request.found.map(|found| found.name())).or_default();
        let moment = Moment::of(options.clock, *polls, options.seed);
        *polls += 1;

        let text = Text { options, request, effects: &effects, moment };
        let mut path = Path { middle: effects.middle(), ..Path::default() };
        if path.middle.is_some() {
            path.middle_at = text.length()? / 2;
        }
        let keepalive = effects.has(Kind::Keepalive);
        if keepalive || effects.has(Kind::Slow) {
            let &Options { drip_bytes: bytes, drip_ms: ms, .. } = options;
            path.drip = Some(Drip { bytes, ms, keepalive });
        }
        text.write(Outlet { frames: &mut self.frames, path, bytes: 0 })?;
        self.frames.end()?;
        if let Some(file) = &self.options.configuration {
            configuration::answered(file, &request.operation)?;
        }
        Ok(Next::Request)
    }
}
