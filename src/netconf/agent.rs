//! What perijove asks of an SSH agent (draft-ietf-sshm-ssh-agent): which keys it has, and to sign.
//! libssh2's own client of agents waits for one that does not answer, without a time limit.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::transport::Timed;
use crate::base::aside;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// A longer answer is none; as OpenSSH has it.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// More keys are not tried: servers end the connection after about so many.
const KEYS_MAX: usize = 5;

pub struct Agent {
    socket: Timed,
}

impl Agent {
    /// Connects to the agent that `SSH_AUTH_SOCK` names; nothing waits past the deadline.
    pub fn connect(deadline: Instant) -> io::Result<Agent> {
        let path = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
        let path = path.ok_or_else(|| io::Error::other("SSH_AUTH_SOCK names no agent"))?;
        Agent::connect_to(&PathBuf::from(path), deadline)
    }

    fn connect_to(path: &Path, deadline: Instant) -> io::Result<Agent> {
        let path = path.to_owned();
        // An agent that takes no connections holds connect(2) up.
        let socket = aside::call(deadline, move || UnixStream::connect(path))?;
        Ok(Agent { socket: Timed { socket, deadline } })
    }

    /// Its keys, as on the wire (RFC 4253 section 6.6); the first few of them.
    pub fn keys(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let answer = self.ask(&[REQUEST_IDENTITIES])?;
        let mut rest = of_kind(&answer, IDENTITIES_ANSWER)?;
        let count = number(&mut rest)? as usize;
        let mut keys = Vec::new();
        for _ in 0..count.min(KEYS_MAX) {
            keys.push(string(&mut rest)?.to_vec());
            let _comment = string(&mut rest)?;
        }
        Ok(keys)
    }

    /// The signature of the data that libssh2 wants to be signed for a login with that key,
    /// without the name of the algorithm, which libssh2 has chosen. `None` from an old agent that
    /// knows only another algorithm.
    pub fn sign(&mut self, key: &[u8], data: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let algorithm = algorithm(data)?;
        let flags: u32 = match algorithm {
            b"rsa-sha2-256" => 2,
            b"rsa-sha2-512" => 4,
            _ => 0,
        };
        let mut request = vec![SIGN_REQUEST];
        for part in [key, data] {
            request.extend_from_slice(&length(part)?);
            request.extend_from_slice(part);
        }
        request.extend_from_slice(&flags.to_be_bytes());
        let answer = self.ask(&request)?;
        let mut rest = of_kind(&answer, SIGN_RESPONSE)?;
        let mut signature = string(&mut rest)?;
        let is_by_it = string(&mut signature)? == algorithm;
        let signature = string(&mut signature)?.to_vec();
        Ok(is_by_it.then_some(signature))
    }

    fn ask(&mut self, request: &[u8]) -> io::Result<Vec<u8>> {
        self.socket.write_all(&[&length(request)?[..], request].concat())?;
        let mut bytes = [0; 4];
        self.socket.read_exact(&mut bytes)?;
        let bytes = u32::from_be_bytes(bytes) as usize;
        if bytes > ANSWER_BYTES_MAX {
            return Err(io::Error::other("its answer is too long"));
        }
        let mut answer = vec![0; bytes];
        self.socket.read_exact(&mut answer)?;
        Ok(answer)
    }
}

/// What is behind the kind of the answer, if it is this one.
fn of_kind(answer: &[u8], kind: u8) -> io::Result<&[u8]> {
    match answer.split_first() {
        Some((first, rest)) if *first == kind => Ok(rest),
        _ => Err(io::Error::other("it refuses")),
    }
}

/// The algorithm that the signature is to be made by, out of what is signed (RFC 4252 section 7):
/// session, message, user, service, method, a flag, algorithm, key.
fn algorithm(mut data: &[u8]) -> io::Result<&[u8]> {
    let rest = &mut data;
    string(rest)?;
    byte(rest)?;
    for _ in 0..3 {
        string(rest)?;
    }
    byte(rest)?;
    string(rest)
}

fn length(part: &[u8]) -> io::Result<[u8; 4]> {
    u32::try_from(part.len()).map(u32::to_be_bytes).map_err(io::Error::other)
}

fn byte(rest: &mut &[u8]) -> io::Result<u8> {
    let (first, after) = rest.split_first().ok_or_else(cut_short)?;
    *rest = after;
    Ok(*first)
}

fn number(rest: &mut &[u8]) -> io::Result<u32> {
    let (number, after) = rest.split_first_chunk().ok_or_else(cut_short)?;
    *rest = after;
    Ok(u32::from_be_bytes(*number))
}

/// RFC 4251 section 5: a length, and so many bytes.
fn string<'a>(rest: &mut &'a [u8]) -> io::Result<&'a [u8]> {
    let bytes = number(rest)? as usize;
    let (string, after) = rest.split_at_checked(bytes).ok_or_else(cut_short)?;
    *rest = after;
    Ok(string)
}

fn cut_short() -> io::Error {
    io::Error::other("its answer is cut short")
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    use super::*;

    fn strings(parts: &[&[u8]]) -> Vec<u8> {
        parts.iter().flat_map(|part| [&length(part).unwrap()[..], part].concat()).collect()
    }

    /// An agent that gives this answer to whatever is asked; what it does is what an agent says.
    fn ask<T>(answer: &[u8], ask: impl FnOnce(&mut Agent) -> T) -> (T, Vec<u8>) {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(&strings(&[answer])).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut agent = Agent { socket: Timed { socket: ours, deadline } };
        let result = ask(&mut agent);
        drop(agent);
        let mut asked = Vec::new();
        // Reset where it has read no answer.
        let _ = theirs.read_to_end(&mut asked);
        (result, asked)
    }

    #[test]
    fn keys_are_those_of_the_answer_and_not_too_many() {
        let mut answer = vec![IDENTITIES_ANSWER, 0, 0, 0, 9];
        for _ in 0..9 {
            answer.extend(strings(&[b"a key", b"a comment"]));
        }
        let (keys, asked) = ask(&answer, Agent::keys);
        assert_eq!(keys.unwrap(), vec![b"a key".to_vec(); KEYS_MAX]);
        assert_eq!(asked, [0, 0, 0, 1, REQUEST_IDENTITIES]);
        assert!(ask(&[IDENTITIES_ANSWER, 0, 0, 0, 0], Agent::keys).0.unwrap().is_empty());
        // It claims more than it has; none of this takes memory or panics.
        for wrong in [&[][..], &[5], &[12], &[12, 255, 255, 255, 255], &[12, 0, 0, 0, 1, 255]] {
            assert!(ask(wrong, Agent::keys).0.is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_signature_is_by_the_algorithm_that_is_asked_for() {
        let mut data = [strings(&[b"session"]), vec![50]].concat();
        data.extend(strings(&[b"user", b"ssh-connection", b"publickey"]));
        data.push(1);
        data.extend(strings(&[b"rsa-sha2-512", b"a key"]));
        let answer = |algorithm: &[u8]| {
            let signature = strings(&[&strings(&[algorithm, b"signed"])]);
            [&[SIGN_RESPONSE], &signature[..]].concat()
        };
        let sign = |agent: &mut Agent| agent.sign(b"a key", &data);
        let (signature, asked) = ask(&answer(b"rsa-sha2-512"), sign);
        assert_eq!(signature.unwrap().unwrap(), b"signed");
        let flags = [0, 0, 0, 4];
        let request = [&[SIGN_REQUEST], &strings(&[b"a key", &data])[..], &flags].concat();
        assert_eq!(asked, strings(&[&request]));
        assert_eq!(ask(&answer(b"ssh-rsa"), sign).0.unwrap(), None);
        assert!(ask(&[5], sign).0.is_err());
        for cut in 0..data.len() - 10 {
            assert!(ask(&answer(b"x"), |agent| agent.sign(b"a key", &data[..cut])).0.is_err());
        }
    }

    #[test]
    fn an_agent_that_does_not_answer_is_given_up_at_the_deadline() {
        let path = std::env::temp_dir().join(format!("perijove-agent-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        // It takes no connection: at some point its queue is full, and connect(2) waits.
        let _agent = UnixListener::bind(&path).unwrap();
        let started = Instant::now();
        let mut waiting = Vec::new();
        let why = loop {
            let deadline = Instant::now() + Duration::from_secs(1);
            match Agent::connect_to(&path, deadline) {
                Ok(agent) => waiting.push(agent),
                Err(why) => break why,
            }
        };
        assert_eq!(why.kind(), io::ErrorKind::TimedOut, "{why}");
        let mut silent = waiting.pop().unwrap();
        silent.socket.deadline = Instant::now() + Duration::from_secs(1);
        assert_eq!(silent.keys().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
        std::fs::remove_file(&path).unwrap();
    }
}
