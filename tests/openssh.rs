//! The transport through the system's own ssh, against real OpenSSH servers.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::lines;
use common::needs::{ROOT, skips};
use common::perijove::{Daemon, FAST, alarm_polls, perijove, run_with, whole_lines};
use common::process::{Finished, Process, run};
use common::sshd::{Sshd, USER};
use common::temporary::Directory;
use common::{program, wait_for};

const ONCE: &[&str] = &["once", "--collectors", "alarm"];
const NEEDS: &[&str] = &["ssh", "ssh-keygen", "sshd", ROOT];

fn keygen(arguments: &[&str], file: &Path) {
    let made = run(Command::new(program("ssh-keygen")).arg("-q").args(arguments).arg(file));
    assert_eq!(made.code, 0, "{made:?}");
}

/// A new key in a directory.
fn key(directory: &Directory, name: &str) -> PathBuf {
    let path = directory.join(name);
    keygen(&["-t", "ed25519", "-N", "", "-f"], &path);
    path
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

/// A configuration of ssh for hosts by name, and what holds for all of them.
fn ssh_config(directory: &Directory, hosts: &[(&str, &Sshd, &str)], all: &str) -> PathBuf {
    let mut text = String::new();
    for (name, sshd, more) in hosts {
        text += &format!(
            "Host {name}\n HostName 127.0.0.1\n Port {}\n User {USER}\n{more}\n",
            sshd.port
        );
    }
    text += &format!("Host *\n GlobalKnownHostsFile /dev/null\n IdentitiesOnly yes\n{all}\n");
    directory.write("ssh_config", text)
}

/// Known hosts with the present keys of these servers.
fn known_hosts(directory: &Directory, servers: &[&Sshd]) -> PathBuf {
    let lines: String = servers.iter().map(|sshd| read(&sshd.known_hosts())).collect();
    directory.write("known_hosts", lines)
}

fn router(target: &str, config: &Path) -> String {
    format!(
        "[[router]]\nname = \"r1\"\ntransport = \"openssh\"\ntarget = \"{target}\"\n\
         ssh_config = {config:?}\n"
    )
}

fn works(finished: &Finished) {
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(alarm_polls(&lines::read(&finished.stdout)) > 0, "{finished:?}");
}

#[test]
fn through_a_bastion_with_a_certificate_for_the_user_and_one_for_the_host() {
    if skips(NEEDS) {
        return;
    }
    let directory = Directory::new();
    let authority = key(&directory, "authority");
    let trusted = format!("TrustedUserCAKeys {}.pub", authority.display());
    let mut behind = Sshd::with_router_and("", &trusted);
    let bastion =
        Sshd::start(Directory::new(), "false", &format!("PermitOpen 127.0.0.1:{}", behind.port));
    // The bastion knows the key, the router only the authority that signed it.
    let user = bastion.user_key("ed25519", "");
    let authority_file = authority.to_str().expect("UTF-8");
    let sign = ["-s", authority_file, "-I", "the-collector"];
    keygen(&[&sign[..], &["-n", USER]].concat(), &user.with_extension("pub"));
    let host_key = behind.directory.join("host_key.pub");
    keygen(&[&sign[..], &["-h", "-n", "127.0.0.1"]].concat(), &host_key);
    let settings = behind.directory.join("sshd_config");
    let certificate = host_key.with_file_name("host_key-cert.pub");
    let settings_text = read(&settings) + &format!("HostCertificate {}\n", certificate.display());
    std::fs::write(&settings, settings_text).expect("write sshd_config");
    behind.stop();
    behind.start_again();

    let public = read(&authority.with_extension("pub"));
    let known = read(&bastion.known_hosts());
    let line = format!("@cert-authority [127.0.0.1]:{} {public}", behind.port);
    let known = directory.write("known_hosts", known + &line);
    let all = format!(
        " IdentityFile {}\n CertificateFile {}-cert.pub\n UserKnownHostsFile {}\n",
        user.display(),
        user.display(),
        known.display()
    );
    let hosts = [("bastion", &bastion, ""), ("mx1", &behind, " ProxyJump bastion")];
    let config = ssh_config(&directory, &hosts, &all);
    works(&run_with(&router("mx1", &config), ONCE));
    let log = behind.log();
    assert!(log.contains("the-collector"), "the certificate was not used: {log}");
    assert!(bastion.log().contains(&format!("Accepted publickey for {USER}")));

    // The built-in client says which way understands the authority's line.
    let built_in = format!(
        "[[router]]\nname = \"r1\"\ntarget = \"127.0.0.1\"\nport = {}\nusername = \"{USER}\"\n\
         private_key = {user:?}\nknown_hosts = {known:?}\n",
        behind.port
    );
    let finished = run_with(&built_in, ONCE);
    assert_eq!(finished.code, 1, "{finished:?}");
    for words in ["certificate authority", "transport = \"openssh\" checks them"] {
        assert!(finished.stderr.contains(words), "{words}: {}", finished.stderr);
    }
}

/// A server with a key that it knows, and ssh's configuration for it with more lines.
fn server(options: &str, more: &str) -> (Sshd, Directory, PathBuf) {
    let sshd = Sshd::with_router(options);
    let directory = Directory::new();
    let all = format!(
        "{more} IdentityFile {}\n UserKnownHostsFile {}\n",
        sshd.user_key("ed25519", "").display(),
        known_hosts(&directory, &[&sshd]).display()
    );
    let config = ssh_config(&directory, &[("mx1", &sshd, "")], &all);
    (sshd, directory, config)
}

#[test]
fn sessions_can_share_a_connection() {
    if skips(NEEDS) {
        return;
    }
    let sockets = Directory::new();
    let shared = format!(
        " ControlMaster auto\n ControlPersist 60\n ControlPath {}/%C\n",
        sockets.path().display()
    );
    let (sshd, _directory, config) = server("", &shared);
    for _ in 0..3 {
        works(&run_with(&router("mx1", &config), ONCE));
    }
    let accepted = sshd.log().matches("Accepted publickey").count();
    assert_eq!(accepted, 1, "{}", sshd.log());
}

#[test]
fn an_agent_and_options_without_a_file() {
    if skips(&[NEEDS, &["ssh-add", "ssh-agent"]].concat()) {
        return;
    }
    let sshd = Sshd::with_router("");
    let directory = Directory::new();
    let socket = directory.join("agent");
    let mut agent =
        Process::start(Command::new(program("ssh-agent")).arg("-D").arg("-a").arg(&socket));
    agent.wait_for("the agent's socket", |_| socket.exists().then_some(()));
    let mut add = Command::new(program("ssh-add"));
    let added = run(add.arg("-q").arg(sshd.user_key("ed25519", "")).env("SSH_AUTH_SOCK", &socket));
    assert_eq!(added.code, 0, "{added:?}");
    let known = known_hosts(&directory, &[&sshd]);
    let file = directory.write(
        "perijove.toml",
        format!(
            "[[router]]\ntransport = \"openssh\"\ntarget = \"127.0.0.1:{}\"\n\
             username = \"{USER}\"\nkeepalive_interval = \"5s\"\n\
             ssh_options = [\"UserKnownHostsFile={}\", \"GlobalKnownHostsFile=/dev/null\"]\n",
            sshd.port,
            known.display()
        ),
    );
    let mut command = perijove(ONCE);
    let finished = run(command.arg("--config").arg(&file).env("SSH_AUTH_SOCK", &socket));
    works(&finished);
    assert!(lines::read(&finished.stdout).iter().all(|line| line.tag("host") == "127.0.0.1"));
}

#[test]
fn a_killed_session_is_renewed() {
    if skips(NEEDS) {
        return;
    }
    let (sshd, _directory, config) = server("", "");
    let settings = format!("collectors = [\"alarm\"]\n{FAST}{}", router("mx1", &config));
    let mut daemon = Daemon::start(&settings);
    daemon.wait_lines("polls", |lines| (alarm_polls(lines) >= 2).then_some(()));
    assert!(sshd.kill_sessions() > 0);
    daemon.process.wait_stderr("the session is lost");
    let polled = alarm_polls(&whole_lines(&daemon.process.stdout()));
    daemon.wait_lines("polls after that", |lines| (alarm_polls(lines) > polled + 2).then_some(()));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
}

/// What ssh says is in the log and in `check`, with what to do.
#[test]
fn refusals_say_what_to_do() {
    if skips(NEEDS) {
        return;
    }
    let (sshd, directory, config) = server("", "");
    let fails = |settings: &str, words: &[&str]| {
        let checked = run_with(settings, &["check", "--connect"]);
        assert_eq!(checked.code, 1, "{checked:?}");
        let once = run_with(settings, ONCE);
        assert_eq!(once.code, 1, "{once:?}");
        for word in words {
            assert!(checked.stdout.contains(word), "{word}: check said {}", checked.stdout);
            assert!(once.stderr.contains(word), "{word}: the log said {}", once.stderr);
        }
    };
    let with = |option: &str| router("mx1", &config) + &format!("ssh_options = [{option:?}]\n");
    let stranger = key(&directory, "stranger");
    let other = Directory::new();
    let known = known_hosts(&other, &[&sshd]);
    let all =
        format!(" IdentityFile {}\n UserKnownHostsFile {}\n", stranger.display(), known.display());
    let refused = ssh_config(&other, &[("mx1", &sshd, "")], &all);
    let words = ["r1", "ssh has ended (exit status: 255)", "Permission denied", "or an agent"];
    fails(&router("mx1", &refused), &words);
    fails(
        &with("UserKnownHostsFile=/dev/null"),
        &["r1", "Host key verification failed", "@cert-authority, to ssh's known hosts"],
    );
    fails(
        &with("HostName=no-such-router.invalid"),
        &["Could not resolve hostname", "check target, and Host and HostName in ssh_config"],
    );
    fails(&with("Port=1"), &["Connection refused", "try by hand"]);
    let file = directory.write("perijove.toml", router("mx1", &config));
    let mut command = perijove(ONCE);
    let finished = run(command.arg("--config").arg(file).env("PATH", "/nonexistent"));
    assert_eq!(finished.code, 1, "{finished:?}");
    let words = "cannot run ssh: there is no such program; it comes with OpenSSH";
    assert!(finished.stderr.contains(words), "{}", finished.stderr);
}

#[test]
fn a_missing_subsystem_is_said() {
    if skips(NEEDS) {
        return;
    }
    let (mut sshd, _directory, config) = server("", "");
    let settings = sshd.directory.join("sshd_config");
    let text = read(&settings).replace("Subsystem netconf", "Subsystem other");
    std::fs::write(&settings, text).expect("write sshd_config");
    sshd.stop();
    sshd.start_again();
    let finished = run_with(&router("mx1", &config), ONCE);
    assert_eq!(finished.code, 1, "{finished:?}");
    for words in ["subsystem request failed", "on the router: set system services netconf ssh"] {
        assert!(finished.stderr.contains(words), "{words}: {}", finished.stderr);
    }
}

/// A server that takes the connection and never speaks costs the time limit, and no process stays.
#[test]
fn a_silent_server_costs_the_time_limit() {
    if skips(NEEDS) {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    let port = listener.local_addr().expect("an address").port();
    let settings = format!(
        "[[router]]\nname = \"r1\"\ntransport = \"openssh\"\ntarget = \"127.0.0.1:{port}\"\n\
         username = \"{USER}\"\nconnect_timeout = \"2s\"\n"
    );
    let started = std::time::Instant::now();
    let finished = run_with(&settings, ONCE);
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    assert!(finished.stderr.contains("did not answer within the time limit"), "{finished:?}");
    let is_there = || {
        let listed = run(Command::new("ps").args(["-eo", "args"]));
        listed.stdout.lines().any(|line| line.contains(&format!("-p {port} -s")))
    };
    wait_for("the end of ssh", || (!is_there()).then_some(()));
}
