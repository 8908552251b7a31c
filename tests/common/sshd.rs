//! A real OpenSSH server whose `netconf` subsystem is a command of the test.

use std::path::PathBuf;
use std::process::Command;

use super::process::{Process, descendants, run, signal};
use super::temporary::Directory;
use super::{free_port, perijove, program};

/// The account that `tests/install` makes.
pub const USER: &str = "perijove-test";

pub struct Sshd {
    pub port: u16,
    pub directory: Directory,
    server: Option<Process>,
}

impl Sshd {
    /// A server in front of a simulated router with these options.
    pub fn with_router(options: &str) -> Sshd {
        Sshd::with_router_and(options, "")
    }

    /// The same with more lines of sshd_config, which go first and so win.
    pub fn with_router_and(options: &str, extra: &str) -> Sshd {
        let directory = Directory::new();
        // The account cannot enter the folder that the project lies in, so the router is copied.
        let router = directory.join("router");
        std::fs::copy(perijove::router_program(), &router).expect("copy the router");
        Sshd::start(directory, &format!("{} {options}", router.display()), extra)
    }

    /// `subsystem` is a command line for the account's shell.
    pub fn start(directory: Directory, subsystem: &str, extra: &str) -> Sshd {
        let port = free_port();
        let key = directory.join("host_key");
        make_key(&key, "ed25519", "");
        directory.write("authorized_keys", "");
        let here = directory.path().display();
        // sshd splits the command itself and quotes do not nest, so a script holds it.
        let script = format!("#!/bin/sh\nexec {subsystem}\n");
        std::fs::write(directory.join("subsystem"), script).expect("write script");
        let settings = format!(
            "{extra}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {here}/host_key\nPidFile none\n\
             UsePAM no\nStrictModes no\nPasswordAuthentication yes\nMaxStartups 1000\n\
             AuthorizedKeysFile {here}/authorized_keys\nLogLevel VERBOSE\n\
             Subsystem netconf /bin/sh {here}/subsystem\n"
        );
        directory.write("sshd_config", settings);
        let mut sshd = Sshd { port, directory, server: None };
        sshd.start_again();
        sshd
    }

    /// Starts the server that `stop` stopped, on the same port, with the host key that is there.
    pub fn start_again(&mut self) {
        // Privilege separation needs it, and a machine without a running sshd has no such folder.
        let _ = std::fs::create_dir("/run/sshd");
        let mut command = Command::new(program("sshd"));
        command.args(["-D", "-e", "-f"]).arg(self.directory.join("sshd_config"));
        let mut server = Process::start(&mut command);
        server.wait_stderr("Server listening on 127.0.0.1");
        self.server = Some(server);
    }

    /// Kills the server and every session in it.
    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Kills the sessions; the server goes on and takes new ones.
    pub fn kill_sessions(&self) -> usize {
        let server = self.server.as_ref().expect("sshd runs");
        let sessions = descendants(server.id());
        for id in &sessions {
            signal(*id, "KILL");
        }
        sessions.len()
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        self.server.as_ref().expect("sshd runs").stderr()
    }

    /// Gives the server another host key, as a replaced router or an eavesdropper has.
    pub fn change_host_key(&mut self) {
        self.stop();
        let key = self.directory.join("host_key");
        std::fs::remove_file(&key).expect("remove host key");
        std::fs::remove_file(key.with_extension("pub")).expect("remove host key");
        make_key(&key, "ed25519", "");
        self.start_again();
    }

    /// A known-hosts file with the server's present key.
    pub fn known_hosts(&self) -> PathBuf {
        let key = self.directory.join("host_key.pub");
        let key = std::fs::read_to_string(key).expect("read host key");
        let name = format!("known_hosts.{}", self.port);
        self.directory.write(&name, format!("[127.0.0.1]:{} {key}", self.port))
    }

    /// The fingerprint of the server's present key, as ssh-keygen and every SSH client prints it.
    pub fn fingerprint(&self) -> String {
        let listed = run(Command::new(program("ssh-keygen"))
            .arg("-lf")
            .arg(self.directory.join("host_key.pub")));
        let fingerprint = listed.stdout.split(' ').nth(1).expect("a fingerprint");
        fingerprint.to_string()
    }

    /// A private key that the server accepts for the account.
    pub fn user_key(&self, kind: &str, passphrase: &str) -> PathBuf {
        let path = self.directory.join(&format!("user_{kind}_{}", passphrase.len()));
        if path.exists() {
            return path;
        }
        make_key(&path, kind, passphrase);
        let public = std::fs::read_to_string(path.with_extension("pub")).expect("read key");
        let accepted = self.directory.join("authorized_keys");
        let all = std::fs::read_to_string(&accepted).expect("read keys") + &public;
        std::fs::write(accepted, all).expect("write keys");
        path
    }

    /// `[[router]]` with everything but how to log in, which the caller appends.
    pub fn router(&self, name: &str) -> String {
        format!(
            "[[router]]\nname = \"{name}\"\ntransport = \"ssh\"\ntarget = \"127.0.0.1\"\n\
             port = {}\nusername = \"{USER}\"\nknown_hosts = {:?}\n",
            self.port,
            self.known_hosts()
        )
    }

    /// The same, logging in with a key.
    pub fn router_with_key(&self, name: &str) -> String {
        format!("{}private_key = {:?}\n", self.router(name), self.user_key("ed25519", ""))
    }

    /// A file with the account's password.
    pub fn password_file(&self) -> PathBuf {
        self.directory.write_secret("password", password())
    }
}

/// The account's password, which `tests/install` made up and only root can read.
pub fn password() -> String {
    let path = format!("/var/lib/{USER}/password");
    std::fs::read_to_string(&path).unwrap_or_else(|e| {
        panic!("{path}: {e}: run tests/install, and the tests as root: sshd checks passwords")
    })
}

fn make_key(path: &std::path::Path, kind: &str, passphrase: &str) {
    // One round of the key derivation: sixteen take a busy machine longer than a login may.
    let made = run(Command::new(program("ssh-keygen"))
        .args(["-q", "-t", kind, "-a", "1", "-N", passphrase, "-C", "perijove-test", "-f"])
        .arg(path));
    assert_eq!(made.code, 0, "{}", made.stderr);
}
