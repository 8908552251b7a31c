//! The part of libssh2 that perijove uses, with limits that libssh2 lacks.
//!
//! libssh2 keeps every packet that was not asked for, however many come, and keeps reading while
//! there is data, past its own time limit. So a session here takes its memory from functions that
//! count (`limits::MEMORY_BYTES_MAX`), and reads its socket through a function that looks at the
//! deadline and lets no call read more than `READ_BYTES_MAX` before it returns what it has.
//!
//! When a server exchanges keys again, libssh2 must not return from a call in the middle of a
//! message: it would forget the memory for it, and later read through a null pointer
//! (docs/upstream-libssh2.md). So until the exchange ends, the functions wait for the socket in
//! libssh2's place, and a session of which they wait in vain is given up.
#![allow(unsafe_code)]

mod chacha20_poly1305;
mod limits;

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::{NonNull, null, null_mut};
use std::time::Instant;

use libssh2_sys as raw;

use self::limits::{
    Limits, MEMORY_BYTES_MAX, ReceiveFn, SendFn, allocate, limits_of, reallocate, receive, release,
    send,
};
use super::transport::{time_left, timed_out};
use crate::base::secret::Secret;
use crate::base::text::first_line;

// What libssh2.h has and libssh2-sys lacks.
const LIBSSH2_CALLBACK_SEND: c_int = 5;
const LIBSSH2_CALLBACK_RECV: c_int = 6;
type Callback = extern "C" fn();
type SignFn = extern "C" fn(
    *mut raw::LIBSSH2_SESSION,
    *mut *mut u8,
    *mut usize,
    *const u8,
    usize,
    *mut *mut c_void,
) -> c_int;
unsafe extern "C" {
    fn libssh2_userauth_publickey(
        session: *mut raw::LIBSSH2_SESSION,
        username: *const c_char,
        key: *const u8,
        key_bytes: usize,
        sign: SignFn,
        signer: *mut *mut c_void,
    ) -> c_int;
    fn libssh2_session_callback_set2(
        session: *mut raw::LIBSSH2_SESSION,
        kind: c_int,
        callback: Callback,
    ) -> Option<Callback>;
}

/// Which list of algorithms.
#[derive(Clone, Copy)]
pub enum Method {
    KeyExchange = raw::LIBSSH2_METHOD_KEX as isize,
    HostKey = raw::LIBSSH2_METHOD_HOSTKEY as isize,
    CipherOut = raw::LIBSSH2_METHOD_CRYPT_CS as isize,
    CipherIn = raw::LIBSSH2_METHOD_CRYPT_SC as isize,
    MacOut = raw::LIBSSH2_METHOD_MAC_CS as isize,
    MacIn = raw::LIBSSH2_METHOD_MAC_SC as isize,
}

/// Signs data; the error is one of libssh2's codes.
pub type Signer<'a> = &'a mut dyn FnMut(&[u8]) -> Result<Vec<u8>, c_int>;

/// Why a call failed.
#[derive(Debug)]
pub struct Failure {
    /// One of libssh2's error codes.
    pub code: c_int,
    pub what: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> io::Error {
        match failure.code {
            raw::LIBSSH2_ERROR_TIMEOUT => timed_out(),
            _ => io::Error::other(failure.what),
        }
    }
}

/// Whether libssh2 has SHA-1, which old devices need. It leaves that out unless its compiler is
/// told otherwise, as .cargo/config.toml tells it; `cargo install` from elsewhere does not read it.
pub fn has_sha1() -> bool {
    raw::init();
    let mut names: *mut *const c_char = null_mut();
    // SAFETY: libssh2 makes a session with malloc for its memory, and a list of as many static
    // texts as it says, which is freed before the session is.
    unsafe {
        let session = raw::libssh2_session_init_ex(None, None, None, null_mut());
        if session.is_null() {
            return false;
        }
        let kind = raw::LIBSSH2_METHOD_MAC_CS;
        let count = raw::libssh2_session_supported_algs(session, kind, &mut names);
        let count = usize::try_from(count).unwrap_or(0);
        let found = (0..count).any(|at| CStr::from_ptr(*names.add(at)) == c"hmac-sha1");
        if count > 0 {
            raw::libssh2_free(session, names.cast());
        }
        raw::libssh2_session_free(session);
        found
    }
}

/// An SSH session with at most one channel. No call waits longer than until the deadline; after
/// one that failed for it the session is of no more use.
pub struct Session {
    session: NonNull<raw::LIBSSH2_SESSION>,
    channel: *mut raw::LIBSSH2_CHANNEL,
    /// From a box: libssh2 keeps the pointer.
    limits: NonNull<Limits>,
}

// SAFETY: libssh2 ties a session to no thread, and its methods that act take `&mut self`.
unsafe impl Send for Session {}

impl Session {
    pub fn new(socket: TcpStream, deadline: Instant) -> io::Result<Session> {
        raw::init();
        socket.set_nonblocking(true)?;
        let limits = Box::new(Limits::new(socket, deadline));
        let limits = NonNull::from(Box::leak(limits));
        // SAFETY: the functions have the types that libssh2 calls them with, and `limits` lives
        // until the session is freed.
        unsafe {
            let session = raw::libssh2_session_init_ex(
                Some(allocate),
                Some(release),
                Some(reallocate),
                limits.as_ptr().cast(),
            );
            let Some(session) = NonNull::new(session) else {
                drop(Box::from_raw(limits.as_ptr()));
                return Err(io::ErrorKind::OutOfMemory.into());
            };
            limits.as_ref().session.set(session.as_ptr());
            raw::libssh2_session_set_blocking(session.as_ptr(), 0);
            let receive = std::mem::transmute::<ReceiveFn, Callback>(receive);
            libssh2_session_callback_set2(session.as_ptr(), LIBSSH2_CALLBACK_RECV, receive);
            let send = std::mem::transmute::<SendFn, Callback>(send);
            libssh2_session_callback_set2(session.as_ptr(), LIBSSH2_CALLBACK_SEND, send);
            Ok(Session { session, channel: null_mut(), limits })
        }
    }

    fn limits(&self) -> &Limits {
        // SAFETY: it lives as long as the session, and is never borrowed mutably.
        unsafe { self.limits.as_ref() }
    }

    pub fn set_deadline(&self, deadline: Instant) {
        self.limits().deadline.set(deadline);
    }

    /// Calls until the call no longer waits for the socket. What it returns is 0 or more, or one
    /// of libssh2's errors.
    fn drive(&self, mut call: impl FnMut() -> isize) -> Result<usize, Failure> {
        let limits = self.limits();
        loop {
            limits.read_bytes.set(0);
            limits.has_more.set(false);
            let code = match call() {
                done @ 0.. => return Ok(done as usize),
                code => code as c_int,
            };
            if limits.is_full.get() {
                limits.is_over.set(true);
                let what = format!(
                    "the server sent more than {MEMORY_BYTES_MAX} bytes of SSH packets that \
                     nobody asked for"
                );
                return Err(Failure { code: raw::LIBSSH2_ERROR_ALLOC, what });
            }
            let left = time_left(limits.deadline.get());
            if code == raw::LIBSSH2_ERROR_EAGAIN && limits.is_exchanging() && left.is_ok() {
                limits.is_over.set(true);
                let what = "the server exchanged keys again and stopped in the middle of a message";
                return Err(Failure {
                    code: raw::LIBSSH2_ERROR_KEY_EXCHANGE_FAILURE,
                    what: what.into(),
                });
            }
            if code != raw::LIBSSH2_ERROR_EAGAIN && left.is_ok() {
                return Err(self.failure(code));
            }
            let Ok(left) = left else {
                // libssh2 frees no session with half a packet on its way out: the same call once
                // more takes it for sent.
                limits.is_over.set(true);
                call();
                let what = timed_out().to_string();
                return Err(Failure { code: raw::LIBSSH2_ERROR_TIMEOUT, what });
            };
            if !limits.has_more.get() {
                // SAFETY: the session is ours.
                let directions =
                    unsafe { raw::libssh2_session_block_directions(self.session.as_ptr()) };
                let mut events = libc::POLLIN;
                if directions & raw::LIBSSH2_SESSION_BLOCK_OUTBOUND != 0 {
                    events |= libc::POLLOUT;
                }
                limits.wait(events, left);
            }
        }
    }

    /// What libssh2 says of its last error.
    fn failure(&self, code: c_int) -> Failure {
        let (mut words, mut bytes) = (null_mut(), 0);
        // SAFETY: libssh2 gives a pointer to words of its own with their length, and keeps them
        // until its next call.
        let words = unsafe {
            raw::libssh2_session_last_error(self.session.as_ptr(), &mut words, &mut bytes, 0);
            bytes_at(words.cast(), usize::try_from(bytes).unwrap_or_default())
        };
        let words = first_line(&String::from_utf8_lossy(words));
        let what = if words.is_empty() { format!("error {code} of libssh2") } else { words };
        Failure { code, what }
    }

    fn last_code(&self) -> isize {
        // SAFETY: the session is ours.
        unsafe { raw::libssh2_session_last_errno(self.session.as_ptr()) as isize }
    }

    /// Algorithms, first choice first, with commas between.
    pub fn prefer(&mut self, method: Method, names: &str) -> Result<(), Failure> {
        let names = c_string(names)?;
        // SAFETY: the names end with a zero.
        self.drive(|| unsafe {
            let session = self.session.as_ptr();
            raw::libssh2_session_method_pref(session, method as c_int, names.as_ptr()) as isize
        })?;
        Ok(())
    }

    pub fn handshake(&mut self) -> Result<(), Failure> {
        let socket = self.limits().socket.as_raw_fd();
        // SAFETY: the socket is open as long as the session is.
        self.drive(|| unsafe {
            raw::libssh2_session_handshake(self.session.as_ptr(), socket) as isize
        })?;
        self.limits().has_keys.set(true);
        self.keep_algorithms()
    }

    /// From now on no others are agreed on: when a server exchanges keys again, libssh2 reads what
    /// comes with the new algorithms, and the old ones' state, which is not of their kind.
    fn keep_algorithms(&mut self) -> Result<(), Failure> {
        use Method::*;
        for method in [HostKey, CipherOut, CipherIn, MacOut, MacIn] {
            // SAFETY: the name, if there is one, is static and ends with a zero.
            let name = unsafe {
                let name = raw::libssh2_session_methods(self.session.as_ptr(), method as c_int);
                (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy().into_owned())
            };
            let kept = name.map_or(Ok(()), |name| self.prefer(method, &name));
            match kept {
                // A cipher that needs no MAC brings its own, which cannot be chosen.
                Err(err) if err.code == raw::LIBSSH2_ERROR_METHOD_NOT_SUPPORTED => {}
                kept => kept?,
            }
        }
        Ok(())
    }

    /// The server's host key, as on the wire (RFC 4253 section 6.6).
    pub fn host_key(&self) -> &[u8] {
        let (mut bytes, mut kind) = (0, 0);
        // SAFETY: libssh2 gives a pointer to the key with its length, and keeps it.
        unsafe {
            let session = self.session.as_ptr();
            let key = raw::libssh2_session_hostkey(session, &mut bytes, &mut kind);
            bytes_at(key.cast(), bytes)
        }
    }

    /// The methods of login that the server offers.
    pub fn login_methods(&mut self, username: &str) -> Result<String, Failure> {
        let mut methods = null_mut();
        // SAFETY: the name is as long as it is said to be; the list ends with a zero and lives
        // until the next call of the kind.
        self.drive(|| unsafe {
            let (name, bytes) = text(username);
            methods = raw::libssh2_userauth_list(self.session.as_ptr(), name, bytes);
            if methods.is_null() && !self.is_logged_in() { self.last_code() } else { 0 }
        })?;
        if methods.is_null() {
            return Ok(String::new());
        }
        let methods = unsafe { CStr::from_ptr(methods) };
        Ok(first_line(&methods.to_string_lossy()))
    }

    pub fn is_logged_in(&self) -> bool {
        // SAFETY: the session is ours.
        unsafe { raw::libssh2_userauth_authenticated(self.session.as_ptr()) != 0 }
    }

    /// Whether it is of no more use, after a call that reached the deadline or a limit.
    pub fn is_over(&self) -> bool {
        self.limits().is_over.get()
    }

    pub fn log_in_with_key(
        &mut self,
        username: &str,
        key: &Path,
        passphrase: Option<&Secret>,
    ) -> Result<(), Failure> {
        let key = c_string(&key.to_string_lossy())?;
        let passphrase = passphrase.map(|secret| c_string(secret.expose())).transpose()?;
        let passphrase = passphrase.as_ref().map_or(null(), |phrase| phrase.as_ptr());
        // SAFETY: the name is as long as it is said to be, the others end with a zero.
        self.drive(|| unsafe {
            let ((name, bytes), session) = (text(username), self.session.as_ptr());
            raw::libssh2_userauth_publickey_fromfile_ex(
                session,
                name,
                bytes,
                null(),
                key.as_ptr(),
                passphrase,
            ) as isize
        })?;
        Ok(())
    }

    pub fn log_in_with_password(
        &mut self,
        username: &str,
        password: &Secret,
    ) -> Result<(), Failure> {
        // SAFETY: both are as long as they are said to be.
        self.drive(|| unsafe {
            let ((name, bytes), session) = (text(username), self.session.as_ptr());
            let (password, length) = text(password.expose());
            raw::libssh2_userauth_password_ex(session, name, bytes, password, length, None) as isize
        })?;
        Ok(())
    }

    /// Keyboard-interactive: the answer to each question is the password.
    pub fn log_in_with_answers(
        &mut self,
        username: &str,
        password: &Secret,
    ) -> Result<(), Failure> {
        self.limits().answer.set(Some(NonNull::from(password)));
        // SAFETY: the name is as long as it is said to be, and the password outlives the calls.
        let done = self.drive(|| unsafe {
            let ((name, bytes), session) = (text(username), self.session.as_ptr());
            raw::libssh2_userauth_keyboard_interactive_ex(session, name, bytes, Some(answer))
                as isize
        });
        self.limits().answer.set(None);
        done.map(drop)
    }

    /// Offers a public key, as on the wire; `sign` makes signatures that it checks.
    pub fn log_in_with_signer(
        &mut self,
        username: &str,
        key: &[u8],
        mut sign: Signer,
    ) -> Result<(), Failure> {
        let username = c_string(username)?;
        let mut signer = std::ptr::from_mut(&mut sign).cast();
        // SAFETY: the name ends with a zero, the key is as long as it is said to be, and `sign`
        // outlives the calls.
        self.drive(|| unsafe {
            libssh2_userauth_publickey(
                self.session.as_ptr(),
                username.as_ptr(),
                key.as_ptr(),
                key.len(),
                sign_with,
                &mut signer,
            ) as isize
        })?;
        Ok(())
    }

    /// Opens the session's channel and starts the subsystem in it. The window is what the server
    /// may send ahead.
    pub fn start_subsystem(
        &mut self,
        name: &str,
        window_bytes: u32,
        packet_bytes: u32,
    ) -> Result<(), Failure> {
        self.limits().wipes.set(false);
        let mut channel = null_mut();
        // SAFETY: all texts are as long as they are said to be.
        unsafe {
            self.drive(|| {
                let ((kind, bytes), session) = (text("session"), self.session.as_ptr());
                channel = raw::libssh2_channel_open_ex(
                    session,
                    kind,
                    bytes,
                    window_bytes,
                    packet_bytes,
                    null(),
                    0,
                );
                if channel.is_null() { self.last_code() } else { 0 }
            })?;
            self.channel = channel;
            // What the subsystem's command says on its standard error.
            let ignore = raw::LIBSSH2_CHANNEL_EXTENDED_DATA_IGNORE;
            self.drive(|| raw::libssh2_channel_handle_extended_data2(channel, ignore) as isize)?;
            self.drive(|| {
                let ((request, bytes), (name, length)) = (text("subsystem"), text(name));
                raw::libssh2_channel_process_startup(channel, request, bytes, name, length) as isize
            })?;
        }
        Ok(())
    }

    /// 0 once the server has closed the channel.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize, Failure> {
        let channel = self.open_channel()?;
        // SAFETY: the room is as long as it is said to be.
        self.drive(|| unsafe {
            let room = into.as_mut_ptr().cast();
            match raw::libssh2_channel_read_ex(channel, 0, room, into.len()) {
                0 if raw::libssh2_channel_eof(channel) == 0 => raw::LIBSSH2_ERROR_EAGAIN as isize,
                read => read,
            }
        })
    }

    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, Failure> {
        let channel = self.open_channel()?;
        // SAFETY: the bytes are as many as it is said.
        self.drive(|| unsafe {
            let from = bytes.as_ptr().cast();
            raw::libssh2_channel_write_ex(channel, 0, from, bytes.len()) as isize
        })
    }

    fn open_channel(&self) -> Result<*mut raw::LIBSSH2_CHANNEL, Failure> {
        if self.channel.is_null() || self.limits().is_over.get() {
            let what = "the session is at its end".into();
            return Err(Failure { code: raw::LIBSSH2_ERROR_CHANNEL_CLOSED, what });
        }
        Ok(self.channel)
    }

    /// Keepalives ask for no answer: libssh2 would keep each one.
    pub fn set_keepalive(&mut self, seconds: u32) {
        // SAFETY: takes numbers only.
        unsafe { raw::libssh2_keepalive_config(self.session.as_ptr(), 0, seconds) }
    }

    /// Sends a keepalive if it is due. In how many seconds the next one is.
    pub fn keep_alive(&mut self) -> Result<u32, Failure> {
        let mut next = 0;
        // SAFETY: writes a number of ours.
        self.drive(|| unsafe {
            raw::libssh2_keepalive_send(self.session.as_ptr(), &mut next) as isize
        })?;
        Ok(u32::try_from(next).unwrap_or_default())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let session = self.session.as_ptr();
        // SAFETY: nothing of the session is used afterwards; the limits go after it.
        unsafe {
            if !self.limits().is_over.get() {
                let why = raw::SSH_DISCONNECT_BY_APPLICATION;
                raw::libssh2_session_disconnect_ex(session, why, c"".as_ptr(), c"".as_ptr());
            }
            self.limits().is_over.set(true);
            // With nothing left to wait for, the second call at the latest frees it.
            for _ in 0..4 {
                if raw::libssh2_session_free(session) != raw::LIBSSH2_ERROR_EAGAIN {
                    break;
                }
            }
            drop(Box::from_raw(self.limits.as_ptr()));
        }
    }
}

fn c_string(text: &str) -> Result<CString, Failure> {
    let what = "a name, path or secret has a zero byte";
    CString::new(text).map_err(|_| Failure { code: raw::LIBSSH2_ERROR_INVAL, what: what.into() })
}

/// A text with its length, as libssh2 takes it.
fn text(text: &str) -> (*const c_char, c_uint) {
    (text.as_ptr().cast(), c_uint::try_from(text.len()).unwrap_or_default())
}

/// # Safety
/// There are so many bytes, or none where the pointer is null, and they live for `'a`.
unsafe fn bytes_at<'a>(start: *const u8, bytes: usize) -> &'a [u8] {
    if start.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(start, bytes) } }
}

/// Keyboard-interactive's questions (RFC 4256 section 3.2).
extern "C" fn answer(
    _name: *const c_char,
    _name_bytes: c_int,
    _instruction: *const c_char,
    _instruction_bytes: c_int,
    questions: c_int,
    _prompts: *const raw::LIBSSH2_USERAUTH_KBDINT_PROMPT,
    responses: *mut raw::LIBSSH2_USERAUTH_KBDINT_RESPONSE,
    limits: *mut *mut c_void,
) {
    // SAFETY: there are as many responses as questions, and libssh2 frees their texts by
    // `release`; the password outlives the call.
    unsafe {
        let Some(password) = limits_of(limits).answer.get() else { return };
        let password = password.as_ref().expose().as_bytes();
        for question in 0..usize::try_from(questions).unwrap_or_default() {
            let response = &mut *responses.add(question);
            let room = allocate(password.len(), limits);
            if !room.is_null() {
                room.cast::<u8>().copy_from_nonoverlapping(password.as_ptr(), password.len());
                response.text = room.cast();
                response.length = password.len() as c_uint;
            }
        }
    }
}

/// Gives what the `Signer` makes of the data, in memory that libssh2 frees.
extern "C" fn sign_with(
    session: *mut raw::LIBSSH2_SESSION,
    signature: *mut *mut u8,
    signature_bytes: *mut usize,
    data: *const u8,
    data_bytes: usize,
    signer: *mut *mut c_void,
) -> c_int {
    // SAFETY: `signer` leads to what `log_in_with_signer` holds; the data is as long as it is said
    // to be; the session's abstract pointer leads to its limits.
    unsafe {
        let signer: &mut Signer = &mut *(*signer).cast();
        let made = match signer(bytes_at(data, data_bytes)) {
            Ok(made) => made,
            Err(code) => return code,
        };
        let room = allocate(made.len(), raw::libssh2_session_abstract(session));
        if room.is_null() {
            return raw::LIBSSH2_ERROR_ALLOC;
        }
        room.cast::<u8>().copy_from_nonoverlapping(made.as_ptr(), made.len());
        signature.write(room.cast());
        signature_bytes.write(made.len());
        0
    }
}
