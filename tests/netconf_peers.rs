//! NETCONF with programs that are not ours: perijove asks netconfd, and ncclient asks the simulated
//! router, so that a mistake that both of ours make is seen.

mod common;

use std::io::Read;
use std::time::Instant;

use common::needs::{PYTHON, ROOT, skips};
use common::netconfd::Netconfd;
use common::process::{Finished, run};
use common::sshd::{Sshd, USER};
use common::{DEADLINE, target_directory};
use perijove::netconf::{Session, ssh};
use perijove::xml::items::{Items, Limits};

fn ncclient(sshd: &Sshd, device: &str, rpcs: &[&str]) -> Finished {
    let python = target_directory().join("test-venv/bin/python");
    assert!(python.is_file(), "ncclient is not installed: run tests/install");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/ncclient_peer.py");
    let mut command = std::process::Command::new(python);
    command.arg(script).arg(sshd.port.to_string()).arg(USER);
    run(command.arg(sshd.user_key("ed25519", "")).arg(device).args(rpcs))
}

#[test]
fn ncclient_reads_the_simulated_router() {
    if skips(&["ssh-keygen", "sshd", PYTHON, ROOT]) {
        return;
    }
    let rpcs = [
        "<get-alarm-information/>",
        "<get-interface-information><extensive/></get-interface-information>",
        "<get-route-summary-information/>",
        "<no-such-thing/>",
        "<get-route-engine-information/>",
    ];
    // ncclient decodes each chunk by itself, so that none may end within a letter with an accent:
    // the one reply that has such letters comes in one chunk.
    for options in ["--base 1.0", "--base both --interfaces 1 --chunk-bytes 60000"] {
        let sshd = Sshd::with_router(options);
        for device in ["default", "junos"] {
            let finished = ncclient(&sshd, device, &rpcs);
            assert_eq!(finished.code, 0, "{options} {device}: {finished:?}");
            let said: Vec<&str> = finished.stdout.lines().collect();
            let names = ["alarm-information", "interface-information", "route-summary-information"];
            assert!(said[0].starts_with("base 1."), "{said:?}");
            for (line, name) in said[1..].iter().zip(names) {
                assert!(line.starts_with("reply ") && line.ends_with(name), "{device}: {said:?}");
            }
            assert!(said[4].starts_with("error error syntax error"), "{device}: {said:?}");
            assert!(said[5].ends_with("route-engine-information"), "{device}: {said:?}");
            assert_eq!(said[6], "closed");
        }
    }
    let sshd = Sshd::with_router("--base both --chunk-bytes 7");
    let finished = ncclient(&sshd, "default", &[rpcs[0], rpcs[2]]);
    assert_eq!(finished.code, 0, "{finished:?}");
}

/// Everything that a session reads of a reply.
fn ask(session: &mut Session, operation: &str) -> String {
    let mut text = String::new();
    let reply = session.rpc(operation, Instant::now() + DEADLINE);
    let mut reply = reply.unwrap_or_else(|e| panic!("{operation}: {e}"));
    reply.read_to_string(&mut text).unwrap_or_else(|e| panic!("{operation}: {e}"));
    text
}

#[test]
fn netconfd_answers_perijove() {
    if skips(&["netconfd", "ssh-keygen", "sshd", ROOT]) {
        return;
    }
    for (protocol, version) in [("netconf1.0", "1.0"), ("netconf1.1", "1.1")] {
        let netconfd = Netconfd::start(protocol);
        let sshd = &netconfd.sshd;
        let transport = ssh::connect(&ssh::SshConfig {
            target: "127.0.0.1".into(),
            port: sshd.port,
            username: USER.into(),
            password: None,
            private_key: Some(sshd.user_key("ed25519", "")),
            passphrase: None,
            agent: false,
            known_hosts: sshd.known_hosts(),
            host_key_check: true,
            legacy_algorithms: false,
            ciphers: Vec::new(),
            connect_timeout: DEADLINE,
            keepalive_interval: DEADLINE,
        });
        let transport = transport.unwrap_or_else(|e| panic!("{protocol}: {e}"));
        let mut session = Session::open(transport, &Limits::default(), DEADLINE)
            .unwrap_or_else(|e| panic!("{protocol}: {e}"));
        let offered = session
            .capabilities
            .iter()
            .filter_map(|capability| capability.strip_prefix("urn:ietf:params:netconf:base:"));
        assert_eq!(offered.collect::<Vec<_>>(), [version]);

        let state = "<interfaces-state xmlns=\"urn:ietf:params:xml:ns:yang:ietf-interfaces\"/>";
        let get = format!("<get><filter type=\"subtree\">{state}</filter></get>");
        let reply = ask(&mut session, &get);
        let mut items = Items::new(reply.as_bytes(), &["interface"], &Limits::default());
        let mut loopback = false;
        while items.next_item().unwrap_or_else(|e| panic!("{protocol}: {e}\n{reply}")).is_some() {
            loopback |= items.text().contains(">lo</");
        }
        assert!(loopback, "no interface lo in {reply}");
        // An error, and the session is still in step; a reply that is not read is passed over.
        let error = ask(&mut session, "<no-such-operation xmlns=\"urn:example:none\"/>");
        assert!(error.contains("rpc-error"), "{error}");
        drop(session.rpc(&get, Instant::now() + DEADLINE).expect("a reply that nobody reads"));
        assert!(ask(&mut session, &get).contains(">lo</"));
        assert!(!session.is_lost());
        session.close();
    }
}
