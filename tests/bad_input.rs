//! What comes from a router and is not as it should be: what it costs, and how that is said.

mod common;

use common::lines::{self, Line};
use common::needs::skips;
use common::perijove::{
    Daemon, FAST, alarm_polls, hosts, local_router, once_finished, own, perijove, run_with, seen,
    whole_lines,
};
use common::process::{Finished, peak_bytes, run};
use common::temporary::Directory;
use common::{program, wait_for};

const HELLO: &str = "<hello xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\"><capabilities>\
    <capability>urn:ietf:params:netconf:base:1.0</capability></capabilities>\
    <session-id>7</session-id></hello>]]>]]>";

/// `[[router]]` for a server that says exactly this, `ID` being the request's message-id.
fn canned_router(directory: &Directory, name: &str, hello: &str, reply: &str) -> String {
    let hello = directory.write(&format!("{name}.hello"), hello);
    let reply = directory.write(&format!("{name}.reply"), reply);
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/canned.py");
    format!(
        "[[router]]\nname = \"{name}\"\ntransport = \"local\"\n\
         command = [{:?}, \"{server}\", {hello:?}, {reply:?}]\n",
        program("python3"),
    )
}

/// One poll of a server that says exactly this.
fn once_canned(collectors: &str, hello: &str, reply: &str) -> Finished {
    let directory = Directory::new();
    let settings = canned_router(&directory, "r1", hello, reply);
    run_with(&settings, &["once", "--collectors", collectors])
}

fn rpc_reply(payload: &str) -> String {
    format!(
        "<rpc-reply xmlns=\"urn:ietf:params:xml:ns:netconf:base:1.0\" message-id=\"ID\">\
         {payload}</rpc-reply>"
    )
}

#[test]
fn a_broken_reply_fails_one_poll_of_one_collector() {
    for fault in ["truncate", "garbage", "misframe", "close"] {
        // The second route summary of each session is broken; the poll after it must work again.
        let mut daemon = Daemon::start(&format!(
            "collectors = [\"alarm\", \"route\"]\n{FAST}{}",
            local_router("r1", &format!("--tables 300 --fault {fault}@2-2:route"))
        ));
        daemon.wait_lines("polls after the broken one", |lines| {
            let failed = own(lines, ("collector", "route"), "failed_polls_total")?;
            let mut polls: Vec<(i64, usize)> = Vec::new();
            for line in lines.iter().filter(|line| line.measurement == "routes") {
                match polls.last_mut() {
                    Some(last) if last.0 == line.timestamp => last.1 += 1,
                    _ => polls.push((line.timestamp, 1)),
                }
            }
            let whole = polls.iter().filter(|(_, points)| *points == 300).count();
            (failed >= 1.0 && whole >= 2 && alarm_polls(lines) >= 3).then_some(())
        });
        let finished = daemon.stop();
        assert_eq!(finished.code, 0, "{fault}: {}", finished.stderr);
        let said = finished.stderr.lines().find(|line| line.contains("r1: route:"));
        let said = said.unwrap_or_else(|| panic!("{fault}: nothing is said: {}", finished.stderr));
        assert!(said.contains("byte "), "{fault}: no offset in {said}");
        // What came before the break was kept.
        let times = |lines: &[Line]| {
            let mut count = std::collections::BTreeMap::new();
            for line in lines.iter().filter(|line| line.measurement == "routes") {
                *count.entry(line.timestamp).or_insert(0) += 1;
            }
            count
        };
        let partial = times(&lines::read(&finished.stdout)).values().any(|count| *count < 300);
        assert!(partial, "{fault}: the points before the break are gone");
    }
}

#[test]
fn mixed_up_tags_in_what_no_field_asks_for_fail_the_poll() {
    if skips(&["python3"]) {
        return;
    }
    let finished = once_finished("interfaces,alarm", "--fault garbage:interface");
    assert_eq!(finished.code, 1, "{finished:?}");
    let said = finished.stderr.lines().find(|line| line.contains("interfaces:"));
    let said = said.unwrap_or_else(|| panic!("nothing is said: {}", finished.stderr));
    assert!(said.contains("malformed at byte ") && said.contains("</oops>"), "{said}");
    assert!(alarm_polls(&lines::read(&finished.stdout)) > 0, "{finished:?}");

    let table = |within: &str| {
        rpc_reply(&format!(
            "<route-summary-information><route-table><table-name>inet.0</table-name>{within}\
             <total-route-count>7</total-route-count></route-table></route-summary-information>"
        ))
    };
    // Each end in a comment is none; what only looks like an end is refused and not tried forever.
    for (within, code) in [
        ("<!-- </route-table> -->".repeat(100_000).as_str(), 0),
        ("<x><y>1</y></x>", 0),
        ("<x><y>1</x></y>", 1),
        ("<!DOCTYPE a [ <!-- </route-table> -->", 1),
    ] {
        let finished = once_canned("route", HELLO, &table(within));
        assert_eq!(finished.code, code, "{}", finished.stderr);
        assert_eq!(
            finished.stderr.contains("malformed at byte "),
            code == 1,
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn what_is_not_netconf_is_refused() {
    for (name, hello, words) in [
        ("nothing", "", "nothing"),
        ("another program", "error: command is not valid on this device\n", "not valid on this"),
        ("half a hello", "<hello><capabilities>\n", "<hello>"),
        ("a broken hello", "<hello><capabilities></hello>]]>]]>", "<hello>"),
    ] {
        let directory = Directory::new();
        let text = directory.write("hello", hello);
        let settings = format!(
            "timeout = \"20s\"\n[[router]]\nname = \"r1\"\ntransport = \"local\"\n\
             command = [\"/bin/cat\", {text:?}]\n"
        );
        let finished = run_with(&settings, &["once", "--collectors", "alarm"]);
        assert_eq!(finished.code, 1, "{name}: {finished:?}");
        for word in ["r1", "hello", words] {
            assert!(finished.stderr.contains(word), "{name}: {}", finished.stderr);
        }
    }
}

#[test]
fn a_hello_that_names_no_version_is_taken_for_the_first() {
    if skips(&["python3"]) {
        return;
    }
    for hello in ["<hello/>", "<nc:hello xmlns:nc=\"x\"><nc:capabilities/></nc:hello>"] {
        let reply = rpc_reply("<alarm-information/>");
        let finished = once_canned("alarm", &format!("{hello}]]>]]>"), &reply);
        assert_eq!(finished.code, 0, "{hello}: {finished:?}");
    }
}

#[test]
fn a_reply_that_is_not_the_requests_is_refused() {
    if skips(&["python3"]) {
        return;
    }
    let other = rpc_reply("<alarm-information/>").replace("ID", "77777");
    let finished = once_canned("alarm", HELLO, &other);
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stderr.contains("message-id"), "{}", finished.stderr);
}

#[test]
fn a_reply_that_is_not_xml_is_refused_with_the_offset() {
    if skips(&["python3"]) {
        return;
    }
    for (name, reply) in [
        ("text", "error: could not open the session\n"),
        ("an open element", "<rpc-reply message-id=\"ID\"><alarm-information>"),
        ("crossed elements", "<rpc-reply message-id=\"ID\"><a><b></a></b></rpc-reply>"),
        ("nothing", ""),
    ] {
        let finished = once_canned("alarm", HELLO, reply);
        assert_eq!(finished.code, 1, "{name}: {finished:?}");
        assert!(finished.stderr.contains("byte "), "{name}: {}", finished.stderr);
    }
}

#[test]
fn a_reply_of_another_command_gives_no_points_and_no_crash() {
    if skips(&["python3"]) {
        return;
    }
    for payload in ["", "<configuration><system/></configuration>", "<output>\nunknown\n</output>"]
    {
        let finished = once_canned("alarm,bgp,interfaces", HELLO, &rpc_reply(payload));
        assert!(matches!(finished.code, 0 | 1), "{payload}: {finished:?}");
        assert!(!finished.stderr.contains("panicked"), "{}", finished.stderr);
        assert_eq!(lines::readings(&lines::read(&finished.stdout)).len(), {
            // No alarm at all is an answer too: its counts are zero.
            seen(&lines::read(&finished.stdout), "alarms")
        });
    }
}

#[test]
fn an_item_that_does_not_fit_costs_that_item() {
    if skips(&["python3"]) {
        return;
    }
    let route = |name: &str, active: &str| {
        format!(
            "<route-table>{name}<destination-count>5</destination-count>\
             <total-route-count>7</total-route-count><active-route-count>{active}\
             </active-route-count></route-table>"
        )
    };
    let name = |name: &str| format!("<table-name>{name}</table-name>");
    let reply = rpc_reply(&format!(
        "<route-summary-information>{}{}{}{}</route-summary-information>",
        route(&name("inet.0"), "3"),
        route("", "4"),
        route("", "5"),
        route(&name("inet6.0"), "many"),
    ));
    let directory = Directory::new();
    let settings = canned_router(&directory, "r1", HELLO, &reply);
    let mut daemon = Daemon::start(&format!("collectors = [\"route\"]\n{FAST}{settings}"));
    daemon.wait_lines("two polls and their count", |lines| {
        let rejected = own(lines, ("collector", "route"), "rejected_items_total")?;
        (seen(lines, "routes") >= 4 && rejected >= 4.0).then_some(())
    });
    let finished = daemon.stop();
    let lines = lines::read(&finished.stdout);
    let tables = lines.iter().filter(|line| line.measurement == "routes");
    let tables: std::collections::BTreeSet<&str> = tables.map(|line| line.tag("table")).collect();
    assert_eq!(tables.into_iter().collect::<Vec<_>>(), ["inet.0", "inet6.0"]);
    for line in lines.iter().filter(|line| line.tag("table") == "inet6.0") {
        assert!(!line.fields.contains_key("active_count"), "{line:?}");
        assert_eq!(line.number("total_count"), 7.0);
    }
    // Logged once, not with each poll, with the element.
    let said = finished.stderr.lines().filter(|line| line.contains("route-table")).count();
    assert_eq!(said, 1, "{}", finished.stderr);
}

#[test]
fn what_is_over_a_limit_is_refused_with_the_settings_name() {
    let cases = [
        ("message_bytes_max = \"10KB\"", "--interfaces 50", "message_bytes_max"),
        ("item_bytes_max = \"1KB\"", "--interfaces 3", "item_bytes_max"),
        ("depth_max = 128", "--fault deep:interface", "depth_max"),
    ];
    for (limit, options, name) in cases {
        let settings = format!("[limits]\n{limit}\n{}", local_router("r1", options));
        let finished = run_with(&settings, &["once", "--collectors", "interfaces,alarm"]);
        assert_eq!(finished.code, 1, "{name}: {finished:?}");
        assert!(finished.stderr.contains(name), "{name}: {}", finished.stderr);
        assert!(alarm_polls(&lines::read(&finished.stdout)) > 0, "{name}: {finished:?}");
    }
}

#[test]
fn a_huge_reply_within_the_limits_is_read_in_little_memory() {
    let mut daemon = Daemon::start(&format!(
        "collectors = [\"interfaces\"]\n{FAST}{}[output.stdout]\nqueue_bytes_max = \"4MB\"\n",
        local_router("r1", "--fault huge:interface")
    ));
    let peak = daemon.process.wait_for("a poll", |process| {
        process.stdout().contains("polls_total=1").then(|| peak_bytes(process.id()))
    });
    // The reply is of 50 MB.
    assert!(peak < 40 << 20, "{peak} bytes");
    assert!(seen(&whole_lines(&daemon.process.stdout()), "interface") > 100);
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_request_that_the_platform_lacks_is_paused() {
    // Only the first request is refused, so that any later one would give points.
    let mut daemon = Daemon::start(&format!(
        "collectors = [\"alarm\", \"route\"]\n{FAST}{}",
        local_router("r1", "--fault unsupported@1-1:route")
    ));
    daemon.wait_lines("five polls of the other", |lines| (alarm_polls(lines) >= 5).then_some(()));
    let finished = daemon.stop();
    assert_eq!(seen(&lines::read(&finished.stdout), "routes"), 0);
    let said = finished.stderr.lines().filter(|line| line.contains("r1"));
    let said = said.filter(|line| line.contains("<get-route-summary-information/>"));
    assert_eq!(said.count(), 1, "said once: {}", finished.stderr);
}

#[test]
fn nothing_is_counted_where_no_request_is_known() {
    let alarms = |fault: &str| {
        let finished = once_finished("alarm", fault);
        (finished.code, alarm_polls(&lines::read(&finished.stdout)))
    };
    assert_eq!(alarms("--fault unsupported"), (1, 0), "nobody said that there are no alarms");
    assert_eq!(alarms("--fault unsupported:get-system-alarm"), (0, 1));
}

#[test]
fn an_rpc_error_is_said_in_the_routers_words() {
    let finished = once_finished("alarm,route", "--fault rpc-error:route");
    assert_eq!(finished.code, 1, "{finished:?}");
    assert!(finished.stderr.contains("route"), "{}", finished.stderr);
    assert!(alarm_polls(&lines::read(&finished.stdout)) > 0);
}

#[test]
fn check_names_the_permissions_that_a_login_lacks() {
    let error = "<rpc-error><error-severity>error</error-severity><error-message>permission denied\
                 </error-message></rpc-error>";
    let directory = Directory::new();
    let settings = canned_router(&directory, "r1", HELLO, &rpc_reply(error));
    let finished = run_with(&settings, &["check", "--collectors", "route"]);
    assert_eq!(finished.code, 1, "{finished:?}");
    let said = &finished.stdout;
    assert!(said.contains("denied      r1 route: permission denied; the login class"), "{said}");
    assert!(said.contains("needs: permissions view"), "{said}");
    assert!(said.contains("FAILED      router r1: 1 denied; "), "{said}");
}

#[test]
fn a_router_that_hangs_costs_the_time_limit_and_a_new_session() {
    let mut daemon = Daemon::start(&format!(
        "collectors = [\"alarm\", \"route\"]\n{FAST}{}[collector.route]\ntimeout = \"2s\"\n",
        local_router("r1", "--fault hang@2:route")
    ));
    let child =
        wait_for("a child", || common::process::descendants(daemon.process.id()).first().copied());
    daemon.wait_lines("polls after the hang", |lines| {
        let failed = own(lines, ("collector", "route"), "failed_polls_total")?;
        let mut polls: Vec<i64> = lines
            .iter()
            .filter(|line| line.measurement == "routes")
            .map(|line| line.timestamp)
            .collect();
        polls.dedup();
        (failed >= 1.0 && polls.len() >= 2 && alarm_polls(lines) >= 4).then_some(())
    });
    let hung = std::path::PathBuf::from(format!("/proc/{child}"));
    wait_for("the hung child's end", || (!hung.exists()).then_some(()));
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("timeout"), "the setting is not named: {}", finished.stderr);
}

#[test]
fn a_bad_router_stops_no_other() {
    let mut routers = String::new();
    for (name, fault) in [
        ("good", ""),
        ("hangs", "--fault hang"),
        ("exits", "--fault exit"),
        ("garbles", "--fault garbage"),
        ("drips", "--fault slow --drip-bytes 1 --drip-ms 100"),
        ("refuses", "--fault rpc-error"),
    ] {
        routers += &local_router(name, fault);
    }
    let mut daemon =
        Daemon::start(&format!("collectors = [\"alarm\"]\n{FAST}timeout = \"3s\"\n{routers}"));
    daemon.wait_lines("five polls of the good one", |lines| {
        let good: Vec<Line> =
            lines.iter().filter(|line| line.tag("host") == "good").cloned().collect();
        (alarm_polls(&good) >= 5).then_some(())
    });
    for name in ["hangs", "exits", "garbles", "drips", "refuses"] {
        daemon.process.wait_stderr(name);
    }
    let finished = daemon.stop();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(hosts(&lines::read(&finished.stdout)).contains("good"));
}

#[test]
fn what_is_no_finite_number_is_never_sent() {
    let mut ports = String::new();
    for (port, power) in
        ["- Inf", "-Inf", "NaN", "inf", "Infinity", "1e999", "-1e999", "0x10"].iter().enumerate()
    {
        ports += &format!(
            "<physical-interface><name>xe-0/0/{port}</name><optics-diagnostics>\
             <laser-output-power-dbm>{power}</laser-output-power-dbm>\
             <module-voltage>3.3150</module-voltage></optics-diagnostics></physical-interface>"
        );
    }
    let reply = rpc_reply(&format!("<interface-information>{ports}</interface-information>"));
    let directory = Directory::new();
    let file = directory.write("reply.xml", reply);
    for format in ["line", "json", "prometheus"] {
        let mut command = perijove(&["parse", "interfacediagnostics", "--format", format]);
        let finished = run(command.arg(&file));
        assert_eq!(finished.code, 0, "{finished:?}");
        let samples = finished.stdout.lines().filter(|line| line.contains("3.315")).count();
        assert_eq!(samples, 8, "{format}: an item is gone: {finished:?}");
        let text = finished.stdout.to_lowercase();
        let data = text.lines().filter(|line| !line.starts_with('#')).collect::<String>();
        for word in ["nan", "inf,", "infinity", "e999", "=inf", "=-inf"] {
            assert!(!data.contains(word), "{format}: {word} in {}", finished.stdout);
        }
    }
}
