//! What a router says in a whole session: `<hello>`, and the answers to a few requests. The first
//! byte chooses how many bytes come at once, the second how the session begins and how much of
//! each reply is read.

#![no_main]

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use perijove::netconf::{Session, Transport};
use perijove::xml::items::Limits;

const REQUESTS: usize = 4;

/// A router that says what it has to say and hears nothing.
struct Script {
    says: io::Cursor<Vec<u8>>,
    at_once: usize,
}

impl Read for Script {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let room = into.len().min(self.at_once);
        self.says.read(&mut into[..room])
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

/// So that what comes behind a `<hello>` is reached: none, one with end-of-message framing, one
/// with chunks.
fn hello(how: u8) -> &'static [u8] {
    match how % 3 {
        0 => b"",
        1 => b"<hello><session-id>7</session-id></hello>]]>]]>",
        _ => {
            b"<hello><capabilities><capability>urn:ietf:params:netconf:base:1.1</capability>\
              </capabilities></hello>]]>]]>"
        }
    }
}

/// As a log shows it: one line, not too long.
fn is_safe(said: &str) -> bool {
    said.len() < 2048 && !said.chars().any(char::is_control)
}

fuzz_target!(|data: &[u8]| {
    let [at_once, how, says @ ..] = data else { return };
    let says = [hello(how & 3), says].concat();
    let script = Script { says: io::Cursor::new(says), at_once: usize::from(*at_once) + 1 };
    let limits = Limits { message_bytes_max: 1 << 16, ..Limits::default() };
    let mut session = match Session::open(Box::new(script), &limits, Duration::from_secs(1)) {
        Ok(session) => session,
        Err(err) => return assert!(is_safe(&err.0), "{err}"),
    };
    assert!(is_safe(&session.session_id), "{}", session.session_id);
    assert!(session.capabilities.iter().all(|capability| is_safe(capability)));
    for _ in 0..REQUESTS {
        let most = u64::from(how >> 2) * 16;
        let is_read = match session.rpc("<get/>", Instant::now()) {
            Ok(reply) => {
                let mut read = Vec::new();
                let result = reply.take(most).read_to_end(&mut read);
                assert!(read.len() as u64 <= most);
                result.is_ok()
            }
            Err(err) => {
                assert!(is_safe(&err.0), "{err}");
                false
            }
        };
        if session.is_lost() {
            break;
        }
        assert!(is_read, "a reply failed, and the session goes on");
    }
    session.close();
});
