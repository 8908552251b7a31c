//! Hundreds of routers in one process, each with a session and a thread of its own.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::http_stub::Reply;
use common::lines::{Line, readings};
use common::list_server::ListServer;
use common::needs::{ROOT, skips};
use common::perijove::{Daemon, FAST, hosts, local_router, own, perijove, whole_lines};
use common::process::{Process, descendants};
use common::sshd::{Sshd, USER};
use common::temporary::Directory;
use common::wait_for;

const ROUTERS: usize = 500;

/// The time in which the routers were first asked, without the first and the last tenth of them:
/// a pause of a busy machine delays some, and not the spread of all.
fn spread(lines: &[Line]) -> Duration {
    let mut first: BTreeMap<String, i64> = BTreeMap::new();
    for line in readings(lines) {
        let time = first.entry(line.tag("host").to_string()).or_insert(line.timestamp);
        *time = line.timestamp.min(*time);
    }
    let mut times: Vec<i64> = first.into_values().collect();
    times.sort_unstable();
    let tenth = times.len() / 10;
    Duration::from_nanos((times[times.len() - 1 - tenth] - times[tenth]) as u64)
}

#[test]
fn five_hundred_routers_in_one_process() {
    let mut settings = "collectors = [\"alarm\"]\ninterval = \"20s\"\n".to_string();
    for number in 0..ROUTERS {
        settings += &local_router(&format!("r{number:03}"), "");
    }
    let directory = Directory::new();
    let file = directory.write("perijove.toml", settings);

    // Started as a login shell starts it: 1,024 open files, which is less than three pipes for
    // each of them, unless the program asks for more.
    let program = perijove(&[]).get_program().to_owned();
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -Sn 1024 && exec \"$@\"", "sh"]).arg(program);
    let mut process = Process::start(command.arg("run").arg("--config").arg(file));

    let mut seen = 0;
    while seen < ROUTERS {
        // The deadline is for the next router and not for all of them: the machine may be busy.
        seen = process.wait_for(&format!("points of more than {seen} routers"), |process| {
            let count = hosts(&whole_lines(&process.stdout())).len();
            (count > seen).then_some(count)
        });
    }
    let children = descendants(process.id());
    assert_eq!(children.len(), ROUTERS, "one session for each");

    process.signal("TERM");
    let finished = process.finish();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let lines = whole_lines(&finished.stdout);
    assert_eq!(hosts(&lines).len(), ROUTERS);
    // Four fifths of the routers, if their phases are spread evenly: 16 s of the interval. A busy
    // machine needs some of them for the first sessions.
    assert!(spread(&lines) > Duration::from_secs(8), "{:?}", spread(&lines));
    wait_for("the children's end", || {
        let gone = |id: &u32| !std::path::Path::new(&format!("/proc/{id}")).exists();
        children.iter().all(gone).then_some(())
    });
}

/// They accept connections and say nothing, or nobody listens: the program ends without their
/// threads, most of which would wait for longer.
#[test]
fn routers_that_cannot_be_reached_hold_up_no_stop() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = silent.local_addr().expect("an address").port();
    let directory = Directory::new();
    let password = directory.write_secret("password", "none");
    let good = local_router("good", "");
    let mut settings = format!("collectors = [\"alarm\"]\n{FAST}drain_timeout = \"60s\"\n{good}");
    for number in 0..ROUTERS {
        let port = if number % 2 == 0 { port } else { 1 };
        settings += &format!(
            "[[router]]\nname = \"r{number}\"\ntarget = \"127.0.0.1\"\nport = {port}\n\
             username = \"u\"\npassword_file = {password:?}\nconnect_timeout = \"50s\"\n"
        );
    }
    let mut daemon = Daemon::start_in(directory, &settings, &[]);
    let accepted = std::thread::spawn(move || {
        let connections = silent.incoming().map_while(Result::ok);
        // Fewer than the kernel would keep waiting, so that the last one comes.
        connections.take(ROUTERS / 4).collect::<Vec<_>>()
    });
    wait_polled(&mut daemon, 1);
    let _connections = accepted.join().expect("connections");
    let started = std::time::Instant::now();
    let finished = daemon.stop();
    // Half of `drain_timeout`, and the time limit of a connection, are 30 s and more.
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(!finished.stderr.contains("have not ended in time"), "{}", finished.stderr);
}

/// The routers of a list: names, each behind one of the servers.
fn list(servers: &[Sshd], names: impl Iterator<Item = usize>) -> String {
    let group = |number: usize| {
        let port = servers[number % servers.len()].port;
        format!(
            "{{\"targets\": [\"127.0.0.1:{port}\"], \"labels\": {{\"name\": \"r{number:03}\"}}}}"
        )
    };
    format!("[{}]", names.map(group).collect::<Vec<_>>().join(",\n"))
}

/// Waits until so many routers are polled from now on. The deadline is for the next one and not for
/// all of them: the machine may be busy.
fn wait_polled(daemon: &mut Daemon, routers: usize) {
    let start = daemon.process.stdout().rfind('\n').map_or(0, |end| end + 1);
    let mut seen = 0;
    while seen < routers {
        seen = daemon.process.wait_for(&format!("more than {seen} routers"), |process| {
            let lines = whole_lines(&process.stdout()[start..]);
            let count = hosts(&lines).len();
            (count > seen).then_some(count)
        });
    }
}

/// Two hundred over SSH, behind four servers, from a list that flaps and fails in every way: those
/// that stay listed keep their sessions, and in the end all are polled.
#[test]
fn two_hundred_routers_of_a_list_that_flaps() {
    const LISTED: usize = 200;
    const STAY: usize = 100;
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let servers: Vec<Sshd> = (0..4).map(|_| Sshd::with_router("")).collect();
    let known: Vec<String> = servers
        .iter()
        .map(|sshd| std::fs::read_to_string(sshd.known_hosts()).expect("known hosts"))
        .collect();
    let known_hosts = servers[0].directory.write("all_hosts", known.concat());
    let key = servers[0].user_key("ed25519", "");
    let accepted = key.with_extension("pub");
    for sshd in &servers[1..] {
        std::fs::copy(&accepted, sshd.directory.join("authorized_keys")).expect("one key for all");
    }
    let server = ListServer::start();
    let directory = Directory::new();
    let token = directory.write_secret("token", "tok\n");
    let mut daemon = Daemon::start_in(
        directory,
        &format!(
            "collectors = [\"alarm\"]\ninterval = \"2s\"\nself_interval = \"2s\"\n\
             [[routers]]\nhttp = \"{}/moved\"\ntoken_file = {token:?}\nlogin = \"all\"\n\
             refresh_interval = \"300ms\"\ntimeout = \"1s\"\nname_label = \"name\"\n\
             [login.all]\nusername = {USER:?}\nprivate_key = {key:?}\nconnect_timeout = \"60s\"\n\
             known_hosts = {known_hosts:?}\n",
            server.stub.url()
        ),
        &[],
    );
    let whole = list(&servers, 0..LISTED);
    server.lists(whole.clone());
    wait_polled(&mut daemon, LISTED);
    for _ in 0..3 {
        for reply in [
            Reply::message(200, "[]"),
            Reply::message(200, &whole[..whole.len() / 2]),
            Reply::Answer(302, &[("Location", "http://127.0.0.1:1/")], String::new()),
            Reply::status(503),
            Reply::Hang,
        ] {
            server.answers(reply);
            server.wait_asked();
        }
        server.lists(list(&servers, 0..STAY));
        server.lists(whole.clone());
    }
    wait_polled(&mut daemon, LISTED);
    let lines = whole_lines(&daemon.process.stdout());
    for number in 0..STAY {
        let name = format!("r{number:03}");
        assert_eq!(own(&lines, ("host", &name), "connects_total"), Some(1.0), "{name}");
    }
    // Those that connect have a thread more for a moment.
    let threads = || {
        let threads = std::fs::read_dir(format!("/proc/{}/task", daemon.process.id()));
        threads.expect("the program runs").count()
    };
    wait_for("no more threads than routers", || (threads() <= LISTED + 10).then_some(()));
    assert_eq!(daemon.stop().code, 0);
}
