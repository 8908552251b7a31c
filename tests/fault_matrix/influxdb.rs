//! What can happen to InfluxDB, the real server, and on the way to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::account::{Account, Polling, SPOOL, to_influxdb};
use crate::common::http_stub::{HttpStub, Reply, Request};
use crate::common::influxd::{Influxd, Options};
use crate::common::process::signal;
use crate::common::tcp_proxy::TcpProxy;
use crate::{Fault, Long};

pub const FAULTS: &[&Fault] = &[
    &Fault { name: "influxdb-down-at-start", quick: true, run: down_at_start },
    &Fault { name: "influxdb-stopped", quick: true, run: stopped },
    &Fault { name: "influxdb-killed", quick: true, run: killed },
    &Fault { name: "influxdb-500", quick: true, run: |_| status(500, &[]) },
    &Fault { name: "influxdb-503-retry-after", quick: true, run: |_| status(503, RETRY_AFTER) },
    &Fault { name: "influxdb-429-retry-after", quick: true, run: |_| status(429, RETRY_AFTER) },
    &Fault { name: "influxdb-413", quick: true, run: too_large },
    &Fault { name: "influxdb-hangs", quick: true, run: hangs },
    &Fault { name: "influxdb-reset-in-body", quick: true, run: reset },
    &Fault { name: "influxdb-answer-lost", quick: true, run: answer_lost },
    &Fault { name: "influxdb-login", quick: true, run: login },
];

fn output(influxd: &Influxd, more: &str) -> String {
    to_influxdb(influxd, &format!("{more}{SPOOL}"))
}

fn down_at_start(long: &Long) -> Account {
    let mut influxd = Influxd::start();
    influxd.stop();
    let mut polling = Polling::start(&output(&influxd, ""));
    polling.go_on(long.outage());
    influxd.start_again();
    polling.settle(&mut &influxd);
    polling.finish(&mut &influxd)
}

fn stopped(long: &Long) -> Account {
    let mut influxd = Influxd::start();
    let mut polling = Polling::start(&output(&influxd, ""));
    polling.poll(200);
    influxd.end();
    polling.go_on(long.outage());
    influxd.start_again();
    polling.settle(&mut &influxd);
    polling.finish(&mut &influxd)
}

fn killed(long: &Long) -> Account {
    let mut influxd = Influxd::start();
    let mut polling = Polling::start(&output(&influxd, "flush_interval = \"50ms\"\n"));
    for _ in 0..if long.0 { 5 } else { 2 } {
        polling.poll(200);
        influxd.stop();
        polling.poll(50);
        influxd.start_again();
        polling.settle(&mut &influxd);
    }
    polling.finish(&mut &influxd)
}

/// A server before the real one that can answer in its place.
fn front(
    influxd: &Influxd,
    reply: impl Fn(usize) -> Option<Reply> + Send + Sync + 'static,
) -> HttpStub {
    let (url, count) = (influxd.url(), AtomicUsize::new(0));
    HttpStub::start(move |_, request| {
        reply(count.fetch_add(1, Ordering::Relaxed)).unwrap_or_else(|| pass_on(&url, request))
    })
}

pub fn pass_on(url: &str, request: &Request) -> Reply {
    let sent =
        crate::common::http_agent().post(format!("{url}{}", request.target)).send(&request.body);
    let (status, body) = crate::common::answer(sent.expect("influxd answers")).expect("a body");
    Reply::Answer(status, &[], body)
}

pub fn through(influxd: &Influxd, port: u16, more: &str) -> String {
    let direct = output(influxd, more);
    direct.replace(&influxd.url(), &format!("http://127.0.0.1:{port}"))
}

const RETRY_AFTER: &[(&str, &str)] = &[("Retry-After", "2")];

/// Three requests are answered so, the fourth and all after it by the real server.
fn status(status: u16, headers: &'static [(&'static str, &'static str)]) -> Account {
    let influxd = Influxd::start();
    let front = front(&influxd, move |number| {
        ((1..4).contains(&number)).then(|| Reply::Answer(status, headers, "busy".into()))
    });
    let mut polling = Polling::start(&through(&influxd, front.port, ""));
    polling.poll(400);
    front.wait_requests("four tries", |requests| (requests.len() > 4).then_some(()));
    polling.settle(&mut &influxd);
    let mut account = polling.finish(&mut &influxd);
    let requests = front.requests();
    for pair in requests[1..5].windows(2) {
        let waited = pair[1].at - pair[0].at;
        if !headers.is_empty() && waited < Duration::from_secs(2) {
            account
                .failures
                .push(format!("Retry-After was 2 s, the next try came {waited:?} later"));
        }
    }
    account
}

fn too_large(_: &Long) -> Account {
    let http = "max-body-size = 2000".to_string();
    let influxd = Influxd::start_with(Options { http, ..Options::default() });
    let mut polling = Polling::start(&output(&influxd, "gzip = false\n"));
    polling.poll(400);
    polling.settle(&mut &influxd);
    polling.finish(&mut &influxd)
}

/// The server is stopped in its tracks: its port accepts, and nobody answers.
fn hangs(long: &Long) -> Account {
    let influxd = Influxd::start();
    let mut polling = Polling::start(&output(&influxd, ""));
    polling.poll(200);
    signal(influxd.id(), "STOP");
    polling.go_on(long.outage().max(Duration::from_secs(5)));
    signal(influxd.id(), "CONT");
    polling.settle(&mut &influxd);
    polling.finish(&mut &influxd)
}

fn reset(_: &Long) -> Account {
    let influxd = Influxd::start();
    let proxy = TcpProxy::start(influxd.port);
    let mut polling = Polling::start(&through(&influxd, proxy.port, "gzip = false\n"));
    polling.poll(100);
    proxy.reset_after(600);
    polling.daemon.process.wait_stderr("influxdb: cannot write");
    polling.go_on(Duration::from_secs(3));
    proxy.reset_after(usize::MAX);
    polling.settle(&mut &influxd);
    let mut account = polling.finish(&mut &influxd);
    if proxy.resets() == 0 {
        account.failures.push("no connection was reset".into());
    }
    account.note(format!("{} connections were reset", proxy.resets()))
}

/// Every third write is done and answered with an error: it is sent again. The same point twice
/// must be one point.
fn answer_lost(_: &Long) -> Account {
    let influxd = Influxd::start();
    let (url, twice) = (influxd.url(), Arc::new(AtomicUsize::new(0)));
    let counted = twice.clone();
    let front = HttpStub::start(move |number, request| {
        let reply = pass_on(&url, request);
        if number % 3 != 0 {
            return reply;
        }
        counted.fetch_add(request.body.lines().count(), Ordering::Relaxed);
        Reply::status(500)
    });
    let mut polling = Polling::start(&through(&influxd, front.port, ""));
    polling.poll(400);
    polling.settle(&mut &influxd);
    let mut account = polling.finish(&mut &influxd);
    let twice = twice.load(Ordering::Relaxed);
    if twice == 0 {
        account.failures.push("nothing was written twice".into());
    }
    account.note(format!("{twice} points were written twice, and each is there once"))
}

/// The server asks for a login that perijove does not have, then does not, then does again.
fn login(_: &Long) -> Account {
    let administrator = Some(("writer", "s3cr3t"));
    let mut influxd = Influxd::start_with(Options { administrator, ..Options::default() });
    let mut polling = Polling::start(&output(&influxd, ""));
    polling.daemon.process.wait_stderr("401");
    let start = Instant::now();
    for _ in 0..2 {
        polling.poll(100);
        influxd.ask_for_login(false);
        polling.settle(&mut &influxd);
        influxd.ask_for_login(true);
        polling.poll(100);
    }
    influxd.ask_for_login(false);
    polling.settle(&mut &influxd);
    let note = format!("the login was asked for and not, in turns, for {:?}", start.elapsed());
    polling.finish(&mut &influxd).note(note)
}
