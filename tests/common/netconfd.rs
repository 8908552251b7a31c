//! netconfd, a NETCONF server by others, behind a real sshd.

use std::path::Path;
use std::process::Command;

use super::process::Process;
use super::sshd::{Sshd, USER};
use super::temporary::Directory;
use super::{program, wait_for};

pub struct Netconfd {
    pub sshd: Sshd,
    _server: Process,
}

impl Netconfd {
    /// A server that offers only `protocol`: `netconf1.0` or `netconf1.1`.
    pub fn start(protocol: &str) -> Netconfd {
        let directory = Directory::new();
        let socket = directory.join("ncx.sock");
        let subsystem = program("netconf-subsystem");
        // The subsystem names the port that its client came in on, which sshd tells it in
        // SSH_CONNECTION; netconfd compares it with its own --port, so sshd has to be first.
        let command = format!(
            "{} --ncxserver-sockname=${{SSH_CONNECTION##* }}@{}",
            subsystem.display(),
            socket.display()
        );
        let sshd = Sshd::start(directory, &command, "");
        let server = start_server(&sshd, &socket, protocol);
        Netconfd { sshd, _server: server }
    }
}

fn start_server(sshd: &Sshd, socket: &Path, protocol: &str) -> Process {
    // It runs this program once per interface and gives up when there is none.
    let folder = sshd.directory.join("bin");
    std::fs::create_dir(&folder).expect("make bin");
    let stub = sshd.directory.write("bin/get-interface-ipv4", "#!/bin/sh\nexit 0\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(stub, mode).expect("set mode");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());

    let mut command = Command::new(program("netconfd"));
    command
        .env("PATH", path)
        .env("HOME", sshd.directory.path())
        .args(["--module=ietf-interfaces", "--module=ietf-system", "--no-startup"])
        .args(["--target=running", "--access-control=off"])
        .arg(format!("--port={}", sshd.port))
        .arg(format!("--superuser={USER}"))
        .arg(format!("--protocols={protocol}"))
        .arg(format!("--ncxserver-sockname={}", socket.display()));
    let server = Process::start(&mut command);
    wait_for("netconfd's socket", || {
        std::os::unix::net::UnixStream::connect(socket).is_ok().then_some(())
    });
    server
}
