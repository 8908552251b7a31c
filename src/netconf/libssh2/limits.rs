//! What libssh2 may take: memory, from functions that count it, and the socket, through functions
//! that look at the deadline.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::ptr::{NonNull, null_mut};
use std::time::{Duration, Instant};

use libssh2_sys as raw;

use crate::base::secret::Secret;
use crate::base::sys;
use crate::netconf::transport::time_left;

/// What libssh2 may hold for a session. Its own buffers take 80 kB, what one call reads ahead
/// takes up to 400 kB; the rest is for packets that the server sends unasked.
pub const MEMORY_BYTES_MAX: usize = 2 << 20;
/// What one call may read from the socket: less than the memory for it, were all of it packets
/// of one byte.
const READ_BYTES_MAX: usize = 128 << 10;
/// Before each block of memory lies a `Header`; malloc and the list of blocks have about as much of
/// their own.
const HEADER_BYTES: usize = size_of::<Header>();
const OVERHEAD_BYTES: usize = 3 * HEADER_BYTES;
/// How long the rest of a message may stay away while keys are exchanged again.
const REST_OF_MESSAGE: Duration = Duration::from_millis(200);

/// Lies before each block of memory, aligned as malloc aligns.
#[repr(C, align(16))]
struct Header {
    /// What the block counts for.
    bytes: usize,
    /// Its place in the list of blocks.
    index: usize,
}

/// What libssh2 hands to the functions below.
pub struct Limits {
    pub socket: TcpStream,
    pub deadline: Cell<Instant>,
    memory_bytes: Cell<usize>,
    /// All blocks of memory; the session's end frees those that libssh2 forgot.
    blocks: RefCell<Vec<NonNull<Header>>>,
    last_block: Cell<*mut c_void>,
    /// What libssh2 holds from the first message of a repeated key exchange to its end; else null.
    exchange: Cell<*mut c_void>,
    pub session: Cell<*mut raw::LIBSSH2_SESSION>,
    /// Keys were exchanged for the first time.
    pub has_keys: Cell<bool>,
    /// An allocation failed because of `MEMORY_BYTES_MAX`.
    pub is_full: Cell<bool>,
    /// What the present call has read.
    pub read_bytes: Cell<usize>,
    /// Whether the socket may hold more than the present call has read.
    pub has_more: Cell<bool>,
    /// The session is at its end: what is sent is thrown away, and nothing is read.
    pub is_over: Cell<bool>,
    /// The answer to every question of keyboard-interactive, and whether freed memory is wiped.
    pub answer: Cell<Option<NonNull<Secret>>>,
    pub wipes: Cell<bool>,
}

/// # Safety
/// `limits` is what libssh2 hands to a function that `Session::new` gave it.
pub unsafe fn limits_of<'a>(limits: *mut *mut c_void) -> &'a Limits {
    unsafe { &*(*limits).cast::<Limits>() }
}

pub extern "C" fn allocate(bytes: usize, limits: *mut *mut c_void) -> *mut c_void {
    reallocate(null_mut(), bytes, limits)
}

pub extern "C" fn reallocate(
    memory: *mut c_void,
    bytes: usize,
    limits: *mut *mut c_void,
) -> *mut c_void {
    // SAFETY: the memory is null or one of ours, behind its header, which is in the list of blocks.
    unsafe {
        let limits = limits_of(limits);
        let mut blocks = limits.blocks.borrow_mut();
        let header = header_of(memory);
        let (before, index) = match header.as_ref() {
            Some(header) => (header.bytes, header.index),
            None => (0, blocks.len()),
        };
        let after = bytes.saturating_add(OVERHEAD_BYTES);
        let total = (limits.memory_bytes.get() - before).saturating_add(after);
        if total > MEMORY_BYTES_MAX {
            limits.is_full.set(true);
            return null_mut();
        }
        let header = libc::realloc(header.cast(), HEADER_BYTES + bytes).cast::<Header>();
        let Some(block) = NonNull::new(header) else { return null_mut() };
        block.write(Header { bytes: after, index });
        match blocks.get_mut(index) {
            Some(place) => *place = block,
            None => blocks.push(block),
        }
        limits.memory_bytes.set(total);
        let memory = header.byte_add(HEADER_BYTES).cast();
        limits.last_block.set(memory);
        memory
    }
}

pub extern "C" fn release(memory: *mut c_void, limits: *mut *mut c_void) {
    // SAFETY: the memory is null or one of ours, behind its header, which is in the list of blocks.
    unsafe {
        let limits = limits_of(limits);
        let Some(header) = NonNull::new(header_of(memory)) else { return };
        let Header { bytes, index } = header.read();
        if limits.wipes.get() {
            // It may have held the password.
            libc::explicit_bzero(memory, bytes - OVERHEAD_BYTES);
        }
        if limits.exchange.get() == memory {
            limits.exchange.set(null_mut());
        }
        let mut blocks = limits.blocks.borrow_mut();
        blocks.swap_remove(index);
        if let Some(moved) = blocks.get_mut(index) {
            moved.as_mut().index = index;
        }
        limits.memory_bytes.set(limits.memory_bytes.get() - bytes);
        libc::free(header.as_ptr().cast());
    }
}

/// Null for null.
///
/// # Safety
/// The memory is null, or comes from `reallocate`.
unsafe fn header_of(memory: *mut c_void) -> *mut Header {
    if memory.is_null() { null_mut() } else { unsafe { memory.byte_sub(HEADER_BYTES).cast() } }
}

impl Limits {
    pub fn new(socket: TcpStream, deadline: Instant) -> Limits {
        Limits {
            socket,
            deadline: Cell::new(deadline),
            memory_bytes: Cell::new(0),
            blocks: RefCell::default(),
            last_block: Cell::new(null_mut()),
            exchange: Cell::new(null_mut()),
            session: Cell::new(null_mut()),
            has_keys: Cell::new(false),
            is_full: Cell::new(false),
            read_bytes: Cell::new(0),
            has_more: Cell::new(false),
            is_over: Cell::new(false),
            answer: Cell::new(None),
            wipes: Cell::new(true),
        }
    }

    /// Whether libssh2 is in a repeated key exchange: from its own first message, which it sends
    /// when it has no method of exchange, to the moment when it frees its copy of that message.
    pub fn is_exchanging(&self) -> bool {
        !self.exchange.get().is_null()
    }

    /// Waits for the socket, for so long or until the deadline; whether it is ready.
    pub fn wait(&self, events: i16, at_most: Duration) -> bool {
        let Ok(left) = time_left(self.deadline.get()) else { return false };
        let fd = self.socket.as_raw_fd();
        let mut polled = [libc::pollfd { fd, events, revents: 0 }];
        // An error of poll shows at the next call.
        let _ = sys::poll(&mut polled, Some(left.min(at_most)));
        polled[0].revents != 0
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        for block in self.blocks.take() {
            // SAFETY: it is one of ours, and the session that held it has ended.
            unsafe { libc::free(block.as_ptr().cast()) };
        }
    }
}

pub type ReceiveFn = extern "C" fn(c_int, *mut c_void, usize, c_int, *mut *mut c_void) -> isize;
pub type SendFn = extern "C" fn(c_int, *const c_void, usize, c_int, *mut *mut c_void) -> isize;

/// Reads from the socket: a number of bytes, or minus an `errno`.
pub extern "C" fn receive(
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
        if limits.is_exchanging() {
            return receive_messages(limits, into, bytes);
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

/// Waits for bytes until the deadline, and then until no more come.
///
/// # Safety
/// There is room for so many bytes.
unsafe fn receive_messages(limits: &Limits, into: *mut c_void, bytes: usize) -> isize {
    let mut done = 0;
    while done < bytes
        && limits.wait(libc::POLLIN, if done == 0 { Duration::MAX } else { REST_OF_MESSAGE })
    {
        let rest = into.wrapping_byte_add(done);
        // SAFETY: there is room for the rest.
        let read = unsafe {
            or_errno(libc::recv(limits.socket.as_raw_fd(), rest, bytes - done, libc::MSG_DONTWAIT))
        };
        match usize::try_from(read) {
            // The end of the stream, which shows again at the next call.
            Ok(0) => return done as isize,
            Ok(more) => done += more,
            Err(_) if done > 0 || read == -(libc::EAGAIN as isize) => {}
            Err(_) => return read,
        }
    }
    if done == 0 { -(libc::ETIMEDOUT as isize) } else { done as isize }
}

pub extern "C" fn send(
    socket: c_int,
    from: *const c_void,
    bytes: usize,
    _flags: c_int,
    limits: *mut *mut c_void,
) -> isize {
    // SAFETY: libssh2 gives so many bytes.
    unsafe {
        let limits = limits_of(limits);
        if limits.is_over.get() {
            return bytes as isize;
        }
        let session = limits.session.get();
        let method = raw::LIBSSH2_METHOD_KEX;
        if limits.has_keys.get() && raw::libssh2_session_methods(session, method).is_null() {
            // What libssh2 allocated last is the message that it sends.
            limits.exchange.set(limits.last_block.get());
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let again = -(libc::EAGAIN as isize);
        loop {
            let sent = or_errno(libc::send(socket, from, bytes, flags));
            if sent != again || !limits.is_exchanging() {
                return sent;
            }
            if !limits.wait(libc::POLLOUT, Duration::MAX) {
                return -(libc::ETIMEDOUT as isize);
            }
        }
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
