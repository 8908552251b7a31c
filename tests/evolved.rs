//! What packaging/evolved has for Junos OS Evolved, as far as a machine that is no router can tell.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::needs;
use common::temporary::Directory;
use perijove::config::Source;

fn evolved(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/evolved").join(name)
}

/// Whether it succeeded, and all that it said.
fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().expect("run a program");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn sign(program: &Path, key: &Path, output: &Path) -> (bool, String) {
    let mut command = Command::new(evolved("sign"));
    command.arg(program).arg("--key").arg(key.join("privkey.pem"));
    command.arg("--cert").arg(key.with_file_name("ours").join("ima-cert.x509"));
    run(command.arg("--output").arg(output))
}

/// evmctl(1), which the kernel's verifier agrees with, takes the signature and no other.
#[test]
fn a_program_is_signed_as_ima_wants_it() {
    if needs::skips(&["evmctl", "openssl"]) {
        return;
    }
    let directory = Directory::new();
    let [ours, theirs] = ["ours", "theirs"].map(|name| {
        let key = directory.join(name);
        let (made, said) = run(Command::new(evolved("sign")).arg("--new-key").arg(&key));
        assert!(made, "{said}");
        key
    });
    let again = run(Command::new(evolved("sign")).arg("--new-key").arg(&ours));
    assert!(!again.0 && again.1.contains("already holds a key"), "{again:?}");

    let program = directory.join("program");
    std::fs::copy("/bin/true", &program).expect("copy a program");
    let signature = directory.join("program.sig");
    let signed = sign(&program, &ours, &signature);
    assert!(signed.0, "{}", signed.1);
    // The form of security.ima: a signature of version 2, by SHA-256 (linux/security/integrity).
    let bytes = std::fs::read(&signature).expect("a signature");
    assert_eq!(bytes[..3], [3, 2, 4], "{:?}", &bytes[..3]);
    // Followed by the end of the certificate's key identifier, the length, and RSA-3072's bytes.
    assert_eq!((bytes[7..9].to_vec(), bytes.len()), (vec![1, 128], 9 + 384));
    let verify = || {
        let mut command = Command::new("evmctl");
        command.args(["ima_verify", "--sigfile", "--key"]).arg(ours.join("ima-cert.x509"));
        run(command.arg(&program))
    };
    let good = verify();
    assert!(good.0, "{}", good.1);
    let mut altered = std::fs::read(&program).expect("the program");
    *altered.last_mut().expect("a byte") ^= 1;
    std::fs::write(&program, altered).expect("alter the program");
    assert!(!verify().0, "an altered program was accepted");

    let output = directory.join("refused.sig");
    for (program, key, why) in [
        (&program, &theirs, "is not the key of"),
        (&directory.join("none"), &ours, "there is no such program"),
        (&ours.join("privkey.pem"), &ours, "is no ELF program"),
    ] {
        let refused = sign(program, key, &output);
        assert!(!refused.0 && refused.1.contains(why), "{refused:?}");
        assert!(!output.exists());
    }
}

/// With the drop-in and without; a program that is there stands for those of the router.
#[test]
fn systemd_has_nothing_to_say_of_the_service() {
    if needs::skips(&["systemd-analyze"]) {
        return;
    }
    let directory = Directory::new();
    let read = |name| std::fs::read_to_string(evolved(name)).expect("a file");
    let there = |text: String| {
        let text = text.replace("/var/db/perijove/perijove run", "/bin/true run");
        text.replace("/sbin/ip ", "/bin/true ").replace("User=perijove", "User=daemon")
    };
    let unit = directory.write("perijove.service", there(read("perijove.service")));
    let verify = || run(Command::new("systemd-analyze").arg("verify").arg(&unit));
    assert_eq!(verify(), (true, String::new()));
    std::fs::create_dir(directory.join("perijove.service.d")).expect("a directory");
    directory.write("perijove.service.d/vrf.conf", there(read("vrf.conf")));
    assert_eq!(verify(), (true, String::new()));
}

#[test]
fn the_settings_of_the_container_are_right() {
    let text = std::fs::read_to_string(evolved("container.toml")).expect("the settings");
    let directory = Directory::new();
    let key = directory.write("key", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    let text = text.replace("/etc/perijove/key", key.to_str().expect("UTF-8"));
    let source = Source::parse(Some("container.toml".into()), text);
    let config = source.into_config().expect("settings without a fault");
    assert_eq!((config.routers.len(), config.outputs.len()), (1, 1));
    assert_eq!(config.warnings, [""; 0]);
}
