//! A NETCONF session (RFC 6241) over a transport: `<hello>`, RPCs one at a time, `<close-session>`.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::framing::{Framer, Message};
use super::transport::{Error, Transport};
use crate::base::text::{first_line, safe};
use crate::xml::element::Element;
use crate::xml::items::{Limits, to_text};

const BASE_1_1: &str = "urn:ietf:params:netconf:base:1.1";
const HELLO: &str = "<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><capabilities>\
                     <capability>urn:ietf:params:netconf:base:1.0</capability>\
                     <capability>urn:ietf:params:netconf:base:1.1</capability>\
                     </capabilities></hello>";
/// What may come before the router's `<hello>`: banners, comments, warnings.
const NOISE_BYTES_MAX: u64 = 1 << 20;
/// Where a reply's open tag must have ended.
const REPLY_TAG_BYTES_MAX: usize = 8 << 10;
/// The longest name of the hello's element that is looked for, with its prefix.
const HELLO_NAME_BYTES_MAX: usize = 64;
/// RFC 6241 has a number of up to 10 digits.
const SESSION_ID_BYTES_MAX: usize = 64;
const CAPABILITIES_MAX: usize = 1000;
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Hello {
    capabilities: Capabilities,
    session_id: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    capability: Vec<String>,
}

/// An open session.
pub struct Session {
    framer: Framer<Box<dyn Transport>>,
    message_id: u64,
    /// A reply was none, or another request's.
    out_of_step: bool,
    /// The number that the router gave the session, safe for a log.
    pub session_id: String,
    /// The router's capabilities, safe for a log; the first thousand of them.
    pub capabilities: Vec<String>,
}

impl Session {
    /// Exchanges `<hello>`s over a fresh transport.
    pub fn open(
        transport: Box<dyn Transport>,
        limits: &Limits,
        timeout: Duration,
    ) -> Result<Session, Error> {
        let mut framer = Framer::new(transport, limits.message_bytes_max);
        framer.stream().set_deadline(Instant::now() + timeout);
        // Both sides say hello at once (RFC 6241 section 8.1). If ours cannot be sent, what the
        // other side has to say tells more.
        let sent = framer.send(HELLO.as_bytes());
        let hello = read_hello(&mut framer)?;
        sent.map_err(|err| Error(format!("cannot send <hello>: {err}")))?;
        let Hello { capabilities: Capabilities { capability: capabilities }, session_id } = hello;
        if capabilities.iter().any(|capability| capability == BASE_1_1) {
            framer.use_chunks();
        }
        let session_id = safe(session_id.trim(), SESSION_ID_BYTES_MAX);
        let safe_capability = |capability: &String| first_line(capability);
        let capabilities =
            capabilities.iter().take(CAPABILITIES_MAX).map(safe_capability).collect();
        Ok(Session { framer, message_id: 0, out_of_step: false, session_id, capabilities })
    }

    /// Sends an operation (the content of `<rpc>`) and returns a reader of its `<rpc-reply>`,
    /// which ends with an error at the deadline. The operations that perijove sends only read.
    pub fn rpc(&mut self, operation: &str, deadline: Instant) -> Result<Reply<'_>, Error> {
        self.message_id += 1;
        let id = self.message_id;
        self.framer.stream().set_deadline(deadline);
        let rpc = format!(
            "<rpc message-id=\"{id}\" xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\">\
             {operation}</rpc>"
        );
        let sent = self.framer.send(rpc.as_bytes());
        sent.map_err(|err| Error(format!("cannot send the request: {err}")))?;
        match Reply::start(self.framer.message(), id) {
            Ok(reply) => Ok(reply),
            Err(err) => {
                self.out_of_step = true;
                Err(err)
            }
        }
    }

    /// Whether the session can take another RPC.
    pub fn is_lost(&self) -> bool {
        self.out_of_step || self.framer.is_lost()
    }

    /// See `Transport::idle`.
    pub fn idle(&mut self) -> io::Result<Option<Duration>> {
        self.framer.stream().idle()
    }

    /// Says goodbye, if the router still listens.
    pub fn close(mut self) {
        if !self.is_lost() {
            let _ = self.rpc("<close-session/>", Instant::now() + CLOSE_TIMEOUT);
        }
    }
}

fn read_hello(framer: &mut Framer<Box<dyn Transport>>) -> Result<Hello, Error> {
    let mut noise = String::new();
    loop {
        let mut message = Vec::new();
        let mut reader = framer.message();
        let read = reader.by_ref().take(NOISE_BYTES_MAX).read_to_end(&mut message);
        if message.len() as u64 == NOISE_BYTES_MAX {
            reader.abandon();
        }
        let text = to_text(&message);
        let said = first_line(if noise.is_empty() { &text } else { &noise });
        if let Err(err) = read {
            let said = if said.is_empty() { "nothing".to_string() } else { format!("`{said}`") };
            return Err(Error(format!("no <hello> from the router, which said {said}: {err}")));
        }
        if let Some(start) = hello_start(&text) {
            return Element::new(&text[start..], 32).read().map_err(|err| {
                let err = first_line(&err.to_string());
                Error(format!("the router's <hello> cannot be read: {err}"))
            });
        }
        if noise.len() + text.len() >= NOISE_BYTES_MAX as usize {
            return Err(Error(format!("no <hello> from the router, which said `{said}`")));
        }
        // A restricted user's session begins with an <rpc-reply> that holds an error.
        noise.push_str(&text);
    }
}

/// Where the element `<hello>` starts, whatever its prefix.
fn hello_start(text: &str) -> Option<usize> {
    memchr::memchr_iter(b'<', text.as_bytes()).find(|at| {
        let tag = &text.as_bytes()[at + 1..];
        let tag = &tag[..tag.len().min(HELLO_NAME_BYTES_MAX)];
        let mut names = tag.split(|byte| byte.is_ascii_whitespace() || b"/><".contains(byte));
        names.next().is_some_and(|name| name == b"hello" || name.ends_with(b":hello"))
    })
}

/// A reader of one `<rpc-reply>`.
pub struct Reply<'a> {
    head: Vec<u8>,
    at: usize,
    message: Message<'a, Box<dyn Transport>>,
}

impl<'a> Reply<'a> {
    /// Reads on until the open tag is there, and checks that it answers the request.
    fn start(mut message: Message<'a, Box<dyn Transport>>, id: u64) -> Result<Reply<'a>, Error> {
        let mut head = Vec::new();
        // What came last may end the tag.
        let mut is_new = false;
        loop {
            if let Some((start, tag)) = is_new.then(|| reply_tag(&head)).flatten() {
                let answers = message_id(&tag);
                if answers.as_deref().is_some_and(|answers| answers != id.to_string()) {
                    let answers = first_line(&answers.unwrap_or_default());
                    let what = format!("the reply is for message-id {answers}, not {id}");
                    return Err(Error(what));
                }
                return Ok(Reply { head, at: start, message });
            }
            let mut more = [0; 1024];
            let read = message.read(&mut more).map_err(|err| Error(err.to_string()))?;
            head.extend_from_slice(&more[..read]);
            is_new = more[..read].contains(&b'>');
            if read == 0 || head.len() > REPLY_TAG_BYTES_MAX {
                let text = to_text(&head).into_owned();
                let said = first_line(&text);
                let said = if said.is_empty() { "nothing".into() } else { format!("`{said}`") };
                let what = "the reply is malformed at byte 0: expected <rpc-reply>";
                return Err(Error(format!("{what}, the router said {said}")));
            }
        }
    }
}

/// Where the open tag of `<rpc-reply>` starts, and its text, once it is complete.
fn reply_tag(head: &[u8]) -> Option<(usize, String)> {
    let name = memchr::memmem::find(head, b"rpc-reply")?;
    let start = head[..name].iter().rposition(|byte| *byte == b'<')?;
    let end = name + memchr::memchr(b'>', &head[name..])?;
    Some((start, to_text(&head[start..end]).into_owned()))
}

fn message_id(tag: &str) -> Option<String> {
    let (_, rest) = tag.split_once("message-id")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    rest[1..].split(quote).next().map(String::from)
}

impl Read for Reply<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at < self.head.len() {
            let bytes = (&self.head[self.at..]).read(into)?;
            self.at += bytes;
            return Ok(bytes);
        }
        self.message.read(into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Plays a router: gives its text, forgets what it is sent.
    struct Script(io::Cursor<Vec<u8>>);

    impl Read for Script {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0.read(into)
        }
    }

    impl Write for Script {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Transport for Script {
        fn set_deadline(&mut self, _: Instant) {}
    }

    fn open(text: &str) -> Result<Session, Error> {
        let script = Box::new(Script(io::Cursor::new(text.as_bytes().to_vec())));
        Session::open(script, &Limits::default(), Duration::from_secs(1))
    }

    const ROUTER: &str = "<!-- No zombies were killed during the creation of this user \
        interface -->\n\
        warning: something\n<nc:hello xmlns:nc='x'><nc:capabilities><nc:capability>\
        urn:ietf:params:netconf:base:1.0</nc:capability></nc:capabilities>\
        <nc:session-id>77</nc:session-id></nc:hello>\n]]>]]>";

    fn rpc(session: &mut Session) -> Result<String, Error> {
        let mut reply = session.rpc("<get-x/>", Instant::now())?;
        let mut text = String::new();
        reply.read_to_string(&mut text).map_err(|err| Error(err.to_string()))?;
        Ok(text)
    }

    #[test]
    fn noise_before_hello_and_any_prefix() {
        let replies = "\n<!-- keepalive -->\n<nc:rpc-reply xmlns:nc='x' message-id=\"1\"><a/>\
                       </nc:rpc-reply>\n]]>]]><rpc-reply message-id='7'/>]]>]]>";
        let mut session = open(&format!("{ROUTER}{replies}")).unwrap();
        assert_eq!(session.session_id, "77");
        let reply = rpc(&mut session).unwrap();
        assert_eq!(reply.trim(), "<nc:rpc-reply xmlns:nc='x' message-id=\"1\"><a/></nc:rpc-reply>");
        let err = rpc(&mut session).unwrap_err().0;
        assert_eq!(err, "the reply is for message-id 7, not 2");
    }

    #[test]
    fn a_hello_without_an_end_is_given_up() {
        let started = Instant::now();
        // None of these takes more than a look at each byte.
        for noise in ["<", "<hell", "noise ", "<a:b:", "<hello-", "\u{e9}<"] {
            let noise = noise.repeat((2 << 20) / noise.len());
            let err = open(&noise).err().unwrap().0;
            assert!(err.starts_with("no <hello> from the router, which said `"), "{err}");
            assert!(err.len() < 700, "{}", err.len());
        }
        let err = open(&"]]>]]>".repeat(1 << 18)).err().unwrap().0;
        assert!(err.contains("said nothing"), "{err}");
        // Were each `<` looked behind for the end of a name, it would be an hour.
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    }

    #[test]
    fn what_a_router_says_cannot_forge_a_log_line() {
        let forged = ROUTER.replace("77", "7\nERROR forged\x1b[31m\u{202e}");
        let session = open(&forged).unwrap();
        assert_eq!(session.session_id, "7\\nERROR forged\\u{1b}[31m\\u{202e}");
        assert_eq!(session.capabilities, ["urn:ietf:params:netconf:base:1.0"]);
        let long = ROUTER.replace("77", &"7".repeat(10_000));
        assert!(open(&long).unwrap().session_id.len() <= SESSION_ID_BYTES_MAX);

        let replies = "<rpc-reply message-id='9\x1b[2J\nERROR'/>]]>]]>";
        let mut session = open(&format!("{ROUTER}{replies}")).unwrap();
        let err = rpc(&mut session).unwrap_err().0;
        assert_eq!(err, "the reply is for message-id 9\\u{1b}[2J, not 1");
    }

    #[test]
    fn a_router_that_says_something_else() {
        let err = open("sh: xml-mode: command not found\n").err().unwrap().0;
        assert!(err.contains("which said `sh: xml-mode: command not found`"), "{err}");
        let mut session =
            open(&format!("{ROUTER}error: syntax error, expecting <command>]]>]]>")).unwrap();
        let err = rpc(&mut session).unwrap_err().0;
        assert_eq!(
            err,
            "the reply is malformed at byte 0: expected <rpc-reply>, the router said `error: \
             syntax error, expecting <command>`"
        );
    }
}
