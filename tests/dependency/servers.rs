//! The servers that sources ask: one that hangs or has no end, passwords, proxies, certificates.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::common::http_stub::{HttpStub, Reply};
use crate::common::needs::skips;
use crate::common::perijove::{Daemon, perijove};
use crate::common::process::{peak_bytes, run};
use crate::common::temporary::Directory;
use crate::common::{free_port, wait_for, wait_for_within};
use crate::series::{self, Series};
use crate::{DARKSTAT, named, of_source, once, once_finished, scrape, served};

/// Defects 5 and 18: one that hangs delays no other, says so, and its old results go.
#[test]
fn a_source_that_hangs_is_alone_with_it() {
    let port = free_port();
    let is_seen = Arc::new(AtomicBool::new(false));
    let hangs = Arc::clone(&is_seen);
    let darkstat = HttpStub::start(move |_, _| {
        if hangs.load(Relaxed) { Reply::Hang } else { Reply::message(200, DARKSTAT) }
    });
    let inventory = HttpStub::start(|_, _| Reply::Hang);
    let settings = served(
        port,
        &format!(
            "[dependency.sockets]\ninterval = \"200ms\"\n\
             [dependency.inventory]\nurl = \"{}\"\ntimeout = \"10m\"\n\
             [dependency.darkstat]\nurl = \"{}\"\ninterval = \"500ms\"\ntimeout = \"1s\"\n",
            inventory.url(),
            darkstat.url()
        ),
    );
    let daemon = Daemon::start(&settings);
    wait_for("sockets and traffic", || {
        let all = scrape(port);
        let has = |name| !named(&all, name).is_empty();
        (has("planet_server_process") && has("planet_traffic_bytes_total")).then_some(())
    });
    is_seen.store(true, Relaxed);
    let runs = |all: &[Series]| of_source(all, "sockets", "runs_total").unwrap();
    let all = wait_for("darkstat's end", || {
        let all = scrape(port);
        let is_gone = named(&all, "planet_traffic_bytes_total").is_empty();
        (is_gone && of_source(&all, "darkstat", "success") == Some(0.0)).then_some(all)
    });
    assert_eq!(of_source(&all, "sockets", "success"), Some(1.0));
    assert!(of_source(&all, "darkstat", "last_success_age_seconds").unwrap() > 0.5);
    assert_eq!(of_source(&all, "inventory", "success"), None);
    let before = runs(&all);
    wait_for("more runs", || (runs(&scrape(port)) >= before + 5.0).then_some(()));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(finished.stderr.contains("no answer within its timeout"), "{}", finished.stderr);
}

/// Serves an endless body: this text again and again. Bytes that it could get rid of are nobody's.
fn endless(text: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let block = text.repeat(1 << 14);
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            let mut bytes = 0;
            // A gigabyte is as good as no end.
            while sent.is_ok() && bytes < 1 << 30 {
                sent = stream.write_all(block.as_bytes());
                bytes += block.len();
            }
        }
    });
    url
}

/// Defect 6, and what has no end at all.
#[test]
fn endless_answers_are_bounded() {
    let entry = "{\"ip_address\":\"10.0.0.1\",\"domain\":\"some.example\",\"hostgroup\":\"g\"}\n";
    let inventory = endless(entry);
    let darkstat = endless("host_bytes_total{ip=\"10.0.0.9\",dir=\"in\"} 1\n");
    let ebpf = endless("another_family_of_metrics{label=\"value\"} 12345\n");
    let port = free_port();
    let daemon = Daemon::start(&served(
        port,
        &format!(
            "[dependency.inventory]\nurl = \"{inventory}\"\nformat = \"ndjson\"\n\
             bytes_max = \"16MB\"\nentries_max = 1000\n\
             timeout = \"10m\"\n\
             [dependency.darkstat]\nurl = \"{darkstat}\"\nbytes_max = \"16MB\"\n\
             timeout = \"10m\"\n\
             [dependency.ebpf]\nurl = \"{ebpf}\"\nbytes_max = \"16MB\"\ntimeout = \"10m\"\n"
        ),
    ));
    let all = wait_for_within(Duration::from_secs(600), "three refusals", || {
        let all = scrape(port);
        let failed = |source| of_source(&all, source, "success") == Some(0.0);
        ["inventory", "darkstat", "ebpf"].into_iter().all(failed).then_some(all)
    });
    assert_eq!(of_source(&all, "sockets", "success"), Some(1.0));
    let peak = peak_bytes(daemon.process.id());
    assert!(peak < 48 << 20, "{peak} bytes");
    let stderr = daemon.stop().stderr;
    assert_eq!(stderr.matches("longer than 16777216 bytes (bytes_max)").count(), 3, "{stderr}");
}

/// Who may not read is told so, and the password is sent to those who ask for one.
#[test]
fn credentials_come_from_a_file() {
    let directory = Directory::new();
    let password = directory.write_secret("password", "s3cret\n");
    let darkstat = HttpStub::start(|_, request| {
        match request.headers.get("authorization").map(String::as_str) {
            Some("Basic bWU6czNjcmV0") => Reply::message(200, DARKSTAT),
            _ => Reply::status(401),
        }
    });
    let settings = |how: &str| {
        format!(
            "[dependency.sockets]\nmachine = false\n[dependency.darkstat]\nurl = \"{}\"\n{how}",
            darkstat.url()
        )
    };
    let finished = once_finished(&settings(""));
    assert_eq!(finished.code, 1);
    assert!(finished.stderr.contains("status 401"), "{finished:?}");
    let all = once(&settings(&format!("username = \"me\"\npassword_file = {password:?}\n")));
    assert_eq!(named(&all, "planet_traffic_bytes_total").len(), 3);
}

/// What the machine itself serves is asked directly, whatever proxy the environment names.
#[test]
fn a_proxy_is_not_asked_for_this_machine() {
    let darkstat = HttpStub::start(|_, _| Reply::message(200, DARKSTAT));
    let proxy = HttpStub::start(|_, _| Reply::status(503));
    let settings = |url: &str| {
        format!("[dependency.sockets]\nmachine = false\n[dependency.darkstat]\nurl = \"{url}\"\n")
    };
    let directory = Directory::new();
    let run_with = |first: &str, url: &str, environment: &[(&str, &str)]| {
        let file = directory.write("perijove.toml", format!("{first}\n{}", settings(url)));
        let mut command = perijove(&["once", "--format", "prometheus", "--config"]);
        command.arg(file);
        for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy"] {
            command.env_remove(name).env_remove(name.to_uppercase());
        }
        run(command.envs(environment.iter().copied()))
    };
    let run_at = |url: &str, environment: &[(&str, &str)]| run_with("", url, environment);
    let all = ["http_proxy", "https_proxy", "all_proxy"].map(|name| (name, &*proxy.url().leak()));
    let finished = run_at(&darkstat.url(), &all);
    assert_eq!(finished.code, 0, "{finished:?}");
    let traffic = series::read(&finished.stdout);
    assert_eq!(named(&traffic, "planet_traffic_bytes_total").len(), 3);
    assert!(proxy.requests().is_empty());
    // Another machine is asked through the proxy of its scheme, unless no_proxy has it. It has
    // no name, so that nothing leaves this machine.
    let other = "http://darkstat.invalid:11560/metrics";
    let finished = run_at(other, &all[..1]);
    assert_eq!(finished.code, 1, "{finished:?}");
    assert_eq!(proxy.requests().len(), 1, "{finished:?}");
    for environment in [&all[1..2], &[all[0], ("no_proxy", "invalid")]] {
        let finished = run_at(other, environment);
        assert_eq!(finished.code, 1, "{finished:?}");
        assert_eq!(proxy.requests().len(), 1, "{finished:?}");
    }
    let finished = run_at(other, &[("http_proxy", "socks5://me:s3cret@127.0.0.1:1")]);
    assert!(
        finished.stderr.contains("http_proxy in the environment is no http://"),
        "{finished:?}"
    );
    assert!(!finished.stderr.contains("s3cret"), "{finished:?}");
    // The setting goes before the environment.
    let finished = run_with("proxy = \"off\"", other, &all);
    assert_eq!((finished.code, proxy.requests().len()), (1, 1), "{finished:?}");
    let named_proxy = format!("proxy = {:?}", proxy.url());
    let finished = run_with(&named_proxy, other, &[]);
    assert_eq!((finished.code, proxy.requests().len()), (1, 2), "{finished:?}");
    let finished = run_with(&named_proxy, &darkstat.url(), &[]);
    assert_eq!((finished.code, proxy.requests().len()), (0, 2), "{finished:?}");
    let finished = run_with("proxy = \"http://me:s3cret@p:1\"", other, &[]);
    assert_eq!(finished.code, 2, "{finished:?}");
    assert!(!finished.stderr.contains("s3cret"), "{finished:?}");
}

/// Defect 21: nobody who cannot show a good certificate is believed. The server is a perijove.
#[test]
fn certificates_are_checked() {
    if skips(&["openssl"]) {
        return;
    }
    let directory = Directory::new();
    let (key, cert) = directory.certificate("server");
    let port = free_port();
    let tls = format!("cert_file = {cert:?}\nkey_file = {key:?}\n[dependency]\n");
    let settings = served(port, "").replace("[dependency]\n", &tls);
    let mut daemon = Daemon::start(&settings);
    daemon.process.wait_stderr("serves https://");
    let asked = |how: &str| {
        once_finished(&format!(
            "[dependency.sockets]\nmachine = false\n\
             [dependency.darkstat]\nurl = \"https://127.0.0.1:{port}/metrics\"\n{how}"
        ))
    };
    let refused = asked("");
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("certificate"), "{refused:?}");
    assert!(refused.stderr.contains("ca_file"), "{refused:?}");
    // One that is trusted is asked, and has other metrics.
    let trusted = asked(&format!("ca_file = {cert:?}\n"));
    assert!(trusted.stderr.contains("there is no host_bytes_total"), "{trusted:?}");
    assert_eq!(daemon.stop().code, 0);
}
