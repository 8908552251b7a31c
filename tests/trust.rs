//! What a router answers in place of data: to every collector, each kind of answer. No answer
//! becomes a number that nobody counted, and none is silent.

mod common;
mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::needs::{PYTHON, skips};
use common::program;
use common::temporary::Directory;
use perijove::base::inventory::Shared;
use perijove::cli;
use perijove::collector::Entry;
use perijove::collector::outcome::Outcome;
use perijove::output::exposition;
use perijove::output::line_protocol::LineProtocol;
use perijove::output::remote_write;
use perijove::point::{Batch, Kind, Points};
use perijove::poll::router::{Link, Polled, Router};
use perijove::poll::status::RouterStatus;
use perijove::poll::{RouterPoller, mastership, registry};
use perijove::xml::items::Limits;
use quick_xml::events::Event;

const DOWN: &str = "<xnm:error xmlns:xnm='x'><message>the snmp subsystem is not running</message>\
    <reason><daemon>snmp</daemon><process-not-running/></reason></xnm:error>";
const DOWN_WORDS: &str = "the snmp subsystem is not running";
const NOT_CONFIGURED: &str = "<xnm:error xmlns:xnm='x'><message>the snmp subsystem is not running\
    </message><reason><daemon>snmp</daemon><process-not-configured/></reason></xnm:error>";
const UNSUPPORTED: &str = "<rpc-error><error-severity>error</error-severity><error-message>\n\
    syntax error\n</error-message></rpc-error>";
const DENIED: &str = "<rpc-error><error-severity>error</error-severity><error-message>\n\
    permission denied\n</error-message></rpc-error>";
const WARNING: &str = "<rpc-error><error-severity>warning</error-severity><error-message>\n\
    snmp subsystem not running - not needed by configuration.\n</error-message></rpc-error>";
const WARNING_WORDS: &str = "snmp subsystem not running - not needed by configuration.";
const UNPRIVILEGED: &str = "<rpc-error><error-severity>warning</error-severity><error-message>\n\
    user &quot;un1&quot; does not have access privileges.\n</error-message></rpc-error>";
const BACKUP: &str = "<route-engine-information><route-engine><mastership-state> Backup (default) \
    </mastership-state></route-engine></route-engine-information>";

/// A kind of answer, and what it comes to for every collector.
struct Case {
    name: &'static str,
    answer: String,
    outcome: Outcome,
}

fn cases() -> Vec<Case> {
    let words = "<output>\nthe database is locked by pid 4711\n</output>";
    let aborted = "Aborted! This command can only be used on the master routing engine.";
    let stale = "Warning: what is shown may be stale";
    let silent = "error: the snmp subsystem is not responding to management requests";
    let silent_words = format!("<output>\n{silent}\n</output>");
    let none = "<output>No alarms currently active</output>";
    let banner = |role| format!("<cli><banner>{{{role}}}</banner></cli>");
    let case = |name, answer: String, outcome| Case { name, answer, outcome };
    let no_data = |why: &str| Outcome::NoData(why.into());
    let failed = |why: &str| Outcome::Failed(why.into());
    let unsupported = || Outcome::Unsupported("syntax error".into());
    let denied = || Outcome::Denied("permission denied".into());
    let unprivileged = || Outcome::Denied("user \"un1\" does not have access privileges.".into());
    vec![
        case("daemon down", DOWN.into(), failed(DOWN_WORDS)),
        case("not configured", NOT_CONFIGURED.into(), no_data(DOWN_WORDS)),
        case("unsupported", UNSUPPORTED.into(), unsupported()),
        case("denied", DENIED.into(), denied()),
        case("words", words.into(), failed("the database is locked by pid 4711")),
        case("on the backup", format!("<output>{aborted}</output>"), no_data(aborted)),
        case("a warning", WARNING.into(), no_data(WARNING_WORDS)),
        case("a warning in words", format!("<output>{stale}</output>"), no_data(stale)),
        case("a warning that denies", WARNING.repeat(30) + UNPRIVILEGED, unprivileged()),
        case("not responding", format!("<output>{silent}</output>"), failed(silent)),
        case(
            "a secondary node",
            format!("{DOWN}{}", banner("SECONDARY:node1")),
            no_data(DOWN_WORDS),
        ),
        case("a line card", format!("{DOWN}{}", banner("linecard:2")), no_data(DOWN_WORDS)),
        case("one engine of two", engines(&["", &silent_words]), failed(silent)),
        case("none and a silent one", engines(&[none, &silent_words]), failed(silent)),
        case("30 warnings", WARNING.repeat(30), no_data(WARNING_WORDS)),
        case("30 warnings, an error", WARNING.repeat(30) + DENIED, denied()),
        case("an error, 30 warnings", DENIED.to_string() + &WARNING.repeat(30), denied()),
        case("30 warnings, down", WARNING.repeat(30) + DOWN, failed(DOWN_WORDS)),
        case("nothing", String::new(), no_data("an empty reply")),
        case("no root", "<others/>".into(), failed("<others> is not its reply, which is <")),
    ]
}

/// The answers of several Routing Engines.
fn engines(answers: &[&str]) -> String {
    let item = |(number, answer)| {
        format!(
            "<multi-routing-engine-item><re-name>re{number}</re-name>{answer}\
             </multi-routing-engine-item>"
        )
    };
    let items: String = answers.iter().enumerate().map(item).collect();
    format!("<multi-routing-engine-results>{items}</multi-routing-engine-results>")
}

/// A router with all collectors that answers as it is told: by operation, else with `""`.
fn poller(directory: &Directory, payloads: &BTreeMap<String, String>) -> (RouterPoller, Router) {
    let hello = "<hello><capabilities/><session-id>7</session-id></hello>]]>]]>";
    let files = [
        directory.write("hello", hello),
        directory.write("reply", "<rpc-reply message-id=\"ID\">PAYLOAD</rpc-reply>"),
        directory.write("payloads", serde_json::to_string(payloads).unwrap()),
    ];
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/canned.py");
    let mut command = vec![program("python3").to_str().unwrap().to_string(), server.to_string()];
    command.extend(files.map(|file| file.to_str().unwrap().to_string()));
    let timeout = Duration::from_secs(60);
    let collectors = registry::collectors().iter().map(|entry| Polled {
        entry,
        interval: timeout,
        timeout,
        configured: entry.by_default().clone(),
    });
    let router = Router {
        tags: Default::default(),
        shard: None,
        second: None,
        name: "r1".into(),
        link: Link::Local { command, connect_timeout: timeout },
        limits: Limits::default(),
        collectors: collectors.collect(),
        poll_share_max: 1.0,
        busy_above: Default::default(),
        master_only: false,
        re_slot: None,
        configuration_interval: None,
        enrich: false,
    };
    let status = Arc::new(RouterStatus::new(&router));
    (RouterPoller::new(&router, status, &Shared::default()), router)
}

/// One poll of all collectors: how each ended, its points, and what was logged.
fn poll(poller: &mut RouterPoller) -> (Vec<Outcome>, BTreeMap<String, String>, Vec<String>) {
    let mut points: BTreeMap<String, String> = BTreeMap::new();
    let due: Vec<usize> = (0..registry::collectors().len()).collect();
    let mut emit = |batch: &Batch| {
        let mut lines = Vec::new();
        LineProtocol::default().encode(batch, &mut lines);
        let lines = str::from_utf8(&lines).unwrap();
        *points.entry(batch.collector.into()).or_default() += lines;
    };
    let (outcomes, said) = said::listen(|| poller.poll(&due, &[], &mut emit));
    (outcomes, points, said)
}

/// The points that the poll of a status gives of each collector, as Prometheus has them.
fn own_series(poller: &RouterPoller) -> String {
    let mut points = Points::default();
    poller.status.points(&mut points);
    text(&points)
}

fn text(points: &Points) -> String {
    let mut text = Vec::new();
    exposition::write(&[Batch { node: "r1", collector: "c", time_ns: 0, points }], &mut text)
        .unwrap();
    String::from_utf8(text).unwrap()
}

fn check(case: &str, expected: &Outcome, poller: &mut RouterPoller, wrong: &mut Vec<String>) {
    let (outcomes, points, said) = poll(poller);
    let series = own_series(poller);
    for (entry, outcome) in registry::collectors().iter().zip(&outcomes) {
        let name = entry.name;
        let mut say = |what: String| wrong.push(format!("{name}, {case}: {what}"));
        let text = |outcome: &Outcome| match outcome {
            Outcome::Data => String::new(),
            _ => outcome.failure().or(outcome.absence()).unwrap().to_string(),
        };
        if outcome.number() != expected.number() || !text(outcome).starts_with(&text(expected)) {
            say(format!("{outcome:?}"));
        }
        let (is_failure, is_absence) = (outcome.failure().is_some(), outcome.absence().is_some());
        for (field, value) in [
            ("success", u64::from(!is_failure)),
            ("no_data", u64::from(is_absence)),
            ("state", outcome.number()),
        ] {
            let line = format!(
                "perijove_collector_{field}{{target=\"r1\",collector=\"{name}\"}} {value}\n"
            );
            if !series.contains(&line) {
                say(format!("there is no series {line}"));
            }
        }
        let own = format!("r1: {name}: ");
        let of_it: Vec<&String> = said.iter().filter(|line| line.starts_with(&own)).collect();
        if of_it.len() != usize::from(*outcome != Outcome::Data)
            || !of_it.iter().all(|line| line.contains(&text(outcome)))
        {
            say(format!("it is logged as {of_it:?}"));
        }
        if let (Outcome::Denied(why), permissions) = (outcome, entry.permissions.join(", "))
            && !why.ends_with(&format!("the login class needs: permissions {permissions}"))
        {
            say(format!("no class to grant in `{why}`"));
        }
        if let Some(lines) = points.get(name).filter(|_| *expected != Outcome::Data) {
            say(format!("points from nowhere: {lines}"));
        }
    }
    let (_, _, said) = poll(poller);
    let again = said.iter().filter(|line| line.starts_with("r1: ")).count();
    if again > 0 {
        wrong.push(format!("{case}: said again: {said:?}"));
    }
}

#[test]
fn an_answer_in_place_of_data_is_what_it_says() {
    if skips(&[PYTHON]) {
        return;
    }
    let mut wrong = Vec::new();
    for Case { name, answer, outcome } in cases() {
        let directory = Directory::new();
        let payloads = BTreeMap::from([(String::new(), answer)]);
        let (mut poller, _) = poller(&directory, &payloads);
        check(name, &outcome, &mut poller, &mut wrong);
        poller.close();
    }
    // The same on a Routing Engine that says that it is the backup.
    let directory = Directory::new();
    let local = (mastership::RPC_LOCAL.to_string(), BACKUP.to_string());
    let payloads = BTreeMap::from([(String::new(), DOWN.to_string()), local]);
    let (mut poller, _) = poller(&directory, &payloads);
    let outcome = Outcome::NoData(DOWN_WORDS.into());
    check("daemon down on the backup", &outcome, &mut poller, &mut wrong);
    poller.close();
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// What an empty list gives: counts of it, which the router said by sending the list.
const COUNTED: &[(&str, &[&str])] = &[
    ("alarm", &["alarms,host=r1 yellow_count=0i,red_count=0i"]),
    ("coredumps", &["coredumps,host=r1 files=0i,size=0i"]),
    ("evpn", &["evpn,host=r1 duplicate_mac_total=0i", "evpn,host=r1 l3_context_count=0i"]),
    (
        "ipsec",
        &["ipsec,host=r1,re_name=N/A description=\"configured tunnels\",configured_tunnels=0i"],
    ),
    ("isis", &["isis,host=r1 up_count=0i,total_count=0i"]),
    ("ldp", &["ldp,host=r1 session_count=0i,neighbor_count=0i"]),
    ("ospf", &["ospf,host=r1 up=0i", "ospf3,host=r1 up=0i"]),
];

#[test]
fn a_failure_within_a_root_is_one_and_nothing_is_counted() {
    if skips(&[PYTHON]) {
        return;
    }
    let directory = Directory::new();
    let mut payloads = BTreeMap::from([(String::new(), DOWN.to_string())]);
    for entry in registry::collectors() {
        let poll = entry.poll();
        for query in 0..poll.queries() {
            let root = poll.roots(query)[0];
            for rpc in poll.rpcs(query).into_iter().filter(|_| root != "output") {
                payloads.insert(rpc.to_string(), format!("<{root}>{DOWN}</{root}>"));
            }
        }
    }
    let mut wrong = Vec::new();
    let (mut poller, _) = poller(&directory, &payloads);
    check("down, within the root", &Outcome::Failed(DOWN_WORDS.into()), &mut poller, &mut wrong);
    poller.close();
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn an_empty_list_is_data_whatever_warnings_stand_beside_it() {
    if skips(&[PYTHON]) {
        return;
    }
    let mut wrong = Vec::new();
    for (before, after) in [(0, 0), (1, 0), (0, 1), (30, 30)] {
        let directory = Directory::new();
        let mut payloads = BTreeMap::from([(String::new(), UNSUPPORTED.to_string())]);
        for entry in registry::collectors() {
            let poll = entry.poll();
            for query in 0..poll.queries() {
                let root = poll.roots(query)[0];
                let (before, after) = (WARNING.repeat(before), WARNING.repeat(after));
                for rpc in poll.rpcs(query) {
                    payloads.insert(rpc.to_string(), format!("{before}<{root}/>{after}"));
                }
            }
        }
        let (mut poller, _) = poller(&directory, &payloads);
        let (outcomes, points, _) = poll(&mut poller);
        poller.close();
        for (entry, outcome) in registry::collectors().iter().zip(&outcomes) {
            let counted = COUNTED.iter().find(|(name, _)| *name == entry.name);
            let lines = points.get(entry.name).map_or("", String::as_str);
            let without_time = lines.lines().map(|line| line.rsplit_once(' ').unwrap().0);
            let counted = counted.map_or(&[][..], |(_, lines)| lines).iter().copied();
            let as_expected = without_time.eq(counted);
            if outcome.failure().is_some() || !as_expected {
                let name = entry.name;
                wrong.push(format!("{name}, {before} and {after} warnings: {outcome:?} {lines}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The points that a collector makes of a reply, as text.
fn parse(entry: &Entry, reply: &str) -> String {
    let mut points = Points::default();
    let (_, _) =
        said::listen(|| cli::parse_reply(&mut *entry.poll(), reply.as_bytes(), &mut points));
    text(&points)
}

/// A fixture of one reply, and its parts: up to the reply's open tag, what stands in it, the rest.
struct Fixture {
    entry: &'static Entry,
    path: String,
    reply: String,
    head: String,
    body: String,
    tail: String,
}

fn fixtures() -> Vec<Fixture> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found = Vec::new();
    for entry in registry::collectors() {
        let Ok(entries) = std::fs::read_dir(fixtures.join(entry.name)) else { continue };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let is_reply = path.extension().is_some_and(|extension| extension == "xml");
            let Some(reply) = std::fs::read(&path).ok().filter(|_| is_reply) else { continue };
            let Ok(reply) = String::from_utf8(reply) else { continue };
            let start =
                reply.find("<rpc-reply").and_then(|at| Some(at + reply[at..].find('>')? + 1));
            let (Some(start), Some(end)) = (start, reply.rfind("</rpc-reply>")) else { continue };
            if reply.matches("<rpc-reply").count() > 1 {
                continue;
            }
            let [head, body, tail] =
                [&reply[..start], &reply[start..end], &reply[end..]].map(String::from);
            let path = path.display().to_string();
            found.push(Fixture { entry, path, reply, head, body, tail });
        }
    }
    found
}

#[test]
fn a_warning_beside_data_changes_no_point() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for Fixture { entry, path, reply, head, body, tail } in fixtures() {
        let expected = parse(entry, &reply);
        if expected.is_empty() {
            continue;
        }
        for (before, after) in [(1, 0), (0, 1), (30, 30)] {
            tried += 1;
            let (before, after) = (WARNING.repeat(before), WARNING.repeat(after));
            if parse(entry, &format!("{head}{before}{body}{after}{tail}")) != expected {
                wrong.push(path.clone());
            }
        }
    }
    println!("{tried} replies tried");
    assert!(tried > 200 && wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The series that a reply gives, and the readings that it gives as lines: what each is, and of
/// what. Sums are left out: of two of a thing there are two.
fn readings(entry: &Entry, reply: &str) -> (Vec<String>, Vec<String>) {
    let mut points = Points::default();
    points.keep_first();
    let (_, _) =
        said::listen(|| cli::parse_reply(&mut *entry.poll(), reply.as_bytes(), &mut points));
    let series = text(&points);
    let series = series.lines().filter(|line| !line.starts_with('#'));
    let series = series.map(|line| line.rsplit_once(' ').unwrap().0.to_string()).collect();
    let mut readings = Vec::new();
    for point in points.iter() {
        let tags: Vec<_> = point.tags().collect();
        for (_, field, _) in point.fields() {
            let is_reading = !matches!(field.kind, Kind::Info);
            readings.extend(
                is_reading.then(|| format!("{} {tags:?} {}", point.schema.name(), field.name)),
            );
        }
    }
    (series, readings)
}

#[test]
fn what_comes_twice_in_a_reply_is_one_reading_everywhere() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for Fixture { entry, path, reply, head, body, tail } in fixtures() {
        let (once, _) = readings(entry, &reply);
        if once.is_empty() {
            continue;
        }
        tried += 1;
        let (twice, lines) = readings(entry, &format!("{head}{body}{body}{tail}"));
        let distinct: BTreeSet<&String> = lines.iter().collect();
        if twice != once || distinct.len() != lines.len() {
            wrong.push(format!("{path}: {} {} {}", once.len(), twice.len(), lines.len()));
        }
    }
    println!("{tried} replies tried");
    assert!(tried > 60 && wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The elements of a text that have elements in them: each with its name, and where it stands.
fn records(body: &str) -> Vec<(String, Range<usize>)> {
    let mut reader = quick_xml::Reader::from_str(body);
    let (mut open, mut found): (Vec<(String, usize, bool)>, _) = (Vec::new(), Vec::new());
    loop {
        let start = usize::try_from(reader.buffer_position()).unwrap();
        let event = reader.read_event();
        let end = usize::try_from(reader.buffer_position()).unwrap();
        match event {
            Ok(Event::Start(tag)) => {
                if let Some((_, _, has_elements)) = open.last_mut() {
                    *has_elements = true;
                }
                let name = tag.local_name();
                open.push((AsRef::<str>::as_ref(&name).to_string(), start, false));
            }
            Ok(Event::End(_)) => match open.pop() {
                Some((name, start, true)) => found.push((name, start..end)),
                Some(_) => {}
                None => return found,
            },
            Ok(Event::Eof) | Err(_) => return found,
            Ok(Event::Empty(_)) => {
                if let Some((_, _, has_elements)) = open.last_mut() {
                    *has_elements = true;
                }
            }
            Ok(_) => {}
        }
    }
}

/// Records that a reply does not name, so that two of them may be two things.
const NAMELESS: &[(&str, &[&str])] = &[
    // As many as the router counts are all, whether two are the same or one stands twice.
    ("alarm", &["alarm-detail"]),
];

/// Every record of every fixture stands twice, one at a time: no reading has another value for it.
#[test]
fn a_record_that_stands_twice_in_a_list_is_counted_once() {
    let values = |entry: &Entry, reply: &str| {
        let mut points = Points::default();
        points.keep_first();
        let (_, _) =
            said::listen(|| cli::parse_reply(&mut *entry.poll(), reply.as_bytes(), &mut points));
        let text = text(&points);
        let mut lines: Vec<String> =
            text.lines().filter(|line| !line.starts_with('#')).map(String::from).collect();
        lines.sort();
        lines
    };
    let (mut tried, mut wrong) = (0, BTreeMap::new());
    for Fixture { entry, path, reply, head, body, tail } in fixtures() {
        let once = values(entry, &reply);
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for (name, place) in records(&body) {
            let time = times.entry(name.clone()).or_default();
            *time += 1;
            let nameless = NAMELESS.iter().find(|(collector, _)| *collector == entry.name);
            if *time > 2 || nameless.is_some_and(|(_, names)| names.contains(&&*name)) {
                continue;
            }
            tried += 1;
            let (before, after) = body.split_at(place.end);
            let twice = format!("{head}{before}{}{after}{tail}", &body[place]);
            let twice = values(entry, &twice);
            if twice != once {
                let changed = twice.iter().find(|line| !once.contains(line)).cloned();
                let changed = changed.unwrap_or_else(|| "some are gone".to_string());
                wrong.entry((entry.name, name)).or_insert(format!("{path}: {changed}"));
            }
        }
    }
    println!("{tried} records tried");
    let wrong: Vec<String> =
        wrong.iter().map(|((entry, name), what)| format!("{entry} <{name}>: {what}")).collect();
    assert!(tried > 500 && wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A series' labels by their names, as text.
type Labels = BTreeMap<String, String>;

/// What the series of an exposition are once they are scraped: `job` and `instance` are the
/// target's.
fn scraped(points: &Points) -> BTreeSet<(Labels, String)> {
    let text = text(points);
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let mut all = Labels::from([("__name__".to_string(), name.to_string())]);
        let mut rest = labels.strip_suffix('}').unwrap();
        while let Some((label, after)) = rest.split_once("=\"") {
            let mut value = String::new();
            let mut letters = after.chars();
            loop {
                match letters.next().unwrap() {
                    '"' => break,
                    '\\' => match letters.next().unwrap() {
                        'n' => value.push('\n'),
                        letter => value.push(letter),
                    },
                    letter => value.push(letter),
                }
            }
            let label = match label.trim_start_matches(',') {
                own @ ("job" | "instance") => format!("exported_{own}"),
                label => label.to_string(),
            };
            all.insert(label, value);
            rest = letters.as_str();
        }
        all.extend([("job", "perijove"), ("instance", "m1")].map(|(a, b)| (a.into(), b.into())));
        (all, format!("{:e}", value.parse::<f64>().unwrap()))
    };
    samples.map(sample).collect()
}

/// What the records of remote write are: the labels of each point, and then its samples.
fn written(points: &Points) -> BTreeSet<(Labels, String)> {
    let mut records = Vec::new();
    let batch = Batch { node: "r1", collector: "c", time_ns: 0, points };
    remote_write::encode("m1", &batch, &mut records);
    let mut all = BTreeSet::new();
    for record in str::from_utf8(&records).unwrap().lines() {
        let (labels, samples) = record.split_once("\t\t").unwrap_or((record, ""));
        let unescaped = |text: &str| text.replace("\\n", "\n").replace("\\t", "\t");
        let label = |label: &str| {
            let (name, value) = label.split_once('=').unwrap();
            (name.to_string(), unescaped(value).replace("\\\\", "\\"))
        };
        let labels: Labels = labels.split('\t').skip(1).map(label).collect();
        for sample in samples.split('\t').filter(|sample| !sample.is_empty()) {
            let (metric, value) = sample.split_once(' ').unwrap();
            let mut labels = labels.clone();
            labels.insert("__name__".into(), metric.into());
            all.insert((labels, format!("{:e}", value.parse::<f64>().unwrap())));
        }
    }
    all
}

#[test]
fn every_series_is_the_same_whether_it_is_scraped_or_written() {
    let (mut tried, mut wrong) = (0, Vec::new());
    for Fixture { entry, path, reply, .. } in fixtures() {
        let mut points = Points::default();
        points.keep_first();
        let (_, _) =
            said::listen(|| cli::parse_reply(&mut *entry.poll(), reply.as_bytes(), &mut points));
        let (scraped, written) = (scraped(&points), written(&points));
        tried += scraped.len();
        if let Some(other) = scraped.symmetric_difference(&written).next() {
            wrong.push(format!("{path}: {other:?}"));
        }
    }
    println!("{tried} series tried");
    assert!(tried > 800 && wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}
