//! What all HTTP clients share: one TLS stack, a time limit for the whole exchange, and errors
//! without secrets.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use openssl::base64;
use ureq::http::HeaderMap;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::{Agent, Body};
use zeroize::Zeroizing;

use crate::base::secret::Secret;

/// A client whose exchanges end within `timeout`, the body included. A status is an answer, not an
/// error, and redirects are not followed: they would carry credentials elsewhere. Fails if the file
/// with the roots of trust cannot be read.
pub fn agent(timeout: Duration, ca_file: Option<&Path>) -> Result<Agent, String> {
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .tls_config(tls(ca_file)?)
        .user_agent(concat!("perijove/", env!("CARGO_PKG_VERSION")));
    Ok(config.build().new_agent())
}

/// One TLS stack, OpenSSL, checking certificates against the system's roots or the file's.
fn tls(ca_file: Option<&Path>) -> Result<TlsConfig, String> {
    let mut roots = RootCerts::PlatformVerifier;
    if let Some(path) = ca_file {
        let shown = path.display();
        let pem = std::fs::read(path).map_err(|err| format!("cannot read {shown}: {err}"))?;
        let mut certificates: Vec<Certificate<'static>> = Vec::new();
        for item in parse_pem(&pem) {
            match item.map_err(|err| format!("{shown}: {err}"))? {
                PemItem::Certificate(certificate) => certificates.push(certificate),
                _ => return Err(format!("{shown} holds something else than certificates")),
            }
        }
        if certificates.is_empty() {
            return Err(format!("{shown} holds no certificate"));
        }
        roots = certificates.into_iter().into();
    }
    Ok(TlsConfig::builder().provider(TlsProvider::NativeTls).root_certs(roots).build())
}

/// How a client authenticates.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Login {
    #[default]
    None,
    Basic {
        username: String,
        password: Secret,
    },
    /// RFC 6750.
    Bearer(Secret),
}

impl Login {
    /// The `Authorization` header.
    pub fn header(&self) -> Option<Secret> {
        match self {
            Login::None => None,
            Login::Basic { username, password } => Some(basic(username, password)),
            Login::Bearer(token) => Some(Secret::new(format!("Bearer {}", token.expose()))),
        }
    }
}

/// The `Authorization` header of basic authentication (RFC 7617).
pub fn basic(username: &str, password: &Secret) -> Secret {
    let both = Zeroizing::new(format!("{username}:{}", password.expose()));
    Secret::new(format!("Basic {}", base64::encode_block(both.as_bytes())))
}

/// A longer error text of a server is cut.
const WORDS_BYTES_MAX: u64 = 64 << 10;

/// A server's text about an error, as far as it can be read.
pub fn words(body: Body) -> String {
    let mut words = Vec::new();
    let _ = body.into_reader().take(WORDS_BYTES_MAX).read_to_end(&mut words);
    String::from_utf8_lossy(&words).into_owned()
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    use time::format_description::well_known::Rfc2822;
    let value = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = time::OffsetDateTime::parse(value, &Rfc2822).ok()?;
    (date - time::OffsetDateTime::now_utc()).try_into().ok()
}

/// A URL as it may be shown: without its query, which may hold a token.
pub fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// What went wrong on the way, without the request's headers, which hold secrets.
pub fn describe(err: &ureq::Error) -> String {
    match err {
        ureq::Error::Timeout(_) => "no answer within its timeout".into(),
        err => with_hint(err.to_string()),
    }
}

/// What goes wrong with a server's certificate, and which setting is about that.
fn with_hint(why: String) -> String {
    let is_of_certificate = why.to_lowercase().contains("certificate");
    if is_of_certificate { why + "; ca_file names the authority to trust" } else { why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::format_description::well_known::Rfc2822;
    use time::{OffsetDateTime, UtcOffset};

    #[test]
    fn a_certificate_that_is_not_trusted_leads_to_ca_file() {
        let said = with_hint("tls: certificate verify failed (self-signed certificate)".into());
        assert!(said.ends_with("; ca_file names the authority to trust"), "{said}");
        assert_eq!(with_hint("connection refused".into()), "connection refused");
    }

    fn after(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", value.parse().unwrap());
        retry_after(&headers)
    }

    #[test]
    fn a_url_is_shown_without_its_query() {
        for url in ["http://h/a", "http://h/a?token=b", "http://h/a#b?c"] {
            assert_eq!(shown(url), "http://h/a");
        }
    }

    #[test]
    fn a_retry_is_after_seconds_or_at_a_date() {
        assert_eq!(after(" 120 "), Some(Duration::from_secs(120)));
        let date = OffsetDateTime::now_utc() + Duration::from_secs(3600);
        let date = date.to_offset(UtcOffset::UTC).format(&Rfc2822).unwrap();
        // As HTTP writes it.
        let date = date.replace("+0000", "GMT");
        let seconds = after(&date).unwrap_or_else(|| panic!("{date}")).as_secs();
        assert!((3000..=3600).contains(&seconds), "{date}: {seconds}");
        for nothing in ["Sun, 06 Nov 1994 08:49:37 GMT", "soon", "-5", ""] {
            assert_eq!(after(nothing), None, "{nothing}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
