//! The SSH transport against a real OpenSSH server.

mod common;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use common::lines;
use common::needs::{PYTHON, ROOT, skips};
use common::perijove::{Daemon, FAST, alarm_polls, every, perijove, router_program, run_with};
use common::process::{self, Finished, Process, run};
use common::sshd::{Sshd, USER, password};
use common::tcp_proxy::TcpProxy;
use common::temporary::Directory;
use common::{DEADLINE, free_port, program, wait_for};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use perijove::base::secret::{Kept, Secret};
use perijove::netconf::known_hosts::{self, Verdict};
use perijove::netconf::{Session, ssh};
use perijove::xml::items::Limits;

const ONCE: &[&str] = &["once", "--collectors", "alarm"];

fn works(settings: &str) -> Finished {
    let finished = run_with(settings, ONCE);
    assert_eq!(finished.code, 0, "{finished:?}\n{settings}");
    assert!(alarm_polls(&lines::read(&finished.stdout)) > 0, "{finished:?}");
    finished
}

/// Fails with exit code 1 and a message that holds every one of `words`.
fn fails(settings: &str, words: &[&str]) -> Finished {
    let finished = run_with(settings, ONCE);
    assert_eq!(finished.code, 1, "{finished:?}\n{settings}");
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} is not said: {}", finished.stderr);
    }
    assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
    finished
}

#[test]
fn a_password_from_a_file_or_the_environment() {
    if skips(&["sshd", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let file = format!("{}password_file = {:?}\n", sshd.router("r1"), sshd.password_file());
    works(&file);
    // An editor leaves a newline at the end.
    let newline = sshd.directory.write_secret("newline", password() + "\n");
    works(&format!("{}password_file = {newline:?}\n", sshd.router("r1")));

    let directory = Directory::new();
    for (settings, variable) in [
        (sshd.router("r1"), "PERIJOVE_PASSWORD"),
        (sshd.router("r1") + "password_env = \"MX1_PASSWORD\"\n", "MX1_PASSWORD"),
    ] {
        let file = directory.write("perijove.toml", settings);
        let mut command = perijove(ONCE);
        let finished = run(command.arg("--config").arg(file).env(variable, password()));
        assert_eq!(finished.code, 0, "{variable}: {finished:?}");
    }
}

#[test]
fn flags_alone_are_enough() {
    if skips(&["sshd", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let port = sshd.port.to_string();
    let mut command = perijove(ONCE);
    command.args(["--target", "127.0.0.1", "--port", &port, "--username", USER]);
    command.arg("--password-file").arg(sshd.password_file());
    let finished = run(command.arg("--known-hosts").arg(sshd.known_hosts()));
    assert_eq!(finished.code, 0, "{finished:?}");
    let lines = lines::readings(&lines::read(&finished.stdout));
    assert!(!lines.is_empty() && lines.iter().all(|line| line.tag("host") == "127.0.0.1"));
}

#[test]
fn keys_of_every_kind_plain_and_encrypted() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let passphrase = sshd.directory.write_secret("passphrase", "correct horse\n");
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = sshd.user_key(kind, "");
        works(&format!("{}private_key = {key:?}\n", sshd.router("r1")));
        let key = sshd.user_key(kind, "correct horse");
        let encrypted = format!("{}private_key = {key:?}\n", sshd.router("r1"));
        works(&format!("{encrypted}passphrase_file = {passphrase:?}\n"));

        let file = sshd.directory.write("perijove.toml", &encrypted);
        let mut command = perijove(ONCE);
        command.arg("--config").arg(file).env("PERIJOVE_PASSPHRASE", "correct horse");
        let finished = run(&mut command);
        assert_eq!(finished.code, 0, "{kind}: {finished:?}");
    }
}

#[test]
fn an_agent_with_the_key() {
    if skips(&["ssh-add", "ssh-agent", "ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let socket = sshd.directory.join("agent");
    let mut agent = Process::start(
        std::process::Command::new(program("ssh-agent")).arg("-D").arg("-a").arg(&socket),
    );
    agent.wait_for("the agent's socket", |_| socket.exists().then_some(()));
    let add = |argument: &Path| {
        let mut command = std::process::Command::new(program("ssh-add"));
        let added = run(command.arg("-q").arg(argument).env("SSH_AUTH_SOCK", &socket));
        assert_eq!(added.code, 0, "{added:?}");
    };
    let file = sshd.directory.write("perijove.toml", sshd.router("r1") + "agent = true\n");
    for kind in ["ed25519", "ecdsa", "rsa"] {
        add(&sshd.user_key(kind, ""));
        let mut command = perijove(ONCE);
        let finished = run(command.arg("--config").arg(&file).env("SSH_AUTH_SOCK", &socket));
        assert_eq!(finished.code, 0, "{kind}: {finished:?}");
        add(Path::new("-D"));
    }

    drop(agent);
    let mut command = perijove(ONCE);
    let finished = run(command.arg("--config").arg(&file).env("SSH_AUTH_SOCK", &socket));
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stderr.contains("agent"), "{}", finished.stderr);
}

#[test]
fn each_refusal_has_its_own_message() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let router = sshd.router("r1");
    let key = sshd.user_key("ed25519", "correct horse");
    let key_name = key.to_str().expect("UTF-8");
    let write = |name: &str, text: &str| {
        let path = sshd.directory.write_secret(name, text);
        path.to_str().expect("UTF-8").to_string()
    };
    let wrong = write("wrong", "wrong horse");
    let garbage = write("garbage", "-----BEGIN OPENSSH PRIVATE KEY-----\nnothing\n");
    let stranger = write("stranger", "");
    std::fs::remove_file(&stranger).expect("remove");
    let made = run(std::process::Command::new(program("ssh-keygen"))
        .args(["-q", "-t", "ed25519", "-N", "", "-f", &stranger]));
    assert_eq!(made.code, 0, "{made:?}");

    fails(&format!("{router}password_file = {wrong:?}\n"), &["r1", "password", USER]);
    fails(
        &format!("{router}private_key = {key:?}\npassphrase_file = {wrong:?}\n"),
        &["r1", "passphrase", key_name],
    );
    fails(&format!("{router}private_key = {key:?}\n"), &["r1", "passphrase", key_name]);
    fails(&format!("{router}private_key = {garbage:?}\n"), &["r1", "private key", &garbage]);
    fails(&format!("{router}private_key = {stranger:?}\n"), &["r1", "key", &stranger, USER]);
    fails(&router, &["r1", "password_file", "private_key", "agent"]);
}

#[test]
fn an_unreachable_router_says_where() {
    // Any password will do where nobody asks for it; every test's perijove has a HOME.
    let router = |target: &str, port: u16| {
        format!(
            "[[router]]\nname = \"r1\"\ntarget = \"{target}\"\nport = {port}\n\
             username = \"u\"\npassword_env = \"HOME\"\nconnect_timeout = \"2s\"\n"
        )
    };
    let port = free_port();
    fails(&router("127.0.0.1", port), &["r1", &format!("127.0.0.1:{port}"), "refused"]);
    fails(&router("no-such-router.invalid", 830), &["r1", "no-such-router.invalid"]);

    // A listener that never speaks: its queue takes the connection, nobody says a word.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("an address").port();
    fails(&router("127.0.0.1", port), &["r1", &format!("127.0.0.1:{port}")]);
}

/// An agent that takes connections and never answers.
#[test]
fn an_agent_that_hangs_ends_with_the_time_limit() {
    if skips(&["sshd", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let socket = sshd.directory.join("agent");
    let _agent = std::os::unix::net::UnixListener::bind(&socket).expect("an agent");
    let settings = sshd.router("r1") + "agent = true\nconnect_timeout = \"8s\"\n";
    let file = sshd.directory.write("perijove.toml", settings);
    let started = Instant::now();
    let mut command = perijove(ONCE);
    let finished = run(command.arg("--config").arg(&file).env("SSH_AUTH_SOCK", &socket));
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stderr.contains("the agent shows none"), "{}", finished.stderr);
    let elapsed = started.elapsed();
    assert!((8..40).contains(&elapsed.as_secs()), "{elapsed:?}");
}

/// The system's resolver waits for a name server for 20 s, that of this test for ever.
#[test]
fn a_name_that_nobody_resolves_ends_with_the_time_limit() {
    if skips(&["unshare", ROOT]) {
        return;
    }
    let _silent = std::net::UdpSocket::bind("127.83.0.1:53").expect("a name server");
    let directory = Directory::new();
    let resolv = directory.write("resolv.conf", "nameserver 127.83.0.1\noptions timeout:20\n");
    let file = directory.write(
        "perijove.toml",
        "[[router]]\nname = \"r1\"\ntarget = \"mx1.example.net\"\nusername = \"u\"\n\
         password_env = \"HOME\"\nconnect_timeout = \"2s\"\n",
    );
    let script = format!(
        "mount --bind {} /etc/resolv.conf && exec {} once --config {}",
        resolv.display(),
        env!("CARGO_BIN_EXE_perijove"),
        file.display()
    );
    let started = Instant::now();
    let mut command = std::process::Command::new(program("unshare"));
    let finished = run(command.args(["--mount", "sh", "-c", &script]));
    assert_eq!(finished.code, 1, "{finished:?}");
    let said = "mx1.example.net:830: no address: no answer from the system in time";
    assert!(finished.stderr.contains(said), "{}", finished.stderr);
    let elapsed = started.elapsed();
    assert!((2..18).contains(&elapsed.as_secs()), "{elapsed:?}");
}

#[test]
fn a_server_that_is_not_ssh_is_said_to_be_none() {
    let stub = common::http_stub::HttpStub::start(|_, _| common::http_stub::Reply::Garbage);
    fails(
        &format!(
            "[[router]]\nname = \"r1\"\ntarget = \"127.0.0.1\"\nport = {}\nusername = \"u\"\n\
             password_env = \"HOME\"\nconnect_timeout = \"3s\"\n",
            stub.port
        ),
        &["r1", "SSH"],
    );
}

#[test]
fn an_unknown_host_key_is_refused_and_says_how_to_accept_it() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let key = sshd.user_key("ed25519", "");
    let router = |known_hosts: &Path| {
        format!(
            "[[router]]\nname = \"r1\"\ntarget = \"127.0.0.1\"\nport = {}\n\
             username = \"{USER}\"\nprivate_key = {key:?}\nknown_hosts = {known_hosts:?}\n",
            sshd.port
        )
    };
    let empty = sshd.directory.write("empty", "");
    let missing = sshd.directory.join("missing/known_hosts");
    for known_hosts in [&empty, &missing] {
        let name = known_hosts.to_str().expect("UTF-8");
        let said = fails(&router(known_hosts), &["r1", &sshd.fingerprint(), name]);
        // What it says to run is what makes it work.
        let command = said.stderr.split('`').find(|part| part.starts_with("echo "));
        let command = command.unwrap_or_else(|| panic!("no command in {}", said.stderr));
        std::fs::create_dir_all(known_hosts.parent().expect("a folder")).expect("make a folder");
        let ran = run(std::process::Command::new("sh").args(["-c", command]));
        assert_eq!(ran.code, 0, "{command}: {ran:?}");
        works(&router(known_hosts));
    }
    // Another host's key does not help, and the check can be switched off.
    let other = std::fs::read_to_string(sshd.known_hosts()).expect("known hosts");
    let other = sshd.directory.write("other", other.replace("127.0.0.1", "192.0.2.1"));
    fails(&router(&other), &["r1", &sshd.fingerprint()]);
    works(&(router(&other) + "host_key_check = false\n"));
    // Hashed names, as Debian's ssh writes them.
    let hashed = sshd.known_hosts();
    let ran =
        run(std::process::Command::new(program("ssh-keygen")).args(["-H", "-f"]).arg(&hashed));
    assert_eq!(ran.code, 0, "{ran:?}");
    works(&router(&hashed));
}

#[test]
fn a_changed_host_key_is_refused_as_such() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let mut sshd = Sshd::with_router("");
    let settings = sshd.router_with_key("r1");
    works(&settings);
    let known_hosts = sshd.known_hosts();
    let old = sshd.fingerprint();
    sshd.change_host_key();
    let said = fails(
        &settings,
        &["r1", "CHANGED", &sshd.fingerprint(), known_hosts.to_str().expect("UTF-8")],
    );
    assert_ne!(old, sshd.fingerprint());
    assert!(!said.stderr.contains("panicked"));
}

#[test]
fn old_algorithms_only_by_setting() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let rsa = Directory::new();
    let key = rsa.join("rsa_key");
    let made = run(std::process::Command::new(program("ssh-keygen"))
        .args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"])
        .arg(&key));
    assert_eq!(made.code, 0, "{made:?}");
    // sshd takes the first value of an option, and every HostKey.
    let old = format!(
        "HostKey {}\nHostKeyAlgorithms ssh-rsa\nKexAlgorithms diffie-hellman-group14-sha1\n\
         MACs hmac-sha1\nCiphers aes128-cbc\nPubkeyAcceptedAlgorithms +ssh-rsa\n",
        key.display()
    );
    let sshd = Sshd::with_router_and("", &old);
    let public = std::fs::read_to_string(key.with_extension("pub")).expect("read key");
    let known_hosts =
        sshd.directory.write("old_hosts", format!("[127.0.0.1]:{} {public}", sshd.port));
    let settings = format!(
        "[[router]]\nname = \"r1\"\ntarget = \"127.0.0.1\"\nport = {}\nusername = \"{USER}\"\n\
         password_file = {:?}\nknown_hosts = {known_hosts:?}\n",
        sshd.port,
        sshd.password_file()
    );
    fails(&settings, &["r1", "legacy_algorithms"]);
    works(&(settings + "legacy_algorithms = true\n"));
}

#[test]
fn a_missing_subsystem_is_said() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let mut sshd = Sshd::start(Directory::new(), "exit 127", "");
    let router = sshd.router_with_key("r1");
    fails(&router, &["r1", "no <hello>"]);
    let settings = sshd.directory.join("sshd_config");
    let without = std::fs::read_to_string(&settings).expect("read sshd_config");
    sshd.stop();
    std::fs::write(settings, without.replace("Subsystem netconf", "Subsystem other"))
        .expect("write sshd_config");
    sshd.start_again();
    fails(&router, &["r1", "subsystem netconf", "set system services netconf ssh"]);
}

fn polls(process: &Process) -> usize {
    alarm_polls(&common::perijove::whole_lines(&process.stdout()))
}

fn daemon(sshd: &Sshd, settings: &str) -> Daemon {
    Daemon::start(&format!(
        "collectors = [\"alarm\"]\n{FAST}{settings}{}",
        sshd.router_with_key("r1")
    ))
}

#[test]
fn many_polls_share_one_session() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let mut daemon = daemon(&sshd, "");
    daemon.process.wait_for("five polls", |process| (polls(process) >= 5).then_some(()));
    assert_eq!(daemon.stop().code, 0);
    let accepted = || sshd.log().matches("Accepted publickey").count();
    wait_for("a login in sshd's log", || (accepted() > 0).then_some(()));
    assert_eq!(accepted(), 1, "{}", sshd.log());
}

#[test]
fn a_killed_session_is_renewed() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let mut daemon = daemon(&sshd, "");
    for round in 1..=2 {
        let before = polls(&daemon.process);
        daemon.process.wait_for("a poll", |process| (polls(process) > before).then_some(()));
        // The poll may be one of the session before, which was printed late.
        let what = format!("round {round}: a session");
        wait_for(&what, || (sshd.kill_sessions() > 0).then_some(()));
    }
    let before = polls(&daemon.process);
    daemon.process.wait_for("a poll after", |process| (polls(process) > before + 1).then_some(()));
    daemon.process.wait_stderr("r1");
}

#[test]
fn a_server_killed_in_the_middle_of_a_reply_and_started_again() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    // The second poll's first reply takes minutes; what has gone out of it is seen in a file.
    let directory = Directory::new();
    let router = directory.join("router");
    std::fs::copy(router_program(), &router).expect("copy the router");
    let sent = directory.write("sent", "");
    std::fs::set_permissions(&sent, PermissionsExt::from_mode(0o666)).expect("set mode");
    let command = format!(
        "{} --fault slow@2-2:system-alarm --drip-bytes 30 --drip-ms 1000 | tee {}",
        router.display(),
        sent.display()
    );
    let mut sshd = Sshd::start(directory, &command, "");
    let mut daemon = daemon(&sshd, "");
    daemon.process.wait_for("the middle of the third reply", |_| {
        let sent = std::fs::read_to_string(&sent).expect("read what was sent");
        (sent.matches("<rpc-reply").count() >= 3).then_some(())
    });
    sshd.stop();
    daemon.process.wait_stderr("r1");
    let before = polls(&daemon.process);
    sshd.start_again();
    daemon.process.wait_for("a poll after", |process| (polls(process) > before).then_some(()));
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn an_idle_session_that_the_server_drops_is_renewed() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let drops = "ClientAliveInterval 1\nClientAliveCountMax 1";
    let sshd = Sshd::with_router_and("", drops);
    let mut daemon = Daemon::start(&format!(
        "collectors = [\"alarm\"]\n{}{}keepalive_interval = \"1h\"\n",
        every("5s"),
        sshd.router_with_key("r1")
    ));
    daemon.process.wait_for("three polls", |process| (polls(process) >= 3).then_some(()));
    wait_for("a dropped session in sshd's log", || {
        (sshd.log().matches("Accepted publickey").count() >= 2).then_some(())
    });
}

#[test]
fn keepalives_hold_an_idle_session() {
    if skips(&["ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let drops = "ClientAliveInterval 3\nClientAliveCountMax 1";
    let sshd = Sshd::with_router_and("", drops);
    let mut daemon = Daemon::start(&format!(
        "collectors = [\"alarm\"]\n{}{}keepalive_interval = \"1s\"\n",
        every("9s"),
        sshd.router_with_key("r1")
    ));
    daemon.process.wait_for("two polls", |process| (polls(process) >= 2).then_some(()));
    let log = sshd.log();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
}

#[test]
fn secrets_are_nowhere_to_be_seen() {
    if skips(&["prometheus", "ssh-keygen", "sshd", ROOT]) {
        return;
    }
    let sshd = Sshd::with_router("");
    let phrase = "correct horse battery";
    let key = sshd.user_key("ed25519", phrase);
    let passphrase = sshd.directory.write_secret("passphrase", phrase);
    let wrong = sshd.directory.write_secret("wrong", "wr0ng-secret");
    let routers = [
        sshd.router("password") + &format!("password_file = {:?}\n", sshd.password_file()),
        sshd.router("key") + &format!("private_key = {key:?}\npassphrase_file = {passphrase:?}\n"),
        sshd.router("refused") + &format!("password_file = {wrong:?}\n"),
        sshd.router("undone") + &format!("private_key = {key:?}\npassphrase_file = {wrong:?}\n"),
    ];
    let mut daemon = Daemon::start_in(
        Directory::new(),
        &format!("collectors = [\"alarm\"]\n{FAST}[log]\nlevel = \"trace\"\n{}", routers.concat()),
        &["--verbose", "--verbose", "--verbose"],
    );
    daemon.process.wait_for("four polls", |process| (polls(process) >= 4).then_some(()));
    for name in ["refused", "undone"] {
        daemon.process.wait_stderr(name);
    }
    let ps = std::fs::read(format!("/proc/{}/cmdline", daemon.process.id())).expect("cmdline");
    let checked = run_with(&routers.concat(), &["check", "--verbose", "--verbose", "--verbose"]);
    let misplaced = sshd.router("r1") + "password_env = \"wr0ng-secret\"\n";
    let misplaced = run_with(&misplaced, ONCE);
    assert!(misplaced.stderr.contains("password_env"), "{misplaced:?}");
    let finished = daemon.stop();
    for secret in [password().as_str(), phrase, "wr0ng-secret"] {
        for text in [
            &finished.stdout,
            &finished.stderr,
            &checked.stdout,
            &checked.stderr,
            &misplaced.stderr,
            &String::from_utf8_lossy(&ps).into_owned(),
        ] {
            assert!(!text.contains(secret), "a secret is shown: {text}");
        }
    }
}

/// Known-hosts files, with KEY and OTHER for the server's and another's key, PORT for its port,
/// HASH and HASH22 for its hashed name with and without the port, SALT and a number for one with
/// so many bytes of salt.
const KNOWN_HOSTS: &[&str] = &[
    "",
    "# [localhost]:PORT KEY",
    "[localhost]:PORT KEY",
    "[localhost]:PORT KEY a comment",
    "  \t[localhost]:PORT\t KEY",
    "[LOCALHOST]:PORT KEY",
    "[localhost]:PORT OTHER",
    "[localhost]:PORT OTHER\n[localhost]:PORT KEY",
    "[localhost]:PORT KEY\n[localhost]:PORT OTHER",
    "localhost KEY",
    "localhost OTHER",
    "localhost OTHER\n[localhost]:PORT KEY",
    "localhost KEY\n[localhost]:PORT OTHER",
    "[localhost]:1 KEY",
    "[localhost]:* KEY",
    "[local*]:PORT KEY",
    "[?ocalhos?]:PORT KEY",
    "[localhos]:PORT KEY",
    "* KEY",
    "*,![localhost]:PORT KEY",
    "![localhost]:PORT,* KEY",
    "*,!localhost KEY",
    "*,!other KEY",
    "!other KEY",
    "![local*]:PORT KEY\n[localhost]:PORT KEY",
    "mx1,[localhost]:PORT,mx2 KEY",
    "mx1,mx2 KEY",
    "[localhost]:PORT,",
    "[localhost]:PORT",
    "[localhost]:PORT ssh-ed25519",
    "[localhost]:PORT ssh-rsa BODY",
    "[localhost]:PORT ssh-ed25519 !!!!",
    "[localhost]:PORT BODY",
    "HASH KEY",
    "HASH OTHER",
    "HASH22 KEY",
    "HASH,mx1 KEY",
    "SALT8 KEY",
    "SALT20 KEY",
    "SALT21 KEY",
    "|1|AAAA|BBBB KEY",
    "|2|AAAA|BBBB KEY",
    "@revoked [localhost]:PORT KEY\n[localhost]:PORT KEY",
    "[localhost]:PORT KEY\n@revoked * KEY",
    "[localhost]:PORT KEY\n@revoked localhost KEY",
    "[localhost]:PORT KEY\n@revoked [localhost]:PORT OTHER",
    "[localhost]:PORT KEY\n@revoked mx1 KEY",
    "localhost KEY\n@revoked [localhost]:PORT KEY",
    "@revoked [localhost]:PORT KEY",
    "@cert-authority [localhost]:PORT KEY",
    "@cert-authority * KEY\n[localhost]:PORT KEY",
    "@cert-authority [localhost]:PORT OTHER\n[localhost]:PORT KEY",
    "@unknown [localhost]:PORT KEY",
    "@revoked @cert-authority [localhost]:PORT KEY",
    "@revoked",
];
/// ssh wants a blank behind a marker and passes over this line; perijove reads it as it is meant.
const TAB_BEHIND_REVOKED: &str = "@revoked\t[localhost]:PORT KEY\n[localhost]:PORT KEY";

/// ssh's own decision on a known-hosts file.
fn ssh_knows(sshd: &Sshd, known_hosts: &Path) -> bool {
    let mut command = std::process::Command::new(program("ssh"));
    command.args(["-F", "none", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"]);
    command.args(["-o", "GlobalKnownHostsFile=none", "-o", "HostKeyAlgorithms=ssh-ed25519"]);
    command.args(["-o", "PreferredAuthentications=none", "-o", "UpdateHostKeys=no"]);
    command.arg("-o").arg(format!("UserKnownHostsFile={}", known_hosts.display()));
    command.args(["-4", "-p", &sshd.port.to_string(), &format!("{USER}@localhost"), "true"]);
    let finished = run(&mut command);
    let refused = finished.stderr.contains("Host key verification failed");
    let known = finished.stderr.contains("Permission denied");
    assert!(refused != known, "neither known nor refused: {finished:?}");
    known
}

#[test]
fn known_hosts_as_ssh_reads_them() {
    let sshd = Sshd::with_router("");
    let key = std::fs::read_to_string(sshd.directory.join("host_key.pub")).expect("a key");
    let key = key.rsplit_once(' ').expect("a comment").0;
    let other = std::fs::read_to_string(sshd.user_key("ed25519", "").with_extension("pub"));
    let other = other.expect("a key");
    let other = other.rsplit_once(' ').expect("a comment").0;
    let hashed = |name: &str| {
        let file = sshd.directory.write("hashed", format!("{name} {key}\n"));
        let mut command = std::process::Command::new(program("ssh-keygen"));
        assert_eq!(run(command.args(["-H", "-f"]).arg(&file)).code, 0);
        let line = std::fs::read_to_string(file).expect("hashed");
        line.split(' ').next().expect("a name").to_string()
    };
    let port = sshd.port.to_string();
    let (hash, hash22) = (hashed(&format!("[localhost]:{port}")), hashed("localhost"));
    let body = key.split(' ').nth(1).expect("a key's body");
    let wire = openssl::base64::decode_block(body).expect("base64");
    let salted = |bytes: usize| {
        let salt = vec![b's'; bytes];
        let salt = PKey::hmac(&salt).map(|key| (key, openssl::base64::encode_block(&salt)));
        let (key, salt) = salt.expect("a key");
        let mut signer = Signer::new(MessageDigest::sha1(), &key).expect("HMAC");
        let hash = signer.sign_oneshot_to_vec(format!("[localhost]:{port}").as_bytes());
        format!("|1|{salt}|{}", openssl::base64::encode_block(&hash.expect("HMAC")))
    };
    let mut known = 0;
    for lines in KNOWN_HOSTS.iter().chain([&TAB_BEHIND_REVOKED]) {
        let text = lines.replace("HASH22", &hash22).replace("HASH", &hash).replace("PORT", &port);
        let salts = [8, 20, 21].map(|bytes| (format!("SALT{bytes}"), salted(bytes)));
        let text = salts.iter().fold(text, |text, (name, hash)| text.replace(name, hash));
        let text = text.replace("KEY", key).replace("OTHER", other).replace("BODY", body) + "\n";
        let file = sshd.directory.write("table", &text);
        let verdict = known_hosts::check(&text, "localhost", sshd.port, &wire);
        let stricter = *lines == TAB_BEHIND_REVOKED;
        let ours = verdict == Verdict::Known || stricter;
        assert_eq!(ours, ssh_knows(&sshd, &file), "{lines}: {verdict:?}");
        assert!(!stricter || matches!(verdict, Verdict::Revoked { line: 1 }), "{verdict:?}");
        known += usize::from(verdict == Verdict::Known);
    }
    assert!((15..40).contains(&known), "{known} of {}", KNOWN_HOSTS.len());
}

#[test]
fn a_revoked_key_and_an_authority_are_named() {
    let sshd = Sshd::with_router("");
    let line = std::fs::read_to_string(sshd.known_hosts()).expect("known hosts");
    let key = sshd.user_key("ed25519", "");
    let with = |text: String| {
        let file = sshd.directory.write("marked", text);
        format!(
            "[[router]]\nidentity = \"r1\"\ntarget = \"127.0.0.1\"\nport = {}\n\
             username = \"{USER}\"\nprivate_key = {key:?}\nknown_hosts = {file:?}\n",
            sshd.port
        )
    };
    fails(&with(format!("{line}@revoked {line}")), &["r1", "REVOKED by line 2", "marked"]);
    fails(
        &with(format!("# authorities\n@cert-authority {line}")),
        &["r1", "is not known", "Line 2", "transport = \"openssh\" checks them"],
    );
}

#[test]
fn only_the_ciphers_that_are_set() {
    let sshd = Sshd::with_router_and("", "Ciphers aes256-ctr,aes128-gcm@openssh.com");
    let router = sshd.router_with_key("r1");
    works(&router);
    works(&format!("{router}ciphers = [\"aes256-ctr\"]\n"));
    let none = format!("{router}ciphers = [\"chacha20-poly1305@openssh.com\"]\n");
    fails(&none, &["r1", "no algorithm in common"]);
    for (ciphers, word) in
        [("[]", "at least one"), ("[\"rot13\"]", "rot13"), ("[\"3des-cbc\"]", "legacy_algorithms")]
    {
        let finished = run_with(&format!("{router}ciphers = {ciphers}\n"), ONCE);
        assert_eq!(finished.code, 2, "{finished:?}");
        assert!(finished.stderr.contains(word), "{finished:?}");
    }
}

/// A server with one reply of so many bytes, which exchanges keys again on the way.
fn sshd_that_exchanges_keys(bytes: usize, every: &str) -> Sshd {
    let directory = Directory::new();
    let script = directory.write(
        "big",
        format!(
            "printf '<hello><capabilities/><session-id>1</session-id></hello>]]>]]>'\n\
             printf '<rpc-reply message-id=\"1\">'\n\
             head -c {bytes} /dev/zero | tr '\\0' x\nprintf '</rpc-reply>]]>]]>'\ncat >/dev/null\n"
        ),
    );
    let command = format!("sh {}", script.display());
    Sshd::start(directory, &command, &format!("RekeyLimit {every}"))
}

fn reply_comes_whole(sshd: &Sshd, settings: &ssh::SshConfig, bytes: usize) {
    let mut settings = settings.clone();
    settings.connect_timeout = DEADLINE;
    settings.private_key = Some(sshd.user_key("ed25519", ""));
    let transport = ssh::connect(&settings).expect("a connection");
    let mut session = Session::open(transport, &Limits::default(), DEADLINE).expect("a session");
    let mut reply = session.rpc("<get/>", Instant::now() + 3 * DEADLINE).expect("a reply");
    let read = std::io::copy(&mut reply, &mut std::io::sink()).expect("the whole reply");
    assert_eq!(read, (bytes + "<rpc-reply message-id=\"1\"></rpc-reply>".len()) as u64);
}

#[test]
fn a_reply_of_100_mb_comes_whole() {
    if skips(&["sshd", ROOT]) {
        return;
    }
    const BYTES: usize = 100_000_000;
    let sshd = sshd_that_exchanges_keys(BYTES, "20M");
    reply_comes_whole(&sshd, &ssh_settings(sshd.port), BYTES);
}

/// The rest of a message is waited for. A server that goes on after half a message is the `keys` of
/// `hostile_sshd`.
#[test]
fn keys_are_exchanged_again_in_pieces() {
    if skips(&["sshd", ROOT]) {
        return;
    }
    const BYTES: usize = 300_000;
    let sshd = sshd_that_exchanges_keys(BYTES, "100K");
    let relay = TcpProxy::start(sshd.port);
    for piece in [200, 700] {
        relay.cut_into(piece);
        for cipher in ["chacha20-poly1305@openssh.com", "aes256-gcm@openssh.com", "aes128-ctr"] {
            let mut settings = ssh_settings(relay.port);
            settings.ciphers = vec![cipher.into()];
            reply_comes_whole(&sshd, &settings, BYTES);
        }
    }
}

fn ssh_settings(port: u16) -> ssh::SshConfig {
    ssh::SshConfig {
        target: "127.0.0.1".into(),
        port,
        username: USER.into(),
        password: Some(Kept::Here(Secret::new("none"))),
        private_key: None,
        passphrase: None,
        agent: false,
        known_hosts: "/nonexistent".into(),
        host_key_check: false,
        legacy_algorithms: false,
        ciphers: Vec::new(),
        connect_timeout: Duration::from_secs(2),
        keepalive_interval: Duration::from_secs(60),
    }
}

/// No flood has an end: what ends within this time, ends with its limit of two seconds, on a
/// machine however busy.
const LATE: Duration = Duration::from_secs(30);

/// A packet before there are keys (RFC 4253 section 6).
fn plain_packet(payload: &[u8]) -> Vec<u8> {
    let padding = 8 - (payload.len() + 5) % 8 + 8;
    let length = u32::try_from(payload.len() + padding + 1).expect("a length");
    let mut packet = length.to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).expect("a length"));
    packet.extend(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// Whoever sits at the router's address, without any key: says this to everyone, the second part
/// again and again.
fn flood(first: Vec<u8>, again: Vec<u8>) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (first, again) = (first.clone(), again.clone());
            std::thread::spawn(move || {
                let mut client = client.expect("a client");
                let mut done = client.write_all(&first);
                while done.is_ok() {
                    done = client.write_all(&again);
                }
            });
        }
    });
    port
}

/// Floods without a key: each with its port.
fn floods() -> [(&'static str, u16); 16] {
    let banner = || b"SSH-2.0-x\r\n".to_vec();
    let names = |names: &str| {
        let length = u32::try_from(names.len()).expect("a length");
        [&length.to_be_bytes()[..], names.as_bytes()].concat()
    };
    // SSH_MSG_KEXINIT (RFC 4253 section 7.1).
    let mut offer = [&[20][..], &[7; 16]].concat();
    for list in ["curve25519-sha256", "ssh-ed25519", "aes128-ctr", "aes128-ctr"] {
        offer.extend(names(list));
    }
    for list in ["hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""] {
        offer.extend(names(list));
    }
    offer.extend([0; 5]);
    let begun = plain_packet(&offer);
    let keys = [banner(), begun.clone()].concat();
    let long = format!("curve25519-sha256{}", ",x".repeat(15_000));
    let large_offer = [&[20][..], &[7; 16], &names(&long), &[0; 36], &[0; 5]].concat();
    // SSH_MSG_KEX_ECDH_REPLY (RFC 5656 section 4): a host key, a public key, a signature.
    let reply = [&[31][..], &names(&"k".repeat(30_000)), &names("q"), &names("s")].concat();
    let junk = plain_packet(&[250; 30_000]);
    let small = plain_packet(&[250]).repeat(1000);
    let ignored = plain_packet(&[&[2][..], &[0; 30_000]].concat());
    let debug = plain_packet(&[4, 1, 0, 0, 0, 0, 0, 0, 0, 0]).repeat(1000);
    let extensions = [&[7, 0, 0, 0, 1][..], &names("server-sig-algs"), &names(&"a".repeat(30_000))];
    let extensions = plain_packet(&extensions.concat());
    [
        ("packets of an unknown type", flood(banner(), junk.clone())),
        ("the same behind the offer of algorithms", flood(keys.clone(), junk)),
        ("small ones", flood(banner(), small)),
        ("packets to be ignored", flood(banner(), ignored)),
        ("lines before the banner", flood(Vec::new(), b"no banner\n".repeat(1000))),
        ("a line before the banner", flood(Vec::new(), vec![b'x'; 30_000])),
        ("returns before the banner", flood(Vec::new(), vec![b'\r'; 30_000])),
        ("debug messages while keys are exchanged", flood(keys.clone(), debug)),
        ("extensions while keys are exchanged", flood(keys.clone(), extensions)),
        ("the offer of algorithms again and again", flood(banner(), plain_packet(&offer))),
        ("large offers", flood(banner(), plain_packet(&large_offer))),
        (
            "offers, each half an exchange",
            flood(banner(), [&*begun, &plain_packet(&[21])].concat()),
        ),
        ("replies without a question", flood(keys.clone(), plain_packet(&reply))),
        ("new keys without an exchange", flood(keys.clone(), plain_packet(&[21]).repeat(1000))),
        (
            "a packet without an end",
            flood(keys.clone(), [&35_000u32.to_be_bytes()[..], &[4]].concat()),
        ),
        ("messages of the login", flood(keys, plain_packet(&[51]).repeat(1000))),
    ]
}

#[test]
fn a_flood_without_a_key_ends_with_the_time_limit() {
    for (what, port) in floods() {
        let started = Instant::now();
        let settings = ssh_settings(port);
        let err = ssh::connect(&settings).err().unwrap_or_else(|| panic!("{what}: a session"));
        assert!(started.elapsed() < LATE, "{what}: {:?}", started.elapsed());
        assert!(err.0.contains("the SSH handshake failed"), "{what}: {err}");
        assert!(err.0.len() < 600, "{what}: {err}");
    }
}

/// The most memory that a daemon holds while it tries each of these routers, by port and user,
/// three times.
fn peak_bytes(routers: &[(u16, &str)]) -> u64 {
    let directory = Directory::new();
    let password = directory.write_secret("password", "none");
    let mut settings = format!("collectors = [\"alarm\"]\n{FAST}timeout = \"1s\"\n");
    for (index, (port, user)) in routers.iter().enumerate() {
        settings += &format!(
            "[[router]]\nname = \"r{index}\"\ntarget = \"127.0.0.1\"\nport = {port}\n\
             username = \"{user}\"\nhost_key_check = false\nconnect_timeout = \"2s\"\n\
             password_file = {password:?}\n"
        );
    }
    let mut daemon = Daemon::start(&settings);
    for index in 0..routers.len() {
        daemon.process.wait_stderr(&format!("r{index}: "));
    }
    // Two tries more, after 1 s and 2 s.
    std::thread::sleep(Duration::from_secs(6));
    let peak = process::peak_bytes(daemon.process.id());
    assert!(!daemon.stop().stderr.contains("panicked"));
    peak
}

#[test]
fn a_flood_fills_no_memory() {
    let quiet = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let quiet = peak_bytes(&[(quiet.local_addr().expect("an address").port(), "u")]);
    std::thread::scope(|scope| {
        for (what, port) in floods() {
            scope.spawn(move || {
                let peak = peak_bytes(&[(port, "u")]);
                assert!(peak < quiet + (4 << 20), "{what}: {peak} bytes, {quiet} without it");
            });
        }
    });
}

fn hostile_sshd_command() -> std::process::Command {
    let python = common::target_directory().join("test-venv/bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/hostile_sshd.py");
    let mut command = std::process::Command::new(python);
    command.arg(script);
    command
}

/// A server that misbehaves as the user's name says, and all names.
fn hostile_sshd() -> (Process, u16, Vec<String>) {
    let listed = run(hostile_sshd_command().arg("--list"));
    let listed: Vec<String> = listed.stdout.split_ascii_whitespace().map(String::from).collect();
    assert!(listed.len() > 40, "{listed:?}");
    let names = listed.into_iter().chain(["login-silence".into(), "early-silence".into()]);
    let mut server = Process::start(&mut hostile_sshd_command());
    let port = server.wait_for("its port", |server| server.stdout().trim().parse().ok());
    (server, port, names.collect())
}

#[test]
fn a_flood_once_keys_are_exchanged_ends_with_the_time_limit() {
    if skips(&[PYTHON]) {
        return;
    }
    const LIMIT: Duration = Duration::from_secs(2);
    let (_server, port, names) = hostile_sshd();
    for name in &names {
        let mut settings = ssh_settings(port);
        settings.username = name.clone();
        let is_in = !name.starts_with("login-");
        settings.connect_timeout = if is_in { DEADLINE } else { LIMIT };
        let started = Instant::now();
        let transport = match ssh::connect(&settings) {
            Ok(transport) => transport,
            Err(err) => {
                assert!(!is_in && started.elapsed() < LATE, "{name}: {err}");
                assert!(err.0.len() < 700 && !err.0.contains('\n'), "{name}: {err}");
                continue;
            }
        };
        let started = Instant::now();
        let mut session = match Session::open(transport, &Limits::default(), LIMIT) {
            Ok(session) => session,
            Err(err) => {
                assert!(started.elapsed() < LATE, "{name}: {err} {:?}", started.elapsed());
                continue;
            }
        };
        assert!(!name.contains('-'), "{name}: a session");
        let started = Instant::now();
        let reply = session.rpc("<get/>", started + LIMIT);
        let done = reply.map(|mut reply| std::io::copy(&mut reply, &mut std::io::sink()));
        assert!(!matches!(done, Ok(Ok(_))), "{name}: a reply");
        assert!(started.elapsed() < LATE, "{name}: {:?}", started.elapsed());
        assert!(session.is_lost(), "{name}");
        let started = Instant::now();
        drop(session);
        assert!(started.elapsed() < LATE, "{name}: its end took {:?}", started.elapsed());
    }
}

#[test]
fn a_flood_once_keys_are_exchanged_fills_no_memory() {
    if skips(&[PYTHON]) {
        return;
    }
    const SESSION_BYTES_MAX: u64 = 4 << 20;
    let (_server, port, names) = hostile_sshd();
    let quiet = peak_bytes(&[(port, "quiet")]);
    let routers: Vec<(u16, &str)> = names.iter().map(|name| (port, name.as_str())).collect();
    let peak = peak_bytes(&routers);
    let each = peak.saturating_sub(quiet) / routers.len() as u64;
    assert!(each < SESSION_BYTES_MAX, "{peak} bytes, {quiet} without it: {each} each");
}
