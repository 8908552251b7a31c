//! `/metrics?target=HOST` of a host that the settings do not name.

mod common;

use std::time::Instant;

use common::needs::{ROOT, skips};
use common::perijove::Daemon;
use common::sshd::{Sshd, USER};
use common::{answer, free_port, http_agent, wait_for};

/// A scrape that has so many seconds.
fn get(port: u16, query: &str, seconds: u32) -> (u16, String) {
    let request = http_agent()
        .get(format!("http://127.0.0.1:{port}/metrics{query}"))
        .header("X-Prometheus-Scrape-Timeout-Seconds", seconds.to_string());
    answer(request.call().expect("an answer")).expect("a text")
}

fn up(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("junos_up{")?.rsplit(' ').next())
}

#[test]
fn a_scrape_may_name_what_is_allowed() {
    if skips(&["sshd", "ssh-keygen", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let port = free_port();
    let known = std::fs::read_to_string(sshd.known_hosts()).expect("known hosts");
    let known = known.clone() + &known.replace("127.0.0.1", "localhost");
    let known = sshd.directory.write("allowed_hosts", known);
    let settings = format!(
        "collectors = [\"alarm\", \"storage\"]\n\
         [output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n\
         [[router]]\nallow = [\"localhost\", \"*.invalid\", \"127.0.0.2/31\"]\nport = {}\n\
         username = \"{USER}\"\nprivate_key = {:?}\nknown_hosts = {known:?}\n\
         connect_timeout = \"20s\"\n",
        sshd.port,
        sshd.user_key("ed25519", "")
    );
    let mut daemon = Daemon::start(&settings);
    daemon.process.wait_stderr("serves http://");
    let (status, text) = get(port, "?target=localhost", 50);
    assert_eq!((status, up(&text)), (200, Some("1")), "{text}");
    for words in ["junos_alarms_red_count{target=\"localhost\"", "junos_storage_"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // The same session serves the next scrapes, whatever the case of the name.
    for query in ["?target=LOCALHOST&collect[]=alarm", "?target=localhost"] {
        let (status, text) = get(port, query, 50);
        assert_eq!((status, up(&text)), (200, Some("1")), "{query} {text}");
    }
    let accepted = || sshd.log().matches("Accepted publickey").count();
    wait_for("a login in sshd's log", || (accepted() > 0).then_some(()));
    assert_eq!(accepted(), 1, "{}", sshd.log());
    // Who does not name it does not get it.
    let (status, text) = get(port, "", 50);
    assert!(status == 200 && !text.contains("localhost"), "{text}");
    // What is allowed and does not answer is down.
    for target in ["no-such-router.invalid", "127.0.0.3"] {
        let (status, text) = get(port, &format!("?target={target}"), 50);
        assert_eq!((status, up(&text)), (200, Some("0")), "{target}: {text}");
    }
    // Everything else is unknown, and nothing is connected to.
    for target in ["127.0.0.1", "localhost:22", "localhost.", "127.1", "2130706434", "evil.example"]
    {
        let (status, text) = get(port, &format!("?target={target}"), 50);
        assert_eq!(status, 404, "{target}: {text}");
    }
    // Other settings end it, and the same ones do not allow it again without a scrape.
    daemon.reload(&settings.replace("\"localhost\", ", ""));
    daemon.process.wait_stderr("the settings were read again");
    assert_eq!(get(port, "?target=localhost", 50).0, 404);
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
}

#[test]
fn it_needs_the_same_password_and_costs_no_more_time_than_the_scrape_has() {
    let port = free_port();
    // A listener that never says a word.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let hash = "$2y$04$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let settings = format!(
        "[output.prometheus]\nlisten = \"127.0.0.1:{port}\"\n\
         [output.prometheus.users]\nscraper = \"{hash}\"\n\
         [[router]]\nallow = [\"localhost\"]\nport = {}\nusername = \"u\"\n\
         password_env = \"HOME\"\nconnect_timeout = \"60s\"\n",
        silent.local_addr().expect("an address").port()
    );
    let mut daemon = Daemon::start(&settings);
    daemon.process.wait_stderr("serves http://");
    let (status, _) = get(port, "?target=localhost", 8);
    assert_eq!(status, 401);
    silent.set_nonblocking(true).expect("set nonblocking");
    assert!(silent.accept().is_err(), "it was connected to without a password");
    let open = settings
        .replace("[output.prometheus.users]", "")
        .replace(&format!("scraper = \"{hash}\""), "");
    daemon.reload(&open);
    daemon.process.wait_stderr("the settings were read again");
    let started = Instant::now();
    let (status, text) = get(port, "?target=localhost", 8);
    assert_eq!((status, up(&text)), (200, Some("0")), "{text}");
    // Without that it would be the minute of `connect_timeout`.
    assert!(started.elapsed().as_secs() < 40, "{:?}", started.elapsed());

    // It may wait less, and for fewer.
    let read_again = |daemon: &mut Daemon, times: usize| {
        daemon.process.wait_for("other settings", |process| {
            let said = process.stderr().matches("the settings were read again").count();
            (said == times).then_some(())
        });
    };
    let allow = "allow = [\"localhost\", \"*.invalid\"]\n\
                 targets_max = 1\nscrape_timeout = \"1s\"";
    let limited = open.replace("allow = [\"localhost\"]", allow);
    daemon.reload(&limited);
    read_again(&mut daemon, 2);
    let started = Instant::now();
    let (status, text) = get(port, "?target=localhost", 30);
    assert_eq!((status, up(&text)), (200, Some("0")), "{text}");
    assert!(started.elapsed().as_millis() >= 900, "{:?}", started.elapsed());
    assert!(started.elapsed().as_secs() < 25, "{:?}", started.elapsed());
    let (status, text) = get(port, "?target=another.invalid", 30);
    assert_eq!((status, &*text), (503, "too many targets are known\n"));
    // Who is not scraped for a while is forgotten, and there is room.
    daemon.reload(&limited.replace("targets_max", "idle_timeout = \"2s\"\ntargets_max"));
    read_again(&mut daemon, 3);
    assert_eq!(get(port, "?target=localhost", 30).0, 200);
    wait_for("room for another", || {
        (get(port, "?target=another.invalid", 30).0 == 200).then_some(())
    });
}
