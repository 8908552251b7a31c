//! `perijove events`: what the running perijove has seen change, from its listener.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use super::command::{Arguments, Exit};
use super::print;
use crate::base::http_client::{self, Login};
use crate::base::secret::Secret;
use crate::base::sys;
use crate::base::text::safe;
use crate::config::{FilePrometheus, Source};

/// How often the daemon is asked for more.
const PAUSE: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// A line for people shows no more of a text.
const SHOWN_BYTES_MAX: usize = 200;
const PASSWORD_VARIABLE: &str = "PERIJOVE_PASSWORD";

#[derive(Clone, Copy)]
enum Format {
    Text,
    Json,
}

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let format = arguments.format(&[("text", Format::Text), ("json", Format::Json)])?;
    let daemon = Daemon::new(arguments)?;
    let mut position = String::from("0");
    loop {
        let (records, next) = daemon.ask(&position).map_err(Exit::Failed)?;
        let mut text = String::new();
        for record in records.lines() {
            text += &match format {
                Format::Json => record.to_string(),
                Format::Text => shown(record),
            };
            text.push('\n');
        }
        print::say(&text)?;
        if !arguments.flags.follow {
            return Ok(());
        }
        if io::stdout().flush().is_err() || reader_is_gone_within(PAUSE) {
            return Ok(());
        }
        position = next;
    }
}

/// Waits, and ends at once when nobody reads standard output any more, also if there is nothing to
/// write. A signal needs no care: nothing holds it, and it ends the program.
fn reader_is_gone_within(time: Duration) -> bool {
    let mut stdout = [libc::pollfd { fd: libc::STDOUT_FILENO, events: 0, revents: 0 }];
    sys::poll(&mut stdout, Some(time)).is_ok_and(|gone| gone > 0)
}

/// The daemon's listener.
struct Daemon {
    agent: Agent,
    url: String,
    login: Option<Secret>,
}

impl Daemon {
    fn new(arguments: &Arguments) -> Result<Daemon, Exit> {
        let Source { file, .. } = arguments.source().map_err(Exit::Usage)?;
        let default = FilePrometheus::default();
        let set = file.output.prometheus.as_ref().map_or(&default, |set| set.get_ref());
        let listen = set.listen.as_ref().map_or("127.0.0.1:9326", |listen| listen.get_ref());
        let scheme = if set.cert_file.is_some() { "https" } else { "http" };
        let url = arguments.flags.url.clone();
        let url = url.unwrap_or_else(|| format!("{scheme}://{}", reachable(listen)));
        let agent = http_client::agent(&url, TIMEOUT, &None).map_err(Exit::Usage)?;
        let login = match (&arguments.flags.username, std::env::var(PASSWORD_VARIABLE)) {
            (Some(username), Ok(password)) => {
                Login::Basic { username: username.clone(), password: Secret::new(&password) }
            }
            (Some(_), Err(_)) => {
                let why = format!("--as: {PASSWORD_VARIABLE} has to have the password");
                return Err(Exit::Usage(why));
            }
            (None, _) => Login::None,
        };
        Ok(Daemon { agent, url, login: login.header() })
    }

    /// The records since that position, and the next one.
    fn ask(&self, position: &str) -> Result<(String, String), String> {
        let url = format!("{}/events?after={position}", self.url.trim_end_matches('/'));
        let wrong = |why: String| format!("{}: {why}", http_client::shown(&url));
        let mut request = http_client::get(&self.agent, &url)?;
        if let Some(login) = &self.login {
            request = request.header("Authorization", login.expose());
        }
        let response = request.call().map_err(|err| {
            let hint = "perijove events asks the listener of a perijove that runs: it needs \
                        [output.prometheus]";
            wrong(format!("{}; {hint}", http_client::describe(&err)))
        })?;
        let status = response.status().as_u16();
        let next = response.headers().get(crate::serve::events::POSITION);
        let next = next.and_then(|value| value.to_str().ok()).unwrap_or("0").to_string();
        let mut body = response.into_body();
        let text = body.with_config().limit(ANSWER_BYTES_MAX).read_to_string();
        let text = text.map_err(|err| wrong(http_client::describe(&err)))?;
        match status {
            200 => Ok((text, next)),
            401 => Err(wrong(format!("it wants a password: --as NAME, and {PASSWORD_VARIABLE}"))),
            status => Err(wrong(format!("status {status}: {}", safe(text.trim(), 200)))),
        }
    }
}

/// An address to listen on, as one to connect to.
fn reachable(listen: &str) -> String {
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, "9326"));
    match host {
        "0.0.0.0" => format!("127.0.0.1:{port}"),
        "[::]" => format!("[::1]:{port}"),
        host => format!("{host}:{port}"),
    }
}

/// A record as a line for people: time, router, severity, what.
fn shown(record: &str) -> String {
    let Ok(record) = serde_json::from_str::<Value>(record) else {
        return safe(record, SHOWN_BYTES_MAX);
    };
    let text = |table: &str, name: &str| {
        let found = record[table][name].as_str().unwrap_or_default();
        safe(found, SHOWN_BYTES_MAX)
    };
    let time = record["time"].as_str().unwrap_or_default();
    let time = time.get(..23).unwrap_or(time).replace('T', " ");
    let node = safe(record["node"].as_str().unwrap_or_default(), SHOWN_BYTES_MAX);
    let [kind, subject, severity] = ["kind", "subject", "severity"].map(|tag| text("tags", tag));
    let (from, to) = (text("fields", "from"), text("fields", "to"));
    let mut line = format!("{}  {}  {severity:<7}  {kind} {subject}", safe(&time, 40), node);
    match (from.is_empty(), to.is_empty()) {
        (false, false) if from == to => line += &format!(": {to} again"),
        (false, false) => line += &format!(": {from} -> {to}"),
        (true, false) => line += &format!(": {to}"),
        _ => {}
    }
    let count = record["fields"]["count"].as_u64().unwrap_or(1);
    if count > 1 {
        line += &format!(", {count} changes");
    }
    for (word, field) in [("by ", "user"), ("", "comment"), ("", "message")] {
        let value = text("fields", field);
        if !value.is_empty() {
            line += &format!(", {word}{value}");
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_line_that_drives_no_terminal() {
        let record = r#"{"measurement":"event","node":"mx1","collector":"event",
            "time":"2026-03-01T10:11:12.123456789Z",
            "tags":{"kind":"interface-state","subject":"ge-0/0/1","severity":"warning"},
            "fields":{"from":"up","to":"down","count":2,"message":"core\u001b[31m"}}"#;
        let line = shown(&record.replace('\n', ""));
        let expected = "2026-03-01 10:11:12.123  mx1  warning  interface-state ge-0/0/1: \
                        up -> down, 2 changes, core\\u{1b}[31m";
        assert_eq!(line, expected);
    }

    #[test]
    fn an_address_to_listen_on_can_be_reached() {
        for (listen, expected) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:2", "[::1]:2"),
            ("127.0.0.1:3", "127.0.0.1:3"),
            ("mx1:4", "mx1:4"),
        ] {
            assert_eq!(reachable(listen), expected);
        }
    }
}
