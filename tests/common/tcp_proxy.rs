//! A TCP relay that breaks connections, or cuts what it passes on into pieces.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

pub struct TcpProxy {
    pub port: u16,
    state: Arc<State>,
}

struct State {
    to: u16,
    stopped: AtomicBool,
    /// So many bytes of a connection are passed on to the server, then it is reset.
    bytes_max: AtomicUsize,
    resets: AtomicUsize,
    /// What the server says is passed on in pieces of at most so many bytes.
    piece_bytes: AtomicUsize,
}

/// Between two pieces, so that they are read apart.
const PAUSE: Duration = Duration::from_millis(2);

impl TcpProxy {
    pub fn start(to: u16) -> TcpProxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on 127.0.0.1");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            to,
            stopped: AtomicBool::new(false),
            bytes_max: AtomicUsize::new(usize::MAX),
            resets: AtomicUsize::new(0),
            piece_bytes: AtomicUsize::new(usize::MAX),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if shared.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || relay(&shared, connection));
            }
        });
        TcpProxy { port, state }
    }

    pub fn reset_after(&self, bytes: usize) {
        self.state.bytes_max.store(bytes, Ordering::Relaxed);
    }

    /// From the next connection on.
    pub fn cut_into(&self, bytes: usize) {
        self.state.piece_bytes.store(bytes, Ordering::Relaxed);
    }

    /// How many connections were reset.
    pub fn resets(&self) -> usize {
        self.state.resets.load(Ordering::Relaxed)
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn relay(state: &State, mut client: TcpStream) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", state.to)) else { return };
    let (mut back, mut answers) =
        (client.try_clone().expect("clone"), server.try_clone().expect("clone"));
    let piece_bytes = state.piece_bytes.load(Ordering::Relaxed);
    std::thread::spawn(move || {
        let _ = match piece_bytes {
            usize::MAX => std::io::copy(&mut answers, &mut back).map(|_| ()),
            bytes => pass_in_pieces(bytes, &mut answers, &mut back),
        };
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut passed = 0;
    let mut buffer = [0; 512];
    // Looked at before the bytes are taken: a socket that is closed with bytes unread is reset.
    while let Ok(bytes @ 1..) = client.peek(&mut buffer) {
        if passed + bytes > state.bytes_max.load(Ordering::Relaxed) {
            state.resets.fetch_add(1, Ordering::Relaxed);
            // More of the body comes meanwhile.
            std::thread::sleep(Duration::from_millis(5));
            break;
        }
        let taken = client.read_exact(&mut buffer[..bytes]);
        if taken.and_then(|()| server.write_all(&buffer[..bytes])).is_err() {
            break;
        }
        passed += bytes;
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Write);
}

fn pass_in_pieces(bytes: usize, from: &mut TcpStream, to: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; bytes];
    to.set_nodelay(true)?;
    while let read @ 1.. = from.read(&mut buffer)? {
        to.write_all(&buffer[..read])?;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
