//! A small HTTP server that answers as the test says, for what a real server does only on bad days.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::lines::{self, Line};
use super::wait_for;

/// One request, its body unpacked.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// The body's length on the wire.
    pub wire_bytes: usize,
    pub at: std::time::Instant,
    /// The status that it was answered with; 0 when it got no answer.
    pub status: u16,
}

/// What the stub does with a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Status, extra header lines, body.
    Answer(u16, &'static [(&'static str, &'static str)], String),
    /// Never answers; the connection stays open until the stub is dropped.
    Hang,
    /// Status 500, and the connection closes in the middle of the promised body.
    CutInBody,
    /// Closes the connection without a word.
    Close,
    /// Something that is not HTTP.
    Garbage,
}

impl Reply {
    pub fn status(status: u16) -> Reply {
        Reply::Answer(status, &[], String::new())
    }

    pub fn message(status: u16, body: &str) -> Reply {
        Reply::Answer(status, &[], body.to_string())
    }
}

pub struct HttpStub {
    pub port: u16,
    state: Arc<State>,
}

type Respond = dyn Fn(usize, &Request) -> Reply + Send + Sync;

struct State {
    requests: Mutex<Vec<Request>>,
    connections: Mutex<Vec<TcpStream>>,
    respond: Box<Respond>,
    stopped: std::sync::atomic::AtomicBool,
}

impl HttpStub {
    /// `respond` is given the request's number, from 0, and the request.
    pub fn start(respond: impl Fn(usize, &Request) -> Reply + Send + Sync + 'static) -> HttpStub {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen on 127.0.0.1");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            requests: Mutex::default(),
            connections: Mutex::default(),
            respond: Box::new(respond),
            stopped: false.into(),
        });
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                if shared.stopped.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                let copy = connection.try_clone().expect("clone a socket");
                shared.connections.lock().expect("connections").push(copy);
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(&shared, connection));
            }
        });
        HttpStub { port, state }
    }

    /// A stub that accepts every write.
    pub fn accepting() -> HttpStub {
        HttpStub::start(|_, _| Reply::status(204))
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What has been asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().expect("requests").clone()
    }

    /// The points of the requests that it accepted.
    pub fn accepted(&self) -> Vec<Line> {
        let requests = self.requests();
        let accepted = requests.iter().filter(|request| request.status == 204);
        accepted.flat_map(|request| lines::read(&request.body)).collect()
    }

    /// Waits until `probe` answers about the requests so far.
    pub fn wait_requests<T>(&self, what: &str, probe: impl Fn(&[Request]) -> Option<T>) -> T {
        wait_for(what, || probe(&self.requests()))
    }
}

impl Drop for HttpStub {
    fn drop(&mut self) {
        self.state.stopped.store(true, std::sync::atomic::Ordering::Relaxed);
        for connection in self.state.connections.lock().expect("connections").iter() {
            let _ = connection.shutdown(Shutdown::Both);
        }
        // One more connection, so that the listening thread wakes up and sees that it is over.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Serves one connection, which may carry several requests one after another (RFC 9112, 9.3).
fn serve(state: &State, connection: TcpStream) {
    let mut reader = BufReader::new(connection.try_clone().expect("clone a socket"));
    let mut writer = connection;
    while let Some(mut request) = read_request(&mut reader) {
        let reply = {
            let mut requests = state.requests.lock().expect("requests");
            let reply = (state.respond)(requests.len(), &request);
            if let Reply::Answer(status, ..) = reply {
                request.status = status;
            }
            requests.push(request);
            reply
        };
        let answered = match reply {
            Reply::Answer(status, headers, body) => answer(&mut writer, status, headers, &body),
            Reply::Hang => {
                // The client gives up or the stub's end closes the socket.
                let _ = reader.read(&mut [0]);
                return;
            }
            Reply::CutInBody => {
                let _ =
                    writer.write_all(b"HTTP/1.1 500 Stub\r\nContent-Length: 5000\r\n\r\n{\"err");
                let _ = writer.shutdown(Shutdown::Both);
                return;
            }
            Reply::Close => {
                let _ = writer.shutdown(Shutdown::Both);
                return;
            }
            Reply::Garbage => {
                let _ = writer.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\0\x01\x02\r\n\r\n");
                let _ = writer.shutdown(Shutdown::Both);
                return;
            }
        };
        if answered.is_err() {
            return;
        }
    }
}

fn answer(
    writer: &mut TcpStream,
    status: u16,
    headers: &[(&str, &str)],
    body: &str,
) -> std::io::Result<()> {
    let mut text = format!("HTTP/1.1 {status} Stub\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if status != 204 {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body;
    writer.write_all(text.as_bytes())
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let first = read_line(reader)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_string(), words.next()?.to_string());
    let mut headers = BTreeMap::new();
    loop {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
    }
    let body = if headers.get("transfer-encoding").is_some_and(|coding| coding == "chunked") {
        read_chunks(reader)?
    } else {
        let length = headers.get("content-length").map_or(Some(0), |text| text.parse().ok())?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        body
    };
    let wire_bytes = body.len();
    let body = if headers.get("content-encoding").is_some_and(|coding| coding == "gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut plain).ok()?;
        plain
    } else {
        body
    };
    // Line protocol and JSON are; what is not is not looked at.
    let body = String::from_utf8_lossy(&body).into_owned();
    let at = std::time::Instant::now();
    Some(Request { method, target, headers, body, wire_bytes, at, status: 0 })
}

fn read_chunks(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&read_line(reader)?, 16).ok()?;
        let start = body.len();
        body.resize(start + length, 0);
        reader.read_exact(&mut body[start..]).ok()?;
        read_line(reader)?;
        if length == 0 {
            return Some(body);
        }
    }
}

fn read_line(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    Some(line.trim_end().to_string())
}
