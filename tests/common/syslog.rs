//! A socket in the place of /dev/log.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use super::DEADLINE;
use super::process::run;
use super::temporary::Directory;

/// A socket, and `perijove run` where that is /dev/log: in a mount namespace of its own, which not
/// everybody may have.
pub fn with_syslog(directory: &Directory) -> Option<(UnixDatagram, Command)> {
    let path = directory.path().display();
    let mount = format!(
        "mkdir -p {path}/dev && mount --rbind /dev {path}/dev && mount -t tmpfs none /dev && \
         for d in null zero random urandom; do \
         : >/dev/$d && mount --bind {path}/dev/$d /dev/$d || exit; done && \
         ln -s {path}/syslog /dev/log"
    );
    let unshared = |script: String| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script]);
        command
    };
    if run(&mut unshared(mount.clone())).code != 0 {
        println!("skipped: there is no mount namespace to be had");
        return None;
    }
    let socket = UnixDatagram::bind(directory.join("syslog")).expect("bind");
    socket.set_read_timeout(Some(DEADLINE)).expect("set a time limit");
    let program = env!("CARGO_BIN_EXE_perijove");
    let run = format!("{mount} && exec \"{program}\" run --config {path}/perijove.toml");
    Some((socket, unshared(run)))
}

/// Reads until a message holds these words.
pub fn wait_syslog(socket: &UnixDatagram, words: &str) -> String {
    let mut message = [0; 4096];
    loop {
        let length = socket.recv(&mut message).unwrap_or_else(|err| panic!("{words:?}: {err}"));
        let text = String::from_utf8_lossy(&message[..length]);
        if text.contains(words) {
            return text.into_owned();
        }
    }
}
