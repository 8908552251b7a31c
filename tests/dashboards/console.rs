//! The console template, in a browser: what it shows of routers that answer, and that it shows no
//! number of those that do not.

use std::process::Command;
use std::time::Instant;

use super::common::browser::chromium;
use super::common::http_stub::{HttpStub, Reply};
use super::common::needs::skips;
use super::common::perijove::{Daemon, local_router, router, run_with};
use super::common::process::run;
use super::common::{self, free_port, http_agent, target_directory};
use super::series::{self, Series};
use super::{listens, packaged_prometheus, settings};

const TILES: [&str; 6] = [
    "routers-silent",
    "alarms-major",
    "alarms-minor",
    "bgp-down",
    "interfaces-down",
    "collectors-failing",
];

/// What a browser without a window makes of a page: its body without the script.
struct Page(String);

impl Page {
    fn open(port: u16, query: &str) -> Page {
        let page = chromium(&["--dump-dom", &url(port, query)]);
        let (_, body) = page.split_once("<body").expect("a body");
        Page(body.split_once("<script>").expect("a script").0.to_string())
    }

    /// The same, once it is as wanted, or the last one of a minute: on a busy machine a scrape or a
    /// poll may take too long, and the next one says what is right.
    fn once(port: u16, query: &str, is_wanted: impl Fn(&Page) -> bool) -> Page {
        let deadline = Instant::now() + common::DEADLINE;
        loop {
            let page = Page::open(port, query);
            if is_wanted(&page) || Instant::now() > deadline {
                return page;
            }
        }
    }

    /// The same, once perijove was scraped.
    fn reported(port: u16, query: &str) -> Page {
        Page::once(port, query, |page| !page.has("not reported"))
    }

    /// A tile's color and number.
    fn tile(&self, id: &str) -> (&str, &str) {
        let number = format!("<b id=\"{id}\">");
        let (before, after) =
            self.0.split_once(&number).unwrap_or_else(|| panic!("no {id}: {}", self.0));
        let (_, color) = before.rsplit_once("class=\"tile ").expect("a color");
        let (color, between) = color.split_once('"').expect("the end of the color");
        assert_eq!(between, ">");
        (color, after.split_once('<').expect("the end of the number").0)
    }

    /// The tiles' numbers, none of which is green.
    fn numbers_without_green(&self) -> [&str; 6] {
        TILES.map(|id| {
            let (color, number) = self.tile(id);
            assert_ne!(color, "good", "{id}: {}", self.0);
            number
        })
    }

    /// The routers, in the order of the table.
    fn routers(&self) -> Vec<&str> {
        let rows = self.0.split("<tr data-target=\"").skip(1);
        rows.map(|row| row.split_once('"').expect("the end of a name").0).collect()
    }

    /// The texts of the cells in a router's row.
    fn row(&self, router: &str) -> Vec<String> {
        let start = format!("<tr data-target={router:?}>");
        let (_, row) = self.0.split_once(&start).unwrap_or_else(|| panic!("{start}: {}", self.0));
        let (row, _) = row.split_once("</tr>").expect("the end of a row");
        row.split("<td").skip(1).map(|cell| text(&format!("<td{cell}"))).collect()
    }

    /// A section, without the markup.
    fn section(&self, id: &str) -> String {
        let start = format!("id=\"{id}\"");
        let (_, section) = self.0.split_once(&start).unwrap_or_else(|| panic!("no {id}"));
        text(&format!("<{}", section.split_once("</section>").expect("its end").0))
    }

    fn has(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    fn lines_of_graphs(&self) -> usize {
        self.0.matches("<polyline points=").count()
    }
}

/// A piece of HTML without the tags.
fn text(html: &str) -> String {
    html.split('<').filter_map(|part| Some(part.split_once('>')?.1)).collect()
}

fn url(port: u16, query: &str) -> String {
    format!("http://127.0.0.1:{port}/consoles/perijove.html?{query}")
}

#[test]
fn the_console_shows_what_routers_report() {
    if skips(&["chromium", "prometheus"]) {
        return;
    }
    let port = free_port();
    let settings = settings("", &listens(port));
    let once = run_with(&settings, &["once", "--format", "prometheus"]);
    let printed = series::read(&once.stdout);
    let daemon = Daemon::start(&settings);
    let prometheus = packaged_prometheus(port, free_port());
    for router in ["core1", "core2", "edge1"] {
        let traffic = format!("rate(junos_interface_receive_bytes{{target={router:?}}}[1m])");
        common::wait_for(router, || (prometheus.count(&traffic) > 0).then_some(()));
    }

    // Four graphs with a line for each router.
    let page = Page::once(prometheus.port, "minutes=1", |page| {
        page.lines_of_graphs() == 12
            && !page.has("class=\"stale\"")
            && page.tile("routers-silent") == ("good", "0")
            && page.tile("collectors-failing") == ("bad", "1")
    });
    let named = |name| printed.iter().filter(move |series| series.name == name);
    let sum = |name| named(name).map(|series| series.value).sum::<f64>().to_string();
    let down = |name| named(name).filter(|series| series.value == 0.0);
    let on_purpose = |series: &&Series, disabled, label| {
        down(disabled).any(|other| {
            ["target", label].iter().all(|label| other.label(label) == series.label(label))
        })
    };
    let interfaces: Vec<&str> = down("junos_interface_up")
        .filter(|series| !on_purpose(series, "junos_interface_admin_up", "name"))
        .map(|series| series.label("name"))
        .collect();
    let (shut, sessions): (Vec<&Series>, Vec<&Series>) = down("junos_bgp_session_up")
        .partition(|series| on_purpose(series, "junos_bgp_session_admin_up", "ip"));
    assert!(!interfaces.is_empty());
    assert_eq!((shut.len(), sessions.len()), (1, 1));
    for (tile, shown) in [
        ("routers-silent", ("good", "0")),
        ("alarms-major", ("bad", &*sum("junos_alarms_red_count"))),
        ("alarms-minor", ("warn", &*sum("junos_alarms_yellow_count"))),
        ("bgp-down", ("bad", "1")),
        ("interfaces-down", ("bad", &*interfaces.len().to_string())),
        ("collectors-failing", ("bad", "1")),
    ] {
        assert_eq!(page.tile(tile), shown, "{tile}: {}", page.0);
    }
    for name in interfaces.into_iter().chain(sessions.iter().map(|series| series.label("ip"))) {
        assert!(page.has(&format!("<td class=\"bad\">{name}</td>")), "{name}: {}", page.0);
    }
    assert!(!page.has(shut[0].label("ip")), "{}", page.0);
    assert_eq!(page.routers(), ["core1", "core2", "edge1"]);
    assert_eq!(page.row("core1")[7], "30 of 31", "without the one that is shut down on purpose");
    assert_eq!(page.row("core2")[1], "answers, 1 failing");
    assert!(!page.has("unknown for") && !page.has("Unknown for"), "{}", page.0);
    assert_eq!(page.lines_of_graphs(), 12, "{}", page.0);
    assert!(!page.has("class=\"stale\""), "{}", page.0);

    let one =
        Page::once(prometheus.port, "minutes=1&target=edge1", |page| page.lines_of_graphs() == 4);
    assert_eq!(one.routers(), ["edge1"]);
    assert_eq!(one.lines_of_graphs(), 4, "{}", one.0);

    let picture = target_directory().join("tmp/overview.png");
    let url = url(prometheus.port, "minutes=1");
    chromium(&["--window-size=1280,1210", &format!("--screenshot={}", picture.display()), &url]);
    let bytes = std::fs::read(&picture).expect("a screenshot");
    assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 50_000, "{} bytes", bytes.len());
    println!("{} shows the console", picture.display());
    assert_eq!(daemon.stop().code, 0);
}

/// A router that stops answering leaves its last readings in Prometheus for a while, one that never
/// answered leaves nothing, and neither is a reason for green.
#[test]
fn the_console_shows_no_number_that_nobody_counted() {
    if skips(&["chromium", "prometheus"]) {
        return;
    }
    let port = free_port();
    // It has one session and no other after that.
    let session = router("--alarms 0").join(" ");
    let pid = "DIRECTORY/session/pid";
    let once = format!("mkdir DIRECTORY/session && echo $$ >{pid} && exec {session}");
    let command = |name, command: &[&str]| {
        format!("[[router]]\nname = \"{name}\"\ntransport = \"local\"\ncommand = {command:?}\n")
    };
    let routers = [
        local_router("works", "--alarms 0"),
        local_router("fails", "--alarms 0 --fault rpc-error:get-bgp-neighbor"),
        command("silent", &["/bin/false"]),
        command("ended", &["sh", "-c", &once]),
    ];
    let settings = format!(
        "interval = \"600ms\"\npoll_share_max = 100\nself_interval = \"300ms\"\n{}{}\
         [collector.interfacediagnostics]\ninterval = \"1h\"\n",
        routers.concat(),
        listens(port)
    );
    let daemon = Daemon::start(&settings);
    let prometheus = packaged_prometheus(port, free_port());
    let there = |expression: &str| {
        common::wait_for(expression, || (prometheus.count(expression) > 0).then_some(()));
    };
    there("perijove_collector_state{target=\"ended\",collector=\"bgp\"} == 1");
    there("rate(junos_interface_receive_bytes{target=\"ended\"}[5m])");
    there("max_over_time(timestamp(junos_up{target=\"ended\"} == 1)[6h:15s])");
    let pid = std::fs::read_to_string(daemon.directory.join("session/pid")).expect("a process");
    assert_eq!(run(Command::new("kill").arg(pid.trim())).code, 0);
    there("junos_up{target=\"ended\"} == 0");
    there("junos_up{target=\"silent\"} == 0");
    there("junos_up{target=\"works\"} == 1");
    there("perijove_collector_state{target=\"fails\",collector=\"bgp\"} == 5");
    // A collector whose next poll is in an hour has not noticed it.
    let hourly = "target=\"ended\",collector=\"interfacediagnostics\"";
    there(&format!("perijove_collector_state{{{hourly}}} == 1"));
    let states = "perijove_collector_state{target=\"ended\"} < 4";
    common::wait_for("polls fail", || (prometheus.count(states) == 1).then_some(()));
    // What a careless page would show.
    for stale in [
        "junos_alarms_red_count",
        "junos_bgp_session_up",
        "junos_interface_up",
        "junos_interface_diagnostics_laser_rx_dbm",
    ] {
        there(&format!("{stale}{{target=\"ended\"}}"));
    }

    // A line that has ended has no value now, once its last one is some steps ago.
    let page = Page::once(prometheus.port, "minutes=5", |page| {
        !page.has("not reported") && page.has("ended: unknown")
    });
    let silent = ["ended", "silent"];
    assert_eq!(page.routers(), ["ended", "silent", "fails", "works"]);
    for router in silent {
        let row = page.row(router);
        assert_eq!((row.len(), &*row[1]), (3, "silent"), "{row:?}");
        assert!(row[2].starts_with("unknown"), "{row:?}");
    }
    assert!(page.row("ended")[2].starts_with("unknown since"), "{:?}", page.row("ended"));
    assert_eq!(page.row("fails")[7], "unknown");
    assert_eq!(page.row("works")[7], "4 of 4");
    let (numbers, unknown) = (page.numbers_without_green(), page.has("unknown for 2 routers"));
    assert_eq!((numbers[0], numbers[1], numbers[3], unknown), ("2", "0", "0", true), "{}", page.0);
    assert_eq!(page.tile("alarms-major").0, "unknown");
    assert!(page.section("alarms").ends_with("Unknown for ended, silent."), "{}", page.0);
    assert!(page.section("bgp").ends_with("Unknown for ended, silent, fails."), "{}", page.0);
    // What has changed stays true.
    let events = page.0.split("<section id=\"events\">").nth(1).expect("a section");
    let others = page.0.replace(events.split("</section>").next().unwrap_or_default(), "");
    for id in ["alarms", "interfaces", "bgp", "optics", "hardware"] {
        assert!(
            !others.contains("<td>ended</td>") && !page.section(id).contains("None."),
            "{}",
            page.0
        );
    }
    assert!(page.has("ended: unknown"), "{}", page.0);

    for router in silent {
        let page = Page::reported(prometheus.port, &format!("minutes=5&target={router}"));
        assert_eq!(page.routers(), [router]);
        assert_eq!(page.numbers_without_green(), ["1", "–", "–", "–", "–", "–"], "{}", page.0);
    }
    let well = Page::reported(prometheus.port, "minutes=5&filter=work");
    assert_eq!(well.routers(), ["works"]);
    assert_eq!(TILES.map(|id| well.tile(id))[..4], [("good", "0"); 4], "{}", well.0);

    there("max_over_time(timestamp(junos_up{target=\"works\"} == 1)[6h:15s])");
    assert_eq!(daemon.stop().code, 0);
    common::wait_for("perijove is gone", || (prometheus.count("up == 0") > 0).then_some(()));
    common::wait_for("it is gone", || (prometheus.count("junos_up") == 0).then_some(()));
    let page = Page::open(prometheus.port, "minutes=5");
    assert_eq!(page.routers(), ["ended", "fails", "silent", "works"]);
    assert_eq!(page.numbers_without_green(), ["–"; 6], "{}", page.0);
    assert!(
        page.row("works")[1] == "not reported" && page.row("works")[2].starts_with("unknown since")
    );
    assert!(page.section("perijove").contains("does not report"), "{}", page.0);
}

/// Samples of 200 routers, as a perijove that polls them has them.
fn fleet() -> String {
    let mut samples = "perijove_process_memory_peak_bytes 1e7\n".to_string();
    for number in 0..200 {
        let name = format!("{}{number}", ["access", "core", "edge"][number % 3]);
        let up = u8::from(number != 77);
        samples += &format!("perijove_session_up{{target=\"{name}\"}} {up}\n");
        samples += &format!("junos_up{{target=\"{name}\"}} {up}\n");
        for collector in ["alarm", "bgp", "interfaces"] {
            let labels = format!("target=\"{name}\",collector=\"{collector}\"");
            let state = if up == 1 { 1 } else { 6 };
            samples += &format!("perijove_collector_state{{{labels}}} {state}\n");
        }
        let (red, yellow) = (u8::from(number == 30), u8::from(number == 99));
        samples += &format!("junos_alarms_red_count{{target=\"{name}\"}} {red}\n");
        samples += &format!("junos_alarms_yellow_count{{target=\"{name}\"}} {yellow}\n");
        let established = u8::from(number != 150);
        let peer = format!("target=\"{name}\",ip=\"192.0.2.1\"");
        samples += &format!("junos_bgp_session_up{{{peer}}} {established}\n");
        let port = format!("target=\"{name}\",name=\"xe-0/0/0\"");
        samples += &format!("junos_interface_up{{{port}}} {}\n", u8::from(number != 4));
        samples += &format!("junos_interface_admin_up{{{port}}} 1\n");
    }
    samples
}

#[test]
fn the_console_sorts_and_filters_200_routers() {
    if skips(&["chromium", "prometheus"]) {
        return;
    }
    let stub =
        HttpStub::start(|_, _| Reply::Answer(200, &[("Content-Type", "text/plain")], fleet()));
    let prometheus = packaged_prometheus(stub.port, free_port());
    common::wait_for("200 routers", || (prometheus.count("junos_up") == 200).then_some(()));

    let page = Page::reported(prometheus.port, "minutes=1");
    // Silent, a major alarm, a BGP session down, a port down, a minor alarm, and all is well.
    let worst = ["edge77", "access30", "access150", "core4", "access99", "access0", "access3"];
    assert_eq!(page.routers()[..7], worst);
    assert_eq!(page.routers().len(), 20);
    assert!(page.has("<h2>200 routers</h2>") && page.has(">Show all 200</button>"), "{}", page.0);
    assert_eq!(page.tile("bgp-down"), ("bad", "1"));

    let core = Page::reported(prometheus.port, "minutes=1&filter=CORE");
    assert!(core.has("<h2>67 of 200 routers</h2>"), "{}", core.0);
    assert_eq!(core.routers()[..3], ["core4", "core1", "core7"]);
    assert_eq!(core.tile("routers-silent"), ("good", "0"));
    assert_eq!(core.tile("bgp-down"), ("good", "0"));
    assert_eq!(core.tile("interfaces-down"), ("bad", "1"));
    let none = Page::reported(prometheus.port, "minutes=1&filter=spine");
    assert!(none.has("No router has this in its name."), "{}", none.0);
    assert_eq!(none.numbers_without_green(), ["–"; 6], "{}", none.0);
}

/// Samples of a router: whether it answers, the states of its collectors, and what they counted.
fn samples(
    name: &str,
    up: Option<u8>,
    states: &[(&str, u8)],
    counted: &[(&str, &str, u8)],
) -> String {
    let mut samples = format!("perijove_session_up{{target=\"{name}\"}} 1\n");
    samples += &up.map_or(String::new(), |up| format!("junos_up{{target=\"{name}\"}} {up}\n"));
    for (collector, state) in states {
        let labels = format!("target=\"{name}\",collector=\"{collector}\"");
        samples += &format!("perijove_collector_state{{{labels}}} {state}\n");
    }
    for (metric, labels, value) in counted {
        samples += &format!("{metric}{{target=\"{name}\"{labels}}} {value}\n");
    }
    samples
}

/// Why a router has no number decides what is shown: nothing is configured, nobody may look, nobody
/// has looked yet, or the poller hangs and its last states look good.
#[test]
fn the_console_tells_no_data_from_no_answer() {
    if skips(&["chromium", "prometheus"]) {
        return;
    }
    let well = [("alarm", 1), ("bgp", 1), ("interfaces", 1)];
    let no_alarms = [("junos_alarms_red_count", "", 0), ("junos_alarms_yellow_count", "", 0)];
    let port = [("junos_interface_up", ",name=\"xe-0/0/0\"", 1)];
    let session = [("junos_bgp_session_up", ",ip=\"192.0.2.1\"", 1)];
    let both = [&no_alarms[..], &port[..]].concat();
    let all = [&both[..], &session[..]].concat();
    let text = [
        "perijove_process_memory_peak_bytes 1e7\n".to_string(),
        samples("all", Some(1), &well, &all),
        samples("plain", Some(1), &[well[0], ("bgp", 2), well[2]], &both),
        // What was counted before the permission was taken away is still there.
        samples("denied", Some(1), &[well[0], ("bgp", 4), well[2]], &all),
        samples("hangs", Some(1), &well, &session),
        samples("new", None, &[], &[]),
    ];
    let text = text.concat();
    let stub = HttpStub::start(move |_, _| {
        Reply::Answer(200, &[("Content-Type", "text/plain")], text.clone())
    });
    let prometheus = packaged_prometheus(stub.port, free_port());
    common::wait_for("five routers", || {
        (prometheus.count("perijove_session_up") == 5).then_some(())
    });
    let page = Page::reported(prometheus.port, "minutes=1");
    assert_eq!(page.routers(), ["hangs", "new", "denied", "all", "plain"]);
    assert_eq!((&*page.row("all")[7], &*page.row("all")[6]), ("1 of 1", "none"));
    assert_eq!((&*page.row("plain")[7], &*page.row("plain")[8]), ("–", "1 of 1"));
    assert_eq!((&*page.row("denied")[7], &*page.row("denied")[8]), ("unknown", "1 of 1"));
    assert_eq!(page.row("hangs")[1], "no readings");
    assert_eq!(page.row("new")[1], "not polled yet");
    for tile in ["alarms-major", "bgp-down", "interfaces-down"] {
        assert_ne!(page.tile(tile).0, "good", "{tile}: {}", page.0);
    }
    let plain = Page::reported(prometheus.port, "minutes=1&target=plain");
    assert_eq!((plain.routers(), plain.tile("alarms-major")), (vec!["plain"], ("good", "0")));
}

/// What a page shows when Prometheus no longer answers is as of then, and it says so.
#[test]
fn the_console_says_when_prometheus_does_not_answer() {
    if skips(&["chromium", "prometheus"]) {
        return;
    }
    let exporter =
        HttpStub::start(|_, _| Reply::Answer(200, &[("Content-Type", "text/plain")], fleet()));
    let prometheus = packaged_prometheus(exporter.port, free_port());
    common::wait_for("200 routers", || (prometheus.count("junos_up") == 200).then_some(()));

    // It answers what the page asks the first time.
    let in_front = |times: usize| {
        let (asked, server) = (std::sync::atomic::AtomicUsize::new(0), prometheus.url());
        HttpStub::start(move |_, request| {
            let url = format!("{server}{}", request.target);
            if request.body == "query=time%28%29" {
                asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            let answers = asked.load(std::sync::atomic::Ordering::Relaxed) <= times;
            let (status, body) = match &*request.method {
                "GET" => http_agent().get(url).call().and_then(common::answer).expect("a page"),
                _ if !answers => (503, String::new()),
                _ => forward(&url, &request.body),
            };
            let kind = if request.method == "GET" { HTML } else { JSON };
            Reply::Answer(status, kind, body)
        })
    };
    let never = in_front(0);
    let page = Page::open(never.port, "minutes=1&refresh=1");
    assert!(page.has("class=\"stale\"") && page.has("Nothing is known."), "{}", page.0);
    assert!(!page.has("class=\"tile "), "{}", page.0);

    let once = in_front(1);
    let page = Page::open(once.port, "minutes=1&refresh=1");
    assert!(page.has("class=\"stale\"") && page.has("What is below is as of"), "{}", page.0);
    assert!(page.has("Prometheus gives no answer (status 503)."), "{}", page.0);
    assert_eq!(page.routers().len(), 20);
}

const HTML: &[(&str, &str)] = &[("Content-Type", "text/html; charset=utf-8")];
const JSON: &[(&str, &str)] = &[("Content-Type", "application/json")];

fn forward(url: &str, body: &str) -> (u16, String) {
    let request = http_agent().post(url);
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    request.send(body).and_then(common::answer).expect("prometheus answers")
}
