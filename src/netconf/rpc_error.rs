//! What a router answers in place of data, and what that means.

use serde::Deserialize;

use crate::base::text::first_line;

/// An `<rpc-error>` (RFC 6241 section 4.3), or what Junos sends in its place: `<error>`,
/// `<xnm:error>`, `<warning>`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct RpcError {
    pub error_severity: String,
    pub error_tag: String,
    #[serde(alias = "message")]
    pub error_message: String,
    pub error_info: ErrorInfo,
    pub reason: Option<Reason>,
    /// The Routing Engine that it is from, where a reply is of several.
    #[serde(skip)]
    pub re_name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ErrorInfo {
    pub bad_element: String,
    pub reason: Option<Reason>,
}

/// Junos's reason for an error of a daemon, which says more than the words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Reason {
    pub process_not_running: Option<String>,
    pub process_not_configured: Option<String>,
}

/// What an answer without data means for the collector that asked, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Meaning {
    /// The data is there and can be used.
    Warning,
    /// The router says in words that the list is empty.
    Empty,
    /// Nothing of the kind is configured, or this Routing Engine is not the one to ask.
    NoData,
    /// This platform or release does not know the request.
    Unsupported,
    /// A daemon does not run that should: on the master, a failure.
    NotRunning,
    /// The login class lacks a permission.
    Denied,
    Failed,
}

impl Meaning {
    /// Whether it is reported although there is data beside it.
    pub fn is_failure(self) -> bool {
        self >= Meaning::NotRunning
    }
}

impl RpcError {
    pub fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref().or(self.error_info.reason.as_ref())
    }

    /// Its severity, reason, tag and words decide, in this order.
    pub fn meaning(&self) -> Meaning {
        if self.error_severity.trim().eq_ignore_ascii_case("warning") {
            return Meaning::Warning;
        }
        let reason = self.reason();
        if reason.is_some_and(|reason| reason.process_not_configured.is_some()) {
            return Meaning::NoData;
        }
        let by_words = meaning_of(&self.error_message);
        if reason.is_some_and(|reason| reason.process_not_running.is_some()) {
            // The words of a daemon that is not needed say so.
            return by_words.filter(|m| *m == Meaning::NoData).unwrap_or(Meaning::NotRunning);
        }
        match &*self.error_tag.trim().to_ascii_lowercase() {
            "unknown-element" | "operation-not-supported" => Meaning::Unsupported,
            "access-denied" => Meaning::Denied,
            _ => by_words.unwrap_or(Meaning::Failed),
        }
    }
}

impl std::fmt::Display for RpcError {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let tag = if self.error_tag.is_empty() { "rpc-error" } else { &self.error_tag };
        let message = if self.error_message.is_empty() { tag } else { &self.error_message };
        write!(f, "{}", first_line(message))?;
        if !self.error_info.bad_element.is_empty() {
            write!(f, " ({})", first_line(&self.error_info.bad_element))?;
        }
        Ok(())
    }
}

/// The phrases that are known, in small letters, and where they were seen. The first that is found
/// decides.
const PHRASES: &[(Meaning, &[&str])] = &[
    (
        Meaning::Unsupported,
        &[
            // The XML API, for an element that the release does not have.
            "syntax error",
            // `show chassis environment pem` on an ex2300, `show system buffers` on an acx7100.
            "command is not valid",
            // The CLI, for a word that the release does not have.
            "unknown command",
            "invalid command",
            "unrecognized command",
            // RFC 6241, appendix A: `operation-not-supported` and its usual words.
            "not supported",
        ],
    ),
    (
        Meaning::Denied,
        &[
            // A class without the permission, over NETCONF.
            "permission denied",
            // RFC 6241, appendix A: the tag `access-denied` and its usual words.
            "access denied",
            "access-denied",
            // A user of the class `unauthorized`: a warning, and the error behind it.
            "does not have access privileges",
            "restricted user session",
        ],
    ),
    (
        Meaning::Empty,
        &[
            // `show system alarms`, `show chassis alarms` where there is none.
            "no alarms currently active",
        ],
    ),
    (
        Meaning::NoData,
        &[
            // `Aborted! This command can only be used on the master routing engine.`
            "can only be used on the master",
            // `vrrp subsystem not running - not needed by configuration.`
            "not needed by configuration",
            // `IKE is not configured`.
            "not configured",
            // `Chassis cluster is not enabled.`, `HA is not enabled`.
            "not enabled",
            // `show system core-dumps`: `/var/crash/*core*: No such file or directory`.
            "no such file or directory",
            // `OSPF instance is not running`, `IS-IS instance is not running`, and LDP's: Junos's
            // words where the protocol is not configured.
            "instance is not running",
            "bgp is not running",
            "pim is not running",
            // `show ntp status` without `[system ntp]`.
            "ntpq: read: connection refused",
        ],
    ),
    (
        Meaning::NotRunning,
        &[
            // `the routing subsystem is not running`.
            "not running",
        ],
    ),
];

/// What the words of an `<output>` or an error say, as Junos phrases it.
pub fn meaning_of(words: &str) -> Option<Meaning> {
    let words = words.to_ascii_lowercase();
    let words = words.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    // `error: device ge-9/9/9 not found`, for an interface that is asked for by its name.
    let device = words.split_once("device ").map_or("", |(_, device)| device);
    if device.split(' ').skip(1).take(2).eq(["not", "found"]) {
        return Some(Meaning::NoData);
    }
    let says = |(_, phrases): &&(_, &[&str])| phrases.iter().any(|phrase| words.contains(phrase));
    PHRASES.iter().find(says).map(|(meaning, _)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::element::Element;

    #[test]
    fn errors_by_what_they_mean() {
        for (error, meaning, shown) in [
            (
                "<rpc-error><error-severity>error</error-severity><error-message>\nsyntax error\n\
                 </error-message><error-info><bad-element>get-x</bad-element></error-info>\
                 </rpc-error>",
                Meaning::Unsupported,
                "syntax error (get-x)",
            ),
            (
                "<e><error-severity> Warning </error-severity><error-message>x</error-message></e>",
                Meaning::Warning,
                "x",
            ),
            (
                "<e><message>the routing subsystem is not running</message></e>",
                Meaning::NotRunning,
                "the routing subsystem is not running",
            ),
            (
                "<e><message>no word of it</message><reason><daemon>routing</daemon>\
                 <process-not-running/></reason></e>",
                Meaning::NotRunning,
                "no word of it",
            ),
            (
                "<e><message>the routing subsystem is not running</message><reason>\
                 <daemon>routing</daemon><process-not-configured/></reason></e>",
                Meaning::NoData,
                "the routing subsystem is not running",
            ),
            (
                "<e><message>vrrp subsystem not running - not needed by\nconfiguration.</message>\
                 <reason><process-not-running></process-not-running></reason></e>",
                Meaning::NoData,
                "vrrp subsystem not running - not needed by",
            ),
            (
                "<e><error-message>Permission denied</error-message></e>",
                Meaning::Denied,
                "Permission denied",
            ),
            ("<e><error-tag>access-denied</error-tag></e>", Meaning::Denied, "access-denied"),
            (
                "<e><message>Operation is not supported on this platform</message></e>",
                Meaning::Unsupported,
                "Operation is not supported on this platform",
            ),
            (
                "<rpc-error><error-message>lacp subsystem not running</error-message><error-info>\
                 <reason><daemon>lacp</daemon><process-not-configured/></reason></error-info>\
                 </rpc-error>",
                Meaning::NoData,
                "lacp subsystem not running",
            ),
            ("<e><message>something else</message></e>", Meaning::Failed, "something else"),
            (
                "<e><message>device ge-9/9/9 not found</message></e>",
                Meaning::NoData,
                "device ge-9/9/9 not found",
            ),
            (
                "<e><message>the device driver was not found</message></e>",
                Meaning::Failed,
                "the device driver was not found",
            ),
        ] {
            let error: RpcError = Element::new(error, 9).read().unwrap();
            assert_eq!((error.meaning(), error.to_string().as_str()), (meaning, shown));
        }
    }
}
