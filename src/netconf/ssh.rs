//! NETCONF over SSH (RFC 6242): the subsystem `netconf`, through libssh2.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libssh2_sys::{
    LIBSSH2_ERROR_AGENT_PROTOCOL, LIBSSH2_ERROR_ALGO_UNSUPPORTED, LIBSSH2_ERROR_FILE,
    LIBSSH2_ERROR_KEX_FAILURE, LIBSSH2_ERROR_METHOD_NONE,
};
use openssl::base64;
use openssl::sha::sha256;

use super::agent::Agent;
use super::known_hosts::{self, Verdict};
use super::libssh2::{self, Failure, Method, Session};
use super::transport::{Error, Transport, time_left};
use crate::base::aside;
use crate::base::secret::{Kept, Secret};
use crate::base::text::first_line;

/// How to reach a router and log in.
#[derive(Clone, Debug, PartialEq)]
pub struct SshConfig {
    pub target: String,
    pub port: u16,
    pub username: String,
    pub password: Option<Kept>,
    pub private_key: Option<PathBuf>,
    pub passphrase: Option<Kept>,
    pub agent: bool,
    pub known_hosts: PathBuf,
    pub host_key_check: bool,
    pub legacy_algorithms: bool,
    /// In the order of preference; empty for `CIPHERS`.
    pub ciphers: Vec<String>,
    pub connect_timeout: Duration,
    pub keepalive_interval: Duration,
}

/// The ciphers in the order of our preference. CPU seconds of the client for 100 MB from sshd,
/// medians of 15 paired runs on an AMD EPYC, which has instructions for AES:
///
/// | Cipher | libssh2 | OpenSSH's ssh |
/// |---|---|---|
/// | chacha20-poly1305, in libssh2's own C | 0.29 | 0.37 |
/// | aes128-gcm, aes256-gcm | 0.27, 0.30 | 0.30, 0.31 |
/// | aes128-ctr, aes256-ctr | 0.30, 0.32 | 0.36, 0.36 |
///
/// The first is OpenSSL's since then (`libssh2/chacha20_poly1305.rs`), which takes a quarter of the
/// time. It costs no more where a CPU has no such instructions, and no call of OpenSSL for each 16
/// bytes, as libssh2 has it with AES (docs/upstream-libssh2.md).
const CIPHERS: &[&str] = &[
    "chacha20-poly1305@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
];
/// Algorithms in the order of our preference.
const KEY_EXCHANGES: &str = "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,\
                             ecdh-sha2-nistp384,ecdh-sha2-nistp521,\
                             diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,\
                             diffie-hellman-group18-sha512,diffie-hellman-group14-sha256";
const MACS: &str = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,\
                    hmac-sha2-256,hmac-sha2-512";
const HOST_KEYS: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
];
/// What releases before Junos 19 or so may have at best. SHA-1 can be forged with effort.
const LEGACY_CIPHERS: &[&str] = &["aes256-cbc", "aes128-cbc", "3des-cbc"];
const LEGACY_KEY_EXCHANGES: &str = ",diffie-hellman-group-exchange-sha1,\
                                    diffie-hellman-group14-sha1,diffie-hellman-group1-sha1";
const LEGACY_MACS: &str = ",hmac-sha1";

/// Advice for a refused connection to NETCONF's own port.
const NETCONF_HINT: &str = "; on the router: set system services netconf ssh, or here: port = 22";

pub struct Ssh {
    session: Session,
}

/// Whether there is such a cipher; a legacy one only where they are allowed.
pub fn check_cipher(name: &str, legacy: bool) -> Result<(), String> {
    let mut known = CIPHERS.to_vec();
    if legacy {
        known.extend(LEGACY_CIPHERS);
    } else if LEGACY_CIPHERS.contains(&name) {
        return Err(format!("the cipher {name} needs legacy_algorithms = true"));
    }
    if known.contains(&name) {
        return Ok(());
    }
    Err(format!("no cipher is called `{}`; there are: {}", first_line(name), known.join(", ")))
}

/// Whether this perijove can do what legacy_algorithms allows.
pub fn check_legacy() -> Result<(), String> {
    if libssh2::has_sha1() {
        return Ok(());
    }
    Err("legacy_algorithms = true: this perijove was built without SHA-1. Build it in its own \
         directory, without CFLAGS in the environment, or install a released one"
        .into())
}

/// The host, and the port if it stands there: `host`, `host:port`, `[v6]:port` or a bare IPv6
/// address.
pub fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    let text = text.trim();
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').or((!rest.is_empty()).then_some(""))),
        // More than one colon: an IPv6 address.
        None => match text.split_once(':').filter(|(_, port)| !port.contains(':')) {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = port.map(str::parse).transpose().ok()?;
    (!host.is_empty()).then_some((host, port))
}

/// Connects, checks the host key, logs in and starts the subsystem.
pub fn connect(settings: &SshConfig) -> Result<Box<dyn Transport>, Error> {
    let place = format!("{}:{}", settings.target, settings.port);
    let deadline = Instant::now() + settings.connect_timeout;
    let stream = connect_tcp(settings, &place, deadline)?;
    let mut session = Session::new(stream, deadline)
        .map_err(|err| Error(format!("{place}: no SSH session: {err}")))?;
    let known = read_known_hosts(settings)?;
    set_algorithms(&mut session, settings, &known)
        .map_err(|err| Error(format!("{place}: SSH algorithms cannot be chosen: {err}")))?;
    session.handshake().map_err(|err| handshake_error(&place, settings, &err))?;
    if settings.host_key_check {
        check_host_key(session.host_key(), settings, &known)?;
    }
    log_in(&mut session, settings, &place, deadline)?;
    session.start_subsystem("netconf", WINDOW_BYTES, PACKET_BYTES).map_err(|err| {
        Error(format!(
            "{place}: the subsystem netconf was refused ({err}); on the router: \
             set system services netconf ssh"
        ))
    })?;
    let keepalive = u32::try_from(settings.keepalive_interval.as_secs()).unwrap_or(u32::MAX);
    session.set_keepalive(keepalive);
    Ok(Box::new(Ssh { session }))
}

fn connect_tcp(settings: &SshConfig, place: &str, deadline: Instant) -> Result<TcpStream, Error> {
    let addresses = addresses(settings, deadline);
    let addresses = addresses.map_err(|err| Error(format!("{place}: no address: {err}")))?;
    let mut why = format!("{place}: the name has no address");
    for address in addresses {
        let left = time_left(deadline).unwrap_or(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(err) => {
                let refused =
                    err.kind() == io::ErrorKind::ConnectionRefused && settings.port == 830;
                let hint = if refused { NETCONF_HINT } else { "" };
                why = format!("{place}: cannot connect to {address}: {err}{hint}");
            }
        }
    }
    Err(Error(why))
}

/// The addresses of the target. The system's resolver may take longer than anybody waits.
fn addresses(settings: &SshConfig, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    let host = settings.target.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, settings.port)]);
    }
    let place = (host.to_string(), settings.port);
    aside::call(deadline, move || Ok(place.to_socket_addrs()?.collect()))
}

fn set_algorithms(
    session: &mut Session,
    settings: &SshConfig,
    known_hosts: &str,
) -> Result<(), Failure> {
    let legacy = |list: &str, more: &str| {
        if settings.legacy_algorithms { format!("{list}{more}") } else { list.to_string() }
    };
    let ciphers = match &settings.ciphers[..] {
        [] => legacy(&CIPHERS.join(","), &format!(",{}", LEGACY_CIPHERS.join(","))),
        chosen => chosen.join(","),
    };
    let macs = legacy(MACS, LEGACY_MACS);
    session.prefer(Method::KeyExchange, &legacy(KEY_EXCHANGES, LEGACY_KEY_EXCHANGES))?;
    session.prefer(Method::CipherOut, &ciphers)?;
    session.prefer(Method::CipherIn, &ciphers)?;
    session.prefer(Method::MacOut, &macs)?;
    session.prefer(Method::MacIn, &macs)?;
    // Ask first for the types of key that are known for the host: a router has several keys, and
    // one of another type would look like a changed one.
    let mut types = HOST_KEYS.to_vec();
    if settings.legacy_algorithms {
        types.push("ssh-rsa");
    }
    let known = known_hosts::key_types(known_hosts, &settings.target, settings.port);
    types.sort_by_key(|name| !known.iter().any(|known| known == family(name)));
    session.prefer(Method::HostKey, &types.join(","))
}

/// The name that known-hosts files have for keys that a signature algorithm goes with.
fn family(algorithm: &str) -> &str {
    if algorithm.starts_with("rsa-sha2") { "ssh-rsa" } else { algorithm }
}

/// The text of the known-hosts file; none if there is no such file.
fn read_known_hosts(settings: &SshConfig) -> Result<String, Error> {
    match std::fs::read(&settings.known_hosts) {
        Ok(text) => Ok(String::from_utf8_lossy(&text).into_owned()),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(_) if !settings.host_key_check => Ok(String::new()),
        Err(err) => {
            let path = settings.known_hosts.display();
            Err(Error(format!("the known-hosts file {path} cannot be read: {err}")))
        }
    }
}

fn handshake_error(place: &str, settings: &SshConfig, err: &Failure) -> Error {
    let hint = match err.code {
        LIBSSH2_ERROR_KEX_FAILURE | LIBSSH2_ERROR_METHOD_NONE if !settings.legacy_algorithms => {
            "; no algorithm in common: if this is an old device, legacy_algorithms = true \
             allows SHA-1"
        }
        _ => "",
    };
    Error(format!("{place}: the SSH handshake failed: {err}{hint}"))
}

fn check_host_key(key: &[u8], settings: &SshConfig, known_hosts: &str) -> Result<(), Error> {
    let path = settings.known_hosts.display();
    let name = known_hosts::name(&settings.target, settings.port);
    let hash = base64::encode_block(&sha256(key));
    let seen = format!("SHA256:{}", hash.trim_end_matches('='));
    let kind = first_line(known_hosts::key_type(key).unwrap_or("unknown"));
    match known_hosts::check(known_hosts, &settings.target, settings.port, key) {
        Verdict::Known => Ok(()),
        Verdict::Changed => Err(Error(format!(
            "the host key of {name} has CHANGED: it now sends {kind} {seen}, which is not the key \
             in {path}. Someone may be in between. If the router was replaced, remove the old \
             line with `ssh-keygen -R '{name}' -f {path}` and add the new key"
        ))),
        Verdict::Revoked { line } => Err(Error(format!(
            "the host key of {name} is REVOKED by line {line} of {path}: it sends {kind} {seen}. \
             Someone may be in between, with a key that was stolen"
        ))),
        Verdict::Unknown { authority } => {
            let authority = authority.map_or(String::new(), |line| {
                format!(
                    ". Line {line} of {path} names a certificate authority for it: this client \
                     knows no host certificates, and transport = \"openssh\" checks them"
                )
            });
            Err(Error(format!(
                "the host key of {name} is not known: it sent {kind} {seen}. If that is the \
                 router's fingerprint, accept it with `echo '{name} {kind} {}' >> \
                 {path}`{authority}",
                base64::encode_block(key)
            )))
        }
    }
}

/// Secrets are read at each login: they may have changed.
fn read_secret(kept: Option<&Kept>, place: &str) -> Result<Option<Secret>, Error> {
    let read = kept.map(Kept::read).transpose();
    read.map_err(|why| Error(format!("{place}: no login: {why}")))
}

/// Tries what is set: agent, private key, password.
fn log_in(
    session: &mut Session,
    settings: &SshConfig,
    place: &str,
    deadline: Instant,
) -> Result<(), Error> {
    let username = &settings.username;
    let methods = session.login_methods(username);
    let methods = methods.map_err(|err| Error(format!("{place}: no login: {err}")))?;
    let mut refused = Vec::new();
    if settings.agent
        && !session.is_logged_in()
        && let Err(why) = log_in_with_agent(session, username, deadline)
    {
        refused.push(format!("the agent's keys ({why})"));
    }
    if let (Some(path), false) = (&settings.private_key, session.is_logged_in()) {
        let encrypted = check_private_key(path)?;
        let passphrase = read_secret(settings.passphrase.as_ref(), place)?;
        let passphrase = passphrase.as_ref();
        let path_shown = path.display();
        if encrypted && passphrase.is_none() {
            return Err(Error(format!(
                "the private key {path_shown} is encrypted and no passphrase is set \
                 (passphrase_file)"
            )));
        }
        match session.log_in_with_key(username, path, passphrase) {
            Ok(()) => {}
            Err(err) if err.code == LIBSSH2_ERROR_FILE && encrypted => {
                return Err(Error(format!(
                    "the passphrase does not open the private key {path_shown}"
                )));
            }
            Err(err) if err.code == LIBSSH2_ERROR_FILE => {
                let what = format!("the private key {path_shown} cannot be used: {err}");
                return Err(Error(what));
            }
            Err(err) => refused.push(format!("the key {path_shown} ({err})")),
        }
    }
    let kept = settings.password.as_ref().filter(|_| !session.is_logged_in());
    if let Some(password) = &read_secret(kept, place)? {
        // Where RADIUS or TACACS ask, only keyboard-interactive may be offered.
        let interactive = methods.contains("keyboard-interactive");
        let asked = if interactive && !methods.contains("password") {
            session.log_in_with_answers(username, password)
        } else {
            session.log_in_with_password(username, password)
        };
        if let Err(err) = asked {
            refused.push(format!("the password ({err})"));
        }
    }
    if session.is_logged_in() {
        return Ok(());
    }
    if refused.is_empty() {
        return Err(Error(format!(
            "{place}: nothing is set that user {username} could log in with: password_file, \
             private_key or agent"
        )));
    }
    let refused = refused.join(" and ");
    Err(Error(format!("{place} refused user {username} with {refused}; it accepts: {methods}")))
}

/// Offers the agent's keys, one after the other.
fn log_in_with_agent(
    session: &mut Session,
    username: &str,
    deadline: Instant,
) -> Result<(), String> {
    let mut agent = Agent::connect(deadline).map_err(|err| format!("no agent: {err}"))?;
    let keys = agent.keys().map_err(|err| format!("the agent shows none: {err}"))?;
    let mut why = "it has no key".to_string();
    for key in keys {
        let mut refused = None;
        let mut sign = |data: &[u8]| match agent.sign(&key, data) {
            Ok(signature) => signature.ok_or(LIBSSH2_ERROR_ALGO_UNSUPPORTED),
            Err(err) => {
                refused = Some(format!("the agent does not sign: {err}"));
                Err(LIBSSH2_ERROR_AGENT_PROTOCOL)
            }
        };
        match session.log_in_with_signer(username, &key, &mut sign) {
            Ok(()) => return Ok(()),
            Err(err) => why = refused.unwrap_or_else(|| err.to_string()),
        }
        if session.is_over() {
            break;
        }
    }
    Err(why)
}

/// Whether the private key is encrypted; an error if it cannot be read or is no private key.
fn check_private_key(path: &Path) -> Result<bool, Error> {
    let text = std::fs::read_to_string(path).map_err(|err| {
        Error(format!("the private key {} cannot be read: {err}", path.display()))
    })?;
    if !text.contains("PRIVATE KEY-----") {
        return Err(Error(format!("{} is not a private key in PEM form", path.display())));
    }
    if !text.contains("BEGIN OPENSSH") {
        return Ok(text.contains("ENCRYPTED"));
    }
    // The cipher's name follows the magic string (OpenSSH's PROTOCOL.key).
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let body = base64::decode_block(&body).unwrap_or_default();
    Ok(!body.starts_with(b"openssh-key-v1\0\0\0\0\x04none"))
}

/// How much a router may send ahead. It does not limit throughput unless the router is half the
/// world away.
const WINDOW_BYTES: u32 = 256 << 10;
const PACKET_BYTES: u32 = 32 << 10;
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(1);

impl Read for Ssh {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Ok(self.session.read(into)?)
    }
}

impl Write for Ssh {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.session.write(bytes)?)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Ssh {
    fn set_deadline(&mut self, deadline: Instant) {
        self.session.set_deadline(deadline);
    }

    fn idle(&mut self) -> io::Result<Option<Duration>> {
        self.session.set_deadline(Instant::now() + KEEPALIVE_TIMEOUT);
        let next = self.session.keep_alive()?;
        Ok(Some(Duration::from_secs(u64::from(next.max(1)))))
    }
}
