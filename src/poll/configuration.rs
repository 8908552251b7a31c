//! Settings in the router's own configuration: the parameters of `apply-macro perijove` under
//! `[edit system]`, of the committed configuration.
//!
//! The cheap question comes first: the last commit. Only if that has changed is the configuration
//! asked for, and behind it the commit again, so that what was read belongs to that commit.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::netconf::Session;
use crate::netconf::rpc_error::{Meaning, RpcError};
use crate::xml::element::Element;
use crate::xml::items::{Items, Limits};

/// `show system commit`: the last commit comes first.
const COMMITS: &str = "<get-commit-information/>";
/// The macros under `[edit system]`, with those that groups add.
const MACROS: &str = "<get-configuration database=\"committed\" inherit=\"inherit\">\
                      <configuration><system><apply-macro/></system></configuration>\
                      </get-configuration>";
/// How often the configuration is read in a row while commits come in between.
const READS_MAX: usize = 3;
/// The macro's name, with which the names of the other ones begin.
pub const NAME: &str = "perijove";
/// So many parameters are taken, with so many bytes in all.
pub const PARAMETERS_MAX: usize = 1000;
const TEXT_BYTES_MAX: usize = 128 << 10;
/// A longer reply is refused: the macros of others are in it too.
const REPLY_BYTES_MAX: u64 = 8 << 20;

/// A line of the configuration: `set system apply-macro OF NAME VALUE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameter {
    /// The macro: `perijove`, or `perijove-…`.
    pub of: String,
    pub name: String,
    /// None if nothing stands behind the name.
    pub value: Option<String>,
}

/// The parameters of all of perijove's macros.
pub type Macros = Vec<Parameter>;

/// The macros as of a commit.
pub struct Committed {
    pub commit: u64,
    pub macros: Macros,
}

/// What a poller looks after beside its polls.
pub struct Watch {
    interval: Duration,
    due: Instant,
    /// The commit whose macros were told.
    pub commit: Option<u64>,
    /// Is told the macros after each commit, and why they cannot be read.
    tell: Box<dyn Fn(Result<Macros, String>) + Send>,
}

impl Watch {
    pub fn new(
        interval: Duration,
        tell: impl Fn(Result<Macros, String>) + Send + 'static,
    ) -> Watch {
        Watch { interval, due: Instant::now(), commit: None, tell: Box::new(tell) }
    }

    /// How long until the next question.
    pub fn wait(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// Notes an answer, of which `None` says that there was no commit.
    pub fn note(&mut self, read: Result<Option<Committed>, String>) {
        self.due = Instant::now() + self.interval;
        match read {
            Ok(None) => {}
            Ok(Some(committed)) => {
                self.commit = Some(committed.commit);
                (self.tell)(Ok(committed.macros));
            }
            Err(why) => {
                // What is read after that is told, whether there was a commit or not.
                self.commit = None;
                (self.tell)(Err(why));
            }
        }
    }
}

/// Reads the macros, unless the last commit is the one that is known.
pub fn read(
    session: &mut Session,
    known: Option<u64>,
    limits: &Limits,
    timeout: Duration,
) -> Result<Option<Committed>, String> {
    let mut commit = ask(session, COMMITS, timeout, |reply| last_commit(reply, limits))?;
    if known == Some(commit) {
        return Ok(None);
    }
    for _ in 0..READS_MAX {
        let macros = ask(session, MACROS, timeout, |reply| macros(reply, limits))?;
        let now = ask(session, COMMITS, timeout, |reply| last_commit(reply, limits))?;
        if now == commit {
            return Ok(Some(Committed { commit, macros }));
        }
        commit = now;
    }
    Err(format!("{READS_MAX} commits came while the configuration was read"))
}

fn ask<T>(
    session: &mut Session,
    rpc: &str,
    timeout: Duration,
    read: impl FnOnce(&mut dyn Read) -> Result<T, String>,
) -> Result<T, String> {
    let mut reply = session.rpc(rpc, Instant::now() + timeout).map_err(|err| err.0)?;
    read(&mut reply)
}

/// The elements in which a router says why there is no answer.
const REFUSALS: &[&str] = &["rpc-error", "error"];

/// A digest of the last commit: its time, user, client and comment, of each Routing Engine.
fn last_commit(reply: impl Read, limits: &Limits) -> Result<u64, String> {
    let mut hasher = DefaultHasher::new();
    let mut engine = None;
    each(reply, "commit-history", limits, |items| {
        // The others are older.
        let of = items.scope().re_name();
        if engine.as_deref() != Some(of) {
            (of, items.item()).hash(&mut hasher);
            engine = Some(of.to_string());
        }
        Ok(())
    })?;
    Ok(hasher.finish())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ApplyMacro {
    #[serde(rename = "@inactive")]
    inactive: Option<String>,
    name: String,
    data: Vec<Data>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    #[serde(rename = "@inactive")]
    inactive: Option<String>,
    name: String,
    value: Option<String>,
}

/// perijove's macros in a reply, of the first Routing Engine where there are several: they differ
/// only until the commit has reached all.
fn macros(reply: impl Read, limits: &Limits) -> Result<Macros, String> {
    let (mut macros, mut bytes, mut engine) = (Macros::new(), 0, None);
    each(reply, "apply-macro", limits, |items| {
        let of = items.scope().re_name();
        if *engine.get_or_insert_with(|| of.to_string()) != of {
            return Ok(());
        }
        let mut element = Element::new(items.item(), limits.depth_max);
        let read: ApplyMacro = element.read().map_err(|err| format!("an apply-macro: {err}"))?;
        if read.inactive.is_some() || !is_ours(&read.name) {
            return Ok(());
        }
        for data in read.data.into_iter().filter(|data| data.inactive.is_none()) {
            let value_bytes = data.value.as_ref().map_or(0, String::len);
            bytes += read.name.len() + data.name.len() + value_bytes;
            if macros.len() == PARAMETERS_MAX || bytes > TEXT_BYTES_MAX {
                let kilobytes = TEXT_BYTES_MAX >> 10;
                return Err(format!(
                    "the macros {NAME} and {NAME}-… have more than {PARAMETERS_MAX} parameters, \
                     or {kilobytes} kB"
                ));
            }
            let of = read.name.clone();
            macros.push(Parameter { of, name: data.name, value: data.value });
        }
        Ok(())
    })?;
    Ok(macros)
}

fn is_ours(name: &str) -> bool {
    name.strip_prefix(NAME).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Gives each element of that name in a reply to `take`. Fails where the router refuses.
fn each<R: Read>(
    reply: R,
    name: &str,
    limits: &Limits,
    mut take: impl FnMut(&Items<R>) -> Result<(), String>,
) -> Result<(), String> {
    let names = [&[name], REFUSALS].concat();
    let mut items = Items::new(reply, &names, limits);
    while let Some(item) = items.next_item().map_err(|err| err.to_string())? {
        if items.bytes() > REPLY_BYTES_MAX {
            return Err(format!("the reply has more than {} MB", REPLY_BYTES_MAX >> 20));
        }
        if item == 0 {
            take(&items)?;
            continue;
        }
        let error: RpcError =
            Element::new(items.item(), limits.depth_max).read().unwrap_or_default();
        match error.meaning() {
            Meaning::Warning | Meaning::Empty | Meaning::NoData => {}
            Meaning::Denied => {
                return Err(format!(
                    "{error}; the login class needs: permissions view view-configuration"
                ));
            }
            Meaning::Unsupported | Meaning::NotRunning | Meaning::Failed => {
                return Err(error.to_string());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reply: &str) -> Result<Vec<(String, String, Option<String>)>, String> {
        let reply = format!("<rpc-reply>{reply}</rpc-reply>");
        let macros = macros(reply.as_bytes(), &Limits::default())?;
        Ok(macros.into_iter().map(|p| (p.of, p.name, p.value)).collect())
    }

    fn macro_of(name: &str, data: &str) -> String {
        format!("<apply-macro><name>{name}</name>{data}</apply-macro>")
    }

    fn configuration(macros: &str) -> String {
        format!("<configuration><system>{macros}</system></configuration>")
    }

    const INTERVAL: &str = "<data><name>interval</name><value>10s</value></data>";

    fn taken(of: &str) -> (String, String, Option<String>) {
        (of.into(), "interval".into(), Some("10s".into()))
    }

    #[test]
    fn only_perijove_s_active_macros_are_taken() {
        let all = ["perijove", "perijove-collector.bgp", "perijoves", "other"];
        let all: String = all.iter().map(|name| macro_of(name, INTERVAL)).collect();
        let expected = vec![taken("perijove"), taken("perijove-collector.bgp")];
        assert_eq!(read(&configuration(&all)), Ok(expected));
        let inactive = INTERVAL.replace("<data>", "<data inactive='inactive'>");
        let flag = "<data><name>flag</name></data>";
        let data = macro_of("perijove", &(inactive + flag + "<data><name>a</name><value/></data>"));
        let named = |name: &str, value: Option<&str>| {
            ("perijove".to_string(), name.to_string(), value.map(String::from))
        };
        let expected = vec![named("flag", None), named("a", Some(""))];
        assert_eq!(read(&configuration(&data)), Ok(expected));
        let off = macro_of("perijove", INTERVAL).replacen(
            "<apply-macro>",
            "<apply-macro inactive='inactive'>",
            1,
        );
        assert_eq!(read(&configuration(&off)), Ok(vec![]));
        assert_eq!(read("<configuration/>"), Ok(vec![]));
        assert_eq!(read(""), Ok(vec![]));
    }

    #[test]
    fn of_two_engines_the_first_counts() {
        let item = |engine: &str, value: &str| {
            let macros = macro_of("perijove", INTERVAL).replace("10s", value);
            format!(
                "<multi-routing-engine-item><re-name>{engine}</re-name>{}\
                 </multi-routing-engine-item>",
                configuration(&macros)
            )
        };
        let both = item("re0", "10s") + &item("re1", "20s");
        let both = format!("<multi-routing-engine-results>{both}</multi-routing-engine-results>");
        assert_eq!(read(&both), Ok(vec![taken("perijove")]));
    }

    #[test]
    fn a_refusal_is_no_empty_configuration() {
        let error = |severity: &str, words: &str| {
            format!(
                "<rpc-error><error-severity>{severity}</error-severity><error-message>{words}\
                 </error-message></rpc-error>"
            )
        };
        let denied = read(&error("error", "permission denied")).unwrap_err();
        assert!(denied.starts_with("permission denied; the login class needs"), "{denied}");
        assert_eq!(read(&error("error", "syntax error")), Err("syntax error".into()));
        let warned =
            error("warning", "something") + &configuration(&macro_of("perijove", INTERVAL));
        assert_eq!(read(&warned), Ok(vec![taken("perijove")]));
        assert!(read("<configuration><system>").is_err());
    }

    #[test]
    fn what_is_taken_is_bounded() {
        let data = |count: usize, value: &str| {
            let one = |n| format!("<data><name>p{n}</name><value>{value}</value></data>");
            configuration(&macro_of("perijove", &(0..count).map(one).collect::<String>()))
        };
        assert_eq!(read(&data(PARAMETERS_MAX, "1")).unwrap().len(), PARAMETERS_MAX);
        for (count, value) in [(PARAMETERS_MAX + 1, "1"), (40, "v".repeat(4000).as_str())] {
            let why = read(&data(count, value)).unwrap_err();
            assert!(why.contains("more than 1000 parameters, or 128 kB"), "{why}");
        }
        let others = configuration(&macro_of("other", INTERVAL).repeat(5000));
        assert_eq!(read(&others), Ok(vec![]));
        let others = configuration(&macro_of("other", INTERVAL).repeat(100_000));
        assert_eq!(read(&others), Err("the reply has more than 8 MB".into()));
    }

    #[test]
    fn the_last_commit_of_each_engine_tells_that_there_was_one() {
        let commits = |times: &[u32]| {
            let one = |(number, time): (usize, &u32)| {
                format!(
                    "<commit-history><sequence-number>{number}</sequence-number>\
                     <date-time seconds='{time}'>x</date-time></commit-history>"
                )
            };
            let all: String = times.iter().enumerate().map(one).collect();
            format!("<commit-information>{all}</commit-information>")
        };
        let engines = |replies: &[String]| {
            let one = |(number, reply): (usize, &String)| {
                format!(
                    "<multi-routing-engine-item><re-name>re{number}</re-name>{reply}\
                     </multi-routing-engine-item>"
                )
            };
            let all: String = replies.iter().enumerate().map(one).collect();
            format!("<multi-routing-engine-results>{all}</multi-routing-engine-results>")
        };
        let digest = |reply: &str| {
            let reply = format!("<rpc-reply>{reply}</rpc-reply>");
            last_commit(reply.as_bytes(), &Limits::default()).unwrap()
        };
        let (old, new) = (commits(&[5, 4]), commits(&[6, 5, 4]));
        assert_eq!(digest(&old), digest(&commits(&[5, 3])));
        assert_ne!(digest(&old), digest(&new));
        let both = |second: &String| digest(&engines(&[old.clone(), second.clone()]));
        assert_eq!(both(&old), both(&old));
        assert_ne!(both(&old), both(&new));
        assert_ne!(digest(&old), both(&old));
    }
}
