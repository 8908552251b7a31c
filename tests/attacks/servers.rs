//! Attacks by servers that points are sent to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::common::perijove::{Daemon, FAST, local_router};
use crate::common::process::peak_bytes;

const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// Reads a request of Kafka's protocol, and answers with a response that claims to be of 90 MB, as
/// far as somebody takes it.
fn answer_at_length(mut client: TcpStream) -> std::io::Result<()> {
    let mut bytes = [0; 4];
    client.read_exact(&mut bytes)?;
    let mut request = vec![0; u32::from_be_bytes(bytes) as usize];
    client.read_exact(&mut request)?;
    client.write_all(&(90u32 << 20).to_be_bytes())?;
    // Key, version, and the number that the response must have.
    client.write_all(&request[4..8])?;
    loop {
        client.write_all(&[0; 64 << 10])?;
    }
}

#[test]
fn a_broker_that_answers_without_an_end_fills_no_memory() {
    if !cfg!(feature = "kafka") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || answer_at_length(client));
        }
    });
    let settings = format!(
        "collectors = [\"alarm\"]\n{FAST}{}[output.kafka]\nbrokers = \"127.0.0.1:{port}\"\n",
        local_router("r1", "")
    );
    let mut daemon = Daemon::start(&settings);
    daemon.process.wait_stderr("receive.message.max.bytes");
    std::thread::sleep(Duration::from_secs(3));
    let peak = peak_bytes(daemon.process.id());
    assert!(peak < MEMORY_BYTES_MAX, "{} MB", peak >> 20);
    assert_eq!(daemon.stop().code, 0);
}
