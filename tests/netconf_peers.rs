//! NETCONF with programs that are not ours: perijove asks netconfd, and ncclient asks the simulated
//! router, so that a mistake that both of ours make is seen.

mod common;

use common::netconfd::Netconfd;
use common::process::{Finished, run};
use common::sshd::{Sshd, USER};
use common::target_directory;

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
    let rpcs = [
        "<get-alarm-information/>",
        "<get-interface-information><extensive/></get-interface-information>",
        "<get-route-summary-information/>",
        "<no-such-thing/>",
        "<get-route-engine-information/>",
    ];
    for options in ["--base 1.0", "--base both --chunk-bytes 7"] {
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
}

#[test]
fn netconfd_answers_perijove() {
    for protocol in ["netconf1.0", "netconf1.1"] {
        let _netconfd = Netconfd::start(protocol);
    }
}
