//! `[events.syslog]`, as the listener takes it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Clone, Debug, PartialEq)]
pub struct SyslogConfig {
    pub listen: Vec<Listen>,
    /// For `tls://`.
    pub tls: Option<Tls>,
    /// More addresses that routers send from, by the routers' names.
    pub sources: BTreeMap<String, Vec<IpAddr>>,
    /// Lines that say nothing known become points down to this severity, 0 to 7.
    pub pass_on: Option<u8>,
    /// Of one router.
    pub lines_per_second_max: u32,
    pub line_bytes_max: usize,
    pub connections_max: usize,
}

impl SyslogConfig {
    /// The sockets in the file system that it makes.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.listen.iter().filter_map(|listen| match listen {
            Listen::Unix(path) => Some(path.clone()),
            Listen::Udp(_) | Listen::Tcp(_) | Listen::Tls(_) => None,
        })
    }
}

/// PEM files.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
    /// Who signs the certificates that routers must have; without, they need none.
    pub ca_file: Option<PathBuf>,
}

/// Where lines come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `udp://host:port`
    Udp(String),
    /// `tcp://host:port` (RFC 6587)
    Tcp(String),
    /// `tls://host:port` (RFC 5425)
    Tls(String),
    /// `unix:///path`: datagrams of the router that perijove runs on.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Listen, String> {
        let wrong = || {
            format!(
                "`{text}` is not udp://, tcp:// or tls:// with an address and a port, such as \
                 udp://0.0.0.0:514, nor unix:// with a path, such as unix:///run/perijove/syslog"
            )
        };
        let (scheme, place) = text.split_once("://").ok_or_else(wrong)?;
        if scheme == "unix" {
            let path = PathBuf::from(place);
            return if path.is_absolute() { Ok(Listen::Unix(path)) } else { Err(wrong()) };
        }
        let (host, port) = place.rsplit_once(':').ok_or_else(wrong)?;
        if host.is_empty() || port.parse::<u16>().is_err() {
            return Err(wrong());
        }
        match scheme {
            "udp" => Ok(Listen::Udp(place.into())),
            "tcp" => Ok(Listen::Tcp(place.into())),
            "tls" => Ok(Listen::Tls(place.into())),
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for Listen {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Listen::Udp(place) => write!(f, "udp://{place}"),
            Listen::Tcp(place) => write!(f, "tcp://{place}"),
            Listen::Tls(place) => write!(f, "tls://{place}"),
            Listen::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_as_it_is_shown() {
        for text in
            ["udp://[::]:514", "tcp://0.0.0.0:514", "tls://mx:6514", "unix:///run/perijove/syslog"]
        {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), text);
        }
        for text in
            ["", "udp", "udp://", "udp://:514", "udp://[::]", "tcp://a:x", "unix://a", "x://a:1"]
        {
            let why = text.parse::<Listen>().unwrap_err();
            assert!(why.starts_with(&format!("`{text}` is not udp://")), "{why}");
        }
    }
}
