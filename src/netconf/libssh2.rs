//! The part of libssh2 that perijove uses, with limits that libssh2 lacks.
//!
//! libssh2 keeps every packet that was not asked for, however many come, and keeps reading while
//! there is data, past its own time limit. So a session here takes its memory from functions that
//! count (`MEMORY_BYTES_MAX`), and reads its socket through a function that looks at the deadline
//! and lets no call read more than `READ_BYTES_MAX` before it returns what it has.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::ptr::{NonNull, null, null_mut};
use std::time::Instant;

use libssh2_sys as raw;

use super::transport::{time_left, timed_out};
use crate::base::secret::Secret;
use crate::base::sys;
use crate::base::text::first_line;

/// What libssh2 may hold for a session. Its own buffers take 80 kB, what one call reads ahead
/// takes up to 400 kB; the rest is for packets that the server sends unasked.
const MEMORY_BYTES_MAX: usize = 2 << 20;
/// What one call may read from the socket: less than the memory for it, were all of it packets
/// of one byte.
const READ_BYTES_MAX: usize = 128 << 10;
/// Before each block of memory lies its size; malloc has about as much of its own.
const HEADER_BYTES: usize = 16;
const OVERHEAD_BYTES: usize = 2 * HEADER_BYTES;
/// More keys of an agent are not tried: servers end the connection after about so many.
const AGENT_KEYS_MAX: usize = 5;

// What libssh2.h has and libssh2-sys lacks.
const LIBSSH2_CALLBACK_SEND: c_int = 5;
const LIBSSH2_CALLBACK_RECV: c_int = 6;
type Callback = extern "C" fn();
unsafe extern "C" {
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

/// What libssh2 hands to the functions below.
struct Limits {
    socket: TcpStream,
    deadline: Cell<Instant>,
    memory_bytes: Cell<usize>,
    /// An allocation failed because of `MEMORY_BYTES_MAX`.
    is_full: Cell<bool>,
    /// What the present call has read.
    read_bytes: Cell<usize>,
    /// Whether the socket may hold more than the present call has read.
    has_more: Cell<bool>,
    /// The session is at its end: what is sent is thrown away, and nothing is read.
    is_over: Cell<bool>,
    /// The answer to every question of keyboard-interactive, and whether freed memory is wiped.
    answer: Cell<Option<NonNull<Secret>>>,
    wipes: Cell<bool>,
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
        let limits = Box::new(Limits {
            socket,
            deadline: Cell::new(deadline),
            memory_bytes: Cell::new(0),
            is_full: Cell::new(false),
            read_bytes: Cell::new(0),
            has_more: Cell::new(false),
            is_over: Cell::new(false),
            answer: Cell::new(None),
            wipes: Cell::new(true),
        });
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
                let fd = limits.socket.as_raw_fd();
                // An error of poll shows at the next call.
                let _ = sys::poll(&mut [libc::pollfd { fd, events, revents: 0 }], Some(left));
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

    /// Offers the agent's keys, one after the other.
    pub fn log_in_with_agent(&mut self, username: &str) -> Result<(), Failure> {
        let username = c_string(username)?;
        // SAFETY: the agent and its keys live until the agent is freed, at the end.
        unsafe {
            let agent = raw::libssh2_agent_init(self.session.as_ptr());
            if agent.is_null() {
                return Err(self.failure(raw::LIBSSH2_ERROR_ALLOC));
            }
            let done = self.offer_keys(agent, &username);
            raw::libssh2_agent_disconnect(agent);
            raw::libssh2_agent_free(agent);
            done
        }
    }

    /// # Safety
    /// The agent is this session's.
    unsafe fn offer_keys(
        &self,
        agent: *mut raw::LIBSSH2_AGENT,
        username: &CStr,
    ) -> Result<(), Failure> {
        unsafe {
            self.drive(|| raw::libssh2_agent_connect(agent) as isize)?;
            self.drive(|| raw::libssh2_agent_list_identities(agent) as isize)?;
            let mut last = Err(Failure { code: 0, what: "it has no key".into() });
            let mut key = null_mut();
            for _ in 0..AGENT_KEYS_MAX {
                let before = key;
                if raw::libssh2_agent_get_identity(agent, &mut key, before) != 0 {
                    break;
                }
                last = self
                    .drive(|| raw::libssh2_agent_userauth(agent, username.as_ptr(), key) as isize);
                if last.is_ok() || self.limits().is_over.get() {
                    break;
                }
            }
            last.map(drop)
        }
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

/// # Safety
/// `limits` is what libssh2 hands to a function that `Session::new` gave it.
unsafe fn limits_of<'a>(limits: *mut *mut c_void) -> &'a Limits {
    unsafe { &*(*limits).cast::<Limits>() }
}

extern "C" fn allocate(bytes: usize, limits: *mut *mut c_void) -> *mut c_void {
    reallocate(null_mut(), bytes, limits)
}

extern "C" fn reallocate(
    memory: *mut c_void,
    bytes: usize,
    limits: *mut *mut c_void,
) -> *mut c_void {
    // SAFETY: the memory is null or one of ours, behind a header with its size.
    unsafe {
        let limits = limits_of(limits);
        let (block, before) = block_of(memory);
        let after = bytes.saturating_add(OVERHEAD_BYTES);
        let total = (limits.memory_bytes.get() - before).saturating_add(after);
        if total > MEMORY_BYTES_MAX {
            limits.is_full.set(true);
            return null_mut();
        }
        let block = libc::realloc(block, HEADER_BYTES + bytes);
        if block.is_null() {
            return null_mut();
        }
        limits.memory_bytes.set(total);
        block.cast::<usize>().write(after);
        block.byte_add(HEADER_BYTES)
    }
}

extern "C" fn release(memory: *mut c_void, limits: *mut *mut c_void) {
    // SAFETY: the memory is null or one of ours, behind a header with its size.
    unsafe {
        let limits = limits_of(limits);
        let (block, bytes) = block_of(memory);
        if !block.is_null() {
            if limits.wipes.get() {
                // It may have held the password.
                libc::explicit_bzero(memory, bytes - OVERHEAD_BYTES);
            }
            limits.memory_bytes.set(limits.memory_bytes.get() - bytes);
            libc::free(block);
        }
    }
}

/// The block that the memory lies in, and what it counts for.
///
/// # Safety
/// The memory is null, or comes from `reallocate`.
unsafe fn block_of(memory: *mut c_void) -> (*mut c_void, usize) {
    if memory.is_null() {
        return (null_mut(), 0);
    }
    unsafe {
        let block = memory.byte_sub(HEADER_BYTES);
        (block, block.cast::<usize>().read())
    }
}

type ReceiveFn = extern "C" fn(c_int, *mut c_void, usize, c_int, *mut *mut c_void) -> isize;
type SendFn = extern "C" fn(c_int, *const c_void, usize, c_int, *mut *mut c_void) -> isize;

/// Reads from the socket: a number of bytes, or minus an `errno`.
extern "C" fn receive(
    socket: c_int,
    into: *mut c_void,
    bytes: usize,
    _flags: c_int,
    limits: *mut *mut c_void,
) -> isize {
    // SAFETY: libssh2 gives room for so many bytes.
    unsafe {
        let limits = limits_of(limits);
        let Some(left) = time_left(limits.deadline.get()).ok().filter(|_| !limits.is_over.get())
        else {
            return -(libc::ETIMEDOUT as isize);
        };
        if socket != limits.socket.as_raw_fd() {
            // An agent's, which `drive` does not wait for.
            let agent = libc::pollfd { fd: socket, events: libc::POLLIN, revents: 0 };
            let _ = sys::poll(&mut [agent], Some(left));
        }
        if limits.read_bytes.get() >= READ_BYTES_MAX {
            limits.has_more.set(true);
            return -(libc::EAGAIN as isize);
        }
        let read = libc::recv(socket, into, bytes, libc::MSG_DONTWAIT);
        limits.has_more.set(read > 0);
        limits.read_bytes.set(limits.read_bytes.get() + usize::try_from(read).unwrap_or(0));
        or_errno(read)
    }
}

extern "C" fn send(
    socket: c_int,
    from: *const c_void,
    bytes: usize,
    _flags: c_int,
    limits: *mut *mut c_void,
) -> isize {
    // SAFETY: libssh2 gives so many bytes.
    unsafe {
        if limits_of(limits).is_over.get() {
            return bytes as isize;
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        or_errno(libc::send(socket, from, bytes, flags))
    }
}

fn or_errno(done: isize) -> isize {
    if done >= 0 {
        return done;
    }
    let err = io::Error::last_os_error();
    match err.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => -(libc::EAGAIN as isize),
        _ => -(err.raw_os_error().unwrap_or(libc::EIO) as isize),
    }
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
