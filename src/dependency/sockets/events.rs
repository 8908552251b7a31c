//! The ends of Linux's TCP connections, as the kernel tells them: those that live between two
//! readings are known by nothing else.
//!
//! A thread of its own waits for them, because the kernel keeps few. It is woken by an end, takes
//! what else comes in the next tenth of a second, and waits again: a machine without connections
//! wakes nobody.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::diag::{self, Message};
use super::netlink::MESSAGE_BYTES_MAX;
use crate::base::sync::lock;
use crate::base::{panics, sys};
use crate::dependency::{Protocol, Socket};

/// `SKNLGRP_INET_TCP_DESTROY` and `SKNLGRP_INET6_TCP_DESTROY` of linux/sock_diag.h, a bit for each.
const GROUPS: u32 = 1 | 1 << 2;
/// What the kernel keeps of a namespace's ends between two looks, if it may: each takes 1,280
/// bytes, and the kernel grants twice as much.
const KERNEL_BYTES: u32 = 8 << 20;
/// So many ends of a namespace are kept from one reading to the next; more are lost, and counted.
const ENDS_MAX: usize = 50_000;
/// How long more of them are waited for before they are taken.
const TOGETHER: Duration = Duration::from_millis(100);

/// What ended in a network namespace.
#[derive(Default)]
pub struct Ends {
    pub sockets: Vec<Socket>,
    /// How many there was no room for; one for each time that the kernel had none.
    pub lost: u64,
}

/// A namespace's source of ends, and what came from it.
struct Heard {
    source: Arc<File>,
    ends: Ends,
}

type Shared = Arc<Mutex<HashMap<u64, Heard>>>;

/// Hears of ends until it is dropped.
pub struct Events {
    heard: Shared,
    /// A byte tells the thread of another namespace; the end of it, to end.
    wake: UnixStream,
}

impl Events {
    pub fn start() -> io::Result<Events> {
        let (wake, woken) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        let heard = Shared::default();
        let theirs = heard.clone();
        let run = move || {
            panics::keep_running(|| listen(&theirs, &woken), |time| waits(&woken, time));
        };
        std::thread::Builder::new().name("dependency_ends".into()).spawn(run)?;
        Ok(Events { heard, wake })
    }

    /// A source of ends in the network namespace of this thread.
    pub fn source() -> io::Result<File> {
        sys::sock_diag_events(GROUPS, KERNEL_BYTES)
    }

    /// Hears of what ends in a namespace from now on.
    pub fn add(&mut self, namespace: u64, source: File) -> io::Result<()> {
        let heard = Heard { source: Arc::new(source), ends: Ends::default() };
        lock(&self.heard).insert(namespace, heard);
        self.wake.write_all(b"+")
    }

    pub fn remove(&mut self, namespace: u64) {
        lock(&self.heard).remove(&namespace);
        // The thread lets go of it when it is woken. If it cannot be, it has ended.
        let _ = self.wake.write_all(b"-");
    }

    /// What ended in a namespace since this was asked before.
    pub fn take(&self, namespace: u64) -> Ends {
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        let mut heard = lock(&self.heard);
        let Some(heard) = heard.get_mut(&namespace) else { return Ends::default() };
        heard.drain(&mut buffer);
        std::mem::take(&mut heard.ends)
    }
}

/// Waits for so long, or to be told to end.
fn waits(woken: &UnixStream, time: Duration) -> bool {
    let mut files = [pollfd(woken)];
    matches!(sys::poll(&mut files, Some(time)), Ok(ready) if ready > 0) && is_over(woken)
}

fn pollfd(file: &impl AsRawFd) -> libc::pollfd {
    libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 }
}

/// Takes what woke the thread; whether that was the end.
fn is_over(mut woken: &UnixStream) -> bool {
    match woken.read(&mut [0; 64]) {
        Ok(bytes) => bytes == 0,
        Err(err) => err.kind() != io::ErrorKind::WouldBlock,
    }
}

fn listen(heard: &Shared, woken: &UnixStream) {
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    loop {
        let sources: Vec<Arc<File>> =
            lock(heard).values().map(|heard| heard.source.clone()).collect();
        let mut files = vec![pollfd(woken)];
        files.extend(sources.iter().map(pollfd));
        if sys::poll(&mut files, None).is_err() || files[0].revents != 0 && is_over(woken) {
            return;
        }
        if files[0].revents == 0 {
            for heard in lock(heard).values_mut() {
                heard.drain(&mut buffer);
            }
            if waits(woken, TOGETHER) {
                return;
            }
        }
    }
}

impl Heard {
    fn drain(&mut self, buffer: &mut [u8]) {
        loop {
            match (&*self.source).read(buffer) {
                Ok(bytes) => self.ends.read(&buffer[..bytes]),
                Err(err) if err.raw_os_error() == Some(libc::ENOBUFS) => self.ends.lost += 1,
                Err(_) => return,
            }
        }
    }
}

impl Ends {
    fn read(&mut self, bytes: &[u8]) {
        diag::messages(bytes, Protocol::Tcp, diag::UNASKED, |message| {
            let Message::Row(row) = message else { return };
            if self.sockets.len() < ENDS_MAX {
                self.sockets.push(row.socket);
            } else {
                self.lost += 1;
            }
        });
    }
}
