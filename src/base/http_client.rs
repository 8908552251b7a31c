//! What all HTTP clients share: one TLS stack, a time limit for the whole exchange, the choice of a
//! proxy, and errors without secrets.

use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Duration;

use openssl::base64;
use ureq::http::{HeaderMap, Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::typestate::{WithBody, WithoutBody};
use ureq::{Agent, Body, Proxy, ProxyProtocol, RequestBuilder};
use zeroize::Zeroizing;

use crate::base::prefix::Prefix;
use crate::base::secret::Secret;
use crate::base::sync::lock;
use crate::base::text::first_line;

/// A client for the server of that URL, through the proxy for it, whose exchanges end within
/// `timeout`, the body included. A status is an answer, not an error, and redirects are not
/// followed: they would carry credentials elsewhere. Fails if the file with the roots of trust
/// cannot be read, or if the proxy is none.
pub fn agent(url: &str, timeout: Duration, ca_file: &Option<PathBuf>) -> Result<Agent, String> {
    let config = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES)
        .proxy(proxy(url)?)
        .tls_config(tls(ca_file.as_deref())?)
        .user_agent(concat!("perijove/", env!("CARGO_PKG_VERSION")));
    Ok(config.build().new_agent())
}

/// For what a connection reads and what it writes: ureq would take four times as much.
const BUFFER_BYTES: usize = 32 << 10;

/// What a server of this machine answers, whatever its certificate: nothing secret is asked.
pub fn ask_own_machine(url: &str) -> Option<String> {
    let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).disable_verification(true);
    let config = Agent::config_builder()
        .timeout_global(Some(OWN_MACHINE_TIMEOUT))
        .max_redirects(0)
        .proxy(None)
        .tls_config(tls.build());
    let mut answer = config.build().new_agent().get(url).call().ok()?;
    answer.body_mut().with_config().limit(OWN_MACHINE_BYTES_MAX).read_to_string().ok()
}

const OWN_MACHINE_TIMEOUT: Duration = Duration::from_secs(5);
const OWN_MACHINE_BYTES_MAX: u64 = 1000;

/// A request to another server than the client was made for, through the proxy for that one.
pub fn get(agent: &Agent, url: &str) -> Result<RequestBuilder<WithoutBody>, String> {
    Ok(agent.get(url).config().proxy(proxy(url)?).build())
}

/// The same with a body.
pub fn post(agent: &Agent, url: &str) -> Result<RequestBuilder<WithBody>, String> {
    Ok(agent.post(url).config().proxy(proxy(url)?).build())
}

/// How servers on other machines are reached.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Route {
    /// Through the proxies that the environment names.
    #[default]
    Environment,
    Direct,
    /// Through the proxy of this URL.
    Proxy(String),
}

impl FromStr for Route {
    type Err = String;

    /// An error does not show the text, which may hold a password.
    fn from_str(text: &str) -> Result<Route, String> {
        match text {
            "environment" => Ok(Route::Environment),
            "off" => Ok(Route::Direct),
            url if url.contains('@') => {
                Err("a proxy's URL with a password is for the variable https_proxy alone".into())
            }
            url if http_proxy(url).is_some() => Ok(Route::Proxy(url.to_string())),
            _ => Err("proxy is environment, off, or an http:// or https:// URL of a proxy".into()),
        }
    }
}

static ROUTE: Mutex<Route> = Mutex::new(Route::Environment);

/// Sets how clients that are made from now on reach their servers.
pub fn set_route(route: Route) {
    *lock(&ROUTE) = route;
}

fn proxy(url: &str) -> Result<Option<Proxy>, String> {
    let route = lock(&ROUTE).clone();
    proxy_by(&route, url, |variable| std::env::var(variable).ok())
}

fn http_proxy(url: &str) -> Option<Proxy> {
    let is_http =
        |proxy: &Proxy| matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https);
    Proxy::new(url).ok().filter(is_http)
}

const HTTP_PROXY: &[&str] = &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
const HTTPS_PROXY: &[&str] = &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const NO_PROXY: &[&str] = &["no_proxy", "NO_PROXY"];

/// The proxy for a URL: that of the settings, or by the variables that curl and others read. The
/// machine itself is never asked through one, nor what `no_proxy` lists. An error does not show the
/// variable's value, which may hold a password.
fn proxy_by(
    route: &Route,
    url: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Option<Proxy>, String> {
    let Ok(url) = url.parse::<Uri>() else { return Ok(None) };
    let first_set = |names: &[&'static str]| {
        let set = |name: &&'static str| Some((*name, variable(name).filter(|it| !it.is_empty())?));
        names.iter().find_map(set)
    };
    let is_https = url.scheme_str() == Some("https");
    let set = match route {
        Route::Environment => first_set(if is_https { HTTPS_PROXY } else { HTTP_PROXY }),
        Route::Direct => None,
        Route::Proxy(url) => Some(("proxy", url.clone())),
    };
    let Some((name, value)) = set else { return Ok(None) };
    let host = url.host().unwrap_or_default().trim_end_matches('.').to_lowercase();
    let host = host.trim_matches(['[', ']']);
    let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
    let without = first_set(NO_PROXY).map(|(_, list)| list).unwrap_or_default();
    if is_this_machine(host) || is_without_proxy(host, port, &without) {
        return Ok(None);
    }
    let why = "in the environment is no http:// or https:// URL of a proxy; no_proxy can except";
    http_proxy(&value).map(Some).ok_or_else(|| format!("{name} {why} {host}"))
}

fn is_this_machine(host: &str) -> bool {
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host == "localhost" || host.ends_with(".localhost") || host.parse().is_ok_and(is_loopback)
}

/// Whether a list of `no_proxy` has the host: `*`, a domain and all below it, an address, or a
/// prefix; a name or an IPv4 address with a port means that port alone.
fn is_without_proxy(host: &str, port: u16, list: &str) -> bool {
    let address = host.parse::<IpAddr>().ok();
    let has = |entry: &str| {
        if entry == "*" {
            return true;
        }
        if let (Some(address), Ok(prefix)) =
            (address, entry.trim_matches(['[', ']']).parse::<Prefix>())
        {
            return prefix.contains(address);
        }
        let (name, of_port) = match entry.rsplit_once(':').map(|(name, of)| (name, of.parse())) {
            Some((name, Ok(of_port))) => (name, of_port),
            _ => (entry, port),
        };
        let name = name.trim_start_matches('*').trim_matches('.').to_lowercase();
        let is_below = || host.strip_suffix(&name).is_some_and(|below| below.ends_with('.'));
        of_port == port && !name.is_empty() && (host == name || is_below())
    };
    list.split([',', ' ']).map(str::trim).any(|entry| !entry.is_empty() && has(entry))
}

/// So many redirects are followed.
const REDIRECTS_MAX: usize = 3;

/// Where redirects may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    ToSameServer,
    ToAnyServer,
}

/// Asks a server, and those to which it redirects. Credentials go to the server of the URL alone.
/// The answer may have any other status.
pub fn get_redirected(
    agent: &Agent,
    url: &str,
    headers: &[(&str, &str)],
    authorization: Option<&Secret>,
    redirects: Redirects,
) -> Result<Response<Body>, String> {
    let (mut url, mut authorization) = (url.to_string(), authorization);
    for _ in 0..=REDIRECTS_MAX {
        let mut request = get(agent, &url)?;
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization.expose());
        }
        let answer = request.call().map_err(|err| describe(&err))?;
        let status = answer.status().as_u16();
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            return Ok(answer);
        }
        let to = answer.headers().get("location").and_then(|to| to.to_str().ok());
        let to = to.unwrap_or_default();
        if let Some(same) = same_server(&url, to) {
            url = same;
        } else if redirects == Redirects::ToSameServer {
            let to = first_line(shown(to));
            let why = "only redirects to the same server are followed";
            return Err(format!("status {status} to `{to}`: {why}"));
        } else if let Some(other) = other_server(&url, to) {
            (url, authorization) = (other, None);
        } else {
            let to = first_line(shown(to));
            return Err(format!("status {status} to `{to}`, which is no other place to ask"));
        }
    }
    Err(format!("more than {REDIRECTS_MAX} redirects"))
}

/// Where a redirect leads, if that is the same server.
fn same_server(url: &str, to: &str) -> Option<String> {
    let end = url.find("://")? + 3;
    let end = url[end..].find(['/', '?', '#']).map_or(url.len(), |path| end + path);
    let server = &url[..end];
    if to.starts_with('/') && !to.starts_with("//") {
        return Some(format!("{server}{to}"));
    }
    let rest = to.strip_prefix(server)?;
    (rest.is_empty() || rest.starts_with(['/', '?'])).then(|| to.to_string())
}

/// Where a redirect leads, if that is another server, which must not get credentials. It has none
/// in its URL, and nothing leads from https to http.
fn other_server(url: &str, to: &str) -> Option<String> {
    let there = to.parse::<Uri>().ok()?;
    let is_allowed = match there.scheme_str()? {
        "https" => true,
        "http" => !url.starts_with("https:"),
        _ => false,
    };
    let is_plain = !there.authority()?.as_str().contains('@');
    (is_allowed && is_plain).then(|| to.to_string())
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

    fn proxied(url: &str, environment: &[(&str, &str)]) -> Option<String> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.to_string())
        };
        let proxy = proxy_by(&Route::Environment, url, variable).unwrap();
        proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port()))
    }

    #[test]
    fn a_proxy_is_for_its_scheme_and_never_for_this_machine() {
        let both = &[("https_proxy", "http://s:1"), ("HTTP_PROXY", "p:2"), ("all_proxy", "a:3")];
        for (url, expected) in [
            ("https://influx.example:8086/x?y", Some("s:1")),
            ("http://influx.example", Some("p:2")),
            ("http://127.0.0.1:11560/metrics", None),
            ("https://127.8.0.1", None),
            ("http://[::1]:9090/", None),
            ("http://[::ffff:127.0.0.1]/", None),
            ("http://localhost:9435/metrics", None),
            ("http://LOCALHOST./", None),
            ("http://a.localhost", None),
            ("http://localhost.example", Some("p:2")),
        ] {
            assert_eq!(proxied(url, both).as_deref(), expected, "{url}");
        }
        assert_eq!(proxied("http://h", &both[..1]), None);
        assert_eq!(proxied("http://h", &both[2..]).as_deref(), Some("a:3"));
        let lower_first = &[("HTTP_PROXY", "p:2"), ("http_proxy", "q:4")];
        assert_eq!(proxied("http://h", lower_first).as_deref(), Some("q:4"));
        assert_eq!(proxied("http://h", &[("http_proxy", "")]), None);
    }

    #[test]
    fn no_proxy_names_hosts_domains_addresses_and_prefixes() {
        for (host, list, expected) in [
            ("db.example.net", "other, example.net", true),
            ("example.net", ".example.net", true),
            ("db.example.net", "*.Example.NET", true),
            ("badexample.net", "example.net", false),
            ("example.net", "db.example.net", false),
            ("db.example.net", "example.net:8086", true),
            ("db.example.net", "example.net:443", false),
            ("10.2.3.4", "10.0.0.0/8", true),
            ("11.2.3.4", "10.0.0.0/8", false),
            ("10.2.3.4", "10.2.3.4", true),
            ("10.2.3.4", "10.2.3.4:8086", true),
            ("10.2.3.4", "10.2.3.4:80", false),
            ("2001:db8::1", "2001:db8::/32", true),
            ("2001:db8::1", "[2001:db8::1]", true),
            ("anything", "*", true),
            ("anything", "", false),
            ("anything", " , .", false),
        ] {
            assert_eq!(is_without_proxy(host, 8086, list), expected, "{host} in {list}");
        }
        let set = &[("http_proxy", "p:2"), ("NO_PROXY", "10.0.0.0/8")];
        assert_eq!(proxied("http://10.1.2.3:8086", set), None);
        assert_eq!(proxied("http://11.1.2.3:8086", set).as_deref(), Some("p:2"));
    }

    #[test]
    fn what_is_no_proxy_is_said_without_its_password() {
        for value in ["socks5://u:s3cret@p:1080", "http://u:s3cret@", "ftp://u:s3cret@p"] {
            let variable = |name: &str| (name == "all_proxy").then(|| value.to_string());
            let environment = &Route::Environment;
            let said = proxy_by(environment, "http://h", variable).unwrap_err();
            assert!(said.starts_with("all_proxy in the environment is no http://"), "{said}");
            assert!(!said.contains("s3cret"), "{said}");
            assert!(proxy_by(environment, "http://127.0.0.1", variable).unwrap().is_none());
            let said = value.parse::<Route>().unwrap_err();
            assert!(!said.contains("s3cret"), "{said}");
        }
    }

    #[test]
    fn the_setting_goes_before_the_environment() {
        let environment = |name: &str| match name {
            "all_proxy" => Some("http://e:1".to_string()),
            "no_proxy" => Some("near.example".to_string()),
            _ => None,
        };
        for (setting, url, expected) in [
            ("environment", "https://far.example", Some("e:1")),
            ("off", "https://far.example", None),
            ("https://p:3128", "https://far.example", Some("p:3128")),
            ("http://p:3128", "http://far.example", Some("p:3128")),
            ("http://p:3128", "http://near.example", None),
            ("http://p:3128", "http://127.0.0.1:9090", None),
            ("http://p:3128", "https://[::1]:8086", None),
        ] {
            let route: Route = setting.parse().unwrap();
            let proxy = proxy_by(&route, url, environment).unwrap();
            let proxy = proxy.map(|proxy| format!("{}:{}", proxy.host(), proxy.port()));
            assert_eq!(proxy.as_deref(), expected, "{setting} {url}");
        }
    }

    #[test]
    fn a_redirect_leads_to_the_same_server_or_nowhere() {
        let url = "https://netbox:8443/api?x=1";
        for (to, expected) in [
            ("/api/", Some("https://netbox:8443/api/")),
            ("https://netbox:8443/b", Some("https://netbox:8443/b")),
            ("https://netbox:8443", Some("https://netbox:8443")),
            ("https://netbox:84430/b", None),
            ("https://netbox:8443@evil/b", None),
            ("https://netbox/b", None),
            ("http://netbox:8443/b", None),
            ("//evil/b", None),
            ("b", None),
            ("", None),
        ] {
            assert_eq!(same_server(url, to).as_deref(), expected, "{to}");
        }
    }

    #[test]
    fn another_server_is_asked_over_tls_where_the_first_was() {
        for (url, to, expected) in [
            ("https://a/x", "https://b/y", true),
            ("http://a/x", "https://b/y", true),
            ("http://a/x", "http://b/y", true),
            ("https://a/x", "http://b/y", false),
            ("https://a/x", "https://me:pass@b/y", false),
            ("http://a/x", "ftp://b/y", false),
            ("http://a/x", "//b/y", false),
            ("http://a/x", "y", false),
            ("http://a/x", "", false),
        ] {
            let found = other_server(url, to);
            assert_eq!(found.as_deref(), expected.then_some(to), "{url} to {to}");
        }
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
