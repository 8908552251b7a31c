//! Linux's sockets by netlink: one dump for each family and protocol, `sock_diag(7)`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use super::diag::{self, IPV4, IPV6, Message, Row};
use crate::base::sys;
use crate::dependency::Protocol;

/// The kernel's messages are no longer.
pub const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// It answers at once.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the kernel tells of the sockets of one network namespace.
pub struct Netlink {
    socket: File,
    buffer: Vec<u8>,
    number: u32,
}

impl Netlink {
    /// For the network namespace of this thread.
    pub fn open() -> io::Result<Netlink> {
        let (socket, buffer) = (sys::sock_diag()?, vec![0; MESSAGE_BYTES_MAX]);
        Ok(Netlink { socket, buffer, number: diag::UNASKED })
    }

    /// `take` gets all sockets of TCP and, where it is wanted, UDP.
    pub fn read(&mut self, udp: bool, mut take: impl FnMut(Row)) -> Result<(), String> {
        let protocols = [Protocol::Tcp, Protocol::Udp];
        for protocol in protocols.into_iter().filter(|protocol| udp || *protocol == Protocol::Tcp) {
            for family in [IPV4, IPV6] {
                match self.dump(family, protocol, &mut take) {
                    // A kernel without IPv6.
                    Err(err) if err.raw_os_error() == Some(libc::ENOENT) && family == IPV6 => {}
                    done => done.map_err(|err| format!("{}: {err}", protocol.name()))?,
                }
            }
        }
        Ok(())
    }

    fn dump(
        &mut self,
        family: u8,
        protocol: Protocol,
        take: &mut impl FnMut(Row),
    ) -> io::Result<()> {
        self.number = self.number.wrapping_add(1).max(diag::UNASKED + 1);
        let request = diag::request(family, protocol, self.number);
        self.socket.write_all(&request)?;
        let mut end = None;
        while end.is_none() {
            let (fd, events) = (self.socket.as_raw_fd(), libc::POLLIN);
            if sys::poll(&mut [libc::pollfd { fd, events, revents: 0 }], Some(TIMEOUT))? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let bytes = self.socket.read(&mut self.buffer)?;
            diag::messages(&self.buffer[..bytes], protocol, self.number, |message| match message {
                Message::Row(row) => take(row),
                Message::Other => {}
                Message::Done => end = Some(Ok(())),
                Message::Refused(number) => end = Some(Err(io::Error::from_raw_os_error(number))),
            });
        }
        end.unwrap_or(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;

    /// A kernel that answers each request so.
    fn answering(answer: impl Fn(u32) -> Vec<u8> + Send + 'static) -> Netlink {
        let (own, kernel) = UnixDatagram::pair().unwrap();
        std::thread::spawn(move || {
            let mut request = [0; 1024];
            while kernel.recv(&mut request).is_ok_and(|bytes| bytes > 0) {
                let number = u32::from_ne_bytes(request[8..12].try_into().unwrap());
                if kernel.send(&answer(number)).is_err() {
                    return;
                }
            }
        });
        let (socket, buffer) = (OwnedFd::from(own).into(), vec![0; MESSAGE_BYTES_MAX]);
        Netlink { socket, buffer, number: u32::MAX }
    }

    /// A message of that type, about that request, with a number in it.
    fn message(kind: u16, request: u32, code: i32) -> Vec<u8> {
        let words = [&20u32.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 2]];
        [&words.concat(), &request.to_ne_bytes()[..], &[0; 4], &code.to_ne_bytes()].concat()
    }

    #[test]
    fn a_kernel_that_refuses() {
        let mut netlink = answering(|request| message(2, request, -libc::EPERM));
        let err = netlink.read(true, |_| ()).unwrap_err();
        assert_eq!(err, format!("tcp: {}", io::Error::from_raw_os_error(libc::EPERM)));
        // Without IPv6 there is an answer all the same: the second request is for it.
        let count = std::sync::atomic::AtomicU32::new(0);
        let mut netlink = answering(move |request| {
            match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 2 {
                0 => [message(3, request.wrapping_sub(1), 0), message(3, request, 0)].concat(),
                _ => message(2, request, -libc::ENOENT),
            }
        });
        assert_eq!(netlink.read(true, |_| ()), Ok(()));
    }
}
