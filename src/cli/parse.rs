//! `perijove parse`: makes points of a recorded reply.

use std::io::{self, Read};
use std::ops::Range;

use super::collectors;
use super::command::{Arguments, Exit};
use super::print::{POINT_FORMATS, Printer};
use crate::base::clock::now_ns;
use crate::base::inventory::Shared;
use crate::collector::Poll;
use crate::collector::outcome::{Answered, Outcome};
use crate::collector::reader::{Reader, Reply, Tally, read_reply};
use crate::config::{self, Level, Source};
use crate::daemon::log_to;
use crate::point::{Batch, Points};
use crate::xml::items::Limits;

pub fn run(arguments: &Arguments) -> Result<(), Exit> {
    let format = arguments.format(POINT_FORMATS)?;
    let set = arguments.flags.config.as_deref().map_or(Ok(Source::empty()), Source::read);
    let set = set.map_err(Exit::Usage)?;
    let mut positional = arguments.positional.iter();
    let entry = match &arguments.flags.description {
        Some(path) => config::read_description(path).map_err(Exit::Usage)?,
        None => match positional.next() {
            Some(name) => collectors::find(set.registry(), name)?,
            None => return Err(Exit::Usage("name a COLLECTOR, or give its --description".into())),
        },
    };
    let level = arguments.flags.level().unwrap_or(Level::Warn);
    log_to::start(config::Destination::Stderr, level);
    let mut reply = Vec::new();
    let (name, read) = match positional.next() {
        Some(path) => (path.as_str(), std::fs::read(path).map(|bytes| reply = bytes)),
        None => ("standard input", io::stdin().read_to_end(&mut reply).map(|_| ())),
    };
    read.map_err(|err| Exit::Failed(format!("cannot read {name}: {err}")))?;
    let configured = set.into_collector(entry);
    let mut poll = configured.map_err(Exit::Usage)?.start(&Shared::default());
    let time_ns = now_ns();
    let mut points = Points::default();
    points.asked_ns = Some(time_ns);
    points.keep_first();
    let result = parse_reply(&mut *poll, reply_in(&reply), &mut points);
    let router = arguments.flags.file.router.first();
    let node = router.and_then(|router| router.get_ref().name.as_ref());
    let node = node.map_or("", |node| node.get_ref().as_str());
    let mut printer = Printer::new(format);
    printer.print(&Batch { node, collector: entry.name, time_ns, points: &points });
    printer.finish()?;
    result.map_err(|why| Exit::Failed(format!("{name}: {why}")))
}

/// The reply in what was pasted from a session of Junos's CLI, or of NETCONF: without the prompt
/// and the command, the hello and the request before it, and without what comes after it.
fn reply_in(pasted: &[u8]) -> &[u8] {
    let is_markup = |text: &[u8]| matches!(text.trim_ascii_start().first(), None | Some(b'<'));
    let text = pasted.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pasted);
    let start = reply_tag(text, false).map_or(0, |tag| tag.start);
    let begins = !is_markup(text) || memchr::memmem::find(&text[..start], b"]]>]]>").is_some();
    let text = &text[if begins { start } else { 0 }..];
    match reply_tag(text, true).map(|tag| text.split_at(tag.end)) {
        Some((reply, after)) if !is_markup(after) => reply,
        _ => text,
    }
}

/// Where the first tag of an `<rpc-reply>`, or the first that closes one, stands; up to its name's
/// end, and with the `>` of one that closes. Junos may write `<nc:rpc-reply>`.
fn reply_tag(text: &[u8], closes: bool) -> Option<Range<usize>> {
    let (open, name): (&[u8], &[u8]) =
        if closes { (b"</", b"rpc-reply>") } else { (b"<", b"rpc-reply") };
    memchr::memmem::find_iter(text, name).find_map(|at| {
        let before = text[..at].strip_suffix(b":");
        let prefix = before.map(|text| {
            let letters = text.iter().rev().take_while(|byte| byte.is_ascii_alphanumeric());
            &text[..text.len() - letters.count()]
        });
        let start = prefix.unwrap_or(&text[..at]).strip_suffix(open)?.len();
        Some(start..at + name.len())
    })
}

/// Reads a reply as the answer to each of a collector's queries that it may answer.
pub fn parse_reply(poll: &mut dyn Poll, reply: &[u8], points: &mut Points) -> Result<(), String> {
    let limits = Limits { message_bytes_max: usize::MAX, ..Limits::default() };
    let reply = reply.strip_prefix(b"\xef\xbb\xbf").unwrap_or(reply);
    let mut last = Reply::default();
    let mut failed = None;
    let mut roots = Vec::new();
    let mut answered = Answered::default();
    for query in 0..poll.queries() {
        if (0..query).any(|other| poll.reads_alike(query, other)) {
            continue;
        }
        for root in poll.roots(query) {
            if !roots.contains(root) {
                roots.push(*root);
            }
        }
        let mut tally = Tally::default();
        let mut readers = [Reader { poll, query, points, tally: &mut tally }];
        // Everything is printed together: no batch is emitted before.
        let read = read_reply(reply, &mut readers, &limits, &mut |_, _| {});
        if let Some(why) = tally.first_rejected {
            log::warn!("{} items were left out, first {why}", tally.rejected);
        }
        if let Some(why) = tally.first_misfit {
            log::info!("{} values were left out, first {why}", tally.misfits);
        }
        match read {
            Ok(read) => {
                answered.note(query, read.answers(poll.roots(query)));
                if query == 0 || read.items > 0 {
                    last = read;
                }
            }
            // What stands before the fault may be another query's.
            Err(err) => failed = failed.or(Some(err.to_string())),
        }
    }
    points.set_re_name("");
    if let Some(why) = failed {
        return Err(why);
    }
    let outcome = last.outcome(&roots, false);
    if let Outcome::Unsupported(why) | Outcome::Denied(why) | Outcome::Failed(why) = outcome {
        return Err(why);
    }
    if let Outcome::NoData(why) = outcome {
        log::warn!("no data: {why}");
    }
    poll.finish(answered, points);
    let mut tally = Tally::default();
    tally.take_left_out(points);
    if let Some(why) = tally.first_misfit {
        log::info!("{} values were left out, first {why}", tally.misfits);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_of_a_pasted_session_is_found() {
        const REPLY: &str = "<rpc-reply xmlns:junos=\"j\">\n<a/>\n</rpc-reply>";
        for (before, after) in [
            ("", ""),
            ("\u{feff}", "\n"),
            ("user@mx1> show system alarms | display xml \n", "\n\n{master}\nuser@mx1> "),
            ("{master}\nroot@mx1-re0> show system alarms | display xml | no-more\n", ""),
            ("", "\n\nuser@mx1> show bgp neighbor | display xml\n<rpc-reply><b/></rpc-reply>"),
        ] {
            let pasted = format!("{before}{REPLY}{after}");
            assert_eq!(reply_in(pasted.as_bytes()).trim_ascii_end(), REPLY.as_bytes(), "{pasted}");
        }
        for reply in [REPLY.to_string(), REPLY.replace("rpc-reply", "nc:rpc-reply")] {
            for (before, after) in [
                ("user@mx1> show system alarms | display xml\r\n", "\r\n{master}"),
                ("<!-- a user -->\n<hello/>\n]]>]]>\n<rpc><get-a/></rpc>]]>]]>\n", "\n]]>]]>\n"),
                ("", "\n]]>]]>"),
            ] {
                let pasted = format!("{before}{reply}{after}");
                assert_eq!(reply_in(pasted.as_bytes()), reply.as_bytes(), "{pasted}");
            }
        }
        // What is no session is left for the reader to judge.
        for text in ["", "error: no such command\n", "<?xml?><a/>", "<rpc-reply/><oops>"] {
            assert_eq!(reply_in(text.as_bytes()), text.as_bytes());
        }
    }
}
