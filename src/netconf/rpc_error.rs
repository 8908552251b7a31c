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
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ErrorInfo {
    pub bad_element: String,
}

/// What an answer without data means for the collector that asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The data is there and can be used.
    Warning,
    /// Nothing of the kind runs on this router now.
    NoData,
    /// This platform or release does not know the request.
    Unsupported,
    Failed,
}

impl RpcError {
    /// Its severity and words decide.
    pub fn meaning(&self) -> Meaning {
        if self.error_severity == "warning" {
            return Meaning::Warning;
        }
        if matches!(&*self.error_tag, "unknown-element" | "operation-not-supported") {
            return Meaning::Unsupported;
        }
        meaning_of(&self.error_message).unwrap_or(Meaning::Failed)
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

/// What the words of an `<output>` or an error say, as Junos phrases it.
pub fn meaning_of(words: &str) -> Option<Meaning> {
    let words = words.to_ascii_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    if says(&["syntax error", "command is not valid", "unknown command", "invalid command"]) {
        Some(Meaning::Unsupported)
    } else if says(&["not running", "not enabled", "not configured", "no such"]) {
        Some(Meaning::NoData)
    } else {
        None
    }
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
                "<e><error-severity>warning</error-severity><error-message>x</error-message></e>",
                Meaning::Warning,
                "x",
            ),
            (
                "<e><message>the routing subsystem is not running</message></e>",
                Meaning::NoData,
                "the routing subsystem is not running",
            ),
            (
                "<e><error-message>permission denied</error-message></e>",
                Meaning::Failed,
                "permission denied",
            ),
        ] {
            let error: RpcError = Element::new(error, 9).read().unwrap();
            assert_eq!((error.meaning(), error.to_string().as_str()), (meaning, shown));
        }
    }
}
