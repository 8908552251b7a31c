//! Answers to the flags of junos_exporter and planet-exporter, for users of these.

use crate::poll::registry;

/// planet-exporter's flags, and what does the same here.
const PLANET_EXPORTER: &[(&str, &str)] = &[
    ("listen-address", "--listen, or `listen` of [output.prometheus]"),
    ("log-level", "`level` of [log]"),
    ("log-disable-timestamp", "not needed: syslog and terminals have their own times"),
    ("log-disable-colors", "not needed: only a terminal gets colours"),
    ("task-interval", "`interval` of [dependency.sockets], [dependency.darkstat], …"),
    ("task-socketstat-enabled", "--dependency, or `machine` of [dependency.sockets]"),
    ("task-darkstat-enabled", "the table [dependency.darkstat]"),
    ("task-darkstat-addr", "`url` of [dependency.darkstat]"),
    ("task-ebpf-enabled", "the table [dependency.ebpf]"),
    ("task-ebpf-addr", "`url` of [dependency.ebpf]"),
    ("task-inventory-enabled", "the table [dependency.inventory]"),
    ("task-inventory-addr", "`url` of [dependency.inventory]"),
    ("task-inventory-format", "`format` of [dependency.inventory]"),
];

/// junos_exporter's flags, and what does the same here. `NAME.enabled` is a collector.
const JUNOS_EXPORTER: &[(&str, &str)] = &[
    ("web.listen-address", "--listen, or `listen` of [output.prometheus]"),
    ("web.telemetry-path", "not needed: the path is /metrics"),
    ("ssh.targets", "--target, or a [[router]] with its `target` for each"),
    ("ssh.user", "--username, or `username` of [[router]]"),
    ("ssh.keyfile", "--private-key, or `private_key` of [[router]]"),
    ("ssh.keyPassphrase", "--passphrase-file, or `passphrase_file` of [[router]]"),
    ("ssh.password", "--password-file, or `password_file` of [[router]]"),
    ("ssh.reconnect-interval", "not needed: the pause grows with the failures"),
    ("ssh.keep-alive-interval", "`keepalive_interval` of [[router]]"),
    ("ssh.keep-alive-timeout", "`keepalive_interval` of [[router]]"),
    ("ssh.expire-timeout", "not needed: a session stays open"),
    ("debug", "--verbose"),
    ("alarms.filter", "`ignore` of [collector.alarm]"),
    ("config.file", "--config, for a settings file of perijove's own, in TOML"),
    ("dynamic-interface-labels", "`description_labels` of [collector.interfaces], … (\"\": none)"),
    ("interface-description-regex", "`description_labels` of [collector.interfaces], …"),
    ("logical-systems.enabled", "`logical_systems` of [collector.bgp] and [collector.ospf]"),
    ("satellite.enabled", "`satellite` of [collector.environment], …"),
    ("license.enabled", "`license` of [collector.system]"),
    ("tls.enabled", "`cert_file` and `key_file` of [output.prometheus]"),
    ("tls.cert-file", "`cert_file` of [output.prometheus]"),
    ("tls.key-file", "`key_file` of [output.prometheus]"),
    ("tracing.enabled", "not there: perijove has no tracing"),
    ("tracing.provider", "not there: perijove has no tracing"),
    ("tracing.collector.grpc-endpoint", "not there: perijove has no tracing"),
];

/// Features whose collector here has another name.
const FEATURES: &[(&str, &str)] = &[
    ("arps", "arp"),
    ("ifdiag", "interfacediagnostics"),
    ("mpls_lsp", "mplslsp"),
    ("queues", "interfacequeue"),
    ("routes", "route"),
    ("security_policies", "securitypolicies"),
];

/// What to say to an argument that is a flag of one of the two: `-x`, `--x` or `-x=value`.
pub fn answer(argument: &str) -> Option<String> {
    let flag = argument.strip_prefix('-')?;
    let flag = flag.strip_prefix('-').unwrap_or(flag).split('=').next()?;
    let named = |table: &[(&str, &str)]| {
        table.iter().find(|(known, _)| *known == flag).map(|(_, here)| here.to_string())
    };
    let (program, guide, here) = match (named(PLANET_EXPORTER), named(JUNOS_EXPORTER)) {
        (Some(here), _) => ("planet-exporter", "docs/dependencies.md", here),
        (None, Some(here)) => ("junos_exporter", "docs/switching.md", here),
        (None, None) => {
            let feature = flag.strip_suffix(".enabled")?;
            let named = FEATURES.iter().find(|(known, _)| *known == feature);
            let collector = named.map_or(feature, |(_, collector)| collector);
            registry::find(collector)?;
            let here = format!("--collectors, or `{collector}` in the list `collectors`");
            ("junos_exporter", "docs/switching.md", here)
        }
    };
    // The value may be a password.
    let shown = argument.split('=').next().unwrap_or_default();
    Some(format!(
        "{shown} is a flag of {program}. Here it is {here}. `perijove import {program}` makes \
         settings of all its flags; see {guide}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_other_exporters_are_answered_with_the_new_key() {
        for (argument, words) in [
            ("-task-socketstat-enabled", "planet-exporter. Here it is --dependency, or `machine`"),
            ("--task-darkstat-addr=http://h", "`url` of [dependency.darkstat]"),
            ("-listen-address", "planet-exporter. Here it is --listen, or `listen`"),
            ("-web.listen-address=:9326", "junos_exporter. Here it is --listen"),
            ("--ssh.keyfile", "`private_key` of [[router]]"),
            ("-bgp.enabled=false", "`bgp` in the list `collectors`"),
            ("-ifdiag.enabled", "`interfacediagnostics` in the list `collectors`"),
        ] {
            let said = answer(argument).unwrap_or_default();
            let flag = argument.split('=').next().unwrap();
            assert!(said.starts_with(flag) && said.contains(words), "{argument}: {said}");
            assert!(said.contains("`perijove import "), "{said}");
        }
        let said = answer("-ssh.password=hunter2").unwrap_or_default();
        assert!(said.contains("`password_file`") && !said.contains("hunter2"), "{said}");
        for argument in ["--listen", "-v", "-", "--", "bgp.enabled", "--nothing.enabled"] {
            assert_eq!(answer(argument), None);
        }
    }

    #[test]
    fn every_feature_is_a_collector() {
        for (_, collector) in FEATURES {
            assert!(registry::find(collector).is_some(), "{collector}");
        }
    }
}
