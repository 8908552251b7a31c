//! Attacks by servers that points are sent to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::common::DEADLINE;
use crate::common::perijove::{Daemon, FAST, alarm_polls, local_router, own, whole_lines};
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

/// How an InfluxDB answers each request: this, and then this again and again, so often.
struct Answer {
    what: &'static str,
    first: Vec<u8>,
    again: Vec<u8>,
    pause: Duration,
}

fn answers() -> Vec<Answer> {
    let quick = |what, first: &str, again: &str| Answer {
        what,
        first: first.into(),
        again: again.into(),
        pause: Duration::ZERO,
    };
    let slow =
        |what, first: &str| Answer { pause: Duration::from_secs(1), ..quick(what, first, "x") };
    let once = |what, head: &str, body: &str| {
        quick(what, &format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()), "")
    };
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    (0..500).for_each(|_| bomb.write_all(&[b'x'; 1 << 20]).expect("compress"));
    let bomb = bomb.finish().expect("compress");
    let mut compressed = format!(
        "HTTP/1.1 400 Bad\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        bomb.len()
    )
    .into_bytes();
    compressed.extend(bomb);
    let large = "z".repeat(0xffff);
    let forged = "{\"error\":\"\\u001b[31mx\\r\\nFORGED 2026 ERROR x\\u202e\\u2028 y\"}";
    vec![
        Answer { first: compressed, ..quick("a body of 500 MB, compressed", "", "") },
        quick("a body without an end", "HTTP/1.1 500 x\r\n\r\n", &large),
        quick(
            "chunks without an end",
            "HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n",
            &format!("ffff\r\n{large}\r\n"),
        ),
        quick("large headers", "HTTP/1.1 204 x\r\n", &format!("A: {large}\r\n")),
        quick("many headers", "HTTP/1.1 204 x\r\n", &"A: b\r\n".repeat(1000)),
        quick("go on, go on", "", &"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)),
        slow("a status, slowly", "HTTP/1.1 20"),
        slow("a body, slowly", "HTTP/1.1 500 x\r\nContent-Length: 100000\r\n\r\n"),
        once("later, in ten years", "503 x\r\nRetry-After: 315360000", ""),
        once(
            "later, at the end of time",
            "429 x\r\nRetry-After: Fri, 31 Dec 9999 23:59:59 GMT",
            "",
        ),
        once("later, in too many seconds", "429 x\r\nRetry-After: 99999999999999999999999", ""),
        once("words that control a terminal", "401 x", forged),
        once("more lost than was sent", "400 x", "{\"error\":\"x dropped=18446744073709551615\"}"),
        once(
            "more lost than can be counted",
            "400 x",
            "{\"error\":\"dropped=99999999999999999999999\"}",
        ),
        once("everything is too large", "413 x", ""),
        once("everything is wrong", "400 x", ""),
        quick("no HTTP", &"\u{1}\u{ff}\u{1b}[31m".repeat(500), ""),
        quick(
            "two lengths",
            "HTTP/1.1 204 x\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nHTTP/1.1 500\r\n\r\n",
            "",
        ),
    ]
}

/// Reads a request, and gives the answer.
fn give(client: &TcpStream, answer: &Answer) -> std::io::Result<()> {
    let mut from = BufReader::new(client);
    let mut length = 0;
    loop {
        let mut line = String::new();
        // An empty line ends the headers.
        if from.read_line(&mut line)? <= 2 {
            break;
        }
        let (name, value) = line.split_once(": ").unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    from.read_exact(&mut vec![0; length])?;
    let mut to = client;
    to.write_all(&answer.first)?;
    while !answer.again.is_empty() {
        std::thread::sleep(answer.pause);
        to.write_all(&answer.again)?;
    }
    Ok(())
}

fn an_answer(answer: &'static Answer) {
    let what = answer.what;
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || while give(&client, answer).is_ok() {});
        }
    });
    let settings = format!(
        "collectors = [\"alarm\"]\n{FAST}drain_timeout = \"2s\"\n{}[output.stdout]\n\
         [output.influxdb]\nurl = \"http://127.0.0.1:{port}\"\ntimeout = \"2s\"\n",
        local_router("r1", "")
    );
    let mut daemon = Daemon::start(&settings);
    // The other output gets everything meanwhile, and what is counted stays right.
    let lines = daemon.process.wait_for(what, |process| {
        let lines = whole_lines(&process.stdout());
        let count = |field| own(&lines, ("output", "influxdb"), field).unwrap_or_default();
        // A status that says that it took them is an answer, whatever comes behind it.
        let is_tried = ["failures_total", "dropped_points_total", "sent_points_total"]
            .into_iter()
            .any(|field| count(field) > 0.0);
        (is_tried && alarm_polls(&lines) >= 10).then_some(lines)
    });
    for field in ["dropped_points_total", "rejected_points_total"] {
        let count = own(&lines, ("output", "influxdb"), field).unwrap_or_default();
        assert!(count <= lines.len() as f64 * 2.0, "{what}: {field} {count}");
    }
    let peak = peak_bytes(daemon.process.id());
    let started = Instant::now();
    let finished = daemon.stop();
    assert!(started.elapsed() < DEADLINE / 2, "{what}: its end took {:?}", started.elapsed());
    assert_eq!(finished.code, 0, "{what}: {}", finished.stderr);
    assert!(peak < MEMORY_BYTES_MAX, "{what}: {} MB", peak >> 20);
    let log = &finished.stderr;
    let is_forged = |line: &str| line.trim_start().starts_with("FORGED");
    let drives = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}' || c == '\u{2028}';
    assert!(!log.contains("panicked") && !log.lines().any(is_forged), "{what}: {log}");
    assert!(!log.contains(drives) && log.len() < 20_000, "{what}: {log:?}");
}

#[test]
fn an_influxdb_that_misbehaves_costs_its_own_points() {
    let answers: &'static [Answer] = answers().leak();
    for some in answers.chunks(6) {
        std::thread::scope(|scope| {
            for answer in some {
                scope.spawn(move || an_answer(answer));
            }
        });
    }
}
