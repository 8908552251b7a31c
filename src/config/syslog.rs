//! `[events.syslog]`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use super::place::Written;
use super::values::named_file;
use crate::base::units::Bytes;
use crate::syslog::settings::{Listen, SyslogConfig, Tls};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FileSyslog {
    pub listen: Vec<Spanned<String>>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    pub sources: BTreeMap<String, Vec<IpAddr>>,
    pub pass_on: PassOn,
    pub lines_per_second_max: Option<Spanned<u32>>,
    pub line_bytes_max: Option<Spanned<Bytes>>,
    pub connections_max: Option<Spanned<usize>>,
}

/// Down to which severity a line that says nothing known becomes a point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PassOn {
    #[default]
    Nothing,
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

/// A datagram holds no more.
const LINE_BYTES_MAX: usize = 64 << 10;

/// `has_events`: events are wanted. `has_local`: there is a router that perijove runs on.
pub fn settings(
    written: &Written,
    spanned: &Spanned<FileSyslog>,
    has_events: bool,
    has_local: bool,
) -> Result<SyslogConfig, String> {
    let file = spanned.get_ref();
    if !has_events {
        let why = "makes events of lines, and [events] has enabled = false";
        return Err(written.at_value(spanned, why));
    }
    if file.listen.is_empty() {
        return Err(written.at_value(spanned, "needs listen, such as [\"udp://0.0.0.0:514\"]"));
    }
    let mut listen = Vec::new();
    for text in &file.listen {
        let place: Listen =
            text.get_ref().parse().map_err(|why: String| written.at_value(text, why))?;
        if matches!(place, Listen::Unix(_)) && !has_local {
            let why = "unix:// takes the lines of the router that perijove runs on, and there is \
                       no [[router]] with transport = \"local\"";
            return Err(written.at_value(text, why));
        }
        listen.push(place);
    }
    let wants_tls = listen.iter().any(|place| matches!(place, Listen::Tls(_)));
    let tls = match (&file.cert_file, &file.key_file, wants_tls) {
        (Some(cert_file), Some(key_file), true) => Some(Tls {
            cert_file: named_file(cert_file),
            key_file: named_file(key_file),
            ca_file: file.ca_file.as_deref().map(named_file),
        }),
        (None, None, false) if file.ca_file.is_none() => None,
        (.., true) => return Err(written.at_value(spanned, "tls:// needs cert_file and key_file")),
        (.., false) => {
            let keys = [
                ("cert_file", file.cert_file.is_some()),
                ("key_file", file.key_file.is_some()),
                ("ca_file", file.ca_file.is_some()),
            ];
            written.refuse(spanned, &keys, "is for listen = [\"tls://…\"]")?;
            None
        }
    };
    let at_least_1 = |number: Option<(usize, String)>| match number {
        Some((0, why)) => Err(why),
        _ => Ok(()),
    };
    at_least_1(
        file.connections_max
            .as_ref()
            .map(|max| (*max.get_ref(), written.at_value(max, "at least 1 connection"))),
    )?;
    at_least_1(file.lines_per_second_max.as_ref().map(|max| {
        (*max.get_ref() as usize, written.at_value(max, "at least 1 line per second"))
    }))?;
    let line_bytes_max = match &file.line_bytes_max {
        Some(max) if max.get_ref().0 > LINE_BYTES_MAX => {
            return Err(written.at_value(max, "a line of syslog has at most 64kB"));
        }
        max => max.as_ref().map_or(8 << 10, |max| max.get_ref().0),
    };
    Ok(SyslogConfig {
        listen,
        tls,
        sources: file.sources.clone(),
        pass_on: (file.pass_on as u8).checked_sub(1),
        lines_per_second_max: file
            .lines_per_second_max
            .as_ref()
            .map_or(10_000, |max| *max.get_ref()),
        line_bytes_max,
        connections_max: file.connections_max.as_ref().map_or(256, |max| *max.get_ref()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use crate::syslog::settings::Listen;

    const ROUTER: &str = "[[router]]\ntarget = \"r\"\nusername = \"u\"\n[events.syslog]\n";

    #[test]
    fn what_cannot_be_is_refused_where_it_stands() {
        let listen = "listen = [\"udp://[::]:514\", \"tcp://h:1\"]\n";
        for (lines, why) in [
            ("", "4: events.syslog: needs listen"),
            ("listen = [\"udp:514\"]\n", "5: events.syslog.listen: `udp:514` is not udp://"),
            (
                "listen = [\"unix:///run/log\"]\n",
                "5: events.syslog.listen: unix:// takes the lines of the router that perijove runs",
            ),
            ("listen = [\"tls://h:1\"]\n", "4: events.syslog: tls:// needs cert_file and key_file"),
            (
                &format!("{listen}ca_file = \"/a\"\n"),
                "6: events.syslog.ca_file: ca_file is for listen = [\"tls://…\"]",
            ),
            (
                &format!("{listen}line_bytes_max = \"65kB\"\n"),
                "6: events.syslog.line_bytes_max: a line of syslog has at most 64kB",
            ),
            (
                &format!("{listen}connections_max = 0\n"),
                "6: events.syslog.connections_max: at least 1 connection",
            ),
            (
                &format!("{listen}lines_per_second_max = 0\n"),
                "6: events.syslog.lines_per_second_max: at least 1 line per second",
            ),
            (
                &format!("{listen}[events.syslog.sources]\nmx1 = [\"mx1\"]\n"),
                "7: events.syslog.sources.mx1: ",
            ),
        ] {
            let said = read(&format!("{ROUTER}{lines}")).map(drop).unwrap_err();
            assert!(said.starts_with(&format!("FILE:{why}")), "{lines}: {said}");
        }
        let settings = |more: &str| {
            let config = read(&format!("{ROUTER}{listen}{more}")).unwrap();
            config.syslog.unwrap()
        };
        let plain = settings("");
        assert_eq!(plain.listen[0], Listen::Udp("[::]:514".into()));
        assert_eq!((plain.pass_on, plain.line_bytes_max), (None, 8192));
        assert_eq!(settings("pass_on = \"emergency\"\n").pass_on, Some(0));
        assert_eq!(settings("pass_on = \"debug\"\n").pass_on, Some(7));
        // Without events there is nothing to make of it.
        let off = read(&format!("{ROUTER}{listen}[events]\nenabled = false\n")).map(drop);
        assert!(off.unwrap_err().contains("events.syslog: makes events of lines"));
    }
}
