//! `perijove import`: what another program's settings come to, up to the series of a router.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::needs::{ROOT, skips};
use common::perijove::{local_router, perijove, run_with};
use common::process::{Finished, run};
use common::sshd::{Sshd, USER};
use common::temporary::Directory;

fn import(arguments: &[&str]) -> Finished {
    run(perijove(&["import"]).args(arguments))
}

/// The series of a text, without those that differ from poll to poll.
fn series(text: &str) -> BTreeSet<String> {
    // What tells of polls, or follows the clock.
    let of_polls = ["perijove_", "junos_up", "junos_collect", "junos_system_license_expiry", "#"];
    let lines = text.lines().filter(|line| !of_polls.iter().any(|name| line.starts_with(name)));
    lines.map(|line| line.replace("target=\"r1\"", "target=\"ROUTER\"")).collect()
}

/// junos_exporter's metrics by collector, from the table of facts.
fn metrics() -> BTreeMap<String, BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/facts/metrics.tsv");
    let table = std::fs::read_to_string(path).expect("read metrics.tsv");
    let mut metrics: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in table.lines().skip(1) {
        let mut columns = line.split('\t');
        let (collector, metric) = (columns.next().unwrap_or(""), columns.next().unwrap_or(""));
        metrics.entry(collector.into()).or_default().insert(metric.into());
    }
    metrics
}

/// A directory with a config.yml for a router behind this server, and what the import makes of it.
fn imported(sshd: &Sshd, config: &str, flags: &[&str]) -> (Directory, String) {
    let directory = Directory::new();
    let file = directory.write("config.yml", config);
    let new = directory.join("new");
    let (file, into) = (file.to_str().expect("UTF-8"), new.to_str().expect("UTF-8"));
    let finished = import(&[&["junos_exporter", "--directory", into, file], flags].concat());
    assert_eq!(finished.code, 0, "{finished:?}");
    std::fs::copy(sshd.known_hosts(), new.join("known_hosts")).expect("copy known hosts");
    let settings = std::fs::read_to_string(new.join("perijove.toml")).expect("read settings");
    (directory, settings)
}

fn once(directory: &Directory) -> Finished {
    let settings = directory.join("new/perijove.toml");
    let mut command = perijove(&["once", "--format", "prometheus", "--config"]);
    run(command.arg(settings))
}

/// The same series as from settings that were written by hand, with a key and with a password.
#[test]
fn imported_settings_give_the_series_of_those_written_by_hand() {
    if skips(&["sshd", "ssh-keygen", ROOT]) {
        return;
    }
    const OPTIONS: &str = "--clock 100 --step 0";
    let sshd = Sshd::with_router(OPTIONS);
    let key = sshd.user_key("ed25519", "correct horse");
    let password = common::sshd::password();
    let port = sshd.port;
    let by_key = format!(
        "devices:\n  - host: 127.0.0.1:{port}\n    username: {USER}\n    key_file: {}\n    \
         key_passphrase: correct horse\n    features:\n      bgp: true\n      routes: true\n      \
         interface_diagnostic: true\n      environment: true\n      satellite: true\n",
        key.display()
    );
    let by_password = format!(
        "targets:\n  - 127.0.0.1:{port}\npassword: '{password}'\nfeatures:\n  storage: true\n  \
         system: true\n  license: true\n  isis: false\n  interface_queue: no\n"
    );
    let default = "alarm,bgp,environment,firewall,interfacediagnostics,interfaces,ldp,macsec,ospf,\
                   route,routingengine,systemstatistics,storage,system";
    for (config, flags, collectors, tables) in [
        (
            by_key,
            &[][..],
            "bgp,route,interfacediagnostics,environment",
            "[collector.environment]\nsatellite = true\n\
             [collector.interfacediagnostics]\nsatellite = true\n",
        ),
        (
            by_password,
            &["-ssh.user", USER, "-alarms.filter=Rescue"],
            default,
            "[collector.system]\nlicense = true\n[collector.alarm]\nignore = \"Rescue\"\n",
        ),
    ] {
        let (directory, settings) = imported(&sshd, &config, flags);
        assert!(!settings.contains(&password) && !settings.contains("correct horse"), "{settings}");
        for file in std::fs::read_dir(directory.join("new")).expect("a directory") {
            let path = file.expect("a file").path();
            if path.file_name().is_some_and(|name| name != "known_hosts") {
                let mode = path.metadata().expect("metadata").permissions().mode();
                assert_eq!(mode & 0o777, 0o600, "{}", path.display());
            }
        }
        let theirs = once(&directory);
        assert_eq!(theirs.code, 0, "{theirs:?}\n{settings}");
        let by_hand = format!("{}{tables}", local_router("r1", OPTIONS));
        let arguments = ["once", "--format", "prometheus", "--collectors", collectors];
        let ours = run_with(&by_hand, &arguments);
        assert_eq!(ours.code, 0, "{ours:?}");
        let theirs = series(&theirs.stdout.replace(&format!("127.0.0.1:{port}\""), "ROUTER\""));
        let ours = series(&ours.stdout);
        assert!(ours.len() > 100, "{}", ours.len());
        let difference: Vec<_> = theirs.symmetric_difference(&ours).take(5).collect();
        assert!(difference.is_empty(), "{difference:#?}\n{settings}");
    }
}

/// Each feature alone gives metrics of that collector there, and none of another.
#[test]
fn each_feature_selects_its_metrics() {
    if skips(&["sshd", "ssh-keygen", ROOT, common::needs::SHARED]) {
        return;
    }
    let metrics = metrics();
    let sshd = Sshd::with_router("");
    let key = sshd.user_key("ed25519", "");
    // Each of its version 0.16 but satellite and license, which change what others ask.
    let features = "alarm ntp environment bfd bgp dot1x ospf isis nat nat2 l2circuit l2vpn lacp \
        ldp lldp routes routing_engine firewall interfaces interface_queue interface_diagnostic \
        storage accounting ipsec cluster security security_ike security_policies fpc rpki rpm \
        system power mac mpls_lsp vpws vrrp subscriber macsec arp poe ddos_protection krt twamp \
        system_statistics evpn evpn_ip_prefix mnha";
    for feature in features.split_whitespace() {
        let collector = match feature {
            "routes" => "route".to_string(),
            "interface_diagnostic" => "interfacediagnostics".to_string(),
            other => other.replace('_', ""),
        };
        let config = format!(
            "devices:\n- host: 127.0.0.1:{}\n  username: {USER}\n  key_file: {}\n  \
             features: {{{feature}: true}}\n",
            sshd.port,
            key.display()
        );
        let (directory, settings) = imported(&sshd, &config, &[]);
        let finished = once(&directory);
        assert_eq!(finished.code, 0, "{feature}: {finished:?}\n{settings}");
        let found: BTreeSet<String> = series(&finished.stdout)
            .iter()
            .filter_map(|line| line.split(['{', ' ']).next().map(String::from))
            .collect();
        let known = &metrics[&collector];
        assert!(found.intersection(known).count() > 0, "{feature}: {found:?}");
        for (other, theirs) in metrics.iter().filter(|(other, _)| **other != collector) {
            let foreign: Vec<_> =
                found.intersection(theirs).filter(|m| !known.contains(*m)).collect();
            assert!(foreign.is_empty(), "{feature} gives {foreign:?} of {other}");
        }
    }
}

#[test]
fn without_a_directory_settings_are_printed_and_secrets_are_not() {
    let directory = Directory::new();
    let file =
        directory.write("config.yml", "targets: [mx1]\npassword: hunter2\nfeatures: {x: 1}\n");
    let finished = import(&["junos_exporter", file.to_str().expect("UTF-8")]);
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stderr.contains("line 3: true or false is expected"), "{finished:?}");

    let file = directory.write("config.yml", "targets: [mx1]\npassword: hunter2\n");
    let path = file.to_str().expect("UTF-8");
    let finished = import(&["junos_exporter", path, "-web.telemetry-path=/m"]);
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(finished.stdout.contains("password_file = \"/etc/perijove/login1.password\""));
    for words in ["login1.password is not written: --directory", "not carried: -web.telemetry-path"]
    {
        assert!(finished.stderr.contains(words), "{words}: {}", finished.stderr);
    }
    assert!(finished.stdout.contains("# * -web.telemetry-path /m: the path is /metrics"));
    for text in [&finished.stdout, &finished.stderr] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    // Nothing that is there is replaced.
    let into = directory.path().to_str().expect("UTF-8");
    let arguments = ["junos_exporter", path, "--directory", into];
    assert_eq!(import(&arguments).code, 0);
    let again = import(&arguments);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.stderr.contains("perijove.toml is there already; nothing was written"));
}

#[test]
fn planet_exporter_s_flags_become_settings() {
    let finished = import(&["planet-exporter", "-task-socketstat-enabled", "-task-interval", "9s"]);
    assert_eq!((finished.code, &*finished.stderr), (0, ""), "{finished:?}");
    let directory = Directory::new();
    let proc = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/samples/proc");
    let settings =
        finished.stdout.replace("machine = true", &format!("machine = true\nproc = {proc:?}"));
    let file = directory.write("perijove.toml", settings);
    let mut command = perijove(&["once", "--format", "prometheus", "--config"]);
    let once = run(command.arg(file));
    assert!(once.stdout.contains("planet_hostname{"), "{once:?}");
}

#[test]
fn what_is_wrong_is_said() {
    for (arguments, code, words) in [
        (&[][..], 2, "import junos_exporter [config.yml] [its flags]"),
        (&["junos-exporter"], 2, "did you mean `junos_exporter`?"),
        (&["junos_exporter", "/nonexistent.yml"], 1, "/nonexistent.yml: No such file"),
        (&["junos_exporter", "-bgp"], 1, "it has no flag -bgp"),
        (&["planet-exporter", "-task-interval"], 1, "-task-interval needs a value"),
    ] {
        let finished = import(arguments);
        assert_eq!((finished.code, &*finished.stdout), (code, ""), "{finished:?}");
        assert!(finished.stderr.contains(words), "{words}: {}", finished.stderr);
    }
}

/// The keys in the right columns of the tables of flags are settings.
#[test]
fn tables_of_flags_name_settings_that_exist() {
    let known = include_str!("../packaging/perijove.toml");
    let mut found = 0;
    for page in [include_str!("../docs/switching.md"), include_str!("../docs/federation.md")] {
        let rows =
            page.lines().filter(|line| line.starts_with("| `-") || line.starts_with("| `fea"));
        for row in rows {
            let right = row.split(" | ").nth(1).expect("two columns");
            for word in right.split('`').skip(1).step_by(2) {
                let is_key = word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
                let key = word.split(" = ").next().unwrap_or(word);
                if (is_key && word != "inventory_date") || word.contains(" = ") {
                    assert!(known.contains(&format!("#{key} = ")), "{key} is no setting: {row}");
                    found += 1;
                } else if word.starts_with('[')
                    && !word.contains("NAME")
                    && !word.contains("[collector.")
                {
                    assert!(known.contains(&format!("#{word}")), "{word} is no table: {row}");
                    found += 1;
                }
            }
        }
    }
    assert!(found > 40, "{found}");
}

/// Examples listen on junos_exporter's port or planet-exporter's, not on node_exporter's.
#[test]
fn no_example_takes_node_exporter_s_port() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = ["README.md".into()].into();
    for folder in ["docs", "packaging", "packaging/prometheus", "packaging/compose"] {
        let listed = std::fs::read_dir(root.join(folder)).expect("a folder");
        files.extend(listed.map(|file| file.expect("a file").path()));
    }
    let mut listening = 0;
    for file in files.iter().map(|file| root.join(file)).filter(|file| file.is_file()) {
        let text = std::fs::read(&file).expect("read a file");
        for line in String::from_utf8_lossy(&text).lines() {
            if line.contains("listen") && line.contains("0.0.0.0:") || line.contains("127.0.0.1:93")
            {
                listening += 1;
                assert!(!line.contains(":9100"), "{}: {line}", file.display());
            }
        }
    }
    assert!(listening > 5, "{listening}");
}
