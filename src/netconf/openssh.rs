//! NETCONF through the system's own ssh: for what its configuration can do and the built-in client
//! cannot, such as jump hosts, certificates, hardware keys and shared connections.

use std::path::PathBuf;
use std::time::Duration;

use super::local::{self, Child};
use super::transport::{Error, Transport};

/// How to reach a router. What is absent is as ssh's configuration has it.
#[derive(Clone, Debug, PartialEq)]
pub struct OpensshConfig {
    pub target: String,
    pub port: Option<u16>,
    pub username: Option<String>,
    /// A file in place of those of the user and of the system.
    pub ssh_config: Option<PathBuf>,
    /// As behind `-o`.
    pub ssh_options: Vec<String>,
    pub connect_timeout: Duration,
    pub keepalive_interval: Option<Duration>,
}

/// What ssh gets of the environment besides what every child gets: how to reach an agent.
const ENVIRONMENT: &[&str] = &["SSH_AUTH_SOCK"];

/// Starts ssh, which connects, checks the host key, logs in and starts the subsystem.
pub fn connect(settings: &OpensshConfig, router: &str) -> Result<Box<dyn Transport>, Error> {
    let command = command(settings);
    let by_hand = command.join(" ");
    local::start(Child {
        command: &command,
        router,
        environment: ENVIRONMENT,
        absent: "it comes with OpenSSH",
        explain: Box::new(move |words| explain(words, &by_hand)),
    })
}

/// ssh asks nobody, forwards nothing, and takes what ssh_options say before what a file says.
fn command(settings: &OpensshConfig) -> Vec<String> {
    let mut command: Vec<String> = ["ssh", "-T", "-a", "-x"].map(String::from).into();
    let mut option = |option: &str| command.extend(["-o".into(), option.into()]);
    option("BatchMode=yes");
    option("ClearAllForwardings=yes");
    settings.ssh_options.iter().for_each(|given| option(given));
    if let Some(interval) = settings.keepalive_interval {
        option(&format!("ServerAliveInterval={}", interval.as_secs().max(1)));
    }
    let mut argument = |flag: &str, value: String| command.extend([flag.into(), value]);
    if let Some(path) = &settings.ssh_config {
        argument("-F", path.display().to_string());
    }
    if let Some(username) = &settings.username {
        argument("-l", username.clone());
    }
    if let Some(port) = settings.port {
        argument("-p", port.to_string());
    }
    let target = settings.target.trim_start_matches('[').trim_end_matches(']');
    command.extend(["-s", "--", target, "netconf"].map(String::from));
    command
}

/// What to do about ssh's last words.
fn explain(words: &str, by_hand: &str) -> String {
    let hints = [
        ("subsystem request failed", "on the router: set system services netconf ssh"),
        (
            "Host key verification failed",
            "add the host's key, or its @cert-authority, to ssh's known hosts",
        ),
        (
            "Permission denied",
            "ssh can ask nobody here: it needs a key, a certificate or an agent (SSH_AUTH_SOCK)",
        ),
        ("Could not resolve hostname", "check target, and Host and HostName in ssh_config"),
    ];
    let hint = hints.iter().find(|(words_of, _)| words.contains(words_of));
    let hint = hint.map_or(String::new(), |(_, hint)| format!("{hint}; "));
    format!("; {hint}try by hand, as perijove's user: {by_hand}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> OpensshConfig {
        OpensshConfig {
            target: "mx1".into(),
            port: None,
            username: None,
            ssh_config: None,
            ssh_options: Vec::new(),
            connect_timeout: Duration::ZERO,
            keepalive_interval: None,
        }
    }

    #[test]
    fn what_is_not_set_is_left_to_ssh() {
        let always = "ssh -T -a -x -o BatchMode=yes -o ClearAllForwardings=yes";
        let said = command(&settings()).join(" ");
        assert_eq!(said, format!("{always} -s -- mx1 netconf"));
        let all = OpensshConfig {
            target: "[2001:db8::1]".into(),
            port: Some(830),
            username: Some("u".into()),
            ssh_config: Some("/etc/perijove/ssh_config".into()),
            ssh_options: vec!["ProxyJump=bastion".into()],
            keepalive_interval: Some(Duration::from_secs(20)),
            ..settings()
        };
        assert_eq!(
            command(&all).join(" "),
            format!(
                "{always} -o ProxyJump=bastion -o ServerAliveInterval=20 \
                 -F /etc/perijove/ssh_config -l u -p 830 -s -- 2001:db8::1 netconf"
            )
        );
    }

    #[test]
    fn last_words_have_advice() {
        let said = explain("u@mx1: Permission denied (publickey).", "ssh mx1");
        assert!(said.contains("an agent") && said.ends_with("user: ssh mx1"), "{said}");
        assert_eq!(explain("", "ssh mx1"), "; try by hand, as perijove's user: ssh mx1");
    }
}
