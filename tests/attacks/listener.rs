//! Attacks on the listener, by those who have no password and by those who read slowly. All come
//! from the address that the good client has, which is the worst case.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::needs::skips;
use crate::common::perijove::{Daemon, FAST, local_router};
use crate::common::process::peak_bytes;
use crate::common::temporary::Directory;
use crate::common::{DEADLINE, answer, free_port, http_agent, wait_for};

/// "U*U", from the test vectors of crypt_blowfish.
const HASH: &str = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
/// Of a password that nobody knows, at a cost that takes a noticeable time to check.
const DEAR_HASH: &str = "$2b$08$meEc1rGpo874mgVKwkvrT.ef37A1WEPQ5BZwdiFAqsBS77y5pWnOO";
const LOGIN: &str = "me:U*U";
const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// A daemon whose router has so many interfaces, and its port.
fn start(interfaces: usize, output: &str) -> (Daemon, u16) {
    let port = free_port();
    let router = local_router("r1", &format!("--interfaces {interfaces}"));
    let settings = format!(
        "collectors = [\"interfaces\"]\n{FAST}{router}\
         [output.prometheus]\nlisten = \"127.0.0.1:{port}\"\nexpire_intervals = 1000\n{output}"
    );
    let mut daemon = Daemon::start(&settings);
    let scheme = if output.contains("cert_file") { "https" } else { "http" };
    daemon.process.wait_for("it is ready", |_| {
        let ready = http_agent().get(format!("{scheme}://127.0.0.1:{port}/-/ready")).call();
        ready.is_ok_and(|answer| answer.status() == 200).then_some(())
    });
    (daemon, port)
}

/// The status of a scrape, and the time that it took.
fn scrape(port: u16, scheme: &str, login: &str) -> (u16, Duration) {
    let started = Instant::now();
    let login = openssl::base64::encode_block(login.as_bytes());
    let request = http_agent()
        .get(format!("{scheme}://127.0.0.1:{port}/metrics"))
        .header("Authorization", format!("Basic {login}"));
    let status = request.call().and_then(answer).map_or(0, |(status, _)| status);
    (status, started.elapsed())
}

/// Scrapes that all must be answered: whoever is shut out is so for longer than this, on a machine
/// however busy.
fn scrapes_go_on(port: u16, scheme: &str) {
    for _ in 0..5 {
        let (status, time) = scrape(port, scheme, LOGIN);
        assert_eq!(status, 200);
        assert!(time < Duration::from_secs(30), "{time:?}");
    }
}

/// Runs attackers while `body` does what must go on.
fn under_attack<T>(attackers: usize, attack: impl Fn() + Sync, body: impl FnOnce() -> T) -> T {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..attackers {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    attack();
                }
            });
        }
        struct Stop<'a>(&'a AtomicBool);
        impl Drop for Stop<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        let _stop = Stop(&stop);
        body()
    })
}

/// Connects, sends this and reads until nothing comes for a second.
fn send(port: u16, bytes: &[u8]) -> Vec<u8> {
    send_and_wait(port, bytes, Duration::from_secs(1))
}

/// The same where an answer must come, however long a busy machine takes for it.
fn ask(port: u16, bytes: &[u8]) -> Vec<u8> {
    send_and_wait(port, bytes, DEADLINE)
}

fn send_and_wait(port: u16, bytes: &[u8], time: Duration) -> Vec<u8> {
    let mut reply = Vec::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let _ = stream.set_read_timeout(Some(time));
        let _ = stream.write_all(bytes);
        let _ = stream.read_to_end(&mut reply);
    }
    reply
}

#[test]
fn connections_that_say_little_shut_nobody_out() {
    if skips(&["openssl"]) {
        return;
    }
    let directory = Directory::new();
    let (key, cert) = directory.certificate("perijove");
    let users = format!("users = {{ me = {HASH:?} }}\n");
    let tls = format!("cert_file = {cert:?}\nkey_file = {key:?}\n{users}");
    for (scheme, output) in [("http", &users), ("https", &tls)] {
        let (daemon, port) = start(5, output);
        // More than there is room for; they are held until the end, and renewed by others.
        let silent: Vec<_> =
            (0..400).filter_map(|_| TcpStream::connect(("127.0.0.1", port)).ok()).collect();
        assert!(silent.len() > 300, "{}", silent.len());
        let starts: &[&[u8]] = &[b"", b"GET /metr", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"];
        let turn = AtomicUsize::new(0);
        let attack = || {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            send(port, starts[turn % starts.len()]);
        };
        under_attack(16, attack, || scrapes_go_on(port, scheme));
        drop(silent);
        assert_eq!(daemon.stop().code, 0);
    }
}

/// The beginning of a TLS hello, or of a request: at once, or a byte now and then.
/// `request_timeout` is for all of it, and none of them has a thread.
#[test]
fn half_a_hello_and_half_a_request_are_cut_off_in_time() {
    if skips(&["openssl"]) {
        return;
    }
    const LIMIT: Duration = Duration::from_secs(3);
    let directory = Directory::new();
    let (key, cert) = directory.certificate("perijove");
    let tls = format!("cert_file = {cert:?}\nkey_file = {key:?}\nrequest_timeout = \"3s\"\n");
    let hello = [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[b'a'; 20]].concat();
    let request = format!("GET /metrics HTTP/1.1\r\nX: {}", "a".repeat(100)).into_bytes();
    for (scheme, output, said) in
        [("https", &*tls, hello), ("http", "request_timeout = \"3s\"\n", request)]
    {
        let (daemon, port) = start(5, output);
        let connect = || TcpStream::connect(("127.0.0.1", port)).expect("connect");
        let threads = || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.process.id()));
            tasks.expect("threads").count()
        };
        let before = threads();
        let mut half: Vec<TcpStream> = (0..100).map(|_| connect()).collect();
        half.iter_mut().for_each(|stream| stream.write_all(&said).expect("send"));
        let started = Instant::now();
        let mut slow = connect();
        let is_cut = |stream: &mut TcpStream| {
            let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
            match stream.read(&mut [0; 1000]) {
                // A farewell; what is behind it is the end.
                Ok(1..) => false,
                Ok(0) => true,
                Err(err) => err.kind() == std::io::ErrorKind::ConnectionReset,
            }
        };
        let mut rest = said.iter();
        let cut = wait_for("the slow one is cut off", || {
            let sent = rest.next().is_some_and(|byte| slow.write_all(&[*byte]).is_err());
            std::thread::sleep(Duration::from_millis(100));
            (sent || is_cut(&mut slow)).then(|| started.elapsed())
        });
        assert!(cut > LIMIT / 2, "{scheme}: cut off after {cut:?}");
        assert!(rest.len() > 0, "{scheme}: it could say all of it");
        assert!(threads() <= before + 8, "{scheme}: {} threads, {before} before", threads());
        for stream in &mut half {
            wait_for("those that stopped are cut off", || is_cut(stream).then_some(()));
        }
        assert!(started.elapsed() < DEADLINE / 2, "{scheme}: {:?}", started.elapsed());
        scrapes_go_on(port, scheme);
        assert_eq!(daemon.stop().code, 0);
    }
}

/// In scrape mode a scrape polls, and anybody may scrape: many at once are one poll, and those that
/// come one after the other cost the router no more than `poll_share_max`.
#[test]
fn scrapes_that_poll_cost_the_router_no_more_than_its_share() {
    const SHARE: f64 = 0.2;
    let port = free_port();
    let slow = local_router("r1", "--fault slow --drip-bytes 100 --drip-ms 20");
    let daemon = Daemon::start(&format!(
        "collectors = [\"alarm\"]\npoll_share_max = 20\n{slow}[output.prometheus]\n\
         listen = \"127.0.0.1:{port}\"\nmode = \"scrape\"\nage_min = \"0s\"\n"
    ));
    let text = || {
        let scraped = http_agent().get(format!("http://127.0.0.1:{port}/metrics")).call();
        scraped.and_then(answer).ok().filter(|(status, _)| *status == 200).map(|(_, text)| text)
    };
    let value = |text: &str, name: &str| {
        let series = text.lines().find(|line| line.starts_with(name))?;
        series.rsplit(' ').next()?.parse::<f64>().ok()
    };
    let polls = |text: &str| value(text, "perijove_collector_polls_total{");
    let first = wait_for("a poll", || polls(&text()?));
    let (answered, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let attack = || {
        let count = if text().is_some() { &answered } else { &refused };
        count.fetch_add(1, Ordering::Relaxed);
    };
    let started = Instant::now();
    let last = under_attack(12, attack, || {
        wait_for("three polls more", || polls(&text()?).filter(|polls| *polls >= first + 3.0))
    });
    let elapsed = started.elapsed().as_secs_f64();
    let took = value(&text().expect("a scrape"), "perijove_collector_duration_seconds{");
    let took = took.expect("how long a poll takes");
    let answered = answered.into_inner();
    assert!(answered > 3 * (last - first) as usize, "{answered} scrapes, {first} to {last} polls");
    // The rest after the first poll may have been over, and one may be under way.
    let most = 2.0 + elapsed * SHARE / took * 1.5;
    assert!(last - first <= most, "{} polls of {took} s in {elapsed} s", last - first);
    assert_eq!(refused.into_inner(), 0);
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_connection_that_asks_again_and_again_is_ended() {
    let (daemon, port) = start(5, &format!("users = {{ me = {HASH:?} }}\n"));
    let asks = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(300);
    let replies = String::from_utf8(ask(port, &asks)).expect("text");
    let answers = replies.matches("HTTP/1.1 200").count();
    assert!((2..=100).contains(&answers), "{answers}");
    assert!(replies.matches("Connection: close").count() == 1);
    let attack = || {
        send(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    };
    under_attack(32, attack, || scrapes_go_on(port, "http"));
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn guesses_hold_up_nobody_who_was_let_in() {
    let users = format!("users = {{ me = {HASH:?}, other = {DEAR_HASH:?} }}\n");
    let (daemon, port) = start(5, &users);
    let guesses = AtomicUsize::new(0);
    let attack = || {
        let login = format!("me:{}", guesses.fetch_add(1, Ordering::Relaxed));
        assert_ne!(scrape(port, "http", &login).0, 200);
    };
    under_attack(12, attack, || {
        // The first check waits for its turn.
        wait_for("the first login", || (scrape(port, "http", LOGIN).0 == 200).then_some(()));
        scrapes_go_on(port, "http");
        let (_, time) = scrape(port, "http", LOGIN);
        assert!(time < Duration::from_secs(10), "{time:?}");
        // One of the 12 was answered and guesses again.
        let answered = || (guesses.load(Ordering::Relaxed) > 12).then_some(());
        wait_for("an answered guess", answered);
    });
    assert_eq!(daemon.stop().code, 0);
}

/// Each asks for some MB, reads nothing, and holds what it asked for while new polls come.
#[test]
fn readers_that_read_nothing_take_neither_turns_nor_memory() {
    let (daemon, port) = start(4000, "gzip = false\n");
    let one = ask(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").len();
    assert!(one > 4 << 20, "{one}");
    let before = peak_bytes(daemon.process.id());
    let mut readers = Vec::new();
    for _ in 0..40 {
        let mut reader = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        reader.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("send");
        readers.push(reader);
        thread::sleep(Duration::from_millis(100));
    }
    scrapes_go_on(port, "http");
    let more = peak_bytes(daemon.process.id()).saturating_sub(before);
    assert!(more < 64 << 20, "{} MB", more >> 20);
    drop(readers);
    assert_eq!(daemon.stop().code, 0);
}

/// Sixteen ask for everything at once, twice.
#[test]
fn many_scrapes_at_once_are_whole_and_share_the_memory() {
    let patience = "request_timeout = \"60s\"\nresponse_timeout = \"120s\"\n";
    let (daemon, port) = start(4000, &format!("gzip = false\n{patience}"));
    let whole = || {
        let scrape = http_agent().get(format!("http://127.0.0.1:{port}/metrics")).call();
        let (status, text) = scrape.and_then(answer).unwrap_or_default();
        (status, text.matches("\njunos_interface_up{").count())
    };
    for _ in 0..2 {
        thread::scope(|scope| {
            let scrapes: Vec<_> = (0..16).map(|_| scope.spawn(whole)).collect();
            for scrape in scrapes {
                let (status, ports) = scrape.join().expect("a scrape");
                assert_eq!(status, 200);
                assert!(ports >= 4000, "{ports}");
            }
        });
    }
    let peak = peak_bytes(daemon.process.id());
    assert!(peak < MEMORY_BYTES_MAX, "{} MB", peak >> 20);
    assert_eq!(daemon.stop().code, 0);
}

/// What a client may send before, with and behind a request, without an end.
#[test]
fn requests_without_an_end_shut_nobody_out() {
    let (daemon, port) = start(5, &format!("users = {{ me = {HASH:?} }}\n"));
    let body = b"POST /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let sends: [(&[u8], &[u8]); 6] = [
        (b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
        (b"GET /", b"a"),
        (b"", b"\r\n"),
        (body, b"1\r\nx\r\n"),
        (b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"),
        (b"", b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n"),
    ];
    let turn = AtomicUsize::new(0);
    let attack = || {
        let (first, again) = sends[turn.fetch_add(1, Ordering::Relaxed) % sends.len()];
        let again = again.repeat((64 << 10) / again.len());
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return };
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        let mut sent = stream.write_all(first);
        for _ in 0..100 {
            sent = sent.and_then(|()| stream.write_all(&again));
        }
    };
    under_attack(16, attack, || scrapes_go_on(port, "http"));
    let peak = peak_bytes(daemon.process.id());
    assert!(peak < MEMORY_BYTES_MAX, "{} MB", peak >> 20);
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_second_request_is_not_smuggled() {
    let (daemon, port) = start(5, "");
    let hidden = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    for headers in [
        format!("Content-Length: 0\r\nContent-Length: {}\r\n", hidden.len()),
        format!("Content-Length: {}\r\nContent-Length: 0\r\n", hidden.len()),
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n".into(),
        "Content-Length: +0\r\n".into(),
        "Transfer-Encoding: chunked\r\n".into(),
        format!("Content-Length: {}\r\n", hidden.len()),
    ] {
        let request = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{headers}\r\n{hidden}");
        let reply = String::from_utf8(ask(port, request.as_bytes())).expect("text");
        assert_eq!(reply.matches("HTTP/1.1 ").count(), 1, "{headers}: {reply}");
        assert!(!reply.contains("junos_"), "{headers}: {reply}");
    }
    let bare = "GET /healthz HTTP/1.1\nHost: x\n\n";
    assert!(ask(port, bare.as_bytes()).starts_with(b"HTTP/1.1 400 "));
    assert_eq!(daemon.stop().code, 0);
}
