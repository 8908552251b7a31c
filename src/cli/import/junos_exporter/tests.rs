//! What becomes of configuration files and flags, read as settings again.

use super::*;
use crate::config::{Config, Source};
use crate::poll::router::Link;

fn imported(yaml: &str, words: &str) -> Imported {
    let words: Vec<String> = words.split_whitespace().map(String::from).collect();
    let flags = go_flags::read(&words, is_switch).unwrap();
    import(yaml, &flags, !yaml.is_empty(), &Place { directory: None }).unwrap()
}

/// As it runs, with secrets and keys that can be read.
fn config(imported: &Imported) -> Config {
    let name = format!("perijove-import-{}-{:p}", std::process::id(), imported);
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).unwrap();
    for (file, secret) in &imported.secrets {
        std::fs::write(directory.join(file), secret.expose()).unwrap();
    }
    std::fs::write(directory.join("key"), "key").unwrap();
    let here = directory.to_str().unwrap();
    let settings = imported.settings.replace("/etc/perijove", here).replace("/KEYS", here);
    let config = Source::parse(None, settings).into_config();
    std::fs::remove_dir_all(&directory).unwrap();
    config.unwrap_or_else(|why| panic!("{why}\n{}", imported.settings))
}

fn names(config: &Config, router: &str) -> Vec<&'static str> {
    let router = config.routers.iter().find(|known| known.name == router).unwrap();
    router.collectors.iter().map(|polled| polled.entry.name).collect()
}

fn ssh<'a>(config: &'a Config, router: &str) -> &'a crate::netconf::ssh::SshConfig {
    match &config.routers.iter().find(|known| known.name == router).unwrap().link {
        Link::Ssh(ssh) => ssh,
        other => panic!("{other:?}"),
    }
}

const DEVICES: &str = "\
devices:
  - host: mx1.example.net
    key_file: /KEYS/key
    key_passphrase: correct horse
  - host: mx2.example.net:2233
    username: monitor
    password: 'p\"w'
    features:
      isis: true
      interface_diagnostic: yes
  - host: sw[12]
    host_pattern: true
password: all
features:
  system: true
  license: on
  bgp: false
interface_description_regex: '\\{([^=}]+)(=[^}]+)?\\}'
logical_systems: true
";

#[test]
fn devices_keep_their_logins_and_features() {
    let imported = imported(DEVICES, "-ssh.user exporter -alarms.filter Rescue");
    let config = config(&imported);
    assert_eq!(config.routers.len(), 2, "{}", imported.settings);
    let mx1 = ssh(&config, "mx1.example.net");
    assert_eq!((&*mx1.username, mx1.port, mx1.password.is_some()), ("exporter", 22, false));
    assert!(mx1.private_key.is_some() && mx1.passphrase.is_some());
    let mx2 = ssh(&config, "mx2.example.net:2233");
    assert_eq!((&*mx2.target, &*mx2.username, mx2.port), ("mx2.example.net", "monitor", 2233));
    assert!(mx2.private_key.is_none() && mx2.password.is_some());
    // A device's features replace the general ones, and these add to the default.
    assert_eq!(names(&config, "mx2.example.net:2233"), ["interfacediagnostics", "isis"]);
    let mut expected: Vec<&str> =
        DEFAULT.iter().copied().filter(|name| *name != "bgp").chain(["system"]).collect();
    expected.sort_unstable();
    assert_eq!(names(&config, "mx1.example.net"), expected);
    for line in [
        "[collector.alarm]\nignore = \"Rescue\"\n",
        "license = true\n",
        "description_labels = \"\\\\{([^=}]+)(=[^}]+)?\\\\}\"\n",
        "listen = \"0.0.0.0:9326\"\n",
    ] {
        assert!(imported.settings.contains(line), "{line}: {}", imported.settings);
    }
    // Secrets are in files of their own.
    let secrets: Vec<_> =
        imported.secrets.iter().map(|(name, secret)| (&**name, secret.expose())).collect();
    let expected = [
        ("login1.passphrase", "correct horse"),
        ("login2.password", "p\"w"),
        ("login3.password", "all"),
    ];
    assert_eq!(secrets, expected);
    assert!(config.on_demand[0].router("sw2").is_some(), "{}", imported.settings);
    assert!(config.on_demand[0].router("sw3").is_none());
    for secret in ["correct horse", "p\\\"w"] {
        assert!(!imported.settings.contains(secret), "{}", imported.settings);
    }
    let notes = imported.notes.join("\n");
    for note in ["sw[12]", "logical_systems of [collector.bgp]", "ssh-keyscan mx1.example"] {
        assert!(notes.contains(note), "{note}: {notes}");
    }
}

#[test]
fn flags_alone_are_enough() {
    let imported = imported(
        "",
        "-ssh.targets=mx1,mx2:2233 -ssh.keyfile=/KEYS/key -bgp.enabled=false -arps.enabled \
         -satellite.enabled=true -web.listen-address 127.0.0.1:9999 -debug \
         -dynamic-interface-labels=0 -ssh.keep-alive-interval 20s",
    );
    let config = config(&imported);
    let names = names(&config, "mx1");
    assert!(names.contains(&"arp") && !names.contains(&"bgp"), "{names:?}");
    assert_eq!(ssh(&config, "mx2:2233").username, "junos_exporter");
    assert_eq!(ssh(&config, "mx1").keepalive_interval.as_secs(), 20);
    for line in [
        "[collector.interfaces]\ndescription_labels = \"\"\n",
        "[collector.environment]\nsatellite = true\n",
        "listen = \"127.0.0.1:9999\"\n",
        "level = \"debug\"\n",
    ] {
        assert!(imported.settings.contains(line), "{line}: {}", imported.settings);
    }
}

#[test]
fn what_is_not_carried_is_said() {
    let yaml = "targets: [a, b, a]\npassword: 123\nfeatures: {firewall_failed: true}\nnew: 1\n";
    let imported = imported(
        yaml,
        "-web.telemetry-path=/m -tracing.enabled -bgp.enabled=false -ssh.expire-timeout 1m",
    );
    let config = config(&imported);
    assert_eq!(config.routers.len(), 2);
    assert_eq!(imported.secrets[0].1.expose(), "123");
    assert!(names(&config, "a").contains(&"bgp"));
    let notes = imported.notes.join("\n");
    for note in [
        "line 3: the feature firewall_failed",
        "line 4: the key new",
        "a: it is there twice",
        "-web.telemetry-path /m",
        "-tracing.enabled: there is no tracing",
        "-bgp.enabled: with a config.yml, it chooses the features",
        "-ssh.expire-timeout",
    ] {
        assert!(notes.contains(note), "{note}: {notes}");
    }
}

#[test]
fn every_default_of_theirs_is_ours() {
    let imported = imported("targets: [a]\npassword: x\n", "");
    assert_eq!(names(&config(&imported), "a"), DEFAULT);
    assert!(!imported.settings.contains("collectors ="), "{}", imported.settings);
}

/// As its version 0.16 has them; others that are named after a collector are carried too.
#[test]
fn every_feature_is_known() {
    let features = "alarm ntp environment bfd bgp dot1x ospf isis nat nat2 l2circuit l2vpn \
        lacp ldp lldp routes routing_engine firewall interfaces interface_queue \
        interface_diagnostic storage accounting ipsec cluster security security_ike \
        security_policies fpc rpki rpm \
        satellite system power mac mpls_lsp vpws vrrp license subscriber macsec arp poe \
        ddos_protection krt twamp system_statistics evpn evpn_ip_prefix mnha";
    for feature in features.split_whitespace() {
        assert_eq!(Features::default().set(feature, true), Ok(()), "{feature}");
    }
    let flags = "arps ifdiag queues routes routingengine mpls_lsp security_ike ddos_protection \
        systemstatistics security_policies";
    for flag in flags.split_whitespace() {
        assert_eq!(Features::default().set(flag, true), Ok(()), "{flag}");
    }
}
