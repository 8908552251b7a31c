//! NETCONF over SSH (RFC 6242): the subsystem `netconf`, through libssh2.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use openssl::base64;
use ssh2::{
    Channel, CheckResult, ErrorCode, ExtendedData, HashType, HostKeyType,
    KeyboardInteractivePrompt, KnownHostFileKind, MethodType, Prompt, Session,
};

use super::local::{time_left, timed_out};
use super::transport::{Error, Transport};
use crate::base::secret::Secret;

/// How to reach a router and prove who we are.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub target: String,
    pub port: u16,
    pub username: String,
    pub password: Option<Secret>,
    pub private_key: Option<PathBuf>,
    pub passphrase: Option<Secret>,
    pub agent: bool,
    pub known_hosts: PathBuf,
    pub host_key_check: bool,
    pub legacy_algorithms: bool,
    pub connect_timeout: Duration,
    pub keepalive_interval: Duration,
}

/// Algorithms in the order of our preference. Of the ciphers the first costs the least CPU.
const CIPHERS: &str = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,\
                       chacha20-poly1305@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr";
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
const LEGACY_CIPHERS: &str = ",aes256-cbc,aes128-cbc,3des-cbc";
const LEGACY_KEY_EXCHANGES: &str = ",diffie-hellman-group-exchange-sha1,\
                                    diffie-hellman-group14-sha1,diffie-hellman-group1-sha1";
const LEGACY_MACS: &str = ",hmac-sha1";

/// What to do where nobody listens on NETCONF's own port.
const NETCONF_HINT: &str = "; on the router: set system services netconf ssh, or here: port = 22";

pub struct Ssh {
    session: Session,
    channel: Channel,
    deadline: Instant,
}

/// Connects, checks the host key, logs in and starts the subsystem.
pub fn connect(settings: &Settings) -> Result<Box<dyn Transport>, Error> {
    let place = format!("{}:{}", settings.target, settings.port);
    let deadline = Instant::now() + settings.connect_timeout;
    let stream = connect_tcp(settings, &place, deadline)?;
    let mut session = Session::new().map_err(|err| Error(format!("no SSH session: {err}")))?;
    session.set_timeout(millis(settings.connect_timeout));
    set_algorithms(&session, settings).map_err(|err| {
        Error(format!("{place}: SSH algorithms cannot be chosen: {}", err.message()))
    })?;
    session.set_tcp_stream(stream);
    session.handshake().map_err(|err| handshake_error(&place, settings, &err))?;
    if settings.host_key_check {
        check_host_key(&session, settings)?;
    }
    log_in(&session, settings, &place)?;
    let channel = start_subsystem(&session).map_err(|err| {
        let why = err.message();
        Error(format!(
            "{place}: the subsystem netconf was refused ({why}); on the router: \
             set system services netconf ssh"
        ))
    })?;
    let keepalive = u32::try_from(settings.keepalive_interval.as_secs()).unwrap_or(u32::MAX);
    session.set_keepalive(true, keepalive);
    Ok(Box::new(Ssh { session, channel, deadline }))
}

fn connect_tcp(settings: &Settings, place: &str, deadline: Instant) -> Result<TcpStream, Error> {
    let host = settings.target.trim_start_matches('[').trim_end_matches(']');
    let addresses = (host, settings.port).to_socket_addrs();
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

/// For libssh2, where 0 means no limit.
fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1)
}

fn set_algorithms(session: &Session, settings: &Settings) -> Result<(), ssh2::Error> {
    let legacy = |list: &str, more: &str| {
        if settings.legacy_algorithms { format!("{list}{more}") } else { list.to_string() }
    };
    let ciphers = legacy(CIPHERS, LEGACY_CIPHERS);
    let macs = legacy(MACS, LEGACY_MACS);
    session.method_pref(MethodType::Kex, &legacy(KEY_EXCHANGES, LEGACY_KEY_EXCHANGES))?;
    session.method_pref(MethodType::CryptCs, &ciphers)?;
    session.method_pref(MethodType::CryptSc, &ciphers)?;
    session.method_pref(MethodType::MacCs, &macs)?;
    session.method_pref(MethodType::MacSc, &macs)?;
    // Ask first for the types of key that are known for the host: a router has several keys, and
    // one of another type would look like an unknown one.
    let mut types = HOST_KEYS.to_vec();
    if settings.legacy_algorithms {
        types.push("ssh-rsa");
    }
    let known = known_types(settings);
    types.sort_by_key(|name| !known.iter().any(|known| known == family(name)));
    session.method_pref(MethodType::HostKey, &types.join(","))
}

/// The name that known-hosts files have for keys that a signature algorithm goes with.
fn family(algorithm: &str) -> &str {
    if algorithm.starts_with("rsa-sha2") { "ssh-rsa" } else { algorithm }
}

/// Key types on the known-hosts lines that may be the host's; a hashed name may be any.
fn known_types(settings: &Settings) -> Vec<String> {
    let text = std::fs::read_to_string(&settings.known_hosts).unwrap_or_default();
    let name = known_hosts_name(settings);
    let line = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip_while(|word| word.starts_with('@'));
        let hosts = words.next()?;
        let ours = hosts.split(',').any(|host| host == name || host == settings.target);
        (ours || hosts.starts_with("|1|")).then(|| words.next().map(String::from))?
    };
    text.lines().filter_map(line).collect()
}

fn known_hosts_name(settings: &Settings) -> String {
    match settings.port {
        22 => settings.target.clone(),
        port => format!("[{}]:{port}", settings.target),
    }
}

fn handshake_error(place: &str, settings: &Settings, err: &ssh2::Error) -> Error {
    let why = err.message();
    let hint = match err.code() {
        // LIBSSH2_ERROR_KEX_FAILURE, LIBSSH2_ERROR_METHOD_NONE
        ErrorCode::Session(-5 | -17) if !settings.legacy_algorithms => {
            "; no algorithm in common: if this is an old device, legacy_algorithms = true \
             allows SHA-1"
        }
        _ => "",
    };
    Error(format!("{place}: the SSH handshake failed: {why}{hint}"))
}

fn check_host_key(session: &Session, settings: &Settings) -> Result<(), Error> {
    let path = settings.known_hosts.display();
    let name = known_hosts_name(settings);
    let (key, key_type) = session.host_key().ok_or(Error(format!("{name} sent no host key")))?;
    let mut known = session.known_hosts().map_err(|err| Error(err.message().into()))?;
    if settings.known_hosts.exists() {
        known.read_file(&settings.known_hosts, KnownHostFileKind::OpenSSH).map_err(|err| {
            Error(format!("the known-hosts file {path} cannot be read: {}", err.message()))
        })?;
    }
    let seen = fingerprint(session);
    let kind = key_type_name(key_type);
    match known.check_port(&settings.target, settings.port, key) {
        CheckResult::Match => Ok(()),
        CheckResult::Mismatch => Err(Error(format!(
            "the host key of {name} has CHANGED: it now sends {kind} {seen}, which is not the key \
             in {path}. Someone may be in between. If the router was replaced, remove the old \
             line with `ssh-keygen -R '{name}' -f {path}` and add the new key"
        ))),
        CheckResult::NotFound | CheckResult::Failure => Err(Error(format!(
            "the host key of {name} is not known: it sent {kind} {seen}. If that is the router's \
             fingerprint, accept it with `echo '{name} {kind} {}' >> {path}`",
            base64::encode_block(key)
        ))),
    }
}

fn fingerprint(session: &Session) -> String {
    let hash = session.host_key_hash(HashType::Sha256).unwrap_or_default();
    format!("SHA256:{}", base64::encode_block(hash).trim_end_matches('='))
}

fn key_type_name(key_type: HostKeyType) -> &'static str {
    match key_type {
        HostKeyType::Rsa => "ssh-rsa",
        HostKeyType::Dss => "ssh-dss",
        HostKeyType::Ecdsa256 => "ecdsa-sha2-nistp256",
        HostKeyType::Ecdsa384 => "ecdsa-sha2-nistp384",
        HostKeyType::Ecdsa521 => "ecdsa-sha2-nistp521",
        HostKeyType::Ed25519 => "ssh-ed25519",
        HostKeyType::Unknown => "unknown",
    }
}

/// Tries what is set: agent, private key, password.
fn log_in(session: &Session, settings: &Settings, place: &str) -> Result<(), Error> {
    let username = &settings.username;
    let methods = session.auth_methods(username).unwrap_or_default().to_string();
    let mut refused = Vec::new();
    if settings.agent
        && !session.authenticated()
        && let Err(err) = session.userauth_agent(username)
    {
        refused.push(format!("the agent's keys ({})", err.message()));
    }
    if let (Some(path), false) = (&settings.private_key, session.authenticated()) {
        let encrypted = check_private_key(path)?;
        let passphrase = settings.passphrase.as_ref().map(Secret::expose);
        let path_shown = path.display();
        if encrypted && passphrase.is_none() {
            return Err(Error(format!(
                "the private key {path_shown} is encrypted and no passphrase is set \
                 (passphrase_file)"
            )));
        }
        match session.userauth_pubkey_file(username, None, path, passphrase) {
            Ok(()) => {}
            // LIBSSH2_ERROR_FILE: the key could not be opened with the passphrase.
            Err(err) if err.code() == ErrorCode::Session(-16) && encrypted => {
                return Err(Error(format!(
                    "the passphrase does not open the private key {path_shown}"
                )));
            }
            Err(err) if err.code() == ErrorCode::Session(-16) => {
                return Err(Error(format!(
                    "the private key {path_shown} cannot be used: {}",
                    err.message()
                )));
            }
            Err(err) => refused.push(format!("the key {path_shown} ({})", err.message())),
        }
    }
    if let (Some(password), false) = (&settings.password, session.authenticated()) {
        // Where RADIUS or TACACS ask, only keyboard-interactive may be offered.
        let interactive = methods.contains("keyboard-interactive");
        let asked = if interactive && !methods.contains("password") {
            session.userauth_keyboard_interactive(username, &mut Answer(password))
        } else {
            session.userauth_password(username, password.expose())
        };
        if let Err(err) = asked {
            refused.push(format!("the password ({})", err.message()));
        }
    }
    if session.authenticated() {
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

/// Answers every question with the password.
struct Answer<'a>(&'a Secret);

impl KeyboardInteractivePrompt for Answer<'_> {
    fn prompt<'a>(&mut self, _: &str, _: &str, prompts: &[Prompt<'a>]) -> Vec<String> {
        prompts.iter().map(|_| self.0.expose().to_string()).collect()
    }
}

/// What a router may send ahead; libssh2 takes all of it into memory at once. No router fills it
/// faster than it is read, unless it is half the world away.
const WINDOW_BYTES: u32 = 256 << 10;
const PACKET_BYTES: u32 = 32 << 10;

fn start_subsystem(session: &Session) -> Result<Channel, ssh2::Error> {
    let mut channel = session.channel_open("session", WINDOW_BYTES, PACKET_BYTES, None)?;
    channel.handle_extended_data(ExtendedData::Ignore)?;
    channel.subsystem("netconf")?;
    Ok(channel)
}

impl Ssh {
    fn limit_call(&self) -> io::Result<()> {
        self.session.set_timeout(millis(time_left(self.deadline)?));
        Ok(())
    }
}

/// libssh2's own words, and its time-outs as time-outs.
fn to_io(err: io::Error) -> io::Error {
    match err.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => timed_out(),
        _ => err,
    }
}

impl Read for Ssh {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.limit_call()?;
        self.channel.read(into).map_err(to_io)
    }
}

impl Write for Ssh {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.limit_call()?;
        self.channel.write(bytes).map_err(to_io)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Ssh {
    fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    fn idle(&mut self) -> io::Result<Option<Duration>> {
        self.session.set_timeout(1000);
        let next = self.session.keepalive_send().map_err(io::Error::from)?;
        Ok(Some(Duration::from_secs(u64::from(next.max(1)))))
    }
}
